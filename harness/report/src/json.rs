//! The results document as JSON, which machines read. Its keys are those of [`Results`]: a contract, and described by
//! `reports/schema/results.schema.json`. Nothing is clipped here, and nothing is changed: a reader gets back every
//! character that a peer sent, but the file itself holds only such as can safely be looked at.

use std::fmt::Write;

use ftpspec_results::{Results, SelfTest};
use serde::Serialize;

use crate::escape;

/// The document, without the whole transcripts.
pub fn render(results: &Results) -> String {
    let mut without = results.clone();
    for result in &mut without.results {
        result.transcript.clear();
    }
    render_with_transcripts(&without)
}

/// The document, with the whole transcript of each result that has one.
pub fn render_with_transcripts(results: &Results) -> String {
    document(results)
}

/// What a self-test came to: described by `reports/schema/selftest.schema.json`.
pub fn render_selftest(selftest: &SelfTest) -> String {
    document(selftest)
}

fn document(told: &impl Serialize) -> String {
    let document = serde_json::to_string_pretty(told).expect("its keys are text, and nothing in it can refuse");
    let mut out = String::with_capacity(document.len() + 1);
    let mut units = [0; 2];
    for character in document.chars() {
        // serde_json has escaped C0 already; what else is unseen can only stand within a string, where `\u` may too.
        if character == '\n' || escape::is_harmless(character) {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut units) {
            write!(out, "\\u{unit:04x}").expect("writing to a string does not fail");
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod schema;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample;

    #[test]
    fn a_transcript_is_told_only_when_asked() {
        let results = sample::results();
        assert!(results.results.iter().any(|result| !result.transcript.is_empty()));
        assert!(!render(&results).contains("\"transcript\""));
        assert!(render_with_transcripts(&results).contains("\"transcript\""));
    }

    #[test]
    fn a_document_reads_back_as_it_was() {
        let results = sample::results();
        assert_eq!(serde_json::from_str::<Results>(&render_with_transcripts(&results)).unwrap(), results);
    }

    proptest! {
        #[test]
        fn whatever_a_peer_sent_reads_back_and_is_safe_to_look_at(text in any::<String>()) {
            let results = sample::hostile(&text);
            let document = render_with_transcripts(&results);
            prop_assert!(document.chars().all(|c| c == '\n' || escape::is_harmless(c)));
            prop_assert_eq!(serde_json::from_str::<Results>(&document).unwrap(), results);
        }
    }
}
