//! The description of a server: how to start it, how to log in, and what its configurations provide. The same format
//! serves the containers of this repository and a server of the user's own.
//!
//! It starts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decode::{Decoded, map, needed, optional_text, optional_word, text, texts};
use crate::diagnostic::{Diagnostic, Problem};
use crate::grammar::SERVER;
use crate::load::load;
use crate::model::{Capability, Source, Template};
use crate::node::Node;
use crate::variables::Known;

/// A server that can be tested, described once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerDescription {
    /// The name that reports show.
    pub title: String,
    /// How it is started, or where it runs.
    pub start: Start,
    /// The code of the greeting that tells it is ready.
    pub ready: u16,
    /// Who may log in.
    pub login: Login,
    /// Its own log file, shown with failures.
    pub log: Option<Template>,
    /// What each of its configurations provides.
    pub configurations: BTreeMap<String, Vec<Capability>>,
}

/// How a server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A container of an image that is there already, or is built from the folder of the same name.
    Container {
        /// The image.
        image: String,
        /// The environment, in the order of the file.
        env: Vec<(String, Template)>,
    },
    /// A process.
    Command {
        /// The program and its arguments.
        argv: Vec<Template>,
        /// What is added to the environment, in the order of the file.
        env: Vec<(String, Template)>,
    },
    /// It runs already.
    At {
        /// Where.
        url: String,
    },
}

/// Who may log in to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// The user of the run, with its password: the description says nothing.
    OfTheRun,
    /// User and password as templates: `${user}`, `${password}`, or words of the server's own.
    Described {
        /// The user.
        user: Template,
        /// The password.
        password: Template,
    },
    /// Nobody: the server has no accounts, and scenarios that log in are skipped.
    Nobody,
}

/// Loads the description of a server.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_server_description(source: &Arc<Source>) -> Result<ServerDescription, Vec<Diagnostic>> {
    load(source, &SERVER, &[], |root, problems| {
        Known::in_descriptions().check(root, &[], problems);
        Ok(ServerDescription {
            title: text(needed(root, "title")?)?.to_owned(),
            start: start(needed(root, "start")?)?,
            ready: optional_word(root, "ready", |text| text.parse().ok(), "a reply code")?.unwrap_or(GREETING),
            login: root.value("login").map_or(Ok(Login::OfTheRun), login)?,
            log: optional_text(root, "log")?.map(Template),
            configurations: root.value("configurations").map(configurations).transpose()?.unwrap_or_default(),
        })
    })
}

fn start(node: &Node) -> Decoded<Start> {
    let env = node.value("env").map(map).transpose()?.unwrap_or_default();
    let env = env
        .iter()
        .map(|(name, value)| Ok((text(name)?.to_owned(), Template(text(value)?.to_owned()))))
        .collect::<Decoded<Vec<_>>>()?;
    match (node.value("container"), node.value("command"), node.value("at")) {
        (Some(image), None, None) => Ok(Start::Container { image: text(image)?.to_owned(), env }),
        (None, Some(command), None) if command.items().is_some_and(|argv| !argv.is_empty()) => {
            Ok(Start::Command { argv: texts(Some(command))?.into_iter().map(Template).collect(), env })
        }
        (None, None, Some(url)) if env.is_empty() => Ok(Start::At { url: text(url)?.to_owned() }),
        _ => Err(Problem::new(node.place, "it is not said how the server is started")
            .due("exactly one of `container: IMAGE`, `command: [PROGRAM, …]` or `at: URL`")),
    }
}

fn login(node: &Node) -> Decoded<Login> {
    // The shape allows no other text.
    if node.text().is_some() {
        return Ok(Login::Nobody);
    }
    let template = |key| Ok(Template(text(needed(node, key)?)?.to_owned()));
    Ok(Login::Described { user: template("user")?, password: template("password")? })
}

fn configurations(node: &Node) -> Decoded<BTreeMap<String, Vec<Capability>>> {
    let entries = map(node)?.iter();
    entries
        .map(|(name, configuration)| {
            let provides = texts(configuration.value("provides"))?;
            let provides = provides.iter().filter_map(|word| Capability::from_word(word)).collect();
            Ok((text(name)?.to_owned(), provides))
        })
        .collect()
}

/// RFC 959 §5.4: a server that is ready greets with 220.
const GREETING: u16 = 220;
