//! The few colours of the terminal's report, and none at all if so told. A colour never carries what the words beside
//! it do not say.

use anstyle::{AnsiColor, Style};
use ftpspec_results::Verdict;

/// Colours, or leaves alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    colour: bool,
}

impl Paint {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// The verdict's word in capitals, at least four columns wide.
    pub(super) fn verdict(self, verdict: Verdict) -> String {
        let style = match verdict {
            Verdict::Pass => AnsiColor::Green.on_default(),
            Verdict::Fail | Verdict::Error => AnsiColor::Red.on_default().bold(),
            Verdict::Warn | Verdict::Untestable => AnsiColor::Yellow.on_default().bold(),
            Verdict::Skip => AnsiColor::Cyan.on_default(),
        };
        self.paint(style, &format!("{:4}", verdict.as_str().to_uppercase()))
    }

    pub(super) fn heading(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// What points at the trouble.
    pub(super) fn pointer(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    /// What frames the text, and is not it.
    pub(super) fn frame(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// The counts of a run in which nothing is red.
    pub(super) fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default().bold(), text)
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
