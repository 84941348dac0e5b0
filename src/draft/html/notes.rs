//! Footnotes as the tools write them: a link to an anchor, and below the text a link back.
//!
//! Promises: a mention is a footnote only where the page holds its text; comments of Google Docs, which are linked
//! in the same way, are none. Leaves the words to `inline`.

use std::collections::BTreeSet;

use scraper::{ElementRef, Html, Node, Selector};

use crate::draft::html::element::{BLOCKS, holds_blocks};
use crate::draft::html::{DEPTH_LIMIT, Walk};
use crate::draft::piece::{Kind, Piece};

/// How anchors of footnotes begin, and those of the places that mention them.
const ANCHORS: [(&str, &str); 3] = [
    ("#footnote-anchor-", "#footnote-"),
    ("#ftnt_ref", "#ftnt"),
    ("#fnref", "#fn"),
];

/// How Google Docs links to a comment, and from there back.
const COMMENT: &str = "#cmnt";
const COMMENTED: &str = "#cmnt_ref";

impl Walk<'_> {
    /// The footnote whose text an element is.
    pub(super) fn note(&mut self, label: String, element: ElementRef<'_>) {
        let mut paragraphs = Vec::new();
        self.noted(element, 0, &mut paragraphs);
        let text = paragraphs.join("\n\n");
        self.pieces.push(Piece::of(Kind::Note { label, text }));
    }

    /// The paragraphs of a footnote, each on one line.
    fn noted(&mut self, element: ElementRef<'_>, depth: usize, out: &mut Vec<String>) {
        let mut run = String::new();
        let mut end = |run: &mut String| {
            let words = std::mem::take(run).replace('\n', " ");
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            out.extend((!words.is_empty()).then_some(words));
        };
        let mut inner = Vec::new();
        for child in element.children() {
            match (child.value(), ElementRef::wrap(child)) {
                (Node::Text(text), _) => {
                    let behind = child.next_sibling().and_then(ElementRef::wrap);
                    run.push_str(&self.words.text(text, behind));
                }
                (_, Some(child)) if holds_blocks(&child, 0) && depth < DEPTH_LIMIT => {
                    end(&mut run);
                    self.noted(child, depth + 1, &mut inner);
                    inner.drain(..).for_each(|mut words| end(&mut words));
                }
                (_, Some(child)) if BLOCKS.contains(&child.value().name()) => {
                    end(&mut run);
                    end(&mut self.words.children(child, 0));
                }
                (_, Some(child)) => run.push_str(&self.words.inline(child, 0)),
                _ => {}
            }
        }
        end(&mut run);
    }
}

/// Whether comments stand on the page.
pub(super) fn has_comments(page: &Html) -> bool {
    let back = format!("a[href^=\"{COMMENTED}\"]");
    let back = Selector::parse(&back).expect("our own selectors are well formed");
    page.select(&back).next().is_some()
}

/// Whether a link leads to a comment, or back from one.
pub(super) fn is_comments(link: ElementRef<'_>) -> bool {
    let href = link.value().attr("href");
    href.is_some_and(|href| href.starts_with(COMMENT))
}

/// The words of a comment, where an element is one: it begins with the link back.
pub(super) fn comment(element: ElementRef<'_>) -> Option<String> {
    if !matches!(element.value().name(), "p" | "div" | "li") {
        return None;
    }
    let links = Selector::parse("a[href]").expect("our own selectors are well formed");
    let link = element.select(&links).next()?;
    let back = link.value().attr("href")?.starts_with(COMMENTED);
    let words = |element: ElementRef<'_>| element.text().collect::<String>().trim().to_owned();
    let (text, mark) = (words(element), words(link));
    let comment = text
        .strip_prefix(&mark)
        .filter(|_| back && !mark.is_empty())?;
    Some(comment.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The footnotes whose text stands on the page.
pub(super) fn known(page: &Html) -> BTreeSet<String> {
    let links = Selector::parse("a[href]").expect("our own selectors are well formed");
    page.select(&links).filter_map(back).collect()
}

/// The footnote that a link mentions.
pub(super) fn mention(link: ElementRef<'_>) -> Option<String> {
    let href = link.value().attr("href")?;
    let fits = |(back, to): &(&str, &str)| !href.starts_with(back) && href.starts_with(to);
    let (_, to) = ANCHORS.iter().find(|anchors| fits(anchors))?;
    label(&href[to.len()..])
}

/// The footnote from whose text a link leads back.
pub(super) fn back(link: ElementRef<'_>) -> Option<String> {
    let href = link.value().attr("href")?;
    let to = ANCHORS.iter().find_map(|(back, _)| href.strip_prefix(back));
    label(to?)
}

/// The footnote whose text an element is: its words begin with the link back, or it is a paragraph or an
/// entry that ends with it.
pub(super) fn text_of(element: ElementRef<'_>) -> Option<String> {
    let name = element.value().name();
    if !matches!(name, "p" | "li" | "div") {
        return None;
    }
    let links = Selector::parse("a[href]").expect("our own selectors are well formed");
    let mut backs = element.select(&links).filter(|link| back(*link).is_some());
    let link = backs.next().filter(|_| backs.next().is_none())?;
    let words = |element: ElementRef<'_>| element.text().collect::<String>().trim().to_owned();
    let (text, mark) = (words(element), words(link));
    let ends = name != "div" && text.ends_with(&mark);
    (text.starts_with(&mark) || ends).then(|| back(link))?
}

fn label(end: &str) -> Option<String> {
    // Substack has the post's own number behind it.
    let end = end.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let number = end.split('-').next().unwrap_or_default();
    let counted = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    let kept: String = if counted { number } else { end }
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(20)
        .collect();
    (!kept.is_empty()).then_some(kept)
}
