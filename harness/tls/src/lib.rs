//! TLS as a machine without I/O.
//!
//! A [`Machine`] takes records in and gives records out, takes plaintext in and gives plaintext out, and tells as
//! [`Fact`]s everything that it saw behind the encryption: alerts, tickets, key updates, certificate requests. Two
//! libraries stand behind the one trait, [`Engine::Rustls`] and [`Engine::Openssl`], so that a verdict never rests on the
//! habits of one of them. What the handshakes of one control session left behind, for its data connections to resume, is
//! kept in [`Sessions`].
//!
//! This room has no sockets and no clock: it never reads from the network, never waits, and never decides whether what a
//! peer did was right. `unsafe` stands only in `openssl::ffi`, which lists each C function and why it is needed.

mod context;
mod error;
mod machine;
mod messages;
mod openssl;
mod progress;
mod rustls;
mod sessions;
mod settings;

pub use context::{ClientContext, ServerContext};
pub use error::TlsError;
pub use machine::{
    By, ClientCertificateUse, Fact, Failure, FailureKind, Handshake, Machine, ResumedBy, State, library_versions,
};
pub use sessions::{Resume, Sessions};
pub use settings::{
    Aead, ClientCertificate, ClientSettings, Engine, Identity, KeyLog, Reuse12, ServerSettings, Suites, Trust,
    UnknownWord, Version,
};
