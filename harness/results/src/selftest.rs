//! What a self-test came to: every scenario before the correct reference peer, every defect before the scenarios. The
//! keys of the document are a contract: they may be added to, never renamed. Plain data; it judges nothing.

use serde::{Deserialize, Serialize};

use crate::{Level, Libraries, Role, Signal, Started, Summary, Verdict};

/// Everything that a self-test came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The name of the tool.
    pub tool: String,
    /// The version of the tool.
    pub version: String,
    /// The TLS libraries that it tested with.
    pub libraries: Libraries,
    /// When it began.
    pub started: Started,
    /// How long it took, in milliseconds; none if it did not come to its end.
    pub duration_ms: Option<u64>,
    /// Whether each defect met every scenario of its role, and not only those that name it.
    pub matrix: bool,
    /// The scenarios, by id.
    pub scenarios: Vec<ProvenScenario>,
    /// The defects, by role and name.
    pub defects: Vec<ProvenDefect>,
    /// What failed the self-test as a whole, and is nobody's fault.
    pub trouble: Vec<String>,
    /// The signal that ended it early, if one did.
    pub interrupted: Option<Signal>,
    /// The figures.
    pub summary: SelfTestSummary,
}

/// A scenario, and what it was shown to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenScenario {
    /// Its id.
    pub id: String,
    /// What is under test in it.
    pub role: Role,
    /// How much it binds.
    pub level: Level,
    /// The defects that it names.
    pub catches: Vec<String>,
    /// How its variants came out with the correct reference peer.
    pub correct: Summary,
    /// Why variants were skipped there, each reason once.
    pub skipped: Vec<String>,
    /// What is wrong with it; nothing, if it passes and can fail.
    pub faults: Vec<String>,
}

/// A defect, and who sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenDefect {
    /// Its name.
    pub name: String,
    /// Whose lie it is: the reference server's, or the reference client's.
    pub role: Role,
    /// The diagnosis that must come out.
    pub told_as: String,
    /// Whether a scenario that names it catches it.
    pub caught: bool,
    /// The scenarios that it met, those that name it first.
    pub trials: Vec<DefectTrial>,
    /// What is wrong with it.
    pub faults: Vec<String>,
}

/// A defect before one scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefectTrial {
    /// The scenario.
    pub id: String,
    /// Whether the scenario says that it catches the defect.
    pub named: bool,
    /// Whether it was caught here: `fail`, or `warn` where the demand is a should or a practice, and told as it must be.
    pub caught: bool,
    /// The verdict that decided.
    pub verdict: Verdict,
    /// The diagnosis that it was told as.
    pub diagnosis: Option<String>,
    /// The variant that decided.
    pub variant: String,
    /// How many variants were played; a trial ends with the first that catches.
    pub played: usize,
    /// Why it is `untestable`, `skip` or `error`.
    pub reason: Option<String>,
}

impl DefectTrial {
    /// Whether somebody who runs this scenario would see that something is wrong.
    pub fn is_seen(&self) -> bool {
        matches!(self.verdict, Verdict::Fail | Verdict::Warn)
    }
}

/// The figures of a self-test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTestSummary {
    /// How many scenarios.
    pub scenarios: usize,
    /// How many of their variants met the correct peer.
    pub variants: usize,
    /// How many defects.
    pub defects: usize,
    /// How many of them are caught by a scenario that names them.
    pub caught: usize,
    /// How many pairs of a defect and a scenario were tried.
    pub trials: usize,
    /// How many faults scenarios and defects have together.
    pub faults: usize,
}

impl SelfTestSummary {
    /// Counts.
    pub fn of(scenarios: &[ProvenScenario], defects: &[ProvenDefect]) -> Self {
        let faults = scenarios.iter().map(|it| it.faults.len()).chain(defects.iter().map(|it| it.faults.len()));
        Self {
            scenarios: scenarios.len(),
            variants: scenarios.iter().map(|scenario| scenario.correct.total()).sum(),
            defects: defects.len(),
            caught: defects.iter().filter(|defect| defect.caught).count(),
            trials: defects.iter().map(|defect| defect.trials.len()).sum(),
            faults: faults.sum(),
        }
    }

    /// How many defects in a hundred are caught, rounded down: only all of them are 100.
    pub fn percent(&self) -> Option<usize> {
        (self.caught * 100).checked_div(self.defects)
    }
}

impl SelfTest {
    /// Whether the harness itself failed somewhere: what it says of that scenario or defect is worth nothing.
    pub fn has_trouble(&self) -> bool {
        let trials = self.defects.iter().flat_map(|defect| &defect.trials);
        !self.trouble.is_empty()
            || self.scenarios.iter().any(|scenario| scenario.correct.error > 0)
            || trials.into_iter().any(|trial| trial.verdict == Verdict::Error)
    }

    /// Whether every scenario passes and can fail, and every defect is caught.
    pub fn is_proof(&self) -> bool {
        self.summary.faults == 0 && self.summary.caught == self.summary.defects
    }
}

/// How far a self-test is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelfTestEvent {
    /// The schedule is made; nothing has been played yet.
    Planned(SelfTestPlan),
    /// A variant, or a defect before a scenario, begins.
    Begun {
        /// Its name.
        name: String,
    },
    /// One of them is over.
    Over,
}

/// What a self-test will play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SelfTestPlan {
    /// How many scenarios.
    pub scenarios: usize,
    /// How many variants they have.
    pub variants: usize,
    /// How many defects.
    pub defects: usize,
    /// How many pairs of a defect and a scenario that names it.
    pub pairs: usize,
    /// How many pairs of a defect and a scenario that does not name it.
    pub others: usize,
}

impl SelfTestPlan {
    /// How often [`SelfTestEvent::Over`] comes.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.variants + self.pairs + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exit, Summary};

    fn selftest(faults: &[&str], caught: bool, verdict: Verdict) -> SelfTest {
        let trial = DefectTrial {
            id: "server/a".to_owned(),
            named: true,
            caught,
            verdict,
            diagnosis: None,
            variant: String::new(),
            played: 1,
            reason: None,
        };
        let scenarios = vec![ProvenScenario {
            id: "server/a".to_owned(),
            role: Role::Server,
            level: Level::Must,
            catches: vec!["lie".to_owned()],
            correct: Summary { pass: 2, ..Summary::default() },
            skipped: vec![],
            faults: faults.iter().map(|&fault| fault.to_owned()).collect(),
        }];
        let defects = vec![ProvenDefect {
            name: "lie".to_owned(),
            role: Role::Server,
            told_as: "so".to_owned(),
            caught,
            trials: vec![trial],
            faults: vec![],
        }];
        SelfTest {
            tool: "ftpspec".to_owned(),
            version: "0".to_owned(),
            libraries: Libraries { rustls: String::new(), openssl: String::new() },
            started: "2026-11-20T21:48:00Z".parse().unwrap(),
            duration_ms: None,
            matrix: false,
            summary: SelfTestSummary::of(&scenarios, &defects),
            scenarios,
            defects,
            trouble: vec![],
            interrupted: None,
        }
    }

    #[test]
    fn only_a_proof_is_green() {
        let status = |it: &SelfTest| Exit::of_selftest(it).code();
        assert_eq!(status(&selftest(&[], true, Verdict::Fail)), 0);
        assert_eq!(status(&selftest(&["it cannot fail"], true, Verdict::Fail)), 1);
        assert_eq!(status(&selftest(&[], false, Verdict::Pass)), 1);
        assert_eq!(status(&selftest(&["error"], false, Verdict::Error)), 3);
        let mut cut = selftest(&["x"], false, Verdict::Error);
        cut.interrupted = Some(Signal::Terminate);
        assert_eq!(status(&cut), 143);
        let mut nothing = selftest(&[], true, Verdict::Fail);
        (nothing.scenarios, nothing.defects) = (vec![], vec![]);
        nothing.summary = SelfTestSummary::default();
        assert_eq!(status(&nothing), 4);
    }

    #[test]
    fn a_hundred_in_a_hundred_is_all_of_them() {
        let summary = |caught| SelfTestSummary { defects: 117, caught, ..SelfTestSummary::default() };
        assert_eq!(summary(117).percent(), Some(100));
        assert_eq!(summary(116).percent(), Some(99));
        assert_eq!(SelfTestSummary::default().percent(), None);
    }
}
