//! The front matter of an issue: YAML between two lines of `---`, typed.
//!
//! Promises: every unknown key, wrong type and missing title is told, each at its place; what is fine is
//! read although something else is not.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::config::archive::Visibility;
use crate::config::typography::Typography;
use crate::diagnostic::{Diagnostic, Severity, Source, nearest};
use crate::issue::dates::Dates;
use crate::issue::yaml::{self, Entry, Node, Placed};

/// What stands above the text. Every text is one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    pub title: String,
    /// The title when absent.
    pub subject: Option<String>,
    /// The teaser when absent.
    pub preheader: Option<String>,
    pub teaser: Option<String>,
    pub dates: Option<Dates>,
    /// The day on which the author means to send it.
    pub date: Option<Date>,
    /// `digest` when absent.
    pub theme: Option<String>,
    /// The publication's list when absent.
    pub list: Option<String>,
    /// BCP 47; the publication's language when absent.
    pub lang: Option<String>,
    pub authors: Vec<Author>,
    /// Where "share this issue" leads.
    pub share: Option<String>,
    /// Who may read it in the archive; the configuration says when absent.
    pub archive: Option<Visibility>,
    /// The day on which its page in the archive may be shown first.
    pub embargo: Option<Date>,
    /// How its words are set; the configuration says when absent.
    pub typography: Option<Typography>,
    /// Offset in the file of each value that is given, by its key (`title`, `authors.0.url`).
    pub places: BTreeMap<String, usize>,
}

/// Who wrote the issue, and where more is said of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub name: String,
    pub url: Option<String>,
}

/// Every key there is.
const KEYS: [&str; 14] = [
    "title",
    "subject",
    "preheader",
    "teaser",
    "dates",
    "date",
    "theme",
    "list",
    "lang",
    "authors",
    "share",
    "archive",
    "embargo",
    "typography",
];
pub(super) const CODE: &str = "front-matter";

impl Front {
    /// Where the value of `key` stands; the start of the file when it is not given.
    pub fn place(&self, key: &str) -> usize {
        self.places.get(key).copied().unwrap_or_default()
    }

    /// The day an offer must outlast: the planned one, else the last that the issue covers.
    pub fn send_day(&self) -> Option<Date> {
        self.date.or(self.dates.map(|dates| dates.to))
    }
}

/// Splits a file into front matter and body and reads the former. Gives the offset of the body; without
/// a beginning or an end of the front matter there is none.
pub(super) fn read(source: Source<'_>, found: &mut Vec<Diagnostic>) -> Option<(Front, usize)> {
    let (front, body) = read_untitled(source, found)?;
    if !front.places.contains_key("title") {
        let error = source.error(0, CODE, "the issue has no `title`");
        found.push(error.help("write `title: ...` into the front matter"));
    }
    Some((front, body))
}

/// As [`read`], where another place may say the title.
pub(super) fn read_untitled(
    source: Source<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<(Front, usize)> {
    let Some(rest) = source.text.strip_prefix("---\n") else {
        let first = source.text.lines().next().unwrap_or_default();
        let (message, help) = match first.trim_end() {
            "---" => ("blanks stand behind `---`", "take them out"),
            _ => (
                "the file does not begin with front matter",
                "begin with `---`, `title: ...` and another `---`, each on its own line",
            ),
        };
        found.push(source.error(0, CODE, message).help(help));
        return None;
    };
    let start = "---\n".len();
    let bare = || rest.strip_suffix("\n---").map(|before| before.len() + 1);
    let end = match rest {
        rest if rest.starts_with("---\n") || rest == "---" => Some(0),
        rest => rest.find("\n---\n").map(|end| end + 1).or_else(bare),
    };
    let Some(end) = end else {
        let mut at = start;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == "---" {
                let message = "blanks stand behind `---`";
                found.push(source.error(at, CODE, message).help("take them out"));
                return None;
            }
            at += line.len();
        }
        found.push(source.error(0, CODE, "the front matter is never closed with `---`"));
        return None;
    };
    let body = (start + end + "---\n".len()).min(source.text.len());
    let mut reading = Reading {
        source,
        found,
        front: Front::default(),
    };
    match yaml::read(source, start..start + end, CODE) {
        Err(error) => {
            reading.found.push(error);
            // Whether it says a title nobody can tell.
            reading.front.places.insert("title".into(), 0);
        }
        Ok(Placed {
            node: Node::Map(entries),
            ..
        }) => reading.entries(&entries),
        Ok(Placed {
            node: Node::Nothing,
            ..
        }) => reading.entries(&[]),
        Ok(other) => {
            reading.error(&other, "the front matter is no list of `key: value`");
            reading.front.places.insert("title".into(), 0);
        }
    }
    Some((reading.front, body))
}

/// One reading.
struct Reading<'a> {
    source: Source<'a>,
    found: &'a mut Vec<Diagnostic>,
    front: Front,
}

impl Reading<'_> {
    fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            let value = &entry.value;
            match entry.key.as_str() {
                "title" => {
                    self.front.title = self.line("title", value).unwrap_or_default();
                    // What is wrong with it was told: it is not missing.
                    let places = &mut self.front.places;
                    places.entry("title".into()).or_insert(value.range.start);
                }
                "subject" => self.front.subject = self.line("subject", value),
                "preheader" => self.front.preheader = self.line("preheader", value),
                "teaser" => self.front.teaser = self.line("teaser", value),
                "theme" => self.front.theme = self.line("theme", value),
                "list" => self.front.list = self.line("list", value),
                "lang" => self.front.lang = self.language(value),
                "share" => self.front.share = self.line("share", value),
                "date" => self.front.date = self.day("date", value),
                "dates" => self.front.dates = self.dates(value),
                "authors" => self.authors(value),
                "archive" => self.front.archive = self.visibility(value),
                "embargo" => self.front.embargo = self.day("embargo", value),
                "typography" => self.front.typography = self.typography(value),
                _ => self.unknown(entry, &KEYS),
            }
        }
    }

    fn error(&mut self, value: &Placed, message: impl Into<String>) {
        let (at, length) = (value.range.start, value.range.len());
        let error = self
            .source
            .at(Severity::Error, at, length, CODE, message.into());
        self.found.push(error);
    }

    fn unknown(&mut self, entry: &Entry, known: &[&str]) {
        let message = format!("there is no key `{}`", entry.key);
        let (at, length) = (entry.range.start, entry.key.len());
        let error = self.source.at(Severity::Error, at, length, CODE, message);
        self.found
            .push(match nearest(&entry.key, known.iter().copied()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("there are: {}", known.join(", "))),
            });
    }

    /// Tells a ` #` in words that are not in quotes: to YAML all from there on is a comment, so that "Issue
    /// #42" would lose its number.
    fn comment(&mut self, key: &str) -> bool {
        // A key in quotes is not looked for, and the text below may begin a line with the same word.
        let front = self.source.text.split("\n---").next().unwrap_or_default();
        let Some(start) = front.find(&format!("\n{key}:")) else {
            return false;
        };
        let start = start + key.len() + 2;
        let words = &self.source.text[start..];
        let words = words.lines().next().unwrap_or_default();
        let quoted = words.trim_start().starts_with(['"', '\'', '|', '>']);
        let Some(sign) = words.find(" #").filter(|_| !quoted) else {
            return false;
        };
        let (at, length) = (start + sign + 1, words.len() - sign - 1);
        let message = format!("from `#` on this is a comment, and no part of `{key}`");
        let error = self.source.at(Severity::Error, at, length, CODE, message);
        let help = "put the words in quotes, or the comment on a line of its own";
        self.found.push(error.help(help));
        true
    }

    /// A text on one line; what is wrong with it is told.
    fn line(&mut self, key: &str, value: &Placed) -> Option<String> {
        let words = ["title", "subject", "preheader", "teaser", "share"];
        if words.contains(&key) && self.comment(key) {
            return None;
        }
        let Node::Text(text) = &value.node else {
            let problem = match value.node {
                Node::Nothing if self.is_marked(value) => {
                    format!("`{key}` begins with a mark of YAML's; put it in quotes")
                }
                Node::Nothing => format!("`{key}` is empty"),
                _ if self.source.text[value.range.start..].starts_with("[[") => {
                    format!("`{key}` begins with a slot; put it in quotes")
                }
                _ => format!("`{key}` is one text, not several"),
            };
            self.error(value, problem);
            return None;
        };
        let slots =
            matches!(key, "subject" | "preheader" | "teaser" | "share") || key.ends_with(".url");
        let problem = if text.trim().is_empty() {
            format!("`{key}` is empty")
        } else if text.trim_end_matches('\n').contains(char::is_control) {
            format!("`{key}` is more than one line or holds a control character")
        } else if !slots && text.contains("[[") {
            format!(
                "`{key}` is the same for every reader; slots stand in `subject`, `preheader`, `teaser` and \
                 in the text"
            )
        } else {
            // In quotes the text begins an octet later.
            let written = &self.source.text[value.range.start..];
            let lead = written.find(text.as_str()).filter(|lead| *lead < 4);
            let place = value.range.start + lead.unwrap_or_default();
            self.front.places.insert(key.to_owned(), place);
            return Some(text.trim().to_owned());
        };
        self.error(value, problem);
        None
    }

    /// Whether what YAML reads as nothing is an anchor or a tag.
    fn is_marked(&self, value: &Placed) -> bool {
        let before = &self.source.text[..value.range.start];
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.source.text[line..].lines().next();
        let words = line.and_then(|line| line.split_once(": "));
        words.is_some_and(|(_, words)| words.trim_start().starts_with(['&', '!']))
    }

    fn language(&mut self, value: &Placed) -> Option<String> {
        let text = self.line("lang", value)?;
        // RFC 5646, section 2.1, as far as anything is made of it.
        let part = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if text.split('-').all(part) {
            return Some(text);
        }
        let message = format!("`{text}` is no language; write one such as `en` or `pt-BR`");
        self.error(value, message);
        None
    }

    fn day(&mut self, key: &str, value: &Placed) -> Option<Date> {
        let text = self.line(key, value)?;
        let day = iso_day(&text);
        if day.is_none() {
            let message = format!("`{text}` is no day; write one such as `2026-06-07`");
            self.error(value, message);
        }
        day
    }

    fn visibility(&mut self, value: &Placed) -> Option<Visibility> {
        let names = Visibility::ALL.map(Visibility::name);
        self.one_of("archive", value, &names, Visibility::named)
    }

    fn typography(&mut self, value: &Placed) -> Option<Typography> {
        let names = Typography::ALL.map(Typography::name);
        self.one_of("typography", value, &names, Typography::named)
    }

    /// One of a few words.
    fn one_of<T>(
        &mut self,
        key: &str,
        value: &Placed,
        names: &[&str],
        named: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.line(key, value)?;
        let known = named(&text);
        if known.is_none() {
            let (at, length) = (value.range.start, value.range.len());
            let message = format!("`{key}` is not `{text}`");
            let error = self.source.at(Severity::Error, at, length, CODE, message);
            self.found
                .push(match nearest(&text, names.iter().copied()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("there are: {}", names.join(", "))),
                });
        }
        known
    }

    fn dates(&mut self, value: &Placed) -> Option<Dates> {
        let Node::Map(entries) = &value.node else {
            if matches!(value.node, Node::Text(_)) {
                let day = self.day("dates", value)?;
                return Some(Dates { from: day, to: day });
            }
            self.error(
                value,
                "`dates` takes `{ from: 2026-06-01, to: 2026-06-07 }`",
            );
            return None;
        };
        self.front.places.insert("dates".into(), value.range.start);
        let (mut from, mut to) = (None, None);
        let told = self.found.len();
        for entry in entries {
            match entry.key.as_str() {
                "from" => from = self.day("dates.from", &entry.value),
                "to" => to = self.day("dates.to", &entry.value),
                _ => self.unknown(entry, &["from", "to"]),
            }
        }
        match (from, to) {
            (Some(from), Some(to)) if from > to => {
                let message = format!("`dates` ends on {to}, before it begins on {from}");
                self.error(value, message);
                None
            }
            (Some(from), Some(to)) => Some(Dates { from, to }),
            _ => {
                if self.found.len() == told {
                    self.error(value, "`dates` needs both `from` and `to`");
                }
                None
            }
        }
    }

    fn authors(&mut self, value: &Placed) {
        let Node::List(list) = &value.node else {
            self.error(
                value,
                "`authors` takes a list of `- name: ...`, with a `url` or without",
            );
            return;
        };
        for author in list {
            let number = self.front.authors.len();
            let (mut name, mut url) = (None, None);
            match &author.node {
                Node::Text(_) => name = self.line(&format!("authors.{number}.name"), author),
                Node::Map(entries) => {
                    for entry in entries {
                        let key = format!("authors.{number}.{}", entry.key);
                        match entry.key.as_str() {
                            "name" => name = self.line(&key, &entry.value),
                            "url" => url = self.line(&key, &entry.value),
                            _ => self.unknown(entry, &["name", "url"]),
                        }
                    }
                    if !entries.iter().any(|entry| entry.key == "name") {
                        self.error(author, "this author has no `name`");
                    }
                }
                _ => self.error(author, "an author has a `name` and perhaps a `url`"),
            }
            // A nameless one keeps the count right for the places of those behind.
            let name = name.unwrap_or_default();
            self.front.authors.push(Author { name, url });
        }
    }
}

/// A day as `2026-06-07`, and in no other of ISO 8601's spellings.
pub(crate) fn iso_day(text: &str) -> Option<Date> {
    let day: Date = text.parse().ok()?;
    (day.to_string() == text).then_some(day)
}

#[cfg(test)]
mod tests;
