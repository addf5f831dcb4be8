//! Carrying out the orders of a script. What an act puts on its way is only gathered here; the socket is not touched, but
//! for the linger time of a reset.

use std::time::Duration;

use ftpspec_tls::{Machine, State};
use ftpspec_transcript::{By, What};
use ftpspec_wire::RecordReader;
use socket2::SockRef;
use tokio::time::Instant;

use super::{Driver, Fin, Flight, Tls};
use crate::limits::LINGER;
use crate::{Act, Broken, Carries, Early, Order};

impl Driver {
    pub(super) fn obey(&mut self, order: Order) {
        let Order { acts, done } = order;
        let mut result = Ok(());
        for act in acts {
            result = self.carry_out(act);
            if result.is_err() {
                break;
            }
        }
        self.settle();
        match result {
            // Resolved once everything is out.
            Ok(()) => self.waiting.push(done),
            Err(broken) => _ = done.send(Err(broken)),
        }
    }

    pub(super) fn carry_out(&mut self, act: Act) -> Result<(), Broken> {
        if !matches!(act, Act::Hold | Act::HoldBehindHandshake | Act::Release | Act::Mute) {
            self.undecided = false;
        }
        match act {
            Act::Read => Ok(()),
            Act::WholeLinesOnly => {
                self.whole_lines_only = true;
                Ok(())
            }
            Act::Write { octets, verb } => {
                if let Some(verb) = verb {
                    self.asked.push_back(verb);
                }
                self.send(&octets)
            }
            Act::Raw { octets, observe } => {
                self.writable()?;
                self.settle();
                if observe && matches!(self.tls, Tls::None) {
                    self.tls = Tls::Observed(RecordReader::new());
                }
                if self.carries == Carries::Data {
                    self.outgoing.add(&octets, false);
                }
                self.out.extend_from_slice(&octets);
                Ok(())
            }
            Act::StartTls { machine, identity, shows, early } => {
                self.shows = shows;
                self.start_tls(machine, identity, early)
            }
            Act::CloseNotify => {
                self.we_began_to_end |= self.carries == Carries::Data;
                if self.writable().is_ok() { self.end_tls(false) } else { Ok(()) }
            }
            // Due both ways; whose was first is chance.
            Act::Clear => self.end_tls(true),
            Act::Observe => {
                if matches!(self.tls, Tls::None) {
                    let rest = self.take_unread();
                    self.tls = Tls::Observed(RecordReader::new());
                    self.received(&rest);
                }
                Ok(())
            }
            Act::DropEarly => {
                let in_the_clear = self.sealed == 0;
                let dropped = self.take_unread();
                if in_the_clear {
                    self.tell_clear_commands(&dropped);
                    _ = self.take_unread();
                }
                Ok(())
            }
            Act::Part => {
                if self.writable().is_ok() {
                    _ = self.end_tls(true);
                    self.fin = Some(Fin { polite: true });
                }
                Ok(())
            }
            Act::Fin => {
                self.we_began_to_end = true;
                // An end that politeness has made already is made.
                if self.writable().is_ok() {
                    self.cut_payload();
                    self.fin = Some(Fin { polite: false });
                }
                Ok(())
            }
            Act::Rst => {
                self.tell_suspect();
                self.push(By::Us, What::Rst);
                // Linger zero makes the close a reset; nothing that is still queued is sent.
                _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
                self.break_off();
                self.read_ended = true;
                Ok(())
            }
            Act::Payload(octets) => {
                self.writable()?;
                if self.payload.is_some() {
                    return Err(Broken::Busy);
                }
                self.payload = Some((octets, 0));
                Ok(())
            }
            Act::Record { content_type, octets } => {
                self.machine()?.send_record(content_type, &octets)?;
                if content_type == APPLICATION_DATA {
                    self.tell_sent(&octets);
                }
                Ok(())
            }
            Act::KeyUpdate { request } => Ok(self.machine()?.key_update(request)?),
            Act::Hold => {
                self.held = true;
                Ok(())
            }
            Act::HoldBehindHandshake => {
                self.holds_behind_handshake = true;
                Ok(())
            }
            Act::CutFlight => {
                self.flight = Flight::OneRecord;
                Ok(())
            }
            Act::Release => {
                self.release();
                Ok(())
            }
            Act::Mute => {
                self.mute = true;
                Ok(())
            }
            Act::NextCommand => {
                self.command_wanted = true;
                self.tells_unasked = false;
                self.next_command();
                Ok(())
            }
            Act::EachLineIsAReply => {
                self.replies.take_each_line();
                Ok(())
            }
            Act::HaltBehind(code) => {
                self.halts_behind = Some(code);
                Ok(())
            }
            Act::TellUnasked => {
                self.tells_unasked = true;
                self.tell_unasked();
                Ok(())
            }
        }
    }

    /// Reads again, first what was received before the hold.
    fn release(&mut self) {
        self.held = false;
        self.holds_behind_handshake = false;
        self.waiting_told = false;
        self.cut_driven();
    }

    /// The machine, as long as something of it can leave.
    fn machine(&mut self) -> Result<&mut dyn Machine, Broken> {
        self.writable()?;
        match &mut self.tls {
            Tls::Driven { machine, .. } => Ok(machine.as_mut()),
            _ => Err(Broken::Tls("no TLS on this connection".to_owned())),
        }
    }

    pub(super) fn start_tls(
        &mut self,
        machine: Box<dyn Machine>,
        identity: Option<String>,
        early: Early,
    ) -> Result<(), Broken> {
        self.writable()?;
        self.identity = identity;
        self.cleared = false;
        self.incoming.protected = true;
        self.outgoing.protected = true;
        let mut rest = self.take_unread();
        (self.halts_behind, self.halted) = (None, false);
        if early == Early::Dropped && self.carries == Carries::Replies {
            rest.clear();
        }
        if early == Early::Kept {
            match self.carries {
                Carries::Replies => self.replies.push(&rest),
                Carries::Commands => {
                    self.lines.push(&rest);
                    self.sealed = rest.len();
                }
                Carries::Data => {}
            }
            rest.clear();
        }
        self.push(By::Us, What::HandshakeStarted);
        self.tls = Tls::Driven { machine, records: RecordReader::new(), lapsed: false };
        self.settle();
        if !rest.is_empty() {
            self.received(&rest);
        }
        Ok(())
    }

    /// What has arrived and was not read yet.
    pub(super) fn take_unread(&mut self) -> Vec<u8> {
        self.sealed = 0;
        match self.carries {
            Carries::Replies => self.replies.take_rest(),
            Carries::Commands => self.lines.take_rest(),
            Carries::Data => Vec::new(),
        }
    }

    /// Ends TLS because the script wants it: what is being sent is cut, and what is sent next is meant for the clear.
    pub(super) fn end_tls(&mut self, polite: bool) -> Result<(), Broken> {
        self.writable()?;
        if matches!(&self.tls, Tls::Driven { machine, .. } if machine.state() == State::Open) {
            self.cut_payload();
        }
        self.close_notify(polite)?;
        self.cleared = matches!(&self.tls, Tls::Driven { machine, .. } if machine.we_closed());
        Ok(())
    }

    /// Nobody holds the connection any more: a FIN, and reading to the end, so that no RST is of our making.
    pub(super) fn let_go(&mut self) {
        self.lingers = Some(Instant::now() + LINGER);
        self.release();
        self.undecided = false;
        self.payload = None;
        // Nobody will ask for commands.
        _ = self.lines.take_rest();
        if !self.write_ended && self.fin.is_none() {
            self.fin = Some(Fin { polite: true });
        }
    }
}

/// The content type of records that carry the application's octets (RFC 8446 §5.1).
const APPLICATION_DATA: u8 = 23;
