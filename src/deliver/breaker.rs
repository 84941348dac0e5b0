//! The relay's circuit breaker: when it fails, nobody is charged and one connection probes.
//!
//! Promises: while open, at most one probe at a time and none before its time; the wait doubles from the
//! configured first one to a minute. Decides nothing about recipients.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A relay that comes back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Breaker {
    first: Duration,
    state: Mutex<State>,
    changed: Notify,
    probes: AtomicU64,
}

#[derive(Debug)]
enum State {
    Closed,
    Open {
        wait: Duration,
        until: Instant,
        /// The number of the probe under way.
        probe: Option<u64>,
        /// The relay asked for this wait: neither an answer on an older connection ends it, nor a failure.
        asked: bool,
    },
}

/// The leave to connect. A probe that ends without having failed or succeeded gives way to the next.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: Option<u64>,
}

impl Pass<'_> {
    /// Whether it still holds: one that was given while the breaker was closed does not once it has opened.
    pub(crate) fn holds(&self) -> bool {
        match (&*self.breaker.lock(), self.probe) {
            (State::Closed, _) => true,
            (State::Open { probe, .. }, mine) => mine.is_some() && *probe == mine,
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let Some(number) = self.probe else { return };
        if let State::Open { probe, .. } = &mut *self.breaker.lock()
            && *probe == Some(number)
        {
            *probe = None;
        }
        self.breaker.changed.notify_waiters();
    }
}

impl Breaker {
    /// A closed breaker whose first wait is `first`.
    pub(crate) fn new(first: Duration) -> Breaker {
        Breaker {
            first,
            state: Mutex::new(State::Closed),
            changed: Notify::new(),
            probes: AtomicU64::new(0),
        }
    }

    /// Waits until this caller may connect: at once while closed, as the one probe while open. The pass is
    /// kept until the connection has ended.
    pub(crate) async fn enter(&self) -> Pass<'_> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let until = match &mut *self.lock() {
                State::Closed => {
                    return Pass {
                        breaker: self,
                        probe: None,
                    };
                }
                State::Open { until, probe, .. } if probe.is_none() && *until <= Instant::now() => {
                    *probe = Some(self.probes.fetch_add(1, Ordering::Relaxed));
                    return Pass {
                        breaker: self,
                        probe: *probe,
                    };
                }
                State::Open { until, probe, .. } => probe.is_none().then_some(*until),
            };
            match until {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// The relay answered as a relay does: everyone may connect. True if that is news.
    pub(crate) fn succeeded(&self) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let news = match &*state {
            State::Closed => false,
            State::Open { until, asked, .. } => !(*asked && *until > now),
        };
        if news {
            *state = State::Closed;
            drop(state);
            self.changed.notify_waiters();
        }
        news
    }

    /// Whether the relay is taken to have failed, probed or not.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.lock(), State::Open { .. })
    }

    /// The relay failed; gives the wait before the next probe.
    pub(crate) fn failed(&self) -> Duration {
        let mut state = self.lock();
        let now = Instant::now();
        let wait = match &*state {
            State::Closed => self.first,
            // Connections that were under way when it opened fail too: one doubling per probe.
            State::Open {
                wait, until, probe, ..
            } if probe.is_none() && *until > now => *wait,
            State::Open { wait, .. } => (*wait * 2).min(LONGEST),
        };
        let (until, asked) = match &*state {
            State::Open {
                until, asked: true, ..
            } if *until > now => ((now + wait).max(*until), true),
            _ => (now + wait, false),
        };
        *state = State::Open {
            wait,
            until,
            probe: None,
            asked,
        };
        drop(state);
        self.changed.notify_waiters();
        wait
    }

    /// The relay asked to be left alone for `wait`; the probe comes after it, and the doubling begins anew.
    pub(crate) fn pause(&self, wait: Duration) {
        let mut state = self.lock();
        let until = match &*state {
            // Connections that were under way when it asked say the same: the longest holds.
            State::Open { until, probe, .. } if probe.is_none() => {
                (Instant::now() + wait).max(*until)
            }
            _ => Instant::now() + wait,
        };
        *state = State::Open {
            wait: self.first,
            until,
            probe: None,
            asked: true,
        };
        drop(state);
        self.changed.notify_waiters();
    }

    /// How long until the next probe, while open.
    pub(crate) fn next_probe(&self) -> Option<Duration> {
        match &*self.lock() {
            State::Closed => None,
            State::Open { until, .. } => Some(until.saturating_duration_since(Instant::now())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Breaker;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_and_the_wait_doubles_to_a_minute() {
        let breaker = Breaker::new(SECOND);
        drop(breaker.enter().await);
        assert_eq!(breaker.failed(), SECOND);
        assert_eq!(
            breaker.failed(),
            SECOND,
            "others that failed meanwhile do not double it"
        );
        let _probe = breaker.enter().await;
        assert!(
            timeout(90 * SECOND, breaker.enter()).await.is_err(),
            "a second probe waits"
        );
        let mut waits = vec![breaker.failed().as_secs()];
        for _ in 0..6 {
            let _probe = breaker.enter().await;
            waits.push(breaker.failed().as_secs());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_ends_undecided_gives_way_to_the_next() {
        let breaker = Breaker::new(SECOND);
        breaker.failed();
        let first = breaker.enter().await;
        assert!(timeout(90 * SECOND, breaker.enter()).await.is_err());
        drop(first);
        let second = timeout(SECOND, breaker.enter()).await.expect("its turn");
        breaker.failed();
        let third = breaker.enter().await;
        drop(second);
        assert!(
            timeout(90 * SECOND, breaker.enter()).await.is_err(),
            "an older probe does not free the place of a newer one"
        );
        drop(third);
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_asks_for_a_pause_gets_all_of_it() {
        let breaker = Breaker::new(SECOND);
        breaker.pause(600 * SECOND);
        breaker.pause(60 * SECOND);
        // What was under way ends one way or the other, and says nothing of the pause.
        assert!(!breaker.succeeded());
        breaker.failed();
        assert!(timeout(599 * SECOND, breaker.enter()).await.is_err());
        let probe = timeout(2 * SECOND, breaker.enter())
            .await
            .expect("its turn");
        breaker.pause(60 * SECOND);
        drop(probe);
        assert!(timeout(59 * SECOND, breaker.enter()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn success_lets_everyone_in_at_once() {
        let breaker = Breaker::new(60 * SECOND);
        breaker.failed();
        assert!(timeout(SECOND, breaker.enter()).await.is_err());
        breaker.succeeded();
        assert!(timeout(SECOND, breaker.enter()).await.is_ok());
        assert_eq!(breaker.next_probe(), None);
    }
}
