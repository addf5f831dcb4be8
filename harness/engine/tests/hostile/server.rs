//! A small FTPS server that does everything right but for one lie at one step. Each lie is a value with a name; what it
//! does stands in one place, and a session never outlives its lie.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use ftpspec::Identity;
use ftpspec_play::fixture::{self, FIXTURES};
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;

use crate::wire::{Received, Wire};

/// Where in a session the lie is told. All before `Passive` are met by the probe too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Greeting,
    /// In place of the 234.
    Auth,
    /// In place of the answer to the control connection's ClientHello.
    Handshake,
    /// In place of the first reply inside TLS.
    User,
    /// In place of the 230.
    Pass,
    /// In place of the 229 or 227.
    Passive,
    /// In place of the 150.
    Preliminary,
    /// In place of the answer to the data connection's ClientHello.
    DataHandshake,
    /// In place of a file's octets, or where those of an upload are due to be read.
    Data,
    /// In place of the 226.
    Final,
}

/// What is done there.
#[derive(Debug, Clone, Copy)]
pub enum Lie {
    /// Nothing at all, for ever.
    Hangs,
    /// close_notify, where there is TLS, and FIN.
    Closes,
    Resets,
    /// The truth, an octet a second.
    Slowly,
    /// This instead of the truth; the session goes on.
    Says(&'static [u8]),
    /// The truth, with this text behind its code.
    Disguised(&'static [u8]),
    /// This in front, then the truth.
    SaysFirst(&'static [u8]),
    /// This, again and again.
    WithoutEnd(&'static [u8]),
    /// This past TLS; then nothing more, but for listening.
    PastTls(&'static [u8]),
    /// close_notify, and the session goes on in the clear.
    EndsTls,
    /// The octets in records of 1, 3, 5, … octets.
    OddRecords,
    /// One record, and of it the first so many octets; then FIN.
    PartOfRecord(usize),
    /// One record, and of it the first so many octets; then nothing.
    PartOfRecordAndHangs(usize),
}

/// What a server does.
#[derive(Clone, Copy)]
pub struct Plan {
    /// How many control connections are served without the lie.
    pub honest: usize,
    /// Behind so many control connections nobody listens any more.
    pub dies_after: Option<usize>,
    pub step: Step,
    pub lie: Lie,
}

/// A server that goes on until the test program ends.
pub struct Hostile {
    pub address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

impl Hostile {
    pub fn start(plan: Plan, identity: &Identity) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let received = Arc::<Mutex<Received>>::default();
        let acceptor = Arc::new(acceptor(identity)?);
        let told = Arc::clone(&received);
        thread::spawn(move || {
            // Behind the last one the listener closes.
            for (count, socket) in listener.incoming().flatten().enumerate().take(plan.dies_after.unwrap_or(usize::MAX))
            {
                let (acceptor, received) = (Arc::clone(&acceptor), Arc::clone(&told));
                let lie = (count >= plan.honest).then_some((plan.step, plan.lie));
                thread::spawn(move || {
                    let control = Wire::clear(socket, &received)?;
                    Session { control: Some(control), acceptor, lie, data: None, clear_data: true }.serve()
                });
            }
        });
        Ok(Self { address, received })
    }

    pub fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Session {
    /// None once a lie has ended it.
    control: Option<Wire>,
    acceptor: Arc<SslAcceptor>,
    lie: Option<(Step, Lie)>,
    data: Option<TcpListener>,
    clear_data: bool,
}

impl Session {
    fn serve(mut self) -> io::Result<()> {
        self.say(Step::Greeting, b"220 Here\r\n")?;
        loop {
            let line = self.control()?.line()?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "AUTH" => {
                    self.say(Step::Auth, b"234 Go\r\n")?;
                    let wire = self.control.take().ok_or(io::ErrorKind::NotConnected)?;
                    self.control = Some(self.handshake(Step::Handshake, wire)?);
                }
                "USER" => self.say(Step::User, b"331 Password\r\n")?,
                "PASS" => self.say(Step::Pass, b"230 In\r\n")?,
                "PROT" => {
                    self.clear_data = rest != "P";
                    self.answer(b"200 So be it\r\n")?;
                }
                "PBSZ" | "TYPE" | "NOOP" => self.answer(b"200 So be it\r\n")?,
                "DELE" => self.answer(b"250 Gone\r\n")?,
                "FEAT" => self.answer(b"211-Features\r\n EPSV\r\n211 End\r\n")?,
                "EPSV" | "PASV" => self.listen(verb)?,
                "RETR" | "LIST" | "STOR" => self.transfer(verb, rest)?,
                "QUIT" => {
                    self.answer(b"221 Bye\r\n")?;
                    return self.control.take().map_or(Ok(()), Wire::finish);
                }
                _ => self.answer(b"502 Unknown\r\n")?,
            }
        }
    }

    fn listen(&mut self, verb: &str) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        self.data = Some(listener);
        let [high, low] = port.to_be_bytes();
        let reply = match verb {
            "EPSV" => format!("229 There (|||{port}|)\r\n"),
            _ => format!("227 There (127,0,0,1,{high},{low})\r\n"),
        };
        self.say(Step::Passive, reply.as_bytes())
    }

    fn transfer(&mut self, verb: &str, path: &str) -> io::Result<()> {
        self.say(Step::Preliminary, b"150 Coming\r\n")?;
        let (socket, _) = self.data.take().ok_or(io::ErrorKind::NotConnected)?.accept()?;
        // An upload is no place for a password, and need not be kept.
        let mut wire = Wire::clear(socket, &Arc::default())?;
        if !self.clear_data {
            wire = self.handshake(Step::DataHandshake, wire)?;
        }
        let fixture = FIXTURES.iter().find(|fixture| path.ends_with(fixture.file));
        // What was uploaded is the large one.
        let content = match fixture::content(fixture.map_or("large", |fixture| fixture.name)) {
            Some(content) if verb == "RETR" => content,
            _ if verb == "LIST" => Arc::from(*b"-rw-r--r-- 1 a a 0 Jan 1 00:00 empty.bin\r\n"),
            _ => Arc::from([]),
        };
        match self.lie_at(Step::Data) {
            None | Some(Lie::OddRecords) if verb == "STOR" => wire.only_listen()?,
            None => wire.write_all(&content)?,
            Some(lie) => wire = tell(lie, wire, &content)?,
        }
        wire.finish()?;
        self.say(Step::Final, b"226 Done\r\n")
    }

    fn handshake(&self, step: Step, mut wire: Wire) -> io::Result<Wire> {
        match self.lie_at(step) {
            None => wire.secured(&self.acceptor),
            Some(Lie::Slowly) => {
                wire.tap().slow = true;
                wire.secured(&self.acceptor)
            }
            Some(Lie::PartOfRecord(octets)) => {
                wire.tap().left = Some(octets);
                // It waits for an answer to what was never sent; the other side ends that.
                wire.secured(&self.acceptor)
            }
            Some(lie) => {
                // Whoever speaks before the ClientHello tells another lie: it is a reply that nobody asked for.
                wire.tap().is_spoken_to()?;
                tell(lie, wire, b"")
            }
        }
    }

    /// The reply that is due at a step, or the lie in its place.
    fn say(&mut self, step: Step, truth: &[u8]) -> io::Result<()> {
        match self.lie_at(step) {
            None => self.answer(truth),
            Some(lie) => {
                let wire = self.control.take().ok_or(io::ErrorKind::NotConnected)?;
                self.control = Some(tell(lie, wire, truth)?);
                Ok(())
            }
        }
    }

    fn answer(&mut self, reply: &[u8]) -> io::Result<()> {
        self.control()?.write_all(reply)
    }

    fn control(&mut self) -> io::Result<&mut Wire> {
        self.control.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn lie_at(&self, step: Step) -> Option<Lie> {
        self.lie.filter(|(at, _)| *at == step).map(|(_, lie)| lie)
    }
}

/// Tells a lie in place of the truth. The connection comes back if the session goes on; the error ends it.
fn tell(lie: Lie, mut wire: Wire, truth: &[u8]) -> io::Result<Wire> {
    match lie {
        Lie::Hangs => hang(wire),
        Lie::Closes => over(wire.finish()),
        Lie::Resets => over(wire.reset()),
        Lie::Slowly => {
            for octet in truth.iter().cycle() {
                wire.tap().slow = true;
                wire.write_all(std::slice::from_ref(octet))?;
            }
            over(Ok(()))
        }
        Lie::Says(words) => wire.write_all(words).map(|()| wire),
        Lie::Disguised(words) => {
            let (code, rest) = truth.split_at(4);
            let words = words.trim_ascii_end();
            wire.write_all(&[code, words, b" ", rest].concat()).map(|()| wire)
        }
        Lie::SaysFirst(words) => {
            wire.write_all(words)?;
            wire.write_all(truth).map(|()| wire)
        }
        Lie::WithoutEnd(octets) => over(wire.without_end(octets)),
        Lie::PastTls(octets) => {
            wire.tap().write_all(octets)?;
            // Below TLS, whatever comes.
            let mut chunk = [0; 4096];
            while io::Read::read(wire.tap(), &mut chunk)? > 0 {}
            over(Ok(()))
        }
        Lie::EndsTls => {
            wire.end_tls();
            clear_session(wire.tap(), truth)
        }
        Lie::PartOfRecord(octets) => {
            wire.tap().left = Some(octets);
            wire.write_all(&[b'x'; 1000])?;
            // Dropped without a close_notify: a FIN.
            over(Ok(()))
        }
        Lie::PartOfRecordAndHangs(octets) => {
            wire.tap().left = Some(octets);
            wire.write_all(&[b'x'; 1000])?;
            hang(wire)
        }
        Lie::OddRecords => {
            let (mut rest, mut length) = (truth, 1);
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(length.min(rest.len()));
                wire.write_all(piece)?;
                (rest, length) = (behind, length + 2);
            }
            Ok(wire)
        }
    }
}

/// Keeps the connection open, and neither reads nor writes: whoever sends finds the socket's buffers full.
fn hang(wire: Wire) -> io::Result<Wire> {
    let _wire = wire;
    loop {
        thread::park();
    }
}

/// Everything that is asked for is granted, in the clear.
fn clear_session(tap: &mut crate::wire::Tap, first: &[u8]) -> io::Result<Wire> {
    tap.write_all(first)?;
    let mut chunk = [0; 4096];
    while io::Read::read(tap, &mut chunk)? > 0 {
        // A record is no command.
        if chunk[0].is_ascii_uppercase() {
            tap.write_all(b"331 Password\r\n")?;
        }
    }
    over(Ok(()))
}

/// The session has ended with its lie.
fn over(ended: io::Result<()>) -> io::Result<Wire> {
    ended.and(Err(io::ErrorKind::ConnectionAborted.into()))
}

fn acceptor(identity: &Identity) -> io::Result<SslAcceptor> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let mut chain = X509::stack_from_pem(&identity.chain_pem)?.into_iter();
    let leaf = chain.next().ok_or(io::ErrorKind::InvalidData)?;
    builder.set_certificate(&leaf)?;
    for issuer in chain {
        builder.add_extra_chain_cert(issuer)?;
    }
    builder.set_private_key(&*PKey::private_key_from_pem(&identity.key_pem)?)?;
    builder.set_session_id_context(b"hostile")?;
    Ok(builder.build())
}
