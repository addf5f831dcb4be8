//! The typed events of a log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftpspec_wire::{LooksLike, Reply};

/// Whose event it is: that of the harness, or that of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The harness.
    Us,
    /// The other side.
    Peer,
}

/// A place in a scenario's file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// How many characters.
    pub length: usize,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number in the log, from 0.
    pub seq: usize,
    /// When, since the log began. Shown, never judged.
    pub at: Duration,
    /// The connection, if it is about one.
    pub connection: Option<Arc<str>>,
    /// Whose it is.
    pub by: By,
    /// Whether politeness did it (answering close_notify and FIN), not the script.
    pub polite: bool,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// We made a TCP connection.
    Connected {
        /// To where.
        to: SocketAddr,
    },
    /// We accepted a TCP connection.
    Accepted {
        /// From where.
        from: SocketAddr,
    },
    /// A TCP connection did not come about.
    ConnectFailed {
        /// To where.
        to: SocketAddr,
        /// The words of the system.
        why: String,
    },
    /// A command line, escaped and redacted.
    Command {
        /// The verb in upper case.
        verb: String,
        /// The line without its end.
        line: String,
        /// Inside TLS.
        protected: bool,
    },
    /// A reply.
    Reply {
        /// Code and lines.
        reply: Reply,
        /// Inside TLS.
        protected: bool,
        /// The verb of the command that it answers; empty for the greeting.
        to: String,
    },
    /// Octets where a reply or a command was due, which are neither.
    Malformed {
        /// Their beginning.
        octets: Vec<u8>,
        /// What is wrong with them.
        why: String,
    },
    /// A ClientHello, ours or theirs.
    ClientHello {
        /// In words: version, suites, extensions.
        summary: String,
        /// Whether it offers a session for resumption.
        offers: Offers,
    },
    /// A ServerHello.
    ServerHello,
    /// We began a handshake on this connection.
    HandshakeStarted,
    /// A handshake was finished.
    Handshake(Box<Handshake>),
    /// A handshake did not come about.
    HandshakeFailed {
        /// One word: `alert`, `not-tls`, `certificate`, `ended`, `other`.
        why: &'static str,
        /// The words of the library, for people.
        words: String,
    },
    /// The server asked for a client certificate.
    CertificateRequest,
    /// A session ticket.
    Ticket,
    /// A TLS key update.
    KeyUpdate,
    /// An alert that is no close_notify.
    Alert {
        /// 1 warning, 2 fatal.
        level: u8,
        /// The number of RFC 8446 §6.
        description: u8,
    },
    /// close_notify.
    CloseNotify,
    /// The write side was closed.
    Fin {
        /// In the midst of a TLS record.
        inside_record: bool,
    },
    /// The connection was reset.
    Rst,
    /// Something has come on a connection that is held: it waits, and nobody has looked at it.
    Waiting,
    /// TLS records of one type in one direction, folded.
    Records {
        /// The content type on the outside.
        content_type: u8,
        /// The version in the header.
        version: u16,
        /// How many.
        count: u64,
        /// Their octets, headers not counted.
        octets: u64,
    },
    /// Octets that are not TLS where TLS was due, or that we put past TLS ourselves.
    Plaintext {
        /// Their beginning.
        octets: Vec<u8>,
        /// What they look like.
        looks_like: LooksLike,
        /// After a finished handshake and before close_notify.
        in_session: bool,
    },
    /// Application octets on a data connection, folded.
    Octets {
        /// How many.
        count: u64,
        /// Inside TLS.
        protected: bool,
    },
    /// One direction of a data connection has ended: all that it carried.
    Content {
        /// How many octets.
        count: u64,
        /// Their SHA-256, in hex.
        sha256: String,
        /// Inside TLS.
        protected: bool,
    },
    /// Something did not come in time.
    Timeout {
        /// What was waited for, in the words of `limits`.
        of: String,
        /// How long.
        after: Duration,
    },
    /// An act of the script begins.
    Act {
        /// Its word.
        word: &'static str,
        /// Where it stands.
        place: Place,
    },
    /// A demand of the script was not met.
    Unmet {
        /// The act's word.
        act: &'static str,
        /// One word for the reason.
        why: &'static str,
        /// What was due, in words.
        due: String,
        /// What came, in words.
        came: String,
        /// The level's word.
        level: &'static str,
        /// Where the act stands.
        place: Place,
    },
    /// A conclusion of the script.
    Leaf {
        /// Its word: note, warn, fail, skip, untestable.
        kind: &'static str,
        /// Why.
        text: String,
        /// The level in force.
        level: &'static str,
        /// Where it stands.
        place: Place,
    },
    /// The client under test was asked for an action.
    Asked {
        /// The action's word.
        action: String,
        /// The fixtures it is about.
        files: Vec<String>,
    },
    /// The client under test has ended.
    Ended {
        /// One word: `succeeded`, `failed`, `cannot`, `crashed`, `hung`.
        how: &'static str,
        /// Its exit status or signal, in words.
        status: String,
        /// The end of what it said.
        said: String,
        /// How long it took.
        after: Duration,
    },
    /// What the client under test kept of a file that it was asked to fetch.
    Fetched {
        /// The fixture's name.
        name: String,
        /// How many octets; none if there is no such file.
        octets: Option<u64>,
        /// Their SHA-256, in hex.
        sha256: String,
    },
    /// An upload was taken by the reference server.
    File {
        /// Its path.
        name: String,
        /// How many octets.
        octets: u64,
        /// Their SHA-256, in hex.
        sha256: String,
        /// Whether it ended as a whole file must.
        whole: bool,
    },
    /// A rule of the reference server fired.
    RuleFired {
        /// The verb it is for.
        on: String,
    },
    /// The harness itself is at a loss.
    Trouble {
        /// Why.
        text: String,
    },
}

/// Which session a ClientHello offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Offers {
    /// None, or only the session id that TLS 1.3 sends for the sake of middleboxes.
    #[default]
    Nothing,
    /// One of TLS 1.2 and below.
    Session,
    /// A ticket of TLS 1.3.
    Ticket {
        /// The head of its SHA-256, in hex.
        id: String,
        /// It was offered on another connection before.
        again: bool,
    },
}

/// What a finished handshake came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// `1.2`, `1.3`, …
    pub version: String,
    /// The suite's name.
    pub suite: String,
    /// The session it resumed, by the name of the connection that made it; none for a full handshake.
    pub resumed: Option<String>,
    /// SNI.
    pub server_name: Option<String>,
    /// The name of the peer's leaf certificate, if it is one of the test PKI, else its SHA-256's head.
    pub certificate: Option<String>,
    /// `not-asked`, `asked` or `sent`.
    pub client_certificate: &'static str,
    /// The name of the certificate that we showed as the server, where it is not the usual one.
    pub shown: Option<String>,
    /// The name of our own certificate, if it was sent.
    pub identity: Option<String>,
}
