//! The top of the command line: which commands there are. The options of each stand in the command's own module.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};
use ftpspec::{Catalogue, Role, Scheduled, schedule, schedule_for};
use ftpspec_scenario::Selector;

use crate::failure::Failure;
use crate::{certs, completions, explain, lint, list, run, schema, selftest, serve};

/// Conformance and interop tests for FTP over TLS
#[derive(Debug, Parser)]
#[command(name = "ftpspec", version = VERSION.as_str(), max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios against a server, or against the embedded reference server
    Run(Box<run::Options>),
    /// List what would run
    List(list::Options),
    /// Tell what an id, a clause, a diagnosis, a defect or a field case is
    Explain(explain::Options),
    /// Check files of your own: scenarios, diagnoses, defects, server descriptions, targets
    Lint(lint::Options),
    /// Print the JSON Schema of a kind of file
    Schema(schema::Options),
    /// List, build, start and remove the servers in containers
    #[cfg(feature = "containers")]
    Peers(crate::peers::Options),
    /// Write the certificates and keys of the test PKI into a folder
    Certs(certs::Options),
    /// Start the reference server on its own, to point a client at
    Serve(serve::Options),
    /// Show that every scenario can pass and can fail
    Selftest(selftest::Options),
    /// Print the completions of a shell
    Completions(completions::Options),
}

/// Scenarios of the user's own, which several commands take.
#[derive(Debug, Args)]
pub struct OwnScenarios {
    /// A folder of your own scenarios: the same id replaces, a new id adds
    #[arg(long, value_name = "DIR")]
    pub scenarios: Option<PathBuf>,
}

impl OwnScenarios {
    /// The embedded scenarios with the user's own on top.
    pub fn catalogue(&self) -> Result<Catalogue, Failure> {
        let embedded = Catalogue::embedded().map_err(Failure::WrongFiles)?;
        match &self.scenarios {
            Some(folder) => embedded.with_folder(folder).map_err(Failure::WrongFiles),
            None => Ok(embedded),
        }
    }

    pub fn folder(&self) -> Option<&Path> {
        self.scenarios.as_deref()
    }
}

/// What the selectors of a command line mean, to a subject of this role if one was named.
pub fn selected(catalogue: &Catalogue, selectors: &[String], role: Option<Role>) -> Result<Vec<Scheduled>, Failure> {
    let selectors = parsed(selectors)?;
    match role {
        Some(role) => schedule_for(catalogue, &selectors, role),
        None => schedule(catalogue, &selectors),
    }
    .map_err(Failure::wrong_use)
}

/// The selectors of a command line.
pub fn parsed(selectors: &[String]) -> Result<Vec<Selector>, Failure> {
    selectors
        .iter()
        .map(|text| {
            // Not shown again: a URL may hold a password.
            if text.contains("://") {
                return Err(Failure::wrong_use("a selector is no URL; a server is named with --server URL"));
            }
            text.parse::<Selector>().map_err(Failure::wrong_use)
        })
        .collect()
}

/// The tool and the two libraries it tests with: what a bug report needs.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let libraries = ftpspec::libraries();
    format!("{} (rustls {}, OpenSSL {})", env!("CARGO_PKG_VERSION"), libraries.rustls, libraries.openssl)
});

const EXAMPLES: &str = "\
Examples:
  ftpspec run                                      all of it against the embedded reference server
  ftpspec run --server peer:vsftpd                 against vsftpd in a container
  ftpspec run --server ftp://me@ftp.example.com --password-env FTP_PASSWORD
  ftpspec run --target partner.yaml                an endpoint described in a file
  ftpspec list 'server/data/*'                     what would run
  ftpspec explain server/data/retr-empty-file      what it demands, and why
  ftpspec serve --defect resumption-refused        a server that lies, to point a client at

Exit status:
  0    nothing is red
  1    something is red: fail, untestable, a stale baseline entry; warn with --strict
  2    wrong use, or a wrong file; nothing was run
  3    no connection, certificate not trusted, login refused, or the harness or a peer failed
  4    nothing was selected, or everything was skipped
  130  interrupted (143: terminated); reports are written";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_table_of_options_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
