//! MJML to HTML: a parsed document becomes the page that mail programs show.
//!
//! Promises: looks as mjml 5 makes it look; what an author wrote inside components and attributes comes out
//! byte for byte; nothing of other hosts is added unless asked; the same document gives the same HTML.
//! Leaves it to the validator to say what is wrong in a document: what mjml would drop is dropped here.

mod accordion;
mod ast;
mod attributes;
mod basics;
mod body;
mod carousel;
mod column;
mod head;
mod hero;
mod html;
mod image;
mod inline;
mod measure;
mod navbar;
mod page;
mod section;
mod social;
mod table;
mod tags;

use crate::diagnostic::Severity;
use crate::mjml::Options;
use crate::mjml::finding::Finding;
use crate::mjml::render::body::Body;
use crate::mjml::render::head::Head;
use crate::mjml::render::page::Root;
use crate::mjml::tree::{Content, Document, Element, FileId, Node, Span};
use crate::mjml::validate::icons;

/// A rendered document.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub html: String,
    /// Where the components of the body were written, by the number of their class.
    pub marks: Vec<Span>,
}

/// Renders a document. Without `<mjml>` and `<mj-body>`, nested too deep, or with an icon that must not be
/// fetched, it is no page.
pub fn render(document: &Document, options: &Options) -> Result<Rendered, Finding> {
    let start = Span {
        file: FileId(0),
        range: 0..0,
    };
    let Some(mjml) = &document.root else {
        return Err(refusal(&start, "there is no `<mjml>` element"));
    };
    let find = |name: &str| mjml.elements().find(|element| element.name == name);
    let Some(element) = find("mj-body") else {
        return Err(refusal(&mjml.span, "there is no `<mj-body>` in `<mjml>`"));
    };
    let mut head = Head::read(find("mj-head"));
    head.cascade.foreign_icons = options.foreign_icons;
    let root = Root {
        lang: truthy(mjml, "lang").unwrap_or("und"),
        dir: truthy(mjml, "dir").unwrap_or("auto"),
        wide_owa: mjml.attribute("owa") == Some("desktop"),
        before: before(document, mjml),
    };
    let octets = document.files.iter().map(|file| file.text.len()).sum();
    let mut body = Body::new(&head, options, octets);
    body.render(element, root.lang, root.dir);
    if let Some(span) = &body.too_deep {
        return Err(refusal(span, "nested too deep; no layout needs this"));
    }
    if let Some(span) = &body.foreign_icon {
        return Err(Finding {
            help: Some(icons::HELP.into()),
            ..refusal(span, icons::MESSAGE)
        });
    }
    let too_deep = || {
        let message = "the HTML is nested too deep for selectors to be looked up in it";
        refusal(&element.span, message)
    };
    let (written, drawings) = std::mem::take(&mut body.html).into_parts();
    let drawn = ast::draw(&written, drawings, &document.files);
    let mut html = drawn.map_err(|error| {
        let message = format!("mrml cannot draw what stands in it: {error}");
        refusal(&element.span, &message)
    })?;
    if !head.html_attributes.is_empty() {
        html = inline::set_attributes(&html, &head.html_attributes).ok_or_else(too_deep)?;
    }
    let mut html = page::page(&root, &body, &html);
    if !head.inline.is_empty() {
        html = inline::inline_styles(&html, &head.inline.concat()).ok_or_else(too_deep)?;
    }
    Ok(Rendered {
        html,
        marks: body.marks,
    })
}

/// What stands before the doctype.
fn before<'a>(document: &'a Document, mjml: &'a Element) -> Vec<&'a str> {
    let nodes: &[Node] = match &mjml.content {
        Content::Nodes(nodes) => nodes,
        Content::Raw(_) => &[],
    };
    let at_start = |node: &'a Node| match node {
        Node::Element(raw) if raw.name == "mj-raw" => {
            let at_start = raw.attribute("position") == Some("file-start");
            at_start.then(|| head::raw_text(raw))
        }
        _ => None,
    };
    let outside = document.before.iter().filter_map(|node| match node {
        Node::Element(raw) => Some(head::raw_text(raw)),
        Node::Html(raw) => Some(raw.text.trim()),
        Node::Comment(_) | Node::Text(_) => None,
    });
    outside.chain(nodes.iter().filter_map(at_start)).collect()
}

fn truthy<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    let value = element.attribute(name)?;
    Some(value).filter(|value| !value.is_empty())
}

fn refusal(span: &Span, message: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "mjml-structure",
        span: span.clone(),
        message: message.to_owned(),
        help: None,
    }
}

#[cfg(test)]
mod tests;
