//! Fits text into columns: clips, wraps, and breaks a command where a shell lets it. It takes text that [`escape`]
//! has passed, and never looks at what it says.
//!
//! [`escape`]: crate::escape

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `3 faults`, `1 fault`.
#[must_use]
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// How many columns `text` takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `text`, or as much of its beginning as fits into `columns` with a `…` behind it.
#[must_use]
pub fn clip(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    match columns.checked_sub(1) {
        Some(room) => format!("{}…", &text[..fitting(text, room)]),
        None => String::new(),
    }
}

/// `text` on lines of at most `columns`, broken at spaces, and within a word only if it fits on no line. The spaces
/// within a line stay: what a peer sent with two of them is shown with two.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(NARROWEST);
    let mut lines = Vec::new();
    let mut rest = text.trim_end();
    loop {
        let fits = fitting(rest, columns);
        if fits == rest.len() {
            lines.push(rest.to_owned());
            return lines;
        }
        let space = if rest[fits..].starts_with(' ') { Some(fits) } else { rest[..fits].rfind(' ') };
        let end = space.filter(|end| !rest[..*end].trim().is_empty()).unwrap_or(fits);
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start_matches(' ');
    }
}

/// A shell command on lines of about `columns`, each but the last ending in ` \`, so that it can be pasted as it
/// stands. It is broken at spaces outside quotes only; a word that is too long stays whole, and overflows.
#[must_use]
pub fn wrap_command(command: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(NARROWEST);
    let words = shell_words(command);
    let mut lines: Vec<String> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let room = if index + 1 == words.len() { columns } else { columns - CONTINUED.len() };
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) => {
                line.push_str(CONTINUED);
                lines.push((*word).to_owned());
            }
            None => lines.push((*word).to_owned()),
        }
    }
    lines
}

/// Cuts at the single spaces that no quote encloses. A quote that is never closed keeps all that follows together.
fn shell_words(command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut begin, mut quote, mut escaped) = (0, None, false);
    for (at, character) in command.char_indices() {
        match (character, quote) {
            _ if escaped => escaped = false,
            ('\\', None | Some('"')) => escaped = true,
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            (' ', None) => {
                words.push(&command[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    words.push(&command[begin..]);
    words
}

/// How many octets of `text` fit into `columns`. Into [`NARROWEST`] fits any character, so that wrapping moves on.
fn fitting(text: &str, columns: usize) -> usize {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += character.width().unwrap_or(0);
        if taken > columns {
            return at;
        }
    }
    text.len()
}

/// Below this many columns a wrapped text is a ladder of syllables, which helps nobody: it overflows instead.
const NARROWEST: usize = 16;

/// How a shell's line says that it goes on.
const CONTINUED: &str = " \\";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_broken_at_spaces() {
        assert_eq!(wrap("the server answered in plaintext", 20), ["the server answered", "in plaintext"]);
        assert_eq!(wrap("a  b", 20), ["a  b"]);
        assert_eq!(wrap("", 20), [""]);
    }

    #[test]
    fn a_word_that_fits_nowhere_is_broken() {
        assert_eq!(wrap("x 0123456789abcdef0123", 16), ["x", "0123456789abcdef", "0123"]);
    }

    #[test]
    fn a_clipped_text_says_so() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdef", 5), "abcd…");
        assert_eq!(clip("日本語", 5), "日本…");
        assert_eq!(clip("abc", 0), "");
    }

    #[test]
    fn a_command_is_never_broken_within_quotes() {
        let command = r"printf 'AUTH TLS and more\r\n' | nc 127.0.0.1 2121";
        assert_eq!(wrap_command(command, 24), [r"printf \", r"'AUTH TLS and more\r\n' \", r"| nc 127.0.0.1 2121"]);
        assert_eq!(wrap_command(r"a\ b", 80), [r"a\ b"]);
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing_but_spaces(text in "[a-zä日 ]{0,80}", room in 0_usize..40) {
            let lines = wrap(&text, room);
            prop_assert!(lines.iter().all(|line| columns(line) <= room.max(NARROWEST)));
            prop_assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }

        #[test]
        fn a_wrapped_command_is_the_same_command(command in "[a-z'\"| \\\\]{0,80}", room in 0_usize..40) {
            prop_assert_eq!(wrap_command(&command, room).join("\n").replace(" \\\n", " "), command);
        }

        #[test]
        fn a_clipped_text_fits(text in "\\PC{0,40}", room in 2_usize..20) {
            prop_assert!(columns(&clip(&crate::escape::line(&text), room)) <= room);
        }
    }
}
