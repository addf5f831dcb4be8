//! Protects a record as OpenSSL would have, but with another content type and content: OpenSSL itself offers no way to
//! send, say, a heartbeat or a broken alert inside a session. The keys follow from the key log's secrets, as they do for
//! whoever reads a capture. Only AEAD suites; nothing in here is ever applied unasked.

use ::openssl::error::ErrorStack;
use ::openssl::hash::MessageDigest;
use ::openssl::md::{Md, MdRef};
use ::openssl::nid::Nid;
use ::openssl::pkey::{Id, PKey};
use ::openssl::pkey_ctx::{HkdfMode, PkeyCtx};
use ::openssl::sign::Signer;
use ::openssl::ssl::{SslRef, SslVersion};
use ::openssl::symm::{Cipher, encrypt_aead};

use crate::messages::APPLICATION_DATA;
use crate::progress::RECORD_HEADER;

/// The protection of what we send.
pub(super) struct Protection {
    cipher: Cipher,
    key: Vec<u8>,
    iv: Vec<u8>,
    form: Form,
}

/// How a record is put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 8446 §5.2.
    Tls13,
    /// AES-GCM in TLS 1.2: the second part of the nonce stands in the record (RFC 5288 §3).
    Tls12ExplicitNonce,
    /// ChaCha20-Poly1305 in TLS 1.2 (RFC 7905 §2).
    Tls12ImplicitNonce,
}

impl Protection {
    /// The keys of `side` ("CLIENT" or "SERVER") after as many KeyUpdates as `generation` says; none if the suite is no
    /// AEAD known here, or the secrets are not at hand.
    pub(super) fn derive(
        ssl: &SslRef,
        side: &str,
        secrets: &[String],
        generation: u32,
    ) -> Result<Option<Self>, ErrorStack> {
        let Some(suite) = ssl.current_cipher() else { return Ok(None) };
        let cipher = match suite.cipher_nid() {
            Some(Nid::AES_128_GCM) => Cipher::aes_128_gcm(),
            Some(Nid::AES_256_GCM) => Cipher::aes_256_gcm(),
            Some(Nid::CHACHA20_POLY1305) => Cipher::chacha20_poly1305(),
            _ => return Ok(None),
        };
        let sha384 = suite.handshake_digest().is_some_and(|digest| digest.type_() == Nid::SHA384);
        match ssl.version2() {
            Some(SslVersion::TLS1_3) => {
                let label = format!("{side}_TRAFFIC_SECRET_0");
                let Some(secret) = logged_secret(secrets, &label) else { return Ok(None) };
                Self::tls13(cipher, secret, sha384, generation).map(Some)
            }
            Some(SslVersion::TLS1_2) => {
                let Some(master) = logged_secret(secrets, "CLIENT_RANDOM") else { return Ok(None) };
                Self::tls12(cipher, ssl, &master, sha384, side == "CLIENT").map(Some)
            }
            _ => Ok(None),
        }
    }

    fn tls13(cipher: Cipher, mut secret: Vec<u8>, sha384: bool, generation: u32) -> Result<Self, ErrorStack> {
        let (digest, length) = if sha384 { (Md::sha384(), 48) } else { (Md::sha256(), 32) };
        for _ in 0..generation {
            secret = expand_label(digest, &secret, "traffic upd", length)?;
        }
        let key = expand_label(digest, &secret, "key", cipher.key_len())?;
        let iv = expand_label(digest, &secret, "iv", NONCE)?;
        Ok(Self { cipher, key, iv, form: Form::Tls13 })
    }

    fn tls12(cipher: Cipher, ssl: &SslRef, master: &[u8], sha384: bool, client: bool) -> Result<Self, ErrorStack> {
        let digest = if sha384 { MessageDigest::sha384() } else { MessageDigest::sha256() };
        let explicit = cipher != Cipher::chacha20_poly1305();
        let iv_length = if explicit { SALT } else { NONCE };
        let (mut server_random, mut client_random) = ([0; 32], [0; 32]);
        ssl.server_random(&mut server_random);
        ssl.client_random(&mut client_random);
        // RFC 5246 §6.3: both sides' keys, then both sides' IVs; an AEAD has no MAC keys.
        let seed = [&b"key expansion"[..], &server_random, &client_random].concat();
        let block = prf(digest, master, &seed, 2 * (cipher.key_len() + iv_length))?;
        let (keys, ivs) = block.split_at(2 * cipher.key_len());
        let own = usize::from(!client);
        let part = |octets: &[u8], length: usize| octets[own * length..(own + 1) * length].to_vec();
        Ok(Self {
            cipher,
            key: part(keys, cipher.key_len()),
            iv: part(ivs, iv_length),
            form: if explicit { Form::Tls12ExplicitNonce } else { Form::Tls12ImplicitNonce },
        })
    }

    /// The record to send in the place of `made`, the one record that OpenSSL wrote under number `sequence`; none if
    /// `made` is no such record. The number, and so the nonce, is used for one of the two only: `made` must not be sent.
    pub(super) fn protect(
        &self,
        made: &[u8],
        sequence: u64,
        content_type: u8,
        octets: &[u8],
    ) -> Result<Option<Vec<u8>>, ErrorStack> {
        let &[APPLICATION_DATA, major, minor, high, low, ref fragment @ ..] = made else { return Ok(None) };
        if usize::from(u16::from_be_bytes([high, low])) != fragment.len() || fragment.len() < EXPLICIT_NONCE {
            return Ok(None);
        }
        let (outer_type, explicit, plain) = match self.form {
            Form::Tls13 => (APPLICATION_DATA, &[][..], [octets, &[content_type]].concat()),
            Form::Tls12ExplicitNonce => (content_type, &fragment[..EXPLICIT_NONCE], octets.to_vec()),
            Form::Tls12ImplicitNonce => (content_type, &[][..], octets.to_vec()),
        };
        let length = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let record_length = length(explicit.len() + plain.len() + TAG);
        let header = [outer_type, major, minor, record_length[0], record_length[1]];
        debug_assert_eq!(header.len(), RECORD_HEADER);
        let (nonce, additional) = if self.form == Form::Tls13 {
            (self.numbered_iv(sequence), header.to_vec())
        } else {
            let [high, low] = length(plain.len());
            let additional = [&sequence.to_be_bytes()[..], &[content_type, major, minor, high, low]].concat();
            let nonce = if explicit.is_empty() { self.numbered_iv(sequence) } else { [&self.iv, explicit].concat() };
            (nonce, additional)
        };
        let mut tag = [0; TAG];
        let protected = encrypt_aead(self.cipher, &self.key, Some(&nonce), &additional, &plain, &mut tag)?;
        Ok(Some([&header[..], explicit, &protected, &tag].concat()))
    }

    /// The IV with the sequence number laid over its end (RFC 8446 §5.3, 7905 §2).
    fn numbered_iv(&self, sequence: u64) -> Vec<u8> {
        let mut nonce = self.iv.clone();
        for (octet, number) in nonce.iter_mut().rev().zip(sequence.to_be_bytes().into_iter().rev()) {
            *octet ^= number;
        }
        nonce
    }
}

/// The secret at the end of the key log line with this label.
fn logged_secret(lines: &[String], label: &str) -> Option<Vec<u8>> {
    let line = lines.iter().find(|line| line.split(' ').next() == Some(label))?;
    let digits = line.rsplit(' ').next()?;
    let octet = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len()).step_by(2).map(octet).collect()
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
fn expand_label(digest: &MdRef, secret: &[u8], label: &str, length: usize) -> Result<Vec<u8>, ErrorStack> {
    let label = format!("tls13 {label}");
    let prefix = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
    let info = [&[0, prefix(length), prefix(label.len())], label.as_bytes(), &[0]].concat();
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_mode(HkdfMode::EXPAND_ONLY)?;
    context.set_hkdf_md(digest)?;
    context.set_hkdf_key(secret)?;
    context.add_hkdf_info(&info)?;
    let mut expanded = vec![0; length];
    context.derive(Some(&mut expanded))?;
    Ok(expanded)
}

/// The PRF of TLS 1.2 (RFC 5246 §5), the label being part of the seed.
fn prf(digest: MessageDigest, secret: &[u8], seed: &[u8], length: usize) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(secret)?;
    let hmac = |octets: &[u8]| Signer::new(digest, &key)?.sign_oneshot_to_vec(octets);
    let mut output = Vec::new();
    let mut a = seed.to_vec();
    while output.len() < length {
        a = hmac(&a)?;
        output.extend(hmac(&[&a, seed].concat())?);
    }
    output.truncate(length);
    Ok(output)
}

/// Octets of a whole nonce, of its implicit and of its explicit part in AES-GCM, and of the tag.
const NONCE: usize = 12;
const SALT: usize = 4;
const EXPLICIT_NONCE: usize = 8;
const TAG: usize = 16;
