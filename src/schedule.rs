//! When a run starts: a time in the author's words, and the same hour in each reader's own zone.
//!
//! Promises: an hour that the clocks skip or strike twice is taken by one rule (RFC 5545: skipped, it
//! moves on; struck twice, the first counts) and told. Leaves the waiting to `deliver`.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::clock::Timestamp;
use crate::schedule::words::{EXPECTED, words};

mod words;

/// A start as the author said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub at: Timestamp,
    /// The zone in which it was said, for showing it again.
    pub zone: String,
    /// Which instant was taken, where the words left two or none.
    pub note: Option<String>,
}

/// The zone of this name: of the IANA database, `UTC`, `Z`, or an offset such as `+01:00`.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    if matches!(name, "Z" | "z" | "UTC" | "utc") {
        return Ok(TimeZone::UTC);
    }
    if name.starts_with(['+', '-']) {
        let offset = offset(name).ok_or_else(|| {
            format!("`{name}` is no offset from UTC; expected one such as `+01:00`")
        })?;
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| {
        format!("no time zone is named `{name}`; expected one such as `Europe/Berlin`")
    })
}

/// Reads a start such as `2026-02-20 07:00 Europe/Berlin`, `friday 07:00` or `tomorrow 7am`. Without a zone it is in
/// `usual`; without a day it is the next such time after `now`, and with a day of the week the next such time on one.
pub fn start(text: &str, usual: &str, now: Timestamp) -> Result<Start, String> {
    let words = words(text)?;
    let name = words.zone.as_deref().unwrap_or(usual);
    let zone = zone(name)?;
    let time = words
        .time
        .ok_or_else(|| format!("`{text}` has no time of day; {EXPECTED}"))?;
    let date = match words.day {
        Some(day) => day.next(time, &zone, now)?,
        None => next_day(time, &zone, now)?,
    };
    let (at, note) = instant(DateTime::from_parts(date, time), name, &zone);
    if at <= now {
        return Err(format!(
            "`{text}` is past: it was {}; name a later hour, and its zone if another is meant (`pressrun send` without \
             `--at` sends now)",
            shown(at, name)
        ));
    }
    Ok(Start {
        at,
        zone: name.to_owned(),
        note,
    })
}

/// Reads a time that may be past, such as `2026-02-20 07:00 Europe/Berlin` or `2026-02-20T06:00:00Z`. Without a zone it
/// is in `usual`; a day alone is its beginning, and an hour or a day of the week alone the last such before `now`.
pub fn moment(text: &str, usual: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(exact) = text.trim().parse::<jiff::Timestamp>() {
        return Ok(Timestamp(exact.as_millisecond()));
    }
    let words = words(text)?;
    let name = words.zone.as_deref().unwrap_or(usual);
    let zone = zone(name)?;
    let time = words.time.unwrap_or(Time::midnight());
    let on = |date: Date| instant(DateTime::from_parts(date, time), name, &zone).0;
    if let Some(day) = words.day {
        return Ok(on(day.last(time, &zone, now)?));
    }
    let today = zone.to_datetime(now.to_jiff()).date();
    if on(today) <= now {
        return Ok(on(today));
    }
    let yesterday = today.yesterday().map_err(|error| error.to_string())?;
    Ok(on(yesterday))
}

/// Reads the hour at which each reader gets the mail, and the day from `at` (a day alone) or from the
/// hour itself; without one it is the next such hour in the zone `usual`.
pub fn local(
    hour: &str,
    at: Option<&str>,
    usual: &str,
    now: Timestamp,
) -> Result<DateTime, String> {
    let said = words(hour)?;
    let zoned = || "with `--at-local` each reader's own zone counts; leave the zone out".to_owned();
    if said.zone.is_some() {
        return Err(zoned());
    }
    let time = said
        .time
        .ok_or_else(|| format!("`{hour}` is no time of day; expected one such as `07:00`"))?;
    let day = match at {
        None => said.day,
        Some(text) => {
            let day = words(text)?;
            if day.zone.is_some() {
                return Err(zoned());
            }
            match (day.day, day.time) {
                (Some(day), None) => Some(day),
                _ => return Err(format!("`{text}` must be a day alone beside `--at-local`")),
            }
        }
    };
    let day = match day {
        Some(day) => day.next(time, &zone(usual)?, now)?,
        None => next_day(time, &zone(usual)?, now)?,
    };
    Ok(DateTime::from_parts(day, time))
}

/// When it is `local` in `zone`; an unknown zone is none.
pub fn in_zone(local: DateTime, name: &str) -> Option<Timestamp> {
    let zone = zone(name).ok()?;
    Some(instant(local, name, &zone).0)
}

/// `Fri 20 Feb 2026 07:00 Europe/Berlin`; in UTC where the zone is unknown.
pub fn shown(at: Timestamp, name: &str) -> String {
    let (zone, name) = match zone(name) {
        Ok(zone) => (zone, name),
        Err(_) => (TimeZone::UTC, "UTC"),
    };
    let local = zone.to_datetime(at.to_jiff());
    format!("{} {name}", local.strftime("%a %-d %b %Y %H:%M"))
}

/// The time on the wall in `zone`; in UTC where the zone is unknown.
pub fn on_the_wall(at: Timestamp, name: &str) -> DateTime {
    let zone = zone(name).unwrap_or(TimeZone::UTC);
    zone.to_datetime(at.to_jiff())
}

/// `45 s`, `12 min`, `2 h 5 min`, `3 days`: as a person says it, never longer than two parts.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (minutes, hours) = (seconds.div_ceil(60), seconds / 3600);
    match seconds {
        0..120 => format!("{} s", length.as_millis().div_ceil(1000)),
        120..7200 => format!("{minutes} min"),
        7200..172_800 => match seconds / 60 % 60 {
            0 => format!("{hours} h"),
            rest => format!("{hours} h {rest} min"),
        },
        _ => format!("{} days", (hours + 12) / 24),
    }
}

fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = text.split_at_checked(1)?;
    // A reader's own words come here: what is no digit has no place at which it may be cut.
    let plain = |octet: u8| octet.is_ascii_digit() || octet == b':';
    if digits.len() > 5 || !digits.bytes().all(plain) {
        return None;
    }
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 => digits.split_at(2),
        None => (digits, "0"),
    };
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    if hours > 14 || minutes >= 60 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}

/// The day of the next `time` after `now`.
fn next_day(time: Time, zone: &TimeZone, now: Timestamp) -> Result<Date, String> {
    let today = zone.to_datetime(now.to_jiff()).date();
    if instant(DateTime::from_parts(today, time), "", zone).0 > now {
        return Ok(today);
    }
    today.tomorrow().map_err(|error| error.to_string())
}

/// The instant of a time on the wall, and what to tell where there are two or none.
fn instant(local: DateTime, name: &str, zone: &TimeZone) -> (Timestamp, Option<String>) {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let offset = ambiguous.offset();
    let at = ambiguous.compatible();
    let at = Timestamp(at.map_or(i64::MAX, jiff::Timestamp::as_millisecond));
    let hour = local.strftime("%H:%M");
    let utc = at.to_jiff().strftime("%H:%M UTC");
    let day = local.date();
    let note = match offset {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => {
            let taken = zone.to_datetime(at.to_jiff()).strftime("%H:%M").to_string();
            Some(format!(
                "the clocks of {name} skip {hour} on {day}: {taken} is taken ({utc})"
            ))
        }
        AmbiguousOffset::Fold { before, after } => Some(format!(
            "the clocks of {name} strike {hour} twice on {day}: the first is taken ({utc}, offset {before}); \
             say `{day} {hour} {}` for the second",
            spelled(after)
        )),
    };
    (at, note)
}

/// `+01:00`, as [`zone`] reads it.
fn spelled(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_oneof, proptest};

    use super::{in_zone, local, moment, shown, span, start, zone};
    use crate::clock::Timestamp;

    /// Thursday, 19 February 2026, 12:00 UTC.
    const NOW: Timestamp = Timestamp(1_771_502_400_000);

    fn at(text: &str) -> Result<String, String> {
        let found = start(text, "Europe/Berlin", NOW)?;
        Ok(format!(
            "{} = {}",
            found.at.to_rfc3339(),
            shown(found.at, &found.zone)
        ))
    }

    #[test]
    fn a_moment_may_be_past_and_is_read_as_a_start_is() {
        for (text, expected) in [
            ("2026-02-01 07:00", "2026-02-01T06:00:00Z"),
            ("2026-02-01T07:00 Asia/Tokyo", "2026-01-31T22:00:00Z"),
            ("2026-02-01T07:00:00+02:00", "2026-02-01T05:00:00Z"),
            ("2026-02-01T07:00:00.5Z", "2026-02-01T07:00:00Z"),
            ("2026-02-01", "2026-01-31T23:00:00Z"),
            ("7:30", "2026-02-19T06:30:00Z"),
            ("23:30", "2026-02-18T22:30:00Z"),
            ("yesterday", "2026-02-17T23:00:00Z"),
            ("monday", "2026-02-15T23:00:00Z"),
            ("thursday 14:00", "2026-02-12T13:00:00Z"),
            ("2027-02-01 07:00", "2027-02-01T06:00:00Z"),
        ] {
            let read = moment(text, "Europe/Berlin", NOW).expect("a moment");
            assert_eq!(
                Timestamp(read.0 / 1000 * 1000).to_rfc3339(),
                expected,
                "{text}"
            );
        }
        for wrong in [
            "",
            "soon",
            "2026-02-30 07:00",
            "07:00 Europe/Berlni",
            "25:00",
        ] {
            moment(wrong, "Europe/Berlin", NOW).expect_err(wrong);
        }
    }

    #[test]
    fn a_start_is_read_with_and_without_day_and_zone() {
        for (text, expected) in [
            (
                "2026-02-20 07:00 Europe/Berlin",
                "2026-02-20T06:00:00Z = Fri 20 Feb 2026 07:00 Europe/Berlin",
            ),
            (
                "2026-07-20 7:30",
                "2026-07-20T05:30:00Z = Mon 20 Jul 2026 07:30 Europe/Berlin",
            ),
            (
                "2026-02-20T07:00:00-05:00",
                "2026-02-20T12:00:00Z = Fri 20 Feb 2026 07:00 -05:00",
            ),
            (
                "2026-02-20T07:00Z",
                "2026-02-20T07:00:00Z = Fri 20 Feb 2026 07:00 Z",
            ),
            (
                "14:00",
                "2026-02-19T13:00:00Z = Thu 19 Feb 2026 14:00 Europe/Berlin",
            ),
            (
                "12:00 Europe/Berlin",
                "2026-02-20T11:00:00Z = Fri 20 Feb 2026 12:00 Europe/Berlin",
            ),
        ] {
            assert_eq!(at(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_start_is_read_in_words_of_days_and_hours_of_two_halves() {
        // It is Thursday, 13:00 in Berlin, 21:00 in Tokyo and Friday, 01:00 in Auckland.
        for (text, expected) in [
            ("friday 07:00", "Fri 20 Feb 2026 07:00 Europe/Berlin"),
            ("Fri 7am", "Fri 20 Feb 2026 07:00 Europe/Berlin"),
            ("wednesday 7:30pm", "Wed 25 Feb 2026 19:30 Europe/Berlin"),
            // The day of today while its hour is still to come, else that of next week.
            ("thursday 14:00", "Thu 19 Feb 2026 14:00 Europe/Berlin"),
            ("thursday 12:00", "Thu 26 Feb 2026 12:00 Europe/Berlin"),
            ("today 7 pm", "Thu 19 Feb 2026 19:00 Europe/Berlin"),
            ("tomorrow 12am", "Fri 20 Feb 2026 00:00 Europe/Berlin"),
            ("12:30 PM tomorrow", "Fri 20 Feb 2026 12:30 Europe/Berlin"),
            (
                "Tomorrow 7am Europe/Berlin",
                "Fri 20 Feb 2026 07:00 Europe/Berlin",
            ),
            // Which day it is, the zone that was named says.
            (
                "tomorrow 7am Pacific/Auckland",
                "Sat 21 Feb 2026 07:00 Pacific/Auckland",
            ),
            (
                "7am friday Pacific/Auckland",
                "Fri 20 Feb 2026 07:00 Pacific/Auckland",
            ),
            (
                "friday 07:00 America/New_York",
                "Fri 20 Feb 2026 07:00 America/New_York",
            ),
            ("2026-02-20 7pm", "Fri 20 Feb 2026 19:00 Europe/Berlin"),
            ("7pm", "Thu 19 Feb 2026 19:00 Europe/Berlin"),
        ] {
            let found = start(text, "Europe/Berlin", NOW).expect(text);
            assert_eq!(shown(found.at, &found.zone), expected, "{text}");
        }
        let hour = local("7am", Some("monday"), "Europe/Berlin", NOW).expect("an hour");
        assert_eq!(hour.to_string(), "2026-02-23T07:00:00");
        // The clocks of Berlin have skipped this hour by the next such day.
        let march = Timestamp(1_774_526_400_000);
        let found = start("sunday 2:30am", "Europe/Berlin", march).expect("a start");
        assert_eq!(found.at.to_rfc3339(), "2026-03-29T01:30:00Z");
        assert!(found.note.is_some());
    }

    #[test]
    fn what_is_no_start_is_told_with_what_is() {
        for (text, expected) in [
            ("soon", "`soon` is no time; expected a time such as"),
            ("tomorrow", "`tomorrow` has no time of day; expected a time"),
            ("friday", "`friday` has no time of day"),
            (
                "7",
                "`7` is no time; expected a time such as `2026-02-20 07:00`, `friday 07:00`",
            ),
            ("friday 7", "`friday 7` is no time"),
            ("13pm", "`13pm` is no time"),
            ("0am", "`0am` is no time"),
            ("7:61pm", "`7:61pm` is no time"),
            ("next friday 07:00", "`next friday 07:00` is no time"),
            (
                "friday saturday 07:00",
                "`friday saturday 07:00` is no time",
            ),
            (
                "2026-02-20 friday 07:00",
                "`2026-02-20 friday 07:00` is no time",
            ),
            (
                "friday 07:00 saturday",
                "`friday 07:00 saturday` is no time",
            ),
            ("07:00 am pm", "no time zone is named `pm`"),
            (
                "today 07:00",
                "`today 07:00` is past: it was Thu 19 Feb 2026 07:00 Europe/Berlin; name a later hour",
            ),
            (
                "yesterday 7pm",
                "`yesterday 7pm` is past: it was Wed 18 Feb 2026 19:00",
            ),
            ("2026-02-20", "`2026-02-20` has no time of day"),
            ("2026-02-30 07:00", "`2026-02-30 07:00` is no time"),
            ("25:00", "`25:00` is no time"),
            (
                "2026-02-20 07:00 Europe/Belrin",
                "no time zone is named `Europe/Belrin`",
            ),
            ("07:00 +25:00", "`+25:00` is no offset"),
            ("07:00 +a€", "`+a€` is no offset"),
            ("07:00 +999999999", "`+999999999` is no offset"),
            ("07:00 +", "`+` is no offset"),
            (
                "2026-02-19 07:00 America/New_York",
                "`2026-02-19 07:00 America/New_York` is past: it was Thu 19 Feb 2026 07:00 America/New_York; \
                 name a later hour, and its zone if another is meant",
            ),
        ] {
            let error = at(text).expect_err(text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_zone_in_anybodys_words_is_one_or_none(
            name in prop_oneof!["[+-].{0,8}", "[+-][0-9:€😀]{0,12}", ".{0,40}"]
        ) {
            if let Ok(zone) = zone(&name) {
                zone.to_datetime(NOW.to_jiff());
            }
        }
    }

    #[test]
    fn an_hour_skipped_or_struck_twice_is_taken_by_one_rule_and_told() {
        let said = |text: &str| {
            let found = start(text, "UTC", NOW).expect(text);
            (found.at.to_rfc3339(), found.note.unwrap_or_default())
        };
        let (at, note) = said("2026-03-29 02:30 Europe/Berlin");
        assert_eq!(at, "2026-03-29T01:30:00Z");
        assert_eq!(
            note,
            "the clocks of Europe/Berlin skip 02:30 on 2026-03-29: 03:30 is taken (01:30 UTC)"
        );
        let (at, note) = said("2026-10-25 02:30 Europe/Berlin");
        assert_eq!(at, "2026-10-25T00:30:00Z");
        let second = "say `2026-10-25 02:30 +01:00` for the second";
        assert!(note.contains("twice") && note.ends_with(second), "{note}");
        let (at, note) = said("2026-10-25 02:30 +01:00");
        assert_eq!((at.as_str(), note.as_str()), ("2026-10-25T01:30:00Z", ""));
        let (at, note) = said("2026-03-29 03:30 Europe/Berlin");
        assert_eq!((at.as_str(), note.as_str()), ("2026-03-29T01:30:00Z", ""));
    }

    #[test]
    fn a_local_hour_comes_to_each_zone_in_its_own_time() {
        let hour = local("07:00", Some("2026-03-29"), "Europe/Berlin", NOW).expect("an hour");
        let there = |zone: &str| in_zone(hour, zone).map(Timestamp::to_rfc3339);
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(there("Europe/Berlin"), is("2026-03-29T05:00:00Z"));
        assert_eq!(there("Asia/Tokyo"), is("2026-03-28T22:00:00Z"));
        assert_eq!(there("America/New_York"), is("2026-03-29T11:00:00Z"));
        assert_eq!(there("Middle-earth/Shire"), None);
        let next = local("07:00", None, "Europe/Berlin", NOW).expect("an hour");
        assert_eq!(next.to_string(), "2026-02-20T07:00:00");
        let wrong = local("07:00 UTC", None, "UTC", NOW).expect_err("a zone");
        assert!(wrong.contains("own zone"), "{wrong}");
        local("07:00", Some("2026-03-29 08:00"), "UTC", NOW).expect_err("two hours");
        local("soon", None, "UTC", NOW).expect_err("no hour");
    }

    #[test]
    fn a_span_is_said_as_people_say_it() {
        let said = [0, 45, 119, 120, 725, 7_200, 7_500, 172_800, 1_000_000];
        let said = said.map(|seconds| span(Duration::from_secs(seconds)));
        let expected = [
            "0 s",
            "45 s",
            "119 s",
            "2 min",
            "13 min",
            "2 h",
            "2 h 5 min",
            "2 days",
            "12 days",
        ];
        assert_eq!(said, expected.map(str::to_owned));
    }
}
