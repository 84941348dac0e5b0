//! From a theme's layout to the HTML part, with every place on the way back.
//!
//! Promises: what is wrong in a layout, a partial or the author's own components is told in the file and at
//! the line where it was written, with who brought it in. Leaves rendering to `mjml`.

use crate::compile::Template;
use crate::compile::apart::{beyond, try_components};
use crate::compile::markup::PLACE;
use crate::compile::placeholder::Placeholders;
use crate::compile::press::Press;
use crate::compile::theme::Theme;
use crate::compile::theme::trace::Stretch as Traced;
use crate::diagnostic::{Diagnostic, Place, Provenance};
use crate::mjml::files::Files;
use crate::mjml::origin::{Origins, Stretch};
use crate::mjml::{Options, compile_generated};

impl Press<'_> {
    /// The HTML part, and the places of its blocks where they are asked for.
    pub(super) fn html(&mut self, inputs: &[&str]) -> Option<(Template, Vec<Provenance>)> {
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
        let more = rendering
            .diagnostics
            .last()
            .filter(|_| rendering.dropped > 0);
        let more = more.map(|last| beyond(last, rendering.dropped));
        // A partial may be brought in many times; each fault in it is told once.
        for told in std::mem::take(&mut rendering.diagnostics) {
            let place = |known: &Diagnostic| (known.line, known.column, known.code);
            let mut known = self.found.iter();
            if !known.any(|known| place(known) == place(&told) && known.file == told.file) {
                self.found.push(told);
            }
        }
        self.found.extend(more);
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
    fn number(&self, html: &str, mut places: Vec<Provenance>) -> (String, Vec<Provenance>) {
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
            let file = self.issue.file.clone();
            let place = Place { file, line, column };
            places.push(Provenance { place, drawn: None });
        }
        (out, places)
    }
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
