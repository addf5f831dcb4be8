//! The files that a run writes.

use std::fs;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::program::{DEFECT, QUICK, command, finished, ran, ran_in};

#[test]
fn the_json_file_is_as_the_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let ran = ran(&["run", "server/data/retr-empty-file", "--defect", DEFECT, "-q", "--json", path.to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    let results: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(results["tool"], "ftpspec");
    assert_eq!(results["version"], env!("CARGO_PKG_VERSION"));
    assert!(results["libraries"]["rustls"].is_string() && results["libraries"]["openssl"].is_string());
    assert_eq!(results["subject"]["role"], "server");
    assert!(results["started"].as_str().unwrap().ends_with('Z'));
    let cases = results["results"].as_array().unwrap();
    let failed: Vec<_> = cases.iter().filter(|case| case["verdict"] == "fail").collect();
    assert!(!failed.is_empty());
    for case in &failed {
        assert_eq!(case["id"], "server/data/retr-empty-file");
        assert!(case["variant"].as_str().unwrap().contains("engine="));
        assert_eq!(case["level"], "must");
        assert_eq!(case["diagnosis"]["id"], "data-handshake-cut-short");
        assert_eq!(case["diagnosis"]["at_fault"], "subject");
        assert!(case["known"].is_null() && case["duration_ms"].is_u64());
    }
    let counted: u64 = results["summary"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!((counted, &results["summary"]["fail"]), (cases.len() as u64, &Value::from(failed.len())));
}

#[test]
fn reports_are_written_from_any_folder_and_the_junit_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("a folder of mine");
    fs::create_dir(&place).unwrap();
    let ran = ran_in(&place, &["run", QUICK, "--defect", DEFECT, "-q", "--junit", "out/junit report.xml"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let (cases, failures) = cases_and_failures(&fs::read_to_string(place.join("out/junit report.xml")).unwrap());
    assert!(failures > 0 && failures <= cases, "{failures} of {cases}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().to_str().unwrap();
    let ran = ran(&["run", QUICK, "-q", "--junit", taken]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert!(ran.stderr.contains(&format!("write the report {taken}")), "{}", ran.stderr);
    assert!(ran.stdout.contains("0 failed"), "the run itself goes on: {}", ran.stdout);
}

#[test]
fn a_run_that_could_not_begin_writes_its_reports_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    let ran = ran(&["run", "--server", "ftp://no-such-host.invalid", "-q", "--junit", path.to_str().unwrap()]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert!(ran.stdout.contains("no-such-host.invalid"), "{}", ran.stdout);
    cases_and_failures(&fs::read_to_string(path).unwrap());
}

#[test]
fn the_journal_holds_the_run_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let ran = finished(command(&["run", QUICK, "-q"]).env("FTPSPEC_JOURNAL", &path));
    assert_eq!(ran.code, 0);
    let replay = ftpspec_results::Journal::read(&path).unwrap();
    let mut fold = ftpspec_results::Fold::new();
    fold.extend(&replay.events);
    let results = fold.results().unwrap();
    assert!(!replay.cut && results.duration_ms.is_some());
    assert_eq!(results.summary.pass, results.results.len());
}

#[test]
fn the_list_as_json_names_what_would_run() {
    let ran = ran(&["list", "server/data/*", "--json"]);
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    let listed = listed.as_array().unwrap();
    let row = listed.iter().find(|row| row["id"] == "server/data/retr-empty-file").unwrap();
    assert_eq!((row["level"].as_str(), row["effects"].as_str()), (Some("must"), Some("read")));
    assert!(row["field_cases"].as_array().unwrap().contains(&"IT13168".into()));
    assert!(row["variants"].as_array().unwrap().len() > 1);
    assert!(listed.iter().all(|row| row["id"].as_str().unwrap().starts_with("server/data/")));
}

/// Reads a JUnit file to its end; a file that is cut off is no XML.
pub fn cases_and_failures(text: &str) -> (usize, usize) {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut cases, mut failures, mut open) = (0, 0, 0_usize);
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error}\n{text}"));
        if let Event::Start(tag) | Event::Empty(tag) = &event {
            cases += usize::from(tag.name().as_ref() == b"testcase");
            failures += usize::from(tag.name().as_ref() == b"failure");
        }
        match event {
            Event::Start(_) => open += 1,
            Event::End(_) => open -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0, "{text}");
    assert!(text.contains("<testsuites"), "{text}");
    (cases, failures)
}
