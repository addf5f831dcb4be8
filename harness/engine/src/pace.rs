//! How hard an endpoint may be worked: sessions at once, in a minute, in all, and the pause between them. It counts and
//! waits; it opens nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ftpspec_scenario::Pace as Limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The pace of one run.
pub(crate) struct Pace {
    limits: Limits,
    at_once: Arc<Semaphore>,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// When the sessions of the last minute began, or will begin.
    recent: VecDeque<Instant>,
    total: usize,
    /// When the next one may begin, for the pause.
    next: Option<Instant>,
}

/// The right to so many sessions; the pause begins when it is dropped.
pub(crate) struct Permit<'a> {
    pace: &'a Pace,
    _permits: OwnedSemaphorePermit,
}

impl Pace {
    pub(crate) fn new(limits: Limits) -> Self {
        let at_once = Arc::new(Semaphore::new(limits.connections.unwrap_or(Semaphore::MAX_PERMITS)));
        Self { limits, at_once, made: Mutex::default() }
    }

    /// Waits until `sessions` may begin; the error says which limit they would break.
    pub(crate) async fn enter(&self, sessions: usize) -> Result<Permit<'_>, String> {
        if let Some(most) = self.limits.connections.filter(|most| sessions > *most) {
            return Err(format!("limit: {sessions} sessions at once are needed, {most} are allowed"));
        }
        let permits = u32::try_from(sessions).map_err(|_| "limit: too many sessions".to_owned())?;
        let at_once = Arc::clone(&self.at_once).acquire_many_owned(permits).await;
        let permits = at_once.map_err(|_| "limit: the run is over".to_owned())?;
        let begin = self.book(sessions, Instant::now())?;
        tokio::time::sleep_until(begin).await;
        Ok(Permit { pace: self, _permits: permits })
    }

    /// Counts the sessions, and says when they may begin.
    fn book(&self, sessions: usize, now: Instant) -> Result<Instant, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(total) = self.limits.total.filter(|total| made.total + sessions > *total) {
            return Err(format!("limit: {total} control connections in all are allowed, and used up"));
        }
        made.total += sessions;
        let mut begin = made.next.map_or(now, |next| next.max(now));
        if let Some(per_minute) = self.limits.per_minute {
            for _ in 0..sessions {
                while made.recent.len() >= per_minute {
                    let Some(oldest) = made.recent.pop_front() else { break };
                    begin = begin.max(oldest + MINUTE);
                }
                made.recent.push_back(begin);
            }
        }
        Ok(begin)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(pause) = self.pace.limits.pause {
            let mut made = self.pace.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.next = Some(Instant::now() + pause);
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(limits: Limits) -> Pace {
        Pace::new(limits)
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_begin_in_a_minute() {
        let pace = pace(Limits { per_minute: Some(2), ..Limits::default() });
        let began = Instant::now();
        for _ in 0..5 {
            drop(pace.enter(1).await.map_err(|why| panic!("{why}")));
        }
        assert_eq!(began.elapsed().as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_break_a_limit_is_refused_with_its_reason() {
        let pace = pace(Limits { connections: Some(2), total: Some(3), ..Limits::default() });
        assert!(pace.enter(3).await.is_err_and(|why| why.contains("at once")));
        drop(pace.enter(2).await.map_err(|why| panic!("{why}")));
        assert!(pace.enter(2).await.is_err_and(|why| why.contains("in all")));
        assert!(pace.enter(1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_lies_between_the_end_of_one_session_and_the_next() {
        let pace = pace(Limits { pause: Some(Duration::from_millis(250)), ..Limits::default() });
        drop(pace.enter(1).await.map_err(|why| panic!("{why}")));
        let ended = Instant::now();
        drop(pace.enter(1).await.map_err(|why| panic!("{why}")));
        assert_eq!(ended.elapsed(), Duration::from_millis(250));
    }
}
