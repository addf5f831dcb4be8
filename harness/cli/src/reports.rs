//! Everybody who is told the events of a run: the terminal, the journal, and the fold that the reports are rendered of
//! at its end. A report that cannot be written is told, and never passed over by the exit status.

use std::error::Error;
use std::io::{self, Stdout};
use std::path::PathBuf;

use clap::Args;
use ftpspec::{Catalogue, Exit, RunEvent, write_baseline};
use ftpspec_report::terminal::{self, Terminal};
use ftpspec_report::{WriteError, json, junit, write_atomically};
use ftpspec_results::{Fold, Journal, Results};
use ftpspec_wire::reason;

use crate::failure::{Failure, complain, warn};

#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub struct ReportOptions {
    /// Write a JUnit file for CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the results as JSON (`ftpspec schema results`)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write what failed as a baseline
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Write each event of the run as a line of JSON, the moment it happens
    #[arg(long, value_name = "FILE", env = "FTPSPEC_JOURNAL", hide_env_values = true)]
    journal: Option<PathBuf>,
}

impl ReportOptions {
    /// Whether somebody wants each event the moment it happens.
    pub fn want_a_journal(&self) -> bool {
        self.journal.is_some()
    }
}

/// The consumers of one run's events.
pub struct Reports<'a> {
    options: &'a ReportOptions,
    strict: bool,
    terminal: Option<Terminal<Stdout>>,
    journal: Option<Journal>,
    fold: Fold,
    unwritten: Unwritten,
}

impl<'a> Reports<'a> {
    /// Opens the journal, if one is wanted.
    pub fn new(options: &'a ReportOptions, terminal: terminal::Options, strict: bool) -> Result<Self, Failure> {
        let journal = options.journal.as_ref().map(Journal::create).transpose();
        Ok(Self {
            options,
            strict,
            terminal: Some(Terminal::new(io::stdout(), terminal)),
            journal: journal.map_err(|error| Failure::Surroundings(with_causes(&error)))?,
            fold: Fold::new(),
            unwritten: Unwritten::default(),
        })
    }

    /// Takes in the next event.
    pub fn tell(&mut self, event: &RunEvent) {
        self.fold.push(event);
        if let Some(Err(error)) = self.terminal.as_mut().map(|terminal| terminal.event(event)) {
            self.terminal = None;
            self.unwritten.stdout(&error);
        }
        if let Some(Err(error)) = self.journal.as_mut().map(|journal| journal.append(event)) {
            self.journal = None;
            self.unwritten.failure(&with_causes(&error));
        }
    }

    /// Writes the files, and gives the status to end with.
    pub fn finish(mut self, catalogue: &Catalogue) -> Exit {
        let Some(results) = self.fold.results() else { return Exit::Surroundings };
        let options = self.options;
        if let Some(path) = &options.junit {
            self.unwritten.file(write_atomically(path, junit::render(&results, self.strict)));
        }
        if let Some(path) = &options.json {
            self.unwritten.file(write_atomically(path, json::render(&results)));
        }
        if let Some(path) = &options.write_baseline {
            self.baseline(path, &results, catalogue);
        }
        self.unwritten.or(Exit::of(&results, self.strict))
    }

    fn baseline(&mut self, path: &PathBuf, results: &Results, catalogue: &Catalogue) {
        if results.interrupted.is_some() {
            warn("the run was interrupted: no baseline is written of the half of it");
            return;
        }
        let written = write_baseline(results, catalogue);
        if !written.left_out.is_empty() {
            let names = written.left_out.join(", ");
            warn(&format!("not in the baseline, for nothing explains how they failed: {names}"));
        }
        self.unwritten.file(write_atomically(path, written.text));
    }
}

/// Whether something of what was to be told could not be written: each is complained of, and never passed over by the
/// exit status.
#[derive(Default)]
pub struct Unwritten(bool);

impl Unwritten {
    /// The terminal, or whatever stands in its place. Whoever reads no more wants no more: all else goes on.
    pub fn stdout(&mut self, error: &io::Error) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.failure(&format!("stdout cannot be written: {}", reason(error)));
        }
    }

    /// A file, if it failed.
    pub fn file(&mut self, written: Result<(), WriteError>) {
        if let Err(error) = written {
            self.failure(&with_causes(&error));
        }
    }

    fn failure(&mut self, text: &str) {
        complain("error", text);
        self.0 = true;
    }

    /// The status to end with: the one that is due, if all was written or a signal ended it.
    pub fn or(self, exit: Exit) -> Exit {
        match exit {
            Exit::Interrupted | Exit::Terminated => exit,
            _ if self.0 => Exit::Surroundings,
            _ => exit,
        }
    }
}

/// An error, and what it comes from.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = format!("failed to {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.downcast_ref().map_or_else(|| cause.to_string(), reason);
        text.push_str(&format!(": {told}"));
        source = cause.source();
    }
    text
}
