//! Deliveries at whose own commands connections end, one after the other.
//!
//! Promises: pure. One is to blame once it has ended two connections and the relay took other mail in between; or,
//! where there was no other mail to take, once it has ended eight. Before that it may have been chance, or the relay.

use std::collections::HashMap;

use crate::id::DeliveryKey;

const BETWEEN_OTHERS: u32 = 2;
const ALONE: u32 = 8;
/// Deliveries remembered: more than that are no single ones, but the relay's own trouble.
const MOST: usize = 1024;

/// The memory of one relay, or of one site of a direct one.
#[derive(Debug, Default)]
pub(crate) struct Culprits {
    /// Messages taken so far.
    served: u64,
    seen: HashMap<DeliveryKey, Seen>,
    /// Who ended connections since then.
    lately: Lately,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lately {
    #[default]
    Nobody,
    One(DeliveryKey),
    Several,
}

#[derive(Debug)]
struct Seen {
    /// Connections that it ended.
    times: u32,
    /// Those of them before which other mail was taken.
    between: u32,
    /// What was taken when it ended the last one.
    served: u64,
}

impl Culprits {
    /// The relay took a message.
    pub(crate) fn served(&mut self) {
        self.served += 1;
        self.lately = Lately::Nobody;
    }

    /// Whether `key` has ended connections, and is not found guilty yet.
    pub(crate) fn suspects(&self, key: DeliveryKey) -> bool {
        self.seen.contains_key(&key)
    }

    /// Whether connections ended at more than one delivery since a message was taken: it is not about them.
    pub(crate) fn several(&self) -> bool {
        self.lately == Lately::Several
    }

    /// A connection ended at the commands of `key`. True if that is its own fault; then its count begins anew.
    pub(crate) fn ended(&mut self, key: DeliveryKey) -> bool {
        self.note(key, ALONE)
    }

    /// The same at a site, which has waits of its own: one that is alone there is never to blame.
    pub(crate) fn ended_beside_others(&mut self, key: DeliveryKey) -> bool {
        self.note(key, u32::MAX)
    }

    fn note(&mut self, key: DeliveryKey, alone: u32) -> bool {
        if self.seen.len() >= MOST && !self.seen.contains_key(&key) {
            self.seen.clear();
        }
        self.lately = match self.lately {
            Lately::Nobody => Lately::One(key),
            Lately::One(other) if other == key => Lately::One(key),
            _ => Lately::Several,
        };
        let served = self.served;
        let seen = self.seen.entry(key).or_insert(Seen {
            times: 0,
            between: 0,
            served,
        });
        seen.times += 1;
        if seen.times == 1 || seen.served != served {
            seen.between += 1;
            seen.served = served;
        }
        let guilty = seen.between >= BETWEEN_OTHERS || seen.times >= alone;
        if guilty {
            self.seen.remove(&key);
        }
        guilty
    }
}

#[cfg(test)]
mod tests {
    use super::{ALONE, Culprits, MOST};
    use crate::id::{DeliveryKey, RunId};

    fn key(seq: u32) -> DeliveryKey {
        DeliveryKey { run: RunId(2), seq }
    }

    #[test]
    fn who_ends_two_connections_between_which_others_were_served_is_to_blame() {
        let mut culprits = Culprits::default();
        culprits.served();
        assert!(!culprits.ended(key(1)), "it may have been chance");
        assert!(!culprits.ended(key(1)), "nobody was served since");
        culprits.served();
        assert!(!culprits.ended(key(2)));
        assert!(culprits.ended(key(1)));
        assert!(
            !culprits.ended(key(1)),
            "after its next wait it is tried anew"
        );
    }

    #[test]
    fn a_relay_that_serves_nobody_blames_only_one_that_it_meets_again_and_again() {
        let mut culprits = Culprits::default();
        for round in 1..=ALONE {
            for seq in 0..40 {
                assert_eq!(culprits.ended(key(seq)), round == ALONE, "{round}");
            }
        }
    }

    #[test]
    fn who_ends_connections_alone_is_told_from_a_relay_that_ends_all() {
        let mut culprits = Culprits::default();
        for _ in 0..2 * ALONE {
            assert!(!culprits.ended_beside_others(key(1)), "alone at a site");
        }
        assert!(culprits.suspects(key(1)) && !culprits.several());
        culprits.ended(key(2));
        assert!(culprits.several());
        culprits.served();
        assert!(!culprits.several() && culprits.suspects(key(2)));
        culprits.ended(key(2));
        assert!(!culprits.several() && !culprits.suspects(key(2)));
    }

    #[test]
    fn the_memory_has_a_bound() {
        let mut culprits = Culprits::default();
        for seq in 0..10 * u32::try_from(MOST).expect("a number") {
            culprits.ended(key(seq));
        }
        assert!(culprits.seen.len() <= MOST);
    }
}
