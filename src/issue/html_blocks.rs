//! The HTML half of the Markdown reader: what an author writes in tags becomes the blocks that Markdown
//! has anyway, so that theme and text part treat both alike.
//!
//! Promises: a tag that is opened is closed, with Markdown between the two or without; whatever stands where
//! it cannot is told. Leaves the list of tags to `html`, and words to `html_words`.

use pulldown_cmark::{Event, Tag as Markdown, TagEnd};

use crate::diagnostic::Severity;
use crate::issue::block::{Align, Block, Inline, Picture, plain_text};
use crate::issue::html::{Meaning, Shape, Tag, Token, is_void, meaning, tokens};
use crate::issue::markdown::{ALONE, DEPTH_LIMIT, Reader, placed};

/// Words on their way to become a paragraph.
#[derive(Default)]
struct Words {
    inlines: Vec<Inline>,
    /// Where they begin.
    offset: Option<usize>,
}

impl Words {
    fn begin(&mut self, offset: usize) {
        self.offset.get_or_insert(offset);
    }
}

/// What comes next within HTML.
enum Next {
    Token(Token),
    /// A block of Markdown between two tags.
    Markdown,
    /// The end of what surrounds the HTML.
    End,
}

impl Reader<'_> {
    /// The blocks of an HTML block that was just opened.
    pub(super) fn html_block(&mut self) -> Vec<Block> {
        self.load_html();
        self.html_blocks(None)
    }

    /// Takes the tags of the HTML block that was just opened.
    fn load_html(&mut self) {
        let mut text = String::new();
        // Where each line of the text stands: in a quote or list the file holds more than the text.
        let mut lines: Vec<(usize, usize)> = Vec::new();
        while let Some((Event::Html(more) | Event::Text(more), range)) = self.events.get(self.at) {
            lines.push((text.len(), self.base + range.start));
            text.push_str(more);
            self.at += 1;
        }
        self.pass(TagEnd::HtmlBlock);
        let place = |at: usize| {
            let before = lines.partition_point(|(start, _)| *start <= at);
            let line = before.checked_sub(1).and_then(|index| lines.get(index));
            line.map_or(self.base, |(start, offset)| offset + (at - start))
        };
        let read = tokens(&text, place);
        self.html.extend(read);
    }

    fn next_html(&mut self, open: bool) -> Next {
        loop {
            if let Some(token) = self.html.pop_front() {
                return Next::Token(token);
            }
            match self.events.get(self.at) {
                Some((Event::Start(Markdown::HtmlBlock), _)) if open => {
                    self.at += 1;
                    self.load_html();
                }
                Some((Event::End(_), _)) | None => return Next::End,
                Some(_) if open => return Next::Markdown,
                Some(_) => return Next::End,
            }
        }
    }

    /// Blocks up to the closing tag of `parent`, or to the end of the HTML block.
    fn html_blocks(&mut self, parent: Option<&Tag>) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut words = Words::default();
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            self.too_deep(parent.map_or(self.base, |parent| parent.offset));
        }
        loop {
            match self.next_html(parent.is_some()) {
                Next::Token(Token::Tag(tag)) if tag.closing => {
                    if self.closes(&tag, parent) {
                        break;
                    }
                }
                Next::Token(Token::Tag(tag)) => match meaning(&tag.name) {
                    Some((Meaning::Block(shape), known)) => {
                        self.known_attributes(&tag, known);
                        self.html_paragraph(&mut words, &mut blocks);
                        let made = self.html_shape(shape, &tag);
                        blocks.extend(placed(tag.offset, made));
                    }
                    _ => {
                        words.begin(tag.offset);
                        self.html_words(tag, &mut words.inlines);
                    }
                },
                Next::Token(other) => {
                    if let Token::Text(text, offset) = &other
                        && !text.trim().is_empty()
                    {
                        words.begin(offset + text.len() - text.trim_start().len());
                    }
                    self.html_text(other, &mut words.inlines);
                }
                Next::Markdown => {
                    self.html_paragraph(&mut words, &mut blocks);
                    let made = self.placed_block();
                    blocks.extend(made);
                }
                Next::End => {
                    if let Some(parent) = parent {
                        self.unclosed(parent);
                    }
                    break;
                }
            }
        }
        self.depth -= 1;
        self.html_paragraph(&mut words, &mut blocks);
        blocks
    }

    /// Whether a closing tag ends `parent`; any other is told.
    fn closes(&mut self, tag: &Tag, parent: Option<&Tag>) -> bool {
        if parent.is_some_and(|parent| parent.name == tag.name) {
            return true;
        }
        let message = match parent {
            Some(parent) => format!(
                "`</{}>` stands where `</{}>` is expected",
                tag.name, parent.name
            ),
            None => format!("`</{}>` closes nothing", tag.name),
        };
        self.html_error(tag.offset, tag.name.len() + 3, message);
        false
    }

    pub(super) fn unclosed(&mut self, tag: &Tag) {
        if self.stopped {
            return;
        }
        let message = format!("`<{}>` is never closed with `</{0}>`", tag.name);
        self.html_error(tag.offset, tag.name.len() + 1, message);
    }

    pub(super) fn html_error(&mut self, offset: usize, length: usize, message: String) {
        let source = self.source;
        let error = source.at(Severity::Error, offset, length, "html-tag", message);
        self.found.push(error);
    }

    /// The words so far become a paragraph of their own.
    fn html_paragraph(&mut self, words: &mut Words, blocks: &mut Vec<Block>) {
        let Words { inlines, offset } = std::mem::take(words);
        let inlines = self.squeezed(inlines);
        if !inlines.is_empty() {
            let made = self.paragraph(inlines).into_iter().collect();
            blocks.extend(placed(offset.unwrap_or(self.base), made));
        }
    }

    /// A text, or one of the things that nobody needs in a mail.
    pub(super) fn html_text(&mut self, token: Token, words: &mut Vec<Inline>) {
        match token {
            Token::Text(text, _) => words.extend(self.masked.unmask(&text)),
            Token::Other(offset) => {
                self.html_error(offset, 2, "this is HTML for machines; take it out".into());
            }
            Token::Unended(offset) => {
                self.html_error(offset, 1, "this tag is never ended with `>`".into());
            }
            Token::Tag(_) => {}
        }
    }

    /// The side to which `align` or `text-align` sets a block.
    pub(super) fn side(&mut self, tag: &Tag) -> Option<Align> {
        let mut side = None;
        for given in &tag.attributes {
            let value = given.value.trim().to_ascii_lowercase();
            let named = match given.name.as_str() {
                "align" => Align::named(&value),
                "style" => {
                    let css = value.trim_end_matches(';');
                    let declared = css.split_once(':');
                    declared
                        .filter(|(name, _)| name.trim() == "text-align")
                        .and_then(|(_, value)| Align::named(value.trim()))
                }
                _ => continue,
            };
            side = named.or(side);
            if named.is_none() {
                let message = format!("`{}` is not let in here", given.value.trim());
                let help = "a block takes `align=\"left\"`, `\"center\"` or `\"right\"`, or `text-align` \
                            as its whole style";
                self.attribute_error(given, message, help);
            }
        }
        side
    }

    fn html_shape(&mut self, shape: Shape, tag: &Tag) -> Vec<Block> {
        match shape {
            Shape::Group => {
                let side = if tag.name == "details" {
                    None
                } else {
                    self.side(tag)
                };
                let blocks = self.html_blocks(Some(tag));
                aligned(side, blocks)
            }
            Shape::Center => {
                let blocks = self.html_blocks(Some(tag));
                aligned(Some(Align::Center), blocks)
            }
            Shape::Summary => {
                let words = self.words_within(tag);
                let words = self.squeezed(words);
                vec![Block::Paragraph(vec![Inline::Strong(words)])]
            }
            Shape::Heading(level) => {
                let side = self.side(tag);
                let words = self.words_within(tag);
                let words = self.squeezed(words);
                let text = self.without_images(words, ALONE);
                let heading = self.heading(level, text, tag.offset);
                aligned(side, heading.into_iter().collect())
            }
            Shape::Quote => {
                let blocks = self.within(|reader| reader.html_blocks(Some(tag)));
                vec![Block::Quote(blocks)]
            }
            Shape::List { ordered } => {
                let list = self.within(|reader| reader.html_list(ordered, tag));
                vec![list]
            }
            Shape::Table => self.html_table(tag),
            Shape::Figure => self.html_figure(tag),
            Shape::Rule => vec![Block::Rule],
            Shape::Preformatted => vec![self.html_code(tag)],
            Shape::ListItem
            | Shape::TablePart
            | Shape::Row
            | Shape::Cell { .. }
            | Shape::Caption => {
                let message = format!("`<{}>` stands outside of what it belongs to", tag.name);
                self.html_error(tag.offset, tag.name.len() + 1, message);
                self.html_blocks(Some(tag))
            }
        }
    }

    /// The children of `tag` that have the shape of `wanted`, one by one; anything else is told.
    pub(super) fn children(
        &mut self,
        tag: &Tag,
        mut wanted: impl FnMut(&mut Self, Shape, &Tag) -> bool,
    ) {
        loop {
            match self.next_html(true) {
                Next::Token(Token::Tag(next)) if next.closing => {
                    if self.closes(&next, Some(tag)) {
                        return;
                    }
                }
                Next::Token(Token::Tag(next)) => {
                    let taken = match meaning(&next.name) {
                        Some((Meaning::Block(shape), known)) => {
                            self.known_attributes(&next, known);
                            wanted(self, shape, &next)
                        }
                        _ => false,
                    };
                    if !taken {
                        let message = format!(
                            "`<{}>` cannot stand directly in `<{}>`",
                            next.name, tag.name
                        );
                        self.html_error(next.offset, next.name.len() + 1, message);
                        if !is_void(&next.name) {
                            self.html_blocks(Some(&next));
                        }
                    }
                }
                Next::Token(Token::Text(text, _)) if text.trim().is_empty() => {}
                Next::Token(_) => {
                    let message = format!("words cannot stand directly in `<{}>`", tag.name);
                    self.html_error(tag.offset, tag.name.len() + 1, message);
                }
                Next::Markdown => {
                    let message = format!("Markdown cannot stand directly in `<{}>`", tag.name);
                    self.html_error(tag.offset, tag.name.len() + 1, message);
                    self.block();
                }
                Next::End => {
                    self.unclosed(tag);
                    return;
                }
            }
        }
    }

    fn html_list(&mut self, ordered: bool, tag: &Tag) -> Block {
        let mut items = Vec::new();
        self.children(tag, |reader, shape, child| {
            let fits = shape == Shape::ListItem;
            if fits {
                let blocks = reader.html_blocks(Some(child));
                items.push(placed(child.offset, blocks));
            }
            fits
        });
        let start = tag.attributes.iter().find(|given| given.name == "start");
        let first = start.map_or(Some(1), |given| given.value.trim().parse().ok());
        if let (Some(given), None) = (start, first) {
            let message = format!("`{}` is no number to start from", given.value.trim());
            self.attribute_error(given, message, "write a whole number such as `start=\"3\"`");
        }
        let single = |item: &Vec<Block>| {
            let paragraphs = item
                .iter()
                .filter(|block| matches!(block, Block::Paragraph(_)));
            paragraphs.count() <= 1
        };
        Block::List {
            start: first.filter(|_| ordered),
            tight: items.iter().all(single),
            items,
        }
    }

    /// An image with its caption.
    fn html_figure(&mut self, tag: &Tag) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut caption = None;
        let mut words = Vec::new();
        loop {
            match self.next_html(true) {
                Next::Token(Token::Tag(next)) if next.closing => {
                    if self.closes(&next, Some(tag)) {
                        break;
                    }
                }
                Next::Token(Token::Tag(next)) if next.name == "figcaption" => {
                    self.known_attributes(&next, &[]);
                    let inner = self.words_within(&next);
                    caption = Some(plain_text(&inner));
                }
                Next::Token(Token::Tag(next)) => self.html_words(next, &mut words),
                Next::Token(other) => self.html_text(other, &mut words),
                Next::Markdown => {
                    let made = self.block();
                    blocks.extend(made);
                }
                Next::End => {
                    self.unclosed(tag);
                    break;
                }
            }
        }
        // The image knows its own place.
        let words = self.squeezed(words);
        if !words.is_empty() {
            blocks.extend(self.paragraph(words));
        }
        match (blocks.as_mut_slice(), caption) {
            ([Block::Image(picture)], Some(caption)) => picture.caption = caption,
            ([Block::Image(_)], None) => {}
            _ => self.html_error(
                tag.offset,
                7,
                "a `<figure>` holds one image and its caption".into(),
            ),
        }
        blocks
    }

    fn html_code(&mut self, tag: &Tag) -> Block {
        let mut words = Vec::new();
        loop {
            match self.html.pop_front() {
                Some(Token::Tag(next)) if next.closing && next.name == tag.name => break,
                // `<pre><code>` is how code is written.
                Some(Token::Tag(next)) if next.name == "code" => {}
                Some(Token::Tag(next)) => self.refused(&next),
                Some(other) => self.html_text(other, &mut words),
                None => {
                    self.unclosed(tag);
                    break;
                }
            }
        }
        let text = words.iter().map(|word| match word {
            Inline::Text(text) => text.clone(),
            Inline::Merge(merge) => merge.written(),
            _ => String::new(),
        });
        let text: String = text.collect();
        Block::Code(text.trim_matches('\n').to_owned())
    }
}

/// Sets blocks to a side; images carry it themselves.
fn aligned(side: Option<Align>, blocks: Vec<Block>) -> Vec<Block> {
    let Some(align) = side else { return blocks };
    let mut out: Vec<Block> = Vec::new();
    let mut here = None;
    for block in blocks {
        match (out.last_mut(), block) {
            (_, Block::Here(offset)) => here = Some(Block::Here(offset)),
            (_, Block::Image(picture)) => out.push(Block::Image(Picture {
                align: picture.align.or(side),
                ..picture
            })),
            (
                Some(Block::Aligned {
                    align: same,
                    blocks,
                }),
                block,
            ) if *same == align => {
                blocks.extend(here.take());
                blocks.push(block);
            }
            (_, block) => {
                out.extend(here.take());
                out.push(Block::Aligned {
                    align,
                    blocks: vec![block],
                });
            }
        }
    }
    out
}
