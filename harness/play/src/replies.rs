//! Replies: giving them as the server, waiting for them as the client, and what counts as the due one.

use std::sync::Arc;

use ftpspec_net::{Act as NetAct, Connection};
use ftpspec_scenario::model::{Answer, Leaf, Place, ReplyKey, ReplyMatch, Script, Why};
use ftpspec_transcript::{By, Event, What};
use ftpspec_wire::{CodePattern, Reply, listed_codes, parse_protocol_list};

use crate::client::line;
use crate::waiting::{Waited, in_words, is_end};
use crate::{Player, Seat, Stop, log_place};

impl Player {
    pub(crate) fn reply_octets(&self, answer: &Answer) -> Result<(Reply, Vec<u8>), Stop> {
        let Seat::Server(side) = &self.seat else {
            return Err(Stop::Trouble("an act of a server in a client's script".to_owned()));
        };
        match answer {
            Answer::Code(code) => {
                let reply = side.reply(*code);
                let octets = reply.octets();
                Ok((reply, octets))
            }
            Answer::Text(text) => {
                let mut octets = self.octets(text)?;
                octets.extend_from_slice(b"\r\n");
                Ok((reply_of(&octets), octets))
            }
        }
    }

    pub(crate) fn log_answer(&self, control: &Connection, reply: &Reply) {
        let protected = self.is_protected(control);
        let what = What::Reply { reply: reply.clone(), protected, to: String::new() };
        self.log.push(Some(control.name()), By::Us, what);
    }

    pub(crate) async fn answer(&mut self, answer: &Answer, place: Place) -> Result<(), Stop> {
        let (reply, octets) = self.reply_octets(answer)?;
        let control = self.control()?;
        self.log_answer(&control, &reply);
        let mut acts = vec![NetAct::Write { octets, verb: None }];
        if self.drops_early(reply.code) {
            acts.insert(0, NetAct::DropEarly);
        }
        if let Err(broken) = control.together(acts).await {
            return Err(self.unmet("answer", Why::Closed, "an open connection", &broken.to_string(), place));
        }
        if let Seat::Server(side) = &self.seat {
            side.answered(reply.code);
        }
        Ok(())
    }

    /// Whether what a client has sent ahead is dropped with this reply.
    pub(crate) fn drops_early(&self, code: u16) -> bool {
        matches!(&self.seat, Seat::Server(side) if code == 234 && side.early() == ftpspec_net::Early::Dropped)
    }

    /// The next reply on the control connection, whatever it is.
    pub(crate) async fn next_reply(&mut self, act: &'static str, due: &str, place: Place) -> Result<Reply, Stop> {
        let control = self.control()?;
        let full = Arc::clone(control.name());
        let from = self.cursor(&full);
        let greeting = self.awaits_greeting(&full);
        let (limit, of) = if greeting { (self.limits.greeting, "greeting") } else { (self.limits.reply, "reply") };
        let is_it = |event: &Event| {
            event.by == By::Peer
                && event.connection.as_ref() == Some(&full)
                && (matches!(
                    event.what,
                    What::Reply { .. }
                        | What::Malformed { .. }
                        | What::Alert { .. }
                        | What::Plaintext { in_session: false, .. }
                ) || is_end(event, &full))
        };
        let event = match self.wait(limit, of, from, is_it).await? {
            Waited::Event(event) => event,
            Waited::TimedOut => return Err(self.unmet(act, Why::Timeout, due, "nothing", place)),
        };
        let why = match &event.what {
            What::Reply { reply, .. } => {
                let reply = reply.clone();
                self.consume(&full, &event);
                return Ok(reply);
            }
            What::Malformed { .. } => Why::Malformed,
            What::Alert { .. } => Why::Alert,
            What::Plaintext { .. } => Why::Plaintext,
            What::Rst => Why::Reset,
            _ => Why::Closed,
        };
        Err(self.unmet(act, why, due, &in_words(&event.what), place))
    }

    pub(crate) async fn reply(&mut self, due: &ReplyMatch, place: Place) -> Result<(), Stop> {
        let words = reply_in_words(due);
        let greeting = self.awaits_greeting(&Arc::clone(self.control()?.name()));
        let reply = self.next_reply("reply", &words, place).await?;
        match due {
            ReplyMatch::Exact(code) if reply.code == *code => Ok(()),
            ReplyMatch::WithProtocols(code) if reply.code == *code => {
                match parse_protocol_list(reply.lines.last().map_or(&[], Vec::as_slice)) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(self.unmet("reply", Why::Protocols, &words, &line(&reply), place)),
                }
            }
            ReplyMatch::Like(pattern) if likes(*pattern, reply.code) => {
                self.note_unlisted(*pattern, &reply, place);
                Ok(())
            }
            ReplyMatch::Exact(_) | ReplyMatch::WithProtocols(_) | ReplyMatch::Like(_) => {
                let unmet = Err(self.unmet("reply", Why::Code, &words, &line(&reply), place));
                // 959 §5.4 lets a server be busy: nothing is learnt about what is asked for behind the greeting.
                if greeting && reply.code == 421 { self.as_prerequisite("reply", unmet, place) } else { unmet }
            }
            ReplyMatch::Branches(branches) => match branch(branches, reply.code) {
                Some(script) => Box::pin(self.play(script)).await,
                None => Err(self.unmet("reply", Why::Code, &words, &line(&reply), place)),
            },
        }
    }

    fn awaits_greeting(&self, control: &str) -> bool {
        self.log.look(|events| greeting_is_next(events, self.cursor(control), control))
    }

    /// A reply whose first digit is right, but which no RFC lists for the command.
    fn note_unlisted(&self, pattern: CodePattern, reply: &Reply, place: Place) {
        let CodePattern::Exact(due) = pattern else { return };
        let verb = self.log.look(|events| {
            events.iter().rev().find_map(|event| match &event.what {
                What::Reply { to, reply: told, .. } if event.by == By::Peer && told == reply => Some(to.clone()),
                _ => None,
            })
        });
        let verb = verb.unwrap_or_default();
        let listed = listed_codes(&verb);
        if reply.code != due && !listed.is_empty() && !listed.contains(&reply.code) {
            let text = format!("{verb} was answered with {}, where the RFCs list {due}", reply.code);
            let what = What::Leaf { kind: Leaf::Note.word(), text, level: self.level.word(), place: log_place(place) };
            self.log.push(None, By::Us, what);
        }
    }
}

/// What octets that we answer with are meant as, whatever they are: the code at their front, or none (0), and the lines as
/// they leave.
pub(crate) fn reply_of(octets: &[u8]) -> Reply {
    let text = octets.strip_suffix(b"\r\n").unwrap_or(octets);
    let code = std::str::from_utf8(&text[..text.len().min(3)]).ok().and_then(|code| code.parse().ok());
    let mut lines = vec![Vec::new()];
    let mut rest = text;
    while let Some((octet, behind)) = rest.split_first() {
        if let Some(next) = rest.strip_prefix(b"\r\n") {
            lines.push(Vec::new());
            rest = next;
        } else {
            lines.last_mut().expect("there is one from the beginning").push(*octet);
            rest = behind;
        }
    }
    Reply { code: code.unwrap_or(0), lines }
}

/// Whether no act has consumed a reply on this connection; one may have come already, and then it is the greeting.
fn greeting_is_next(events: &[Event], cursor: usize, control: &str) -> bool {
    !events.iter().take(cursor).any(|event| {
        event.connection.as_deref() == Some(control) && event.by == By::Peer && matches!(event.what, What::Reply { .. })
    })
}

/// A lone code is content with its first digit.
fn likes(due: CodePattern, code: u16) -> bool {
    match due {
        CodePattern::Exact(due) => due / 100 == code / 100,
        CodePattern::Class(_) => due.matches(code),
    }
}

/// The branch for a code: exact, then by first digit, then `any`.
fn branch(branches: &[(ReplyKey, Script)], code: u16) -> Option<&Script> {
    let find = |is: &dyn Fn(&ReplyKey) -> bool| branches.iter().find(|(key, _)| is(key)).map(|(_, script)| script);
    find(&|key| *key == ReplyKey::Code(CodePattern::Exact(code)))
        .or_else(|| {
            find(&|key| matches!(key, ReplyKey::Code(CodePattern::Class(class)) if u16::from(*class) == code / 100))
        })
        .or_else(|| find(&|key| *key == ReplyKey::Any))
}

fn reply_in_words(due: &ReplyMatch) -> String {
    match due {
        ReplyMatch::Like(pattern) => match pattern {
            CodePattern::Exact(code) => format!("a reply {code} (any {}yz)", code / 100),
            CodePattern::Class(_) => format!("a reply {pattern}"),
        },
        ReplyMatch::Exact(code) => format!("the reply {code}"),
        ReplyMatch::WithProtocols(code) => format!("the reply {code} with a list of network protocols, (1,2)"),
        ReplyMatch::Branches(branches) => {
            let keys: Vec<_> = branches
                .iter()
                .map(|(key, _)| match key {
                    ReplyKey::Code(pattern) => pattern.to_string(),
                    ReplyKey::Any => "any other".to_owned(),
                })
                .collect();
            format!("a reply {}", keys.join(" or "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use ftpspec_transcript::{By, Event, What};

    use super::{greeting_is_next, reply_of};

    #[test]
    fn a_greeting_that_came_before_it_is_asked_for_is_the_greeting() {
        let log = ["control", "other", "control"].map(|connection| Event {
            seq: 0,
            at: Duration::ZERO,
            connection: Some(Arc::from(connection)),
            by: By::Peer,
            polite: false,
            what: What::Reply { reply: reply_of(b"421 Too many\r\n"), protected: false, to: String::new() },
        });
        for (cursor, next) in [(0, true), (1, false)] {
            assert_eq!(greeting_is_next(&log, cursor, "control"), next);
        }
        assert!(greeting_is_next(&log, 1, "other"));
    }

    #[test]
    fn what_we_answer_with_is_told_as_it_leaves() {
        for (octets, code, lines) in [
            (&b"230 Welcome\r\n"[..], 230, vec![&b"230 Welcome"[..]]),
            (b"230\r\n", 230, vec![b"230"]),
            (b"220-a\r\n 331 b\nc\r\n220 d\r\n", 220, vec![b"220-a", b" 331 b\nc", b"220 d"]),
            (b"\xff\xfb\x01220 a\r\n", 0, vec![b"\xff\xfb\x01220 a"]),
            (b"", 0, vec![b""]),
        ] {
            let reply = reply_of(octets);
            assert_eq!((reply.code, reply.lines), (code, lines.into_iter().map(<[u8]>::to_vec).collect()));
        }
    }
}
