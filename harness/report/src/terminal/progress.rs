//! The progress bar, on stderr, and only if that is a terminal. It never writes to where the report goes.

use ftpspec_results::RunEvent;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::escape;

/// A bar that knows how many variants are done, and which began last.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(shown: bool) -> Self {
        // indicatif draws nothing on a stderr that is no terminal.
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{pos}/{len} [{bar:24}] {wide_msg}").expect("the template is right");
        Self { bar: ProgressBar::with_draw_target(None, target).with_style(style) }
    }

    pub(super) fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { plan, .. } => self.is_due(plan.variants),
            RunEvent::CaseStarted { id, .. } => self.begins(id),
            RunEvent::CaseFinished(_) => self.one_is_done(),
            RunEvent::RunFinished { .. } => self.is_over(),
            RunEvent::ProbeFinished { .. }
            | RunEvent::Trouble { .. }
            | RunEvent::Transcript { .. }
            | RunEvent::CasePlayed { .. }
            | RunEvent::Interrupted { .. } => {}
        }
    }

    pub(super) fn is_due(&self, steps: usize) {
        self.bar.set_length(steps as u64);
    }

    pub(super) fn begins(&self, name: &str) {
        self.bar.set_message(escape::line(name).into_owned());
    }

    pub(super) fn one_is_done(&self) {
        self.bar.inc(1);
    }

    pub(super) fn is_over(&self) {
        self.bar.finish_and_clear();
    }

    /// Does `work` with the bar out of the way.
    pub(super) fn aside<R>(&self, work: impl FnOnce() -> R) -> R {
        self.bar.suspend(work)
    }
}
