//! Peers in containers, as a person starts and leaves them. Where no engine answers, or the image was not built, these
//! tests pass without a look, unless `FTPSPEC_REQUIRE_CONTAINERS=1` says that there must be one.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use ftpspec_peers::containers::{DEFAULT_SUITE, PeerImage, found, has_image};
use rustix::process::{Pid, Signal, kill_process};

use super::program::{command, ran};

#[test]
fn a_peer_that_is_up_can_be_met_and_is_gone_after_ctrl_c() {
    if !have("vsftpd") {
        return;
    }
    let (mut child, mut told) = Started::new(&["peers", "up", "vsftpd", "--configuration", "strict"]);
    let url = line_with(&mut told, "url");
    let place = url.rsplit('@').next().unwrap().trim().to_owned();
    line_with(&mut told, "Ctrl-C");

    let mut greeting = [0; 4];
    TcpStream::connect(&place).unwrap().read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ");
    let logs = ran(&["peers", "logs", "vsftpd"]);
    assert_eq!(logs.code, 0, "{}", logs.stderr);
    assert!(logs.stdout.contains("localhost/ftpspec-vsftpd:bookworm"), "{}", logs.stdout);

    child.interrupt();
    assert_eq!(child.code(), Some(0));
    assert_eq!(child.containers(), 0);
}

#[test]
fn an_interrupted_run_leaves_no_container() {
    if !have("vsftpd") {
        return;
    }
    let (mut child, mut told) = Started::new(&["run", "server/data", "--server", "peer:vsftpd"]);
    line_with(&mut told, "variants");
    child.interrupt();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.code(), Some(130), "{rest}");
    assert_eq!(child.containers(), 0);
}

#[test]
fn a_finding_brings_what_the_server_in_the_container_wrote_of_this_session_alone() {
    if !have("vsftpd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    let selector = "server/control/quit-close-notify@engine=rustls,version=1.2,session=logged-in";
    let ran = ran(&["run", selector, "--server", "peer:vsftpd", "--json", json.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "vsftpd ends without close_notify: {}{}", ran.stdout, ran.stderr);
    let results: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let address = results["subject"]["address"].as_str().unwrap();
    assert!(address.starts_with("127.1.") && address.ends_with(":2121") && address != "127.1.0.0:2121", "{address}");
    let log = &results["results"][0]["server_log"];
    let lines: Vec<_> = log["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    // The probe's sessions were logged as well, before.
    assert_eq!(lines.iter().filter(|line| line.contains(" CONNECT: ")).count(), 1, "{lines:#?}");
    assert!(lines[0].contains(" CONNECT: ") && lines.iter().any(|line| line.contains("\"QUIT\"")), "{lines:#?}");
    assert_eq!(log["shared"], false);
}

#[test]
fn a_peer_is_met_over_ipv6() {
    if !have("vsftpd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    let arguments = ["run", "-6", "server/auth/tls-handshake", "--server", "peer:vsftpd", "--json"];
    let ran = ran(&[&arguments[..], &[json.to_str().unwrap()]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let results: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let address = results["subject"]["address"].as_str().unwrap();
    assert!(address.starts_with("[::1]:") && address != "[::1]:0", "{address}");
    assert!(results["summary"]["pass"].as_u64().unwrap() > 0, "{results}");
}

#[test]
fn the_list_of_peers_names_their_configurations() {
    let ran = ran(&["peers"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for said in
        ["peer:vsftpd\n", "peer:proftpd\n", "peer:openssl\n", "  explicit ", "  strict ", "reuse-demanded", "  images "]
    {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
}

/// A command that goes on until it is told to end; a test that fails before that ends it too.
struct Started(Child);

impl Started {
    fn new(arguments: &[&str]) -> (Self, BufReader<ChildStdout>) {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        (Self(child), told)
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
    }

    fn code(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }

    fn containers(&self) -> usize {
        let all = runtime().block_on(found()).unwrap();
        all.iter().filter(|peer| peer.process == Some(self.0.id())).count()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended already where the test went well. What a killed one leaves, the next start removes.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn line_with(told: &mut impl std::io::BufRead, word: &str) -> String {
    told.by_ref().lines().map_while(Result::ok).find(|line| line.contains(word)).expect("it says so")
}

pub(super) fn have(image: &str) -> bool {
    let image = PeerImage::built_here(image, DEFAULT_SUITE);
    let required = std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1");
    match runtime().block_on(has_image(&image)) {
        Ok(true) => true,
        there_or_not => {
            assert!(!required, "{image}: {there_or_not:?}");
            false
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}
