//! What no file can be held to alone: that the names between scenarios, defects and diagnoses lead somewhere.
//!
//! No scenario without its defect, no defect without its scenario, no defect without the diagnosis that tells it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ftpspec_wire::escaped;

use crate::catalogue::Catalogue;
use crate::diagnostic::{Diagnostic, Problem};
use crate::model::{Place, Scenario, Source};
use crate::node::{Node, parse};

/// What is wrong with a scenario that loads: a verdict that was never seen to go both ways proves nothing.
#[must_use]
pub fn lint_scenario(scenario: &Scenario) -> Vec<Diagnostic> {
    if !scenario.catches.is_empty() {
        return Vec::new();
    }
    let place = place_of(&scenario.source, "title", None);
    let problem = Problem::new(place, "the scenario catches no defect").due("`catches: […]` with at least one");
    vec![Diagnostic::new(&scenario.source, problem)]
}

/// Everything that is wrong between the files of a catalogue, in the order of their names.
#[must_use]
pub fn lint_all(catalogue: &Catalogue) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let defects = catalogue.defects.iter().map(|defect| defect.name.as_str()).collect::<BTreeSet<_>>();
    let diagnoses = catalogue.diagnoses.iter().map(|diagnosis| diagnosis.id.as_str()).collect::<BTreeSet<_>>();
    let mut caught = BTreeSet::new();
    for scenario in &catalogue.scenarios {
        all.extend(lint_scenario(scenario));
        for name in &scenario.catches {
            caught.insert(name.as_str());
            if !defects.contains(name.as_str()) {
                all.push(unknown(&scenario.source, "catches", "defect", name, &defects));
            }
        }
    }
    for defect in &catalogue.defects {
        if !diagnoses.contains(defect.told_as.as_str()) {
            all.push(unknown(&defect.source, "told-as", "diagnosis", &defect.told_as, &diagnoses));
        }
        if !caught.contains(defect.name.as_str()) {
            let place = place_of(&defect.source, "title", None);
            let problem = Problem::new(place, "no scenario catches this defect")
                .due(format!("`{}` in the `catches` of a scenario", escaped(defect.name.as_bytes())));
            all.push(Diagnostic::new(&defect.source, problem));
        }
    }
    all
}

fn unknown(source: &Arc<Source>, key: &str, what: &str, name: &str, known: &BTreeSet<&str>) -> Diagnostic {
    let problem =
        Problem::new(place_of(source, key, Some(name)), format!("unknown {what} `{}`", escaped(name.as_bytes())))
            .nearest(name, known.iter().copied());
    Diagnostic::new(source, problem)
}

/// Where a key's value stands, or one item of it.
fn place_of(source: &Source, key: &str, item: Option<&str>) -> Place {
    let Ok(root) = parse(&source.text) else { return Place::default() };
    let Some(value) = root.value(key) else { return root.place };
    let items = value.items().unwrap_or_default();
    items.iter().find(|node: &&Node| node.text() == item).unwrap_or(value).place
}
