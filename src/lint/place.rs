//! Where things stand in the author's file, and what of it is prose.
//!
//! Promises: offsets are those of the file; what is code, an address, a slot or a comment is blank in the
//! prose, octet for octet, so that a mark found there was meant for readers.

use crate::diagnostic::Source;
use crate::issue::Issue;
use crate::issue::block::{Block, Inline, LinkId, plain_text};

/// A link among words: which one, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) link: LinkId,
    pub(super) text: String,
}

/// Every link that has words of its own, in the order of the issue.
pub(super) fn anchors(issue: &Issue) -> Vec<Anchor> {
    let mut found = Vec::new();
    if issue.layout.is_some() {
        // There are no blocks; what a link says stands at the end of its name.
        let named = issue.links.iter().enumerate();
        found.extend(named.filter_map(|(index, link)| {
            let (_, text) = link.name.rsplit_once(" - ")?;
            Some(Anchor {
                link: LinkId(index),
                text: text.to_owned(),
            })
        }));
    }
    blocks(&issue.intro, &mut found);
    for item in &issue.items {
        inlines(&item.headline, &mut found);
        blocks(&item.blocks, &mut found);
    }
    blocks(&issue.outro, &mut found);
    for note in &issue.notes {
        blocks(note, &mut found);
    }
    found
}

fn blocks(blocks_of: &[Block], out: &mut Vec<Anchor>) {
    for block in blocks_of {
        match block {
            Block::Paragraph(text) | Block::Heading { text, .. } => inlines(text, out),
            Block::List { items, .. } => items.iter().for_each(|item| blocks(item, out)),
            Block::Quote(inner)
            | Block::Aligned { blocks: inner, .. }
            | Block::Only { blocks: inner, .. } => blocks(inner, out),
            Block::Table { head, rows, .. } => {
                let cells = head.iter().chain(rows.iter().flatten());
                cells.for_each(|cell| inlines(cell, out));
            }
            Block::Promo(promo) => {
                blocks(&promo.blocks, out);
                let label = promo.label.clone();
                let link = promo.link.filter(|_| !label.is_empty());
                out.extend(link.map(|link| Anchor { link, text: label }));
            }
            Block::Button { link, label } => out.push(Anchor {
                link: *link,
                text: plain_text(label),
            }),
            _ => {}
        }
    }
}

fn inlines(text: &[Inline], out: &mut Vec<Anchor>) {
    for inline in text {
        match inline {
            Inline::Link { link, text } => out.push(Anchor {
                link: *link,
                text: plain_text(text),
            }),
            Inline::Strong(inner)
            | Inline::Emphasis(inner)
            | Inline::Strike(inner)
            | Inline::Sub(inner)
            | Inline::Sup(inner)
            | Inline::Marked { text: inner, .. } => inlines(inner, out),
            _ => {}
        }
    }
}

/// Offset of a front matter's value within quotes, where it stands there letter by letter.
pub(super) fn value_offset(source: &Source<'_>, place: usize, value: &str) -> usize {
    let line = source.text[place..].lines().next().unwrap_or_default();
    place + line.find(value).unwrap_or_default()
}

/// The issue's file with all that is not prose made blank.
pub(super) fn written(issue: &Issue) -> String {
    match issue.layout {
        Some(_) => components(&issue.text),
        None => prose(&issue.text),
    }
}

/// The same of Markdown.
fn prose(text: &str) -> String {
    let mut mask = Mask::of(text, 0);
    mask.fences();
    mask.between("<!--", "-->", true);
    mask.code_spans();
    mask.between("[[", "]]", false);
    mask.destinations();
    mask.addresses();
    mask.now()
}

/// The same of an author's own layout, in which the engine and CSS have marks of their own.
fn components(text: &str) -> String {
    let mut mask = Mask::of(text, body(text));
    for (opening, closing) in [
        ("<!--", "-->"),
        ("<mj-style", "</mj-style"),
        ("<style", "</style"),
        ("{#", "#}"),
        ("{%", "%}"),
        ("{{", "}}"),
    ] {
        mask.between(opening, closing, true);
    }
    mask.between("[[", "]]", false);
    mask.addresses();
    mask.now()
}

struct Mask<'a> {
    text: &'a str,
    /// What stands before this offset is left as it is.
    start: usize,
    out: Vec<u8>,
}

impl<'a> Mask<'a> {
    fn of(text: &'a str, start: usize) -> Mask<'a> {
        Mask {
            text,
            start,
            out: text.as_bytes().to_vec(),
        }
    }

    /// Both ends stand on characters.
    fn blank(&mut self, start: usize, end: usize) {
        for octet in &mut self.out[start..end] {
            if *octet != b'\n' {
                *octet = b' ';
            }
        }
    }

    /// What is left to look at.
    fn now(&self) -> String {
        String::from_utf8(self.out.clone()).expect("whole characters were made blank")
    }

    fn fences(&mut self) {
        let mut open: Option<(u8, usize)> = None;
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            let end = start + line.len();
            let bare = line.trim_start();
            let mark = bare.bytes().next().unwrap_or(b' ');
            let length = bare.bytes().take_while(|octet| *octet == mark).count();
            let fence = matches!(mark, b'`' | b'~') && length >= 3;
            match open {
                Some((opened, least)) => {
                    let closes = fence && mark == opened && length >= least;
                    self.blank(start, end);
                    if closes && bare[length..].trim().is_empty() {
                        open = None;
                    }
                }
                None if fence => {
                    self.blank(start, end);
                    open = Some((mark, length));
                }
                // MJML is looked at by lints of its own.
                None if bare.starts_with(":::mjml") => {
                    let close = self.text[end..].find("\n:::").map(|at| end + at);
                    self.blank(start, close.unwrap_or(end));
                }
                None => {}
            }
            start = end;
        }
    }

    fn between(&mut self, opening: &str, closing: &str, over_lines: bool) {
        let now = self.now();
        let mut at = self.start;
        while let Some(start) = now[at..].find(opening).map(|found| at + found) {
            let rest = &now[start + opening.len()..];
            let limit = match over_lines {
                true => rest.len(),
                false => rest.find('\n').unwrap_or(rest.len()),
            };
            match rest[..limit].find(closing) {
                Some(end) => {
                    let end = start + opening.len() + end + closing.len();
                    self.blank(start, end);
                    at = end;
                }
                None => at = start + opening.len(),
            }
        }
    }

    fn code_spans(&mut self) {
        let now = self.now();
        let mut at = 0;
        while let Some(start) = now[at..].find('`').map(|found| at + found) {
            let ticks = now[start..]
                .bytes()
                .take_while(|octet| *octet == b'`')
                .count();
            let rest = &now[start + ticks..];
            // A span ends within its paragraph.
            let limit = rest.find("\n\n").unwrap_or(rest.len());
            let run = "`".repeat(ticks);
            at = start + ticks;
            if let Some(end) = rest[..limit].find(&run) {
                let end = start + ticks + end + ticks;
                self.blank(start, end);
                at = end;
            }
        }
    }

    /// `](address "title")`, with brackets in the address.
    fn destinations(&mut self) {
        let now = self.now();
        let mut at = 0;
        while let Some(start) = now[at..].find("](").map(|found| at + found + 2) {
            let mut depth = 1;
            let mut end = None;
            for (index, octet) in now[start..].bytes().enumerate() {
                depth += match octet {
                    b'(' => 1,
                    b')' => -1,
                    b'\n' if now[start + index..].starts_with("\n\n") => break,
                    _ => 0,
                };
                if depth == 0 {
                    end = Some(start + index);
                    break;
                }
            }
            if let Some(end) = end {
                self.blank(start, end);
            }
            at = end.unwrap_or(start);
        }
    }

    fn addresses(&mut self) {
        let now = self.now();
        for scheme in ["https://", "http://", "mailto:"] {
            let mut at = self.start;
            while let Some(start) = now[at..].find(scheme).map(|found| at + found) {
                let end = now[start..].find([' ', '\n', '>', '"', '\'', '}']);
                let end = end.map_or(now.len(), |end| start + end);
                self.blank(start, end);
                at = end;
            }
        }
    }
}

/// The text of a line's first character on, with its offset: for marks at the start of a line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line.trim_end_matches('\n'))
    })
}

/// Where the text below the front matter begins.
pub(super) fn body(text: &str) -> usize {
    text.strip_prefix("---\n")
        .and_then(|rest| rest.find("\n---\n"))
        .map_or(0, |end| end + "---\n".len() + "\n---\n".len())
}

#[cfg(test)]
mod tests {
    use super::prose;

    #[test]
    fn code_addresses_slots_and_comments_are_no_prose() {
        for (text, expected) in [
            ("a `b` c", "a     c"),
            ("a `` ` b`` c", "a          c"),
            ("```\nTODO\n```\nx", "   \n    \n   \nx"),
            ("[a](b(c) \"d\") e", "[a](        ) e"),
            ("x <!-- y\nz --> w", "x       \n      w"),
            ("[[a|TK]] b", "         b"),
            ("see https://a.example/TODO.", "see                        "),
            (
                "an \u{201c}\u{e4}\u{201d} `\u{e4}`",
                "an \u{201c}\u{e4}\u{201d}     ",
            ),
            ("a ` b", "a ` b"),
        ] {
            assert_eq!(prose(text), expected, "{text}");
            assert_eq!(prose(text).len(), text.len(), "{text}");
        }
    }
}
