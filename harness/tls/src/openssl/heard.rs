//! What OpenSSL's callbacks tell of one connection while a call on it is under way: messages, the number of records
//! protected, secrets, tickets. Collects only; whoever made the call takes it from here.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ::openssl::error::ErrorStack;
use ::openssl::ex_data::Index;
use ::openssl::ssl::{Ssl, SslRef};

use super::ffi;
use crate::machine::By;
use crate::messages::{ALERT, CHANGE_CIPHER_SPEC, CLIENT_HELLO, FINISHED, HANDSHAKE, KEY_UPDATE, Seen, offers_tls13};
use crate::sessions::Sessions;

/// Attached to a connection, it hears what the callbacks tell.
pub(super) struct Ear {
    heard: Mutex<Heard>,
    into: Option<Sessions>,
}

/// What was heard.
#[derive(Default)]
pub(super) struct Heard {
    /// Messages and alerts since they were last taken.
    pub(super) seen: Vec<Seen>,
    /// How far our sending keys are used up.
    pub(super) sending: Sending,
    /// Lines of the key log that our sending keys of application data follow from.
    pub(super) secrets: Vec<String>,
    client_hello: Vec<u8>,
}

/// The state of our sending keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sending {
    /// How many KeyUpdates we have sent.
    pub(super) generation: u32,
    /// How many records have been protected with the current keys: the next one's sequence number.
    pub(super) sequence: u64,
}

impl Ear {
    pub(super) fn attach(ssl: &mut SslRef, into: Option<Sessions>) -> Result<Arc<Self>, ErrorStack> {
        let ear = Arc::new(Self { heard: Mutex::new(Heard::default()), into });
        ssl.set_ex_data(index()?, Arc::clone(&ear));
        ffi::listen(ssl);
        Ok(ear)
    }

    pub(super) fn of(ssl: &SslRef) -> Option<&Self> {
        ssl.ex_data(index().ok()?).map(Arc::as_ref)
    }

    pub(super) fn sessions(&self) -> Option<&Sessions> {
        self.into.as_ref()
    }

    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        // Nothing in here can be left half done by a panic elsewhere.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the ClientHello heard last offers TLS 1.3.
    pub(super) fn client_offers_tls13(&self) -> bool {
        offers_tls13(&self.heard().client_hello)
    }

    pub(super) fn secret(&self, line: &str) {
        let label = line.split(' ').next().unwrap_or_default();
        if matches!(label, "CLIENT_RANDOM" | "CLIENT_TRAFFIC_SECRET_0" | "SERVER_TRAFFIC_SECRET_0") {
            self.heard().secrets.push(line.to_owned());
        }
    }

    /// `version` is that of the session, where a handshake message is told.
    pub(super) fn message(&self, by: By, version: i32, content_type: i32, octets: &[u8]) {
        let mut heard = self.heard();
        if by == By::Us && content_type == RECORD_HEADER {
            heard.sending.sequence += 1;
            return;
        }
        let Ok(content_type) = u8::try_from(content_type) else { return };
        let first = octets.first().copied();
        if by == By::Us {
            // The keys change behind these. A message is told behind the headers of its records.
            match (content_type, first) {
                (CHANGE_CIPHER_SPEC, _) => heard.sending.sequence = 0,
                (HANDSHAKE, Some(FINISHED)) if version == TLS13 => heard.sending.sequence = 0,
                (HANDSHAKE, Some(KEY_UPDATE)) => {
                    heard.sending = Sending { generation: heard.sending.generation + 1, sequence: 0 };
                }
                _ => {}
            }
        }
        if matches!(content_type, HANDSHAKE | ALERT) {
            if (content_type, first) == (HANDSHAKE, Some(CLIENT_HELLO)) {
                heard.client_hello = octets.to_vec();
            }
            heard.seen.push(Seen { by, content_type, octets: octets.to_vec() });
        }
    }
}

/// Where a connection keeps its ear. The number is OpenSSL's, one for the process.
fn index() -> Result<Index<Ssl, Arc<Ear>>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, Arc<Ear>>> = OnceLock::new();
    if let Some(&index) = INDEX.get() {
        return Ok(index);
    }
    let index = Ssl::new_ex_index()?;
    // Had another thread been first, its number would stand.
    Ok(*INDEX.get_or_init(|| index))
}

/// The pseudo type under which OpenSSL tells a record's header (`SSL3_RT_HEADER`).
const RECORD_HEADER: i32 = 256;

/// TLS 1.3 as OpenSSL numbers it.
const TLS13: i32 = 0x0304;
