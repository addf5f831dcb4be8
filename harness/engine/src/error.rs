//! What keeps a run from telling anything: never the subject's fault, and never hidden.

/// The harness or its surroundings failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Trouble {
    /// What failed, and what a person can do about it.
    pub text: String,
}

impl Trouble {
    /// A failure of `what`, with the words of its cause.
    pub(crate) fn new(what: &str, error: &dyn std::error::Error) -> Self {
        Self { text: format!("{what}: {error}") }
    }
}
