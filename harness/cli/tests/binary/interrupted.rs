//! A run that is ended by a signal: its status, and its reports.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

use super::program::{Ran, command};
use super::reports::cases_and_failures;

#[rstest]
#[case(Signal::INT, 130)]
#[case(Signal::TERM, 143)]
fn a_signal_ends_a_run_in_good_order(#[case] signal: Signal, #[case] code: i32) {
    let server = TurnsSilent::after(CONNECTIONS_OF_THE_PROBE);
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let child = against(&server, &["server/auth/garbage-instead-of-client-hello", "--junit", junit.to_str().unwrap()]);
    server.is_silent();
    let ran = signalled(child, signal);
    assert_eq!(ran.code, code, "{}", ran.stdout);
    assert!(ran.stdout.contains("a signal ended the run early"), "{}", ran.stdout);
    cases_and_failures(&fs::read_to_string(junit).unwrap());
}

#[test]
fn a_signal_while_the_subject_is_looked_at_ends_in_good_order_too() {
    let server = TurnsSilent::after(0);
    let folder = tempfile::tempdir().unwrap();
    let (junit, json) = (folder.path().join("junit.xml"), folder.path().join("results.json"));
    let files = ["--junit", junit.to_str().unwrap(), "--json", json.to_str().unwrap()];
    let child = against(&server, &files);
    server.is_silent();
    let ran = signalled(child, Signal::INT);
    assert_eq!(ran.code, 130, "{}", ran.stdout);
    cases_and_failures(&fs::read_to_string(junit).unwrap());
    let results: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(results["interrupted"], "interrupt");
}

#[test]
fn a_signal_while_the_subject_is_looked_at_does_not_break_off_its_session() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, asked) = mpsc::channel();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 Here\r\n").unwrap();
        let mut heard = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut line = String::new();
            heard.read_line(&mut line).unwrap();
            if line.starts_with("AUTH") {
                break;
            }
            stream.write_all(b"502 Unknown\r\n").unwrap();
        }
        sender.send(()).unwrap();
        // No answer; a reset would be an error here.
        let mut rest = String::new();
        heard.read_to_string(&mut rest).map(|_| rest)
    });
    let url = format!("ftp://127.0.0.1:{port}");
    let mut run = command(&["run", "--server", &url, "--insecure"]);
    let child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    asked.recv_timeout(PATIENCE).unwrap();
    let ran = signalled(child, Signal::INT);
    assert_eq!(ran.code, 130, "{}", ran.stdout);
    assert_eq!(server.join().unwrap().unwrap(), "QUIT\r\n");
}

#[test]
fn a_conversation_that_hangs_is_shown_while_it_hangs() {
    let server = TurnsSilent::within(CONNECTIONS_OF_THE_PROBE);
    let mut run = against(&server, &["server/auth/tls-handshake@engine=rustls,version=1.3", "-v"]);
    server.is_silent();
    let (sender, shown) = mpsc::channel();
    let stdout = BufReader::new(run.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.starts_with("  control  C> client_hello")) {
        // The limit of the handshake is ten seconds: what comes before it comes while the server hangs.
        let line = shown.recv_timeout(Duration::from_secs(8)).unwrap_or_else(|error| panic!("{error}: {lines:?}"));
        lines.push(line);
    }
    assert!(run.try_wait().unwrap().is_none(), "it waits for the server");
    let from = lines.iter().position(|line| line.starts_with("server/auth/tls-handshake@")).unwrap();
    let told: Vec<_> = lines[from + 2..].iter().map(|line| line.chars().take(26).collect::<String>()).collect();
    assert_eq!(
        told,
        ["  control  <S 220 Here", "  control  C> AUTH TLS", "  control  <S 234 Go on", "  control  C> client_hello"]
    );
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let rest: Vec<String> = shown.iter().collect();
    assert!(!rest.iter().any(|line| line.contains("C> AUTH") || line.contains("client_hello")), "once: {rest:?}");
}

fn against(server: &TurnsSilent, arguments: &[&str]) -> Child {
    let url = format!("ftp://127.0.0.1:{}", server.port);
    let all = [&["run", "--server", &url, "--insecure", "--allow", "intrusive"], arguments].concat();
    command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signalled(child: Child, signal: Signal) -> Ran {
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A server that offers TLS and then refuses it, knows no other command, and after some connections says nothing at all.
struct TurnsSilent {
    port: u16,
    silent: mpsc::Receiver<()>,
}

impl TurnsSilent {
    fn after(talks: usize) -> Self {
        Self::new(talks, Ok)
    }

    /// As `after`, but those that it says no more to have been let into a handshake.
    fn within(talks: usize) -> Self {
        Self::new(talks, |mut stream| {
            stream.write_all(b"220 Here\r\n")?;
            BufReader::new(stream.try_clone()?).read_line(&mut String::new())?;
            stream.write_all(b"234 Go on\r\n")?;
            Ok(stream)
        })
    }

    fn new(talks: usize, before: fn(TcpStream) -> io::Result<TcpStream>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, silent) = mpsc::channel();
        std::thread::spawn(move || {
            // Held open, so that whoever waits for a greeting goes on waiting.
            let mut held = Vec::new();
            for (index, stream) in listener.incoming().flatten().enumerate() {
                if index < talks {
                    std::thread::spawn(move || refuses(stream));
                } else {
                    held.push(before(stream));
                    // A test that has seen enough listens no more.
                    _ = sender.send(());
                }
            }
        });
        Self { port, silent }
    }

    /// Waits until somebody is kept waiting.
    fn is_silent(&self) {
        self.silent.recv_timeout(PATIENCE).expect("it connects");
    }
}

fn refuses(mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    _ = stream.write_all(b"220 Here\r\n");
    for line in lines.map_while(Result::ok) {
        let reply: &[u8] = if line.starts_with("AUTH") { b"534 Not now\r\n" } else { b"502 Unknown\r\n" };
        if stream.write_all(reply).is_err() {
            return;
        }
    }
}

/// The greeting, and one look for each TLS version.
const CONNECTIONS_OF_THE_PROBE: usize = 3;

/// A start of the binary on a machine that is busy building.
const PATIENCE: Duration = Duration::from_secs(60);
