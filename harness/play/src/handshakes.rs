//! Handshakes, as the server, and the wait for their end that both sides share.

use std::sync::Arc;
use std::time::Duration;

use ftpspec_net::{Act as NetAct, Broken, Connection};
use ftpspec_scenario::model::{Handshake, Name, Place, Why};
use ftpspec_transcript::{By, Event, What};
use ftpspec_wire::Reply;

use crate::waiting::{Waited, in_words, is_end, is_final_reply};
use crate::{Player, Seat, Stop};

impl Player {
    pub(crate) async fn handshake(&mut self, handshake: &Handshake, place: Place) -> Result<(), Stop> {
        let name = handshake.on.clone().unwrap_or_else(|| self.current.clone());
        if let Seat::Server(side) = &self.seat {
            // At protection level C there is none: one script serves both levels.
            if !self.is_control(&name) && !side.protects_data() {
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
        let data = !self.is_control(name);
        let machine = side.machine(data).map_err(Stop::Trouble)?;
        let from = self.log.len();
        let early = if data { ftpspec_net::Early::GivenToTls } else { side.early() };
        let start = NetAct::StartTls { machine, identity: None, shows: side.shows(data), early };
        let started = begin(connection, handshake, start).await;
        if handshake.is_cut && started.is_ok() {
            return self.wait_for_server_hello(connection, from, place).await;
        }
        let failure = match started {
            Ok(()) => self.wait_for_handshake(connection.name(), name, from).await?.err(),
            Err(broken) => Some((Why::Closed, broken.to_string())),
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
                if why == Why::Plaintext {
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

    /// Waits until our ServerHello is out, or never will be.
    async fn wait_for_server_hello(&mut self, connection: &Connection, from: usize, place: Place) -> Result<(), Stop> {
        let full = connection.name();
        let is_it = |event: &Event| {
            event.connection.as_ref() == Some(full)
                && (matches!(event.what, What::ServerHello | What::HandshakeFailed { .. }) || is_end(event, full))
        };
        let (due, why, came) = match self.wait(self.limits.handshake, "handshake", from, is_it).await? {
            Waited::Event(event) if event.what == What::ServerHello => return Ok(()),
            Waited::Event(event) => ("a ClientHello that can be answered", Why::Failed, in_words(&event.what)),
            Waited::TimedOut => ("a ClientHello", Why::Timeout, "nothing".to_owned()),
        };
        Err(self.unmet("handshake", why, due, &came, place))
    }

    /// Gives a reply that ends the script.
    pub(crate) async fn refuse(&mut self, reply: Reply) -> Result<(), Stop> {
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
    ) -> Result<Result<(), (Why, String)>, Stop> {
        let data = !self.is_control(name) && matches!(self.seat, Seat::Client(_));
        let control = self.connection(&self.session).map_or(from, |control| self.cursor(control.name()).max(from));
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
            Waited::TimedOut => return Ok(Err((Why::Timeout, "nothing".to_owned()))),
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
            What::Alert { .. } => Why::Alert,
            What::Plaintext { .. } => Why::Plaintext,
            What::Fin { .. } | What::HandshakeFailed { why: "ended", .. } => Why::Closed,
            What::Rst => Why::Reset,
            What::Reply { .. } => Why::Code,
            _ => Why::Failed,
        };
        Ok(Err((why, in_words(&told.what))))
    }

    /// close_notify both ways; the connection stays open, in the clear.
    pub(crate) async fn clear(&mut self, on: Option<&Name>, place: Place) -> Result<(), Stop> {
        let connection = self.named(on)?;
        let full = Arc::clone(connection.name());
        if let Err(broken) = connection.act(NetAct::Clear).await {
            return Err(self.unmet("clear", Why::Closed, "close_notify both ways", &broken.to_string(), place));
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
                let why = if matches!(event.what, What::Plaintext { .. }) { Why::Plaintext } else { Why::Closed };
                Err(self.unmet("clear", why, due, &in_words(&event.what), place))
            }
            Waited::TimedOut => Err(self.unmet("clear", Why::Timeout, due, "nothing", place)),
        }
    }
}

/// Starts TLS; what becomes of what follows is ordered in the same breath, so that nothing can come in between.
pub(crate) async fn begin(connection: &Connection, handshake: &Handshake, start: NetAct) -> Result<(), Broken> {
    let hold = handshake.then_holds.then_some(NetAct::HoldBehindHandshake);
    let cut = handshake.is_cut.then_some(NetAct::CutFlight);
    connection.together(hold.into_iter().chain(cut).chain([start]).collect()).await
}

/// How long a data connection is still watched once its transfer has been refused on the control connection: what the
/// server did on it before is on its way, or never comes.
const REFUSED_GRACE: Duration = Duration::from_secs(1);
