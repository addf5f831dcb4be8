//! The JUnit file, which CI systems read: the dialect of `reports/schema/junit.xsd`, as Jenkins, GitLab and GitHub's
//! actions understand it. One suite for the subject, one test case for each result. It must be well-formed XML whatever
//! a peer sent, and must say nothing that the run did not: its time stamp is the run's, never now.

use std::collections::{HashMap, HashSet};

use ftpspec_results::{CaseResult, Known, Results, ServerLog, Signal, StaleEntry, Verdict};
use junit_report::{Report, TestCase, TestResult, TestSuite};
use time::Duration;

use crate::{escape, terminal};
use xml::{Cdata, Xml};

mod xml;

/// The file's text. `strict` makes a warning a failure, as it does for the exit status.
pub fn render(results: &Results, strict: bool) -> String {
    let names = Names::of(&results.results);
    let cases = results.results.iter().zip(names.0).map(|(result, name)| case(results, result, &name, strict));
    let cases = cases.chain(results.stale.iter().enumerate().map(|(index, entry)| stale(index, entry)));
    let cases = cases.chain(results.trouble.iter().enumerate().map(|(index, text)| trouble(index, text)));
    let cases = cases.chain(results.interrupted.map(interrupted));
    write(results, cases.map(Case::into_junit).collect())
}

/// One test case, in types that have passed the sanitiser: nothing else reaches the XML.
struct Case {
    name: Xml,
    classname: Xml,
    file: Option<Xml>,
    milliseconds: u64,
    outcome: Outcome,
    output: Option<Cdata>,
    /// What the server wrote meanwhile.
    error: Option<Cdata>,
}

enum Outcome {
    Passed,
    Skipped { kind: &'static str, message: Xml },
    Failed { kind: &'static str, message: Xml, trace: Cdata },
    Errored { message: Xml, trace: Cdata },
}

impl Case {
    /// The one door to the crate that writes the file.
    fn into_junit(self) -> TestCase {
        let result = match self.outcome {
            Outcome::Passed => TestResult::Success,
            Outcome::Skipped { kind, message } => {
                TestResult::SkippedWithCause { type_: kind.to_owned(), message: message.into_string(), cause: None }
            }
            Outcome::Failed { kind, message, trace } => TestResult::Failure {
                type_: kind.to_owned(),
                message: message.into_string(),
                cause: Some(trace.into_string()),
            },
            Outcome::Errored { message, trace } => TestResult::Error {
                type_: Verdict::Error.to_string(),
                message: message.into_string(),
                cause: Some(trace.into_string()),
            },
        };
        TestCase {
            name: self.name.into_string(),
            time: Duration::milliseconds(i64::try_from(self.milliseconds.min(LONGEST)).unwrap_or(0)),
            result,
            classname: Some(self.classname.into_string()),
            filepath: self.file.map(Xml::into_string),
            system_out: self.output.map(Cdata::into_string),
            system_err: self.error.map(Cdata::into_string),
        }
    }
}

fn case(run: &Results, result: &CaseResult, name: &str, strict: bool) -> Case {
    let message = || Xml::message(&message(result));
    let trace = || Cdata::new(&terminal::block(result, TRACE_COLUMNS));
    let outcome = match (&result.known, result.verdict) {
        (Some(known), _) => Outcome::Skipped { kind: "known", message: Xml::message(&reason_of(known)) },
        (None, Verdict::Pass) => Outcome::Passed,
        (None, Verdict::Warn) if !strict => Outcome::Passed,
        (None, Verdict::Skip) => Outcome::Skipped {
            kind: "skip",
            message: Xml::message(result.reason.as_deref().unwrap_or("no reason given")),
        },
        (None, Verdict::Error) => Outcome::Errored { message: message(), trace: trace() },
        (None, verdict @ (Verdict::Fail | Verdict::Warn | Verdict::Untestable)) => {
            Outcome::Failed { kind: verdict.as_str(), message: message(), trace: trace() }
        }
    };
    let topic = match result.topic() {
        "" => result.role.as_str().to_owned(),
        topic => topic.replace('/', "."),
    };
    Case {
        name: Xml::new(name),
        classname: Xml::new(&topic),
        file: (!result.file.is_empty()).then(|| Xml::new(&format!("scenarios/{}", result.file))),
        milliseconds: result.duration_ms,
        output: Some(output(run, result, &outcome)),
        error: result.server_log.as_deref().and_then(server_log),
        outcome,
    }
}

/// A baseline entry that no longer holds fails the run, so it is a test case of its own.
fn stale(index: usize, entry: &StaleEntry) -> Case {
    Case {
        name: Xml::new(&format!("stale baseline entry {}: {}@{}", index + 1, entry.id, entry.variant)),
        classname: Xml::new("baseline"),
        file: None,
        milliseconds: 0,
        outcome: Outcome::Failed { kind: "stale", message: Xml::message(&entry.why), trace: Cdata::new(&entry.why) },
        output: None,
        error: None,
    }
}

/// What failed the run as a whole, and is no scenario's.
fn trouble(index: usize, text: &str) -> Case {
    Case {
        name: Xml::new(&format!("trouble {}", index + 1)),
        classname: Xml::new("run"),
        file: None,
        milliseconds: 0,
        outcome: Outcome::Errored { message: Xml::message(text), trace: Cdata::new(text) },
        output: None,
        error: None,
    }
}

/// A file of passes alone would hide that the run was cut short.
fn interrupted(signal: Signal) -> Case {
    let text = format!("a signal ended the run early: {signal}");
    Case {
        name: Xml::new("interrupted"),
        classname: Xml::new("run"),
        file: None,
        milliseconds: 0,
        outcome: Outcome::Errored { message: Xml::message(&text), trace: Cdata::new(&text) },
        output: None,
        error: None,
    }
}

/// One line that says what is wrong: the diagnosis if there is one, else what was due and what came.
fn message(result: &CaseResult) -> String {
    if let Some(diagnosis) = &result.diagnosis {
        let first = diagnosis.text.lines().next().unwrap_or_default();
        return format!("{}: {first}", diagnosis.id);
    }
    if let Some(reason) = &result.reason {
        return reason.clone();
    }
    match &result.evidence {
        Some(evidence) => format!("due: {}; came: {}", evidence.due, evidence.came),
        None => result.title.clone(),
    }
}

fn reason_of(known: &Known) -> String {
    match &known.until {
        Some(until) => format!("known: {} (until {until})", known.reason),
        None => format!("known: {}", known.reason),
    }
}

/// What the format has no field for: first the facts, then what there is to say, then the conversation.
fn output(run: &Results, result: &CaseResult, outcome: &Outcome) -> Cdata {
    let subject = &run.subject;
    let mut facts = vec![
        format!("clauses: {}", if result.clauses.is_empty() { "none".to_owned() } else { result.clauses.join(", ") }),
        format!("level: {}", result.level),
        format!("{}: {} {}", subject.role, subject.name, subject.version.as_deref().unwrap_or("(version unknown)")),
        format!("libraries: rustls {}, openssl {}", run.libraries.rustls, run.libraries.openssl),
    ];
    if !result.field_cases.is_empty() {
        facts.push(format!("field cases: {}", result.field_cases.join(", ")));
    }
    facts.extend(result.notes.iter().map(|note| format!("note: {note}")));
    // Each fact is one line, or a peer's text could pass for a fact.
    let mut lines: Vec<_> = facts.iter().map(|fact| escape::line(fact).into_owned()).collect();
    // Where the format shows no trace (a warning passes, a known deviation is skipped), this is the only place.
    let has_trace = matches!(outcome, Outcome::Failed { .. } | Outcome::Errored { .. });
    if !has_trace && !matches!(result.verdict, Verdict::Pass | Verdict::Skip) {
        lines.push(String::new());
        lines.push(terminal::block(result, TRACE_COLUMNS).trim_end().to_owned());
    }
    if !matches!(result.verdict, Verdict::Pass | Verdict::Skip) && !result.transcript.is_empty() {
        lines.push(String::new());
        lines.extend(result.transcript.iter().map(|line| escape::line(line).into_owned()));
    }
    Cdata::new(&lines.join("\n"))
}

/// The other side's own words, under a heading that does not claim more than is known.
fn server_log(log: &ServerLog) -> Option<Cdata> {
    let mut lines = Vec::new();
    if let Some(how) = &log.ended {
        lines.push(format!("the server has ended: {how}"));
    }
    if !log.lines.is_empty() {
        lines.push(terminal::log_heading(log, log.clipped));
        lines.extend(log.lines.iter().cloned());
    }
    let lines: Vec<_> = lines.iter().map(|line| escape::line(line)).collect();
    (!lines.is_empty()).then(|| Cdata::new(&lines.join("\n")))
}

fn write(run: &Results, testcases: Vec<TestCase>) -> String {
    let subject = &run.subject;
    let name = [&subject.name, &subject.address].into_iter().find(|name| !name.trim().is_empty());
    let mut suite = TestSuite::new(Xml::new(name.map_or(run.tool.as_str(), String::as_str)).as_str());
    suite.package = Xml::new(&run.tool).into_string();
    suite.timestamp = run.started.moment();
    suite.testcases = testcases;
    let mut report = Report::new();
    report.add_testsuite(suite);

    let mut out = Vec::new();
    report.write_xml(&mut out).expect("memory takes all that is written");
    out.push(b'\n');
    String::from_utf8(out).expect("what is made of strings is UTF-8")
}

/// The test cases' names: the last part of the id and the variant, unique in the run, since some readers look at
/// nothing else.
struct Names(Vec<String>);

impl Names {
    fn of(results: &[CaseResult]) -> Self {
        let mut ids: HashMap<String, HashSet<&str>> = HashMap::new();
        for result in results {
            ids.entry(short(result)).or_default().insert(&result.id);
        }
        let mut taken = HashSet::new();
        let mut names = Vec::with_capacity(results.len());
        for result in results {
            let short = short(result);
            let name = if ids[&short].len() == 1 { short } else { result.name() };
            // The same variant twice, as --repeat makes it. Compared is what the file will hold.
            let numbered = (2..).map(|number| format!("{name} #{number}"));
            let unique = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(&Xml::new(name)));
            let unique = unique.expect("there are more numbers than results");
            taken.insert(Xml::new(&unique));
            names.push(unique);
        }
        Self(names)
    }
}

fn short(result: &CaseResult) -> String {
    let name = result.name();
    match result.topic() {
        "" => name,
        topic => name[topic.len() + 1..].to_owned(),
    }
}

/// How wide the trace is laid out: readers show it in a monospaced box of their own width.
const TRACE_COLUMNS: usize = 120;

/// One year, in milliseconds. No result took longer; a file that says so is a strange one, and must not overflow sums.
const LONGEST: u64 = 365 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests;
