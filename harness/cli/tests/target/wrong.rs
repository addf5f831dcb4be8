//! Each thing that can be wrong is told in a sentence that says what to do, with the right status, and nothing is run.

use std::fs;
use std::net::TcpListener;

use rstest::rstest;

use super::program::{ran, ran_in};

const HEAD: &str = "title: Partner\nserver: ftp://me@localhost:2121\n";

#[rstest]
#[case("title: Partner\n", "key `server` is missing")]
#[case("title: Partner\nserver: localhost\n", "begins with ftp:// (explicit TLS) or ftps:// (implicit TLS)")]
#[case("title: Partner\nserver: ftp://me:secret@localhost\n", "`password: {env: VARIABLE}`")]
#[case("title: Partner\nserver: ftp://me@localhost\nfixture: {}\n", "did you mean `fixtures`?")]
#[case("title: Partner\nserver: ftp://me@localhost\npassword: secret\n", "partner.yaml:3:11")]
#[case("title: Partner\nserver: ftp://me@localhost\nallow: [wriet]\n", "did you mean `write`?")]
#[case("title: Partner\nserver: ftp://me@localhost\npassword: {env: FTPSPEC_NO_SUCH}\n", "FTPSPEC_NO_SUCH")]
#[case("title: Partner\nserver: ftp://me@localhost\npassword: {file: none}\n", "partner.yaml: password")]
#[case("title: Partner\nserver: ftp://me@localhost\ntls: {ca-file: none.pem}\n", "partner.yaml: ca-file")]
#[case("title: Partner\nserver: ftp://localhost\nbaseline: none.yaml\n", "none.yaml")]
fn a_wrong_target_ends_with_2(#[case] text: &str, #[case] said: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("partner.yaml"), text).unwrap();
    let ran = ran_in(folder.path(), &["run", "--target", "partner.yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(!ran.stderr.contains("me:secret"), "{}", ran.stderr);
}

#[rstest]
#[case(&["run", "--target", "no/such.yaml"], "no/such.yaml")]
#[case(&["run", "--target", "t.yaml", "--server", "ftp://h"], "cannot be used with")]
#[case(&["run", "--target", "t.yaml", "--defect", "x"], "cannot be used with")]
#[case(&["run", "--target", "t.yaml", "--password-env", "PATH"], "cannot be used with")]
#[case(&["run", "-4", "-6"], "cannot be used with")]
#[case(&["run", "--shard", "4/3"], "K/N, with K from 1 to N")]
fn options_that_do_not_go_together_end_with_2(#[case] arguments: &[&str], #[case] said: &str) {
    let ran = ran(arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn lint_and_schema_know_targets() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("partner.yaml"), format!("{HEAD}allow: [read, write]\n")).unwrap();
    let right = ran_in(folder.path(), &["lint", "partner.yaml"]);
    assert_eq!(right.code, 0, "{}", right.stderr);
    fs::write(folder.path().join("partner.yaml"), format!("{HEAD}pace: {{connections: 0}}\n")).unwrap();
    let wrong = ran_in(folder.path(), &["lint", "partner.yaml"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stdout);
    assert!(wrong.stderr.contains("partner.yaml:3:21"), "{}", wrong.stderr);
    assert!(ran(&["schema", "target"]).stdout.contains("per-minute"));
}

#[test]
fn an_endpoint_that_does_not_listen_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fs::write(folder.path().join("partner.yaml"), format!("title: Partner\nserver: ftp://127.0.0.1:{port}\n")).unwrap();
    let ran = ran_in(folder.path(), &["run", "--target", "partner.yaml"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(&format!("there is no FTP server to test: 127.0.0.1:{port}")), "{}", ran.stdout);
}

#[cfg(feature = "containers")]
#[test]
fn a_peer_whose_image_was_not_built_ends_with_3() {
    use ftpspec_peers::containers::engine_version;
    let engine = tokio::runtime::Runtime::new().unwrap().block_on(engine_version());
    let required = std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1");
    if engine.is_err() {
        assert!(!required, "{engine:?}");
        return;
    }
    // Nobody builds on a release that Debian no longer serves.
    let ran = ran(&["run", "--server", "peer:vsftpd@woody"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("ftpspec peers build vsftpd@woody"), "{}", ran.stdout);
}
