//! The closed vocabularies of a result: the six verdicts, the level of a requirement, the role of the subject, and the
//! side at fault. Each word is written the same in YAML, in JSON and on the terminal. No verdict is reached here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one variant of one scenario came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The requirement was exercised, and held.
    Pass,
    /// A *must* was broken, or a *may* was taken and done wrongly.
    Fail,
    /// A *should* or a field practice was not met.
    Warn,
    /// Not applicable, for a typed reason.
    Skip,
    /// A prerequisite failed: nothing was learnt.
    Untestable,
    /// The harness or its surroundings failed. Never laid at the subject's door.
    Error,
}

impl Verdict {
    /// Whether this verdict keeps a run from being green; `strict` makes a warning count.
    ///
    /// An error is red too, and besides decides the exit status (see [`Exit`](crate::Exit)).
    pub fn is_red(self, strict: bool) -> bool {
        match self {
            Self::Fail | Self::Untestable | Self::Error => true,
            Self::Warn => strict,
            Self::Pass | Self::Skip => false,
        }
    }

    /// Whether a baseline may list this verdict as a known deviation: harness trouble must not be hidden by one, and
    /// what passed or was skipped does not deviate.
    pub fn can_be_known(self) -> bool {
        matches!(self, Self::Fail | Self::Warn | Self::Untestable)
    }

    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Untestable => "untestable",
            Self::Error => "error",
        }
    }
}

/// How much a scenario's requirement binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A MUST of a cited clause.
    Must,
    /// A SHOULD of a cited clause.
    Should,
    /// A MAY: not doing it is lawful, doing it wrongly is not.
    May,
    /// Derived, or the practice of the field.
    Field,
}

impl Level {
    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::May => "may",
            Self::Field => "field",
        }
    }
}

/// What the subject of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A server; we are its client.
    Server,
    /// A client; we are its server.
    Client,
    /// A proxy; we are on both of its sides.
    Proxy,
}

impl Role {
    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Proxy => "proxy",
        }
    }
}

/// Whose door a diagnosis lays a finding at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtFault {
    /// The implementation under test.
    Subject,
    /// What stands between us and the subject: a firewall, an address translator, a proxy.
    Path,
    /// The way the subject, or this run, was set up.
    Configuration,
    /// The harness itself.
    Harness,
}

impl AtFault {
    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Path => "path",
            Self::Configuration => "configuration",
            Self::Harness => "harness",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for AtFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_the_same_in_json_and_on_the_terminal() {
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Warn, Verdict::Skip, Verdict::Untestable, Verdict::Error]
        {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.to_string());
        }
        for level in [Level::Must, Level::Should, Level::May, Level::Field] {
            assert_eq!(serde_json::to_value(level).unwrap(), level.to_string());
        }
        for role in [Role::Server, Role::Client, Role::Proxy] {
            assert_eq!(serde_json::to_value(role).unwrap(), role.to_string());
        }
        for side in [AtFault::Subject, AtFault::Path, AtFault::Configuration, AtFault::Harness] {
            assert_eq!(serde_json::to_value(side).unwrap(), side.to_string());
        }
    }

    #[test]
    fn only_strictness_makes_a_warning_red() {
        assert!(!Verdict::Warn.is_red(false));
        assert!(Verdict::Warn.is_red(true));
        assert!(!Verdict::Skip.is_red(true));
        assert!(Verdict::Untestable.is_red(false));
    }
}
