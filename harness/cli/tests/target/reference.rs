//! The endpoint is the embedded reference server, which the binary knows nothing of: what it learns there without a word
//! about files, and how it treats an address that leads elsewhere.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ftpspec::{Catalogue, Engine, Limits, Secret};
use ftpspec_peers::pki::Pki;
use ftpspec_peers::reference::{ReferenceServer, ReferenceSettings};
use ftpspec_scenario::model::Rule;
use ftpspec_scenario::settings::ServerSettings;
use serde_json::Value;

use super::program::{Ran, command, finished};

#[test]
fn with_a_read_only_account_and_no_known_file_half_of_the_scenarios_come_to_a_verdict() {
    let partner = Partner::start(&[]);
    let ran = partner.run("", &["-q"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let (learnt, all) = scenarios_learnt_from(&partner.results());
    assert!(learnt * 2 >= all, "{learnt} of {all}: {}{}", ran.stdout, partner.results()["probe"]);
}

#[test]
fn what_is_known_of_an_endpoint_is_told_and_kept_to() {
    let partner = Partner::start(&[]);
    let ran =
        partner.run("tls-versions-follow", &["server/data/retr-close-notify", "server/data/stor-empty-file", "-v"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let results = partner.results();
    assert_eq!(results["subject"]["name"], "Example partner");
    for result in results["results"].as_array().unwrap() {
        let variant = result["variant"].as_str().unwrap();
        let (verdict, reason) = (result["verdict"].as_str().unwrap(), result["reason"].as_str().unwrap_or_default());
        let (due, because) = match result["id"].as_str() {
            Some("server/data/stor-empty-file") => ("skip", "effect: write is not allowed here"),
            _ if variant.contains("version=1.2") => ("skip", "capability: this TLS version is not to be tested here"),
            _ if variant.contains("transfer=RETR") => ("skip", "fixture: fixture.text: no path for it is known"),
            _ => ("pass", ""),
        };
        assert_eq!(verdict, due, "{variant}: {reason}");
        assert!(reason.starts_with(because), "{variant}: {reason}");
    }
}

#[test]
fn an_address_in_227_that_leads_elsewhere_is_told_and_not_followed() {
    let catalogue = Catalogue::embedded().unwrap();
    let partner = Partner::start(&catalogue.defect("pasv-names-another-server").unwrap().script.rules);
    let ran = partner.run("", &["server/passive/pasv-address@engine=rustls", "-v"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let results = partner.results();
    let result = &results["results"][0];
    assert_eq!(result["verdict"], "warn");
    assert_eq!(result["diagnosis"]["id"], "pasv-names-another-server");
    let evidence = results.to_string() + &ran.stdout;
    assert!(evidence.contains("227 names 192.0.2.1"), "{evidence}");
    assert!(evidence.contains("127.0.0.1:9"), "we went to the control connection's address: {evidence}");
    assert!(!evidence.contains("192.0.2.1:9"), "{evidence}");
}

#[test]
fn the_pace_of_a_target_is_kept_to() {
    let partner = Partner::start(&[]);
    let ran = partner.run("pace: {total: 7}", &["server/auth/tls-handshake", "server/data/retr-close-notify", "-q"]);
    let results = partner.results();
    let reasons: Vec<_> = results["results"].as_array().unwrap().iter().map(|result| &result["reason"]).collect();
    let out_of_pace = |reason: &&Value| reason.as_str().is_some_and(|reason| reason.contains("7 control connections"));
    assert!(reasons.iter().any(out_of_pace), "{reasons:?}{}", ran.stdout);
    assert!(results["summary"]["pass"].as_u64().unwrap() <= 7);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_baseline_that_a_target_names_is_heeded_from_wherever_the_run_is_started() {
    let catalogue = Catalogue::embedded().unwrap();
    let partner = Partner::start(&catalogue.defect("data-ends-without-close-notify").unwrap().script.rules);
    let selector = "server/data/retr-close-notify@engine=rustls,transfer=LIST";
    let known = partner.folder.path().join("known.yaml");
    let written = partner.run("", &[selector, "-q", "--write-baseline", known.to_str().unwrap()]);
    assert_eq!(written.code, 1, "{}", written.stdout);
    let ran = partner.run("baseline: known.yaml", &[selector, "-q"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(partner.results()["summary"]["known"].as_u64().unwrap() > 0, "{}", ran.stdout);
}

#[test]
fn a_certificate_that_does_not_verify_ends_with_3_and_the_password_is_kept() {
    let partner = Partner::start(&[]);
    partner.write("ca.pem", &fs::read(partner.pki.dir().join("client-foreign.pem")).unwrap());
    let ran = partner.run("", &["-v"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("name the authority that signed its certificate"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("C> PASS"), "{}", ran.stdout);
    assert!(!(ran.stdout + &partner.results().to_string()).contains(PASSWORD));
}

/// How many scenarios came to a verdict, and how many there were.
pub fn scenarios_learnt_from(results: &Value) -> (usize, usize) {
    let mut learnt: Vec<_> = Vec::new();
    let mut all: Vec<_> = Vec::new();
    for result in results["results"].as_array().unwrap() {
        let id = result["id"].as_str().unwrap();
        all.push(id);
        if matches!(result["verdict"].as_str(), Some("pass" | "fail" | "warn")) {
            learnt.push(id);
        }
    }
    // Results stand by id.
    all.dedup();
    learnt.dedup();
    (learnt.len(), all.len())
}

struct Partner {
    server: ReferenceServer,
    pki: Arc<Pki>,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Partner {
    fn start(rules: &[Rule]) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let pki = Arc::new(Pki::cached().unwrap());
        let entered = runtime.enter();
        let server = ReferenceServer::start(ReferenceSettings {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            engine: Engine::Openssl,
            settings: ServerSettings::default(),
            rules: rules.to_vec(),
            user: "me".to_owned(),
            password: Secret::new(PASSWORD),
            pki: Arc::clone(&pki),
            limits: Limits::default(),
            log: None,
            version: None,
        });
        drop(entered);
        let partner = Self { server: server.unwrap(), pki, folder: tempfile::tempdir().unwrap(), _runtime: runtime };
        partner.write("ca.pem", &fs::read(partner.pki.dir().join("ca.pem")).unwrap());
        partner.write("password", format!("{PASSWORD}\n").as_bytes());
        partner
    }

    fn write(&self, name: &str, octets: &[u8]) {
        fs::write(self.folder.path().join(name), octets).unwrap();
    }

    /// The binary against the endpoint that the target describes; `more` stands at the file's end.
    fn run(&self, more: &str, arguments: &[&str]) -> Ran {
        let (versions, more) = if more == "tls-versions-follow" { (", versions: [\"1.3\"]", "") } else { ("", more) };
        let port = self.server.address().port();
        let target = format!(
            "title: Example partner\nserver: ftp://me@localhost:{port}\npassword: {{file: password}}\n\
             tls: {{ca-file: ca.pem{versions}}}\n{more}\n"
        );
        self.write("partner.yaml", target.as_bytes());
        let target = self.folder.path().join("partner.yaml");
        let json = self.json();
        let own = ["run", "-4", "--target", target.to_str().unwrap(), "--json", json.to_str().unwrap()];
        finished(&mut command(&[&own[..], arguments].concat()))
    }

    fn json(&self) -> PathBuf {
        self.folder.path().join("results.json")
    }

    fn results(&self) -> Value {
        serde_json::from_slice(&fs::read(self.json()).unwrap()).unwrap()
    }
}

const PASSWORD: &str = "an odd password";
