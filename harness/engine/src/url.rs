//! A server's URL as a person writes it: `ftp://user@host:port` for explicit TLS, `ftps://…` for implicit TLS. It never
//! takes a password: what stands on a command line is read by every user of the machine, and kept by its shell.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Where a server is, and who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// TLS from the first octet (`ftps:`), or after AUTH TLS (`ftp:`).
    pub implicit: bool,
    /// Who logs in, if somebody is named.
    pub user: Option<String>,
    /// A name or an address; an IPv6 address stands without its brackets.
    pub host: String,
    /// The port; where none is written 21, or 990 with implicit TLS (RFC 4217 §1 leaves it to practice).
    pub port: u16,
}

/// Why a text is no URL of a server. No error shows what stands before an `@`: it may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// It begins with neither scheme.
    #[error("a server's URL begins with ftp:// (explicit TLS) or ftps:// (implicit TLS)")]
    Scheme,
    /// A password stands before the `@`.
    #[error("a password stands in the URL")]
    Password,
    /// The user's name is no text behind its `%`.
    #[error("the user's name is empty, or its %XX are no UTF-8")]
    User,
    /// There is no host, or it has letters that no host has.
    #[error("the URL names no host; an IPv6 address stands in brackets, as in ftp://[::1]:2121")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("the port is no number from 1 to 65535")]
    Port,
    /// Something stands behind the host.
    #[error("the URL has a path; it may end in the host or the port")]
    Path,
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ServerUrlError::Scheme)?;
        let implicit = match scheme.to_ascii_lowercase().as_str() {
            "ftp" => false,
            "ftps" => true,
            _ => return Err(ServerUrlError::Scheme),
        };
        // The last one: whoever did not write the @ of their password as %40 meant the password all the same.
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(ServerUrlError::Password),
            Some((user, place)) => (Some(decoded(user).ok_or(ServerUrlError::User)?), place),
            None => (None, rest),
        };
        let (place, path) = place.split_at(place.find(['/', '?', '#']).unwrap_or(place.len()));
        if !matches!(path, "" | "/") {
            return Err(ServerUrlError::Path);
        }
        let (host, port) = host_and_port(place)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(ServerUrlError::Port)?,
            None if implicit => IMPLICIT_PORT,
            None => EXPLICIT_PORT,
        };
        Ok(Self { implicit, user, host, port })
    }
}

/// `HOST:PORT`, as reports show it.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_port(&self.host, self.port))
    }
}

/// A host and a port, with the brackets that an IPv6 address needs.
pub(crate) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn host_and_port(place: &str) -> Result<(String, Option<&str>), ServerUrlError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(ServerUrlError::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| ServerUrlError::Host)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err(ServerUrlError::Host),
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
    // An IPv6 address without its brackets: where it ends and the port begins nobody can tell.
    let is_address = port.is_some_and(|port| port.contains(':'));
    let is_name = host.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_'));
    if host.is_empty() || is_address || !is_name {
        return Err(ServerUrlError::Host);
    }
    Ok((host.to_owned(), port))
}

/// `%40` is `@`.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            octets.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        octets.extend(hex::decode(digits).ok()?);
        rest = after;
    }
    String::from_utf8(octets).ok().filter(|text| !text.is_empty())
}

/// RFC 959 §8.
const EXPLICIT_PORT: u16 = 21;

/// `ftps`, as IANA lists it.
const IMPLICIT_PORT: u16 = 990;

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ftp://host.test", false, None, "host.test:21")]
    #[case("ftps://host.test/", true, None, "host.test:990")]
    #[case("FTP://me@host.test:2121", false, Some("me"), "host.test:2121")]
    #[case("ftp://me%40corp.test@127.0.0.1", false, Some("me@corp.test"), "127.0.0.1:21")]
    #[case("ftps://me@[::1]:2990", true, Some("me"), "[::1]:2990")]
    #[case("ftp://[0:0::1]", false, None, "[::1]:21")]
    fn a_url_tells_kind_of_tls_user_and_place(
        #[case] text: &str,
        #[case] implicit: bool,
        #[case] user: Option<&str>,
        #[case] place: &str,
    ) {
        let url: ServerUrl = text.parse().unwrap();
        assert_eq!((url.implicit, url.user.as_deref(), url.to_string().as_str()), (implicit, user, place));
    }

    #[rstest]
    #[case("host.test:21", ServerUrlError::Scheme)]
    #[case("sftp://host.test", ServerUrlError::Scheme)]
    #[case("ftp://me:secret@host.test", ServerUrlError::Password)]
    #[case("ftp://me:sec@ret@host.test", ServerUrlError::Password)]
    #[case("ftp://me:@host.test", ServerUrlError::Password)]
    #[case("ftp://@host.test", ServerUrlError::User)]
    #[case("ftp://%zz@host.test", ServerUrlError::User)]
    #[case("ftp://%4@host.test", ServerUrlError::User)]
    #[case("ftp://", ServerUrlError::Host)]
    #[case("ftp://ho st", ServerUrlError::Host)]
    #[case("ftp://::1", ServerUrlError::Host)]
    #[case("ftp://[::1", ServerUrlError::Host)]
    #[case("ftp://[::1]21", ServerUrlError::Host)]
    #[case("ftp://host.test:", ServerUrlError::Port)]
    #[case("ftp://host.test:0", ServerUrlError::Port)]
    #[case("ftp://host.test:65536", ServerUrlError::Port)]
    #[case("ftp://host.test/pub", ServerUrlError::Path)]
    fn what_is_no_url_is_told_by_what_is_wrong(#[case] text: &str, #[case] error: ServerUrlError) {
        assert_eq!(text.parse::<ServerUrl>(), Err(error));
        assert!(!error.to_string().contains("secret"));
    }
}
