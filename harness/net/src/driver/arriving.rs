//! What comes in: reading, cutting records, and whatever else a peer may send in place of them. Nothing here takes more
//! memory than its limits say, and no octet is lost where the protection changes.

use std::io;
use std::sync::PoisonError;

use ftpspec_tls::State;
use ftpspec_transcript::{By, What};
use ftpspec_wire::{Command, Cut, RecordReader, ReplyError, escaped, listed_codes};
use tokio::time::Instant;

use super::{Driver, Tls};
use crate::Carries;
use crate::limits::{COMMANDS_AHEAD, EVENTS_TOLD, MOST_ON_CONTROL, PLAINTEXT_KEPT, READS_IN_A_ROW};

impl Driver {
    /// Whether what arrives is read now.
    pub(super) fn reads(&self) -> bool {
        !self.held && !self.undecided && !self.read_ended && self.lines.rest().len() < COMMANDS_AHEAD
    }

    /// What came in one read with the end of the handshake that holds the connection.
    pub(super) fn tell_cut_records_that_wait(&mut self) {
        if let Tls::Driven { records, .. } = &self.tls
            && self.held
            && !self.waiting_told
            && !records.pending().is_empty()
        {
            self.waiting_told = true;
            self.push(By::Peer, What::Waiting);
        }
    }

    /// What a look at the socket gave while it is held. An end is no octets, and is told once it is read.
    pub(super) fn something_waits(&mut self, looked: io::Result<usize>) {
        self.waiting_told = true;
        match looked {
            Ok(0) => {}
            Ok(_) => self.push(By::Peer, What::Waiting),
            Err(error) => self.met_reset |= error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Reads what is there, up to a bound; gives whether more may be there.
    pub(super) fn read(&mut self, chunk: &mut [u8]) -> bool {
        for _ in 0..READS_IN_A_ROW {
            match self.socket.try_read(chunk) {
                Ok(0) => {
                    if self.met_reset {
                        self.reset();
                    } else {
                        self.peer_fin();
                    }
                    return false;
                }
                Ok(count) => {
                    self.received(&chunk[..count]);
                    if !self.reads() || (self.fin.is_some() && !self.write_ended) {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.reset();
                    return false;
                }
            }
        }
        true
    }

    pub(super) fn peer_fin(&mut self) {
        self.read_ended = true;
        if self.carries == Carries::Commands
            && matches!(self.tls, Tls::None)
            && self.lines.rest().starts_with(&HANDSHAKE_RECORD)
        {
            // A client that was gone before its handshake was looked at: no command is to be made of these octets.
            let rest = self.take_unread();
            self.tls = Tls::Observed(RecordReader::new());
            self.received(&rest);
        }
        self.tell_suspect();
        let inside_record = match &mut self.tls {
            Tls::Driven { machine, records, .. } => {
                machine.transport_end();
                records.inside_record() && !machine.peer_closed()
            }
            Tls::Observed(records) => records.inside_record(),
            Tls::None | Tls::Broken => false,
        };
        self.tell_content(By::Peer);
        self.push(By::Peer, What::Fin { inside_record });
        self.settle();
        self.answer_end();
        self.settle();
    }

    pub(super) fn reset(&mut self) {
        self.tell_suspect();
        if let Tls::Driven { machine, .. } = &mut self.tls {
            machine.transport_end();
        }
        self.tell_content(By::Peer);
        self.push(By::Peer, What::Rst);
        self.settle();
        self.read_ended = true;
        self.break_off();
    }

    pub(super) fn received(&mut self, octets: &[u8]) {
        match &mut self.tls {
            Tls::None => self.application(octets, false),
            Tls::Broken => self.suspect(octets),
            Tls::Observed(records) => {
                records.push(octets);
                self.cut_observed();
            }
            // Behind plaintext in a session a file's octets may look like anything.
            Tls::Driven { lapsed: true, .. } if self.carries == Carries::Data => self.application(octets, false),
            Tls::Driven { records, .. } => {
                records.push(octets);
                self.cut_driven();
            }
        }
    }

    pub(super) fn cut_observed(&mut self) {
        loop {
            let Tls::Observed(records) = &mut self.tls else { return };
            match records.next() {
                Cut::Record(record) => {
                    self.tell_record(By::Peer, &record);
                    match (record.first(), record.get(5), record.len()) {
                        (Some(21), Some(level), 7) => {
                            let what = What::Alert { level: *level, description: record[6] };
                            self.push(By::Peer, what);
                        }
                        (Some(22), Some(1), _) if is_hello(&record[5..]) => {
                            self.tell_client_hello(By::Peer, &record[5..]);
                        }
                        (Some(22), Some(2), _) if is_hello(&record[5..]) => self.push(By::Peer, What::ServerHello),
                        _ => {}
                    }
                }
                Cut::NeedMore => return,
                Cut::NotTls => {
                    let rest = records.take_rest();
                    self.tls = Tls::Broken;
                    return self.suspect(&rest);
                }
            }
        }
    }

    pub(super) fn cut_driven(&mut self) {
        // A record may end the handshake that holds the connection: the next one is not looked at then.
        while !self.held {
            let Tls::Driven { machine, records, .. } = &mut self.tls else { return self.cut_observed() };
            if machine.peer_closed() {
                // What follows close_notify is no longer TLS, and is not lost.
                let rest = records.take_rest();
                if !rest.is_empty() {
                    self.after_close(&rest);
                }
                return;
            }
            match records.next() {
                Cut::Record(record) => {
                    self.tell_record(By::Peer, &record);
                    // Borrowed anew: telling needed the whole of us.
                    if let Tls::Driven { machine, .. } = &mut self.tls {
                        machine.feed_record(&record);
                    }
                    self.settle();
                }
                Cut::NeedMore => return,
                Cut::NotTls => {
                    let rest = records.take_rest();
                    self.not_tls(&rest);
                }
            }
        }
    }

    pub(super) fn after_close(&mut self, octets: &[u8]) {
        if self.carries == Carries::Data {
            self.tell_plaintext(octets, false);
        } else {
            self.application(octets, false);
        }
    }

    /// Octets that are not TLS where TLS was due.
    pub(super) fn not_tls(&mut self, octets: &[u8]) {
        let Tls::Driven { machine, records, lapsed } = &mut self.tls else { return };
        if machine.handshake().is_some() {
            // The judge has its evidence, and the conversation goes on: a reply in the clear is a reply, and what looks
            // like a record behind it is one. Our own octets stay in TLS, for which they were meant.
            let (clear, rest) = octets.split_at(clear_length(octets));
            let known = std::mem::replace(lapsed, true);
            if self.carries == Carries::Data {
                if !known {
                    self.tell_plaintext(octets, true);
                }
                self.application(octets, false);
            } else {
                records.push(rest);
                if !known {
                    self.tell_plaintext(clear, true);
                }
                self.application(clear, false);
            }
            return;
        }
        let failed = machine.state() == State::Failed;
        self.suspect(octets);
        if !failed {
            self.push(By::Us, What::HandshakeFailed { why: "not-tls", words: "octets that are not TLS".to_owned() });
        }
        self.tls = Tls::Broken;
    }

    pub(super) fn suspect(&mut self, octets: &[u8]) {
        let room = PLAINTEXT_KEPT.saturating_sub(self.suspect.len());
        self.suspect.extend_from_slice(&octets[..octets.len().min(room)]);
        if self.suspect.contains(&b'\n') || self.suspect.len() == PLAINTEXT_KEPT {
            self.tell_suspect();
        } else if self.suspect_since.is_none() {
            self.suspect_since = Some(Instant::now());
        }
        if self.carries == Carries::Commands {
            self.tell_clear_commands(octets);
        }
    }

    /// Commands in the clear where TLS was due are told as what they are: a password is on the wire, whoever serves it.
    /// Nobody does, for whoever asks for commands here asks for those in TLS.
    pub(super) fn tell_clear_commands(&mut self, octets: &[u8]) {
        let Some(octets) = self.within_bounds(octets) else { return };
        self.lines.push(octets);
        loop {
            match self.lines.next() {
                Ok(Some(line)) => {
                    let command = Command::parse(&line.octets);
                    if !listed_codes(&command.verb).is_empty() {
                        let line = escaped(&command.line);
                        self.push(By::Peer, What::Command { verb: command.verb, line, protected: false });
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    let rest = self.lines.take_rest();
                    let end = rest.iter().position(|octet| *octet == b'\n').map(|end| end + 1);
                    self.skipping = end.is_none();
                    let Some(end) = end else { return };
                    self.lines.push(&rest[end..]);
                }
            }
        }
    }

    pub(super) fn application(&mut self, octets: &[u8], protected: bool) {
        match self.carries {
            Carries::Data => {
                self.incoming.add(octets, protected);
                {
                    let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                    shared.octets += octets.len() as u64;
                    let room = self.keep.saturating_sub(shared.kept.len());
                    shared.kept.extend_from_slice(&octets[..octets.len().min(room)]);
                }
                self.push(By::Peer, What::Octets { count: octets.len() as u64, protected });
            }
            Carries::Replies => {
                if let Some(octets) = self.within_bounds(octets) {
                    self.replies.push(octets);
                    self.next_replies(protected);
                }
            }
            Carries::Commands => {
                if self.whole_lines_only && protected {
                    // The rest of a line whose beginning was forgotten is forgotten too.
                    let within = std::mem::replace(&mut self.within_line, !octets.ends_with(b"\n"));
                    if within || self.within_line {
                        return;
                    }
                }
                // Once nobody holds the connection, nobody will ask for commands.
                if self.lingers.is_none()
                    && let Some(octets) = self.within_bounds(octets)
                {
                    if protected && self.lines.rest().len() == self.sealed {
                        self.sealed += octets.len();
                    }
                    self.lines.push(octets);
                    self.next_command();
                    self.tell_unasked();
                }
            }
        }
    }

    /// What of these octets of a control connection is to be read.
    pub(super) fn within_bounds<'o>(&mut self, mut octets: &'o [u8]) -> Option<&'o [u8]> {
        if self.skipping {
            let end = octets.iter().position(|octet| *octet == b'\n')?;
            self.skipping = false;
            octets = &octets[end + 1..];
        }
        let before = self.flood.on_control;
        self.flood.on_control = before.saturating_add(octets.len() as u64);
        if self.flood.on_control <= MOST_ON_CONTROL && self.flood.events <= EVENTS_TOLD {
            return Some(octets);
        }
        if before <= MOST_ON_CONTROL && self.flood.on_control > MOST_ON_CONTROL {
            let why = format!("more than {MOST_ON_CONTROL} octets: nothing more is read here");
            self.push(By::Peer, What::Malformed { octets: Vec::new(), why });
        }
        None
    }

    pub(super) fn next_replies(&mut self, protected: bool) {
        while !self.halted {
            match self.replies.next() {
                Ok(Some(reply)) => {
                    self.halted = self.halts_behind == Some(reply.code);
                    // RFC 959 §5.4: QUIT alone is answered 221. What is asked before it is never answered any more (a
                    // transfer whose end libunftp forgets), and a success it was not.
                    if reply.code == 221
                        && let Some(quit) = self.asked.iter().position(|verb| verb == "QUIT")
                    {
                        self.asked.drain(..quit);
                    }
                    let to = self.asked.front().cloned().unwrap_or_default();
                    if reply.class() != 1 {
                        self.asked.pop_front();
                    }
                    self.push(By::Peer, What::Reply { reply, protected, to });
                }
                Ok(None) => return,
                // The reader goes on behind this line.
                Err(ReplyError::NotAReply { line }) => {
                    let why = ReplyError::NotAReply { line: line.clone() }.to_string();
                    self.tell_malformed(&line, why);
                }
                Err(error) => {
                    let rest = self.replies.take_rest();
                    self.skipping = rest.last() != Some(&b'\n');
                    return self.tell_malformed(&rest, error.to_string());
                }
            }
        }
    }

    pub(super) fn tell_unasked(&mut self) {
        if self.tells_unasked && !self.lines.rest().is_empty() {
            self.tells_unasked = false;
            self.push(By::Peer, What::Waiting);
        }
    }

    pub(super) fn next_command(&mut self) {
        if !self.command_wanted {
            return;
        }
        let before = self.lines.rest().len();
        match self.lines.next() {
            Ok(Some(line)) => {
                self.command_wanted = false;
                let taken = before - self.lines.rest().len();
                let protected = taken <= self.sealed;
                self.sealed = self.sealed.saturating_sub(taken);
                let command = Command::parse(&line.octets);
                let (verb, line) = (command.verb.clone(), escaped(&command.line));
                self.heard = Some(command);
                self.push(By::Peer, What::Command { verb, line, protected });
            }
            Ok(None) => {}
            Err(error) => {
                self.command_wanted = false;
                let sealed = self.sealed;
                let rest = self.take_unread();
                let end = rest.iter().position(|octet| *octet == b'\n').map(|end| end + 1);
                self.skipping = end.is_none();
                if let Some(end) = end {
                    self.lines.push(&rest[end..]);
                    self.sealed = sealed.saturating_sub(end);
                }
                self.tell_malformed(&rest, error.to_string());
            }
        }
    }
}

/// How many of these octets, the first of which is no record's, are text: up to the line end behind which a record
/// begins.
pub(super) fn clear_length(octets: &[u8]) -> usize {
    let begins_record = |at: usize| matches!(&octets[at..], [20..=24] | [20..=24, 3, ..]);
    let mut line_ends = octets.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1);
    line_ends.find(|at| begins_record(*at)).unwrap_or(octets.len())
}

/// Whether what calls itself a hello can be one: behind its length of three octets the version begins with 3. A Finished of
/// TLS 1.2 is encrypted, and its first octet may be any.
fn is_hello(message: &[u8]) -> bool {
    matches!(message, [_, 0, _, _, 3, ..])
}

/// How a record of type handshake begins, whatever its minor version: no command does.
const HANDSHAKE_RECORD: [u8; 2] = [22, 3];
