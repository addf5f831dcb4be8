//! ftpspec as a library: make a subject ready, choose scenarios, play them, and get results.
//!
//! A server of one's own is described as for the command line, and is started for each test that wants it:
//!
//! ```no_run
//! use std::{path::Path, sync::Arc};
//! use ftpspec::{
//!     Catalogue, Effects, Family, Limits, Stage, Subject, Verdict, load_server_description, read_file, schedule,
//! };
//!
//! #[tokio::test]
//! async fn an_empty_file_is_served_over_tls() {
//!     holds("server/data/retr-empty-file").await;
//! }
//!
//! async fn holds(scenario: &str) {
//!     let file = read_file(Path::new("tests/my-server.yaml"), "my-server.yaml").unwrap();
//!     let description = Arc::new(load_server_description(&file).unwrap());
//!     let subject = Subject::Described { description, trust: None, family: Family::V4 };
//!     let catalogue = Catalogue::embedded().unwrap();
//!     let variants = schedule(&catalogue, &[scenario.parse().unwrap()]).unwrap();
//!     let limits = Limits::default();
//!     let stage = Stage::new(subject, catalogue, limits, Effects::Intrusive, String::new()).await.unwrap();
//!     for it in &variants {
//!         let result = stage.play(&it.scenario, &it.scenario.variants[it.variant], 0).await.result;
//!         assert!(matches!(result.verdict, Verdict::Pass | Verdict::Skip), "{}", result.transcript.join("\n"));
//!     }
//! }
//! ```
//!
//! One that runs already is a [`Subject::Remote`], and without a server of one's own there is the embedded one:
//!
//! ```
//! use ftpspec::{Catalogue, Effects, Limits, Schedule, Stage, Subject, Verdict, schedule};
//!
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # runtime.block_on(async {
//! let catalogue = Catalogue::embedded().expect("the embedded scenarios are sound");
//! let variants = schedule(&catalogue, &["server/data/retr-empty-file@engine=rustls".parse()?])?;
//! let subject = Subject::Reference { defect: None };
//! let stage = Stage::new(subject, catalogue, Limits::default(), Effects::Intrusive, String::new()).await?;
//! for scheduled in &variants {
//!     let played = stage.play(&scheduled.scenario, &scheduled.scenario.variants[scheduled.variant], 0).await;
//!     assert_eq!(played.result.verdict, Verdict::Pass, "{}", scheduled.name());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It prints nothing and knows no report format: [`run`] tells run events, and `ftpspec-report` renders them.

mod client;
mod configurations;
#[cfg(feature = "containers")]
mod container;
mod cost;
pub mod diagnose;
mod error;
mod evidence;
mod finding;
mod judge;
mod known;
mod obstacle;
mod pace;
mod probe;
mod pulse;
mod roots;
mod run;
mod scratch;
mod selftest;
mod serve;
mod server_log;
mod shard;
mod stage;
mod stop;
mod subject;
mod url;

pub use client::DescribedClient;
#[cfg(feature = "containers")]
pub use container::StartedPeer;
pub use error::Trouble;
pub use ftpspec_net::Limits;
pub use ftpspec_peers::Family;
pub use ftpspec_results::{CaseResult, Exit, Results, RunEvent, SelfTest, SelfTestEvent, Signal, Verdict};
pub use ftpspec_scenario::model::Effects;
pub use ftpspec_scenario::{
    Catalogue, ClientDescription, ServerDescription, load_client_description, load_rules, load_server_description,
    read_file,
};
pub use ftpspec_tls::{Engine, Identity, Trust, Version};
pub use ftpspec_transcript::Secret;
pub use judge::{Finding, Judgement, judge};
pub use known::{WrittenBaseline, write_baseline};
pub use probe::Probe;
pub use roots::system_trust;
pub use run::{Schedule, Scheduled, Unplayed, by_scenario, libraries, narrow, run, unplayed};
pub use selftest::{Liar, Met, PATIENCE, SelfTestSchedule, selftest};
pub use serve::{Conflict, Lie, ServeError, ServeSettings, Served, Service, merged};
pub use shard::{Shard, WrongShard};
pub use stage::{Played, Stage};
pub use stop::Stop;
pub use subject::{Remote, Subject, Surroundings};
pub use url::{ServerUrl, ServerUrlError};

pub use ftpspec_scenario::model::Role;
use ftpspec_scenario::{SelectError, Selector, select};

/// The variants that selectors choose, in their order. No selector, or only excluding ones, mean the server role.
///
/// # Errors
/// If a selector names nothing.
pub fn schedule(catalogue: &Catalogue, selectors: &[Selector]) -> Result<Vec<Scheduled>, SelectError> {
    let nothing_named = selectors.iter().all(Selector::excludes);
    scheduled(catalogue, selectors, nothing_named.then_some(Role::Server))
}

/// The variants that selectors choose for a subject of this role, in their order; no selector chooses all of the role.
///
/// # Errors
/// If a selector names nothing, or only what a subject of this role cannot play.
pub fn schedule_for(catalogue: &Catalogue, selectors: &[Selector], role: Role) -> Result<Vec<Scheduled>, SelectError> {
    scheduled(catalogue, selectors, Some(role))
}

/// The variants that selectors choose of the scenarios of every role, in their order; no selector chooses everything.
///
/// # Errors
/// If a selector names nothing.
pub fn schedule_all(catalogue: &Catalogue, selectors: &[Selector]) -> Result<Vec<Scheduled>, SelectError> {
    scheduled(catalogue, selectors, None)
}

fn scheduled(catalogue: &Catalogue, selectors: &[Selector], role: Option<Role>) -> Result<Vec<Scheduled>, SelectError> {
    let selected = select(catalogue, selectors, role)?;
    Ok(selected
        .into_iter()
        .flat_map(|selected| {
            let scenario = selected.scenario;
            selected.variants.into_iter().map(move |variant| Scheduled { scenario: scenario.clone(), variant })
        })
        .collect())
}
