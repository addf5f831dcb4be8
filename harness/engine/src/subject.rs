//! The software under test, and how to reach it in the configuration that a variant needs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ftpspec_net::{Limits, Names};
use ftpspec_peers::Family;
use ftpspec_peers::pki::{self, Pki};
use ftpspec_peers::reference::{FIXTURES_FOLDER, ReferenceServer, ReferenceSettings, SCRATCH_FOLDER};
use ftpspec_play::fixture::FIXTURES;
use ftpspec_scenario::ServerDescription;
use ftpspec_scenario::model::{Capability, Defect, PeerScript, Role};
use ftpspec_scenario::settings::ServerSettings;
use ftpspec_tls::{ClientContext, ClientSettings, Engine, Identity, Suites, TlsError, Trust, Version};
use ftpspec_transcript::Secret;
use ftpspec_wire::reason;
use sha2::{Digest, Sha256};

use crate::client::{DescribedClient, ReadyClient};
use crate::configurations::{Configurations, Running};
use crate::error::Trouble;

/// Which server is under test.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The embedded reference server, with a defect if one is named.
    Reference {
        /// The lie that it tells.
        defect: Option<Arc<Defect>>,
    },
    /// A server in a container, from `docker/NAME`.
    #[cfg(feature = "containers")]
    Container {
        /// The folder's name.
        peer: String,
        /// The Debian suite it is built from.
        suite: String,
        /// Where it listens: on a loopback address of its own, or on `::1`.
        family: Family,
    },
    /// A server that is started as its description tells.
    Described {
        /// The description; one of a server that runs already makes a [`Remote`] instead.
        description: Arc<ServerDescription>,
        /// Whose certificates are accepted; none: those of the test PKI, which the server was handed.
        trust: Option<Trust>,
        /// Where it is to listen: on a loopback address of its own, or on `::1`.
        family: Family,
    },
    /// A server that runs somewhere.
    Remote(Remote),
    /// A client.
    Client(DescribedClient),
}

impl Subject {
    /// The name that reports give the subject.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Reference { defect: None } => "reference".to_owned(),
            Self::Reference { defect: Some(defect) } => format!("reference with {}", defect.name),
            #[cfg(feature = "containers")]
            Self::Container { peer, .. } => peer.clone(),
            Self::Described { description, .. } => description.title.clone(),
            Self::Remote(remote) => remote.surroundings.title.clone().unwrap_or_else(|| remote.host.clone()),
            Self::Client(client) => client.description.title.clone(),
        }
    }

    /// The family in which a peer that is started for the run listens.
    fn family(&self) -> Option<Family> {
        match self {
            Self::Reference { .. } | Self::Remote(_) | Self::Client(_) => None,
            #[cfg(feature = "containers")]
            Self::Container { family, .. } => Some(*family),
            Self::Described { family, .. } => Some(*family),
        }
    }
}

/// A server that runs somewhere, given by address.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its name as the user gave it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Where to connect, if that is not what the name says.
    pub connect_to: Option<SocketAddr>,
    /// TLS from the first octet.
    pub implicit: bool,
    /// Who logs in; none: only scenarios without a login are played.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// Whose certificates are accepted.
    pub trust: Trust,
    /// The client certificate that is shown whenever the server asks for one.
    pub identity: Option<Identity>,
    /// What is known of it besides.
    pub surroundings: Box<Surroundings>,
}

/// What is known of an endpoint that is not ours, as a target file tells it.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The name that reports show, if not the host's.
    pub title: Option<String>,
    /// Paths of fixtures that are there, by name; `any` is some small file.
    pub fixtures: BTreeMap<String, String>,
    /// A folder that may be written, with a `/` at its end.
    pub scratch: Option<String>,
    /// How hard it may be worked.
    pub pace: ftpspec_scenario::Pace,
    /// Where its passive ports are.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// What it is set up to do.
    pub provides: Vec<Capability>,
    /// The TLS versions to test it with; empty is all.
    pub versions: Vec<Version>,
    /// IPv4 or IPv6 only.
    pub family: Option<Family>,
}

impl Remote {
    /// Where to connect: what was said instead of the name, else the name's first address of the family.
    async fn address(&self) -> Result<SocketAddr, Trouble> {
        if let Some(address) = self.connect_to {
            return Ok(address);
        }
        let host = &self.host;
        let mut found = tokio::net::lookup_host((host.as_str(), self.port)).await.map_err(|error| Trouble {
            text: format!(
                "the name {host} cannot be resolved ({}): look at its spelling, or say where to connect (--connect-to)",
                reason(&error)
            ),
        })?;
        let family = self.surroundings.family;
        found.find(|address| family.is_none_or(|family| family.has(address))).ok_or_else(|| Trouble {
            text: format!(
                "{host} has no {} address: leave {} away, or say where to connect (--connect-to)",
                if family == Some(Family::V6) { "IPv6" } else { "IPv4" },
                if family == Some(Family::V6) { "-6" } else { "-4" },
            ),
        })
    }

    /// Reads certificates and keys as the engines will, so that a wrong file is told before anything is sent.
    ///
    /// # Errors
    /// The first of them that an engine cannot use.
    pub fn check(&self) -> Result<(), TlsError> {
        Engine::ALL.into_iter().try_for_each(|engine| {
            let settings = ClientSettings {
                versions: Version::Tls12..=Version::Tls13,
                server_name: self.host.clone(),
                trust: self.trust.clone(),
                identity: self.identity.clone(),
                alpn: Vec::new(),
                suites: Suites::Modern,
                key_log: None,
            };
            ClientContext::new(engine, settings).map(drop)
        })
    }
}

/// What a variant plays against.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) implicit: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Secret,
    pub(crate) server_name: String,
    pub(crate) trust: Trust,
    pub(crate) identities: BTreeMap<String, Identity>,
    /// The certificate that is shown where a scenario names none: an endpoint that wants one wants it always.
    pub(crate) certificate: Option<String>,
    /// Paths of fixtures on the subject.
    pub(crate) fixtures: BTreeMap<String, String>,
    /// The folder that may be written, with a `/` at its end.
    pub(crate) scratch: Option<String>,
    /// The passive ports that it is set up with, if that is known.
    pub(crate) passive_ports: Option<RangeInclusive<u16>>,
    /// Keeps the subject alive, if it is ours.
    pub(crate) reference: Option<ReferenceServer>,
    /// Keeps what was started for the run.
    pub(crate) running: Option<Arc<Running>>,
}

/// Why there is no endpoint for a variant.
pub(crate) enum NoEndpoint {
    /// The subject has no such configuration.
    Lacks(String),
    /// It could not be brought up.
    Trouble(Trouble),
}

/// A subject, made ready: what it is called, and where variants find it.
pub(crate) struct Host {
    pub(crate) subject: Subject,
    pub(crate) pki: Arc<Pki>,
    pub(crate) names: Names,
    /// Where our own peers listen.
    pub(crate) family: Family,
    password: Secret,
    limits: Limits,
    /// Of a subject that is started in one configuration or another.
    configurations: Option<Configurations>,
    /// The client under test, if it is not our own.
    client: Option<ReadyClient>,
}

/// The user of our own peers.
pub(crate) const USER: &str = "ftpspec";

/// SNI, and the name that our own peers' certificates bear.
pub(crate) const OWN_NAME: &str = "localhost";

impl Host {
    pub(crate) async fn new(subject: Subject, limits: Limits) -> Result<Self, Trouble> {
        let pki = Arc::new(Pki::cached().map_err(|error| Trouble::new("the test PKI", &error))?);
        let names = names(&pki)?;
        let password = Secret::new(&random_word()?);
        let certificates = pki.dir().to_owned();
        let family = subject.family().unwrap_or(Family::V4);
        has_loopback(family)?;
        let configurations = match &subject {
            #[cfg(feature = "containers")]
            Subject::Container { peer, suite, .. } => {
                Some(Configurations::of_peer(peer, suite, family, certificates, USER, &password).await?)
            }
            Subject::Described { description, trust, .. } => {
                let described = Arc::clone(description);
                let configurations =
                    Configurations::described(described, family, certificates, USER, &password).await?;
                if trust.is_none() && !configurations.shows_our_certificate() {
                    let title = &description.title;
                    return Err(Trouble {
                        text: format!(
                            "{title} is not handed ${{certificate}} and ${{key}}: hand them on, or say whose certificate it shows (--ca-file)"
                        ),
                    });
                }
                Some(configurations)
            }
            _ => None,
        };
        let client = match &subject {
            Subject::Client(client) => Some(client.ready(pki.dir()).await?),
            _ => None,
        };
        Ok(Self { subject, pki, names, family, password, limits, configurations, client })
    }

    /// From here on the reference server listens in this family.
    pub(crate) fn listens_in(&mut self, family: Family) -> Result<(), Trouble> {
        has_loopback(family)?;
        self.family = family;
        Ok(())
    }

    /// The endpoint that provides what is needed; `engine` is that of our side.
    pub(crate) async fn endpoint(&self, needs: &[Capability], engine: Option<Engine>) -> Result<Endpoint, NoEndpoint> {
        let needs: BTreeSet<_> = needs.iter().copied().filter(|need| need.is_configured()).collect();
        match &self.subject {
            Subject::Reference { defect } => self.reference(defect.as_deref(), &needs, engine),
            #[cfg(feature = "containers")]
            Subject::Container { .. } => self.configured(&needs, None).await,
            Subject::Described { trust, .. } => self.configured(&needs, trust.as_ref()).await,
            Subject::Remote(remote) => remote_endpoint(remote, &needs).await,
            Subject::Client(_) => Err(NoEndpoint::Lacks("the subject is a client".to_owned())),
        }
    }

    fn reference(
        &self,
        defect: Option<&Defect>,
        needs: &BTreeSet<Capability>,
        engine: Option<Engine>,
    ) -> Result<Endpoint, NoEndpoint> {
        let trouble =
            |what: &str, error: &(dyn std::error::Error + 'static)| NoEndpoint::Trouble(Trouble::new(what, error));
        let PeerScript { settings, rules } = defect
            .filter(|defect| defect.role == Role::Server)
            .map_or_else(PeerScript::default, |defect| defect.script.clone());
        let settings = ServerSettings::of(needs, &settings).map_err(|error| trouble("the defect", &error))?;
        // Checked before it starts: a server that greets in the clear is one on an implicit port all the same.
        let implicit = needs.contains(&Capability::ImplicitTls);
        let server = ReferenceServer::start(ReferenceSettings {
            ip: self.family.loopback(),
            port: 0,
            // The engine that we are not, so that each run also crosses the two libraries.
            engine: engine.map_or(Engine::Openssl, Engine::other),
            settings,
            rules,
            user: USER.to_owned(),
            password: self.password.clone(),
            pki: Arc::clone(&self.pki),
            limits: self.limits,
            version: None,
            log: None,
        })
        .map_err(|error| trouble("the reference server", &error))?;
        let endpoint = self.own(server.address(), implicit).map_err(NoEndpoint::Trouble)?;
        Ok(Endpoint { passive_ports: server.passive_ports(), reference: Some(server), ..endpoint })
    }

    /// The subject in a configuration that provides what is needed.
    async fn configured(&self, needs: &BTreeSet<Capability>, trust: Option<&Trust>) -> Result<Endpoint, NoEndpoint> {
        let configurations = self.configurations.as_ref().expect("made with the host");
        let (running, implicit) = configurations.providing(needs).await?;
        let endpoint = self.own(running.address(), implicit).map_err(NoEndpoint::Trouble)?;
        let login = configurations.login();
        Ok(Endpoint {
            user: login.map(|(user, _)| user.to_owned()),
            password: login.map_or_else(|| Secret::new(""), |(_, password)| password.clone()),
            trust: trust.cloned().unwrap_or(endpoint.trust),
            passive_ports: needs.contains(&Capability::NarrowRange).then(|| running.passive_ports()),
            running: Some(running),
            ..endpoint
        })
    }

    /// An endpoint that is ours: its files, user and certificates are known.
    fn own(&self, address: SocketAddr, implicit: bool) -> Result<Endpoint, Trouble> {
        let pki = |error: &(dyn std::error::Error + 'static)| Trouble::new("the test PKI", error);
        let mut identities = BTreeMap::new();
        for name in ["client-a", "client-b", "client-foreign"] {
            identities.insert(name.to_owned(), self.pki.identity(name).map_err(|error| pki(&error))?);
        }
        Ok(Endpoint {
            address,
            implicit,
            user: Some(USER.to_owned()),
            password: self.password.clone(),
            server_name: OWN_NAME.to_owned(),
            trust: Trust::Roots(self.pki.ca_pem().map_err(|error| pki(&error))?),
            identities,
            certificate: None,
            fixtures: fixture_paths(),
            scratch: Some(format!("{SCRATCH_FOLDER}/")),
            passive_ports: None,
            reference: None,
            running: None,
        })
    }

    /// The client under test, if it is not our own.
    pub(crate) fn client(&self) -> Option<&ReadyClient> {
        self.client.as_ref()
    }

    /// The password of our own peers.
    pub(crate) fn password(&self) -> Secret {
        self.password.clone()
    }

    /// Whether the harness must agree with itself here: the subject is our own, and tells no lie.
    pub(crate) fn is_correct_reference(&self) -> bool {
        matches!(self.subject, Subject::Reference { defect: None })
    }

    /// Where a subject is that was started for the run.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.configurations.as_ref().and_then(Configurations::address)
    }

    /// What of it has ended, or does so within this time, though nobody told it to.
    pub(crate) async fn fallen(&self, patience: Duration) -> Vec<String> {
        match &self.configurations {
            Some(configurations) => configurations.fallen(patience).await,
            None => Vec::new(),
        }
    }

    /// Why nobody logs in to this subject, if that is so.
    pub(crate) fn without_login(&self) -> Option<String> {
        if let Subject::Remote(remote) = &self.subject {
            let given = remote.user.is_some() && remote.password.is_some();
            return (!given).then(|| "no user and password were given to log in with".to_owned());
        }
        let configurations = self.configurations.as_ref()?;
        let nobody = configurations.login().is_none();
        nobody.then(|| format!("nobody can log in to {}, as its description says", configurations.title()))
    }

    /// The subject's version, where it tells one.
    pub(crate) fn version(&self) -> Option<String> {
        match &self.subject {
            Subject::Reference { .. } => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Subject::Client(_) => self.client.as_ref().and_then(|client| client.version.clone()),
            _ => self.configurations.as_ref().and_then(Configurations::version),
        }
    }
}

/// Looked at before anything is started, so that it is told once and not by each variant.
fn has_loopback(family: Family) -> Result<(), Trouble> {
    family.check().map_err(|missing| Trouble { text: missing.to_string() })
}

async fn remote_endpoint(remote: &Remote, needs: &BTreeSet<Capability>) -> Result<Endpoint, NoEndpoint> {
    let surroundings = &remote.surroundings;
    for need in needs {
        let provided = match need {
            Capability::ImplicitTls => remote.implicit,
            other => surroundings.provides.contains(other),
        };
        if !provided {
            return Err(NoEndpoint::Lacks(format!("{need}: nothing says that this endpoint is set up so")));
        }
    }
    Ok(Endpoint {
        address: remote.address().await.map_err(NoEndpoint::Trouble)?,
        implicit: remote.implicit,
        // Who has no password is not logged in: an empty one would be a wrong one.
        user: remote.user.clone().filter(|_| remote.password.is_some()),
        password: remote.password.clone().unwrap_or_else(|| Secret::new("")),
        server_name: remote.host.clone(),
        trust: remote.trust.clone(),
        identities: remote.identity.iter().map(|it| ("client-a".to_owned(), it.clone())).collect(),
        certificate: remote.identity.as_ref().map(|_| "client-a".to_owned()),
        fixtures: surroundings.fixtures.clone(),
        scratch: surroundings.scratch.clone(),
        passive_ports: surroundings.passive_ports.clone(),
        reference: None,
        running: None,
    })
}

/// Where our own peers keep the fixtures.
fn fixture_paths() -> BTreeMap<String, String> {
    FIXTURES.iter().map(|fixture| (fixture.name.to_owned(), format!("{FIXTURES_FOLDER}/{}", fixture.file))).collect()
}

/// A fresh path for an upload, in this folder.
pub(crate) fn upload_path(scratch: &str) -> Result<String, Trouble> {
    Ok(format!("{scratch}ftpspec-{}.bin", random_word()?))
}

/// Certificates of the test PKI by their digest.
pub(crate) fn names(pki: &Pki) -> Result<Names, Trouble> {
    let trouble = |error: &(dyn std::error::Error + 'static)| Trouble::new("the test PKI", error);
    let mut known = BTreeMap::new();
    for name in pki::names().map_err(|error| trouble(&error))? {
        let Ok(identity) = pki.identity(&name) else { continue };
        let chain = openssl::x509::X509::stack_from_pem(&identity.chain_pem).map_err(|error| trouble(&error))?;
        if let Some(leaf) = chain.first() {
            known.insert(Sha256::digest(leaf.to_der().map_err(|error| trouble(&error))?).to_vec(), name);
        }
    }
    Ok(Arc::new(move |der: &[u8]| known.get(Sha256::digest(der).as_slice()).cloned()))
}

/// Sixteen hexadecimal digits that nobody can guess.
pub(crate) fn random_word() -> Result<String, Trouble> {
    let mut octets = [0; 8];
    openssl::rand::rand_bytes(&mut octets).map_err(|error| Trouble::new("random octets", &error))?;
    Ok(hex::encode(octets))
}
