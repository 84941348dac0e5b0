//! A mail's HTML as plain, clean HTML for feed readers: what is said, without how it looked.
//!
//! Promises: only the tags and attributes named here come out, addresses are http, https, mailto or tel, and
//! everything else is text; so whatever went in, nothing runs. Layout tables dissolve; what is hidden, and
//! the paragraphs around a mail's own links, are left out.

use scraper::{ElementRef, Html, Node};

use crate::compile::escape::escape_html;

/// Nobody nests deeper; a hostile layout does.
const DEPTH: usize = 150;

/// What never holds words.
const SKIPPED: [&str; 14] = [
    "script", "style", "head", "title", "noscript", "template", "svg", "math", "iframe", "form",
    "object", "embed", "input", "select",
];
/// Blocks that stay as they are.
const BLOCKS: [&str; 17] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "blockquote",
    "pre",
    "dl",
    "dt",
    "dd",
    "figure",
    "figcaption",
];
/// Boxes: they part one text from another, and are nothing themselves.
const BOXES: [&str; 11] = [
    "div", "table", "tbody", "thead", "tfoot", "tr", "td", "th", "center", "section", "body",
];
const TABLE: [&str; 6] = ["table", "thead", "tbody", "tr", "th", "td"];
const WORDS: [&str; 15] = [
    "strong", "b", "em", "i", "u", "s", "del", "ins", "code", "sub", "sup", "kbd", "mark", "small",
    "abbr",
];
const SCHEMES: [&str; 4] = ["http://", "https://", "mailto:", "tel:"];

/// The words of `page` as clean HTML. A headline that says `title` is left out: a feed says it already. The
/// innermost block around a link to `nowhere` is left out, too.
pub fn fragment(page: &str, title: &str, nowhere: &str) -> String {
    let tree = Html::parse_document(page);
    let mut writer = Writer {
        title,
        nowhere,
        out: String::new(),
    };
    writer.element(tree.root_element(), 0, false);
    writer.out.trim().to_owned()
}

struct Writer<'a> {
    title: &'a str,
    nowhere: &'a str,
    out: String,
}

impl Writer<'_> {
    fn inside(&mut self, element: ElementRef<'_>, depth: usize, data: bool) {
        for child in element.children() {
            if let Node::Text(text) = child.value() {
                let text = text.replace(['\u{200b}', '\u{34f}', '\u{200c}'], "");
                // Blanks between two blocks were for whoever wrote the layout.
                let between = self.out.is_empty() || self.out.ends_with('\n');
                if !(between && text.trim().is_empty()) {
                    self.out.push_str(&escape_html(&text));
                }
            } else if let Some(child) = ElementRef::wrap(child) {
                self.element(child, depth + 1, data);
            }
        }
    }

    fn element(&mut self, element: ElementRef<'_>, depth: usize, data: bool) {
        let name = element.value().name();
        if depth > DEPTH || SKIPPED.contains(&name) || is_hidden(&element) {
            return;
        }
        match name {
            "br" => self.out.push_str("<br>"),
            "hr" => self.out.push_str("<hr>\n"),
            "img" => self.image(&element),
            "a" => self.anchor(element, depth, data),
            // The words of a data table stay in their cells.
            _ if TABLE.contains(&name) && (data || is_data(&element)) => {
                self.wrap(name, element, depth, true);
            }
            _ if BLOCKS.contains(&name) => self.block(name, element, depth, data),
            _ if BOXES.contains(&name) && !holds_blocks(&element, depth) => {
                self.block("p", element, depth, data);
            }
            _ if WORDS.contains(&name) => self.wrap(name, element, depth, data),
            _ => self.inside(element, depth, data),
        }
    }

    /// One block, unless nothing is left in it.
    fn block(&mut self, name: &str, element: ElementRef<'_>, depth: usize, data: bool) {
        let inner = !holds_blocks(&element, depth);
        if inner && leads(&element, self.nowhere) {
            return;
        }
        let start = self.out.len();
        let open = match (name, element.value().attr("start")) {
            ("ol", Some(start)) if start.parse::<u32>().is_ok() => {
                format!("<ol start=\"{start}\">")
            }
            _ => format!("<{name}>"),
        };
        self.out.push_str(&open);
        let begun = self.out.len();
        self.inside(element, depth, data);
        let words = self.out[begun..].trim();
        let said = name == "h1" && words == escape_html(self.title);
        if words.is_empty() || said {
            self.out.truncate(start);
        } else {
            self.out.push_str(&format!("</{name}>\n"));
        }
    }

    fn wrap(&mut self, name: &str, element: ElementRef<'_>, depth: usize, data: bool) {
        self.out.push_str(&format!("<{name}>"));
        self.inside(element, depth, data);
        self.out.push_str(&format!("</{name}>"));
    }

    fn anchor(&mut self, element: ElementRef<'_>, depth: usize, data: bool) {
        let target = element.value().attr("href").unwrap_or_default().trim();
        if !is_address(target) {
            return self.inside(element, depth, data);
        }
        self.out
            .push_str(&format!("<a href=\"{}\">", escape_html(target)));
        self.inside(element, depth, data);
        self.out.push_str("</a>");
    }

    fn image(&mut self, element: &ElementRef<'_>) {
        let attribute = |name: &str| element.value().attr(name).unwrap_or_default().trim();
        let source = attribute("src");
        if !source.starts_with("http://") && !source.starts_with("https://") {
            return;
        }
        let mut tag = format!("<img src=\"{}\"", escape_html(source));
        tag.push_str(&format!(" alt=\"{}\"", escape_html(attribute("alt"))));
        for size in ["width", "height"] {
            if let Ok(pixels) = attribute(size).parse::<u32>() {
                tag.push_str(&format!(" {size}=\"{pixels}\""));
            }
        }
        tag.push('>');
        self.out.push_str(&tag);
    }
}

fn is_address(target: &str) -> bool {
    let lower = target.to_ascii_lowercase();
    SCHEMES.iter().any(|scheme| lower.starts_with(scheme))
}

fn is_hidden(element: &ElementRef<'_>) -> bool {
    let style = element.value().attr("style").unwrap_or_default();
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
    let style = style.to_ascii_lowercase();
    style.contains("display:none") || style.contains("visibility:hidden")
}

/// Whether a table holds data: a mail's layout says that it is for looks.
fn is_data(element: &ElementRef<'_>) -> bool {
    let value = element.value();
    value.name() == "table"
        && !matches!(value.attr("role"), Some("presentation" | "none"))
        && element
            .descendants()
            .filter_map(ElementRef::wrap)
            .all(|inner| inner == *element || inner.value().name() != "table")
}

/// Whether blocks or boxes stand within an element.
fn holds_blocks(element: &ElementRef<'_>, depth: usize) -> bool {
    depth <= DEPTH
        && element
            .children()
            .filter_map(ElementRef::wrap)
            .any(|child| {
                let name = child.value().name();
                BLOCKS.contains(&name)
                    || BOXES.contains(&name)
                    || name == "hr"
                    || holds_blocks(&child, depth + 1)
            })
}

/// Whether a link within leads to `target`.
fn leads(element: &ElementRef<'_>, target: &str) -> bool {
    element
        .descendants()
        .filter_map(ElementRef::wrap)
        .any(|inner| inner.value().attr("href") == Some(target))
}

#[cfg(test)]
mod tests {
    use super::fragment;

    fn clean(page: &str) -> String {
        fragment(page, "Title", "about:invalid")
    }

    #[test]
    fn layout_dissolves_and_words_stay() {
        let page = "<html><head><title>x</title><style>p{}</style></head><body>\
            <div style=\"display: none\">preheader</div>\
            <table role=\"presentation\"><tr><td><div style=\"font-size:0\"><h1>Title</h1></div></td></tr>\
            <tr><td><div>Bare <b>words</b></div><div><p>One</p><p>Two <a href=\"https://a.example/?a&amp;b\">a</a></p>\
            </div></td></tr></table>\
            <table><tr><th>k</th></tr><tr><td>v</td></tr></table>\
            <ol start=\"3\"><li>c</li></ol></body></html>";
        assert_eq!(
            clean(page),
            "<p>Bare <b>words</b></p>\n<p>One</p>\n\
             <p>Two <a href=\"https://a.example/?a&amp;b\">a</a></p>\n\
             <table><tbody><tr><th>k</th></tr><tr><td>v</td></tr></tbody></table>\
             <ol start=\"3\"><li>c</li>\n</ol>"
        );
    }

    #[test]
    fn the_paragraph_of_a_mails_own_link_is_left_out() {
        let page = "<div><a href=\"about:invalid\">View in browser</a></div><p>Text</p>\
            <div><p>You get this because. <a href=\"about:invalid\">Unsubscribe</a></p><p>Town</p></div>";
        assert_eq!(clean(page), "<p>Text</p>\n<p>Town</p>");
    }

    #[test]
    fn nothing_hostile_comes_out() {
        for page in [
            "<script>alert(1)</script><p onclick=x style=y>a</p>",
            "<p>a</p><iframe src=\"https://e.example\"></iframe>",
            "<p>a<img src=\"javascript:x\" onerror=\"y\"></p>",
            "<p>a<svg onload=x><script>y</script></svg></p>",
            "<!-- --><p>a</p><form action=x><input></form>",
        ] {
            assert_eq!(clean(page), "<p>a</p>", "{page}");
        }
        assert_eq!(
            clean("<p><a href=\" JaVaScript:x\">b</a><a href=\"data:x\">c</a>&lt;script&gt;</p>"),
            "<p>bc&lt;script&gt;</p>"
        );
        assert_eq!(
            clean("<p><a href='https://a.example/\"onx=1'>b</a></p>"),
            "<p><a href=\"https://a.example/&quot;onx=1\">b</a></p>"
        );
    }

    #[test]
    fn what_is_nested_without_end_ends() {
        let page = "<div>".repeat(5_000) + "a";
        assert!(clean(&page).len() < 100);
    }
}
