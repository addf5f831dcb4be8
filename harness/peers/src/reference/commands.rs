//! What each command needs, and the code it is answered with: the reference server's rules of conduct.

use std::net::SocketAddr;

use ftpspec_scenario::model::{Act, Answer, Name, Script, Template};
use ftpspec_scenario::settings::{AuthSsl, Ccc, Company, EpsvProtocol, PassivePorts, Permission, Rein, UnknownLevel};
use ftpspec_wire::{parse_eprt_argument, parse_port_argument};

use super::session::{DataWay, Session, State, answer, step};
use super::tree::{Entry, resolve};

impl Session {
    /// The code of the refusal that is due before a command can be carried out.
    pub(super) fn lacks(&self, verb: &str) -> Option<u16> {
        let state = self.state();
        let settings = &self.shared.settings;
        match verb {
            "AUTH" => match state.argument.to_ascii_uppercase().as_str() {
                "" => Some(501),
                _ if state.protected && settings.second_auth == Permission::Refused => Some(503),
                "TLS" | "TLS-C" => None,
                "SSL" if settings.auth_ssl == AuthSsl::Accepted => None,
                _ => Some(504),
            },
            "USER" => {
                (!state.protected && settings.clear_login == Permission::Refused && !state.after_ccc).then_some(530)
            }
            "PASS" => match &state.user {
                None => Some(503),
                Some(user) => {
                    let right = *user == self.shared.user && state.argument == self.shared.password.reveal();
                    (!right).then_some(530)
                }
            },
            "PBSZ" if !state.protected => Some(503),
            "PBSZ" => state.argument.parse::<u32>().is_err().then_some(501),
            "PROT" => self.prot_lacks(&state),
            "REIN" => (settings.rein == Rein::Unknown).then_some(502),
            // 2428 §4: after EPSV ALL every other way is shut.
            "PASV" | "PORT" | "EPRT" if state.epsv_all => Some(503),
            "CCC" if !state.protected => Some(533),
            "CCC" if !state.logged_in => Some(534),
            "CCC" => match settings.ccc {
                Ccc::Allowed => None,
                Ccc::Refused => Some(534),
                Ccc::Unknown => Some(500),
            },
            "RETR" | "STOR" | "LIST" | "NLST" | "MLSD" => self.transfer_lacks(verb, &state),
            "PWD" | "CWD" | "CDUP" | "TYPE" | "MODE" | "STRU" | "SIZE" | "DELE" | "EPSV" | "PASV" | "PORT" | "EPRT"
                if !state.logged_in =>
            {
                Some(530)
            }
            _ => None,
        }
    }

    fn prot_lacks(&self, state: &State) -> Option<u16> {
        let level = state.argument.to_ascii_uppercase();
        if state.after_ccc && self.shared.settings.prot_after_ccc == Permission::Allowed {
            return None;
        }
        if !state.protected || (!state.pbsz && self.shared.settings.prot_before_pbsz == Permission::Refused) {
            return Some(503);
        }
        match level.as_str() {
            "" => Some(501),
            "C" | "P" => None,
            "S" | "E" => match self.shared.settings.unknown_level {
                UnknownLevel::Refused | UnknownLevel::RefusedAndClear => Some(536),
                UnknownLevel::MeansClear | UnknownLevel::MeansPrivate => None,
            },
            _ => Some(504),
        }
    }

    fn transfer_lacks(&self, verb: &str, state: &State) -> Option<u16> {
        if !state.logged_in {
            return Some(530);
        }
        // 4217 §10.2: checked at the transfer command, before any 1yz.
        if !state.private && self.shared.settings.clear_data == Permission::Refused {
            return Some(521);
        }
        let there = self.shared.tree.at(&state.path);
        let refused = match verb {
            "RETR" => !matches!(there, Some(Entry::File(_))),
            "STOR" => return if !self.shared.tree.may_write(&state.path) { Some(553) } else { no_way(state) },
            _ => there.is_none(),
        };
        if refused { Some(550) } else { no_way(state) }
    }

    /// The script of a command that lacks nothing and has no correct script of its own.
    pub(super) fn short_script(&self, verb: &str) -> Script {
        let code = self.code_for(verb);
        let settings = &self.shared.settings;
        match (verb, code) {
            ("EPSV", 522) if settings.epsv_protocol == EpsvProtocol::WithoutList => {
                let text = Template("522 That network protocol is not supported".to_owned());
                vec![step(Act::Answer(Answer::Text(text)))]
            }
            ("EPSV" | "PASV", 425) if settings.passive_ports == PassivePorts::NarrowAndSilent => Vec::new(),
            ("REIN", 220) if settings.rein != Rein::KeepsTls && self.state().protected => {
                vec![answer(code), step(Act::Clear(Some(Name::from(ftpspec_play::CONTROL))))]
            }
            _ => vec![answer(code)],
        }
    }

    /// The code with which a command that lacks nothing is answered.
    fn code_for(&self, verb: &str) -> u16 {
        let mut state = self.state();
        match verb {
            "REIN" => 220,
            "USER" => 331,
            "PASS" => 230,
            "PBSZ" | "PROT" | "NOOP" | "TYPE" | "MODE" | "STRU" | "OPTS" => 200,
            "FEAT" | "STAT" => 211,
            "SYST" => 215,
            "HELP" => 214,
            "PWD" => 257,
            "CWD" | "CDUP" => {
                if verb == "CDUP" {
                    state.path = resolve(&state.folder, "..");
                }
                if matches!(self.shared.tree.at(&state.path), Some(Entry::Folder)) { 250 } else { 550 }
            }
            "SIZE" => match self.shared.tree.at(&state.path) {
                Some(Entry::File(octets)) => {
                    state.payload = octets;
                    213
                }
                _ => 550,
            },
            "DELE" => {
                if self.shared.tree.remove(&state.path) {
                    250
                } else {
                    550
                }
            }
            "EPSV" => {
                let argument = state.argument.to_ascii_uppercase();
                let ours = if self.ip.is_ipv4() { "1" } else { "2" };
                match argument.as_str() {
                    "ALL" => 200,
                    _ if argument.is_empty() || argument == ours => self.listen(&mut state, 229),
                    _ if self.shared.settings.epsv_protocol == EpsvProtocol::Ignored => self.listen(&mut state, 229),
                    _ if argument.parse::<u32>().is_ok() => 522,
                    _ => 501,
                }
            }
            "PASV" if self.ip.is_ipv4() => self.listen(&mut state, 227),
            "PASV" => 425,
            "PORT" => {
                let to = parse_port_argument(state.argument.as_bytes()).map(SocketAddr::V4);
                self.aim(&mut state, to.ok())
            }
            "EPRT" => {
                let to = parse_eprt_argument(state.argument.as_bytes());
                self.aim(&mut state, to.ok())
            }
            "ABOR" => 225,
            _ => 500,
        }
    }

    /// Opens a passive listener where the settings have it; an earlier one of the session is free again before.
    fn listen(&self, state: &mut State, code: u16) -> u16 {
        let earlier = state.data.take();
        if self.shared.settings.passive_ports == PassivePorts::NarrowAndUnused {
            state.unused.extend(earlier);
        }
        match self.shared.passive_listener(self.ip) {
            Some(listener) => {
                state.data = Some(DataWay::Passive(listener));
                code
            }
            None => 425,
        }
    }

    /// Active mode goes to the client's own address and to no low port (RFC 2577 §3).
    fn aim(&self, state: &mut State, to: Option<SocketAddr>) -> u16 {
        match to {
            None => 501,
            Some(to) if self.shared.settings.port_targets == Company::ControlPeer && !self.may_aim_at(to) => 504,
            Some(to) => {
                state.data = Some(DataWay::Active(to));
                200
            }
        }
    }

    fn may_aim_at(&self, to: SocketAddr) -> bool {
        to.ip() == self.peer_ip && to.port() >= 1024
    }
}

fn no_way(state: &State) -> Option<u16> {
    state.data.is_none().then_some(425)
}
