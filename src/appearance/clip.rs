//! Gmail's cut: what stands behind 102 KiB of HTML is not shown.
//!
//! The exact place differs by a few octets from program to program; the cut here falls before the tag
//! or the character that would cross the limit.

use crate::appearance::markup::{Piece, name, pieces};

/// Elements without an end tag.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];
const NOTE: &str = "<div style=\"padding:16px;font:14px/1.5 Arial,sans-serif;color:#222;\
    background:#fff\">[Message clipped]&nbsp; <u style=\"color:#15c\">View entire message</u></div>";

/// `html` cut behind `limit` octets, its open elements closed, with the note that Gmail puts there.
/// What is short enough stays as it is.
pub fn cut(html: &str, limit: usize) -> String {
    if html.len() <= limit {
        return html.to_owned();
    }
    let mut out = String::with_capacity(limit + 512);
    let mut open: Vec<String> = Vec::new();
    for piece in pieces(html) {
        let text = piece.text();
        let left = limit - out.len();
        if text.len() > left {
            if matches!(piece, Piece::Text(_)) {
                out.push_str(&text[..text.floor_char_boundary(left)]);
            }
            break;
        }
        out.push_str(text);
        match piece {
            Piece::Start(tag) => {
                let name = name(tag);
                if !VOID.contains(&name.as_str()) && !tag.ends_with("/>") {
                    open.push(name);
                }
            }
            Piece::End(tag) => {
                let name = name(tag);
                if let Some(at) = open.iter().rposition(|open| *open == name) {
                    open.truncate(at);
                }
            }
            _ => {}
        }
    }
    for name in open
        .iter()
        .rev()
        .filter(|name| !matches!(name.as_str(), "html" | "body"))
    {
        out.push_str(&format!("</{name}>"));
    }
    out.push_str(NOTE);
    out
}
