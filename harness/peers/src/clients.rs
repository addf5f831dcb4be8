//! Clients under test: what one is asked for, and what comes of it. A client is a program, here or in a container, or
//! the embedded reference client. It is judged elsewhere.

mod program;
mod reference;
mod rooms;
mod strays;
mod workplace;

use std::net::SocketAddr;

use ftpspec_play::fixture::FIXTURES;
use ftpspec_transcript::Secret;

use crate::reference::{FIXTURES_FOLDER, SCRATCH_FOLDER};

pub use self::program::{ClientProgram, ProgramError};
pub use self::reference::ReferenceClient;
pub use self::rooms::RoomError;
pub use self::workplace::Workplace;

/// What a client is asked for.
#[derive(Debug, Clone)]
pub struct Errand {
    /// `login`, `get`, `put`, `list`, `ccc`, `active` or `parallel`.
    pub action: String,
    /// The fixtures it is about.
    pub files: Vec<String>,
    /// Where the server is.
    pub address: SocketAddr,
    /// Who logs in.
    pub user: String,
    /// Their password.
    pub password: Secret,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub how: How,
    /// Its exit status or signal in words; of the reference client, where its script ended.
    pub status: String,
    /// The end of what it said.
    pub said: String,
    /// What it kept of each file that it was to fetch.
    pub fetched: Vec<Fetched>,
}

/// How a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It reported success.
    Succeeded,
    /// It reported failure.
    Failed,
    /// It has no way to do what it was asked for.
    Cannot,
    /// A signal that was not ours ended it.
    Crashed,
    /// It had to be ended.
    Hung,
}

impl How {
    /// The word in the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cannot => "cannot",
            Self::Crashed => "crashed",
            Self::Hung => "hung",
        }
    }
}

/// What a client kept of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The fixture's name.
    pub name: String,
    /// How many octets; none if it kept no file.
    pub octets: Option<u64>,
    /// Their SHA-256, in hex; empty if it kept no file.
    pub sha256: String,
}

/// Whether the files of an action go to the client.
fn fetches(action: &str) -> bool {
    matches!(action, "get" | "ccc" | "active" | "parallel")
}

/// The path of a fixture on the server.
fn remote(action: &str, fixture: &str) -> String {
    let folder = if action == "put" { SCRATCH_FOLDER } else { FIXTURES_FOLDER };
    format!("{folder}/{}", file_of(fixture))
}

/// The name of a fixture on disk.
fn file_of(fixture: &str) -> &str {
    FIXTURES.iter().find(|known| known.name == fixture).map_or(fixture, |known| known.file)
}

/// The name by which a client reaches the server in IPv4: one that its certificate bears.
const SERVER_NAME: &str = "localhost";
