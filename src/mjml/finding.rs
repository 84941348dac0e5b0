//! What the parser, the validator and the builder have to say, while it still points into the tree.

use crate::diagnostic::Severity;
use crate::mjml::tree::Span;

/// An author mends the first ones first; more than this is noise.
pub const LIMIT: usize = 50;
/// Where nobody counts on.
const HOPELESS: usize = 1_000;

/// A finding in terms of the document's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub code: &'static str,
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
}

/// The findings of one document, at most [`LIMIT`] of them; errors take the place of warnings.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    /// How many there were beyond the limit.
    pub dropped: usize,
    errors: usize,
}

/// How many findings there are beyond those that are told.
pub fn more(dropped: usize) -> String {
    match dropped + LIMIT > HOPELESS {
        true => format!("and more than {} more; mend these first", HOPELESS - LIMIT),
        false => format!("and {dropped} more; mend these first"),
    }
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

    pub fn warning_with_help(
        &mut self,
        span: &Span,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(
            Severity::Warning,
            span,
            code,
            message.into(),
            Some(help.into()),
        );
    }

    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there are more errors than are counted.
    pub fn is_hopeless(&self) -> bool {
        self.errors > HOPELESS
    }

    /// Whether no further warning is kept.
    pub fn is_full(&self) -> bool {
        self.list.len() >= LIMIT
    }

    fn push(
        &mut self,
        severity: Severity,
        span: &Span,
        code: &'static str,
        message: String,
        help: Option<String>,
    ) {
        self.errors += usize::from(severity == Severity::Error);
        if self.is_full() {
            self.dropped += 1;
            // An error must not be lost among warnings: it stops the document.
            let mut list = self.list.iter();
            let warning = list.rposition(|finding| finding.severity == Severity::Warning);
            match warning {
                Some(warning) if severity == Severity::Error => self.list.remove(warning),
                _ => return,
            };
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
