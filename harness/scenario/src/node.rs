//! YAML text to a tree in which every text, list and map knows its place.
//!
//! What a scenario needs of YAML is small, so the rest is refused here: anchors and aliases, tags, several documents,
//! keys that are no texts, keys given twice. The tree is bounded in size and depth before anything walks it. Nothing
//! here knows a key or a word of the grammar.

use ftpspec_wire::escaped;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::diagnostic::Problem;
use crate::model::Place;

/// A text, a list or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// A text, quotes included; the `[` or first `-` of a list; the first key of a map.
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar { text: String, quoted: bool },
    Sequence(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub(crate) fn scalar(place: Place, text: impl Into<String>) -> Self {
        Self { place, kind: Kind::Scalar { text: text.into(), quoted: false } }
    }

    /// The text, if this is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::Sequence(_) | Kind::Map(_) => None,
        }
    }

    /// The items, if this is a list.
    pub(crate) fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            Kind::Scalar { .. } | Kind::Map(_) => None,
        }
    }

    /// The entries, if this is a map.
    pub(crate) fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Scalar { .. } | Kind::Sequence(_) => None,
        }
    }

    /// The value behind a key, if this is a map that has it.
    pub(crate) fn value(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// Key and value, if this is a map with exactly one entry.
    pub(crate) fn only_entry(&self) -> Option<(&str, &Node)> {
        match self.entries()? {
            [(key, value)] => Some((key.text()?, value)),
            _ => None,
        }
    }

    /// Where a stretch of its text stands, if the file has the text as it is: on one line, without escapes.
    pub(crate) fn place_of(&self, stretch: &str) -> Place {
        let Kind::Scalar { text, quoted } = &self.kind else { return self.place };
        let quote = usize::from(*quoted);
        match text.find(stretch) {
            Some(at) if text.chars().count() + 2 * quote == self.place.length => Place {
                line: self.place.line,
                column: self.place.column + quote + text[..at].chars().count(),
                length: stretch.chars().count(),
            },
            _ => self.place,
        }
    }

    /// Whether nothing was written: `key:` with no value behind it.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, quoted: false } if text.is_empty())
    }

    /// What it is, for a message.
    pub(crate) fn noun(&self) -> &'static str {
        match self.kind {
            Kind::Scalar { .. } => "a text",
            Kind::Sequence(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// Reads the one document of a text.
///
/// # Errors
/// The first thing that is no YAML, or that is refused here, with its place.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_OCTETS {
        return Err(Problem::new(Place::default(), format!("the file has {} octets", text.len()))
            .due(format!("at most {MAX_OCTETS}")));
    }
    let mut builder = Builder { lines: text.split('\n').collect(), open: Vec::new(), root: None, nodes: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.not_yaml(error.marker(), error.info()))?;
        builder.take(event, span)?;
    }
    match builder.root {
        Some(root) if !root.is_missing() => Ok(root),
        _ => Err(Problem::new(Place { line: 1, column: 1, length: 1 }, "the file is empty")),
    }
}

struct Builder<'a> {
    lines: Vec<&'a str>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

/// A list or map whose end has not come yet.
enum Open {
    Sequence(Place, Vec<Node>),
    Map(Place, Vec<(Node, Node)>, Option<Node>),
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = self.place(span);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Problem::new(place, "a second document begins here").due("one document in each file"))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
            Event::Alias(_) => Err(anchor(place)),
            Event::Scalar(_, _, id, _) | Event::SequenceStart(id, _) | Event::MappingStart(id, _) if id != 0 => {
                Err(anchor(place))
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                Err(Problem::new(place, "a YAML tag (`!…`) says nothing here").due("the value without a tag"))
            }
            Event::Scalar(text, style, ..) => {
                let quoted = !matches!(style, ScalarStyle::Plain);
                self.finish(Node { place, kind: Kind::Scalar { text: text.into_owned(), quoted } })
            }
            Event::SequenceStart(..) => self.enter(Open::Sequence(place, Vec::new()), place),
            Event::MappingStart(..) => self.enter(Open::Map(place, Vec::new(), None), place),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::Sequence(place, items)) => self.finish(Node { place, kind: Kind::Sequence(items) }),
                Some(Open::Map(place, entries, _)) => {
                    let place = entries.first().map_or(place, |(key, _)| key.place);
                    self.finish(Node { place, kind: Kind::Map(entries) })
                }
                None => Ok(()),
            },
        }
    }

    fn enter(&mut self, open: Open, place: Place) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(
                Problem::new(place, "lists and maps are nested too deeply").due(format!("at most {MAX_DEPTH} levels"))
            );
        }
        if let Some(Open::Map(_, _, None)) = self.open.last() {
            return Err(Problem::new(place, "a list or map stands where a key is due").due("a text as the key"));
        }
        self.open.push(open);
        Ok(())
    }

    fn finish(&mut self, node: Node) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Problem::new(node.place, "the file has too many values").due(format!("at most {MAX_NODES}")));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    if let Some((first, _)) = entries.iter().find(|(first, _)| first.text() == node.text()) {
                        let name = escaped(node.text().unwrap_or_default().as_bytes());
                        let line = first.place.line;
                        return Err(Problem::new(node.place, format!("key `{name}` is given twice"))
                            .due(format!("each key once; first given at line {line}")));
                    }
                    *key = Some(node);
                }
            },
        }
        Ok(())
    }

    fn place(&self, span: Span) -> Place {
        let (start, end) = (span.start, span.end);
        let length = if end.line() == start.line() {
            end.col().saturating_sub(start.col())
        } else {
            let line = self.lines.get(start.line().saturating_sub(1)).copied().unwrap_or_default();
            line.trim_end().chars().count().saturating_sub(start.col())
        };
        Place { line: start.line(), column: start.col() + 1, length: length.max(1) }
    }

    fn not_yaml(&self, marker: &Marker, info: &str) -> Problem {
        let place = Place { line: marker.line(), column: marker.col() + 1, length: 1 };
        let problem = Problem::new(place, format!("not YAML: {}", escaped(info.as_bytes())));
        // `[${case}]` is the usual slip: inside brackets and braces `{` is YAML's own.
        let line = self.lines.get(marker.line().saturating_sub(1)).copied().unwrap_or_default();
        match line.find("${") {
            Some(at) if line[..at].contains(['[', '{']) && !line[..at].ends_with(['"', '\'']) => {
                problem.due("quotes around `${…}` inside […] and {…}")
            }
            _ => problem,
        }
    }
}

fn anchor(place: Place) -> Problem {
    // A few lines of aliases unfold to millions of values; what an alias is good for, `parts` do.
    Problem::new(place, "anchors and aliases are refused: they make alias bombs").due("the value itself, or a `part`")
}

/// Octets of one file: the longest scenario has less than a tenth of it.
pub(crate) const MAX_OCTETS: usize = 256 * 1024;
/// Levels of nesting: the deepest scenario has a third of it, and everything that walks a tree recurses.
pub(crate) const MAX_DEPTH: usize = 32;
/// Values of one file, keys included: bounds the memory that [`MAX_OCTETS`] of `[[[,` would ask for.
pub(crate) const MAX_NODES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn every_value_knows_its_place() {
        let root = parse("title: x\nsteps:\n  - send: \"NOOP é\"\n  - [a, {b: c}]\n").expect("it is YAML");
        assert_eq!(root.place, Place { line: 1, column: 1, length: 5 });
        let steps = root.value("steps").and_then(Node::items).expect("a list");
        assert_eq!(steps[0].place, Place { line: 3, column: 5, length: 4 });
        let sent = steps[0].value("send").expect("it is there");
        assert_eq!(sent.place, Place { line: 3, column: 11, length: 8 });
        assert_eq!(sent.kind, Kind::Scalar { text: "NOOP é".into(), quoted: true });
        assert_eq!(steps[1].items().expect("a list")[1].place, Place { line: 4, column: 10, length: 1 });
    }

    #[rstest]
    #[case::nothing("", 1, 1, "empty")]
    #[case::comments_only("# only\n\n", 1, 1, "empty")]
    #[case::twice("a: 1\nb: 2\na: 3\n", 3, 1, "twice")]
    #[case::anchor("a: &x 1\nb: *x\n", 1, 4, "alias")]
    #[case::tag("a: !!str 1\n", 1, 4, "tag")]
    #[case::second_document("a: 1\n---\nb: 2\n", 2, 1, "second document")]
    #[case::tab("a:\n\tb: 1\n", 2, 2, "not YAML")]
    #[case::list_as_key("? [a]\n: b\n", 1, 3, "key")]
    #[case::open_bracket("a: [1, 2\n", 2, 1, "not YAML")]
    fn what_is_refused_is_refused_at_its_place(
        #[case] text: &str,
        #[case] line: usize,
        #[case] column: usize,
        #[case] word: &str,
    ) {
        let problem = parse(text).expect_err("it is refused");
        assert!(format!("{} {:?}", problem.message, problem.due).contains(word), "{problem:?}");
        assert_eq!((problem.place.line, problem.place.column), (line, column), "{problem:?}");
    }

    #[test]
    fn size_depth_and_count_are_bounded() {
        for text in [
            "a".repeat(MAX_OCTETS + 1),
            "[".repeat(5000),
            format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1)),
            format!("[{}]", "a,".repeat(MAX_NODES + 1)),
        ] {
            assert!(parse(&text).is_err());
        }
        parse(&format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))).expect("as deep as is allowed");
    }
}
