//! Peers in containers: builds their images from the embedded folders of `docker/`, starts each on a loopback address of
//! its own (in IPv6 on ports of its own), waits for its greeting, and sees to it that none outlives us.
//!
//! The containers share the host's network, so that no port proxy stands between peer and harness: a proxy turns a reset
//! into a FIN and falsifies the evidence. Nothing is ever published beyond loopback, and nothing is ever pulled for a
//! peer: its image is built here or is there already.

mod docker;
mod found;
mod image;
mod owner;
mod running;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ftpspec_wire::reason;

use crate::place::NoPlace;
use crate::words::last_lines;

pub use self::docker::{engine_version, has_image};
pub use self::found::{FoundPeer, Owner, found, logs_of};
pub use self::image::{DEFAULT_SUITE, PeerImage, build, embedded_images, embedded_peers};
pub use self::owner::{remove_own, sweep};
pub use self::running::{RunningPeer, StartOptions, start};

/// Why a peer in a container could not be built, started or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The `docker` program cannot be run.
    #[error(
        "peers in containers are started with the program docker, which cannot be run ({}): install it, or one of that name, and see that PATH leads to it",
        reason(.0)
    )]
    NoProgram(#[source] io::Error),
    /// No engine answers the program.
    #[error("no container engine answers ({why}): start it, and see that it is yours to use")]
    NoEngine {
        /// The first line of what the program said.
        why: String,
    },
    /// The image is not there, and must not be looked for elsewhere.
    #[error("the image {image} is not there{}", cure(.image))]
    NoImage {
        /// Which one.
        image: PeerImage,
    },
    /// No folder of `docker/` describes such a peer.
    #[error("no containerised peer is named {0}")]
    NoSuchPeer(String),
    /// The word for a Debian suite has other letters than a to z.
    #[error("{0:?} is not a Debian suite: bullseye, bookworm, trixie")]
    NotASuite(String),
    /// A build went wrong.
    #[error("build {image}: {last_lines}")]
    Build {
        /// What was to be built.
        image: PeerImage,
        /// The end of what the build said.
        last_lines: String,
    },
    /// The engine refused a command.
    #[error("docker {command}: {why}")]
    Docker {
        /// The command's first words.
        command: String,
        /// What it said.
        why: String,
    },
    /// There is nowhere to listen.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// A value of the environment names a word that we do not know.
    #[error("the environment {variable} names ${{{word}}}, which is not one of {}", running::PLACEHOLDERS.join(", "))]
    UnknownPlaceholder {
        /// The variable.
        variable: String,
        /// The word between the braces.
        word: String,
    },
    /// The container ended before it greeted.
    #[error("{image} ended before it greeted: {last_lines}")]
    Ended {
        /// Which image.
        image: PeerImage,
        /// The end of what it said.
        last_lines: String,
    },
    /// The container runs, and does not greet as it should.
    #[error("{image} gave no {expected} greeting within {} s: {last}", .limit.as_secs())]
    NoGreeting {
        /// Which image.
        image: PeerImage,
        /// The reply code that was waited for.
        expected: u16,
        /// How long.
        limit: Duration,
        /// What came instead.
        last: String,
    },
    /// The file that a container writes its log to could not be made or read.
    #[error("the log of a container: {}", reason(.0))]
    Log(#[source] io::Error),
    /// testcontainers could not create, start, ask or remove the container.
    #[error("container of {image}: {source}")]
    Container {
        /// Which image.
        image: PeerImage,
        /// Its own words.
        source: Box<testcontainers::TestcontainersError>,
    },
    /// A file or folder that the container needs could not be read or written.
    #[error("{act} {}: {}", path.display(), reason(.source))]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Says how an image comes into being: ours is built here, any other its owner builds or fetches.
fn cure(image: &PeerImage) -> String {
    let suite = Some(image.tag()).filter(|tag| *tag != DEFAULT_SUITE).map_or_else(String::new, |tag| format!("@{tag}"));
    match image.embedded_peer() {
        Some(peer) => format!(": ftpspec peers build {peer}{suite}"),
        None => format!(", and ftpspec fetches none: build it, or fetch it with docker pull {image}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_of_ours_is_told_with_its_cure() {
        let error = ContainerError::NoImage { image: PeerImage::built_here("vsftpd", "bookworm") };
        assert_eq!(
            error.to_string(),
            "the image localhost/ftpspec-vsftpd:bookworm is not there: ftpspec peers build vsftpd"
        );
        let error = ContainerError::NoImage { image: PeerImage::built_here("vsftpd", "trixie") };
        assert!(error.to_string().ends_with(": ftpspec peers build vsftpd@trixie"), "{error}");
    }

    #[test]
    fn a_missing_image_of_others_is_told_with_another() {
        let error = ContainerError::NoImage { image: "registry.test/my-ftpd:3".parse().unwrap() };
        assert_eq!(
            error.to_string(),
            "the image registry.test/my-ftpd:3 is not there, and ftpspec fetches none: build it, or fetch it with \
             docker pull registry.test/my-ftpd:3"
        );
    }
}
