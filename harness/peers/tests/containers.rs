//! Peers in containers, with a real engine. Without one these tests say `skipped: …` and pass, unless
//! `FTPSPEC_REQUIRE_CONTAINERS=1` says that this machine is meant to have one.
#![cfg(feature = "containers")]
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may the functions that it calls")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ftpspec_peers::containers::{
    ContainerError, DEFAULT_SUITE, PeerImage, RunningPeer, StartOptions, build, engine_version, start, sweep,
};
use ftpspec_peers::pki::Pki;
use rstest::rstest;

#[tokio::test(flavor = "multi_thread")]
async fn vsftpd_answers_220_on_its_own_loopback_address() {
    let Some(image) = image_or_skip("vsftpd").await else { return };
    let (first, second) = (started(&image, "lax").await, started(&image, "lax").await);
    assert_ne!(first.address().ip(), second.address().ip());
    assert_eq!(first.address().port(), second.address().port());
    for peer in [&first, &second] {
        assert!(matches!(peer.address().ip(), IpAddr::V4(address) if address.octets()[..2] == [127, 1]));
        assert!(dialogue(peer, &[])[0].starts_with("220 "));
        assert!(peer.version().is_some_and(|version| version.starts_with("3.0.")), "{:?}", peer.version());
    }
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_configuration_greets_and_keeps_a_log(
    #[values("vsftpd", "proftpd")] peer: &str,
    #[values("lax", "strict", "client-certificate", "implicit", "narrow")] configuration: &str,
) {
    greets_and_keeps_a_log(peer, configuration).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn s_server_greets_and_keeps_a_log(#[values("explicit", "implicit")] configuration: &str) {
    greets_and_keeps_a_log("openssl", configuration).await;
}

async fn greets_and_keeps_a_log(peer: &str, configuration: &str) {
    let Some(image) = image_or_skip(peer).await else { return };
    let running = started(&image, configuration).await;
    // Behind implicit TLS the start itself has seen the greeting; a dialogue would need a TLS client here.
    if configuration != "implicit" {
        let replies = dialogue(&running, &["NOOP", "QUIT"]);
        assert!(replies[0].starts_with("220 ") && replies[2].starts_with("221 "), "{replies:?}");
        let logs = running.logs().await.unwrap();
        assert!(logs.contains("NOOP"), "{logs}");
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s_server_ends_with_its_session() {
    let Some(image) = image_or_skip("openssl").await else { return };
    let running = started(&image, "explicit").await;
    // It waits for a ClientHello, until the client is gone.
    let session = handed_to_s_server(&running);
    assert!(processes(running.id()).contains("openssl s_server"), "{}", processes(running.id()));
    drop(session);
    // It meets what is no TLS, and closes first.
    let mut session = handed_to_s_server(&running);
    session.write_all(b"NOOP\r\nSYST\r\nNOOP\r\n").unwrap();
    session.read_to_end(&mut Vec::new()).unwrap();
    drop(session);
    // Nothing but tini and the script in front, without a session.
    assert!(comes_to_be(|| processes(running.id()).lines().count() == 2), "{}", processes(running.id()));
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_peer_leaves_no_container() {
    let Some(image) = image_or_skip("vsftpd").await else { return };
    let peer = started(&image, "lax").await;
    let id = peer.id().to_owned();
    assert!(is_there(&id));
    drop(peer);
    assert!(!is_there(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn container_of_a_killed_owner_is_swept() {
    let Some(image) = image_or_skip("vsftpd").await else { return };
    let ours = started(&image, "lax").await;
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_owner_that_is_killed", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let theirs = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().split_once(STARTED).map(|(_, id)| id.to_owned()))
        .expect("the owner tells what it started");

    assert!(!sweep().await.unwrap().contains(&theirs), "its owner lives");
    assert!(is_there(&theirs));
    owner.kill().unwrap();
    owner.wait().unwrap();
    sweep().await.unwrap();
    assert!(goes_away(&theirs), "its owner is dead");
    assert!(is_there(ours.id()), "its owner is this test");
    ours.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "played by container_of_a_killed_owner_is_swept, which kills it"]
async fn an_owner_that_is_killed() {
    let image = PeerImage::built_here("vsftpd", DEFAULT_SUITE);
    let peer = started(&image, "lax").await;
    println!("{STARTED}{}", peer.id());
    std::io::stdout().flush().unwrap();
    // Until the parent kills us, or ends itself.
    let _ = std::io::stdin().read(&mut [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_never_pulled() {
    if !engine_or_skip().await {
        return;
    }
    let image = PeerImage::built_here("vsftpd", "nosuchsuite");
    let dir = tempfile::tempdir().unwrap();
    let error = start(&image, &StartOptions::new("lax", dir.path(), dir.path())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the image localhost/ftpspec-vsftpd:nosuchsuite is not there: ftpspec peers build vsftpd@nosuchsuite"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_cannot_start_tells_why() {
    let Some(image) = image_or_skip("proftpd").await else { return };
    let error = try_start(&image, "nosuch").await.unwrap_err();
    assert!(matches!(error, ContainerError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("/ftpspec/configurations/nosuch: No such file"), "{error}");
}

async fn started(image: &PeerImage, configuration: &str) -> RunningPeer {
    try_start(image, configuration).await.unwrap()
}

async fn try_start(image: &PeerImage, configuration: &str) -> Result<RunningPeer, ContainerError> {
    let pki = Pki::cached().unwrap();
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("small.txt"), "hello\n").unwrap();
    let mut options = StartOptions::new(configuration, pki.dir(), files.path());
    options.run = "tests".to_owned();
    options.implicit_tls = configuration == "implicit";
    options.log = Some(log_of(image).to_owned());
    // The peer copies its files before it greets: the folder may go.
    start(image, &options).await
}

fn log_of(image: &PeerImage) -> &'static str {
    match image.embedded_peer() {
        Some("proftpd") => "/var/log/proftpd/proftpd.log",
        Some("openssl") => "/var/log/s_server.log",
        _ => "/var/log/vsftpd.log",
    }
}

/// The greeting, and the reply to each command.
fn dialogue(peer: &RunningPeer, commands: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(peer.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let mut replies = vec![lines.next().unwrap()];
    for command in commands {
        write!(stream, "{command}\r\n").unwrap();
        replies.push(lines.next().unwrap());
    }
    replies
}

/// A control connection on which the next octet from either side is TLS.
fn handed_to_s_server(peer: &RunningPeer) -> TcpStream {
    let mut stream = TcpStream::connect(peer.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"AUTH TLS\r\n").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("220 "));
    assert!(lines.next().unwrap().starts_with("234 "));
    stream
}

/// The command lines of a container's processes, one in a line.
fn processes(id: &str) -> String {
    let listed = Command::new("docker").args(["top", id, "-o", "pid,args"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().skip(1).map(|line| format!("{line}\n")).collect()
}

fn is_there(id: &str) -> bool {
    let inspected = Command::new("docker").args(["inspect", id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    inspected.unwrap().success()
}

/// Another test may have begun to sweep at the same moment, and not be done: what counts is that the container goes.
fn goes_away(id: &str) -> bool {
    comes_to_be(|| !is_there(id))
}

fn comes_to_be(it: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !it() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

async fn engine_or_skip() -> bool {
    match engine_version().await {
        Ok(_) => true,
        Err(error) => skip(&error),
    }
}

/// The peer's image, built now if this machine has to have it.
async fn image_or_skip(peer: &str) -> Option<PeerImage> {
    if !engine_or_skip().await {
        return None;
    }
    let image = PeerImage::built_here(peer, DEFAULT_SUITE);
    let inspected = Command::new("docker").args(["image", "inspect", &image.to_string()]).output().unwrap();
    if inspected.status.success() {
        return Some(image);
    }
    if !required() {
        skip(&ContainerError::NoImage { image });
        return None;
    }
    Some(build(peer, DEFAULT_SUITE).await.unwrap())
}

fn skip(why: &ContainerError) -> bool {
    assert!(!required(), "{why}");
    println!("skipped: {why}");
    false
}

fn required() -> bool {
    std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1")
}

const STARTED: &str = "started ";
