//! The images of the containerised peers: their names, and how they are built from the folders that the binary embeds.
//! Nothing here runs a peer.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;

use tokio::process::Command;

use super::{ContainerError, docker, last_lines};

/// The suite that is meant where none is named: what `docker/*/Dockerfile` say themselves.
pub const DEFAULT_SUITE: &str = "bookworm";

/// The name of an image: repository and tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerImage {
    repository: String,
    tag: String,
}

impl PeerImage {
    /// The image that [`build`] makes of a peer on a Debian suite. The host in its name is `localhost`, so that no
    /// engine ever asks a registry for it.
    #[must_use]
    pub fn built_here(peer: &str, suite: &str) -> Self {
        Self { repository: format!("{BUILT_HERE}{peer}"), tag: suite.to_owned() }
    }

    /// The same repository with another tag, which for images of ours is the Debian suite.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        Self { tag: tag.to_owned(), ..self }
    }

    /// The name before the tag.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The peer's name, if this is an image that [`build`] makes.
    #[must_use]
    pub fn embedded_peer(&self) -> Option<&str> {
        self.repository.strip_prefix(BUILT_HERE)
    }
}

impl fmt::Display for PeerImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Reads `REPOSITORY[:TAG]`, as a peer's description names its image. Without a tag an image of ours gets
/// [`DEFAULT_SUITE`], any other `latest`.
impl FromStr for PeerImage {
    type Err = std::convert::Infallible;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        // A colon before a slash belongs to the port of a registry.
        Ok(match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => {
                Self { repository: repository.to_owned(), tag: tag.to_owned() }
            }
            _ if name.starts_with(BUILT_HERE) => Self { repository: name.to_owned(), tag: DEFAULT_SUITE.to_owned() },
            _ => Self { repository: name.to_owned(), tag: "latest".to_owned() },
        })
    }
}

/// The images that can be built: the folders of `docker/`. Those with servers in them are [`embedded_peers`].
#[must_use]
pub fn embedded_images() -> Vec<&'static str> {
    folders_with("/Dockerfile")
}

/// The servers that can be built, and started: the folders of `docker/` that tell how.
#[must_use]
pub fn embedded_peers() -> Vec<&'static str> {
    folders_with("/peer.yaml")
}

fn folders_with(file: &str) -> Vec<&'static str> {
    let found: BTreeSet<&str> =
        ftpspec_data::below(FOLDER).filter_map(|found| found.path[FOLDER.len()..].strip_suffix(file)).collect();
    found.into_iter().collect()
}

/// Builds a peer on a Debian suite, and the suite's base image first where it is missing. Takes a minute, or a second
/// when nothing has changed.
///
/// # Errors
/// There is no such peer, no engine, or the build fails: its last lines are in the error.
pub async fn build(peer: &str, suite: &str) -> Result<PeerImage, ContainerError> {
    if !embedded_images().contains(&peer) {
        return Err(ContainerError::NoSuchPeer(peer.to_owned()));
    }
    if suite.is_empty() || !suite.bytes().all(|octet| octet.is_ascii_lowercase()) {
        return Err(ContainerError::NotASuite(suite.to_owned()));
    }
    docker::engine_version().await?;
    let image = PeerImage::built_here(peer, suite);
    let folder = tempfile::tempdir().map_err(|source| ContainerError::Io {
        act: "make a folder in",
        path: std::env::temp_dir(),
        source,
    })?;
    write_out(FOLDER, folder.path())?;

    make_base(folder.path(), suite, &image).await?;
    let suite_argument = format!("SUITE={suite}");
    let context = folder.path().join(peer);
    let output = docker::run(&[
        "build".as_ref(),
        // The engine's own bridge may have no way to the mirror.
        "--network".as_ref(),
        "host".as_ref(),
        "--build-arg".as_ref(),
        suite_argument.as_ref(),
        "--tag".as_ref(),
        image.to_string().as_ref(),
        context.as_os_str(),
    ])
    .await?;
    finished(&output, image)
}

async fn make_base(folder: &Path, suite: &str, image: &PeerImage) -> Result<(), ContainerError> {
    let script = folder.join("base-image");
    // Not executed by its own name: a process forked this moment by another thread may hold it open for writing still,
    // and the kernel executes no such file.
    let output = Command::new("bash").arg(&script).arg(suite).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| ContainerError::Io { act: "run", path: script, source })?;
    finished(&output, image.clone()).map(drop)
}

fn finished(output: &std::process::Output, image: PeerImage) -> Result<PeerImage, ContainerError> {
    if output.status.success() {
        return Ok(image);
    }
    // The legacy builder tells the failing command on one channel and its own complaint on the other.
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    Err(ContainerError::Build { image, last_lines: last_lines(&String::from_utf8_lossy(&said)) })
}

/// Writes the embedded files below `prefix` into `folder`. What is a script becomes executable: embedding keeps a file's
/// octets, not its mode.
fn write_out(prefix: &str, folder: &Path) -> Result<(), ContainerError> {
    for file in ftpspec_data::below(prefix) {
        let path = folder.join(&file.path[prefix.len()..]);
        let parent = path.parent().unwrap_or(folder);
        let mode = if file.octets.starts_with(b"#!") { 0o755 } else { 0o644 };
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, file.octets))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(|source| ContainerError::Io { act: "write", path, source })?;
    }
    Ok(())
}

const FOLDER: &str = "docker/";

const BUILT_HERE: &str = "localhost/ftpspec-";

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("localhost/ftpspec-vsftpd", "localhost/ftpspec-vsftpd", "bookworm", Some("vsftpd"))]
    #[case("localhost/ftpspec-vsftpd:trixie", "localhost/ftpspec-vsftpd", "trixie", Some("vsftpd"))]
    #[case("registry.test:5000/ftpd", "registry.test:5000/ftpd", "latest", None)]
    #[case("registry.test:5000/ftpd:2", "registry.test:5000/ftpd", "2", None)]
    fn an_image_is_named_by_repository_and_tag(
        #[case] name: &str,
        #[case] repository: &str,
        #[case] tag: &str,
        #[case] peer: Option<&str>,
    ) {
        let image: PeerImage = name.parse().unwrap();
        assert_eq!((image.repository(), image.tag(), image.embedded_peer()), (repository, tag, peer));
        assert_eq!(image.to_string().parse::<PeerImage>().unwrap(), image);
    }

    #[test]
    fn each_embedded_peer_has_a_description_and_an_executable_start() {
        assert_eq!(embedded_peers(), ["openssl", "proftpd", "vsftpd"]);
        assert_eq!(embedded_images(), ["clients", "openssl", "proftpd", "vsftpd"]);
        let folder = tempfile::tempdir().unwrap();
        write_out(FOLDER, folder.path()).unwrap();
        for peer in embedded_peers() {
            let description = fs::read_to_string(folder.path().join(peer).join("peer.yaml")).unwrap();
            assert!(description.contains(&format!("container: {BUILT_HERE}{peer}\n")), "{description}");
            assert!(is_executable(&folder.path().join(peer).join("start")), "{peer}");
            assert!(!is_executable(&folder.path().join(peer).join("Dockerfile")), "{peer}");
        }
        assert!(is_executable(&folder.path().join("base-image")));
    }

    #[test]
    fn each_configuration_that_a_description_names_is_a_file() {
        for peer in embedded_peers() {
            let description = ftpspec_data::file(&format!("docker/{peer}/peer.yaml")).unwrap();
            let description = std::str::from_utf8(description.octets).unwrap();
            let named: BTreeSet<&str> = description
                .lines()
                .filter_map(|line| line.trim().split_once(": {provides:"))
                .map(|(configuration, _)| configuration)
                .collect();
            let prefix = format!("docker/{peer}/configurations/");
            let files: BTreeSet<&str> = ftpspec_data::below(&prefix).map(|file| &file.path[prefix.len()..]).collect();
            assert!(!named.is_empty());
            assert_eq!(named, files, "{peer}");
        }
    }

    #[tokio::test]
    async fn a_peer_that_is_not_there_is_told_before_any_engine_is_asked() {
        assert!(matches!(build("iis", "bookworm").await, Err(ContainerError::NoSuchPeer(_))));
        assert!(matches!(build("vsftpd", "../x").await, Err(ContainerError::NotASuite(_))));
    }

    fn is_executable(path: &Path) -> bool {
        fs::metadata(path).unwrap().permissions().mode() & 0o111 != 0
    }
}
