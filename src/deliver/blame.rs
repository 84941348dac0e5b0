//! Whose fault is a 5xx to MAIL, DATA or the dot? One recipient's copy, or all of them.
//!
//! Promises: the same text five times running, or more than a fifth of the last fifty attempts, is the
//! relay speaking of the run; the recipients it was said to go back to the queue.

use std::collections::VecDeque;

use crate::id::DeliveryKey;

const RUNNING: usize = 5;
const WINDOW: usize = 50;
const SHARE: usize = 10;

/// The last attempts of one run.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    last: VecDeque<Option<(DeliveryKey, String)>>,
    /// The run is to blame: what was under way on other connections goes back too.
    found: bool,
}

impl Blame {
    /// Notes an attempt that was not refused in such a way.
    pub(crate) fn accepted(&mut self) {
        self.note(None);
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
