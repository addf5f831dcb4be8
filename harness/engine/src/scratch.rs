//! What a run has put into the scratch folder of an endpoint that is not ours. Each path is remembered before its first
//! octet is sent, and forgotten when its removal was confirmed; what is left at the end of a run, however that came, is
//! removed in one session. It must never touch a path that it did not make up itself.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ftpspec_play::Player;
use ftpspec_scenario::model::{Act, Certificate, Level, Login};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, Event, What};
use ftpspec_wire::Reply;

use crate::stage::{Stage, seat};

/// The paths that may still be there.
#[derive(Default)]
pub(crate) struct Scratch {
    left: Mutex<BTreeSet<String>>,
}

impl Scratch {
    /// A variant is about to use this path.
    pub(crate) fn lends(&self, path: &str) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    /// The variant has ended: its path is forgotten if nothing was stored there, or if that was removed again.
    pub(crate) fn takes_back(&self, path: &str, events: &[Event]) {
        if !stored(events) || removed(events) {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        }
    }

    fn left(&self) -> Vec<String> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Removes what is left, in one session of bounded time; without anything left nothing is sent.
///
/// # Errors
/// What may still lie there, and why, in words.
pub(crate) async fn clean(stage: &Stage) -> Result<(), String> {
    let left = stage.scratch.left();
    if left.is_empty() {
        return Ok(());
    }
    let still_there = |paths: &[String], why: &str| {
        Err(format!("{why}; these may still be there, and are to be removed by hand: {}", paths.join(", ")))
    };
    match tokio::time::timeout(CLEANING, remove(stage, &left)).await {
        Ok(Ok(stayed)) if stayed.is_empty() => Ok(()),
        Ok(Ok(stayed)) => still_there(&stayed, "uploads could not be removed"),
        Ok(Err(why)) => still_there(&left, &format!("uploads could not be removed: {why}")),
        Err(_) => still_there(&left, &format!("uploads could not be removed within {CLEANING:?}")),
    }
}

/// Gives the paths that the server would not remove.
async fn remove(stage: &Stage, paths: &[String]) -> Result<Vec<String>, String> {
    let Ok(endpoint) = stage.host.endpoint(&[], None).await else { return Err("it cannot be reached".to_owned()) };
    let seat = seat(&endpoint, Engine::Openssl, Version::Tls12..=Version::Tls13);
    let mut player = stage.player(seat, &endpoint, Level::Must, stage.limits);
    let login = Login { protect: None, certificate: Certificate::Usual };
    if player.play(&vec![Player::step(Act::Login(login))]).await.is_err() {
        player.part(false).await;
        return Err("no session came about".to_owned());
    }
    let mut stayed = Vec::new();
    for path in paths {
        let gone = match player.inquire(&format!("DELE {path}")).await {
            Ok(reply) if reply.class() == 2 => true,
            // Refused, or never stored: only what has a size is there.
            Ok(_) => {
                player.inquire(&format!("SIZE {path}")).await.is_ok_and(|reply| says_that_nothing_is_there(&reply))
            }
            Err(_) => false,
        };
        if !gone {
            stayed.push(path.clone());
        }
    }
    player.part(true).await;
    Ok(stayed)
}

/// 3659 §4.2: 550 is the reply for a path that is no file. A server that does not know SIZE has told nothing.
fn says_that_nothing_is_there(reply: &Reply) -> bool {
    reply.code == 550
}

fn stored(events: &[Event]) -> bool {
    let makes = |verb: &str| matches!(verb, "STOR" | "APPE" | "STOU");
    events.iter().any(|event| event.by == By::Us && matches!(&event.what, What::Command { verb, .. } if makes(verb)))
}

fn removed(events: &[Event]) -> bool {
    let last = events.iter().rev().find_map(|event| match &event.what {
        What::Reply { reply, to, .. } if to == "DELE" => Some(reply.class() == 2),
        What::Command { verb, .. } if verb == "STOR" || verb == "APPE" => Some(false),
        _ => None,
    });
    last.unwrap_or(false)
}

/// A login and some dozens of short commands; whoever pressed Ctrl-C waits no longer than this.
const CLEANING: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ftpspec_transcript::Log;

    use super::*;

    fn events(conversation: &[(&str, u16)]) -> Vec<Event> {
        let log = Log::new(Instant::now());
        for (verb, code) in conversation {
            let line = format!("{verb} x");
            log.push(None, By::Us, What::Command { verb: (*verb).to_owned(), line, protected: true });
            let reply = Reply { code: *code, lines: vec![format!("{code} Said").into_bytes()] };
            log.push(None, By::Peer, What::Reply { reply, protected: true, to: (*verb).to_owned() });
        }
        log.events()
    }

    #[test]
    fn a_path_is_forgotten_only_if_nothing_is_there_any_more() {
        for (conversation, left) in [
            (vec![("EPSV", 229)], false),
            (vec![("STOR", 226)], true),
            (vec![("STOR", 550)], true),
            (vec![("STOR", 226), ("DELE", 250)], false),
            (vec![("STOR", 226), ("DELE", 550)], true),
            (vec![("STOR", 226), ("DELE", 250), ("APPE", 226)], true),
        ] {
            let scratch = Scratch::default();
            scratch.lends("in/x");
            scratch.takes_back("in/x", &events(&conversation));
            assert_eq!(!scratch.left().is_empty(), left, "{conversation:?}");
        }
    }
}
