//! The contents of correct replies.

use std::net::SocketAddr;

use ftpspec_wire::{Reply, epsv_digits, pasv_digits};

/// What a reply's contents depend on.
pub(crate) struct About<'a> {
    pub(crate) verb: &'a str,
    pub(crate) argument: &'a str,
    pub(crate) folder: &'a str,
    pub(crate) size: Option<usize>,
    pub(crate) passive: Option<SocketAddr>,
}

/// The correct reply with this code to this command.
pub(crate) fn reply(code: u16, about: &About<'_>) -> Reply {
    let text = match (code, about.verb) {
        (110, _) => "Restart marker".to_owned(),
        (125 | 150, _) => "Opening the data connection".to_owned(),
        (200, "PBSZ") => "PBSZ=0".to_owned(),
        (200, "PROT") => format!("Protection level {}", about.argument.to_ascii_uppercase()),
        (200, "CCC") => "The control connection goes on in the clear".to_owned(),
        // RFC 4217 §6 wants these three; also before the login, for some clients never send AUTH otherwise.
        (211, "FEAT") => "Extensions:\n AUTH TLS\n CCC\n EPSV\n MLSD\n PBSZ\n PROT\n SIZE\n UTF8\nEnd".to_owned(),
        (211, _) => "Idle".to_owned(),
        (213, _) => about.size.unwrap_or(0).to_string(),
        (214, _) => "See RFC 959 and RFC 4217".to_owned(),
        (215, _) => "UNIX Type: L8".to_owned(),
        (220, _) => "ftpspec reference server".to_owned(),
        (221, _) => "Goodbye".to_owned(),
        (225, _) => "Nothing to abort".to_owned(),
        (226, _) => "Transfer complete".to_owned(),
        (227, _) => match about.passive {
            Some(SocketAddr::V4(address)) => format!("Entering Passive Mode ({})", pasv_digits(address)),
            _ => "Entering Passive Mode (0,0,0,0,0,0)".to_owned(),
        },
        (229, _) => {
            let port = about.passive.map_or(0, |address| address.port());
            format!("Entering Extended Passive Mode {}", epsv_digits(port))
        }
        (230, _) => "Logged in".to_owned(),
        (234, _) => "AUTH TLS successful".to_owned(),
        (200 | 250, _) => "Done".to_owned(),
        (257, _) => format!("\"{}\" is the folder", about.folder.replace('"', "\"\"")),
        (331, _) => "Password, please".to_owned(),
        (350, _) => "Ready".to_owned(),
        (421, _) => "TLS did not begin; closing the control connection".to_owned(),
        (425, _) => "No data connection".to_owned(),
        (426, _) => "The data connection ended before the data".to_owned(),
        (500, _) => "Unknown command".to_owned(),
        (501, _) => "That argument is not one".to_owned(),
        (502, _) => "Not implemented".to_owned(),
        (503, _) => "Something must come before this".to_owned(),
        (504, _) => "Not for that argument".to_owned(),
        (521, _) => "Not at this protection level: PROT P first".to_owned(),
        (522, "EPSV" | "EPRT") => "That network protocol is not supported, use (1,2)".to_owned(),
        (522, _) => "The data connection's TLS was not as demanded".to_owned(),
        (530, _) => "Log in first".to_owned(),
        (533, _) => "The control connection is not protected".to_owned(),
        (534, _) => "Refused by policy".to_owned(),
        (536, _) => "That protection level is not for TLS".to_owned(),
        (550, _) => "No such file or folder".to_owned(),
        (553, _) => "That name cannot be written".to_owned(),
        (_, _) => "Noted".to_owned(),
    };
    Reply::new(code, &text)
}
