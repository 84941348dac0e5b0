//! What one copy may store of its pixel and its links: one reader's loop, or malice, fills no disk and spoils no number.
//!
//! Promises: a look-up for each event, and memory with a bound. What comes beyond a copy's share is answered as
//! ever and counted as dropped. A share is for the day, whoever was restarted in it: of a copy that is asked often it is
//! asked once what stands in the log. That of a run whose events name nobody does not say whose they are, and a share
//! begins anew there. Leaves the asking and the counting to `track`.

use std::collections::HashMap;

use crate::clock::{DAY, Timestamp};
use crate::event::{Event, EventKind};
use crate::id::DeliveryKey;

/// A day's opens, and a day's looks at the page: nobody reads one mail more often.
const LOOKS: u16 = 50;
/// A day's clicks: a scanner may ask for every link of a long mail several times, and the reader comes behind it.
/// All together are fewer than are judged of a copy.
const CLICKS: u16 = 300;
/// Events of one kind at which a copy's log is looked at: hardly any copy has so many, so that hardly any costs a
/// question.
const OFTEN: u16 = 10;
/// Copies that are remembered, some 3 MB. Where more are read in a day all are forgotten, and looked up where they are asked
/// often.
const COPIES: usize = 65_536;

/// What each copy has stored today.
#[derive(Debug)]
pub(super) struct Shares {
    day: i64,
    /// What came before this is in the log alone.
    since: Timestamp,
    copies: HashMap<DeliveryKey, Stored>,
}

/// Events of one copy by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    opens: u16,
    views: u16,
    clicks: u16,
    /// The log was asked.
    told: bool,
}

impl Stored {
    /// So many of each.
    pub(super) fn new(opens: u16, views: u16, clicks: u16) -> Stored {
        Stored {
            opens,
            views,
            clicks,
            told: true,
        }
    }

    fn of(&mut self, kind: EventKind) -> Option<(&mut u16, u16)> {
        match kind {
            EventKind::Open => Some((&mut self.opens, LOOKS)),
            EventKind::View => Some((&mut self.views, LOOKS)),
            EventKind::Click => Some((&mut self.clicks, CLICKS)),
            // No request for a pixel, a link or a page.
            EventKind::Unsubscribe
            | EventKind::Confirm
            | EventKind::Bounce
            | EventKind::Complaint
            | EventKind::Withdrawal => None,
        }
    }
}

impl Shares {
    /// Of a process that begins at `now`.
    pub(super) fn new(now: Timestamp) -> Shares {
        Shares {
            day: 0,
            since: now,
            copies: HashMap::new(),
        }
    }

    /// Of which hours the log must be asked about the event's copy before it is taken, if of any: from the first instant
    /// to before the second.
    pub(super) fn asks(&self, event: &Event) -> Option<(Timestamp, Timestamp)> {
        let midnight = Timestamp(self.day.saturating_mul(DAY));
        let mut known = *self.copies.get(&event.delivery)?;
        let (number, _) = known.of(event.kind)?;
        let often = *number == OFTEN && event.at.day() == self.day;
        (often && !known.told && midnight < self.since).then_some((midnight, self.since))
    }

    /// Adds what the log holds of a copy from then.
    pub(super) fn tell(&mut self, delivery: DeliveryKey, before: Stored) {
        let known = self.copies.entry(delivery).or_default();
        *known = Stored {
            opens: known.opens.saturating_add(before.opens),
            views: known.views.saturating_add(before.views),
            clicks: known.clicks.saturating_add(before.clicks),
            told: true,
        };
    }

    /// Whether the event is within its copy's share, of which it then takes its part.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        // A share is for a day of UTC.
        let day = event.at.day();
        if day != self.day || self.copies.len() >= COPIES {
            if day == self.day {
                self.since = event.at;
            }
            self.copies.clear();
            self.day = day;
        }
        let stored = self.copies.entry(event.delivery).or_default();
        let Some((number, most)) = stored.of(event.kind) else {
            return true;
        };
        let within = *number < most;
        *number += u16::from(within);
        within
    }
}

#[cfg(test)]
mod tests {
    use super::{CLICKS, COPIES, LOOKS, OFTEN, Shares, Stored};
    use crate::clock::{DAY, Timestamp};
    use crate::event::score::JUDGED;
    use crate::event::{Event, EventKind, Evidence};
    use crate::id::{DeliveryKey, RunId};

    fn event(kind: EventKind, seq: u32, at: i64) -> Event {
        Event {
            kind,
            delivery: DeliveryKey { run: RunId(2), seq },
            link: (kind == EventKind::Click).then_some(0),
            at: Timestamp(at),
            evidence: Evidence::default(),
        }
    }

    fn taken(shares: &mut Shares, kind: EventKind, seq: u32, at: i64) -> usize {
        let events = (0..1_000).map(|_| event(kind, seq, at));
        events.filter(|event| shares.take(event)).count()
    }

    #[test]
    fn a_copy_has_a_share_of_each_kind_a_day_and_takes_none_of_anothers() {
        let mut shares = Shares::new(Timestamp(0));
        for seq in [0, 1] {
            let looks = usize::from(LOOKS);
            assert_eq!(taken(&mut shares, EventKind::Open, seq, 5), looks);
            assert_eq!(taken(&mut shares, EventKind::View, seq, 5), looks);
            let clicks = taken(&mut shares, EventKind::Click, seq, 5);
            assert_eq!(clicks, usize::from(CLICKS));
            assert!(clicks + 2 * looks <= JUDGED, "all of them are judged");
            assert_eq!(taken(&mut shares, EventKind::Open, seq, DAY - 1), 0);
        }
        assert!(shares.take(&event(EventKind::Open, 0, DAY)), "a new day");
    }

    #[test]
    fn no_more_copies_are_remembered_than_there_is_room_for() {
        let mut shares = Shares::new(Timestamp(0));
        assert_eq!(
            taken(&mut shares, EventKind::Open, 0, 5),
            usize::from(LOOKS)
        );
        for seq in 1..200_000 {
            assert!(shares.take(&event(EventKind::Open, seq, 5)));
            assert!(shares.copies.len() <= COPIES);
        }
    }

    #[test]
    fn a_copy_that_is_asked_often_is_looked_up_once_a_day_and_goes_on_where_it_was() {
        let mut shares = Shares::new(Timestamp(DAY + 4));
        let open = |at| event(EventKind::Open, 0, at);
        for number in 0..OFTEN {
            assert_eq!(shares.asks(&open(DAY + 5)), None, "{number}");
            assert!(shares.take(&open(DAY + 5)));
        }
        let asked = shares.asks(&open(DAY + 5));
        assert_eq!(asked, Some((Timestamp(DAY), Timestamp(DAY + 4))));
        let before = Stored::new(LOOKS - OFTEN - 2, 0, 7);
        shares.tell(open(0).delivery, before);
        assert_eq!(shares.asks(&open(DAY + 5)), None);
        assert_eq!(taken(&mut shares, EventKind::Open, 0, DAY + 5), 2);
        let clicks = taken(&mut shares, EventKind::Click, 0, DAY + 5);
        assert_eq!(clicks, usize::from(CLICKS) - 7);
        // Whoever runs since before the day has seen all of it.
        for _ in 0..20 {
            assert_eq!(shares.asks(&open(2 * DAY)), None);
            shares.take(&open(2 * DAY));
        }
    }
}
