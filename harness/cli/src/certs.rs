//! `ftpspec certs`: the test PKI as files, for a server of the user's that is to be tested with it.

use std::path::PathBuf;

use clap::Args;
use ftpspec::Exit;
use ftpspec_peers::pki::{self, Pki};

use crate::console::Console;
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(after_help = "\
Each name gives NAME.pem and NAME.key. A server uses server.pem and server.key, and trusts ca.pem.

Example:
  ftpspec certs /tmp/certs
  ftpspec run --server ftp://me@localhost:2121 --ca-file /tmp/certs/ca.pem")]
pub struct Options {
    /// Where to; the folder is made if need be, and files of the same names are replaced
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let failed = |error| Failure::Surroundings(format!("the test PKI: {error}"));
    Pki::generate(&options.folder).map_err(failed)?;
    let names = pki::names().map_err(failed)?;
    console.print(&format!("{} in {}:\n", names.len(), options.folder.display()))?;
    console.print(&console.wrapped(&names.join(", "), 2))?;
    console.print("The keys protect nothing: they are for tests.\n")?;
    Ok(Exit::Green)
}
