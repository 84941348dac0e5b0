//! HTML as other newsletter tools export it.
//!
//! Promises: what is words stays words; layout tables, widgets and tracking pixels do not come along;
//! what cannot be kept (an embed, a picture in the file itself) is noted. The tree may be as deep as it
//! likes: descending ends at a limit.

use scraper::{ElementRef, Html, Node, Selector};

use crate::draft::html::around::{lead, rubrics};
use crate::draft::html::element::{
    BLOCKS, code, continues, depth_of_class, holds_blocks, is_data, is_hidden, is_paywall,
    is_pullquote, is_widget, links_of,
};
use crate::draft::html::embeds::embedded;
use crate::draft::html::inline::Words;
use crate::draft::links::{is_phrase, linked};
use crate::draft::piece::{Kind, Piece, plain, tame_start};
use crate::draft::{Format, Found, dates, footer, head, paywall};

mod around;
mod element;
mod embeds;
mod inline;
mod lists;
mod masthead;
mod notes;

/// Nobody writes deeper; a hostile file does.
const DEPTH_LIMIT: usize = 100;
/// Characters of a bold paragraph that may be a headline.
const HEADLINE: usize = 90;

/// What never holds the author's words.
const SKIPPED: [&str; 12] = [
    "script", "style", "head", "nav", "form", "button", "noscript", "template", "svg", "input",
    "select", "textarea",
];

/// Reads an exported page or fragment.
pub(super) fn read(text: &str, format: Format) -> Found {
    let page = Html::parse_document(text);
    let mut found = Found::default();
    let mut walk = Walk {
        words: Words::of(&page),
        pieces: Vec::new(),
        notes: Vec::new(),
        hidden: None,
        base: 2,
        title: None,
    };
    let title = heading_of(&page, format);
    found.title = title.map(|title| walk.words.plain(title));
    walk.title = title;
    let subtitle = first(
        &page,
        ".p-summary, h3.subtitle, .post-subtitle, [data-field=subtitle]",
    );
    found.teaser = subtitle
        .map(|subtitle| walk.words.plain(subtitle))
        .filter(|text| !text.is_empty());
    let time = first(&page, "time[datetime]").and_then(|time| time.value().attr("datetime"));
    found.dates = time.and_then(|time| dates::line(time.get(..10).unwrap_or(time)));
    if format == Format::Substack {
        masthead::header(&page, &mut found);
    }
    walk.base = base_level(&page, walk.title);
    // What a tool puts around the text is not the author's.
    let bodies = [".e-content", ".available-content", ".body.markup", "body"];
    if let Some(body) = bodies.iter().find_map(|body| first(&page, body)) {
        walk.block(body, 0, subtitle);
    }
    let named = first(&page, "title").map(|title| walk.words.plain(title));
    let named = named.filter(|title| !title.is_empty());
    found.notes.append(&mut walk.notes);
    found.pieces = walk.pieces;
    if format == Format::Beehiiv && found.title.is_some() {
        masthead::take(&mut found, named.as_deref());
    }
    found.title = found.title.take().or(named);
    if found.dates.is_none() {
        date_line(&mut found);
    }
    rubrics(&mut found.pieces);
    small_print(&mut found);
    head::teaser(&mut found);
    let preview = walk.hidden.filter(|_| found.teaser.is_none());
    found.teaser = found
        .teaser
        .take()
        .or(preview)
        .filter(|teaser| Some(teaser) != found.title.as_ref());
    found
}

/// Takes out what the theme says itself, and tells it.
fn small_print(found: &mut Found) {
    let shown = |piece: &Piece| match &piece.kind {
        Kind::Paragraph(text) | Kind::Heading { text, .. } => plain(text),
        Kind::Image { source, .. } => source.clone(),
        Kind::List(entries) => {
            let texts = entries.iter().map(|entry| plain(&entry.text));
            texts.collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let texts: Vec<String> = found.pieces.iter().map(shown).collect();
    let print = footer::small_print(texts.iter().map(String::as_str));
    let item = |piece: &Piece| matches!(piece.kind, Kind::Item { .. } | Kind::Note { .. });
    let last = found.pieces.iter().rposition(item).unwrap_or_default();
    let print = print.filter(|print| *print > last);
    let mut left_out = Vec::new();
    let pieces = std::mem::take(&mut found.pieces).into_iter().zip(texts);
    for (at, (piece, text)) in pieces.enumerate() {
        let alone = matches!(piece.kind, Kind::Paragraph(_)) && text.lines().all(footer::is_footer);
        if alone || print.is_some_and(|print| at >= print) {
            left_out.push(text.replace('\n', " "));
        } else {
            found.pieces.push(piece);
        }
    }
    left_out.retain(|text| !text.trim().is_empty());
    found.notes.extend(footer::note(&left_out));
}

/// A date that stands among the first paragraphs.
fn date_line(found: &mut Found) {
    let dated = found
        .pieces
        .iter()
        .take(4)
        .enumerate()
        .find_map(|(at, piece)| match &piece.kind {
            Kind::Paragraph(text) => {
                let line = footer::without_footers(&plain(text));
                let (dates, beside) = head::day(&line)?;
                let beside: Vec<String> = beside.into_iter().map(str::to_owned).collect();
                Some((at, dates, beside))
            }
            _ => None,
        });
    if let Some((at, dates, beside)) = dated {
        found.pieces.remove(at);
        found.dates = Some(dates);
        found.notes.extend(head::above(&beside));
    }
}

fn first<'a>(page: &'a Html, selector: &str) -> Option<ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("our own selectors are well formed");
    page.select(&selector).next()
}

/// The element that holds the title.
fn heading_of(page: &Html, format: Format) -> Option<ElementRef<'_>> {
    let own = match format {
        Format::Medium => first(page, ".graf--title, h1.p-name"),
        Format::GoogleDocs => first(page, "p.title, h1.title"),
        _ => first(page, "h1.post-title"),
    };
    own.or_else(|| {
        let selector = Selector::parse("h1").expect("our own selectors are well formed");
        let headings: Vec<ElementRef<'_>> = page.select(&selector).collect();
        // One alone is the title; several are the items, unless the first stands above other levels.
        match headings.as_slice() {
            [one] => Some(*one),
            [one, ..] if first(page, "h2").is_some() => Some(*one),
            _ => None,
        }
    })
}

/// The level of headings that begins an item: the highest one in the text.
fn base_level(page: &Html, title: Option<ElementRef<'_>>) -> usize {
    let selector =
        Selector::parse("h1, h2, h3, h4, h5, h6").expect("our own selectors are well formed");
    let headings = page
        .select(&selector)
        .filter(|heading| Some(*heading) != title);
    let headings = headings.filter(|heading| heading.text().any(|text| !text.trim().is_empty()));
    let levels = headings
        .filter(|heading| !is_subtitle(heading))
        .filter_map(|heading| level(heading.value().name()));
    levels.min().unwrap_or(2)
}

fn is_subtitle(element: &ElementRef<'_>) -> bool {
    let class = element.value().attr("class").unwrap_or_default();
    class.split_whitespace().any(|class| {
        matches!(
            class,
            "subtitle" | "post-subtitle" | "graf--subtitle" | "p-name"
        )
    })
}

fn level(name: &str) -> Option<usize> {
    match name.as_bytes() {
        [b'h', digit @ b'1'..=b'6'] => Some(usize::from(digit - b'0')),
        _ => None,
    }
}

struct Walk<'a> {
    words: Words,
    pieces: Vec<Piece>,
    notes: Vec<String>,
    /// The first words that nobody sees: what inboxes show beside the subject.
    hidden: Option<String>,
    base: usize,
    title: Option<ElementRef<'a>>,
}

impl<'a> Walk<'a> {
    /// The blocks within an element; words between them are paragraphs of their own.
    fn block(&mut self, element: ElementRef<'a>, depth: usize, skip: Option<ElementRef<'a>>) {
        if depth > DEPTH_LIMIT {
            self.notes
                .push("what is nested too deep was left out".into());
            return;
        }
        let mut run = String::new();
        for child in element.children() {
            match child.value() {
                Node::Text(text) => {
                    let behind = child.next_sibling().and_then(ElementRef::wrap);
                    run.push_str(&self.words.text(text, behind));
                }
                Node::Element(_) => {
                    let Some(child) = ElementRef::wrap(child) else {
                        continue;
                    };
                    let name = child.value().name();
                    if is_hidden(&child) {
                        let words = self.words.visible(child);
                        self.hidden = self
                            .hidden
                            .take()
                            .or(Some(words).filter(|words| !words.is_empty()));
                        continue;
                    }
                    if is_paywall(&child) {
                        self.flush(&mut run);
                        self.pieces.push(paywall::piece());
                        continue;
                    }
                    if SKIPPED.contains(&name) || Some(child) == skip {
                        continue;
                    }
                    if is_widget(&child) {
                        self.widget(child);
                        continue;
                    }
                    if let Some(pieces) = embedded(child) {
                        self.flush(&mut run);
                        self.pieces.extend(pieces);
                        continue;
                    }
                    if !BLOCKS.contains(&name) && !holds_blocks(&child, 0) {
                        run.push_str(&self.words.inline(child, 0));
                        continue;
                    }
                    self.flush(&mut run);
                    self.element(child, depth + 1, skip);
                }
                Node::Comment(comment) if paywall::is_comment(comment) => {
                    self.flush(&mut run);
                    self.pieces.push(paywall::piece());
                }
                _ => {}
            }
        }
        self.flush(&mut run);
    }

    fn element(&mut self, element: ElementRef<'a>, depth: usize, skip: Option<ElementRef<'a>>) {
        if Some(element) == self.title {
            return;
        }
        if let Some(label) = self.words.footnote(element) {
            return self.note(label, element);
        }
        if let Some(comment) = self.words.comment(element) {
            let note = format!("a comment was left out: `{comment}`");
            return self.notes.push(note);
        }
        let name = element.value().name();
        if let Some(level) = level(name) {
            return self.heading(element, level);
        }
        match name {
            "p" if !holds_blocks(&element, 0) => {
                let mut run = self.words.children(element, 0);
                self.flush(&mut run);
            }
            "ul" | "ol" => {
                let mut entries = Vec::new();
                self.list(element, depth_of_class(&element), &mut entries, depth);
                let follows = matches!(
                    self.pieces.last(),
                    Some(Piece {
                        kind: Kind::List(_),
                        ..
                    })
                );
                if follows && continues(&element) {
                    if let Some(Piece {
                        kind: Kind::List(list),
                        ..
                    }) = self.pieces.last_mut()
                    {
                        list.extend(entries);
                    }
                } else if !entries.is_empty() {
                    self.pieces.push(Piece::of(Kind::List(entries)));
                }
            }
            _ if name == "blockquote" || is_pullquote(&element) => {
                let outer = std::mem::take(&mut self.pieces);
                self.block(element, depth, skip);
                let mut quoted = std::mem::replace(&mut self.pieces, outer);
                self.pieces
                    .extend(quoted.extract_if(.., |piece| paywall::is_wall(piece)));
                let (images, quoted): (Vec<Piece>, Vec<Piece>) = quoted
                    .into_iter()
                    .partition(|piece| matches!(piece.kind, Kind::Image { .. }));
                if !images.is_empty() {
                    self.notes.push("an image in a quote was left out".into());
                }
                if !quoted.is_empty() {
                    self.pieces.push(Piece::of(Kind::Quote(quoted)));
                }
            }
            "pre" => {
                let text = code(element);
                self.pieces
                    .push(Piece::of(Kind::Code(text.trim_matches('\n').to_owned())));
            }
            "hr" => self.pieces.push(Piece::of(Kind::Rule)),
            "table" if is_data(&element) => self.table(element),
            "figure" => self.figure(element, depth, skip),
            "a" => {
                let from = self.pieces.len();
                self.block(element, depth, skip);
                if let Some(href) = self.words.address(element)
                    && !lead(&mut self.pieces[from..], &href)
                {
                    let note = format!("a link around what is no paragraph was left out: `{href}`");
                    self.notes.push(note);
                }
            }
            _ => self.block(element, depth, skip),
        }
    }

    /// What the tool shows itself; its words are told.
    fn widget(&mut self, widget: ElementRef<'_>) {
        let words = self.words.plain(widget);
        if element::asks(&widget) && !words.is_empty() {
            let note = format!("a button or a box of the tool's was left out: `{words}`");
            self.notes.push(note);
        }
    }

    fn heading(&mut self, element: ElementRef<'_>, level: usize) {
        let text = self.words.children(element, 0).replace("  \n", " ");
        let text = text.trim();
        let images = self.words.take_images();
        let class = element.value().attr("class").unwrap_or_default();
        if class
            .split_whitespace()
            .any(|class| class == "graf--kicker")
        {
            self.notes.extend(head::above(&[self.words.plain(element)]));
            return self.pieces.extend(images);
        }
        let again = self
            .title
            .is_some_and(|title| self.words.plain(title) == self.words.plain(element));
        if !text.is_empty() && !is_subtitle(&element) && !again {
            let kind = match level.saturating_sub(self.base) {
                0 => item(text),
                1 => Kind::Heading {
                    level: 3,
                    text: text.to_owned(),
                },
                _ => Kind::Heading {
                    level: 4,
                    text: text.to_owned(),
                },
            };
            self.pieces.push(Piece::of(kind));
        }
        self.pieces.extend(images);
    }

    fn figure(&mut self, element: ElementRef<'a>, depth: usize, skip: Option<ElementRef<'a>>) {
        let caption = Selector::parse("figcaption").expect("our own selectors are well formed");
        let caption = element.select(&caption).next();
        let words = caption
            .map(|caption| self.words.plain(caption))
            .unwrap_or_default();
        let from = self.pieces.len();
        self.block(element, depth, caption.or(skip));
        let captioned = self.pieces[from..]
            .iter_mut()
            .find_map(|piece| match &mut piece.kind {
                Kind::Image { caption, .. } => Some(caption),
                _ => None,
            });
        match (captioned, caption) {
            (Some(captioned), Some(caption)) => {
                *captioned = words;
                let links = links_of(caption).into_iter();
                let note = |href| format!("a link was left out of an image's caption: `{href}`");
                self.notes.extend(links.map(note));
            }
            // Of something else than an image.
            (None, Some(caption)) => {
                let mut run = self.words.children(caption, 0);
                self.flush(&mut run);
            }
            _ => {}
        }
    }

    /// Ends a run of words: a paragraph, and the pictures that stood in it.
    fn flush(&mut self, run: &mut String) {
        let text = std::mem::take(run);
        let lines: Vec<&str> = text.split('\n').map(str::trim_start).collect();
        let text = lines.join("\n");
        let text = text.trim();
        let images = self.words.take_images();
        self.notes.append(&mut self.words.notes);
        if !text.is_empty() {
            self.pieces.push(self.paragraph(text));
        }
        self.pieces.extend(images);
    }

    fn paragraph(&self, text: &str) -> Piece {
        let bold = text
            .strip_prefix("**")
            .and_then(|rest| rest.strip_suffix("**"));
        let headline = bold.filter(|bold| {
            !bold.contains("**")
                && bold.chars().count() <= HEADLINE
                && !bold.ends_with(['.', ':', ',', ';'])
        });
        let has_items = self
            .pieces
            .iter()
            .any(|piece| matches!(piece.kind, Kind::Item { number: None, .. }));
        match headline {
            Some(bold) if has_items && self.base < 6 => {
                let kind = Kind::Heading {
                    level: 3,
                    text: bold.to_owned(),
                };
                Piece::guessed(kind, "a headline, because the paragraph is short and bold")
            }
            Some(bold) => Piece::guessed(
                item(bold),
                "a headline, because the paragraph is short and bold",
            ),
            None if is_phrase(text) => Piece::of(Kind::Paragraph(linked(text).0)),
            None => Piece::of(Kind::Paragraph(tame_start(text))),
        }
    }
}

/// An item's headline, its number taken off.
fn item(text: &str) -> Kind {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = text[digits..].trim_start_matches('\\');
    let rest = rest
        .strip_prefix(['.', ')', ':'])
        .filter(|rest| rest.starts_with(' '));
    match (text[..digits].parse().ok(), rest) {
        (Some(number), Some(rest)) => Kind::Item {
            number: Some(number),
            text: rest.trim().to_owned(),
        },
        _ => Kind::Item {
            number: None,
            text: text.to_owned(),
        },
    }
}
