//! Lists the data folders, so that each of their files is embedded; a new file is noticed without being named here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FOLDERS: &[&str] = &[
    "certs",
    "docker",
    "fixtures/clients",
    "fixtures/defects",
    "fixtures/octets",
    "fixtures/payloads",
    "reports/schema",
    "scenarios",
];
/// What is made from the recipes, not written by hand.
const GENERATED: &[&str] = &["certs/out"];

fn main() {
    let top = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo:rerun-if-changed={folder}");
        list(&top, &top.join(folder), &mut files);
    }
    files.sort();
    let mut code = String::from("&[\n");
    for path in &files {
        let _ = writeln!(code, "    File {{ path: {path:?}, octets: include_bytes!({:?}) }},", top.join(path));
    }
    code.push(']');
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it")).join("files.rs");
    std::fs::write(out, code).expect("the build folder can be written");
}

fn list(top: &Path, folder: &Path, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.strip_prefix(top).expect("it lies below the top").to_string_lossy().replace('\\', "/");
        if GENERATED.contains(&name.as_str()) || name.contains("/.") {
            continue;
        }
        if path.is_dir() {
            list(top, &path, files);
        } else {
            files.push(name);
        }
    }
}
