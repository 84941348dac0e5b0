//! What an issue in MJML says of itself: front matter where there is some, else its own head.
//!
//! Promises: a layout that says its title in `<mj-title>` needs no front matter; what neither says and must be
//! said is one error at the line where it belongs. Leaves settings that nobody gives to their defaults.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Source};
use crate::issue::front::{self, CODE, Front};
use crate::issue::html::without_entities;
use crate::issue::own::scan::is_dynamic;

/// Reads what stands above the layout, and its title. Gives the offset of the layout; there is none where front
/// matter begins and does not end.
pub(super) fn front(source: Source<'_>, found: &mut Vec<Diagnostic>) -> Option<(Front, usize)> {
    // A text that begins with it below blank lines means front matter, which tells so.
    let (mut front, base) = match source.text.trim_start().starts_with("---") {
        true => front::read_untitled(source, found)?,
        false => (Front::default(), 0),
    };
    if !front.places.contains_key("title") {
        match title(source.text, base) {
            Some((at, title)) if title.contains("[[") => {
                let message = "the title is the same for every reader; slots stand in `subject` of the front \
                               matter, in `<mj-preview>` and in the text";
                found.push(source.error(at, CODE, message));
            }
            Some((at, title)) => {
                front.places.insert("title".into(), at);
                front.title = title;
            }
            None => found.push(untitled(source, base)),
        }
    }
    Some((front, base))
}

/// The settings of an issue of either kind, whatever is wrong with it; findings are nobody's.
pub(crate) fn peek(text: &str) -> Front {
    let source = Source { file: "", text };
    let mut nobody = Vec::new();
    front(source, &mut nobody).map_or_else(Front::default, |(front, _)| front)
}

/// The words of `<mj-title>` and where they begin, where they are the author's own.
fn title(text: &str, base: usize) -> Option<(usize, String)> {
    let range = within(&text[base..], "mj-title")?;
    let written = &text[base + range.start..base + range.end];
    let words = one_line(&without_entities(written));
    let lead = written.len() - written.trim_start().len();
    (!words.is_empty() && !is_dynamic(written)).then_some((base + range.start + lead, words))
}

/// Tells a title that is said nowhere, where it would stand.
fn untitled(source: Source<'_>, base: usize) -> Diagnostic {
    let body = &source.text[base..];
    let named = within(body, "mj-title").map(|words| words.start);
    let at = named
        .or_else(|| body.find("<mj-head"))
        .or_else(|| body.find("<mjml"));
    let message = match named {
        Some(_) => "`<mj-title>` says no title in words of its own, and no front matter does",
        None => "the issue has no title: there is no `<mj-title>`, and no front matter says one",
    };
    let error = source.error(base + at.unwrap_or_default(), CODE, message);
    error.help("write `<mj-title>...</mj-title>` into `<mj-head>`, or front matter with `title: ...` above `<mjml>`")
}

/// The words of a layout's `<mj-preview>` and where they begin, if its author wrote them; what fills the rest of an
/// inbox's row is none of them.
pub(crate) fn preview(text: &str) -> Option<(usize, &str)> {
    let range = within(text, "mj-preview")?;
    let words = text[range.clone()].split(['\u{34f}', '\u{200c}']).next()?;
    let end = ["&#847;", "&#8204;", "&zwnj;"]
        .iter()
        .filter_map(|filler| words.find(filler))
        .min();
    let words = &words[..end.unwrap_or(words.len())];
    let start = range.start + (words.len() - words.trim_start().len());
    let words = words.trim();
    (!words.is_empty() && !words.contains(['{', '<'])).then_some((start, words))
}

/// Words with single blanks between them.
pub(super) fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the first element of this name holds that no comment hides.
fn within(text: &str, name: &str) -> Option<Range<usize>> {
    let mut at = 0;
    loop {
        at += text[at..].find('<')?;
        let rest = &text[at + 1..];
        if rest.starts_with("!--") {
            at += rest.find("-->")?;
            continue;
        }
        let ends = |behind: &&str| behind.starts_with(|c: char| c == '>' || c.is_whitespace());
        let Some(behind) = rest.strip_prefix(name).filter(ends) else {
            at += 1;
            continue;
        };
        let open = behind.find('>')?;
        let start = text.len() - behind.len() + open + 1;
        let end = text[start..].find(&format!("</{name}"))?;
        return Some(start..start + end);
    }
}

#[cfg(test)]
mod tests {
    use super::{front, peek, preview};
    use crate::diagnostic::Source;

    fn told(text: &str) -> (String, Vec<String>) {
        let mut found = Vec::new();
        let file = "issue.mjml";
        let read = front(Source { file, text }, &mut found);
        let title = read.map(|(front, _)| front.title).unwrap_or_default();
        (title, found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_layout_says_its_title_itself_and_front_matter_says_it_first() {
        for (text, title) in [
            (
                "<mjml><mj-head><mj-title>Bees &amp; hives</mj-title>",
                "Bees & hives",
            ),
            (
                "<!-- <mj-title>No</mj-title> -->\n<mj-title >\n  Two\n  lines\n</mj-title>",
                "Two lines",
            ),
            (
                "---\ntheme: letter\n---\n<mj-title>Below</mj-title>",
                "Below",
            ),
            (
                "---\ntitle: Above\n---\n<mj-title>Below</mj-title>",
                "Above",
            ),
            (
                "---\ntitle: Above\n---\n<mj-title>{{ title }}</mj-title>",
                "Above",
            ),
        ] {
            assert_eq!(told(text), (title.to_owned(), Vec::new()), "{text}");
            assert_eq!(peek(text).title, title, "{text}");
        }
    }

    #[test]
    fn a_title_that_nobody_says_is_one_error_where_it_belongs() {
        for (text, expected) in [
            (
                "<mjml>\n<mj-head>\n</mj-head>",
                "issue.mjml:2:1: error[front-matter]: the issue has no title",
            ),
            (
                "<!-- a -->\n<mjml>\n",
                "issue.mjml:2:1: error[front-matter]: the issue has no title",
            ),
            (
                "---\nlang: de\n---\n<mjml>\n",
                "issue.mjml:4:1: error[front-matter]: the issue has no title",
            ),
            (
                "<mjml>\n<mj-title>{{ title }}</mj-title>",
                "issue.mjml:2:11: error[front-matter]: `<mj-title>` says no",
            ),
            (
                "<mjml>\n<mj-title> [[name|you]]</mj-title>",
                "issue.mjml:2:12: error[front-matter]: the title is the same",
            ),
            ("---\ntitle: \n---\n<mjml>", "issue.mjml:2:"),
            (
                "\n---\ntitle: a\n---\n<mjml>",
                "issue.mjml:1:1: error[front-matter]: the file does not begin",
            ),
            ("---\ntitle: a\n<mjml>", "the front matter is never closed"),
        ] {
            let (_, found) = told(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_preview_ends_where_its_filling_begins() {
        let text = "<mj-preview>\n  Soon &#847;&zwnj;</mj-preview>";
        assert_eq!(preview(text), Some((15, "Soon")));
        assert_eq!(preview("<mj-preview>{{ preheader }}</mj-preview>"), None);
        assert_eq!(preview("<!-- <mj-preview>a</mj-preview> -->"), None);
    }
}
