//! How fast a run may go: `20/s`, or spread over a time.
//!
//! Promises: pure, and never faster than said over any stretch longer than a second, but for a small part of one; what
//! was not used is not saved up. Leaves the giving out to `deliver` and the keeping to `store`.

use std::time::Duration;

use crate::clock::{DAY, MINUTE, Timestamp};

/// What may be made up for: a round of the dispatcher, which looks five times a second, that came a little late.
const BURST: i64 = 300;
/// After a silence of this length nothing is made up for: a relay that allows so many a second counts what comes then.
const SILENCE: i64 = 1_000;
/// Marks are whole milliseconds, rounded up: given out in smaller portions than this, a fast pace would lose
/// more than a fiftieth by it.
const PORTION: i64 = 50;
/// Machines may differ by so much; a mark farther ahead comes from a clock that was set back.
const SKEW: i64 = MINUTE;

/// A spread in which nothing left for longer than its pace explains, and than this, was held up.
const IDLE: i64 = 2_000;

/// How many messages may go out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub messages: usize,
    per_day: i128,
    from: i64,
}

impl Grant {
    /// The instant up to which the pace is used up by so many of them: the mark to keep with the run.
    pub fn used_by(&self, messages: usize) -> Timestamp {
        let messages = i128::try_from(messages).unwrap_or(i128::MAX / i128::from(DAY));
        Timestamp(self.from + ceil(messages * i128::from(DAY), self.per_day))
    }
}

/// Reads `20/s`, `1000/m`, `5000/h` or `100000/d`; gives messages per day.
pub fn parse(text: &str) -> Result<i64, String> {
    let wrong = || {
        format!("`{text}` is no rate; expected one such as `20/s`, `1000/m`, `5000/h` or `50000/d`")
    };
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: i64 = number.trim().parse().map_err(|_| wrong())?;
    let times = match unit.trim() {
        "s" | "sec" | "second" => 86_400,
        "m" | "min" | "minute" => 1_440,
        "h" | "hour" => 24,
        "d" | "day" => 1,
        _ => return Err(wrong()),
    };
    match number.checked_mul(times) {
        // A thousand million a day is beyond any relay, and far from where the arithmetic ends.
        Some(per_day @ 1..=86_400_000_000) => Ok(per_day),
        _ => Err(wrong()),
    }
}

/// `20 a second`, in the largest unit that gives a whole number.
pub fn shown(per_day: i64) -> String {
    for (unit, times) in [("a second", 86_400), ("a minute", 1_440), ("an hour", 24)] {
        if per_day % times == 0 {
            return format!("{} {unit}", per_day / times);
        }
    }
    match per_day {
        2_400.. => format!("about {} an hour", per_day / 24),
        _ => format!("{per_day} a day"),
    }
}

/// The pace at which `queued` messages take `left`; none where the time is over.
pub fn spread(queued: i64, left: Duration) -> Option<i64> {
    let left = i64::try_from(left.as_millis())
        .ok()
        .filter(|&left| left > 0)?;
    let per_day = i128::from(queued.max(1)) * i128::from(DAY) / i128::from(left);
    Some(i64::try_from(per_day).unwrap_or(i64::MAX).max(1))
}

/// When a spread to `until` ends at which `queued` messages still wait, the last having left by `mark`: what held it up
/// meanwhile (a stage that was looked at, a relay or a sender that was away, a clock that was set) is added, so that the
/// rest keeps its pace.
pub fn kept(
    queued: i64,
    per_day: Option<i64>,
    until: Timestamp,
    mark: Timestamp,
    now: Timestamp,
) -> Timestamp {
    let lag = now.0 - mark.0;
    if lag < -SKEW {
        return Timestamp(until.0 + lag);
    }
    let Some(spread) = spread(queued, until.since(mark)) else {
        return until;
    };
    let per_day = per_day.map_or(spread, |per_day| per_day.min(spread));
    let idle = lag - ceil(i128::from(DAY), i128::from(per_day));
    match idle > IDLE {
        true => Timestamp(until.0 + idle),
        false => until,
    }
}

/// What may go out at `now` at this pace, when it is used up to `paced_to`.
pub fn grant(per_day: i64, paced_to: Option<Timestamp>, now: Timestamp) -> Grant {
    let per_day = i128::from(per_day.max(1));
    let interval = ceil(i128::from(DAY), per_day);
    // A round that finds a message due comes behind its time.
    let oldest = |made_up: i64| now.0 - interval.max(PORTION) - made_up;
    let from = match paced_to {
        Some(mark) if mark.0 >= oldest(SILENCE) && mark.0 <= now.0 + SKEW => {
            mark.0.max(oldest(BURST))
        }
        // The first message, the first after a silence, or the first since the clock was set back, which brings a mark
        // of the new time.
        _ => now.0 - interval.max(PORTION),
    };
    let open = (now.0 - from).max(0);
    let messages = match interval < PORTION && open < PORTION {
        true => 0,
        false => i128::from(open) * per_day / i128::from(DAY),
    };
    Grant {
        messages: usize::try_from(messages).unwrap_or(usize::MAX),
        per_day,
        from,
    }
}

/// Rounded up, so that the pace is never exceeded.
fn ceil(dividend: i128, divisor: i128) -> i64 {
    i64::try_from((dividend + divisor - 1) / divisor).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Grant, grant, kept, parse, shown, spread};
    use crate::clock::Timestamp;

    /// What may go out, and the mark when all of it has.
    fn given(grant: Grant) -> (usize, Timestamp) {
        (grant.messages, grant.used_by(grant.messages))
    }

    #[test]
    fn a_rate_is_read_and_said_again() {
        for (text, said) in [
            ("20/s", "20 a second"),
            ("1000/m", "1000 a minute"),
            ("1200/min", "20 a second"),
            ("5000/h", "5000 an hour"),
            ("100/d", "100 a day"),
            ("100000/day", "about 4166 an hour"),
        ] {
            assert_eq!(parse(text).map(shown), Ok(said.to_owned()), "{text}");
        }
        for text in [
            "20",
            "0/s",
            "-1/s",
            "many/s",
            "20/w",
            "20/s/s",
            "999999999999/s",
        ] {
            parse(text).expect_err(text);
        }
    }

    #[test]
    fn a_slow_pace_gives_one_at_a_time_and_nothing_is_saved_up() {
        let at = |seconds: i64| Timestamp(1_000_000_000 + seconds * 1000);
        let hourly = parse("2/h").expect("a rate");
        assert_eq!(given(grant(hourly, None, at(0))), (1, at(0)));
        assert_eq!(grant(hourly, Some(at(0)), at(1799)).messages, 0);
        assert_eq!(grant(hourly, Some(at(0)), at(1800)).messages, 1);
        let late = grant(hourly, Some(at(0)), at(90_000));
        assert_eq!(given(late), (1, at(90_000)));
        assert_eq!(
            late.used_by(0),
            at(88_200),
            "what was not given out is not used up"
        );
        let fast = parse("20/s").expect("a rate");
        assert_eq!(grant(fast, Some(at(0)), at(3600)).messages, 1);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_a_run_for_as_long() {
        let now = Timestamp(1_000_000_000);
        let hour = Duration::from_secs(3600);
        let fast = parse("20/s").expect("a rate");
        let back = grant(fast, Some(now.after(hour)), now);
        assert_eq!(given(back), (1, now));
        // A machine whose clock is a little behind waits for the other's mark.
        let ahead = now.after(Duration::from_secs(5));
        assert_eq!(grant(fast, Some(ahead), now).messages, 0);
    }

    #[test]
    fn a_spread_takes_the_time_that_is_left() {
        let hour = Duration::from_secs(3600);
        assert_eq!(spread(3600, hour), Some(86_400));
        assert_eq!(spread(0, hour), Some(24));
        assert_eq!(spread(3600, Duration::ZERO), None);
    }

    #[test]
    fn what_holds_a_spread_up_is_added_to_it() {
        let at = |seconds: i64| Timestamp(1_000_000_000 + seconds * 1000);
        // 100 messages in 1,000 s: one each 10 s.
        for (mark, now, per_day, until) in [
            (0, 10, None, 1_000),
            (0, 11, None, 1_000),
            // A stage was looked at for 40 min, also after the end that was.
            (0, 2_410, None, 3_400),
            // One a minute is slower than the spread, and no wait.
            (0, 60, Some(1_440), 1_000),
            (0, 90, Some(1_440), 1_030),
            // A clock set back by an hour, and one that another machine is ahead by.
            (3_600, 0, None, -2_600),
            (30, 0, None, 1_000),
        ] {
            let kept = kept(100, per_day, at(1_000), at(mark), at(now));
            assert_eq!(kept, at(until), "{mark} {now} {per_day:?}");
        }
        assert_eq!(
            kept(100, None, at(0), at(10), at(5_000)),
            at(0),
            "it is over"
        );
    }

    #[test]
    fn no_second_after_a_silence_gets_more_than_is_said() {
        for (per_second, silence) in [(50, 3_000), (50, 1_100), (14, 60_000), (1_000, 5_000)] {
            let begin = Timestamp(1_800_000_000_000);
            let mut mark = begin;
            let mut sent = 0;
            for tick in 0..5 {
                let now = Timestamp(begin.0 + silence + tick * 200);
                let (messages, used) = given(grant(per_second * 86_400, Some(mark), now));
                sent += i64::try_from(messages).expect("a number");
                mark = used;
            }
            assert!(
                sent <= per_second,
                "{sent} of {per_second} after {silence} ms"
            );
        }
    }

    proptest! {
        #[test]
        fn a_pace_is_neither_exceeded_nor_missed(
            per_second in 1i64..5000,
            steps in proptest::collection::vec(1i64..300, 1..200),
        ) {
            let per_day = per_second * 86_400;
            let begin = Timestamp(1_800_000_000_000);
            let first = grant(per_day, None, begin);
            prop_assert!(first.messages >= 1, "it never begins");
            let (mut total, mut mark) = given(first);
            let mut now = begin;
            for step in steps {
                now = Timestamp(now.0 + step);
                let (messages, used) = given(grant(per_day, Some(mark), now));
                prop_assert!(used <= now);
                mark = used;
                total += messages;
            }
            let total = i64::try_from(total).expect("a number");
            let (share, portion) = ((now.0 - begin.0) * per_second / 1000, per_second / 20 + 1);
            prop_assert!(total <= share + portion, "{total} of {share}");
            // Rounding to whole milliseconds loses a fiftieth at most, and the last portion may be open.
            prop_assert!((total + portion + 1) * 100 >= share * 98, "{total} of {share}");
        }
    }
}
