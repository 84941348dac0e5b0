//! What stands behind a colon: issues, times, names and domains.

use jiff::civil::Date;

use crate::segment::parser::Parser;
use crate::segment::{ISSUES_LIMIT, Of, SegmentError};
use crate::slug::Slug;

impl Parser<'_> {
    /// `last-3`, or the slug of an issue.
    pub(super) fn of(&self, at: usize, value: &str) -> Result<Of, SegmentError> {
        let Some(number) = value.strip_prefix("last-") else {
            return Ok(Of::Issue(self.slug(at, value)?));
        };
        issues(number).map(Of::Last).ok_or_else(|| {
            let message = format!("`{number}` is no number of issues");
            let help = format!("expected 1 to {ISSUES_LIMIT}, such as `last-3`");
            self.wrong_at(at + "last-".len(), number.len(), message, help)
        })
    }

    /// `30d` or `6w`.
    pub(super) fn days(&self, at: usize, value: &str) -> Result<u32, SegmentError> {
        let (number, unit) =
            value.split_at(value.len() - value.chars().last().map_or(0, char::len_utf8));
        let days = match unit {
            "d" => Some(1),
            "w" => Some(7),
            _ => None,
        };
        let number = number
            .parse::<u32>()
            .ok()
            .filter(|n| (1..=36_500).contains(n));
        match (number, days) {
            (Some(number), Some(days)) => Ok(number * days),
            _ => {
                let message = format!("`{value}` is no time");
                let help = "expected days or weeks, such as `joined:30d` or `joined:6w`; a day is \
                            compared, as in `joined > 2026-01-01`";
                Err(self.wrong_at(at, value.len(), message, help))
            }
        }
    }

    pub(super) fn slug(&self, at: usize, value: &str) -> Result<String, SegmentError> {
        match Slug::parse(value) {
            Ok(slug) => Ok(slug.to_string()),
            Err(error) => {
                let message = format!("`{value}` names nothing");
                Err(self.wrong_at(at, value.len(), message, error.to_string()))
            }
        }
    }

    pub(super) fn domain(&self, at: usize, value: &str) -> Result<String, SegmentError> {
        let plain = value.trim_start_matches('@').to_lowercase();
        // Addresses are kept under the name that the mail goes by: `xn--mnchen-3ya.de` for `münchen.de`.
        let plain = match plain.is_ascii() {
            true => plain,
            false => idna::domain_to_ascii_strict(&plain).unwrap_or(plain),
        };
        let part = |part: &str| {
            let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            !part.is_empty() && part.bytes().all(fine)
        };
        if plain.len() <= 253 && plain.split('.').all(part) {
            return Ok(plain);
        }
        let message = format!("`{value}` is no domain");
        Err(self.wrong_at(at, value.len(), message, "expected one such as `gmail.com`"))
    }
}

pub(super) fn issues(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| plain)?;
    (1..=ISSUES_LIMIT).contains(&number).then_some(number)
}

pub(super) fn iso(text: &str) -> Option<Date> {
    let day: Date = text.parse().ok()?;
    (day.to_string() == text).then_some(day)
}

/// What to write with a key.
pub(super) fn example(key: &str) -> String {
    let written = match key {
        "tag" => "tag:paid",
        "field" => "field:city = \"Berlin\"",
        "joined" => "joined > 2026-01-01` or `joined:30d",
        "sent" => "sent:last-3` or `sent:<slug of an issue>",
        "opened" => "opened:last-3` or `opened:<slug of an issue>",
        "clicked" => "clicked:last-3` or `clicked:<slug of an issue>",
        "inactive" => "inactive:8",
        "source" => "source:import` or `source:form",
        "list" => "list:weekly",
        "domain" => "domain:gmail.com",
        _ => "frequency:monthly",
    };
    format!("write `{written}`")
}
