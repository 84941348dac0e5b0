//! The watchdog: no step of a connection is older than its deadlines allow.
//!
//! Every wait for a relay has a deadline. This is for what nobody thought of: a thread that hangs, a wake-up that was
//! lost. It cannot mend such a connection; it says whose it is, so that the process begins anew and what stands at
//! the dot becomes uncertain by name, instead of standing there for ever.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Looks at a step that is over its time, before it is believed: a process that was stopped for hours finds all
/// deadlines passed, and ends its waits in the next moment.
const LOOKS: u32 = 10;

/// The steps under way.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    steps: Mutex<HashMap<u64, Step>>,
    numbers: AtomicU64,
}

#[derive(Debug)]
struct Step {
    relay: usize,
    due: Instant,
    /// Looks that found it over its time.
    late: u32,
}

/// A step that is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    watchdog: &'a Watchdog,
    number: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.watchdog.steps().remove(&self.number);
    }
}

impl Watchdog {
    /// A step with the relay of this place begins, which is over within `patience`.
    pub(crate) fn watch(&self, relay: usize, patience: Duration) -> Watched<'_> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let step = Step {
            relay,
            due: Instant::now() + patience,
            late: 0,
        };
        self.steps().insert(number, step);
        Watched {
            watchdog: self,
            number,
        }
    }

    /// The relay with which a step hangs; while none does, never.
    pub(crate) async fn bark(&self) -> usize {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Instant::now();
            let mut steps = self.steps();
            let late = steps.values_mut().filter(|step| step.due < now);
            for step in late {
                step.late += 1;
                if step.late >= LOOKS {
                    return step.relay;
                }
            }
        }
    }

    fn steps(&self) -> MutexGuard<'_, HashMap<u64, Step>> {
        lock(&self.steps)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Watchdog;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn only_a_step_over_its_time_makes_it_bark() {
        let watchdog = Watchdog::default();
        let long = watchdog.watch(1, 10 * MINUTE);
        for _ in 0..5 {
            drop(watchdog.watch(2, MINUTE));
        }
        let within = timeout(9 * MINUTE, watchdog.bark()).await;
        assert!(within.is_err(), "nothing hangs");
        let hangs = timeout(2 * MINUTE, watchdog.bark()).await;
        assert_eq!(hangs.ok(), Some(1));
        drop(long);
        assert!(timeout(60 * MINUTE, watchdog.bark()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_is_given_time_to_wake() {
        let watchdog = Watchdog::default();
        let step = watchdog.watch(0, MINUTE);
        let barks = watchdog.bark();
        tokio::pin!(barks);
        tokio::time::advance(120 * MINUTE).await;
        let soon = timeout(Duration::from_secs(5), &mut barks).await;
        assert!(soon.is_err(), "its own deadline ends it first");
        drop(step);
        assert!(timeout(60 * MINUTE, barks).await.is_err());
    }
}
