//! `ftpspec lint`: checks files of the user's as a run would, every variant expanded, and runs nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ftpspec::{Catalogue, Exit};
use ftpspec_report::layout::counted;
use ftpspec_scenario::model::Source;
use ftpspec_scenario::{
    Diagnostic, lint_all, load_baseline, load_client_description, load_defect, load_diagnosis, load_rules,
    load_scenario, load_server_description, read_file, unreadable,
};

use crate::console::Console;
use crate::failure::Failure;
use crate::{client, described, serve, target};

#[derive(Debug, Args)]
#[command(after_help = "\
What a file is, its folder says: server/, client/, proxy/ (scenarios),
diagnoses/, defects/, baselines/, clients/; a file named peer.yaml describes a
server. Of the files elsewhere one with `start:` describes a server, one with
`actions:` a client, and one whose `server:` is a URL an endpoint (a target);
one of nothing but `settings:` and `rules:` is for `ftpspec serve`.

Examples:
  ftpspec lint scenarios
  ftpspec lint my-scenarios/server/data/odd-listing.yaml
  ftpspec lint partner.yaml")]
pub struct Options {
    /// Files, or folders with files that end in .yaml
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
}

pub fn execute(options: &Options, console: &Console) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    for path in &options.paths {
        let before = files.len();
        gather(path, 0, &mut files)?;
        if files.len() == before {
            return Err(Failure::WrongUse(format!("no file in {} ends in .yaml", path.display())));
        }
    }
    let mut linting =
        Linting { catalogue: Catalogue::embedded().map_err(Failure::WrongFiles)?, ours: vec![], wrong: vec![] };
    for path in &files {
        let (kind, name) = kind_and_name(path).ok_or_else(|| {
            Failure::WrongUse(format!("{}: its folder does not say what it is; {FOLDERS}", path.display()))
        })?;
        linting.take(kind, path, &name);
    }
    let wrong = linting.finish();
    if !wrong.is_empty() {
        return Err(Failure::WrongFiles(wrong));
    }
    console.print(&format!("{}, no fault\n", counted(files.len(), "file")))?;
    Ok(Exit::Green)
}

/// The files, each once, put on top of what is embedded, so that names between files can be looked up.
struct Linting {
    catalogue: Catalogue,
    ours: Vec<Arc<Source>>,
    wrong: Vec<Diagnostic>,
}

impl Linting {
    fn take(&mut self, kind: Kind, path: &Path, name: &str) {
        let source = match read_file(path, name) {
            Ok(source) => source,
            Err(diagnostic) => return self.wrong.push(diagnostic),
        };
        self.ours.push(Arc::clone(&source));
        let Catalogue { scenarios, defects, diagnoses } = &mut self.catalogue;
        let taken = match kind {
            Kind::Scenario => load_scenario(&source).map(|it| put(scenarios, it, |it| &it.id)),
            Kind::Defect => load_defect(&source).map(|it| put(defects, it, |it| &it.name)),
            Kind::Diagnosis => load_diagnosis(&source).map(|it| put(diagnoses, it, |it| &it.id)),
            Kind::Server => load_server_description(&source).map(drop),
            Kind::Client => load_client_description(&source).map(drop),
            Kind::Baseline => load_baseline(&source).map(drop),
            Kind::Target => target::load(&source).map(drop),
            Kind::Rules => load_rules(&source).map(drop),
        };
        if let Err(diagnostics) = taken {
            self.wrong.extend(diagnostics);
        }
    }

    /// What is wrong with the files, alone and between them; what is embedded is not theirs to mend.
    fn finish(mut self) -> Vec<Diagnostic> {
        let ours = |source: &Arc<Source>| self.ours.iter().any(|own| Arc::ptr_eq(own, source));
        self.wrong.extend(lint_all(&self.catalogue).into_iter().filter(|diagnostic| ours(&diagnostic.source)));
        self.wrong
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scenario,
    Defect,
    Diagnosis,
    Server,
    Client,
    Baseline,
    Target,
    Rules,
}

/// What a file is, and its name below the folder that says so: a scenario's id comes of it. None if no folder does.
fn kind_and_name(path: &Path) -> Option<(Kind, String)> {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let parts: Vec<_> = whole.iter().map(|part| part.to_string_lossy()).collect();
    let folders = &parts[..parts.len().saturating_sub(1)];
    let below = |at: usize| parts[at..].join("/");
    let own = |word: &str| {
        Some(match word {
            "defects" => Kind::Defect,
            "diagnoses" => Kind::Diagnosis,
            "baselines" => Kind::Baseline,
            _ => return None,
        })
    };
    if path.file_name().is_some_and(|name| name == "peer.yaml") {
        return Some((Kind::Server, path.to_string_lossy().into_owned()));
    }
    // The folder that is nearest to the file tells; what lies above a checkout is somebody else's name.
    let nearest = folders.iter().rposition(|part| own(part).is_some() || ROLES.contains(&&**part));
    let above = |at: usize| at.checked_sub(1).filter(|above| own(&parts[*above]).is_some());
    if folders.last().is_none_or(|folder| folder != CLIENTS)
        && let Some(nearest) = nearest
    {
        // Defects lie in a folder for each role.
        let at = above(nearest).unwrap_or(nearest);
        return Some((own(&parts[at]).unwrap_or(Kind::Scenario), below(at)));
    }
    // An endpoint's, a server's or a client's file lies where its owner keeps it; what it is, it says itself.
    let text = fs::read_to_string(path).ok()?;
    let kind = match (target::is_target(&text), described::is_server(&text)) {
        (true, _) => Kind::Target,
        (false, true) => Kind::Server,
        (false, false) if client::is_client(&text) => Kind::Client,
        (false, false) if serve::are_rules(&text) => Kind::Rules,
        (false, false) if folders.last().is_some_and(|folder| folder == CLIENTS) => Kind::Client,
        (false, false) => return None,
    };
    Some((kind, path.to_string_lossy().into_owned()))
}

/// Puts a value in the place of the one with the same name, or behind all others.
fn put<T>(all: &mut Vec<Arc<T>>, value: T, name: fn(&T) -> &String) {
    all.retain(|other| name(other) != name(&value));
    all.push(Arc::new(value));
}

fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let failed = |error| Failure::WrongUse(format!("{} {}", path.display(), unreadable(&error)));
    if depth > DEEPEST || files.len() > MOST_FILES {
        return Err(Failure::WrongUse(format!("{}: too many files, or folders in one another", path.display())));
    }
    let mut entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        // Ledgers about scenarios, and what is hidden, are no scenarios.
        let passed_over = name.starts_with('.') || matches!(name.as_str(), "requirements" | "field-cases" | "schema");
        if passed_over || !(path.is_dir() || name.ends_with(".yaml")) {
            continue;
        }
        gather(&path, depth + 1, files)?;
    }
    Ok(())
}

/// The folders of scenarios.
const ROLES: &[&str] = &["server", "client", "proxy"];

/// The folder of the descriptions of clients; customers' endpoints are kept in folders of this name too.
const CLIENTS: &str = "clients";

/// For whoever keeps a file elsewhere.
const FOLDERS: &str = "scenarios lie below server/, client/ or proxy/, other files below diagnoses/, defects/, \
    baselines/ or clients/, peer.yaml or a file with `start:` describes a server, one with `actions:` a client, a target \
    has a URL behind `server:`, and rules have nothing but `settings:` and `rules:`";

/// Folders in one another: a link that leads back up would have no end.
const DEEPEST: usize = 16;

/// Somebody who names their home folder by mistake gets an answer.
const MOST_FILES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_folder_says() {
        for (path, kind, name) in [
            ("a/scenarios/server/data/x.yaml", Kind::Scenario, "server/data/x.yaml"),
            ("srv/server/mine/client/x.yaml", Kind::Scenario, "client/x.yaml"),
            ("fixtures/defects/server/x.yaml", Kind::Defect, "defects/server/x.yaml"),
            ("server/diagnoses/x.yaml", Kind::Diagnosis, "diagnoses/x.yaml"),
            ("docker/vsftpd/peer.yaml", Kind::Server, "docker/vsftpd/peer.yaml"),
            ("w/clients/scenarios/client/data/x.yaml", Kind::Scenario, "client/data/x.yaml"),
            ("w/defects/scenarios/server/x.yaml", Kind::Scenario, "server/x.yaml"),
            ("w/clients/fixtures/defects/client/x.yaml", Kind::Defect, "defects/client/x.yaml"),
            ("w/clients/docker/vsftpd/peer.yaml", Kind::Server, "w/clients/docker/vsftpd/peer.yaml"),
            ("fixtures/defects/client/x.yaml", Kind::Defect, "defects/client/x.yaml"),
            ("fixtures/baselines/x.yaml", Kind::Baseline, "baselines/x.yaml"),
        ] {
            assert_eq!(kind_and_name(Path::new(path)), Some((kind, name.to_owned())), "{path}");
        }
        assert_eq!(kind_and_name(Path::new("x.yaml")), None);
    }

    #[test]
    fn a_file_below_clients_is_what_it_says_itself_and_else_a_client() {
        let folder = tempfile::tempdir().unwrap();
        let clients = folder.path().join("server/clients");
        fs::create_dir_all(&clients).unwrap();
        let kind = |text: &str| {
            let file = clients.join("x.yaml");
            fs::write(&file, text).unwrap();
            kind_and_name(&file).map(|(kind, _)| kind)
        };
        assert_eq!(kind("title: x\nactions: {}\n"), Some(Kind::Client));
        assert_eq!(kind("title: x\nactoins: {}\n"), Some(Kind::Client));
        assert_eq!(kind("title: x\nserver: ftp://me@ftp.example.com\n"), Some(Kind::Target));
    }
}
