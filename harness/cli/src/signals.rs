//! The first SIGINT or SIGTERM ends a run in good order, reports included; the second ends the process at once.

use std::io;

use ftpspec::{Exit, Signal, Stop};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What has been signalled so far.
#[derive(Debug, Clone)]
pub struct Signals {
    stop: Stop,
}

impl Signals {
    /// Listens from now on, as long as the runtime lives.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn listen() -> io::Result<Self> {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let (sender, stop) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let came = tokio::select! {
                    _ = interrupts.recv() => Signal::Interrupt,
                    _ = terminations.recv() => Signal::Terminate,
                };
                if sender.borrow().is_some() {
                    // Whoever asks twice does not want to wait for reports.
                    let exit = if came == Signal::Interrupt { Exit::Interrupted } else { Exit::Terminated };
                    std::process::exit(exit.code().into());
                }
                sender.send_replace(Some(came));
            }
        });
        Ok(Self { stop })
    }

    /// Holds the first signal, once it has come.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits for the first signal.
    #[cfg(feature = "containers")]
    pub async fn arrived(&self) {
        // The sender lives as long as the runtime that would be waiting here.
        _ = self.stop.clone().wait_for(Option::is_some).await;
    }
}
