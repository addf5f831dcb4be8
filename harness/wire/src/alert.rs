//! TLS alerts in the clear: level and description (RFC 8446 §6, RFC 5246 §7.2). An encrypted alert is opaque here; the
//! TLS engine tells what it said.

use std::fmt;

/// What an unencrypted alert record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// 1 warning, 2 fatal ([`Alert::FATAL`]).
    pub level: u8,
    /// The description; [`alert_name`] names it.
    pub description: u8,
}

impl Alert {
    /// The level of an alert that ends its connection.
    pub const FATAL: u8 = 2;

    /// Reads a record's payload, which is the two octets of one alert. `None` for any other: an encrypted one is
    /// longer.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        match *payload {
            [level @ (1 | 2), description] => Some(Self { level, description }),
            _ => None,
        }
    }

    /// Whether this is the alert that ends a stream in good order.
    pub fn is_close_notify(self) -> bool {
        self.description == 0
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.level == 1 { "warning" } else { "fatal" };
        write!(f, "{level} {}", alert_name(self.description))
    }
}

/// The name of an alert's description, as RFC 8446 §6 and RFC 5246 §7.2 write it (without `_RESERVED`).
pub fn alert_name(description: u8) -> &'static str {
    match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown alert",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Alert, alert_name};

    #[rstest]
    #[case(&[1, 0], Some("warning close_notify"))]
    #[case(&[2, 70], Some("fatal protocol_version"))]
    #[case(&[2, 255], Some("fatal unknown alert"))]
    #[case::level(&[3, 0], None)]
    #[case::encrypted(&[1; 19], None)]
    #[case::cut(&[2], None)]
    #[case::empty(&[], None)]
    fn an_alert_is_two_octets(#[case] payload: &[u8], #[case] text: Option<&str>) {
        assert_eq!(Alert::parse(payload).map(|alert| alert.to_string()).as_deref(), text);
    }

    #[test]
    fn only_description_0_is_close_notify() {
        let closing: Vec<u8> =
            (0..=255).filter(|description| Alert { level: 1, description: *description }.is_close_notify()).collect();
        assert_eq!(closing, [0]);
        assert_eq!(alert_name(0), "close_notify");
    }
}
