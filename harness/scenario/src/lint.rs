//! Scripts that are well formed and still cannot be played: acts on connections that were never made, acts that are
//! never reached, waits where a fence is due.
//!
//! It follows each script along its branches. A connection that any branch makes counts as made: only what cannot be
//! right on any path is reported.

use std::collections::BTreeSet;

use crate::diagnostic::Problem;
use crate::model::{
    Act, Answer, Connect, ConnectTo, Demand, EventKind, Handshake, Leaf, Level, Name, Payload, PeerScript, Place,
    ReplyMatch, Role, Rule, Script, Step, Template, Variant,
};
use crate::variables::{LISTENER_FORMS, Piece, pieces};

/// Looks over the scripts of one variant.
pub(crate) fn variant(variant: &Variant, role: Role, problems: &mut Vec<Problem>) {
    if !variant.steps.is_empty() {
        let mut state = State::of_client(variant.level);
        if let Some(server) = &variant.server {
            state.listeners = listeners(server);
        }
        Walk { side: Side::Client, problems }.script(&variant.steps, &mut state);
    } else if role != Role::Client {
        problems.push(Problem::new(Place { line: 1, column: 1, length: 1 }, "no act is left in `steps`"));
    }
    if let Some(server) = &variant.server {
        rules(server, problems);
    }
    for expectation in &variant.expect {
        if let Demand::Order(order) = &expectation.demand
            && order.is_empty()
        {
            problems.push(Problem::new(expectation.place, "`order` names no command"));
        }
    }
}

/// Looks over the rules of the reference server.
pub(crate) fn rules(script: &PeerScript, problems: &mut Vec<Problem>) {
    for rule in &script.rules {
        let mut state = State::of_server(rule);
        // A listener of another rule may have been made before: nobody knows the order of a client's commands.
        state.listeners = listeners(script);
        let mut own = BTreeSet::new();
        made(&rule.script, &mut own);
        state.listeners.retain(|name| !own.contains(name));
        Walk { side: Side::Server, problems }.script(&rule.script, &mut state);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// What has been made so far on the way to an act.
#[derive(Clone)]
struct State {
    level: Level,
    connections: BTreeSet<Name>,
    listeners: BTreeSet<Name>,
    /// PASV or EPSV was sent.
    passive: bool,
}

impl State {
    fn of_client(level: Level) -> Self {
        Self { level, connections: BTreeSet::new(), listeners: BTreeSet::new(), passive: false }
    }

    /// The control connection is there. The data connection is, unless this very command has to take it.
    fn of_server(rule: &Rule) -> Self {
        let mut connections = BTreeSet::from([CONTROL.to_owned()]);
        if !TRANSFERS.contains(&rule.on.as_str()) {
            connections.insert(DATA.to_owned());
        }
        Self { level: Level::Field, connections, listeners: BTreeSet::new(), passive: true }
    }

    fn join(&mut self, other: Self) {
        self.connections.extend(other.connections);
        self.listeners.extend(other.listeners);
        self.passive |= other.passive;
    }
}

struct Walk<'a> {
    side: Side,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn script(&mut self, script: &Script, state: &mut State) {
        let mut ended_by = None;
        for step in script {
            if let Some(leaf) = ended_by {
                self.report(step.place, format!("this act is never reached: `{leaf}` ends the script before it"));
                return;
            }
            self.step(step, state);
            if let Act::Leaf(leaf @ (Leaf::Fail | Leaf::Skip | Leaf::Untestable), _) = step.act {
                ended_by = Some(leaf);
            }
        }
    }

    fn step(&mut self, step: &Step, state: &mut State) {
        let place = step.place;
        for template in templates(&step.act) {
            self.listener_variables(template, place, state);
        }
        match &step.act {
            Act::Connect(connect) => self.connect(connect, place, state),
            Act::Login(_) => {
                state.connections.insert(CONTROL.to_owned());
            }
            Act::Send(command) => {
                self.control("send", place, state);
                state.passive |= command.0.starts_with("PASV") || command.0.starts_with("EPSV");
            }
            Act::Answer(_) => self.control("answer", place, state),
            Act::Reply(expected) => {
                self.control("reply", place, state);
                if let ReplyMatch::Branches(branches) = expected {
                    self.branches(branches.iter().map(|(_, script)| script), state);
                }
            }
            Act::Open(_) => {
                self.control("open", place, state);
                state.connections.insert(DATA.to_owned());
                state.passive = true;
            }
            Act::Passive(_) => {
                self.control("passive", place, state);
                state.passive = true;
            }
            Act::Session { name, script } => {
                // What is made there stays; what is spoken there is spoken on a connection of its own.
                let mut inner = state.clone();
                inner.connections.remove(CONTROL);
                if state.connections.contains(name) {
                    inner.connections.insert(CONTROL.to_owned());
                }
                self.script(script, &mut inner);
                let made = inner.connections.remove(CONTROL);
                if made {
                    state.connections.insert(name.clone());
                }
                state.join(inner);
            }
            Act::KeyUpdate { on, .. } => self.connection("key-update", on.as_deref(), place, state),
            Act::Records(_) => self.control("records", place, state),
            Act::Listen { name, .. } => {
                state.listeners.insert(name.clone());
            }
            Act::Accept { .. } => {
                if self.side == Side::Client && state.listeners.is_empty() {
                    self.due(place, "`accept` has nothing to accept on", "`listen: {as: NAME}` before it");
                }
                state.connections.insert(DATA.to_owned());
            }
            Act::Handshake(Handshake { on, otherwise, .. }) => {
                self.connection("handshake", on.as_deref(), place, state);
                if let Some(script) = otherwise {
                    self.branches([script], state);
                }
            }
            Act::Deliver { on, .. } => self.connection("deliver", Some(on.as_deref().unwrap_or(DATA)), place, state),
            Act::Receive(receive) => {
                self.connection("receive", Some(receive.on.as_deref().unwrap_or(DATA)), place, state);
            }
            Act::CloseNotify(on) => self.connection("close_notify", on.as_deref(), place, state),
            Act::Fin(on) => self.connection("FIN", on.as_deref(), place, state),
            Act::Rst(on) => self.connection("RST", on.as_deref(), place, state),
            Act::Clear(on) => self.connection("clear", on.as_deref(), place, state),
            Act::Hold(on) => self.connection("hold", on.as_deref(), place, state),
            Act::Release(on) => self.connection("release", on.as_deref(), place, state),
            Act::Mute(on) => self.connection("mute", on.as_deref(), place, state),
            Act::Plain { on, .. } => self.connection("plain", on.as_deref(), place, state),
            Act::Record { on, .. } => self.connection("record", on.as_deref(), place, state),
            Act::Silence { on, .. } => {
                self.connection("silence", on.as_deref(), place, state);
                if self.side == Side::Client && state.level == Level::Must {
                    self.due(place, "`silence` at level must", "a fence (a command that is answered), or `field: […]`");
                }
            }
            Act::Await { branches } => {
                for (pattern, _) in branches {
                    // Connections come to a listener, and it is known by its name.
                    let listener = pattern.on.as_ref().is_some_and(|name| state.listeners.contains(name));
                    if pattern.kind != EventKind::Accepted || !listener {
                        self.connection("await", pattern.on.as_deref(), place, state);
                    }
                }
                self.branches(branches.iter().map(|(_, script)| script), state);
            }
            Act::Either(scripts) => {
                if scripts.iter().any(Vec::is_empty) {
                    self.due(place, "a script of `either` has no act", "a first act that is met or not");
                }
                self.branches(scripts, state);
            }
            Act::Together(script) | Act::Within { script, .. } => self.script(script, state),
            Act::Judged { level, script } => {
                let outer = std::mem::replace(&mut state.level, *level);
                self.script(script, state);
                state.level = outer;
            }
            Act::Pause(_) | Act::Leaf(..) => {}
        }
    }

    fn connect(&mut self, connect: &Connect, place: Place, state: &mut State) {
        if connect.to == ConnectTo::Passive && !state.passive {
            self.due(place, "no address was asked for to connect to", "`passive: EPSV` (or PASV) before it");
        }
        state.connections.insert(connect.name.clone());
        if connect.to == ConnectTo::Control {
            state.connections.insert(CONTROL.to_owned());
        }
    }

    fn branches<'s>(&mut self, scripts: impl IntoIterator<Item = &'s Script>, state: &mut State) {
        let before = state.clone();
        for script in scripts {
            let mut branch = before.clone();
            self.script(script, &mut branch);
            state.join(branch);
        }
    }

    fn control(&mut self, act: &str, place: Place, state: &State) {
        if !state.connections.contains(CONTROL) {
            self.due(
                place,
                format!("`{act}` stands before any control connection"),
                "`login` or `connect: control` before it",
            );
        }
    }

    fn connection(&mut self, act: &str, on: Option<&str>, place: Place, state: &State) {
        match on {
            Some(name) if state.connections.contains(name) => {}
            Some(DATA) if self.side == Side::Client => {
                self.due(
                    place,
                    format!("`{act}` stands before any data connection"),
                    "`open`, `connect` or `accept` before it",
                );
            }
            Some(DATA) => self.due(place, format!("`{act}` stands before any data connection"), "`accept` before it"),
            Some(CONTROL) => self.control(act, place, state),
            Some(name) => {
                let name = ftpspec_wire::escaped(name.as_bytes());
                self.due(
                    place,
                    format!("connection `{name}` is not made before `{act}`"),
                    "`connect: {…, as: …}` before it",
                );
            }
            None if state.connections.is_empty() => self.control(act, place, state),
            None => {}
        }
    }

    fn listener_variables(&mut self, template: &Template, place: Place, state: &State) {
        for piece in pieces(&template.0, place).unwrap_or_default() {
            let Piece::Variable(name) = piece else { continue };
            if let Some((listener, form)) = name.split_once('.')
                && LISTENER_FORMS.contains(&form)
                && !state.listeners.contains(listener)
            {
                self.due(
                    place,
                    format!("`${{{name}}}` stands before its listener"),
                    format!("`listen: {{as: {listener}}}` before it"),
                );
            }
        }
    }

    fn report(&mut self, place: Place, message: String) {
        self.problems.push(Problem::new(place, message));
    }

    fn due(&mut self, place: Place, message: impl Into<String>, due: impl Into<String>) {
        self.problems.push(Problem::new(place, message).due(due));
    }
}

/// The texts of an act itself, not of the acts within it.
fn templates(act: &Act) -> Vec<&Template> {
    match act {
        Act::Send(text)
        | Act::Open(text)
        | Act::Answer(Answer::Text(text))
        | Act::Plain { octets: Payload::Octets(text), .. }
        | Act::Record { octets: text, .. } => vec![text],
        Act::Passive(passive) => vec![&passive.command],
        Act::Records(texts) => texts.iter().collect(),
        Act::Listen { at, port, .. } => at.iter().chain(port).collect(),
        Act::Connect(connect) => connect.from.iter().collect(),
        _ => Vec::new(),
    }
}

/// The names of the variables that a script asks a run to fill in.
#[must_use]
pub fn variables(script: &Script) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for step in script {
        for template in templates(&step.act) {
            let pieces = pieces(&template.0, step.place).unwrap_or_default();
            names.extend(pieces.into_iter().filter_map(|piece| match piece {
                Piece::Variable(name) => Some(name.to_owned()),
                Piece::Text(_) => None,
            }));
        }
        for inner in scripts_within(&step.act) {
            names.extend(variables(inner));
        }
    }
    names
}

/// The listeners that any rule makes.
fn listeners(script: &PeerScript) -> BTreeSet<Name> {
    let mut all = BTreeSet::new();
    for rule in &script.rules {
        made(&rule.script, &mut all);
    }
    all
}

fn made(script: &Script, names: &mut BTreeSet<Name>) {
    for step in script {
        if let Act::Listen { name, .. } = &step.act {
            names.insert(name.clone());
        }
        for inner in scripts_within(&step.act) {
            made(inner, names);
        }
    }
}

fn scripts_within(act: &Act) -> Vec<&Script> {
    match act {
        Act::Together(script)
        | Act::Judged { script, .. }
        | Act::Within { script, .. }
        | Act::Session { script, .. }
        | Act::Handshake(Handshake { otherwise: Some(script), .. }) => vec![script],
        Act::Either(scripts) => scripts.iter().collect(),
        Act::Await { branches } => branches.iter().map(|(_, script)| script).collect(),
        Act::Reply(ReplyMatch::Branches(branches)) => branches.iter().map(|(_, script)| script).collect(),
        _ => Vec::new(),
    }
}

const CONTROL: &str = "control";
const DATA: &str = "data";
/// Commands whose script has to take the data connection itself.
const TRANSFERS: &[&str] = &["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"];
