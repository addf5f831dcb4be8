//! What the reference server does, what a client is asked for, and what is demanded of the whole conversation.

use std::collections::BTreeMap;

use super::{
    Decoded, Decoder, cannot, duration, list, map, needed, optional_text, optional_word, text, texts, word, yes_no,
};
use crate::model::{
    ClientOutcome, ClientRequest, Condition, Demand, Expectation, FilesDue, Level, PeerScript, Row, Rule, TlsDemand,
};
use crate::node::{Kind, Node};

/// `{settings, rules}`.
pub(crate) fn peer_script(decoder: &Decoder, node: &Node) -> Decoded<PeerScript> {
    let settings = node.value("settings").map(map).transpose()?.unwrap_or_default();
    let settings = settings
        .iter()
        .map(|(setting, value)| Ok((text(setting)?.to_owned(), text(value)?.to_owned())))
        .collect::<Decoded<_>>()?;
    let rules = node.value("rules").map(list).transpose()?.unwrap_or_default();
    let rules = rules.iter().map(|item| rule(decoder, item)).collect::<Decoded<_>>()?;
    Ok(PeerScript { settings, rules })
}

/// `client: {get: [text]}`.
pub(crate) fn client_request(node: &Node) -> Decoded<ClientRequest> {
    if let Some(action) = node.text() {
        return Ok(ClientRequest { action: action.to_owned(), files: Vec::new(), demands_tls: None });
    }
    let Some((action, request)) = node.only_entry() else { return Err(cannot(node, "an action of a client")) };
    let (files, demands_tls) = match &request.kind {
        Kind::Sequence(_) => (texts(Some(request))?, None),
        _ => (
            texts(request.value("files"))?,
            optional_text(request, "tls")?.and_then(|word| TlsDemand::from_word(&word)),
        ),
    };
    Ok(ClientRequest { action: action.to_owned(), files, demands_tls })
}

/// The demands of `expect:`, those within a level one by one.
pub(crate) fn expectations(decoder: &Decoder, node: &Node) -> Decoded<Vec<Expectation>> {
    let mut all = Vec::new();
    add_expectations(decoder, node, None, &mut all)?;
    Ok(all)
}

fn add_expectations(decoder: &Decoder, node: &Node, level: Option<Level>, all: &mut Vec<Expectation>) -> Decoded<()> {
    for item in list(node)? {
        let [(key, value)] = map(item)? else { return Err(cannot(item, "an expectation")) };
        let name = text(key)?;
        if let Some(level) = Level::from_word(name) {
            add_expectations(decoder, value, Some(level), all)?;
            continue;
        }
        let demand = match name {
            "never" => Demand::Never(decoder.pattern(value)?),
            "order" => Demand::Order(list(value)?.iter().map(choice).collect::<Decoded<_>>()?),
            "count" => Demand::Count(count(value)?),
            "client" => Demand::Client(outcome(value)?),
            "files" => Demand::Files(word(value, FilesDue::from_word, "`intact` or `intact-or-failed`")?),
            "rows" => Demand::Rows(map(value)?.iter().map(row).collect::<Decoded<_>>()?),
            _ => return Err(cannot(key, "an expectation")),
        };
        all.push(Expectation { level, demand, place: key.place });
    }
    Ok(())
}

fn rule(decoder: &Decoder, node: &Node) -> Decoded<Rule> {
    let on = needed(node, "on")?;
    Ok(Rule {
        on: text(on)?.to_owned(),
        condition: node.value("if").map(condition).transpose()?.unwrap_or_default(),
        script: decoder.script(needed(node, "script")?)?,
        place: on.place,
    })
}

fn condition(node: &Node) -> Decoded<Condition> {
    Ok(Condition {
        argument: optional_text(node, "argument")?,
        file: optional_text(node, "file")?,
        nth: optional_word(node, "nth", |text| text.parse().ok().filter(|nth| *nth >= 1), "a number from 1")?,
        protected: optional_word(node, "protected", yes_no, "`yes` or `no`")?,
    })
}

fn choice(node: &Node) -> Decoded<Vec<String>> {
    match &node.kind {
        Kind::Scalar { text, .. } => Ok(vec![text.clone()]),
        _ => texts(Some(node)),
    }
}

fn row((name, commands): &(Node, Node)) -> Decoded<Row> {
    let commands = list(commands)?.iter().map(choice).collect::<Decoded<_>>()?;
    Ok(Row { name: text(name)?.to_owned(), commands })
}

fn count(node: &Node) -> Decoded<BTreeMap<String, usize>> {
    let entries = map(node)?.iter();
    entries
        .map(|(verb, count)| Ok((text(verb)?.to_owned(), word(count, |text| text.parse().ok(), "a number")?)))
        .collect()
}

fn outcome(node: &Node) -> Decoded<ClientOutcome> {
    if let Some(word) = node.text() {
        return match word {
            "succeeds" => Ok(ClientOutcome::Succeeds),
            "fails" => Ok(ClientOutcome::Fails { within: None }),
            "ends" => Ok(ClientOutcome::Ends),
            _ => Err(cannot(node, OUTCOMES)),
        };
    }
    let Some(("fails", detail)) = node.only_entry() else { return Err(cannot(node, OUTCOMES)) };
    Ok(ClientOutcome::Fails { within: Some(word(needed(detail, "within")?, duration, "a duration")?) })
}

const OUTCOMES: &str = "`succeeds`, `fails` or `ends`";
