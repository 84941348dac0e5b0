//! Style sheets that are written into elements: selectors that no element can be found by.
//!
//! MJML drops their rules without a word, so these are warnings. States and pseudo-elements are no selectors of
//! elements, and are meant to be left out.

use crate::mjml::finding::Findings;
use crate::mjml::selector;
use crate::mjml::sheet::{rules, specificity};
use crate::mjml::tree::{Content, Element, Span};

/// A message shows no more of a selector than this.
const SHOWN: usize = 60;

pub fn check(style: &Element, found: &mut Findings) {
    let Content::Raw(sheet) = &style.content else {
        return;
    };
    if style.attribute("inline") != Some("inline") {
        return;
    }
    for rule in rules(&sheet.text) {
        // What another program is to fill in may be anything.
        if rule.declarations.starts_with(['{', '%']) {
            continue;
        }
        for (at, written) in rule.selectors() {
            if specificity(written).is_none() || selector::parse(written).is_some() {
                continue;
            }
            let shown: String = written.chars().take(SHOWN).collect();
            let message = format!("`{shown}` names no elements, so its rule is left out");
            let help = "what mail programs alone can know stands in an `mj-style` without `inline`";
            let start = sheet.span.range.start + at;
            let span = Span {
                file: sheet.span.file,
                range: start..start + written.len(),
            };
            found.warning_with_help(&span, "selector", message, help);
        }
    }
}
