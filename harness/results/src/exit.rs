//! The exit status of the tool: one documented table, which is a contract with whoever scripts it. No status is
//! decided anywhere else.

use std::process::ExitCode;

use crate::{Results, SelfTest, Signal, Verdict};

/// How the tool ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 0: nothing is red.
    Green,
    /// 1: something is red: a fail, an untestable, a stale baseline entry, or, if strict, a warn.
    Red,
    /// 2: wrong use, or a wrong file; nothing was run.
    WrongUse,
    /// 3: no connection, no greeting, a certificate not trusted or a login refused while a selected scenario needs a
    /// login; a peer or the harness failed. Wins over 1.
    Surroundings,
    /// 4: nothing was selected, or no scenario came to a verdict other than skip.
    NothingLearnt,
    /// 130: interrupted (SIGINT); reports are written.
    Interrupted,
    /// 143: terminated (SIGTERM); reports are written.
    Terminated,
}

impl Exit {
    /// How a run with these results ends.
    ///
    /// A signal comes first: a run that was cut short proved nothing about what it left out. Then trouble (3), then
    /// red (1): a stale baseline entry is red even if all else was skipped. Then emptiness (4).
    pub fn of(results: &Results, strict: bool) -> Self {
        if let Some(signal) = results.interrupted {
            return Self::of_signal(signal);
        }
        let cases = &results.results;
        if !results.trouble.is_empty() || cases.iter().any(|case| case.verdict == Verdict::Error) {
            return Self::Surroundings;
        }
        if !results.stale.is_empty() || cases.iter().any(|case| case.is_red(strict)) {
            return Self::Red;
        }
        if cases.iter().all(|case| case.verdict == Verdict::Skip) {
            return Self::NothingLearnt;
        }
        Self::Green
    }

    /// How a self-test ends, in the same order: a signal, trouble, red, nothing selected.
    pub fn of_selftest(selftest: &SelfTest) -> Self {
        match selftest.interrupted {
            Some(signal) => Self::of_signal(signal),
            None if selftest.has_trouble() => Self::Surroundings,
            None if !selftest.is_proof() => Self::Red,
            None if selftest.scenarios.is_empty() => Self::NothingLearnt,
            None => Self::Green,
        }
    }

    /// How whatever was cut short by this signal ends.
    pub fn of_signal(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }

    /// The status that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Green => 0,
            Self::Red => 1,
            Self::WrongUse => 2,
            Self::Surroundings => 3,
            Self::NothingLearnt => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StaleEntry;
    use crate::fold::tests::{case, known, results_of};

    fn code(verdicts: &[Verdict], strict: bool) -> u8 {
        let cases: Vec<_> = verdicts.iter().enumerate().map(|(i, v)| case("server/a", i, *v)).collect();
        Exit::of(&results_of(&cases), strict).code()
    }

    #[test]
    fn each_verdict_has_its_status() {
        use Verdict::*;
        assert_eq!(code(&[Pass, Skip], false), 0);
        assert_eq!(code(&[Pass, Warn], false), 0);
        assert_eq!(code(&[Pass, Warn], true), 1);
        assert_eq!(code(&[Pass, Fail], false), 1);
        assert_eq!(code(&[Pass, Untestable], false), 1);
        assert_eq!(code(&[Pass, Error], false), 3);
        assert_eq!(code(&[Fail, Error], false), 3);
    }

    #[test]
    fn a_run_that_learnt_nothing_is_not_green() {
        assert_eq!(code(&[], false), 4);
        assert_eq!(code(&[Verdict::Skip, Verdict::Skip], false), 4);
    }

    #[test]
    fn trouble_wins_over_red() {
        let mut results = results_of(&[case("server/a", 0, Verdict::Untestable)]);
        results.trouble.push("login refused".to_owned());
        assert_eq!(Exit::of(&results, false).code(), 3);
    }

    #[test]
    fn what_is_known_is_green_until_its_entry_is_stale() {
        let mut results = results_of(&[known(case("server/a", 0, Verdict::Fail))]);
        assert_eq!(Exit::of(&results, true).code(), 0);
        let (id, variant) = ("server/b".to_owned(), "*".to_owned());
        results.stale.push(StaleEntry { id, variant, why: "it passes".to_owned() });
        assert_eq!(Exit::of(&results, false).code(), 1);
    }

    #[test]
    fn a_signal_wins_over_everything() {
        let mut results = results_of(&[case("server/a", 0, Verdict::Error)]);
        results.interrupted = Some(Signal::Interrupt);
        assert_eq!(Exit::of(&results, false).code(), 130);
        results.interrupted = Some(Signal::Terminate);
        assert_eq!(Exit::of(&results, false).code(), 143);
    }
}
