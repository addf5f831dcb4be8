//! What stdout is: how wide, whether coloured, and whether anybody still reads it. A reader that went away
//! (`ftpspec list | head -1`) is no error, and never a panic.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use ftpspec_report::{escape, layout};
use ftpspec_wire::reason;
use terminal_size::{Width, terminal_size_of};

use crate::failure::Failure;

/// Stdout as a person sees it.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    /// How wide it is.
    pub columns: usize,
    /// Whether a person looks at it now.
    pub is_terminal: bool,
    /// Whether colours are wanted: a terminal, and neither `NO_COLOR` nor `TERM=dumb` speaks against it.
    pub coloured: bool,
}

impl Console {
    pub fn of_stdout() -> Self {
        let of_terminal = terminal_size_of(io::stdout()).map(|(Width(columns), _)| usize::from(columns));
        let told = || std::env::var("COLUMNS").ok()?.parse().ok();
        let columns = of_terminal.or_else(told).filter(|columns| *columns > 0).unwrap_or(COLUMNS);
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        Self { columns, is_terminal, coloured: is_terminal && AutoStream::choice(&stdout) != ColorChoice::Never }
    }

    /// Prints text of ours in which words of other people's files may stand: no character of it moves a cursor.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        self.print_as_it_is(&escape::block(text))
    }

    /// Prints what is made for machines.
    pub fn print_as_it_is(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::Surroundings(format!("stdout cannot be written: {}", reason(&error))))
            }
            _ => Ok(()),
        }
    }

    /// Text on lines that fit, each behind so many blanks.
    pub fn wrapped(&self, text: &str, indent: usize) -> String {
        let lines = layout::wrap(text, self.columns.min(WIDEST_TEXT).saturating_sub(indent));
        lines.iter().map(|line| format!("{:indent$}{line}\n", "")).collect()
    }
}

/// Whether stderr takes colours.
pub fn stderr_is_coloured() -> bool {
    let stderr = io::stderr();
    stderr.is_terminal() && AutoStream::choice(&stderr) != ColorChoice::Never
}

/// Where nobody tells: what a terminal had, and an e-mail still has.
const COLUMNS: usize = 80;

/// Longer lines of prose are hard to read.
const WIDEST_TEXT: usize = 100;
