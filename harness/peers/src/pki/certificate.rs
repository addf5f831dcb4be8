//! Makes one certificate and its key with OpenSSL, which makes the expired and the odd as readily as the proper. It
//! writes no files.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

use super::recipe::{Entry, Purpose, SubjectName};

/// A certificate and the key it speaks of.
pub(super) struct Made {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

/// Makes the certificate of one line; without an issuer it signs itself.
pub(super) fn make(entry: &Entry, issuer: Option<&Made>) -> Result<Made, ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(KEY_BITS)?)?;
    let subject = common_name(entry)?;
    let mut builder = X509Builder::new()?;
    // X.509 version 3, counted from 0: without it there are no extensions.
    builder.set_version(2)?;
    builder.set_serial_number(&*serial_number()?)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name()))?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(&*days_from_now(entry.days.start)?)?;
    builder.set_not_after(&*days_from_now(entry.days.end)?)?;
    extend(&mut builder, entry, issuer)?;
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256())?;
    Ok(Made { certificate: builder.build(), key })
}

fn extend(builder: &mut X509Builder, entry: &Entry, issuer: Option<&Made>) -> Result<(), ErrorStack> {
    let mut constraints = BasicConstraints::new();
    let mut usage = KeyUsage::new();
    if entry.purpose == Purpose::Ca {
        constraints.ca();
        usage.key_cert_sign().crl_sign();
    } else {
        // Key encipherment is for the RSA key exchange of old clients: the one of the z/OS field case has little else.
        usage.digital_signature().key_encipherment();
    }
    builder.append_extension(constraints.critical().build()?)?;
    builder.append_extension(usage.critical().build()?)?;
    match entry.purpose {
        Purpose::Ca => {}
        Purpose::Server => builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?,
        Purpose::Client => builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?,
    }

    let issuer_certificate = issuer.map(|issuer| &*issuer.certificate);
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer_certificate, None))?;
    builder.append_extension(identifier)?;
    if issuer.is_some() {
        let authority =
            AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(issuer_certificate, None))?;
        builder.append_extension(authority)?;
    }
    if !entry.names.is_empty() {
        let mut names = SubjectAlternativeName::new();
        for name in &entry.names {
            match name {
                SubjectName::Dns(name) => names.dns(name),
                SubjectName::Ip(address) => names.ip(&address.to_string()),
            };
        }
        let names = names.build(&builder.x509v3_context(issuer_certificate, None))?;
        builder.append_extension(names)?;
    }
    Ok(())
}

fn common_name(entry: &Entry) -> Result<X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, &format!("ftpspec test {}", entry.name))?;
    Ok(name.build())
}

/// Random, so that a client which has met an older PKI of ours never sees one issuer use a number twice.
fn serial_number() -> Result<Asn1Integer, ErrorStack> {
    let mut number = BigNum::new()?;
    number.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    number.to_asn1_integer()
}

fn days_from_now(days: i32) -> Result<Asn1Time, ErrorStack> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let then = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(i64::from(days) * SECONDS_OF_A_DAY);
    Asn1Time::from_unix(then)
}

/// The one size that OpenSSL 1.1 to 3.5, GnuTLS and mainframes all take.
const KEY_BITS: u32 = 2048;

/// Below the 20 octets that RFC 5280 section 4.1.2.2 allows, and never negative.
const SERIAL_BITS: i32 = 127;

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;
