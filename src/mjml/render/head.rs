//! What `mj-head` says about the whole page.

use crate::mjml::render::attributes::Cascade;
use crate::mjml::tree::{Content, Element, Node};

/// The head, read; where something may be said once only, the last one counts.
pub struct Head<'a> {
    pub title: &'a str,
    pub preview: &'a str,
    /// Below this width columns stand under each other.
    pub breakpoint: &'a str,
    /// Name and address of style sheets that bring fonts.
    pub fonts: Vec<(&'a str, &'a str)>,
    pub styles: Vec<&'a str>,
    /// Styles to be written into the elements.
    pub inline: Vec<&'a str>,
    /// HTML for the end of the head.
    pub raw: Vec<&'a str>,
    /// Selectors, each with names and values of attributes to set.
    pub html_attributes: Vec<(&'a str, Vec<(&'a str, &'a str)>)>,
    pub cascade: Cascade<'a>,
}

impl<'a> Head<'a> {
    pub fn read(head: Option<&'a Element>) -> Head<'a> {
        let mut read = Head {
            title: "",
            preview: "",
            breakpoint: "480px",
            fonts: Vec::new(),
            styles: Vec::new(),
            inline: Vec::new(),
            raw: Vec::new(),
            html_attributes: Vec::new(),
            cascade: Cascade::default(),
        };
        let Some(head) = head else {
            return read;
        };
        if let Content::Nodes(nodes) = &head.content {
            for node in nodes {
                match node {
                    Node::Element(element) => read.element(element),
                    Node::Comment(raw) | Node::Html(raw) => read.raw.push(raw.text.trim()),
                    Node::Text(_) => {}
                }
            }
        }
        read
    }

    fn element(&mut self, element: &'a Element) {
        let text = raw_text(element);
        match element.name.as_str() {
            "mj-attributes" => self.cascade.read(element),
            "mj-breakpoint" => self.breakpoint = element.attribute("width").unwrap_or("480px"),
            "mj-font" => {
                let name = element.attribute("name").unwrap_or_default();
                let href = element.attribute("href").unwrap_or_default();
                self.fonts.retain(|(known, _)| *known != name);
                self.fonts.push((name, href));
            }
            "mj-html-attributes" => self.selectors(element),
            "mj-preview" => self.preview = text,
            "mj-raw" => self.raw.push(text),
            "mj-style" if element.attribute("inline") == Some("inline") => self.inline.push(text),
            "mj-style" => self.styles.push(text),
            "mj-title" => self.title = text,
            _ => {}
        }
    }

    fn selectors(&mut self, element: &'a Element) {
        for selector in element.elements() {
            let Some(path) = selector.attribute("path") else {
                continue;
            };
            let attributes = selector.elements();
            let attributes = attributes.filter_map(|attribute| {
                let name = attribute.attribute("name")?;
                // What cannot be an attribute's name would end the tag.
                let odd = name.contains(['"', '\'', '<', '>', '/', '=']);
                let odd = odd || name.is_empty() || name.contains(char::is_whitespace);
                (!odd).then(|| (name, raw_text(attribute)))
            });
            self.html_attributes.push((path, attributes.collect()));
        }
    }
}

/// The content of a component that holds HTML, without the space around it.
pub fn raw_text(element: &Element) -> &str {
    match &element.content {
        Content::Raw(raw) => raw.text.trim(),
        Content::Nodes(_) => "",
    }
}
