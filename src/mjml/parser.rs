//! From text to the tree.
//!
//! Promises: all that npm's mjml accepts becomes the tree it means; faults are reported where they are and
//! the parser goes on, so that one run names them all; any text ends in bounded time and memory, without
//! recursion but for includes, which are bounded too. Leaves it to the validator whether a component may
//! stand where it does.

mod content;
mod include;
mod tag;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::mjml::entity;
use crate::mjml::files::Files;
use crate::mjml::finding::Findings;
use crate::mjml::lexer::{self, Mark};
use crate::mjml::origin::{Normal, Origins};
use crate::mjml::tree::{Content, Document, Element, File, FileId, Node, Raw, Span};

/// Octets of a document with all that it includes. More is no newsletter.
pub const SIZE_LIMIT: usize = 2 * 1024 * 1024;
/// No layout is nested this deep, and the renderer descends by recursion.
pub const DEPTH_LIMIT: usize = 48;

/// HTML elements that have no content and no closing tag.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// Reads a document and all that it includes. What is wrong goes into `findings`; what can be made of it
/// into the tree, which has no root where a limit was passed. `origins` tells where a generated text comes from.
pub fn read(
    name: &str,
    normal: &Normal<'_>,
    files: &dyn Files,
    origins: Option<&Origins>,
    findings: &mut Findings,
) -> Document {
    let mut reading = Reading {
        files,
        read: Vec::new(),
        findings,
        octets: 0,
        stopped: false,
        generated: origins.map(|origins| (origins, normal)),
    };
    let fragment = reading.file(name, &normal.text, None, 0);
    let (root, before) = reading.root(fragment);
    Document {
        files: reading.read,
        root,
        before,
    }
}

/// What all files of one document share.
struct Reading<'a> {
    files: &'a dyn Files,
    read: Vec<File>,
    findings: &'a mut Findings,
    octets: usize,
    /// Nothing more is worth reading: a limit was passed.
    stopped: bool,
    generated: Option<(&'a Origins, &'a Normal<'a>)>,
}

/// What a file comes to.
#[derive(Default)]
struct Fragment {
    nodes: Vec<Node>,
    /// What belongs at the end of the document's head: heads and styles of included files.
    head: Vec<Node>,
}

impl Reading<'_> {
    /// Parses one file, `depth` elements deep in the document.
    fn file(&mut self, name: &str, text: &str, from: Option<Span>, depth: usize) -> Fragment {
        let file = self.add(name, text.to_owned(), from);
        if self.stopped {
            return Fragment::default();
        }
        let mut walk = Walk {
            reading: self,
            text,
            file,
            depth,
            open: Vec::new(),
            nodes: Vec::new(),
            heads: Vec::new(),
            styles: Vec::new(),
            forced: Vec::new(),
            open_includes: 0,
        };
        walk.all();
        walk.finish()
    }

    /// Notes a file that was read, and its size.
    fn add(&mut self, name: &str, text: String, included_at: Option<Span>) -> FileId {
        let file = FileId(u32::try_from(self.read.len()).expect("the number of files is limited"));
        self.octets += text.len();
        let nul = memchr::memchr(0, text.as_bytes());
        self.read.push(File {
            name: name.to_owned(),
            text,
            included_at,
        });
        let span = |range| Span { file, range };
        if self.octets > SIZE_LIMIT {
            let message = format!(
                "the document is larger than {} MiB with all that it includes",
                SIZE_LIMIT / 1024 / 1024
            );
            self.findings.error(&span(0..0), "too-large", message);
            self.stopped = true;
        } else if let Some(at) = nul {
            let message = "a NUL character, which no mail may hold";
            self.findings.error(&span(at..at + 1), "nul", message);
        }
        file
    }

    /// The `<mjml>` of the first file, with all heads in its own.
    fn root(&mut self, fragment: Fragment) -> (Option<Element>, Vec<Node>) {
        let mut root = None;
        let mut before = Vec::new();
        for node in fragment.nodes {
            match node {
                Node::Element(element) if element.name == "mjml" && root.is_none() => {
                    root = Some(element);
                }
                Node::Element(element) if element.name == "mj-raw" && root.is_none() => {
                    before.push(Node::Element(element));
                }
                Node::Element(element) => {
                    let message = format!("`<{}>` stands outside `<mjml>`", element.name);
                    let code = "outside-root";
                    self.findings.error(&element.name_span, code, message);
                }
                Node::Text(raw) if !raw.text.trim().is_empty() => {
                    let message = "text outside `<mjml>` is left out";
                    self.findings.warning(&raw.span, "outside-root", message);
                }
                Node::Text(_) | Node::Comment(_) | Node::Html(_) => {}
            }
        }
        if self.stopped {
            return (None, before);
        }
        match &mut root {
            Some(root) => into_head(root, fragment.head),
            None => {
                let span = Span {
                    file: FileId(0),
                    range: 0..0,
                };
                let message = "there is no `<mjml>` element";
                let help = "a document is `<mjml><mj-body>...</mj-body></mjml>`";
                let findings = &mut self.findings;
                findings.error_with_help(&span, "no-root", message, help);
            }
        }
        (root, before)
    }
}

/// Adds to the end of the document's head, which is made if there is none.
fn into_head(root: &mut Element, added: Vec<Node>) {
    let span = root.span.clone();
    let Content::Nodes(nodes) = &mut root.content else {
        return;
    };
    if added.is_empty() {
        return;
    }
    let head = nodes.iter_mut().find_map(|node| match node {
        Node::Element(element) if element.name == "mj-head" => Some(element),
        _ => None,
    });
    match head.map(|head| &mut head.content) {
        Some(Content::Nodes(known)) => known.extend(added),
        _ => {
            let head = Element {
                name: "mj-head".into(),
                attributes: Vec::new(),
                content: Content::Nodes(added),
                span: span.clone(),
                name_span: span,
            };
            nodes.insert(0, Node::Element(head));
        }
    }
}

/// The walk through one file.
struct Walk<'a, 'b> {
    reading: &'a mut Reading<'b>,
    text: &'a str,
    file: FileId,
    /// Elements open in the files around this one.
    depth: usize,
    /// The elements open in this file, each with what it holds so far.
    open: Vec<(Element, Vec<Node>)>,
    nodes: Vec<Node>,
    heads: Vec<Node>,
    styles: Vec<Node>,
    /// Elements that were closed for the author, whose closing tags may still come.
    forced: Vec<String>,
    /// `<mj-include>` tags that may still be closed.
    open_includes: usize,
}

impl Walk<'_, '_> {
    fn all(&mut self) {
        let mut at = 0;
        while at < self.text.len() && !self.reading.stopped {
            let rest = &self.text.as_bytes()[at..];
            let next = memchr::memchr(b'<', rest).map_or(self.text.len(), |found| at + found);
            self.text_node(at..next);
            if next == self.text.len() {
                break;
            }
            at = self.mark(next);
            // An author mends what is listed first, and a hopeless text must not take long.
            if self.reading.findings.is_hopeless() {
                self.reading.stopped = true;
            }
        }
    }

    fn mark(&mut self, at: usize) -> usize {
        match lexer::mark(self.text, at) {
            Mark::Open { name } => self.open_tag(at, name),
            Mark::Close { name, end } => {
                self.close_tag(name, end);
                end
            }
            Mark::Comment { end, closed: true } => {
                let comment = self.raw(at..end);
                self.push(Node::Comment(comment));
                end
            }
            Mark::Comment { end, .. } => {
                self.unclosed_comment(at);
                end
            }
            Mark::Cdata { inner, end } => {
                self.text_node(inner);
                end
            }
            Mark::Declaration { end } => end,
            Mark::Stray => {
                let message = "this `<` opens no tag";
                let help = "write `&lt;` for a `<` that is shown";
                self.error_with_help(at..at + 1, "stray-less-than", message, help);
                at + 1
            }
        }
    }

    fn close_top(&mut self) {
        if let Some((mut element, nodes)) = self.open.pop() {
            element.content = Content::Nodes(nodes);
            self.push(Node::Element(element));
        }
    }

    /// Closes what is still open at the end of the file.
    fn finish(mut self) -> Fragment {
        while let Some((element, _)) = self.open.last() {
            if !self.reading.stopped {
                let message = format!("`<{}>` is never closed", element.name);
                let span = element.name_span.range.clone();
                self.error(span, "unclosed-element", message);
            }
            self.close_top();
        }
        self.heads.append(&mut self.styles);
        Fragment {
            nodes: self.nodes,
            head: self.heads,
        }
    }

    fn unclosed_comment(&mut self, at: usize) {
        let message = "this comment is never closed, and swallows the rest of the file";
        let help = "close it with `-->`";
        self.error_with_help(at..at + 4, "unclosed-comment", message, help);
        // What else is open is open because of it.
        while !self.open.is_empty() {
            self.close_top();
        }
    }

    fn entities(&mut self, range: Range<usize>) {
        let text = self.text;
        for bad in entity::bad(&text[range.clone()]) {
            let at = range.start + bad.range.start..range.start + bad.range.end;
            let message = format!("`{}` is shown as it stands: {}", &text[at.clone()], bad.why);
            let help = "write `&amp;` for an `&` that is shown";
            self.error_with_help(at, "bad-entity", message, help);
        }
    }

    fn text_node(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            let text = self.raw(range);
            self.push(Node::Text(text));
        }
    }

    fn push(&mut self, node: Node) {
        match self.open.last_mut() {
            Some((_, nodes)) => nodes.push(node),
            None => self.nodes.push(node),
        }
    }

    fn raw(&self, range: Range<usize>) -> Raw {
        Raw {
            text: self.text[range.clone()].to_owned(),
            span: self.span(range),
        }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span {
            file: self.file,
            range,
        }
    }

    fn error(&mut self, range: Range<usize>, code: &'static str, message: impl Into<String>) {
        let span = self.span(range);
        self.reading.findings.error(&span, code, message);
    }

    fn error_with_help(
        &mut self,
        range: Range<usize>,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let span = self.span(range);
        let findings = &mut self.reading.findings;
        findings.error_with_help(&span, code, message, help);
    }
}

fn with_raw(element: Element, content: Raw) -> Node {
    Node::Element(Element {
        content: Content::Raw(content),
        ..element
    })
}

fn is_void(name: &str) -> bool {
    VOID.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn line_of(text: &str, offset: usize) -> usize {
    memchr::memchr_iter(b'\n', &text.as_bytes()[..offset]).count() + 1
}
