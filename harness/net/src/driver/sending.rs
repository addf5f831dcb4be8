//! What goes out: protection, files, ends, and the socket's write side. Nothing leaves in the clear that was meant for
//! TLS, and nothing is called sent that did not leave.

use std::io;
use std::net::Shutdown;

use ftpspec_tls::State;
use ftpspec_transcript::{By, What};
use ftpspec_wire::{Cut, RecordReader};
use socket2::SockRef;

use super::{Driver, Fin, Flight, Tls};
use crate::limits::PAYLOAD_CHUNK;
use crate::{Broken, Carries};

impl Driver {
    /// Sends application octets in the protection in force.
    pub(super) fn send(&mut self, octets: &[u8]) -> Result<(), Broken> {
        self.writable()?;
        if octets.is_empty() {
            // Nothing leaves, and nothing is told: an empty file is no octets.
            return Ok(());
        }
        match &mut self.tls {
            Tls::Driven { machine, .. } if !(self.cleared && machine.we_closed()) => {
                machine.write(octets)?;
            }
            _ => {
                // The close_notify may still be in the machine.
                self.settle();
                self.out.extend_from_slice(octets);
            }
        }
        self.tell_sent(octets);
        Ok(())
    }

    /// What a data connection carries is counted, however it was put on its way.
    pub(super) fn tell_sent(&mut self, octets: &[u8]) {
        if self.carries == Carries::Data && !octets.is_empty() {
            let protected = self.outgoing.protected;
            self.outgoing.add(octets, protected);
            self.push(By::Us, What::Octets { count: octets.len() as u64, protected });
        }
    }

    pub(super) fn close_notify(&mut self, polite: bool) -> Result<(), Broken> {
        self.writable()?;
        // Where there is no TLS there is nothing to close: one script serves both protection levels.
        let Tls::Driven { machine, .. } = &mut self.tls else { return Ok(()) };
        if machine.state() != State::Open || machine.we_closed() {
            return Ok(());
        }
        machine.send_close_notify();
        self.take_facts(polite);
        Ok(())
    }

    /// Answers the end of the peer's direction. What our script has begun to end, it also ends.
    pub(super) fn answer_end(&mut self) {
        if self.mute || self.we_began_to_end || self.write_ended || self.fin.is_some() {
            return;
        }
        if self.payload.is_some() {
            // One direction has ended; the other is in use.
            self.owes_end = true;
            return;
        }
        _ = self.close_notify(true);
        // A control connection stays open behind close_notify: CCC goes on in the clear.
        if self.read_ended || self.carries == Carries::Data {
            self.fin = Some(Fin { polite: true });
        }
    }

    pub(super) fn writable(&self) -> Result<(), Broken> {
        if self.write_ended || self.fin.is_some() { Err(Broken::Closed) } else { Ok(()) }
    }

    pub(super) fn has_output(&self) -> bool {
        !self.write_ended && (!self.out.is_empty() || self.payload.is_some())
    }

    /// Behind our FIN nothing leaves any more, whatever a machine still has to say.
    pub(super) fn has_said_all(&self) -> bool {
        self.write_ended || self.fin_told
    }

    /// Takes everything that the machine has for us.
    pub(super) fn settle(&mut self) {
        self.take_facts(false);
        let silent = self.has_said_all();
        let Tls::Driven { machine, .. } = &mut self.tls else { return };
        let outgoing = machine.take_outgoing();
        if outgoing.is_empty() || silent || self.flight == Flight::Cut {
            return;
        }
        let mut records = RecordReader::new();
        records.push(&outgoing);
        while let Cut::Record(record) = records.next() {
            self.tell_record(By::Us, &record);
            if self.flight == Flight::OneRecord {
                self.flight = Flight::Cut;
                self.out.extend_from_slice(&record);
                return self.only_observes();
            }
        }
        self.out.extend_from_slice(&outgoing);
    }

    /// A handshake whose flight is cut is never finished, whatever the peer makes of the record that has left: a library
    /// may have put its whole flight into that one. What comes is looked at, and nobody answers it.
    fn only_observes(&mut self) {
        if let Tls::Driven { records, .. } = &mut self.tls {
            self.tls = Tls::Observed(std::mem::take(records));
        }
    }

    /// Moves what is to be sent towards the socket, and tells those who wait when it is out.
    pub(super) fn pump(&mut self) {
        while self.out.len() < PAYLOAD_CHUNK {
            let Some((payload, at)) = self.payload.take() else { break };
            let end = payload.len().min(at + PAYLOAD_CHUNK);
            if let Err(broken) = self.send(&payload[at..end]) {
                for done in self.waiting.drain(..) {
                    _ = done.send(Err(broken.clone()));
                }
            } else if end < payload.len() {
                self.payload = Some((payload, end));
            }
            self.settle();
        }
        if self.payload.is_none() && std::mem::take(&mut self.owes_end) {
            self.answer_end();
            self.settle();
        }
        let last = self.fin.filter(|_| self.payload.is_none() && !self.write_ended && !self.fin_told);
        if let Some(Fin { polite }) = last {
            self.fin_told = true;
            self.tell_content(By::Us);
            self.turn.push((By::Us, polite, What::Fin { inside_record: false }));
        }
        // An act of ours is in the log before anything can come of it.
        self.flush();
        // The first attempt is made at once: what was ordered together leaves in one write.
        if !self.out.is_empty() && !self.write_ended {
            self.write();
        }
        if !self.out.is_empty() || self.payload.is_some() {
            return;
        }
        if self.fin_told && !self.write_ended {
            _ = SockRef::from(&self.socket).shutdown(Shutdown::Write);
            self.write_ended = true;
        }
        if self.read_ended && self.write_ended {
            // Those who wait are told once the socket is closed.
            return;
        }
        for done in self.waiting.drain(..) {
            _ = done.send(Ok(()));
        }
    }

    pub(super) fn write(&mut self) {
        match self.socket.try_write(&self.out) {
            Ok(count) => _ = self.out.drain(..count),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                // Reading may still give what the peer sent before it went, and the end is told behind that. A reset
                // behind a FIN (a broken pipe) answers what we sent behind that FIN, and is no fact of its own.
                self.met_reset |= error.kind() == io::ErrorKind::ConnectionReset;
                self.break_off();
            }
        }
    }

    /// Nothing more can be sent, and those who wait for it learn so.
    pub(super) fn break_off(&mut self) {
        self.write_ended = true;
        self.out.clear();
        self.payload = None;
        for done in self.waiting.drain(..) {
            _ = done.send(Err(Broken::Closed));
        }
    }

    /// Sends no more of the file, and says so to those who wait for it.
    pub(super) fn cut_payload(&mut self) {
        if self.payload.take().is_some() {
            for done in self.waiting.drain(..) {
                _ = done.send(Err(Broken::Closed));
            }
        }
    }
}
