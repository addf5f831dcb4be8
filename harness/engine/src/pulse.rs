//! Whether our own side kept time while a client was at work. Where the machine or our own loop stood still, the client
//! waited for us, and gave up, or looks as if it had hung: that says nothing about the client. Where we are the client,
//! each wait of ours looks at its own delay.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Beats as long as it is there, and knows the longest time between two beats.
pub(crate) struct Pulse {
    beats: Arc<Mutex<Beats>>,
    beating: JoinHandle<()>,
}

struct Beats {
    last: Instant,
    longest: Duration,
}

impl Beats {
    fn beat(&mut self) {
        self.longest = self.longest.max(self.last.elapsed());
        self.last = Instant::now();
    }
}

impl Pulse {
    pub(crate) fn start() -> Self {
        let beats = Arc::new(Mutex::new(Beats { last: Instant::now(), longest: Duration::ZERO }));
        let heart = Arc::clone(&beats);
        let beating = tokio::spawn(async move {
            loop {
                sleep(BETWEEN_BEATS).await;
                heart.lock().unwrap_or_else(PoisonError::into_inner).beat();
            }
        });
        Self { beats, beating }
    }

    /// How long all stood still, if it was so long that a client may have given up.
    pub(crate) fn stood_still(&self) -> Option<Duration> {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.beat();
        (beats.longest > LONGEST).then_some(beats.longest)
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

const BETWEEN_BEATS: Duration = Duration::from_millis(100);

/// No client that is known gives up so soon; and by sending without end none keeps us busy for so long.
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_short_delay_is_none_and_a_long_one_is_told_whoever_looks_first() {
        let pulse = Pulse::start();
        for _ in 0..3 {
            tokio::time::advance(LONGEST - BETWEEN_BEATS).await;
            assert_eq!(pulse.stood_still(), None);
        }
        tokio::time::advance(LONGEST * 12).await;
        assert_eq!(pulse.stood_still(), Some(LONGEST * 12));
        sleep(BETWEEN_BEATS).await;
        assert_eq!(pulse.stood_still(), Some(LONGEST * 12), "it is not forgotten");
    }
}
