//! Data connections: taking them, sending and receiving files, and what is missing of what was due.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ftpspec_net::limits::{LARGEST_UPLOAD, MOST_CALLERS};
use ftpspec_net::{Act as NetAct, Carries, Connection, Listener, Setup};
use ftpspec_scenario::model::{Callers, End, FileDue, Name, Payload, Place, Receive, Template, Why};
use ftpspec_transcript::{By, Event, What};
use ftpspec_wire::{eprt_argument, escaped, pasv_digits, reason};
use sha2::{Digest, Sha256};

use tokio::sync::mpsc;

use crate::server::Taken;
use crate::waiting::{Waited, in_words, is_end, is_final_reply};
use crate::{DATA, Player, Seat, ServerSide, Stop, Trap, fixture};

impl Player {
    pub(crate) async fn listen(
        &mut self,
        name: &Name,
        at: Option<&Template>,
        port: Option<&Template>,
        callers: Callers,
    ) -> Result<(), Stop> {
        let trouble = |error: std::io::Error| Stop::Trouble(format!("listening: {}", reason(&error)));
        let ip = match at {
            Some(at) => self.text(at)?.parse().map_err(|_| Stop::Trouble("`at` is no address".to_owned()))?,
            // On the address that the control connection uses: nothing else is ours.
            None => self.control().map_or(Ipv4Addr::LOCALHOST.into(), |control| control.local().ip()),
        };
        let port = match port {
            Some(port) => self.text(port)?.parse().map_err(|_| Stop::Trouble("`port` is no port".to_owned()))?,
            None => 0,
        };
        let wanted = SocketAddr::new(ip, port);
        if callers != Callers::Taken {
            let closed = match callers {
                Callers::Unanswered => Listener::full(wanted).await.map_err(trouble)?,
                _ => Listener::refusing(wanted).map_err(trouble)?,
            };
            self.know_listener(name, closed.address());
            self.closed.push(closed);
            return Ok(());
        }
        let listener = Listener::bind(wanted).map_err(trouble)?;
        let address = listener.address();
        self.know_listener(name, address);
        if let Seat::Server(side) = &self.seat
            && name == DATA
        {
            side.listens(listener);
            return Ok(());
        }
        let (sender, came) = mpsc::unbounded_channel();
        let (log, full) = (Arc::clone(&self.log), Arc::<str>::from(name.as_str()));
        let task = tokio::spawn(async move {
            // Each connection is logged the moment it is there, whether an act waits for it or not.
            for _ in 0..MOST_CALLERS {
                let Ok((socket, from)) = listener.accept().await else { break };
                log.push(Some(&full), By::Peer, What::Accepted { from });
                if sender.send((socket, from)).is_err() {
                    break;
                }
            }
        });
        self.listeners.insert(name.clone(), Trap { came, task });
        self.newest_listener = Some(name.clone());
        Ok(())
    }

    /// Its address is a word in the log, and has its variables.
    fn know_listener(&mut self, name: &Name, address: SocketAddr) {
        let mut forms = vec![("port", address.port().to_string()), ("EPRT", eprt_argument(address))];
        if let SocketAddr::V4(address) = address {
            forms.push(("PORT", pasv_digits(address)));
            let [high, low] = address.port().to_be_bytes();
            forms.push(("p1p2", format!("{high},{low}")));
        }
        for (form, value) in forms {
            if matches!(form, "PORT" | "EPRT") {
                self.log.call(&value, &format!("{{{name}.{form}}}"));
            }
            self.variables.insert(format!("{name}.{form}"), value.into_bytes());
        }
    }

    pub(crate) async fn accept(&mut self, from: Option<&Name>, place: Place) -> Result<(), Stop> {
        match &self.seat {
            Seat::Server(side) => {
                let side = Arc::clone(side);
                self.accept_as_server(side, place).await
            }
            Seat::Client(_) => self.accept_as_client(from, place).await,
        }
    }

    /// Takes what the subject has connected to a listener of ours; a stranger is not taken for it.
    async fn accept_as_client(&mut self, from: Option<&Name>, place: Place) -> Result<(), Stop> {
        let peer = self.control()?.peer().ip();
        // In passive mode it is there already.
        if from.is_none() && self.newest_listener.is_none() && self.connection(DATA).is_some() {
            return Ok(());
        }
        let name = from.or(self.newest_listener.as_ref()).cloned().unwrap_or_default();
        let limit = self.limits.connect;
        let Some(trap) = self.listeners.get_mut(&name) else {
            return Err(Stop::Trouble(format!("there is no listener {name}")));
        };
        let mut stranger = None;
        let theirs = async {
            loop {
                match trap.came.recv().await {
                    Some((socket, from)) if from.ip() == peer => return Some(socket),
                    Some((_, from)) => stranger = Some(from.ip()),
                    None => return None,
                }
            }
        };
        let Ok(Some(socket)) = tokio::time::timeout(limit, theirs).await else {
            let due = format!("a connection from {peer}");
            let came = stranger.map_or_else(|| "none".to_owned(), |ip| format!("one from {ip}"));
            return Err(self.after_transfer(DATA, "accept", Why::Timeout, &due, &came, place).await);
        };
        let name = self.next_name(DATA);
        let cursor = self.log.len();
        let from = socket
            .peer_addr()
            .map_err(|error| Stop::Trouble(format!("a socket without a peer: {}", reason(&error))))?;
        self.log.push(Some(&name), By::Us, What::Accepted { from });
        let connection = self.take_over(socket, name, Carries::Data)?;
        self.adopt(DATA, connection, cursor);
        Ok(())
    }

    async fn accept_as_server(&mut self, side: Arc<dyn ServerSide>, place: Place) -> Result<(), Stop> {
        let taken = tokio::time::timeout(self.limits.connect, side.take_data_connection()).await;
        match taken {
            Ok(Ok((socket, how))) => {
                let name = self.next_name(DATA);
                let cursor = self.log.len();
                let what = match how {
                    Taken::Accepted(from) => What::Accepted { from },
                    Taken::Connected(to) => What::Connected { to },
                };
                self.log.push(Some(&name), By::Us, what);
                let setup = Setup {
                    name,
                    carries: Carries::Data,
                    log: Arc::clone(&self.log),
                    keep: LARGEST_UPLOAD,
                    names: Arc::clone(&self.names),
                };
                let connection = Connection::new(socket, setup)
                    .map_err(|error| Stop::Trouble(format!("a socket that has no address: {}", reason(&error))))?;
                if !side.answers_close_notify() {
                    _ = connection.act(NetAct::Mute).await;
                }
                self.adopt(DATA, connection, cursor);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => self
                .refuse(side.reply(425))
                .await
                .and_then(|()| Err(self.unmet("accept", Why::Timeout, "a data connection", "none", place))),
        }
    }

    pub(crate) async fn deliver(&mut self, on: Option<&Name>, payload: &Payload, place: Place) -> Result<(), Stop> {
        let octets = self.payload(payload)?;
        let due = format!("{} octets taken", octets.len());
        let connection = self.named(on)?;
        if let Some(on) = on {
            on.clone_into(&mut self.current);
        }
        // A receiver that stops reading holds us up; the same limit as for octets that do not come.
        let delivered = tokio::time::timeout(self.limits.data * 4, connection.act(NetAct::Payload(octets))).await;
        let (why, came) = match delivered {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(broken)) => (Why::Closed, broken.to_string()),
            Err(_) => (Why::Timeout, "not all were read".to_owned()),
        };
        if let Seat::Server(side) = &self.seat {
            let reply = side.reply(426);
            return self.refuse(reply).await;
        }
        let name = self.current.clone();
        Err(self.after_transfer(&name, "deliver", why, &due, &came, place).await)
    }

    pub(crate) async fn receive(&mut self, receive: &Receive, place: Place) -> Result<(), Stop> {
        let name = receive.on.clone().unwrap_or_else(|| DATA.to_owned());
        let connection = self.named(Some(&name))?;
        name.clone_into(&mut self.current);
        let full = Arc::clone(connection.name());
        // What has ended already need not be read.
        _ = connection.act(NetAct::Read).await;
        let serves = matches!(self.seat, Seat::Server(_));
        let ended = self.wait_for_end(&full, serves).await?;
        let seen = Seen::of(&self.log.events(), &full);
        if let Waited::Event(event) = &ended {
            self.consume(&full, event);
        }
        if let Seat::Server(side) = &self.seat {
            let side = Arc::clone(side);
            let whole = !seen.protected || seen.close_notify || !side.wants_close_notify();
            let octets = connection.received().kept.clone();
            // Behind close_notify all is said, and a reset takes nothing back.
            let cut = seen.reset && !seen.close_notify;
            let whole = whole && octets.len() as u64 == seen.octets && ended != Waited::TimedOut && !cut;
            side.store(octets, whole);
            if !whole {
                let reply = side.reply(426);
                return self.refuse(reply).await;
            }
            return Ok(());
        }
        let file = match &receive.file {
            Some(FileDue::Fixture(name)) => fixture::content(name),
            Some(FileDue::AskedFor) => self.asked_for(),
            None => None,
        };
        match seen.shortcoming(receive, file.as_deref(), ended == Waited::TimedOut) {
            None => Ok(()),
            Some((why, due, came)) => Err(self.after_transfer(&name, "receive", why, &due, &came, place).await),
        }
    }

    /// The octets of the fixture that the last transfer command fetched, if it was one.
    fn asked_for(&self) -> Option<Arc<[u8]>> {
        let line = self.log.look(|events| {
            events.iter().rev().find_map(|event| match &event.what {
                What::Command { line, verb, .. } if event.by == By::Us && TRANSFERS.contains(&verb.as_str()) => {
                    Some(line.clone())
                }
                _ => None,
            })
        })?;
        fixture::FIXTURES.iter().find_map(|known| {
            let path = self.variables.get(&format!("fixture.{}", known.name))?;
            (line == escaped(&[b"RETR ", path.as_slice()].concat())).then(|| fixture::content(known.name))?
        })
    }

    /// Whether the last command already has a final reply that an act has taken: no other will come.
    fn is_answered(&self, control: &str) -> bool {
        let taken = self.cursor(control);
        self.log.look(|events| {
            let events = &events[..taken.min(events.len())];
            let last = events.iter().rev().find(|event| {
                event.connection.as_deref() == Some(control)
                    && (is_final_reply(event) || event.by == By::Us && matches!(event.what, What::Command { .. }))
            });
            last.is_some_and(is_final_reply)
        })
    }

    /// A transfer is judged only after its final reply is in: what a refusal looks like on the data connection can be an
    /// empty file, and the reply tells.
    pub(crate) async fn after_transfer(
        &mut self,
        name: &str,
        act: &'static str,
        why: Why,
        due: &str,
        came: &str,
        place: Place,
    ) -> Stop {
        let mut came = came.to_owned();
        if !self.is_control(name)
            && matches!(self.seat, Seat::Client(_))
            && !self.trying
            && let Ok(control) = self.control()
        {
            let from = self.cursor(control.name());
            let limit = if self.is_answered(control.name()) { Duration::ZERO } else { self.limits.reply };
            let reply =
                self.wait_quietly(limit, from, |event| is_final_reply(event) || is_end(event, control.name())).await;
            if let Some(event) = reply {
                came = format!("{came}; then {}", in_words(&event.what));
            }
        }
        self.unmet(act, why, due, &came, place)
    }
}

/// Commands that bring or take a file or a listing.
const TRANSFERS: &[&str] = &["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"];

/// How a data connection looked in the log.
struct Seen {
    octets: u64,
    sha256: String,
    protected: bool,
    close_notify: bool,
    reset: bool,
    inside_record: bool,
    alert: Option<String>,
    plaintext: Option<String>,
}

impl Seen {
    fn of(events: &[Event], connection: &str) -> Self {
        let mut seen = Self {
            octets: 0,
            sha256: hex::encode(Sha256::digest([])),
            protected: false,
            close_notify: false,
            reset: false,
            inside_record: false,
            alert: None,
            plaintext: None,
        };
        for event in events {
            if event.connection.as_deref() != Some(connection) || event.by != By::Peer {
                continue;
            }
            match &event.what {
                What::Content { count, sha256, protected } => {
                    seen.octets = *count;
                    seen.sha256.clone_from(sha256);
                    seen.protected = *protected;
                }
                What::CloseNotify => seen.close_notify = true,
                What::Rst => seen.reset = true,
                What::Fin { inside_record } => seen.inside_record = *inside_record,
                What::Alert { .. } => seen.alert = Some(in_words(&event.what)),
                What::Plaintext { .. } => seen.plaintext = Some(in_words(&event.what)),
                _ => {}
            }
        }
        seen
    }

    /// What is missing of what was due: one word, what was due, what came.
    fn shortcoming(&self, due: &Receive, file: Option<&[u8]>, timed_out: bool) -> Option<(Why, String, String)> {
        let octets = || format!("{} octets", self.octets);
        if let Some(plaintext) = &self.plaintext {
            return Some((Why::Plaintext, "TLS records".to_owned(), plaintext.clone()));
        }
        if let Some(protected) = due.protected
            && self.octets > 0
            && self.protected != protected
        {
            let word = |protected: bool| if protected { "octets in TLS" } else { "octets in the clear" };
            return Some((Why::Clear, word(protected).to_owned(), format!("{} {}", self.octets, word(self.protected))));
        }
        if timed_out && !self.close_notify {
            return Some((Why::Timeout, "the end of the data".to_owned(), format!("{}, and no end", octets())));
        }
        let length = due.octets.or(file.map(|file| file.len() as u64));
        if let Some(length) = length
            && self.octets != length
        {
            let reason = if self.reset { Why::Reset } else { Why::Octets };
            return Some((reason, format!("{length} octets"), format!("{}{}", octets(), self.end_in_words())));
        }
        if let Some(file) = file {
            let digest = hex::encode(Sha256::digest(file));
            if digest != self.sha256 {
                return Some((Why::Digest, format!("SHA-256 {digest}"), format!("SHA-256 {}", self.sha256)));
            }
        }
        let came = || format!("{}{}", octets(), self.end_in_words());
        match due.end {
            Some(End::CloseNotify) if self.close_notify => None,
            Some(End::CloseNotify) => {
                let why = if self.reset {
                    Why::Reset
                } else if self.alert.is_some() {
                    Why::Alert
                } else {
                    Why::NoCloseNotify
                };
                Some((why, "close_notify, then FIN".to_owned(), came()))
            }
            Some(End::Fin) if self.close_notify || self.reset => Some((Why::End, "a bare FIN".to_owned(), came())),
            Some(End::Rst) if !self.reset => Some((Why::End, "RST".to_owned(), came())),
            Some(End::Fin | End::Rst) | None => None,
        }
    }

    fn end_in_words(&self) -> String {
        let mut words = String::new();
        if let Some(alert) = &self.alert {
            words = format!(", {alert}");
        }
        if self.close_notify {
            words.push_str(", close_notify");
        }
        words.push_str(match (self.reset, self.inside_record) {
            (true, _) => ", RST",
            (false, true) => ", FIN in the midst of a TLS record",
            (false, false) => ", FIN",
        });
        words
    }
}
