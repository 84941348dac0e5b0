//! From a theme's layout to the HTML part, with every place on the way back.
//!
//! Promises: what is wrong in a layout, a partial or the author's own components is told in the file and at
//! the line where it was written, with who brought it in. Leaves rendering to `mjml`.

use crate::compile::Template;
use crate::compile::markup::PLACE;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::press::Press;
use crate::compile::theme::Theme;
use crate::compile::theme::trace::{Marks, Stretch as Traced};
use crate::diagnostic::{Diagnostic, Place};
use crate::issue::block::{Block, Inline};
use crate::mjml::files::Files;
use crate::mjml::origin::{Origins, Stretch};
use crate::mjml::{Options, compile_generated};

/// What stands around components of the author's that are tried alone.
const AROUND: (&str, &str) = (
    "<mjml><mj-body><mj-section><mj-column>",
    "</mj-column></mj-section></mj-body></mjml>",
);

impl Press<'_> {
    /// The HTML part, and the places of its blocks where they are asked for.
    pub(super) fn html(&mut self, inputs: &[&str]) -> Option<(Template, Vec<Place>)> {
        let mut places = Placeholders::unlike(inputs);
        let mut marks = Marks::unlike(inputs.iter().copied());
        let context = self.context(&mut places, &mut marks);
        let layout = self.theme.layout(&context, &mut marks);
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
        let html = self.rewrite_remaining(&html, &mut places);
        let html = self.with_pixel(html);
        let html = self.with_sizes(&html);
        self.check_html(&html);
        let html = self.split(&places, &html, "HTML")?;
        Some((html, shown))
    }

    /// Components the author wrote are tried alone first: they must not close what stands around them.
    pub(super) fn check_components(&mut self, inputs: &[&str]) {
        let issue = self.issue;
        let blocks = issue.intro.iter().chain(&issue.outro);
        let items = issue.items.iter().flat_map(|item| &item.blocks);
        for block in blocks.chain(items) {
            let Block::Mjml { source, offset } = block else {
                continue;
            };
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
            let files = Snapshot(self.theme);
            let rendering = compile_generated(&text, &origins, &files, &Options::default());
            let errors = rendering.diagnostics.into_iter();
            let errors: Vec<Diagnostic> = errors.filter(Diagnostic::is_error).collect();
            if errors.is_empty() {
                let message = "what stands in `:::mjml` is missing from the text part";
                let warning = issue.source().warning(*offset, "mjml-text", message);
                self.found.push(warning);
            }
            self.found.extend(errors);
        }
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
