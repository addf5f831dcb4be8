//! Why a variant is not played on a subject: what is not allowed, not offered, not known, or would break its pace. It
//! decides before anything is sent.

use std::net::SocketAddr;
use std::sync::PoisonError;

use ftpspec_results::Verdict;
use ftpspec_scenario::model::{Act, Capability, Resume, Script, Variant};
use ftpspec_scenario::variables;
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::Event;

use crate::cost::sessions;
use crate::pace::Permit;
use crate::probe::login_refusal;
use crate::stage::{Stage, engine};
use crate::subject::{Endpoint, Subject};

impl Stage {
    /// Why a variant is not played here, and what that makes of it.
    pub(crate) fn obstacle(&self, variant: &Variant) -> Option<(Verdict, String)> {
        let skip = |reason: String| Some((Verdict::Skip, reason));
        if variant.effects > self.allow {
            return skip(format!("effect: {} is not allowed here (--allow {})", variant.effects, variant.effects));
        }
        let lacking = variant.needs.iter().find(|need| self.probe.lacks(**need));
        if let Some(lacking) = lacking {
            return skip(format!("capability: {lacking} is not offered{}", self.cited(*lacking)));
        }
        let offers_again = |act: &Act| matches!(act, Act::Handshake(handshake) if handshake.resume == Resume::First);
        let only_once = engine(variant) == Some(Engine::Rustls) && variant.needs.contains(&Capability::Tls13);
        if only_once && mentions(&variant.steps, &offers_again) {
            return skip(
                "capability: rustls gives each TLS 1.3 ticket away once, and cannot offer it again".to_owned(),
            );
        }
        if let Some(obstacle) = self.client_obstacle(variant) {
            return Some(obstacle);
        }
        if let Subject::Remote(remote) = &self.host.subject {
            let versions = &remote.surroundings.versions;
            if version(variant).is_some_and(|version| !versions.is_empty() && !versions.contains(&version)) {
                return skip("capability: this TLS version is not to be tested here".to_owned());
            }
        }
        if !logs_in(variant) {
            return None;
        }
        if let Some(why) = self.host.without_login() {
            return skip(format!("capability: {why}"));
        }
        let Subject::Remote(_) = &self.host.subject else { return None };
        // A second refusal could lock the account.
        let refused = self.refusal()?;
        Some((Verdict::Untestable, format!("prerequisite: the login was refused, and is not tried again: {refused}")))
    }

    /// Whether files are to be looked for: on an endpoint of which nobody has named any that can be read.
    pub(crate) fn wants_files(&self) -> bool {
        let Subject::Remote(remote) = &self.host.subject else { return false };
        !remote.surroundings.fixtures.keys().any(|name| name != "missing" && name != "empty-directory")
    }

    /// How the login was refused, before the run or in it.
    pub(crate) fn refusal(&self) -> Option<String> {
        let later = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.probe.refused.clone().or(later)
    }

    /// A login that was refused in the midst of a run is not tried again either.
    pub(crate) fn heed_refusal(&self, events: &[Event]) {
        let Subject::Remote(_) = &self.host.subject else { return };
        if let Some(refusal) = login_refusal(events) {
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(refusal);
        }
    }

    /// Waits until a variant may be played; the error is the reason why it may not.
    pub(crate) async fn paced(&self, endpoint: &Endpoint, variant: &Variant) -> Result<Permit<'_>, String> {
        if let Some(reason) = out_of_reach(endpoint.address, variant) {
            return Err(reason);
        }
        for name in variables(&variant.steps) {
            let missing = match name.split_once('.') {
                Some(("fixture", fixture)) => !endpoint.fixtures.contains_key(fixture),
                _ => name == "upload" && endpoint.scratch.is_none(),
            };
            if missing {
                let what = if name == "upload" { "scratch folder" } else { "path for it" };
                return Err(format!("fixture: {name}: no {what} is known on this endpoint"));
            }
        }
        self.pace.enter(sessions(&variant.steps)).await
    }

    /// What the probe was told about a capability.
    fn cited(&self, capability: Capability) -> String {
        let word = match capability {
            Capability::Tls12 => "TLS 1.2",
            Capability::Tls13 => "TLS 1.3",
            Capability::Mlsd => "FEAT",
            Capability::Auth => "AUTH TLS",
            other => other.word(),
        };
        let line = self.probe.lines.iter().find(|line| line.starts_with(word));
        line.map_or_else(String::new, |line| format!(" (probe: {line})"))
    }
}

/// Why what a variant is about cannot be at this address.
fn out_of_reach(address: SocketAddr, variant: &Variant) -> Option<String> {
    let room = |command| format!("capability: {command} has room for an IPv4 address only");
    if address.is_ipv6() && variables(&variant.steps).iter().any(|name| name.ends_with(".PORT")) {
        return Some(room("PORT"));
    }
    if address.is_ipv6() && variant.needs.contains(&Capability::Pasv) {
        return Some(room("PASV"));
    }
    // A listener at an address of its own is a trap on this machine's loopback.
    let trap = |act: &Act| matches!(act, Act::Listen { at: Some(_), .. });
    if !address.ip().is_loopback() && mentions(&variant.steps, &trap) {
        return Some(
            "capability: the trap stands on this machine's loopback, where this server cannot come".to_owned(),
        );
    }
    None
}

/// Whether the real password is sent.
pub(crate) fn logs_in(variant: &Variant) -> bool {
    mentions(&variant.steps, &|act| matches!(act, Act::Login(_))) || variables(&variant.steps).contains("password")
}

/// The TLS version that a variant names.
fn version(variant: &Variant) -> Option<Version> {
    variant.choices.iter().find(|(axis, _)| axis == "version").and_then(|(_, word)| word.parse().ok())
}

/// Whether an act of this kind stands anywhere in a script.
pub(crate) fn mentions(script: &Script, is_it: &dyn Fn(&Act) -> bool) -> bool {
    script.iter().any(|step| {
        is_it(&step.act)
            || match &step.act {
                Act::Together(script)
                | Act::Judged { script, .. }
                | Act::Within { script, .. }
                | Act::Session { script, .. } => mentions(script, is_it),
                Act::Await { branches } => branches.iter().any(|(_, script)| mentions(script, is_it)),
                Act::Either(scripts) => scripts.iter().any(|script| mentions(script, is_it)),
                Act::Reply(ftpspec_scenario::model::ReplyMatch::Branches(branches)) => {
                    branches.iter().any(|(_, script)| mentions(script, is_it))
                }
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ftpspec_scenario::Catalogue;
    use rstest::rstest;

    use super::*;

    /// By the choice that a scenario varies besides engine and version, why it is out of reach at this address.
    fn reasons(scenario: &str, address: &str) -> BTreeMap<String, Option<String>> {
        let catalogue = Catalogue::embedded().unwrap();
        let address = address.parse().unwrap();
        let variants = &catalogue.scenario(scenario).unwrap().variants;
        let told = variants.iter().map(|variant| {
            let last = variant.choices.last().map(|(_, word)| word.clone()).unwrap_or_default();
            (last, out_of_reach(address, variant))
        });
        told.collect()
    }

    #[rstest]
    #[case("127.0.0.1:21")]
    #[case("127.1.2.3:2121")]
    fn a_server_on_loopback_can_come_to_each_trap(#[case] address: &str) {
        let reasons = reasons(BOUNCE, address);
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        assert!(reasons.values().all(Option::is_none), "{reasons:?}");
    }

    #[rstest]
    #[case("192.0.2.1:21")]
    #[case("10.0.0.7:990")]
    fn a_server_elsewhere_cannot_come_to_a_trap_on_our_loopback(#[case] address: &str) {
        let reasons = reasons(BOUNCE, address);
        for choice in ["third-party-by-PORT", "third-party-by-EPRT"] {
            let reason = reasons[choice].as_deref();
            assert_eq!(reason, Some(ELSEWHERE), "{choice}");
        }
        assert_eq!(reasons["port-below-1024"], None, "it has no trap");
        // A listener that is at no address of its own is where the server sees us.
        let active = self::reasons("server/active/eprt-and-port", address);
        assert!(!active.is_empty() && active.values().all(Option::is_none), "{active:?}");
    }

    #[test]
    fn over_ipv6_what_can_name_ipv4_only_is_out_of_reach_and_nothing_else() {
        let bounce = reasons(BOUNCE, "[::1]:21");
        let room = |command| format!("capability: {command} has room for an IPv4 address only");
        assert_eq!(bounce["third-party-by-PORT"], Some(room("PORT")));
        assert_eq!(bounce["third-party-by-EPRT"], None, "this machine's loopback is one place");
        assert_eq!(bounce["port-below-1024"], None);
        let passive = reasons("server/passive/pasv-address", "[::1]:21");
        assert!(!passive.is_empty() && passive.values().all(|reason| *reason == Some(room("PASV"))), "{passive:?}");
        let extended = reasons("server/passive/epsv", "[::1]:21");
        assert!(!extended.is_empty() && extended.values().all(Option::is_none), "{extended:?}");
        let elsewhere = reasons(BOUNCE, "[2001:db8::1]:21");
        assert_eq!(elsewhere["third-party-by-EPRT"].as_deref(), Some(ELSEWHERE));
    }

    const BOUNCE: &str = "server/active/bounce-refused";

    const ELSEWHERE: &str = "capability: the trap stands on this machine's loopback, where this server cannot come";
}
