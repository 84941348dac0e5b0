//! A run that opens in stages: `seed,1%,10m,10%,20m,rest`, and the band that its numbers must keep.
//!
//! Promises: pure. What leaves the band is told with the number, the band and where the band comes from.
//! Leaves the opening to `deliver` and the numbers to `store`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::parse_duration;
use crate::stats::interval::{percent, ratio};

pub mod provider;

/// Fewer of a kind say nothing, however few messages they are of.
const FEW: i64 = 3;
/// A list has a band of its own once so many runs to it have ended.
const HABIT: usize = 3;
/// Runs that make up the band.
pub const BAND: u32 = 8;
/// Below these shares nothing is unusual, however quiet a list was before.
const BOUNCES: f64 = 0.01;
const DEFERRALS: f64 = 0.10;
const UNSUBSCRIBES: f64 = 0.003;
const COMPLAINTS: f64 = 0.001;

/// How much of a run a stage opens, counted from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// The author's own readers (`send.seed`).
    Seed,
    /// So many millionths of all recipients.
    Part(u32),
    Rest,
}

/// One stage: what it opens, and how long it is looked at before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub share: Share,
    /// Milliseconds from when all of it was tried.
    pub wait: i64,
}

/// The stages of a run, fixed when it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    pub steps: Vec<Step>,
    /// The seeds by their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<i64>,
}

impl Stages {
    /// Reads `seed,1%,10m,10%,20m,rest`, without the seeds' keys.
    pub fn parse(text: &str) -> Result<Stages, String> {
        let mut steps: Vec<Step> = Vec::new();
        let mut waits = true;
        for word in text.split(',').map(str::trim) {
            let share = match word {
                "seed" if steps.is_empty() => Share::Seed,
                "seed" => return Err("`seed` can only be the first stage".into()),
                "rest" => Share::Rest,
                _ if word.ends_with('%') => part(word)?,
                _ => {
                    let wait = parse_duration(word).map_err(|_| {
                        format!("`{word}` is no stage; expected `seed`, `10%`, `rest`, or a wait such as `20m`")
                    })?;
                    let last = steps.last_mut().filter(|_| !waits);
                    let last = last.ok_or_else(|| format!("the wait `{word}` follows no stage"))?;
                    last.wait = millis(wait);
                    waits = true;
                    continue;
                }
            };
            let before = steps.last().map(|step| step.share);
            let rises = match (before, share) {
                (Some(Share::Rest), _) => return Err("nothing can follow `rest`".into()),
                (Some(Share::Part(before)), Share::Part(now)) => now > before,
                _ => true,
            };
            if !rises {
                return Err(format!(
                    "`{word}` opens nothing new: shares count from the beginning, so each is larger than the \
                     one before"
                ));
            }
            steps.push(Step { share, wait: 0 });
            waits = false;
        }
        match steps.as_slice() {
            [
                ..,
                Step {
                    share: Share::Rest,
                    wait: 0,
                },
            ] if steps.len() > 1 => {}
            [
                Step {
                    share: Share::Rest, ..
                },
            ] => {
                return Err(
                    "`rest` alone is no stage: leave `--stages` out to send to all at once".into(),
                );
            }
            _ => return Err("the last stage is `rest`, without a wait behind it".into()),
        }
        let seeds = Vec::new();
        Ok(Stages { steps, seeds })
    }

    /// The stages of a test: a part, a wait, and the rest.
    pub fn of_test(millionths: u32, wait: Duration) -> Stages {
        let first = Step {
            share: Share::Part(millionths),
            wait: millis(wait),
        };
        let rest = Step {
            share: Share::Rest,
            wait: 0,
        };
        Stages {
            steps: vec![first, rest],
            seeds: Vec::new(),
        }
    }

    /// As it stands with the run; none where it was edited by hand.
    pub fn from_json(text: &str) -> Option<Stages> {
        serde_json::from_str(text).ok()
    }

    /// As it goes into the database.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers have a JSON form")
    }

    /// Whether it begins with the seeds.
    pub fn has_seed(&self) -> bool {
        self.steps
            .first()
            .is_some_and(|step| step.share == Share::Seed)
    }

    /// Up to which number stage `step` opens a run of so many recipients of which `open` are open already;
    /// none is all of it.
    pub fn open_to(&self, step: usize, recipients: i64, open: i64) -> Option<i64> {
        match self.steps.get(step)?.share {
            Share::Seed => Some(open),
            Share::Part(millionths) => Some(part_of(recipients, millionths).max(open)),
            Share::Rest => None,
        }
    }

    /// The name of stage `step`: `seed`, `10 %`, `rest`.
    pub fn name(&self, step: usize) -> String {
        match self.steps.get(step).map(|step| step.share) {
            Some(Share::Seed) => "seed".into(),
            Some(Share::Part(millionths)) => format!("{} %", f64::from(millionths) / 10_000.0),
            Some(Share::Rest) | None => "rest".into(),
        }
    }
}

/// `12.5%` in millionths.
pub fn part(word: &str) -> Result<Share, String> {
    let wrong = || format!("`{word}` is no share; expected one between `0.0001%` and `100%`");
    let number = word.strip_suffix('%').ok_or_else(wrong)?.trim();
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || rest.len() > 4 || !digits(whole) || !digits(rest) {
        return Err(wrong());
    }
    let text = format!("{whole}{rest:0<4}");
    match text.parse() {
        Ok(millionths @ 1..=1_000_000) => Ok(Share::Part(millionths)),
        _ => Err(wrong()),
    }
}

/// So many of `recipients`, rounded up.
pub fn part_of(recipients: i64, millionths: u32) -> i64 {
    let part = i128::from(recipients) * i128::from(millionths);
    i64::try_from((part + 999_999) / 1_000_000).unwrap_or(recipients)
}

/// First answers of one group of domains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    pub answered: i64,
    pub deferred: i64,
}

/// What has come of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    pub sent: i64,
    pub bounced: i64,
    /// Readers who left by its mail.
    pub departed: i64,
    /// Readers whose providers told of their complaints.
    #[serde(default)]
    pub complained: i64,
    pub providers: BTreeMap<String, Answers>,
}

impl Numbers {
    /// The same with no more bounces, leavings and complaints than those of `later`.
    #[must_use]
    pub fn at_most(mut self, later: &Numbers) -> Numbers {
        self.bounced = self.bounced.min(later.bounced);
        self.departed = self.departed.min(later.departed);
        self.complained = self.complained.min(later.complained);
        self
    }

    /// What has come since it stood at `base`.
    pub fn since(&self, base: &Numbers) -> Numbers {
        let each = self.providers.iter().map(|(name, now)| {
            let before = base.providers.get(name).copied().unwrap_or_default();
            let answers = Answers {
                answered: now.answered - before.answered,
                deferred: now.deferred - before.deferred,
            };
            (name.clone(), answers)
        });
        Numbers {
            sent: self.sent - base.sent,
            bounced: self.bounced - base.bounced,
            departed: self.departed - base.departed,
            complained: self.complained - base.complained,
            providers: each.collect(),
        }
    }
}

/// What had come of a run when it was held: a person who lets it go on has seen that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// When that was, in Unix milliseconds; 0 where it was not kept.
    #[serde(default)]
    pub at: i64,
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// Shares that hold a run whatever the list was like before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub bounces: f64,
    pub deferrals: f64,
    pub unsubscribes: f64,
    pub complaints: f64,
}

/// One number with what it is held against.
struct Measure<'a> {
    /// What happened, as a verb: `bounced`.
    what: &'a str,
    /// To what: `messages`.
    of_what: String,
    hits: i64,
    of: i64,
    floor: f64,
    limit: f64,
    key: &'a str,
}

/// Which number of `now` lies outside of the band, in words; `before` are the list's runs so far.
pub fn outside(now: &Numbers, before: &[Numbers], limits: &Limits) -> Option<String> {
    let bounces = Measure {
        what: "bounced",
        of_what: "messages".into(),
        hits: now.bounced,
        of: now.sent + now.bounced,
        floor: BOUNCES,
        limit: limits.bounces,
        key: "bounces",
    };
    let unsubscribes = Measure {
        what: "left by it",
        of_what: "readers".into(),
        hits: now.departed,
        of: now.sent,
        floor: UNSUBSCRIBES,
        limit: limits.unsubscribes,
        key: "unsubscribes",
    };
    let found = complaints(now, limits)
        .judge(before.iter().map(|run| (run.complained, run.sent)))
        .or_else(|| {
            let runs = before.iter();
            bounces.judge(runs.map(|run| (run.bounced, run.sent + run.bounced)))
        })
        .or_else(|| unsubscribes.judge(before.iter().map(|run| (run.departed, run.sent))));
    let mut providers = now.providers.iter();
    found.or_else(|| {
        providers.find_map(|(name, answers)| {
            let deferrals = Measure {
                what: "were put off (4xx)",
                of_what: format!("messages to {name}"),
                hits: answers.deferred,
                of: answers.answered,
                floor: DEFERRALS,
                limit: limits.deferrals,
                key: "deferrals",
            };
            let runs = before.iter().filter_map(|run| run.providers.get(name));
            deferrals.judge(runs.map(|run| (run.deferred, run.answered)))
        })
    })
}

/// Whether so many complain that no run may go on, in words.
pub fn complained(now: &Numbers, limits: &Limits) -> Option<String> {
    complaints(now, limits).judge(std::iter::empty())
}

fn complaints(now: &Numbers, limits: &Limits) -> Measure<'static> {
    Measure {
        what: "complained",
        of_what: "readers".into(),
        hits: now.complained,
        of: now.sent,
        floor: COMPLAINTS,
        limit: limits.complaints,
        key: "complaints",
    }
}

impl Measure<'_> {
    fn judge(&self, before: impl Iterator<Item = (i64, i64)>) -> Option<String> {
        if self.hits < FEW || self.of <= 0 {
            return None;
        }
        let share = ratio(self.hits, self.of);
        let rates = before.filter(|&(_, of)| of > 0);
        let rates: Vec<f64> = rates.map(|(hits, of)| ratio(hits, of)).collect();
        let said = format!(
            "{} of {} {} {} ({})",
            self.hits,
            self.of,
            self.of_what,
            self.what,
            percent(share)
        );
        if rates.len() >= HABIT {
            let mean = rates.iter().sum::<f64>() / ratio(i64::try_from(rates.len()).ok()?, 1);
            // Three standard deviations of a binomial: one run in a thousand is farther off by chance.
            let chance = 3.0 * (mean * (1.0 - mean) / ratio(self.of, 1)).sqrt();
            let band = (mean + chance).max(self.floor);
            if share > band && band < self.limit {
                return Some(format!(
                    "{said}; the last {} runs to this list had {}, and up to {} would be nothing unusual",
                    rates.len(),
                    percent(mean),
                    percent(band)
                ));
            }
        }
        (share > self.limit).then(|| {
            format!(
                "{said}; the limit is {} (`stages.{}`)",
                percent(self.limit),
                self.key
            )
        })
    }
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
