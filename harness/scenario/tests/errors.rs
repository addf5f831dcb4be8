//! What a person sees when a file is wrong: each kind of slip, as it is rendered.

use std::sync::Arc;

use ftpspec_scenario::model::{Source, Why};
use ftpspec_scenario::{
    Catalogue, Diagnostic, lint_all, lint_scenario, load_baseline, load_defect, load_diagnosis, load_rules,
    load_scenario, load_server_description,
};
use rstest::{Context, rstest};

/// A scenario around the acts that matter.
fn with_steps(steps: &str) -> String {
    format!("title: x\nlevel: should\ncatches: [d]\nsteps:\n{steps}\n")
}

#[rstest]
#[case::unknown_key("title: x\nlevel: should\nstep: []\n")]
#[case::missing_title("level: should\nsteps: [login]\n")]
#[case::bad_level("title: x\nlevel: shall\nsteps: [login]\n")]
#[case::bad_clause("title: x\nlevel: should\nclauses: [rfc4217-9]\nsteps: [login]\n")]
#[case::must_without_clause("title: x\nlevel: must\nsteps: [login]\n")]
#[case::must_by_a_value("title: x\nlevel: should\nvary: {case: {a: {level: must}}}\nsteps: [login]\n")]
#[case::bad_capability("title: x\nlevel: should\nneeds: [TLS1.3]\nsteps: [login]\n")]
#[case::variable_in_the_head("title: x\nlevel: should\nneeds: [\"${case}\"]\nsteps: [login]\n")]
#[case::variable_in_the_needs_of_a_value(
    "title: x\nlevel: should\nvary: {case: {a: {needs: [\"${case}\"]}}}\nsteps: [login]\n"
)]
#[case::key_twice("title: x\nlevel: should\ntitle: y\nsteps: [login]\n")]
#[case::list_for_text("title: [x]\nlevel: should\nsteps: [login]\n")]
#[case::value_missing("title:\nlevel: should\nsteps: [login]\n")]
#[case::empty("# nothing but a comment\n")]
#[case::tab("title: x\nlevel: should\nsteps:\n\t- login\n")]
#[case::alias_bomb("title: &a [x]\nwhy: [*a, *a]\n")]
#[case::tag("title: !!binary x\nlevel: should\nsteps: [login]\n")]
#[case::two_documents("title: x\nlevel: should\nsteps: [login]\n---\ntitle: y\n")]
#[case::server_with_client("title: x\nlevel: should\nsteps: [login]\nclient: login\n")]
#[case::needs_exclude_each_other("title: x\nlevel: should\nneeds: [TLS-1.2, TLS-1.3]\nsteps: [login]\n")]
#[case::axis_called_version("title: x\nlevel: should\nvary: {version: [a]}\nsteps: [login]\n")]
#[case::axis_word_twice("title: x\nlevel: should\nvary: {case: [a, a]}\nsteps: [login]\n")]
#[case::variable_unquoted_in_brackets("title: x\nlevel: should\nvary: {case: {a: [login]}}\nsteps: [${case}]\n")]
fn head(#[context] ctx: Context, #[case] text: &str) {
    shown(&ctx, &load_scenario(&source("server/x.yaml", text)).expect_err("it is wrong"));
}

#[rstest]
#[case::unknown_act("  - login\n  - sned: NOOP")]
#[case::bare_act_that_needs_a_value("  - login\n  - send")]
#[case::close_notify_misspelt("  - login\n  - close-notify: control")]
#[case::two_keys_in_one_act("  - send: NOOP\n    reply: 200")]
#[case::bad_code("  - login\n  - reply: 2xx")]
#[case::bad_duration("  - login\n  - pause: 2 seconds")]
#[case::bad_event("  - login\n  - await: plain 421")]
#[case::event_with_wrong_code("  - login\n  - await: plaintext soon control")]
#[case::event_on_unknown_connection("  - login\n  - await: end dta")]
#[case::unknown_fixture("  - login\n  - send: RETR ${fixture.emtpy}")]
#[case::unknown_variable("  - login\n  - send: USER ${usr}")]
#[case::unknown_octets("  - connect: control\n  - plain: ${octets.zos-client-hello}")]
#[case::unclosed_variable("  - login\n  - send: USER ${user")]
#[case::unknown_part("  - login\n  - part: transfers")]
#[case::loop_without_literals("  - login\n  - for: {each: [], do: [send: NOOP]}")]
#[case::version_without_handshake("  - connect: control\n  - by-version: {\"1.2\": [hold]}")]
#[case::many_things_at_once("  - logn\n  - repyl: 200\n  - handshake: {onn: data}\n  - receive: {end: sometime}")]
#[case::receive_without_data("  - login\n  - receive: {octets: 0}")]
#[case::handshake_before_open("  - login\n  - handshake: data\n  - open: EPSV")]
#[case::send_before_connect("  - send: NOOP\n  - connect: control")]
#[case::connect_without_passive("  - login\n  - connect: passive")]
#[case::accept_without_listen("  - login\n  - accept")]
#[case::port_before_listen("  - login\n  - send: \"PORT ${trap.PORT}\"\n  - listen: {as: trap}")]
#[case::never_reached("  - login\n  - reply: {5yz: [skip: absent, send: NOOP]}")]
#[case::silence_at_must("  - connect: control\n  - must: [silence: 2s]")]
#[case::named_connection_before_it_is_made("  - login\n  - hold: second\n  - connect: {to: control, as: second}")]
fn steps(#[context] ctx: Context, #[case] acts: &str) {
    shown(&ctx, &load_scenario(&source("server/x.yaml", &with_steps(acts))).expect_err("it is wrong"));
}

#[rstest]
#[case::client_without_server("client/x.yaml", "title: x\nlevel: should\nclient: login\n")]
#[case::no_role("elsewhere/x.yaml", "title: x\nlevel: should\nsteps: [login]\n")]
#[case::bad_setting(
    "client/x.yaml",
    "title: x\nlevel: should\nclient: login\nserver: {settings: {reuse: demandd, tickts: 2}}\n"
)]
#[case::bad_expectation(
    "client/x.yaml",
    "title: x\nlevel: should\nclient: login\nserver: {}\nexpect: [nevr: plaintext, client: suceeds]\n"
)]
#[case::part_contains_itself(
    "server/x.yaml",
    "title: x\nlevel: should\nsteps: [part: a]\nparts: {a: [part: b], b: [part: a]}\n"
)]
#[case::script_inside_a_text(
    "server/x.yaml",
    "title: x\nlevel: should\nvary: {case: {a: [login]}}\nsteps: [send: \"NOOP ${case}\"]\n"
)]
#[case::text_where_a_script_is_due(
    "proxy/x.yaml",
    "title: x\nlevel: should\nvary: {case: [a]}\nsteps: [login]\nserver: {rules: [{on: RETR, script: \"${case}\"}]}\n"
)]
fn roles(#[context] ctx: Context, #[case] name: &str, #[case] text: &str) {
    shown(&ctx, &load_scenario(&source(name, text)).expect_err("it is wrong"));
}

#[test]
fn other_files() {
    let defect = load_defect(&source(
        "defects/server/d.yaml",
        "title: x\nsource: y\nrules: [{on: retr, script: [receive]}]\ntold-as: z\n",
    ));
    insta::assert_snapshot!("defect_with_a_bad_verb", rendered(&defect.expect_err("it is wrong")));
    let defect = load_defect(&source(
        "defects/server/d.yaml",
        "title: x\nsource: y\nrules: [{on: RETR, script: [answer: 150, receive]}]\ntold-as: z\n",
    ));
    insta::assert_snapshot!("defect_that_accepts_nothing", rendered(&defect.expect_err("it is wrong")));
    let rules = load_rules(&source("rules.yaml", "rules: [{on: RETR, if: {file: full}, script: [part: a]}]\n"));
    insta::assert_snapshot!("rules_with_a_bad_condition", rendered(&rules.expect_err("it is wrong")));
    let diagnosis = load_diagnosis(&source(
        "diagnoses/d.yaml",
        "title: x\nwhen: [unmet: receive/no-close-notify]\nat-fault: subject\nsay: the ${subject}\n",
    ));
    insta::assert_snapshot!("diagnosis_with_an_unknown_why", rendered(&diagnosis.expect_err("it is wrong")));
    for why in Why::WORDS {
        let text = format!("title: x\nwhen: [unmet: receive/{why}]\nat-fault: subject\nsay: the ${{subject}}\n");
        assert!(load_diagnosis(&source("diagnoses/d.yaml", &text)).is_ok(), "a diagnosis can name {why}");
    }
    let diagnosis = load_diagnosis(&source(
        "diagnoses/d.yaml",
        "title: x\nwhen: [not: plaintext, reply: 226]\nat-fault: server\nsay: the ${sbject}\n",
    ));
    insta::assert_snapshot!("diagnosis_with_a_bad_side", rendered(&diagnosis.expect_err("it is wrong")));
    let diagnosis = load_diagnosis(&source(
        "diagnoses/d.yaml",
        "title: x\nwhen: [not: plaintext]\nat-fault: subject\nsay: the ${sbject} said ${reply.2}\n",
    ));
    insta::assert_snapshot!("diagnosis_of_nothing", rendered(&diagnosis.expect_err("it is wrong")));
    let server = load_server_description(&source("s.yaml", "title: x\nstart: {container: a, at: b}\n"));
    insta::assert_snapshot!("server_started_twice", rendered(&server.expect_err("it is wrong")));
    let server = load_server_description(&source("s.yaml", "title: x\nstart: {container: a}\nlogin: nobody\n"));
    insta::assert_snapshot!("server_with_a_login_of_one_word", rendered(&server.expect_err("it is wrong")));
    let baseline = load_baseline(&source("b.yaml", "- id: a\n  diagnosis: b\n  reason: c\n  until: 2027-13-01\n"));
    insta::assert_snapshot!("baseline_until_no_day", rendered(&baseline.expect_err("it is wrong")));
}

#[test]
fn names_that_lead_nowhere() {
    let mut catalogue = Catalogue::default();
    let load = |name: &str, text: &str| Arc::new(load_scenario(&source(name, text)).expect("it is right"));
    catalogue.scenarios.push(load(
        "server/a.yaml",
        "title: x\nlevel: should\ncatches: [stays-silent, stays-slient]\nsteps: [login]\n",
    ));
    catalogue.scenarios.push(load("server/b.yaml", "title: x\nlevel: should\nsteps: [login]\n"));
    for name in ["defects/server/stays-silent.yaml", "defects/server/never-caught.yaml"] {
        let text = "title: x\nsource: y\nsettings: {tickets: 0}\ntold-as: nothing-came\n";
        catalogue.defects.push(load_defect(&source(name, text)).expect("it is right").into());
    }
    let text = "title: x\nwhen: [timeout]\nat-fault: subject\nsay: nothing came\n";
    catalogue
        .diagnoses
        .push(load_diagnosis(&source("diagnoses/nothing-comes.yaml", text)).expect("it is right").into());
    insta::assert_snapshot!("names_that_lead_nowhere", rendered(&lint_all(&catalogue)));
    assert_eq!(lint_scenario(&catalogue.scenarios[1]).len(), 1);
}

#[test]
fn a_slip_that_shows_in_every_variant_is_told_once() {
    let text = with_steps("  - login\n  - receive");
    assert_eq!(load_scenario(&source("server/x.yaml", &text)).expect_err("it is wrong").len(), 1);
}

#[test]
fn the_plain_form_is_one_line() {
    let text = with_steps("  - login\n  - close-notify: control");
    let wrong = load_scenario(&source("server/x.yaml", &text)).expect_err("it is wrong");
    assert_eq!(wrong[0].plain(), "server/x.yaml:6:5: unknown act `close-notify`; did you mean `close_notify`?");
}

fn shown(ctx: &Context, diagnostics: &[Diagnostic]) {
    let case = ctx.description.unwrap_or("case");
    insta::assert_snapshot!(format!("{}_{case}", ctx.name), rendered(diagnostics));
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::render).collect::<Vec<_>>().join("\n\n")
}

fn source(name: &str, text: &str) -> Arc<Source> {
    Arc::new(Source { name: name.into(), text: text.into() })
}
