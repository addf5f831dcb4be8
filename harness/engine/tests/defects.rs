//! The proof that every scenario can fail: each defect against each scenario that says it catches it. At least one
//! variant must come to `fail` (or to `warn`, where the demand is a should or a practice), told as the defect says.

mod support;

use std::sync::Arc;

use ftpspec::{Catalogue, Liar, Scheduled, schedule};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = support::arguments();
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
    let [Scheduled { scenario, .. }, ..] = variants else { return Err("the scenario has no variant".into()) };
    let liar = Liar::new(Arc::clone(defect), catalogue.clone()).await?;
    let met = liar.meets(scenario, &variants.iter().map(|it| it.variant).collect::<Vec<_>>()).await;
    // A rule of several may be another scenario's to see.
    if !met.lies_told.is_empty() && met.lies_told.iter().all(|count| *count == 0) {
        return Err("its rules never fired".into());
    }
    if met.trial.caught { Ok(()) } else { Err(format!("not told as {}: {:#?}", defect.told_as, met.trial).into()) }
}
