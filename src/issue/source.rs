//! A file of the author's with its places: offsets become lines and columns here.

use crate::compile::{Diagnostic, Severity};

/// A text and the name under which the author knows it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    pub fn error(
        &self,
        offset: usize,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        self.at(Severity::Error, offset, code, message.into())
    }

    pub fn warning(
        &self,
        offset: usize,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        self.at(Severity::Warning, offset, code, message.into())
    }

    /// Line and column of an octet offset, both from 1; the column counts characters.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    fn at(
        &self,
        severity: Severity,
        offset: usize,
        code: &'static str,
        message: String,
    ) -> Diagnostic {
        let (line, column) = self.place(offset);
        Diagnostic {
            line,
            column,
            ..Diagnostic::about(severity, code, self.file, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

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
}
