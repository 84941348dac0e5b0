//! Words that promise a link and are none: "Read more here", "Register", "[link]".
//!
//! Promises: only what ends a paragraph, or stands in brackets, is taken for one; how-to lists, prose that has such
//! words in its middle and words above a button are left alone. Knows English; other languages are not looked at.

use crate::issue::block::{Block, Inline};
use crate::lint::Desk;
use crate::lint::words::MANY;

/// Stands for a link, an image or an address among words.
const LINK: char = '\u{fffc}';
/// A paragraph, or its last sentence, that is a call and nothing else.
const CALLS: [&str; 38] = [
    "apply now",
    "book now",
    "buy tickets",
    "click here",
    "download",
    "find out more",
    "full story",
    "get started",
    "get tickets",
    "join now",
    "learn more",
    "link",
    "listen here",
    "listen now",
    "more here",
    "more info",
    "read it here",
    "read more",
    "read the announcement",
    "read the article",
    "read the full article",
    "read the full story",
    "read the paper",
    "read the post",
    "read the report",
    "register",
    "register here",
    "register now",
    "rsvp",
    "see more",
    "sign up",
    "sign up here",
    "sign up now",
    "subscribe",
    "subscribe now",
    "watch now",
    "watch the video",
    "view online",
];
/// What a sentence ends with that points at a link.
const POINTERS: [&str; 14] = [
    "at the link below",
    "at this link",
    "available here",
    "click here",
    "click this link",
    "follow this link",
    "found here",
    "on this link",
    "read more here",
    "register here",
    "sign up here",
    "through this link",
    "using this link",
    "via this link",
];
/// How a sentence begins that asks its reader to go somewhere; it is one when it ends with "here".
const VERBS: [&str; 22] = [
    "apply", "book", "browse", "buy", "check", "discover", "download", "explore", "find", "full",
    "get", "learn", "listen", "more", "order", "read", "register", "rsvp", "see", "sign", "view",
    "watch",
];
/// What stands before a "here" that is a place.
const PLACES: [&str; 19] = [
    "around", "are", "been", "down", "from", "in", "is", "live", "lives", "me", "near", "of",
    "out", "over", "right", "up", "us", "was", "you",
];
/// What stands beside others of its kind on a line of links.
const ROW: [&str; 14] = [
    "arxiv",
    "article",
    "blog",
    "code",
    "dataset",
    "demo",
    "github",
    "paper",
    "pdf",
    "podcast",
    "slides",
    "transcript",
    "tweet",
    "video",
];
/// What parts them.
const DIVIDERS: [char; 4] = ['|', '\u{b7}', '\u{2022}', '/'];
/// What stands in brackets where a link is meant, in the middle of a text as well.
const BRACKETED: [&str; 7] = [
    "[link]",
    "(link)",
    "[read more]",
    "[register]",
    "[sign up]",
    "[source]",
    "(link here)",
];

pub(super) fn check(desk: &mut Desk<'_>) {
    let issue = desk.inputs.issue;
    let mut found = Vec::new();
    let parts = std::iter::once(&issue.intro)
        .chain(issue.items.iter().map(|item| &item.blocks))
        .chain(std::iter::once(&issue.outro))
        .chain(&issue.notes);
    for blocks in parts {
        walk(blocks, false, &mut found);
    }
    for (start, words) in found.into_iter().take(MANY) {
        // With a backslash it is meant to be shown.
        if words.starts_with('[') && !issue.text[start..].contains(&words) {
            continue;
        }
        let at = place(&issue.text, start, &words);
        let message = format!("`{words}` promises a link and is none");
        let help = match words.contains(DIVIDERS) {
            true => {
                "did you mean a row such as `[Paper](https://...) | [Code](https://...)`?".into()
            }
            false => {
                let bare = words.trim_matches(['[', ']', '(', ')']);
                format!("did you mean `[{bare}](https://...)`?")
            }
        };
        desk.say("lost-link", (at, words.len()), message, &help);
    }
}

/// The promises among blocks, each with where its paragraph begins.
fn walk(blocks: &[Block], listed: bool, found: &mut Vec<(usize, String)>) {
    let mut here = 0;
    for (index, block) in blocks.iter().enumerate() {
        match block {
            Block::Here(offset) => here = *offset,
            Block::Paragraph(text) => {
                let text = shown(text);
                let mut lines = text.split('\n').peekable();
                while let Some(line) = lines.next() {
                    let last = lines.peek().is_none();
                    let kept = last && is_kept(line, &blocks[index + 1..]);
                    let lost = bracketed(line).or_else(|| (!kept).then(|| ending(line, listed))?);
                    found.extend(lost.map(|words| (here, words.to_owned())));
                }
            }
            Block::List { items, .. } => items.iter().for_each(|item| walk(item, true, found)),
            Block::Quote(inner)
            | Block::Aligned { blocks: inner, .. }
            | Block::Only { blocks: inner, .. } => walk(inner, listed, found),
            _ => {}
        }
    }
}

/// Words as they are looked at: what leads somewhere is one sign.
fn shown(inlines: &[Inline]) -> String {
    let mut out = String::new();
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Fixed(text) => out.push_str(text),
            Inline::Strong(inner)
            | Inline::Emphasis(inner)
            | Inline::Strike(inner)
            | Inline::Sub(inner)
            | Inline::Sup(inner)
            | Inline::Marked { text: inner, .. } => out.push_str(&shown(inner)),
            Inline::Link { .. } | Inline::Image(_) => out.push(LINK),
            Inline::Break => out.push('\n'),
            Inline::Merge(_) | Inline::Code(_) => out.push('x'),
            Inline::Note(_) => {}
        }
    }
    out
}

/// Whether what follows keeps the promise: a button, or after a colon anything that leads somewhere.
fn is_kept(line: &str, next: &[Block]) -> bool {
    let next = next.iter().find(|block| !matches!(block, Block::Here(_)));
    let announces = line.trim_end().ends_with(':');
    match next {
        Some(Block::Button { .. } | Block::Promo(_) | Block::Mjml { .. }) => true,
        Some(Block::Image(picture)) => picture.link.is_some(),
        Some(Block::Paragraph(text)) => {
            let text = shown(text);
            let alone = text.trim().chars().eq([LINK]);
            alone || announces && text.contains(LINK)
        }
        Some(_) => announces,
        None => false,
    }
}

/// The first bracket that a link was meant for.
fn bracketed(line: &str) -> Option<&str> {
    let lower = line.to_ascii_lowercase();
    let found = BRACKETED.iter().filter_map(|mark| {
        let at = lower.find(mark)?;
        Some(&line[at..at + mark.len()])
    });
    found.min_by_key(|mark| mark.as_ptr())
}

/// What a line ends with that promises a link. In a list, steps are no promises.
fn ending(line: &str, listed: bool) -> Option<&str> {
    if let Some(row) = row(line) {
        return Some(row);
    }
    let line = line.trim_end_matches(|c: char| !c.is_alphanumeric() && c != LINK);
    let start = line
        .rfind(['.', '!', '?', ':', ';', LINK, '\u{2014}', '('])
        .map_or(0, |at| {
            at + line[at..].chars().next().map_or(1, char::len_utf8)
        });
    // An address that nothing made a link has no blank behind its dots.
    if start > 0
        && !line[start..].starts_with([' ', '*'])
        && !line[..start].ends_with(['(', '\u{2014}', LINK])
    {
        return None;
    }
    let sentence = line[start..].trim_start_matches(|c: char| !c.is_alphanumeric());
    let lower = sentence.to_ascii_lowercase();
    // Behind a link on the same line they are its words gone on.
    let behind = line[..start].ends_with(LINK);
    if CALLS.contains(&lower.as_str()) && !listed && !behind {
        return Some(sentence);
    }
    let ends = |words: &&&str| {
        let before = lower.strip_suffix(**words);
        before.is_some_and(|before| !before.ends_with(char::is_alphanumeric))
    };
    if let Some(words) = POINTERS.iter().filter(ends).max_by_key(|words| words.len()) {
        return Some(&sentence[sentence.len() - words.len()..]);
    }
    let words: Vec<&str> = lower.split_whitespace().collect();
    match words.as_slice() {
        [first, .., before, "here"] if VERBS.contains(first) && !PLACES.contains(before) => {
            Some(sentence)
        }
        [first, "here"] if VERBS.contains(first) && *first != "get" => Some(sentence),
        _ => None,
    }
}

/// A line that is a row of links and nothing else, such as "Paper | Code".
fn row(line: &str) -> Option<&str> {
    let line = line.trim();
    let mut parts = 0;
    for part in line.split(DIVIDERS) {
        let part = part
            .trim_matches(['[', ']', '(', ')', ' '])
            .to_ascii_lowercase();
        if !ROW.contains(&part.as_str()) {
            return None;
        }
        parts += 1;
    }
    (parts > 1).then_some(line)
}

/// Where words stand in the file, in the paragraph that begins at `start`: its last ones, if they were written so.
fn place(text: &str, start: usize, words: &str) -> usize {
    let rest = &text[start..];
    let end = rest.find("\n\n").unwrap_or(rest.len());
    let paragraph = &rest[..end];
    let last = words.rsplit(' ').next().unwrap_or(words);
    let found = paragraph.rfind(words).or_else(|| paragraph.rfind(last));
    start + found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{bracketed, ending};

    #[test]
    fn a_promise_at_the_end_of_a_paragraph_is_found() {
        for (line, expected) in [
            ("The plan is out, read more here.", "read more here"),
            ("It is on 3 June. Register", "Register"),
            ("Register \u{2192}", "Register"),
            ("Read the full story \u{bb}", "Read the full story"),
            ("You will find the slides at this link.", "at this link"),
            (
                "Download the whole plan here:",
                "Download the whole plan here",
            ),
            ("The list is available here!", "available here"),
            ("Paper | Code", "Paper | Code"),
            ("Watch here", "Watch here"),
            ("Get the plan here", "Get the plan here"),
        ] {
            assert_eq!(ending(line, false), Some(expected), "{line}");
        }
        assert_eq!(bracketed("The plan [link] is out"), Some("[link]"));
        assert_eq!(
            ending("You find it at this link.", true),
            Some("at this link")
        );
    }

    #[test]
    fn prose_with_the_same_words_is_left_alone() {
        for line in [
            "We have lived here.",
            "Find your way out of here.",
            "People read more in winter.",
            "That is not all. Read on.",
            "I saw this link between sleep and memory.",
            "Ask them to register.",
            "Read more: \u{fffc}",
            "\u{fffc} Read more",
            "He signed the register",
            "The paper",
            "Paper or code",
            "See you here.",
            "Get here early, or get out of here.",
            "More of them than ever are here.",
            "See read.example/learn",
        ] {
            assert_eq!(ending(line, false), None, "{line}");
        }
        // Steps of a list.
        assert_eq!(ending("Register", true), None);
        assert_eq!(bracketed("[links] and (linked)"), None);
    }
}
