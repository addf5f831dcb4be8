//! How often the scripts were played that stand in place of correct ones: a lie that was never told is caught by nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ftpspec_scenario::model::Rule;

/// How often each of some rules has fired, in their order; shared by all who play them.
#[derive(Debug, Clone, Default)]
pub struct Fired(Arc<[AtomicUsize]>);

impl Fired {
    /// Of these rules, none of which has fired yet.
    #[must_use]
    pub fn of(rules: &[Rule]) -> Self {
        Self(rules.iter().map(|_| AtomicUsize::new(0)).collect())
    }

    /// The rule at this place fires.
    pub(crate) fn add(&self, at: usize) {
        if let Some(count) = self.0.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each has.
    #[must_use]
    pub fn each(&self) -> Vec<usize> {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}
