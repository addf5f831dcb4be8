//! Clients that are programs: what one says, keeps and ends with is told as it is, and nothing of it stays, however badly
//! it behaves.

#![allow(clippy::unwrap_used)] // in a test a panic is the message

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftpspec_peers::clients::{ClientProgram, Errand, How, Outcome, ProgramError};
use ftpspec_scenario::load_client_description;
use ftpspec_scenario::model::Source;
use ftpspec_transcript::Secret;
use rstest::rstest;

/// Nothing here takes so long unless it hangs.
const AMPLE: Duration = Duration::from_secs(60);

/// As short as a client may be given: what is to hang does so at once.
const SHORT: Duration = Duration::from_millis(300);

/// A client that is this shell script; its arguments are the action, the password, and for each file where it is on the
/// server and here.
fn client(folder: &Path, script: &str, limit: Duration) -> ClientProgram {
    fs::write(folder.join("client.sh"), script).unwrap();
    described(folder, r#"[sh, "${here}/client.sh", "${action}", "${password}"]"#, limit)
}

fn described(folder: &Path, common: &str, limit: Duration) -> ClientProgram {
    let files = r#"[["${remote}", "${local}"]]"#;
    let text = format!("title: a script\ncommon: {common}\nactions: {{login: [], get: {files}, put: {files}}}\n");
    let source = Arc::new(Source { name: "client.yaml".to_owned(), text });
    ClientProgram {
        description: load_client_description(&source).unwrap(),
        here: folder.to_owned(),
        certificates: folder.to_owned(),
        limit,
    }
}

fn errand(action: &str, files: &[&str]) -> Errand {
    Errand {
        action: action.to_owned(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
        port: 21,
        user: "me".to_owned(),
        password: Secret::new("sesame"),
    }
}

fn run(script: &str, limit: Duration, errand: &Errand) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    client(folder.path(), script, limit).run(errand, &AtomicBool::new(false)).unwrap()
}

#[rstest]
#[case("exit 0", How::Succeeded, "exit status: 0")]
#[case("exit 3", How::Failed, "exit status: 3")]
#[case("exit 77", How::Cannot, "exit status: 77")]
#[case("kill -SEGV $$", How::Crashed, "signal: 11")]
#[case("kill -KILL $$", How::Crashed, "signal: 9")]
fn how_a_client_ends_is_told(#[case] script: &str, #[case] how: How, #[case] status: &str) {
    let outcome = run(script, AMPLE, &errand("login", &[]));
    assert_eq!(outcome.how, how);
    assert!(outcome.status.starts_with(status), "{}", outcome.status);
}

#[test]
fn what_a_client_keeps_is_told_file_by_file() {
    // The first of two is fetched, and the second is not.
    let outcome = run("printf x > $4; echo \"$3\"; echo gone >&2", AMPLE, &errand("get", &["one-octet", "text"]));
    assert_eq!(outcome.how, How::Succeeded);
    assert_eq!(outcome.said, "fixtures/one-octet.bin\ngone");
    let [kept, lost] = &outcome.fetched[..] else { panic!("{:?}", outcome.fetched) };
    assert_eq!((kept.name.as_str(), kept.octets), ("one-octet", Some(1)));
    // SHA-256 of `x`.
    assert_eq!(kept.sha256, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    assert_eq!((lost.name.as_str(), lost.octets), ("text", None));
}

#[test]
fn what_a_client_is_to_store_lies_ready() {
    let outcome = run("echo $3; wc -c < $4; echo $HOME; pwd", AMPLE, &errand("put", &["size-16384"]));
    let said: Vec<_> = outcome.said.lines().collect();
    let [remote, octets, home, here] = said[..] else { panic!("{said:?}") };
    assert_eq!((remote, octets.trim()), ("scratch/size-16384.bin", "16384"));
    assert_eq!(home, here, "no configuration of the tester's own is read");
    assert_eq!(outcome.fetched, []);
}

#[test]
fn an_action_without_a_command_line_is_one_that_the_client_cannot_do() {
    assert_eq!(run("exit 0", AMPLE, &errand("ccc", &["text"])).how, How::Cannot);
}

#[test]
fn a_client_that_hangs_is_ended_with_all_its_children_even_those_that_do_not_heed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; sleep 1000 & echo $! > $(dirname $0)/child; wait; sleep 1000";
    let began = Instant::now();
    let outcome = client(folder.path(), script, SHORT).run(&errand("login", &[]), &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome.how, How::Hung);
    assert!(outcome.status.starts_with("signal: 9"), "{}", outcome.status);
    assert!(began.elapsed() < AMPLE);
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    assert!(is_gone(child.trim()), "its child {child} lives on");
}

#[test]
fn a_child_that_a_client_leaves_behind_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > $(dirname $0)/child; exit 0";
    let outcome = client(folder.path(), script, AMPLE).run(&errand("login", &[]), &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome.how, How::Succeeded);
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    assert!(is_gone(child.trim()), "its child {child} lives on");
}

#[test]
fn a_client_that_floods_its_output_is_ended() {
    let began = Instant::now();
    let outcome = run("yes 'more of it'", AMPLE, &errand("login", &[]));
    assert_eq!(outcome.how, How::Hung);
    assert!(outcome.said.lines().count() < 100 && outcome.said.len() < 10_000, "{} octets", outcome.said.len());
    assert!(began.elapsed() < AMPLE);
}

#[test]
fn a_client_is_ended_when_nobody_waits_for_it_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (program, ends) = (client(folder.path(), "sleep 1000", AMPLE), AtomicBool::new(false));
    let began = Instant::now();
    let outcome = thread::scope(|scope| {
        let running = scope.spawn(|| program.run(&errand("login", &[]), &ends));
        ends.store(true, Ordering::Relaxed);
        running.join().unwrap().unwrap()
    });
    assert_eq!(outcome.how, How::Hung);
    assert!(began.elapsed() < AMPLE);
}

#[test]
fn a_program_that_is_not_there_is_told_before_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    for common in ["[ftpspec-no-such-client]", r#"["${here}/client"]"#] {
        let missing = described(folder.path(), common, AMPLE);
        assert!(matches!(missing.is_there(), Err(ProgramError::NotFound(_))), "{common}");
        let ran = missing.run(&errand("login", &[]), &AtomicBool::new(false));
        assert!(matches!(ran, Err(ProgramError::Start { .. })), "{ran:?}");
    }
    client(folder.path(), "exit 1", AMPLE).is_there().unwrap();
}

#[test]
fn a_version_is_the_first_line_that_says_something() {
    let folder = tempfile::tempdir().unwrap();
    let text = "title: a script\nversion: [sh, -c, 'echo; echo client 1.2; echo more']\nactions: {}\n";
    let source = Arc::new(Source { name: "client.yaml".to_owned(), text: text.to_owned() });
    let description = load_client_description(&source).unwrap();
    let program = ClientProgram { description, ..client(folder.path(), "exit 0", AMPLE) };
    assert_eq!(program.version().as_deref(), Some("client 1.2"));
}

/// A signal that cannot be ignored takes a moment all the same; a process that nobody has reaped yet is gone too.
fn is_gone(id: &str) -> bool {
    let began = Instant::now();
    let lives = || {
        let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
    };
    while lives() && began.elapsed() < AMPLE {
        thread::yield_now();
    }
    !lives()
}
