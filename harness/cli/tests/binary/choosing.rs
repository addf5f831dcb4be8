//! Which variants are played, how often, and over what: the options of a run that change nothing in a verdict.

use std::collections::BTreeSet;
use std::fs;

use rstest::rstest;
use serde_json::Value;

use super::program::{DEFECT, QUICK, ran};

#[test]
fn shards_share_a_run_and_leave_nothing_out() {
    let whole = variants(&["run", "server/auth"]);
    let parts = ["1/3", "2/3", "3/3"].map(|shard| variants(&["run", "server/auth", "--shard", shard]));
    assert!(parts.iter().all(|part| part.len() < whole.len()), "each has a part");
    assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), whole.len());
    let together: BTreeSet<_> = parts.into_iter().flatten().collect();
    assert_eq!(together, whole.into_iter().collect());
}

#[rstest]
#[case("-4", "127.0.0.1:0")]
#[case("-6", "[::1]:0")]
fn the_reference_server_is_met_over_either_family(#[case] option: &str, #[case] address: &str) {
    let results = results(&["run", "server/passive/epsv", "server/passive/pasv-address", option]);
    assert_eq!(results["subject"]["address"], address);
    let passed = |id: &str| {
        let all = results["results"].as_array().unwrap();
        all.iter().filter(|result| result["id"] == id).all(|result| result["verdict"] == "pass")
    };
    assert!(passed("server/passive/epsv"), "{results}");
    // 227 has room for an IPv4 address only.
    assert_eq!(passed("server/passive/pasv-address"), option == "-4", "{results}");
    assert_eq!(results["summary"]["fail"], 0);
    assert_eq!(results["summary"]["error"], 0);
}

#[test]
fn each_variant_is_played_as_often_as_is_asked() {
    assert_eq!(results(&["run", QUICK, "--repeat", "3"])["summary"]["pass"], 12);
}

#[test]
fn the_first_red_variant_is_the_last_if_that_is_asked() {
    let all = variants(&["run", "server/data", "--defect", DEFECT, "--jobs", "1"]);
    let some = variants(&["run", "server/data", "--defect", DEFECT, "--jobs", "1", "--fail-fast"]);
    assert!(some.len() < all.len(), "{} of {}", some.len(), all.len());
    assert!(some.last().is_some_and(|last| last.starts_with("server/data/retr-empty-file")), "{some:?}");
}

#[test]
fn a_run_tells_beforehand_what_it_costs() {
    let ran = ran(&["run", QUICK]);
    let first = ran.stdout.lines().find(|line| line.contains("variants")).unwrap();
    assert!(first.starts_with("1 scenario, 4 variants, about 8 connections, "), "{}", ran.stdout);
}

fn variants(arguments: &[&str]) -> Vec<String> {
    let results = results(arguments);
    let name = |result: &Value| format!("{}@{}", result["id"].as_str().unwrap(), result["variant"].as_str().unwrap());
    results["results"].as_array().unwrap().iter().map(name).collect()
}

fn results(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    let ran = ran(&[arguments, &["-q", "--json", json.to_str().unwrap()]].concat());
    assert!(ran.code < 2, "{}{}", ran.stdout, ran.stderr);
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}
