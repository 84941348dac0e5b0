//! `mj-style inline="inline"` and `mj-html-attributes`: written into the elements that selectors match.
//!
//! Promises: nothing but the attributes concerned is changed; template fences stay where they stand. The
//! cascade is that of CSS: importance, the element's own style, specificity, order. Media queries and
//! states such as `:hover` cannot be written into an element, and are left out, as mjml does.

use std::collections::BTreeMap;

use crate::mjml::render::tags::Tagged;

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
    for (order, (selectors, declarations)) in rules(css).into_iter().enumerate() {
        for selector in split(&selectors, ',') {
            let selector = selector.trim();
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
                for declaration in declarations_of(&declarations, (0, specificity, order + 1)) {
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

/// Counts of ids; classes, attributes and states; names. Absent where nothing can be inlined.
fn specificity(selector: &str) -> Option<[u32; 3]> {
    let mut counts = [0; 3];
    let mut before = ' ';
    let mut rest = selector.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '#' => counts[0] += 1,
            '.' => counts[1] += 1,
            '[' => {
                counts[1] += 1;
                for inner in rest.by_ref() {
                    if inner == ']' {
                        break;
                    }
                }
            }
            ':' if rest.peek() == Some(&':') => return None,
            ':' => {
                let mut name = String::new();
                while let Some(letter) = rest.next_if(|c| c.is_alphanumeric() || *c == '-') {
                    name.push(letter.to_ascii_lowercase());
                }
                if matches!(
                    name.as_str(),
                    "hover"
                        | "active"
                        | "focus"
                        | "visited"
                        | "link"
                        | "before"
                        | "after"
                        | "first-line"
                        | "first-letter"
                ) {
                    return None;
                }
                counts[1] += u32::from(name != "not");
            }
            c if c.is_alphabetic() && matches!(before, ' ' | '>' | '+' | '~' | '(') => {
                counts[2] += 1;
            }
            _ => {}
        }
        before = if c.is_whitespace() { ' ' } else { c };
    }
    (!selector.is_empty()).then_some(counts)
}

/// Selectors and declarations of the rules outside at-rules.
fn rules(css: &str) -> Vec<(String, String)> {
    let css = without_comments(css);
    let mut css = css.as_str();
    let mut rules = Vec::new();
    while let Some(open) = css.find(['{', ';', '}']) {
        let (before, rest) = css.split_at(open);
        let selector = before.trim().to_owned();
        if !rest.starts_with('{') {
            css = &rest[1..];
            continue;
        }
        let end = block_end(rest);
        let inner = &rest[1..end];
        if !selector.starts_with('@') && !selector.is_empty() {
            rules.push((selector, inner.to_owned()));
        }
        css = &rest[(end + 1).min(rest.len())..];
    }
    rules
}

/// Where the block that begins `text` is closed.
fn block_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

fn without_comments(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// Splits outside of quotes, brackets and character references.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    let mut quote = None;
    let mut reference = false;
    for (at, c) in text.char_indices() {
        if quote.is_some() {
            if quote == Some(c) {
                quote = None;
            }
            continue;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '&' => {
                reference = true;
                continue;
            }
            ';' if reference => {
                reference = false;
                continue;
            }
            _ => {}
        }
        if c == separator && depth == 0 {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
        reference = reference && (c.is_ascii_alphanumeric() || c == '#');
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::specificity;

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

    #[test]
    fn specificity_counts_ids_classes_and_names() {
        assert_eq!(
            specificity("#a .b.c > d e[f=g]:first-child"),
            Some([1, 4, 2])
        );
        assert_eq!(specificity("*"), Some([0, 0, 0]));
        assert_eq!(specificity("a:hover"), None);
    }
}
