//! Known deviations: which scenario and variants fail, with which diagnosis, and why that is known.
//!
//! It only reads them; whether an entry still holds is the run's to say.

use std::sync::Arc;

use globset::{Glob, GlobMatcher};

use crate::decode::{Decoded, clause, list, needed, optional_text, optional_word, text};
use crate::diagnostic::{Diagnostic, Problem};
use crate::grammar::BASELINE;
use crate::load::load;
use crate::model::{Clause, Place, Source};
use crate::node::Node;

/// A file of known deviations.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The file.
    pub source: Arc<Source>,
    /// Its entries, in their order.
    pub entries: Vec<BaselineEntry>,
}

/// One known deviation.
#[derive(Debug, Clone)]
pub struct BaselineEntry {
    /// The scenario.
    pub id: String,
    /// A glob over the variants' names, as it was written.
    pub variant: String,
    /// The diagnosis that it must fail with.
    pub diagnosis: String,
    /// Why it is known.
    pub reason: String,
    /// The clause that it breaks.
    pub clause: Option<Clause>,
    /// Where it is told.
    pub link: Option<String>,
    /// The last day on which it holds, `YYYY-MM-DD`.
    pub until: Option<String>,
    /// Where the entry stands in the file.
    pub place: Place,
    matcher: GlobMatcher,
}

impl BaselineEntry {
    /// Whether the entry is about this variant of this scenario.
    #[must_use]
    pub fn covers(&self, id: &str, variant: &str) -> bool {
        self.id == id && self.matcher.is_match(variant)
    }
}

/// Loads a baseline.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_baseline(source: &Arc<Source>) -> Result<Baseline, Vec<Diagnostic>> {
    load(source, &BASELINE, &[], |root, _| {
        let entries = list(root)?.iter().map(entry).collect::<Decoded<_>>()?;
        Ok(Baseline { source: Arc::clone(source), entries })
    })
}

fn entry(node: &Node) -> Decoded<BaselineEntry> {
    let owned = |key| Ok(text(needed(node, key)?)?.to_owned());
    let variant = optional_text(node, "variant")?.unwrap_or_else(|| "*".to_owned());
    let matcher = Glob::new(&variant).map_err(|_| {
        let place = node.value("variant").map_or(node.place, |variant| variant.place);
        Problem::new(place, "the glob cannot be read").due("a glob such as `*` or `*version=1.3*`")
    })?;
    Ok(BaselineEntry {
        id: owned("id")?,
        variant,
        diagnosis: owned("diagnosis")?,
        reason: owned("reason")?.trim().to_owned(),
        clause: optional_word(node, "clause", clause, "a clause")?,
        link: optional_text(node, "link")?,
        until: optional_text(node, "until")?,
        place: node.place,
        matcher: matcher.compile_matcher(),
    })
}
