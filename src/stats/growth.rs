//! How a list grew, and what became of those who joined in one month.
//!
//! Promises: pure: days are put together to weeks, which begin on Monday, and to months, both in UTC. Who left and came
//! back has left in one week and joined in another, and a week that is over stays as it was; a month's readers are
//! those who first joined in it. Whose address is suppressed has left, and so has who was erased. Readers whom an import
//! brought joined when its file says they did; of whom it does not, they were imported and have not joined. Whoever left
//! has left for some reason, if only that she gave none.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::clock::{DAY, Timestamp};
use crate::subscriber::Status;

/// Weeks that are shown.
pub const WEEKS: usize = 26;
/// Months of joining that are shown.
pub const MONTHS: usize = 24;

/// What stands beside the statuses for those whose addresses are suppressed.
pub const SUPPRESSED: &str = "suppressed";

/// A list in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Readers who are subscribed now.
    pub subscribed: i64,
    /// Subscriptions by the name of their status, or `suppressed`; a status that nobody has is not named.
    #[serde(default)]
    pub statuses: BTreeMap<String, i64>,
    /// The newest last.
    pub weeks: Vec<Week>,
    /// By month of joining, the newest last.
    pub cohorts: Vec<Cohort>,
}

/// One week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Week {
    /// Its Monday, as `2026-03-02`.
    pub monday: String,
    pub joined: i64,
    /// Of `joined` those who had left before.
    #[serde(default)]
    pub returned: i64,
    /// Brought by an import, and nobody knows when they joined.
    #[serde(default)]
    pub imported: i64,
    pub left: i64,
    /// `joined` and `imported` less `left`.
    pub net: i64,
    /// Why: what the reader said, or [`UNSAID`], or what ended it for her; all of `left`.
    pub why: BTreeMap<String, i64>,
}

/// Those who joined in one month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cohort {
    /// As `2026-03`.
    pub month: String,
    /// Those imported in this month among them.
    pub joined: i64,
    pub subscribed: i64,
    /// Subscribed, and clicked in one of the last issues.
    pub clicking: i64,
}

/// Why a reader left who said nothing about it.
pub const UNSAID: &str = "unsaid";

/// A reason for leaving, for a person: what a reader may say and why addresses are suppressed go by their names.
pub fn words(why: &str) -> &str {
    match why {
        UNSAID => "without a reason",
        "import" => "taken off by an import",
        "author" => "taken off by hand",
        "sunset" => "silent (sunset)",
        named => named,
    }
}

/// Why a journal says that a reader joined who had left before.
const RETURNED: &str = "returned";

/// Counts by day since 1970.
#[derive(Clone, Debug, Default)]
pub struct Days {
    /// What the list's journal says.
    pub moves: Vec<Moved>,
    /// Readers who are subscribed, by the day they first joined.
    pub standing: Vec<(i64, i64)>,
    /// Those of `standing` who get nothing, for their addresses are suppressed.
    pub lost: Vec<Lost>,
    /// Subscribed readers who click, by the day they first joined.
    pub clicking: Vec<(i64, i64)>,
    /// All subscriptions by status.
    pub statuses: Vec<(Status, i64)>,
}

/// Which way readers went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Joined,
    /// Brought by an import on that day, and nobody knows when they joined.
    Imported,
    Left,
}

/// Readers who joined or left on one day.
#[derive(Clone, Debug)]
pub struct Moved {
    pub way: Way,
    pub day: i64,
    /// Why they left, if it is known, or that they had been here before.
    pub why: String,
    pub number: i64,
}

/// Readers whose addresses were suppressed.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The status of their subscriptions.
    pub status: Status,
    /// The day they joined, and the day they were lost.
    pub joined: i64,
    pub day: i64,
    pub why: String,
    pub number: i64,
}

/// Puts days together, up to the day `today`.
pub fn growth(days: &Days, today: i64) -> Growth {
    let this_week = week_of(today);
    let first = this_week - i64::try_from(WEEKS).unwrap_or(0) + 1;
    let mut weeks: Vec<Week> = (first..=this_week)
        .map(|week| Week {
            monday: date(week * 7 - 3).to_string(),
            ..Week::default()
        })
        .collect();
    let place = |day: i64| {
        let place = usize::try_from(week_of(day) - first).ok();
        place.filter(|&place| place < WEEKS)
    };
    for moved in &days.moves {
        let Some(place) = place(moved.day) else {
            continue;
        };
        let week = &mut weeks[place];
        match moved.way {
            Way::Joined => week.joined += moved.number,
            Way::Imported => week.imported += moved.number,
            Way::Left => week.left += moved.number,
        }
        match (moved.way, moved.why.as_str()) {
            (Way::Left, why) => {
                let why = if why.is_empty() { UNSAID } else { why };
                *week.why.entry(why.to_owned()).or_default() += moved.number;
            }
            (Way::Joined, RETURNED) => week.returned += moved.number,
            (Way::Joined | Way::Imported, _) => {}
        }
    }
    for lost in &days.lost {
        if let Some(place) = place(lost.day) {
            weeks[place].left += lost.number;
            *weeks[place].why.entry(lost.why.clone()).or_default() += lost.number;
        }
    }
    for week in &mut weeks {
        week.net = week.joined + week.imported - week.left;
        week.why.retain(|_, number| *number != 0);
    }
    let mut cohorts: BTreeMap<String, Cohort> = BTreeMap::new();
    let first = |moved: &&Moved| moved.way != Way::Left && moved.why != RETURNED;
    for moved in days.moves.iter().filter(first) {
        cohorts.entry(month_of(moved.day)).or_default().joined += moved.number;
    }
    for &(day, number) in &days.standing {
        cohorts.entry(month_of(day)).or_default().subscribed += number;
    }
    for lost in &days.lost {
        cohorts.entry(month_of(lost.joined)).or_default().subscribed -= lost.number;
    }
    for &(day, number) in &days.clicking {
        cohorts.entry(month_of(day)).or_default().clicking += number;
    }
    cohorts.retain(|_, cohort| cohort.joined != 0);
    let skipped = cohorts.len().saturating_sub(MONTHS);
    let cohorts = cohorts
        .into_iter()
        .skip(skipped)
        .map(|(month, cohort)| Cohort { month, ..cohort });
    let still: i64 = days.standing.iter().map(|&(_, number)| number).sum();
    let lost: i64 = days.lost.iter().map(|lost| lost.number).sum();
    let statuses = days.statuses.iter();
    let mut statuses: BTreeMap<String, i64> = statuses
        .map(|&(status, number)| (status.name().to_owned(), number))
        .collect();
    for lost in &days.lost {
        *statuses.entry(lost.status.name().to_owned()).or_default() -= lost.number;
        *statuses.entry(SUPPRESSED.into()).or_default() += lost.number;
    }
    statuses.retain(|_, number| *number > 0);
    Growth {
        subscribed: still - lost,
        statuses,
        weeks,
        cohorts: cohorts.collect(),
    }
}

/// Weeks since 1970 that begin on Monday; 1 January 1970 was a Thursday.
fn week_of(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

fn month_of(day: i64) -> String {
    let date = date(day);
    format!("{:04}-{:02}", date.year(), date.month())
}

fn date(day: i64) -> Date {
    let at = Timestamp(day.saturating_mul(DAY)).to_jiff();
    TimeZone::UTC.to_datetime(at).date()
}

#[cfg(test)]
mod tests {
    use super::{Days, Lost, Moved, Way, growth};
    use crate::subscriber::Status;

    /// 1 November 2026, a Sunday.
    const SUNDAY: i64 = 20_758;

    fn moved(way: Way, day: i64, why: &str, number: i64) -> Moved {
        let why = why.into();
        Moved {
            way,
            day,
            why,
            number,
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_cohorts_by_month() {
        let days = Days {
            moves: vec![
                moved(Way::Joined, SUNDAY, "", 3),
                moved(Way::Joined, SUNDAY - 6, "", 2),
                moved(Way::Joined, SUNDAY - 7, "", 10),
                moved(Way::Joined, SUNDAY - 40, "", 5),
                moved(Way::Left, SUNDAY - 1, "too-often", 1),
                moved(Way::Left, SUNDAY - 7, "", 4),
                moved(Way::Left, SUNDAY - 4_000, "", 9),
            ],
            standing: vec![(SUNDAY, 3), (SUNDAY - 7, 10), (SUNDAY - 40, 5)],
            lost: vec![Lost {
                status: Status::Confirmed,
                joined: SUNDAY - 40,
                day: SUNDAY - 2,
                why: "bounced".into(),
                number: 2,
            }],
            clicking: vec![(SUNDAY - 7, 6)],
            statuses: vec![(Status::Confirmed, 18), (Status::Pending, 2)],
        };
        let found = growth(&days, SUNDAY);
        assert_eq!(found.subscribed, 16);
        assert_eq!(found.statuses["pending"], 2);
        assert_eq!(
            (found.statuses["confirmed"], found.statuses["suppressed"]),
            (16, 2)
        );
        assert_eq!(found.weeks.len(), 26);
        let week = &found.weeks[25];
        assert_eq!(week.monday, "2026-10-26");
        assert_eq!((week.joined, week.left, week.net), (5, 3, 2));
        assert_eq!((week.why["too-often"], week.why["bounced"]), (1, 2));
        let before = &found.weeks[24];
        assert_eq!((before.joined, before.left, before.net), (10, 4, 6));
        let months: Vec<_> = found
            .cohorts
            .iter()
            .map(|cohort| {
                let month = cohort.month.as_str();
                (month, cohort.joined, cohort.subscribed, cohort.clicking)
            })
            .collect();
        assert_eq!(
            months,
            [
                ("2026-09", 5, 3, 0),
                ("2026-10", 12, 10, 6),
                ("2026-11", 3, 3, 0)
            ]
        );
    }

    #[test]
    fn who_was_imported_has_not_joined_and_who_came_back_joined_twice_and_is_of_the_first_month() {
        let days = Days {
            moves: vec![
                moved(Way::Imported, SUNDAY, "", 42),
                moved(Way::Joined, SUNDAY - 40, "", 1),
                moved(Way::Left, SUNDAY, "erased", 2),
                moved(Way::Left, SUNDAY - 7, "", 1),
                moved(Way::Left, SUNDAY - 7, "too-often", 0),
                moved(Way::Joined, SUNDAY, "returned", 1),
            ],
            standing: vec![(SUNDAY, 40), (SUNDAY - 40, 1)],
            ..Days::default()
        };
        let found = growth(&days, SUNDAY);
        assert_eq!(found.subscribed, 41);
        let week = &found.weeks[25];
        assert_eq!((week.joined, week.returned, week.imported), (1, 1, 42));
        assert_eq!((week.left, week.net), (2, 41));
        assert_eq!(week.why["erased"], 2);
        let before = &found.weeks[24];
        assert_eq!((before.left, before.net, before.why.len()), (1, -1, 1));
        assert_eq!(before.why["unsaid"], 1);
        let months: Vec<_> = found
            .cohorts
            .iter()
            .map(|cohort| (cohort.month.as_str(), cohort.joined, cohort.subscribed))
            .collect();
        assert_eq!(months, [("2026-09", 1, 1), ("2026-11", 42, 40)]);
    }
}
