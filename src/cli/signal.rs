//! Ctrl-C, SIGTERM and a terminal that goes away: the first one drains, the second one ends at once.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::Exit;

/// A stop that a signal or the program itself may say.
pub(crate) struct Stop {
    say: watch::Sender<bool>,
    /// Whether there is anything to wait for.
    drains: Arc<AtomicBool>,
}

/// Starts to listen for signals.
pub(crate) fn stop() -> Stop {
    let (say, _) = watch::channel(false);
    let drains = Arc::new(AtomicBool::new(true));
    let (told, waits) = (say.clone(), drains.clone());
    tokio::spawn(async move {
        if let Err(error) = listen(told, waits).await {
            tracing::error!(%error, "signals cannot be heard");
        }
    });
    Stop { say, drains }
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

    /// Notes whether this process sends: one that follows another's sending has nothing to wait for.
    pub(crate) fn drains(&self, sends: bool) {
        self.drains.store(sends, Ordering::Relaxed);
    }

    /// Whether stop was said.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.say.borrow()
    }
}

async fn listen(say: watch::Sender<bool>, drains: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Who started us by `nohup` wants us to outlive the terminal.
    let mut hangup = match is_ignored(SignalKind::hangup()) {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    for stops in 0.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            Some(Some(())) = async { Some(hangup.as_mut()?.recv().await) } => {}
        }
        if stops > 0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "what stands at the dot is in the ledger and becomes uncertain at the next start"
            )]
            std::process::exit(Exit::Interrupted as i32);
        }
        say.send_replace(true);
        if drains.load(Ordering::Relaxed) {
            eprintln!("stopping: waiting for the answers to final dots; once more ends at once");
        }
    }
    Ok(())
}

/// Whether this process was started with the signal ignored (proc_pid_status(5), `SigIgn`: bit n - 1 is signal n).
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0) >> (kind.as_raw_value() - 1) & 1 == 1
}
