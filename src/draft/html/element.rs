//! What an element of an exported page is: a widget, a block, a table of data.

use scraper::{ElementRef, Selector};

use crate::draft::html::DEPTH_LIMIT;

/// Classes of widgets, as their tools name them.
const WIDGETS: [&str; 9] = [
    "subscription-widget",
    "subscribe-widget",
    "share-dialog",
    "button-wrapper",
    "captioned-button-wrap",
    "post-ufi",
    "like-button",
    "image-link-expand",
    "footnote-anchor-back",
];
/// Elements that end a paragraph.
pub(super) const BLOCKS: [&str; 26] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "center",
    "div",
    "dl",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
    "iframe",
];

pub(super) fn is_widget(element: &ElementRef<'_>) -> bool {
    let class = element.value().attr("class").unwrap_or_default();
    WIDGETS.iter().any(|widget| class.contains(widget))
}

/// Whether blocks stand somewhere within an element that is none itself.
pub(super) fn holds_blocks(element: &ElementRef<'_>, depth: usize) -> bool {
    depth < DEPTH_LIMIT
        && element
            .children()
            .filter_map(ElementRef::wrap)
            .any(|child| BLOCKS.contains(&child.value().name()) || holds_blocks(&child, depth + 1))
}

/// Whether a table holds data; most tables of a mail hold its layout.
pub(super) fn is_data(table: &ElementRef<'_>) -> bool {
    let inner = Selector::parse("table, h1, h2, h3, ul, ol, img")
        .expect("our own selectors are well formed");
    let head = Selector::parse("th").expect("our own selectors are well formed");
    let row = Selector::parse("tr").expect("our own selectors are well formed");
    let presentation = table.value().attr("role") == Some("presentation");
    let wide = table
        .select(&row)
        .any(|row| row.children().filter_map(ElementRef::wrap).count() > 1);
    !presentation
        && table.select(&inner).next().is_none()
        && (wide || table.select(&head).next().is_some())
}

/// Whether nobody sees an element: it holds what inboxes show beside the subject.
pub(super) fn is_hidden(element: &ElementRef<'_>) -> bool {
    let style = element.value().attr("style").unwrap_or_default();
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
    style.to_ascii_lowercase().contains("display:none") || element.value().attr("hidden").is_some()
}

/// Whether a list of Google Docs goes on with the one above it: each level is a list of its own, and only
/// the first one says that it starts.
pub(super) fn continues(list: &ElementRef<'_>) -> bool {
    let class = list.value().attr("class").unwrap_or_default();
    let mut names = class.split_whitespace();
    let kix = names.clone().any(|class| class.starts_with("lst-kix"));
    kix && (depth_of_class(list) > 0 || !names.any(|class| class == "start"))
}

/// Google Docs tells the level of a list by its class: `lst-kix_x-1`.
pub(super) fn depth_of_class(list: &ElementRef<'_>) -> usize {
    let class = list.value().attr("class").unwrap_or_default();
    let kix = class
        .split_whitespace()
        .find(|class| class.starts_with("lst-kix"));
    let level = kix
        .and_then(|class| class.rsplit('-').next())
        .and_then(|level| level.parse().ok());
    level.map_or(0, |level: usize| level.min(6))
}
