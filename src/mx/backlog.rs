//! When deliveries that a slow provider has no room for are to be looked at again.
//!
//! Promises: each is put off once, to about the time of its turn, so that a provider with half the list
//! neither fills the memory nor has its rows rewritten again and again. Never before a floor, never later
//! than a ceiling.

use std::time::Duration;

use crate::clock::Timestamp;

const FLOOR: Duration = Duration::from_secs(2);
/// A provider that gets faster finds its next mail within this time.
const CEILING: Duration = Duration::from_secs(600);
/// Messages per second before anything was measured.
const GUESS: f64 = 10.0;
/// Mail that comes back a little early keeps the connections busy.
const HASTE: f64 = 2.0;

/// The turns given out so far, and the speed they go by.
#[derive(Clone, Debug)]
pub struct Backlog {
    /// Milliseconds; the turn that was given out last.
    last: f64,
    /// Messages per second.
    speed: f64,
    measured: Option<(Timestamp, u32)>,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog {
            last: 0.0,
            speed: GUESS,
            measured: None,
        }
    }
}

impl Backlog {
    /// A message was answered.
    pub fn answered(&mut self, now: Timestamp) {
        let Some((since, count)) = &mut self.measured else {
            self.measured = Some((now, 0));
            return;
        };
        *count += 1;
        let passed = now.since(*since);
        if passed >= FLOOR {
            self.speed = (f64::from(*count) / passed.as_secs_f64()).max(0.1);
            self.measured = Some((now, 0));
        }
    }

    /// The turn of one more delivery.
    pub fn turn(&mut self, now: Timestamp) -> Timestamp {
        let first = now.after(FLOOR).0 as f64;
        let latest = now.after(CEILING).0 as f64;
        self.last = (self.last.max(first) + 1000.0 / (self.speed * HASTE)).min(latest);
        // Truncation is meant: a time in whole milliseconds.
        Timestamp(self.last as i64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backlog, CEILING, FLOOR};
    use crate::clock::Timestamp;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    #[test]
    fn turns_follow_each_other_at_the_measured_speed() {
        let mut backlog = Backlog::default();
        // Fifty a second for three seconds.
        for number in 0..150 {
            backlog.answered(NOW.after(Duration::from_millis(number * 20)));
        }
        let now = NOW.after(Duration::from_secs(3));
        let first = backlog.turn(now);
        assert!(first.since(now) >= FLOOR);
        let mut last = first;
        for _ in 0..1000 {
            last = backlog.turn(now);
        }
        let spread = last.since(first).as_secs_f64();
        assert!(
            (9.0..11.0).contains(&spread),
            "twice as fast as measured: {spread}"
        );
    }

    #[test]
    fn a_turn_is_never_past_the_ceiling() {
        let mut backlog = Backlog::default();
        for _ in 0..100_000 {
            assert!(backlog.turn(NOW).since(NOW) <= CEILING);
        }
        let later = NOW.after(Duration::from_secs(7200));
        assert!(
            backlog.turn(later).since(later) >= FLOOR,
            "what is past is past"
        );
    }
}
