//! The walk-through of CONTRIBUTING.md: its files are written into a folder, its commands are run there, and the
//! program says what the page shows.

mod markdown;

use std::fs;
use std::path::Path;

use markdown::{Block, blocks, run_all, shows};

const PAGE: &str = include_str!("../../../CONTRIBUTING.md");

/// The folder that the page's commands name.
const FOLDER: &str = "my-scenarios";

#[test]
fn the_walk_through_of_contributing_works_as_written() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let page = blocks(PAGE);
    let files = page.iter().filter(|block| !block.file.is_empty()).map(|block| write(folder.path(), block)).count();
    assert_eq!(files, 3, "a scenario, a defect and a diagnosis");

    let mut output = String::new();
    let mut shown = 0;
    for block in page.iter().filter(|block| block.mark != "needs containers") {
        if block.mark == "shows" {
            shows(block, &output);
            shown += 1;
        } else if !block.commands().is_empty() {
            output = run_all(folder.path(), block, &[]);
        }
    }
    assert_eq!(shown, 1, "the failure that the defect makes");
}

/// The page says that the files can be moved into the repository as they are; there they have neighbours.
#[test]
fn nothing_of_the_walk_through_is_in_the_repository_yet() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for block in blocks(PAGE).iter().filter(|block| !block.file.is_empty()) {
        for below in ["scenarios", "fixtures"] {
            let file = top.join(below).join(&block.file);
            assert!(!file.exists(), "{} is there: the page needs another example", block.file);
        }
    }
}

fn write(folder: &Path, block: &Block) {
    let path = folder.join(FOLDER).join(&block.file);
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the folder can be made");
    fs::write(path, &block.text).expect("the file can be written");
}
