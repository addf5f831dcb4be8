//! The acts of scripts, and what a script is. The order is that of the documentation.

use super::patterns::EVENT_FORMAT;
use super::{CODE, DURATION_FORMAT, FIXTURE, FIXTURES, IN, NAME, NUMBER, TEXT, TEXTS, YES_NO, is_class, is_code};
use crate::model::{Callers, FileDue, ProtectionLevel, Resume};
use crate::shape::{Choice, Format, Key, Named, Shape, key, needed};

pub(super) static SCRIPT: Named =
    Named { name: "script", doc: "Acts in their order.", shape: Shape::List(&Shape::Named(&ACT)) };

static ACT: Named = Named {
    name: "act",
    doc: "One act: one key, or a bare word. Where it names no connection it means the one last opened or named.",
    shape: Shape::Choice(&Choice { noun: "an act", keys: ACTS, beside: &[] }),
};

pub(super) static ACTS: &[Key] = &[
    key(
        "connect",
        "Opens a TCP connection to the control port, or to the address of the last PASV or EPSV reply.",
        &CONNECT,
    ),
    key(
        "login",
        "Connects, then AUTH TLS, USER, PASS, PBSZ and PROT, TYPE I; if it fails the variant is untestable.",
        &LOGIN,
    ),
    key("send", "Sends one command line as the client, in the protection in force.", &TEXT),
    key(
        "reply",
        "Waits for the next reply: a lone code counts by its first digit; a map tells what follows which code.",
        &REPLY,
    ),
    key(
        "answer",
        "Sends one reply as the server; a code alone gets the words that are correct for the command.",
        &TEXT,
    ),
    key(
        "open",
        "A passive command and the connection to the address it gave; if it fails the variant is untestable.",
        &TEXT,
    ),
    key("passive", "Sends PASV or EPSV (or what the text says), and remembers the address in the reply.", &PASSIVE),
    key(
        "listen",
        "Opens a listener of ours, `${NAME.port}`, `${NAME.PORT}` (h1,…,p2), `${NAME.p1p2}`, `${NAME.EPRT}`; who connects \
         is logged. A server's `data` is the passive listener of its next transfer.",
        &LISTEN,
    ),
    key(
        "accept",
        "Takes the data connection as agreed: a server accepts it or connects, a client takes it from a listener.",
        &OPTIONAL_NAME,
    ),
    key("session", "The acts of `do` speak on another control connection.", &SESSION),
    key("key-update", "Sends a TLS 1.3 KeyUpdate.", &KEY_UPDATE),
    key(
        "records",
        "Sends one command line (as the server one reply) in several records (in the clear: segments), its CR LF too.",
        &TEXTS,
    ),
    key("handshake", "Starts (client) or accepts (server) a TLS handshake, and waits for its end.", &HANDSHAKE),
    key(
        "deliver",
        "Sends a file on the data connection: all of it, half of it, the rest behind that half, or a fixture.",
        &DELIVER,
    ),
    key("receive", "Reads a data connection to its end; the server's takes an upload.", &RECEIVE),
    key("close_notify", "Sends close_notify, and nothing more.", &OPTIONAL_NAME),
    key("FIN", "Sends a FIN: our write side is closed, reading goes on.", &OPTIONAL_NAME),
    key("RST", "Resets the connection.", &OPTIONAL_NAME),
    key(
        "clear",
        "Ends TLS on a connection that stays open: our close_notify, the peer's, then plaintext.",
        &OPTIONAL_NAME,
    ),
    key("plain", "Puts octets on the wire past TLS: a text, or `all` or `half` of the file in hand.", &PLAIN),
    key("record", "Sends one protected record of any type.", &RECORD),
    key("together", "What the acts within send leaves in one write.", &SCRIPT_SHAPE),
    key("hold", "Stops reading a connection, so that an order between two connections can be seen.", &OPTIONAL_NAME),
    key("release", "Reads a held connection again.", &OPTIONAL_NAME),
    key("mute", "Answers neither close_notify nor FIN of the peer from here on.", &OPTIONAL_NAME),
    key(
        "await",
        "Waits for an event; a map tells what follows which event, and none of them is not met. A `command` that our \
         server has waited for is served behind the script.",
        &AWAIT,
    ),
    key(
        "silence",
        "Nothing may arrive for so long (as the server: no command); only where no fence can be sent.",
        &SILENCE,
    ),
    key("pause", "Waits as a stimulus, never to synchronise.", &DURATION),
    key("within", "The acts within must all be done in this time.", &WITHIN),
    key("either", "Of these scripts the first whose first act is met is taken.", &Shape::List(&SCRIPT_SHAPE)),
    key("must", "The acts within are judged at level must.", &SCRIPT_SHAPE),
    key("should", "The acts within are judged at level should.", &SCRIPT_SHAPE),
    key("may", "The acts within are judged at level may.", &SCRIPT_SHAPE),
    key("field", "The acts within are judged as field practice.", &SCRIPT_SHAPE),
    key("note", "Unusual but lawful: shown, changes nothing.", &TEXT),
    key("warn", "A practice was not met; the script goes on.", &TEXT),
    key("fail", "The demand was not met; the script ends.", &TEXT),
    key("skip", "Not applicable; the script ends.", &TEXT),
    key("untestable", "A prerequisite failed; the script ends.", &TEXT),
    key("part", "The acts of one of the file's `parts`, in place of this one.", &NAME),
    key("for", "The acts of `do` once for each literal of `each`, which `${item}` stands for.", &FOR),
    key(
        "by-version",
        "The acts for the TLS version of the variant; nothing for a version that is not named.",
        &BY_VERSION,
    ),
];

pub(super) static SCRIPT_SHAPE: Shape = Shape::Named(&SCRIPT);

static OPTIONAL_NAME: Shape = Shape::Either(&[Shape::Nothing, Shape::Text(&super::NAME_FORMAT)]);
static DURATION: Shape = Shape::Text(&DURATION_FORMAT);

static CONNECT: Shape = Shape::Either(&[Shape::Text(&CONNECT_TO), Shape::Record(CONNECT_KEYS)]);
static CONNECT_TO: Format = Format::Words { noun: "where a connection can go", words: &["control", "passive"] };
static CONNECT_KEYS: &[Key] = &[
    needed("to", "The control port, or the address of the last PASV or EPSV reply.", &Shape::Text(&CONNECT_TO)),
    key("as", "The name of the connection, if it is not `control` or `data`.", &NAME),
    key("from", "The source address.", &TEXT),
];

static LOGIN: Shape = Shape::Either(&[Shape::Nothing, Shape::Record(LOGIN_KEYS)]);
static LOGIN_KEYS: &[Key] = &[
    key("protect", "The level that PROT is sent with, or `none`: neither PBSZ nor PROT is sent.", &PROTECT),
    key("certificate", "The client certificate of the control connection, or `none`.", &NAME),
];
static PROTECT: Shape = Shape::Text(&Format::Words {
    noun: "a protection level",
    words: &[ProtectionLevel::WORDS[1], ProtectionLevel::WORDS[0], "none"],
});

static REPLY: Shape = Shape::Either(&[
    Shape::Text(&Format::Pattern {
        due: "a reply code such as `226`, or a class such as `2yz`",
        pattern: "^[1-6]([0-9][0-9]|yz)$",
        holds: |text| is_code(text) || is_class(text),
    }),
    Shape::Record(REPLY_KEYS),
    Shape::Table(&REPLY_BRANCH, &SCRIPT_SHAPE),
]);
static REPLY_KEYS: &[Key] = &[
    needed("exact", "This code and no other.", &CODE),
    key(
        "protocols",
        "Whether its text must end in a list of network protocols, `(1,2)`, as that of 522 must.",
        &YES_NO,
    ),
];
static REPLY_BRANCH: Format = Format::Pattern {
    due: "a reply code such as `226`, a class such as `2yz`, or `any`",
    pattern: "^([1-6]([0-9][0-9]|yz)|any)$",
    holds: |text| text == "any" || is_code(text) || is_class(text),
};

static LISTEN: Shape = Shape::Record(LISTEN_KEYS);
static LISTEN_KEYS: &[Key] = &[
    needed("as", "The name of the listener.", &NAME),
    key("at", "Its address; the control connection's own if nothing is said.", &TEXT),
    key("port", "Its port; a free one if nothing is said.", &TEXT),
    key(
        "callers",
        "What becomes of those who connect: `taken`, `refused` (nobody listens), `unanswered` (a SYN gets no answer).",
        &CALLERS,
    ),
];
static CALLERS: Shape = Shape::Text(&Format::Words { noun: "what becomes of callers", words: Callers::WORDS });

static PASSIVE: Shape = Shape::Either(&[Shape::Text(&Format::Any), Shape::Record(PASSIVE_KEYS)]);
static PASSIVE_KEYS: &[Key] = &[
    needed("send", "The command.", &TEXT),
    key("in-range", "Whether the port must be one of the range that the subject is set up with.", &YES_NO),
    key(
        "exact",
        "Whether a 227 that names another host, and octets behind the bracket of a 229, are told as field practice not met.",
        &YES_NO,
    ),
];

static SESSION: Shape = Shape::Record(SESSION_KEYS);
static SESSION_KEYS: &[Key] =
    &[needed("as", "The name of its control connection.", &NAME), needed("do", "What is done in it.", &SCRIPT_SHAPE)];

static KEY_UPDATE: Shape =
    Shape::Either(&[Shape::Nothing, Shape::Text(&super::NAME_FORMAT), Shape::Record(KEY_UPDATE_KEYS)]);
static KEY_UPDATE_KEYS: &[Key] =
    &[key("on", "The connection.", &NAME), key("request", "Whether the peer is asked to do the same.", &YES_NO)];

static HANDSHAKE: Shape =
    Shape::Either(&[Shape::Nothing, Shape::Text(&super::NAME_FORMAT), Shape::Record(HANDSHAKE_KEYS)]);
static HANDSHAKE_KEYS: &[Key] = &[
    key("on", "The connection.", &NAME),
    key("resume", "Which session we offer (as client).", &RESUME),
    key(
        "certificate",
        "Our certificate on this connection, or `none`; the one of the control connection if nothing is said.",
        &NAME,
    ),
    key(
        "identity",
        "The peer must know us by this certificate: shown in full, or resumed from the session that carried it.",
        &NAME,
    ),
    key("resumed", "Whether the session must be resumed (`yes`) or must not be (`no`).", &YES_NO),
    key("offers", "The session whose control connection's tickets are offered; this one if nothing is said.", &NAME),
    key("wait", "`no`: only begins it; the script goes on at once, and may `await: handshake` later.", &YES_NO),
    key(
        "hold",
        "`yes`: reading stops the moment it is done, and what the peer sends behind it waits for a `release`.",
        &YES_NO,
    ),
    key(
        "cut",
        "`yes`: as the server sends its ServerHello and no record behind it; the script goes on when that is out.",
        &YES_NO,
    ),
    key("else", "What follows a handshake that fails, in place of ending the script.", &SCRIPT_SHAPE),
];
static RESUME: Shape = Shape::Text(&Format::Words { noun: "a way to resume", words: Resume::WORDS });

static PART_OF_FILE: Shape = Shape::Text(&Format::Words { noun: "a part of a file", words: &["all", "half", "rest"] });

static DELIVER: Shape = Shape::Either(&[Shape::Text(&DELIVERED), Shape::Record(DELIVER_KEYS)]);
static DELIVERED: Format = Format::Words { noun: "`all`, `half`, `rest` or a fixture", words: &DELIVERED_WORDS };
const DELIVERED_WORDS: [&str; FIXTURES.len() + 3] = and_fixtures(["all", "half", "rest"]);
static DELIVER_KEYS: &[Key] = &[
    key("on", "The connection.", &NAME),
    key("file", "The fixture; the file that the command is about if nothing is said.", &FIXTURE),
    key("part", "How much of it.", &PART_OF_FILE),
];

static RECEIVE: Shape = Shape::Either(&[Shape::Nothing, Shape::Record(RECEIVE_KEYS)]);
static RECEIVE_KEYS: &[Key] = &[
    key("on", "The connection; `data` if nothing is said.", &NAME),
    key("octets", "How many octets exactly.", &NUMBER),
    key(
        "file",
        "The fixture whose octets these must be; `asked-for`: the one that the last RETR named, if it named one.",
        &RECEIVED,
    ),
    key("end", "How the connection must end.", &END),
    key("in", "Whether the octets must have been protected.", &IN),
];
static RECEIVED: Shape = Shape::Text(&Format::Words { noun: "`asked-for` or a fixture", words: &RECEIVED_WORDS });
const RECEIVED_WORDS: [&str; FIXTURES.len() + 1] = and_fixtures([FileDue::ASKED_FOR]);
static END: Shape =
    Shape::Text(&Format::Words { noun: "an end of a connection", words: &["close_notify", "FIN", "RST", "any"] });

static PLAIN: Shape = Shape::Either(&[Shape::Text(&Format::Any), Shape::Record(PLAIN_KEYS)]);
static PLAIN_KEYS: &[Key] = &[key("on", "The connection.", &NAME), needed("octets", "A text, `all` or `half`.", &TEXT)];

static RECORD: Shape = Shape::Record(RECORD_KEYS);
static RECORD_KEYS: &[Key] = &[
    key("on", "The connection.", &NAME),
    needed("type", "The content type, as a number or a word.", &CONTENT_TYPE),
    needed("octets", "The plaintext of the record.", &TEXT),
];
static CONTENT_TYPE: Shape = Shape::Text(&Format::Pattern {
    due: "`handshake`, `alert`, `application_data`, `change_cipher_spec`, or a number up to 255",
    pattern: "^([0-9]{1,3}|handshake|alert|application_data|change_cipher_spec)$",
    holds: |text| crate::decode::content_type(text).is_some(),
});

static AWAIT: Shape = Shape::Either(&[Shape::Text(&EVENT_FORMAT), Shape::Table(&EVENT_FORMAT, &SCRIPT_SHAPE)]);

static SILENCE: Shape = Shape::Either(&[Shape::Text(&DURATION_FORMAT), Shape::Record(SILENCE_KEYS)]);
static SILENCE_KEYS: &[Key] = &[key("on", "The connection.", &NAME), needed("for", "How long.", &DURATION)];

static WITHIN: Shape = Shape::Table(&DURATION_FORMAT, &SCRIPT_SHAPE);

static FOR: Shape = Shape::Record(FOR_KEYS);
static FOR_KEYS: &[Key] =
    &[needed("each", "The literals.", &TEXTS), needed("do", "What is done with each.", &SCRIPT_SHAPE)];

static BY_VERSION: Shape = Shape::Record(BY_VERSION_KEYS);
static BY_VERSION_KEYS: &[Key] =
    &[key("1.2", "With TLS 1.2.", &SCRIPT_SHAPE), key("1.3", "With TLS 1.3.", &SCRIPT_SHAPE)];

/// These words, and each fixture's.
const fn and_fixtures<const MORE: usize, const ALL: usize>(words: [&'static str; MORE]) -> [&'static str; ALL] {
    let mut all = [""; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < MORE { words[at] } else { FIXTURES[at - MORE] };
        at += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_can_be_delivered_is_all_half_its_rest_and_every_fixture() {
        assert_eq!(super::DELIVERED_WORDS[3..], *super::super::FIXTURES);
    }

    #[test]
    fn what_can_be_received_is_what_was_asked_for_and_every_fixture() {
        assert_eq!(super::RECEIVED_WORDS[1..], *super::super::FIXTURES);
    }
}
