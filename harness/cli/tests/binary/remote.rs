//! A server given by its URL: whom it is trusted to be, and who gets the password. The server is the embedded reference,
//! which the binary knows nothing of.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ftpspec::{Engine, Limits, Secret};
use ftpspec_peers::pki::Pki;
use ftpspec_peers::reference::{ReferenceServer, ReferenceSettings};
use ftpspec_scenario::model::Capability;
use ftpspec_scenario::settings::ServerSettings;
use serde_json::Value;

use super::program::{Ran, command, finished};

#[test]
fn a_server_of_the_users_own_is_tested_by_its_url() {
    let server = Server::start(&[]);
    let ca = server.ca();
    let ran = server.run("ftp://me@localhost", "a password", &["--ca-file", &ca]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(server.results()["subject"]["name"], "localhost");
    let passed = server.results()["summary"]["pass"].as_u64().unwrap();
    assert!(passed > 0, "{}", ran.stdout);
    assert!(!server.evidence(&ran).contains("a password"), "nowhere is it shown");
}

#[test]
fn a_server_with_implicit_tls_is_tested_by_its_url() {
    let server = Server::start(&[Capability::ImplicitTls]);
    let ca = server.ca();
    let ran = server.run("ftps://me@localhost", "a password", &["--ca-file", &ca]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_server_whose_certificate_is_not_trusted_ends_with_3_and_gets_no_password() {
    let server = Server::start(&[]);
    let ran = server.run("ftp://me@localhost", "a password", &[]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("no session came about"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("PASS"), "{}", ran.stdout);
}

#[test]
fn insecure_is_a_warning_and_lets_anybody_be_tested() {
    let server = Server::start(&[]);
    let ran = server.run("ftp://me@localhost", "a password", &["--insecure"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.starts_with("warning: --insecure: "), "{}", ran.stderr);
}

#[test]
fn a_refused_login_ends_with_3() {
    let server = Server::start(&[]);
    let ca = server.ca();
    let ran = server.run("ftp://me@localhost", "another password", &["--ca-file", &ca]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(!server.evidence(&ran).contains("another password"));
}

#[test]
fn another_address_can_be_connected_to_than_the_one_that_is_named() {
    let server = Server::start(&[]);
    let (ca, place) = (server.ca(), server.server.address().to_string());
    // The certificate is for `localhost`, which would lead to port 21.
    let arguments = ["run", SELECTOR, "-q", "--server", "ftp://localhost", "--ca-file", &ca, "--connect-to", &place];
    let ran = finished(&mut command(&arguments));
    // Without a password the selected scenario is skipped, and the probe reached the server.
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
}

struct Server {
    server: ReferenceServer,
    pki: Arc<Pki>,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(provides: &[Capability]) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let pki = Arc::new(Pki::cached().unwrap());
        let entered = runtime.enter();
        let server = ReferenceServer::start(ReferenceSettings {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            engine: Engine::Openssl,
            settings: ServerSettings::of(provides, &[]).unwrap(),
            rules: Vec::new(),
            user: "me".to_owned(),
            password: Secret::new("a password"),
            pki: Arc::clone(&pki),
            limits: Limits::default(),
            log: None,
            version: None,
        });
        drop(entered);
        Self { server: server.unwrap(), pki, folder: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    /// The binary against this server; its certificate is for `localhost`.
    fn run(&self, url: &str, password: &str, arguments: &[&str]) -> Ran {
        let secret = self.folder.path().join("password");
        fs::write(&secret, format!("{password}\n")).unwrap();
        let (secret, json) = (secret.to_str().unwrap().to_owned(), self.json().to_str().unwrap().to_owned());
        let url = format!("{url}:{}", self.server.address().port());
        let own = ["run", SELECTOR, "-v", "--server", &url, "--password-file", &secret, "--json", &json];
        finished(&mut command(&[&own[..], arguments].concat()))
    }

    fn json(&self) -> PathBuf {
        self.folder.path().join("results.json")
    }

    fn results(&self) -> Value {
        serde_json::from_slice(&fs::read(self.json()).unwrap()).unwrap()
    }

    /// All that a run left for people to read.
    fn evidence(&self, ran: &Ran) -> String {
        ran.stdout.clone() + &ran.stderr + &fs::read_to_string(self.json()).unwrap()
    }

    fn ca(&self) -> String {
        self.pki.dir().join("ca.pem").to_str().unwrap().to_owned()
    }
}

/// Needs a login, and only reads.
const SELECTOR: &str = "server/data/retr-close-notify";
