//! One *tapped* TCP stream: it owns the socket, cuts TLS records and drives a TLS machine, and logs what it sees. It
//! knows nothing of what FTP means beyond where a reply or a line ends, and gives no verdict.
//!
//! Each [`Connection`] is a task of its own that reads all the time (unless held), so that what arrives is in the log
//! whatever the script is waiting for. By default it is a polite peer: it answers close_notify and FIN, and reads to the
//! end before it closes, so that no RST is of our making.

mod driver;
pub mod limits;
mod listener;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ftpspec_tls::{Machine, TlsError};
use ftpspec_transcript::Log;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

pub use limits::Limits;
pub use listener::{Closed, Listener, connect};

/// What a connection carries towards us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Replies: we are the client of a control connection.
    Replies,
    /// Commands: we are the server of a control connection. One is read for each [`Act::NextCommand`].
    Commands,
    /// Data.
    Data,
}

/// Gives the name of a certificate (DER) that the harness knows.
pub type Names = Arc<dyn Fn(&[u8]) -> Option<String> + Send + Sync>;

/// One act on one connection.
pub enum Act {
    /// Sends application octets in the protection in force. The verb is that of the command, if it is one: its reply
    /// will bear it.
    Write {
        /// What to send.
        octets: Vec<u8>,
        /// The command's verb.
        verb: Option<String>,
    },
    /// Sends octets past TLS. With `observe`, what comes back is cut into records without an engine.
    Raw {
        /// What to send.
        octets: Vec<u8>,
        /// Whether TLS is due from the peer.
        observe: bool,
    },
    /// Starts TLS with this machine; the names of our own certificates are for the log.
    StartTls {
        /// The machine, fresh.
        machine: Box<dyn Machine>,
        /// The name of the certificate that it sends if it is asked.
        identity: Option<String>,
        /// The name of the certificate that it shows as the server, where that is to be told.
        shows: Option<String>,
        /// What becomes of octets that arrived in the clear before.
        early: Early,
    },
    /// Sends close_notify, and no more of a file that is being sent. What is written behind it goes out in the clear.
    CloseNotify,
    /// Ends TLS and stays open: close_notify; what follows the peer's is plaintext.
    Clear,
    /// Ends politely what no script is about: close_notify, and FIN.
    Part,
    /// Closes the write side once everything before is out.
    Fin,
    /// Resets the connection.
    Rst,
    /// Sends a file; what is read meanwhile is logged as ever. If the peer closes its direction meanwhile, it is answered
    /// behind the file; but a close_notify below TLS 1.3 ends the file (RFC 5246 §7.2.1), and so does any end of ours.
    Payload(Arc<[u8]>),
    /// Sends one protected record.
    Record {
        /// The content type.
        content_type: u8,
        /// The plaintext.
        octets: Vec<u8>,
    },
    /// Reads from here on. A data connection is not read before its first act other than `Hold`, `Release` and `Mute`:
    /// until then nothing says whether TLS is due on it.
    Read,
    /// Sends a TLS 1.3 KeyUpdate.
    KeyUpdate {
        /// Whether the peer is asked to do the same.
        request: bool,
    },
    /// Stops reading.
    Hold,
    /// Stops reading the moment the next handshake is done: no record behind it is looked at before a `Release`.
    HoldBehindHandshake,
    /// Of the flight that the machine sends next only the first record leaves, a server's ServerHello; the rest never
    /// does.
    CutFlight,
    /// Reads again.
    Release,
    /// Is not polite any more.
    Mute,
    /// Cuts what comes from here on into records without an engine, if there is none.
    Observe,
    /// Drops what has been received behind the last command.
    DropEarly,
    /// Forgets a command line that does not come in one piece: a fault that was met in the field.
    WholeLinesOnly,
    /// Takes each line for a reply: a fault that was met in the field.
    EachLineIsAReply,
    /// Behind the next reply with this code nothing is a reply: what stands there waits for [`Act::StartTls`].
    HaltBehind(u16),
    /// Reads one more command.
    NextCommand,
    /// Tells, by a [`What::Waiting`](ftpspec_transcript::What::Waiting), of octets behind the last command that nobody has
    /// asked for: of those that are there, or of the first that come before the next command is asked for.
    TellUnasked,
}

/// What becomes of octets that were received in the clear and not yet read when TLS starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// They are the beginning of the handshake, as the text has it.
    GivenToTls,
    /// A server dropped them when it sent its 234, and what has come since begins the handshake; a client drops them now.
    Dropped,
    /// They are kept, and read as if they had come in TLS: the fault of CVE-2011-1575 and its kin.
    Kept,
}

/// Why an act was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The connection has ended in the direction that the act needs.
    #[error("the connection is closed")]
    Closed,
    /// A file is being sent already.
    #[error("a file is being sent on this connection already")]
    Busy,
    /// The TLS engine would not.
    #[error("{0}")]
    Tls(String),
}

impl From<TlsError> for Broken {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

/// A handle on a connection; the connection lives in a task of its own, and ends with the last handle.
#[derive(Clone)]
pub struct Connection {
    name: Arc<str>,
    peer: SocketAddr,
    local: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Mutex<Received>>,
    end: End,
}

/// The end of a connection, for whoever holds no handle on it any more.
#[derive(Clone)]
pub struct End(watch::Receiver<()>);

impl End {
    /// Waits until both directions are closed, or nobody reads any more.
    pub async fn is_there(mut self) {
        // Nothing is ever sent: the sender goes with the connection's task.
        while self.0.changed().await.is_ok() {}
    }

    /// Whether it has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// What has been received on a connection.
#[derive(Debug, Default, Clone)]
pub struct Received {
    /// The count of application octets.
    pub octets: u64,
    /// The first of them, as many as were to be kept.
    pub kept: Vec<u8>,
    /// The handshake that was finished last.
    pub handshake: Option<ftpspec_tls::Handshake>,
    /// The command that was read last, as it came: the log's copy is redacted. Whoever serves it takes it.
    pub command: Option<ftpspec_wire::Command>,
}

pub(crate) struct Order {
    pub(crate) acts: Vec<Act>,
    pub(crate) done: oneshot::Sender<Result<(), Broken>>,
}

/// How a connection is set up.
#[derive(Clone)]
pub struct Setup {
    /// Its name in the log.
    pub name: Arc<str>,
    /// What it carries towards us.
    pub carries: Carries,
    /// Where it logs.
    pub log: Arc<Log>,
    /// How many octets of data are kept.
    pub keep: usize,
    /// The names of known certificates.
    pub names: Names,
}

impl Connection {
    /// Takes over a socket. The caller has logged how it came about.
    ///
    /// # Errors
    /// If the socket has ended already, so that it has no addresses any more.
    pub fn new(socket: TcpStream, setup: Setup) -> std::io::Result<Self> {
        // A socket that was reset the moment it was made has no peer any more: the reset will be read, and told.
        let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotConnected;
        let peer = match socket.peer_addr() {
            Err(error) if gone(&error) => SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0)),
            other => other?,
        };
        // Each write is a segment of its own: what leaves together was meant to.
        _ = socket.set_nodelay(true);
        let local = socket.local_addr()?;
        let (orders, received_orders) = mpsc::unbounded_channel();
        let shared = Arc::<Mutex<Received>>::default();
        let name = Arc::clone(&setup.name);
        let driver = driver::Driver::new(socket, setup, Arc::clone(&shared), received_orders);
        let (ends, end) = watch::channel(());
        tokio::spawn(async move {
            let _ends = ends;
            driver.run().await;
        });
        Ok(Self { name, peer, local, orders, shared, end: End(end) })
    }

    /// Its name in the log.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our end.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What has been received so far.
    pub fn received(&self) -> MutexGuard<'_, Received> {
        // Plain values, whole after each statement: a panic elsewhere leaves nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one act, and returns once its octets have left.
    ///
    /// # Errors
    /// If the connection does not allow it any more.
    pub async fn act(&self, act: Act) -> Result<(), Broken> {
        self.together(vec![act]).await
    }

    /// Does several acts; their octets leave in one write.
    ///
    /// # Errors
    /// If the connection does not allow one of them any more.
    pub async fn together(&self, acts: Vec<Act>) -> Result<(), Broken> {
        let (done, is_done) = oneshot::channel();
        self.orders.send(Order { acts, done }).map_err(|_| Broken::Closed)?;
        is_done.await.unwrap_or(Err(Broken::Closed))
    }

    /// Its end.
    #[must_use]
    pub fn end(&self) -> End {
        self.end.clone()
    }

    /// Whether its task has ended, both directions being closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.orders.is_closed()
    }
}
