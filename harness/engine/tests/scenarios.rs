//! Every variant of every scenario as a test of its own, against the embedded reference of its role: it passes, and
//! its conversation is the one that was accepted. Where there is a container engine, one variant of each scenario also
//! meets each real peer of its role: what it does otherwise is known in `fixtures/baselines`, with the reason, and nothing
//! else is.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ftpspec::{
    CaseResult, DescribedClient, Effects, Family, Limits, Role, Scheduled, Stage, Subject, Verdict, schedule_for,
};
use ftpspec_peers::containers::{PeerImage, engine_version, has_image};
use ftpspec_scenario::{Baseline, load_baseline, read_file};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// Our own server answers within milliseconds; this is for a machine under full load.
const LIMIT: Duration = Duration::from_secs(20);

/// The servers of `docker/` that the scenarios meet, and the Debian suite they are built from.
const SERVERS: &[&str] = &["openssl", "proftpd", "vsftpd"];
/// The clients that `docker/clients` holds: how they are called here and in `fixtures/baselines`, and as peers.
const CLIENTS: &[(&str, &str)] =
    &[("curl", "curl"), ("lftp", "lftp"), ("openssl-client", "openssl"), ("python-ftplib", "python-ftplib")];
const SUITE: &str = "bookworm";

/// Conversations that differ from run to run, and why: their verdicts count, no snapshot does. An id stands for all that
/// begin with it.
const CHANCE: &[(&str, &str)] = &[
    // The stranger is turned away on one connection while 150 comes on the other; we go on at the first of them.
    ("reference", "server/data/foreign-source-address"),
    ("proftpd", "server/data/foreign-source-address"),
    // How much of the file was out when our end was read.
    ("reference", "server/data/download-closed-early"),
    ("vsftpd", "server/data/download-closed-early"),
    ("proftpd", "server/data/download-closed-early"),
    // Two sessions go on at once, each in its own time.
    ("reference", "client/session/parallel-sessions"),
    // vsftpd and ProFTPD read the clear octets as TLS, say so in the clear, and reset: what is read first is chance.
    ("vsftpd", "server/auth/pipelined-command-after-auth"),
    ("proftpd", "server/auth/pipelined-command-after-auth"),
    ("vsftpd", "server/auth/garbage-instead-of-client-hello"),
    ("proftpd", "server/auth/garbage-instead-of-client-hello"),
    // OpenSSL refuses the clear octets without a word: its FIN is there before our ClientHello goes out, or after.
    ("openssl", "server/auth/pipelined-command-after-auth"),
    // vsftpd closes behind its 530: our QUIT goes out before its FIN is read, or does not.
    ("vsftpd", "server/auth/login-in-clear-refused"),
    // vsftpd never accepts the data connection of a transfer that it refuses: its listener goes when the session does.
    ("vsftpd", "server/prot/clear-data-refused"),
    ("vsftpd", "server/data/foreign-source-address"),
    // Its clear "500 OOPS" comes before the FIN or after it.
    ("vsftpd", "server/data/handshake-fails"),
    ("vsftpd", "server/passive/port-exhaustion-recovers"),
    // The client gives up over the octets behind the 234 as soon as it has sent its ClientHello: before the server looks.
    ("reference", "client/auth/injected-reply-after-234"),
    // Which tickets curl has read when it sends.
    ("curl", "client/data/put-late-tickets"),
    // Two sessions at once.
    ("curl", "client/session/parallel-sessions"),
    ("lftp", "client/session/parallel-sessions"),
    // lftp sends the transfer command behind EPSV or PASV without waiting, and closes, or says ABOR, when it has read the
    // refusal; a second session begins meanwhile.
    ("lftp", "client/passive/"),
    ("lftp", "client/data/certificate-name-is-control-host"),
    // It reads some of the file before it looks at the certificate, or nothing.
    ("lftp", "client/data/certificate-differs-from-control"),
    // It reads the reply before the end of the data, or after it, and tries again or not.
    ("lftp", "client/data/error-reply-after-data"),
    // How often it tries again depends on whether it had read the octets before the end.
    ("lftp", "client/data/get-reset"),
    ("lftp", "client/data/get-truncated-close-notify"),
    // How much it had read when the control connection ended decides whether it fetches anything again.
    ("lftp", "client/data/get-without-final-reply"),
    // The session that it leaves ends while its next one begins.
    ("lftp", "client/data/reply-never"),
    // How much of the largest file was out when it was cut.
    ("lftp", "client/data/put-late-tickets"),
];

/// What is chance with every client that is a program, and what stands in its place. Who closes a socket in which something
/// is left to be read sends a RST and no FIN, and whether our close_notify is there by then is chance; whether our own end
/// came about after that is no part of what the client does.
const CLIENT_CHANCE: &[(&str, &str)] = &[
    (r"(?m)^((?:control|data)\S* +C> .*?)(?:FIN|RST)$", "${1}{end}"),
    (r"(?m)^(control\S* +<S 221), close_notify(, FIN)?$", "$1"),
    (r"(?m)^(\S+ +<S .+), FIN$", "$1"),
    (r"(?m)^control\S* +<S (?:close_notify(?:, FIN)?|FIN)\n", ""),
    (r"(?m)^data\S* +<S FIN\n", ""),
    // lftp tells the server when the file that it stores was written.
    (r"\b20[0-9]{12}\b", "{time}"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = support::arguments();
    let runtime = Arc::new(Runtime::new()?);
    let catalogue = support::catalogue()?;
    let servers = schedule_for(&catalogue, &[], Role::Server)?;
    let clients = schedule_for(&catalogue, &[], Role::Client)?;
    let reference = Arc::new(Shared::new(Subject::Reference { defect: None }, None));
    let mut stages = Vec::new();
    let mut trials: Vec<_> =
        servers.iter().chain(&clients).map(|scheduled| trial("reference", scheduled, &runtime, &reference)).collect();
    for peer in SERVERS {
        if let Err(missing) = runtime.block_on(available(peer)) {
            trials.push(absent(peer, missing));
            continue;
        }
        let subject = Subject::Container { peer: (*peer).to_owned(), suite: SUITE.to_owned(), family: Family::V4 };
        let shared = Arc::new(Shared::new(subject, known_deviations(peer)?));
        stages.push(Arc::clone(&shared));
        trials.extend(one_of_each(&servers).map(|scheduled| trial(peer, scheduled, &runtime, &shared)));
    }
    let missing = runtime.block_on(available("clients")).err();
    for (name, peer) in CLIENTS {
        if let Some(missing) = &missing {
            trials.push(absent(name, missing.clone()));
            continue;
        }
        let client = DescribedClient::embedded(peer, Some(SUITE))?.ok_or("a test names a client that is not there")?;
        let shared = Arc::new(Shared::new(Subject::Client(client), known_deviations(name)?));
        stages.push(Arc::clone(&shared));
        trials.extend(one_of_each(&clients).map(|scheduled| trial(name, scheduled, &runtime, &shared)));
    }
    trials.push(Trial::test("snapshots::each_has_a_test_that_looks_at_it", move || {
        none_is_left_over(&servers, &clients)
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Containers go with their stages, which needs the runtime; `exit` would leave them running.
    runtime.block_on(async { drop(stages) });
    conclusion.exit()
}

/// One variant of each scenario: the whole of them is a run of the binary, and takes its time.
fn one_of_each(scheduled: &[Scheduled]) -> impl Iterator<Item = &Scheduled> {
    let ids = scheduled.iter().map(|scheduled| scheduled.scenario.id.as_str());
    let before = std::iter::once("").chain(ids);
    scheduled.iter().zip(before).filter(|(scheduled, before)| scheduled.scenario.id != *before).map(|(it, _)| it)
}

/// What a peer is known to do otherwise; a peer of which nothing is known has no file.
fn known_deviations(peer: &str) -> Result<Option<Baseline>, String> {
    let name = format!("{peer}-{SUITE}.yaml");
    let path = support::top().join("fixtures/baselines").join(&name);
    if !path.exists() {
        return Ok(None);
    }
    let source = read_file(&path, &name).map_err(|wrong| wrong.render())?;
    load_baseline(&source).map(Some).map_err(|wrong| wrong[0].render())
}

/// A stage that is made when the first test needs it.
struct Shared {
    subject: Subject,
    baseline: Option<Baseline>,
    stage: OnceCell<Stage>,
}

impl Shared {
    fn new(subject: Subject, baseline: Option<Baseline>) -> Self {
        Self { subject, baseline, stage: OnceCell::new() }
    }

    async fn stage(&self) -> Result<&Stage, Failed> {
        self.stage
            .get_or_try_init(|| async {
                let catalogue = support::catalogue().map_err(Failed::from)?;
                let limits = Limits::default().at_most(LIMIT);
                let stage = Stage::new(self.subject.clone(), catalogue, limits, Effects::Intrusive, String::new());
                stage.await.map_err(Failed::from)
            })
            .await
    }
}

fn trial(subject: &'static str, scheduled: &Scheduled, runtime: &Arc<Runtime>, shared: &Arc<Shared>) -> Trial {
    let (scheduled, runtime, shared) = (scheduled.clone(), Arc::clone(runtime), Arc::clone(shared));
    Trial::test(format!("{subject}::{}", scheduled.name()), move || {
        let variant = &scheduled.scenario.variants[scheduled.variant];
        let (result, version) = runtime.block_on(async {
            let stage = shared.stage().await?;
            let result = stage.play(&scheduled.scenario, variant, 0).await.result;
            Ok::<_, Failed>((result, stage.version()))
        })?;
        judge(&result, shared.baseline.as_ref())?;
        let folder = match (&shared.subject, version) {
            (Subject::Reference { .. }, _) | (_, None) => subject.to_owned(),
            (_, Some(version)) => format!("{subject}-{}", number(&version)),
        };
        let is_client = matches!(shared.subject, Subject::Client(_));
        if !(is_chance(subject, &result.id) || is_client && gave_up(&result)) {
            hold_against_snapshot(&folder, &result, is_client);
        }
        Ok(())
    })
}

/// Whether a client came to no success. Where a program gives up, its two connections end in a race, and what it still says
/// on one of them depends on what it had read on the other: the verdict and its diagnosis are held, the transcript is not.
fn gave_up(result: &CaseResult) -> bool {
    !result.transcript.iter().any(|line| line.starts_with("client") && line.ends_with("-- succeeded"))
}

/// The number in what a client says of its version; a server's is one.
fn number(version: &str) -> &str {
    let is_number = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_digit());
    version.split_whitespace().find(is_number).unwrap_or(version)
}

fn judge(result: &CaseResult, baseline: Option<&Baseline>) -> Result<(), Failed> {
    let known = baseline.is_some_and(|baseline| {
        let told = result.diagnosis.as_ref().map(|diagnosis| diagnosis.id.as_str());
        let covers = |entry: &&ftpspec_scenario::BaselineEntry| {
            entry.covers(&result.id, &result.variant) && told.is_some_and(|told| entry.tells(told))
        };
        baseline.entries.iter().any(|entry| covers(&entry))
    });
    match result.verdict {
        Verdict::Pass | Verdict::Skip => Ok(()),
        Verdict::Fail | Verdict::Warn if known => Ok(()),
        _ => Err(failed(result)),
    }
}

/// A failure with the evidence that a person needs.
fn failed(result: &CaseResult) -> Failed {
    let mut text = format!("{} {}", result.verdict, result.name());
    if let Some(reason) = &result.reason {
        text.push_str(&format!("\n{reason}"));
    }
    if let Some(evidence) = &result.evidence {
        text.push_str(&format!("\n{}:{}:{}", evidence.file, evidence.line, evidence.column));
        text.push_str(&format!("\n  due   {}\n  came  {}\n", evidence.due, evidence.came));
        for line in &evidence.conversation {
            text.push_str(&format!("\n    {line}"));
        }
    }
    if let Some(diagnosis) = &result.diagnosis {
        text.push_str(&format!("\n\n  {}: {}", diagnosis.id, diagnosis.text));
    }
    text.into()
}

/// Holds the normal form against the accepted one. A package that has moved on has no folder yet: its verdicts count,
/// and `INSTA_UPDATE=always` with a new folder accepts what it says.
fn hold_against_snapshot(folder: &str, result: &CaseResult, is_client: bool) {
    let folder = support::top().join("harness/engine/tests/snapshots").join(folder);
    let accepts = std::env::var_os("INSTA_UPDATE").is_some();
    if !folder.exists() && !accepts {
        return;
    }
    let mut text = format!("{} {}\n", result.verdict, result.name());
    for note in &result.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text.push_str(&result.transcript.join("\n"));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder.join(&result.id));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    if is_client {
        for (chance, same) in CLIENT_CHANCE {
            settings.add_filter(chance, *same);
        }
    }
    settings.bind(|| insta::assert_snapshot!(snapshot_of(&result.variant).to_owned(), text));
}

/// A snapshot whose scenario or variant has another name now, or is chance, would lie there for good.
fn none_is_left_over(servers: &[Scheduled], clients: &[Scheduled]) -> Result<(), Failed> {
    let accepted = support::top().join("harness/engine/tests/snapshots");
    let mut left_over = Vec::new();
    for folder in fs::read_dir(&accepted)? {
        let folder = folder?.file_name().into_string().map_err(|name| format!("{name:?} is no text"))?;
        let is_of = |subject: &str| folder.strip_prefix(subject).is_some_and(|rest| rest.starts_with('-'));
        let (subject, of_it): (_, Vec<_>) = if folder == "reference" {
            ("reference", servers.iter().chain(clients).collect())
        } else if let Some((client, _)) = CLIENTS.iter().find(|(client, _)| is_of(client)) {
            (*client, one_of_each(clients).collect())
        } else {
            let server = SERVERS.iter().find(|server| is_of(server));
            (*server.ok_or(format!("{folder} is of nobody"))?, one_of_each(servers).collect())
        };
        let due: BTreeSet<_> = of_it
            .into_iter()
            .filter(|scheduled| !is_chance(subject, &scheduled.scenario.id))
            .map(|Scheduled { scenario, variant }| {
                let name = snapshot_of(&scenario.variants[*variant].name);
                accepted.join(&folder).join(&scenario.id).join(format!("{name}.snap"))
            })
            .collect();
        left_over.extend(snapshots_in(&accepted.join(&folder))?.into_iter().filter(|path| !due.contains(path)));
    }
    if left_over.is_empty() { Ok(()) } else { Err(format!("no test looks at these: {left_over:#?}").into()) }
}

fn snapshots_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(snapshots_in(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "snap") {
            found.push(path);
        }
    }
    Ok(found)
}

/// How the snapshot of a variant is called.
fn snapshot_of(variant: &str) -> &str {
    if variant.is_empty() { "only" } else { variant }
}

fn is_chance(subject: &str, id: &str) -> bool {
    CHANCE.iter().any(|(peer, ids)| *peer == subject && id.starts_with(ids))
}

/// Whether a peer can be started here; if not, why.
async fn available(peer: &str) -> Result<(), String> {
    engine_version().await.map_err(|error| error.to_string())?;
    match has_image(&PeerImage::built_here(peer, SUITE)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("no image of {peer}: `ftpspec peers build {peer}` makes it")),
        Err(error) => Err(error.to_string()),
    }
}

/// Containers are optional, unless somebody said that they are not.
fn absent(peer: &str, missing: String) -> Trial {
    let required = std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1");
    let name = format!("{peer}::skipped");
    println!("{peer}: skipped: {missing}");
    Trial::test(name, move || if required { Err(missing.into()) } else { Ok(()) }).with_ignored_flag(!required)
}
