//! Proof-reading: what is checked before and after a page is pressed.

use memchr::memmem::Finder;

use crate::compile::apart::stripped;
use crate::compile::closing::Closing;
use crate::compile::markup::table_index;
use crate::compile::only::SEGMENTS_LIMIT;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::press::{Mail, Press};
use crate::compile::{Compiled, Segment, Slot};
use crate::compile::{items, notes};
use crate::diagnostic::{Diagnostic, Severity};
use crate::issue::block::{Block, Target};
use crate::issue::html::without_entities;
use crate::issue::merge::misplaced;
use crate::issue::target;
use crate::segment::Sieve;

impl Press<'_> {
    /// Whom parts of the issue are for, each segment once.
    pub(super) fn find_segments(&mut self) {
        let issue = self.issue;
        let notes = notes::readers(issue);
        let counted = items::segments(issue);
        let mut found = Vec::new();
        issue
            .intro
            .iter()
            .for_each(|block| segments_of(block, &mut found));
        for item in &issue.items {
            found.extend(item.whom.iter().map(|(segment, offset)| (segment, *offset)));
            item.blocks
                .iter()
                .for_each(|block| segments_of(block, &mut found));
        }
        issue
            .outro
            .iter()
            .for_each(|block| segments_of(block, &mut found));
        let own = issue.layout.iter().flat_map(|layout| &layout.only);
        let more = own.chain(&counted).chain(&notes);
        found.extend(more.map(|(segment, offset)| (segment, *offset)));
        for (segment, offset) in found {
            if self.only.contains(segment) {
                continue;
            }
            if self.only.len() == SEGMENTS_LIMIT {
                let message = format!("an issue has parts for {SEGMENTS_LIMIT} segments at most");
                let error = issue.source().error(offset, "segment", message);
                self.found.push(error);
                return;
            }
            self.only.push(segment.clone());
        }
        let place = notes
            .as_ref()
            .and_then(|(whom, _)| self.only.iter().position(|known| known == whom));
        self.notes_for = place.map(table_index);
        self.closing = Closing::of(issue, &mut self.only, SEGMENTS_LIMIT);
    }

    /// Links that the theme or `:::mjml` brought along go into the table, too.
    pub(super) fn rewrite_remaining(&mut self, html: &str, places: &mut Placeholders) -> String {
        let mut out = String::with_capacity(html.len());
        let mut rest = html;
        let links = Finder::new("href=\"http");
        while let Some(at) = links.find(rest.as_bytes()) {
            let start = at + "href=\"".len();
            let end = rest[start..]
                .find('"')
                .map_or(rest.len(), |end| start + end);
            let written = &rest[start..end];
            out.push_str(&rest[..start]);
            // An address with a field in it is personal and stays as it is.
            let address = match target::web(&without_entities(written)) {
                Ok(url) if !places.holds(written) && !self.is_shown(&url) => {
                    self.brought(&url, places)
                }
                Ok(_) => None,
                Err(problem) => {
                    self.error("link", problem);
                    None
                }
            };
            out.push_str(address.as_deref().unwrap_or(written));
            rest = &rest[end..];
        }
        out.push_str(rest);
        out
    }

    /// Whether the issue leads there by words that are that address.
    fn is_shown(&self, url: &str) -> bool {
        let mut shown = self.issue.links.iter().filter(|link| link.shows_address);
        shown.any(|link| matches!(&link.target, Target::Web(known) if known == url))
    }

    /// The placeholder for a link that stands in no Markdown, where clicks are counted.
    fn brought(&mut self, url: &str, places: &mut Placeholders) -> Option<String> {
        let short = url.split_once("://").map_or(url, |(_, short)| short);
        let name = format!("theme - {}", short.trim_end_matches('/'));
        match self.tracked(url, &name) {
            Segment::Literal(_) | Segment::Only(_) | Segment::End => None,
            Segment::Slot(slot) => {
                let what = format!("the link `{name}`");
                Some(places.put(Filling::Slot(slot), Wanted::Once, what))
            }
        }
    }

    /// Refuses what mailboxes strip or run (the author may bring it in by `:::mjml` or a theme).
    pub(super) fn check_html(&mut self, html: &str) {
        let lower = html.to_ascii_lowercase();
        let holds = |part: &str| memchr::memmem::find(lower.as_bytes(), part.as_bytes()).is_some();
        let mut told = Vec::new();
        for (_, tag) in stripped(html) {
            if !told.contains(&tag) {
                told.push(tag);
                self.error(
                    "forbidden",
                    format!("`{tag}>` is stripped by every mailbox; take it out"),
                );
            }
        }
        for scheme in ["\"javascript:", "\"data:", "\"vbscript:", "'javascript:"] {
            if holds(scheme) {
                let scheme = &scheme[1..];
                self.error(
                    "forbidden",
                    format!("`{scheme}` addresses are stripped by every mailbox"),
                );
            }
        }
    }

    /// Tells what came out of a page less often than it must, or more often.
    pub(super) fn miscounted(
        &mut self,
        places: &Placeholders,
        page: &str,
        part: &str,
        problems: Vec<String>,
    ) {
        let own = self.issue.layout.is_some();
        // Of an author's layout both parts are made; told once is enough.
        let lacks = |error: &Diagnostic| {
            error.code == "unsubscribe" || error.message.starts_with("`postal_address`")
        };
        let told = own && self.found.iter().any(lacks);
        for problem in problems {
            let message = format!("{problem} in the {part} part");
            if !own {
                self.error("theme", format!("{message}; the theme must print it once"));
            } else if !problem.starts_with("`postal_address`") {
                self.error("theme", message);
            } else if !told {
                let help = "write `{{ postal_address }}` into the footer".to_owned();
                self.lacks("theme", message, Some(help));
            }
        }
        // Nothing more is made of this page, and its author looks for all that it lacks at once.
        let (name, wanted) = ("unsubscribe_url", Slot::Unsubscribe);
        if own && !told && self.mail.can_be_left() && !places.shows(&wanted, page) {
            let help = link_to(name, own, &wanted);
            let message = format!("the {part} part has no `{name}`");
            self.lacks("unsubscribe", message, Some(help));
        }
    }

    /// Tells a language in which the theme has no words: its mail would be half in another.
    pub(super) fn speak(&mut self) {
        let language = self.language().to_owned();
        let lacking = self.theme.lacks(&language, &self.site.language);
        let Some(first) = lacking.first().filter(|_| self.issue.layout.is_none()) else {
            return;
        };
        let message = format!(
            "the theme `{}` says its own words (`{first}`{}) in another language than `{language}`",
            self.theme.name,
            if lacking.len() > 1 { " and others" } else { "" }
        );
        let warning = Diagnostic::about(Severity::Warning, "theme", &self.issue.file, message);
        let help = format!(
            "write all of these into `theme.toml`, under `[words.{language}]`: {}",
            lacking.join(", ")
        );
        self.found.push(warning.help(help));
    }

    /// What the parts hold is what this kind of mail must and may hold.
    pub(super) fn check_slots(&mut self, compiled: &Compiled) {
        let mut told = false;
        for (part, template) in [("HTML", &compiled.html), ("text", &compiled.text)] {
            if !template.is_nested(compiled.only.len()) {
                let message = format!("what is for a segment is out of order in the {part} part");
                self.error(
                    "theme",
                    format!("{message}; the theme must print parts in their order"),
                );
            }
            let has = |wanted: &Slot| template.slots().any(|slot| slot == wanted);
            let (code, page, wanted) = match self.mail {
                Mail::Confirm => ("confirm", "confirm_url", Slot::Confirm),
                _ if self.mail.can_be_left() => {
                    ("unsubscribe", "unsubscribe_url", Slot::Unsubscribe)
                }
                _ => continue,
            };
            // Of an author's layout both parts are made; told once is enough.
            let own = self.issue.layout.is_some();
            if has(&wanted) || own && told {
                continue;
            }
            told = true;
            let help = link_to(page, own, &wanted);
            self.lacks(code, format!("the {part} part has no `{page}`"), Some(help));
        }
        let parts = [&compiled.subject, &compiled.html, &compiled.text];
        let slots: Vec<&Slot> = parts.iter().flat_map(|part| part.slots()).collect();
        for slot in slots {
            if let Some(problem) = misplaced(self.mail, slot) {
                self.error("slot", problem);
            }
        }
        if compiled
            .subject
            .slots()
            .any(|slot| !matches!(slot, Slot::Field { .. }))
        {
            self.error("slot", "a subject cannot hold an address");
        }
    }
}

/// How a page of ours is linked to.
fn link_to(page: &str, own: bool, wanted: &Slot) -> String {
    match (own, wanted) {
        (true, _) => format!("link to it in the footer: `<a href=\"{page}\">...</a>`"),
        (false, Slot::Confirm) => format!("link to it: `[words]({page})`"),
        (false, _) => format!("the theme must print `{{{{ {page} }}}}`"),
    }
}

/// The segments that `block` and those within it are for, and where each is named.
fn segments_of<'a>(block: &'a Block, found: &mut Vec<(&'a Sieve, usize)>) {
    if let Block::Only {
        segment,
        blocks,
        offset,
    } = block
    {
        found.push((segment, *offset));
        blocks.iter().for_each(|block| segments_of(block, found));
    }
}
