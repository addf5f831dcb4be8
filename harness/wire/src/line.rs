//! Cuts the control connection's octets into lines. RFC 959 §5.3 and RFC 1123 §4.1.2 end a line with CR LF; a lone LF
//! is taken for an end too, because real endpoints send it, and is reported so that a judge can say so. The reader
//! never looks at what a line says, and never holds more than one line of [`MAX_LINE`] octets beyond what one push
//! brought.

use thiserror::Error;

use crate::pending::Pending;

/// Cuts lines out of octets that arrive in pieces of any size.
///
/// After each [`push`](Self::push) call [`next`](Self::next) until it gives no more. A reader that has met a line that
/// is too long gives that error until [`take_rest`](Self::take_rest), and takes no more octets before.
#[derive(Clone, Debug, Default)]
pub struct LineReader {
    pending: Pending,
    /// So many of the pending octets are known to hold no LF.
    searched: usize,
    failed: bool,
}

impl LineReader {
    /// A reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes octets as they arrived.
    pub fn push(&mut self, octets: &[u8]) {
        if !self.failed {
            self.pending.push(octets);
        }
    }

    /// The next whole line, or `None` until its end has arrived.
    ///
    /// # Errors
    /// [`LineError::TooLong`] as soon as the line cannot end within [`MAX_LINE`] octets any more.
    #[expect(clippy::should_implement_trait, reason = "after None there may be more, once octets have arrived")]
    pub fn next(&mut self) -> Result<Option<Line>, LineError> {
        let rest = self.pending.rest();
        let Some(distance) = rest[self.searched..].iter().position(|octet| *octet == b'\n') else {
            // The one octet above the limit may be the CR of the line's end.
            if rest.len() > MAX_LINE + 1 {
                self.failed = true;
                return Err(LineError::TooLong);
            }
            self.searched = rest.len();
            return Ok(None);
        };
        let feed = self.searched + distance;
        let (length, ended_by) = match rest[..feed].strip_suffix(b"\r") {
            Some(line) => (line.len(), LineEnd::CrLf),
            None => (feed, LineEnd::Lf),
        };
        if length > MAX_LINE {
            self.failed = true;
            return Err(LineError::TooLong);
        }
        let mut octets = self.pending.consume(feed + 1);
        octets.truncate(length);
        self.searched = 0;
        Ok(Some(Line { octets, ended_by }))
    }

    /// The octets behind the last line that was given out.
    pub fn rest(&self) -> &[u8] {
        self.pending.rest()
    }

    /// Takes the octets behind the last line that was given out; the reader is as new afterwards. For the moments when
    /// the stream changes its meaning: after 234 to AUTH, after 200 to CCC.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.searched = 0;
        self.failed = false;
        self.pending.take()
    }
}

/// One line of a control connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line without its end.
    pub octets: Vec<u8>,
    /// What ended it.
    pub ended_by: LineEnd,
}

/// What ended a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// CR LF, the Telnet end of line that RFC 959 §5.3 asks for.
    CrLf,
    /// A lone LF.
    Lf,
}

impl LineEnd {
    /// The octets of this end.
    pub fn octets(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

/// Why no line can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// The line is longer than [`MAX_LINE`].
    #[error("line longer than {MAX_LINE} octets")]
    TooLong,
}

/// Octets in one line, without its end. RFC 959 §4.2 leaves the limit open; a path name has at most 4096 octets on the
/// systems of today (`PATH_MAX` of Linux), and the facts before it (RFC 3659 §7) are far shorter than that.
pub const MAX_LINE: usize = 8192;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{Line, LineEnd, LineError, LineReader, MAX_LINE};

    #[test]
    fn lines_end_in_cr_lf_or_are_reported() {
        let mut reader = LineReader::new();
        reader.push(b"USER a\r\nNOOP\nodd\r\r\nlone\rcr");
        assert_eq!(reader.next(), line(b"USER a", LineEnd::CrLf));
        assert_eq!(reader.next(), line(b"NOOP", LineEnd::Lf));
        assert_eq!(reader.next(), line(b"odd\r", LineEnd::CrLf));
        assert_eq!(reader.next(), Ok(None));
        assert_eq!(reader.rest(), b"lone\rcr");
        reader.push(b"\r\n");
        assert_eq!(reader.next(), line(b"lone\rcr", LineEnd::CrLf));
    }

    #[test]
    fn what_follows_the_last_line_can_be_taken() {
        let mut reader = LineReader::new();
        reader.push(b"AUTH TLS\r\n\x16\x03\x01");
        assert_eq!(reader.next(), line(b"AUTH TLS", LineEnd::CrLf));
        assert_eq!(reader.take_rest(), b"\x16\x03\x01");
        assert_eq!(reader.rest(), b"");
    }

    #[rstest]
    #[case::just_fits(MAX_LINE, b"\r\n", true)]
    #[case::fits_with_lf(MAX_LINE, b"\n", true)]
    #[case::one_too_many(MAX_LINE + 1, b"\r\n", false)]
    #[case::one_too_many_with_lf(MAX_LINE + 1, b"\n", false)]
    fn the_limit_is_exact(#[case] length: usize, #[case] end: &[u8], #[case] fits: bool) {
        let mut reader = LineReader::new();
        reader.push(&vec![b'a'; length]);
        reader.push(end);
        assert_eq!(reader.next().is_ok(), fits);
    }

    #[test]
    fn a_line_without_end_fails_in_bounded_memory() {
        let mut reader = LineReader::new();
        let mut held = 0;
        for _ in 0..100 {
            reader.push(&[b'a'; 1000]);
            let _ = reader.next();
            held = held.max(reader.rest().len());
        }
        assert_eq!(reader.next(), Err(LineError::TooLong));
        assert!(held <= MAX_LINE + 1 + 1000, "held {held}");
        reader.take_rest();
        reader.push(b"NOOP\r\n");
        assert_eq!(reader.next(), line(b"NOOP", LineEnd::CrLf));
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(pieces in prop::collection::vec("[a\\r\\n]{0,6}", 0..20)) {
            let whole = pieces.concat();
            let mut in_pieces = LineReader::new();
            let mut from_pieces = Vec::new();
            for piece in &pieces {
                in_pieces.push(piece.as_bytes());
                while let Ok(Some(line)) = in_pieces.next() {
                    from_pieces.push(line);
                }
            }
            let mut at_once = LineReader::new();
            at_once.push(whole.as_bytes());
            let mut from_whole = Vec::new();
            while let Ok(Some(line)) = at_once.next() {
                from_whole.push(line);
            }
            prop_assert_eq!(&from_pieces, &from_whole);
            let again: Vec<u8> = from_whole
                .iter()
                .flat_map(|line| [line.octets.as_slice(), line.ended_by.octets()].concat())
                .chain(at_once.take_rest())
                .collect();
            prop_assert_eq!(again, whole.into_bytes());
        }

        #[test]
        fn no_octets_panic(octets: Vec<u8>) {
            let mut reader = LineReader::new();
            reader.push(&octets);
            while let Ok(Some(_)) = reader.next() {}
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what next() gives")]
    fn line(octets: &[u8], ended_by: LineEnd) -> Result<Option<Line>, LineError> {
        Ok(Some(Line { octets: octets.to_vec(), ended_by }))
    }
}
