//! A client that is a program of somebody else's, run as its description tells: in a folder of its own, bounded in time
//! and in what it may say, and ended with everything that it started. It never runs a shell.

use std::env;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ftpspec_play::fixture::content;
use ftpspec_scenario::{Argument, ClientDescription};
use sha2::{Digest as _, Sha256};

use super::workplace::{Job, Unrun, Workplace, open, said};
use super::{Errand, Fetched, How, Outcome, RoomError, SERVER_NAME, fetches, file_of, remote};
use crate::words::{filled_in, host, last_lines};

/// A program and what it needs to know besides its errand.
#[derive(Debug, Clone)]
pub struct ClientProgram {
    /// Its command lines.
    pub description: ClientDescription,
    /// The folder of its description.
    pub here: PathBuf,
    /// A folder with `ca.pem`, `client-a.pem` and `client-a.key`.
    pub certificates: PathBuf,
    /// How long it may take.
    pub limit: Duration,
    /// Where it runs.
    pub place: Arc<Workplace>,
}

impl ClientProgram {
    /// Runs it once. It blocks until the program has ended, or is made to: by its limit, by what it writes, or by
    /// `ends`.
    ///
    /// # Errors
    /// If it cannot be started, or the folder that it needs cannot be made.
    pub fn run(&self, errand: &Errand, ends: &AtomicBool) -> Result<Outcome, ProgramError> {
        let Some(arguments) = self.description.actions.get(&errand.action) else {
            let status = format!("its description has no action `{}`", errand.action);
            return Ok(Outcome { how: How::Cannot, status, said: String::new(), fetched: Vec::new() });
        };
        let folder = self.place.folder()?;
        let folder = folder.path();
        if !fetches(&errand.action) {
            for file in &errand.files {
                if let Some(octets) = content(file) {
                    fs::write(folder.join(file_of(file)), octets)?;
                }
            }
        }
        let job = Job {
            argv: &self.command_line(arguments, errand, folder)?,
            environment: &self.environment(errand, folder)?,
            folder,
            limit: self.limit,
        };
        let done = self.place.run(&job, || ends.load(Ordering::Relaxed))?;
        let how = if done.hung { How::Hung } else { self.how(done.status) };
        let status = done.status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string());
        let fetched = if fetches(&errand.action) { fetched(errand, folder) } else { Vec::new() };
        Ok(Outcome { how, status, said: last_lines(&said(folder)), fetched })
    }

    /// Looks whether its program is there, without starting it, and the one that tells the version: what stands first
    /// may be an interpreter.
    ///
    /// # Errors
    /// [`ProgramError::NotFound`] if one is not.
    pub fn is_there(&self) -> Result<(), ProgramError> {
        let folder = |word: &str, _: &str| (word == "here").then(|| self.here.to_string_lossy().into_owned());
        let programs = [&self.description.common, &self.description.version];
        for program in programs.into_iter().filter_map(|command| command.first()) {
            // A program whose name is not known before the errand is looked for when it is started.
            let Ok(program) = filled_in(&program.0, folder) else { continue };
            let found = match self.place.image() {
                None => is_installed(&program),
                Some(_) => self.asked(&["sh", "-c", "command -v \"$1\"", "sh", &program])?.0,
            };
            if !found {
                let place = self.place.image().map_or_else(|| HERE.to_owned(), |image| format!("in the image {image}"));
                return Err(ProgramError::NotFound { program, place });
            }
        }
        Ok(())
    }

    /// Its version, where it tells one: the first line that the command prints.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let command: Vec<_> = self.description.version.iter().map(|argument| argument.0.as_str()).collect();
        let (_, text) = self.asked(&command).ok()?;
        text.lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .map(|line| line.chars().take(LONGEST_VERSION).collect())
    }

    /// Runs a program that only says something, and ends: whether it was content, and what it said.
    fn asked(&self, command: &[&str]) -> Result<(bool, String), ProgramError> {
        let folder = self.place.folder()?;
        let argv: Vec<_> = command.iter().map(|&argument| argument.to_owned()).collect();
        let job = Job { argv: &argv, environment: &[], folder: folder.path(), limit: VERSION_LIMIT };
        let done = self.place.run(&job, || false)?;
        Ok((done.status.is_some_and(|status| status.success()), said(folder.path())))
    }

    fn how(&self, status: Option<ExitStatus>) -> How {
        match status {
            Some(status) if status.code() == Some(self.description.success) => How::Succeeded,
            Some(status) if status.code() == Some(CANNOT) => How::Cannot,
            Some(status) if status.signal().is_some() => How::Crashed,
            _ => How::Failed,
        }
    }

    fn command_line(&self, action: &[Argument], errand: &Errand, folder: &Path) -> Result<Vec<String>, ProgramError> {
        let mut argv = Vec::new();
        let first = errand.files.first().map(String::as_str);
        for template in &self.description.common {
            argv.push(self.fill_in(&template.0, errand, first, folder)?);
        }
        for argument in action {
            match argument {
                Argument::One(template) => argv.push(self.fill_in(&template.0, errand, first, folder)?),
                Argument::ForEachFile(templates) => {
                    for file in &errand.files {
                        for template in templates {
                            argv.push(self.fill_in(&template.0, errand, Some(file), folder)?);
                        }
                    }
                }
            }
        }
        Ok(argv)
    }

    fn fill_in(
        &self,
        template: &str,
        errand: &Errand,
        file: Option<&str>,
        folder: &Path,
    ) -> Result<String, ProgramError> {
        let certificate = |name: &str| self.certificates.join(name).to_string_lossy().into_owned();
        let value_of = |word: &str, behind: &str| {
            Some(match word {
                "url" => format!("ftp://{}:{}", server(errand, ":${port}"), errand.address.port()),
                "host" => server(errand, behind),
                "port" => errand.address.port().to_string(),
                "user" => errand.user.clone(),
                "password" => errand.password.reveal().to_owned(),
                "ca" => certificate("ca.pem"),
                "certificate" => certificate("client-a.pem"),
                "key" => certificate("client-a.key"),
                "action" => errand.action.clone(),
                "here" => self.here.to_string_lossy().into_owned(),
                "remote" => remote(&errand.action, file?),
                "local" => folder.join(file_of(file?)).to_string_lossy().into_owned(),
                _ => return None,
            })
        };
        filled_in(template, value_of).map_err(ProgramError::UnknownWord)
    }

    fn environment(&self, errand: &Errand, folder: &Path) -> Result<Vec<(String, String)>, ProgramError> {
        let first = errand.files.first().map(String::as_str);
        let variables = self.description.env.iter();
        variables.map(|(name, value)| Ok((name.clone(), self.fill_in(&value.0, errand, first, folder)?))).collect()
    }
}

/// The name by which a client reaches the server. In IPv6 it is the address: many a machine knows `localhost` in IPv4
/// only, and our certificates bear both.
fn server(errand: &Errand, behind: &str) -> String {
    match errand.address.ip() {
        ip if ip.is_ipv6() => host(ip, behind),
        _ => SERVER_NAME.to_owned(),
    }
}

fn is_installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file())
}

fn fetched(errand: &Errand, folder: &Path) -> Vec<Fetched> {
    let of = |name: &String| match digest(&folder.join(file_of(name))) {
        Ok((octets, sha256)) => Fetched { name: name.clone(), octets: Some(octets), sha256 },
        Err(_) => Fetched { name: name.clone(), octets: None, sha256: String::new() },
    };
    errand.files.iter().map(of).collect()
}

/// Why a client could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// No program is named.
    #[error("its command line is empty: name the program in `common`")]
    NoProgram,
    /// The program is not there.
    #[error("there is no program {program} {place}")]
    NotFound {
        /// Its name.
        program: String,
        /// Where, and what can be done about it.
        place: String,
    },
    /// A word of the description has no value here.
    #[error("its command line names ${{{0}}}, which has no value in this action")]
    UnknownWord(String),
    /// The program could not be started.
    #[error("start {program}: {source}: is it installed?")]
    Start {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The container in which it was to run.
    #[error(transparent)]
    Room(RoomError),
    /// The folder in which it runs could not be made or filled.
    #[error("the client's folder: {0}")]
    Folder(#[from] io::Error),
}

impl From<Unrun> for ProgramError {
    fn from(error: Unrun) -> Self {
        match error {
            Unrun::NoProgram => Self::NoProgram,
            Unrun::NotStarted { program, source } => Self::Start { program, source },
            Unrun::Room(error) => Self::Room(error),
            Unrun::Io(error) => Self::Folder(error),
        }
    }
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = open(path)?.take(LARGEST_FILE);
    let mut hasher = Sha256::new();
    let octets = io::copy(&mut file, &mut hasher)?;
    Ok((octets, hex::encode(hasher.finalize())))
}

/// Where a program is looked for that no container holds.
const HERE: &str = "here: install it, or put it on PATH";

/// What a script of the user's ends with if it has no way to do what it is asked for: as test programs skip.
const CANNOT: i32 = 77;

/// For a program that only says which it is; interpreters start slowly on a loaded machine.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Octets. More than any fixture; what is behind it cannot be right.
const LARGEST_FILE: u64 = 64 << 20;

/// Characters.
const LONGEST_VERSION: usize = 120;
