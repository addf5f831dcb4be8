//! What the tests of every report render: one run with each verdict, and one in which every text is a peer's.

use ftpspec_results::{
    AtFault, Caret, CaseResult, DefectTrial, Diagnosis, Evidence, Fold, Known, Level, Libraries, Plan, ProvenDefect,
    ProvenScenario, Results, Role, RunEvent, SelfTest, SelfTestSummary, ServerLog, Signal, SourceLine, StaleEntry,
    Subject, Summary, Verdict,
};

/// The events of a run with each verdict.
pub(crate) fn events() -> Vec<RunEvent> {
    let mut events = vec![
        started(),
        RunEvent::ProbeFinished {
            lines: vec!["AUTH      TLS, SSL".to_owned(), "TLS       1.2, no tickets".to_owned()],
        },
    ];
    for (index, mut result) in cases().into_iter().enumerate() {
        result.index = index;
        let (id, variant) = (result.id.clone(), result.variant.clone());
        events.push(RunEvent::CaseStarted { id: id.clone(), variant: variant.clone(), index });
        events.extend(result.transcript.iter().map(|line| RunEvent::Transcript {
            id: id.clone(),
            variant: variant.clone(),
            index,
            line: line.clone(),
        }));
        events.push(RunEvent::CasePlayed { id, variant, index });
        events.push(RunEvent::CaseFinished(Box::new(result)));
    }
    let stale = vec![StaleEntry {
        id: "server/prot/prot-before-auth".to_owned(),
        variant: "*".to_owned(),
        why: "it passes: take the entry out".to_owned(),
    }];
    events.push(RunEvent::RunFinished { duration_ms: 5214, stale });
    events
}

/// What those events come to.
pub(crate) fn results() -> Results {
    fold(&events())
}

/// A run in which every text that can be a peer's is `text`.
pub(crate) fn hostile(text: &str) -> Results {
    let mut results = results();
    let said = || text.to_owned();
    results.subject.name = said();
    results.subject.version = Some(said());
    results.subject.address = said();
    results.probe = vec![said()];
    for result in &mut results.results {
        result.id = format!("{}{text}", result.id);
        result.variant.push_str(text);
        result.title = said();
        result.file = said();
        result.clauses = vec![said(), said()];
        result.field_cases = vec![said()];
        result.notes = vec![said()];
        result.transcript = vec![said()];
        result.reason = result.reason.as_ref().map(|_| said());
        if let Some(known) = &mut result.known {
            *known = Known { reason: said(), until: Some(said()) };
        }
        let diagnosis = Diagnosis { id: said(), text: said(), at_fault: AtFault::Path };
        result.diagnosis = result.diagnosis.as_ref().map(|_| diagnosis.clone());
        if let Some(log) = &mut result.server_log {
            **log = ServerLog { shared: true, lines: vec![said()], clipped: true, ended: Some(said()) };
        }
        if let Some(evidence) = &mut result.evidence {
            **evidence = hostile_evidence(text, &diagnosis, evidence);
        }
    }
    for entry in &mut results.stale {
        *entry = StaleEntry { id: said(), variant: said(), why: said() };
    }
    results.trouble = vec![said()];
    results.summary = Summary::of(&results.results);
    results
}

fn hostile_evidence(text: &str, diagnosis: &Diagnosis, places: &Evidence) -> Evidence {
    let said = || text.to_owned();
    Evidence {
        title: said(),
        file: said(),
        line: places.line,
        column: places.column,
        source: places.source.iter().map(|line| SourceLine { number: line.number, text: said() }).collect(),
        caret: places.caret.clone().map(|caret| Caret { label: said(), ..caret }),
        due: said(),
        came: said(),
        conversation: vec![said()],
        diagnosis: Some(diagnosis.clone()),
        seen_as: vec![said()],
        also: vec![said()],
        again: said(),
        by_hand: Some(said()),
    }
}

/// A self-test that proves everything, with its matrix.
pub(crate) fn proof() -> SelfTest {
    let scenarios = vec![
        proven(
            "client/data/get-close-notify",
            &["client-leaves-unread-data"],
            Summary { pass: 4, ..Summary::default() },
        ),
        proven(
            "server/data/retr-empty-file",
            &["retr-empty-closes-before-handshake", "retr-empty-never-accepts"],
            Summary { pass: 8, skip: 1, ..Summary::default() },
        ),
        proven("server/data/stor-empty-file", &["stor-empty-refused"], Summary { pass: 8, ..Summary::default() }),
    ];
    let met = |id: &str, verdict| DefectTrial {
        id: id.to_owned(),
        named: verdict != Verdict::Untestable,
        caught: verdict != Verdict::Untestable,
        verdict,
        diagnosis: None,
        variant: String::new(),
        played: 1,
        reason: None,
    };
    let seen = |number| DefectTrial { named: false, ..met(&format!("server/passive/epsv-{number}"), Verdict::Fail) };
    let defect = |name: &str, role, trials| ProvenDefect {
        name: name.to_owned(),
        role,
        told_as: "as-it-is".to_owned(),
        caught: true,
        trials,
        faults: vec![],
    };
    let retr = || met("server/data/retr-empty-file", Verdict::Fail);
    let many = [met("server/data/stor-empty-file", Verdict::Warn)].into_iter().chain((1..=9).map(seen));
    let defects = vec![
        defect(
            "retr-empty-closes-before-handshake",
            Role::Server,
            vec![retr(), met("server/data/list-empty", Verdict::Untestable)],
        ),
        defect("retr-empty-never-accepts", Role::Server, vec![retr()]),
        defect("stor-empty-refused", Role::Server, many.collect()),
        defect("client-leaves-unread-data", Role::Client, vec![met("client/data/get-close-notify", Verdict::Fail)]),
    ];
    SelfTest {
        tool: "ftpspec".to_owned(),
        version: "0.1.0".to_owned(),
        libraries: Libraries { rustls: "0.23.35".to_owned(), openssl: "3.0.17".to_owned() },
        started: "2026-11-20T21:48:00Z".parse().expect("it is RFC 3339"),
        duration_ms: Some(16_640),
        matrix: true,
        summary: SelfTestSummary::of(&scenarios, &defects),
        scenarios,
        defects,
        trouble: vec![],
        interrupted: None,
    }
}

/// One in which something of everything is wrong.
pub(crate) fn selftest_with_faults() -> SelfTest {
    let mut selftest = proof();
    selftest.matrix = false;
    selftest.scenarios[0].correct = Summary { pass: 3, fail: 1, ..Summary::default() };
    let fault = "fail on the correct peer (engine=rustls,version=1.2): download-not-whole";
    selftest.scenarios[0].faults = vec![fault.to_owned()];
    selftest.scenarios[2].faults =
        vec!["it cannot fail: pass with `stor-empty-refused` in all 8 variants, whatever it says of itself".to_owned()];
    selftest.defects[2].caught = false;
    selftest.defects[2].trials.truncate(1);
    selftest.defects[2].trials[0].caught = false;
    selftest.defects[2].trials[0].verdict = Verdict::Pass;
    selftest.defects[3].caught = false;
    selftest.defects[3].trials[0].caught = false;
    selftest.defects[3].trials[0].diagnosis = Some("client-hangs".to_owned());
    selftest.defects[1].faults = vec!["its rule for RETR (line 5) never fired".to_owned()];
    selftest.trouble = vec!["the harness panicked while it played".to_owned()];
    selftest.interrupted = Some(Signal::Interrupt);
    selftest.summary = SelfTestSummary::of(&selftest.scenarios, &selftest.defects);
    selftest
}

fn proven(id: &str, catches: &[&str], correct: Summary) -> ProvenScenario {
    ProvenScenario {
        id: id.to_owned(),
        role: if id.starts_with("client") { Role::Client } else { Role::Server },
        level: Level::Must,
        catches: catches.iter().map(|&name| name.to_owned()).collect(),
        skipped: (correct.skip > 0)
            .then(|| "capability: no tickets, whatever is tried".to_owned())
            .into_iter()
            .collect(),
        correct,
        faults: vec![],
    }
}

pub(crate) fn fold(events: &[RunEvent]) -> Results {
    let mut fold = Fold::new();
    fold.extend(events);
    fold.results().expect("it has started")
}

pub(crate) fn started() -> RunEvent {
    RunEvent::RunStarted {
        plan: Plan { scenarios: 7, variants: 10, connections: 24, seconds_estimate: 5 },
        subject: Subject {
            role: Role::Server,
            name: "vsftpd".to_owned(),
            version: Some("3.0.3".to_owned()),
            address: "127.0.0.1:2121".to_owned(),
        },
        libraries: Libraries { rustls: "0.23.35".to_owned(), openssl: "3.0.17".to_owned() },
        started: "2026-11-20T21:48:00Z".parse().expect("it is RFC 3339"),
    }
}

pub(crate) fn interrupted() -> RunEvent {
    RunEvent::Interrupted { signal: Signal::Interrupt }
}

fn cases() -> Vec<CaseResult> {
    let rustls = "engine=rustls,version=1.2,open=EPSV";
    let openssl = "engine=openssl,version=1.2,open=EPSV";
    let passed = case("server/data/retr-empty-file", rustls, Level::Must, Verdict::Pass, "rfc959#3.3");
    let mut noted = case("server/data/retr-empty-file", openssl, Level::Must, Verdict::Pass, "rfc959#3.3");
    noted.notes = vec!["RETR was answered 125 before the data connection was open".to_owned()];
    let mut known = case("server/prot/pbsz-prot-sequence", "", Level::Must, Verdict::Fail, "rfc2228#3");
    known.known = Some(Known {
        reason: "vsftpd takes PROT before PBSZ (200 instead of 503)".to_owned(),
        until: Some("2027-06-30".to_owned()),
    });
    let mut untestable = case("server/data/stor-resume", rustls, Level::Must, Verdict::Untestable, "rfc3659#5");
    untestable.reason = Some("login: 530 Login incorrect".to_owned());
    let mut broken = case("server/data/list-large", rustls, Level::Field, Verdict::Error, "");
    broken.clauses.clear();
    broken.reason = Some("late: our own loop lagged 1.2 s behind a limit of 2 s".to_owned());
    vec![
        passed,
        noted,
        failed(rustls),
        failed(openssl),
        known,
        untestable,
        broken,
        skipped("server/tls/ticket-resumption", rustls),
        skipped("server/tls/ticket-of-another-session", openssl),
        warned(),
    ]
}

pub(crate) fn case(id: &str, variant: &str, level: Level, verdict: Verdict, clause: &str) -> CaseResult {
    CaseResult {
        id: id.to_owned(),
        variant: variant.to_owned(),
        index: 0,
        role: Role::Server,
        level,
        verdict,
        clauses: vec![clause.to_owned()],
        field_cases: vec![],
        diagnosis: None,
        reason: None,
        notes: vec![],
        known: None,
        duration_ms: 80,
        title: format!("What {id} asks for holds"),
        file: format!("{id}.yaml"),
        evidence: None,
        server_log: None,
        transcript: vec![],
    }
}

fn skipped(id: &str, variant: &str) -> CaseResult {
    let mut result = case(id, variant, Level::Must, Verdict::Skip, "rfc4217#9");
    result.reason = Some("capability: no tickets (the probe saw none on TLS 1.2)".to_owned());
    result
}

/// The example of the design.
pub(crate) fn warned() -> CaseResult {
    let mut result = case("server/auth/zos-client-hello", "", Level::Should, Verdict::Warn, "rfc4217#10.1");
    result.title = "A ClientHello that cannot be served is refused inside TLS, not with FTP text".to_owned();
    result.field_cases = vec!["IT13168".to_owned()];
    result.diagnosis = Some(Diagnosis {
        id: "plaintext-in-handshake".to_owned(),
        text: "the server answered in plaintext inside the TLS handshake. It gave up after its 234 and said so \
               outside TLS. What it was offered: TLS 1.0 at most, no extensions. A z/OS client shows this as rc 410 \
               \"SSL message format is incorrect\", EZA2897I, client error code 17."
            .to_owned(),
        at_fault: AtFault::Subject,
    });
    let conversation = [
        "control  C> AUTH TLS",
        "control  <S 234 AUTH TLS successful",
        "control  C> client_hello   TLS 1.0, 6 suites (RSA and DHE, CBC, SHA-1), no extensions",
        "control  <S alert          fatal protocol_version",
        "control  <S plaintext      550 TLS handshake failed",
        "control  <S FIN",
    ];
    let conversation: Vec<String> = conversation.map(str::to_owned).to_vec();
    result.transcript = conversation.clone();
    let source = [(22, "expect:"), (23, "  - never: {plaintext: {on: control, except: 421}}")];
    result.evidence = Some(Box::new(Evidence {
        title: result.title.clone(),
        file: result.file.clone(),
        line: 23,
        column: 5,
        source: source.map(|(number, text)| SourceLine { number, text: text.to_owned() }).to_vec(),
        caret: Some(Caret {
            line: 23,
            column: 5,
            length: 5,
            label: "plaintext came 3 ms after the ClientHello".to_owned(),
        }),
        due: "a TLS record (ServerHello or alert), or a close".to_owned(),
        came: r#"35 35 30 20 54 4c 53 20 68 61 6e 64 73 68 61 6b 65 …   "550 TLS handshake failed\r\n""#.to_owned(),
        conversation,
        diagnosis: result.diagnosis.clone(),
        seen_as: vec![],
        also: vec!["alert-then-text".to_owned()],
        again: "ftpspec run server/auth/zos-client-hello --server ftp://test@127.0.0.1:2121 -v".to_owned(),
        by_hand: Some(
            r"(printf 'AUTH TLS\r\n'; sleep 1; xxd -r -p zos-2.2-client-hello.hex; sleep 2) | nc 127.0.0.1 2121 | xxd"
                .to_owned(),
        ),
    }));
    result
}

fn failed(variant: &str) -> CaseResult {
    let mut result = case("server/data/retr-close-notify", variant, Level::Must, Verdict::Fail, "rfc4217#12.4");
    result.title = "The end of the data is a close_notify, not a bare FIN".to_owned();
    result.diagnosis = Some(Diagnosis {
        id: "retr-without-close-notify".to_owned(),
        text: "the server closed the data connection without close_notify.\nA cut looks just the same.".to_owned(),
        at_fault: AtFault::Subject,
    });
    let lines = ["[pid 7] CONNECT from 127.0.0.1", "[pid 7] RETR empty.bin -> 226", "SSL_shutdown() not called"];
    result.server_log = Some(Box::new(ServerLog {
        shared: true,
        lines: lines.map(str::to_owned).to_vec(),
        clipped: false,
        ended: None,
    }));
    let conversation = ["control  <S 226", "data     <S 12 octets, FIN"].map(str::to_owned).to_vec();
    result.transcript = conversation.clone();
    result.evidence = Some(Box::new(Evidence {
        title: result.title.clone(),
        file: result.file.clone(),
        line: 9,
        column: 5,
        source: vec![SourceLine { number: 9, text: "  - await: end data".to_owned() }],
        caret: Some(Caret { line: 9, column: 5, length: 15, label: "no close_notify before FIN".to_owned() }),
        due: "close_notify, then FIN".to_owned(),
        came: "FIN".to_owned(),
        conversation,
        again: format!("ftpspec run {} --server ftp://test@127.0.0.1:2121 -v", result.name()),
        ..Evidence::default()
    }));
    result
}
