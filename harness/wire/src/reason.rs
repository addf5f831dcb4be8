//! Why the system did not do what was asked of it, told to a person: in words, without its numbers.

use std::io::{Error, ErrorKind};

/// The reason as a fragment that fits behind a colon or into brackets.
pub fn reason(error: &Error) -> String {
    if error.get_ref().is_some() {
        let text = error.to_string();
        return text.strip_prefix(LOOK_UP).map_or_else(|| text.clone(), lower);
    }
    match error.kind() {
        ErrorKind::NotFound => "no such file or folder".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::NotADirectory => "a file stands where a folder is due".to_owned(),
        ErrorKind::AlreadyExists => "something of that name is there already".to_owned(),
        _ => {
            let text = error.to_string();
            lower(text.rfind(NUMBER).map_or(&*text, |at| &text[..at]))
        }
    }
}

/// The system begins its sentences with a capital letter.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// What the standard library writes before the system's words about a name.
const LOOK_UP: &str = "failed to lookup address information: ";

/// What it writes behind them about anything else.
const NUMBER: &str = " (os error ";

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};

    #[test]
    fn what_the_system_says_is_told_without_its_number() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(reason(&TcpStream::connect(nobody).unwrap_err()), "connection refused");
        assert_eq!(reason(&std::fs::read("/dev/null/x").unwrap_err()), "a file stands where a folder is due");
        assert_eq!(reason(&std::fs::read("/dev/null.none").unwrap_err()), "no such file or folder");
        assert_eq!(reason(&std::fs::read("/dev").unwrap_err()), "it is a folder");
        assert_eq!(reason(&std::fs::create_dir("/dev").unwrap_err()), "something of that name is there already");
        // Errors that have no kind of their own.
        assert_eq!(reason(&Error::from_raw_os_error(5)), "input/output error");
        assert!(!reason(&Error::from_raw_os_error(121)).contains("os error"));
    }

    #[test]
    fn a_name_that_nobody_has_is_told_in_the_resolvers_words() {
        let told = reason(&("ftpspec.invalid", 21).to_socket_addrs().unwrap_err());
        assert!(!told.contains("lookup") && !told.is_empty() && !told.contains("os error"), "{told}");
    }

    #[test]
    fn words_of_our_own_stay_as_they_are() {
        assert_eq!(reason(&Error::other("No line, only \"x\"")), "No line, only \"x\"");
    }
}
