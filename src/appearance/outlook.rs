//! Outlook on Windows, which draws with Word: an approximation.
//!
//! Conditional comments are decided as Outlook 2016 and later decide them, VML boxes become plain boxes,
//! and what Word does not draw is taken out of the styles. Word's own widths, gaps and fonts are not
//! imitated: only Outlook shows those.

use crate::appearance::css::{declarations, without_rules};
use crate::appearance::markup::{Piece, Tag, find_ignoring_case, pieces, rewrite};
use crate::appearance::plain::without_url;

mod condition;

/// What Word does not draw at all.
const UNKNOWN: [&str; 28] = [
    "animation",
    "background-image",
    "background-position",
    "background-repeat",
    "background-size",
    "border-radius",
    "border-top-left-radius",
    "border-top-right-radius",
    "border-bottom-left-radius",
    "border-bottom-right-radius",
    "box-shadow",
    "box-sizing",
    "filter",
    "flex",
    "gap",
    "max-height",
    "max-width",
    "min-height",
    "min-width",
    "object-fit",
    "opacity",
    "overflow",
    "position",
    "text-shadow",
    "transform",
    "transition",
    "outline",
    "float",
];
/// Elements on which Word knows neither padding nor a size.
const BARE: [&str; 4] = ["a", "div", "p", "span"];

/// `html` as Word would draw it, as far as a browser can show that.
pub(super) fn through_word(html: &str) -> String {
    let html = decided(html);
    let html = without_element(&html, "xml");
    rewrite(&html, word_tag, |sheet| {
        let sheet = without_rules(sheet, &["@media", "@import", "@font-face", "@supports"]);
        declarations(&sheet, &mut |property, value| {
            word_style("", property, value)
        })
    })
}

/// Conditional comments decided: what is for Word shows, what is not for Word is gone.
fn decided(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    // Whether what stands in each open condition shows.
    let mut open: Vec<bool> = Vec::new();
    for piece in pieces(html) {
        let shown = open.iter().all(|shown| *shown);
        let inner = match piece {
            Piece::Comment(text) => text.strip_prefix("<!--").unwrap_or(text),
            Piece::Other(text) => text.strip_prefix("<!").unwrap_or(text),
            other => {
                if shown {
                    out.push_str(other.text());
                }
                continue;
            }
        };
        let inner = inner.strip_suffix("-->").unwrap_or(inner).trim();
        if inner.trim_start_matches("<!").starts_with("[endif]") {
            open.pop();
            continue;
        }
        let Some((holds, rest)) = condition::read(inner) else {
            if shown {
                out.push_str(piece.text());
            }
            continue;
        };
        match rest.strip_suffix("<![endif]") {
            // Hidden from all others: the content stands within the comment.
            Some(content) if shown && holds => out.push_str(content),
            Some(_) => {}
            None => open.push(holds),
        }
    }
    out
}

fn without_element(html: &str, name: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = find_ignoring_case(rest, &format!("<{name}>")) {
        out.push_str(&rest[..start]);
        let end = format!("</{name}>");
        let close = find_ignoring_case(&rest[start..], &end);
        rest = close.map_or("", |close| &rest[start + close + end.len()..]);
    }
    out.push_str(rest);
    out
}

fn word_tag(tag: &mut Tag) -> bool {
    if tag.name.starts_with("v:") || tag.name.starts_with("o:") || tag.name.starts_with("w:") {
        let fill = tag.get("fillcolor").map(str::to_owned);
        tag.name = "span".into();
        tag.attributes.clear();
        if let Some(fill) = fill {
            tag.set("style", format!("display:block;background:{fill}"));
        }
        return true;
    }
    tag.remove("background");
    let name = tag.name.clone();
    let width = tag.get("width").map(str::to_owned);
    if let Some(style) = tag.get("style") {
        let mut padding = None;
        let mut style = declarations(style, &mut |property, value| {
            if property == "mso-padding-alt" && matches!(name.as_str(), "td" | "th") {
                padding = Some(value.to_owned());
            }
            word_style(&name, property, value)
        });
        // What Word reads instead of a cell's padding: a button's, whose link has none to it.
        if let Some(padding) = padding {
            style = format!("{};padding:{padding}", style.trim_end_matches(';'));
        }
        tag.set("style", style);
    }
    // Word takes an image's size from its attributes only.
    if let (true, Some(width)) = (name == "img", width)
        && width.bytes().all(|byte| byte.is_ascii_digit())
    {
        let style = tag.get("style").unwrap_or_default();
        let style = format!("{};width:{width}px", style.trim_end_matches(';'));
        tag.set("style", style);
    }
    true
}

fn word_style(element: &str, property: &str, value: &str) -> Option<String> {
    let bare = BARE.contains(&element);
    let sized = property.starts_with("padding") || matches!(property, "width" | "height");
    if UNKNOWN.contains(&property) || (bare && sized) {
        return None;
    }
    match property {
        "display" if value.starts_with("none") => Some(value.to_owned()),
        "display" => None,
        "background" if value.contains("gradient(") => None,
        "background" => Some(without_url(value)),
        _ => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::through_word;

    #[test]
    fn a_button_has_the_padding_that_word_gives_its_cell() {
        let html = "<td bgcolor=\"#123456\" style=\"border-radius:3px;mso-padding-alt:14px 26px;\">\
                    <a style=\"padding:14px 26px;color:#ffffff\">Read</a></td>";
        let seen = through_word(html);
        let (cell, link) = seen.split_once("<a").expect("a link");
        assert!(cell.contains("padding:14px 26px"), "{seen}");
        assert!(cell.contains(";padding:14px 26px"), "{seen}");
        assert!(!link.contains("padding"), "{seen}");
    }
}
