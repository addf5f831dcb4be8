//! The rustls engine: contexts out of settings. Which suites are offered is the library's own choice, for a subject is to
//! meet an ordinary rustls peer; it has no TLS below 1.2, no RSA key exchange and no CBC.

mod machine;
mod offer;
mod watch;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::rustls::client::WebPkiServerVerifier;
use ::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use ::rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use ::rustls::pki_types::pem::PemObject;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use ::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use ::rustls::sign::{CertifiedKey, SingleCertAndKey};
use ::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
};

use self::machine::RustlsMachine;
use self::offer::{Offer, ServerCache};
use crate::error::TlsError;
use crate::machine::Machine;
use crate::sessions::{Resume, Sessions};
use crate::settings::{
    ClientCertificate, ClientSettings, Engine, Identity, KeyLog, Reuse12, ServerSettings, Suites, Trust, Version,
};

/// A client of the rustls engine.
#[derive(Clone)]
pub(crate) struct Client {
    /// All connections share the verifier and the identity in here: rustls resumes nothing that another pair of them
    /// was present at, and says so nowhere.
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    newest: Version,
}

impl Client {
    pub(crate) fn new(settings: ClientSettings) -> Result<Self, TlsError> {
        let provider = &provider(settings.suites)?;
        let server_name = server_name(&settings.server_name)?;
        let (versions, newest) = supported_versions(&settings.versions)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&versions)
            .map_err(library)?
            .dangerous()
            .with_custom_certificate_verifier(verifier(&settings.trust, provider)?);
        let mut config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified_key(identity, provider)?)))
            }
        };
        config.alpn_protocols = alpn(settings.alpn)?;
        if let Some(key_log) = settings.key_log {
            config.key_log = Arc::new(KeyLogLines(key_log));
        }
        Ok(Self { config: Arc::new(config), server_name, newest })
    }

    pub(crate) fn connect(
        &self,
        offer: &Sessions,
        into: &Sessions,
        resume: Resume,
    ) -> Result<Box<dyn Machine>, TlsError> {
        if resume == Resume::First && self.newest == Version::Tls13 && offer.held().rustls.first_ticket_gone() {
            return Err(TlsError::Unsupported {
                engine: Engine::Rustls,
                what: "way to offer one TLS 1.3 ticket a second time",
            });
        }
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Offer::resumption(offer.clone(), into.clone(), resume);
        let server_name = self.server_name.clone();
        let (connection, watched) = watch::watch(None, || ClientConnection::new(Arc::new(config), server_name));
        let connection = connection.map_err(library)?;
        Ok(Box::new(RustlsMachine::client(connection, watched, offer.label())))
    }
}

/// A server of the rustls engine.
#[derive(Clone)]
pub(crate) struct Server {
    config: Arc<ServerConfig>,
}

impl Server {
    pub(crate) fn new(settings: ServerSettings) -> Result<Self, TlsError> {
        let provider = &provider(settings.suites)?;
        let (versions, _) = supported_versions(&settings.versions)?;
        let key = certified_key(&settings.identity, provider)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&versions)
            .map_err(library)?;
        let builder = match &settings.client_certificate {
            ClientCertificate::NotAsked => builder.with_no_client_auth(),
            ClientCertificate::Asked { roots } => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(root_store(roots)?, Arc::clone(provider))
                    .allow_unauthenticated()
                    .build()
                    .map_err(roots_error)?,
            ),
            ClientCertificate::Demanded { roots } => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(root_store(roots)?, Arc::clone(provider))
                    .build()
                    .map_err(roots_error)?,
            ),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        match settings.reuse_tls12 {
            Reuse12::Id => config.session_storage = Arc::new(ServerCache::new(true)),
            Reuse12::None => config.session_storage = Arc::new(ServerCache::new(false)),
            Reuse12::Ticket => {
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.ticketer = aws_lc_rs::Ticketer::new().map_err(library)?;
            }
        }
        config.send_tls13_tickets = settings.tickets;
        config.alpn_protocols = alpn(settings.alpn)?;
        if let Some(key_log) = settings.key_log {
            config.key_log = Arc::new(KeyLogLines(key_log));
        }
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn accept(&self, identity: Option<&Identity>) -> Result<Box<dyn Machine>, TlsError> {
        let config = match identity {
            None => Arc::clone(&self.config),
            Some(identity) => {
                let mut config = ServerConfig::clone(&self.config);
                config.cert_resolver = Arc::new(SingleCertAndKey::from(certified_key(identity, watch::provider())?));
                Arc::new(config)
            }
        };
        let connection = ServerConnection::new(config).map_err(library)?;
        Ok(Box::new(RustlsMachine::server(connection)))
    }
}

/// The name to verify; also what OpenSSL is given, so that both engines refuse the same names.
pub(crate) fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

/// The cryptography, with the suites that are wanted.
fn provider(suites: Suites) -> Result<Arc<CryptoProvider>, TlsError> {
    match suites {
        Suites::Modern => Ok(Arc::clone(watch::provider())),
        Suites::OldToo => Err(TlsError::Unsupported { engine: Engine::Rustls, what: "old suites" }),
        Suites::Only(aead) => {
            let mut provider = CryptoProvider::clone(watch::provider());
            let is_it = |suite: &::rustls::SupportedCipherSuite| {
                suite.suite().as_str().is_some_and(|name| name.contains(aead.in_names()))
            };
            provider.cipher_suites.retain(is_it);
            Ok(Arc::new(provider))
        }
    }
}

fn supported_versions(
    wanted: &RangeInclusive<Version>,
) -> Result<(Vec<&'static SupportedProtocolVersion>, Version), TlsError> {
    let known = [(Version::Tls13, &::rustls::version::TLS13), (Version::Tls12, &::rustls::version::TLS12)];
    let supported: Vec<_> = known.into_iter().filter(|(version, _)| wanted.contains(version)).collect();
    let Some(&(newest, _)) = supported.first() else {
        return Err(TlsError::Unsupported { engine: Engine::Rustls, what: "TLS version in this range" });
    };
    Ok((supported.into_iter().map(|(_, version)| version).collect(), newest))
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    Ok(match trust {
        Trust::Anyone => Arc::new(AnyCertificate(Arc::clone(provider))),
        Trust::Roots(pem) => WebPkiServerVerifier::builder_with_provider(root_store(pem)?, Arc::clone(provider))
            .build()
            .map_err(roots_error)?,
    })
}

fn root_store(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem) {
        store.add(root.map_err(roots_error)?).map_err(roots_error)?;
    }
    Ok(Arc::new(store))
}

fn certified_key(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let error = |part, words: &dyn fmt::Display| TlsError::Identity {
        name: identity.name.clone(),
        part,
        words: words.to_string(),
    };
    let chain = CertificateDer::pem_slice_iter(&identity.chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|words| error("certificate chain", &words))?;
    if chain.is_empty() {
        return Err(error("certificate chain", &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(|words| error("private key", &words))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|words| error("private key", &words))
}

fn alpn(names: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, TlsError> {
    match names.iter().find(|name| !(1..=255).contains(&name.len())) {
        Some(name) => Err(TlsError::AlpnName(name.len())),
        None => Ok(names),
    }
}

fn library(error: impl fmt::Display) -> TlsError {
    TlsError::Library { engine: Engine::Rustls, words: error.to_string() }
}

fn roots_error(error: impl fmt::Display) -> TlsError {
    TlsError::Roots { words: error.to_string() }
}

/// Accepts every certificate. The handshake's signatures are still verified: a peer without the key is not the owner of
/// the certificate, and no setting makes him so.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, ::rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, ::rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, ::rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Writes secrets as lines of the NSS key log format.
struct KeyLogLines(KeyLog);

impl ::rustls::KeyLog for KeyLogLines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = label.to_owned();
        for octets in [client_random, secret] {
            line.push(' ');
            line.extend(octets.iter().map(|octet| format!("{octet:02x}")));
        }
        (self.0)(&line);
    }
}

impl fmt::Debug for KeyLogLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogLines")
    }
}
