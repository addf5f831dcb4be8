//! Octets of the wire as text for a person: what a terminal may show is shown, everything else is escaped, so that no
//! subject can move the cursor, recolour a report or reorder a line. It must never lose an octet: from the text the
//! octets can be told again.

/// The octets as one line of text.
///
/// Printable ASCII and printable, valid UTF-8 stand as they are; `\r`, `\n`, `\t`, `\\` and `\"` as in a string of C;
/// every other octet as `\xNN`: controls (C0, DEL, C1), characters that are invisible or change the direction of text,
/// and octets that are not UTF-8. No two inputs give the same text.
pub fn escaped(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_character(&mut text, character);
        }
        for octet in chunk.invalid() {
            push_octet(&mut text, *octet);
        }
    }
    text
}

/// The first `most` octets in lower-case hex, `35 35 30 20 54`; ` …` stands behind them if there are more.
pub fn hex_head(octets: &[u8], most: usize) -> String {
    let mut text = String::with_capacity(3 * octets.len().min(most) + 4);
    for octet in octets.iter().take(most) {
        if !text.is_empty() {
            text.push(' ');
        }
        push_hex(&mut text, *octet);
    }
    if octets.len() > most {
        text.push_str(if text.is_empty() { "…" } else { " …" });
    }
    text
}

fn push_character(text: &mut String, character: char) {
    match character {
        '\r' => text.push_str("\\r"),
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        '\\' => text.push_str("\\\\"),
        '"' => text.push_str("\\\""),
        _ if is_shown(character) => text.push(character),
        _ => {
            for octet in character.encode_utf8(&mut [0; 4]).bytes() {
                push_octet(text, octet);
            }
        }
    }
}

fn push_octet(text: &mut String, octet: u8) {
    text.push_str("\\x");
    push_hex(text, octet);
}

fn push_hex(text: &mut String, octet: u8) {
    for digit in [octet >> 4, octet & 15] {
        text.push(char::from(HEX_DIGITS[usize::from(digit)]));
    }
}

/// Whether a character takes its place on a line and does nothing else.
pub(crate) fn is_shown(character: char) -> bool {
    !character.is_control() && !UNSHOWN.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Characters that a terminal, an editor or an XML parser does not simply show: invisible ones, those that reorder the
/// text around them ("Trojan source"), line separators, blanks that pass for a space, private use, and non-characters.
const UNSHOWN: &[(char, char)] = &[
    ('\u{a0}', '\u{a0}'),        // no-break space
    ('\u{ad}', '\u{ad}'),        // soft hyphen
    ('\u{34f}', '\u{34f}'),      // combining grapheme joiner
    ('\u{61c}', '\u{61c}'),      // Arabic letter mark
    ('\u{115f}', '\u{1160}'),    // Hangul fillers
    ('\u{1680}', '\u{1680}'),    // Ogham space
    ('\u{17b4}', '\u{17b5}'),    // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),    // Mongolian selectors
    ('\u{2000}', '\u{200f}'),    // spaces, zero widths, direction marks
    ('\u{2028}', '\u{202f}'),    // line and paragraph separators, embeddings and overrides
    ('\u{205f}', '\u{206f}'),    // invisible operators, isolates
    ('\u{2800}', '\u{2800}'),    // blank Braille pattern
    ('\u{3000}', '\u{3000}'),    // ideographic space
    ('\u{3164}', '\u{3164}'),    // Hangul filler
    ('\u{e000}', '\u{f8ff}'),    // private use
    ('\u{fdd0}', '\u{fdef}'),    // non-characters
    ('\u{fe00}', '\u{fe0f}'),    // variation selectors
    ('\u{feff}', '\u{feff}'),    // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),    // half-width Hangul filler
    ('\u{fff0}', '\u{fffb}'),    // annotation anchors
    ('\u{fffe}', '\u{ffff}'),    // non-characters, not allowed in XML
    ('\u{1d173}', '\u{1d17a}'),  // musical format controls
    ('\u{e0000}', '\u{10ffff}'), // tags, selectors, private use
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{escaped, hex_head};

    #[rstest]
    #[case::plain(b"220 ready", "220 ready")]
    #[case::line_end(b"220 ready\r\n", "220 ready\\r\\n")]
    #[case::quote_and_backslash(b"257 \"C:\\x\"\t", "257 \\\"C:\\\\x\\\"\\t")]
    #[case::utf8("Größe €".as_bytes(), "Größe €")]
    #[case::terminal_escape(b"\x1b[31mred", "\\x1b[31mred")]
    #[case::c1("\u{9b}31m".as_bytes(), "\\xc2\\x9b31m")]
    #[case::override_direction("a\u{202e}b".as_bytes(), "a\\xe2\\x80\\xaeb")]
    #[case::lone_octet(b"a\xffb\xc3", "a\\xffb\\xc3")]
    #[case::nothing(b"", "")]
    fn shows_what_is_harmless_and_escapes_the_rest(#[case] octets: &[u8], #[case] text: &str) {
        assert_eq!(escaped(octets), text);
    }

    #[rstest]
    #[case(b"550 T", 5, "35 35 30 20 54")]
    #[case(b"550 TLS", 5, "35 35 30 20 54 …")]
    #[case(b"550", 0, "…")]
    #[case(b"", 3, "")]
    fn the_head_says_when_more_follows(#[case] octets: &[u8], #[case] most: usize, #[case] text: &str) {
        assert_eq!(hex_head(octets, most), text);
    }

    proptest! {
        #[test]
        fn the_octets_can_be_told_from_the_text(octets: Vec<u8>) {
            prop_assert_eq!(unescaped(&escaped(&octets)), Some(octets));
        }

        #[test]
        fn valid_text_can_be_told_too(text: String) {
            prop_assert_eq!(unescaped(&escaped(text.as_bytes())), Some(text.into_bytes()));
        }

        #[test]
        fn nothing_that_steers_a_terminal_is_left(text: String, octets: Vec<u8>) {
            for shown in [escaped(text.as_bytes()), escaped(&octets)] {
                prop_assert!(shown.chars().all(super::is_shown), "{:?}", shown);
            }
        }
    }

    fn unescaped(text: &str) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            let (octet, length) = match (first, behind) {
                (b'\\', [b'x', high, low, ..]) => {
                    let digits = [*high, *low];
                    (u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?, 4)
                }
                (b'\\', [b'r', ..]) => (b'\r', 2),
                (b'\\', [b'n', ..]) => (b'\n', 2),
                (b'\\', [b't', ..]) => (b'\t', 2),
                (b'\\', [same @ (b'\\' | b'"'), ..]) => (*same, 2),
                (b'\\', _) => return None,
                (plain, _) => (*plain, 1),
            };
            octets.push(octet);
            rest = &rest[length..];
        }
        Some(octets)
    }
}
