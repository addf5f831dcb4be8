//! The settings of the reference server: named choices whose default is the correct value. A defect, a scenario and
//! `ftpspec serve --rules` change them by word; a configuration (`provides`) is a set of them.

use crate::model::{Capability, words};
use std::fmt;

/// Every setting of the reference server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// `implicit`: TLS from the first octet.
    pub implicit: Implicit,
    /// `tickets`: how many session tickets a TLS 1.3 handshake leaves.
    pub tickets: u8,
    /// `reuse`: whether sessions can or must be resumed on data connections.
    pub reuse: Reuse,
    /// `reuse-after-ccc`: whether the check of reuse remembers the control session once CCC ended it.
    pub reuse_after_ccc: Memory,
    /// `certificate`: which one the server shows.
    pub certificate: ServerCertificate,
    /// `data-certificate`: which one it shows on data connections, none of which is resumed then; the same if nothing is
    /// said.
    pub data_certificate: Option<ServerCertificate>,
    /// `client-certificate`: whether one is asked for.
    pub client_certificate: ClientCertificate,
    /// `certificate-cross-check`: whether the data connection's client certificate must be the control connection's.
    pub certificate_cross_check: CrossCheck,
    /// `clear-login`: whether USER is taken without TLS.
    pub clear_login: Permission,
    /// `clear-data`: whether transfers at level C are served.
    pub clear_data: Permission,
    /// `ccc`: what CCC gets inside TLS.
    pub ccc: Ccc,
    /// `data-after-ccc`: whether data connections keep their protection.
    pub data_after_ccc: DataAfterCcc,
    /// `octets-after-auth`: what becomes of octets that stand behind `AUTH TLS` in the same segment.
    pub octets_after_auth: OctetsAfterAuth,
    /// `prot-before-pbsz`: whether PROT is taken without a PBSZ.
    pub prot_before_pbsz: Permission,
    /// `unknown-level`: what PROT S and PROT E do.
    pub unknown_level: UnknownLevel,
    /// `close_notify-answer`: whether the server answers a data connection's close_notify with its own.
    pub close_notify_answer: CloseNotifyAnswer,
    /// `upload-end`: what ends an upload.
    pub upload_end: UploadEnd,
    /// `upload-stored`: how much of an upload is kept.
    pub upload_stored: UploadStored,
    /// `auth-ssl`: the answer to AUTH SSL.
    pub auth_ssl: AuthSsl,
    /// `second-auth`: what AUTH TLS gets inside TLS.
    pub second_auth: Permission,
    /// `versions`: the TLS versions that are spoken.
    pub versions: Versions,
    /// `suites`: the cipher suites that can be agreed on.
    pub suites: Suites,
    /// `passive-ports`: where passive listeners are.
    pub passive_ports: PassivePorts,
    /// `epsv-all`: whether EPSV ALL shuts the other ways to a data connection.
    pub epsv_all: Attention,
    /// `epsv-protocol`: whether the network protocol that EPSV names is looked at.
    pub epsv_protocol: EpsvProtocol,
    /// `data-source`: who may come to a passive listener.
    pub data_source: Company,
    /// `port-targets`: where PORT and EPRT may lead.
    pub port_targets: Company,
    /// `active-source`: which address of its own it connects from.
    pub active_source: ActiveSource,
    /// `prot-after-ccc`: whether PROT is taken once CCC has ended the control connection's TLS.
    pub prot_after_ccc: Permission,
    /// `checks-after-ccc`: whether what is refused before CCC is refused after it.
    pub checks_after_ccc: Memory,
    /// `foreign-tickets`: whether a ticket of another control session resumes.
    pub foreign_tickets: Permission,
    /// `after-data-failure`: what becomes of the control connection when TLS on data fails.
    pub after_data_failure: Aftermath,
    /// `line-ends`: how CR and LF must arrive.
    pub line_ends: LineEnds,
    /// `long-line`: what a command line that is too long gets.
    pub long_line: Aftermath,
    /// `rein`: what REIN does.
    pub rein: Rein,
    /// `abort-replies`: in which order a transfer and the ABOR that ended it are answered.
    pub abort_replies: AbortReplies,
}

macro_rules! choice {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type { $($(#[$vdoc])* $variant),+ }
        words!($type { $($variant => $word),+ });
    };
}

choice!(/// `implicit`
Implicit {
    /// AUTH TLS protects the connection.
    No => "no",
    /// TLS from the first octet.
    Yes => "yes",
    /// A lie: the port is implicit, but the greeting comes in the clear.
    GreetsInClear => "greets-in-clear",
});
choice!(/// `reuse`
Reuse {
    /// Sessions can be resumed.
    Offered => "offered",
    /// A data connection that does not resume is refused with 522.
    Demanded => "demanded",
    /// Nothing to resume is given out.
    None => "none",
    /// A lie: sessions are given out, and never resumed.
    Declined => "declined",
});
choice!(/// What is remembered of a control session that CCC ended.
Memory {
    /// It is kept.
    Remembered => "remembered",
    /// A lie: it is asked of the connection, which has no TLS any more.
    Forgotten => "forgotten",
});
choice!(/// A server's certificate, by its name in `certs/recipe`.
ServerCertificate {
    /// A good one.
    Usual => "server",
    /// As good, with another key.
    Other => "server-other",
    /// As good, for the host's name, and not for its address.
    ByName => "server-by-name",
    /// A lie: of another host.
    WrongName => "server-wrong-name",
    /// A lie: its time is over.
    Expired => "server-expired",
    /// A lie: of a CA that nobody knows.
    ForeignCa => "server-foreign-ca",
});
choice!(/// `client-certificate`
ClientCertificate {
    /// None is asked for.
    NotAsked => "not-asked",
    /// One is asked for; none is accepted too.
    Asked => "asked",
    /// One must be shown.
    Demanded => "demanded",
});
choice!(/// `certificate-cross-check`
CrossCheck {
    /// No comparison.
    None => "none",
    /// Compared with what the control connection showed in its handshake.
    Remembered => "remembered",
    /// A lie: compared with what the control connection shows now, which is nothing after CCC.
    Live => "live",
    /// A lie: after CCC only a certificate that is shown is compared, and who shows none is let in.
    ShownAfterCcc => "shown-after-ccc",
});
choice!(/// Whether something is allowed.
Permission {
    /// It is.
    Allowed => "allowed",
    /// It is not.
    Refused => "refused",
});
choice!(/// `ccc`
Ccc {
    /// 200.
    Allowed => "allowed",
    /// 534.
    Refused => "refused",
    /// 500.
    Unknown => "unknown",
});
choice!(/// `data-after-ccc`
DataAfterCcc {
    /// The level in force stays.
    Protected => "protected",
    /// A lie: the level falls to clear.
    Clear => "clear",
});
choice!(/// `octets-after-auth`
OctetsAfterAuth {
    /// They are given to TLS, which refuses them.
    GivenToTls => "given-to-tls",
    /// They are thrown away.
    Discarded => "discarded",
    /// A lie: they are run as commands inside TLS.
    Run => "run",
});
choice!(/// `unknown-level`
UnknownLevel {
    /// 536.
    Refused => "refused",
    /// A lie: 200, and data connections go in the clear.
    MeansClear => "means-clear",
    /// 200, and data connections are protected all the same.
    MeansPrivate => "means-private",
    /// A lie: 536, and the level falls to clear.
    RefusedAndClear => "refused-and-clear",
});
choice!(/// `close_notify-answer`
CloseNotifyAnswer {
    /// At once, as RFC 5246 §7.2.1 demands.
    AtOnce => "at-once",
    /// A lie: never.
    Never => "never",
});
choice!(/// `upload-end`
UploadEnd {
    /// Only close_notify ends a whole file; else 426, and the file is thrown away.
    CloseNotify => "close_notify",
    /// A lie by RFC 8446 §6.1: a bare FIN is a whole file too.
    FinIsEnough => "FIN-is-enough",
});
choice!(/// `upload-stored`
UploadStored {
    /// All of it.
    Whole => "whole",
    /// A lie: the first half, and 226 all the same.
    FirstHalf => "first-half",
});
choice!(/// `auth-ssl`
AuthSsl {
    /// 504.
    Refused => "504",
    /// 234, as AUTH TLS.
    Accepted => "234",
});

choice!(/// `versions`
Versions {
    /// TLS 1.2 and 1.3.
    Modern => "modern",
    /// A lie by RFC 8996: TLS 1.0 and 1.1 too.
    OldToo => "old-too",
    /// A lie by RFC 8996: TLS 1.0 and no other.
    Only10 => "only-1.0",
    /// A lie by RFC 8996: TLS 1.1 and no other.
    Only11 => "only-1.1",
});
choice!(/// `suites`
Suites {
    /// Those with forward secrecy and an AEAD.
    Usual => "usual",
    /// Of them those with AES-128-GCM.
    Aes128 => "AES-128",
    /// Of them those with AES-256-GCM.
    Aes256 => "AES-256",
    /// Of them those with ChaCha20-Poly1305.
    ChaCha20 => "ChaCha20",
});
choice!(/// `passive-ports`
PassivePorts {
    /// Any free port.
    Any => "any",
    /// Four ports; when all are taken, 425.
    Narrow => "narrow",
    /// A lie: four ports are given out as the range, and any free one is used.
    OutOfRange => "out-of-range",
    /// A lie: when all four are taken, no reply comes.
    NarrowAndSilent => "narrow-and-silent",
    /// A lie: a port is never free again in the session that used it up.
    NarrowAndKept => "narrow-and-kept",
    /// A lie: a port that nobody came to is not free for the session's next one.
    NarrowAndUnused => "narrow-and-unused-kept",
});
choice!(/// Whether something that the client said is heeded.
Attention {
    /// It is.
    Heeded => "heeded",
    /// A lie: it is not.
    Ignored => "ignored",
});
choice!(/// `active-source`
ActiveSource {
    /// That of the control connection.
    Control => "control",
    /// A lie: 127.0.0.2, which is this host too.
    Another => "another",
});
choice!(/// `epsv-protocol`
EpsvProtocol {
    /// An unknown one gets 522 and the list.
    Checked => "checked",
    /// A lie: it is taken for any.
    Ignored => "ignored",
    /// A lie: 522 without the list.
    WithoutList => "without-list",
});
choice!(/// With whom data connections are made.
Company {
    /// The control connection's peer only.
    ControlPeer => "control-peer",
    /// A lie by RFC 2577: anybody.
    Anybody => "anybody",
});
choice!(/// What becomes of the control connection.
Aftermath {
    /// An error reply, and it lives on.
    LivesOn => "lives-on",
    /// A lie: it is closed.
    Closed => "closed",
});
choice!(/// `line-ends`
LineEnds {
    /// They may come apart.
    Apart => "apart",
    /// A lie: a line whose LF comes in a later read is never answered.
    Together => "together",
});
choice!(/// `rein`
Rein {
    /// 502.
    Unknown => "unknown",
    /// 220, and everything begins anew, in the clear.
    Supported => "supported",
    /// A lie: 220, and TLS stays up.
    KeepsTls => "keeps-tls",
    /// A lie: 220, and the login stays.
    KeepsLogin => "keeps-login",
});

choice!(/// `abort-replies`
AbortReplies {
    /// 426 for the transfer, then 226 for ABOR.
    TransferFirst => "transfer-first",
    /// A lie: 226, and then 426.
    AborFirst => "abor-first",
});

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            implicit: Implicit::No,
            tickets: 2,
            reuse: Reuse::Offered,
            reuse_after_ccc: Memory::Remembered,
            certificate: ServerCertificate::Usual,
            data_certificate: None,
            client_certificate: ClientCertificate::NotAsked,
            certificate_cross_check: CrossCheck::None,
            clear_login: Permission::Allowed,
            clear_data: Permission::Allowed,
            ccc: Ccc::Allowed,
            data_after_ccc: DataAfterCcc::Protected,
            octets_after_auth: OctetsAfterAuth::Discarded,
            prot_before_pbsz: Permission::Refused,
            unknown_level: UnknownLevel::Refused,
            close_notify_answer: CloseNotifyAnswer::AtOnce,
            upload_end: UploadEnd::CloseNotify,
            upload_stored: UploadStored::Whole,
            auth_ssl: AuthSsl::Refused,
            second_auth: Permission::Refused,
            versions: Versions::Modern,
            suites: Suites::Usual,
            passive_ports: PassivePorts::Any,
            epsv_all: Attention::Heeded,
            epsv_protocol: EpsvProtocol::Checked,
            data_source: Company::ControlPeer,
            port_targets: Company::ControlPeer,
            active_source: ActiveSource::Control,
            prot_after_ccc: Permission::Refused,
            checks_after_ccc: Memory::Remembered,
            foreign_tickets: Permission::Refused,
            after_data_failure: Aftermath::LivesOn,
            line_ends: LineEnds::Apart,
            long_line: Aftermath::LivesOn,
            rein: Rein::Supported,
            abort_replies: AbortReplies::TransferFirst,
        }
    }
}

/// Why a setting could not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no such setting.
    #[error("unknown setting `{0}`")]
    Unknown(String),
    /// The setting has no such value.
    #[error("`{value}` is no value of `{setting}`; due is one of {}", .due.join(", "))]
    Value {
        /// The setting.
        setting: String,
        /// What was given.
        value: String,
        /// What it may be.
        due: Vec<&'static str>,
    },
}

/// Names of all settings, with the words each may have (a number where the list is empty).
pub const SETTINGS: &[(&str, &[&str])] = &[
    ("implicit", Implicit::WORDS),
    ("tickets", &[]),
    ("reuse", Reuse::WORDS),
    ("reuse-after-ccc", Memory::WORDS),
    ("certificate", ServerCertificate::WORDS),
    ("data-certificate", ServerCertificate::WORDS),
    ("client-certificate", ClientCertificate::WORDS),
    ("certificate-cross-check", CrossCheck::WORDS),
    ("clear-login", Permission::WORDS),
    ("clear-data", Permission::WORDS),
    ("ccc", Ccc::WORDS),
    ("data-after-ccc", DataAfterCcc::WORDS),
    ("octets-after-auth", OctetsAfterAuth::WORDS),
    ("prot-before-pbsz", Permission::WORDS),
    ("unknown-level", UnknownLevel::WORDS),
    ("close_notify-answer", CloseNotifyAnswer::WORDS),
    ("upload-end", UploadEnd::WORDS),
    ("upload-stored", UploadStored::WORDS),
    ("auth-ssl", AuthSsl::WORDS),
    ("second-auth", Permission::WORDS),
    ("versions", Versions::WORDS),
    ("suites", Suites::WORDS),
    ("passive-ports", PassivePorts::WORDS),
    ("epsv-all", Attention::WORDS),
    ("epsv-protocol", EpsvProtocol::WORDS),
    ("data-source", Company::WORDS),
    ("port-targets", Company::WORDS),
    ("active-source", ActiveSource::WORDS),
    ("prot-after-ccc", Permission::WORDS),
    ("checks-after-ccc", Memory::WORDS),
    ("foreign-tickets", Permission::WORDS),
    ("after-data-failure", Aftermath::WORDS),
    ("line-ends", LineEnds::WORDS),
    ("long-line", Aftermath::WORDS),
    ("rein", Rein::WORDS),
    ("abort-replies", AbortReplies::WORDS),
];

/// The most tickets that may be asked of one handshake: more would not fit the reader's bound on a flight.
pub const MOST_TICKETS: u8 = 16;

impl ServerSettings {
    /// Those of a server with these capabilities, and then these by their words.
    ///
    /// # Errors
    /// As [`ServerSettings::set`].
    pub fn of<'a>(
        provided: impl IntoIterator<Item = &'a Capability>,
        chosen: &[(String, String)],
    ) -> Result<Self, SettingError> {
        let mut settings = Self::default();
        provided.into_iter().for_each(|capability| settings.provide(*capability));
        chosen.iter().try_for_each(|(setting, value)| settings.set(setting, value))?;
        Ok(settings)
    }

    /// Sets one of them by its word.
    ///
    /// # Errors
    /// If there is no such setting, or no such value of it.
    pub fn set(&mut self, setting: &str, value: &str) -> Result<(), SettingError> {
        fn word<T: Copy>(
            setting: &str,
            value: &str,
            due: &[&'static str],
            from: fn(&str) -> Option<T>,
        ) -> Result<T, SettingError> {
            from(value).ok_or_else(|| SettingError::Value {
                setting: setting.to_owned(),
                value: value.to_owned(),
                due: due.to_vec(),
            })
        }
        macro_rules! set {
            ($field:ident: $type:ident) => {
                self.$field = word(setting, value, $type::WORDS, $type::from_word)?
            };
        }
        match setting {
            "implicit" => set!(implicit: Implicit),
            "tickets" => {
                self.tickets = value.parse().ok().filter(|count| *count <= MOST_TICKETS).ok_or_else(|| {
                    SettingError::Value { setting: setting.to_owned(), value: value.to_owned(), due: vec!["0 to 16"] }
                })?;
            }
            "reuse" => set!(reuse: Reuse),
            "reuse-after-ccc" => set!(reuse_after_ccc: Memory),
            "certificate" => set!(certificate: ServerCertificate),
            "data-certificate" => {
                self.data_certificate =
                    Some(word(setting, value, ServerCertificate::WORDS, ServerCertificate::from_word)?);
            }
            "client-certificate" => set!(client_certificate: ClientCertificate),
            "certificate-cross-check" => set!(certificate_cross_check: CrossCheck),
            "clear-login" => set!(clear_login: Permission),
            "clear-data" => set!(clear_data: Permission),
            "ccc" => set!(ccc: Ccc),
            "data-after-ccc" => set!(data_after_ccc: DataAfterCcc),
            "octets-after-auth" => set!(octets_after_auth: OctetsAfterAuth),
            "prot-before-pbsz" => set!(prot_before_pbsz: Permission),
            "unknown-level" => set!(unknown_level: UnknownLevel),
            "close_notify-answer" => set!(close_notify_answer: CloseNotifyAnswer),
            "upload-end" => set!(upload_end: UploadEnd),
            "upload-stored" => set!(upload_stored: UploadStored),
            "auth-ssl" => set!(auth_ssl: AuthSsl),
            "second-auth" => set!(second_auth: Permission),
            "versions" => set!(versions: Versions),
            "suites" => set!(suites: Suites),
            "passive-ports" => set!(passive_ports: PassivePorts),
            "epsv-all" => set!(epsv_all: Attention),
            "epsv-protocol" => set!(epsv_protocol: EpsvProtocol),
            "data-source" => set!(data_source: Company),
            "port-targets" => set!(port_targets: Company),
            "active-source" => set!(active_source: ActiveSource),
            "prot-after-ccc" => set!(prot_after_ccc: Permission),
            "checks-after-ccc" => set!(checks_after_ccc: Memory),
            "foreign-tickets" => set!(foreign_tickets: Permission),
            "after-data-failure" => set!(after_data_failure: Aftermath),
            "line-ends" => set!(line_ends: LineEnds),
            "long-line" => set!(long_line: Aftermath),
            "rein" => set!(rein: Rein),
            "abort-replies" => set!(abort_replies: AbortReplies),
            _ => return Err(SettingError::Unknown(setting.to_owned())),
        }
        Ok(())
    }

    /// Sets what a configuration with this capability has.
    fn provide(&mut self, capability: Capability) {
        match capability {
            Capability::ImplicitTls => self.implicit = Implicit::Yes,
            Capability::ClearLoginRefused => self.clear_login = Permission::Refused,
            Capability::ClearDataRefused => self.clear_data = Permission::Refused,
            Capability::ReuseDemanded => self.reuse = Reuse::Demanded,
            Capability::NarrowRange => self.passive_ports = PassivePorts::Narrow,
            Capability::ClientCertificate => {
                self.client_certificate = ClientCertificate::Asked;
                self.certificate_cross_check = CrossCheck::Remembered;
            }
            // What the reference has with its default settings, or has no setting for yet.
            Capability::Auth
            | Capability::Epsv
            | Capability::Pasv
            | Capability::Mlsd
            | Capability::Ccc
            | Capability::Tls12
            | Capability::Tls13
            | Capability::TlsOptional
            | Capability::ReuseOffered => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_in_the_table_takes_each_of_its_words_and_refuses_others() {
        for (setting, words) in SETTINGS {
            let mut settings = ServerSettings::default();
            for word in *words {
                assert_eq!(settings.set(setting, word), Ok(()), "{setting}: {word}");
            }
            assert!(matches!(settings.set(setting, "no-such-word"), Err(SettingError::Value { .. })), "{setting}");
        }
        assert!(matches!(ServerSettings::default().set("ticket", "2"), Err(SettingError::Unknown(_))));
    }
}
