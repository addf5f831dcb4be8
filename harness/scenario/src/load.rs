//! One file in, one value out: scenarios, defects, rules and diagnoses.
//!
//! The steps are always the same: parse, hold against the grammar, expand, hold against it again, decode, look over.
//! Each step reports everything it finds cheaply, and the next one starts only when nothing was found. No text makes
//! the loader panic, or ask for more memory than its limits allow.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;

use ftpspec_wire::reason;

use crate::axes::{Combination, axes, combinations};
use crate::decode::{
    Decoded, Decoder, clauses, client_request, expectations, named_by, needed, optional_text, optional_word,
    peer_script, text, texts, whens, word, yes_no,
};
use crate::diagnostic::{Diagnostic, Problem};
use crate::expand::{Budget, Expansion};
use crate::grammar::{CLIENT, CLIENT_DEFECT, CLIENT_RULES, DEFECT, DIAGNOSIS, EXPECTATIONS, RULES, SCENARIO, SCRIPT};
use crate::lint;
use crate::model::{
    AtFault, Capability, Defect, Diagnosis, Effects, EventKind, Level, PeerScript, Place, Role, Scenario, Source,
    Variant,
};
use crate::node::{Kind, MAX_OCTETS, Node, parse};
use crate::shape::{Shape, Stage, check, check_in_stages};
use crate::variables::Known;

/// Reads a file; `name` is what people will see of its path.
///
/// # Errors
/// If it cannot be read, is too long, or is not UTF-8.
pub fn read_file(path: &Path, name: &str) -> Result<Arc<Source>, Diagnostic> {
    let nameless = Arc::new(Source { name: name.to_owned(), text: String::new() });
    let whole = |message: String| Diagnostic::new(&nameless, Problem::new(Place::default(), message));
    let mut octets = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_OCTETS as u64 + 1).read_to_end(&mut octets))
        .map_err(|error| whole(unreadable(&error)))?;
    source(name, &octets)
}

/// Why a file or folder that a person named cannot be read, and what to do about it.
#[must_use]
pub fn unreadable(error: &io::Error) -> String {
    let cure = match error.kind() {
        ErrorKind::NotFound => "; a path begins in the folder where ftpspec runs",
        ErrorKind::IsADirectory => "; name a file in it",
        ErrorKind::NotADirectory => "; name the folder that it lies in",
        ErrorKind::PermissionDenied => "; see that it is yours to read",
        _ => "",
    };
    format!("cannot be read: {}{cure}", reason(error))
}

/// Octets as a source; `name` is what people will see.
pub(crate) fn source(name: &str, octets: &[u8]) -> Result<Arc<Source>, Diagnostic> {
    match std::str::from_utf8(octets) {
        Ok(text) => Ok(Arc::new(Source { name: name.to_owned(), text: text.to_owned() })),
        Err(error) => {
            let valid = String::from_utf8_lossy(&octets[..error.valid_up_to()]).into_owned();
            let line = valid.split('\n').count();
            let column = valid.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let source = Arc::new(Source { name: name.to_owned(), text: valid });
            let problem = Problem::new(Place { line, column, length: 1 }, "the octets from here on are not UTF-8");
            Err(Diagnostic::new(&source, problem))
        }
    }
}

/// Loads a scenario. Its id is the source's name without the ending, its role the first folder of that.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_scenario(source: &Arc<Source>) -> Result<Scenario, Vec<Diagnostic>> {
    load(source, &SCENARIO, IN_VARIANTS, |root, problems| scenario(source, root, problems))
}

/// Loads a defect of a reference peer. Its name is the source's file name without the ending; the folder says whose it
/// is: the client's below `client/`, else the server's.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_defect(source: &Arc<Source>) -> Result<Defect, Vec<Diagnostic>> {
    let role = if source.name.split('/').rev().nth(1) == Some("client") { Role::Client } else { Role::Server };
    let shape = if role == Role::Client { &CLIENT_DEFECT } else { &DEFECT };
    load(source, shape, IN_RULES, |root, problems| {
        let script = rules(role, root, problems)?;
        Ok(Defect {
            name: file_stem(&source.name).to_owned(),
            role,
            title: text(needed(root, "title")?)?.to_owned(),
            source_of: text(needed(root, "source")?)?.trim().to_owned(),
            script,
            told_as: text(needed(root, "told-as")?)?.to_owned(),
            source: Arc::clone(source),
        })
    })
}

/// Loads settings and rules that stand alone: the correct scripts, or a file for `serve --rules`.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_rules(source: &Arc<Source>) -> Result<PeerScript, Vec<Diagnostic>> {
    load(source, &RULES, IN_RULES, |root, problems| rules(Role::Server, root, problems))
}

/// Loads the correct scripts of the reference client.
///
/// # Errors
/// Everything found wrong with them.
pub fn load_client_rules(source: &Arc<Source>) -> Result<PeerScript, Vec<Diagnostic>> {
    load(source, &CLIENT_RULES, IN_RULES, |root, problems| rules(Role::Client, root, problems))
}

/// Loads a diagnosis. Its id is the source's file name without the ending.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_diagnosis(source: &Arc<Source>) -> Result<Diagnosis, Vec<Diagnostic>> {
    load(source, &DIAGNOSIS, &[], |root, problems| {
        let when = whens(needed(root, "when")?)?;
        let replies = when.iter().filter(|when| when.pattern.kind == EventKind::Reply && !when.absent).count();
        let say = needed(root, "say")?;
        Known::in_diagnoses(replies).check(say, &[], problems);
        if when.iter().all(|when| when.absent) {
            let place = needed(root, "when")?.place;
            problems
                .push(Problem::new(place, "no event is named that must be there").due("at least one without `not`"));
        }
        Ok(Diagnosis {
            id: file_stem(&source.name).to_owned(),
            title: text(needed(root, "title")?)?.to_owned(),
            when,
            at_fault: word(needed(root, "at-fault")?, AtFault::from_word, "a side that can be at fault")?,
            say: text(say)?.trim().to_owned(),
            clauses: clauses(root.value("clauses"))?,
            field_cases: texts(root.value("field-cases"))?,
            seen_as: root.value("seen-as").map(seen_as).transpose()?.unwrap_or_default(),
            source: Arc::clone(source),
        })
    })
}

/// Parses, checks and decodes; the value counts only if nothing was reported on the way.
///
/// The keys in `expanded_later` may still hold `${axis}` and are checked again when it has got its value.
pub(crate) fn load<T>(
    source: &Arc<Source>,
    shape: &Shape,
    expanded_later: &[&str],
    decode: impl FnOnce(&Node, &mut Vec<Problem>) -> Decoded<T>,
) -> Result<T, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let value = parse(&source.text).and_then(|root| {
        check_in_stages(shape, &root, expanded_later, &mut problems);
        if problems.is_empty() { decode(&root, &mut problems).map(Some) } else { Ok(None) }
    });
    match value {
        Ok(Some(value)) if problems.is_empty() => return Ok(value),
        Ok(_) => {}
        Err(problem) => problems.push(problem),
    }
    // The same slip shows in each variant: it is told once.
    let mut told = BTreeSet::new();
    problems.retain(|problem| told.insert((problem.place.line, problem.place.column, problem.message.clone())));
    problems.sort_by_key(|problem| (problem.place.line, problem.place.column));
    Err(problems.into_iter().map(|problem| Diagnostic::new(source, problem)).collect())
}

/// What of the head every variant shares.
struct Head {
    level: Level,
    effects: Effects,
    needs: Vec<Capability>,
    role: Role,
}

fn scenario(source: &Arc<Source>, root: &Node, problems: &mut Vec<Problem>) -> Decoded<Scenario> {
    let id = source.name.strip_suffix(".yaml").unwrap_or(&source.name);
    let role = id.split_once('/').and_then(|(folder, _)| Role::from_word(folder)).ok_or_else(|| {
        Problem::new(Place::default(), "its folder does not say what is under test")
            .due("a path that begins with `server/`, `client/` or `proxy/`")
    })?;
    let head = Head {
        level: word(needed(root, "level")?, Level::from_word, "a level")?,
        effects: optional_word(root, "effects", Effects::from_word, "an effect")?.unwrap_or_default(),
        needs: texts(root.value("needs"))?.iter().filter_map(|need| Capability::from_word(need)).collect(),
        role,
    };
    let clauses = clauses(root.value("clauses"))?;
    check_keys_of_role(role, root, problems);
    let axes = axes(root.value("vary"), role != Role::Server || shakes_hands(root))?;
    let at = root.value("vary").unwrap_or(root);
    let combinations = combinations(&axes, &head.needs, at)?;
    let binds = |level: Level| level == Level::Must && clauses.is_empty();
    if combinations.iter().any(|combination| binds(combination.level(head.level))) {
        let place = needed(root, "level")?.place;
        problems.push(Problem::new(place, "level must without a clause").due("`clauses: […]` with a real MUST"));
    }
    let mut budget = Budget::default();
    let mut variants = Vec::new();
    for combination in combinations {
        match variant(root, &head, &combination, &mut budget, problems) {
            Ok(variant) => variants.extend(variant),
            Err(problem) => problems.push(problem),
        }
    }
    Ok(Scenario {
        id: id.to_owned(),
        source: Arc::clone(source),
        title: text(needed(root, "title")?)?.to_owned(),
        level: head.level,
        clauses,
        field_cases: texts(root.value("field-cases"))?,
        effects: head.effects,
        needs: head.needs,
        catches: texts(root.value("catches"))?,
        why: optional_text(root, "why")?.map(|why| why.trim().to_owned()),
        alone: optional_word(root, "alone", yes_no, "`yes` or `no`")?.unwrap_or(false),
        variants,
    })
}

/// One variant; none if something was reported that keeps it from being decoded.
fn variant(
    root: &Node,
    head: &Head,
    combination: &Combination<'_>,
    budget: &mut Budget,
    problems: &mut Vec<Problem>,
) -> Decoded<Option<Variant>> {
    let parts = root.value("parts").and_then(Node::entries).unwrap_or_default();
    let mut expanded = |key: &str| {
        let Some(node) = root.value(key) else { return Ok(None) };
        Expansion::new(Some(combination), parts, budget).expand(node).map(Some)
    };
    let (steps, server) = (expanded("steps")?, expanded("server")?);
    let (client, expect) = (expanded("client")?, expanded("expect")?);

    let before = problems.len();
    let axes = combination.chosen.iter().map(|(axis, _)| axis.name.as_str()).collect::<Vec<_>>();
    let scripts = [&steps, &server].into_iter().flatten();
    let known = known_in(scripts.clone());
    for node in scripts.clone().chain(&client).chain(&expect) {
        known.check(node, &axes, problems);
    }
    let shapes = [(&steps, &SCRIPT), (&server, &RULES), (&client, &CLIENT), (&expect, &EXPECTATIONS)];
    for (node, shape) in shapes {
        if let Some(node) = node {
            check(shape, node, Stage::Expanded, problems);
        }
    }
    if problems.len() > before {
        return Ok(None);
    }

    // The whole file: a demand on the conversation may name what only another variant makes.
    let decoder = Decoder::new(scripts.chain([root]));
    let variant = Variant {
        name: combination.name(),
        choices: combination.chosen.iter().map(|(axis, value)| (axis.name.clone(), value.word.clone())).collect(),
        level: combination.level(head.level),
        effects: combination.effects(head.effects),
        needs: combination.needs(&head.needs),
        steps: steps.map(|node| decoder.script(&node)).transpose()?.unwrap_or_default(),
        server: server.map(|node| peer_script(&decoder, &node)).transpose()?,
        client: client.map(|node| client_request(&node)).transpose()?,
        expect: expect.map(|node| expectations(&decoder, &node)).transpose()?.unwrap_or_default(),
    };
    lint::variant(&variant, head.role, problems);
    Ok(Some(variant))
}

/// Settings and rules without a scenario around them: loops are unrolled, nothing is varied.
fn rules(role: Role, root: &Node, problems: &mut Vec<Problem>) -> Decoded<PeerScript> {
    let mut budget = Budget::default();
    let Kind::Map(entries) = &root.kind else { return Ok(PeerScript::default()) };
    let kept = entries.iter().filter(|(key, _)| matches!(key.text(), Some("settings" | "rules"))).cloned().collect();
    let kept = Node { place: root.place, kind: Kind::Map(kept) };
    let expanded = Expansion::new(None, &[], &mut budget).expand(&kept)?;
    let mut known = known_in([&expanded]);
    let shape = match role {
        Role::Client => {
            known.add_remote();
            &CLIENT_RULES
        }
        Role::Server | Role::Proxy => &RULES,
    };
    known.check(&expanded, &[], problems);
    check(shape, &expanded, Stage::Expanded, problems);
    if !problems.is_empty() {
        return Ok(PeerScript::default());
    }
    let script = peer_script(&Decoder::new([&expanded]), &expanded)?;
    // A client's rule goes on where another has ended, on connections that it cannot know of.
    if role != Role::Client {
        lint::rules(&script, problems);
    }
    Ok(script)
}

fn known_in<'a>(scripts: impl IntoIterator<Item = &'a Node>) -> Known {
    let mut known = Known::in_scripts();
    let mut listeners = BTreeSet::new();
    for node in scripts {
        named_by(node, "listen", &mut listeners);
    }
    for listener in &listeners {
        known.add_listener(listener);
    }
    known
}

fn check_keys_of_role(role: Role, root: &Node, problems: &mut Vec<Problem>) {
    let (needed, unwanted): (&[&str], &[&str]) = match role {
        Role::Server => (&["steps"], &["server", "client"]),
        Role::Client => (&["client", "server"], &["steps"]),
        Role::Proxy => (&["steps", "server"], &["client"]),
    };
    for key in needed.iter().filter(|key| root.value(key).is_none()) {
        problems.push(Problem::new(root.place, format!("key `{key}` is missing in a {role} scenario")));
    }
    for (key, _) in root.entries().unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        if unwanted.contains(&name) {
            problems.push(Problem::new(key.place, format!("`{name}` has no place in a {role} scenario")));
        }
    }
}

/// Whether an act in the file starts a handshake of ours.
fn shakes_hands(root: &Node) -> bool {
    fn in_scripts(node: &Node) -> bool {
        let is_act = |word: Option<&str>| matches!(word, Some("login" | "handshake"));
        match &node.kind {
            Kind::Scalar { .. } => false,
            Kind::Sequence(items) => items.iter().any(|item| is_act(item.text()) || in_scripts(item)),
            Kind::Map(entries) => entries.iter().any(|(key, value)| is_act(key.text()) || in_scripts(value)),
        }
    }
    let own_values = root.value("vary").and_then(Node::entries).unwrap_or_default();
    // An axis may be called `login`, and a word of it `handshake`: only the values count.
    let values = own_values.iter().filter_map(|(_, axis)| axis.entries()).flatten().map(|(_, value)| value);
    ["steps", "parts"].iter().filter_map(|key| root.value(key)).chain(values).any(in_scripts)
}

/// `zos: {messages: [EZA2897I], gsk: 410 …}` as "EZA2897I, rc 410 …".
fn seen_as(node: &Node) -> Decoded<Vec<(String, String)>> {
    fn line(node: &Node) -> Decoded<String> {
        match &node.kind {
            Kind::Scalar { text, .. } => Ok(text.trim().to_owned()),
            Kind::Sequence(_) => Ok(texts(Some(node))?.join(", ")),
            Kind::Map(entries) => {
                let details = entries.iter().map(|(key, value)| {
                    Ok(match text(key)? {
                        "messages" => line(value)?,
                        "gsk" => format!("rc {}", line(value)?),
                        key => format!("{} {}", key.replace('-', " "), line(value)?),
                    })
                });
                Ok(details.collect::<Decoded<Vec<_>>>()?.join(", "))
            }
        }
    }
    let entries = node.entries().unwrap_or_default();
    entries.iter().map(|(name, value)| Ok((text(name)?.to_owned(), line(value)?))).collect()
}

/// Keys of a scenario that are expanded for each variant.
const IN_VARIANTS: &[&str] = &["vary", "steps", "parts", "server", "client", "expect"];
/// Keys of rules in which loops are unrolled.
const IN_RULES: &[&str] = &["settings", "rules"];

/// The last part of a name, without its ending.
pub(crate) fn file_stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.strip_suffix(".yaml").unwrap_or(file)
}
