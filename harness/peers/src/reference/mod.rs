//! The embedded reference server: correct by default, in-process, on loopback only. Its settings are named choices, its
//! correct scripts stand in `correct.yaml`, and a defect replaces either. A command enters it with the scenario that
//! needs it. It judges nobody.

mod answers;
mod session;
mod tree;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ftpspec_net::{Limits, Listener};
use ftpspec_scenario::load_rules;
use ftpspec_scenario::model::{Rule, Source};
use ftpspec_scenario::settings::ServerSettings;
use ftpspec_tls::Engine;
use ftpspec_transcript::Secret;
use tokio::task::JoinSet;

pub use tree::{FIXTURES_FOLDER, SCRATCH_FOLDER, Tree};

use crate::pki::Pki;

/// How a reference server is set up.
pub struct ReferenceSettings {
    /// The loopback address it binds to.
    pub ip: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The TLS engine.
    pub engine: Engine,
    /// Named choices.
    pub settings: ServerSettings,
    /// Scripts in place of correct ones.
    pub rules: Vec<Rule>,
    /// The one user.
    pub user: String,
    /// Their password.
    pub password: Secret,
    /// Certificates.
    pub pki: Arc<Pki>,
    /// How long it waits for its clients.
    pub limits: Limits,
}

/// A running reference server; it ends, with all its sessions, when this is dropped.
pub struct ReferenceServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// What all sessions of one server share.
pub(crate) struct Shared {
    pub(crate) settings: ServerSettings,
    pub(crate) rules: Vec<Rule>,
    pub(crate) correct: Vec<Rule>,
    pub(crate) engine: Engine,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) pki: Arc<Pki>,
    pub(crate) limits: Limits,
    pub(crate) tree: Tree,
    pub(crate) fired: AtomicUsize,
}

impl ReferenceServer {
    /// Starts one.
    ///
    /// # Errors
    /// If the address is not loopback or cannot be bound.
    ///
    /// # Panics
    /// If the correct scripts, which are part of this program, cannot be read.
    pub fn start(settings: ReferenceSettings) -> io::Result<Self> {
        let ReferenceSettings { ip, port, engine, settings, rules, user, password, pki, limits } = settings;
        if !ip.is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the reference server binds to loopback only"));
        }
        let listener = Listener::bind(SocketAddr::new(ip, port))?;
        let source = Source { name: "correct.yaml".to_owned(), text: include_str!("correct.yaml").to_owned() };
        let correct = load_rules(&Arc::new(source)).expect("a test reads this file").rules;
        let shared = Arc::new(Shared {
            settings,
            rules,
            correct,
            engine,
            user,
            password,
            pki,
            limits,
            tree: Tree::with_fixtures(),
            fired: AtomicUsize::new(0),
        });
        let address = listener.address();
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often a rule that is not a correct script has fired.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.shared.fired.load(Ordering::Relaxed)
    }
}

impl Drop for ReferenceServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that was reset before we took it is not worth a word.
                if let Ok((socket, from)) = accepted {
                    sessions.spawn(session::run(socket, from, Arc::clone(&shared)));
                }
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}
