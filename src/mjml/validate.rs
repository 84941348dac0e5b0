//! What is wrong with a document: names, places, attributes and values.
//!
//! Promises: what MJML's strict check refuses is an error, and nothing else is; what MJML would drop
//! or render broken without a word is a warning. Every finding covers the name, value or text at
//! fault and no more. Descends without recursion, so that no depth of nesting exhausts the stack.
//! Leaves syntax, includes and the root to the parser.

mod attributes;
mod defaults;
pub mod icons;
mod required;
#[cfg(test)]
mod specimen;
mod styles;

use crate::diagnostic::nearest;
use crate::mjml::components::{COMPONENTS, Component, component, parents};
use crate::mjml::finding::Findings;
use crate::mjml::tree::{Content, Document, Element, Node, Raw, Span};
use crate::mjml::validate::defaults::Defaults;
use crate::mjml::values::either;

/// Of these, one is rendered; `true` where it is the first and `false` where it is the last.
const UNIQUE: [(&str, bool); 5] = [
    ("mj-body", true),
    ("mj-breakpoint", false),
    ("mj-head", true),
    ("mj-preview", false),
    ("mj-title", false),
];

/// Judges a parsed document.
pub fn validate(document: &Document, found: &mut Findings) {
    let Some(root) = &document.root else {
        return;
    };
    let defaults = Defaults::of(root, found.has_errors());
    let mut walk = Walk {
        document,
        defaults,
        found,
        waiting: Vec::new(),
    };
    walk.root(root);
    let outside = Holder::of(component("mjml"));
    for node in document.before.iter().rev() {
        if matches!(node, Node::Element(_)) {
            walk.waiting.push((node, outside));
        }
    }
    walk.run();
}

/// Where a node stands.
#[derive(Clone, Copy)]
struct Holder {
    /// The element around it; none where that is no component, and anything may stand there.
    component: Option<&'static Component>,
    /// Whether it is within `mj-attributes`, where elements only give defaults.
    giving: bool,
}

impl Holder {
    fn of(component: Option<&'static Component>) -> Holder {
        Holder {
            component,
            giving: false,
        }
    }
}

struct Walk<'a, 'f> {
    document: &'a Document,
    defaults: Defaults<'a>,
    found: &'f mut Findings,
    /// What is still to be judged, the next one last.
    waiting: Vec<(&'a Node, Holder)>,
}

impl<'a> Walk<'a, '_> {
    fn root(&mut self, root: &'a Element) {
        self.attributes(root, false);
        if !root.elements().any(|element| element.name == "mj-body") {
            self.found.error_with_help(
                &root.name_span,
                "missing-body",
                "the document has no `mj-body`, so there is nothing to render",
                "put `<mj-body>` into `<mjml>`, beside `<mj-head>`",
            );
        }
        self.content(root, Holder::of(component("mjml")));
    }

    fn run(&mut self) {
        while let Some((node, holder)) = self.waiting.pop() {
            if self.found.is_hopeless() {
                return;
            }
            match node {
                Node::Element(element) => self.element(element, holder),
                Node::Text(text) => self.text(text, holder),
                Node::Html(raw) => self.included(raw, holder),
                Node::Comment(_) => {}
            }
        }
    }

    /// An included file of HTML may stand where `mj-raw` may.
    fn included(&mut self, raw: &Raw, holder: Holder) {
        let Some(around) = holder.component.filter(|around| !stands("mj-raw", around)) else {
            return;
        };
        let file = self.document.files.get(raw.span.file.0 as usize);
        let include = file.and_then(|file| file.included_at.as_ref());
        let message = format!("HTML cannot be included in `{}`", around.name);
        let help = home("mj-raw");
        self.found
            .error_with_help(include.unwrap_or(&raw.span), "wrong-parent", message, help);
    }

    fn element(&mut self, element: &'a Element, holder: Holder) {
        let Some(known) = component(&element.name) else {
            let named = element.name.starts_with("mj-");
            if named || holder.component.is_some() {
                self.unknown(element, holder);
            }
            let giving = holder.giving;
            return self.content(
                element,
                Holder {
                    component: None,
                    giving,
                },
            );
        };
        self.place(element, known, holder);
        self.attributes(element, holder.giving);
        if known.name == "mj-style" {
            styles::check(element, self.found);
        }
        let giving = holder.giving || known.name == "mj-attributes";
        self.content(
            element,
            Holder {
                component: Some(known),
                giving,
            },
        );
    }

    /// Puts what an element holds on the heap of what is to be judged, and looks for twins in it.
    fn content(&mut self, element: &'a Element, inside: Holder) {
        let Content::Nodes(nodes) = &element.content else {
            return;
        };
        if matches!(element.name.as_str(), "mjml" | "mj-head") {
            self.twins(element);
        }
        let nodes = nodes.iter().rev().map(|node| (node, inside));
        self.waiting.extend(nodes);
    }

    fn twins(&mut self, holder: &Element) {
        for (name, first) in UNIQUE {
            let others = holder.elements().filter(|element| element.name == name);
            for twin in others.skip(1) {
                let counts = if first { "first" } else { "last" };
                self.found.warning(
                    &twin.name_span,
                    "duplicate-element",
                    format!("there is more than one `{name}`; only the {counts} one counts"),
                );
            }
        }
    }

    fn unknown(&mut self, element: &Element, holder: Holder) {
        let name = &element.name;
        let names = COMPONENTS.iter().map(|component| component.name);
        let prefixed = component(&format!("mj-{name}")).map(|component| component.name);
        let meant = prefixed.or_else(|| nearest(name, names));
        if name.starts_with("mj") {
            let message = format!("there is no component `{name}`");
            match meant {
                Some(meant) => self.found.error_with_help(
                    &element.name_span,
                    "unknown-element",
                    message,
                    format!("did you mean `{meant}`?"),
                ),
                None => self
                    .found
                    .error(&element.name_span, "unknown-element", message),
            }
            return;
        }
        let around = holder.component.map_or("mjml", |component| component.name);
        let mut help = html_home(holder);
        if let Some(meant) = prefixed {
            help = format!("did you mean `{meant}`? otherwise, {help}");
        }
        self.found.error_with_help(
            &element.name_span,
            "unknown-element",
            format!("`{name}` is no component, and HTML cannot stand directly in `{around}`"),
            help,
        );
    }

    /// Whether a component stands where it may.
    fn place(&mut self, element: &Element, known: &'static Component, holder: Holder) {
        let Some(around) = holder.component else {
            return;
        };
        if stands(known.name, around) {
            return;
        }
        let message = format!("`{}` cannot stand in `{}`", known.name, around.name);
        let help = home(known.name);
        let (span, code) = (&element.name_span, "wrong-parent");
        if is_refused(known.name, around.name) {
            self.found.error_with_help(span, code, message, help);
        } else {
            let message = format!("{message} and is dropped");
            self.found.warning_with_help(span, code, message, help);
        }
    }

    fn text(&mut self, text: &Raw, holder: Holder) {
        let shown = text.text.trim();
        if shown.is_empty() || holder.component.is_none() {
            return;
        }
        let lead = text.text.len() - text.text.trim_start().len();
        let start = text.span.range.start + lead;
        let span = Span {
            file: text.span.file,
            range: start..(start + shown.len()).min(text.span.range.end.max(start)),
        };
        // The parser has told of the `<` that the text goes on from.
        let file = self.document.files.get(text.span.file.0 as usize);
        let before = file.and_then(|file| file.text.get(..text.span.range.start));
        if before.is_some_and(|before| before.ends_with('<')) {
            return;
        }
        let around = holder.component.map_or("mjml", |component| component.name);
        self.found.warning_with_help(
            &span,
            "stray-text",
            format!("text directly in `{around}` is dropped"),
            html_home(holder),
        );
    }
}

/// Whether a component may stand in another, and has an effect there.
fn stands(name: &str, around: &Component) -> bool {
    match (around.name, name) {
        ("mj-attributes", _) => true,
        ("mj-class", _) => !matches!(name, "mj-all" | "mj-class" | "mj-attributes"),
        _ => around.children.contains(&name),
    }
}

/// Whether MJML refuses a component where it may not stand, instead of dropping it: it knows no rules
/// for these and what stands directly in them.
fn is_refused(name: &str, around: &str) -> bool {
    let lawless = [
        "mjml",
        "mj-all",
        "mj-class",
        "mj-html-attribute",
        "mj-selector",
    ];
    !lawless.contains(&around) && !lawless.contains(&name)
}

/// Where a component belongs, for an author.
fn home(name: &str) -> String {
    let mut homes: Vec<&str> = parents(name).collect();
    match name {
        "mjml" => return "`mjml` is the root of a document and stands in nothing".into(),
        "mj-all" | "mj-class" => homes.push("mj-attributes"),
        _ => {}
    }
    format!("`{name}` stands in {}", either(homes.into_iter()))
}

/// Where text and HTML belong instead, for an author.
fn html_home(holder: Holder) -> String {
    let children = holder.component.map_or(&[][..], |around| around.children);
    let homes = ["mj-text", "mj-raw"].into_iter();
    let homes: Vec<&str> = homes.filter(|home| children.contains(home)).collect();
    let around = holder.component.map_or("mjml", |component| component.name);
    if !homes.is_empty() {
        return format!("put it into {}", either(homes.into_iter()));
    }
    match children {
        [] => format!("`{around}` holds no text and no HTML"),
        children => format!("`{around}` holds {}", either(children.iter().copied())),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trees;
