//! The few C functions of OpenSSL that the `openssl` crate does not offer, or offers as unsafe, each behind a safe
//! function. The only `unsafe` of this crate; nothing else belongs here.
//!
//! | function | why |
//! |---|---|
//! | `SSL_set_msg_callback` | shows handshake messages and alerts as they stand behind the encryption, both ways |
//! | `SSL_key_update` | sends a KeyUpdate |
//! | `SSL_set_options` | forbids tickets on one connection, once its ClientHello is known |
//! | `SSL_set_session` | offers a session; the crate cannot know that it fits the context |
//! | `SSL_from_ptr` (the crate's) | in the callback, to reach what was attached to the connection |
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::ffi::{c_int, c_void};
use std::slice;

use ::openssl::error::ErrorStack;
use ::openssl::ssl::{SslRef, SslSession};
use foreign_types::ForeignTypeRef;
use openssl_sys::SSL;

use super::heard::Ear;
use crate::machine::By;

/// Has every message of this connection brought to the [`Ear`] attached to it.
pub(super) fn listen(ssl: &mut SslRef) {
    // SAFETY: the pointer is that of a living connection. The callback has the signature that OpenSSL documents, and is
    // called only from within calls on this connection.
    unsafe { SSL_set_msg_callback(ssl.as_ptr(), Some(message)) };
}

/// Offers a session, given in DER, with the ClientHello to come.
///
/// # Errors
/// If it cannot be read or offered.
pub(super) fn offer_session(ssl: &mut SslRef, der: &[u8]) -> Result<(), ErrorStack> {
    let session = SslSession::from_der(der)?;
    // SAFETY: the session must not belong to another context; having just been read it belongs to none.
    unsafe { ssl.set_session(&session) }
}

/// Schedules a KeyUpdate, which the next handshake or write call sends.
///
/// # Errors
/// If the session is not one of TLS 1.3, or not open.
pub(super) fn key_update(ssl: &SslRef, request_answer: bool) -> Result<(), ErrorStack> {
    // SAFETY: the pointer is that of a living connection, and no other call on it is under way.
    let done = unsafe { SSL_key_update(ssl.as_ptr(), c_int::from(request_answer)) };
    if done == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// Forbids tickets for this connection.
pub(super) fn give_no_tickets(ssl: &mut SslRef) {
    // SAFETY: the pointer is that of a living connection; the function only sets bits in it.
    unsafe { SSL_set_options(ssl.as_ptr(), SSL_OP_NO_TICKET) };
}

/// Called by OpenSSL for each message, and for each record's header.
///
/// A panic must not cross into C: nothing in here can panic but for want of memory, which aborts in any case.
extern "C" fn message(
    sent: c_int,
    version: c_int,
    content_type: c_int,
    octets: *const c_void,
    length: usize,
    ssl: *mut SSL,
    _argument: *mut c_void,
) {
    if octets.is_null() || ssl.is_null() {
        return;
    }
    // SAFETY: OpenSSL gives the connection that the callback was set on, and `length` octets that stay as they are until
    // the callback returns; neither is kept.
    let (ssl, octets) = unsafe { (SslRef::from_ptr(ssl), slice::from_raw_parts(octets.cast::<u8>(), length)) };
    if let Some(ear) = Ear::of(ssl) {
        ear.message(if sent == 1 { By::Us } else { By::Peer }, version, content_type, octets);
    }
}

type MessageCallback = extern "C" fn(c_int, c_int, c_int, *const c_void, usize, *mut SSL, *mut c_void);

unsafe extern "C" {
    fn SSL_set_msg_callback(ssl: *mut SSL, callback: Option<MessageCallback>);
    fn SSL_key_update(ssl: *mut SSL, update_type: c_int) -> c_int;
    fn SSL_set_options(ssl: *mut SSL, options: u64) -> u64;
}

/// `SSL_OP_NO_TICKET` of `openssl/ssl.h`, the same since 0.9.8.
const SSL_OP_NO_TICKET: u64 = 1 << 14;
