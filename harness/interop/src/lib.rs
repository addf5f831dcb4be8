//! libunftp as a whole FTP server: the peer that ftpspec did not write and that needs no container. Tests run it inside
//! their own process, and as the program `unftpd`. It is set up here and nowhere else, and it is never made to look better
//! than it is: what it does is libunftp's doing.

use std::error::Error;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use libunftp::ServerBuilder;
use libunftp::options::{ActivePassiveMode, FtpsClientAuth, FtpsRequired, TlsFlags};
use unftp_core::auth::{AuthenticationError, Authenticator, Credentials, Principal};
use unftp_sbe_fs::Filesystem;

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it accepts control connections.
    pub address: SocketAddr,
    /// The ports for passive data connections, both ends included.
    pub passive_ports: RangeInclusive<u16>,
    /// The folder that it serves.
    pub root: PathBuf,
    /// Its certificate with the chain, in PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, in PEM.
    pub key: PathBuf,
    /// Who may log in.
    pub user: String,
    /// Their password.
    pub password: String,
    /// Whether login and data need TLS.
    pub tls_required: bool,
    /// Whose client certificates are accepted, in PEM; one is demanded if this is given.
    pub client_ca: Option<PathBuf>,
}

/// Serves until the future is dropped. TLS is 1.2 and 1.3; libunftp itself would speak 1.2 alone.
///
/// # Errors
/// A file cannot be read, or the address not be listened on.
pub async fn serve(settings: Settings) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Settings { address, passive_ports, root, certificate, key, user, password, tls_required, client_ca } = settings;
    // Asked for once in each session: now it says whether the folder can be served at all.
    Filesystem::new(&root)?;
    let files = Box::new(move || Filesystem::new(&root).expect("the folder was opened before"));
    let required = if tls_required { FtpsRequired::All } else { FtpsRequired::None };
    let mut builder = ServerBuilder::with_authenticator(files, Arc::new(OnlyUser { user, password }))
        .ftps(certificate, key)
        .ftps_required(required, required)
        .ftps_tls_flags(TlsFlags::LATEST_VERSIONS | TlsFlags::RESUMPTION_SESS_ID | TlsFlags::RESUMPTION_TICKETS)
        .active_passive_mode(ActivePassiveMode::ActiveAndPassive)
        .passive_ports(passive_ports);
    if let Some(ca) = client_ca {
        builder = builder.ftps_client_auth(FtpsClientAuth::Require).ftps_trust_store(ca);
    }
    Ok(builder.build()?.listen(address.to_string()).await?)
}

/// Lets one user in.
#[derive(Debug)]
struct OnlyUser {
    user: String,
    password: String,
}

#[async_trait::async_trait]
impl Authenticator for OnlyUser {
    async fn authenticate(&self, user: &str, shown: &Credentials) -> Result<Principal, AuthenticationError> {
        if user != self.user {
            return Err(AuthenticationError::BadUser);
        }
        if shown.password.as_deref() != Some(&self.password) {
            return Err(AuthenticationError::BadPassword);
        }
        Ok(Principal { username: user.to_owned() })
    }
}
