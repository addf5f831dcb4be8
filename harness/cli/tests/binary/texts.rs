//! The texts that people read, as they are.

use rstest::rstest;

use super::program::ran;

#[rstest]
#[case("top", &["--help"])]
#[case("run", &["run", "--help"])]
#[case("list", &["list", "--help"])]
#[case("explain", &["explain", "--help"])]
#[case("lint", &["lint", "--help"])]
#[case("schema", &["schema", "--help"])]
#[case("peers", &["peers", "--help"])]
#[case("peers-build", &["peers", "build", "--help"])]
#[case("peers-up", &["peers", "up", "--help"])]
#[case("certs", &["certs", "--help"])]
#[case("serve", &["serve", "--help"])]
#[case("selftest", &["selftest", "--help"])]
#[case("completions", &["completions", "--help"])]
fn help(#[case] name: &str, #[case] arguments: &[&str]) {
    let ran = ran(arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("Example"), "each command shows how it is used");
    insta::assert_snapshot!(format!("help-{name}"), ran.stdout);
}

#[rstest]
#[case("list", &["list", "server/ccc"])]
#[case("list-variants", &["list", "server/ccc/reply-and-plaintext", "-v"])]
#[case("explain-scenario", &["explain", "server/data/retr-empty-file"])]
#[case("explain-diagnosis-and-defect", &["explain", "pbsz-refused"])]
#[case("explain-field-case", &["explain", "field:IT13168"])]
#[case("explain-defect-of-the-client", &["explain", "client-leaves-unread-data"])]
fn what_is_told(#[case] name: &str, #[case] arguments: &[&str]) {
    let ran = ran(arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(name.to_owned(), ran.stdout);
}

#[test]
fn the_version_names_the_libraries() {
    let text = ran(&["--version"]).stdout;
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.starts_with(&format!("ftpspec {version} (rustls 0.")) && text.contains(", OpenSSL "), "{text}");
}

#[test]
fn each_kind_that_is_listed_has_a_schema() {
    let kinds = ran(&["schema"]).stdout;
    assert!(kinds.lines().any(|kind| kind == "scenario") && kinds.lines().any(|kind| kind == "results"), "{kinds}");
    for kind in kinds.lines() {
        let text = ran(&["schema", kind]).stdout;
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{kind}");
    }
}

#[test]
fn completions_know_the_commands() {
    let script = ran(&["completions", "bash"]).stdout;
    for word in ["explain", "--server", "--write-baseline", "serve", "--once", "selftest", "--matrix"] {
        assert!(script.contains(word), "{word}");
    }
}
