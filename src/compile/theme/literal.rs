//! Colours that are written into a theme instead of named: where they stand.
//!
//! Promises: hexadecimal digits and functions are found wherever they stand, names of colours where a colour
//! may stand; comments of the template, characters (`&#847;`) and words that only read like a colour are none.

use std::ops::Range;

use cssparser::color::parse_named_color;

/// Functions of CSS that make a colour.
const FUNCTIONS: [&str; 4] = ["rgb", "rgba", "hsl", "hsla"];

/// Where a text writes a colour, in order.
pub(super) fn colours(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(begins).map(|next| at + next) {
        let rest = &text[start..];
        if rest.starts_with("{#") {
            at = rest.find("#}").map_or(text.len(), |end| start + end + 2);
            continue;
        }
        // A word, with the `#` before it.
        let sign = usize::from(rest.starts_with(['#', '{']));
        let length = rest[sign..]
            .find(|c| !is_word(c))
            .unwrap_or(rest.len() - sign);
        let end = start + sign + length;
        at = end.max(start + 1);
        let word = &text[start..end];
        let before = &text[..start];
        if let Some(digits) = word.strip_prefix('#') {
            if is_hexadecimal(digits) && !before.ends_with('&') {
                found.push(start..end);
            }
        } else if text[end..].starts_with('(') && is_one_of(&FUNCTIONS, word) {
            let close = text[end..]
                .find(')')
                .map_or(text.len(), |close| end + close + 1);
            found.push(start..close);
            at = close;
        } else if parse_named_color(word).is_ok() && is_coloured(before) {
            found.push(start..end);
        }
    }
    found
}

/// Where a colour or a comment may begin.
fn begins(c: char) -> bool {
    c == '#' || c == '{' || is_word(c)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_')
}

fn is_hexadecimal(digits: &str) -> bool {
    matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn is_one_of(names: &[&str], word: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Whether what stands before a word is the beginning of a value that holds a colour: of an attribute
/// (`background-color="`) or of a declaration (`border: 1px solid `).
fn is_coloured(before: &str) -> bool {
    let Some(limit) = before.rfind(['"', '\'', ';', '{', '}', '<', '>', '\n']) else {
        return false;
    };
    let value = &before[limit + 1..];
    let (name, quoted) = match value.split_once(':') {
        Some((property, _)) => (property, false),
        None => (before[..limit].trim_end_matches('='), true),
    };
    if quoted && !before[..limit].ends_with('=') {
        return false;
    }
    let name = name.trim_end();
    let start = name.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
    let name = name[start..].to_ascii_lowercase();
    let kinds = ["color", "background", "border", "outline", "shadow"];
    kinds.iter().any(|kind| name.contains(kind)) && !name.ends_with("-url")
}

#[cfg(test)]
mod tests {
    use super::colours;

    fn found(text: &str) -> Vec<&str> {
        colours(text).into_iter().map(|at| &text[at]).collect()
    }

    #[test]
    fn colours_are_told_from_characters_comments_and_anchors() {
        let text = "{# #fff #}a{color:#3a49c4}b{color:#FFF;}&#847;&#8203; href=\"#abcdefg\" #abc-d #12 {#red#}";
        assert_eq!(found(text), ["#3a49c4", "#FFF"]);
    }

    #[test]
    fn functions_and_names_are_found_where_a_colour_stands() {
        for (text, expected) in [
            (
                "<mj-text color=\"white\" background-color='Tan'>red</mj-text>",
                &["white", "Tan"][..],
            ),
            ("<mj-divider border=\"1px solid black\" />", &["black"]),
            (
                "a{ background: RGBA(0, 0, 0, .5); color : hsl(120 50% 50%) }",
                &["RGBA(0, 0, 0, .5)", "hsl(120 50% 50%)"],
            ),
            ("style=\"margin:0;border-top:2px solid red\"", &["red"]),
            ("a{\n  color: navy;\n}", &["navy"]),
            (
                "color=\"{{ colors.red }}\" css-class=\"red\" alt=\"tan\"",
                &[],
            ),
            (
                "background-url=\"blue.png\" href=\"https://a.example/red\"",
                &[],
            ),
            ("color=\"transparent\" color=\"inherit\" rgb = 3", &[]),
            ("the colour: red, and a white wall", &[]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }
}
