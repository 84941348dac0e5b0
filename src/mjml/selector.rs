//! Selectors of CSS, as MJML's own compiler reads them.
//!
//! Promises: what CSS allows is read, and two things more that authors write: an attribute's value that begins
//! with a digit and has no quotes, and `:link` for what has an address. Leaves to the caller what to say of
//! one that cannot be read.

use std::borrow::Cow;

use scraper::Selector;

/// The selector; none where it cannot be read.
pub fn parse(selector: &str) -> Option<Selector> {
    let selector = match selector.contains(['[', ':']) {
        true => Cow::Owned(even(selector)),
        false => Cow::Borrowed(selector),
    };
    Selector::parse(&selector).ok()
}

/// The same in the words of CSS.
fn even(selector: &str) -> String {
    let mut out = String::with_capacity(selector.len() + 8);
    let mut rest = selector;
    while let Some(at) = rest.find(['[', ':']) {
        out.push_str(&rest[..at]);
        let from = &rest[at..];
        let link = [":any-link", ":link"].iter().find(|link| {
            let after = from.strip_prefix(**link);
            after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
        });
        let length = match (link, from.find(']')) {
            (Some(link), _) => {
                out.push_str("[href]");
                link.len()
            }
            (None, Some(end)) if from.starts_with('[') => {
                out.push_str(&quoted(&from[..end]));
                end
            }
            _ => {
                out.push_str(&from[..1]);
                1
            }
        };
        rest = &from[length..];
    }
    out.push_str(rest);
    out
}

/// `[name=1` with its value in quotes.
fn quoted(attribute: &str) -> Cow<'_, str> {
    match attribute.split_once('=') {
        Some((name, value)) if value.starts_with(|c: char| c.is_ascii_digit()) => {
            Cow::Owned(format!("{name}=\"{}\"", value.trim_end()))
        }
        _ => Cow::Borrowed(attribute),
    }
}

#[cfg(test)]
mod tests {
    use super::{even, parse};

    #[test]
    fn values_without_quotes_and_links_are_put_into_the_words_of_css() {
        for (written, expected) in [
            ("p[data-n=1]", "p[data-n=\"1\"]"),
            ("[a=\"1\"][b^=2 ] > a:link", "[a=\"1\"][b^=\"2\"] > a[href]"),
            ("a:any-link:hover, p:links", "a[href]:hover, p:links"),
            ("p:first-child", "p:first-child"),
            ("p[a", "p[a"),
        ] {
            assert_eq!(even(written), expected);
        }
        for unread in ["p[", "p,", ":bad(", "p:nope"] {
            assert!(parse(unread).is_none(), "{unread}");
        }
        assert!(parse("h1.a > p[data-n=1]:not(.b)").is_some());
    }
}
