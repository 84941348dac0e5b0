//! Icons of networks that would come from the host of MJML's maker.
//!
//! Promises: each that names no image of its own is an error. Leaves those whose name or image a class gives to the
//! renderer.

use crate::mjml::finding::Findings;
use crate::mjml::tree::{Document, Element};
use crate::mjml::validate::defaults::Defaults;
use crate::mjml::validate::required::is_network;

/// What is wrong with such an icon.
pub const MESSAGE: &str = "this icon has no `src`, and readers do not fetch those of MJML's maker";
pub const HELP: &str = "write `src=\"https://...\"`, or name a file beside the issue";

/// Tells each icon that is not at hand.
pub fn check(document: &Document, found: &mut Findings) {
    let Some(root) = &document.root else { return };
    let defaults = Defaults::of(root, true);
    let bodies = root.elements().filter(|element| element.name == "mj-body");
    let mut waiting: Vec<&Element> = bodies.collect();
    while let Some(element) = waiting.pop() {
        waiting.extend(element.elements());
        let name = element.attribute("name").unwrap_or_default();
        if element.name == "mj-social-element"
            && is_network(name)
            && !defaults.provides(element, "src")
        {
            found.error_with_help(&element.span, "mjml-structure", MESSAGE, HELP);
        }
    }
}
