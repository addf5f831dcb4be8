//! What keeps a run from telling anything: never the subject's fault, and never hidden.

use ftpspec_wire::reason;

/// The harness or its surroundings failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Trouble {
    /// What failed, and what a person can do about it.
    pub text: String,
}

impl Trouble {
    /// A failure of `what`, with the words of its cause.
    pub(crate) fn new(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let why = error.downcast_ref().map_or_else(|| error.to_string(), reason);
        Self { text: format!("{what}: {why}") }
    }
}
