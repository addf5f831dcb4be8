//! What a run costs its subject and its user, told before it begins: connections and time. It estimates from the scripts,
//! and knows nothing of how a server will answer.

use std::time::Duration;

use ftpspec_results::Plan;
use ftpspec_scenario::model::{Act, ConnectTo, Script, Variant};

use crate::run::Schedule;
use crate::subject::Subject;

/// What the schedule will take.
pub(crate) fn plan(schedule: &Schedule, subject: &Subject) -> Plan {
    let mut ids: Vec<_> = schedule.variants.iter().map(|scheduled| &scheduled.scenario.id).collect();
    ids.dedup();
    let repeat = schedule.repeat.max(1);
    let connections: usize =
        schedule.variants.iter().map(|scheduled| made(&scheduled.scenario.variants[scheduled.variant])).sum();
    let each = if matches!(subject, Subject::Remote(_)) { EACH_REMOTE } else { EACH_OF_OURS };
    let variants = schedule.variants.len() * repeat;
    let waited: Duration = schedule
        .variants
        .iter()
        .map(|scheduled| each + waits(&scheduled.scenario.variants[scheduled.variant].steps))
        .sum();
    let whole = waited * u32::try_from(repeat).unwrap_or(u32::MAX) / u32::try_from(schedule.jobs.max(1)).unwrap_or(1);
    let whole = match subject {
        Subject::Remote(remote) => whole.max(held_back(remote.surroundings.pace, schedule)),
        _ => whole,
    };
    Plan { scenarios: ids.len(), variants, connections: connections * repeat, seconds_estimate: whole.as_secs() + 1 }
}

/// How long the pace of an endpoint makes a run last at least.
fn held_back(pace: ftpspec_scenario::Pace, schedule: &Schedule) -> Duration {
    let variants = schedule.variants.iter().map(|scheduled| &scheduled.scenario.variants[scheduled.variant]);
    let made = variants.map(|variant| sessions(&variant.steps)).sum::<usize>() * schedule.repeat.max(1);
    let made = pace.total.map_or(made, |total| made.min(total));
    let minutes = pace.per_minute.map_or(0, |most| made.saturating_sub(1) / most);
    let pauses = pace.pause.unwrap_or_default() * u32::try_from(made).unwrap_or(u32::MAX);
    pauses.max(Duration::from_secs(60) * u32::try_from(minutes).unwrap_or(u32::MAX))
}

/// How many connections a variant makes; a client makes one for each file besides its control connection.
fn made(variant: &Variant) -> usize {
    variant.client.as_ref().map_or_else(|| connections(&variant.steps), |request| 1 + request.files.len())
}

/// What a variant takes against a peer of ours: measured, some 40 ms on two cores.
const EACH_OF_OURS: Duration = Duration::from_millis(40);
/// What it takes elsewhere: some ten round trips more.
const EACH_REMOTE: Duration = Duration::from_millis(500);

/// How long a script waits on purpose.
fn waits(script: &Script) -> Duration {
    script
        .iter()
        .map(|step| match &step.act {
            Act::Silence { lasts, .. } | Act::Pause(lasts) => *lasts,
            Act::Judged { script, .. } | Act::Within { script, .. } | Act::Session { script, .. } => waits(script),
            Act::Either(scripts) => scripts.first().map_or(Duration::ZERO, waits),
            _ => Duration::ZERO,
        })
        .sum()
}

/// How many TCP connections a script makes, about.
fn connections(script: &Script) -> usize {
    script
        .iter()
        .map(|step| match &step.act {
            Act::Connect(_) | Act::Login(_) | Act::Open(_) => 1,
            Act::Judged { script, .. } | Act::Within { script, .. } | Act::Session { script, .. } => {
                connections(script)
            }
            _ => 0,
        })
        .sum()
}

/// How many control connections a script makes, at least one.
pub(crate) fn sessions(script: &Script) -> usize {
    fn made(script: &Script) -> usize {
        script
            .iter()
            .map(|step| match &step.act {
                Act::Login(_) => 1,
                Act::Connect(connect) => usize::from(connect.to == ConnectTo::Control),
                Act::Judged { script, .. } | Act::Within { script, .. } | Act::Session { script, .. } => made(script),
                _ => 0,
            })
            .sum()
    }
    made(script).max(1)
}
