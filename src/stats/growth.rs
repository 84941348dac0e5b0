//! How a list grew, and what became of those who joined in one month.
//!
//! Promises: pure: quarter hours are put together to weeks, which begin on Monday, and to months, both of the
//! publication's time zone, whichever that was when they were counted. Who left and came back has left in one week and
//! joined in another, and a week that is over stays as it was; a month's readers are those who first joined in it. Whose
//! address is suppressed has left, and so has who was erased. Readers whom an import
//! brought joined when its file says they did; of whom it does not, they were imported and have not joined. Whoever left
//! has left for some reason, if only that she gave none. Who clicks is told as far as clicks of the last issues name
//! anybody.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::clock::{DAY, QUARTER, Timestamp};
use crate::schedule;
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
    /// The zone in which weeks begin, and months; its name.
    #[serde(default)]
    pub zone: String,
    /// The last issues that are looked at for who clicks.
    #[serde(default = "all_told")]
    pub issues: Looked,
}

/// As an older program counted a list.
fn all_told() -> Looked {
    Looked { last: 8, untold: 0 }
}

/// Of the last issues to a list, how many say who clicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    pub last: i64,
    /// Those whose clicks name nobody, or were not counted.
    pub untold: i64,
}

impl Looked {
    /// Whether clicks of any of them name somebody.
    pub fn tell(&self) -> bool {
        self.last > self.untold
    }

    /// What is not known of who clicks, if anything.
    pub fn said(&self) -> Option<String> {
        let Looked { last, untold } = self;
        match (last, untold) {
            (0, _) => Some("clicking: not told, as no issue was sent yet".to_owned()),
            (_, 0) => None,
            (1, _) => {
                Some("clicking: not told, as clicks of the last issue name nobody".to_owned())
            }
            _ if !self.tell() => Some(format!(
                "clicking: not told, as clicks of none of the last {last} issues name anybody"
            )),
            _ => Some(format!(
                "clicking: clicks of {untold} of the last {last} issues name nobody, so that it is more"
            )),
        }
    }
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
    /// Subscribed, and clicked in one of the last issues; none where the clicks of none of them name anybody.
    pub clicking: Option<i64>,
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

/// Counts by quarter hours since 1970.
#[derive(Clone, Debug, Default)]
pub struct Quarters {
    /// What the list's journal says.
    pub moves: Vec<Moved>,
    /// Readers who are subscribed, by when they first joined.
    pub standing: Vec<(i64, i64)>,
    /// Those of `standing` who get nothing, for their addresses are suppressed: by when they were lost.
    pub lost: Vec<Lost>,
    /// The same by when they first joined.
    pub lost_of: Vec<(i64, i64)>,
    /// Subscribed readers who click, by when they first joined.
    pub clicking: Vec<(i64, i64)>,
    /// The issues in which they did.
    pub issues: Looked,
    /// All subscriptions by status.
    pub statuses: Vec<(Status, i64)>,
}

/// Which way readers went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Joined,
    /// Brought by an import then, and nobody knows when they joined.
    Imported,
    Left,
}

/// Readers who joined or left in one quarter of an hour.
#[derive(Clone, Debug)]
pub struct Moved {
    pub way: Way,
    pub quarter: i64,
    /// Why they left, if it is known, or that they had been here before.
    pub why: String,
    pub number: i64,
}

/// Readers whose addresses were suppressed.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The status of their subscriptions.
    pub status: Status,
    pub quarter: i64,
    pub why: String,
    pub number: i64,
}

/// Puts quarter hours together to weeks and months of the zone of this name, up to `now`; of UTC where it is unknown.
pub fn growth(counted: &Quarters, now: Timestamp, zone: &str) -> Growth {
    let wall = Wall(schedule::zone(zone).unwrap_or(TimeZone::UTC));
    let still: i64 = counted.standing.iter().map(|&(_, number)| number).sum();
    let lost: i64 = counted.lost.iter().map(|lost| lost.number).sum();
    Growth {
        subscribed: still - lost,
        statuses: statuses(counted),
        weeks: weeks(counted, now, &wall),
        cohorts: cohorts(counted, &wall),
        zone: zone.to_owned(),
        issues: counted.issues,
    }
}

/// Who came and who went, in the last weeks up to `now`.
fn weeks(counted: &Quarters, now: Timestamp, wall: &Wall) -> Vec<Week> {
    let this_week = week_of(wall.day(now.0.div_euclid(QUARTER)));
    let first = this_week - i64::try_from(WEEKS).unwrap_or(0) + 1;
    let mut weeks: Vec<Week> = (first..=this_week)
        .map(|week| Week {
            monday: date(week * 7 - 3).to_string(),
            ..Week::default()
        })
        .collect();
    let place = |quarter: i64| {
        let place = usize::try_from(week_of(wall.day(quarter)) - first).ok();
        place.filter(|&place| place < WEEKS)
    };
    for moved in &counted.moves {
        if let Some(place) = place(moved.quarter) {
            weeks[place].add(moved);
        }
    }
    for lost in &counted.lost {
        if let Some(place) = place(lost.quarter) {
            weeks[place].left += lost.number;
            *weeks[place].why.entry(lost.why.clone()).or_default() += lost.number;
        }
    }
    for week in &mut weeks {
        week.net = week.joined + week.imported - week.left;
        week.why.retain(|_, number| *number != 0);
    }
    weeks
}

impl Week {
    fn add(&mut self, moved: &Moved) {
        match moved.way {
            Way::Joined => self.joined += moved.number,
            Way::Imported => self.imported += moved.number,
            Way::Left => self.left += moved.number,
        }
        match (moved.way, moved.why.as_str()) {
            (Way::Left, why) => {
                let why = if why.is_empty() { UNSAID } else { why };
                *self.why.entry(why.to_owned()).or_default() += moved.number;
            }
            (Way::Joined, RETURNED) => self.returned += moved.number,
            (Way::Joined | Way::Imported, _) => {}
        }
    }
}

/// Readers by the month in which they joined first, the last months.
fn cohorts(counted: &Quarters, wall: &Wall) -> Vec<Cohort> {
    let mut cohorts: BTreeMap<String, Cohort> = BTreeMap::new();
    let mut cohort = |quarter: i64, count: &dyn Fn(&mut Cohort)| {
        count(cohorts.entry(month_of(wall.day(quarter))).or_default());
    };
    let first = |moved: &&Moved| moved.way != Way::Left && moved.why != RETURNED;
    for moved in counted.moves.iter().filter(first) {
        cohort(moved.quarter, &|cohort| cohort.joined += moved.number);
    }
    for &(quarter, number) in &counted.standing {
        cohort(quarter, &|cohort| cohort.subscribed += number);
    }
    for &(quarter, number) in &counted.lost_of {
        cohort(quarter, &|cohort| cohort.subscribed -= number);
    }
    for &(quarter, number) in &counted.clicking {
        cohort(quarter, &|cohort| {
            *cohort.clicking.get_or_insert_default() += number
        });
    }
    cohorts.retain(|_, cohort| cohort.joined != 0);
    for cohort in cohorts.values_mut() {
        let known = cohort.clicking.unwrap_or(0);
        cohort.clicking = counted.issues.tell().then_some(known);
    }
    let skipped = cohorts.len().saturating_sub(MONTHS);
    let last = cohorts.into_iter().skip(skipped);
    last.map(|(month, cohort)| Cohort { month, ..cohort })
        .collect()
}

/// How subscriptions stand; whose reader is suppressed has a status of its own.
fn statuses(counted: &Quarters) -> BTreeMap<String, i64> {
    let statuses = counted.statuses.iter();
    let mut statuses: BTreeMap<String, i64> = statuses
        .map(|&(status, number)| (status.name().to_owned(), number))
        .collect();
    for lost in &counted.lost {
        *statuses.entry(lost.status.name().to_owned()).or_default() -= lost.number;
        *statuses.entry(SUPPRESSED.into()).or_default() += lost.number;
    }
    statuses.retain(|_, number| *number > 0);
    statuses
}

/// The clock on the wall of a zone.
struct Wall(TimeZone);

impl Wall {
    /// The day of a quarter of an hour, as days since 1970.
    fn day(&self, quarter: i64) -> i64 {
        let at = Timestamp(quarter.saturating_mul(QUARTER));
        let ahead = i64::from(self.0.to_offset(at.to_jiff()).seconds()) * 1_000;
        Timestamp(at.0.saturating_add(ahead)).day()
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
    use super::{Looked, Lost, Moved, Quarters, Way, growth};
    use crate::clock::{DAY, HOUR, Timestamp};
    use crate::subscriber::Status;

    /// 1 November 2026, a Sunday, in quarter hours, and a day of them.
    const SUNDAY: i64 = 20_758 * D;
    const D: i64 = 96;
    const NOW: Timestamp = Timestamp(20_758 * DAY + 12 * HOUR);

    fn moved(way: Way, quarter: i64, why: &str, number: i64) -> Moved {
        let why = why.into();
        Moved {
            way,
            quarter,
            why,
            number,
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_cohorts_by_month() {
        let counted = Quarters {
            moves: vec![
                moved(Way::Joined, SUNDAY, "", 3),
                moved(Way::Joined, SUNDAY - 6 * D, "", 2),
                moved(Way::Joined, SUNDAY - 7 * D, "", 10),
                moved(Way::Joined, SUNDAY - 40 * D, "", 5),
                moved(Way::Left, SUNDAY - D, "too-often", 1),
                moved(Way::Left, SUNDAY - 7 * D, "", 4),
                moved(Way::Left, SUNDAY - 4_000 * D, "", 9),
            ],
            standing: vec![(SUNDAY, 3), (SUNDAY - 7 * D, 10), (SUNDAY - 40 * D, 5)],
            lost: vec![Lost {
                status: Status::Confirmed,
                quarter: SUNDAY - 2 * D,
                why: "bounced".into(),
                number: 2,
            }],
            lost_of: vec![(SUNDAY - 40 * D, 2)],
            clicking: vec![(SUNDAY - 7 * D, 6)],
            issues: Looked { last: 8, untold: 2 },
            statuses: vec![(Status::Confirmed, 18), (Status::Pending, 2)],
        };
        let found = growth(&counted, NOW, "UTC");
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
                ("2026-09", 5, 3, Some(0)),
                ("2026-10", 12, 10, Some(6)),
                ("2026-11", 3, 3, Some(0))
            ]
        );
        assert_eq!(found.zone, "UTC");
        let said = found.issues.said().unwrap_or_default();
        assert!(said.contains("2 of the last 8 issues"), "{said}");
        // Where clicks name nobody, nobody is not what is said.
        let issues = Looked { last: 8, untold: 8 };
        let found = growth(&Quarters { issues, ..counted }, NOW, "UTC");
        assert!(found.cohorts.iter().all(|cohort| cohort.clicking.is_none()));
        let said = found.issues.said().unwrap_or_default();
        assert!(said.contains("none of the last 8 issues"), "{said}");
    }

    #[test]
    fn who_was_imported_has_not_joined_and_who_came_back_joined_twice_and_is_of_the_first_month() {
        let counted = Quarters {
            moves: vec![
                moved(Way::Imported, SUNDAY, "", 42),
                moved(Way::Joined, SUNDAY - 40 * D, "", 1),
                moved(Way::Left, SUNDAY, "erased", 2),
                moved(Way::Left, SUNDAY - 7 * D, "", 1),
                moved(Way::Left, SUNDAY - 7 * D, "too-often", 0),
                moved(Way::Joined, SUNDAY, "returned", 1),
            ],
            standing: vec![(SUNDAY, 40), (SUNDAY - 40 * D, 1)],
            ..Quarters::default()
        };
        let found = growth(&counted, NOW, "UTC");
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

    #[test]
    fn weeks_and_months_begin_at_midnight_of_the_zone_whichever_it_is_and_over_a_change_of_clocks()
    {
        // Sunday, 1 November 2026, a quarter to midnight in UTC, and the quarter of an hour behind it.
        let last = SUNDAY + D - 1;
        let counted = Quarters {
            moves: vec![
                moved(Way::Joined, SUNDAY - 1, "", 1),
                moved(Way::Joined, last, "", 10),
                moved(Way::Joined, last + 1, "", 100),
            ],
            ..Quarters::default()
        };
        let now = Timestamp(NOW.0 + DAY);
        let told = |zone| {
            let found = growth(&counted, now, zone);
            assert_eq!(found.zone, zone);
            let weeks = found.weeks.iter().rev().take(2);
            let weeks: Vec<(String, i64)> = weeks
                .map(|week| (week.monday.clone(), week.joined))
                .collect();
            let months = found
                .cohorts
                .into_iter()
                .map(|cohort| (cohort.month, cohort.joined));
            (weeks, months.collect::<Vec<_>>())
        };
        let of = |name: &str, number| (name.to_owned(), number);
        for (zone, this, october) in [
            ("UTC", 100, 1),
            // An hour ahead since the change of clocks a week ago.
            ("Europe/Berlin", 110, 0),
            // Five and three quarters ahead, and four behind until this very day.
            ("Asia/Kathmandu", 110, 0),
            ("America/New_York", 0, 1),
        ] {
            let (weeks, months) = told(zone);
            let monday = [of("2026-11-02", this), of("2026-10-26", 111 - this)];
            assert_eq!(weeks, monday, "{zone}");
            let mut expected = vec![of("2026-10", october), of("2026-11", 111 - october)];
            expected.retain(|(_, number)| *number > 0);
            assert_eq!(months, expected, "{zone}");
        }
    }
}
