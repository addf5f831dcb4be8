//! A peer without manners: it holds socket and machine itself, so that it can end, split and mix what it sends as no
//! stream of ours would.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use ftpspec_tls::{Machine, State};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Rough {
    pub socket: TcpStream,
    pub machine: Box<dyn Machine>,
    /// What has arrived and was no whole record yet, or no longer TLS.
    pub arrived: Vec<u8>,
    /// What was deprotected.
    pub plain: Vec<u8>,
}

/// How the other side's direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Rst,
}

impl Rough {
    pub fn with(socket: TcpStream, machine: Box<dyn Machine>) -> Self {
        Self { socket, machine, arrived: Vec::new(), plain: Vec::new() }
    }

    /// Shakes hands. Whatever its last flight is, the other side has been sent it.
    pub async fn handshake(&mut self) {
        self.flush().await;
        while self.machine.state() == State::Handshaking {
            assert_eq!(self.read().await, None, "ended in the handshake");
        }
        assert_eq!(self.machine.state(), State::Open, "{:?}", self.machine.failure());
    }

    /// Shakes hands, and sends octets in one write with its last flight.
    pub async fn handshake_and_write(&mut self, plain: &[u8]) {
        while self.machine.state() == State::Handshaking {
            let mut chunk = vec![0; 1 << 16];
            let count = self.socket.read(&mut chunk).await.expect("the other side shakes hands");
            self.arrived.extend_from_slice(&chunk[..count]);
            self.digest();
            let mut octets = self.machine.take_outgoing();
            if self.machine.state() == State::Open {
                octets.extend(self.protect(plain));
            }
            self.raw(&octets).await;
        }
    }

    /// Sends octets as they are.
    pub async fn raw(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).await.expect("the other side reads");
    }

    pub async fn write(&mut self, plain: &[u8]) {
        let octets = self.protect(plain);
        self.raw(&octets).await;
    }

    /// Protects octets, and sends nothing.
    pub fn protect(&mut self, plain: &[u8]) -> Vec<u8> {
        self.machine.write(plain).expect("an open session");
        self.machine.take_outgoing()
    }

    /// The record of a close_notify, not sent.
    pub fn close_notify(&mut self) -> Vec<u8> {
        self.machine.send_close_notify();
        self.machine.take_outgoing()
    }

    pub async fn flush(&mut self) {
        let octets = self.machine.take_outgoing();
        self.raw(&octets).await;
    }

    pub fn fin(&self) {
        SockRef::from(&self.socket).shutdown(Shutdown::Write).expect("a connected socket");
    }

    pub fn rst(self) {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
    }

    /// One read of the socket, and what the machine makes of it.
    pub async fn read(&mut self) -> Option<End> {
        let mut chunk = vec![0; 1 << 16];
        match self.socket.read(&mut chunk).await {
            Ok(0) => return Some(End::Fin),
            Ok(count) => self.arrived.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Some(End::Rst),
            Err(error) => panic!("reading: {error}"),
        }
        self.digest();
        // A machine may have to answer: the handshake's next flight, a KeyUpdate.
        self.flush().await;
        None
    }

    pub async fn read_to_end(&mut self) -> End {
        loop {
            if let Some(end) = self.read().await {
                return end;
            }
        }
    }

    pub async fn read_until(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            assert_eq!(self.read().await, None, "ended too early");
        }
    }

    fn digest(&mut self) {
        while !self.machine.peer_closed()
            && let Some(length) = record_length(&self.arrived)
        {
            let record: Vec<u8> = self.arrived.drain(..length).collect();
            self.machine.feed_record(&record);
            self.plain.extend(self.machine.take_plain());
        }
    }
}

fn record_length(octets: &[u8]) -> Option<usize> {
    let &[20..=24, 3, _, high, low, ..] = octets else { return None };
    let length = 5 + usize::from(u16::from_be_bytes([high, low]));
    (octets.len() >= length).then_some(length)
}
