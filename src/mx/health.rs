//! Whether the hosts of one site can be tried now: its failures and the waits between them.
//!
//! Promises: while they fail nothing is opened before its time, and then one connection; hosts that
//! answer on one connection have not failed because they refused another. Leaves the number of
//! connections to `pace`, and what becomes of the waiting deliveries to `deliver`.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::retry;

/// The hosts of one site, as its connections have found them.
#[derive(Clone, Debug, Default)]
pub struct Health {
    open: usize,
    /// Open connections that have been of use.
    proven: usize,
    /// Failures running.
    failures: u32,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// How failed hosts are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Waits<'a> {
    pub schedule: &'a [Duration],
    pub jitter: f64,
    /// A number in 0.0..1.0.
    pub fraction: f64,
}

impl Health {
    /// Hosts that failed so often when another process tried them: a first connection may be opened at once.
    pub fn resumed(since: Timestamp, failures: u32) -> Health {
        Health {
            since: Some(since),
            failures: failures.max(1),
            ..Health::default()
        }
    }

    /// Failures running.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether one more connection may be opened now: while nobody knows whether the hosts are back, the
    /// first one only.
    pub fn may_open(&self, now: Timestamp) -> bool {
        self.blocked(now).is_none() && (self.failures == 0 || self.open == 0)
    }

    /// Until when nothing is to be opened.
    pub fn blocked(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|&until| until > now)
    }

    /// Since when the hosts have failed without an answer in between.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.since
    }

    /// The same, and until when nothing was to be opened after the last failure.
    pub fn failing(&self) -> Option<(Timestamp, Timestamp)> {
        self.since.zip(self.until)
    }

    /// One more connection is opened.
    pub fn opened(&mut self) {
        self.open += 1;
    }

    /// A connection was of use; the first time it was, `first`.
    pub fn worked(&mut self, first: bool) {
        self.proven += usize::from(first);
        self.failures = 0;
        self.since = None;
        self.until = None;
    }

    /// A connection that was of no use was refused, cut or ended. Gives the time of the next try if the
    /// hosts have failed with it, and none where another connection works; `sure` where the hosts said of
    /// themselves that they take no mail now.
    pub fn failed(&mut self, waits: Waits<'_>, sure: bool, now: Timestamp) -> Option<Timestamp> {
        if self.proven > 0 && !sure {
            return None;
        }
        self.since.get_or_insert(now);
        // Several that failed together are one failure.
        if let Some(until) = self.blocked(now) {
            return Some(until);
        }
        self.failures = self.failures.saturating_add(1);
        let Waits {
            schedule,
            jitter,
            fraction,
        } = waits;
        let until = retry::due(schedule, self.failures, jitter, fraction, now);
        self.until = Some(until);
        Some(until)
    }

    /// The failures so far were not theirs.
    pub fn lift(&mut self) {
        self.failures = 0;
        self.since = None;
        self.until = None;
    }

    /// A connection is gone; `proven` if it had been of use.
    pub fn closed(&mut self, proven: bool) {
        self.open = self.open.saturating_sub(1);
        self.proven = self.proven.saturating_sub(usize::from(proven));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Health, Waits};
    use crate::clock::Timestamp;

    const NOW: Timestamp = Timestamp(1_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const WAITS: Waits<'static> = Waits {
        schedule: &[MINUTE, Duration::from_secs(300)],
        jitter: 0.0,
        fraction: 0.5,
    };

    #[test]
    fn dead_hosts_are_tried_by_one_connection_at_their_time() {
        let mut health = Health::default();
        for _ in 0..3 {
            assert!(health.may_open(NOW));
            health.opened();
        }
        for _ in 0..3 {
            let until = health.failed(WAITS, false, NOW);
            assert_eq!(
                until,
                Some(NOW.after(MINUTE)),
                "together they are one failure"
            );
            health.closed(false);
        }
        assert!(!health.may_open(NOW));
        let later = NOW.after(MINUTE);
        assert!(health.may_open(later));
        health.opened();
        assert!(!health.may_open(later), "one probe at a time");
        let until = health.failed(WAITS, false, later);
        assert_eq!(until, Some(later.after(5 * MINUTE)), "the next wait");
        health.closed(false);
        assert_eq!(health.failing_since(), Some(NOW));
        let back = later.after(5 * MINUTE);
        assert!(health.may_open(back));
        health.opened();
        health.worked(true);
        assert_eq!(health.failing_since(), None);
        assert!(health.may_open(back), "they are back");
    }

    #[test]
    fn dead_hosts_are_as_old_as_they_are_whoever_tries_them() {
        let mut health = Health::resumed(Timestamp(5), 1);
        assert_eq!(
            (health.failing_since(), health.failures()),
            (Some(Timestamp(5)), 1)
        );
        health.opened();
        assert!(!health.may_open(NOW), "one at a time");
        let until = health.failed(WAITS, false, NOW);
        assert_eq!(until, Some(NOW.after(5 * MINUTE)), "the second wait");
        assert_eq!(health.failing_since(), Some(Timestamp(5)));
    }

    #[test]
    fn a_refusal_beside_a_connection_that_works_is_no_failure() {
        let mut health = Health::default();
        health.opened();
        health.worked(true);
        health.opened();
        assert_eq!(health.failed(WAITS, false, NOW), None);
        health.closed(false);
        assert!(health.may_open(NOW));
        health.closed(true);
        health.opened();
        assert!(
            health.failed(WAITS, false, NOW).is_some(),
            "the other one is gone"
        );
        let mut health = Health::default();
        health.opened();
        health.worked(true);
        let until = health.failed(WAITS, true, NOW);
        assert!(until.is_some(), "the hosts' own word counts");
    }
}
