//! What a server of ours wrote while a variant was played: the other side's own evidence. It is read only where
//! something went wrong, from where it stood when the variant began, and passes the log's redaction. It judges nothing,
//! and never claims that a line is about this session where others were under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ftpspec_peers::{Mark, Written};
use ftpspec_results::ServerLog;
use ftpspec_transcript::{By, Event, Log, What};

use crate::configurations::Running;

/// Who listens to one server, so that it is known whether a line can be about somebody else.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    begun: AtomicUsize,
    under_way: AtomicUsize,
}

/// From where on a server's log is about a variant. While it lives, the variant is under way.
pub(crate) struct Listening {
    running: Arc<Running>,
    mark: Mark,
    /// Whether nobody else was under way when it began.
    alone: bool,
    /// How many had begun by then, itself included.
    begun: usize,
}

impl Listening {
    pub(crate) fn begin(running: &Arc<Running>) -> Self {
        let listeners = running.listeners();
        let alone = listeners.under_way.fetch_add(1, Ordering::SeqCst) == 0;
        let begun = listeners.begun.fetch_add(1, Ordering::SeqCst) + 1;
        Self { mark: running.mark(), running: Arc::clone(running), alone, begun }
    }

    /// What was written since, as far as a report has room for it.
    pub(crate) async fn heard(&self, log: &Log) -> ServerLog {
        // A process that falls closes its connections first, and is gone a moment later.
        let patience = if log.look(is_abrupt) { LAST_BREATH } else { Duration::ZERO };
        let ended = self.running.ended_within(patience).await;
        let shared = !self.alone || self.running.listeners().begun.load(Ordering::SeqCst) != self.begun;
        let written = self.running.written_since(self.mark).await;
        let (lines, clipped) = last_words(written, log);
        ServerLog { shared, lines, clipped, ended }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.running.listeners().under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The last lines, redacted: those of the log file, then those of the output, where a server that falls says why.
pub(crate) fn last_words(written: Written, log: &Log) -> (Vec<String>, bool) {
    let mut clipped = written.clipped;
    let mut lines = Vec::new();
    for all in [written.log, written.output] {
        let from = all.len().saturating_sub(MOST_LINES);
        clipped |= from > 0;
        lines.extend(all[from..].iter().map(|line| log.redacted(line)));
    }
    (lines, clipped)
}

/// Whether the server was not there, or left us without having been told to.
fn is_abrupt(events: &[Event]) -> bool {
    let quit = |event: &Event| matches!(&event.what, What::Command { verb, .. } if verb == "QUIT");
    let gone = |event: &Event| match event.what {
        What::ConnectFailed { .. } => true,
        What::Fin { .. } | What::Rst => event.by == By::Peer && event.connection.as_deref() == Some("control"),
        _ => false,
    };
    events.iter().take_while(|event| !quit(event)).any(gone)
}

/// Lines of the log file, and as many of the output: a session has some dozens, a panic with its frames more than a
/// hundred.
const MOST_LINES: usize = 200;

/// From the last octet of a process to its end; longer only on a machine that has much else to do.
const LAST_BREATH: Duration = Duration::from_millis(500);
