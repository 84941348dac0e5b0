//! The numbers of a run, as a person and a script read them.
//!
//! Promises: plain data read from counters; a rate is a share of what the relay took (`sent`), and is
//! missing when nothing was. What stands here counts machines too; `judged` leaves them out.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::delivery::Counts;
use crate::id::RunId;
use crate::stats::interval::ratio;
use crate::stats::judged::LinkJudged;
use crate::stats::uncounted::Uncounted;
use crate::status::RunStatus;
use crate::trial::{Decision, Variant};

pub mod classes;
pub mod growth;
pub mod interval;
pub mod judged;
pub mod spark;
pub mod tally;
pub mod uncounted;
pub mod usual;

/// One run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunNumbers {
    pub run: RunId,
    pub slug: String,
    pub title: String,
    /// Title of the list it went to.
    pub list: Option<String>,
    pub status: RunStatus,
    /// Why it is held, in the relay's own words or ours; hostile until escaped.
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub recipients: i64,
    #[serde(flatten)]
    pub counts: Counts,
    /// Readers who opened it or looked at its page at least once, machines among them. In JSON what counts machines says so by its name: without
    /// `raw_`, these words are readers everywhere.
    #[serde(rename = "raw_opened")]
    pub opened: i64,
    /// Readers who clicked at least once, machines among them.
    #[serde(rename = "raw_clicked")]
    pub clicked: i64,
    /// Readers who left by this run's mail.
    pub departed: i64,
    /// Readers who complained about it.
    pub complained: i64,
    /// Every load of the pixel, machines' among them.
    #[serde(rename = "raw_opens")]
    pub opens: i64,
    /// Every click, machines' among them.
    #[serde(rename = "raw_clicks")]
    pub clicks: i64,
    pub rates: Rates,
    /// Its subject test, decided or so far; none in a list of runs.
    pub test: Option<TestNumbers>,
    /// In the order of the issue; empty in a list of runs.
    pub links: Vec<LinkNumbers>,
}

/// Shares of `sent`, opens and clicks of those of these copies that count them, and `bounced` of the recipients: a bounced
/// delivery was not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    #[serde(rename = "raw_opened")]
    pub opened: Option<f64>,
    #[serde(rename = "raw_clicked")]
    pub clicked: Option<f64>,
    pub departed: Option<f64>,
    pub complained: Option<f64>,
    pub bounced: Option<f64>,
}

/// A subject test in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestNumbers {
    /// The subjects A and B.
    pub a: String,
    pub b: String,
    /// Decided, or as it would be decided now.
    pub decided: bool,
    pub decision: Decision,
    /// What the rest does with the subject that won: `got` it, `gets` it, `was to get` it.
    #[serde(skip)]
    pub rest: &'static str,
}

impl TestNumbers {
    /// The whole in one sentence.
    pub fn sentence(&self) -> String {
        let said = &self.decision.sentence;
        match (self.decided, self.decision.winner) {
            (false, _) => format!("subject test so far: {said}"),
            (true, winner) => {
                let subject = if winner == Variant::A {
                    &self.a
                } else {
                    &self.b
                };
                format!("subject test: {said}; the rest {} \"{subject}\"", self.rest)
            }
        }
    }
}

/// A link that leads elsewhere than it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Corrected {
    pub at: Timestamp,
    pub sent: String,
}

/// One link of a run's issue in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkNumbers {
    /// Index into the frozen link table.
    pub link: i64,
    pub name: String,
    /// Where it leads today.
    pub url: String,
    /// Since when, and where it led before it was first corrected; none where it leads as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
    /// Readers who clicked it at least once, machines among them.
    #[serde(rename = "raw_readers")]
    pub readers: i64,
    #[serde(rename = "raw_clicks")]
    pub clicks: i64,
    /// The same, judged.
    pub judged: LinkJudged,
}

impl RunNumbers {
    /// Whether every recipient stands in exactly one state.
    pub fn balanced(&self) -> bool {
        self.counts.total() == self.recipients
    }

    /// Works the rates out from the counters.
    pub fn with_rates(mut self) -> RunNumbers {
        let share = |part: i64| (self.counts.sent > 0).then(|| ratio(part, self.counts.sent));
        self.rates = Rates {
            opened: share(self.opened),
            clicked: share(self.clicked),
            departed: share(self.departed),
            complained: share(self.complained),
            bounced: (self.recipients > 0).then(|| ratio(self.counts.bounced, self.recipients)),
        };
        self
    }

    /// Takes the copies that count nothing out of the rates of opens and clicks. What readers did who withdrew since is
    /// in what counts machines, and so are their copies.
    pub fn leave_out(&mut self, uncounted: &Uncounted, nameless: bool) {
        let sent = self.counts.sent;
        let rate = |part: i64, not: i64| {
            // Where nothing is counted of any copy, nothing was of hers.
            let kept = match nameless || not >= sent {
                true => 0,
                false => uncounted.withdrawn,
            };
            let of = sent - (not - kept).max(0);
            (of > 0).then(|| ratio(part, of))
        };
        self.rates.opened = rate(self.opened, uncounted.opens);
        self.rates.clicked = rate(self.clicked, uncounted.clicks);
    }
}

/// `1,234,567`, with `mark` between the thousands.
pub fn grouped(number: i64, mark: char) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(mark);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Rates, RunNumbers, grouped};
    use crate::clock::Timestamp;
    use crate::delivery::Counts;
    use crate::id::RunId;
    use crate::stats::uncounted::Uncounted;
    use crate::status::RunStatus;

    fn numbers(sent: i64) -> RunNumbers {
        RunNumbers {
            run: RunId(2),
            slug: "week-1".into(),
            title: "Week 1".into(),
            list: None,
            status: RunStatus::Finished,
            reason: None,
            created_at: Timestamp(0),
            started_at: None,
            finished_at: None,
            recipients: 10,
            counts: Counts {
                sent,
                bounced: 2,
                ..Counts::default()
            },
            opened: 4,
            clicked: 1,
            departed: 0,
            complained: 0,
            opens: 9,
            clicks: 1,
            rates: Rates::default(),
            test: None,
            links: Vec::new(),
        }
        .with_rates()
    }

    #[test]
    fn rates_are_shares_of_sent_and_missing_without_any_and_bounces_are_of_the_recipients() {
        let some = numbers(8);
        assert_eq!(some.rates.opened, Some(0.5));
        assert_eq!(some.rates.clicked, Some(0.125));
        assert_eq!(some.rates.bounced, Some(0.2));
        assert!(some.balanced());
        let none = numbers(0);
        let bounced = Rates {
            bounced: Some(0.2),
            ..Rates::default()
        };
        assert_eq!(none.rates, bounced);
        assert!(!none.balanced());
        let mut some = some;
        let uncounted = Uncounted {
            clicks: 8,
            opens: 3,
            withdrawn: 0,
        };
        some.leave_out(&uncounted, false);
        assert_eq!((some.rates.opened, some.rates.clicked), (Some(0.8), None));
        // Who withdraws from an issue without links of hers makes no share of clicks.
        let withdrawn = Uncounted {
            withdrawn: 1,
            ..uncounted
        };
        some.leave_out(&withdrawn, false);
        let rates = (some.rates.opened, some.rates.clicked);
        assert_eq!(rates, (Some(4.0 / 6.0), None));
    }

    #[test]
    fn thousands_stand_apart() {
        let shown = [0, 999, 1_000, -1_234_567].map(|number| grouped(number, ','));
        assert_eq!(shown, ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!(grouped(12_345, '\u{202f}'), "12\u{202f}345");
    }

    #[test]
    fn json_has_every_state_beside_the_numbers() {
        let json = serde_json::to_value(numbers(8)).expect("plain data");
        for key in [
            "queued",
            "at_dot",
            "uncertain",
            "sent",
            "raw_opened",
            "departed",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
    }
}
