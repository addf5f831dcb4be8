//! A server of one's own, given to the binary as a file that describes it. The server is this program itself: with a role
//! in its environment it is the reference server, in a process of its own, instead of running the tests.

#![allow(clippy::unwrap_used, reason = "a test without its own `#[test]`: what fails is to panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ftpspec::{Catalogue, Engine, Limits, Secret};
use ftpspec_peers::pki::Pki;
use ftpspec_peers::reference::{ReferenceServer, ReferenceSettings};
use ftpspec_scenario::model::Capability;
use ftpspec_scenario::settings::ServerSettings;
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn main() -> ExitCode {
    if std::env::var_os(ROLE).is_some() {
        return serve();
    }
    let tests: [(&str, fn()); 14] = [
        ("a_described_server_is_started_tested_and_ended", a_described_server_is_started_tested_and_ended),
        ("a_described_server_is_met_over_ipv6", a_described_server_is_met_over_ipv6),
        ("a_scenario_meets_the_configuration_that_it_needs", a_scenario_meets_the_configuration_that_it_needs),
        ("a_server_that_runs_already_is_met_where_the_file_says", a_server_that_runs_already_is_met),
        ("a_server_without_accounts_is_not_logged_in_to", a_server_without_accounts_is_not_logged_in_to),
        ("an_interrupted_run_leaves_no_process", || leaves_no_process(Signal::INT)),
        ("a_killed_run_leaves_no_process", || leaves_no_process(Signal::KILL)),
        ("what_a_server_wrote_meanwhile_stands_in_a_failure", what_a_server_wrote_stands_in_a_failure),
        ("a_server_that_falls_is_told_with_its_last_words", a_server_that_falls_is_told),
        ("a_server_that_falls_while_it_is_looked_at_is_told_too", a_server_that_falls_at_once_is_told),
        ("a_server_that_does_not_come_up_ends_with_3_and_its_words", a_server_that_does_not_come_up),
        ("a_server_with_a_certificate_of_its_own_needs_a_word", a_server_with_a_certificate_of_its_own),
        ("a_wrong_file_is_shown_with_its_place_and_nothing_runs", a_wrong_file_is_shown_with_its_place),
        ("options_for_urls_are_none_for_a_server_that_is_started", options_for_urls_are_none_here),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn a_described_server_is_started_tested_and_ended() {
    let described = Described::new(DESCRIPTION);
    let ran = described.run(&["server/data/retr-close-notify", "-v"]);
    assert_eq!(ran.status.code(), Some(0), "{}", told(&ran));
    let results = described.results();
    assert_eq!(results["subject"]["name"], "the reference, described");
    let address: SocketAddr = results["subject"]["address"].as_str().unwrap().parse().unwrap();
    assert!(address.port() != 0, "{address}");
    let said = told(&ran);
    assert!(said.contains(&format!("control  -- connect {address}\n")), "where it was met: {said}");
    assert!(results["summary"]["pass"].as_u64().unwrap() > 0, "{results}");
    assert_eq!(results["summary"]["skip"], 0, "its files are where scenarios look for them, and writing is allowed");
    assert_ends(described.hears());
}

fn a_described_server_is_met_over_ipv6() {
    let described = Described::new(DESCRIPTION);
    let ran = described.run(&["-6", "server/data/retr-close-notify", "server/passive/pasv-address", "-v"]);
    assert_eq!(ran.status.code(), Some(0), "{}", told(&ran));
    let results = described.results();
    let address = results["subject"]["address"].as_str().unwrap();
    assert!(address.starts_with("[::1]:") && address != "[::1]:0", "{address}");
    assert!(told(&ran).contains(&format!("control  -- connect {address}\n")), "where it was met: {}", told(&ran));
    for result in results["results"].as_array().unwrap() {
        let (due, because) = match result["id"].as_str() {
            Some("server/passive/pasv-address") => ("skip", "capability: PASV "),
            _ => ("pass", ""),
        };
        assert_eq!(result["verdict"], due, "{result}");
        assert!(result["reason"].as_str().unwrap_or_default().starts_with(because), "{result}");
    }
}

fn a_scenario_meets_the_configuration_that_it_needs() {
    let described = Described::new(DESCRIPTION);
    let selectors = ["server/auth/implicit-tls@engine=rustls,version=1.3", "server/auth/login-in-clear-refused"];
    let ran = described.run(&selectors);
    assert_eq!(ran.status.code(), Some(0), "{}", told(&ran));
    let results = described.results();
    assert_eq!((&results["summary"]["pass"], &results["summary"]["skip"]), (&2.into(), &0.into()), "{results}");
}

fn a_server_that_runs_already_is_met() {
    let described = Described::new(DESCRIPTION);
    let pki = Pki::cached().unwrap();
    let place = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Command::new(std::env::current_exe().unwrap())
        .args([&place.ip().to_string(), &place.port().to_string(), "implicit", "somebody", "a-password"])
        .envs([(ROLE, "server"), (WITNESS, &described.place())])
        .spawn()
        .unwrap();
    let server = Running(server);
    let connected = described.hears();
    let url = format!("ftps://localhost:{}", place.port());
    let text = format!(
        "title: runs already\nstart: {{at: \"{url}\"}}\nlogin: {{user: somebody, password: \"${{password}}\"}}\n\
         configurations: {{it: {{provides: [implicit-tls]}}}}\n"
    );
    let described = Described::new(&text);
    let ca = pki.dir().join("ca.pem").to_str().unwrap().to_owned();
    let mut command = described.command(&[
        "server/auth/implicit-tls@engine=rustls,version=1.3",
        "--ca-file",
        &ca,
        "--password-env",
        "SECRET",
    ]);
    let ran = command.env("SECRET", "a-password").output().unwrap();
    drop((server, connected));
    assert_eq!(ran.status.code(), Some(0), "{}", told(&ran));
    assert_eq!(described.results()["subject"]["address"], format!("localhost:{}", place.port()));
    assert!(described.results()["summary"]["pass"].as_u64().unwrap() > 0);
}

fn a_server_without_accounts_is_not_logged_in_to() {
    // Whoever tried all the same would be refused, and the run would end with 3.
    let text = DESCRIPTION.replace("\"${user}\", \"${password}\"]", "\"nobody we know\", \"nor this\"]");
    let described = Described::new(&format!("{text}login: none\n"));
    let ran = described.run(&["server/auth/tls-handshake", "server/data/retr-empty-file", "server/auth/implicit-tls"]);
    assert_eq!(ran.status.code(), Some(0), "{}", told(&ran));
    let results = described.results();
    let results = results["results"].as_array().unwrap();
    for result in results {
        if result["id"] == "server/auth/tls-handshake" {
            assert_eq!(result["verdict"], "pass", "{result}");
        } else {
            assert_eq!(
                result["reason"],
                "capability: nobody can log in to the reference, described, as its description says"
            );
        }
    }
    assert!(results.iter().any(|result| result["verdict"] == "pass"));
}

fn leaves_no_process(signal: Signal) {
    let described = Described::new(DESCRIPTION);
    let mut command = described.command(&["server/data", "--repeat", "100"]);
    let mut run = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let server = described.hears();
    let mut told = BufReader::new(run.0.stdout.take().unwrap());
    // It has begun: the line that tells its cost is out.
    told.read_line(&mut String::new()).unwrap();
    kill_process(Pid::from_child(&run.0), signal).unwrap();
    told.read_to_end(&mut Vec::new()).unwrap();
    run.0.wait().unwrap();
    assert_ends(server);
}

fn what_a_server_wrote_stands_in_a_failure() {
    let described = Described::new(TALKATIVE);
    let ran = described.run(&[EMPTY_FILE, "--jobs", "1", "--junit", "junit.xml"]);
    assert_eq!(ran.status.code(), Some(1), "{}", told(&ran));
    let results = described.results();
    let log = &results["results"][0]["server_log"];
    let lines: Vec<_> = log["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    // The probe has had some connections before, and what was said of them is no part of this.
    let [logged, said, password] = lines[..] else { panic!("{log}") };
    let count = said.strip_prefix("said: connection ").unwrap();
    assert!(count.parse::<usize>().unwrap() > 1, "{log}");
    assert_eq!((logged, password), (format!("logged: connection {count}").as_str(), "the password is {redacted}"));
    assert_eq!((&log["shared"], &log["clipped"], &log["ended"]), (&false.into(), &false.into(), &Value::Null), "{log}");
    let (shown, junit) = (told(&ran), fs::read_to_string(described.file("junit.xml")).unwrap());
    assert!(shown.contains(&format!("the server's log:\n          {logged}\n          {said}\n")), "{shown}");
    assert!(junit.contains(&format!("<system-err><![CDATA[the server's log:\n{logged}\n{said}\n")), "{junit}");

    let ran = described.run(&[EMPTY_FILE, "--jobs", "4", "--repeat", "4"]);
    let results = described.results();
    let shared = results["results"].as_array().unwrap().iter().any(|result| result["server_log"]["shared"] == true);
    assert!(shared, "four at the same time: {results}");
    assert!(told(&ran).contains("the server's log meanwhile (other sessions write to it too):"), "{}", told(&ran));
}

fn a_server_that_falls_is_told() {
    let described = Described::new(&TALKATIVE.replace("FALLS_AT: \"0\"", "FALLS_AT: \"9\""));
    let ran = described.run(&["server/data/retr-close-notify", "--jobs", "1"]);
    assert_eq!(ran.status.code(), Some(3), "{}", told(&ran));
    let results = described.results();
    let trouble = results["trouble"][0].as_str().unwrap();
    let due = "talkative in its configuration lax ended in the midst of the run (exit status: 7); its last words:";
    assert!(trouble.starts_with(due) && trouble.ends_with("\nno more of this"), "{trouble}");
    let fell = results["results"].as_array().unwrap().iter().find(|it| it["server_log"]["ended"] == "exit status: 7");
    let fell = fell.unwrap_or_else(|| panic!("{results}"));
    assert!(fell["server_log"]["lines"].to_string().contains("no more of this"), "{fell}");
    assert!(told(&ran).contains("        the server has ended: exit status: 7\n"), "{}", told(&ran));
}

fn a_server_that_falls_at_once_is_told() {
    // The first connection is the one that waits for its greeting.
    let described = Described::new(&TALKATIVE.replace("FALLS_AT: \"0\"", "FALLS_AT: \"2\""));
    let ran = described.run(&["server/data/retr-close-notify"]);
    assert_eq!(ran.status.code(), Some(3), "{}", told(&ran));
    let trouble = described.results()["trouble"].to_string();
    for due in ["there is no FTP server to test: ", "ended in the midst of the run (exit status: 7)", "no more of this"]
    {
        assert!(trouble.contains(due), "{due}: {trouble}");
    }
}

fn a_server_that_does_not_come_up() {
    let described = Described::new(&DESCRIPTION.replace("${configuration}", "nonsense"));
    let ran = described.run(&["server/data/retr-close-notify"]);
    assert_eq!(ran.status.code(), Some(3), "{}", told(&ran));
    let told = told(&ran);
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("starting the reference, described: "), "{told}");
    assert!(words.contains("ended before it greeted (exit status: 1), and wrote: no such thing as nonsense"), "{told}");
}

fn a_server_with_a_certificate_of_its_own() {
    let described = Described::new(&DESCRIPTION.replace("CERTIFICATE: \"${certificate}\", ", ""));
    let ran = described.run(&["server/data/retr-close-notify"]);
    assert_eq!(ran.status.code(), Some(3), "{}", told(&ran));
    assert!(told(&ran).contains("is not handed ${certificate} and ${key}"), "{}", told(&ran));
    let ca = Pki::cached().unwrap().dir().join("ca.pem");
    let ran = described.run(&["server/data/retr-close-notify", "--ca-file", ca.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(0), "{}", told(&ran));
}

fn a_wrong_file_is_shown_with_its_place() {
    let described = Described::new(&DESCRIPTION.replace("implicit-tls]", "implict-tls]"));
    let ran = described.run(&[]);
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert_eq!((ran.status.code(), ran.stdout.as_slice()), (Some(2), &b""[..]), "{stderr}");
    for said in ["a server.yaml:8:25\n", "implicit-tls`?", "1 fault; nothing was run"] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}

fn options_for_urls_are_none_here() {
    let described = Described::new(DESCRIPTION);
    let ran = described.run(&["--password-env", "PATH"]);
    assert_eq!(ran.status.code(), Some(2), "{}", told(&ran));
    assert!(told(&ran).contains("--password-env is for a server that runs already"), "{}", told(&ran));
}

/// A description in a folder of its own, and a listener that hears of each server that is started from it.
struct Described {
    folder: tempfile::TempDir,
    witness: TcpListener,
}

impl Described {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        fs::write(folder.path().join(FILE), text.replace("PROGRAM", program.to_str().unwrap())).unwrap();
        Self { folder, witness: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    /// The connection of the server that was started next; a run that starts none is a failure, and no wait without end.
    fn hears(&self) -> TcpStream {
        let (sender, heard) = std::sync::mpsc::channel();
        let witness = self.witness.try_clone().unwrap();
        std::thread::spawn(move || sender.send(witness.accept().map(|(stream, _)| stream)));
        heard.recv_timeout(Duration::from_secs(20)).expect("a server is started").unwrap()
    }

    fn place(&self) -> String {
        self.witness.local_addr().unwrap().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftpspec"));
        command.args(["run", "--server", FILE, "--json", "results.json"]).args(arguments);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env(WITNESS, self.place());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn results(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file("results.json")).unwrap()).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A run that a test which fails does not leave behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn told(ran: &Output) -> String {
    String::from_utf8_lossy(&[ran.stdout.as_slice(), &ran.stderr].concat()).into_owned()
}

/// The process at the other end is gone: its connection ends, and nothing else would end it.
fn assert_ends(mut process: TcpStream) {
    process.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let ended = process.read(&mut [0]);
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(ended.as_ref().is_ok_and(|octets| *octets == 0) || ended.as_ref().is_err_and(reset), "{ended:?}");
}

/// The reference server as the description starts it: address, port, configuration, user, password.
fn serve() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let provided: &[_] = match arguments[2].as_str() {
        "lax" => &[Capability::TlsOptional, Capability::ReuseOffered],
        "strict" => &[Capability::ClearLoginRefused],
        "implicit" => &[Capability::ImplicitTls],
        other => {
            eprintln!("no such thing as {other}");
            return ExitCode::FAILURE;
        }
    };
    let talkative = std::env::var(ROLE).unwrap() == "talkative";
    let (ip, port): (IpAddr, u16) = (arguments[0].parse().unwrap(), arguments[1].parse().unwrap());
    let catalogue = Catalogue::embedded().unwrap();
    let lie = catalogue.defect("retr-empty-closes-before-handshake").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let entered = runtime.enter();
    let server = ReferenceServer::start(ReferenceSettings {
        ip,
        // Who talks stands in front of it.
        port: if talkative { 0 } else { port },
        engine: Engine::Openssl,
        settings: ServerSettings::of(provided, &[]).unwrap(),
        rules: if talkative { lie.script.rules.clone() } else { Vec::new() },
        user: arguments[3].clone(),
        password: Secret::new(&arguments[4]),
        pki: Arc::new(Pki::cached().unwrap()),
        limits: Limits::default(),
        log: None,
        version: None,
    });
    drop(entered);
    let server = server.unwrap();
    // Whoever hears of it may come at once.
    let _witness = TcpStream::connect(std::env::var(WITNESS).unwrap()).unwrap();
    if talkative {
        talk(&TcpListener::bind((ip, port)).unwrap(), server.address(), &arguments[4]);
    }
    loop {
        std::thread::park();
    }
}

/// Hands each connection on, and has something to say of it; falls when it has had enough.
fn talk(listener: &TcpListener, server: SocketAddr, password: &str) {
    let mut log = fs::File::create(std::env::var("LOG").unwrap()).unwrap();
    let falls_at: usize = std::env::var("FALLS_AT").unwrap().parse().unwrap();
    for (index, client) in listener.incoming().flatten().enumerate() {
        let count = index + 1;
        writeln!(log, "logged: connection {count}").unwrap();
        println!("said: connection {count}");
        println!("the password is {password}");
        if count == falls_at {
            eprintln!("no more of this");
            std::process::exit(7);
        }
        let server = TcpStream::connect(server).unwrap();
        hand_on(client.try_clone().unwrap(), server.try_clone().unwrap());
        hand_on(server, client);
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        _ = std::io::copy(&mut from, &mut to);
        // It may have gone already.
        _ = to.shutdown(Shutdown::Write);
    });
}

const DESCRIPTION: &str = r#"title: the reference, described
start:
  command: ["PROGRAM", "${address}", "${port}", "${configuration}", "${user}", "${password}"]
  env: {CERTIFICATE: "${certificate}", FTPSPEC_TEST_ROLE: server}
configurations:
  lax: {provides: [tls-optional, reuse-offered]}
  strict: {provides: [clear-login-refused]}
  implicit: {provides: [implicit-tls]}
"#;

/// It has the defect that `EMPTY_FILE` finds, and says something of each connection.
const TALKATIVE: &str = r#"title: talkative
start:
  command: ["PROGRAM", "${address}", "${port}", "${configuration}", "${user}", "${password}"]
  env: {CERTIFICATE: "${certificate}", FTPSPEC_TEST_ROLE: talkative, LOG: "${root}/server.log", FALLS_AT: "0"}
log: "${root}/server.log"
configurations:
  lax: {provides: [tls-optional, reuse-offered]}
"#;

const EMPTY_FILE: &str = "server/data/retr-empty-file@engine=rustls,version=1.3,open=EPSV";

/// With a blank, as people have them.
const FILE: &str = "a server.yaml";

/// The variable that makes this program a server.
const ROLE: &str = "FTPSPEC_TEST_ROLE";

/// The variable that says to whom a server connects, and hangs on for as long as it lives.
const WITNESS: &str = "FTPSPEC_TEST_WITNESS";
