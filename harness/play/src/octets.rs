//! What acts put on the wire: texts with their variables filled in, files, and octets past TLS.

use std::sync::Arc;

use ftpspec_net::{Act as NetAct, Connection};
use ftpspec_scenario::filler;
use ftpspec_scenario::model::{Act, Name, Payload, Place, Script, Template, Why};
use ftpspec_transcript::{By, Offers, What};

use crate::pattern::is_called;
use crate::{Player, Seat, Stop, fixture};

impl Player {
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
        if let Some(count) = filler(name) {
            return Ok(vec![b'x'; count]);
        }
        name.strip_prefix("octets.")
            .and_then(fixture::recorded)
            .ok_or_else(|| Stop::Trouble(format!("nothing is known of ${{{name}}}")))
    }

    pub(crate) fn payload(&self, payload: &Payload) -> Result<Arc<[u8]>, Stop> {
        let of_fixture =
            |name: &str| fixture::content(name).ok_or_else(|| Stop::Trouble(format!("there is no fixture {name}")));
        let whole = |name: &Option<String>| match (name, &self.seat) {
            (Some(name), _) => of_fixture(name),
            (None, Seat::Server(side)) => Ok(side.payload()),
            (None, Seat::Client(seat)) => match &seat.file {
                Some(name) => of_fixture(name),
                None => Err(Stop::Trouble("a client must say which file".to_owned())),
            },
        };
        match payload {
            Payload::All(name) => whole(name),
            Payload::Half(name) => whole(name).map(|octets| Arc::from(&octets[..octets.len() / 2])),
            Payload::Rest(name) => whole(name).map(|octets| Arc::from(&octets[octets.len() / 2..])),
            Payload::Octets(template) => Ok(Arc::from(self.octets(template)?)),
        }
    }

    /// Puts octets past TLS.
    pub(crate) async fn plain(&mut self, on: Option<&Name>, payload: &Payload, place: Place) -> Result<(), Stop> {
        let octets = self.payload(payload)?.to_vec();
        let connection = self.named(on)?;
        if let Some(on) = on {
            on.clone_into(&mut self.current);
        }
        let act = self.plain_act(&connection, octets);
        match connection.act(act).await {
            Ok(()) => Ok(()),
            Err(broken) => Err(self.unmet("plain", Why::Closed, "an open connection", &broken.to_string(), place)),
        }
    }

    pub(crate) fn plain_act(&self, connection: &Connection, octets: Vec<u8>) -> NetAct {
        let control = is_called(connection.name(), &self.session);
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
                What::ClientHello { summary, offers: Offers::Nothing }
            }
            _ => What::Plaintext { looks_like: ftpspec_wire::looks_like(&shown), octets: shown, in_session: false },
        };
        if matches!(what, What::ClientHello { .. }) {
            self.log.push(Some(connection.name()), By::Us, What::HandshakeStarted);
        }
        self.log.push(Some(connection.name()), By::Us, what);
        NetAct::Raw { octets, observe: observe && matches!(self.seat, Seat::Client(_)) }
    }

    /// One command line, or reply, in several records: each text is protected, and leaves, by itself.
    pub(crate) async fn records(&mut self, texts: &[Template]) -> Result<(), Stop> {
        let control = self.control()?;
        let pieces = texts.iter().map(|text| self.octets(text)).collect::<Result<Vec<_>, _>>()?;
        let whole = pieces.concat();
        if let Seat::Server(side) = &self.seat {
            let side = Arc::clone(side);
            let reply = crate::replies::reply_of(&whole);
            self.log_answer(&control, &reply);
            for octets in pieces {
                _ = control.act(NetAct::Write { octets, verb: None }).await;
            }
            side.answered(reply.code);
            return Ok(());
        }
        self.keep_secret(&control, &whole)?;
        let mut verb = Some(self.log_command(&control, whole.trim_ascii_end()));
        for octets in pieces {
            // The reply that does not come will tell of a connection that has ended.
            _ = control.act(NetAct::Write { octets, verb: verb.take() }).await;
        }
        Ok(())
    }

    /// Acts that produce octets, in one write on one connection.
    pub(crate) async fn together(&mut self, script: &Script, place: Place) -> Result<(), Stop> {
        let mut acts = Vec::new();
        let mut answered = Vec::new();
        let mut clears = false;
        let mut connection = None;
        for step in script {
            let on = match &step.act {
                Act::Send(_) | Act::Answer(_) => Some(self.session.clone()),
                Act::Plain { on, .. }
                | Act::KeyUpdate { on, .. }
                | Act::CloseNotify(on)
                | Act::Fin(on)
                | Act::Clear(on) => on.clone(),
                _ => return Err(Stop::Trouble("`together` holds acts that produce octets".to_owned())),
            };
            let named = self.named(on.as_ref())?;
            if connection.as_ref().is_some_and(|other: &Connection| other.name() != named.name()) {
                return Err(Stop::Trouble("`together` is about one connection".to_owned()));
            }
            let act = match &step.act {
                Act::Send(text) => {
                    let mut octets = self.octets(text)?;
                    self.keep_secret(&named, &octets)?;
                    self.command_act(&named, &mut octets)
                }
                Act::Answer(answer) => {
                    let (reply, octets) = self.reply_octets(answer)?;
                    self.log_answer(&named, &reply);
                    if self.drops_early(reply.code) {
                        acts.push(NetAct::DropEarly);
                    }
                    answered.push(reply.code);
                    NetAct::Write { octets, verb: None }
                }
                Act::Plain { octets, .. } => {
                    let octets = self.payload(octets)?.to_vec();
                    self.plain_act(&named, octets)
                }
                Act::KeyUpdate { request, .. } => NetAct::KeyUpdate { request: *request },
                Act::CloseNotify(_) => NetAct::CloseNotify,
                Act::Clear(_) => {
                    clears = true;
                    NetAct::Clear
                }
                _ => NetAct::Fin,
            };
            acts.push(act);
            connection = Some(named);
        }
        let Some(connection) = connection else { return Ok(()) };
        if let Err(broken) = connection.together(acts).await {
            return Err(self.unmet("together", Why::Closed, "an open connection", &broken.to_string(), place));
        }
        if let Seat::Server(side) = &self.seat {
            answered.into_iter().for_each(|code| side.answered(code));
            if clears {
                side.cleared();
            }
        }
        Ok(())
    }
}
