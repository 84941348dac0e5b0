//! Blocks to the HTML that a theme puts into its components.
//!
//! Promises: every word is escaped; every slot and link is a placeholder, once. Neighbouring texts are
//! one part, because each component of MJML costs some 300 octets.

use std::collections::BTreeMap;
use std::ptr;

use minijinja::context;
use minijinja::value::Value;

use crate::compile::escape::escape_html;
use crate::compile::image::double;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
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
                    let href = safe(format!("{}{}", self.mark(here), self.href(*link)));
                    let label = safe(self.inlines(label));
                    context! { kind => "button", href, label }
                }
                Block::Promo(promo) => self.promo(promo, here),
                Block::Mjml { source, offset } => {
                    let source = safe(self.raw(source, *offset));
                    context! { kind => "mjml", source }
                }
                Block::Only {
                    segment, blocks, ..
                } => {
                    flush(&mut text, parts);
                    let begin = self.only.iter().position(|known| known == segment);
                    parts.push(self.edge(here, Segment::Only(table_index(begin.unwrap_or(0)))));
                    self.parts_from(here, blocks, parts);
                    self.edge(here, Segment::End)
                }
                other => {
                    let html = self.block(other, false);
                    text.push_str(&self.mark(here));
                    text.push_str(&self.placed(html, Some(here)));
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
        let mark = self.mark(here);
        let place = self
            .places
            .put(Filling::Mark(edge), Wanted::Once, "`:::only`");
        context! { kind => "mjml", source => safe(format!("{mark}<mj-raw>{place}</mj-raw>")) }
    }

    /// Words on one line.
    pub(crate) fn inlines(&mut self, inlines: &[Inline]) -> String {
        let mut out = String::new();
        for inline in inlines {
            match inline {
                Inline::Text(text) => out.push_str(&escape_html(text)),
                Inline::Merge(merge) => {
                    let slot = merge.slot(Context::Html);
                    let what = format!("`{}`", merge.written());
                    out.push_str(&self.places.put(Filling::Slot(slot), Wanted::Once, what));
                }
                Inline::Code(text) => {
                    let code = self.theme.open("code");
                    out.push_str(&format!("{code}{}</code>", escape_html(text)));
                }
                Inline::Strong(inner) => out.push_str(&self.wrapped("strong", inner)),
                Inline::Emphasis(inner) => out.push_str(&self.wrapped("em", inner)),
                Inline::Strike(inner) => out.push_str(&self.wrapped("s", inner)),
                Inline::Sub(inner) => out.push_str(&self.wrapped("sub", inner)),
                Inline::Sup(inner) => out.push_str(&self.wrapped("sup", inner)),
                Inline::Marked { mark, text } => out.push_str(&self.marked(mark, text)),
                Inline::Link { link, text } => {
                    let href = self.href(*link);
                    let text = self.inlines(text);
                    let open =
                        self.theme
                            .open("a")
                            .replacen("<a", &format!("<a href=\"{href}\""), 1);
                    out.push_str(&format!("{open}{text}</a>"));
                }
                Inline::Note(number) => {
                    out.push_str(&format!("{}{number}</sup>", self.theme.open("sup")));
                }
                Inline::Break => out.push_str("<br>"),
                // The reader of Markdown makes blocks of images, or errors.
                Inline::Image(_) => {}
            }
        }
        out
    }

    /// Blocks of text, without components of their own.
    pub(crate) fn blocks(&mut self, blocks: &[Block]) -> String {
        self.each(blocks, |markup, block| markup.block(block, false))
    }

    /// What `write` makes of each of `blocks`, with its place.
    fn each(
        &mut self,
        blocks: &[Block],
        mut write: impl FnMut(&mut Self, &Block) -> String,
    ) -> String {
        let mut out = String::new();
        let mut here = None;
        for block in blocks {
            match block {
                Block::Here(offset) => here = Some(*offset),
                other => {
                    let html = write(self, other);
                    out.push_str(&self.placed(html, here));
                }
            }
        }
        out
    }

    /// The address of a link, for a quoted attribute.
    pub(crate) fn href(&mut self, link: LinkId) -> String {
        let name = &self.issue.links[link.0].name;
        let mut out = String::new();
        for segment in &self.addresses[link.0] {
            match segment {
                Segment::Only(_) | Segment::End => {}
                Segment::Literal(text) => out.push_str(&escape_html(text)),
                Segment::Slot(slot) => {
                    let what = format!("the link `{name}`");
                    let filling = Filling::Slot(slot.clone());
                    out.push_str(&self.places.put(filling, Wanted::Once, what));
                }
            }
        }
        out
    }

    fn marked(&mut self, mark: &Mark, text: &[Inline]) -> String {
        let (tag, open) = match mark {
            Mark::Underline => ("u", self.theme.open("u")),
            Mark::Small => ("small", self.theme.open("small")),
            Mark::Highlight => ("mark", self.theme.open("mark")),
            Mark::Code => ("code", self.theme.open("code")),
            Mark::Key => ("kbd", self.theme.open("kbd")),
            Mark::Abbreviation(title) => {
                ("abbr", format!("<abbr title=\"{}\">", escape_html(title)))
            }
            Mark::Style(css) => ("span", format!("<span style=\"{}\">", escape_html(css))),
        };
        format!("{open}{}</{tag}>", self.inlines(text))
    }

    fn wrapped(&mut self, tag: &str, inner: &[Inline]) -> String {
        format!("{}{}</{tag}>", self.theme.open(tag), self.inlines(inner))
    }

    fn block(&mut self, block: &Block, nested: bool) -> String {
        match block {
            Block::Here(_) => String::new(),
            Block::Paragraph(inlines) => self.wrapped("p", inlines),
            Block::Heading { level, text } => {
                let tag = if *level == 3 { "h3" } else { "h4" };
                self.wrapped(tag, text)
            }
            Block::List {
                start,
                tight,
                items,
            } => self.list(*start, *tight, items, nested),
            Block::Quote(blocks) => {
                let last = blocks.last();
                let inner = self.each(blocks, |markup, block| match block {
                    // The last one brings no space of its own into the frame.
                    Block::Paragraph(inlines) if last.is_some_and(|last| ptr::eq(last, block)) => {
                        let open = markup.theme.open_as("p", "quoted-last");
                        format!("{open}{}</p>", markup.inlines(inlines))
                    }
                    other => markup.block(other, true),
                });
                format!("{}{inner}</blockquote>", self.theme.open("blockquote"))
            }
            Block::Code(text) => format!("{}{}</pre>", self.theme.open("pre"), escape_html(text)),
            Block::Table { align, head, rows } => self.table(align, head, rows),
            Block::Rule => {
                let open = self.theme.open("hr");
                open.replace('>', "/>")
            }
            Block::Aligned { align, blocks } => {
                let inner = self.blocks(blocks);
                let side = align.name();
                format!("<div align=\"{side}\" style=\"text-align:{side}\">{inner}</div>")
            }
            // Components and their edges, which `parts` takes out before.
            Block::Only { .. }
            | Block::Image(_)
            | Block::Promo(_)
            | Block::Button { .. }
            | Block::Mjml { .. } => String::new(),
        }
    }

    fn list(
        &mut self,
        start: Option<u64>,
        tight: bool,
        items: &[Vec<Block>],
        nested: bool,
    ) -> String {
        let tag = if start.is_some() { "ol" } else { "ul" };
        let style = match (nested, tag) {
            (true, "ol") => "nested-ol",
            (true, _) => "nested-ul",
            _ => tag,
        };
        let mut out = self.theme.open_as(tag, style);
        if let Some(first) = start.filter(|first| *first != 1) {
            out = out.replacen("<ol", &format!("<ol start=\"{first}\""), 1);
        }
        for blocks in items {
            // What stands first in it is the entry's own place.
            let (here, blocks) = match blocks.as_slice() {
                [Block::Here(offset), rest @ ..] => (Some(*offset), rest),
                other => (None, other),
            };
            let open = self.theme.open("li");
            let inner = self.each(blocks, |markup, block| match block {
                Block::Paragraph(inlines) if tight => markup.inlines(inlines),
                other => markup.block(other, true),
            });
            out.push_str(&self.placed(format!("{open}{inner}</li>"), here));
        }
        out.push_str(&format!("</{tag}>"));
        out
    }

    fn table(
        &mut self,
        align: &[Align],
        head: &[Vec<Inline>],
        rows: &[Vec<Vec<Inline>>],
    ) -> String {
        let open = self.theme.open("table");
        let attributes = "<table cellpadding=\"0\" cellspacing=\"0\" border=\"0\"";
        let mut out = open.replacen("<table", attributes, 1);
        let head = [head.to_vec()];
        for (tag, lines) in [("th", head.as_slice()), ("td", rows)] {
            for line in lines {
                out.push_str("<tr>");
                for (column, cell) in line.iter().enumerate() {
                    let align = match align.get(column) {
                        Some(Align::Center) => "center",
                        Some(Align::Right) => "right",
                        Some(Align::Left) | None => self.theme.start(),
                    };
                    let open = self.theme.open(tag);
                    let open = open.replacen(tag, &format!("{tag} align=\"{align}\""), 1);
                    out.push_str(&format!("{open}{}</{tag}>", self.inlines(cell)));
                }
                out.push_str("</tr>");
            }
        }
        out.push_str("</table>");
        out
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
        let href = picture.link.map(|link| safe(self.href(link)));
        context! {
            kind => "image",
            src => safe(format!("{}{}", self.mark(picture.offset), escape_html(&src))),
            alt => &picture.alt,
            caption => &picture.caption,
            width, height, href,
            srcset => srcset.map(|srcset| safe(escape_html(&srcset))),
            align => picture.align.map(Align::name),
        }
    }

    fn promo(&mut self, promo: &Promo, here: usize) -> Value {
        let html = self.blocks(&promo.blocks);
        let html = safe(format!("{}{html}", self.mark(here)));
        let code = safe(self.inlines(&promo.code));
        let until = safe(self.inlines(&promo.until));
        let href = promo.link.map(|link| safe(self.href(link)));
        let label = match promo.label.as_str() {
            "" => &self.theme.look.words.offer,
            label => label,
        };
        context! { kind => "promo", html, code, until, href, label }
    }

    /// MJML as the author wrote it, with its slots.
    fn raw(&mut self, source: &[Inline], offset: usize) -> String {
        let mut out = String::new();
        for (at, inline) in self.issue.placed(source, offset) {
            match inline {
                Inline::Text(text) => {
                    out.push_str(&self.marks.put(Origin {
                        file: self.file,
                        offset: at,
                        length: text.len(),
                    }));
                    out.push_str(text);
                }
                Inline::Link { link, .. } => {
                    out.push_str(&self.mark(at));
                    out.push_str(&self.href(*link));
                }
                Inline::Image(picture) => {
                    let own = self.images.get(&picture.source);
                    let address = own.map(|image| format!("{}/i/{}", self.public_url, image.hash));
                    out.push_str(&self.mark(at));
                    out.push_str(&escape_html(address.as_deref().unwrap_or(&picture.source)));
                }
                other => {
                    out.push_str(&self.mark(at));
                    out.push_str(&self.inlines(std::slice::from_ref(other)));
                }
            }
        }
        out
    }

    /// A mark for what was made from the block at `offset`.
    pub(crate) fn mark(&mut self, offset: usize) -> String {
        self.marks.put(Origin {
            file: self.file,
            offset,
            length: 0,
        })
    }

    /// The block with its place as a class, where places are asked for.
    fn placed(&self, html: String, place: Option<usize>) -> String {
        let name = html
            .strip_prefix('<')
            .and_then(|rest| rest.find(|c: char| !c.is_ascii_alphanumeric()));
        match place.filter(|_| self.annotate).zip(name) {
            Some((offset, length)) => {
                let (open, rest) = html.split_at(1 + length);
                format!("{open} class=\"{PLACE}{offset}\"{rest}")
            }
            None => html,
        }
    }
}

/// Width and height in CSS pixels: what the author says, the rest from the file's own proportions.
pub(crate) fn shown_size(picture: &Picture, own: Option<&Image>) -> (Option<u32>, Option<u32>) {
    let (given, tall) = (picture.width, picture.height);
    let Some(own) = own.filter(|own| own.width > 0 && own.height > 0) else {
        return (given, tall);
    };
    // A file for dense screens alone has two of its pixels to one of CSS.
    let density = if own.source.contains("@2x.") { 2 } else { 1 };
    let part = |whole: u32, of: u32, by: u32| {
        let scaled = (u64::from(whole) * u64::from(of) + u64::from(by) / 2) / u64::from(by);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    };
    let width = given.or(tall.map(|tall| part(own.width, tall, own.height)));
    let width = width.unwrap_or((own.width / density).max(1));
    let height = tall.unwrap_or_else(|| part(own.height, width, own.width));
    (Some(width), Some(height))
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
