//! The test PKI: a root, certificates of servers and clients that it signed, and some that no peer should accept, made
//! from the recipe in `certs/recipe` into a folder of PEM files. The folder is made once for each recipe and user, and
//! found again by later runs.
//!
//! It must never hand out a certificate that is about to expire (but for the one that has to be expired), and its keys
//! protect nothing: they are for tests on loopback.

mod certificate;
mod recipe;

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ftpspec_tls::Identity;
use ftpspec_wire::reason;
use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::x509::X509;
use sha2::{Digest as _, Sha256};

use self::certificate::Made;
use self::recipe::Entry;

/// A folder with `NAME.pem` and `NAME.key` for each certificate of the recipe.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Makes all certificates anew and writes them into `dir`, which is made if need be. Keys are readable to their
    /// owner only.
    ///
    /// # Errors
    /// The folder cannot be written, or OpenSSL refuses to make a key or a certificate.
    pub fn generate(dir: &Path) -> Result<Self, PkiError> {
        let entries = recipe::parse(recipe_text())?;
        fs::create_dir_all(dir).map_err(|error| PkiError::io("make", dir, error))?;
        let mut made: Vec<(&str, Made)> = Vec::new();
        for entry in &entries {
            let certificate = make(entry, &made)?;
            write(&dir.join(format!("{}.pem", entry.name)), &certificate.certificate.to_pem()?, PUBLIC)?;
            write(&dir.join(format!("{}.key", entry.name)), &certificate.key.private_key_to_pem_pkcs8()?, PRIVATE)?;
            made.push((&entry.name, certificate));
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// The PKI of this user and this recipe, in a folder of the system's temporary directory: found, or made now. Runs
    /// that start together may make it each; the first one to finish is kept.
    ///
    /// # Errors
    /// As [`Pki::generate`]; and the folder exists but belongs to somebody else, who could have chosen its keys.
    pub fn cached() -> Result<Self, PkiError> {
        Self::cached_below(&std::env::temp_dir())
    }

    /// The PKI in a folder of the user's: the one that is there, made before, or a new one.
    ///
    /// # Errors
    /// As [`Pki::generate`]; and the folder belongs to somebody else, who could have chosen its keys.
    pub fn in_folder(dir: &Path) -> Result<Self, PkiError> {
        if !dir.join(CA).exists() {
            return Self::generate(dir);
        }
        // Whoever names a link means what it leads to.
        let dir = dir.canonicalize().map_err(|error| PkiError::io("look at", dir, error))?;
        match Self::usable(&dir, rustix::process::geteuid().as_raw())? {
            Some(pki) => Ok(pki),
            None => Self::generate(&dir),
        }
    }

    /// The folder. The private keys are in it: its mode is 0700 where [`Pki::cached`] made it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root that signed `server`, `client-a` and most others, in PEM.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn ca_pem(&self) -> Result<Vec<u8>, PkiError> {
        self.read(CA)
    }

    /// The file of that root.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join(CA)
    }

    /// A certificate and its key by the name it has in the recipe.
    ///
    /// # Errors
    /// The recipe has no such name, or the files cannot be read.
    pub fn identity(&self, name: &str) -> Result<Identity, PkiError> {
        if !names()?.iter().any(|known| known == name) {
            return Err(PkiError::NoSuchName(name.to_owned()));
        }
        Ok(Identity {
            name: name.to_owned(),
            chain_pem: self.read(&format!("{name}.pem"))?,
            key_pem: self.read(&format!("{name}.key"))?,
        })
    }

    fn cached_below(base: &Path) -> Result<Self, PkiError> {
        let user = rustix::process::geteuid().as_raw();
        let digest = hex::encode(Sha256::digest(recipe_text()));
        let dir = base.join(format!("ftpspec-pki-{user}-{}", &digest[..DIGITS_OF_DIGEST]));
        if let Some(pki) = Self::usable(&dir, user)? {
            return Ok(pki);
        }
        let fresh = tempfile::Builder::new()
            .prefix("ftpspec-pki-new-")
            .permissions(fs::Permissions::from_mode(PRIVATE_FOLDER))
            .tempdir_in(base)
            .map_err(|error| PkiError::io("make a folder in", base, error))?;
        Self::generate(fresh.path())?;
        put_in_place(fresh, &dir, base)?;
        Self::usable(&dir, user)?.ok_or(PkiError::Expired(dir))
    }

    /// The PKI in `dir`, unless there is none yet or its days are counted.
    fn usable(dir: &Path, user: u32) -> Result<Option<Self>, PkiError> {
        let owner = match fs::symlink_metadata(dir) {
            Ok(metadata) if metadata.is_dir() => metadata.uid(),
            Ok(_) => return Err(PkiError::NotOurs(dir.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PkiError::io("look at", dir, error)),
        };
        if owner != user {
            return Err(PkiError::NotOurs(dir.to_owned()));
        }
        let pki = Self { dir: dir.to_owned() };
        let soon = Asn1Time::days_from_now(RENEWED_DAYS_BEFORE_EXPIRY)?;
        // All lines of the recipe that expire later than now expire with the root.
        let lasts = X509::from_pem(&pki.ca_pem()?)?.not_after() > &*soon;
        Ok(lasts.then_some(pki))
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, PkiError> {
        let path = self.dir.join(file);
        fs::read(&path).map_err(|error| PkiError::io("read", &path, error))
    }
}

/// The names of the recipe's certificates, in its order.
///
/// # Errors
/// The recipe, which a build embeds, cannot be understood.
pub fn names() -> Result<Vec<String>, PkiError> {
    Ok(recipe::parse(recipe_text())?.into_iter().map(|entry| entry.name).collect())
}

/// Why there is no test PKI.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The recipe cannot be understood.
    #[error("certs/recipe, line {line}: {what}")]
    Recipe {
        /// Counted from 1.
        line: usize,
        /// What was expected there.
        what: String,
    },
    /// No certificate of the recipe has this name.
    #[error("the test PKI has no certificate named {0}")]
    NoSuchName(String),
    /// Somebody else owns the folder, and so may know or have chosen its keys.
    #[error("{} is not a folder of ours: remove it, or set TMPDIR to a folder of your own", .0.display())]
    NotOurs(PathBuf),
    /// What was just made has expired: the clock jumped.
    #[error("the certificates in {} expire too soon: is the clock right?", .0.display())]
    Expired(PathBuf),
    /// OpenSSL could not make or read a key or certificate.
    #[error("make a certificate: {0}")]
    Openssl(#[from] ErrorStack),
    /// A file or folder could not be read or written.
    #[error("{act} {}: {}", path.display(), reason(.source))]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl PkiError {
    fn io(act: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { act, path: path.to_owned(), source }
    }
}

fn make(entry: &Entry, made: &[(&str, Made)]) -> Result<Made, PkiError> {
    let issuer = match &entry.issuer {
        None => None,
        // The recipe's parser has seen to it that the issuer stands above.
        Some(name) => {
            let found = made.iter().find(|(known, _)| known == name);
            Some(&found.ok_or_else(|| PkiError::NoSuchName(name.clone()))?.1)
        }
    };
    Ok(certificate::make(entry, issuer)?)
}

fn write(path: &Path, octets: &[u8], mode: u32) -> Result<(), PkiError> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| io::Write::write_all(&mut file, octets))
        .map_err(|error| PkiError::io("write", path, error))
}

/// Moves a whole new folder to its final name, so that nobody ever sees half of one. Where another process was faster
/// its folder stays, and ours goes.
fn put_in_place(fresh: tempfile::TempDir, dir: &Path, base: &Path) -> Result<(), PkiError> {
    if fs::rename(fresh.path(), dir).is_ok() {
        // The name it would remove is gone: nothing is left to be tidied up.
        let _ = fresh.keep();
        return Ok(());
    }
    // A folder stands there: it expires soon, or was put there this very moment. Moving it away is as atomic.
    if Pki::usable(dir, rustix::process::geteuid().as_raw())?.is_some() {
        return Ok(());
    }
    let old = tempfile::Builder::new()
        .prefix("ftpspec-pki-old-")
        .tempdir_in(base)
        .map_err(|error| PkiError::io("make a folder in", base, error))?;
    // Both renames may lose against another process that renews the same folder; the caller looks at what is there.
    let _ = fs::rename(dir, old.path().join("pki"));
    if fs::rename(fresh.path(), dir).is_ok() {
        let _ = fresh.keep();
    }
    Ok(())
}

fn recipe_text() -> &'static str {
    let file = ftpspec_data::file("certs/recipe").expect("the build embeds it");
    std::str::from_utf8(file.octets).expect("it is ASCII, which a test below holds it to")
}

/// A run may last, and a peer that was started may live, this much longer than the look at the folder.
const RENEWED_DAYS_BEFORE_EXPIRY: u32 = 30;

/// The root's file.
const CA: &str = "ca.pem";

/// Enough of the recipe's digest that no two recipes share a folder.
const DIGITS_OF_DIGEST: usize = 16;

/// Certificates are for everybody: a peer may read them under an account of its own.
const PUBLIC: u32 = 0o644;

/// Keys are for their owner; a peer that runs under another account makes a copy while it is still root.
const PRIVATE: u32 = 0o600;

/// The folder that is found again by later runs; without this its mode would follow the umask.
const PRIVATE_FOLDER: u32 = 0o700;

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::pkey::PKey;
    use openssl::stack::Stack;
    use openssl::x509::store::X509StoreBuilder;
    use openssl::x509::verify::X509VerifyParam;
    use openssl::x509::{X509StoreContext, X509StoreContextRef};

    #[test]
    fn every_line_of_the_recipe_becomes_a_certificate_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::generate(dir.path()).unwrap();
        for name in names().unwrap() {
            let identity = pki.identity(&name).unwrap();
            let certificate = X509::from_pem(&identity.chain_pem).unwrap();
            let key = PKey::private_key_from_pem(&identity.key_pem).unwrap();
            assert!(certificate.public_key().unwrap().public_eq(&key), "{name}");
            assert_eq!(key.rsa().unwrap().size(), 256, "{name}");
            assert_eq!(fs::metadata(dir.path().join(format!("{name}.key"))).unwrap().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn only_the_right_server_certificates_verify_for_localhost() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::generate(dir.path()).unwrap();
        for (name, right) in [
            ("server", true),
            ("server-other", true),
            ("server-by-name", true),
            ("server-wrong-name", false),
            ("server-expired", false),
            ("server-foreign-ca", false),
        ] {
            assert_eq!(verifies(&pki, "ca.pem", name, Some("localhost")), right, "{name}");
        }
        assert!(!verifies(&pki, "ca.pem", "server-by-name", Some("127.0.0.1")));
        assert!(verifies(&pki, "ca.pem", "client-a", None));
        assert!(verifies(&pki, "ca.pem", "client-b", None));
        assert!(!verifies(&pki, "ca.pem", "client-foreign", None));
        assert!(verifies(&pki, "foreign-ca.pem", "client-foreign", None));
        assert!(verifies(&pki, "foreign-ca.pem", "server-foreign-ca", Some("localhost")));
        assert!(verifies(&pki, "ca.pem", "server-wrong-name", Some("elsewhere.test")));
    }

    #[test]
    fn a_name_that_the_recipe_lacks_is_an_error_that_says_it() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki { dir: dir.path().to_owned() };
        let error = pki.identity("../ca").unwrap_err();
        assert_eq!(error.to_string(), "the test PKI has no certificate named ../ca");
    }

    #[test]
    fn runs_that_start_together_end_up_with_one_pki() {
        let base = tempfile::tempdir().unwrap();
        let roots: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..3).map(|_| scope.spawn(|| Pki::cached_below(base.path()).unwrap().ca_pem().unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(roots.iter().all(|root| *root == roots[0]));
        let left: Vec<_> = fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(fs::metadata(base.path().join(&left[0])).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_pki_that_expires_soon_is_made_anew() {
        let base = tempfile::tempdir().unwrap();
        let first = Pki::cached_below(base.path()).unwrap();
        let expired = first.read("server-expired.pem").unwrap();
        fs::write(first.dir().join("ca.pem"), &expired).unwrap();
        let second = Pki::cached_below(base.path()).unwrap();
        assert_eq!(second.dir(), first.dir());
        assert_ne!(second.ca_pem().unwrap(), expired);
        assert!(verifies(&second, "ca.pem", "server", Some("localhost")));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1, "the old one is gone");
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_ours() {
        let base = tempfile::tempdir().unwrap();
        let real = Pki::cached_below(base.path()).unwrap().dir().to_owned();
        let elsewhere = base.path().join("elsewhere");
        fs::rename(&real, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &real).unwrap();
        assert!(matches!(Pki::cached_below(base.path()), Err(PkiError::NotOurs(_))));
    }

    #[test]
    fn the_embedded_recipe_is_ascii() {
        assert!(ftpspec_data::file("certs/recipe").unwrap().octets.is_ascii());
    }

    fn verifies(pki: &Pki, root: &str, name: &str, host: Option<&str>) -> bool {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(X509::from_pem(&pki.read(root).unwrap()).unwrap()).unwrap();
        if let Some(host) = host {
            let mut wanted = X509VerifyParam::new().unwrap();
            wanted.set_host(host).unwrap();
            store.set_param(&wanted).unwrap();
        }
        let certificate = X509::from_pem(&pki.read(&format!("{name}.pem")).unwrap()).unwrap();
        let others = Stack::new().unwrap();
        X509StoreContext::new()
            .unwrap()
            .init(&store.build(), &certificate, &others, X509StoreContextRef::verify_cert)
            .unwrap()
    }
}
