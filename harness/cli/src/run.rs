//! `ftpspec run`: chooses, makes the subject ready, plays, and reports.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use ftpspec::{
    Effects, Engine, Exit, Limits, RunEvent, Schedule, Shard, Stage, Subject, Unplayed, Version, narrow, unplayed,
};
use ftpspec_report::terminal::{self, Detail};
use ftpspec_results::Started;
use ftpspec_scenario::{Baseline, load_baseline, read_file};

use crate::arguments::{OwnScenarios, selected};
use crate::console::Console;
use crate::failure::Failure;
use crate::reports::{ReportOptions, Reports};
use crate::signals::Signals;
use crate::subject::{Chosen, SubjectOptions, again};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What to run: an id, ID@engine=rustls, a folder or glob (server/data/*), clause:rfc4217#9, field:IT13168,
    /// level:must; several are or-ed, !x excludes; none is everything that a subject of this role can play
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    subject: SubjectOptions,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    reports: ReportOptions,
    /// Show each conversation as it happens; of several at once, one goes on before your eyes and the others are shown
    /// when it is over (--jobs 1 shows them as they come)
    #[arg(short, long, help_heading = "On the terminal", conflicts_with = "quiet")]
    verbose: bool,
    /// Show only what is red, and the last line
    #[arg(short, long, help_heading = "On the terminal")]
    quiet: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What is played, and how")]
struct Choice {
    #[command(flatten)]
    own: OwnScenarios,
    /// The TLS library of our side
    #[arg(long, value_enum, default_value = "both")]
    tls: Tls,
    /// The TLS version of our side; without it both
    #[arg(long, value_name = "VERSION", value_parser = ["1.2", "1.3"])]
    tls_version: Option<String>,
    /// What may be done to the subject; without it intrusive on peers of our own, read on a URL, and on a target what
    /// its file allows
    #[arg(long, value_parser = Effects::WORDS.to_vec())]
    allow: Option<String>,
    /// How many variants are played at once; without it 1 on a URL, on a target what its pace allows, else one for each
    /// processor, and four at least
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// The longest that anything is waited for
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..))]
    timeout: Option<u16>,
    /// Play each variant so often
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// End at the first variant that is red
    #[arg(long)]
    fail_fast: bool,
    /// Let warnings be red
    #[arg(long)]
    strict: bool,
    /// Known deviations: run and shown, not red; without it those that the target names
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Play only part K of N; the parts are the same on every machine
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tls {
    Rustls,
    Openssl,
    Both,
}

/// Plays what is selected. All that can be wrong with the command line is found out before anything is sent.
pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let choice = &options.choice;
    let catalogue = choice.own.catalogue()?;
    let (engine, version) = (choice.engine(), choice.version());
    let role = options.subject.role(&catalogue)?;
    let variants = narrow(selected(&catalogue, &options.selectors, role)?, engine, version);
    let Chosen { subject, allow, jobs, baseline: known } = options.subject.choose(&catalogue)?;
    let known = choice.baseline.as_deref().or(known.as_deref());
    let schedule = Schedule {
        variants: match choice.shard {
            Some(shard) => shard.of(variants),
            None => variants,
        },
        jobs: choice.jobs.map_or(jobs, usize::from),
        repeat: choice.repeat.into(),
        fail_fast: choice.fail_fast,
        strict: choice.strict,
        baseline: known.map(baseline).transpose()?,
        today: today(),
        live: options.verbose || options.reports.want_a_journal(),
    };
    let allow = choice.allow.as_deref().and_then(Effects::from_word).unwrap_or(allow);
    let (again, family) = (options.again(), options.subject.family());

    let runtime = tokio::runtime::Runtime::new().map_err(Failure::surroundings)?;
    let exit = runtime.block_on(async {
        let signals = Signals::listen().map_err(Failure::surroundings)?;
        let mut reports = Reports::new(&options.reports, options.terminal(console), choice.strict)?;
        // Who selected nothing waits for nothing.
        let stage = if schedule.variants.is_empty() {
            Err(Unplayed::Nothing)
        } else {
            let (subject, catalogue, limits) = (subject.clone(), catalogue.clone(), choice.limits());
            Stage::new_until(subject, catalogue, limits, allow, again, signals.stop())
                .await
                .and_then(|stage| stage.over(family).map_err(Unplayed::Trouble))
        };
        let tell = |event: &RunEvent| reports.tell(event);
        match stage {
            Ok(stage) => {
                let stage = Arc::new(stage.choosing(engine, version));
                ftpspec::run(stage, schedule, signals.stop(), tell).await;
            }
            Err(why) => _ = unplayed(&subject, &schedule, &why, tell),
        }
        leave_nothing(&subject).await;
        Ok(reports.finish(&catalogue))
    });
    // A look-up of a name or a lingering connection may still wait; nobody is waiting for it.
    runtime.shutdown_timeout(LAST_MOMENTS);
    exit
}

impl Options {
    fn terminal(&self, console: &Console) -> terminal::Options {
        let detail = match (self.quiet, self.verbose) {
            (true, _) => Detail::Quiet,
            (_, true) => Detail::Verbose,
            _ => Detail::Normal,
        };
        terminal::Options {
            columns: console.columns,
            colour: console.coloured,
            detail,
            strict: self.choice.strict,
            progress: true,
            evidence: None,
            whole_lines: !console.is_terminal,
        }
    }

    /// The options, but for the selectors, with which a failure comes again.
    fn again(&self) -> String {
        let choice = &self.choice;
        let number = |number: Option<u16>| number.map(|number| number.to_string());
        let folder = choice.own.folder().map(|folder| folder.display().to_string());
        [
            self.subject.again(),
            again("--scenarios", folder.as_deref()),
            again("--tls", choice.engine().map(|engine| engine.to_string()).as_deref()),
            again("--tls-version", choice.tls_version.as_deref()),
            again("--allow", choice.allow.as_deref()),
            again("--timeout", number(choice.timeout).as_deref()),
        ]
        .concat()
    }
}

impl Choice {
    fn engine(&self) -> Option<Engine> {
        match self.tls {
            Tls::Rustls => Some(Engine::Rustls),
            Tls::Openssl => Some(Engine::Openssl),
            Tls::Both => None,
        }
    }

    fn version(&self) -> Option<Version> {
        self.tls_version.as_ref().and_then(|word| word.parse().ok())
    }

    fn limits(&self) -> Limits {
        let limits = Limits::default();
        self.timeout.map_or(limits, |seconds| limits.at_most(Duration::from_secs(seconds.into())))
    }
}

fn baseline(path: &Path) -> Result<Arc<Baseline>, Failure> {
    let source =
        read_file(path, &path.to_string_lossy()).map_err(|diagnostic| Failure::WrongFiles(vec![diagnostic]))?;
    load_baseline(&source).map(Arc::new).map_err(Failure::WrongFiles)
}

/// In UTC, as the reports tell their times.
fn today() -> String {
    Started::from(SystemTime::now()).to_string().chars().take("YYYY-MM-DD".len()).collect()
}

/// A container that was starting when a signal came belongs to nobody any more.
#[cfg(feature = "containers")]
async fn leave_nothing(subject: &Subject) {
    use ftpspec_scenario::Start;

    let contained = match subject {
        Subject::Container { .. } => true,
        Subject::Described { description, .. } => matches!(description.start, Start::Container { .. }),
        Subject::Client(client) => client.description.container.is_some(),
        _ => false,
    };
    if contained {
        // What it cannot remove the next start will.
        _ = ftpspec_peers::containers::remove_own().await;
    }
}

#[cfg(not(feature = "containers"))]
async fn leave_nothing(_: &Subject) {}

/// Nothing that is still going on can change a report; containers are removed well within it.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  ftpspec run
  ftpspec run 'server/data/*' level:must --junit reports/out/junit.xml
  ftpspec run server/data/retr-empty-file -v --defect retr-empty-closes-before-handshake
  ftpspec run --server peer:vsftpd@trixie
  ftpspec run --server my-server.yaml
  ftpspec run --server ftp://me@ftp.example.com --password-env FTP_PASSWORD
  ftpspec run --server ftps://me@10.0.0.7 --ca-file their-ca.pem --json results.json
  ftpspec run --target partner.yaml --allow read
  ftpspec run --client peer:curl
  ftpspec run --client peer:curl@bookworm

The password is never sent on an unprotected connection, nor to a certificate that was not verified.";
