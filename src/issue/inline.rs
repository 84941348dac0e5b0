//! The inline half of the Markdown reader: words, links, emphasis and the little HTML that is let in.

use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Tag, TagEnd};

use crate::issue::block::{Inline, Picture, Piece, plain_text};
use crate::issue::markdown::Reader;

/// What ends a run of inlines.
#[derive(Clone, Copy)]
pub(super) enum Until {
    Tag(TagEnd),
    /// A closing HTML tag.
    Html(&'static str),
    /// The next block: the text of a tight list item.
    Block,
}

impl<'a> Reader<'a> {
    pub(super) fn inlines(&mut self, until: Until) -> Vec<Inline> {
        let mut out = Vec::new();
        while self.at < self.events.len() {
            let (event, range) = self.events[self.at].clone();
            match (&event, until) {
                (Event::End(end), Until::Tag(expected)) if *end == expected => {
                    self.at += 1;
                    break;
                }
                (Event::InlineHtml(tag), Until::Html(expected))
                    if tag.eq_ignore_ascii_case(expected) =>
                {
                    self.at += 1;
                    break;
                }
                (Event::End(_), Until::Html(expected)) => {
                    let message = format!("`{expected}` is missing");
                    self.error(self.base + range.start, "html", message);
                    break;
                }
                (other, Until::Block) if !is_inline(other) => break,
                _ => {
                    self.at += 1;
                    self.inline(event, range, &mut out);
                }
            }
        }
        trim(joined(out))
    }

    fn inline(&mut self, event: Event<'a>, range: Range<usize>, out: &mut Vec<Inline>) {
        let offset = self.base + range.start;
        match event {
            Event::Text(text) => out.extend(self.masked.unmask(&text)),
            Event::Code(text) => out.push(Inline::Code(text.into())),
            Event::SoftBreak => out.push(Inline::Text(" ".into())),
            Event::HardBreak => out.push(Inline::Break),
            Event::Start(Tag::Strong) => {
                out.push(Inline::Strong(self.inlines(Until::Tag(TagEnd::Strong))));
            }
            Event::Start(Tag::Emphasis) => {
                out.push(Inline::Emphasis(self.inlines(Until::Tag(TagEnd::Emphasis))));
            }
            Event::Start(Tag::Strikethrough) => {
                let inner = self.inlines(Until::Tag(TagEnd::Strikethrough));
                out.push(Inline::Strike(inner));
            }
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            }) => {
                let text = self.inlines(Until::Tag(TagEnd::Link));
                let url = match link_type {
                    LinkType::Email => format!("mailto:{dest_url}"),
                    _ => dest_url.to_string(),
                };
                let url = self.pieces(&url);
                if text.is_empty() {
                    self.error(offset, "link", "this link has no text");
                }
                let link = self.link(url, &plain_text(&text), offset);
                out.push(Inline::Link { link, text });
            }
            Event::Start(Tag::Image {
                dest_url, title, ..
            }) => {
                let alt = plain_text(&self.inlines(Until::Tag(TagEnd::Image)));
                if alt.is_empty() {
                    let error = self.source.error(offset, "alt", "this image has no text");
                    let help = "write `![what it shows](file.png)` for readers who do not see it";
                    self.found.push(error.help(help));
                }
                if alt.contains("[[") {
                    self.error(offset, "image", "slots cannot stand in an image");
                }
                out.push(Inline::Image(Picture {
                    source: self.slotless(&dest_url, offset),
                    alt,
                    caption: self.slotless(&title, offset),
                    link: None,
                    offset,
                }));
            }
            Event::FootnoteReference(label) => {
                let next = self.notes.len() + 1;
                let number = *self.notes.entry(label.to_string()).or_insert(next);
                out.push(Inline::Note(number));
            }
            Event::InlineHtml(tag) => self.inline_html(&tag, offset, out),
            _ => self.error(offset, "markdown", "this cannot stand among words"),
        }
    }

    fn inline_html(&mut self, tag: &str, offset: usize, out: &mut Vec<Inline>) {
        let squeezed: String = tag.to_ascii_lowercase().split_whitespace().collect();
        match squeezed.as_str() {
            "<br>" | "<br/>" => out.push(Inline::Break),
            "<sub>" => out.push(Inline::Sub(self.inlines(Until::Html("</sub>")))),
            "<sup>" => out.push(Inline::Sup(self.inlines(Until::Html("</sup>")))),
            comment if comment.starts_with("<!--") => {}
            _ => self.raw_html(tag, offset),
        }
    }

    /// An address with its slots.
    fn pieces(&self, text: &str) -> Vec<Piece> {
        let pieces = self.masked.unmask(text).into_iter();
        let pieces = pieces.filter_map(|inline| match inline {
            Inline::Merge(merge) => Some(Piece::Merge(merge)),
            Inline::Text(text) => Some(Piece::Literal(text)),
            _ => None,
        });
        pieces.collect()
    }

    /// A text in which slots make no sense.
    fn slotless(&mut self, text: &str, offset: usize) -> String {
        let inlines = self.masked.unmask(text);
        if inlines
            .iter()
            .any(|inline| matches!(inline, Inline::Merge(_)))
        {
            self.error(offset, "image", "slots cannot stand in an image");
        }
        plain_text(&inlines)
    }
}

pub(super) fn is_inline(event: &Event<'_>) -> bool {
    match event {
        Event::Text(_)
        | Event::Code(_)
        | Event::InlineHtml(_)
        | Event::FootnoteReference(_)
        | Event::SoftBreak
        | Event::HardBreak => true,
        Event::Start(tag) => matches!(
            tag,
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. }
        ),
        _ => false,
    }
}

/// Neighbouring texts become one.
fn joined(inlines: Vec<Inline>) -> Vec<Inline> {
    let mut out: Vec<Inline> = Vec::with_capacity(inlines.len());
    for inline in inlines {
        match (out.last_mut(), inline) {
            (Some(Inline::Text(before)), Inline::Text(more)) => before.push_str(&more),
            (_, inline) => out.push(inline),
        }
    }
    out
}

/// No blanks at either end.
fn trim(mut inlines: Vec<Inline>) -> Vec<Inline> {
    if let Some(Inline::Text(first)) = inlines.first_mut() {
        *first = first.trim_start_matches(' ').to_owned();
    }
    if let Some(Inline::Text(last)) = inlines.last_mut() {
        *last = last.trim_end_matches(' ').to_owned();
    }
    inlines.retain(|inline| !matches!(inline, Inline::Text(text) if text.is_empty()));
    inlines
}
