//! The embedded reference client: the player with a script for each thing that a client does. Its scripts stand in
//! `correct-client.yaml`, a defect replaces any of them; what it makes of the answers is set by words. It has a log of
//! its own, which nobody judges: what counts is what its server saw.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ftpspec_net::{Connection, Early, Limits};
use ftpspec_play::client::ClientSeatSettings;
use ftpspec_play::{CONTROL, ClientSeat, Counters, DATA, Manners, Player, Seat, Setting, Stop};
use ftpspec_scenario::client_settings::{
    AfterEpsvRefusal, Certificates, ClientSettings, OctetsAfter234, PassiveAddress, WithoutTls,
};
use ftpspec_scenario::load_client_rules;
use ftpspec_scenario::model::{Level, PeerScript, Rule, Source};
use ftpspec_tls::{Engine, Trust, Version};
use ftpspec_transcript::{By, Event, Log, Secret, What};

use super::{Errand, Fetched, How, Outcome, SERVER_NAME, fetches, remote};
use crate::pki::Pki;

/// The reference client, before it is asked for anything.
pub struct ReferenceClient {
    /// The server's address.
    pub address: SocketAddr,
    /// Its TLS library.
    pub engine: Engine,
    /// The one version that it speaks, if not all.
    pub version: Option<Version>,
    /// Whom it trusts, and who it is.
    pub pki: Arc<Pki>,
    /// The lie that it tells; empty is none.
    pub defect: PeerScript,
    /// How long it waits for what.
    pub limits: Limits,
}

impl ReferenceClient {
    /// Does what it is asked for, and ends its sessions.
    ///
    /// # Errors
    /// If the harness is at a loss: a defect that names what is not there, a PKI that cannot be read.
    ///
    /// # Panics
    /// If the correct scripts, which are part of this program, cannot be read.
    pub async fn run(self, errand: &Errand) -> Result<Outcome, String> {
        let mut settings = ClientSettings::default();
        for (setting, value) in &self.defect.settings {
            settings.set(setting, value).map_err(|error| error.to_string())?;
        }
        let source = Source {
            name: "correct-client.yaml".to_owned(),
            text: include_str!("../reference/correct-client.yaml").to_owned(),
        };
        let correct = load_client_rules(&Arc::new(source)).expect("a test reads this file").rules;
        let log = Log::new(Instant::now());
        let seat = self.seat(&settings)?;
        let setting = Setting {
            log: Arc::clone(&log),
            limits: self.limits,
            names: Arc::new(|_| None),
            level: Level::Must,
            variables: variables(errand),
            passive_ports: None,
            made: Counters::default(),
        };
        let player = Player::new(seat, setting);
        let mut client =
            Client { player, settings, rules: self.defect.rules, correct, epsv_refused: false, fetched: vec![] };
        let did = client.does(errand).await;
        let how = match did {
            Ok(()) => How::Succeeded,
            Err(Stop::Trouble(text)) => return Err(text),
            Err(_) => How::Failed,
        };
        let Client { player, fetched, .. } = client;
        player.part(how == How::Succeeded).await;
        Ok(Outcome { how, status: last_words(&log.events()), said: String::new(), fetched })
    }

    fn seat(&self, settings: &ClientSettings) -> Result<Seat, String> {
        let trust = match settings.certificates {
            Certificates::Verified => Trust::Roots(self.pki.ca_pem().map_err(|error| error.to_string())?),
            Certificates::Any => Trust::Anyone,
        };
        let identity = self.pki.identity(IDENTITY).map_err(|error| error.to_string())?;
        Ok(Seat::Client(Box::new(ClientSeat::new(ClientSeatSettings {
            address: self.address,
            engine: self.engine,
            versions: self.version.map_or(Version::Tls12..=Version::Tls13, |only| only..=only),
            server_name: SERVER_NAME.to_owned(),
            trust,
            identities: BTreeMap::from([(IDENTITY.to_owned(), identity)]),
            certificate: Some(IDENTITY.to_owned()),
            implicit: false,
            user: None,
            // Its scripts name the password; one that lies may send it where it must not go.
            password: Secret::new(""),
            manners: Manners {
                early: match settings.octets_after_234 {
                    OctetsAfter234::GivenToTls => Early::GivenToTls,
                    OctetsAfter234::Discarded => Early::Dropped,
                    OctetsAfter234::Taken => Early::Kept,
                },
                follows_addresses: settings.passive_address == PassiveAddress::AsTold,
            },
        }))))
    }
}

/// The reference client at work.
struct Client {
    player: Player,
    settings: ClientSettings,
    rules: Vec<Rule>,
    correct: Vec<Rule>,
    /// The server has refused EPSV in this session.
    epsv_refused: bool,
    fetched: Vec<Fetched>,
}

impl Client {
    async fn does(&mut self, errand: &Errand) -> Result<(), Stop> {
        self.plays("greeting").await?;
        let secured = self.plays("AUTH").await;
        if secured.is_err() {
            match self.settings.without_tls {
                WithoutTls::Ends => return secured,
                WithoutTls::Waits => return pending().await,
                WithoutTls::GoesOn if self.has_lost(CONTROL) => self.plays("greeting").await?,
                WithoutTls::GoesOn => {}
            }
        }
        self.plays("login").await?;
        if secured.is_ok() {
            self.plays("protect").await?;
        }
        if errand.action == "ccc" {
            self.plays("CCC").await?;
        }
        for file in &errand.files {
            self.transfers(&errand.action, file).await?;
        }
        self.plays("QUIT").await
    }

    async fn transfers(&mut self, action: &str, file: &str) -> Result<(), Stop> {
        self.player.is_about(file, &remote(action, file));
        self.opens(action).await?;
        let played = self.plays(if fetches(action) { "get" } else { action }).await;
        if fetches(action) && played.is_ok() {
            let (octets, sha256) = self.received();
            self.fetched.push(Fetched { name: file.to_owned(), octets, sha256 });
        }
        played
    }

    /// Comes to a data connection: by EPSV, or, if that is refused, by PASV, or by PORT.
    async fn opens(&mut self, action: &str) -> Result<(), Stop> {
        if action == "active" {
            return self.plays("PORT").await;
        }
        let repeats = self.settings.after_epsv_refusal == AfterEpsvRefusal::Repeat;
        let ways: &[&str] = if self.epsv_refused && !repeats { &["PASV", "PORT"] } else { &["EPSV", "PASV", "PORT"] };
        let mut refused = Err(Stop::Unmet);
        for way in ways {
            refused = self.plays(way).await;
            if refused.is_ok() || self.has_lost(CONTROL) {
                return refused;
            }
            if *way == "EPSV" {
                self.epsv_refused = true;
                if self.settings.after_epsv_refusal == AfterEpsvRefusal::GiveUp {
                    return refused;
                }
            }
        }
        refused
    }

    async fn plays(&mut self, doing: &str) -> Result<(), Stop> {
        let rule = self.rules.iter().chain(&self.correct).find(|rule| rule.on == doing);
        let script = rule.map(|rule| rule.script.clone()).unwrap_or_default();
        self.player.play(&script).await
    }

    fn has_lost(&self, name: &str) -> bool {
        self.player.connection(name).is_none_or(Connection::is_over)
    }

    /// What the newest data connection has brought.
    fn received(&self) -> (Option<u64>, String) {
        let Some(connection) = self.player.connection(DATA) else { return (None, String::new()) };
        let of_it = |event: &&Event| event.connection.as_ref() == Some(connection.name()) && event.by == By::Peer;
        self.player.log().look(|events| {
            let content = events.iter().rev().filter(of_it).find_map(|event| match &event.what {
                What::Content { count, sha256, .. } => Some((Some(*count), sha256.clone())),
                _ => None,
            });
            content.unwrap_or((None, String::new()))
        })
    }
}

fn variables(errand: &Errand) -> BTreeMap<String, Vec<u8>> {
    let password = errand.password.reveal().as_bytes().to_vec();
    BTreeMap::from([("user".to_owned(), errand.user.clone().into_bytes()), ("password".to_owned(), password)])
}

/// Where the script ended, as the exit status of a program would tell.
fn last_words(events: &[Event]) -> String {
    let unmet = events.iter().rev().find_map(|event| match &event.what {
        What::Unmet { act, due, came, .. } => Some(format!("{act}: due {due}, came {came}")),
        _ => None,
    });
    unmet.unwrap_or_else(|| "done".to_owned())
}

/// The client certificate that it has, for servers that ask for one.
const IDENTITY: &str = "client-a";
