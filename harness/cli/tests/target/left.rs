//! A session of the probe that a signal cuts short: the endpoint is left in order, inside TLS too.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ftpspec_peers::pki::Pki;
use rustix::process::{Pid, Signal, kill_process};

use super::front::{Front, PASSWORD, server};
use super::program::command;

#[test]
fn a_signal_in_the_midst_of_the_probe_ends_its_session_with_close_notify_and_fin() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pki = Arc::new(Pki::cached().unwrap());
    let entered = runtime.enter();
    let slow = server(&pki, "- {on: EPSV, script: [pause: 60s]}");
    drop(entered);
    let place = slow.address();
    let front = Front::before(move |_| place);
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let (url, ca) = (format!("ftp://me@localhost:{}", front.port), pki.dir().join("ca.pem"));
    let [password, ca] = [&password, &ca].map(|path| path.to_str().unwrap());
    let mut run = command(&["run", "-4", "--server", &url, "--password-file", password, "--ca-file", ca]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while slow.fired() == 0 {
        assert!(began.elapsed() < PATIENCE, "it does not ask");
        thread::yield_now();
    }
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let (_, octets, ended) = front.heard.iter().find(|(index, ..)| *index == LOGIN).unwrap();
    ended.expect("no reset");
    // The probe speaks TLS 1.2 first, where the type of a record can be seen: 21 is an alert.
    assert_eq!(types_of_records(&octets).last(), Some(&21), "{octets:?}");
}

/// Of the TLS records that follow the last line in the clear.
fn types_of_records(octets: &[u8]) -> Vec<u8> {
    const CLEAR: &[u8] = b"AUTH TLS\r\n";
    let begin = octets.windows(CLEAR.len()).position(|window| window == CLEAR).unwrap() + CLEAR.len();
    let mut rest = &octets[begin..];
    let mut types = Vec::new();
    while let [kind, _, _, high, low, after @ ..] = rest {
        types.push(*kind);
        rest = &after[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    types
}

/// Before it the probe has heard the greeting, and shaken hands.
const LOGIN: usize = 2;

/// A start of the binary on a machine that is busy building.
const PATIENCE: Duration = Duration::from_secs(60);
