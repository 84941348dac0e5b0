//! From the Markdown parser's events to blocks.
//!
//! Promises: every link, image and footnote is recorded once; what a mail cannot show is an error at
//! its place. Leaves the order of items to `issue`.

use std::collections::VecDeque;
use std::ops::Range;

use pulldown_cmark::{Alignment, BrokenLink, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::issue::bare::linked;
use crate::issue::block::{Align, Block, Inline, Link, LinkId, Picture, Piece};
use crate::issue::html::Token;
use crate::issue::inline::{Until, is_inline};
use crate::issue::mask::{DIALECT, Masked};
use crate::issue::merge::Slots;
use crate::issue::notes::{Notes, missing};
use crate::issue::target;
use crate::issue::typography::quoted;

/// Deeper nesting of lists and quotes cannot be read in a mail.
pub(super) const DEPTH_LIMIT: usize = 12;
/// Characters of a link's text in its name.
const NAME_LIMIT: usize = 60;
/// Where an image can stand that stands among words.
pub(super) const ALONE: &str = "put it in a paragraph of its own";
/// Where one can stand that stands in a table.
pub(super) const IN_TABLES: &str = "a table holds words: put it above or below, or write the table in MJML, between `:::mjml` and `:::`";

/// The reader of one body.
pub(crate) struct Reader<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) slots: &'a Slots<'a>,
    pub(crate) masked: &'a Masked,
    /// Offset of the body in the file.
    pub(crate) base: usize,
    pub(crate) found: &'a mut Vec<Diagnostic>,
    pub(crate) links: Vec<Link>,
    /// Where the reader stands, for the names of links: "3", "promo", "outro".
    pub(crate) place: String,
    pub(super) notes: Notes,
    pub(super) events: Vec<(Event<'a>, Range<usize>)>,
    pub(super) at: usize,
    /// Tags of the HTML block that is being read.
    pub(super) html: VecDeque<Token>,
    pub(super) depth: usize,
    /// Emphasis and the like around the words that are being read.
    pub(super) around: usize,
    /// Lists, quotes and the like around the block that is being read, where no image can stand.
    inner: usize,
    /// Something was nested too deep, and the rest is not read.
    pub(super) stopped: bool,
}

impl<'a> Reader<'a> {
    /// Of the body that begins at `base`, with typographic `quotes` of that language if any.
    pub(crate) fn new(
        slots: &'a Slots<'a>,
        masked: &'a Masked,
        (base, quotes): (usize, Option<&str>),
        found: &'a mut Vec<Diagnostic>,
    ) -> Reader<'a> {
        let source = slots.source;
        let mut broken: Vec<BrokenLink<'_>> = Vec::new();
        let undefined = |link: BrokenLink<'a>| {
            if !broken.iter().any(|known| known.span == link.span) {
                broken.push(link);
            }
            None
        };
        let dialect = match quotes {
            Some(_) => DIALECT.union(Options::ENABLE_SMART_PUNCTUATION),
            None => DIALECT,
        };
        let parser = Parser::new_with_broken_link_callback(&masked.text, dialect, Some(undefined));
        let mut events: Vec<_> = parser.into_offset_iter().collect();
        for link in broken {
            found.extend(broken_link(&source, base, &link));
        }
        missing(&source, base, &masked.text, &events, found);
        masked.swallowed(&source, base, &events, found);
        masked.set_in(&source, base, &events, found);
        if let Some(language) = quotes {
            quoted(&masked.text, language, &mut events);
        }
        let events = linked(&masked.text, events);
        Reader {
            source,
            slots,
            masked,
            base,
            found,
            links: Vec::new(),
            place: String::new(),
            notes: Notes::default(),
            events,
            at: 0,
            html: VecDeque::new(),
            depth: 0,
            around: 0,
            inner: 0,
            stopped: false,
        }
    }

    /// The events still to come.
    pub(crate) fn rest(&self) -> &[(Event<'a>, Range<usize>)] {
        &self.events[self.at..]
    }

    /// Passes the next event.
    pub(crate) fn skip(&mut self) {
        self.at += 1;
    }

    /// The inlines up to the end of the headline that was just opened.
    pub(crate) fn headline(&mut self, end: TagEnd) -> Vec<Inline> {
        let inlines = self.inlines(Until::Tag(end));
        self.without_images(
            inlines,
            "put it in a paragraph of its own, below the headline",
        )
    }

    /// What the next event opens, with its place.
    pub(crate) fn placed_block(&mut self) -> Vec<Block> {
        let offset = self.base + self.events[self.at].1.start;
        placed(offset, self.block())
    }

    /// What the next event opens: a block, several where HTML is read, none where nothing can be shown.
    pub(super) fn block(&mut self) -> Vec<Block> {
        let (event, range) = self.events[self.at].clone();
        let offset = self.base + range.start;
        self.at += 1;
        let block = match event {
            Event::Start(Tag::Paragraph) => {
                let inlines = self.inlines(Until::Tag(TagEnd::Paragraph));
                self.paragraph(inlines)
            }
            Event::Start(Tag::Heading { level, classes, .. }) => {
                self.classes(None, &classes, offset, &[]);
                let end = TagEnd::Heading(level);
                let inlines = self.inlines(Until::Tag(end));
                let text = self.without_images(inlines, ALONE);
                if self.is_setext(&range) {
                    self.setext(offset);
                    None
                } else {
                    self.heading(level as u8, text, offset)
                }
            }
            Event::Start(Tag::BlockQuote(kind)) => {
                let end = TagEnd::BlockQuote(kind);
                let blocks = self.within(|reader| reader.nested(end, offset));
                Some(Block::Quote(blocks))
            }
            Event::Start(Tag::List(start)) => self.within(|reader| reader.list(start, offset)),
            Event::Start(Tag::CodeBlock(_)) => Some(self.code()),
            Event::Start(Tag::Table(align)) => Some(self.table(&align)),
            Event::Start(Tag::FootnoteDefinition(label)) => {
                let outer = std::mem::replace(&mut self.place, "note".into());
                let end = TagEnd::FootnoteDefinition;
                self.notes.begin(&label);
                let blocks = self.within(|reader| reader.nested(end, offset));
                self.notes.end(&label, offset, blocks);
                self.place = outer;
                None
            }
            Event::Start(Tag::HtmlBlock) => return self.html_block(),
            Event::Rule if self.masked.directive(range.start).is_some() => {
                self.error(offset, "directive", "a directive cannot stand inside HTML");
                None
            }
            Event::Rule => Some(Block::Rule),
            Event::Start(tag) => {
                let message = "this cannot stand in an issue";
                self.error(offset, "markdown", message);
                self.pass(tag.to_end());
                None
            }
            // Inline events outside a block do not happen; ends belong to the caller.
            _ => None,
        };
        block.into_iter().collect()
    }

    /// Reads what stands within a list, a quote or the like.
    pub(super) fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.inner += 1;
        let made = read(self);
        self.inner -= 1;
        made
    }

    /// Ends the reading: whoever nests this deep would make us run out of stack.
    pub(super) fn too_deep(&mut self, offset: usize) {
        if !self.stopped {
            let message = format!("nested deeper than {DEPTH_LIMIT} levels");
            self.error(offset, "depth", message);
        }
        self.stopped = true;
        self.html.clear();
        self.at = self.events.len();
    }

    /// Records a link and gives its id.
    pub(crate) fn link(&mut self, url: Vec<Piece>, text: &str, offset: usize) -> LinkId {
        let target = target::within(self.slots, url, offset, self.found);
        let shows_address = target::is_address(text);
        let text: String = text.chars().take(NAME_LIMIT).collect();
        self.links.push(Link {
            target,
            name: format!("{} - {text}", self.place),
            shows_address,
            offset,
        });
        LinkId(self.links.len() - 1)
    }

    pub(crate) fn error(&mut self, offset: usize, code: &'static str, message: impl Into<String>) {
        self.found.push(self.source.error(offset, code, message));
    }

    /// An image alone is an image block; an image among words is an error.
    pub(super) fn paragraph(&mut self, mut inlines: Vec<Inline>) -> Option<Block> {
        let picture = match inlines.as_mut_slice() {
            [Inline::Image(picture)] => Some(picture.clone()),
            [Inline::Link { link, text }] => match text.as_mut_slice() {
                [Inline::Image(picture)] => Some(Picture {
                    link: Some(*link),
                    ..picture.clone()
                }),
                _ => None,
            },
            _ => None,
        };
        match picture {
            Some(picture) if self.inner > 0 => {
                let message = "an image cannot stand in a list, a quote or a footnote";
                self.error(picture.offset, "image", message);
                None
            }
            Some(picture) => Some(Block::Image(picture)),
            None => {
                let inlines = self.without_images(inlines, ALONE);
                (!inlines.is_empty()).then_some(Block::Paragraph(inlines))
            }
        }
    }

    /// Words without images, which cannot stand there; `help` says where they can.
    pub(super) fn without_images(&mut self, inlines: Vec<Inline>, help: &str) -> Vec<Inline> {
        let mut kept = Vec::with_capacity(inlines.len());
        for inline in inlines {
            match inline {
                Inline::Image(picture) => {
                    let message = "an image among words";
                    let error = self.source.error(picture.offset, "image", message);
                    self.found.push(error.help(help));
                }
                Inline::Link { link, text } => {
                    let text = self.without_images(text, help);
                    kept.push(Inline::Link { link, text });
                }
                other => kept.push(other),
            }
        }
        kept
    }

    pub(super) fn heading(&mut self, level: u8, text: Vec<Inline>, offset: usize) -> Option<Block> {
        match level {
            3 | 4 => Some(Block::Heading { level, text }),
            1 => {
                let error = self
                    .source
                    .error(offset, "headline", "`#` is the issue's title");
                self.found
                    .push(error.help("put it into the front matter as `title`"));
                None
            }
            2 => {
                let message = "`##` begins an item and cannot stand here";
                let error = self.source.error(offset, "headline", message);
                self.found.push(error.help(
                    "items stand outside lists, quotes and directives but for `:::only`; within one write `###`",
                ));
                None
            }
            _ => {
                self.error(
                    offset,
                    "headline",
                    "headlines below `####` cannot be told apart",
                );
                None
            }
        }
    }

    /// Whether a headline is marked by a line of `---` or `===` below it.
    pub(crate) fn is_setext(&self, range: &Range<usize>) -> bool {
        !self.masked.text[range.clone()]
            .trim_start()
            .starts_with('#')
    }

    pub(crate) fn setext(&mut self, offset: usize) {
        let message = "the line of `---` or `===` below makes this a headline";
        let help = "leave a blank line between them, or write `## ` for a headline";
        self.found
            .push(self.source.error(offset, "headline", message).help(help));
    }

    fn nested(&mut self, end: TagEnd, offset: usize) -> Vec<Block> {
        self.depth += 1;
        let mut blocks = Vec::new();
        if self.depth > DEPTH_LIMIT {
            self.too_deep(offset);
        }
        while self.at < self.events.len() {
            match &self.events[self.at].0 {
                Event::End(this) if *this == end => {
                    self.at += 1;
                    break;
                }
                event if is_inline(event) => {
                    let offset = self.base + self.events[self.at].1.start;
                    let inlines = self.inlines(Until::Block);
                    let paragraph = self.paragraph(inlines);
                    blocks.extend(placed(offset, paragraph.into_iter().collect()));
                }
                _ => blocks.extend(self.placed_block()),
            }
        }
        self.depth -= 1;
        blocks
    }

    fn list(&mut self, start: Option<u64>, offset: usize) -> Option<Block> {
        let end = TagEnd::List(start.is_some());
        let mut tight = true;
        let mut items = Vec::new();
        while self.at < self.events.len() {
            let (event, range) = self.events[self.at].clone();
            self.at += 1;
            match event {
                Event::End(this) if this == end => break,
                Event::Start(Tag::Item) => {
                    let first = self.events.get(self.at).map(|(event, _)| event);
                    tight &= !matches!(first, Some(Event::Start(Tag::Paragraph)));
                    items.push(self.nested(TagEnd::Item, self.base + range.start));
                }
                _ => self.error(offset, "markdown", "this list cannot be read"),
            }
        }
        Some(Block::List {
            start,
            tight,
            items,
        })
    }

    fn code(&mut self) -> Block {
        let mut text = String::new();
        while let Some((event, _)) = self.events.get(self.at) {
            match event {
                Event::Text(more) => text.push_str(more),
                _ => break,
            }
            self.at += 1;
        }
        self.pass(TagEnd::CodeBlock);
        Block::Code(text.trim_end_matches('\n').to_owned())
    }

    fn table(&mut self, align: &[Alignment]) -> Block {
        let align = align.iter().map(|align| match align {
            Alignment::Center => Align::Center,
            Alignment::Right => Align::Right,
            Alignment::Left | Alignment::None => Align::Left,
        });
        let align = align.collect();
        let mut lines: Vec<Vec<Vec<Inline>>> = Vec::new();
        while self.at < self.events.len() {
            let (event, range) = self.events[self.at].clone();
            self.at += 1;
            match event {
                Event::End(TagEnd::Table) => break,
                Event::Start(Tag::TableHead) => lines.push(Vec::new()),
                Event::Start(Tag::TableRow) => {
                    self.lost_cells(lines.first().map_or(0, Vec::len), range.start);
                    lines.push(Vec::new());
                }
                Event::Start(Tag::TableCell) => {
                    let cell = self.inlines(Until::Tag(TagEnd::TableCell));
                    let cell = self.without_images(cell, IN_TABLES);
                    if let Some(line) = lines.last_mut() {
                        line.push(cell);
                    }
                }
                _ => {}
            }
        }
        let mut lines = lines.into_iter();
        Block::Table {
            align,
            head: lines.next().unwrap_or_default(),
            rows: lines.collect(),
        }
    }

    /// Tells of cells beyond the head, which GFM leaves out.
    fn lost_cells(&mut self, head: usize, start: usize) {
        let row = self.masked.text[start..].lines().next().unwrap_or_default();
        let count = cells(row);
        if count <= head {
            return;
        }
        let message =
            format!("this row has {count} cells and its head {head}: the rest would be lost");
        let error = self.source.error(self.base + start, "table", message);
        self.found.push(error.help(
            "a `|` that is to be shown is written `\\|`, in code as well; else give the head as many cells",
        ));
    }

    /// Passes all events up to and including `end`, whatever nests within.
    pub(super) fn pass(&mut self, end: TagEnd) {
        let mut depth = 0;
        while let Some((event, _)) = self.events.get(self.at) {
            self.at += 1;
            match event {
                Event::Start(_) => depth += 1,
                Event::End(this) if depth == 0 && *this == end => return,
                Event::End(_) => depth -= 1,
                _ => {}
            }
        }
    }
}

/// Cells of a row up to the last one with something in it (GFM, section 4.10): each `|` parts two, but for one
/// behind a backslash.
fn cells(row: &str) -> usize {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in row.chars() {
        match (c, cells.last_mut()) {
            ('|', _) if !escaped => cells.push(String::new()),
            (c, Some(cell)) => cell.push(c),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    let last = cells.iter().rposition(|cell| !cell.trim().is_empty());
    last.map_or(0, |last| last + 1)
}

/// The blocks that were made of what stands at `offset`, if there are any.
pub(super) fn placed(offset: usize, mut blocks: Vec<Block>) -> Vec<Block> {
    if !blocks.is_empty() && !matches!(blocks.first(), Some(Block::Here(_))) {
        blocks.insert(0, Block::Here(offset));
    }
    blocks
}

/// Told for a link whose definition is missing; a word in brackets alone is a text.
fn broken_link(source: &Source<'_>, base: usize, link: &BrokenLink<'_>) -> Option<Diagnostic> {
    if !matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
        return None;
    }
    let name = &link.reference;
    let message = format!("nothing says where `[{name}]` leads");
    let (offset, length) = (base + link.span.start, link.span.len());
    let error = source.at(Severity::Error, offset, length, "link", message);
    Some(error.help(format!(
        "write `[{name}]: https://...` on a line of its own, or `\\[` where the brackets are meant as text"
    )))
}
