//! What directives make of the blocks within them.
//!
//! Promises: a promo, a button, a segment's blocks or components, each typed; what cannot stand inside is
//! told. Leaves the finding of directives to `directive`.

use pulldown_cmark::Event;

use crate::issue::Assembly;
use crate::issue::block::{Block, Inline, LinkId, Promo, plain_text};
use crate::issue::dates;
use crate::issue::directive::{Directive, Kind};
use crate::issue::front::iso_day;
use crate::issue::html::without_entities;
use crate::issue::markdown::placed;
use crate::issue::notes::Whom;
use crate::issue::own::tags::{self, Defaults};

/// Whether a text is written as a day is in ISO 8601.
fn is_dated(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day]
        if year.len() == 4 && month.len() == 2 && day.len() == 2 && parts.iter().all(|part| digits(part)))
}

impl Assembly<'_> {
    /// What a directive whose opening line comes next makes of its content, with its place.
    pub(super) fn directive(&mut self, directive: &Directive) -> Vec<Block> {
        let offset = self.reader.base + directive.open.start;
        let place = self.reader.place.clone();
        if directive.kind == Kind::Promo {
            self.reader.place = "promo".into();
        }
        self.reader.skip();
        let whom = match directive.kind {
            Kind::Only => self.whom(directive),
            _ => None,
        };
        self.reader.notes.whom.extend(whom.clone());
        let mut blocks = Vec::new();
        while let Some((event, range)) = self.reader.rest().first() {
            let closes = range.start >= directive.close.start;
            let ends = matches!(event, Event::End(_));
            let masked = self.masked;
            let inner = masked.directive(range.start);
            if closes || ends {
                self.reader.skip();
            }
            if closes {
                break;
            }
            match inner {
                _ if ends => {}
                Some(inner) => blocks.extend(self.directive(inner)),
                None => blocks.extend(self.reader.placed_block()),
            }
        }
        let block = match directive.kind {
            Kind::Mjml => Some(Block::Mjml {
                source: self.mjml(directive),
                offset: self.reader.base + directive.content().start,
            }),
            Kind::Promo => Some(self.promo(directive, blocks, offset)),
            Kind::Button => self.button(directive, blocks, offset),
            Kind::Only => whom.map(|(segment, offset)| {
                self.reader.notes.whom.pop();
                Block::Only {
                    segment,
                    blocks,
                    offset,
                }
            }),
        };
        self.reader.place = place;
        placed(offset, block.into_iter().collect())
    }

    /// Whom a part is for, if the segment means something.
    pub(super) fn whom(&mut self, directive: &Directive) -> Option<Whom> {
        let (source, base) = (self.reader.source, self.reader.base);
        directive.sieve(&source, base, &self.given, self.reader.found)
    }

    fn mjml(&mut self, directive: &Directive) -> Vec<Inline> {
        let start = self.reader.base + directive.content().start;
        let end = self.reader.base + directive.content().end;
        let content = &self.reader.source.text[start..end];
        let mut out = Vec::new();
        let mut from = 0;
        for tag in tags::tags(content) {
            let source = self.reader.source;
            let fit = |attribute: &_| tag.link(content, attribute).is_some();
            let told = tag.textless(content, source, start).into_iter();
            let told = told.chain(tag.targetless(content, source, start));
            let told = told.chain(tag.misplaced_fields(content, fit, source, start));
            let told = told.chain(tag.field_in_sheet(content, source, start));
            let told = told.chain(tag.idle(content, &Defaults::default(), source, start));
            self.reader.found.extend(told);
            for attribute in &tag.attributes {
                let (_, value) = attribute;
                let stands = if let Some(picture) = tag.file(content, attribute, start) {
                    Inline::Image(picture)
                } else if let Some(url) = tag.link(content, attribute) {
                    let offset = start + value.start;
                    let url = without_entities(url);
                    let pieces = self.slots.pieces(&url, offset, self.reader.found);
                    let link = self.reader.link(pieces, &tag.label(content), offset);
                    let text = Vec::new();
                    Inline::Link { link, text }
                } else {
                    continue;
                };
                let before = &content[from..value.start];
                out.extend(
                    self.slots
                        .components(before, start + from, self.reader.found),
                );
                out.push(stands);
                from = value.end;
            }
        }
        let rest = &content[from..];
        out.extend(self.slots.components(rest, start + from, self.reader.found));
        out
    }

    fn promo(&mut self, directive: &Directive, blocks: Vec<Block>, offset: usize) -> Block {
        for picture in Block::pictures(&blocks) {
            let message = "an image cannot stand in a promo";
            self.reader.error(picture.offset, "image", message);
        }
        let until = directive.get("until");
        let ends = until.and_then(|until| iso_day(until.value.trim()));
        if let Some(until) = until.filter(|until| ends.is_none() && is_dated(until.value.trim())) {
            let message = format!("there is no day `{}`", until.value.trim());
            let offset = self.reader.base + until.offset;
            self.reader.error(offset, "directive", &message);
        }
        let shows = |key| {
            let value = directive.get(key);
            value.is_some_and(|value| !value.value.trim().is_empty())
        };
        if blocks.is_empty() && !["code", "until", "url"].into_iter().any(shows) {
            let message = "nothing stands in this promo";
            self.reader.error(offset, "directive", message);
        }
        let label = directive.get("label");
        if let Some(label) = label {
            let base = self.reader.base + label.offset;
            let slot = self.slots.next(&label.value, 0, base, self.reader.found);
            if let Some(slot) = slot {
                let message = "a label is the same for every reader";
                self.reader.error(base + slot.start, "slot", message);
            }
        }
        let label = label.map(|label| label.value.clone());
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
            until: match ends {
                Some(day) => vec![Inline::Text(dates::shown(day, &self.language))],
                None => self.attribute_text(directive, "until"),
            },
            ends,
            link,
            label,
            offset: until.map_or(offset, |until| self.reader.base + until.offset),
        })
    }

    fn button(
        &mut self,
        directive: &Directive,
        blocks: Vec<Block>,
        offset: usize,
    ) -> Option<Block> {
        let [Block::Here(_), Block::Paragraph(label)] = blocks.as_slice() else {
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
}
