//! Where the sessions of a reference server are logged, for whoever wants to see them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ftpspec_net::Names;
use ftpspec_transcript::{Log, Secret};
use tokio::sync::{mpsc, oneshot};

/// Where sessions are logged, and how certificates are called there.
#[derive(Clone)]
pub enum SessionLogs {
    /// All in one log.
    Common(Arc<Log>, Names),
    /// Each in a log of its own, which is handed on when it begins.
    Each(mpsc::UnboundedSender<SessionLog>, Names),
}

/// A session that has begun.
pub struct SessionLog {
    /// Where the client is.
    pub from: SocketAddr,
    /// Everything that happens; the password is redacted.
    pub log: Arc<Log>,
    /// Comes to its end with the session.
    pub over: oneshot::Receiver<()>,
}

impl SessionLogs {
    /// The log of a session that begins now, and what is to go when it ends.
    pub(super) fn begin(&self, from: SocketAddr, password: &Secret) -> (Arc<Log>, Names, Option<oneshot::Sender<()>>) {
        match self {
            Self::Common(log, names) => (Arc::clone(log), Arc::clone(names), None),
            Self::Each(told, names) => {
                let log = Log::new(Instant::now());
                log.redact(password);
                let (guard, over) = oneshot::channel();
                // Nobody has to listen.
                _ = told.send(SessionLog { from, log: Arc::clone(&log), over });
                (log, Arc::clone(names), Some(guard))
            }
        }
    }
}
