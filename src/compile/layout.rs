//! From a theme's layout to the HTML part, with every place on the way back.
//!
//! Promises: what is wrong in a layout, a partial or the author's own components is told in the file and at
//! the line where it was written, with who brought it in. Leaves rendering to `mjml`.

use std::ops::Range;

use crate::compile::Template;
use crate::compile::markup::PLACE;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::press::Press;
use crate::compile::theme::Theme;
use crate::compile::theme::trace::Stretch as Traced;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::issue::Issue;
use crate::issue::block::{Block, Inline};
use crate::mjml::files::Files;
use crate::mjml::origin::{Origins, Stretch};
use crate::mjml::{Options, compile_generated};

/// What stands around components of the author's that are tried alone.
pub(super) const AROUND: (&str, &str) = (
    "<mjml><mj-body><mj-section><mj-column>",
    "</mj-column></mj-section></mj-body></mjml>",
);

impl Press<'_> {
    /// The HTML part, and the places of its blocks where they are asked for.
    pub(super) fn html(&mut self, inputs: &[&str]) -> Option<(Template, Vec<Place>)> {
        let mut places = Placeholders::unlike(inputs);
        let mut marks = self.theme.marks(inputs.iter().copied());
        let context = self.context(&mut places, &mut marks);
        let layout = self.theme.layout(&context, &marks);
        let layout = layout.map_err(|error| self.found.push(error)).ok()?;
        let (mjml, traced) = marks.trace(&layout);
        let origins = self.origins(traced);
        let options = Options {
            mark: self.options.annotate,
            ..Options::default()
        };
        let mut rendering = compile_generated(&mjml, &origins, &Snapshot(self.theme), &options);
        // A partial may be brought in many times; each fault in it is told once.
        for told in std::mem::take(&mut rendering.diagnostics) {
            let place = |known: &Diagnostic| (known.line, known.column, known.code);
            let mut known = self.found.iter();
            if !known.any(|known| place(known) == place(&told) && known.file == told.file) {
                self.found.push(told);
            }
        }
        let html = rendering.html?;
        let (html, shown) = match self.options.annotate {
            true => self.number(&html, rendering.marks),
            false => (html, Vec::new()),
        };
        let html = self.with_notes(html, &mut places);
        let html = self.rewrite_remaining(&html, &mut places);
        let html = self.with_pixel(html);
        let html = self.with_sizes(&html, &places);
        self.check_html(&html);
        let html = self.split(&places, &html, "HTML")?;
        Some((html, shown))
    }

    /// Components the author wrote are tried alone first: they must not close what stands around them.
    pub(super) fn check_components(&mut self, inputs: &[&str]) {
        try_components(self.issue, self.theme, inputs, self.found);
    }

    /// The theme's files and the issue, as the marks count them.
    fn origins(&self, traced: Vec<Traced>) -> Origins {
        let name = &self.theme.name;
        let files = self.theme.templates();
        let files = files.map(|(path, text)| (format!("themes/{name}/{path}"), text.to_owned()));
        let issue = (self.issue.file.clone(), self.issue.text.clone());
        let stretches = traced
            .into_iter()
            .map(|Traced { at, origin, via }| Stretch {
                at,
                file: origin.file,
                offset: origin.offset,
                length: origin.length,
                via,
            });
        Origins {
            files: files.chain(std::iter::once(issue)).collect(),
            stretches: stretches.collect(),
        }
    }

    /// Gives the blocks of Markdown numbers behind those of the components.
    fn number(&self, html: &str, mut places: Vec<Place>) -> (String, Vec<Place>) {
        let mut out = String::with_capacity(html.len());
        let mut pieces = html.split(PLACE);
        out.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (line, column) = self
                .issue
                .source()
                .place(piece[..digits].parse().unwrap_or_default());
            out.push_str(&format!("pr-at-{}{}", places.len(), &piece[digits..]));
            places.push(Place {
                file: self.issue.file.clone(),
                line,
                column,
            });
        }
        (out, places)
    }
}

/// What is wrong with the components of an issue in Markdown, each block tried alone.
pub(crate) fn try_components(
    issue: &Issue,
    theme: &Theme,
    inputs: &[&str],
    found: &mut Vec<Diagnostic>,
) {
    for block in issue.blocks() {
        let Block::Mjml { source, offset } = block else {
            continue;
        };
        let closes = issue.placed(source, *offset).into_iter();
        let mut open = Vec::new();
        let closes: Vec<(Range<usize>, String)> = closes
            .flat_map(|(at, inline)| match inline {
                Inline::Text(text) => closed_around(text, at, &mut open),
                _ => Vec::new(),
            })
            .collect();
        for (range, name) in &closes {
            let message = format!("`</{name}>` closes what the theme opened around `:::mjml`");
            let (severity, length) = (Severity::Error, range.len());
            let source = issue.source();
            let error = source.at(severity, range.start, length, "stray-closing-tag", message);
            let help = "take it out: components in `:::mjml` stand within one column";
            found.push(error.help(help));
        }
        if !closes.is_empty() {
            continue;
        }
        let mut words = Placeholders::unlike(inputs);
        let mut text = AROUND.0.to_owned();
        let mut stretches = vec![stretch(0, *offset, 0)];
        for (at, inline) in issue.placed(source, *offset) {
            match inline {
                Inline::Text(written) => {
                    stretches.push(stretch(text.len(), at, written.len()));
                    text.push_str(written);
                }
                // A slot is a harmless word.
                _ => {
                    let empty = Filling::Literal(String::new());
                    stretches.push(stretch(text.len(), at, 0));
                    text.push_str(&words.put(empty, Wanted::Any, "a slot"));
                }
            }
        }
        let end = source_end(&stretches, *offset);
        stretches.push(stretch(text.len(), end, 0));
        text.push_str(AROUND.1);
        let origins = Origins {
            files: vec![(issue.file.clone(), issue.text.clone())],
            stretches,
        };
        let files = Snapshot(theme);
        let rendering = compile_generated(&text, &origins, &files, &Options::default());
        let errors = rendering.diagnostics.into_iter();
        found.extend(errors.filter(Diagnostic::is_error));
    }
}

/// Closing tags in a stretch of the author's components that close none of theirs, with the place of their
/// names; `open` are the elements open so far. Leaves all other faults to `mjml`.
fn closed_around(text: &str, base: usize, open: &mut Vec<String>) -> Vec<(Range<usize>, String)> {
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
                found.push((base + from..base + to, name));
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

fn source_end(stretches: &[Stretch], offset: usize) -> usize {
    stretches
        .last()
        .map_or(offset, |last| last.offset + last.length)
}

/// The files that a layout may include: those of its theme.
pub(super) struct Snapshot<'a>(pub(super) &'a Theme);

impl Files for Snapshot<'_> {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        let home = format!("themes/{}/", self.0.name);
        let inner = path
            .strip_prefix(&home)
            .ok_or_else(|| format!("only files of the theme `{}` can be included", self.0.name))?;
        Ok(self.0.files.get(inner).cloned())
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
            let each = found.into_iter().map(|(range, name)| (range.start, name));
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
