//! Explains what the judge found: the first diagnosis whose events stand in the log, in the words of its file.

use std::collections::BTreeMap;

use ftpspec_play::pattern::{is_called, matches};
use ftpspec_scenario::model::{AtFault, Diagnosis, EventKind, When};
use ftpspec_transcript::{By, Event, What, unasked_replies};
use ftpspec_wire::{alert_name, escaped};

/// How much of a peer's plaintext a diagnosis quotes.
const QUOTED: usize = 120;

/// A diagnosis that holds, and where its pattern came to its end.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// The diagnosis.
    pub diagnosis: &'a Diagnosis,
    /// The events of its pattern, in their order.
    pub events: Vec<usize>,
}

/// All diagnoses whose events stand in this log: the one that came to its end earliest first, then the longer pattern.
#[must_use]
pub fn diagnose<'a>(events: &[Event], diagnoses: &'a [Diagnosis]) -> Vec<Told<'a>> {
    let unasked = unasked_replies(events);
    let mut told: Vec<_> = diagnoses
        .iter()
        .filter_map(|diagnosis| {
            let found = find(&diagnosis.when, events, 0, &unasked)?;
            Some(Told { diagnosis, events: found })
        })
        .collect();
    told.sort_by_key(|told| {
        let last = told.events.last().copied().unwrap_or(usize::MAX);
        (last, std::cmp::Reverse(told.diagnosis.when.len()), told.diagnosis.id.clone())
    });
    told
}

/// The events that tell a `when`, from `from` on.
fn find(when: &[When], events: &[Event], from: usize, unasked: &[usize]) -> Option<Vec<usize>> {
    let absent = when.iter().take_while(|when| when.absent).count();
    let (absent, rest) = when.split_at(absent);
    let broken = |event: &Event| absent.iter().any(|when| matches(&when.pattern, event, None, None, unasked));
    let Some((first, rest)) = rest.split_first() else {
        // Nothing more may follow that must not.
        return (!events[from..].iter().any(broken)).then(Vec::new);
    };
    for (at, event) in events.iter().enumerate().skip(from) {
        if matches(&first.pattern, event, None, None, unasked)
            && let Some(mut found) = find(rest, events, at + 1, unasked)
        {
            found.insert(0, at);
            return Some(found);
        }
        if broken(event) {
            return None;
        }
    }
    None
}

/// The text of a diagnosis, with what was seen filled in.
#[must_use]
pub fn text(told: &Told<'_>, events: &[Event], subject: &str) -> String {
    let values = values(told, events, subject);
    let mut text = String::new();
    let mut rest = told.diagnosis.say.trim();
    while let Some(at) = rest.find("${") {
        text.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else { break };
        text.push_str(values.get(&rest[at + 2..at + length]).map_or("?", String::as_str));
        rest = &rest[at + length + 1..];
    }
    text.push_str(rest);
    text
}

/// The variables that `say` may have.
pub const VARIABLES: &[&str] = &[
    "subject",
    "plaintext",
    "client-hello",
    "reply",
    "command",
    "octets",
    "alert",
    "version",
    "waited",
    "reply.1",
    "reply.2",
    "reply.3",
];

fn values(told: &Told<'_>, events: &[Event], subject: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([("subject".to_owned(), subject.to_owned())]);
    let end = told.events.last().map_or(events.len(), |last| last + 1);
    for event in &events[..end] {
        // The last of each kind before the pattern's end, but the first plaintext and the first ClientHello.
        match (&event.what, event.by) {
            (What::Plaintext { octets, .. }, By::Peer) => {
                values.entry("plaintext".to_owned()).or_insert_with(|| escaped(&octets[..octets.len().min(QUOTED)]));
            }
            (What::ClientHello { summary }, By::Us) => {
                values.entry("client-hello".to_owned()).or_insert_with(|| summary.clone());
            }
            (What::Reply { reply, .. }, By::Peer) => {
                let line = reply.lines.last().map(|line| escaped(&line[..line.len().min(QUOTED)]));
                values.insert("reply".to_owned(), line.unwrap_or_default());
            }
            (What::Command { line, .. }, By::Us) => _ = values.insert("command".to_owned(), line.clone()),
            (What::Content { count, .. }, By::Peer) => _ = values.insert("octets".to_owned(), count.to_string()),
            (What::Alert { description, .. }, _) => {
                values.insert("alert".to_owned(), alert_name(*description).to_owned());
            }
            (What::Handshake(handshake), _) => _ = values.insert("version".to_owned(), handshake.version.clone()),
            (What::Timeout { of, after }, _) => {
                values.insert("waited".to_owned(), format!("{of} ({:.0} s)", after.as_secs_f64()));
            }
            _ => {}
        }
    }
    let replies = told.diagnosis.when.iter().filter(|when| !when.absent).zip(&told.events);
    let replies = replies.filter(|(when, _)| when.pattern.kind == EventKind::Reply);
    for (number, (_, seq)) in replies.enumerate() {
        if let What::Reply { reply, .. } = &events[*seq].what {
            let line = reply.lines.last().map(|line| escaped(&line[..line.len().min(QUOTED)]));
            values.insert(format!("reply.{}", number + 1), line.unwrap_or_default());
        }
    }
    // A transfer that brought nothing logged no content.
    let data = |event: &Event| event.connection.as_deref().is_some_and(|name| is_called(name, ftpspec_play::DATA));
    if events[..end].iter().any(data) {
        values.entry("octets".to_owned()).or_insert_with(|| "0".to_owned());
    }
    values
}

/// The results' word for whose fault it is.
#[must_use]
pub fn at_fault(fault: AtFault) -> ftpspec_results::AtFault {
    match fault {
        AtFault::Subject => ftpspec_results::AtFault::Subject,
        AtFault::Path => ftpspec_results::AtFault::Path,
        AtFault::Configuration => ftpspec_results::AtFault::Configuration,
        AtFault::Harness => ftpspec_results::AtFault::Harness,
    }
}
