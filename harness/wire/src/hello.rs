//! What a ClientHello offers, read from its octets for a diagnosis: "TLS 1.0, 6 suites …, no extensions" is often the
//! whole reason of a failed handshake. It takes facts out and never judges; what libraries accept is for them to say.

use std::fmt::Write as _;

use thiserror::Error;

use crate::escape::escaped;
use crate::names::{suite_name, version_name};

/// The facts of a ClientHello (RFC 5246 §7.4.1.2, RFC 8446 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The version field; the highest version that is offered, up to TLS 1.2.
    pub legacy_version: u16,
    /// The versions that are offered, in the client's order and without GREASE (RFC 8701): those of supported_versions,
    /// or else [`legacy_version`](Self::legacy_version) alone.
    pub versions: Vec<u16>,
    /// The cipher suites as they stand, signalling values (00FF, 5600) and GREASE included.
    pub suites: Vec<u16>,
    /// The host name of server_name (RFC 6066 §3), [`escaped`].
    pub server_name: Option<String>,
    /// The protocols of ALPN (RFC 7301 §3.1).
    pub alpn: Vec<Vec<u8>>,
    /// The types of all extensions, in the client's order.
    pub extensions: Vec<u16>,
    /// Octets of the session id. Above 0 a client up to TLS 1.2 asks for resumption; one with TLS 1.3 may only pretend
    /// to (RFC 8446 §D.4).
    pub session_id_length: usize,
    /// Whether a session ticket is offered for resumption (RFC 5077 §3.2: the extension is there and not empty). That
    /// tickets are supported shows in [`extensions`](Self::extensions) as 35.
    pub offers_ticket: bool,
    /// Whether a pre-shared key is offered: TLS 1.3's resumption (RFC 8446 §4.2.11).
    pub offers_psk: bool,
    /// The first identity of that key: the ticket. Empty if there is none, or it cannot be read.
    pub psk_identity: Vec<u8>,
}

impl ClientHello {
    /// Reads a handshake message with its header of four octets, as [`HandshakeReader`](crate::HandshakeReader) joins
    /// it from records.
    ///
    /// # Errors
    /// [`HelloError`] if the message is something else, or its lengths do not fit together.
    pub fn parse(handshake_message: &[u8]) -> Result<Self, HelloError> {
        let mut message = Fields { rest: handshake_message };
        if message.number(1)? != CLIENT_HELLO {
            return Err(HelloError::NotAClientHello);
        }
        let mut body = message.vector(3)?;
        message.end()?;

        let legacy_version = body.word()?;
        body.take(RANDOM_LENGTH)?;
        let session_id_length = body.vector(1)?.rest.len();
        let suites = body.vector(2)?.words()?;
        body.vector(1)?; // compression methods
        let mut hello = Self {
            legacy_version,
            versions: vec![legacy_version],
            suites,
            server_name: None,
            alpn: Vec::new(),
            extensions: Vec::new(),
            session_id_length,
            offers_ticket: false,
            offers_psk: false,
            psk_identity: Vec::new(),
        };
        // A hello of the time before extensions ends here (RFC 5246 §7.4.1.2).
        if !body.rest.is_empty() {
            let mut extensions = body.vector(2)?;
            body.end()?;
            while !extensions.rest.is_empty() {
                let extension = extensions.word()?;
                hello.add_extension(extension, extensions.vector(2)?)?;
            }
        }
        Ok(hello)
    }

    /// The offer on one line: `TLS 1.3 and 1.2, 9 suites, server_name localhost, ALPN ftp`. Signalling values and
    /// GREASE do not count as suites; an offer of old suites only is told by their kinds.
    pub fn summary(&self) -> String {
        let offered: Vec<u16> = self.suites.iter().copied().filter(|suite| is_suite(*suite)).collect();
        let plural = if offered.len() == 1 { "" } else { "s" };
        let mut text = format!("{}, {} suite{plural}", versions_text(&self.versions), offered.len());
        if let Some(kinds) = kinds_of_suites(&offered) {
            // Writing to a string cannot fail.
            let _ = write!(text, " ({kinds})");
        }
        if self.extensions.is_empty() {
            text.push_str(", no extensions");
            return text;
        }
        match &self.server_name {
            Some(name) => {
                let _ = write!(text, ", server_name {name}");
            }
            None => text.push_str(", no server_name"),
        }
        if !self.alpn.is_empty() {
            let protocols: Vec<String> = self.alpn.iter().map(|protocol| escaped(protocol)).collect();
            let _ = write!(text, ", ALPN {}", protocols.join(" "));
        }
        if self.offers_ticket {
            text.push_str(", offers a ticket");
        }
        if self.offers_psk {
            text.push_str(", offers a PSK");
        }
        text
    }

    /// Whether a session of TLS 1.2 or below is offered. A session id alone says so only where TLS 1.3 is not offered.
    pub fn offers_session(&self) -> bool {
        self.offers_ticket || self.session_id_length > 0 && !self.versions.contains(&0x0304)
    }

    fn add_extension(&mut self, extension: u16, mut data: Fields<'_>) -> Result<(), HelloError> {
        self.extensions.push(extension);
        match extension {
            SERVER_NAME => {
                let mut names = data.vector(2)?;
                while !names.rest.is_empty() {
                    let name_type = names.number(1)?;
                    let name = names.vector(2)?.rest;
                    if name_type == HOST_NAME && self.server_name.is_none() {
                        self.server_name = Some(escaped(name));
                    }
                }
            }
            ALPN => {
                let mut protocols = data.vector(2)?;
                while !protocols.rest.is_empty() {
                    self.alpn.push(protocols.vector(1)?.rest.to_vec());
                }
            }
            SUPPORTED_VERSIONS => {
                self.versions = data.vector(1)?.words()?;
                self.versions.retain(|version| !is_grease(*version));
            }
            SESSION_TICKET => self.offers_ticket = !data.rest.is_empty(),
            PRE_SHARED_KEY => {
                self.offers_psk = true;
                // Its binders and the rest are for the library to check.
                let first = data.vector(2).and_then(|mut identities| identities.vector(2));
                self.psk_identity = first.map(|identity| identity.rest.to_vec()).unwrap_or_default();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Why octets are no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// It is another handshake message.
    #[error("not a ClientHello")]
    NotAClientHello,
    /// It ends before its lengths say.
    #[error("ClientHello cut short")]
    Cut,
    /// It goes on behind where its lengths say, or a list of pairs has an odd length.
    #[error("ClientHello whose lengths do not fit")]
    Lengths,
}

/// Reads the vectors of TLS's presentation language (RFC 8446 §3.4) from the front.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(HelloError::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of `width` octets, at most three.
    fn number(&mut self, width: usize) -> Result<usize, HelloError> {
        Ok(self.take(width)?.iter().fold(0, |number, octet| number << 8 | usize::from(*octet)))
    }

    fn word(&mut self) -> Result<u16, HelloError> {
        Ok(be_word(self.take(2)?))
    }

    /// A vector whose length stands before it in `width` octets.
    fn vector(&mut self, width: usize) -> Result<Self, HelloError> {
        let length = self.number(width)?;
        Ok(Self { rest: self.take(length)? })
    }

    fn words(self) -> Result<Vec<u16>, HelloError> {
        if !self.rest.len().is_multiple_of(2) {
            return Err(HelloError::Lengths);
        }
        Ok(self.rest.chunks_exact(2).map(be_word).collect())
    }

    fn end(self) -> Result<(), HelloError> {
        if self.rest.is_empty() { Ok(()) } else { Err(HelloError::Lengths) }
    }
}

fn be_word(octets: &[u8]) -> u16 {
    octets.iter().fold(0, |word, octet| word << 8 | u16::from(*octet))
}

/// `TLS 1.3`, `TLS 1.3 and 1.2`, `TLS 1.3, 1.2 and 1.1`.
fn versions_text(versions: &[u16]) -> String {
    let mut names: Vec<String> = Vec::new();
    for version in versions {
        let name = match version_name(*version) {
            "unknown version" => format!("{version:#06x}"),
            known => known.to_owned(),
        };
        // The protocol's name stands once, before its first version.
        let repeated = names.first().is_some_and(|first| first.starts_with("TLS "));
        names.push(name.strip_prefix("TLS ").filter(|_| repeated).unwrap_or(&name).to_owned());
    }
    match names.as_slice() {
        [] => "no version".to_owned(),
        names => joined(names, ", "),
    }
}

/// `RSA and DHE, CBC, SHA-1`: key exchanges, modes and MACs. `None` as soon as a suite is unknown, or one of TLS 1.3's,
/// whose name tells none of them; such an offer is not refused for its suites' age.
fn kinds_of_suites(suites: &[u16]) -> Option<String> {
    let mut exchanges = Vec::new();
    let mut modes = Vec::new();
    let mut macs = Vec::new();
    for suite in suites {
        let (exchange, protection) = suite_name(*suite)?.strip_prefix("TLS_")?.split_once("_WITH_")?;
        let mode = first_in(protection, MODES)?;
        add_once(&mut exchanges, first_in(exchange, EXCHANGES)?);
        add_once(&mut modes, mode);
        // An AEAD has no MAC of its own; the hash in its name is the key derivation's.
        if !AEADS.contains(&mode) {
            add_once(&mut macs, MACS.iter().find(|(end, _)| protection.ends_with(end))?.1);
        }
    }
    let kinds: Vec<String> =
        [exchanges, modes, macs].iter().filter(|kinds| !kinds.is_empty()).map(|kinds| joined(kinds, ", ")).collect();
    Some(kinds.join(", ")).filter(|text| !text.is_empty())
}

fn first_in(text: &str, table: &'static [(&'static str, &'static str)]) -> Option<&'static str> {
    table.iter().find(|(part, _)| text.contains(part)).map(|(_, name)| *name)
}

fn add_once(names: &mut Vec<&'static str>, name: &'static str) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// `a`, `a and b`, `a, b and c`.
fn joined<T: AsRef<str>>(names: &[T], separator: &str) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(separator)),
    }
}

/// Whether a value in the list of suites is one: not a signal (RFC 5746 §3.3, RFC 7507 §2), not GREASE.
fn is_suite(value: u16) -> bool {
    !matches!(value, 0x00ff | 0x5600) && !is_grease(value)
}

/// RFC 8701 §2: 0A0A, 1A1A … FAFA.
fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

const CLIENT_HELLO: usize = 1;
const RANDOM_LENGTH: usize = 32;
const HOST_NAME: usize = 0;

// Extension types (RFC 8446 §4.2, RFC 5077).
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// What stands in a suite's name, and what we call it; a part that holds another one stands before it.
const EXCHANGES: &[(&str, &str)] = &[
    ("anon", "anonymous"),
    ("PSK", "PSK"),
    ("ECDHE", "ECDHE"),
    ("ECDH", "ECDH"),
    ("DHE", "DHE"),
    ("DH", "DH"),
    ("RSA", "RSA"),
];
const MODES: &[(&str, &str)] = &[
    ("GCM", "GCM"),
    ("CCM", "CCM"),
    ("CHACHA20", "CHACHA20"),
    ("CBC", "CBC"),
    ("RC4", "RC4"),
    ("NULL", "no encryption"),
];
const AEADS: &[&str] = &["GCM", "CCM", "CHACHA20"];
const MACS: &[(&str, &str)] = &[("SHA384", "SHA-384"), ("SHA256", "SHA-256"), ("SHA", "SHA-1"), ("MD5", "MD5")];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{ClientHello, HelloError};
    use crate::handshake::HandshakeReader;

    /// The ClientHello of a z/OS 2.2 client, from the thread on IBM-MAIN.
    const ZOS: &str = "01000035 03016038 53aefee4 0e3fa5c1 738d1174 97b11a6c 48d50a52 9ed8c9f6 19af4c56 c20d0000 \
                       0e00ff00 35003800 39002f00 32003301 00";

    #[test]
    fn the_zos_client_offers_tls_1_0_and_no_extensions() {
        let octets = octets(ZOS);
        assert_eq!(octets.len(), 57);
        let hello = ClientHello::parse(&octets).expect("a recorded ClientHello");
        assert_eq!(hello.versions, [0x0301]);
        assert_eq!(hello.suites, [0x00ff, 0x0035, 0x0038, 0x0039, 0x002f, 0x0032, 0x0033]);
        assert_eq!(hello.session_id_length, 0);
        assert_eq!(hello.extensions, [] as [u16; 0]);
        assert_eq!(hello.summary(), "TLS 1.0, 6 suites (RSA and DHE, CBC, SHA-1), no extensions");
    }

    #[test]
    fn it_may_come_in_several_records() {
        let octets = octets(ZOS);
        let mut reader = HandshakeReader::new();
        for fragment in octets.chunks(7) {
            reader.push(fragment);
        }
        assert_eq!(reader.next(), Ok(Some(octets)));
    }

    #[test]
    fn a_hello_of_today_is_told_by_its_extensions() {
        let hello = ClientHello::parse(&Offer::today().message()).expect("well formed");
        assert_eq!(hello.legacy_version, 0x0303);
        assert_eq!(hello.versions, [0x0304, 0x0303]);
        assert_eq!(hello.server_name.as_deref(), Some("localhost"));
        assert_eq!(hello.alpn, [b"ftp".to_vec()]);
        assert_eq!(hello.extensions, [0x1a1a, 43, 0, 16, 35, 41]);
        assert_eq!(hello.session_id_length, 32);
        assert!(!hello.offers_ticket, "an empty ticket only says that tickets are supported");
        assert!(hello.offers_psk);
        assert_eq!(hello.summary(), "TLS 1.3 and 1.2, 3 suites, server_name localhost, ALPN ftp, offers a PSK");
    }

    #[rstest]
    #[case::forward_secret_aeads(&[0xc02b, 0xc02f, 0xcca8], "3 suites (ECDHE, GCM and CHACHA20)")]
    #[case::mixed(&[0x009c, 0x003c, 0xc028], "3 suites (RSA and ECDHE, GCM and CBC, SHA-256 and SHA-384)")]
    #[case::one(&[0x0004], "1 suite (RSA, RC4, MD5)")]
    #[case::unknown(&[0x0035, 0xeeee], "2 suites")]
    #[case::only_signals(&[0x00ff, 0x5600, 0x2a2a], "0 suites")]
    fn old_suites_are_told_by_their_kinds(#[case] suites: &[u16], #[case] told: &str) {
        let offer = Offer { suites: suites.to_vec(), extensions: None, ..Offer::today() };
        let summary = ClientHello::parse(&offer.message()).expect("well formed").summary();
        assert_eq!(summary, format!("TLS 1.2, {told}, no extensions"));
    }

    #[rstest]
    #[case(&[0x0304], "TLS 1.3, ")]
    #[case(&[0x0304, 0x0303, 0x0302], "TLS 1.3, 1.2 and 1.1, ")]
    #[case(&[0x0303, 0x0300], "TLS 1.2 and SSL 3.0, ")]
    #[case::grease(&[0x7a7a, 0x0304], "TLS 1.3, ")]
    #[case::draft(&[0x7f1c, 0x0303], "0x7f1c and TLS 1.2, ")]
    #[case::none(&[], "no version, ")]
    fn versions_are_told_in_the_clients_order(#[case] versions: &[u16], #[case] start: &str) {
        let extensions = Some(vec![supported_versions(versions)]);
        let summary =
            ClientHello::parse(&Offer { extensions, ..Offer::today() }.message()).expect("well formed").summary();
        assert!(summary.starts_with(start), "{summary}");
        assert!(summary.ends_with(", no server_name"), "{summary}");
    }

    #[test]
    fn a_ticket_is_offered_when_it_is_not_empty() {
        let extensions = Some(vec![(35, b"ticket".to_vec())]);
        let hello = ClientHello::parse(&Offer { extensions, ..Offer::today() }.message()).expect("well formed");
        assert!(hello.offers_ticket);
        assert!(hello.summary().ends_with(", offers a ticket"), "{}", hello.summary());
    }

    #[test]
    fn a_hostile_server_name_is_escaped() {
        let extensions = Some(vec![(0, b"\x00\x05\x00\x00\x02\x1b[".to_vec())]);
        let hello = ClientHello::parse(&Offer { extensions, ..Offer::today() }.message()).expect("well formed");
        assert_eq!(hello.server_name.as_deref(), Some("\\x1b["));
    }

    #[test]
    fn another_message_is_refused() {
        assert_eq!(ClientHello::parse(b"\x02\x00\x00\x00"), Err(HelloError::NotAClientHello));
        assert_eq!(ClientHello::parse(b""), Err(HelloError::Cut));
    }

    #[test]
    fn each_cut_is_noticed() {
        for message in [octets(ZOS), Offer::today().message()] {
            for length in 0..message.len() {
                assert_eq!(ClientHello::parse(&message[..length]), Err(HelloError::Cut), "cut at {length}");
            }
        }
    }

    #[test]
    fn octets_behind_the_end_are_noticed() {
        let mut message = octets(ZOS);
        message.push(0);
        assert_eq!(ClientHello::parse(&message), Err(HelloError::Lengths));
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets: Vec<u8>) {
            let _ = ClientHello::parse(&octets);
        }

        #[test]
        fn no_damage_panics(at in 0_usize..200, octet: u8) {
            let mut message = Offer::today().message();
            let at = at % message.len();
            message[at] = octet;
            if let Ok(hello) = ClientHello::parse(&message) {
                prop_assert!(hello.summary().chars().all(|character| !character.is_control()));
            }
        }

        #[test]
        fn what_is_offered_is_read(
            suites in prop::collection::vec(any::<u16>(), 0..100),
            extensions in prop::collection::vec((100_u16.., prop::collection::vec(any::<u8>(), 0..50)), 0..20),
        ) {
            let types: Vec<u16> = extensions.iter().map(|(extension, _)| *extension).collect();
            let offer = Offer { suites: suites.clone(), extensions: Some(extensions), ..Offer::today() };
            let hello = ClientHello::parse(&offer.message()).expect("well formed");
            prop_assert_eq!(hello.suites, suites);
            prop_assert_eq!(hello.extensions, types);
        }
    }

    struct Offer {
        session_id: Vec<u8>,
        suites: Vec<u16>,
        extensions: Option<Vec<(u16, Vec<u8>)>>,
    }

    impl Offer {
        fn today() -> Self {
            Self {
                session_id: vec![7; 32],
                suites: vec![0x0a0a, 0x1301, 0x1302, 0xc02f, 0x00ff],
                extensions: Some(vec![
                    (0x1a1a, vec![]),
                    supported_versions(&[0x2a2a, 0x0304, 0x0303]),
                    (0, b"\x00\x0c\x00\x00\x09localhost".to_vec()),
                    (16, b"\x00\x04\x03ftp".to_vec()),
                    (35, vec![]),
                    (41, b"binders".to_vec()),
                ]),
            }
        }

        fn message(&self) -> Vec<u8> {
            let mut body = vec![3, 3];
            body.extend([0; 32]);
            body.extend(vector(1, &self.session_id));
            body.extend(vector(2, &words(&self.suites)));
            body.extend(vector(1, &[0]));
            if let Some(extensions) = &self.extensions {
                let mut list = Vec::new();
                for (extension, data) in extensions {
                    list.extend(extension.to_be_bytes());
                    list.extend(vector(2, data));
                }
                body.extend(vector(2, &list));
            }
            [vec![1], vector(3, &body)].concat()
        }
    }

    fn supported_versions(versions: &[u16]) -> (u16, Vec<u8>) {
        (43, vector(1, &words(versions)))
    }

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn vector(width: usize, octets: &[u8]) -> Vec<u8> {
        [&octets.len().to_be_bytes()[size_of::<usize>() - width..], octets].concat()
    }

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks_exact(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("two hex digits"))
            .collect()
    }
}
