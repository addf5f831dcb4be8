//! One session of the reference server: its state, what each command needs, and what it does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ftpspec_net::{Act as NetAct, Carries, Connection, Early, Listener, Setup};
use ftpspec_play::server::{DataConnection, Taken};
use ftpspec_play::{CONTROL, DATA, Player, Seat, ServerSide, Setting, Stop};
use ftpspec_scenario::model::{Act, Answer, Condition, Handshake, Level, Place, Rule, Script, Step};
use ftpspec_scenario::settings::{
    AuthSsl, Ccc, ClientCertificate, CloseNotifyAnswer, CrossCheck, DataAfterCcc, Implicit, Memory, OctetsAfterAuth,
    Permission, Reuse, UnknownLevel, UploadEnd, UploadStored,
};
use ftpspec_tls::{Machine, Reuse12, ServerContext, ServerSettings, Version};
use ftpspec_transcript::{By, Event, Log, What};
use ftpspec_wire::{Command, Reply, parse_eprt_argument, parse_port_argument};
use tokio::net::TcpStream;

use super::Shared;
use super::answers::{About, reply};
use super::tree::{Entry, resolve};

/// How long a client may be silent: longer than any pause of ours.
const IDLE: Duration = Duration::from_secs(300);

/// Serves one client until it leaves.
pub(crate) async fn run(socket: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let log = Log::new(Instant::now());
    let control: Arc<str> = Arc::from(CONTROL);
    log.push(Some(&control), By::Us, What::Accepted { from });
    let setup =
        Setup { name: control, carries: Carries::Commands, log: Arc::clone(&log), keep: 0, names: Arc::new(|_| None) };
    // A client that is gone already needs no server.
    let Ok(connection) = Connection::new(socket, setup) else { return };
    let session = Arc::new(Session {
        shared: Arc::clone(&shared),
        ip: connection.local().ip(),
        peer_ip: from.ip(),
        log: Arc::clone(&log),
        state: Mutex::default(),
    });
    let setting = Setting {
        log: Arc::clone(&log),
        limits: shared.limits,
        names: Arc::new(|_| None),
        level: Level::Must,
        variables: BTreeMap::new(),
        passive_ports: None,
    };
    let mut player = Player::new(Seat::Server(Arc::clone(&session) as Arc<dyn ServerSide>), setting);
    player.adopt(CONTROL, connection.clone(), 0);
    if greet(&mut player, &session).await.is_err() {
        return;
    }
    while let Some(command) = next_command(&connection, &log).await {
        let verb = command.verb.clone();
        let script = session.script_for(command);
        let played = player.play(&script).await;
        player.let_go(DATA);
        // Behind a control handshake that failed there is nobody to talk to.
        if verb == "QUIT" || (verb == "AUTH" && played.is_err() && session.handshake_failed()) {
            break;
        }
    }
}

async fn greet(player: &mut Player, session: &Session) -> Result<(), Stop> {
    let handshake = step(Act::Handshake(Handshake::plain_on(CONTROL)));
    let greeting = session.rule("greeting").unwrap_or_else(|| vec![answer(220)]);
    let script: Script = match session.shared.settings.implicit {
        Implicit::No => greeting,
        Implicit::Yes => std::iter::once(handshake).chain(greeting).collect(),
        Implicit::GreetsInClear => greeting.into_iter().chain([handshake]).collect(),
    };
    player.play(&script).await
}

/// The next command, or none once the client has left.
async fn next_command(connection: &Connection, log: &Log) -> Option<Command> {
    connection.act(NetAct::NextCommand).await.ok()?;
    let left = |event: &Event| {
        event.by == By::Peer
            && event.connection.as_ref() == Some(connection.name())
            && matches!(event.what, What::Malformed { .. } | What::Fin { .. } | What::Rst)
    };
    let found = log.wait(|events| {
        let command = connection.received().command.take();
        if command.is_some() { Some(command) } else { events.iter().any(left).then_some(None) }
    });
    tokio::time::timeout(IDLE, found).await.ok().flatten()
}

struct Session {
    shared: Arc<Shared>,
    /// Our address, for passive mode.
    ip: IpAddr,
    /// The client's address, the only one that active mode goes to.
    peer_ip: IpAddr,
    log: Arc<Log>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    verb: String,
    argument: String,
    /// The path that the command in hand is about.
    path: String,
    payload: Arc<[u8]>,
    times: BTreeMap<String, u32>,
    /// TLS is up on the control connection.
    protected: bool,
    after_ccc: bool,
    user: Option<String>,
    logged_in: bool,
    pbsz: bool,
    private: bool,
    folder: String,
    data: Option<DataWay>,
    context: Option<Arc<ServerContext>>,
    /// The client's leaf certificate in the control connection's handshake.
    control_certificate: Option<Vec<u8>>,
    control_was_protected: bool,
}

/// How the next data connection comes about.
enum DataWay {
    Passive(Arc<Listener>),
    Active(SocketAddr),
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handshake_failed(&self) -> bool {
        !self.state().protected
    }

    /// The rule for this word that applies now.
    fn rule(&self, on: &str) -> Option<Script> {
        let state = self.state();
        let rule = self.shared.rules.iter().find(|rule| applies(rule, on, &state, self))?;
        self.shared.fired.fetch_add(1, Ordering::Relaxed);
        self.log.push(None, By::Us, What::RuleFired { on: on.to_owned() });
        Some(rule.script.clone())
    }

    /// What is to be done for a command: what it lacks is answered, else its script is played.
    fn script_for(&self, command: Command) -> Script {
        {
            let mut state = self.state();
            state.argument = command.argument.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            state.verb = match command.verb.as_str() {
                // RFC 775's names for the same commands.
                "XPWD" => "PWD".to_owned(),
                "XCWD" => "CWD".to_owned(),
                _ => command.verb,
            };
            let folder = if state.folder.is_empty() { "/".to_owned() } else { state.folder.clone() };
            state.path = resolve(&folder, &argument_path(&state));
            let verb = state.verb.clone();
            *state.times.entry(verb).or_default() += 1;
        }
        let verb = self.state().verb.clone();
        if let Some(script) = self.rule(&verb) {
            self.prepare(&verb);
            return script;
        }
        match self.lacks(&verb) {
            Some(code) => {
                // A refused transfer needs its data connection no more; a client that has made it learns so at once.
                if matches!(verb.as_str(), "RETR" | "STOR" | "LIST" | "NLST" | "MLSD") {
                    self.state().data = None;
                }
                vec![answer(code)]
            }
            None => {
                self.prepare(&verb);
                let correct = self.shared.correct.iter().find(|rule| rule.on == verb);
                correct.map_or_else(|| vec![answer(self.code_for(&verb))], |rule| rule.script.clone())
            }
        }
    }

    /// The code of the refusal that is due before a command can be carried out.
    fn lacks(&self, verb: &str) -> Option<u16> {
        let state = self.state();
        let settings = &self.shared.settings;
        match verb {
            "AUTH" => match state.argument.to_ascii_uppercase().as_str() {
                "" => Some(501),
                _ if state.protected => Some(503),
                "TLS" | "TLS-C" => None,
                "SSL" if settings.auth_ssl == AuthSsl::Accepted => None,
                _ => Some(504),
            },
            "USER" => {
                (!state.protected && settings.clear_login == Permission::Refused && !state.after_ccc).then_some(530)
            }
            "PASS" => match &state.user {
                None => Some(503),
                Some(user) => {
                    let right = *user == self.shared.user && state.argument == self.shared.password.reveal();
                    (!right).then_some(530)
                }
            },
            "PBSZ" if !state.protected => Some(503),
            "PBSZ" => state.argument.parse::<u32>().is_err().then_some(501),
            "PROT" => self.prot_lacks(&state),
            "CCC" if !state.protected => Some(533),
            "CCC" if !state.logged_in => Some(534),
            "CCC" => match settings.ccc {
                Ccc::Allowed => None,
                Ccc::Refused => Some(534),
                Ccc::Unknown => Some(500),
            },
            "RETR" | "STOR" | "LIST" | "NLST" | "MLSD" => self.transfer_lacks(verb, &state),
            "PWD" | "CWD" | "CDUP" | "TYPE" | "MODE" | "STRU" | "SIZE" | "DELE" | "EPSV" | "PASV" | "PORT" | "EPRT"
                if !state.logged_in =>
            {
                Some(530)
            }
            _ => None,
        }
    }

    fn prot_lacks(&self, state: &State) -> Option<u16> {
        let level = state.argument.to_ascii_uppercase();
        if !state.protected || (!state.pbsz && self.shared.settings.prot_before_pbsz == Permission::Refused) {
            return Some(503);
        }
        match level.as_str() {
            "" => Some(501),
            "C" | "P" => None,
            "S" | "E" => match self.shared.settings.unknown_level {
                UnknownLevel::Refused | UnknownLevel::RefusedAndClear => Some(536),
                UnknownLevel::MeansClear | UnknownLevel::MeansPrivate => None,
            },
            _ => Some(504),
        }
    }

    fn transfer_lacks(&self, verb: &str, state: &State) -> Option<u16> {
        if !state.logged_in {
            return Some(530);
        }
        // 4217 §10.2: checked at the transfer command, before any 1yz.
        if !state.private && self.shared.settings.clear_data == Permission::Refused {
            return Some(521);
        }
        let there = self.shared.tree.at(&state.path);
        let refused = match verb {
            "RETR" => !matches!(there, Some(Entry::File(_))),
            "STOR" => return if !self.shared.tree.may_write(&state.path) { Some(553) } else { no_way(state) },
            _ => there.is_none(),
        };
        if refused { Some(550) } else { no_way(state) }
    }

    /// The code with which a command that lacks nothing is answered.
    fn code_for(&self, verb: &str) -> u16 {
        let mut state = self.state();
        match verb {
            "USER" => 331,
            "PASS" => 230,
            "PBSZ" | "PROT" | "NOOP" | "TYPE" | "MODE" | "STRU" | "OPTS" => 200,
            "FEAT" | "STAT" => 211,
            "SYST" => 215,
            "HELP" => 214,
            "PWD" => 257,
            "CWD" | "CDUP" => {
                if verb == "CDUP" {
                    state.path = resolve(&state.folder, "..");
                }
                if matches!(self.shared.tree.at(&state.path), Some(Entry::Folder)) { 250 } else { 550 }
            }
            "SIZE" => match self.shared.tree.at(&state.path) {
                Some(Entry::File(octets)) => {
                    state.payload = octets;
                    213
                }
                _ => 550,
            },
            "DELE" => {
                if self.shared.tree.remove(&state.path) {
                    250
                } else {
                    550
                }
            }
            "EPSV" => match state.argument.as_str() {
                "" => self.listen(&mut state, 229),
                "1" if self.ip.is_ipv4() => self.listen(&mut state, 229),
                "2" if self.ip.is_ipv6() => self.listen(&mut state, 229),
                argument if argument.eq_ignore_ascii_case("ALL") => 200,
                argument if argument.parse::<u32>().is_ok() => 522,
                _ => 501,
            },
            "PASV" if self.ip.is_ipv4() => self.listen(&mut state, 227),
            "PASV" => 425,
            "PORT" => {
                let to = parse_port_argument(state.argument.as_bytes()).map(SocketAddr::V4);
                self.aim(&mut state, to.ok())
            }
            "EPRT" => {
                let to = parse_eprt_argument(state.argument.as_bytes());
                self.aim(&mut state, to.ok())
            }
            "ABOR" => 225,
            _ => 500,
        }
    }

    fn listen(&self, state: &mut State, code: u16) -> u16 {
        match Listener::bind(SocketAddr::new(self.ip, 0)) {
            Ok(listener) => {
                state.data = Some(DataWay::Passive(Arc::new(listener)));
                code
            }
            Err(_) => 425,
        }
    }

    /// Active mode goes to the client's own address and to no low port (RFC 2577 §3).
    fn aim(&self, state: &mut State, to: Option<SocketAddr>) -> u16 {
        match to {
            None => 501,
            Some(to) if to.ip() != self.peer_ip || to.port() < 1024 => 504,
            Some(to) => {
                state.data = Some(DataWay::Active(to));
                200
            }
        }
    }

    /// Gathers the octets that a transfer is about.
    fn prepare(&self, verb: &str) {
        let mut state = self.state();
        let payload = match (verb, self.shared.tree.at(&state.path)) {
            ("RETR", Some(Entry::File(octets))) => octets,
            ("LIST" | "NLST" | "MLSD", Some(Entry::Folder)) => Arc::from(self.listing(verb, &state.path).into_bytes()),
            _ => Arc::from([]),
        };
        state.payload = payload;
    }

    fn listing(&self, verb: &str, folder: &str) -> String {
        let mut listing = String::new();
        for (name, entry) in self.shared.tree.list(folder) {
            let (kind, mode, size) = match entry {
                Entry::Folder => ("dir", 'd', 0),
                Entry::File(octets) => ("file", '-', octets.len()),
            };
            _ = match verb {
                "NLST" => write!(listing, "{name}\r\n"),
                "MLSD" => write!(listing, "type={kind};size={size}; {name}\r\n"),
                _ => write!(listing, "{mode}rw-r--r-- 1 ftp ftp {size:>10} Jan  1  2000 {name}\r\n"),
            };
        }
        listing
    }

    fn new_context(&self) -> Result<Arc<ServerContext>, String> {
        let shared = &self.shared;
        let settings = &shared.settings;
        let roots = || shared.pki.ca_pem().map_err(|error| error.to_string());
        let client_certificate = match settings.client_certificate {
            ClientCertificate::NotAsked => ftpspec_tls::ClientCertificate::NotAsked,
            ClientCertificate::Asked => ftpspec_tls::ClientCertificate::Asked { roots: roots()? },
            ClientCertificate::Demanded => ftpspec_tls::ClientCertificate::Demanded { roots: roots()? },
        };
        let gives = !matches!(settings.reuse, Reuse::None);
        let context = ServerContext::new(
            shared.engine,
            ServerSettings {
                versions: Version::Tls12..=Version::Tls13,
                identity: shared.pki.identity("server").map_err(|error| error.to_string())?,
                client_certificate,
                tickets: if gives { usize::from(settings.tickets) } else { 0 },
                reuse_tls12: if gives && settings.tickets > 0 { Reuse12::Ticket } else { Reuse12::None },
                alpn: Vec::new(),
                old_suites: false,
                key_log: None,
            },
        );
        context.map(Arc::new).map_err(|error| error.to_string())
    }
}

impl ServerSide for Session {
    fn reply(&self, code: u16) -> Reply {
        let state = self.state();
        let passive = match &state.data {
            Some(DataWay::Passive(listener)) => Some(listener.address()),
            _ => None,
        };
        let folder = if state.folder.is_empty() { "/" } else { &state.folder };
        let size = Some(state.payload.len());
        reply(code, &About { verb: &state.verb, argument: &state.argument, folder, size, passive })
    }

    fn answered(&self, code: u16) {
        let mut state = self.state();
        let (verb, argument) = (state.verb.clone(), state.argument.to_ascii_uppercase());
        match (verb.as_str(), code / 100) {
            // 4217 §4.2: everything begins anew.
            ("AUTH", 2) => *state = State { verb: state.verb.clone(), times: state.times.clone(), ..State::default() },
            ("USER", 2 | 3) => {
                state.user = Some(state.argument.clone());
                state.logged_in = code == 230 || code == 232;
            }
            ("PASS", 2) => state.logged_in = true,
            ("PBSZ", 2) => state.pbsz = true,
            ("PROT", 2) => {
                state.private = match argument.as_str() {
                    "P" => true,
                    "C" => false,
                    "S" | "E" if self.shared.settings.unknown_level == UnknownLevel::MeansClear => false,
                    "S" | "E" if self.shared.settings.unknown_level == UnknownLevel::MeansPrivate => true,
                    _ => state.private,
                };
            }
            ("PROT", 5) if self.shared.settings.unknown_level == UnknownLevel::RefusedAndClear => {
                state.private = false;
            }
            ("CWD" | "CDUP", 2) => state.folder = state.path.clone(),
            _ => {}
        }
    }

    fn payload(&self) -> Arc<[u8]> {
        Arc::clone(&self.state().payload)
    }

    fn store(&self, octets: Vec<u8>, whole: bool) {
        let path = self.state().path.clone();
        self.log.push(None, By::Us, What::File { name: path.clone(), octets: octets.len() as u64, whole });
        let mut octets = octets;
        if self.shared.settings.upload_stored == UploadStored::FirstHalf {
            octets.truncate(octets.len() / 2);
        }
        if whole {
            self.shared.tree.write(&path, octets);
        }
    }

    fn protects_data(&self) -> bool {
        let state = self.state();
        state.private && !(state.after_ccc && self.shared.settings.data_after_ccc == DataAfterCcc::Clear)
    }

    fn machine(&self, data: bool) -> Result<Box<dyn Machine>, String> {
        // One context for each control session: sessions of others are none of its own.
        let context = match (data, self.state().context.clone()) {
            // The lie `declined`: sessions are given out, and known to nobody.
            (true, Some(_)) if self.shared.settings.reuse == Reuse::Declined => self.new_context()?,
            (true, Some(context)) => context,
            _ => self.new_context()?,
        };
        if !data {
            self.state().context = Some(Arc::clone(&context));
        }
        context.accept().map_err(|error| error.to_string())
    }

    fn check(&self, data: bool, handshake: &ftpspec_tls::Handshake) -> Result<(), Reply> {
        let certificate = handshake.peer_chain.first().cloned();
        if !data {
            let mut state = self.state();
            state.protected = true;
            state.control_was_protected = true;
            state.control_certificate = certificate;
            return Ok(());
        }
        let settings = &self.shared.settings;
        let (after_ccc, control) = {
            let state = self.state();
            (state.after_ccc, state.control_certificate.clone())
        };
        let forgotten = after_ccc && settings.reuse_after_ccc == Memory::Forgotten;
        if settings.reuse == Reuse::Demanded && (handshake.resumed.is_none() || forgotten) {
            return Err(self.reply(522));
        }
        let same = match settings.certificate_cross_check {
            CrossCheck::None => true,
            // A resumed session is the control connection's own.
            CrossCheck::Remembered => handshake.resumed.is_some() || certificate == control,
            CrossCheck::Live => !after_ccc && (handshake.resumed.is_some() || certificate == control),
        };
        if same { Ok(()) } else { Err(Reply::new(534, "TLS negotiation failed -- data connection closed")) }
    }

    fn take_data_connection(&self) -> DataConnection {
        let way = self.state().data.take();
        Box::pin(async move {
            match way {
                Some(DataWay::Passive(listener)) => {
                    let (socket, from) = listener.accept().await?;
                    Ok((socket, Taken::Accepted(from)))
                }
                Some(DataWay::Active(to)) => Ok((ftpspec_net::connect(to, None).await?, Taken::Connected(to))),
                None => Err(std::io::ErrorKind::NotConnected.into()),
            }
        })
    }

    fn early(&self) -> Early {
        match self.shared.settings.octets_after_auth {
            OctetsAfterAuth::GivenToTls => Early::GivenToTls,
            OctetsAfterAuth::Discarded => Early::Dropped,
            OctetsAfterAuth::Run => Early::Kept,
        }
    }

    fn answers_close_notify(&self) -> bool {
        self.shared.settings.close_notify_answer == CloseNotifyAnswer::AtOnce
    }

    fn wants_close_notify(&self) -> bool {
        self.shared.settings.upload_end == UploadEnd::CloseNotify
    }

    fn cleared(&self) {
        let mut state = self.state();
        state.protected = false;
        state.after_ccc = true;
    }
}

/// `LIST -la folder`: options are no part of the path.
fn argument_path(state: &State) -> String {
    let argument = state.argument.as_str();
    if matches!(state.verb.as_str(), "LIST" | "NLST") {
        let words: Vec<_> = argument.split(' ').skip_while(|word| word.starts_with('-')).collect();
        return words.join(" ");
    }
    argument.to_owned()
}

fn no_way(state: &State) -> Option<u16> {
    state.data.is_none().then_some(425)
}

fn applies(rule: &Rule, on: &str, state: &State, session: &Session) -> bool {
    let Condition { argument, file, nth, protected } = &rule.condition;
    rule.on.eq_ignore_ascii_case(on)
        && argument.as_ref().is_none_or(|due| *due == state.argument)
        && nth.is_none_or(|nth| state.times.get(on) == Some(&nth))
        && protected.is_none_or(|protected| protected == state.protected)
        && file.as_deref().is_none_or(|due| {
            let length = match session.shared.tree.at(&state.path) {
                Some(Entry::File(octets)) => Some(octets.len()),
                Some(Entry::Folder) => Some(session.shared.tree.list(&state.path).len()),
                None => None,
            };
            due == match length {
                Some(0) => "empty",
                Some(_) => "not-empty",
                None => "missing",
            }
        })
}

fn step(act: Act) -> Step {
    Step { act, place: Place::default() }
}

fn answer(code: u16) -> Step {
    step(Act::Answer(Answer::Code(code)))
}
