//! The HTML that an issue may hold: its tags, their attributes, and what each becomes.
//!
//! Promises: nothing that is not on the list here comes through; tags know their place in the file. Leaves
//! the nesting to `markdown::html`, and the writing to the theme, as for Markdown.

use pulldown_cmark::{Event, Parser};

use crate::issue::block::Mark;

/// A tag as it stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) closing: bool,
    /// Ends in `/>`.
    pub(crate) slash: bool,
    pub(crate) attributes: Vec<Attribute>,
    /// Where its `<` stands in the file.
    pub(crate) offset: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// In lower case.
    pub(crate) name: String,
    /// Without quotes, entities read.
    pub(crate) value: String,
    /// Where the name stands in the file.
    pub(crate) offset: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Tag(Tag),
    /// Entities read; where it begins.
    Text(String, usize),
    /// A document type, a processing instruction, a section: what HTML has for machines.
    Other(usize),
    /// A tag or comment without an end.
    Unended(usize),
}

/// What a tag becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Words(Words),
    Block(Shape),
}

/// Among words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    Strong,
    Emphasis,
    Strike,
    Sub,
    Sup,
    Mark(Mark),
    Styled,
    Abbreviation,
    Quoted,
    Link,
    Break,
    Image,
}

/// A block of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Only holds others: `div`, `section`, `details` ...
    Group,
    Center,
    Summary,
    Heading(u8),
    Quote,
    List {
        ordered: bool,
    },
    ListItem,
    Table,
    TablePart,
    Row,
    Cell {
        head: bool,
    },
    Figure,
    Caption,
    Rule,
    Preformatted,
}

/// The tags that are let in, for the help below an error.
pub(crate) const ALLOWED: &str = "a, abbr, b, blockquote, br, center, cite, code, del, details, div, em, \
     figcaption, figure, h3, h4, hr, i, img, ins, kbd, li, mark, ol, p, pre, q, s, section, small, span, \
     strong, sub, summary, sup, table, tbody, td, tfoot, th, thead, tr, u, ul";

/// What `name` means, if it is let in, and the attributes that it may have.
pub(crate) fn meaning(name: &str) -> Option<(Meaning, &'static [&'static str])> {
    const NONE: &[&str] = &[];
    const ALIGN: &[&str] = &["align", "style"];
    let words = |words, attributes| Some((Meaning::Words(words), attributes));
    let block = |shape, attributes| Some((Meaning::Block(shape), attributes));
    match name {
        "b" | "strong" => words(Words::Strong, NONE),
        "i" | "em" | "cite" | "dfn" | "var" => words(Words::Emphasis, NONE),
        "s" | "del" | "strike" => words(Words::Strike, NONE),
        "sub" => words(Words::Sub, NONE),
        "sup" => words(Words::Sup, NONE),
        "u" | "ins" => words(Words::Mark(Mark::Underline), NONE),
        "small" => words(Words::Mark(Mark::Small), NONE),
        "mark" => words(Words::Mark(Mark::Highlight), NONE),
        "code" | "samp" | "tt" => words(Words::Mark(Mark::Code), NONE),
        "kbd" => words(Words::Mark(Mark::Key), NONE),
        "abbr" => words(Words::Abbreviation, &["title"]),
        "q" => words(Words::Quoted, NONE),
        "span" => words(Words::Styled, &["style"]),
        "a" => words(Words::Link, &["href", "title", "target", "rel"]),
        "br" => words(Words::Break, NONE),
        "img" => words(
            Words::Image,
            &["src", "alt", "title", "width", "height", "align"],
        ),
        "div" | "p" | "section" | "article" | "main" | "header" | "footer" => {
            block(Shape::Group, ALIGN)
        }
        "details" => block(Shape::Group, &["open"]),
        "center" => block(Shape::Center, NONE),
        "summary" => block(Shape::Summary, NONE),
        "h1" => block(Shape::Heading(1), ALIGN),
        "h2" => block(Shape::Heading(2), ALIGN),
        "h3" => block(Shape::Heading(3), ALIGN),
        "h4" => block(Shape::Heading(4), ALIGN),
        "h5" | "h6" => block(Shape::Heading(5), ALIGN),
        "blockquote" => block(Shape::Quote, NONE),
        "ul" => block(Shape::List { ordered: false }, NONE),
        "ol" => block(Shape::List { ordered: true }, &["start"]),
        "li" => block(Shape::ListItem, NONE),
        "table" => block(Shape::Table, NONE),
        "thead" | "tbody" | "tfoot" => block(Shape::TablePart, NONE),
        "tr" => block(Shape::Row, NONE),
        "th" => block(Shape::Cell { head: true }, ALIGN),
        "td" => block(Shape::Cell { head: false }, ALIGN),
        "figure" => block(Shape::Figure, NONE),
        "figcaption" => block(Shape::Caption, NONE),
        "hr" => block(Shape::Rule, NONE),
        "pre" => block(Shape::Preformatted, NONE),
        _ => None,
    }
}

/// Tags that have no content (HTML, section 13.1.2).
pub(crate) fn is_void(name: &str) -> bool {
    const VOID: [&str; 14] = [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param",
        "source", "track", "wbr",
    ];
    VOID.contains(&name)
}

/// Tags whose content is no text for readers (HTML, section 13.2.6).
pub(crate) fn is_opaque(name: &str) -> bool {
    const OPAQUE: [&str; 12] = [
        "script", "style", "textarea", "title", "iframe", "noscript", "object", "svg", "math",
        "template", "select", "head",
    ];
    OPAQUE.contains(&name)
}

/// Declarations for a `span`, or the first that is not let in.
pub(crate) fn style(css: &str) -> Result<String, String> {
    const KNOWN: [&str; 5] = [
        "color",
        "background-color",
        "font-weight",
        "font-style",
        "text-decoration",
    ];
    let mut out = Vec::new();
    for declaration in css.split(';').filter(|text| !text.trim().is_empty()) {
        let (name, value) = declaration.split_once(':').unwrap_or((declaration, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let function = value.split_once('(').map(|(name, _)| name);
        let calm = !value.is_empty()
            && value.len() <= 60
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "#.,%() -".contains(c))
            && function.is_none_or(|name| ["rgb", "rgba", "hsl", "hsla"].contains(&name));
        if !KNOWN.contains(&name.as_str()) || !calm {
            return Err(declaration.trim().chars().take(60).collect());
        }
        out.push(format!("{name}:{value}"));
    }
    Ok(out.join(";"))
}

/// Cuts HTML into tags and texts; `place` tells where an octet of `text` stands in the file.
pub(crate) fn tokens(text: &str, place: impl Fn(usize) -> usize) -> Vec<Token> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut plain = 0;
    while let Some(open) = text[at..].find('<').map(|open| at + open) {
        let rest = &text[open + 1..];
        let name = rest.strip_prefix('/').unwrap_or(rest);
        let token = if let Some(comment) = rest.strip_prefix("!--") {
            let end = comment.find("-->").map(|end| open + 4 + end + 3);
            // A comment is the author's note to themselves.
            end.map(|end| (None, end))
        } else if rest.starts_with(['!', '?']) {
            let end = rest.find('>').map(|end| open + 1 + end + 1);
            end.map(|end| (Some(Token::Other(place(open))), end))
        } else if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let tag = tag(text, open, &place);
            tag.map(|(tag, end)| (Some(Token::Tag(tag)), end))
        } else {
            at = open + 1;
            continue;
        };
        push_text(&text[plain..open], place(plain), &mut out);
        let Some((token, end)) = token else {
            out.push(Token::Unended(place(open)));
            return out;
        };
        out.extend(token);
        at = end;
        plain = end;
    }
    push_text(&text[plain..], place(plain), &mut out);
    out
}

fn push_text(text: &str, offset: usize, out: &mut Vec<Token>) {
    if !text.is_empty() {
        out.push(Token::Text(without_entities(text), offset));
    }
}

/// The tag that opens at `open`, and the offset behind it.
fn tag(text: &str, open: usize, place: impl Fn(usize) -> usize) -> Option<(Tag, usize)> {
    let closing = text[open + 1..].starts_with('/');
    let start = open + 1 + usize::from(closing);
    let ends = |c: char| c.is_whitespace() || "/>=".contains(c);
    let length = text[start..].find(ends)?;
    let mut tag = Tag {
        name: text[start..start + length].to_ascii_lowercase(),
        closing,
        slash: false,
        attributes: Vec::new(),
        offset: place(open),
    };
    let mut at = start + length;
    loop {
        let rest = text[at..].trim_start();
        at = text.len() - rest.len();
        if rest.starts_with('>') {
            return Some((tag, at + 1));
        }
        if rest.starts_with("/>") {
            tag.slash = true;
            return Some((tag, at + 2));
        }
        if rest.starts_with(['/', '=']) {
            at += 1;
            continue;
        }
        let length = rest.find(ends)?;
        let name = rest[..length].to_ascii_lowercase();
        let offset = place(at);
        at += length;
        let mut value = "";
        if let Some(given) = rest[length..].trim_start().strip_prefix('=') {
            let given = given.trim_start();
            let begin = text.len() - given.len();
            let quote = given.chars().next().filter(|c| matches!(c, '"' | '\''));
            (value, at) = match quote {
                Some(quote) => {
                    let end = given[1..].find(quote)?;
                    (&given[1..1 + end], begin + end + 2)
                }
                None => {
                    let end = given.find(|c: char| c.is_whitespace() || c == '>')?;
                    (&given[..end], begin + end)
                }
            };
        }
        tag.attributes.push(Attribute {
            name,
            value: without_entities(value),
            offset,
        });
    }
}

/// The text with its character references read, as Markdown reads them.
pub(crate) fn without_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '#';
        let end = rest[1..].find(|c| !fine(c)).map(|end| end + 1);
        let reference = end.filter(|end| rest[*end..].starts_with(';') && *end <= 40);
        let Some(end) = reference else {
            out.push('&');
            rest = &rest[1..];
            continue;
        };
        let read = Parser::new(&rest[..=end]).filter_map(|event| match event {
            Event::Text(text) => Some(text.to_string()),
            _ => None,
        });
        out.push_str(&read.collect::<String>());
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Tag, Token, meaning, style, tokens};

    fn read(text: &str) -> Vec<Token> {
        tokens(text, |at| at)
    }

    fn tag(text: &str) -> Tag {
        match read(text).remove(0) {
            Token::Tag(tag) => tag,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tags_have_names_attributes_and_places() {
        let tag = tag("<A HREF='x?a=1&amp;b=\"2\"' title=c open data-x = \"<>\"/>");
        assert_eq!((tag.name.as_str(), tag.slash), ("a", true));
        let given: Vec<(&str, &str, usize)> = tag
            .attributes
            .iter()
            .map(|given| (given.name.as_str(), given.value.as_str(), given.offset))
            .collect();
        assert_eq!(
            given,
            [
                ("href", "x?a=1&b=\"2\"", 3),
                ("title", "c", 26),
                ("open", "", 34),
                ("data-x", "<>", 39)
            ]
        );
    }

    #[test]
    fn texts_and_odd_things_stand_between() {
        assert_eq!(
            read("a < b &lt;c&gt; &nbsp;&nope; <!-- <x> --><?php ?></p>"),
            [
                Token::Text("a < b <c> \u{a0}&nope; ".into(), 0),
                Token::Other(41),
                Token::Tag(Tag {
                    name: "p".into(),
                    closing: true,
                    slash: false,
                    attributes: Vec::new(),
                    offset: 49,
                }),
            ]
        );
        for text in ["<b", "<b a=\"", "<!-- x", "<b a=x", "</b"] {
            assert_eq!(read(text), [Token::Unended(0)], "{text}");
        }
    }

    #[test]
    fn a_style_is_a_short_list_of_harmless_declarations() {
        assert_eq!(
            style("color: #c00; Font-Weight:bold;background-color:rgb(1, 2, 3)").as_deref(),
            Ok("color:#c00;font-weight:bold;background-color:rgb(1, 2, 3)")
        );
        for css in [
            "position:fixed",
            "color:expression(alert(1))",
            "background-color:url(https://evil.example)",
            "color",
            "color:\"red\"",
            "color:red\\3b",
            "color:/**/red",
            "font-size:0",
        ] {
            assert!(style(css).is_err(), "{css}");
        }
    }

    #[test]
    fn what_runs_or_loads_is_no_tag_of_ours() {
        for name in [
            "script", "style", "iframe", "form", "input", "svg", "link", "meta", "base",
        ] {
            assert!(meaning(name).is_none(), "{name}");
        }
        for name in super::ALLOWED.split(',') {
            assert!(meaning(name.trim()).is_some(), "{name}");
        }
    }
}
