//! `:::only SEGMENT` in `issue.mjml`: whole components, or columns, or sections, for some readers.
//!
//! Promises: a part begins and ends among the same components, so that each copy is a whole page; whatever
//! else a line of colons says is told at its place.

use std::ops::Range;

use crate::diagnostic::Severity;
use crate::issue::directive::{self, Kind};
use crate::issue::own::{Part, Reading};

/// Components that hold words, which the line would cut in two.
const WORDS: [&str; 10] = [
    "mj-text",
    "mj-button",
    "mj-table",
    "mj-raw",
    "mj-title",
    "mj-preview",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-navbar-link",
    "mj-social-element",
];

/// What the walk through a layout knows of its components.
#[derive(Default)]
pub(super) struct Nest {
    /// Open components, each with where it opens in the text.
    open: Vec<(String, usize)>,
    /// Open parts: the line of each, and how many components were open at it.
    parts: Vec<(usize, usize)>,
}

impl Reading<'_> {
    /// The first line of colons that begins between two offsets, which hold no tag.
    pub(super) fn colons(&self, within: Range<usize>) -> Option<Range<usize>> {
        let text = self.text();
        let mut at = within.start;
        while at < within.end {
            let before = &text[..at];
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            let blank = text[start..end].len() - text[start..end].trim_start().len();
            let fits = start + blank >= at && start + blank < within.end;
            if fits && text[start + blank..end].starts_with(":::") {
                return Some(start + blank..end);
            }
            at = end + 1;
        }
        None
    }

    /// Reads a line of colons.
    pub(super) fn edge(&mut self, line: Range<usize>) {
        let text = self.text();
        let written = text[line.clone()].trim_end();
        let offset = self.base + line.start;
        if let Some((name, _)) = self.nest.open.last()
            && WORDS.contains(&name.as_str())
        {
            let message = format!("`:::only` and its end cannot stand within `<{name}>`");
            let error =
                self.source
                    .at(Severity::Error, offset, written.len(), "directive", message);
            let help = "put the lines around whole components";
            self.found.push(error.help(help));
            return;
        }
        if written == ":::" {
            self.end_part(offset);
            return;
        }
        let told = self.found.len();
        let rest = &written[3..];
        let read = directive::parse(
            &self.source,
            rest,
            self.base,
            line.start + 3,
            line.clone(),
            self.found,
        );
        let directive = match read {
            Ok(directive) => directive,
            Err(error) => return self.found.push(error),
        };
        if directive.kind != Kind::Only {
            self.found.truncate(told);
            let message = "only `:::only` stands in an issue in MJML";
            let error =
                self.source
                    .at(Severity::Error, offset, written.len(), "directive", message);
            let help = "write the components themselves, `mj-button` for a button";
            self.found.push(error.help(help));
            return;
        }
        self.nest.parts.push((offset, self.nest.open.len()));
        if let Some((sieve, at)) = directive.sieve(&self.source, self.base, &self.given, self.found)
        {
            self.layout.only.push((sieve, at));
            self.raw(Part::Only(self.layout.only.len() - 1), offset);
        }
    }

    fn end_part(&mut self, offset: usize) {
        let Some((_, depth)) = self.nest.parts.pop() else {
            let error = self
                .source
                .error(offset, "directive", "`:::` closes nothing");
            self.found.push(error);
            return;
        };
        if let Some((name, at)) = self.nest.open.get(depth) {
            let message = format!("`<{name}>` is not closed before the `:::` that ends its part");
            let error = self.source.at(
                Severity::Error,
                self.base + at,
                name.len() + 1,
                "directive",
                message,
            );
            self.found.push(error.help("a part holds whole components"));
        }
        self.raw(Part::End, offset);
    }

    /// A part of the engine's where components stand.
    fn raw(&mut self, part: Part, offset: usize) {
        self.layout.map.push((self.layout.template.len(), offset));
        self.layout.template.push_str("<mj-raw>");
        self.part(part, offset);
        self.layout.map.push((self.layout.template.len(), offset));
        self.layout.template.push_str("</mj-raw>");
    }

    /// A component opens at `at`.
    pub(super) fn opens(&mut self, name: &str, at: usize) {
        if name.starts_with("mj-") {
            self.nest.open.push((name.to_owned(), at));
        }
    }

    /// A closing tag stands at `at`.
    pub(super) fn closes(&mut self, at: usize) {
        let rest = &self.text()[at + 2..];
        let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
        let name = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let name = name.to_ascii_lowercase();
        // What closes nothing is told by `mjml`.
        let Some(depth) = self.nest.open.iter().rposition(|(open, _)| *open == name) else {
            return;
        };
        self.nest.open.truncate(depth);
        if let Some((_, within)) = self.nest.parts.last_mut()
            && depth < *within
        {
            *within = depth;
            let message = format!("`</{name}>` closes what was opened before `:::only`");
            let length = name.len() + 3;
            let error = self.source.at(
                Severity::Error,
                self.base + at,
                length,
                "directive",
                message,
            );
            self.found
                .push(error.help("end the part with `:::` before it"));
        }
    }

    /// Tells the parts that never end.
    pub(super) fn unended(&mut self) {
        for (offset, _) in std::mem::take(&mut self.nest.parts) {
            let message = "this directive is never closed with `:::`";
            self.found
                .push(self.source.error(offset, "directive", message));
        }
    }
}
