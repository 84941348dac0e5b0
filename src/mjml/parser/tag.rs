//! Opening and closing tags, and their attributes.

use std::ops::Range;

use crate::diagnostic::nearest;
use crate::mjml::components::{Component, component, is_ending};
use crate::mjml::lexer::{self, Mark, Step};
use crate::mjml::parser::{DEPTH_LIMIT, Walk, is_void, line_of, with_raw};
use crate::mjml::tree::{Attribute, Content, Element, Node};

/// Attributes of one tag; no component has a tenth of it.
const ATTRIBUTE_LIMIT: usize = 200;

impl Walk<'_, '_> {
    pub(super) fn open_tag(&mut self, at: usize, name: Range<usize>) -> usize {
        let (attributes, end, empty) = self.attributes(name.clone());
        let written = &self.text[name.clone()];
        let lower = written.to_ascii_lowercase();
        let element = Element {
            name: match lower.starts_with("mj") {
                true => lower,
                false => written.to_owned(),
            },
            attributes,
            content: Content::Nodes(Vec::new()),
            span: self.span(at..end),
            name_span: self.span(name),
        };
        if element.name == "mj-include" {
            self.open_includes += usize::from(!empty);
            self.include(&element);
            return end;
        }
        let known = element.name.as_str();
        let ending = is_ending(known);
        if ending && empty {
            let content = self.raw(end..end);
            self.push(with_raw(element, content));
            return end;
        }
        if ending {
            return self.ending(element, end);
        }
        if let Some(stop) = lexer::raw_text_end(self.text, known, end).filter(|_| !empty) {
            let content = self.raw(end..stop);
            let close = lexer::mark(self.text, stop);
            self.push(with_raw(element, content));
            return match close {
                Mark::Close { end, .. } => end,
                _ => stop,
            };
        }
        if empty || is_void(known) {
            self.push(Node::Element(element));
            return end;
        }
        if self.depth + self.open.len() >= DEPTH_LIMIT {
            let message = format!("`<{known}>` is nested deeper than {DEPTH_LIMIT} elements");
            self.error(element.name_span.range, "too-deep", message);
            self.reading.stopped = true;
            return end;
        }
        self.open.push((element, Vec::new()));
        end
    }

    /// The attributes of a tag, the offset after it, and whether it ends in `/>`.
    fn attributes(&mut self, tag: Range<usize>) -> (Vec<Attribute>, usize, bool) {
        let mut attributes: Vec<Attribute> = Vec::new();
        let mut at = tag.end;
        loop {
            let (step, next) = lexer::step(self.text, at);
            at = next;
            match step {
                Step::End { at, empty } => return (attributes, at, empty),
                Step::Unended { at } => {
                    let name = &self.text[tag.clone()];
                    let message = format!("the tag `<{name}` is not ended with `>`");
                    // What follows is not in an element that holds nothing anyway.
                    let lower = name.to_ascii_lowercase();
                    let empty = component(&lower).is_some_and(Component::holds_nothing);
                    if empty {
                        self.forced.push(lower);
                    }
                    self.error(tag, "unended-tag", message);
                    return (attributes, at, empty);
                }
                Step::Attribute {
                    name,
                    value,
                    unclosed,
                } => {
                    if unclosed {
                        let name = &self.text[name.clone()];
                        let message = format!("the value of `{name}` lacks its closing quote");
                        self.error(value.start - 1..value.start, "unclosed-quote", message);
                    }
                    self.attribute(&mut attributes, name, value);
                }
            }
        }
    }

    fn attribute(&mut self, known: &mut Vec<Attribute>, name: Range<usize>, value: Range<usize>) {
        let written = &self.text[name.clone()];
        if known.len() >= ATTRIBUTE_LIMIT {
            let message = format!("a tag with more than {ATTRIBUTE_LIMIT} attributes");
            return self.error(name, "too-many-attributes", message);
        }
        if written.contains(['"', '\'', '=', '`']) {
            let message = format!("`{written}` is no name of an attribute");
            let help = "a quote is missing or one too many";
            self.error_with_help(name, "attribute-name", message, help);
            return;
        }
        if known.iter().any(|known| known.name == written) {
            let message = format!("`{written}` is given twice; the first one counts");
            let span = self.span(name);
            let findings = &mut self.reading.findings;
            findings.warning(&span, "duplicate-attribute", message);
            return;
        }
        self.entities(value.clone());
        known.push(Attribute {
            name: written.to_owned(),
            value: self.text[value.clone()].to_owned(),
            name_span: self.span(name),
            value_span: self.span(value),
        });
    }

    pub(super) fn close_tag(&mut self, name: Range<usize>, end: usize) {
        let written = self.text[name.clone()].to_ascii_lowercase();
        if self.text.as_bytes().get(end - 1) != Some(&b'>') {
            let message = format!("the tag `</{written}` is not ended with `>`");
            self.error(name.clone(), "unended-tag", message);
        }
        let same = |(open, _): &(Element, _)| open.name.eq_ignore_ascii_case(&written);
        if let Some(index) = self.open.iter().rposition(same) {
            self.close_down_to(index + 1, &written, name);
            self.close_top();
            return;
        }
        if written == "mj-include" && self.open_includes > 0 {
            self.open_includes -= 1;
            return;
        }
        if let Some(index) = self.forced.iter().position(|forced| *forced == written) {
            self.forced.swap_remove(index);
            return;
        }
        // Void elements have no closing tag; browsers forgive it, and so does mjml, but for this one: they make an
        // element of it.
        if is_void(&written) && written != "br" {
            return;
        }
        let top = self.open.last().map(|(open, _)| open.name.as_str());
        let meant = top
            .and_then(|top| nearest(&written, [top]))
            .map(str::to_owned);
        let message = format!("`</{written}>` closes nothing");
        match meant {
            Some(meant) => {
                let help = format!("did you mean `</{meant}>`?");
                self.error_with_help(name, "stray-closing-tag", message, help);
                self.close_top();
            }
            None => self.error(name, "stray-closing-tag", message),
        }
    }

    /// Closes elements for the author until `length` are open, since `</name>` stands here.
    fn close_down_to(&mut self, length: usize, name: &str, at: Range<usize>) {
        while self.open.len() > length {
            let (open, _) = self.open.last().expect("more than none are open");
            let (open, span) = (open.name.clone(), open.name_span.range.clone());
            let line = line_of(self.text, at.start);
            let message = format!("`<{open}>` is not closed before `</{name}>` in line {line}");
            self.error(span, "unclosed-element", message);
            self.forced.push(open);
            self.close_top();
        }
    }
}
