use ftpspec_results::{Caret, ServerLog, SourceLine};
use proptest::prelude::*;

use super::*;
use crate::sample;

fn at(columns: usize) -> Options {
    Options { columns, ..Options::default() }
}

fn report(options: Options) -> String {
    run(options, &sample::events())
}

fn run(options: Options, events: &[RunEvent]) -> String {
    let mut terminal = Terminal::new(Vec::new(), options);
    for event in events {
        terminal.event(event).expect("memory takes all that is written");
    }
    String::from_utf8(terminal.into_inner()).expect("it is text")
}

fn widest(text: &str) -> usize {
    text.lines().map(layout::columns).max().unwrap_or(0)
}

#[test]
fn a_finding_at_120_columns() {
    insta::assert_snapshot!(block(&sample::warned(), 120));
}

#[test]
fn a_finding_at_80_columns() {
    insta::assert_snapshot!(block(&sample::warned(), 80));
}

#[test]
fn a_whole_run_at_80_columns() {
    insta::assert_snapshot!(report(at(80)));
}

#[test]
fn a_quiet_run_tells_what_is_red_and_the_counts() {
    insta::assert_snapshot!(report(Options { detail: Detail::Quiet, ..at(80) }));
}

#[test]
fn a_verbose_run_tells_everything_as_it_happens() {
    let text = report(Options { detail: Detail::Verbose, ..at(80) });
    let (live, _) = text.split_once("\n  FAIL  ").expect("the report follows");
    insta::assert_snapshot!(live);
}

/// Two conversations at the same time: the events of a run, and what they show.
#[test]
fn of_two_conversations_one_goes_on_and_the_other_is_kept_until_it_is_over() {
    let name = |index: usize| (["server/a", "server/b"][index].to_owned(), String::new());
    let started = |index| RunEvent::CaseStarted { id: name(index).0, variant: name(index).1, index };
    let line = |index, line: &str| {
        let (id, variant) = name(index);
        RunEvent::Transcript { id, variant, index, line: line.to_owned() }
    };
    let over = |index| RunEvent::CasePlayed { id: name(index).0, variant: name(index).1, index };
    let verdict = |index: usize| {
        let mut result = sample::case(&name(index).0, "", ftpspec_results::Level::Must, Verdict::Pass, "rfc959#4");
        result.index = index;
        RunEvent::CaseFinished(Box::new(result))
    };
    let mut terminal = Terminal::new(Vec::new(), Options { detail: Detail::Verbose, ..at(80) });
    let mut shown = 0;
    let mut due = |event: RunEvent, added: &str| {
        terminal.event(&event).expect("memory takes all that is written");
        let all = String::from_utf8_lossy(&terminal.out).into_owned();
        assert_eq!(&all[shown..], added, "{event:?}");
        shown = all.len();
    };
    due(started(0), "");
    due(started(1), "");
    // Who says something first is not kept waiting by who began first.
    due(line(1, "b1"), "server/b\n  b1\n");
    due(line(0, "a1"), "");
    due(line(1, "b2"), "  b2\n");
    due(over(1), "");
    due(verdict(1), "PASS server/b  0.08 s\n\nserver/a\n  a1\n");
    due(line(0, "a2"), "  a2\n");
    due(over(0), "");
    due(verdict(0), "PASS server/a  0.08 s\n");
}

#[test]
fn a_run_that_breaks_off_shows_what_was_kept() {
    let mut events = vec![sample::started()];
    for index in 0..2 {
        let (id, variant) = (format!("server/{index}"), String::new());
        events.push(RunEvent::CaseStarted { id: id.clone(), variant: variant.clone(), index });
        events.push(RunEvent::Transcript { id, variant, index, line: format!("line {index}") });
    }
    events.push(RunEvent::RunFinished { duration_ms: 5, stale: vec![] });
    let text = run(Options { detail: Detail::Verbose, ..at(80) }, &events);
    assert!(text.contains("server/0\n  line 0\n\nserver/1\n  line 1\n\n"), "{text}");
}

#[test]
fn a_long_line_of_a_conversation_loses_nothing() {
    let words: Vec<_> = (0..40).map(|word| format!("word{word}")).collect();
    let long = format!("control  <S 211-{}", words.join(" "));
    let (id, variant) = ("server/a".to_owned(), String::new());
    let events = [
        sample::started(),
        RunEvent::CaseStarted { id: id.clone(), variant: variant.clone(), index: 0 },
        RunEvent::Transcript { id, variant, index: 0, line: long.clone() },
        RunEvent::RunFinished { duration_ms: 5, stale: vec![] },
    ];
    let shown = run(Options { detail: Detail::Verbose, ..at(80) }, &events);
    assert!(widest(&shown) <= 80, "{shown}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert!(words(&shown).contains(&words(&long)), "{shown}");
    let whole = run(Options { detail: Detail::Verbose, whole_lines: true, ..at(80) }, &events);
    assert!(whole.contains(&format!("  {long}\n")), "{whole}");
}

#[test]
fn the_end_of_a_servers_log_stands_in_a_finding() {
    let mut result = sample::warned();
    let log = ServerLog {
        shared: false,
        lines: (0..20).map(|line| format!("line {line} {}", "said ".repeat(if line == 19 { 60 } else { 1 }))).collect(),
        clipped: false,
        ended: Some("signal: 6 (SIGABRT)".to_owned()),
    };
    result.server_log = Some(Box::new(log));
    let text = block(&result, 80);
    let (_, below) = text.split_once("        the server has ended").expect("it is told");
    insta::assert_snapshot!(format!("        the server has ended{below}"));
}

#[test]
fn skips_stand_by_reason() {
    insta::assert_snapshot!(summary::skips(&sample::results(), &at(80), Paint::new(false)));
}

#[test]
fn known_deviations_stand_by_reason() {
    insta::assert_snapshot!(summary::known(&sample::results(), &at(80), Paint::new(false)));
}

#[test]
fn a_run_that_a_signal_ended_says_so() {
    let mut events = sample::events();
    events.insert(5, sample::interrupted());
    events.truncate(6);
    events.push(RunEvent::Trouble { text: "no greeting from 127.0.0.1:2121 within 10 s".to_owned() });
    events.push(RunEvent::RunFinished { duration_ms: 700, stale: vec![] });
    insta::assert_snapshot!(run(at(80), &events));
}

#[test]
fn trouble_before_the_run_is_told_though_there_is_no_report() {
    let events = [
        RunEvent::Trouble { text: "no connection to 127.0.0.1:2121".to_owned() },
        RunEvent::RunFinished { duration_ms: 3, stale: vec![] },
    ];
    assert_eq!(run(at(80), &events), "no connection to 127.0.0.1:2121\n");
}

#[test]
fn what_a_peer_sends_moves_no_cursor() {
    let text = "\x1b]0;owned\x07\x1b[2J\u{9b}31m\u{202e}txt.exe\r\n221 Bye\u{200b} 日本";
    let results = sample::hostile(text);
    let finding = results.results.iter().find(|result| result.verdict == Verdict::Warn).expect("there is one");
    insta::assert_snapshot!(block(finding, 80));
}

#[test]
fn colours_are_only_for_those_who_ask() {
    assert!(!report(at(80)).contains('\x1b'));
    let coloured = report(Options { colour: true, ..at(80) });
    assert!(coloured.contains("\x1b[1m\x1b[31mFAIL\x1b[0m"), "{coloured:?}");
    let plain: String = coloured.split("\x1b[").map(without_code).collect();
    assert_eq!(plain, report(at(80)));
}

/// What follows an escape sequence's introducer, without the sequence.
fn without_code(text: &str) -> &str {
    match text.split_once('m') {
        Some((code, rest)) if code.chars().all(|character| character.is_ascii_digit()) => rest,
        _ => text,
    }
}

#[test]
fn a_strict_run_shows_warnings_even_when_quiet() {
    let quiet = |strict| report(Options { detail: Detail::Quiet, strict, ..at(80) });
    assert!(!quiet(false).contains("WARN"));
    assert!(quiet(true).contains("WARN"));
}

#[test]
fn what_is_underlined_is_in_view() {
    let mut result = sample::warned();
    let evidence = result.evidence.as_mut().expect("it has some");
    let text = format!("  - {{padding: {}, never: plaintext}}", "x".repeat(200));
    let column = text.find("never").expect("it is there") + 1;
    evidence.source = vec![SourceLine { number: 23, text }];
    evidence.caret = Some(Caret { line: 23, column, length: 5, label: "here".to_owned() });
    let text = block(&result, 80);
    let lines: Vec<_> = text.lines().collect();
    let caret = lines.iter().position(|line| line.contains("^^^^^ here")).expect("it is underlined");
    let before = |line: &str, what: &str| line.split(what).next().map(layout::columns);
    assert_eq!(before(lines[caret - 1], "never"), before(lines[caret], "^"), "{text}");
}

#[test]
fn alike_findings_are_told_once() {
    let text = report(at(80));
    assert_eq!(text.matches("FAIL  server/data/retr-close-notify").count(), 1);
    assert!(text.contains("as well  engine=openssl,version=1.2,open=EPSV"));
}

proptest! {
    #[test]
    fn whatever_a_peer_sends_is_harmless_and_fits(text in any::<String>(), columns in 60_usize..140) {
        let results = sample::hostile(&text);
        let report = render(&results, &at(columns));
        prop_assert!(report.chars().all(|c| c == '\n' || escape::is_harmless(c)), "{:?}", report);
    }

    #[test]
    fn what_can_be_wrapped_or_clipped_fits(said in "[a-z ]{0,300}", columns in 60_usize..140) {
        let mut result = sample::warned();
        let evidence = result.evidence.as_mut().expect("it has some");
        evidence.came = said.clone();
        evidence.conversation = vec![said.clone()];
        evidence.source[0].text = said.clone();
        evidence.by_hand = None;
        result.title = said;
        let text = block(&result, columns);
        prop_assert!(widest(&text) <= columns, "{}", text);
    }
}
