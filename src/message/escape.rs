//! Escaping of a reader's values: hostile until they have been through here.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::compile::Context;
use crate::message::copy::one_line;

/// RFC 3986, section 2.3: what needs no escape in any part of a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Appends `value` as it may stand in `context`. Line ends and other controls become blanks everywhere.
pub fn escape(value: &str, context: Context, out: &mut String) {
    let value = one_line(value);
    match context {
        Context::Html => {
            for c in value.chars() {
                match c {
                    '&' => out.push_str("&amp;"),
                    '<' => out.push_str("&lt;"),
                    '>' => out.push_str("&gt;"),
                    '"' => out.push_str("&quot;"),
                    '\'' => out.push_str("&#39;"),
                    c => out.push(c),
                }
            }
        }
        Context::Url => out.extend(utf8_percent_encode(&value, RESERVED)),
        Context::Text | Context::Header => out.push_str(&value),
    }
}

#[cfg(test)]
mod tests {
    use super::escape;
    use crate::compile::Context;

    fn escaped(value: &str, context: Context) -> String {
        let mut out = String::new();
        escape(value, context, &mut out);
        out
    }

    #[test]
    fn a_value_is_escaped_for_the_place_where_it_lands() {
        let value = "<b a=\"1\">O'Neil & Söhne</b>";
        assert_eq!(
            escaped(value, Context::Html),
            "&lt;b a=&quot;1&quot;&gt;O&#39;Neil &amp; Söhne&lt;/b&gt;"
        );
        assert_eq!(
            escaped("a b&c=ö/?#%", Context::Url),
            "a%20b%26c%3D%C3%B6%2F%3F%23%25"
        );
        assert_eq!(escaped(value, Context::Text), value);
        assert_eq!(escaped(value, Context::Header), value);
    }

    #[test]
    fn no_control_character_and_no_line_end_survives_anywhere() {
        let value = " a\r\nBcc: x@y.example\u{0}\u{85}\u{2028}b\u{7f}\u{9f}\t c ";
        for context in [Context::Html, Context::Text, Context::Header] {
            assert_eq!(escaped(value, context), "a Bcc: x@y.example b c");
        }
        assert_eq!(
            escaped(value, Context::Url),
            "a%20Bcc%3A%20x%40y.example%20b%20c"
        );
    }
}
