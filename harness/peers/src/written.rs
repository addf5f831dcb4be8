//! What a server has written: from a mark on, and never more than a bounded end of it, however much there is. Whatever a
//! client sent may stand in there; it is given as it came.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

/// A place in what a server writes. It is made by a running server, and means nothing to another.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// Octets of its output, where that is a file.
    pub(crate) output: u64,
    /// Octets of its log file.
    pub(crate) log: u64,
    /// When it was made, for an output that is kept by time.
    #[cfg_attr(not(feature = "containers"), expect(dead_code, reason = "the output of a process is a file"))]
    pub(crate) at: SystemTime,
}

/// What was written since a mark, line by line, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// To the log file.
    pub log: Vec<String>,
    /// To the output.
    pub output: Vec<String>,
    /// Whether there was more than this.
    pub clipped: bool,
}

/// The lines of what was read, and whether any of it is missing; `cut` says that its beginning is.
pub(crate) fn lines(octets: &[u8], cut: bool) -> (Vec<String>, bool) {
    // The first line of a cut text has lost its beginning, and says something else than was said.
    let octets = if cut { octets.splitn(2, |octet| *octet == b'\n').last().unwrap_or_default() } else { octets };
    let mut clipped = cut;
    let text = String::from_utf8_lossy(octets);
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(|line| {
        let end = line.char_indices().nth(LONGEST_LINE).map_or(line.len(), |(end, _)| end);
        clipped |= end < line.len();
        line[..end].to_owned()
    });
    (lines.collect(), clipped)
}

/// How long a file is by now; 0 if it is not there, or is no file.
pub(crate) fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 })
}

/// The end of a file from `mark` on, of at most `longest` octets, and whether there was more since the mark.
pub(crate) fn since(path: &Path, mark: u64, longest: u64) -> io::Result<(Vec<u8>, bool)> {
    // Whoever opens a pipe waits for its other end.
    if !path.metadata()?.is_file() {
        return Ok((Vec::new(), false));
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // A file that has become shorter was begun anew.
    let mark = if length < mark { 0 } else { mark };
    let begin = mark.max(length.saturating_sub(longest));
    file.seek(SeekFrom::Start(begin))?;
    let mut octets = Vec::new();
    file.take(longest).read_to_end(&mut octets)?;
    Ok((octets, begin > mark))
}

/// Octets of one file: a variant makes some dozens of lines; who writes more is not read to the end by anybody.
pub(crate) const LONGEST_SINCE: u64 = 64 << 10;

/// Characters: the longest command line that we send is longer, and nobody reads it in a log.
const LONGEST_LINE: usize = 1000;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_what_came_after_the_mark_is_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"before\n").unwrap();
        let mark = length(file.path());
        file.write_all(b"after\n").unwrap();
        assert_eq!(since(file.path(), mark, 100).unwrap(), (b"after\n".to_vec(), false));
        assert_eq!(since(file.path(), mark + 100, 100).unwrap(), (b"before\nafter\n".to_vec(), false), "begun anew");
    }

    #[test]
    fn of_a_huge_log_the_end_alone_is_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        // A hole: it takes no room on disk.
        file.as_file().set_len(1 << 30).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"half a line\nthe last words\n").unwrap();
        let (octets, clipped) = since(file.path(), 0, 20).unwrap();
        assert_eq!((octets.len(), clipped), (20, true));
        assert_eq!(lines(&octets, clipped), (vec!["the last words".to_owned()], true));
    }

    #[test]
    fn a_line_without_end_is_clipped() {
        let (lines, clipped) = lines("ü".repeat(LONGEST_LINE + 1).as_bytes(), false);
        assert_eq!((lines[0].chars().count(), clipped), (LONGEST_LINE, true));
    }
}
