//! A server that is OpenSSL and nothing of ours, so that a suite can be chosen and our own protection held against it.

use std::io::{self, Read, Write};

use openssl::pkey::PKey;
use openssl::ssl::{ErrorCode, Ssl, SslContextBuilder, SslMethod, SslStream};
use openssl::x509::X509;

use crate::pki::PKI;

pub struct PlainOpenssl {
    stream: SslStream<Buffers>,
    /// What it has read.
    pub plain: Vec<u8>,
}

impl PlainOpenssl {
    /// A server with this suite only, of TLS 1.3 or 1.2.
    pub fn with_suite(suite: &str) -> Self {
        let mut context = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
        if suite.starts_with("TLS_") {
            context.set_ciphersuites(suite).unwrap();
        } else {
            context.set_cipher_list(suite).unwrap();
        }
        context.set_certificate(&X509::from_pem(&PKI.server.chain_pem).unwrap()).unwrap();
        context.set_private_key(&PKey::private_key_from_pem(&PKI.server.key_pem).unwrap()).unwrap();
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_accept_state();
        Self { stream: SslStream::new(ssl, Buffers::default()).unwrap(), plain: Vec::new() }
    }

    /// Takes octets, and gives what goes back.
    pub fn answer(&mut self, octets: &[u8]) -> Vec<u8> {
        self.stream.get_mut().incoming.extend_from_slice(octets);
        let mut portion = [0; 4096];
        loop {
            match self.stream.ssl_read(&mut portion) {
                Ok(length) => self.plain.extend_from_slice(&portion[..length]),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::WANT_READ, "{error}");
                    return std::mem::take(&mut self.stream.get_mut().outgoing);
                }
            }
        }
    }
}

#[derive(Default)]
struct Buffers {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Read for Buffers {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.incoming.as_slice().read(into)?;
        self.incoming.drain(..length);
        Ok(length)
    }
}

impl Write for Buffers {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.outgoing.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
