//! The server's side of acts: what the reference server must supply so that a script can be correct.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use ftpspec_net::{Early, Listener};
use ftpspec_tls::{Handshake, Machine};
use ftpspec_wire::Reply;
use tokio::net::TcpStream;

/// A session of a reference server, as its player sees it. Nothing here blocks, but for `take_data_connection`.
pub trait ServerSide: Send + Sync {
    /// The correct reply with this code to the command in hand.
    fn reply(&self, code: u16) -> Reply;
    /// This reply has been given: what the command does to the session takes effect, if the code says so.
    fn answered(&self, code: u16);
    /// The octets that the command in hand is about: a file, a listing.
    fn payload(&self) -> Arc<[u8]>;
    /// An upload has ended.
    fn store(&self, octets: Vec<u8>, whole: bool);
    /// Whether data connections are protected at the moment.
    fn protects_data(&self) -> bool;
    /// A machine for a handshake on the control connection or on a data connection.
    ///
    /// # Errors
    /// If the engine cannot make one.
    fn machine(&self, data: bool) -> Result<Box<dyn Machine>, String>;
    /// The name of the certificate that the machine shows, where it is not the usual one.
    fn shows(&self, data: bool) -> Option<String>;
    /// Looks at a finished handshake; an error is the refusal that is due.
    ///
    /// # Errors
    /// The reply that refuses the transfer.
    fn check(&self, data: bool, handshake: &Handshake) -> Result<(), Reply>;
    /// The next data connection comes to this listener.
    fn listens(&self, listener: Listener);
    /// Takes the data connection as agreed: accepts it, or connects. The bool says which.
    fn take_data_connection(&self) -> DataConnection;
    /// What becomes of octets that arrived in the clear before a handshake.
    fn early(&self) -> Early;
    /// Whether close_notify of the peer is answered.
    fn answers_close_notify(&self) -> bool;
    /// Whether an upload is whole only if close_notify ended it.
    fn wants_close_notify(&self) -> bool;
    /// A rule or a correct script has come so far that the control connection is in the clear again.
    fn cleared(&self);
}

/// The data connection to come; where to, if we connect.
pub type DataConnection = Pin<Box<dyn Future<Output = io::Result<(TcpStream, Taken)>> + Send>>;

/// How a data connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// We accepted it.
    Accepted(SocketAddr),
    /// We connected.
    Connected(SocketAddr),
}
