//! The commands, files and outputs that a Markdown page shows, and running its commands as a reader would: through a
//! shell, in a folder, with `ftpspec` on the path. It must never know what a page is about.
#![allow(dead_code, reason = "each test program uses its part")]

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A fenced block of a page.
#[derive(Debug)]
pub struct Block {
    /// `sh`, `yaml`, `text`.
    pub language: String,
    /// What stands behind the language: the name of the file that it shows.
    pub file: String,
    /// The comment right above the fence, without its brackets; empty if there is none.
    pub mark: String,
    /// What is between the fences.
    pub text: String,
    /// The line of the fence, from 1.
    pub line: usize,
}

impl Block {
    /// The commands of a shell block: one on each line, unless the line ends with a backslash.
    pub fn commands(&self) -> Vec<String> {
        let lines = if self.language == "sh" { self.text.as_str() } else { "" };
        lines.replace("\\\n", "").lines().map(str::to_owned).collect()
    }

    /// The status that its commands end with: what its mark says, or 0.
    pub fn status(&self) -> i32 {
        let status = self.mark.strip_prefix("ends with ");
        status.map_or(0, |status| status.parse().expect("a mark `ends with` names a number"))
    }
}

/// Every fenced block of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    let mut above = "";
    for (at, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some("") if open => open = false,
            Some(info) if !open => {
                let (language, file) = info.split_once(' ').unwrap_or((info, ""));
                let mark = above.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->"));
                blocks.push(Block {
                    language: language.to_owned(),
                    file: file.to_owned(),
                    mark: mark.unwrap_or_default().to_owned(),
                    text: String::new(),
                    line: at + 1,
                });
                open = true;
            }
            _ if open => {
                let block = blocks.last_mut().expect("a fence was opened");
                block.text.push_str(line);
                block.text.push('\n');
            }
            _ => {}
        }
        above = line;
    }
    assert!(!open, "a fence is never closed");
    blocks
}

/// Runs one line in a folder, as if `ftpspec` were installed and the terminal had the width of the pages' samples.
pub fn run(folder: &Path, line: &str, environment: &[(&str, &str)]) -> Output {
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path_with_ftpspec())
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("a shell starts")
}

/// Runs every command of a block; each must end as the block's mark says. Gives what they wrote to standard output.
pub fn run_all(folder: &Path, block: &Block, environment: &[(&str, &str)]) -> String {
    let mut said = String::new();
    for command in block.commands() {
        let output = run(folder, &command, environment);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(block.status()),
            "the command in line {} of the page:\n$ {command}\n{out}{err}",
            block.line
        );
        said.push_str(&out);
    }
    said
}

/// Every line of the block stands in the output, in this order; numbers that differ from run to run count as equal. A
/// line of nothing but `…` leaves something out.
pub fn shows(block: &Block, output: &str) {
    let mut rest = output.lines();
    for line in block.text.lines().filter(|line| !matches!(line.trim(), "" | "…")) {
        assert!(
            rest.any(|said| without_run(said) == without_run(line)),
            "line {} and what follows: the page shows\n  {line}\nand the program says\n{output}",
            block.line
        );
    }
}

/// The environment that the page's reader would have; the folder of the tested program comes first.
fn path_with_ftpspec() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_ftpspec"));
    let folder = program.parent().expect("a program lies in a folder").to_owned();
    let usual = env::var_os("PATH").unwrap_or_default();
    env::join_paths([folder].into_iter().chain(env::split_paths(&usual))).expect("no folder's name has a colon")
}

/// The words of a line, without what no two runs share: durations, and ports, which have five digits here.
fn without_run(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let followed = words.iter().skip(1).copied().chain([""]);
    let shared = |(word, next): (&&str, &str)| {
        let is_duration = matches!(next, "s" | "ms") && word.parse::<f64>().is_ok();
        if is_duration { "…".to_owned() } else { without_port(word) }
    };
    words.iter().zip(followed).map(shared).collect()
}

fn without_port(word: &str) -> String {
    let port = word.split(|letter: char| !letter.is_ascii_digit()).find(|digits| digits.len() == 5);
    port.map_or_else(|| word.to_owned(), |port| word.replace(port, "…"))
}
