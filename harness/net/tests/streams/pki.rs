//! The certificates of these tests, made once for the process.

use std::sync::LazyLock;

use ftpspec_tls::Identity;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};

/// A server's identity; its certificate is its own root.
pub static SERVER: LazyLock<Identity> = LazyLock::new(|| self_signed("server"));

/// Somebody whom nobody here trusts.
pub static STRANGER: LazyLock<Identity> = LazyLock::new(|| self_signed("stranger"));

fn self_signed(name: &str) -> Identity {
    let key = key();
    let certificate = certificate(name, &key);
    Identity {
        name: name.to_owned(),
        chain_pem: certificate.to_pem().expect("a certificate has a PEM form"),
        key_pem: key.private_key_to_pem_pkcs8().expect("a key has a PEM form"),
    }
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("OpenSSL has P-256");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key can be made")).expect("an EC key is a key")
}

fn certificate(name: &str, key: &PKey<Private>) -> X509 {
    let mut subject = X509NameBuilder::new().expect("a name");
    subject.append_entry_by_nid(Nid::COMMONNAME, name).expect("a common name");
    let subject = subject.build();
    let serial = BigNum::from_u32(1).and_then(|number| number.to_asn1_integer()).expect("a number");
    let mut builder = X509::builder().expect("a certificate");
    builder.set_version(2).expect("X.509 v3");
    builder.set_serial_number(&serial).expect("a serial number");
    builder.set_subject_name(&subject).expect("a subject");
    builder.set_issuer_name(&subject).expect("an issuer");
    builder.set_pubkey(key).expect("a public key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("today")).expect("a date");
    builder.set_not_after(&Asn1Time::days_from_now(30).expect("next month")).expect("a date");
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .build(&builder.x509v3_context(None, None))
        .expect("an extension");
    builder.append_extension(names).expect("a place for it");
    builder.sign(key, MessageDigest::sha256()).expect("a signature");
    builder.build()
}
