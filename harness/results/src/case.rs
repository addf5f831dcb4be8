//! One result: the verdict of one variant of one scenario, what it rests on, and what a person needs to see of it.
//! Everything here is plain data that the engine fills in. Text that a peer sent stands in it as it came (redacted by
//! the log's own door); neutralising it is the duty of whoever prints it.

use serde::{Deserialize, Serialize};

use crate::{AtFault, Level, Role, Verdict};

/// The verdict of one variant of one scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The scenario's id: its path below `scenarios/`, without the ending.
    pub id: String,
    /// The variant as in selectors (`engine=rustls,open=EPSV`), or empty.
    pub variant: String,
    /// Its place in the schedule, from 0: results are ordered by id, then by this, however the run interleaved them.
    #[serde(default)]
    pub index: usize,
    /// What the subject is in this scenario.
    pub role: Role,
    /// How much the requirement binds.
    pub level: Level,
    /// What it came to.
    pub verdict: Verdict,
    /// The clauses it rests on, such as `rfc4217#10.1`.
    pub clauses: Vec<String>,
    /// The field cases it guards against.
    pub field_cases: Vec<String>,
    /// What the evidence looks like, in words, if a diagnosis recognised it.
    pub diagnosis: Option<Diagnosis>,
    /// Why it was skipped, is untestable or failed to run; begins with its type (`capability: …`).
    pub reason: Option<String>,
    /// What is unusual but lawful, or was only recorded. Changes no verdict.
    pub notes: Vec<String>,
    /// The baseline's entry, if this deviation is known.
    pub known: Option<Known>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The scenario's title.
    #[serde(default)]
    pub title: String,
    /// The scenario's file, as a path below `scenarios/`.
    #[serde(default)]
    pub file: String,
    /// What to show of a verdict other than pass.
    #[serde(default)]
    pub evidence: Option<Box<Evidence>>,
    /// What the server itself wrote meanwhile, where it is one that we started and the verdict is neither pass nor skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_log: Option<Box<ServerLog>>,
    /// The whole conversation in normal form, line by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<String>,
}

impl CaseResult {
    /// The name that selects exactly this: `ID`, or `ID@VARIANT`.
    pub fn name(&self) -> String {
        if self.variant.is_empty() { self.id.clone() } else { format!("{}@{}", self.id, self.variant) }
    }

    /// The folder part of the id: `server/data` of `server/data/retr-empty-file`; empty if it has none.
    pub fn topic(&self) -> &str {
        self.id.rsplit_once('/').map_or("", |(topic, _)| topic)
    }

    /// Whether this keeps the run from being green. A known deviation does not.
    pub fn is_red(&self, strict: bool) -> bool {
        self.known.is_none() && self.verdict.is_red(strict)
    }
}

/// What a failure looks like, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Its name, such as `plaintext-in-handshake`.
    pub id: String,
    /// What happened, and what else it is known as.
    pub text: String,
    /// Whose door it lays the finding at.
    pub at_fault: AtFault,
}

/// A deviation that the baseline lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Why it is put up with.
    pub reason: String,
    /// The last day on which it is, as `YYYY-MM-DD`.
    pub until: Option<String>,
}

/// What a person needs to see of a verdict other than pass: where in the scenario, what was due, what came, the last
/// lines of the conversation, and how to see it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The scenario's title.
    pub title: String,
    /// The file that holds the step or expectation, as a path below `scenarios/`.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// The column in it, from 1.
    pub column: usize,
    /// The lines around it.
    pub source: Vec<SourceLine>,
    /// What to underline among them.
    pub caret: Option<Caret>,
    /// What was due.
    pub due: String,
    /// What came instead.
    pub came: String,
    /// The last lines of each connection, in the shape of the normal form (`control  C> AUTH TLS`).
    pub conversation: Vec<String>,
    /// The diagnosis, if one recognised it.
    pub diagnosis: Option<Diagnosis>,
    /// What others show for the same thing: messages and codes of well-known implementations.
    pub seen_as: Vec<String>,
    /// The ids of the other diagnoses that fit.
    pub also: Vec<String>,
    /// The command line that runs exactly this again.
    pub again: String,
    /// The same by hand, with common tools, where that is possible.
    pub by_hand: Option<String>,
}

/// The end of what a server wrote, to its output and its log file, while a variant was played.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLog {
    /// Whether sessions of other variants were under way: lines about them stand among these, and nothing tells whose is
    /// which.
    pub shared: bool,
    /// The last lines, the oldest first.
    pub lines: Vec<String>,
    /// Whether there were more lines before them, or longer ones.
    pub clipped: bool,
    /// How the server ended (`exit status: 1`, `signal: 6 (SIGABRT)`), if it is gone.
    pub ended: Option<String>,
}

/// One line of a scenario's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// Its number, from 1.
    pub number: usize,
    /// Its text, without the line end.
    pub text: String,
}

/// A stretch of one source line, underlined and labelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caret {
    /// The line, from 1.
    pub line: usize,
    /// The first column, in characters, from 1.
    pub column: usize,
    /// How many characters.
    pub length: usize,
    /// What to say about it.
    pub label: String,
}
