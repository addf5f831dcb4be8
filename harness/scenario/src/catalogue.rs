//! All scenarios, defects and diagnoses that a run can choose from: those that are embedded, and a folder of the
//! user's on top. A wrong file is never left out in silence: its diagnostics come in place of the catalogue.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Problem};
use crate::load::{load_defect, load_diagnosis, load_scenario, read_file, source, unreadable};
use crate::model::{Defect, Diagnosis, Place, Scenario, Source};

/// Scenarios, defects and diagnoses, each sorted by id.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Every scenario.
    pub scenarios: Vec<Arc<Scenario>>,
    /// Every defect of the reference peers.
    pub defects: Vec<Arc<Defect>>,
    /// Every diagnosis.
    pub diagnoses: Vec<Arc<Diagnosis>>,
}

impl Catalogue {
    /// What is embedded in the program.
    ///
    /// # Errors
    /// Everything found wrong with any of the files.
    pub fn embedded() -> Result<Self, Vec<Diagnostic>> {
        let mut loading = Loading::default();
        for file in ftpspec_data::below("scenarios/").chain(ftpspec_data::below("fixtures/defects/")) {
            let name = file.path.strip_prefix("scenarios/").or_else(|| file.path.strip_prefix("fixtures/"));
            if let Some((name, kind)) = name.and_then(|name| Some((name, Kind::of(name)?))) {
                loading.take(kind, source(name, file.octets));
            }
        }
        loading.finish()
    }

    /// The same with a folder's files on top: the same id replaces, a new id adds.
    ///
    /// The folder is laid out as `scenarios/` is: `server/`, `client/`, `proxy/`, `diagnoses/`; and `defects/server/`.
    ///
    /// # Errors
    /// Everything found wrong with any of its files, or the folder if it cannot be read.
    pub fn with_folder(self, folder: &Path) -> Result<Self, Vec<Diagnostic>> {
        let mut files = Vec::new();
        if let Err((path, error)) = list(folder, "", 0, &mut files) {
            let name = path.to_string_lossy().into_owned();
            let source = Arc::new(Source { name, text: String::new() });
            let problem = Problem::new(Place::default(), unreadable(&error));
            return Err(vec![Diagnostic::new(&source, problem)]);
        }
        files.sort();
        let mut loading = Loading { catalogue: self, wrong: Vec::new() };
        for (name, path) in &files {
            if let Some(kind) = Kind::of(name) {
                loading.take(kind, read_file(path, name));
            }
        }
        loading.finish()
    }

    /// The scenario with this id.
    #[must_use]
    pub fn scenario(&self, id: &str) -> Option<&Arc<Scenario>> {
        self.scenarios.iter().find(|scenario| scenario.id == id)
    }

    /// The defect with this name.
    #[must_use]
    pub fn defect(&self, name: &str) -> Option<&Arc<Defect>> {
        self.defects.iter().find(|defect| defect.name == name)
    }

    /// The diagnosis with this id.
    #[must_use]
    pub fn diagnosis(&self, id: &str) -> Option<&Arc<Diagnosis>> {
        self.diagnoses.iter().find(|diagnosis| diagnosis.id == id)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Scenario,
    Defect,
    Diagnosis,
}

impl Kind {
    /// What a file is by its name below the folder; none if it is nothing of ours.
    fn of(name: &str) -> Option<Self> {
        if !name.ends_with(".yaml") {
            return None;
        }
        match name.split('/').next()? {
            "diagnoses" => Some(Self::Diagnosis),
            "defects" => Some(Self::Defect),
            // Ledgers about scenarios and what stands beside them, which are no scenarios themselves.
            "requirements" | "field-cases" | "schema" | "baselines" | "clients" | "servers" | "targets" => None,
            // A scenario, or a file whose folder does not say what it is: its diagnostic will.
            _ => Some(Self::Scenario),
        }
    }
}

#[derive(Default)]
struct Loading {
    catalogue: Catalogue,
    wrong: Vec<Diagnostic>,
}

impl Loading {
    fn take(&mut self, kind: Kind, source: Result<Arc<Source>, Diagnostic>) {
        let source = match source {
            Ok(source) => source,
            Err(diagnostic) => return self.wrong.push(diagnostic),
        };
        let taken = match kind {
            Kind::Scenario => load_scenario(&source)
                .map(|scenario| put(&mut self.catalogue.scenarios, scenario, |scenario| &scenario.id)),
            Kind::Defect => {
                load_defect(&source).map(|defect| put(&mut self.catalogue.defects, defect, |defect| &defect.name))
            }
            Kind::Diagnosis => load_diagnosis(&source)
                .map(|diagnosis| put(&mut self.catalogue.diagnoses, diagnosis, |diagnosis| &diagnosis.id)),
        };
        if let Err(diagnostics) = taken {
            self.wrong.extend(diagnostics);
        }
    }

    fn finish(self) -> Result<Catalogue, Vec<Diagnostic>> {
        if self.wrong.is_empty() { Ok(self.catalogue) } else { Err(self.wrong) }
    }
}

/// Puts a value in its place by id, instead of the one with the same id if there is one.
fn put<T>(all: &mut Vec<Arc<T>>, value: T, id: fn(&T) -> &String) {
    match all.binary_search_by(|other| id(other).cmp(id(&value))) {
        Ok(at) => all[at] = Arc::new(value),
        Err(at) => all.insert(at, Arc::new(value)),
    }
}

fn list(
    folder: &Path,
    name: &str,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), (PathBuf, std::io::Error)> {
    let failed = |error| (folder.to_owned(), error);
    if depth > MAX_FOLDERS || files.len() > MAX_FILES {
        return Err(failed(std::io::Error::other("too many files or folders in one another")));
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let own = entry.file_name().to_string_lossy().into_owned();
        if own.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let name = if name.is_empty() { own } else { format!("{name}/{own}") };
        if path.is_dir() {
            list(&path, &name, depth + 1, files)?;
        } else {
            files.push((name, path));
        }
    }
    Ok(())
}

/// Folders in one another: a link that leads back up would have no end.
const MAX_FOLDERS: usize = 16;
/// Files of one folder: somebody who names their home folder by mistake gets an answer.
const MAX_FILES: usize = 10_000;
