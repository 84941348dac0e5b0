//! How many connections a provider gets at a time: learned from the connections themselves.
//!
//! Promises: between one and the cap, always; it starts small, grows by one for each round of connections
//! that worked, and halves once for each round that was turned away. What happens to a recipient changes
//! nothing here.

use std::time::Duration;

use crate::clock::Timestamp;

/// Connections at the beginning, where the cap allows them.
const START: f64 = 2.0;

/// One provider's connections, and what was learned from them.
#[derive(Clone, Debug)]
pub struct Pace {
    limit: f64,
    cap: usize,
    open: usize,
    /// Rises with each shrinking: connections opened before it say nothing about the new limit.
    round: u32,
    quiet: Option<Timestamp>,
}

/// The round in which a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round(u32);

impl Pace {
    /// A pace that never exceeds `cap` connections.
    pub fn new(cap: usize) -> Pace {
        let cap = cap.max(1);
        Pace {
            limit: START.min(cap as f64),
            cap,
            open: 0,
            round: 0,
            quiet: None,
        }
    }

    /// A pace that begins with one connection.
    pub fn from_one(cap: usize) -> Pace {
        Pace {
            limit: 1.0,
            ..Pace::new(cap)
        }
    }

    /// A pace as it was when another process kept it.
    pub fn resumed(cap: usize, connections: usize, quiet: Option<Timestamp>) -> Pace {
        let new = Pace::new(cap);
        Pace {
            limit: (connections as f64).clamp(1.0, new.cap as f64),
            quiet,
            ..new
        }
    }

    /// Whether nothing was learned yet.
    pub fn is_new(&self) -> bool {
        self.quiet.is_none() && self.round == 0 && self.limit == Pace::new(self.cap).limit
    }

    /// Whether it has grown to its cap.
    pub fn is_at_cap(&self) -> bool {
        self.allowed() == self.cap
    }

    /// Whether fewer are open than may be.
    pub fn has_room(&self) -> bool {
        self.open < self.allowed()
    }

    /// Connections that may be open.
    pub fn allowed(&self) -> usize {
        // Truncation is meant: the limit is at least one and the cap is a small number.
        (self.limit as usize).clamp(1, self.cap)
    }

    /// Whether one more may be opened now.
    pub fn may_open(&self, now: Timestamp) -> bool {
        self.quiet_until(now).is_none() && self.has_room()
    }

    /// Until when the provider wants to be left alone.
    pub fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.quiet.filter(|&until| until > now)
    }

    /// One more connection is opened.
    pub fn opened(&mut self) -> Round {
        self.open += 1;
        Round(self.round)
    }

    /// A connection is gone.
    pub fn closed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// A connection of `round` has proved that it works.
    pub fn worked(&mut self, round: Round) {
        if round.0 == self.round {
            self.limit = (self.limit + 1.0 / self.limit).min(self.cap as f64);
        }
    }

    /// A connection of `round` was turned away. The first of a round counts.
    pub fn turned_away(&mut self, round: Round) {
        if round.0 == self.round {
            self.limit = (self.limit / 2.0).max(1.0);
            self.round += 1;
        }
    }

    /// The provider has asked for quiet: afterwards it is tried with one connection.
    pub fn asked_for_quiet(&mut self, wait: Duration, now: Timestamp) {
        self.quiet = self.quiet.max(Some(now.after(wait)));
        self.limit = 1.0;
        self.round += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Pace, Round};
    use crate::clock::Timestamp;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn grown(pace: &mut Pace, times: usize) {
        for _ in 0..times {
            let round = pace.opened();
            pace.worked(round);
            pace.closed();
        }
    }

    fn filled(pace: &mut Pace, now: Timestamp) -> Vec<Round> {
        let mut rounds = Vec::new();
        while pace.may_open(now) {
            rounds.push(pace.opened());
        }
        rounds
    }

    #[test]
    fn it_starts_small_and_grows_to_its_cap() {
        let mut pace = Pace::new(5);
        assert_eq!(pace.allowed(), 2);
        grown(&mut pace, 3);
        assert_eq!(pace.allowed(), 3);
        grown(&mut pace, 100);
        assert_eq!(filled(&mut pace, NOW).len(), 5);
        assert_eq!(Pace::new(1).allowed(), 1);
        assert_eq!(Pace::new(0).allowed(), 1);
    }

    #[test]
    fn it_halves_once_for_all_that_were_turned_away_together() {
        let mut pace = Pace::new(8);
        grown(&mut pace, 100);
        let rounds = filled(&mut pace, NOW);
        assert_eq!(rounds.len(), 8);
        for round in &rounds {
            pace.turned_away(*round);
            pace.closed();
            assert_eq!(
                pace.allowed(),
                4,
                "the others were opened before it was halved"
            );
        }
        pace.worked(rounds[0]);
        assert_eq!(pace.allowed(), 4, "nor does an older one raise it");
        let round = filled(&mut pace, NOW)[0];
        pace.turned_away(round);
        assert_eq!(pace.allowed(), 2);
    }

    #[test]
    fn after_a_quiet_time_it_grows_from_one_connection_by_one() {
        // Gmail's 4.7.28: ten minutes at least, then one connection, and one more with each success.
        let mut pace = Pace::new(5);
        grown(&mut pace, 100);
        let minutes = |number: u64| Duration::from_secs(60 * number);
        pace.asked_for_quiet(minutes(10), NOW);
        pace.asked_for_quiet(minutes(2), NOW);
        assert!(!pace.may_open(NOW.after(minutes(9))));
        let until = NOW.after(minutes(10));
        assert_eq!(pace.quiet_until(NOW), Some(until));
        let mut seen = Vec::new();
        for _ in 0..30 {
            let rounds = filled(&mut pace, until);
            if seen.last() != Some(&rounds.len()) {
                seen.push(rounds.len());
            }
            pace.worked(rounds[0]);
            rounds.iter().for_each(|_| pace.closed());
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_was_learned_outlives_the_process() {
        let mut pace = Pace::new(5);
        assert!(pace.is_new());
        grown(&mut pace, 3);
        assert!(!pace.is_new());
        let quiet = Some(NOW.after(Duration::from_secs(60)));
        let again = Pace::resumed(5, pace.allowed(), quiet);
        assert_eq!(again.allowed(), 3);
        assert!(!again.may_open(NOW) && again.may_open(NOW.after(Duration::from_secs(60))));
        assert_eq!(
            Pace::resumed(2, 9, None).allowed(),
            2,
            "the table says less now"
        );
        assert_eq!(Pace::resumed(2, 0, None).allowed(), 1);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_cap(cap in 1usize..50, events in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut pace = Pace::new(cap);
            let mut rounds = Vec::new();
            for event in events {
                let before = pace.allowed();
                match event % 8 {
                    0 => {
                        if let Some(round) = rounds.pop() {
                            pace.turned_away(round);
                            pace.closed();
                        }
                        prop_assert!(pace.allowed() <= before);
                    }
                    1 => pace.asked_for_quiet(Duration::from_secs(1), NOW),
                    2 | 3 => rounds.extend(pace.may_open(NOW).then(|| pace.opened())),
                    _ => {
                        if let Some(round) = rounds.last() {
                            pace.worked(*round);
                        }
                        prop_assert!(pace.allowed() >= before && pace.allowed() <= before + 1);
                    }
                }
                prop_assert!((1..=cap).contains(&pace.allowed()));
                prop_assert!(rounds.len() <= cap);
            }
        }
    }
}
