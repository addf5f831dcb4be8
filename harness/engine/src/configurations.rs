//! A server that a description tells how to start, as a container or as a process: one for each configuration that a run
//! needs, started when the first variant asks. It chooses a configuration by what it provides, and judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftpspec_peers::Family;
#[cfg(feature = "containers")]
use ftpspec_peers::containers::{self, PeerImage, RunningPeer, StartOptions, engine_version};
use ftpspec_peers::process::{self, ProcessOptions, RunningProcess};
use ftpspec_peers::{Mark, Written};
#[cfg(feature = "containers")]
use ftpspec_scenario::load_server_description;
#[cfg(feature = "containers")]
use ftpspec_scenario::model::Source;
use ftpspec_scenario::model::{Capability, Template};
use ftpspec_scenario::{DescribedLogin, ServerDescription, Start};
use ftpspec_transcript::{Log, Secret};
use tokio::sync::OnceCell;

use crate::error::Trouble;
use crate::server_log::{Listeners, last_words};
use crate::subject::NoEndpoint;

/// A described server, in all the configurations that run.
pub(crate) struct Configurations {
    description: Arc<ServerDescription>,
    how: How,
    family: Family,
    certificates: PathBuf,
    user: String,
    password: Secret,
    running: BTreeMap<String, OnceCell<Arc<Running>>>,
}

/// A server that runs in one configuration. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Running {
    server: Server,
    listeners: Listeners,
    /// What it had written when it came up.
    up: Mark,
}

#[derive(Debug)]
enum Server {
    /// As a process.
    Process(RunningProcess),
    /// As a container.
    #[cfg(feature = "containers")]
    Container(Box<RunningPeer>),
}

impl Server {
    fn mark(&self) -> Mark {
        match self {
            Self::Process(process) => process.mark(),
            #[cfg(feature = "containers")]
            Self::Container(peer) => peer.mark(),
        }
    }
}

impl Running {
    fn new(server: Server) -> Self {
        Self { up: server.mark(), server, listeners: Listeners::default() }
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The place to which it has written by now.
    pub(crate) fn mark(&self) -> Mark {
        self.server.mark()
    }

    pub(crate) async fn written_since(&self, mark: Mark) -> Written {
        match &self.server {
            Server::Process(process) => process.written_since(mark),
            #[cfg(feature = "containers")]
            Server::Container(peer) => peer.written_since(mark).await,
        }
    }

    /// How it ended, if it has, or does so within this time.
    pub(crate) async fn ended_within(&self, patience: Duration) -> Option<String> {
        match &self.server {
            Server::Process(process) => process.ended_within(patience).await,
            #[cfg(feature = "containers")]
            Server::Container(peer) => peer.ended().await,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.server {
            Server::Process(process) => process.address(),
            #[cfg(feature = "containers")]
            Server::Container(peer) => peer.address(),
        }
    }

    /// The passive range that it was given.
    pub(crate) fn passive_ports(&self) -> RangeInclusive<u16> {
        match &self.server {
            Server::Process(process) => process.passive_ports(),
            #[cfg(feature = "containers")]
            Server::Container(peer) => peer.passive_ports(),
        }
    }

    pub(crate) fn version(&self) -> Option<&str> {
        match &self.server {
            Server::Process(_) => None,
            #[cfg(feature = "containers")]
            Server::Container(peer) => peer.version(),
        }
    }
}

/// What is needed to start it, whichever configuration it will have.
enum How {
    Process {
        command: Vec<Template>,
        environment: Vec<(String, Template)>,
    },
    #[cfg(feature = "containers")]
    Container {
        image: PeerImage,
        environment: Vec<(String, Template)>,
        /// What it serves as `fixtures/`.
        files: tempfile::TempDir,
    },
}

impl Configurations {
    /// The server of a description, which shows the test PKI's certificate and lets this user in unless the description
    /// names another.
    ///
    /// # Errors
    /// The description starts nothing, or what it needs to start is not here.
    pub(crate) async fn described(
        description: Arc<ServerDescription>,
        family: Family,
        certificates: PathBuf,
        user: &str,
        password: &Secret,
    ) -> Result<Self, Trouble> {
        let how = match &description.start {
            Start::Command { argv, env } => How::Process { command: argv.clone(), environment: env.clone() },
            #[cfg(feature = "containers")]
            Start::Container { image, env } => How::container(image_of(image), env, &description.title).await?,
            #[cfg(not(feature = "containers"))]
            Start::Container { .. } => {
                return Err(Trouble { text: "this build has no containers: describe a command".to_owned() });
            }
            Start::At { url } => {
                let title = &description.title;
                return Err(Trouble { text: format!("{title} runs already: {url} is to be met, not to be started") });
            }
        };
        Ok(Self::new(description, how, family, certificates, user, password))
    }

    /// A peer of `docker/`, from the image of a Debian suite.
    #[cfg(feature = "containers")]
    pub(crate) async fn of_peer(
        peer: &str,
        suite: &str,
        family: Family,
        certificates: PathBuf,
        user: &str,
        password: &Secret,
    ) -> Result<Self, Trouble> {
        let path = format!("docker/{peer}/peer.yaml");
        let file = ftpspec_data::file(&path)
            .ok_or_else(|| Trouble { text: format!("there is no peer {peer}; `ftpspec peers` lists them") })?;
        let source = Source { name: path, text: String::from_utf8_lossy(file.octets).into_owned() };
        let description = load_server_description(&Arc::new(source)).map_err(|diagnostics| Trouble {
            text: diagnostics.first().map_or_else(String::new, ftpspec_scenario::Diagnostic::plain),
        })?;
        let environment: &[_] = match &description.start {
            Start::Container { env, .. } => env,
            _ => &[],
        };
        let how = How::container(PeerImage::built_here(peer, suite), environment, &format!("peer:{peer}")).await?;
        Ok(Self::new(Arc::new(description), how, family, certificates, user, password))
    }

    fn new(
        description: Arc<ServerDescription>,
        how: How,
        family: Family,
        certificates: PathBuf,
        user: &str,
        password: &Secret,
    ) -> Self {
        let mut running: BTreeMap<_, _> =
            description.configurations.keys().map(|name| (name.clone(), OnceCell::new())).collect();
        if running.is_empty() {
            running.insert(ONLY.to_owned(), OnceCell::new());
        }
        let (user, password) = login(&description.login, user, password);
        Self { description, how, family, certificates, user, password, running }
    }

    /// Who may log in, and with what; nothing where the server has no accounts.
    pub(crate) fn login(&self) -> Option<(&str, &Secret)> {
        (self.description.login != DescribedLogin::Nobody).then_some((&self.user, &self.password))
    }

    /// The server's name, as its description gives it.
    pub(crate) fn title(&self) -> &str {
        &self.description.title
    }

    /// Whether the server shows the certificate that the test PKI has for it: that is so unless it is told of none.
    pub(crate) fn shows_our_certificate(&self) -> bool {
        match &self.how {
            How::Process { command, environment } => {
                let values = environment.iter().map(|(_, value)| value);
                command.iter().chain(values).any(|template| template.0.contains("${certificate}"))
            }
            // Certificates are mounted into every container.
            #[cfg(feature = "containers")]
            How::Container { .. } => true,
        }
    }

    /// The server in a configuration that provides all this, and whether it begins with TLS.
    pub(crate) async fn providing(&self, needs: &BTreeSet<Capability>) -> Result<(Arc<Running>, bool), NoEndpoint> {
        let name = self.configuration(needs).ok_or_else(|| {
            let words: Vec<_> = needs.iter().map(|need| need.word()).collect();
            let title = &self.description.title;
            NoEndpoint::Lacks(format!("{}: no configuration of {title} provides it", words.join(", ")))
        })?;
        let running = self.start(name).await.map_err(NoEndpoint::Trouble)?;
        Ok((running, self.provided_by(name).contains(&Capability::ImplicitTls)))
    }

    /// Without needs the one in which TLS is optional: it refuses least, so that most can be asked of it. One with
    /// implicit TLS has no AUTH, and is chosen by nobody who did not ask for it as long as there is another.
    pub(crate) fn configuration(&self, needs: &BTreeSet<Capability>) -> Option<&str> {
        let provides = |name: &&String| needs.iter().all(|need| self.provided_by(name).contains(need));
        let able = self.running.keys().filter(provides);
        able.min_by_key(|name| {
            let provided = self.provided_by(name);
            (provided.contains(&Capability::ImplicitTls), !provided.contains(&Capability::TlsOptional))
        })
        .map(String::as_str)
    }

    #[cfg(feature = "containers")]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.running.keys().map(String::as_str)
    }

    pub(crate) fn provided_by(&self, configuration: &str) -> &[Capability] {
        self.description.configurations.get(configuration).map_or(&[], Vec::as_slice)
    }

    /// The server in one of its configurations, started if it does not run yet.
    pub(crate) async fn start(&self, configuration: &str) -> Result<Arc<Running>, Trouble> {
        let running = self.running[configuration].get_or_try_init(|| async {
            let started = match &self.how {
                How::Process { command, environment } => self.start_process(configuration, command, environment).await,
                #[cfg(feature = "containers")]
                How::Container { image, environment, files } => {
                    self.start_container(configuration, image, environment, files.path()).await
                }
            };
            started.map(Arc::new)
        });
        running.await.cloned()
    }

    async fn start_process(
        &self,
        configuration: &str,
        command: &[Template],
        environment: &[(String, Template)],
    ) -> Result<Running, Trouble> {
        let provides = self.provided_by(configuration);
        let command = command.iter().map(|template| template.0.clone()).collect();
        let options = ProcessOptions {
            environment: filled_later(environment),
            family: self.family,
            user: self.user.clone(),
            password: self.password.reveal().to_owned(),
            implicit_tls: provides.contains(&Capability::ImplicitTls),
            narrow_range: provides.contains(&Capability::NarrowRange),
            log: self.description.log.as_ref().map(|log| log.0.clone()),
            ready: self.description.ready,
            ..ProcessOptions::new(command, configuration, &self.certificates)
        };
        process::start(&options)
            .await
            .map(|process| Running::new(Server::Process(process)))
            .map_err(|error| self.not_started(&error))
    }

    #[cfg(feature = "containers")]
    async fn start_container(
        &self,
        configuration: &str,
        image: &PeerImage,
        environment: &[(String, Template)],
        files: &std::path::Path,
    ) -> Result<Running, Trouble> {
        let provides = self.provided_by(configuration);
        let mut options = StartOptions::new(configuration, &self.certificates, files);
        options.user.clone_from(&self.user);
        self.password.reveal().clone_into(&mut options.password);
        options.family = self.family;
        options.implicit_tls = provides.contains(&Capability::ImplicitTls);
        options.narrow_range = provides.contains(&Capability::NarrowRange);
        options.ready = self.description.ready;
        options.log = self.description.log.as_ref().map(|log| log.0.clone());
        options.environment = filled_later(environment);
        containers::start(image, &options)
            .await
            .map(|peer| Running::new(Server::Container(Box::new(peer))))
            .map_err(|error| self.not_started(&error))
    }

    fn not_started(&self, error: &(dyn std::error::Error + 'static)) -> Trouble {
        Trouble::new(&format!("starting {}", self.description.title), error)
    }

    /// Where the first configuration is that runs, the one in which TLS is optional before others.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let first = self.configuration(&BTreeSet::new()).and_then(|name| self.running[name].get());
        let running = first.or_else(|| self.running.values().find_map(OnceCell::get))?;
        Some(running.address())
    }

    /// Each server that has ended, or does so within this time, though nobody told it to; with its last words.
    pub(crate) async fn fallen(&self, patience: Duration) -> Vec<String> {
        let log = Log::new(Instant::now());
        log.redact(&self.password);
        let mut fallen = Vec::new();
        for (name, running) in &self.running {
            let Some(running) = running.get() else { continue };
            let Some(how) = running.ended_within(patience).await else { continue };
            let configuration = if name == ONLY { String::new() } else { format!(" in its configuration {name}") };
            let (lines, _) = last_words(running.written_since(running.up).await, &log);
            let last = &lines[lines.len().saturating_sub(LAST_WORDS)..];
            let wrote = if last.is_empty() {
                "; it wrote nothing".to_owned()
            } else {
                format!("; its last words:\n{}", last.join("\n"))
            };
            fallen.push(format!(
                "{}{configuration} ended in the midst of the run ({how}){wrote}",
                self.description.title
            ));
        }
        fallen
    }

    /// The version that a running one has told.
    pub(crate) fn version(&self) -> Option<String> {
        self.running.values().find_map(|running| running.get()?.version().map(str::to_owned))
    }
}

#[cfg(feature = "containers")]
impl How {
    async fn container(image: PeerImage, environment: &[(String, Template)], whose: &str) -> Result<Self, Trouble> {
        engine_version().await.map_err(|error| Trouble::new(whose, &error))?;
        let files = tempfile::tempdir().map_err(|error| Trouble::new("a folder for fixtures", &error))?;
        ftpspec_peers::files::write_fixtures(files.path()).map_err(|error| Trouble::new("writing fixtures", &error))?;
        Ok(Self::Container { image, environment: environment.to_vec(), files })
    }
}

#[cfg(feature = "containers")]
fn image_of(name: &str) -> PeerImage {
    match name.parse() {
        Ok(image) => image,
        Err(never) => match never {},
    }
}

/// What `${user}` and `${password}` stand for: words of the description's own, or those of the run.
fn login(described: &DescribedLogin, user: &str, password: &Secret) -> (String, Secret) {
    let fill_in = |template: &Template| template.0.replace("${user}", user).replace("${password}", password.reveal());
    match described {
        DescribedLogin::Described { user, password } => (fill_in(user), Secret::new(&fill_in(password))),
        DescribedLogin::OfTheRun | DescribedLogin::Nobody => (user.to_owned(), password.clone()),
    }
}

fn filled_later(environment: &[(String, Template)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

/// Lines of a server that ended: a panic or a sanitizer's report shows its cause within them.
const LAST_WORDS: usize = 12;

/// The name of the configuration of a server that has no other.
const ONLY: &str = "only";

#[cfg(test)]
mod tests {
    use ftpspec_scenario::load_server_description;
    use ftpspec_scenario::model::Source;

    use super::*;

    #[tokio::test]
    async fn who_needs_nothing_is_not_met_with_implicit_tls() {
        let text =
            "title: x\nstart: {command: [x]}\nconfigurations:\n  a: {provides: [implicit-tls]}\n  b: {provides: []}\n";
        let configurations = described(text).await;
        assert_eq!(configurations.configuration(&BTreeSet::new()), Some("b"));
        assert_eq!(configurations.configuration(&BTreeSet::from([Capability::ImplicitTls])), Some("a"));
    }

    #[tokio::test]
    async fn nobody_logs_in_where_the_description_says_so() {
        let text = "title: x\nstart: {command: [x]}\n";
        assert_eq!(described(text).await.login().map(|(user, _)| user), Some("the run's"));
        assert!(described(&format!("{text}login: none\n")).await.login().is_none());
    }

    async fn described(text: &str) -> Configurations {
        let source = Source { name: "x.yaml".to_owned(), text: text.to_owned() };
        let description = load_server_description(&Arc::new(source)).unwrap();
        let (description, password) = (Arc::new(description), Secret::new("a password"));
        Configurations::described(description, Family::V4, PathBuf::new(), "the run's", &password).await.unwrap()
    }
}
