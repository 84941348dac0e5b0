//! What single cells say of how a reader stands there.
//!
//! Promises: an empty cell, and what programs write for one, is no leaving; what is neither a yes nor a no nor a word
//! that somebody listed is a doubt, and never a yes to mail. Leaves which columns say it to `columns`.

use crate::import::services::{Service, Standing, folded};

/// How a column speaks of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// By a word for how the reader stands.
    Word,
    /// By a word for how the reader stands, or by one for something else.
    Hint,
    /// By a time or a yes, if that is how the reader stands.
    Gone(Standing),
    /// By a no, if the reader has left.
    Wanted,
}

/// How the times begin that mean none.
const NEVER: [&str; 3] = ["0000-00-00", "0001-01-01", "1970-01-01"];
/// What programs and people write for yes, for no and for nothing.
const YES: [&str; 12] = [
    "true", "yes", "y", "t", "on", "x", "ja", "oui", "si", "sí", "sim", "sì",
];
const NO: [&str; 13] = [
    "false", "no", "n", "f", "off", "never", "nein", "non", "não", "nao", "nee", "nej", "nei",
];
const NONE: [&str; 6] = ["null", "none", "nil", "nan", "na", "nat"];

impl Sign {
    /// How the reader stands by this cell of an export of `service`; none when nobody knows.
    pub(super) fn read(self, service: &Service, cell: &str) -> Option<Standing> {
        let (yes, no) = match self {
            Sign::Word if is_blank(cell) => return Some(Standing::Joined),
            Sign::Word => return service.standing(cell),
            Sign::Hint => return Some(service.standing(cell).unwrap_or(Standing::Joined)),
            Sign::Gone(standing) => (standing, Standing::Joined),
            // A table may say its noes by saying nothing.
            Sign::Wanted if is_blank(cell) => return None,
            Sign::Wanted => (Standing::Joined, Standing::Left),
        };
        match says_yes(cell) {
            Some(true) => Some(yes),
            Some(false) => Some(no),
            None => service.standing(cell),
        }
    }
}

fn is_blank(cell: &str) -> bool {
    cell.trim_matches(|c: char| c.is_whitespace() || "-\u{2013}\u{2014}[]{}".contains(c))
        .is_empty()
}

/// Whether the cell holds nothing, or what programs write for nothing and for no.
pub(super) fn is_none(cell: &str) -> bool {
    says_yes(cell) == Some(false)
}

/// Whether the cell holds nothing, or what programs write for nothing; a no and a zero are something.
pub(super) fn is_nothing(cell: &str) -> bool {
    let cell = cell.trim();
    is_blank(cell) || cell.starts_with(NEVER[0]) || NONE.contains(&folded(cell).as_str())
}

/// Whether the cell says no in so many words.
pub(super) fn says_no(cell: &str) -> bool {
    let cell = cell.trim();
    cell == "0" || NO.contains(&folded(cell).as_str())
}

/// Whether the cell says yes, by a word, a number or a time; none when it is nothing of these.
pub(super) fn says_yes(cell: &str) -> Option<bool> {
    let cell = cell.trim();
    if is_blank(cell) || NEVER.iter().any(|none| cell.starts_with(none)) {
        return Some(false);
    }
    if cell.bytes().any(|octet| octet.is_ascii_digit()) {
        return Some(cell.bytes().any(|octet| (b'1'..=b'9').contains(&octet)));
    }
    let word = folded(cell);
    let word = word.as_str();
    let no = NO.contains(&word) || NONE.contains(&word);
    match (YES.contains(&word), no) {
        (false, false) => None,
        (yes, _) => Some(yes),
    }
}

#[cfg(test)]
mod tests {
    use super::Sign;
    use crate::import::services::{Service, Standing};

    #[test]
    fn a_time_or_a_yes_is_a_leaving_and_what_stands_for_nothing_is_none() {
        let left = |cell| Sign::Gone(Standing::Left).read(Service::any(), cell);
        for cell in [
            "2021-01-01 00:00:00",
            "03/04/2024",
            "1704456672",
            "TRUE",
            "Yes",
            "1",
            "x",
            "unsubscribed",
        ] {
            assert_eq!(left(cell), Some(Standing::Left), "{cell}");
        }
        for cell in [
            "",
            " ",
            "-",
            "\u{2014}",
            "NULL",
            "\\N",
            "None",
            "n/a",
            "NaN",
            "false",
            "no",
            "0",
            "0.0",
            "0000-00-00 00:00:00 +0100",
            "0001-01-01T00:00:00Z",
            "1970-01-01",
        ] {
            assert_eq!(left(cell), Some(Standing::Joined), "{cell}");
        }
        for cell in ["perhaps", "\u{2713}", "?"] {
            assert_eq!(left(cell), None, "{cell}");
            assert_eq!(Sign::Word.read(Service::any(), cell), None, "{cell}");
        }
    }

    #[test]
    fn a_no_to_mail_is_a_leaving_and_silence_is_a_doubt() {
        let wanted = |cell| Sign::Wanted.read(Service::any(), cell);
        for (cell, standing) in [
            ("yes", Some(Standing::Joined)),
            ("2021-05-06", Some(Standing::Joined)),
            ("false", Some(Standing::Left)),
            ("0", Some(Standing::Left)),
            ("never", Some(Standing::Left)),
            ("nein", Some(Standing::Left)),
            ("Não", Some(Standing::Left)),
            ("ja", Some(Standing::Joined)),
            ("pending", Some(Standing::Pending)),
            ("", None),
            ("-", None),
            ("sometimes", None),
        ] {
            assert_eq!(wanted(cell), standing, "{cell}");
        }
    }
}
