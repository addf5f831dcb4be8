//! One process of ours with all that it starts: a group of its own, ended as a whole. It reads and writes nothing of what
//! the process says.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid};

/// A process that is ended when this value is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    group: Pid,
    grace: Duration,
    ended: Arc<Ended>,
    keeper: Option<JoinHandle<Option<Child>>>,
}

impl Kept {
    /// Starts it as the leader of a group of its own, so that a Ctrl-C at the terminal is ours alone to act upon. `grace`
    /// is for what it does when it is told to end.
    pub(crate) fn start(mut command: Command, grace: Duration) -> io::Result<Self> {
        command.process_group(0);
        end_with_parent(&mut command);
        let ended = Arc::new(Ended::default());
        let (started, told) = std::sync::mpsc::sync_channel(1);
        let watched = Arc::clone(&ended);
        // A thread of its own, for the kernel counts the *thread* that started a process as its parent: were it one of a
        // pool, the process would die when the pool has no more work for it.
        let keeper = thread::Builder::new().name("keeps a process".to_owned()).spawn(move || {
            let child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    _ = started.send(Err(error));
                    return None;
                }
            };
            let id = Pid::from_child(&child);
            _ = started.send(Ok(id));
            // It stays a zombie until `end`: as long as it is one, nobody else can be given its id, nor that of its group.
            let status = loop {
                match waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                    Err(rustix::io::Errno::INTR) => {}
                    status => break status.ok().flatten(),
                }
            };
            watched.tell(&status.map_or_else(|| "nobody knows how".to_owned(), |status| words(&status)));
            Some(child)
        })?;
        let group = told.recv().map_err(|_| io::Error::other("the thread that keeps the process ended"))??;
        Ok(Self { group, grace, ended, keeper: Some(keeper) })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.lock().is_some()
    }

    /// What tells whether it has ended, and how.
    pub(super) fn ended(&self) -> Arc<Ended> {
        Arc::clone(&self.ended)
    }

    /// Waits for its end; false if it has not ended by itself when the time is over, or when `enough` says so.
    pub(crate) fn ends_within(&self, longest: Duration, enough: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + longest;
        while !self.has_ended() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || enough() {
                return false;
            }
            // Whether it ended or the time did, the loop looks.
            _ = self.ended.within(left.min(BETWEEN_LOOKS));
        }
        true
    }

    /// Asks it to end, waits until it does, ends whatever is left of its group, and says how it ended. It blocks for
    /// `grace` at most.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        let keeper = self.keeper.take()?;
        if !self.has_ended() {
            // That it is gone is no error: it was to go.
            _ = kill_process_group(self.group, Signal::TERM);
            // Whether it ended or the time did, what comes next is the same.
            _ = self.ended.within(self.grace);
        }
        // Its children too, and whatever did not heed: this cannot be ignored.
        _ = kill_process_group(self.group, Signal::KILL);
        keeper.join().ok()??.wait().ok()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
    }
}

/// How often it is looked whether a process has had enough; that it has ended is told at once.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Whether and how a process has ended, and whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    how: Mutex<Option<String>>,
    told: Condvar,
}

impl Ended {
    fn tell(&self, how: &str) {
        *self.lock() = Some(how.to_owned());
        self.told.notify_all();
    }

    /// How it ended, if it does so in this time. It blocks.
    pub(super) fn within(&self, longest: Duration) -> Option<String> {
        let waited = self.told.wait_timeout_while(self.lock(), longest, |how| how.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.how.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a process ended, in the words of the standard library.
fn words(status: &WaitIdStatus) -> String {
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (_, Some(signal)) => signal,
        (None, None) => return "nobody knows how".to_owned(),
    };
    ExitStatus::from_raw(raw).to_string()
}

/// If we are killed, which nobody can act upon, the kernel ends the process. Its children are not counted: they lose
/// their connections to us, and most servers end with those.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn end_with_parent(command: &mut Command) {
    use rustix::process::{getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let in_child = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // We may have died before the line above; then nobody would send the signal any more.
        if getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
    };
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe things may be done. It makes two system
    // calls without a buffer, allocates nothing, takes no lock, and an error of a number alone is no allocation either.
    unsafe {
        command.pre_exec(in_child);
    }
}

/// Elsewhere there is no such signal.
#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}
