//! `${variables}` in texts: where they stand, which names there are, and which of them only a run can fill in.
//!
//! There are three kinds. Axes and `${item}` are gone after the expansion. What a run fills in (addresses, paths,
//! credentials, recorded octets) stays in the text. Everything else is a slip, and is found here.

use std::collections::BTreeSet;

use ftpspec_wire::escaped;

use crate::diagnostic::Problem;
use crate::grammar::FIXTURES;
use crate::model::Place;
use crate::node::{Kind, Node};
use crate::shape::listed;

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Cuts a text into literal stretches and variables.
///
/// # Errors
/// If a `${` has no name or no `}`.
pub(crate) fn pieces(text: &str, place: Place) -> Result<Vec<Piece<'_>>, Problem> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let name = &rest[at + 2..];
        let end = name
            .find('}')
            .filter(|end| crate::grammar::is_name(&name[..*end]))
            .ok_or_else(|| Problem::new(place, "`${` begins no variable").due("`${NAME}`"))?;
        pieces.push(Piece::Variable(&name[..end]));
        rest = &name[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The name, if the text is one variable and nothing else.
pub(crate) fn lone(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    crate::grammar::is_name(name).then_some(name)
}

/// The variables that a run can fill in, here and now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    names: BTreeSet<String>,
}

impl Known {
    /// What every script may use: the login, the address, a fresh path, the fixtures, the recorded octets.
    pub(crate) fn in_scripts() -> Self {
        let mut names = SESSION.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        names.extend(FIXTURES.iter().map(|fixture| format!("fixture.{fixture}")));
        names.extend(ftpspec_data::below(OCTETS).filter_map(|file| {
            let name = file.path.strip_prefix(OCTETS)?.strip_suffix(".hex")?;
            Some(format!("octets.{name}"))
        }));
        Self { names }
    }

    /// What the text of a diagnosis may use.
    pub(crate) fn in_diagnoses(replies: usize) -> Self {
        let mut names = TOLD.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        names.extend((1..=replies).map(|number| format!("reply.{number}")));
        Self { names }
    }

    /// What the description of a server may use.
    pub(crate) fn in_descriptions() -> Self {
        Self { names: DESCRIBED.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// What the description of a client may use.
    pub(crate) fn in_client_descriptions() -> Self {
        Self { names: CLIENT_DESCRIBED.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Adds the forms in which a listener's address can be written.
    pub(crate) fn add_listener(&mut self, name: &str) {
        self.names.extend(LISTENER_FORMS.iter().map(|form| format!("{name}.{form}")));
    }

    /// Adds the path on the server of the file that a client is about.
    pub(crate) fn add_remote(&mut self) {
        self.names.insert("remote".to_owned());
    }

    /// Reports each variable below a node that is not known; at most one for each text.
    pub(crate) fn check(&self, node: &Node, extra: &[&str], problems: &mut Vec<Problem>) {
        match &node.kind {
            Kind::Scalar { text, .. } => self.check_text(text, node, extra, problems),
            Kind::Sequence(items) => {
                for item in items {
                    self.check(item, extra, problems);
                }
            }
            Kind::Map(entries) => {
                for (key, value) in entries {
                    self.check(key, extra, problems);
                    self.check(value, extra, problems);
                }
            }
        }
    }

    fn check_text(&self, text: &str, node: &Node, extra: &[&str], problems: &mut Vec<Problem>) {
        match pieces(text, node.place) {
            Ok(pieces) => {
                let unknown = pieces.iter().find_map(|piece| match piece {
                    Piece::Variable(name) if !self.names.contains(*name) && filler(name).is_none() => Some(name),
                    _ => None,
                });
                if let Some(name) = unknown {
                    problems.push(self.unknown(name, node.place_of(&format!("${{{name}}}")), extra));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }

    fn unknown(&self, name: &str, place: Place, extra: &[&str]) -> Problem {
        let shown = escaped(name.as_bytes());
        let family = |prefix: &str| {
            let names = self.names.iter().filter_map(|name| name.strip_prefix(prefix)).collect::<Vec<_>>();
            listed(&names)
        };
        let problem = match name.split_once('.') {
            Some(("fixture", fixture)) => {
                Problem::new(place, format!("unknown fixture `{}`", escaped(fixture.as_bytes())))
                    .due(family("fixture."))
            }
            Some(("octets", octets)) => {
                let octets = escaped(octets.as_bytes());
                Problem::new(place, format!("no file fixtures/octets/{octets}.hex")).due(family("octets."))
            }
            Some((listener, form)) if LISTENER_FORMS.contains(&form) => {
                let listener = escaped(listener.as_bytes());
                Problem::new(place, format!("no listener `{listener}` is made"))
                    .due(format!("`listen: {{as: {listener}}}` before `${{{shown}}}`"))
            }
            _ => Problem::new(place, format!("unknown variable `{shown}`")),
        };
        problem.nearest(name, self.names.iter().map(String::as_str).chain(extra.iter().copied()))
    }
}

/// The count of `${filler.COUNT}`: so many letters, for lines that are too long for anybody.
#[must_use]
pub fn filler(name: &str) -> Option<usize> {
    name.strip_prefix("filler.")?.parse().ok().filter(|count| *count <= LONGEST_FILLER)
}

/// More than any line that a server may be expected to take, and little enough to be sent.
const LONGEST_FILLER: usize = 1 << 20;

/// Names that an axis may not have: they mean something else.
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(name, "item" | "engine" | "version") || SESSION.contains(&name) || name.contains('.')
}

/// The number of its port, h1,…,p2, |1|…|, and the p1,p2 of its port alone.
pub(crate) const LISTENER_FORMS: &[&str] = &["port", "PORT", "EPRT", "p1p2"];

const OCTETS: &str = "fixtures/octets/";
const SESSION: &[&str] = &["user", "password", "address", "port", "network-protocol", "upload", "transfer.any"];
const TOLD: &[&str] =
    &["subject", "plaintext", "client-hello", "reply", "command", "octets", "alert", "version", "waited"];
const DESCRIBED: &[&str] =
    &["address", "port", "configuration", "passive-ports", "user", "password", "root", "certificate", "key", "ca"];

/// What is filled into a client's command line: where the server is, who logs in, whom to trust, the client's own
/// certificate, and for each file where it is on the server and here. `here` is the folder of the description.
const CLIENT_DESCRIBED: &[&str] =
    &["url", "host", "port", "user", "password", "ca", "certificate", "key", "remote", "local", "action", "here"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_variables() {
        let cut = pieces("STOR ${upload}!", Place::default()).expect("it is well formed");
        assert_eq!(cut, [Piece::Text("STOR "), Piece::Variable("upload"), Piece::Text("!")]);
        for text in ["${", "${}", "${a b}", "x ${a"] {
            assert!(pieces(text, Place::default()).is_err(), "{text}");
        }
        assert_eq!(pieces("$ {a} }", Place::default()), Ok(vec![Piece::Text("$ {a} }")]));
    }

    #[test]
    fn fixtures_are_known_and_others_find_the_nearest() {
        let known = Known::in_scripts();
        let mut problems = Vec::new();
        known.check(&Node::scalar(Place::default(), "RETR ${fixture.empty}"), &[], &mut problems);
        assert_eq!(problems, []);
        known.check(&Node::scalar(Place::default(), "RETR ${fixture.emtpy}"), &[], &mut problems);
        assert_eq!(problems[0].nearest.as_deref(), Some("fixture.empty"));
    }
}
