//! `ftpspec schema`: the JSON Schemas of the files that we read and write, for editors and checkers.

use clap::Args;
use clap::builder::PossibleValuesParser;
use ftpspec::Exit;
use ftpspec_scenario::SchemaKind;

use crate::console::Console;
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  ftpspec schema scenario > scenario.schema.json
  # then, as the first line of a scenario:
  # yaml-language-server: $schema=scenario.schema.json")]
pub struct Options {
    /// Which kind of file; without one the kinds are listed
    #[arg(value_parser = PossibleValuesParser::new(kinds()), hide_possible_values = true)]
    kind: Option<String>,
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let Some(kind) = &options.kind else {
        console.print(&(kinds().join("\n") + "\n"))?;
        return Ok(Exit::Green);
    };
    let schema = match SchemaKind::from_word(kind) {
        Some(kind) => {
            serde_json::to_string_pretty(&ftpspec_scenario::schema(kind)).map_err(Failure::surroundings)? + "\n"
        }
        None => {
            let path = format!("reports/schema/{kind}.schema.json");
            let file = ftpspec_data::file(&path).expect("the build embeds it");
            String::from_utf8_lossy(file.octets).into_owned()
        }
    };
    console.print_as_it_is(&schema)?;
    Ok(Exit::Green)
}

fn kinds() -> Vec<&'static str> {
    SchemaKind::ALL.iter().map(|kind| kind.word()).chain(WRITTEN).collect()
}

/// What we write ourselves.
const WRITTEN: [&str; 2] = ["results", "selftest"];
