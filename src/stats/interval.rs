//! Shares with the interval in which the truth lies, or the word that there is not enough to say.
//!
//! Promises: pure. The interval is Wilson's, which stays within 0 and 1 and holds for small shares, where the usual
//! one would name shares below nothing. What was not counted is no share of nobody: it is not told.

use serde::{Serialize, Serializer};

/// Readers below which a share says nothing.
pub const ENOUGH: i64 = 30;
/// Standard deviations on either side within which the truth lies 19 times out of 20.
pub(crate) const WIDTH: f64 = 1.959_964;

/// So many of so many. The default is one that is not told, and all of it is null in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    pub part: i64,
    pub whole: i64,
    /// None where there is not enough data; then its three numbers are null.
    pub interval: Option<Interval>,
    /// False where nothing was counted, or nobody knows.
    pub told: bool,
}

/// A share and between which the truth lies 19 times out of 20.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    /// `part` of `whole`.
    pub fn of(part: i64, whole: i64) -> Share {
        let interval = (whole >= ENOUGH).then(|| wilson(part, whole));
        Share {
            part,
            whole,
            interval,
            told: true,
        }
    }

    /// `part` of those of `all` that count: `not` of them do not. Not told where none does.
    pub fn of_counted(part: i64, all: i64, not: i64) -> Share {
        match all > 0 && not >= all {
            true => Share::default(),
            false => Share::of(part, all - not.max(0)),
        }
    }

    /// How many, where that is told.
    pub fn number(&self) -> Option<i64> {
        self.told.then_some(self.part)
    }

    /// `12.3 %`, or nothing where there is not enough data.
    pub fn percent(&self) -> Option<String> {
        self.interval.map(|interval| percent(interval.share))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row {
            part: Option<i64>,
            whole: Option<i64>,
            share: Option<f64>,
            low: Option<f64>,
            high: Option<f64>,
        }
        let row = Row {
            part: self.told.then_some(self.part),
            whole: self.told.then_some(self.whole),
            share: self.interval.map(|known| known.share),
            low: self.interval.map(|known| known.low),
            high: self.interval.map(|known| known.high),
        };
        row.serialize(serializer)
    }
}

impl Interval {
    /// `10.1 to 14.9 %`.
    pub fn range(&self) -> String {
        format!("{:.1} to {}", self.low * 100.0, percent(self.high))
    }
}

/// `12.3 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// How much of `whole` is `part`.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

/// E. B. Wilson, 1927: the shares under which so many of so many would not surprise.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn wilson(part: i64, whole: i64) -> Interval {
    let n = whole as f64;
    // A delivery may be opened that was counted as bounced.
    let share = (part as f64 / n).clamp(0.0, 1.0);
    let square = WIDTH * WIDTH;
    let middle = share + square / (2.0 * n);
    let half = WIDTH * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    Interval {
        share,
        low: ((middle - half) / scale).max(0.0),
        high: ((middle + half) / scale).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, wilson};

    /// Newcombe, Statistics in Medicine 17 (1998), table I: the score method without continuity correction.
    #[test]
    fn intervals_are_those_of_the_literature() {
        for (part, whole, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(part, whole);
            assert!((found.low - low).abs() < 5e-5, "{part}/{whole}: {found:?}");
            assert!(
                (found.high - high).abs() < 5e-5,
                "{part}/{whole}: {found:?}"
            );
        }
    }

    #[test]
    fn of_few_readers_nothing_is_said() {
        assert_eq!(Share::of(3, 29).interval, None);
        assert_eq!(Share::of(0, 0).percent(), None);
        let some = Share::of(3, 30);
        assert_eq!(some.percent().as_deref(), Some("10.0 %"));
        let range = some.interval.expect("enough").range();
        assert_eq!(range, "3.5 to 25.6 %");
        assert_eq!(Share::of(31, 30).percent().as_deref(), Some("100.0 %"));
    }

    #[test]
    fn what_counts_nothing_is_in_no_share_and_where_nothing_counts_none_is_told() {
        let some = Share::of_counted(24, 80, 50);
        assert_eq!((some.part, some.whole), (24, 30));
        assert_eq!(some.percent().as_deref(), Some("80.0 %"));
        assert_eq!(Share::of_counted(8, 80, 70).percent(), None);
        let json = |share: Share| serde_json::to_value(share).expect("plain data");
        let none = json(Share::of_counted(0, 80, 80));
        for key in ["part", "whole", "share", "low", "high"] {
            assert_eq!(none.get(key), Some(&serde_json::Value::Null), "{key}");
        }
        // Nothing was sent yet: that is nobody.
        assert_eq!(json(Share::of_counted(0, 0, 0))["part"], 0);
        assert_eq!(Share::of_counted(0, 80, 80).number(), None);
    }
}
