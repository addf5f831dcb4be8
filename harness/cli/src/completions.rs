//! `ftpspec completions`: what a shell needs to complete our commands, made from the one table of options.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use ftpspec::Exit;

use crate::arguments::Arguments;
use crate::console::Console;
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ftpspec completions bash > ~/.local/share/bash-completion/completions/ftpspec")]
pub struct Options {
    /// Which shell
    shell: Shell,
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "ftpspec", &mut script);
    console.print_as_it_is(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Green)
}
