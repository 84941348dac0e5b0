//! Blocks to the HTML that a theme puts into its components.
//!
//! Promises: every word is escaped; every slot and link is a placeholder, once. Neighbouring texts are
//! one part, because each component of MJML costs some 300 octets.

use std::collections::BTreeMap;
use std::ptr;

use minijinja::context;
use minijinja::value::Value;

use crate::compile::escape::{escape_html, escape_html_into};
use crate::compile::image::double;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::sizes::shown_size;
use crate::compile::theme::Theme;
use crate::compile::theme::trace::{Marks, Origin};
use crate::compile::{Context, Image, Segment};
use crate::issue::Issue;
use crate::issue::block::{Align, Block, Inline, LinkId, Mark, Picture, Promo};
use crate::segment::Sieve;

/// Begins the class that holds the offset of a block; `layout` turns it into the number of a place.
pub(crate) const PLACE: &str = "pr-src-";

/// The writer of one page.
pub(crate) struct Markup<'a> {
    pub(crate) issue: &'a Issue,
    pub(crate) theme: &'a Theme,
    /// The address of each link of the issue.
    pub(crate) addresses: &'a [Vec<Segment>],
    pub(crate) images: &'a BTreeMap<String, Image>,
    /// Whom parts of the issue are for.
    pub(crate) only: &'a [Sieve],
    pub(crate) public_url: &'a str,
    pub(crate) places: &'a mut Placeholders,
    pub(crate) marks: &'a mut Marks,
    /// How the marks call the issue's file.
    pub(crate) file: usize,
    /// Each block of text says by a class where it was written.
    pub(crate) annotate: bool,
}

impl Markup<'_> {
    /// The parts a theme loops over: `text`, `image`, `button`, `promo` and `mjml` by their `kind`.
    pub(crate) fn parts(&mut self, blocks: &[Block]) -> Vec<Value> {
        let mut parts = Vec::new();
        self.parts_from(0, blocks, &mut parts);
        parts
    }

    /// The same behind `parts`; until a block says where it stands, it stands at `here`.
    fn parts_from(&mut self, mut here: usize, blocks: &[Block], parts: &mut Vec<Value>) {
        let mut text = String::new();
        for block in blocks {
            let part = match block {
                Block::Here(offset) => {
                    here = *offset;
                    continue;
                }
                Block::Image(picture) => self.image(picture),
                Block::Button { link, label } => {
                    let href = self.written(|markup, out| {
                        markup.mark(out, here);
                        markup.href(out, *link);
                    });
                    let label = self.written(|markup, out| markup.inlines(out, label));
                    context! { kind => "button", href, label }
                }
                Block::Promo(promo) => self.promo(promo, here),
                Block::Mjml { source, offset } => {
                    let source = self.written(|markup, out| markup.raw(out, source, *offset));
                    context! { kind => "mjml", source }
                }
                Block::Only {
                    segment, blocks, ..
                } => {
                    flush(&mut text, parts);
                    let begin = self.begin(segment);
                    parts.push(self.edge(here, begin));
                    self.parts_from(here, blocks, parts);
                    self.edge(here, Segment::End)
                }
                other => {
                    self.mark(&mut text, here);
                    self.placed(&mut text, Some(here), |markup, out| {
                        markup.block(out, other, false)
                    });
                    continue;
                }
            };
            flush(&mut text, parts);
            parts.push(part);
        }
        flush(&mut text, parts);
    }

    /// Where a part begins or ends that some readers get: between components, so that each copy is whole.
    fn edge(&mut self, here: usize, edge: Segment) -> Value {
        let source = self.written(|markup, out| {
            markup.mark(out, here);
            out.push_str("<mj-raw>");
            markup.fence(out, edge);
            out.push_str("</mj-raw>");
        });
        context! { kind => "mjml", source }
    }

    /// Where what is for `segment` begins.
    pub(crate) fn begin(&self, segment: &Sieve) -> Segment {
        let place = self.only.iter().position(|known| known == segment);
        Segment::Only(table_index(place.unwrap_or(0)))
    }

    fn fence(&mut self, out: &mut String, edge: Segment) {
        let place = Filling::Mark(edge);
        out.push_str(&self.places.put(place, Wanted::Once, "`:::only`"));
    }

    /// What `write` writes, as markup.
    pub(crate) fn written(&mut self, write: impl FnOnce(&mut Self, &mut String)) -> Value {
        let mut out = String::new();
        write(self, &mut out);
        safe(out)
    }

    /// Words on one line.
    pub(crate) fn inlines(&mut self, out: &mut String, inlines: &[Inline]) {
        for inline in inlines {
            match inline {
                Inline::Text(text) | Inline::Fixed(text) => escape_html_into(out, text),
                Inline::Merge(merge) => {
                    let slot = merge.slot(Context::Html);
                    let what = format!("`{}`", merge.written());
                    out.push_str(&self.places.put(Filling::Slot(slot), Wanted::Once, what));
                }
                Inline::Code(text) => {
                    self.theme.open(out, "code", self.theme.code_direction());
                    escape_html_into(out, text);
                    close(out, "code");
                }
                Inline::Strong(inner) => self.wrapped(out, "strong", inner),
                Inline::Emphasis(inner) => self.wrapped(out, "em", inner),
                Inline::Strike(inner) => self.wrapped(out, "s", inner),
                Inline::Sub(inner) => self.wrapped(out, "sub", inner),
                Inline::Sup(inner) => self.wrapped(out, "sup", inner),
                Inline::Marked { mark, text } => self.marked(out, mark, text),
                Inline::Link { link, text } => {
                    let mut href = String::from(" href=\"");
                    self.href(&mut href, *link);
                    href.push('"');
                    self.theme.open(out, "a", &href);
                    self.inlines(out, text);
                    close(out, "a");
                }
                Inline::Note(number) => {
                    self.theme.open(out, "sup", "");
                    out.push_str(&format!("{number}</sup>"));
                }
                Inline::Break => out.push_str("<br>"),
                // The reader of Markdown makes blocks of images, or errors.
                Inline::Image(_) => {}
            }
        }
    }

    /// Blocks of text, without components of their own.
    pub(crate) fn blocks(&mut self, out: &mut String, blocks: &[Block]) {
        self.each(out, blocks, |markup, out, block| {
            markup.block(out, block, false)
        });
    }

    /// What `write` makes of each of `blocks`, with its place.
    fn each(
        &mut self,
        out: &mut String,
        blocks: &[Block],
        mut write: impl FnMut(&mut Self, &mut String, &Block),
    ) {
        let mut here = None;
        for block in blocks {
            match block {
                Block::Here(offset) => here = Some(*offset),
                other => self.placed(out, here, |markup, out| write(markup, out, other)),
            }
        }
    }

    /// The address of a link, for a quoted attribute.
    pub(crate) fn href(&mut self, out: &mut String, link: LinkId) {
        self.href_wanted(out, link, Wanted::Once);
    }

    fn href_wanted(&mut self, out: &mut String, link: LinkId, wanted: Wanted) {
        let name = &self.issue.links[link.0].name;
        for segment in &self.addresses[link.0] {
            match segment {
                Segment::Only(_) | Segment::End => {}
                Segment::Literal(text) => escape_html_into(out, text),
                Segment::Slot(slot) => {
                    let what = format!("the link `{name}`");
                    let filling = Filling::Slot(slot.clone());
                    out.push_str(&self.places.put(filling, wanted, what));
                }
            }
        }
    }

    fn marked(&mut self, out: &mut String, mark: &Mark, text: &[Inline]) {
        let own = |attribute: &str, value: &str| format!(" {attribute}=\"{}\"", escape_html(value));
        let (tag, attributes) = match mark {
            Mark::Underline => ("u", None),
            Mark::Small => ("small", None),
            Mark::Highlight => ("mark", None),
            Mark::Code => ("code", None),
            Mark::Key => ("kbd", None),
            Mark::Abbreviation(title) => ("abbr", Some(own("title", title))),
            Mark::Style(css) => ("span", Some(own("style", css))),
        };
        match attributes {
            Some(attributes) => out.push_str(&format!("<{tag}{attributes}>")),
            None => self.theme.open(out, tag, ""),
        }
        self.inlines(out, text);
        close(out, tag);
    }

    fn wrapped(&mut self, out: &mut String, tag: &str, inner: &[Inline]) {
        self.theme.open(out, tag, "");
        self.inlines(out, inner);
        close(out, tag);
    }

    fn block(&mut self, out: &mut String, block: &Block, nested: bool) {
        match block {
            Block::Paragraph(inlines) => self.wrapped(out, "p", inlines),
            Block::Heading { level, text } => {
                let tag = if *level == 3 { "h3" } else { "h4" };
                self.wrapped(out, tag, text);
            }
            Block::List {
                start,
                tight,
                items,
            } => self.list(out, *start, *tight, items, nested),
            Block::Quote(blocks) => self.quote(out, blocks),
            Block::Code(text) => {
                self.theme.open(out, "pre", self.theme.code_direction());
                escape_html_into(out, text);
                close(out, "pre");
            }
            Block::Table { align, head, rows } => self.table(out, align, head, rows),
            Block::Rule => {
                self.theme.open(out, "hr", "");
                out.insert(out.len() - 1, '/');
            }
            Block::Aligned { align, blocks } => {
                let side = align.name();
                out.push_str(&format!(
                    "<div align=\"{side}\" style=\"text-align:{side}\">"
                ));
                self.blocks(out, blocks);
                close(out, "div");
            }
            // A footnote; elsewhere `parts` takes it out before.
            Block::Only {
                segment, blocks, ..
            } => {
                let begin = self.begin(segment);
                self.fence(out, begin);
                self.blocks(out, blocks);
                self.fence(out, Segment::End);
            }
            // Components, which `parts` takes out before; and a place, which `each` does.
            Block::Here(_)
            | Block::Image(_)
            | Block::Promo(_)
            | Block::Button { .. }
            | Block::Mjml { .. } => {}
        }
    }

    fn quote(&mut self, out: &mut String, blocks: &[Block]) {
        let last = blocks.last();
        self.theme.open(out, "blockquote", "");
        self.each(out, blocks, |markup, out, block| match block {
            // The last one brings no space of its own into the frame.
            Block::Paragraph(inlines) if last.is_some_and(|last| ptr::eq(last, block)) => {
                markup.theme.open_as(out, "p", "quoted-last", "");
                markup.inlines(out, inlines);
                close(out, "p");
            }
            other => markup.block(out, other, true),
        });
        close(out, "blockquote");
    }

    fn list(
        &mut self,
        out: &mut String,
        start: Option<u64>,
        tight: bool,
        items: &[Vec<Block>],
        nested: bool,
    ) {
        let tag = if start.is_some() { "ol" } else { "ul" };
        let style = match (nested, tag) {
            (true, "ol") => "nested-ol",
            (true, _) => "nested-ul",
            _ => tag,
        };
        let first = start.filter(|first| *first != 1);
        let first = first.map_or(String::new(), |first| format!(" start=\"{first}\""));
        self.theme.open_as(out, tag, style, &first);
        for blocks in items {
            // What stands first in it is the entry's own place.
            let (here, blocks) = match blocks.as_slice() {
                [Block::Here(offset), rest @ ..] => (Some(*offset), rest),
                other => (None, other),
            };
            self.placed(out, here, |markup, out| {
                markup.theme.open(out, "li", "");
                markup.each(out, blocks, |markup, out, block| match block {
                    Block::Paragraph(inlines) if tight => markup.inlines(out, inlines),
                    other => markup.block(out, other, true),
                });
                close(out, "li");
            });
        }
        close(out, tag);
    }

    fn table(
        &mut self,
        out: &mut String,
        align: &[Align],
        head: &[Vec<Inline>],
        rows: &[Vec<Vec<Inline>>],
    ) {
        let attributes = " cellpadding=\"0\" cellspacing=\"0\" border=\"0\"";
        self.theme.open(out, "table", attributes);
        let head = std::iter::once(("th", head));
        let rows = rows.iter().map(|row| ("td", row.as_slice()));
        for (tag, line) in head.chain(rows) {
            out.push_str("<tr>");
            for (column, cell) in line.iter().enumerate() {
                let align = match align.get(column) {
                    Some(Align::Center) => "center",
                    Some(Align::Right) => "right",
                    Some(Align::Left) | None => self.theme.start(),
                };
                self.theme.open(out, tag, &format!(" align=\"{align}\""));
                self.inlines(out, cell);
                close(out, tag);
            }
            out.push_str("</tr>");
        }
        close(out, "table");
    }

    fn image(&mut self, picture: &Picture) -> Value {
        let address = |image: &Image| format!("{}/i/{}", self.public_url, image.hash);
        let own = self.images.get(&picture.source);
        let src = own.map_or_else(|| picture.source.clone(), address);
        let twice = double(&picture.source).and_then(|twice| self.images.get(&twice));
        let srcset = match (own, twice) {
            (Some(once), Some(twice)) => {
                Some(format!("{} 1x, {} 2x", address(once), address(twice)))
            }
            _ => None,
        };
        let (width, height) = shown_size(picture, own);
        let mut link = |link| self.written(|markup, out| markup.href(out, link));
        let href = picture.link.map(&mut link);
        let src = self.written(|markup, out| {
            markup.mark(out, picture.offset);
            escape_html_into(out, &src);
        });
        context! {
            kind => "image",
            src,
            alt => &picture.alt,
            caption => &picture.caption,
            width, height, href,
            srcset => srcset.map(|srcset| safe(escape_html(&srcset))),
            align => picture.align.map(Align::name),
        }
    }

    fn promo(&mut self, promo: &Promo, here: usize) -> Value {
        let html = self.written(|markup, out| {
            markup.mark(out, here);
            markup.blocks(out, &promo.blocks);
        });
        let code = self.written(|markup, out| markup.inlines(out, &promo.code));
        let until = self.written(|markup, out| markup.inlines(out, &promo.until));
        let mut link = |link| self.written(|markup, out| markup.href(out, link));
        let href = promo.link.map(&mut link);
        let label = match promo.label.as_str() {
            "" => &self.theme.look.words.offer,
            label => label,
        };
        context! { kind => "promo", html, code, until, href, label }
    }

    /// MJML as the author wrote it, with its slots.
    fn raw(&mut self, out: &mut String, source: &[Inline], offset: usize) {
        for (at, inline) in self.issue.placed(source, offset) {
            match inline {
                Inline::Text(text) => {
                    let origin = Origin {
                        file: self.file,
                        offset: at,
                        length: text.len(),
                    };
                    self.marks.put(out, origin);
                    out.push_str(text);
                }
                Inline::Link { link, .. } => {
                    self.mark(out, at);
                    // A component may put it on its icon and on its label.
                    self.href_wanted(out, *link, Wanted::Some);
                }
                Inline::Image(picture) => {
                    let own = self.images.get(&picture.source);
                    let address = own.map(|image| format!("{}/i/{}", self.public_url, image.hash));
                    self.mark(out, at);
                    escape_html_into(out, address.as_deref().unwrap_or(&picture.source));
                }
                other => {
                    self.mark(out, at);
                    self.inlines(out, std::slice::from_ref(other));
                }
            }
        }
    }

    /// A mark for what was made from the block at `offset`.
    pub(crate) fn mark(&mut self, out: &mut String, offset: usize) {
        let origin = Origin {
            file: self.file,
            offset,
            length: 0,
        };
        self.marks.put(out, origin);
    }

    /// What `write` writes, with its place as a class where places are asked for.
    fn placed(
        &mut self,
        out: &mut String,
        place: Option<usize>,
        write: impl FnOnce(&mut Self, &mut String),
    ) {
        let start = out.len();
        write(self, out);
        let Some(offset) = place.filter(|_| self.annotate) else {
            return;
        };
        let tag = out[start..].strip_prefix('<');
        if let Some(name) = tag.and_then(|tag| tag.find(|c: char| !c.is_ascii_alphanumeric())) {
            out.insert_str(start + 1 + name, &format!(" class=\"{PLACE}{offset}\""));
        }
    }
}

fn close(out: &mut String, tag: &str) {
    for part in ["</", tag, ">"] {
        out.push_str(part);
    }
}

/// Marks text as markup that needs no escaping.
pub(crate) fn safe(markup: String) -> Value {
    Value::from_safe_string(markup)
}

/// A place in a table that the format of a revision counts in 32 bits.
pub(crate) fn table_index(place: usize) -> u32 {
    u32::try_from(place).expect("an issue has a size limit")
}

fn flush(text: &mut String, parts: &mut Vec<Value>) {
    if !text.is_empty() {
        let html = safe(std::mem::take(text));
        parts.push(context! { kind => "text", html });
    }
}
