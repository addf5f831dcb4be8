//! The task behind a connection: its state, and the one loop that takes orders, reads, and writes. It decides nothing but
//! politeness, and never keeps a socket for long that nobody holds any more.

mod acts;
mod arriving;
mod sending;
mod telling;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use ftpspec_tls::Machine;
use ftpspec_transcript::{By, Log, What};
use ftpspec_wire::{Command, LineReader, RecordReader, ReplyReader};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::limits::{PLAINTEXT_GATHERED, READ_CHUNK};
use crate::{Broken, Carries, Names, Order, Received, Setup};

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
    /// The certificate that we show as the server, where it is to be told.
    shows: Option<String>,
    flight: Flight,
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
    /// The code behind which no reply is read.
    halts_behind: Option<u16>,
    /// That reply has come.
    halted: bool,
    /// Octets that nobody has asked for are told of.
    tells_unasked: bool,
    /// The command that was asked for, until the turn in which it came is in the log.
    heard: Option<Command>,
    /// A lie: what does not end in a line's end is not read on later.
    whole_lines_only: bool,
    /// The octets that came last did not end in a line's end.
    within_line: bool,

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
    /// The end of the handshake holds the connection.
    holds_behind_handshake: bool,
    /// That something waits while it is held was told.
    waiting_told: bool,
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
    /// How many events were told.
    events: usize,
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

/// How much of what the machine sends leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flight {
    Whole,
    /// The next record is the last.
    OneRecord,
    Cut,
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
            shows: None,
            flight: Flight::Whole,
            replies: ReplyReader::new(),
            cleared: false,
            lines: LineReader::new(),
            sealed: 0,
            skipping: false,
            // The greeting answers nothing.
            asked: VecDeque::from([String::new()]),
            command_wanted: false,
            halts_behind: None,
            halted: false,
            tells_unasked: false,
            heard: None,
            whole_lines_only: false,
            within_line: false,
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
            holds_behind_handshake: false,
            waiting_told: false,
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
        let mut more_waits = false;
        let mut first = [0];
        loop {
            self.pump();
            self.tell_cut_records_that_wait();
            self.flush();
            if self.read_ended && self.write_ended {
                break;
            }
            if std::mem::take(&mut more_waits) {
                // Whoever sends without end must not keep timers and other connections waiting.
                tokio::task::yield_now().await;
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
                    Ok(()) => more_waits = self.read(&mut chunk),
                    Err(_) => self.reset(),
                },
                waits = self.socket.peek(&mut first), if self.held && !self.waiting_told => self.something_waits(waits),
                // Whether it was octets or a payload's next part that waited, pumping sends it.
                ready = self.socket.writable(), if self.has_output() => if ready.is_err() {
                    self.reset();
                },
                () = tokio::time::sleep_until(gathered), if self.suspect_since.is_some() => self.tell_suspect(),
            }
        }
        let Self { socket, mut orders, waiting, .. } = self;
        // Closed first: whoever waits for a RST may rely on its being out.
        drop(socket);
        orders.close();
        for done in waiting {
            _ = done.send(Ok(()));
        }
        // An order that came while we went must not wait for its answer for ever.
        while let Some(Order { done, .. }) = orders.recv().await {
            _ = done.send(Err(Broken::Closed));
        }
    }
}

impl Tally {
    fn add(&mut self, octets: &[u8], protected: bool) {
        self.count += octets.len() as u64;
        self.hash.update(octets);
        self.protected = protected;
    }
}
