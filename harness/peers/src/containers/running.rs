//! Starts one container of a peer and keeps it for as long as it is needed. The environment tells the container where
//! to listen and whom to let in, in the words of the peer's description; certificates and files are mounted read-only.

use std::fs::{File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use testcontainers::core::{AccessMode, ExecCommand, Mount};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _, TestcontainersError};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::owner::{RUN, sweep};
use super::{ContainerError, PeerImage, docker, last_lines};
use crate::greeting::{Greeting, first_line};
use crate::owner::{OWNER, PLACE, place as place_of_this_process, this_process};
use crate::place::{Family, Place};
use crate::process::folder::Owned;
use crate::words::{filled_in, host};
use crate::written::{LONGEST_SINCE, Mark, Written, length, lines, since};

/// How a peer is to be started.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The id of the run, for the label `ftpspec.run`.
    pub run: String,
    /// The configuration of the peer's description.
    pub configuration: String,
    /// The account that may log in.
    pub user: String,
    /// Its password. It protects nothing: whoever may use the engine can read it.
    pub password: String,
    /// The family of the address where it is to listen.
    pub family: Family,
    /// Whether TLS begins with the first octet, on a port of its own.
    pub implicit_tls: bool,
    /// Whether the range of passive ports has only a few.
    pub narrow_range: bool,
    /// The environment: names, and values in which `${address}`, `${port}`, `${user}`, `${password}`, `${configuration}`
    /// and `${passive-ports}` are replaced. In `${address}:${port}` an IPv6 address stands in square brackets.
    pub environment: Vec<(String, String)>,
    /// A folder with `ca.pem`, `server.pem` and `server.key`, mounted at `/ftpspec/certs`.
    pub certificates: PathBuf,
    /// What the peer serves as `fixtures/`, mounted at `/ftpspec/files`.
    pub files: PathBuf,
    /// The path of the log inside the container, if it keeps one beside its output. A file of ours is mounted there, so
    /// it must not be renamed; of a path that does not begin with `/` nothing is known.
    pub log: Option<String>,
    /// The reply code of the greeting.
    pub ready: u16,
}

impl StartOptions {
    /// Options with which a peer of `docker/` starts: its environment, IPv4, a greeting of 220, no log file.
    #[must_use]
    pub fn new(configuration: &str, certificates: &Path, files: &Path) -> Self {
        Self {
            run: String::new(),
            configuration: configuration.to_owned(),
            user: "ftpspec".to_owned(),
            password: "ftpspec".to_owned(),
            family: Family::V4,
            implicit_tls: false,
            narrow_range: false,
            environment: ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            certificates: certificates.to_owned(),
            files: files.to_owned(),
            log: None,
            ready: 220,
        }
    }

    fn filled_in(
        &self,
        address: SocketAddr,
        ports: &RangeInclusive<u16>,
    ) -> Result<Vec<(String, String)>, ContainerError> {
        let value_of = |word: &str, behind: &str| match word {
            "address" => Some(host(address.ip(), behind)),
            "port" => Some(address.port().to_string()),
            "user" => Some(self.user.clone()),
            "password" => Some(self.password.clone()),
            "configuration" => Some(self.configuration.clone()),
            "passive-ports" => Some(format!("{}-{}", ports.start(), ports.end())),
            _ => None,
        };
        self.environment
            .iter()
            .map(|(name, template)| {
                let value = filled_in(template, value_of)
                    .map_err(|word| ContainerError::UnknownPlaceholder { variable: name.clone(), word })?;
                Ok((name.clone(), value))
            })
            .collect()
    }
}

/// A peer that runs. Dropping it removes its container; in a runtime of one thread that blocks, so keep it in one of
/// several.
#[derive(Debug)]
pub struct RunningPeer {
    container: ContainerAsync<GenericImage>,
    image: PeerImage,
    version: Option<String>,
    log: Option<Log>,
    /// Given back after the container is gone.
    place: Place,
}

impl RunningPeer {
    /// Where its control connections are accepted.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.place.address
    }

    /// The ports that it was given for passive data connections, both ends included.
    #[must_use]
    pub fn passive_ports(&self) -> RangeInclusive<u16> {
        self.place.passive_ports.clone()
    }

    /// The engine's id of the container.
    #[must_use]
    pub fn id(&self) -> &str {
        self.container.id()
    }

    /// The version of the server's package, as its image tells in `/ftpspec/version`; none where an image does not.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What the peer has written: its output, and the end of its log file where the options name one. Anything that a
    /// client sent may stand in there.
    ///
    /// # Errors
    /// The engine no longer knows the container, or the log cannot be read.
    pub async fn logs(&self) -> Result<String, ContainerError> {
        let mut text = output(&self.container, &self.image).await?;
        if let Some(log) = &self.log {
            let (octets, _) = since(&log.path(), 0, LONGEST_LOG).map_err(ContainerError::Log)?;
            text.push_str(&String::from_utf8_lossy(&octets));
        }
        Ok(text)
    }

    /// The place to which it has written by now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let log = self.log.as_ref().map_or(0, |log| length(&log.path()));
        Mark { output: 0, log, at: SystemTime::now() }
    }

    /// The end of what it has written since; what cannot be read is left out.
    pub async fn written_since(&self, mark: Mark) -> Written {
        let log = self.log.as_ref().map(|log| since(&log.path(), mark.log, LONGEST_SINCE));
        let log = log.transpose().ok().flatten().unwrap_or_default();
        let output = docker::logs_since(self.container.id(), mark.at).await.unwrap_or_default();
        let ((log, log_clipped), (output, output_clipped)) = (lines(&log.0, log.1), lines(&output.0, output.1));
        Written { log, output, clipped: log_clipped || output_clipped }
    }

    /// How it ended, if it has.
    pub async fn ended(&self) -> Option<String> {
        if self.container.is_running().await.unwrap_or(true) {
            return None;
        }
        // What a shell tells of a signal: 128 and its number.
        let code = self.container.exit_code().await.ok().flatten();
        Some(code.map_or_else(|| "nobody knows how".to_owned(), |code| format!("exit status: {code}")))
    }

    /// Removes the container and waits until it is gone.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn stop(self) -> Result<(), ContainerError> {
        let Self { container, image, .. } = self;
        container.rm().await.map_err(|source| container_error(&image, source))
    }
}

/// Starts a peer and waits for its greeting. What dead runs left behind is swept first, once in each process.
///
/// # Errors
/// No engine, no such image, no free address; or the container ends, or does not greet in time.
pub async fn start(image: &PeerImage, options: &StartOptions) -> Result<RunningPeer, ContainerError> {
    static SWEPT: OnceCell<()> = OnceCell::const_new();
    SWEPT.get_or_try_init(|| async { sweep().await.map(drop) }).await?;
    if !docker::has_image(image).await? {
        return Err(ContainerError::NoImage { image: image.clone() });
    }

    let place = Place::with_address(options.family, options.implicit_tls, options.narrow_range)?;
    // Only a path from the root on can be mounted.
    let log = options.log.as_deref().filter(|path| path.starts_with('/')).map(Log::make).transpose();
    let log = log.map_err(ContainerError::Log)?;
    let container = create(image, options, &place, log.as_ref()).await?;
    let greeting = if options.implicit_tls { Greeting::InsideTls } else { Greeting::Clear };
    wait_for_greeting(&container, image, place.address, greeting, options.ready).await?;
    let version = end_of_file(&container, VERSION_FILE).await.map_err(|source| container_error(image, source))?;
    let version = version.trim();
    Ok(RunningPeer {
        container,
        image: image.clone(),
        // An image that is not of our making has no such file; its version is then found by the probe, or not at all.
        version: (!version.is_empty()).then(|| version.to_owned()),
        log,
        place,
    })
}

async fn create(
    image: &PeerImage,
    options: &StartOptions,
    place: &Place,
    log: Option<&Log>,
) -> Result<ContainerAsync<GenericImage>, ContainerError> {
    let mut request = GenericImage::new(image.repository(), image.tag())
        .with_network("host")
        .with_label(RUN, &options.run)
        .with_label(OWNER, this_process())
        .with_label(PLACE, place_of_this_process().unwrap_or_default())
        .with_mount(read_only(&options.certificates, "/ftpspec/certs"))
        .with_mount(read_only(&options.files, "/ftpspec/files"));
    for (name, value) in options.filled_in(place.address, &place.passive_ports)? {
        request = request.with_env_var(name, value);
    }
    if let Some(log) = log {
        request = request.with_mount(log.mount());
    }
    request.start().await.map_err(|source| container_error(image, source))
}

/// A port that is not yet listened on gives no event to wait for, so this asks again and again, at short intervals and
/// with an end. That the container has ended ends the wait too.
async fn wait_for_greeting(
    container: &ContainerAsync<GenericImage>,
    image: &PeerImage,
    address: SocketAddr,
    greeting: Greeting,
    expected: u16,
) -> Result<(), ContainerError> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let attempt = spawn_blocking(move || first_line(address, greeting)).await;
        let last = match attempt {
            Ok(Ok(line)) if line.starts_with(&expected.to_string()) => return Ok(()),
            Ok(Ok(line)) => line,
            Ok(Err(error)) => ftpspec_wire::reason(&error),
            Err(error) => error.to_string(),
        };
        if !container.is_running().await.map_err(|source| container_error(image, source))? {
            let last_lines = last_lines(&output(container, image).await?);
            return Err(ContainerError::Ended { image: image.clone(), last_lines });
        }
        if Instant::now() >= deadline {
            return Err(ContainerError::NoGreeting { image: image.clone(), expected, limit: START_LIMIT, last });
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}

async fn output(container: &ContainerAsync<GenericImage>, image: &PeerImage) -> Result<String, ContainerError> {
    let error = |source| container_error(image, source);
    let stdout = container.stdout_to_vec().await.map_err(error)?;
    let stderr = container.stderr_to_vec().await.map_err(error)?;
    Ok(String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// What a file inside the container ends in; nothing if it is not there. Asked of the container itself: what the engine
/// copies out of one that has just started can lack the newest files (seen with fuse-overlayfs).
async fn end_of_file(container: &ContainerAsync<GenericImage>, path: &str) -> Result<String, TestcontainersError> {
    let longest = LONGEST_VERSION.to_string();
    let mut tail = container.exec(ExecCommand::new(["tail", "-c", &longest, path])).await?;
    Ok(String::from_utf8_lossy(&tail.stdout_to_vec().await?).into_owned())
}

/// A log file of the container's that is a file of ours, mounted where it looks for it: what is added to it can be read
/// without asking the container, and a mark in it is exact.
#[derive(Debug)]
struct Log {
    /// Its path there.
    inside: String,
    folder: Owned,
}

impl Log {
    fn make(inside: &str) -> io::Result<Self> {
        let log = Self { inside: inside.to_owned(), folder: Owned::make()? };
        let file = File::create(log.path())?;
        // Whoever the server is inside the container, it is to be written by it.
        file.set_permissions(Permissions::from_mode(0o666))?;
        Ok(log)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn mount(&self) -> Mount {
        Mount::bind_mount(self.path().to_string_lossy(), &self.inside)
    }
}

fn read_only(from: &Path, to: &str) -> Mount {
    Mount::bind_mount(from.to_string_lossy(), to).with_access_mode(AccessMode::ReadOnly)
}

fn container_error(image: &PeerImage, source: TestcontainersError) -> ContainerError {
    ContainerError::Container { image: image.clone(), source: Box::new(source) }
}

/// The words that an environment may name.
pub(super) const PLACEHOLDERS: [&str; 6] = ["address", "port", "user", "password", "configuration", "passive-ports"];

/// What the images of `docker/` expect, as their `peer.yaml` say too.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("ADDRESS", "${address}"),
    ("PORT", "${port}"),
    ("USER", "${user}"),
    ("PASSWORD", "${password}"),
    ("CONFIGURATION", "${configuration}"),
    ("PASSIVE_PORTS", "${passive-ports}"),
];

/// A container is up in half a second; a machine that is busy building needs longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Short against the half second that a start takes.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(25);

/// Octets. A run's protocol log grows without end; the failure is at its end.
const LONGEST_LOG: u64 = 1 << 20;

/// Octets. A version is one line.
const LONGEST_VERSION: u32 = 1 << 10;

/// Written when the image is built.
const VERSION_FILE: &str = "/ftpspec/version";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_filled_in() {
        let mut options = StartOptions::new("narrow", Path::new("/c"), Path::new("/f"));
        options.environment.push(("BOTH".to_owned(), "${address}:${port} $5 {x}".to_owned()));
        let filled = options.filled_in(SocketAddr::from(([127, 1, 2, 3], 2121)), &(41_000..=41_003)).unwrap();
        let of = |name: &str| filled.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(of("ADDRESS"), Some("127.1.2.3"));
        assert_eq!(of("CONFIGURATION"), Some("narrow"));
        assert_eq!(of("PASSIVE_PORTS"), Some("41000-41003"));
        assert_eq!(of("BOTH"), Some("127.1.2.3:2121 $5 {x}"));
    }

    #[test]
    fn a_value_is_not_looked_into_for_further_placeholders() {
        let mut options = StartOptions::new("lax", Path::new("/c"), Path::new("/f"));
        options.password = "${user}".to_owned();
        let filled = options.filled_in(SocketAddr::from(([127, 1, 2, 3], 2121)), &(41_000..=41_003)).unwrap();
        assert!(filled.contains(&("PASSWORD".to_owned(), "${user}".to_owned())));
    }

    #[test]
    fn an_unknown_placeholder_is_told_with_the_known_ones() {
        let mut options = StartOptions::new("lax", Path::new("/c"), Path::new("/f"));
        options.environment = vec![("HOST".to_owned(), "${adress}".to_owned())];
        let error = options.filled_in(SocketAddr::from(([127, 1, 2, 3], 2121)), &(1..=2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment HOST names ${adress}, which is not one of \
             address, port, user, password, configuration, passive-ports"
        );
    }

    #[test]
    fn the_environment_we_give_is_the_one_that_the_descriptions_name() {
        // Accounts and files only for who has them.
        let without_login = ["ADDRESS", "PORT", "CONFIGURATION"];
        for peer in super::super::embedded_peers() {
            let description = ftpspec_data::file(&format!("docker/{peer}/peer.yaml")).unwrap();
            let description = std::str::from_utf8(description.octets).unwrap();
            let accounts = !description.contains("\nlogin: none\n");
            for (name, value) in ENVIRONMENT {
                let due = accounts || without_login.contains(&name);
                assert_eq!(description.contains(&format!("    {name}: \"{value}\"\n")), due, "{peer}: {name}");
            }
        }
    }
}
