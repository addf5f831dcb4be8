//! Writes a report so that nobody ever sees half of it: into a file of its own in the same folder, which then takes
//! the report's name in one step. It never leaves a partial report behind, and never replaces what is no plain file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `content` to `path` in one step; folders that are missing are made. A link is followed, and what is no plain
/// file (a pipe, `/dev/stdout`) is written to as it is, since replacing it would be a surprise.
///
/// # Errors
/// [`WriteError`], which names the path and the step that failed. What stood at `path` before then still stands there.
pub fn write_atomically(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<(), WriteError> {
    let path = path.as_ref();
    let failed = |step, source| WriteError { path: path.to_owned(), step, source };
    let target = match fs::metadata(path) {
        Ok(there) if there.is_file() => path.canonicalize().map_err(|error| failed(Step::Find, error))?,
        Ok(there) if there.is_dir() => return Err(failed(Step::Find, io::ErrorKind::IsADirectory.into())),
        Ok(_) => return write_through(path, content.as_ref()).map_err(|error| failed(Step::Write, error)),
        Err(_) => path.to_owned(),
    };
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|error| failed(Step::Folder, error))?;

    let mut file = draft().tempfile_in(folder).map_err(|error| failed(Step::Create, error))?;
    file.write_all(content.as_ref()).map_err(|error| failed(Step::Write, error))?;
    // Without this a power cut may keep the new name and lose the octets.
    file.as_file().sync_all().map_err(|error| failed(Step::Write, error))?;
    file.persist(&target).map_err(|error| failed(Step::Rename, error.error))?;
    Ok(())
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write the report {}: {step}", path.display())]
pub struct WriteError {
    path: PathBuf,
    step: Step,
    source: io::Error,
}

impl WriteError {
    /// The report's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Step {
    #[error("its place cannot be used")]
    Find,
    #[error("its folder cannot be made")]
    Folder,
    #[error("no file can be made in its folder")]
    Create,
    #[error("its content cannot be written")]
    Write,
    #[error("the finished file cannot take its name")]
    Rename,
}

fn write_through(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(content)
}

/// The file that becomes the report; it goes by itself if it does not.
fn draft() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ftpspec-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is for its owner only; a report is for whoever the umask lets read it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_report_replaces_the_one_before_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my reports/a run.json");
        write_atomically(&path, "first, and longer").unwrap();
        write_atomically(&path, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(names(path.parent().unwrap()), ["a run.json"]);
    }

    #[test]
    fn a_report_that_cannot_take_its_place_is_told_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomically(folder.path(), "x").unwrap_err();
        assert_eq!(error.path(), folder.path());
        assert!(error.to_string().starts_with("write the report "), "{error}");

        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(write_atomically(file.join("below"), "x").unwrap_err().to_string().contains("folder"));
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_a_device_is_not_replaced() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_atomically(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(link.is_symlink());

        write_atomically("/dev/null", "x").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[cfg(unix)]
    #[test]
    fn a_report_is_as_readable_as_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (report, plain) = (folder.path().join("report"), folder.path().join("plain"));
        write_atomically(&report, "x").unwrap();
        fs::write(&plain, "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&report), mode(&plain));
    }
}
