//! The grammar says what it is meant to say: each of these was written before the loader was.

use std::sync::Arc;

use ftpspec_scenario::model::{
    Act, Answer, ClientOutcome, Demand, Effects, End, Handshake, Level, Payload, ReplyMatch, Scenario, Source,
};
use ftpspec_scenario::{
    DescribedLogin, Diagnostic, Start, load_baseline, load_defect, load_diagnosis, load_scenario,
    load_server_description,
};
use ftpspec_wire::CodePattern;

#[test]
fn a_server_scenario_is_a_straight_script_in_each_variant() {
    let scenario = scenario("server/data/retr-empty-file.yaml", RETR_EMPTY);
    assert_eq!((scenario.level, scenario.effects, scenario.alone), (Level::Must, Effects::Read, false));
    assert_eq!(scenario.clauses[3].to_string(), "rfc5246#7.2.1");
    let names = scenario.variants.iter().map(|variant| variant.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names.len(), 8);
    assert_eq!(names[0], "engine=rustls,version=1.2,open=EPSV");
    let steps = &scenario.variants[1].steps;
    assert!(matches!(&steps[1].act, Act::Open(text) if text.0 == "PASV"));
    assert!(matches!(&steps[2].act, Act::Send(text) if text.0 == "RETR ${fixture.empty}"));
    assert!(matches!(steps[3].act, Act::Reply(ReplyMatch::Like(CodePattern::Class(1)))));
    assert_eq!(steps[4].act, Act::Handshake(Handshake::plain_on("data")));
    let Act::Receive(receive) = &steps[5].act else { panic!("{:?}", steps[5]) };
    assert_eq!((receive.octets, receive.end), (Some(0), Some(End::CloseNotify)));
    assert_eq!((steps[5].place.line, steps[5].place.column, steps[5].place.length), (15, 5, 7));
}

#[test]
fn a_scenario_in_which_no_engine_of_ours_begins_a_handshake_has_one_variant() {
    let scenario = scenario("server/auth/zos-client-hello.yaml", ZOS_CLIENT_HELLO);
    assert_eq!(scenario.variants.len(), 1);
    assert_eq!(scenario.variants[0].name, "");
    let Act::Await { branches } = &scenario.variants[0].steps[5].act else { panic!("an await") };
    assert_eq!(branches[3].0.is, ["421"]);
    let Demand::Never(pattern) = &scenario.variants[0].expect[0].demand else { panic!("a never") };
    assert_eq!((pattern.on.as_deref(), &pattern.except[..]), (Some("control"), &["421".to_owned()][..]));
}

#[test]
fn parts_and_loops_are_unrolled_where_they_are_used() {
    let scenario = scenario("server/ccc/data-after-ccc-client-cert.yaml", DATA_AFTER_CCC);
    let steps = &scenario.variants[0].steps;
    assert_eq!(steps.len(), 1 + 12 + 5 + 12);
    assert!(matches!(&steps[2].act, Act::Send(text) if text.0 == "RETR ${fixture.text}"));
    assert!(matches!(&steps[8].act, Act::Send(text) if text.0 == "LIST"));
    let Act::Judged { level: Level::Must, script } = &steps[4].act else { panic!("{:?}", steps[4]) };
    let Act::Handshake(handshake) = &script[0].act else { panic!("{script:?}") };
    assert_eq!(handshake.identity.as_deref(), Some("client-a"));
}

#[test]
fn a_client_scenario_has_rules_a_request_and_demands() {
    let scenario = scenario("client/passive/epsv-refused-stays-refused.yaml", EPSV_REFUSED);
    let last = scenario.variants.last().expect("variants");
    assert_eq!(last.name, "engine=openssl,version=1.3,refusal=bad-229");
    let rule = &last.server.as_ref().expect("a server").rules[0];
    assert!(matches!(&rule.script[0].act, Act::Listen { name, .. } if name == "trap"));
    let Act::Answer(Answer::Text(text)) = &rule.script[1].act else { panic!("{rule:?}") };
    assert_eq!(text.0, "229 Entering Extended Passive Mode (${trap.port})");
    assert_eq!(last.client.as_ref().expect("a client").files, ["one-octet", "text-crlf"]);
    assert_eq!(last.expect[0].demand, Demand::Client(ClientOutcome::Succeeds));
    let Demand::Order(order) = &last.expect[2].demand else { panic!("an order") };
    assert_eq!(order[1], ["PASV", "PORT", "EPRT"]);

    let scenario = self::scenario("client/auth/plaintext-in-handshake.yaml", PLAINTEXT_IN_HANDSHAKE);
    let variant = &scenario.variants[0];
    assert!(variant.client.as_ref().is_some_and(|client| client.demands_tls.is_some() && client.action == "login"));
    assert_eq!(variant.expect[1].level, Some(Level::Field));
    let Demand::Never(pattern) = &variant.expect[2].demand else { panic!("a never") };
    assert_eq!((&pattern.to[..], pattern.protected), (&["USER".to_owned(), "PASS".to_owned()][..], Some(false)));
    let rule = &variant.server.as_ref().expect("a server").rules[0];
    let Act::Plain { octets: Payload::Octets(text), .. } = &rule.script[2].act else { panic!("{rule:?}") };
    assert_eq!(text.0, "550 TLS handshake failed\r\n");
}

#[test]
fn a_proxy_scenario_has_both_sides_and_a_rule_can_be_what_varies() {
    let scenario = scenario("proxy/get-empty-file.yaml", PROXY_EMPTY);
    assert_eq!(scenario.variants.len(), 12);
    let variant = scenario.variants.last().expect("variants");
    let script = &variant.server.as_ref().expect("a server").rules[0].script;
    assert_eq!(script.len(), 4);
    // The acts stand where they were written: in the value of the axis.
    assert_eq!(script[0].place.line, 9);
}

#[test]
fn defects_diagnoses_descriptions_and_baselines_are_read() {
    let defect = load_defect(&source("defects/server/retr-empty-closes-before-handshake.yaml", DEFECT));
    let defect = defect.unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
    assert_eq!(defect.name, "retr-empty-closes-before-handshake");
    assert_eq!(defect.script.rules[0].condition.file.as_deref(), Some("empty"));

    let diagnosis = load_diagnosis(&source("diagnoses/plaintext-in-handshake.yaml", DIAGNOSIS));
    let diagnosis = diagnosis.unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
    assert_eq!(diagnosis.when[1].pattern.looks_like.as_deref(), Some("ftp-reply"));
    assert_eq!(diagnosis.seen_as[0].0, "zos");
    assert_eq!(
        diagnosis.seen_as[0].1,
        "EZA2897I, EZA2898I, rc 410 SSL message format is incorrect, client error code 17"
    );

    let description = load_server_description(&source("peer.yaml", DESCRIPTION));
    let description = description.unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
    assert!(
        matches!(&description.start, Start::Container { image, env } if image.ends_with("vsftpd") && env.len() == 2)
    );
    assert_eq!(description.configurations["strict"].len(), 3);

    assert!(matches!(description.login, DescribedLogin::Described { .. }));

    let baseline = load_baseline(&source("vsftpd.yaml", BASELINE));
    let baseline = baseline.unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
    assert!(baseline.entries[0].covers("server/prot/pbsz-prot-sequence", "engine=rustls,version=1.3"));
    assert!(!baseline.entries[1].covers("server/prot/levels", "engine=rustls,version=1.3"));
    assert!(baseline.entries[1].covers("server/prot/levels", "engine=rustls,version=1.2"));
}

#[test]
fn a_description_says_who_may_log_in() {
    let login = |text: &str| {
        let text = format!("title: x\nstart: {{container: a}}\n{text}");
        load_server_description(&source("peer.yaml", &text)).map(|description| description.login)
    };
    assert_eq!(login("").ok(), Some(DescribedLogin::OfTheRun));
    assert_eq!(login("login: none\n").ok(), Some(DescribedLogin::Nobody));
    assert!(matches!(login("login: {user: a, password: b}\n"), Ok(DescribedLogin::Described { .. })));
}

fn scenario(name: &str, text: &str) -> Scenario {
    load_scenario(&source(name, text)).unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)))
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.render())).collect()
}

fn source(name: &str, text: &str) -> Arc<Source> {
    Arc::new(Source { name: name.into(), text: text.into() })
}

const RETR_EMPTY: &str = "\
# yaml-language-server: $schema=../../schema/scenario.schema.json
title: An empty file arrives over a completed TLS data connection
level: must
clauses: [rfc4217#9, rfc959#5.4, rfc8446#6.1, rfc5246#7.2.1]
catches: [retr-empty-closes-before-handshake]
vary:
  open: [EPSV, PASV]
steps:
  - login: {protect: P}
  - open: ${open}
  - send: RETR ${fixture.empty}
  - reply: 1yz
  - handshake: data                # must complete, though nothing follows
  # A comment between two acts.
  - receive: {octets: 0, end: close_notify}
  - reply: 226
  - send: NOOP
  - reply: 200
";

const ZOS_CLIENT_HELLO: &str = "\
title: A ClientHello that cannot be served is refused inside TLS
level: should
clauses: [rfc4217#10.1, rfc5246#7.2.2]
catches: [plaintext-550-in-handshake]
steps:
  - connect: control
  - reply: 220
  - send: AUTH TLS
  - reply: 234
  - plain: ${octets.zos-2.2-client-hello}
  - await:
      server-hello: []
      alert: [await: close]
      close: []
      \"plaintext 421\": [note: \"lawful where TLS did not start at all (§10.1)\"]
expect:
  - never: {plaintext: {on: control, except: 421}}
";

const DATA_AFTER_CCC: &str = "\
title: After CCC, protected data connections with the session's client certificate still work
level: field
needs: [CCC, client-certificate]
catches: [ccc-forgets-control-certificate]
steps:
  - login: {protect: P, certificate: client-a}
  - part: transfers
  - send: CCC
  - reply: 200
  - clear: control
  - send: PWD
  - reply: 257
  - part: transfers
parts:
  transfers:
    - for:
        each: [\"RETR ${fixture.text}\", LIST]
        do:
          - open: EPSV
          - send: ${item}
          - reply: 1yz
          - must: [handshake: {on: data, identity: client-a}]
          - receive: {end: close_notify}
          - reply: 226
";

const EPSV_REFUSED: &str = "\
title: Once EPSV is refused the client goes on without it
level: field
clauses: [rfc2428#3, rfc1123#4.1.2.11]
catches: [client-repeats-refused-epsv]
vary:
  refusal:
    \"500\": 500 Unknown command, 'EPSV'
    \"522\": 522 Network protocol not supported, use (2)
    bad-229: 229 Entering Extended Passive Mode (${trap.port})
client: {get: [one-octet, text-crlf]}
server:
  rules:
    - on: EPSV
      script: [listen: {as: trap}, answer: \"${refusal}\"]
expect:
  - client: succeeds
  - files: intact
  - order: [EPSV, [PASV, PORT, EPRT], RETR, [PASV, PORT, EPRT], RETR]
  - count: {EPSV: 1}
";

const PLAINTEXT_IN_HANDSHAKE: &str = "\
title: FTP text where the TLS handshake is due ends the client
level: must
clauses: [rfc8446#5]
catches: [client-hangs-on-plaintext-handshake]
client: {login: {tls: demanded}}
server:
  rules:
    - on: AUTH
      script: [answer: 234 AUTH TLS successful, await: client-hello, plain: \"550 TLS handshake failed\\r\\n\", FIN]
expect:
  - client: fails
  - field: [client: {fails: {within: 10s}}]
  - never: {command: [USER, PASS], in: clear}
";

const PROXY_EMPTY: &str = "\
title: An empty file passes through the proxy
level: field
catches: [proxy-drops-control-on-empty-file]
vary:
  inside:
    proper:           [answer: 150, accept, handshake, close_notify, FIN, answer: 226]
    during-handshake: [answer: 150, accept, await: client-hello, FIN, answer: 226]

    before-handshake: [answer: 150, accept, FIN, answer: 226]
server:
  rules:
    - on: RETR
      script: ${inside}
steps:
  - login: {protect: P}
  - open: EPSV
  - send: RETR ${fixture.empty}
  - reply:
      1yz:
        - either:
            - [handshake: data, receive: {octets: 0, end: close_notify}, reply: 2yz]
            - [await: end data, reply: {4yz: [], 5yz: []}]
      4yz: []
      5yz: []
  - send: NOOP
  - reply: 200
";

const DEFECT: &str = "\
title: Closes the data socket of an empty file before the TLS handshake is done
source: IBM APAR IT13168 (Sterling Secure Proxy 3.4.1)
rules:
  - on: RETR
    if: {file: empty}
    script: [answer: 150, accept, FIN, answer: 226]
told-as: data-handshake-cut-short
";

const DIAGNOSIS: &str = "\
title: FTP text in place of a TLS record
when:
  - handshake-started: {on: control}
  - plaintext: {on: control, looks-like: ftp-reply}
at-fault: subject
say: >
  The ${subject} answered in plaintext inside the TLS handshake: “${plaintext}”. What it was offered: ${client-hello}.
clauses: [rfc4217#10.1, rfc8446#5]
field-cases: [ibm-main-rc-410]
seen-as:
  zos: {messages: [EZA2897I, EZA2898I], gsk: 410 SSL message format is incorrect, client-error-code: 17}
  openssl: wrong version number
";

const DESCRIPTION: &str = "\
title: vsftpd
start: {container: localhost/ftpspec-vsftpd, env: {ADDRESS: \"${address}\", PORT: \"${port}\"}}
ready: 220
login: {user: \"${user}\", password: \"${password}\"}
log: /var/log/vsftpd.log
configurations:
  lax:    {provides: [tls-optional, reuse-offered]}
  strict: {provides: [clear-login-refused, clear-data-refused, reuse-demanded]}
";

const BASELINE: &str = "\
- id: server/prot/pbsz-prot-sequence
  variant: \"*\"
  diagnosis: prot-accepted-without-pbsz
  reason: vsftpd takes PROT before PBSZ (200 instead of 503)
  clause: rfc2228#3
- id: server/prot/levels
  variant: \"*version=1.2*\"
  diagnosis: prot-accepted-without-pbsz
  reason: the same
  until: 2027-03-31
";
