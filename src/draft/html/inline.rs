//! Words within a block of HTML, as Markdown.

use std::collections::{BTreeSet, HashSet};

use scraper::{ElementRef, Html, Node, Selector};

use crate::draft::html::element::BLOCKS;
use crate::draft::html::embeds::{embedded, mentioned};
use crate::draft::html::{DEPTH_LIMIT, notes};
use crate::draft::links::{TODO, phrase_at_end, within};
use crate::draft::piece::{Kind, Piece, escape};
use crate::draft::write::target;

/// Addresses by which a tool lets its readers share.
const SHARING: [&str; 7] = [
    "facebook.com/sharer",
    "twitter.com/intent",
    "twitter.com/share",
    "x.com/intent",
    "linkedin.com/share",
    "threads.net/intent",
    "wa.me/?",
];

/// Whether an element is a link, or begins with one.
fn leads(element: ElementRef<'_>) -> bool {
    let mut at = Some(element);
    while let Some(element) = at {
        if element.value().name() == "a" {
            return element.value().attr("href").is_some();
        }
        at = element.first_child().and_then(ElementRef::wrap);
    }
    false
}

/// The reader of words, with what it came across on its way.
pub(super) struct Words {
    bold: HashSet<String>,
    italic: HashSet<String>,
    struck: HashSet<String>,
    /// Footnotes whose text stands on the page.
    footnotes: BTreeSet<String>,
    /// Comments of Google Docs stand on the page.
    comments: bool,
    /// And what stands in their place.
    images: Vec<Piece>,
    pub(super) notes: Vec<String>,
}

impl Words {
    /// Google Docs writes bold, italics and struck words as classes of a style sheet.
    pub(super) fn of(page: &Html) -> Words {
        let selector = Selector::parse("style").expect("our own selectors are well formed");
        let css: String = page
            .select(&selector)
            .flat_map(|style| style.text())
            .collect();
        let with = |wanted: &[&str]| {
            let rules = css.split('}').filter_map(|rule| rule.split_once('{'));
            let rules = rules.filter(|(_, body)| wanted.iter().any(|wanted| body.contains(wanted)));
            let names = rules.filter_map(|(name, _)| name.trim().strip_prefix('.'));
            names.map(str::to_owned).collect()
        };
        Words {
            bold: with(&["font-weight:700", "font-weight:bold", "font-weight: 700"]),
            italic: with(&["font-style:italic", "font-style: italic"]),
            struck: with(&[
                "text-decoration:line-through",
                "text-decoration: line-through",
            ]),
            footnotes: notes::known(page),
            comments: notes::has_comments(page),
            images: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The footnote whose text an element is.
    pub(super) fn footnote(&self, element: ElementRef<'_>) -> Option<String> {
        let any = !self.footnotes.is_empty();
        any.then(|| notes::text_of(element))?
    }

    /// The words of a comment, where an element is one.
    pub(super) fn comment(&self, element: ElementRef<'_>) -> Option<String> {
        self.comments.then(|| notes::comment(element))?
    }

    /// The pictures met since the last time.
    pub(super) fn take_images(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.images)
    }

    /// Words without any marks, on one line.
    pub(super) fn plain(&self, element: ElementRef<'_>) -> String {
        let text: String = element.text().collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The same without what only fills an inbox's line.
    pub(super) fn visible(&self, element: ElementRef<'_>) -> String {
        let filler = |c: char| {
            matches!(
                c,
                '\u{34f}'
                    | '\u{ad}'
                    | '\u{180e}'
                    | '\u{200b}'..='\u{200f}'
                    | '\u{2060}'..='\u{206f}'
                    | '\u{feff}'
            )
        };
        let text = self.plain(element).replace(filler, "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A text outside of links: blanks collapse, phrases that should be links become some.
    pub(super) fn text(&self, text: &str, behind: Option<ElementRef<'_>>) -> String {
        let text = collapsed(text);
        // "Read more" before a link is no link of its own.
        let kept = match behind {
            Some(next) if leads(next) => phrase_at_end(text.trim_end()),
            _ => None,
        };
        let (words, kept) = text.split_at(kept.unwrap_or(text.len()));
        within(words).0 + &escape(kept)
    }

    pub(super) fn children(&mut self, element: ElementRef<'_>, depth: usize) -> String {
        self.children_without(element, &[], depth)
    }

    /// The words within an element, but for some of its children.
    pub(super) fn children_without(
        &mut self,
        element: ElementRef<'_>,
        without: &[&str],
        depth: usize,
    ) -> String {
        let mut out = String::new();
        if depth > DEPTH_LIMIT {
            return out;
        }
        for child in element.children() {
            match child.value() {
                Node::Text(text) => {
                    let behind = child.next_sibling().and_then(ElementRef::wrap);
                    out.push_str(&self.text(text, behind));
                }
                Node::Element(_) => {
                    let Some(child) = ElementRef::wrap(child) else {
                        continue;
                    };
                    if !without.contains(&child.value().name()) {
                        out.push_str(&self.inline_without(child, without, depth + 1));
                    }
                }
                _ => {}
            }
        }
        out
    }

    pub(super) fn inline(&mut self, element: ElementRef<'_>, depth: usize) -> String {
        self.inline_without(element, &[], depth)
    }

    fn inline_without(
        &mut self,
        element: ElementRef<'_>,
        without: &[&str],
        depth: usize,
    ) -> String {
        let name = element.value().name();
        if let Some(pieces) = embedded(element) {
            self.images.extend(pieces);
            return String::new();
        }
        if let Some(name) = mentioned(element) {
            return escape(&name);
        }
        match name {
            "br" => return "  \n".into(),
            "img" => {
                self.image(element, None);
                return String::new();
            }
            "script" | "style" | "svg" | "source" => return String::new(),
            "a" => return self.link(element),
            "code" | "kbd" | "tt" => {
                let text = collapsed(&element.text().collect::<String>());
                let fence = if text.contains('`') { "``" } else { "`" };
                return format!("{fence}{}{fence}", text.trim());
            }
            _ if BLOCKS.contains(&name) => {
                let words = self.children_without(element, without, depth);
                return format!("{words}  \n");
            }
            _ => {}
        }
        let inner = self.children_without(element, without, depth);
        let bold = matches!(name, "b" | "strong")
            || self.styled(
                element,
                &self.bold,
                &["font-weight:700", "font-weight:bold", "font-weight: bold"],
            );
        // Google Docs wraps its whole clipboard in `<b style="font-weight:normal">`.
        let bold = bold
            && !element
                .value()
                .attr("style")
                .unwrap_or_default()
                .contains("font-weight:normal");
        let italic = matches!(name, "i" | "em" | "cite")
            || self.styled(
                element,
                &self.italic,
                &["font-style:italic", "font-style: italic"],
            );
        let struck = matches!(name, "s" | "del" | "strike")
            || self.styled(
                element,
                &self.struck,
                &[
                    "text-decoration:line-through",
                    "text-decoration: line-through",
                ],
            );
        match name {
            // A footnote is set high by the theme.
            "sup" if inner.trim().starts_with("[^") => return inner,
            "sub" | "sup" if inner.trim().is_empty() => return String::new(),
            "sub" | "sup" => return format!("<{name}>{}</{name}>", inner.trim()),
            _ => {}
        }
        let mut out = inner;
        for (wanted, mark) in [(italic, "*"), (bold, "**"), (struck, "~~")] {
            if wanted {
                out = marked(&out, mark);
            }
        }
        out
    }

    fn link(&mut self, element: ElementRef<'_>) -> String {
        let comments = self.comments && notes::is_comments(element);
        if comments || notes::back(element).is_some() {
            return String::new();
        }
        let mention = notes::mention(element).filter(|label| self.footnotes.contains(label));
        if let Some(label) = mention {
            return format!("[^{label}]");
        }
        let href = element
            .value()
            .attr("href")
            .map(str::trim)
            .unwrap_or_default();
        let href = unwrapped(href);
        if SHARING.iter().any(|host| href.contains(host)) {
            self.notes
                .push(format!("a link for sharing was left out: `{href}`"));
            return String::new();
        }
        let images = Selector::parse("img").expect("our own selectors are well formed");
        let pictures: Vec<ElementRef<'_>> = element.select(&images).collect();
        for picture in pictures {
            // A picture that links to itself at another size is a tool's lightbox.
            let own = href.contains("substackcdn.com")
                || href.ends_with(".png")
                || href.ends_with(".jpg");
            self.image(
                picture,
                (!own && href.starts_with("http")).then(|| href.clone()),
            );
        }
        let card = first(element, ".markup--mixtapeEmbed-strong");
        if card.is_some() {
            self.notes.push(format!(
                "of the card of a link its title was kept: `{href}`"
            ));
        }
        let text = collapsed(&spoken(card.unwrap_or(element)));
        let words = text.trim();
        if words.is_empty() {
            return String::new();
        }
        let spaced = |text: &str| if text.is_empty() { "" } else { " " };
        let before = spaced(&text[..text.len() - text.trim_start().len()]);
        let after = spaced(&text[text.trim_end().len()..]);
        let lower = href.to_ascii_lowercase();
        let link = if ["http://", "https://", "mailto:", "tel:"]
            .iter()
            .any(|scheme| lower.starts_with(scheme))
        {
            format!("[{}]({})", escape(words), target(&href))
        } else if element.value().attr("href").is_none()
            && element
                .value()
                .attr("name")
                .or(element.value().attr("id"))
                .is_some()
        {
            // A place to jump to, no link.
            escape(words)
        } else {
            format!("[{}]({TODO})", escape(words))
        };
        format!("{before}{link}{after}")
    }

    /// Where a link around blocks leads on the web; a tool's lightbox and its sharing lead nowhere.
    pub(super) fn address(&self, element: ElementRef<'_>) -> Option<String> {
        let href = unwrapped(element.value().attr("href")?.trim());
        let path = href.to_ascii_lowercase();
        let picture = [".png", ".jpg", ".jpeg", ".gif", ".webp"];
        let own = href.contains("substackcdn.com") || picture.iter().any(|end| path.ends_with(end));
        let shares = SHARING.iter().any(|host| href.contains(host));
        (path.starts_with("http") && !own && !shares).then_some(href)
    }

    fn image(&mut self, element: ElementRef<'_>, href: Option<String>) {
        let attribute = |name: &str| element.value().attr(name).unwrap_or_default().trim();
        let tiny = |name: &str| matches!(attribute(name), "0" | "1");
        if tiny("width") || tiny("height") || attribute("src").is_empty() {
            return;
        }
        let source = attribute("src");
        if source.starts_with("data:") {
            self.notes.push(
                "a picture that stands in the HTML itself was left out; save it beside `issue.md`"
                    .into(),
            );
            return;
        }
        let alt = match attribute("alt") {
            "" => TODO,
            alt => alt,
        };
        self.images.push(Piece::of(Kind::Image {
            source: source.to_owned(),
            alt: escape(alt),
            caption: attribute("title").to_owned(),
            href,
        }));
    }

    fn styled(&self, element: ElementRef<'_>, classes: &HashSet<String>, inline: &[&str]) -> bool {
        let style = element.value().attr("style").unwrap_or_default();
        let class = element.value().attr("class").unwrap_or_default();
        element.value().name() == "span"
            && (inline.iter().any(|wanted| style.contains(wanted))
                || class
                    .split_whitespace()
                    .any(|class| classes.contains(class)))
    }
}

/// The words of an element; a line ends like a word.
fn spoken(element: ElementRef<'_>) -> String {
    let words = element.descendants().filter_map(|node| match node.value() {
        Node::Text(text) => Some(&**text),
        Node::Element(inner) if matches!(inner.name(), "br" | "p" | "div") => Some(" "),
        _ => None,
    });
    words.collect()
}

fn first<'a>(within: ElementRef<'a>, selector: &str) -> Option<ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("our own selectors are well formed");
    within.select(&selector).next()
}

fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// The words between marks, blanks outside of them, as Markdown wants it.
fn marked(text: &str, mark: &str) -> String {
    let words = text.trim();
    let sign = if mark.starts_with('~') { '~' } else { '*' };
    // Three stars are bold and italics.
    let has = |length: usize| length == mark.len() || length == 3;
    let leading = words.len() - words.trim_start_matches(sign).len();
    let trailing = words.len() - words.trim_end_matches(sign).len();
    if words.is_empty() || has(leading) && has(trailing) {
        return text.to_owned();
    }
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    format!("{}{mark}{words}{mark}{}", &text[..start], &text[end..])
}

/// The target behind Google's redirect.
fn unwrapped(href: &str) -> String {
    let Ok(url) = url::Url::parse(href) else {
        return href.to_owned();
    };
    let google =
        matches!(url.host_str(), Some("www.google.com" | "google.com")) && url.path() == "/url";
    let inner = url
        .query_pairs()
        .find(|(key, _)| google && (key == "q" || key == "url"));
    inner.map_or_else(|| href.to_owned(), |(_, value)| value.into_owned())
}
