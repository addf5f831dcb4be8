//! A containerised peer on its own, outside of any run, to point a client at.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ftpspec_peers::Family;
use ftpspec_peers::pki::Pki;
use ftpspec_scenario::model::Capability;
use ftpspec_transcript::Secret;

use crate::configurations::{Configurations, Running};
use crate::error::Trouble;
use crate::subject::{USER, random_word};

/// A containerised peer that was started on its own. Dropping it removes its container.
pub struct StartedPeer {
    peer: Arc<Running>,
    implicit: bool,
    certificate_authority: PathBuf,
    /// Keeps the folder of the fixtures, too.
    configurations: Configurations,
}

impl StartedPeer {
    /// Starts a peer of `docker/` on a Debian suite, in IPv4, with a password of its own; without a configuration the one in
    /// which TLS is optional.
    ///
    /// # Errors
    /// The peer has no such configuration, its image is not there, or it does not come up.
    pub async fn start(peer: &str, suite: &str, configuration: Option<&str>) -> Result<Self, Trouble> {
        let pki = Pki::cached().map_err(|error| Trouble::new("the test PKI", &error))?;
        let password = Secret::new(&random_word()?);
        let configurations =
            Configurations::of_peer(peer, suite, Family::V4, pki.dir().to_owned(), USER, &password).await?;
        let name = match configuration {
            None => configurations.configuration(&BTreeSet::new()),
            Some(wanted) => configurations.names().find(|name| *name == wanted),
        };
        let name = name.ok_or_else(|| {
            let known: Vec<_> = configurations.names().collect();
            Trouble { text: format!("the configurations of {peer} are {}", known.join(", ")) }
        })?;
        let implicit = configurations.provided_by(name).contains(&Capability::ImplicitTls);
        let peer = configurations.start(name).await?;
        let certificate_authority = pki.dir().join("ca.pem");
        Ok(Self { peer, implicit, certificate_authority, configurations })
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

    /// Who may log in, and with which password, which protects nothing but this container; nothing where the peer has no
    /// accounts.
    #[must_use]
    pub fn login(&self) -> Option<(&str, &Secret)> {
        self.configurations.login()
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
