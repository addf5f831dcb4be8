//! Resumption with rustls: which session a client offers, and what a server remembers. Nothing in here outlives the
//! [`Sessions`] or the server context that it belongs to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::rustls::NamedGroup;
use ::rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use ::rustls::pki_types::ServerName;
use ::rustls::server::StoresServerSessions;

use crate::sessions::{Resume, Sessions};

/// The session store of one client connection.
#[derive(Debug)]
pub(super) struct Offer {
    offer: Sessions,
    into: Sessions,
    resume: Resume,
}

impl Offer {
    pub(super) fn resumption(offer: Sessions, into: Sessions, resume: Resume) -> Resumption {
        Resumption::store(Arc::new(Self { offer, into, resume }))
    }
}

// The server's name is not looked at: the `Sessions` say whose sessions these are, and an address that a reply gives
// for the data connection does not change that.
impl ClientSessionStore for Offer {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.into.held().rustls_group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.into.held().rustls_group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.into.held().rustls.put12(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.offer.held().rustls.take12(self.resume)
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.into.held().rustls.forget12();
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.into.held().rustls.put13(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.offer.held().rustls.take13(self.resume)
    }
}

/// What a server without ticket keys remembers: sessions of TLS 1.2 by id, if it may, and those behind TLS 1.3 tickets.
///
/// Unlike rustls's own cache it lets a TLS 1.3 ticket be used again, as servers with ticket keys do, and as the OpenSSL
/// engine does: what a client may do with a ticket is the client's matter.
pub(super) struct ServerCache {
    by_id: bool,
    sessions: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl ServerCache {
    pub(super) fn new(by_id: bool) -> Self {
        Self { by_id, sessions: Mutex::new(HashMap::new()) }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Vec<u8>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoresServerSessions for ServerCache {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut sessions = self.sessions();
        if sessions.len() >= MAX_CACHED {
            return false;
        }
        sessions.insert(key, value);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions().get(key).cloned()
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key)
    }

    // Asked for TLS 1.2 only: without it no id is given.
    fn can_cache(&self) -> bool {
        self.by_id
    }
}

impl fmt::Debug for ServerCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCache").field("by_id", &self.by_id).field("count", &self.sessions().len()).finish()
    }
}

/// One control session with its data connections leaves two of these for each connection at most; what comes beyond is
/// not resumed.
const MAX_CACHED: usize = 4096;
