//! What of a mail is its reader's own, taken out of the page that anyone may read: the way to her copy in the browser, and
//! the ways to leave and to choose, with the words around them.
//!
//! Promises: no link of hers is left, and no sentence that says why she gets the mail, where it stands with one in a
//! paragraph or in a line of the theme's; of what the author wrote, no more than the sentence of such a link is taken.
//! Where the last of them stood, ways that are anyone's stand; nothing is cut apart. Leaves the links to `archived`, and
//! the author's words to `sentence`.

use std::ops::Range;

use crate::compile::impersonal::elements::{Door, Element, elements};
use crate::compile::impersonal::sentence::{Written, untagged};

pub(crate) mod elements;
mod sentence;

/// Stands in a page for the link to a reader's copy in the browser.
pub(super) const VIEW: &str = "about:pressrun-copy";
/// Stands there for her links to leave, to choose and to confirm.
pub(super) const HERS: &str = "about:pressrun-reader";

/// Where anyone may go from an issue's page, with the words for it; HTML is made of them here.
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    /// The page itself.
    pub page: &'a str,
    pub home: &'a str,
    pub archive: &'a str,
    pub subscribe: &'a str,
    pub issues: &'a str,
}

/// Elements that hold one text of their own.
const TEXTS: [&str; 13] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "li",
    "blockquote",
    "pre",
    "dt",
    "dd",
    "figcaption",
];
/// Elements that part one text from another, and are nothing themselves.
const BOXES: [&str; 15] = [
    "div", "table", "tbody", "thead", "tfoot", "tr", "td", "th", "center", "section", "body", "ul",
    "ol", "dl", "figure",
];
/// The page without its reader; `text` is the text part of the same issue.
pub(super) fn without_reader(page: &str, text: &str, ways: &Ways<'_>) -> String {
    let elements = elements(page);
    let written = Written::of(text);
    let mut cuts: Vec<(Range<usize>, bool)> = Vec::new();
    for (place, element) in elements.iter().enumerate() {
        let Some(door) = element.door else {
            continue;
        };
        let link = &element.whole;
        for cut in around(page, &elements, &written, place, door) {
            let holds = cut.start <= link.start && link.end <= cut.end;
            cuts.push((cut, holds && door == Door::Hers));
        }
    }
    // Two sentences may have a question in common, and one text may hold another.
    cuts.sort_by_key(|(cut, _)| cut.start);
    cuts.dedup_by(|(cut, hers), (first, also_hers)| {
        let meet = cut.start < first.end;
        if meet {
            first.end = first.end.max(cut.end);
            *also_hers |= *hers;
        }
        meet
    });
    let last = cuts.iter().rposition(|(_, hers)| *hers);
    let mut out = String::with_capacity(page.len());
    let mut from = 0;
    for (place, (cut, _)) in cuts.iter().enumerate() {
        out.push_str(&page[from..cut.start]);
        if Some(place) == last {
            if !out.ends_with(|c: char| c == '>' || c.is_whitespace()) {
                out.push(' ');
            }
            out.push_str(&ways_instead(&page[cut.clone()], ways));
        }
        from = cut.end;
    }
    out.push_str(&page[from..]);
    // In conditional comments, and where an author's layout prints an address as words.
    out.replace(VIEW, ways.page).replace(HERS, ways.home)
}

/// The ways that are anyone's, looking like the links that stood in `cut`.
fn ways_instead(cut: &str, ways: &Ways<'_>) -> String {
    let style = cut.find(HERS).and_then(|at| {
        let tag = &cut[cut[..at].rfind('<')?..];
        let tag = &tag[..tag.find('>')?];
        let (_, style) = tag.split_once("style=\"")?;
        Some(format!(" style=\"{}\"", style.split_once('"')?.0))
    });
    let style = style.unwrap_or_default();
    format!(
        "<a href=\"{}\"{style}>{}</a> &#183; <a href=\"{}\"{style}>{}</a>",
        ways.home, ways.subscribe, ways.archive, ways.issues
    )
}

/// What goes with a link: the text it stands in, or its sentence where the author wrote that, or its line, or itself
/// alone.
fn around(
    page: &str,
    elements: &[Element],
    written: &Written,
    place: usize,
    door: Door,
) -> Vec<Range<usize>> {
    let link = &elements[place];
    let mut holder = link.parent;
    while let Some(at) = holder {
        let name = elements[at].name.as_str();
        if TEXTS.contains(&name) {
            let inside = elements[at].inside.clone();
            if !written.holds(&page[inside.clone()]) {
                return vec![inside];
            }
            // An item may hold a list of its own.
            let own = stretch(elements, &inside, &link.whole, is_block);
            let sentence = sentence::around(page, &own, &link.whole);
            return unbroken(elements, sentence);
        }
        if BOXES.contains(&name) {
            break;
        }
        holder = elements[at].parent;
    }
    let inside = holder.map_or(0..page.len(), |at| elements[at].inside.clone());
    let own = stretch(elements, &inside, &link.whole, is_block);
    // A cell of a table that the author wrote.
    if door == Door::Hers && written.holds(&page[own.clone()]) {
        let sentence = sentence::around(page, &own, &link.whole);
        return unbroken(elements, sentence);
    }
    vec![line(page, elements, &own, link, door)]
}

/// What of the text `inside` stands around a link in it, up to the next elements of some names.
fn stretch(
    elements: &[Element],
    inside: &Range<usize>,
    link: &Range<usize>,
    parts: impl Fn(&str) -> bool,
) -> Range<usize> {
    let mut own = inside.clone();
    for other in elements {
        if !parts(&other.name) || other.whole.start < inside.start || other.whole.end > inside.end {
            continue;
        }
        if other.whole.end <= link.start {
            own.start = own.start.max(other.whole.end);
        } else if other.whole.start >= link.end {
            own.end = own.end.min(other.whole.start);
        }
    }
    own
}

/// What goes with a link of the theme's: its line, or itself alone.
fn line(
    page: &str,
    elements: &[Element],
    inside: &Range<usize>,
    link: &Element,
    door: Door,
) -> Range<usize> {
    let line = stretch(elements, inside, &link.whole, |name| name == "br");
    if !is_whole(elements, &line) {
        return link.whole.clone();
    }
    let before = words(&page[line.start..link.whole.start]);
    let after = words(&page[link.whole.end..line.end]);
    // Beside the way into the browser a date stands, which is everyone's.
    if door == Door::View && !(before.is_empty() && after.is_empty()) {
        let cut = with_divider(page, link.whole.clone(), &line);
        return match is_whole(elements, &cut) {
            true => cut,
            false => link.whole.clone(),
        };
    }
    line
}

fn is_block(name: &str) -> bool {
    TEXTS.contains(&name) || BOXES.contains(&name) || name == "hr"
}

/// Whether no element begins in `range` and ends outside, or the other way round.
fn is_whole(elements: &[Element], range: &Range<usize>) -> bool {
    elements.iter().all(|element| !element.is_cut_by(range))
}

/// `range` without the tags of the elements that begin in it and end outside, or the other way round: their words beyond
/// it stay, and so do they.
fn unbroken(elements: &[Element], range: Range<usize>) -> Vec<Range<usize>> {
    let cut = elements.iter().filter(|element| element.is_cut_by(&range));
    let tags = cut.flat_map(|element| {
        let Element { whole, inside, .. } = element;
        [whole.start..inside.start, inside.end..whole.end]
    });
    let mut kept: Vec<Range<usize>> = tags
        .filter(|tag| range.start <= tag.start && tag.end <= range.end)
        .collect();
    kept.sort_by_key(|tag| tag.start);
    let mut pieces = Vec::new();
    let mut from = range.start;
    for tag in kept {
        pieces.push(from..tag.start);
        from = tag.end;
    }
    pieces.push(from..range.end);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The words of some HTML, without what divides them from others.
fn words(html: &str) -> String {
    undivided(&untagged(html)).to_owned()
}

const DIVIDERS: [&str; 12] = [
    "&#160;", "&nbsp;", "&#183;", "&middot;", "&#8203;", "&#8226;", "\u{a0}", "\u{b7}", "\u{2022}",
    "|", "\u{200b}", "\u{2013}",
];

/// `text` without the dividers and blanks at both ends.
fn undivided(mut text: &str) -> &str {
    loop {
        let before = text.len();
        text = text.trim();
        for divider in DIVIDERS {
            text = text.strip_prefix(divider).unwrap_or(text);
            text = text.strip_suffix(divider).unwrap_or(text);
        }
        if text.len() == before {
            return text;
        }
    }
}

/// A link with the divider between it and the words beside it in its line.
fn with_divider(page: &str, link: Range<usize>, line: &Range<usize>) -> Range<usize> {
    let before = &page[line.start..link.start];
    let kept = undivided(before);
    if !kept.is_empty() {
        let end = before.find(kept).map_or(before.len(), |at| at + kept.len());
        return line.start + end..link.end;
    }
    let after = &page[link.end..line.end];
    let kept = undivided(after);
    let begin = after.find(kept).filter(|_| !kept.is_empty());
    link.start..link.end + begin.unwrap_or(0)
}

#[cfg(test)]
mod tests;
