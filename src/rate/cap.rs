//! Caps: at most so many in each second, minute, hour or day, counted by the calendar in UTC.
//!
//! Promises: no window is ever granted more than its cap, whoever asks; a clock that goes back opens no
//! window anew, and one that was ahead by more than a window closes none for longer. Leaves keeping the counts to
//! `store::budgets`.

use crate::clock::Timestamp;
use crate::rate::Span;

/// At most so many in each window of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Whose count it is: a relay, or a sending domain.
    pub name: String,
    pub span: Span,
    pub most: u64,
}

/// What has been granted in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// When the window began.
    pub began: Timestamp,
    pub used: u64,
}

/// Granted before and not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused {
    pub number: u32,
    /// When it was granted.
    pub since: Timestamp,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub number: u32,
    pub now: Timestamp,
    /// Until when what is granted may be used; where nothing is, when to ask again.
    pub until: Timestamp,
    /// Where nothing is granted: the cap that is used up longest, by its place.
    pub full: Option<usize>,
}

/// Grants up to `wanted` under all of `caps`, after taking back what is `unused`, and moves their counts.
pub fn grant(
    caps: &[Cap],
    counts: &mut [Count],
    wanted: u32,
    unused: Option<Unused>,
    now: Timestamp,
) -> Grant {
    let mut number = wanted;
    for (cap, count) in caps.iter().zip(counts.iter_mut()) {
        if let Some(unused) = unused.filter(|unused| cap.span.begin(unused.since) == count.began) {
            count.used = count.used.saturating_sub(u64::from(unused.number));
        }
        let begin = cap.span.begin(now);
        // A clock that was wrong once wrote this: what was granted by it counts now, and not in days or years.
        if count.began.0 > now.0.saturating_add(cap.span.millis()) {
            count.began = begin;
        }
        if count.began < begin {
            *count = Count {
                began: begin,
                used: 0,
            };
        }
        let left = cap.most.saturating_sub(count.used);
        number = number.min(u32::try_from(left).unwrap_or(u32::MAX));
    }
    let mut full: Option<(Timestamp, usize)> = None;
    let mut first: Option<Timestamp> = None;
    for (index, (cap, count)) in caps.iter().zip(counts.iter_mut()).enumerate() {
        let end = Timestamp(count.began.0.saturating_add(cap.span.millis()));
        if count.used >= cap.most {
            full = full.max(Some((end, index)));
        }
        first = Some(first.map_or(end, |first| first.min(end)));
        count.used += u64::from(number);
    }
    let full = full.filter(|_| number == 0);
    Grant {
        number,
        now,
        until: full.map(|(end, _)| end).or(first).unwrap_or(now),
        full: full.map(|(_, index)| index),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{Cap, Count, Grant, Unused, grant};
    use crate::clock::{DAY, HOUR, MINUTE, Timestamp};
    use crate::rate::Span;

    fn caps(of: &[(Span, u64)]) -> (Vec<Cap>, Vec<Count>) {
        let cap = |&(span, most)| Cap {
            name: "main".into(),
            span,
            most,
        };
        let new = Count {
            began: Timestamp(0),
            used: 0,
        };
        (of.iter().map(cap).collect(), vec![new; of.len()])
    }

    #[test]
    fn the_tightest_cap_decides_and_says_when_it_ends() {
        let (caps, mut counts) = caps(&[(Span::Minute, 100), (Span::Day, 150)]);
        let now = Timestamp(10 * DAY + 61_000);
        let mut ask = |wanted, at| grant(&caps, &mut counts, wanted, None, at);
        let some = ask(80, now);
        assert_eq!((some.number, some.full), (80, None));
        assert_eq!(some.until, Timestamp(10 * DAY + 120_000));
        assert_eq!(ask(80, now).number, 20);
        let full = ask(80, now);
        let expected = Grant {
            number: 0,
            now,
            until: Timestamp(10 * DAY + 120_000),
            full: Some(0),
        };
        assert_eq!(full, expected);
        assert_eq!(ask(80, full.until).number, 50);
        let full = ask(1, full.until);
        assert_eq!((full.until, full.full), (Timestamp(11 * DAY), Some(1)));
        assert_eq!(ask(80, full.until).number, 80);
    }

    #[test]
    fn what_is_unused_goes_back_into_the_windows_it_came_from() {
        let (caps, mut counts) = caps(&[(Span::Second, 10), (Span::Day, 10)]);
        let now = Timestamp(10 * DAY);
        assert_eq!(grant(&caps, &mut counts, 10, None, now).number, 10);
        let unused = Some(Unused {
            number: 4,
            since: now,
        });
        let later = Timestamp(now.0 + 1_000);
        assert_eq!(grant(&caps, &mut counts, 10, unused, later).number, 4);
        assert_eq!(counts[0].used, 4, "of the new second");
        assert_eq!(counts[1].used, 10);
    }

    #[test]
    fn a_clock_that_was_far_ahead_once_closes_no_cap_for_longer_than_its_span() {
        let (caps, mut counts) = caps(&[(Span::Hour, 10), (Span::Day, 30)]);
        let now = Timestamp(10 * DAY);
        let ahead = Timestamp(now.0 + 30 * DAY);
        assert_eq!(grant(&caps, &mut counts, 10, None, ahead).number, 10);
        let full = grant(&caps, &mut counts, 10, None, now);
        assert_eq!(
            (full.number, full.full),
            (0, Some(0)),
            "what went out counts"
        );
        assert_eq!(full.until, Timestamp(now.0 + HOUR));
        assert_eq!(grant(&caps, &mut counts, 30, None, full.until).number, 10);
        assert_eq!(counts[1].used, 20);
        // By less than a window it stays in the later one.
        let tomorrow = Timestamp(now.0 + DAY);
        assert_eq!(grant(&caps, &mut counts, 10, None, tomorrow).number, 10);
        let back = Timestamp(tomorrow.0 - MINUTE);
        assert_eq!(grant(&caps, &mut counts, 10, None, back).number, 0);
    }

    proptest! {
        #[test]
        fn no_window_is_granted_more_than_its_cap(
            most in 0_u64..50,
            asks in proptest::collection::vec((0_u32..20, -400_i64..1_500), 1..100),
        ) {
            let (caps, mut counts) = caps(&[(Span::Second, most), (Span::Minute, most * 3)]);
            let mut now = Timestamp(100 * DAY);
            // A clock that goes back stays in the latest window that it has seen.
            let mut highest = Timestamp(0);
            let mut granted: Vec<(Timestamp, u64)> = Vec::new();
            for (wanted, step) in asks {
                // One that goes back by more than its span was wrong before.
                now = Timestamp((now.0 + step).max(highest.0 - 900));
                highest = highest.max(now);
                let got = grant(&caps, &mut counts, wanted, None, now);
                prop_assert!(got.number <= wanted);
                prop_assert!(got.number > 0 || wanted == 0 || got.full.is_some());
                granted.push((highest, u64::from(got.number)));
            }
            for cap in &caps {
                for (at, _) in &granted {
                    let window = |other: &&(Timestamp, u64)| cap.span.begin(other.0) == cap.span.begin(*at);
                    let sum: u64 = granted.iter().filter(window).map(|(_, number)| number).sum();
                    prop_assert!(sum <= cap.most, "{sum} of {} in a {:?}", cap.most, cap.span);
                }
            }
        }
    }
}
