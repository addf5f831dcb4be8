//! From the name of a client, or the file that describes one, to the subject under test. Nothing is started here.

use std::path::{Path, PathBuf};

use ftpspec::{DescribedClient, Subject, load_client_description, read_file};

use crate::failure::Failure;
use crate::subject::did_you_mean;

/// The client that `--client` names.
pub fn subject(client: &str) -> Result<Subject, Failure> {
    match client.strip_prefix("peer:") {
        Some(REFERENCE) => Ok(Subject::Reference { defect: None }),
        Some(name) => shipped(name).map(Subject::Client),
        None => described(Path::new(client)).map(Subject::Client),
    }
}

/// `NAME` is the program that is installed, `NAME@SUITE` the one in the container of that Debian suite.
fn shipped(text: &str) -> Result<DescribedClient, Failure> {
    let (name, suite) = text.split_once('@').map_or((text, None), |(name, suite)| (name, Some(suite)));
    if suite.is_some_and(|suite| suite.is_empty() || !suite.bytes().all(|letter| letter.is_ascii_lowercase())) {
        let suite = suite.unwrap_or_default();
        return Err(Failure::WrongUse(format!("{suite:?} is not a Debian suite: bullseye, bookworm, trixie")));
    }
    if let Some(client) = DescribedClient::embedded(name, suite).map_err(Failure::surroundings)? {
        return Ok(client);
    }
    let known = DescribedClient::names().chain([REFERENCE]).collect::<Vec<_>>();
    let nearest = did_you_mean(name, known.iter().copied());
    Err(Failure::WrongUse(format!("no client is named {name}{nearest}; there are {}", known.join(", "))))
}

fn described(path: &Path) -> Result<DescribedClient, Failure> {
    if !path.exists() {
        let shown = path.display();
        return Err(Failure::WrongUse(format!("`{shown}` in --client is no file; a client of ours is peer:NAME")));
    }
    let source = read_file(path, &path.to_string_lossy()).map_err(|wrong| Failure::WrongFiles(vec![wrong]))?;
    let description = load_client_description(&source).map_err(Failure::WrongFiles)?;
    let path = path.canonicalize().map_err(Failure::surroundings)?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    Ok(DescribedClient::new(description, folder))
}

/// Whether a text whose folder does not say what it is describes a client.
pub fn is_client(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("actions:"))
}

/// The embedded client.
const REFERENCE: &str = "reference";
