//! Reading `issue.md`: front matter and Markdown into typed blocks.
//!
//! Promises: UTF-8 with or without a byte order mark, any kind of newline; several findings per run,
//! each with file, line and column; no issue when one of them is an error. Leaves looks to the theme and
//! the images' bytes to `publication`.

use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::issue::block::{Block, Inline, Link, LinkId, Picture, Promo, plain_text};
use crate::issue::directive::{Directive, Kind};
use crate::issue::front::Front;
use crate::issue::markdown::Reader;
use crate::issue::mask::Masked;
use crate::issue::merge::Slots;
use crate::subscriber::field::FieldTable;

pub mod block;
mod directive;
pub mod front;
mod inline;
mod markdown;
mod mask;
pub mod merge;
pub(crate) mod target;

/// An author's text longer than this would be cut by every mailbox; it also bounds the work.
const SIZE_LIMIT: usize = 512 * 1024;

/// One edition as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The name of its folder.
    pub slug: String,
    /// The file it was read from, as the author knows it.
    pub file: String,
    /// The file's text: findings are placed by their offset in it.
    pub text: String,
    pub front: Front,
    pub subject: Vec<Inline>,
    /// What stands before the first item.
    pub intro: Vec<Block>,
    pub items: Vec<Item>,
    /// What stands after the line that ends the last item.
    pub outro: Vec<Block>,
    /// Footnotes in order of mention.
    pub notes: Vec<Vec<Block>>,
    pub links: Vec<Link>,
    /// Link of each author of the front matter who has one.
    pub author_links: Vec<Option<LinkId>>,
    pub share: Option<LinkId>,
}

/// One numbered piece of news, or a plain one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub number: Option<usize>,
    pub headline: Vec<Inline>,
    pub blocks: Vec<Block>,
}

impl Issue {
    /// Reads the octets of `file`. Findings go to `found`; with an error among them there is no issue.
    pub fn read(
        slug: &str,
        file: &str,
        octets: &[u8],
        fields: &FieldTable,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Issue> {
        let text = match decode(file, octets) {
            Ok(text) => text,
            Err(error) => {
                found.push(error);
                return None;
            }
        };
        let source = Source { file, text: &text };
        let (front, base) = match front::read(source) {
            Ok(read) => read,
            Err(error) => {
                found.push(error);
                return None;
            }
        };
        let slots = Slots { source, fields };
        let subject = front.subject.as_ref().unwrap_or(&front.title);
        let subject = slots.inlines(
            subject,
            front::value_offset(&source, "subject", subject),
            found,
        );
        let masked = Masked::of(source, base, fields, found);
        let reader = Reader::new(source, &masked, base, found);
        let issue = Assembly {
            reader,
            slots,
            masked: &masked,
            sequence: 0,
        }
        .assemble(slug, front, subject);
        let failed = found.iter().any(Diagnostic::is_error);
        (!failed).then_some(issue)
    }

    /// The file with its name, for findings.
    pub fn source(&self) -> Source<'_> {
        Source {
            file: &self.file,
            text: &self.text,
        }
    }

    /// Every image of the issue, in order.
    pub fn pictures(&self) -> Vec<&Picture> {
        let items = self.items.iter().flat_map(|item| &item.blocks);
        let blocks = self.intro.iter().chain(items).chain(&self.outro);
        blocks
            .filter_map(|block| match block {
                Block::Image(picture) => Some(picture),
                _ => None,
            })
            .collect()
    }
}

/// UTF-8 text with `\n` only, without a byte order mark and without control characters.
fn decode(file: &str, octets: &[u8]) -> Result<String, Diagnostic> {
    let whole = |code, message: String| Diagnostic::about(Severity::Error, code, file, message);
    if octets.len() > SIZE_LIMIT {
        let message = format!("the file is larger than {SIZE_LIMIT} octets; split the issue");
        return Err(whole("size", message));
    }
    let text = std::str::from_utf8(octets).map_err(|error| {
        let line = octets[..error.valid_up_to()]
            .iter()
            .filter(|octet| **octet == b'\n')
            .count()
            + 1;
        Diagnostic {
            line,
            column: 1,
            ..whole(
                "encoding",
                "this line is not UTF-8; save the file as UTF-8".into(),
            )
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if let Some((offset, c)) = text.char_indices().find(|(_, c)| odd(*c)) {
        let source = Source { file, text: &text };
        let message = format!("the control character U+{:04X} stands here", u32::from(c));
        return Err(source.error(offset, "encoding", message));
    }
    Ok(text)
}

/// Puts the blocks in their places: intro, items, outro, directives.
struct Assembly<'a> {
    reader: Reader<'a>,
    slots: Slots<'a>,
    masked: &'a Masked,
    /// Number of the last numbered item.
    sequence: usize,
}

impl Assembly<'_> {
    fn assemble(mut self, slug: &str, front: Front, subject: Vec<Inline>) -> Issue {
        let last_item = self.last_item();
        let (mut intro, mut items, mut outro) = (Vec::new(), Vec::<Item>::new(), Vec::new());
        let mut in_outro = false;
        self.reader.place = "intro".into();
        while let Some((event, range)) = self.reader.rest().first().cloned() {
            let directive = self
                .masked
                .directives
                .iter()
                .find(|d| d.open.start == range.start);
            let block = match (event, directive) {
                (Event::Rule, Some(directive)) => self.directive(directive),
                (
                    Event::Start(Tag::Heading {
                        level: HeadingLevel::H2,
                        classes,
                        ..
                    }),
                    _,
                ) => {
                    self.reader.skip();
                    let plain = classes.iter().any(|class| &**class == "plain");
                    let offset = self.reader.base + range.start;
                    if self.reader.is_setext(&range) {
                        self.reader.setext(offset);
                    }
                    items.push(self.item(plain, offset));
                    None
                }
                (Event::Rule, None)
                    if last_item.is_some_and(|last| range.start > last) && !in_outro =>
                {
                    self.reader.skip();
                    in_outro = true;
                    self.reader.place = "outro".into();
                    None
                }
                (Event::End(_), _) => {
                    self.reader.skip();
                    None
                }
                _ => self.reader.block(),
            };
            match items.last_mut() {
                _ if in_outro => outro.extend(block),
                Some(item) => item.blocks.extend(block),
                None => intro.extend(block),
            }
        }
        for item in &mut items {
            // A line between two items divides them, which the theme does anyway.
            while item.blocks.last() == Some(&Block::Rule) {
                item.blocks.pop();
            }
        }
        let (author_links, share) = self.front_links(&front);
        Issue {
            slug: slug.to_owned(),
            file: self.reader.source.file.to_owned(),
            text: self.reader.source.text.to_owned(),
            front,
            subject,
            intro,
            items,
            outro,
            notes: self.reader.notes(),
            links: self.reader.links,
            author_links,
            share,
        }
    }

    /// Where the last `##` of the text itself stands.
    fn last_item(&self) -> Option<usize> {
        let headline = |event: &Event<'_>| {
            matches!(
                event,
                Event::Start(Tag::Heading {
                    level: HeadingLevel::H2,
                    ..
                })
            )
        };
        let mut events = self.reader.rest().iter();
        let found = events.rfind(|(event, _)| headline(event));
        found.map(|(_, range)| range.start)
    }

    fn item(&mut self, plain: bool, offset: usize) -> Item {
        // Links of the headline are named before its number is known to be there.
        self.reader.place = (self.sequence + 1).to_string();
        let mut headline = self.reader.headline(TagEnd::Heading(HeadingLevel::H2));
        if headline.is_empty() {
            self.reader
                .error(offset, "headline", "this item has no headline");
        }
        if plain {
            self.reader.place = plain_text(&headline).chars().take(40).collect();
            return Item {
                number: None,
                headline,
                blocks: Vec::new(),
            };
        }
        let expected = self.sequence + 1;
        self.sequence = own_number(&mut headline).unwrap_or(expected);
        if self.sequence != expected {
            let message = format!("item {} stands where {expected} is expected", self.sequence);
            self.reader
                .found
                .push(self.reader.source.warning(offset, "number", message));
        }
        self.reader.place = self.sequence.to_string();
        Item {
            number: Some(self.sequence),
            headline,
            blocks: Vec::new(),
        }
    }

    fn directive(&mut self, directive: &Directive) -> Option<Block> {
        let offset = self.reader.base + directive.open.start;
        let place = self.reader.place.clone();
        if directive.kind == Kind::Promo {
            self.reader.place = "promo".into();
        }
        self.reader.skip();
        let mut blocks = Vec::new();
        while let Some((event, range)) = self.reader.rest().first() {
            let closes = range.start >= directive.close.start;
            let ends = matches!(event, Event::End(_));
            if closes || ends {
                self.reader.skip();
            }
            if closes {
                break;
            }
            if !ends {
                blocks.extend(self.reader.block());
            }
        }
        let block = match directive.kind {
            Kind::Mjml => Some(Block::Mjml {
                source: self.mjml(directive),
                offset: self.reader.base + directive.content().start,
            }),
            Kind::Promo => Some(self.promo(directive, blocks)),
            Kind::Button => self.button(directive, blocks, offset),
        };
        self.reader.place = place;
        block
    }

    fn mjml(&mut self, directive: &Directive) -> Vec<Inline> {
        let start = self.reader.base + directive.content().start;
        let end = self.reader.base + directive.content().end;
        let content = &self.reader.source.text[start..end];
        self.slots.inlines(content, start, self.reader.found)
    }

    fn promo(&mut self, directive: &Directive, blocks: Vec<Block>) -> Block {
        for block in &blocks {
            if let Block::Image(picture) = block {
                let message = "an image cannot stand in a promo";
                self.reader.error(picture.offset, "image", message);
            }
        }
        let label = directive.get("label").map(|label| label.value.clone());
        let label = label.unwrap_or_default();
        let name = if label.is_empty() {
            "offer"
        } else {
            label.as_str()
        };
        let link = self.attribute_link(directive, name);
        Block::Promo(Promo {
            blocks,
            code: self.attribute_text(directive, "code"),
            until: self.attribute_text(directive, "until"),
            link,
            label,
        })
    }

    fn button(
        &mut self,
        directive: &Directive,
        blocks: Vec<Block>,
        offset: usize,
    ) -> Option<Block> {
        let [Block::Paragraph(label)] = blocks.as_slice() else {
            let message = "a button holds one paragraph, which is its label";
            self.reader.error(offset, "directive", message);
            return None;
        };
        let Some(link) = self.attribute_link(directive, &plain_text(label)) else {
            let error = self
                .reader
                .source
                .error(offset, "directive", "this button has no `url`");
            let error = error.help("write `:::button {url=\"https://...\"}`");
            self.reader.found.push(error);
            return None;
        };
        Some(Block::Button {
            link,
            label: label.clone(),
        })
    }

    fn attribute_text(&mut self, directive: &Directive, key: &str) -> Vec<Inline> {
        let Some(attribute) = directive.get(key) else {
            return Vec::new();
        };
        let offset = self.reader.base + attribute.offset;
        self.slots
            .inlines(&attribute.value, offset, self.reader.found)
    }

    fn attribute_link(&mut self, directive: &Directive, text: &str) -> Option<LinkId> {
        let url = directive.get("url")?;
        let offset = self.reader.base + url.offset;
        let pieces = self.slots.pieces(&url.value, offset, self.reader.found);
        Some(self.reader.link(pieces, text, offset))
    }

    fn front_links(&mut self, front: &Front) -> (Vec<Option<LinkId>>, Option<LinkId>) {
        let link = |reader: &mut Reader<'_>, url: &str, key: &str, text: &str| {
            let offset = front::key_offset(&reader.source, key);
            let pieces = self.slots.pieces(url, offset, reader.found);
            reader.link(pieces, text, offset)
        };
        self.reader.place = "author".into();
        let mut authors = Vec::new();
        for author in &front.authors {
            let url = author.url.as_deref();
            authors.push(url.map(|url| link(&mut self.reader, url, "authors", &author.name)));
        }
        self.reader.place = "share".into();
        let share = front.share.as_deref();
        let share = share.map(|url| link(&mut self.reader, url, "share", "Share this issue"));
        (authors, share)
    }
}

/// Takes the number an author wrote before a headline, as in `3. headline` or `3) headline`.
fn own_number(headline: &mut [Inline]) -> Option<usize> {
    let Some(Inline::Text(text)) = headline.first_mut() else {
        return None;
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > 3 {
        return None;
    }
    let rest = text[digits..].strip_prefix(['.', ')', ':'])?;
    let rest = rest.strip_prefix(' ')?.trim_start();
    let number = text[..digits].parse().ok()?;
    if rest.is_empty() {
        return None;
    }
    *text = rest.to_owned();
    Some(number)
}

#[cfg(test)]
mod tests;
