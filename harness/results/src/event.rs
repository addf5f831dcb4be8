//! The story of a run as a stream of events, in the order in which things happen. The stream is complete: whoever has
//! all of it needs nothing else to write any report. An event must never hold a secret; what enters one has passed the
//! log's own redaction.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::{CaseResult, StaleEntry};

/// One thing that happened in a run.
///
/// A run emits `RunStarted` first and `RunFinished` last; a run that was killed ends anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEvent {
    /// The schedule is made; nothing has been sent yet.
    RunStarted {
        /// What the run will cost.
        plan: Plan,
        /// Who is tested.
        subject: Subject,
        /// The TLS libraries that we test with.
        libraries: Libraries,
        /// When it began.
        started: Started,
    },
    /// The probe is done.
    ProbeFinished {
        /// What it found, one capability a line.
        lines: Vec<String>,
    },
    /// The surroundings failed the run as a whole: no connection, no greeting, login refused, a peer that did not
    /// start. One of these alone makes the exit status 3.
    Trouble {
        /// What failed, as a lower-case fragment.
        text: String,
    },
    /// A variant begins.
    CaseStarted {
        /// The scenario's id.
        id: String,
        /// The variant, or empty.
        variant: String,
        /// Its place in the schedule, as [`CaseResult::index`]: what keeps apart the same variant played twice.
        #[serde(default)]
        index: usize,
    },
    /// A line of the live transcript, for those who watch: told while the variant is played, once, in its order, and
    /// only if the run was asked for it. Between the lines of one variant those of others may stand.
    Transcript {
        /// The scenario's id.
        id: String,
        /// The variant, or empty.
        variant: String,
        /// Its place in the schedule.
        #[serde(default)]
        index: usize,
        /// The line, in the shape of the normal form, with the peer's own words.
        line: String,
    },
    /// A variant's conversation is over. Its verdict follows, at once or when the variants that it is compared with are
    /// over too.
    CasePlayed {
        /// The scenario's id.
        id: String,
        /// The variant, or empty.
        variant: String,
        /// Its place in the schedule.
        index: usize,
    },
    /// A variant came to its verdict.
    CaseFinished(Box<CaseResult>),
    /// A signal ended the run early; what was done stands.
    Interrupted {
        /// Which signal.
        signal: Signal,
    },
    /// The run is over.
    RunFinished {
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// The baseline's entries that no longer hold.
        stale: Vec<StaleEntry>,
    },
}

/// What a run will cost, told before it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How many scenarios were selected.
    pub scenarios: usize,
    /// How many variants they have in all.
    pub variants: usize,
    /// About how many connections that takes.
    pub connections: usize,
    /// About how long that takes, in seconds.
    pub seconds_estimate: u64,
}

/// Who is tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What it is.
    pub role: crate::Role,
    /// What we call it: the peer's name, the description's, or the host.
    pub name: String,
    /// Its version, where known.
    pub version: Option<String>,
    /// Where it is: `HOST:PORT`.
    pub address: String,
}

/// The versions of the TLS libraries that we test with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libraries {
    /// Of rustls.
    pub rustls: String,
    /// Of OpenSSL.
    pub openssl: String,
}

/// A signal that ends a run early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: somebody, or a CI system, wants us gone.
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminate",
        })
    }
}

/// When a run began: UTC, to the second, written as RFC 3339 (`2026-11-20T21:48:00Z`).
///
/// The clock is read by the caller; this crate has none. The year is always of four digits, as RFC 3339 wants it, so
/// that no report has to handle another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Started(OffsetDateTime);

impl Started {
    /// The moment as a date and time in UTC.
    pub fn moment(self) -> OffsetDateTime {
        self.0
    }
}

impl From<SystemTime> for Started {
    /// A clock that stands before 1970 or after 9999 tells nothing; it is taken for 1970-01-01.
    fn from(moment: SystemTime) -> Self {
        let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let moment = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        Self(moment.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }
}

impl FromStr for Started {
    type Err = StartedError;

    fn from_str(text: &str) -> Result<Self, StartedError> {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .and_then(|moment| moment.checked_to_offset(UtcOffset::UTC))
            // Year 0 at an offset east of Greenwich is a negative year in UTC.
            .filter(|moment| (0..=9999).contains(&moment.year()))
            .and_then(|moment| moment.replace_nanosecond(0).ok())
            .map(Self)
            .ok_or_else(|| StartedError(text.to_owned()))
    }
}

impl TryFrom<String> for Started {
    type Error = StartedError;

    fn try_from(text: String) -> Result<Self, StartedError> {
        text.parse()
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
    }
}

impl From<Started> for String {
    fn from(started: Started) -> Self {
        started.to_string()
    }
}

/// A text that is no RFC 3339 date and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read \"{0}\" as an RFC 3339 date and time")]
pub struct StartedError(String);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_start_is_told_in_utc_to_the_second() {
        let started: Started = "2026-11-20T23:48:07.5+02:00".parse().unwrap();
        assert_eq!(started.to_string(), "2026-11-20T21:48:07Z");
        assert_eq!(serde_json::to_string(&started).unwrap(), "\"2026-11-20T21:48:07Z\"");
        assert_eq!(serde_json::from_str::<Started>("\"2026-11-20T21:48:07Z\"").unwrap(), started);
    }

    #[test]
    fn a_start_that_is_no_date_is_told() {
        let error = serde_json::from_str::<Started>("\"yesterday\"").unwrap_err();
        assert!(error.to_string().contains("read \"yesterday\" as an RFC 3339 date and time"), "{error}");
        for edge in ["0000-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"] {
            assert!(edge.parse::<Started>().is_err(), "{edge} is in no year of four digits");
        }
    }

    #[test]
    fn the_clock_of_the_system_is_a_start() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(86_399);
        assert_eq!(Started::from(moment).to_string(), "1970-01-01T23:59:59Z");
        let nonsense = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Started::from(nonsense).to_string(), "1970-01-01T00:00:00Z");
    }
}
