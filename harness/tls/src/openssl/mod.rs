//! The OpenSSL engine: contexts out of settings. Versions, suites and security level are always set in here, so that a
//! system's `openssl.cnf` changes nothing; without [`Suites::OldToo`] it offers what rustls offers, AEAD with forward secrecy.

mod ffi;
mod heard;
mod machine;
mod reprotect;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ::openssl::dh::Dh;
use ::openssl::error::ErrorStack;
use ::openssl::pkey::{PKey, Private};
use ::openssl::ssl::{
    AlpnError, ClientHelloResponse, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode,
    SslVerifyMode, SslVersion, select_next_proto,
};
use ::openssl::x509::X509;
use ::openssl::x509::store::{X509Store, X509StoreBuilder};
use ::openssl::x509::verify::{X509CheckFlags, X509VerifyFlags};

use self::heard::Ear;
use self::machine::OpensslMachine;
use crate::error::TlsError;
use crate::machine::{By, Machine};
use crate::rustls::server_name;
use crate::sessions::{Resume, Sessions};
use crate::settings::{
    Aead, ClientCertificate, ClientSettings, Engine, Identity, KeyLog, Reuse12, ServerSettings, Suites, Trust, Version,
};

/// A client of the OpenSSL engine.
#[derive(Clone)]
pub(crate) struct Client {
    context: SslContext,
    server_name: String,
}

impl Client {
    pub(crate) fn new(settings: ClientSettings) -> Result<Self, TlsError> {
        server_name(&settings.server_name)?;
        let mut context = context(SslMethod::tls_client(), &settings.versions, settings.suites)?;
        match &settings.trust {
            Trust::Anyone => context.set_verify(SslVerifyMode::NONE),
            Trust::Roots(pem) => {
                trust(&mut context, &certificates(pem)?)?;
                context.set_verify(SslVerifyMode::PEER);
            }
        }
        if let Some(identity) = &settings.identity {
            present(&mut context, identity)?;
        }
        let alpn = alpn(&settings.alpn)?;
        if !alpn.is_empty() {
            context.set_alpn_protos(&alpn).map_err(library)?;
        }
        // Sessions are kept by `Sessions` alone. Those of TLS 1.2 are not taken here, for this callback is not called
        // when a server renews the ticket of a resumed session.
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        context.set_new_session_callback(|ssl, session| {
            if session.protocol_version() == SslVersion::TLS1_3
                && let Some(into) = Ear::of(ssl).and_then(Ear::sessions)
                && let Ok(der) = session.to_der()
            {
                into.held().openssl.put13_copied(der);
            }
        });
        log_keys(&mut context, settings.key_log);
        Ok(Self { context: context.build(), server_name: settings.server_name })
    }

    pub(crate) fn connect(
        &self,
        offer: &Sessions,
        into: &Sessions,
        resume: Resume,
    ) -> Result<Box<dyn Machine>, TlsError> {
        let mut ssl = Ssl::new(&self.context).map_err(library)?;
        ssl.set_connect_state();
        let name = &self.server_name;
        match name.parse::<IpAddr>() {
            Ok(address) => ssl.param_mut().set_ip(address).map_err(library)?,
            Err(_) => {
                ssl.set_hostname(name).map_err(library)?;
                ssl.param_mut().set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
                ssl.param_mut().set_host(name).map_err(library)?;
            }
        }
        let session = {
            let shelf = &mut offer.held().openssl;
            shelf.take13_copied(resume).or_else(|| shelf.take12(resume))
        };
        if let Some(der) = session {
            ffi::offer_session(&mut ssl, &der).map_err(library)?;
        }
        let ear = Ear::attach(&mut ssl, Some(into.clone())).map_err(library)?;
        Ok(Box::new(OpensslMachine::new(ssl, ear, By::Us, offer.label())?))
    }
}

/// A server of the OpenSSL engine.
#[derive(Clone)]
pub(crate) struct Server {
    context: SslContext,
}

impl Server {
    pub(crate) fn new(settings: ServerSettings) -> Result<Self, TlsError> {
        let mut context = context(SslMethod::tls_server(), &settings.versions, settings.suites)?;
        present(&mut context, &settings.identity)?;
        match &settings.client_certificate {
            ClientCertificate::NotAsked => context.set_verify(SslVerifyMode::NONE),
            ClientCertificate::Asked { roots } => {
                ask_for_certificate(&mut context, roots)?;
                context.set_verify(SslVerifyMode::PEER);
            }
            ClientCertificate::Demanded { roots } => {
                ask_for_certificate(&mut context, roots)?;
                context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
            }
        }
        // Without it, resumption with a client's certificate is not refused but fatal.
        context.set_session_id_context(b"ftpspec").map_err(library)?;
        context.set_num_tickets(settings.tickets).map_err(library)?;
        reuse(&mut context, settings.reuse_tls12, *settings.versions.end());
        if settings.suites == Suites::OldToo {
            // DHE suites need a group, and OpenSSL chooses none unless it is told to.
            let group = Dh::get_2048_256().map_err(library)?;
            context.set_tmp_dh(&group).map_err(library)?;
        }
        let alpn = alpn(&settings.alpn)?;
        if !alpn.is_empty() {
            context.set_alpn_select_callback(move |_, offered| {
                let chosen = select_next_proto(&alpn, offered).ok_or(AlpnError::ALERT_FATAL)?;
                // The choice must live as long as what was offered.
                let place = offered.windows(chosen.len()).position(|window| window == chosen);
                place.map(|place| &offered[place..place + chosen.len()]).ok_or(AlpnError::ALERT_FATAL)
            });
        }
        log_keys(&mut context, settings.key_log);
        Ok(Self { context: context.build() })
    }

    pub(crate) fn accept(&self, identity: Option<&Identity>) -> Result<Box<dyn Machine>, TlsError> {
        let mut ssl = Ssl::new(&self.context).map_err(library)?;
        ssl.set_accept_state();
        if let Some(identity) = identity {
            let (chain, key) = certificate_and_key(identity)?;
            let unfit = |error| identity_error(identity, "certificate chain", &error);
            let mut chain = chain.into_iter();
            if let Some(leaf) = chain.next() {
                ssl.set_certificate(&leaf).map_err(unfit)?;
            }
            for issuer in chain {
                ssl.add_chain_cert(issuer).map_err(unfit)?;
            }
            ssl.set_private_key(&key).map_err(|error| identity_error(identity, "private key", &error))?;
        }
        let ear = Ear::attach(&mut ssl, None).map_err(library)?;
        Ok(Box::new(OpensslMachine::new(ssl, ear, By::Peer, "")?))
    }
}

/// The version of the library that is linked, such as "3.6.3".
pub(crate) fn library_version() -> String {
    let version = ::openssl::version::version();
    version.split(' ').nth(1).unwrap_or(version).to_owned()
}

fn context(
    method: SslMethod,
    versions: &RangeInclusive<Version>,
    suites: Suites,
) -> Result<SslContextBuilder, TlsError> {
    let old = suites == Suites::OldToo;
    if *versions.end() < Version::Tls12 && !old {
        return Err(TlsError::Unsupported { engine: Engine::Openssl, what: "TLS below 1.2 without old suites" });
    }
    let mut context = SslContextBuilder::new(method).map_err(library)?;
    context.set_min_proto_version(Some(ssl_version(*versions.start()))).map_err(library)?;
    context.set_max_proto_version(Some(ssl_version(*versions.end()))).map_err(library)?;
    let (suites, of_tls_1_3) = match suites {
        Suites::Modern => (SUITES, None),
        Suites::OldToo => (OLD_SUITES, None),
        Suites::Only(Aead::Aes128) => {
            ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=2", Some("TLS_AES_128_GCM_SHA256"))
        }
        Suites::Only(Aead::Aes256) => {
            ("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=2", Some("TLS_AES_256_GCM_SHA384"))
        }
        Suites::Only(Aead::ChaCha20) => (
            "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:@SECLEVEL=2",
            Some("TLS_CHACHA20_POLY1305_SHA256"),
        ),
    };
    context.set_cipher_list(suites).map_err(library)?;
    if let Some(suites) = of_tls_1_3 {
        context.set_ciphersuites(suites).map_err(library)?;
    }
    context.set_groups_list(GROUPS).map_err(library)?;
    // As rustls does: no renegotiation, no compression.
    context.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION);
    if old {
        // Servers of that age do not know RFC 5746; OpenSSL 3 would not speak to them.
        context.set_options(LEGACY_SERVER_CONNECT);
    }
    Ok(context)
}

fn ssl_version(version: Version) -> SslVersion {
    match version {
        Version::Tls10 => SslVersion::TLS1,
        Version::Tls11 => SslVersion::TLS1_1,
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    }
}

fn reuse(context: &mut SslContextBuilder, reuse: Reuse12, newest: Version) {
    match reuse {
        Reuse12::Id => {
            context.set_session_cache_mode(SslSessionCacheMode::SERVER);
            context.set_options(SslOptions::NO_TICKET);
        }
        Reuse12::Ticket => {
            context.set_session_cache_mode(SslSessionCacheMode::OFF);
        }
        Reuse12::None => {
            context.set_session_cache_mode(SslSessionCacheMode::OFF);
            // The option forbids tickets of all versions, so it is set once it is known that TLS 1.3 will not be spoken.
            context.set_client_hello_callback(move |ssl, _| {
                let tls13 = newest == Version::Tls13 && Ear::of(ssl).is_some_and(Ear::client_offers_tls13);
                if !tls13 {
                    ffi::give_no_tickets(ssl);
                }
                Ok(ClientHelloResponse::SUCCESS)
            });
        }
    }
}

fn log_keys(context: &mut SslContextBuilder, key_log: Option<KeyLog>) {
    context.set_keylog_callback(move |ssl, line| {
        if let Some(ear) = Ear::of(ssl) {
            ear.secret(line);
        }
        if let Some(key_log) = &key_log {
            key_log(line);
        }
    });
}

fn trust(context: &mut SslContextBuilder, roots: &[X509]) -> Result<(), TlsError> {
    let store = root_store(roots).map_err(|error| roots_error(&error))?;
    context.set_verify_cert_store(store).map_err(library)?;
    // Whatever is given as a root is one, as with rustls, even if another certificate signed it.
    context.verify_param_mut().set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(library)
}

fn ask_for_certificate(context: &mut SslContextBuilder, roots: &[u8]) -> Result<(), TlsError> {
    let roots = certificates(roots)?;
    trust(context, &roots)?;
    for root in &roots {
        context.add_client_ca(root).map_err(library)?;
    }
    Ok(())
}

fn root_store(roots: &[X509]) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for root in roots {
        store.add_cert(root.clone())?;
    }
    Ok(store.build())
}

fn certificates(pem: &[u8]) -> Result<Vec<X509>, TlsError> {
    let certificates = X509::stack_from_pem(pem).map_err(|error| roots_error(&error))?;
    if certificates.is_empty() {
        return Err(roots_error(&"there is no certificate among them"));
    }
    Ok(certificates)
}

fn present(context: &mut SslContextBuilder, identity: &Identity) -> Result<(), TlsError> {
    let (chain, key) = certificate_and_key(identity)?;
    let unfit = |error| identity_error(identity, "certificate chain", &error);
    let mut chain = chain.into_iter();
    if let Some(leaf) = chain.next() {
        context.set_certificate(&leaf).map_err(unfit)?;
    }
    for issuer in chain {
        context.add_extra_chain_cert(issuer).map_err(unfit)?;
    }
    context.set_private_key(&key).map_err(|error| identity_error(identity, "private key", &error))
}

fn certificate_and_key(identity: &Identity) -> Result<(Vec<X509>, PKey<Private>), TlsError> {
    let chain = X509::stack_from_pem(&identity.chain_pem)
        .map_err(|error| identity_error(identity, "certificate chain", &error))?;
    let Some(leaf) = chain.first() else {
        return Err(identity_error(identity, "certificate chain", &"there is no certificate in it"));
    };
    let key = PKey::private_key_from_pem(&identity.key_pem)
        .map_err(|error| identity_error(identity, "private key", &error))?;
    let belongs = leaf.public_key().is_ok_and(|public| public.public_eq(&key));
    if !belongs {
        return Err(identity_error(identity, "private key", &"it does not belong to the certificate"));
    }
    Ok((chain, key))
}

/// The names as the extension carries them: each behind its length.
fn alpn(names: &[Vec<u8>]) -> Result<Vec<u8>, TlsError> {
    let mut wire = Vec::new();
    for name in names {
        let length = u8::try_from(name.len()).ok().filter(|&length| length > 0);
        wire.push(length.ok_or(TlsError::AlpnName(name.len()))?);
        wire.extend_from_slice(name);
    }
    Ok(wire)
}

fn library(error: impl fmt::Display) -> TlsError {
    TlsError::Library { engine: Engine::Openssl, words: error.to_string() }
}

fn roots_error(error: &dyn fmt::Display) -> TlsError {
    TlsError::Roots { words: error.to_string() }
}

fn identity_error(identity: &Identity, part: &'static str, error: &dyn fmt::Display) -> TlsError {
    TlsError::Identity { name: identity.name.clone(), part, words: error.to_string() }
}

/// What rustls has, too: AEAD and forward secrecy. TLS 1.3 has nothing else. (The hash names stand for HMAC suites: an
/// AEAD suite is not excluded by the hash of its PRF.)
const SUITES: &str = "DEFAULT:!kRSA:!SHA1:!SHA256:!SHA384:@SECLEVEL=2";

/// No hybrid ones, which OpenSSL has since 3.5 only: the hello would grow fivefold and the transcript hold a retry,
/// both depending on the library's version.
const GROUPS: &str = "X25519:P-256:P-384:P-521";

/// Everything but what encrypts nothing or authenticates nobody.
const OLD_SUITES: &str = "ALL:!aNULL:!eNULL:@SECLEVEL=0";

/// `SSL_OP_LEGACY_SERVER_CONNECT` of `openssl/ssl.h`, which the `openssl` crate does not name.
const LEGACY_SERVER_CONNECT: SslOptions = SslOptions::from_bits_retain(1 << 2);
