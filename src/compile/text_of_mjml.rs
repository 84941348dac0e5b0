//! Components to the plain-text part, for an issue that is written in them.
//!
//! Promises: every word, link and image text that the components show, in their order, in lines as wide as
//! those made of Markdown. Leaves out what only eyes can see: dividers, spacers, styles.

use crate::compile::Context;
use crate::compile::apart::AROUND;
use crate::compile::escape::escape_html;
use crate::compile::layout::Snapshot;
use crate::compile::placeholder::{Filling, Wanted};
use crate::compile::text::{Text, WIDTH};
use crate::issue::block::{Inline, plain_text};
use crate::issue::html::{Tag, Token, is_opaque, tokens, without_entities};
use crate::issue::target::is_address;
use crate::mjml;
use crate::mjml::finding::Findings;
use crate::mjml::tree::{Content, Document, Element, Node};

/// Deeper components are no page; the renderer has refused them before.
const DEPTH_LIMIT: usize = 60;

impl Text<'_> {
    /// The body of a document.
    pub(crate) fn tree(&mut self, document: &Document) {
        let Some(root) = &document.root else { return };
        for body in root.elements().filter(|element| element.name == "mj-body") {
            self.component(body, 0);
        }
        self.listed_links();
    }

    /// Components of the author's among Markdown. Their links are listed with those of the blocks around them.
    pub(crate) fn components(&mut self, source: &[Inline]) {
        let mut mjml = AROUND.0.to_owned();
        for inline in source {
            let stands = match inline {
                Inline::Text(markup) => {
                    mjml.push_str(markup);
                    continue;
                }
                // What only eyes can see is left out, and its slots and addresses with it.
                Inline::Merge(merge) => {
                    let slot = Filling::Slot(merge.slot(Context::Text));
                    self.places.put(slot, Wanted::Any, merge.written())
                }
                Inline::Link { link, .. } => self.address_wanted(*link, Wanted::Any),
                other => plain_text(std::slice::from_ref(other)),
            };
            mjml.push_str(&escape_html(&stands));
        }
        mjml.push_str(AROUND.1);
        let (files, mut findings) = (Snapshot(self.theme), Findings::default());
        // Its errors were told when it was tried alone.
        let document = mjml::parse(&self.issue.file, &mjml, &files, &mut findings);
        let column = document.root.as_ref().and_then(|root| {
            let body = root.elements().next()?;
            body.elements().next()?.elements().next()
        });
        if let Some(column) = column {
            self.component(column, 0);
        }
    }

    fn component(&mut self, element: &Element, depth: usize) {
        if depth > DEPTH_LIMIT {
            return;
        }
        let given = |name: &str| element.attribute(name).map(without_entities);
        let href = given("href").filter(|href| !href.trim().is_empty());
        let raw = Some(element).filter(|element| element.name == "mj-raw");
        let edge = raw.and_then(|raw| self.places.edge(html_of(raw).trim()));
        if let Some(begins) = edge {
            // What waits belongs to those who read on.
            self.listed_links();
            self.for_some = match begins {
                true => self.for_some + 1,
                false => self.for_some.saturating_sub(1),
            };
            return self.out.push_str(html_of(element).trim());
        }
        match element.name.as_str() {
            "mj-image" | "mj-carousel-image" => {
                let alt = given("alt").filter(|alt| !alt.trim().is_empty());
                let alt = alt.map(|alt| format!("[{}: {}]", self.words.image, alt.trim()));
                self.labelled(alt, href);
            }
            "mj-button" | "mj-navbar-link" | "mj-social-element" => self.linked(element, ""),
            "mj-navbar" => {
                let base = given("base-url").unwrap_or_default();
                for inner in element.elements() {
                    match inner.name.as_str() {
                        "mj-navbar-link" => self.linked(inner, &base),
                        _ => self.component(inner, depth + 1),
                    }
                }
            }
            "mj-head" | "mj-divider" | "mj-spacer" | "mj-style" | "mj-attributes" => {}
            _ => match &element.content {
                Content::Raw(raw) => self.html(&raw.text),
                Content::Nodes(nodes) => {
                    for node in nodes {
                        match node {
                            Node::Element(inner) => self.component(inner, depth + 1),
                            Node::Html(raw) | Node::Text(raw) => self.html(&raw.text),
                            Node::Comment(_) => {}
                        }
                    }
                    // Each section lists its own links, as each item does.
                    if element.name == "mj-section" {
                        self.listed_links();
                    }
                }
            },
        }
    }

    /// A component that is a link; its address may go on behind `base`.
    fn linked(&mut self, element: &Element, base: &str) {
        let given = |name: &str| element.attribute(name).map(without_entities);
        let href = given("href").filter(|href| !href.trim().is_empty());
        let href = href.map(|href| match href.starts_with('/') {
            true => format!("{base}{href}"),
            false => href,
        });
        let mut words = Words::default();
        words.read(&html_of(element));
        let label = words.line().or(given("alt")).or(given("name"));
        self.labelled(label, href);
    }

    /// "text: address", one of the two, or nothing.
    fn labelled(&mut self, label: Option<String>, href: Option<String>) {
        let line = match (label, href) {
            (Some(label), Some(href)) => format!("{}: {href}", label.trim_end_matches([':', '.'])),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        self.say(&line);
    }

    /// What a piece of HTML says.
    fn html(&mut self, html: &str) {
        let mut words = Words {
            listed: self.listed,
            for_some: self.for_some > 0,
            image: self.words.image.clone(),
            ..Words::default()
        };
        words.read(html);
        words.flush();
        self.listed = words.listed;
        self.waiting.append(&mut words.links);
        for Paragraph { lead, text, tight } in words.paragraphs {
            let room = WIDTH.saturating_sub(lead.chars().count());
            let indent = " ".repeat(lead.chars().count());
            let lines = self.wrap(&text, room);
            let lines = lines.iter().enumerate().map(|(number, line)| {
                let lead = if number == 0 { &lead } else { &indent };
                format!("{lead}{line}")
            });
            let lines: Vec<String> = lines.collect();
            match tight {
                true => {
                    for line in lines {
                        self.out.push_str(line.trim_end());
                        self.out.push('\n');
                    }
                }
                false => self.lines(&lines),
            }
        }
    }
}

/// The HTML that a component holds.
fn html_of(element: &Element) -> String {
    match &element.content {
        Content::Raw(raw) => raw.text.clone(),
        Content::Nodes(nodes) => {
            let text = |node: &Node| match node {
                Node::Text(raw) | Node::Html(raw) => raw.text.clone(),
                Node::Element(_) | Node::Comment(_) => String::new(),
            };
            nodes.iter().map(text).collect()
        }
    }
}

/// A paragraph, or an item of a list.
#[derive(Debug)]
struct Paragraph {
    lead: String,
    text: String,
    /// Without a blank line above.
    tight: bool,
}

/// The reader of one piece of HTML.
#[derive(Debug, Default)]
struct Words {
    paragraphs: Vec<Paragraph>,
    text: String,
    lead: String,
    tight: bool,
    /// The number of the next item of each open list; none counts nothing.
    lists: Vec<Option<usize>>,
    /// Address of the open link, and where its text begins.
    link: Option<(String, usize)>,
    links: Vec<(usize, String)>,
    listed: usize,
    /// Whether some readers alone get it.
    for_some: bool,
    image: String,
}

impl Words {
    fn read(&mut self, html: &str) {
        let mut opaque: Option<String> = None;
        for token in tokens(html, |at| at) {
            match (token, &opaque) {
                (Token::Tag(tag), Some(name)) if tag.closing && tag.name == *name => opaque = None,
                (_, Some(_)) => {}
                (Token::Text(text, _), None) => self.text(&text),
                (Token::Tag(tag), None) => {
                    if is_opaque(&tag.name) && !tag.closing && !tag.slash {
                        opaque = Some(tag.name);
                    } else {
                        self.tag(&tag);
                    }
                }
                (Token::Other(_) | Token::Unended(_), None) => {}
            }
        }
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            let blank = matches!(c, ' ' | '\n' | '\t' | '\u{a0}');
            let before = self.text.is_empty() || self.text.ends_with([' ', '\n']);
            match (blank, before) {
                (true, true) => {}
                (true, false) => self.text.push(' '),
                // What only pads a preview line or hides a break is not read.
                (false, _)
                    if matches!(
                        c,
                        '\u{200b}' | '\u{200c}' | '\u{34f}' | '\u{feff}' | '\u{ad}'
                    ) => {}
                (false, _) => self.text.push(c),
            }
        }
    }

    fn tag(&mut self, tag: &Tag) {
        let given = |name: &str| {
            let found = tag.attributes.iter().find(|given| given.name == name);
            found.map(|given| given.value.trim().to_owned())
        };
        match (tag.name.as_str(), tag.closing) {
            ("br", _) => self.text.push('\n'),
            ("a", false) => {
                let href = given("href").filter(|href| !href.is_empty());
                self.link = href.map(|href| (href, self.text.len()));
            }
            ("a", true) => self.end_link(),
            ("img", _) => {
                if let Some(alt) = given("alt").filter(|alt| !alt.is_empty()) {
                    let image = format!("[{}: {alt}]", self.image);
                    self.text.push_str(&image);
                }
            }
            ("b" | "strong", _) => self.mark('*', tag.closing),
            ("i" | "em", _) => self.mark('_', tag.closing),
            ("ul", false) => self.list(None),
            ("ol", false) => self.list(Some(1)),
            ("ul" | "ol", true) => {
                self.flush();
                self.lists.pop();
            }
            ("li", false) => {
                self.flush();
                let depth = "  ".repeat(self.lists.len().saturating_sub(1));
                self.tight = !matches!(
                    self.paragraphs.last(),
                    None | Some(Paragraph { tight: false, .. })
                ) || self
                    .paragraphs
                    .last()
                    .is_some_and(|last| !last.lead.is_empty());
                self.lead = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{depth}{}. ", *number - 1)
                    }
                    _ => format!("{depth}* "),
                };
            }
            ("blockquote", false) => {
                self.flush();
                self.lead = "> ".into();
            }
            ("td" | "th", true) => self.text.push_str(" | "),
            (
                "p" | "div" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "tr" | "li"
                | "section" | "article" | "blockquote" | "hr" | "center" | "figure" | "figcaption"
                | "pre",
                _,
            ) => self.flush(),
            _ => {}
        }
    }

    fn list(&mut self, first: Option<usize>) {
        self.flush();
        self.lists.push(first);
    }

    fn mark(&mut self, mark: char, closing: bool) {
        if closing && self.text.ends_with(' ') {
            self.text.pop();
            self.text.push(mark);
            self.text.push(' ');
        } else {
            self.text.push(mark);
        }
    }

    fn end_link(&mut self) {
        let Some((href, start)) = self.link.take() else {
            return;
        };
        let label = self.text.get(start..).unwrap_or_default().trim();
        if label.is_empty() {
            self.text.push_str(&href);
        } else if self.for_some && !is_address(label) {
            self.text.push_str(&format!(" <{href}>"));
        } else if !is_address(label) {
            self.listed += 1;
            self.text.push_str(&format!(" [{}]", self.listed));
            self.links.push((self.listed, href));
        }
    }

    /// Ends a paragraph.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim().trim_end_matches('|').trim_end();
        if text
            .chars()
            .any(|c| !matches!(c, '*' | '_' | ' ' | '\n' | '|'))
        {
            self.paragraphs.push(Paragraph {
                lead: std::mem::take(&mut self.lead),
                text: text.to_owned(),
                tight: self.tight,
            });
            self.tight = false;
        }
        self.link = self.link.take().map(|(href, _)| (href, 0));
    }

    /// All of it on one line, if there is anything.
    fn line(&mut self) -> Option<String> {
        self.flush();
        let texts: Vec<&str> = self
            .paragraphs
            .iter()
            .map(|one| one.text.as_str())
            .collect();
        let line = texts.join(" ").replace('\n', " ");
        (!line.trim().is_empty()).then_some(line)
    }
}
