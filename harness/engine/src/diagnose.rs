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
            let found = find(&diagnosis.when, events, &unasked)?;
            Some(Told { diagnosis, events: found })
        })
        .collect();
    told.sort_by_key(|told| {
        let last = told.events.last().copied().unwrap_or(usize::MAX);
        (last, std::cmp::Reverse(told.diagnosis.when.len()), told.diagnosis.id.clone())
    });
    told
}

/// The events that tell a `when`: each as early as the rest allows. The last condition is looked at first, and each at
/// every event once: no choice is tried twice, for a client may have filled the log with thousands of tries.
fn find(when: &[When], events: &[Event], unasked: &[usize]) -> Option<Vec<usize>> {
    let tells = |when: &When, event: &Event| matches(&when.pattern, event, None, None, unasked);
    // For each step, by the event from which it is looked for: where it stands, if all behind it stand too.
    let mut places: Vec<Vec<Option<usize>>> = Vec::new();
    for (absent, first) in steps(when).into_iter().rev() {
        // Behind the last event nothing stands any more, which is all that a step of absences alone asks for.
        let mut place = vec![first.is_none().then_some(events.len()); events.len() + 1];
        for (at, event) in events.iter().enumerate().rev() {
            let behind = places.last().is_some_and(|behind| behind[at + 1].is_some());
            place[at] = if behind && first.is_some_and(|first| tells(first, event)) {
                Some(at)
            } else if absent.iter().any(|when| tells(when, event)) {
                None
            } else {
                place[at + 1]
            };
        }
        places.push(place);
    }
    let mut found = Vec::new();
    for place in places.iter().rev() {
        let at = place[found.last().map_or(0, |last| last + 1)]?;
        found.extend((at < events.len()).then_some(at));
    }
    Some(found)
}

/// What must stand in the log, each behind what must not stand before it; the last has nothing but absences.
fn steps(when: &[When]) -> Vec<(&[When], Option<&When>)> {
    let mut steps: Vec<_> = when
        .split_inclusive(|when| !when.absent)
        .map(|step| match step.split_last() {
            Some((first, absent)) if !first.absent => (absent, Some(first)),
            _ => (step, None),
        })
        .collect();
    if steps.last().is_none_or(|(_, first)| first.is_some()) {
        steps.push((&[], None));
    }
    steps
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
            (What::ClientHello { summary, .. }, By::Us) => {
                values.entry("client-hello".to_owned()).or_insert_with(|| summary.clone());
            }
            // Replies and commands have one side each: which of them is ours depends on who is under test.
            (What::Reply { reply, .. }, _) => {
                let line = reply.lines.last().map(|line| escaped(&line[..line.len().min(QUOTED)]));
                values.insert("reply".to_owned(), line.unwrap_or_default());
            }
            (What::Command { line, .. }, _) => _ = values.insert("command".to_owned(), line.clone()),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use ftpspec_scenario::load_diagnosis;
    use ftpspec_scenario::model::Source;
    use ftpspec_transcript::Log;

    use super::*;

    /// A diagnosis of commands in this order; those in capitals must stand, the others must not.
    fn when(verbs: &str) -> Vec<When> {
        let conditions: Vec<_> = verbs
            .chars()
            .map(|verb| match verb {
                'a'..='z' => format!("{{not: {{command: {{is: {}}}}}}}", verb.to_ascii_uppercase()),
                _ => format!("{{command: {{is: {verb}}}}}"),
            })
            .collect();
        let conditions = conditions.join(", ");
        let text = format!("title: x\nwhen: [{conditions}]\nat-fault: subject\nsay: x\nclauses: [rfc959#4.1]\n");
        load_diagnosis(&Arc::new(Source { name: "x.yaml".to_owned(), text })).unwrap().when
    }

    fn log(verbs: &str) -> Vec<Event> {
        let log = Log::new(Instant::now());
        for verb in verbs.chars().map(String::from) {
            log.push(None, By::Us, What::Command { line: verb.clone(), verb, protected: true });
        }
        log.events()
    }

    #[test]
    fn each_event_is_found_as_early_as_the_rest_allows() {
        let found = |verbs, events| find(&when(verbs), &log(events), &[]);
        assert_eq!(found("AB", "XAXAXBB"), Some(vec![1, 5]));
        assert_eq!(found("AcB", "ACAB"), Some(vec![2, 3]), "the first A has a C behind it");
        assert_eq!(found("AcB", "ACBACB"), None);
        assert_eq!(found("Ac", "ACAB"), Some(vec![2]), "to the end");
        assert_eq!(found("Ac", "AC"), None);
        assert_eq!(found("cA", "BAC"), Some(vec![1]));
        assert_eq!(found("cA", "CA"), None);
        assert_eq!(found("aA", "BA"), Some(vec![1]), "what must not stand before it may be itself");
        assert_eq!(found("aAaB", "AAB"), None, "an A stands before the B");
        assert_eq!(found("A", ""), None);
    }

    #[test]
    fn thousands_of_tries_that_come_to_nothing_are_looked_at_once() {
        let tries = log(&"AB".repeat(5_000));
        assert_eq!(find(&when("ABABABAC"), &tries, &[]), None);
    }
}
