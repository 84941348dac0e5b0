//! Deliveries at whose own commands connections end, one after the other.
//!
//! Promises: pure. One is to blame once it has ended two connections and the relay took other mail in between; or,
//! where there was no other mail to take, once it has ended eight. Before that it may have been chance, or the relay.
//! One that was to blame is so again at the next it ends, if other mail was taken since; and one that was so beside others
//! at each, also where it is alone later: nothing else waits for it. Where connections end at one
//! after the other after the same number of messages, it is that number.

use std::collections::HashMap;

use crate::id::DeliveryKey;

const BETWEEN_OTHERS: u32 = 2;
const ALONE: u32 = 8;
/// Connections running that ended at different deliveries after the same number of messages: more than chance.
const ALIKE: u32 = 3;
/// Deliveries remembered: more than that are no single ones, but the relay's own trouble.
const MOST: usize = 1024;

/// The memory of one relay, or of one site of a direct one.
#[derive(Debug, Default)]
pub(crate) struct Culprits {
    /// Messages taken so far.
    served: u64,
    seen: HashMap<DeliveryKey, Seen>,
    /// Who ended connections since then, and how many.
    lately: Lately,
    ends: u32,
    /// Who ended the last one, after how many messages, and how many running ended after so many.
    last: Option<(DeliveryKey, u32)>,
    alike: u32,
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
    /// Connections that it ended since it was found guilty last.
    times: u32,
    /// Those of them before which other mail was taken.
    between: u32,
    /// What was taken when it ended the last one.
    served: u64,
    /// It was found guilty, and beside others who were served.
    guilty: bool,
    beside: bool,
}

impl Culprits {
    /// The relay took a message.
    pub(crate) fn served(&mut self) {
        self.served += 1;
        self.lately = Lately::Nobody;
        self.ends = 0;
    }

    /// Whether `key` has ended connections, and was not found guilty of it.
    pub(crate) fn suspects(&self, key: DeliveryKey) -> bool {
        self.seen.get(&key).is_some_and(|seen| seen.times > 0)
    }

    /// Whether one connection has ended so since a message was taken, and some were taken before: it may be about
    /// that delivery alone.
    pub(crate) fn is_first(&self) -> bool {
        self.served > 0 && self.ends == 1
    }

    /// Whether connections ended at more than one delivery since a message was taken: it is not about them.
    pub(crate) fn several(&self) -> bool {
        self.lately == Lately::Several
    }

    /// A connection ended at the commands of `key`, after it had carried so many messages. True if that is its own
    /// fault; then its count begins anew.
    pub(crate) fn ended(&mut self, key: DeliveryKey, after: u32) -> bool {
        self.note(key, after, ALONE)
    }

    /// The same at a site, which has waits of its own: one that is alone there is never to blame.
    pub(crate) fn ended_beside_others(&mut self, key: DeliveryKey, after: u32) -> bool {
        self.note(key, after, u32::MAX)
    }

    fn note(&mut self, key: DeliveryKey, after: u32, alone: u32) -> bool {
        if self.seen.len() >= MOST && !self.seen.contains_key(&key) {
            self.seen.clear();
        }
        self.lately = match self.lately {
            Lately::Nobody => Lately::One(key),
            Lately::One(other) if other == key => Lately::One(key),
            _ => Lately::Several,
        };
        self.ends = self.ends.saturating_add(1);
        if self.is_limit(key, after) {
            return false;
        }
        let served = self.served;
        let seen = self.seen.entry(key).or_insert(Seen {
            times: 0,
            between: 0,
            served,
            guilty: false,
            beside: false,
        });
        let others = seen.served != served;
        seen.times += 1;
        if seen.times == 1 || others {
            seen.between += 1;
            seen.served = served;
        }
        seen.beside |= seen.between >= BETWEEN_OTHERS;
        let again = seen.guilty && others;
        let guilty = again || seen.beside || seen.times >= alone;
        if guilty {
            (seen.times, seen.between, seen.guilty) = (0, 0, true);
        }
        guilty
    }

    /// Whether the relay takes so many messages of a connection and no more, whose turn it ever is.
    fn is_limit(&mut self, key: DeliveryKey, after: u32) -> bool {
        let same = self
            .last
            .is_some_and(|(other, number)| other != key && number == after);
        self.alike = if same {
            self.alike.saturating_add(1)
        } else {
            1
        };
        self.last = Some((key, after));
        after > 0 && self.alike >= ALIKE
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
        assert!(!culprits.ended(key(1), 0), "it may have been chance");
        assert!(!culprits.ended(key(1), 0), "nobody was served since");
        culprits.served();
        assert!(!culprits.ended(key(2), 0));
        assert!(culprits.ended(key(1), 0));
        for _ in 0..3 {
            assert!(culprits.ended(key(1), 0), "alone or not");
        }
        assert!(!culprits.ended(key(2), 0), "the other is none");
    }

    #[test]
    fn the_first_that_ends_a_connection_behind_others_may_be_alone_with_it() {
        let mut culprits = Culprits::default();
        culprits.ended(key(1), 0);
        assert!(!culprits.is_first(), "the relay has taken nothing yet");
        culprits.served();
        culprits.ended(key(1), 0);
        assert!(culprits.is_first());
        culprits.ended(key(2), 0);
        assert!(!culprits.is_first());
    }

    #[test]
    fn a_relay_that_serves_nobody_blames_only_one_that_it_meets_again_and_again() {
        let mut culprits = Culprits::default();
        for round in 1..=ALONE {
            for seq in 0..40 {
                assert_eq!(culprits.ended(key(seq), 0), round == ALONE, "{round}");
            }
        }
    }

    #[test]
    fn who_ends_connections_alone_is_told_from_a_relay_that_ends_all() {
        let mut culprits = Culprits::default();
        for _ in 0..2 * ALONE {
            assert!(!culprits.ended_beside_others(key(1), 0), "alone at a site");
        }
        assert!(culprits.suspects(key(1)) && !culprits.several());
        culprits.ended(key(2), 0);
        assert!(culprits.several());
        culprits.served();
        assert!(!culprits.several() && culprits.suspects(key(2)));
        culprits.ended(key(2), 0);
        assert!(!culprits.several() && !culprits.suspects(key(2)));
    }

    #[test]
    fn a_relay_that_takes_so_many_of_each_connection_blames_nobody_for_it() {
        let mut culprits = Culprits::default();
        // Every sixth meets the limit, and is the sixth of another connection later.
        for round in 0..3 {
            for seq in 0..40 {
                for _ in 0..5 {
                    culprits.served();
                }
                let guilty = culprits.ended(key(seq), 5);
                assert!(!guilty || (round, seq) < (1, 2), "{round} {seq}");
            }
        }
        // Whoever ends them wherever she stands is still found.
        culprits.served();
        assert!(!culprits.ended(key(50), 1));
        culprits.served();
        assert!(culprits.ended(key(50), 4));
    }

    #[test]
    fn the_memory_has_a_bound() {
        let mut culprits = Culprits::default();
        for seq in 0..10 * u32::try_from(MOST).expect("a number") {
            culprits.ended(key(seq), 0);
        }
        assert!(culprits.seen.len() <= MOST);
    }
}
