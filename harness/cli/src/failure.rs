//! Why a command could not do what was asked, in words on stderr and in the exit status. What a run finds out about its
//! subject is no failure of the command.

use std::fmt;
use std::io::Write as _;

use ftpspec::{Exit, Trouble};
use ftpspec_report::escape;
use ftpspec_report::layout::counted;
use ftpspec_scenario::Diagnostic;

use crate::console;

/// Nothing was run, or not to the end.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for something that cannot be.
    WrongUse(String),
    /// Files of the user's cannot be used.
    WrongFiles(Vec<Diagnostic>),
    /// The harness or its surroundings failed.
    Surroundings(String),
}

impl Failure {
    pub fn wrong_use(reason: impl fmt::Display) -> Self {
        Self::WrongUse(reason.to_string())
    }

    pub fn surroundings(reason: impl fmt::Display) -> Self {
        Self::Surroundings(reason.to_string())
    }

    /// Writes it to stderr, and gives the status to end with.
    pub fn tell(&self) -> Exit {
        match self {
            Self::WrongUse(reason) => {
                complain("error", reason);
                Exit::WrongUse
            }
            Self::WrongFiles(diagnostics) => {
                let coloured = console::stderr_is_coloured();
                let mut text = String::new();
                for diagnostic in diagnostics {
                    text.push_str(&if coloured { diagnostic.render_coloured() } else { diagnostic.render() });
                    text.push_str("\n\n");
                }
                text.push_str(&format!("{}; nothing was run\n", counted(diagnostics.len(), "fault")));
                to_stderr(&text);
                Exit::WrongUse
            }
            Self::Surroundings(reason) => {
                complain("error", reason);
                Exit::Surroundings
            }
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Surroundings(trouble.text)
    }
}

/// Something that a person should know, and that stops nothing.
pub fn warn(text: &str) {
    complain("warning", text);
}

/// One line about something that went wrong, in the shape that clap gives its own.
pub fn complain(kind: &str, text: &str) {
    to_stderr(&format!("{kind}: {}\n", escape::block(text)));
}

fn to_stderr(text: &str) {
    // Nobody is left to be told.
    _ = std::io::stderr().write_all(text.as_bytes());
}
