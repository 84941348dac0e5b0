//! What an element of an exported page is: a widget, a block, a table of data.

use scraper::{ElementRef, Node, Selector};

use crate::draft::html::DEPTH_LIMIT;

/// Classes of widgets, as their tools name them.
const WIDGETS: [&str; 8] = [
    "hide-text",
    "subscription-widget",
    "subscribe-widget",
    "share-dialog",
    "post-ufi",
    "like-button",
    "image-link-expand",
    "footnote-anchor-back",
];
/// Classes of what holds a button.
const BUTTONS: [&str; 2] = ["button-wrapper", "captioned-button-wrap"];
/// Elements that end a paragraph.
pub(super) const BLOCKS: [&str; 40] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
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
    "iframe",
    "legend",
    "li",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Whether an element is the tool's own; a button may be the author's.
pub(super) fn is_widget(element: &ElementRef<'_>) -> bool {
    let class = element.value().attr("class").unwrap_or_default();
    let buttons = BUTTONS.iter().any(|buttons| class.contains(buttons));
    WIDGETS.iter().any(|widget| class.contains(widget))
        || buttons && links_of(*element).iter().all(|href| is_tools(href))
}

/// Whether what follows an element was for payers, as Substack marks it.
pub(super) fn is_paywall(element: &ElementRef<'_>) -> bool {
    let class = element.value().attr("class").unwrap_or_default();
    let name = element.value().attr("data-component-name");
    class
        .split_whitespace()
        .any(|class| class == "paywall-jump")
        || name == Some("PaywallToDOM")
}

/// Whether a widget asks for something in words that an author may have written.
pub(super) fn asks(widget: &ElementRef<'_>) -> bool {
    let class = widget.value().attr("class").unwrap_or_default();
    let asking = ["subscription-widget", "subscribe-widget"];
    BUTTONS
        .iter()
        .chain(&asking)
        .any(|name| class.contains(name))
}

/// Whether an element is set off as a quote, as Substack names it.
pub(super) fn is_pullquote(element: &ElementRef<'_>) -> bool {
    let class = element.value().attr("class").unwrap_or_default();
    element.value().name() == "div" && class.split_whitespace().any(|class| class == "pullquote")
}

/// Where the links of an element lead.
pub(super) fn links_of(element: ElementRef<'_>) -> Vec<String> {
    let links = Selector::parse("a[href]").expect("our own selectors are well formed");
    let links = element
        .select(&links)
        .filter_map(|link| link.value().attr("href"));
    links.map(str::to_owned).collect()
}

/// Whether a button leads to where Substack's own buttons do: to subscribe, to share, to comment.
fn is_tools(href: &str) -> bool {
    let Ok(url) = url::Url::parse(href) else {
        return true;
    };
    let host = url.host_str().unwrap_or_default();
    let last = url.path().trim_end_matches('/').rsplit('/').next();
    let pages = ["subscribe", "comments", "gift", "leaderboard", "refer"];
    let shares = url
        .query_pairs()
        .any(|(key, value)| key == "action" && value == "share");
    let page = last.is_some_and(|last| pages.contains(&last));
    href.contains("%%")
        || shares
        || page
        || host == "substack.com"
        || host.ends_with(".substack.com")
}

/// The text of code, with the ends of its lines however the tool marks them.
pub(super) fn code(element: ElementRef<'_>) -> String {
    let mut out = String::new();
    lines(element, 0, &mut out);
    out
}

fn lines(element: ElementRef<'_>, depth: usize, out: &mut String) {
    if depth > DEPTH_LIMIT {
        return;
    }
    let end = |out: &mut String| {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
    };
    for child in element.children() {
        if let Node::Text(text) = child.value() {
            out.push_str(text);
        }
        let Some(child) = ElementRef::wrap(child) else {
            continue;
        };
        let name = child.value().name();
        if name == "br" {
            out.push('\n');
            continue;
        }
        let block = BLOCKS.contains(&name);
        if block {
            end(out);
        }
        lines(child, depth + 1, out);
        if block {
            end(out);
        }
    }
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
    let presentation = matches!(table.value().attr("role"), Some("presentation" | "none"));
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
