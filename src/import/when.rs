//! The times that other services write, as instants.
//!
//! Promises: what is not understood is none and never a guess; `03/04/2024` is not understood. A time without
//! an offset is UTC.

use crate::clock::Timestamp;

/// 1990: nobody joined a mailing list by such a service before, but a table without times has zeros.
const EARLIEST: i64 = 631_152_000_000;
/// Unix seconds above this are milliseconds.
const SECONDS: i64 = 100_000_000_000;

/// The instant that `text` names, if it names one between 1990 and `now`.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    let found = instant(text)
        .or_else(|| wall_clock(text))
        .or_else(|| unix(text))?;
    (EARLIEST..=now.0)
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

fn wall_clock(text: &str) -> Option<i64> {
    // A zone in brackets behind it, or an hour without minutes, is nothing that a service writes.
    let plain = |b: u8| b.is_ascii_digit() || b"-:. T".contains(&b);
    if !text.bytes().all(plain) || !text.contains('-') {
        return None;
    }
    let at: jiff::civil::DateTime = match text.parse() {
        Ok(at) => at,
        Err(_) => text.parse::<jiff::civil::Date>().ok()?.into(),
    };
    let at = jiff::tz::TimeZone::UTC.to_timestamp(at).ok()?;
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
    use super::parse;
    use crate::clock::Timestamp;

    #[test]
    fn the_times_of_services_are_read_and_doubtful_ones_are_not() {
        let now = Timestamp(1_785_484_800_000);
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
            assert_eq!(parse(text, now), noon, "{text}");
        }
        assert_eq!(parse("2024-01-05", now), Some(Timestamp(1_704_412_800_000)));
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
            assert_eq!(parse(text, now), None, "{text}");
        }
    }
}
