//! The machine's public face: the trait that both engines implement, and what a machine tells of itself. It names no
//! library, and it judges nothing.

use crate::error::TlsError;
use crate::settings::Version;

/// One side of one TLS connection, without I/O.
///
/// The owner reads the transport, cuts records, and feeds one whole record at a time; after each call it takes what is
/// to go on the wire, the plaintext, and the facts. A machine never panics, whatever it is fed; once it has failed it
/// ignores its input. Dropping a machine sends nothing, and leaves the session resumable, however rudely the connection
/// ended.
pub trait Machine: Send {
    /// Takes one whole TLS record from the wire, header included.
    ///
    /// Anything else (text, a record cut short, two records) ends the handshake or the session with
    /// [`FailureKind::NotTls`]. Nothing is taken any more once the machine has failed, the transport has ended, or the
    /// peer has sent close_notify: what follows close_notify is no longer TLS, and stays with the caller.
    fn feed_record(&mut self, record: &[u8]);

    /// The transport has ended, by FIN or RST: no record will follow. A handshake that was under way fails with
    /// [`FailureKind::PeerEnded`]; an open session stays open for our own writing.
    fn transport_end(&mut self);

    /// The octets for the wire since the last call: whole records. A client's ClientHello is there from the start.
    #[must_use = "the octets are gone from the machine"]
    fn take_outgoing(&mut self) -> Vec<u8>;

    /// Protects all of `plain` for the wire. The caller bounds the length (64 KiB is a good chunk). Also possible after
    /// the *peer's* close_notify.
    ///
    /// # Errors
    /// [`TlsError::NotOpen`] before the handshake is over or after a failure, [`TlsError::Closed`] after our own
    /// close_notify.
    fn write(&mut self, plain: &[u8]) -> Result<(), TlsError>;

    /// The plaintext that has arrived since the last call.
    #[must_use = "the octets are gone from the machine"]
    fn take_plain(&mut self) -> Vec<u8>;

    /// Sends close_notify, once; the reading side stays as it is. Before the handshake is over, and after a failure,
    /// nothing is sent: OpenSSL cannot, and the two engines are to agree.
    fn send_close_notify(&mut self);

    /// Sends one protected record of any content type, its content as given: for what a correct peer never sends.
    ///
    /// What the record says is told as a fact, and is done to nobody: a KeyUpdate sent this way changes no keys.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`TlsError::CannotSend`] if `octets` is longer than a record may be, or if this engine
    /// cannot do it with the suite of this session.
    fn send_record(&mut self, content_type: u8, octets: &[u8]) -> Result<(), TlsError>;

    /// Sends a KeyUpdate (RFC 8446 §4.6.3), and changes our sending keys.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`TlsError::CannotSend`] below TLS 1.3.
    fn key_update(&mut self, request_answer: bool) -> Result<(), TlsError>;

    /// What has happened since the last call, in order.
    #[must_use = "the facts are gone from the machine"]
    fn take_facts(&mut self) -> Vec<Fact>;

    /// Where the session stands.
    fn state(&self) -> State;

    /// Whether the peer has sent close_notify. Nothing is fed any more: the octets that follow are not TLS.
    fn peer_closed(&self) -> bool;

    /// Whether we have sent close_notify.
    fn we_closed(&self) -> bool;

    /// What was agreed, once the handshake is over.
    fn handshake(&self) -> Option<&Handshake>;

    /// Why the machine failed, if it has.
    fn failure(&self) -> Option<&Failure>;
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The handshake is under way.
    Handshaking,
    /// The handshake is over on our side. In TLS 1.3 a server may still refuse the client's certificate: the alert
    /// comes with the first records that the client reads (RFC 8446 §4.4.2.4).
    Open,
    /// The handshake or the session has failed; [`Machine::failure`] says why.
    Failed,
}

/// Which of the two sides did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum By {
    /// This machine.
    Us,
    /// The other end.
    Peer,
}

/// Something that happened in a session, seen behind the encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A ClientHello; a second one follows a HelloRetryRequest.
    ClientHello {
        /// The client.
        by: By,
        /// The handshake message, its header included.
        hello: Vec<u8>,
    },
    /// A ServerHello, or a HelloRetryRequest, which has the same form (RFC 8446 §4.1.4).
    ServerHello {
        /// The server.
        by: By,
    },
    /// The handshake is over on our side.
    HandshakeFinished(Box<Handshake>),
    /// The client is asked for a certificate.
    CertificateRequest {
        /// The server.
        by: By,
    },
    /// An alert other than close_notify.
    Alert {
        /// Its sender.
        by: By,
        /// 1 warning, 2 fatal (RFC 5246 §7.2).
        level: u8,
        /// The description's number (RFC 8446 §6).
        description: u8,
    },
    /// The alert close_notify: its sender will send nothing more.
    CloseNotify {
        /// Its sender.
        by: By,
    },
    /// A NewSessionTicket.
    Ticket {
        /// The server.
        by: By,
    },
    /// A KeyUpdate (RFC 8446 §4.6.3).
    KeyUpdate {
        /// Its sender.
        by: By,
        /// Whether it asks the other side to do the same.
        request: bool,
    },
    /// The machine failed; this is its last fact.
    Failed(Failure),
}

/// Why a handshake or a session failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, in terms that both engines share.
    pub kind: FailureKind,
    /// The library's words; they differ from version to version, so they are only a note.
    pub words: String,
}

/// The reason of a failure. Where several hold, the first in this order is told; an alert that we sent stands among the
/// facts in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// What came was not a TLS record.
    NotTls,
    /// The peer sent a fatal alert, with this description.
    AlertReceived(u8),
    /// We did not accept the peer's certificate.
    CertificateRejected,
    /// A record could not be deprotected.
    Decrypt,
    /// The peer ended the connection, or sent close_notify, before the handshake was over.
    PeerEnded,
    /// We found a fault in what the peer sent, or nothing in common with it, and sent this fatal alert.
    AlertSent(u8),
    /// Anything else, found without an alert.
    Other,
}

/// What a handshake agreed upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The version.
    pub version: Version,
    /// The cipher suite's IANA number.
    pub suite: u16,
    /// The cipher suite's IANA name.
    pub suite_name: String,
    /// The (EC)DHE group's IANA name; none with RSA key exchange, with finite fields of TLS 1.2, and when TLS 1.2 resumed.
    pub group: Option<String>,
    /// The application protocol (RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// The server_name that the client sent.
    pub server_name: Option<String>,
    /// The peer's certificates in DER, the leaf first; after a resumption those of the first handshake as far as the
    /// library still has them.
    pub peer_chain: Vec<Vec<u8>>,
    /// What became of the client's certificate in this handshake.
    pub client_certificate: ClientCertificateUse,
    /// If a session was resumed: the label of the [`Sessions`](crate::Sessions) that it was offered from; on the server's
    /// side the empty string.
    pub resumed: Option<String>,
    /// How it was resumed.
    pub resumption: Option<ResumedBy>,
}

/// Whether the client was asked for a certificate, and sent one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCertificateUse {
    /// No CertificateRequest was sent, as in every resumed handshake.
    NotAsked,
    /// The server asked, the client sent an empty list.
    NotSent,
    /// The client sent one.
    Sent,
}

/// By what a session was resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResumedBy {
    /// The session id of TLS 1.2 and below.
    SessionId,
    /// A ticket of TLS 1.2 and below (RFC 5077).
    Ticket,
    /// The pre-shared key of a TLS 1.3 ticket.
    Psk,
}

/// The versions of the two libraries as short numbers, rustls first: `("0.23.46", "3.6.3")`.
pub fn library_versions() -> (String, String) {
    (RUSTLS_VERSION.to_owned(), crate::openssl::library_version())
}

/// rustls tells its version nowhere; a test holds this against `Cargo.lock`.
const RUSTLS_VERSION: &str = "0.23.46";
