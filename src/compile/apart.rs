//! Components of the author's in Markdown, each block tried alone before it stands among the theme's.
//!
//! Promises: all that is wrong in all of them is told in one run, in the order of the file, up to a number beyond
//! which it is counted; none closes what stands around it. Leaves the judging of MJML to `mjml`.

use std::ops::Range;

use crate::compile::layout::Snapshot;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::theme::Theme;
use crate::diagnostic::{Diagnostic, Severity};
use crate::issue::Issue;
use crate::issue::block::{Block, Inline};
use crate::mjml::finding::{LIMIT, more};
use crate::mjml::origin::{Origins, Stretch};
use crate::mjml::{Options, compile_generated};

/// What stands around components of the author's that are tried alone.
pub(super) const AROUND: (&str, &str) = (
    "<mjml><mj-body><mj-section><mj-column>",
    "</mj-column></mj-section></mj-body></mjml>",
);
/// What every mailbox strips.
const STRIPPED: [&str; 6] = ["<script", "<form", "<iframe", "<object", "<embed", "<base"];

/// What is wrong with the components of an issue in Markdown, each block tried alone.
pub(crate) fn try_components(
    issue: &Issue,
    theme: &Theme,
    inputs: &[&str],
    found: &mut Vec<Diagnostic>,
) {
    let mut trial = Trial {
        issue,
        theme,
        inputs,
        errors: Vec::new(),
        warnings: Vec::new(),
        dropped: 0,
    };
    for block in issue.blocks() {
        if let Block::Mjml { source, offset } = block {
            trial.block(source, *offset);
        }
    }
    let Trial {
        mut errors,
        warnings,
        mut dropped,
        ..
    } = trial;
    errors.sort_by_key(|error| (error.line, error.column));
    let beyond_limit = errors.split_off(errors.len().min(LIMIT));
    dropped += beyond_limit.len();
    let room = LIMIT - errors.len();
    let last = beyond_limit.first().or(errors.last());
    let more = last
        .filter(|_| dropped > 0)
        .map(|last| beyond(last, dropped));
    found.extend(errors);
    found.extend(more);
    // Nothing else of it is compiled then, which would tell them.
    if found.iter().any(Diagnostic::is_error) {
        found.extend(warnings.into_iter().take(room));
    }
}

/// Says how many more there are, from the place of `first` on.
pub(super) fn beyond(first: &Diagnostic, dropped: usize) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: "more-faults",
        message: more(dropped),
        help: None,
        excerpt: None,
        via: Vec::new(),
        ..first.clone()
    }
}

/// One trial.
struct Trial<'a> {
    issue: &'a Issue,
    theme: &'a Theme,
    inputs: &'a [&'a str],
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// How many were found and not kept.
    dropped: usize,
}

impl Trial<'_> {
    fn block(&mut self, source: &[Inline], offset: usize) {
        let issue = self.issue;
        let mut open = Vec::new();
        let mut closes = Vec::new();
        for (at, inline) in issue.placed(source, offset) {
            if let Inline::Text(text) = inline {
                closes.extend(closed_around(text, at, &mut open));
                self.stripped(text, at);
            }
        }
        for Closing { name, word, .. } in &closes {
            let message = format!("`</{word}>` closes what the theme opened around `:::mjml`");
            let (at, length) = (name.start, name.len());
            let file = issue.source();
            let error = file.at(Severity::Error, at, length, "stray-closing-tag", message);
            let help = "take it out: components in `:::mjml` stand within one column";
            self.errors.push(error.help(help));
        }
        let mut words = Placeholders::unlike(self.inputs);
        let mut text = AROUND.0.to_owned();
        let mut stretches = vec![stretch(0, offset, 0)];
        for (at, inline) in issue.placed(source, offset) {
            match inline {
                Inline::Text(written) => {
                    stretches.push(stretch(text.len(), at, written.len()));
                    let start = text.len();
                    text.push_str(written);
                    // What closes too much would hide what is wrong below it.
                    let tags = closes.iter().map(|closing| &closing.tag);
                    for tag in tags.filter(|tag| tag.start >= at && tag.end <= at + written.len()) {
                        let tag = start + tag.start - at..start + tag.end - at;
                        let blank = " ".repeat(tag.len());
                        text.replace_range(tag, &blank);
                    }
                }
                // A slot is a harmless word.
                _ => {
                    let empty = Filling::Literal(String::new());
                    stretches.push(stretch(text.len(), at, 0));
                    text.push_str(&words.put(empty, Wanted::Any, "a slot"));
                }
            }
        }
        let end = stretches
            .last()
            .map_or(offset, |last| last.offset + last.length);
        stretches.push(stretch(text.len(), end, 0));
        text.push_str(AROUND.1);
        let origins = Origins {
            files: vec![(issue.file.clone(), issue.text.clone())],
            stretches,
        };
        let files = Snapshot(self.theme);
        let rendering = compile_generated(&text, &origins, &files, &Options::default());
        self.dropped += rendering.dropped;
        for told in rendering.diagnostics {
            match told.is_error() {
                true => self.errors.push(told),
                false => self.warnings.push(told),
            }
        }
    }

    /// Tells what no mailbox shows, at its place.
    fn stripped(&mut self, text: &str, base: usize) {
        for (at, tag) in stripped(text) {
            let (at, length) = (base + at, tag.len());
            let file = self.issue.source();
            let message = format!("`{tag}>` is stripped by every mailbox; take it out");
            let error = file.at(Severity::Error, at, length, "forbidden", message);
            self.errors.push(error);
        }
    }
}

/// The tags in `text` that every mailbox strips, and where they begin.
pub(super) fn stripped(text: &str) -> Vec<(usize, &'static str)> {
    let lower = text.to_ascii_lowercase();
    let each = |tag: &'static str| {
        let places: Vec<usize> = memchr::memmem::find_iter(lower.as_bytes(), tag).collect();
        places.into_iter().map(move |at| (at, tag))
    };
    STRIPPED.into_iter().flat_map(each).collect()
}

/// A tag that closes what stands around the author's components; places are those of the file.
struct Closing {
    name: Range<usize>,
    tag: Range<usize>,
    word: String,
}

/// Closing tags in a stretch of the author's components that close none of theirs; `open` are the elements open so
/// far. Leaves all other faults to `mjml`.
fn closed_around(text: &str, base: usize, open: &mut Vec<String>) -> Vec<Closing> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('<').map(|next| at + next) {
        let rest = &text[start..];
        if rest.starts_with("<!--") {
            at = rest.find("-->").map_or(text.len(), |end| start + end + 3);
            continue;
        }
        let lead = if rest.starts_with("</") { 2 } else { 1 };
        let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
        let length = rest[lead..].find(ends).unwrap_or(rest.len() - lead);
        let (from, to) = (start + lead, start + lead + length);
        let name = text[from..to].to_ascii_lowercase();
        let end = tag_end(text, to);
        at = end;
        if !name.starts_with("mj-") {
            continue;
        }
        match open.iter().rposition(|known| *known == name) {
            Some(index) if lead == 2 => open.truncate(index),
            None if lead == 2 && AROUND.0.contains(&format!("<{name}>")) => {
                found.push(Closing {
                    name: base + from..base + to,
                    tag: base + start..base + end,
                    word: name,
                });
            }
            _ if lead == 2 || text[..end].ends_with("/>") => {}
            _ => open.push(name),
        }
    }
    found
}

/// The offset behind the tag whose name ends at `at`.
fn tag_end(text: &str, at: usize) -> usize {
    let mut quote = None;
    for (index, c) in text[at..].char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return at + index + 1,
            (None, _) => {}
        }
    }
    text.len()
}

fn stretch(at: usize, offset: usize, length: usize) -> Stretch {
    Stretch {
        at,
        file: 0,
        offset,
        length,
        via: None,
    }
}

#[cfg(test)]
mod tests {
    use super::closed_around;

    #[test]
    fn a_closing_tag_of_the_authors_own_closes_what_is_around_only_when_nothing_of_theirs_is_open()
    {
        let found = |text: &str| {
            let found = closed_around(text, 10, &mut Vec::new());
            let each = found
                .into_iter()
                .map(|found| (found.name.start, found.word));
            each.collect::<Vec<_>>()
        };
        let column = |at| (at, "mj-column".to_owned());
        assert_eq!(found("</mj-column>"), [column(12)]);
        assert_eq!(
            found("<mj-text>a</mj-text></mj-column><mj-column>"),
            [column(32)]
        );
        for fine in [
            "<mj-text>a > b</mj-text>",
            "<mj-divider border=\"1px > 2\" />\n<mj-text>a</mj-text>",
            "<!-- </mj-column> --><mj-spacer/>",
            "</mj-text>",
            "<mj-column><mj-text></mj-column>",
        ] {
            assert_eq!(found(fine), [], "{fine}");
        }
    }
}
