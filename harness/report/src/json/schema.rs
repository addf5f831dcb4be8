//! Holds what we write against the schemas in `reports/schema`. Only the keywords that the schema uses are known
//! here; another one is a failure, so that the check never passes over a rule.

use std::fs;
use std::path::{Path, PathBuf};

use ftpspec_results::{Fold, RunEvent};
use serde_json::{Value, json};

use super::{render, render_selftest, render_with_transcripts};
use crate::sample;

#[test]
fn what_is_written_is_what_the_schema_describes() {
    let mut cut_short = Fold::new();
    cut_short.extend(&[sample::started(), RunEvent::Trouble { text: "no greeting".to_owned() }, sample::interrupted()]);
    for document in [
        render(&sample::results()),
        render_with_transcripts(&sample::results()),
        render(&cut_short.results().expect("it has started")),
    ] {
        assert_eq!(complaints(RESULTS, &document), Vec::<String>::new());
    }
    for selftest in [sample::proof(), sample::selftest_with_faults()] {
        assert_eq!(complaints(SELFTEST, &render_selftest(&selftest)), Vec::<String>::new());
    }
}

#[test]
fn committed_documents_are_what_the_schema_describes() {
    for entry in fs::read_dir(reports()).expect("the folder is committed") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let document = fs::read_to_string(&path).expect("it can be read");
            let is_selftest = path.file_stem().is_some_and(|name| name == "selftest");
            let schema = if is_selftest { SELFTEST } else { RESULTS };
            assert_eq!(complaints(schema, &document), Vec::<String>::new(), "{}", path.display());
        }
    }
}

#[test]
fn the_schema_refuses_what_breaks_the_contract() {
    let document = || serde_json::from_str::<Value>(&render(&sample::results())).expect("it is JSON");
    let wrong: [(&str, Breakage); 6] = [
        ("/summary", |document| drop(document.as_object_mut().and_then(|keys| keys.remove("summary")))),
        ("/results/0/verdict", |document| document["results"][0]["verdict"] = json!("passed")),
        ("/results/0/diagnosis", |document| document["results"][0]["diagnosis"] = json!("text")),
        ("/subject/address", |document| document["subject"]["address"] = json!(null)),
        ("/duration_ms", |document| document["duration_ms"] = json!(-1)),
        ("/results/0/verdikt", |document| document["results"][0]["verdikt"] = json!("pass")),
    ];
    for (place, break_it) in wrong {
        let mut document = document();
        break_it(&mut document);
        let complaints = complaints(RESULTS, &document.to_string());
        assert!(complaints.len() == 1 && complaints[0].starts_with(place), "{place}: {complaints:?}");
    }
}

/// Makes a document wrong in one place.
type Breakage = fn(&mut Value);

/// The schemas, below `reports/schema`.
const RESULTS: &str = "results.schema.json";
const SELFTEST: &str = "selftest.schema.json";

/// What of `document` the schema does not allow, each with its place.
fn complaints(schema: &str, document: &str) -> Vec<String> {
    let schema = fs::read_to_string(reports().join("schema").join(schema)).expect("the schema is committed");
    let schema: Value = serde_json::from_str(&schema).expect("the schema is JSON");
    let document = serde_json::from_str(document).expect("it is JSON");
    let mut check = Check { root: &schema, complaints: Vec::new() };
    check.value(&schema, &document, "");
    check.complaints
}

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports")
}

struct Check<'a> {
    root: &'a Value,
    complaints: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, place: &str) {
        for (keyword, rule) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => {}
                "$ref" => {
                    let pointer = rule.as_str().and_then(|reference| reference.strip_prefix('#'));
                    let target = pointer.and_then(|pointer| self.root.pointer(pointer));
                    self.value(&target.expect("a reference leads somewhere").clone(), value, place);
                }
                "type" => self.demand(is_of_type(rule, value), place, rule),
                "const" => self.demand(rule == value, place, rule),
                "enum" => self.demand(words(rule).contains(value), place, rule),
                "minimum" => self.demand(value.is_null() || value.as_f64() >= rule.as_f64(), place, rule),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(rule, item, &format!("{place}/{index}"));
                    }
                }
                "required" => {
                    for key in words(rule).iter().filter_map(Value::as_str) {
                        let there = value.as_object().is_none_or(|keys| keys.contains_key(key));
                        self.demand(there, &format!("{place}/{key}"), &json!("required"));
                    }
                }
                "properties" => self.properties(rule, value, place),
                other => panic!("the check does not know the keyword {other}"),
            }
        }
    }

    /// The schema lets others add keys; what we write ourselves it has to describe.
    fn properties(&mut self, described: &Value, value: &Value, place: &str) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let place = format!("{place}/{key}");
            match described.get(key) {
                Some(schema) => self.value(schema, value, &place),
                None => self.complaints.push(format!("{place}: not described")),
            }
        }
    }

    fn demand(&mut self, met: bool, place: &str, rule: &Value) {
        if !met {
            self.complaints.push(format!("{place}: {rule}"));
        }
    }
}

fn words(rule: &Value) -> &[Value] {
    rule.as_array().expect("this keyword takes a list")
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        other => panic!("the check does not know the type {other:?}"),
    };
    match rule {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}
