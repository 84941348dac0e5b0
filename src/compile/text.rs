//! Blocks to the plain-text part.
//!
//! Promises: made from the blocks, never from HTML; lines of at most 72 characters where words allow it;
//! links among words are numbered and listed below their item, those of a part for some readers stand behind their
//! words: nobody's numbers have a gap. No line ends in a blank.

use std::borrow::Cow;

use crate::compile::markup::table_index;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::theme::Theme;
use crate::compile::theme::look::Words;
use crate::compile::{Context, Segment};
use crate::issue::Issue;
use crate::issue::block::{Align, Block, Inline, LinkId, Mark, Promo, plain_text};
use crate::issue::target::is_address;
use crate::segment::Sieve;

/// RFC 5322, section 2.1.1 asks for 78; the rest is room for quoting.
pub(crate) const WIDTH: usize = 72;

/// The writer of one text part.
pub(crate) struct Text<'a> {
    pub(crate) issue: &'a Issue,
    pub(crate) theme: &'a Theme,
    pub(crate) words: &'a Words,
    pub(crate) addresses: &'a [Vec<Segment>],
    pub(crate) places: &'a mut Placeholders,
    /// Whom parts of the issue are for.
    pub(crate) only: &'a [Sieve],
    /// What is written so far.
    pub(crate) out: String,
    /// Links of the current item that wait to be listed.
    pub(crate) waiting: Vec<(usize, String)>,
    /// Number of the last listed link.
    pub(crate) listed: usize,
    /// Parts for some readers that are open: their links have no numbers, for the others would miss them.
    pub(crate) for_some: usize,
}

impl Text<'_> {
    /// Blocks, and the links among their words below them.
    pub(crate) fn section(&mut self, blocks: &[Block]) {
        let mut rest = blocks;
        while let Some(place) = rest
            .iter()
            .position(|block| matches!(block, Block::Only { .. } | Block::Mjml { .. }))
        {
            let (before, behind) = rest.split_at(place);
            let lines = self.blocks(before, WIDTH);
            self.lines(&lines);
            match &behind[0] {
                Block::Mjml { source, .. } => self.components(source),
                part => self.part(part),
            }
            rest = &behind[1..];
        }
        let lines = self.blocks(rest, WIDTH);
        self.lines(&lines);
        self.listed_links();
    }

    /// The links that wait, below the words that they stand in.
    pub(crate) fn listed_links(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let list: Vec<String> = waiting
            .iter()
            .map(|(number, address)| format!("[{number}] {address}"))
            .collect();
        self.lines(&list);
    }

    /// What some readers get, with its own links below it, and the blank line above it.
    fn part(&mut self, block: &Block) {
        let Block::Only {
            segment, blocks, ..
        } = block
        else {
            return;
        };
        let around = std::mem::take(&mut self.waiting);
        let place = self.only.iter().position(|known| known == segment);
        self.edge(Segment::Only(table_index(place.unwrap_or(0))));
        self.for_some += 1;
        self.section(blocks);
        self.for_some -= 1;
        self.edge(Segment::End);
        self.waiting = around;
    }

    /// Where a part begins or ends that some readers get.
    pub(crate) fn edge(&mut self, edge: Segment) {
        let edge = self
            .places
            .put(Filling::Mark(edge), Wanted::Once, "`:::only`");
        self.out.push_str(&edge);
    }

    /// A headline with a line of `mark` below it.
    pub(crate) fn headline(&mut self, number: Option<&str>, text: &[Inline], mark: char) {
        let number = number
            .map(|number| format!("{number}. "))
            .unwrap_or_default();
        let text = format!("{number}{}", self.inlines(text));
        let mut lines = self.wrap(&text, WIDTH);
        let widest = lines.iter().map(|line| self.places.width(line)).max();
        lines.push(
            mark.to_string()
                .repeat(widest.unwrap_or_default().min(WIDTH)),
        );
        self.lines(&lines);
    }

    /// One paragraph of our own words.
    pub(crate) fn say(&mut self, text: &str) {
        let lines = self.wrap(text, WIDTH);
        self.lines(&lines);
    }

    /// Lines, set off by a blank line from what stands above.
    pub(crate) fn lines(&mut self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        for line in lines {
            self.out.push_str(line.trim_end());
            self.out.push('\n');
        }
    }

    /// The address of a link.
    pub(crate) fn address(&mut self, link: LinkId) -> String {
        self.address_wanted(link, Wanted::Once)
    }

    /// As [`Text::address`], as often as it is wanted.
    pub(crate) fn address_wanted(&mut self, link: LinkId, wanted: Wanted) -> String {
        let name = &self.issue.links[link.0].name;
        let mut out = String::new();
        for segment in &self.addresses[link.0] {
            match segment {
                Segment::Only(_) | Segment::End => {}
                Segment::Literal(text) => out.push_str(text),
                Segment::Slot(slot) => {
                    let what = format!("the link `{name}`");
                    let filling = Filling::Slot(slot.clone());
                    out.push_str(&self.places.put(filling, wanted, what));
                }
            }
        }
        out
    }

    fn blocks(&mut self, blocks: &[Block], width: usize) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for block in blocks {
            let lines = self.block(block, width, 0);
            if !out.is_empty() && !lines.is_empty() {
                out.push(String::new());
            }
            out.extend(lines);
        }
        out
    }

    fn block(&mut self, block: &Block, width: usize, depth: usize) -> Vec<String> {
        match block {
            Block::Paragraph(inlines) => {
                let text = match inlines.as_slice() {
                    [Inline::Link { link, text }] => self.led(text, *link),
                    other => self.inlines(other),
                };
                self.wrap(&text, width)
            }
            Block::Heading { text, .. } => {
                let text = self.inlines(text);
                self.wrap(&text, width)
            }
            Block::List {
                start,
                tight,
                items,
            } => self.list(*start, *tight, items, width, depth),
            Block::Quote(blocks) => {
                let lines = self.blocks(blocks, width.saturating_sub(2));
                lines.iter().map(|line| format!("> {line}")).collect()
            }
            Block::Code(text) => text.lines().map(|line| format!("    {line}")).collect(),
            Block::Table { align, head, rows } => self.table(align, head, rows),
            Block::Image(picture) => {
                let mut text = format!("[{}: {}]", self.words.image, picture.alt);
                if !picture.caption.is_empty() {
                    text.push_str(&format!("\n{}", picture.caption));
                }
                if let Some(link) = picture.link {
                    text.push_str(&format!(" {}", self.address(link)));
                }
                self.wrap(&text, width)
            }
            Block::Rule => vec!["* * *".into()],
            Block::Here(_) => Vec::new(),
            Block::Aligned { blocks, .. } => self.blocks(blocks, width),
            // `section` writes these, which stand at the top of an intro, an item or an outro.
            Block::Only { .. } | Block::Mjml { .. } => Vec::new(),
            Block::Promo(promo) => self.promo(promo, width),
            Block::Button { link, label } => {
                let text = self.led(label, *link);
                self.wrap(&text, width)
            }
        }
    }

    /// "text: address", or the address alone where it is its own text.
    fn led(&mut self, text: &[Inline], link: LinkId) -> String {
        if is_address(&plain_text(text)) {
            return self.address(link);
        }
        let text = self.inlines(text);
        let address = self.address(link);
        format!("{}: {address}", text.trim_end_matches([':', '.']))
    }

    fn list(
        &mut self,
        start: Option<u64>,
        tight: bool,
        items: &[Vec<Block>],
        width: usize,
        depth: usize,
    ) -> Vec<String> {
        let mut out = Vec::new();
        for (index, blocks) in items.iter().enumerate() {
            let mark = match start {
                Some(first) => format!("{}. ", first.saturating_add(index as u64)),
                None if depth.is_multiple_of(2) => "* ".to_owned(),
                None => "- ".to_owned(),
            };
            let inner = width.saturating_sub(mark.len());
            let mut lines = Vec::new();
            for block in blocks {
                let more = self.block(block, inner, depth + 1);
                let apart = !tight && !matches!(block, Block::List { .. });
                if apart && !lines.is_empty() && !more.is_empty() {
                    lines.push(String::new());
                }
                lines.extend(more);
            }
            if !tight && index > 0 {
                out.push(String::new());
            }
            let indent = " ".repeat(mark.len());
            for (number, line) in lines.iter().enumerate() {
                let lead = if number == 0 { &mark } else { &indent };
                out.push(format!("{lead}{line}").trim_end().to_owned());
            }
        }
        out
    }

    fn table(
        &mut self,
        align: &[Align],
        head: &[Vec<Inline>],
        rows: &[Vec<Vec<Inline>>],
    ) -> Vec<String> {
        let mut lines: Vec<Vec<String>> = Vec::new();
        let headed = !head.is_empty();
        let head = headed.then_some(head);
        for row in head.into_iter().chain(rows.iter().map(Vec::as_slice)) {
            lines.push(
                row.iter()
                    .map(|cell| self.inlines(cell).replace('\n', " "))
                    .collect(),
            );
        }
        let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = lines.iter().filter_map(|line| line.get(column));
                cells
                    .map(|cell| self.places.width(cell))
                    .max()
                    .unwrap_or_default()
            })
            .collect();
        let rule = widths
            .iter()
            .map(|width| "-".repeat(*width))
            .collect::<Vec<_>>();
        if headed {
            lines.insert(1, rule);
        }
        let line = |cells: &Vec<String>| {
            let columns = cells.iter().zip(&widths).enumerate();
            let padded = columns.map(|(column, (cell, width))| {
                let blank = " ".repeat(width.saturating_sub(self.places.width(cell)));
                match align.get(column) {
                    Some(Align::Right) => format!("{blank}{cell}"),
                    _ => format!("{cell}{blank}"),
                }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        lines.iter().map(line).collect()
    }

    fn promo(&mut self, promo: &Promo, width: usize) -> Vec<String> {
        let mut out = self.blocks(&promo.blocks, width);
        let mut last = Vec::new();
        for (word, text) in [
            (&self.words.code, &promo.code),
            (&self.words.until, &promo.until),
        ] {
            if !text.is_empty() {
                last.push(format!("{word}: {}", self.inlines(text)));
            }
        }
        if let Some(link) = promo.link {
            let label = match promo.label.as_str() {
                "" => self.words.offer.clone(),
                label => label.to_owned(),
            };
            last.push(format!("{label}: {}", self.address(link)));
        }
        if !out.is_empty() && !last.is_empty() {
            out.push(String::new());
        }
        for text in last {
            out.extend(self.wrap(&text, width));
        }
        out
    }

    /// Words with their slots; a forced break is a newline.
    pub(crate) fn inlines(&mut self, inlines: &[Inline]) -> String {
        let mut out = String::new();
        self.write(&mut out, inlines);
        out
    }

    fn write(&mut self, out: &mut String, inlines: &[Inline]) {
        for inline in inlines {
            match inline {
                Inline::Text(text) | Inline::Fixed(text) => out.push_str(text),
                Inline::Code(text) => {
                    for part in ["`", text, "`"] {
                        out.push_str(part);
                    }
                }
                Inline::Merge(merge) => {
                    let slot = merge.slot(Context::Text);
                    let what = format!("`{}`", merge.written());
                    out.push_str(&self.places.put(Filling::Slot(slot), Wanted::Once, what));
                }
                Inline::Strong(inner) => self.between(out, "*", inner, "*"),
                Inline::Emphasis(inner) => self.between(out, "_", inner, "_"),
                Inline::Strike(inner) => self.between(out, "~", inner, "~"),
                Inline::Sub(inner) => self.write(out, inner),
                Inline::Sup(inner) => self.between(out, "^", inner, ""),
                Inline::Marked { mark, text } => match mark {
                    Mark::Code => self.between(out, "`", text, "`"),
                    Mark::Key => self.between(out, "[", text, "]"),
                    Mark::Abbreviation(title) if !title.is_empty() => {
                        self.between(out, "", text, &format!(" ({title})"));
                    }
                    _ => self.write(out, text),
                },
                Inline::Link { link, text } => {
                    let is_own = is_address(&plain_text(text));
                    if !is_own {
                        self.write(out, text);
                    }
                    let address = self.address(*link);
                    if is_own {
                        out.push_str(&address);
                    } else if self.for_some > 0 {
                        // RFC 3986, appendix C: where an address ends in running text.
                        out.push_str(&format!(" <{address}>"));
                    } else {
                        self.listed += 1;
                        out.push_str(&format!(" [{}]", self.listed));
                        self.waiting.push((self.listed, address));
                    }
                }
                Inline::Note(number) => out.push_str(&format!(" ({number})")),
                Inline::Break => out.push('\n'),
                Inline::Image(_) => {}
            }
        }
    }

    fn between(&mut self, out: &mut String, open: &str, inner: &[Inline], close: &str) {
        out.push_str(open);
        self.write(out, inner);
        out.push_str(close);
    }

    /// Breaks at blanks; a word longer than the line, such as a URL, stands on a line of its own.
    pub(crate) fn wrap(&self, text: &str, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        // Few texts hold a placeholder, whose width is not that of its letters.
        let plain = !self.places.holds(text);
        for paragraph in text.split('\n') {
            let paragraph = single_spaced(paragraph);
            // Where the line stands in the paragraph, and the characters that it shows.
            let (mut line, mut used) = (0..0, 0);
            let mut at = 0;
            for word in paragraph.as_bytes().split(|octet| *octet == b' ') {
                let word = at..at + word.len();
                at = word.end + 1;
                let long = match plain {
                    true => paragraph[word.clone()].chars().count(),
                    false => self.places.width(&paragraph[word.clone()]),
                };
                if used > 0 && used + 1 + long > width {
                    lines.push(paragraph[line].to_owned());
                    (line, used) = (word, long);
                } else {
                    used += usize::from(used > 0) + long;
                    line.end = word.end;
                }
            }
            lines.push(paragraph[line].to_owned());
        }
        lines
    }
}

/// The text with one blank between its words, and none around them.
fn single_spaced(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(' ');
    if !text.contains("  ") {
        return Cow::Borrowed(text);
    }
    let words = text.split(' ').filter(|word| !word.is_empty());
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}
