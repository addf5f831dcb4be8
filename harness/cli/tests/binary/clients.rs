//! Clients under test, as a person names them on the command line.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rstest::rstest;

use super::program::{ran, ran_in};

/// A scenario that is quick, and that the reference client passes.
const QUICK: &str = "client/data/get-close-notify@engine=rustls,version=1.3";

/// A client whose command line is this script.
fn written(folder: &Path, script: &str) -> String {
    fs::write(folder.join("client.sh"), script).unwrap();
    let text = "title: a script\nversion: [sh, -c, echo client 1.2]\n\
                common: [sh, \"${here}/client.sh\", \"${password}\"]\nactions: {login: [], get: []}\n\
                demands: {control: TLS, data: TLS}\n";
    fs::write(folder.join("client.yaml"), text).unwrap();
    "client.yaml".to_owned()
}

#[test]
fn without_selectors_a_client_meets_all_client_scenarios_and_no_other() {
    let ran = ran(&["run", "--client", "peer:reference", "--json", "/dev/stderr", "-q"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let results: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(results["subject"]["role"], "client");
    let ids: Vec<_> = results["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| id.starts_with("client/")), "{ids:?}");
}

#[test]
fn client_scenarios_meet_the_reference_client_where_no_subject_is_named() {
    let ran = ran(&["run", QUICK]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.stdout.contains("1 passed"), "{}", ran.stdout);
}

#[test]
fn the_reference_client_can_be_given_a_defect() {
    let ran = ran(&["run", QUICK, "--defect", "client-leaves-unread-data"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("download-not-whole"), "{}", ran.stdout);
}

#[test]
fn no_selector_and_no_subject_is_the_server_role() {
    let listed = ran(&["list", "--json"]);
    assert!(!listed.stdout.contains("\"client/"), "{}", listed.stdout);
    let clients = ran(&["list", "client"]);
    assert!(clients.stdout.contains("client/auth/tls-handshake"), "{}", clients.stdout);
    let explained = ran(&["explain", "client/auth/tls-handshake"]);
    assert_eq!(explained.code, 0, "{}", explained.stderr);
}

#[test]
fn a_client_that_is_not_installed_is_told_before_anything_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let text = "title: nobody\ncommon: [ftpspec-no-such-client]\nactions: {login: []}\n";
    fs::write(folder.path().join("client.yaml"), text).unwrap();
    let ran = ran_in(folder.path(), &["run", "--client", "client.yaml"]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    let all = [ran.stdout, ran.stderr].concat();
    assert!(all.contains("there is no program ftpspec-no-such-client here"), "{all}");
}

#[test]
fn a_client_is_described_in_a_file_and_tells_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let client = written(folder.path(), "exit 1");
    assert_eq!(ran_in(folder.path(), &["lint", &client]).code, 0);
    let ran = ran_in(folder.path(), &["run", QUICK, "--client", &client, "--json", "results.json"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    let results = fs::read_to_string(folder.path().join("results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    assert_eq!(results["subject"]["version"], "client 1.2");
    assert_eq!(results["subject"]["name"], "a script");
}

#[test]
fn the_password_is_in_nothing_that_is_shown_of_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo \"$1\" > $(dirname $0)/seen; echo \"my password is $1\"; exit 1";
    let client = written(folder.path(), script);
    let ran = ran_in(folder.path(), &["run", QUICK, "--client", &client, "-v", "--junit", "junit.xml"]);
    let seen = fs::read_to_string(folder.path().join("seen")).unwrap();
    let junit = fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    for shown in [&ran.stdout, &ran.stderr, &junit] {
        assert!(!shown.contains(seen.trim()), "{shown}");
    }
    assert!(ran.stdout.contains("my password is {redacted}"), "{}", ran.stdout);
}

/// The clients that are installed, each over either family; where none is, or no IPv6, there is nothing to see.
#[rstest]
#[case::curl("curl")]
#[case::lftp("lftp")]
#[case::python("python-ftplib")]
#[case::openssl("openssl")]
fn an_installed_client_is_met_over_either_family(#[case] client: &str, #[values("-4", "-6")] family: &str) {
    let program = if client == "python-ftplib" { "python3" } else { client };
    let is_here =
        Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output().unwrap().status.success();
    if !is_here || (family == "-6" && TcpListener::bind("[::1]:0").is_err()) {
        println!("skipped: no {program} here, or no IPv6");
        return;
    }
    let named = format!("peer:{client}");
    let ran = ran(&["run", family, QUICK, "client/auth/tls-handshake@version=1.3", "--client", &named]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("3 passed"), "{}", ran.stdout);
}

#[cfg(feature = "containers")]
#[test]
fn a_client_in_a_container_is_met_over_ipv6() {
    if !super::containers::have("clients") {
        return;
    }
    let ran = ran(&["run", "-6", QUICK, "--client", "peer:curl@bookworm"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("1 passed"), "{}", ran.stdout);
}
