//! Reference servers behind a place of the test's own: it hands each connection on, and hears what the client sends.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;

use ftpspec::{Engine, Limits, Secret};
use ftpspec_peers::pki::Pki;
use ftpspec_peers::reference::{ReferenceServer, ReferenceSettings};
use ftpspec_scenario::load_rules;
use ftpspec_scenario::model::Source;
use ftpspec_scenario::settings::ServerSettings;

pub const PASSWORD: &str = "an odd password";

/// A reference server with these rules, a line of YAML each, that lets the user `me` in.
pub fn server(pki: &Arc<Pki>, rules: &str) -> ReferenceServer {
    let text = if rules.is_empty() { "rules: []\n".to_owned() } else { format!("rules:\n  {rules}\n") };
    let script = load_rules(&Arc::new(Source { name: "rules".to_owned(), text })).unwrap();
    let settings = ReferenceSettings {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        engine: Engine::Openssl,
        settings: ServerSettings::default(),
        rules: script.rules,
        user: "me".to_owned(),
        password: Secret::new(PASSWORD),
        pki: Arc::clone(pki),
        limits: Limits::default(),
        log: None,
        version: None,
    };
    ReferenceServer::start(settings).unwrap()
}

/// The place, and what is heard there.
pub struct Front {
    pub port: u16,
    /// Of each connection that the client has ended: which it was, what the client sent, and how it ended.
    pub heard: mpsc::Receiver<(usize, Vec<u8>, io::Result<()>)>,
}

impl Front {
    /// Hands the connections on, the first as number 0, to where `server` says.
    pub fn before(server: impl Fn(usize) -> SocketAddr + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            for (index, client) in listener.incoming().flatten().enumerate() {
                let server = TcpStream::connect(server(index)).unwrap();
                let (from, to, sender) = (client.try_clone().unwrap(), server.try_clone().unwrap(), sender.clone());
                thread::spawn(move || {
                    let mut octets = Vec::new();
                    let ended = hand_on(from, to, &mut octets);
                    // A test that has seen enough listens no more.
                    _ = sender.send((index, octets, ended));
                });
                thread::spawn(move || hand_on(server, client, &mut Vec::new()));
            }
        });
        Self { port, heard }
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, heard: &mut Vec<u8>) -> io::Result<()> {
    let mut octets = [0; 4096];
    loop {
        let count = from.read(&mut octets)?;
        heard.extend_from_slice(&octets[..count]);
        if count == 0 {
            // It may have gone already.
            _ = to.shutdown(Shutdown::Write);
            return Ok(());
        }
        _ = to.write_all(&octets[..count]);
    }
}
