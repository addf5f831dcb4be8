//! A whole run: the selected variants, in parallel, in a stable order, told as run events.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ftpspec_peers::Family;
use ftpspec_results::{
    CaseResult, Diagnosis, Fold, Libraries, Results, Role, RunEvent, Signal, StaleEntry, Started,
    Subject as ToldSubject, Verdict,
};
use ftpspec_scenario::Baseline;
use ftpspec_scenario::model::{Role as PlayedRole, Scenario};
use ftpspec_tls::{Engine, Version};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cost::plan;
use crate::error::Trouble;
use crate::probe::still_lives;
use crate::scratch;
use crate::stage::{Live, Stage};
use crate::stop::Stop;
use crate::subject::Subject;
use crate::url::host_port;

/// What is to be played, and how.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The variants, in their order.
    pub variants: Vec<Scheduled>,
    /// How many are played at once.
    pub jobs: usize,
    /// How often each is played.
    pub repeat: usize,
    /// Whether the first red one ends the run.
    pub fail_fast: bool,
    /// Whether warnings are red.
    pub strict: bool,
    /// Known deviations.
    pub baseline: Option<Arc<Baseline>>,
    /// Today, as `YYYY-MM-DD`, for entries that expire.
    pub today: String,
    /// Whether each conversation is told while it goes on.
    pub live: bool,
}

/// One variant of one scenario.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Which of its variants.
    pub variant: usize,
}

impl Scheduled {
    /// `ID@VARIANT`, or the id alone.
    #[must_use]
    pub fn name(&self) -> String {
        let variant = &self.scenario.variants[self.variant].name;
        if variant.is_empty() { self.scenario.id.clone() } else { format!("{}@{variant}", self.scenario.id) }
    }

    /// The name without the engine: variants that differ in nothing else must agree.
    pub(crate) fn twin(&self) -> (String, Vec<(String, String)>) {
        let choices = &self.scenario.variants[self.variant].choices;
        (self.scenario.id.clone(), choices.iter().filter(|(axis, _)| axis != "engine").cloned().collect())
    }
}

/// The scenarios, in their order, each with those of its variants that are scheduled.
#[must_use]
pub fn by_scenario(scheduled: &[Scheduled]) -> Vec<(Arc<Scenario>, Vec<usize>)> {
    let mut scenarios: Vec<(Arc<Scenario>, Vec<usize>)> = Vec::new();
    for Scheduled { scenario, variant } in scheduled {
        match scenarios.last_mut() {
            Some((last, variants)) if last.id == scenario.id => variants.push(*variant),
            _ => scenarios.push((Arc::clone(scenario), vec![*variant])),
        }
    }
    scenarios
}

/// Plays everything; `tell` is called with each run event, in the order in which they happen. A signal in `stop` ends the
/// run early: what is being played ends, nothing new begins, and [`RunEvent::Interrupted`] tells it before the run's end.
pub async fn run(
    stage: Arc<Stage>,
    schedule: Schedule,
    stop: Stop,
    mut tell: impl FnMut(&RunEvent),
) -> Option<Results> {
    let mut fold = Fold::new();
    let mut say = |event: RunEvent| {
        fold.push(&event);
        tell(&event);
    };
    let began = Instant::now();
    say(RunEvent::RunStarted {
        plan: plan(&schedule, &stage.host.subject),
        subject: told_subject(&schedule, &stage.host.subject, stage.version(), stage.host.family, stage.host.address()),
        libraries: libraries(),
        started: Started::from(SystemTime::now()),
    });
    say(RunEvent::ProbeFinished { lines: stage.probe().lines.clone() });
    if let Some(text) = &stage.probe().unreachable {
        say(RunEvent::Trouble { text: format!("there is no FTP server to test: {text}") });
        for text in stage.host.fallen(FALLING).await {
            say(RunEvent::Trouble { text });
        }
        finish(&stop, began, Vec::new(), &mut say);
        return fold.results();
    }
    if let Some(text) = &stage.probe().shut_out {
        say(RunEvent::Trouble { text: format!("no session came about: {text}") });
    }

    let (sender, mut results) = mpsc::unbounded_channel();
    let groups = groups(&schedule);
    // Ends what is being played: because somebody asked for it, or because the first red variant was the last.
    let (halt, halted) = watch::channel(false);
    let work =
        tokio::spawn(work(Arc::clone(&stage), groups, schedule.jobs, Told { sender, live: schedule.live }, halted));
    let mut played = Vec::new();
    let mut stop_again = stop.clone();
    loop {
        let told = tokio::select! {
            told = results.recv() => told,
            Ok(_) = stop_again.wait_for(Option::is_some), if !*halt.borrow() => {
                halt.send_replace(true);
                continue;
            }
        };
        match told {
            None => break,
            // The run has been ended; what still comes of it is no part of it.
            Some(_) if *halt.borrow() && stop.borrow().is_none() => {}
            Some(RunEvent::CaseFinished(mut result)) => {
                if let Some(baseline) = &schedule.baseline {
                    know(&mut result, baseline, &schedule.today);
                }
                let red = result.is_red(schedule.strict);
                played.push((result.id.clone(), result.variant.clone(), result.verdict, result.diagnosis.clone()));
                say(RunEvent::CaseFinished(result));
                if red && schedule.fail_fast {
                    halt.send_replace(true);
                }
            }
            Some(event) => say(event),
        }
    }
    // Its panics are ours to show.
    if let Err(error) = work.await
        && error.is_panic()
    {
        say(RunEvent::Trouble { text: "the harness panicked while it played".to_owned() });
    }
    if let Some(text) = stage.refusal().filter(|_| stage.probe().refused.is_none()) {
        say(RunEvent::Trouble {
            text: format!("the login was refused in the midst of the run, and not tried again: {text}"),
        });
    }
    let fallen = stage.host.fallen(Duration::ZERO).await;
    let cut_short = stop.borrow().is_some();
    if !cut_short
        && fallen.is_empty()
        && !matches!(stage.host.subject, Subject::Reference { .. } | Subject::Client(_))
        && stage.probe().shut_out.is_none()
        && stage.refusal().is_none()
        && let Err(text) = still_lives(&stage, &mut stop.clone()).await
    {
        say(RunEvent::Trouble { text: format!("the subject does not serve a plain login any more: {text}") });
    }
    for text in fallen {
        say(RunEvent::Trouble { text });
    }
    if stage.refusal().is_none()
        && let Err(text) = scratch::clean(&stage).await
    {
        say(RunEvent::Trouble { text });
    }
    let stale = schedule.baseline.as_ref().map_or_else(Vec::new, |baseline| stale(baseline, &played, &schedule.today));
    finish(&stop, began, stale, &mut say);
    fold.results()
}

/// Tells the end, and before it what made it an early one.
fn finish(stop: &Stop, began: Instant, stale: Vec<StaleEntry>, say: &mut impl FnMut(RunEvent)) {
    if let Some(signal) = *stop.borrow() {
        say(RunEvent::Interrupted { signal });
    }
    say(RunEvent::RunFinished { duration_ms: millis(began), stale });
}

/// What ends a run before there is a stage to play on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplayed {
    /// Nothing was selected.
    Nothing,
    /// The subject could not be made ready.
    Trouble(Trouble),
    /// A signal came first.
    Interrupted(Signal),
}

/// Tells the events of a run in which nothing could be played, so that whoever waits for reports gets them all the same.
pub fn unplayed(
    subject: &Subject,
    schedule: &Schedule,
    why: &Unplayed,
    mut tell: impl FnMut(&RunEvent),
) -> Option<Results> {
    let plan = plan(schedule, subject);
    let (subject, started) =
        (told_subject(schedule, subject, None, Family::V4, None), Started::from(SystemTime::now()));
    let mut events = vec![RunEvent::RunStarted { plan, subject, libraries: libraries(), started }];
    match why {
        Unplayed::Nothing => {}
        Unplayed::Trouble(trouble) => events.push(RunEvent::Trouble { text: trouble.text.clone() }),
        Unplayed::Interrupted(signal) => events.push(RunEvent::Interrupted { signal: *signal }),
    }
    events.push(RunEvent::RunFinished { duration_ms: 0, stale: Vec::new() });
    let mut fold = Fold::new();
    for event in &events {
        fold.push(event);
        tell(event);
    }
    fold.results()
}

/// Those of the variants in which our side is this engine and speaks this version, as far as they choose one at all.
#[must_use]
pub fn narrow(variants: Vec<Scheduled>, engine: Option<Engine>, version: Option<Version>) -> Vec<Scheduled> {
    let wanted = [("engine", engine.map(|it| it.to_string())), ("version", version.map(|it| it.to_string()))];
    let fits = |scheduled: &Scheduled| {
        let choices = &scheduled.scenario.variants[scheduled.variant].choices;
        choices.iter().all(|(axis, word)| {
            let wanted = wanted.iter().find(|(name, _)| name == axis);
            wanted.is_none_or(|(_, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == word))
        })
    };
    variants.into_iter().filter(fits).collect()
}

/// Where those who play tell what happens.
#[derive(Clone)]
struct Told {
    sender: mpsc::UnboundedSender<RunEvent>,
    /// Whether conversations are told while they go on.
    live: bool,
}

impl Told {
    /// Nobody listens any more once the run has been ended.
    fn tell(&self, event: RunEvent) {
        _ = self.sender.send(event);
    }
}

/// A group is what the two engines make of the same thing: it is played by one task, so that they can be compared.
type Group = Vec<(usize, Scheduled)>;

fn groups(schedule: &Schedule) -> VecDeque<Group> {
    let mut order = Vec::new();
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    let repeated = (0..schedule.repeat.max(1)).flat_map(|time| schedule.variants.iter().map(move |it| (time, it)));
    for (index, (time, scheduled)) in repeated.enumerate() {
        let key = (time, scheduled.twin());
        if !groups.contains_key(&key) {
            order.push(key.clone());
        }
        groups.entry(key).or_default().push((index, scheduled.clone()));
    }
    order.into_iter().filter_map(|key| groups.remove(&key)).collect()
}

async fn work(stage: Arc<Stage>, groups: VecDeque<Group>, jobs: usize, told: Told, stop: watch::Receiver<bool>) {
    let (alone, mut shared): (VecDeque<_>, VecDeque<_>) =
        groups.into_iter().partition(|group| group.iter().any(|(_, scheduled)| scheduled.scenario.alone));
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < jobs.max(1) && !*stop.borrow() {
            let Some(group) = shared.pop_front() else { break };
            tasks.spawn(play_group(Arc::clone(&stage), group, told.clone(), stop.clone()));
        }
        if tasks.join_next().await.is_none() {
            break;
        }
    }
    // What wants the subject for itself comes last, one after another.
    for group in alone {
        if !*stop.borrow() {
            play_group(Arc::clone(&stage), group, told.clone(), stop.clone()).await;
        }
    }
}

async fn play_group(stage: Arc<Stage>, group: Group, told: Told, stop: watch::Receiver<bool>) {
    let mut results = Vec::new();
    for (index, scheduled) in group {
        let scenario = &scheduled.scenario;
        let variant = &scenario.variants[scheduled.variant];
        let names = || (scenario.id.clone(), variant.name.clone());
        let (id, name) = names();
        told.tell(RunEvent::CaseStarted { id, variant: name, index });
        let line = |line| {
            let (id, variant) = names();
            told.tell(RunEvent::Transcript { id, variant, index, line });
        };
        let live: Option<Live<'_>> = if told.live { Some(&line) } else { None };
        // What has been cut short tells nothing.
        let Some(played) = stage.play_until(scenario, variant, index, live, stop.clone()).await else { return };
        let (id, name) = names();
        told.tell(RunEvent::CasePlayed { id, variant: name, index });
        results.push(played.result);
    }
    compare(&stage, &mut results);
    for result in results {
        told.tell(RunEvent::CaseFinished(Box::new(result)));
    }
}

/// Where the two engines disagree against our own reference, the harness is suspect; on any other subject both verdicts
/// stand, with a note.
fn compare(stage: &Stage, results: &mut [CaseResult]) {
    let settled: Vec<_> = results.iter().filter(|result| result.verdict != Verdict::Skip).collect();
    let Some(first) = settled.first() else { return };
    if settled.iter().all(|result| result.verdict == first.verdict) {
        return;
    }
    let text =
        settled.iter().map(|result| format!("{}: {}", result.variant, result.verdict)).collect::<Vec<_>>().join("; ");
    for result in results.iter_mut().filter(|result| result.verdict != Verdict::Skip) {
        if stage.host.is_correct_reference() {
            result.verdict = Verdict::Error;
            result.reason = Some(format!("harness: the two engines disagree ({text})"));
            result.diagnosis = Some(Diagnosis {
                id: "engines-disagree".to_owned(),
                text: format!("The two TLS engines come to different verdicts against our own reference: {text}."),
                at_fault: ftpspec_results::AtFault::Harness,
            });
        } else {
            result.notes.push(format!("the two engines see it differently: {text}"));
        }
    }
}

fn know(result: &mut CaseResult, baseline: &Baseline, today: &str) {
    let entry = baseline.entries.iter().find(|entry| {
        entry.covers(&result.id, &result.variant)
            && result.diagnosis.as_ref().is_some_and(|diagnosis| entry.tells(&diagnosis.id))
            && entry.until.as_deref().is_none_or(|until| until >= today)
    });
    if let Some(entry) = entry.filter(|_| result.verdict.can_be_known()) {
        let known = ftpspec_results::Known { reason: entry.reason.clone(), until: entry.until.clone() };
        result.known = Some(known);
    }
}

type Outcome = (String, String, Verdict, Option<Diagnosis>);

/// Entries that hold no more. Judged are only those whose id and variant this run has played.
fn stale(baseline: &Baseline, played: &[Outcome], today: &str) -> Vec<StaleEntry> {
    let mut stale = Vec::new();
    for entry in &baseline.entries {
        let covered: Vec<_> = played.iter().filter(|(id, variant, ..)| entry.covers(id, variant)).collect();
        let ran = played.iter().any(|(id, ..)| *id == entry.id);
        let why = if entry.until.as_deref().is_some_and(|until| until < today) && !covered.is_empty() {
            Some(format!("expired on {}", entry.until.as_deref().unwrap_or_default()))
        } else if covered.is_empty() {
            (ran && entry.variant == "*").then(|| "matches no variant".to_owned())
        } else {
            let holds = |(_, _, verdict, diagnosis): &&&Outcome| {
                verdict.can_be_known() && diagnosis.as_ref().is_some_and(|told| entry.tells(&told.id))
            };
            let learnt = covered.iter().any(|(_, _, verdict, _)| *verdict != Verdict::Skip);
            let holds = covered.iter().any(|outcome| holds(&outcome));
            (learnt && !holds && entry.chance.is_none()).then(|| {
                let verdicts: Vec<_> = covered.iter().map(|(_, _, verdict, _)| verdict.as_str()).collect();
                format!("it does not fail with {} any more ({})", entry.diagnoses.join(" or "), verdicts.join(", "))
            })
        };
        if let Some(why) = why {
            stale.push(StaleEntry { id: entry.id.clone(), variant: entry.variant.clone(), why });
        }
    }
    stale
}

/// `started` is where a server of ours is that was started.
fn told_subject(
    schedule: &Schedule,
    subject: &Subject,
    version: Option<String>,
    family: Family,
    started: Option<SocketAddr>,
) -> ToldSubject {
    let address = match (subject, started) {
        (Subject::Remote(remote), _) => host_port(&remote.host, remote.port),
        (_, Some(started)) => started.to_string(),
        // It does not run yet, or each variant has one of its own: port 0 is nobody's.
        (_, None) => SocketAddr::new(family.loopback(), 0).to_string(),
    };
    let clients_only = || schedule.variants.iter().all(|one| one.scenario.role() == Some(PlayedRole::Client));
    let role = match subject {
        Subject::Client(_) => Role::Client,
        Subject::Reference { .. } if !schedule.variants.is_empty() && clients_only() => Role::Client,
        _ => Role::Server,
    };
    ToldSubject { role, name: subject.name(), version, address }
}

/// The versions of the two TLS libraries.
#[must_use]
pub fn libraries() -> Libraries {
    let (rustls, openssl) = ftpspec_tls::library_versions();
    Libraries { rustls, openssl }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How long a server that cannot be met any more is given to be gone, so that its last words are whole.
const FALLING: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use ftpspec_net::Limits;
    use ftpspec_scenario::Catalogue;
    use ftpspec_scenario::model::Effects;

    use super::*;

    /// The events of a run of one scenario against the reference server.
    async fn events(live: bool, stop: Stop) -> Vec<RunEvent> {
        let catalogue = Catalogue::embedded().unwrap();
        let selector = "server/data/retr-empty-file@version=1.3,open=EPSV".parse().unwrap();
        let variants = crate::schedule(&catalogue, &[selector]).unwrap();
        let subject = Subject::Reference { defect: None };
        let stage = Stage::new(subject, catalogue, Limits::default(), Effects::Intrusive, String::new()).await.unwrap();
        let (today, baseline) = ("2026-11-20".to_owned(), None);
        let schedule =
            Schedule { variants, jobs: 2, repeat: 1, fail_fast: false, strict: false, baseline, today, live };
        let mut events = Vec::new();
        run(Arc::new(stage), schedule, stop, |event| events.push(event.clone())).await;
        events
    }

    #[tokio::test]
    async fn a_signal_ends_a_run_and_is_told_before_its_end() {
        let (_sender, stop) = watch::channel(Some(Signal::Terminate));
        let events = events(true, stop).await;
        let [.., before, RunEvent::RunFinished { .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(before, &RunEvent::Interrupted { signal: Signal::Terminate });
        assert!(!events.iter().any(|event| matches!(event, RunEvent::CaseFinished(_))), "{events:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_line_is_told_between_the_beginning_and_the_end_of_its_conversation() {
        let (_sender, stop) = watch::channel(None);
        let events = events(true, stop).await;
        for index in 0..2 {
            let of_it: Vec<_> = events
                .iter()
                .filter_map(|event| match event {
                    RunEvent::CaseStarted { index: it, .. } if *it == index => Some("started"),
                    RunEvent::Transcript { index: it, line, .. } if *it == index => Some(line.as_str()),
                    RunEvent::CasePlayed { index: it, .. } if *it == index => Some("played"),
                    RunEvent::CaseFinished(result) if result.index == index => Some("finished"),
                    _ => None,
                })
                .collect();
            let ["started", lines @ .., "played", "finished"] = &of_it[..] else { panic!("{of_it:?}") };
            for due in ["control  C> AUTH TLS", "control  C> RETR fixtures/empty.bin", "control  C> QUIT"] {
                assert_eq!(lines.iter().filter(|line| **line == due).count(), 1, "{due}: {lines:#?}");
            }
            assert!(lines.last().is_some_and(|line| line.contains("FIN")), "{lines:#?}");
        }
    }

    #[tokio::test]
    async fn who_does_not_watch_is_told_no_lines() {
        let (_sender, stop) = watch::channel(None);
        let events = events(false, stop).await;
        assert!(events.iter().any(|event| matches!(event, RunEvent::CaseFinished(_))), "{events:?}");
        assert!(!events.iter().any(|event| matches!(event, RunEvent::Transcript { .. })), "{events:?}");
    }
}
