//! An issue against those before it: whether its share is what the list is used to.
//!
//! Promises: pure. The band is where the next share lies 19 times out of 20 if nothing has changed, from the mean and
//! the spread of the earlier ones, and never narrower than chance alone among so many readers: eight issues that nobody
//! left say little of how many leave. Of fewer than three nothing is said, nor of an issue to which more will come.

use std::time::Duration;

use serde::Serialize;

use crate::stats::interval::{Interval, Share, WIDTH, percent};

/// Earlier issues that are compared with.
pub const ISSUES: u32 = 8;
/// How long after the last copy left an issue is compared: later, hardly anything comes to it.
pub const SETTLED: Duration = Duration::from_secs(48 * 3600);
/// Earlier issues below which nothing is said.
const FEWEST: usize = 3;
/// Student's t for 95 % on both sides, from two degrees of freedom on.
const STUDENT: [f64; 6] = [4.303, 3.182, 2.776, 2.571, 2.447, 2.365];

/// How an issue stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    More,
    AsUsual,
    Less,
    NotEnoughData,
    /// It is still being read.
    TooEarly,
    /// It did not go to the whole list, as those before it did.
    OnlyPart,
    /// Nothing of it was counted.
    NotCounted,
}

impl Standing {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Standing::More => "more than usual",
            Standing::AsUsual => "as usual",
            Standing::Less => "less than usual",
            Standing::NotEnoughData => "not enough data",
            Standing::TooEarly => "too early to say",
            Standing::OnlyPart => "not compared: it went to a part of the list",
            Standing::NotCounted => "not compared: it was not counted",
        }
    }
}

/// What earlier issues came to, and how this one stands to them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Usual {
    pub standing: Standing,
    /// Earlier issues with enough data.
    pub issues: usize,
    /// Their mean share, and the band in which the next is expected.
    pub band: Option<Band>,
}

impl Usual {
    /// The same where nothing is to be said of this issue, and why.
    pub fn unsaid(self, why: Standing) -> Usual {
        if self.standing == Standing::NotCounted {
            return self;
        }
        let band = self.band.filter(|_| why != Standing::OnlyPart);
        Usual {
            standing: why,
            band,
            ..self
        }
    }
}

/// A share of the first hours since each reader got her copy, and how it stands to those of the issues before it in theirs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Aged {
    pub hours: i64,
    pub share: Share,
    pub usual: Usual,
}

impl Aged {
    /// In words; none where there is not enough to compare.
    pub fn words(&self) -> Option<String> {
        let (share, band) = (self.share.interval?, self.usual.band?);
        let hours = match self.hours {
            1 => "hour".to_owned(),
            hours => format!("{hours} hours"),
        };
        Some(format!(
            "in the first {hours} {}, and {} on average: {}",
            percent(share.share),
            percent(band.mean),
            self.usual.standing.words()
        ))
    }
}

/// Where the next share is expected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// Holds `this` against those of the `earlier` shares that are told.
#[expect(clippy::cast_precision_loss, reason = "eight issues")]
pub fn usual(this: &Share, earlier: &[Share]) -> Usual {
    let known: Vec<f64> = earlier
        .iter()
        .filter_map(|share| share.interval.map(|interval| interval.share))
        .collect();
    let issues = known.len();
    if !this.told || issues < FEWEST {
        return Usual {
            standing: match this.told {
                true => Standing::NotEnoughData,
                false => Standing::NotCounted,
            },
            issues,
            band: None,
        };
    }
    let n = issues as f64;
    let mean = known.iter().sum::<f64>() / n;
    let squares = known.iter().map(|share| (share - mean).powi(2));
    let spread = (squares.sum::<f64>() / (n - 1.0)).sqrt();
    let student = STUDENT[(issues - FEWEST).min(STUDENT.len() - 1)];
    let half = student * spread * (1.0 + 1.0 / n).sqrt();
    let (below, above) = by_chance(this, earlier);
    let band = Band {
        mean,
        low: (mean - half.max(below)).max(0.0),
        high: (mean + half.max(above)).min(1.0),
    };
    let standing = match this.interval {
        None => Standing::NotEnoughData,
        // Beyond the band, and not by what chance among so few readers explains.
        Some(this) if this.share > band.high && this.low > mean => Standing::More,
        Some(this) if this.share < band.low && this.high < mean => Standing::Less,
        Some(_) => Standing::AsUsual,
    };
    Usual {
        standing,
        issues,
        band: Some(band),
    }
}

/// How far below and above the mean chance alone takes an issue to so many readers: how uncertain the share of all
/// earlier readers together is, and how one issue scatters around it, as R. G. Newcombe, 1998, adds the two (method 10).
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn by_chance(this: &Share, earlier: &[Share]) -> (f64, f64) {
    let known = || earlier.iter().filter(|share| share.interval.is_some());
    let part = known().map(|share| share.part.clamp(0, share.whole)).sum();
    let whole = known().map(|share| share.whole).sum();
    let Some(Interval { share, low, high }) = Share::of(part, whole).interval else {
        return (0.0, 0.0);
    };
    let readers = this.whole.max(1) as f64;
    let from = |limit: f64| {
        let scatter = limit * (1.0 - limit) / readers;
        ((share - limit).powi(2) + WIDTH * WIDTH * scatter).sqrt()
    };
    (from(low), from(high))
}

#[cfg(test)]
mod tests {
    use super::{Standing, usual};
    use crate::stats::interval::Share;

    fn shares(parts: &[i64]) -> Vec<Share> {
        parts.iter().map(|&part| Share::of(part, 1_000)).collect()
    }

    #[test]
    fn an_issue_is_unusual_beyond_the_band_of_those_before() {
        let earlier = shares(&[100, 110, 90, 105, 95, 100, 108, 92]);
        let found = usual(&Share::of(100, 1_000), &earlier);
        let band = found.band.expect("enough");
        // Mean 0.1. The spread of 0.00735, times 2.365 and the root of 9/8, is 0.0184; chance alone is more: 800 of
        // 8,000 are 0.0936 to 0.1068, and 1,000 readers scatter around these by 0.0181 and 0.0191.
        assert!((band.mean - 0.1).abs() < 1e-9);
        assert!((band.high - 0.120_3).abs() < 2e-4, "{band:?}");
        assert!((band.low - 0.080_8).abs() < 2e-4, "{band:?}");
        assert_eq!((found.standing, found.issues), (Standing::AsUsual, 8));
        let standing = |part| usual(&Share::of(part, 1_000), &earlier).standing;
        assert_eq!(standing(140), Standing::More);
        assert_eq!(standing(60), Standing::Less);
        assert_eq!(standing(117), Standing::AsUsual);
    }

    #[test]
    fn after_eight_issues_that_nobody_left_one_who_leaves_is_as_usual() {
        let nobody: Vec<Share> = (0..8).map(|_| Share::of(0, 179)).collect();
        let standing = |part| usual(&Share::of(part, 179), &nobody).standing;
        // One of 179 after none of 1,432 happens by chance one time in nine, two happen one time in eighty.
        assert_eq!(standing(0), Standing::AsUsual);
        assert_eq!(standing(1), Standing::AsUsual);
        assert_eq!(standing(2), Standing::More);
        let band = usual(&Share::of(1, 179), &nobody).band.expect("a band");
        assert_eq!((band.mean, band.low), (0.0, 0.0));
        assert!((band.high - 0.008).abs() < 5e-4, "{band:?}");
        let all: Vec<Share> = (0..8).map(|_| Share::of(179, 179)).collect();
        let standing = |part| usual(&Share::of(part, 179), &all).standing;
        assert_eq!(
            (standing(178), standing(170)),
            (Standing::AsUsual, Standing::Less)
        );
        // Issues that differ by more than chance have a band as wide as they differ.
        let wild = shares(&[50, 150, 100, 60, 140, 100, 90, 110]);
        let wide = usual(&Share::of(100, 1_000), &wild).band.expect("a band");
        assert!(wide.high > 0.18, "{wide:?}");
    }

    #[test]
    fn of_few_issues_or_few_readers_nothing_is_said() {
        let this = Share::of(500, 1_000);
        assert_eq!(
            usual(&this, &shares(&[10, 20])).standing,
            Standing::NotEnoughData
        );
        let few = [Share::of(1, 5), Share::of(2, 5), Share::of(1, 4)];
        assert_eq!(usual(&this, &few).standing, Standing::NotEnoughData);
        let earlier = shares(&[100, 110, 90]);
        assert_eq!(
            usual(&Share::of(5, 10), &earlier).standing,
            Standing::NotEnoughData
        );
        // Far beyond the band, but of forty readers it may be chance.
        let close = shares(&[100, 101, 99]);
        assert_eq!(usual(&Share::of(6, 40), &close).standing, Standing::AsUsual);
    }

    #[test]
    fn an_issue_that_was_not_counted_is_not_compared_and_no_later_one_with_it() {
        let mut earlier = shares(&[100, 110, 90]);
        earlier.push(Share::default());
        let none = usual(&Share::default(), &earlier);
        assert_eq!((none.standing, none.band), (Standing::NotCounted, None));
        assert_eq!(
            none.unsaid(Standing::TooEarly).standing,
            Standing::NotCounted
        );
        let found = usual(&Share::of(100, 1_000), &earlier);
        assert_eq!((found.standing, found.issues), (Standing::AsUsual, 3));
        assert!((found.band.expect("a band").mean - 0.1).abs() < 1e-9);
    }

    #[test]
    fn of_what_is_still_read_or_went_to_a_part_it_is_said_why_nothing_is_said() {
        let found = usual(&Share::of(0, 1_000), &shares(&[100, 110, 90]));
        assert_eq!(found.standing, Standing::Less);
        let early = found.unsaid(Standing::TooEarly);
        assert_eq!(
            (early.standing, early.band),
            (Standing::TooEarly, found.band)
        );
        let part = found.unsaid(Standing::OnlyPart);
        assert_eq!((part.standing, part.band), (Standing::OnlyPart, None));
    }
}
