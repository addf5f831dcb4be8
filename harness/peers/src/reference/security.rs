//! The TLS of a session: its contexts, and what is demanded of a data connection.

use std::sync::{Arc, PoisonError};

use ftpspec_scenario::settings::{
    ClientCertificate, CrossCheck, Memory, Permission, Reuse, ServerCertificate, Suites, Versions,
};
use ftpspec_tls::{Aead, Engine, Handshake, Reuse12, ServerContext, ServerSettings, Version};
use ftpspec_wire::Reply;

use super::session::Session;

impl Session {
    /// The context of a new control session. One for each: sessions of others are none of its own.
    pub(super) fn control_context(&self) -> Result<Arc<ServerContext>, String> {
        if self.shared.settings.foreign_tickets == Permission::Refused {
            return self.new_context(self.shared.settings.certificate);
        }
        // The lie: one for all, so that a ticket of any session resumes.
        let mut common = self.shared.common_context.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*common {
            return Ok(Arc::clone(context));
        }
        let context = self.new_context(self.shared.settings.certificate)?;
        *common = Some(Arc::clone(&context));
        Ok(context)
    }

    /// A context that knows nobody's sessions.
    pub(super) fn new_context(&self, certificate: ServerCertificate) -> Result<Arc<ServerContext>, String> {
        let shared = &self.shared;
        let settings = &shared.settings;
        let roots = || shared.pki.ca_pem().map_err(|error| error.to_string());
        let client_certificate = match settings.client_certificate {
            ClientCertificate::NotAsked => ftpspec_tls::ClientCertificate::NotAsked,
            ClientCertificate::Asked => ftpspec_tls::ClientCertificate::Asked { roots: roots()? },
            ClientCertificate::Demanded => ftpspec_tls::ClientCertificate::Demanded { roots: roots()? },
        };
        // Only OpenSSL speaks the old ones.
        let old = settings.versions != Versions::Modern;
        let gives = !matches!(settings.reuse, Reuse::None);
        let context = ServerContext::new(
            if old { Engine::Openssl } else { shared.engine },
            ServerSettings {
                versions: match (settings.versions, shared.version) {
                    (Versions::Only10, _) => Version::Tls10..=Version::Tls10,
                    (Versions::Only11, _) => Version::Tls11..=Version::Tls11,
                    (_, Some(only)) => only..=only,
                    (Versions::OldToo, None) => Version::Tls10..=Version::Tls13,
                    (Versions::Modern, None) => Version::Tls12..=Version::Tls13,
                },
                identity: shared.pki.identity(certificate.word()).map_err(|error| error.to_string())?,
                client_certificate,
                tickets: if gives { usize::from(settings.tickets) } else { 0 },
                reuse_tls12: if gives && settings.tickets > 0 { Reuse12::Ticket } else { Reuse12::None },
                alpn: Vec::new(),
                suites: match settings.suites {
                    Suites::Usual if old => ftpspec_tls::Suites::OldToo,
                    Suites::Usual => ftpspec_tls::Suites::Modern,
                    Suites::Aes128 => ftpspec_tls::Suites::Only(Aead::Aes128),
                    Suites::Aes256 => ftpspec_tls::Suites::Only(Aead::Aes256),
                    Suites::ChaCha20 => ftpspec_tls::Suites::Only(Aead::ChaCha20),
                },
                key_log: None,
            },
        );
        context.map(Arc::new).map_err(|error| error.to_string())
    }

    /// Looks at a data connection's handshake; an error is the refusal that is due.
    pub(super) fn check_data(&self, handshake: &Handshake) -> Result<(), Reply> {
        let settings = &self.shared.settings;
        let (after_ccc, control) = {
            let state = self.state();
            (state.after_ccc, state.control_certificate.clone())
        };
        if after_ccc && settings.checks_after_ccc == Memory::Forgotten {
            return Ok(());
        }
        let forgotten = after_ccc && settings.reuse_after_ccc == Memory::Forgotten;
        if settings.reuse == Reuse::Demanded && (handshake.resumed.is_none() || forgotten) {
            return Err(self.own_reply(522));
        }
        let certificate = handshake.peer_chain.first();
        // A resumed session is the control connection's own.
        let remembered = handshake.resumed.is_some() || certificate == control.as_ref();
        let same = match settings.certificate_cross_check {
            CrossCheck::None => true,
            CrossCheck::Remembered => remembered,
            CrossCheck::Live => !after_ccc && remembered,
            CrossCheck::ShownAfterCcc => remembered || (after_ccc && certificate.is_none()),
        };
        if same { Ok(()) } else { Err(Reply::new(534, "TLS negotiation failed -- data connection closed")) }
    }
}
