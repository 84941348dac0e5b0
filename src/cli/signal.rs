//! Ctrl-C and SIGTERM: the first one drains, the second one ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::Exit;

/// A stop that a signal or the program itself may say.
pub(crate) struct Stop {
    say: watch::Sender<bool>,
}

/// Starts to listen for signals.
pub(crate) fn stop() -> Stop {
    let (say, _) = watch::channel(false);
    let told = say.clone();
    tokio::spawn(async move {
        if let Err(error) = listen(told).await {
            tracing::error!(%error, "signals cannot be heard");
        }
    });
    Stop { say }
}

impl Stop {
    /// A receiver for whoever must hear it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.say.subscribe()
    }

    /// Says stop.
    pub(crate) fn now(&self) {
        self.say.send_replace(true);
    }

    /// Whether stop was said.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.say.borrow()
    }
}

async fn listen(say: watch::Sender<bool>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    for stops in 0.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stops > 0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "what stands at the dot is in the ledger and becomes uncertain at the next start"
            )]
            std::process::exit(Exit::Interrupted as i32);
        }
        eprintln!("stopping: waiting for the answers to final dots; once more ends at once");
        say.send_replace(true);
    }
    Ok(())
}
