//! Links in plain words: addresses written out, and phrases whose target got lost in the pasting.

use crate::draft::mailbox::addressed;
use crate::draft::piece::escape;
use crate::draft::write::target;

/// What a link without its target is written with; `check` refuses it by line.
pub(super) const TODO: &str = "TODO";

/// Lines that are a link and nothing else.
const WHOLE: [&str; 28] = [
    "apply now",
    "enroll now",
    "get started",
    "join now",
    "register now",
    "sign up now",
    "watch now",
    "link",
    "read more",
    "read on",
    "learn more",
    "read it here",
    "read the paper",
    "read the article",
    "read the post",
    "read the full story",
    "read the announcement",
    "continue reading",
    "see more",
    "full story",
    "watch the video",
    "listen here",
    "register here",
    "sign up",
    "sign up here",
    "get tickets",
    "share this issue",
    "paper",
];
/// What stands beside others of its kind on a line of links.
const BESIDE: [&str; 27] = [
    "arxiv",
    "article",
    "blog",
    "blog post",
    "code",
    "comments",
    "data",
    "dataset",
    "demo",
    "discussion",
    "docs",
    "github",
    "model",
    "pdf",
    "podcast",
    "post",
    "project page",
    "repo",
    "report",
    "slides",
    "source",
    "thread",
    "transcript",
    "tweet",
    "video",
    "weights",
    "website",
];
/// What parts them.
const DIVIDERS: [char; 4] = ['|', '\u{b7}', '\u{2022}', '\u{2219}'];
/// What points at a link.
const ARROWS: [char; 6] = [
    '\u{2192}',
    '\u{279c}',
    '\u{27a1}',
    '\u{bb}',
    '\u{1f449}',
    '\u{1f517}',
];

/// Asks for the picture of a character.
const VARIATION: char = '\u{fe0f}';

/// Phrases within a sentence; the longer ones first, because the first one found wins.
const WITHIN: [&str; 17] = [
    "read more at this link",
    "read more here",
    "click on this link",
    "follow this link",
    "at this link",
    "click here",
    "read it here",
    "found here",
    "available here",
    "sign up here",
    "register here",
    "via this link",
    "this link",
    "(link)",
    "[link]",
    "(here)",
    "read more",
];

/// How a line begins that asks its reader to follow a link.
const ASKING: [&str; 22] = [
    "read ",
    "download ",
    "watch ",
    "listen ",
    "get ",
    "see ",
    "join ",
    "register ",
    "sign up ",
    "learn ",
    "discover ",
    "explore ",
    "find out ",
    "check out ",
    "try ",
    "view ",
    "visit ",
    "apply ",
    "book ",
    "browse ",
    "order ",
    "go to ",
];
/// Characters, and words, of what a link is called.
const NAME: (usize, usize) = (60, 8);

/// A whole line or paragraph of plain words as Markdown with its links. Gives how many lack their target,
/// too.
pub(super) fn linked(text: &str) -> (String, usize) {
    let named = || named(text).map(|link| (link, 0));
    whole(text).or_else(named).unwrap_or_else(|| within(text))
}

/// Whether a line looks like a link that lost its target: short, no sentence, and asking for something.
pub(super) fn asks(line: &str) -> bool {
    let lower = line.trim().to_lowercase();
    is_name(&lower)
        && !lower.contains("://")
        && !lower.contains('[')
        && !is_phrase(line)
        && !lower.ends_with(['.', ',', ':', ';', '?'])
        && ASKING.iter().any(|verb| lower.starts_with(verb))
}

/// Whether an arrow says that a line is a link: behind any words, or before words that ask for something.
pub(super) fn points(line: &str) -> bool {
    let line = line.trim();
    let words = without_arrows(line);
    let drawn = line.ends_with(">>") || line.ends_with("->");
    let arrow = drawn || line.trim_end_matches(VARIATION).ends_with(ARROWS);
    let behind = arrow && !line.contains('\u{ab}');
    let before = line.starts_with(ARROWS) && (asks(words) || is_phrase(words));
    let link = is_name(words) && !words.contains("://") && !words.contains('[');
    link && (behind || before)
}

/// A line as a link that lost its target.
pub(super) fn lost(line: &str) -> String {
    format!("[{}]({TODO})", escape(without_arrows(line)))
}

fn without_arrows(line: &str) -> &str {
    let line = line.trim_start_matches(is_arrow);
    let line = line.trim_end_matches(|c: char| is_arrow(c) || c == '>');
    line.trim_end_matches([' ', '-'])
}

/// An arrow, what makes a picture of it, or a blank beside it.
fn is_arrow(c: char) -> bool {
    ARROWS.contains(&c) || c == VARIATION || c == ' '
}

/// "The report: https://..." and "The report (https://...)" say what the link is called.
fn named(text: &str) -> Option<String> {
    let (start, end) = next_address(text)?;
    let (before, url) = (text[..start].trim_end(), &text[start..end]);
    let (name, rest) = match before.strip_suffix(['(', '<', '[']) {
        Some(name) => {
            let rest = text[end..].trim_start();
            (name.trim_end(), rest.strip_prefix([')', '>', ']'])?)
        }
        None => (before.strip_suffix(':')?, &text[end..]),
    };
    let name = name.trim_end_matches([':', ' ']);
    let whole = rest.trim().is_empty() && is_name(name) && !name.contains(['[', ']']);
    whole.then(|| format!("[{}]({})", escape(name), target(url)))
}

/// Whether words are short enough to be what a link is called.
pub(super) fn is_name(words: &str) -> bool {
    !words.is_empty() && words.chars().count() <= NAME.0 && words.split(' ').count() <= NAME.1
}

/// Part of a paragraph, as [`linked`] does it.
pub(super) fn within(text: &str) -> (String, usize) {
    let mut out = String::new();
    let mut open = 0;
    let mut rest = text;
    while let Some((start, end)) = next_address(rest) {
        let (before, url) = (&rest[..start], &rest[start..end]);
        // "Read more (https://...)" and "Read more: https://..." say what the link is called.
        let bare = before.trim_end_matches(['(', '<', '[', ' ', ':']);
        let opened = before[bare.len()..].trim_matches([' ', ':']);
        let close = match opened {
            "(" => ")",
            "<" => ">",
            "[" => "]",
            _ => "",
        };
        // Substack has blanks within the brackets.
        let closed = rest[end..].trim_start().strip_prefix(close);
        let after = closed.filter(|_| !close.is_empty()).unwrap_or(&rest[end..]);
        match phrase_at_end(bare) {
            Some(at) => {
                let (words, lost) = phrases(&bare[..at]);
                open += lost;
                out.push_str(&format!("{words}[{}]({url})", escape(&bare[at..])));
            }
            None => {
                let kept = match close {
                    "" => before,
                    _ => before.trim_end().strip_suffix(opened).unwrap_or(before),
                };
                let (words, lost) = phrases(kept);
                open += lost;
                out.push_str(&format!("{words}<{url}>"));
            }
        }
        rest = after;
    }
    let (words, lost) = phrases(rest);
    out.push_str(&words);
    (out, open + lost)
}

/// Whether a line is nothing but a link that lost its target.
pub(super) fn is_phrase(line: &str) -> bool {
    whole(line).is_some()
}

/// A line that is a link, or a row of links, and nothing else.
fn whole(line: &str) -> Option<(String, usize)> {
    let mut parts: Vec<&str> = line.split(DIVIDERS).map(bare).collect();
    if parts.len() == 1 {
        parts = line.split(", ").map(bare).collect();
    }
    let known = |part: &str| {
        let lower = part.to_lowercase();
        let lower = lower.as_str();
        let row = parts.len() > 1 && BESIDE.contains(&lower);
        row || WHOLE.contains(&lower) || WITHIN.contains(&lower)
    };
    if !parts.iter().all(|part| known(part)) {
        return None;
    }
    let links = parts
        .iter()
        .map(|part| format!("[{}]({TODO})", escape(part)));
    let links: Vec<String> = links.collect();
    Some((links.join(" \u{b7} "), parts.len()))
}

/// What a link is called, without what stands around it.
fn bare(text: &str) -> &str {
    let words = text.trim().trim_start_matches(is_arrow);
    let words = words.trim_end_matches(|c: char| is_arrow(c) || ".:!>".contains(c));
    words.trim_matches(['(', ')', '[', ']', '<', ' '])
}

/// Words in which each phrase becomes a link without target.
fn phrases(text: &str) -> (String, usize) {
    // Positions must be those of `text`, so only ASCII letters change their case.
    let lower = text.to_ascii_lowercase();
    let mut out = String::new();
    let (mut at, mut count) = (0, 0);
    loop {
        let next = WITHIN.iter().filter_map(|phrase| {
            let found = lower[at..]
                .match_indices(phrase)
                .map(|(found, _)| at + found);
            let found = found
                .into_iter()
                .find(|found| stands_alone(text, *found, phrase.len()));
            found.map(|found| (found, phrase.len()))
        });
        let Some((start, length)) =
            next.min_by_key(|(start, length)| (*start, usize::MAX - length))
        else {
            out.push_str(&addressed(&text[at..]));
            return (out, count);
        };
        let phrase = &text[start..start + length];
        // "at this link" links its noun, "(link)" keeps its brackets.
        let noun = ["this link", "here"].iter().filter_map(|noun| {
            let ends = phrase.to_ascii_lowercase().ends_with(noun)
                && !phrase.starts_with(['C', 'c', 'R', 'r', 'S', 's']);
            ends.then(|| phrase.len() - noun.len())
        });
        let skip = noun.max().unwrap_or_default();
        let bracketed = phrase.starts_with(['(', '[']);
        out.push_str(&addressed(&text[at..start + skip]));
        if bracketed {
            out.push_str(&format!("([{}]({TODO}))", &phrase[1..phrase.len() - 1]));
        } else {
            out.push_str(&format!("[{}]({TODO})", &phrase[skip..]));
        }
        count += 1;
        at = start + length;
    }
}

/// Where the phrase begins that a text ends with, if it does.
pub(super) fn phrase_at_end(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let phrases = WITHIN
        .iter()
        .chain(&WHOLE)
        .filter(|phrase| lower.ends_with(**phrase));
    let starts = phrases.map(|phrase| text.len() - phrase.len());
    starts
        .filter(|start| stands_alone(text, *start, text.len() - start))
        .min()
}

fn stands_alone(text: &str, start: usize, length: usize) -> bool {
    let before = text[..start].chars().next_back();
    let after = text[start + length..].chars().next();
    let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !joins(before) && !joins(after)
}

/// The next address of the web in a text, without the full stop or bracket behind it.
pub(super) fn next_address(text: &str) -> Option<(usize, usize)> {
    let start = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| text.find(scheme))
        .min()?;
    let stop =
        |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '|' | '\\' | '[' | ']');
    let mut url = &text[start..];
    url = &url[..url.find(stop).unwrap_or(url.len())];
    loop {
        let closes = url.ends_with(')') && url.matches(')').count() > url.matches('(').count();
        if !closes && !url.ends_with(['.', ',', ';', ':', '!', '?', '\'', '*', '_']) {
            break;
        }
        url = &url[..url.len() - 1];
    }
    Some((start, start + url.len()))
}

#[cfg(test)]
mod tests {
    use super::{asks, linked, lost, points};

    #[test]
    fn phrases_without_a_target_are_left_to_do() {
        for (text, expected, open) in [
            ("Read more", "[Read more](TODO)", 1),
            ("Link \u{2192}", "[Link](TODO)", 1),
            (
                "You find it at this link.",
                "You find it at [this link](TODO).",
                1,
            ),
            (
                "The code (link) is out.",
                "The code ([link](TODO)) is out.",
                1,
            ),
            (
                "Paper | Code \u{2022} Tweet",
                "[Paper](TODO) \u{b7} [Code](TODO) \u{b7} [Tweet](TODO)",
                3,
            ),
            ("Paper, Code", "[Paper](TODO) \u{b7} [Code](TODO)", 2),
            ("Paper, scissors", "Paper, scissors", 0),
            ("Enroll Now", "[Enroll Now](TODO)", 1),
            ("Code", "Code", 0),
            ("Paper | Scissors", "Paper \\| Scissors", 0),
            (
                "Read more [ https://a.example/1 ] or see the code [ https://a.example/2 ].",
                "[Read more](https://a.example/1) or see the code <https://a.example/2>.",
                0,
            ),
            (
                "Click here and click here",
                "[Click here](TODO) and [click here](TODO)",
                2,
            ),
            (
                "The uplink is here and there",
                "The uplink is here and there",
                0,
            ),
            ("A *star*", "A \\*star\\*", 0),
        ] {
            assert_eq!(linked(text), (expected.to_owned(), open), "{text}");
        }
    }

    #[test]
    fn a_line_that_asks_for_something_may_be_a_link() {
        for text in ["Download the notebook", "Watch it on the web \u{2192}"] {
            assert!(asks(text), "{text}");
        }
        for text in [
            "Read more",
            "Read more: https://a.example/",
            "Read the notice [3]",
            "Watch your step.",
            "Reading lists",
            "See what happened when we let it run for a whole week",
        ] {
            assert!(!asks(text), "{text}");
        }
        assert_eq!(lost("Get *it* \u{2192}"), "[Get \\*it\\*](TODO)");
        for text in [
            "The full changelog \u{2192}",
            "\u{1f449} Register for the workshop",
            "\u{27a1}\u{fe0f} Read more",
        ] {
            assert!(points(text), "{text}");
        }
        for text in [
            "\u{2192} Apples are cheaper",
            "We \u{2764}\u{fe0f} apples",
            "\u{ab}Pommes\u{bb}",
            "https://a.example \u{2192}",
        ] {
            assert!(!points(text), "{text}");
        }
    }

    #[test]
    fn addresses_written_out_keep_their_phrase() {
        for (text, expected) in [
            (
                "The report, in full: https://a.example/r.pdf",
                "[The report, in full](https://a.example/r.pdf)",
            ),
            (
                "The report (https://a.example/(r))",
                "[The report](<https://a.example/(r)>)",
            ),
            (
                "Read more (https://a.example/x_y).",
                "[Read more](https://a.example/x_y).",
            ),
            (
                "Read more: https://a.example/",
                "[Read more](https://a.example/)",
            ),
            (
                "Ask <https://a.example> or not",
                "Ask <https://a.example> or not",
            ),
            (
                "See https://a.example/(b), too.",
                "See <https://a.example/(b)>, too.",
            ),
        ] {
            assert_eq!(linked(text), (expected.to_owned(), 0), "{text}");
        }
    }
}
