//! Documents for the tests of the validator.

use crate::diagnostic::Severity;
use crate::mjml::components::is_ending;
use crate::mjml::finding::{Finding, Findings};
use crate::mjml::tree::{Attribute, Content, Document, Element, File, FileId, Node, Raw, Span};
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

/// Reads a well-formed document with double quotes only.
pub fn document(text: &str) -> Document {
    let mut reader = Reader { text, at: 0 };
    let mut nodes = reader.nodes();
    let root = nodes
        .iter()
        .position(|node| matches!(node, Node::Element(_)));
    let root = root.map(|index| nodes.remove(index));
    let root = match root {
        Some(Node::Element(element)) => Some(element),
        _ => None,
    };
    let file = File {
        name: "a.mjml".into(),
        text: text.into(),
        included_at: None,
    };
    Document {
        files: vec![file],
        root,
        before: Vec::new(),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn nodes(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        while self.at < self.text.len() && !self.rest().starts_with("</") {
            if self.rest().starts_with("<!--") {
                nodes.push(Node::Comment(self.until("-->", 3)));
            } else if self.rest().starts_with('<') {
                nodes.push(Node::Element(self.element()));
            } else {
                nodes.push(Node::Text(self.until("<", 0)));
            }
        }
        nodes
    }

    fn element(&mut self) -> Element {
        let start = self.at;
        self.at += 1;
        let name = self.until_any(&[' ', '>', '/']);
        let mut attributes = Vec::new();
        while self.rest().starts_with(' ') {
            self.at += 1;
            if self.rest().starts_with('/') {
                break;
            }
            let name = self.until("=", 0);
            self.at += 2;
            let value = self.until("\"", 0);
            self.at += 1;
            attributes.push(Attribute {
                name: name.text,
                value: value.text,
                name_span: name.span,
                value_span: value.span,
            });
        }
        let closed = self.rest().starts_with('/');
        self.at += if closed { 2 } else { 1 };
        let span = self.span(start);
        let end = format!("</{}>", name.text);
        let content = if is_ending(&name.text) && !closed {
            Content::Raw(self.until(&end, 0))
        } else if closed {
            Content::Nodes(Vec::new())
        } else {
            Content::Nodes(self.nodes())
        };
        if !closed {
            assert!(self.rest().starts_with(&end), "{end} {}", self.rest());
            self.at += end.len();
        }
        Element {
            name: name.text,
            attributes,
            content,
            span,
            name_span: name.span,
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn span(&self, start: usize) -> Span {
        Span {
            file: FileId(0),
            range: start..self.at,
        }
    }

    fn until(&mut self, end: &str, more: usize) -> Raw {
        let length = self
            .rest()
            .find(end)
            .map_or(self.rest().len(), |at| at + more);
        self.take(length)
    }

    fn until_any(&mut self, ends: &[char]) -> Raw {
        let length = self.rest().find(ends).expect("an end");
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Raw {
        let start = self.at;
        self.at += length;
        Raw {
            text: self.text[start..self.at].into(),
            span: self.span(start),
        }
    }
}
