//! One command line of RFC 959 §5.3, taken apart into verb and argument. It never judges: any line becomes a command,
//! however odd, and keeps its octets.

use crate::escape::escaped;

/// A command as it stood on the control connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What stands before the first space, in upper case (RFC 959 §5.3: verbs are case-insensitive) and
    /// [`escaped`]; empty if there is nothing.
    pub verb: String,
    /// What stands behind the first space, octet for octet; `None` without a space.
    pub argument: Option<Vec<u8>>,
    /// The whole line without its end, Telnet sequences included.
    pub line: Vec<u8>,
}

impl Command {
    /// Takes a line apart. An end of line (CR LF, or a lone LF) may still be there. Telnet sequences before the verb
    /// are passed over: RFC 959 §4.1.3 has IP and Synch precede an ABOR, and a server must be able to accept (and
    /// refuse) Telnet options (RFC 1123 §4.1.2.12).
    pub fn parse(line: &[u8]) -> Self {
        let line = match line.strip_suffix(b"\n") {
            Some(ended) => ended.strip_suffix(b"\r").unwrap_or(ended),
            None => line,
        };
        let spoken = behind_telnet(line);
        let (verb, argument) = match spoken.iter().position(|octet| *octet == b' ') {
            Some(space) => (&spoken[..space], Some(spoken[space + 1..].to_vec())),
            None => (spoken, None),
        };
        Self { verb: escaped(&verb.to_ascii_uppercase()), argument, line: line.to_vec() }
    }

    /// The argument for a person, [`escaped`]; empty without one.
    pub fn argument_text(&self) -> String {
        escaped(self.argument.as_deref().unwrap_or_default())
    }

    /// The line as it goes out, CR LF included.
    pub fn octets(&self) -> Vec<u8> {
        [self.line.as_slice(), b"\r\n"].concat()
    }
}

/// What stands behind the Telnet sequences at the front of a line.
fn behind_telnet(line: &[u8]) -> &[u8] {
    let mut rest = line;
    loop {
        rest = match rest {
            [IAC, SUBNEGOTIATION, behind @ ..] => {
                let end = behind.windows(2).position(|pair| pair == [IAC, SUBNEGOTIATION_END]);
                end.map_or(&[], |at| &behind[at + 2..])
            }
            [IAC, WILL..=DONT, _option, behind @ ..] => behind,
            [IAC, SUBNEGOTIATION_END..SUBNEGOTIATION, behind @ ..] => behind,
            // The IAC of Synch travels as urgent data, which many a stack takes out of the stream; its DM stays behind.
            [DATA_MARK, behind @ ..] if rest.len() < line.len() => behind,
            _ => return rest,
        };
    }
}

// RFC 854: the Telnet commands.
const IAC: u8 = 255;
const DONT: u8 = 254;
const WILL: u8 = 251;
const SUBNEGOTIATION: u8 = 250;
const DATA_MARK: u8 = 242;
const SUBNEGOTIATION_END: u8 = 240;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::Command;
    use crate::line::LineReader;

    #[rstest]
    #[case::plain(b"NOOP", "NOOP", None)]
    #[case::lower_case(b"user anna", "USER", Some("anna"))]
    #[case::argument_keeps_its_spaces(b"STOR  a b ", "STOR", Some(" a b "))]
    #[case::empty_argument(b"PASS ", "PASS", Some(""))]
    #[case::nothing(b"", "", None)]
    #[case::only_a_space(b" ", "", Some(""))]
    #[case::odd_verb(b"\x16\x03\x01 x", "\\x16\\x03\\x01", Some("x"))]
    #[case::quoted_argument(b"SITE \"x\"", "SITE", Some("\\\"x\\\""))]
    #[case::end_of_line(b"QUIT\r\n", "QUIT", None)]
    #[case::interrupt_and_synch(b"\xff\xf4\xff\xf2ABOR", "ABOR", None)]
    #[case::urgent_octet_taken_out(b"\xff\xf4\xf2ABOR", "ABOR", None)]
    #[case::option(b"\xff\xfd\x06NOOP", "NOOP", None)]
    #[case::subnegotiation(b"\xff\xfa\x18\x00x\xff\xf0NOOP", "NOOP", None)]
    #[case::doubled_iac_is_data(b"\xff\xffNOOP", "\\xff\\xffNOOP", None)]
    #[case::data_mark_alone_is_data(b"\xf2ABOR", "\\xf2ABOR", None)]
    fn a_line_is_taken_apart(#[case] line: &[u8], #[case] verb: &str, #[case] argument: Option<&str>) {
        let command = Command::parse(line);
        assert_eq!(command.verb, verb);
        assert_eq!(command.argument.is_some(), argument.is_some());
        assert_eq!(command.argument_text(), argument.unwrap_or_default());
    }

    #[test]
    fn the_line_keeps_its_telnet_sequences() {
        assert_eq!(Command::parse(b"\xff\xf4ABOR\r\n").line, b"\xff\xf4ABOR");
    }

    proptest! {
        #[test]
        fn any_line_becomes_a_command(line: Vec<u8>) {
            let command = Command::parse(&line);
            prop_assert!(line.starts_with(&command.line));
        }

        #[test]
        fn what_goes_out_is_read_back(line in "[A-Za-z]{3,4}( [ -~]{0,40})?") {
            let command = Command::parse(line.as_bytes());
            let mut reader = LineReader::new();
            reader.push(&command.octets());
            let read = reader.next().expect("short").expect("whole");
            prop_assert_eq!(Command::parse(&read.octets), command);
        }
    }
}
