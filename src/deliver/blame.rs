//! Whose fault is a 5xx to MAIL, DATA or the dot? One recipient's copy, or all of them. And a 5xx to RCPT?
//!
//! Promises: the same text five times running, or more than a fifth of the last fifty attempts, is the
//! relay speaking of the run; the recipients it was said to go back to the queue. So is a relay that knows none of
//! ten recipients running: no list is that dead. Whoever is refused once more after a person has looked is refused.

use std::collections::VecDeque;

use crate::id::DeliveryKey;

const RUNNING: usize = 5;
const WINDOW: usize = 50;
const SHARE: usize = 10;
/// Refused recipients running that make the relay the one that is wrong.
pub(crate) const UNKNOWN: usize = 10;

/// The last attempts of one run.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    last: VecDeque<Option<(DeliveryKey, String)>>,
    /// The run is to blame: what was under way on other connections goes back too.
    found: bool,
    /// Recipients refused since the relay last took anything.
    unknown: Vec<DeliveryKey>,
    /// What is thought of them.
    readers: Readers,
}

/// Whether refused recipients are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Readers {
    #[default]
    Counted,
    /// It is the relay that is wrong.
    Doubted,
    /// A person has seen it, and let the run go on.
    Believed,
}

impl Blame {
    /// Notes an attempt that was not refused in such a way.
    pub(crate) fn accepted(&mut self) {
        self.note(None);
        self.unknown.clear();
    }

    /// Notes a refusal of a recipient, who was put back from here before, or was not. Gives the recipients to put back
    /// once it is the relay that is wrong.
    pub(crate) fn unknown(&mut self, key: DeliveryKey, again: bool) -> Option<Vec<DeliveryKey>> {
        match self.readers {
            Readers::Believed => None,
            Readers::Doubted => Some(vec![key]),
            Readers::Counted if again => {
                self.readers = Readers::Believed;
                None
            }
            Readers::Counted => {
                self.unknown.push(key);
                if self.unknown.len() < UNKNOWN {
                    return None;
                }
                self.readers = Readers::Doubted;
                Some(std::mem::take(&mut self.unknown))
            }
        }
    }

    /// Judges anew from here: for a run that is not held, because it cannot be.
    pub(crate) fn forgive(&mut self) {
        self.found = false;
    }

    /// Notes a refusal with the fingerprint of its text. Gives the recipients to put back once the run is
    /// to blame.
    pub(crate) fn refused(
        &mut self,
        key: DeliveryKey,
        fingerprint: String,
    ) -> Option<Vec<DeliveryKey>> {
        if self.found {
            return Some(vec![key]);
        }
        self.note(Some((key, fingerprint.clone())));
        let same = |entry: &&Option<(DeliveryKey, String)>| {
            entry
                .as_ref()
                .is_some_and(|(_, other)| *other == fingerprint)
        };
        let running = self.last.iter().rev().take_while(same).count();
        let refused = self.last.iter().flatten().count();
        self.found = running >= RUNNING || refused > SHARE;
        self.found
            .then(|| self.last.drain(..).flatten().map(|(key, _)| key).collect())
    }

    fn note(&mut self, entry: Option<(DeliveryKey, String)>) {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::Blame;
    use crate::id::{DeliveryKey, RunId};

    fn key(seq: u32) -> DeliveryKey {
        DeliveryKey { run: RunId(2), seq }
    }

    #[test]
    fn the_same_text_five_times_running_blames_the_run() {
        let mut blame = Blame::default();
        blame.accepted();
        for seq in 0..4 {
            assert_eq!(blame.refused(key(seq), "550 sender refused".into()), None);
        }
        let back = blame
            .refused(key(4), "550 sender refused".into())
            .expect("the fifth");
        assert_eq!(back, (0..5).map(key).collect::<Vec<_>>());
        blame.accepted();
        let late = blame.refused(key(9), "550 sender refused".into());
        assert_eq!(late, Some(vec![key(9)]), "one that was under way");
    }

    #[test]
    fn ten_readers_running_whom_nobody_knows_are_doubted_until_a_person_has_looked() {
        let mut blame = Blame::default();
        for seq in 0..9 {
            assert_eq!(blame.unknown(key(seq), false), None);
        }
        blame.accepted();
        for seq in 10..19 {
            assert_eq!(blame.unknown(key(seq), false), None, "counted anew");
        }
        let back = blame.unknown(key(19), false).expect("the tenth");
        assert_eq!(back, (10..20).map(key).collect::<Vec<_>>());
        let late = blame.unknown(key(20), false);
        assert_eq!(late, Some(vec![key(20)]), "one that was under way");
        // The run goes on, with those that were put back.
        let mut blame = Blame::default();
        assert_eq!(blame.unknown(key(10), true), None);
        assert!((20..60).all(|seq| blame.unknown(key(seq), false).is_none()));
    }

    #[test]
    fn a_few_different_refusals_are_the_copies_own() {
        let mut blame = Blame::default();
        for seq in 0..100 {
            let refused = seq % 5 == 0;
            match refused {
                true => assert_eq!(blame.refused(key(seq), "554 content".into()), None, "{seq}"),
                false => blame.accepted(),
            }
        }
    }

    #[test]
    fn more_than_a_fifth_of_the_last_fifty_blames_the_run() {
        let mut blame = Blame::default();
        let mut back = None;
        for seq in 0..60 {
            let text = ["no", "never", "go away"][seq as usize % 3];
            back = match seq % 4 {
                0 => blame.refused(key(seq), text.into()),
                _ => {
                    blame.accepted();
                    None
                }
            };
            if back.is_some() {
                break;
            }
        }
        assert_eq!(back.expect("eleven of forty-one").len(), 11);
    }
}
