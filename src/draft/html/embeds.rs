//! What a page shows of something else: a film, a post, a formula, a row of pictures.
//!
//! Promises: what can be kept becomes a piece of its own; of the rest its kind, address and words stand in a mark
//! at the place.

use scraper::{ElementRef, Selector};
use serde_json::Value;
use url::Url;

use crate::draft::links::TODO;
use crate::draft::piece::{Kind, Piece, escape};
use crate::draft::write::target;

/// Under which keys Substack keeps words that an author wrote.
const WORDS: [&str; 9] = [
    "name",
    "label",
    "title",
    "question",
    "text",
    "full_text",
    "caption",
    "subtitle",
    "description",
];
/// Under which it keeps an address.
const ADDRESSES: [&str; 4] = ["canonical_url", "url", "src", "href"];

/// The pieces that an element becomes which shows something else.
pub(super) fn embedded(element: ElementRef<'_>) -> Option<Vec<Piece>> {
    let attribute = |name: &str| element.value().attr(name).map(str::to_owned);
    let name = element.value().name();
    match name {
        "iframe" | "embed" => {
            let source = attribute("src");
            let film = source.as_deref().and_then(film);
            Some(film.unwrap_or_else(|| mark(name, source.as_deref(), "")))
        }
        "video" | "audio" | "object" => {
            let source = Selector::parse("source[src]").expect("our own selectors are well formed");
            let inner = element.select(&source).next();
            let inner = inner.and_then(|source| source.value().attr("src"));
            let own = attribute("src").or(attribute("data"));
            let own = own.or(inner.map(str::to_owned));
            let words = element.text().collect::<String>();
            Some(mark(name, own.as_deref(), &words))
        }
        "div" => in_data(element),
        _ => None,
    }
}

/// Whom a text mentions, whose name Substack fills in later.
pub(super) fn mentioned(element: ElementRef<'_>) -> Option<String> {
    let class = element.value().attr("class")?;
    let data = data(element).filter(|_| class.contains("mention-wrap") && is_silent(element))?;
    data["name"].as_str().map(str::to_owned)
}

/// Substack says in JSON what it will show, and fills the element later, if at all.
fn in_data(element: ElementRef<'_>) -> Option<Vec<Piece>> {
    element.value().attr("data-attrs")?;
    let class = element.value().attr("class").unwrap_or_default();
    let is = |name: &str| {
        class
            .split_whitespace()
            .any(|class| class.starts_with(name))
    };
    let data = data(element).unwrap_or_default();
    let word = |key: &str| {
        data[key]
            .as_str()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let address = ADDRESSES.iter().find_map(|key| word(key));
    if let Some(formula) = word("persistentExpression") {
        return Some(vec![Piece::of(Kind::Code(formula.to_owned()))]);
    }
    let pictures = data["gallery"]["images"].as_array();
    let pictures = pictures.map(|images| gallery(&data["gallery"], images));
    if let Some(pictures) = pictures.filter(|pictures| !pictures.is_empty()) {
        return Some(pictures);
    }
    let card = is("embedded-post") || is("embedded-publication") || is("digest-post-embed");
    if let (true, Some(title), Some(url)) = (card, word("title").or(word("name")), address) {
        let link = format!("[{}]({})", escape(title), target(url));
        return Some(vec![Piece::of(Kind::Paragraph(link))]);
    }
    if !is("tweet") && !is_silent(element) {
        return None;
    }
    if let Some(film) = word("videoId").and_then(|id| match () {
        () if is("youtube") => film(&format!("https://www.youtube.com/embed/{id}")),
        () if is("vimeo") => film(&format!("https://player.vimeo.com/video/{id}")),
        () => None,
    }) {
        return Some(film);
    }
    let words = WORDS.iter().filter_map(|key| word(key));
    let words = words.collect::<Vec<_>>().join(": ");
    let kind = class.split_whitespace().next().unwrap_or("embed");
    Some(mark(kind, address, &words))
}

/// A link to a film, of whose player the address is given: no mail program plays one.
fn film(player: &str) -> Option<Vec<Piece>> {
    let url = Url::parse(player).ok()?;
    let host = url.host_str()?.trim_start_matches("www.");
    let path: Vec<&str> = url.path_segments()?.collect();
    let page = match (host, path.as_slice()) {
        ("youtube.com" | "youtube-nocookie.com", ["embed", id]) => {
            format!("https://www.youtube.com/watch?v={id}")
        }
        ("player.vimeo.com", ["video", id]) => format!("https://vimeo.com/{id}"),
        _ => return None,
    };
    let link = Kind::Paragraph(format!("[Watch the film]({})", target(&page)));
    Some(vec![Piece::guessed(
        link,
        "a link, because no mail plays a film",
    )])
}

fn data(element: ElementRef<'_>) -> Option<Value> {
    serde_json::from_str(element.value().attr("data-attrs")?).ok()
}

fn is_silent(element: ElementRef<'_>) -> bool {
    let mut children = element.children().filter_map(ElementRef::wrap);
    children.next().is_none() && element.text().all(|text| text.trim().is_empty())
}

/// The pictures of a gallery, the first one with the words below it.
fn gallery(gallery: &Value, images: &[Value]) -> Vec<Piece> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let mut caption = text(&gallery["caption"]);
    let sources = images.iter().filter_map(|image| {
        let source = image["src"].as_str().or(image.as_str())?;
        Some((source, text(&image["alt"])))
    });
    let pieces = sources.map(|(source, alt)| {
        let alt = [alt, text(&gallery["alt"])]
            .into_iter()
            .find(|alt| !alt.is_empty());
        Piece::of(Kind::Image {
            source: source.to_owned(),
            alt: escape(alt.as_deref().unwrap_or(TODO)),
            caption: std::mem::take(&mut caption),
            href: None,
        })
    });
    pieces.collect()
}

fn mark(kind: &str, address: Option<&str>, words: &str) -> Vec<Piece> {
    let mut text = kind.to_owned();
    if let Some(address) = address.filter(|address| !address.is_empty()) {
        text.push_str(&format!(" `{address}`"));
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    if !words.is_empty() {
        text.push_str(&format!(": {}", words.join(" ")));
    }
    vec![Piece::of(Kind::LeftOut(text))]
}
