//! Footnotes in both parts, and who gets them.
//!
//! Promises: of a footnote for some readers the others see nothing: no empty number in the list, and where all
//! are for some readers no heading either. The numbers stay those of the mentions. Whatever a theme writes around
//! a footnote belongs to it, as far as nothing else stands in that.

use std::ops::Range;

use crate::compile::Segment;
use crate::compile::escape::escape_html;
use crate::compile::markup::Markup;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::press::Press;
use crate::compile::text::Text;
use crate::issue::Issue;
use crate::issue::block::{Block, Inline};
use crate::segment::Sieve;

/// A footnote in the page: what stands before and behind its words until the page is cut.
pub(super) struct Note {
    number: usize,
    lead: String,
    end: String,
    /// Where parts begin for those who get it, from the outermost in.
    whom: Vec<Segment>,
}

/// Whom a footnote is for, from the outermost in, and its words.
fn peeled(note: &[Block]) -> (Vec<&Sieve>, &[Block]) {
    let (mut whom, mut words) = (Vec::new(), note);
    while let [
        Block::Only {
            segment, blocks, ..
        },
    ] = words
    {
        whom.push(segment);
        words = blocks;
    }
    (whom, words)
}

/// Whom all footnotes together are for, and where one of these is named in the file; none where a footnote is for
/// everybody.
pub(super) fn readers(issue: &Issue) -> Option<(Sieve, usize)> {
    let mut each: Vec<Sieve> = Vec::new();
    let mut named = None;
    for note in &issue.notes {
        if let [Block::Only { offset, .. }] = note.as_slice() {
            named = named.or(Some(*offset));
        }
        let whom: Vec<Sieve> = peeled(note).0.into_iter().cloned().collect();
        if whom.is_empty() {
            return None;
        }
        let sieve = Sieve::all(&whom);
        if !each.contains(&sieve) {
            each.push(sieve);
        }
    }
    Some((Sieve::any(&each), named?))
}

/// The words of a footnote for the page. Where `apart`, it is noted for [`Press::with_notes`].
pub(super) fn written(
    markup: &mut Markup<'_>,
    out: &mut String,
    (number, note): (usize, &[Block]),
    apart: bool,
) -> Option<Note> {
    let (whom, words) = peeled(note);
    // It becomes nothing; a theme that leaves notes out is told by it.
    let edge = |markup: &mut Markup<'_>| {
        let what = format!("footnote {number}");
        let empty = Filling::Literal(String::new());
        markup.places.put(empty, Wanted::Some, what)
    };
    let lead = edge(markup);
    out.push_str(&lead);
    markup.blocks(out, words);
    if !apart {
        return None;
    }
    let end = edge(markup);
    out.push_str(&end);
    Some(Note {
        number,
        lead,
        end,
        whom: whom.into_iter().map(|sieve| markup.begin(sieve)).collect(),
    })
}

/// Whether a footnote is for some readers only.
pub(super) fn are_apart(issue: &Issue) -> bool {
    issue.notes.iter().any(|note| !peeled(note).0.is_empty())
}

impl Press<'_> {
    /// Puts footnotes for some readers apart, with all that the theme wrote around them alone.
    pub(super) fn with_notes(&self, html: String, places: &mut Placeholders) -> String {
        if self.notes.is_empty() {
            return html;
        }
        let mut spots: Vec<(Range<usize>, &Note)> = Vec::new();
        for note in &self.notes {
            for (at, _) in html.match_indices(&note.lead) {
                let end = html[at..].find(&note.end);
                spots.extend(end.map(|end| (at..at + end + note.end.len(), note)));
            }
        }
        spots.sort_by_key(|(range, _)| range.start);
        let mut edits: Vec<(usize, String)> = Vec::new();
        let mut apart = Vec::with_capacity(spots.len());
        for (range, note) in spots {
            let mut range = range;
            if let Some((entry, "li")) = around(&html, &range) {
                // Those who do not get an earlier one would count otherwise.
                if !html[entry.start..range.start].contains(" value=") {
                    let number = format!(" value=\"{}\"", note.number);
                    edits.push((entry.start + "<li".len(), number));
                }
                range = entry;
            }
            apart.push((grown(&html, range), note));
        }
        let whole = self.notes_for.and_then(|whom| {
            let range = together(&html, &apart, &self.theme.look.words.notes)?;
            Some((range, Segment::Only(whom)))
        });
        let edge = |places: &mut Placeholders, edge: Segment| {
            places.put(Filling::Mark(edge), Wanted::Once, "`:::only`")
        };
        // What stands further out begins first and ends last.
        let mut fences = Vec::new();
        if let Some((range, begin)) = &whole {
            fences.push((range.start, edge(places, begin.clone())));
        }
        for (range, note) in apart {
            for begin in &note.whom {
                fences.push((range.start, edge(places, begin.clone())));
            }
            for _ in &note.whom {
                fences.push((range.end, edge(places, Segment::End)));
            }
        }
        if let Some((range, _)) = &whole {
            fences.push((range.end, edge(places, Segment::End)));
        }
        fences.append(&mut edits);
        fences.sort_by_key(|(at, _)| *at);
        let mut out = String::with_capacity(html.len() + fences.len() * 20);
        let mut from = 0;
        for (at, text) in fences {
            out.push_str(&html[from..at]);
            out.push_str(&text);
            from = at;
        }
        out.push_str(&html[from..]);
        out
    }
}

/// All footnotes with their heading, and what the theme wrote around these alone; none where they stand apart.
fn together(html: &str, notes: &[(Range<usize>, &Note)], heading: &str) -> Option<Range<usize>> {
    let ((first, _), (last, _)) = (notes.first()?, notes.last()?);
    let mut pairs = notes.iter().zip(&notes[1..]);
    let adjoin = pairs.all(|((one, _), (next, _))| {
        let between = html.get(one.end..next.start);
        between.is_some_and(|between| between.trim().is_empty())
    });
    adjoin.then(|| {
        let list = grown(html, first.start..last.end);
        grown(html, headed(html, list, heading))
    })
}

/// The stretch with the heading right above it.
fn headed(html: &str, range: Range<usize>, heading: &str) -> Range<usize> {
    let above = html[..range.start].trim_end();
    let start = above.strip_suffix('>').and_then(|above| {
        let (words, name) = above.rsplit_once("</")?;
        let words = words.strip_suffix(&escape_html(heading))?;
        let start = words.rfind('<')?;
        let whole = words.ends_with('>') && tag_name(&words[start..]) == Some(name);
        whole.then_some(start)
    });
    start.unwrap_or(range.start)..range.end
}

/// The stretch with every element around it in which nothing else stands.
fn grown(html: &str, mut range: Range<usize>) -> Range<usize> {
    while let Some((wider, _)) = around(html, &range) {
        range = wider;
    }
    range
}

/// The element in which this stretch is all that stands, and its name.
fn around<'h>(html: &'h str, range: &Range<usize>) -> Option<(Range<usize>, &'h str)> {
    let before = html[..range.start].trim_end();
    let start = before.rfind('<').filter(|_| before.ends_with('>'))?;
    let name = tag_name(&before[start..])?;
    let behind = html[range.end..].trim_start();
    let after = behind.strip_prefix("</")?.strip_prefix(name)?;
    let after = after.strip_prefix('>')?;
    Some((start..html.len() - after.len(), name))
}

/// The name in an opening tag.
fn tag_name(tag: &str) -> Option<&str> {
    let name = tag.strip_prefix('<')?;
    let length = name.find(|c: char| !c.is_ascii_alphanumeric())?;
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        .then(|| &name[..length])
}

/// The footnotes of the text part, with their numbers.
pub(super) fn listed(text: &mut Text<'_>, whom: Option<u32>) {
    let issue = text.issue;
    if issue.notes.is_empty() {
        return;
    }
    if let Some(whom) = whom {
        text.edge(Segment::Only(whom));
        text.for_some += 1;
    }
    let title = text.words.notes.clone();
    text.headline(None, &[Inline::Text(title)], '-');
    for (index, note) in issue.notes.iter().enumerate() {
        let mut blocks = note.clone();
        led_by(&format!("({}) ", index + 1), &mut blocks);
        text.section(&blocks);
    }
    if whom.is_some() {
        text.for_some -= 1;
        text.edge(Segment::End);
    }
}

/// Puts a lead before the first word of `blocks`, within what is for some readers only.
fn led_by(lead: &str, blocks: &mut Vec<Block>) {
    let mut shown = blocks
        .iter_mut()
        .filter(|block| !matches!(block, Block::Here(_)));
    let words = Inline::Text(lead.to_owned());
    match shown.next() {
        Some(Block::Only { blocks, .. }) => led_by(lead, blocks),
        Some(Block::Paragraph(inlines)) => inlines.insert(0, words),
        _ => blocks.insert(0, Block::Paragraph(vec![words])),
    }
}

#[cfg(test)]
mod tests {
    use super::{around, grown, headed};

    fn at(html: &str, part: &str) -> std::ops::Range<usize> {
        let start = html.find(part).expect("the part");
        start..start + part.len()
    }

    #[test]
    fn an_element_belongs_to_what_stands_in_it_alone() {
        let html =
            "<tr><td class=\"a\">\n<div><p>Notes</p><ol>\n<li>N</li></ol></div></td></tr><tr>";
        let note = at(html, "N<").start;
        let entry = around(html, &(note..note + 1));
        assert_eq!(entry.map(|(range, _)| &html[range]), Some("<li>N</li>"));
        let list = grown(html, at(html, "<li>N</li>"));
        assert_eq!(&html[list.clone()], "<ol>\n<li>N</li></ol>");
        let all = grown(html, headed(html, list.clone(), "Notes"));
        assert_eq!(&html[all], html.strip_suffix("<tr>").expect("a tail"));
        assert_eq!(headed(html, list.clone(), "Sources"), list);
        for apart in ["<li>a N</li>", "<!--[if mso]>N<![endif]-->", "N"] {
            assert!(around(apart, &at(apart, "N")).is_none(), "{apart}");
        }
    }
}
