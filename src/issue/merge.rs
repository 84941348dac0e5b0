//! Merge slots, `[[field|default]]`, and the fields they may name.
//!
//! Promises: an unknown field is an error at its place; a name is written in lower case, digits and `_`.

use crate::compile::Slot;
use crate::diagnostic::{Diagnostic, Source};
use crate::issue::block::{Inline, Merge, Piece};
use crate::subscriber::field::{BUILT_IN, FieldError, FieldTable};

/// Pages of our own that an author may link to.
const PAGES: [(&str, Slot); 4] = [
    ("unsubscribe_url", Slot::Unsubscribe),
    ("preferences_url", Slot::Preferences),
    ("view_url", Slot::View),
    ("confirm_url", Slot::Confirm),
];

/// Reads `fields.toml`; what is wrong in it is told at its place.
pub fn fields(source: Source<'_>) -> Result<FieldTable, Diagnostic> {
    FieldTable::parse(source.text).map_err(|error| {
        let (offset, message) = match &error {
            FieldError::Syntax {
                offset, message, ..
            } => (*offset, message.clone()),
            FieldError::BuiltIn(name) | FieldError::BadName(name) => (
                source.text.find(name.as_str()).unwrap_or(0),
                error.to_string(),
            ),
            _ => (0, error.to_string()),
        };
        source.error(offset, "fields", message)
    })
}

fn knows(fields: &FieldTable, name: &str) -> bool {
    BUILT_IN.contains(&name) || fields.kind(name).is_some()
}

/// The known name that a misspelt one most resembles.
fn nearest<'a>(fields: &'a FieldTable, name: &str) -> Option<&'a str> {
    let pages = PAGES.iter().map(|(page, _)| *page);
    let known = fields.names().chain(BUILT_IN).chain(pages);
    known
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, known)| known)
}

/// The page of our own that `name` stands for.
pub fn page(name: &str) -> Option<Slot> {
    let found = PAGES.iter().find(|(page, _)| *page == name);
    found.map(|(_, slot)| slot.clone())
}

/// A slot as it stands in a text.
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) merge: Merge,
}

/// The scanner for one file.
pub(crate) struct Slots<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) fields: &'a FieldTable,
}

impl Slots<'_> {
    /// The first slot in `text` at or after `from`. `base` is the offset of `text` in the file;
    /// what looks like a slot and is none is told and passed over.
    pub(crate) fn next(
        &self,
        text: &str,
        from: usize,
        base: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Found> {
        let mut at = from;
        while let Some(next) = text[at..].find("[[") {
            let open = at + next;
            let line_end = text[open..].find('\n').map_or(text.len(), |end| open + end);
            at = open + 2;
            let Some(close) = text[open..line_end].find("]]").map(|close| open + close) else {
                continue;
            };
            // Of `[[[name]]`, the inner two.
            let start = text[..close].rfind("[[").unwrap_or(open);
            let end = close + 2;
            at = end;
            let backslashes = text[..start]
                .bytes()
                .rev()
                .take_while(|b| *b == b'\\')
                .count();
            // `[[1]](url)` and `[[1]][ref]` are links.
            let link = text[end..].starts_with(['(', '[']);
            if backslashes % 2 == 1 || link {
                continue;
            }
            let inside = &text[start + 2..close];
            if let Some(merge) = self.read(inside, base + start, found) {
                return Some(Found { start, end, merge });
            }
        }
        None
    }

    /// Text and slots of a text that is no Markdown: subject, code and date of a promo.
    pub(crate) fn inlines(
        &self,
        text: &str,
        base: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Inline> {
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(slot) = self.next(text, from, base, found) {
            if slot.start > from {
                out.push(Inline::Text(text[from..slot.start].into()));
            }
            out.push(Inline::Merge(slot.merge));
            from = slot.end;
        }
        if from < text.len() {
            out.push(Inline::Text(text[from..].into()));
        }
        out
    }

    /// As [`Slots::inlines`], for a URL.
    pub(crate) fn pieces(
        &self,
        text: &str,
        base: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Piece> {
        let piece = |inline| match inline {
            Inline::Text(text) => Some(Piece::Literal(text)),
            Inline::Merge(merge) => Some(Piece::Merge(merge)),
            _ => None,
        };
        let inlines = self.inlines(text, base, found);
        inlines.into_iter().filter_map(piece).collect()
    }

    /// `field|default`, known or told; `None` where it is plain text.
    fn read(&self, inside: &str, offset: usize, found: &mut Vec<Diagnostic>) -> Option<Merge> {
        let (name, default) = match inside.split_once('|') {
            // In a table the author may write `\|`.
            Some((name, default)) => (name.trim_end_matches('\\').trim(), Some(default.trim())),
            None => (inside.trim(), None),
        };
        // A reference such as [[12]].
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if !is_name(name) {
            let message = format!("`[[{inside}]]` names no field");
            let help = "write `[[field|default]]`, or `\\[[` where the brackets are meant as text";
            found.push(self.source.error(offset, "slot", message).help(help));
            return None;
        }
        if let Some(slot) = page(name) {
            return Some(Merge::Page(slot));
        }
        if !knows(self.fields, name) {
            let error = self.source.error(
                offset,
                "unknown-field",
                format!("no field is called `{name}`"),
            );
            found.push(match nearest(self.fields, name) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("declare it in `fields.toml`"),
            });
        } else if default.is_none() && name != "email" {
            let message = format!("`[[{name}]]` has no default, and the field may be empty");
            found.push(
                self.source
                    .warning(offset, "no-default", message)
                    .help(format!("write `[[{name}|...]]`")),
            );
        }
        Some(Merge::Field {
            name: name.to_owned(),
            default: default.unwrap_or_default().to_owned(),
        })
    }
}

fn is_name(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use crate::compile::Slot;
    use crate::diagnostic::Source;
    use crate::issue::block::{Inline, Merge};
    use crate::subscriber::field::{FieldKind, FieldTable};

    fn fields() -> FieldTable {
        super::fields(Source {
            file: "fields.toml",
            text: "[fields.first_name]\ntype = \"text\"\n[fields.age]\ntype = \"number\"\n",
        })
        .expect("fields")
    }

    fn read(text: &str) -> (Vec<Inline>, Vec<String>) {
        let fields = fields();
        let slots = Slots {
            source: Source { file: "a.md", text },
            fields: &fields,
        };
        let mut found = Vec::new();
        let inlines = slots.inlines(text, 0, &mut found);
        (inlines, found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_slot_stands_between_texts_with_its_default() {
        let (inlines, found) = read("Hi [[first_name|there, you]]!");
        assert_eq!(
            inlines,
            [
                Inline::Text("Hi ".into()),
                Inline::Merge(Merge::Field {
                    name: "first_name".into(),
                    default: "there, you".into()
                }),
                Inline::Text("!".into()),
            ]
        );
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(
            read("[[view_url]]").0,
            [Inline::Merge(Merge::Page(Slot::View))]
        );
    }

    #[test]
    fn links_escapes_and_references_are_no_slots() {
        for text in [
            "[[1]](https://a.example)",
            "[[1]][a]",
            "\\[[name]]",
            "see [[12]]",
            "[[open",
            "a [[ b\n]]",
        ] {
            let (inlines, found) = read(text);
            assert_eq!(inlines, [Inline::Text(text.into())], "{found:?}");
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn an_unknown_field_is_told_at_its_place_with_the_nearest_name() {
        let (_, found) = read("a\nHi [[frist_name|x]]");
        assert_eq!(
            found,
            [
                "a.md:2:4: error[unknown-field]: no field is called `frist_name`\n    help: did you mean `first_name`?"
            ]
        );
        let (_, found) = read("[[First Name]]");
        assert!(found[0].contains("error[slot]"), "{found:?}");
        let (_, found) = read("[[name]] [[email]]");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("warning[no-default]"), "{found:?}");
    }

    #[test]
    fn fields_are_typed_and_misspelt_declarations_are_errors() {
        assert_eq!(fields().kind("age"), Some(FieldKind::Number));
        for (text, expected) in [
            (
                "[fields.a]\ntype = \"colour\"\n",
                "fields.toml:2:8: error[fields]",
            ),
            (
                "[fields.a]\nkind = \"text\"\n",
                "fields.toml:2:1: error[fields]",
            ),
            ("[fields.Ab]\ntype = \"text\"\n", "`Ab` cannot name a field"),
            ("[fields.email]\ntype = \"text\"\n", "`email` is built in"),
        ] {
            let file = "fields.toml";
            let error = super::fields(Source { file, text }).expect_err("an error");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
