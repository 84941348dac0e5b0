//! Reading `issue.md`: front matter and Markdown into typed blocks.
//!
//! Promises: UTF-8 with or without a byte order mark, any kind of newline; several findings per run,
//! each with file, line and column; no issue when one of them is an error. Leaves looks to the theme and
//! the images' bytes to `publication`.

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Tag};

use crate::config::typography::Typography;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::issue::block::{Block, Inline, Link, LinkId, Picture};
use crate::issue::front::Front;
use crate::issue::given::Given;
use crate::issue::items::{Part, is_headline};
use crate::issue::markdown::Reader;
use crate::issue::mask::Masked;
use crate::issue::merge::{Heads, Slots};
use crate::issue::own::Layout;
use crate::segment::Sieve;

mod assembly;
mod bare;
pub mod block;
pub mod dates;
mod directive;
pub mod front;
pub mod given;
pub(crate) mod html;
mod html_blocks;
mod html_tables;
mod html_words;
mod inline;
mod items;
mod markdown;
mod mask;
pub mod merge;
mod notes;
pub mod own;
pub(crate) mod target;
mod typography;
mod yaml;

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
    /// Short name of the list it goes to, and what its readers call it.
    pub list: (String, String),
    pub subject: Vec<Inline>,
    /// What an inbox shows beside the subject; the teaser where the author gives none.
    pub preheader: Vec<Inline>,
    pub teaser: Vec<Inline>,
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
    /// The author's own layout, where the issue is written in MJML; there are no blocks then.
    pub layout: Option<Layout>,
}

/// One numbered piece of news, or a plain one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub number: Option<usize>,
    pub headline: Vec<Inline>,
    /// Where its headline stands in the file.
    pub offset: usize,
    pub blocks: Vec<Block>,
    /// Whom it is for, from the outermost part in, and where each is named in the file; everybody where empty.
    pub whom: Vec<(Sieve, usize)>,
    /// Who sees numbered items above that others do not see, and how many of them.
    pub unseen: Vec<(Sieve, usize)>,
}

/// What a file came to.
#[derive(Clone, Debug)]
pub enum Read {
    Whole(Issue),
    /// There are errors: it is not compiled, and good for finding more of them in one run.
    Faulty(Issue),
    /// There is no text, or no front matter.
    Nothing,
}

impl Read {
    fn of(issue: Issue, failed: bool) -> Read {
        match failed {
            true => Read::Faulty(issue),
            false => Read::Whole(issue),
        }
    }

    /// The issue without errors.
    #[cfg(test)]
    fn whole(self) -> Option<Issue> {
        match self {
            Read::Whole(issue) => Some(issue),
            Read::Faulty(_) | Read::Nothing => None,
        }
    }
}

impl Issue {
    /// Reads the octets of `file`. Findings go to `found`.
    pub fn read(
        slug: &str,
        file: &str,
        octets: &[u8],
        given: Given<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Read {
        let text = match decode(file, octets) {
            Ok(text) => text,
            Err(error) => {
                found.push(error);
                return Read::Nothing;
            }
        };
        let source = Source { file, text: &text };
        let told = found.len();
        let Some((mut front, base)) = front::read(source, found) else {
            return Read::Nothing;
        };
        if let Some(subject) = given.subject {
            front.subject = Some(subject.to_owned());
        }
        let slots = Slots::new(source, slug, &front, given);
        let heads = slots.heads(&front, found);
        let masked = Masked::of(&slots, base, found);
        let language = front.lang.as_deref().unwrap_or(given.language).to_owned();
        let quotes = match front.typography.unwrap_or(given.typography) {
            Typography::Smart => Some(language.as_str()),
            Typography::Plain => None,
        };
        let reader = Reader::new(&slots, &masked, (base, quotes), found);
        let issue = Assembly {
            reader,
            slots: &slots,
            masked: &masked,
            given,
            language,
            sequence: 0,
            section: false,
            parts: Vec::new(),
            behind: false,
            hidden: Vec::new(),
        }
        .assemble(slug, front, heads);
        let failed = found[told..].iter().any(Diagnostic::is_error);
        found[told..].sort_by_key(|finding| (finding.line, finding.column));
        Read::of(issue, failed)
    }

    /// The file with its name, for findings.
    pub fn source(&self) -> Source<'_> {
        Source {
            file: &self.file,
            text: &self.text,
        }
    }

    /// The inlines of a source that begins at `offset` of the file, each with its own offset.
    pub(crate) fn placed<'a>(
        &self,
        source: &'a [Inline],
        offset: usize,
    ) -> Vec<(usize, &'a Inline)> {
        let mut at = offset;
        let mut placed = Vec::with_capacity(source.len());
        for inline in source {
            if let Inline::Text(text) = inline {
                // Between two texts stand slots, which the author wrote longer than they are here.
                at += self
                    .text
                    .get(at..)
                    .and_then(|rest| rest.find(text.as_str()))
                    .unwrap_or_default();
            }
            placed.push((at, inline));
            if let Inline::Text(text) = inline {
                at += text.len();
            }
        }
        placed
    }

    /// The blocks of intro, items and outro in their order, those for a segment among them.
    pub fn blocks(&self) -> Vec<&Block> {
        let items = self.items.iter().map(|item| &item.blocks);
        let parts = std::iter::once(&self.intro).chain(items);
        let parts = parts.chain(std::iter::once(&self.outro));
        parts.flat_map(|blocks| Block::components(blocks)).collect()
    }

    /// Every image of the issue, in order.
    pub fn pictures(&self) -> Vec<&Picture> {
        let blocks = self.blocks().into_iter();
        let pictures = blocks.flat_map(|block| match block {
            Block::Image(picture) => vec![picture],
            Block::Mjml { source, .. } => {
                let named = source.iter().filter_map(|inline| match inline {
                    Inline::Image(picture) => Some(picture),
                    _ => None,
                });
                named.collect()
            }
            _ => Vec::new(),
        });
        let own = self.layout.iter().flat_map(|layout| &layout.pictures);
        pictures.chain(own).collect()
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
    let text = match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => text.replace("\r\n", "\n").replace('\r', "\n"),
        None => text.to_owned(),
    };
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    let mut suspects = may_hold_controls(&text)
        .then(|| text.char_indices())
        .into_iter()
        .flatten();
    if let Some((offset, c)) = suspects.find(|(_, c)| odd(*c)) {
        let source = Source { file, text: &text };
        let message = format!("the control character U+{:04X} stands here", u32::from(c));
        return Err(source.error(offset, "encoding", message));
    }
    Ok(text)
}

/// A quick look for control characters other than `\n`; it only errs by suspecting some.
fn may_hold_controls(text: &str) -> bool {
    // C0, DEL, and the first octet of C1.
    let suspect = |o: u8| (o < b' ') & (o != b'\n') | (o == 0x7f) | (o == 0xc2);
    text.bytes().fold(false, |any, octet| any | suspect(octet))
}

/// Puts the blocks in their places: intro, items, outro, directives.
struct Assembly<'a> {
    reader: Reader<'a>,
    slots: &'a Slots<'a>,
    masked: &'a Masked,
    given: Given<'a>,
    /// BCP 47.
    language: String,
    /// Number of the last numbered item.
    sequence: usize,
    /// The last item was a plain headline, below which the author may begin to count anew.
    section: bool,
    /// The parts of whole items for some readers that are being read, from the outermost in.
    parts: Vec<Part>,
    /// Such a part was left, and no item has begun since.
    behind: bool,
    /// Numbered items so far that only some readers see: whose, and how many.
    hidden: Vec<(Vec<Sieve>, usize)>,
}

impl Assembly<'_> {
    fn assemble(mut self, slug: &str, front: Front, heads: Heads) -> Issue {
        let last_item = self.last_item();
        let (mut intro, mut items, mut outro) = (Vec::new(), Vec::<Item>::new(), Vec::new());
        let mut in_outro = false;
        self.reader.place = "intro".into();
        while let Some((event, range)) = self.reader.rest().first().cloned() {
            if self.leaves(range.start) {
                continue;
            }
            let masked = self.masked;
            let directive = masked.directive(range.start);
            let blocks: Vec<Block> = match (event, directive) {
                (Event::Rule, Some(directive)) if self.holds_items(directive) => {
                    self.enter(directive);
                    Vec::new()
                }
                (Event::Rule, Some(directive)) => self.directive(directive),
                (
                    Event::Start(Tag::Heading {
                        level: HeadingLevel::H2,
                        id,
                        classes,
                        ..
                    }),
                    _,
                ) => {
                    items.push(self.headline(&range, id.as_ref(), &classes));
                    Vec::new()
                }
                (Event::Rule, None)
                    if last_item.is_some_and(|last| range.start > last)
                        && !in_outro
                        && self.parts.is_empty() =>
                {
                    self.reader.skip();
                    in_outro = true;
                    self.reader.place = "outro".into();
                    Vec::new()
                }
                (Event::End(_), _) => {
                    self.reader.skip();
                    Vec::new()
                }
                _ => self.reader.placed_block(),
            };
            self.has_home(&blocks, in_outro, range.start);
            match items.last_mut() {
                _ if in_outro => outro.extend(blocks),
                Some(item) => item.blocks.extend(blocks),
                None => intro.extend(blocks),
            }
        }
        items.iter_mut().for_each(drop_last_rules);
        let (author_links, share) = self.front_links(&front);
        let source = self.reader.source;
        Issue {
            slug: slug.to_owned(),
            file: self.reader.source.file.to_owned(),
            text: self.reader.source.text.to_owned(),
            list: self.given.list_named(&front),
            front,
            subject: heads.subject,
            preheader: heads.preheader,
            teaser: heads.teaser,
            intro,
            items,
            outro,
            notes: self.reader.notes.take(&source, self.reader.found),
            links: self.reader.links,
            author_links,
            share,
            layout: None,
        }
    }

    /// The item that a headline of the text begins.
    fn headline(
        &mut self,
        range: &Range<usize>,
        id: Option<&CowStr<'_>>,
        classes: &[CowStr<'_>],
    ) -> Item {
        self.reader.skip();
        let plain = classes.iter().any(|class| &**class == "plain");
        let offset = self.reader.base + range.start;
        self.reader.classes(id, classes, offset, &["plain"]);
        if self.reader.is_setext(range) {
            self.reader.setext(offset);
        }
        self.item(plain, offset)
    }

    /// Where the last `##` of the text itself stands.
    fn last_item(&self) -> Option<usize> {
        let mut events = self.reader.rest().iter();
        let found = events.rfind(|(event, _)| is_headline(event));
        found.map(|(_, range)| range.start)
    }

    fn front_links(&mut self, front: &Front) -> (Vec<Option<LinkId>>, Option<LinkId>) {
        let link = |reader: &mut Reader<'_>, url: &str, key: &str, text: &str| {
            let offset = front.place(key);
            let pieces = self.slots.pieces(url, offset, reader.found);
            reader.link(pieces, text, offset)
        };
        self.reader.place = "author".into();
        let mut authors = Vec::new();
        for (number, author) in front.authors.iter().enumerate() {
            let url = author.url.as_deref();
            let key = format!("authors.{number}.url");
            authors.push(url.map(|url| link(&mut self.reader, url, &key, &author.name)));
        }
        self.reader.place = "share".into();
        let share = front.share.as_deref();
        let share = share.map(|url| link(&mut self.reader, url, "share", "Share this issue"));
        (authors, share)
    }
}

/// A line between two items divides them, which the theme does anyway.
fn drop_last_rules(item: &mut Item) {
    while matches!(item.blocks.as_slice(), [.., Block::Here(_), Block::Rule]) {
        item.blocks.pop();
        item.blocks.pop();
    }
}

#[cfg(test)]
mod tests;
