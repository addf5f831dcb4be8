//! A client's and a server's machine with a pipe between them that cuts records, as the tapped stream does.

use ftpspec_tls::{
    ClientCertificate, ClientContext, ClientSettings, Engine, Fact, Machine, Resume, Reuse12, ServerContext,
    ServerSettings, Sessions, State, Suites, Trust, Version,
};

use crate::pki::PKI;

pub struct Pair {
    pub client: End,
    pub server: End,
}

/// One side: its machine, what is on its way to it, and what it has told.
pub struct End {
    pub machine: Box<dyn Machine>,
    pub arriving: Vec<u8>,
    pub plain: Vec<u8>,
    pub facts: Vec<Fact>,
}

impl Pair {
    pub fn new(client: Box<dyn Machine>, server: Box<dyn Machine>) -> Self {
        Self { client: End::new(client), server: End::new(server) }
    }

    /// A connection whose handshake is over, and the tickets read.
    pub fn open(client: &ClientContext, server: &ServerContext, sessions: &Sessions, resume: Resume) -> Self {
        let mut pair = Self::new(client.connect(sessions, resume).unwrap(), server.accept().unwrap());
        pair.run();
        pair.assert_open();
        pair
    }

    pub fn assert_open(&self) {
        for end in [&self.client, &self.server] {
            assert_eq!(end.machine.state(), State::Open, "{:?}", end.facts);
        }
    }

    /// Carries octets to and fro until nothing moves any more.
    pub fn run(&mut self) {
        loop {
            let to_server = self.client.machine.take_outgoing();
            let to_client = self.server.machine.take_outgoing();
            if to_server.is_empty() && to_client.is_empty() {
                break;
            }
            self.server.arriving.extend(to_server);
            self.client.arriving.extend(to_client);
            self.server.read();
            self.client.read();
        }
        self.client.note();
        self.server.note();
    }

    /// Whether the handshake resumed a session: both ends must say the same.
    pub fn resumed(&self) -> bool {
        let [client, server] = [&self.client, &self.server].map(|end| end.machine.handshake().unwrap());
        assert_eq!(client.resumed.is_some(), server.resumed.is_some());
        assert_eq!(client.resumption, server.resumption);
        client.resumed.is_some()
    }
}

impl End {
    pub fn new(machine: Box<dyn Machine>) -> Self {
        Self { machine, arriving: Vec::new(), plain: Vec::new(), facts: Vec::new() }
    }

    /// Feeds the whole records that have arrived, as long as what arrives is TLS.
    pub fn read(&mut self) {
        while !self.machine.peer_closed()
            && let Some(length) = record_length(&self.arriving)
        {
            let record: Vec<u8> = self.arriving.drain(..length).collect();
            self.machine.feed_record(&record);
        }
        self.note();
    }

    fn note(&mut self) {
        self.plain.extend(self.machine.take_plain());
        self.facts.extend(self.machine.take_facts());
    }
}

/// The length of the first record, if it is whole.
pub fn record_length(octets: &[u8]) -> Option<usize> {
    let &[_, _, _, high, low, ..] = octets else { return None };
    let length = 5 + usize::from(u16::from_be_bytes([high, low]));
    (octets.len() >= length).then_some(length)
}

pub fn client_settings(version: Version) -> ClientSettings {
    ClientSettings {
        versions: version..=version,
        server_name: "localhost".into(),
        trust: Trust::Roots(PKI.root.clone()),
        identity: None,
        alpn: Vec::new(),
        suites: Suites::Modern,
        key_log: None,
    }
}

pub fn server_settings(version: Version) -> ServerSettings {
    ServerSettings {
        versions: version..=version,
        identity: PKI.server.clone(),
        client_certificate: ClientCertificate::NotAsked,
        tickets: 2,
        reuse_tls12: Reuse12::Ticket,
        alpn: Vec::new(),
        suites: Suites::Modern,
        key_log: None,
    }
}

pub fn client(engine: Engine, version: Version) -> ClientContext {
    ClientContext::new(engine, client_settings(version)).unwrap()
}

pub fn server(engine: Engine, version: Version) -> ServerContext {
    ServerContext::new(engine, server_settings(version)).unwrap()
}

/// A connection of two engines with ordinary settings.
pub fn open(client_engine: Engine, server_engine: Engine, version: Version) -> Pair {
    Pair::open(&client(client_engine, version), &server(server_engine, version), &Sessions::new("control"), Resume::No)
}
