//! What `mj-attributes` says: the classes there are, and which attributes are given to whom.
//!
//! Promises: nothing about values; those are the renderer's.

use std::collections::{BTreeMap, BTreeSet};

use crate::mjml::tree::Element;

pub struct Defaults<'a> {
    /// Whether definitions may have been lost with what the parser could not read.
    incomplete: bool,
    /// The attributes of each class.
    classes: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Components (or `mj-all`) with the attributes given to them, by whatever way.
    given: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Defaults<'a> {
    pub fn of(root: &'a Element, incomplete: bool) -> Defaults<'a> {
        let mut defaults = Defaults {
            incomplete,
            classes: BTreeMap::new(),
            given: BTreeSet::new(),
        };
        let heads = root.elements().filter(|element| element.name == "mj-head");
        let parts = heads.flat_map(Element::elements);
        for attributes in parts.filter(|element| element.name == "mj-attributes") {
            for element in attributes.elements() {
                defaults.take(element);
            }
        }
        defaults
    }

    fn take(&mut self, element: &'a Element) {
        let names = element.attributes.iter();
        let names = names.map(|attribute| attribute.name.as_str());
        if element.name != "mj-class" {
            let name = element.name.as_str();
            self.given.extend(names.map(|attribute| (name, attribute)));
            return;
        }
        if let Some(class) = element.attribute("name") {
            self.classes.entry(class).or_default().extend(names);
        }
        for part in element.elements() {
            self.take(part);
        }
    }

    /// The names of the classes; none where some of them may be unknown for want of a file.
    pub fn classes(&self) -> Option<impl Iterator<Item = &'a str>> {
        (!self.incomplete).then(|| self.classes.keys().copied())
    }

    pub fn has_class(&self, name: &str) -> bool {
        self.classes.contains_key(name)
    }

    /// Whether an element may have a value for an attribute, its own or a given one.
    pub fn provides(&self, element: &Element, attribute: &str) -> bool {
        if let Some(value) = element.attribute(attribute) {
            return !value.trim().is_empty();
        }
        let by_class = |class: &str| {
            let class = self.classes.get(class);
            class.is_some_and(|names| names.contains(attribute))
        };
        let own = element.attribute("mj-class").unwrap_or_default();
        self.given.contains(&(element.name.as_str(), attribute))
            || self.given.contains(&("mj-all", attribute))
            || own.split(' ').any(by_class)
    }
}
