//! Findings and places as the page draws them: code frames, and addresses that open an editor.

use std::path::Path;

use minijinja::{Value, context};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::diagnostic::{Diagnostic, Place};

/// Characters of a line before its fault, few enough that the fault is in sight beside the mail.
const BEFORE: usize = 20;
/// Characters of a line behind its fault.
const BEHIND: usize = 80;
/// What stands for itself in the path of an address.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A finding with its code frame.
pub(super) fn finding(found: &Diagnostic, editor: Option<&str>) -> Value {
    let frame = found.excerpt.as_ref().map(|excerpt| {
        let chars: Vec<char> = excerpt.text.chars().collect();
        let at = found.column.saturating_sub(1).min(chars.len());
        let end = (at + excerpt.length).min(chars.len());
        let (from, to) = (at.saturating_sub(BEFORE), (end + BEHIND).min(chars.len()));
        let text = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
        let fault = text(at, end);
        context! {
            number => found.line,
            before => format!("{}{}", if from > 0 { "\u{2026}" } else { "" }, text(from, at)),
            // A fault at the end of its line still needs something to be seen.
            fault => if fault.is_empty() { " ".to_owned() } else { fault },
            after => format!("{}{}", text(end, to), if to < chars.len() { "\u{2026}" } else { "" }),
        }
    });
    let via: Vec<Value> = found.via.iter().map(|via| place(via, editor)).collect();
    let here = Place {
        file: found.file.clone(),
        line: found.line,
        column: found.column,
    };
    context! {
        error => found.is_error(),
        code => found.code,
        message => found.message.as_str(),
        help => found.help.as_deref(),
        place => place(&here, editor),
        frame => frame,
        via => via,
    }
}

/// `file:line:column`, and the address that opens it.
pub(super) fn place(place: &Place, editor: Option<&str>) -> Value {
    let text = match place.line {
        0 => place.file.clone(),
        line => format!("{}:{line}:{}", place.file, place.column.max(1)),
    };
    context! { text => text, href => editor.and_then(|editor| opened(place, editor)) }
}

/// The editor's address of a place; none for a file that is not on the disk.
pub(super) fn opened(place: &Place, editor: &str) -> Option<String> {
    let path = Path::new(&place.file).canonicalize().ok()?;
    let path = utf8_percent_encode(path.to_str()?, PATH).to_string();
    let (line, column) = (place.line.max(1), place.column.max(1));
    Some(
        editor
            .replace("{file}", &path)
            .replace("{line}", &line.to_string())
            .replace("{column}", &column.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::{finding, opened};
    use crate::diagnostic::{Place, Severity, Source};

    #[test]
    fn a_code_frame_shows_what_is_before_and_behind_the_fault() {
        let source = Source {
            file: "a.md",
            text: "one\nHello [[nmae]] you",
        };
        let found = source.at(Severity::Error, 10, 8, "unknown-field", "no such field");
        let value = finding(&found, None);
        let frame = value.get_attr("frame").expect("a frame");
        let part = |name: &str| frame.get_attr(name).expect("a part").to_string();
        assert_eq!(
            [part("before"), part("fault"), part("after"), part("number")],
            ["Hello ", "[[nmae]]", " you", "2"]
        );
    }

    #[test]
    fn an_editor_opens_what_is_on_the_disk_only() {
        let place = |file: &str| Place {
            file: file.into(),
            line: 3,
            column: 0,
        };
        let editor = "vscode://file{file}:{line}:{column}";
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("a path").join("a b.md");
        std::fs::write(&path, "x").expect("a file");
        let address = opened(&place(&path.display().to_string()), editor).expect("an address");
        assert!(address.starts_with("vscode://file/"), "{address}");
        assert!(address.ends_with("/a%20b.md:3:1"), "{address}");
        assert_eq!(opened(&place("themes/digest/nowhere.mjml"), editor), None);
    }
}
