//! `ftpspec serve`: the reference server on its own, with whatever lies a person wants to see a client meet, and what is
//! said in each session as it is said.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use ftpspec::{
    Catalogue, Engine, Exit, Family, Lie, Limits, Role, ServeError, ServeSettings, Served, Service, load_rules, merged,
    read_file,
};
use ftpspec_report::escape;
use ftpspec_scenario::model::{Defect, PeerScript};
use ftpspec_wire::reason;

use crate::arguments::OwnScenarios;
use crate::console::Console;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::subject::did_you_mean;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A defect of the reference server; several are told together, unless they contradict each other
    #[arg(long = "defect", value_name = "NAME")]
    defects: Vec<String>,
    /// A file with settings and rules of your own (`ftpspec schema rules`)
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    own: OwnScenarios,
    /// The port; without it a free one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Listen on 127.0.0.1; so it does without it
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Listen on ::1
    #[arg(short = '6')]
    ipv6: bool,
    /// Speak TLS from the first octet
    #[arg(long)]
    implicit: bool,
    /// The TLS library
    #[arg(long, value_enum, default_value = "openssl")]
    tls: Tls,
    /// Take the certificates from this folder, and make them there if there are none; without it those that all runs of
    /// yours share
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    /// End with the first session
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tls {
    Rustls,
    Openssl,
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let catalogue = options.own.catalogue()?;
    let settings = options.settings(&catalogue)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::surroundings)?;
    runtime.block_on(async {
        let mut stop = Signals::listen().map_err(Failure::surroundings)?.stop();
        let mut service = Service::start(settings).map_err(|error| options.unserved(&error))?;
        console.print(&options.head(&service, console))?;
        loop {
            let served = tokio::select! {
                served = service.next() => served,
                signal = stop.wait_for(Option::is_some) => {
                    let signal = signal.ok().and_then(|signal| *signal);
                    // A server has no end of its own: a signal is the one that is meant, unless it was to end by itself.
                    return Ok(signal.filter(|_| options.once).map_or(Exit::Green, Exit::of_signal));
                }
            };
            console.print(&told(&served))?;
            if options.once && matches!(served, Served::Ended { session: 1, .. }) {
                return Ok(Exit::Green);
            }
        }
    })
}

impl Options {
    fn settings(&self, catalogue: &Catalogue) -> Result<ServeSettings, Failure> {
        let defects = self.defects.iter().map(|name| defect(catalogue, name)).collect::<Result<Vec<_>, _>>()?;
        let rules = self.rules.as_deref().map(rules).transpose()?;
        let names: Vec<_> = defects.iter().map(|defect| format!("the defect `{}`", defect.name)).collect();
        let file = self.rules.as_ref().map(|path| path.display().to_string());
        let lies: Vec<_> = names.iter().zip(defects.iter().map(|defect| &defect.script)).collect();
        let lies = lies.into_iter().chain(file.as_ref().zip(rules.as_ref()));
        let lies: Vec<_> = lies.map(|(name, script)| Lie { name, script }).collect();
        Ok(ServeSettings {
            family: if self.ipv6 { Family::V6 } else { Family::V4 },
            port: self.port.unwrap_or(0),
            engine: match self.tls {
                Tls::Rustls => Engine::Rustls,
                Tls::Openssl => Engine::Openssl,
            },
            implicit: self.implicit,
            script: merged(&lies).map_err(Failure::wrong_use)?,
            certificates: self.certs.clone(),
            limits: Limits::default(),
        })
    }

    /// Everything that a client has to be told, and the one place in which the password is shown.
    fn head(&self, service: &Service, console: &Console) -> String {
        let (address, user, password) = (service.address(), service.user(), service.password().reveal());
        let trust = service.ca_file().display().to_string();
        let (kind, scheme) = if self.implicit { ("implicit TLS", "ftps") } else { ("explicit TLS", "ftp") };
        let file = self.rules.as_ref().map(|path| path.display().to_string());
        let lies: Vec<_> = self.defects.iter().cloned().chain(file).collect();
        let lies = if lies.is_empty() { "nothing: it is correct".to_owned() } else { lies.join(", ") };
        // By the name that its certificate bears; the address says which of the host's it is.
        let url = format!("{scheme}://localhost:{}", address.port());
        let row = |label: &str, value: &str| format!("  {label:10}{}", console.wrapped(value, 12).trim_start());
        let demand = if self.implicit { "" } else { " --ssl-reqd" };
        let quoted = crate::subject::again("--cacert", Some(&trust));
        [
            format!("The reference server listens on {address} ({kind}, {}).\n\n", self.library()),
            row("user", user),
            row("password", password),
            row("trust", &trust),
            row("lies", &lies),
            row("files", "fixtures/ to fetch (fixtures/text.txt), scratch/ to write to; uploads are kept in memory"),
            format!("\n  curl{demand}{quoted} --user {user}:{password} {url}/fixtures/text.txt\n"),
            format!("  lftp -u {user},{password} -e 'set ssl:ca-file \"{trust}\"; set ftp:ssl-force yes' {url}\n\n"),
        ]
        .concat()
    }

    fn library(&self) -> String {
        let libraries = ftpspec::libraries();
        match self.tls {
            Tls::Rustls => format!("rustls {}", libraries.rustls),
            Tls::Openssl => format!("OpenSSL {}", libraries.openssl),
        }
    }

    fn unserved(&self, error: &ServeError) -> Failure {
        let ServeError::Bind { address, source } = error else { return Failure::surroundings(error) };
        let cure = match (source.kind(), self.port) {
            (std::io::ErrorKind::AddrInUse, Some(_)) => ": name another --port, or none for a free one",
            (std::io::ErrorKind::PermissionDenied, Some(_)) => ": name a --port from 1024 on, or none for a free one",
            _ => "",
        };
        Failure::Surroundings(format!("{address} cannot be listened on ({}){cure}", reason(source)))
    }
}

/// A line for each thing that happens, behind the session's number: several go on at once.
fn told(served: &Served) -> String {
    match served {
        Served::Began { session, from } => format!("{session:>NUMBER$}  a client at {from}\n"),
        Served::Line { session, line } => format!("{session:>NUMBER$}  {}\n", escape::line(line)),
        Served::Ended { session, after } => format!("{session:>NUMBER$}  over after {:.1} s\n", after.as_secs_f64()),
    }
}

fn defect(catalogue: &Catalogue, name: &str) -> Result<Arc<Defect>, Failure> {
    let servers = || catalogue.defects.iter().filter(|defect| defect.role == Role::Server);
    match catalogue.defect(name) {
        Some(defect) if defect.role == Role::Server => Ok(Arc::clone(defect)),
        Some(_) => Err(Failure::WrongUse(format!(
            "`{name}` is a defect of the reference client, and this is the server; `ftpspec run --defect {name}` gives it \
             to the client"
        ))),
        None => {
            let nearest = did_you_mean(name, servers().map(|defect| defect.name.as_str()));
            Err(Failure::WrongUse(format!("no defect is named `{name}`{nearest}")))
        }
    }
}

fn rules(path: &Path) -> Result<PeerScript, Failure> {
    let source = read_file(path, &path.to_string_lossy()).map_err(|wrong| Failure::WrongFiles(vec![wrong]))?;
    load_rules(&source).map_err(Failure::WrongFiles)
}

/// Whether a text whose folder does not say what it is holds settings and rules, and nothing else.
pub fn are_rules(text: &str) -> bool {
    let mut keys = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())).peekable();
    keys.peek().is_some() && keys.all(|line| line.starts_with("settings:") || line.starts_with("rules:"))
}

/// Columns of a session's number.
const NUMBER: usize = 3;

const EXAMPLES: &str = "\
It listens on loopback only, for one user whose password is made anew at each
start. Each line of a session stands behind the session's number, and
`server  -- rule for RETR` says that a lie is told there. Ctrl-C ends it.

Examples:
  ftpspec serve
  ftpspec serve --defect retr-empty-closes-before-handshake --port 2121
  ftpspec serve --rules my-rules.yaml --once

Exit status: 0 when a signal ends it, for it has no other end; with --once 0
after the first session, and 130 or 143 if a signal came before. 2 if defects
or rules cannot be used, 3 if it cannot listen.";
