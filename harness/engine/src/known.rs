//! Writes down what a run has failed with as a baseline, so that the next run is red only where something changed. What
//! has no diagnosis is left out: without one an entry would excuse every failure to come.

use std::collections::BTreeMap;

use ftpspec_results::{CaseResult, Results};

use crate::Catalogue;

/// A baseline made of a run's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenBaseline {
    /// The file's text.
    pub text: String,
    /// How many results it covers.
    pub covered: usize,
    /// The names of the red results that have no diagnosis, and so no entry.
    pub left_out: Vec<String>,
}

/// The baseline with which a run like this one is green: one entry for each scenario and diagnosis, or for each variant
/// where only some of them fail so. `catalogue` lends the diagnoses' titles; nothing that the subject said gets in.
#[must_use]
pub fn write_baseline(results: &Results, catalogue: &Catalogue) -> WrittenBaseline {
    let mut left_out = Vec::new();
    let mut failures: BTreeMap<(&str, &str), Vec<&CaseResult>> = BTreeMap::new();
    for result in results.results.iter().filter(|result| result.verdict.can_be_known()) {
        match &result.diagnosis {
            Some(diagnosis) => failures.entry((&result.id, &diagnosis.id)).or_default().push(result),
            None => left_out.push(result.name()),
        }
    }
    let mut text = String::from("# Known deviations: run, shown, not red; red when they no longer hold.\n");
    let mut covered = 0;
    for ((id, diagnosis), failed) in &failures {
        covered += failed.len();
        let title = catalogue.diagnosis(diagnosis).map_or(*diagnosis, |known| known.title.as_str());
        let all = results.results.iter().filter(|result| result.id == *id).count() == failed.len();
        let mut variants: Vec<_> = failed.iter().map(|result| globset::escape(&result.variant)).collect();
        variants.dedup();
        if all {
            variants = vec!["*".to_owned()];
        }
        for variant in variants {
            for (key, value) in
                [("- id", *id), ("  variant", &variant), ("  diagnosis", diagnosis), ("  reason", title)]
            {
                text.push_str(&format!("{key}: {}\n", quoted(value)));
            }
        }
    }
    if failures.is_empty() {
        text.push_str("[]\n");
    }
    WrittenBaseline { text, covered, left_out }
}

/// A double-quoted YAML scalar. Ids, variants and titles are of one line each: their loader sees to it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ftpspec_results::{AtFault, Diagnosis, Fold, Level, Plan, Role, RunEvent, Subject, Verdict};
    use ftpspec_scenario::load_baseline;
    use ftpspec_scenario::model::Source;

    use super::*;

    #[test]
    fn a_written_baseline_covers_what_failed_and_nothing_else() {
        let cases = [
            case("server/a", "engine=rustls", Verdict::Fail, Some("told")),
            case("server/a", "engine=openssl", Verdict::Pass, None),
            case("server/b", "x=[1]", Verdict::Warn, Some("told")),
            case("server/b", "x=[2]", Verdict::Untestable, Some("told")),
            case("server/c", "", Verdict::Fail, None),
            case("server/d", "", Verdict::Error, Some("told")),
        ];
        let written = write_baseline(&results(&cases), &Catalogue::default());
        assert_eq!((written.covered, written.left_out.as_slice()), (3, &["server/c".to_owned()][..]));

        let source = Source { name: "written.yaml".to_owned(), text: written.text };
        let baseline = load_baseline(&Arc::new(source)).unwrap();
        let covers = |case: &CaseResult| baseline.entries.iter().any(|entry| entry.covers(&case.id, &case.variant));
        assert_eq!(cases.map(|case| covers(&case)), [true, false, true, true, false, false]);
        assert_eq!(baseline.entries.len(), 2);
    }

    #[test]
    fn a_run_without_failures_makes_an_empty_baseline_that_loads() {
        let written = write_baseline(&results(&[]), &Catalogue::default());
        let source = Source { name: "written.yaml".to_owned(), text: written.text };
        assert!(load_baseline(&Arc::new(source)).unwrap().entries.is_empty());
    }

    fn results(cases: &[CaseResult]) -> Results {
        let subject =
            Subject { role: Role::Server, name: "s".to_owned(), version: None, address: "127.0.0.1:21".to_owned() };
        let started = std::time::SystemTime::UNIX_EPOCH.into();
        let plan = Plan::default();
        let mut fold = Fold::new();
        fold.push(&RunEvent::RunStarted { plan, subject, libraries: crate::libraries(), started });
        for case in cases {
            fold.push(&RunEvent::CaseFinished(Box::new(case.clone())));
        }
        fold.results().unwrap()
    }

    fn case(id: &str, variant: &str, verdict: Verdict, diagnosis: Option<&str>) -> CaseResult {
        let told = |id: &str| Diagnosis { id: id.to_owned(), text: "\u{1b}".to_owned(), at_fault: AtFault::Subject };
        CaseResult {
            id: id.to_owned(),
            variant: variant.to_owned(),
            index: 0,
            role: Role::Server,
            level: Level::Must,
            verdict,
            clauses: Vec::new(),
            field_cases: Vec::new(),
            diagnosis: diagnosis.map(told),
            reason: None,
            notes: Vec::new(),
            known: None,
            duration_ms: 0,
            title: String::new(),
            file: String::new(),
            evidence: None,
            server_log: None,
            transcript: Vec::new(),
        }
    }
}
