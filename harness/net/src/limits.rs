//! Every limit on time and size, in one place, each with its reason. A limit on time bounds a wait; it never stands in
//! for an event.

use std::time::Duration;

/// How long is waited for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A TCP connection: a SYN is repeated after 1 and 3 s, so 5 s survive one lost twice.
    pub connect: Duration,
    /// The greeting: a server that looks a name up may take some seconds.
    pub greeting: Duration,
    /// A reply: an upload may have to be flushed to a slow disk; 4217 and 959 name no time.
    pub reply: Duration,
    /// A TLS handshake: two round trips and an RSA signature, on a loaded machine.
    pub handshake: Duration,
    /// Octets on a data connection, from one to the next, and its end: a lingering close of 11 s was met in the field.
    pub data: Duration,
    /// The peer's close_notify after ours, where the connection goes on in the clear.
    pub clear: Duration,
    /// What a client under test is asked for: it takes a second, and a client that gives up does so before this.
    pub client: Duration,
    /// The whole of a variant: whatever else goes wrong, a run ends.
    pub variant: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            greeting: Duration::from_secs(10),
            reply: Duration::from_secs(15),
            handshake: Duration::from_secs(10),
            data: Duration::from_secs(15),
            clear: Duration::from_secs(5),
            client: Duration::from_secs(30),
            variant: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// No single wait is longer than this; the whole of a variant is bounded by eight of them.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self {
            connect: self.connect.min(limit),
            greeting: self.greeting.min(limit),
            reply: self.reply.min(limit),
            handshake: self.handshake.min(limit),
            data: self.data.min(limit),
            clear: self.clear.min(limit),
            client: self.client.min(limit * 2),
            variant: self.variant.min(limit * 8),
        }
    }
}

/// The most octets of plaintext-where-TLS-was-due that are kept: the beginning tells what it is.
pub const PLAINTEXT_KEPT: usize = 512;

/// How often plaintext-where-TLS-was-due is told on one connection: a sentence or two say what it is, and an endless stream
/// must not fill the log.
pub const PLAINTEXTS_TOLD: usize = 16;

/// How often octets that are no reply or command are told on one connection: more of them tell nothing new, and must not
/// fill the log.
pub const MALFORMED_TOLD: usize = 64;

/// How many events a server may make on one connection, runs of records and octets not counted: a conversation has some
/// hundreds. More of them are a flood, which would fill the log and every report.
pub const EVENTS_TOLD: usize = 2048;

/// How many connections one listener of ours takes: a server under test makes one, and whoever makes more than some would
/// use up our sockets.
pub const MOST_CALLERS: usize = 64;

/// How many octets of commands wait for being asked for before the socket is left alone: hundreds of commands pipelined by
/// an eager client.
pub const COMMANDS_AHEAD: usize = 65_536;

/// How many octets one control connection may bring: 16 of the longest replies. A longer conversation is a flood, and would
/// fill the log.
pub const MOST_ON_CONTROL: u64 = 16 << 20;

/// How long octets that are not TLS are gathered before they are told, if no line end comes: a sentence may be split
/// over segments.
pub const PLAINTEXT_GATHERED: Duration = Duration::from_millis(250);

/// One read of a socket: four TLS records.
pub const READ_CHUNK: usize = 65_536;

/// How many reads are made before orders, timers and other connections have their turn: some milliseconds' work for an
/// engine that is not optimised.
pub const READS_IN_A_ROW: usize = 4;

/// How long a connection that nobody holds any more is still read, so that closing it sends no RST: as long as the
/// longest lingering close that was met.
pub const LINGER: Duration = Duration::from_secs(15);

/// How much of a file is protected at a time, and how much may wait for the socket: enough to keep it busy, little enough
/// that a FIN or RST ordered meanwhile is not late.
pub const PAYLOAD_CHUNK: usize = 65_536;

/// How many octets of a download are kept besides their digest: listings are looked into, files are not.
pub const KEPT_OF_DATA: usize = 65_536;

/// The largest upload that the reference server takes: four times the largest fixture.
pub const LARGEST_UPLOAD: usize = 64 << 20;
