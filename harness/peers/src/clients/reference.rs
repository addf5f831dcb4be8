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
use ftpspec_play::{CONTROL, ClientSeat, Counters, DATA, DataCheck, Manners, Player, Seat, Setting, Stop};
use ftpspec_scenario::client_settings::{
    AfterEpsvRefusal, Certificates, ClientSettings, ManyLines, NewTickets, OctetsAfter234, OfferedSuites,
    OfferedVersions, PassiveAddress, TicketsOf, WithoutTls,
};
use ftpspec_scenario::load_client_rules;
use ftpspec_scenario::model::{Level, PeerScript, Rule, Source, Why};
use ftpspec_tls::{Aead, Engine, Sessions, Suites, Trust, Version};
use ftpspec_transcript::{By, Event, Log, Secret, What};
use tokio::task::JoinSet;

use super::{Errand, Fetched, How, Outcome, SERVER_NAME, fetches, remote};
use crate::pki::Pki;
use crate::reference::Fired;

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
    /// How often each rule of the lie has fired.
    pub fired: Fired,
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
        let settings = ClientSettings::of(&self.defect.settings).map_err(|error| error.to_string())?;
        let common = (settings.tickets_of == TicketsOf::AnySession).then(|| Sessions::new(CONTROL));
        if errand.action != PARALLEL {
            return self.in_one_session(errand, settings, common).await;
        }
        let client = Arc::new(self);
        let mut sessions = JoinSet::new();
        for (number, file) in errand.files.iter().enumerate() {
            let (client, settings, common) = (Arc::clone(&client), settings.clone(), common.clone());
            let part = Errand { action: "get".to_owned(), files: vec![file.clone()], ..errand.clone() };
            sessions.spawn(async move { (number, client.in_one_session(&part, settings, common).await) });
        }
        let mut outcomes = BTreeMap::new();
        while let Some(ended) = sessions.join_next().await {
            let (number, outcome) = ended.map_err(|error| error.to_string())?;
            outcomes.insert(number, outcome?);
        }
        Ok(Outcome {
            how: outcomes
                .values()
                .map(|outcome| outcome.how)
                .find(|how| *how != How::Succeeded)
                .unwrap_or(How::Succeeded),
            status: outcomes.values().map(|outcome| outcome.status.as_str()).collect::<Vec<_>>().join("; "),
            said: String::new(),
            fetched: outcomes.into_values().flat_map(|outcome| outcome.fetched).collect(),
        })
    }

    async fn in_one_session(
        &self,
        errand: &Errand,
        settings: ClientSettings,
        common: Option<Sessions>,
    ) -> Result<Outcome, String> {
        let source = Source {
            name: "correct-client.yaml".to_owned(),
            text: include_str!("../reference/correct-client.yaml").to_owned(),
        };
        let correct = load_client_rules(&Arc::new(source)).expect("a test reads this file").rules;
        let log = Log::new(Instant::now());
        let seat = self.seat(&settings, common)?;
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
        let mut client = Client {
            player,
            settings,
            rules: self.defect.rules.clone(),
            fired: self.fired.clone(),
            correct,
            ipv6: self.address.is_ipv6(),
            epsv_refused: false,
            fetched: vec![],
        };
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

    fn seat(&self, settings: &ClientSettings, common: Option<Sessions>) -> Result<Seat, String> {
        let trust = match settings.certificates {
            Certificates::Verified | Certificates::AnyOnData | Certificates::ForAddressOnData => {
                Trust::Roots(self.pki.ca_pem().map_err(|error| error.to_string())?)
            }
            Certificates::Any => Trust::Anyone,
        };
        let identity = self.pki.identity(IDENTITY).map_err(|error| error.to_string())?;
        let old = settings.offered_versions == OfferedVersions::OldToo;
        Ok(Seat::Client(Box::new(ClientSeat::new(ClientSeatSettings {
            address: self.address,
            // Only OpenSSL speaks the old ones.
            engine: if old { Engine::Openssl } else { self.engine },
            versions: match self.version {
                Some(only) => only..=only,
                None if old => Version::Tls10..=Version::Tls13,
                None => Version::Tls12..=Version::Tls13,
            },
            server_name: SERVER_NAME.to_owned(),
            trust,
            identities: BTreeMap::from([(IDENTITY.to_owned(), identity)]),
            certificate: Some(IDENTITY.to_owned()),
            implicit: false,
            user: None,
            // Its scripts name the password; one that lies may send it where it must not go.
            password: Secret::new(""),
            sessions: common,
            manners: Manners {
                early: match settings.octets_after_234 {
                    OctetsAfter234::GivenToTls => Early::GivenToTls,
                    OctetsAfter234::Discarded => Early::Dropped,
                    OctetsAfter234::Taken => Early::Kept,
                },
                halts_behind_234: true,
                takes_each_line: settings.many_lines == ManyLines::ManyReplies,
                follows_addresses: settings.passive_address == PassiveAddress::AsTold,
                data_check: match settings.certificates {
                    Certificates::Verified | Certificates::Any => None,
                    Certificates::AnyOnData => Some(DataCheck::Nothing),
                    Certificates::ForAddressOnData => Some(DataCheck::Address),
                },
                takes_new_tickets: settings.new_tickets == NewTickets::Taken,
                suites: match settings.offered_suites {
                    OfferedSuites::Usual if old => Suites::OldToo,
                    OfferedSuites::Usual => Suites::Modern,
                    OfferedSuites::Aes256 => Suites::Only(Aead::Aes256),
                },
            },
        }))))
    }
}

/// The reference client at work.
struct Client {
    player: Player,
    settings: ClientSettings,
    rules: Vec<Rule>,
    fired: Fired,
    correct: Vec<Rule>,
    /// The control connection's protocol, which has neither PASV nor PORT.
    ipv6: bool,
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

    /// Comes to a data connection: by EPSV, or, if that is refused or leads nowhere, by PASV, or by PORT; without IPv4,
    /// which these two need, by EPRT.
    async fn opens(&mut self, action: &str) -> Result<(), Stop> {
        let active = if self.ipv6 { "EPRT" } else { "PORT" };
        if action == "active" {
            return self.plays(active).await;
        }
        let repeats = self.settings.after_epsv_refusal == AfterEpsvRefusal::Repeat;
        let mut ways = vec!["EPSV", "PASV", active];
        ways.retain(|way| match *way {
            "EPSV" => !self.epsv_refused || repeats,
            "PASV" => !self.ipv6,
            _ => true,
        });
        let mut refused = Err(Stop::Unmet);
        for way in &ways {
            refused = self.plays(way).await;
            if refused.is_ok() || self.has_lost(CONTROL) {
                return refused;
            }
            if *way == "EPSV" {
                self.epsv_refused = true;
                let gives_up = match self.settings.after_epsv_refusal {
                    AfterEpsvRefusal::GiveUp => true,
                    AfterEpsvRefusal::GiveUpOverMalformed => self.could_not_read(),
                    AfterEpsvRefusal::GoOn | AfterEpsvRefusal::Repeat => false,
                };
                if gives_up {
                    return refused;
                }
            }
        }
        refused
    }

    async fn plays(&mut self, doing: &str) -> Result<(), Stop> {
        let lie = self.rules.iter().position(|rule| rule.on == doing);
        if let Some(at) = lie {
            self.fired.add(at);
        }
        let rule = lie.map_or_else(|| self.correct.iter().find(|rule| rule.on == doing), |at| self.rules.get(at));
        let script = rule.map(|rule| rule.script.clone()).unwrap_or_default();
        self.player.play(&script).await
    }

    fn has_lost(&self, name: &str) -> bool {
        self.player.connection(name).is_none_or(Connection::is_over)
    }

    /// Whether the last demand that was not met is that of an address in a reply.
    fn could_not_read(&self) -> bool {
        let last = |events: &[Event]| {
            events.iter().rev().find_map(|event| match &event.what {
                What::Unmet { why, .. } => Some(*why == Why::Malformed.word()),
                _ => None,
            })
        };
        self.player.log().look(last).unwrap_or(false)
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

/// The action that has a session for each file.
const PARALLEL: &str = "parallel";

/// The client certificate that it has, for servers that ask for one.
const IDENTITY: &str = "client-a";
