//! What readers do: events, and the evidence by which man and machine are told apart later.
//!
//! Promises: raw events are kept as they came and judged elsewhere; the numbers a group of events moves
//! are worked out here, purely. Leaves the writing to `track` and the sums to `stats`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{DeliveryKey, RunId};

/// Characters kept of a User-Agent or a purpose header: enough to judge by, too few to fill a disk.
const AGENT_LIMIT: usize = 200;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    Open,
    Click,
    Unsubscribe,
    Confirm,
    View,
    Bounce,
}

impl EventKind {
    /// The name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Open => "open",
            EventKind::Click => "click",
            EventKind::Unsubscribe => "unsubscribe",
            EventKind::Confirm => "confirm",
            EventKind::View => "view",
            EventKind::Bounce => "bounce",
        }
    }
}

/// One thing a reader, or a machine on the way, did with one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub delivery: DeliveryKey,
    /// Index into the frozen link table; clicks only.
    pub link: Option<u32>,
    pub at: Timestamp,
    pub evidence: Evidence,
}

/// What is kept of the request, as JSON beside the event; never an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Seconds since the delivery was settled: scanners are quicker than readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// The User-Agent, cut to 200 characters; says little by itself, scanners borrow real ones.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// Keyed hash of the day and the client's /24 or /48.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// `Sec-Purpose` or `Purpose`: a prefetch that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The request had an Accept-Language, as browsers send one.
    #[serde(default)]
    pub language: bool,
    /// A one-click POST (RFC 8058) and not the button on the page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_click: bool,
}

/// A reader needs longer to see a mail, open it and press on a link; scanners on the way do not.
pub(crate) const HUMAN: i64 = 5;
/// What Apple's proxy calls itself, which loads the images of every mail whether it is read or not.
pub(crate) const PREFETCHING: &str = "Mozilla/5.0";

/// Whether an open or a click was a machine's, as far as its evidence says. Where it says nothing (a delivery
/// that was not settled yet), nobody can have read it.
pub fn by_machine(kind: EventKind, evidence: &Evidence) -> bool {
    let early = evidence.after.is_none_or(|after| after < HUMAN);
    let odd = match kind {
        EventKind::Open => evidence.agent == PREFETCHING,
        // Every browser says which languages its reader knows.
        EventKind::Click => !evidence.language,
        _ => false,
    };
    early || odd || evidence.purpose.is_some() || evidence.agent.is_empty()
}

/// A header's value as evidence: without control characters (PostgreSQL's JSON refuses NUL), and cut.
pub fn clean_header(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let kept = text.chars().filter(|letter| !letter.is_control());
    kept.take(AGENT_LIMIT).collect()
}

/// How a delivery stood before a group of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub opened: bool,
    pub clicked: bool,
    /// Nobody knew whether the relay took it; an event with its token is the answer.
    pub uncertain: bool,
    pub settled_at: Option<Timestamp>,
}

/// The deliveries of one run whose rows a group changes, each list in the order of `seq`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunGain {
    pub opened: BTreeSet<u32>,
    pub clicked: BTreeSet<u32>,
    /// Those that leave `uncertain` for `sent`.
    pub settled: BTreeSet<u32>,
}

/// What a block's counters gain by a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockGain {
    pub opened: i64,
    pub clicked: i64,
    pub opens: i64,
    pub clicks: i64,
    /// Deliveries that went from `uncertain` to `sent`.
    pub settled: i64,
}

/// Everything a group of events moves. Ordered by key, so that two nodes lock rows in one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The earliest event's time: what a row's first open or click gets. A group spans moments; each
    /// event keeps its own time.
    pub at: Timestamp,
    pub runs: BTreeMap<RunId, RunGain>,
    pub blocks: BTreeMap<(RunId, u32), BlockGain>,
    /// The first click of the group by reader and link.
    pub reader_clicks: BTreeMap<(DeliveryKey, u32), Timestamp>,
    /// Clicks by run and link.
    pub link_clicks: BTreeMap<(RunId, u32), i64>,
}

/// Adds up a group. A delivery the ledger does not know (pruned, or of a database restored to an
/// earlier day) keeps its event and moves no number.
pub fn tally(events: &[Event], standing: &HashMap<DeliveryKey, Standing>) -> Tally {
    let earliest = events.iter().map(|event| event.at).min();
    let mut tally = Tally {
        at: earliest.unwrap_or(Timestamp(0)),
        runs: BTreeMap::new(),
        blocks: BTreeMap::new(),
        reader_clicks: BTreeMap::new(),
        link_clicks: BTreeMap::new(),
    };
    for event in events {
        let Some(before) = standing.get(&event.delivery) else {
            continue;
        };
        let key = event.delivery;
        let gain = tally.runs.entry(key.run).or_default();
        let block = tally.blocks.entry((key.run, key.block())).or_default();
        if before.uncertain && gain.settled.insert(key.seq) {
            block.settled += 1;
        }
        match event.kind {
            EventKind::Open => {
                block.opens += 1;
                if !before.opened && gain.opened.insert(key.seq) {
                    block.opened += 1;
                }
            }
            EventKind::Click => {
                block.clicks += 1;
                if !before.clicked && gain.clicked.insert(key.seq) {
                    block.clicked += 1;
                }
                if let Some(link) = event.link {
                    tally.reader_clicks.entry((key, link)).or_insert(event.at);
                    *tally.link_clicks.entry((key.run, link)).or_default() += 1;
                }
            }
            EventKind::Unsubscribe | EventKind::Confirm | EventKind::View | EventKind::Bounce => {}
        }
    }
    tally.blocks.retain(|_, gain| *gain != BlockGain::default());
    tally
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Event, EventKind, Evidence, Standing, by_machine, clean_header, tally};
    use crate::clock::Timestamp;
    use crate::id::{DeliveryKey, RunId};

    fn key(seq: u32) -> DeliveryKey {
        DeliveryKey { run: RunId(2), seq }
    }

    fn event(kind: EventKind, seq: u32, link: Option<u32>, at: i64) -> Event {
        Event {
            kind,
            delivery: key(seq),
            link,
            at: Timestamp(at),
            evidence: Evidence::default(),
        }
    }

    #[test]
    fn a_reader_counts_once_and_every_event_counts() {
        let opened = Standing {
            opened: true,
            ..Standing::default()
        };
        let standing = HashMap::from([(key(0), Standing::default()), (key(300), opened)]);
        let events = [
            event(EventKind::Open, 0, None, 10),
            event(EventKind::Open, 0, None, 11),
            event(EventKind::Open, 300, None, 12),
            event(EventKind::Click, 0, Some(4), 13),
            event(EventKind::Click, 0, Some(4), 14),
            event(EventKind::Click, 0, Some(5), 15),
            event(EventKind::Open, 7, None, 16),
        ];
        let tally = tally(&events, &standing);
        let first = tally.blocks[&(RunId(2), 0)];
        assert_eq!((first.opened, first.opens), (1, 2));
        assert_eq!((first.clicked, first.clicks), (1, 3));
        let second = tally.blocks[&(RunId(2), 1)];
        assert_eq!((second.opened, second.opens), (0, 1));
        // Delivery 300 was opened before; delivery 7 is unknown to the ledger.
        let rows = &tally.runs[&RunId(2)];
        assert_eq!((rows.opened.len(), rows.clicked.len()), (1, 1));
        assert!(rows.opened.contains(&0) && rows.settled.is_empty());
        assert_eq!(tally.at, Timestamp(10));
        assert_eq!(tally.reader_clicks.len(), 2);
        assert_eq!(tally.link_clicks[&(RunId(2), 4)], 2);
    }

    #[test]
    fn an_event_settles_an_uncertain_delivery_once() {
        let uncertain = Standing {
            uncertain: true,
            ..Standing::default()
        };
        let events = [
            event(EventKind::View, 1, None, 20),
            event(EventKind::Open, 1, None, 21),
        ];
        let tally = tally(&events, &HashMap::from([(key(1), uncertain)]));
        assert_eq!(tally.blocks[&(RunId(2), 0)].settled, 1);
        assert!(tally.runs[&RunId(2)].settled.contains(&1));
    }

    #[test]
    fn what_comes_too_early_or_says_so_is_a_machines() {
        let reader = Evidence {
            after: Some(60),
            agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0".into(),
            language: true,
            ..Evidence::default()
        };
        let machine = |evidence: Evidence| by_machine(EventKind::Click, &evidence);
        assert!(!machine(reader.clone()));
        for other in [
            Evidence {
                after: Some(2),
                ..reader.clone()
            },
            Evidence {
                after: None,
                ..reader.clone()
            },
            Evidence {
                purpose: Some("prefetch".into()),
                ..reader.clone()
            },
            Evidence {
                agent: String::new(),
                ..reader.clone()
            },
            Evidence {
                language: false,
                ..reader.clone()
            },
        ] {
            assert!(machine(other.clone()), "{other:?}");
        }
        let quiet = Evidence {
            language: false,
            ..reader.clone()
        };
        assert!(
            !by_machine(EventKind::Open, &quiet),
            "image proxies of readers say none"
        );
        let apple = Evidence {
            agent: "Mozilla/5.0".into(),
            ..reader
        };
        assert!(by_machine(EventKind::Open, &apple));
    }

    #[test]
    fn a_hostile_header_is_cut_and_loses_its_controls() {
        let hostile = [b"a\0b\x1b[31m".as_slice(), &[0xff; 400]].concat();
        let clean = clean_header(&hostile);
        assert!(clean.starts_with("ab[31m\u{fffd}"), "{clean}");
        assert_eq!(clean.chars().count(), 200);
    }
}
