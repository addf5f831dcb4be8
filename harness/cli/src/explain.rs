//! `ftpspec explain`: what a word means that stands in a report, and what rests on it.

use clap::Args;
use ftpspec::{Catalogue, Exit};
use ftpspec_scenario::model::{Clause, Defect, Diagnosis, Scenario, Source};

use crate::arguments::OwnScenarios;
use crate::console::Console;
use crate::failure::Failure;
use crate::subject::did_you_mean;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ftpspec explain server/data/retr-empty-file
  ftpspec explain plaintext-in-handshake
  ftpspec explain rfc4217#9
  ftpspec explain IT13168")]
pub struct Options {
    /// The id of a scenario, a clause, a diagnosis, a defect or a field case
    #[arg(value_name = "ID|CLAUSE|DIAGNOSIS|DEFECT|FIELD-CASE")]
    word: String,
    #[command(flatten)]
    own: OwnScenarios,
}

/// One word may mean several things, as a diagnosis and a defect that shows it: each is told.
pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let catalogue = options.own.catalogue()?;
    let word = options.word.as_str();
    let id = word.split('@').next().unwrap_or(word);
    let page = Page { catalogue: &catalogue, console };
    let mut sections = Vec::new();
    sections.extend(catalogue.scenario(id).map(|scenario| page.scenario(scenario)));
    sections.extend(catalogue.diagnosis(word).map(|diagnosis| page.diagnosis(diagnosis)));
    sections.extend(catalogue.defect(word).map(|defect| page.defect(defect)));
    sections.extend(page.clause(word.strip_prefix("clause:").unwrap_or(word)));
    sections.extend(page.field_case(word.strip_prefix("field:").unwrap_or(word)));
    if sections.is_empty() {
        return Err(Failure::WrongUse(format!("nothing is called `{word}`{}", did_you_mean(word, names(&catalogue)))));
    }
    console.print(&sections.join("\n"))?;
    Ok(Exit::Green)
}

struct Page<'a> {
    catalogue: &'a Catalogue,
    console: &'a Console,
}

impl Page<'_> {
    fn scenario(&self, scenario: &Scenario) -> String {
        let variants = scenario.variants.iter().map(|variant| variant.name.as_str()).filter(|name| !name.is_empty());
        let catches = scenario.catches.iter().map(|name| match self.catalogue.defect(name) {
            Some(defect) => format!("{name}: {}", defect.title),
            None => name.clone(),
        });
        let mut text = self.heading("scenario", &scenario.id, &scenario.title);
        text += &self.row("level", [scenario.level.word()]);
        text += &self.row("effects", [scenario.effects.word()]);
        text += &self.row("clauses", [comma(scenario.clauses.iter().map(ToString::to_string))]);
        text += &self.row("field", [comma(scenario.field_cases.iter().cloned())]);
        text += &self.row("needs", [comma(scenario.needs.iter().map(|need| need.word().to_owned()))]);
        text += &self.row("catches", catches);
        text += &self.row("variants", variants);
        text += &self.prose(scenario.why.as_deref().unwrap_or_default());
        text + &source(&scenario.source)
    }

    fn diagnosis(&self, diagnosis: &Diagnosis) -> String {
        let shown_by = self.catalogue.defects.iter().filter(|defect| defect.told_as == diagnosis.id);
        let mut text = self.heading("diagnosis", &diagnosis.id, &diagnosis.title);
        text += &self.row("at fault", [diagnosis.at_fault.word()]);
        text += &self.row("clauses", [comma(diagnosis.clauses.iter().map(ToString::to_string))]);
        text += &self.row("field", [comma(diagnosis.field_cases.iter().cloned())]);
        text += &self.row("seen as", diagnosis.seen_as.iter().map(|(who, what)| format!("{who}: {what}")));
        text += &self.row("defects", shown_by.map(|defect| defect.name.as_str()));
        text += &self.prose(&diagnosis.say);
        text + &source(&diagnosis.source)
    }

    fn defect(&self, defect: &Defect) -> String {
        let caught_by = self.catalogue.scenarios.iter().filter(|scenario| scenario.catches.contains(&defect.name));
        let mut text = self.heading("defect", &defect.name, &defect.title);
        text += &self.row("lie of", [format!("the reference {}", defect.role)]);
        text += &self.row("told as", [defect.told_as.as_str()]);
        text += &self.row("caught by", caught_by.map(|scenario| scenario.id.as_str()));
        text += &self.prose(&defect.source_of);
        text + &source(&defect.source)
    }

    fn clause(&self, wanted: &str) -> Option<String> {
        let below = |clause: &Clause| {
            let clause = clause.to_string();
            let rest = clause.strip_prefix(wanted);
            // §9.1 is below §9, and every clause below its RFC; §91 is not below §9.
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '#']))
        };
        self.rests_on("clause", wanted, &|clauses, _| clauses.iter().any(below))
    }

    fn field_case(&self, wanted: &str) -> Option<String> {
        self.rests_on("field case", wanted, &|_, cases| cases.iter().any(|case| case == wanted))
    }

    /// The scenarios and diagnoses that name a clause or a field case; none if nothing does.
    fn rests_on(&self, kind: &str, name: &str, names_it: &dyn Fn(&[Clause], &[String]) -> bool) -> Option<String> {
        let mut text = format!("{kind}  {name}\n");
        let mut known = false;
        for scenario in self.catalogue.scenarios.iter().filter(|it| names_it(&it.clauses, &it.field_cases)) {
            text += &format!("\n  {}  {}\n{}", scenario.id, scenario.level, self.console.wrapped(&scenario.title, 4));
            known = true;
        }
        for diagnosis in self.catalogue.diagnoses.iter().filter(|it| names_it(&it.clauses, &it.field_cases)) {
            text += &format!("\n  {}  diagnosis\n{}", diagnosis.id, self.console.wrapped(&diagnosis.title, 4));
            known = true;
        }
        known.then_some(text)
    }

    fn heading(&self, kind: &str, name: &str, title: &str) -> String {
        format!("{kind}  {name}\n{}\n", self.console.wrapped(title, 2))
    }

    /// A name, and its values one below the other; nothing if there is none.
    fn row<T: AsRef<str>>(&self, name: &str, values: impl IntoIterator<Item = T>) -> String {
        let mut text = String::new();
        for value in values.into_iter().filter(|value| !value.as_ref().is_empty()) {
            let name = if text.is_empty() { name } else { "" };
            let lines = self.console.wrapped(value.as_ref(), VALUES);
            text += &format!("  {name:width$}{}", lines.trim_start(), width = VALUES - 2);
        }
        text
    }

    fn prose(&self, text: &str) -> String {
        if text.trim().is_empty() { String::new() } else { format!("\n{}", self.console.wrapped(text.trim(), 2)) }
    }
}

/// The file itself: the script says most exactly what is done.
fn source(source: &Source) -> String {
    let mut text = format!("\n  {}\n", source.name);
    for line in source.text.lines().filter(|line| !line.starts_with("# yaml-language-server:")) {
        text += format!("    {line}").trim_end();
        text.push('\n');
    }
    text
}

fn comma(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn names(catalogue: &Catalogue) -> Vec<&str> {
    let mut names = Vec::new();
    for scenario in &catalogue.scenarios {
        names.push(scenario.id.as_str());
        // What people remember of an id.
        names.extend(scenario.id.rsplit('/').next());
        names.extend(scenario.field_cases.iter().map(String::as_str));
    }
    names.extend(catalogue.diagnoses.iter().map(|diagnosis| diagnosis.id.as_str()));
    names.extend(catalogue.defects.iter().map(|defect| defect.name.as_str()));
    names
}

/// The column in which values begin.
const VALUES: usize = 13;
