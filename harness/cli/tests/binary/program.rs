//! Runs the binary in surroundings that are the same everywhere.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The variant that most tests play: quick, and it passes against the reference.
pub const QUICK: &str = "server/data/retr-empty-file@engine=rustls";

/// A defect that [`QUICK`] catches.
pub const DEFECT: &str = "retr-empty-closes-before-handshake";

/// What came of a run of the binary.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The binary, with nothing of the tester's own environment that it would heed.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ftpspec"));
    command.args(arguments).stdin(Stdio::null()).env("COLUMNS", "80").env("TERM", "xterm");
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FTPSPEC_JOURNAL", "SSL_CERT_FILE"] {
        command.env_remove(variable);
    }
    command
}

/// A folder of planted files.
pub fn planted(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

pub fn ran(arguments: &[&str]) -> Ran {
    finished(&mut command(arguments))
}

pub fn ran_in(folder: &Path, arguments: &[&str]) -> Ran {
    finished(command(arguments).current_dir(folder))
}

pub fn finished(command: &mut Command) -> Ran {
    command.output().expect("the binary was built").into()
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |octets| String::from_utf8(octets).expect("what is printed is UTF-8");
        Self {
            code: output.status.code().expect("it ends by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}
