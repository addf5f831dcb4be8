//! The task behind a connection: reads, cuts, feeds the machine, logs, writes. It decides nothing but politeness.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ftpspec_tls::{By as TlsBy, ClientCertificateUse, Fact, Failure, FailureKind, Machine, State, Version};
use ftpspec_transcript::{By, Handshake, Log, What};
use ftpspec_wire::{
    ClientHello, Command, Cut, LineReader, RecordReader, ReplyError, ReplyReader, escaped, header, looks_like,
};
use sha2::{Digest, Sha256};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::limits::{
    COMMANDS_AHEAD, LINGER, MALFORMED_TOLD, MOST_ON_CONTROL, PAYLOAD_CHUNK, PLAINTEXT_GATHERED, PLAINTEXT_KEPT,
    PLAINTEXTS_TOLD, READ_CHUNK, READS_IN_A_ROW,
};
use crate::{Act, Broken, Carries, Early, Names, Order, Received, Setup};

pub(crate) struct Driver {
    socket: TcpStream,
    name: Arc<str>,
    carries: Carries,
    log: Arc<Log>,
    names: Names,
    keep: usize,
    shared: Arc<Mutex<Received>>,
    orders: mpsc::UnboundedReceiver<Order>,

    tls: Tls,
    identity: Option<String>,
    /// Our script has ended TLS: what it sends from here on is meant for the clear. A close_notify of theirs that was
    /// only answered lets nothing of ours out.
    cleared: bool,
    replies: ReplyReader,
    lines: LineReader,
    /// So many of the octets that wait in `lines` came in TLS, or pass for it; what is behind them came in the clear.
    sealed: usize,
    /// The rest of a line that was too long is dropped.
    skipping: bool,
    /// Commands that have had no final reply yet.
    asked: VecDeque<String>,
    command_wanted: bool,

    out: Vec<u8>,
    payload: Option<(Arc<[u8]>, usize)>,
    waiting: Vec<oneshot::Sender<Result<(), Broken>>>,
    fin: Option<Fin>,
    /// The peer has ended its direction; our answer waits until the file that is being sent is out.
    owes_end: bool,
    /// A write has told us of a reset: the kernel tells each reset once, and the read will call it an end.
    met_reset: bool,
    /// What happened in this turn and is not in the log yet: a reader of the log sees a turn whole or not at all.
    turn: Vec<(By, bool, What)>,
    /// Our side began to end the connection: its FIN is the script's, not politeness.
    we_began_to_end: bool,
    /// Our FIN is in the log; the socket follows once everything is out.
    fin_told: bool,
    held: bool,
    /// Nothing has said yet whether TLS or plaintext is due: octets wait in the socket.
    undecided: bool,
    mute: bool,
    read_ended: bool,
    write_ended: bool,
    /// Until when we read on, once nobody holds the connection any more.
    lingers: Option<Instant>,

    incoming: Tally,
    outgoing: Tally,
    suspect: Vec<u8>,
    suspect_since: Option<Instant>,
    flood: Flood,
}

/// What a hostile peer could send without end.
#[derive(Default)]
struct Flood {
    /// How often plaintext where TLS was due was told.
    plaintexts: usize,
    /// How often octets that are no reply or command were told.
    malformed: usize,
    /// The octets of a control connection.
    on_control: u64,
}

/// A FIN that waits until everything before it is out.
#[derive(Clone, Copy)]
struct Fin {
    polite: bool,
}

enum Tls {
    None,
    /// We put octets past TLS: records are cut, and not decrypted.
    Observed(RecordReader),
    Driven {
        machine: Box<dyn Machine>,
        records: RecordReader,
        /// Plaintext came inside the session, and was told. We keep to TLS; the peer may or may not.
        lapsed: bool,
    },
    /// Something that is not TLS came before the handshake was done: the rest is plaintext too.
    Broken,
}

/// What one direction has carried.
#[derive(Default)]
struct Tally {
    count: u64,
    hash: Sha256,
    protected: bool,
    told: bool,
}

impl Driver {
    pub(crate) fn new(
        socket: TcpStream,
        setup: Setup,
        shared: Arc<Mutex<Received>>,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        let Setup { name, carries, log, keep, names } = setup;
        Self {
            socket,
            name,
            carries,
            log,
            names,
            keep,
            shared,
            orders,
            tls: Tls::None,
            identity: None,
            replies: ReplyReader::new(),
            cleared: false,
            lines: LineReader::new(),
            sealed: 0,
            skipping: false,
            // The greeting answers nothing.
            asked: VecDeque::from([String::new()]),
            command_wanted: false,
            out: Vec::new(),
            payload: None,
            waiting: Vec::new(),
            fin: None,
            owes_end: false,
            met_reset: false,
            turn: Vec::new(),
            we_began_to_end: false,
            fin_told: false,
            held: false,
            // A client's ClientHello may come before the server's script gets to its handshake.
            undecided: carries == Carries::Data,
            mute: false,
            read_ended: false,
            write_ended: false,
            lingers: None,
            incoming: Tally::default(),
            outgoing: Tally::default(),
            suspect: Vec::new(),
            suspect_since: None,
            flood: Flood::default(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut chunk = vec![0; READ_CHUNK];
        loop {
            self.pump();
            self.flush();
            if self.read_ended && self.write_ended {
                break;
            }
            let gathered = self.suspect_since.map_or_else(Instant::now, |since| since + PLAINTEXT_GATHERED);
            let lingered = self.lingers.unwrap_or_else(Instant::now);
            tokio::select! {
                order = self.orders.recv(), if self.lingers.is_none() => match order {
                    Some(order) => self.obey(order),
                    None => self.let_go(),
                },
                () = tokio::time::sleep_until(lingered), if self.lingers.is_some() => break,
                ready = self.socket.readable(), if self.reads() => match ready {
                    Ok(()) => self.read(&mut chunk),
                    Err(_) => self.reset(),
                },
                // Whether it was octets or a payload's next part that waited, pumping sends it.
                ready = self.socket.writable(), if self.has_output() => if ready.is_err() {
                    self.reset();
                },
                () = tokio::time::sleep_until(gathered), if self.suspect_since.is_some() => self.tell_suspect(),
            }
        }
        let Self { socket, orders, waiting, .. } = self;
        // Closed first: whoever waits for a RST may rely on its being out.
        drop((socket, orders));
        for done in waiting {
            _ = done.send(Ok(()));
        }
    }

    // Orders.

    fn obey(&mut self, order: Order) {
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

    fn carry_out(&mut self, act: Act) -> Result<(), Broken> {
        if !matches!(act, Act::Hold | Act::Release | Act::Mute) {
            self.undecided = false;
        }
        match act {
            Act::Read => Ok(()),
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
            Act::StartTls { machine, identity, early } => self.start_tls(machine, identity, early),
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
                _ = self.take_unread();
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
                _ = SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO));
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
                self.writable()?;
                match &mut self.tls {
                    Tls::Driven { machine, .. } => {
                        machine.send_record(content_type, &octets).map_err(|error| Broken::Tls(error.to_string()))
                    }
                    _ => Err(Broken::Tls("no TLS on this connection".to_owned())),
                }
            }
            Act::Hold => {
                self.held = true;
                Ok(())
            }
            Act::Release => {
                self.held = false;
                Ok(())
            }
            Act::Mute => {
                self.mute = true;
                Ok(())
            }
            Act::NextCommand => {
                self.command_wanted = true;
                self.next_command();
                Ok(())
            }
        }
    }

    fn start_tls(&mut self, machine: Box<dyn Machine>, identity: Option<String>, early: Early) -> Result<(), Broken> {
        self.writable()?;
        self.identity = identity;
        self.cleared = false;
        self.incoming.protected = true;
        self.outgoing.protected = true;
        let mut rest = self.take_unread();
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
    fn take_unread(&mut self) -> Vec<u8> {
        self.sealed = 0;
        match self.carries {
            Carries::Replies => self.replies.take_rest(),
            Carries::Commands => self.lines.take_rest(),
            Carries::Data => Vec::new(),
        }
    }

    /// Sends application octets in the protection in force.
    fn send(&mut self, octets: &[u8]) -> Result<(), Broken> {
        self.writable()?;
        match &mut self.tls {
            Tls::Driven { machine, .. } if !(self.cleared && machine.we_closed()) => {
                machine.write(octets).map_err(|error| Broken::Tls(error.to_string()))?;
            }
            _ => {
                // The close_notify may still be in the machine.
                self.settle();
                self.out.extend_from_slice(octets);
            }
        }
        if self.carries == Carries::Data {
            let protected = self.outgoing.protected;
            self.outgoing.add(octets, protected);
            self.push(By::Us, What::Octets { count: octets.len() as u64, protected });
        }
        Ok(())
    }

    /// Ends TLS because the script wants it: what is being sent is cut, and what is sent next is meant for the clear.
    fn end_tls(&mut self, polite: bool) -> Result<(), Broken> {
        self.writable()?;
        if matches!(&self.tls, Tls::Driven { machine, .. } if machine.state() == State::Open) {
            self.cut_payload();
        }
        self.close_notify(polite)?;
        self.cleared = matches!(&self.tls, Tls::Driven { machine, .. } if machine.we_closed());
        Ok(())
    }

    /// Answers the end of the peer's direction.
    fn answer_end(&mut self) {
        if self.mute || self.write_ended || self.fin.is_some() {
            return;
        }
        if self.payload.is_some() {
            // One direction has ended; the other is in use.
            self.owes_end = true;
            return;
        }
        // A control connection stays open behind close_notify: CCC goes on in the clear.
        let whole = self.read_ended || self.carries == Carries::Data;
        if self.read_ended && self.we_began_to_end {
            return;
        }
        _ = self.close_notify(true);
        if whole && !self.we_began_to_end {
            self.fin = Some(Fin { polite: true });
        }
    }

    fn close_notify(&mut self, polite: bool) -> Result<(), Broken> {
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

    fn writable(&self) -> Result<(), Broken> {
        if self.write_ended || self.fin.is_some() { Err(Broken::Closed) } else { Ok(()) }
    }

    /// Nobody holds the connection any more: a FIN, and reading to the end, so that no RST is of our making.
    fn let_go(&mut self) {
        self.lingers = Some(Instant::now() + LINGER);
        self.held = false;
        self.undecided = false;
        self.payload = None;
        // Nobody will ask for commands.
        _ = self.lines.take_rest();
        if !self.write_ended && self.fin.is_none() {
            self.fin = Some(Fin { polite: true });
        }
    }

    // The socket.

    fn read(&mut self, chunk: &mut [u8]) {
        for _ in 0..READS_IN_A_ROW {
            match self.socket.try_read(chunk) {
                Ok(0) if self.met_reset => return self.reset(),
                Ok(0) => return self.peer_fin(),
                Ok(count) => {
                    self.received(&chunk[..count]);
                    if !self.reads() || (self.fin.is_some() && !self.write_ended) {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.reset(),
            }
        }
    }

    /// Whether what arrives is read now.
    fn reads(&self) -> bool {
        !self.held && !self.undecided && !self.read_ended && self.lines.rest().len() < COMMANDS_AHEAD
    }

    fn has_output(&self) -> bool {
        !self.write_ended && (!self.out.is_empty() || self.payload.is_some())
    }

    fn write(&mut self) {
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
    fn break_off(&mut self) {
        self.write_ended = true;
        self.out.clear();
        self.payload = None;
        for done in self.waiting.drain(..) {
            _ = done.send(Err(Broken::Closed));
        }
    }

    /// Sends no more of the file, and says so to those who wait for it.
    fn cut_payload(&mut self) {
        if self.payload.take().is_some() {
            for done in self.waiting.drain(..) {
                _ = done.send(Err(Broken::Closed));
            }
        }
    }

    /// Moves what is to be sent towards the socket, and tells those who wait when it is out.
    fn pump(&mut self) {
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
            _ = SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write);
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

    /// Puts what happened in this turn into the log.
    fn flush(&mut self) {
        if !self.turn.is_empty() {
            self.log.push_all(&self.name, std::mem::take(&mut self.turn));
        }
    }

    fn peer_fin(&mut self) {
        self.read_ended = true;
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

    fn reset(&mut self) {
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

    // What arrives.

    fn received(&mut self, octets: &[u8]) {
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

    fn cut_observed(&mut self) {
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
                        (Some(22), Some(1), _) => {
                            let summary = client_hello(&record[5..]);
                            self.push(By::Peer, What::ClientHello { summary });
                        }
                        (Some(22), Some(2), _) => self.push(By::Peer, What::ServerHello),
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

    fn cut_driven(&mut self) {
        loop {
            let Tls::Driven { machine, records, .. } = &mut self.tls else { return };
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

    fn after_close(&mut self, octets: &[u8]) {
        if self.carries == Carries::Data {
            self.tell_plaintext(octets, false);
        } else {
            self.application(octets, false);
        }
    }

    /// Octets that are not TLS where TLS was due.
    fn not_tls(&mut self, octets: &[u8]) {
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

    fn suspect(&mut self, octets: &[u8]) {
        let room = PLAINTEXT_KEPT.saturating_sub(self.suspect.len());
        self.suspect.extend_from_slice(&octets[..octets.len().min(room)]);
        if self.suspect.contains(&b'\n') || self.suspect.len() == PLAINTEXT_KEPT {
            self.tell_suspect();
        } else if self.suspect_since.is_none() {
            self.suspect_since = Some(Instant::now());
        }
    }

    fn tell_suspect(&mut self) {
        self.suspect_since = None;
        if !self.suspect.is_empty() {
            let octets = std::mem::take(&mut self.suspect);
            self.tell_plaintext(&octets, false);
        }
    }

    fn application(&mut self, octets: &[u8], protected: bool) {
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
                // Once nobody holds the connection, nobody will ask for commands.
                if self.lingers.is_none()
                    && let Some(octets) = self.within_bounds(octets)
                {
                    if protected && self.lines.rest().len() == self.sealed {
                        self.sealed += octets.len();
                    }
                    self.lines.push(octets);
                    self.next_command();
                }
            }
        }
    }

    /// What of these octets of a control connection is to be read.
    fn within_bounds<'o>(&mut self, mut octets: &'o [u8]) -> Option<&'o [u8]> {
        if self.skipping {
            let end = octets.iter().position(|octet| *octet == b'\n')?;
            self.skipping = false;
            octets = &octets[end + 1..];
        }
        let before = self.flood.on_control;
        self.flood.on_control = before.saturating_add(octets.len() as u64);
        if self.flood.on_control <= MOST_ON_CONTROL {
            return Some(octets);
        }
        if before <= MOST_ON_CONTROL {
            let why = format!("more than {MOST_ON_CONTROL} octets: nothing more is read here");
            self.push(By::Peer, What::Malformed { octets: Vec::new(), why });
        }
        None
    }

    fn next_replies(&mut self, protected: bool) {
        loop {
            match self.replies.next() {
                Ok(Some(reply)) => {
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

    fn next_command(&mut self) {
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
                self.shared.lock().unwrap_or_else(PoisonError::into_inner).command = Some(command);
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

    // The machine.

    /// Takes everything that the machine has for us.
    fn settle(&mut self) {
        self.take_facts(false);
        let silent = self.has_said_all();
        let Tls::Driven { machine, .. } = &mut self.tls else { return };
        let outgoing = machine.take_outgoing();
        if !outgoing.is_empty() && !silent {
            let mut records = RecordReader::new();
            records.push(&outgoing);
            while let Cut::Record(record) = records.next() {
                self.tell_record(By::Us, &record);
            }
            self.out.extend_from_slice(&outgoing);
        }
    }

    /// Behind our FIN nothing leaves any more, whatever a machine still has to say.
    fn has_said_all(&self) -> bool {
        self.write_ended || self.fin_told
    }

    fn take_facts(&mut self, polite: bool) {
        let Tls::Driven { machine, .. } = &mut self.tls else { return };
        let facts = machine.take_facts();
        // Plaintext first: a close_notify among the facts stands behind it.
        let plain = machine.take_plain();
        let finished_first = facts.iter().any(|fact| matches!(fact, Fact::HandshakeFinished(_)));
        if !plain.is_empty() && !finished_first {
            self.application(&plain, true);
        }
        let mut peer_closed = false;
        for fact in facts {
            peer_closed |= matches!(fact, Fact::CloseNotify { by: TlsBy::Peer });
            self.tell_fact(fact, polite);
        }
        if !plain.is_empty() && finished_first {
            self.application(&plain, true);
        }
        if peer_closed {
            // RFC 5246 §7.2.1: answered at once, and what waits to be sent is dropped. RFC 8446 §6.1: one direction is
            // closed, not the other.
            if !self.mute && !self.closes_one_direction() {
                self.cut_payload();
            }
            self.answer_end();
        }
    }

    fn closes_one_direction(&self) -> bool {
        matches!(&self.tls, Tls::Driven { machine, .. }
            if machine.handshake().is_some_and(|handshake| handshake.version == Version::Tls13))
    }

    fn tell_fact(&mut self, fact: Fact, polite: bool) {
        let who = |by: TlsBy| if by == TlsBy::Us { By::Us } else { By::Peer };
        if self.has_said_all() && is_sent_by_us(&fact) {
            return;
        }
        match fact {
            Fact::ClientHello { by, hello } => {
                self.push(who(by), What::ClientHello { summary: client_hello(&hello) });
            }
            Fact::ServerHello { by } => self.push(who(by), What::ServerHello),
            Fact::HandshakeFinished(handshake) => self.tell_handshake(*handshake),
            Fact::CertificateRequest { by } => self.push(who(by), What::CertificateRequest),
            Fact::Alert { by, level, description } => self.push(who(by), What::Alert { level, description }),
            Fact::CloseNotify { by } => {
                self.tell_content(who(by));
                if polite && by == TlsBy::Us {
                    self.turn.push((By::Us, true, What::CloseNotify));
                } else {
                    self.push(who(by), What::CloseNotify);
                }
            }
            Fact::Ticket { by } => self.push(who(by), What::Ticket),
            Fact::KeyUpdate { by, .. } => self.push(who(by), What::KeyUpdate),
            Fact::Failed(Failure { kind, words }) => {
                let why = match kind {
                    FailureKind::NotTls => "not-tls",
                    FailureKind::AlertReceived(_) => "alert",
                    FailureKind::CertificateRejected => "certificate",
                    FailureKind::PeerEnded => "ended",
                    FailureKind::Decrypt | FailureKind::AlertSent(_) | FailureKind::Other => "other",
                };
                self.push(By::Us, What::HandshakeFailed { why, words });
            }
        }
    }

    fn tell_handshake(&mut self, handshake: ftpspec_tls::Handshake) {
        let client_certificate = match handshake.client_certificate {
            ClientCertificateUse::NotAsked => "not-asked",
            ClientCertificateUse::NotSent => "asked",
            ClientCertificateUse::Sent => "sent",
        };
        let certificate = handshake
            .peer_chain
            .first()
            .map(|leaf| (self.names)(leaf).unwrap_or_else(|| hex::encode(&Sha256::digest(leaf)[..8])));
        let told = Handshake {
            version: handshake.version.to_string(),
            suite: handshake.suite_name.clone(),
            resumed: handshake.resumed.clone(),
            server_name: handshake.server_name.clone(),
            certificate,
            client_certificate,
            identity: if client_certificate == "sent" { self.identity.clone() } else { None },
        };
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).handshake = Some(handshake);
        self.push(By::Us, What::Handshake(Box::new(told)));
    }

    fn tell_record(&mut self, by: By, record: &[u8]) {
        if let Some(header) = header(record) {
            let octets = u64::from(header.length);
            let what = What::Records { content_type: header.content_type, version: header.version, count: 1, octets };
            self.push(by, what);
        }
    }

    fn tell_plaintext(&mut self, octets: &[u8], in_session: bool) {
        self.flood.plaintexts += 1;
        if self.flood.plaintexts <= PLAINTEXTS_TOLD {
            let octets = octets[..octets.len().min(PLAINTEXT_KEPT)].to_vec();
            let looks_like = looks_like(&octets);
            self.push(By::Peer, What::Plaintext { octets, looks_like, in_session });
        }
    }

    fn tell_malformed(&mut self, octets: &[u8], mut why: String) {
        self.flood.malformed += 1;
        if self.flood.malformed == MALFORMED_TOLD {
            why.push_str("; more of this kind is not told");
        }
        if self.flood.malformed <= MALFORMED_TOLD {
            let octets = octets[..octets.len().min(PLAINTEXT_KEPT)].to_vec();
            self.push(By::Peer, What::Malformed { octets, why });
        }
    }

    /// Tells once what a direction of a data connection has carried.
    fn tell_content(&mut self, by: By) {
        if self.carries != Carries::Data {
            return;
        }
        let tally = if by == By::Us { &mut self.outgoing } else { &mut self.incoming };
        // A direction of ours that carried nothing is no content: most data connections go one way only.
        if tally.told || (by == By::Us && tally.count == 0) {
            return;
        }
        tally.told = true;
        let sha256 = hex::encode(tally.hash.clone().finalize());
        let what = What::Content { count: tally.count, sha256, protected: tally.protected };
        self.push(by, what);
    }

    fn push(&mut self, by: By, what: What) {
        self.turn.push((by, false, what));
    }
}

/// Whether this fact says that we sent something.
fn is_sent_by_us(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Alert { by: TlsBy::Us, .. }
            | Fact::CloseNotify { by: TlsBy::Us }
            | Fact::KeyUpdate { by: TlsBy::Us, .. }
            | Fact::Ticket { by: TlsBy::Us }
    )
}

/// How many of these octets, the first of which is no record's, are text: up to the line end behind which a record
/// begins.
fn clear_length(octets: &[u8]) -> usize {
    let begins_record = |at: usize| match &octets[at..] {
        [20..=24] | [20..=24, 3, ..] => true,
        _ => false,
    };
    let line_ends = octets.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1);
    line_ends.filter(|at| begins_record(*at)).next().unwrap_or(octets.len())
}

fn client_hello(message: &[u8]) -> String {
    ClientHello::parse(message).map_or_else(|error| format!("unreadable: {error}"), |hello| hello.summary())
}

impl Tally {
    fn add(&mut self, octets: &[u8], protected: bool) {
        self.count += octets.len() as u64;
        self.hash.update(octets);
        self.protected = protected;
    }
}
