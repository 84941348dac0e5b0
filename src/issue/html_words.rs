//! Words in tags: what HTML says among words becomes what Markdown says, or a mark where it has no sign.
//!
//! Promises: every tag and attribute that is not let in is told at its place, and nothing of it comes out.

use crate::diagnostic::{Severity, nearest};
use crate::issue::block::{Inline, Mark, Picture, plain_text};
use crate::issue::html::{
    ALLOWED, Attribute, Meaning, Tag, Token, Words, is_opaque, is_void, meaning, style,
};
use crate::issue::markdown::{DEPTH_LIMIT, Reader};

impl Reader<'_> {
    /// The words of a tag that stands among words; any other is told.
    pub(super) fn html_words(&mut self, tag: Tag, out: &mut Vec<Inline>) {
        match meaning(&tag.name) {
            Some((Meaning::Words(words), known)) => {
                self.known_attributes(&tag, known);
                let inner = if is_void(&tag.name) {
                    Vec::new()
                } else {
                    self.words_within(&tag)
                };
                let made = self.marked(words, &tag, inner);
                out.extend(made);
            }
            Some(_) => {
                let message = format!("`<{}>` cannot stand among words", tag.name);
                self.html_error(tag.offset, tag.name.len() + 1, message);
                if !is_void(&tag.name) {
                    let inner = self.words_within(&tag);
                    out.extend(inner);
                }
            }
            None => {
                self.refused(&tag);
                if is_opaque(&tag.name) && !tag.slash {
                    // Its content is no text either.
                    while let Some(token) = self.html.pop_front() {
                        if matches!(&token, Token::Tag(end) if end.closing && end.name == tag.name)
                        {
                            break;
                        }
                    }
                } else if !is_void(&tag.name) && !tag.slash {
                    // Its closing tag is not told again.
                    let inner = self.words_within(&tag);
                    out.extend(inner);
                }
            }
        }
    }

    /// The words up to the closing tag, within one HTML block.
    pub(super) fn words_within(&mut self, tag: &Tag) -> Vec<Inline> {
        let mut words = Vec::new();
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            self.too_deep(tag.offset);
        }
        loop {
            match self.html.pop_front() {
                Some(Token::Tag(next)) if next.closing => {
                    if next.name == tag.name {
                        break;
                    }
                    // Of crossed tags the outer one goes on.
                    self.unclosed(tag);
                    self.html.push_front(Token::Tag(next));
                    break;
                }
                Some(Token::Tag(next)) => self.html_words(next, &mut words),
                Some(other) => self.html_text(other, &mut words),
                None => {
                    self.unclosed(tag);
                    break;
                }
            }
        }
        self.depth -= 1;
        words
    }

    /// Told for a tag that is not let in.
    pub(super) fn refused(&mut self, tag: &Tag) {
        let message = format!("`<{}>` is not let into a mail", tag.name);
        let length = tag.name.len() + 1;
        let error = self
            .source
            .at(Severity::Error, tag.offset, length, "html-tag", message);
        let help = match nearest(&tag.name, ALLOWED.split(',').map(str::trim)) {
            Some(near) if !is_opaque(&tag.name) => format!("did you mean `<{near}>`?"),
            _ => format!("these are: {ALLOWED}; components stand between `:::mjml` and `:::`"),
        };
        self.found.push(error.help(help));
    }

    /// Tells every attribute that is none of `known`.
    pub(super) fn known_attributes(&mut self, tag: &Tag, known: &[&str]) {
        if tag.slash && !is_void(&tag.name) {
            let message = format!("`<{}/>` is opened by this, not closed", tag.name);
            self.html_error(tag.offset, tag.name.len() + 3, message);
        }
        for Attribute { name, offset, .. } in &tag.attributes {
            if known.contains(&name.as_str()) {
                continue;
            }
            let message = format!("`{name}` is not let in at `<{}>`", tag.name);
            let error = self.source.at(
                Severity::Error,
                *offset,
                name.len(),
                "html-attribute",
                message,
            );
            self.found.push(
                error.help(match (nearest(name, known.iter().copied()), known) {
                    (Some(near), _) => format!("did you mean `{near}`?"),
                    (None, []) => {
                        "this tag takes no attributes; the theme gives it its looks".into()
                    }
                    (None, known) => format!("this tag takes: {}", known.join(", ")),
                }),
            );
        }
    }

    pub(super) fn attribute_error(&mut self, attribute: &Attribute, message: String, help: &str) {
        let (offset, length) = (attribute.offset, attribute.name.len());
        let error = self
            .source
            .at(Severity::Error, offset, length, "html-attribute", message);
        self.found.push(error.help(help));
    }

    /// What a tag among words makes of the words within it.
    pub(super) fn marked(&mut self, words: Words, tag: &Tag, text: Vec<Inline>) -> Vec<Inline> {
        let mark = |mark, text| Inline::Marked { mark, text };
        let one = match words {
            Words::Strong => Inline::Strong(text),
            Words::Emphasis => Inline::Emphasis(text),
            Words::Strike => Inline::Strike(text),
            Words::Sub => Inline::Sub(text),
            Words::Sup => Inline::Sup(text),
            Words::Mark(Mark::Code) if matches!(text.as_slice(), [Inline::Text(_)]) => {
                Inline::Code(plain_text(&text))
            }
            Words::Mark(kind) => mark(kind, text),
            Words::Abbreviation => {
                let title = tag.attributes.iter().find(|given| given.name == "title");
                let title = title.map(|given| self.slotless(&given.value, given.offset));
                mark(Mark::Abbreviation(title.unwrap_or_default()), text)
            }
            Words::Quoted => {
                let quote = |quote: &str| Inline::Text(quote.into());
                return [vec![quote("\u{201c}")], text, vec![quote("\u{201d}")]].concat();
            }
            Words::Styled => match self.span_style(tag) {
                Some(css) => mark(Mark::Style(css), text),
                None => return text,
            },
            Words::Link => return self.html_link(tag, text),
            Words::Break => Inline::Break,
            Words::Image => Inline::Image(self.html_image(tag)),
        };
        vec![one]
    }

    fn span_style(&mut self, tag: &Tag) -> Option<String> {
        let given = tag.attributes.iter().find(|given| given.name == "style")?;
        match style(&given.value) {
            Ok(css) => Some(css),
            Err(refused) => {
                let message = format!("`{refused}` is not let into a style");
                let help = "a span takes: color, background-color, font-weight, font-style, \
                            text-decoration";
                self.attribute_error(given, message, help);
                None
            }
        }
    }

    fn html_link(&mut self, tag: &Tag, text: Vec<Inline>) -> Vec<Inline> {
        let Some(href) = tag.attributes.iter().find(|given| given.name == "href") else {
            self.error(tag.offset, "link", "this link has no `href`");
            return text;
        };
        let name = plain_text(&text);
        if name.is_empty() {
            self.error(tag.offset, "link", "this link has no text");
        }
        let pieces = self.masked.pieces(href.value.trim());
        let link = self.link(pieces, &name, href.offset);
        vec![Inline::Link { link, text }]
    }

    fn html_image(&mut self, tag: &Tag) -> Picture {
        let offset = tag.offset;
        let mut picture = Picture {
            source: String::new(),
            alt: String::new(),
            caption: String::new(),
            link: None,
            width: None,
            height: None,
            align: None,
            still: false,
            offset,
        };
        for given in &tag.attributes {
            match given.name.as_str() {
                "src" => picture.source = self.slotless(&given.value, given.offset),
                "alt" => picture.alt = self.slotless(&given.value, given.offset),
                "title" => picture.caption = self.slotless(&given.value, given.offset),
                "width" | "height" | "align" => {
                    let (value, at) = (given.value.clone(), given.offset);
                    self.image_attribute(&mut picture, &given.name, &value, at);
                }
                _ => {}
            }
        }
        if picture.source.is_empty() {
            self.error(offset, "image", "this image has no `src`");
        }
        if picture.alt.trim().is_empty() {
            let error = self.source.error(offset, "alt", "this image has no text");
            let help = "write `alt=\"what it shows\"` for readers who do not see it";
            self.found.push(error.help(help));
        }
        picture
    }

    /// Line ends and runs of blanks in HTML are one blank.
    pub(super) fn squeezed(&self, words: Vec<Inline>) -> Vec<Inline> {
        let mut blank = true;
        let mut words = squeeze(words, &mut blank);
        if let Some(Inline::Text(last)) = words.last_mut() {
            last.truncate(last.trim_end_matches(' ').len());
        }
        words.retain(|word| !matches!(word, Inline::Text(text) if text.is_empty()));
        words
    }
}

fn squeeze(words: Vec<Inline>, blank: &mut bool) -> Vec<Inline> {
    let within = |text, blank: &mut bool| squeeze(text, blank);
    let mut out = Vec::with_capacity(words.len());
    for word in words {
        out.push(match word {
            Inline::Text(text) => {
                let mut kept = String::with_capacity(text.len());
                for c in text.chars() {
                    let space = matches!(c, ' ' | '\n' | '\t');
                    if !(space && *blank) {
                        kept.push(if space { ' ' } else { c });
                    }
                    *blank = space;
                }
                Inline::Text(kept)
            }
            Inline::Strong(text) => Inline::Strong(within(text, blank)),
            Inline::Emphasis(text) => Inline::Emphasis(within(text, blank)),
            Inline::Strike(text) => Inline::Strike(within(text, blank)),
            Inline::Sub(text) => Inline::Sub(within(text, blank)),
            Inline::Sup(text) => Inline::Sup(within(text, blank)),
            Inline::Marked { mark, text } => Inline::Marked {
                mark,
                text: within(text, blank),
            },
            Inline::Link { link, text } => Inline::Link {
                link,
                text: within(text, blank),
            },
            other => {
                *blank = matches!(other, Inline::Break);
                other
            }
        });
    }
    out
}
