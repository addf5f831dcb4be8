//! Makes text from a peer harmless to look at: whatever could move a cursor, colour a screen, turn the reading
//! direction, or not be seen at all becomes a visible escape such as `\x1b`. Nothing is ever dropped, so that the
//! evidence stays whole; and nothing of it ever passes raw.
//!
//! A backslash stays as it is: most of what comes here has been escaped once already, where it entered the log, and
//! `\\r\\n` would help nobody. The escape is for eyes, not for reading back.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// `text` as one line: line ends are escaped too.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// `text` as it may stand on several lines: a line feed stays one.
pub fn block(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character == '\n')
}

/// Octets as one line: what is no UTF-8 is shown octet by octet (`\xff`).
pub fn octets(octets: &[u8]) -> String {
    octets.utf8_chunks().fold(String::new(), |mut out, chunk| {
        out.push_str(&line(chunk.valid()));
        for octet in chunk.invalid() {
            push_octet(&mut out, *octet);
        }
        out
    })
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harmless = |character| stays(character) || is_harmless(character);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if harmless(character) {
            out.push(character);
        } else {
            push_escape(&mut out, character);
        }
    }
    Cow::Owned(out)
}

/// Whether a character is seen, takes room, and does nothing else.
///
/// What takes no room is not harmless: a thousand combining marks on one letter overflow every limit that counts
/// columns, and a format character is one that nobody sees.
pub(crate) fn is_harmless(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ if UNSEEN.iter().any(|range| range.contains(&character)) => false,
        _ if u32::from(character) & 0xfffe == 0xfffe => false, // the two noncharacters that end each plane
        _ => character.width().is_some_and(|columns| columns > 0),
    }
}

fn push_escape(out: &mut String, character: char) {
    match character {
        '\r' => out.push_str("\\r"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        // Only these are single octets in UTF-8; a C1 control is told by its code point.
        '\0'..='\x7f' => push_octet(out, character as u8),
        _ => write!(out, "\\u{{{:x}}}", u32::from(character)).expect("writing to a string does not fail"),
    }
}

fn push_octet(out: &mut String, octet: u8) {
    write!(out, "\\x{octet:02x}").expect("writing to a string does not fail");
}

/// Characters that a terminal gives room or not as it likes, and that are not seen or change what is seen around them.
const UNSEEN: &[std::ops::RangeInclusive<char>] = &[
    '\u{00}'..='\u{1f}',       // C0
    '\u{7f}'..='\u{9f}',       // DEL, C1: 0x9b alone begins an escape sequence
    '\u{ad}'..='\u{ad}',       // soft hyphen
    '\u{61c}'..='\u{61c}',     // Arabic letter mark
    '\u{115f}'..='\u{1160}',   // Hangul fillers
    '\u{180e}'..='\u{180e}',   // Mongolian vowel separator
    '\u{2000}'..='\u{200f}',   // spaces of odd widths, zero-width characters, direction marks
    '\u{2028}'..='\u{202f}',   // line and paragraph separators, direction embeddings and overrides
    '\u{205f}'..='\u{206f}',   // invisible operators, direction isolates
    '\u{2800}'..='\u{2800}',   // the empty braille pattern
    '\u{3164}'..='\u{3164}',   // Hangul filler
    '\u{fdd0}'..='\u{fdef}',   // noncharacters
    '\u{fe00}'..='\u{fe0f}',   // variation selectors
    '\u{feff}'..='\u{feff}',   // byte order mark
    '\u{ffa0}'..='\u{ffa0}',   // Hangul filler of half width
    '\u{fff0}'..='\u{fffb}',   // interlinear annotation
    '\u{13430}'..='\u{1345f}', // hieroglyph format controls
    '\u{1bca0}'..='\u{1bca3}', // shorthand format controls
    '\u{1d173}'..='\u{1d17a}', // musical format controls
    '\u{e0000}'..='\u{e0fff}', // tags, variation selectors
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        let text = "550 Grüße \\ 日本 \"x\" ~";
        assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn what_moves_cursors_is_seen_instead() {
        assert_eq!(line("\x1b[2J\x07\0\x7f"), "\\x1b[2J\\x07\\x00\\x7f");
        assert_eq!(line("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(line("a\r\n\tb"), "a\\r\\n\\tb");
        assert_eq!(block("a\r\nb\u{2028}"), "a\\r\nb\\u{2028}");
    }

    #[test]
    fn what_turns_directions_or_hides_is_seen_instead() {
        assert_eq!(line("\u{202e}exe.txt\u{2069}"), "\\u{202e}exe.txt\\u{2069}");
        assert_eq!(line("a\u{200b}b\u{feff}c\u{ad}d\u{301}"), "a\\u{200b}b\\u{feff}c\\u{ad}d\\u{301}");
        assert_eq!(line("\u{e0041}\u{fffe}\u{10ffff}"), "\\u{e0041}\\u{fffe}\\u{10ffff}");
    }

    #[test]
    fn what_is_no_utf_8_is_told_octet_by_octet() {
        assert_eq!(octets(b"ok \xff\xc3(\xc3\xa9\x1b"), "ok \\xff\\xc3(é\\x1b");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_harmless_afterwards(text in any::<String>(), raw in any::<Vec<u8>>()) {
            prop_assert!(line(&text).chars().all(is_harmless));
            prop_assert!(block(&text).chars().all(|c| c == '\n' || is_harmless(c)));
            prop_assert!(octets(&raw).chars().all(is_harmless));
        }

        #[test]
        fn nothing_is_dropped(text in any::<String>()) {
            prop_assert!(line(&text).chars().count() >= text.chars().count());
        }
    }
}
