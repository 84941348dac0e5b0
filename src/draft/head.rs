//! What stands above the text of a newsletter: title, dates, teaser.
//!
//! Promises: what is taken off the top is told, or stands in the front matter.

use jiff::civil::Date;

use crate::draft::line::{Line, classify};
use crate::draft::piece::{Kind, plain};
use crate::draft::{Found, dates, footer};

/// Characters of a title that needs no second look.
const TITLE: usize = 180;
/// Characters of a teaser at most.
const TEASER: usize = 280;
/// Characters of a teaser that may stand right above the first item.
const SHORT_TEASER: usize = 140;
/// Lines below the title among which the day is looked for: a subtitle, a byline, and what a site counts.
const BELOW: usize = 6;
/// Words of a name.
const NAME: usize = 4;

/// Takes title and dates off the top, and what every newsletter ends with off the text.
/// `masthead` is the publication's name, which is no issue's title.
pub(super) fn head<'a>(text: &'a str, masthead: &str, found: &mut Found) -> Vec<&'a str> {
    let lines: Vec<&str> = text.lines().collect();
    let print = footer::small_print(lines.iter().map(|line| line.trim()));
    let mut kept = Vec::new();
    let mut left_out: Vec<String> = Vec::new();
    let mut top = Top {
        found,
        masthead: masthead.trim().to_lowercase(),
        left_out: Vec::new(),
        dated: false,
    };
    let mut heading = true;
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        if footer::is_footer(trimmed) || print.is_some_and(|print| at >= print) {
            if !trimmed.is_empty() {
                left_out.push(trimmed.to_owned());
            }
            continue;
        }
        if heading && !trimmed.is_empty() {
            // Drawn lines are nothing there.
            let drawn = matches!(classify(line), Line::Rule(_));
            if drawn || top.takes(line, &lines[at + 1..]) {
                continue;
            }
            heading = false;
        }
        kept.push(*line);
    }
    let Top { left_out: head, .. } = top;
    found.notes.extend(above(&head));
    found.notes.extend(footer::note(&left_out));
    kept
}

/// What is told of what stood above the text and is left out.
pub(super) fn above(texts: &[String]) -> Option<String> {
    let told = format!(
        "left out, because it stands above the text: {}",
        shown(texts)
    );
    (!texts.is_empty()).then_some(told)
}

/// Texts as they are told.
pub(super) fn shown(texts: &[String]) -> String {
    let each = texts.iter().map(|text| format!("`{}`", text.trim()));
    each.collect::<Vec<_>>().join(", ")
}

/// What is above the text, line by line.
struct Top<'f> {
    found: &'f mut Found,
    /// In lower case.
    masthead: String,
    left_out: Vec<String>,
    /// The text itself said its day, and not only the mail it was in.
    dated: bool,
}

impl Top<'_> {
    /// Whether a line of the top says what the front matter says, or is no text.
    fn takes(&mut self, line: &str, below: &[&str]) -> bool {
        if self.field(line.trim()) || self.day(line.trim()) {
            return true;
        }
        if self.found.title.is_some() && dates::lacks_year(line.trim()) {
            self.left_out.push(line.trim().to_owned());
            self.dated = true;
            return true;
        }
        let Line::Text(text) = classify(line) else {
            return false;
        };
        match &self.found.title {
            _ if says_hello(text) => return false,
            None if is_address(text) || self.is_masthead(text) => {
                self.left_out.push(text.to_owned())
            }
            None => self.title(text.trim_start_matches('#').trim()),
            // Many mails say it again above their text.
            Some(title) if title.to_lowercase() == text.to_lowercase() => {}
            Some(_) if !self.dated && is_above_day(below) => self.below(text),
            Some(_) if self.dated && is_count(text) => self.left_out.push(text.to_owned()),
            Some(_) => return false,
        }
        true
    }

    /// Whether a line is the publication's name, as a mail has it above its title.
    fn is_masthead(&self, text: &str) -> bool {
        // "The Hive Letter" is "Hive Letter", too.
        let bare = |name: &str| name.strip_prefix("the ").unwrap_or(name).to_owned();
        let name = text.trim_matches(['#', '*', ' ']).to_lowercase();
        !self.masthead.is_empty() && bare(&name) == bare(&self.masthead)
    }

    /// A field of a mail's own head, as a forwarded one has them in its text.
    fn field(&mut self, line: &str) -> bool {
        let bare = line.trim_matches(['-', ' ', ':']).to_ascii_lowercase();
        let forwarded = [
            "forwarded message",
            "begin forwarded message",
            "original message",
        ];
        if forwarded.contains(&bare.as_str()) {
            return true;
        }
        let Some((key, value)) = line.split_once(": ") else {
            return false;
        };
        match key.to_ascii_lowercase().as_str() {
            "subject" | "title" if self.found.title.is_none() => self.title(subject(value)),
            "date" | "dates" | "sent" => match dates::line(date_of_mail(value)) {
                Some(dates) => self.found.dates = Some(dates),
                None => return false,
            },
            "from" | "to" | "reply-to" | "cc" => {}
            _ => return false,
        }
        true
    }

    fn day(&mut self, line: &str) -> bool {
        let Some((dates, beside)) = day(line) else {
            return false;
        };
        self.found.dates = Some(dates);
        self.dated = true;
        let words = beside.iter().filter(|part| !footer::is_footer(part));
        let words: Vec<&str> = words.copied().collect();
        // "Issue 14 | The Post | 2 June 2026" is a masthead.
        let says = |part: &&str| part.contains(' ') && !is_numbering(part);
        if self.found.title.is_none() && words.iter().any(says) {
            self.title(&words.join(" | "));
        } else {
            let beside = beside.iter().map(|part| (*part).to_owned());
            self.left_out.extend(beside);
        }
        true
    }

    fn title(&mut self, title: &str) {
        if title.chars().count() > TITLE {
            let note = "the title is the first line, which is long for a title";
            self.found.notes.push(note.into());
        }
        self.found.dates = self.found.dates.or(dates::bracketed(title));
        self.found.title = Some(title.trim().to_owned());
    }

    /// A line between the title and the day: a subtitle, or who wrote it.
    fn below(&mut self, line: &str) {
        let words = line.split_whitespace();
        let name = words.clone().count() <= NAME
            && words
                .clone()
                .all(|word| word.starts_with(char::is_uppercase));
        let signed = name || line.to_lowercase().starts_with("by ");
        if signed || self.found.teaser.is_some() || words.count() < 3 {
            self.left_out.push(line.to_owned());
            return;
        }
        self.found.teaser = Some(line.to_owned());
        let note = "the teaser is the line below the title";
        self.found.notes.push(note.into());
    }
}

/// Whether the day stands among the next lines, before the text begins.
fn is_above_day(below: &[&str]) -> bool {
    let lines = below.iter().map(|line| line.trim());
    let mut lines = lines.filter(|line| !line.is_empty()).take(BELOW);
    let begins = |line: &str| {
        classify(line) != Line::Text(line) || says_hello(line) || line.chars().count() > TEASER
    };
    lines.find_map(|line| match line {
        line if day(line).is_some() || dates::lacks_year(line) => Some(true),
        line if begins(line) => Some(false),
        _ => None,
    }) == Some(true)
}

/// The day that a line says, and what stands beside it.
pub(super) fn day(line: &str) -> Option<((Date, Date), Vec<&str>)> {
    let alone = dates::line(line).map(|dates| (dates, Vec::new()));
    alone.or_else(|| dates::beside(line))
}

/// Whether words are the number of an issue and nothing else: "Issue 12", "No. 7", "Vol. 3 #4".
fn is_numbering(words: &str) -> bool {
    let numbers = |word: &str| {
        let lower = word.trim_end_matches(['.', ':', ',']).to_lowercase();
        let named = [
            "issue", "no", "nr", "number", "vol", "volume", "edition", "week",
        ];
        let bare = lower.trim_start_matches('#');
        named.contains(&lower.as_str())
            || !bare.is_empty() && bare.bytes().all(|octet| octet.is_ascii_digit())
    };
    words.split_whitespace().all(numbers)
}

/// What a site shows below the day: how often it was liked, and for whom it is.
fn is_count(line: &str) -> bool {
    let bare = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    let counts = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit());
    counts || bare.eq_ignore_ascii_case("paid")
}

pub(super) fn is_address(line: &str) -> bool {
    line.starts_with("http") && line.contains("://") && !line.contains(' ')
}

/// A subject without the marks of an answer or of a mail that was passed on.
fn subject(value: &str) -> &str {
    let value = value.trim();
    let marks = ["re:", "fwd:", "fw:", "aw:", "wg:"];
    let lower = value.to_ascii_lowercase();
    match marks.iter().find(|mark| lower.starts_with(**mark)) {
        Some(mark) => subject(&value[mark.len()..]),
        None => value,
    }
}

/// The day of a mail's Date, without time and zone.
fn date_of_mail(value: &str) -> &str {
    let end = value.find(':').map_or(value.len(), |colon| {
        value[..colon].rfind(' ').unwrap_or(colon)
    });
    value[..end].trim_end_matches(" at").trim()
}

/// The first short paragraph is the teaser when more follows before the first item.
pub(super) fn teaser(found: &mut Found) {
    if found.teaser.is_some() {
        return;
    }
    let [first, next, ..] = found.pieces.as_slice() else {
        return;
    };
    let Kind::Paragraph(text) = &first.kind else {
        return;
    };
    let length = text.chars().count();
    let more = matches!(&next.kind, Kind::Paragraph(_));
    // A title in capitals is none: "TOP STORIES".
    let shouts = !text.contains(char::is_lowercase);
    if is_greeting(text)
        || shouts
        || text.contains("](")
        || text.contains("<http")
        || length > TEASER
        || !(more || length <= SHORT_TEASER)
    {
        return;
    }
    found.teaser = Some(plain(text));
    found.pieces.remove(0);
    found.notes.push("the teaser is the first paragraph".into());
}

fn is_greeting(text: &str) -> bool {
    let first = text.split([' ', ',', '!']).next().unwrap_or_default();
    matches!(
        first.to_lowercase().as_str(),
        "hello" | "hi" | "hey" | "dear" | "good" | "welcome"
    )
}

/// Whether a line greets its readers and says no more: "Hey friends", "Good morning!", "Dear reader,".
pub(super) fn says_hello(line: &str) -> bool {
    let lower = line.to_lowercase();
    let words = lower.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '\u{2019}')));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let rest = match words.as_slice() {
        [
            "hello" | "hi" | "hey" | "dear" | "howdy" | "greetings" | "welcome",
            rest @ ..,
        ] => rest,
        [
            "good",
            "morning" | "afternoon" | "evening" | "day",
            rest @ ..,
        ] => rest,
        ["happy", day, rest @ ..] if dates::is_weekday(day) => rest,
        _ => return false,
    };
    const TO: [&str; 14] = [
        "again",
        "all",
        "back",
        "everybody",
        "everyone",
        "folks",
        "friend",
        "friends",
        "reader",
        "readers",
        "subscriber",
        "subscribers",
        "team",
        "there",
    ];
    // Without a comma, a mark or a picture behind it, it may be a headline that begins like this.
    let ends = !line.trim_end().ends_with(char::is_alphanumeric);
    let addressed = rest.last().is_none_or(|last| TO.contains(last));
    rest.len() <= 5 && (ends || addressed)
}

#[cfg(test)]
mod tests {
    use super::{head, says_hello};
    use crate::draft::Found;

    #[test]
    fn what_a_site_puts_above_a_text_is_told_and_left_out() {
        let mut found = Found::default();
        let text = "The quiet bug\nOn deleting what you do not understand\nJane Doe\nJun 21\n\u{2219} Paid\n\
                    12\n4\nShare\n\nLast week I deleted a line.";
        let kept = head(text, "", &mut found);
        assert_eq!(kept.concat(), "Last week I deleted a line.");
        assert_eq!(found.title.as_deref(), Some("The quiet bug"));
        let teaser = "On deleting what you do not understand";
        assert_eq!(found.teaser.as_deref(), Some(teaser));
        let told = found.notes.join("\n");
        for left in ["Jane Doe", "Jun 21", "\u{2219} Paid", "12", "4", "Share"] {
            assert!(told.contains(&format!("`{left}`")), "{left}: {told}");
        }
    }

    #[test]
    fn the_name_and_the_number_of_a_publication_are_no_title() {
        let mut found = Found::default();
        let text = "The Hive Letter\nIssue 12 | 1-7 June 2026\n\nFive things\n\nHello,\n";
        head(text, "Hive Letter", &mut found);
        assert_eq!(found.title.as_deref(), Some("Five things"));
        let told = found.notes.join("\n");
        assert!(told.contains("`The Hive Letter`, `Issue 12`"), "{told}");
        let mut found = Found::default();
        head("Issue 14 | The Post | 2 June 2026\n", "", &mut found);
        assert_eq!(found.title.as_deref(), Some("Issue 14 | The Post"));
    }

    #[test]
    fn a_greeting_is_told_from_a_headline_that_begins_like_one() {
        for text in [
            "Hey friends \u{1f44b}",
            "Hello there",
            "Good morning",
            "Dear Anna,",
            "Happy Friday!",
            "Welcome back",
        ] {
            assert!(says_hello(text), "{text}");
        }
        for text in [
            "Hello from Lisbon",
            "Good news for otters",
            "Happy accidents",
            "Welcome to the twelfth issue of our small letter.",
            "Heyday of the tram",
        ] {
            assert!(!says_hello(text), "{text}");
        }
    }
}
