//! A run that is ended from outside, at whatever moment: it ends soon and with the status that belongs to the signal, its
//! reports are whole or not there, and nothing of it is left running. What a killed run could not clear away, the next
//! one does.

#![allow(clippy::unwrap_used)] // in a test a panic is the message

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ftpspec_results::{Journal, Results};
use quick_xml::Reader;
use quick_xml::events::Event;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};
use tempfile::TempDir;

#[rstest]
#[case(Signal::INT, 130)]
#[case(Signal::TERM, 143)]
fn a_signal_at_any_moment_ends_a_run_soon_with_whole_reports_and_nothing_left(
    #[case] signal: Signal,
    #[case] code: i32,
) {
    for moment in moments() {
        let run = Run::start(&["server"]);
        run.has_begun();
        thread::sleep(moment);
        let (status, folder) = run.ended_by(signal);
        // Whoever is done is done.
        assert!(status.code() == Some(code) || status.code() == Some(0), "{status:?} {moment:?}");
        let results = results(&folder).unwrap();
        assert_eq!(results.interrupted.is_some(), status.code() == Some(code), "{moment:?}");
        assert_well_formed(&fs::read_to_string(folder.path().join(JUNIT)).unwrap());
        assert_eq!(Journal::read(folder.path().join(JOURNAL)).map(|replay| replay.cut).ok(), Some(false), "{moment:?}");
    }
}

#[test]
fn a_run_that_is_killed_leaves_no_half_of_a_report_and_the_next_one_does_not_mind() {
    for moment in moments() {
        let run = Run::start(&["server"]);
        run.has_begun();
        thread::sleep(moment);
        let (_, folder) = run.ended_by(Signal::KILL);
        // Either it had come to its end, or there is none.
        if folder.path().join(JUNIT).exists() {
            assert_well_formed(&fs::read_to_string(folder.path().join(JUNIT)).unwrap());
        }
        if folder.path().join(JSON).exists() {
            results(&folder).unwrap();
        }
        if folder.path().join(JOURNAL).exists() {
            // The last line may be cut; what stands before it reads back.
            Journal::read(folder.path().join(JOURNAL)).unwrap();
        }
    }
    let next = Run::start(&["server/data/retr-empty-file"]);
    let (status, folder) = next.ended();
    assert_eq!(status.code(), Some(0));
    assert_eq!(results(&folder).unwrap().interrupted, None);
}

#[test]
fn whoever_asks_again_does_not_wait_for_a_polite_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ftp://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (sender, silent) = mpsc::channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for (index, stream) in listener.incoming().flatten().enumerate() {
            if index < CONNECTIONS_OF_THE_PROBE {
                thread::spawn(move || knows_nothing(stream));
            } else {
                held.push(stream);
                _ = sender.send(());
            }
        }
    });
    let mut run = Run::start(&["server/auth/garbage-instead-of-client-hello", "--server", &url, "--insecure"]);
    silent.recv_timeout(PATIENCE).unwrap();
    let began = Instant::now();
    while run.child.try_wait().unwrap().is_none() {
        run.signal(Signal::INT);
        thread::sleep(AGAIN);
    }
    // A server that says nothing would be waited for.
    assert!(began.elapsed() < POLITE, "it took {:?}", began.elapsed());
    assert_eq!(run.ended().0.code(), Some(130));
}

/// What a client has started goes with the run, though it has made itself a session of its own.
#[rstest]
#[case(Signal::INT, 130)]
#[case(Signal::TERM, 143)]
fn a_run_that_is_ended_while_a_client_is_at_work_leaves_nothing_of_that(#[case] signal: Signal, #[case] code: i32) {
    let client = WildClient::describe("");
    let run = client.at_work();
    let (status, folder) = run.ended_by(signal);
    assert_eq!(status.code(), Some(code));
    assert_eq!(client.alive(), Vec::<String>::new());
    assert!(results(&folder).unwrap().interrupted.is_some());
}

#[test]
fn what_a_client_of_a_killed_run_has_left_is_ended_by_the_next_run() {
    let client = WildClient::describe("");
    let (status, _) = client.at_work().ended_by(Signal::KILL);
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    // Who asks for nothing has its client started all the same.
    let next = WildClient::describe("");
    let (status, _) = next.at_work().ended_by(Signal::INT);
    assert_eq!(status.code(), Some(130));
    assert_eq!(client.alive(), Vec::<String>::new());
}

/// A client that leaves a daemon behind, heeds no signal that can be ignored, and never ends.
struct WildClient {
    folder: TempDir,
    /// What stands in the command line of each of its processes, and in no other.
    word: String,
}

impl WildClient {
    fn describe(place: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let word = format!("ftpspec-wild-client-{:016x}", RandomState::new().build_hasher().finish());
        let script = format!(
            "trap '' TERM INT HUP\nsetsid sh -c 'while :; do sleep 1; done' {word} &\nwhile :; do sleep 1; done\n"
        );
        fs::write(folder.path().join("client.sh"), script).unwrap();
        let description = format!(
            "title: a wild client\n{place}common: [sh, \"${{here}}/client.sh\", {word}]\nactions: {{login: []}}\n\
             demands: {{control: TLS}}\n"
        );
        fs::write(folder.path().join("client.yaml"), description).unwrap();
        Self { folder, word }
    }

    /// A run in which it is asked for something, and its daemon is up.
    fn at_work(&self) -> Run {
        let description = self.folder.path().join("client.yaml");
        let run = Run::start(&[
            "client/auth/tls-handshake@engine=rustls,version=1.3",
            "--client",
            &description.to_string_lossy(),
        ]);
        let began = Instant::now();
        while !self.processes().iter().any(|line| line.contains("while")) {
            assert!(began.elapsed() < PATIENCE, "it does not begin");
            thread::yield_now();
        }
        run
    }

    /// What is left of it; what cannot be ignored takes a moment all the same.
    fn alive(&self) -> Vec<String> {
        let began = Instant::now();
        loop {
            let found = self.processes();
            if found.is_empty() || began.elapsed() > SOON {
                return found;
            }
            thread::yield_now();
        }
    }

    /// Its processes, wherever they run.
    fn processes(&self) -> Vec<String> {
        let lines = fs::read_dir("/proc").unwrap().flatten();
        let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        // The engine's program, which starts it, is none of it.
        lines.filter(|line| line.contains(&self.word) && line.starts_with("sh\0")).collect()
    }
}

fn knows_nothing(mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    _ = stream.write_all(b"220 Here\r\n");
    for _ in lines.map_while(Result::ok) {
        if stream.write_all(b"534 Not now\r\n").is_err() {
            return;
        }
    }
}

#[cfg(feature = "containers")]
mod containers {
    use super::*;
    use ftpspec_peers::containers::{DEFAULT_SUITE, PeerImage, found, has_image};

    #[test]
    fn a_terminated_run_leaves_no_container() {
        if !have("vsftpd") {
            return;
        }
        for moment in moments().into_iter().step_by(4) {
            let run = Run::start(&["server/data", "--server", "peer:vsftpd"]);
            let id = run.child.id();
            run.has_begun();
            thread::sleep(moment);
            let (status, _) = run.ended_by(Signal::TERM);
            assert_eq!(status.code(), Some(143), "{moment:?}");
            assert_eq!(of_process(id), 0, "{moment:?}");
        }
    }

    #[test]
    fn what_a_killed_run_leaves_is_swept_at_the_next_start() {
        if !have("vsftpd") {
            return;
        }
        let run = Run::start(&["server/data", "--server", "peer:vsftpd"]);
        let id = run.child.id();
        let began = Instant::now();
        while of_process(id) == 0 {
            assert!(began.elapsed() < PATIENCE, "no container came up");
        }
        run.ended_by(Signal::KILL);
        assert!(of_process(id) > 0, "nobody was there to remove it");
        let (status, _) = Run::start(&["server/data/retr-empty-file@engine=rustls", "--server", "peer:vsftpd"]).ended();
        assert_eq!(status.code(), Some(0));
        assert_eq!(of_process(id), 0);
    }

    #[rstest]
    #[case(Signal::INT)]
    #[case(Signal::TERM)]
    // Nobody is there to remove the container: it ends because nobody is there.
    #[case(Signal::KILL)]
    fn a_run_that_is_ended_while_a_client_is_at_work_leaves_neither_it_nor_its_container(#[case] signal: Signal) {
        if !have("clients") {
            return;
        }
        let client = WildClient::describe(&format!("container: localhost/ftpspec-clients:{DEFAULT_SUITE}\n"));
        let run = client.at_work();
        let id = run.child.id();
        assert_eq!(of_process(id), 1);
        run.ended_by(signal);
        assert_eq!(client.alive(), Vec::<String>::new());
        let began = Instant::now();
        while of_process(id) > 0 {
            assert!(signal == Signal::KILL && began.elapsed() < SOON, "its container is left");
        }
    }

    fn of_process(id: u32) -> usize {
        runtime().block_on(found()).unwrap().iter().filter(|peer| peer.process == Some(id)).count()
    }

    /// Where no engine answers, or the image was not built, these tests pass without a look, unless
    /// `FTPSPEC_REQUIRE_CONTAINERS=1` says that there must be one.
    fn have(image: &str) -> bool {
        let there = runtime().block_on(has_image(&PeerImage::built_here(image, DEFAULT_SUITE)));
        let required = std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1");
        assert!(!required || matches!(there, Ok(true)), "{there:?}");
        matches!(there, Ok(true))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Runtime::new().unwrap()
    }
}

/// A run with all its reports in a folder of its own, and in a process group of its own.
struct Run {
    child: Child,
    folder: TempDir,
}

impl Run {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ftpspec"))
            .arg("run")
            .args(arguments)
            .args(["-q", "--junit", JUNIT, "--json", JSON, "--journal", JOURNAL])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// Waits until it listens for signals, which it does before it opens its journal.
    fn has_begun(&self) {
        let began = Instant::now();
        while !self.folder.path().join(JOURNAL).exists() {
            assert!(began.elapsed() < PATIENCE, "it does not begin");
            thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended_by(self, signal: Signal) -> (ExitStatus, TempDir) {
        // One that has just ended is still there to be waited for.
        self.signal(signal);
        let (began, ended) = (Instant::now(), self.ended());
        assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
        ended
    }

    fn ended(mut self) -> (ExitStatus, TempDir) {
        let status = self.child.wait().unwrap();
        let group = Pid::from_child(&self.child);
        assert!(test_kill_process_group(group).is_err(), "something of it is still running");
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let name = entry.unwrap().file_name();
            let killed = status.signal() == Some(Signal::KILL.as_raw());
            assert!(killed || [JUNIT, JSON, JOURNAL].iter().any(|report| name == *report), "{name:?} is left");
        }
        (status, self.folder)
    }
}

fn results(folder: &TempDir) -> Option<Results> {
    let path: &Path = folder.path();
    serde_json::from_slice(&fs::read(path.join(JSON)).ok()?).ok()
}

fn assert_well_formed(text: &str) {
    let mut reader = Reader::from_str(text);
    let mut open = 0_usize;
    loop {
        match reader.read_event().unwrap() {
            Event::Start(_) => open += 1,
            Event::End(_) => open -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open == 0 && text.contains("<testsuites"), "{text}");
}

/// Moments from the first octet to the midst of the run, none twice the same from run to run.
fn moments() -> Vec<Duration> {
    let chance = RandomState::new();
    let drawn = |latest: u64| {
        let mut hasher = chance.build_hasher();
        hasher.write_u64(latest);
        Duration::from_micros(hasher.finish() % (latest * 1000))
    };
    // Most of what begins and ends does so early.
    [2, 5, 10, 20, 50, 100, 200, 400, 800, 1600, 2400].map(drawn).to_vec()
}

const JUNIT: &str = "junit.xml";
const JSON: &str = "results.json";
const JOURNAL: &str = "run.jsonl";

/// How long an end may take: servers are left politely within three seconds, containers removed within some more.
const SOON: Duration = Duration::from_secs(20);

/// How long a server that is left has for its reply to QUIT.
const POLITE: Duration = Duration::from_secs(3);

/// Between two signals of somebody who is in a hurry; those that come at the same time count as one.
const AGAIN: Duration = Duration::from_millis(50);

/// The greeting, and one look for each TLS version.
const CONNECTIONS_OF_THE_PROBE: usize = 3;

/// A start of the binary on a machine that is busy building.
const PATIENCE: Duration = Duration::from_secs(60);
