//! Where a layout's tags, values and the engine's signs begin and end.

use std::ops::Range;

use crate::issue::html::{Token, tokens};

/// Whether the engine has a part in a value.
pub(super) fn is_dynamic(value: &str) -> bool {
    value.contains("{{") || value.contains("{%")
}

/// The length of an expression, a statement or a comment of the engine that `text` begins with.
pub(super) fn engine(text: &str) -> Option<usize> {
    for (open, close) in [("{{", "}}"), ("{%", "%}"), ("{#", "#}")] {
        if text.starts_with(open) {
            return text.find(close).map(|end| end + close.len());
        }
    }
    None
}

/// A text that the engine prints as it is.
pub(super) fn literally(text: &str) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    text.replace('{', "&#123;")
}

/// Name and extent, without quotes, of each value from `at` to the end of the tag, and the offset behind it.
pub(super) fn attributes(text: &str, mut at: usize) -> (Vec<(String, Range<usize>)>, usize) {
    let mut out = Vec::new();
    while at < text.len() {
        let rest = &text[at..];
        if let Some(length) = engine(rest) {
            at += length;
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        if c == '>' {
            return (out, at + 1);
        }
        if c.is_whitespace() || "/='\"{".contains(c) {
            at += c.len_utf8();
            continue;
        }
        let ends = |c: char| c.is_whitespace() || "/>='\"{".contains(c);
        let length = rest.find(ends).unwrap_or(rest.len());
        let name = rest[..length].to_ascii_lowercase();
        at += length;
        let Some(value) = text[at..].trim_start().strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start();
        let start = text.len() - value.len();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let start = start + usize::from(quote.is_some());
        let closes = |c: char| match quote {
            Some(quote) => c == quote,
            // HTML, section 13.1.2.3: a slash is part of such a value.
            None => c.is_whitespace() || c == '>',
        };
        let mut end = start;
        while end < text.len() && !text[end..].starts_with(closes) {
            let step = engine(&text[end..]);
            let step = step.or(text[end..].chars().next().map(char::len_utf8));
            end += step.unwrap_or(1);
        }
        let end = end.min(text.len());
        out.push((name, start..end));
        at = (end + usize::from(quote.is_some())).min(text.len());
    }
    (out, at)
}

/// The words between a tag that ends at `start` and its closing tag.
pub(super) fn content(text: &str, start: usize, name: &str) -> String {
    let rest = &text[start.min(text.len())..];
    let end = rest.find(&format!("</{name}")).unwrap_or_default();
    let words = tokens(&rest[..end], |at| at)
        .into_iter()
        .filter_map(|token| match token {
            Token::Text(text, _) => Some(text),
            _ => None,
        });
    let words: String = words.collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
