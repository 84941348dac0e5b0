//! Whose fault is a 5xx to MAIL, DATA or the dot? One recipient's copy, or all of them. And a 5xx to RCPT?
//!
//! Promises: the same text five times running, or more than a fifth of the last fifty attempts, is the
//! relay speaking of the run; the recipients it was said to go back to the queue. So is a relay that knows none of
//! ten recipients running: no list is that dead. At the end of a run fewer are enough, for no more can come. Whoever is
//! refused once more after a person has looked is refused, and so is everyone behind, until the relay has shown by
//! fifty copies running that it knows readers: what it refuses then is judged anew.

use std::collections::VecDeque;

use crate::id::DeliveryKey;

const RUNNING: usize = 5;
const WINDOW: usize = 50;
const SHARE: usize = 10;
/// Refused recipients running that make the relay the one that is wrong.
pub(crate) const UNKNOWN: usize = 10;
/// Copies taken running by which a relay that was believed to know dead readers shows that it knows others: from then
/// on it may be wrong again.
pub(crate) const PROVEN: usize = 50;

/// One copy that was refused for good, its recipient not being to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub key: DeliveryKey,
    /// The fingerprint of what was said, and the words.
    pub text: String,
    pub said: String,
    /// It was refused before, and put back.
    pub again: bool,
}

/// The last attempts of one run.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    last: VecDeque<Option<Refusal>>,
    /// Whether any copy was taken.
    taken: bool,
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
    /// A person has seen it, and let the run go on. So many copies were taken since, running.
    Believed(usize),
}

impl Blame {
    /// Of a run that a person let go on though the relay had refused reader after reader.
    pub(crate) fn believing() -> Blame {
        Blame {
            readers: Readers::Believed(0),
            ..Blame::default()
        }
    }

    /// Whether what it refuses of readers stands.
    pub(crate) fn believes(&self) -> bool {
        matches!(self.readers, Readers::Believed(_))
    }

    /// Notes an attempt that was not refused in such a way.
    pub(crate) fn accepted(&mut self) {
        self.note(None);
        self.taken = true;
        self.unknown.clear();
        if let Readers::Believed(taken) = self.readers {
            self.readers = match taken + 1 {
                taken if taken < PROVEN => Readers::Believed(taken),
                _ => Readers::Counted,
            };
        }
    }

    /// Notes a refusal of a recipient, who was put back from here before, or was not. Gives the recipients to put back
    /// once it is the relay that is wrong.
    pub(crate) fn unknown(&mut self, key: DeliveryKey, again: bool) -> Option<Vec<DeliveryKey>> {
        match self.readers {
            Readers::Doubted => Some(vec![key]),
            Readers::Believed(_) => {
                self.readers = Readers::Believed(0);
                None
            }
            Readers::Counted if again => {
                self.readers = Readers::Believed(0);
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

    /// Notes a refusal. Gives the recipients to put back once the run is to blame.
    pub(crate) fn refused(&mut self, refusal: Refusal) -> Option<Vec<DeliveryKey>> {
        if self.found {
            return Some(vec![refusal.key]);
        }
        self.note(Some(refusal));
        let running = self.running().count();
        let refused = self.last.iter().flatten().count();
        self.found = running >= RUNNING || refused > SHARE;
        let all = self.last.iter().flatten().map(|refusal| refusal.key);
        let back = self.found.then(|| all.collect());
        if self.found {
            self.last.clear();
        }
        back
    }

    /// Who is to be put back now that nothing of the run is open, and what was said to the last: those refused last, all
    /// with one text and nobody taken behind them. One alone speaks for nobody else where others were taken.
    pub(crate) fn at_the_end(&mut self) -> Option<(Vec<DeliveryKey>, String)> {
        let fresh = self.running().filter(|refusal| !refusal.again);
        let back: Vec<DeliveryKey> = fresh.map(|refusal| refusal.key).collect();
        let told = back.len() > 1 || back.len() == 1 && !self.taken;
        self.found |= told;
        let said = self.running().next().map(|refusal| refusal.said.clone());
        told.then(|| (back, said.unwrap_or_default()))
    }

    /// The refusals of one text behind which nothing else came.
    fn running(&self) -> impl Iterator<Item = &Refusal> {
        let last = self.last.back().and_then(Option::as_ref);
        let text = last.map(|refusal| refusal.text.as_str());
        let refusals = self.last.iter().rev().map_while(Option::as_ref);
        refusals.take_while(move |refusal| Some(refusal.text.as_str()) == text)
    }

    fn note(&mut self, entry: Option<Refusal>) {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::{Blame, PROVEN, Refusal};
    use crate::id::{DeliveryKey, RunId};

    fn key(seq: u32) -> DeliveryKey {
        DeliveryKey { run: RunId(2), seq }
    }

    fn refused(seq: u32, text: &str) -> Refusal {
        Refusal {
            key: key(seq),
            text: text.to_owned(),
            said: text.to_owned(),
            again: false,
        }
    }

    #[test]
    fn at_the_end_of_a_run_fewer_refusals_tell_whose_fault_they_are() {
        let end = |blame: &mut Blame| blame.at_the_end().map(|(back, _)| back.len());
        let mut blame = Blame::default();
        assert_eq!(end(&mut blame), None);
        blame.refused(refused(0, "550 sender refused"));
        assert_eq!(end(&mut blame), Some(1), "the only reader");
        let mut blame = Blame::default();
        blame.accepted();
        blame.refused(refused(1, "554 content"));
        assert_eq!(end(&mut blame), None, "one of two");
        blame.refused(refused(2, "550 sender refused"));
        assert_eq!(end(&mut blame), None, "two, and for two reasons");
        blame.refused(refused(3, "550 sender refused"));
        assert_eq!(end(&mut blame), Some(2));
        let mut blame = Blame::default();
        for seq in 0..3 {
            let again = true;
            blame.refused(Refusal {
                again,
                ..refused(seq, "554 content")
            });
        }
        assert_eq!(end(&mut blame), None, "a person has looked");
    }

    #[test]
    fn the_same_text_five_times_running_blames_the_run() {
        let mut blame = Blame::default();
        blame.accepted();
        for seq in 0..4 {
            assert_eq!(blame.refused(refused(seq, "550 sender refused")), None);
        }
        let back = blame
            .refused(refused(4, "550 sender refused"))
            .expect("the fifth");
        assert_eq!(back, (0..5).map(key).collect::<Vec<_>>());
        blame.accepted();
        let late = blame.refused(refused(9, "550 sender refused"));
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
    fn a_persons_yes_counts_until_the_relay_has_taken_fifty_running() {
        let mut blame = Blame::believing();
        let refused = |blame: &mut Blame, seqs: std::ops::Range<u32>| {
            let mut back = seqs.map(|seq| blame.unknown(key(seq), false));
            back.find_map(|back| back)
        };
        assert_eq!(refused(&mut blame, 0..200), None);
        for seq in 0..PROVEN as u32 {
            blame.accepted();
            assert_eq!(blame.unknown(key(seq), false), None, "none of them running");
        }
        assert!(blame.believes());
        (0..PROVEN).for_each(|_| blame.accepted());
        assert!(!blame.believes());
        assert_eq!(refused(&mut blame, 300..309), None);
        let back = blame.unknown(key(309), false).expect("the tenth");
        assert_eq!(back, (300..310).map(key).collect::<Vec<_>>());
    }

    #[test]
    fn a_few_different_refusals_are_the_copies_own() {
        let mut blame = Blame::default();
        for seq in 0..100 {
            match seq % 5 == 0 {
                true => assert_eq!(blame.refused(refused(seq, "554 content")), None, "{seq}"),
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
                0 => blame.refused(refused(seq, text)),
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
