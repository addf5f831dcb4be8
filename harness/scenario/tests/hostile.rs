//! Whatever a file holds, the loader answers: with a value or with diagnostics, in bounded time, never with a panic.

use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;

use ftpspec_scenario::model::Source;
use ftpspec_scenario::{
    Catalogue, Diagnostic, load_baseline, load_defect, load_diagnosis, load_rules, load_scenario,
    load_server_description, read_file,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_text_makes_the_loader_panic(text in ".{0,300}") {
        load_all(&text);
    }

    #[test]
    fn no_yaml_makes_the_loader_panic(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..80)) {
        load_all(&tokens.concat());
    }

    #[test]
    fn no_change_to_a_right_file_makes_the_loader_panic(
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        remove in 0_usize..12,
        insert in prop::sample::select(TOKENS),
    ) {
        let source = &index.get(&SOURCES);
        let characters = source.text.chars().collect::<Vec<_>>();
        let at = at.index(characters.len());
        let end = (at + remove).min(characters.len());
        let text = characters[..at].iter().collect::<String>() + insert + &characters[end..].iter().collect::<String>();
        load_all(&text);
    }
}

#[test]
fn a_file_of_many_parts_and_axes_is_refused_in_bounded_time() {
    let mut bomb = String::from("title: x\nlevel: should\nsteps: [login, part: p0]\nparts:\n");
    for level in 0..200 {
        let next = level + 1;
        bomb.push_str(&format!("  p{level}: [part: p{next}, part: p{next}]\n"));
    }
    bomb.push_str("  p200: []\n");
    assert!(load_scenario(&source("server/x.yaml", &bomb)).is_err());

    let mut wide = String::from("title: x\nlevel: should\nsteps: [login]\nvary:\n");
    for axis in 0..400 {
        wide.push_str(&format!("  a{axis}: [x, y]\n"));
    }
    assert!(load_scenario(&source("server/x.yaml", &wide)).is_err());
}

#[test]
fn a_file_that_cannot_be_read_or_is_not_utf_8_has_its_diagnostic() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = read_file(&folder.path().join("missing.yaml"), "missing.yaml").expect_err("it is not there");
    assert!(missing.plain().starts_with("missing.yaml: cannot be read"), "{missing}");
    let path = folder.path().join("latin.yaml");
    std::fs::write(&path, b"title: x\nwhy: caf\xe9\n").expect("it can be written");
    let latin = read_file(&path, "latin.yaml").expect_err("it is not UTF-8");
    assert_eq!((latin.place.line, latin.place.column), (2, 9));
    let path = folder.path().join("long.yaml");
    std::fs::write(&path, vec![b'#'; 300 * 1024]).expect("it can be written");
    let long = read_file(&path, "long.yaml").expect("it can be read");
    assert!(load_scenario(&long).is_err());
}

#[test]
fn a_folder_replaces_what_has_the_same_id_and_adds_what_is_new() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "server/auth/one.yaml", "title: first\nlevel: should\nsteps: [login]\n");
    write(folder.path(), "diagnoses/d.yaml", "title: x\nwhen: [timeout]\nat-fault: path\nsay: nothing came\n");
    write(folder.path(), "defects/server/e.yaml", "title: x\nsource: y\nsettings: {tickets: 0}\ntold-as: d\n");
    write(folder.path(), "requirements/rfc4217.yaml", "- this is a ledger\n");
    let catalogue = Catalogue::default().with_folder(folder.path()).expect("all is right");
    assert_eq!(catalogue.scenario("server/auth/one").map(|one| one.title.as_str()), Some("first"));
    assert!(catalogue.diagnosis("d").is_some() && catalogue.defect("e").is_some());

    let other = tempfile::tempdir().expect("a folder");
    write(other.path(), "server/auth/one.yaml", "title: second\nlevel: should\nsteps: [login]\n");
    write(other.path(), "server/auth/any.yaml", "title: new\nlevel: should\nsteps: [login]\n");
    let catalogue = catalogue.with_folder(other.path()).expect("all is right");
    let ids = catalogue.scenarios.iter().map(|one| (one.id.as_str(), one.title.as_str())).collect::<Vec<_>>();
    assert_eq!(ids, [("server/auth/any", "new"), ("server/auth/one", "second")]);

    write(other.path(), "stray.yaml", "title: x\nlevel: should\nsteps: [login]\n");
    let wrong = catalogue.with_folder(other.path()).expect_err("a file whose role nobody knows");
    assert!(wrong[0].plain().contains("stray.yaml"), "{}", wrong[0]);
    assert!(Catalogue::default().with_folder(&other.path().join("nowhere")).is_err());
}

/// Loads a text as each kind of file, and renders what is found.
fn load_all(text: &str) {
    let mut found = Vec::<Diagnostic>::new();
    for role in ["server", "client", "proxy"] {
        found.extend(load_scenario(&source(&format!("{role}/x.yaml"), text)).err().into_iter().flatten());
    }
    let source = source("x.yaml", text);
    found.extend(load_defect(&source).err().into_iter().flatten());
    found.extend(load_rules(&source).err().into_iter().flatten());
    found.extend(load_diagnosis(&source).err().into_iter().flatten());
    found.extend(load_server_description(&source).err().into_iter().flatten());
    found.extend(load_baseline(&source).err().into_iter().flatten());
    for diagnostic in found {
        let shown = diagnostic.render() + &diagnostic.plain();
        assert!(!shown.chars().any(|character| character.is_control() && character != '\n'), "{shown:?}");
    }
}

fn source(name: &str, text: &str) -> Arc<Source> {
    Arc::new(Source { name: name.into(), text: text.into() })
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("it has one")).expect("the folder can be made");
    std::fs::write(path, text).expect("it can be written");
}

/// Right files to begin with.
static SOURCES: LazyLock<Vec<Arc<Source>>> = LazyLock::new(|| {
    let catalogue = Catalogue::embedded().expect("what is embedded is right");
    let scenarios = catalogue.scenarios.iter().map(|one| Arc::clone(&one.source));
    let defects = catalogue.defects.iter().map(|one| Arc::clone(&one.source));
    scenarios.chain(defects).chain(catalogue.diagnoses.iter().map(|one| Arc::clone(&one.source))).collect()
});

/// Pieces of YAML and of the grammar, right and wrong.
const TOKENS: &[&str] = &[
    "title: x\n",
    "level: should\n",
    "level: must\n",
    "steps:\n",
    "steps: ",
    "vary: ",
    "parts: ",
    "server: ",
    "rules: ",
    "expect: ",
    "client: ",
    "  - ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "login",
    "handshake",
    "send",
    "reply",
    "await",
    "for",
    "each",
    "do",
    "part",
    "by-version",
    "\"1.2\"",
    "${case}",
    "${item}",
    "${",
    "}",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "? ",
    "#",
    "\t",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "é",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "226",
    "2yz",
    "any",
    "end data",
    "not",
    "when: ",
    "say: ",
    "~",
    "<<: ",
    "\r\n",
];
