//! What is told to the log: facts of the machine, records, digests, plaintext. An event is told once, and nothing is told
//! that did not leave or arrive.

use std::sync::PoisonError;

use ftpspec_tls::{By as TlsBy, ClientCertificateUse, Fact, Failure, FailureKind, Version};
use ftpspec_transcript::{By, Handshake, Offers, What};
use ftpspec_wire::{ClientHello, header, looks_like};
use sha2::{Digest, Sha256};

use super::{Driver, Flight, Tls};
use crate::Carries;
use crate::limits::{EVENTS_TOLD, MALFORMED_TOLD, PLAINTEXT_KEPT, PLAINTEXTS_TOLD};

impl Driver {
    pub(super) fn take_facts(&mut self, polite: bool) {
        let Tls::Driven { machine, .. } = &mut self.tls else { return };
        let facts = machine.take_facts();
        // Plaintext first: a close_notify among the facts stands behind it.
        let plain = machine.take_plain();
        let finished_first = facts.iter().any(|fact| matches!(fact, Fact::HandshakeFinished(_)));
        if !plain.is_empty() && !finished_first {
            self.application(&plain, true);
        }
        let mut peer_closed = false;
        for fact in facts {
            peer_closed |= matches!(fact, Fact::CloseNotify { by: TlsBy::Peer });
            self.tell_fact(fact, polite);
        }
        if !plain.is_empty() && finished_first {
            self.application(&plain, true);
        }
        if peer_closed {
            // RFC 5246 §7.2.1: answered at once, and what waits to be sent is dropped. RFC 8446 §6.1: one direction is
            // closed, not the other.
            if !self.mute && !self.closes_one_direction() {
                self.cut_payload();
            }
            self.answer_end();
        }
    }

    pub(super) fn closes_one_direction(&self) -> bool {
        matches!(&self.tls, Tls::Driven { machine, .. }
            if machine.handshake().is_some_and(|handshake| handshake.version == Version::Tls13))
    }

    pub(super) fn tell_fact(&mut self, fact: Fact, polite: bool) {
        let who = |by: TlsBy| if by == TlsBy::Us { By::Us } else { By::Peer };
        if (self.has_said_all() || self.flight == Flight::Cut) && is_sent_by_us(&fact) {
            return;
        }
        match fact {
            Fact::ClientHello { by, hello } => {
                self.tell_client_hello(who(by), &hello);
            }
            Fact::ServerHello { by } => self.push(who(by), What::ServerHello),
            Fact::HandshakeFinished(handshake) => self.tell_handshake(*handshake),
            Fact::CertificateRequest { by } => self.push(who(by), What::CertificateRequest),
            Fact::Alert { by, level, description } => self.push(who(by), What::Alert { level, description }),
            Fact::CloseNotify { by } => {
                self.tell_content(who(by));
                if polite && by == TlsBy::Us {
                    self.turn.push((By::Us, true, What::CloseNotify));
                } else {
                    self.push(who(by), What::CloseNotify);
                }
            }
            Fact::Ticket { by } => self.push(who(by), What::Ticket),
            Fact::KeyUpdate { by, .. } => self.push(who(by), What::KeyUpdate),
            Fact::Failed(Failure { kind, words }) => {
                let why = match kind {
                    FailureKind::NotTls => "not-tls",
                    FailureKind::AlertReceived(_) => "alert",
                    FailureKind::CertificateRejected => "certificate",
                    FailureKind::PeerEnded => "ended",
                    FailureKind::Decrypt | FailureKind::AlertSent(_) | FailureKind::Other => "other",
                };
                self.push(By::Us, What::HandshakeFailed { why, words });
            }
        }
    }

    pub(super) fn tell_client_hello(&mut self, by: By, message: &[u8]) {
        let hello = ClientHello::parse(message);
        let offers = match &hello {
            Ok(hello) if !hello.psk_identity.is_empty() => {
                let id = hex::encode(&Sha256::digest(&hello.psk_identity)[..TICKET_ID]);
                let again = self.log.look(|events| {
                    events.iter().any(|event| {
                        event.connection.as_ref() != Some(&self.name)
                            && matches!(&event.what, What::ClientHello { offers: Offers::Ticket { id: it, .. }, .. } if *it == id)
                    })
                });
                Offers::Ticket { id, again }
            }
            Ok(hello) if hello.offers_session() => Offers::Session,
            _ => Offers::Nothing,
        };
        let summary = hello.map_or_else(|error| format!("unreadable: {error}"), |hello| hello.summary());
        self.push(by, What::ClientHello { summary, offers });
    }

    pub(super) fn tell_handshake(&mut self, handshake: ftpspec_tls::Handshake) {
        let client_certificate = match handshake.client_certificate {
            ClientCertificateUse::NotAsked => "not-asked",
            ClientCertificateUse::NotSent => "asked",
            ClientCertificateUse::Sent => "sent",
        };
        let certificate = handshake
            .peer_chain
            .first()
            .map(|leaf| (self.names)(leaf).unwrap_or_else(|| hex::encode(&Sha256::digest(leaf)[..8])));
        let told = Handshake {
            version: handshake.version.to_string(),
            suite: handshake.suite_name.clone(),
            resumed: handshake.resumed.clone(),
            server_name: handshake.server_name.clone(),
            certificate,
            client_certificate,
            shown: self.shows.clone(),
            identity: if client_certificate == "sent" { self.identity.clone() } else { None },
        };
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).handshake = Some(handshake);
        self.held |= std::mem::take(&mut self.holds_behind_handshake);
        self.push(By::Us, What::Handshake(Box::new(told)));
        if self.carries == Carries::Replies {
            // Replies that came in the clear and were kept pass for the session's own, and are there already.
            self.next_replies(true);
        }
    }

    pub(super) fn tell_record(&mut self, by: By, record: &[u8]) {
        if let Some(header) = header(record) {
            let octets = u64::from(header.length);
            let what = What::Records { content_type: header.content_type, version: header.version, count: 1, octets };
            self.push(by, what);
        }
    }

    pub(super) fn tell_suspect(&mut self) {
        self.suspect_since = None;
        if !self.suspect.is_empty() {
            let octets = std::mem::take(&mut self.suspect);
            self.tell_plaintext(&octets, false);
        }
    }

    pub(super) fn tell_plaintext(&mut self, octets: &[u8], in_session: bool) {
        self.flood.plaintexts += 1;
        if self.flood.plaintexts <= PLAINTEXTS_TOLD {
            let octets = octets[..octets.len().min(PLAINTEXT_KEPT)].to_vec();
            let looks_like = looks_like(&octets);
            self.push(By::Peer, What::Plaintext { octets, looks_like, in_session });
        }
    }

    pub(super) fn tell_malformed(&mut self, octets: &[u8], mut why: String) {
        self.flood.malformed += 1;
        if self.flood.malformed == MALFORMED_TOLD {
            why.push_str("; more of this kind is not told");
        }
        if self.flood.malformed <= MALFORMED_TOLD {
            let octets = octets[..octets.len().min(PLAINTEXT_KEPT)].to_vec();
            self.push(By::Peer, What::Malformed { octets, why });
        }
    }

    /// Tells once what a direction of a data connection has carried.
    pub(super) fn tell_content(&mut self, by: By) {
        if self.carries != Carries::Data {
            return;
        }
        let tally = if by == By::Us { &mut self.outgoing } else { &mut self.incoming };
        // A direction of ours that carried nothing is no content: most data connections go one way only.
        if tally.told || (by == By::Us && tally.count == 0) {
            return;
        }
        tally.told = true;
        let sha256 = hex::encode(tally.hash.clone().finalize());
        let what = What::Content { count: tally.count, sha256, protected: tally.protected };
        self.push(by, what);
    }

    pub(super) fn push(&mut self, by: By, what: What) {
        // What a client asks for, one command at a time, its server bounds.
        if self.carries == Carries::Commands || is_always_told(&what) {
            return self.turn.push((by, false, what));
        }
        self.flood.events += 1;
        if self.flood.events < EVENTS_TOLD {
            self.turn.push((by, false, what));
        } else if self.flood.events == EVENTS_TOLD {
            let why = format!("more than {EVENTS_TOLD} events: nothing more is told of this connection but its end");
            self.turn.push((By::Peer, false, What::Malformed { octets: Vec::new(), why }));
        }
    }

    /// Puts what happened in this turn into the log.
    pub(super) fn flush(&mut self) {
        if self.turn.is_empty() {
            return;
        }
        let (turn, heard) = (std::mem::take(&mut self.turn), self.heard.take());
        // A command that could be acted upon before it is in the log would stand there behind its own reply.
        self.log.push_all_and(&self.name, turn, || {
            if let Some(command) = heard {
                self.shared.lock().unwrap_or_else(PoisonError::into_inner).command = Some(command);
            }
        });
    }
}

/// Whether an event is folded into a run of its kind, or can be told only once.
fn is_always_told(what: &What) -> bool {
    matches!(
        what,
        What::Records { .. }
            | What::Octets { .. }
            | What::Content { .. }
            | What::HandshakeFailed { .. }
            | What::CloseNotify
            | What::Fin { .. }
            | What::Rst
    )
}

/// Whether this fact says that we sent something.
pub(super) fn is_sent_by_us(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Alert { by: TlsBy::Us, .. }
            | Fact::CloseNotify { by: TlsBy::Us }
            | Fact::KeyUpdate { by: TlsBy::Us, .. }
            | Fact::Ticket { by: TlsBy::Us }
    )
}

/// Octets of a ticket's digest: more than enough to tell the tickets of one run apart.
const TICKET_ID: usize = 8;
