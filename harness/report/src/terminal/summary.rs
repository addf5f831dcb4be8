//! What stands below the findings: what is known, noted, skipped and stale, one line for each topic, and the counts.
//! Each part is empty if there is nothing to tell.

use std::collections::BTreeMap;

use ftpspec_results::{CaseResult, Results, Summary, Verdict};

use super::Options;
use super::paint::Paint;
use crate::{escape, layout};

/// The unknown results of one verdict, grouped where a person would see the same thing twice: same scenario, same
/// place in it, same diagnosis, same reason.
pub(super) fn alike(results: &[CaseResult], verdict: Verdict) -> Vec<Vec<&CaseResult>> {
    let sight = |result: &CaseResult| {
        let place = result.evidence.as_ref().map(|evidence| (evidence.file.clone(), evidence.line, evidence.column));
        let diagnosis = result.diagnosis.as_ref().map(|diagnosis| diagnosis.id.clone());
        (result.id.clone(), place, diagnosis, result.reason.clone())
    };
    let mut groups: Vec<(_, Vec<&CaseResult>)> = Vec::new();
    for result in results.iter().filter(|result| result.verdict == verdict && result.known.is_none()) {
        let sight = sight(result);
        match groups.iter_mut().find(|(seen, _)| *seen == sight) {
            Some((_, group)) => group.push(result),
            None => groups.push((sight, vec![result])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Known deviations, grouped by why they are put up with.
pub(super) fn known(results: &Results, options: &Options, paint: Paint) -> String {
    let known = results.results.iter().filter_map(|result| result.known.as_ref().map(|known| (known, result)));
    let entries = known.map(|(known, result)| {
        let until = known.until.as_ref().map(|until| format!(" (until {until})")).unwrap_or_default();
        (format!("{}: {}{until}", result.verdict, known.reason), result)
    });
    grouped("known deviations", entries, options, paint)
}

/// Notes, grouped by what they say.
pub(super) fn notes(results: &Results, options: &Options, paint: Paint) -> String {
    let entries = results.results.iter().flat_map(|result| result.notes.iter().map(move |note| (note.clone(), result)));
    grouped("notes", entries, options, paint)
}

/// Skips, grouped by reason.
pub(super) fn skips(results: &Results, options: &Options, paint: Paint) -> String {
    let skipped = results.results.iter().filter(|result| result.verdict == Verdict::Skip);
    let entries = skipped.map(|result| (result.reason.clone().unwrap_or_else(|| "no reason given".to_owned()), result));
    grouped("skipped", entries, options, paint)
}

/// Baseline entries that no longer hold.
pub(super) fn stale(results: &Results, options: &Options, paint: Paint) -> String {
    let lines = results.stale.iter().map(|entry| match entry.variant.as_str() {
        "" => format!("{}: {}", entry.id, entry.why),
        variant => format!("{}@{variant}: {}", entry.id, entry.why),
    });
    listed("stale baseline entries", lines, options, paint)
}

/// What failed the run as a whole.
pub(super) fn trouble(results: &Results, options: &Options, paint: Paint) -> String {
    let interrupted = results
        .interrupted
        .map(|signal| format!("a signal ended the run early ({signal}): what was not run is not counted below"));
    listed("trouble", results.trouble.iter().cloned().chain(interrupted), options, paint)
}

/// One line for each topic.
pub(super) fn topics(results: &Results, options: &Options, paint: Paint) -> String {
    let mut topics: BTreeMap<String, Vec<CaseResult>> = BTreeMap::new();
    for result in &results.results {
        let topic = if result.topic().is_empty() { "(no topic)" } else { result.topic() };
        topics.entry(escape::line(topic).into_owned()).or_default().push(result.clone());
    }
    if topics.is_empty() {
        return String::new();
    }
    let figures: usize = KINDS.iter().map(|(kind, _)| 2 + kind.len()).sum();
    let room = options.columns.saturating_sub(figures).max(NARROWEST_TOPIC);
    let width = topics.keys().map(|topic| layout::columns(topic)).max().unwrap_or(0).clamp(NARROWEST_TOPIC, room);

    let heads: String = KINDS.iter().map(|(kind, _)| format!("  {kind}")).collect();
    let mut out = format!("{}\n", paint.heading(&format!("{:width$}{heads}", "topic")));
    for (topic, results) in topics {
        let summary = Summary::of(&results);
        let topic = layout::clip(&topic, width);
        out.push_str(&topic);
        out.push_str(&" ".repeat(width - layout::columns(&topic)));
        for (kind, of) in KINDS {
            let figure = match of(&summary) {
                0 => "-".to_owned(),
                number => number.to_string(),
            };
            out.push_str(&format!("  {figure:>columns$}", columns = kind.len()));
        }
        out.push('\n');
    }
    out.push('\n');
    out
}

/// The counts; of those that are seldom wanted, such as are not 0: the whole is to fit on a line.
pub(super) fn last_line(results: &Results, options: &Options, paint: Paint) -> String {
    let Summary { pass, fail, warn, skip, untestable, error, known } = results.summary;
    let errors = if error == 1 { "error" } else { "errors" };
    let time = results.duration_ms.map(|duration| format!(" in {:.1} s", duration as f64 / 1000.0)).unwrap_or_default();
    let others = [(warn, "warned"), (skip, "skipped"), (untestable, "untestable"), (error, errors), (known, "known")];
    let others = others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    let line = format!("{pass} passed, {fail} failed{}{time}", others.collect::<String>());
    let line = layout::wrap(&line, options.columns).join("\n");
    let red = results.results.iter().any(|result| result.is_red(options.strict))
        || !(results.stale.is_empty() && results.trouble.is_empty() && results.interrupted.is_none());
    format!("{}\n", if red { paint.pointer(&line) } else { paint.good(&line) })
}

/// A duration in seconds: the first digits that tell anything.
pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{:.2} s", milliseconds as f64 / 1000.0)
}

/// A heading, and below it each distinct text with the results that it is said of.
fn grouped<'a>(
    heading: &str,
    entries: impl Iterator<Item = (String, &'a CaseResult)>,
    options: &Options,
    paint: Paint,
) -> String {
    let mut groups: Vec<(String, Vec<&CaseResult>)> = Vec::new();
    for (text, result) in entries {
        match groups.iter_mut().find(|(seen, _)| *seen == text) {
            Some((_, group)) => group.push(result),
            None => groups.push((text, vec![result])),
        }
    }
    if groups.is_empty() {
        return String::new();
    }
    // The commonest first; equals as they came.
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    let mut out = format!("{}\n", paint.heading(heading));
    for (text, group) in groups {
        let room = options.columns.saturating_sub(COUNT + 2);
        for (index, line) in layout::wrap(&escape::line(&text), room).iter().enumerate() {
            let count = if index == 0 { group.len().to_string() } else { String::new() };
            out.push_str(&format!("{count:>COUNT$}  {line}\n"));
        }
        for line in layout::wrap(&scenarios(&group), room.saturating_sub(2)) {
            out.push_str(&format!("{:COUNT$}    {}\n", "", paint.frame(&line)));
        }
    }
    out.push('\n');
    out
}

/// The scenarios of a group, each once, with how many of its variants.
fn scenarios(group: &[&CaseResult]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for result in group {
        match counts.iter_mut().find(|(id, _)| *id == result.id) {
            Some((_, count)) => *count += 1,
            None => counts.push((&result.id, 1)),
        }
    }
    let named = counts.iter().take(MOST_SCENARIOS).map(|(id, count)| match count {
        1 => escape::line(id).into_owned(),
        count => format!("{} ({count} variants)", escape::line(id)),
    });
    let mut named: Vec<_> = named.collect();
    if let Some(more) = counts.len().checked_sub(MOST_SCENARIOS).filter(|more| *more > 0) {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}

/// A heading, and below it one entry a line.
fn listed(heading: &str, lines: impl Iterator<Item = String>, options: &Options, paint: Paint) -> String {
    let mut out = String::new();
    for text in lines {
        // Several lines, where a peer that did not come up said so many.
        let lines = text.lines().flat_map(|line| layout::wrap(&escape::line(line), options.columns.saturating_sub(4)));
        for (index, part) in lines.enumerate() {
            let indent = if index == 0 { 2 } else { 4 };
            out.push_str(&format!("{:indent$}{part}\n", ""));
        }
    }
    if out.is_empty() { out } else { format!("{}\n{out}\n", paint.pointer(heading)) }
}

/// How a column finds its figure.
type Figure = fn(&Summary) -> usize;

/// The columns of the table of topics.
const KINDS: [(&str, Figure); 7] = [
    ("pass", |summary| summary.pass),
    ("fail", |summary| summary.fail),
    ("warn", |summary| summary.warn),
    ("skip", |summary| summary.skip),
    ("untestable", |summary| summary.untestable),
    ("error", |summary| summary.error),
    ("known", |summary| summary.known),
];

/// Columns of a topic's name, at least.
const NARROWEST_TOPIC: usize = 12;

/// Columns of the count before a group: a run has thousands of variants at most.
const COUNT: usize = 6;

/// How many scenarios of a group are named: the whole list stands in the JSON report.
const MOST_SCENARIOS: usize = 8;
