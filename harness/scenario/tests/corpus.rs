//! Every scenario, defect and diagnosis of this repository loads, lints clean, and leads somewhere.

use std::path::{Path, PathBuf};

use ftpspec_scenario::model::EventKind;
use ftpspec_scenario::{
    Catalogue, Diagnostic, lint_all, load_client_description, load_defect, load_server_description, read_file,
};

#[test]
fn every_scenario_diagnosis_and_defect_of_the_repository_is_right() {
    let mut wrong = Vec::new();
    let mut catalogue = Catalogue::default().with_folder(&top().join("scenarios")).unwrap_or_else(|found| {
        wrong.extend(found);
        Catalogue::default()
    });
    let loaded = wrong.is_empty();
    for side in ["server", "client"] {
        for path in yaml_files(&top().join("fixtures/defects").join(side)) {
            let name = format!("defects/{side}/{}", path.file_name().unwrap_or_default().to_string_lossy());
            match read_file(&path, &name).map_err(|found| vec![found]).and_then(|source| load_defect(&source)) {
                Ok(defect) => catalogue.defects.push(defect.into()),
                Err(found) => wrong.extend(found),
            }
        }
    }
    if loaded {
        wrong.extend(lint_all(&catalogue));
    }
    assert!(wrong.is_empty(), "{} found:\n{}", wrong.len(), rendered(&wrong));
}

/// Words that nothing was ever told in are words that nobody has seen fit.
#[test]
fn every_diagnosis_is_what_some_defect_is_told_as() {
    let catalogue = Catalogue::embedded().unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
    let told = |id: &str| catalogue.defects.iter().any(|defect| defect.told_as == id);
    // What explains why nothing was learnt is told of no failure; a real peer shows it.
    let of_failures = catalogue.diagnoses.iter().filter(|diagnosis| {
        !diagnosis.when.iter().any(|when| when.pattern.kind == EventKind::Leaf && when.pattern.is == ["untestable"])
    });
    let untold: Vec<_> = of_failures.map(|diagnosis| &diagnosis.id).filter(|id| !told(id)).collect();
    assert!(untold.is_empty(), "{untold:?}");
}

#[test]
fn what_is_embedded_is_what_the_repository_holds() {
    let embedded = Catalogue::embedded().unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
    for role in ["server", "client"] {
        let files = yaml_files(&top().join("scenarios").join(role));
        let below = |id: &str| id.split('/').next() == Some(role);
        assert_eq!(embedded.scenarios.iter().filter(|one| below(&one.id)).count(), files.len(), "{role}");
    }
    assert!(embedded.scenarios.is_sorted_by(|a, b| a.id < b.id));
    for scenario in &embedded.scenarios {
        assert!(!scenario.variants.is_empty(), "{}", scenario.id);
    }
}

#[test]
fn every_client_of_ours_is_described_rightly() {
    let files = yaml_files(&top().join("fixtures/clients"));
    assert!(!files.is_empty());
    for path in files {
        let source = read_file(&path, &path.to_string_lossy()).expect("it can be read");
        let description = load_client_description(&source).unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
        assert!(description.actions.contains_key("login"), "{}", description.title);
    }
}

#[test]
fn every_containerised_peer_is_described_rightly() {
    let files = yaml_files(&top().join("docker"));
    let peers = files.iter().filter(|path| path.ends_with("peer.yaml")).collect::<Vec<_>>();
    assert!(!peers.is_empty());
    for path in peers {
        let source = read_file(path, &path.to_string_lossy()).expect("it can be read");
        let description = load_server_description(&source).unwrap_or_else(|wrong| panic!("{}", rendered(&wrong)));
        assert!(!description.configurations.is_empty(), "{}", description.title);
    }
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.render())).collect()
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
