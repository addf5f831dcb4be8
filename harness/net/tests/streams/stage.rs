//! Who plays in these tests: a connection under test with a log of its own, machines for both ends, and waiting for what
//! the log must tell. Every wait is bounded, so that a broken promise fails and does not hang.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftpspec_net::{Act, Carries, Connection, Early, Listener, Setup, connect};
use ftpspec_tls::{
    ClientCertificate, ClientContext, ClientSettings, Engine, Machine, Resume, Reuse12, ServerContext, ServerSettings,
    Sessions, Suites, Trust, Version,
};
use ftpspec_transcript::{By, Event, Log, What};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;

use crate::pki::SERVER;
use crate::rough::Rough;

/// Which of the two sides of TLS the connection under test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    Client,
    Server,
}

/// A connection under test, and its log.
pub struct Side {
    pub connection: Connection,
    pub log: Arc<Log>,
}

impl Side {
    pub fn new(socket: TcpStream, carries: Carries) -> Self {
        let log = Log::new(Instant::now());
        let setup =
            Setup { name: Arc::from("it"), carries, log: Arc::clone(&log), keep: 1 << 16, names: Arc::new(|_| None) };
        let connection = Connection::new(socket, setup).expect("a socket that has just been made has addresses");
        Self { connection, log }
    }

    /// Does an act that must be possible.
    pub async fn act(&self, act: Act) {
        within("an act", self.connection.act(act)).await.expect("the connection allows it");
    }

    /// Ends our direction, unless politeness has done so already.
    pub async fn end(&self) {
        _ = within("an end", self.connection.together(vec![Act::CloseNotify, Act::Fin])).await;
    }

    pub async fn write(&self, octets: &[u8]) {
        self.act(Act::Write { octets: octets.to_vec(), verb: None }).await;
    }

    pub async fn start_tls(&self, machine: Box<dyn Machine>) {
        self.act(Act::StartTls { machine, identity: None, shows: None, early: Early::GivenToTls }).await;
    }

    /// Waits for an event.
    pub async fn sees(&self, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        let found = self.log.wait(|events| events.iter().find(|event| is_it(event)).cloned());
        match tokio::time::timeout(LIMIT, found).await {
            Ok(event) => event,
            Err(_) => panic!("{what} is not told: {:#?}", self.log.events()),
        }
    }

    /// Waits for an event of the peer's.
    pub async fn hears(&self, what: &What) -> Event {
        self.sees(&format!("{what:?}"), |event| event.by == By::Peer && event.what == *what).await
    }

    pub async fn handshake(&self) {
        self.sees("the handshake", |event| matches!(event.what, What::Handshake(_))).await;
    }

    /// Waits until the peer has ended, by FIN or RST.
    pub async fn peer_end(&self) -> What {
        self.sees("the peer's end", |event| event.by == By::Peer && matches!(event.what, What::Fin { .. } | What::Rst))
            .await
            .what
    }

    /// How the peer ended, in order.
    pub fn peer_ends(&self) -> Vec<What> {
        self.told(|event| {
            event.by == By::Peer && matches!(event.what, What::CloseNotify | What::Fin { .. } | What::Rst)
        })
    }

    pub fn told(&self, is_it: impl Fn(&Event) -> bool) -> Vec<What> {
        self.log.look(|events| events.iter().filter(|event| is_it(event)).map(|event| event.what.clone()).collect())
    }

    pub async fn next_command(&self) -> What {
        let from = self.log.len();
        self.act(Act::NextCommand).await;
        self.sees("a command", |event| {
            event.seq >= from && matches!(event.what, What::Command { .. } | What::Malformed { .. })
        })
        .await
        .what
    }
}

/// A connection under test and a rough peer in a finished TLS session.
pub async fn session(seat: Seat, engine: Engine, version: Version, carries: Carries) -> (Side, Rough) {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, carries);
    let (machine, peer) = machines(seat, engine, version);
    let mut rough = Rough::with(theirs, peer);
    side.start_tls(machine).await;
    within("the handshake", rough.handshake()).await;
    side.handshake().await;
    (side, rough)
}

/// Two connections under test, client and server, in a finished TLS session.
pub async fn both(client: Engine, version: Version, carries: (Carries, Carries)) -> (Side, Side) {
    let (ours, theirs) = sockets().await;
    let (one, other) = (Side::new(ours, carries.0), Side::new(theirs, carries.1));
    let (machine, peer) = machines(Seat::Client, client, version);
    other.start_tls(peer).await;
    one.start_tls(machine).await;
    one.handshake().await;
    other.handshake().await;
    (one, other)
}

/// Two ends of a TCP connection.
pub async fn sockets() -> (TcpStream, TcpStream) {
    sockets_at((Ipv4Addr::LOCALHOST, 0).into()).await
}

pub async fn sockets_at(address: SocketAddr) -> (TcpStream, TcpStream) {
    let listener = Listener::bind(address).expect("a free port of loopback");
    let (ours, theirs) = tokio::join!(connect(listener.address(), None), listener.accept());
    let theirs = theirs.expect("an accepted connection").0;
    theirs.set_nodelay(true).expect("a TCP socket");
    (ours.expect("a connection"), theirs)
}

/// The machine for this seat, and that of the other library for its peer.
pub fn machines(seat: Seat, engine: Engine, version: Version) -> (Box<dyn Machine>, Box<dyn Machine>) {
    match seat {
        Seat::Client => (client(engine, version), server(engine.other(), version)),
        Seat::Server => (server(engine, version), client(engine.other(), version)),
    }
}

pub fn client(engine: Engine, version: Version) -> Box<dyn Machine> {
    client_trusting(engine, version, &SERVER.chain_pem)
}

pub fn client_trusting(engine: Engine, version: Version, roots: &[u8]) -> Box<dyn Machine> {
    let settings = ClientSettings {
        versions: version..=version,
        server_name: "localhost".to_owned(),
        trust: Trust::Roots(roots.to_vec()),
        identity: None,
        alpn: Vec::new(),
        suites: Suites::Modern,
        key_log: None,
    };
    let context = ClientContext::new(engine, settings).expect("settings that both engines have");
    context.connect(&Sessions::new("it"), Resume::No).expect("a fresh machine")
}

pub fn server(engine: Engine, version: Version) -> Box<dyn Machine> {
    let settings = ServerSettings {
        versions: version..=version,
        identity: SERVER.clone(),
        client_certificate: ClientCertificate::NotAsked,
        tickets: 2,
        reuse_tls12: Reuse12::None,
        alpn: Vec::new(),
        suites: Suites::Modern,
        key_log: None,
    };
    ServerContext::new(engine, settings).and_then(|context| context.accept()).expect("settings that both engines have")
}

/// Waits for what has been promised.
pub async fn within<T>(what: &str, promised: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, promised).await {
        Ok(kept) => kept,
        Err(_) => panic!("{what} did not come about within {LIMIT:?}"),
    }
}

/// 12 MiB that differ everywhere: more than both socket buffers of a connection hold.
pub fn large_payload() -> Arc<[u8]> {
    (0..12_u32 << 18).flat_map(|word| word.wrapping_mul(0x9E37_79B1).to_le_bytes()).collect()
}

pub fn sha256(octets: &[u8]) -> String {
    hex::encode(Sha256::digest(octets))
}

/// What a promise may take on a loaded machine; a kept one takes milliseconds.
const LIMIT: Duration = Duration::from_secs(30);
