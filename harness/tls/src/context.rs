//! Contexts: from settings to machines, whichever the engine. A client context makes the machines of one subject's
//! connections; a server context those of one control session. Neither keeps anything of a connection but what the
//! server's side needs to resume it.

use crate::error::TlsError;
use crate::machine::Machine;
use crate::sessions::{Resume, Sessions};
use crate::settings::{ClientSettings, Engine, Identity, ServerSettings};
use crate::{openssl, rustls};

/// Makes the machines of a client. A clone is the same context.
#[derive(Clone)]
pub struct ClientContext {
    engine: ClientEngine,
}

impl ClientContext {
    /// Reads certificates and keys, and checks that the engine can do what is asked.
    ///
    /// # Errors
    /// Whatever of the settings this engine cannot use.
    pub fn new(engine: Engine, settings: ClientSettings) -> Result<Self, TlsError> {
        let engine = match engine {
            Engine::Rustls => ClientEngine::Rustls(rustls::Client::new(settings)?),
            Engine::Openssl => ClientEngine::Openssl(openssl::Client::new(settings)?),
        };
        Ok(Self { engine })
    }

    /// A machine for one connection; its ClientHello is ready. It offers a session out of `sessions`, as `resume` says,
    /// and puts there what the server gives.
    ///
    /// # Errors
    /// [`TlsError::Unsupported`] for a second [`Resume::First`] of a TLS 1.3 ticket with rustls; [`TlsError::Library`].
    pub fn connect(&self, sessions: &Sessions, resume: Resume) -> Result<Box<dyn Machine>, TlsError> {
        self.connect_offering(sessions, sessions, resume)
    }

    /// As [`connect`](Self::connect), but what is offered comes out of `offer`, such as the sessions of *another* control
    /// session, and what the server gives goes to `into`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_offering(
        &self,
        offer: &Sessions,
        into: &Sessions,
        resume: Resume,
    ) -> Result<Box<dyn Machine>, TlsError> {
        match &self.engine {
            ClientEngine::Rustls(client) => client.connect(offer, into, resume),
            ClientEngine::Openssl(client) => client.connect(offer, into, resume),
        }
    }

    /// The library behind this context.
    pub fn engine(&self) -> Engine {
        match self.engine {
            ClientEngine::Rustls(_) => Engine::Rustls,
            ClientEngine::Openssl(_) => Engine::Openssl,
        }
    }
}

/// Makes the machines of a server. A clone is the same context: it shares session cache and ticket keys. Two contexts
/// share neither, so what one of them gave is never resumed by the other.
#[derive(Clone)]
pub struct ServerContext {
    engine: ServerEngine,
}

impl ServerContext {
    /// Reads certificates and keys, and checks that the engine can do what is asked.
    ///
    /// # Errors
    /// Whatever of the settings this engine cannot use.
    pub fn new(engine: Engine, settings: ServerSettings) -> Result<Self, TlsError> {
        let engine = match engine {
            Engine::Rustls => ServerEngine::Rustls(rustls::Server::new(settings)?),
            Engine::Openssl => ServerEngine::Openssl(openssl::Server::new(settings)?),
        };
        Ok(Self { engine })
    }

    /// A machine for one connection, waiting for a ClientHello.
    ///
    /// # Errors
    /// [`TlsError::Library`].
    pub fn accept(&self) -> Result<Box<dyn Machine>, TlsError> {
        match &self.engine {
            ServerEngine::Rustls(server) => server.accept(None),
            ServerEngine::Openssl(server) => server.accept(None),
        }
    }

    /// As [`accept`](Self::accept), with another certificate, but the same session cache and ticket keys.
    ///
    /// # Errors
    /// [`TlsError::Identity`] if the certificate or its key cannot be used; [`TlsError::Library`].
    pub fn accept_with(&self, identity: &Identity) -> Result<Box<dyn Machine>, TlsError> {
        match &self.engine {
            ServerEngine::Rustls(server) => server.accept(Some(identity)),
            ServerEngine::Openssl(server) => server.accept(Some(identity)),
        }
    }

    /// The library behind this context.
    pub fn engine(&self) -> Engine {
        match self.engine {
            ServerEngine::Rustls(_) => Engine::Rustls,
            ServerEngine::Openssl(_) => Engine::Openssl,
        }
    }
}

#[derive(Clone)]
enum ClientEngine {
    Rustls(rustls::Client),
    Openssl(openssl::Client),
}

#[derive(Clone)]
enum ServerEngine {
    Rustls(rustls::Server),
    Openssl(openssl::Server),
}
