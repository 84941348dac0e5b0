//! Days as people write them, for offers that end.

use jiff::civil::{Date, date};

use crate::issue::dates::english_month;

/// Reads `2026-05-31`, `31.5.2026`, `31 May 2026`, `May 31st, 2026` and the same without a year, which
/// then is the one nearest to `today`. Other words around it do not matter; what is ambiguous
/// (`5/6/2026`) is nothing.
pub(super) fn read(text: &str, today: Date) -> Option<Date> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    if let Some(day) = words.iter().find_map(|word| numeric(word)) {
        return Some(day);
    }
    let at = words
        .iter()
        .position(|word| english_month(word).is_some())?;
    let month = english_month(words[at])?;
    let before = at.checked_sub(1).and_then(|at| words.get(at));
    let day = [before, words.get(at + 1)].into_iter().flatten();
    let day = day
        .filter_map(|word| ordinal(word))
        .find(|day| (1..=31).contains(day))?;
    let year = words.iter().filter_map(|word| word.parse::<i16>().ok());
    let year = year.into_iter().find(|year| (2000..=2200).contains(year));
    match year {
        Some(year) => Date::new(year, month, day).ok(),
        None => nearest(month, day, today),
    }
}

/// Whether words name an end that [`read`] cannot read: they hold digits or a month, or are over
/// already. A day of the week is the next one.
pub(super) fn is_unread(text: &str, today: Date) -> bool {
    let named = |word: &str| {
        let word = word
            .trim_matches(|c: char| !c.is_alphanumeric())
            .to_lowercase();
        english_month(&word).is_some() || word == "yesterday"
    };
    let digits = text.bytes().any(|octet| octet.is_ascii_digit());
    read(text, today).is_none() && (digits || text.split_whitespace().any(named))
}

fn numeric(word: &str) -> Option<Date> {
    let word = word.trim_end_matches(['.', ';', ')']);
    let mut parts = word.split('-');
    if let (Some(y), Some(m), Some(d), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
        && y.len() == 4
    {
        return Date::new(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?).ok();
    }
    let mut parts = word.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(d), Some(m), Some(y), None) if y.len() == 4 => {
            Date::new(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?).ok()
        }
        _ => None,
    }
}

fn ordinal(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let suffix = &word[digits.len()..];
    let fine = ["", ".", "st", "nd", "rd", "th"].contains(&suffix);
    digits.parse().ok().filter(|_| fine)
}

fn nearest(month: i8, day: i8, today: Date) -> Option<Date> {
    let year = today.year();
    let candidates = [year.checked_sub(1)?, year, year.checked_add(1)?];
    let distance = |other: &Date| (*other - today).get_days().abs();
    candidates
        .into_iter()
        .filter_map(|year| Date::new(year, month, day).ok())
        .min_by_key(distance)
        .or_else(|| Some(date(year, month, 28)).filter(|_| (month, day) == (2, 29)))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{is_unread, read};

    #[test]
    fn an_end_that_cannot_be_read_is_told_from_one_without_a_day() {
        let today = date(2026, 11, 29);
        for text in [
            "06/07/2026",
            "yesterday",
            "end of October",
            "1 octobre 2026",
            "31 February 2026",
        ] {
            assert!(is_unread(text, today), "{text}");
        }
        for text in [
            "stocks last",
            "",
            "Sunday at midnight",
            "tonight",
            "31 May 2026",
            "it is gone",
        ] {
            assert!(!is_unread(text, today), "{text}");
        }
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        let today = date(2026, 11, 24);
        for (text, expected) in [
            ("2026-05-31", Some(date(2026, 5, 31))),
            ("Sunday, 31 May 2026", Some(date(2026, 5, 31))),
            ("May 31st, 2027", Some(date(2027, 5, 31))),
            ("31.5.2026", Some(date(2026, 5, 31))),
            ("30 November", Some(date(2026, 11, 30))),
            ("Jan 6", Some(date(2027, 1, 6))),
            ("midnight on 20 Nov", Some(date(2026, 11, 20))),
            ("5/6/2026", None),
            ("the end of May", None),
            ("stocks last", None),
            ("31 February 2026", None),
            ("", None),
        ] {
            assert_eq!(read(text, today), expected, "{text}");
        }
    }
}
