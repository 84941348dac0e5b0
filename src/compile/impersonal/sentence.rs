//! Which words of a page its author wrote, and the sentence in which a link stands.
//!
//! Promises: told by the text part of the same issue, so that it holds for every issue that was ever sent. Where no text
//! part says it, the words are the theme's.

use std::ops::Range;

use crate::compile::impersonal::elements::tag_length;

/// What ends a sentence.
const ENDS: [char; 5] = ['.', '!', '?', '\u{2026}', '\u{3002}'];
/// What may stand behind that.
const CLOSING: [char; 6] = ['"', '\'', ')', '\u{201d}', '\u{2019}', '\u{bb}'];
/// Dashes of the line above the footer of a text part, at least.
const RULE: &str = "----------------";

/// The words that the author wrote, one blank between two.
pub(super) struct Written(String);

impl Written {
    /// From a text part: what stands above the line before its footer.
    pub(super) fn of(text: &str) -> Written {
        let written = text.rfind(RULE).map_or("", |end| &text[..end]);
        let lines: Vec<&str> = written.lines().map(unquoted).collect();
        Written(blanks(&lines.join("\n")))
    }

    /// Whether the words of some HTML are among them, by the longest of its pieces between two tags.
    pub(super) fn holds(&self, html: &str) -> bool {
        let pieces = html
            .split('<')
            .enumerate()
            .map(|(place, piece)| match place {
                0 => piece,
                _ => piece.split_once('>').map_or("", |(_, words)| words),
            });
        let longest = pieces.map(words).max_by_key(|words| words.chars().count());
        longest.is_some_and(|words| !words.is_empty() && self.0.contains(&words))
    }
}

/// A line of a text part without the signs of the quotes that it stands in.
fn unquoted(line: &str) -> &str {
    line.trim_start_matches([' ', '>'])
}

fn blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A piece of HTML without tags, as words.
fn words(piece: &str) -> String {
    let mut words = piece.to_owned();
    for (entity, sign) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        words = words.replace(entity, sign);
    }
    blanks(&words)
}

/// The sentence of a link within the text that holds it, with the blanks or the break before; and the question before it
/// where the link alone is the answer.
pub(super) fn around(page: &str, inside: &Range<usize>, link: &Range<usize>) -> Range<usize> {
    let ends = ends(page, inside);
    let begin = |before: usize| {
        let earlier = ends.iter().rev().find(|&&end| end <= before);
        earlier.copied().unwrap_or(inside.start)
    };
    let inner = untagged(&page[link.clone()]);
    let end = match inner.trim_end().ends_with(ENDS) {
        true => link.end,
        false => {
            let later = ends.iter().find(|&&end| end >= link.end);
            later.copied().unwrap_or(inside.end)
        }
    };
    let mut start = begin(link.start);
    let alone = untagged(&page[start..link.start]).trim().is_empty();
    if alone && page[inside.start..start].ends_with('?') {
        start = begin(start - 1);
    }
    // The first line goes with the break behind it.
    let behind = &page[end..inside.end];
    match start == inside.start && is_break(behind) {
        true => start..end + tag_length(behind),
        false => start..end,
    }
}

/// Whether the tag that begins here breaks the line.
fn is_break(html: &str) -> bool {
    let begun = html
        .get(..3)
        .is_some_and(|tag| tag.eq_ignore_ascii_case("<br"));
    begun && !html[3..].starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Where sentences end: behind the sign, and before the blank; and before what breaks the line.
fn ends(page: &str, inside: &Range<usize>) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut at, mut ended) = (inside.start, false);
    while let Some(c) = page[at..inside.end].chars().next() {
        match c {
            '<' => {
                let tag = &page[at..inside.end];
                if is_break(tag) {
                    found.push(at);
                    ended = false;
                }
                at += tag_length(tag);
                continue;
            }
            c if ENDS.contains(&c) => ended = true,
            c if ended && c.is_whitespace() => {
                found.push(at);
                ended = false;
            }
            c if CLOSING.contains(&c) => {}
            _ => ended = false,
        }
        at += c.len_utf8();
    }
    found
}

/// The words of some HTML, as they stand between its tags.
pub(super) fn untagged(html: &str) -> String {
    let mut text = String::new();
    let mut tag = false;
    for c in html.chars() {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            c if !tag => text.push(c),
            _ => {}
        }
    }
    text
}
