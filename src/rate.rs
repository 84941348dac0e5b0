//! How fast: rates, a bucket that keeps one, caps by the calendar, and the warm-up.
//!
//! Promises: pure arithmetic; time is an argument. Leaves the counting across restarts to `store::budgets`.

pub mod cap;

use std::time::Duration;

use crate::clock::{DAY, HOUR, MINUTE, Timestamp};

/// A stretch of time that a rate or a cap speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    Second,
    Minute,
    Hour,
    Day,
}

impl Span {
    /// Its length in milliseconds.
    pub fn millis(self) -> i64 {
        match self {
            Span::Second => 1_000,
            Span::Minute => MINUTE,
            Span::Hour => HOUR,
            Span::Day => DAY,
        }
    }

    /// When the window in which `at` lies began: days begin at midnight UTC.
    pub fn begin(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.div_euclid(self.millis()) * self.millis())
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Span::Second => "second",
            Span::Minute => "minute",
            Span::Hour => "hour",
            Span::Day => "day",
        }
    }
}

/// So many in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    span: Duration,
}

impl Rate {
    /// `count` in `span`; none where either is nothing.
    pub fn new(count: u32, span: Duration) -> Option<Rate> {
        (count > 0 && !span.is_zero()).then_some(Rate { count, span })
    }

    /// The time between two, if they are spread evenly.
    pub fn interval(self) -> Duration {
        self.span / self.count
    }
}

/// A token bucket: a rate that is kept over any stretch of time, with a few at once after a rest.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Nanoseconds that one takes.
    each: i128,
    /// How far `next` may lie in the past: nanoseconds of rest that are remembered.
    rest: i128,
    /// When the next one is due, in nanoseconds since the epoch of the caller's clock.
    next: i128,
}

impl Bucket {
    /// A bucket that is full at `now`, with room for `burst` at once (one at least).
    pub fn new(rate: Rate, burst: u32, now: Timestamp) -> Bucket {
        let each = i128::try_from(rate.interval().as_nanos())
            .unwrap_or(i128::MAX >> 32)
            .max(1);
        let rest = each * i128::from(burst.max(1) - 1);
        Bucket {
            each,
            rest,
            next: nanos(now) - rest,
        }
    }

    /// Takes one, or says how long to wait. A clock that goes back makes no debt: it is waited for no longer
    /// than the rate demands.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        let now = nanos(now);
        let next = self.due(now);
        if next > now {
            self.next = next;
            return Err(Duration::from_nanos(
                u64::try_from(next - now).unwrap_or(u64::MAX),
            ));
        }
        self.next = next + self.each;
        Ok(())
    }

    /// Whether one may be taken now.
    pub fn has_one(&self, now: Timestamp) -> bool {
        let now = nanos(now);
        self.due(now) <= now
    }

    /// When the next one is due: no later than the one that was taken last leaves to wait for.
    fn due(&self, now: i128) -> i128 {
        self.next.clamp(now - self.rest, now + self.each)
    }

    /// Gives one back that was not used.
    pub fn give_back(&mut self) {
        self.next -= self.each;
    }
}

fn nanos(at: Timestamp) -> i128 {
    i128::from(at.0) * 1_000_000
}

/// What a warm-up allows on its first day, and by what it grows in [`WARM`] days.
const FIRST: f64 = 200.0;
const GROWTH: f64 = 1000.0;
const WARM: f64 = 41.0;

/// Messages that a sending domain may send on the day of `now`, when its warm-up began on the day of
/// `began`: `200 x 1000^(day/41)`. Before that day it is the first day.
pub fn warm_up(began: Timestamp, now: Timestamp) -> u64 {
    let day =
        (now.0.div_euclid(Span::Day.millis()) - began.0.div_euclid(Span::Day.millis())).max(0);
    let day = f64::from(u32::try_from(day).unwrap_or(u32::MAX));
    let cap = (FIRST * GROWTH.powf(day / WARM)).floor();
    // More than a thousand million a day is no cap any more.
    let most = 1e9;
    if cap < most { cap as u64 } else { most as u64 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::{Bucket, Rate, Span, warm_up};
    use crate::clock::{DAY, HOUR, Timestamp};

    #[test]
    fn a_window_begins_where_the_calendar_says() {
        let at = Timestamp(3 * DAY + 5 * HOUR + 61_500);
        assert_eq!(Span::Day.begin(at), Timestamp(3 * DAY));
        assert_eq!(Span::Hour.begin(at), Timestamp(3 * DAY + 5 * HOUR));
        assert_eq!(Span::Minute.begin(at), Timestamp(at.0 - 1_500));
        assert_eq!(Span::Second.begin(at), Timestamp(at.0 - 500));
    }

    #[test]
    fn a_warm_up_begins_at_two_hundred_and_grows_by_a_thousand_in_41_days() {
        let began = Timestamp(20_000 * DAY);
        let on = |day: i64| warm_up(began, Timestamp(began.0 + day * DAY + DAY - 1));
        assert_eq!([on(-5), on(0), on(1), on(2)], [200, 200, 236, 280]);
        assert_eq!([on(10), on(20), on(30)], [1078, 5813, 31343]);
        assert_eq!(on(41), 200_000);
        assert_eq!(on(10_000), 1_000_000_000);
    }

    #[test]
    fn a_bucket_spaces_what_comes_after_the_burst() {
        let rate = Rate::new(10, Duration::from_secs(1)).expect("a rate");
        let mut bucket = Bucket::new(rate, 3, Timestamp(0));
        let mut ask = |at| bucket.take(Timestamp(at));
        assert!((0..3).all(|_| ask(0).is_ok()));
        assert_eq!(ask(0), Err(Duration::from_millis(100)));
        assert_eq!(ask(99), Err(Duration::from_millis(1)));
        assert!(ask(100).is_ok());
        // The clock went back by an hour: one interval at most is waited.
        assert_eq!(ask(-HOUR), Err(Duration::from_millis(100)));
        assert!(ask(-3_599_900).is_ok());
    }

    #[test]
    fn what_is_given_back_may_be_taken_at_once() {
        let rate = Rate::new(1, Duration::from_secs(3600)).expect("a rate");
        let mut bucket = Bucket::new(rate, 1, Timestamp(0));
        assert!(bucket.has_one(Timestamp(0)));
        assert!(bucket.take(Timestamp(0)).is_ok());
        assert!(!bucket.has_one(Timestamp(1)));
        assert!(bucket.take(Timestamp(1)).is_err());
        bucket.give_back();
        assert!(bucket.has_one(Timestamp(1)));
        assert!(bucket.take(Timestamp(1)).is_ok());
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_the_rate_and_the_burst(
            count in 1_u32..200,
            burst in 1_u32..50,
            steps in proptest::collection::vec(0_i64..400, 1..300),
        ) {
            let rate = Rate::new(count, Duration::from_secs(1)).expect("a rate");
            let mut bucket = Bucket::new(rate, burst, Timestamp(0));
            let mut now = 0;
            let mut taken = Vec::new();
            for step in steps {
                now += step;
                while bucket.take(Timestamp(now)).is_ok() {
                    taken.push(now);
                }
            }
            // A level that rises with every message and falls with time: what it has risen since any moment
            // is how far that stretch went beyond the rate.
            let mut least = i64::MAX;
            for (index, at) in taken.iter().enumerate() {
                let level = 1000 * index as i64 - at * i64::from(count);
                least = least.min(level);
                prop_assert!(level - least <= 1000 * (i64::from(burst) + 1), "at {at} ms");
            }
            // Whoever waits as told is served, and nobody waits longer than one interval.
            let wait = bucket.take(Timestamp(now)).expect_err("it is empty");
            prop_assert!(wait <= rate.interval() + Duration::from_millis(1));
            let later = Timestamp(now + wait.as_millis() as i64 + 1);
            prop_assert!(bucket.take(later).is_ok());
        }
    }
}
