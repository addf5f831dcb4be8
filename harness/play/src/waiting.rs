//! Waiting for events: every wait is bounded, ends with the connection that it looks at, and tells a limit that expired
//! from a loop of ours that lagged.

use std::time::Duration;

use ftpspec_transcript::{By, Event, What};
use tokio::time::Instant;

use crate::{Player, Stop};

/// A limit that expired while our own loop lagged by more than this share of it says nothing about the peer.
const LAG_SHARE: f64 = 0.1;

/// Below this a lag is the timer's own, whatever the limit.
const LAG_AT_LEAST: Duration = Duration::from_millis(100);

/// How much of the time of a whole variant one file may take.
const SHARE_OF_ONE_FILE: f64 = 0.75;

/// What came of a wait.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Waited {
    /// This event.
    Event(Box<Event>),
    /// The limit expired.
    TimedOut,
}

impl Player {
    /// Waits for the first event, from `from` on, that `is_it` tells.
    pub(crate) async fn wait(
        &self,
        limit: Duration,
        of: &str,
        from: usize,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Waited, Stop> {
        let began = Instant::now();
        let found = self.log.wait(|events| events.get(from..)?.iter().find(|event| is_it(event)).cloned());
        if let Ok(event) = tokio::time::timeout(limit, found).await {
            return Ok(Waited::Event(Box::new(event)));
        }
        let lag = began.elapsed().saturating_sub(limit);
        if lag > LAG_AT_LEAST && lag > limit.mul_f64(LAG_SHARE) {
            return Err(Stop::Trouble(format!("our own loop lagged by {lag:.1?} while it waited for the {of}")));
        }
        if !self.trying {
            self.log.push(None, By::Us, What::Timeout { of: of.to_owned(), after: limit });
        }
        Ok(Waited::TimedOut)
    }

    /// Waits until a data connection has ended: as long as octets keep coming no limit expires, but the one on the whole,
    /// for what comes without end. A server takes close_notify for the end; a client also waits for what stands behind
    /// it, so that it has seen all.
    pub(crate) async fn wait_for_end(&self, connection: &str, close_notify_ends: bool) -> Result<Waited, Stop> {
        let ends = |event: &Event| {
            is_end(event, connection)
                || close_notify_ends
                    && event.by == By::Peer
                    && event.what == What::CloseNotify
                    && event.connection.as_deref() == Some(connection)
        };
        // Told at its place, before the whole variant runs out of time.
        let last = Instant::now() + self.limits.variant.mul_f64(SHARE_OF_ONE_FILE);
        loop {
            let seen = self.octets_on(connection);
            let left = last.saturating_duration_since(Instant::now());
            match self.wait_quietly(self.limits.data.min(left), 0, ends).await {
                Some(event) => return Ok(Waited::Event(Box::new(event))),
                None if self.octets_on(connection) > seen && Instant::now() < last => {}
                None => {
                    let of = "end of data".to_owned();
                    self.log.push(None, By::Us, What::Timeout { of, after: self.limits.data });
                    return Ok(Waited::TimedOut);
                }
            }
        }
    }

    pub(crate) async fn wait_quietly(
        &self,
        limit: Duration,
        from: usize,
        is_it: impl Fn(&Event) -> bool,
    ) -> Option<Event> {
        let found = self.log.wait(|events| events.get(from..)?.iter().find(|event| is_it(event)).cloned());
        tokio::time::timeout(limit, found).await.ok()
    }

    /// The first event of this connection that no act has consumed.
    pub(crate) fn cursor(&self, connection: &str) -> usize {
        self.cursors.get(connection).copied().unwrap_or(0)
    }

    pub(crate) fn consume(&mut self, connection: &str, event: &Event) {
        self.cursors.insert(connection.to_owned(), event.seq + 1);
    }

    fn octets_on(&self, connection: &str) -> u64 {
        self.connections.get(connection).map_or(0, |connection| connection.received().octets)
    }
}

/// Whether this event is the last that a connection can bring from the peer.
pub(crate) fn is_end(event: &Event, connection: &str) -> bool {
    event.by == By::Peer
        && event.connection.as_deref() == Some(connection)
        && matches!(event.what, What::Fin { .. } | What::Rst)
}

/// Whether this is a final reply on a control connection.
pub(crate) fn is_final_reply(event: &Event) -> bool {
    event.by == By::Peer && matches!(&event.what, What::Reply { reply, .. } if reply.class() != 1)
}

/// What an event was, for the `came` of a failure text.
pub(crate) fn in_words(what: &What) -> String {
    use ftpspec_wire::{alert_name, escaped, hex_head};
    match what {
        What::Reply { reply, .. } => reply.lines.last().map_or_else(|| reply.code.to_string(), |line| escaped(line)),
        What::Malformed { octets, why } => format!("{}   \"{}\": {why}", hex_head(octets, 16), escaped(octets)),
        What::Plaintext { octets, .. } => format!("{}   \"{}\"", hex_head(octets, 16), escaped(octets)),
        What::Fin { inside_record: true } => "FIN in the midst of a TLS record".to_owned(),
        What::Fin { .. } => "FIN".to_owned(),
        What::Rst => "RST".to_owned(),
        What::CloseNotify => "close_notify".to_owned(),
        What::Alert { level, description } => {
            let level = if *level == 2 { "fatal" } else { "warning" };
            format!("alert {level} {}", alert_name(*description))
        }
        What::HandshakeFailed { words, .. } => format!("handshake failed: {words}"),
        What::Handshake(_) => "a finished handshake".to_owned(),
        What::ServerHello => "server_hello".to_owned(),
        What::ClientHello { .. } => "client_hello".to_owned(),
        What::Command { line, .. } => line.clone(),
        What::Octets { count, .. } | What::Content { count, .. } => format!("{count} octets"),
        other => format!("{other:?}").split([' ', '{', '(']).next().unwrap_or_default().to_lowercase(),
    }
}
