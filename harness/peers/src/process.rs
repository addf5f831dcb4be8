//! Somebody's own server, started as a process from the command line of its description, in a folder of its own; waited
//! for by its greeting, and stopped with everything that it started. What it writes is kept as evidence. It never runs a
//! shell: each argument arrives as it was written, blanks and all.

pub(crate) mod folder;
mod kept;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use ftpspec_wire::reason;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use self::folder::Folder;
pub(crate) use self::kept::Kept;
use crate::greeting::{Greeting, first_line};
use crate::place::{Family, NoPlace, Place};
use crate::words::{filled_in, host, last_lines};
use crate::written::{LONGEST_SINCE, Mark, Written, length, lines, since};

/// How a server is to be started as a process.
#[derive(Debug, Clone)]
pub struct ProcessOptions {
    /// The program and its arguments, in which `${address}`, `${port}`, `${configuration}`, `${passive-ports}`, `${user}`,
    /// `${password}`, `${root}`, `${certificate}`, `${key}` and `${ca}` are replaced. In `${address}:${port}` an IPv6 address
    /// stands in square brackets, alone it stands bare. A program with a `/` in its name is looked for from the folder in
    /// which we run.
    pub command: Vec<String>,
    /// What is added to our own environment: names, and values in which the same words are replaced.
    pub environment: Vec<(String, String)>,
    /// The configuration of the server's description.
    pub configuration: String,
    /// The account that may log in.
    pub user: String,
    /// Its password. It protects nothing: whoever sees our processes can read it.
    pub password: String,
    /// The family of the address where it is to listen.
    pub family: Family,
    /// Whether TLS begins with the first octet.
    pub implicit_tls: bool,
    /// Whether the range of passive ports has only a few.
    pub narrow_range: bool,
    /// A folder with `ca.pem`, `server.pem` and `server.key`.
    pub certificates: PathBuf,
    /// The path of the server's log, if it keeps one beside its output; the same words are replaced.
    pub log: Option<String>,
    /// The reply code of the greeting.
    pub ready: u16,
    /// How long it may take to greet.
    pub start_limit: Duration,
    /// How long it may take to end when it is told to; then it is killed.
    pub stop_limit: Duration,
}

impl ProcessOptions {
    /// IPv4, a greeting of 220, no log file, no variables in the environment, and the limits of a program that is not slow.
    #[must_use]
    pub fn new(command: Vec<String>, configuration: &str, certificates: &Path) -> Self {
        Self {
            command,
            environment: Vec::new(),
            configuration: configuration.to_owned(),
            user: "ftpspec".to_owned(),
            password: "ftpspec".to_owned(),
            family: Family::V4,
            implicit_tls: false,
            narrow_range: false,
            certificates: certificates.to_owned(),
            log: None,
            ready: 220,
            start_limit: START_LIMIT,
            stop_limit: STOP_LIMIT,
        }
    }

    /// Whether a word is asked for by command or environment.
    fn names(&self, word: &str) -> bool {
        let word = format!("${{{word}}}");
        let values = self.environment.iter().map(|(_, value)| value);
        self.command.iter().chain(values).any(|template| template.contains(&word))
    }
}

/// A server that runs as a process. Dropping it ends the process and all that it started, which blocks until it has ended
/// or `stop_limit` is over; its folder goes too.
#[derive(Debug)]
pub struct RunningProcess {
    kept: Kept,
    place: Place,
    log: Option<PathBuf>,
    folder: Folder,
}

impl RunningProcess {
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

    /// What it serves: a folder with `fixtures` and an empty `scratch`.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.root()
    }

    /// The end of what the server has written: its output, and its log file where the options name one. Anything that a
    /// client sent may stand in there.
    ///
    /// # Errors
    /// The output cannot be read; a log file that is not there is no error.
    pub fn logs(&self) -> io::Result<String> {
        let mut octets = since(&self.folder.output(), 0, LONGEST_LOG)?.0;
        if let Some(log) = &self.log {
            octets.extend(since(log, 0, LONGEST_LOG).unwrap_or_default().0);
        }
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    /// The place to which it has written by now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let log = self.log.as_deref().map_or(0, length);
        Mark { output: length(&self.folder.output()), log, at: SystemTime::now() }
    }

    /// The end of what it has written since; what cannot be read is left out.
    #[must_use]
    pub fn written_since(&self, mark: Mark) -> Written {
        let read = |path: &Path, mark| {
            let (octets, cut) = since(path, mark, LONGEST_SINCE).unwrap_or_default();
            lines(&octets, cut)
        };
        let (log, log_clipped) = self.log.as_deref().map_or_else(Default::default, |path| read(path, mark.log));
        let (output, output_clipped) = read(&self.folder.output(), mark.output);
        Written { log, output, clipped: log_clipped || output_clipped }
    }

    /// How it ended, if it has: by itself, or because somebody else ended it. Waits so long for that at most.
    pub async fn ended_within(&self, patience: Duration) -> Option<String> {
        let ended = self.kept.ended();
        spawn_blocking(move || ended.within(patience)).await.ok().flatten()
    }

    /// Ends the process with all that it started, and says how it ended; none if that cannot be known.
    pub async fn stop(mut self) -> Option<ExitStatus> {
        spawn_blocking(move || self.kept.end()).await.ok().flatten()
    }
}

/// Starts a server and waits for its greeting. If its command or environment name `${address}`, it gets a loopback address
/// of its own; else ports of its own on 127.0.0.1. In IPv6 it is always ports of its own, on `::1`.
///
/// # Errors
/// The command cannot be filled in or started; the process ends, or does not greet in time.
pub async fn start(options: &ProcessOptions) -> Result<RunningProcess, ProcessError> {
    if !options.names("port") {
        return Err(ProcessError::NoPort);
    }
    let ProcessOptions { family, implicit_tls, narrow_range, .. } = *options;
    let place = if options.names("address") {
        Place::with_address(family, implicit_tls, narrow_range)?
    } else {
        Place::with_ports(family, narrow_range)?
    };
    let folder = Folder::make()?;
    let words = Words { options, place: &place, root: folder.root() };
    let (command, program) = words.command(&folder.output())?;
    let log = options.log.as_deref().map(|log| words.fill_in("`log`", log)).transpose()?.map(PathBuf::from);
    let kept = Kept::start(command, options.stop_limit)
        .map_err(|source| ProcessError::Start { program: program.clone(), source })?;
    let mut running = RunningProcess { kept, place, log, folder };
    wait_for_greeting(&mut running, options, &program).await?;
    Ok(running)
}

/// Why a server did not come up as a process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// Neither command nor environment says where to listen.
    #[error(
        "its command names no ${{port}}, so it could listen anywhere: hand it on, or, if it runs already, say `start: {{at: URL}}`"
    )]
    NoPort,
    /// The command is empty.
    #[error("its command is empty: name the program")]
    NoProgram,
    /// The command, the environment or the log's path names a word that we do not know.
    #[error("{place} names ${{{word}}}, which is not one of {}", WORDS.join(", "))]
    UnknownWord {
        /// Where.
        place: String,
        /// The word between the braces.
        word: String,
    },
    /// There is nowhere to listen.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// The program could not be started.
    #[error("start {program}: {}{}", reason(.source), cure(.source))]
    Start {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// It ended before it greeted.
    #[error("{program} ended before it greeted ({}){}{}", told(.status.as_ref()), background(.status.as_ref()), said(.last_lines))]
    Ended {
        /// The program's name.
        program: String,
        /// How it ended, where that is known.
        status: Option<ExitStatus>,
        /// The end of what it wrote.
        last_lines: String,
    },
    /// It runs, and does not greet as it should.
    #[error("{program} gave no {expected} greeting within {} s at {address}, where it was told to listen ({last}){}", .limit.as_secs_f32(), said(.last_lines))]
    NoGreeting {
        /// The program's name.
        program: String,
        /// Where we looked for it.
        address: SocketAddr,
        /// The reply code that was waited for.
        expected: u16,
        /// How long.
        limit: Duration,
        /// What came instead.
        last: String,
        /// The end of what it wrote.
        last_lines: String,
    },
    /// A file or folder that the process needs could not be read or written.
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

impl ProcessError {
    fn io(act: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { act, path: path.to_owned(), source }
    }
}

/// What to do about a program that does not start.
fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => ": is it built, and does its path begin in the folder where ftpspec runs?",
        io::ErrorKind::PermissionDenied => ": is it a program, and yours to run?",
        _ => "",
    }
}

fn told(status: Option<&ExitStatus>) -> String {
    status.map_or_else(|| "nobody knows how".to_owned(), ToString::to_string)
}

/// What to do about a server that left us the shell of itself.
fn background(status: Option<&ExitStatus>) -> &'static str {
    if status.is_some_and(ExitStatus::success) { "; it must stay in the foreground" } else { "" }
}

fn said(last_lines: &str) -> String {
    if last_lines.is_empty() { "; it wrote nothing".to_owned() } else { format!(", and wrote:\n{last_lines}") }
}

/// The values of the words that a description may name.
struct Words<'a> {
    options: &'a ProcessOptions,
    place: &'a Place,
    root: PathBuf,
}

impl Words<'_> {
    fn command(&self, output: &Path) -> Result<(Command, String), ProcessError> {
        let argv: Result<Vec<_>, _> =
            self.options.command.iter().map(|argument| self.fill_in("the command", argument)).collect();
        let argv = argv?;
        let (program, arguments) = argv.split_first().ok_or(ProcessError::NoProgram)?;
        let written = File::create(output).map_err(|error| ProcessError::io("write", output, error))?;
        let both = written.try_clone().map_err(|error| ProcessError::io("write", output, error))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(written).stderr(both);
        for (name, value) in &self.options.environment {
            command.env(name, self.fill_in(&format!("the environment {name}"), value)?);
        }
        Ok((command, program.clone()))
    }

    fn fill_in(&self, place: &str, template: &str) -> Result<String, ProcessError> {
        filled_in(template, |word, behind| self.value_of(word, behind))
            .map_err(|word| ProcessError::UnknownWord { place: place.to_owned(), word })
    }

    fn value_of(&self, word: &str, behind: &str) -> Option<String> {
        let ports = &self.place.passive_ports;
        let certificate = |file: &str| self.options.certificates.join(file).to_string_lossy().into_owned();
        Some(match word {
            "address" => host(self.place.address.ip(), behind),
            "port" => self.place.address.port().to_string(),
            "configuration" => self.options.configuration.clone(),
            "passive-ports" => format!("{}-{}", ports.start(), ports.end()),
            "user" => self.options.user.clone(),
            "password" => self.options.password.clone(),
            "root" => self.root.to_string_lossy().into_owned(),
            "certificate" => certificate("server.pem"),
            "key" => certificate("server.key"),
            "ca" => certificate("ca.pem"),
            _ => return None,
        })
    }
}

/// A port that is not yet listened on gives no event to wait for, so this asks again and again, at short intervals and
/// with an end. That the process has ended ends the wait too.
async fn wait_for_greeting(
    running: &mut RunningProcess,
    options: &ProcessOptions,
    program: &str,
) -> Result<(), ProcessError> {
    let (address, program) = (running.address(), program.to_owned());
    let greeting = if options.implicit_tls { Greeting::InsideTls } else { Greeting::Clear };
    let deadline = Instant::now() + options.start_limit;
    let mut heard = None;
    loop {
        let attempt = spawn_blocking(move || first_line(address, greeting));
        // A server that accepts and says nothing keeps one attempt busy for long; one that is not there never does.
        let patience = deadline.max(Instant::now() + LEAST_PATIENCE);
        let failure = match tokio::time::timeout_at(patience, attempt).await {
            Ok(Ok(Ok(line))) if line.starts_with(&options.ready.to_string()) => return Ok(()),
            Ok(Ok(Ok(line))) => heard.insert(format!("it said {line:?}")).clone(),
            Ok(Ok(Err(error))) => reason(&error),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it accepts, and says nothing".to_owned(),
        };
        let last_lines = || last_lines(&running.logs().unwrap_or_default());
        if running.kept.has_ended() {
            let last_lines = last_lines();
            return Err(ProcessError::Ended { program, status: running.kept.end(), last_lines });
        }
        if Instant::now() >= deadline {
            let (expected, limit, last_lines) = (options.ready, options.start_limit, last_lines());
            let last = heard.unwrap_or(failure);
            return Err(ProcessError::NoGreeting { program, address, expected, limit, last, last_lines });
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}

/// The words that a description may name.
const WORDS: [&str; 10] =
    ["address", "port", "configuration", "passive-ports", "user", "password", "root", "certificate", "key", "ca"];

/// A program is up in milliseconds; one that runs in an interpreter on a busy machine needs longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A server that takes leave of its sessions is quick where there are none.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Short against what a start takes.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// For the last attempt, so that its own words end the wait and not the clock.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// Octets. A run's protocol log grows without end; the failure is at its end.
const LONGEST_LOG: u64 = 1 << 20;
