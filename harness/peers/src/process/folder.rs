//! The folder of one process or container: what it serves, and what it writes. It goes with its value; what a killed run
//! left is swept at the next start, and never while its owner lives.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::ProcessError;
use crate::files::write_fixtures;
use crate::reference::{FIXTURES_FOLDER, SCRATCH_FOLDER};

/// A folder of our own below the system's temporary one.
#[derive(Debug)]
pub(crate) struct Owned {
    folder: TempDir,
    /// Locked for as long as we live: the kernel gives it back, however we end.
    _owner: File,
}

impl Owned {
    /// Makes one, where what dead runs left is swept before.
    pub(crate) fn make() -> io::Result<Self> {
        let base = std::env::temp_dir();
        sweep(&base);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&base)?;
        let owner = own(folder.path())?;
        Ok(Self { folder, _owner: owner })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The folder of a process.
#[derive(Debug)]
pub(super) struct Folder {
    folder: Owned,
}

impl Folder {
    /// Makes one with the fixtures and an empty folder for uploads in it.
    pub(super) fn make() -> Result<Self, ProcessError> {
        let folder =
            Owned::make().map_err(|error| ProcessError::io("make a folder in", &std::env::temp_dir(), error))?;
        let folder = Self { folder };
        let [fixtures, scratch] = [FIXTURES_FOLDER, SCRATCH_FOLDER].map(|name| folder.root().join(name));
        for made in [&fixtures, &scratch] {
            fs::create_dir_all(made).map_err(|error| ProcessError::io("make", made, error))?;
        }
        write_fixtures(&fixtures).map_err(|error| ProcessError::io("write the fixtures into", &fixtures, error))?;
        Ok(folder)
    }

    /// What is served.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Where the process writes its output.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.path().join("output.log")
    }
}

/// Locks a new folder before anybody can take it for one whose owner is dead.
fn own(folder: &Path) -> io::Result<File> {
    let new = folder.join("owner.new");
    let file = File::create(&new)?;
    file.lock()?;
    fs::rename(new, folder.join(OWNER))?;
    Ok(file)
}

/// Removes the folders whose owners are dead. What cannot be looked at or removed is not ours to remove.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if File::open(entry.path().join(OWNER)).is_ok_and(|owner| owner.try_lock().is_ok()) {
            _ = fs::remove_dir_all(entry.path());
        }
    }
}

const PREFIX: &str = "ftpspec-peer-";
const OWNER: &str = "owner";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_run_left_is_swept_and_what_lives_is_not() {
        let base = tempfile::tempdir().unwrap();
        let [alive, dead, young] = ["alive", "dead", "young"].map(|name| base.path().join(format!("{PREFIX}{name}")));
        for folder in [&alive, &dead, &young] {
            fs::create_dir(folder).unwrap();
        }
        let _owner = own(&alive).unwrap();
        drop(own(&dead).unwrap());
        let foreign = base.path().join("ftpspec-pki");
        fs::create_dir(&foreign).unwrap();
        drop(own(&foreign).unwrap());
        sweep(base.path());
        assert_eq!([&alive, &dead, &young, &foreign].map(|folder| folder.exists()), [true, false, true, true]);
    }
}
