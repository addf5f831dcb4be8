//! The results document, and the fold that makes it of a run's events. The keys of the document are a contract: they
//! may be added to, never renamed. The fold only arranges and counts; it never changes a verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CaseResult, Libraries, RunEvent, Signal, Started, Subject, TOOL, VERSION, Verdict};

/// Everything that a run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The name of the tool.
    pub tool: String,
    /// The version of the tool.
    pub version: String,
    /// The TLS libraries that we tested with.
    pub libraries: Libraries,
    /// Who was tested.
    pub subject: Subject,
    /// When the run began.
    pub started: Started,
    /// How long it took, in milliseconds; none if it did not come to its end.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// What the probe found.
    #[serde(default)]
    pub probe: Vec<String>,
    /// The results, by id, then by place in the schedule.
    pub results: Vec<CaseResult>,
    /// Baseline entries that no longer hold.
    #[serde(default)]
    pub stale: Vec<StaleEntry>,
    /// What failed the run as a whole, and is no subject's fault.
    #[serde(default)]
    pub trouble: Vec<String>,
    /// The signal that ended the run early, if one did.
    #[serde(default)]
    pub interrupted: Option<Signal>,
    /// How many of each.
    pub summary: Summary,
}

/// A baseline entry that no longer holds: it passes, matches nothing, fails otherwise or has expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleEntry {
    /// The scenario's id.
    pub id: String,
    /// The entry's variant glob.
    pub variant: String,
    /// Why it no longer holds.
    pub why: String,
}

/// How many results of each kind; each result is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// That passed.
    pub pass: usize,
    /// That failed, and are not known.
    pub fail: usize,
    /// That warned, and are not known.
    pub warn: usize,
    /// That were skipped.
    pub skip: usize,
    /// That could not be tested, and are not known.
    pub untestable: usize,
    /// In which the harness failed.
    pub error: usize,
    /// Known deviations, whatever their verdict.
    pub known: usize,
}

impl Summary {
    /// Counts `results`.
    pub fn of(results: &[CaseResult]) -> Self {
        results.iter().fold(Self::default(), |mut summary, result| {
            *summary.counter(result) += 1;
            summary
        })
    }

    fn counter(&mut self, result: &CaseResult) -> &mut usize {
        if result.known.is_some() {
            return &mut self.known;
        }
        match result.verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Fail => &mut self.fail,
            Verdict::Warn => &mut self.warn,
            Verdict::Skip => &mut self.skip,
            Verdict::Untestable => &mut self.untestable,
            Verdict::Error => &mut self.error,
        }
    }

    /// How many in all.
    pub fn total(&self) -> usize {
        self.pass + self.fail + self.warn + self.skip + self.untestable + self.error + self.known
    }
}

/// Gathers the events of one run into its [`Results`].
#[derive(Clone, Debug, Default)]
pub struct Fold {
    head: Option<Head>,
    probe: Vec<String>,
    // Keyed by what orders the document, so that a run of many jobs writes the same one as a run of one job. The last
    // number counts arrivals: it keeps apart results that claim the same place, so that none is ever lost.
    results: BTreeMap<(String, usize, usize), CaseResult>,
    stale: Vec<StaleEntry>,
    trouble: Vec<String>,
    interrupted: Option<Signal>,
    duration_ms: Option<u64>,
}

impl Fold {
    /// A fold of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event.
    pub fn push(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { subject, libraries, started, .. } => {
                self.head = Some(Head { subject: subject.clone(), libraries: libraries.clone(), started: *started });
            }
            RunEvent::ProbeFinished { lines } => self.probe.clone_from(lines),
            RunEvent::Trouble { text } => self.trouble.push(text.clone()),
            RunEvent::CaseFinished(result) => self.finish_case(result),
            RunEvent::Interrupted { signal } => self.interrupted = Some(*signal),
            RunEvent::RunFinished { duration_ms, stale } => {
                self.duration_ms = Some(*duration_ms);
                self.stale.clone_from(stale);
            }
            RunEvent::CaseStarted { .. } | RunEvent::Transcript { .. } | RunEvent::CasePlayed { .. } => {}
        }
    }

    /// The results so far; none before the run has started.
    pub fn results(&self) -> Option<Results> {
        let head = self.head.clone()?;
        let results: Vec<_> = self.results.values().cloned().collect();
        Some(Results {
            tool: TOOL.to_owned(),
            version: VERSION.to_owned(),
            libraries: head.libraries,
            subject: head.subject,
            started: head.started,
            duration_ms: self.duration_ms,
            probe: self.probe.clone(),
            summary: Summary::of(&results),
            results,
            stale: self.stale.clone(),
            trouble: self.trouble.clone(),
            interrupted: self.interrupted,
        })
    }

    fn finish_case(&mut self, result: &CaseResult) {
        let mut result = result.clone();
        // A baseline must not hide harness trouble, nor claim what did not deviate.
        if !result.verdict.can_be_known() {
            result.known = None;
        }
        self.results.insert((result.id.clone(), result.index, self.results.len()), result);
    }
}

impl<'a> Extend<&'a RunEvent> for Fold {
    fn extend<T: IntoIterator<Item = &'a RunEvent>>(&mut self, events: T) {
        for event in events {
            self.push(event);
        }
    }
}

/// What `RunStarted` told.
#[derive(Clone, Debug)]
struct Head {
    subject: Subject,
    libraries: Libraries,
    started: Started,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{AtFault, Diagnosis, Known, Level, Plan, Role};

    pub(crate) fn started() -> RunEvent {
        RunEvent::RunStarted {
            plan: Plan { scenarios: 1, variants: 2, connections: 4, seconds_estimate: 1 },
            subject: Subject {
                role: Role::Server,
                name: "vsftpd".to_owned(),
                version: Some("3.0.3".to_owned()),
                address: "127.0.0.1:2121".to_owned(),
            },
            libraries: Libraries { rustls: "0.23.35".to_owned(), openssl: "3.0.17".to_owned() },
            started: "2026-11-20T21:48:00Z".parse().unwrap(),
        }
    }

    pub(crate) fn case(id: &str, index: usize, verdict: Verdict) -> CaseResult {
        CaseResult {
            id: id.to_owned(),
            variant: format!("engine=e{index}"),
            index,
            role: Role::Server,
            level: Level::Must,
            verdict,
            clauses: vec!["rfc4217#9".to_owned()],
            field_cases: vec![],
            diagnosis: None,
            reason: None,
            notes: vec![],
            known: None,
            duration_ms: 12,
            title: "A title".to_owned(),
            file: format!("{id}.yaml"),
            evidence: None,
            server_log: None,
            transcript: vec![],
        }
    }

    pub(crate) fn known(mut case: CaseResult) -> CaseResult {
        case.known = Some(Known { reason: "theirs".to_owned(), until: None });
        case
    }

    pub(crate) fn results_of(cases: &[CaseResult]) -> Results {
        let mut fold = Fold::new();
        fold.push(&started());
        fold.extend(&cases.iter().map(|case| RunEvent::CaseFinished(Box::new(case.clone()))).collect::<Vec<_>>());
        fold.push(&RunEvent::RunFinished { duration_ms: 100, stale: vec![] });
        fold.results().expect("it has started")
    }

    #[test]
    fn results_stand_by_id_then_by_schedule_however_they_arrived() {
        let results = results_of(&[
            case("server/b", 3, Verdict::Pass),
            case("server/b", 10, Verdict::Pass),
            case("server/a", 11, Verdict::Pass),
            case("server/b", 2, Verdict::Pass),
        ]);
        let order: Vec<_> = results.results.iter().map(|r| (r.id.as_str(), r.index)).collect();
        assert_eq!(order, [("server/a", 11), ("server/b", 2), ("server/b", 3), ("server/b", 10)]);
    }

    #[test]
    fn results_that_claim_the_same_place_are_all_kept() {
        let twice = case("server/a", 0, Verdict::Pass);
        assert_eq!(results_of(&[twice.clone(), twice]).summary.pass, 2);
    }

    #[test]
    fn a_known_deviation_counts_as_known_only() {
        let results = results_of(&[
            known(case("server/a", 0, Verdict::Fail)),
            known(case("server/a", 1, Verdict::Untestable)),
            case("server/a", 2, Verdict::Fail),
        ]);
        assert_eq!(results.summary, Summary { known: 2, fail: 1, ..Summary::default() });
        assert_eq!(results.results[0].verdict, Verdict::Fail);
    }

    #[test]
    fn a_baseline_hides_no_harness_trouble() {
        let results = results_of(&[known(case("server/a", 0, Verdict::Error))]);
        assert_eq!(results.summary, Summary { error: 1, ..Summary::default() });
    }

    #[test]
    fn a_run_that_never_started_has_no_results() {
        assert_eq!(Fold::new().results(), None);
    }

    #[test]
    fn the_document_has_the_keys_of_the_contract() {
        let mut failed = case("server/a", 0, Verdict::Fail);
        failed.diagnosis =
            Some(Diagnosis { id: "d".to_owned(), text: "t".to_owned(), at_fault: AtFault::Configuration });
        let document = serde_json::to_value(results_of(&[known(failed)])).unwrap();
        let keys = |value: &serde_json::Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };

        for key in ["tool", "version", "libraries", "subject", "started", "results", "summary", "stale"] {
            assert!(keys(&document).iter().any(|k| k == key), "{key} is missing");
        }
        assert_eq!(keys(&document["libraries"]), ["openssl", "rustls"]);
        assert_eq!(keys(&document["subject"]), ["address", "name", "role", "version"]);
        let summary = keys(&document["summary"]);
        assert_eq!(summary, ["error", "fail", "known", "pass", "skip", "untestable", "warn"]);
        let result = &document["results"][0];
        let due = "id variant role level verdict clauses field_cases diagnosis reason notes known duration_ms title file evidence";
        for key in due.split(' ') {
            assert!(keys(result).iter().any(|k| k == key), "{key} is missing");
        }
        assert_eq!(keys(&result["diagnosis"]), ["at_fault", "id", "text"]);
        assert_eq!(keys(&result["known"]), ["reason", "until"]);
        assert!(result["reason"].is_null());
    }

    #[test]
    fn a_document_with_the_keys_of_the_contract_and_no_more_is_read() {
        let document = r#"{
            "tool": "ftpspec", "version": "0.1.0", "libraries": {"rustls": "0", "openssl": "3"},
            "subject": {"role": "server", "name": "x", "version": null, "address": "h:21"},
            "started": "2026-11-20T21:48:00Z",
            "results": [{"id": "server/a", "variant": "", "role": "server", "level": "must", "verdict": "pass",
                "clauses": [], "field_cases": [], "diagnosis": null, "reason": null, "notes": [], "known": null,
                "duration_ms": 3}],
            "summary": {"pass": 1, "fail": 0, "warn": 0, "skip": 0, "untestable": 0, "error": 0, "known": 0}
        }"#;
        let results: Results = serde_json::from_str(document).unwrap();
        assert_eq!(Summary::of(&results.results), results.summary);
    }
}
