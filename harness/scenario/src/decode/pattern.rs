//! Patterns of events: the short form (`plaintext 421 control`), the map form, and a diagnosis' `when`.

use ftpspec_wire::escaped;

use super::{Decoded, Decoder, cannot, code_pattern, list, optional_word, protection, text};
use crate::diagnostic::Problem;
use crate::grammar::{ALERTS, acts, carries_word, demands};
use crate::model::{By, EventKind, Leaf, Pattern, When, Why};
use crate::node::{Kind, Node};
use crate::settings::ServerCertificate;

impl Decoder {
    /// The short form: a word, at most one argument, at most one connection.
    pub(super) fn event(&self, node: &Node) -> Decoded<Pattern> {
        let mut words = text(node)?.split(' ').filter(|word| !word.is_empty());
        let mut pattern = of_kind(words.next().unwrap_or_default(), node)?;
        let rest = words.collect::<Vec<_>>();
        let is_connection = |word: &str| self.connections.contains(word) || matches!(word, "control" | "data");
        let (argument, connection) = match rest[..] {
            [] => (None, None),
            [only] if !carries_word(pattern.kind) || is_connection(only) => (None, Some(only)),
            [only] => (Some(only), None),
            [argument, connection] => (Some(argument), Some(connection)),
            _ => return Err(cannot(node, "an event, at most one argument, and a connection")),
        };
        if let Some(argument) = argument {
            set_word(&mut pattern, &[(argument, node)])?;
        }
        if let Some(connection) = connection {
            pattern.on = Some(self.connection(&Node::scalar(node.place, connection))?);
        }
        Ok(pattern)
    }

    /// The short form, or a map from the word to what must hold.
    pub(super) fn pattern(&self, node: &Node) -> Decoded<Pattern> {
        let Kind::Map(entries) = &node.kind else { return self.event(node) };
        let Some((key, detail)) = entries.iter().find(|(key, _)| key.text() != Some("in")) else {
            return Err(cannot(node, "an event"));
        };
        let mut pattern = of_kind(text(key)?, key)?;
        pattern.protected = optional_word(node, "in", protection, "`clear` or `TLS`")?;
        match &detail.kind {
            Kind::Scalar { text, .. } => set_word(&mut pattern, &[(text, detail)])?,
            Kind::Sequence(items) => set_word(&mut pattern, &words(items)?)?,
            Kind::Map(_) => self.set_details(&mut pattern, detail)?,
        }
        Ok(pattern)
    }

    fn set_details(&self, pattern: &mut Pattern, detail: &Node) -> Decoded<()> {
        pattern.on = self.optional_connection(detail.value("on"))?;
        pattern.by = optional_word(detail, "by", By::from_word, "`us` or `peer`")?;
        if let Some(protected) = optional_word(detail, "in", protection, "`clear` or `TLS`")? {
            pattern.protected = Some(protected);
        }
        for (key, list) in [("is", &mut pattern.is), ("except", &mut pattern.except)] {
            let Some(value) = detail.value(key) else { continue };
            for (word, at) in one_or_more(value)? {
                check_word(pattern.kind, word, at)?;
                list.push(word.to_owned());
            }
        }
        if let Some(value) = detail.value("to") {
            pattern.to = one_or_more(value)?.iter().map(|(word, _)| (*word).to_owned()).collect();
        }
        if let Some(value) = detail.value("looks-like") {
            pattern.looks_like = Some(text(value)?.to_owned());
        }
        Ok(())
    }
}

/// The elements of a diagnosis' `when`.
pub(crate) fn whens(node: &Node) -> Decoded<Vec<When>> {
    let decoder = Decoder::of_any_connection();
    list(node)?
        .iter()
        .map(|item| match item.only_entry() {
            Some(("not", pattern)) => Ok(When { pattern: decoder.pattern(pattern)?, absent: true }),
            _ => Ok(When { pattern: decoder.pattern(item)?, absent: false }),
        })
        .collect()
}

fn of_kind(word: &str, node: &Node) -> Decoded<Pattern> {
    let kind = EventKind::from_word(word).ok_or_else(|| {
        Problem::new(node.place, format!("unknown event `{}`", escaped(word.as_bytes())))
            .nearest(word, EventKind::WORDS.iter().copied())
    })?;
    Ok(Pattern {
        kind,
        on: None,
        by: None,
        is: Vec::new(),
        except: Vec::new(),
        to: Vec::new(),
        protected: None,
        looks_like: None,
    })
}

/// What stands behind the kind without a key: the verbs of commands, the codes or words of all others.
fn set_word(pattern: &mut Pattern, words: &[(&str, &Node)]) -> Decoded<()> {
    for (word, at) in words {
        check_word(pattern.kind, word, at)?;
        let list = if pattern.kind == EventKind::Command { &mut pattern.to } else { &mut pattern.is };
        list.push((*word).to_owned());
    }
    Ok(())
}

/// What a 227 or 229 can be besides its code.
const NO_ADDRESS: &str = "no-address";

/// What a 229 can be besides that.
const ODD_FORM: &str = "odd-form";

/// What plaintext can be besides a reply with a code.
const IN_SESSION: &str = "in-session";

/// What a reply can be besides its code.
const MULTI_LINE: &str = "multi-line";

/// Whether an event of this kind can carry this word at all.
fn check_word(kind: EventKind, word: &str, at: &Node) -> Decoded<()> {
    let wrong = || Problem::new(at.place, format!("`{}` is nothing that `{kind}` can be", escaped(word.as_bytes())));
    let one_of = |words: &[&str]| {
        if words.contains(&word) {
            return Ok(());
        }
        let listed = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        Err(wrong().due(format!("one of {listed}")).nearest(word, words.iter().copied()))
    };
    match kind {
        // After a finished handshake and before close_notify.
        EventKind::Plaintext if word == IN_SESSION => Ok(()),
        EventKind::Reply if matches!(word, MULTI_LINE | NO_ADDRESS | ODD_FORM) => Ok(()),
        EventKind::Reply | EventKind::Plaintext | EventKind::UnaskedReply => code_pattern(word)
            .map(|_| ())
            .ok_or_else(|| wrong().due("a reply code such as `421`, or a class such as `5yz`")),
        EventKind::Command if is_command(word) => Ok(()),
        EventKind::Command => Err(wrong().due("a command in upper case, alone or with its argument")),
        EventKind::Alert if ALERTS.contains(&word) => Ok(()),
        EventKind::Alert => {
            Err(wrong().due("the name of an alert, as RFC 8446 §6 writes it").nearest(word, ALERTS.iter().copied()))
        }
        EventKind::Handshake if ServerCertificate::WORDS.contains(&word) => Ok(()),
        EventKind::ClientHello => one_of(&["offering", "offering-again"]),
        EventKind::Handshake => one_of(&["resumed", "full", "1.0", "1.1", "1.2", "1.3"]),
        EventKind::File => one_of(&["whole", "truncated"]),
        EventKind::Fetched => one_of(&["intact", "other", "none"]),
        EventKind::Ended => one_of(&["succeeded", "failed", "cannot", "crashed", "hung"]),
        EventKind::Leaf => one_of(Leaf::WORDS),
        EventKind::Unmet => {
            let (act, why) = word.split_once('/').map_or((word, None), |(act, why)| (act, Some(why)));
            if !acts().chain(demands()).any(|known| known.name == act) {
                return Err(wrong()
                    .due("an act, such as `reply` or `receive/no-close_notify`, or a demand of `expect`, such as `count`")
                    .nearest(act, acts().chain(demands()).map(|act| act.name)));
            }
            match why {
                Some(why) if Why::from_word(why).is_none() => Err(wrong()
                    .due("`act/why` with a why that the player knows")
                    .nearest(why, Why::WORDS.iter().copied())),
                _ => Ok(()),
            }
        }
        EventKind::HandshakeFailed | EventKind::Timeout => Ok(()),
        _ => Err(wrong().due(format!("`{kind}` alone, or with a connection"))),
    }
}

/// A verb, or a whole line that begins with one.
fn is_command(text: &str) -> bool {
    let verb = text.split(' ').next().unwrap_or_default();
    !verb.is_empty() && verb.bytes().all(|octet| octet.is_ascii_uppercase())
}

fn one_or_more(node: &Node) -> Decoded<Vec<(&str, &Node)>> {
    match &node.kind {
        Kind::Scalar { text, .. } => Ok(vec![(text, node)]),
        Kind::Sequence(items) => words(items),
        Kind::Map(_) => Err(cannot(node, "a word or a list of words")),
    }
}

fn words(items: &[Node]) -> Decoded<Vec<(&str, &Node)>> {
    items.iter().map(|item| Ok((text(item)?, item))).collect()
}
