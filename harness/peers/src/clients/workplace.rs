//! Where clients run: a folder of ours below which each gets one of its own, on this machine or in containers. It starts
//! what it is told to, bounds it, and leaves nothing of it; what the program is it does not know.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use tempfile::TempDir;

use super::rooms::{Room, RoomError, Rooms};
use super::strays::Mark;
use crate::process::Kept;
use crate::process::folder::Owned;
use crate::words::last_lines;

/// Where clients run.
#[derive(Debug)]
pub struct Workplace {
    // The containers go before the folder that they see.
    rooms: Option<Rooms>,
    folder: Owned,
}

/// One program, to be run to its end.
pub(super) struct Job<'a> {
    pub(super) argv: &'a [String],
    /// What is added to its environment.
    pub(super) environment: &'a [(String, String)],
    /// The folder in which it runs, made by [`Workplace::folder`]; its output goes there too.
    pub(super) folder: &'a Path,
    /// How long it may take.
    pub(super) limit: Duration,
}

/// How a program ended.
pub(super) struct Done {
    /// It had to be ended.
    pub(super) hung: bool,
    /// None, if nobody knows.
    pub(super) status: Option<ExitStatus>,
}

impl Workplace {
    /// This machine, where the programs are that are installed.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn here() -> io::Result<Self> {
        Ok(Self { rooms: None, folder: Owned::make()? })
    }

    /// Containers of an image that has `sh` and `cat`. In them only these folders can be seen, and not be written to.
    ///
    /// # Errors
    /// If the folder cannot be made. The first container is made when the first client comes.
    pub fn in_containers(image: &str, read_only: &[&Path]) -> io::Result<Self> {
        let folder = Owned::make()?;
        Ok(Self { rooms: Some(Rooms::new(image, folder.path(), read_only)), folder })
    }

    /// The image of the containers, if that is where clients run.
    pub(super) fn image(&self) -> Option<&str> {
        self.rooms.as_ref().map(Rooms::image)
    }

    /// A folder for one client.
    pub(super) fn folder(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix("client-").tempdir_in(self.folder.path())
    }

    /// Runs a program. It blocks until that has ended, or is made to: by its limit, by what it writes, or by `ends`.
    pub(super) fn run(&self, job: &Job<'_>, ends: impl Fn() -> bool) -> Result<Done, Unrun> {
        let (program, arguments) = job.argv.split_first().ok_or(Unrun::NoProgram)?;
        let environment = environment(job);
        let output = File::create(job.folder.join(OUTPUT))?;
        let written = output.try_clone()?;
        let confine = |command: &mut Command| -> io::Result<()> {
            command.args(arguments).stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
            Ok(())
        };
        let enough = || floods(&written) || ends();
        match &self.rooms {
            None => {
                let mut command = Command::new(program);
                confine(&mut command)?;
                command.current_dir(job.folder).envs(environment);
                let mark = Mark::new();
                mark.put_on(&mut command);
                let mut kept = Kept::start(command, GRACE)
                    .map_err(|source| Unrun::NotStarted { program: program.clone(), source })?;
                let hung = !kept.ends_within(job.limit, enough);
                let status = kept.end();
                mark.end_all();
                Ok(Done { hung, status })
            }
            Some(rooms) => {
                let room = rooms.enter()?;
                let mut command = room.command(job.folder, &environment, program);
                confine(&mut command)?;
                let mut kept = Kept::start(command, GRACE).map_err(RoomError::Io)?;
                let hung = !kept.ends_within(job.limit, enough);
                if hung {
                    room.clear()?;
                }
                kept.end();
                rooms.leave(room);
                if hung {
                    return Ok(Done { hung, status: Some(ExitStatus::from_raw(SIGKILL)) });
                }
                let status = Room::status(job.folder).ok_or_else(|| RoomError::Cut(last_lines(&said(job.folder))))?;
                Ok(Done { hung, status: Some(status) })
            }
        }
    }
}

/// Why a program was not run to its end.
pub(super) enum Unrun {
    NoProgram,
    NotStarted { program: String, source: io::Error },
    Room(RoomError),
    Io(io::Error),
}

impl From<RoomError> for Unrun {
    fn from(error: RoomError) -> Self {
        Self::Room(error)
    }
}

impl From<io::Error> for Unrun {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What the program that ran in this folder said.
pub(super) fn said(folder: &Path) -> String {
    let read = open(&folder.join(OUTPUT)).and_then(|file| {
        let mut octets = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, MOST_SAID), &mut octets)?;
        Ok(octets)
    });
    // What cannot be read has not been said.
    String::from_utf8_lossy(&read.unwrap_or_default()).into_owned()
}

fn environment(job: &Job<'_>) -> Vec<(String, String)> {
    // What a person has set up for a client of theirs is no part of a test.
    let ours = [("HOME".to_owned(), job.folder.to_string_lossy().into_owned()), ("LC_ALL".to_owned(), "C".to_owned())];
    ours.into_iter().chain(job.environment.iter().cloned()).collect()
}

/// Whether it has said more than anybody reads. What it was given counts: the name may be another file's by now.
fn floods(written: &File) -> bool {
    written.metadata().is_ok_and(|file| file.len() > MOST_SAID)
}

/// Opens a file that a client may have put there. What is no file at all, a pipe that nobody writes to, is not waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).expect("the kernel's flags are of this type");
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Where a program's output goes, in its own folder.
const OUTPUT: &str = ".ftpspec-output";

/// For what it does when it is told to end; then it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// Octets. A client that says more than this is flooding us, and is ended.
const MOST_SAID: u64 = 16 << 20;

/// The signal with which clients in containers are ended.
const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();
