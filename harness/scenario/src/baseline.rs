//! Known deviations: which scenario and variants fail, with which diagnosis, and why that is known.
//!
//! It only reads them; whether an entry still holds is the run's to say.

use std::sync::Arc;

use globset::{Glob, GlobMatcher};

use crate::decode::{Decoded, clause, list, needed, optional_text, optional_word, text, texts};
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
    /// The diagnoses that it must fail with, one or another of them; never empty.
    pub diagnoses: Vec<String>,
    /// Why it is known.
    pub reason: String,
    /// The clause that it breaks.
    pub clause: Option<Clause>,
    /// Where it is told.
    pub link: Option<String>,
    /// The last day on which it holds, `YYYY-MM-DD`.
    pub until: Option<String>,
    /// What it depends on whether a run sees it at all.
    pub chance: Option<String>,
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

    /// Whether a failure with this diagnosis is the known one.
    #[must_use]
    pub fn tells(&self, diagnosis: &str) -> bool {
        self.diagnoses.iter().any(|known| known == diagnosis)
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
        diagnoses: diagnoses(needed(node, "diagnosis")?)?,
        reason: owned("reason")?.trim().to_owned(),
        clause: optional_word(node, "clause", clause, "a clause")?,
        link: optional_text(node, "link")?,
        until: optional_text(node, "until")?,
        chance: optional_text(node, "chance")?,
        place: node.place,
        matcher: matcher.compile_matcher(),
    })
}

/// A name alone, or several of which chance takes one.
fn diagnoses(node: &Node) -> Decoded<Vec<String>> {
    if let Some(only) = node.text() {
        return Ok(vec![only.to_owned()]);
    }
    let several = texts(Some(node))?;
    let none = || Problem::new(node.place, "no diagnosis is named").due("a diagnosis, or a list of some");
    if several.is_empty() { Err(none()) } else { Ok(several) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(diagnosis: &str) -> Result<Baseline, Vec<Diagnostic>> {
        let text = format!("- id: server/a\n  diagnosis: {diagnosis}\n  reason: seen\n");
        load_baseline(&Arc::new(Source { name: "b.yaml".to_owned(), text }))
    }

    #[test]
    fn an_entry_names_one_diagnosis_or_several_of_which_chance_takes_one() {
        let tells = |diagnosis: &str| {
            let entry = loaded(diagnosis).unwrap().entries.remove(0);
            ["x", "y", "z"].map(|told| entry.tells(told))
        };
        assert_eq!(tells("x"), [true, false, false]);
        assert_eq!(tells("[x, y]"), [true, true, false]);
        assert!(loaded("[]").is_err());
    }
}
