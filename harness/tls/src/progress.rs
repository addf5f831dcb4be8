//! How far a session has come: state, facts, and what waits to be taken. The part of a machine that is the same for both
//! engines; it never calls a library.

use crate::error::TlsError;
use crate::machine::{By, Fact, Failure, FailureKind, Handshake, State};
use crate::messages::Observer;

pub(crate) struct Progress {
    pub(crate) observer: Observer,
    pub(crate) outgoing: Vec<u8>,
    pub(crate) plain: Vec<u8>,
    state: State,
    handshake: Option<Handshake>,
    failure: Option<Failure>,
    transport_ended: bool,
}

impl Progress {
    pub(crate) fn new(client: By) -> Self {
        Self {
            observer: Observer::new(client),
            outgoing: Vec::new(),
            plain: Vec::new(),
            state: State::Handshaking,
            handshake: None,
            failure: None,
            transport_ended: false,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn handshake(&self) -> Option<&Handshake> {
        self.handshake.as_ref()
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub(crate) fn takes_input(&self) -> bool {
        self.state != State::Failed && !self.transport_ended && !self.observer.peer_closed()
    }

    /// Whether something may be sent under the session's protection.
    pub(crate) fn check_writable(&self) -> Result<(), TlsError> {
        if self.state != State::Open {
            Err(TlsError::NotOpen)
        } else if self.observer.we_closed() {
            Err(TlsError::Closed)
        } else {
            Ok(())
        }
    }

    pub(crate) fn open(&mut self, handshake: Handshake) {
        self.state = State::Open;
        self.observer.tell_finished(Fact::HandshakeFinished(Box::new(handshake.clone())));
        self.handshake = Some(handshake);
    }

    /// The first failure is the one that counts.
    pub(crate) fn fail(&mut self, kind: FailureKind, words: &str) {
        if self.state == State::Failed {
            return;
        }
        let failure = Failure { kind, words: words.to_owned() };
        self.state = State::Failed;
        self.observer.tell(Fact::Failed(failure.clone()));
        self.failure = Some(failure);
    }

    /// What no library looks at, once all that was fed has been worked up.
    pub(crate) fn after_feeding(&mut self, fed: &[u8]) {
        if !is_record(fed) {
            self.fail(FailureKind::NotTls, "what came is not a TLS record");
        } else if self.state == State::Handshaking && self.observer.peer_closed() {
            // rustls would wait on, OpenSSL would call it an orderly end.
            self.fail(FailureKind::PeerEnded, "close_notify came before the handshake was over");
        }
    }

    pub(crate) fn transport_end(&mut self) {
        self.transport_ended = true;
        if self.state == State::Handshaking {
            self.fail(FailureKind::PeerEnded, "the connection ended before the handshake was over");
        }
    }
}

/// Whether these octets are one whole TLS record.
pub(crate) fn is_record(octets: &[u8]) -> bool {
    let &[content_type, major, _, high, low, ref fragment @ ..] = octets else { return false };
    let length = usize::from(u16::from_be_bytes([high, low]));
    (20..=24).contains(&content_type) && major == 3 && length == fragment.len() && length <= MAX_FRAGMENT
}

/// Type, version and length of a record.
pub(crate) const RECORD_HEADER: usize = 5;

/// The longest plaintext of one record (RFC 5246 §6.2.1, 8446 §5.1).
pub(crate) const MAX_PLAIN: usize = 1 << 14;

/// The longest protected fragment (RFC 5246 §6.2.3; RFC 8446 §5.2 allows less).
const MAX_FRAGMENT: usize = MAX_PLAIN + 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_and_alone() {
        assert!(is_record(&[22, 3, 1, 0, 1, 9]));
        assert!(is_record(&[21, 3, 3, 0, 0]));
        assert!(!is_record(b""));
        assert!(!is_record(b"550 TLS handshake failed\r\n"));
        assert!(!is_record(&[22, 3, 1, 0, 2, 9]), "cut short");
        assert!(!is_record(&[22, 3, 1, 0, 1, 9, 9]), "something behind it");
        assert!(!is_record(&[22, 2, 1, 0, 1, 9]), "SSL 2");
    }
}
