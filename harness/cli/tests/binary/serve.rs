//! The reference server on its own, met by a client that is a process of its own: our own `run`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

use super::program::{Ran, command, finished, ran};

/// A scenario that is quick, and only reads.
const READS: &str = "server/data/retr-close-notify@engine=rustls,version=1.3,transfer=LIST";

/// A server that a test has started.
struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
    password: String,
    ca: String,
    head: String,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let mut command = command(&[&["serve"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut head = String::new();
        // The last line of its head is the second of two examples.
        while !head.contains("  lftp ") {
            assert_ne!(stdout.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let value = |label: &str| {
            let line = head.lines().find_map(|line| line.trim().strip_prefix(label));
            line.unwrap_or_else(|| panic!("{label}: {head}")).trim().to_owned()
        };
        let address = head.split(' ').nth(5).unwrap().to_owned();
        let (password, ca) = (value("password"), value("trust"));
        Self { child, stdout, address, password, ca, head }
    }

    /// Plays a scenario against it, as a client that knows what the head tells.
    fn met_by(&self, scheme: &str, scenario: &str) -> Ran {
        let url = format!("{scheme}://ftpspec@localhost:{}", self.address.rsplit(':').next().unwrap());
        let arguments = ["run", scenario, "--server", &url, "--connect-to", &self.address];
        let credentials = ["--password-env", "SERVED_PASSWORD", "--ca-file", &self.ca];
        finished(command(&[&arguments[..], &credentials[..]].concat()).env("SERVED_PASSWORD", &self.password))
    }

    /// Its status, and what it said behind its head.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }

    fn ended_by(self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.ended()
    }
}

#[test]
fn a_client_is_served_and_each_line_is_told_behind_the_number_of_its_session() {
    let served = Served::start(&[]);
    assert!(served.address.starts_with("127.0.0.1:"), "{}", served.head);
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| served.met_by("ftp", READS));
        (served.met_by("ftp", READS), other.join().unwrap())
    });
    assert_eq!((one.code, other.code), (0, 0), "{}{}", one.stdout, other.stdout);
    let password = served.password.clone();
    let (status, said) = served.ended_by(Signal::INT);
    assert_eq!(status, Some(0), "a signal is the end that is meant");
    assert!(!said.contains(&password), "{said}");
    let sessions = said.lines().filter_map(|line| line.get(..3)?.trim().parse::<usize>().ok());
    let most = sessions.max().unwrap();
    assert!(most > 2, "{said}");
    let ends = (1..=most).filter(|number| said.contains(&format!("{number:>3}  over after ")));
    assert!(ends.count() + 1 >= most, "{said}");
    for due in ["  control  C> PASS {redacted}\n", "  control  C> LIST\n", " octets, close_notify, FIN\n"] {
        assert!(said.contains(due), "{due}: {said}");
    }
    assert!(!said.contains("rule for"), "it is correct: {said}");
}

#[test]
fn a_defect_and_rules_are_told_together_and_the_lie_is_shown_where_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, "rules:\n  - {on: NOOP, script: [answer: 200 Yes indeed]}\n").unwrap();
    let defect = "data-ends-without-close-notify";
    let served = Served::start(&["--defect", defect, "--rules", rules.to_str().unwrap(), "--tls", "rustls"]);
    assert!(served.head.contains("rustls ") && served.head.contains(defect), "{}", served.head);
    let met = served.met_by("ftp", READS);
    assert_eq!(met.code, 1, "{}", met.stdout);
    assert!(met.stdout.contains(defect), "{}", met.stdout);
    let (_, said) = served.ended_by(Signal::TERM);
    assert!(said.contains("  server   -- rule for LIST\n"), "{said}");
    assert!(said.contains(" octets, FIN\n"), "{said}");
}

#[rstest]
#[case(&["--implicit"], "ftps", "127.0.0.1:")]
#[case(&["-6"], "ftp", "[::1]:")]
fn it_speaks_implicit_tls_and_ipv6(#[case] arguments: &[&str], #[case] scheme: &str, #[case] address: &str) {
    if arguments == ["-6"] && TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no ::1");
        return;
    }
    let served = Served::start(arguments);
    assert!(served.address.starts_with(address), "{}", served.head);
    let met = served.met_by(scheme, READS);
    assert_eq!(met.code, 0, "{}{}", met.stdout, met.stderr);
    assert_eq!(served.ended_by(Signal::INT).0, Some(0));
}

#[test]
fn once_is_one_session_and_a_signal_before_it_is_an_interruption() {
    let served = Served::start(&["--once"]);
    // A client that says nothing and leaves.
    drop(std::net::TcpStream::connect(&served.address).unwrap());
    let (status, said) = served.ended();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.trim_end().lines().last().is_some_and(|line| line.starts_with("  1  over after ")), "{said}");
    assert_eq!(Served::start(&["--once"]).ended_by(Signal::INT).0, Some(130));
}

#[test]
fn certificates_are_made_in_a_folder_of_the_users_and_found_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certs");
    let arguments = ["--certs", certificates.to_str().unwrap()];
    let served = Served::start(&arguments);
    let before = fs::read(certificates.join("ca.pem")).unwrap();
    assert_eq!(served.ca, certificates.join("ca.pem").to_str().unwrap());
    assert_eq!(served.met_by("ftp", READS).code, 0);
    served.ended_by(Signal::INT);
    let again = Served::start(&arguments);
    assert_eq!(fs::read(certificates.join("ca.pem")).unwrap(), before);
    assert_eq!(again.met_by("ftp", READS).code, 0);
    again.ended_by(Signal::INT);
}

#[test]
fn a_port_that_is_taken_ends_with_3_and_says_what_helps() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = ran(&["serve", "--port", &port]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("name another --port, or none for a free one"), "{}", ran.stderr);
}

#[rstest]
#[case(&["--defect", "split-line-never-answere"], "did you mean `split-line-never-answered`?")]
#[case(&["--defect", "client-leaves-unread-data"], "is a defect of the reference client, and this is the server")]
#[case(&["--defect", "resumption-refused", "--defect", "reuse-offered"], "no defect is named `reuse-offered`")]
#[case(&["--defect", "retr-empty-never-accepts", "--defect", "data-ends-without-close-notify"], "a rule for RETR")]
#[case(&["--rules", "no/such.yaml"], "no/such.yaml")]
fn what_cannot_be_served_ends_with_2(#[case] arguments: &[&str], #[case] said: &str) {
    let ran = ran(&[&["serve"], arguments].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn a_wrong_file_of_rules_is_shown_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, "settings: {reuse: demandet}\n").unwrap();
    let ran = ran(&["serve", "--rules", rules.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("rules.yaml:1:19") && ran.stderr.contains("demanded"), "{}", ran.stderr);
}
