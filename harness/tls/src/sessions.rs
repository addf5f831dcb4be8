//! What the handshakes of one control session left behind, for its data connections to resume. A handle that both engines
//! share; it decides which session is offered next, and never whether a server ought to take it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::rustls::NamedGroup;
use ::rustls::client::{Tls12ClientSessionValue, Tls13ClientSessionValue};

/// The sessions and tickets that one control session, with its data connections, was given. A clone is the same handle.
///
/// An engine resumes only what the same engine received; rustls also only what the same
/// [`ClientContext`](crate::ClientContext) received.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
}

impl Sessions {
    /// An empty set; `label` is what [`Handshake::resumed`](crate::Handshake::resumed) will say.
    pub fn new(label: &str) -> Self {
        Self { shared: Arc::new(Shared { label: label.to_owned(), held: Mutex::new(Held::default()) }) }
    }

    /// The label given at the beginning.
    pub fn label(&self) -> &str {
        &self.shared.label
    }

    /// How many sessions and tickets can be offered at the moment.
    pub fn count(&self) -> usize {
        let held = self.held();
        held.rustls.count() + held.openssl.count()
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing in here can be left half done by a panic elsewhere.
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("label", &self.label()).field("count", &self.count()).finish()
    }
}

/// Which session a connection offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resume {
    /// None: the handshake is full.
    No,
    /// The newest. A TLS 1.3 ticket is forgotten with it (RFC 8446 §C.4: a client should not offer a ticket twice); a TLS
    /// 1.2 session stays until a newer one comes.
    Newest,
    /// The very first, again and again, as clients do that keep the control connection's session. [`Engine::Rustls`]
    /// gives a TLS 1.3 ticket away once; a second time is [`TlsError::Unsupported`].
    ///
    /// [`Engine::Rustls`]: crate::Engine::Rustls
    /// [`TlsError::Unsupported`]: crate::TlsError::Unsupported
    First,
    /// The newest, which is then forgotten, whatever its version.
    EachOnce,
}

struct Shared {
    label: String,
    held: Mutex<Held>,
}

#[derive(Default)]
pub(crate) struct Held {
    pub(crate) rustls: Shelf<Tls12ClientSessionValue, Tls13ClientSessionValue>,
    /// Which key share the server took last, so that the next hello needs no retry.
    pub(crate) rustls_group: Option<NamedGroup>,
    /// In DER: an `SslSession` resumes once only, and is spoilt by a connection that ends rudely.
    pub(crate) openssl: Shelf<Vec<u8>, Vec<u8>>,
}

/// The sessions of one engine.
pub(crate) struct Shelf<Tls12, Tls13> {
    first12: Option<Tls12>,
    newest12: Option<Tls12>,
    /// Only where a ticket can be copied.
    first13: Option<Tls13>,
    tickets: VecDeque<Tls13>,
    /// Whether the front of `tickets` is no longer the first ticket that came.
    first_ticket_gone: bool,
}

impl<Tls12, Tls13> Default for Shelf<Tls12, Tls13> {
    fn default() -> Self {
        Self { first12: None, newest12: None, first13: None, tickets: VecDeque::new(), first_ticket_gone: false }
    }
}

impl<Tls12: Clone, Tls13> Shelf<Tls12, Tls13> {
    pub(crate) fn count(&self) -> usize {
        usize::from(self.newest12.is_some()) + self.tickets.len()
    }

    pub(crate) fn put12(&mut self, session: Tls12) {
        if self.first12.is_none() {
            self.first12 = Some(session.clone());
        }
        self.newest12 = Some(session);
    }

    pub(crate) fn forget12(&mut self) {
        self.first12 = None;
        self.newest12 = None;
    }

    pub(crate) fn take12(&mut self, resume: Resume) -> Option<Tls12> {
        match resume {
            Resume::No => None,
            Resume::Newest => self.newest12.clone(),
            Resume::First => self.first12.clone(),
            Resume::EachOnce => {
                self.first12 = None;
                self.newest12.take()
            }
        }
    }

    pub(crate) fn put13(&mut self, ticket: Tls13) {
        if self.tickets.len() == MAX_TICKETS {
            // The first is kept: it is the one that can be asked for by name.
            self.tickets.remove(1);
        }
        self.tickets.push_back(ticket);
    }

    pub(crate) fn take13(&mut self, resume: Resume) -> Option<Tls13> {
        let ticket = match resume {
            Resume::No => None,
            Resume::Newest | Resume::EachOnce => self.tickets.pop_back(),
            Resume::First if self.first_ticket_gone => None,
            Resume::First => self.tickets.pop_front(),
        };
        if ticket.is_some() && (resume == Resume::First || self.tickets.is_empty()) {
            self.first_ticket_gone = true;
        }
        ticket
    }

    /// Whether the first ticket that came has been given away.
    pub(crate) fn first_ticket_gone(&self) -> bool {
        self.first_ticket_gone
    }
}

impl<Tls12: Clone, Tls13: Clone> Shelf<Tls12, Tls13> {
    /// As [`put13`](Self::put13), where a ticket can be copied: the first one never goes.
    pub(crate) fn put13_copied(&mut self, ticket: Tls13) {
        if self.first13.is_none() {
            self.first13 = Some(ticket.clone());
        }
        self.put13(ticket);
    }

    /// As [`take13`](Self::take13), where a ticket can be copied.
    pub(crate) fn take13_copied(&mut self, resume: Resume) -> Option<Tls13> {
        match resume {
            Resume::First => self.first13.clone(),
            Resume::No | Resume::Newest | Resume::EachOnce => self.take13(resume),
        }
    }
}

/// A server may send as many tickets as it likes; no scenario opens more data connections than this at a time.
const MAX_TICKETS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_ticket_goes_first_and_once() {
        let mut shelf = Shelf::<u8, u8>::default();
        shelf.put13(1);
        shelf.put13(2);
        assert_eq!(shelf.take13(Resume::No), None);
        assert_eq!(shelf.take13(Resume::Newest), Some(2));
        assert!(!shelf.first_ticket_gone());
        assert_eq!(shelf.take13(Resume::EachOnce), Some(1));
        assert!(shelf.first_ticket_gone());
        assert_eq!(shelf.take13(Resume::Newest), None);
    }

    #[test]
    fn a_tls12_session_stays_unless_it_is_used_once() {
        let mut shelf = Shelf::<u8, u8>::default();
        shelf.put12(1);
        shelf.put12(2);
        assert_eq!(shelf.take12(Resume::Newest), Some(2));
        assert_eq!(shelf.take12(Resume::First), Some(1));
        assert_eq!(shelf.take12(Resume::First), Some(1));
        assert_eq!(shelf.take12(Resume::EachOnce), Some(2));
        assert_eq!(shelf.count(), 0);
        assert_eq!(shelf.take12(Resume::First), None);
    }

    #[test]
    fn a_flood_of_tickets_keeps_the_first_and_the_newest() {
        let mut shelf = Shelf::<u8, usize>::default();
        for ticket in 0..1000 {
            shelf.put13(ticket);
        }
        assert_eq!(shelf.count(), MAX_TICKETS);
        assert_eq!(shelf.take13(Resume::First), Some(0));
        assert_eq!(shelf.take13(Resume::Newest), Some(999));
    }
}
