//! What stands above the text of a newsletter: title, dates, teaser.
//!
//! Promises: what is taken off the top is told, or stands in the front matter.

use crate::draft::line::{Line, classify};
use crate::draft::piece::{Kind, plain};
use crate::draft::{Found, dates, footer};

/// Characters of a title that needs no second look.
const TITLE: usize = 180;
/// Characters of a teaser at most.
const TEASER: usize = 280;
/// Characters of a teaser that may stand right above the first item.
const SHORT_TEASER: usize = 140;

/// Takes title and dates off the top, and what every newsletter ends with off the text.
pub(super) fn head<'a>(text: &'a str, found: &mut Found) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut heading = true;
    let mut left_out: Vec<String> = Vec::new();
    let print = footer::small_print(text.lines().map(str::trim));
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if footer::is_footer(trimmed) || print.is_some_and(|print| at >= print) {
            if !trimmed.is_empty() {
                left_out.push(trimmed.to_owned());
            }
            continue;
        }
        if heading && !trimmed.is_empty() {
            if take(line, trimmed, found) {
                continue;
            }
            heading = false;
        }
        kept.push(line);
    }
    found.notes.extend(footer::note(&left_out));
    kept
}

/// Whether a line of the top says what the front matter says.
fn take(line: &str, trimmed: &str, found: &mut Found) -> bool {
    let field = trimmed
        .split_once(": ")
        .map(|(key, value)| (key.to_ascii_lowercase(), value));
    match field.as_ref().map(|(key, value)| (key.as_str(), *value)) {
        Some(("subject" | "title", value)) if found.title.is_none() => {
            found.title = Some(value.trim().to_owned());
            return true;
        }
        Some(("date" | "dates" | "sent", value)) => {
            if let Some(dates) = dates::line(date_of_mail(value)) {
                found.dates = Some(dates);
                return true;
            }
        }
        Some(("from" | "to" | "reply-to" | "cc", _)) => return true,
        _ => {}
    }
    if let Some(dates) = dates::line(&footer::without_footers(trimmed)) {
        found.dates = Some(dates);
        return true;
    }
    if found.title.is_none() && classify(line) == Line::Text(trimmed) {
        let title = trimmed.trim_start_matches('#').trim();
        found.title = Some(title.to_owned());
        if title.chars().count() > TITLE {
            let note = "the title is the first line, which is long for a title";
            found.notes.push(note.into());
        }
        return true;
    }
    false
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
    if is_greeting(text)
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
