//! When a deferred delivery is tried again, and when it is given up.
//!
//! Promises: pure arithmetic; time and chance are arguments. Leaves to `reply` whether a retry is right.

use std::time::Duration;

use crate::clock::Timestamp;

/// Where a schedule is empty: long enough for greylisting, which most relays end after five minutes.
const FALLBACK: Duration = Duration::from_secs(5 * 60);

/// When to try again after the `attempts`-th charged attempt (1 for the first). The schedule's last wait
/// repeats; each wait is moved by up to the share `jitter` of itself, by `fraction` in `0.0..1.0`.
pub fn due(
    schedule: &[Duration],
    attempts: u32,
    jitter: f64,
    fraction: f64,
    now: Timestamp,
) -> Timestamp {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = schedule.get(index).or(schedule.last()).unwrap_or(&FALLBACK);
    let jitter = if jitter.is_finite() {
        jitter.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let fraction = if fraction.is_finite() {
        fraction.clamp(0.0, 1.0)
    } else {
        0.5
    };
    now.after(wait.mul_f64(1.0 + jitter * (2.0 * fraction - 1.0)))
}

/// When to try again after the server named a wait itself. Never earlier than it said: the jitter only adds.
/// A hint does not shorten the schedule from its third wait on, so that "try again in 1 second" said for ever
/// is not a loop.
pub fn due_by_hint(
    hint: Duration,
    schedule: &[Duration],
    attempts: u32,
    jitter: f64,
    fraction: f64,
    now: Timestamp,
) -> Timestamp {
    let share = if jitter.is_finite() && fraction.is_finite() {
        jitter.clamp(0.0, 1.0) * fraction.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let hinted = now.after(hint.saturating_add(hint.mul_f64(share)));
    match attempts {
        0..=2 => hinted,
        _ => hinted.max(due(schedule, attempts, jitter, fraction, now)),
    }
}

/// What the first `attempts` tries have made a delivery wait, by the schedule alone.
pub fn waited(schedule: &[Duration], attempts: u32) -> Duration {
    let listed: Duration = schedule.iter().take(attempts as usize).sum();
    let more = attempts.saturating_sub(u32::try_from(schedule.len()).unwrap_or(u32::MAX));
    let last = schedule.last().unwrap_or(&FALLBACK);
    listed.saturating_add(last.saturating_mul(more))
}

/// Whether a delivery that has been waiting since `since` has waited `give_up` or longer.
pub fn expired(since: Timestamp, give_up: Duration, now: Timestamp) -> bool {
    now.since(since) >= give_up
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop_assert, proptest};

    use super::{due, due_by_hint, expired, waited};
    use crate::clock::Timestamp;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn minutes(numbers: &[u64]) -> Vec<Duration> {
        let each = numbers.iter();
        each.map(|number| Duration::from_secs(number * 60))
            .collect()
    }

    #[test]
    fn waits_follow_the_schedule_and_the_last_repeats() {
        let schedule = minutes(&[5, 10, 20]);
        let waits = [(0, 5), (1, 5), (2, 10), (3, 20), (4, 20), (u32::MAX, 20)];
        for (attempts, wait) in waits {
            let expected = NOW.after(Duration::from_secs(wait * 60));
            assert_eq!(due(&schedule, attempts, 0.0, 0.9, NOW), expected);
        }
    }

    #[test]
    fn jitter_moves_a_wait_both_ways_by_its_share() {
        let schedule = minutes(&[10]);
        let at = |fraction| due(&schedule, 1, 0.2, fraction, NOW).since(NOW);
        assert_eq!(at(0.0), Duration::from_secs(8 * 60));
        assert_eq!(at(0.5), Duration::from_secs(10 * 60));
        assert_eq!(at(1.0), Duration::from_secs(12 * 60));
    }

    #[test]
    fn the_servers_own_wait_is_kept_and_never_cut_short() {
        let schedule = minutes(&[5, 10, 20]);
        let at = |hint: u64, attempts, fraction| {
            let hint = Duration::from_secs(hint);
            due_by_hint(hint, &schedule, attempts, 0.2, fraction, NOW).since(NOW)
        };
        assert_eq!(at(300, 1, 0.0), Duration::from_secs(300));
        assert_eq!(at(300, 1, 1.0), Duration::from_secs(360));
        assert_eq!(at(3600, 1, 0.0), Duration::from_secs(3600));
        assert_eq!(at(1, 2, 0.0), Duration::from_secs(1));
        assert_eq!(at(1, 3, 0.5), Duration::from_secs(20 * 60), "no loop");
        assert_eq!(at(86400, 9, 0.0), Duration::from_secs(86400));
    }

    #[test]
    fn an_empty_schedule_still_waits() {
        assert_eq!(
            due(&[], 1, 0.0, 0.0, NOW).since(NOW),
            Duration::from_secs(300)
        );
    }

    #[test]
    fn tries_add_up_to_a_wait() {
        let schedule = minutes(&[5, 10]);
        for (attempts, wait) in [(0, 0), (1, 5), (2, 15), (3, 25), (5, 45)] {
            let expected = Duration::from_secs(wait * 60);
            assert_eq!(waited(&schedule, attempts), expected, "{attempts}");
        }
        assert!(waited(&schedule, u32::MAX) > Duration::from_secs(1 << 40));
    }

    #[test]
    fn a_delivery_expires_by_its_age() {
        let two_days = Duration::from_secs(48 * 3600);
        let later = NOW.after(two_days);
        assert!(expired(NOW, two_days, later));
        assert!(!expired(NOW, two_days, Timestamp(later.0 - 1)));
        // A clock that was set back expires nothing.
        assert!(!expired(NOW, two_days, Timestamp(0)));
    }

    proptest! {
        #[test]
        fn a_retry_is_never_before_now(attempts: u32, jitter in any::<f64>(), fraction in any::<f64>()) {
            let at = due(&minutes(&[5, 10]), attempts, jitter, fraction, NOW);
            prop_assert!(at >= NOW);
            prop_assert!(at.since(NOW) <= Duration::from_secs(20 * 60));
        }
    }
}
