//! Reading `issue.mjml`: front matter where there is some, then a layout of the author's own.
//!
//! Promises: slots, links and images are found where a reader would meet them, typed and checked as in
//! Markdown, each at its place; what stands between `{{ }}` and the like is left to the engine. Leaves the
//! components to `mjml`.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::issue::block::{Inline, Link, LinkId, Merge, Picture, plain_text};
use crate::issue::front::Front;
use crate::issue::given::Given;
use crate::issue::html::without_entities;
use crate::issue::merge::Slots;
use crate::issue::own::head::preview;
use crate::issue::own::only::Nest;
use crate::issue::own::scan::{attributes, content, engine, is_dynamic, literally};
use crate::issue::own::tags::{Defaults, SOURCES, Tag, is_outlooks};
use crate::issue::{Issue, Read, decode, target};
use crate::segment::Sieve;

pub(crate) mod head;
mod only;
mod scan;
pub(in crate::issue) mod tags;

/// Characters of a link's text, or of a headline, in the link's name.
const NAME_LIMIT: usize = 60;
/// Attributes whose value a reader reads.
const READ: [&str; 3] = ["alt", "title", "aria-label"];

/// A layout of the author's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// For the engine: `{{ own[0] }}` stands for the first of `parts`, and so on.
    pub(crate) template: String,
    /// Offsets in the template and in the file, of each stretch that is the same in both.
    map: Vec<(usize, usize)>,
    pub(crate) parts: Vec<Part>,
    pub(crate) pictures: Vec<Picture>,
    /// Whom parts are for, and where each is named in the file.
    pub(crate) only: Vec<(Sieve, usize)>,
    /// The text part, if the author wrote one: texts and slots.
    pub(crate) text: Option<Vec<Inline>>,
}

/// What is put into the author's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Slot(Merge),
    /// The whole value of a `href`.
    Link(LinkId),
    /// Index into the pictures; its address.
    Picture(usize),
    /// Index into those whom parts are for: here one begins.
    Only(usize),
    /// Here a part ends.
    End,
}

impl Layout {
    /// The place in the file of a place in the template; both line and column from 1.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let before = self.template.split_inclusive('\n').take(line.max(1) - 1);
        let start: usize = before.map(str::len).sum();
        let rest = self.template[start..].lines().next().unwrap_or_default();
        let within: usize = rest
            .chars()
            .take(column.max(1) - 1)
            .map(char::len_utf8)
            .sum();
        let at = start + within;
        let next = self.map.partition_point(|(template, _)| *template <= at);
        let stretch = next.checked_sub(1).and_then(|index| self.map.get(index));
        let end = self.map.get(next).map_or(usize::MAX, |(_, file)| *file);
        stretch.map_or(0, |(template, file)| (file + (at - template)).min(end))
    }
}

impl Issue {
    /// Reads the octets of `issue.mjml`, and of the `issue.txt` beside it. As [`Issue::read`].
    pub fn read_mjml(
        slug: &str,
        (file, octets): (&str, &[u8]),
        words: Option<(&str, &[u8])>,
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
        let Some((mut front, base)) = head::front(source, found) else {
            return Read::Nothing;
        };
        if let Some(subject) = given.subject {
            front.subject = Some(subject.to_owned());
        }
        let slots = Slots::new(source, slug, &front, given);
        let heads = slots.heads(&front, found);
        let mut reading = Reading {
            source,
            slots: &slots,
            base,
            found,
            place: "intro".into(),
            defaults: Defaults::of(&text[base..]),
            given,
            nest: Nest::default(),
            links: Vec::new(),
            layout: Layout {
                template: String::new(),
                map: Vec::new(),
                parts: Vec::new(),
                pictures: Vec::new(),
                only: Vec::new(),
                text: None,
            },
        };
        reading.body();
        let preheader = reading.preview().unwrap_or(heads.preheader);
        let (author_links, share) = reading.front_links(&front);
        let Reading {
            links, mut layout, ..
        } = reading;
        found[told..].sort_by_key(|finding| (finding.line, finding.column));
        if let Some((file, octets)) = words {
            let read = decode(file, octets).map_err(|error| found.push(error));
            layout.text = read.ok().map(|text| {
                let source = Source { file, text: &text };
                let slots = Slots::new(source, slug, &front, given);
                slots.inlines(&text, 0, found)
            });
            if let Some((_, offset)) = layout.only.first() {
                let message =
                    "`issue.txt` is the same for all readers; parts for some are in the HTML alone";
                found.push(source.warning(*offset, "segment", message));
            }
        }
        let failed = found[told..].iter().any(Diagnostic::is_error);
        let issue = Issue {
            slug: slug.to_owned(),
            file: file.to_owned(),
            text: text.clone(),
            list: given.list_named(&front),
            front,
            subject: heads.subject,
            preheader,
            teaser: heads.teaser,
            intro: Vec::new(),
            items: Vec::new(),
            outro: Vec::new(),
            notes: Vec::new(),
            links,
            author_links,
            share,
            layout: Some(layout),
        };
        Read::of(issue, failed)
    }
}

/// One reading.
struct Reading<'a> {
    source: Source<'a>,
    slots: &'a Slots<'a>,
    base: usize,
    found: &'a mut Vec<Diagnostic>,
    /// The headline above, for the names of links.
    place: String,
    defaults: Defaults,
    given: Given<'a>,
    nest: Nest,
    links: Vec<Link>,
    layout: Layout,
}

impl<'a> Reading<'a> {
    /// What is read, without the front matter.
    fn text(&self) -> &'a str {
        &self.source.text[self.base..]
    }

    fn body(&mut self) {
        let text = self.text();
        let mut at = 0;
        while at < text.len() {
            let next = text[at..]
                .find(['<', '{'])
                .map_or(text.len(), |next| at + next);
            if let Some(line) = self.colons(at..next) {
                self.words(at..line.start);
                at = line.end;
                self.edge(line);
                continue;
            }
            self.words(at..next);
            let rest = &text[next..];
            at = if rest.is_empty() {
                text.len()
            } else if let Some(end) = engine(rest) {
                self.copy(next..next + end);
                self.field_of_engine(next..next + end);
                next + end
            } else if is_outlooks(rest) {
                self.copy(next..next + 4);
                next + 4
            } else if rest.starts_with("<!--") {
                let end = rest.find("-->").map_or(rest.len(), |end| end + 3);
                self.copy(next..next + end);
                next + end
            } else if rest[1..].starts_with(|c: char| c.is_ascii_alphabetic())
                && rest.starts_with('<')
            {
                self.tag(next)
            } else {
                if rest.starts_with("</") {
                    self.closes(next);
                }
                let end = next + 1;
                self.stretch(next..end);
                end
            };
        }
        self.unended();
    }

    /// What inboxes show beside the subject, where the layout says it in words of its own.
    fn preview(&mut self) -> Option<Vec<Inline>> {
        let (start, words) = preview(self.text())?;
        let offset = self.base + start;
        let words = head::one_line(&without_entities(words));
        // Its slots were told where the layout was read.
        Some(self.slots.inlines(&words, offset, &mut Vec::new()))
    }

    /// Takes a stretch over as it is.
    fn copy(&mut self, range: Range<usize>) {
        let place = (self.layout.template.len(), self.base + range.start);
        self.layout.map.push(place);
        let text = self.text();
        self.layout.template.push_str(&text[range]);
    }

    /// The same of what is no template: the engine would take `{#` for a comment that never ends.
    fn stretch(&mut self, range: Range<usize>) {
        let text = self.text();
        let mut from = range.start;
        while let Some(at) = text[from..range.end].find('{').map(|next| from + next) {
            if !text[at..].starts_with("{#") || engine(&text[at..]).is_some() {
                self.copy(from..at + 1);
            } else {
                self.copy(from..at);
                self.copy(at..at);
                self.layout.template.push_str("{{ '{' }}");
            }
            from = at + 1;
        }
        self.copy(from..range.end);
    }

    /// Tells a field in what the engine works out: nobody knows how that is escaped.
    fn field_of_engine(&mut self, range: Range<usize>) {
        let text = &self.text()[range.clone()];
        if text.starts_with("{#") {
            return;
        }
        let mut told = Vec::new();
        let slot = self.slots.next(text, 0, self.base + range.start, &mut told);
        // A list of lists looks the same.
        let known = told.iter().all(|error| error.code != "unknown-field");
        if let Some(slot) = slot.filter(|_| known) {
            let message = "a field cannot stand between the engine's braces";
            let (at, length) = (self.base + range.start + slot.start, slot.end - slot.start);
            let error = self.source.at(Severity::Error, at, length, "slot", message);
            self.found.push(error.help("write it beside them"));
        }
    }

    fn part(&mut self, part: Part, offset: usize) {
        self.layout.map.push((self.layout.template.len(), offset));
        let name = format!("{{{{ own[{}] }}}}", self.layout.parts.len());
        self.layout.template.push_str(&name);
        self.layout.parts.push(part);
    }

    /// Words with their slots.
    fn words(&mut self, range: Range<usize>) {
        let text = &self.text()[range.clone()];
        let base = self.base + range.start;
        let mut from = 0;
        while let Some(slot) = self.slots.next(text, from, base, self.found) {
            self.copy(range.start + from..range.start + slot.start);
            match slot.filler.inline() {
                Inline::Merge(merge) => self.part(Part::Slot(merge), base + slot.start),
                other => {
                    let fixed = crate::compile::escape::escape_html(&plain_text(&[other]));
                    self.layout
                        .map
                        .push((self.layout.template.len(), base + slot.start));
                    self.layout.template.push_str(&literally(&fixed));
                }
            }
            from = slot.end;
        }
        self.copy(range.start + from..range.end);
    }

    /// A tag and its attributes; gives the offset behind it.
    fn tag(&mut self, open: usize) -> usize {
        let text = self.text();
        let ends = |c: char| c.is_whitespace() || "/>=".contains(c);
        let length = text[open + 1..].find(ends).unwrap_or(text.len() - open - 1);
        let name = text[open + 1..open + 1 + length].to_ascii_lowercase();
        let (attributes, end) = attributes(text, open + 1 + length);
        let tag = Tag {
            name: open + 1..open + 1 + length,
            attributes,
            end,
        };
        let told = tag.textless(text, self.source, self.base).into_iter();
        let told = told.chain(tag.targetless(text, self.source, self.base));
        self.found.extend(told);
        let fit = |attribute: &(String, Range<usize>)| {
            let told = SOURCES.contains(&attribute.0.as_str());
            !is_dynamic(&text[attribute.1.clone()]) && (told || tag.link(text, attribute).is_some())
        };
        let told = tag.misplaced_fields(text, fit, self.source, self.base);
        self.found.extend(told);
        let told = tag.field_in_sheet(text, self.source, self.base);
        let told = told
            .into_iter()
            .chain(tag.idle(text, &self.defaults, self.source, self.base));
        self.found.extend(told);
        if matches!(name.as_str(), "h1" | "h2" | "h3") {
            let headline = content(text, end, &name);
            if !headline.is_empty() {
                self.place = headline.chars().take(NAME_LIMIT).collect();
            }
        }
        let mut from = open;
        for attribute in &tag.attributes {
            let (key, value) = attribute;
            let written = &text[value.clone()];
            let dynamic = is_dynamic(written);
            self.copy(from..value.start);
            from = value.start;
            let offset = self.base + value.start;
            if let Some(url) = tag.link(text, attribute).filter(|_| !dynamic) {
                let id = self.link(&without_entities(url), &tag.label(text), offset);
                self.part(Part::Link(id), offset);
                from = value.end;
            } else if SOURCES.contains(&key.as_str()) && !dynamic && !written.trim().is_empty() {
                self.picture(written, tag.alt(text).unwrap_or_default(), offset);
                from = value.end;
            } else if READ.contains(&key.as_str()) {
                self.words(value.clone());
                from = value.end;
            }
        }
        self.copy(from..end);
        if !text[..end].ends_with("/>") {
            self.opens(&name, open);
        }
        if let Some(sheet) = tag.sheet(text) {
            self.stretch(sheet.clone());
            return sheet.end;
        }
        end
    }

    fn picture(&mut self, written: &str, alt: String, offset: usize) {
        if written.contains("[[") {
            let error = self
                .source
                .error(offset, "image", "slots cannot stand in an image");
            self.found.push(error);
        }
        self.layout.pictures.push(Picture {
            source: without_entities(written),
            alt,
            caption: String::new(),
            link: None,
            width: None,
            height: None,
            align: None,
            still: false,
            offset,
        });
        let index = self.layout.pictures.len() - 1;
        self.part(Part::Picture(index), offset);
    }

    fn link(&mut self, url: &str, label: &str, offset: usize) -> LinkId {
        let pieces = self.slots.pieces(url, offset, self.found);
        let target = target::within(self.slots, pieces, offset, self.found);
        let shows_address = target::is_address(label);
        let label: String = label.chars().take(NAME_LIMIT).collect();
        self.links.push(Link {
            target,
            name: format!("{} - {label}", self.place),
            shows_address,
            offset,
        });
        LinkId(self.links.len() - 1)
    }

    fn front_links(&mut self, front: &Front) -> (Vec<Option<LinkId>>, Option<LinkId>) {
        self.place = "author".into();
        let mut authors = Vec::new();
        for (number, author) in front.authors.iter().enumerate() {
            let offset = front.place(&format!("authors.{number}.url"));
            let url = author.url.as_deref();
            authors.push(url.map(|url| self.link(url, &author.name, offset)));
        }
        self.place = "share".into();
        let share = front.share.as_deref();
        let offset = front.place("share");
        let share = share.map(|url| self.link(url, "Share this issue", offset));
        (authors, share)
    }
}

#[cfg(test)]
mod tests;
