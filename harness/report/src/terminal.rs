//! What a person sees of a run: its cost before, progress while it goes on, then what went wrong, first things first,
//! and one line of counts at the end. It writes to whatever it is given, in colour only if it is told so, and never
//! prints a character of a peer's that a terminal would obey.

use std::io::{self, Write};

use ftpspec_results::{CaseResult, Fold, Plan, Results, RunEvent, Verdict};

use crate::layout::counted;
use crate::{escape, layout};
pub(crate) use block::log_heading;
use live::Live;
use paint::Paint;
use progress::Progress;
pub use selftest::{SelfTestTerminal, render_selftest};

mod block;
mod live;
mod paint;
mod progress;
mod selftest;
mod summary;

/// How the terminal's report is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How wide the terminal is, in columns.
    pub columns: usize,
    /// Whether to colour. The caller knows what it writes to, and whether `NO_COLOR` is set.
    pub colour: bool,
    /// How much to tell.
    pub detail: Detail,
    /// Whether a warning is red.
    pub strict: bool,
    /// Whether to show progress on stderr; nothing is shown if that is no terminal.
    pub progress: bool,
    /// The folder that evidence goes to, if any.
    pub evidence: Option<String>,
    /// Whether the lines of conversations are left as long as they are: for files, and for programs that search them.
    pub whole_lines: bool,
}

impl Default for Options {
    /// A terminal of unknown make: 80 columns, no colour, no progress.
    fn default() -> Self {
        Self {
            columns: 80,
            colour: false,
            detail: Detail::Normal,
            strict: false,
            progress: false,
            evidence: None,
            whole_lines: false,
        }
    }
}

/// How much the terminal's report tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// What is red, and the last line.
    Quiet,
    /// What a person wants to know after a run.
    #[default]
    Normal,
    /// Besides, everything as it happens.
    Verbose,
}

/// Writes a run to a terminal as it goes on.
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
    options: Options,
    fold: Fold,
    progress: Progress,
    live: Live,
}

impl<W: Write> Terminal<W> {
    /// A report that writes to `out`.
    pub fn new(out: W, options: Options) -> Self {
        let progress = Progress::new(options.progress && options.detail != Detail::Quiet);
        Self { out, options, fold: Fold::new(), progress, live: Live::default() }
    }

    /// Takes in the next event, and writes what it is due; the report itself when the run finishes.
    ///
    /// # Errors
    /// As the writer fails.
    pub fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        self.fold.push(event);
        self.progress.event(event);
        match event {
            RunEvent::RunStarted { plan, .. } if self.options.detail != Detail::Quiet => self.write(&cost(plan)),
            RunEvent::RunFinished { .. } => {
                let rest = self.live.rest();
                let report = self.fold.results().map(|results| render(&results, &self.options));
                self.write(&(rest + &report.unwrap_or_default()))
            }
            // There will be no report to tell it, for there was no run.
            RunEvent::Trouble { text } if self.fold.results().is_none() => {
                let text = format!("{}\n", escape::line(text));
                self.write(&text)
            }
            event if self.options.detail == Detail::Verbose => self.live(event),
            _ => Ok(()),
        }
    }

    /// The writer, when the run is over.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn live(&mut self, event: &RunEvent) -> io::Result<()> {
        let paint = Paint::new(self.options.colour);
        match event {
            RunEvent::ProbeFinished { lines } => {
                let lines = lines.iter().map(|line| self.hung(line, PROBE_LABEL));
                let text = format!("{}\n{}\n", paint.heading("probe"), lines.collect::<String>());
                return self.write(&text);
            }
            RunEvent::CaseStarted { id, variant, index } => {
                let name = if variant.is_empty() { id.clone() } else { format!("{id}@{variant}") };
                let heading = format!("{}\n", paint.heading(&self.clipped(&name, 0)));
                self.live.started(*index, heading);
            }
            RunEvent::Transcript { index, line, .. } => {
                let line = self.hung(line, SPEAKER);
                self.live.line(*index, line);
            }
            RunEvent::CasePlayed { index, .. } => {
                self.live.over(*index);
                // Its verdict, or a conversation that it is compared with, follows at once: nobody else speaks before.
                return Ok(());
            }
            RunEvent::CaseFinished(result) => {
                let (verdict, seconds) = (paint.verdict(result.verdict), summary::seconds(result.duration_ms));
                let taken = result.verdict.as_str().len().max(4) + seconds.len() + 3;
                let line = format!("{verdict} {}  {seconds}\n", self.clipped(&result.name(), taken));
                self.live.verdict(result.index, line);
            }
            _ => {}
        }
        let due = self.live.due();
        if due.is_empty() { Ok(()) } else { self.write(&due) }
    }

    /// A line as a whole, its further rows below the text behind its label.
    fn hung(&self, text: &str, label: usize) -> String {
        let text = escape::line(text);
        let room = if self.options.whole_lines { usize::MAX } else { self.options.columns.saturating_sub(MARGIN) };
        if layout::columns(&text) <= room {
            return format!("{:MARGIN$}{text}\n", "");
        }
        let rows = layout::wrap(&text, room.saturating_sub(label));
        let indents = std::iter::once(MARGIN).chain(std::iter::repeat(MARGIN + label));
        rows.iter().zip(indents).map(|(row, indent)| format!("{:indent$}{row}\n", "")).collect()
    }

    fn clipped(&self, text: &str, taken: usize) -> String {
        layout::clip(&escape::line(text), self.options.columns.saturating_sub(taken))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        // A progress bar is in the way of whoever shares its terminal.
        let out = &mut self.out;
        self.progress.aside(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }
}

/// The report of a whole run: what is red first, then what else is worth knowing, then the counts.
pub fn render(results: &Results, options: &Options) -> String {
    let paint = Paint::new(options.colour);
    let quiet = options.detail == Detail::Quiet;
    let mut out = String::new();
    for verdict in [Verdict::Fail, Verdict::Warn, Verdict::Untestable, Verdict::Error] {
        if quiet && !verdict.is_red(options.strict) {
            continue;
        }
        for alike in summary::alike(&results.results, verdict) {
            out.push_str(&block::render(&alike, options, paint));
            out.push('\n');
        }
    }
    if !quiet {
        out.push_str(&summary::known(results, options, paint));
        out.push_str(&summary::notes(results, options, paint));
        out.push_str(&summary::skips(results, options, paint));
    }
    out.push_str(&summary::stale(results, options, paint));
    out.push_str(&summary::trouble(results, options, paint));
    if !quiet {
        out.push_str(&summary::topics(results, options, paint));
    }
    out.push_str(&summary::last_line(results, options, paint));
    out
}

/// What one result looks like, without colour: other reports show it as it is.
pub(crate) fn block(result: &CaseResult, columns: usize) -> String {
    block::render(&[result], &Options { columns, ..Options::default() }, Paint::new(false))
}

/// The one line before a run.
fn cost(plan: &Plan) -> String {
    format!(
        "{}, {}, about {}, {} s\n\n",
        counted(plan.scenarios, "scenario"),
        counted(plan.variants, "variant"),
        counted(plan.connections, "connection"),
        plan.seconds_estimate
    )
}

/// Columns before the lines of probe and conversations.
const MARGIN: usize = 2;

/// Columns of a probe's label, such as `greeting`, and the space behind it.
const PROBE_LABEL: usize = 10;

/// Columns of `control  C> `.
const SPEAKER: usize = 12;

#[cfg(test)]
mod tests;
