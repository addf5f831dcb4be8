//! The machine of the rustls engine: one connection, fed a record at a time.
//!
//! One at a time because rustls throws away whatever it was given behind a close_notify (RFC 8446 §6.1), and after CCC
//! that is the next command in plaintext.

use std::io::{ErrorKind, Read, Write};

use ::rustls::{ClientConnection, Connection, Error, HandshakeKind, ProtocolVersion, ServerConnection};

use super::library;
use super::watch::{Substitute, Watched, watch};
use crate::error::TlsError;
use crate::machine::{By, Fact, Failure, FailureKind, Handshake, Machine, State};
use crate::messages::{ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, Seen};
use crate::progress::{MAX_PLAIN, Progress, RECORD_HEADER};
use crate::settings::Version;

pub(super) struct RustlsMachine {
    connection: Connection,
    progress: Progress,
    /// Where a client's offer came from.
    offered_from: String,
}

impl RustlsMachine {
    pub(super) fn client(connection: ClientConnection, watched: Watched, offered_from: &str) -> Self {
        let mut machine = Self::new(connection.into(), By::Us, offered_from);
        machine.settle(&[], watched);
        machine
    }

    pub(super) fn server(connection: ServerConnection) -> Self {
        Self::new(connection.into(), By::Peer, "")
    }

    fn new(mut connection: Connection, client: By, offered_from: &str) -> Self {
        // The caller bounds what it writes, and takes it at once: nothing may be left behind in here.
        connection.set_buffer_limit(None);
        Self { connection, progress: Progress::new(client), offered_from: offered_from.to_owned() }
    }

    /// After a call: takes what is to go out, and tells in order what was seen.
    fn settle(&mut self, fed: &[u8], watched: Watched) {
        let mut outgoing = Vec::new();
        while self.connection.wants_write() && self.connection.write_tls(&mut outgoing).is_ok() {}
        let (from_peer, mut from_us): (Vec<_>, Vec<_>) = watched.seen.into_iter().partition(|seen| seen.by == By::Peer);
        if self.progress.observer.we_closed() {
            // An alert about what came later; OpenSSL, too, sends none behind close_notify.
            outgoing.clear();
            from_us.clear();
        }
        let unprotected = unprotected_records(&outgoing, watched.protected);
        self.progress.outgoing.append(&mut outgoing);
        if !watched.deprotected {
            unprotected_content(By::Peer, fed).into_iter().for_each(|seen| self.progress.observer.take_in(seen));
        }
        for seen in from_peer.into_iter().chain(unprotected).chain(from_us) {
            self.progress.observer.take_in(seen);
        }
        if self.progress.state() == State::Handshaking
            && !self.connection.is_handshaking()
            && let Some(handshake) = self.agreed()
        {
            self.progress.open(handshake);
        }
    }

    fn agreed(&self) -> Option<Handshake> {
        let connection = &self.connection;
        let version = match connection.protocol_version()? {
            ProtocolVersion::TLSv1_3 => Version::Tls13,
            _ => Version::Tls12,
        };
        let suite = connection.negotiated_cipher_suite()?.suite();
        // rustls writes TLS13_… where IANA writes TLS_….
        let suite_name = suite.as_str().unwrap_or("unknown").replace("TLS13_", "TLS_");
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let observer = &self.progress.observer;
        Some(Handshake {
            version,
            suite: suite.into(),
            group: observer.group(version, &suite_name),
            suite_name,
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            server_name: observer.server_name(),
            peer_chain: connection
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
            client_certificate: observer.client_certificate(),
            resumed: resumed.then(|| self.offered_from.clone()),
            resumption: resumed.then(|| observer.resumed_by(version)),
        })
    }

    fn fail(&mut self, error: &Error, fed: &[u8]) {
        let kind = if !crate::progress::is_record(fed) {
            FailureKind::NotTls
        } else {
            match error {
                Error::AlertReceived(description) => FailureKind::AlertReceived((*description).into()),
                Error::InvalidCertificate(_) => FailureKind::CertificateRejected,
                Error::DecryptError => FailureKind::Decrypt,
                _ => self.progress.observer.alert_sent().map_or(FailureKind::Other, FailureKind::AlertSent),
            }
        };
        self.progress.fail(kind, &error.to_string());
    }
}

impl Machine for RustlsMachine {
    fn feed_record(&mut self, record: &[u8]) {
        if !self.progress.takes_input() {
            return;
        }
        let connection = &mut self.connection;
        let plain = &mut self.progress.plain;
        let (result, watched) = watch(None, || feed(connection, record, plain));
        self.settle(record, watched);
        if let Err(error) = result {
            self.fail(&error, record);
        }
        self.progress.after_feeding(record);
    }

    fn transport_end(&mut self) {
        self.progress.transport_end();
    }

    fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.progress.outgoing)
    }

    fn write(&mut self, plain: &[u8]) -> Result<(), TlsError> {
        self.progress.check_writable()?;
        let connection = &mut self.connection;
        let (result, watched) = watch(None, || connection.writer().write_all(plain));
        self.settle(&[], watched);
        result.map_err(library)
    }

    fn take_plain(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.progress.plain)
    }

    fn send_close_notify(&mut self) {
        // rustls's own call is not used: it counts as a fatal alert, and a faulty record that comes later would have
        // rustls send "a second one", which it asserts never to do.
        if self.progress.check_writable().is_ok() {
            // Writing into the connection's own buffer, which has no limit, cannot fail.
            let _ = self.send_record(ALERT, &CLOSE_NOTIFY);
        }
    }

    fn send_record(&mut self, content_type: u8, octets: &[u8]) -> Result<(), TlsError> {
        self.progress.check_writable()?;
        if octets.len() > MAX_PLAIN {
            return Err(TlsError::CannotSend { content_type, why: "it is longer than 16384 octets" });
        }
        let connection = &mut self.connection;
        let substitute = Substitute::for_application_data(content_type, octets);
        let (result, watched) = watch(Some(substitute), || connection.writer().write_all(&[0]));
        self.settle(&[], watched);
        result.map_err(library)
    }

    fn key_update(&mut self, request_answer: bool) -> Result<(), TlsError> {
        self.progress.check_writable()?;
        if self.progress.handshake().is_none_or(|handshake| handshake.version != Version::Tls13) {
            return Err(TlsError::CannotSend { content_type: HANDSHAKE, why: "KeyUpdate exists in TLS 1.3 only" });
        }
        let connection = &mut self.connection;
        let substitute = (!request_answer).then(Substitute::for_key_update);
        let (result, watched) = watch(substitute, || connection.refresh_traffic_keys());
        self.settle(&[], watched);
        result.map_err(library)
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

/// Gives a record to rustls, which takes it in portions and wants each one worked up before the next.
fn feed(connection: &mut Connection, mut record: &[u8], plain: &mut Vec<u8>) -> Result<(), Error> {
    while !record.is_empty() {
        match connection.read_tls(&mut record) {
            Ok(0) => break,
            Ok(_) => {}
            // Its buffer is full: more than a record, which is no record.
            Err(error) => return Err(Error::General(error.to_string())),
        }
        connection.process_new_packets()?;
        drain(connection, plain);
    }
    Ok(())
}

fn drain(connection: &mut Connection, plain: &mut Vec<u8>) {
    if let Err(error) = connection.reader().read_to_end(plain) {
        // Nothing more for now; or, behind close_notify, nothing at all.
        debug_assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::UnexpectedEof), "{error}");
    }
}

/// The handshake and alert content among `outgoing` that stands there in the clear, if the last `protected` of these
/// records are protected: a side that has begun to protect never goes back.
fn unprotected_records(outgoing: &[u8], protected: usize) -> Vec<Seen> {
    let mut records = Vec::new();
    let mut rest = outgoing;
    while let Some(length) = record_length(rest)
        && let Some((record, behind)) = rest.split_at_checked(length)
    {
        // ChangeCipherSpec is never protected, and in TLS 1.3 stands among what is.
        if record[0] != CHANGE_CIPHER_SPEC {
            records.push(record);
        }
        rest = behind;
    }
    let clear = records.len().saturating_sub(protected);
    records[..clear].iter().filter_map(|record| unprotected_content(By::Us, record)).collect()
}

/// The content of a record that is not protected, as far as anything is told of it.
fn unprotected_content(by: By, record: &[u8]) -> Option<Seen> {
    let &content_type = record.first()?;
    let told = matches!(content_type, ALERT | HANDSHAKE) && crate::progress::is_record(record);
    told.then(|| Seen { by, content_type, octets: record[RECORD_HEADER..].to_vec() })
}

fn record_length(octets: &[u8]) -> Option<usize> {
    let &[_, _, _, high, low, ..] = octets else { return None };
    Some(RECORD_HEADER + usize::from(u16::from_be_bytes([high, low])))
}

/// The alert close_notify, a warning (RFC 5246 §7.2.1).
const CLOSE_NOTIFY: [u8; 2] = [1, 0];
