//! Copies that count nothing, and what is said of them beside the shares of the others.
//!
//! Promises: pure. A copy counts no click and no open if its reader does not want it, was not asked where only the asked
//! are counted, or nobody is; if its issue has no link that is counted, or no pixel, it counts none of that.

use serde::Serialize;

use crate::delivery::Counts;
use crate::stats::judged::Judged;
use crate::stats::tally::{Part, Tally, What};

/// Sent copies whose clicks and whose opens are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Uncounted {
    pub clicks: i64,
    pub opens: i64,
    /// Copies whose readers want nothing counted any more since they got them, of a run as a whole: they are among the
    /// others, unless its events name nobody.
    pub withdrawn: i64,
}

impl Uncounted {
    /// Those of a run, or of one bucket of a part of it.
    pub fn read(tally: &Tally, part: Part, bucket: &str) -> Uncounted {
        Uncounted {
            clicks: tally.get(part, bucket, What::NoClicks),
            opens: tally.get(part, bucket, What::NoOpens),
            withdrawn: tally.get(part, bucket, What::Withdrawn),
        }
    }

    /// Whether there is any.
    pub fn is_some(&self) -> bool {
        self.clicks > 0 || self.opens > 0
    }
}

/// Why nothing of a run is counted.
const NOTHING: &str = "opens and clicks of it were not counted: `privacy.tracking` was \"off\", or none of those \
    who got it is counted";
const NO_OPENS: &str = "opens of it were not counted: it has no pixel (`tracking.opens`)";
const NO_CLICKS: &str = "clicks of it were not counted: it has no link that is (`tracking.clicks`)";

impl Judged {
    /// What is not counted of a run of which so many were sent and came back, in sentences, and what is counted that
    /// should not be and cannot be told apart; `grouped` writes a number.
    pub fn said_of_uncounted(&self, counts: &Counts, grouped: fn(i64) -> String) -> Vec<String> {
        let (sent, withdrawn) = (counts.sent, self.uncounted.withdrawn);
        let all = match (self.clicked.told, self.opened.told) {
            (true, true) => None,
            (false, false) => return vec![NOTHING.to_owned()],
            (true, false) => Some(NO_OPENS),
            (false, true) => Some(NO_CLICKS),
        };
        let some = match self.opened.told {
            true => self.uncounted.opens,
            false => self.uncounted.clicks,
        };
        let some = (some > 0).then(|| {
            let since = match withdrawn {
                0 => String::new(),
                _ if self.nameless => String::new(),
                _ if some == 1 => " (since she got it)".to_owned(),
                withdrawn => format!(" ({} of them since they got it)", grouped(withdrawn)),
            };
            let (count, they, were) = match some {
                1 => ("counts", "its reader does", "was"),
                _ => ("count", "their readers do", "were"),
            };
            format!(
                "{} of the {} copies {count} nothing, as {they} not want it{since} or {were} not asked: who \
                 clicked and who opened are shares of the other {}",
                grouped(some),
                grouped(sent),
                grouped(sent - some)
            )
        });
        let all = all.map(str::to_owned).into_iter();
        all.chain(some)
            .chain(self.said_of_nameless(counts, grouped))
            .collect()
    }

    /// Who stays in the numbers of a run whose events name nobody, for nobody knows which are hers.
    fn said_of_nameless(&self, counts: &Counts, grouped: fn(i64) -> String) -> Vec<String> {
        let (withdrawn, bounced) = (self.uncounted.withdrawn, counts.bounced);
        let withdrawn = (withdrawn > 0).then(|| {
            format!(
                "readers want nothing counted any more since they got it ({}): what they did before stays counted, for \
                 nobody knows what it was",
                grouped(withdrawn)
            )
        });
        let bounced = (bounced > 0).then(|| {
            format!(
                "copies came back ({}): whoever opened or clicked one before stays counted, for nobody knows who it was",
                grouped(bounced)
            )
        });
        let said = [withdrawn, bounced].into_iter().flatten();
        said.filter(|_| self.nameless).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::Counts;
    use crate::stats::judged::{Judged, Nameless};
    use crate::stats::tally::{Part, Tally, What};

    fn counts() -> Counts {
        Counts {
            sent: 80,
            bounced: 2,
            ..Counts::default()
        }
    }

    #[test]
    fn what_is_not_counted_is_said_with_its_reason_and_its_number() {
        let said = |clicks, opens| {
            let mut tally = Tally::default();
            tally.add(Part::Run, "", What::NoClicks, clicks);
            tally.add(Part::Run, "", What::NoOpens, opens);
            let judged = Judged::read(&tally, 80, 0);
            judged.said_of_uncounted(&counts(), |number| number.to_string())
        };
        assert!(said(0, 0).is_empty());
        let some = said(70, 70);
        assert_eq!(some.len(), 1);
        assert!(some[0].starts_with("70 of the 80 copies count nothing"));
        assert!(some[0].ends_with("shares of the other 10"), "{some:?}");
        assert!(said(1, 1)[0].starts_with(
            "1 of the 80 copies counts nothing, as its reader does not want it or was not asked"
        ));
        assert!(said(80, 80)[0].starts_with("opens and clicks of it were not counted"));
        assert_eq!(said(0, 80), [super::NO_OPENS]);
        assert_eq!(said(80, 0), [super::NO_CLICKS]);
        let both = said(12, 80);
        assert_eq!(both[0], super::NO_OPENS);
        assert!(both[1].starts_with("12 of the 80"), "{both:?}");
    }

    #[test]
    fn who_withdrew_since_is_named_apart_and_stays_where_nobody_is_known() {
        let mut tally = Tally::default();
        tally.add(Part::Run, "", What::NoClicks, 7);
        tally.add(Part::Run, "", What::NoOpens, 7);
        tally.add(Part::Run, "", What::Withdrawn, 3);
        let said =
            |judged: &Judged| judged.said_of_uncounted(&counts(), |number| number.to_string());
        let judged = Judged::read(&tally, 80, 0);
        let named = said(&judged);
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(
            named[0].contains("do not want it (3 of them since they got it) or"),
            "{named:?}"
        );
        let nameless = said(&judged.nameless(&Nameless::default()));
        assert!(!nameless[0].contains("since they got it"), "{nameless:?}");
        assert!(
            nameless[1].contains("since they got it (3)"),
            "{nameless:?}"
        );
        assert!(
            nameless[2].starts_with("copies came back (2)"),
            "{nameless:?}"
        );
    }
}
