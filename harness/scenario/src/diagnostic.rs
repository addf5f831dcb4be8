//! What is wrong with a file, and where: one value for the terminal picture, for the one-line form and for tests.
//!
//! It must never show a file's octets as they are: a file may be hostile, and its text goes to a terminal.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use ftpspec_wire::escaped;

use crate::model::{Place, Source};

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub source: Arc<Source>,
    /// Where in it; the default place (line 0) if it is the file as a whole.
    pub place: Place,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What was expected in its place.
    pub due: Option<String>,
    /// The nearest right spelling.
    pub nearest: Option<String>,
}

impl Diagnostic {
    /// As rustc would print it: file, line, column, the line itself, and a caret. Without colours.
    #[must_use]
    pub fn render(&self) -> String {
        self.rendered_by(&Renderer::plain().decor_style(DecorStyle::Unicode))
    }

    /// The same with ANSI colours, for a terminal.
    #[must_use]
    pub fn render_coloured(&self) -> String {
        self.rendered_by(&Renderer::styled().decor_style(DecorStyle::Unicode))
    }

    /// `file:line:column: message`, on one line.
    #[must_use]
    pub fn plain(&self) -> String {
        let file = escaped(self.source.name.as_bytes());
        let mut line = match self.place.line {
            0 => format!("{file}: {}", self.message),
            number => format!("{file}:{number}:{}: {}", self.place.column, self.message),
        };
        if let Some(due) = &self.due {
            line.push_str("; expected ");
            line.push_str(due);
        }
        if let Some(nearest) = &self.nearest {
            line.push_str(&format!("; did you mean `{nearest}`?"));
        }
        line
    }

    pub(crate) fn new(source: &Arc<Source>, problem: Problem) -> Self {
        let Problem { place, message, due, nearest } = problem;
        Self { source: Arc::clone(source), place, message, due, nearest }
    }

    fn rendered_by(&self, renderer: &Renderer) -> String {
        let file = escaped(self.source.name.as_bytes());
        let mut group = Group::with_title(Level::ERROR.primary_title(self.message.as_str()));
        let window = Window::around(&self.source.text, self.place);
        if let Some(window) = &window {
            let label = self.due.as_ref().map(|due| format!("expected {due}"));
            let caret = AnnotationKind::Primary.span(window.span.clone()).label(label);
            group = group.element(
                Snippet::source(&window.text).line_start(window.first_line).path(&file).fold(false).annotation(caret),
            );
        } else {
            group = group.element(annotate_snippets::Origin::path(&file));
            if let Some(due) = &self.due {
                group = group.element(Level::NOTE.message(format!("expected {due}")));
            }
        }
        if let Some(nearest) = &self.nearest {
            group = group.element(Level::HELP.message(format!("did you mean `{nearest}`?")));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.plain())
    }
}

impl std::error::Error for Diagnostic {}

/// A [`Diagnostic`] before it knows its file: what the parts of the loader hand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) due: Option<String>,
    pub(crate) nearest: Option<String>,
}

impl Problem {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), due: None, nearest: None }
    }

    pub(crate) fn due(mut self, due: impl Into<String>) -> Self {
        self.due = Some(due.into());
        self
    }

    /// Adds the candidate that is spelt most like `word`, if one is near enough to have been meant.
    pub(crate) fn nearest<'a>(mut self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(word, candidates).map(|found| escaped(found.as_bytes()));
        self
    }
}

/// The candidate that is spelt most like `word`, if one is near enough to have been meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_SPELT {
        return None;
    }
    let spelt = plain_spelling(word);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_SPELT)
        .filter_map(|candidate| {
            let right = plain_spelling(candidate);
            let distance = strsim::damerau_levenshtein(&spelt, &right);
            let is_slip = distance <= 1.max(spelt.len().min(right.len()) / 3);
            let is_beginning = spelt.len() >= LONG_BEGINNING && right.starts_with(&spelt);
            (is_slip || is_beginning).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `CloseNotify`, `close-notify` and `close_notify` are one word to somebody who types.
fn plain_spelling(word: &str) -> String {
    word.chars().filter(|character| !matches!(character, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The lines around a place, made fit to be shown: as many characters as before, so that the caret still fits.
struct Window {
    text: String,
    first_line: usize,
    span: std::ops::Range<usize>,
}

impl Window {
    fn around(text: &str, place: Place) -> Option<Self> {
        let last = place.line.checked_sub(1)?;
        let first = last.saturating_sub(LINES_BEFORE);
        let mut lines = text.split('\n').skip(first).take(last + 1 - first).map(shown).collect::<Vec<_>>();
        if lines.len() < last + 1 - first {
            return None;
        }
        let line = lines.pop()?;
        let mut text = String::new();
        for before in &lines {
            text.push_str(before);
            text.push('\n');
        }
        let start = text.len() + octets_of(&line, place.column.saturating_sub(1));
        let end = text.len() + octets_of(&line, (place.column + place.length).saturating_sub(1));
        text.push_str(&line);
        // Behind the last character (a missing value) there still is a place to point at.
        let end = if end > start { end } else { start + 1 };
        if end > text.len() {
            text.push(' ');
        }
        Some(Self { text, first_line: first + 1, span: start..end })
    }
}

fn octets_of(line: &str, characters: usize) -> usize {
    line.chars().take(characters).map(char::len_utf8).sum()
}

fn shown(line: &str) -> String {
    line.trim_end_matches('\r').chars().take(MAX_SHOWN).map(shown_character).collect()
}

fn shown_character(character: char) -> char {
    match character {
        '\\' | '"' => character,
        '\t' => ' ',
        _ if escaped(character.encode_utf8(&mut [0; 4]).as_bytes()).chars().eq([character]) => character,
        _ => '\u{fffd}',
    }
}

/// Lines shown above the one with the caret: enough to see which list an item stands in.
const LINES_BEFORE: usize = 1;
/// Characters of a line that are shown: a hostile line may be the whole file.
const MAX_SHOWN: usize = 4096;
/// Octets of a word that somebody broke off: fewer begin too many words.
const LONG_BEGINNING: usize = 4;
/// Octets of a word for which a spelling is looked for: the cost grows with the square.
const MAX_SPELT: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_its_word_and_another_word_does_not() {
        let words = ["close_notify", "FIN", "reply", "receive"];
        assert_eq!(nearest("close-notfy", words), Some("close_notify"));
        assert_eq!(nearest("fin", words), Some("FIN"));
        assert_eq!(nearest("recieve", words), Some("receive"));
        assert_eq!(nearest("rece", words), Some("receive"));
        assert_eq!(nearest("handshake", words), None);
        assert_eq!(nearest(&"x".repeat(10_000), words), None);
    }

    #[test]
    fn neither_picture_nor_line_shows_control_octets_of_the_file() {
        let source = Arc::new(Source { name: "a\x1b[2J.yaml".into(), text: "a: \x1b[31m\u{202e}b\nc: d".into() });
        let problem = Problem::new(Place { line: 1, column: 4, length: 3 }, "unknown key").due("a word");
        let diagnostic = Diagnostic::new(&source, problem);
        for text in [diagnostic.render(), diagnostic.plain()] {
            assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
        }
    }

    #[test]
    fn a_place_behind_the_last_character_or_the_last_line_is_still_rendered() {
        let source = Arc::new(Source { name: "a.yaml".into(), text: "a:".into() });
        for place in [
            Place { line: 1, column: 3, length: 1 },
            Place { line: 1, column: 90, length: 4 },
            Place { line: 7, column: 1, length: 1 },
            Place::default(),
        ] {
            let text = Diagnostic::new(&source, Problem::new(place, "a value is missing")).render();
            assert!(text.contains("a value is missing"), "{text}");
        }
    }
}
