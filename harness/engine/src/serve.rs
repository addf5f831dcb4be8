//! The reference server on its own, correct or with lies, for any client that a person likes to point at it: on loopback
//! only, for one user with a password that nobody has guessed, with the fixtures to fetch and a folder of memory to write
//! to. What each session says is told line by line. It judges nobody.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftpspec_net::Limits;
use ftpspec_peers::Family;
use ftpspec_peers::pki::{Pki, PkiError};
use ftpspec_peers::reference::{ReferenceServer, ReferenceSettings, SessionLog, SessionLogs};
use ftpspec_scenario::model::{Capability, Condition, PeerScript, Rule};
use ftpspec_scenario::settings::ServerSettings;
use ftpspec_tls::Engine;
use ftpspec_transcript::{Following, Secret};
use tokio::sync::mpsc;

use crate::error::Trouble;
use crate::subject::{USER, names, random_word};

/// How the reference server is set up to stand on its own.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// The loopback address that it listens on.
    pub family: Family,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Its TLS library.
    pub engine: Engine,
    /// Whether it speaks TLS from the first octet.
    pub implicit: bool,
    /// What it does otherwise than correctly.
    pub script: PeerScript,
    /// The folder of its certificates, which are made if they are not there; none: one that this user's runs share.
    pub certificates: Option<PathBuf>,
    /// How long it waits for its clients.
    pub limits: Limits,
}

/// The reference server on its own; it ends, with all its sessions, when this is dropped.
pub struct Service {
    server: ReferenceServer,
    pki: Pki,
    password: Secret,
    told: mpsc::UnboundedReceiver<Served>,
}

/// What happens at a service. Sessions are numbered from 1, in the order in which they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// A client came.
    Began {
        /// The number.
        session: usize,
        /// Where the client is.
        from: SocketAddr,
    },
    /// A line of the conversation, in the shape of the normal form, as soon as it is whole.
    Line {
        /// The number.
        session: usize,
        /// The line.
        line: String,
    },
    /// The session is over.
    Ended {
        /// The number.
        session: usize,
        /// How long it lasted.
        after: Duration,
    },
}

/// Why a service cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {}", ftpspec_wire::reason(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificates cannot be made or read.
    #[error("the test PKI: {0}")]
    Pki(#[from] PkiError),
    /// The harness or its surroundings failed.
    #[error("{0}")]
    Trouble(#[from] Trouble),
}

impl Service {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot listen, or has no certificates.
    pub fn start(settings: ServeSettings) -> Result<Self, ServeError> {
        let ServeSettings { family, port, engine, implicit, script, certificates, limits } = settings;
        family.check().map_err(|missing| Trouble { text: missing.to_string() })?;
        let pki = match &certificates {
            Some(folder) => Pki::in_folder(folder)?,
            None => Pki::cached()?,
        };
        let provided = implicit.then_some(&Capability::ImplicitTls);
        let server =
            ServerSettings::of(provided, &script.settings).map_err(|error| Trouble { text: error.to_string() })?;
        let password = Secret::new(&random_word()?);
        let address = SocketAddr::new(family.loopback(), port);
        let (sessions, began) = mpsc::unbounded_channel();
        let server = ReferenceServer::start(ReferenceSettings {
            ip: address.ip(),
            port,
            engine,
            version: None,
            settings: server,
            rules: script.rules,
            user: USER.to_owned(),
            password: password.clone(),
            log: Some(SessionLogs::Each(sessions, names(&pki)?)),
            pki: Arc::new(pki.clone()),
            limits,
        })
        .map_err(|source| ServeError::Bind { address, source })?;
        let (sender, told) = mpsc::unbounded_channel();
        tokio::spawn(follow_all(began, sender));
        Ok(Self { server, pki, password, told })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The one user.
    #[must_use]
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Their password; made anew at each start.
    #[must_use]
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The file of the root that signed its certificate.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.pki.ca_file()
    }

    /// What happens next.
    pub async fn next(&mut self) -> Served {
        // The server, which `self` holds, keeps the other end.
        self.told.recv().await.expect("it is told as long as the server lives")
    }
}

async fn follow_all(mut began: mpsc::UnboundedReceiver<SessionLog>, told: mpsc::UnboundedSender<Served>) {
    let mut session = 0;
    while let Some(log) = began.recv().await {
        session += 1;
        tokio::spawn(follow(session, log, told.clone()));
    }
}

/// Tells one session to its end.
async fn follow(session: usize, of: SessionLog, told: mpsc::UnboundedSender<Served>) {
    let SessionLog { from, log, mut over } = of;
    let began = Instant::now();
    // Nobody has to listen.
    let tell = |it: Served| _ = told.send(it);
    tell(Served::Began { session, from });
    let mut following = Following::new(false);
    loop {
        let lines = tokio::select! {
            biased;
            lines = log.wait(|events| Some(following.lines(events)).filter(|lines| !lines.is_empty())) => lines,
            _ = &mut over => break,
        };
        lines.into_iter().for_each(|line| tell(Served::Line { session, line }));
    }
    let rest = log.look(|events| following.rest(events));
    rest.into_iter().for_each(|line| tell(Served::Line { session, line }));
    tell(Served::Ended { session, after: began.elapsed() });
}

/// Settings and rules, and what they are called.
#[derive(Debug, Clone, Copy)]
pub struct Lie<'a> {
    /// A defect, or a file.
    pub name: &'a str,
    /// What it does.
    pub script: &'a PeerScript,
}

/// Two lies that cannot be told at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{one} and {other} cannot be told together: {why}")]
pub struct Conflict {
    one: String,
    other: String,
    why: String,
}

/// All of them together.
///
/// # Errors
/// The first two that have one setting with different values, or rules of which nothing says which applies.
pub fn merged(lies: &[Lie<'_>]) -> Result<PeerScript, Conflict> {
    let mut all = PeerScript::default();
    for (at, lie) in lies.iter().enumerate() {
        for before in &lies[..at] {
            if let Some(why) = contradiction(before.script, lie.script) {
                return Err(Conflict { one: before.name.to_owned(), other: lie.name.to_owned(), why });
            }
        }
        all.settings.extend(lie.script.settings.iter().cloned());
        all.rules.extend(lie.script.rules.iter().cloned());
    }
    Ok(all)
}

fn contradiction(one: &PeerScript, other: &PeerScript) -> Option<String> {
    for (setting, value) in &one.settings {
        if let Some((_, wanted)) = other.settings.iter().find(|(name, wanted)| name == setting && wanted != value) {
            return Some(format!("`{setting}` is {value} in one, and {wanted} in the other"));
        }
    }
    let clashes = |rule: &&Rule| other.rules.iter().any(|second| may_both_apply(rule, second));
    let rule = one.rules.iter().find(clashes)?;
    Some(format!("each has a rule for {}, and nothing says which of them applies", rule.on))
}

fn may_both_apply(one: &Rule, other: &Rule) -> bool {
    fn differs<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
        one.zip(other).is_some_and(|(one, other)| one != other)
    }
    let (Condition { argument, file, nth, protected }, second) = (&one.condition, &other.condition);
    one.on.eq_ignore_ascii_case(&other.on)
        && !differs(argument.as_ref(), second.argument.as_ref())
        && !differs(file.as_ref(), second.file.as_ref())
        && !differs(nth.as_ref(), second.nth.as_ref())
        && !differs(protected.as_ref(), second.protected.as_ref())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ftpspec_scenario::load_rules;
    use ftpspec_scenario::model::Source;

    use super::*;

    fn script(text: &str) -> PeerScript {
        let source = Source { name: "rules.yaml".to_owned(), text: text.to_owned() };
        load_rules(&Arc::new(source)).unwrap()
    }

    fn together(one: &str, other: &str) -> Result<PeerScript, String> {
        let (one, other) = (script(one), script(other));
        merged(&[Lie { name: "a", script: &one }, Lie { name: "b", script: &other }]).map_err(|error| error.to_string())
    }

    #[test]
    fn lies_that_do_not_meet_are_told_together() {
        let both = together("settings: {tickets: 0}", "settings: {tickets: 0, reuse: offered}").unwrap();
        assert_eq!(both.settings.len(), 3);
        let first = "rules: [{on: RETR, if: {file: empty}, script: [answer: 550]}]";
        let second =
            "rules: [{on: RETR, if: {file: not-empty}, script: [answer: 550]}, {on: LIST, script: [answer: 550]}]";
        assert_eq!(together(first, second).unwrap().rules.len(), 3);
    }

    #[test]
    fn lies_that_contradict_each_other_are_named() {
        assert_eq!(
            together("settings: {reuse: none}", "settings: {reuse: declined}"),
            Err("a and b cannot be told together: `reuse` is none in one, and declined in the other".to_owned())
        );
        let (any, second) =
            ("rules: [{on: RETR, script: [answer: 550]}]", "rules: [{on: RETR, if: {nth: 2}, script: [answer: 551]}]");
        assert_eq!(
            together(any, second),
            Err("a and b cannot be told together: each has a rule for RETR, and nothing says which of them applies"
                .to_owned())
        );
    }
}
