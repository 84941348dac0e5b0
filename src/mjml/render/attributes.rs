//! What an attribute of a component is, by mjml's precedence.
//!
//! From strong to weak: the element's own; what a `mj-class` of a parent says of its kind; its `mj-class`
//! (the last one first); `mj-attributes` of its kind; what the parent hands down; `mj-all`; the default.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::mjml::components::{self, Component};
use crate::mjml::render::measure::{self, Side};
use crate::mjml::tree::{Attribute, Element};

/// Name and value, as written.
pub type Pair<'a> = (&'a str, &'a str);

/// What `mj-attributes` says.
#[derive(Default)]
pub struct Cascade<'a> {
    /// Whether defaults may point at pictures on other hosts.
    pub foreign_icons: bool,
    of_kind: HashMap<&'a str, Vec<Pair<'a>>>,
    of_class: HashMap<&'a str, Vec<Pair<'a>>>,
    /// By class of the parent and kind of the child.
    of_child: HashMap<(&'a str, &'a str), Vec<Pair<'a>>>,
}

impl<'a> Cascade<'a> {
    /// Takes in one `mj-attributes`.
    pub fn read(&mut self, element: &'a Element) {
        for child in element.elements() {
            if child.name != "mj-class" {
                let list = self.of_kind.entry(&child.name).or_default();
                merge(list, child.attributes.iter());
                continue;
            }
            let Some(class) = child.attribute("name") else {
                continue;
            };
            let own = child.attributes.iter().filter(|own| own.name != "name");
            merge(self.of_class.entry(class).or_default(), own);
            for kind in child.elements() {
                let mut list = Vec::new();
                merge(&mut list, kind.attributes.iter());
                self.of_child.insert((class, &kind.name), list);
            }
        }
    }
}

/// Later values win, as in an object of JavaScript; of an attribute given twice the first counts.
fn merge<'a>(list: &mut Vec<Pair<'a>>, attributes: impl Iterator<Item = &'a Attribute>) {
    let mut seen = Vec::new();
    for attribute in attributes {
        let name = attribute.name.as_str();
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        list.retain(|(known, _)| *known != name);
        list.push((name, &attribute.value));
    }
}

/// The attributes of one component.
pub struct Attributes<'p> {
    /// Strong ones first; the first of a name counts.
    list: Vec<(&'p str, Cow<'p, str>)>,
    component: Option<&'static Component>,
    defaults: &'static [Pair<'static>],
    foreign_icons: bool,
}

impl<'p> Attributes<'p> {
    /// `parent_class` is the nearest `mj-class` above; `handed` comes from the parent.
    pub fn of<'a: 'p>(
        cascade: &Cascade<'a>,
        element: &'p Element,
        parent_class: &str,
        handed: &[Pair<'p>],
    ) -> Attributes<'p> {
        let mut list = Vec::with_capacity(element.attributes.len() + handed.len() + 4);
        for own in &element.attributes {
            if own.name != "mj-class" {
                take(&mut list, &[(&own.name, &own.value)]);
            }
        }
        let kind = element.name.as_str();
        for class in parent_class.split(' ').rev() {
            if let Some(pairs) = cascade.of_child.get(&(class, kind)) {
                take(&mut list, pairs);
            }
        }
        let classes = element.attribute("mj-class").unwrap_or_default();
        let mut css_classes = Vec::new();
        for class in classes.split(' ').rev() {
            for pair in cascade.of_class.get(class).into_iter().flatten() {
                match pair.0 {
                    "css-class" => css_classes.push(pair.1),
                    _ => take(&mut list, &[*pair]),
                }
            }
        }
        if !css_classes.is_empty() {
            css_classes.reverse();
            list.push(("css-class", Cow::Owned(css_classes.join(" "))));
        }
        if let Some(pairs) = cascade.of_kind.get(kind) {
            take(&mut list, pairs);
        }
        take(&mut list, handed);
        if let Some(pairs) = cascade.of_kind.get("mj-all") {
            take(&mut list, pairs);
        }
        Attributes {
            list,
            component: components::component(kind),
            defaults: components::defaults(kind),
            foreign_icons: cascade.foreign_icons,
        }
    }

    /// Those of a component that its author left out.
    pub fn of_missing(cascade: &Cascade<'_>, kind: &str, handed: &[Pair<'p>]) -> Attributes<'p> {
        let list = handed.iter();
        Attributes {
            list: list
                .map(|(name, value)| (*name, Cow::Borrowed(*value)))
                .collect(),
            component: components::component(kind),
            defaults: components::defaults(kind),
            foreign_icons: cascade.foreign_icons,
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.list.iter().find(|(known, _)| *known == name);
        if let Some((_, value)) = found {
            return Some(value);
        }
        let default = self.defaults.iter().find(|(known, _)| *known == name);
        let (_, default) = *default?;
        let foreign = default.starts_with("https://");
        Some(default).filter(|_| self.foreign_icons || !foreign)
    }

    /// What somebody gave to the component, of what its table has; the first of a name counts.
    pub fn given(&self) -> impl Iterator<Item = Pair<'_>> {
        let given = self.list.iter();
        let given = given.map(|(name, value)| (*name, value.as_ref()));
        given.filter(|(name, _)| {
            self.component
                .is_some_and(|own| own.attribute(name).is_some())
        })
    }

    /// What the children take over from the component.
    pub fn handed_down(&self) -> Vec<Pair<'_>> {
        let names = self.component.map_or(&[][..], Component::hands_down);
        let pairs = names.iter();
        pairs
            .filter_map(|name| Some((*name, self.get(name)?)))
            .collect()
    }

    /// The value, unless it is empty or `false`.
    pub fn truthy(&self, name: &str) -> Option<&str> {
        self.get(name)
            .filter(|value| !value.is_empty() && *value != "false")
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The classes, each with a suffix.
    pub fn classes_with(&self, suffix: &str) -> Option<String> {
        let classes = self.truthy("css-class")?;
        let suffixed: Vec<String> = classes
            .split(' ')
            .map(|class| format!("{class}-{suffix}"))
            .collect();
        Some(suffixed.join(" "))
    }

    pub fn add_class(&mut self, class: &str) {
        let joined = match self.truthy("css-class") {
            Some(classes) => format!("{classes} {class}"),
            None => class.to_owned(),
        };
        self.list.insert(0, ("css-class", Cow::Owned(joined)));
    }

    /// Pixels of `<shorthand>-<side>` or of that side of the shorthand.
    pub fn side(&self, shorthand: &str, side: Side) -> f64 {
        if let Some(own) = self.truthy(side.of(shorthand)) {
            return measure::int(own);
        }
        match self.truthy(shorthand) {
            Some(all) => measure::side(all, side),
            None => 0.0,
        }
    }

    /// Left and right of a shorthand together.
    pub fn sides(&self, shorthand: &str) -> f64 {
        self.side(shorthand, Side::Left) + self.side(shorthand, Side::Right)
    }

    /// Left and right width of `border` or `inner-border` together.
    pub fn borders(&self, name: &str) -> f64 {
        let side = |side: Side| {
            let own = self.truthy(side.of(name));
            own.or(self.truthy(name)).map_or(0.0, measure::border)
        };
        side(Side::Left) + side(Side::Right)
    }
}

fn take<'p>(list: &mut Vec<(&'p str, Cow<'p, str>)>, pairs: &[Pair<'p>]) {
    for (name, value) in pairs {
        list.push((*name, full_colour(name, value)));
    }
}

/// Outlook does not know colours of three digits.
fn full_colour<'p>(name: &str, value: &'p str) -> Cow<'p, str> {
    let digits = value.strip_prefix('#').filter(|digits| digits.len() == 3);
    match digits {
        Some(digits) if name.ends_with("color") && digits.is_ascii() => {
            let doubled = digits.chars().flat_map(|digit| [digit, digit]);
            Cow::Owned(std::iter::once('#').chain(doubled).collect())
        }
        _ => Cow::Borrowed(value),
    }
}
