//! `mj-style inline="inline"` and `mj-html-attributes`: written into the elements that selectors match.
//!
//! Promises: nothing but the attributes concerned is changed; template fences stay where they stand. The
//! cascade is that of CSS: importance, the element's own style, specificity, order. Media queries and
//! states such as `:hover` cannot be written into an element, and are left out, as mjml does.

use std::collections::BTreeMap;

use crate::mjml::render::tags::Tagged;
use crate::mjml::sheet::{rules, specificity, split};

/// Elements that are never shown.
const UNSEEN: [&str; 8] = [
    "head", "title", "base", "link", "style", "meta", "script", "noscript",
];
const OF_TABLES: [&str; 10] = [
    "table", "th", "tr", "td", "caption", "colgroup", "col", "thead", "tbody", "tfoot",
];
/// Properties that old mail programs know as attributes of tables only.
const TABLE_ATTRIBUTES: [(&str, &str); 4] = [
    ("background-color", "bgcolor"),
    ("background-image", "background"),
    ("text-align", "align"),
    ("vertical-align", "valign"),
];

/// Sets attributes by selector. Absent where the HTML is nested too deep for that.
pub fn set_attributes(html: &str, selectors: &[(&str, Vec<(&str, &str)>)]) -> Option<String> {
    let tagged = Tagged::of(html)?;
    let index = tagged.index();
    let mut edits: BTreeMap<usize, Vec<(String, String)>> = BTreeMap::new();
    for (selector, attributes) in selectors {
        for tag in index.select(selector) {
            let owned = attributes.iter();
            let owned = owned.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            edits.entry(tag).or_default().extend(owned);
        }
    }
    Some(tagged.with(&edits))
}

/// Writes the declarations of a style sheet into the elements. Absent where the HTML is nested too deep.
pub fn inline_styles(html: &str, css: &str) -> Option<String> {
    let tagged = Tagged::of(html)?;
    let index = tagged.index();
    let mut styles: BTreeMap<usize, Vec<Declaration>> = BTreeMap::new();
    for (order, rule) in rules(css).into_iter().enumerate() {
        for (_, selector) in rule.selectors() {
            let Some(specificity) = specificity(selector) else {
                continue;
            };
            for tag in index.select(selector) {
                if UNSEEN.contains(&tagged.name(tag).as_str()) {
                    continue;
                }
                let own = || {
                    let style = tagged.value(tag, "style").unwrap_or_default();
                    declarations_of(style, (1, [0; 3], 0))
                };
                let style = styles.entry(tag).or_insert_with(own);
                for declaration in declarations_of(&rule.declarations, (0, specificity, order + 1))
                {
                    add(style, declaration);
                }
            }
        }
    }
    let mut edits: BTreeMap<usize, Vec<(String, String)>> = BTreeMap::new();
    for (tag, mut style) in styles {
        style.sort_by_key(|declaration| (declaration.important, declaration.weight));
        let mut attributes = table_attributes(&tagged.name(tag), &style);
        let written: Vec<String> = style.iter().map(Declaration::written).collect();
        attributes.push(("style".to_owned(), written.join(" ")));
        edits.insert(tag, attributes);
    }
    Some(tagged.with(&edits))
}

/// Where a declaration comes from: whether from the element itself, the specificity, the order.
type Weight = (u8, [u32; 3], usize);

#[derive(Debug)]
struct Declaration {
    /// Empty for what is no declaration (a template's fence).
    name: String,
    value: String,
    important: bool,
    weight: Weight,
}

impl Declaration {
    fn written(&self) -> String {
        match self.name.as_str() {
            "" => format!("{};", self.value),
            name => format!("{name}: {};", self.value.replace('"', "'")),
        }
    }
}

/// Adds a declaration, unless a weightier one is there; a rule may say a thing twice (as a fallback).
fn add(style: &mut Vec<Declaration>, new: Declaration) {
    let weight = |known: &Declaration| (known.important, known.weight);
    let same = |known: &&Declaration| known.name == new.name;
    if style
        .iter()
        .filter(same)
        .any(|known| weight(known) > weight(&new))
    {
        return;
    }
    style.retain(|known| known.name != new.name || known.weight == new.weight);
    style.push(new);
}

fn declarations_of(text: &str, weight: Weight) -> Vec<Declaration> {
    let mut declarations: Vec<Declaration> = Vec::new();
    for text in split(text, ';') {
        let text = text.trim();
        let (name, value) = match text.split_once(':') {
            Some((name, value)) if !name.contains(['{', '<', '[']) => (name.trim(), value.trim()),
            _ => ("", text),
        };
        if value.is_empty() {
            continue;
        }
        let plain = value.strip_suffix("!important").map(str::trim_end);
        declarations.push(Declaration {
            name: name.to_ascii_lowercase(),
            value: plain.unwrap_or(value).to_owned(),
            important: plain.is_some(),
            weight,
        });
    }
    declarations
}

/// The attributes that stand for declarations in old mail programs.
fn table_attributes(element: &str, style: &[Declaration]) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    let of_table = OF_TABLES.contains(&element);
    for declaration in style {
        let (name, value) = (declaration.name.as_str(), declaration.value.as_str());
        let sized = matches!(element, "table" | "td" | "th" | "img");
        if sized && matches!(name, "width" | "height") {
            if value.contains("px") || value.contains("auto") {
                attributes.push((name.to_owned(), value.replacen("px", "", 1)));
            } else if of_table && value.contains('%') {
                attributes.push((name.to_owned(), value.to_owned()));
            }
        }
        let known = TABLE_ATTRIBUTES.iter().find(|(css, _)| *css == name);
        if let Some((_, attribute)) = known.filter(|_| of_table) {
            if value.contains("-gradient(") {
                continue;
            }
            let value = match *attribute {
                "background" => value
                    .strip_prefix("url(")
                    .and_then(|url| url.strip_suffix(')'))
                    .map_or(value, |url| url.trim_matches(['"', '\''])),
                _ => value,
            };
            attributes.push(((*attribute).to_owned(), value.to_owned()));
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    fn inline_styles(html: &str, css: &str) -> String {
        super::inline_styles(html, css).expect("a flat page")
    }

    #[test]
    fn importance_then_own_style_then_specificity_then_order() {
        let css = "p { color: red; margin: 0 !important; font: a } .x { color: blue; font: b }
                   p.x { color: green } /* p { color: black } */ p { font: c }";
        let html = inline_styles("<p class=\"x\" style=\"margin:1px;padding:2px\">a</p>", css);
        assert_eq!(
            html,
            "<p class=\"x\" style=\"font: b; color: green; padding: 2px; margin: 0;\">a</p>"
        );
    }

    #[test]
    fn template_fences_stay_where_they_stand() {
        let html = "<table>{% for x in y %}<tr class=\"r\"><td>{{ x < 1 }}</td></tr>{% endfor %}\
                    [[if]]</table><p style=\"{{ own }};color:red\">[[a]]</p>";
        let inlined = inline_styles(html, ".r { color: red } p { top: 0 }");
        assert_eq!(
            inlined,
            html.replace("<tr class", "<tr style=\"color: red;\" class")
                .replace("{{ own }};color:red", "top: 0; {{ own }}; color: red;")
        );
    }

    #[test]
    fn what_cannot_be_written_into_an_element_is_left_out() {
        let html = "<a style=\"top:1px\">b</a>";
        let css =
            "@media print { a { color: red } } a:hover { color: red } a::before { color: red }
                   @import url(x); ??? { color: red } b, { color: red }";
        assert_eq!(inline_styles(html, css), html);
    }

    #[test]
    fn tables_get_attributes_beside() {
        let html = inline_styles(
            "<table><tr><td>a</td></tr></table>",
            "table { width: 300px; text-align: center } td { width: 50%; background-color: red }",
        );
        assert_eq!(
            html,
            "<table width=\"300\" align=\"center\" style=\"width: 300px; text-align: center;\"><tr>\
             <td width=\"50%\" bgcolor=\"red\" style=\"width: 50%; background-color: red;\">a</td>\
             </tr></table>"
        );
    }

    #[test]
    fn attributes_are_set_by_selector() {
        let html = "<div class=\"a\"><p data-id='0'>x<br></p>{{ y }}</div>";
        let selectors = [
            (".a p", vec![("data-id", "4\"2"), ("hidden", "")]),
            ("div", vec![("data-id", "1")]),
        ];
        assert_eq!(
            super::set_attributes(html, &selectors).expect("a flat page"),
            "<div data-id=\"1\" class=\"a\"><p hidden=\"\" data-id=\"4&quot;2\">x<br></p>{{ y }}</div>"
        );
    }
}
