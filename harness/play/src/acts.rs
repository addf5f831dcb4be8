//! What each act does: the ones that are short stand here, the others in the module of their subject.

use std::sync::Arc;
use std::time::Duration;

use ftpspec_net::{Act as NetAct, Connection};
use ftpspec_scenario::model::{Act, By as PatternBy, EventKind, Leaf, Name, Pattern, Place, Script, Template, Why};
use ftpspec_transcript::{By, Event, What};

use crate::pattern::matches;
use crate::waiting::{Waited, in_words, is_end};
use crate::{Player, Seat, Stop, log_place};

impl Player {
    pub(crate) async fn perform(&mut self, act: &Act, place: Place) -> Result<(), Stop> {
        match act {
            Act::Connect(connect) => self.connect(connect, place).await,
            Act::Send(text) => self.send_command(text).await,
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
            Act::Listen { name, at, port, callers } => self.listen(name, at.as_ref(), port.as_ref(), *callers).await,
            Act::Accept { from } => self.accept(from.as_ref(), place).await,
            Act::Session { name, script } => self.in_session(name, script).await,
            Act::KeyUpdate { on, request } => {
                self.order(on.as_ref(), "key-update", NetAct::KeyUpdate { request: *request }, place).await
            }
            Act::Records(texts) => self.records(texts).await,
            Act::Deliver { on, payload } => self.deliver(on.as_ref(), payload, place).await,
            Act::Receive(receive) => self.receive(receive, place).await,
            Act::CloseNotify(on) => self.settle(on.as_ref(), NetAct::CloseNotify).await,
            Act::Fin(on) => self.settle(on.as_ref(), NetAct::Fin).await,
            Act::Rst(on) => self.order(on.as_ref(), "RST", NetAct::Rst, place).await,
            Act::Clear(on) => self.clear(on.as_ref(), place).await,
            Act::Hold(on) => self.settle(on.as_ref(), NetAct::Hold).await,
            Act::Release(on) => self.settle(on.as_ref(), NetAct::Release).await,
            Act::Mute(on) => self.settle(on.as_ref(), NetAct::Mute).await,
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
                    Err(self.unmet("within", Why::Timeout, &format!("all this in {limit:?}"), "not all of it", place))
                }
            },
            Act::Leaf(leaf, text) => self.conclude(*leaf, text, place),
        }
    }

    /// Speaks on another control connection for a while.
    async fn in_session(&mut self, name: &Name, script: &Script) -> Result<(), Stop> {
        let outside = (std::mem::replace(&mut self.session, name.clone()), self.current.clone());
        self.current.clone_from(name);
        let result = self.play(script).await;
        (self.session, self.current) = outside;
        result
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

    pub(crate) fn named(&self, on: Option<&Name>) -> Result<Connection, Stop> {
        let name = self.here(on.unwrap_or(&self.current));
        self.connection(name).cloned().ok_or_else(|| Stop::Trouble(format!("there is no connection {name}")))
    }

    /// Does one act of the connection; the connection becomes the current one.
    pub(crate) async fn order(
        &mut self,
        on: Option<&Name>,
        word: &'static str,
        act: NetAct,
        place: Place,
    ) -> Result<(), Stop> {
        let connection = self.named(on)?;
        if let Some(on) = on {
            on.clone_into(&mut self.current);
        }
        match connection.act(act).await {
            Ok(()) => Ok(()),
            // A client that has gone already is no reason to leave its command without an answer.
            Err(_) if matches!(self.seat, Seat::Server(_)) => Ok(()),
            Err(broken) => Err(self.unmet(word, Why::Closed, "an open connection", &broken.to_string(), place)),
        }
    }

    /// Ends, holds or releases a direction. Where the connection is gone already there is nothing left to do; what
    /// follows tells why.
    pub(crate) async fn settle(&mut self, on: Option<&Name>, act: NetAct) -> Result<(), Stop> {
        let connection = self.named(on)?;
        if let Some(on) = on {
            on.clone_into(&mut self.current);
        }
        _ = connection.act(act).await;
        Ok(())
    }

    async fn silence(&mut self, on: Option<&Name>, lasts: Duration, place: Place) -> Result<(), Stop> {
        let connection = self.named(on)?;
        let full = Arc::clone(connection.name());
        // Of a client it is a command that must not come; what it says to our TLS library is no matter.
        let of_client = matches!(self.seat, Seat::Server(_)) && self.is_control(on.unwrap_or(&self.current));
        let from = if of_client { self.log.len() } else { self.cursor(&full) };
        _ = connection.act(if of_client { NetAct::TellUnasked } else { NetAct::Read }).await;
        let came = self
            .wait_quietly(lasts, from, |event| {
                // An end is silence too: the act that needs the connection will meet it.
                event.connection.as_ref() == Some(&full)
                    && event.by == By::Peer
                    && if of_client { event.what == What::Waiting } else { !is_end(event, &full) }
            })
            .await;
        match came {
            None => Ok(()),
            Some(event) => {
                let due = format!("silence for {lasts:?}");
                Err(self.unmet("silence", Why::OctetsCame, &due, &in_words(&event.what), place))
            }
        }
    }

    async fn awaits(&mut self, branches: &[(Pattern, Script)], place: Place) -> Result<(), Stop> {
        let current = self.current.clone();
        let on = |pattern: &Pattern| pattern.on.clone().unwrap_or_else(|| current.clone());
        let full = |name: &str| self.newest.get(self.here(name)).cloned().unwrap_or_else(|| Arc::from(name));
        let mut next_command = self.next_command();
        let first_command = next_command.map(|(_, from)| from);
        for (pattern, _) in branches {
            if let Some(connection) = self.connection(self.here(&on(pattern))) {
                let act = match pattern.kind {
                    // A server that waits for a ClientHello without a handshake of its own looks at records.
                    EventKind::ClientHello => NetAct::Observe,
                    // It is read here, and stays to be served behind the script.
                    EventKind::Command if next_command.take().is_some_and(|(is_there, _)| !is_there) => {
                        NetAct::NextCommand
                    }
                    _ => NetAct::Read,
                };
                _ = connection.act(act).await;
            }
        }
        let places: Vec<_> = branches.iter().map(|(pattern, _)| full(&on(pattern))).collect();
        let cursors: Vec<_> = branches
            .iter()
            .zip(&places)
            .map(|((pattern, _), name)| match (pattern.kind, first_command) {
                (EventKind::Command, Some(first)) => first,
                _ => self.cursor(name),
            })
            .collect();
        let from = cursors.iter().copied().min().unwrap_or(0);
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
            Waited::TimedOut => return Err(self.unmet("await", Why::Timeout, &words, "nothing", place)),
        };
        match told(&event) {
            Some(at) => {
                self.consume(&places[at], &event);
                Box::pin(self.play(&branches[at].1)).await
            }
            None => Err(self.unmet("await", Why::Closed, &words, &in_words(&event.what), place)),
        }
    }

    /// As the server: whether the command behind the one in hand has been read, and where it stands in the log, or will.
    fn next_command(&self) -> Option<(bool, usize)> {
        let Seat::Server(_) = &self.seat else { return None };
        let control = self.control().ok()?;
        let is_there = control.received().command.is_some();
        self.log.look(|events| {
            let is_command = |event: &Event| {
                event.connection.as_ref() == Some(control.name())
                    && event.by == By::Peer
                    && matches!(event.what, What::Command { .. })
            };
            let last = if is_there { events.iter().rposition(is_command) } else { None };
            Some((is_there, last.unwrap_or(events.len())))
        })
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
        Err(self.unmet("either", Why::Failed, "one of the alternatives", "none", place))
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
        Act::Accept { .. } => "accept",
        Act::Session { .. } => "session",
        Act::KeyUpdate { .. } => "key-update",
        Act::Records(_) => "records",
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
