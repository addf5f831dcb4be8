//! Joins the payloads of unencrypted handshake records to handshake messages, which may be cut over several records or
//! share one (RFC 5246 §6.2.1, RFC 8446 §5.1). It never looks behind a message's header.

use thiserror::Error;

use crate::pending::Pending;

/// Puts handshake messages together.
#[derive(Clone, Debug, Default)]
pub struct HandshakeReader {
    pending: Pending,
    failed: bool,
}

impl HandshakeReader {
    /// A reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the payload of a handshake record (without the record's header). After each call
    /// [`next`](Self::next) until it gives no more.
    pub fn push(&mut self, payload: &[u8]) {
        if !self.failed {
            self.pending.push(payload);
        }
    }

    /// The next whole message with its header of four octets, or `None` until its end has arrived.
    ///
    /// # Errors
    /// [`HandshakeError::TooLong`] if a message announces more than [`MAX_HANDSHAKE_MESSAGE`]; the reader is at its end
    /// then.
    #[expect(clippy::should_implement_trait, reason = "after None there may be more, once records have arrived")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, HandshakeError> {
        let rest = self.pending.rest();
        let [_, high, middle, low, ..] = *rest else {
            return Ok(None);
        };
        let length = 4 + usize::from(high) * 0x1_0000 + usize::from(u16::from_be_bytes([middle, low]));
        if length > MAX_HANDSHAKE_MESSAGE {
            self.failed = true;
            return Err(HandshakeError::TooLong { length });
        }
        if rest.len() < length {
            return Ok(None);
        }
        Ok(Some(self.pending.consume(length)))
    }
}

/// Why no handshake message can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// A message is longer than [`MAX_HANDSHAKE_MESSAGE`].
    #[error("handshake message of {length} octets, more than {MAX_HANDSHAKE_MESSAGE}")]
    TooLong {
        /// The length that it announces, header included.
        length: usize,
    },
}

/// The name of a handshake message's type (RFC 8446 §4, RFC 5246 §7.4, RFC 6066 §8).
pub fn handshake_type_name(handshake_type: u8) -> &'static str {
    match handshake_type {
        0 => "hello_request",
        1 => "client_hello",
        2 => "server_hello",
        4 => "new_session_ticket",
        5 => "end_of_early_data",
        8 => "encrypted_extensions",
        11 => "certificate",
        12 => "server_key_exchange",
        13 => "certificate_request",
        14 => "server_hello_done",
        15 => "certificate_verify",
        16 => "client_key_exchange",
        20 => "finished",
        21 => "certificate_url",
        22 => "certificate_status",
        24 => "key_update",
        254 => "message_hash",
        _ => "unknown handshake message",
    }
}

/// Octets of one handshake message, header included. A ClientHello has a few thousand at most; a chain of certificates
/// stays below 100 kB, the limit that OpenSSL sets by default.
pub const MAX_HANDSHAKE_MESSAGE: usize = 100 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HandshakeError, HandshakeReader, MAX_HANDSHAKE_MESSAGE, handshake_type_name};

    #[test]
    fn a_message_over_several_records_is_joined() {
        let mut reader = HandshakeReader::new();
        reader.push(b"\x01\x00");
        assert_eq!(reader.next(), Ok(None));
        reader.push(b"\x00\x03a");
        assert_eq!(reader.next(), Ok(None));
        reader.push(b"bc\x0e\x00\x00\x00");
        assert_eq!(reader.next(), Ok(Some(b"\x01\x00\x00\x03abc".to_vec())));
        assert_eq!(reader.next(), Ok(Some(b"\x0e\x00\x00\x00".to_vec())));
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn a_message_that_announces_too_much_is_refused_for_good() {
        let mut reader = HandshakeReader::new();
        reader.push(b"\x0b\xff\xff\xff");
        let due = Err(HandshakeError::TooLong { length: 0xff_ffff + 4 });
        assert_eq!(reader.next(), due);
        reader.push(&[0; 1000]);
        assert_eq!(reader.next(), due);
        assert_eq!(reader.pending.rest().len(), 4);
    }

    #[test]
    fn messages_are_named() {
        assert_eq!(handshake_type_name(1), "client_hello");
        assert_eq!(handshake_type_name(77), "unknown handshake message");
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_none_are_lost(pieces: Vec<Vec<u8>>) {
            let mut reader = HandshakeReader::new();
            let mut messages = Vec::new();
            let mut pushed = Vec::new();
            for piece in &pieces {
                reader.push(piece);
                pushed.extend(piece);
                while let Ok(Some(message)) = reader.next() {
                    prop_assert!(message.len() <= MAX_HANDSHAKE_MESSAGE);
                    messages.extend(message);
                }
            }
            messages.extend(reader.pending.take());
            prop_assert!(pushed.starts_with(&messages));
        }
    }
}
