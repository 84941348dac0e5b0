//! Dates as newsletters write them above their text.
//!
//! Promises: English month names and ISO 8601; a line that holds more than a date is none.

use jiff::civil::Date;

use crate::issue::dates::english_month;

/// What may stand beside a date on its line.
const FILLERS: [&str; 18] = [
    "to",
    "and",
    "until",
    "through",
    "week",
    "of",
    "the",
    "from",
    "issue",
    "edition",
    "date",
    "dates",
    "published",
    "on",
    "for",
    "sent",
    "vol",
    "no",
];
/// Characters of what may stand beside a date on its line.
const BESIDE: usize = 40;
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// First and last day, both included.
type Span = (Date, Date);

/// First and last day of a line that says nothing but a date or a span of dates.
pub(super) fn line(text: &str) -> Option<Span> {
    if text.len() > 80 {
        return None;
    }
    let iso = iso(text);
    if !iso.is_empty() {
        // What begins with a digit is part of the dates or of a time behind them.
        let rest = words(text);
        let quiet = rest
            .iter()
            .all(|word| is_filler(word) || word.starts_with(|c: char| c.is_ascii_digit()));
        return quiet.then(|| (iso[0], *iso.last().expect("it holds one")));
    }
    let mut months: Vec<(usize, i8)> = Vec::new();
    let mut days: Vec<(usize, i8)> = Vec::new();
    let mut year = None;
    for (at, word) in words(text).into_iter().enumerate() {
        let bare = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if let Some(month) = english_month(&word) {
            months.push((at, month));
        } else if let (Ok(number), true) = (word.parse::<i16>(), word.len() == 4) {
            year = Some(number);
        } else if let (Ok(day @ 1..=31), "st" | "nd" | "rd" | "th" | "") =
            (bare.parse::<i8>(), &word[bare.len()..])
        {
            days.push((at, day));
        } else if !is_filler(&word) {
            return None;
        }
    }
    let (year, first) = (year?, *days.first()?);
    let month_of = |at: usize| {
        let near = months.iter().min_by_key(|(month, _)| month.abs_diff(at));
        near.map(|(_, month)| *month)
    };
    let last = *days.get(1).unwrap_or(&first);
    if days.len() > 2 || months.len() > 2 {
        return None;
    }
    let (from_month, to_month) = match months.as_slice() {
        [(_, one)] => (*one, *one),
        _ => (month_of(first.0)?, month_of(last.0)?),
    };
    let to = Date::new(year, to_month, last.1).ok()?;
    let from_year = if from_month > to_month {
        year - 1
    } else {
        year
    };
    let from = Date::new(from_year, from_month, first.1).ok()?;
    (from <= to).then_some((from, to))
}

/// The dates of a line on which they stand beside something short, and what that is.
pub(super) fn beside(text: &str) -> Option<(Span, Vec<&str>)> {
    let divided: Vec<&str> = text
        .split(['|', '\u{b7}', '\u{2022}', '\u{2219}'])
        .collect();
    one_of(&divided).or_else(|| {
        let dashes = [" \u{2014} ", " \u{2013} ", " - "];
        let finer = dashes.iter().fold(divided, |parts, dash| {
            parts
                .into_iter()
                .flat_map(|part| part.split(dash))
                .collect()
        });
        one_of(&finer)
    })
}

/// The one date among parts of a line, and the others.
fn one_of<'a>(parts: &[&'a str]) -> Option<(Span, Vec<&'a str>)> {
    let mut found = None;
    let mut others = Vec::new();
    let parts = parts.iter().map(|part| part.trim());
    for part in parts.filter(|part| !part.is_empty()) {
        match line(part) {
            Some(_) if found.is_some() => return None,
            Some(dates) => found = Some(dates),
            None if part.chars().count() > BESIDE => return None,
            None => others.push(part),
        }
    }
    Some((found?, others))
}

/// Whether a line says a day and leaves it to its reader of which year, as sites do with what is new.
pub(super) fn lacks_year(text: &str) -> bool {
    // A leap year, for the 29th of February.
    line(text).is_none() && line(&format!("{text}, 2000")).is_some()
}

/// The dates that a title has in brackets at its end.
pub(super) fn bracketed(title: &str) -> Option<Span> {
    let (_, inner) = title.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    line(inner)
}

pub(super) fn is_weekday(word: &str) -> bool {
    WEEKDAYS.iter().any(|day| word.starts_with(day)) && word.ends_with("day")
}

/// Every ISO 8601 day in a text.
fn iso(text: &str) -> Vec<Date> {
    let starts = text.char_indices().map(|(at, _)| at);
    let dates = starts.filter_map(|at| {
        let day = text.get(at..at + 10)?;
        (day.as_bytes()[4] == b'-').then(|| day.parse::<Date>().ok())?
    });
    dates.collect()
}

fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !c.is_alphanumeric());
    let words = split.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn is_filler(word: &str) -> bool {
    let weekday = WEEKDAYS.iter().any(|day| word.starts_with(day));
    FILLERS.contains(&word) || (weekday && word.len() <= 9)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{beside, bracketed, lacks_year, line};

    #[test]
    fn a_date_is_found_beside_other_things_and_in_a_titles_brackets() {
        let june = |day| (date(2026, 6, day), date(2026, 6, day));
        let found = beside("By Jane Doe \u{b7} June 7, 2026 \u{b7} 5 min read");
        assert_eq!(found, Some((june(7), vec!["By Jane Doe", "5 min read"])));
        let found = beside("Issue 87 \u{2014} June 7, 2026");
        assert_eq!(found, Some((june(7), vec!["Issue 87"])));
        assert_eq!(beside("We met again - 7 June 2026 - and 8 June 2026"), None);
        assert_eq!(beside("June 7"), None);
        let week = (date(2026, 6, 1), date(2026, 6, 7));
        assert_eq!(bracketed("The top papers (June 1 - 7, 2026)"), Some(week));
        assert_eq!(bracketed("The top papers (of June)"), None);
        assert!(lacks_year("Jun 21") && lacks_year("Sunday, 29 February"));
        assert!(!lacks_year("Jun 21, 2026") && !lacks_year("June") && !lacks_year("21"));
    }

    #[test]
    fn a_line_that_is_a_date_is_read_as_people_write_it() {
        let june = |from, to| Some((date(2026, 6, from), date(2026, 6, to)));
        for text in [
            "June 1-7, 2026",
            "1\u{2013}7 June 2026",
            "Jun 1 \u{2013} Jun 7, 2026",
            "2026-06-01 to 2026-06-07",
            "Week of June 1st to 7th, 2026",
            "Monday, 1 June \u{2014} Sunday, 7 June 2026",
        ] {
            assert_eq!(line(text), june(1, 7), "{text}");
        }
        assert_eq!(line("June 7, 2026"), june(7, 7));
        assert_eq!(line("2026-06-07T07:00:00Z"), june(7, 7));
        assert_eq!(
            line("Dec 29 - Jan 4, 2026"),
            Some((date(2025, 12, 29), date(2026, 1, 4)))
        );
    }

    #[test]
    fn a_sentence_with_a_date_in_it_is_none() {
        for text in [
            "On June 7, 2026 the paper came out",
            "12 papers in 2026",
            "June",
            "may 2026",
            "31 June 2026",
            "2026",
            "7-1 June 2026",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
    }
}
