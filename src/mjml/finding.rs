//! What the parser, the validator and the builder have to say, while it still points into the tree.

use crate::diagnostic::Severity;
use crate::mjml::tree::Span;

/// An author mends the first ones first; more than this is noise.
const LIMIT: usize = 50;

/// A finding in terms of the document's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub code: &'static str,
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
}

/// The findings of one document, at most [`LIMIT`] of them.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    /// How many there were beyond the limit.
    pub dropped: usize,
}

impl Findings {
    pub fn error(&mut self, span: &Span, code: &'static str, message: impl Into<String>) {
        self.push(Severity::Error, span, code, message.into(), None);
    }

    pub fn error_with_help(
        &mut self,
        span: &Span,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(
            Severity::Error,
            span,
            code,
            message.into(),
            Some(help.into()),
        );
    }

    pub fn warning(&mut self, span: &Span, code: &'static str, message: impl Into<String>) {
        self.push(Severity::Warning, span, code, message.into(), None);
    }

    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    pub fn has_errors(&self) -> bool {
        let mut list = self.list.iter();
        list.any(|finding| finding.severity == Severity::Error)
    }

    fn push(
        &mut self,
        severity: Severity,
        span: &Span,
        code: &'static str,
        message: String,
        help: Option<String>,
    ) {
        if self.list.len() >= LIMIT {
            self.dropped += 1;
            return;
        }
        self.list.push(Finding {
            severity,
            code,
            span: span.clone(),
            message,
            help,
        });
    }
}
