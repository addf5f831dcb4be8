//! The endpoint is vsftpd in a container: its files and its log show what a run did to it. Where no engine answers, or
//! the image was not built, these tests pass without a look, unless `FTPSPEC_REQUIRE_CONTAINERS=1` says that there must
//! be one.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use ftpspec_peers::containers::{DEFAULT_SUITE, PeerImage, RunningPeer, StartOptions, has_image, start};
use ftpspec_peers::pki::Pki;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::program::{Ran, command, finished};
use super::reference::scenarios_learnt_from;

#[test]
fn a_read_only_run_leaves_files_and_log_as_they_should_be() {
    let Some(partner) = Partner::start("strict") else { return };
    let before = partner.tree();
    let ran = partner.run("allow: [read]\nprovides: [clear-data-refused, reuse-demanded]\n", &["-q", "--timeout", "3"]);
    assert!(ran.code < 2, "{}{}", ran.stdout, ran.stderr);
    let (learnt, all) = scenarios_learnt_from(&partner.results());
    assert!(learnt * 2 >= all, "{learnt} of {all}: {}{}", ran.stdout, partner.results()["probe"]);
    assert_eq!(partner.tree(), before);
    let log = partner.log();
    assert!(log.contains("OK LOGIN"), "it is the log: {log}");
    for never in ["\"STOR", "\"APPE", "\"STOU", "\"DELE", "\"MKD", "\"RMD", "\"RNFR", "\"SITE", "FAIL LOGIN"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(never)).collect();
        assert!(lines.is_empty(), "{lines:?}");
    }
}

#[test]
fn the_scratch_folder_is_left_as_it_was_found() {
    let Some(partner) = Partner::start("lax") else { return };
    let before = partner.tree();
    let ran = partner.run(MAY_WRITE, &["-q", "--timeout", "3", "server/data", "server/prot"]);
    assert!(ran.code < 2, "{}{}", ran.stdout, ran.stderr);
    assert!(partner.log().contains("OK UPLOAD"), "something was uploaded");
    assert_eq!(partner.tree(), before);
}

#[test]
fn the_scratch_folder_is_left_as_it_was_found_after_an_upload_that_went_wrong() {
    let Some(partner) = Partner::start("lax") else { return };
    let before = partner.tree();
    let own = partner.scenario("send: NOOP\n  - reply: 599");
    let ran = partner.run(MAY_WRITE, &["-q", "server/mine", "--scenarios", &own]);
    assert_eq!(partner.results()["summary"]["warn"], 4, "{}{}", ran.stdout, ran.stderr);
    assert!(partner.log().contains("OK UPLOAD"), "{}", partner.log());
    assert_eq!(partner.tree(), before);
}

#[test]
fn the_scratch_folder_is_left_as_it_was_found_after_ctrl_c_and_the_session_is_ended_in_order() {
    let Some(partner) = Partner::start("lax") else { return };
    let before = partner.tree();
    let own = partner.scenario("silence: {on: control, for: 60s}");
    let target = partner.written(&described(CA_FILE, MAY_WRITE));
    let place = partner.peer().address().to_string();
    let arguments = ["run", "server/mine", "-q", "--target", &target, "--connect-to", &place, "--scenarios", &own];
    let mut child = command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    partner.waits_for("OK UPLOAD");
    assert_ne!(partner.tree(), before, "the upload is there");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert_eq!(partner.tree(), before);
    let log = partner.log();
    let after: Vec<_> = log.lines().skip_while(|line| !line.contains("OK UPLOAD")).collect();
    let at = |word: &str| after.iter().position(|line| line.contains(word));
    assert!(at("\"QUIT\"").is_some_and(|quit| Some(quit) < at("\"DELE ")), "{after:#?}");
}

#[test]
fn the_client_certificate_of_a_target_is_shown_wherever_it_is_asked_for() {
    let Some(partner) = Partner::start("client-certificate") else { return };
    for name in ["client-a.pem", "client-a.key"] {
        fs::copy(Pki::cached().unwrap().dir().join(name), partner.folder.path().join(name)).unwrap();
    }
    let selector = "server/data/retr-close-notify@transfer=LIST";
    let without = partner.run("allow: [read]\n", &["-q", selector]);
    assert_eq!(without.code, 3, "{}{}", without.stdout, without.stderr);
    let tls = "ca-file: ca.pem, client-certificate: client-a.pem, client-key: {file: client-a.key}";
    let with = partner.run_target(&described(tls, "allow: [read]\n"), &["-q", selector]);
    assert_eq!(with.code, 0, "{}{}", with.stdout, with.stderr);
}

#[test]
fn a_refused_login_is_tried_once() {
    let Some(partner) = Partner::start("lax") else { return };
    fs::write(partner.folder.path().join("password"), "another password\n").unwrap();
    let ran = partner.run("allow: [read]\n", &["-v"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let told = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("; look at user and password: "), "{}", ran.stdout);
    let log = partner.log();
    assert_eq!(log.lines().filter(|line| line.contains("FAIL LOGIN")).count(), 1, "{log}");
    assert!(!(ran.stdout + &partner.results().to_string()).contains("another password"));
}

/// vsftpd as somebody else runs it, and a folder with the target that describes it.
struct Partner {
    /// Taken by `drop` only.
    peer: Option<RunningPeer>,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Partner {
    fn start(configuration: &str) -> Option<Self> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let image = PeerImage::built_here("vsftpd", DEFAULT_SUITE);
        let required = std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1");
        let there = runtime.block_on(has_image(&image));
        if !matches!(there, Ok(true)) {
            assert!(!required, "{image}: {there:?}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir_all(files.join("empty-directory")).unwrap();
        fs::write(files.join("welcome.txt"), "Welcome\n").unwrap();
        fs::write(files.join("nothing.bin"), "").unwrap();
        let pki = Pki::cached().unwrap();
        fs::copy(pki.dir().join("ca.pem"), folder.path().join("ca.pem")).unwrap();
        fs::write(folder.path().join("password"), "a password\n").unwrap();
        let mut options = StartOptions::new(configuration, pki.dir(), &files);
        "a password".clone_into(&mut options.password);
        options.log = Some(LOG.to_owned());
        let peer = runtime.block_on(start(&image, &options)).unwrap();
        Some(Self { peer: Some(peer), folder, runtime })
    }

    fn peer(&self) -> &RunningPeer {
        self.peer.as_ref().expect("it runs as long as this")
    }

    /// The path of a target with this text.
    fn written(&self, target: &str) -> String {
        let path = self.folder.path().join("partner.yaml");
        fs::write(&path, target).unwrap();
        text(&path)
    }

    fn run(&self, more: &str, arguments: &[&str]) -> Ran {
        self.run_target(&described(CA_FILE, more), arguments)
    }

    /// The binary against it. The certificate is for `localhost`, which leads elsewhere.
    fn run_target(&self, target: &str, arguments: &[&str]) -> Ran {
        let (target, json) = (self.written(target), text(&self.json()));
        let place = self.peer().address().to_string();
        let own = ["run", "--target", &target, "--connect-to", &place, "--json", &json];
        finished(&mut command(&[&own[..], arguments].concat()))
    }

    /// A folder with one scenario: an upload, and then this act.
    fn scenario(&self, last: &str) -> String {
        let folder = self.folder.path().join("scenarios");
        fs::create_dir_all(folder.join("server/mine")).unwrap();
        let text_of_it = format!(
            "title: Uploads, and then does something else\nlevel: field\neffects: write\nneeds: [EPSV]\n\
             why: An upload that nobody removes.\nsteps:\n  - login\n  - open: EPSV\n  - send: STOR ${{upload}}\n  \
             - reply: 1yz\n  - handshake: data\n  - deliver: text\n  - close_notify: data\n  - FIN: data\n  \
             - reply: 226\n  - {last}\n"
        );
        fs::write(folder.join("server/mine/uploads.yaml"), text_of_it).unwrap();
        text(&folder)
    }

    /// Every folder and file below the login's root, with digests.
    fn tree(&self) -> String {
        let list =
            "cd /ftpspec/home && find . -printf '%y %p %m %u\\n' | sort && find . -type f -exec sha256sum {} + | sort";
        let output = Command::new("docker").args(["exec", self.peer().id(), "sh", "-c", list]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The whole log, from its beginning.
    fn log(&self) -> String {
        self.runtime.block_on(self.peer().logs()).unwrap()
    }

    /// Waits until the log has a line with these words.
    fn waits_for(&self, words: &str) {
        let follow = ["exec", self.peer().id(), "timeout", PATIENCE, "tail", "-n", "+1", "-f", LOG];
        let mut child = Command::new("docker").args(follow).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.map_while(Result::ok).any(|line| line.contains(words));
        _ = child.kill();
        _ = child.wait();
        assert!(said, "{}", self.log());
    }

    fn json(&self) -> std::path::PathBuf {
        self.folder.path().join("results.json")
    }

    fn results(&self) -> Value {
        serde_json::from_slice(&fs::read(self.json()).unwrap()).unwrap()
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // Its container is removed by the runtime.
        let _entered = self.runtime.enter();
        drop(self.peer.take());
    }
}

/// The text of a target with these lines at its end.
fn described(tls: &str, more: &str) -> String {
    format!(
        "title: Example partner\nserver: ftp://ftpspec@localhost\npassword: {{file: password}}\ntls: {{{tls}}}\n{more}"
    )
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

const CA_FILE: &str = "ca-file: ca.pem";

const MAY_WRITE: &str = "allow: [read, write]\nfixtures: {scratch: scratch}\n";

const LOG: &str = "/var/log/vsftpd.log";

/// Seconds: a start of the binary on a machine that is busy building.
const PATIENCE: &str = "60";
