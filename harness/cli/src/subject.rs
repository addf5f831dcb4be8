//! From the options of the command line to the subject under test. The password comes from the environment or a file,
//! never from the command line, and no message shows what stands before the `@` of a URL.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use clap::Args;
use ftpspec::{Catalogue, Effects, Identity, Remote, Secret, ServerUrl, ServerUrlError, Subject, Trust, system_trust};
use ftpspec_scenario::nearest;

use crate::failure::{Failure, warn};

#[derive(Debug, Args)]
#[command(next_help_heading = "The subject")]
pub struct SubjectOptions {
    /// The server under test: ftp://USER@HOST[:PORT] (explicit TLS), ftps://… (implicit TLS), or peer:NAME[@SUITE] (a
    /// container); without it the embedded reference server
    #[arg(long, value_name = "URL|peer:NAME", conflicts_with = "defect")]
    server: Option<String>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VAR", requires = "server", conflicts_with = "password_file")]
    password_env: Option<String>,
    /// The file whose first line is the password
    #[arg(long, value_name = "FILE", requires = "server")]
    password_file: Option<PathBuf>,
    /// Trust the certificates in this file instead of the system's
    #[arg(long, value_name = "PEM", requires = "server", conflicts_with = "insecure")]
    ca_file: Option<PathBuf>,
    /// The client certificate, with its chain, for servers that ask for one
    #[arg(long, value_name = "PEM", requires_all = ["server", "client_key"])]
    client_cert: Option<PathBuf>,
    /// The client certificate's private key
    #[arg(long, value_name = "PEM", requires_all = ["server", "client_cert"])]
    client_key: Option<PathBuf>,
    /// Accept any certificate, and send the password to whoever shows it
    #[arg(long, requires = "server")]
    insecure: bool,
    /// Connect to this address instead of the one that the URL names
    #[arg(long, value_name = "HOST:PORT", requires = "server")]
    connect_to: Option<String>,
    /// Give the embedded reference server this defect
    #[arg(long, value_name = "NAME")]
    defect: Option<String>,
}

impl SubjectOptions {
    /// The subject, with its files read and its certificates looked at.
    pub fn subject(&self, catalogue: &Catalogue) -> Result<Subject, Failure> {
        let Some(server) = &self.server else {
            return self.reference(catalogue);
        };
        if let Some(peer) = server.strip_prefix("peer:") {
            if let Some(option) = self.only_for_urls() {
                return Err(Failure::WrongUse(format!("{option} is for a URL; a peer of ours brings its own")));
            }
            return container(peer);
        }
        self.remote(server).map(Subject::Remote)
    }

    /// What a run may do to a subject unless somebody says otherwise.
    pub fn allowed_by_default(subject: &Subject) -> Effects {
        if matches!(subject, Subject::Remote(_)) { Effects::Read } else { Effects::Intrusive }
    }

    /// The options with which the same subject is met again, as a shell takes them; each begins with a blank.
    pub fn again(&self) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let valued = [
            ("--server", self.server.clone()),
            ("--password-env", self.password_env.clone()),
            ("--password-file", path(&self.password_file)),
            ("--ca-file", path(&self.ca_file)),
            ("--client-cert", path(&self.client_cert)),
            ("--client-key", path(&self.client_key)),
            ("--connect-to", self.connect_to.clone()),
            ("--defect", self.defect.clone()),
        ];
        let mut text: String = valued.iter().map(|(name, value)| again(name, value.as_deref())).collect();
        if self.insecure {
            text.push_str(" --insecure");
        }
        text
    }

    fn reference(&self, catalogue: &Catalogue) -> Result<Subject, Failure> {
        let Some(name) = &self.defect else { return Ok(Subject::Reference { defect: None }) };
        match catalogue.defect(name) {
            Some(defect) => Ok(Subject::Reference { defect: Some(defect.clone()) }),
            None => {
                let known = catalogue.defects.iter().map(|defect| defect.name.as_str());
                let meant = did_you_mean(name, known);
                Err(Failure::WrongUse(format!("no defect is named `{name}`{meant}")))
            }
        }
    }

    fn only_for_urls(&self) -> Option<&'static str> {
        let given = [
            ("--password-env", self.password_env.is_some()),
            ("--password-file", self.password_file.is_some()),
            ("--ca-file", self.ca_file.is_some()),
            ("--client-cert", self.client_cert.is_some()),
            ("--insecure", self.insecure),
            ("--connect-to", self.connect_to.is_some()),
        ];
        given.iter().find(|(_, given)| *given).map(|(name, _)| *name)
    }

    fn remote(&self, server: &str) -> Result<Remote, Failure> {
        let url: ServerUrl = server.parse().map_err(|error| wrong_url(server, error))?;
        let password = self.password()?;
        match (&url.user, &password) {
            (None, Some(_)) => {
                return Err(Failure::wrong_use("a password without a user: write the URL as ftp://USER@HOST"));
            }
            (Some(_), None) => warn("no password was given (--password-env, --password-file): no scenario logs in"),
            _ => {}
        }
        let trust = match &self.ca_file {
            _ if self.insecure => {
                warn("--insecure: any certificate is accepted, and the password goes to whoever shows it");
                Trust::Anyone
            }
            Some(path) => Trust::Roots(read(path, "--ca-file")?),
            None => system_trust()?,
        };
        let identity = match (&self.client_cert, &self.client_key) {
            (Some(chain), Some(key)) => Some(Identity {
                name: "client-a".to_owned(),
                chain_pem: read(chain, "--client-cert")?,
                key_pem: read(key, "--client-key")?,
            }),
            _ => None,
        };
        let remote = Remote {
            connect_to: self.connect_to.as_deref().map(address).transpose()?,
            host: url.host,
            port: url.port,
            implicit: url.implicit,
            user: url.user,
            password,
            trust,
            identity,
        };
        remote.check().map_err(|error| Failure::WrongUse(format!("a certificate or key cannot be used: {error}")))?;
        Ok(remote)
    }

    fn password(&self) -> Result<Option<Secret>, Failure> {
        let text = match (&self.password_env, &self.password_file) {
            (Some(name), _) => std::env::var(name).map_err(|error| {
                Failure::WrongUse(format!("the password is not in the environment variable {name}: {error}"))
            })?,
            (None, Some(path)) => {
                let octets = read(path, "--password-file")?;
                let text = String::from_utf8(octets)
                    .map_err(|_| Failure::WrongUse(format!("the password in {} is not UTF-8", path.display())))?;
                text.lines().next().unwrap_or_default().to_owned()
            }
            (None, None) => return Ok(None),
        };
        // A command line of its own would come after it.
        if text.is_empty() || text.contains(['\r', '\n', '\0']) {
            return Err(Failure::wrong_use("the password is empty, or has more than one line"));
        }
        Ok(Some(Secret::new(&text)))
    }
}

/// An option with its value as a shell takes them, behind a blank; nothing if there is none.
pub fn again(name: &str, value: Option<&str>) -> String {
    let Some(value) = value else { return String::new() };
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@=,%+".contains(letter);
    if !value.is_empty() && value.chars().all(harmless) {
        return format!(" {name} {value}");
    }
    format!(" {name} '{}'", value.replace('\'', r"'\''"))
}

/// The end of a message about a name that is not there.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |found| format!("; did you mean `{found}`?"))
}

#[cfg(feature = "containers")]
fn container(peer: &str) -> Result<Subject, Failure> {
    let (peer, suite) = crate::peers::name_and_suite(peer)?;
    Ok(Subject::Container { peer, suite })
}

#[cfg(not(feature = "containers"))]
fn container(_: &str) -> Result<Subject, Failure> {
    Err(Failure::wrong_use("this ftpspec was built without containers"))
}

fn wrong_url(server: &str, error: ServerUrlError) -> Failure {
    // What stands before the @ may be a password.
    let place = server.rsplit_once('@').map_or(server, |(_, place)| place);
    Failure::WrongUse(match error {
        ServerUrlError::Password => {
            format!("{error}: never on the command line; give it with --password-env or --password-file")
        }
        ServerUrlError::Scheme if Path::new(server).is_file() || server.ends_with(".yaml") => {
            format!(
                "`{place}` is a file; a server described by a file cannot be started yet: start it, and give its URL"
            )
        }
        _ => format!("`{place}` in --server: {error}, or is peer:NAME"),
    })
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    if !text.contains(':') {
        return Err(Failure::WrongUse(format!("`{text}` in --connect-to is no HOST:PORT")));
    }
    let mut found = text.to_socket_addrs().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Failure::WrongUse(format!("`{text}` in --connect-to: {error}")),
        _ => Failure::Surroundings(format!("the name in --connect-to {text} cannot be resolved: {error}")),
    })?;
    found.next().ok_or_else(|| Failure::Surroundings(format!("the name in --connect-to {text} has no address")))
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::WrongUse(format!("{option} {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(again("--server", Some("ftp://me@[::1]:21")), " --server 'ftp://me@[::1]:21'");
        assert_eq!(again("--ca-file", Some("it's mine.pem")), r" --ca-file 'it'\''s mine.pem'");
        assert_eq!(again("--ca-file", Some("a/b-1.pem")), " --ca-file a/b-1.pem");
        assert_eq!(again("--ca-file", None), "");
    }

    #[test]
    fn no_message_about_a_url_shows_what_may_be_a_password() {
        for url in ["ftp://me:secret@host.test", "http://me:secret@host.test", "ftp://me:sec/secret@ho st"] {
            let Failure::WrongUse(text) = wrong_url(url, url.parse::<ServerUrl>().unwrap_err()) else {
                panic!("{url} is wrong use")
            };
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
