//! Escaping of a reader's values: hostile until they have been through here.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::compile::Context;

/// RFC 3986, section 2.3: what needs no escape in any part of a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Context {
    /// `value` as it may stand here, on one line.
    pub fn escape(self, value: &str) -> Cow<'_, str> {
        let line = one_line(value);
        match self {
            Context::Html => Cow::Owned(escape_html(&line)),
            Context::Url => Cow::Owned(utf8_percent_encode(&line, RESERVED).to_string()),
            Context::Text | Context::Header => line,
        }
    }
}

/// Escapes for HTML text and for a quoted attribute.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_html_into(&mut out, text);
    out
}

/// As [`escape_html`], behind what `out` holds.
pub(crate) fn escape_html_into(out: &mut String, text: &str) {
    let mut rest = text;
    let special = |octet: u8| matches!(octet, b'&' | b'<' | b'>' | b'"' | b'\'');
    while let Some(place) = rest.bytes().position(special) {
        let (plain, special) = rest.split_at(place);
        out.push_str(plain);
        out.push_str(match special.as_bytes()[0] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &special[1..];
    }
    out.push_str(rest);
}

/// `value` on one line: control characters, line ends of any alphabet and runs of blanks become one
/// blank, and none stands at either end.
pub(crate) fn one_line(value: &str) -> Cow<'_, str> {
    let blank = |c: char| c == ' ' || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let clean = !value.starts_with(' ')
        && !value.ends_with(' ')
        && !value.contains("  ")
        && !value.contains(|c: char| c != ' ' && blank(c));
    if clean {
        return Cow::Borrowed(value);
    }
    let words = value.split(blank).filter(|word| !word.is_empty());
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use crate::compile::Context;

    #[test]
    fn a_value_is_escaped_for_the_place_where_it_lands() {
        let value = "<b a=\"1\">O'Neil & Söhne</b>";
        assert_eq!(
            Context::Html.escape(value),
            "&lt;b a=&quot;1&quot;&gt;O&#39;Neil &amp; Söhne&lt;/b&gt;"
        );
        assert_eq!(
            Context::Url.escape("a b&c=ö/?#%"),
            "a%20b%26c%3D%C3%B6%2F%3F%23%25"
        );
        assert_eq!(Context::Text.escape(value), value);
        assert_eq!(Context::Header.escape(value), value);
    }

    #[test]
    fn no_control_character_and_no_line_end_survives_anywhere() {
        let value = " a\r\nBcc: x@y.example\u{0}\u{85}\u{2028}b\u{7f}\u{9f}\t c ";
        for context in [Context::Html, Context::Text, Context::Header] {
            assert_eq!(context.escape(value), "a Bcc: x@y.example b c");
        }
        assert_eq!(
            Context::Url.escape(value),
            "a%20Bcc%3A%20x%40y.example%20b%20c"
        );
    }
}
