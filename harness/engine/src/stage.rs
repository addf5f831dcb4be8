//! One subject, made ready, with everything that a variant needs to be played against it, judged and explained.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ftpspec_net::Limits;
use ftpspec_peers::Family;
use ftpspec_peers::reference::ReferenceServer;
use ftpspec_play::{ClientSeat, Counters, Player, Seat, Setting, Stop};
use ftpspec_results::{CaseResult, Diagnosis as ToldDiagnosis, Verdict};
use ftpspec_scenario::model::{Effects, Level, Role, Scenario, Variant, Why};
use ftpspec_scenario::{Catalogue, variables};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, Event, Following, Log, What, normal_form};
use tokio::sync::watch;

use crate::client::judge_client;
use crate::diagnose::{at_fault, diagnose, text};
use crate::error::Trouble;
use crate::evidence::evidence;
use crate::judge::{Judgement, judge, with_findings};
use crate::obstacle::logs_in;
use crate::pace::{Pace, Permit};
use crate::probe::Probe;
use crate::pulse::Pulse;
use crate::run::Unplayed;
use crate::scratch::Scratch;
use crate::server_log::Listening;
use crate::stop::{self, never, unless_signalled};
use crate::subject::{Endpoint, Host, NoEndpoint, Subject, upload_path};

/// A subject made ready.
pub struct Stage {
    pub(crate) host: Host,
    pub(crate) catalogue: Catalogue,
    pub(crate) limits: Limits,
    pub(crate) allow: Effects,
    pub(crate) probe: Probe,
    pub(crate) pace: Pace,
    /// What may be left in the endpoint's scratch folder.
    pub(crate) scratch: Scratch,
    /// The login was refused in the midst of the run: it is not tried again.
    pub(crate) refused: Mutex<Option<String>>,
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
    /// How often each rule of the reference peer's defect has fired.
    pub lies_told: Vec<usize>,
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
        let (_never, stop) = never();
        Self::new_until(subject, catalogue, limits, allow, command_line, stop).await.map_err(|why| match why {
            Unplayed::Trouble(trouble) => trouble,
            Unplayed::Nothing | Unplayed::Interrupted(_) => unreachable!("nobody sends a signal"),
        })
    }

    /// As [`Stage::new`], unless a signal comes first: then the session that is asking the subject is ended in order, as
    /// far as a short time allows. [`unplayed`](crate::unplayed) tells the reports of it.
    ///
    /// # Errors
    /// [`Unplayed::Interrupted`] with the signal; [`Unplayed::Trouble`] as [`Stage::new`].
    pub async fn new_until(
        subject: Subject,
        catalogue: Catalogue,
        limits: Limits,
        allow: Effects,
        command_line: String,
        mut stop: stop::Stop,
    ) -> Result<Self, Unplayed> {
        let host = unless_signalled(&mut stop, Host::new(subject, limits)).await.map_err(Unplayed::Interrupted)?;
        let host = host.map_err(Unplayed::Trouble)?;
        let probe = Probe::of_reference(Family::V4);
        let (engine, version) = (None, None);
        let pace = Pace::new(match &host.subject {
            Subject::Remote(remote) if allow >= Effects::Write => keeping_one(remote.surroundings.pace),
            Subject::Remote(remote) => remote.surroundings.pace,
            _ => ftpspec_scenario::Pace::default(),
        });
        let (scratch, refused) = (Scratch::default(), Mutex::default());
        let mut stage =
            Self { host, catalogue, limits, allow, probe, pace, scratch, refused, engine, version, command_line };
        if !matches!(stage.host.subject, Subject::Reference { .. } | Subject::Client(_)) {
            stage.probe = Probe::ask(&stage, &mut stop).await?;
        }
        Ok(stage)
    }

    /// Where a variant leaves the choice, our side is this engine, and speaks this version only.
    #[must_use]
    pub fn choosing(self, engine: Option<Engine>, version: Option<Version>) -> Self {
        Self { engine, version, ..self }
    }

    /// The embedded reference server listens on the loopback address of this family; every other subject was given its
    /// own when it was named.
    ///
    /// # Errors
    /// This machine has no such address.
    pub fn over(mut self, family: Option<Family>) -> Result<Self, Trouble> {
        if let (Some(family), Subject::Reference { .. } | Subject::Client(_)) = (family, &self.host.subject) {
            self.host.listens_in(family)?;
            self.probe = Probe::of_reference(family);
        }
        Ok(self)
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
        let (_never, stop) = watch::channel(false);
        let played = self.play_until(scenario, variant, index, None, stop).await;
        played.expect("nobody asks it to stop")
    }

    /// As [`Stage::play`], with each line of the conversation told to `live` as soon as it is whole. Nothing comes of it
    /// if `stop` becomes true meanwhile: then the server is left in good order, as far as a short time allows.
    pub(crate) async fn play_until(
        &self,
        scenario: &Scenario,
        variant: &Variant,
        index: usize,
        live: Option<Live<'_>>,
        mut stop: watch::Receiver<bool>,
    ) -> Option<Played> {
        let began = Instant::now();
        let log = Log::new(began);
        let (mut lies_told, mut server_log) = (Vec::new(), None);
        let judgement = match (self.obstacle(variant), &variant.client) {
            (Some((verdict, reason)), _) => concluded(verdict, reason),
            (None, Some(request)) => {
                let pulse = Pulse::start();
                let asked = self.ask_client(variant, request, &log, stopped(&mut stop));
                let asked = told_live(&log, live, false, asked).await?;
                lies_told = asked.lies_told;
                if_in_time(judge_client(&log.events(), variant, asked.rules_fired), pulse.stood_still())
            }
            (None, None) => {
                let ready = tokio::select! {
                    ready = self.ready(variant) => ready,
                    () = stopped(&mut stop) => return None,
                };
                match ready {
                    Err(judgement) => judgement,
                    Ok((endpoint, _permit)) => {
                        let listening = endpoint.running.as_ref().map(Listening::begin);
                        if !told_live(&log, live, true, self.perform(&endpoint, variant, &log, &mut stop)).await {
                            return None;
                        }
                        lies_told = endpoint.reference.as_ref().map(ReferenceServer::fired_each).unwrap_or_default();
                        let judgement = judge(&log.events(), variant);
                        if let Some(listening) = listening
                            && !matches!(judgement.verdict, Verdict::Pass | Verdict::Skip)
                        {
                            server_log = Some(Box::new(listening.heard(&log).await));
                        }
                        judgement
                    }
                }
            }
        };
        let events = log.events();
        let transcript = normal_form(&log, variant.client.is_none());
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
            server_log,
            transcript,
        };
        self.explain(&mut result, scenario, variant, &judgement, &events);
        Some(Played { result, log, lies_told })
    }

    /// What a variant plays against, with the right to do so now; else what that makes of it.
    async fn ready(&self, variant: &Variant) -> Result<(Endpoint, Permit<'_>), Judgement> {
        let endpoint = self.host.endpoint(&variant.needs, engine(variant).or(self.engine)).await;
        let mut endpoint = endpoint.map_err(|why| match why {
            NoEndpoint::Lacks(text) => concluded(Verdict::Skip, format!("capability: {text}")),
            NoEndpoint::Trouble(trouble) => concluded(Verdict::Error, format!("harness: {trouble}")),
        })?;
        endpoint.fixtures.extend(self.probe.found.iter().map(|(name, path)| (name.clone(), path.clone())));
        let permit = self.paced(&endpoint, variant).await.map_err(|reason| concluded(Verdict::Skip, reason))?;
        Ok((endpoint, permit))
    }

    /// Plays the script; everything that comes of it is in the log. False if it was stopped from outside.
    async fn perform(
        &self,
        endpoint: &Endpoint,
        variant: &Variant,
        log: &Arc<Log>,
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        let upload = match upload_path(endpoint.scratch.as_deref().unwrap_or_default()) {
            Ok(path) => path,
            Err(trouble) => {
                log.push(None, By::Us, What::Trouble { text: trouble.text });
                return true;
            }
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
        // What is ours goes with the server that holds it.
        let lent = matches!(self.host.subject, Subject::Remote(_)) && variables(&variant.steps).contains("upload");
        if lent {
            self.scratch.lends(&upload);
        }
        let played = tokio::select! {
            played = tokio::time::timeout(self.limits.variant, player.play(&variant.steps)) => Some(played),
            () = stopped(stop) => None,
        };
        let finished = played.is_some();
        if let Some(played) = played {
            let met = matches!(played, Ok(Ok(())));
            match played {
                Ok(Err(Stop::Trouble(text))) => log.push(None, By::Us, What::Trouble { text }),
                Ok(_) => {}
                Err(_) => {
                    let place = ftpspec_transcript::Place::default();
                    let due = format!("the whole conversation in {:?}", self.limits.variant);
                    let (came, level) = ("it was not over".to_owned(), variant.level.word());
                    log.push(
                        None,
                        By::Us,
                        What::Unmet { act: "variant", why: Why::Timeout.word(), due, came, level, place },
                    );
                }
            }
            player.part(met).await;
        } else {
            _ = tokio::time::timeout(PARTING, player.part_in_haste()).await;
        }
        let events = log.events();
        if lent {
            self.scratch.takes_back(&upload, &events);
        }
        if logs_in(variant) {
            self.heed_refusal(&events);
        }
        finished
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
        // RFC 2428 §2: the number of its address family.
        set("network-protocol".to_owned(), if endpoint.address.is_ipv4() { b"1" } else { b"2" });
        set("upload".to_owned(), upload.as_bytes());
        // Where any transfer will do.
        let file = ["text", "any"].iter().find_map(|name| endpoint.fixtures.get(*name));
        let transfer = file.map_or_else(|| "LIST".to_owned(), |path| format!("RETR {path}"));
        set("transfer.any".to_owned(), transfer.as_bytes());
        for (name, path) in &endpoint.fixtures {
            set(format!("fixture.{name}"), path.as_bytes());
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
                made: Counters::default(),
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
            let events = &with_findings(events, judgement);
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

/// Who is told the lines of a conversation while it goes on.
pub(crate) type Live<'a> = &'a (dyn Fn(String) + Send + Sync);

/// Does the work that fills this log, and tells each line of the conversation as soon as it is whole.
async fn told_live<T>(log: &Log, live: Option<Live<'_>>, we_are_client: bool, work: impl Future<Output = T>) -> T {
    let Some(live) = live else { return work.await };
    let mut following = Following::new(we_are_client);
    let follow = async {
        loop {
            let lines = log.wait(|events| Some(following.lines(events)).filter(|lines| !lines.is_empty())).await;
            lines.into_iter().for_each(live);
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = follow => unreachable!("it follows for ever"),
    };
    log.look(|events| following.rest(events)).into_iter().for_each(live);
    done
}

/// Returns when somebody asks for an end; never, where nobody can.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The session that cleans the scratch folder at the end has its place in the pace.
fn keeping_one(pace: ftpspec_scenario::Pace) -> ftpspec_scenario::Pace {
    let less = |count: Option<usize>| count.map(|count| (count - 1).max(1));
    ftpspec_scenario::Pace { per_minute: less(pace.per_minute), total: less(pace.total), ..pace }
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
        certificate: endpoint.certificate.clone(),
        implicit: endpoint.implicit,
        user: endpoint.user.clone(),
        password: endpoint.password.clone(),
        manners: ftpspec_play::Manners::default(),
        sessions: None,
    })))
}

/// The engine that a variant names for our side.
pub(crate) fn engine(variant: &Variant) -> Option<Engine> {
    variant.choices.iter().find(|(axis, _)| axis == "engine").and_then(|(_, word)| word.parse().ok())
}

/// What was found against a client that had to wait for us is no finding.
fn if_in_time(judgement: Judgement, stood_still: Option<Duration>) -> Judgement {
    match stood_still {
        Some(time) if !matches!(judgement.verdict, Verdict::Pass | Verdict::Skip) => {
            let text = format!("harness: this machine, or our own loop, stood still for {time:.1?} meanwhile");
            concluded(Verdict::Error, text)
        }
        _ => judgement,
    }
}

pub(crate) fn concluded(verdict: Verdict, reason: String) -> Judgement {
    Judgement { verdict, findings: Vec::new(), notes: Vec::new(), reason: Some(reason) }
}

fn scenario_subject(scenario: &Scenario) -> &'static str {
    scenario_role(&scenario.id).word()
}

fn scenario_role(id: &str) -> Role {
    id.split('/').next().and_then(Role::from_word).unwrap_or(Role::Server)
}

pub(crate) fn role(id: &str) -> ftpspec_results::Role {
    told_role(scenario_role(id))
}

/// The results' word for a role.
pub(crate) fn told_role(role: Role) -> ftpspec_results::Role {
    match role {
        Role::Server => ftpspec_results::Role::Server,
        Role::Client => ftpspec_results::Role::Client,
        Role::Proxy => ftpspec_results::Role::Proxy,
    }
}

pub(crate) fn level(level: Level) -> ftpspec_results::Level {
    match level {
        Level::Must => ftpspec_results::Level::Must,
        Level::Should => ftpspec_results::Level::Should,
        Level::May => ftpspec_results::Level::May,
        Level::Field => ftpspec_results::Level::Field,
    }
}

/// How long a server may take to be left when somebody wants the run to end: QUIT, its reply, and the closes, each of
/// which is given a second.
pub(crate) const PARTING: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_against_a_client_that_had_to_wait_for_us_is_no_finding() {
        let judged = |verdict, time| if_in_time(concluded(verdict, "seen".to_owned()), time).verdict;
        for verdict in [Verdict::Fail, Verdict::Warn, Verdict::Untestable] {
            assert_eq!(judged(verdict, None), verdict);
            assert_eq!(judged(verdict, Some(Duration::from_secs(25))), Verdict::Error);
        }
        for verdict in [Verdict::Pass, Verdict::Skip] {
            assert_eq!(judged(verdict, Some(Duration::from_secs(25))), verdict);
        }
    }
}
