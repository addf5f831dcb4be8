use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::*;
use crate::sample;

/// What a reader makes of the file: each element as its path and attributes, and all text.
#[derive(Debug, Default)]
struct Read {
    suites: Vec<HashMap<String, String>>,
    cases: Vec<HashMap<String, String>>,
    /// The element of each case that says how it went, with its attributes.
    outcomes: Vec<(String, HashMap<String, String>)>,
    text: String,
}

fn read(xml: &str) -> Read {
    let mut reader = Reader::from_str(xml);
    let mut read = Read::default();
    loop {
        match reader.read_event().expect("it is well-formed") {
            Event::Start(element) | Event::Empty(element) => {
                let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
                match name.as_str() {
                    "testsuite" => read.suites.push(attributes(&element)),
                    "testcase" => read.cases.push(attributes(&element)),
                    "failure" | "error" | "skipped" => read.outcomes.push((name, attributes(&element))),
                    _ => {}
                }
            }
            Event::CData(data) => read.text.push_str(std::str::from_utf8(&data).unwrap()),
            Event::Text(text) => read.text.push_str(&text.decode().unwrap()),
            Event::Eof => return read,
            _ => {}
        }
    }
}

fn attributes(element: &BytesStart<'_>) -> HashMap<String, String> {
    let pairs = element.attributes().map(|attribute| {
        let attribute = attribute.expect("it is well-formed, and stands once");
        let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
        (key, attribute.unescape_value().expect("it is escaped").into_owned())
    });
    pairs.collect()
}

fn outcome<'a>(read: &'a Read, kind: &str) -> Vec<(&'a str, &'a str)> {
    let of_kind = read.outcomes.iter().filter(|(_, attributes)| attributes["type"] == kind);
    of_kind.map(|(element, attributes)| (element.as_str(), attributes["message"].as_str())).collect()
}

#[test]
fn the_sample_is_as_committed() {
    insta::assert_snapshot!(render(&sample::results(), false));
}

#[test]
fn each_verdict_has_its_element() {
    let read = read(&render(&sample::results(), false));
    assert_eq!(outcome(&read, "fail")[0].0, "failure");
    assert_eq!(outcome(&read, "untestable")[0].0, "failure");
    assert_eq!(outcome(&read, "stale")[0].0, "failure");
    assert_eq!(outcome(&read, "error")[0].0, "error");
    assert_eq!(outcome(&read, "skip")[0], ("skipped", "capability: no tickets (the probe saw none on TLS 1.2)"));
    assert!(outcome(&read, "known")[0].1.starts_with("known: vsftpd takes PROT before PBSZ"));
    assert_eq!(outcome(&read, "warn"), []);
    assert!(read.text.contains("550 TLS handshake failed"), "a warning that passes keeps its text");
}

#[test]
fn a_warning_fails_only_a_strict_run() {
    let read = read(&render(&sample::results(), true));
    let message = outcome(&read, "warn")[0].1;
    assert!(message.starts_with("plaintext-in-handshake: the server answered in plaintext"), "{message}");
}

#[test]
fn the_time_stamp_is_the_runs() {
    let read = read(&render(&sample::results(), false));
    assert_eq!(read.suites[0]["timestamp"], "2026-11-20T21:48:00Z");
}

#[test]
fn a_run_that_a_signal_ended_is_not_green() {
    let mut results = sample::results();
    results.results.retain(|result| result.verdict == Verdict::Pass);
    results.stale.clear();
    results.interrupted = Some(Signal::Terminate);
    let read = read(&render(&results, false));
    assert_eq!(outcome(&read, "error"), [("error", "a signal ended the run early: terminate")]);
}

#[test]
fn names_are_short_and_unique() {
    let mut results = sample::results();
    let mut twin = results.results[0].clone();
    let leaf = twin.id.rsplit_once('/').unwrap().1.to_owned();
    twin.id = format!("client/other/{leaf}");
    results.results = vec![results.results[0].clone(), twin, results.results[1].clone(), results.results[1].clone()];
    let read = read(&render(&results, false));
    let names: Vec<_> = read.cases.iter().map(|case| case["name"].as_str()).collect();
    assert_eq!(names[0], sample::results().results[0].name(), "two share a last part: both are told in full");
    assert!(names[1].starts_with("client/other/"));
    assert_eq!(names[3], format!("{} #2", names[2]));
}

proptest! {
    #[test]
    fn whatever_a_peer_sends_the_file_is_well_formed(text in hostile_text(), strict in any::<bool>()) {
        let results = sample::hostile(&text);
        let xml = render(&results, strict);
        prop_assert!(xml.chars().all(|c| c == '\n' || escape::is_harmless(c)));

        let read = read(&xml);
        let cases = results.results.len() + results.stale.len() + results.trouble.len();
        prop_assert_eq!(read.cases.len(), cases);
        prop_assert_eq!(&read.suites[0]["tests"], &cases.to_string());
        prop_assert!(!read.suites[0]["name"].is_empty());
        let names: HashSet<_> = read.cases.iter().map(|case| &case["name"]).collect();
        prop_assert_eq!(names.len(), cases, "names are unique");
        let count = |element: &str| read.outcomes.iter().filter(|(name, _)| name == element).count().to_string();
        prop_assert_eq!(&read.suites[0]["failures"], &count("failure"));
        prop_assert_eq!(&read.suites[0]["errors"], &count("error"));
        // Each result's notes hold the text: it is all there, as it is shown.
        let note = format!("note: {}", escape::line(&text));
        prop_assert!(read.text.contains(&note));
    }
}

/// Arbitrary text, with what is known to break files of this kind mixed in.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("]]>".to_owned()),
        Just("]]&gt;<![CDATA[".to_owned()),
        Just("\u{1b}[31m\0\u{fffe}\u{202e}".to_owned()),
        Just("\"<&'>--><?".to_owned()),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}
