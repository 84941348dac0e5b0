//! Where tags, comments and attributes begin and end.
//!
//! Promises: reads what htmlparser2 reads, on which npm's mjml stands: tags in any case, values in either
//! quotes or none, `<` before anything but a letter as text; positions are octets; each step moves on, so
//! any text ends. Leaves it to the parser what a tag means and what to say about it.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

/// Elements whose content is text up to their own closing tag, whatever stands in it.
const RAW_TEXT: [&str; 5] = ["script", "style", "title", "textarea", "xmp"];

/// What begins at a `<`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// `<name`: attributes follow after the name.
    Open { name: Range<usize> },
    /// `</name ...>`; `end` lies after the `>`.
    Close { name: Range<usize>, end: usize },
    /// A comment with its delimiters; `closed` tells whether `-->` was found.
    Comment { end: usize, closed: bool },
    /// What stands in `<![CDATA[` and `]]>`, and where it goes on.
    Cdata { inner: Range<usize>, end: usize },
    /// `<!doctype>`, `<?xml?>`, `<![endif]>`.
    Declaration { end: usize },
    /// A `<` that opens nothing.
    Stray,
}

/// What stands at `at`, where `text` has a `<`.
pub fn mark(text: &str, at: usize) -> Mark {
    let bytes = text.as_bytes();
    match bytes.get(at + 1) {
        Some(b'!') => declaration(text, at),
        Some(b'?') => Mark::Declaration {
            end: after(bytes, at, b'>'),
        },
        Some(b'/') => close(bytes, at),
        Some(first) if first.is_ascii_alphabetic() => Mark::Open {
            name: at + 1..name_end(bytes, at + 1),
        },
        _ => Mark::Stray,
    }
}

fn declaration(text: &str, at: usize) -> Mark {
    let bytes = text.as_bytes();
    let rest = &bytes[at..];
    if rest.starts_with(b"<!--") {
        // `<!-->` and `<!--->` are whole comments.
        let end = memmem::find(&rest[2..], b"-->").map(|found| at + 2 + found + 3);
        return Mark::Comment {
            end: end.unwrap_or(text.len()),
            closed: end.is_some(),
        };
    }
    if rest.starts_with(b"<![CDATA[") {
        let start = at + 9;
        let inner = memmem::find(&bytes[start..], b"]]>").map(|found| start + found);
        return Mark::Cdata {
            inner: start..inner.unwrap_or(text.len()),
            end: inner.map_or(text.len(), |inner| inner + 3),
        };
    }
    Mark::Declaration {
        end: after(bytes, at, b'>'),
    }
}

fn close(bytes: &[u8], at: usize) -> Mark {
    let mut start = at + 2;
    while bytes.get(start).is_some_and(u8::is_ascii_whitespace) {
        start += 1;
    }
    if !bytes.get(start).is_some_and(u8::is_ascii_alphabetic) {
        return Mark::Stray;
    }
    let length = bytes[start..]
        .iter()
        .position(|&byte| byte == b'>' || byte == b'<' || byte.is_ascii_whitespace());
    let name = start..length.map_or(bytes.len(), |length| start + length);
    // A closing tag without its `>` must not swallow the tag after it.
    let end = match memchr2(b'>', b'<', &bytes[name.end..]) {
        Some(found) if bytes[name.end + found] == b'>' => name.end + found + 1,
        Some(found) => name.end + found,
        None => bytes.len(),
    };
    Mark::Close { name, end }
}

/// The end of a tag's name: blanks, `/` and `>` end it, and so does a `<`, which begins the next tag.
fn name_end(bytes: &[u8], start: usize) -> usize {
    let ends = |&byte: &u8| byte.is_ascii_whitespace() || b"/><".contains(&byte);
    let length = bytes[start..].iter().position(ends);
    length.map_or(bytes.len(), |length| start + length)
}

/// The offset after the next `wanted`, or the end.
fn after(bytes: &[u8], at: usize, wanted: u8) -> usize {
    memchr(wanted, &bytes[at..]).map_or(bytes.len(), |found| at + found + 1)
}

/// One step through the inside of an opening tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An attribute; one without a value has an empty value at its end.
    Attribute {
        name: Range<usize>,
        value: Range<usize>,
        /// The value lacks its closing quote: it was cut where that seems to be missing.
        unclosed: bool,
    },
    /// `>` or `/>`, and the offset after it.
    End { at: usize, empty: bool },
    /// The next tag or the text's end came before a `>`.
    Unended { at: usize },
}

/// The next step from `at` on, where `at` lies after the tag's name or the attribute before.
pub fn step(text: &str, mut at: usize) -> (Step, usize) {
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            Some(b'>') => {
                let end = at + 1;
                return (
                    Step::End {
                        at: end,
                        empty: false,
                    },
                    end,
                );
            }
            Some(b'/') if bytes.get(at + 1) == Some(&b'>') => {
                let end = at + 2;
                return (
                    Step::End {
                        at: end,
                        empty: true,
                    },
                    end,
                );
            }
            Some(b'/') => at += 1,
            Some(byte) if byte.is_ascii_whitespace() => at += 1,
            Some(b'<') | None => return (Step::Unended { at }, at),
            Some(_) => return attribute(text, at),
        }
    }
}

fn attribute(text: &str, at: usize) -> (Step, usize) {
    let bytes = text.as_bytes();
    // A name may begin with anything, even with `=`.
    let ends = |&byte: &u8| byte.is_ascii_whitespace() || b"=/><".contains(&byte);
    let length = bytes[at + 1..].iter().position(ends);
    let name = at..length.map_or(bytes.len(), |length| at + 1 + length);
    let equals = skip_blanks(bytes, name.end);
    if bytes.get(equals) != Some(&b'=') {
        let step = Step::Attribute {
            value: name.end..name.end,
            name: name.clone(),
            unclosed: false,
        };
        return (step, name.end);
    }
    let start = skip_blanks(bytes, equals + 1);
    match bytes.get(start) {
        Some(&quote @ (b'"' | b'\'')) => quoted(text, name, start + 1, quote),
        _ => {
            let ends = |&byte: &u8| byte.is_ascii_whitespace() || byte == b'>' || byte == b'<';
            let length = bytes[start..].iter().position(ends);
            let value = start..length.map_or(bytes.len(), |length| start + length);
            let end = value.end;
            let step = Step::Attribute {
                name,
                value,
                unclosed: false,
            };
            (step, end)
        }
    }
}

fn quoted(text: &str, name: Range<usize>, start: usize, quote: u8) -> (Step, usize) {
    let bytes = text.as_bytes();
    let closed = memchr(quote, &bytes[start..]).map(|found| start + found);
    let closed = closed.filter(|&end| !reaches_into_next_tag(bytes, start..end));
    let (value, end) = match closed {
        Some(end) => (start..end, end + 1),
        None => {
            let stops = |&byte: &u8| matches!(byte, b'>' | b'<' | b'\n');
            let length = bytes[start..].iter().position(stops);
            let mut end = length.map_or(bytes.len(), |length| start + length);
            if end > start && bytes.get(end) == Some(&b'>') && bytes[end - 1] == b'/' {
                end -= 1;
            }
            (start..end, end)
        }
    };
    let step = Step::Attribute {
        name,
        value,
        unclosed: closed.is_none(),
    };
    (step, end)
}

/// Whether a value looks as if its closing quote were missing and it had run on to the next tag's:
/// then more of that tag follows directly, or whole components stand in it over several lines.
fn reaches_into_next_tag(bytes: &[u8], value: Range<usize>) -> bool {
    let inside = &bytes[value.clone()];
    if memchr(b'>', inside).is_none() || memchr(b'<', inside).is_none() {
        return false;
    }
    let follows = bytes.get(value.end + 1);
    let ended = follows.is_none_or(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte));
    let holds = |part: &[u8]| memmem::find(inside, part).is_some();
    !ended || (memchr(b'\n', inside).is_some() && (holds(b"<mj-") || holds(b"</mj-")))
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Where the text of `<script>` and its like ends: at its closing tag. `None`: it is no such element, or
/// is never closed.
pub fn raw_text_end(text: &str, name: &str, from: usize) -> Option<usize> {
    is_raw_text(name)
        .then(|| closing(text, name, from))
        .flatten()
}

/// Whether the content of this element is text up to its closing tag.
pub fn is_raw_text(name: &str) -> bool {
    RAW_TEXT
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Where the next closing tag of `name` begins, whatever stands before it.
pub fn closing(text: &str, name: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(found) = memmem::find(&bytes[at..], b"</") {
        let start = at + found;
        let end = start + 2 + name.len();
        let same = bytes.get(start + 2..end);
        let same = same.is_some_and(|same| same.eq_ignore_ascii_case(name.as_bytes()));
        let ended = |byte: &u8| *byte == b'>' || byte.is_ascii_whitespace();
        if same && bytes.get(end).is_some_and(ended) {
            return Some(start);
        }
        at = start + 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Mark, Step, mark, raw_text_end, step};

    /// Name, value and whether a quote is missing, of each attribute of a tag, and how the tag ends.
    fn tag(text: &str) -> (Vec<(&str, &str, bool)>, &'static str) {
        let Mark::Open { name } = mark(text, 0) else {
            panic!("no opening tag: {text}");
        };
        let mut at = name.end;
        let mut attributes = Vec::new();
        loop {
            let (next, end) = step(text, at);
            at = end;
            match next {
                Step::Attribute {
                    name,
                    value,
                    unclosed,
                } => attributes.push((&text[name], &text[value], unclosed)),
                Step::End { empty: true, .. } => return (attributes, "/>"),
                Step::End { empty: false, .. } => return (attributes, ">"),
                Step::Unended { .. } => return (attributes, ""),
            }
        }
    }

    #[test]
    fn attributes_stand_in_either_quotes_or_none_or_have_no_value() {
        let (attributes, end) = tag("<a b=\"1\"c='2\"'\n d = 3/4 e f/>");
        let values: Vec<_> = attributes.iter().map(|&(n, v, _)| (n, v)).collect();
        assert_eq!(
            values,
            [("b", "1"), ("c", "2\""), ("d", "3/4"), ("e", ""), ("f", "")]
        );
        assert_eq!(end, "/>");
        assert_eq!(tag("<a b=c/>").0, [("b", "c/", false)]);
    }

    #[test]
    fn a_value_may_hold_angle_brackets_and_line_ends() {
        assert_eq!(tag("<a b=\"1 < 2 >\n3\">").0, [("b", "1 < 2 >\n3", false)]);
        assert_eq!(tag("<a b=\"<mj-text>\">").0, [("b", "<mj-text>", false)]);
    }

    #[test]
    fn a_value_without_its_quote_ends_with_its_tag() {
        let (attributes, end) = tag("<a b=\"red>x</a><c d=\"e\">");
        assert_eq!(attributes, [("b", "red", true)]);
        assert_eq!(end, ">");
        assert_eq!(tag("<a b='red/><c>").0, [("b", "red", true)]);
        assert_eq!(tag("<a b='red/><c>").1, "/>");
        assert_eq!(tag("<a b='").0, [("b", "", true)]);
        let lines = "<a b=\"red>\n<mj-text>\n</mj-text>\"  >";
        assert_eq!(tag(lines).0, [("b", "red", true)]);
    }

    #[test]
    fn a_tag_that_is_not_ended_leaves_the_next_one_alone() {
        assert_eq!(tag("<a b <c>"), (vec![("b", "", false)], ""));
        assert_eq!(tag("<a<c>"), (vec![], ""));
        assert_eq!(mark("</a<c>", 0), Mark::Close { name: 2..3, end: 3 });
    }

    #[test]
    fn comments_declarations_and_cdata_end_as_in_html() {
        let closed = |end| Mark::Comment { end, closed: true };
        assert_eq!(mark("<!-->-->", 0), closed(5));
        assert_eq!(mark("<!--->-->", 0), closed(6));
        assert_eq!(mark("<!--[if !mso]><!-->x", 0), closed(19));
        let end = 5;
        assert_eq!(mark("<!-- ", 0), Mark::Comment { end, closed: false });
        assert_eq!(mark("<![endif]-->x", 0), Mark::Declaration { end: 12 });
        assert_eq!(mark("<?xml?>x", 0), Mark::Declaration { end: 7 });
        assert_eq!(
            mark("<![CDATA[<]]>x", 0),
            Mark::Cdata {
                inner: 9..10,
                end: 13
            }
        );
        assert_eq!(mark("<3", 0), Mark::Stray);
        assert_eq!(mark("<", 0), Mark::Stray);
        assert_eq!(mark("</", 0), Mark::Stray);
    }

    #[test]
    fn the_text_of_a_style_ends_at_its_own_closing_tag_only() {
        let text = "<style></styles></p></STYLE >";
        assert_eq!(raw_text_end(text, "style", 7), Some(20));
        assert_eq!(raw_text_end(text, "script", 7), None);
        assert_eq!(raw_text_end(text, "p", 7), None);
    }
}
