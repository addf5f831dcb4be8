//! The embedded reference server: correct by default, in-process, on loopback only. Its settings are named choices, its
//! correct scripts stand in `correct.yaml`, and a defect replaces either. A command enters it with the scenario that
//! needs it. It judges nobody.

mod answers;
mod commands;
mod fired;
mod security;
mod session;
mod session_log;
mod tree;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use ftpspec_net::{Limits, Listener};
use ftpspec_play::Counters;
use ftpspec_scenario::load_rules;
use ftpspec_scenario::model::{Rule, Source};
use ftpspec_scenario::settings::{PassivePorts, ServerSettings};
use ftpspec_tls::{Engine, ServerContext, Version};
use ftpspec_transcript::Secret;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use fired::Fired;
pub use session_log::{SessionLog, SessionLogs};
pub use tree::{FIXTURES_FOLDER, SCRATCH_FOLDER, Tree};

use crate::pki::Pki;
use crate::place::{Family, Place};

/// How a reference server is set up.
pub struct ReferenceSettings {
    /// The loopback address it binds to.
    pub ip: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The TLS engine.
    pub engine: Engine,
    /// The one TLS version that it speaks, if not all that the settings say.
    pub version: Option<Version>,
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
    /// Where its sessions are logged; none: each has a log of its own, which nobody sees.
    pub log: Option<SessionLogs>,
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
    pub(crate) version: Option<Version>,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) pki: Arc<Pki>,
    pub(crate) limits: Limits,
    pub(crate) tree: Tree,
    pub(crate) fired: Fired,
    /// The TLS context that all sessions share, where the settings lie so.
    pub(crate) common_context: Mutex<Option<Arc<ServerContext>>>,
    /// The passive range, where it is narrow.
    range: Option<Place>,
    /// Listeners that are never given back, where the settings lie so.
    kept: Mutex<Vec<Arc<Listener>>>,
    /// Where sessions are logged, if anybody sees it.
    pub(crate) log: Option<SessionLogs>,
    /// How many connections of each name there were.
    pub(crate) made: Counters,
    /// How many sessions there are.
    sessions: watch::Sender<usize>,
}

impl Shared {
    /// A passive listener, if a port is free.
    pub(crate) fn passive_listener(&self, ip: IpAddr) -> Option<Arc<Listener>> {
        let any = || Listener::bind(SocketAddr::new(ip, 0)).ok().map(Arc::new);
        let setting = self.settings.passive_ports;
        let Some(place) = self.range.as_ref().filter(|_| setting != PassivePorts::OutOfRange) else { return any() };
        let free = place.passive_ports.clone().find_map(|port| Listener::bind(SocketAddr::new(ip, port)).ok());
        let listener = free.map(Arc::new)?;
        if setting == PassivePorts::NarrowAndKept {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&listener));
        }
        Some(listener)
    }
}

/// A few ports in a row that nobody else's server, listener or connection takes meanwhile.
fn narrow_range(ip: IpAddr) -> io::Result<Place> {
    let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
    Place::with_ports(family, true).map_err(|missing| io::Error::new(io::ErrorKind::AddrInUse, missing))
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
        let ReferenceSettings { ip, port, engine, version, settings, rules, user, password, pki, limits, log } =
            settings;
        if !ip.is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the reference server binds to loopback only"));
        }
        let listener = Listener::bind(SocketAddr::new(ip, port))?;
        let source = Source { name: "correct.yaml".to_owned(), text: include_str!("correct.yaml").to_owned() };
        let correct = load_rules(&Arc::new(source)).expect("a test reads this file").rules;
        let range = (settings.passive_ports != PassivePorts::Any).then(|| narrow_range(ip)).transpose()?;
        let fired = Fired::of(&rules);
        let shared = Arc::new(Shared {
            settings,
            rules,
            correct,
            engine,
            version,
            user,
            password,
            pki,
            limits,
            tree: Tree::with_fixtures(),
            fired,
            common_context: Mutex::default(),
            range,
            kept: Mutex::default(),
            log,
            made: Counters::default(),
            sessions: watch::Sender::default(),
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

    /// The passive ports that it keeps to, where they are few.
    #[must_use]
    pub fn passive_ports(&self) -> Option<RangeInclusive<u16>> {
        self.shared.range.as_ref().map(|place| place.passive_ports.clone())
    }

    /// Waits until no session is left.
    pub async fn is_left(&self) {
        let mut sessions = self.shared.sessions.subscribe();
        // The sender lives as long as `self`.
        _ = sessions.wait_for(|count| *count == 0).await;
    }

    /// How often a rule that is not a correct script has fired.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.shared.fired.each().iter().sum()
    }

    /// How often each of them has, in their order.
    #[must_use]
    pub fn fired_each(&self) -> Vec<usize> {
        self.shared.fired.each()
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
                    shared.sessions.send_modify(|count| *count += 1);
                    sessions.spawn(session::run(socket, from, Arc::clone(&shared)));
                }
            }
            Some(_) = sessions.join_next() => shared.sessions.send_modify(|count| *count -= 1),
        }
    }
}
