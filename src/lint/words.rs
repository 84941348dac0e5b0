//! What readers read: headlines, numbers that were promised, marks of broken links, offers that end.

use crate::issue::Issue;
use crate::issue::block::{Block, Inline, plain_text};
use crate::lint::place::{body, lines, value_offset, written};
use crate::lint::{Desk, day, leftovers, marks};

/// What has a number and does not count.
const NUMBERED: [&str; 14] = [
    "chapter", "day", "edition", "ep", "episode", "issue", "no", "nr", "number", "part", "season",
    "vol", "volume", "week",
];
/// What begins with a capital in a headline and is no name: a number below it counts.
const SMALL: [&str; 32] = [
    "a", "about", "all", "an", "and", "are", "at", "best", "by", "first", "for", "from", "here",
    "in", "just", "last", "meet", "more", "my", "next", "of", "on", "only", "or", "our", "plus",
    "read", "the", "these", "to", "top", "with",
];
/// Characters of a broken link that are told.
const PROBE: usize = 40;
/// Findings of one lint in one issue: the rest is more of the same.
pub(super) const MANY: usize = 20;

pub(super) fn check(desk: &mut Desk<'_>) {
    let text = written(desk.inputs.issue);
    title_count(desk);
    headings(desk, &text);
    empty_items(desk, &text);
    leftovers::check(desk, &text);
    promos(desk);
}

fn title_count(desk: &mut Desk<'_>) {
    let issue = desk.inputs.issue;
    let numbered = issue.items.iter().filter(|item| item.number.is_some());
    let count = match numbered.count() {
        0 => issue.items.len(),
        some => some,
    };
    if count == 0 {
        return;
    }
    let subject = issue.front.subject.as_deref().unwrap_or_default();
    for (key, text) in [("title", issue.front.title.as_str()), ("subject", subject)] {
        let Some((word, number)) = promised(text).filter(|(_, number)| *number != count) else {
            continue;
        };
        let offset = value_offset(&issue.source(), issue.front.place(key), text);
        let at = offset + text.find(word).unwrap_or_default();
        let items = if count == 1 { "item" } else { "items" };
        let message = format!("the {key} promises {number}, and the issue has {count} {items}");
        let help = "count again; an item that is not one of them is written `## ... {.plain}`";
        desk.say("title-count", (at, word.len()), message, help);
        // The other one most likely says the same.
        break;
    }
}

/// The number before a plural in a headline: "Eleven papers", "7 small things".
fn promised(text: &str) -> Option<(&str, usize)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    for (index, word) in words.iter().enumerate() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        // What is a price or a share, what numbers the issue itself, and what ends a phrase.
        let before = index.checked_sub(1).map_or("", |before| words[before]);
        let numbers = before.trim_end_matches('.').to_lowercase();
        if word.contains(['%', '$', '\u{20ac}', '\u{a3}', '#'])
            || !word.ends_with(char::is_alphanumeric)
            || NUMBERED.contains(&numbers.as_str())
        {
            continue;
        }
        // Part of a name: "Llama 4", "Apollo 11".
        let named = before.starts_with(char::is_uppercase)
            && before.ends_with(char::is_alphanumeric)
            && !SMALL.contains(&numbers.as_str());
        if named && bare.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let Some(number) = number(bare) else { continue };
        let after = words[index + 1..].iter().take(3);
        let plural = after
            .map(|word| word.trim_end_matches([',', '.', ':', '!', '?']))
            .take_while(|word| word.chars().all(|c| c.is_alphabetic() || c == '-'))
            .find(|word| word.len() > 3 && word.ends_with('s') && !word.ends_with("ss"));
        // A span of time or an amount counts something else.
        let other = [
            "days", "weeks", "months", "years", "hours", "minutes", "seconds", "times", "percent",
            "dollars", "euros", "pounds", "points", "degrees", "miles", "people's", "steps",
        ];
        if plural.is_some_and(|word| !other.contains(&word.to_lowercase().as_str())) {
            return Some((bare, number));
        }
    }
    None
}

fn number(word: &str) -> Option<usize> {
    const WORDS: [&str; 19] = [
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let lower = word.to_lowercase();
    if let Some(at) = WORDS.iter().position(|known| *known == lower) {
        return Some(at + 2);
    }
    let digits = word.bytes().all(|octet| octet.is_ascii_digit());
    let number = word.parse::<usize>().ok().filter(|_| digits)?;
    (2..100).contains(&number).then_some(number)
}

fn headings(desk: &mut Desk<'_>, text: &str) {
    let start = body(text);
    let mut before = 2;
    for (at, line) in lines(text).filter(|(at, _)| *at >= start) {
        let bare = line.trim_start_matches(['>', ' ']);
        let level = bare.bytes().take_while(|octet| *octet == b'#').count();
        if !(2..=4).contains(&level) || !bare[level..].starts_with(' ') {
            continue;
        }
        if level > before + 1 {
            let marks = "#".repeat(before + 1);
            let offset = at + (line.len() - bare.len());
            let message = format!(
                "a headline of level {level} follows one of level {before}; who listens to the mail \
                 looks for what lies between"
            );
            let help = format!("write `{marks} ...`");
            desk.say("heading-order", (offset, level), message, &help);
        }
        before = level;
    }
}

fn empty_items(desk: &mut Desk<'_>, text: &str) {
    let start = body(text);
    let mut headlines = lines(text).filter(|(at, line)| *at >= start && line.starts_with("## "));
    for item in &desk.inputs.issue.items {
        let (at, line) = headlines.next().unwrap_or_default();
        // A plain headline may be that of a section, with the items below it.
        if item.blocks.is_empty() && item.number.is_some() {
            let headline = plain_text(&item.headline);
            let message = format!("nothing stands below the headline `{headline}`");
            let help = "write it, or take the headline out";
            desk.say("empty-item", (at, line.len()), message, help);
        }
        let mut shown = item
            .blocks
            .iter()
            .filter(|block| !matches!(block, Block::Here(_)));
        if let (Some(Block::Only { .. }), None) = (shown.next(), shown.next()) {
            let headline = plain_text(&item.headline);
            let message = format!("all below the headline `{headline}` is for some readers only");
            let help =
                "write a sentence for the others above `:::only`, or put the headline into it, too";
            desk.say("empty-item", (at, line.len()), message, help);
        }
    }
}

fn promos(desk: &mut Desk<'_>) {
    let issue = desk.inputs.issue;
    // An issue for a day to come is sent then; one for last week is sent now.
    let days = [desk.inputs.facts.today, issue.front.send_day()];
    let Some(sent) = days.into_iter().flatten().max() else {
        return;
    };
    let promos = issue.blocks().into_iter().filter_map(|block| match block {
        Block::Promo(promo) => Some(promo),
        _ => None,
    });
    for promo in promos {
        let until = plain_text(&promo.until);
        if promo.ends.is_none() && day::is_unread(&until, sent) {
            let message = format!("whether the offer is over on `{until}` cannot be told");
            let help =
                "write the day as `until=\"2026-05-31\"`; it is shown as the issue's language does";
            desk.say("promo-unread", (promo.offset, 1), message, help);
        }
        let written = || day::read(&until, sent);
        let Some(end) = promo.ends.or_else(written).filter(|end| *end < sent) else {
            continue;
        };
        let message = format!("the offer ends on {end}, and the issue is sent on {sent} or later");
        let help = "renew the offer or take it out";
        desk.say("promo-ended", (promo.offset, 1), message, help);
    }
}

/// Tells marks of a link that was not read as one, and other marks that were not read as such.
pub(super) fn broken_marks(desk: &mut Desk<'_>) {
    let issue = desk.inputs.issue;
    let text = written(issue);
    let start = body(&text);
    let shown_words = text_of(issue);
    let mut from = start;
    while let Some(at) = text[from..].find("](").map(|found| from + found) {
        from = at + 2;
        let line_end = issue.text[at..]
            .find('\n')
            .map_or(issue.text.len(), |end| at + end);
        if is_link(issue, &text, at) || is_meant(&text, at) {
            continue;
        }
        let mark = issue.text[at..line_end].trim_end();
        let mark = mark.find(')').map_or(mark, |end| &mark[..=end]);
        // What is set in it is not shown as it is written.
        let set = mark.find(['*', '_', '`', '<', '&', '\\']);
        let begins = set.map_or(mark, |end| &mark[..end]);
        if shown_words.contains(mark) || begins.len() > 2 && shown_words.contains(begins) {
            let probe: String = mark.chars().take(PROBE).collect();
            let message = format!("`{probe}` is no link and would be shown as it stands");
            let help =
                "an address has no blanks: write `[text](https://...)`, and `%20` for a blank";
            desk.say("link-syntax", (at, 2), message, help);
        }
    }
    let told = marks::left(&issue.text, &text, start, &shown_words);
    for (at, mark, help) in told.into_iter().take(MANY) {
        let message = format!("`{mark}` would be shown as it stands");
        desk.say("leftover-mark", (at, mark.len()), message, help);
    }
}

/// Whether the `](` at `at` is that of a link which was read: its bracket is the one that opens there.
fn is_link(issue: &Issue, text: &str, at: usize) -> bool {
    let opens = |offset: usize| {
        let words = text.get(offset..at).unwrap_or_default();
        let mut depth = 0;
        let mut escaped = false;
        for octet in words.bytes() {
            depth += match octet {
                b'[' if !escaped => 1,
                b']' if !escaped => -1,
                _ => 0,
            };
            escaped = octet == b'\\' && !escaped;
            if depth == 0 {
                return false;
            }
        }
        depth == 1
    };
    issue.links.iter().any(|link| opens(link.offset))
}

/// Whether a bracket says by its backslash that it is to be shown.
fn is_meant(text: &str, at: usize) -> bool {
    let line = &text[..at];
    let line = &line[line.rfind('\n').map_or(0, |end| end + 1)..];
    let opening = line.rfind('[').map_or("", |open| &line[..open]);
    line.ends_with('\\') || opening.ends_with('\\')
}

/// Every plain word of the issue, as readers will see it.
fn text_of(issue: &Issue) -> String {
    let mut out = String::new();
    for block in issue.blocks() {
        shown(block, &mut out);
    }
    issue
        .notes
        .iter()
        .flatten()
        .for_each(|block| shown(block, &mut out));
    out
}

fn shown(block: &Block, out: &mut String) {
    match block {
        Block::Paragraph(text) | Block::Heading { text, .. } => literal(text, out),
        Block::List { items, .. } => items.iter().flatten().for_each(|block| shown(block, out)),
        Block::Quote(blocks) => blocks.iter().for_each(|block| shown(block, out)),
        Block::Table { head, rows, .. } => {
            let cells = head.iter().chain(rows.iter().flatten());
            cells.for_each(|cell| literal(cell, out));
        }
        Block::Promo(promo) => promo.blocks.iter().for_each(|block| shown(block, out)),
        Block::Aligned { blocks, .. } | Block::Only { blocks, .. } => {
            blocks.iter().for_each(|block| shown(block, out));
        }
        _ => {}
    }
    out.push('\n');
}

fn literal(inlines: &[Inline], out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) => out.push_str(text),
            Inline::Strong(inner) | Inline::Emphasis(inner) | Inline::Link { text: inner, .. } => {
                literal(inner, out);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::promised;

    #[test]
    fn a_number_before_a_plural_is_a_promise() {
        for (text, expected) in [
            ("Eleven papers worth rereading", Some(11)),
            ("7 small things I learned", Some(7)),
            ("The 12 best tools of the year", Some(12)),
            ("Ten years of newsletters", None),
            ("GPT-4 models and what they cost", None),
            ("Issue 12", None),
            ("2026 predictions", None),
            ("One thing", None),
            ("Two", None),
            ("Save 20% on books", None),
            ("The Post #42: Five jobs for a wet June", Some(5)),
            ("Issue 12: links and letters", None),
            ("Week 23 notes", None),
            ("Notes, no. 7 and others", None),
            ("Llama 4 arrives and Claude 4 ships", None),
            ("The Weekly: 7 things", Some(7)),
            ("Our Top 10 Tools", Some(10)),
        ] {
            let found = promised(text).map(|(_, number)| number);
            assert_eq!(found, expected, "{text}");
        }
    }
}
