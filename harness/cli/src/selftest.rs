//! `ftpspec selftest`: shows that every scenario can pass and can fail. The library does it; here it is printed.

use std::io::{self, Stdout};
use std::path::PathBuf;

use clap::Args;
use ftpspec::{Exit, Limits, SelfTest, SelfTestEvent, SelfTestSchedule, schedule_all};
use ftpspec_report::terminal::{self, Detail, SelfTestTerminal};
use ftpspec_report::{json, write_atomically};

use crate::arguments::{OwnScenarios, parsed};
use crate::console::Console;
use crate::failure::Failure;
use crate::reports::Unwritten;
use crate::signals::Signals;
use crate::subject::jobs_of_ours;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Which scenarios, with the defects that they name: as for `ftpspec run`; none is all of both roles
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    own: OwnScenarios,
    /// Let each defect also meet the scenarios that do not name it, to show who else sees it: one variant of each, and
    /// some minutes for all of them
    #[arg(long)]
    matrix: bool,
    /// How many variants are played at once; without it four for each processor, and sixteen at least
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write what came of it as JSON (`ftpspec schema selftest`)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show only what is wrong, and the last line
    #[arg(short, long)]
    quiet: bool,
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let catalogue = options.own.catalogue()?;
    let variants = schedule_all(&catalogue, &parsed(&options.selectors)?).map_err(Failure::wrong_use)?;
    let schedule = SelfTestSchedule {
        variants,
        whole: options.selectors.is_empty(),
        matrix: options.matrix,
        jobs: options.jobs.map_or_else(|| AT_ONCE * jobs_of_ours(), usize::from),
        limits: Limits::default(),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::surroundings)?;
    runtime.block_on(async {
        let signals = Signals::listen().map_err(Failure::surroundings)?;
        let mut told = Told::new(options.terminal(console));
        let selftest = ftpspec::selftest(catalogue, schedule, signals.stop(), |event| told.event(&event)).await;
        Ok(told.finish(&selftest, options.json.as_ref()))
    })
}

impl Options {
    fn terminal(&self, console: &Console) -> terminal::Options {
        terminal::Options {
            columns: console.columns,
            colour: console.coloured,
            detail: if self.quiet { Detail::Quiet } else { Detail::Normal },
            progress: true,
            ..terminal::Options::default()
        }
    }
}

/// Whoever is told: the terminal, as long as somebody reads it, and the file.
struct Told {
    terminal: Option<SelfTestTerminal<Stdout>>,
    unwritten: Unwritten,
}

impl Told {
    fn new(options: terminal::Options) -> Self {
        Self { terminal: Some(SelfTestTerminal::new(io::stdout(), options)), unwritten: Unwritten::default() }
    }

    fn event(&mut self, event: &SelfTestEvent) {
        let written = self.terminal.as_mut().map(|terminal| terminal.event(event));
        self.written(written);
    }

    fn finish(mut self, selftest: &SelfTest, json: Option<&PathBuf>) -> Exit {
        let written = self.terminal.as_mut().map(|terminal| terminal.finish(selftest));
        self.written(written);
        if let Some(path) = json {
            self.unwritten.file(write_atomically(path, json::render_selftest(selftest)));
        }
        self.unwritten.or(Exit::of_selftest(selftest))
    }

    fn written(&mut self, written: Option<io::Result<()>>) {
        let Some(Err(error)) = written else { return };
        self.terminal = None;
        self.unwritten.stdout(&error);
    }
}

/// For each variant that a run would play at once: a defect that answers nothing keeps nobody busy.
const AT_ONCE: usize = 4;

const EXAMPLES: &str = "\
Each scenario plays against the correct reference peer, and must pass; then
against the peer with each defect that it says it catches, and must fail (or
warn, where the demand is a should or a practice), told as the defect says. A
scenario without a defect is wrong, and a defect without a scenario, and a rule
of a defect that never fires.

Examples:
  ftpspec selftest
  ftpspec selftest 'server/data/*' --json selftest.json
  ftpspec selftest --matrix
  ftpspec selftest --scenarios my-scenarios server/control/noise-is-refused

Exit status: 0 if every scenario passes and can fail, and every defect is
caught, else 1; 2, 3, 4, 130 and 143 as for `ftpspec run`.";
