//! Footnotes: their numbers, their texts, and who gets them.
//!
//! Promises: numbered by first mention; a note that is mentioned in parts for some readers only is for those
//! readers alone, as the words are that mention it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::issue::block::Block;
use crate::segment::Sieve;

/// Whom a part around other parts is for, and where that is named in the file.
pub(super) type Whom = (Sieve, usize);

/// The footnotes of one body.
#[derive(Default)]
pub(super) struct Notes {
    /// By label.
    numbers: HashMap<String, usize>,
    texts: HashMap<String, Text>,
    mentions: HashMap<String, Vec<Mention>>,
    /// The parts for some readers that are being read, from the outermost in.
    pub(super) whom: Vec<Whom>,
    /// The note that is being read.
    within: Option<String>,
}

struct Text {
    offset: usize,
    blocks: Vec<Block>,
}

enum Mention {
    /// Among words for these readers.
    Words { whom: Vec<Whom>, offset: usize },
    /// In another note.
    Note(String),
}

impl Notes {
    /// The number of the note mentioned at `offset`.
    pub(super) fn mention(&mut self, label: &str, offset: usize) -> usize {
        let mention = match &self.within {
            Some(note) => Mention::Note(note.clone()),
            None => Mention::Words {
                whom: self.whom.clone(),
                offset,
            },
        };
        let mentions = self.mentions.entry(label.to_owned()).or_default();
        mentions.push(mention);
        let next = self.numbers.len() + 1;
        *self.numbers.entry(label.to_owned()).or_insert(next)
    }

    /// The text of a note comes next.
    pub(super) fn begin(&mut self, label: &str) {
        self.within = Some(label.to_owned());
    }

    pub(super) fn end(&mut self, label: &str, offset: usize, blocks: Vec<Block>) {
        self.within = None;
        let text = Text { offset, blocks };
        self.texts.insert(label.to_owned(), text);
    }

    /// The notes in the order of their numbers, which are their indices plus one.
    pub(super) fn take(
        &mut self,
        source: &Source<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Vec<Block>> {
        let mut numbered: Vec<(usize, String)> = self
            .numbers
            .iter()
            .map(|(label, number)| (*number, label.clone()))
            .collect();
        numbered.sort();
        let mut notes = Vec::with_capacity(numbered.len());
        for (_, label) in numbered {
            let text = self.texts.remove(&label);
            let blocks = text.map(|text| text.blocks).unwrap_or_default();
            let whom = self.readers(&label, source, found);
            notes.push(whom.into_iter().rev().fold(blocks, fenced));
        }
        let unused = self.texts.drain();
        let mut unused: Vec<(usize, String)> =
            unused.map(|(label, text)| (text.offset, label)).collect();
        unused.sort();
        for (offset, label) in unused {
            let message = format!("footnote `{label}` is mentioned nowhere and is left out");
            found.push(source.warning(offset, "footnote", message));
        }
        notes
    }

    /// Whom a note is for: everybody, as soon as words for everybody mention it.
    fn readers(&self, label: &str, source: &Source<'_>, found: &mut Vec<Diagnostic>) -> Vec<Whom> {
        let mut mentions = Vec::new();
        self.words(label, &mut HashSet::new(), &mut mentions);
        let same = |one: &[Whom], other: &[Whom]| {
            let sieves = |whom: &[Whom]| whom.iter().map(|(sieve, _)| sieve.clone()).collect();
            let (one, other): (Vec<Sieve>, Vec<Sieve>) = (sieves(one), sieves(other));
            one == other
        };
        let Some((first, _)) = mentions.first() else {
            return Vec::new();
        };
        if mentions.iter().any(|(whom, _)| whom.is_empty()) {
            return Vec::new();
        }
        if let Some((_, offset)) = mentions.iter().find(|(whom, _)| !same(whom, first)) {
            let message = format!("footnote `{label}` is mentioned in parts for different readers");
            let error = source.error(*offset, "footnote", message);
            found.push(error.help("give each part a footnote of its own, with another label"));
        }
        first.to_vec()
    }

    /// Where words mention a note, also by way of other notes.
    fn words<'n>(
        &'n self,
        label: &'n str,
        seen: &mut HashSet<&'n str>,
        out: &mut Vec<(&'n [Whom], usize)>,
    ) {
        if !seen.insert(label) {
            return;
        }
        for mention in self.mentions.get(label).into_iter().flatten() {
            match mention {
                Mention::Words { whom, offset } => out.push((whom, *offset)),
                Mention::Note(other) => self.words(other, seen, out),
            }
        }
    }
}

fn fenced(blocks: Vec<Block>, (segment, offset): Whom) -> Vec<Block> {
    vec![Block::Only {
        segment,
        blocks,
        offset,
    }]
}

/// Tells the footnotes without a text, which Markdown would print as they stand.
pub(super) fn missing(
    source: &Source<'_>,
    base: usize,
    text: &str,
    events: &[(Event<'_>, Range<usize>)],
    found: &mut Vec<Diagnostic>,
) {
    let mut code = false;
    for (event, range) in events {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            // Markdown makes a text of its own of each bracket.
            Event::Text(words) if !code && words.starts_with('[') => {
                if text[..range.start].ends_with('\\') {
                    continue;
                }
                let rest = &text[range.start..];
                let label = rest
                    .strip_prefix("[^")
                    .and_then(|rest| rest.split_once(']'));
                let Some((label, _)) = label
                    .filter(|(label, _)| !label.is_empty() && !label.contains(['[', ' ', '\n']))
                else {
                    continue;
                };
                let message = format!("there is no footnote `[^{label}]`");
                let (offset, length) = (base + range.start, label.len() + 3);
                let error = source.at(Severity::Error, offset, length, "footnote", message);
                found.push(error.help(format!(
                    "write `[^{label}]: ...` in a paragraph of its own, or `\\[` for a bracket"
                )));
            }
            _ => {}
        }
    }
}
