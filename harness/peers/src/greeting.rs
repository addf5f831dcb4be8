//! The one look at a peer that has just been started: does it listen, and greet? In the clear, or inside TLS where the
//! peer speaks it from the first octet on. What it finds is no evidence: no verdict ever comes from here, and the
//! certificate is not looked at, for no secret is sent.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read, Result};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

/// How a peer greets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    Clear,
    InsideTls,
}

/// Connects once and gives the first line of the greeting without its line end. It blocks, no longer than a few times
/// [`PATIENCE`].
pub(crate) fn first_line(address: SocketAddr, greeting: Greeting) -> Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match greeting {
        Greeting::Clear => line_of(stream),
        Greeting::InsideTls => {
            let mut connector = SslConnector::builder(SslMethod::tls_client())?;
            connector.set_verify(SslVerifyMode::NONE);
            line_of(connector.build().connect("localhost", stream).map_err(Error::other)?)
        }
    }
}

/// The first line, if its line feed comes within [`LONGEST_LINE`].
fn line_of(stream: impl Read) -> Result<String> {
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_until(b'\n', &mut line)?;
    let text = String::from_utf8_lossy(&line);
    if !line.ends_with(b"\n") {
        return Err(Error::new(ErrorKind::UnexpectedEof, format!("no line, only {text:?}")));
    }
    Ok(text.trim_end().to_owned())
}

/// For one step on loopback with a peer that is up: it either answers at once or is not ready yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Octets. A greeting's first line that is longer is none.
const LONGEST_LINE: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_line_feed() {
        assert_eq!(line_of(&b"220-hello\r\n220 there\r\n"[..]).unwrap(), "220-hello");
    }

    #[test]
    fn a_greeting_without_an_end_is_none() {
        assert!(line_of(&b"220 hel"[..]).is_err());
        assert!(line_of(std::io::repeat(b'2')).is_err());
    }
}
