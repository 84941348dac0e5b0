//! The attributes of one element: names, values and classes.

use crate::diagnostic::{Severity, nearest};
use crate::mjml::components::{COMPONENTS, Component, EVERYWHERE, component};
use crate::mjml::finding::Findings;
use crate::mjml::selector;
use crate::mjml::tree::{Attribute, Element, Span};
use crate::mjml::validate::{Walk, required};
use crate::mjml::values::Type;
use crate::terminal::acts;

/// Names that people bring from HTML and CSS, and what MJML calls it.
const ALIASES: [(&str, &str); 13] = [
    ("align", "text-align"),
    ("background", "background-color"),
    ("bgcolor", "background-color"),
    ("bg-color", "background-color"),
    ("class", "css-class"),
    ("font", "font-family"),
    ("font-color", "color"),
    ("font-colour", "color"),
    ("link", "href"),
    ("text-align", "align"),
    ("text-color", "color"),
    ("url", "href"),
    ("valign", "vertical-align"),
];

/// A message shows no more of a value than this.
const SHOWN: usize = 40;
/// Where nothing is near, the attributes are listed if there are no more than this.
const LISTED: usize = 8;

impl Walk<'_, '_> {
    /// Judges the attributes of a known component; `giving` where it stands in `mj-attributes`.
    pub fn attributes(&mut self, element: &Element, giving: bool) {
        let Some(known) = component(&element.name) else {
            return;
        };
        for attribute in &element.attributes {
            if attribute.name == "mj-class" && !giving {
                self.classes(attribute);
            } else if !EVERYWHERE.contains(&attribute.name.as_str()) {
                judge(known, attribute, self.found);
            }
            let path = known.name == "mj-selector" && attribute.name == "path";
            if path && selector::parse(&attribute.value).is_none() {
                let message = format!(
                    "`{}` is no selector, so nothing gets an attribute",
                    attribute.value
                );
                self.found
                    .warning(&attribute.value_span, "selector", message);
            }
        }
        if !giving || known.name == "mj-class" {
            required::check(element, &self.defaults, self.found);
        }
    }

    /// Whether the classes that an element uses are defined.
    fn classes(&mut self, used: &Attribute) {
        let mut offset = 0;
        for name in used.value.split(' ') {
            let start = offset;
            offset += name.len() + 1;
            if name.is_empty() || self.defaults.has_class(name) {
                continue;
            }
            let Some(defined) = self.defaults.classes() else {
                return;
            };
            // Not worth a search among the classes where it is not kept.
            let defined = defined.take(if self.found.is_full() { 0 } else { usize::MAX });
            let help = match nearest(name, defined) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("define it in `mj-attributes`: `<mj-class name=\"{name}\" ... />`"),
            };
            self.found.warning_with_help(
                &part(used, start, name.len()),
                "unknown-class",
                format!("no `mj-class` is called `{name}`"),
                help,
            );
        }
    }
}

/// A stretch of an attribute's value.
fn part(attribute: &Attribute, start: usize, length: usize) -> Span {
    let Span { file, range } = attribute.value_span.clone();
    if range.len() != attribute.value.len() {
        return attribute.value_span.clone();
    }
    let start = range.start + start;
    Span {
        file,
        range: start..start + length,
    }
}

/// Judges name and value of one attribute.
fn judge(known: &Component, attribute: &Attribute, found: &mut Findings) {
    let name = attribute.name.as_str();
    if is_for_any(known.name) && known.attribute(name).is_none() {
        return judge_for_any(attribute, found);
    }
    if known.name == "mjml" && name.starts_with("xmlns:") {
        return;
    }
    let Some(fact) = known.attribute(name) else {
        let severity = if is_checked(known.name) {
            Severity::Error
        } else {
            Severity::Warning
        };
        let message = format!("`{}` has no attribute `{}`", known.name, shown(name));
        return unknown(severity, known, attribute, message, found);
    };
    if !fact.value.takes(&attribute.value) {
        let message = wrong(attribute, &format!(" of `{}`", known.name));
        let help = advice(&fact.value, attribute);
        found.error_with_help(&attribute.value_span, "wrong-value", message, help);
    }
}

/// Whether the attributes of an element are meant for whichever component uses them.
fn is_for_any(name: &str) -> bool {
    matches!(name, "mj-all" | "mj-class")
}

/// Whether MJML itself looks at the attributes of an element.
fn is_checked(name: &str) -> bool {
    !matches!(name, "mjml" | "mj-selector" | "mj-html-attribute")
}

/// An attribute of `mj-all` or `mj-class` is good if it is good for some component.
fn judge_for_any(attribute: &Attribute, found: &mut Findings) {
    let facts = || {
        let all = COMPONENTS.iter().flat_map(Component::attributes);
        all.filter(|fact| fact.name == attribute.name)
    };
    let Some(first) = facts().next() else {
        let all = COMPONENTS.iter().flat_map(Component::attributes);
        let names = all.map(|fact| fact.name).chain(EVERYWHERE);
        let message = format!("no component has an attribute `{}`", shown(&attribute.name));
        let lower = attribute.name.to_lowercase();
        return match alias(&lower).or_else(|| nearest(&lower, names)) {
            Some(meant) => found.warning_with_help(
                &attribute.name_span,
                "unknown-attribute",
                message,
                format!("did you mean `{meant}`?"),
            ),
            None => found.warning(&attribute.name_span, "unknown-attribute", message),
        };
    };
    if !facts().any(|fact| fact.value.takes(&attribute.value)) {
        let (message, help) = (wrong(attribute, ""), advice(&first.value, attribute));
        found.warning_with_help(&attribute.value_span, "wrong-value", message, help);
    }
}

fn unknown(
    severity: Severity,
    known: &Component,
    attribute: &Attribute,
    message: String,
    found: &mut Findings,
) {
    let lower = attribute.name.to_lowercase();
    let has = |name: &str| known.attribute(name).is_some() || EVERYWHERE.contains(&name);
    let names = || known.attributes().map(|fact| fact.name);
    let meant = alias(&lower)
        .filter(|name| has(name))
        .or_else(|| nearest(&lower, names().chain(EVERYWHERE)));
    let help = match meant {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None if lower == "style" => {
            Some("give it a `css-class` and write the style into `mj-style`".into())
        }
        None => listed(known),
    };
    let (span, code) = (&attribute.name_span, "unknown-attribute");
    match (severity, help) {
        (Severity::Error, Some(help)) => found.error_with_help(span, code, message, help),
        (Severity::Error, None) => found.error(span, code, message),
        (Severity::Warning, Some(help)) => found.warning_with_help(span, code, message, help),
        (Severity::Warning, None) => found.warning(span, code, message),
    }
}

fn alias(name: &str) -> Option<&'static str> {
    let found = ALIASES.iter().find(|(brought, _)| *brought == name);
    found.map(|(_, ours)| *ours)
}

/// The attributes of a component, if they are few.
fn listed(known: &Component) -> Option<String> {
    let names: Vec<String> = known
        .attributes()
        .map(|fact| format!("`{}`", fact.name))
        .collect();
    match names.len() {
        0 => Some(format!(
            "`{}` takes no attributes but `css-class` and `mj-class`",
            known.name
        )),
        1..=LISTED => Some(format!("`{}` takes {}", known.name, names.join(", "))),
        _ => None,
    }
}

fn wrong(attribute: &Attribute, whose: &str) -> String {
    let Attribute { name, value, .. } = attribute;
    if value.is_empty() {
        return format!("`{name}`{whose} is empty");
    }
    format!("`{}` is no value for `{name}`{whose}", shown(value))
}

fn advice(value: &Type, attribute: &Attribute) -> String {
    let expected = value.expected(&attribute.name);
    match value.meant(&attribute.value) {
        Some(meant) => format!("{expected}; did you mean `{meant}`?"),
        None => expected,
    }
}

/// The start of a text, on one line.
fn shown(text: &str) -> String {
    let tidy = |c: char| if acts(c) { ' ' } else { c };
    let mut start: String = text.chars().take(SHOWN).map(tidy).collect();
    if text.chars().nth(SHOWN).is_some() {
        start.push_str("...");
    }
    start
}
