//! A client that is a program of somebody else's, run as its description tells: in a folder of its own, bounded in time
//! and in what it may say, and ended with everything that it started. It never runs a shell.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ftpspec_play::fixture::content;
use ftpspec_scenario::{Argument, ClientDescription};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{Errand, Fetched, How, Outcome, SERVER_NAME, fetches, file_of, remote};
use crate::process::Kept;
use crate::words::{filled_in, last_lines};

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
        let folder = tempfile::Builder::new().prefix("ftpspec-client-").tempdir()?;
        let argv = self.command_line(arguments, errand, folder.path())?;
        let output = folder.path().join(OUTPUT);
        let (command, program) = self.command(&argv, errand, &folder, &output)?;
        let mut kept = Kept::start(command, GRACE).map_err(|source| ProgramError::Start { program, source })?;
        let hung = !kept.ends_within(self.limit, || floods(&output) || ends.load(Ordering::Relaxed));
        let status = kept.end();
        let said = last_lines(&written(&output));
        let how = if hung { How::Hung } else { self.how(status) };
        let status = status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string());
        let fetched = if fetches(&errand.action) { self.fetched(errand, folder.path()) } else { Vec::new() };
        Ok(Outcome { how, status, said, fetched })
    }

    /// Looks whether its program is there, without starting it.
    ///
    /// # Errors
    /// [`ProgramError::NotFound`] if it is not.
    pub fn is_there(&self) -> Result<(), ProgramError> {
        let Some(program) = self.description.common.first() else { return Ok(()) };
        let folder = |word: &str, _: &str| (word == "here").then(|| self.here.to_string_lossy().into_owned());
        // A program whose name is not known before the errand is looked for when it is started.
        let Ok(program) = filled_in(&program.0, folder) else { return Ok(()) };
        let found = if program.contains('/') {
            Path::new(&program).is_file()
        } else {
            env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(&program).is_file())
        };
        if found { Ok(()) } else { Err(ProgramError::NotFound(program)) }
    }

    /// Its version, where it tells one: the first line that the command prints.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let (program, arguments) = self.description.version.split_first()?;
        let folder = tempfile::Builder::new().prefix("ftpspec-client-").tempdir().ok()?;
        let output = folder.path().join(OUTPUT);
        let mut command = confined(&program.0, folder.path(), &output).ok()?;
        command.args(arguments.iter().map(|argument| &argument.0));
        let mut kept = Kept::start(command, GRACE).ok()?;
        kept.ends_within(VERSION_LIMIT, || floods(&output));
        kept.end();
        let text = written(&output);
        text.lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .map(|line| line.chars().take(LONGEST_VERSION).collect())
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
        let value_of = |word: &str, _: &str| {
            Some(match word {
                "url" => format!("ftp://{SERVER_NAME}:{}", errand.port),
                "host" => SERVER_NAME.to_owned(),
                "port" => errand.port.to_string(),
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

    fn command(
        &self,
        argv: &[String],
        errand: &Errand,
        folder: &TempDir,
        output: &Path,
    ) -> Result<(Command, String), ProgramError> {
        let (program, arguments) = argv.split_first().ok_or(ProgramError::NoProgram)?;
        if !fetches(&errand.action) {
            for file in &errand.files {
                if let Some(octets) = content(file) {
                    fs::write(folder.path().join(file_of(file)), octets)?;
                }
            }
        }
        let mut command = confined(program, folder.path(), output)?;
        command.args(arguments);
        for (name, template) in &self.description.env {
            command
                .env(name, self.fill_in(&template.0, errand, errand.files.first().map(String::as_str), folder.path())?);
        }
        Ok((command, program.clone()))
    }

    fn fetched(&self, errand: &Errand, folder: &Path) -> Vec<Fetched> {
        let of = |name: &String| match digest(&folder.join(file_of(name))) {
            Ok((octets, sha256)) => Fetched { name: name.clone(), octets: Some(octets), sha256 },
            Err(_) => Fetched { name: name.clone(), octets: None, sha256: String::new() },
        };
        errand.files.iter().map(of).collect()
    }
}

/// Why a client could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// No program is named.
    #[error("its command line is empty: name the program in `common`")]
    NoProgram,
    /// The program is not on this machine.
    #[error("there is no program {0} here: install it, or put it on PATH")]
    NotFound(String),
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
    /// The folder in which it runs could not be made or filled.
    #[error("the client's folder: {0}")]
    Folder(#[from] io::Error),
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?.take(LARGEST_FILE);
    let mut hasher = Sha256::new();
    let octets = io::copy(&mut file, &mut hasher)?;
    Ok((octets, hex::encode(hasher.finalize())))
}

/// A program in a folder of its own, with its output in a file there.
fn confined(program: &str, folder: &Path, output: &Path) -> io::Result<Command> {
    let written = File::create(output)?;
    let both = written.try_clone()?;
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).stdout(written).stderr(both);
    // What a person has set up for a client of theirs is no part of a test.
    command.env("HOME", folder).env("LC_ALL", "C");
    Ok(command)
}

/// Whether it has said more than anybody reads.
fn floods(output: &Path) -> bool {
    fs::metadata(output).is_ok_and(|file| file.len() > MOST_SAID)
}

/// What it said.
fn written(output: &Path) -> String {
    let mut octets = Vec::new();
    if let Ok(file) = File::open(output) {
        // What cannot be read has not been said.
        _ = file.take(MOST_SAID).read_to_end(&mut octets);
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// What a script of the user's ends with if it has no way to do what it is asked for: as test programs skip.
const CANNOT: i32 = 77;

/// Where its output goes, in its own folder.
const OUTPUT: &str = ".ftpspec-output";

/// For what it does when it is told to end; then it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// For a program that only says which it is; interpreters start slowly on a loaded machine.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Octets. A client that says more than this is flooding us, and is ended.
const MOST_SAID: u64 = 16 << 20;

/// Octets. More than any fixture; what is behind it cannot be right.
const LARGEST_FILE: u64 = 64 << 20;

/// Characters.
const LONGEST_VERSION: usize = 120;
