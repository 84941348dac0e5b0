//! Words of strangers on their way to a terminal: a relay's reply, a reader's name, the name of a file.
//!
//! Promises: nothing of them acts there. What would clear the screen, move the cursor, ring, or turn a line round is
//! shown as U+FFFD, or in JSON as its escape, which a program reads as what it was. Leaves pages and CSV to those who
//! write them.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal does something at `c` instead of showing it: the control characters of ECMA-48, with which its
/// escape sequences begin, and those that turn the text behind them round (Unicode's embeddings, overrides, isolates).
pub fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value, which is one line whoever wrote it: a line break in it would begin a line that looks like ours.
pub fn plain(text: &str) -> String {
    let shown = |c: char| if acts(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// What we print, with values in it: its line breaks and tabs are ours.
pub fn lines(text: &str) -> Cow<'_, str> {
    let foreign = |c: char| acts(c) && c != '\n' && c != '\t';
    match text.contains(foreign) {
        true => Cow::Owned(text.replace(foreign, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// Lines of JSON. Such a character stands in a string there, if anywhere (RFC 8259, section 7), so that its escape
/// means the same.
pub fn json(text: &str) -> Cow<'_, str> {
    let foreign = |c: char| acts(c) && c != '\n';
    if !text.contains(foreign) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match foreign(c) {
            // All of them are in the first plane: one escape each.
            true => write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes every character"),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// `1 run`, `2 runs`.
pub fn counted(number: impl TryInto<u64>, what: &str) -> String {
    match number.try_into().unwrap_or(0) {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::{json, lines, plain};

    #[test]
    fn a_value_is_one_line_and_shows_what_would_have_acted() {
        assert_eq!(
            plain("a\x1b[2Jb\r\n\u{9b}31mc\u{202e}d\té"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}31mc\u{fffd}d\u{fffd}é"
        );
    }

    #[test]
    fn our_own_lines_stay_and_nothing_else_acts() {
        assert_eq!(lines("a\n\tb\n"), "a\n\tb\n");
        assert_eq!(
            lines("a\n\x1b[31m\rb\u{7}\n"),
            "a\n\u{fffd}[31m\u{fffd}b\u{fffd}\n"
        );
    }

    #[test]
    fn json_means_what_it_meant() {
        let value = serde_json::json!({ "a": "x\u{1b}\u{7f}\u{9b}\u{2066}\t\n\u{fffd}é" });
        let shown = serde_json::to_string_pretty(&value).expect("JSON");
        let shown = json(&shown);
        assert!(!shown.contains(|c| super::acts(c) && c != '\n'), "{shown}");
        let back: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(back, value);
    }
}
