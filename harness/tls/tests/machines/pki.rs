//! Certificates for these tests, made once for the process.

use std::sync::LazyLock;

use ftpspec_tls::{Engine, Identity};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

pub struct Pki {
    /// The certificate that all others but the stranger's chain to.
    pub root: Vec<u8>,
    pub server: Identity,
    /// Another certificate of the same server.
    pub server_renewed: Identity,
    pub client_a: Identity,
    pub client_b: Identity,
    /// Certificate and root of somebody else.
    pub stranger: Identity,
    pub stranger_root: Vec<u8>,
}

pub static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let ca = Authority::new("ftpspec test CA");
    let other = Authority::new("somebody else's CA");
    Pki {
        root: ca.pem(),
        // RSA, for the key exchange of old clients.
        server: ca.issue("server", &rsa_key()),
        // RSA again: a session of TLS 1.2 belongs to a suite, and the suite to the kind of key.
        server_renewed: ca.issue("server-renewed", &rsa_key()),
        client_a: ca.issue("client-a", &ec_key()),
        client_b: ca.issue("client-b", &ec_key()),
        stranger: other.issue("stranger", &ec_key()),
        stranger_root: other.pem(),
    }
});

/// The four ways to put two engines at the two ends.
pub fn each_pair() -> impl Iterator<Item = (Engine, Engine)> {
    Engine::ALL.into_iter().flat_map(|client| Engine::ALL.into_iter().map(move |server| (client, server)))
}

struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = ec_key();
        let subject = subject(name);
        let mut builder = certificate(&subject, &subject, &key);
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    fn issue(&self, name: &str, key: &PKey<Private>) -> Identity {
        let mut builder = certificate(&subject(name), self.certificate.subject_name(), key);
        builder.append_extension(BasicConstraints::new().critical().build().unwrap()).unwrap();
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .ip("127.0.0.1")
            .build(&builder.x509v3_context(Some(&self.certificate), None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Identity {
            name: name.to_owned(),
            chain_pem: [builder.build().to_pem().unwrap(), self.pem()].concat(),
            key_pem: key.private_key_to_pem_pkcs8().unwrap(),
        }
    }
}

fn certificate(subject: &X509Name, issuer: &openssl::x509::X509NameRef, key: &PKey<Private>) -> X509Builder {
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    builder
}

fn subject(name: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder.build()
}

fn ec_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn rsa_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}
