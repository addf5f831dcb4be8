//! From checked, expanded nodes to the values of [`crate::model`].
//!
//! Shapes have been checked before, so what is found wrong here is what a shape cannot say: a word that has no place
//! with this kind of event, a connection that nothing makes. Still nothing is taken for granted: a text that an axis
//! put where a list was due is an error like any other.

mod act;
mod pattern;
mod peer;

use std::collections::BTreeSet;
use std::time::Duration;

use ftpspec_wire::{CodePattern, escaped};

use crate::diagnostic::Problem;
use crate::grammar::{is_class, is_code};
use crate::model::{Clause, Name, Template};
use crate::node::{Kind, Node};

pub(crate) use pattern::whens;
pub(crate) use peer::{client_request, expectations, peer_script};

pub(crate) type Decoded<T> = Result<T, Problem>;

/// Decodes the nodes of one variant.
pub(crate) struct Decoder {
    connections: BTreeSet<String>,
}

impl Decoder {
    /// `within` is everything in which a connection may get its name.
    pub(crate) fn new<'a>(within: impl IntoIterator<Item = &'a Node>) -> Self {
        let mut connections = BTreeSet::from([CONTROL.to_owned(), DATA.to_owned()]);
        for node in within {
            for act in ["connect", "listen", "session"] {
                named_by(node, act, &mut connections);
            }
        }
        Self { connections }
    }

    /// Any name will do: a diagnosis does not know what a scenario calls its connections.
    pub(crate) fn of_any_connection() -> Self {
        Self { connections: BTreeSet::new() }
    }

    fn connection(&self, node: &Node) -> Decoded<Name> {
        let name = text(node)?;
        if self.connections.is_empty() || self.connections.contains(name) {
            return Ok(name.to_owned());
        }
        let shown = escaped(name.as_bytes());
        Err(Problem::new(node.place, format!("no connection is called `{shown}`"))
            .due("`control`, `data`, or what an `as:` gave")
            .nearest(name, self.connections.iter().map(String::as_str)))
    }

    fn optional_connection(&self, node: Option<&Node>) -> Decoded<Option<Name>> {
        node.map(|node| self.connection(node)).transpose()
    }
}

/// The names that `as:` gives below each `act:`, such as `listen: {as: trap}`.
pub(crate) fn named_by(node: &Node, act: &str, names: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Scalar { .. } => {}
        Kind::Sequence(items) => items.iter().for_each(|item| named_by(item, act, names)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                if key.text() == Some(act)
                    && let Some(name) = value.value("as").and_then(Node::text)
                {
                    names.insert(name.to_owned());
                }
                named_by(value, act, names);
            }
        }
    }
}

/// `300ms`, `2s`, `1m`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = number.parse::<u64>().ok()?;
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    (duration <= LONGEST).then_some(duration)
}

/// `rfc4217#9`, `rfc5246#7.2.1`.
pub(crate) fn clause(text: &str) -> Option<Clause> {
    let (number, section) = text.strip_prefix("rfc")?.split_once('#')?;
    if !(3..=5).contains(&number.len()) || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let mut parts = section.split('.');
    let first = parts.next()?;
    let is_number =
        |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|octet| octet.is_ascii_digit());
    let is_appendix = matches!(first.as_bytes(), [b'A'..=b'Z']);
    if !(is_appendix || is_number(first)) || !parts.all(is_number) {
        return None;
    }
    Some(Clause { rfc: number.parse().ok()?, section: section.to_owned() })
}

/// The content type of a TLS record, by number or word.
pub(crate) fn content_type(text: &str) -> Option<u8> {
    match text {
        "change_cipher_spec" => Some(20),
        "alert" => Some(21),
        "handshake" => Some(22),
        "application_data" => Some(23),
        _ if text.bytes().all(|octet| octet.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// The clauses of a list.
pub(crate) fn clauses(node: Option<&Node>) -> Decoded<Vec<Clause>> {
    let items = node.map(list).transpose()?.unwrap_or_default();
    items.iter().map(|item| clause(text(item)?).ok_or_else(|| cannot(item, "a clause"))).collect()
}

/// The texts of a list.
pub(crate) fn texts(node: Option<&Node>) -> Decoded<Vec<String>> {
    let items = node.map(list).transpose()?.unwrap_or_default();
    items.iter().map(|item| text(item).map(str::to_owned)).collect()
}

pub(crate) fn text(node: &Node) -> Decoded<&str> {
    node.text().ok_or_else(|| cannot(node, "a text"))
}

pub(crate) fn list(node: &Node) -> Decoded<&[Node]> {
    node.items().ok_or_else(|| cannot(node, "a list"))
}

pub(crate) fn map(node: &Node) -> Decoded<&[(Node, Node)]> {
    node.entries().ok_or_else(|| cannot(node, "a map"))
}

/// The value behind a key that must be there.
pub(crate) fn needed<'a>(node: &'a Node, key: &str) -> Decoded<&'a Node> {
    node.value(key).ok_or_else(|| Problem::new(node.place, format!("key `{key}` is missing")))
}

/// The value that a word means.
pub(crate) fn word<T>(node: &Node, from_word: fn(&str) -> Option<T>, due: &str) -> Decoded<T> {
    from_word(text(node)?).ok_or_else(|| cannot(node, due))
}

/// The value that a word means, if the key is there.
pub(crate) fn optional_word<T>(
    node: &Node,
    key: &str,
    from_word: fn(&str) -> Option<T>,
    due: &str,
) -> Decoded<Option<T>> {
    node.value(key).map(|value| word(value, from_word, due)).transpose()
}

pub(crate) fn optional_text(node: &Node, key: &str) -> Decoded<Option<String>> {
    node.value(key).map(|value| text(value).map(str::to_owned)).transpose()
}

pub(crate) fn yes_no(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn protection(text: &str) -> Option<bool> {
    match text {
        "TLS" => Some(true),
        "clear" => Some(false),
        _ => None,
    }
}

/// `226`, or `2yz`.
fn code_pattern(text: &str) -> Option<CodePattern> {
    if is_code(text) {
        text.parse().ok().map(CodePattern::Exact)
    } else if is_class(text) {
        text[..1].parse().ok().map(CodePattern::Class)
    } else {
        None
    }
}

fn template(node: &Node) -> Decoded<Template> {
    text(node).map(|text| Template(text.to_owned()))
}

fn cannot(node: &Node, due: &str) -> Problem {
    let what = node.text().map_or_else(|| node.noun().to_owned(), |text| format!("`{}`", escaped(text.as_bytes())));
    Problem::new(node.place, format!("{what} cannot stand here")).due(due)
}

const CONTROL: &str = "control";
const DATA: &str = "data";
/// A longer wait would outlast any run's patience, and any server's.
const LONGEST: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("300ms", Some(300))]
    #[case("2s", Some(2000))]
    #[case("1m", Some(60_000))]
    #[case("10m", Some(600_000))]
    #[case("11m", None)]
    #[case("2", None)]
    #[case("s", None)]
    #[case("2 s", None)]
    #[case("99999999999999999999s", None)]
    fn durations(#[case] text: &str, #[case] milliseconds: Option<u64>) {
        assert_eq!(duration(text), milliseconds.map(Duration::from_millis));
    }

    #[rstest]
    #[case("rfc4217#9", true)]
    #[case("rfc5246#7.2.1", true)]
    #[case("rfc8446#C.4", true)]
    #[case("rfc959#5.4", true)]
    #[case("rfc4217", false)]
    #[case("4217#9", false)]
    #[case("rfc4217#", false)]
    #[case("rfc4217#9.", false)]
    #[case("rfc4217#nine", false)]
    fn clauses_are_an_rfc_and_a_section(#[case] text: &str, #[case] right: bool) {
        assert_eq!(clause(text).map(|clause| clause.to_string()), right.then(|| text.to_owned()));
    }
}
