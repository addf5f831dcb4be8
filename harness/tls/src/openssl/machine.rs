//! The machine of the OpenSSL engine: one connection over a pipe in memory.
//!
//! OpenSSL reads a record's header and then its body, never ahead, so what is fed record by record is taken record by
//! record. An error has its reasons only the first time it is told: after one, no further call reads.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use ::openssl::error::ErrorStack;
use ::openssl::ssl::{Error, ErrorCode, ShutdownState, Ssl, SslRef, SslStream, SslVerifyMode, SslVersion};
use ::openssl::x509::{GeneralNameRef, X509, X509VerifyResult};

use super::heard::Ear;
use super::reprotect::Protection;
use super::{ffi, library};
use crate::error::TlsError;
use crate::machine::{By, Fact, Failure, FailureKind, Handshake, Machine, State};
use crate::messages::{APPLICATION_DATA, HANDSHAKE, Seen};
use crate::progress::{MAX_PLAIN, Progress, is_record};
use crate::settings::{Engine, Version};

pub(super) struct OpensslMachine {
    stream: SslStream<Pipe>,
    ear: Arc<Ear>,
    progress: Progress,
    client: By,
    /// Where a client's offer came from.
    offered_from: String,
}

impl OpensslMachine {
    pub(super) fn new(ssl: Ssl, ear: Arc<Ear>, client: By, offered_from: &str) -> Result<Self, TlsError> {
        let mut machine = Self {
            stream: SslStream::new(ssl, Pipe::default()).map_err(library)?,
            ear,
            progress: Progress::new(client),
            client,
            offered_from: offered_from.to_owned(),
        };
        machine.go_on();
        match machine.progress.failure() {
            // Nothing has come yet: what fails now are our own settings.
            Some(failure) => Err(TlsError::Library { engine: Engine::Openssl, words: failure.words.clone() }),
            None => Ok(machine),
        }
    }

    /// Takes the handshake, then the reading, as far as the input goes.
    fn go_on(&mut self) {
        if self.progress.state() == State::Handshaking {
            let result = self.call(SslStream::do_handshake);
            match result {
                Ok(()) => self.open(),
                Err(error) => self.fail(&error),
            }
        }
        let mut portion = vec![0; MAX_PLAIN];
        while self.progress.state() == State::Open {
            match self.call(|stream| stream.ssl_read(&mut portion)) {
                Ok(length) => self.progress.plain.extend_from_slice(&portion[..length]),
                Err(error) => {
                    self.fail(&error);
                    break;
                }
            }
        }
    }

    /// Makes a call on the connection, and takes what comes of it but its result.
    fn call<R>(&mut self, call: impl FnOnce(&mut SslStream<Pipe>) -> R) -> R {
        // Errors of other connections, left on this thread's stack, would be taken for this one's.
        drop(ErrorStack::get());
        let result = call(&mut self.stream);
        self.progress.outgoing.append(&mut self.stream.get_mut().outgoing);
        let seen = std::mem::take(&mut self.ear.heard().seen);
        for seen in seen {
            self.progress.observer.take_in(seen);
        }
        result
    }

    fn open(&mut self) {
        if let (Some(sessions), Some(der)) = (self.ear.sessions(), resumable_tls12_session(self.stream.ssl())) {
            sessions.held().openssl.put12(der);
        }
        let Some(handshake) = self.agreed() else {
            self.progress.fail(FailureKind::Other, "the handshake is over, but names neither version nor suite");
            return;
        };
        self.progress.open(handshake);
    }

    fn agreed(&self) -> Option<Handshake> {
        let ssl = self.stream.ssl();
        let version = version(ssl)?;
        let cipher = ssl.current_cipher()?;
        let suite_name = cipher.standard_name().unwrap_or(cipher.name()).to_owned();
        let resumed = ssl.session_reused();
        let observer = &self.progress.observer;
        Some(Handshake {
            version,
            suite: u16::from_be_bytes(cipher.protocol_id()),
            group: observer.group(version, &suite_name),
            suite_name,
            alpn: ssl.selected_alpn_protocol().map(<[u8]>::to_vec),
            server_name: observer.server_name(),
            peer_chain: peer_chain(ssl),
            client_certificate: observer.client_certificate(),
            resumed: resumed.then(|| self.offered_from.clone()),
            resumption: resumed.then(|| observer.resumed_by(version)),
        })
    }

    fn fail(&mut self, error: &Error) {
        if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE | ErrorCode::ZERO_RETURN) {
            return;
        }
        let observer = &self.progress.observer;
        let ssl = self.stream.ssl();
        let verified = ssl.verify_result();
        let rejected = ssl.verify_mode().contains(SslVerifyMode::PEER) && verified != X509VerifyResult::OK;
        let kind = if self.stream.get_ref().not_tls {
            FailureKind::NotTls
        } else if let Some(description) = observer.alert_received() {
            FailureKind::AlertReceived(description)
        } else if rejected {
            FailureKind::CertificateRejected
        } else {
            match observer.alert_sent() {
                Some(BAD_RECORD_MAC) => FailureKind::Decrypt,
                Some(description) => FailureKind::AlertSent(description),
                None => FailureKind::Other,
            }
        };
        let words = match kind {
            FailureKind::CertificateRejected if OTHER_NAME.contains(&verified.as_raw()) => {
                format!("{}: the certificate is for {}", verified.error_string(), names(observer.server_certificate()))
            }
            FailureKind::CertificateRejected => verified.error_string().to_owned(),
            _ => error.to_string(),
        };
        self.progress.fail(kind, &words);
    }

    /// Sends a record whose content OpenSSL would not send: has it protect one octet, and protects something else in
    /// the place of that, with the same keys and number.
    fn send_in_place(&mut self, content_type: u8, octets: &[u8]) -> Result<(), TlsError> {
        let cannot = |why| TlsError::CannotSend { content_type, why };
        let side = if self.client == By::Us { "CLIENT" } else { "SERVER" };
        let (sending, protection) = {
            let heard = self.ear.heard();
            (heard.sending, Protection::derive(self.stream.ssl(), side, &heard.secrets, heard.sending.generation))
        };
        let protection =
            protection.map_err(library)?.ok_or_else(|| cannot("OpenSSL protects this suite only itself"))?;
        let before = self.progress.outgoing.len();
        self.call(|stream| stream.ssl_write(&[0])).map_err(library)?;
        let made = self.progress.outgoing.split_off(before);
        let record = protection.protect(&made, sending.sequence, content_type, octets).map_err(library)?;
        self.progress.outgoing.extend(record.ok_or_else(|| cannot("OpenSSL wrote something unexpected"))?);
        if content_type != APPLICATION_DATA {
            self.progress.observer.take_in(Seen { by: By::Us, content_type, octets: octets.to_vec() });
        }
        Ok(())
    }
}

impl Machine for OpensslMachine {
    fn feed_record(&mut self, record: &[u8]) {
        if !self.progress.takes_input() {
            return;
        }
        let pipe = self.stream.get_mut();
        pipe.not_tls = !is_record(record);
        pipe.incoming.extend_from_slice(record);
        self.go_on();
        self.progress.after_feeding(record);
    }

    fn transport_end(&mut self) {
        // Not told to OpenSSL, which would let us write no more: after a bare FIN we still may.
        self.progress.transport_end();
    }

    fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.progress.outgoing)
    }

    fn write(&mut self, plain: &[u8]) -> Result<(), TlsError> {
        self.progress.check_writable()?;
        let mut rest = plain;
        while !rest.is_empty() {
            let written = self.call(|stream| stream.ssl_write(rest)).map_err(library)?;
            rest = &rest[written..];
        }
        Ok(())
    }

    fn take_plain(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.progress.plain)
    }

    fn send_close_notify(&mut self) {
        if self.progress.check_writable().is_ok() {
            // Whether the peer has closed, too, is known from its alert; and the alert goes into the pipe in any case.
            let _ = self.call(SslStream::shutdown);
        }
    }

    fn send_record(&mut self, content_type: u8, octets: &[u8]) -> Result<(), TlsError> {
        self.progress.check_writable()?;
        if octets.len() > MAX_PLAIN {
            return Err(TlsError::CannotSend { content_type, why: "it is longer than 16384 octets" });
        }
        if content_type == APPLICATION_DATA && !octets.is_empty() {
            return self.write(octets);
        }
        self.send_in_place(content_type, octets)
    }

    fn key_update(&mut self, request_answer: bool) -> Result<(), TlsError> {
        self.progress.check_writable()?;
        if version(self.stream.ssl()) != Some(Version::Tls13) {
            return Err(TlsError::CannotSend { content_type: HANDSHAKE, why: "KeyUpdate exists in TLS 1.3 only" });
        }
        self.call(|stream| ffi::key_update(stream.ssl(), request_answer)).map_err(library)?;
        self.call(SslStream::do_handshake).map_err(library)
    }

    fn take_facts(&mut self) -> Vec<Fact> {
        self.progress.observer.take_facts()
    }

    fn state(&self) -> State {
        self.progress.state()
    }

    fn peer_closed(&self) -> bool {
        self.progress.observer.peer_closed()
    }

    fn we_closed(&self) -> bool {
        self.progress.observer.we_closed()
    }

    fn handshake(&self) -> Option<&Handshake> {
        self.progress.handshake()
    }

    fn failure(&self) -> Option<&Failure> {
        self.progress.failure()
    }
}

impl Drop for OpensslMachine {
    fn drop(&mut self) {
        // A connection that ends without close_notify would take its session with it out of the server's cache, and a
        // scenario that cuts a transfer short would find the next one not resumed. Nothing goes on the wire.
        self.stream.set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
    }
}

/// The two directions of a transport that is only memory.
#[derive(Default)]
struct Pipe {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// Whether what came last is no TLS record.
    not_tls: bool,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = into.len().min(self.incoming.len());
        into[..length].copy_from_slice(&self.incoming[..length]);
        self.incoming.drain(..length);
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn version(ssl: &SslRef) -> Option<Version> {
    match ssl.version2()? {
        SslVersion::TLS1 => Some(Version::Tls10),
        SslVersion::TLS1_1 => Some(Version::Tls11),
        SslVersion::TLS1_2 => Some(Version::Tls12),
        SslVersion::TLS1_3 => Some(Version::Tls13),
        _ => None,
    }
}

/// The session of TLS 1.2 or below that this handshake made or used, if the server will know it again.
fn resumable_tls12_session(ssl: &SslRef) -> Option<Vec<u8>> {
    let session = ssl.session()?;
    // OpenSSL gives a session behind a ticket an id of its own making; without either there is none.
    let known_again = session.protocol_version() != SslVersion::TLS1_3 && !session.id().is_empty();
    known_again.then(|| session.to_der().ok()).flatten()
}

/// The peer's certificates, the leaf first. On a server's side OpenSSL keeps the leaf apart, and after a resumption there
/// is only the leaf.
fn peer_chain(ssl: &SslRef) -> Vec<Vec<u8>> {
    let der = |certificate: &X509| certificate.to_der().ok();
    let leaf = ssl.peer_certificate().as_ref().and_then(der);
    let rest = ssl.peer_cert_chain().into_iter().flatten().filter_map(|certificate| certificate.to_der().ok());
    let rest: Vec<_> = rest.filter(|certificate| Some(certificate) != leaf.as_ref()).collect();
    leaf.into_iter().chain(rest).collect()
}

/// The names in a certificate, which may be anybody's: no more than a person reads, and nothing that is no name.
fn names(certificate: &[u8]) -> String {
    let names = X509::from_der(certificate).ok().and_then(|certificate| certificate.subject_alt_names());
    let told = |name: &GeneralNameRef| {
        let address = || match name.ipaddress()? {
            octets if octets.len() == 4 => Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?).to_string()),
            octets => Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?).to_string()),
        };
        let host = name.dnsname().filter(|host| host.bytes().all(|octet| octet.is_ascii_graphic()));
        host.map(ToOwned::to_owned).or_else(address)
    };
    let names: Vec<_> = names.iter().flatten().filter_map(told).take(MOST_NAMES).collect();
    if names.is_empty() { "no host at all".to_owned() } else { names.join(", ") }
}

/// Names of a certificate that are told.
const MOST_NAMES: usize = 8;

/// What OpenSSL finds where the certificate is for another host, and for another address.
const OTHER_NAME: [i32; 2] = [62, 64];

/// The alert for a record that cannot be deprotected (RFC 5246 §7.2.2, 8446 §6.2).
const BAD_RECORD_MAC: u8 = 20;
