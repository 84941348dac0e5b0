//! What a group of events without names comes to.
//!
//! Promises: neither an event's time nor its id tells more than the hour, nor what came before what; what says that it
//! is a machine counts no reader.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::event::score::judge_alone;
use crate::event::{Event, EventKind};
use crate::id::RunId;
use crate::pseudonym::{HOUR, KEY, hour_of, impersonal, pseudonym};
use crate::stats::tally::{Class, Part, Tally, What};
use crate::store::events::first_id;
use crate::store::pseudonyms::json;

const OPEN: i64 = -2;
const CLICK: i64 = -1;
/// By whom a pseudonym opened it, from here down: a reader's own program, Gmail's proxy, Apple's.
pub(super) const OPENED_BY: i64 = -3;
const OPENERS: [Class; 3] = [Class::Human, Class::Gmail, Class::Apple];

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) kind: &'static str,
    run: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pseudonym: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<u32>,
    evidence: String,
}

#[derive(Clone, Copy, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) run: i64,
    pub(super) pseudonym: i64,
    pub(super) mark: i64,
}

/// What a run's counters gain.
#[derive(Clone, Copy, Default)]
pub(super) struct Gain {
    pub(super) opened: i64,
    pub(super) clicked: i64,
    pub(super) opens: i64,
    pub(super) clicks: i64,
}

#[derive(Serialize)]
pub(super) struct LinkRow {
    run: i64,
    link: i64,
    readers: i64,
    clicks: i64,
}

/// What a group of events comes to, by run.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    /// What the pseudonyms did, whether it is new of them or not.
    pub(super) marks: BTreeSet<Mark>,
    pub(super) gains: BTreeMap<i64, Gain>,
    /// By run and link: readers who clicked it for the first time, and clicks.
    clicks: BTreeMap<(i64, i64), (i64, i64)>,
    pub(super) tallies: BTreeMap<i64, Tally>,
}

impl Batch {
    /// The events with the hour alone, in no order; of a run without a key nobody has a pseudonym.
    pub(super) fn of<'a>(
        events: impl Iterator<Item = &'a Event>,
        keys: &HashMap<RunId, [u8; KEY]>,
        chance: &Chance,
    ) -> Batch {
        let mut batch = Batch::default();
        for event in events {
            let (run, seq) = (event.delivery.run, event.delivery.seq);
            let name = keys.get(&run).map(|key| pseudonym(key, seq));
            batch.count(event, name);
            batch.rows.push(Row {
                id: nameless_id(event.at, chance),
                at: hour_of(event.at).0,
                kind: event.kind.name(),
                run: run.0,
                pseudonym: name,
                link: event.link,
                evidence: json(&impersonal(&event.evidence)),
            });
        }
        // Where they stand says nothing either.
        batch.rows.sort_unstable_by_key(|row| row.id);
        batch
    }

    fn count(&mut self, event: &Event, name: Option<i64>) {
        let run = event.delivery.run.0;
        let class = Class::of(judge_alone(event.kind, event.link, &event.evidence));
        let reads = class.is_reader();
        let gain = self.gains.entry(run).or_default();
        let marks = match event.kind {
            // A head is no load, as it is none by name.
            _ if event.evidence.head => return,
            EventKind::Open => {
                gain.opens += 1;
                let tally = self.tallies.entry(run).or_default();
                tally.add(Part::Nameless, "", What::Opens(class), 1);
                // Invariant: Apple's proxy loads every mail's images, and counts for nobody.
                vec![reads.then_some(OPEN), opener(class)]
            }
            EventKind::Click => {
                gain.clicks += 1;
                let link = event.link.map(i64::from);
                if let Some(link) = link {
                    self.clicks.entry((run, link)).or_default().1 += 1;
                }
                // Who clicked has opened it.
                match reads {
                    true => vec![Some(OPEN), Some(CLICK), opener(class), link],
                    false => Vec::new(),
                }
            }
            // Who read the copy's page has opened it, too; a machine that looked has not.
            EventKind::View if reads => vec![Some(OPEN), opener(class)],
            _ => return,
        };
        if let Some(pseudonym) = name {
            let own = marks.into_iter().flatten();
            self.marks.extend(own.map(|mark| Mark {
                run,
                pseudonym,
                mark,
            }));
        }
    }

    /// Counts readers by what their pseudonyms did for the first time, and gives the marks that say by what they
    /// opened it.
    pub(super) fn count_first(&mut self, first: Vec<(i64, i64, i64)>) -> BTreeSet<Mark> {
        let mut openers = BTreeSet::new();
        for (run, pseudonym, mark) in first {
            let gain = self.gains.entry(run).or_default();
            match mark {
                OPEN => gain.opened += 1,
                CLICK => gain.clicked += 1,
                mark if mark <= OPENED_BY => {
                    openers.insert(Mark {
                        run,
                        pseudonym,
                        mark,
                    });
                }
                link => self.clicks.entry((run, link)).or_default().0 += 1,
            }
        }
        openers
    }

    pub(super) fn links(&self) -> Vec<LinkRow> {
        let row = |(&(run, link), &(readers, clicks)): (&(i64, i64), &(i64, i64))| LinkRow {
            run,
            link,
            readers,
            clicks,
        };
        self.clicks.iter().map(row).collect()
    }
}

/// An id for an event that names nobody, drawn from those of the hour before it: an id in the order of the log would tell
/// who read when, and none there is behind what the fold has yet to look at. Two that are drawn alike cost their group a
/// second try, once in months.
fn nameless_id(at: Timestamp, chance: &Chance) -> i64 {
    let hour = hour_of(at).0;
    let (from, to) = (first_id(Timestamp(hour - HOUR)), first_id(Timestamp(hour)));
    from + chance.key() % (to - from).max(1)
}

/// The mark of whoever opened it, where that may have been a reader.
fn opener(class: Class) -> Option<i64> {
    let place = OPENERS.iter().position(|known| *known == class)?;
    Some(OPENED_BY - i64::try_from(place).ok()?)
}

/// Counts each pseudonym by the best of its class marks, of which `fresh` ones have just come.
pub(super) fn count_openers(
    tallies: &mut BTreeMap<i64, Tally>,
    marks: &BTreeSet<Mark>,
    fresh: &BTreeSet<Mark>,
) {
    // The best class has the largest mark, and comes last.
    let (mut after, mut before) = (BTreeMap::new(), BTreeMap::new());
    for mark in marks {
        after.insert((mark.run, mark.pseudonym), mark.mark);
        if !fresh.contains(mark) {
            before.insert((mark.run, mark.pseudonym), mark.mark);
        }
    }
    for (marks, sign) in [(after, 1), (before, -1)] {
        for ((run, _), mark) in marks {
            let place = usize::try_from(OPENED_BY - mark).ok();
            if let Some(class) = place.and_then(|place| OPENERS.get(place)) {
                let tally = tallies.entry(run).or_default();
                tally.add(Part::Nameless, "", What::Opened(*class), sign);
            }
        }
    }
}
