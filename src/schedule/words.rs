//! The words in which an author says a time: a day, an hour, a zone.
//!
//! Promises: what could be read in two ways is not read. Leaves it to `schedule` which instant they mean.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::instant;
use crate::clock::Timestamp;

/// What an author may write.
pub(super) const EXPECTED: &str = "expected a time such as `2026-02-20 07:00`, `friday 07:00`, \
                                   `tomorrow 7am Europe/Berlin` or `07:00`";

pub(super) struct Words {
    pub(super) day: Option<Day>,
    pub(super) time: Option<Time>,
    pub(super) zone: Option<String>,
}

/// A day as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Day {
    Date(Date),
    /// So many days after the one that it is.
    Near(i64),
    Week(Weekday),
}

impl Day {
    /// The day that was said in `zone` at `now`; of a day of the week the next one on which `time` is still to come.
    pub(super) fn next(self, time: Time, zone: &TimeZone, now: Timestamp) -> Result<Date, String> {
        self.of(zone, now, |today, weekday| {
            let is_ahead = instant(today.to_datetime(time), "", zone).0 > now;
            let waits = today.weekday().until(weekday);
            match waits {
                0 if !is_ahead => 7,
                waits => i64::from(waits),
            }
        })
    }

    /// The same for what may be past; of a day of the week the last one on which `time` was over.
    pub(super) fn last(self, time: Time, zone: &TimeZone, now: Timestamp) -> Result<Date, String> {
        self.of(zone, now, |today, weekday| {
            let is_over = instant(today.to_datetime(time), "", zone).0 <= now;
            match today.weekday().since(weekday) {
                0 if !is_over => -7,
                ago => -i64::from(ago),
            }
        })
    }

    fn of(
        self,
        zone: &TimeZone,
        now: Timestamp,
        weekday: impl FnOnce(Date, Weekday) -> i64,
    ) -> Result<Date, String> {
        let today = zone.to_datetime(now.to_jiff()).date();
        let days = match self {
            Day::Date(date) => return Ok(date),
            Day::Near(days) => days,
            Day::Week(day) => weekday(today, day),
        };
        let span = jiff::Span::new().days(days);
        today.checked_add(span).map_err(|error| error.to_string())
    }
}

/// Reads `[day] hour [zone]`, `hour [day] [zone]` or a day alone.
pub(super) fn words(text: &str) -> Result<Words, String> {
    let wrong = || format!("`{text}` is no time; {EXPECTED}");
    let mut found = Words {
        day: None,
        time: None,
        zone: None,
    };
    let mut rest = text.trim();
    if let Some(date) = rest.get(..10).and_then(|day| day.parse::<Date>().ok()) {
        found.day = Some(Day::Date(date));
        rest = rest[10..].trim_start_matches(['T', 't', ' ']);
    } else if let Some((day, after)) = day_of(rest) {
        found.day = Some(day);
        rest = after;
    }
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != ':')
        .unwrap_or(rest.len());
    if end > 0 {
        let (clock, after) = rest.split_at(end);
        let (half, after) = half_of(after);
        found.time = Some(time(clock, half).ok_or_else(wrong)?);
        rest = after.trim_start();
        if let Some((day, after)) = day_of(rest) {
            if found.day.is_some() {
                return Err(wrong());
            }
            found.day = Some(day);
            rest = after;
        }
    }
    let name = rest.trim();
    // Words that were not understood are no zone.
    if found.time.is_none() && name.contains(char::is_whitespace) {
        return Err(wrong());
    }
    if !name.is_empty() {
        found.zone = Some(name.to_owned());
    }
    if found.day.is_none() && found.time.is_none() {
        return Err(wrong());
    }
    Ok(found)
}

/// The word of a day with which `text` begins, and what follows.
fn day_of(text: &str) -> Option<(Day, &str)> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    let day = match word.to_ascii_lowercase().as_str() {
        "yesterday" => Day::Near(-1),
        "today" => Day::Near(0),
        "tomorrow" => Day::Near(1),
        "monday" | "mon" => Day::Week(Weekday::Monday),
        "tuesday" | "tue" => Day::Week(Weekday::Tuesday),
        "wednesday" | "wed" => Day::Week(Weekday::Wednesday),
        "thursday" | "thu" => Day::Week(Weekday::Thursday),
        "friday" | "fri" => Day::Week(Weekday::Friday),
        "saturday" | "sat" => Day::Week(Weekday::Saturday),
        "sunday" | "sun" => Day::Week(Weekday::Sunday),
        _ => return None,
    };
    Some((day, after.trim_start()))
}

/// A half of the day, of twelve hours.
#[derive(Clone, Copy)]
enum Half {
    Before,
    After,
}

/// `am` or `pm` at the beginning of what stands behind an hour, and what follows; `America/New_York` is neither.
fn half_of(text: &str) -> (Option<Half>, &str) {
    let word = text.trim_start();
    let end = word.find(char::is_whitespace).unwrap_or(word.len());
    let (word, after) = word.split_at(end);
    match word.to_ascii_lowercase().as_str() {
        "am" => (Some(Half::Before), after),
        "pm" => (Some(Half::After), after),
        _ => (None, text),
    }
}

/// `07:00`, `7:00` and, with its half of the day, `7` (12 is the first hour of either).
fn time(clock: &str, half: Option<Half>) -> Option<Time> {
    let Some(half) = half else {
        // `7:00` is how people write it, `07:00` what the library reads.
        return format!("{clock:0>5}").parse().ok();
    };
    let (hour, minute) = clock.split_once(':').unwrap_or((clock, "00"));
    if hour.len() > 2 || minute.len() != 2 {
        return None;
    }
    let hour: i8 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let first = match half {
        Half::Before => 0,
        Half::After => 12,
    };
    Time::new(first + hour % 12, minute.parse().ok()?, 0, 0).ok()
}
