//! The table of exit statuses, which is a contract.

use std::fs;
use std::net::TcpListener;

use rstest::rstest;

use super::program::{DEFECT, QUICK, ran};

#[test]
fn a_run_with_nothing_red_ends_with_0() {
    let ran = ran(&["run", QUICK]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.stdout.contains("0 failed"), "{}", ran.stdout);
}

#[test]
fn a_failure_ends_with_1_and_is_explained() {
    let ran = ran(&["run", QUICK, "--defect", DEFECT]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("data-handshake-cut-short"), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("--defect {DEFECT}")), "it says how to repeat it: {}", ran.stdout);
}

#[test]
fn a_warning_is_red_only_if_strict() {
    let warned = ["run", "server/auth/zos-client-hello", "--defect", "plaintext-550-in-handshake", "-q"];
    let lenient = ran(&warned);
    assert_eq!(lenient.code, 0, "{}", lenient.stdout);
    let strict = ran(&[&warned[..], &["--strict"]].concat());
    assert_eq!(strict.code, 1, "{}", strict.stdout);
}

#[rstest]
#[case(&["run", "server/data/retr-empty-fil"], "did you mean server/data/retr-empty-file")]
#[case(&["run", "server/data/retr-empty-file@engine=nss"], "names no variant")]
#[case(&["run", "levle:must"], "`levle:` is unknown")]
#[case(&["run", "--defect", "retr-empty-closes"], "did you mean `retr-empty-closes-before-handshake`?")]
#[case(&["run", "--server", "peer:vsftp"], "did you mean `vsftpd`?")]
#[case(&["run", "--server", "peer:vsftpd@../x"], "is not a Debian suite")]
#[case(&["run", "--server", "peer:vsftpd", "--insecure"], "--insecure is for a URL")]
#[case(&["run", "--server", "ftp.example.test"], "begins with ftp:// (explicit TLS) or ftps:// (implicit TLS)")]
#[case(&["run", "--server", "server.yaml"], "`server.yaml` in --server is no file")]
#[case(&["run", "--server", "ftp://a@b", "--defect", "x"], "cannot be used with")]
#[case(&["run", "--server", "ftp://a@b", "--password-env", "FTPSPEC_NO_SUCH"], "FTPSPEC_NO_SUCH")]
#[case(&["run", "--server", "ftp://b", "--password-env", "PATH"], "a password without a user")]
#[case(&["run", "--server", "ftp://b", "--ca-file", "no/such.pem"], "--ca-file no/such.pem cannot be read: ")]
#[case(&["run", "--server", "ftp://b", "--ca-file", "/dev/null"], "a certificate or key cannot be used")]
#[case(&["run", "--server", "ftp://b", "--connect-to", "10.0.0.1"], "no HOST:PORT")]
#[case(&["run", "--password-env", "PATH"], "--server <URL|peer:NAME|FILE>")]
#[case(&["run", "--jobs", "0"], "--jobs <N>")]
#[case(&["run", "--client", "peer:crul"], "did you mean `curl`?")]
#[case(&["run", "--client", "client.yaml"], "`client.yaml` in --client is no file")]
#[case(&["run", "--client", "peer:reference", "server/data"], "`server/data` names no scenario for a client under test")]
#[case(&["run", "--server", "ftp://b", "client/auth"], "`client/auth` names no scenario for a server under test")]
#[case(&["run", "--client", "peer:reference", "--server", "ftp://b"], "cannot be used with")]
#[case(&["run", "--defect", "client-leaves-unread-data", "server/auth"], "names no scenario for a client under test")]
#[case(&["run", "--baseline", "no/such.yaml"], "no/such.yaml")]
#[case(&["run", "--scenarios", "no/such/folder"], "no/such/folder")]
#[case(&["list", "server/nothing"], "names no scenario")]
#[case(&["explain", "retr-empty-fil"], "did you mean `retr-empty-file`?")]
#[case(&["schema", "scenari"], "scenario")]
#[case(&["peers", "build", "vsftp"], "did you mean `vsftpd`?")]
#[case(&["peers", "up", "vsftpd", "--configuration", "stric"], "it has client-certificate, implicit, lax")]
#[case(&[], "Usage:")]
fn wrong_use_ends_with_2_and_says_what_is_right(#[case] arguments: &[&str], #[case] said: &str) {
    let ran = ran(arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[rstest]
#[case(&["run", "--server", "ftp://me:secret@host.test"])]
#[case(&["run", "--server", "http://me:secret@host.test"])]
#[case(&["run", "ftp://me:secret@host.test"])]
fn a_password_on_the_command_line_is_refused_and_not_repeated(#[case] arguments: &[&str]) {
    let ran = ran(arguments);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}

#[test]
fn a_wrong_scenario_is_shown_with_its_place_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let scenarios = folder.path().join("my scenarios");
    fs::create_dir_all(scenarios.join("server/data")).unwrap();
    fs::write(scenarios.join("server/data/wrong.yaml"), "title: x\nlevle: must\n").unwrap();
    let ran = ran(&["run", QUICK, "--scenarios", scenarios.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("server/data/wrong.yaml:2:1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `level`?"), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("nothing was run\n"), "{}", ran.stderr);
}

#[test]
fn a_server_that_does_not_listen_ends_with_3() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = ran(&["run", "--server", &format!("ftp://127.0.0.1:{port}")]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert!(ran.stdout.contains("there is no FTP server to test"), "{}", ran.stdout);
}

#[rstest]
#[case(&["run", "!*"])]
#[case(&["run", "server/data/stor-empty-file", "--allow", "read"])]
#[case(&["list", "!*"])]
fn a_run_that_learns_nothing_ends_with_4(#[case] arguments: &[&str]) {
    let ran = ran(arguments);
    assert_eq!(ran.code, 4, "{}", ran.stdout);
}

#[test]
fn with_the_baseline_that_a_run_wrote_the_next_is_green_and_without_the_failure_it_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.yaml");
    let file = file.to_str().unwrap();
    assert_eq!(ran(&["run", QUICK, "--defect", DEFECT, "-q", "--write-baseline", file]).code, 1);
    let known = ran(&["run", QUICK, "--defect", DEFECT, "-q", "--baseline", file]);
    assert_eq!(known.code, 0, "{}", known.stdout);
    let mended = ran(&["run", QUICK, "-q", "--baseline", file]);
    assert_eq!(mended.code, 1, "{}", mended.stdout);
    assert!(mended.stdout.contains("data-handshake-cut-short any more"), "{}", mended.stdout);
    // What chance decides may be missing.
    let text = fs::read_to_string(file).unwrap().replace("  reason:", "  chance: what comes first\n  reason:");
    fs::write(file, text).unwrap();
    let without = ran(&["run", QUICK, "-q", "--baseline", file]);
    assert_eq!(without.code, 0, "{}", without.stdout);
}
