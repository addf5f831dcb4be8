//! The events that patterns tell, the demands of `expect:`, and the elements of a diagnosis' `when`.

use super::{IN, NAME, NUMBER, TEXT, TEXTS, VERB_FORMAT, VERBS};
use crate::model::{By, EventKind, FilesDue};
use crate::shape::{Choice, Format, Key, Named, Shape, key, needed};

/// `close`, `plaintext 421`, `end data`: the decoder knows which words take what, and says it better than a pattern.
pub(super) static EVENT_FORMAT: Format = Format::Pattern {
    due: "an event such as `close`, `plaintext 421` or `end data`",
    pattern: "^[A-Za-z_-]+( [^ ]+){0,2}$",
    holds: |text| text.split(' ').count() <= 3 && !text.split(' ').any(str::is_empty),
};

/// The alerts of RFC 8446 §6 and RFC 5246 §7.2, close_notify apart.
pub(crate) const ALERTS: &[&str] = &[
    "unexpected_message",
    "bad_record_mac",
    "decryption_failed",
    "record_overflow",
    "decompression_failure",
    "handshake_failure",
    "no_certificate",
    "bad_certificate",
    "unsupported_certificate",
    "certificate_revoked",
    "certificate_expired",
    "certificate_unknown",
    "illegal_parameter",
    "unknown_ca",
    "access_denied",
    "decode_error",
    "decrypt_error",
    "export_restriction",
    "protocol_version",
    "insufficient_security",
    "internal_error",
    "inappropriate_fallback",
    "user_canceled",
    "no_renegotiation",
    "missing_extension",
    "unsupported_extension",
    "certificate_unobtainable",
    "unrecognized_name",
    "bad_certificate_status_response",
    "bad_certificate_hash_value",
    "unknown_psk_identity",
    "certificate_required",
    "no_application_protocol",
];

pub(super) static EXPECTATION: Shape = Shape::Named(&EXPECTATION_NAMED);
static EXPECTATION_NAMED: Named = Named {
    name: "expectation",
    doc: "A demand on the whole conversation.",
    shape: Shape::Choice(&Choice { noun: "an expectation", keys: EXPECTATIONS, beside: &[] }),
};

pub(super) static EXPECTATIONS: &[Key] = &[
    key("never", "No such event.", &PATTERN),
    key("order", "Commands in this order, others between them being no matter; a list within is a choice.", &ORDER),
    key("count", "So many commands with this verb.", &Shape::Table(&VERB_FORMAT, &NUMBER)),
    key("client", "The client under test succeeds, fails, or ends either way.", &CLIENT_OUTCOME),
    key(
        "files",
        "Every file of the request arrived whole (`intact`); or else the client reports failure (`intact-or-failed`).",
        &FILES,
    ),
    key(
        "rows",
        "The client's commands, of those that any row names, are one of these rows; which one is noted.",
        &Shape::Table(&super::NAME_FORMAT, &ORDER),
    ),
    key("must", "The demands within are judged at level must.", &super::EXPECTATIONS),
    key("should", "The demands within are judged at level should.", &super::EXPECTATIONS),
    key("may", "The demands within are judged at level may.", &super::EXPECTATIONS),
    key("field", "The demands within are judged as field practice.", &super::EXPECTATIONS),
    key("for", "The demands of `do` once for each literal of `each`, which `${item}` stands for.", &FOR),
    key("by-version", "The demands for the TLS version of the variant.", &BY_VERSION),
];

static ORDER: Shape = Shape::List(&VERBS);
static FILES: Shape = Shape::Text(&Format::Words { noun: "what files can be", words: FilesDue::WORDS });
static CLIENT_OUTCOME: Shape = Shape::Choice(&Choice { noun: "an outcome of the client", keys: OUTCOMES, beside: &[] });
static OUTCOMES: &[Key] = &[
    key("succeeds", "It reports success.", &Shape::Nothing),
    key("fails", "It reports failure.", &Shape::Either(&[Shape::Nothing, Shape::Record(FAILS_KEYS)])),
    key("ends", "It comes to an end of its own; whether it reports success or failure is noted.", &Shape::Nothing),
];
static FAILS_KEYS: &[Key] = &[needed("within", "In this time.", &Shape::Text(&super::DURATION_FORMAT))];
static FOR: Shape = Shape::Record(FOR_KEYS);
static FOR_KEYS: &[Key] =
    &[needed("each", "The literals.", &TEXTS), needed("do", "What is demanded with each.", &super::EXPECTATIONS)];
static BY_VERSION: Shape = Shape::Record(BY_VERSION_KEYS);
static BY_VERSION_KEYS: &[Key] =
    &[key("1.2", "With TLS 1.2.", &super::EXPECTATIONS), key("1.3", "With TLS 1.3.", &super::EXPECTATIONS)];

/// In a diagnosis: an event, or `not:` an event.
pub(super) static WHEN: Shape = Shape::Either(&[
    Shape::Text(&EVENT_FORMAT),
    Shape::Record(WHEN_KEYS),
    Shape::Choice(&Choice { noun: "an event", keys: EVENTS, beside: BESIDE }),
]);
static WHEN_KEYS: &[Key] =
    &[needed("not", "No such event between its neighbours (before the end, if it is the last).", &PATTERN)];

static PATTERN: Shape = Shape::Named(&PATTERN_NAMED);
static PATTERN_NAMED: Named = Named {
    name: "pattern",
    doc: "An event: in short (`plaintext 421`, `end data`), or as a map from its word to what else must hold of it.",
    shape: Shape::Either(&[
        Shape::Text(&EVENT_FORMAT),
        Shape::Choice(&Choice { noun: "an event", keys: EVENTS, beside: BESIDE }),
    ]),
};

/// `never: {command: [USER, PASS], in: clear}` reads better than the same with braces around the verbs.
static BESIDE: &[Key] = &[key("in", "Only in the clear, or only in TLS.", &IN)];

pub(super) static EVENTS: &[Key] = &[
    key("connected", "A TCP connection was made.", &DETAIL),
    key("accepted", "A TCP connection was accepted.", &DETAIL),
    key("connect-failed", "A TCP connection was refused, or did not come about.", &DETAIL),
    key("command", "A command line; a word or list is its verb, and `is` may be the whole line.", &DETAIL),
    key(
        "reply",
        "A reply; a word or list is its code, or `multi-line`, or `no-address`: a 227 or 229 in which none can be read, or \
         `odd-form`: a 229 in which one can be read, though it is not written as in the example of RFC 2428.",
        &DETAIL,
    ),
    key("malformed", "Octets that are no reply where one was due.", &DETAIL),
    key(
        "client-hello",
        "A ClientHello: `offering` a session, `offering-again` a ticket of another connection's.",
        &DETAIL,
    ),
    key("server-hello", "A ServerHello.", &DETAIL),
    key("handshake-started", "A handshake was begun.", &DETAIL),
    key(
        "handshake",
        "A handshake was finished: `resumed`, `full`, its version (`1.0` to `1.3`), or the certificate that we showed as the server.",
        &DETAIL,
    ),
    key("handshake-failed", "A handshake came to nothing.", &DETAIL),
    key("certificate-request", "A client certificate was asked for.", &DETAIL),
    key("ticket", "A session ticket came.", &DETAIL),
    key("waiting", "Something has come on a connection that is held, and waits for the release.", &DETAIL),
    key("alert", "An alert, close_notify apart; a word or list is its name.", &DETAIL),
    key("close_notify", "A close_notify.", &DETAIL),
    key("FIN", "A FIN.", &DETAIL),
    key("RST", "A reset.", &DETAIL),
    key("close", "FIN or RST.", &DETAIL),
    key("end", "close_notify, FIN or RST.", &DETAIL),
    key(
        "plaintext",
        "Octets that are not TLS where TLS was due; a word or list is the code of the reply in them.",
        &DETAIL,
    ),
    key("octets", "Application octets on a data connection.", &DETAIL),
    key("timeout", "Something that was waited for did not come; a word or list says what.", &DETAIL),
    key("unmet", "A demand was not met: the act, or `act/why`; of `expect` its word.", &DETAIL),
    key("leaf", "A conclusion of the script: `note`, `warn`, `fail`, `skip`, `untestable`.", &DETAIL),
    key("unasked-reply", "A reply while no command was open.", &DETAIL),
    key("file", "An upload was made: `whole`, `truncated`.", &DETAIL),
    key("ended", "The client ended: `succeeded`, `failed`, `cannot`, `crashed`, `hung`.", &DETAIL),
    key("fetched", "What the client kept of a file that it was to fetch: `intact`, `other`, `none`.", &DETAIL),
];

static DETAIL: Shape = Shape::Named(&DETAIL_NAMED);
static DETAIL_NAMED: Named = Named {
    name: "event-detail",
    doc: "What must hold of the event; a text or list is short for `is`.",
    shape: Shape::Either(&[Shape::Nothing, Shape::Text(&Format::Any), Shape::List(&TEXT), Shape::Record(DETAIL_KEYS)]),
};
static DETAIL_KEYS: &[Key] = &[
    key("on", "On this connection.", &NAME),
    key("by", "Ours, or the subject's.", &BY),
    key("is", "One of these codes, alerts or words.", &ONE_OR_MORE),
    key("except", "None of these codes, alerts or words.", &ONE_OR_MORE),
    key("to", "The command that a reply answers; the verb of a command.", &VERBS),
    key("in", "Only in the clear, or only in TLS.", &IN),
    key("looks-like", "What plaintext looks like.", &LOOKS_LIKE),
];
static ONE_OR_MORE: Shape = Shape::Either(&[Shape::Text(&Format::Any), Shape::List(&TEXT)]);
static BY: Shape = Shape::Text(&Format::Words { noun: "a side", words: By::WORDS });
static LOOKS_LIKE: Shape = Shape::Text(&Format::Words {
    noun: "what octets can look like",
    words: &["ftp-reply", "html", "http", "tls-record", "text", "octets"],
});

/// Whether an event of this kind carries a word that a pattern can ask for.
pub(crate) fn carries_word(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Command
            | EventKind::ClientHello
            | EventKind::Reply
            | EventKind::Handshake
            | EventKind::HandshakeFailed
            | EventKind::Alert
            | EventKind::Plaintext
            | EventKind::Timeout
            | EventKind::Unmet
            | EventKind::Leaf
            | EventKind::UnaskedReply
            | EventKind::File
            | EventKind::Ended
            | EventKind::Fetched
    )
}
