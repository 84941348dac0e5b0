//! MJML to HTML: parser, includes, validator and renderer behind one function.
//!
//! Promises: no file and no network is read but through [`Files`]; newlines may be of any kind; findings
//! stand at their place in the author's own file; no text makes it panic, and what panics below is a
//! finding. What other hosts hold is added only where the document names it, or the caller asks for it.

pub mod components;
pub mod entity;
pub mod files;
pub mod finding;
mod lexer;
pub mod origin;
pub mod parser;
mod place;
pub mod render;
mod selector;
mod sheet;
pub mod tree;
pub mod validate;
pub mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::diagnostic::{Diagnostic, Provenance, Severity};
use crate::mjml::files::Files;
use crate::mjml::finding::{Finding, Findings};
use crate::mjml::origin::{Normal, Origins};
use crate::mjml::place::Atlas;
use crate::mjml::tree::{Document, FileId, Span};

/// How strictly a document is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// An error stops the document.
    #[default]
    Strict,
    /// Errors are told as warnings, and what can be rendered is.
    Soft,
    /// As soft, and components, attributes and values are not looked at.
    Skip,
}

/// How a document is read and drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub level: Level,
    /// Gives every component of the body that takes a `css-class` one more, `pr-at-<n>`, where `n` is its
    /// index in [`Rendering::marks`].
    pub mark: bool,
    /// Takes icons that the document does not name from the hosts where mjml takes them. Otherwise signs
    /// stand for them, and a network's that is not named is an error.
    pub foreign_icons: bool,
}

/// What a document comes to.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// Absent where an error stopped it.
    pub html: Option<String>,
    /// At most 50, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// Where the marked components were written.
    pub marks: Vec<Provenance>,
    /// How many findings there were beyond those in `diagnostics`.
    pub dropped: usize,
}

/// Compiles a document. `name` is its path below the root of `files`, from which includes start.
pub fn compile(name: &str, text: &str, files: &dyn Files, options: &Options) -> Rendering {
    compile_from(name, text, None, files, options)
}

/// Compiles MJML that was generated from the author's files: findings and marks point into those.
pub fn compile_generated(
    text: &str,
    origins: &Origins,
    files: &dyn Files,
    options: &Options,
) -> Rendering {
    let name = origins.files.first().map_or("", |(name, _)| name.as_str());
    compile_from(name, text, Some(origins), files, options)
}

/// The tree of a document and of all that it includes; what is wrong with its syntax goes into `findings`.
pub fn parse(name: &str, text: &str, files: &dyn Files, findings: &mut Findings) -> Document {
    parser::read(name, &Normal::of(text), files, None, findings)
}

fn compile_from(
    name: &str,
    text: &str,
    origins: Option<&Origins>,
    files: &dyn Files,
    options: &Options,
) -> Rendering {
    let normal = Normal::of(text);
    let mut findings = Findings::default();
    let document = parser::read(name, &normal, files, origins, &mut findings);
    if options.level != Level::Skip && document.root.is_some() {
        validate::validate(&document, &mut findings);
        if !options.foreign_icons {
            validate::icons::check(&document, &mut findings);
        }
    }
    let stopped = options.level == Level::Strict && findings.has_errors();
    let rendered = (!stopped && document.root.is_some())
        .then(|| rendered(&document, options))
        .transpose();

    let atlas = Atlas {
        files: &document.files,
        generated: origins.map(|origins| (origins, &normal)),
    };
    let mut list: Vec<&Finding> = findings.list().iter().collect();
    list.sort_by_key(|finding| (finding.span.file, finding.span.range.start));
    let has_html = matches!(rendered, Ok(Some(_)));
    let severity = |finding: &Finding| match has_html {
        true => Severity::Warning,
        false => finding.severity,
    };
    let told = |finding: &&Finding| atlas.diagnostic(finding, severity(finding));
    let mut diagnostics: Vec<Diagnostic> = list.iter().map(told).collect();
    let (html, marks) = match rendered {
        Ok(Some(rendered)) => (Some(rendered.html), atlas.places(&rendered.marks)),
        Ok(None) => (None, Vec::new()),
        Err(finding) => {
            diagnostics.push(atlas.diagnostic(&finding, Severity::Error));
            (None, Vec::new())
        }
    };
    Rendering {
        html,
        diagnostics,
        marks,
        dropped: findings.dropped,
    }
}

fn rendered(document: &Document, options: &Options) -> Result<render::Rendered, Finding> {
    let rendered = catch_unwind(AssertUnwindSafe(|| render::render(document, options)));
    rendered.unwrap_or_else(|_| {
        Err(Finding {
            severity: Severity::Error,
            code: "renderer",
            span: Span {
                file: FileId(0),
                range: 0..0,
            },
            message: "the renderer stopped in the middle of it".into(),
            help: Some("this is a fault of pressrun; please report it with this file".into()),
        })
    })
}
