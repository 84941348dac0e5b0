//! Days as readers of a language write them.
//!
//! Promises: a language that is not known gets ISO 8601, which everybody can read. Leaves it to others
//! which language a text has.

use jiff::civil::Date;

/// The days an issue covers, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    pub from: Date,
    pub to: Date,
}

/// How a language writes "7 June 2026".
struct Form {
    language: &'static str,
    /// Behind a day's number.
    ordinal: &'static str,
    /// Behind the number of a month's first day.
    first: &'static str,
    /// Before a month, and before a year behind a month.
    of: &'static str,
    months: [&'static str; 12],
}

const FORMS: [Form; 7] = [
    Form {
        language: "en",
        ordinal: "",
        first: "",
        of: " ",
        months: [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
    },
    Form {
        language: "de",
        ordinal: ".",
        first: ".",
        of: " ",
        months: [
            "Januar",
            "Februar",
            "M\u{e4}rz",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
    },
    Form {
        language: "fr",
        ordinal: "",
        first: "er",
        of: " ",
        months: [
            "janvier",
            "f\u{e9}vrier",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "ao\u{fb}t",
            "septembre",
            "octobre",
            "novembre",
            "d\u{e9}cembre",
        ],
    },
    Form {
        language: "es",
        ordinal: "",
        first: "",
        of: " de ",
        months: [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
    },
    Form {
        language: "it",
        ordinal: "",
        first: "\u{ba}",
        of: " ",
        months: [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
    },
    Form {
        language: "nl",
        ordinal: "",
        first: "",
        of: " ",
        months: [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
    },
    Form {
        language: "pt",
        ordinal: "",
        first: "",
        of: " de ",
        months: [
            "janeiro",
            "fevereiro",
            "mar\u{e7}o",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
    },
];

impl Form {
    fn of(language: &str) -> Option<&'static Form> {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        FORMS
            .iter()
            .find(|form| form.language.eq_ignore_ascii_case(primary))
    }

    fn day(&self, date: Date) -> String {
        let mark = if date.day() == 1 {
            self.first
        } else {
            self.ordinal
        };
        format!("{}{mark}", date.day())
    }

    fn month(&self, date: Date) -> String {
        let month = self.months[usize::from(date.month().unsigned_abs()) - 1];
        format!("{}{month}", self.of)
    }

    fn year(&self, date: Date) -> String {
        format!("{}{}", self.of, date.year())
    }
}

/// One day, such as "7 June 2026" in English.
pub fn shown(date: Date, language: &str) -> String {
    match Form::of(language) {
        None => date.to_string(),
        Some(form) => format!("{}{}{}", form.day(date), form.month(date), form.year(date)),
    }
}

impl Dates {
    /// Such as "1\u{2013}7 June 2026" in English; what both days share is said once.
    pub fn shown(&self, language: &str) -> String {
        let (from, to) = (self.from, self.to);
        let end = shown(to, language);
        if from == to {
            return end;
        }
        let Some(form) = Form::of(language) else {
            return format!("{from} \u{2013} {end}");
        };
        if from.year() != to.year() {
            return format!("{} \u{2013} {end}", shown(from, language));
        }
        match from.month() == to.month() {
            true => format!("{}\u{2013}{end}", form.day(from)),
            false => format!("{}{} \u{2013} {end}", form.day(from), form.month(from)),
        }
    }
}

/// The number of a month by its English name, or by three letters of it or more.
pub fn english_month(word: &str) -> Option<i8> {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    let known = |name: &str| word.len() >= 3 && name.to_ascii_lowercase().starts_with(&word);
    let at = FORMS[0].months.iter().position(|name| known(name))?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{Dates, shown};

    #[test]
    fn dates_read_as_people_write_them() {
        let june = date(2026, 6, 1);
        let week = date(2026, 6, 7);
        for (from, to, language, expected) in [
            (june, june, "en", "1 June 2026"),
            (june, week, "en-GB", "1\u{2013}7 June 2026"),
            (june, date(2026, 7, 1), "en", "1 June \u{2013} 1 July 2026"),
            (
                date(2025, 12, 29),
                date(2026, 1, 4),
                "en",
                "29 December 2025 \u{2013} 4 January 2026",
            ),
            (june, week, "de", "1.\u{2013}7. Juni 2026"),
            (june, week, "fr", "1er\u{2013}7 juin 2026"),
            (june, week, "es", "1\u{2013}7 de junio de 2026"),
            (
                june,
                date(2026, 7, 2),
                "pt-BR",
                "1 de junho \u{2013} 2 de julho de 2026",
            ),
            (june, week, "fi", "2026-06-01 \u{2013} 2026-06-07"),
        ] {
            assert_eq!(Dates { from, to }.shown(language), expected);
        }
        assert_eq!(shown(june, "it"), "1\u{ba} giugno 2026");
        assert_eq!(shown(june, "ja"), "2026-06-01");
    }
}
