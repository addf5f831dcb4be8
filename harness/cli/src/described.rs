//! From the description of a server to the subject: one that is started, or one that runs already. Nothing is started
//! here; what is wrong with the file is told before anything is.

use std::path::Path;
use std::sync::Arc;

use ftpspec::{Secret, ServerUrl, Surroundings};
use ftpspec_scenario::model::Template;
use ftpspec_scenario::{DescribedLogin, ServerDescription, Start, load_server_description, read_file};

use crate::failure::Failure;

/// What a file says is to be tested.
pub enum Described {
    /// A server that is started for the run.
    Started(Arc<ServerDescription>),
    /// A server that runs already.
    Running(Box<Running>),
}

/// A server that runs already, as far as its description tells.
pub struct Running {
    pub url: ServerUrl,
    /// A password that protects nothing: it stands in the file.
    pub password: Option<Secret>,
    pub surroundings: Surroundings,
}

impl Described {
    /// Reads a description. What is no file was perhaps meant as a URL, and says so.
    pub fn read(file: &str) -> Result<Self, Failure> {
        let path = Path::new(file);
        if !path.exists() {
            // What stands before the @ may be a password.
            let place = file.rsplit_once('@').map_or(file, |(_, place)| place);
            return Err(Failure::WrongUse(format!(
                "`{place}` in --server is no file; a server's URL begins with ftp:// (explicit TLS) or ftps:// (implicit \
                 TLS), and a container is peer:NAME"
            )));
        }
        let source = read_file(path, file).map_err(|diagnostic| Failure::WrongFiles(vec![diagnostic]))?;
        let description = load_server_description(&source).map_err(Failure::WrongFiles)?;
        let Start::At { url } = &description.start else { return Ok(Self::Started(Arc::new(description))) };
        let mut url: ServerUrl =
            url.parse().map_err(|error| Failure::WrongUse(format!("{file}: the URL under `at`: {error}")))?;
        let (user, password) = match &description.login {
            DescribedLogin::Nobody => (None, None),
            DescribedLogin::OfTheRun => (url.user, None),
            DescribedLogin::Described { user, password } => {
                (literal(user).or(url.user), literal(password).as_deref().map(Secret::new))
            }
        };
        url.user = user;
        let surroundings = Surroundings {
            title: Some(description.title),
            // It runs in one configuration, whatever the file calls it.
            provides: description.configurations.into_values().flatten().collect(),
            ..Surroundings::default()
        };
        Ok(Self::Running(Box::new(Running { url, password, surroundings })))
    }
}

/// Whether a text whose folder does not say what it is describes a server.
pub fn is_server(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("start:"))
}

/// A word that is no variable: the run fills in variables.
fn literal(template: &Template) -> Option<String> {
    (!template.0.contains("${")).then(|| template.0.clone())
}
