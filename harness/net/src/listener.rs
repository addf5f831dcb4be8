//! Making TCP connections, as either side.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A listener of ours.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on this address; port 0 takes a free one.
    ///
    /// # Errors
    /// As the system says: taken, not ours, not allowed.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let inner = Self::bound(address)?.listen(128)?;
        Ok(Self { address: inner.local_addr()?, inner })
    }

    /// Takes this address, and listens to nobody: whoever connects is refused as long as it lives.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn refusing(address: SocketAddr) -> io::Result<Closed> {
        let socket = Self::bound(address)?;
        Ok(Closed { address: socket.local_addr()?, _held: Held::Unused(socket) })
    }

    /// Listens with no room left: a SYN gets no answer as long as it lives.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub async fn full(address: SocketAddr) -> io::Result<Closed> {
        // A queue of length 0 holds one connection, ours; Linux drops every SYN behind it.
        let listener = Self::bound(address)?.listen(0)?;
        let address = listener.local_addr()?;
        let filling = connect(address, None).await?;
        Ok(Closed { address, _held: Held::Full { _listener: listener, _filling: filling } })
    }

    fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection. The caller bounds the wait.
    ///
    /// # Errors
    /// As the system says.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.inner.accept().await
    }
}

/// An address of ours at which nobody is let in.
#[derive(Debug)]
pub struct Closed {
    address: SocketAddr,
    _held: Held,
}

#[derive(Debug)]
enum Held {
    Unused(#[expect(dead_code, reason = "held, so that nobody else takes the port")] TcpSocket),
    Full { _listener: TcpListener, _filling: TcpStream },
}

impl Closed {
    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Connects to `to`, from the source address `from` if one is given. The caller bounds the wait.
///
/// # Errors
/// As the system says: refused, unreachable, no such source address.
pub async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(to).await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn a_port_that_is_only_held_refuses_and_a_full_one_does_not_answer() {
        let refusing = Listener::refusing(ANY).expect("a port");
        let refused = connect(refusing.address(), None).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let full = Listener::full(ANY).await.expect("a port");
        let tried = tokio::time::timeout(Duration::from_millis(300), connect(full.address(), None)).await;
        assert!(tried.is_err(), "{tried:?}");
    }
}
