//! Which scenarios and variants a person means: ids, folders, globs, clauses, field cases, levels.
//!
//! A selector that names nothing is an error, never an empty selection: a misspelt id must not make a run green.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ftpspec_wire::escaped;
use globset::{Glob, GlobMatcher};

use crate::catalogue::Catalogue;
use crate::decode::clause;
use crate::diagnostic::nearest;
use crate::model::{Clause, Level, Role, Scenario, Variant};

/// One selector, as it stands on the command line.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    excludes: bool,
    what: What,
    /// Axes and the words that they must have.
    values: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum What {
    /// An id, or a folder of ids.
    Id(String),
    Glob(GlobMatcher),
    Clause(Clause),
    /// Every clause of one RFC.
    Rfc(u16),
    Field(String),
    Level(Level),
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// There is nothing in it.
    #[error("an empty selector")]
    Empty,
    /// The glob is none.
    #[error("`{0}` is no glob")]
    Glob(String),
    /// The clause is none.
    #[error("`{0}` is no clause; a clause is written rfc4217#9")]
    Clause(String),
    /// The level is none.
    #[error("`{0}` is no level; a level is one of field, may, should, must")]
    Level(String),
    /// What stands behind the `@` is no list of choices.
    #[error("`{0}` is no choice of a variant; a choice is written engine=rustls,open=EPSV")]
    Choice(String),
    /// The word before the colon is unknown.
    #[error("`{0}:` is unknown; known are clause:, field: and level:")]
    Kind(String),
}

/// Why nothing can be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A selector names nothing that there is.
    #[error("`{selector}` names no scenario{}", suggestion(.nearest))]
    NamesNothing {
        /// The selector.
        selector: String,
        /// What is spelt most like it.
        nearest: Vec<String>,
    },
    /// The scenario is there, but no variant has these values.
    #[error("`{selector}` names no variant; a variant is {example}")]
    NoVariant {
        /// The selector.
        selector: String,
        /// The name of a variant that there is.
        example: String,
    },
    /// What it names, this subject cannot play.
    #[error("`{selector}` names no scenario for a {role} under test")]
    OtherRole {
        /// The selector.
        selector: String,
        /// The role of the subject.
        role: &'static str,
    },
}

/// A scenario, and which of its variants are meant.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Places in its list of variants, in order; never empty.
    pub variants: Vec<usize>,
}

/// What the selectors mean for a subject of this role, in the order of the catalogue; without a role, for subjects of
/// every role. No selector, or only excluding ones, begin with everything.
///
/// # Errors
/// If a selector names nothing, or nothing for this role. That one excludes all that another includes is no error: the
/// selection is empty.
pub fn select(catalogue: &Catalogue, selectors: &[Selector], role: Option<Role>) -> Result<Vec<Selected>, SelectError> {
    let plays = |scenario: &Scenario| role.is_none_or(|role| scenario.role() == Some(role));
    for selector in selectors {
        selector.must_name_something(catalogue)?;
        let named = |scenario: &Arc<Scenario>| {
            plays(scenario) && scenario.variants.iter().any(|variant| selector.names(scenario, variant))
        };
        if let Some(role) = role.filter(|_| !selector.excludes && !catalogue.scenarios.iter().any(named)) {
            return Err(SelectError::OtherRole { selector: selector.to_string(), role: role.word() });
        }
    }
    let all = selectors.iter().all(Selector::excludes);
    let chosen = |scenario: &Scenario, variant: &Variant| {
        let named = |excludes: bool| {
            selectors.iter().any(|selector| selector.excludes == excludes && selector.names(scenario, variant))
        };
        plays(scenario) && (all || named(false)) && !named(true)
    };
    let selected = catalogue.scenarios.iter().map(|scenario| {
        let indices = 0..scenario.variants.len();
        let variants = indices.filter(|index| chosen(scenario, &scenario.variants[*index])).collect();
        Selected { scenario: Arc::clone(scenario), variants }
    });
    Ok(selected.filter(|selected| !selected.variants.is_empty()).collect())
}

impl Selector {
    /// Whether it takes away from what others choose.
    #[must_use]
    pub fn excludes(&self) -> bool {
        self.excludes
    }

    fn names(&self, scenario: &Scenario, variant: &Variant) -> bool {
        self.names_scenario(scenario, variant)
            && self.values.iter().all(|(axis, word)| {
                variant.choices.iter().any(|(chosen_axis, chosen)| chosen_axis == axis && chosen == word)
            })
    }

    fn names_scenario(&self, scenario: &Scenario, variant: &Variant) -> bool {
        match &self.what {
            What::Id(id) => {
                scenario.id.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            What::Glob(glob) => glob.is_match(&scenario.id),
            What::Clause(wanted) => scenario.clauses.iter().any(|clause| is_below(clause, wanted)),
            What::Rfc(rfc) => scenario.clauses.iter().any(|clause| clause.rfc == *rfc),
            What::Field(case) => scenario.field_cases.contains(case),
            What::Level(level) => variant.level == *level,
        }
    }

    fn must_name_something(&self, catalogue: &Catalogue) -> Result<(), SelectError> {
        let variants = || {
            let scenarios = catalogue.scenarios.iter();
            scenarios.flat_map(|scenario| scenario.variants.iter().map(move |variant| (scenario, variant)))
        };
        if variants().any(|(scenario, variant)| self.names(scenario, variant)) {
            return Ok(());
        }
        let selector = escaped(self.text.as_bytes());
        match variants().find(|(scenario, variant)| self.names_scenario(scenario, variant)) {
            Some((_, variant)) => {
                let example = if variant.name.is_empty() { "without choices".into() } else { variant.name.clone() };
                Err(SelectError::NoVariant { selector, example })
            }
            None => Err(SelectError::NamesNothing { selector, nearest: self.nearest(catalogue) }),
        }
    }

    /// What is spelt most like this selector, the best first.
    fn nearest(&self, catalogue: &Catalogue) -> Vec<String> {
        let (wanted, mut candidates) = match &self.what {
            What::Id(id) => (id.clone(), catalogue.scenarios.iter().map(|scenario| scenario.id.clone()).collect()),
            What::Field(case) => {
                let cases = catalogue.scenarios.iter().flat_map(|scenario| scenario.field_cases.iter().cloned());
                (case.clone(), cases.collect::<Vec<_>>())
            }
            What::Glob(_) | What::Clause(_) | What::Rfc(_) | What::Level(_) => return Vec::new(),
        };
        candidates.sort();
        candidates.dedup();
        // The last part alone is what people remember of an id.
        let same_end = candidates.iter().filter(|id| id.rsplit('/').next() == wanted.rsplit('/').next());
        let mut found = same_end.take(MOST_NEAREST).cloned().collect::<Vec<_>>();
        while found.len() < MOST_NEAREST {
            candidates.retain(|candidate| !found.contains(candidate));
            let Some(next) = nearest(&wanted, candidates.iter().map(String::as_str)) else { break };
            found.push(next.to_owned());
        }
        found
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let shown = |text: &str| escaped(text.as_bytes());
        let (excludes, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (what, values) = match rest.split_once('@') {
            Some((what, values)) => (what, choices(values).ok_or_else(|| SelectorError::Choice(shown(values)))?),
            None => (rest, Vec::new()),
        };
        if what.is_empty() {
            return Err(SelectorError::Empty);
        }
        let what = match what.split_once(':') {
            Some(("clause", wanted)) => clause(wanted)
                .map(What::Clause)
                .or_else(|| wanted.strip_prefix("rfc")?.parse().ok().map(What::Rfc))
                .ok_or_else(|| SelectorError::Clause(shown(wanted)))?,
            Some(("field", case)) => What::Field(case.to_owned()),
            Some(("level", level)) => {
                What::Level(Level::from_word(level).ok_or_else(|| SelectorError::Level(shown(level)))?)
            }
            Some((kind, _)) => return Err(SelectorError::Kind(shown(kind))),
            None if what.contains(['*', '?', '[', '{']) => {
                let glob = Glob::new(what).map_err(|_| SelectorError::Glob(shown(what)))?;
                What::Glob(glob.compile_matcher())
            }
            None => What::Id(what.trim_end_matches('/').to_owned()),
        };
        Ok(Self { text: text.to_owned(), excludes, what, values })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&escaped(self.text.as_bytes()))
    }
}

fn choices(text: &str) -> Option<Vec<(String, String)>> {
    let choice = |part: &str| {
        let (axis, word) = part.split_once('=')?;
        (!axis.is_empty() && !word.is_empty()).then(|| (axis.to_owned(), word.to_owned()))
    };
    text.split(',').map(choice).collect()
}

/// Whether a clause is the wanted one, or stands below it: §9.1 is below §9, §91 is not.
fn is_below(clause: &Clause, wanted: &Clause) -> bool {
    clause.rfc == wanted.rfc
        && clause.section.strip_prefix(&wanted.section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn suggestion(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        nearest => format!("; did you mean {}?", nearest.join(", or ")),
    }
}

/// Spellings that are offered: more would not be read.
const MOST_NEAREST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load_scenario;
    use crate::model::Source;
    use rstest::rstest;

    #[rstest]
    #[case(&[], &["server/auth/tls 4", "server/data/retr 8", "server/data/stor 4", "server/prot/levels 1"])]
    #[case(&["server/data/retr"], &["server/data/retr 8"])]
    #[case(&["server/data"], &["server/data/retr 8", "server/data/stor 4"])]
    #[case(&["server/data/*", "!server/data/stor"], &["server/data/retr 8"])]
    #[case(&["!server/data/*"], &["server/auth/tls 4", "server/prot/levels 1"])]
    #[case(&["server/data/retr@engine=rustls,open=EPSV"], &["server/data/retr 2"])]
    #[case(&["server/*@version=1.3"], &["server/auth/tls 2", "server/data/retr 4", "server/data/stor 2"])]
    #[case(&["server/data/retr", "!server/data/retr@open=PASV"], &["server/data/retr 4"])]
    #[case(&["clause:rfc4217#9"], &["server/data/retr 8", "server/data/stor 4"])]
    #[case(&["clause:rfc959#5"], &["server/data/stor 4"])]
    #[case(&["clause:rfc959"], &["server/data/stor 4"])]
    #[case(&["field:IT13168"], &["server/data/retr 8"])]
    #[case(&["level:field", "server/auth/tls"], &["server/auth/tls 4", "server/prot/levels 1"])]
    #[case(&["server/data/retr", "!server/data/*"], &[])]
    fn selectors_name_scenarios_and_variants(#[case] texts: &[&str], #[case] due: &[&str]) {
        let selected = select(&catalogue(), &selectors(texts), None).expect("each names something");
        let names = selected.iter().map(|one| format!("{} {}", one.scenario.id, one.variants.len()));
        assert_eq!(names.collect::<Vec<_>>(), due);
    }

    #[rstest]
    #[case(
        "server/data/rter",
        "`server/data/rter` names no scenario; did you mean server/data/retr, or server/data/stor?"
    )]
    #[case("retr", "`retr` names no scenario; did you mean server/data/retr?")]
    #[case("field:IT13186", "`field:IT13186` names no scenario; did you mean IT13168?")]
    #[case("clause:rfc4217#91", "`clause:rfc4217#91` names no scenario")]
    #[case("client/*", "`client/*` names no scenario")]
    #[case(
        "server/auth/tls@version=1.1",
        "`server/auth/tls@version=1.1` names no variant; a variant is engine=rustls,version=1.2"
    )]
    #[case(
        "!server/data/rter",
        "`!server/data/rter` names no scenario; did you mean server/data/retr, or server/data/stor?"
    )]
    fn a_selector_that_names_nothing_is_an_error(#[case] text: &str, #[case] due: &str) {
        let error = select(&catalogue(), &selectors(&[text]), None).expect_err("it names nothing");
        assert_eq!(error.to_string(), due);
    }

    #[rstest]
    #[case("", SelectorError::Empty)]
    #[case("!", SelectorError::Empty)]
    #[case("@version=1.2", SelectorError::Empty)]
    #[case("server/[", SelectorError::Glob("server/[".into()))]
    #[case("clause:4217", SelectorError::Clause("4217".into()))]
    #[case("level:shall", SelectorError::Level("shall".into()))]
    #[case("a@version", SelectorError::Choice("version".into()))]
    #[case("caluse:rfc4217#9", SelectorError::Kind("caluse".into()))]
    fn what_is_no_selector_is_refused(#[case] text: &str, #[case] due: SelectorError) {
        assert_eq!(text.parse::<Selector>().expect_err("it is none"), due);
    }

    fn selectors(texts: &[&str]) -> Vec<Selector> {
        texts.iter().map(|text| text.parse().expect("it is a selector")).collect()
    }

    fn catalogue() -> Catalogue {
        let scenarios = [
            ("server/auth/tls", "level: should\nclauses: [rfc4217#4.2]\nsteps: [login]\n"),
            (
                "server/data/retr",
                "level: must\nclauses: [rfc4217#9]\nfield-cases: [IT13168]\nvary: {open: [EPSV, PASV]}\n\
                 steps: [login, open: \"${open}\"]\n",
            ),
            ("server/data/stor", "level: must\nclauses: [rfc4217#9.1, rfc959#5.4]\nsteps: [login]\n"),
            ("server/prot/levels", "level: field\nsteps: [connect: control]\n"),
        ];
        let load = |(id, text): &(&str, &str)| {
            let source = Source { name: format!("{id}.yaml"), text: format!("title: x\n{text}") };
            Arc::new(load_scenario(&Arc::new(source)).expect("it is right"))
        };
        Catalogue { scenarios: scenarios.iter().map(load).collect(), ..Catalogue::default() }
    }
}
