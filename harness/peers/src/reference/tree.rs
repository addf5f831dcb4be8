//! The reference server's files, in memory: the fixtures, and a scratch folder that may be written to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ftpspec_play::fixture::{FIXTURES, content};

/// The folder of the fixtures, below the login folder; they cannot be written.
pub const FIXTURES_FOLDER: &str = "fixtures";
/// The folder that may be written.
pub const SCRATCH_FOLDER: &str = "scratch";

/// The most files that clients may leave behind: a run leaves none.
const MOST_FILES: usize = 4096;

/// Files and folders by their absolute path.
#[derive(Debug)]
pub struct Tree {
    entries: Mutex<BTreeMap<String, Entry>>,
}

/// A folder or a file.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file and what it holds.
    File(Arc<[u8]>),
}

impl Tree {
    /// The fixtures, and an empty scratch folder.
    #[must_use]
    pub fn with_fixtures() -> Self {
        let mut entries = BTreeMap::new();
        for folder in ["/".to_owned(), format!("/{FIXTURES_FOLDER}"), format!("/{SCRATCH_FOLDER}")] {
            entries.insert(folder, Entry::Folder);
        }
        for fixture in FIXTURES {
            let path = format!("/{FIXTURES_FOLDER}/{}", fixture.file);
            match content(fixture.name) {
                Some(octets) => _ = entries.insert(path, Entry::File(octets)),
                None if fixture.name == "empty-directory" => _ = entries.insert(path, Entry::Folder),
                None => {}
            }
        }
        Self { entries: Mutex::new(entries) }
    }

    /// What stands at this path.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Entry> {
        self.lock().get(path).cloned()
    }

    /// Whether a file may be made or replaced here.
    #[must_use]
    pub fn may_write(&self, path: &str) -> bool {
        let entries = self.lock();
        path.strip_prefix(&format!("/{SCRATCH_FOLDER}/")).is_some_and(|name| !name.is_empty() && !name.contains('/'))
            && !matches!(entries.get(path), Some(Entry::Folder))
            && entries.len() < MOST_FILES
    }

    /// Makes or replaces a file, if [`Tree::may_write`].
    pub fn write(&self, path: &str, octets: Vec<u8>) {
        if self.may_write(path) {
            self.lock().insert(path.to_owned(), Entry::File(Arc::from(octets)));
        }
    }

    /// Removes a file of the scratch folder; says whether it was there.
    pub fn remove(&self, path: &str) -> bool {
        self.may_write(path) && self.lock().remove(path).is_some()
    }

    /// The names right below a folder, with what they are.
    #[must_use]
    pub fn list(&self, folder: &str) -> Vec<(String, Entry)> {
        let prefix = if folder == "/" { "/".to_owned() } else { format!("{folder}/") };
        self.lock()
            .iter()
            .filter_map(|(path, entry)| {
                let name = path.strip_prefix(&prefix)?;
                (!name.is_empty() && !name.contains('/')).then(|| (name.to_owned(), entry.clone()))
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The absolute path that an argument means in this folder, `.` and `..` resolved.
#[must_use]
pub fn resolve(folder: &str, argument: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let from = if argument.starts_with('/') { "" } else { folder };
    for part in from.split('/').chain(argument.split('/')) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_scratch_folder_can_be_written() {
        let tree = Tree::with_fixtures();
        for path in ["/fixtures/text.txt", "/x", "/scratch", "/scratch/", "/scratch/a/b"] {
            tree.write(path, b"x".to_vec());
            assert!(!tree.remove(path), "{path}");
        }
        assert!(matches!(tree.at("/fixtures/text.txt"), Some(Entry::File(octets)) if octets.len() == 1920));
        tree.write("/scratch/x", b"x".to_vec());
        assert_eq!(tree.list("/scratch").len(), 1);
        assert!(tree.remove("/scratch/x"));
        assert!(tree.list("/fixtures/empty-directory").is_empty());
    }

    #[test]
    fn no_argument_leads_out_of_the_tree() {
        assert_eq!(resolve("/", "../../etc"), "/etc");
        assert_eq!(resolve("/scratch", "./a"), "/scratch/a");
        assert_eq!(resolve("/scratch", "/fixtures//x"), "/fixtures/x");
    }
}
