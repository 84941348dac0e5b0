//! How a reader's date or number is written for readers: as the issue's language does.
//!
//! Promises: a pure function of the stored value and of what the revision holds, so that a copy can be made
//! again; a value that is no date or number any more (its field was declared anew) is shown as it is.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::issue::dates;
use crate::issue::front::iso_day;
use crate::subscriber::field::FieldKind;

/// The notation of a slot, with the language (BCP 47) in which the issue is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notation {
    /// `2026-03-03` as "3 March 2026".
    Date(String),
    /// `12345.5` as "12,345.5".
    Number(String),
}

/// Whole digits from which a number is grouped; fewer may be a year.
const GROUPED: usize = 5;

/// A language's sign between groups of three digits, and before a fraction.
const SIGNS: [(&str, &str, &str); 7] = [
    ("en", ",", "."),
    ("de", ".", ","),
    // Imprimerie nationale, and the Real Academia: a thin space that does not break.
    ("fr", "\u{202f}", ","),
    ("es", "\u{202f}", ","),
    ("it", ".", ","),
    ("nl", ".", ","),
    ("pt", ".", ","),
];

impl Notation {
    /// How values of this kind are written in `language`; texts and truths are shown as they are.
    pub fn of(kind: FieldKind, language: &str) -> Option<Notation> {
        match kind {
            FieldKind::Date => Some(Notation::Date(language.to_owned())),
            FieldKind::Number => Some(Notation::Number(language.to_owned())),
            FieldKind::Text | FieldKind::Bool => None,
        }
    }

    /// The value as a reader reads it.
    pub fn write<'a>(&self, value: &'a str) -> Cow<'a, str> {
        let written = match self {
            Notation::Date(language) => iso_day(value).map(|day| dates::shown(day, language)),
            Notation::Number(language) => number(value, language),
        };
        written.map_or(Cow::Borrowed(value), Cow::Owned)
    }
}

/// A plain decimal number in a language that is known.
fn number(value: &str, language: &str) -> Option<String> {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    let same = |(known, _, _): &&(&str, _, _)| known.eq_ignore_ascii_case(primary);
    let (_, group, point) = SIGNS.iter().find(same)?;
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", value),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    let mut out = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && whole.len() >= GROUPED && (whole.len() - index).is_multiple_of(3) {
            out.push_str(group);
        }
        out.push(digit);
    }
    // A whole number that was read as a fraction has a zero behind its point.
    if !fraction.is_empty() && fraction != "0" {
        out.push_str(point);
        out.push_str(fraction);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::Notation;
    use crate::subscriber::field::FieldKind;

    fn written(kind: FieldKind, language: &str, value: &str) -> String {
        let notation = Notation::of(kind, language).expect("a notation");
        notation.write(value).into_owned()
    }

    #[test]
    fn a_date_is_written_as_its_language_does() {
        for (language, expected) in [
            ("en", "3 March 2026"),
            ("de-CH", "3. M\u{e4}rz 2026"),
            ("pt-BR", "3 de mar\u{e7}o de 2026"),
            ("ja", "2026-03-03"),
        ] {
            assert_eq!(written(FieldKind::Date, language, "2026-03-03"), expected);
        }
        assert_eq!(written(FieldKind::Date, "en", "March"), "March");
    }

    #[test]
    fn a_number_is_grouped_from_five_digits_on() {
        for (value, english, german) in [
            ("7", "7", "7"),
            ("2026", "2026", "2026"),
            ("12345", "12,345", "12.345"),
            ("-1234567.25", "-1,234,567.25", "-1.234.567,25"),
            ("3.5", "3.5", "3,5"),
            ("3.0", "3", "3"),
            ("1e21", "1e21", "1e21"),
            ("", "", ""),
        ] {
            assert_eq!(written(FieldKind::Number, "en-GB", value), english);
            assert_eq!(written(FieldKind::Number, "de", value), german);
        }
        assert_eq!(
            written(FieldKind::Number, "fr", "12345.5"),
            "12\u{202f}345,5"
        );
        assert_eq!(written(FieldKind::Number, "fi", "12345.5"), "12345.5");
    }

    #[test]
    fn texts_and_truths_are_shown_as_they_are() {
        assert_eq!(Notation::of(FieldKind::Text, "en"), None);
        assert_eq!(Notation::of(FieldKind::Bool, "en"), None);
    }
}
