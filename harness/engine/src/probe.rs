//! Looks at the subject before anything is demanded of it: what it offers decides what is skipped. The probe never ends
//! a run that can still learn something; what it could not reach, the scenarios that need it will tell.

use std::collections::{BTreeMap, BTreeSet};

use ftpspec_net::Limits;
use ftpspec_peers::Family;
use ftpspec_play::{CONTROL, Player};
use ftpspec_results::Signal;
use ftpspec_scenario::model::{Act, Capability, Certificate, Handshake, Level, Login, Script};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{Event, What};
use ftpspec_wire::{Reply, escaped};

use crate::error::Trouble;
use crate::finding::{find, transfer};
use crate::run::Unplayed;
use crate::stage::{PARTING, Stage, seat};
use crate::stop::{Stop, unless_signalled};
use crate::subject::{Endpoint, NoEndpoint};

/// What the probe found.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// What the subject offers, of what can be found out by asking.
    pub offers: BTreeSet<Capability>,
    /// What the subject was asked for, and said yes or no to; whatever it was silent about may still be offered.
    pub answered: BTreeSet<Capability>,
    /// What it said, for people.
    pub lines: Vec<String>,
    /// No TCP connection, or no greeting: there is nobody to test.
    pub unreachable: Option<String>,
    /// The certificate was not accepted, or the login was refused.
    pub shut_out: Option<String>,
    /// The login was refused: it is not tried again.
    pub refused: Option<String>,
    /// A plain listing worked; it is tried again when the run is over.
    pub listed: bool,
    /// Files that stand for fixtures which nobody named.
    pub found: BTreeMap<String, String>,
}

impl Probe {
    /// What our own reference server offers; no asking is needed.
    pub(crate) fn of_reference(family: Family) -> Self {
        // 227 has room for an IPv4 address only.
        let offered = |capability: &Capability| {
            !capability.is_configured() && (*capability != Capability::Pasv || family == Family::V4)
        };
        let offers = Capability::ALL.iter().copied().filter(offered).collect();
        Self { offers, answered: Capability::ALL.iter().copied().collect(), ..Self::default() }
    }

    /// Whether it is known that this is not offered. What is not known is played: the login or the handshake that fails
    /// says more than a skip.
    pub(crate) fn lacks(&self, capability: Capability) -> bool {
        !capability.is_configured() && !self.offers.contains(&capability) && self.answered.contains(&capability)
    }

    /// Asks the subject, until it has told everything or a signal comes.
    pub(crate) async fn ask(stage: &Stage, stop: &mut Stop) -> Result<Self, Unplayed> {
        let mut probe = Self::default();
        let endpoint = unless_signalled(stop, stage.host.endpoint(&[], None)).await.map_err(Unplayed::Interrupted)?;
        let endpoint = endpoint.map_err(|why| match why {
            NoEndpoint::Lacks(text) => Unplayed::Trouble(Trouble { text }),
            NoEndpoint::Trouble(trouble) => Unplayed::Trouble(trouble),
        })?;
        probe.greet(stage, &endpoint, stop).await?;
        if probe.unreachable.is_some() {
            return Ok(probe);
        }
        for (version, capability) in [(Version::Tls12, Capability::Tls12), (Version::Tls13, Capability::Tls13)] {
            probe.log_in(stage, &endpoint, version, capability, stop).await?;
        }
        let spoken = probe.offers.contains(&Capability::Tls12) || probe.offers.contains(&Capability::Tls13);
        if spoken {
            // Who speaks one version has answered for the other; who speaks none may have any fault.
            probe.answered.extend([Capability::Tls12, Capability::Tls13]);
        }
        if probe.listed && stage.wants_files() {
            probe.look_for_files(stage, &endpoint, stop).await?;
        }
        // One engine can lack what the other has in common with the subject; a second look costs one connection.
        if spoken && probe.refused.is_none() {
            probe.shut_out = None;
        }
        Ok(probe)
    }

    /// The greeting and FEAT in the clear, and whether AUTH is known at all.
    async fn greet(&mut self, stage: &Stage, endpoint: &Endpoint, stop: &mut Stop) -> Result<(), Unplayed> {
        let permit = unless_signalled(stop, stage.pace.enter(1)).await.map_err(Unplayed::Interrupted)?;
        let mut player = player(stage, endpoint, Version::Tls12..=Version::Tls13, stage.limits);
        let ending = unless_signalled(stop, self.hear_greeting(&mut player, endpoint)).await;
        let left = leave(player, ending).await;
        drop(permit);
        left
    }

    async fn hear_greeting(&mut self, player: &mut Player, endpoint: &Endpoint) -> Ending {
        let connect = vec![Player::step(Act::Connect(control()))];
        if player.play(&connect).await.is_err() {
            let why = last_coming(player);
            self.unreachable = Some(format!("{} cannot be connected to ({why}){ADDRESS}", endpoint.address));
            return Ending::Nobody;
        }
        if endpoint.implicit {
            self.lines.push("greeting  inside TLS (implicit)".to_owned());
            // AUTH has no meaning there; the scenarios about it are skipped.
            self.answered.insert(Capability::Auth);
            return Ending::Unmet;
        }
        match player.next_greeting().await {
            Ok(reply) => self.lines.push(format!("greeting  {}", first_line(&reply))),
            Err(_) => {
                let came = last_coming(player);
                self.unreachable = Some(format!("{} gave no greeting (what came: {came}){GREETING}", endpoint.address));
                return Ending::Nobody;
            }
        }
        if let Ok(reply) = player.inquire("FEAT").await {
            self.features(&reply);
        }
        // Only these two say that it is not there; everything else is for the scenarios to judge.
        match player.inquire("AUTH TLS").await {
            Ok(reply) if matches!(reply.code, 500 | 502) => {
                self.answered.insert(Capability::Auth);
                self.lines.push(format!("AUTH TLS  {}", first_line(&reply)));
            }
            Ok(_) | Err(_) => _ = self.offers.insert(Capability::Auth),
        }
        Ending::Unmet
    }

    /// A handshake in one version, and, if that comes about, a login.
    async fn log_in(
        &mut self,
        stage: &Stage,
        endpoint: &Endpoint,
        version: Version,
        capability: Capability,
        stop: &mut Stop,
    ) -> Result<(), Unplayed> {
        // What the pace leaves no room for is not found out.
        let entered = unless_signalled(stop, stage.pace.enter(1)).await.map_err(Unplayed::Interrupted)?;
        let Ok(permit) = entered else { return Ok(()) };
        let mut player = player(stage, endpoint, version..=version, stage.limits);
        let ending = unless_signalled(stop, self.shake_hands(&mut player, endpoint, version, capability)).await;
        leave(player, ending).await?;
        drop(permit);
        // One refusal is enough: a second could lock the account.
        if !self.offers.contains(&capability) || endpoint.user.is_none() || self.refused.is_some() {
            return Ok(());
        }
        let entered = unless_signalled(stop, stage.pace.enter(1)).await.map_err(Unplayed::Interrupted)?;
        let Ok(_permit) = entered else { return Ok(()) };
        let mut player = self::player(stage, endpoint, version..=version, stage.limits);
        let ending = unless_signalled(stop, self.try_login(&mut player)).await;
        leave(player, ending).await
    }

    async fn shake_hands(
        &mut self,
        player: &mut Player,
        endpoint: &Endpoint,
        version: Version,
        capability: Capability,
    ) -> Ending {
        let connect = vec![Player::step(Act::Connect(control()))];
        let handshake = vec![Player::step(Act::Handshake(Handshake::plain_on(CONTROL)))];
        if player.play(&connect).await.is_err() {
            return Ending::Nobody;
        }
        let mut ready = true;
        if !endpoint.implicit {
            ready = player.next_greeting().await.is_ok()
                && player.inquire("AUTH TLS").await.is_ok_and(|reply| reply.code == 234);
        }
        if !ready || player.play(&handshake).await.is_err() {
            let failure = last_failure(player);
            self.lines.push(format!("TLS {version}   {failure}"));
            self.shut_out.get_or_insert_with(|| match distrusted(player) {
                Some(why) => {
                    format!(
                        "the server's certificate was not accepted ({why}), and no password was sent; {}",
                        cure(&why)
                    )
                }
                None => format!("TLS {version}: {failure}"),
            });
            return Ending::Unmet;
        }
        self.offers.insert(capability);
        self.lines.push(format!("TLS {version}   {}", agreed(player)));
        Ending::Met
    }

    async fn try_login(&mut self, player: &mut Player) -> Ending {
        let login =
            Login { protect: Some(ftpspec_scenario::model::ProtectionLevel::P), certificate: Certificate::Usual };
        match player.play(&vec![Player::step(Act::Login(login))]).await {
            Ok(()) => self.explore(player).await,
            Err(_) => {
                let failure = last_failure(player);
                self.lines.push(format!("login     {failure}"));
                let refusal = player.log().look(login_refusal);
                let advice = if refusal.is_some() { PASSWORD } else { "" };
                let told = refusal.as_ref().unwrap_or(&failure);
                self.shut_out.get_or_insert_with(|| format!("login: {told}{advice}"));
                self.refused = refusal;
            }
        }
        Ending::Met
    }

    /// What can be asked inside a session: once is enough.
    async fn explore(&mut self, player: &mut Player) {
        if self.offers.contains(&Capability::Epsv) || self.offers.contains(&Capability::Pasv) {
            return;
        }
        for (command, code, capability) in [("EPSV", 229, Capability::Epsv), ("PASV", 227, Capability::Pasv)] {
            if let Ok(reply) = player.inquire(command).await {
                self.lines.push(format!("{command}      {}", first_line(&reply)));
                self.takes(capability, &reply, code);
            }
        }
        if let Ok(reply) = player.inquire("FEAT").await {
            self.answered.insert(Capability::Mlsd);
            self.features(&reply);
        }
        self.listed = player.play(&self.listing()).await.is_ok();
        let listing = if self.listed { "works".to_owned() } else { last_failure(player) };
        self.lines.push(format!("listing   {listing}"));
        if let Ok(reply) = player.inquire("CCC").await {
            self.lines.push(format!("CCC       {}", first_line(&reply)));
            if self.takes(Capability::Ccc, &reply, 200) {
                _ = player.play(&vec![Player::step(Act::Clear(Some(CONTROL.to_owned())))]).await;
            }
        }
    }

    /// Takes a reply for a yes, for a no, or for neither; gives whether it is a yes.
    fn takes(&mut self, capability: Capability, reply: &Reply, yes: u16) -> bool {
        if reply.code == yes {
            self.offers.insert(capability);
        }
        if reply.code == yes || reply.class() >= 4 {
            self.answered.insert(capability);
        }
        reply.code == yes
    }

    /// A listing.
    fn listing(&self) -> Script {
        transfer(self.passive(), "LIST")
    }

    /// How data connections are opened here.
    fn passive(&self) -> &'static str {
        if self.offers.contains(&Capability::Epsv) { "EPSV" } else { "PASV" }
    }

    /// Looks for files in a session of its own: what it leaves behind confuses nobody.
    async fn look_for_files(&mut self, stage: &Stage, endpoint: &Endpoint, stop: &mut Stop) -> Result<(), Unplayed> {
        let entered = unless_signalled(stop, stage.pace.enter(1)).await.map_err(Unplayed::Interrupted)?;
        let Ok(_permit) = entered else { return Ok(()) };
        let mut player = player(stage, endpoint, Version::Tls12..=Version::Tls13, stage.limits);
        let ending = unless_signalled(stop, self.find_files(&mut player)).await;
        leave(player, ending).await
    }

    async fn find_files(&mut self, player: &mut Player) -> Ending {
        let login =
            Login { protect: Some(ftpspec_scenario::model::ProtectionLevel::P), certificate: Certificate::Usual };
        if player.play(&vec![Player::step(Act::Login(login))]).await.is_ok() {
            self.found = find(player, self.passive()).await;
            let told: Vec<_> =
                self.found.iter().map(|(name, path)| format!("{name} {}", escaped(path.as_bytes()))).collect();
            self.lines
                .push(format!("files     {}", if told.is_empty() { "none found".to_owned() } else { told.join(", ") }));
        }
        Ending::Met
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

/// How far a session came.
enum Ending {
    /// Nobody is there to take leave of.
    Nobody,
    /// Its script broke off.
    Unmet,
    /// Its script came to its end.
    Met,
}

/// Ends a session as it came out; in haste if a signal cut it short.
async fn leave(player: Player, ending: Result<Ending, Signal>) -> Result<(), Unplayed> {
    match ending {
        Ok(Ending::Nobody) => {}
        Ok(ending) => player.part(matches!(ending, Ending::Met)).await,
        Err(signal) => {
            _ = tokio::time::timeout(PARTING, player.part_in_haste()).await;
            return Err(Unplayed::Interrupted(signal));
        }
    }
    Ok(())
}

/// A plain login, or a greeting where nobody can log in: shows that the subject still lives.
pub(crate) async fn still_lives(stage: &Stage, stop: &mut Stop) -> Result<(), String> {
    let Ok(endpoint) = stage.host.endpoint(&[], None).await else { return Err("it cannot be reached".to_owned()) };
    let login = Login { protect: Some(ftpspec_scenario::model::ProtectionLevel::P), certificate: Certificate::Usual };
    let mut player = player(stage, &endpoint, Version::Tls12..=Version::Tls13, stage.limits);
    let steps = match endpoint.user {
        Some(_) if stage.probe.listed => {
            std::iter::once(Player::step(Act::Login(login))).chain(stage.probe.listing()).collect()
        }
        Some(_) => vec![Player::step(Act::Login(login))],
        None => vec![Player::step(Act::Connect(control()))],
    };
    let session = async {
        let mut result = player.play(&steps).await;
        if result.is_ok() && endpoint.user.is_none() && !endpoint.implicit {
            result = player.next_greeting().await.map(drop);
        }
        let ending = if result.is_ok() { Ending::Met } else { Ending::Unmet };
        (ending, result.map_err(|_| last_failure(&player)))
    };
    match unless_signalled(stop, session).await {
        Ok((ending, lives)) => {
            _ = leave(player, Ok(ending)).await;
            lives
        }
        // What was not asked to its end is not told.
        Err(signal) => {
            _ = leave(player, Err(signal)).await;
            Ok(())
        }
    }
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
            _ => None,
        });
        came.unwrap_or_else(|| "it ended".to_owned())
    })
}

/// What came where the sentence around it says what was due.
fn last_coming(player: &Player) -> String {
    player.log().look(|events| {
        let came = events.iter().rev().find_map(|event| match &event.what {
            What::Unmet { came, .. } => Some(came.clone()),
            _ => None,
        });
        came.unwrap_or_else(|| "it ended".to_owned())
    })
}

/// How USER or PASS was refused, where our login ended with that, be it an act or written out in the script. 421 refuses
/// the connection, not the user.
pub(crate) fn login_refusal(events: &[Event]) -> Option<String> {
    let is_act = |event: &Event| matches!(event.what, What::Act { word: "login", .. });
    let failed = |event: &Event| matches!(&event.what, What::Leaf { text, .. } if text.starts_with("login:"));
    if events.iter().any(is_act) && !events.iter().any(failed) {
        return None;
    }
    events.iter().find_map(|event| match &event.what {
        What::Reply { reply, to, .. }
            if reply.class() >= 4 && reply.code != 421 && matches!(to.as_str(), "USER" | "PASS") =>
        {
            Some(format!("{to} was answered {}", first_line(reply)))
        }
        _ => None,
    })
}

/// Why we did not accept the server's certificate, if that is so.
fn distrusted(player: &Player) -> Option<String> {
    player.log().look(|events| {
        events.iter().find_map(|event| match &event.what {
            What::HandshakeFailed { why: "certificate", words } => Some(words.clone()),
            _ => None,
        })
    })
}

/// What to do about a certificate that was not accepted, by what OpenSSL says of it.
fn cure(why: &str) -> &'static str {
    if why.contains("mismatch") {
        RENAME
    } else if why.contains("expired") || why.contains("not yet valid") {
        RENEW
    } else {
        TRUST
    }
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

/// What to do where no TCP connection comes about.
const ADDRESS: &str = "; look at host and port, whether the server runs, and what filters between here and there";

/// What to do where one comes about, and is silent.
const GREETING: &str = "; see that host and port are those of an FTP server, and that a server with implicit TLS is \
    given as ftps://";

/// What to do where the certificate is for another host.
const RENAME: &str = "if it is the right server, name it in the URL as its certificate does, with --connect-to if that \
    name leads elsewhere, or accept any certificate (--insecure)";

/// What to do where the certificate is not valid now.
const RENEW: &str = "have it renewed, see that this machine's clock is right, or accept any certificate (--insecure)";

/// What to do where nobody whom we trust has signed the certificate.
const TRUST: &str = "if it is the right server, name the authority that signed its certificate (--ca-file, or ca-file \
    in a target), or accept any certificate (--insecure)";

/// What to do where the login was refused.
const PASSWORD: &str =
    "; look at user and password: the login is not tried a second time, so that no account is locked";
