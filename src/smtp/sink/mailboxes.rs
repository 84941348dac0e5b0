//! How whole mailbox providers answer: the sink's manners by the domain of the recipient.
//!
//! Promises: which recipients are turned away first is a function of the address, so that two rehearsals
//! meet the same ones; a cap counts messages in a second of real time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// The answers of one provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    pub name: &'static str,
    /// Its domains; none are everyone else's.
    pub domains: &'static [&'static str],
    /// A round trip to it.
    pub round_trip: Duration,
    /// What it takes to accept a message, beyond the round trip.
    pub accept: Duration,
    /// The share of recipients that it turns away at the first try.
    pub deferred: f64,
    /// Messages that it takes in a second.
    pub per_second: Option<u32>,
}

/// Several providers, and what they have seen.
#[derive(Debug)]
pub struct Mailboxes {
    all: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    provider: Provider,
    asked: AtomicU64,
    turned_away: AtomicU64,
    capped: AtomicU64,
    /// The second that is under way, and the messages in it.
    window: Mutex<(Instant, u32)>,
}

/// What becomes of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    pub round_trip: Duration,
    pub accept: Duration,
    pub verdict: Verdict,
}

/// What becomes of a message at its final dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    /// Turned away at the first try, and only then.
    Deferred,
    /// Too many in this second.
    Capped,
}

/// What one provider has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub name: &'static str,
    pub asked: u64,
    pub turned_away: u64,
    pub capped: u64,
}

impl Mailboxes {
    /// These providers; the last one takes whom no other has.
    pub fn new(providers: &[Provider]) -> Mailboxes {
        let counted = |provider: &Provider| Counted {
            provider: provider.clone(),
            asked: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            capped: AtomicU64::new(0),
            window: Mutex::new((Instant::now(), 0)),
        };
        Mailboxes {
            all: providers.iter().map(counted).collect(),
        }
    }

    /// How `recipient` is answered; none where there is no provider at all. `is_first` says of a recipient
    /// whether this is the first try.
    pub fn answer(&self, recipient: &str, is_first: impl Fn() -> bool) -> Option<Manners> {
        let domain = recipient.rsplit_once('@').map_or("", |(_, domain)| domain);
        let has = |one: &&Counted| one.provider.domains.contains(&domain);
        let one = self.all.iter().find(has).or(self.all.last())?;
        one.asked.fetch_add(1, Ordering::Relaxed);
        let mut verdict = Verdict::Taken;
        if !one.has_room() {
            one.capped.fetch_add(1, Ordering::Relaxed);
            verdict = Verdict::Capped;
        } else if share(recipient) < one.provider.deferred && is_first() {
            one.turned_away.fetch_add(1, Ordering::Relaxed);
            verdict = Verdict::Deferred;
        }
        Some(Manners {
            round_trip: one.provider.round_trip,
            accept: one.provider.accept,
            verdict,
        })
    }

    /// What each provider has seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = |one: &Counted| Seen {
            name: one.provider.name,
            asked: one.asked.load(Ordering::Relaxed),
            turned_away: one.turned_away.load(Ordering::Relaxed),
            capped: one.capped.load(Ordering::Relaxed),
        };
        self.all.iter().map(seen).collect()
    }
}

impl Counted {
    fn has_room(&self) -> bool {
        let Some(cap) = self.provider.per_second else {
            return true;
        };
        let mut window = lock(&self.window);
        if window.0.elapsed() >= Duration::from_secs(1) {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        window.1 <= cap
    }
}

/// A number from 0 to 1 that belongs to the address.
fn share(recipient: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    recipient.hash(&mut hasher);
    // 53 bits are what a float holds.
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Mailboxes, Provider, Verdict};

    fn provider(name: &'static str, domains: &'static [&'static str]) -> Provider {
        Provider {
            name,
            domains,
            round_trip: Duration::ZERO,
            accept: Duration::from_millis(7),
            deferred: 0.25,
            per_second: None,
        }
    }

    #[test]
    fn a_share_of_the_recipients_is_turned_away_once_and_always_the_same_one() {
        let mailboxes = Mailboxes::new(&[provider("one", &["one.example"]), provider("rest", &[])]);
        let away = |number: u32, first: bool| {
            let answer = mailboxes.answer(&format!("r{number}@two.example"), || first);
            answer.expect("a provider").verdict == Verdict::Deferred
        };
        let first: Vec<bool> = (0..1000).map(|number| away(number, true)).collect();
        let again: Vec<bool> = (0..1000).map(|number| away(number, true)).collect();
        assert_eq!(first, again);
        let share = first.iter().filter(|away| **away).count();
        assert!((200..300).contains(&share), "{share} of 1000");
        assert!(!(0..1000).any(|number| away(number, false)));
        let seen = mailboxes.seen();
        assert_eq!((seen[0].asked, seen[1].asked), (0, 3000));
        assert_eq!(seen[1].turned_away, 2 * share as u64);
    }

    #[test]
    fn a_cap_holds_for_a_second() {
        let mut capped = provider("rest", &[]);
        (capped.per_second, capped.deferred) = (Some(3), 0.0);
        let mailboxes = Mailboxes::new(&[capped]);
        let taken = (0..10).filter(|number| {
            let answer = mailboxes.answer(&format!("r{number}@example"), || true);
            answer.expect("a provider").verdict == Verdict::Taken
        });
        // The second may end in between.
        assert!((3..=6).contains(&taken.count()));
    }
}
