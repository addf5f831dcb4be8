//! The proof that every verdict can go both ways: it holds for what is embedded, and what was planted to break it is
//! named.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::program::{Ran, command, finished, planted, ran};

/// A scenario that any server passes, and that no defect makes fail.
const CANNOT_FAIL: &str = "\
title: A scenario that cannot fail
level: field
catches: [CATCHES]
vary: {open: [EPSV, PASV]}
steps:
  - login
  - open: ${open}
";

/// One that sees whether NOOP is answered.
const SEES: &str = "\
title: NOOP is answered with 200
level: must
clauses: [rfc959#4.1.3]
catches: [CATCHES]
steps:
  - login
  - send: NOOP
  - reply: {exact: 200}
";

const LIE: &str = "\
title: Refuses NOOP
source: by construction
rules:
  - {on: NOOP, script: [answer: 502]}
told-as: noop-refused
";

const DIAGNOSIS: &str = "\
title: NOOP is refused
when: [{command: {to: NOOP, by: us}}, {reply: {is: 5yz, to: NOOP}}, unmet]
at-fault: subject
say: NOOP was refused.
";

fn tested(folder: &TempDir, selectors: &[&str]) -> Ran {
    ran(&[&["selftest", "--scenarios", folder.path().to_str().unwrap()], selectors].concat())
}

fn catching(scenario: &str, defects: &str) -> String {
    scenario.replace("CATCHES", defects)
}

/// The scenario that sees a lie about NOOP, with this lie.
fn sees(lie: &str) -> Ran {
    let scenario = catching(SEES, "noop-is-refused");
    let files = [
        ("server/control/noop.yaml", scenario.as_str()),
        ("defects/server/noop-is-refused.yaml", lie),
        ("diagnoses/noop-refused.yaml", DIAGNOSIS),
    ];
    tested(&planted(&files), &["server/control/noop"])
}

#[test]
fn a_scenario_that_passes_and_can_fail_is_proven() {
    let ran = sees(LIE);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("1 of 1 defect caught, 100 %; 1 scenario, 0 faults"), "{}", ran.stdout);
    assert!(ran.stdout.contains("fail        server/control/noop\n"), "{}", ran.stdout);
}

#[test]
fn a_scenario_that_cannot_fail_is_named() {
    let scenario = catching(CANNOT_FAIL, "split-line-never-answered, retr-empty-closes-before-handshake");
    let ran = tested(&planted(&[("server/control/sees-nothing.yaml", &scenario)]), &["server/control/sees-nothing"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let said = "it cannot fail: pass with `retr-empty-closes-before-handshake` in all 8";
    assert!(ran.stdout.contains("  server/control/sees-nothing\n") && ran.stdout.contains(said), "{}", ran.stdout);
    assert!(ran.stdout.contains("retr-empty-closes-before-handshake: NOT CAUGHT"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 of 2 defects caught, 0 %"), "{}", ran.stdout);
}

#[test]
fn a_defect_that_no_scenario_catches_is_named() {
    // Only the whole self-test, which takes its time, asks for every defect.
    let files = [("defects/server/nobody-sees-it.yaml", LIE), ("diagnoses/noop-refused.yaml", DIAGNOSIS)];
    let ran = tested(&planted(&files), &["-q"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.starts_with("faults\n  the defect nobody-sees-it\n      no scenario names it in `catches`\n\n"),
        "what is embedded is sound: {}",
        ran.stdout
    );
    assert!(ran.stdout.contains("defects caught, 99 %"), "{}", ran.stdout);
}

#[test]
fn a_defect_that_is_told_otherwise_than_it_must_be_is_not_caught() {
    let ran = sees(&LIE.replace("told-as: noop-refused", "told-as: data-handshake-cut-short"));
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let said = "`noop-is-refused` is told as noop-refused, and not as";
    assert!(ran.stdout.contains(said) && ran.stdout.contains("0 of 1 defect caught"), "{}", ran.stdout);
}

#[test]
fn a_rule_that_never_fires_is_named_though_the_defect_is_caught() {
    let ran = sees(&LIE.replace("told-as", "  - {on: SITE, script: [answer: 502]}\ntold-as"));
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("its rule for SITE (line 5) never fired"), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 of 1 defect caught, 100 %; 1 scenario, 1 fault"), "{}", ran.stdout);
}

#[test]
fn a_rule_of_the_client_that_never_fires_is_named_too() {
    let scenario = "\
title: A file arrives
level: field
catches: [resets-behind-the-reply]
client: {get: [text]}
server: {}
expect: [client: succeeds]
";
    let lie = "\
title: Resets behind the reply
source: by construction
rules:
  - {on: get, script: [send: NOOP, reply: {exact: 500}]}
  - {on: put, script: [send: NOOP, reply: {exact: 500}]}
told-as: client-gives-up
";
    let diagnosis = "\
title: The client gives up
when: [{command: {to: NOOP, by: peer}}]
at-fault: subject
say: It gave up.
";
    let files = [
        ("client/data/arrives.yaml", scenario),
        ("defects/client/resets-behind-the-reply.yaml", lie),
        ("diagnoses/client-gives-up.yaml", diagnosis),
    ];
    let ran = tested(&planted(&files), &["client/data/arrives"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("its rule for put (line 5) never fired"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("its rule for get"), "{}", ran.stdout);
}

#[test]
fn a_scenario_that_fails_on_the_correct_peer_or_names_what_is_not_there_is_wrong() {
    let scenario = catching(SEES, "no-such-lie").replace("200}", "250}");
    let ran = tested(&planted(&[("server/control/noop.yaml", &scenario)]), &["server/control/noop"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    for said in ["fail on the correct peer", "it says that it catches `no-such-lie`, and there is no such defect"] {
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
    }
    let nothing = catching(SEES, "");
    let ran = tested(&planted(&[("server/control/noop.yaml", &nothing)]), &["server/control/noop"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("it names no defect: nothing shows that it can fail"), "{}", ran.stdout);
}

#[test]
fn the_matrix_shows_who_else_sees_a_defect() {
    let ran = ran(&["selftest", "--matrix", "server/data/retr-empty-file", "server/data/retr-close-notify"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let block = ran.stdout.split("\n  retr-empty-never-accepts\n").nth(1).expect("it has a block");
    assert!(block.starts_with("      fail        server/data/retr-empty-file\n"), "{block}");
    let seen = "  plaintext-data-in-spite-of-prot-p\n      fail        server/data/retr-close-notify\n";
    assert!(ran.stdout.contains(seen), "{}", ran.stdout);
}

#[test]
fn a_signal_ends_a_self_test_in_good_order_and_its_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("selftest.json");
    let mut started = command(&["selftest", "--matrix", "--json", json.to_str().unwrap()]);
    let mut child = started.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its first line is written when it listens for signals.
    let mut first = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, 130, "{}", ran.stdout);
    assert!(ran.stdout.contains("a signal ended it early (interrupt)"), "{}", ran.stdout);
    let told: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!((&told["interrupted"], &told["summary"]["faults"]), (&"interrupt".into(), &0.into()));
}

/// The sample in `reports/` is what the program says now; `FTPSPEC_WRITE_SAMPLES=1` writes it anew.
#[test]
fn the_committed_sample_is_what_a_self_test_says() {
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports");
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("selftest.json");
    let ran = finished(
        command(&[&["selftest", "--matrix", "--json", json.to_str().unwrap()], SAMPLE].concat()).env("NO_COLOR", "1"),
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let json = fs::read_to_string(json).unwrap();
    if std::env::var_os("FTPSPEC_WRITE_SAMPLES").is_some_and(|value| value == "1") {
        fs::write(reports.join("selftest.txt"), &ran.stdout).unwrap();
        fs::write(reports.join("selftest.json"), &json).unwrap();
    }
    let committed = |name| fs::read_to_string(reports.join(name)).unwrap();
    assert_eq!(without_chance(&committed("selftest.txt")), without_chance(&ran.stdout));
    assert_eq!(without_chance(&committed("selftest.json")), without_chance(&json));
}

/// What the sample is about: some scenarios of each role.
const SAMPLE: &[&str] = &["server/data/retr-empty-file", "server/passive/epsv", "client/data/get-close-notify"];

/// The lines, but for what no two runs share.
fn without_chance(text: &str) -> Vec<String> {
    let chance = |line: &&str| {
        ["\"started\"", "\"duration_ms\"", "\"rustls\"", "\"openssl\"", "\"version\""]
            .iter()
            .any(|it| line.contains(it))
    };
    let time = |line: &str| {
        line.rsplit_once(" in ").filter(|(_, time)| time.ends_with(" s")).map_or(line, |(before, _)| before).to_owned()
    };
    text.lines().filter(|line| !chance(line)).map(time).collect()
}
