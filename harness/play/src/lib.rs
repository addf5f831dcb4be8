//! Performs acts, as either side, on named connections: the one player of a scenario's steps and of the reference
//! server's rules, so that truth and lie run the same code. What it decides while playing (a reply matches, an event is
//! the awaited one) it decides with the functions that the judge uses. It gives no verdict.

mod acts;
pub mod client;
mod ending;
pub mod fixture;
mod handshakes;
mod octets;
pub mod pattern;
mod replies;
pub mod server;
mod transfers;
mod waiting;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use ftpspec_net::{Closed, Connection, End, Limits, Names};
use ftpspec_scenario::model::{Level, Name, Place, Script, Why};
use ftpspec_transcript::{By, Log, What};

pub use client::{ClientSeat, DataCheck, Manners};
pub use server::ServerSide;

/// The name of the control connection.
pub const CONTROL: &str = "control";
/// The name of the newest data connection.
pub const DATA: &str = "data";

/// Which side we play.
pub enum Seat {
    /// The FTP client.
    Client(Box<ClientSeat>),
    /// The FTP server.
    Server(Arc<dyn ServerSide>),
}

/// Why a script came to its end before its last act. The log holds the details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A demand was not met.
    Unmet,
    /// A `fail`, `skip` or `untestable`, or a prerequisite that failed.
    Concluded,
    /// The server's script gave the refusal that was due, and is over.
    Refused,
    /// The harness is at a loss.
    Trouble(String),
}

/// Performs scripts on its connections.
pub struct Player {
    /// Where everything is logged.
    pub(crate) log: Arc<Log>,
    pub(crate) limits: Limits,
    pub(crate) names: Names,
    pub(crate) seat: Seat,
    pub(crate) connections: BTreeMap<String, Connection>,
    /// The ends of all connections, of those too that it has let go of.
    pub(crate) ends: Vec<End>,
    /// How many connections of a name there were: `data`, then `data.2`.
    pub(crate) made: Counters,
    /// The newest connection's full name, by its plain name.
    pub(crate) newest: BTreeMap<Name, Arc<str>>,
    pub(crate) current: Name,
    /// The control connection that `send`, `reply` and `answer` are about.
    pub(crate) session: Name,
    /// The names of all control connections, in their order.
    pub(crate) controls: Vec<Name>,
    /// The first event of each connection that no act has consumed.
    pub(crate) cursors: BTreeMap<String, usize>,
    pub(crate) listeners: BTreeMap<Name, Trap>,
    /// Addresses of ours at which nobody is let in; they are ours as long as the player plays.
    pub(crate) closed: Vec<Closed>,
    /// The listener that was made last.
    pub(crate) newest_listener: Option<Name>,
    /// The passive ports that the subject is set up with.
    pub(crate) passive_ports: Option<RangeInclusive<u16>>,
    pub(crate) level: Level,
    /// While an alternative is tried nothing is logged as unmet.
    pub(crate) trying: bool,
    /// What `${…}` stands for.
    pub(crate) variables: BTreeMap<String, Vec<u8>>,
}

/// A listener of ours: whoever connects is logged, and waits here for an act that takes it.
pub(crate) struct Trap {
    pub(crate) came: tokio::sync::mpsc::UnboundedReceiver<(tokio::net::TcpStream, std::net::SocketAddr)>,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a player needs besides its seat.
pub struct Setting {
    /// Where everything is logged.
    pub log: Arc<Log>,
    /// How long is waited.
    pub limits: Limits,
    /// The names of known certificates.
    pub names: Names,
    /// The level of demands that do not carry their own.
    pub level: Level,
    /// What `${…}` stands for.
    pub variables: BTreeMap<String, Vec<u8>>,
    /// The passive ports that the subject is set up with, if anything says so.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// How many connections of each name its log holds already.
    pub made: Counters,
}

/// How many connections of each name there were in one log; players that share the log share this.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<Name, usize>>>);

impl Counters {
    /// The name that the next connection gets: `data`, then `data.2`.
    #[must_use]
    pub fn next(&self, name: &str) -> Arc<str> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = made.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { Arc::from(name) } else { Arc::from(format!("{name}.{count}")) }
    }
}

impl Player {
    /// A player with no connection yet.
    #[must_use]
    pub fn new(seat: Seat, setting: Setting) -> Self {
        let Setting { log, limits, names, level, variables, passive_ports, made } = setting;
        Self {
            log,
            limits,
            names,
            seat,
            connections: BTreeMap::new(),
            ends: Vec::new(),
            made,
            newest: BTreeMap::new(),
            current: CONTROL.to_owned(),
            session: CONTROL.to_owned(),
            controls: Vec::new(),
            cursors: BTreeMap::new(),
            listeners: BTreeMap::new(),
            closed: Vec::new(),
            newest_listener: None,
            passive_ports,
            level,
            trying: false,
            variables,
        }
    }

    /// Plays a script to its end.
    ///
    /// # Errors
    /// A [`Stop`] says why it did not get there.
    pub async fn play(&mut self, script: &Script) -> Result<(), Stop> {
        for step in script {
            let began = What::Act { word: acts::word(&step.act), place: log_place(step.place) };
            let connection = self.full_name(acts::names(&step.act)).filter(|_| acts::is_shown_on(&step.act));
            self.log.push(connection.as_ref(), By::Us, began);
            // Acts hold scripts that hold acts.
            Box::pin(self.perform(&step.act, step.place)).await?;
        }
        Ok(())
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The connection of this name (the newest, if there were several), if it was ever made.
    #[must_use]
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.newest.get(name).and_then(|full| self.connections.get(&**full))
    }

    /// What transfers are about from here on: the fixture whose octets a client sends, and its path on the server.
    pub fn is_about(&mut self, fixture: &str, remote: &str) {
        self.variables.insert("remote".to_owned(), remote.as_bytes().to_vec());
        if let Seat::Client(seat) = &mut self.seat {
            seat.file = Some(fixture.to_owned());
        }
    }

    /// Takes over a connection under this name; what is on it before `cursor` has been seen.
    pub fn adopt(&mut self, name: &str, connection: Connection, cursor: usize) {
        let full = Arc::clone(connection.name());
        self.cursors.insert(full.to_string(), cursor);
        self.ends.retain(|end| !end.has_come());
        self.ends.push(connection.end());
        self.connections.insert(full.to_string(), connection);
        self.newest.insert(name.to_owned(), full);
        name.clone_into(&mut self.current);
    }

    /// Lets go of a connection: it is read to its end by itself.
    pub fn let_go(&mut self, name: &str) {
        if let Some(full) = self.newest.remove(name) {
            self.connections.remove(&*full);
        }
        self.current = self.session.clone();
    }

    /// Lets go of all connections, and waits until each of them has been read to its end.
    pub async fn see_out(self) {
        let ends = self.ends.clone();
        drop(self);
        for end in ends {
            end.is_there().await;
        }
    }

    /// The name that the next connection called `name` gets in the log.
    pub fn next_name(&mut self, name: &str) -> Arc<str> {
        self.made.next(name)
    }

    pub(crate) fn full_name(&self, name: Option<&Name>) -> Option<Arc<str>> {
        self.newest.get(self.here(name.unwrap_or(&self.current))).cloned()
    }

    /// Inside a session of its own, `control` is that session's.
    pub(crate) fn here<'a>(&'a self, name: &'a str) -> &'a str {
        if name == CONTROL { &self.session } else { name }
    }

    /// Whether this is the control connection of the session in hand.
    pub(crate) fn is_control(&self, name: &str) -> bool {
        name == CONTROL || name == self.session
    }

    /// Logs a demand that was not met, and gives the stop.
    pub(crate) fn unmet(&self, act: &'static str, why: Why, due: &str, came: &str, place: Place) -> Stop {
        if !self.trying {
            let level = self.level.word();
            let (due, came) = (due.to_owned(), came.to_owned());
            self.log.push(
                None,
                By::Us,
                What::Unmet { act, why: why.word(), due, came, level, place: log_place(place) },
            );
        }
        Stop::Unmet
    }
}

pub(crate) fn log_place(place: Place) -> ftpspec_transcript::Place {
    ftpspec_transcript::Place { line: place.line, column: place.column, length: place.length }
}
