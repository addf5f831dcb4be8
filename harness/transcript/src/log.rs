//! The log itself: the one door in, waiting, and folding.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::event::{By, Event, What};

/// The most events of one log: a variant has some hundreds; a peer that makes more is flooding us.
pub const MOST_EVENTS: usize = 20_000;

/// The shortest text that is redacted wherever it stands; shorter ones would blot out half of every line.
const SHORTEST_SECRET: usize = 4;

/// A text that must not be seen anywhere.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself, for the wire only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("{redacted}")
    }
}

/// An append-only list of events, shared by all connections of a variant.
#[derive(Debug)]
pub struct Log {
    inner: Mutex<Inner>,
    changed: Notify,
    began: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<Event>,
    /// The run of records and octets that each connection's events end in: these can be added to.
    runs: BTreeMap<Arc<str>, Vec<usize>>,
    secrets: Vec<Secret>,
    /// Values that differ from run to run, and the word that stands for each in the normal form.
    words: Vec<(String, String)>,
    overflowed: bool,
}

impl Log {
    /// An empty log that begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), changed: Notify::new(), began: now })
    }

    /// Redacts this text from every event that is pushed from now on.
    pub fn redact(&self, secret: &Secret) {
        if secret.reveal().len() >= SHORTEST_SECRET {
            self.lock().secrets.push(secret.clone());
        }
    }

    /// In the normal form `word` stands in place of `value`, which differs from run to run.
    pub fn call(&self, value: &str, word: &str) {
        if !value.is_empty() {
            let mut inner = self.lock();
            inner.words.push((value.to_owned(), word.to_owned()));
            // The longest first: a path must be found before a part of it.
            inner.words.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        }
    }

    /// The words of [`Log::call`], longest value first.
    #[must_use]
    pub fn words(&self) -> Vec<(String, String)> {
        self.lock().words.clone()
    }

    /// A text that is no event's, as the door lets it pass: without secrets, and without what follows PASS or ACCT.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        let text = self.lock().without_secrets(text.to_owned());
        let upper = text.to_ascii_uppercase();
        let argument = ["PASS ", "ACCT "].iter().filter_map(|command| {
            let begins = |at: &usize| !upper[..*at].ends_with(|before: char| before.is_alphanumeric());
            let at = upper.match_indices(command).map(|(at, _)| at).find(begins)?;
            Some(at + command.len())
        });
        // A password may have any character, blanks and quotes too: where it ends nobody can tell.
        argument.min().map_or_else(|| text.clone(), |at| format!("{}{{redacted}}", &text[..at]))
    }

    /// Appends an event; the only way in. Redacts, folds runs of records and octets, and is bounded.
    pub fn push(&self, connection: Option<&Arc<str>>, by: By, what: What) {
        let at = self.began.elapsed();
        self.lock().append(at, connection, by, false, what);
        self.changed.notify_waiters();
    }

    /// As [`Log::push`], for several events of one connection that nobody may see parted; the bool says whether
    /// politeness did it, and no script asked for it.
    pub fn push_all(&self, connection: &Arc<str>, events: Vec<(By, bool, What)>) {
        self.push_all_and(connection, events, || {});
    }

    /// As [`Log::push_all`]; whoever sees the events sees what `then` does too, and nobody sees that without them. It must
    /// not touch the log.
    pub fn push_all_and(&self, connection: &Arc<str>, events: Vec<(By, bool, What)>, then: impl FnOnce()) {
        let at = self.began.elapsed();
        let mut inner = self.lock();
        for (by, polite, what) in events {
            inner.append(at, Some(connection), by, polite, what);
        }
        then();
        drop(inner);
        self.changed.notify_waiters();
    }

    /// How many events there are; the place from which a wait can look.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().events.len()
    }

    /// Whether nothing has happened yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All events so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Looks at the events so far.
    pub fn look<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.lock().events)
    }

    /// Waits until `look` finds what it looks for; it is asked again after each event. The caller bounds the wait.
    pub async fn wait<T>(&self, mut look: impl FnMut(&[Event]) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&self.lock().events) {
                return found;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held leaves whole events behind: pushing is the last thing that happens.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, at: Duration, connection: Option<&Arc<str>>, by: By, polite: bool, what: What) {
        let what = self.redacted(what);
        if self.folded(connection, by, &what) {
            return;
        }
        if self.events.len() >= MOST_EVENTS {
            if self.overflowed {
                return;
            }
            self.overflowed = true;
        }
        let what = if self.overflowed {
            What::Trouble { text: format!("more than {MOST_EVENTS} events: the rest is not logged") }
        } else {
            what
        };
        let seq = self.events.len();
        let folds = matches!(what, What::Records { .. } | What::Octets { .. });
        self.events.push(Event { seq, at, connection: connection.cloned(), by, polite, what });
        if let Some(connection) = connection {
            let run = self.runs.entry(Arc::clone(connection)).or_default();
            if folds {
                run.push(seq);
            } else {
                run.clear();
            }
        }
    }

    /// Adds to an event of the run that the connection's events end in, if one is of the same kind and direction.
    fn folded(&mut self, connection: Option<&Arc<str>>, by: By, what: &What) -> bool {
        let Some(run) = connection.and_then(|connection| self.runs.get(connection)) else { return false };
        run.iter().any(|seq| {
            let event = &mut self.events[*seq];
            event.by == by && add(&mut event.what, what)
        })
    }

    fn redacted(&self, what: What) -> What {
        let text = |text: String| self.without_secrets(text);
        match what {
            What::Command { verb, line, protected } => {
                let line = if verb == "PASS" || verb == "ACCT" { format!("{verb} {{redacted}}") } else { text(line) };
                What::Command { verb, line, protected }
            }
            What::Reply { mut reply, protected, to } => {
                for line in &mut reply.lines {
                    self.strike(line);
                }
                What::Reply { reply, protected, to }
            }
            What::Malformed { mut octets, why } => {
                self.strike(&mut octets);
                What::Malformed { octets, why }
            }
            What::Plaintext { mut octets, looks_like, in_session } => {
                self.strike(&mut octets);
                What::Plaintext { octets, looks_like, in_session }
            }
            What::Unmet { act, why, due, came, level, place } => {
                What::Unmet { act, why, due: text(due), came: text(came), level, place }
            }
            What::Leaf { kind, text: why, level, place } => What::Leaf { kind, text: text(why), level, place },
            What::Ended { how, status, said, after } => {
                What::Ended { how, status: text(status), said: text(said), after }
            }
            What::Trouble { text: why } => What::Trouble { text: text(why) },
            other => other,
        }
    }

    fn without_secrets(&self, mut text: String) -> String {
        for secret in &self.secrets {
            if text.contains(secret.reveal()) {
                text = text.replace(secret.reveal(), "{redacted}");
            }
        }
        text
    }

    fn strike(&self, octets: &mut Vec<u8>) {
        for secret in &self.secrets {
            let secret = secret.reveal().as_bytes();
            while let Some(at) = octets.windows(secret.len()).position(|window| window == secret) {
                octets.splice(at..at + secret.len(), b"{redacted}".iter().copied());
            }
        }
    }
}

/// Adds a run of records or of octets to an event of the same kind.
fn add(to: &mut What, more: &What) -> bool {
    match (to, more) {
        (
            What::Records { content_type, version, count, octets },
            What::Records { content_type: more_type, version: more_version, count: more, octets: more_octets },
        ) if content_type == more_type && version == more_version => {
            *count += more;
            *octets += more_octets;
            true
        }
        (What::Octets { count, protected }, What::Octets { count: more, protected: more_protected })
            if protected == more_protected =>
        {
            *count += more;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ftpspec_wire::{LooksLike, Reply};

    fn control() -> Arc<str> {
        Arc::from("control")
    }

    #[test]
    fn a_secret_never_gets_past_the_door() {
        let log = Log::new(Instant::now());
        log.redact(&Secret::new("s3cret-word"));
        let on = control();
        let command =
            |verb: &str, line: &str| What::Command { verb: verb.to_owned(), line: line.to_owned(), protected: true };
        log.push(Some(&on), By::Us, command("PASS", "PASS other"));
        log.push(Some(&on), By::Us, command("SITE", "SITE s3cret-word"));
        let reply = Reply::new(230, "hello s3cret-word!");
        log.push(Some(&on), By::Peer, What::Reply { reply, protected: true, to: "PASS".to_owned() });
        let octets = b"xs3cret-words3cret-word".to_vec();
        log.push(Some(&on), By::Peer, What::Plaintext { octets, looks_like: LooksLike::Text, in_session: true });
        log.push(None, By::Us, What::Trouble { text: "s3cret-word".to_owned() });
        let seen = format!("{:?}", log.events());
        assert!(!seen.contains("s3cret-word") && !seen.contains("other"), "{seen}");
        assert_eq!(seen.matches("redacted").count(), 2 + 1, "{seen}"); // two lines and the trouble; octets print as numbers
    }

    #[test]
    fn words_of_others_pass_the_same_door() {
        let log = Log::new(Instant::now());
        log.redact(&Secret::new("s3cret-word"));
        assert_eq!(log.redacted("user s3cret-word came"), "user {redacted} came");
        assert_eq!(log.redacted("[7] \"pass made up\" -> 530"), "[7] \"pass {redacted}");
        assert_eq!(log.redacted("bypass the door, ünd PASS"), "bypass the door, ünd PASS");
    }

    #[test]
    fn runs_of_octets_fold_for_each_connection_and_direction() {
        let log = Log::new(Instant::now());
        let (control, data) = (control(), Arc::from("data"));
        for _ in 0..1000 {
            log.push(Some(&data), By::Peer, What::Octets { count: 16_384, protected: true });
            log.push(Some(&control), By::Us, What::Rst);
        }
        let octets: Vec<_> =
            log.events().into_iter().filter(|event| matches!(event.what, What::Octets { .. })).collect();
        assert_eq!(octets.len(), 1);
        assert_eq!(octets[0].what, What::Octets { count: 16_384_000, protected: true });
    }

    #[test]
    fn a_flood_of_events_is_bounded() {
        let log = Log::new(Instant::now());
        let on = control();
        for _ in 0..MOST_EVENTS + 100 {
            log.push(Some(&on), By::Peer, What::CloseNotify);
        }
        let events = log.events();
        assert_eq!(events.len(), MOST_EVENTS + 1);
        assert!(matches!(events[MOST_EVENTS].what, What::Trouble { .. }));
    }

    #[tokio::test]
    async fn a_wait_sees_what_was_pushed_before_and_after_it_began() {
        let log = Log::new(Instant::now());
        let on = control();
        log.push(Some(&on), By::Peer, What::Rst);
        assert_eq!(log.wait(|events| events.iter().position(|event| event.what == What::Rst)).await, 0);
        let waiting = {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.wait(|events| (events.len() == 2).then_some(())).await })
        };
        tokio::task::yield_now().await;
        log.push(Some(&on), By::Peer, What::CloseNotify);
        waiting.await.expect("it ends");
    }
}
