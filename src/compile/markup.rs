//! Blocks to the HTML that a theme puts into its components.
//!
//! Promises: every word is escaped; every slot and link is a placeholder, once. Neighbouring texts are
//! one part, because each component of MJML costs some 300 octets.

use std::collections::BTreeMap;

use minijinja::context;
use minijinja::value::Value;

use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::theme::Theme;
use crate::compile::{Context, Image, Segment, escape_html};
use crate::issue::Issue;
use crate::issue::block::{Align, Block, Inline, LinkId, Picture, Promo};

/// The writer of one page.
pub(crate) struct Markup<'a> {
    pub(crate) issue: &'a Issue,
    pub(crate) theme: &'a Theme,
    /// The address of each link of the issue.
    pub(crate) addresses: &'a [Vec<Segment>],
    pub(crate) images: &'a BTreeMap<String, Image>,
    pub(crate) public_url: &'a str,
    pub(crate) places: &'a mut Placeholders,
}

impl Markup<'_> {
    /// The parts a theme loops over: `text`, `image`, `button`, `promo` and `mjml` by their `kind`.
    pub(crate) fn parts(&mut self, blocks: &[Block]) -> Vec<Value> {
        let mut parts = Vec::new();
        let mut text = String::new();
        for block in blocks {
            let part = match block {
                Block::Image(picture) => self.image(picture),
                Block::Button { link, label } => {
                    let href = safe(self.href(*link));
                    let label = safe(self.inlines(label));
                    context! { kind => "button", href, label }
                }
                Block::Promo(promo) => self.promo(promo),
                Block::Mjml { source, .. } => {
                    let source = safe(self.raw(source));
                    context! { kind => "mjml", source }
                }
                other => {
                    text.push_str(&self.block(other, false));
                    continue;
                }
            };
            flush(&mut text, &mut parts);
            parts.push(part);
        }
        flush(&mut text, &mut parts);
        parts
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
        blocks
            .iter()
            .map(|block| self.block(block, false))
            .collect()
    }

    /// The address of a link, for a quoted attribute.
    pub(crate) fn href(&mut self, link: LinkId) -> String {
        let name = &self.issue.links[link.0].name;
        let mut out = String::new();
        for segment in &self.addresses[link.0] {
            match segment {
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

    fn wrapped(&mut self, tag: &str, inner: &[Inline]) -> String {
        format!("{}{}</{tag}>", self.theme.open(tag), self.inlines(inner))
    }

    fn block(&mut self, block: &Block, nested: bool) -> String {
        match block {
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
                let mut out = self.theme.open("blockquote");
                for (index, block) in blocks.iter().enumerate() {
                    match block {
                        // The last one brings no space of its own into the frame.
                        Block::Paragraph(inlines) if index + 1 == blocks.len() => {
                            let open = self.theme.open_as("p", "quoted-last");
                            out.push_str(&format!("{open}{}</p>", self.inlines(inlines)));
                        }
                        other => out.push_str(&self.block(other, true)),
                    }
                }
                out.push_str("</blockquote>");
                out
            }
            Block::Code(text) => format!("{}{}</pre>", self.theme.open("pre"), escape_html(text)),
            Block::Table { align, head, rows } => self.table(align, head, rows),
            Block::Rule => {
                let open = self.theme.open("hr");
                open.replace('>', "/>")
            }
            // Components, which `parts` takes out before.
            Block::Image(_) | Block::Promo(_) | Block::Button { .. } | Block::Mjml { .. } => {
                String::new()
            }
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
            out.push_str(&self.theme.open("li"));
            for block in blocks {
                match block {
                    Block::Paragraph(inlines) if tight => out.push_str(&self.inlines(inlines)),
                    other => out.push_str(&self.block(other, true)),
                }
            }
            out.push_str("</li>");
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
        let (src, width, height) = match self.images.get(&picture.source) {
            Some(image) => (
                format!("{}/i/{}", self.public_url, image.hash),
                Some(image.width),
                Some(image.height),
            ),
            None => (picture.source.clone(), None, None),
        };
        let href = picture.link.map(|link| safe(self.href(link)));
        context! {
            kind => "image",
            src => safe(escape_html(&src)),
            alt => &picture.alt,
            caption => &picture.caption,
            width, height, href,
        }
    }

    fn promo(&mut self, promo: &Promo) -> Value {
        let html = safe(self.blocks(&promo.blocks));
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
    fn raw(&mut self, source: &[Inline]) -> String {
        let mut out = String::new();
        for inline in source {
            match inline {
                Inline::Text(text) => out.push_str(text),
                other => out.push_str(&self.inlines(std::slice::from_ref(other))),
            }
        }
        out
    }
}

/// Marks text as markup that needs no escaping.
pub(crate) fn safe(markup: String) -> Value {
    Value::from_safe_string(markup)
}

fn flush(text: &mut String, parts: &mut Vec<Value>) {
    if !text.is_empty() {
        let html = safe(std::mem::take(text));
        parts.push(context! { kind => "text", html });
    }
}
