//! The judge: folds the log of a played variant into a verdict. It sees nothing but the log, so that recorded evidence
//! can be judged again.

use ftpspec_play::CONTROL;
use ftpspec_play::fixture::{FIXTURES, content};
use ftpspec_play::pattern::{is_called, matches};
use ftpspec_results::Verdict;
use ftpspec_scenario::model::{ClientOutcome, Demand, Expectation, FilesDue, Leaf, Level, Pattern, Row, Variant, Why};
use ftpspec_transcript::{By, Event, Place, What, unasked_replies};
use ftpspec_wire::{escaped, hex_head};
use sha2::{Digest as _, Sha256};

/// What the judge found.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What decided it, worst first; empty for a pass.
    pub findings: Vec<Finding>,
    /// Unusual but lawful, or only recorded.
    pub notes: Vec<String>,
    /// Why, for skip, untestable and error: begins with its type.
    pub reason: Option<String>,
}

/// One thing that was not as it is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it makes of the verdict.
    pub verdict: Verdict,
    /// The event that showed it.
    pub seq: usize,
    /// Where the demand stands in the scenario; none for what is always demanded.
    pub place: Option<Place>,
    /// The word of the demand, if it is one on the whole conversation.
    pub demand: Option<&'static str>,
    /// What was due.
    pub due: String,
    /// What came.
    pub came: String,
}

/// Judges the log of a variant. `finished` is false if the script stopped for a reason that the log does not hold.
#[must_use]
pub fn judge(events: &[Event], variant: &Variant) -> Judgement {
    let mut findings = Vec::new();
    let mut notes = Vec::new();
    let mut reason = None;
    for event in events {
        match &event.what {
            What::Trouble { text } => {
                reason.get_or_insert_with(|| format!("harness: {text}"));
                findings.push(Finding {
                    verdict: Verdict::Error,
                    seq: event.seq,
                    place: None,
                    demand: None,
                    due: "a harness that works".to_owned(),
                    came: text.clone(),
                });
            }
            // Our own server's acts that a client did not wait for are no demand on it: `expect` has those.
            What::Unmet { .. } if variant.client.is_some() => {}
            What::Unmet { due, came, level, place, .. } => findings.push(Finding {
                verdict: not_met(level),
                seq: event.seq,
                place: Some(*place),
                demand: None,
                due: due.clone(),
                came: came.clone(),
            }),
            What::Leaf { kind, text, level, place } => {
                let verdict = match Leaf::from_word(kind) {
                    Some(Leaf::Note) | None => {
                        if !notes.contains(text) {
                            notes.push(text.clone());
                        }
                        continue;
                    }
                    Some(Leaf::Warn) => Verdict::Warn,
                    Some(Leaf::Fail) => not_met(level),
                    Some(Leaf::Skip) => Verdict::Skip,
                    Some(Leaf::Untestable) => Verdict::Untestable,
                };
                let typed = match verdict {
                    Verdict::Skip => Some(format!("capability: {text}")),
                    Verdict::Untestable => Some(format!("prerequisite: {text}")),
                    _ => None,
                };
                if let Some(typed) = typed {
                    reason.get_or_insert(typed);
                }
                let (due, came) = (text.clone(), last_words(events, event.seq));
                findings.push(Finding { verdict, seq: event.seq, place: Some(*place), demand: None, due, came });
            }
            _ => {}
        }
    }
    // What comes of our leaving in the midst of things is not the subject's doing.
    let concluded = events.iter().find(|event| concludes(event)).map_or(events.len(), |event| event.seq);
    findings.extend(always(&events[..concluded]));
    findings.extend(demands(events, variant));
    notes.extend(recorded(events, variant));
    notes.extend(followed(events, variant));

    let verdict = verdict_of(&findings);
    // What a prerequisite lacked is an unmet act too; the untestable speaks for both.
    let speaks = |finding: &Finding| finding.verdict == verdict || verdict == Verdict::Untestable;
    findings.retain(speaks);
    findings.sort_by_key(|finding| finding.seq);
    if matches!(verdict, Verdict::Pass | Verdict::Fail | Verdict::Warn) {
        reason = None;
    }
    Judgement { verdict, findings, notes, reason }
}

/// The log, and behind it the demands on the whole conversation that were not met: what a diagnosis looks at.
#[must_use]
pub fn with_findings(events: &[Event], judgement: &Judgement) -> Vec<Event> {
    let mut all = events.to_vec();
    let at = events.last().map(|event| event.at).unwrap_or_default();
    for finding in &judgement.findings {
        let (Some(act), Some(place)) = (finding.demand, finding.place) else { continue };
        let (due, came) = (finding.due.clone(), finding.came.clone());
        let what = What::Unmet { act, why: Why::Failed.word(), due, came, level: Level::Must.word(), place };
        all.push(Event { seq: all.len(), at, connection: None, by: By::Us, polite: false, what });
    }
    all
}

/// Whether the script ends with this event before its last act.
fn concludes(event: &Event) -> bool {
    match &event.what {
        What::Unmet { .. } => true,
        What::Leaf { kind, .. } => matches!(Leaf::from_word(kind), Some(Leaf::Fail | Leaf::Skip | Leaf::Untestable)),
        _ => false,
    }
}

/// The worst of what was found. A prerequisite that failed outweighs the act in which it did, but not what is demanded
/// of every conversation.
fn verdict_of(findings: &[Finding]) -> Verdict {
    let has = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let always_failed = findings.iter().any(|finding| finding.place.is_none() && finding.verdict == Verdict::Fail);
    if has(Verdict::Error) {
        Verdict::Error
    } else if always_failed {
        Verdict::Fail
    } else if has(Verdict::Untestable) {
        Verdict::Untestable
    } else if has(Verdict::Fail) {
        Verdict::Fail
    } else if has(Verdict::Warn) {
        Verdict::Warn
    } else if has(Verdict::Skip) {
        Verdict::Skip
    } else {
        Verdict::Pass
    }
}

/// What a demand that was not met makes of the verdict, by its level's word.
fn not_met(level: &str) -> Verdict {
    match Level::from_word(level) {
        Some(Level::Should | Level::Field) => Verdict::Warn,
        Some(Level::Must | Level::May) | None => Verdict::Fail,
    }
}

/// What is demanded of every conversation: nothing that is not TLS inside a TLS session, no reply without a command.
fn always(events: &[Event]) -> Vec<Finding> {
    let unasked = unasked_replies(events);
    let finding = |event: &Event, due: &str, came: String| Finding {
        verdict: Verdict::Fail,
        seq: event.seq,
        place: None,
        demand: None,
        due: due.to_owned(),
        came,
    };
    events
        .iter()
        .filter_map(|event| match &event.what {
            What::Plaintext { octets, in_session: true, .. } if event.by == By::Peer => {
                Some(finding(event, "TLS records, until close_notify", shown(octets)))
            }
            What::Reply { reply, .. } if unasked.contains(&event.seq) => {
                Some(finding(event, "no reply while no command is open", escaped(&reply.octets())))
            }
            _ => None,
        })
        .collect()
}

fn demands(events: &[Event], variant: &Variant) -> Vec<Finding> {
    let unasked = unasked_replies(events);
    let mut findings = Vec::new();
    for expectation in &variant.expect {
        let level = expectation.level.unwrap_or(variant.level);
        let place = expectation.place;
        let place = Some(Place { line: place.line, column: place.column, length: place.length });
        let mut found = |seq: usize, due: String, came: String| {
            let demand = Some(expectation.demand.word());
            findings.push(Finding { verdict: not_met(level.word()), seq, place, demand, due, came });
        };
        match &expectation.demand {
            Demand::Never(pattern) => {
                let by = (pattern.by.is_none()).then(|| default_by(pattern)).flatten();
                if let Some(event) = events.iter().find(|event| matches(pattern, event, None, by, &unasked)) {
                    found(event.seq, format!("never: {}", pattern.kind.word()), told(event));
                }
            }
            Demand::Order(order) => {
                let mut sent = events.iter().filter_map(|event| match &event.what {
                    What::Command { verb, .. } => Some((event.seq, verb.as_str())),
                    _ => None,
                });
                for choice in order {
                    if !sent.any(|(_, verb)| choice.iter().any(|due| due.eq_ignore_ascii_case(verb))) {
                        let due = format!("{} at its place in the order", choice.join(" or "));
                        found(events.len().saturating_sub(1), due, "not there".to_owned());
                        break;
                    }
                }
            }
            Demand::Count(counts) => {
                for (verb, due) in counts {
                    let count = events
                        .iter()
                        .filter(|event| matches!(&event.what, What::Command { verb: is, .. } if is.eq_ignore_ascii_case(verb)))
                        .count();
                    if count != *due {
                        let seq = events.len().saturating_sub(1);
                        found(seq, format!("{verb} {due} times"), format!("{count} times"));
                    }
                }
            }
            Demand::Client(due) => {
                if let Some((seq, due, came)) = otherwise(events, due) {
                    found(seq, due, came);
                }
            }
            Demand::Rows(rows) => {
                if let Err(came) = row_of(events, rows) {
                    let names = rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
                    found(events.len().saturating_sub(1), format!("one of the rows {names}"), came);
                }
            }
            Demand::Files(FilesDue::IntactOrFailed) if ended(events) != Some("succeeded") => {}
            Demand::Files(_) => {
                for (seq, due, came) in not_intact(events, variant) {
                    found(seq, due, came);
                }
            }
        }
    }
    findings
}

/// How a client ended otherwise than it must.
fn otherwise(events: &[Event], due: &ClientOutcome) -> Option<(usize, String, String)> {
    let ended = events.iter().rev().find_map(|event| match &event.what {
        What::Ended { how, status, after, .. } => Some((event.seq, *how, status, *after)),
        _ => None,
    });
    let Some((seq, how, status, after)) = ended else {
        return Some((events.len().saturating_sub(1), "a client that ends".to_owned(), "it did not".to_owned()));
    };
    let came = || format!("it {how} ({status}) after {:.1} s", after.as_secs_f64());
    match due {
        ClientOutcome::Succeeds if how == "succeeded" => None,
        ClientOutcome::Succeeds => Some((seq, "the client reports success".to_owned(), came())),
        ClientOutcome::Fails { within } if how == "failed" => {
            let limit = within.filter(|limit| after > *limit)?;
            Some((seq, format!("the client reports failure within {limit:?}"), came()))
        }
        ClientOutcome::Fails { .. } => Some((seq, "the client reports failure".to_owned(), came())),
        ClientOutcome::Ends if matches!(how, "succeeded" | "failed") => None,
        ClientOutcome::Ends => Some((seq, "a client that ends of its own".to_owned(), came())),
    }
}

/// What a client did where either is right.
fn recorded(events: &[Event], variant: &Variant) -> Option<String> {
    let is_asked = variant.expect.iter().any(|it| it.demand == Demand::Client(ClientOutcome::Ends));
    let how = is_asked.then(|| ended(events)).flatten()?;
    match how {
        "succeeded" => Some("the client reported success".to_owned()),
        "failed" => Some("the client reported failure".to_owned()),
        _ => None,
    }
}

/// How the client under test ended.
fn ended(events: &[Event]) -> Option<&'static str> {
    events.iter().rev().find_map(|event| match &event.what {
        What::Ended { how, .. } => Some(*how),
        _ => None,
    })
}

/// The rows of tables that the client has followed to its success.
fn followed(events: &[Event], variant: &Variant) -> Vec<String> {
    if ended(events) != Some("succeeded") {
        return Vec::new();
    }
    let row = |expectation: &Expectation| match &expectation.demand {
        Demand::Rows(rows) => row_of(events, rows).ok().map(|row| format!("the client's row of the table: {row}")),
        _ => None,
    };
    variant.expect.iter().filter_map(row).collect()
}

/// The row that the client's commands are, of those that any row names; else these commands.
fn row_of<'a>(events: &[Event], rows: &'a [Row]) -> Result<&'a str, String> {
    let told = |verb: &str| rows.iter().flat_map(|row| row.commands.iter().flatten()).any(|due| due == verb);
    let sent: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Command { verb, .. } if event.by == By::Peer && told(verb) => Some(verb.as_str()),
            _ => None,
        })
        .collect();
    let is = |row: &&Row| {
        row.commands.len() == sent.len()
            && row.commands.iter().zip(&sent).all(|(due, verb)| due.iter().any(|due| due == verb))
    };
    rows.iter().find(is).map(|row| row.name.as_str()).ok_or_else(|| sent.join(" "))
}

/// The files of a request that did not arrive octet for octet.
fn not_intact(events: &[Event], variant: &Variant) -> Vec<(usize, String, String)> {
    let Some(request) = &variant.client else { return Vec::new() };
    let wrong = |name: &String| {
        let file = FIXTURES.iter().find(|fixture| fixture.name == name)?.file;
        let due = content(name)?;
        let digest = hex::encode(Sha256::digest(&due));
        let arrived = events.iter().rev().find_map(|event| match &event.what {
            What::Fetched { name: of, octets, sha256 } if of == name => Some((event.seq, *octets, sha256)),
            What::File { name: of, octets, sha256, .. } if of.rsplit('/').next() == Some(file) => {
                Some((event.seq, Some(*octets), sha256))
            }
            _ => None,
        });
        let (seq, came) = match arrived {
            Some((_, _, sha256)) if *sha256 == digest => return None,
            Some((seq, Some(octets), _)) => (seq, format!("{octets} octets, and not those")),
            Some((seq, None, _)) => (seq, "no file".to_owned()),
            None => (events.len().saturating_sub(1), "no file".to_owned()),
        };
        Some((seq, format!("{name}: {} octets, SHA-256 {}…", due.len(), &digest[..DIGEST_SHOWN]), came))
    };
    request.files.iter().filter_map(wrong).collect()
}

/// How much of a digest says which file it is.
const DIGEST_SHOWN: usize = 16;

/// `never` speaks of the subject, but for commands, which are ours where a server is under test.
fn default_by(pattern: &Pattern) -> Option<ftpspec_scenario::model::By> {
    use ftpspec_scenario::model::{By as PatternBy, EventKind};
    (pattern.kind != EventKind::Command).then_some(PatternBy::Peer)
}

fn told(event: &Event) -> String {
    match &event.what {
        What::Plaintext { octets, .. } => shown(octets),
        What::Reply { reply, .. } => escaped(&reply.octets()),
        What::Command { line, .. } => line.clone(),
        What::Octets { count, protected: true } => format!("{count} octets in TLS"),
        What::Octets { count, protected: false } => format!("{count} octets in the clear"),
        _ => "it came".to_owned(),
    }
}

fn shown(octets: &[u8]) -> String {
    let head = &octets[..octets.len().min(SHOWN)];
    format!("{}   \"{}\"", hex_head(octets, 16), escaped(head))
}

/// The last reply or command before an event, for conclusions that a script draws from one.
fn last_words(events: &[Event], seq: usize) -> String {
    events[..seq]
        .iter()
        .rev()
        .find_map(|event| match (&event.what, &event.connection) {
            (What::Reply { reply, .. }, Some(name)) if event.by == By::Peer && is_called(name, CONTROL) => {
                reply.lines.last().map(|line| escaped(line))
            }
            (What::Command { line, .. }, Some(name)) if event.by == By::Peer && is_called(name, CONTROL) => {
                Some(line.clone())
            }
            (What::Unmet { came, .. }, _) => Some(came.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

/// How much of a peer's octets a report quotes.
const SHOWN: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use ftpspec_scenario::model::{self as scenario, ClientRequest, Effects};
    use ftpspec_transcript::Log;
    use ftpspec_wire::{LooksLike, Reply};
    use std::sync::Arc;
    use std::time::Instant;

    fn variant() -> Variant {
        Variant {
            name: String::new(),
            choices: Vec::new(),
            level: Level::Must,
            effects: Effects::Read,
            needs: Vec::new(),
            steps: Vec::new(),
            server: None,
            client: None,
            expect: Vec::new(),
        }
    }

    fn unmet(level: &'static str) -> What {
        let place = Place::default();
        What::Unmet { act: "reply", why: "code", due: "226".to_owned(), came: "451".to_owned(), level, place }
    }

    fn leaf(kind: &'static str) -> What {
        What::Leaf { kind, text: "why".to_owned(), level: "must", place: Place::default() }
    }

    fn verdict(events: Vec<What>) -> Verdict {
        let log = Log::new(Instant::now());
        let control: Arc<str> = Arc::from("control");
        for what in events {
            let by = match what {
                What::Plaintext { .. } | What::Reply { .. } => By::Peer,
                _ => By::Us,
            };
            log.push(Some(&control), by, what);
        }
        judge(&log.events(), &variant()).verdict
    }

    #[test]
    fn each_verdict_has_its_cause() {
        let plaintext =
            |in_session| What::Plaintext { octets: b"550 no".to_vec(), looks_like: LooksLike::Text, in_session };
        let reply = What::Reply { reply: Reply::new(200, ""), protected: true, to: String::new() };
        assert_eq!(verdict(vec![]), Verdict::Pass);
        assert_eq!(verdict(vec![leaf("note")]), Verdict::Pass);
        assert_eq!(verdict(vec![unmet("must")]), Verdict::Fail);
        assert_eq!(verdict(vec![unmet("may")]), Verdict::Fail);
        assert_eq!(verdict(vec![unmet("should")]), Verdict::Warn);
        assert_eq!(verdict(vec![unmet("field")]), Verdict::Warn);
        assert_eq!(verdict(vec![leaf("warn"), leaf("skip")]), Verdict::Warn);
        assert_eq!(verdict(vec![leaf("skip")]), Verdict::Skip);
        assert_eq!(verdict(vec![unmet("must"), leaf("untestable")]), Verdict::Untestable);
        assert_eq!(verdict(vec![plaintext(true), leaf("untestable")]), Verdict::Fail);
        // What comes of our leaving in the midst of things is not judged.
        assert_eq!(verdict(vec![leaf("untestable"), plaintext(true)]), Verdict::Untestable);
        assert_eq!(verdict(vec![plaintext(false)]), Verdict::Pass);
        assert_eq!(verdict(vec![reply]), Verdict::Fail);
        assert_eq!(verdict(vec![unmet("must"), What::Trouble { text: "x".to_owned() }]), Verdict::Error);
    }

    #[test]
    fn a_file_that_came_to_harm_may_be_owned_up_to_where_the_scenario_says_so() {
        let found = |due, how: &'static str| {
            let variant = Variant {
                client: Some(ClientRequest {
                    action: "get".to_owned(),
                    files: vec!["one-octet".to_owned()],
                    demands_tls: None,
                }),
                expect: vec![Expectation {
                    level: None,
                    demand: Demand::Files(due),
                    place: scenario::Place::default(),
                }],
                ..variant()
            };
            let log = Log::new(Instant::now());
            let ended =
                What::Ended { how, status: "exit status 1".to_owned(), said: String::new(), after: Duration::ZERO };
            log.push(None, By::Peer, ended);
            demands(&log.events(), &variant).len()
        };
        assert_eq!(found(FilesDue::Intact, "failed"), 1);
        assert_eq!(found(FilesDue::IntactOrFailed, "failed"), 0);
        assert_eq!(found(FilesDue::IntactOrFailed, "succeeded"), 1);
    }
}
