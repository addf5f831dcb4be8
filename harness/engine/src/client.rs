//! A client under test: our own server is made ready as the scenario has it, the client is asked for something, and what
//! the server saw is the log. What the client made of it stands there too: how it ended, and what it kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use ftpspec_net::Limits;
use ftpspec_peers::Family;
use ftpspec_peers::clients::{ClientProgram, Errand, How, Outcome, ReferenceClient, Workplace};
use ftpspec_peers::reference::{Fired, ReferenceServer, ReferenceSettings, SessionLogs};
use ftpspec_results::Verdict;
use ftpspec_scenario::model::{Capability, ClientRequest, Defect, Demand, Expectation, Role, Source, Variant};
use ftpspec_scenario::settings::ServerSettings;
use ftpspec_scenario::{ClientDescription, load_client_description};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, Event, Log, What};
use tempfile::TempDir;

use crate::error::Trouble;
use crate::judge::{Judgement, judge};
use crate::stage::{Stage, concluded, engine};
use crate::subject::{Subject, USER};

/// A client that is a program, as its description tells.
#[derive(Debug, Clone)]
pub struct DescribedClient {
    /// The description.
    pub description: Arc<ClientDescription>,
    here: Here,
}

/// Where the files stand that a description names by `${here}`.
#[derive(Debug, Clone)]
enum Here {
    Folder(PathBuf),
    /// What is embedded, written out for as long as somebody needs it: programs are files.
    Unpacked(Arc<TempDir>),
}

impl DescribedClient {
    /// A client of the user's own: what it names by `${here}` stands in this folder.
    #[must_use]
    pub fn new(description: ClientDescription, folder: PathBuf) -> Self {
        Self { description: Arc::new(description), here: Here::Folder(folder) }
    }

    /// A client whose description is part of this program; none if there is none of that name. With a Debian suite it is
    /// the one that the image `clients` of that suite holds, else the one that is installed.
    ///
    /// # Errors
    /// If the scripts beside it cannot be written out.
    ///
    /// # Panics
    /// If an embedded description cannot be read, which a test does.
    pub fn embedded(name: &str, suite: Option<&str>) -> io::Result<Option<Self>> {
        let Some(file) = ftpspec_data::file(&format!("{CLIENTS}{name}.yaml")) else { return Ok(None) };
        let text = String::from_utf8_lossy(file.octets).into_owned();
        let source = Arc::new(Source { name: file.path.to_owned(), text });
        let mut description = load_client_description(&source).expect("a test reads it");
        description.container = suite.map(|suite| format!("{IMAGE}:{suite}"));
        let folder = tempfile::Builder::new().prefix("ftpspec-clients-").tempdir()?;
        for file in ftpspec_data::below(CLIENTS) {
            let name = file.path.strip_prefix(CLIENTS).expect("it lies below");
            fs::write(folder.path().join(name), file.octets)?;
        }
        Ok(Some(Self { description: Arc::new(description), here: Here::Unpacked(Arc::new(folder)) }))
    }

    /// The names of the clients whose descriptions are part of this program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ftpspec_data::below(CLIENTS).filter_map(|file| file.path.strip_prefix(CLIENTS)?.strip_suffix(".yaml"))
    }

    /// Makes the place ready in which it runs, finds its program there, and asks it for its version.
    pub(crate) async fn ready(&self, certificates: &Path) -> Result<ReadyClient, Trouble> {
        let title = &self.description.title;
        let made = match &self.description.container {
            None => Workplace::here(),
            Some(image) => {
                is_built(image).await.map_err(|error| Trouble::new(title, &*error))?;
                Workplace::in_containers(image, &[&self.here(), certificates])
            }
        };
        let program = ClientProgram {
            description: (*self.description).clone(),
            here: self.here(),
            certificates: certificates.to_owned(),
            limit: Duration::ZERO,
            place: Arc::new(made.map_err(|error| Trouble::new(title, &error))?),
        };
        let asked =
            tokio::task::spawn_blocking(move || program.is_there().map(|()| (program.version(), program))).await;
        let asked = asked.map_err(|error| Trouble::new(title, &error))?;
        let (version, program) = asked.map_err(|error| Trouble::new(title, &error))?;
        Ok(ReadyClient { program, version })
    }

    fn here(&self) -> PathBuf {
        match &self.here {
            Here::Folder(folder) => folder.clone(),
            Here::Unpacked(folder) => folder.path().to_owned(),
        }
    }
}

/// A client that can be asked.
pub(crate) struct ReadyClient {
    program: ClientProgram,
    /// What it says of its version.
    pub(crate) version: Option<String>,
}

impl ReadyClient {
    fn description(&self) -> &ClientDescription {
        &self.program.description
    }
}

/// Looks whether an image is there; what dead runs have left running is ended before.
#[cfg(feature = "containers")]
async fn is_built(image: &str) -> Result<(), Box<dyn std::error::Error>> {
    use ftpspec_peers::containers::{ContainerError, PeerImage, has_image, sweep};

    let image: PeerImage = image.parse()?;
    if !has_image(&image).await? {
        return Err(Box::new(ContainerError::NoImage { image }));
    }
    sweep().await?;
    Ok(())
}

#[cfg(not(feature = "containers"))]
async fn is_built(_: &str) -> Result<(), Box<dyn std::error::Error>> {
    Err("this ftpspec was built without containers".into())
}

/// What came of asking a client, besides its log.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// How often a rule of the scenario has fired.
    pub(crate) rules_fired: usize,
    /// How often each rule of the reference client's defect has fired.
    pub(crate) lies_told: Vec<usize>,
}

/// How long our own client waits for a server in the same process, where a scenario leaves it waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same, where scenarios pause for two seconds before they go on: longer than a server waits for a client that is
/// known to lie, so that who gives up first is no chance.
const LONG_PATIENCE: Duration = Duration::from_secs(4);

/// Where embedded descriptions of clients lie.
const CLIENTS: &str = "fixtures/clients/";

/// The image with all embedded clients in it.
const IMAGE: &str = "localhost/ftpspec-clients";

impl Stage {
    /// Why a client scenario is not played with this subject; what is said is a verdict and its reason.
    pub(crate) fn client_obstacle(&self, variant: &Variant) -> Option<(Verdict, String)> {
        let skip = |reason: String| Some((Verdict::Skip, reason));
        if variant.needs.contains(&Capability::Pasv) && self.host.family == Family::V6 {
            return skip("capability: PASV and PORT have no form for IPv6 addresses".to_owned());
        }
        let (request, description) = (variant.client.as_ref()?, self.host.client()?.description());
        if !description.actions.contains_key(&request.action) {
            return skip(format!("capability: the client has no way to do `{}`", request.action));
        }
        if request.demands_tls.is_some_and(|demand| !description.demands_tls(demand)) {
            return skip("capability: the client cannot be told to insist on TLS".to_owned());
        }
        None
    }

    /// Makes our server ready, asks the client, and logs what comes of it. None, if `stop` came first.
    pub(crate) async fn ask_client(
        &self,
        variant: &Variant,
        request: &ClientRequest,
        log: &Arc<Log>,
        stop: impl Future<Output = ()>,
    ) -> Option<Asked> {
        log.redact(&self.host.password());
        log.call(USER, "{user}");
        let ours = engine(variant).unwrap_or(Engine::Openssl);
        let server = match self.server_for(variant, ours, log) {
            Ok(server) => server,
            Err(text) => {
                log.push(None, By::Us, What::Trouble { text });
                return Some(Asked::default());
            }
        };
        let errand = Errand {
            action: request.action.clone(),
            files: request.files.clone(),
            address: server.address(),
            user: USER.to_owned(),
            password: self.host.password(),
        };
        log.push(None, By::Us, What::Asked { action: errand.action.clone(), files: errand.files.clone() });
        let began = Instant::now();
        let lied = Fired::of(self.client_defect().map_or(&[][..], |defect| &defect.script.rules));
        let outcome = self.send_client(&server, errand, ours.other(), &lied, stop).await?;
        // The wait for our own server is none of the client's time.
        let after = began.elapsed();
        match outcome {
            Ok(outcome) => {
                // What it sent before it ended is still on its way.
                _ = tokio::time::timeout(self.limits.data, server.is_left()).await;
                tell(log, outcome, after);
            }
            Err(text) => log.push(None, By::Us, What::Trouble { text }),
        }
        Some(Asked { rules_fired: server.fired(), lies_told: lied.each() })
    }

    fn server_for(&self, variant: &Variant, engine: Engine, log: &Arc<Log>) -> Result<ReferenceServer, String> {
        let script = variant.server.clone().unwrap_or_default();
        let settings = ServerSettings::of(&variant.needs, &script.settings).map_err(|error| error.to_string())?;
        let chosen = variant.choices.iter().find(|(axis, _)| axis == "version");
        ReferenceServer::start(ReferenceSettings {
            ip: self.host.family.loopback(),
            port: 0,
            engine,
            version: chosen.and_then(|(_, word)| word.parse().ok()),
            settings,
            rules: script.rules,
            user: USER.to_owned(),
            password: self.host.password(),
            pki: Arc::clone(&self.host.pki),
            limits: self.limits,
            log: Some(SessionLogs::Common(Arc::clone(log), Arc::clone(&self.host.names))),
        })
        .map_err(|error| format!("the reference server: {error}"))
    }

    async fn send_client(
        &self,
        server: &ReferenceServer,
        errand: Errand,
        engine: Engine,
        lied: &Fired,
        stop: impl Future<Output = ()>,
    ) -> Option<Result<Outcome, String>> {
        let limit = self.limits.client;
        match self.host.client() {
            None => {
                let client = ReferenceClient {
                    address: server.address(),
                    engine,
                    version: None::<Version>,
                    pki: Arc::clone(&self.host.pki),
                    defect: self.client_defect().map(|defect| defect.script.clone()).unwrap_or_default(),
                    fired: lied.clone(),
                    limits: Limits {
                        connect: self.limits.connect.min(PATIENCE),
                        clear: self.limits.clear.min(PATIENCE),
                        handshake: self.limits.handshake.min(LONG_PATIENCE),
                        reply: LONG_PATIENCE,
                        data: LONG_PATIENCE,
                        ..self.limits
                    },
                };
                tokio::select! {
                    run = tokio::time::timeout(limit, client.run(&errand)) => Some(run.unwrap_or_else(|_| Ok(hung()))),
                    () = stop => None,
                }
            }
            Some(client) => {
                let program = ClientProgram { limit, ..client.program.clone() };
                let ends = Arc::new(AtomicBool::new(false));
                let end = Arc::clone(&ends);
                let mut running = tokio::task::spawn_blocking(move || program.run(&errand, &end));
                tokio::select! {
                    run = &mut running => Some(match run {
                        Ok(run) => run.map_err(|error| error.to_string()),
                        Err(error) => Err(error.to_string()),
                    }),
                    () = stop => {
                        ends.store(true, Ordering::Relaxed);
                        // It ends the program before it returns.
                        _ = running.await;
                        None
                    }
                }
            }
        }
    }

    /// The lie that the reference client tells.
    fn client_defect(&self) -> Option<&Defect> {
        match &self.host.subject {
            Subject::Reference { defect } => defect.as_deref().filter(|defect| defect.role == Role::Client),
            _ => None,
        }
    }
}

/// The verdict on a client that was asked. One that never came to what the scenario is about has shown nothing, but for
/// what no client may ever do.
pub(crate) fn judge_client(events: &[Event], variant: &Variant, fired: usize) -> Judgement {
    let judgement = judge(events, variant);
    let has_rules = variant.server.as_ref().is_some_and(|server| !server.rules.is_empty());
    if !has_rules || fired > 0 || judgement.verdict == Verdict::Error {
        return judgement;
    }
    let is_never = |expectation: &Expectation| matches!(expectation.demand, Demand::Never(_));
    let forbidden = variant.expect.iter().filter(|it| is_never(it)).cloned().collect();
    let broken = judge(events, &Variant { expect: forbidden, ..variant.clone() });
    if broken.verdict != Verdict::Pass {
        return broken;
    }
    let succeeded = |event: &Event| matches!(event.what, What::Ended { how, .. } if how == How::Succeeded.word());
    if events.iter().any(succeeded) {
        let rules = variant.server.iter().flat_map(|server| &server.rules).map(|rule| rule.on.as_str());
        let rules = rules.collect::<Vec<_>>().join(", ");
        return concluded(Verdict::Skip, format!("not-exercised: the client never came to {rules}"));
    }
    concluded(Verdict::Untestable, "prerequisite: the client failed before it came to what this is about".to_owned())
}

fn tell(log: &Log, outcome: Outcome, after: Duration) {
    let Outcome { how, status, said, fetched } = outcome;
    log.push(None, By::Us, What::Ended { how: how.word(), status, said, after });
    for file in fetched {
        log.push(None, By::Us, What::Fetched { name: file.name, octets: file.octets, sha256: file.sha256 });
    }
}

/// The reference client, given up.
fn hung() -> Outcome {
    Outcome { how: How::Hung, status: "given up".to_owned(), said: String::new(), fetched: Vec::new() }
}
