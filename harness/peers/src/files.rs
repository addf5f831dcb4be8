//! The files that a peer with a disk holds, as the reference server holds them in memory: scenarios name them, and expect
//! the same octets everywhere. It only writes; what a peer makes of them is its own.

use std::fs;
use std::io;
use std::path::Path;

use ftpspec_play::fixture;
pub use ftpspec_play::fixture::FIXTURES;

/// Writes the fixtures into a folder that is there.
///
/// # Errors
/// A file or folder below it cannot be made.
pub fn write_fixtures(folder: &Path) -> io::Result<()> {
    for fixture in FIXTURES {
        let path = folder.join(fixture.file);
        match fixture::content(fixture.name) {
            Some(octets) => fs::write(path, octets)?,
            None if fixture.name == "empty-directory" => fs::create_dir(path)?,
            // The one that is missing.
            None => {}
        }
    }
    Ok(())
}
