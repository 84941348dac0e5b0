//! A style sheet that is written into elements: its rules, their selectors, and where these stand.
//!
//! Promises: offsets are those of the author's text; rules of media queries and the like are left out, as are
//! states such as `:hover`, which no element can hold. Leaves the cascade to `render::inline`.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

/// A rule outside at-rules.
#[derive(Debug)]
pub struct Rule {
    /// Where its selectors begin in the sheet.
    pub at: usize,
    written: String,
    pub declarations: String,
}

impl Rule {
    /// Each of its selectors, and where it stands in the sheet.
    pub fn selectors(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = self.at;
        split(&self.written, ',').into_iter().map(move |part| {
            let start = at + (part.len() - part.trim_start().len());
            at += part.len() + 1;
            (start, part.trim())
        })
    }
}

/// The rules of a style sheet, those within at-rules apart.
pub fn rules(css: &str) -> Vec<Rule> {
    let css = without_comments(css);
    let mut at = 0;
    let mut rules = Vec::new();
    while let Some(open) = css[at..].find(['{', ';', '}']) {
        let (before, rest) = css[at..].split_at(open);
        if !rest.starts_with('{') {
            at += open + 1;
            continue;
        }
        let end = block_end(rest);
        let written = before.trim();
        if !written.starts_with('@') && !written.is_empty() {
            rules.push(Rule {
                at: at + (before.len() - before.trim_start().len()),
                written: written.to_owned(),
                declarations: rest[1..end].to_owned(),
            });
        }
        at = (at + open + end + 1).min(css.len());
    }
    rules
}

/// Counts of ids; classes, attributes and states; names. Absent where nothing can be inlined.
pub fn specificity(selector: &str) -> Option<[u32; 3]> {
    let mut counts = [0; 3];
    let mut before = ' ';
    let mut rest = selector.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '#' => counts[0] += 1,
            '.' => counts[1] += 1,
            '[' => {
                counts[1] += 1;
                pass(&mut rest, '[', ']');
            }
            ':' if rest.peek() == Some(&':') => return None,
            ':' => {
                let mut name = String::new();
                while let Some(letter) = rest.next_if(|c| c.is_alphanumeric() || *c == '-') {
                    name.push(letter.to_ascii_lowercase());
                }
                if matches!(
                    name.as_str(),
                    "hover"
                        | "active"
                        | "focus"
                        | "visited"
                        | "before"
                        | "after"
                        | "first-line"
                        | "first-letter"
                ) {
                    return None;
                }
                // Selectors, section 17: these count as what they hold, and `:where` as nothing. In the brackets of the
                // others stand numbers and words: `:nth-child(odd)`, `:lang(de)`.
                let selectors = matches!(name.as_str(), "not" | "is" | "has");
                counts[1] += u32::from(!selectors && name != "where");
                if !selectors && rest.next_if_eq(&'(').is_some() {
                    pass(&mut rest, '(', ')');
                }
            }
            c if c.is_alphabetic() && matches!(before, ' ' | '>' | '+' | '~' | '(') => {
                counts[2] += 1;
            }
            _ => {}
        }
        before = if c.is_whitespace() { ' ' } else { c };
    }
    (!selector.is_empty()).then_some(counts)
}

/// Passes over what stands in brackets of which the first is passed already; one in quotes is no bracket.
fn pass(rest: &mut Peekable<Chars<'_>>, open: char, close: char) {
    let mut depth = 1;
    let mut quote = None;
    for c in rest.by_ref() {
        match quote {
            Some(mark) if mark == c => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == open => depth += 1,
            None if c == close => depth -= 1,
            None => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// Where the block that begins `text` is closed.
fn block_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// The sheet with blanks for its comments, octet for octet.
fn without_comments(css: &str) -> Cow<'_, str> {
    if !css.contains("/*") {
        return Cow::Borrowed(css);
    }
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(open) = rest.find("/*") {
        out.push_str(&rest[..open]);
        let end = rest[open + 2..].find("*/");
        let end = end.map_or(rest.len(), |end| open + 2 + end + 2);
        out.extend(std::iter::repeat_n(' ', end - open));
        rest = &rest[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Splits outside of quotes, brackets and character references.
pub fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    let mut quote = None;
    let mut reference = false;
    for (at, c) in text.char_indices() {
        if quote.is_some() {
            if quote == Some(c) {
                quote = None;
            }
            continue;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '&' => {
                reference = true;
                continue;
            }
            ';' if reference => {
                reference = false;
                continue;
            }
            _ => {}
        }
        if c == separator && depth == 0 {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
        reference = reference && (c.is_ascii_alphanumeric() || c == '#');
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::{rules, specificity};

    #[test]
    fn each_selector_is_found_where_it_stands() {
        let css = "/* p { } */ a,\n .b /* c */ > i {x:y} @media print { u { x:y } } @import 'z'; b { x: y";
        let found: Vec<(&str, String)> = rules(css)
            .iter()
            .flat_map(|rule| {
                rule.selectors()
                    .map(|(at, one)| (&css[at..][..1], one.to_owned()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let expected = [("a", "a"), (".", ".b         > i"), ("b", "b")];
        assert_eq!(found.len(), expected.len());
        for ((letter, one), (start, whole)) in found.iter().zip(expected) {
            assert_eq!((*letter, one.as_str()), (start, whole));
        }
        assert_eq!(rules(css)[1].declarations, " x: y");
    }

    #[test]
    fn specificity_counts_ids_classes_and_names() {
        assert_eq!(
            specificity("#a .b.c > d e[f=g]:first-child"),
            Some([1, 4, 2])
        );
        assert_eq!(specificity("*"), Some([0, 0, 0]));
        assert_eq!(specificity("a:link"), Some([0, 1, 1]));
        assert_eq!(specificity("a:hover"), None);
        assert_eq!(specificity("p:nth-child(odd)"), Some([0, 1, 1]));
        assert_eq!(specificity("p:where(.a, #b):not(b.c)"), Some([0, 1, 2]));
        assert_eq!(specificity("a[title=\"]b\"] i"), Some([0, 1, 2]));
    }
}
