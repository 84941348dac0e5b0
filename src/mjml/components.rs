//! The components of MJML, as data: attributes with their types and defaults, and who holds whom.
//!
//! Promises: the facts of MJML 5.4, and what 4.18 allowed besides, so that a file of either is at
//! home. `css-class` and `mj-class` stand on every component and are not listed with each.
//!
//! The value of an attribute is found by this order; what comes later wins:
//! 1. the default of its component;
//! 2. `<mj-all>` of `<mj-attributes>`;
//! 3. what the parent hands down ([`Component::hands_down`]);
//! 4. the component's own element in `<mj-attributes>`;
//! 5. the classes of its `mj-class`, from left to right, except that `css-class` is joined by blanks;
//! 6. the element of its name within the `<mj-class>` that the nearest ancestor with an `mj-class` at
//!    all uses, from left to right (never within a class of its own);
//! 7. what is written on it.
//!
//! Where `<mj-attributes>` names a component or class more than once, later attributes join and win,
//! but a component within a class replaces an earlier one of its name whole.

mod content;
mod head;
mod interactive;
mod layout;

use std::sync::LazyLock;

use crate::mjml::values::{LENGTH, TEXT, Type};

/// A component of MJML.
#[derive(Debug)]
pub struct Component {
    pub name: &'static str,
    /// Whether its content is HTML, CSS or text that is kept byte for byte, never components.
    pub ending: bool,
    /// What may stand directly within; empty also for `mj-attributes` and `mj-class`, which hold any.
    pub children: &'static [&'static str],
    /// Its attributes, without those it shares.
    attributes: &'static [Attribute],
    shared: &'static [&'static [Attribute]],
}

/// An attribute of a component.
#[derive(Debug)]
pub struct Attribute {
    pub name: &'static str,
    pub value: Type,
    pub default: Option<&'static str>,
}

/// What the parts of an accordion take over from the whole.
const ACCORDION: [&str; 9] = [
    "border",
    "icon-align",
    "icon-height",
    "icon-position",
    "icon-unwrapped-alt",
    "icon-unwrapped-url",
    "icon-width",
    "icon-wrapped-alt",
    "icon-wrapped-url",
];
/// What the images of a carousel take over from it.
const CAROUSEL: [&str; 3] = ["border-radius", "tb-border", "tb-border-radius"];
/// What the elements of `mj-social` take over from it, besides `inner-padding` as their `padding`.
const SOCIAL: [&str; 13] = [
    "border",
    "border-radius",
    "color",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "icon-height",
    "icon-padding",
    "icon-size",
    "line-height",
    "text-decoration",
    "text-padding",
];

/// What a column may hold.
const CONTENT: &[&str] = &[
    "mj-accordion",
    "mj-button",
    "mj-carousel",
    "mj-divider",
    "mj-image",
    "mj-navbar",
    "mj-raw",
    "mj-social",
    "mj-spacer",
    "mj-table",
    "mj-text",
];

const PADDING_SIDES: &[Attribute] = &[
    one("padding-bottom", LENGTH),
    one("padding-left", LENGTH),
    one("padding-right", LENGTH),
    one("padding-top", LENGTH),
];

const BORDER_SIDES: &[Attribute] = &[
    one("border-bottom", TEXT),
    one("border-left", TEXT),
    one("border-right", TEXT),
    one("border-top", TEXT),
];

/// Every component, by name.
pub static COMPONENTS: [Component; 37] = [
    interactive::MJ_ACCORDION,
    interactive::MJ_ACCORDION_ELEMENT,
    interactive::MJ_ACCORDION_TEXT,
    interactive::MJ_ACCORDION_TITLE,
    head::MJ_ALL,
    head::MJ_ATTRIBUTES,
    layout::MJ_BODY,
    head::MJ_BREAKPOINT,
    content::MJ_BUTTON,
    interactive::MJ_CAROUSEL,
    interactive::MJ_CAROUSEL_IMAGE,
    head::MJ_CLASS,
    layout::MJ_COLUMN,
    content::MJ_DIVIDER,
    head::MJ_FONT,
    layout::MJ_GROUP,
    head::MJ_HEAD,
    layout::MJ_HERO,
    head::MJ_HTML_ATTRIBUTE,
    head::MJ_HTML_ATTRIBUTES,
    content::MJ_IMAGE,
    head::MJ_INCLUDE,
    interactive::MJ_NAVBAR,
    interactive::MJ_NAVBAR_LINK,
    head::MJ_PREVIEW,
    head::MJ_RAW,
    layout::MJ_SECTION,
    head::MJ_SELECTOR,
    interactive::MJ_SOCIAL,
    interactive::MJ_SOCIAL_ELEMENT,
    content::MJ_SPACER,
    head::MJ_STYLE,
    content::MJ_TABLE,
    content::MJ_TEXT,
    head::MJ_TITLE,
    layout::MJ_WRAPPER,
    head::MJML,
];

/// Attributes that stand on every component.
pub const EVERYWHERE: [&str; 2] = ["css-class", "mj-class"];

/// Names and values of the attributes that have a default, by component as in [`COMPONENTS`]: few have one,
/// and every attribute of every element is asked for.
static DEFAULTS: LazyLock<Vec<Vec<(&str, &str)>>> = LazyLock::new(|| {
    let defaults = |component: &Component| {
        let each = component.attributes();
        let each = each.filter_map(|attribute| Some((attribute.name, attribute.default?)));
        each.collect()
    };
    COMPONENTS.iter().map(defaults).collect()
});

/// The component of a name, if there is one.
pub fn component(name: &str) -> Option<&'static Component> {
    index(name).map(|index| &COMPONENTS[index])
}

/// The attributes of a component that have a default, with it.
pub fn defaults(name: &str) -> &'static [(&'static str, &'static str)] {
    index(name).map_or(&[][..], |index| DEFAULTS[index].as_slice())
}

fn index(name: &str) -> Option<usize> {
    let found = COMPONENTS.binary_search_by(|component| component.name.cmp(name));
    found.ok()
}

/// Whether the content of a component is kept byte for byte.
pub fn is_ending(name: &str) -> bool {
    component(name).is_some_and(|component| component.ending)
}

/// The names of the components that may hold a component directly.
pub fn parents(name: &str) -> impl Iterator<Item = &'static str> {
    let holders = COMPONENTS
        .iter()
        .filter(move |component| component.children.contains(&name));
    holders.map(|component| component.name)
}

impl Component {
    /// Its attributes, without those that stand everywhere.
    pub fn attributes(&self) -> impl Iterator<Item = &'static Attribute> {
        let shared = self.shared.iter().copied().flatten();
        self.attributes.iter().chain(shared)
    }

    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes().find(|attribute| attribute.name == name)
    }

    /// Whether nothing can stand between its tags.
    pub fn holds_nothing(&self) -> bool {
        let holds_any = matches!(self.name, "mj-attributes" | "mj-class");
        self.children.is_empty() && !self.ending && !holds_any
    }

    /// The attributes whose values its children take over, under the same name.
    pub fn hands_down(&self) -> &'static [&'static str] {
        match self.name {
            "mj-accordion" | "mj-accordion-element" => &ACCORDION,
            "mj-carousel" => &CAROUSEL,
            "mj-social" => &SOCIAL,
            _ => &[],
        }
    }
}

/// An attribute without a default.
const fn one(name: &'static str, value: Type) -> Attribute {
    Attribute {
        name,
        value,
        default: None,
    }
}

/// An attribute with its default.
const fn set(name: &'static str, value: Type, default: &'static str) -> Attribute {
    Attribute {
        name,
        value,
        default: Some(default),
    }
}
