//! The line under which a message waits in the inbox.

use crate::appearance::markup::{Piece, Tag, name, pieces, unescape};

/// Characters of a snippet; the widest inbox shows fewer.
const SNIPPET: usize = 220;
/// Characters that show nothing, from which on they are meant to push the rest away.
const PADDING: usize = 20;

/// The first words of the body as an inbox shows them behind the subject: the preheader, and what the
/// program finds after it when the preheader is short. Characters that show nothing count as nothing.
pub fn snippet(html: &str) -> String {
    let mut words = String::new();
    let mut hidden: Option<String> = None;
    let mut length = 0;
    for piece in pieces(html) {
        match (piece, &hidden) {
            (Piece::Start(tag), None) => {
                let name = name(tag);
                if matches!(name.as_str(), "head" | "title" | "style" | "script") {
                    hidden = Some(name);
                } else if name == "img" {
                    // Some programs take the words of images too.
                    let tag = Tag::read(tag);
                    words.push_str(&format!(" {} ", tag.get("alt").unwrap_or_default()));
                } else if !matches!(name.as_str(), "a" | "b" | "strong" | "em" | "i" | "span") {
                    words.push(' ');
                }
            }
            (Piece::End(tag), Some(open)) if name(tag) == *open => hidden = None,
            (Piece::Text(text), None) => {
                let text = unescape(text);
                let padding = text.chars().filter(|c| invisible(*c)).count();
                let text: String = text.chars().filter(|c| !invisible(*c)).collect();
                length += text.trim().chars().count();
                words.push_str(&text);
                // What stands behind the padding is pushed out of sight.
                if length > SNIPPET || padding >= PADDING {
                    break;
                }
            }
            _ => {}
        }
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").chars().take(SNIPPET).collect()
}

/// What pads a preheader so that nothing follows it.
fn invisible(c: char) -> bool {
    matches!(
        c,
        '\u{34f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

/// Whether the padding of a preheader keeps the body's own words out of the inbox.
pub fn is_padded(html: &str) -> bool {
    let text = unescape(html);
    text.chars().filter(|c| invisible(*c)).count() >= PADDING
}
