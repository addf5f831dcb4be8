//! `ftpspec list`: what a run with the same selectors would play.

use std::sync::Arc;

use clap::Args;
use ftpspec::{Exit, by_scenario};
use ftpspec_report::layout::{self, counted};
use ftpspec_scenario::model::Scenario;
use serde::Serialize;

use crate::arguments::{OwnScenarios, selected};
use crate::console::Console;
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ftpspec list
  ftpspec list clause:rfc4217#9 '!level:field' -v
  ftpspec list --json | jq -r '.[].id'")]
pub struct Options {
    /// As for `ftpspec run`; none is everything
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    own: OwnScenarios,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Also each variant
    #[arg(short, long, conflicts_with = "json")]
    verbose: bool,
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let catalogue = options.own.catalogue()?;
    let listed = by_scenario(&selected(&catalogue, &options.selectors, None)?);
    if options.json {
        let rows: Vec<_> = listed.iter().map(Row::from).collect();
        let text = serde_json::to_string_pretty(&rows).map_err(Failure::surroundings)?;
        console.print_as_it_is(&(text + "\n"))?;
    } else {
        console.print(&table(&listed, options.verbose, console))?;
    }
    Ok(if listed.is_empty() { Exit::NothingLearnt } else { Exit::Green })
}

/// A scenario, and those of its variants that were selected.
type Listed = (Arc<Scenario>, Vec<usize>);

fn table(listed: &[Listed], verbose: bool, console: &Console) -> String {
    let widest = listed.iter().map(|it| it.0.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (scenario, variants) in listed {
        let Scenario { id, title, .. } = &**scenario;
        let (level, effects) = (scenario.level.word(), scenario.effects.word());
        let row = format!("{id:widest$}  {level:6}  {effects:9}  {:3}", variants.len());
        let room = console.columns.saturating_sub(layout::columns(&row) + 2);
        if room >= layout::columns(title) {
            text.push_str(&format!("{row}  {title}\n"));
        } else {
            text.push_str(&format!("{row}\n{}", console.wrapped(title, 4)));
        }
        if verbose {
            for variant in variants.iter().map(|index| &scenario.variants[*index]).filter(|it| !it.name.is_empty()) {
                text.push_str(&format!("      @{}\n", variant.name));
            }
        }
    }
    let variants: usize = listed.iter().map(|it| it.1.len()).sum();
    text + &format!("{}, {}\n", counted(listed.len(), "scenario"), counted(variants, "variant"))
}

/// A scenario as JSON tells it. Keys may be added, and are never renamed.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    title: &'a str,
    level: &'static str,
    effects: &'static str,
    clauses: Vec<String>,
    field_cases: &'a [String],
    needs: Vec<&'static str>,
    catches: &'a [String],
    alone: bool,
    file: &'a str,
    variants: Vec<VariantRow<'a>>,
}

/// A variant as JSON tells it: its own level, effects and needs may be others than its scenario's.
#[derive(Serialize)]
struct VariantRow<'a> {
    variant: &'a str,
    level: &'static str,
    effects: &'static str,
    needs: Vec<&'static str>,
}

impl<'a> From<&'a Listed> for Row<'a> {
    fn from((scenario, variants): &'a Listed) -> Self {
        let variants = variants.iter().map(|index| {
            let variant = &scenario.variants[*index];
            VariantRow {
                variant: &variant.name,
                level: variant.level.word(),
                effects: variant.effects.word(),
                needs: variant.needs.iter().map(|need| need.word()).collect(),
            }
        });
        Self {
            id: &scenario.id,
            title: &scenario.title,
            level: scenario.level.word(),
            effects: scenario.effects.word(),
            clauses: scenario.clauses.iter().map(ToString::to_string).collect(),
            field_cases: &scenario.field_cases,
            needs: scenario.needs.iter().map(|need| need.word()).collect(),
            catches: &scenario.catches,
            alone: scenario.alone,
            file: &scenario.source.name,
            variants: variants.collect(),
        }
    }
}
