//! The inline half of the Markdown reader: words, links, images, emphasis, and HTML among them.
//!
//! Promises: every image has a text, every link leads somewhere, every tag is closed. Leaves it to `html`
//! which tags there are.

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, LinkType, Tag, TagEnd};

use crate::diagnostic::nearest;
use crate::issue::block::{Align, Inline, Picture, add_text, joined, plain_text};
use crate::issue::directive::attributes;
use crate::issue::html::{self, Meaning, Token, is_void, meaning};
use crate::issue::markdown::Reader;

/// Emphasis within emphasis; more is no text.
const AROUND_LIMIT: usize = 24;
/// CSS pixels; no mail is wider.
const SIDE_LIMIT: u32 = 2_000;

/// What ends a run of inlines.
#[derive(Clone, Copy)]
pub(super) enum Until<'t> {
    Tag(TagEnd),
    /// The closing tag of this HTML tag.
    Html(&'t html::Tag),
    /// The next block: the text of a tight list item.
    Block,
}

impl<'a> Reader<'a> {
    pub(super) fn inlines(&mut self, until: Until<'_>) -> Vec<Inline> {
        let mut out = Vec::new();
        self.around += 1;
        if self.around > AROUND_LIMIT {
            let range = self.events.get(self.at).map(|(_, range)| range.start);
            self.too_deep(self.base + range.unwrap_or_default());
        }
        let mut closed = !matches!(until, Until::Html(_));
        while self.at < self.events.len() {
            let (event, range) = self.events[self.at].clone();
            match (&event, until) {
                (Event::End(end), Until::Tag(expected)) if *end == expected => {
                    self.at += 1;
                    break;
                }
                (Event::InlineHtml(text), Until::Html(open)) if is_end(text) => {
                    closed = is_end_of(text, open);
                    self.at += usize::from(closed);
                    break;
                }
                (Event::End(_), Until::Html(_)) => break,
                (other, Until::Block | Until::Html(_)) if !is_inline(other) => break,
                _ => {
                    self.at += 1;
                    self.inline(event, range, &mut out);
                }
            }
        }
        if let Until::Html(open) = until
            && !closed
        {
            self.unclosed(open);
        }
        self.around -= 1;
        trim(joined(out), until)
    }

    /// Whether a line ended between two letters of a script that knows no blanks.
    fn within_wide(&self, out: &[Inline]) -> bool {
        let Some(Inline::Text(before)) = out.last() else {
            return false;
        };
        let next = self.rest().first();
        let next = next.and_then(|(event, _)| match event {
            Event::Text(text) => text.chars().next(),
            _ => None,
        });
        before.chars().next_back().is_some_and(is_wide) && next.is_some_and(is_wide)
    }

    fn inline(&mut self, event: Event<'a>, range: Range<usize>, out: &mut Vec<Inline>) {
        let offset = self.base + range.start;
        match event {
            Event::Text(text) => self.masked.unmask_into(&text, out),
            Event::Code(text) => out.push(Inline::Code(text.into())),
            Event::SoftBreak if self.within_wide(out) => {}
            Event::SoftBreak => add_text(out, " "),
            Event::HardBreak => out.push(Inline::Break),
            // A mail has no boxes to tick: they are drawn.
            Event::TaskListMarker(done) => {
                add_text(
                    out,
                    if done {
                        "\u{2611}\u{a0}"
                    } else {
                        "\u{2610}\u{a0}"
                    },
                );
            }
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
                let url = self.masked.pieces(&url);
                if text.is_empty() {
                    self.error(offset, "link", "this link has no text");
                }
                let link = self.link(url, &plain_text(&text), offset);
                let mut text = text;
                if let [Inline::Image(picture)] = text.as_mut_slice() {
                    self.braces(picture, range.end);
                }
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
                let mut picture = Picture {
                    source: self.slotless(&dest_url, offset),
                    alt,
                    caption: self.slotless(&title, offset),
                    link: None,
                    width: None,
                    height: None,
                    align: None,
                    still: false,
                    offset,
                };
                self.braces(&mut picture, range.end);
                out.push(Inline::Image(picture));
            }
            Event::FootnoteReference(label) => {
                out.push(Inline::Note(self.notes.mention(&label, offset)));
            }
            Event::InlineHtml(tag) => self.inline_html(&tag, offset, out),
            _ => self.error(offset, "markdown", "this cannot stand among words"),
        }
    }

    /// A tag among words of Markdown, with the words up to its end.
    fn inline_html(&mut self, text: &str, offset: usize, out: &mut Vec<Inline>) {
        for token in html::tokens(text, |at| offset + at) {
            match token {
                Token::Tag(tag) if tag.closing => {
                    let message = format!("`</{}>` closes nothing", tag.name);
                    self.html_error(tag.offset, tag.name.len() + 3, message);
                }
                Token::Tag(tag) => match meaning(&tag.name) {
                    Some((Meaning::Words(words), known)) => {
                        self.known_attributes(&tag, known);
                        let inner = match is_void(&tag.name) {
                            true => Vec::new(),
                            false => self.inlines(Until::Html(&tag)),
                        };
                        let made = self.marked(words, &tag, inner);
                        out.extend(made);
                    }
                    Some(_) => {
                        let message = format!("`<{}>` cannot stand among words", tag.name);
                        self.html_error(tag.offset, tag.name.len() + 1, message);
                        self.inlines(Until::Html(&tag));
                    }
                    None => {
                        self.refused(&tag);
                        if !is_void(&tag.name) && !tag.slash {
                            self.inlines(Until::Html(&tag));
                        }
                    }
                },
                Token::Other(offset) => {
                    self.html_error(offset, 2, "this is HTML for machines; take it out".into());
                }
                Token::Text(..) | Token::Unended(_) => {}
            }
        }
    }

    /// Size and side of an image, as in `{width=300 align=center}` right behind it.
    fn braces(&mut self, picture: &mut Picture, end: usize) {
        let rest = &self.masked.text[end..];
        let line = rest.lines().next().unwrap_or_default();
        let Some(close) = line.find('}').filter(|_| line.starts_with('{')) else {
            return;
        };
        let braces = &line[..=close];
        if let Some((Event::Text(text), range)) = self.events.get_mut(self.at)
            && range.start == end
            && text.starts_with(braces)
        {
            *text = text[braces.len()..].to_owned().into();
        }
        match attributes(&self.source, braces, self.base, end, "image") {
            Ok(given) => {
                for attribute in given {
                    let offset = self.base + attribute.offset;
                    self.image_attribute(picture, &attribute.key, &attribute.value, offset);
                }
            }
            Err(error) => self.found.push(error),
        }
    }

    /// One attribute of an image; `offset` is where it stands in the file.
    pub(super) fn image_attribute(
        &mut self,
        picture: &mut Picture,
        key: &str,
        value: &str,
        offset: usize,
    ) {
        let pixels = value.trim().trim_end_matches("px").parse().ok();
        let pixels = pixels.filter(|pixels| (1..=SIDE_LIMIT).contains(pixels));
        let (known, help) = match key {
            "width" | "height" => {
                match key {
                    "width" => picture.width = pixels,
                    _ => picture.height = pixels,
                }
                (
                    pixels.is_some(),
                    format!("write pixels, from 1 to {SIDE_LIMIT}"),
                )
            }
            "align" => {
                picture.align = Align::named(value.trim());
                let help = "write `left`, `center` or `right`";
                (picture.align.is_some(), help.to_owned())
            }
            "motion" => {
                picture.still = value.trim() == "still";
                let help = "`motion=still` sends the first frame of what moves";
                (picture.still, help.to_owned())
            }
            _ => {
                let error = self.source.error(
                    offset,
                    "image",
                    format!("an image has no attribute `{key}`"),
                );
                self.found
                    .push(match nearest(key, ["width", "height", "align", "motion"]) {
                        Some(near) => error.help(format!("did you mean `{near}`?")),
                        None => error.help("it has: width, height, align, motion"),
                    });
                return;
            }
        };
        if !known {
            let message = format!("`{value}` is no `{key}` of an image");
            let error = self.source.error(offset, "image", message);
            self.found.push(error.help(help));
        }
    }

    /// Tells the classes of a headline, as in `## Words {.plain}`, that are none of `known`, and an id that was
    /// meant as one of them.
    pub(super) fn classes(
        &mut self,
        id: Option<&CowStr<'_>>,
        classes: &[CowStr<'_>],
        offset: usize,
        known: &[&str],
    ) {
        if let Some(id) = id
            && let Some(near) = nearest(id, known.iter().copied())
        {
            let message = format!("`{{#{id}}}` says nothing here");
            let error = self.source.error(offset, "headline", message);
            self.found
                .push(error.help(format!("did you mean `{{.{near}}}`?")));
        }
        for class in classes.iter().filter(|class| !known.contains(&&***class)) {
            let message = format!("`{{.{class}}}` says nothing here");
            let error = self.source.error(offset, "headline", message);
            let help = match known {
                [] => "only an item's headline takes one: `## Words {.plain}`".to_owned(),
                _ => match nearest(class, known.iter().copied()) {
                    Some(near) => format!("did you mean `{{.{near}}}`?"),
                    None => "a headline takes `{.plain}`, which opens a section".to_owned(),
                },
            };
            self.found.push(error.help(help));
        }
    }

    /// A text in which slots make no sense.
    pub(super) fn slotless(&mut self, text: &str, offset: usize) -> String {
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
        | Event::TaskListMarker(_)
        | Event::SoftBreak
        | Event::HardBreak => true,
        Event::Start(tag) => matches!(
            tag,
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. }
        ),
        _ => false,
    }
}

/// Whether an inline tag is a closing one.
fn is_end(text: &str) -> bool {
    text.starts_with("</")
}

fn is_end_of(text: &str, open: &html::Tag) -> bool {
    let name = text.trim_start_matches("</").trim_end_matches('>').trim();
    name.eq_ignore_ascii_case(&open.name)
}

/// A letter or a mark of Chinese or Japanese; Korean puts blanks between its words.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}' | '\u{20000}'..='\u{323af}')
}

/// No blanks at either end of a block; those within a tag are kept.
fn trim(mut inlines: Vec<Inline>, until: Until<'_>) -> Vec<Inline> {
    if matches!(until, Until::Html(_)) {
        return inlines;
    }
    if let Some(Inline::Text(first)) = inlines.first_mut() {
        let blank = first.len() - first.trim_start_matches(' ').len();
        first.drain(..blank);
    }
    if let Some(Inline::Text(last)) = inlines.last_mut() {
        last.truncate(last.trim_end_matches(' ').len());
    }
    inlines.retain(|inline| !matches!(inline, Inline::Text(text) if text.is_empty()));
    inlines
}
