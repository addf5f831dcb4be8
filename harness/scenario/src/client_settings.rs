//! The settings of the reference client: named choices whose default is the correct value. A defect changes them by
//! word. What a client *says* is told by the rules of a defect; here stands what it makes of what it hears.

use std::fmt;

use crate::model::words;
use crate::settings::SettingError;

macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident: $type:ident = $default:ident, $word:literal {
        $($(#[$vdoc:meta])* $variant:ident => $value:literal),+ $(,)?
    })+) => {
        /// Every setting of the reference client.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct ClientSettings {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl Default for ClientSettings {
            fn default() -> Self {
                Self { $($field: $type::$default,)+ }
            }
        }

        $(
            #[doc = concat!("`", $word, "`")]
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $type { $($(#[$vdoc])* $variant),+ }
            words!($type { $($variant => $value),+ });
        )+

        /// Names of all settings, with the words each may have.
        pub const CLIENT_SETTINGS: &[(&str, &[&str])] = &[$(($word, $type::WORDS)),+];

        impl ClientSettings {
            /// These, by their words.
            ///
            /// # Errors
            /// As [`ClientSettings::set`].
            pub fn of(chosen: &[(String, String)]) -> Result<Self, SettingError> {
                let mut settings = Self::default();
                chosen.iter().try_for_each(|(setting, value)| settings.set(setting, value))?;
                Ok(settings)
            }

            /// Sets one of them by its word.
            ///
            /// # Errors
            /// If there is no such setting, or no such value of it.
            pub fn set(&mut self, setting: &str, value: &str) -> Result<(), SettingError> {
                match setting {
                    $($word => self.$field = $type::from_word(value).ok_or_else(|| SettingError::Value {
                        setting: setting.to_owned(),
                        value: value.to_owned(),
                        due: $type::WORDS.to_vec(),
                    })?,)+
                    _ => return Err(SettingError::Unknown(setting.to_owned())),
                }
                Ok(())
            }
        }
    };
}

settings! {
    /// What comes after a refused EPSV.
    after_epsv_refusal: AfterEpsvRefusal = GoOn, "after-epsv-refusal" {
        /// PASV, and if that is refused PORT; EPSV is not tried again in this session.
        GoOn => "go-on",
        /// A lie: nothing; the transfer fails.
        GiveUp => "give-up",
        /// A lie: after an answer that it cannot read nothing, else as it should.
        GiveUpOverMalformed => "give-up-over-malformed",
        /// A lie: as it should, and in the next transfer EPSV again.
        Repeat => "repeat",
    }
    /// Where a passive data connection goes.
    passive_address: PassiveAddress = ControlPeer, "passive-address" {
        /// To the control connection's peer, whatever a 227 says.
        ControlPeer => "control-peer",
        /// A lie: wherever the 227 says.
        AsTold => "as-told",
    }
    /// Whose sessions are offered on a data connection.
    tickets_of: TicketsOf = ThisSession, "tickets-of" {
        /// Those of its own control session.
        ThisSession => "this-session",
        /// A lie: the newest of any control session.
        AnySession => "any-session",
    }
    /// What becomes of the tickets that data connections bring.
    new_tickets: NewTickets = Taken, "new-tickets" {
        /// They are offered on the connections to come.
        Taken => "taken",
        /// A lie: only those of the control connection are.
        Left => "left",
    }
    /// What comes after an AUTH TLS that was refused, or a handshake that failed.
    without_tls: WithoutTls = Ends, "without-tls" {
        /// The session ends.
        Ends => "ends",
        /// A lie: it goes on in the clear, password and all.
        GoesOn => "goes-on",
        /// A lie: it waits for something that never comes.
        Waits => "waits",
    }
    /// Which certificates are taken.
    certificates: Certificates = Verified, "certificates" {
        /// Those of a known CA, for this name, in their time.
        Verified => "verified",
        /// A lie: any.
        Any => "any",
        /// A lie: any on data connections.
        AnyOnData => "any-on-data",
        /// A lie: on data connections those that bear the address of a 227, and not the name that the user gave.
        ForAddressOnData => "for-address-on-data",
    }
    /// Which TLS versions are offered.
    offered_versions: OfferedVersions = Modern, "versions" {
        /// TLS 1.2 and 1.3.
        Modern => "modern",
        /// A lie by RFC 8996: TLS 1.0 and 1.1 too.
        OldToo => "old-too",
    }
    /// The cipher suites that it offers.
    offered_suites: OfferedSuites = Usual, "suites" {
        /// Those with forward secrecy and an AEAD.
        Usual => "usual",
        /// A lie: of them those with AES-256-GCM.
        Aes256 => "AES-256",
    }
    /// What a reply with many lines is.
    many_lines: ManyLines = OneReply, "many-lines" {
        /// One reply, which ends with its last line.
        OneReply => "one-reply",
        /// A lie: a reply with each line that begins with a code.
        ManyReplies => "many-replies",
    }
    /// What becomes of clear octets that stand behind the 234.
    octets_after_234: OctetsAfter234 = GivenToTls, "octets-after-234" {
        /// They are given to TLS, which refuses them.
        GivenToTls => "given-to-tls",
        /// They are thrown away.
        Discarded => "discarded",
        /// A lie: they are taken for replies of the protected session.
        Taken => "taken",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_in_the_table_takes_each_of_its_words_and_refuses_others() {
        for (setting, words) in CLIENT_SETTINGS {
            let mut settings = ClientSettings::default();
            for word in *words {
                assert_eq!(settings.set(setting, word), Ok(()), "{setting}: {word}");
            }
            assert!(matches!(settings.set(setting, "no-such-word"), Err(SettingError::Value { .. })), "{setting}");
        }
        assert!(matches!(ClientSettings::default().set("ticket", "2"), Err(SettingError::Unknown(_))));
    }
}
