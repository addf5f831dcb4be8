//! One subject, made ready, with everything that a variant needs to be played against it, judged and explained.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use ftpspec_net::Limits;
use ftpspec_play::{ClientSeat, Player, Seat, Setting, Stop};
use ftpspec_results::{CaseResult, Diagnosis as ToldDiagnosis, Verdict};
use ftpspec_scenario::Catalogue;
use ftpspec_scenario::model::{Act, Capability, Effects, Level, Resume, Role, Scenario, Script, Variant};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, Event, Log, What, normal_form};

use crate::diagnose::{at_fault, diagnose, text};
use crate::error::Trouble;
use crate::evidence::evidence;
use crate::judge::{Judgement, judge};
use crate::probe::Probe;
use crate::subject::{Endpoint, Host, NoEndpoint, Subject, upload_path};

/// A subject made ready.
pub struct Stage {
    pub(crate) host: Host,
    pub(crate) catalogue: Catalogue,
    pub(crate) limits: Limits,
    pub(crate) allow: Effects,
    pub(crate) probe: Probe,
    /// Our engine where a variant chooses none.
    engine: Option<Engine>,
    /// The one version that we speak where a variant chooses none.
    version: Option<Version>,
    /// How the subject is named on a command line, for "again".
    pub(crate) command_line: String,
}

/// A variant that was played: its result, and its log.
pub struct Played {
    /// What reports show.
    pub result: CaseResult,
    /// Everything that happened.
    pub log: Arc<Log>,
    /// How often a rule of the reference server fired that is no correct script.
    pub rules_fired: usize,
}

impl Stage {
    /// Makes a subject ready: starts what is ours, and probes what is not.
    ///
    /// # Errors
    /// If the harness or its surroundings cannot bring the subject up.
    pub async fn new(
        subject: Subject,
        catalogue: Catalogue,
        limits: Limits,
        allow: Effects,
        command_line: String,
    ) -> Result<Self, Trouble> {
        let host = Host::new(subject, limits).await?;
        let probe = Probe::of_reference();
        let (engine, version) = (None, None);
        let mut stage = Self { host, catalogue, limits, allow, probe, engine, version, command_line };
        if !matches!(stage.host.subject, Subject::Reference { .. }) {
            stage.probe = match Probe::ask(&stage).await {
                Ok(probe) => probe,
                Err(NoEndpoint::Lacks(text)) => return Err(Trouble { text }),
                Err(NoEndpoint::Trouble(trouble)) => return Err(trouble),
            };
        }
        Ok(stage)
    }

    /// Where a variant leaves the choice, our side is this engine, and speaks this version only.
    #[must_use]
    pub fn choosing(self, engine: Option<Engine>, version: Option<Version>) -> Self {
        Self { engine, version, ..self }
    }

    /// What the probe found.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The scenarios it plays from.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The subject's version, where it is known.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.host.version()
    }

    /// Plays one variant, judges its log and explains it.
    pub async fn play(&self, scenario: &Scenario, variant: &Variant, index: usize) -> Played {
        let began = Instant::now();
        let log = Log::new(began);
        let mut rules_fired = 0;
        let judgement = match self.obstacle(variant) {
            Some(reason) => concluded(Verdict::Skip, reason),
            None => match self.host.endpoint(&variant.needs, engine(variant).or(self.engine)).await {
                Err(NoEndpoint::Lacks(text)) => concluded(Verdict::Skip, format!("capability: {text}")),
                Err(NoEndpoint::Trouble(trouble)) => concluded(Verdict::Error, format!("harness: {trouble}")),
                Ok(endpoint) => {
                    self.perform(&endpoint, variant, &log).await;
                    rules_fired =
                        endpoint.reference.as_ref().map_or(0, ftpspec_peers::reference::ReferenceServer::fired);
                    judge(&log.events(), variant)
                }
            },
        };
        let events = log.events();
        let transcript = normal_form(&log, true);
        let mut result = CaseResult {
            id: scenario.id.clone(),
            variant: variant.name.clone(),
            index,
            role: role(scenario.id.as_str()),
            level: level(variant.level),
            verdict: judgement.verdict,
            clauses: scenario.clauses.iter().map(ToString::to_string).collect(),
            field_cases: scenario.field_cases.clone(),
            diagnosis: None,
            reason: judgement.reason.clone(),
            notes: judgement.notes.clone(),
            known: None,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            title: scenario.title.clone(),
            file: scenario.source.name.clone(),
            evidence: None,
            transcript,
        };
        self.explain(&mut result, scenario, variant, &judgement, &events);
        Played { result, log, rules_fired }
    }

    /// Why a variant is not played here.
    fn obstacle(&self, variant: &Variant) -> Option<String> {
        if variant.effects > self.allow {
            return Some(format!("effect: {} is not allowed here (--allow {})", variant.effects, variant.effects));
        }
        let lacking = variant.needs.iter().find(|need| !need.is_configured() && !self.probe.offers.contains(need));
        if let Some(lacking) = lacking {
            return Some(format!("capability: {lacking} is not offered{}", self.cited(*lacking)));
        }
        let offers_again = |act: &Act| matches!(act, Act::Handshake(handshake) if handshake.resume == Resume::First);
        let only_once = engine(variant) == Some(Engine::Rustls) && variant.needs.contains(&Capability::Tls13);
        if only_once && mentions(&variant.steps, &offers_again) {
            return Some(
                "capability: rustls gives each TLS 1.3 ticket away once, and cannot offer it again".to_owned(),
            );
        }
        let Subject::Remote(remote) = &self.host.subject else { return None };
        let logs_in = mentions(&variant.steps, &|act| matches!(act, Act::Login(_)));
        (logs_in && (remote.user.is_none() || remote.password.is_none()))
            .then(|| "capability: no user and password were given to log in with".to_owned())
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

    /// Plays the script; everything that comes of it is in the log.
    async fn perform(&self, endpoint: &Endpoint, variant: &Variant, log: &Arc<Log>) {
        let upload = match upload_path() {
            Ok(path) => path,
            Err(trouble) => return log.push(None, By::Us, What::Trouble { text: trouble.text }),
        };
        log.redact(&endpoint.password);
        if let Some(user) = &endpoint.user {
            log.call(user, "{user}");
        }
        log.call(&upload, "{upload}");
        let chosen = variant.choices.iter().find(|(axis, _)| axis == "version");
        let version = chosen.and_then(|(_, word)| word.parse().ok()).or(self.version);
        let versions = version.map_or(Version::Tls12..=Version::Tls13, |only: Version| only..=only);
        let engine = engine(variant).or(self.engine).unwrap_or(Engine::Openssl);
        let seat = seat(endpoint, engine, versions);
        let mut player = self.player_with(seat, endpoint, variant.level, self.limits, Arc::clone(log), &upload);
        let played = tokio::time::timeout(self.limits.variant, player.play(&variant.steps)).await;
        let met = matches!(played, Ok(Ok(())));
        match played {
            Ok(Err(Stop::Trouble(text))) => log.push(None, By::Us, What::Trouble { text }),
            Ok(_) => {}
            Err(_) => {
                let place = ftpspec_transcript::Place::default();
                let due = format!("the whole conversation in {:?}", self.limits.variant);
                let (came, level) = ("it was not over".to_owned(), variant.level.word());
                log.push(None, By::Us, What::Unmet { act: "variant", why: "timeout", due, came, level, place });
            }
        }
        player.part(met).await;
    }

    /// A player for questions of the harness's own, with a log of its own.
    pub(crate) fn player(&self, seat: Seat, endpoint: &Endpoint, level: Level, limits: Limits) -> Player {
        let log = Log::new(Instant::now());
        log.redact(&endpoint.password);
        self.player_with(seat, endpoint, level, limits, log, "")
    }

    fn player_with(
        &self,
        seat: Seat,
        endpoint: &Endpoint,
        level: Level,
        limits: Limits,
        log: Arc<Log>,
        upload: &str,
    ) -> Player {
        let mut variables = BTreeMap::new();
        let mut set = |name: String, value: &[u8]| _ = variables.insert(name, value.to_vec());
        set("user".to_owned(), endpoint.user.as_deref().unwrap_or_default().as_bytes());
        set("password".to_owned(), endpoint.password.reveal().as_bytes());
        set("address".to_owned(), endpoint.address.ip().to_string().as_bytes());
        set("port".to_owned(), endpoint.address.port().to_string().as_bytes());
        set("upload".to_owned(), upload.as_bytes());
        for (name, path) in &endpoint.fixtures {
            set(format!("fixture.{name}"), path.as_bytes());
        }
        for file in ftpspec_data::below("fixtures/octets/") {
            let name = file.path.strip_prefix("fixtures/octets/").and_then(|name| name.strip_suffix(".hex"));
            if let Some((name, octets)) = name.zip(recorded(file.octets)) {
                set(format!("octets.{name}"), &octets);
            }
        }
        Player::new(
            seat,
            Setting {
                log,
                limits,
                names: Arc::clone(&self.host.names),
                level,
                variables,
                passive_ports: endpoint.passive_ports.clone(),
            },
        )
    }

    fn explain(
        &self,
        result: &mut CaseResult,
        scenario: &Scenario,
        variant: &Variant,
        judgement: &Judgement,
        events: &[Event],
    ) {
        if !matches!(judgement.verdict, Verdict::Fail | Verdict::Warn | Verdict::Untestable | Verdict::Error) {
            return;
        }
        let Some(finding) = judgement.findings.first() else { return };
        let again = format!("ftpspec run {}{} -v", result.name(), self.command_line);
        let stays = matches!(self.host.subject, Subject::Remote(_));
        let mut evidence = evidence(scenario, variant, events, finding, again, stays);
        if judgement.verdict != Verdict::Error {
            let diagnoses: Vec<_> = self.catalogue.diagnoses.iter().map(|diagnosis| (**diagnosis).clone()).collect();
            let told = diagnose(events, &diagnoses);
            if let Some((first, others)) = told.split_first() {
                let diagnosis = ToldDiagnosis {
                    id: first.diagnosis.id.clone(),
                    text: text(first, events, scenario_subject(scenario)),
                    at_fault: at_fault(first.diagnosis.at_fault),
                };
                evidence.seen_as = first.diagnosis.seen_as.iter().map(|(who, what)| format!("{who}: {what}")).collect();
                evidence.also = others.iter().map(|told| told.diagnosis.id.clone()).collect();
                evidence.diagnosis = Some(diagnosis.clone());
                result.diagnosis = Some(diagnosis);
            }
        }
        result.evidence = Some(Box::new(evidence));
    }
}

/// Our side as a client.
pub(crate) fn seat(endpoint: &Endpoint, engine: Engine, versions: RangeInclusive<Version>) -> Seat {
    Seat::Client(Box::new(ClientSeat::new(ftpspec_play::client::ClientSeatSettings {
        address: endpoint.address,
        engine,
        versions,
        server_name: endpoint.server_name.clone(),
        trust: endpoint.trust.clone(),
        identities: endpoint.identities.clone(),
        implicit: endpoint.implicit,
        user: endpoint.user.clone(),
        password: endpoint.password.clone(),
    })))
}

/// The engine that a variant names for our side.
pub(crate) fn engine(variant: &Variant) -> Option<Engine> {
    variant.choices.iter().find(|(axis, _)| axis == "engine").and_then(|(_, word)| word.parse().ok())
}

fn concluded(verdict: Verdict, reason: String) -> Judgement {
    Judgement { verdict, findings: Vec::new(), notes: Vec::new(), reason: Some(reason) }
}

/// Whether an act of this kind stands anywhere in a script.
fn mentions(script: &Script, is_it: &dyn Fn(&Act) -> bool) -> bool {
    script.iter().any(|step| {
        is_it(&step.act)
            || match &step.act {
                Act::Together(script) | Act::Judged { script, .. } | Act::Within { script, .. } => {
                    mentions(script, is_it)
                }
                Act::Await { branches } => branches.iter().any(|(_, script)| mentions(script, is_it)),
                Act::Either(scripts) => scripts.iter().any(|script| mentions(script, is_it)),
                Act::Reply(ftpspec_scenario::model::ReplyMatch::Branches(branches)) => {
                    branches.iter().any(|(_, script)| mentions(script, is_it))
                }
                _ => false,
            }
    })
}

/// Recorded octets are kept as hexadecimal digits; lines that begin with `#` say where they come from.
fn recorded(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.chars().filter(|octet| !octet.is_whitespace()))
        .collect();
    hex::decode(digits).ok()
}

fn scenario_subject(scenario: &Scenario) -> &'static str {
    scenario_role(&scenario.id).word()
}

fn scenario_role(id: &str) -> Role {
    id.split('/').next().and_then(Role::from_word).unwrap_or(Role::Server)
}

fn role(id: &str) -> ftpspec_results::Role {
    match scenario_role(id) {
        Role::Server => ftpspec_results::Role::Server,
        Role::Client => ftpspec_results::Role::Client,
        Role::Proxy => ftpspec_results::Role::Proxy,
    }
}

fn level(level: Level) -> ftpspec_results::Level {
    match level {
        Level::Must => ftpspec_results::Level::Must,
        Level::Should => ftpspec_results::Level::Should,
        Level::May => ftpspec_results::Level::May,
        Level::Field => ftpspec_results::Level::Field,
    }
}
