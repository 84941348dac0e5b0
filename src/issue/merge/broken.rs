//! Slots that are none: cut by the end of their line or by code, or with a name that is written another way.
//!
//! Promises: what was most likely meant as a slot never goes out as it stands; brackets that mean something else
//! are left alone.

use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::issue::html::without_entities;
use crate::issue::merge::{Slots, is_name};

impl Slots<'_> {
    /// Whether what stands behind `[[` was meant as a slot, although its line ends before `]]`: what is known
    /// is named, or something is and the end comes within the paragraph.
    pub(super) fn is_broken(&self, inside: &str) -> bool {
        let paragraph = inside.split("\n\n").next().unwrap_or_default();
        // The line may end right behind the brackets, in a quote, too.
        let begun = paragraph.trim_start_matches(|c: char| c.is_whitespace() || c == '>');
        let line = begun.lines().next().unwrap_or_default();
        let line = line.split("]]").next().unwrap_or_default();
        self.is_meant(line, paragraph.contains("]]"))
    }

    /// Tells the slot at the end of `text` that the code, or the comment, that follows keeps from its end. `base`
    /// is the offset of `text` in the file.
    pub(crate) fn cut_short(&self, text: &str, base: usize, found: &mut Vec<Diagnostic>) {
        let line = text.rfind('\n').map_or(0, |newline| newline + 1);
        let Some(open) = text[line..].rfind("[[").map(|at| line + at) else {
            return;
        };
        let inside = &text[open + 2..];
        let escaped = inside.contains("]]") || text[..open].ends_with('\\');
        if escaped || !self.is_meant(inside, true) {
            return;
        }
        let whole = self.source.text.get(base + open..);
        let whole = whole.and_then(|rest| rest.lines().next());
        if whole.is_some_and(|rest| rest.contains("]]")) {
            let message = "code or a comment stands in this slot, which ends it";
            let error = self.error(base + open, inside.len() + 2, "slot", message);
            let help = "what stands in a slot is plain words: `[[field|default]]`";
            found.push(error.help(help));
        }
    }

    /// Whether the beginning of a slot was meant as one.
    fn is_meant(&self, inside: &str, ends: bool) -> bool {
        let (name, default) = match inside.split_once('|') {
            Some((name, _)) => (name.trim(), true),
            None => (inside.trim(), false),
        };
        self.knows(name) || default && ends && name.split('.').all(is_name)
    }

    /// Whether a slot may hold this name.
    pub(in crate::issue) fn knows(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// The name that was most likely meant by one in capitals, with blanks or in one word.
    pub(super) fn meant(&self, name: &str) -> Option<&str> {
        let bare = |name: &str| {
            let letters = name.chars().filter(|c| c.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect::<String>()
        };
        let wanted = bare(name);
        let same = self.names().find(|known| bare(known) == wanted);
        same.or_else(|| nearest(&name.to_lowercase(), self.names()))
    }

    /// What may be written for a name that is like no other.
    pub(super) fn instead_of(&self, name: &str) -> String {
        let family = name.split('.').next().unwrap_or_default();
        let within = |known: &&str| {
            known
                .strip_prefix(family)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let alike = self.names().filter(within);
        let alike: Vec<String> = alike.map(|known| format!("`{known}`")).collect();
        match alike.as_slice() {
            [] if name.contains('.') => {
                "a name with a dot begins with `issue.`, `list.` or `publication.`".into()
            }
            [] => "declare it in `fields.toml`".into(),
            alike => format!("there are {}", alike.join(", ")),
        }
    }

    /// Tells markup in the default of the slot at `offset`.
    pub(super) fn markup(&self, default: &str, offset: usize, length: usize) -> Option<Diagnostic> {
        let mark = marked(default)?;
        let message = format!("`{mark}` in this default is shown as it stands");
        let warning = (self.source).at(Severity::Warning, offset, length, "slot-markup", message);
        Some(warning.help(
            "a default is plain words: put looks around the slot, and write letters as they are",
        ))
    }
}

/// What of a default would be markup elsewhere: a tag, an entity, or a pair of Markdown's marks.
fn marked(default: &str) -> Option<&str> {
    let tag = default.match_indices('<').find_map(|(at, _)| {
        let name = default[at + 1..].trim_start_matches('/');
        let end = default[at..].find('>')?;
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic());
        named.then(|| &default[at..=at + end])
    });
    let entity = || {
        default.match_indices('&').find_map(|(at, _)| {
            let end = default[at..].find(';')?;
            let mark = &default[at..=at + end];
            (without_entities(mark) != mark).then_some(mark)
        })
    };
    let marks = || {
        let mut pairs = ["**", "__", "`", "~~"].into_iter();
        pairs.find(|mark| default.matches(mark).count() > 1)
    };
    tag.or_else(entity).or_else(marks)
}
