//! What a client has started and let go of. A child that makes itself a session of its own is in no group of ours any
//! more, and its parent may be gone; but the environment of a program goes to all that it starts, and a word in it tells
//! whose it is. Who wipes its environment is not found: a container holds that one too.

use std::fs;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::owner::{is_dead, this_process};

/// A word that no other program of this machine has in its environment.
#[derive(Debug)]
pub(super) struct Mark(String);

impl Mark {
    /// A new one. What dead runs have left running is ended first, once in each process.
    pub(super) fn new() -> Self {
        static SWEPT: Once = Once::new();
        static MADE: AtomicU64 = AtomicU64::new(0);
        SWEPT.call_once(|| {
            end_all(|word| word.rsplit_once('.').is_some_and(|(owner, _)| is_dead(owner)));
        });
        Self(format!("{}.{}", this_process(), MADE.fetch_add(1, Ordering::Relaxed)))
    }

    /// Gives it to a program that is to be started.
    pub(super) fn put_on(&self, command: &mut Command) {
        command.env(VARIABLE, &self.0);
    }

    /// Ends whatever bears it, and what that starts meanwhile.
    pub(super) fn end_all(&self) {
        end_all(|word| word == self.0);
    }
}

/// Ends the processes with these words, until none is found.
fn end_all(is_due: impl Fn(&str) -> bool) {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let found: Vec<Pid> = processes().filter(|id| word_of(*id).is_some_and(|word| is_due(&word))).collect();
        if found.is_empty() {
            return;
        }
        for id in found {
            // Who is gone already was to go.
            _ = kill_process(id, Signal::KILL);
        }
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// What a process has for our variable; nothing if it is not ours to look at, or has ended.
fn word_of(id: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", id.as_raw_nonzero())).ok()?;
    let values = environment.split(|octet| *octet == 0).filter_map(|line| line.strip_prefix(VARIABLE.as_bytes()));
    let word = values.filter_map(|value| value.strip_prefix(b"=")).next()?;
    String::from_utf8(word.to_vec()).ok()
}

/// The variable.
const VARIABLE: &str = "FTPSPEC_CLIENT";

/// A process is gone within milliseconds; one that multiplies faster than it can be ended would keep us for ever.
const PATIENCE: Duration = Duration::from_secs(5);
