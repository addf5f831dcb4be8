//! How a run is ended from outside: by a signal, which whoever runs us listens for and hands on. It listens for none
//! itself.

use ftpspec_results::Signal;
use tokio::sync::watch;

/// Ends a run early when a signal stands in it. `tokio::sync::watch::channel(None)` makes one, with the sender that puts a
/// signal in; it may be dropped, and then none ever comes.
pub type Stop = watch::Receiver<Option<Signal>>;

/// A stop that never comes; the sender is to be kept for as long.
pub(crate) fn never() -> (watch::Sender<Option<Signal>>, Stop) {
    watch::channel(None)
}

/// What comes of `work`, unless a signal comes first.
pub(crate) async fn unless_signalled<T>(stop: &mut Stop, work: impl Future<Output = T>) -> Result<T, Signal> {
    tokio::select! {
        biased;
        signal = signalled(stop) => Err(signal),
        done = work => Ok(done),
    }
}

/// Returns with the first signal; never, where nobody can send one.
async fn signalled(stop: &mut Stop) -> Signal {
    match stop.wait_for(Option::is_some).await.map(|signal| *signal) {
        Ok(Some(signal)) => signal,
        _ => std::future::pending().await,
    }
}
