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
            RunEvent::RunStarted { plan, .. } => self.bar.set_length(plan.variants as u64),
            RunEvent::CaseStarted { id, .. } => self.bar.set_message(escape::line(id).into_owned()),
            RunEvent::CaseFinished(_) => self.bar.inc(1),
            RunEvent::RunFinished { .. } => self.bar.finish_and_clear(),
            RunEvent::ProbeFinished { .. }
            | RunEvent::Trouble { .. }
            | RunEvent::Transcript { .. }
            | RunEvent::CasePlayed { .. }
            | RunEvent::Interrupted { .. } => {}
        }
    }

    /// Does `work` with the bar out of the way.
    pub(super) fn aside<R>(&self, work: impl FnOnce() -> R) -> R {
        self.bar.suspend(work)
    }
}
