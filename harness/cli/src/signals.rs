//! The first SIGINT or SIGTERM ends a run in good order, reports included; the second ends the process at once.

use std::io;
use std::sync::{Arc, OnceLock};

use ftpspec::Exit;
use ftpspec_results::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What has been signalled so far.
#[derive(Debug, Clone)]
pub struct Signals {
    stop: watch::Receiver<bool>,
    first: Arc<OnceLock<Signal>>,
}

impl Signals {
    /// Listens from now on, as long as the runtime lives.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn listen() -> io::Result<Self> {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let (sender, stop) = watch::channel(false);
        let first = Arc::new(OnceLock::new());
        let signals = Self { stop, first: Arc::clone(&first) };
        tokio::spawn(async move {
            loop {
                let came = tokio::select! {
                    _ = interrupts.recv() => Signal::Interrupt,
                    _ = terminations.recv() => Signal::Terminate,
                };
                if first.set(came).is_err() {
                    // Whoever asks twice does not want to wait for reports.
                    let exit = if came == Signal::Interrupt { Exit::Interrupted } else { Exit::Terminated };
                    std::process::exit(exit.code().into());
                }
                sender.send_replace(true);
            }
        });
        Ok(signals)
    }

    /// Becomes true with the first signal.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// The first signal, if one came.
    pub fn first(&self) -> Option<Signal> {
        self.first.get().copied()
    }

    /// Waits for the first signal.
    pub async fn arrived(&self) {
        // The sender lives as long as the runtime that would be waiting here.
        _ = self.stop.clone().wait_for(|stopped| *stopped).await;
    }
}
