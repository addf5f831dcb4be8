//! The grammar: every shape that a file may have, with the sentence that explains each key.
//!
//! This table is the one place where a key or a word is introduced. The loader checks files against it, the JSON
//! Schemas are printed from it, and the documentation of the acts is taken from it. It says nothing about what an act
//! does when it is played.

mod acts;
mod documents;
mod patterns;

pub(crate) use documents::{
    BASELINE, CLIENT, CLIENT_DEFECT, CLIENT_DESCRIPTION, CLIENT_RULES, DEFECT, DIAGNOSIS, RULES, SCENARIO, SERVER,
    TARGET,
};
pub(crate) use patterns::{ALERTS, carries_word};

use crate::shape::{Format, Shape};

pub(crate) static EXPECTATIONS: Shape = Shape::List(&patterns::EXPECTATION);
pub(crate) static SCRIPT: Shape = Shape::Named(&acts::SCRIPT);

/// One act, as `ftpspec explain` and the documentation tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActDescription {
    /// The key or bare word.
    pub name: &'static str,
    /// What it does.
    pub text: &'static str,
}

/// Every act, in the order in which they are best learnt.
pub fn acts() -> impl Iterator<Item = ActDescription> {
    acts::ACTS.iter().map(|key| ActDescription { name: key.name, text: key.doc })
}

/// Every demand of `expect`.
pub(crate) fn demands() -> impl Iterator<Item = ActDescription> {
    patterns::EXPECTATIONS.iter().map(|key| ActDescription { name: key.name, text: key.doc })
}

/// The fixtures that every subject has, or that are made for it.
pub(crate) const FIXTURES: &[&str] = &[
    "empty",
    "one-octet",
    "text",
    "text-crlf",
    "size-16383",
    "size-16384",
    "size-16385",
    "size-65536",
    "size-101701",
    "large",
    "empty-directory",
    "missing",
];

static TEXT: Shape = Shape::Text(&Format::Any);
static TEXTS: Shape = Shape::List(&TEXT);

static YES_NO: Shape = Shape::Text(&Format::Words { noun: "yes or no", words: &["yes", "no"] });
static IN: Shape = Shape::Text(&Format::Words { noun: "a protection", words: &["clear", "TLS"] });

/// A name of the writer's choice: of an axis, a chosen word, a part, a listener, a connection.
static NAME_FORMAT: Format =
    Format::Pattern {
        due: "a name of A–Z, a–z, 0–9, `.`, `_` and `-`", pattern: "^[A-Za-z0-9._-]+$", holds: is_name
    };
static NAME: Shape = Shape::Text(&NAME_FORMAT);
static NAMES: Shape = Shape::List(&NAME);

static FIXTURE: Shape = Shape::Text(&Format::Words { noun: "a fixture", words: FIXTURES });

static CODE_FORMAT: Format =
    Format::Pattern { due: "a reply code such as `226`", pattern: "^[1-6][0-9][0-9]$", holds: is_code };
static CODE: Shape = Shape::Text(&CODE_FORMAT);

static DURATION_FORMAT: Format = Format::Pattern {
    due: "a duration such as `300ms`, `2s` or `1m`, of 10 minutes at most",
    pattern: "^[0-9]+(ms|s|m)$",
    holds: |text| crate::decode::duration(text).is_some(),
};

static NUMBER: Shape = Shape::Text(&Format::Pattern {
    due: "a number",
    pattern: "^[0-9]+$",
    holds: |text| text.parse::<u64>().is_ok() && text.bytes().all(|octet| octet.is_ascii_digit()),
});

static CLAUSE: Shape = Shape::Text(&Format::Pattern {
    due: "a clause such as `rfc4217#9` or `rfc5246#7.2.1`",
    pattern: "^rfc[0-9]{3,5}#([0-9]+|[A-Z])(\\.[0-9]+)*$",
    holds: |text| crate::decode::clause(text).is_some(),
});
static CLAUSES: Shape = Shape::List(&CLAUSE);

static VERB_FORMAT: Format = Format::Pattern {
    due: "a command in upper case such as `RETR`",
    pattern: "^([A-Z]{3,8}|greeting)$",
    holds: |text| text == "greeting" || ((3..=8).contains(&text.len()) && text.bytes().all(|o| o.is_ascii_uppercase())),
};
static VERB: Shape = Shape::Text(&VERB_FORMAT);
static VERBS: Shape = Shape::Either(&[Shape::Text(&VERB_FORMAT), Shape::List(&VERB)]);

pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-'))
}

pub(crate) fn is_code(text: &str) -> bool {
    matches!(text.as_bytes(), [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9'])
}

/// `2yz`: any code with this first digit.
pub(crate) fn is_class(text: &str) -> bool {
    matches!(text.as_bytes(), [b'1'..=b'6', b'y', b'z'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventKind;

    #[test]
    fn every_kind_of_event_has_its_entry_in_the_table() {
        let names = patterns::EVENTS.iter().map(|key| key.name).collect::<Vec<_>>();
        assert_eq!(names, EventKind::WORDS);
    }

    #[test]
    fn every_alert_that_the_wire_can_name_may_stand_in_a_pattern() {
        let named = (1..=u8::MAX).map(ftpspec_wire::alert_name).filter(|name| *name != "unknown alert");
        assert_eq!(named.collect::<Vec<_>>(), ALERTS);
    }

    #[test]
    fn every_act_is_explained_in_a_sentence() {
        for act in acts() {
            assert!(act.text.len() > 20 && act.text.ends_with('.'), "{act:?}");
        }
    }
}
