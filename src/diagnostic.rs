//! Findings: what an author is told, at its place in the author's own file.
//!
//! Promises: plain data; a finding carries the line it is about, so that it can be drawn without the
//! file; offsets become lines and columns here and nowhere else. Leaves the judgement to who finds.

use std::fmt;

use serde::Serialize;

use crate::terminal::acts;

/// How much a finding weighs: an error stops the issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

/// Something the author should know, at its place in the author's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// A fixed name such as `unknown-field`, for looking up and for scripts.
    pub code: &'static str,
    /// Path as the author knows it.
    pub file: String,
    /// From 1; 0 where the finding concerns the whole file.
    pub line: usize,
    /// From 1, in characters; 0 where the finding concerns the whole file.
    pub column: usize,
    pub message: String,
    /// What to do about it, if that is not plain from the message.
    pub help: Option<String>,
    /// The line at fault, for the code frame; absent where the finding concerns the whole file.
    pub excerpt: Option<Excerpt>,
    /// Who brought the file in, innermost first: includes, partials, the issue.
    pub via: Vec<Place>,
}

/// The line of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The whole line, without its newline.
    pub text: String,
    /// Characters at fault from the finding's column on, at least 1.
    pub length: usize,
}

/// A place in a file; line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

/// Where a block of a mail was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    pub place: Place,
    /// Who draws it, where that is another file.
    pub drawn: Option<Place>,
}

/// Characters of a line that a code frame shows on each side of the fault.
const FRAME_MARGIN: usize = 60;

impl Diagnostic {
    /// A finding about a whole file.
    pub fn about(
        severity: Severity,
        code: &'static str,
        file: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
            help: None,
            excerpt: None,
            via: Vec::new(),
        }
    }

    /// The same finding with advice.
    pub fn help(self, help: impl Into<String>) -> Diagnostic {
        Diagnostic {
            help: Some(help.into()),
            ..self
        }
    }

    /// Whether it keeps the issue from being compiled or sent.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether both are about some of the same characters of a line.
    pub fn touches(&self, other: &Diagnostic) -> bool {
        let end = |of: &Diagnostic| of.column + of.excerpt.as_ref().map_or(1, |at| at.length);
        let same = self.line > 0 && self.line == other.line && self.file == other.file;
        same && self.column < end(other) && other.column < end(self)
    }

    /// The finding with a code frame: the line, and a caret under what is wrong.
    ///
    /// ```text
    /// issue.md:12:7: error[unknown-field]: no field is called `frist_name`
    ///      |
    ///   12 | Hello [[frist_name|there]]
    ///      |       ^^^^^^^^^^^^^^^^^^^^
    ///     help: did you mean `first_name`?
    /// ```
    pub fn framed(&self) -> String {
        let mut out = self.head();
        if let Some(excerpt) = &self.excerpt {
            out.push_str(&frame(self.line, self.column, excerpt));
        }
        out.push_str(&self.tail());
        out
    }

    fn head(&self) -> String {
        let place = match self.line {
            0 => String::new(),
            line => format!(":{line}:{}", self.column),
        };
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        format!(
            "{}{place}: {severity}[{}]: {}",
            self.file, self.code, self.message
        )
    }

    fn tail(&self) -> String {
        let mut out = String::new();
        if let Some(help) = &self.help {
            out.push_str(&format!("\n    help: {help}"));
        }
        for place in &self.via {
            let Place { file, line, column } = place;
            out.push_str(&format!("\n    included from {file}:{line}:{column}"));
        }
        out
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        f.write_str(&self.tail())
    }
}

/// A text and the name under which the author knows it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    /// An error about the character at `offset`, in octets of the text.
    pub fn error(
        &self,
        offset: usize,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        self.at(Severity::Error, offset, 1, code, message)
    }

    /// A warning about the character at `offset`, in octets of the text.
    pub fn warning(
        &self,
        offset: usize,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        self.at(Severity::Warning, offset, 1, code, message)
    }

    /// A finding about `length` octets from `offset` on; what lies beyond the line is not underlined.
    pub fn at(
        &self,
        severity: Severity,
        offset: usize,
        length: usize,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let (line, column) = self.place(offset);
        let start = self.boundary(offset);
        let line_start = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let text = self.text[line_start..].lines().next().unwrap_or_default();
        let end = self
            .boundary(offset.saturating_add(length))
            .min(line_start + text.len());
        let length = self.text.get(start..end).map_or(0, |at| at.chars().count());
        Diagnostic {
            line,
            column,
            excerpt: Some(Excerpt {
                text: text.to_owned(),
                length: length.max(1),
            }),
            ..Diagnostic::about(severity, code, self.file, message)
        }
    }

    /// Line and column of an octet offset, both from 1; the column counts characters.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// The nearest start of a character at or before an offset.
    fn boundary(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset.min(self.text.len()))
    }
}

/// Puts findings in order: by file and line, the file `own` first.
pub fn sort(found: &mut [Diagnostic], own: &str) {
    found.sort_by_key(|finding| {
        let whole = finding.line == 0;
        let elsewhere = finding.file != own;
        (
            elsewhere,
            finding.file.clone(),
            whole,
            finding.line,
            finding.column,
        )
    });
}

/// The candidate that is most likely meant by a misspelt `word`, if any is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let lower = word.to_lowercase();
    // The same in other letters is no slip of the finger.
    if let Some(same) = candidates
        .iter()
        .find(|known| known.to_lowercase() == lower)
    {
        return Some(same);
    }
    let length = word.chars().count();
    let far = length.div_ceil(3).clamp(1, 3);
    candidates
        .into_iter()
        // The distance is never less than this, and a long word takes long to compare.
        .filter(|known| known.chars().count().abs_diff(length) <= far)
        .map(|known| (strsim::damerau_levenshtein(known, word), known))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The line with a caret under its fault; a long line is cut around it.
fn frame(line: usize, column: usize, excerpt: &Excerpt) -> String {
    let at = column.saturating_sub(1);
    let skip = at.saturating_sub(FRAME_MARGIN);
    let shown = at - skip + excerpt.length.min(FRAME_MARGIN) + FRAME_MARGIN;
    let tidy = |c: char| if acts(c) { ' ' } else { c };
    let text: String = excerpt
        .text
        .chars()
        .skip(skip)
        .take(shown)
        .map(tidy)
        .collect();
    let dots = if skip > 0 { "..." } else { "" };
    let blank = " ".repeat(at - skip + dots.len());
    let carets = "^".repeat(excerpt.length.min(FRAME_MARGIN));
    format!(
        "\n       |\n {line:>5} | {dots}{}\n       | {blank}{carets}",
        text.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, Place, Severity, Source, nearest};

    #[test]
    fn columns_count_characters_not_octets() {
        let source = Source {
            file: "a",
            text: "one\n\u{201c}\u{1f916}x",
        };
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(4), (2, 1));
        assert_eq!(source.place(11), (2, 3));
        assert_eq!(source.place(99), (2, 4));
    }

    #[test]
    fn a_finding_reads_as_file_line_column_severity_code_message() {
        let mut finding = Diagnostic::about(Severity::Error, "no-title", "issue.md", "no title");
        assert_eq!(finding.to_string(), "issue.md: error[no-title]: no title");
        finding.line = 3;
        finding.column = 7;
        assert_eq!(
            finding.help("add one").to_string(),
            "issue.md:3:7: error[no-title]: no title\n    help: add one"
        );
    }

    #[test]
    fn a_code_frame_points_at_the_fault_and_names_who_included_the_file() {
        let source = Source {
            file: "a.mjml",
            text: "one\n\u{201c}b\u{201d} <mj-txt>\nthree",
        };
        let at = source.text.find("mj-txt").expect("it stands there");
        let mut finding = source.at(Severity::Error, at, 6, "unknown-element", "no such element");
        finding.via.push(Place {
            file: "b.mjml".into(),
            line: 4,
            column: 1,
        });
        assert_eq!(
            finding.framed(),
            "a.mjml:2:6: error[unknown-element]: no such element\n       |\n     2 | \u{201c}b\u{201d} <mj-txt>\n       \
             |      ^^^^^^\n    included from b.mjml:4:1"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_its_fault() {
        let text = format!("{}<x>{}", "a".repeat(5_000), "b".repeat(5_000));
        let source = Source {
            file: "a",
            text: &text,
        };
        let framed = source.at(Severity::Warning, 5_000, 3, "code", "m").framed();
        assert!(framed.len() < 500, "{framed}");
        assert!(framed.contains("a<x>b"), "{framed}");
    }

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_a_foreign_one_does_not() {
        let known = ["mj-text", "mj-table", "mj-image"];
        assert_eq!(nearest("mj-txt", known), Some("mj-text"));
        assert_eq!(nearest("mj-imgae", known), Some("mj-image"));
        assert_eq!(nearest("carousel", known), None);
    }
}
