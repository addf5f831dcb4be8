//! Whether an event is the one that a pattern tells: the same function for the player, the judge and the diagnoses.

use ftpspec_scenario::model::{By as PatternBy, EventKind, Pattern};
use ftpspec_transcript::{By, Event, Offers, What};
use ftpspec_wire::{CodePattern, LooksLike, Reply, alert_name, parse_epsv_reply, parse_pasv_reply};
use sha2::{Digest as _, Sha256};

use crate::fixture::content;

/// Whether `event` is one that `pattern` tells. `on` and `by` hold where the pattern does not say; none means any.
/// `unasked` are the replies that nobody asked for, from [`ftpspec_transcript::unasked_replies`].
#[must_use]
pub fn matches(pattern: &Pattern, event: &Event, on: Option<&str>, by: Option<PatternBy>, unasked: &[usize]) -> bool {
    if let Some(on) = pattern.on.as_deref().or(on)
        && !event.connection.as_deref().is_some_and(|connection| is_called(connection, on))
    {
        return false;
    }
    if let Some(by) = pattern.by.or(by) {
        let is = if event.by == By::Us { PatternBy::Us } else { PatternBy::Peer };
        if by != is {
            return false;
        }
    }
    if let (Some(due), Some(is)) = (pattern.protected, protection(&event.what))
        && due != is
    {
        return false;
    }
    kind_matches(pattern, event, unasked)
}

/// Whether a connection bears this name: `data.2` is called `data`.
#[must_use]
pub fn is_called(connection: &str, name: &str) -> bool {
    connection == name || connection.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

fn kind_matches(pattern: &Pattern, event: &Event, unasked: &[usize]) -> bool {
    // `is` and `except` are about one word or another, as the kind has it.
    let says = |is: &dyn Fn(&str) -> bool| {
        (pattern.is.is_empty() || pattern.is.iter().any(|word| is(word))) && !pattern.except.iter().any(|word| is(word))
    };
    let to = |verb: &str| pattern.to.is_empty() || pattern.to.iter().any(|word| word.eq_ignore_ascii_case(verb));
    match (pattern.kind, &event.what) {
        (EventKind::Connected, What::Connected { .. })
        | (EventKind::Accepted, What::Accepted { .. })
        | (EventKind::ConnectFailed, What::ConnectFailed { .. })
        | (EventKind::Malformed, What::Malformed { .. })
        | (EventKind::ServerHello, What::ServerHello)
        | (EventKind::HandshakeStarted, What::HandshakeStarted)
        | (EventKind::CertificateRequest, What::CertificateRequest)
        | (EventKind::Ticket, What::Ticket)
        | (EventKind::Waiting, What::Waiting)
        | (EventKind::CloseNotify | EventKind::End, What::CloseNotify)
        | (EventKind::Fin | EventKind::Close | EventKind::End, What::Fin { .. })
        | (EventKind::Rst | EventKind::Close | EventKind::End, What::Rst)
        | (EventKind::Octets, What::Octets { .. }) => true,
        (EventKind::ClientHello, What::ClientHello { offers, .. }) => says(&|word| match offers {
            Offers::Nothing => false,
            Offers::Session => word == "offering",
            Offers::Ticket { again, .. } => word == "offering" || word == "offering-again" && *again,
        }),
        (EventKind::Command, What::Command { verb, line, .. }) => {
            to(verb) && says(&|word| word.eq_ignore_ascii_case(verb) || word.eq_ignore_ascii_case(line))
        }
        (EventKind::Reply, What::Reply { reply, to: verb, .. }) => {
            to(verb)
                && says(&|word| match word {
                    "multi-line" => reply.lines.len() > 1,
                    "no-address" => lacks_address(reply),
                    "odd-form" => is_odd(reply),
                    code => is_code(code, reply.code),
                })
        }
        (EventKind::UnaskedReply, What::Reply { reply, .. }) => {
            unasked.contains(&event.seq) && says(&|word| is_code(word, reply.code))
        }
        (EventKind::Handshake, What::Handshake(handshake)) => says(&|word| match word {
            "resumed" => handshake.resumed.is_some(),
            "full" => handshake.resumed.is_none(),
            other => handshake.version == other || handshake.shown.as_deref() == Some(other),
        }),
        (EventKind::HandshakeFailed, What::HandshakeFailed { why, .. }) => says(&|word| word == *why),
        (EventKind::Alert, What::Alert { description, .. }) => {
            says(&|word| word == alert_name(*description) || word.parse() == Ok(*description))
        }
        (EventKind::Plaintext, What::Plaintext { looks_like, in_session, .. }) => {
            pattern.looks_like.as_ref().is_none_or(|due| kind_of_text(looks_like) == due)
                && says(&|word| match (word, looks_like) {
                    ("in-session", _) => *in_session,
                    (code, LooksLike::FtpReply { code: is }) => is_code(code, *is),
                    _ => false,
                })
        }
        (EventKind::Timeout, What::Timeout { of, .. }) => says(&|word| of == word),
        (EventKind::Unmet, What::Unmet { act, why, .. }) => {
            says(&|word| word.split_once('/').map_or(word == *act, |(due, reason)| due == *act && reason == *why))
        }
        (EventKind::Leaf, What::Leaf { kind, .. }) => says(&|word| word == *kind),
        (EventKind::File, What::File { whole, .. }) => says(&|word| (word == "whole") == *whole),
        (EventKind::Ended, What::Ended { how, .. }) => says(&|word| word == *how),
        (EventKind::Fetched, What::Fetched { name, octets, sha256 }) => says(&|word| match octets {
            None => word == "none",
            Some(_) if is_fixture(name, sha256) => word == "intact",
            Some(_) => word == "other",
        }),
        _ => false,
    }
}

/// Whether a reply that should name an address or a port names none that can be read.
fn lacks_address(reply: &Reply) -> bool {
    let text = reply.lines.last().map_or(&[][..], Vec::as_slice);
    match reply.code {
        227 => parse_pasv_reply(text).is_err(),
        229 => parse_epsv_reply(text).is_err(),
        _ => false,
    }
}

/// Whether it is a 229 that RFC 2428 allows and does not show: every client has met the form of its example.
fn is_odd(reply: &Reply) -> bool {
    let text = reply.lines.last().map_or(&[][..], Vec::as_slice);
    let shown = |text: &[u8]| {
        let port = text.strip_prefix(b"229 Entering Extended Passive Mode (|||")?.strip_suffix(b"|)")?;
        port.iter().all(u8::is_ascii_digit).then_some(())
    };
    reply.code == 229 && !lacks_address(reply) && (reply.lines.len() > 1 || shown(text.trim_ascii_end()).is_none())
}

fn is_fixture(name: &str, sha256: &str) -> bool {
    content(name).is_some_and(|octets| hex::encode(Sha256::digest(&octets)) == sha256)
}

fn is_code(word: &str, code: u16) -> bool {
    word.parse::<CodePattern>().is_ok_and(|pattern| pattern.matches(code))
}

fn kind_of_text(looks_like: &LooksLike) -> &'static str {
    match looks_like {
        LooksLike::FtpReply { .. } => "ftp-reply",
        LooksLike::Html => "html",
        LooksLike::Http => "http",
        LooksLike::TlsRecord => "tls-record",
        LooksLike::Text => "text",
        LooksLike::Octets => "octets",
    }
}

fn protection(what: &What) -> Option<bool> {
    match what {
        What::Command { protected, .. }
        | What::Reply { protected, .. }
        | What::Octets { protected, .. }
        | What::Content { protected, .. } => Some(*protected),
        What::Plaintext { .. } => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_229_of_the_rfcs_example_is_no_odd_one() {
        assert!(!is_odd(&Reply::new(229, "Entering Extended Passive Mode (|||6446|)")));
        assert!(is_odd(&Reply::new(229, "Entering Extended Passive Mode (!!!6446!)")));
        assert!(is_odd(&Reply::new(229, "(|||6446|)")));
        assert!(is_odd(&Reply::new(229, "Entering\nExtended Passive Mode (|||6446|)")));
        assert!(!is_odd(&Reply::new(229, "Entering Extended Passive Mode")), "that is no address at all");
        assert!(!is_odd(&Reply::new(227, "Entering Passive Mode (127,0,0,1,25,46)")));
    }
}
