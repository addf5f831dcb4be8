//! Containers in which clients run. Each is a room for one client at a time: when that one is done, whatever it has left
//! there is ended with it. They share the host's network, and see only the folders that they are given, at the paths that
//! these have here. It knows nothing of FTP.

use std::fs::{self, File};
use std::io::{self, PipeWriter};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{getgid, getuid};

use super::workplace::open;
use crate::owner::{OWNER, PLACE, place, this_process};
use crate::process::Kept;
use crate::words::last_lines;

/// As many rooms as clients run at once, each made when it is needed. Dropping them removes the containers, which blocks
/// for a moment.
#[derive(Debug)]
pub(super) struct Rooms {
    image: String,
    /// What can be seen in them; only the first may be written to.
    folders: Vec<PathBuf>,
    empty: Mutex<Vec<Room>>,
}

impl Rooms {
    /// Makes none yet.
    pub(super) fn new(image: &str, folder: &Path, read_only: &[&Path]) -> Self {
        let folders = [folder].iter().chain(read_only).map(|&path| path.to_owned()).collect();
        Self { image: image.to_owned(), folders, empty: Mutex::default() }
    }

    /// The image of the containers.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// A room for one client.
    pub(super) fn enter(&self) -> Result<Room, RoomError> {
        let room = self.empty.lock().unwrap_or_else(PoisonError::into_inner).pop();
        room.map_or_else(|| Room::make(&self.image, &self.folders), Ok)
    }

    /// Gives a room back in which nobody is any more.
    pub(super) fn leave(&self, room: Room) {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

/// A container that lives as long as this value, or at least as we do: its first process reads from us, and ends when we
/// do.
#[derive(Debug)]
pub(super) struct Room {
    name: String,
    /// The `docker run` that it hangs on.
    container: Kept,
    input: Option<PipeWriter>,
}

impl Room {
    fn make(image: &str, folders: &[PathBuf]) -> Result<Self, RoomError> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("ftpspec-{}-{number}", this_process().replace(':', "-"));
        let said = folders[0].join(format!("{name}.log"));
        let (reader, input) = io::pipe()?;
        let log = File::create(&said)?;
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--rm", "--interactive", "--pull", "never", "--network", "host", "--name", &name]);
        command.args(["--label", &format!("{OWNER}={}", this_process())]);
        command.args(["--label", &format!("{PLACE}={}", place().unwrap_or_default())]);
        // What it writes is ours to read and to remove.
        command.args(["--user", &format!("{}:{}", getuid().as_raw(), getgid().as_raw())]);
        for (at, folder) in folders.iter().enumerate() {
            command.args(["--mount", &mount(folder, at > 0)]);
        }
        command.args(["--entrypoint", "sh", image, "-c", FIRST_PROCESS]);
        command.stdin(reader).stdout(log.try_clone()?).stderr(log);
        let container = Kept::start(command, GRACE)?;
        let read = || fs::read_to_string(&said).unwrap_or_default();
        let has_ended = container.ends_within(START_LIMIT, || read().lines().any(|line| line == UP));
        let room = Self { name, container, input: Some(input) };
        if has_ended || !read().lines().any(|line| line == UP) {
            return Err(RoomError::NotMade { image: image.to_owned(), last_lines: last_lines(&read()) });
        }
        Ok(room)
    }

    /// A program that is run in it, in this folder, with this added to its environment. How it ends, stands in the file
    /// that [`Self::status`] reads; what it has left running then is ended before.
    pub(super) fn command(&self, folder: &Path, environment: &[(String, String)], program: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("exec").arg("--workdir").arg(folder);
        for (name, value) in environment {
            command.args(["--env", &format!("{name}={value}")]);
        }
        command.args([&self.name, "sh", "-c", RUNS, "sh", STATUS, program]);
        command
    }

    /// How the program that ran in this folder has ended, by itself; none, if it was not run to its end.
    pub(super) fn status(folder: &Path) -> Option<ExitStatus> {
        let mut text = String::new();
        io::Read::read_to_string(&mut io::Read::take(open(&folder.join(STATUS)).ok()?, LONGEST_STATUS), &mut text)
            .ok()?;
        let code: i32 = text.trim().parse().ok()?;
        // What a shell tells of a signal: 128 and its number.
        Some(ExitStatus::from_raw(if code > 128 { code - 128 } else { code << 8 }))
    }

    /// Ends whoever is in it.
    pub(super) fn clear(&self) -> Result<(), RoomError> {
        let mut command = Command::new(PROGRAM);
        command.args(["exec", &self.name, "sh", "-c", ENDS_ALL]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut ending = Kept::start(command, GRACE)?;
        let has_ended = ending.ends_within(GRACE, || false);
        match ending.end() {
            Some(status) if has_ended && status.success() => Ok(()),
            _ => Err(RoomError::NotCleared),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // The end of its input is the end of its first process, and so of all in it.
        self.input = None;
        if !self.container.ends_within(GRACE, || false) {
            let mut command = Command::new(PROGRAM);
            command
                .args(["rm", "--force", &self.name])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // What cannot be removed now bears our label, and the next run removes it.
            _ = command.status();
        }
    }
}

/// Why a client could not be run in a container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// The container did not come up.
    #[error("a container of {image} did not come up: {last_lines}")]
    NotMade {
        /// Which image.
        image: String,
        /// The end of what the engine said.
        last_lines: String,
    },
    /// What runs in a container could not be ended.
    #[error("what runs in its container could not be ended")]
    NotCleared,
    /// The engine gave up on the program.
    #[error("the container did not run it to its end: {0}")]
    Cut(String),
    /// The program docker could not be run, or a file of ours not be made.
    #[error("the client's container: {0}")]
    Io(#[from] io::Error),
}

/// A mount as the engine's program takes it: a line of comma-separated values, with quotes where one needs them.
fn mount(folder: &Path, read_only: bool) -> String {
    let quoted = |key: &str| {
        let field = format!("{key}={}", folder.display());
        if field.contains([',', '"']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
    };
    let mount = format!("type=bind,{},{}", quoted("source"), quoted("target"));
    if read_only { format!("{mount},readonly") } else { mount }
}

/// podman has no such name unless its own `podman-docker` gives it one; then it is meant.
const PROGRAM: &str = "docker";

/// Says that it is up, and reads until we are gone.
const FIRST_PROCESS: &str = "echo up; exec cat >/dev/null";

/// What the first process says.
const UP: &str = "up";

/// Runs a program, ends whatever is left of it, and keeps its exit status in a file. In a container -1 is everybody but the
/// first process and who asks.
const RUNS: &str = r#"file=$1; shift; "$@"; code=$?; kill -9 -1 2>/dev/null; echo $code >"$file""#;

/// As it stands there, on its own. That there is nobody is no failure.
const ENDS_ALL: &str = "kill -9 -1 2>/dev/null; true";

/// The file with the exit status, in the client's folder.
const STATUS: &str = ".ftpspec-status";

/// Octets: a number of three digits, and room for what is none.
const LONGEST_STATUS: u64 = 16;

/// A container is up within a second; a machine that is busy building needs longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// For the engine, which does in a tenth of a second what it is told to.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_comma_or_a_quote_is_mounted_whole() {
        assert_eq!(mount(Path::new("/a b"), false), "type=bind,source=/a b,target=/a b");
        assert_eq!(mount(Path::new("/a,\"b"), true), r#"type=bind,"source=/a,""b","target=/a,""b",readonly"#);
    }
}
