//! What a person sees of a verdict other than pass: the step with a caret, due and came, the conversation, the
//! diagnosis, and the command that shows it again.

use ftpspec_results::{Caret, Evidence, SourceLine};
use ftpspec_scenario::model::{Scenario, Source, Variant};
use ftpspec_transcript::{Event, Place, Style, What, conversation};

use crate::judge::Finding;

/// How many lines of the scenario stand before and behind the caret.
const CONTEXT: usize = 1;

/// How many lines of the conversation are shown: the last ones, where the failure is.
const CONVERSATION: usize = 16;

/// Makes the evidence of one finding; the diagnosis is added by the caller. `stays` says that the subject is still there
/// when the report is read, so that it can be asked by hand.
#[must_use]
pub fn evidence(
    scenario: &Scenario,
    variant: &Variant,
    events: &[Event],
    finding: &Finding,
    again: String,
    stays: bool,
) -> Evidence {
    let place = finding.place.filter(|place| place.line > 0);
    let (source, caret) =
        place.map_or((Vec::new(), None), |place| (lines(&scenario.source, place), Some(caret(place, &finding.came))));
    let mut shown = conversation(&up_to(events, finding.seq), &[], Style::Full, variant.client.is_none());
    let from = shown.len().saturating_sub(CONVERSATION);
    if from > 0 {
        shown.drain(..from);
        shown.insert(0, "…".to_owned());
    }
    let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
    Evidence {
        title: scenario.title.clone(),
        file: scenario.source.name.clone(),
        line,
        column,
        source,
        caret,
        due: finding.due.clone(),
        came: finding.came.clone(),
        conversation: shown,
        diagnosis: None,
        seen_as: Vec::new(),
        also: Vec::new(),
        again,
        by_hand: stays.then(|| by_hand(variant, events)).flatten(),
    }
}

/// The events up to the finding, and what the peer still said before we parted.
fn up_to(events: &[Event], seq: usize) -> Vec<Event> {
    let quit = |event: &Event| matches!(&event.what, What::Command { verb, .. } if verb == "QUIT");
    let end = events.iter().skip(seq).position(quit).map_or(events.len(), |at| seq + at);
    events[..end].to_vec()
}

fn lines(source: &Source, place: Place) -> Vec<SourceLine> {
    let first = place.line.saturating_sub(CONTEXT).max(1);
    source
        .text
        .lines()
        .enumerate()
        .map(|(at, text)| SourceLine { number: at + 1, text: text.to_owned() })
        .filter(|line| (first..=place.line + CONTEXT).contains(&line.number))
        .collect()
}

fn caret(place: Place, came: &str) -> Caret {
    let label: String = came.chars().take(60).collect();
    let label = if label.len() < came.len() { format!("{label}…") } else { label };
    Caret { line: place.line, column: place.column, length: place.length, label }
}

/// A command that shows the beginning of the same thing without ftpspec, where one exists.
fn by_hand(variant: &Variant, events: &[Event]) -> Option<String> {
    let to = events.iter().find_map(|event| match event.what {
        What::Connected { to } => Some(to),
        _ => None,
    })?;
    let flag = variant.choices.iter().find_map(|(axis, word)| match (axis.as_str(), word.as_str()) {
        ("version", "1.2") => Some(" -tls1_2"),
        ("version", "1.3") => Some(" -tls1_3"),
        _ => None,
    });
    let handshakes = events.iter().any(|event| matches!(event.what, What::Handshake(_)));
    handshakes.then(|| format!("openssl s_client -connect {to} -starttls ftp -crlf{}", flag.unwrap_or_default()))
}
