//! What each act does. The acts of both sides stand here; those that only a client has are in [`crate::client`].

use std::sync::Arc;
use std::time::Duration;

use ftpspec_net::limits::LARGEST_UPLOAD;
use ftpspec_net::{Act as NetAct, Carries, Connection, Listener, Setup};
use ftpspec_scenario::model::{
    Act, Answer, By as PatternBy, EventKind, Handshake, Leaf, Name, Pattern, Payload, Place, Receive, ReplyKey,
    ReplyMatch, Script, Template,
};
use ftpspec_transcript::{By, Event, What};
use ftpspec_wire::{CodePattern, Reply, listed_codes, pasv_digits};
use sha2::{Digest, Sha256};

use crate::client::line;
use crate::pattern::{is_called, matches};
use crate::server::Taken;
use crate::waiting::{Waited, in_words, is_end, is_final_reply};
use crate::{CONTROL, DATA, Player, Seat, Stop, fixture, log_place};

impl Player {
    pub(crate) async fn perform(&mut self, act: &Act, place: Place) -> Result<(), Stop> {
        match act {
            Act::Connect(connect) => self.connect(connect, place).await,
            Act::Send(text) => self.send_command(text, place).await,
            Act::Answer(answer) => self.answer(answer, place).await,
            Act::Plain { on, octets } => self.plain(on.as_ref(), octets, place).await,
            Act::Together(script) => self.together(script, place).await,
            Act::Record { on, content_type, octets } => {
                let octets = self.octets(octets)?;
                self.order(on.as_ref(), "record", NetAct::Record { content_type: *content_type, octets }, place).await
            }
            Act::Login(login) => self.login(login, place).await,
            Act::Handshake(handshake) => self.handshake(handshake, place).await,
            Act::Open(command) => self.open(command, place).await,
            Act::Passive(command) => self.passive(command, place).await,
            Act::Listen { name } => self.listen(name),
            Act::Accept => self.accept(place).await,
            Act::Deliver { on, payload } => self.deliver(on.as_ref(), payload, place).await,
            Act::Receive(receive) => self.receive(receive, place).await,
            Act::CloseNotify(on) => self.end(on.as_ref(), NetAct::CloseNotify).await,
            Act::Fin(on) => self.end(on.as_ref(), NetAct::Fin).await,
            Act::Rst(on) => self.order(on.as_ref(), "RST", NetAct::Rst, place).await,
            Act::Clear(on) => self.clear(on.as_ref(), place).await,
            Act::Hold(on) => self.order(on.as_ref(), "hold", NetAct::Hold, place).await,
            Act::Release(on) => self.order(on.as_ref(), "release", NetAct::Release, place).await,
            Act::Mute(on) => self.order(on.as_ref(), "mute", NetAct::Mute, place).await,
            Act::Pause(lasts) => {
                tokio::time::sleep(*lasts).await;
                Ok(())
            }
            Act::Silence { on, lasts } => self.silence(on.as_ref(), *lasts, place).await,
            Act::Reply(due) => self.reply(due, place).await,
            Act::Await { branches } => self.awaits(branches, place).await,
            Act::Either(scripts) => self.either(scripts, place).await,
            Act::Judged { level, script } => {
                let outside = std::mem::replace(&mut self.level, *level);
                let result = self.play(script).await;
                self.level = outside;
                result
            }
            Act::Within { limit, script } => match tokio::time::timeout(*limit, self.play(script)).await {
                Ok(result) => result,
                Err(_) => {
                    Err(self.unmet("within", "timeout", &format!("all this in {limit:?}"), "not all of it", place))
                }
            },
            Act::Leaf(leaf, text) => self.conclude(*leaf, text, place),
        }
    }

    fn conclude(&mut self, leaf: Leaf, text: &str, place: Place) -> Result<(), Stop> {
        let text = String::from_utf8_lossy(&self.octets(&Template(text.to_owned()))?).into_owned();
        let what = What::Leaf { kind: leaf.word(), text, level: self.level.word(), place: log_place(place) };
        self.log.push(None, By::Us, what);
        match leaf {
            Leaf::Note | Leaf::Warn => Ok(()),
            Leaf::Fail | Leaf::Skip | Leaf::Untestable => Err(Stop::Concluded),
        }
    }

    // Connections and octets.

    fn named(&self, on: Option<&Name>) -> Result<Connection, Stop> {
        let name = on.unwrap_or(&self.current);
        self.connection(name).cloned().ok_or_else(|| Stop::Trouble(format!("there is no connection {name}")))
    }

    /// Does one act of the connection; the connection becomes the current one.
    async fn order(&mut self, on: Option<&Name>, word: &'static str, act: NetAct, place: Place) -> Result<(), Stop> {
        let connection = self.named(on)?;
        if let Some(on) = on {
            on.clone_into(&mut self.current);
        }
        match connection.act(act).await {
            Ok(()) => Ok(()),
            Err(broken) => Err(self.unmet(word, "closed", "an open connection", &broken.to_string(), place)),
        }
    }

    /// Ends our direction. Where the connection is gone already there is nothing to end; what follows tells why.
    async fn end(&mut self, on: Option<&Name>, act: NetAct) -> Result<(), Stop> {
        let connection = self.named(on)?;
        if let Some(on) = on {
            on.clone_into(&mut self.current);
        }
        _ = connection.act(act).await;
        Ok(())
    }

    /// The octets of a text, with its variables filled in.
    pub(crate) fn octets(&self, template: &Template) -> Result<Vec<u8>, Stop> {
        let mut octets = Vec::with_capacity(template.0.len());
        let mut rest = template.0.as_str();
        while let Some(at) = rest.find("${") {
            octets.extend_from_slice(&rest.as_bytes()[..at]);
            let Some(length) = rest[at..].find('}') else { break };
            let name = &rest[at + 2..at + length];
            octets.extend_from_slice(&self.variable(name)?);
            rest = &rest[at + length + 1..];
        }
        octets.extend_from_slice(rest.as_bytes());
        Ok(octets)
    }

    pub(crate) fn text(&self, template: &Template) -> Result<String, Stop> {
        Ok(String::from_utf8_lossy(&self.octets(template)?).into_owned())
    }

    fn variable(&self, name: &str) -> Result<Vec<u8>, Stop> {
        if let Some(value) = self.variables.get(name) {
            return Ok(value.clone());
        }
        let listener = name.split_once('.').and_then(|(name, what)| Some((self.listeners.get(name)?.address(), what)));
        match listener {
            Some((address, "port")) => Ok(address.port().to_string().into_bytes()),
            Some((std::net::SocketAddr::V4(address), "PORT")) => Ok(pasv_digits(address).into_bytes()),
            _ => Err(Stop::Trouble(format!("nothing is known of ${{{name}}}"))),
        }
    }

    fn payload(&self, payload: &Payload) -> Result<Arc<[u8]>, Stop> {
        let whole = |name: &Option<String>| match (name, &self.seat) {
            (Some(name), _) => {
                fixture::content(name).ok_or_else(|| Stop::Trouble(format!("there is no fixture {name}")))
            }
            (None, Seat::Server(side)) => Ok(side.payload()),
            (None, Seat::Client(_)) => Err(Stop::Trouble("a client must say which file".to_owned())),
        };
        match payload {
            Payload::All(name) => whole(name),
            Payload::Half(name) => whole(name).map(|octets| Arc::from(&octets[..octets.len() / 2])),
            Payload::Octets(template) => Ok(Arc::from(self.octets(template)?)),
        }
    }

    /// Puts octets past TLS.
    async fn plain(&mut self, on: Option<&Name>, payload: &Payload, place: Place) -> Result<(), Stop> {
        let octets = self.payload(payload)?.to_vec();
        let connection = self.named(on)?;
        if let Some(on) = on {
            on.clone_into(&mut self.current);
        }
        let act = self.plain_act(&connection, octets);
        match connection.act(act).await {
            Ok(()) => Ok(()),
            Err(broken) => Err(self.unmet("plain", "closed", "an open connection", &broken.to_string(), place)),
        }
    }

    fn plain_act(&self, connection: &Connection, octets: Vec<u8>) -> NetAct {
        let control = is_called(connection.name(), CONTROL);
        // TLS is due from the peer behind a 234, on data, and to what looks like a ClientHello.
        let last_reply = self.log.look(|events| {
            events.iter().rev().find_map(|event| match (&event.connection, &event.what) {
                (Some(name), What::Reply { reply, .. }) if name == connection.name() => Some(reply.code),
                _ => None,
            })
        });
        let observe = !control || last_reply == Some(234) || octets.starts_with(&[22, 3]);
        let shown = octets[..octets.len().min(ftpspec_net::limits::PLAINTEXT_KEPT)].to_vec();
        let what = match ftpspec_wire::header(&octets) {
            Some(header) if header.content_type == 22 && octets.len() > 5 => {
                let summary = ftpspec_wire::ClientHello::parse(&octets[5..])
                    .map_or_else(|_| format!("{} octets", octets.len()), |hello| hello.summary());
                What::ClientHello { summary }
            }
            _ => What::Plaintext { looks_like: ftpspec_wire::looks_like(&shown), octets: shown, in_session: false },
        };
        if matches!(what, What::ClientHello { .. }) {
            self.log.push(Some(connection.name()), By::Us, What::HandshakeStarted);
        }
        self.log.push(Some(connection.name()), By::Us, what);
        NetAct::Raw { octets, observe: observe && matches!(self.seat, Seat::Client(_)) }
    }

    /// Acts that produce octets, in one write on one connection.
    async fn together(&mut self, script: &Script, place: Place) -> Result<(), Stop> {
        let mut acts = Vec::new();
        let mut connection = None;
        for step in script {
            let on = match &step.act {
                Act::Send(_) | Act::Answer(_) => Some(CONTROL.to_owned()),
                Act::Plain { on, .. } | Act::CloseNotify(on) | Act::Fin(on) | Act::Clear(on) => on.clone(),
                _ => return Err(Stop::Trouble("`together` holds acts that produce octets".to_owned())),
            };
            let named = self.named(on.as_ref())?;
            if connection.as_ref().is_some_and(|other: &Connection| other.name() != named.name()) {
                return Err(Stop::Trouble("`together` is about one connection".to_owned()));
            }
            acts.push(match &step.act {
                Act::Send(text) => {
                    let mut octets = self.octets(text)?;
                    self.keep_secret(&named, &octets)?;
                    self.command_act(&named, &mut octets)
                }
                Act::Answer(answer) => {
                    let (reply, octets) = self.reply_octets(answer)?;
                    self.log_answer(&named, &reply);
                    NetAct::Write { octets, verb: None }
                }
                Act::Plain { octets, .. } => {
                    let octets = self.payload(octets)?.to_vec();
                    self.plain_act(&named, octets)
                }
                Act::CloseNotify(_) => NetAct::CloseNotify,
                Act::Clear(_) => NetAct::Clear,
                _ => NetAct::Fin,
            });
            connection = Some(named);
        }
        let Some(connection) = connection else { return Ok(()) };
        match connection.together(acts).await {
            Ok(()) => Ok(()),
            Err(broken) => Err(self.unmet("together", "closed", "an open connection", &broken.to_string(), place)),
        }
    }

    fn listen(&mut self, name: &Name) -> Result<(), Stop> {
        // On the address that the control connection uses: nothing else is ours.
        let ip = self.connection(CONTROL).map_or(std::net::Ipv4Addr::LOCALHOST.into(), |control| control.local().ip());
        let listener = Listener::bind((ip, 0).into()).map_err(|error| Stop::Trouble(format!("listening: {error}")))?;
        self.listeners.insert(name.clone(), listener);
        Ok(())
    }

    async fn accept(&mut self, place: Place) -> Result<(), Stop> {
        let Seat::Server(side) = &self.seat else {
            return Err(Stop::Trouble("accepting as a client is not there yet".to_owned()));
        };
        let side = Arc::clone(side);
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
                    .map_err(|error| Stop::Trouble(format!("a socket that has no address: {error}")))?;
                if !side.answers_close_notify() {
                    _ = connection.act(NetAct::Mute).await;
                }
                self.adopt(DATA, connection, cursor);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => self
                .refuse(side.reply(425))
                .await
                .and_then(|()| Err(self.unmet("accept", "timeout", "a data connection", "none", place))),
        }
    }

    // Handshakes.

    pub(crate) async fn handshake(&mut self, handshake: &Handshake, place: Place) -> Result<(), Stop> {
        let name = handshake.on.clone().unwrap_or_else(|| self.current.clone());
        if let Seat::Server(side) = &self.seat {
            // At protection level C there is none: one script serves both levels.
            if name != CONTROL && !side.protects_data() {
                return Ok(());
            }
        }
        let connection = self.named(Some(&name))?;
        name.clone_into(&mut self.current);
        match &self.seat {
            Seat::Client(_) => self.handshake_as_client(handshake, &name, &connection, place).await,
            Seat::Server(side) => {
                let side = Arc::clone(side);
                self.handshake_as_server(handshake, &name, &connection, &*side, place).await
            }
        }
    }

    async fn handshake_as_server(
        &mut self,
        handshake: &Handshake,
        name: &str,
        connection: &Connection,
        side: &dyn crate::ServerSide,
        place: Place,
    ) -> Result<(), Stop> {
        let data = name != CONTROL;
        let machine = side.machine(data).map_err(Stop::Trouble)?;
        let from = self.log.len();
        let early = if data { ftpspec_net::Early::GivenToTls } else { side.early() };
        let started = connection.act(NetAct::StartTls { machine, identity: None, early }).await;
        let failure = match started {
            Ok(()) => self.wait_for_handshake(connection.name(), name, from).await?.err(),
            Err(broken) => Some(("closed", broken.to_string())),
        };
        if let Some((why, came)) = failure {
            if let Some(otherwise) = &handshake.otherwise {
                return Box::pin(self.play(otherwise)).await.and(Err(Stop::Refused));
            }
            let stop = self.unmet("handshake", why, "a finished TLS handshake", &came, place);
            if data {
                // 4217 §10.2: the control connection lives, and says so.
                _ = connection.act(NetAct::Fin).await;
                self.refuse(side.reply(522)).await?;
            } else {
                if why == "plaintext" {
                    // 4217 §10.1: where TLS never began, an unprotected 421 and the end.
                    let reply = side.reply(421);
                    self.log_answer(connection, &reply);
                    _ = connection.act(NetAct::Raw { octets: reply.octets(), observe: false }).await;
                }
                _ = connection.act(NetAct::Fin).await;
            }
            return Err(stop);
        }
        let done = connection.received().handshake.clone();
        let Some(done) = done else { return Err(Stop::Trouble("a finished handshake without facts".to_owned())) };
        match side.check(data, &done) {
            Ok(()) => Ok(()),
            Err(reply) => {
                _ = connection.act(NetAct::CloseNotify).await;
                _ = connection.act(NetAct::Fin).await;
                self.refuse(reply).await
            }
        }
    }

    /// Gives a reply that ends the script.
    async fn refuse(&mut self, reply: Reply) -> Result<(), Stop> {
        let control = self.control()?;
        self.log_answer(&control, &reply);
        _ = control.act(NetAct::Write { octets: reply.octets(), verb: None }).await;
        if let Seat::Server(side) = &self.seat {
            side.answered(reply.code);
        }
        Err(Stop::Refused)
    }

    /// Waits for a handshake's end; beside it, on data, for a final reply that makes waiting vain.
    pub(crate) async fn wait_for_handshake(
        &mut self,
        full: &Arc<str>,
        name: &str,
        from: usize,
    ) -> Result<Result<(), (&'static str, String)>, Stop> {
        let data = name != CONTROL && matches!(self.seat, Seat::Client(_));
        let control = self.connection(CONTROL).map_or(from, |control| self.cursor(control.name()).max(from));
        let is_it = |event: &Event| {
            let here = event.connection.as_ref() == Some(full);
            here && (matches!(event.what, What::Handshake(_) | What::HandshakeFailed { .. }) || is_end(event, full))
                || data
                    && event.seq >= control
                    && is_final_reply(event)
                    && matches!(&event.what, What::Reply { reply, .. } if reply.class() >= 4)
        };
        let event = match self.wait(self.limits.handshake, "handshake", from, is_it).await? {
            Waited::Event(event) => event,
            Waited::TimedOut => return Ok(Err(("timeout", "nothing".to_owned()))),
        };
        let mut event = event;
        if matches!(event.what, What::Reply { .. }) {
            // The refusal can be read before what came ahead of it on the other connection.
            let decided = |event: &Event| {
                event.connection.as_ref() == Some(full)
                    && (matches!(event.what, What::Handshake(_) | What::HandshakeFailed { .. }) || is_end(event, full))
            };
            if let Some(decided) = self.wait_quietly(REFUSED_GRACE.min(self.limits.handshake), from, decided).await {
                *event = decided;
            }
        }
        if matches!(event.what, What::Handshake(_)) {
            self.consume(full, &event);
            return Ok(Ok(()));
        }
        // An alert or plaintext says more than the failure that it caused; gathering plaintext may take its time.
        let not_tls = matches!(&event.what, What::HandshakeFailed { why: "not-tls", .. });
        let limit = if not_tls { ftpspec_net::limits::PLAINTEXT_GATHERED * 4 } else { Duration::ZERO };
        let cause = self
            .wait_quietly(limit, from, |event| {
                event.connection.as_ref() == Some(full)
                    && event.by == By::Peer
                    && matches!(event.what, What::Alert { .. } | What::Plaintext { .. })
            })
            .await;
        let told = cause.as_ref().unwrap_or(&event);
        let why = match &told.what {
            What::Alert { .. } => "alert",
            What::Plaintext { .. } => "plaintext",
            What::Fin { .. } | What::HandshakeFailed { why: "ended", .. } => "closed",
            What::Rst => "reset",
            What::Reply { .. } => "code",
            _ => "failed",
        };
        Ok(Err((why, in_words(&told.what))))
    }

    // Data.

    async fn deliver(&mut self, on: Option<&Name>, payload: &Payload, place: Place) -> Result<(), Stop> {
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
            Ok(Err(broken)) => ("closed", broken.to_string()),
            Err(_) => ("timeout", "not all were read".to_owned()),
        };
        if let Seat::Server(side) = &self.seat {
            let reply = side.reply(426);
            return self.refuse(reply).await;
        }
        let name = self.current.clone();
        Err(self.after_transfer(&name, "deliver", why, &due, &came, place).await)
    }

    async fn receive(&mut self, receive: &Receive, place: Place) -> Result<(), Stop> {
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
            let whole = whole && octets.len() as u64 == seen.octets && ended != Waited::TimedOut && !seen.reset;
            side.store(octets, whole);
            if !whole {
                let reply = side.reply(426);
                return self.refuse(reply).await;
            }
            return Ok(());
        }
        match seen.shortcoming(receive, ended == Waited::TimedOut) {
            None => Ok(()),
            Some((why, due, came)) => Err(self.after_transfer(&name, "receive", why, &due, &came, place).await),
        }
    }

    /// A transfer is judged only after its final reply is in: what a refusal looks like on the data connection can be an
    /// empty file, and the reply tells.
    pub(crate) async fn after_transfer(
        &mut self,
        name: &str,
        act: &'static str,
        why: &'static str,
        due: &str,
        came: &str,
        place: Place,
    ) -> Stop {
        let mut came = came.to_owned();
        if name != CONTROL
            && matches!(self.seat, Seat::Client(_))
            && !self.trying
            && let Ok(control) = self.control()
        {
            let from = self.cursor(control.name());
            let reply = self
                .wait_quietly(self.limits.reply, from, |event| is_final_reply(event) || is_end(event, control.name()))
                .await;
            if let Some(event) = reply {
                came = format!("{came}; then {}", in_words(&event.what));
            }
        }
        self.unmet(act, why, due, &came, place)
    }

    /// close_notify both ways; the connection stays open, in the clear.
    async fn clear(&mut self, on: Option<&Name>, place: Place) -> Result<(), Stop> {
        let connection = self.named(on)?;
        let full = Arc::clone(connection.name());
        if let Err(broken) = connection.act(NetAct::Clear).await {
            return Err(self.unmet("clear", "closed", "close_notify both ways", &broken.to_string(), place));
        }
        if let Seat::Server(side) = &self.seat {
            // The next thing that comes, close_notify or a clear command, is read when it comes.
            side.cleared();
            return Ok(());
        }
        // The close_notify may have come right behind the 200, before we sent ours.
        let handshake = self.log.look(|events| {
            events
                .iter()
                .rposition(|event| event.connection.as_ref() == Some(&full) && matches!(event.what, What::Handshake(_)))
        });
        let is_it = |event: &Event| {
            event.connection.as_ref() == Some(&full)
                && event.by == By::Peer
                && (matches!(event.what, What::CloseNotify | What::Plaintext { .. }) || is_end(event, &full))
        };
        let due = "the server's close_notify, and the connection left open";
        match self.wait(self.limits.clear, "close_notify", handshake.unwrap_or(0), is_it).await? {
            Waited::Event(event) if event.what == What::CloseNotify => Ok(()),
            Waited::Event(event) => {
                let why = if matches!(event.what, What::Plaintext { .. }) { "plaintext" } else { "closed" };
                Err(self.unmet("clear", why, due, &in_words(&event.what), place))
            }
            Waited::TimedOut => Err(self.unmet("clear", "timeout", due, "nothing", place)),
        }
    }

    async fn silence(&mut self, on: Option<&Name>, lasts: Duration, place: Place) -> Result<(), Stop> {
        let connection = self.named(on)?;
        let full = Arc::clone(connection.name());
        _ = connection.act(NetAct::Read).await;
        let from = self.cursor(&full);
        let came = self
            .wait_quietly(lasts, from, |event| event.connection.as_ref() == Some(&full) && event.by == By::Peer)
            .await;
        match came {
            None => Ok(()),
            Some(event) => {
                let due = format!("silence for {lasts:?}");
                Err(self.unmet("silence", "octets-came", &due, &in_words(&event.what), place))
            }
        }
    }

    // Replies.

    fn reply_octets(&self, answer: &Answer) -> Result<(Reply, Vec<u8>), Stop> {
        let Seat::Server(side) = &self.seat else {
            return Err(Stop::Trouble("an act of a server in a client's script".to_owned()));
        };
        match answer {
            Answer::Code(code) => {
                let reply = side.reply(*code);
                let octets = reply.octets();
                Ok((reply, octets))
            }
            Answer::Text(text) => {
                let mut octets = self.octets(text)?;
                octets.extend_from_slice(b"\r\n");
                let code = std::str::from_utf8(&octets[..octets.len().min(3)]).ok().and_then(|code| code.parse().ok());
                let words = String::from_utf8_lossy(octets.get(4..octets.len() - 2).unwrap_or_default()).into_owned();
                Ok((Reply::new(code.unwrap_or(0), &words), octets))
            }
        }
    }

    fn log_answer(&self, control: &Connection, reply: &Reply) {
        let protected = self.is_protected(control);
        let what = What::Reply { reply: reply.clone(), protected, to: String::new() };
        self.log.push(Some(control.name()), By::Us, what);
    }

    async fn answer(&mut self, answer: &Answer, place: Place) -> Result<(), Stop> {
        let (reply, octets) = self.reply_octets(answer)?;
        let control = self.control()?;
        self.log_answer(&control, &reply);
        let mut acts = vec![NetAct::Write { octets, verb: None }];
        if let Seat::Server(side) = &self.seat
            && reply.code == 234
            && side.early() == ftpspec_net::Early::Dropped
        {
            acts.insert(0, NetAct::DropEarly);
        }
        if let Err(broken) = control.together(acts).await {
            return Err(self.unmet("answer", "closed", "an open connection", &broken.to_string(), place));
        }
        if let Seat::Server(side) = &self.seat {
            side.answered(reply.code);
        }
        Ok(())
    }

    /// The next reply on the control connection, whatever it is.
    pub(crate) async fn next_reply(&mut self, act: &'static str, due: &str, place: Place) -> Result<Reply, Stop> {
        let control = self.control()?;
        let full = Arc::clone(control.name());
        let from = self.cursor(&full);
        let greeting = self.log.look(|events| !events.iter().any(|event| is_reply_on(event, &full)));
        let (limit, of) = if greeting { (self.limits.greeting, "greeting") } else { (self.limits.reply, "reply") };
        let is_it = |event: &Event| {
            event.by == By::Peer
                && event.connection.as_ref() == Some(&full)
                && (matches!(
                    event.what,
                    What::Reply { .. }
                        | What::Malformed { .. }
                        | What::Alert { .. }
                        | What::Plaintext { in_session: false, .. }
                ) || is_end(event, &full))
        };
        let event = match self.wait(limit, of, from, is_it).await? {
            Waited::Event(event) => event,
            Waited::TimedOut => return Err(self.unmet(act, "timeout", due, "nothing", place)),
        };
        let why = match &event.what {
            What::Reply { reply, .. } => {
                let reply = reply.clone();
                self.consume(&full, &event);
                return Ok(reply);
            }
            What::Malformed { .. } => "malformed",
            What::Alert { .. } => "alert",
            What::Plaintext { .. } => "plaintext",
            What::Rst => "reset",
            _ => "closed",
        };
        Err(self.unmet(act, why, due, &in_words(&event.what), place))
    }

    pub(crate) async fn reply(&mut self, due: &ReplyMatch, place: Place) -> Result<(), Stop> {
        let words = reply_in_words(due);
        let reply = self.next_reply("reply", &words, place).await?;
        match due {
            ReplyMatch::Exact(code) if reply.code == *code => Ok(()),
            ReplyMatch::Like(pattern) if likes(*pattern, reply.code) => {
                self.note_unlisted(*pattern, &reply, place);
                Ok(())
            }
            ReplyMatch::Exact(_) | ReplyMatch::Like(_) => {
                Err(self.unmet("reply", "code", &words, &line(&reply), place))
            }
            ReplyMatch::Branches(branches) => match branch(branches, reply.code) {
                Some(script) => Box::pin(self.play(script)).await,
                None => Err(self.unmet("reply", "code", &words, &line(&reply), place)),
            },
        }
    }

    /// A reply whose first digit is right, but which no RFC lists for the command.
    fn note_unlisted(&self, pattern: CodePattern, reply: &Reply, place: Place) {
        let CodePattern::Exact(due) = pattern else { return };
        let verb = self.log.look(|events| {
            events.iter().rev().find_map(|event| match &event.what {
                What::Reply { to, reply: told, .. } if event.by == By::Peer && told == reply => Some(to.clone()),
                _ => None,
            })
        });
        let verb = verb.unwrap_or_default();
        let listed = listed_codes(&verb);
        if reply.code != due && !listed.is_empty() && !listed.contains(&reply.code) {
            let text = format!("{verb} was answered with {}, where the RFCs list {due}", reply.code);
            let what = What::Leaf { kind: Leaf::Note.word(), text, level: self.level.word(), place: log_place(place) };
            self.log.push(None, By::Us, what);
        }
    }

    // Events.

    async fn awaits(&mut self, branches: &[(Pattern, Script)], place: Place) -> Result<(), Stop> {
        let current = self.current.clone();
        let on = |pattern: &Pattern| pattern.on.clone().unwrap_or_else(|| current.clone());
        let full = |name: &str| self.newest.get(name).cloned().unwrap_or_else(|| Arc::from(name));
        for (pattern, _) in branches {
            if let Some(connection) = self.connection(&on(pattern)) {
                // A server that waits for a ClientHello without a handshake of its own looks at records.
                let looks = pattern.kind == EventKind::ClientHello;
                _ = connection.act(if looks { NetAct::Observe } else { NetAct::Read }).await;
            }
        }
        let places: Vec<_> = branches.iter().map(|(pattern, _)| full(&on(pattern))).collect();
        let from = places.iter().map(|name| self.cursor(name)).min().unwrap_or(0);
        let cursors: Vec<_> = places.iter().map(|name| self.cursor(name)).collect();
        let limit = branches.iter().map(|(pattern, _)| self.limit_of(pattern.kind)).max().unwrap_or(self.limits.reply);
        let told = |event: &Event| {
            branches.iter().enumerate().position(|(at, (pattern, _))| {
                let anonymous = Pattern { on: None, ..pattern.clone() };
                let by = if pattern.kind == EventKind::Handshake { None } else { Some(PatternBy::Peer) };
                event.seq >= cursors[at]
                    && (event.connection.as_ref() == Some(&places[at]))
                    && matches(&anonymous, event, None, by, &[])
            })
        };
        let ends = |event: &Event| places.iter().any(|name| event.seq >= from && is_end(event, name));
        let words = branches.iter().map(|(pattern, _)| pattern.kind.word()).collect::<Vec<_>>().join(", or ");
        let waited = self.wait(limit, &words, from, |event| told(event).is_some() || ends(event)).await?;
        let event = match waited {
            Waited::Event(event) => event,
            Waited::TimedOut => return Err(self.unmet("await", "timeout", &words, "nothing", place)),
        };
        match told(&event) {
            Some(at) => {
                self.consume(&places[at], &event);
                Box::pin(self.play(&branches[at].1)).await
            }
            None => Err(self.unmet("await", "closed", &words, &in_words(&event.what), place)),
        }
    }

    fn limit_of(&self, kind: EventKind) -> Duration {
        match kind {
            EventKind::Close | EventKind::Fin | EventKind::Rst | EventKind::End | EventKind::CloseNotify => {
                self.limits.data
            }
            EventKind::ServerHello | EventKind::ClientHello | EventKind::Handshake | EventKind::Alert => {
                self.limits.handshake
            }
            _ => self.limits.reply,
        }
    }

    /// Takes the first script whose first act is met.
    async fn either(&mut self, scripts: &[Script], place: Place) -> Result<(), Stop> {
        for (at, script) in scripts.iter().enumerate() {
            let Some((first, rest)) = script.split_first() else { return Ok(()) };
            let last = at + 1 == scripts.len();
            let outside = self.trying;
            self.trying = outside || !last;
            let tried = Box::pin(self.perform(&first.act, first.place)).await;
            self.trying = outside;
            match tried {
                Ok(()) => return Box::pin(self.play(&rest.to_vec())).await,
                Err(Stop::Unmet) if !last => {}
                Err(stop) => return Err(stop),
            }
        }
        Err(self.unmet("either", "failed", "one of the alternatives", "none", place))
    }
}

/// How long a data connection is still watched once its transfer has been refused on the control connection: what the
/// server did on it before is on its way, or never comes.
const REFUSED_GRACE: Duration = Duration::from_secs(1);

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
    fn shortcoming(&self, due: &Receive, timed_out: bool) -> Option<(&'static str, String, String)> {
        use ftpspec_scenario::model::End;
        let octets = || format!("{} octets", self.octets);
        if let Some(plaintext) = &self.plaintext {
            return Some(("plaintext", "TLS records".to_owned(), plaintext.clone()));
        }
        if let Some(protected) = due.protected
            && self.octets > 0
            && self.protected != protected
        {
            let word = |protected: bool| if protected { "octets in TLS" } else { "octets in the clear" };
            return Some(("clear", word(protected).to_owned(), format!("{} {}", self.octets, word(self.protected))));
        }
        if timed_out && !self.close_notify {
            return Some(("timeout", "the end of the data".to_owned(), format!("{}, and no end", octets())));
        }
        let file = due.file.as_deref().and_then(fixture::content);
        let length = due.octets.or(file.as_ref().map(|file| file.len() as u64));
        if let Some(length) = length
            && self.octets != length
        {
            let reason = if self.reset { "reset" } else { "octets" };
            return Some((reason, format!("{length} octets"), format!("{}{}", octets(), self.end_in_words())));
        }
        if let Some(file) = file {
            let digest = hex::encode(Sha256::digest(&file));
            if digest != self.sha256 {
                return Some(("digest", format!("SHA-256 {digest}"), format!("SHA-256 {}", self.sha256)));
            }
        }
        let came = || format!("{}{}", octets(), self.end_in_words());
        match due.end {
            Some(End::CloseNotify) if self.close_notify => None,
            Some(End::CloseNotify) => {
                let why = if self.reset {
                    "reset"
                } else if self.alert.is_some() {
                    "alert"
                } else {
                    "no-close_notify"
                };
                Some((why, "close_notify, then FIN".to_owned(), came()))
            }
            Some(End::Fin) if self.close_notify || self.reset => Some(("end", "a bare FIN".to_owned(), came())),
            Some(End::Rst) if !self.reset => Some(("end", "RST".to_owned(), came())),
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

fn is_reply_on(event: &Event, connection: &str) -> bool {
    event.connection.as_deref() == Some(connection) && event.by == By::Peer && matches!(event.what, What::Reply { .. })
}

/// A lone code is content with its first digit.
fn likes(due: CodePattern, code: u16) -> bool {
    match due {
        CodePattern::Exact(due) => due / 100 == code / 100,
        CodePattern::Class(_) => due.matches(code),
    }
}

/// The branch for a code: exact, then by first digit, then `any`.
fn branch(branches: &[(ReplyKey, Script)], code: u16) -> Option<&Script> {
    let find = |is: &dyn Fn(&ReplyKey) -> bool| branches.iter().find(|(key, _)| is(key)).map(|(_, script)| script);
    find(&|key| *key == ReplyKey::Code(CodePattern::Exact(code)))
        .or_else(|| {
            find(&|key| matches!(key, ReplyKey::Code(CodePattern::Class(class)) if u16::from(*class) == code / 100))
        })
        .or_else(|| find(&|key| *key == ReplyKey::Any))
}

fn reply_in_words(due: &ReplyMatch) -> String {
    match due {
        ReplyMatch::Like(pattern) => match pattern {
            CodePattern::Exact(code) => format!("a reply {code} (any {}yz)", code / 100),
            CodePattern::Class(_) => format!("a reply {pattern}"),
        },
        ReplyMatch::Exact(code) => format!("the reply {code}"),
        ReplyMatch::Branches(branches) => {
            let keys: Vec<_> = branches
                .iter()
                .map(|(key, _)| match key {
                    ReplyKey::Code(pattern) => pattern.to_string(),
                    ReplyKey::Any => "any other".to_owned(),
                })
                .collect();
            format!("a reply {}", keys.join(" or "))
        }
    }
}

/// The word of an act, as files have it.
pub(crate) fn word(act: &Act) -> &'static str {
    match act {
        Act::Connect(_) => "connect",
        Act::Send(_) => "send",
        Act::Answer(_) => "answer",
        Act::Plain { .. } => "plain",
        Act::Together(_) => "together",
        Act::Record { .. } => "record",
        Act::Login(_) => "login",
        Act::Handshake(_) => "handshake",
        Act::Open(_) => "open",
        Act::Passive(_) => "passive",
        Act::Listen { .. } => "listen",
        Act::Accept => "accept",
        Act::Deliver { .. } => "deliver",
        Act::Receive(_) => "receive",
        Act::CloseNotify(_) => "close_notify",
        Act::Fin(_) => "FIN",
        Act::Rst(_) => "RST",
        Act::Clear(_) => "clear",
        Act::Hold(_) => "hold",
        Act::Release(_) => "release",
        Act::Mute(_) => "mute",
        Act::Pause(_) => "pause",
        Act::Silence { .. } => "silence",
        Act::Reply(_) => "reply",
        Act::Await { .. } => "await",
        Act::Either(_) => "either",
        Act::Judged { level, .. } => level.word(),
        Act::Within { .. } => "within",
        Act::Leaf(leaf, _) => leaf.word(),
    }
}

/// The connection that an act names.
pub(crate) fn names(act: &Act) -> Option<&Name> {
    match act {
        Act::Plain { on, .. } | Act::Record { on, .. } | Act::Deliver { on, .. } | Act::Silence { on, .. } => {
            on.as_ref()
        }
        Act::CloseNotify(on)
        | Act::Fin(on)
        | Act::Rst(on)
        | Act::Clear(on)
        | Act::Hold(on)
        | Act::Release(on)
        | Act::Mute(on) => on.as_ref(),
        Act::Handshake(handshake) => handshake.on.as_ref(),
        Act::Receive(receive) => receive.on.as_ref(),
        _ => None,
    }
}

/// Whether the beginning of an act parts a connection's events in the normal form.
pub(crate) fn is_shown_on(act: &Act) -> bool {
    matches!(act, Act::Release(_) | Act::Deliver { .. })
}
