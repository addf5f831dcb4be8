//! The hostile side's connections: blocking streams that record every octet they receive, and can be made to send slowly
//! or only so much. They must never end by themselves what a lie keeps open.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor, SslStream};
use socket2::SockRef;

/// One connection, in the clear or in TLS.
pub enum Wire {
    Clear(Tap),
    Tls(Box<SslStream<Tap>>),
}

/// What a hostile server has received, of all its connections.
#[derive(Default)]
pub struct Received {
    /// As it came off the wire.
    pub on_the_wire: Vec<u8>,
    /// What was inside TLS.
    pub inside_tls: Vec<u8>,
}

/// A socket that records, and lies about how it sends.
pub struct Tap {
    socket: TcpStream,
    received: Arc<Mutex<Received>>,
    /// An octet a second.
    pub slow: bool,
    /// How many octets still leave; what is behind them is swallowed.
    pub left: Option<usize>,
}

impl Wire {
    pub fn clear(socket: TcpStream, received: &Arc<Mutex<Received>>) -> io::Result<Self> {
        // A thread whose test is long over does not read for ever.
        socket.set_read_timeout(Some(ABANDONED))?;
        socket.set_nodelay(true)?;
        Ok(Self::Clear(Tap { socket, received: Arc::clone(received), slow: false, left: None }))
    }

    /// The same connection in TLS.
    pub fn secured(self, acceptor: &SslAcceptor) -> io::Result<Self> {
        let Self::Clear(tap) = self else { return Err(io::ErrorKind::AlreadyExists.into()) };
        let ssl = Ssl::new(acceptor.context())?;
        let mut stream = SslStream::new(ssl, tap)?;
        stream.accept().map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// One line without its end; an error at the end of the connection.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut octet = [0];
        while !line.ends_with(b"\n") {
            if self.read(&mut octet)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            line.push(octet[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Reads until the other side has had enough.
    pub fn only_listen(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        while self.read(&mut chunk)? > 0 {}
        Ok(())
    }

    /// Sends this again and again, for as long as anybody takes it.
    pub fn without_end(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        loop {
            self.write_all(octets)?;
            sent += octets.len();
            if sent > AT_FULL_SPEED {
                sleep(BREATH);
            }
        }
    }

    /// close_notify, if there is TLS, and FIN; then it listens until the other side has ended too.
    pub fn finish(mut self) -> io::Result<()> {
        if let Self::Tls(stream) = &mut self {
            _ = stream.shutdown();
        }
        self.tap().socket.shutdown(Shutdown::Write)?;
        // Below TLS: what still comes may be no TLS at all, and is nobody's business.
        let mut chunk = [0; 4096];
        while self.tap().read(&mut chunk)? > 0 {}
        Ok(())
    }

    /// RST.
    pub fn reset(mut self) -> io::Result<()> {
        SockRef::from(&self.tap().socket).set_linger(Some(Duration::ZERO))
    }

    /// What is below TLS.
    pub fn tap(&mut self) -> &mut Tap {
        match self {
            Self::Clear(tap) => tap,
            Self::Tls(stream) => stream.get_mut(),
        }
    }

    /// Ends TLS with close_notify, and goes on in the clear.
    pub fn end_tls(&mut self) {
        if let Self::Tls(stream) = self {
            _ = stream.shutdown();
        }
    }
}

impl Tap {
    /// Waits for the other side's next octet, and leaves it where it is.
    pub fn is_spoken_to(&self) -> io::Result<()> {
        self.socket.peek(&mut [0]).map(drop)
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(tap) => tap.read(into),
            Self::Tls(stream) => {
                let count = stream.read(into)?;
                let received = Arc::clone(&stream.get_ref().received);
                let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                keep(&mut received.inside_tls, &into[..count]);
                Ok(count)
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(tap) => tap.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Tap {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(into)?;
        keep(&mut self.received.lock().unwrap_or_else(PoisonError::into_inner).on_the_wire, &into[..count]);
        Ok(count)
    }
}

impl Write for Tap {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.slow {
            sleep(SLOW);
            return self.socket.write(&octets[..octets.len().min(1)]);
        }
        let Some(left) = &mut self.left else { return self.socket.write(octets) };
        let leaves = octets.len().min(*left);
        *left -= leaves;
        self.socket.write_all(&octets[..leaves])?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn keep(kept: &mut Vec<u8>, octets: &[u8]) {
    let room = KEPT.saturating_sub(kept.len());
    kept.extend_from_slice(&octets[..octets.len().min(room)]);
}

/// Between two octets of a slow one.
const SLOW: Duration = Duration::from_secs(1);

/// More than all control connections of a test together bring.
const KEPT: usize = 256 << 10;

/// Longer than any run of these tests.
const ABANDONED: Duration = Duration::from_secs(180);

/// How much an endless stream sends before it takes a breath: far more than we may keep of it, and no more, so that other
/// tests have a processor too.
const AT_FULL_SPEED: usize = 64 << 20;

/// The breath that an endless stream then takes between two writes.
const BREATH: Duration = Duration::from_millis(20);
