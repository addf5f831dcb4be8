//! One finding, as a person reads it: what was broken, where the scenario asks for it, what was due and what came, the
//! last lines of the conversation, what that is known as, and the commands that show it again.

use ftpspec_results::{AtFault, Caret, CaseResult, Diagnosis, Evidence, ServerLog, SourceLine};

use super::paint::Paint;
use super::{Options, summary};
use crate::{escape, layout};

/// The block of results that are alike; the first speaks for all, the others are named.
pub(super) fn render(alike: &[&CaseResult], options: &Options, paint: Paint) -> String {
    let Some((result, others)) = alike.split_first() else {
        return String::new();
    };
    let mut block = Block { out: String::new(), columns: options.columns, paint };
    block.head(result);
    block.others(others);
    if let Some(reason) = &result.reason {
        block.gap();
        block.labelled("reason", reason);
    }
    if let Some(known) = &result.known {
        block.gap();
        block.labelled("known", &known.reason);
    }
    match &result.evidence {
        Some(evidence) => block.evidence(result, evidence, options),
        None => {
            block.diagnosis(result, result.diagnosis.as_ref());
            block.server_log(result.server_log.as_deref());
        }
    }
    block.out
}

/// What stands above a server's log: no more than is known of whose lines they are. `cut` says that some are missing.
pub(crate) fn log_heading(log: &ServerLog, cut: bool) -> String {
    let end = if cut { "the end of " } else { "" };
    let whose = if log.shared { " meanwhile (other sessions write to it too)" } else { "" };
    format!("{end}the server's log{whose}:")
}

struct Block {
    out: String,
    columns: usize,
    paint: Paint,
}

impl Block {
    fn head(&mut self, result: &CaseResult) {
        let name = escape::line(&result.name()).into_owned();
        let clauses = escape::line(&result.clauses.join(" ")).into_owned();
        let seconds = summary::seconds(result.duration_ms);
        let facts = [format!("{:6}", result.level), clauses, seconds];
        let facts: Vec<_> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        let facts = facts.join("   ");

        let verdict = self.paint.verdict(result.verdict);
        let taken = 2 + result.verdict.as_str().len().max(4) + 2 + layout::columns(&name);
        let room = self.columns.saturating_sub(taken + layout::columns(&facts));
        // Names are for copying: one that is too long pushes the facts to a line of their own, and is never clipped.
        if room >= 2 {
            self.push(&format!("  {verdict}  {name}{:room$}{facts}", ""));
        } else {
            self.push(&format!("  {verdict}  {name}"));
            self.paragraph(&facts);
        }
        if !result.title.is_empty() {
            self.paragraph(&result.title);
        }
    }

    fn others(&mut self, others: &[&CaseResult]) {
        if others.is_empty() {
            return;
        }
        let mut named: Vec<_> = others.iter().take(MOST_VARIANTS).map(|other| other.variant.clone()).collect();
        if let Some(more) = others.len().checked_sub(MOST_VARIANTS).filter(|more| *more > 0) {
            named.push(format!("and {more} more"));
        }
        self.labelled("as well", &named.join("  "));
    }

    fn evidence(&mut self, result: &CaseResult, evidence: &Evidence, options: &Options) {
        self.source(evidence);
        if !evidence.due.is_empty() || !evidence.came.is_empty() {
            self.gap();
            self.hung("due", SHORT_LABEL, &evidence.due);
            self.hung("came", SHORT_LABEL, &evidence.came);
        }
        if !evidence.conversation.is_empty() {
            self.gap();
            let room = self.columns.saturating_sub(INDENT);
            for line in &evidence.conversation {
                self.indented(&layout::clip(&escape::line(line), room));
            }
        }
        self.diagnosis(result, evidence.diagnosis.as_ref().or(result.diagnosis.as_ref()));
        if !evidence.seen_as.is_empty() {
            self.labelled("seen as", &evidence.seen_as.join("; "));
        }
        if !evidence.also.is_empty() {
            self.labelled("also", &evidence.also.join(", "));
        }
        self.server_log(result.server_log.as_deref());
        self.gap();
        self.command("again", &evidence.again);
        if let Some(by_hand) = &evidence.by_hand {
            self.command("by hand", by_hand);
        }
        if let Some(evidence) = &options.evidence {
            self.labelled("evidence", evidence);
        }
    }

    /// The lines of the scenario, framed, with what is underlined in view.
    fn source(&mut self, evidence: &Evidence) {
        if evidence.source.is_empty() {
            return;
        }
        self.gap();
        let place = format!("{}:{}:{}", escape::line(&evidence.file), evidence.line, evidence.column);
        let corner = self.paint.frame("┌");
        self.indented(&format!("{corner} {place}"));
        let room = self.columns.saturating_sub(INDENT + 2);
        let skipped = evidence.caret.as_ref().map_or(0, |caret| out_of_view(caret, room));
        let bar = self.paint.frame("│");
        for SourceLine { number, text } in &evidence.source {
            let text = layout::clip(&window(text, skipped), room);
            self.push(format!("{number:>gutter$} {bar} {text}", gutter = INDENT - 1).trim_end());
            if let Some(caret) = evidence.caret.as_ref().filter(|caret| caret.line == *number) {
                self.caret(caret, &evidence.source, skipped, room);
            }
        }
    }

    fn caret(&mut self, caret: &Caret, source: &[SourceLine], skipped: usize, room: usize) {
        let text = source.iter().find(|line| line.number == caret.line).map_or("", |line| line.text.as_str());
        // Counted in what is shown: an escape is wider than the character that it stands for.
        let shown = |from: usize, count: usize| -> usize {
            let characters: String = text.chars().skip(from).take(count).collect();
            layout::columns(&escape::line(&characters))
        };
        let first = caret.column.saturating_sub(1);
        let ellipsis = usize::from(skipped > 0);
        let begin = (ellipsis + shown(skipped, first.saturating_sub(skipped))).min(room.saturating_sub(1));
        let length = shown(first, caret.length).clamp(1, room.saturating_sub(begin).max(1));
        let bar = self.paint.frame("│");
        let carets = self.paint.pointer(&"^".repeat(length));
        let label = escape::line(&caret.label).into_owned();

        let beside = room.saturating_sub(begin + length + 1);
        if layout::columns(&label) <= beside {
            let line = format!("{:INDENT$}{bar} {:begin$}{carets} {}", "", "", self.paint.pointer(&label));
            self.push(line.trim_end());
            return;
        }
        self.push(&format!("{:INDENT$}{bar} {:begin$}{carets}", "", ""));
        for line in layout::wrap(&label, room) {
            self.push(&format!("{:INDENT$}{bar} {}", "", self.paint.pointer(&line)));
        }
    }

    fn diagnosis(&mut self, result: &CaseResult, diagnosis: Option<&Diagnosis>) {
        let Some(Diagnosis { id, text, at_fault }) = diagnosis else {
            return;
        };
        self.gap();
        self.paragraph(&format!("{id}: {}", text.trim_end()));
        let who = match at_fault {
            AtFault::Subject => format!("{at_fault} ({})", result.role),
            _ => at_fault.to_string(),
        };
        self.indented(&format!("at fault: {who}"));
    }

    /// The other side's own words: the last of them, for the cause of a failure is rarely far from it.
    fn server_log(&mut self, log: Option<&ServerLog>) {
        let Some(log @ ServerLog { lines, ended, .. }) = log else { return };
        if lines.is_empty() && ended.is_none() {
            return;
        }
        self.gap();
        if let Some(how) = ended {
            self.paragraph(&format!("the server has ended: {how}"));
        }
        let from = lines.len().saturating_sub(LINES_OF_A_LOG);
        if !lines.is_empty() {
            self.paragraph(&log_heading(log, log.clipped || from > 0));
        }
        for line in &lines[from..] {
            let room = self.columns.saturating_sub(INDENT + 2 * LOG_INDENT);
            let mut rows = layout::wrap(&escape::line(line), room);
            if rows.len() > ROWS_OF_A_LINE {
                // Too long for its row, so that it is clipped, and says so.
                let rest = rows.split_off(ROWS_OF_A_LINE - 1).join(" ");
                rows.push(layout::clip(&rest, room));
            }
            for (index, row) in rows.iter().enumerate() {
                let indent = if index == 0 { LOG_INDENT } else { 2 * LOG_INDENT };
                self.indented(&format!("{:indent$}{row}", ""));
            }
        }
    }

    /// Text that may come from a peer, as a paragraph; a line feed in it begins a new line.
    fn paragraph(&mut self, text: &str) {
        for line in escape::block(text).lines() {
            for part in layout::wrap(line, self.columns.saturating_sub(INDENT)) {
                self.indented(&part);
            }
        }
    }

    fn labelled(&mut self, label: &str, text: &str) {
        self.hung(label, LABEL, text);
    }

    /// Text behind a label of some columns, its further lines below its first.
    fn hung(&mut self, label: &str, indent: usize, text: &str) {
        let mut lines = layout::wrap(&escape::line(text), self.columns.saturating_sub(INDENT + indent));
        if lines.len() > MOST_LINES {
            lines.truncate(MOST_LINES);
            lines.push("…".to_owned());
        }
        self.lines(label, indent, &lines);
    }

    fn command(&mut self, label: &str, command: &str) {
        let lines = layout::wrap_command(&escape::line(command), self.columns.saturating_sub(INDENT + LABEL));
        self.lines(label, LABEL, &lines);
    }

    fn lines(&mut self, label: &str, indent: usize, lines: &[String]) {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.indented(&format!("{label:indent$}{line}"));
        }
    }

    fn indented(&mut self, text: &str) {
        self.push(format!("{:INDENT$}{text}", "").trim_end());
    }

    fn gap(&mut self) {
        self.push("");
    }

    fn push(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }
}

/// How many characters of each source line to leave out, so that the underlined stretch is in view.
fn out_of_view(caret: &Caret, room: usize) -> usize {
    let end = caret.column.saturating_sub(1).saturating_add(caret.length.min(room / 2));
    if end <= room { 0 } else { caret.column.saturating_sub(1).saturating_sub(room / 3) }
}

/// A source line without its first characters, and a `…` that says so.
fn window(text: &str, skipped: usize) -> String {
    if skipped == 0 {
        return escape::line(text).into_owned();
    }
    let rest: String = text.chars().skip(skipped).collect();
    if rest.is_empty() { String::new() } else { format!("…{}", escape::line(&rest)) }
}

/// Columns left of everything but the verdict and the source's line numbers.
const INDENT: usize = 8;

/// Columns of a label (`again`, `by hand`, `evidence`) and the space behind it.
const LABEL: usize = 9;

/// Columns of `due` and `came`, which stand apart from the others, and the space behind them.
const SHORT_LABEL: usize = 8;

/// How many further variants are named: more are a list, and lists stand in the JSON report.
const MOST_VARIANTS: usize = 6;

/// Lines of the server's log that are shown: the others stand in the JSON report.
const LINES_OF_A_LOG: usize = 8;

/// Rows of one of them: what a server puts before its words takes half a row by itself.
const ROWS_OF_A_LINE: usize = 3;

/// Columns before a line of the server's log.
const LOG_INDENT: usize = 2;

/// How many lines of one text are shown: a reply may be as long as a peer likes, and the whole stands in the evidence.
const MOST_LINES: usize = 8;
