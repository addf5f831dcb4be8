//! `ftpspec peers`: what runs in containers, for people: what there is, building, starting a server to look at, removing
//! what dead runs left.

use std::sync::Arc;

use clap::{Args, Subcommand};
use ftpspec::{DescribedClient, Exit, StartedPeer};
use ftpspec_peers::containers::{
    ContainerError, DEFAULT_SUITE, Owner, PeerImage, build, embedded_images, embedded_peers, found, has_image, logs_of,
    sweep,
};
use ftpspec_report::layout::counted;
use ftpspec_scenario::model::Source;
use ftpspec_scenario::{ServerDescription, load_server_description};

use crate::console::Console;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::subject::did_you_mean;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ftpspec peers
  ftpspec peers build vsftpd@trixie
  ftpspec peers build clients
  ftpspec peers up vsftpd --configuration strict")]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the peers, their configurations and their images (as without a command)
    #[command(after_help = "Example:\n  ftpspec peers list")]
    List,
    /// Build the image of a peer, that of all clients, or all images
    #[command(
        after_help = "Examples:\n  ftpspec peers build\n  ftpspec peers build vsftpd@bullseye\n  ftpspec peers build clients"
    )]
    Build {
        /// Which peer, or `clients`, and on which Debian suite
        #[arg(value_name = "NAME[@SUITE]")]
        peer: Option<String>,
    },
    /// Start a peer, tell how to reach it, and remove it on Ctrl-C
    #[command(after_help = "Example:\n  ftpspec peers up vsftpd --configuration strict")]
    Up {
        /// Which peer, and on which Debian suite
        #[arg(value_name = "NAME[@SUITE]")]
        peer: String,
        /// One of its configurations; without it the one in which TLS is optional
        #[arg(long, value_name = "NAME")]
        configuration: Option<String>,
    },
    /// Remove the containers that dead runs left behind
    #[command(after_help = "Example:\n  ftpspec peers down")]
    Down,
    /// Print what the containers of ours have written
    #[command(after_help = "Example:\n  ftpspec peers logs vsftpd")]
    Logs {
        /// Only this peer's
        #[arg(value_name = "NAME")]
        peer: Option<String>,
    },
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::surroundings)?;
    runtime.block_on(async {
        match &options.command {
            None | Some(Command::List) => list(console).await,
            Some(Command::Build { peer }) => build_images(peer.as_deref(), console).await,
            Some(Command::Up { peer, configuration }) => up(peer, configuration.as_deref(), console).await,
            Some(Command::Down) => down(console).await,
            Some(Command::Logs { peer }) => logs(peer.as_deref(), console).await,
        }
    })
}

/// `NAME[@SUITE]` in two, if there is such a peer.
pub fn name_and_suite(text: &str) -> Result<(String, String), Failure> {
    one_of(&embedded_peers(), text)
}

fn one_of(known: &[&str], text: &str) -> Result<(String, String), Failure> {
    let (name, suite) = text.split_once('@').unwrap_or((text, DEFAULT_SUITE));
    if !known.contains(&name) {
        let meant = did_you_mean(name, known.iter().copied());
        return Err(Failure::WrongUse(format!("no peer is named `{name}`{meant} (`ftpspec peers` lists them)")));
    }
    if suite.is_empty() || !suite.bytes().all(|letter| letter.is_ascii_lowercase()) {
        return Err(Failure::WrongUse(ContainerError::NotASuite(suite.to_owned()).to_string()));
    }
    Ok((name.to_owned(), suite.to_owned()))
}

async fn list(console: &Console) -> Result<Exit, Failure> {
    for peer in embedded_peers() {
        let description = description(peer)?;
        console.print(&format!("peer:{peer}\n"))?;
        for (name, provides) in &description.configurations {
            let words: Vec<_> = provides.iter().map(|capability| capability.word()).collect();
            console.print(&format!("  {name:20}{}\n", words.join(", ")))?;
        }
        console.print(&format!("  {:20}{}\n", "images", images(peer).await))?;
    }
    let clients: Vec<_> = DescribedClient::names().collect();
    console.print(&format!("clients\n  {:20}{}\n", "peer:NAME@SUITE", clients.join(", ")))?;
    console.print(&format!("  {:20}{}\n", "images", images("clients").await))?;
    Ok(Exit::Green)
}

/// The suites on which an image has been built.
async fn images(name: &str) -> String {
    let mut built = Vec::new();
    for suite in SUITES {
        match has_image(&PeerImage::built_here(name, suite)).await {
            Ok(true) => built.push(suite),
            Ok(false) => {}
            Err(error) => return format!("unknown: {error}"),
        }
    }
    if built.is_empty() { format!("none; ftpspec peers build {name}") } else { built.join(", ") }
}

async fn build_images(peer: Option<&str>, console: &Console) -> Result<Exit, Failure> {
    let wanted = match peer {
        Some(peer) => vec![one_of(&embedded_images(), peer)?],
        None => embedded_images().iter().map(|peer| ((*peer).to_owned(), DEFAULT_SUITE.to_owned())).collect(),
    };
    for (peer, suite) in wanted {
        console.print(&format!("building {peer} on {suite}\n"))?;
        let image = build(&peer, &suite).await.map_err(failed)?;
        console.print(&format!("{image}\n"))?;
    }
    Ok(Exit::Green)
}

async fn up(peer: &str, configuration: Option<&str>, console: &Console) -> Result<Exit, Failure> {
    let (name, suite) = name_and_suite(peer)?;
    let configurations = description(&name)?.configurations;
    if let Some(wanted) = configuration.filter(|wanted| !configurations.contains_key(*wanted)) {
        let known: Vec<_> = configurations.keys().map(String::as_str).collect();
        return Err(Failure::WrongUse(format!("{name} has no configuration `{wanted}`; it has {}", known.join(", "))));
    }
    let signals = Signals::listen().map_err(Failure::surroundings)?;
    let started = tokio::select! {
        started = StartedPeer::start(&name, &suite, configuration) => started?,
        () = signals.arrived() => {
            // It may be half way up.
            ftpspec_peers::containers::remove_own().await.map_err(failed)?;
            return Ok(Exit::Green);
        }
    };
    let scheme = if started.implicit() { "ftps" } else { "ftp" };
    let certificate = started.certificate_authority().display();
    let (user, password) = match started.login() {
        Some((user, password)) => (format!("{user}@"), password.reveal()),
        None => (String::new(), "none: nobody can log in"),
    };
    console.print(&format!(
        "{name} {}\n  url       {scheme}://{user}{}\n  password  {password}\n  ca-file   {certificate}  (for the name localhost)\nCtrl-C removes it\n",
        started.version().unwrap_or_default(),
        started.address(),
    ))?;
    signals.arrived().await;
    drop(started);
    Ok(Exit::Green)
}

async fn down(console: &Console) -> Result<Exit, Failure> {
    let removed = sweep().await.map_err(failed)?;
    console.print(&format!("{} removed\n", counted(removed.len(), "container")))?;
    for peer in found().await.map_err(failed)? {
        let whose = match (peer.owner, peer.process) {
            (Owner::Elsewhere, _) | (_, None) => "belongs to a run elsewhere".to_owned(),
            (_, Some(process)) => format!("belongs to process {process}, which is alive"),
        };
        console.print(&format!("{} ({}) {whose}\n", peer.image, short(&peer.id)))?;
    }
    Ok(Exit::Green)
}

async fn logs(peer: Option<&str>, console: &Console) -> Result<Exit, Failure> {
    let wanted = peer.map(|peer| name_and_suite(peer).map(|(name, _)| name)).transpose()?;
    for container in found().await.map_err(failed)? {
        let name = container.image.embedded_peer().unwrap_or_default();
        if wanted.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let log = if embedded_peers().contains(&name) { description(name)?.log.map(|log| log.0) } else { None };
        let Some(text) = logs_of(&container, log.as_deref()).await.map_err(failed)? else { continue };
        console.print(&format!("{} ({})\n{text}\n", container.image, short(&container.id)))?;
    }
    Ok(Exit::Green)
}

fn description(peer: &str) -> Result<ServerDescription, Failure> {
    let path = format!("docker/{peer}/peer.yaml");
    let file = ftpspec_data::file(&path)
        .ok_or_else(|| Failure::Surroundings(format!("{path} is not embedded in this ftpspec")))?;
    let source = Source { name: path, text: String::from_utf8_lossy(file.octets).into_owned() };
    load_server_description(&Arc::new(source)).map_err(Failure::WrongFiles)
}

fn failed(error: ContainerError) -> Failure {
    match error {
        ContainerError::NoSuchPeer(_) | ContainerError::NotASuite(_) => Failure::wrong_use(error),
        error => Failure::surroundings(error),
    }
}

/// As much of a container's id as people are shown everywhere.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The Debian suites that the peers are known to build on: OpenSSL 1.1.1, 3.0 and 3.5.
const SUITES: [&str; 3] = ["bullseye", "bookworm", "trixie"];
