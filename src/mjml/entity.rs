//! Character references that a browser would show as they are written.
//!
//! Promises: finds `&nbps;`, `&#xZZ;` and `&#0;`, each of which is a slip; leaves alone what every browser
//! and mjml accept, such as `a & b`, `?a=1&b=2` and `&copy` without its semicolon.

use std::ops::Range;

use memchr::memchr;
use pulldown_cmark::{Event, Parser};

/// No name is longer.
const LONGEST: usize = 32;
/// Those that stand in almost every issue; the rest is looked up.
const COMMON: [&str; 24] = [
    "amp", "apos", "bull", "copy", "euro", "gt", "hellip", "laquo", "ldquo", "lsquo", "lt",
    "mdash", "middot", "nbsp", "ndash", "quot", "raquo", "rarr", "rdquo", "reg", "rsquo", "shy",
    "times", "zwnj",
];

/// A reference that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// From `&` to `;`, in octets.
    pub range: Range<usize>,
    pub why: &'static str,
}

/// The bad references of a text or an attribute's value, in order.
pub fn bad(text: &str) -> impl Iterator<Item = Bad> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(found) = memchr(b'&', &text.as_bytes()[at..]) {
            let start = at + found;
            at = start + 1;
            if let Some(bad) = judge(text, start) {
                at = bad.range.end;
                return Some(bad);
            }
        }
        None
    })
}

fn judge(text: &str, start: usize) -> Option<Bad> {
    let rest = &text[start + 1..];
    let length = rest
        .bytes()
        .take(LONGEST + 1)
        .position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'#'))?;
    let name = &rest[..length];
    // Without its semicolon it is a parameter of an address, or what browsers forgive.
    if name.is_empty() || rest.as_bytes()[length] != b';' {
        return None;
    }
    let why = match name.strip_prefix('#') {
        Some(number) => wrong_number(number)?,
        // `AT&T;` and `R&D;` are no references to anyone.
        None if name.len() == 1 || name.contains('#') || name.as_bytes()[0].is_ascii_digit() => {
            return None;
        }
        None if is_known(name) => return None,
        None => "no character has this name",
    };
    Some(Bad {
        range: start..start + 1 + length + 1,
        why,
    })
}

fn wrong_number(number: &str) -> Option<&'static str> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Some("this is not a number");
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    match char::from_u32(code) {
        None | Some('\0') => Some("no character has this number"),
        Some(_) => None,
    }
}

/// Whether HTML knows the name. CommonMark takes its names from HTML, so its parser has the table.
fn is_known(name: &str) -> bool {
    if COMMON.contains(&name) {
        return true;
    }
    let reference = format!("&{name};");
    let mut text = String::new();
    for event in Parser::new(&reference) {
        if let Event::Text(piece) = event {
            text.push_str(&piece);
        }
    }
    text != reference
}

#[cfg(test)]
mod tests {
    use super::bad;

    fn found(text: &str) -> Vec<&str> {
        bad(text).map(|bad| &text[bad.range]).collect()
    }

    #[test]
    fn slips_are_found() {
        let text = "a &nbps; b &#xZZ; c &#0; d &#x110000; e &#xd800; f &#; g &hellips;";
        assert_eq!(
            found(text),
            [
                "&nbps;",
                "&#xZZ;",
                "&#0;",
                "&#x110000;",
                "&#xd800;",
                "&#;",
                "&hellips;"
            ]
        );
    }

    #[test]
    fn what_browsers_accept_is_left_alone() {
        let text = "a & b &amp; c && ?a=1&b=2&c=3 &copy 2026 &nbsp;&CounterClockwiseContourIntegral; \
                    &zwj;&#8203;&#x1F916;&AMP; AT&T; R&D &";
        assert!(found(text).is_empty());
        assert!(found(&format!("&{};", "a".repeat(40))).is_empty());
        assert!(found("&\u{e9};").is_empty());
    }
}
