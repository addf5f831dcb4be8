//! The certificates that this system trusts, for servers that are not ours. It only finds the file: what is in it is
//! for the TLS engines to read.

use std::path::{Path, PathBuf};

use ftpspec_tls::Trust;

use crate::error::Trouble;

/// Trust in whom the system trusts: the file that `SSL_CERT_FILE` names, else the first of the places where Linux
/// distributions keep it.
///
/// # Errors
/// No such file is there, or it cannot be read.
pub fn system_trust() -> Result<Trust, Trouble> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let found = named.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()));
    let path = found.ok_or_else(|| Trouble {
        text: format!("the system's certificates are in none of {}; name a file of your own", BUNDLES.join(", ")),
    })?;
    trust_in(&path)
}

fn trust_in(path: &Path) -> Result<Trust, Trouble> {
    match std::fs::read(path) {
        Ok(pem) => Ok(Trust::Roots(pem)),
        Err(error) => Err(Trouble::new(&format!("the system's certificates in {}", path.display()), &error)),
    }
}

/// Debian and its kin, Fedora and its kin, openSUSE, Alpine and the BSDs.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_told_by_its_name() {
        let trouble = trust_in(Path::new("no/such/file.pem")).unwrap_err();
        assert!(trouble.text.starts_with("the system's certificates in no/such/file.pem: "), "{trouble}");
    }

    #[test]
    fn a_file_is_trusted_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "PEM").unwrap();
        assert_eq!(trust_in(&path), Ok(Trust::Roots(b"PEM".to_vec())));
    }
}
