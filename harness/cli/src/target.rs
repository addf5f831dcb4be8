//! From a target file to the endpoint that it describes. Paths in it lead from the file's own folder, so that it means
//! the same wherever a run is started; what it cannot hold is a password.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ftpspec::{Effects, Identity, ServerUrl, ServerUrlError, Surroundings, Trust, system_trust};
use ftpspec_scenario::model::{Place, Source};
use ftpspec_scenario::{Diagnostic, PasswordFrom, Target, load_target, read_file};

use crate::failure::Failure;
use crate::subject::{Credentials, password_in_file, password_in_variable, read};

/// An endpoint as its file tells it, with everything read that the file names.
pub struct FromFile {
    pub url: ServerUrl,
    pub credentials: Credentials,
    pub surroundings: Surroundings,
    pub allow: Effects,
    /// The file of its known deviations.
    pub baseline: Option<PathBuf>,
}

impl FromFile {
    /// Reads the file and what it names; `insecure` leaves the certificates aside.
    pub fn read(path: &Path, insecure: bool) -> Result<Self, Failure> {
        let name = path.to_string_lossy();
        let source = read_file(path, &name).map_err(|diagnostic| Failure::WrongFiles(vec![diagnostic]))?;
        let (target, url) = load(&source).map_err(Failure::WrongFiles)?;
        let beside = |file: &str| path.parent().unwrap_or(Path::new("")).join(file);
        let open = |key: &str, file: &str| read(&beside(file), &format!("{name}: {key}"));
        let password = match &target.password {
            Some(PasswordFrom::Env(variable)) => Some(password_in_variable(variable)?),
            Some(PasswordFrom::File(file)) => Some(password_in_file(&beside(file), &format!("{name}: password"))?),
            None => None,
        };
        let trust = match &target.ca_file {
            _ if insecure => Trust::Anyone,
            Some(file) => Trust::Roots(open("ca-file", file)?),
            None => system_trust()?,
        };
        let identity = match &target.client_certificate {
            Some((chain, key)) => Some(Identity {
                name: "client-a".to_owned(),
                chain_pem: open("client-certificate", chain)?,
                key_pem: open("client-key", key)?,
            }),
            None => None,
        };
        Ok(Self {
            url,
            credentials: Credentials { password, trust, identity },
            allow: target.allow,
            baseline: target.baseline.as_deref().map(beside),
            surroundings: Surroundings {
                title: Some(target.title),
                fixtures: target.fixtures,
                scratch: target.scratch,
                pace: target.pace,
                passive_ports: target.passive_ports,
                provides: target.provides,
                versions: target.versions.iter().filter_map(|word| word.parse().ok()).collect(),
                family: None,
            },
        })
    }
}

/// A target and its URL.
///
/// # Errors
/// Everything found wrong with it.
pub fn load(source: &Arc<Source>) -> Result<(Target, ServerUrl), Vec<Diagnostic>> {
    let target = load_target(source)?;
    match target.server.parse() {
        Ok(url) => Ok((target, url)),
        Err(error) => Err(vec![wrong_url(source, &target.server, error)]),
    }
}

/// Whether a text whose folder does not say what it is describes an endpoint.
pub fn is_target(text: &str) -> bool {
    text.lines().any(|line| {
        let url = line.strip_prefix("server:").map(|value| value.trim_start().trim_start_matches(['"', '\'']));
        url.is_some_and(|url| url.contains("://"))
    })
}

fn wrong_url(source: &Arc<Source>, url: &str, error: ServerUrlError) -> Diagnostic {
    let (message, due) = match error {
        ServerUrlError::Password => {
            ("a password stands in the URL", "`password: {env: VARIABLE}` or `password: {file: PATH}`".to_owned())
        }
        _ => ("this is not the URL of a server", error.to_string()),
    };
    // The whole line is shown of a place, and what stands before an @ may be a password.
    let place = if url.contains('@') { Place::default() } else { place_of(&source.text, url) };
    Diagnostic { source: Arc::clone(source), place, message: message.to_owned(), due: Some(due), nearest: None }
}

/// Where the URL stands; the file as a whole if it is written in a way that no person writes.
fn place_of(text: &str, url: &str) -> Place {
    let mut lines = text.lines().enumerate().filter(|(_, line)| line.starts_with("server:"));
    let found = lines.find_map(|(at, line)| Some((at, line[..line.find(url)?].chars().count())));
    found.map_or_else(Place::default, |(at, before)| Place {
        line: at + 1,
        column: before + 1,
        length: url.chars().count().max(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(server: &str) -> Diagnostic {
        let source = Source { name: "t.yaml".to_owned(), text: format!("title: Partner\nserver: {server}\n") };
        load(&Arc::new(source)).expect_err("it is wrong").remove(0)
    }

    #[test]
    fn a_wrong_url_is_told_with_its_place() {
        assert!(wrong("http://ftp.example.com").plain().starts_with("t.yaml:2:9: this is not the URL"));
        assert!(wrong("ftp.example.com").plain().contains("begins with ftp://"));
    }

    #[test]
    fn what_may_be_a_password_is_not_shown() {
        for server in ["ftp://me:secret@host.test", "http://me:secret@host.test", "ftp://me:secret@ho/st"] {
            let told = wrong(server);
            assert!(!told.plain().contains("secret") && !told.render().contains("secret"), "{}", told.render());
        }
    }

    #[test]
    fn a_target_is_known_by_its_url() {
        assert!(is_target("title: x\nserver: ftp://me@host\n"));
        assert!(is_target("server: \"ftps://host\"\n"));
        assert!(!is_target("server:\n  rules: []\n"));
        assert!(!is_target("title: x\n  server: ftp://host\n"));
    }
}
