//! Merge slots, `[[field|default]]`, and the names they may hold.
//!
//! Promises: an unknown name, one that a mail of this kind cannot have, and a field that may be empty
//! without a default are errors at their place. What is the same in every copy becomes text here.

use std::collections::BTreeMap;

use crate::compile::notation::Notation;
use crate::compile::press::Mail;
use crate::compile::{Context, Slot};
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::issue::block::{Inline, Merge, Piece, joined, joined_pieces};
use crate::issue::front::Front;
use crate::issue::given::Given;
use crate::issue::merge::filler::{Filler, Fixed};
use crate::segment::named::Segments;
use crate::subscriber::field::{BUILT_IN, FieldError, FieldTable};

mod broken;
pub(crate) mod filler;

/// Pages of our own that an author may link to.
pub(super) const PAGES: [(&str, Slot); 4] = [
    ("unsubscribe_url", Slot::Unsubscribe),
    ("preferences_url", Slot::Preferences),
    ("view_url", Slot::View),
    ("confirm_url", Slot::Confirm),
];
/// How the names begin that tell of the list an issue goes to.
const LIST: &str = "list.";

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

/// Reads `segments.toml`; what is wrong in it is told at its place.
pub fn segments(
    source: Source<'_>,
    fields: &FieldTable,
    zone: &str,
) -> Result<Segments, Diagnostic> {
    Segments::parse(source.text, fields, zone).map_err(|flaw| {
        let (severity, length) = (Severity::Error, flaw.length);
        let error = source.at(severity, flaw.offset, length, "segments", flaw.message);
        match flaw.help {
            Some(help) => error.help(help),
            None => error,
        }
    })
}

/// The page of our own that `name` stands for.
pub fn page(name: &str) -> Option<Slot> {
    let found = PAGES.iter().find(|(page, _)| *page == name);
    found.map(|(_, slot)| slot.clone())
}

/// Why `slot` cannot stand in a mail of this kind, if it cannot.
pub(crate) fn misplaced(mail: Mail, slot: &Slot) -> Option<String> {
    Some(match (mail, slot) {
        (Mail::Confirm, Slot::Field { name, .. }) => {
            format!("`[[{name}]]` cannot stand in a mail to an address nobody has confirmed")
        }
        (Mail::Confirm, Slot::Unsubscribe | Slot::Preferences | Slot::View) => {
            "a mail to an address nobody has confirmed has no such page".into()
        }
        (Mail::Goodbye, Slot::Unsubscribe | Slot::Preferences) => {
            "whoever gets this mail has left already".into()
        }
        (Mail::Welcome | Mail::Goodbye, Slot::View) => "`view_url` exists for issues only".into(),
        (Mail::Issue | Mail::Welcome | Mail::Goodbye, Slot::Confirm) => {
            "`confirm_url` exists in the confirm mail only".into()
        }
        _ => return None,
    })
}

/// What of the front matter may hold slots, read.
pub(crate) struct Heads {
    pub(crate) subject: Vec<Inline>,
    pub(crate) preheader: Vec<Inline>,
    pub(crate) teaser: Vec<Inline>,
}

/// A slot as it stands in a text.
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) filler: Filler,
}

/// The scanner for one file.
pub(crate) struct Slots<'a> {
    pub(crate) source: Source<'a>,
    given: Given<'a>,
    /// What is the same in every copy; empty where the author does not say it.
    fixed: BTreeMap<&'static str, Fixed>,
    /// BCP 47: what dates and numbers are written in.
    language: String,
}

impl<'a> Slots<'a> {
    pub(crate) fn new(
        source: Source<'a>,
        slug: &str,
        front: &Front,
        given: Given<'a>,
    ) -> Slots<'a> {
        let text = |text: &str| Fixed {
            text: text.to_owned(),
            address: false,
        };
        let address = |text: &str| Fixed {
            text: text.to_owned(),
            address: true,
        };
        let language = front.lang.as_deref().unwrap_or(given.language);
        let dates = front.dates.map(|dates| dates.shown(language));
        let fixed = BTreeMap::from([
            ("issue.title", text(&front.title)),
            ("issue.slug", text(slug)),
            (
                "issue.teaser",
                text(front.teaser.as_deref().unwrap_or_default()),
            ),
            ("issue.dates", text(&dates.unwrap_or_default())),
            ("list.name", text(given.list_of(front))),
            ("list.title", text(given.title_of(front))),
            ("publication.name", text(given.publication)),
            ("publication.url", address(given.url)),
            (
                "share_url",
                address(front.share.as_deref().unwrap_or_default()),
            ),
        ]);
        Slots {
            source,
            given,
            fixed,
            language: language.to_owned(),
        }
    }

    /// The kind of mail that is read.
    pub(crate) fn mail(&self) -> Mail {
        self.given.mail
    }

    /// The share link of the front matter, if it is one.
    pub(crate) fn share(&self) -> Option<&str> {
        let share = self.fixed.get("share_url").map(|fixed| fixed.text.as_str());
        share.filter(|share| !share.is_empty())
    }

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
            let rest = &text[open..];
            let mut stops = rest.match_indices([']', '\n']);
            let stop = stops.find(|(at, c)| *c == "\n" || rest[at + 1..].starts_with(']'));
            // A value without quotes ends where its line goes on.
            let line = || self.source.text.get(base + open..)?.lines().next();
            if stop.is_none() && line()?.contains("]]") {
                return None;
            }
            let (length, stop) = stop.unwrap_or((rest.len(), "\n"));
            let close = open + length;
            // Of `[[[name]]`, the inner two.
            let start = text[..close].rfind("[[").unwrap_or(open);
            let backslashes = text[..start]
                .bytes()
                .rev()
                .take_while(|b| *b == b'\\')
                .count();
            if stop == "\n" {
                at = close;
                if backslashes % 2 == 0 && self.is_broken(&text[start + 2..]) {
                    let message = "this slot does not end on its line";
                    let error = self.error(base + start, close - start, "slot", message);
                    let help = "write it on one line: `[[field|default]]`";
                    found.push(error.help(help));
                }
                continue;
            }
            let end = close + 2;
            at = end;
            // `[[1]](url)` and `[[1]][ref]` are links.
            let link = text[end..].starts_with(['(', '[']);
            if backslashes % 2 == 1 || link {
                continue;
            }
            let inside = &text[start + 2..close];
            if let Some(filler) = self.read(inside, base + start, found) {
                return Some(Found { start, end, filler });
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
        joined(self.cut(text, base, Filler::inline, found))
    }

    /// The same of components, whose texts are markup.
    pub(crate) fn components(
        &self,
        text: &str,
        base: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Inline> {
        self.cut(text, base, Filler::component, found)
    }

    fn cut(
        &self,
        text: &str,
        base: usize,
        fill: fn(Filler) -> Inline,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Inline> {
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(slot) = self.next(text, from, base, found) {
            if slot.start > from {
                out.push(Inline::Text(text[from..slot.start].into()));
            }
            out.push(fill(slot.filler));
            from = slot.end;
        }
        if from < text.len() {
            out.push(Inline::Text(text[from..].into()));
        }
        out
    }

    /// What the front matter says to the reader: the title stands for a subject, and the teaser for a
    /// preheader, that it does not give.
    pub(crate) fn heads(&self, front: &Front, found: &mut Vec<Diagnostic>) -> Heads {
        let mut head = |key: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            Some(self.header(text, front.place(key), key, found))
        };
        let subject = head("subject", &front.subject);
        let preheader = head("preheader", &front.preheader);
        let teaser = head("teaser", &front.teaser).unwrap_or_default();
        Heads {
            subject: subject.unwrap_or_else(|| vec![Inline::Text(front.title.clone())]),
            preheader: preheader.unwrap_or_else(|| teaser.clone()),
            teaser,
        }
    }

    /// As [`Slots::inlines`], for the value of `key`, in which no address can stand. No Markdown takes the
    /// backslash of `\[[` away, so it is done here.
    pub(crate) fn header(
        &self,
        text: &str,
        base: usize,
        key: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Inline> {
        let mut inlines = self.inlines(text, base, found);
        for inline in &mut inlines {
            if let Inline::Text(text) = inline {
                *text = text.replace("\\[[", "[[");
            }
        }
        let mut from = 0;
        while let Some(slot) = self.next(text, from, base, &mut Vec::new()) {
            let address = match &slot.filler {
                Filler::Reader(merge) => matches!(merge, Merge::Page(_)),
                Filler::Fixed(fixed) => fixed.address,
            };
            if address {
                let length = slot.end - slot.start;
                let message = format!("a {key} cannot hold an address");
                found.push(self.error(base + slot.start, length, "slot", message));
            }
            from = slot.end;
        }
        inlines
    }

    /// As [`Slots::inlines`], for a URL.
    pub(crate) fn pieces(
        &self,
        text: &str,
        base: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Piece> {
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(slot) = self.next(text, from, base, found) {
            if slot.start > from {
                out.push(Piece::Literal(text[from..slot.start].into()));
            }
            out.push(slot.filler.piece());
            from = slot.end;
        }
        if from < text.len() {
            out.push(Piece::Literal(text[from..].into()));
        }
        joined_pieces(out)
    }

    fn error(
        &self,
        offset: usize,
        length: usize,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let source = &self.source;
        source.at(Severity::Error, offset, length, code, message)
    }

    /// `name|default`, known or told; `None` where it is plain text.
    fn read(&self, inside: &str, offset: usize, found: &mut Vec<Diagnostic>) -> Option<Filler> {
        let length = inside.len() + 4;
        let (name, default) = match inside.split_once('|') {
            // In a table the author may write `\|`.
            Some((name, default)) => (name.trim_end_matches('\\').trim(), Some(default.trim())),
            None => (inside.trim(), None),
        };
        // A reference such as [[12]].
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if !name.split('.').all(is_name) {
            let message = format!("`[[{inside}]]` names no field");
            let help = match self.meant(name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `[[field|default]]`, or `\\[[` where the brackets are meant as text"
                    .into(),
            };
            found.push(self.error(offset, length, "slot", message).help(help));
            return None;
        }
        if let Some(slot) = page(name) {
            if let Some(problem) = misplaced(self.given.mail, &slot) {
                found.push(self.error(offset, length, "slot", problem));
            }
            return Some(Filler::Reader(Merge::Page(slot)));
        }
        if let Some(fixed) = self.fixed.get(name) {
            if name.starts_with(LIST) && self.given.mail != Mail::Issue {
                let problem =
                    format!("`{name}` exists for issues only: a mail like this speaks of any list");
                found.push(self.error(offset, length, "slot", problem));
            }
            return Some(self.fixed(name, fixed, default, offset, length, found));
        }
        let kind = self.given.fields.kind(name);
        if let Some(warning) = default.and_then(|default| self.markup(default, offset, length)) {
            found.push(warning);
        }
        let merge = Merge::Field {
            name: name.to_owned(),
            default: default.unwrap_or_default().to_owned(),
            notation: kind.and_then(|kind| Notation::of(kind, &self.language)),
        };
        let built_in = BUILT_IN.contains(&name);
        if !built_in && kind.is_none() {
            let message = format!("no field is called `{name}`");
            let error = self.error(offset, length, "unknown-field", message);
            found.push(match self.meant(name) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(self.instead_of(name)),
            });
        } else if let Some(problem) = misplaced(self.given.mail, &merge.slot(Context::Text)) {
            found.push(self.error(offset, length, "slot", problem));
        } else if default.is_none() && name != "email" && !self.given.fields.required(name) {
            let message = format!("`[[{name}]]` has no default, and the field may be empty");
            let own = match built_in {
                true => "",
                false => ", or declare the field with `required = true` in `fields.toml`",
            };
            let help = format!("write `[[{name}|...]]`{own}");
            let error = self.error(offset, length, "no-default", message);
            found.push(error.help(help));
        }
        Some(Filler::Reader(merge))
    }

    fn fixed(
        &self,
        name: &str,
        fixed: &Fixed,
        default: Option<&str>,
        offset: usize,
        length: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Filler {
        let text = match (fixed.text.as_str(), default) {
            ("", Some(default)) => default,
            ("", None) => {
                let key = name.trim_start_matches("issue.").trim_end_matches("_url");
                let message = format!("`[[{name}]]` is empty: the front matter gives no `{key}`");
                found.push(self.error(offset, length, "slot", message));
                ""
            }
            // What has slots of its own is no text.
            (text, _) if text.contains("[[") => {
                let message = format!("`[[{name}]]` is another one for every reader");
                let help = match fixed.address {
                    true => "link to it: `[words](share_url)`",
                    false => "write its words, with their slots, here once more",
                };
                found.push(self.error(offset, length, "slot", message).help(help));
                ""
            }
            (text, _) => text,
        };
        Filler::Fixed(Fixed {
            text: text.to_owned(),
            address: fixed.address,
        })
    }

    /// Every name that a slot may hold.
    fn names(&self) -> impl Iterator<Item = &str> {
        let pages = PAGES.iter().map(|(page, _)| *page);
        let fields = self.given.fields.names().chain(BUILT_IN);
        fields.chain(pages).chain(self.fixed.keys().copied())
    }
}

fn is_name(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(fine)
}

#[cfg(test)]
mod tests;
