//! What the test harnesses of this folder share: the checkout's own scenarios, read from disk at run time.

use std::path::{Path, PathBuf};

use ftpspec::Catalogue;
use libtest_mimic::Arguments;

/// What the command line says; most of a test is waiting, so more of them go on at once than there are processors.
pub fn arguments() -> Arguments {
    let given = Arguments::from_args();
    Arguments { test_threads: given.test_threads.or(Some(AT_ONCE)), ..given }
}

/// As many as a run of the program plays at once.
const AT_ONCE: usize = 8;

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
