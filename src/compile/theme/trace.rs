//! The way back from a rendered layout to the files it was made of.
//!
//! Promises: marks in the templates do not change what comes out; where the text already holds the marks'
//! own characters, nothing is marked and nothing can be traced. Leaves drawing the place to `mjml`.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;

/// Opens a mark; a private-use character that no text has a reason to hold.
const OPEN: char = '\u{10f0f0}';
/// Closes a mark.
const CLOSE: char = '\u{10f0f1}';

/// The marks of one rendering, and what each stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Of the templates, which are marked before there is a rendering.
    before: Arc<[Origin]>,
    origins: Vec<Origin>,
    /// Some text holds our characters.
    off: bool,
}

/// Where a marked stretch was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Index of the file, as the caller counts them.
    pub(crate) file: usize,
    pub(crate) offset: usize,
    /// Octets that come out as they were written; 0 for a place without extent.
    pub(crate) length: usize,
}

/// A stretch of the rendered text, which ends where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Offset in the rendered text.
    pub(crate) at: usize,
    pub(crate) origin: Origin,
    /// The stretch whose file brought this one's in.
    pub(crate) via: Option<usize>,
}

impl Marks {
    /// Marks for texts among which may be some that cannot be marked.
    pub(crate) fn unlike<'a>(mut texts: impl Iterator<Item = &'a str>) -> Marks {
        Marks {
            off: texts.any(|text| text.contains(OPEN) || text.contains(CLOSE)),
            ..Marks::default()
        }
    }

    /// The same for templates that hold marks for `before` already.
    pub(crate) fn behind(self, before: &Arc<[Origin]>) -> Marks {
        let before = Arc::clone(before);
        Marks { before, ..self }
    }

    /// Nothing is marked, and nothing can be traced.
    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    pub(crate) fn into_origins(self) -> Arc<[Origin]> {
        self.origins.into()
    }

    /// Writes a mark for one place, or nothing when nothing can be marked.
    pub(crate) fn put(&mut self, out: &mut String, origin: Origin) {
        if self.off {
            return;
        }
        let number = self.before.len() + self.origins.len();
        self.origins.push(origin);
        write!(out, "{OPEN}{number}{CLOSE}").expect("a string takes everything");
    }

    fn origin(&self, number: usize) -> Option<&Origin> {
        let own = || self.origins.get(number - self.before.len());
        self.before.get(number).or_else(own)
    }

    /// The template with a mark before each stretch of plain text.
    pub(crate) fn template(&mut self, file: usize, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 4);
        let mut at = 0;
        for plain in plain_stretches(text) {
            // Before the first visible character: a `-%}` must still find blanks to take away. Blanks alone
            // are marked where nobody takes them, so that the tag behind them has a place.
            let blank = text[plain.clone()].len() - text[plain.clone()].trim_start().len();
            let taken = ["-%}", "-}}", "-#}"]
                .iter()
                .any(|tag| text[..plain.start].ends_with(tag))
                || ["{%-", "{{-", "{#-"]
                    .iter()
                    .any(|tag| text[plain.end..].starts_with(tag));
            let start = match plain.start + blank {
                end if end < plain.end => end,
                _ if taken || plain.is_empty() => continue,
                _ => plain.start,
            };
            out.push_str(&text[at..start]);
            let origin = Origin {
                file,
                offset: start,
                length: plain.end - start,
            };
            self.put(&mut out, origin);
            at = start;
        }
        out.push_str(&text[at..]);
        out
    }

    /// Takes the marks out of the rendered text.
    pub(crate) fn trace(&self, rendered: &str) -> (String, Vec<Stretch>) {
        if self.off {
            return (rendered.to_owned(), Vec::new());
        }
        let mut text = String::with_capacity(rendered.len());
        let mut stretches: Vec<Stretch> = Vec::new();
        // The files that are open, each with its latest stretch.
        let mut open: Vec<(usize, usize)> = Vec::new();
        // A page is long, and marks are rare in it: worth a search that goes by more than one octet.
        let sign = OPEN.to_string();
        let mut ends: Vec<usize> = memmem::find_iter(rendered.as_bytes(), &sign).collect();
        ends.push(rendered.len());
        text.push_str(&rendered[..ends[0]]);
        for piece in ends.windows(2) {
            let piece = &rendered[piece[0] + OPEN.len_utf8()..piece[1]];
            let mark = piece
                .split_once(CLOSE)
                .and_then(|(number, rest)| Some((self.origin(number.parse().ok()?)?, rest)));
            let Some((origin, rest)) = mark else {
                text.push(OPEN);
                text.push_str(piece);
                continue;
            };
            while open.iter().any(|(file, _)| *file == origin.file)
                && open.last().is_some_and(|(file, _)| *file != origin.file)
            {
                open.pop();
            }
            let number = stretches.len();
            match open.last_mut() {
                Some((file, latest)) if *file == origin.file => *latest = number,
                _ => open.push((origin.file, number)),
            }
            let outer = open.len().checked_sub(2).map(|outer| open[outer].1);
            stretches.push(Stretch {
                at: text.len(),
                origin: origin.clone(),
                via: outer,
            });
            text.push_str(rest);
        }
        (text, stretches)
    }
}

/// What stands outside `{{ }}`, `{% %}` and `{# #}`, and outside raw blocks.
fn plain_stretches(text: &str) -> Vec<Range<usize>> {
    let mut stretches = Vec::new();
    let mut at = 0;
    loop {
        let next = text[at..].match_indices('{').map(|(found, _)| at + found);
        let tag = next
            .filter_map(|found| Some((found, closing(&text[found..])?)))
            .next();
        let Some((start, closing)) = tag else {
            stretches.push(at..text.len());
            return stretches;
        };
        stretches.push(at..start);
        let end = end_of(&text[start..], closing).map(|length| start + length);
        // A tag that never ends is the template engine's error to tell.
        let Some(end) = end else { return stretches };
        at = end;
    }
}

/// What closes the tag that a text begins with.
fn closing(text: &str) -> Option<&'static str> {
    match text.as_bytes().get(1) {
        Some(b'{') => Some("}}"),
        Some(b'%') => Some("%}"),
        Some(b'#') => Some("#}"),
        _ => None,
    }
}

/// Octets of the tag at the start of `text`: `closing` outside of quotes ends it, and a raw block goes on
/// to its end.
fn end_of(text: &str, closing: &str) -> Option<usize> {
    let mut quote = None;
    let mut length = None;
    for (at, c) in text.char_indices().skip(2) {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if closing != "#}" => quote = Some(c),
            (None, _) if text[at..].starts_with(closing) => {
                length = Some(at + closing.len());
                break;
            }
            (None, _) => {}
        }
    }
    let length = length?;
    let words = text[2..length - 2].trim_matches(['-', '+', ' ', '\n', '\t']);
    if closing != "%}" || words != "raw" {
        return Some(length);
    }
    let end = text[length..].find("endraw")?;
    let rest = length + end;
    text[rest..].find("%}").map(|closed| rest + closed + 2)
}

#[cfg(test)]
mod tests {
    use super::{Marks, Origin, Stretch, plain_stretches};

    fn plain(text: &str) -> Vec<&str> {
        let ranges = plain_stretches(text).into_iter();
        ranges.map(|range| &text[range]).collect()
    }

    #[test]
    fn tags_comments_and_raw_blocks_are_no_plain_text() {
        assert_eq!(
            plain("a{{ b }}c{% if \"%}\" %}d{# ' #}e { f"),
            ["a", "c", "d", "e { f"]
        );
        assert_eq!(plain("a{% raw %}{{ b }}{% endraw %}c"), ["a", "c"]);
        assert_eq!(plain("a{{ b"), ["a"]);
    }

    #[test]
    fn a_rendered_text_leads_back_to_its_files_and_to_who_included_them() {
        let mut marks = Marks::unlike(std::iter::empty());
        let layout = marks.template(0, "<a>\n{{ x }}</a>");
        let part = marks.template(1, "  <b/>");
        let rendered = layout.replace("{{ x }}", &part);
        let (text, stretches) = marks.trace(&rendered);
        assert_eq!(text, "<a>\n  <b/></a>");
        let stretch = |at, file, offset, length, via| Stretch {
            at,
            origin: Origin {
                file,
                offset,
                length,
            },
            via,
        };
        assert_eq!(
            stretches,
            [
                stretch(0, 0, 0, 4, None),
                stretch(6, 1, 2, 4, Some(0)),
                stretch(10, 0, 11, 4, None),
            ]
        );
    }

    #[test]
    fn a_text_with_our_characters_is_left_alone() {
        let text = "\u{10f0f0}1\u{10f0f1} <a>";
        let mut marks = Marks::unlike(std::iter::once(text));
        assert_eq!(marks.template(0, text), text);
        assert_eq!(marks.trace(text), (text.to_owned(), Vec::new()));
    }
}
