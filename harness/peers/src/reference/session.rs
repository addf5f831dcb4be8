//! One session of the reference server: its state, what each command needs, and what it does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ftpspec_net::{Act as NetAct, Carries, Connection, Early, Listener, Names, Setup};
use ftpspec_play::server::{DataConnection, Taken};
use ftpspec_play::{CONTROL, Counters, DATA, Player, Seat, ServerSide, Setting, Stop};
use ftpspec_scenario::model::{Act, Answer, Condition, Handshake, Level, Place, Rule, Script, Step};
use ftpspec_scenario::settings::{
    AbortReplies, ActiveSource, Aftermath, Attention, CloseNotifyAnswer, Company, DataAfterCcc, Implicit, LineEnds,
    OctetsAfterAuth, Rein, Reuse, ServerCertificate, UnknownLevel, UploadEnd, UploadStored,
};
use ftpspec_tls::{Machine, ServerContext};
use ftpspec_transcript::{By, Event, Log, What};
use ftpspec_wire::{Command, Reply};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use super::Shared;
use super::answers::{About, reply};
use super::session_log::SessionLogs;
use super::tree::{Entry, resolve};

/// Of this host, and not the one that clients find the server at.
const ANOTHER_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// How long a client may be silent: longer than any pause of ours.
const IDLE: Duration = Duration::from_secs(300);

/// Serves one client until it leaves.
pub(crate) async fn run(socket: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    // Whoever follows the session learns of its end when this goes.
    let (log, names, _over) = match &shared.log {
        Some(logs) => logs.begin(from, &shared.password),
        None => (Log::new(Instant::now()), Arc::new(|_: &[u8]| None) as Names, None),
    };
    let is_common = matches!(shared.log, Some(SessionLogs::Common(..)));
    let made = if is_common { shared.made.clone() } else { Counters::default() };
    let control = made.next(CONTROL);
    log.push(Some(&control), By::Us, What::Accepted { from });
    let setup =
        Setup { name: control, carries: Carries::Commands, log: Arc::clone(&log), keep: 0, names: Arc::clone(&names) };
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
        names,
        level: Level::Must,
        variables: BTreeMap::new(),
        passive_ports: None,
        made,
    };
    let mut player = Player::new(Seat::Server(Arc::clone(&session) as Arc<dyn ServerSide>), setting);
    player.adopt(CONTROL, connection.clone(), 0);
    if shared.settings.line_ends == LineEnds::Together {
        _ = connection.act(NetAct::WholeLinesOnly).await;
    }
    if greet(&mut player, &session).await.is_err() {
        return;
    }
    let mut ahead = None;
    loop {
        let next = match ahead.take() {
            Some(next) => next,
            None => next_command(&connection, &log).await,
        };
        match next {
            Next::Command(command) => {
                let verb = command.verb.clone();
                let script = session.script_for(command);
                let played;
                (played, ahead) = play(&mut player, &session, &connection, &script, &verb).await;
                if let Err(Stop::Trouble(text)) = &played {
                    log.push(None, By::Us, What::Trouble { text: format!("the script for {verb}: {text}") });
                }
                player.let_go(DATA);
                if session.is_over(&verb, &played) {
                    break;
                }
            }
            Next::TooLong if session.shared.settings.long_line == Aftermath::LivesOn => {
                _ = player.play(&vec![answer(500)]).await;
            }
            Next::TooLong | Next::Left => break,
        }
    }
    // What the client does with its data connections is part of the session.
    drop(connection);
    player.see_out().await;
}

/// Plays a command's script. During a transfer the next command is heard too: ABOR ends the transfer, any other waits.
async fn play(
    player: &mut Player,
    session: &Session,
    connection: &Connection,
    script: &Script,
    verb: &str,
) -> (Result<(), Stop>, Option<Next>) {
    if !TRANSFERS.contains(&verb) {
        return (player.play(script).await, None);
    }
    let abort = {
        let mut playing = std::pin::pin!(player.play(script));
        let next = tokio::select! {
            played = &mut playing => return (played, None),
            next = next_command(connection, &session.log) => next,
        };
        match next {
            Next::Command(command) if command.verb == "ABOR" => session.script_of_abort(command),
            other => return (playing.await, Some(other)),
        }
    };
    if let Some(data) = player.connection(DATA) {
        _ = data.act(NetAct::Rst).await;
    }
    (player.play(&abort).await, None)
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

/// What a client does next.
enum Next {
    /// It sends a command.
    Command(Command),
    /// It sends a line that is too long for anybody.
    TooLong,
    /// It leaves, or says nothing for ever.
    Left,
}

async fn next_command(connection: &Connection, log: &Log) -> Next {
    // A script may have waited for it.
    if let Some(command) = connection.received().command.take() {
        return Next::Command(command);
    }
    let from = log.len();
    if connection.act(NetAct::NextCommand).await.is_err() {
        return Next::Left;
    }
    let here = |event: &Event| event.by == By::Peer && event.connection.as_ref() == Some(connection.name());
    let found = log.wait(|events| {
        if let Some(command) = connection.received().command.take() {
            return Some(Next::Command(command));
        }
        let recent = events.get(from..)?;
        if recent.iter().any(|event| here(event) && matches!(event.what, What::Malformed { .. })) {
            return Some(Next::TooLong);
        }
        events
            .iter()
            .any(|event| here(event) && matches!(event.what, What::Fin { .. } | What::Rst))
            .then_some(Next::Left)
    });
    tokio::time::timeout(IDLE, found).await.unwrap_or(Next::Left)
}

/// Commands during which another may come.
const TRANSFERS: &[&str] = &["RETR", "STOR", "LIST", "NLST", "MLSD"];

pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    /// Our address, for passive mode.
    pub(super) ip: IpAddr,
    /// The client's address, the only one that active mode goes to.
    pub(super) peer_ip: IpAddr,
    log: Arc<Log>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) verb: String,
    pub(super) argument: String,
    /// The path that the command in hand is about.
    pub(super) path: String,
    pub(super) payload: Arc<[u8]>,
    pub(super) times: BTreeMap<String, u32>,
    /// TLS is up on the control connection.
    pub(super) protected: bool,
    pub(super) after_ccc: bool,
    pub(super) user: Option<String>,
    pub(super) logged_in: bool,
    pub(super) pbsz: bool,
    pub(super) private: bool,
    pub(super) folder: String,
    pub(super) data: Option<DataWay>,
    /// Listeners that nobody came to, where the settings lie so.
    pub(super) unused: Vec<DataWay>,
    pub(super) context: Option<Arc<ServerContext>>,
    /// The client's leaf certificate in the control connection's handshake.
    pub(super) control_certificate: Option<Vec<u8>>,
    pub(super) epsv_all: bool,
}

/// How the next data connection comes about.
pub(super) enum DataWay {
    Passive(Arc<Listener>),
    Active(SocketAddr),
}

impl Session {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing more is to be said to this client.
    fn is_over(&self, verb: &str, played: &Result<(), Stop>) -> bool {
        match verb {
            "QUIT" => true,
            // Behind a control handshake that failed there is nobody to talk to.
            "AUTH" => played.is_err() && !self.state().protected,
            verb if TRANSFERS.contains(&verb) => {
                played.is_err() && self.shared.settings.after_data_failure == Aftermath::Closed
            }
            _ => false,
        }
    }

    /// The rule for this word that applies now.
    fn rule(&self, on: &str) -> Option<Script> {
        let state = self.state();
        let at = self.shared.rules.iter().position(|rule| applies(rule, on, &state, self))?;
        self.shared.fired.add(at);
        self.log.push(None, By::Us, What::RuleFired { on: on.to_owned() });
        Some(self.shared.rules[at].script.clone())
    }

    /// 959 §4.1.3: 426 for the transfer, and 226 for the ABOR that ended it, unless a rule has another answer to that.
    fn script_of_abort(&self, command: Command) -> Script {
        let correct = vec![answer(225)];
        let own = self.script_for(command);
        let to_abort = if own == correct { vec![answer(226)] } else { own };
        let to_transfer = vec![answer(426)];
        match self.shared.settings.abort_replies {
            AbortReplies::TransferFirst => [to_transfer, to_abort].concat(),
            AbortReplies::AborFirst => [to_abort, to_transfer].concat(),
        }
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
                if TRANSFERS.contains(&verb.as_str()) {
                    self.state().data = None;
                }
                vec![answer(code)]
            }
            None => {
                self.prepare(&verb);
                let correct = self.shared.correct.iter().find(|rule| rule.on == verb);
                correct.map_or_else(|| self.short_script(&verb), |rule| rule.script.clone())
            }
        }
    }

    /// The correct reply with this code to the command in hand.
    pub(super) fn own_reply(&self, code: u16) -> Reply {
        let state = self.state();
        let passive = match &state.data {
            Some(DataWay::Passive(listener)) => Some(listener.address()),
            _ => None,
        };
        let folder = if state.folder.is_empty() { "/" } else { &state.folder };
        let size = Some(state.payload.len());
        reply(code, &About { verb: &state.verb, argument: &state.argument, folder, size, passive })
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
}

impl ServerSide for Session {
    fn reply(&self, code: u16) -> Reply {
        self.own_reply(code)
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
            ("EPSV", 2) if argument == "ALL" => {
                state.epsv_all = self.shared.settings.epsv_all == Attention::Heeded;
            }
            // 4217 §13: as if the client had just connected; TLS ends behind the reply.
            ("REIN", 2) => {
                let kept = std::mem::take(&mut *state);
                state.verb = kept.verb;
                state.times = kept.times;
                state.protected = kept.protected;
                state.logged_in = kept.logged_in && self.shared.settings.rein == Rein::KeepsLogin;
            }
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
        let sha256 = hex::encode(Sha256::digest(&octets));
        self.log.push(None, By::Us, What::File { name: path.clone(), octets: octets.len() as u64, sha256, whole });
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
        let context = match (data, self.state().context.clone()) {
            // The lie `declined`: sessions are given out, and known to nobody.
            (true, Some(_)) if self.shared.settings.reuse == Reuse::Declined => {
                self.new_context(self.shared.settings.certificate)?
            }
            // Whoever resumed would never be shown it.
            (true, _) if let Some(certificate) = self.shared.settings.data_certificate => {
                self.new_context(certificate)?
            }
            (true, Some(context)) => context,
            _ => self.control_context()?,
        };
        if !data {
            self.state().context = Some(Arc::clone(&context));
        }
        context.accept().map_err(|error| error.to_string())
    }

    fn shows(&self, data: bool) -> Option<String> {
        let settings = &self.shared.settings;
        let certificate = settings.data_certificate.filter(|_| data).unwrap_or(settings.certificate);
        (certificate != ServerCertificate::Usual).then(|| certificate.word().to_owned())
    }

    fn check(&self, data: bool, handshake: &ftpspec_tls::Handshake) -> Result<(), Reply> {
        if data {
            return self.check_data(handshake);
        }
        let mut state = self.state();
        state.protected = true;
        state.control_certificate = handshake.peer_chain.first().cloned();
        Ok(())
    }

    fn listens(&self, listener: Listener) {
        self.state().data = Some(DataWay::Passive(Arc::new(listener)));
    }

    fn take_data_connection(&self) -> DataConnection {
        let way = self.state().data.take();
        let (peer, anybody) = (self.peer_ip, self.shared.settings.data_source == Company::Anybody);
        let another = self.shared.settings.active_source == ActiveSource::Another;
        let from = (another && self.ip.is_ipv4()).then_some(ANOTHER_ADDRESS);
        Box::pin(async move {
            match way {
                Some(DataWay::Passive(listener)) => loop {
                    let (socket, from) = listener.accept().await?;
                    // A stranger who was faster is sent away (RFC 2577 §4 and §8).
                    if anybody || from.ip() == peer {
                        return Ok((socket, Taken::Accepted(from)));
                    }
                },
                Some(DataWay::Active(to)) => Ok((ftpspec_net::connect(to, from).await?, Taken::Connected(to))),
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
        state.after_ccc = state.verb == "CCC";
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

pub(super) fn step(act: Act) -> Step {
    Step { act, place: Place::default() }
}

pub(super) fn answer(code: u16) -> Step {
    step(Act::Answer(Answer::Code(code)))
}
