//! The tree that the parser gives, the validator judges and the builder renders from.
//!
//! Promises: every name, value and text knows where its author wrote it, over all included files.
//! Leaves it open whether a name is a component, an attribute or a mistake.

use std::ops::Range;

/// Index into [`Document::files`]; 0 is the file that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A stretch of one file, in octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub file: FileId,
    pub range: Range<usize>,
}

/// A file that was read: the one asked for, or one included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// As the author knows it.
    pub name: String,
    /// With `\n` only, without a byte order mark.
    pub text: String,
    /// The `mj-include` that brought it in; absent for the first one.
    pub included_at: Option<Span>,
}

/// A parsed document, includes resolved.
#[derive(Clone, Debug)]
pub struct Document {
    pub files: Vec<File>,
    /// The `<mjml>` element; absent where none could be recovered.
    pub root: Option<Element>,
    /// What stands before the root and comes out before the doctype: `mj-raw position="file-start"`.
    pub before: Vec<Node>,
}

/// A component, or an HTML element among components.
#[derive(Clone, Debug)]
pub struct Element {
    /// As written, in lower case for components.
    pub name: String,
    pub attributes: Vec<Attribute>,
    pub content: Content,
    /// From `<` to `>` of the opening tag.
    pub span: Span,
    pub name_span: Span,
}

/// What stands between the tags.
#[derive(Clone, Debug)]
pub enum Content {
    /// Components and what stands between them.
    Nodes(Vec<Node>),
    /// The text of a component that holds HTML (`mj-text`, `mj-raw`, `mj-style` ...), byte for byte.
    Raw(Raw),
}

/// HTML or CSS as its author wrote it.
#[derive(Clone, Debug)]
pub struct Raw {
    pub text: String,
    pub span: Span,
}

/// What may stand within a component.
#[derive(Clone, Debug)]
pub enum Node {
    Element(Element),
    /// Text between components, blank or not; entities as written.
    Text(Raw),
    /// A whole comment with its `<!--` and `-->`, conditional or not.
    Comment(Raw),
    /// HTML brought in by `mj-include type="html"`.
    Html(Raw),
}

/// An attribute as its author wrote it, with its places.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: String,
    /// Without its quotes, entities as written.
    pub value: String,
    pub name_span: Span,
    pub value_span: Span,
}

impl Element {
    /// The value of an attribute, as written.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|found| found.name == name);
        found.map(|found| found.value.as_str())
    }

    /// The elements directly within.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        let nodes: &[Node] = match &self.content {
            Content::Nodes(nodes) => nodes,
            Content::Raw(_) => &[],
        };
        nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            _ => None,
        })
    }
}
