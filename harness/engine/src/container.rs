//! Containers of one peer, one for each configuration that a run needs, started when the first variant asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ftpspec_peers::containers::{PeerImage, RunningPeer, StartOptions, engine_version, start};
use ftpspec_peers::pki::Pki;
use ftpspec_scenario::model::{Capability, Source};
use ftpspec_scenario::{ServerDescription, Start, load_server_description};
use ftpspec_transcript::Secret;
use tokio::sync::OnceCell;

use crate::error::Trouble;
use crate::subject::{NoEndpoint, USER, random_word, write_fixtures};

/// The passive range of the configuration that has a narrow one.
pub(crate) const NARROW_RANGE: std::ops::RangeInclusive<u16> = 40_000..=40_003;

/// A containerised peer that was started on its own, to point a client at. Dropping it removes its container.
pub struct StartedPeer {
    peer: Arc<RunningPeer>,
    password: Secret,
    implicit: bool,
    certificate_authority: PathBuf,
    /// Keeps the folder of the fixtures.
    _containers: Containers,
}

impl StartedPeer {
    /// Starts a peer of `docker/` on a Debian suite, with a password of its own; without a configuration the one in
    /// which TLS is optional.
    ///
    /// # Errors
    /// The peer has no such configuration, its image is not there, or it does not come up.
    pub async fn start(peer: &str, suite: &str, configuration: Option<&str>) -> Result<Self, Trouble> {
        let pki = Pki::cached().map_err(|error| Trouble::new("the test PKI", &error))?;
        let password = Secret::new(&random_word()?);
        let containers = Containers::new(peer, suite, pki.dir(), USER, &password).await?;
        let configurations = &containers.description.configurations;
        let name = match configuration {
            None => containers.configuration(&BTreeSet::new()).cloned(),
            Some(name) => configurations.contains_key(name).then(|| name.to_owned()),
        };
        let name = name.ok_or_else(|| {
            let known: Vec<_> = configurations.keys().map(String::as_str).collect();
            Trouble { text: format!("the configurations of {peer} are {}", known.join(", ")) }
        })?;
        let implicit = configurations[&name].contains(&Capability::ImplicitTls);
        let peer = containers.start(&name).await?;
        let certificate_authority = pki.dir().join("ca.pem");
        Ok(Self { peer, password, implicit, certificate_authority, _containers: containers })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.peer.address()
    }

    /// Whether TLS begins with the first octet.
    #[must_use]
    pub fn implicit(&self) -> bool {
        self.implicit
    }

    /// Who may log in.
    #[must_use]
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Their password. It protects nothing but this container.
    #[must_use]
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The certificate, in PEM, of the authority that signed the peer's own, which is for the name `localhost`.
    #[must_use]
    pub fn certificate_authority(&self) -> &Path {
        &self.certificate_authority
    }

    /// The version of the server's package, where its image tells it.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.peer.version()
    }
}

pub(crate) struct Containers {
    image: PeerImage,
    description: ServerDescription,
    certificates: PathBuf,
    files: tempfile::TempDir,
    user: String,
    password: Secret,
    running: BTreeMap<String, OnceCell<Arc<RunningPeer>>>,
}

impl Containers {
    pub(crate) async fn new(
        peer: &str,
        suite: &str,
        certificates: &Path,
        user: &str,
        password: &Secret,
    ) -> Result<Self, Trouble> {
        engine_version().await.map_err(|error| Trouble::new(&format!("peer:{peer}"), &error))?;
        let path = format!("docker/{peer}/peer.yaml");
        let file = ftpspec_data::file(&path)
            .ok_or_else(|| Trouble { text: format!("there is no peer {peer}; `ftpspec peers` lists them") })?;
        let source = Source { name: path, text: String::from_utf8_lossy(file.octets).into_owned() };
        let description = load_server_description(&Arc::new(source)).map_err(|diagnostics| Trouble {
            text: diagnostics.first().map_or_else(String::new, ftpspec_scenario::Diagnostic::plain),
        })?;
        let files = tempfile::tempdir().map_err(|error| Trouble::new("a folder for fixtures", &error))?;
        write_fixtures(files.path()).map_err(|error| Trouble::new("writing fixtures", &error))?;
        let running = description.configurations.keys().map(|name| (name.clone(), OnceCell::new())).collect();
        Ok(Self {
            image: PeerImage::built_here(peer, suite),
            description,
            certificates: certificates.to_owned(),
            files,
            user: user.to_owned(),
            password: password.clone(),
            running,
        })
    }

    /// A container in a configuration that provides all this, and whether it begins with TLS.
    pub(crate) async fn providing(&self, needs: &BTreeSet<Capability>) -> Result<(Arc<RunningPeer>, bool), NoEndpoint> {
        let name = self.configuration(needs).ok_or_else(|| {
            let words: Vec<_> = needs.iter().map(|need| need.word()).collect();
            NoEndpoint::Lacks(format!(
                "{}: no configuration of {} provides it",
                words.join(", "),
                self.description.title
            ))
        })?;
        let implicit = self.description.configurations[name].contains(&Capability::ImplicitTls);
        let peer = self.running[name].get_or_try_init(|| self.start(name)).await.map_err(NoEndpoint::Trouble)?;
        Ok((Arc::clone(peer), implicit))
    }

    /// Without needs the one in which TLS is optional: it refuses least, so that most can be asked of it.
    fn configuration(&self, needs: &BTreeSet<Capability>) -> Option<&String> {
        let provides = |capabilities: &Vec<Capability>| needs.iter().all(|need| capabilities.contains(need));
        let mut able: Vec<_> =
            self.description.configurations.iter().filter(|(_, capabilities)| provides(capabilities)).collect();
        able.sort_by_key(|(_, capabilities)| !capabilities.contains(&Capability::TlsOptional));
        able.first().map(|(name, _)| *name)
    }

    async fn start(&self, configuration: &str) -> Result<Arc<RunningPeer>, Trouble> {
        let mut options = StartOptions::new(configuration, &self.certificates, self.files.path());
        options.user.clone_from(&self.user);
        self.password.reveal().clone_into(&mut options.password);
        let provides = &self.description.configurations[configuration];
        options.implicit_tls = provides.contains(&Capability::ImplicitTls);
        if provides.contains(&Capability::NarrowRange) {
            options.passive_ports = NARROW_RANGE;
        }
        options.ready = self.description.ready;
        options.log = self.description.log.as_ref().map(|log| log.0.clone());
        if let Start::Container { env, .. } = &self.description.start {
            options.environment = env.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
        }
        let peer = start(&self.image, &options).await;
        peer.map(Arc::new).map_err(|error| Trouble::new(&format!("starting {}", self.description.title), &error))
    }

    /// The version of the package, once a container has told it.
    pub(crate) fn version(&self) -> Option<String> {
        self.running.values().find_map(|peer| peer.get()?.version().map(str::to_owned))
    }
}
