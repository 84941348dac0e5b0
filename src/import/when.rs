//! The times that other services write, as instants.
//!
//! Promises: what is not understood is none and never a guess; `03/04/2024` is not understood. A time without
//! an offset is UTC, and a day without a time begins where the publication is: its weeks and months are those of there.

use jiff::tz::TimeZone;

use crate::app::App;
use crate::clock::Timestamp;
use crate::schedule;

/// 1990: nobody joined a mailing list by such a service before, but a table without times has zeros.
const EARLIEST: i64 = 631_152_000_000;
/// Unix seconds above this are milliseconds.
const SECONDS: i64 = 100_000_000_000;

/// When and where a file is read.
#[derive(Clone, Debug)]
pub struct Here {
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
}

impl Here {
    /// Where the publication is, at `now`.
    pub(super) fn of(app: &App, now: Timestamp) -> Here {
        let zone = schedule::zone(&app.config.publication.timezone);
        Here {
            now,
            zone: zone.unwrap_or(TimeZone::UTC),
        }
    }
}

/// The instant that `text` names, if it names one between 1990 and now.
pub(super) fn parse(text: &str, here: &Here) -> Option<Timestamp> {
    let text = text.trim();
    let found = instant(text)
        .or_else(|| wall_clock(text, &here.zone))
        .or_else(|| unix(text))?;
    (EARLIEST..=here.now.0)
        .contains(&found)
        .then_some(Timestamp(found))
}

/// RFC 3339, and what Go writes: `2024-01-05 10:11:12.5 +0100 CET`.
fn instant(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let mut words = text.split_ascii_whitespace();
    let (day, time, offset) = (words.next()?, words.next()?, words.next()?);
    let offset = if offset == "UTC" { "Z" } else { offset };
    let at: jiff::Timestamp = format!("{day}T{time}{offset}").parse().ok()?;
    Some(at.as_millisecond())
}

fn wall_clock(text: &str, zone: &TimeZone) -> Option<i64> {
    // A zone in brackets behind it, or an hour without minutes, is nothing that a service writes.
    let plain = |b: u8| b.is_ascii_digit() || b"-:. T".contains(&b);
    if !text.bytes().all(plain) || !text.contains('-') {
        return None;
    }
    let at = match text.parse::<jiff::civil::Date>() {
        Ok(day) if !text.contains(':') => zone.to_timestamp(day.into()),
        _ => TimeZone::UTC.to_timestamp(text.parse().ok()?),
    };
    let at = at.ok()?;
    Some(at.as_millisecond())
}

fn unix(text: &str) -> Option<i64> {
    if !text.bytes().all(|b| b.is_ascii_digit()) || text.len() < 9 {
        return None;
    }
    let number: i64 = text.parse().ok()?;
    Some(if number > SECONDS {
        number
    } else {
        number * 1000
    })
}

#[cfg(test)]
mod tests {
    use super::{Here, parse};
    use crate::clock::Timestamp;
    use crate::schedule;

    #[test]
    fn the_times_of_services_are_read_and_doubtful_ones_are_not() {
        let now = Timestamp(1_785_484_800_000);
        let parse = |text| {
            let zone = jiff::tz::TimeZone::UTC;
            parse(text, &Here { now, zone })
        };
        let noon = Some(Timestamp(1_704_456_672_000));
        for text in [
            "2024-01-05T12:11:12Z",
            "2024-01-05T12:11:12.000Z",
            "2024-01-05T13:11:12+01:00",
            "2024-01-05 12:11:12",
            "2024-01-05 12:11:12 UTC",
            "2024-01-05 13:11:12 +0100 CET",
            "2024-01-05 12:11:12.000 +0000 UTC",
            "1704456672",
            " 1704456672000 ",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(parse("2024-01-05"), Some(Timestamp(1_704_412_800_000)));
        for text in [
            "",
            "0",
            "01/05/2024",
            "yesterday",
            "2024",
            "20240105",
            "2031-01-01",
            "1970-01-01",
            "2024-13-01",
            "12:11",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_begins_where_the_publication_is_and_a_time_does_not_move() {
        let zone = schedule::zone("America/New_York").expect("a zone");
        let now = Timestamp(1_785_484_800_000);
        let here = Here { now, zone };
        let day = parse("2024-01-05", &here);
        assert_eq!(day, Some(Timestamp(1_704_430_800_000)));
        let time = parse("2024-01-05 12:11:12", &here);
        assert_eq!(time, Some(Timestamp(1_704_456_672_000)));
    }
}
