//! The description of a client: the command line for each thing that it is asked for. It starts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decode::{Decoded, list, map, needed, optional_text, text, texts};
use crate::diagnostic::Diagnostic;
use crate::grammar::CLIENT_DESCRIPTION;
use crate::load::load;
use crate::model::{Source, Template, TlsDemand};
use crate::node::{Kind, Node};
use crate::variables::Known;

/// A client that can be tested, described once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDescription {
    /// The name that reports show.
    pub title: String,
    /// The image in which all of it runs; without one it is what is installed.
    pub container: Option<String>,
    /// The command that prints its version; empty if there is none.
    pub version: Vec<Template>,
    /// What every command line begins with.
    pub common: Vec<Template>,
    /// What stands behind it, by the action's word. An action that is not here the client cannot do.
    pub actions: BTreeMap<String, Vec<Argument>>,
    /// What is added to its environment, in the order of the file.
    pub env: Vec<(String, Template)>,
    /// Its options tell it to end where the control connection gets no TLS.
    pub demands_control: bool,
    /// Its options tell it to end where data connections get no TLS.
    pub demands_data: bool,
    /// The exit status that means it did what it was asked for.
    pub success: i32,
}

/// A part of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// One argument.
    One(Template),
    /// Arguments that are repeated for each file.
    ForEachFile(Vec<Template>),
}

impl ClientDescription {
    /// Whether it insists on TLS there.
    #[must_use]
    pub fn demands_tls(&self, demand: TlsDemand) -> bool {
        self.demands_control && (self.demands_data || demand == TlsDemand::Control)
    }
}

/// Loads the description of a client.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_client_description(source: &Arc<Source>) -> Result<ClientDescription, Vec<Diagnostic>> {
    load(source, &CLIENT_DESCRIPTION, &[], |root, problems| {
        Known::in_client_descriptions().check(root, &[], problems);
        let templates = |key| Ok(texts(root.value(key))?.into_iter().map(Template).collect());
        let demands = |key| root.value("demands").is_some_and(|demands| demands.value(key).is_some());
        let env = root.value("env").map(map).transpose()?.unwrap_or_default();
        Ok(ClientDescription {
            title: text(needed(root, "title")?)?.to_owned(),
            container: optional_text(root, "container")?,
            version: templates("version")?,
            common: templates("common")?,
            actions: actions(needed(root, "actions")?)?,
            env: env
                .iter()
                .map(|(name, value)| Ok((text(name)?.to_owned(), Template(text(value)?.to_owned()))))
                .collect::<Decoded<_>>()?,
            demands_control: demands("control"),
            demands_data: demands("data"),
            success: optional_text(root, "success")?.and_then(|text| exit_status(&text)).unwrap_or(0),
        })
    })
}

/// The number of `exit 0`, if it is one that a program can end with.
pub(crate) fn exit_status(text: &str) -> Option<i32> {
    text.strip_prefix("exit ")?.parse::<u8>().ok().map(i32::from)
}

fn actions(node: &Node) -> Decoded<BTreeMap<String, Vec<Argument>>> {
    map(node)?
        .iter()
        .map(|(action, arguments)| {
            let arguments = list(arguments)?.iter().map(argument).collect::<Decoded<_>>()?;
            Ok((text(action)?.to_owned(), arguments))
        })
        .collect()
}

fn argument(node: &Node) -> Decoded<Argument> {
    Ok(match &node.kind {
        Kind::Sequence(_) => Argument::ForEachFile(texts(Some(node))?.into_iter().map(Template).collect()),
        _ => Argument::One(Template(text(node)?.to_owned())),
    })
}
