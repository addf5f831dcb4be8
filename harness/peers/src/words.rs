//! The words that go to a peer and come from it: templates of its description on the way in, the end of what it said on
//! the way out. It knows no peer and touches nothing.

use std::net::IpAddr;

/// Replaces each `${word}`, whose value may depend on what stands behind it; the error is a word without a value. A `$`
/// before anything else is itself, and what was put in is not looked into again.
pub(crate) fn filled_in(template: &str, value_of: impl Fn(&str, &str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, from_word)) = rest.split_once("${") {
        let (word, after) = from_word.split_once('}').ok_or_else(|| from_word.to_owned())?;
        filled.push_str(before);
        filled.push_str(&value_of(word, after).ok_or_else(|| word.to_owned())?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// An address as it is written before `behind`: where a port follows, one of IPv6 needs brackets (RFC 3986 §3.2.2), so
/// that `${address}:${port}` is a place in either family.
pub(crate) fn host(address: IpAddr, behind: &str) -> String {
    if address.is_ipv6() && behind.starts_with(":${port}") { format!("[{address}]") } else { address.to_string() }
}

/// The end of a text that may be long: the lines that tell why something failed are its last.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES_OF_AN_ERROR)..].join("\n")
}

/// A failed `apt-get` or a server's configuration error shows its cause within this many lines.
const LINES_OF_AN_ERROR: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_once() {
        let value_of = |word: &str, _: &str| (word == "a").then(|| "${a} $b".to_owned());
        assert_eq!(filled_in("x ${a}/${a} $5 {y}", value_of), Ok("x ${a} $b/${a} $b $5 {y}".to_owned()));
        assert_eq!(filled_in("${a}${b}", value_of), Err("b".to_owned()));
        assert_eq!(filled_in("${a", value_of), Err("a".to_owned()));
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets_before_a_port_and_nowhere_else() {
        let filled = |address: &str, template: &str| {
            let address = address.parse().unwrap();
            filled_in(template, |word, behind| {
                Some(if word == "port" { "1".to_owned() } else { host(address, behind) })
            })
        };
        assert_eq!(filled("::1", "ftp://${address}:${port}/ ${address}").unwrap(), "ftp://[::1]:1/ ::1");
        assert_eq!(filled("::1", "${address}: ${port}").unwrap(), "::1: 1");
        assert_eq!(filled("127.1.2.3", "${address}:${port} ${address}").unwrap(), "127.1.2.3:1 127.1.2.3");
    }

    #[test]
    fn of_a_long_text_the_last_lines_are_kept() {
        let text: String = (0..30).map(|line| format!("line {line}\r\n\n")).collect();
        let kept = last_lines(&text);
        assert!(kept.starts_with("line 18\nline 19\n"), "{kept}");
        assert!(kept.ends_with("\nline 29"), "{kept}");
    }
}
