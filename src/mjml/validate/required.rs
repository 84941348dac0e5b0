//! Attributes without which a component shows nothing or does nothing.
//!
//! MJML takes their absence without a word, so these are warnings.

use crate::diagnostic::nearest;
use crate::mjml::finding::Findings;
use crate::mjml::tree::Element;
use crate::mjml::validate::defaults::Defaults;

/// Component, attribute, and what happens without it.
const REQUIRED: [(&str, &str, &str); 9] = [
    (
        "mj-breakpoint",
        "width",
        "the breakpoint is lost without it",
    ),
    ("mj-carousel-image", "src", "nothing is shown without it"),
    ("mj-class", "name", "nobody can use it without one"),
    ("mj-font", "href", "the font is not loaded without it"),
    ("mj-font", "name", "the font is not loaded without one"),
    ("mj-html-attribute", "name", "nothing is set without one"),
    ("mj-image", "src", "nothing is shown without it"),
    ("mj-selector", "path", "nothing is selected without it"),
    ("mj-social-element", "name", "no icon is shown without one"),
];

/// The networks for which there is an icon; each also with `-noshare` behind it.
const NETWORKS: [&str; 17] = [
    "dribbble",
    "facebook",
    "github",
    "google",
    "instagram",
    "linkedin",
    "medium",
    "pinterest",
    "snapchat",
    "soundcloud",
    "tumblr",
    "twitter",
    "vimeo",
    "web",
    "x",
    "xing",
    "youtube",
];

/// Whether MJML's maker has an icon of this name.
pub fn is_network(name: &str) -> bool {
    NETWORKS.contains(&name.strip_suffix("-noshare").unwrap_or(name))
}

pub fn check(element: &Element, defaults: &Defaults<'_>, found: &mut Findings) {
    let social = element.name == "mj-social-element";
    if social && defaults.provides(element, "src") {
        return;
    }
    for (name, attribute, consequence) in REQUIRED {
        if name == element.name && !defaults.provides(element, attribute) {
            found.warning_with_help(
                &element.name_span,
                "missing-attribute",
                format!("`{name}` has no `{attribute}`"),
                help(attribute, consequence, social),
            );
        }
    }
    if social {
        network(element, found);
    }
}

fn help(attribute: &str, consequence: &str, social: bool) -> String {
    let or = if social { " or a `src`" } else { "" };
    format!("give it `{attribute}`{or}; {consequence}")
}

/// Whether the name of a social element without a picture of its own is that of a network.
fn network(element: &Element, found: &mut Findings) {
    let mut names = element.attributes.iter();
    let Some(name) = names.find(|attribute| attribute.name == "name") else {
        return;
    };
    let network = name.value.strip_suffix("-noshare").unwrap_or(&name.value);
    if network.trim().is_empty() || is_network(&name.value) {
        return;
    }
    let lower = network.to_lowercase();
    let meant = nearest(&lower, NETWORKS);
    let help = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "give it a `src` for its icon".into(),
    };
    found.warning_with_help(
        &name.value_span,
        "wrong-value",
        format!("MJML has no icon for `{network}`"),
        help,
    );
}
