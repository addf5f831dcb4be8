//! Replies of RFC 959 §4.2, one line or many, put together from the control connection's octets. The reader decides
//! where a reply begins and ends, and nothing else: whether its code is the right one is for a judge.

use thiserror::Error;

use crate::escape::escaped;
use crate::line::{Line, LineEnd, LineError, LineReader, MAX_LINE};

/// One reply: a code of three digits and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code, 100 to 699.
    pub code: u16,
    /// Every octet of each line but its line end, the code included.
    pub lines: Vec<Vec<u8>>,
}

impl Reply {
    /// A reply with this text, one line of the reply for each line of the text.
    ///
    /// As RFC 959 §4.2 asks, a line in the middle that begins with a digit is padded with a space, so that it cannot be
    /// taken for the end. (The lines in the middle of FEAT's and MLST's replies begin with a space of their own, which
    /// the text must bring along: RFC 2389 §3.2, RFC 3659 §7.2.)
    pub fn new(code: u16, text: &str) -> Self {
        let texts: Vec<&str> = text.lines().collect();
        let lines = match texts.as_slice() {
            [] => vec![format!("{code:03} ").into_bytes()],
            [only] => vec![format!("{code:03} {only}").into_bytes()],
            [first, middle @ .., last] => {
                let mut lines = vec![format!("{code:03}-{first}").into_bytes()];
                lines.extend(middle.iter().map(|line| padded(line)));
                lines.push(format!("{code:03} {last}").into_bytes());
                lines
            }
        };
        Self { code, lines }
    }

    /// What stands behind the code in the last line, [`escaped`].
    pub fn text(&self) -> String {
        let last = self.lines.last().map_or(&[][..], Vec::as_slice);
        escaped(last.get(CODE_LENGTH + 1..).unwrap_or_default())
    }

    /// The reply as it goes out, each line with CR LF.
    pub fn octets(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.iter().chain(b"\r\n")).copied().collect()
    }

    /// The first digit: 1 preliminary, 2 completion, 3 intermediate, 4 transient and 5 permanent negative completion
    /// (RFC 959 §4.2), 6 protected (RFC 2228 §5.2).
    pub fn class(&self) -> u8 {
        u8::try_from(self.code / 100).unwrap_or(u8::MAX)
    }
}

/// Puts replies together from octets that arrive in pieces of any size.
///
/// After each [`push`](Self::push) call [`next`](Self::next) until it gives no more. A line that cannot begin a reply
/// is handed over in its error, and the reader goes on behind it. After any other error it takes no more octets until
/// [`take_rest`](Self::take_rest), so that its memory stays within [`MAX_REPLY_OCTETS`] and one push.
#[derive(Clone, Debug, Default)]
pub struct ReplyReader {
    lines: LineReader,
    unfinished: Option<Unfinished>,
    lone_line_feeds: u64,
    failed: Option<ReplyError>,
    each_line: bool,
}

impl ReplyReader {
    /// A reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// From here on each line that begins with a code is a reply, and others are none: how clients read that know
    /// nothing of replies with many lines.
    pub fn take_each_line(&mut self) {
        self.each_line = true;
    }

    /// Takes octets as they arrived.
    pub fn push(&mut self, octets: &[u8]) {
        if self.failed.is_none() {
            self.lines.push(octets);
        }
    }

    /// The next whole reply, or `None` until its last line has arrived.
    ///
    /// # Errors
    /// See [`ReplyError`].
    #[expect(clippy::should_implement_trait, reason = "after None there may be more, once octets have arrived")]
    pub fn next(&mut self) -> Result<Option<Reply>, ReplyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            let line = match self.lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(LineError::TooLong) => return self.fail(ReplyError::LineTooLong),
            };
            self.lone_line_feeds += u64::from(line.ended_by == LineEnd::Lf);
            let mut reply = match self.unfinished.take() {
                Some(reply) => reply,
                None => match begins(&line.octets) {
                    Some(code) => Unfinished::new(code),
                    None => return Err(ReplyError::NotAReply { line: line.octets }),
                },
            };
            let is_last = self.each_line || reply.ends_with(&line.octets);
            let fits = reply.add(line);
            if is_last && fits.is_ok() {
                return Ok(Some(reply.finish()));
            }
            self.unfinished = Some(reply);
            if let Err(error) = fits {
                return self.fail(error);
            }
        }
    }

    /// How many lines so far ended in a lone LF where CR LF was due (RFC 959 §4.2, "the Telnet end-of-line code").
    pub fn lone_line_feeds(&self) -> u64 {
        self.lone_line_feeds
    }

    /// Whether some, but not all, of a reply has arrived.
    pub fn inside_reply(&self) -> bool {
        self.unfinished.is_some() || !self.lines.rest().is_empty()
    }

    /// Takes everything that arrived and was not given out, the lines of an unfinished reply included; the reader is
    /// as new afterwards.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.failed = None;
        self.lone_line_feeds = 0;
        let mut rest = self.unfinished.take().map_or_else(Vec::new, Unfinished::into_octets);
        rest.append(&mut self.lines.take_rest());
        rest
    }

    fn fail(&mut self, error: ReplyError) -> Result<Option<Reply>, ReplyError> {
        self.failed = Some(error.clone());
        Err(error)
    }
}

/// Why no reply can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// A line is longer than [`MAX_LINE`].
    #[error("reply with a line longer than {MAX_LINE} octets")]
    LineTooLong,
    /// A reply has more than [`MAX_REPLY_LINES`].
    #[error("reply of more than {MAX_REPLY_LINES} lines")]
    TooManyLines,
    /// A reply has more than [`MAX_REPLY_OCTETS`].
    #[error("reply of more than {MAX_REPLY_OCTETS} octets")]
    TooManyOctets,
    /// A line stands where a reply is due, and does not begin with a code and a space or hyphen.
    #[error("not a reply: \"{}\"", escaped(line))]
    NotAReply {
        /// The line without its end.
        line: Vec<u8>,
    },
}

/// The code at the front of a line: three digits, the first 1 to 6 (RFC 959 §4.2, RFC 2228 §5.2), with a space, a
/// hyphen or nothing behind them.
pub(crate) fn begins(line: &[u8]) -> Option<u16> {
    let (code, behind) = line.split_at_checked(CODE_LENGTH)?;
    if !matches!(code[0], b'1'..=b'6') || !matches!(behind.first(), None | Some(b' ' | b'-')) {
        return None;
    }
    code.iter().try_fold(0, |code, digit| digit.is_ascii_digit().then(|| 10 * code + u16::from(digit - b'0')))
}

/// A reply whose last line has not arrived yet.
#[derive(Clone, Debug)]
struct Unfinished {
    code: u16,
    lines: Vec<Line>,
    octets: usize,
}

impl Unfinished {
    fn new(code: u16) -> Self {
        Self { code, lines: Vec::new(), octets: 0 }
    }

    /// Whether this line, added next, is the last one. A code with nothing behind it ends a reply too: RFC 959 §4.2
    /// wants a space, but RFC 3659 §7.2 and RFC 2640 §4.2 have the space optional together with the text.
    fn ends_with(&self, line: &[u8]) -> bool {
        begins(line) == Some(self.code) && line.get(CODE_LENGTH) != Some(&b'-')
    }

    fn add(&mut self, line: Line) -> Result<(), ReplyError> {
        self.octets += line.octets.len() + line.ended_by.octets().len();
        self.lines.push(line);
        if self.lines.len() > MAX_REPLY_LINES {
            return Err(ReplyError::TooManyLines);
        }
        if self.octets > MAX_REPLY_OCTETS {
            return Err(ReplyError::TooManyOctets);
        }
        Ok(())
    }

    fn finish(self) -> Reply {
        Reply { code: self.code, lines: self.lines.into_iter().map(|line| line.octets).collect() }
    }

    fn into_octets(self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.octets);
        for mut line in self.lines {
            octets.append(&mut line.octets);
            octets.extend_from_slice(line.ended_by.octets());
        }
        octets
    }
}

fn padded(line: &str) -> Vec<u8> {
    let pad = if line.starts_with(|first: char| first.is_ascii_digit()) { " " } else { "" };
    format!("{pad}{line}").into_bytes()
}

/// Lines in one reply. STAT may list a directory in its reply (RFC 959 §4.1.3), so that a few lines are not enough.
pub const MAX_REPLY_LINES: usize = 16_384;

/// Octets in one reply, line ends included: 64 for each line that is allowed, which is a line of a usual listing.
pub const MAX_REPLY_OCTETS: usize = 1 << 20;

const CODE_LENGTH: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{MAX_REPLY_LINES, MAX_REPLY_OCTETS, Reply, ReplyError, ReplyReader};
    use crate::line::MAX_LINE;

    #[rstest]
    #[case::one_line("220 ready\r\n", &[(220, 1, "ready")])]
    #[case::two_replies("150 go\r\n226 done\r\n", &[(150, 1, "go"), (226, 1, "done")])]
    #[case::rfc_959_example(
        "123-First line\r\nSecond line\r\n  234 A line beginning with numbers\r\n123 The last line\r\n",
        &[(123, 4, "The last line")]
    )]
    #[case::other_code_inside("211-a\r\n550 inside\r\n226 too\r\n211 End\r\n", &[(211, 4, "End")])]
    #[case::same_code_with_hyphen_inside("220-a\r\n220-b\r\n220 c\r\n", &[(220, 3, "c")])]
    #[case::same_digits_in_a_longer_number("213-a\r\n2134 b\r\n213 c\r\n", &[(213, 3, "c")])]
    #[case::empty_lines_inside("220-\r\n\r\n\r\n220 c\r\n", &[(220, 4, "c")])]
    #[case::last_line_without_text("250-a\r\n x; b\r\n250\r\n", &[(250, 3, "")])]
    #[case::code_alone("200\r\n", &[(200, 1, "")])]
    #[case::lone_line_feeds("220-a\n220 b\n", &[(220, 2, "b")])]
    #[case::protected("631 abc=\r\n", &[(631, 1, "abc=")])]
    #[case::unfinished("220 ready\r\n211-Features\r\n EPSV\r\n", &[(220, 1, "ready")])]
    #[case::text_is_escaped("550 \u{1b}[2J\r\n", &[(550, 1, "\\x1b[2J")])]
    fn replies_begin_and_end_as_rfc_959_says(#[case] octets: &str, #[case] due: &[(u16, usize, &str)]) {
        let (replies, error) = read([octets.as_bytes()]);
        let came: Vec<_> = replies.iter().map(|reply| (reply.code, reply.lines.len(), reply.text())).collect();
        let due: Vec<_> = due.iter().map(|(code, lines, text)| (*code, *lines, (*text).to_owned())).collect();
        assert_eq!((came, error), (due, None));
    }

    #[rstest]
    #[case::letters("hello")]
    #[case::two_digits("22 ready")]
    #[case::four_digits("2200 ready")]
    #[case::nothing_between_code_and_text("220ready")]
    #[case::class_0("020 ready")]
    #[case::class_7("720 ready")]
    #[case::leading_space(" 220 ready")]
    #[case::empty("")]
    fn other_lines_are_handed_over_and_passed(#[case] line: &str) {
        let mut reader = ReplyReader::new();
        reader.push(format!("{line}\r\n226 done\r\n").as_bytes());
        assert_eq!(reader.next(), Err(ReplyError::NotAReply { line: line.as_bytes().to_vec() }));
        assert_eq!(reader.next(), Ok(Some(Reply::new(226, "done"))));
    }

    #[test]
    fn an_error_shows_its_line_escaped() {
        let error = ReplyError::NotAReply { line: b"<h1>\x1b".to_vec() };
        assert_eq!(error.to_string(), "not a reply: \"<h1>\\x1b\"");
    }

    #[test]
    fn lone_line_feeds_are_counted() {
        let mut reader = ReplyReader::new();
        reader.push(b"220-a\n220 b\r\n226 c\n");
        while let Ok(Some(_)) = reader.next() {}
        assert_eq!(reader.lone_line_feeds(), 2);
    }

    #[test]
    fn the_rest_is_every_octet_that_was_not_given_out() {
        let mut reader = ReplyReader::new();
        reader.push(b"220 a\r\n211-b\n c\r\n\x15\x03");
        assert_eq!(reader.next(), Ok(Some(Reply::new(220, "a"))));
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.inside_reply());
        assert_eq!(reader.take_rest(), b"211-b\n c\r\n\x15\x03");
        assert!(!reader.inside_reply());
    }

    #[rstest]
    #[case::line(format!("220 {}\r\n", "a".repeat(MAX_LINE)), ReplyError::LineTooLong)]
    #[case::lines(format!("220-{}", "\r\n".repeat(MAX_REPLY_LINES + 1)), ReplyError::TooManyLines)]
    #[case::octets(
        format!("220-\r\n{}", format!("{}\r\n", "a".repeat(4096)).repeat(MAX_REPLY_OCTETS / 4096)),
        ReplyError::TooManyOctets
    )]
    fn each_limit_holds_and_lasts(#[case] octets: String, #[case] due: ReplyError) {
        let mut reader = ReplyReader::new();
        reader.push(octets.as_bytes());
        assert_eq!(reader.next(), Err(due.clone()));
        reader.push(b"\r\n226 done\r\n");
        assert_eq!(reader.next(), Err(due));
        assert_eq!(reader.take_rest(), octets.as_bytes());
        reader.push(b"226 done\r\n");
        assert_eq!(reader.next(), Ok(Some(Reply::new(226, "done"))));
    }

    #[rstest]
    #[case("", "220 \r\n")]
    #[case("ready", "220 ready\r\n")]
    #[case("a\nb", "220-a\r\n220 b\r\n")]
    #[case("a\n220 no\n EPSV\r\nb\n", "220-a\r\n 220 no\r\n EPSV\r\n220 b\r\n")]
    fn a_text_of_many_lines_makes_a_reply_of_many(#[case] text: &str, #[case] octets: &str) {
        assert_eq!(String::from_utf8_lossy(&Reply::new(220, text).octets()), octets);
    }

    #[test]
    fn the_class_is_the_first_digit() {
        assert_eq!(Reply::new(226, "").class(), 2);
        assert_eq!(Reply::new(631, "").class(), 6);
    }

    proptest! {
        #[test]
        fn what_goes_out_is_read_back(code in 100_u16..700, text in "([^\\r]{0,20}\\n){0,4}[^\\r]{0,20}") {
            let reply = Reply::new(code, &text);
            prop_assert_eq!(read([reply.octets().as_slice()]), (vec![reply], None));
        }

        #[test]
        fn chunking_does_not_matter(pieces in prop::collection::vec("(2|20|211|[ a-]|\\r|\\n|\\r\\n){0,6}", 0..20)) {
            let whole = pieces.concat();
            prop_assert_eq!(read(pieces.iter().map(String::as_bytes)), read([whole.as_bytes()]));
        }

        #[test]
        fn no_octets_panic(octets: Vec<u8>) {
            let (replies, _) = read([octets.as_slice()]);
            prop_assert!(replies.iter().all(|reply| (1..=6).contains(&reply.class()) && !reply.lines.is_empty()));
        }
    }

    /// Everything up to the first error.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<ReplyError>) {
        let mut reader = ReplyReader::new();
        let mut replies = Vec::new();
        for piece in pieces {
            reader.push(piece);
            loop {
                match reader.next() {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    Err(error) => return (replies, Some(error)),
                }
            }
        }
        (replies, None)
    }
}
