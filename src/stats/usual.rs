//! An issue against those before it: whether its share is what the list is used to.
//!
//! Promises: pure. The band is where the next share lies 19 times out of 20 if nothing has changed, from the mean and
//! the spread of the earlier ones; of fewer than three nothing is said, nor of an issue to which more will come.

use std::time::Duration;

use serde::Serialize;

use crate::stats::interval::Share;

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
        let band = self.band.filter(|_| why != Standing::OnlyPart);
        Usual {
            standing: why,
            band,
            ..self
        }
    }
}

/// Where the next share is expected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// Holds `this` against the `earlier` shares.
#[expect(clippy::cast_precision_loss, reason = "eight issues")]
pub fn usual(this: &Share, earlier: &[Share]) -> Usual {
    let known: Vec<f64> = earlier
        .iter()
        .filter_map(|share| share.interval.map(|interval| interval.share))
        .collect();
    let issues = known.len();
    if issues < FEWEST {
        return Usual {
            standing: Standing::NotEnoughData,
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
    let band = Band {
        mean,
        low: (mean - half).max(0.0),
        high: (mean + half).min(1.0),
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
        // Mean 0.1; the spread is 0.00735; times 2.365 and the root of 9/8.
        assert!((band.mean - 0.1).abs() < 1e-9);
        assert!((band.high - 0.118_43).abs() < 1e-4, "{band:?}");
        assert!((band.low - 0.081_57).abs() < 1e-4, "{band:?}");
        assert_eq!((found.standing, found.issues), (Standing::AsUsual, 8));
        let standing = |part| usual(&Share::of(part, 1_000), &earlier).standing;
        assert_eq!(standing(140), Standing::More);
        assert_eq!(standing(60), Standing::Less);
        assert_eq!(standing(117), Standing::AsUsual);
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
