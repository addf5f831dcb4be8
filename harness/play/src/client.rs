//! The client's side of acts: connecting, logging in, passive mode, and the machines for its handshakes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ftpspec_net::limits::KEPT_OF_DATA;
use ftpspec_net::{Act as NetAct, Carries, Connection, Early, Setup};
use ftpspec_scenario::model::{
    Act, Certificate, Connect, ConnectTo, Handshake, Leaf, Level, Login, Passive, Place, ProtectionLevel, ReplyMatch,
    Resume, Step, Template, Why,
};
use ftpspec_tls::{
    ClientContext, ClientSettings, Engine, Identity, Machine, Sessions, Suites, TlsError, Trust, Version,
};
use ftpspec_transcript::{By, Event, Secret, What};
use ftpspec_wire::{CodePattern, Reply, behind_epsv_bracket, escaped, parse_epsv_reply, parse_pasv_reply, reason};

use crate::handshakes::begin;
use crate::waiting::{in_words, is_end};
use crate::{CONTROL, DATA, Player, Seat, Stop, log_place};

/// Who we are as a client, and whom we talk to.
pub struct ClientSeat {
    /// The subject's control port.
    pub address: SocketAddr,
    /// The engine of our handshakes.
    pub engine: Engine,
    /// The versions that we offer.
    pub versions: RangeInclusive<Version>,
    /// SNI, and the name to verify: the same on every connection, whatever a 227 reply says.
    pub server_name: String,
    /// Whose certificates are accepted.
    pub trust: Trust,
    /// Client certificates by name.
    pub identities: BTreeMap<String, Identity>,
    /// The one that is shown where a script names none, if any is.
    pub certificate: Option<String>,
    /// Whether TLS begins with the first octet.
    pub implicit: bool,
    /// The user's name; none: logging in is not possible.
    pub user: Option<String>,
    /// Their password.
    pub password: Secret,
    /// What is made of what a server says that it should not.
    pub manners: Manners,
    /// What all control connections share; none: each has sessions of its own.
    common: Option<Sessions>,
    /// The fixture that a script means where it names none.
    pub file: Option<String>,
    /// What belongs to each control connection, by its name.
    sessions: BTreeMap<String, Session>,
    /// One context for each certificate that was used, so that sessions can be resumed; and what the server must show
    /// there, if that is not the usual.
    contexts: BTreeMap<(Option<String>, Option<DataCheck>), ClientContext>,
}

/// What a client makes of octets that a careful one does not trust; the default is careful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// What becomes of clear octets that stand behind the 234.
    pub early: Early,
    /// Whether whole replies behind the 234 are such octets too, and not told as the replies that nobody asked for.
    pub halts_behind_234: bool,
    /// Whether each line of a reply with many lines is a reply.
    pub takes_each_line: bool,
    /// Whether a passive data connection goes to the address that a 227 names, whoever that is.
    pub follows_addresses: bool,
    /// How the server's certificate is looked at on data connections, if not as on the control connection.
    pub data_check: Option<DataCheck>,
    /// Whether the tickets that data connections bring are offered on later ones.
    pub takes_new_tickets: bool,
    /// The cipher suites that are offered.
    pub suites: Suites,
}

/// A look at the certificate of a data connection that is not the careful one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataCheck {
    /// None: it may be anybody's.
    Nothing,
    /// It must bear the address that the connection goes to, and not the name that the user gave.
    Address,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            early: Early::GivenToTls,
            halts_behind_234: false,
            takes_each_line: false,
            follows_addresses: false,
            data_check: None,
            takes_new_tickets: true,
            suites: Suites::Modern,
        }
    }
}

/// What belongs to one control connection.
struct Session {
    /// What its handshakes left behind, for its data connections.
    tls: Sessions,
    /// Its client certificate.
    certificate: Certificate,
    /// Where the last PASV or EPSV led.
    passive: Option<SocketAddr>,
}

impl Session {
    fn new(name: &str, common: Option<&Sessions>) -> Self {
        let tls = common.cloned().unwrap_or_else(|| Sessions::new(name));
        Self { tls, certificate: Certificate::Usual, passive: None }
    }
}

/// Why there is no machine for a handshake.
enum MachineError {
    /// This engine cannot do what is asked: nothing is learnt about the subject.
    Unsupported(String),
    /// Anything else.
    Other(String),
}

impl From<TlsError> for MachineError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Unsupported { .. } => Self::Unsupported(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

/// What is needed to make a [`ClientSeat`].
pub struct ClientSeatSettings {
    /// As in the seat.
    pub address: SocketAddr,
    /// As in the seat.
    pub engine: Engine,
    /// As in the seat.
    pub versions: RangeInclusive<Version>,
    /// As in the seat.
    pub server_name: String,
    /// As in the seat.
    pub trust: Trust,
    /// As in the seat.
    pub identities: BTreeMap<String, Identity>,
    /// As in the seat.
    pub certificate: Option<String>,
    /// As in the seat.
    pub implicit: bool,
    /// As in the seat.
    pub user: Option<String>,
    /// As in the seat.
    pub password: Secret,
    /// As in the seat.
    pub manners: Manners,
    /// The TLS sessions that all control connections share, if they do: a lie.
    pub sessions: Option<Sessions>,
}

impl ClientSeat {
    /// A client that has done nothing yet.
    #[must_use]
    pub fn new(settings: ClientSeatSettings) -> Self {
        let ClientSeatSettings {
            address,
            engine,
            versions,
            server_name,
            trust,
            identities,
            certificate,
            implicit,
            user,
            password,
            manners,
            sessions: common,
        } = settings;
        Self {
            address,
            engine,
            versions,
            server_name,
            trust,
            identities,
            certificate,
            implicit,
            user,
            password,
            manners,
            common,
            file: None,
            sessions: BTreeMap::new(),
            contexts: BTreeMap::new(),
        }
    }

    fn session(&mut self, name: &str) -> &mut Session {
        let common = self.common.as_ref();
        self.sessions.entry(name.to_owned()).or_insert_with(|| Session::new(name, common))
    }

    /// A machine for a handshake in this session, and the name of the certificate that it has.
    fn machine(
        &mut self,
        session: &str,
        data: bool,
        handshake: &Handshake,
    ) -> Result<(Box<dyn Machine>, Option<String>), MachineError> {
        if !data {
            // A new control handshake begins with nothing to resume.
            let certificate = match &handshake.certificate {
                Certificate::Usual => self.session(session).certificate.clone(),
                said => said.clone(),
            };
            self.sessions
                .insert(session.to_owned(), Session { certificate, ..Session::new(session, self.common.as_ref()) });
        }
        let certificate = self.certificate_for(session, handshake);
        let check = self.manners.data_check.filter(|_| data);
        let kind = (certificate.clone(), check);
        if !self.contexts.contains_key(&kind) {
            let address = self.session(session).passive.map(|to| to.ip().to_string());
            let context = self.context(certificate.as_ref(), check, address)?;
            self.contexts.insert(kind.clone(), context);
        }
        let resume = match if data { handshake.resume } else { Resume::No } {
            Resume::Newest => ftpspec_tls::Resume::Newest,
            Resume::No => ftpspec_tls::Resume::No,
            Resume::First => ftpspec_tls::Resume::First,
            Resume::EachOnce => ftpspec_tls::Resume::EachOnce,
        };
        let into = if data && !self.manners.takes_new_tickets {
            Sessions::new(session)
        } else {
            self.session(session).tls.clone()
        };
        let offer = self.session(handshake.offers.as_deref().unwrap_or(session)).tls.clone();
        let machine = self.contexts[&kind].connect_offering(&offer, &into, resume)?;
        Ok((machine, certificate))
    }

    /// The client certificate of a handshake: what it says, else what its session has, else the one that we were given.
    fn certificate_for(&mut self, session: &str, handshake: &Handshake) -> Option<String> {
        let of_session = self.session(session).certificate.clone();
        for said in [&handshake.certificate, &of_session] {
            match said {
                Certificate::Usual => {}
                Certificate::None => return None,
                Certificate::Named(name) => return Some(name.clone()),
            }
        }
        self.certificate.clone()
    }

    fn context(
        &self,
        certificate: Option<&String>,
        check: Option<DataCheck>,
        address: Option<String>,
    ) -> Result<ClientContext, MachineError> {
        let identity = match certificate {
            Some(name) => {
                let identity = self.identities.get(name).cloned();
                Some(identity.ok_or_else(|| MachineError::Unsupported(format!("no client certificate {name}")))?)
            }
            None => None,
        };
        let settings = ClientSettings {
            versions: self.versions.clone(),
            server_name: match (check, address) {
                (Some(DataCheck::Address), Some(address)) => address,
                _ => self.server_name.clone(),
            },
            trust: if check == Some(DataCheck::Nothing) { Trust::Anyone } else { self.trust.clone() },
            identity,
            alpn: Vec::new(),
            suites: self.manners.suites,
            key_log: None,
        };
        ClientContext::new(self.engine, settings).map_err(MachineError::from)
    }
}

impl Player {
    pub(crate) fn client(&mut self) -> Result<&mut ClientSeat, Stop> {
        match &mut self.seat {
            Seat::Client(seat) => Ok(seat),
            Seat::Server(_) => Err(Stop::Trouble("an act of a client in a server's script".to_owned())),
        }
    }

    pub(crate) async fn connect(&mut self, connect: &Connect, place: Place) -> Result<(), Stop> {
        let session = self.session.clone();
        let seat = self.client()?;
        let (to, carries) = match connect.to {
            ConnectTo::Control => (seat.address, Carries::Replies),
            ConnectTo::Passive => {
                let to = seat.session(&session).passive;
                (to.ok_or_else(|| Stop::Trouble("connect before PASV or EPSV".to_owned()))?, Carries::Data)
            }
        };
        if connect.to == ConnectTo::Control {
            seat.sessions.insert(session.clone(), Session::new(&session, seat.common.as_ref()));
        }
        let plain_name = self.here(&connect.name).to_owned();
        let from: Option<IpAddr> = match &connect.from {
            Some(from) => Some(self.text(from)?.parse().map_err(|_| Stop::Trouble("not an address".to_owned()))?),
            None => None,
        };
        let name = self.next_name(&plain_name);
        let cursor = self.log.len();
        let connecting = tokio::time::timeout(self.limits.connect, ftpspec_net::connect(to, from)).await;
        let failed = match connecting {
            Ok(Ok(socket)) => {
                self.log.push(Some(&name), By::Us, What::Connected { to });
                let connection = self.take_over(socket, name, carries)?;
                if connect.to == ConnectTo::Control {
                    let manners = self.client()?.manners;
                    let each_line = manners.takes_each_line.then_some(NetAct::EachLineIsAReply);
                    let halt = manners.halts_behind_234.then_some(NetAct::HaltBehind(234));
                    _ = connection.together(each_line.into_iter().chain(halt).collect()).await;
                }
                if connect.to == ConnectTo::Control && !self.controls.contains(&plain_name) {
                    self.controls.push(plain_name.clone());
                }
                self.adopt(&plain_name, connection, cursor);
                if connect.to == ConnectTo::Passive {
                    self.newest_listener = None;
                }
                return Ok(());
            }
            Ok(Err(error)) => reason(&error),
            Err(_) => format!("no answer in {:?}", self.limits.connect),
        };
        self.log.push(Some(&name), By::Us, What::ConnectFailed { to, why: failed.clone() });
        let failed = Err(self.unmet("connect", Why::Failed, &format!("a TCP connection to {to}"), &failed, place));
        // Whoever is not there has broken nothing that a scenario asks about.
        if connect.to == ConnectTo::Control { self.as_prerequisite("connect", failed, place) } else { failed }
    }

    pub(crate) fn take_over(
        &self,
        socket: tokio::net::TcpStream,
        name: Arc<str>,
        carries: Carries,
    ) -> Result<Connection, Stop> {
        let setup =
            Setup { name, carries, log: Arc::clone(&self.log), keep: KEPT_OF_DATA, names: Arc::clone(&self.names) };
        Connection::new(socket, setup)
            .map_err(|error| Stop::Trouble(format!("a socket that has no address: {}", reason(&error))))
    }

    pub(crate) async fn send_command(&mut self, line: &Template) -> Result<(), Stop> {
        let octets = self.octets(line)?;
        self.send_line(octets).await
    }

    /// Logs and sends one command line. A connection that has ended takes none, and none is logged as sent: the reply
    /// that does not come will tell.
    pub(crate) async fn send_line(&mut self, mut octets: Vec<u8>) -> Result<(), Stop> {
        let control = self.control()?;
        self.keep_secret(&control, &octets)?;
        let ended = self.log.look(|events| events.iter().any(|event| is_end(event, control.name())));
        if !ended {
            let act = self.command_act(&control, &mut octets);
            _ = control.act(act).await;
        }
        Ok(())
    }

    /// The real password is never sent on an unprotected connection.
    pub(crate) fn keep_secret(&mut self, control: &Connection, octets: &[u8]) -> Result<(), Stop> {
        let protected = self.is_protected(control);
        let Seat::Client(seat) = &self.seat else { return Ok(()) };
        let password = seat.password.reveal().as_bytes();
        let sent = !password.is_empty() && octets.windows(password.len()).any(|window| window == password);
        let was_protected = self.log.look(|events| {
            let here = |event: &&Event| event.connection.as_ref() == Some(control.name());
            events.iter().filter(here).any(|event| matches!(event.what, What::Handshake(_)))
        });
        if sent && !protected && was_protected {
            // The server has ended TLS; what it asks for in the clear it does not get.
            let due = "TLS, for the password";
            return Err(self.unmet(
                "send",
                Why::Closed,
                due,
                "close_notify, and nothing of TLS behind it",
                Place::default(),
            ));
        }
        if sent && !protected {
            return Err(Stop::Trouble("the password is not sent in the clear".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn command_act(&mut self, control: &Connection, octets: &mut Vec<u8>) -> NetAct {
        let verb = self.log_command(control, octets);
        octets.extend_from_slice(b"\r\n");
        NetAct::Write { octets: std::mem::take(octets), verb: Some(verb) }
    }

    /// Logs a command, and gives its verb.
    pub(crate) fn log_command(&mut self, control: &Connection, octets: &[u8]) -> String {
        let command = ftpspec_wire::Command::parse(octets);
        let protected = self.is_protected(control);
        let line = escaped(octets);
        // What came before our act cannot be its answer; replies that wait are still to be read.
        self.log.push(Some(control.name()), By::Us, What::Command { verb: command.verb.clone(), line, protected });
        command.verb
    }

    /// Whether what we send on this connection is protected: its last handshake was finished, and we have not closed it.
    pub(crate) fn is_protected(&self, connection: &Connection) -> bool {
        self.log.look(|events| {
            let last = events.iter().rev().find(|event| {
                event.connection.as_ref() == Some(connection.name())
                    && match event.what {
                        What::Handshake(_) | What::HandshakeStarted => true,
                        What::CloseNotify => event.by == By::Us,
                        _ => false,
                    }
            });
            last.is_some_and(|event| matches!(event.what, What::Handshake(_)))
        })
    }

    pub(crate) fn control(&self) -> Result<Connection, Stop> {
        self.connection(&self.session).cloned().ok_or_else(|| Stop::Trouble("no control connection yet".to_owned()))
    }

    pub(crate) async fn login(&mut self, login: &Login, place: Place) -> Result<(), Stop> {
        let level = self.level;
        let result = self.try_login(login, place).await;
        self.level = level;
        self.as_prerequisite("login", result, place)
    }

    /// A prerequisite that is not met proves nothing about the demand.
    pub(crate) fn as_prerequisite(
        &self,
        act: &'static str,
        result: Result<(), Stop>,
        place: Place,
    ) -> Result<(), Stop> {
        match result {
            Err(Stop::Unmet) => {
                let kind = Leaf::Untestable.word();
                let text = format!("{act}: a prerequisite failed");
                let level = self.level.word();
                self.log.push(None, By::Us, What::Leaf { kind, text, level, place: log_place(place) });
                Err(Stop::Concluded)
            }
            other => other,
        }
    }

    async fn try_login(&mut self, login: &Login, place: Place) -> Result<(), Stop> {
        let connect = Connect { to: ConnectTo::Control, name: CONTROL.to_owned(), from: None };
        self.connect(&connect, place).await?;
        let handshake = Handshake { certificate: login.certificate.clone(), ..Handshake::plain_on(CONTROL) };
        if self.client()?.implicit {
            self.handshake(&handshake, place).await?;
            self.expect_reply(220, place).await?;
        } else {
            self.expect_reply(220, place).await?;
            self.ask("AUTH TLS", 234, place).await?;
            self.handshake(&handshake, place).await?;
        }
        let seat = self.client()?;
        let Some(user) = seat.user.clone() else {
            return Err(self.unmet("login", Why::Failed, "a user to log in as", "none was given", place));
        };
        let password = seat.password.clone();
        self.send_line(format!("USER {user}").into_bytes()).await?;
        let reply = self.next_reply("login", "331 or 230", place).await?;
        if reply.class() == 3 {
            self.send_line(format!("PASS {}", password.reveal()).into_bytes()).await?;
            self.expect_reply(230, place).await?;
        } else if reply.class() != 2 {
            return Err(self.unmet("login", Why::Code, "331 or 230", &line(&reply), place));
        }
        if let Some(level) = login.protect {
            self.ask("PBSZ 0", 200, place).await?;
            let prot = if level == ProtectionLevel::P { "PROT P" } else { "PROT C" };
            self.ask(prot, 200, place).await?;
        }
        self.ask("TYPE I", 200, place).await
    }

    /// Sends a command of the harness's own, and gives the reply to it.
    ///
    /// # Errors
    /// If the connection does not allow it, or no reply comes.
    pub async fn inquire(&mut self, command: &str) -> Result<Reply, Stop> {
        self.send_line(command.as_bytes().to_vec()).await?;
        self.next_reply("reply", "a reply", Place::default()).await
    }

    /// The reply that comes without a command: the greeting.
    ///
    /// # Errors
    /// If none comes, or it is no 220.
    pub async fn next_greeting(&mut self) -> Result<Reply, Stop> {
        let reply = self.next_reply("reply", "220", Place::default()).await?;
        if reply.class() == 2 {
            Ok(reply)
        } else {
            Err(self.unmet("reply", Why::Code, "220", &line(&reply), Place::default()))
        }
    }

    async fn ask(&mut self, command: &str, code: u16, place: Place) -> Result<(), Stop> {
        self.send_line(command.as_bytes().to_vec()).await?;
        self.expect_reply(code, place).await
    }

    async fn expect_reply(&mut self, code: u16, place: Place) -> Result<(), Stop> {
        self.reply(&ReplyMatch::Like(CodePattern::Exact(code)), place).await
    }

    pub(crate) async fn open(&mut self, command: &Template, place: Place) -> Result<(), Stop> {
        let passive = Passive { command: command.clone(), in_range: false, exact: false };
        let result = match self.passive(&passive, place).await {
            Ok(()) => {
                let connect = Connect { to: ConnectTo::Passive, name: DATA.to_owned(), from: None };
                self.connect(&connect, place).await
            }
            Err(stop) => Err(stop),
        };
        self.as_prerequisite("open", result, place)
    }

    pub(crate) async fn passive(&mut self, passive: &Passive, place: Place) -> Result<(), Stop> {
        self.send_command(&passive.command).await?;
        let reply = self.next_reply("passive", "227 or 229", place).await?;
        let text = reply.lines.last().cloned().unwrap_or_default();
        let subject = self.control()?.peer();
        let mut ip = subject.ip();
        let follows = self.client()?.manners.follows_addresses;
        let port = match reply.code {
            227 => parse_pasv_reply(&text).map(|address| {
                if follows {
                    ip = IpAddr::V4(*address.ip());
                    return address.port();
                }
                if IpAddr::V4(*address.ip()) != subject.ip() {
                    // 1123 §4.1.2.6 and 959 §4.1.2 let it listen elsewhere; we go only where we were sent.
                    let text = format!("227 names {}, which is not the control connection's address", address.ip());
                    self.tell_inexact(passive, text, place);
                }
                address.port()
            }),
            229 => parse_epsv_reply(&text).inspect(|_| {
                let behind = behind_epsv_bracket(&text).unwrap_or_default();
                if passive.exact && !behind.is_empty() {
                    let behind = escaped(&behind[..behind.len().min(SHOWN_BEHIND)]);
                    self.tell_inexact(passive, format!("229 goes on behind its bracket: “{behind}”"), place);
                }
            }),
            _ => return Err(self.unmet("passive", Why::Code, "227 or 229", &line(&reply), place)),
        };
        match port {
            Ok(port) => {
                let session = self.session.clone();
                self.client()?.session(&session).passive = Some(SocketAddr::new(ip, port));
                match self.passive_ports.clone().filter(|range| passive.in_range && !range.contains(&port)) {
                    None => Ok(()),
                    Some(range) => {
                        let due = format!("a port from {} to {}, both included", range.start(), range.end());
                        Err(self.unmet("passive", Why::OutOfRange, &due, &port.to_string(), place))
                    }
                }
            }
            Err(error) => {
                Err(self.unmet("passive", Why::Malformed, "an address", &format!("{}: {error}", line(&reply)), place))
            }
        }
    }

    /// A reply that clients get by with, though it is not as it should be. The script goes on.
    fn tell_inexact(&self, passive: &Passive, text: String, place: Place) {
        let (kind, level) = if passive.exact { (Leaf::Warn, Level::Field) } else { (Leaf::Note, self.level) };
        let what = What::Leaf { kind: kind.word(), text, level: level.word(), place: log_place(place) };
        self.log.push(None, By::Us, what);
    }

    /// Starts a handshake of ours on a connection, and waits for its end.
    pub(crate) async fn handshake_as_client(
        &mut self,
        handshake: &Handshake,
        name: &str,
        connection: &Connection,
        place: Place,
    ) -> Result<(), Stop> {
        let (session, data) = (self.session.clone(), !self.is_control(name));
        let (machine, identity) = match self.client()?.machine(&session, data, handshake) {
            Ok(machine) => machine,
            Err(MachineError::Unsupported(text)) => {
                let (kind, level) = (Leaf::Skip.word(), self.level.word());
                self.log.push(None, By::Us, What::Leaf { kind, text, level, place: log_place(place) });
                return Err(Stop::Concluded);
            }
            Err(MachineError::Other(text)) => return Err(Stop::Trouble(text)),
        };
        let from = self.log.len();
        let early = if data { Early::GivenToTls } else { self.client()?.manners.early };
        let start = NetAct::StartTls { machine, identity: identity.clone(), shows: None, early };
        let due = "a finished TLS handshake";
        if let Err(broken) = begin(connection, handshake, start).await {
            return Err(self.after_transfer(name, "handshake", Why::Closed, due, &broken.to_string(), place).await);
        }
        if handshake.only_begins {
            return Ok(());
        }
        let told = self.wait_for_handshake(connection.name(), name, from).await?;
        let (why, came) = match (told, &handshake.otherwise) {
            (Ok(()), _) => return self.check_handshake(handshake, name, connection, identity.as_deref(), place).await,
            (Err(_), Some(otherwise)) => return Box::pin(self.play(otherwise)).await,
            (Err(failure), None) => failure,
        };
        Err(self.after_transfer(name, "handshake", why, due, &came, place).await)
    }

    async fn check_handshake(
        &mut self,
        demands: &Handshake,
        name: &str,
        connection: &Connection,
        certificate: Option<&str>,
        place: Place,
    ) -> Result<(), Stop> {
        let Some(done) = connection.received().handshake.clone() else {
            return Err(Stop::Trouble("a finished handshake without facts".to_owned()));
        };
        let resumed = done.resumed.is_some();
        if demands.resumed == Some(true) && !resumed {
            let due = "the control connection's session, resumed";
            return Err(self.after_transfer(name, "handshake", Why::NotResumed, due, "a full handshake", place).await);
        }
        if demands.resumed == Some(false) && resumed {
            let due = "a full handshake";
            return Err(self.after_transfer(name, "handshake", Why::Resumed, due, "a resumed session", place).await);
        }
        if let Some(identity) = &demands.identity {
            let shown = done.client_certificate == ftpspec_tls::ClientCertificateUse::Sent;
            if certificate != Some(identity) || !(shown || resumed) {
                let due = format!("the certificate {identity}, or a resumption of the session that carried it");
                let came = format!("a full handshake in which no certificate was asked for (ours is {certificate:?})");
                return Err(self.after_transfer(name, "handshake", Why::Identity, &due, &came, place).await);
            }
        }
        Ok(())
    }

    /// What the scenario's acts are made of when the harness itself wants something done: one step at no place.
    #[must_use]
    pub fn step(act: Act) -> Step {
        Step { act, place: Place::default() }
    }
}

/// Octets: enough to see what it is.
const SHOWN_BEHIND: usize = 40;

pub(crate) fn line(reply: &Reply) -> String {
    in_words(&What::Reply { reply: reply.clone(), protected: true, to: String::new() })
}
