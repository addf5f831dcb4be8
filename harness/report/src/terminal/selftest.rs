//! What a person sees of a self-test: what it will play, progress, and then what is wrong, every scenario with its count,
//! every defect with those who see it, and the share that is caught. Who names a defect stands on a line of its own, so
//! that the bold face says nothing that the words do not.

use std::io::{self, Write};

use ftpspec_results::{DefectTrial, ProvenDefect, ProvenScenario, SelfTest, SelfTestEvent, SelfTestPlan, Verdict};

use super::paint::Paint;
use super::progress::Progress;
use super::{Detail, Options};
use crate::layout::counted;
use crate::{escape, layout};

/// Writes a self-test to a terminal as it goes on.
#[derive(Debug)]
pub struct SelfTestTerminal<W> {
    out: W,
    options: Options,
    progress: Progress,
}

impl<W: Write> SelfTestTerminal<W> {
    /// One that writes to `out`.
    pub fn new(out: W, options: Options) -> Self {
        let progress = Progress::new(options.progress && options.detail != Detail::Quiet);
        Self { out, options, progress }
    }

    /// Takes in the next event.
    ///
    /// # Errors
    /// As the writer fails.
    pub fn event(&mut self, event: &SelfTestEvent) -> io::Result<()> {
        match event {
            SelfTestEvent::Planned(plan) => {
                self.progress.is_due(plan.steps());
                if self.options.detail != Detail::Quiet {
                    return self.write(&due(plan, self.options.columns));
                }
            }
            SelfTestEvent::Begun { name } => self.progress.begins(name),
            SelfTestEvent::Over => self.progress.one_is_done(),
        }
        Ok(())
    }

    /// Writes the report.
    ///
    /// # Errors
    /// As the writer fails.
    pub fn finish(&mut self, selftest: &SelfTest) -> io::Result<()> {
        self.progress.is_over();
        let text = render_selftest(selftest, &self.options);
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let out = &mut self.out;
        self.progress.aside(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }
}

/// The report of a whole self-test.
pub fn render_selftest(selftest: &SelfTest, options: &Options) -> String {
    let page = Page { options, paint: Paint::new(options.colour) };
    let mut out = String::new();
    if options.detail != Detail::Quiet {
        out.push_str(&page.scenarios(selftest));
        out.push_str(&page.defects(selftest));
    }
    out.push_str(&page.faults(selftest));
    out.push_str(&page.last_line(selftest));
    out
}

/// The line before a self-test.
fn due(plan: &SelfTestPlan, columns: usize) -> String {
    let others =
        if plan.others > 0 { format!(", and before {}", counted(plan.others, "other")) } else { String::new() };
    let text = format!(
        "{} in {} before the correct peers; {} before {} that {} them{others}",
        counted(plan.scenarios, "scenario"),
        counted(plan.variants, "variant"),
        counted(plan.defects, "defect"),
        counted(plan.pairs, "scenario"),
        if plan.pairs == 1 { "names" } else { "name" },
    );
    layout::wrap(&text, columns).join("\n") + "\n\n"
}

struct Page<'a> {
    options: &'a Options,
    paint: Paint,
}

impl Page<'_> {
    /// One line for each scenario.
    fn scenarios(&self, selftest: &SelfTest) -> String {
        if selftest.scenarios.is_empty() {
            return String::new();
        }
        let sees = if selftest.matrix { "  others" } else { "" };
        let figures = format!("{FIGURES}{sees}");
        let room = self.options.columns.saturating_sub(layout::columns(&figures)).max(NARROWEST);
        let longest = selftest.scenarios.iter().map(|it| layout::columns(&it.id)).max().unwrap_or(0);
        let width = longest.clamp(NARROWEST, room);
        let mut out = format!("{}\n", self.paint.heading(&format!("{:width$}{figures}", "scenario")));
        for scenario in &selftest.scenarios {
            let id = layout::clip(&escape::line(&scenario.id), width);
            let pad = " ".repeat(width - layout::columns(&id));
            let ProvenScenario { correct, catches, .. } = scenario;
            let red = correct.total() - correct.pass - correct.skip;
            let trials = || trials_of(selftest, &scenario.id);
            let caught = trials().filter(|trial| trial.named && trial.caught).count();
            let caught = format!("{caught} of {}", catches.len());
            let others = trials().filter(|trial| !trial.named && trial.is_seen()).count();
            let others = if selftest.matrix { format!("  {:>6}", figure(others)) } else { String::new() };
            let row = format!(
                "  {:>4}  {:>4}  {:>4}  {caught:>8}{others}",
                figure(correct.pass),
                figure(correct.skip),
                figure(red)
            );
            let id = if scenario.faults.is_empty() { id } else { self.paint.pointer(&id) };
            out.push_str(&format!("{id}{pad}{row}\n"));
        }
        out.push('\n');
        let skipped: Vec<_> = selftest.scenarios.iter().filter(|scenario| !scenario.skipped.is_empty()).collect();
        if !skipped.is_empty() {
            out.push_str(&format!("{}\n", self.paint.heading("skipped with the correct peers")));
            for scenario in skipped {
                out.push_str(&self.row(&escape::line(&scenario.id), MARGIN));
                scenario.skipped.iter().for_each(|reason| out.push_str(&self.below(reason)));
            }
            out.push('\n');
        }
        out
    }

    /// A block for each defect: its name, who names it, and who else sees it.
    fn defects(&self, selftest: &SelfTest) -> String {
        let mut out = String::new();
        let mut role = None;
        for defect in &selftest.defects {
            if role != Some(defect.role) {
                role = Some(defect.role);
                out.push_str(&format!("{}\n", self.paint.heading(&format!("defects of the {}", defect.role))));
            }
            out.push_str(&self.defect(defect));
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }

    fn defect(&self, defect: &ProvenDefect) -> String {
        let name = escape::line(&defect.name);
        let untried = defect.trials.is_empty() && defect.faults.is_empty();
        let mut out = match (defect.caught, untried) {
            (true, _) => self.row(&name, MARGIN),
            (_, true) => self.row(&format!("{name}: not tried"), MARGIN),
            _ => format!("{:MARGIN$}{}\n", "", self.paint.pointer(&format!("{name}: NOT CAUGHT"))),
        };
        for trial in defect.trials.iter().filter(|trial| trial.named) {
            let told = match &trial.diagnosis {
                _ if trial.caught || !trial.is_seen() => String::new(),
                Some(told) => format!(", told as {told}"),
                None => ", told as nothing".to_owned(),
            };
            let row = format!("{:10}  {}{told}", trial.verdict, escape::line(&trial.id));
            let row = layout::clip(&row, self.options.columns.saturating_sub(BELOW));
            let row = if trial.caught { self.paint.heading(&row) } else { self.paint.pointer(&row) };
            out.push_str(&format!("{:BELOW$}{row}\n", ""));
        }
        let others = || defect.trials.iter().filter(|trial| !trial.named);
        let seen: Vec<_> = others().filter(|trial| trial.is_seen()).map(|trial| escape::line(&trial.id)).collect();
        if !seen.is_empty() {
            let more = seen.len().saturating_sub(MOST_OTHERS);
            let mut text = seen.iter().take(MOST_OTHERS).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
            if more > 0 {
                text.push_str(&format!(", and {more} more"));
            }
            out.push_str(&self.labelled("seen by", &text));
        }
        let kept = others().filter(|trial| trial.verdict == Verdict::Untestable).count();
        if kept > 0 {
            out.push_str(&self.labelled("keeps", &format!("{} from being tested", counted(kept, "other"))));
        }
        out
    }

    /// What is wrong, each under the name of what it is wrong with.
    fn faults(&self, selftest: &SelfTest) -> String {
        let mut out = String::new();
        let mut add = |name: &str, faults: &[String]| {
            if faults.is_empty() {
                return;
            }
            out.push_str(&self.row(&escape::line(name), MARGIN));
            faults.iter().for_each(|fault| out.push_str(&self.below(fault)));
        };
        selftest.scenarios.iter().for_each(|scenario| add(&scenario.id, &scenario.faults));
        selftest.defects.iter().for_each(|defect| add(&format!("the defect {}", defect.name), &defect.faults));
        add("the harness", &selftest.trouble);
        if let Some(signal) = selftest.interrupted {
            let told = format!("a signal ended it early ({signal}): what was not tried is not counted below");
            add("the self-test", &[told]);
        }
        if out.is_empty() { out } else { format!("{}\n{out}\n", self.paint.pointer("faults")) }
    }

    fn last_line(&self, selftest: &SelfTest) -> String {
        let summary = selftest.summary;
        let percent = summary.percent().map(|percent| format!(", {percent} %")).unwrap_or_default();
        let time = selftest.duration_ms.map(|duration| format!(" in {:.1} s", duration as f64 / 1000.0));
        let line = format!(
            "{} of {} caught{percent}; {}, {}{}",
            summary.caught,
            counted(summary.defects, "defect"),
            counted(summary.scenarios, "scenario"),
            counted(summary.faults, "fault"),
            time.unwrap_or_default()
        );
        let line = layout::wrap(&line, self.options.columns).join("\n");
        let green = selftest.is_proof() && !selftest.has_trouble() && selftest.interrupted.is_none();
        format!("{}\n", if green { self.paint.good(&line) } else { self.paint.pointer(&line) })
    }

    /// A sentence below a name.
    fn below(&self, text: &str) -> String {
        let lines = layout::wrap(&escape::line(text), self.options.columns.saturating_sub(BELOW));
        lines.iter().map(|line| format!("{:BELOW$}{line}\n", "")).collect()
    }

    /// A name on a line of its own.
    fn row(&self, text: &str, indent: usize) -> String {
        format!("{:indent$}{}\n", "", layout::clip(text, self.options.columns.saturating_sub(indent)))
    }

    /// A label, and a text behind it on as many lines as it takes.
    fn labelled(&self, label: &str, text: &str) -> String {
        let room = self.options.columns.saturating_sub(BELOW + LABEL);
        let lines = layout::wrap(text, room);
        let label = |at: usize| if at == 0 { label } else { "" };
        let lines = lines.iter().enumerate();
        lines.map(|(at, line)| format!("{:BELOW$}{:LABEL$}{line}\n", "", label(at))).collect()
    }
}

fn trials_of<'a>(selftest: &'a SelfTest, id: &'a str) -> impl Iterator<Item = &'a DefectTrial> {
    selftest.defects.iter().flat_map(|defect| &defect.trials).filter(move |trial| trial.id == id)
}

fn figure(number: usize) -> String {
    if number == 0 { "-".to_owned() } else { number.to_string() }
}

/// The heads of the columns behind a scenario's id.
const FIGURES: &str = "  pass  skip   red    caught";

/// Columns before a name.
const MARGIN: usize = 2;

/// Columns before what belongs to a name.
const BELOW: usize = 6;

/// Columns of a label such as `seen by`, as wide as the longest verdict, and what parts it from the text.
const LABEL: usize = "untestable  ".len();

/// Columns of a scenario's id, at least.
const NARROWEST: usize = 20;

/// How many of those who see a defect besides are named: all stand in the JSON report.
const MOST_OTHERS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn options(columns: usize) -> Options {
        Options { columns, ..Options::default() }
    }

    #[test]
    fn a_proof_with_its_matrix_at_80_columns() {
        let mut terminal = SelfTestTerminal::new(Vec::new(), options(80));
        let plan = SelfTestPlan { scenarios: 3, variants: 21, defects: 4, pairs: 4, others: 5 };
        for event in [SelfTestEvent::Planned(plan), SelfTestEvent::Begun { name: "x".to_owned() }, SelfTestEvent::Over]
        {
            terminal.event(&event).expect("memory takes all that is written");
        }
        terminal.finish(&sample::proof()).expect("memory takes all that is written");
        insta::assert_snapshot!(String::from_utf8(terminal.out).expect("it is text"));
    }

    #[test]
    fn what_is_wrong_is_told_by_name_and_why() {
        insta::assert_snapshot!(render_selftest(&sample::selftest_with_faults(), &options(80)));
    }

    #[test]
    fn a_quiet_self_test_tells_what_is_wrong_and_the_share() {
        let quiet = Options { detail: Detail::Quiet, ..options(80) };
        assert_eq!(
            render_selftest(&sample::proof(), &quiet),
            "4 of 4 defects caught, 100 %; 3 scenarios, 0 faults in 16.6 s\n"
        );
        let faults = render_selftest(&sample::selftest_with_faults(), &quiet);
        assert!(faults.contains("it cannot fail") && !faults.contains("seen by"), "{faults}");
    }

    #[test]
    fn a_defect_whose_turn_never_came_is_not_called_uncaught() {
        let mut selftest = sample::proof();
        selftest.interrupted = Some(ftpspec_results::Signal::Interrupt);
        let untried = &mut selftest.defects[0];
        (untried.trials, untried.caught) = (vec![], false);
        let text = render_selftest(&selftest, &options(80));
        assert!(text.contains(&format!("  {}: not tried\n", selftest.defects[0].name)), "{text}");
        assert!(!text.contains("NOT CAUGHT"), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_moves_its_cursor() {
        for columns in [40, 60, 80, 120] {
            let mut selftest = sample::selftest_with_faults();
            selftest.scenarios[2].faults.push("\u{1b}[2J".to_owned());
            let text = render_selftest(&selftest, &options(columns));
            assert!(text.lines().all(|line| layout::columns(line) <= columns.max(60)), "{columns}:\n{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn without_colour_the_text_is_the_same() {
        for selftest in [sample::proof(), sample::selftest_with_faults()] {
            let coloured = render_selftest(&selftest, &Options { colour: true, ..options(80) });
            let mut plain = String::new();
            let mut rest = coloured.as_str();
            while let Some((before, after)) = rest.split_once('\u{1b}') {
                plain.push_str(before);
                rest = after.split_once('m').map_or("", |(_, rest)| rest);
            }
            assert_eq!(plain + rest, render_selftest(&selftest, &options(80)));
        }
    }
}
