//! Reads the handshake messages and alerts of a session, as each engine shows them deprotected, and makes facts of them:
//! one reader for both engines, so that both tell the same. It reads only what facts need, never judges, and takes any
//! octets without harm.

use crate::machine::{By, ClientCertificateUse, Fact, ResumedBy};
use crate::settings::Version;

/// The content of a record, or a handshake message, as it stood before protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) by: By,
    pub(crate) content_type: u8,
    pub(crate) octets: Vec<u8>,
}

/// What the messages of one session have told so far.
pub(crate) struct Observer {
    client: By,
    facts: Vec<Fact>,
    from_us: Vec<u8>,
    from_peer: Vec<u8>,
    finished_seen: u8,
    /// Where among `facts` the second Finished was seen.
    finished_at: Option<usize>,
    tls13: bool,
    server_name: Option<String>,
    ticket_offered: bool,
    group: Option<u16>,
    client_certificate: ClientCertificateUse,
    server_certificate: Vec<u8>,
    we_closed: bool,
    peer_closed: bool,
    alert_sent: Option<u8>,
    alert_received: Option<u8>,
}

impl Observer {
    pub(crate) fn new(client: By) -> Self {
        Self {
            client,
            facts: Vec::new(),
            from_us: Vec::new(),
            from_peer: Vec::new(),
            finished_seen: 0,
            finished_at: None,
            tls13: false,
            server_name: None,
            ticket_offered: false,
            group: None,
            client_certificate: ClientCertificateUse::NotAsked,
            server_certificate: Vec::new(),
            we_closed: false,
            peer_closed: false,
            alert_sent: None,
            alert_received: None,
        }
    }

    /// Takes what was seen next; handshake messages may come in any portions.
    pub(crate) fn take_in(&mut self, seen: Seen) {
        match seen.content_type {
            ALERT => self.alert(seen.by, &seen.octets),
            HANDSHAKE => {
                let mut pending = std::mem::take(self.pending(seen.by));
                pending.extend(seen.octets);
                let mut rest = pending.as_slice();
                while let Some((message, behind)) = split_message(rest) {
                    self.message(seen.by, message);
                    rest = behind;
                }
                if rest.len() <= MAX_MESSAGE {
                    *self.pending(seen.by) = rest.to_vec();
                }
            }
            _ => {}
        }
    }

    /// Tells a fact that no message carries.
    pub(crate) fn tell(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// Tells that the handshake is over, where the last Finished stood: tickets of TLS 1.3 follow it.
    pub(crate) fn tell_finished(&mut self, finished: Fact) {
        let place = self.finished_at.take().unwrap_or(self.facts.len()).min(self.facts.len());
        self.facts.insert(place, finished);
    }

    pub(crate) fn take_facts(&mut self) -> Vec<Fact> {
        self.finished_at = None;
        std::mem::take(&mut self.facts)
    }

    pub(crate) fn server_name(&self) -> Option<String> {
        self.server_name.clone()
    }

    /// The name of the group that the secrets were agreed in.
    pub(crate) fn group(&self, version: Version, suite_name: &str) -> Option<String> {
        // A ServerKeyExchange names its group with ECDHE only.
        let named = version == Version::Tls13 || suite_name.contains("_ECDHE_");
        self.group.filter(|_| named).map(group_name)
    }

    pub(crate) fn client_certificate(&self) -> ClientCertificateUse {
        self.client_certificate
    }

    /// The server's own certificate, as it was shown, be it accepted or not; empty if there was none.
    pub(crate) fn server_certificate(&self) -> &[u8] {
        &self.server_certificate
    }

    /// By what a session that the library calls resumed was resumed.
    pub(crate) fn resumed_by(&self, version: Version) -> ResumedBy {
        if version == Version::Tls13 {
            ResumedBy::Psk
        } else if self.ticket_offered {
            ResumedBy::Ticket
        } else {
            ResumedBy::SessionId
        }
    }

    pub(crate) fn we_closed(&self) -> bool {
        self.we_closed
    }

    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// The fatal alert that we sent.
    pub(crate) fn alert_sent(&self) -> Option<u8> {
        self.alert_sent
    }

    /// The fatal alert that the peer sent.
    pub(crate) fn alert_received(&self) -> Option<u8> {
        self.alert_received
    }

    fn pending(&mut self, by: By) -> &mut Vec<u8> {
        match by {
            By::Us => &mut self.from_us,
            By::Peer => &mut self.from_peer,
        }
    }

    fn alert(&mut self, by: By, octets: &[u8]) {
        let &[level, description, ..] = octets else { return };
        if description == CLOSE_NOTIFY {
            match by {
                By::Us => self.we_closed = true,
                By::Peer => self.peer_closed = true,
            }
            self.facts.push(Fact::CloseNotify { by });
            return;
        }
        if level == FATAL {
            match by {
                By::Us => self.alert_sent = Some(description),
                By::Peer => self.alert_received = Some(description),
            }
        }
        self.facts.push(Fact::Alert { by, level, description });
    }

    fn message(&mut self, by: By, message: &[u8]) {
        let (message_type, body) = (message[0], &message[HEADER..]);
        match message_type {
            CLIENT_HELLO => {
                let hello = ClientHello::read(body).unwrap_or_default();
                self.server_name = hello.server_name;
                self.ticket_offered = hello.ticket;
                self.facts.push(Fact::ClientHello { by, hello: message.to_vec() });
            }
            SERVER_HELLO => {
                let hello = ServerHello::read(body).unwrap_or_default();
                self.tls13 |= hello.tls13;
                self.group = hello.group.or(self.group);
                self.facts.push(Fact::ServerHello { by });
            }
            NEW_SESSION_TICKET => self.facts.push(Fact::Ticket { by }),
            CERTIFICATE => {
                let first = first_certificate(body, self.tls13);
                if by != self.client {
                    self.server_certificate = first.unwrap_or_default().to_vec();
                } else if first.is_some() {
                    self.client_certificate = ClientCertificateUse::Sent;
                }
            }
            SERVER_KEY_EXCHANGE => {
                // curve_type named_curve, then the curve (RFC 8422 §5.4).
                if let &[3, high, low, ..] = body {
                    self.group = Some(u16::from_be_bytes([high, low]));
                }
            }
            CERTIFICATE_REQUEST => {
                self.client_certificate = ClientCertificateUse::NotSent;
                self.facts.push(Fact::CertificateRequest { by });
            }
            FINISHED => {
                self.finished_seen = self.finished_seen.saturating_add(1);
                if self.finished_seen == 2 {
                    self.finished_at = Some(self.facts.len());
                }
            }
            KEY_UPDATE => self.facts.push(Fact::KeyUpdate { by, request: body.first() == Some(&1) }),
            _ => {}
        }
    }
}

/// Whether a ClientHello message offers TLS 1.3.
pub(crate) fn offers_tls13(hello: &[u8]) -> bool {
    hello.get(HEADER..).and_then(ClientHello::read).is_some_and(|hello| hello.tls13)
}

/// The IANA name of a supported group.
fn group_name(group: u16) -> String {
    match group {
        0x0015 => "secp224r1",
        0x0017 => "secp256r1",
        0x0018 => "secp384r1",
        0x0019 => "secp521r1",
        0x001d => "x25519",
        0x001e => "x448",
        0x0100 => "ffdhe2048",
        0x0101 => "ffdhe3072",
        0x0102 => "ffdhe4096",
        0x0103 => "ffdhe6144",
        0x0104 => "ffdhe8192",
        0x11eb => "SecP256r1MLKEM768",
        0x11ec => "X25519MLKEM768",
        0x11ed => "SecP384r1MLKEM1024",
        _ => return format!("0x{group:04x}"),
    }
    .to_owned()
}

/// The first whole message, header included, and what stands behind it.
fn split_message(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[_, high, middle, low, ..] = octets else { return None };
    let length = HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
    octets.split_at_checked(length)
}

/// The first certificate in a Certificate message, which is its sender's own (RFC 5246 §7.4.2, 8446 §4.4.2).
fn first_certificate(body: &[u8], tls13: bool) -> Option<&[u8]> {
    let mut octets = Octets(body);
    if tls13 {
        octets.vector8()?;
    }
    let mut list = Octets(octets.vector24()?);
    list.vector24()
}

/// What facts need of a ClientHello.
#[derive(Default)]
struct ClientHello {
    server_name: Option<String>,
    ticket: bool,
    tls13: bool,
}

impl ClientHello {
    fn read(body: &[u8]) -> Option<Self> {
        let mut octets = Octets(body);
        octets.take(VERSION_AND_RANDOM)?;
        octets.vector8()?; // session id
        octets.vector16()?; // cipher suites
        octets.vector8()?; // compression methods
        let mut hello = Self::default();
        for (number, content) in octets.extensions() {
            match number {
                EXTENSION_SERVER_NAME => hello.server_name = host_name(content),
                EXTENSION_TICKET => hello.ticket = !content.is_empty(),
                EXTENSION_VERSIONS => {
                    let versions = Octets(content).vector8()?;
                    hello.tls13 = versions.chunks_exact(2).any(|version| version == TLS13);
                }
                _ => {}
            }
        }
        Some(hello)
    }
}

/// What facts need of a ServerHello.
#[derive(Default)]
struct ServerHello {
    tls13: bool,
    group: Option<u16>,
}

impl ServerHello {
    fn read(body: &[u8]) -> Option<Self> {
        let mut octets = Octets(body);
        octets.take(VERSION_AND_RANDOM)?;
        octets.vector8()?; // session id
        octets.take(3)?; // cipher suite, compression method
        let mut hello = Self::default();
        for (number, content) in octets.extensions() {
            match number {
                EXTENSION_VERSIONS => hello.tls13 = content == TLS13,
                EXTENSION_KEY_SHARE => hello.group = Octets(content).number16(),
                _ => {}
            }
        }
        Some(hello)
    }
}

/// The first host_name of a server_name extension (RFC 6066 §3).
fn host_name(content: &[u8]) -> Option<String> {
    let mut list = Octets(Octets(content).vector16()?);
    let &[kind] = list.take(1)? else { return None };
    let name = list.vector16()?;
    (kind == 0).then(|| String::from_utf8_lossy(name).into_owned())
}

/// Octets not yet read.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number16(&mut self) -> Option<u16> {
        let octets = self.take(2)?;
        Some(u16::from_be_bytes([octets[0], octets[1]]))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.number16()?;
        self.take(length.into())
    }

    fn vector24(&mut self) -> Option<&'a [u8]> {
        let length = self.take(3)?;
        self.take(u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize)
    }

    /// Number and content of each extension; none, if the list is absent or broken.
    fn extensions(&mut self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut list = Octets(self.vector16().unwrap_or_default());
        std::iter::from_fn(move || Some((list.number16()?, list.vector16()?)))
    }
}

pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;

pub(crate) const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const NEW_SESSION_TICKET: u8 = 4;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const CERTIFICATE_REQUEST: u8 = 13;
pub(crate) const FINISHED: u8 = 20;
pub(crate) const KEY_UPDATE: u8 = 24;

const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_TICKET: u16 = 35;
const EXTENSION_VERSIONS: u16 = 43;
const EXTENSION_KEY_SHARE: u16 = 51;
const TLS13: [u8; 2] = [3, 4];

const CLOSE_NOTIFY: u8 = 0;
const FATAL: u8 = 2;

/// Type and length of a handshake message.
const HEADER: usize = 4;
/// legacy_version and random, with which both hellos begin.
const VERSION_AND_RANDOM: usize = 2 + 32;
/// An unfinished message longer than this is forgotten; both libraries refuse such a one long before it is whole.
const MAX_MESSAGE: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(by: By, octets: &[u8]) -> Seen {
        Seen { by, content_type: HANDSHAKE, octets: octets.to_vec() }
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let ticket_and_update = [NEW_SESSION_TICKET, 0, 0, 2, 9, 9, KEY_UPDATE, 0, 0, 1, 1];
        let told = vec![Fact::Ticket { by: By::Peer }, Fact::KeyUpdate { by: By::Peer, request: true }];

        let mut whole = Observer::new(By::Us);
        whole.take_in(handshake(By::Peer, &ticket_and_update));
        assert_eq!(whole.take_facts(), told);

        let mut cut = Observer::new(By::Us);
        for octet in ticket_and_update {
            cut.take_in(handshake(By::Peer, &[octet]));
        }
        assert_eq!(cut.take_facts(), told);
    }

    #[test]
    fn close_notify_is_no_alert_and_a_warning_is_no_fatal_one() {
        let mut observer = Observer::new(By::Us);
        for octets in [[1, 90], [2, 40], [1, 0]] {
            observer.take_in(Seen { by: By::Peer, content_type: ALERT, octets: octets.to_vec() });
        }
        assert_eq!(
            observer.take_facts(),
            [
                Fact::Alert { by: By::Peer, level: 1, description: 90 },
                Fact::Alert { by: By::Peer, level: 2, description: 40 },
                Fact::CloseNotify { by: By::Peer },
            ]
        );
        assert_eq!((observer.alert_received(), observer.alert_sent()), (Some(40), None));
        assert!(observer.peer_closed() && !observer.we_closed());
    }

    #[test]
    fn an_endless_message_is_forgotten() {
        let mut observer = Observer::new(By::Us);
        observer.take_in(handshake(By::Peer, &[CERTIFICATE, 0xff, 0xff, 0xff]));
        for _ in 0..100 {
            observer.take_in(handshake(By::Peer, &[0xff; 16 * 1024]));
        }
        assert!(observer.from_peer.len() <= MAX_MESSAGE + 16 * 1024);
    }

    #[test]
    fn an_empty_certificate_list_is_no_certificate() {
        assert_eq!(first_certificate(&[0, 0, 0], false), None);
        assert_eq!(first_certificate(&[0, 0, 0, 0], true), None);
        assert_eq!(first_certificate(&[0, 0, 4, 0, 0, 1, 7], false), Some(&[7][..]));
        assert_eq!(first_certificate(&[0, 0, 0, 6, 0, 0, 1, 7, 0, 0], true), Some(&[7][..]));
        assert_eq!(first_certificate(&[9], true), None);
        // Lengths that promise more than there is.
        assert_eq!(first_certificate(&[0, 0, 9, 0, 0, 1, 7], false), None);
        assert_eq!(first_certificate(&[0, 0, 4, 0, 0, 9, 7], false), None);
    }
}
