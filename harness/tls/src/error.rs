//! What can go wrong on *our* side of a machine: settings that an engine cannot use, and calls at the wrong time. What
//! goes wrong between the peers is never an error of this type; it is a [`Failure`](crate::Failure).

use crate::settings::Engine;

/// Why a context or a machine could not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate chain or key could not be read, or the two do not belong together.
    #[error("the {part} of identity \"{name}\" cannot be used: {words}")]
    Identity {
        /// The identity's name, as transcripts call it.
        name: String,
        /// "certificate chain" or "private key".
        part: &'static str,
        /// The library's words.
        words: String,
    },
    /// The certificates to trust could not be read, or there are none.
    #[error("the trusted roots cannot be used: {words}")]
    Roots {
        /// The library's words.
        words: String,
    },
    /// The name to verify is neither a DNS name nor an IP address.
    #[error("\"{0}\" is neither a DNS name nor an IP address")]
    ServerName(String),
    /// An ALPN name is empty or longer than 255 octets (RFC 7301 §3.1).
    #[error("an ALPN name has 1 to 255 octets, not {0}")]
    AlpnName(usize),
    /// The engine has no such ability; the other one may have it.
    #[error("{engine} has no {what}")]
    Unsupported {
        /// The engine that was asked.
        engine: Engine,
        /// What it lacks.
        what: &'static str,
    },
    /// The handshake is not over, or has failed.
    #[error("the TLS session is not open")]
    NotOpen,
    /// We have sent close_notify, behind which nothing more may be sent (RFC 8446 §6.1).
    #[error("close_notify has been sent already")]
    Closed,
    /// This record cannot be sent in this session.
    #[error("a record of type {content_type} cannot be sent: {why}")]
    CannotSend {
        /// The record's content type.
        content_type: u8,
        /// What stands in the way.
        why: &'static str,
    },
    /// The library refused, for a reason of its own.
    #[error("{engine}: {words}")]
    Library {
        /// The engine that refused.
        engine: Engine,
        /// Its words: they differ from version to version, so they are only a note.
        words: String,
    },
}
