//! The catalogue of lints: what an author should know of an issue before anybody gets it.
//!
//! Promises: pure. What time it is, which subjects went out before and which links answer are facts that
//! the caller brings. Each lint has a code, a level that `pressrun.toml` may change, and a page under
//! `docs/lints`; a finding stands at its line of the author's file wherever that is known.
//! Leaves what no setting may allow (a link that leads nowhere, no way to unsubscribe) to `issue` and
//! `compile`.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::compile::only::EVERY;
use crate::compile::theme::Theme;
use crate::compile::{Compiled, Image, Slot, Template};
use crate::config::Level;
use crate::diagnostic::{Diagnostic, Severity, Source, nearest};
use crate::issue::Issue;

pub mod contrast;
mod day;
mod hosts;
mod inbox;
mod leftovers;
pub(crate) mod links;
mod lost;
mod marks;
mod parts;
mod pictures;
mod place;
mod support;
mod tokens;
pub(crate) mod trackers;
mod words;

/// One lint of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint {
    pub code: &'static str,
    /// The level where `pressrun.toml` names none; the same as in `deploy/pressrun.toml`.
    pub level: Level,
    /// One line, for lists.
    pub summary: &'static str,
}

const fn lint(code: &'static str, level: Level, summary: &'static str) -> Lint {
    Lint {
        code,
        level,
        summary,
    }
}

/// Every lint, in the order of a mail: the inbox row, the words, the links, the images, the parts.
pub const CATALOGUE: &[Lint] = &[
    lint(
        "subject-length",
        Level::Warning,
        "the subject is cut in the inbox",
    ),
    lint(
        "subject-limit",
        Level::Error,
        "the subject is longer than a message may carry",
    ),
    lint(
        "subject-reply",
        Level::Error,
        "the subject looks like a reply or a forwarded mail",
    ),
    lint(
        "subject-shouting",
        Level::Warning,
        "the subject shouts: capitals, exclamation marks or emoji",
    ),
    lint(
        "subject-repeated",
        Level::Warning,
        "an earlier issue had the same subject",
    ),
    lint(
        "preheader-missing",
        Level::Warning,
        "nothing stands beside the subject in the inbox",
    ),
    lint(
        "preheader-length",
        Level::Warning,
        "the preheader is too short or too long for the inbox",
    ),
    lint(
        "preheader-repeats",
        Level::Warning,
        "the preheader says what the subject says",
    ),
    lint(
        "title-count",
        Level::Warning,
        "the title promises another number of items",
    ),
    lint("heading-order", Level::Warning, "a headline skips a level"),
    lint(
        "empty-item",
        Level::Warning,
        "an item has a headline and nothing below it",
    ),
    lint(
        "number",
        Level::Warning,
        "an item's own number is not the next one",
    ),
    lint(
        "unknown-tag",
        Level::Warning,
        "what looks like an HTML tag is none, and is shown as it stands",
    ),
    lint(
        "slot-markup",
        Level::Warning,
        "the default of a slot holds markup, which is shown as it stands",
    ),
    lint(
        "footnote",
        Level::Warning,
        "a footnote is mentioned nowhere and is left out",
    ),
    lint(
        "leftover-template",
        Level::Error,
        "a template mark of this or another program is left in the text",
    ),
    lint(
        "leftover-note",
        Level::Error,
        "a note to oneself is left in the text",
    ),
    lint(
        "promo-ended",
        Level::Error,
        "an offer ends before the issue is sent",
    ),
    lint(
        "promo-unread",
        Level::Warning,
        "an offer ends on a day that cannot be read",
    ),
    lint(
        "generic-link",
        Level::Warning,
        "links say `here` or `read more` and not where they lead",
    ),
    lint(
        "same-text-links",
        Level::Off,
        "links with the same words lead to different places",
    ),
    lint(
        "shown-address",
        Level::Warning,
        "a link shows one address and leads to another",
    ),
    lint(
        "link-syntax",
        Level::Error,
        "the marks of a link are left in the text",
    ),
    lint(
        "lost-link",
        Level::Warning,
        "words promise a link, and are none",
    ),
    lint(
        "button-link",
        Level::Warning,
        "a button of the author's own components leads nowhere",
    ),
    lint(
        "leftover-mark",
        Level::Warning,
        "marks of Markdown or of a slot are left in the text",
    ),
    lint(
        "odd-link",
        Level::Warning,
        "a link is well formed and most likely mistyped",
    ),
    lint("http-link", Level::Warning, "a link is not encrypted"),
    lint(
        "local-link",
        Level::Error,
        "a link leads to a host that readers cannot reach",
    ),
    lint(
        "shortened-link",
        Level::Warning,
        "a link goes through a shortener",
    ),
    lint(
        "personal-parameter",
        Level::Warning,
        "a link carries a tracking mark of the author's own visit",
    ),
    lint(
        "personal-link",
        Level::Error,
        "a link goes through the click counter of the author's own mail, or signs its author in",
    ),
    lint(
        "lookalike-link",
        Level::Error,
        "a link's domain mixes alphabets",
    ),
    lint(
        "dead-link",
        Level::Error,
        "a link leads to a page that is not there",
    ),
    lint(
        "unanswered-link",
        Level::Warning,
        "a link's host did not answer as it should",
    ),
    lint(
        "alt-text",
        Level::Warning,
        "an image's text does not say what the image shows",
    ),
    lint(
        "image-weight",
        Level::Warning,
        "images are heavy for a phone",
    ),
    lint(
        "image-format",
        Level::Warning,
        "an image is of a kind that some mail programs do not show",
    ),
    lint(
        "image-animated",
        Level::Warning,
        "an animation stands still in some mail programs",
    ),
    lint(
        "remote-image",
        Level::Warning,
        "an image stays on another host",
    ),
    lint(
        "image-recompressed",
        Level::Warning,
        "an image is sent smaller than its file",
    ),
    lint(
        "image-2x",
        Level::Warning,
        "an image for dense screens has not twice the pixels",
    ),
    lint(
        "contrast",
        Level::Warning,
        "text of the theme is hard to tell from its ground",
    ),
    lint(
        "mail-css",
        Level::Warning,
        "CSS that mail programs do not support",
    ),
    lint(
        "mail-html",
        Level::Warning,
        "HTML that mail programs do not support",
    ),
    lint(
        "text-part",
        Level::Warning,
        "the plain-text part lacks something or reads badly",
    ),
    lint(
        "size",
        Level::Warning,
        "the HTML is near the size at which Gmail cuts it off",
    ),
    lint("clipped", Level::Error, "Gmail cuts the HTML off"),
];

/// The lint of this code.
pub fn find(code: &str) -> Option<&'static Lint> {
    CATALOGUE.iter().find(|lint| lint.code == code)
}

/// The code that is most likely meant by a misspelt one.
pub fn near(code: &str) -> Option<&'static str> {
    nearest(code, CATALOGUE.iter().map(|lint| lint.code))
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub issue: &'a Issue,
    /// Absent where it has errors; then only what can be told of the issue itself is.
    pub compiled: Option<&'a Compiled>,
    pub theme: Option<&'a Theme>,
    /// Each image of the issue with its octets.
    pub images: &'a [(Image, Vec<u8>)],
    /// Base of every link, without a trailing slash.
    pub public_url: &'a str,
    /// By code; a lint that is not named has its own level.
    pub levels: &'a BTreeMap<String, Level>,
    pub facts: &'a Facts,
}

/// What only the world outside knows.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The day on which the issue is sent, or the day of the check.
    pub today: Option<Date>,
    /// Other issues and what their subject was.
    pub earlier: Vec<Earlier>,
    /// Links that were asked for and did not answer well.
    pub unreachable: Vec<Unreachable>,
    /// How many links were asked for when no host at all answered.
    pub silent: usize,
}

/// Another issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub slug: String,
    pub subject: String,
    /// Whether it went out, as opposed to lying in the folder.
    pub sent: bool,
}

/// A link that did not answer well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    pub url: String,
    /// It is certain that the page is not there; otherwise the host may have had a bad moment.
    pub dead: bool,
    /// What came of asking, in words.
    pub why: String,
}

/// Every finding of the catalogue, in the order of the catalogue's groups.
pub fn check(inputs: &Inputs<'_>) -> Vec<Diagnostic> {
    let mut desk = Desk {
        inputs: *inputs,
        found: Vec::new(),
    };
    inbox::check(&mut desk);
    words::check(&mut desk);
    links::check(&mut desk);
    lost::check(&mut desk);
    pictures::check(&mut desk);
    tokens::check(&mut desk);
    support::check(&mut desk);
    parts::check(&mut desk);
    desk.found
}

/// The level of a lint under these settings.
pub fn level(levels: &BTreeMap<String, Level>, code: &str) -> Level {
    let own = || find(code).map_or(Level::Warning, |lint| lint.level);
    levels.get(code).copied().unwrap_or_else(own)
}

fn severity(level: Level) -> Option<Severity> {
    match level {
        Level::Off => None,
        Level::Warning => Some(Severity::Warning),
        Level::Error => Some(Severity::Error),
    }
}

/// The compiler's findings as these settings weigh its warnings; its errors stay errors.
pub fn weighed(found: &[Diagnostic], levels: &BTreeMap<String, Level>) -> Vec<Diagnostic> {
    let weighed = found.iter().cloned().filter_map(|mut finding| {
        if !finding.is_error() && find(finding.code).is_some() {
            finding.severity = severity(level(levels, finding.code))?;
        }
        Some(finding)
    });
    weighed.collect()
}

/// One check: what is looked at, and what was found.
struct Desk<'a> {
    inputs: Inputs<'a>,
    found: Vec<Diagnostic>,
}

impl<'a> Desk<'a> {
    /// How a finding of this code weighs; none where it is switched off.
    fn weight(&self, code: &'static str) -> Option<Severity> {
        debug_assert!(find(code).is_some(), "`{code}` is not in the catalogue");
        severity(level(self.inputs.levels, code))
    }

    /// A finding at a place of the issue's file.
    fn say(&mut self, code: &'static str, at: (usize, usize), message: String, help: &str) {
        let source = self.inputs.issue.source();
        self.say_in(source, code, at, message, help);
    }

    /// A finding about `at.1` octets from `at.0` of any file.
    fn say_in(
        &mut self,
        source: Source<'_>,
        code: &'static str,
        at: (usize, usize),
        message: String,
        help: &str,
    ) {
        if let Some(severity) = self.weight(code) {
            let finding = source.at(severity, at.0, at.1, code, message);
            self.found.push(finding.help(help));
        }
    }

    /// A finding about the whole issue.
    fn say_about(&mut self, code: &'static str, message: String, help: &str) {
        if let Some(severity) = self.weight(code) {
            let finding = Diagnostic::about(severity, code, &self.inputs.issue.file, message);
            self.found.push(finding.help(help));
        }
    }
}

/// A template as a reader without any fields gets it; each link stands as its target.
fn filled(compiled: &Compiled, template: &Template) -> String {
    template.fill_for(EVERY, |slot| match slot {
        Slot::Click(index) => {
            let link = compiled.links.get(*index as usize);
            link.map(|link| link.url.clone()).unwrap_or_default()
        }
        _ => String::new(),
    })
}

/// "line 3", "lines 3, 5 and 8"; a long row is cut.
fn lines_named(lines: &[usize]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = lines.iter().take(SHOWN).map(usize::to_string).collect();
    match (shown.as_slice(), lines.len()) {
        ([one], _) => format!("line {one}"),
        (_, count) if count > SHOWN => {
            format!("lines {} and {} more", shown.join(", "), count - SHOWN)
        }
        ([rest @ .., last], _) => format!("lines {} and {last}", rest.join(", ")),
        ([], _) => String::new(),
    }
}
