//! The kinds of files: scenario, defect, rules, diagnosis, server description, baseline.

use super::acts::SCRIPT_SHAPE;
use super::patterns::WHEN;
use super::{
    CLAUSE, CLAUSES, CODE, DURATION_FORMAT, EXPECTATIONS, FIXTURE, NAME, NAME_FORMAT, NAMES, NUMBER, TEXT, TEXTS, VERB,
    YES_NO,
};
use crate::model::{AtFault, Capability, Effects, Level, TlsDemand};
use crate::shape::{Choice, Format, Key, Named, Settings, Shape, key, needed};

pub(crate) static SCENARIO: Shape = Shape::Record(SCENARIO_KEYS);
static SCENARIO_KEYS: &[Key] = &[
    needed("title", "One line that states the demand.", &TEXT),
    needed("level", "How binding the demand is; `must` needs a MUST in a cited clause.", &LEVEL),
    key("clauses", "The clauses it rests on.", &CLAUSES),
    key("field-cases", "The field cases it reproduces.", &NAMES),
    key("effects", "What it does to the subject; `read` if nothing is said.", &EFFECTS),
    key("needs", "What the subject must offer, or be configured to do.", &NEEDS),
    key("catches", "The defects that it is shown to catch.", &NAMES),
    key("why", "Why it exists, for people.", &TEXT),
    key("alone", "Whether it wants a peer of its own.", &YES_NO),
    key("vary", "Axes of its own: each has words to choose from.", &Shape::Table(&NAME_FORMAT, &AXIS)),
    key("steps", "What we do as the client.", &SCRIPT_SHAPE),
    key("parts", "Scripts that steps and rules take in by name.", &Shape::Table(&NAME_FORMAT, &SCRIPT_SHAPE)),
    key("server", "What the reference server does otherwise than by default.", &PEER),
    key("client", "What the client under test is asked to do.", &CLIENT),
    key("expect", "What must hold of the whole conversation.", &EXPECTATIONS),
];

static LEVEL: Shape = Shape::Text(&Format::Words { noun: "a level", words: Level::WORDS });
static EFFECTS: Shape = Shape::Text(&Format::Words { noun: "an effect", words: Effects::WORDS });
static CAPABILITY: Shape = Shape::Text(&Format::Words { noun: "a capability", words: Capability::WORDS });
static NEEDS: Shape = Shape::List(&CAPABILITY);

static AXIS: Shape = Shape::Either(&[Shape::List(&NAME), Shape::Table(&NAME_FORMAT, &AXIS_VALUE)]);
static AXIS_VALUE: Shape =
    Shape::Either(&[Shape::Text(&Format::Any), Shape::Named(&super::acts::SCRIPT), Shape::Record(AXIS_VALUE_KEYS)]);
static AXIS_VALUE_KEYS: &[Key] = &[
    key("needs", "What the subject must offer for this value.", &NEEDS),
    key("effects", "What this value does to the subject.", &EFFECTS),
    key("level", "How binding the demand is with this value.", &LEVEL),
    key("script", "The acts that `${axis}` stands for.", &SCRIPT_SHAPE),
    key("text", "The text that `${axis}` stands for.", &TEXT),
];

static PEER: Shape = Shape::Record(PEER_KEYS);
static PEER_KEYS: &[Key] = &[SETTINGS, RULES_KEY];
const SETTINGS: Key =
    key("settings", "Settings of the reference server that differ from the correct value.", &SERVER_SETTINGS);
static SERVER_SETTINGS: Shape = Shape::Settings(&Settings {
    names: crate::settings::SETTINGS,
    takes: |setting, value| crate::settings::ServerSettings::default().set(setting, value),
});
const RULES_KEY: Key = key("rules", "Scripts in place of the correct ones.", &RULE_LIST);
static RULE_LIST: Shape = Shape::List(&RULE);
static RULE: Shape = Shape::Named(&RULE_NAMED);
static RULE_NAMED: Named = Named {
    name: "rule",
    doc: "A script in place of the correct one, for one command.",
    shape: Shape::Record(RULE_KEYS),
};
static RULE_KEYS: &[Key] = &[
    needed("on", "The command, or `greeting`.", &VERB),
    key("if", "When it applies; all that is given must hold.", &Shape::Record(CONDITION_KEYS)),
    needed("script", "What is done.", &SCRIPT_SHAPE),
];
static CONDITION_KEYS: &[Key] = &[
    key("argument", "The command's argument, exactly.", &TEXT),
    key("file", "What the command is about.", &FILE_STATE),
    key("nth", "The how-manieth time this command comes in the session, from 1.", &NUMBER),
    key("protected", "Whether the control connection is protected.", &YES_NO),
];
static FILE_STATE: Shape =
    Shape::Text(&Format::Words { noun: "a state of a file", words: &["empty", "not-empty", "missing"] });

pub(crate) static CLIENT: Shape = Shape::Choice(&Choice { noun: "an action of a client", keys: ACTIONS, beside: &[] });
static ACTIONS: &[Key] = &[
    key("login", "Logs in, and out again.", &REQUEST),
    key("get", "Fetches these files in one session.", &REQUEST),
    key("put", "Stores these files in one session.", &REQUEST),
    key("list", "Lists a directory.", &REQUEST),
    key("ccc", "Fetches these files, with CCC after the login.", &REQUEST),
    key("active", "Fetches these files in active mode.", &REQUEST),
    key("parallel", "Fetches these files at the same time, each in a session of its own.", &REQUEST),
];
static REQUEST: Shape = Shape::Either(&[Shape::Nothing, Shape::List(&FIXTURE), Shape::Record(REQUEST_KEYS)]);
static REQUEST_KEYS: &[Key] = &[
    key("files", "The fixtures it is about.", &Shape::List(&FIXTURE)),
    key(
        "tls",
        "`demanded`: the client is told to go on only with TLS; `demanded-on-data`: there too; `asked-for`: neither.",
        &DEMANDED,
    ),
];
static DEMANDED: Shape = Shape::Text(&Format::Words {
    noun: "what can be asked of TLS",
    words: &[TlsDemand::WORDS[0], TlsDemand::WORDS[1], "asked-for"],
});

pub(crate) static RULES: Shape = Shape::Record(PEER_KEYS);

pub(crate) static DEFECT: Shape = Shape::Record(DEFECT_KEYS);
static DEFECT_KEYS: &[Key] = &[
    needed("title", "What it does, in one line.", &TEXT),
    needed("source", "Where it was seen.", &TEXT),
    SETTINGS,
    RULES_KEY,
    needed("told-as", "The diagnosis that must come out.", &NAME),
];

pub(crate) static CLIENT_DEFECT: Shape = Shape::Record(CLIENT_DEFECT_KEYS);
static CLIENT_DEFECT_KEYS: &[Key] = &[
    needed("title", "What it does, in one line.", &TEXT),
    needed("source", "Where it was seen.", &TEXT),
    CLIENT_SETTINGS_KEY,
    CLIENT_RULES_KEY,
    needed("told-as", "The diagnosis that must come out.", &NAME),
];
pub(crate) static CLIENT_RULES: Shape = Shape::Record(CLIENT_PEER_KEYS);
static CLIENT_PEER_KEYS: &[Key] = &[CLIENT_SETTINGS_KEY, CLIENT_RULES_KEY];
const CLIENT_SETTINGS_KEY: Key =
    key("settings", "Settings of the reference client that differ from the correct value.", &CLIENT_SETTINGS);
static CLIENT_SETTINGS: Shape = Shape::Settings(&Settings {
    names: crate::client_settings::CLIENT_SETTINGS,
    takes: |setting, value| crate::client_settings::ClientSettings::default().set(setting, value),
});
const CLIENT_RULES_KEY: Key = key("rules", "Scripts in place of the correct ones.", &CLIENT_RULE_LIST);
static CLIENT_RULE_LIST: Shape = Shape::List(&CLIENT_RULE);
static CLIENT_RULE: Shape = Shape::Named(&CLIENT_RULE_NAMED);
static CLIENT_RULE_NAMED: Named = Named {
    name: "client-rule",
    doc: "A script in place of the correct one, for one thing that a client does.",
    shape: Shape::Record(CLIENT_RULE_KEYS),
};
static CLIENT_RULE_KEYS: &[Key] =
    &[needed("on", "What it does.", &DOING), needed("script", "What is done.", &SCRIPT_SHAPE)];
static DOING: Shape = Shape::Text(&Format::Words { noun: "something that a client does", words: DOINGS });
/// What the reference client does, in the order in which it does it.
const DOINGS: &[&str] =
    &["greeting", "AUTH", "login", "protect", "CCC", "EPSV", "PASV", "PORT", "EPRT", "get", "put", "list", "QUIT"];

pub(crate) static CLIENT_DESCRIPTION: Shape = Shape::Record(CLIENT_DESCRIPTION_KEYS);
static CLIENT_DESCRIPTION_KEYS: &[Key] = &[
    needed("title", "The name that reports show.", &TEXT),
    key("container", "An image in which all of it runs; without it what is installed is run.", &TEXT),
    key("version", "A program and its arguments that print the version.", &TEXTS),
    key("common", "A program and its arguments, the same in each action.", &TEXTS),
    needed("actions", "What stands behind these in each action.", &Shape::Record(ACTION_KEYS)),
    key("env", "What is added to its environment.", &Shape::Table(&NAME_FORMAT, &TEXT)),
    key("demands", "What these options tell the client to insist on.", &Shape::Record(DEMAND_KEYS)),
    key("success", "`exit 0`, or another status that means it did what it was asked for.", &SUCCESS),
];
static ACTION_KEYS: &[Key] = &[
    key("login", "Logs in, and out again.", &ARGUMENTS),
    key("get", "Fetches files in one session.", &ARGUMENTS),
    key("put", "Stores files in one session.", &ARGUMENTS),
    key("list", "Lists a directory.", &ARGUMENTS),
    key("ccc", "Fetches files, with CCC after the login.", &ARGUMENTS),
    key("active", "Fetches files in active mode.", &ARGUMENTS),
    key("parallel", "Fetches files at the same time, each in a session of its own.", &ARGUMENTS),
];
static ARGUMENTS: Shape = Shape::List(&ARGUMENT);
/// A list within is repeated for each file.
static ARGUMENT: Shape = Shape::Either(&[Shape::Text(&Format::Any), Shape::List(&TEXT)]);
static DEMAND_KEYS: &[Key] = &[
    key("control", "That the control connection has TLS.", &TLS_WORD),
    key("data", "That data connections have TLS.", &TLS_WORD),
];
static TLS_WORD: Shape = Shape::Text(&Format::Words { noun: "what can be insisted on", words: &["TLS"] });
static SUCCESS: Shape = Shape::Text(&Format::Pattern {
    due: "an exit status such as `exit 0`",
    pattern: "^exit [0-9]{1,3}$",
    holds: |text| crate::client::exit_status(text).is_some(),
});

pub(crate) static DIAGNOSIS: Shape = Shape::Record(DIAGNOSIS_KEYS);
static DIAGNOSIS_KEYS: &[Key] = &[
    needed("title", "One line.", &TEXT),
    needed("when", "Events in this order.", &Shape::List(&WHEN)),
    needed("at-fault", "Whose fault it is.", &AT_FAULT),
    needed("say", "The text that a person reads, with variables from the log.", &TEXT),
    key("clauses", "The clauses it rests on.", &CLAUSES),
    key("field-cases", "The field cases it tells.", &NAMES),
    key("seen-as", "How other software shows the same thing, by its name.", &SEEN_AS),
];
static AT_FAULT: Shape = Shape::Text(&Format::Words { noun: "a side that can be at fault", words: AtFault::WORDS });
static SEEN_AS: Shape = Shape::Table(
    &NAME_FORMAT,
    &Shape::Either(&[Shape::Text(&Format::Any), Shape::List(&TEXT), Shape::Table(&NAME_FORMAT, &SEEN_AS_DETAIL)]),
);
static SEEN_AS_DETAIL: Shape = Shape::Either(&[Shape::Text(&Format::Any), Shape::List(&TEXT)]);

pub(crate) static SERVER: Shape = Shape::Record(SERVER_KEYS);
static SERVER_KEYS: &[Key] = &[
    needed("title", "The name that reports show.", &TEXT),
    needed("start", "How it is started, or where it runs.", &Shape::Record(START_KEYS)),
    key("ready", "The code of the greeting that tells it is ready; 220 if nothing is said.", &CODE),
    key(
        "login",
        "Who may log in; the user of the run if nothing is said. With `none` scenarios that log in are skipped.",
        &LOGIN,
    ),
    key("log", "Its own log file, shown with failures.", &TEXT),
    key("configurations", "What each of its configurations provides.", &Shape::Table(&NAME_FORMAT, &CONFIGURATION)),
];
static START_KEYS: &[Key] = &[
    key("container", "An image; each run starts its own container.", &TEXT),
    key("command", "A program and its arguments.", &TEXTS),
    key("at", "The URL of a server that runs already.", &TEXT),
    key("env", "Environment of the container or program.", &Shape::Table(&NAME_FORMAT, &TEXT)),
];
static LOGIN: Shape =
    Shape::Either(&[Shape::Text(&Format::Words { noun: "a login", words: &["none"] }), Shape::Record(LOGIN_KEYS)]);
static LOGIN_KEYS: &[Key] = &[
    needed("user", "The user.", &TEXT),
    needed("password", "The password; a variable, never the word itself.", &TEXT),
];
static CONFIGURATION: Shape = Shape::Record(CONFIGURATION_KEYS);
static CONFIGURATION_KEYS: &[Key] = &[needed("provides", "Capabilities that scenarios can need.", &NEEDS)];

pub(crate) static TARGET: Shape = Shape::Record(TARGET_KEYS);
static TARGET_KEYS: &[Key] = &[
    needed("title", "The name that reports show.", &TEXT),
    needed("server", "Where it is: ftp://USER@HOST[:PORT] (explicit TLS) or ftps://… (implicit TLS).", &TEXT),
    key("password", "Where the password is; never the password itself.", &Shape::Record(PASSWORD_KEYS)),
    key("tls", "Certificates and versions.", &Shape::Record(TLS_KEYS)),
    key("fixtures", "Paths of files that are there, and of a folder that may be written.", &Shape::Record(PATH_KEYS)),
    key("allow", "What may be done to it; only reading if nothing is said.", &Shape::List(&EFFECTS)),
    key("pace", "How hard it may be worked.", &Shape::Record(PACE_KEYS)),
    key("passive-ports", "The range that its passive ports come from, both ends included.", &PORTS),
    key("provides", "What it is set up to do, as far as no probe can find out.", &NEEDS),
    key("baseline", "The file of its known deviations.", &TEXT),
];
static PASSWORD_KEYS: &[Key] = &[
    key("env", "The environment variable that holds it.", &TEXT),
    key("file", "The file whose first line it is.", &TEXT),
];
static TLS_KEYS: &[Key] = &[
    key("ca-file", "The certificates (PEM) to trust; the system's if nothing is said.", &TEXT),
    key("versions", "The versions to test it with.", &Shape::List(&VERSION)),
    key("client-certificate", "A client certificate with its chain (PEM).", &TEXT),
    key("client-key", "Its private key.", &Shape::Record(KEY_KEYS)),
];
static KEY_KEYS: &[Key] = &[needed("file", "The file (PEM).", &TEXT)];
static VERSION: Shape = Shape::Text(&Format::Words { noun: "a TLS version", words: &["1.2", "1.3"] });
static PATH_KEYS: &[Key] = &[
    key("empty", "A file of no octets.", &TEXT),
    key("one-octet", "A file that holds the digit 1.", &TEXT),
    key("text", "A copy of the text fixture, octet for octet.", &TEXT),
    key("text-crlf", "The same with CR LF.", &TEXT),
    key("large", "A copy of the large fixture, octet for octet.", &TEXT),
    key("empty-directory", "A folder with nothing in it.", &TEXT),
    key("missing", "A path where nothing is.", &TEXT),
    key("any", "Some small file, whatever it holds.", &TEXT),
    key("scratch", "A folder that may be written; it is left as it was found.", &TEXT),
];
static PACE_KEYS: &[Key] = &[
    key("connections", "Sessions at once.", &NUMBER),
    key("per-minute", "Control connections in a minute.", &NUMBER),
    key("total", "Control connections in all; what needs more is skipped.", &NUMBER),
    key("pause", "Between the end of a session and the beginning of the next.", &PAUSE),
];
static PAUSE: Shape = Shape::Text(&DURATION_FORMAT);
static PORTS: Shape = Shape::Text(&Format::Pattern {
    due: "a range of ports such as `50000-50009`",
    pattern: "^[0-9]{1,5}-[0-9]{1,5}$",
    holds: |text| crate::target::ports(text).is_some(),
});

pub(crate) static BASELINE: Shape = Shape::List(&BASELINE_ENTRY);
static BASELINE_ENTRY: Shape = Shape::Named(&BASELINE_ENTRY_NAMED);
static BASELINE_ENTRY_NAMED: Named = Named {
    name: "deviation",
    doc: "A known deviation: still run and shown, not red.",
    shape: Shape::Record(BASELINE_KEYS),
};
static BASELINE_KEYS: &[Key] = &[
    needed("id", "The scenario.", &TEXT),
    key("variant", "A glob over the variants' names; `*` if nothing is said.", &TEXT),
    needed("diagnosis", "The diagnosis that it must fail with, or a list of which it is one.", &NAME_OR_NAMES),
    needed("reason", "Why it is known, for people.", &TEXT),
    key("clause", "The clause that it breaks.", &CLAUSE),
    key("link", "Where it is told.", &TEXT),
    key("until", "The last day on which it holds.", &DATE),
    key("chance", "What it depends on whether a run sees it at all: a run that does not is not red.", &TEXT),
];
static NAME_OR_NAMES: Shape = Shape::Either(&[Shape::Text(&NAME_FORMAT), Shape::List(&NAME)]);
static DATE: Shape = Shape::Text(&Format::Pattern {
    due: "a day such as `2027-03-31`",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    holds: is_date,
});

fn is_date(text: &str) -> bool {
    let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] else { return false };
    let number = |part: &str, width: usize| {
        (part.len() == width && part.bytes().all(|octet| octet.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())
            .flatten()
    };
    number(year, 4).is_some()
        && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
        && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
}
