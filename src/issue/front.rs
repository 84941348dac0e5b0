//! The front matter of an issue: YAML between two lines of `---`, typed.
//!
//! Promises: unknown keys, wrong types and missing titles are errors with their line.

use jiff::civil::Date;
use serde::Deserialize;

use crate::diagnostic::{Diagnostic, Source};

/// What stands above the text. Every text is one line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Front {
    pub title: String,
    /// The title when absent.
    pub subject: Option<String>,
    /// The teaser when absent.
    pub preheader: Option<String>,
    pub teaser: Option<String>,
    pub dates: Option<Dates>,
    /// `digest` when absent.
    pub theme: Option<String>,
    /// The publication's list when absent.
    pub list: Option<String>,
    #[serde(default)]
    pub authors: Vec<Author>,
    /// Where "share this issue" leads.
    pub share: Option<String>,
}

/// The days an issue covers, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    pub from: Date,
    pub to: Date,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Author {
    pub name: String,
    pub url: Option<String>,
}

const MONTHS: [&str; 12] = [
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
];

impl Dates {
    /// For readers: "1\u{2013}7 June 2026" in English, ISO 8601 days elsewhere.
    pub fn shown(&self, language: &str) -> String {
        let (from, to) = (self.from, self.to);
        if from == to && !language.starts_with("en") {
            return from.to_string();
        }
        if !language.starts_with("en") {
            return format!("{from} \u{2013} {to}");
        }
        let month = |date: Date| MONTHS[usize::from(date.month().unsigned_abs()) - 1];
        let end = format!("{} {} {}", to.day(), month(to), to.year());
        if from == to {
            end
        } else if from.year() != to.year() {
            format!(
                "{} {} {} \u{2013} {end}",
                from.day(),
                month(from),
                from.year()
            )
        } else if from.month() != to.month() {
            format!("{} {} \u{2013} {end}", from.day(), month(from))
        } else {
            format!("{}\u{2013}{end}", from.day())
        }
    }
}

/// Splits a file into front matter and body and reads the former. Gives the offset of the body.
pub(crate) fn read(source: Source<'_>) -> Result<(Front, usize), Diagnostic> {
    let missing = || {
        source
            .error(
                0,
                "front-matter",
                "the file does not begin with front matter",
            )
            .help("begin with `---`, `title: ...` and another `---`, each on its own line")
    };
    let rest = source.text.strip_prefix("---\n").ok_or_else(missing)?;
    let start = "---\n".len();
    let end = if rest.starts_with("---\n") {
        0
    } else {
        rest.find("\n---\n")
            .map(|end| end + 1)
            .or_else(|| {
                let bare = rest.strip_suffix("\n---");
                bare.map(|before| before.len() + 1)
            })
            .ok_or_else(|| {
                source.error(
                    0,
                    "front-matter",
                    "the front matter is never closed with `---`",
                )
            })?
    };
    let yaml = &rest[..end];
    let front: Front = serde_saphyr::from_str(yaml).map_err(|error| {
        let place = error.location();
        let offset = place.map_or(0, |place| offset_of(yaml, place.line(), place.column()));
        source.error(start + offset, "front-matter", sentence(&error))
    })?;
    check(&front, &source)?;
    Ok((front, (start + end + "---\n".len()).min(source.text.len())))
}

/// Offset of the line on which `key` stands, for findings about its value.
pub(crate) fn key_offset(source: &Source<'_>, key: &str) -> usize {
    let needle = format!("\n{key}:");
    source.text.find(&needle).map_or(0, |at| at + 1)
}

/// Offset of the value of `key`, where it stands there letter by letter; of the key otherwise.
pub(crate) fn value_offset(source: &Source<'_>, key: &str, value: &str) -> usize {
    let start = key_offset(source, key);
    let line = source.text[start..].lines().next().unwrap_or_default();
    start + line.find(value).unwrap_or_default()
}

fn check(front: &Front, source: &Source<'_>) -> Result<(), Diagnostic> {
    let lines = [
        ("title", Some(&front.title)),
        ("subject", front.subject.as_ref()),
        ("preheader", front.preheader.as_ref()),
        ("teaser", front.teaser.as_ref()),
        ("share", front.share.as_ref()),
    ];
    for (key, value) in lines {
        let Some(value) = value else { continue };
        let problem = if value.trim().is_empty() {
            format!("`{key}` is empty")
        } else if value.contains(char::is_control) {
            format!("`{key}` is more than one line or holds a control character")
        } else if key != "subject" && key != "share" && value.contains("[[") {
            format!("`{key}` is the same for every reader; slots stand in the subject and the text")
        } else {
            continue;
        };
        return Err(source.error(key_offset(source, key), "front-matter", problem));
    }
    if let Some(Dates { from, to }) = front.dates
        && from > to
    {
        let message = format!("`dates` ends on {to}, before it begins on {from}");
        return Err(source.error(key_offset(source, "dates"), "front-matter", message));
    }
    Ok(())
}

/// The parser's own words without its drawing of the place, which we tell ourselves.
fn sentence(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    line.trim_start_matches("error: ")
        .trim_end_matches('.')
        .to_owned()
}

fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let skip = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(skip).map(str::len).sum();
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let rest = text.get(before..).unwrap_or_default();
    before + rest.chars().take(column).map(char::len_utf8).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{Dates, read};
    use crate::diagnostic::Source;

    fn problem(text: &str) -> String {
        let file = "issue.md";
        read(Source { file, text })
            .expect_err("an error")
            .to_string()
    }

    #[test]
    fn a_full_front_matter_is_read_and_the_body_follows() {
        let text = "---\ntitle: \"A: b\"\nteaser: t\ndates: { from: 2026-06-01, to: 2026-06-07 }\n\
                    authors:\n  - name: Ada\n    url: https://a.example\n---\nbody";
        let file = "issue.md";
        let (front, body) = read(Source { file, text }).expect("front matter");
        assert_eq!(front.title, "A: b");
        assert_eq!(front.authors[0].name, "Ada");
        assert_eq!(&text[body..], "body");
    }

    #[test]
    fn errors_name_the_line() {
        let unknown = problem("---\ntitle: a\ntilte: b\n---\n");
        assert!(
            unknown.starts_with("issue.md:3:1: error[front-matter]: "),
            "{unknown}"
        );
        assert!(unknown.contains("tilte"), "{unknown}");
        let kind = problem("---\ntitle: a\nauthors: b\n---\n");
        assert!(kind.starts_with("issue.md:3:"), "{kind}");
        let title = problem("---\nsubject: a\n---\n");
        assert!(title.contains("title"), "{title}");
        let date = problem("---\ntitle: a\ndates: {from: 2026-02-30, to: 2026-03-01}\n---\n");
        assert!(date.starts_with("issue.md:3:"), "{date}");
        assert!(problem("title: a\n").contains("does not begin"));
        assert!(problem("---\ntitle: a\n").contains("never closed"));
        assert!(problem("---\ntitle: \"\"\n---\n").contains("`title` is empty"));
        assert!(problem("---\ntitle: \"a\\nb\"\n---\n").contains("more than one line"));
        assert!(problem("---\ntitle: \"[[name]]\"\n---\n").contains("same for every reader"));
        let dates = problem("---\ntitle: a\ndates: {from: 2026-03-02, to: 2026-03-01}\n---\n");
        assert!(dates.contains("before it begins"), "{dates}");
    }

    #[test]
    fn dates_read_as_people_write_them() {
        let shown = |from, to| Dates { from, to }.shown("en");
        let june = date(2026, 6, 1);
        assert_eq!(shown(june, june), "1 June 2026");
        assert_eq!(shown(june, date(2026, 6, 7)), "1\u{2013}7 June 2026");
        assert_eq!(shown(june, date(2026, 7, 1)), "1 June \u{2013} 1 July 2026");
        assert_eq!(
            shown(date(2025, 12, 29), date(2026, 1, 4)),
            "29 December 2025 \u{2013} 4 January 2026"
        );
        let both = Dates {
            from: june,
            to: date(2026, 6, 7),
        };
        assert_eq!(both.shown("de"), "2026-06-01 \u{2013} 2026-06-07");
    }
}
