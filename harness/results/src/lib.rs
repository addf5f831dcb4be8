//! What a run came to: verdicts, the events that a run emits, the journal that keeps them, and the exit status.
//!
//! A run tells its whole story as one stream of [`RunEvent`]s. Every report is a consumer of that stream, or of the
//! [`Results`] that a [`Fold`] makes of it, and knows no other report. This crate must never judge, never render and
//! never touch the network; its only I/O is the [`Journal`].

mod case;
mod event;
mod exit;
mod fold;
mod journal;
mod selftest;
mod verdict;

pub use case::{Caret, CaseResult, Diagnosis, Evidence, Known, ServerLog, SourceLine};
pub use event::{Libraries, Plan, RunEvent, Signal, Started, StartedError, Subject};
pub use exit::Exit;
pub use fold::{Fold, Results, StaleEntry, Summary};
pub use journal::{Journal, JournalError, Replay};
pub use selftest::{DefectTrial, ProvenDefect, ProvenScenario, SelfTest, SelfTestEvent, SelfTestPlan, SelfTestSummary};
pub use verdict::{AtFault, Level, Role, Verdict};

/// The name of the tool, as it stands in every document that it writes.
pub const TOOL: &str = "ftpspec";

/// The version of the tool, as it stands in every document that it writes.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
