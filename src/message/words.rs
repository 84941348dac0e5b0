//! Header text: folding, phrases and encoded words (RFC 5322, section 2.2.3; RFC 2047).
//!
//! Promises: ASCII, at most 76 octets a line unless one unit (an address) is longer, whole characters in
//! each encoded word, and text that looks like an encoded word is encoded itself, so that it is read as
//! it was written. lettre 0.11 lets such text through in a subject and sets a mailbox with encoded words
//! on lines of more than 76 octets (measured), hence our own; `fields` has lettre read what stands here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// RFC 2047, section 2: a line with an encoded word has at most 76 characters.
const LINE: usize = 76;
/// RFC 2047, section 2: an encoded word has at most 75.
const WORD: usize = 75;
const OPEN: &str = "=?utf-8?b?";
const CLOSE: &str = "?=";
/// A plain word longer than this is encoded, so that it can be broken.
const PLAIN: usize = 56;

/// One header field on its way into `out`.
pub(super) struct Field<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
    /// Whether a blank (and so a place to fold) belongs before the next unit.
    spaced: bool,
}

impl<'a> Field<'a> {
    /// Begins the field `name`, which has at most 14 letters.
    pub(super) fn new(name: &str, out: &'a mut Vec<u8>) -> Field<'a> {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        Field {
            out,
            column: name.len() + 2,
            spaced: false,
        }
    }

    /// Ends the field.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// Adds a unit that is never broken; folds before it when the line is full.
    pub(super) fn unit(&mut self, unit: &str) {
        if self.spaced && self.column + 1 + unit.len() > LINE {
            self.fold();
        } else if self.spaced {
            self.out.push(b' ');
            self.column += 1;
        }
        self.out.extend_from_slice(unit.as_bytes());
        self.column += unit.len();
        self.spaced = true;
    }

    /// Adds unstructured text of one line: plain words as they are, all others as encoded words.
    pub(super) fn text(&mut self, text: &str) {
        let mut words = text.split(' ').peekable();
        while let Some(word) = words.next() {
            if is_plain(word) {
                self.unit(word);
                continue;
            }
            // The blank between two encoded words is not read (RFC 2047, section 6.2), so that words
            // side by side go into one text with their blanks.
            let mut run = word.to_owned();
            while let Some(next) = words.next_if(|next| !is_plain(next)) {
                run.push(' ');
                run.push_str(next);
            }
            self.encoded(&run);
        }
    }

    /// Adds a display name of one line: atoms, a quoted string, or encoded words outside quotes.
    pub(super) fn phrase(&mut self, text: &str) {
        let plain = text.split(' ').all(is_plain);
        let atoms = text.bytes().all(|b| b == b' ' || is_atom(b));
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let quoted = format!("\"{quoted}\"");
        let name = if atoms { text } else { &quoted };
        // Escapes may have doubled a word; then it is encoded like any long one.
        if plain && name.split(' ').all(|word| word.len() <= PLAIN + 2) {
            for word in name.split(' ') {
                self.unit(word);
            }
        } else {
            self.encoded(text);
        }
    }

    fn encoded(&mut self, mut text: &str) {
        while !text.is_empty() {
            let blank = usize::from(self.spaced);
            // Less than four groups of base64 might not hold one whole character with its neighbours.
            if LINE.saturating_sub(self.column + blank) < OPEN.len() + CLOSE.len() + 16 {
                self.fold();
            } else if self.spaced {
                self.out.push(b' ');
                self.column += 1;
            }
            let room = (LINE - self.column).min(WORD) - OPEN.len() - CLOSE.len();
            let end = text.floor_char_boundary(room / 4 * 3);
            let (word, rest) = text.split_at(end);
            let word = format!("{OPEN}{}{CLOSE}", STANDARD.encode(word));
            self.out.extend_from_slice(word.as_bytes());
            self.column += word.len();
            self.spaced = true;
            text = rest;
        }
    }

    fn fold(&mut self) {
        self.out.extend_from_slice(b"\r\n ");
        self.column = 1;
        self.spaced = false;
    }
}

/// Whether a word may stand in a header as it is.
fn is_plain(word: &str) -> bool {
    word.len() <= PLAIN
        && word.bytes().all(|octet| octet.is_ascii_graphic())
        && !word.contains("=?")
        && !word.contains("?=")
}

/// RFC 5322, section 3.2.3.
fn is_atom(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::Field;

    fn text(text: &str) -> String {
        let mut out = Vec::new();
        let mut field = Field::new("Subject", &mut out);
        field.text(text);
        field.end();
        String::from_utf8(out).expect("ASCII")
    }

    fn phrase(text: &str) -> String {
        let mut out = Vec::new();
        let mut field = Field::new("To", &mut out);
        field.phrase(text);
        field.unit("<a@x.example>");
        field.end();
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn only_words_that_need_it_are_encoded() {
        assert_eq!(
            text("Plain words, 100 %"),
            "Subject: Plain words, 100 %\r\n"
        );
        assert_eq!(
            text("This week \u{1f916} in AI"),
            "Subject: This week =?utf-8?b?8J+klg==?= in AI\r\n"
        );
        assert_eq!(
            text("“a b” c d ü"),
            "Subject: =?utf-8?b?4oCcYSBi4oCd?= c d =?utf-8?b?w7w=?=\r\n"
        );
    }

    #[test]
    fn what_looks_like_an_encoded_word_is_encoded_itself() {
        assert_eq!(
            text("=?utf-8?b?QQ==?="),
            "Subject: =?utf-8?b?PT91dGYtOD9iP1FRPT0/PQ==?=\r\n"
        );
    }

    #[test]
    fn long_text_is_folded_between_units_of_at_most_seventy_five_characters() {
        for sample in ["word ".repeat(60), "日本語".repeat(60), "x".repeat(300)] {
            let field = text(sample.trim());
            for (place, line) in field.trim_end().split("\r\n").enumerate() {
                assert!(line.len() <= 76, "{line}");
                assert_eq!(place > 0, line.starts_with(' '), "{line}");
                assert!(!line.ends_with(' '), "{line:?}");
                let mut words = line.split(' ');
                assert!(words.all(|word| word.len() <= 75), "{line}");
            }
        }
    }

    #[test]
    fn a_name_becomes_atoms_a_quoted_string_or_encoded_words() {
        assert_eq!(phrase("Ada Lovelace"), "To: Ada Lovelace <a@x.example>\r\n");
        assert_eq!(
            phrase("Lovelace, A."),
            "To: \"Lovelace, A.\" <a@x.example>\r\n"
        );
        assert_eq!(
            phrase("\"a\\b\" \\"),
            "To: \"\\\"a\\\\b\\\" \\\\\" <a@x.example>\r\n"
        );
        assert_eq!(
            phrase("Müller, Ö."),
            "To: =?utf-8?b?TcO8bGxlciwgw5Yu?= <a@x.example>\r\n"
        );
        assert_eq!(
            phrase("=?x?="),
            "To: =?utf-8?b?PT94Pz0=?= <a@x.example>\r\n"
        );
    }
}
