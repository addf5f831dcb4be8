//! `ftpspec lint` and `ftpspec certs`: files of the user's.

use std::fs;
use std::path::Path;

use super::program::ran_in;

#[test]
fn the_scenarios_of_this_repository_have_no_fault() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ran = ran_in(&top, &["lint", "scenarios", "fixtures/defects", "fixtures/servers", "docker"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.ends_with("files, no fault\n"), "{}", ran.stdout);
}

#[test]
fn each_fault_of_each_file_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("server/mine")).unwrap();
    fs::create_dir(folder.path().join("diagnoses")).unwrap();
    let scenario = "title: x\nlevel: field\neffects: read\ncatches: [no-such-defect]\nsteps: [{connect: control}]\n";
    fs::write(folder.path().join("server/mine/one.yaml"), scenario).unwrap();
    fs::write(folder.path().join("diagnoses/two.yaml"), "title: [\n").unwrap();
    let ran = ran_in(folder.path(), &["lint", "."]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    for said in ["server/mine/one.yaml", "unknown defect `no-such-defect`", "diagnoses/two.yaml", "nothing was run"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

#[test]
fn a_file_in_no_folder_of_ours_is_told_where_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.yaml"), "title: x\n").unwrap();
    let ran = ran_in(folder.path(), &["lint", "mine.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("scenarios lie below server/"), "{}", ran.stderr);
}

#[test]
fn rules_for_a_server_on_its_own_are_known_by_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "# mine\nsettings: {tickets: 0}\nrules:\n  - {on: NOOP, script: [answer: 502]}\n";
    fs::write(folder.path().join("mine.yaml"), rules).unwrap();
    assert_eq!(ran_in(folder.path(), &["lint", "mine.yaml"]).code, 0);
    fs::write(folder.path().join("mine.yaml"), rules.replace("answer", "anser")).unwrap();
    let ran = ran_in(folder.path(), &["lint", "mine.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("mine.yaml:4:") && ran.stderr.contains("did you mean `answer`?"), "{}", ran.stderr);
}

#[test]
fn certs_writes_the_test_pki() {
    let folder = tempfile::tempdir().unwrap();
    let ran = ran_in(folder.path(), &["certs", "my certs"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for name in ["ca.pem", "server.pem", "server.key", "client-a.pem"] {
        assert!(folder.path().join("my certs").join(name).is_file(), "{name}");
    }
}
