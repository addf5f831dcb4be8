//! Reply codes: patterns over them, and the table of those that the RFCs list for each command. The table says what is
//! written, and never whether a reply is acceptable: RFC 2228 §3 lets a server substitute within the first digit.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A set of reply codes as a scenario writes it: `226`, or `2yz` for all that begin with 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePattern {
    /// This code and no other.
    Exact(u16),
    /// All codes with this first digit.
    Class(u8),
}

impl CodePattern {
    /// Whether the code is in the set.
    pub fn matches(self, code: u16) -> bool {
        match self {
            Self::Exact(exact) => code == exact,
            Self::Class(digit) => code / 100 == u16::from(digit),
        }
    }
}

impl FromStr for CodePattern {
    type Err = CodePatternError;

    /// Reads `226` or `2yz`, the RFCs' way to write a class; the first digit is 1 to 6.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match *text.as_bytes() {
            [class @ b'1'..=b'6', b'y', b'z'] => Ok(Self::Class(class - b'0')),
            [class @ b'1'..=b'6', group @ b'0'..=b'9', unit @ b'0'..=b'9'] => {
                let [class, group, unit] = [class, group, unit].map(|digit| u16::from(digit - b'0'));
                Ok(Self::Exact(100 * class + 10 * group + unit))
            }
            _ => Err(CodePatternError),
        }
    }
}

impl fmt::Display for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(code) => write!(f, "{code:03}"),
            Self::Class(digit) => write!(f, "{digit}yz"),
        }
    }
}

/// A text is neither a reply code nor a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("neither a reply code such as 226 nor a class such as 2yz")]
pub struct CodePatternError;

/// The replies that the RFCs list for a command, in ascending order; empty for a verb that they do not know. Upper or
/// lower case does not matter.
///
/// Sources: RFC 959 §5.4, RFC 1123 §4.1.3.1 (the X forms), 2228 §8.2, 2389 §3.2 and §4, 2428 §2 and §3, 2640 §4.2,
/// 3659 §3 to §7, 4217 §5 and §10.2, 7151 §3.2 and §3.3. 421 stands everywhere, for it "may be a reply to any command"
/// (RFC 959 §4.2). Protected replies (6yz) may answer any command after a security data exchange, and stand nowhere.
pub fn listed_codes(verb: &str) -> &'static [u16] {
    LISTED
        .iter()
        .find(|(verbs, _)| verbs.iter().any(|listed| listed.eq_ignore_ascii_case(verb)))
        .map_or(&[], |(_, codes)| codes)
}

/// Verbs that share a list, and the list.
type Row = (&'static [&'static str], &'static [u16]);

#[rustfmt::skip]
const LISTED: &[Row] = &[
    // Access control. RFC 2228 §8.2 adds 232 and 336 to USER.
    (&["USER"],         &[230, 232, 331, 332, 336, 421, 500, 501, 530]),
    (&["PASS", "ACCT"], &[202, 230, 332, 421, 500, 501, 503, 530]),
    (&["CWD", "XCWD"],  &[250, 421, 500, 501, 502, 530, 550]),
    // 250 for CDUP: RFC 959 §4.1.1 gives it the codes of CWD, §5.4 gives it 200.
    (&["CDUP", "XCUP"], &[200, 250, 421, 500, 501, 502, 530, 550]),
    (&["SMNT"],         &[202, 250, 421, 500, 501, 502, 530, 550]),
    (&["REIN"],         &[120, 220, 421, 500, 502]),
    (&["QUIT"],         &[221, 421, 500]),
    (&["HOST"],         &[220, 421, 500, 501, 502, 503, 504]),

    // Security: RFC 2228 §8.2 with its last paragraph (500, 501, 502, 533 and 421 for each of them).
    (&["AUTH"],         &[234, 334, 421, 431, 500, 501, 502, 504, 533, 534]),
    (&["ADAT"],         &[235, 335, 421, 500, 501, 502, 503, 533, 535]),
    (&["PBSZ"],         &[200, 421, 500, 501, 502, 503, 530, 533]),
    (&["PROT"],         &[200, 421, 431, 500, 501, 502, 503, 504, 530, 533, 534, 536]),
    (&["MIC", "CONF", "ENC"], &[421, 500, 501, 502, 533, 535]),
    // CCC has no row in §8.2; these stand in RFC 2228 §3 and RFC 4217 §5.
    (&["CCC"],          &[200, 421, 500, 501, 502, 533, 534]),

    // Transfer parameters.
    (&["PORT"],         &[200, 421, 500, 501, 530]),
    (&["PASV"],         &[227, 421, 500, 501, 502, 530]),
    (&["EPRT"],         &[200, 421, 500, 501, 522]),
    // 200 is for EPSV ALL, to which RFC 2428 §3 gives no code of its own.
    (&["EPSV"],         &[200, 229, 421, 500, 501, 522]),
    (&["MODE", "TYPE", "STRU"], &[200, 421, 500, 501, 504, 530]),
    (&["ALLO"],         &[200, 202, 421, 500, 501, 504, 530]),
    (&["REST"],         &[350, 421, 500, 501, 502, 530]),

    // Transfers: 521 and 522 from RFC 4217 §10.2, 534 and 535 from RFC 2228 §8.2.
    (&["STOR", "STOU"], &[110, 125, 150, 226, 250, 421, 425, 426, 450, 451, 452,
                          500, 501, 521, 522, 530, 532, 534, 535, 551, 552, 553]),
    (&["APPE"],         &[110, 125, 150, 226, 250, 421, 425, 426, 450, 451, 452,
                          500, 501, 502, 521, 522, 530, 532, 534, 535, 550, 551, 552, 553]),
    (&["RETR"],         &[110, 125, 150, 226, 250, 421, 425, 426, 450, 451,
                          500, 501, 521, 522, 530, 534, 535, 550]),
    (&["LIST", "NLST"], &[125, 150, 226, 250, 421, 425, 426, 450, 451,
                          500, 501, 502, 521, 522, 530, 534, 535]),
    // RFC 3659 §7.2.1; 502, and what protection adds to a data connection's commands, as for LIST.
    (&["MLSD"],         &[150, 226, 421, 425, 426, 450, 451, 452,
                          500, 501, 502, 503, 504, 521, 522, 530, 534, 535, 550, 553]),
    (&["MLST"],         &[250, 421, 450, 451, 452, 500, 501, 502, 503, 504, 530, 550, 553]),
    (&["ABOR"],         &[225, 226, 421, 500, 501, 502]),

    // Files and directories.
    (&["RNFR"],         &[350, 421, 450, 500, 501, 502, 530, 550]),
    (&["RNTO"],         &[250, 421, 500, 501, 502, 503, 530, 532, 553]),
    (&["DELE"],         &[250, 421, 450, 500, 501, 502, 530, 550]),
    (&["RMD", "XRMD"],  &[250, 421, 500, 501, 502, 530, 550]),
    (&["MKD", "XMKD"],  &[257, 421, 500, 501, 502, 530, 550]),
    (&["PWD", "XPWD"],  &[257, 421, 500, 501, 502, 550]),
    (&["SIZE", "MDTM"], &[213, 421, 500, 501, 550]),

    // Information and the rest.
    (&["SYST"],         &[215, 421, 500, 501, 502]),
    (&["STAT"],         &[211, 212, 213, 421, 450, 500, 501, 502, 530]),
    (&["HELP"],         &[211, 214, 421, 500, 501, 502]),
    (&["FEAT"],         &[211, 421, 500, 501, 502]),
    (&["OPTS"],         &[200, 421, 451, 500, 501, 502]),
    (&["LANG"],         &[200, 421, 500, 501, 502, 504]),
    (&["SITE"],         &[200, 202, 421, 500, 501, 530]),
    (&["NOOP"],         &[200, 421, 500]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::{CodePattern, CodePatternError, LISTED, listed_codes};

    #[rstest]
    #[case("226", CodePattern::Exact(226), 226, 250)]
    #[case("2yz", CodePattern::Class(2), 250, 150)]
    #[case("6yz", CodePattern::Class(6), 631, 531)]
    fn a_pattern_matches_its_codes(
        #[case] text: &str,
        #[case] pattern: CodePattern,
        #[case] inside: u16,
        #[case] outside: u16,
    ) {
        assert_eq!(text.parse(), Ok(pattern));
        assert!(pattern.matches(inside));
        assert!(!pattern.matches(outside));
    }

    #[rstest]
    fn other_texts_are_no_pattern(
        #[values("", "2", "22", "2260", "2YZ", "2xx", "yyz", "026", "726", "0yz", "7yz", "2y0", "22z", "+26", "²26")]
        text: &str,
    ) {
        assert_eq!(text.parse::<CodePattern>(), Err(CodePatternError));
    }

    #[test]
    fn each_list_is_in_order_and_each_verb_has_one() {
        let mut verbs = HashSet::new();
        for (names, codes) in LISTED {
            assert!(names.iter().all(|verb| verbs.insert(*verb)), "{names:?} twice");
            assert!(codes.is_sorted_by(|a, b| a < b), "{names:?}: {codes:?}");
            assert!(codes.iter().all(|code| (100..600).contains(code)), "{names:?}: {codes:?}");
            assert!(codes.contains(&421), "{names:?}");
        }
    }

    #[rstest]
    #[case("AUTH", 234, true)]
    #[case("auth", 431, true)]
    #[case("AUTH", 503, false)]
    #[case("AUTH", 530, false)]
    #[case("PROT", 536, true)]
    #[case("CCC", 533, true)]
    #[case("RETR", 125, true)]
    #[case("RETR", 522, true)]
    #[case("RETR", 553, false)]
    #[case("PASV", 425, false)]
    #[case("EPSV", 522, true)]
    #[case("FEAT", 211, true)]
    #[case("MLST", 250, true)]
    #[case("MLSD", 125, false)]
    #[case("OPTS", 451, true)]
    fn the_table_follows_the_rfcs(#[case] verb: &str, #[case] code: u16, #[case] listed: bool) {
        assert_eq!(listed_codes(verb).contains(&code), listed);
    }

    #[test]
    fn an_unknown_verb_has_no_codes() {
        assert_eq!(listed_codes("XYZZY"), &[] as &[u16]);
        assert_eq!(listed_codes(""), &[] as &[u16]);
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(code in 100_u16..700, class in 1_u8..=6) {
            for pattern in [CodePattern::Exact(code), CodePattern::Class(class)] {
                prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<CodePattern>();
        }
    }
}
