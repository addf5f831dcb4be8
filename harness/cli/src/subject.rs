//! From the options of the command line to the subject under test. The password comes from the environment or a file,
//! never from the command line, and no message shows what stands before the `@` of a URL.

use std::env::VarError;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ftpspec::{
    Catalogue, Effects, Family, Identity, Remote, Role, Secret, ServerUrl, ServerUrlError, Subject, Surroundings,
    Trust, system_trust,
};
use ftpspec_scenario::{ServerDescription, nearest, unreadable};
use ftpspec_wire::reason;

use crate::described::{Described, Running};
use crate::failure::{Failure, warn};
use crate::target::FromFile;

#[derive(Debug, Args)]
#[command(next_help_heading = "The subject")]
pub struct SubjectOptions {
    /// The server under test: ftp://USER@HOST[:PORT] (explicit TLS), ftps://… (implicit TLS), peer:NAME[@SUITE] (a
    /// container), or a FILE that describes a server and how to start it (`ftpspec schema server`); without it the
    /// embedded reference server
    #[arg(long, value_name = "URL|peer:NAME|FILE", group = "endpoint", conflicts_with_all = ["target", "defect"])]
    server: Option<String>,
    /// The file that describes an endpoint: address, login, certificates, fixtures, what is allowed, pace, baseline
    /// (`ftpspec schema target`)
    #[arg(long, value_name = "FILE", group = "endpoint", conflicts_with = "defect")]
    target: Option<PathBuf>,
    /// The client under test: peer:NAME as it is installed here (curl, lftp, openssl, python-ftplib; reference is
    /// embedded), peer:NAME@SUITE in a container of that Debian suite, or a FILE that describes a client and its command
    /// lines (`ftpspec schema client`)
    #[arg(long, value_name = "peer:NAME[@SUITE]|FILE", conflicts_with_all = ["server", "target", "defect"])]
    client: Option<String>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VAR", requires = "server", conflicts_with_all = ["password_file", "target"])]
    password_env: Option<String>,
    /// The file whose first line is the password
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with = "target")]
    password_file: Option<PathBuf>,
    /// Trust the certificates in this file instead of the system's
    #[arg(long, value_name = "PEM", requires = "server", conflicts_with_all = ["insecure", "target"])]
    ca_file: Option<PathBuf>,
    /// The client certificate, with its chain, for servers that ask for one
    #[arg(long, value_name = "PEM", requires_all = ["server", "client_key"], conflicts_with = "target")]
    client_cert: Option<PathBuf>,
    /// The client certificate's private key
    #[arg(long, value_name = "PEM", requires_all = ["server", "client_cert"], conflicts_with = "target")]
    client_key: Option<PathBuf>,
    /// Accept any certificate, and send the password to whoever shows it
    #[arg(long, requires = "endpoint")]
    insecure: bool,
    /// Connect to this address instead of the one that the URL names
    #[arg(long, value_name = "HOST:PORT", requires = "endpoint")]
    connect_to: Option<String>,
    /// Use IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 only; servers that are started for the run listen on ::1
    #[arg(short = '6')]
    ipv6: bool,
    /// Give the embedded reference server, or the reference client, this defect
    #[arg(long, value_name = "NAME")]
    defect: Option<String>,
}

/// The subject that the options name, and what a run does with it unless the command line says otherwise.
pub struct Chosen {
    pub subject: Subject,
    pub allow: Effects,
    /// How many variants are played at once.
    pub jobs: usize,
    /// The file of its known deviations.
    pub baseline: Option<PathBuf>,
}

/// How many variants a peer of ours is given at once at least.
const AT_ONCE: usize = 8;

impl Chosen {
    /// A peer of ours may be treated as roughly as scenarios like.
    fn of_ours(subject: Subject) -> Self {
        Self { subject, allow: Effects::Intrusive, jobs: jobs_of_ours(), baseline: None }
    }
}

/// How many variants a peer of ours is given at once, if nothing is said: most of a variant's time is waiting.
pub fn jobs_of_ours() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).max(AT_ONCE)
}

impl SubjectOptions {
    /// The subject, with its files read and its certificates looked at.
    pub fn choose(&self, catalogue: &Catalogue) -> Result<Chosen, Failure> {
        if let Some(path) = &self.target {
            return self.described_in(path);
        }
        if let Some(client) = &self.client {
            return crate::client::subject(client).map(Chosen::of_ours);
        }
        let Some(server) = &self.server else {
            return self.reference(catalogue).map(Chosen::of_ours);
        };
        if let Some(peer) = server.strip_prefix("peer:") {
            if let Some(option) = self.only_for_urls().next() {
                return Err(Failure::WrongUse(format!("{option} is for a URL; a peer of ours brings its own")));
            }
            return container(peer, self.own_family()).map(Chosen::of_ours);
        }
        let remote = if server.contains("://") {
            self.remote(server)?
        } else {
            match Described::read(server)? {
                Described::Started(description) => return self.started(description).map(Chosen::of_ours),
                Described::Running(running) => self.running(*running)?,
            }
        };
        let subject = Subject::Remote(remote);
        // Somebody else's server may count connections, and was not made to be written to.
        Ok(Chosen { subject, allow: Effects::Read, jobs: 1, baseline: None })
    }

    /// The role of the subject that the options name; none, if they name none: then each role meets its own reference.
    pub fn role(&self, catalogue: &Catalogue) -> Result<Option<Role>, Failure> {
        if self.client.is_some() {
            return Ok(Some(Role::Client));
        }
        if self.server.is_some() || self.target.is_some() {
            return Ok(Some(Role::Server));
        }
        Ok(match self.reference(catalogue)? {
            Subject::Reference { defect } => defect.map(|defect| defect.role),
            _ => None,
        })
    }

    /// The family of addresses that the options keep to.
    pub fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }

    /// The family in which peers of ours listen.
    fn own_family(&self) -> Family {
        self.family().unwrap_or(Family::V4)
    }

    /// The options with which the same subject is met again, as a shell takes them; each begins with a blank.
    pub fn again(&self) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let valued = [
            ("--client", self.client.clone()),
            ("--server", self.server.clone()),
            ("--target", path(&self.target)),
            ("--password-env", self.password_env.clone()),
            ("--password-file", path(&self.password_file)),
            ("--ca-file", path(&self.ca_file)),
            ("--client-cert", path(&self.client_cert)),
            ("--client-key", path(&self.client_key)),
            ("--connect-to", self.connect_to.clone()),
            ("--defect", self.defect.clone()),
        ];
        let mut text: String = valued.iter().map(|(name, value)| again(name, value.as_deref())).collect();
        for (given, option) in [(self.insecure, " --insecure"), (self.ipv4, " -4"), (self.ipv6, " -6")] {
            if given {
                text.push_str(option);
            }
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

    fn only_for_urls(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("--password-env", self.password_env.is_some()),
            ("--password-file", self.password_file.is_some()),
            ("--ca-file", self.ca_file.is_some()),
            ("--client-cert", self.client_cert.is_some()),
            ("--insecure", self.insecure),
            ("--connect-to", self.connect_to.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name)
    }

    fn described_in(&self, path: &Path) -> Result<Chosen, Failure> {
        self.warn_of_insecure();
        let FromFile { url, credentials, surroundings, allow, baseline } = FromFile::read(path, self.insecure)?;
        let jobs = surroundings.pace.connections.unwrap_or(1);
        let subject = self.endpoint(url, credentials, surroundings).map(Subject::Remote)?;
        Ok(Chosen { subject, allow, jobs, baseline })
    }

    /// A server that a file describes, and that we start: it lets us in, and shows our certificate unless we are told
    /// whose else.
    fn started(&self, description: Arc<ServerDescription>) -> Result<Subject, Failure> {
        let foreign = |option: &&str| !matches!(*option, "--ca-file" | "--insecure");
        if let Some(option) = self.only_for_urls().find(foreign) {
            return Err(Failure::WrongUse(format!("{option} is for a server that runs already; this one is started")));
        }
        self.warn_of_insecure();
        Ok(Subject::Described { description, trust: self.trust()?, family: self.own_family() })
    }

    /// A server that a file describes, and that runs already.
    fn running(&self, running: Running) -> Result<Remote, Failure> {
        let Running { url, password, surroundings } = running;
        self.met(url, self.password()?.or(password), surroundings)
    }

    fn remote(&self, server: &str) -> Result<Remote, Failure> {
        let url: ServerUrl = server.parse().map_err(|error| wrong_url(server, error))?;
        self.met(url, self.password()?, Surroundings::default())
    }

    /// The certificates that the options say to accept.
    fn trust(&self) -> Result<Option<Trust>, Failure> {
        Ok(match &self.ca_file {
            _ if self.insecure => Some(Trust::Anyone),
            Some(path) => Some(Trust::Roots(read(path, "--ca-file")?)),
            None => None,
        })
    }

    fn met(&self, url: ServerUrl, password: Option<Secret>, known: Surroundings) -> Result<Remote, Failure> {
        self.warn_of_insecure();
        let trust = match self.trust()? {
            Some(trust) => trust,
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
        self.endpoint(url, Credentials { password, trust, identity }, known)
    }

    /// An endpoint that runs somewhere, with the options that hold however it was named.
    fn endpoint(&self, url: ServerUrl, credentials: Credentials, known: Surroundings) -> Result<Remote, Failure> {
        let Credentials { password, trust, identity } = credentials;
        match (&url.user, &password) {
            (None, Some(_)) => {
                return Err(Failure::wrong_use("a password without a user: write the URL as ftp://USER@HOST"));
            }
            (Some(_), None) => warn(&format!("no password was given ({}): no scenario logs in", self.password_place())),
            _ => {}
        }
        let remote = Remote {
            surroundings: Box::new(Surroundings { family: self.family(), ..known }),
            connect_to: self.connect_to.as_deref().map(|text| address(text, self.family())).transpose()?,
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

    fn warn_of_insecure(&self) {
        if self.insecure {
            warn("--insecure: any certificate is accepted, and the password goes to whoever shows it");
        }
    }

    fn password_place(&self) -> &'static str {
        if self.target.is_some() { "`password:` in the target" } else { "--password-env, --password-file" }
    }

    fn password(&self) -> Result<Option<Secret>, Failure> {
        match (&self.password_env, &self.password_file) {
            (Some(name), _) => password_in_variable(name).map(Some),
            (None, Some(path)) => password_in_file(path, "--password-file").map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// What proves who we are, and who they are.
pub struct Credentials {
    pub password: Option<Secret>,
    pub trust: Trust,
    pub identity: Option<Identity>,
}

/// The password in an environment variable.
pub fn password_in_variable(name: &str) -> Result<Secret, Failure> {
    let text = std::env::var(name).map_err(|error| {
        Failure::WrongUse(match error {
            VarError::NotPresent => {
                format!("there is no environment variable {name} to take the password from: set it, and export it")
            }
            VarError::NotUnicode(_) => format!("the password in the environment variable {name} is not UTF-8"),
        })
    })?;
    secret(&text)
}

/// The password in the first line of a file.
pub fn password_in_file(path: &Path, option: &str) -> Result<Secret, Failure> {
    let text = String::from_utf8(read(path, option)?)
        .map_err(|_| Failure::WrongUse(format!("the password in {} is not UTF-8", path.display())))?;
    secret(text.lines().next().unwrap_or_default())
}

fn secret(text: &str) -> Result<Secret, Failure> {
    // A command line of its own would come after it.
    if text.is_empty() || text.contains(['\r', '\n', '\0']) {
        return Err(Failure::wrong_use("the password is empty, or has more than one line"));
    }
    Ok(Secret::new(text))
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
fn container(peer: &str, family: Family) -> Result<Subject, Failure> {
    let (peer, suite) = crate::peers::name_and_suite(peer)?;
    Ok(Subject::Container { peer, suite, family })
}

#[cfg(not(feature = "containers"))]
fn container(_: &str, _: Family) -> Result<Subject, Failure> {
    Err(Failure::wrong_use("this ftpspec was built without containers"))
}

fn wrong_url(server: &str, error: ServerUrlError) -> Failure {
    // What stands before the @ may be a password.
    let place = server.rsplit_once('@').map_or(server, |(_, place)| place);
    Failure::WrongUse(match error {
        ServerUrlError::Password => {
            format!("{error}: never on the command line; give it with --password-env or --password-file")
        }
        _ => format!("`{place}` in --server: {error}, or is peer:NAME"),
    })
}

fn address(text: &str, family: Option<Family>) -> Result<SocketAddr, Failure> {
    if !text.contains(':') {
        return Err(Failure::WrongUse(format!("`{text}` in --connect-to is no HOST:PORT")));
    }
    let mut found = text.to_socket_addrs().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Failure::WrongUse(format!("`{text}` in --connect-to: {error}")),
        _ => Failure::Surroundings(format!(
            "the name in --connect-to {text} cannot be resolved ({}): look at its spelling, or write an address",
            reason(&error)
        )),
    })?;
    let wanted = |address: &SocketAddr| family.is_none_or(|family| family.has(address));
    let none =
        || Failure::Surroundings(format!("--connect-to {text} has no address of the family that -4 or -6 asks for"));
    found.find(wanted).ok_or_else(none)
}

/// A file that an option or a key of a file names.
pub fn read(path: &Path, option: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::WrongUse(format!("{option} {} {}", path.display(), unreadable(&error))))
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
