//! The grammar as JSON Schema (draft 2020-12), for editors: completion, and red lines before the loader is asked.
//!
//! A schema says less than the loader (it sees one file, unexpanded), and must never refuse what the loader takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::grammar::{CLIENT_DEFECT, CLIENT_DESCRIPTION, DEFECT, DIAGNOSIS, RULES, SCENARIO, SERVER, TARGET};
use crate::settings::MOST_TICKETS;
use crate::shape::{Choice, Format, Key, Named, Settings, Shape, allows_nothing};

/// The files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// A scenario.
    Scenario,
    /// A defect of the reference server.
    Defect,
    /// A defect of the reference client.
    ClientDefect,
    /// A diagnosis.
    Diagnosis,
    /// The description of a server.
    Server,
    /// The description of an endpoint.
    Target,
    /// The description of a client.
    Client,
    /// Settings and rules of the reference server.
    Rules,
}

impl SchemaKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Scenario,
        Self::Defect,
        Self::ClientDefect,
        Self::Diagnosis,
        Self::Server,
        Self::Target,
        Self::Client,
        Self::Rules,
    ];

    /// The word that the command line uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Defect => "defect",
            Self::ClientDefect => "client-defect",
            Self::Diagnosis => "diagnosis",
            Self::Server => "server",
            Self::Target => "target",
            Self::Client => "client",
            Self::Rules => "rules",
        }
    }

    /// The kind that a word means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// The name of its file below `scenarios/schema/`.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{}.schema.json", self.word())
    }

    fn is_expanded(self) -> bool {
        matches!(self, Self::Scenario | Self::Defect | Self::ClientDefect | Self::Rules)
    }

    fn shape(self) -> &'static Shape {
        match self {
            Self::Scenario => &SCENARIO,
            Self::Defect => &DEFECT,
            Self::ClientDefect => &CLIENT_DEFECT,
            Self::Diagnosis => &DIAGNOSIS,
            Self::Server => &SERVER,
            Self::Target => &TARGET,
            Self::Client => &CLIENT_DESCRIPTION,
            Self::Rules => &RULES,
        }
    }
}

/// The JSON Schema of a kind of file.
#[must_use]
pub fn schema(kind: SchemaKind) -> Value {
    let mut writer = Writer { definitions: BTreeMap::new(), is_expanded: kind.is_expanded() };
    let mut root = writer.shape(kind.shape());
    let definitions = writer.definitions.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".into(), json!(format!("ftpspec {}", kind.word())));
    root.insert("$defs".into(), Value::Object(definitions));
    Value::Object(root)
}

type Object = Map<String, Value>;

struct Writer {
    definitions: BTreeMap<&'static str, Value>,
    /// `${axis}` and `${item}` may stand where a word or a number is due.
    is_expanded: bool,
}

impl Writer {
    fn shape(&mut self, shape: &'static Shape) -> Object {
        match shape {
            Shape::Text(format) => self.text(format),
            Shape::List(item) => object([("type", json!("array")), ("items", self.value(item))]),
            Shape::Record(keys) => self.record(keys),
            Shape::Table(format, value) => object([
                ("type", json!("object")),
                ("propertyNames", Value::Object(self.text(format))),
                ("additionalProperties", self.value(value)),
            ]),
            Shape::Choice(choice) => self.choice(choice),
            Shape::Settings(settings) => self.settings(settings),
            Shape::Nothing => object([("not", json!({}))]),
            Shape::Either(shapes) => {
                let written = shapes.iter().filter(|shape| !matches!(shape, Shape::Nothing));
                let mut alternatives = written.map(|shape| self.value(shape)).collect::<Vec<_>>();
                match (alternatives.pop(), alternatives.is_empty()) {
                    (Some(Value::Object(only)), true) => only,
                    (last, _) => object([("anyOf", alternatives.into_iter().chain(last).collect())]),
                }
            }
            Shape::Named(named) => self.named(named),
        }
    }

    fn value(&mut self, shape: &'static Shape) -> Value {
        Value::Object(self.shape(shape))
    }

    fn text(&mut self, format: &Format) -> Object {
        match format {
            Format::Any => object([("type", json!(["string", "number", "boolean"]))]),
            Format::Words { words, .. } => self.or_variable(one_of(words)),
            Format::Pattern { pattern, holds, .. } => {
                // YAML takes an unquoted 226 for a number.
                let numeric = ["1", "226", "1.2"].into_iter().any(holds);
                let types = if numeric { json!(["string", "number"]) } else { json!("string") };
                self.or_variable(object([("type", types), ("pattern", json!(pattern))]))
            }
        }
    }

    fn record(&mut self, keys: &'static [Key]) -> Object {
        let needed = keys.iter().filter(|key| key.needed).map(|key| key.name).collect::<Vec<_>>();
        let mut record = object([
            ("type", json!("object")),
            ("properties", self.properties(keys)),
            ("additionalProperties", json!(false)),
        ]);
        if !needed.is_empty() {
            record.insert("required".into(), json!(needed));
        }
        record
    }

    fn choice(&mut self, choice: &'static Choice) -> Object {
        let bare = choice.keys.iter().filter(|key| allows_nothing(key.shape)).map(|key| key.name).collect::<Vec<_>>();
        let with_value = choice.keys.iter().filter(|key| !matches!(key.shape, Shape::Nothing));
        let mut properties = Object::new();
        for key in with_value.chain(choice.beside) {
            properties.insert(key.name.into(), self.property(key));
        }
        let mut map = json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1 + choice.beside.len(),
        });
        if self.is_expanded {
            // `{"${action}": [text]}`: what follows is looked at once it is known what it is.
            map["patternProperties"] = json!({ VARIABLE: {} });
        }
        if bare.is_empty() {
            return object([("anyOf", json!([map]))]);
        }
        object([("anyOf", json!([one_of(&bare), map]))])
    }

    fn named(&mut self, named: &'static Named) -> Object {
        if !self.definitions.contains_key(named.name) {
            // It may contain itself: the name is taken before its shape is written.
            self.definitions.insert(named.name, Value::Null);
            let mut definition = self.shape(&named.shape);
            if matches!(named.name, "script" | "act") {
                // `script: ${inside}`, and `- ${case}` as an item.
                definition = self.or_variable(definition);
            }
            definition.insert("description".into(), json!(named.doc));
            self.definitions.insert(named.name, Value::Object(definition));
        }
        object([("$ref", json!(format!("#/$defs/{}", named.name)))])
    }

    fn properties(&mut self, keys: &'static [Key]) -> Value {
        keys.iter().map(|key| (key.name.to_owned(), self.property(key))).collect::<Object>().into()
    }

    fn property(&mut self, key: &Key) -> Value {
        let mut value = self.shape(key.shape);
        value.insert("description".into(), json!(key.doc));
        Value::Object(value)
    }

    fn settings(&mut self, settings: &Settings) -> Object {
        let mut properties = Object::new();
        for (setting, words) in settings.names {
            let value = if words.is_empty() {
                object([("type", json!("integer")), ("minimum", json!(0)), ("maximum", json!(MOST_TICKETS))])
            } else {
                one_of(words)
            };
            properties.insert((*setting).to_owned(), Value::Object(self.or_variable(value)));
        }
        object([
            ("type", json!("object")),
            ("properties", Value::Object(properties)),
            ("additionalProperties", json!(false)),
        ])
    }

    fn or_variable(&mut self, value: Object) -> Object {
        if !self.is_expanded {
            return value;
        }
        self.definitions.entry("variable").or_insert_with(|| {
            json!({
                "description": "A text with a variable, such as `${open}`.",
                "type": "string",
                "pattern": VARIABLE,
            })
        });
        let variable = object([("$ref", json!("#/$defs/variable"))]);
        object([("anyOf", Value::Array(vec![Value::Object(value), Value::Object(variable)]))])
    }
}

/// A variable, anywhere in a text.
const VARIABLE: &str = r"\$\{[A-Za-z0-9._-]+\}";

/// The words, and what YAML makes of those that look like a number or a boolean.
fn one_of(words: &[&str]) -> Object {
    let mut values = Vec::new();
    for word in words {
        values.push(json!(word));
        match *word {
            "yes" => values.push(json!(true)),
            "no" => values.push(json!(false)),
            _ => values.extend(serde_json::from_str::<Value>(word).ok().filter(Value::is_number)),
        }
    }
    object([("enum", json!(values))])
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Object {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::node::{Kind, Node, parse};

    /// `UPDATE_SCHEMA=1` writes them anew.
    #[test]
    fn the_committed_schemas_are_the_grammar() {
        for kind in SchemaKind::ALL {
            let path = top().join("scenarios/schema").join(kind.file_name());
            let text = format!("{:#}\n", schema(*kind));
            if std::env::var_os("UPDATE_SCHEMA").is_some() {
                std::fs::write(&path, &text).expect("the folder can be written");
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == text, "{} is not what the grammar says; set UPDATE_SCHEMA=1", path.display());
        }
    }

    #[test]
    fn no_schema_refuses_what_the_loader_takes() {
        let mut seen = 0;
        for file in ftpspec_data::FILES.iter().filter(|file| file.path.ends_with(".yaml")) {
            let kind = match file.path.split('/').collect::<Vec<_>>()[..] {
                ["scenarios", "server" | "client" | "proxy", ..] => SchemaKind::Scenario,
                ["scenarios", "diagnoses", _] => SchemaKind::Diagnosis,
                ["fixtures", "defects", "server", _] => SchemaKind::Defect,
                ["fixtures", "defects", "client", _] => SchemaKind::ClientDefect,
                ["fixtures", "clients", name] if name.ends_with(".yaml") => SchemaKind::Client,
                ["docker", _, "peer.yaml"] => SchemaKind::Server,
                _ => continue,
            };
            let schema = schema(kind);
            let root = parse(std::str::from_utf8(file.octets).expect("UTF-8")).expect("YAML");
            assert!(satisfies(&value(&root), &schema, &schema), "{}", file.path);
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn a_schema_refuses_what_is_misspelt() {
        let schema = schema(SchemaKind::Scenario);
        for (text, right) in [
            ("title: x\nlevel: should\nsteps: [login, {reply: 220}, \"${case}\"]\n", true),
            ("title: x\nlevel: shall\nsteps: [login]\n", false),
            ("title: x\nlevel: should\nsteps: [logn]\n", false),
            ("title: x\nlevel: should\nsteps: [{send: a, reply: 220}]\n", false),
            ("title: x\nlevel: should\nstep: [login]\n", false),
            ("level: should\nsteps: [login]\n", false),
            ("title: x\nlevel: should\nclient: {\"${action}\": [empty]}\nexpect: []\n", true),
            ("title: x\nlevel: should\nclient: {fetch: [empty]}\nexpect: []\n", false),
        ] {
            assert_eq!(satisfies(&value(&parse(text).expect("YAML")), &schema, &schema), right, "{text}");
        }
    }

    /// The part of JSON Schema that [`schema`] uses, patterns apart.
    fn satisfies(value: &Value, schema: &Value, root: &Value) -> bool {
        let Some(rules) = schema.as_object() else { return schema != &json!(false) };
        rules.iter().all(|(keyword, rule)| match keyword.as_str() {
            "$ref" => {
                let name = rule.as_str().and_then(|text| text.strip_prefix("#/$defs/")).expect("a local name");
                satisfies(value, &root["$defs"][name], root)
            }
            "anyOf" => rule.as_array().expect("a list").iter().any(|schema| satisfies(value, schema, root)),
            "not" => !satisfies(value, rule, root),
            "enum" => rule.as_array().expect("a list").contains(value),
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| has_type(value, one)),
                one => has_type(value, one),
            },
            "pattern" if rule == VARIABLE => value.as_str().is_none_or(|text| text.contains("${")),
            "required" => value.as_object().is_none_or(|map| {
                rule.as_array().expect("a list").iter().all(|key| map.contains_key(key.as_str().expect("a text")))
            }),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| satisfies(item, rule, root))),
            "properties" => value.as_object().is_none_or(|map| {
                map.iter().all(|(key, value)| rule.get(key).is_none_or(|rule| satisfies(value, rule, root)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|map| {
                let named = |key: &String| rules.get("properties").is_some_and(|known| known.get(key).is_some());
                let variable = |key: &String| rules.contains_key("patternProperties") && key.contains("${");
                let known = |key: &String| named(key) || variable(key);
                map.iter().all(|(key, value)| known(key) || satisfies(value, rule, root))
            }),
            "minProperties" => value.as_object().is_none_or(|map| Some(map.len() as u64) >= rule.as_u64()),
            "maxProperties" => value.as_object().is_none_or(|map| Some(map.len() as u64) <= rule.as_u64()),
            "minimum" => value.as_u64().is_none_or(|number| Some(number) >= rule.as_u64()),
            "maximum" => value.as_u64().is_none_or(|number| Some(number) <= rule.as_u64()),
            "patternProperties" | "propertyNames" | "pattern" | "description" | "title" | "$schema" | "$defs" => true,
            other => panic!("the test does not know `{other}`"),
        })
    }

    fn has_type(value: &Value, name: &Value) -> bool {
        match name.as_str() {
            Some("string") => value.is_string(),
            Some("number") => value.is_number(),
            Some("integer") => value.is_u64() || value.is_i64(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => false,
        }
    }

    /// A node as an editor's YAML library would take it.
    fn value(node: &Node) -> Value {
        match &node.kind {
            Kind::Scalar { text, quoted: false } => serde_json::from_str(text)
                .ok()
                .filter(|value: &Value| !value.is_string())
                .unwrap_or_else(|| json!(text)),
            Kind::Scalar { text, .. } => json!(text),
            Kind::Sequence(items) => items.iter().map(value).collect(),
            Kind::Map(entries) => {
                let key = |node: &Node| node.text().unwrap_or_default().to_owned();
                Value::Object(entries.iter().map(|(name, node)| (key(name), value(node))).collect())
            }
        }
    }

    fn top() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }
}
