//! The promises of README.md: its commands are run as they stand there, and the program says what the page shows. What
//! needs a container engine is run where there is one, or where `FTPSPEC_REQUIRE_CONTAINERS=1` says that there must be.

mod markdown;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use markdown::{Block, blocks, run, run_all, shows};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PAGE: &str = include_str!("../../../README.md");

/// How the page calls the program before it is installed.
const NOT_INSTALLED: &str = "cargo run --locked -- ";
/// More than chance needs.
const TRIES: usize = 10;
/// Where the page's own server is said to listen.
const PAGE_PORT: &str = ":2121";
/// The page's image, which these tests do not build unless they must: that takes minutes on a machine that has no base.
const IMAGE: &str = "localhost/ftpspec-vsftpd:bookworm";

#[test]
fn the_main_command_passes_and_writes_its_junit_file() {
    let folder = checkout();
    let block = marked("main command");
    let command = only_command(&block);
    let arguments = command.strip_prefix(NOT_INSTALLED).expect("it runs the program from the checkout");
    let output = run(folder.path(), &format!("ftpspec {arguments}"), &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let file = arguments.split_whitespace().last().expect("it names a file");
    let junit = fs::read_to_string(folder.path().join(file)).expect("it is written");
    assert!(junit.contains("<testsuites"), "{junit}");
}

#[test]
fn the_test_command_runs_every_test_of_the_workspace() {
    assert_eq!(only_command(&marked("test command")), "cargo test --workspace --locked");
}

#[test]
fn every_other_command_ends_as_the_page_says_and_shows_what_it_shows() {
    let folder = checkout();
    let mut output = String::new();
    for block in blocks(PAGE) {
        match block.mark.as_str() {
            "main command" | "test command" | "needs containers" | "needs a server" | "needs a partner"
            | "needs a client" | "builds the server" | "starts the server" | "shows the finding" | "serves"
            | "shows the session" => {}
            "shows" => shows(&block, &output),
            _ if !block.commands().is_empty() => output = run_all(folder.path(), &block, &[]),
            _ => {}
        }
    }
}

#[test]
fn the_file_for_a_server_of_ones_own_starts_it_and_the_first_finding_is_as_shown() {
    let folder = checkout();
    let program = Path::new(env!("CARGO_BIN_EXE_ftpspec"));
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let build = run(&top, &only_command(&marked("builds the server")), &[("CARGO_NET_OFFLINE", "true")]);
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    // Where a build puts its programs, as the page's file has it.
    fs::create_dir(folder.path().join("target")).expect("a folder can be made");
    symlink(program.parent().expect("a program lies in a folder"), folder.path().join("target/debug"))
        .expect("a link can be made");
    let file = blocks(PAGE).into_iter().find(|block| block.file == "my-server.yaml").expect("the page shows the file");
    fs::write(folder.path().join(&file.file), &file.text).expect("it can be written");
    let lint = run(folder.path(), "ftpspec lint my-server.yaml", &[]);
    assert_eq!(lint.status.code(), Some(0), "{}", String::from_utf8_lossy(&lint.stderr));

    let command = only_command(&marked("starts the server"));
    // libunftp 0.24.0 takes our ClientHello for a command, by chance and seldom (harness/interop/tests/support).
    let outputs = (0..TRIES).map(|_| run(folder.path(), &command, &[]));
    let output = outputs
        .map(|output| (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
        .find(|(_, said)| !said.contains("plaintext-in-handshake"))
        .expect("chance is not that bad");
    assert_eq!(output.0, Some(1), "{}", output.1);
    shows(&marked("shows the finding"), &output.1);
}

#[test]
fn the_command_for_a_server_of_ones_own_is_understood_and_finds_none_here() {
    let folder = checkout();
    let certificates = run(folder.path(), "ftpspec certs .", &[]);
    assert!(certificates.status.success(), "{}", String::from_utf8_lossy(&certificates.stderr));
    let block = marked("needs a server");
    let command = only_command(&block);
    assert!(command.contains(PAGE_PORT), "{command}");
    let command = command.replace(PAGE_PORT, &format!(":{}", free_port()));
    let output = run(folder.path(), &command, &[("FTP_PASSWORD", "secret")]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_server_on_its_own_lies_to_a_client_and_shows_the_session() {
    let folder = checkout();
    let command = only_command(&marked("serves"));
    assert!(command.ends_with(&format!("--port {}", &PAGE_PORT[1..])), "{command}");
    let port = free_port().to_string();
    let mut words = command.split_whitespace().map(|word| if word == &PAGE_PORT[1..] { port.as_str() } else { word });
    assert_eq!(words.next(), Some("ftpspec"));
    let mut server = Command::new(env!("CARGO_BIN_EXE_ftpspec"));
    let mut server = server.args(words).stdout(Stdio::piped()).spawn().expect("it was built");
    let mut said = BufReader::new(server.stdout.take().expect("it is piped"));
    let mut head = String::new();
    while !head.contains("  lftp ") {
        assert_ne!(said.read_line(&mut head).expect("it is text"), 0, "{head}");
    }
    let told = |label: &str| {
        let line = head.lines().find_map(|line| line.trim().strip_prefix(label));
        line.expect("the head tells it").trim().to_owned()
    };
    let client = format!(
        "ftpspec run server/data/retr-close-notify@engine=rustls,version=1.3,transfer=LIST --server \
         ftp://ftpspec@localhost:{port} --connect-to 127.0.0.1:{port} --ca-file {} --password-env SERVED",
        told("trust")
    );
    let met = run(folder.path(), &client, &[("SERVED", &told("password"))]);
    assert_eq!(met.status.code(), Some(1), "{}", String::from_utf8_lossy(&met.stdout));
    kill_process(Pid::from_child(&server), Signal::INT).expect("it runs");
    let mut shown = String::new();
    said.read_to_string(&mut shown).expect("it is text");
    assert!(server.wait().expect("it ends").success());
    // Which session it was is the client's choice.
    let without_number =
        |text: &str| text.lines().map(|line| line.get(3..).unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let block = marked("shows the session");
    shows(&Block { text: without_number(&block.text), ..block }, &without_number(&shown));
}

#[test]
fn the_file_that_describes_a_partner_is_right_and_its_host_is_found_nowhere() {
    let folder = checkout();
    let certificates = run(folder.path(), "ftpspec certs .", &[]);
    assert!(certificates.status.success(), "{}", String::from_utf8_lossy(&certificates.stderr));
    let file = blocks(PAGE).into_iter().find(|block| block.file == "partner.yaml").expect("the page shows the file");
    // Nobody's server is to be met by a test: a name under `invalid` belongs to nobody (RFC 6761).
    fs::write(folder.path().join(&file.file), file.text.replace("ftps.example.com", "ftpspec.invalid"))
        .expect("it can be written");
    let commands = marked("needs a partner").commands();
    let statuses: Vec<_> = commands
        .iter()
        .map(|command| run(folder.path(), command, &[("ACME_PASSWORD", "secret")]).status.code())
        .collect();
    assert_eq!(statuses, [Some(0), Some(3)], "{commands:?}");
}

#[test]
fn the_file_that_describes_a_client_is_right_and_plays_where_its_program_is_installed() {
    let folder = checkout();
    let file = blocks(PAGE).into_iter().find(|block| block.file == "my-client.yaml").expect("the page shows the file");
    fs::write(folder.path().join(&file.file), file.text).expect("it can be written");
    let block = marked("needs a client");
    let commands = block.commands();
    let (lint, play) = commands.split_first().expect("it has two commands");
    assert_eq!(run(folder.path(), lint, &[]).status.code(), Some(0));
    if !succeeds("curl", &["--version"]) {
        println!("skipped: no curl here");
        return;
    }
    run_all(folder.path(), &Block { text: play.join("\n"), ..block }, &[]);
}

#[test]
fn the_commands_for_containers_work_where_there_is_an_engine() {
    let required = std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1");
    if !required && !succeeds("docker", &["image", "inspect", IMAGE]) {
        println!("skipped: no container engine here, or no image {IMAGE}");
        return;
    }
    let folder = checkout();
    let mut run = 0;
    for block in blocks(PAGE).iter().filter(|block| block.mark == "needs containers") {
        run_all(folder.path(), block, &[]);
        run += 1;
    }
    assert!(run > 0);
}

#[test]
fn every_file_that_the_page_links_to_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut links = 0;
    for link in PAGE.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !link.starts_with("https://") {
            assert!(top.join(link).exists(), "{link}");
            links += 1;
        }
    }
    assert!(links > 0);
}

/// A folder in which the page's relative paths lead where they do in a checkout; what is written stays in it.
fn checkout() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["scenarios", "fixtures"] {
        symlink(top.join(name), folder.path().join(name)).expect("a link can be made");
    }
    folder
}

fn marked(mark: &str) -> Block {
    let mut found = blocks(PAGE).into_iter().filter(|block| block.mark == mark);
    let block = found.next().unwrap_or_else(|| panic!("README.md has a block below <!-- {mark} -->"));
    assert!(found.next().is_none(), "only one block is <!-- {mark} -->");
    block
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it listens").port()
}

fn only_command(block: &Block) -> String {
    let mut commands = block.commands();
    assert_eq!(commands.len(), 1, "line {}: one command", block.line);
    commands.remove(0)
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
