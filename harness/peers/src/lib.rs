//! Whom we talk to: the embedded reference server, peers in containers, and the test PKI. Nothing here gives a verdict.

#[cfg(feature = "containers")]
pub mod containers;
pub mod pki;
pub mod reference;
