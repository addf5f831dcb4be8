//! What it takes to play against libunftp 0.24.0: after its 234 it reads on in the clear until a message of its own tells it
//! to stop, so that it is chance whether it takes our ClientHello for a command. What that looks like, `500 Invalid UTF8 in
//! command` in the clear, would otherwise be found in any scenario, in one of a hundred. Nothing else is tried twice.

use std::error::Error;

use ftpspec::{CaseResult, Catalogue, Effects, Limits, Scheduled, Stage, Subject};
use ftpspec_scenario::model::Capability;

/// Makes it ready; a probe that met the above is made again.
pub async fn stage(subject: &Subject, catalogue: &Catalogue, limits: Limits) -> Result<Stage, Box<dyn Error>> {
    for _ in 0..TRIES {
        let stage = Stage::new(subject.clone(), catalogue.clone(), limits, Effects::Intrusive, String::new()).await?;
        if [Capability::Tls12, Capability::Tls13, Capability::Epsv].iter().all(|it| stage.probe().offers.contains(it)) {
            return Ok(stage);
        }
    }
    Err("libunftp never served a probe".into())
}

/// Plays a variant, and plays it again where it met the above.
pub async fn played(stage: &Stage, scheduled: &Scheduled) -> CaseResult {
    let variant = &scheduled.scenario.variants[scheduled.variant];
    let mut result = stage.play(&scheduled.scenario, variant, 0).await.result;
    for _ in 1..TRIES {
        if result.diagnosis.as_ref().is_none_or(|diagnosis| diagnosis.id != "plaintext-in-handshake") {
            break;
        }
        result = stage.play(&scheduled.scenario, variant, 0).await.result;
    }
    result
}

/// More than chance needs.
const TRIES: usize = 10;
