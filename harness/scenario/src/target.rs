//! The description of a partner's endpoint: where it is, how to log in, what may be done to it and how hard. It reads no
//! other file and resolves no name: paths stay as they were written, and mean places beside the target's own file.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Decoded, duration, list, map, needed, optional_text, optional_word, text, texts, word};
use crate::diagnostic::{Diagnostic, Problem};
use crate::grammar::TARGET;
use crate::load::load;
use crate::model::{Capability, Effects, Source};
use crate::node::Node;

/// An endpoint, described once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name that reports show.
    pub title: String,
    /// Its URL, without a password.
    pub server: String,
    /// Where the password is.
    pub password: Option<PasswordFrom>,
    /// The certificates to trust.
    pub ca_file: Option<String>,
    /// The TLS versions to test it with; empty is all.
    pub versions: Vec<String>,
    /// A client certificate and its key.
    pub client_certificate: Option<(String, String)>,
    /// Paths of fixtures that are there.
    pub fixtures: BTreeMap<String, String>,
    /// A folder that may be written, with a `/` at its end.
    pub scratch: Option<String>,
    /// What may be done to it.
    pub allow: Effects,
    /// How hard it may be worked.
    pub pace: Pace,
    /// The range of its passive ports.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// What it is set up to do.
    pub provides: Vec<Capability>,
    /// The file of its known deviations.
    pub baseline: Option<String>,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordFrom {
    /// In this environment variable.
    Env(String),
    /// The first line of this file.
    File(String),
}

/// How hard an endpoint may be worked; none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Sessions at once.
    pub connections: Option<usize>,
    /// Control connections in a minute.
    pub per_minute: Option<usize>,
    /// Control connections in all.
    pub total: Option<usize>,
    /// Between the end of a session and the beginning of the next.
    pub pause: Option<Duration>,
}

/// Loads the description of an endpoint.
///
/// # Errors
/// Everything found wrong with it.
pub fn load_target(source: &Arc<Source>) -> Result<Target, Vec<Diagnostic>> {
    load(source, &TARGET, &[], |root, _| {
        let (fixtures, scratch) = root.value("fixtures").map(fixtures).transpose()?.unwrap_or_default();
        let tls = root.value("tls");
        let in_tls = |key| tls.map(|tls| optional_text(tls, key)).transpose().map(Option::flatten);
        Ok(Target {
            title: text(needed(root, "title")?)?.to_owned(),
            server: text(needed(root, "server")?)?.to_owned(),
            password: root.value("password").map(password).transpose()?,
            ca_file: in_tls("ca-file")?,
            versions: texts(tls.and_then(|tls| tls.value("versions")))?,
            client_certificate: tls.map(client_certificate).transpose()?.flatten(),
            fixtures,
            scratch,
            allow: root.value("allow").map(allow).transpose()?.unwrap_or_default(),
            pace: root.value("pace").map(pace).transpose()?.unwrap_or_default(),
            passive_ports: optional_word(root, "passive-ports", ports, "a range of ports")?,
            provides: provides(root.value("provides"))?,
            baseline: optional_text(root, "baseline")?,
        })
    })
}

/// `50000-50009`
pub(crate) fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (low, high) = text.split_once('-')?;
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    // z/OS wants 1024 at least for its PASSIVEDATAPORTS; nobody serves data on port 0.
    (low > 0 && low <= high).then_some(low..=high)
}

fn password(node: &Node) -> Decoded<PasswordFrom> {
    match (optional_text(node, "env")?, optional_text(node, "file")?) {
        (Some(name), None) => Ok(PasswordFrom::Env(name)),
        (None, Some(path)) => Ok(PasswordFrom::File(path)),
        _ => Err(Problem::new(node.place, "a password comes from one place").due("`env: VARIABLE` or `file: PATH`")),
    }
}

fn client_certificate(node: &Node) -> Decoded<Option<(String, String)>> {
    let key = node.value("client-key").map(|key| Ok(text(needed(key, "file")?)?.to_owned())).transpose()?;
    match (optional_text(node, "client-certificate")?, key) {
        (Some(chain), Some(key)) => Ok(Some((chain, key))),
        (None, None) => Ok(None),
        _ => Err(Problem::new(node.place, "a client certificate and its key go together")),
    }
}

type Paths = (BTreeMap<String, String>, Option<String>);

fn fixtures(node: &Node) -> Decoded<Paths> {
    let mut paths = BTreeMap::new();
    for (name, path) in map(node)? {
        paths.insert(text(name)?.to_owned(), text(path)?.to_owned());
    }
    let scratch = paths.remove("scratch").map(|folder| format!("{}/", folder.trim_end_matches('/')));
    Ok((paths, scratch))
}

/// The list names each effect, as a person would; the last one includes the others.
fn allow(node: &Node) -> Decoded<Effects> {
    let effects = list(node)?.iter().map(|item| word(item, Effects::from_word, "an effect"));
    Ok(effects.collect::<Decoded<Vec<_>>>()?.into_iter().max().unwrap_or_default())
}

fn pace(node: &Node) -> Decoded<Pace> {
    let number =
        |key| optional_word(node, key, |text| text.parse().ok().filter(|count| *count > 0), "a number above 0");
    Ok(Pace {
        connections: number("connections")?,
        per_minute: number("per-minute")?,
        total: number("total")?,
        pause: optional_word(node, "pause", duration, "a duration")?,
    })
}

fn provides(node: Option<&Node>) -> Decoded<Vec<Capability>> {
    let items = node.map(list).transpose()?.unwrap_or_default();
    items.iter().map(|item| word(item, Capability::from_word, "a capability")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, String> {
        let source = Arc::new(Source { name: "target.yaml".to_owned(), text: text.to_owned() });
        load_target(&source).map_err(|wrong| wrong[0].plain())
    }

    #[test]
    fn a_whole_target_is_read() {
        let read = target(
            "title: Partner\nserver: ftp://acme@ftps.example.com:21\npassword: {env: ACME}\n\
             tls: {ca-file: root.pem, versions: [\"1.2\"], client-certificate: a.pem, client-key: {file: a.key}}\n\
             fixtures: {empty: /in/empty.bin, scratch: /in/tmp}\nallow: [read, write]\n\
             pace: {connections: 2, per-minute: 30, total: 400, pause: 250ms}\npassive-ports: 50000-50009\n\
             baseline: known.yaml\n",
        )
        .expect("it is well formed");
        assert_eq!(read.scratch.as_deref(), Some("/in/tmp/"));
        assert_eq!(read.fixtures["empty"], "/in/empty.bin");
        assert_eq!(read.allow, Effects::Write);
        assert_eq!(read.passive_ports, Some(50_000..=50_009));
        assert_eq!(read.pace.pause, Some(Duration::from_millis(250)));
        assert_eq!(read.client_certificate, Some(("a.pem".to_owned(), "a.key".to_owned())));
    }

    #[test]
    fn without_a_word_only_reading_is_allowed() {
        let read = target("title: Partner\nserver: ftp://acme@ftps.example.com\n").expect("it is well formed");
        assert_eq!(read.allow, Effects::Read);
        assert_eq!(read.pace, Pace::default());
    }

    #[test]
    fn what_cannot_be_is_told_with_its_place() {
        let wrong = |text: &str| target(text).expect_err("it is wrong");
        let head = "title: P\nserver: ftp://h\n";
        assert!(wrong(&format!("{head}password: secret\n")).starts_with("target.yaml:3:11"));
        assert!(wrong(&format!("{head}password: {{env: A, file: b}}\n")).contains("one place"));
        assert!(wrong(&format!("{head}passive-ports: 50009-50000\n")).contains("a range of ports"));
        assert!(wrong(&format!("{head}tls: {{client-certificate: a.pem}}\n")).contains("go together"));
        assert!(wrong(&format!("{head}allow: [everything]\n")).contains("everything"));
    }
}
