//! A guess at what unexpected octets are, for the sentence that a person reads: FTP text where TLS was due, a web
//! server's page on port 21. It is a guess from the first octets, and never a verdict's ground.

use std::fmt;

use crate::escape::is_shown;
use crate::record;
use crate::reply;

/// What octets look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooksLike {
    /// An FTP reply, or its beginning.
    FtpReply {
        /// Its code.
        code: u16,
    },
    /// A page of HTML.
    Html,
    /// An HTTP request or response.
    Http,
    /// The beginning of a TLS record.
    TlsRecord,
    /// Other text.
    Text,
    /// None of these, or nothing at all.
    Octets,
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FtpReply { .. } => "ftp-reply",
            Self::Html => "html",
            Self::Http => "http",
            Self::TlsRecord => "tls-record",
            Self::Text => "text",
            Self::Octets => "octets",
        })
    }
}

/// What these octets look like. At most the first [`MAX_LOOK`] are read.
pub fn looks_like(octets: &[u8]) -> LooksLike {
    let head = &octets[..octets.len().min(MAX_LOOK)];
    let line = head.split(|octet| matches!(octet, b'\r' | b'\n')).next().unwrap_or_default();
    if let Some(code) = reply::begins(line) {
        LooksLike::FtpReply { code }
    } else if is_http(line) {
        LooksLike::Http
    } else if is_html(head) {
        LooksLike::Html
    } else if is_tls_record(head) {
        LooksLike::TlsRecord
    } else if is_text(head) {
        LooksLike::Text
    } else {
        LooksLike::Octets
    }
}

fn is_http(line: &[u8]) -> bool {
    // A status line, or a request line, which ends in the version (RFC 9112 §3, §4).
    let is_status = line.starts_with(b"HTTP/");
    let is_request = line.first().is_some_and(u8::is_ascii_uppercase)
        && line.rsplit(|octet| *octet == b' ').next().is_some_and(|last| last.starts_with(b"HTTP/1."));
    is_status || is_request
}

fn is_html(head: &[u8]) -> bool {
    let page = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    HTML_BEGINNINGS.iter().any(|tag| page.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
}

/// Type and major version at least: one octet could be anything.
fn is_tls_record(head: &[u8]) -> bool {
    head.len() >= 2 && record::can_begin_record(head)
}

fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may have been cut in two.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).expect("valid up to here")
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|character| is_shown(character) || matches!(character, '\r' | '\n' | '\t'))
}

/// Octets that are looked at: a page says what it is in its first line, and text that is text so far is text.
pub const MAX_LOOK: usize = 1024;

const HTML_BEGINNINGS: &[&[u8]] = &[b"<!doctype html", b"<html", b"<head", b"<title", b"<body"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{LooksLike, MAX_LOOK, looks_like};

    #[rstest]
    #[case::recorded_by_zos(b"550 T", LooksLike::FtpReply { code: 550 }, "ftp-reply")]
    #[case::many_lines(b"220-a\r\nb", LooksLike::FtpReply { code: 220 }, "ftp-reply")]
    #[case::code_alone(b"421\r\n", LooksLike::FtpReply { code: 421 }, "ftp-reply")]
    #[case::number(b"5501 T", LooksLike::Text, "text")]
    #[case::html(b"\r\n<!DOCTYPE HTML>", LooksLike::Html, "html")]
    #[case::html_with_mark(b"\xef\xbb\xbf<html lang=en>", LooksLike::Html, "html")]
    #[case::http_response(b"HTTP/1.1 400 Bad Request\r\n", LooksLike::Http, "http")]
    #[case::http_request(b"GET / HTTP/1.1\r\nHost: x", LooksLike::Http, "http")]
    #[case::client_hello(b"\x16\x03\x01\x00\x39\x01", LooksLike::TlsRecord, "tls-record")]
    #[case::cut_alert(b"\x15\x03", LooksLike::TlsRecord, "tls-record")]
    #[case::record_too_long(b"\x16\x03\x01\xff\xff", LooksLike::Octets, "octets")]
    #[case::one_octet(b"\x16", LooksLike::Octets, "octets")]
    #[case::text(b"OOPS: vsftpd\r\n", LooksLike::Text, "text")]
    #[case::cut_character(b"caf\xc3", LooksLike::Text, "text")]
    #[case::lone_octet_inside(b"caf\xc3 ", LooksLike::Octets, "octets")]
    #[case::terminal_escape(b"\x1b[2J", LooksLike::Octets, "octets")]
    #[case::nothing(b"", LooksLike::Octets, "octets")]
    fn the_first_octets_tell(#[case] octets: &[u8], #[case] due: LooksLike, #[case] name: &str) {
        assert_eq!(looks_like(octets), due);
        assert_eq!(due.to_string(), name);
    }

    #[test]
    fn only_the_head_is_read() {
        let mut octets = vec![b'a'; MAX_LOOK];
        octets.push(0);
        assert_eq!(looks_like(&octets), LooksLike::Text);
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets: Vec<u8>) {
            looks_like(&octets);
        }
    }
}
