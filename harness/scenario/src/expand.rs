//! From what was written to one straight script: `${axis}`, `for`, `part` and `by-version` are put in their place.
//!
//! It works on nodes and knows no act, so that every key is expanded alike, and a place always is a place in the file.
//! What a run fills in (`${user}`) is left as it stands.

use std::fmt::Write as _;

use ftpspec_wire::escaped;

use crate::axes::Combination;
use crate::diagnostic::Problem;
use crate::model::Place;
use crate::node::{Kind, MAX_DEPTH, Node};
use crate::variables::{Piece, lone, pieces};

/// Expands the nodes of one variant.
pub(crate) struct Expansion<'a> {
    combination: Option<&'a Combination<'a>>,
    parts: &'a [(Node, Node)],
    /// Items of the loops that are being unrolled, the innermost last.
    items: Vec<&'a Node>,
    /// Parts and axes that are being put in place, the innermost last.
    inside: Vec<&'a str>,
    depth: usize,
    budget: &'a mut Budget,
}

/// How many nodes the expansion of one file may still make: parts and loops multiply.
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_EXPANDED)
    }
}

impl<'a> Expansion<'a> {
    pub(crate) fn new(
        combination: Option<&'a Combination<'a>>,
        parts: &'a [(Node, Node)],
        budget: &'a mut Budget,
    ) -> Self {
        Self { combination, parts, items: Vec::new(), inside: Vec::new(), depth: 0, budget }
    }

    /// The node with everything in its place.
    ///
    /// # Errors
    /// If a part is unknown or contains itself, a loop has no literals, a script stands inside a text, or the result
    /// grows beyond its bounds.
    pub(crate) fn expand(&mut self, node: &'a Node) -> Result<Node, Problem> {
        self.spend(node.place)?;
        self.depth += 1;
        if self.depth > MAX_EXPANDED_DEPTH {
            return Err(Problem::new(node.place, "parts, loops and variables are nested too deeply"));
        }
        let expanded = match &node.kind {
            Kind::Scalar { text, quoted } => self.scalar(text, *quoted, node)?,
            Kind::Sequence(items) => {
                let mut all = Vec::with_capacity(items.len());
                for item in items {
                    self.item(item, &mut all)?;
                }
                Node { place: node.place, kind: Kind::Sequence(all) }
            }
            Kind::Map(entries) => {
                let mut all: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = self.text_of(key)?;
                    if let Some((first, _)) = all.iter().find(|(first, _)| first.text() == key.text()) {
                        let name = escaped(key.text().unwrap_or_default().as_bytes());
                        let line = first.place.line;
                        return Err(Problem::new(key.place, format!("key `{name}` is given twice"))
                            .due(format!("each key once; first given at line {line}")));
                    }
                    all.push((key, self.expand(value)?));
                }
                Node { place: node.place, kind: Kind::Map(all) }
            }
        };
        self.depth -= 1;
        Ok(expanded)
    }

    /// One item of a list, which may stand for none, one or many.
    fn item(&mut self, item: &'a Node, all: &mut Vec<Node>) -> Result<(), Problem> {
        if let Some((name, script)) = item.text().and_then(lone).and_then(|name| self.lookup(name))
            && script.items().is_some()
        {
            return self.splice(name, script, item.place, all);
        }
        match item.only_entry() {
            Some(("part", name)) if name.text().is_some() => {
                let (name, script) = self.part(name)?;
                self.splice(name, script, item.place, all)
            }
            Some(("for", body)) if body.value("do").is_some() => self.unroll(body, all),
            Some(("by-version", scripts)) => self.by_version(scripts, item.place, all),
            _ => {
                all.push(self.expand(item)?);
                Ok(())
            }
        }
    }

    fn splice(&mut self, name: &'a str, script: &'a Node, place: Place, all: &mut Vec<Node>) -> Result<(), Problem> {
        self.enter(name, place)?;
        self.items_of(script, all)?;
        self.inside.pop();
        Ok(())
    }

    fn unroll(&mut self, body: &'a Node, all: &mut Vec<Node>) -> Result<(), Problem> {
        let each = body.value("each").and_then(Node::items).unwrap_or_default();
        if each.is_empty() {
            return Err(Problem::new(body.place, "the loop has nothing to go over").due("`each: […]` with literals"));
        }
        let script = body.value("do").expect("the caller looked");
        for literal in each {
            self.spend(literal.place)?;
            self.items.push(literal);
            self.items_of(script, all)?;
            self.items.pop();
        }
        Ok(())
    }

    fn by_version(&mut self, scripts: &'a Node, place: Place, all: &mut Vec<Node>) -> Result<(), Problem> {
        let Some(version) = self.combination.and_then(|combination| combination.word("version")) else {
            return Err(Problem::new(place, "`by-version` stands where no handshake of ours ever is")
                .due("a `login` or `handshake` in the scenario"));
        };
        scripts.value(version).map_or(Ok(()), |script| self.items_of(script, all))
    }

    /// The items of a script that is put in the place of another item.
    fn items_of(&mut self, script: &'a Node, all: &mut Vec<Node>) -> Result<(), Problem> {
        self.spend(script.place)?;
        self.depth += 1;
        if self.depth > MAX_EXPANDED_DEPTH {
            return Err(Problem::new(script.place, "parts, loops and variables are nested too deeply"));
        }
        match (script.items(), script.text().and_then(lone).and_then(|name| self.lookup(name))) {
            (Some(items), _) => {
                for item in items {
                    self.item(item, all)?;
                }
            }
            (None, Some((name, inner))) if inner.items().is_some() => self.splice(name, inner, script.place, all)?,
            _ => return Err(Problem::new(script.place, "no script stands here").due("a list of acts")),
        }
        self.depth -= 1;
        Ok(())
    }

    fn scalar(&mut self, text: &'a str, quoted: bool, node: &'a Node) -> Result<Node, Problem> {
        let Some((name, value)) = lone(text).and_then(|name| self.lookup(name)) else {
            let text = self.replaced(text, node.place)?;
            return Ok(Node { place: node.place, kind: Kind::Scalar { text, quoted } });
        };
        self.enter(name, node.place)?;
        // `${item}` inside the literals of an inner loop is that of the loop around it.
        let item = if name == ITEM { self.items.pop() } else { None };
        let mut expanded = self.expand(value)?;
        self.items.extend(item);
        self.inside.pop();
        if expanded.text().is_some() {
            expanded.place = node.place;
        }
        Ok(expanded)
    }

    /// A key: texts only.
    fn text_of(&mut self, node: &'a Node) -> Result<Node, Problem> {
        self.spend(node.place)?;
        let text = self.replaced(node.text().unwrap_or_default(), node.place)?;
        Ok(Node { place: node.place, kind: Kind::Scalar { text, quoted: true } })
    }

    fn replaced(&mut self, text: &'a str, place: Place) -> Result<String, Problem> {
        if !text.contains("${") {
            return Ok(text.to_owned());
        }
        let mut replaced = String::new();
        for piece in pieces(text, place)? {
            match piece {
                Piece::Text(text) => replaced.push_str(text),
                Piece::Variable(name) => match self.lookup(name) {
                    None => {
                        let _ = write!(replaced, "${{{name}}}");
                    }
                    Some((name, value)) => {
                        let Some(inner) = value.text() else {
                            return Err(Problem::new(place, format!("`${{{name}}}` is a script here"))
                                .due("a text, or the variable as a list item of its own"));
                        };
                        self.enter(name, place)?;
                        let item = if name == ITEM { self.items.pop() } else { None };
                        replaced.push_str(&self.replaced(inner, place)?);
                        self.items.extend(item);
                        self.inside.pop();
                    }
                },
            }
            if replaced.len() > MAX_TEXT {
                return Err(Problem::new(place, "the text grows too long").due(format!("at most {MAX_TEXT} octets")));
            }
        }
        Ok(replaced)
    }

    fn lookup(&self, name: &str) -> Option<(&'a str, &'a Node)> {
        if name == ITEM {
            return self.items.last().map(|item| (ITEM, *item));
        }
        let chosen = &self.combination?.chosen;
        chosen.iter().find(|(axis, _)| axis.name == name).map(|(axis, value)| (axis.name.as_str(), &value.content))
    }

    fn part(&self, name: &'a Node) -> Result<(&'a str, &'a Node), Problem> {
        let wanted = name.text().unwrap_or_default();
        self.parts
            .iter()
            .find_map(|(part, script)| (part.text()? == wanted).then_some((part.text()?, script)))
            .ok_or_else(|| {
                Problem::new(name.place, format!("no part `{}`", escaped(wanted.as_bytes())))
                    .due("one of the file's `parts`")
                    .nearest(wanted, self.parts.iter().filter_map(|(part, _)| part.text()))
            })
    }

    fn enter(&mut self, name: &'a str, place: Place) -> Result<(), Problem> {
        if name != ITEM && self.inside.contains(&name) {
            return Err(Problem::new(place, format!("`{}` contains itself", escaped(name.as_bytes()))));
        }
        self.inside.push(name);
        Ok(())
    }

    fn spend(&mut self, place: Place) -> Result<(), Problem> {
        self.budget.0 = self.budget.0.checked_sub(1).ok_or_else(|| {
            Problem::new(place, "parts, loops and axes unfold to too much")
                .due(format!("at most {MAX_EXPANDED} values"))
        })?;
        Ok(())
    }
}

const ITEM: &str = "item";
/// Nodes of all variants of one file together: twenty times the largest scenario.
const MAX_EXPANDED: usize = 200_000;
/// Depth of an expanded tree: everything that walks it recurses, and a part may stand in each level of another.
const MAX_EXPANDED_DEPTH: usize = 3 * MAX_DEPTH;
/// Octets of one text: no command, reply or recorded ClientHello comes near.
const MAX_TEXT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::{axes, combinations};
    use crate::node::parse;

    fn expanded(text: &str) -> Vec<Result<String, String>> {
        let root = parse(text).expect("YAML");
        let axes = axes(root.value("vary"), true).expect("axes");
        let mut budget = Budget::default();
        let parts = root.value("parts").and_then(Node::entries).unwrap_or_default();
        combinations(&axes, &[], &root)
            .expect("some")
            .iter()
            .map(|combination| {
                Expansion::new(Some(combination), parts, &mut budget)
                    .expand(root.value("steps").expect("steps"))
                    .map(|node| shown(&node))
                    .map_err(|problem| problem.message)
            })
            .collect()
    }

    fn shown(node: &Node) -> String {
        match &node.kind {
            Kind::Scalar { text, .. } => text.clone(),
            Kind::Sequence(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Kind::Map(entries) => {
                let parts = entries.iter().map(|(key, value)| format!("{}={}", shown(key), shown(value)));
                format!("{{{}}}", parts.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn scripts_texts_loops_parts_and_versions_are_put_in_place() {
        let all = expanded(
            "vary: {case: {a: [FIN, part: p], b: {script: [RST]}}}\n\
             parts: {p: [note: \"in ${case-name}\"]}\n\
             steps:\n  - ${case}\n  - for: {each: [x, \"${user}\"], do: [send: \"A ${item}\"]}\n  \
             - by-version: {\"1.2\": [hold]}\n",
        );
        assert_eq!(all[0].as_deref(), Ok("[FIN {note=in ${case-name}} {send=A x} {send=A ${user}} hold]"));
        assert_eq!(all[1].as_deref(), Ok("[RST {send=A x} {send=A ${user}} hold]"));
        assert_eq!(all[2].as_deref(), Ok("[FIN {note=in ${case-name}} {send=A x} {send=A ${user}}]"));
    }

    #[test]
    fn what_contains_itself_or_grows_without_end_is_refused() {
        for (text, word) in [
            ("parts: {a: [part: b], b: [part: a]}\nsteps: [part: a]\n", "contains itself"),
            ("vary: {a: {x: \"${b}\"}, b: {x: \"1 ${a}\"}}\nsteps: [send: \"${a}\"]\n", "contains itself"),
            ("vary: {a: {x: [hold]}}\nsteps: [send: \"x ${a}\"]\n", "script"),
            ("steps: [part: nowhere]\n", "no part"),
        ] {
            assert!(expanded(text)[0].as_ref().is_err_and(|message| message.contains(word)), "{text}");
        }
        let mut bomb = String::from("steps: [part: p0]\nparts:\n");
        for level in 0..20 {
            let next = level + 1;
            bomb.push_str(&format!("  p{level}: [part: p{next}, part: p{next}, part: p{next}]\n"));
        }
        bomb.push_str("  p20: [hold]\n");
        assert!(expanded(&bomb)[0].as_ref().is_err_and(|message| message.contains("unfold")));
    }
}
