//! The elements of a page, as far as cutting words out of it needs them.
//!
//! Promises: any text gives some; what is left open ends with what holds it. Leaves what they mean to `impersonal`.

use std::ops::Range;

use crate::compile::impersonal::{HERS, VIEW};

/// Elements without an end.
const VOID: [&str; 12] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr",
];

/// An element of the page, by octets.
pub(super) struct Element {
    pub(super) name: String,
    /// From its `<` to behind its end.
    pub(super) whole: Range<usize>,
    /// What stands between its tags.
    pub(super) inside: Range<usize>,
    pub(super) parent: Option<usize>,
    pub(super) door: Option<Door>,
}

impl Element {
    /// Whether a range holds one end of it and not the other.
    pub(super) fn is_cut_by(&self, range: &Range<usize>) -> bool {
        let Range { start, end } = self.whole;
        let apart = end <= range.start || start >= range.end;
        let within = start >= range.start && end <= range.end;
        let around = self.inside.start <= range.start && range.end <= self.inside.end;
        !(apart || within || around)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    View,
    Hers,
}

/// The elements of a page in the order of their starts. Comments, styles and scripts hold none.
pub(super) fn elements(page: &str) -> Vec<Element> {
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(next) = page[at..].find('<') {
        let start = at + next;
        let rest = &page[start..];
        let end = start + tag_length(rest);
        at = end;
        if rest.starts_with("<!--") {
            continue;
        }
        let tag = &page[start..end];
        if let Some(name) = tag.strip_prefix("</") {
            let name = name_of(name);
            if let Some(depth) = open.iter().rposition(|&place| found[place].name == name) {
                for &place in &open[depth..] {
                    found[place].inside.end = start;
                    found[place].whole.end = start;
                }
                found[open[depth]].whole.end = end;
                open.truncate(depth);
            }
            continue;
        }
        let name = name_of(&tag[1..]);
        if name.is_empty() {
            continue;
        }
        let door = match name.as_str() {
            "a" if tag.contains(VIEW) => Some(Door::View),
            "a" if tag.contains(HERS) => Some(Door::Hers),
            _ => None,
        };
        let bare = VOID.contains(&name.as_str()) || tag.ends_with("/>");
        let raw = matches!(name.as_str(), "style" | "script" | "title");
        found.push(Element {
            whole: start..if bare { end } else { page.len() },
            inside: end..if bare { end } else { page.len() },
            parent: open.last().copied(),
            door,
            name,
        });
        if raw {
            let name = format!("</{}", found[found.len() - 1].name);
            at = page[end..].find(&name).map_or(page.len(), |to| end + to);
        }
        if !bare {
            open.push(found.len() - 1);
        }
    }
    found
}

fn name_of(tag: &str) -> String {
    let name = tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != ':');
    name.take(1).collect::<String>().to_ascii_lowercase()
}

/// Octets from `<` to behind the `>` that is in no quotes; of a comment all of it.
pub(crate) fn tag_length(rest: &str) -> usize {
    if rest.starts_with("<!--") {
        return rest.find("-->").map_or(rest.len(), |end| end + 3);
    }
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    rest.len()
}
