//! `<mj-include>`: other files, put where they are asked for.
//!
//! Promises: files come from the caller and from below the root only; a file that includes itself, or too
//! many of them, is an error; each piece knows who included it. As in npm's mjml, a fragment stands in
//! place, a whole document gives its body to the place and its head to the head, and style sheets go to
//! the end of the head.

use percent_encoding::percent_decode_str;

use crate::diagnostic::nearest;
use crate::mjml::files::{Astray, resolve};
use crate::mjml::origin::Normal;
use crate::mjml::parser::{Fragment, Walk};
use crate::mjml::tree::{Attribute, Content, Element, FileId, Node, Raw, Span};

/// Files of one document.
const FILE_LIMIT: usize = 200;
/// Files within files; each costs a descent.
const CHAIN_LIMIT: usize = 16;

const ATTRIBUTES: [&str; 3] = ["path", "type", "css-inline"];
const TYPES: [&str; 3] = ["mjml", "html", "css"];

impl Walk<'_, '_> {
    /// Brings in what an `<mj-include>` asks for.
    pub(super) fn include(&mut self, include: &Element) {
        self.check_attributes(include);
        let Some(path) = include.attributes.iter().find(|known| known.name == "path") else {
            let message = "`<mj-include>` needs a `path`";
            let range = include.name_span.range.clone();
            return self.error(range, "include-path", message);
        };
        let Some((name, text)) = self.fetch(path) else {
            return;
        };
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            let message = format!("nothing stands in `{name}`");
            let help = "save it, or take the include out";
            let findings = &mut self.reading.findings;
            findings.warning_with_help(&path.value_span, "include-empty", message, help);
        }
        let at = Some(include.span.clone());
        match include.attribute("type") {
            Some("css") => {
                let raw = self.whole(&name, text, at);
                let style = style(include, raw);
                self.styles.push(Node::Element(style));
            }
            Some("html") => {
                let raw = self.whole(&name, text, at);
                self.push(Node::Html(raw));
            }
            _ => {
                let depth = self.depth + self.open.len();
                let normal = Normal::of(&text);
                let fragment = self.reading.file(&name, &normal.text, at, depth);
                self.place(fragment);
            }
        }
    }

    fn check_attributes(&mut self, include: &Element) {
        for attribute in &include.attributes {
            let name = attribute.name.as_str();
            let range = attribute.name_span.range.clone();
            if !ATTRIBUTES.contains(&name) {
                let message = format!("`<mj-include>` has no attribute `{name}`");
                match nearest(name, ATTRIBUTES) {
                    Some(meant) => {
                        let help = format!("did you mean `{meant}`?");
                        self.error_with_help(range, "unknown-attribute", message, help);
                    }
                    None => self.error(range, "unknown-attribute", message),
                }
            }
            if name == "type" && !TYPES.contains(&attribute.value.as_str()) {
                let message = format!("`{}` is no type of include", attribute.value);
                let range = attribute.value_span.range.clone();
                self.error_with_help(
                    range,
                    "wrong-value",
                    message,
                    "it is `mjml`, `html` or `css`",
                );
            }
        }
    }

    /// Name and text of the file at `path`; what hinders that is reported.
    fn fetch(&mut self, path: &Attribute) -> Option<(String, String)> {
        let range = path.value_span.range.clone();
        let written = path.value.as_str();
        let decoded = percent_decode_str(written).decode_utf8().ok();
        let decoded = decoded.filter(|decoded| decoded != written);
        let mut missing = None;
        for candidate in [Some(written), decoded.as_deref()].into_iter().flatten() {
            let name = match resolve(&self.own_name(path), candidate) {
                Ok(name) => name,
                Err(astray) => {
                    let (code, message) = refusal(astray, written);
                    self.error(range, code, message);
                    return None;
                }
            };
            if !self.may_include(path, &name) {
                return None;
            }
            match self.reading.files.read(&name) {
                Ok(Some(text)) => return Some((name, text)),
                Ok(None) => missing = missing.or(Some(name)),
                Err(why) => {
                    let message = format!("`{name}` cannot be read: {why}");
                    self.error(range, "include-unreadable", message);
                    return None;
                }
            }
        }
        let name = missing.unwrap_or_default();
        let message = format!("there is no file `{name}`");
        self.error(range, "include-not-found", message);
        None
    }

    /// The name from which a path starts: this file's, or that of the file this place was made from.
    fn own_name(&self, path: &Attribute) -> String {
        let read = || self.reading.read[self.file.0 as usize].name.clone();
        let Some((origins, normal)) = self.reading.generated.filter(|_| self.file == FileId(0))
        else {
            return read();
        };
        let origin = origins.locate(normal.original(path.value_span.range.start));
        let file = origin.and_then(|origin| origins.files.get(origin.file));
        file.map_or_else(read, |(name, _)| name.clone())
    }

    /// Whether one more file may be read: not one of those around this place, nor too many.
    fn may_include(&mut self, path: &Attribute, name: &str) -> bool {
        let range = path.value_span.range.clone();
        let mut chain = vec![self.own_name(path)];
        let mut file = self.file;
        while let Some(at) = &self.reading.read[file.0 as usize].included_at {
            file = at.file;
            chain.push(self.reading.read[file.0 as usize].name.clone());
        }
        if chain.iter().any(|around| around == name) {
            let message = format!("`{name}` includes itself");
            self.error(range, "include-cycle", message);
            return false;
        }
        if chain.len() > CHAIN_LIMIT {
            let message = format!("files are included more than {CHAIN_LIMIT} deep");
            self.error(range, "include-limit", message);
            return false;
        }
        if self.reading.read.len() >= FILE_LIMIT {
            let message = format!("more than {FILE_LIMIT} files are included");
            self.error(range, "include-limit", message);
            self.reading.stopped = true;
            return false;
        }
        true
    }

    /// A file that is no MJML, as it is.
    fn whole(&mut self, name: &str, text: String, at: Option<Span>) -> Raw {
        let text = Normal::of(&text).text.into_owned();
        let file = self.reading.add(name, text.clone(), at);
        let span = Span {
            file,
            range: 0..text.len(),
        };
        Raw { text, span }
    }

    /// Puts what a file came to where it belongs.
    fn place(&mut self, fragment: Fragment) {
        let Fragment { nodes, mut head } = fragment;
        let is_document =
            |node: &Node| matches!(node, Node::Element(element) if element.name == "mjml");
        if !nodes.iter().any(is_document) {
            nodes.into_iter().for_each(|node| self.push(node));
            return self.place_head(head);
        }
        let (mut own_head, mut placed) = (Vec::new(), [false; 2]);
        for node in nodes {
            let Node::Element(Element {
                name,
                content: Content::Nodes(parts),
                ..
            }) = node
            else {
                continue;
            };
            if name != "mjml" {
                continue;
            }
            for part in parts {
                let Node::Element(element) = part else {
                    continue;
                };
                if self.is_twin(&element, &mut placed) {
                    continue;
                }
                let Element { name, content, .. } = element;
                match (name.as_str(), content) {
                    ("mj-body", Content::Nodes(nodes)) => {
                        nodes.into_iter().for_each(|node| self.push(node));
                    }
                    ("mj-head", Content::Nodes(nodes)) => own_head.extend(nodes),
                    _ => {}
                }
            }
        }
        own_head.append(&mut head);
        self.place_head(own_head);
    }

    /// Whether an included document has had such a part already; the first one counts.
    fn is_twin(&mut self, part: &Element, placed: &mut [bool; 2]) -> bool {
        let parts = ["mj-body", "mj-head"];
        let Some(index) = parts.iter().position(|known| *known == part.name) else {
            return false;
        };
        let again = std::mem::replace(&mut placed[index], true);
        if again {
            let message = format!(
                "there is more than one `{}` in this file; only the first one counts",
                part.name
            );
            let findings = &mut self.reading.findings;
            findings.warning(&part.name_span, "duplicate-element", message);
        }
        again
    }

    /// What belongs into the head goes here, if this is the head.
    fn place_head(&mut self, head: Vec<Node>) {
        match self.open.last_mut() {
            Some((open, nodes)) if open.name == "mj-head" => nodes.extend(head),
            _ => self.heads.extend(head),
        }
    }
}

fn refusal(astray: Astray, written: &str) -> (&'static str, String) {
    match astray {
        Astray::Empty => ("include-path", "the path names no file".into()),
        Astray::Absolute => (
            "include-outside",
            format!("`{written}` is absolute; write the path from this file's folder"),
        ),
        Astray::Above => (
            "include-outside",
            format!("`{written}` lies outside the folder that may be included from"),
        ),
        Astray::Backslash => (
            "include-path",
            format!("`{written}` has a `\\`; folders are divided by `/`"),
        ),
    }
}

/// The `<mj-style>` that an included style sheet stands for.
fn style(include: &Element, raw: Raw) -> Element {
    let inline = include
        .attributes
        .iter()
        .find(|known| known.name == "css-inline");
    let inline = inline.filter(|inline| inline.value == "inline");
    let attributes = inline.map(|inline| Attribute {
        name: "inline".into(),
        ..inline.clone()
    });
    Element {
        name: "mj-style".into(),
        attributes: attributes.into_iter().collect(),
        content: Content::Raw(raw),
        span: include.span.clone(),
        name_span: include.name_span.clone(),
    }
}
