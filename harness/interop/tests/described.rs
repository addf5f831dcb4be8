//! A server of one's own, described in a file: it is started in the configuration that each scenario needs, and let in is
//! who the description says.

#![allow(clippy::unwrap_used, reason = "what fails here is to panic")]

mod support;

use std::path::Path;
use std::sync::Arc;

use ftpspec::{CaseResult, Catalogue, Family, Limits, Subject, Verdict};
use ftpspec_scenario::model::Source;
use ftpspec_scenario::{ServerDescription, load_server_description};

#[tokio::test(flavor = "multi_thread")]
async fn each_scenario_meets_the_configuration_that_it_needs() {
    let due = [
        // `lax`, as for all that need nothing.
        ("server/data/list-empty-directory@engine=rustls,version=1.3", Verdict::Pass, None),
        // `strict`. The second is libunftp's own: it looks at the level of protection for PASV, and not for EPSV.
        ("server/auth/login-in-clear-refused", Verdict::Pass, None),
        (
            "server/prot/clear-data-refused@engine=openssl,version=1.2,case=no-PROT",
            Verdict::Fail,
            Some("clear-data-served"),
        ),
        // `narrow`. A port that was opened and not used stays taken for 15 s, so that four of them are soon used up.
        (
            "server/passive/port-range@engine=rustls,version=1.3,open=EPSV",
            Verdict::Warn,
            Some("unused-passive-port-kept"),
        ),
    ];
    for (selector, verdict, diagnosis) in due {
        for result in played(&committed(), &[selector]).await {
            let told = result.diagnosis.as_ref().map(|told| told.id.as_str());
            assert_eq!((result.verdict, told), (verdict, diagnosis), "{} {:#?}", result.name(), result.transcript);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_configuration_provides_is_skipped_and_says_so() {
    let results = played(&committed(), &["server/auth/implicit-tls"]).await;
    assert!(!results.is_empty());
    for result in results {
        assert_eq!(result.verdict, Verdict::Skip);
        let reason = result.reason.unwrap();
        assert_eq!(reason, "capability: implicit-tls: no configuration of libunftp provides it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_its_own_and_no_configurations_are_enough() {
    let text = committed()
        .replace("--user=${user}", "--user=somebody else")
        .replace("${configuration}", "lax")
        .replace("{PASSWORD: \"${password}\"}", "{PASSWORD: \"a word: of its own\"}");
    let (text, _) = text.split_once("configurations:").unwrap();
    let text = format!("{text}login: {{user: somebody else, password: \"a word: of its own\"}}\n");
    let results = played(&text, &["server/data/retr-close-notify@engine=rustls,version=1.2"]).await;
    assert_eq!(results[0].verdict, Verdict::Pass, "{:?}", results[0].transcript);
    assert!(results[0].transcript.iter().any(|line| line.contains("USER {user}")), "{:?}", results[0].transcript);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_gets_no_certificate_is_no_server_of_ours() {
    let text = committed().replace("${certificate}", "/dev/null");
    let error = support::stage(&subject(&text), &catalogue(), Limits::default()).await.err().unwrap().to_string();
    assert!(error.starts_with("libunftp is not handed ${certificate} and ${key}"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_come_up_is_told_with_its_own_words() {
    let text = committed().replace("${root}", "no/such folder");
    let error = support::stage(&subject(&text), &catalogue(), Limits::default()).await.err().unwrap().to_string();
    assert!(error.starts_with("starting libunftp: "), "{error}");
    assert!(error.contains("ended before it greeted (exit status: 1), and wrote:"), "{error}");
    assert!(error.contains("No such file or directory"), "{error}");
}

async fn played(description: &str, selectors: &[&str]) -> Vec<CaseResult> {
    let catalogue = catalogue();
    let selectors: Vec<_> = selectors.iter().map(|selector| selector.parse().unwrap()).collect();
    let variants = ftpspec::schedule(&catalogue, &selectors).unwrap();
    let stage = support::stage(&subject(description), &catalogue, Limits::default()).await.unwrap();
    let mut results = Vec::new();
    for scheduled in &variants {
        results.push(support::played(&stage, scheduled).await);
    }
    results
}

fn subject(text: &str) -> Subject {
    let source = Source { name: "unftpd.yaml".to_owned(), text: text.to_owned() };
    let description: ServerDescription = load_server_description(&Arc::new(source)).unwrap();
    Subject::Described { description: Arc::new(description), trust: None, family: Family::V4 }
}

/// The committed description, with the program where this build has put it.
fn committed() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/servers/unftpd.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains("./target/debug/unftpd"));
    text.replace("./target/debug/unftpd", env!("CARGO_BIN_EXE_unftpd"))
}

fn catalogue() -> Catalogue {
    Catalogue::embedded().unwrap()
}
