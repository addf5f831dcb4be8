//! Looks at the subject before anything is demanded of it: what it offers decides what is skipped. The probe never ends
//! a run that can still learn something; what it could not reach, the scenarios that need it will tell.

use std::collections::BTreeSet;

use ftpspec_net::Limits;
use ftpspec_play::{CONTROL, Player};
use ftpspec_scenario::model::{Act, Capability, Handshake, Level, Login, Template};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::What;
use ftpspec_wire::{Reply, escaped};

use crate::stage::{Stage, seat};
use crate::subject::{Endpoint, NoEndpoint};

/// What the probe found.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// What the subject offers, of what can be found out by asking.
    pub offers: BTreeSet<Capability>,
    /// What it said, for people.
    pub lines: Vec<String>,
    /// No TCP connection, or no greeting: there is nobody to test.
    pub unreachable: Option<String>,
    /// The certificate was not accepted, or the login was refused.
    pub shut_out: Option<String>,
}

impl Probe {
    /// What our own reference server offers; no asking is needed.
    pub(crate) fn of_reference() -> Self {
        let offers = Capability::ALL.iter().copied().filter(|capability| !capability.is_configured()).collect();
        Self { offers, ..Self::default() }
    }

    /// Asks the subject.
    pub(crate) async fn ask(stage: &Stage) -> Result<Self, NoEndpoint> {
        let mut probe = Self::default();
        let endpoint = stage.host.endpoint(&[], None).await?;
        probe.greet(stage, &endpoint).await;
        if probe.unreachable.is_some() {
            return Ok(probe);
        }
        for (version, capability) in [(Version::Tls12, Capability::Tls12), (Version::Tls13, Capability::Tls13)] {
            probe.log_in(stage, &endpoint, version, capability).await;
        }
        // One engine can lack what the other has in common with the subject; a second look costs one connection.
        if probe.offers.contains(&Capability::Tls12) || probe.offers.contains(&Capability::Tls13) {
            probe.shut_out = None;
        }
        Ok(probe)
    }

    /// The greeting and FEAT in the clear, and whether AUTH is known at all.
    async fn greet(&mut self, stage: &Stage, endpoint: &Endpoint) {
        let mut player = player(stage, endpoint, Version::Tls12..=Version::Tls13, stage.limits);
        let connect = vec![Player::step(Act::Connect(control()))];
        if player.play(&connect).await.is_err() {
            self.unreachable = Some(format!("{}: {}", endpoint.address, last_failure(&player)));
            return;
        }
        if endpoint.implicit {
            self.lines.push("greeting  inside TLS (implicit)".to_owned());
            // AUTH has no meaning there; the scenarios about it are skipped.
            player.part(false).await;
            return;
        }
        match player.next_greeting().await {
            Ok(reply) => self.lines.push(format!("greeting  {}", first_line(&reply))),
            Err(_) => {
                self.unreachable = Some(format!("{}: no greeting: {}", endpoint.address, last_failure(&player)));
                return;
            }
        }
        if let Ok(reply) = player.inquire("FEAT").await {
            self.features(&reply);
        }
        // Only these two say that it is not there; everything else is for the scenarios to judge.
        match player.inquire("AUTH TLS").await {
            Ok(reply) if matches!(reply.code, 500 | 502) => {
                self.lines.push(format!("AUTH TLS  {}", first_line(&reply)));
            }
            Ok(_) | Err(_) => _ = self.offers.insert(Capability::Auth),
        }
        player.part(false).await;
    }

    async fn log_in(&mut self, stage: &Stage, endpoint: &Endpoint, version: Version, capability: Capability) {
        let mut player = player(stage, endpoint, version..=version, stage.limits);
        let connect = vec![Player::step(Act::Connect(control()))];
        let handshake = vec![Player::step(Act::Handshake(Handshake::plain_on(CONTROL)))];
        if player.play(&connect).await.is_err() {
            return;
        }
        let mut ready = true;
        if !endpoint.implicit {
            ready = player.next_greeting().await.is_ok()
                && player.inquire("AUTH TLS").await.is_ok_and(|reply| reply.code == 234);
        }
        if !ready || player.play(&handshake).await.is_err() {
            self.lines.push(format!("TLS {version}   {}", last_failure(&player)));
            self.shut_out.get_or_insert_with(|| format!("TLS {version}: {}", last_failure(&player)));
            player.part(false).await;
            return;
        }
        self.offers.insert(capability);
        self.lines.push(format!("TLS {version}   {}", agreed(&player)));
        player.part(true).await;
        if endpoint.user.is_none() {
            return;
        }
        let mut player = self::player(stage, endpoint, version..=version, stage.limits);
        let login = Login { protect: Some(ftpspec_scenario::model::ProtectionLevel::P), certificate: None };
        match player.play(&vec![Player::step(Act::Login(login))]).await {
            Ok(()) => self.explore(&mut player).await,
            Err(_) => {
                self.lines.push(format!("login     {}", last_failure(&player)));
                self.shut_out.get_or_insert_with(|| format!("login: {}", last_failure(&player)));
            }
        }
        player.part(true).await;
    }

    /// What can be asked inside a session: once is enough.
    async fn explore(&mut self, player: &mut Player) {
        if self.offers.contains(&Capability::Epsv) || self.offers.contains(&Capability::Pasv) {
            return;
        }
        for (command, code, capability) in [("EPSV", 229, Capability::Epsv), ("PASV", 227, Capability::Pasv)] {
            if let Ok(reply) = player.inquire(command).await {
                self.lines.push(format!("{command}      {}", first_line(&reply)));
                if reply.code == code {
                    self.offers.insert(capability);
                }
            }
        }
        if let Ok(reply) = player.inquire("FEAT").await {
            self.features(&reply);
        }
        if let Ok(reply) = player.inquire("CCC").await {
            self.lines.push(format!("CCC       {}", first_line(&reply)));
            if reply.code == 200 {
                self.offers.insert(Capability::Ccc);
                _ = player.play(&vec![Player::step(Act::Clear(Some(CONTROL.to_owned())))]).await;
            }
        }
    }

    fn features(&mut self, reply: &Reply) {
        if reply.code != 211 {
            return;
        }
        let words: Vec<_> =
            reply.lines.iter().filter(|line| line.starts_with(b" ")).map(|line| escaped(line.trim_ascii())).collect();
        if words.iter().any(|word| word.to_ascii_uppercase().starts_with("MLS")) {
            self.offers.insert(Capability::Mlsd);
        }
        let line = format!("FEAT      {}", words.join(", "));
        if !words.is_empty() && !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }
}

/// A plain login, or a greeting where nobody can log in: shows that the subject still lives.
pub(crate) async fn still_lives(stage: &Stage) -> Result<(), String> {
    let Ok(endpoint) = stage.host.endpoint(&[], None).await else { return Err("it cannot be reached".to_owned()) };
    let login = Login { protect: Some(ftpspec_scenario::model::ProtectionLevel::P), certificate: None };
    let mut player = player(stage, &endpoint, Version::Tls12..=Version::Tls13, stage.limits);
    let steps = match endpoint.user {
        Some(_) => vec![Player::step(Act::Login(login)), Player::step(Act::Send(Template("NOOP".to_owned())))],
        None => vec![Player::step(Act::Connect(control()))],
    };
    let mut result = player.play(&steps).await;
    if result.is_ok() && endpoint.user.is_none() && !endpoint.implicit {
        result = player.next_greeting().await.map(drop);
    }
    let failure = last_failure(&player);
    player.part(result.is_ok()).await;
    result.map_err(|_| failure)
}

fn control() -> ftpspec_scenario::model::Connect {
    use ftpspec_scenario::model::{Connect, ConnectTo};
    Connect { to: ConnectTo::Control, name: CONTROL.to_owned(), from: None }
}

fn player(stage: &Stage, endpoint: &Endpoint, versions: std::ops::RangeInclusive<Version>, limits: Limits) -> Player {
    stage.player(seat(endpoint, Engine::Openssl, versions), endpoint, Level::Must, limits)
}

fn first_line(reply: &Reply) -> String {
    reply.lines.first().map(|line| escaped(&line[..line.len().min(100)])).unwrap_or_default()
}

/// What an act lacked, in the words of the log.
fn last_failure(player: &Player) -> String {
    player.log().look(|events| {
        let came = events.iter().rev().find_map(|event| match &event.what {
            What::Unmet { due, came, .. } => Some(format!("due was {due}; came {came}")),
            What::ConnectFailed { why, .. } => Some(why.clone()),
            _ => None,
        });
        came.unwrap_or_else(|| "it ended".to_owned())
    })
}

fn agreed(player: &Player) -> String {
    player.log().look(|events| {
        let told = events.iter().find_map(|event| match &event.what {
            What::Handshake(handshake) => Some(format!(
                "{}, certificate {}, client certificate {}",
                handshake.suite,
                handshake.certificate.as_deref().unwrap_or("none"),
                handshake.client_certificate
            )),
            _ => None,
        });
        told.unwrap_or_default()
    })
}
