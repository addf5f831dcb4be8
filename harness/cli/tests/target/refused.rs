//! A login that is refused in the midst of a run: the account is not tried again. The endpoint is two reference servers
//! behind one address: the first lets us in, the second, which has the later connections, does not.

use std::fs;
use std::sync::Arc;

use ftpspec_peers::pki::Pki;
use serde_json::Value;

use super::front::{Front, PASSWORD, server};
use super::program::{command, finished};

#[test]
fn a_login_refused_in_the_midst_of_a_run_is_not_tried_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pki = Arc::new(Pki::cached().unwrap());
    let entered = runtime.enter();
    let (lets_in, refuses) = (server(&pki, ""), server(&pki, "- {on: PASS, script: [answer: 530]}"));
    drop(entered);
    let (first, later) = (lets_in.address(), refuses.address());
    let front = Front::before(move |index| if index < LET_IN { first } else { later });
    let folder = tempfile::tempdir().unwrap();
    let [password, json, junit] = ["password", "results.json", "junit.xml"].map(|name| folder.path().join(name));
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let (url, ca) = (format!("ftp://me@localhost:{}", front.port), pki.dir().join("ca.pem"));
    let paths = [&password, &ca, &json, &junit].map(|path| path.to_str().unwrap());
    let ran = finished(&mut command(&[
        "run",
        "-4",
        "--server",
        &url,
        "--password-file",
        paths[0],
        "--ca-file",
        paths[1],
        "--json",
        paths[2],
        "--junit",
        paths[3],
        "server/data/retr-close-notify",
        "server/auth/tls-handshake",
        "server/control/unknown-command",
    ]));
    assert_eq!(refuses.fired(), 1, "PASS came once: {}", ran.stdout);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let results: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let told = results["trouble"][0].as_str().unwrap();
    assert!(told.starts_with("the login was refused in the midst of the run, and not tried again: PASS was"), "{told}");
    let verdicts: Vec<_> =
        results["results"].as_array().unwrap().iter().map(|it| it["verdict"].as_str().unwrap()).collect();
    assert!(verdicts.contains(&"pass"), "{verdicts:?}");
    let untried = |result: &&Value| {
        result["reason"].as_str().is_some_and(|reason| reason.starts_with("prerequisite: the login was refused"))
    };
    let untried = results["results"].as_array().unwrap().iter().filter(untried).count();
    assert!(untried > 1, "{}", ran.stdout);
    let junit = fs::read_to_string(&junit).unwrap();
    assert!(
        junit.contains("the login was refused in the midst of the run") && junit.ends_with("</testsuites>\n"),
        "{junit}"
    );
}

/// The probe's sessions are six; the seventh is the first of the run.
const LET_IN: usize = 10;
