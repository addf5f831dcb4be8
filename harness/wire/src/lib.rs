//! The octets of FTP over TLS: commands and replies, the addresses inside them, and the outside of TLS records.
//!
//! Everything here takes octets and gives values, or the other way round. The crate does no I/O, reads no clock and
//! knows no TLS library, so that a recorded conversation can be read again exactly as the live one was. Whatever it is
//! given comes from an endpoint that may be hostile: nothing panics, and each reader's memory has a limit with a name.
//!
//! - [`mod@line`], [`command`], [`reply`], [`codes`], [`address`]: the control connection (RFC 959, 1123, 2228, 2389,
//!   2428, 3659, 4217);
//! - [`record`], [`handshake`], [`hello`], [`alert`], [`names`]: what a TLS connection shows without its keys (RFC
//!   5246, 8446);
//! - [`looks`], [`escape`]: octets that are something else than what was due, told to a person;
//! - [`mod@reason`]: what the system says of a file or a connection, told to a person.

pub mod address;
pub mod alert;
pub mod codes;
pub mod command;
pub mod escape;
pub mod handshake;
pub mod hello;
pub mod line;
pub mod looks;
pub mod names;
mod pending;
pub mod reason;
pub mod record;
pub mod reply;

pub use address::{
    AddressError, behind_epsv_bracket, eprt_argument, epsv_digits, parse_eprt_argument, parse_epsv_reply,
    parse_pasv_reply, parse_port_argument, parse_protocol_list, pasv_digits,
};
pub use alert::{Alert, alert_name};
pub use codes::{CodePattern, CodePatternError, listed_codes};
pub use command::Command;
pub use escape::{escaped, hex_head};
pub use handshake::{HandshakeError, HandshakeReader, MAX_HANDSHAKE_MESSAGE, handshake_type_name};
pub use hello::{ClientHello, HelloError};
pub use line::{Line, LineEnd, LineError, LineReader, MAX_LINE};
pub use looks::{LooksLike, looks_like};
pub use names::{content_type_name, suite_name, version_name};
pub use reason::reason;
pub use record::{Cut, MAX_RECORD_PAYLOAD, RECORD_HEADER_LENGTH, RecordHeader, RecordReader, header};
pub use reply::{MAX_REPLY_LINES, MAX_REPLY_OCTETS, Reply, ReplyError, ReplyReader};
