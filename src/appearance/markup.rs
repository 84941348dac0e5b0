//! HTML cut into its pieces, so that one can be changed and the rest stays as it is.

use crate::compile::escape::escape_html;

/// A stretch of HTML; the stretches of a text, one behind the other, are the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// The whole comment, `<!--` and `-->` included.
    Comment(&'a str),
    /// A start tag with its brackets.
    Start(&'a str),
    /// An end tag with its brackets.
    End(&'a str),
    /// What stands in `<style>` or `<script>`.
    Raw(&'a str),
    /// `<!doctype>`, `<![if mso]>` and the like.
    Other(&'a str),
}

impl<'a> Piece<'a> {
    /// The stretch as it stands.
    pub(super) fn text(self) -> &'a str {
        match self {
            Piece::Text(text)
            | Piece::Comment(text)
            | Piece::Start(text)
            | Piece::End(text)
            | Piece::Raw(text)
            | Piece::Other(text) => text,
        }
    }
}

/// Cuts `html` into its pieces.
pub(super) fn pieces(html: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, length) = next(rest);
        pieces.push(piece);
        rest = &rest[length..];
        let Piece::Start(tag) = piece else { continue };
        let name = name(tag);
        if !matches!(name.as_str(), "style" | "script") || tag.ends_with("/>") {
            continue;
        }
        let end = find_ignoring_case(rest, &format!("</{name}")).unwrap_or(rest.len());
        if end > 0 {
            pieces.push(Piece::Raw(&rest[..end]));
            rest = &rest[end..];
        }
    }
    pieces
}

/// The first piece and its length in octets, at least 1.
fn next(html: &str) -> (Piece<'_>, usize) {
    let Some(open) = html.find('<') else {
        return (Piece::Text(html), html.len());
    };
    if open > 0 {
        return (Piece::Text(&html[..open]), open);
    }
    if html.starts_with("<!--") {
        // `<!-->` is a whole comment for browsers.
        let end = html[2..].find("-->").map_or(html.len(), |at| at + 5);
        return (Piece::Comment(&html[..end]), end);
    }
    let second = html[1..].chars().next().unwrap_or(' ');
    let until_bracket = html.find('>').map_or(html.len(), |at| at + 1);
    match second {
        '!' | '?' => (Piece::Other(&html[..until_bracket]), until_bracket),
        '/' => (Piece::End(&html[..until_bracket]), until_bracket),
        letter if letter.is_ascii_alphabetic() => {
            let end = tag_end(html);
            (Piece::Start(&html[..end]), end)
        }
        _ => {
            let end = html[1..].find('<').map_or(html.len(), |at| at + 1);
            (Piece::Text(&html[..end]), end)
        }
    }
}

/// Where a start tag ends; a `>` in quotes is none.
fn tag_end(html: &str) -> usize {
    let mut quote = None;
    for (at, byte) in html.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    html.len()
}

/// The element's name in lower case, of a start or an end tag.
pub(super) fn name(tag: &str) -> String {
    let inner = tag.trim_start_matches('<').trim_start_matches('/');
    let end = inner.find(|c: char| c.is_whitespace() || c == '>' || c == '/');
    inner[..end.unwrap_or(inner.len())].to_ascii_lowercase()
}

/// An attribute with its value, character references resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

/// A start tag that is to be changed.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
    closed: bool,
}

impl Tag {
    /// Reads a start tag with its brackets.
    pub(super) fn read(tag: &str) -> Tag {
        let name = name(tag);
        let inner = tag.strip_suffix('>').unwrap_or(tag);
        let closed = inner.ends_with('/');
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let mut rest = inner.get(1 + name.len()..).unwrap_or_default();
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if rest.is_empty() {
                break;
            }
            let end = rest
                .char_indices()
                .find(|&(at, c)| (at > 0 && c == '=') || c.is_whitespace())
                .map_or(rest.len(), |(at, _)| at);
            let name = rest[..end].to_ascii_lowercase();
            rest = rest[end..].trim_start();
            let value = rest.strip_prefix('=').map(|after| {
                let (value, left) = value(after.trim_start());
                rest = left;
                unescape(value)
            });
            attributes.push(Attribute { name, value });
        }
        Tag {
            name,
            attributes,
            closed,
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|found| found.name == name)?;
        found.value.as_deref()
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.attributes.retain(|attribute| attribute.name != name);
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.remove(name);
        self.attributes.push(Attribute {
            name: name.to_owned(),
            value: Some(value),
        });
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        for Attribute { name, value } in &self.attributes {
            out.push(' ');
            out.push_str(name);
            if let Some(value) = value {
                out.push_str(&format!("=\"{}\"", escape_html(value)));
            }
        }
        out.push_str(if self.closed { " />" } else { ">" });
    }
}

/// The value at the start of `rest`, and what stands behind it.
fn value(rest: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = rest.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    rest.split_at(end)
}

/// Resolves the references that stand in our own attributes, and leaves others as they are.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        let found = end.and_then(|end| Some((reference(&rest[1..end])?, end + 1)));
        let (c, length) = found.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// The character of a reference without its `&` and `;`.
fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "shy" => '\u{ad}',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "hellip" => '\u{2026}',
        "copy" => '\u{a9}',
        "middot" => '\u{b7}',
        "rarr" => '\u{2192}',
        "lsquo" => '\u{2018}',
        "rsquo" => '\u{2019}',
        "ldquo" => '\u{201c}',
        "rdquo" => '\u{201d}',
        _ => return None,
    })
}

/// Changes each start tag by `edit` and each style sheet by `sheet`. A tag that is not changed keeps its
/// spelling.
pub(super) fn rewrite(
    html: &str,
    mut edit: impl FnMut(&mut Tag) -> bool,
    mut sheet: impl FnMut(&str) -> String,
) -> String {
    let mut out = String::with_capacity(html.len() + html.len() / 8);
    let mut in_style = false;
    for piece in pieces(html) {
        match piece {
            Piece::Start(text) => {
                let mut tag = Tag::read(text);
                in_style = tag.name == "style";
                if edit(&mut tag) {
                    tag.write(&mut out);
                } else {
                    out.push_str(text);
                }
            }
            Piece::Raw(text) if in_style => out.push_str(&sheet(text)),
            other => out.push_str(other.text()),
        }
    }
    out
}

/// See [`super::images_in`].
pub(super) fn images_in(html: &str) -> Vec<(String, Option<String>)> {
    let mut images = Vec::new();
    for piece in pieces(html) {
        let Piece::Start(text) = piece else { continue };
        if name(text) != "img" {
            continue;
        }
        let tag = Tag::read(text);
        let tiny = |name| matches!(tag.get(name), Some("0" | "1"));
        let source = tag.get("src").filter(|_| !tiny("width") && !tiny("height"));
        if let Some(source) = source {
            images.push((source.to_owned(), tag.get("alt").map(str::to_owned)));
        }
    }
    images
}

/// Puts `text` before `</head>`, or in front of everything.
pub(super) fn with_head(html: &str, text: &str) -> String {
    let at = find_ignoring_case(html, "</head>").unwrap_or(0);
    format!("{}{text}{}", &html[..at], &html[at..])
}

/// Where `needle`, which is lower-case ASCII, stands first.
pub(super) fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    let first = needle.first()?;
    memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text).find(|&at| {
        text.get(at..at + needle.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(needle))
    })
}
