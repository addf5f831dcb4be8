//! libunftp, inside this process, meets every server scenario by the library alone: one test for each. What it does
//! otherwise than the texts have it stands in `fixtures/baselines/libunftp.yaml`, with the reason, and nothing else is.

mod support;

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ftpspec::{Catalogue, Limits, Remote, Scheduled, Secret, Stage, Subject, Surroundings, Trust, Verdict};
use ftpspec_interop::{Settings, serve};
use ftpspec_peers::files::{FIXTURES, write_fixtures};
use ftpspec_peers::pki::Pki;
use ftpspec_scenario::model::Capability;
use ftpspec_scenario::{Baseline, load_baseline, read_file};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::from_args();
    // Most of the time is spent waiting for replies that never come.
    arguments.test_threads.get_or_insert(16);
    let runtime = Arc::new(Runtime::new()?);
    let root = tempfile::tempdir()?;
    let stage = Arc::new(runtime.block_on(stage(root.path()))?);
    let baseline = Arc::new(baseline()?);
    let mut trials: Vec<Trial> = Vec::new();
    for scenario in &stage.catalogue().scenarios {
        if !scenario.id.starts_with("server/") {
            continue;
        }
        let variants = ftpspec::schedule(stage.catalogue(), &[scenario.id.parse()?])?;
        let (runtime, stage, baseline) = (Arc::clone(&runtime), Arc::clone(&stage), Arc::clone(&baseline));
        trials.push(Trial::test(scenario.id.clone(), move || runtime.block_on(play(&stage, &baseline, variants))));
    }
    libtest_mimic::run(&arguments, trials).exit_if_failed();
    Ok(())
}

/// Starts libunftp, and makes it ready to be tested.
async fn stage(root: &Path) -> Result<Stage, Box<dyn Error>> {
    let pki = Pki::cached()?;
    let fixtures = root.join("fixtures");
    std::fs::create_dir_all(&fixtures)?;
    std::fs::create_dir(root.join("scratch"))?;
    write_fixtures(&fixtures)?;
    let address = free_address()?;
    tokio::spawn(serve(Settings {
        address,
        passive_ports: 49152..=65535,
        root: root.to_owned(),
        certificate: pki.dir().join("server.pem"),
        key: pki.dir().join("server.key"),
        user: "me".to_owned(),
        password: "a password".to_owned(),
        tls_required: false,
        client_ca: None,
    }));
    listens(address).await?;
    let remote = Remote {
        host: "localhost".to_owned(),
        port: address.port(),
        connect_to: Some(address),
        implicit: false,
        user: Some("me".to_owned()),
        password: Some(Secret::new("a password")),
        trust: Trust::Roots(pki.ca_pem()?),
        identity: None,
        surroundings: Box::new(Surroundings {
            title: Some("libunftp".to_owned()),
            fixtures: FIXTURES.iter().map(|it| (it.name.to_owned(), format!("fixtures/{}", it.file))).collect(),
            scratch: Some("scratch/".to_owned()),
            provides: vec![Capability::TlsOptional, Capability::ReuseOffered],
            ..Surroundings::default()
        }),
    };
    let catalogue = Catalogue::embedded().map_err(|wrong| wrong[0].plain())?;
    let limits = Limits::default().at_most(LIMIT);
    support::stage(&Subject::Remote(remote), &catalogue, limits).await
}

/// Plays all variants of one scenario, side by side.
async fn play(stage: &Arc<Stage>, baseline: &Baseline, variants: Vec<Scheduled>) -> Result<(), Failed> {
    let mut playing = JoinSet::new();
    for scheduled in variants {
        let stage = Arc::clone(stage);
        playing.spawn(async move { support::played(&stage, &scheduled).await });
    }
    let mut wrong = String::new();
    for result in playing.join_all().await {
        let told = result.diagnosis.as_ref().map_or("", |diagnosis| &diagnosis.id);
        let known = baseline.entries.iter().any(|it| it.covers(&result.id, &result.variant) && it.tells(told));
        if !matches!(result.verdict, Verdict::Pass | Verdict::Skip) && !known {
            let transcript = result.transcript.join("\n    ");
            wrong.push_str(&format!("{} {} ({told})\n    {transcript}\n\n", result.verdict, result.name()));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}

fn baseline() -> Result<Baseline, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/baselines/libunftp.yaml");
    let source = read_file(&path, "libunftp.yaml").map_err(|wrong| wrong.render())?;
    Ok(load_baseline(&source).map_err(|wrong| wrong[0].render())?)
}

/// libunftp never tells which port it was given, so that it has to be given one that was free a moment ago.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

async fn listens(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let met = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    Ok(tokio::time::timeout(LIMIT, met).await?)
}

/// It answers within milliseconds; this is for a machine under full load, and for what it never answers.
const LIMIT: Duration = Duration::from_secs(5);
