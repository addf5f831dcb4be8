//! The proof that every verdict can go both ways: each scenario plays against the correct reference peer of its role,
//! which must pass, and against each defect that it says it catches, which must be caught and told as the defect says.
//! With the matrix each defect also meets every other scenario of its role, to show who else sees it. It prints nothing,
//! and forgives nothing: what is not caught is not tried again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ftpspec_net::Limits;
use ftpspec_results::{
    CaseResult, DefectTrial, ProvenDefect, ProvenScenario, RunEvent, SelfTest, SelfTestEvent, SelfTestPlan,
    SelfTestSummary, Signal, Started, Summary, TOOL, VERSION, Verdict,
};
use ftpspec_scenario::Catalogue;
use ftpspec_scenario::model::{Act, Defect, Effects, Leaf, Level, Scenario, Variant};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::Trouble;
use crate::obstacle::mentions;
use crate::run::{Schedule, Scheduled, by_scenario, libraries, run};
use crate::stage::{self, Stage};
use crate::stop::Stop;
use crate::subject::Subject;

/// What is to be proven, and how.
#[derive(Debug, Clone)]
pub struct SelfTestSchedule {
    /// The variants that meet the correct peers, and the defects that their scenarios name.
    pub variants: Vec<Scheduled>,
    /// Whether these are all there are: then a defect that no scenario names is a fault.
    pub whole: bool,
    /// Whether each defect meets every scenario of its role.
    pub matrix: bool,
    /// How many variants are played at once.
    pub jobs: usize,
    /// How long the correct peers are waited for.
    pub limits: Limits,
}

/// Proves it; `tell` is called as it goes on. A signal in `stop` ends it early: what was not tried is no fault then.
pub async fn selftest(
    catalogue: Catalogue,
    schedule: SelfTestSchedule,
    stop: Stop,
    mut tell: impl FnMut(SelfTestEvent),
) -> SelfTest {
    let (began, started) = (Instant::now(), Started::from(SystemTime::now()));
    let proof = Proof::new(catalogue, schedule);
    tell(SelfTestEvent::Planned(proof.plan()));
    let mut found = Found::default();
    if let Err(trouble) = proof.correct(&stop, &mut found, &mut tell).await {
        found.trouble.push(trouble.text);
    }
    if found.interrupted.is_none() {
        proof.lies(&stop, &mut found, &mut tell).await;
    }
    let (scenarios, defects) = proof.told(&found);
    SelfTest {
        tool: TOOL.to_owned(),
        version: VERSION.to_owned(),
        libraries: libraries(),
        started,
        duration_ms: Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)),
        matrix: proof.schedule.matrix,
        summary: SelfTestSummary::of(&scenarios, &defects),
        scenarios,
        defects,
        trouble: found.trouble,
        interrupted: found.interrupted,
    }
}

/// The reference peer with a defect, before scenarios.
pub struct Liar {
    defect: Arc<Defect>,
    stage: Stage,
}

/// What came of a defect before a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// What is told of it.
    pub trial: DefectTrial,
    /// How often each rule of the defect has fired.
    pub lies_told: Vec<usize>,
}

impl Liar {
    /// Makes it ready. No wait for a peer that is silent is longer than [`PATIENCE`].
    ///
    /// # Errors
    /// As [`Stage::new`].
    pub async fn new(defect: Arc<Defect>, catalogue: Catalogue) -> Result<Self, Trouble> {
        let subject = Subject::Reference { defect: Some(Arc::clone(&defect)) };
        let limits = Limits::default().at_most(PATIENCE);
        let stage = Stage::new(subject, catalogue, limits, Effects::Intrusive, String::new()).await?;
        Ok(Self { defect, stage })
    }

    /// Plays these variants until one catches the defect, and each of its rules has fired.
    pub async fn meets(&self, scenario: &Scenario, variants: &[usize]) -> Met {
        let (_never, stop) = watch::channel(false);
        self.meets_until(scenario, variants, stop).await.expect("nobody asks it to stop")
    }

    async fn meets_until(&self, scenario: &Scenario, variants: &[usize], stop: watch::Receiver<bool>) -> Option<Met> {
        let mut lies_told = vec![0; self.defect.script.rules.len()];
        let mut decided: Option<CaseResult> = None;
        let mut played = 0;
        for index in variants {
            let variant = scenario.variants.get(*index)?;
            let it = self.stage.play_until(scenario, variant, *index, None, stop.clone()).await?;
            played += 1;
            lies_told.iter_mut().zip(&it.lies_told).for_each(|(all, more)| *all += more);
            let weight = |result: &CaseResult| self.weight(result, scenario);
            if decided.as_ref().is_none_or(|before| weight(before) < weight(&it.result)) {
                decided = Some(it.result);
            }
            let weight = decided.as_ref().map_or(0, weight);
            if weight == ERROR || (weight == CAUGHT && lies_told.iter().all(|count| *count > 0)) {
                break;
            }
        }
        let decided = decided?;
        let trial = DefectTrial {
            id: scenario.id.clone(),
            named: scenario.catches.contains(&self.defect.name),
            caught: self.weight(&decided, scenario) == CAUGHT,
            verdict: decided.verdict,
            diagnosis: decided.diagnosis.map(|diagnosis| diagnosis.id),
            variant: decided.variant,
            played,
            reason: decided.reason,
        };
        Some(Met { trial, lies_told })
    }

    /// How much a result says of a trial: the one that says most decides it.
    fn weight(&self, result: &CaseResult, scenario: &Scenario) -> u8 {
        let told = result.diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.id == self.defect.told_as);
        let may_warn = || {
            let variant = scenario.variants.iter().find(|variant| variant.name == result.variant);
            variant.is_some_and(demands_less)
        };
        match result.verdict {
            Verdict::Error => ERROR,
            Verdict::Fail if told => CAUGHT,
            Verdict::Warn if told && may_warn() => CAUGHT,
            Verdict::Fail | Verdict::Warn => 3,
            Verdict::Untestable => 2,
            Verdict::Pass => 1,
            Verdict::Skip => 0,
        }
    }
}

/// The weight of trouble of the harness's own: nothing else of a trial can be believed.
const ERROR: u8 = 5;
/// The weight of a defect that was caught.
const CAUGHT: u8 = 4;

/// A defect that answers nothing is waited for so long; our own peers need some milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Whether something in a variant is a should or a practice, so that `warn` is what becomes of it when it is not met.
fn demands_less(variant: &Variant) -> bool {
    let less = |level: Level| matches!(level, Level::Should | Level::Field);
    let judges_less = |act: &Act| match act {
        Act::Judged { level, .. } => less(*level),
        Act::Leaf(leaf, _) => *leaf == Leaf::Warn,
        // That nothing stands behind the bracket is what most clients get by without.
        Act::Passive(passive) => passive.exact,
        _ => false,
    };
    less(variant.level)
        || variant.expect.iter().any(|expectation| expectation.level.is_some_and(less))
        || mentions(&variant.steps, &judges_less)
}

/// What is played against what.
struct Proof {
    catalogue: Catalogue,
    schedule: SelfTestSchedule,
    /// The scenarios, in their order, with those of their variants that were chosen.
    scenarios: Vec<(Arc<Scenario>, Vec<usize>)>,
    /// The defects, by role and name.
    defects: Vec<Arc<Defect>>,
}

/// What came of it so far.
#[derive(Default)]
struct Found {
    /// With the correct peers, by scenario.
    correct: BTreeMap<String, Vec<CaseResult>>,
    /// With each defect, by its name.
    met: BTreeMap<String, Vec<Met>>,
    trouble: Vec<String>,
    interrupted: Option<Signal>,
}

/// A defect before a scenario, yet to be played.
struct Pair {
    defect: Arc<Defect>,
    scenario: Arc<Scenario>,
    variants: Vec<usize>,
}

impl Proof {
    fn new(catalogue: Catalogue, schedule: SelfTestSchedule) -> Self {
        let scenarios = by_scenario(&schedule.variants);
        let named: BTreeSet<_> = scenarios.iter().flat_map(|(scenario, _)| &scenario.catches).collect();
        let wanted = |defect: &&Arc<Defect>| schedule.whole || named.contains(&defect.name);
        let mut defects: Vec<_> = catalogue.defects.iter().filter(wanted).cloned().collect();
        defects.sort_by_key(|defect| (stage::told_role(defect.role), defect.name.clone()));
        Self { scenarios, defects, catalogue, schedule }
    }

    fn plan(&self) -> SelfTestPlan {
        let of_role = |defect: &Defect| {
            self.scenarios.iter().filter(move |(scenario, _)| scenario.role() == Some(defect.role)).count()
        };
        let pairs = self.defects.iter().map(|defect| self.naming(defect).count()).sum();
        let all: usize = self.defects.iter().map(|defect| of_role(defect)).sum();
        SelfTestPlan {
            scenarios: self.scenarios.len(),
            variants: self.schedule.variants.len(),
            defects: self.defects.len(),
            pairs,
            others: if self.schedule.matrix { all.saturating_sub(pairs) } else { 0 },
        }
    }

    /// The scenarios that name a defect.
    fn naming<'a>(&'a self, defect: &'a Defect) -> impl Iterator<Item = &'a (Arc<Scenario>, Vec<usize>)> {
        self.scenarios.iter().filter(|(scenario, _)| scenario.catches.contains(&defect.name))
    }

    /// Every variant with the correct peer of its role.
    async fn correct(
        &self,
        stop: &Stop,
        found: &mut Found,
        tell: &mut impl FnMut(SelfTestEvent),
    ) -> Result<(), Trouble> {
        let subject = Subject::Reference { defect: None };
        let (catalogue, limits) = (self.catalogue.clone(), self.schedule.limits);
        let stage = Stage::new(subject, catalogue, limits, Effects::Intrusive, String::new()).await?;
        let schedule = Schedule {
            variants: self.schedule.variants.clone(),
            jobs: self.schedule.jobs,
            repeat: 1,
            fail_fast: false,
            strict: true,
            baseline: None,
            today: String::new(),
            live: false,
        };
        run(Arc::new(stage), schedule, stop.clone(), |event| match event {
            RunEvent::CaseStarted { id, .. } => tell(SelfTestEvent::Begun { name: id.clone() }),
            RunEvent::CaseFinished(result) => {
                found.correct.entry(result.id.clone()).or_default().push((**result).clone());
                tell(SelfTestEvent::Over);
            }
            RunEvent::Trouble { text } => found.trouble.push(text.clone()),
            RunEvent::Interrupted { signal } => found.interrupted = Some(*signal),
            _ => {}
        })
        .await;
        Ok(())
    }

    /// Every defect before the scenarios that name it, and with the matrix before the others of its role.
    async fn lies(&self, stop: &Stop, found: &mut Found, tell: &mut impl FnMut(SelfTestEvent)) {
        let mut pairs = self.pairs(found);
        let (halt, halted) = watch::channel(false);
        let mut stop = stop.clone();
        let mut liars: BTreeMap<String, Arc<Liar>> = BTreeMap::new();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < self.schedule.jobs.max(1) && !*halt.borrow() {
                let Some(pair) = pairs.pop_front() else { break };
                let liar = match liars.get(&pair.defect.name) {
                    Some(liar) => Arc::clone(liar),
                    None => match Liar::new(Arc::clone(&pair.defect), self.catalogue.clone()).await {
                        Ok(liar) => {
                            let liar = Arc::new(liar);
                            liars.insert(pair.defect.name.clone(), Arc::clone(&liar));
                            liar
                        }
                        Err(trouble) => {
                            found.trouble.push(trouble.text);
                            continue;
                        }
                    },
                };
                tell(SelfTestEvent::Begun { name: format!("{} {}", pair.scenario.id, pair.defect.name) });
                let halted = halted.clone();
                tasks.spawn(async move {
                    let met = liar.meets_until(&pair.scenario, &pair.variants, halted).await;
                    (pair.defect.name.clone(), met)
                });
            }
            let joined = tokio::select! {
                joined = tasks.join_next() => joined,
                Ok(signal) = async { stop.wait_for(Option::is_some).await.map(|signal| *signal) }, if !*halt.borrow() => {
                    found.interrupted = signal;
                    halt.send_replace(true);
                    continue;
                }
            };
            match joined {
                None => return,
                Some(Ok((name, Some(met)))) => {
                    found.met.entry(name).or_default().push(met);
                    tell(SelfTestEvent::Over);
                }
                // What has been cut short tells nothing.
                Some(Ok((_, None))) => {}
                // Its panics are ours to show.
                Some(Err(_)) => found.trouble.push("the harness panicked while it played".to_owned()),
            }
        }
    }

    /// Who meets whom: what must be proven first, then what is only of interest. Of a scenario that does not name the
    /// defect the first variant that passes on the correct peer stands for all: one that is skipped there sees nothing.
    fn pairs(&self, found: &Found) -> VecDeque<Pair> {
        let mut pairs = VecDeque::new();
        for defect in &self.defects {
            pairs.extend(self.naming(defect).map(|(scenario, variants)| Pair {
                defect: Arc::clone(defect),
                scenario: Arc::clone(scenario),
                variants: variants.clone(),
            }));
        }
        if !self.schedule.matrix {
            return pairs;
        }
        let first_that_passes = |scenario: &Scenario| {
            let results = found.correct.get(&scenario.id)?;
            let passed = |variant: &Variant| {
                results.iter().any(|result| result.variant == variant.name && result.verdict == Verdict::Pass)
            };
            scenario.variants.iter().position(passed)
        };
        for (scenario, _) in &self.scenarios {
            let Some(variant) = first_that_passes(scenario) else { continue };
            let others = self
                .defects
                .iter()
                .filter(|defect| scenario.role() == Some(defect.role) && !scenario.catches.contains(&defect.name));
            pairs.extend(others.map(|defect| Pair {
                defect: Arc::clone(defect),
                scenario: Arc::clone(scenario),
                variants: vec![variant],
            }));
        }
        pairs
    }

    /// What there is to tell of each scenario and each defect.
    fn told(&self, found: &Found) -> (Vec<ProvenScenario>, Vec<ProvenDefect>) {
        let defects: Vec<_> = self.defects.iter().map(|defect| self.told_defect(defect, found)).collect();
        let scenarios = self.scenarios.iter().map(|(scenario, _)| self.told_scenario(scenario, found, &defects));
        (scenarios.collect(), defects)
    }

    fn told_scenario(&self, scenario: &Scenario, found: &Found, defects: &[ProvenDefect]) -> ProvenScenario {
        let none = Vec::new();
        let results = found.correct.get(&scenario.id).unwrap_or(&none);
        let mut faults: Vec<_> = results.iter().filter_map(with_correct_peer).collect();
        let is_skipped = |result: &&CaseResult| result.verdict == Verdict::Skip;
        let mut skipped: Vec<_> = results.iter().filter(is_skipped).filter_map(|it| it.reason.clone()).collect();
        skipped.sort();
        skipped.dedup();
        if found.interrupted.is_none() && !results.is_empty() && results.iter().all(|result| is_skipped(&result)) {
            faults.push("no variant of it is played with the correct peer".to_owned());
        }
        if scenario.catches.is_empty() {
            faults.push("it names no defect: nothing shows that it can fail".to_owned());
        }
        for name in &scenario.catches {
            if self.catalogue.defect(name).is_none() {
                faults.push(format!("it says that it catches `{name}`, and there is no such defect"));
            }
            let defect = defects.iter().find(|defect| defect.name == *name);
            let trial = defect.and_then(|defect| {
                defect.trials.iter().find(|trial| trial.id == scenario.id).map(|trial| (trial, &defect.told_as))
            });
            faults.extend(trial.and_then(|(trial, told_as)| not_caught(name, trial, told_as)));
        }
        ProvenScenario {
            id: scenario.id.clone(),
            role: stage::role(&scenario.id),
            level: stage::level(scenario.level),
            catches: scenario.catches.clone(),
            correct: Summary::of(results),
            skipped,
            faults,
        }
    }

    fn told_defect(&self, defect: &Defect, found: &Found) -> ProvenDefect {
        let mut met = found.met.get(&defect.name).cloned().unwrap_or_default();
        met.sort_by_key(|met| (!met.trial.named, met.trial.id.clone()));
        let mut faults = Vec::new();
        if self.naming(defect).next().is_none() {
            faults.push("no scenario names it in `catches`".to_owned());
        }
        if self.catalogue.diagnosis(&defect.told_as).is_none() {
            faults.push(format!("it is to be told as `{}`, and there is no such diagnosis", defect.told_as));
        }
        let named = || met.iter().filter(|met| met.trial.named);
        if named().next().is_some() && self.was_played_in_full(defect, &met) {
            let silent = |at: &usize| named().all(|met| met.lies_told[*at] == 0);
            for at in (0..defect.script.rules.len()).filter(silent) {
                let rule = &defect.script.rules[at];
                faults.push(format!("its rule for {} (line {}) never fired", rule.on, rule.place.line));
            }
        }
        let caught = named().any(|met| met.trial.caught);
        let trials = met.into_iter().map(|met| met.trial).collect();
        ProvenDefect {
            name: defect.name.clone(),
            role: stage::told_role(defect.role),
            told_as: defect.told_as.clone(),
            caught,
            trials,
            faults,
        }
    }

    /// Whether nothing was left out in which one of its rules may fire: by a selection, or by a signal.
    fn was_played_in_full(&self, defect: &Defect, met: &[Met]) -> bool {
        let naming = self.catalogue.scenarios.iter().filter(|scenario| scenario.catches.contains(&defect.name));
        naming.into_iter().all(|scenario| {
            let chosen = self.scenarios.iter().find(|(chosen, _)| chosen.id == scenario.id);
            chosen.is_some_and(|(_, variants)| variants.len() == scenario.variants.len())
                && met.iter().any(|met| met.trial.id == scenario.id)
        })
    }
}

/// What is wrong with a result of the correct peer.
fn with_correct_peer(result: &CaseResult) -> Option<String> {
    if result.verdict == Verdict::Pass || (result.verdict == Verdict::Skip && result.reason.is_some()) {
        return None;
    }
    let variant = if result.variant.is_empty() { String::new() } else { format!(" ({})", result.variant) };
    let why = [result.reason.as_deref(), result.diagnosis.as_ref().map(|diagnosis| diagnosis.id.as_str())];
    let why = why.into_iter().flatten().next().map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("{} on the correct peer{variant}{why}", result.verdict))
}

/// What is wrong with a trial in which the defect should have been caught.
fn not_caught(name: &str, trial: &DefectTrial, told_as: &str) -> Option<String> {
    if trial.caught {
        return None;
    }
    let because = || trial.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
    Some(match (trial.verdict, &trial.diagnosis) {
        (Verdict::Pass | Verdict::Skip, _) => {
            let all = if trial.played == 1 { String::new() } else { format!(" in all {} variants", trial.played) };
            format!("it cannot fail: {} with `{name}`{all}{}", trial.verdict, because())
        }
        (Verdict::Fail | Verdict::Warn, Some(told)) if told == told_as => {
            format!("`{name}` comes to {} only, though nothing that is demanded is less than a must", trial.verdict)
        }
        (Verdict::Fail | Verdict::Warn, Some(told)) => format!("`{name}` is told as {told}, and not as {told_as}"),
        (Verdict::Fail | Verdict::Warn, None) => format!("`{name}` is told as nothing, and not as {told_as}"),
        (Verdict::Untestable | Verdict::Error, _) => format!("{} with `{name}`{}", trial.verdict, because()),
    })
}
