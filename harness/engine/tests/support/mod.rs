//! What the test harnesses of this folder share: the checkout's own scenarios, read from disk at run time.

use std::path::{Path, PathBuf};

use ftpspec::Catalogue;
use libtest_mimic::Failed;

/// The top of the checkout.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The scenarios, diagnoses and defects of the checkout: a new file needs no rebuild.
pub fn catalogue() -> Result<Catalogue, Box<dyn std::error::Error>> {
    let read = |catalogue: Catalogue, folder: &str| {
        catalogue
            .with_folder(&top().join(folder))
            .map_err(|wrong| wrong.iter().map(ftpspec_scenario::Diagnostic::render).collect::<Vec<_>>().join("\n\n"))
    };
    let catalogue = read(Catalogue::default(), "scenarios")?;
    Ok(read(catalogue, "fixtures")?)
}

/// A failure with the evidence that a person needs.
pub fn failed(result: &ftpspec::CaseResult) -> Failed {
    let mut text = format!("{} {}", result.verdict, result.name());
    if let Some(reason) = &result.reason {
        text.push_str(&format!("\n{reason}"));
    }
    if let Some(evidence) = &result.evidence {
        text.push_str(&format!("\n{}:{}:{}", evidence.file, evidence.line, evidence.column));
        text.push_str(&format!("\n  due   {}\n  came  {}\n", evidence.due, evidence.came));
        for line in &evidence.conversation {
            text.push_str(&format!("\n    {line}"));
        }
    }
    if let Some(diagnosis) = &result.diagnosis {
        text.push_str(&format!("\n\n  {}: {}", diagnosis.id, diagnosis.text));
    }
    text.into()
}
