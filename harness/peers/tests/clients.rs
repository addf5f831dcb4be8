//! Clients that are programs: what one says, keeps and ends with is told as it is, and nothing of it stays, however badly
//! it behaves. Each bad client is met twice, on this machine and in a container; without a container engine, or without
//! the image, the second passes without a look, unless `FTPSPEC_REQUIRE_CONTAINERS=1` says that there must be one.

#![allow(clippy::unwrap_used)] // in a test a panic is the message

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftpspec_peers::clients::{ClientProgram, Errand, How, Outcome, ProgramError, Workplace};
use ftpspec_scenario::load_client_description;
use ftpspec_scenario::model::Source;
use ftpspec_transcript::Secret;
use rstest::rstest;

/// Nothing here takes so long unless it hangs.
const AMPLE: Duration = Duration::from_secs(60);

/// As short as a client may be given: what is to hang does so at once.
const SHORT: Duration = Duration::from_secs(2);

/// A client that is this shell script; its arguments are the action, the password, and for each file where it is on the
/// server and here.
fn client(folder: &Path, script: &str, limit: Duration) -> ClientProgram {
    fs::write(folder.join("client.sh"), script).unwrap();
    described(folder, r#"[sh, "${here}/client.sh", "${action}", "${password}"]"#, limit)
}

fn described(folder: &Path, common: &str, limit: Duration) -> ClientProgram {
    let files = r#"[["${remote}", "${local}"]]"#;
    let text = format!("common: {common}\nactions: {{login: [], get: {files}, put: {files}}}");
    program(folder, &text, limit)
}

/// What a description with these keys makes of a client.
fn program(folder: &Path, keys: &str, limit: Duration) -> ClientProgram {
    let text = format!("title: a script\n{keys}\n");
    let source = Arc::new(Source { name: "client.yaml".to_owned(), text });
    ClientProgram {
        description: load_client_description(&source).unwrap(),
        here: folder.to_owned(),
        certificates: folder.to_owned(),
        limit,
        place: Arc::new(Workplace::here().unwrap()),
    }
}

fn errand(action: &str, files: &[&str]) -> Errand {
    Errand {
        action: action.to_owned(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
        address: SocketAddr::from(([127, 0, 0, 1], 21)),
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

#[rstest]
#[case::pipe("mkfifo $4")]
#[case::folder("mkdir $4")]
#[case::link_to_nowhere("ln -s nowhere $4")]
#[case::device("ln -s /dev/zero $4")]
fn what_is_no_file_is_none_and_nobody_waits_for_it(#[case] script: &str) {
    let outcome = run(script, AMPLE, &errand("get", &["one-octet"]));
    assert_eq!((outcome.how, outcome.fetched[0].octets), (How::Succeeded, None), "{}", outcome.said);
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

/// A client that behaves badly, and what it comes to. `alive` is for children: each says `alive` to a file, and goes on.
#[rstest]
#[case::hangs("sleep 1000", How::Hung)]
#[case::does_not_heed("trap '' TERM INT HUP; while :; do sleep 1000; done", How::Hung)]
#[case::closes_its_output_and_lives_on("exec >&- 2>&-; sleep 1000", How::Hung)]
#[case::crashes("child & kill -SEGV $$", How::Crashed)]
#[case::leaves_a_child("child & wait_for_child", How::Succeeded)]
#[case::leaves_a_child_that_does_not_heed("(trap '' TERM; child) & wait_for_child", How::Succeeded)]
#[case::leaves_a_daemon("setsid sh -c \"$daemon\" & wait_for_child", How::Succeeded)]
#[case::leaves_a_daemon_and_hangs("setsid sh -c \"$daemon\" & wait_for_child; sleep 1000", How::Hung)]
#[case::leaves_a_daemon_and_crashes("setsid sh -c \"$daemon\" & wait_for_child; kill -SEGV $$", How::Crashed)]
#[case::leaves_many("for n in 1 2 3 4 5 6 7 8 9; do setsid sh -c \"$daemon\" & done; wait_for_child", How::Succeeded)]
#[case::floods("yes 'more of it'", How::Hung)]
#[case::floods_what_has_no_name_any_more("rm .ftpspec-output; yes 'more of it'", How::Hung)]
#[case::puts_a_pipe_where_its_output_is_read("rm .ftpspec-output; mkfifo .ftpspec-output", How::Succeeded)]
#[case::floods_in_a_daemon("setsid yes 'more of it' & sleep 1000", How::Hung)]
fn a_bad_client_ends_in_time_with_the_right_word_and_nothing_of_it_stays(
    #[case] script: &str,
    #[case] how: How,
    #[values(Where::Here, Where::InAContainer)] place: Where,
) {
    let Some(place) = place.make() else { return };
    let folder = tempfile::tempdir().unwrap();
    // The word in the command lines tells our processes from all others, inside a container too.
    let word = format!("ftpspec-bad-client-{}", folder.path().file_name().unwrap().display());
    let script = format!(
        "child() {{ echo > child; exec sh -c 'while :; do sleep 1; done' {word}; }}\n\
         wait_for_child() {{ until [ -e child ]; do :; done; }}\n\
         daemon=\"echo > child; exec sh -c 'while :; do sleep 1; done' {word}\"\n{script}\n"
    );
    // What is to hang is waited for as long as a container takes to start a program.
    let limit = if how == How::Hung && !script.contains("yes") { SHORT } else { AMPLE };
    let began = Instant::now();
    let program = ClientProgram { place, ..client(folder.path(), &script, limit) };
    let outcome = program.run(&errand("login", &[]), &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome.how, how, "{}: {}", outcome.status, outcome.said);
    assert!(began.elapsed() < AMPLE);
    assert!(outcome.said.len() < 10_000, "{} octets", outcome.said.len());
    assert_eq!(alive(&word), Vec::<String>::new());
    // The place is as good as new.
    let next = ClientProgram { limit: AMPLE, ..client(folder.path(), "echo well", AMPLE) };
    let next = ClientProgram { place: program.place, ..next }.run(&errand("login", &[]), &AtomicBool::new(false));
    let next = next.unwrap();
    assert_eq!((next.how, next.said.as_str()), (How::Succeeded, "well"));
}

#[test]
fn a_container_sees_the_folders_that_it_is_given_and_what_it_writes_is_ours() {
    let folder = tempfile::Builder::new().prefix("a folder, \"so named\" ").tempdir().unwrap();
    let Some(place) = Where::InAContainer.make_with(folder.path()) else { return };
    let script = "printf x > \"$4\"; echo \"$HOME\"; pwd; touch \"$(dirname \"$0\")/written\" 2>/dev/null || echo shut";
    let program = ClientProgram { place, ..client(folder.path(), script, AMPLE) };
    let outcome = program.run(&errand("get", &["one-octet"]), &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome.how, How::Succeeded, "{}", outcome.said);
    assert_eq!(outcome.fetched[0].octets, Some(1));
    let said: Vec<_> = outcome.said.lines().collect();
    assert_eq!(said[0], said[1], "no configuration of the tester's own is read");
    assert_eq!(said.last(), Some(&"shut"), "{said:?}");
    assert!(!folder.path().join("written").exists());
}

#[test]
fn containers_go_with_the_place_that_had_them_made() {
    let folder = tempfile::tempdir().unwrap();
    let Some(place) = Where::InAContainer.make_with(folder.path()) else { return };
    let program = ClientProgram { place, ..client(folder.path(), "sleep 1000", SHORT) };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| program.run(&errand("login", &[]), &AtomicBool::new(false)).unwrap());
        }
    });
    assert_eq!(containers_with(folder.path()).len(), 2, "one for each client at a time");
    drop(program);
    assert_eq!(containers_with(folder.path()), Vec::<String>::new());
}

#[test]
fn a_program_that_the_image_does_not_hold_is_told_with_the_image() {
    let Some(place) = Where::InAContainer.make() else { return };
    let folder = tempfile::tempdir().unwrap();
    let missing = ClientProgram { place, ..described(folder.path(), "[ftpspec-no-such-client]", AMPLE) };
    assert_eq!(
        missing.is_there().unwrap_err().to_string(),
        format!("there is no program ftpspec-no-such-client in the image {IMAGE}")
    );
}

#[test]
fn the_program_that_tells_the_version_must_be_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), "version: [ftpspec-no-such-client]\ncommon: [sh]\nactions: {}", AMPLE);
    assert!(matches!(program.is_there(), Err(ProgramError::NotFound { program, .. }) if program.contains("no-such")));
}

#[rstest]
#[case("127.0.0.1:2121", "localhost|2121|ftp://localhost:2121")]
#[case("[::1]:2121", "::1|2121|ftp://[::1]:2121")]
fn a_client_is_told_the_server_as_its_certificate_has_it(#[case] address: &str, #[case] told: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = described(folder.path(), r#"[echo, "${host}|${port}|${url}"]"#, AMPLE);
    let errand = Errand { address: address.parse().unwrap(), ..errand("login", &[]) };
    assert_eq!(program.run(&errand, &AtomicBool::new(false)).unwrap().said, told);
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
        assert!(matches!(missing.is_there(), Err(ProgramError::NotFound { .. })), "{common}");
        let ran = missing.run(&errand("login", &[]), &AtomicBool::new(false));
        assert!(matches!(ran, Err(ProgramError::Start { .. })), "{ran:?}");
    }
    client(folder.path(), "exit 1", AMPLE).is_there().unwrap();
}

#[test]
fn a_version_is_the_first_line_that_says_something() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), "version: [sh, -c, 'echo; echo client 1.2; echo more']\nactions: {}", AMPLE);
    assert_eq!(program.version().as_deref(), Some("client 1.2"));
}

/// Where a client runs.
#[derive(Debug, Clone, Copy)]
enum Where {
    Here,
    InAContainer,
}

impl Where {
    /// None, if there are no containers.
    fn make(self) -> Option<Arc<Workplace>> {
        self.make_with(&std::env::temp_dir())
    }

    fn make_with(self, folder: &Path) -> Option<Arc<Workplace>> {
        Some(Arc::new(match self {
            Self::Here => Workplace::here().unwrap(),
            Self::InAContainer if has_image() => Workplace::in_containers(IMAGE, &[folder]).unwrap(),
            Self::InAContainer => return None,
        }))
    }
}

fn has_image() -> bool {
    let asked = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    let there = asked.is_ok_and(|output| output.status.success());
    let required = std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1");
    assert!(there || !required, "there is no image {IMAGE}");
    there
}

/// The containers that see this folder.
fn containers_with(folder: &Path) -> Vec<String> {
    let mounted = format!("volume={}", folder.display());
    let listed = Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &mounted]).output().unwrap();
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The processes with this word in their command line, wherever they run; one that nobody has reaped yet has none. What
/// cannot be ignored takes a moment all the same.
fn alive(word: &str) -> Vec<String> {
    let began = Instant::now();
    loop {
        let lines = fs::read_dir("/proc").unwrap().flatten();
        let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        let found: Vec<_> = lines.filter(|line| line.contains(word)).collect();
        if found.is_empty() || began.elapsed() > AMPLE {
            return found;
        }
        thread::yield_now();
    }
}

/// The image that holds the clients; a shell and what belongs to it is in it too.
const IMAGE: &str = "localhost/ftpspec-clients:bookworm";
