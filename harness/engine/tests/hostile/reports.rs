//! What a run told, in every format, and whether a reader could use it.

use ftpspec::{Results, RunEvent};
use ftpspec_report::terminal::{Detail, Options, Terminal};
use ftpspec_report::{json, junit};
use ftpspec_results::Fold;
use quick_xml::Reader;
use quick_xml::events::Event;

/// All that a run leaves for people and machines to read.
pub struct Told {
    pub results: Results,
    pub terminal: String,
    junit: String,
    json: String,
    /// The run events as the journal has them.
    journal: String,
}

impl Told {
    pub fn new(events: &[RunEvent]) -> Self {
        let mut fold = Fold::new();
        fold.extend(events);
        let results = fold.results().unwrap();
        let mut terminal = Terminal::new(Vec::new(), Options { detail: Detail::Verbose, ..Options::default() });
        for event in events {
            terminal.event(event).unwrap();
        }
        Self {
            terminal: String::from_utf8(terminal.into_inner()).unwrap(),
            junit: junit::render(&results, false),
            json: json::render_with_transcripts(&results),
            journal: serde_json::to_string(events).unwrap(),
            results,
        }
    }

    /// What is wrong with any of it.
    pub fn invalid(&self, password: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let texts =
            [("terminal", &self.terminal), ("JUnit", &self.junit), ("JSON", &self.json), ("journal", &self.journal)];
        for (name, text) in texts {
            if text.contains(password) {
                wrong.push(format!("the password stands in the {name}"));
            }
            if let Some(raw) = text.chars().find(|letter| letter.is_control() && *letter != '\n') {
                wrong.push(format!("{raw:?} stands in the {name}"));
            }
            if text.len() > MOST_OCTETS {
                wrong.push(format!("the {name} has {} octets", text.len()));
            }
        }
        match serde_json::from_str::<Results>(&self.json) {
            Ok(read) if read == self.results => {}
            Ok(_) => wrong.push("the JSON reads back as something else".to_owned()),
            Err(error) => wrong.push(format!("the JSON is none: {error}")),
        }
        wrong.extend(not_xml(&self.junit));
        wrong
    }
}

fn not_xml(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let mut open = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => open += 1,
            Ok(Event::End(_)) => open -= 1,
            Ok(Event::Eof) if open == 0 => return None,
            Ok(Event::Eof) => return Some("the JUnit file ends in its midst".to_owned()),
            Ok(_) => {}
            Err(error) => return Some(format!("the JUnit file is no XML: {error}")),
        }
    }
}

/// Five variants with all they said; what a peer sends without end must not stand here.
const MOST_OCTETS: usize = 2 << 20;
