//! The binary `ftpspec`: reads the command line, asks the library, prints, and ends with the documented status.
//!
//! It must never hold logic that a user of the library would miss: what is decided here is only how a person asks, and
//! how they are answered.

mod arguments;
mod certs;
mod client;
mod completions;
mod console;
mod described;
mod explain;
mod failure;
mod lint;
mod list;
#[cfg(feature = "containers")]
mod peers;
mod reports;
mod run;
mod schema;
mod selftest;
mod serve;
mod signals;
mod subject;
mod target;

use std::process::ExitCode;

use clap::Parser as _;
use ftpspec::Exit;

use self::arguments::{Arguments, Command};
use self::console::Console;
use self::failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    execute(&arguments.command, &Console::of_stdout()).unwrap_or_else(|failure| failure.tell()).into()
}

fn execute(command: &Command, console: &Console) -> Result<Exit, Failure> {
    match command {
        Command::Run(options) => run::execute(options, console),
        Command::List(options) => list::execute(options, console),
        Command::Explain(options) => explain::execute(options, console),
        Command::Lint(options) => lint::execute(options, console),
        Command::Schema(options) => schema::execute(options, console),
        #[cfg(feature = "containers")]
        Command::Peers(options) => peers::execute(options, console),
        Command::Certs(options) => certs::execute(options, console),
        Command::Serve(options) => serve::execute(options, console),
        Command::Selftest(options) => selftest::execute(options, console),
        Command::Completions(options) => completions::execute(options, console),
    }
}
