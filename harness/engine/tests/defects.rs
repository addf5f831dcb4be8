//! The proof that every scenario can fail: each defect against each scenario that says it catches it. At least one
//! variant must come to `fail` (or to `warn`, where the demand is a should or a practice), told as the defect says.

mod support;

use std::sync::Arc;
use std::time::Duration;

use ftpspec::{Catalogue, Effects, Limits, Role, Scheduled, Stage, Subject, Verdict, schedule};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// A defect that answers nothing is waited for so long; our own server needs some milliseconds.
const LIMIT: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new()?);
    let catalogue = Arc::new(support::catalogue()?);
    let mut trials = Vec::new();
    for scenario in &catalogue.scenarios {
        for defect in &scenario.catches {
            let variants = schedule(&catalogue, &[scenario.id.parse()?])?;
            let (runtime, catalogue, defect) = (Arc::clone(&runtime), Arc::clone(&catalogue), defect.clone());
            trials.push(Trial::test(format!("{defect}::{}", scenario.id), move || {
                runtime.block_on(is_caught(&catalogue, &defect, &variants))
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit()
}

async fn is_caught(catalogue: &Catalogue, defect: &str, variants: &[Scheduled]) -> Result<(), Failed> {
    let defect = catalogue.defect(defect).ok_or("there is no such defect")?;
    let subject = Subject::Reference { defect: Some(Arc::clone(defect)) };
    let limits = Limits::default().at_most(LIMIT);
    let stage = Stage::new(subject, catalogue.clone(), limits, Effects::Intrusive, String::new()).await?;
    let mut told = Vec::new();
    let mut fired = 0;
    for scheduled in variants {
        let variant = &scheduled.scenario.variants[scheduled.variant];
        let played = stage.play(&scheduled.scenario, variant, 0).await;
        fired += played.rules_fired;
        let diagnosis = played.result.diagnosis.as_ref().map(|diagnosis| diagnosis.id.clone());
        let caught = matches!(played.result.verdict, Verdict::Fail | Verdict::Warn);
        if caught && diagnosis.as_deref() == Some(&defect.told_as) {
            return Ok(());
        }
        if played.result.verdict == Verdict::Error {
            return Err(support::failed(&played.result));
        }
        told.push(format!("{} {} {diagnosis:?}", played.result.verdict, played.result.variant));
    }
    // What fires in a client no server sees.
    if defect.role == Role::Server && !defect.script.rules.is_empty() && fired == 0 {
        return Err("its rules never fired".into());
    }
    Err(format!("no variant failed and was told as {}:\n{}", defect.told_as, told.join("\n")).into())
}
