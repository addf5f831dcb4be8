//! The data of ftpspec, embedded: scenarios, diagnoses, defects, payloads, recorded octets, and the folders of the
//! containerised peers. Nothing here is code; a file is named by its path below the repository's top.
//!
//! It must never read the disk: an installed binary works from any folder.

/// One embedded file.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// The path below the repository's top, with `/` between its parts.
    pub path: &'static str,
    /// What the file holds.
    pub octets: &'static [u8],
}

/// All embedded files, sorted by path.
pub const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The files whose path begins with `prefix`, in the order of their paths.
pub fn below(prefix: &str) -> impl Iterator<Item = File> + '_ {
    FILES.iter().copied().filter(move |file| file.path.starts_with(prefix))
}

/// The file with exactly this path.
#[must_use]
pub fn file(path: &str) -> Option<File> {
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().map(|at| FILES[at])
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_sorted_and_found_by_path() {
        assert!(super::FILES.is_sorted_by(|a, b| a.path < b.path));
        for file in super::FILES {
            assert_eq!(super::file(file.path).map(|f| f.path), Some(file.path));
        }
    }
}
