//! Documents for the tests of the validator.

use crate::diagnostic::Severity;
use crate::mjml::files::NoFiles;
use crate::mjml::finding::{Finding, Findings};
use crate::mjml::parse;
use crate::mjml::tree::Document;
use crate::mjml::validate::validate;

/// What is found in a document, in full.
pub fn findings(text: &str) -> Vec<Finding> {
    let document = document(text);
    let mut found = Findings::default();
    validate(&document, &mut found);
    found.list().to_vec()
}

/// What is found, one line each: severity, code, text at fault, message and help.
pub fn told(text: &str) -> Vec<String> {
    let line = |finding: Finding| {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let at = &text[finding.span.range];
        let help = finding.help.unwrap_or_default();
        format!(
            "{severity} {} [{at}] {} ({help})",
            finding.code, finding.message
        )
    };
    findings(text).into_iter().map(line).collect()
}

/// What is found in components that stand in a column.
pub fn told_of(content: &str) -> Vec<String> {
    told(&format!(
        "<mjml><mj-body><mj-section><mj-column>{content}</mj-column></mj-section></mj-body></mjml>"
    ))
}

/// The tree of a text without faults of syntax.
pub fn document(text: &str) -> Document {
    let mut found = Findings::default();
    let document = parse("a.mjml", text, &NoFiles, &mut found);
    assert!(found.list().is_empty(), "{found:?}");
    document
}
