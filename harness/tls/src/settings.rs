//! What a context is made from: engine, versions, identities, trust. Plain values, the same for both engines; nothing in
//! here touches a TLS library, and nothing prints a private key.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

/// The TLS library behind a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// rustls with aws-lc-rs: TLS 1.2 and 1.3, AEAD suites with forward secrecy only.
    Rustls,
    /// OpenSSL: also TLS 1.0 and 1.1, RSA key exchange, CBC and SHA-1.
    Openssl,
}

impl Engine {
    /// Both engines.
    pub const ALL: [Self; 2] = [Self::Rustls, Self::Openssl];

    /// The engine that this one is not: the embedded peer uses it, so that each run crosses the two libraries.
    pub fn other(self) -> Self {
        match self {
            Self::Rustls => Self::Openssl,
            Self::Openssl => Self::Rustls,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustls => "rustls",
            Self::Openssl => "openssl",
        })
    }
}

impl FromStr for Engine {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "rustls" => Ok(Self::Rustls),
            "openssl" => Ok(Self::Openssl),
            _ => Err(UnknownWord { word: word.to_owned(), expected: "rustls or openssl" }),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.0 (RFC 2246); only with [`Engine::Openssl`] and [`Suites::OldToo`].
    Tls10,
    /// TLS 1.1 (RFC 4346); only with [`Engine::Openssl`] and [`Suites::OldToo`].
    Tls11,
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 4] = [Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// The number on the wire, such as 0x0303 for TLS 1.2.
    pub fn wire(self) -> u16 {
        match self {
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls10 => "1.0",
            Self::Tls11 => "1.1",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}

impl FromStr for Version {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|version| version.to_string() == word)
            .ok_or_else(|| UnknownWord { word: word.to_owned(), expected: "1.0, 1.1, 1.2 or 1.3" })
    }
}

/// A word that names neither an engine nor a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is not {expected}")]
pub struct UnknownWord {
    /// What was written.
    pub word: String,
    /// What may be written.
    pub expected: &'static str,
}

/// A certificate with its chain and its private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// What transcripts call it: "server", "client-a".
    pub name: String,
    /// The certificates in PEM, the leaf first.
    pub chain_pem: Vec<u8>,
    /// The leaf's private key in PEM.
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Which server certificates a client accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that chain to one of these certificates (PEM) and bear the server's name; any other ends the handshake with
    /// an alert.
    Roots(Vec<u8>),
    /// Every certificate, whatever its name and dates. The handshake's signatures are verified all the same.
    Anyone,
}

/// Takes the secrets of each connection, one line of the NSS key log format at a time, without the line end.
pub type KeyLog = Arc<dyn Fn(&str) + Send + Sync>;

/// What a client's side is made from.
#[derive(Clone)]
pub struct ClientSettings {
    /// The versions to offer. [`Engine::Rustls`] offers those of them that it has, and refuses a range without any.
    pub versions: RangeInclusive<Version>,
    /// The name that the server's certificate must bear; sent as server_name (RFC 6066 §3) if it is a DNS name. An IP
    /// address is verified, and not sent.
    pub server_name: String,
    /// Which server certificates are accepted.
    pub trust: Trust,
    /// What to send when the server asks for a certificate.
    pub identity: Option<Identity>,
    /// The protocols to offer (RFC 7301), the favourite first; none: the extension is not sent.
    pub alpn: Vec<Vec<u8>>,
    /// The cipher suites.
    pub suites: Suites,
    /// Where the secrets go.
    pub key_log: Option<KeyLog>,
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("versions", &self.versions)
            .field("server_name", &self.server_name)
            .field("identity", &self.identity)
            .field("alpn", &self.alpn)
            .field("suites", &self.suites)
            .finish_non_exhaustive()
    }
}

/// What a server's side is made from.
#[derive(Clone)]
pub struct ServerSettings {
    /// The versions to accept. [`Engine::Rustls`] accepts those of them that it has, and refuses a range without any.
    pub versions: RangeInclusive<Version>,
    /// The server's certificate.
    pub identity: Identity,
    /// Whether the client is asked for a certificate.
    pub client_certificate: ClientCertificate,
    /// How many tickets follow each TLS 1.3 handshake; with 0 no TLS 1.3 session is ever resumed.
    pub tickets: usize,
    /// How sessions of TLS 1.2 and below are resumed.
    pub reuse_tls12: Reuse12,
    /// The protocols to choose from, the favourite first. If the client offers some and none is among these, the
    /// handshake ends with no_application_protocol (RFC 7301 §3.2). None: the extension is ignored.
    pub alpn: Vec<Vec<u8>>,
    /// The cipher suites.
    pub suites: Suites,
    /// Where the secrets go.
    pub key_log: Option<KeyLog>,
}

impl fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings")
            .field("versions", &self.versions)
            .field("identity", &self.identity)
            .field("client_certificate", &self.client_certificate)
            .field("tickets", &self.tickets)
            .field("reuse_tls12", &self.reuse_tls12)
            .field("alpn", &self.alpn)
            .field("suites", &self.suites)
            .finish_non_exhaustive()
    }
}

/// Whether a server asks its clients for a certificate. A certificate that does not chain to the roots ends the
/// handshake in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// No CertificateRequest is sent.
    NotAsked,
    /// A client without a certificate is let in.
    Asked {
        /// The certificates (PEM) that a client's certificate must chain to.
        roots: Vec<u8>,
    },
    /// A client without a certificate is refused.
    Demanded {
        /// The certificates (PEM) that a client's certificate must chain to.
        roots: Vec<u8>,
    },
}

/// The cipher suites that a side has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Suites {
    /// Those with forward secrecy and an AEAD, which both engines have.
    #[default]
    Modern,
    /// Also RSA key exchange, CBC, SHA-1 and short keys; only with [`Engine::Openssl`].
    OldToo,
    /// Of the modern ones those with this AEAD.
    Only(Aead),
}

/// An AEAD that suites of TLS 1.2 and of TLS 1.3 are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aead {
    /// AES-128-GCM: TLS_AES_128_GCM_SHA256, which every TLS 1.3 has (RFC 8446 §9.1), and its kin.
    Aes128,
    /// AES-256-GCM.
    Aes256,
    /// ChaCha20-Poly1305.
    ChaCha20,
}

impl Aead {
    /// What the IANA names of its suites have in them.
    pub(crate) fn in_names(self) -> &'static str {
        match self {
            Self::Aes128 => "_AES_128_GCM_",
            Self::Aes256 => "_AES_256_GCM_",
            Self::ChaCha20 => "_CHACHA20_POLY1305_",
        }
    }
}

/// How a server lets sessions of TLS 1.2 and below be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reuse12 {
    /// By session id (RFC 5246 §7.4.1.2); no ticket is given.
    Id,
    /// By ticket (RFC 5077).
    Ticket,
    /// Not at all.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_and_versions_parse_back_from_what_they_print() {
        for engine in Engine::ALL {
            assert_eq!(engine.to_string().parse(), Ok(engine));
            assert_eq!(engine.other().other(), engine);
        }
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert_eq!("1.4".parse::<Version>().unwrap_err().to_string(), "\"1.4\" is not 1.0, 1.1, 1.2 or 1.3");
        assert_eq!("nss".parse::<Engine>().unwrap_err().to_string(), "\"nss\" is not rustls or openssl");
    }

    #[test]
    fn debug_output_holds_no_key() {
        let identity = Identity { name: "server".into(), chain_pem: b"CHAIN".to_vec(), key_pem: b"KEY".to_vec() };
        assert_eq!(format!("{identity:?}"), "Identity { name: \"server\", .. }");
    }
}
