//! What a scenario varies: its axes, their values, and every combination that its needs allow.
//!
//! It decides names and order of variants, and nothing about what is played in them.

use ftpspec_wire::escaped;

use crate::decode::{optional_word, text, word};
use crate::diagnostic::Problem;
use crate::model::{Capability, Effects, Level};
use crate::node::{Kind, Node};
use crate::variables::is_reserved;

/// One thing to choose.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
}

/// One word of an axis, and what comes with it.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) word: String,
    /// The text or script that `${axis}` stands for.
    pub(crate) content: Node,
    pub(crate) needs: Vec<Capability>,
    pub(crate) effects: Option<Effects>,
    pub(crate) level: Option<Level>,
}

/// One value of each axis.
#[derive(Debug, Clone)]
pub(crate) struct Combination<'a> {
    pub(crate) chosen: Vec<(&'a Axis, &'a Value)>,
}

impl Combination<'_> {
    /// `engine=rustls,version=1.3,open=EPSV`.
    pub(crate) fn name(&self) -> String {
        let parts = self.chosen.iter().map(|(axis, value)| format!("{}={}", axis.name, value.word));
        parts.collect::<Vec<_>>().join(",")
    }

    /// The word chosen on an axis.
    pub(crate) fn word(&self, axis: &str) -> Option<&str> {
        self.chosen.iter().find(|(chosen, _)| chosen.name == axis).map(|(_, value)| value.word.as_str())
    }

    /// The file's level, or that of the last chosen value that says otherwise.
    pub(crate) fn level(&self, file: Level) -> Level {
        self.chosen.iter().filter_map(|(_, value)| value.level).next_back().unwrap_or(file)
    }

    /// What the file or any chosen value does to the subject, whichever is more.
    pub(crate) fn effects(&self, file: Effects) -> Effects {
        self.chosen.iter().filter_map(|(_, value)| value.effects).fold(file, Effects::max)
    }

    /// The needs of the file and of the chosen values, each once, in that order.
    pub(crate) fn needs(&self, file: &[Capability]) -> Vec<Capability> {
        let mut needs = Vec::new();
        for need in file.iter().chain(self.chosen.iter().flat_map(|(_, value)| &value.needs)) {
            if !needs.contains(need) {
                needs.push(*need);
            }
        }
        needs
    }
}

/// The axes of a scenario: the built-in ones if a handshake of ours happens in it, then its own.
///
/// # Errors
/// If an axis has a name or a word twice, or a name that means something else.
pub(crate) fn axes(vary: Option<&Node>, shakes_hands: bool) -> Result<Vec<Axis>, Problem> {
    let mut axes = Vec::new();
    if shakes_hands {
        axes.push(built_in("engine", &[("rustls", None), ("openssl", None)]));
        axes.push(built_in("version", &[("1.2", Some(Capability::Tls12)), ("1.3", Some(Capability::Tls13))]));
    }
    for (name, values) in vary.and_then(Node::entries).unwrap_or_default() {
        let text = name.text().unwrap_or_default();
        if is_reserved(text) {
            let shown = escaped(text.as_bytes());
            return Err(Problem::new(name.place, format!("an axis cannot be called `{shown}`"))
                .due("a name that no variable and no built-in axis has"));
        }
        axes.push(Axis { name: text.to_owned(), values: own_values(values)? });
    }
    Ok(axes)
}

/// Every combination that does not contradict itself, the first axis changing slowest.
///
/// # Errors
/// If there are too many, or none.
pub(crate) fn combinations<'a>(
    axes: &'a [Axis],
    needs: &[Capability],
    at: &Node,
) -> Result<Vec<Combination<'a>>, Problem> {
    let mut combinations = vec![Combination { chosen: Vec::new() }];
    for axis in axes {
        let count = combinations.len().saturating_mul(axis.values.len());
        if count > MAX_COMBINATIONS {
            return Err(Problem::new(at.place, format!("the scenario has {count} combinations or more"))
                .due(format!("at most {MAX_COMBINATIONS}")));
        }
        combinations = combinations
            .into_iter()
            .flat_map(|combination| {
                axis.values.iter().map(move |value| {
                    let mut chosen = combination.chosen.clone();
                    chosen.push((axis, value));
                    Combination { chosen }
                })
            })
            .collect();
    }
    combinations.retain(|combination| {
        let needs = combination.needs(needs);
        !(needs.contains(&Capability::Tls12) && needs.contains(&Capability::Tls13))
    });
    if combinations.is_empty() {
        return Err(Problem::new(at.place, "no variant is left").due("needs that do not exclude each other"));
    }
    Ok(combinations)
}

fn built_in(name: &str, words: &[(&str, Option<Capability>)]) -> Axis {
    let values = words
        .iter()
        .map(|(word, need)| Value {
            word: (*word).to_owned(),
            content: Node::scalar(Default::default(), *word),
            needs: need.iter().copied().collect(),
            effects: None,
            level: None,
        })
        .collect();
    Axis { name: name.to_owned(), values }
}

fn own_values(node: &Node) -> Result<Vec<Value>, Problem> {
    let mut values: Vec<Value> = Vec::new();
    let empty = || Problem::new(node.place, "an axis has nothing to choose from").due("at least one word");
    match &node.kind {
        Kind::Sequence(items) => {
            for item in items {
                let word = item.text().unwrap_or_default();
                if values.iter().any(|value| value.word == word) {
                    let shown = escaped(word.as_bytes());
                    return Err(Problem::new(item.place, format!("`{shown}` is given twice")).due("each word once"));
                }
                values.push(Value {
                    word: word.to_owned(),
                    content: item.clone(),
                    needs: Vec::new(),
                    effects: None,
                    level: None,
                });
            }
        }
        Kind::Map(entries) => {
            for (word, value) in entries {
                values.push(own_value(word, value)?);
            }
        }
        Kind::Scalar { .. } => return Err(empty()),
    }
    if values.is_empty() { Err(empty()) } else { Ok(values) }
}

fn own_value(name: &Node, value: &Node) -> Result<Value, Problem> {
    let written = match &value.kind {
        Kind::Map(_) => value.value("script").or_else(|| value.value("text")).unwrap_or(name),
        Kind::Scalar { .. } | Kind::Sequence(_) => value,
    };
    let needs = value.value("needs").and_then(Node::items).unwrap_or_default();
    let needs = needs.iter().map(|need| word(need, Capability::from_word, "a capability"));
    Ok(Value {
        word: text(name)?.to_owned(),
        content: written.clone(),
        needs: needs.collect::<Result<_, _>>()?,
        effects: optional_word(value, "effects", Effects::from_word, "an effect")?,
        level: optional_word(value, "level", Level::from_word, "a level")?,
    })
}

/// Combinations of one scenario, those that contradict themselves included: each costs the subject connections.
const MAX_COMBINATIONS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::parse;

    #[test]
    fn built_in_axes_come_first_and_the_last_axis_changes_fastest() {
        let vary = parse("open: [EPSV, PASV]").expect("YAML");
        let axes = axes(Some(&vary), true).expect("axes");
        let names = combinations(&axes, &[], &vary).expect("some").iter().map(Combination::name).collect::<Vec<_>>();
        assert_eq!(names.len(), 8);
        assert_eq!(
            names[..3],
            [
                "engine=rustls,version=1.2,open=EPSV",
                "engine=rustls,version=1.2,open=PASV",
                "engine=rustls,version=1.3,open=EPSV",
            ]
        );
    }

    #[test]
    fn a_need_of_file_or_value_restricts_the_version() {
        let vary = parse("case: {old: {needs: [TLS-1.2]}, any: x}").expect("YAML");
        let axes = axes(Some(&vary), true).expect("axes");
        let count = |needs: &[Capability]| combinations(&axes, needs, &vary).map_or(0, |all| all.len());
        assert_eq!(count(&[]), 6);
        assert_eq!(count(&[Capability::Tls13]), 2);
        assert_eq!(count(&[Capability::Tls13, Capability::Tls12]), 0);
    }
}
