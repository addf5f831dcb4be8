//! What goes to a terminal, and what to a pipe.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use rstest::rstest;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::program::{DEFECT, QUICK, command, ran};

#[test]
fn a_pipe_gets_no_escapes() {
    let ran = ran(&["run", QUICK, "--defect", DEFECT, "-v"]);
    assert_eq!(ran.code, 1);
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{}{}", ran.stdout, ran.stderr);
}

#[rstest]
#[case(None, true)]
#[case(Some("1"), false)]
fn a_terminal_gets_colours_unless_no_color_is_set(#[case] no_color: Option<&str>, #[case] coloured: bool) {
    let mut command = command(&["run", QUICK, "--defect", DEFECT]);
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let other_end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = command.stdout(other_end).stderr(Stdio::null()).spawn().unwrap();
    // The command holds the other end too, and would keep it open.
    drop(command);
    let mut shown = Vec::new();
    // Linux tells with an error that the last one has closed the other end.
    _ = File::from(terminal).read_to_end(&mut shown);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("FAIL"), "{shown}");
    assert_eq!(shown.contains("\u{1b}["), coloured, "{shown}");
}

#[rstest]
#[case(&["run", QUICK, "--defect", DEFECT, "-v"], 1)]
#[case(&["list", "-v"], 0)]
#[case(&["schema", "scenario"], 0)]
fn a_reader_that_goes_away_is_no_panic(#[case] arguments: &[&str], #[case] code: i32) {
    let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    // As `| head -1` does; the pipe closes with the reader.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(!first.is_empty());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn verbose_shows_the_conversation_and_quiet_only_what_is_red() {
    let verbose = ran(&["run", QUICK, "-v"]).stdout;
    assert!(verbose.contains("control  C> AUTH TLS"), "{verbose}");
    assert!(verbose.contains("PASS {redacted}"), "{verbose}");
    let quiet = ran(&["run", QUICK, "-q"]).stdout;
    assert_eq!(quiet.lines().count(), 1, "{quiet}");
}
