//! Servers as processes: they come up, they are told from those that do not, and nothing of them stays. The server is this
//! program itself: with a role in its environment it plays that role instead of running the tests.

#![allow(clippy::unwrap_used, reason = "a test without its own `#[test]`: what fails is to panic")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ftpspec_peers::process::{ProcessError, ProcessOptions, RunningProcess, start};
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, kill_process};

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role);
    }
    let tests: [(&str, fn()); 12] = [
        ("a_server_is_met_where_it_is_told_to_listen", a_server_is_met_where_it_is_told_to_listen),
        ("a_server_that_takes_no_address_gets_ports_of_its_own", a_server_that_takes_no_address_gets_ports_of_its_own),
        ("every_word_is_filled_in_and_blanks_survive", every_word_is_filled_in_and_blanks_survive),
        ("what_a_server_starts_ends_with_it", what_a_server_starts_ends_with_it),
        ("a_server_that_does_not_heed_is_killed", a_server_that_does_not_heed_is_killed),
        ("a_server_ends_when_it_is_dropped", a_server_ends_when_it_is_dropped),
        ("a_server_ends_when_we_are_killed", a_server_ends_when_we_are_killed),
        ("a_server_outlives_the_thread_that_asked_for_it", a_server_outlives_the_thread_that_asked_for_it),
        ("a_server_that_ends_at_once_is_told_with_its_last_words", a_server_that_ends_at_once_is_told),
        ("a_server_that_never_greets_is_given_up", a_server_that_never_greets_is_given_up),
        ("a_greeting_with_another_code_is_none", a_greeting_with_another_code_is_none),
        ("a_wrong_description_is_told_before_anything_starts", a_wrong_description_is_told),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

fn a_server_is_met_where_it_is_told_to_listen() {
    let server = started(&options(GREETS, &["${address}", "${port}"]));
    assert!(server.address().to_string().starts_with("127.1."), "{}", server.address());
    assert_eq!(server.passive_ports().count(), 1000);
    assert!(greets(&server));
    assert!(server.root().join("fixtures/empty.bin").is_file());
    assert_eq!(server.root().join("scratch").read_dir().unwrap().count(), 0);
    let (address, folder) = (server.address(), server.root());
    let status = block_on(server.stop()).unwrap();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    assert!(TcpStream::connect(address).is_err());
    assert!(!folder.exists());
}

fn a_server_that_takes_no_address_gets_ports_of_its_own() {
    let narrow = ProcessOptions { narrow_range: true, ..options(GREETS, &["127.0.0.1", "${port}"]) };
    let server = started(&narrow);
    assert!(server.address().ip().to_string() == "127.0.0.1" && greets(&server));
    assert_eq!(server.passive_ports().count(), 4);
    assert!(!server.passive_ports().contains(&server.address().port()));
}

fn every_word_is_filled_in_and_blanks_survive() {
    let words = "${configuration}|${passive-ports}|${user}|${password}|${root}|${certificate}|${key}|${ca}|a 'b' $c";
    let mut options = options(GREETS, &["${address}", "${port}", words]);
    options.environment.push(("TOLD".to_owned(), "${user} at ${address}".to_owned()));
    options.password = "${user}".to_owned();
    options.log = Some("${root}/fixtures/text.txt".to_owned());
    let server = started(&options);
    let (root, logs) = (server.root(), server.logs().unwrap());
    let told = format!(
        "strict|40000-40999|ftpspec|${{user}}|{}|a folder/server.pem|a folder/server.key|a folder/ca.pem|a 'b' $c\n",
        root.display()
    );
    assert!(logs.starts_with(&told), "{logs}");
    assert!(logs.contains(&format!("ftpspec at {}\n", server.address().ip())), "{logs}");
    assert!(logs.contains("40 The quick brown fox"), "the log file stands behind the output: {logs}");
}

fn what_a_server_starts_ends_with_it() {
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = witness.local_addr().unwrap().to_string();
    let server = started(&options(FORKS, &["${address}", "${port}", &place]));
    let (mut child, _) = witness.accept().unwrap();
    block_on(server.stop());
    assert_ends(&mut child);
}

fn a_server_that_does_not_heed_is_killed() {
    let mut options = options(GREETS, &[]);
    let ignoring = ["sh", "-c", "trap '' TERM; exec \"$0\" ${address} ${port}", &options.command[0]];
    options.command = ignoring.map(str::to_owned).to_vec();
    options.stop_limit = Duration::from_millis(200);
    let server = started(&options);
    let status = block_on(server.stop()).unwrap();
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
}

fn a_server_ends_when_it_is_dropped() {
    let server = started(&options(GREETS, &["${address}", "${port}"]));
    let (address, folder) = (server.address(), server.root());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    assert!(!folder.exists());
}

fn a_server_ends_when_we_are_killed() {
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = witness.local_addr().unwrap().to_string();
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args([&place])
        .env(ROLE, HARNESS)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let (mut server, _) = witness.accept().unwrap();
    kill_process(Pid::from_child(&harness), Signal::KILL).unwrap();
    harness.wait().unwrap();
    assert_ends(&mut server);
}

fn a_server_outlives_the_thread_that_asked_for_it() {
    let server = std::thread::spawn(|| started(&options(GREETS, &["${address}", "${port}"]))).join().unwrap();
    assert!(greets(&server));
}

fn a_server_that_ends_at_once_is_told() {
    let error = failed(&options(CRASHES, &["${port}", "3"]));
    let program = std::env::current_exe().unwrap();
    assert_eq!(
        error.to_string(),
        format!("{} ended before it greeted (exit status: 3), and wrote:\nno such user", program.display())
    );
    let error = failed(&options(CRASHES, &["${port}", "0"]));
    assert!(error.to_string().contains("it must stay in the foreground"), "{error}");
}

fn a_server_that_never_greets_is_given_up() {
    let limit = Duration::from_millis(300);
    let began = Instant::now();
    let mute = ProcessOptions { start_limit: limit, ..options(MUTE, &["${address}", "${port}"]) };
    let error = failed(&mute);
    assert!(error.to_string().contains("it accepts, and says nothing"), "{error}");
    let deaf = ProcessOptions { start_limit: limit, ..options(GREETS, &["127.0.0.1", "0", "${port}"]) };
    let error = failed(&deaf);
    assert!(error.to_string().contains("where it was told to listen (connection refused"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

fn a_greeting_with_another_code_is_none() {
    let limit = Duration::from_millis(300);
    let other = ProcessOptions { ready: 120, start_limit: limit, ..options(GREETS, &["${address}", "${port}"]) };
    let error = failed(&other);
    assert!(matches!(error, ProcessError::NoGreeting { expected: 120, .. }), "{error}");
    assert!(error.to_string().contains("it said \"220 hello\""), "{error}");
}

fn a_wrong_description_is_told() {
    let mut without_port = options(GREETS, &["${address}"]);
    assert!(failed(&without_port).to_string().starts_with("its command names no ${port}"));
    without_port.environment.push(("PORT".to_owned(), "${port} ${nonsense}".to_owned()));
    assert!(failed(&without_port).to_string().starts_with("the environment PORT names ${nonsense}"));
    let nobody = ProcessOptions::new(vec!["./no/such program".to_owned(), "${port}".to_owned()], "", Path::new(""));
    let error = failed(&nobody).to_string();
    assert!(error.starts_with("start ./no/such program: ") && error.ends_with("where ftpspec runs?"), "{error}");
}

/// This program in a role, with arguments.
fn options(role: &str, arguments: &[&str]) -> ProcessOptions {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let command = std::iter::once(program).chain(arguments.iter().map(|argument| (*argument).to_owned())).collect();
    let mut options = ProcessOptions::new(command, "strict", Path::new("a folder"));
    options.environment.push((ROLE.to_owned(), role.to_owned()));
    options
}

fn started(options: &ProcessOptions) -> RunningProcess {
    match block_on(start(options)) {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    }
}

fn failed(options: &ProcessOptions) -> ProcessError {
    block_on(start(options)).expect_err("it cannot come up")
}

fn greets(server: &RunningProcess) -> bool {
    let mut greeting = [0; 4];
    TcpStream::connect(server.address()).unwrap().read_exact(&mut greeting).is_ok() && &greeting == b"220 "
}

/// The process at the other end is gone: its connection ends, and nothing else would end it.
fn assert_ends(process: &mut TcpStream) {
    process.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let ended = process.read(&mut [0]);
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(ended.as_ref().is_ok_and(|octets| *octets == 0) || ended.as_ref().is_err_and(reset), "{ended:?}");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// What this program does instead of testing.
fn play(role: &str) {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match role {
        GREETS => {
            if let Some(told) = arguments.get(2) {
                println!("{told}\n{}", std::env::var("TOLD").unwrap_or_default());
            }
            serve(&arguments, b"220 hello\r\n");
        }
        FORKS => {
            let program = std::env::current_exe().unwrap();
            let mut child = Command::new(program).arg(&arguments[2]).env(ROLE, HANGS_ON).spawn().unwrap();
            std::thread::spawn(move || child.wait());
            serve(&arguments, b"220 hello\r\n");
        }
        HANGS_ON => hang_on(&arguments[0]),
        MUTE => serve(&arguments, b""),
        CRASHES => {
            eprintln!("no such user");
            std::process::exit(arguments[1].parse().unwrap());
        }
        HARNESS => {
            let options = options(WITNESSED, &["${address}", "${port}", &arguments[0]]);
            let _server = started(&options);
            loop {
                std::thread::park();
            }
        }
        WITNESSED => {
            let place = arguments[2].clone();
            std::thread::spawn(move || hang_on(&place));
            serve(&arguments, b"220 hello\r\n");
        }
        other => panic!("{other} is no role"),
    }
}

/// Greets everybody, and keeps them.
fn serve(arguments: &[String], greeting: &[u8]) {
    let listener = TcpListener::bind((arguments[0].as_str(), arguments[1].parse().unwrap())).unwrap();
    let mut kept = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        // Who connected may be gone already.
        _ = stream.write_all(greeting);
        kept.push(stream);
    }
}

/// Keeps a connection for as long as this process lives.
fn hang_on(place: &str) {
    let mut stream = TcpStream::connect(place).unwrap();
    // Nobody ever writes: this returns when the other side is gone.
    _ = stream.read(&mut [0]);
}

/// The variable that says which role to play.
const ROLE: &str = "FTPSPEC_TEST_ROLE";
const GREETS: &str = "greets";
const FORKS: &str = "forks";
const HANGS_ON: &str = "hangs-on";
const MUTE: &str = "mute";
const CRASHES: &str = "crashes";
const HARNESS: &str = "harness";
const WITNESSED: &str = "witnessed";
