//! The relay's circuit breaker: when it fails, nobody is charged and one connection probes.
//!
//! Promises: while open, at most one probe at a time and none before its time; the wait doubles from the
//! configured first one to a minute. A relay that asked for a pause is gone back to with one connection, and gets
//! more one by one while it answers. Decides nothing about recipients.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;
use crate::mx::pace::{Pace, Round};

/// A relay that comes back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(60);
/// After a pause, answers after which it counts again that the relay works.
const EVERY: u32 = 10;

#[derive(Debug)]
pub(crate) struct Breaker {
    first: Duration,
    /// Connections at most.
    most: usize,
    state: Mutex<State>,
    changed: Notify,
    numbers: AtomicU64,
}

#[derive(Debug)]
enum State {
    Closed {
        /// Since a pause, until all connections are back.
        climb: Option<Climb>,
    },
    Open {
        wait: Duration,
        until: Instant,
        /// The number of the probe under way.
        probe: Option<u64>,
        /// The relay asked for this wait: neither an answer on an older connection ends it, nor a failure.
        asked: bool,
        /// It asked for a pause, and has not had all of its connections since.
        climbs: bool,
    },
}

/// Connections come back one by one.
#[derive(Debug)]
struct Climb {
    /// That of the probe that ended the pause, and of all passes since.
    number: u64,
    pace: Pace,
    round: Round,
    answers: u32,
}

impl Climb {
    /// Behind the probe of this number, which is still connected.
    fn behind(number: u64, most: usize) -> Climb {
        let mut pace = Pace::from_one(most);
        Climb {
            number,
            round: pace.opened(),
            pace,
            answers: 0,
        }
    }
}

/// The leave to connect. A probe that ends without having failed or succeeded gives way to the next.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    /// None while nothing is wrong.
    number: Option<u64>,
}

impl Pass<'_> {
    /// Whether it still holds: one that was given while the breaker was closed does not once it has opened, nor
    /// while connections come back one by one.
    pub(crate) fn holds(&self) -> bool {
        match &*self.breaker.lock() {
            State::Closed { climb: None } => true,
            State::Closed { climb: Some(climb) } => self.number == Some(climb.number),
            State::Open { probe, .. } => self.number.is_some() && *probe == self.number,
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        match &mut *self.breaker.lock() {
            State::Open { probe, .. } if *probe == Some(number) => *probe = None,
            State::Closed { climb: Some(climb) } if climb.number == number => climb.pace.closed(),
            _ => {}
        }
        self.breaker.changed.notify_waiters();
    }
}

impl Breaker {
    /// A closed breaker whose first wait is `first`, before at most so many connections.
    pub(crate) fn new(first: Duration, most: usize) -> Breaker {
        Breaker {
            first,
            most,
            state: Mutex::new(State::Closed { climb: None }),
            changed: Notify::new(),
            numbers: AtomicU64::new(0),
        }
    }

    /// Waits until this caller may connect: at once while closed, as the one probe while open. The pass is
    /// kept until the connection has ended.
    pub(crate) async fn enter(&self) -> Pass<'_> {
        let pass = |number| Pass {
            breaker: self,
            number,
        };
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let until = match &mut *self.lock() {
                State::Closed { climb: None } => return pass(None),
                State::Closed { climb: Some(climb) } if climb.pace.has_room() => {
                    climb.pace.opened();
                    return pass(Some(climb.number));
                }
                State::Closed { .. } => None,
                State::Open { until, probe, .. } if probe.is_none() && *until <= Instant::now() => {
                    *probe = Some(self.number());
                    return pass(*probe);
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

    /// The relay answered as a relay does: everyone may connect, or after a pause the next one. True if it is
    /// news that it works.
    pub(crate) fn succeeded(&self) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        match &mut *state {
            State::Closed { climb: None } => return false,
            State::Closed { climb: Some(climb) } => {
                climb.answers += 1;
                if climb.answers % EVERY != 1 {
                    return false;
                }
                climb.pace.worked(climb.round);
                if climb.pace.is_at_cap() {
                    *state = State::Closed { climb: None };
                }
                drop(state);
                self.changed.notify_waiters();
                return false;
            }
            State::Open { until, asked, .. } if *asked && *until > now => return false,
            State::Open { probe, climbs, .. } => {
                let number = probe.unwrap_or_else(|| self.number());
                let climb = (*climbs && self.most > 1).then(|| Climb::behind(number, self.most));
                *state = State::Closed { climb };
            }
        }
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// Whether the relay is taken to have failed, probed or not.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.lock(), State::Open { .. })
    }

    /// Whether the relay has asked to be left alone now, on every connection.
    pub(crate) fn rests(&self) -> bool {
        match &*self.lock() {
            State::Open { until, asked, .. } => *asked && *until > Instant::now(),
            State::Closed { .. } => false,
        }
    }

    /// The relay failed; gives the wait before the next probe.
    pub(crate) fn failed(&self) -> Duration {
        let mut state = self.lock();
        let now = Instant::now();
        let wait = match &*state {
            State::Closed { .. } => self.first,
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
        let climbs = match &*state {
            State::Open { climbs, .. } => *climbs,
            State::Closed { climb } => climb.is_some(),
        };
        *state = State::Open {
            wait,
            until,
            probe: None,
            asked,
            climbs,
        };
        drop(state);
        self.changed.notify_waiters();
        until - now
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
            climbs: true,
        };
        drop(state);
        self.changed.notify_waiters();
    }

    /// The wait after so many failures running of one connection alone, while the relay has not failed.
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(doubled).min(LONGEST)
    }

    /// How long until the next probe, while open.
    pub(crate) fn next_probe(&self) -> Option<Duration> {
        match &*self.lock() {
            State::Closed { .. } => None,
            State::Open { until, .. } => Some(until.saturating_duration_since(Instant::now())),
        }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
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
        let breaker = Breaker::new(SECOND, 4);
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
        let breaker = Breaker::new(SECOND, 4);
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
        let breaker = Breaker::new(SECOND, 4);
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
        let breaker = Breaker::new(60 * SECOND, 4);
        breaker.failed();
        assert!(timeout(SECOND, breaker.enter()).await.is_err());
        breaker.succeeded();
        assert!(timeout(SECOND, breaker.enter()).await.is_ok());
        assert_eq!(breaker.next_probe(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_connections_come_back_one_by_one() {
        let breaker = Breaker::new(SECOND, 3);
        let idle = breaker.enter().await;
        breaker.pause(600 * SECOND);
        assert!(breaker.rests());
        let mut passes = vec![breaker.enter().await];
        assert!(!breaker.rests());
        assert!(breaker.succeeded(), "the probe was answered");
        assert!(!idle.holds(), "a leave from before is none");
        let mut seen = Vec::new();
        for _ in 0..60 {
            while passes.len() < 3 {
                let Ok(pass) = timeout(SECOND, breaker.enter()).await else {
                    break;
                };
                passes.push(pass);
            }
            if seen.last() != Some(&passes.len()) {
                seen.push(passes.len());
            }
            breaker.succeeded();
        }
        assert_eq!(seen, [1, 2, 3]);
        assert!(passes.iter().all(super::Pass::holds));
        drop(passes);
        // Full speed again; a failure on the way up begins at one connection once more.
        breaker.pause(SECOND);
        let probe = breaker.enter().await;
        breaker.succeeded();
        breaker.failed();
        drop(probe);
        let probe = breaker.enter().await;
        breaker.succeeded();
        assert!(timeout(SECOND, breaker.enter()).await.is_err());
        drop(probe);
        assert!(
            timeout(SECOND, breaker.enter()).await.is_ok(),
            "its place is free"
        );
    }
}
