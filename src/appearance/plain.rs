//! Less than the author sent: no style sheets, no images, images from elsewhere.

use crate::appearance::css::declarations;
use crate::appearance::markup::{Piece, Tag, name, pieces, rewrite};

/// Takes every `<style>` and every linked sheet out; style attributes stay.
pub(super) fn without_styles(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut inside = false;
    for piece in pieces(html) {
        match piece {
            Piece::Start(tag) if name(tag) == "style" => inside = true,
            Piece::End(tag) if name(tag) == "style" => inside = false,
            Piece::Start(tag) if name(tag) == "link" => {}
            Piece::Raw(_) if inside => {}
            other => out.push_str(other.text()),
        }
    }
    out
}

/// Takes every image out and leaves its alternative text in a box of its size.
pub(super) fn without_images(html: &str) -> String {
    rewrite(html, blank, without_pictures)
}

fn blank(tag: &mut Tag) -> bool {
    match tag.name.as_str() {
        "img" => {
            tag.remove("src");
            tag.remove("srcset");
            // Without a source browsers show nothing of the image's size: the box is drawn by hand.
            let old = tag.get("style").unwrap_or_default().trim_end_matches(';');
            let old = without_pictures(old);
            let tiny = |name| tag.get(name).is_some_and(|size| matches!(size, "0" | "1"));
            let style = match tiny("width") || tiny("height") {
                true => old,
                false => format!(
                    "{old};outline:1px dashed currentColor;outline-offset:-1px;padding:8px;\
                     box-sizing:border-box;min-height:2.4em;font-size:14px;line-height:1.4;opacity:.8"
                ),
            };
            tag.set("style", style);
        }
        "source" => tag.remove("srcset"),
        _ => {
            tag.remove("background");
            if let Some(style) = tag.get("style").map(without_pictures) {
                tag.set("style", style);
            }
        }
    }
    true
}

fn without_pictures(css: &str) -> String {
    declarations(css, &mut |property, value| {
        let ground = property.starts_with("background");
        match (ground && value.contains("url("), property) {
            (false, _) => Some(value.to_owned()),
            (true, "background") => Some(without_url(value)),
            (true, _) => None,
        }
    })
}

/// A background's colour and position without its image.
pub(super) fn without_url(value: &str) -> String {
    let Some(at) = value.find("url(") else {
        return value.to_owned();
    };
    let end = value[at..]
        .find(')')
        .map_or(value.len(), |end| at + end + 1);
    format!("{} {}", value[..at].trim(), value[end..].trim())
}

/// See [`super::images_from`].
pub(super) fn images_from(html: &str, from: &str, to: &str) -> String {
    let edit = |tag: &mut Tag| {
        let mut changed = false;
        for attribute in &mut tag.attributes {
            let Some(value) = &mut attribute.value else {
                continue;
            };
            let new = match attribute.name.as_str() {
                "src" | "background" | "poster" => {
                    value.strip_prefix(from).map(|rest| format!("{to}{rest}"))
                }
                "srcset" | "style" => value.contains(from).then(|| value.replace(from, to)),
                _ => None,
            };
            if let Some(new) = new {
                *value = new;
                changed = true;
            }
        }
        changed
    };
    rewrite(html, edit, |sheet| sheet.replace(from, to))
}
