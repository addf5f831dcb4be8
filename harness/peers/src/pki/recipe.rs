//! Reads the recipe: one line for each certificate, columns apart by blanks, `#` to the end of the line. It knows
//! nothing of keys and folders.

use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

use super::PkiError;

/// One line of the recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The name of a line above; none: the certificate signs itself.
    pub(super) issuer: Option<String>,
    pub(super) purpose: Purpose,
    /// From and until, in days after the moment of making.
    pub(super) days: Range<i32>,
    pub(super) names: Vec<SubjectName>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Ca,
    Server,
    Client,
}

/// A name that a client may have asked for (RFC 9525 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SubjectName {
    Dns(String),
    Ip(IpAddr),
}

pub(super) fn parse(text: &str) -> Result<Vec<Entry>, PkiError> {
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let columns: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if columns.is_empty() {
            continue;
        }
        let entry = entry(&columns, &entries).map_err(|what| PkiError::Recipe { line: index + 1, what })?;
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(columns: &[&str], above: &[Entry]) -> Result<Entry, String> {
    let &[name, issuer, purpose, days, names] = columns else {
        return Err("five columns: name, issuer, use, days, names".to_owned());
    };
    // It becomes the name of a file.
    if !name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-') {
        return Err(format!("a name of small letters and hyphens, not {name}"));
    }
    if above.iter().any(|other| other.name == name) {
        return Err(format!("{name} stands there twice"));
    }
    let issuer = some(issuer);
    if let Some(issuer) = issuer
        && !above.iter().any(|other| other.name == issuer && other.purpose == Purpose::Ca)
    {
        return Err(format!("the issuer {issuer} as a ca in a line above"));
    }
    Ok(Entry {
        name: name.to_owned(),
        issuer: issuer.map(str::to_owned),
        purpose: purpose.parse()?,
        days: self::days(days).ok_or_else(|| format!("days as FROM..UNTIL, not {days}"))?,
        names: some(names).map_or_else(Vec::new, |names| names.split(',').map(SubjectName::from).collect()),
    })
}

fn some(column: &str) -> Option<&str> {
    (column != "-").then_some(column)
}

fn days(column: &str) -> Option<Range<i32>> {
    let (from, until) = column.split_once("..")?;
    let days = from.parse().ok()?..until.parse().ok()?;
    (!days.is_empty()).then_some(days)
}

impl FromStr for Purpose {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "ca" => Ok(Self::Ca),
            "server" => Ok(Self::Server),
            "client" => Ok(Self::Client),
            _ => Err(format!("ca, server or client, not {word}")),
        }
    }
}

impl From<&str> for SubjectName {
    fn from(name: &str) -> Self {
        name.parse().map_or_else(|_| Self::Dns(name.to_owned()), Self::Ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_line_is_read_column_by_column() {
        let entries = parse("# head\nroot - ca -1..9 -\n\nleaf root server 0..3 a.test,::1 # why\n").unwrap();
        let leaf = Entry {
            name: "leaf".to_owned(),
            issuer: Some("root".to_owned()),
            purpose: Purpose::Server,
            days: 0..3,
            names: vec![SubjectName::Dns("a.test".to_owned()), SubjectName::Ip("::1".parse().unwrap())],
        };
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1], leaf);
    }

    #[rstest]
    #[case("root - ca -1..9", "certs/recipe, line 1: five columns: name, issuer, use, days, names")]
    #[case("../x - ca -1..9 -", "certs/recipe, line 1: a name of small letters and hyphens, not ../x")]
    #[case("a - ca 0..1 -\na - ca 0..1 -", "certs/recipe, line 2: a stands there twice")]
    #[case("a b server 0..1 -", "certs/recipe, line 1: the issuer b as a ca in a line above")]
    #[case("a - host 0..1 -", "certs/recipe, line 1: ca, server or client, not host")]
    #[case("a - ca 5..1 -", "certs/recipe, line 1: days as FROM..UNTIL, not 5..1")]
    fn a_wrong_line_is_told_by_its_number(#[case] text: &str, #[case] told: &str) {
        assert_eq!(parse(text).unwrap_err().to_string(), told);
    }
}
