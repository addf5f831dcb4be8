//! Whatever a server does, a run against it ends, in bounded time and memory, with the verdicts and the exit status that
//! are right, and with reports that are valid; and the password goes to nobody who was not proved to be the server. Each
//! row of the table is a server that does everything right but for one lie at one step.

#![allow(clippy::unwrap_used)] // in a test a panic is the message

mod reports;
mod server;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ftpspec::Verdict::{self, Fail, Pass, Skip, Untestable, Warn};
use ftpspec::{
    Catalogue, Effects, Exit, Limits, Remote, Schedule, Secret, Stage, Subject, Surroundings, Trust, run, schedule,
};
use ftpspec_peers::pki::Pki;
use ftpspec_play::fixture::FIXTURES;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::reports::Told;
use crate::server::Lie::{
    Closes, Disguised, EndsTls, Hangs, OddRecords, PartOfRecord, PartOfRecordAndHangs, PastTls, Resets, Says,
    SaysFirst, Slowly, WithoutEnd,
};
use crate::server::Step::{
    Auth, Data, DataHandshake, Final, Greeting, Handshake, Pass as Password, Passive, Preliminary, User,
};
use crate::server::{Hostile, Lie, Plan, Step};

fn main() {
    let arguments = Arguments { test_threads: Some(AT_ONCE), ..Arguments::from_args() };
    let panics = panics();
    let catalogue = Arc::new(Catalogue::embedded().expect("the embedded scenarios are sound"));
    let rows = table().into_iter().map(|row| {
        let catalogue = Arc::clone(&catalogue);
        Trial::test(row.name(), move || row.holds(&catalogue))
    });
    let conclusion = libtest_mimic::run(&arguments, rows.collect());
    // A task that panics takes nobody with it, and must not go unseen.
    let panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
    let peak = peak_of_memory();
    println!("at its peak all of this took {} MiB", peak >> 20);
    if !panics.is_empty() || peak > MOST_MEMORY {
        println!("panics: {panics:#?}; the most that may be taken are {} MiB", MOST_MEMORY >> 20);
        std::process::exit(1);
    }
    conclusion.exit()
}

/// A server, and what a run against it comes to.
struct Row {
    plan: Plan,
    certificate: &'static str,
    /// What the rest of the name says, where the lie's own name does not tell it apart.
    called: Option<&'static str>,
    /// How many variants are played at once.
    jobs: usize,
    due: Due,
}

/// What a run comes to: its exit, and the verdicts of those that are [`SELECTED`], or of none.
#[derive(Clone, Copy)]
struct Due {
    exit: Exit,
    verdicts: &'static [Verdict],
}

/// The handshake's verdict, that of the transfers that must work, and that of those that only should.
macro_rules! due {
    ($exit:ident, $handshake:ident, $must:ident, $should:ident) => {
        Due { exit: Exit::$exit, verdicts: &[$handshake, $must, $must, $must, $should] }
    };
}

/// Every server. Those that lie before a file is asked for do so to the probe, too.
fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    // At each step: silence, an octet a second, an end, and no end.
    for (step, due) in STEPS {
        for lie in [Hangs, Slowly, Closes, Resets] {
            rows.push(Row::new(step, lie, due));
        }
        for (called, octets) in ENDLESS {
            rows.push(Row::new(step, WithoutEnd(octets), endless(step, called, due)).called(called));
        }
        rows.push(Row::new(step, PastTls(b"550 No SSL\r\n"), past_tls(step, due)).called("a sentence past TLS"));
    }
    // What is lawful, however it looks.
    for step in [Greeting, Auth, User, Password, Passive, Preliminary, Final] {
        rows.push(Row::new(step, Disguised(EVIL), ALL_IS_WELL).called("a text that would be obeyed"));
    }
    for step in [User, Password, Data, Final] {
        rows.push(Row::new(step, OddRecords, ALL_IS_WELL));
    }
    // What is not, and is shown to people.
    rows.push(Row::new(Final, Says(EVIL_REFUSAL), NO_FILE).called("a refusal that would be obeyed"));
    for (step, due) in [(Auth, NO_TLS), (User, NO_LOGIN), (Preliminary, NO_FILE), (Final, NO_FILE)] {
        rows.push(Row::new(step, SaysFirst(EVIL), due).called("a line that would be obeyed"));
    }
    // Records that do not end, and such as cannot be.
    for (step, due) in [(User, NO_LOGIN), (DataHandshake, NO_FILE), (Data, NO_FILE), (Final, NO_FILE)] {
        for octets in [3, 40] {
            rows.push(Row::new(step, PartOfRecord(octets), due));
        }
        rows.push(Row::new(step, PartOfRecordAndHangs(40), due));
    }
    for (called, octets) in RECORDS {
        rows.push(Row::new(Handshake, PastTls(octets), NO_TLS).called(called));
        rows.push(Row::new(DataHandshake, PastTls(octets), NO_FILE).called(called));
        rows.push(Row::new(Data, PastTls(octets), if is_tls(octets) { NO_FILE } else { WITH_FILES }).called(called));
    }
    // Who asks for the password where it must not be sent.
    rows.push(Row::new(Auth, Says(b"534 Not here\r\n"), NO_TLS).called("AUTH is refused"));
    rows.push(Row::new(Auth, Says(b"502 What?\r\n"), NO_AUTH).called("AUTH is unknown"));
    rows.push(Row::new(Handshake, EndsTls, NO_TLS).called("no TLS behind the 234"));
    rows.push(Row::new(User, EndsTls, NO_LOGIN));
    rows.push(Row::new(Password, EndsTls, NO_LOGIN));
    for certificate in ["server-foreign-ca", "server-wrong-name", "server-expired"] {
        rows.push(Row { certificate, ..Row::new(Greeting, Disguised(b""), NO_TLS).called(certificate) });
    }
    // Who has had enough.
    let late = |row: Row| Row { plan: Plan { honest: SESSIONS_OF_THE_PROBE, ..row.plan }, ..row };
    rows.push(late(Row::new(Greeting, Says(b"421 Too many\r\n"), TURNED_AWAY).called("too many after the probe")));
    rows.push(late(Row::new(Greeting, Hangs, NO_GREETING)).called("silent after the probe"));
    rows.push(late(Row::new(User, Closes, NO_LOGIN)).called("closes after the probe"));
    // What the probe could not find out is played, and no listing is missed afterwards.
    let row = Row::new(Passive, Hangs, Due { exit: Exit::Red, ..NO_DATA }).called("silent for the probe too");
    rows.push(Row { plan: Plan { honest: 0, ..row.plan }, ..row });
    let row = Row::new(Greeting, Disguised(b""), TURNED_AWAY).called("nobody listens after the probe");
    rows.push(Row { plan: Plan { dies_after: Some(SESSIONS_OF_THE_PROBE), ..row.plan }, ..row });
    // The second variant is its last.
    let (honest, dies_after) = (SESSIONS_OF_THE_PROBE + 1, Some(SESSIONS_OF_THE_PROBE + 2));
    let row = Row::new(Data, Resets, DIED).called("dies in the middle");
    rows.push(Row { plan: Plan { honest, dies_after, ..row.plan }, jobs: 1, ..row });
    rows
}

const STEPS: [(Step, Due); 10] = [
    (Greeting, NOBODY),
    (Auth, NO_TLS),
    (Handshake, NO_TLS),
    (User, NO_LOGIN),
    (Password, NO_LOGIN),
    (Passive, NO_DATA),
    (Preliminary, NO_FILE),
    (DataHandshake, NO_FILE),
    (Data, NO_FILE),
    (Final, NO_FILE),
];

const NOBODY: Due = Due { exit: Exit::Surroundings, verdicts: &[] };
const NO_TLS: Due = due!(Surroundings, Fail, Untestable, Untestable);
const NO_AUTH: Due = due!(Surroundings, Skip, Untestable, Untestable);
const NO_LOGIN: Due = due!(Surroundings, Pass, Untestable, Untestable);
const NO_DATA: Due = due!(Surroundings, Pass, Untestable, Untestable);
const NO_FILE: Due = due!(Surroundings, Pass, Fail, Warn);
/// An octet that is not TLS inside a session, and a reply that nobody asked for, fail whatever scenario meets them.
const IN_ALL: Due = due!(Surroundings, Fail, Fail, Fail);
const WITH_FILES: Due = due!(Surroundings, Pass, Fail, Fail);
const ALL_IS_WELL: Due = due!(Green, Pass, Pass, Pass);
const TURNED_AWAY: Due = due!(Surroundings, Untestable, Untestable, Untestable);
const NO_GREETING: Due = due!(Surroundings, Fail, Untestable, Untestable);
const DIED: Due = Due { exit: Exit::Surroundings, verdicts: &[Pass, Fail, Untestable, Untestable, Untestable] };

fn endless(step: Step, called: &str, due: Due) -> Due {
    match (step, called) {
        // 200 greets as 220 does; but for one, nobody asked for them.
        (Greeting | Auth, "endless replies") => IN_ALL,
        // What is looked at before and after the run is a yes to whatever was asked.
        (User | Password | Final, "endless replies") => Due { exit: Exit::Red, ..WITH_FILES },
        (Preliminary | Passive, "endless replies") => WITH_FILES,
        _ => due,
    }
}

fn past_tls(step: Step, due: Due) -> Due {
    match step {
        Passive | Preliminary | Data | Final => WITH_FILES,
        _ => due,
    }
}

fn is_tls(record: &[u8]) -> bool {
    record.get(3) != Some(&0xff)
}

const ENDLESS: [(&str, &[u8]); 4] = [
    ("an endless line", &[b'A'; 16_384]),
    ("an endless reply", &repeated(b"150-and so on\r\n")),
    ("endless replies", &repeated(b"200 and so on\r\n")),
    ("endless preliminary replies", &repeated(b"150 and so on\r\n")),
];

const fn repeated(line: &[u8; 15]) -> [u8; 15 * 1024] {
    let mut all = [0; 15 * 1024];
    let mut at = 0;
    while at < all.len() {
        all[at] = line[at % line.len()];
        at += 1;
    }
    all
}

/// A title, a cleared screen, a colour, markup, NUL, what is no UTF-8, and a turned reading direction.
const EVIL: &[u8] =
    b"\x1b]0;owned\x07\x1b[2J\x1b[31m]]><failure>&amp;</testcase>\x00\xff\xfe\xc0\x80\xe2\x80\xae\x9b1m\r\n";
const EVIL_REFUSAL: &[u8] =
    b"451 \x1b]0;owned\x07\x1b[2J\x1b[31m]]><failure>&amp;</testcase>\x00\xff\xfe\xc0\x80\xe2\x80\xae\x9b1m\r\n";

const RECORDS: [(&str, &[u8]); 5] = [
    ("an empty record", &[22, 3, 3, 0, 0]),
    ("a record of one octet", &[22, 3, 3, 0, 1, 2]),
    ("data before its time", &[23, 3, 3, 0, 3, 1, 2, 3]),
    ("a record that is too long", &[22, 3, 3, 0xff, 0xff, 1]),
    ("half a header", &[22, 3, 3]),
];

impl Row {
    fn new(step: Step, lie: Lie, due: Due) -> Self {
        let met_by_probe = matches!(step, Greeting | Auth | Handshake | User | Password);
        let honest = if met_by_probe { 0 } else { SESSIONS_OF_THE_PROBE };
        let plan = Plan { honest, dies_after: None, step, lie };
        Self { plan, certificate: "server", called: None, jobs: SELECTED.len(), due }
    }

    fn called(self, called: &'static str) -> Self {
        Self { called: Some(called), ..self }
    }

    fn name(&self) -> String {
        let lie = self.called.map_or_else(|| format!("{:?}", self.plan.lie), str::to_owned);
        format!("{:?}::{lie}", self.plan.step)
    }

    fn holds(&self, catalogue: &Catalogue) -> Result<(), Failed> {
        let pki = Pki::cached()?;
        let server = Hostile::start(self.plan, &pki.identity(self.certificate)?)?;
        let subject = Subject::Remote(Remote {
            host: "localhost".to_owned(),
            port: server.address.port(),
            connect_to: Some(server.address),
            implicit: false,
            user: Some("me".to_owned()),
            password: Some(Secret::new(PASSWORD)),
            trust: Trust::Roots(pki.ca_pem()?),
            identity: None,
            surroundings: Box::new(surroundings()),
        });
        let runtime = Runtime::new()?;
        let told =
            runtime.block_on(async { tokio::time::timeout(LONGEST_RUN, play(subject, catalogue, self.jobs)).await });
        // Connections that still linger are nobody's.
        runtime.shutdown_background();
        let told = told.map_err(|_| format!("it is not over after {LONGEST_RUN:?}"))??;
        let mut wrong = self.misjudged(&told);
        wrong.extend(told.invalid(PASSWORD));
        wrong.extend(self.betrayed(&server));
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n\n{}", wrong.join("\n"), told.terminal).into()) }
    }

    fn misjudged(&self, told: &Told) -> Vec<String> {
        let mut wrong = Vec::new();
        let exit = Exit::of(&told.results, false);
        if exit != self.due.exit {
            wrong.push(format!("due is the exit {:?}, and it is {exit:?}: {:?}", self.due.exit, told.results.trouble));
        }
        let came: Vec<_> = told.results.results.iter().map(|result| result.verdict).collect();
        if came != self.due.verdicts {
            wrong.push(format!("due is {:?}, and it is {came:?}", self.due.verdicts));
        }
        wrong
    }

    /// Whether somebody got the password who should not.
    fn betrayed(&self, server: &Hostile) -> Option<String> {
        let received = server.received();
        let holds = |octets: &[u8]| octets.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        if holds(&received.on_the_wire) {
            return Some("the password was sent in the clear".to_owned());
        }
        let Plan { honest, step, lie, .. } = self.plan;
        let lied_before = honest == 0 && matches!(step, Greeting | Auth | Handshake | User);
        let due = self.certificate == "server" && (!lied_before || matches!(lie, Disguised(_) | OddRecords));
        (holds(&received.inside_tls) != due).then(|| format!("the password was sent: {}", !due))
    }
}

async fn play(subject: Subject, catalogue: &Catalogue, jobs: usize) -> Result<Told, Failed> {
    let selectors = SELECTED.iter().map(|selector| selector.parse()).collect::<Result<Vec<_>, _>>()?;
    let variants = schedule(catalogue, &selectors)?;
    assert_eq!(variants.len(), SELECTED.len(), "each selects one");
    let limits = Limits::default().at_most(LIMIT);
    let stage = Stage::new(subject, catalogue.clone(), limits, Effects::Intrusive, String::new()).await?;
    let schedule = Schedule {
        variants,
        jobs,
        repeat: 1,
        fail_fast: false,
        strict: false,
        baseline: None,
        today: "2026-11-20".to_owned(),
        live: true,
    };
    let (_stop, stopped) = watch::channel(None);
    let mut events = Vec::new();
    run(Arc::new(stage), schedule, stopped, |event| events.push(event.clone())).await;
    Ok(Told::new(&events))
}

/// What a user would say of this server in a target file.
fn surroundings() -> Surroundings {
    let fixtures = FIXTURES.iter().map(|fixture| (fixture.name.to_owned(), fixture.file.to_owned())).collect();
    Surroundings { fixtures, scratch: Some("scratch/".to_owned()), ..Surroundings::default() }
}

/// The texts of all panics from here on, of whatever thread.
fn panics() -> Arc<Mutex<Vec<String>>> {
    let panics = Arc::<Mutex<Vec<String>>>::default();
    let told = Arc::clone(&panics);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
        before(panic);
    }));
    panics
}

/// The most memory that this process ever held, in octets.
fn peak_of_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// One of each kind: a handshake alone, nothing to transfer, much to transfer, both ways, and many transfers.
const SELECTED: [&str; 5] = [
    "server/auth/tls-handshake@engine=openssl,version=1.2",
    "server/data/large-file@engine=openssl,version=1.3,direction=download",
    "server/data/large-file@engine=rustls,version=1.2,direction=upload",
    "server/data/retr-empty-file@engine=rustls,version=1.3,open=PASV",
    "server/session/six-transfers@engine=rustls,version=1.2,ticket=newest",
];

/// Found nowhere by chance.
const PASSWORD: &str = "Xq7-correct-horse-Zw9";

/// The greeting; for each TLS version a handshake and a login.
const SESSIONS_OF_THE_PROBE: usize = 5;

/// Long enough that a machine under load is not taken for a slow server.
const LIMIT: Duration = Duration::from_secs(2);

/// The probe waits for some ten things in vain, a variant for eight limits, and parting takes some more.
const LONGEST_RUN: Duration = Duration::from_secs(60);

/// Most servers make us wait, and need no processor; those that send without end need one each, and more of them at once
/// make our own loop lag on two.
const AT_ONCE: usize = 8;

/// What all runs together may hold, each with five variants at once: twice what was measured (250 MiB). What is sent to
/// them without end is many times as much.
const MOST_MEMORY: u64 = 512 << 20;
