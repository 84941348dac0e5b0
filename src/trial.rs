//! A subject test: two subjects to a part of the readers, the better one to the rest.
//!
//! Promises: pure. Who gets which is fixed by the delivery's number; the decision names its numbers, the
//! interval and whether it could be chance; where there is too little to judge by, A is taken and it is said.
//! Leaves the counting to `store` and judging man or machine to `event`.

use serde::{Deserialize, Serialize};

use crate::rollout::part_of;
use crate::stats::interval::ratio;

/// Readers of a variant, and readers who did something, below which nothing is decided.
pub const READERS: i64 = 30;
const ACTED: i64 = 10;
/// Standard deviations on either side within which the truth lies 19 times out of 20.
const WIDTH: f64 = 1.96;

/// One of the two subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// The issue's own subject.
    A,
    B,
}

impl Variant {
    /// The subject of the delivery `seq` of a test: every other one.
    pub fn of(seq: i64) -> Variant {
        if seq % 2 == 0 { Variant::A } else { Variant::B }
    }

    /// `A` or `B`.
    pub fn name(self) -> &'static str {
        match self {
            Variant::A => "A",
            Variant::B => "B",
        }
    }
}

/// What decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    #[default]
    Clicks,
    Opens,
}

impl By {
    /// Reads `clicks` or `opens`.
    pub fn parse(text: &str) -> Result<By, String> {
        match text {
            "clicks" => Ok(By::Clicks),
            "opens" => Ok(By::Opens),
            _ => Err(format!(
                "`{text}` decides nothing; expected `clicks` or `opens`"
            )),
        }
    }

    fn verb(self) -> &'static str {
        match self {
            By::Clicks => "clicked",
            By::Opens => "opened it",
        }
    }
}

/// A run's subject test, fixed when the run is made; the decision comes later, and once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The subjects as the author wrote them.
    pub a: String,
    pub b: String,
    /// The same issue under the subject B.
    pub revision_b: String,
    /// How much of the run the test takes, in millionths.
    pub share: u32,
    /// Milliseconds from when all of that was tried to the decision.
    pub after: i64,
    pub by: By,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// What one subject came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub sent: i64,
    /// Readers who clicked or opened, machines left out.
    pub readers: i64,
}

/// Which subject the rest gets, and by which numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub winner: Variant,
    /// Unix milliseconds.
    pub at: i64,
    pub a: Score,
    pub b: Score,
    /// By how many points B is ahead of A, and between which the truth lies 19 times out of 20.
    pub ahead: f64,
    pub low: f64,
    pub high: f64,
    /// Whether the interval leaves out that both are alike.
    pub certain: bool,
    pub sentence: String,
}

impl Trial {
    /// As it stands with the run; none where it was edited by hand.
    pub fn from_json(text: &str) -> Option<Trial> {
        serde_json::from_str(text).ok()
    }

    /// As it goes into the database.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers have a JSON form")
    }

    /// Deliveries below this number of a run of so many take part.
    pub fn test_to(&self, recipients: i64) -> i64 {
        part_of(recipients, self.share)
    }

    /// The subject of the delivery `seq`; none where that is not decided yet. Numbers are ranks of random
    /// keys counted from a random one, so that neighbours have nothing in common and each run draws anew.
    pub fn variant(&self, seq: i64, recipients: i64) -> Option<Variant> {
        if seq < self.test_to(recipients) {
            return Some(Variant::of(seq));
        }
        self.decision.as_ref().map(|decision| decision.winner)
    }

    /// Decides by these scores.
    pub fn decide(&self, a: Score, b: Score, at: i64) -> Decision {
        let (ahead, low, high) = difference(a, b);
        let verb = self.by.verb();
        let numbers = format!(
            "{} of {} readers {verb} under A, {} of {} under B",
            a.readers, a.sent, b.readers, b.sent
        );
        let little = a.sent.min(b.sent) < READERS || a.readers + b.readers < ACTED;
        let certain = !little && (low > 0.0 || high < 0.0);
        let even = i128::from(a.readers) * i128::from(b.sent)
            == i128::from(b.readers) * i128::from(a.sent);
        let (winner, said) = if little {
            (
                Variant::A,
                "too little to judge by, so A is taken".to_owned(),
            )
        } else if even {
            (Variant::A, "a tie, so A is taken".to_owned())
        } else {
            let winner = if ahead > 0.0 { Variant::B } else { Variant::A };
            let chance = match certain {
                true => "more than chance",
                false => "could be chance",
            };
            let said = format!(
                "{} ahead by {:.1} points, {chance} (B less A lies between {low:+.1} and {high:+.1} points, 19 \
                 times out of 20)",
                winner.name(),
                ahead.abs()
            );
            (winner, said)
        };
        Decision {
            winner,
            at,
            a,
            b,
            ahead,
            low,
            high,
            certain,
            sentence: format!("{said}: {numbers}"),
        }
    }
}

/// By how many points B is ahead, and the interval of that: Wald's with one more reader of each kind in each
/// group (Agresti and Caffo, 2000), which holds what it says for small groups too.
fn difference(a: Score, b: Score) -> (f64, f64, f64) {
    let share = |score: Score| ratio(score.readers, score.sent.max(1));
    let ahead = share(b) - share(a);
    let padded = |score: Score| {
        let of = score.sent + 2;
        let share = ratio(score.readers + 1, of);
        (share, share * (1.0 - share) / ratio(of, 1))
    };
    let ((share_a, spread_a), (share_b, spread_b)) = (padded(a), padded(b));
    let half = WIDTH * (spread_a + spread_b).max(0.0).sqrt();
    let middle = share_b - share_a;
    (
        ahead * 100.0,
        (middle - half) * 100.0,
        (middle + half) * 100.0,
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{By, Score, Trial, Variant};

    fn trial() -> Trial {
        Trial {
            a: "Bees".into(),
            b: "Six hives on six roofs".into(),
            revision_b: "r".into(),
            share: 200_000,
            after: 14_400_000,
            by: By::Clicks,
            decision: None,
        }
    }

    fn score(readers: i64, sent: i64) -> Score {
        Score { sent, readers }
    }

    #[test]
    fn every_outcome_is_said_in_plain_words() {
        let mut told = String::new();
        for (a, b) in [
            (score(42, 1_000), score(54, 1_000)),
            (score(42, 1_000), score(84, 1_000)),
            (score(84, 1_000), score(42, 1_000)),
            (score(42, 1_000), score(42, 1_000)),
            (score(3, 1_000), score(4, 1_000)),
            (score(20, 29), score(1, 29)),
            (score(0, 0), score(0, 0)),
        ] {
            let decision = trial().decide(a, b, 7);
            told += &format!("{}: {}\n", decision.winner.name(), decision.sentence);
            assert!(decision.low <= decision.high);
            assert!(
                !decision.certain
                    || decision.winner.name() == if b.readers > a.readers { "B" } else { "A" }
            );
        }
        assert_snapshot!(told);
    }

    #[test]
    fn halves_are_equal_and_the_rest_waits_for_the_decision() {
        let mut trial = trial();
        let of = |trial: &Trial, seq| trial.variant(seq, 1_000);
        let test: Vec<_> = (0..200).map(|seq| of(&trial, seq)).collect();
        let b = test
            .iter()
            .filter(|variant| **variant == Some(Variant::B))
            .count();
        assert_eq!((test.len(), b), (200, 100));
        assert_eq!(of(&trial, 200), None);
        let decision = trial.decide(score(10, 100), score(30, 100), 7);
        trial.decision = Some(decision);
        assert_eq!(of(&trial, 999), Some(Variant::B));
        assert_eq!(of(&trial, 0), Some(Variant::A), "a retry keeps its subject");
        assert_eq!(Trial::from_json(&trial.to_json()), Some(trial));
    }
}
