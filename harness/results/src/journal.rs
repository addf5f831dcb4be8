//! The journal: each event of a run as one line of JSON, written the moment it happens, so that a run that was killed
//! still tells what it had learnt. It must never rewrite what it has written, and reading it never fails because the
//! writer died in mid-line.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::RunEvent;

/// An open journal. Dropping it closes the file; every event is already with the operating system by then.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins a journal at `path`; what was there before is gone.
    ///
    /// # Errors
    /// [`JournalError::Create`] if the file cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(JournalError::Create { path, source }),
        }
    }

    /// Appends `event` as one line, in one write: nothing is buffered here, so a killed process loses at most the line
    /// that it was writing.
    ///
    /// # Errors
    /// [`JournalError::Write`] if the line cannot be written.
    pub fn append(&mut self, event: &RunEvent) -> Result<(), JournalError> {
        let write = |source| JournalError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(event).map_err(|error| write(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.flush()).map_err(write)
    }

    /// Reads the journal at `path` back.
    ///
    /// # Errors
    /// [`JournalError::Read`] if the file cannot be read, [`JournalError::Line`] if a line other than a cut last one is
    /// no event.
    pub fn read(path: impl AsRef<Path>) -> Result<Replay, JournalError> {
        let path = path.as_ref();
        let text = fs::read(path).map_err(|source| JournalError::Read { path: path.to_owned(), source })?;
        replay(&text).map_err(|(line, source)| JournalError::Line { path: path.to_owned(), line, source })
    }
}

/// What a journal held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The events, in order.
    pub events: Vec<RunEvent>,
    /// Whether the last line was cut off: the writer died while it wrote.
    pub cut: bool,
}

/// Why a journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be created.
    #[error("create the journal {}", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line could not be written.
    #[error("write to the journal {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("read the journal {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no event.
    #[error("read line {line} of the journal {} as an event", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// Reads the text of a journal; the error names the line, from 1.
fn replay(text: &[u8]) -> Result<Replay, (usize, serde_json::Error)> {
    let mut replay = Replay { events: Vec::new(), cut: false };
    for (index, line) in text.split_inclusive(|octet| *octet == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(event) => replay.events.push(event),
            // Each line is written with its end. One without it can only be the last, and was cut.
            Err(_) if !line.ends_with(b"\n") => replay.cut = true,
            Err(error) => return Err((index + 1, error)),
        }
    }
    Ok(replay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::tests::{case, started};
    use crate::{Signal, StaleEntry, Verdict};

    fn story() -> Vec<RunEvent> {
        let (id, variant) = ("server/a".to_owned(), "engine=rustls".to_owned());
        vec![
            started(),
            RunEvent::ProbeFinished { lines: vec!["FEAT  AUTH TLS".to_owned()] },
            RunEvent::Trouble { text: "login refused".to_owned() },
            RunEvent::CaseStarted { id: id.clone(), variant: variant.clone(), index: 3 },
            RunEvent::Transcript {
                id: id.clone(), variant, index: 3, line: "control  <S 220 grüß\u{1b}\n".to_owned()
            },
            RunEvent::CaseFinished(Box::new(case("server/a", 0, Verdict::Fail))),
            RunEvent::Interrupted { signal: Signal::Terminate },
            RunEvent::RunFinished {
                duration_ms: 5,
                stale: vec![StaleEntry { id, variant: "*".to_owned(), why: "it passes".to_owned() }],
            },
        ]
    }

    fn written() -> Vec<u8> {
        let lines: Vec<_> = story().iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
        lines.concat().into_bytes()
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a run.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        for event in story() {
            journal.append(&event).unwrap();
            assert_eq!(Journal::read(&path).unwrap().events.last(), Some(&event), "it is on disk at once");
        }
        assert_eq!(Journal::read(&path).unwrap(), Replay { events: story(), cut: false });
    }

    #[test]
    fn a_journal_cut_at_any_octet_is_read_up_to_there() {
        let text = written();
        for end in 0..text.len() {
            let replay = replay(&text[..end]).unwrap();
            let whole = story().len().min(replay.events.len());
            assert_eq!(replay.events, story()[..whole]);
            assert!(!replay.cut || replay.events.len() < story().len());
        }
    }

    #[test]
    fn a_wrong_line_in_the_middle_is_told_by_its_number() {
        let mut text = written();
        text.splice(0..0, *b"not an event\n");
        assert_eq!(replay(&text).unwrap_err().0, 1);
    }

    #[test]
    fn a_missing_journal_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Journal::read(folder.path().join("none.jsonl")).unwrap_err();
        assert!(error.to_string().starts_with("read the journal "), "{error}");
        assert!(matches!(error, JournalError::Read { .. }));
    }
}
