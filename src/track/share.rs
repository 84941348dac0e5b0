//! What one copy may store of its pixel and its links: one reader's loop, or malice, fills no disk and spoils no number.
//!
//! Promises: a look-up for each event, and memory with a bound. What comes beyond a copy's share is answered as
//! ever and counted as dropped. Leaves that counting to `track`.

use std::collections::HashMap;

use crate::event::{Event, EventKind};
use crate::id::DeliveryKey;

/// A day's opens, and a day's looks at the page: nobody reads one mail more often.
const LOOKS: u16 = 50;
/// A day's clicks: a scanner may ask for every link of a long mail several times, and the reader comes behind it.
/// All together are fewer than are judged of a copy.
const CLICKS: u16 = 300;
/// Copies that are remembered, some 3 MB. Where more are read in a day all begin anew: who floods gets one more share
/// for so many other readers.
const COPIES: usize = 65_536;

/// What each copy has stored today.
#[derive(Debug, Default)]
pub(super) struct Shares {
    day: i64,
    copies: HashMap<DeliveryKey, Stored>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    opens: u16,
    views: u16,
    clicks: u16,
}

impl Shares {
    /// Whether the event is within its copy's share, of which it then takes its part.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        // A share is for a day of UTC.
        let day = event.at.day();
        if day != self.day || self.copies.len() >= COPIES {
            self.copies.clear();
            self.day = day;
        }
        let stored = self.copies.entry(event.delivery).or_default();
        let (number, most) = match event.kind {
            EventKind::Open => (&mut stored.opens, LOOKS),
            EventKind::View => (&mut stored.views, LOOKS),
            EventKind::Click => (&mut stored.clicks, CLICKS),
            // No request for a pixel, a link or a page.
            EventKind::Unsubscribe
            | EventKind::Confirm
            | EventKind::Bounce
            | EventKind::Complaint
            | EventKind::Withdrawal => return true,
        };
        let within = *number < most;
        *number += u16::from(within);
        within
    }
}

#[cfg(test)]
mod tests {
    use super::{CLICKS, COPIES, LOOKS, Shares};
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
        let mut shares = Shares::default();
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
        let mut shares = Shares::default();
        assert_eq!(
            taken(&mut shares, EventKind::Open, 0, 5),
            usize::from(LOOKS)
        );
        for seq in 1..200_000 {
            assert!(shares.take(&event(EventKind::Open, seq, 5)));
            assert!(shares.copies.len() <= COPIES);
        }
    }
}
