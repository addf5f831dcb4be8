//! Sees behind rustls's encryption: a crypto provider whose AEADs note every record that they protect or deprotect, and
//! can put another record in the place of the one to be protected. It changes nothing unless it is told to, and no octet
//! of application data is copied.
//!
//! An AEAD does not know whose connection it serves. But a machine's calls are synchronous, so what is noted on this
//! thread during a call belongs to the connection that the call was made on.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use ::rustls::crypto::CryptoProvider;
use ::rustls::crypto::aws_lc_rs::{self, kx_group};
use ::rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use ::rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, SupportedCipherSuite, Tls12CipherSuite,
    Tls13CipherSuite,
};

use crate::machine::By;
use crate::messages::{APPLICATION_DATA, HANDSHAKE, Seen};

/// What the AEADs noted during one call.
#[derive(Default)]
pub(super) struct Watched {
    /// The content of each record that was deprotected, then of each that was protected, but application data.
    pub(super) seen: Vec<Seen>,
    /// How many records were protected.
    pub(super) protected: usize,
    /// Whether deprotection was tried, with success or without.
    pub(super) deprotected: bool,
    substitute: Option<Substitute>,
}

/// What to protect in the place of the next record of the same type.
pub(super) struct Substitute {
    /// The content type of the record to replace.
    pub(super) replaces: u8,
    /// The content type that is sent.
    pub(super) content_type: u8,
    /// The content that is sent.
    pub(super) octets: Vec<u8>,
}

/// Makes a call on a connection, and tells what the AEADs noted during it.
pub(super) fn watch<R>(substitute: Option<Substitute>, call: impl FnOnce() -> R) -> (R, Watched) {
    WATCHED.set(Some(Watched { substitute, ..Watched::default() }));
    let result = call();
    (result, WATCHED.take().unwrap_or_default())
}

/// The aws-lc-rs provider with each AEAD watched.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    &PROVIDER
}

/// Made once for the process: rustls wants its suites to live as long as that. Hybrid groups are left out: OpenSSL has
/// them since 3.5 only, and whether a retry for one of them stands in a transcript is not to depend on that.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut provider = aws_lc_rs::default_provider();
    for suite in &mut provider.cipher_suites {
        *suite = watched_suite(*suite);
    }
    provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    Arc::new(provider)
});

thread_local! {
    static WATCHED: RefCell<Option<Watched>> = const { RefCell::new(None) };
}

fn note(by: By, content_type: ContentType, octets: impl FnOnce() -> Vec<u8>) {
    WATCHED.with_borrow_mut(|watched| {
        if let Some(watched) = watched
            && content_type != ContentType::ApplicationData
        {
            watched.seen.push(Seen { by, content_type: content_type.into(), octets: octets() });
        }
    });
}

fn watched_suite(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(inner) => SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
            common: copied(&inner.common),
            hkdf_provider: inner.hkdf_provider,
            aead_alg: Box::leak(Box::new(Watching(inner.aead_alg))),
            quic: inner.quic,
        }))),
        SupportedCipherSuite::Tls12(inner) => SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
            common: copied(&inner.common),
            prf_provider: inner.prf_provider,
            kx: inner.kx,
            sign: inner.sign,
            aead_alg: Box::leak(Box::new(Watching(inner.aead_alg))),
        }))),
    }
}

fn copied(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    }
}

/// An AEAD, or what it makes, that notes what passes through it.
struct Watching<T>(T);

impl Tls13AeadAlgorithm for Watching<&'static dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Watching(self.0.encrypter(key, iv)))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Watching(self.0.decrypter(key, iv)))
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(&self, key: AeadKey, iv: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }
}

impl Tls12AeadAlgorithm for Watching<&'static dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Watching(self.0.encrypter(key, iv, extra)))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Watching(self.0.decrypter(key, iv)))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }
}

impl MessageEncrypter for Watching<Box<dyn MessageEncrypter>> {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, sequence: u64) -> Result<OutboundOpaqueMessage, Error> {
        let substitute = WATCHED.with_borrow_mut(|watched| {
            let watched = watched.as_mut()?;
            watched.protected += 1;
            watched.substitute.take_if(|substitute| substitute.replaces == u8::from(message.typ))
        });
        let message = match &substitute {
            None => message,
            Some(substitute) => OutboundPlainMessage {
                typ: substitute.content_type.into(),
                version: message.version,
                payload: substitute.octets.as_slice().into(),
            },
        };
        note(By::Us, message.typ, || message.payload.to_vec());
        self.0.encrypt(message, sequence)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.0.encrypted_payload_len(payload_len)
    }
}

impl MessageDecrypter for Watching<Box<dyn MessageDecrypter>> {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        WATCHED.with_borrow_mut(|watched| {
            if let Some(watched) = watched {
                watched.deprotected = true;
            }
        });
        let message = self.0.decrypt(message, sequence)?;
        note(By::Peer, message.typ, || message.payload.to_vec());
        Ok(message)
    }
}

impl Substitute {
    /// For one octet of application data: a record of any type and content.
    pub(super) fn for_application_data(content_type: u8, octets: &[u8]) -> Self {
        Self { replaces: APPLICATION_DATA, content_type, octets: octets.to_vec() }
    }

    /// For a KeyUpdate: one that asks for no answer, which rustls never sends of its own accord.
    pub(super) fn for_key_update() -> Self {
        Self { replaces: HANDSHAKE, content_type: HANDSHAKE, octets: vec![crate::messages::KEY_UPDATE, 0, 0, 1, 0] }
    }
}
