//! From spans of the tree to what an author is told: file, line, column, and who included the file.

use crate::diagnostic::{Diagnostic, Place, Provenance, Severity, Source};
use crate::mjml::finding::Finding;
use crate::mjml::origin::{Normal, Origins};
use crate::mjml::tree::{File, FileId, Span};

/// The files of a document, and where the first of them comes from if it was generated.
pub struct Atlas<'a> {
    pub files: &'a [File],
    pub generated: Option<(&'a Origins, &'a Normal<'a>)>,
}

/// A span in terms of the author's files.
struct Spot<'a> {
    source: Source<'a>,
    offset: usize,
    length: usize,
}

impl<'a> Atlas<'a> {
    /// What the author is told, as grave as `severity` says.
    pub fn diagnostic(&self, finding: &Finding, severity: Severity) -> Diagnostic {
        let spot = self.spot(&finding.span);
        let (code, message) = (finding.code, finding.message.as_str());
        let told = spot
            .source
            .at(severity, spot.offset, spot.length, code, message);
        Diagnostic {
            help: finding.help.clone(),
            via: self.via(&finding.span),
            ..told
        }
    }

    /// Where spans begin; as many as there are components, so lines are counted once.
    pub fn places(&self, spans: &[Span]) -> Vec<Provenance> {
        let mut lines: Vec<(*const u8, Vec<usize>)> = Vec::new();
        let mut place = |spot: Spot<'a>| {
            let Spot { source, offset, .. } = spot;
            let start = source.text.as_ptr();
            let known = lines.iter().position(|(text, _)| *text == start);
            let index = known.unwrap_or_else(|| {
                let ends = memchr::memchr_iter(b'\n', source.text.as_bytes());
                lines.push((start, ends.map(|end| end + 1).collect()));
                lines.len() - 1
            });
            let starts = &lines[index].1;
            let line = starts.partition_point(|&start| start <= offset);
            let line_start = line.checked_sub(1).map_or(0, |before| starts[before]);
            let offset = source.text.floor_char_boundary(offset);
            let before = source.text.get(line_start..offset).unwrap_or_default();
            Place {
                file: source.file.to_owned(),
                line: line + 1,
                column: before.chars().count() + 1,
            }
        };
        let mut next = spans.iter().skip(1).map(|span| span.range.start);
        let written = |span: &Span| {
            let until = next.next().unwrap_or(usize::MAX);
            let Some(data) = self.data(span, until) else {
                let place = place(self.spot(span));
                return Provenance { place, drawn: None };
            };
            let (place, drawn) = (place(data), place(self.spot(span)));
            let drawn = Some(drawn).filter(|drawn| drawn.file != place.file);
            Provenance { place, drawn }
        };
        spans.iter().map(written).collect()
    }

    /// What a generated component shows: the first place without extent that was put into it before the
    /// next component begins. That is the author's data, and the component itself is the theme's.
    fn data(&self, span: &Span, until: usize) -> Option<Spot<'a>> {
        let (origins, normal) = self.generated.filter(|_| span.file == FileId(0))?;
        let start = normal.original(span.range.start);
        let until = if until == usize::MAX {
            until
        } else {
            normal.original(until)
        };
        let after = origins.stretches.partition_point(|known| known.at < start);
        let mut within = origins.stretches[after..]
            .iter()
            .take_while(|known| known.at < until);
        let shown = within.find(|known| known.length == 0)?;
        let (file, text) = origins.files.get(shown.file)?;
        Some(Spot {
            source: Source { file, text },
            offset: shown.offset,
            length: 0,
        })
    }

    fn spot(&self, span: &Span) -> Spot<'a> {
        let (offset, length) = (span.range.start, span.range.len());
        let origin = self.origin(span);
        if let Some((origins, origin)) = origin
            && let Some((file, text)) = origins.files.get(origin.file)
        {
            return Spot {
                source: Source { file, text },
                offset: origin.offset,
                length: length.min(origin.length),
            };
        }
        let file = &self.files[span.file.0 as usize];
        let source = Source {
            file: &file.name,
            text: &file.text,
        };
        Spot {
            source,
            offset,
            length,
        }
    }

    fn origin(&self, span: &Span) -> Option<(&'a Origins, crate::mjml::origin::Origin)> {
        let (origins, normal) = self.generated.filter(|_| span.file == FileId(0))?;
        let offset = normal.original(span.range.start);
        Some((origins, origins.locate(offset)?))
    }

    fn via(&self, span: &Span) -> Vec<Place> {
        let mut via = Vec::new();
        let mut at = span;
        while let Some(include) = &self.files[at.file.0 as usize].included_at {
            let Spot { source, offset, .. } = self.spot(include);
            via.push(place(source, offset));
            at = include;
        }
        if let Some((origins, origin)) = self.origin(at) {
            for stretch in origins.chain(origin.via) {
                if let Some((file, text)) = origins.files.get(stretch.file) {
                    // The file is brought in where the stretch ends.
                    let end = stretch.offset + stretch.length;
                    via.push(place(Source { file, text }, end));
                }
            }
        }
        via
    }
}

fn place(source: Source<'_>, offset: usize) -> Place {
    let (line, column) = source.place(offset);
    Place {
        file: source.file.to_owned(),
        line,
        column,
    }
}
