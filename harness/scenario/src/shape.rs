//! What shapes a file can be declared to have, and the check of a node against one.
//!
//! The grammar is a table of these shapes (`grammar`); this check and the JSON Schemas (`schema`) both read that table,
//! so that an editor and the loader cannot disagree. Nothing here decodes: after the check the decoder may rely on
//! kinds, keys and words, not on meaning.

use ftpspec_wire::escaped;

use crate::diagnostic::Problem;
use crate::node::{Kind, Node};
use crate::settings::SettingError;

/// What a value may be.
pub(crate) enum Shape {
    /// A text.
    Text(&'static Format),
    /// Items of one shape.
    List(&'static Shape),
    /// A map with these keys and no others.
    Record(&'static [Key]),
    /// A map with keys of the writer's choice.
    Table(&'static Format, &'static Shape),
    /// A map with exactly one of these keys; or the key alone, as a bare word, where its shape allows nothing.
    Choice(&'static Choice),
    /// Settings of a reference peer.
    Settings(&'static Settings),
    /// Nothing at all: the key stands as a bare word.
    Nothing,
    /// Told apart by whether a text, a list or a map stands there (two kinds of maps: by the first key).
    Either(&'static [Shape]),
    /// A shape with a name of its own, which may contain itself.
    Named(&'static Named),
}

/// The settings that a reference peer has.
pub(crate) struct Settings {
    /// Their names, with the words each may have (a small number where there are none).
    pub(crate) names: &'static [(&'static str, &'static [&'static str])],
    /// Whether a setting takes a value.
    pub(crate) takes: fn(&str, &str) -> Result<(), SettingError>,
}

/// A shape with a name: `$defs` of the schema.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) shape: Shape,
}

/// One key of a map, and what stands behind it.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) needed: bool,
    pub(crate) shape: &'static Shape,
}

/// A key that may be left out.
pub(crate) const fn key(name: &'static str, doc: &'static str, shape: &'static Shape) -> Key {
    Key { name, doc, needed: false, shape }
}

/// A key that must be given.
pub(crate) const fn needed(name: &'static str, doc: &'static str, shape: &'static Shape) -> Key {
    Key { name, doc, needed: true, shape }
}

/// The keys of which exactly one is given.
pub(crate) struct Choice {
    /// With its article: `an act`.
    pub(crate) noun: &'static str,
    pub(crate) keys: &'static [Key],
    /// Keys that may stand beside the one.
    pub(crate) beside: &'static [Key],
}

/// What a text may be.
pub(crate) enum Format {
    /// Whatever it likes, but something.
    Any,
    /// One of these words.
    Words { noun: &'static str, words: &'static [&'static str] },
    /// What a function says; the pattern says the same to an editor.
    Pattern { due: &'static str, pattern: &'static str, holds: fn(&str) -> bool },
}

/// Whether `${…}` may still stand for a value that the expansion will put there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Written,
    Expanded,
}

/// Holds a node against a shape, and reports everything that does not fit.
pub(crate) fn check(shape: &Shape, node: &Node, stage: Stage, problems: &mut Vec<Problem>) {
    if stage == Stage::Written && node.text().is_some_and(is_variable) {
        return;
    }
    if node.is_missing() {
        problems.push(Problem::new(node.place, "a value is missing").due(noun(shape)));
        return;
    }
    match (shape, &node.kind) {
        (Shape::Text(format), Kind::Scalar { text, .. }) => check_text(format, text, node, stage, problems),
        (Shape::List(item), Kind::Sequence(items)) => {
            for node in items {
                check(item, node, stage, problems);
            }
        }
        (Shape::Record(keys), Kind::Map(entries)) => check_record(keys, entries, node, |_| stage, problems),
        (Shape::Table(format, value), Kind::Map(entries)) => {
            for (name, node) in entries {
                check_text(format, name.text().unwrap_or_default(), name, stage, problems);
                check(value, node, stage, problems);
            }
        }
        (Shape::Choice(choice), Kind::Map(entries)) => check_choice(choice, entries, node, stage, problems),
        (Shape::Choice(choice), Kind::Scalar { text, .. }) => check_bare(choice, text, node, problems),
        (Shape::Settings(settings), Kind::Map(entries)) => check_settings(settings, entries, problems),
        (Shape::Either(shapes), _) => match pick(shapes, node) {
            Some(shape) => check(shape, node, stage, problems),
            None => problems.push(mismatch(shape, node)),
        },
        (Shape::Named(named), _) => check(&named.shape, node, stage, problems),
        _ => problems.push(mismatch(shape, node)),
    }
}

/// Holds a whole file against its shape: the keys in `written` as they were written, all others as they stay.
pub(crate) fn check_in_stages(shape: &Shape, root: &Node, written: &[&str], problems: &mut Vec<Problem>) {
    let (Shape::Record(keys), Kind::Map(entries)) = (shape, &root.kind) else {
        return check(shape, root, Stage::Expanded, problems);
    };
    let stage = |name: &str| if written.contains(&name) { Stage::Written } else { Stage::Expanded };
    check_record(keys, entries, root, stage, problems);
}

/// What a shape is called where another one stands.
pub(crate) fn noun(shape: &Shape) -> String {
    match shape {
        Shape::Text(Format::Any) => "a text".to_owned(),
        Shape::Text(Format::Words { words, .. }) if words.len() <= MOST_LISTED => listed(words),
        Shape::Text(Format::Words { noun, .. }) => (*noun).to_owned(),
        Shape::Text(Format::Pattern { due, .. }) => (*due).to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Record(keys) => {
            let names = keys.iter().map(|key| key.name).collect::<Vec<_>>();
            if names.len() <= MOST_LISTED { format!("a map with {}", listed(&names)) } else { "a map".to_owned() }
        }
        Shape::Table(..) | Shape::Settings(_) => "a map".to_owned(),
        Shape::Choice(choice) => choice.noun.to_owned(),
        Shape::Nothing => "nothing".to_owned(),
        Shape::Either(shapes) => {
            let nouns = shapes.iter().map(noun).collect::<Vec<_>>();
            nouns.join(", or ")
        }
        Shape::Named(named) => noun(&named.shape),
    }
}

/// Whether a text is `${NAME}` and nothing else.
pub(crate) fn is_variable(text: &str) -> bool {
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains(['$', '}']))
}

/// Whether a key may stand as a bare word.
pub(crate) fn allows_nothing(shape: &Shape) -> bool {
    match shape {
        Shape::Nothing => true,
        Shape::Either(shapes) => shapes.iter().any(allows_nothing),
        Shape::Named(named) => allows_nothing(&named.shape),
        _ => false,
    }
}

fn check_text(format: &Format, text: &str, node: &Node, stage: Stage, problems: &mut Vec<Problem>) {
    if text.is_empty() {
        problems.push(Problem::new(node.place, "the text is empty").due(noun_of_format(format)));
        return;
    }
    if stage == Stage::Written && text.contains("${") {
        return;
    }
    let shown = escaped(text.as_bytes());
    match format {
        Format::Any => {}
        Format::Words { words, .. } if words.contains(&text) => {}
        Format::Words { words, noun } => {
            let problem =
                Problem::new(node.place, format!("`{shown}` is not {noun}")).nearest(text, words.iter().copied());
            problems.push(if words.len() <= MOST_LISTED { problem.due(listed(words)) } else { problem });
        }
        Format::Pattern { holds, .. } if holds(text) => {}
        Format::Pattern { due, .. } => {
            problems.push(Problem::new(node.place, format!("`{shown}` cannot stand here")).due(*due));
        }
    }
}

fn check_record(
    keys: &[Key],
    entries: &[(Node, Node)],
    node: &Node,
    stage: impl Fn(&str) -> Stage,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in entries {
        let text = name.text().unwrap_or_default();
        match keys.iter().find(|key| key.name == text) {
            Some(key) => check(key.shape, value, stage(text), problems),
            None => problems.push(unknown("key", text, name, keys.iter().map(|key| key.name))),
        }
    }
    for key in keys.iter().filter(|key| key.needed) {
        if !entries.iter().any(|(name, _)| name.text() == Some(key.name)) {
            problems.push(Problem::new(node.place, format!("key `{}` is missing", key.name)).due(noun(key.shape)));
        }
    }
}

fn check_choice(choice: &Choice, entries: &[(Node, Node)], node: &Node, stage: Stage, problems: &mut Vec<Problem>) {
    let mut chosen = None::<&str>;
    for (name, value) in entries {
        let text = name.text().unwrap_or_default();
        if let Some(key) = choice.beside.iter().find(|key| key.name == text) {
            check(key.shape, value, stage, problems);
            continue;
        }
        if stage == Stage::Written && is_variable(text) {
            chosen = chosen.or(Some("…"));
            continue;
        }
        let Some(key) = choice.keys.iter().find(|key| key.name == text) else {
            let what = choice.noun.split_once(' ').map_or(choice.noun, |(_, noun)| noun);
            problems.push(unknown(what, text, name, choice.keys.iter().map(|key| key.name)));
            chosen = chosen.or(Some("…"));
            continue;
        };
        if let Some(first) = chosen {
            problems.push(
                Problem::new(name.place, format!("`{text}` stands beside `{first}`"))
                    .due(format!("one key in {}; the next one begins with `- `", choice.noun)),
            );
        }
        chosen = Some(key.name);
        check(key.shape, value, stage, problems);
    }
    if chosen.is_none() {
        problems.push(Problem::new(node.place, "the map says nothing").due(choice.noun));
    }
}

fn check_bare(choice: &Choice, text: &str, node: &Node, problems: &mut Vec<Problem>) {
    match choice.keys.iter().find(|key| key.name == text) {
        Some(key) if allows_nothing(key.shape) => {}
        Some(key) => problems.push(
            Problem::new(node.place, format!("`{text}` says too little"))
                .due(format!("`{text}: …` with {}", noun(key.shape))),
        ),
        None => {
            let what = choice.noun.split_once(' ').map_or(choice.noun, |(_, noun)| noun);
            problems.push(unknown(what, text, node, choice.keys.iter().map(|key| key.name)));
        }
    }
}

fn check_settings(settings: &Settings, entries: &[(Node, Node)], problems: &mut Vec<Problem>) {
    for (name, value) in entries {
        let setting = name.text().unwrap_or_default();
        let Some((_, words)) = settings.names.iter().find(|(known, _)| *known == setting) else {
            problems.push(unknown("setting", setting, name, settings.names.iter().map(|(known, _)| *known)));
            continue;
        };
        let Some(text) = value.text() else {
            problems.push(Problem::new(value.place, format!("{} stands where a word is due", value.noun())));
            continue;
        };
        if text.contains("${") {
            continue;
        }
        if (settings.takes)(setting, text).is_err() {
            let due = if words.is_empty() { "a small number".to_owned() } else { listed(words) };
            problems.push(
                Problem::new(value.place, format!("`{}` is no value of `{setting}`", escaped(text.as_bytes())))
                    .due(due)
                    .nearest(text, words.iter().copied()),
            );
        }
    }
}

/// The alternative that a node is meant to be: by its kind and, between maps, by its first key. Of several that a text
/// could be it is the first, of several that a map could be the last, which is the general one.
pub(crate) fn pick<'a>(shapes: &'a [Shape], node: &Node) -> Option<&'a Shape> {
    let mut fitting = shapes.iter().filter(|shape| takes(shape, node)).collect::<Vec<_>>();
    if let Some([(first, _), ..]) = node.entries() {
        let knows = |shape: &&Shape| knows_key(shape, first.text().unwrap_or_default());
        if let Some(known) = fitting.iter().position(knows) {
            return Some(fitting.swap_remove(known));
        }
    }
    if node.text().is_some() { fitting.first().copied() } else { fitting.pop() }
}

fn takes(shape: &Shape, node: &Node) -> bool {
    match shape {
        Shape::Text(_) => matches!(node.kind, Kind::Scalar { .. }),
        Shape::List(_) => matches!(node.kind, Kind::Sequence(_)),
        Shape::Record(_) | Shape::Table(..) | Shape::Settings(_) => matches!(node.kind, Kind::Map(_)),
        Shape::Choice(_) => !matches!(node.kind, Kind::Sequence(_)),
        Shape::Nothing => false,
        Shape::Either(shapes) => shapes.iter().any(|shape| takes(shape, node)),
        Shape::Named(named) => takes(&named.shape, node),
    }
}

fn knows_key(shape: &Shape, name: &str) -> bool {
    match shape {
        Shape::Record(keys) => keys.iter().any(|key| key.name == name),
        Shape::Choice(choice) => choice.keys.iter().chain(choice.beside).any(|key| key.name == name),
        Shape::Named(named) => knows_key(&named.shape, name),
        _ => false,
    }
}

fn mismatch(shape: &Shape, node: &Node) -> Problem {
    Problem::new(node.place, format!("{} cannot stand here", node.noun())).due(noun(shape))
}

fn unknown<'a>(what: &str, text: &str, node: &Node, candidates: impl Iterator<Item = &'a str> + Clone) -> Problem {
    let problem = Problem::new(node.place, format!("unknown {what} `{}`", escaped(text.as_bytes())))
        .nearest(text, candidates.clone());
    let known = candidates.collect::<Vec<_>>();
    if problem.nearest.is_none() && known.len() <= MOST_LISTED { problem.due(listed(&known)) } else { problem }
}

fn noun_of_format(format: &Format) -> String {
    match format {
        Format::Any => "some text".to_owned(),
        Format::Words { noun, .. } => (*noun).to_owned(),
        Format::Pattern { due, .. } => (*due).to_owned(),
    }
}

/// `a`, `b` or `c`, each in backquotes.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Words listed in a message: more would not be read.
const MOST_LISTED: usize = 12;
