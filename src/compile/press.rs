//! The press: an issue, a theme and the images in, a compiled issue out.
//!
//! Promises: what it gives is complete: a link to unsubscribe and the postal address in both parts, every
//! link in the table, nothing that mailboxes strip. Else there are errors and no compiled issue.

use std::collections::BTreeMap;

use minijinja::context;
use minijinja::value::Value;

use crate::compile::closing::{self, Closing};
use crate::compile::escape::escape_html;
use crate::compile::items;
use crate::compile::markup::{Markup, safe, table_index};
use crate::compile::notes::{self, Note};
use crate::compile::own::{own_place, own_places, own_theme};
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::text::{Text, WIDTH};
use crate::compile::theme::trace::{Marks, Origin};
use crate::compile::theme::{Theme, direction};
use crate::compile::{Compiled, Context, Image, Link, Segment, Slot, Template};
use crate::diagnostic::{Diagnostic, Provenance, Severity};
use crate::issue::Issue;
use crate::issue::block::{Block, Inline, Piece, Target};
use crate::segment::Sieve;

/// What the configuration says of the publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub name: String,
    /// Base of every link, without a trailing slash.
    pub url: String,
    pub postal_address: String,
    /// BCP 47.
    pub language: String,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Links go through the public site.
    pub clicks: bool,
    /// A pixel stands in the HTML.
    pub opens: bool,
    /// Classes `pr-at-<n>` in the HTML name the places of [`Pressed`].
    pub annotate: bool,
}

/// What kind of mail is made, which decides what must and what may not stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    Issue,
    /// To a reader of a list, outside any issue.
    Welcome,
    /// To an address that is nobody's reader yet: nothing to leave, no value a stranger typed in.
    Confirm,
    /// To a reader who has just left: nothing left to leave.
    Goodbye,
}

impl Mail {
    /// Whether its reader has a subscription that can be ended.
    pub(super) fn can_be_left(self) -> bool {
        matches!(self, Mail::Issue | Mail::Welcome)
    }
}

/// A compiled issue, and where its blocks were written.
#[derive(Clone, Debug)]
pub struct Pressed {
    pub compiled: Compiled,
    /// By the number in `pr-at-<n>`; empty unless [`Options::annotate`].
    pub places: Vec<Provenance>,
}

/// Compiles `issue`. Findings go to `found`; with an error among them nothing is compiled.
pub fn press(
    issue: &Issue,
    theme: &Theme,
    images: &BTreeMap<String, Image>,
    site: &Site,
    mail: Mail,
    options: Options,
    found: &mut Vec<Diagnostic>,
) -> Option<Pressed> {
    if site.postal_address.trim().is_empty() {
        let message = "`publication.postal_address` is empty; every mail must name one";
        found.push(Diagnostic::about(
            Severity::Error,
            "postal-address",
            "pressrun.toml",
            message,
        ));
        return None;
    }
    let own;
    let theme = match &issue.layout {
        None => theme,
        Some(layout) => {
            own = own_theme(theme, layout);
            &own
        }
    };
    let told = found.len();
    let mut inputs = vec![
        site.name.as_str(),
        &site.postal_address,
        &site.url,
        &issue.text,
    ];
    inputs.extend(theme.files.values().map(String::as_str));
    let options = match mail {
        Mail::Issue => options,
        // Nobody asks how often a confirm mail is read.
        Mail::Welcome | Mail::Confirm | Mail::Goodbye => Options {
            clicks: false,
            opens: false,
            ..options
        },
    };
    let mut press = Press {
        issue,
        theme,
        images,
        site,
        mail,
        options,
        links: Vec::new(),
        addresses: Vec::new(),
        only: Vec::new(),
        notes: Vec::new(),
        notes_for: None,
        closing: Closing::default(),
        plain: false,
        pixel: String::new(),
        found,
    };
    press.speak();
    press.address_links();
    press.find_segments();
    press.check_components(&inputs);
    if press.found.iter().any(Diagnostic::is_error) {
        return None;
    }
    let html = press.html(&inputs);
    let text = press.text(Placeholders::unlike(&inputs));
    own_places(issue, theme, &mut press.found[told..]);
    let ((html, mut places), text) = (html?, text?);
    for Provenance { place, drawn } in &mut places {
        own_place(issue, theme, place);
        drawn
            .iter_mut()
            .for_each(|place| own_place(issue, theme, place));
    }
    let compiled = Compiled {
        slug: issue.slug.clone(),
        title: issue.front.title.clone(),
        subject: head(&issue.subject, Context::Header),
        preheader: head(&issue.preheader, Context::Text),
        html,
        text,
        links: std::mem::take(&mut press.links),
        images: images.values().cloned().collect(),
        only: std::mem::take(&mut press.only),
    };
    press.check_slots(&compiled);
    (!found.iter().any(Diagnostic::is_error)).then_some(Pressed { compiled, places })
}

/// One pressing.
pub(super) struct Press<'a> {
    pub(super) issue: &'a Issue,
    pub(super) theme: &'a Theme,
    pub(super) images: &'a BTreeMap<String, Image>,
    pub(super) site: &'a Site,
    pub(super) mail: Mail,
    pub(super) options: Options,
    links: Vec<Link>,
    /// The address of each link of the issue.
    pub(super) addresses: Vec<Vec<Segment>>,
    /// Whom parts of the issue are for.
    pub(super) only: Vec<Sieve>,
    /// The footnotes of the page, where some are for some readers only.
    pub(super) notes: Vec<Note>,
    /// The segment for which all footnotes are, and with them their heading.
    pub(super) notes_for: Option<u32>,
    pub(super) closing: Closing,
    /// It is the text part that is made of the author's own layout.
    pub(super) plain: bool,
    /// What stands for the address of the open pixel.
    pub(super) pixel: String,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

impl Press<'_> {
    pub(super) fn error(&mut self, code: &'static str, message: impl Into<String>) {
        let file = &self.issue.file;
        self.found
            .push(Diagnostic::about(Severity::Error, code, file, message));
    }

    /// An entry of the link table, and what stands in the mail for it.
    pub(super) fn tracked(&mut self, url: &str, name: &str) -> Segment {
        if !self.options.clicks {
            return Segment::Literal(url.to_owned());
        }
        self.links.push(Link {
            url: url.to_owned(),
            name: name.to_owned(),
        });
        Segment::Slot(Slot::Click(table_index(self.links.len() - 1)))
    }

    fn address_links(&mut self) {
        for link in &self.issue.links {
            let address = match &link.target {
                Target::Web(url) if link.shows_address => vec![Segment::Literal(url.clone())],
                Target::Web(url) => vec![self.tracked(url, &link.name)],
                Target::Direct(url) => vec![Segment::Literal(url.clone())],
                Target::Page(slot) => vec![Segment::Slot(slot.clone())],
                Target::Personal(pieces) => pieces.iter().map(personal).collect(),
            };
            self.addresses.push(address);
        }
    }

    pub(super) fn context(&mut self, places: &mut Placeholders, marks: &mut Marks) -> Value {
        let page = |places: &mut Placeholders, slot: Slot, allowed: bool| {
            allowed.then(|| safe(places.put(Filling::Slot(slot), Wanted::Any, "a page of ours")))
        };
        let leaving = self.mail.can_be_left();
        let unsubscribe_url = page(places, Slot::Unsubscribe, leaving);
        let preferences_url = page(places, Slot::Preferences, leaving);
        let view_url = page(places, Slot::View, self.mail == Mail::Issue);
        let postal = escape_html(&one_line(&self.site.postal_address));
        let postal_address =
            safe(places.put(Filling::Literal(postal), Wanted::Some, "`postal_address`"));
        let open_pixel = self.pixel(places);
        let own = self.own_parts(places);
        let [outro_begin, outro_end] = closing::edges(places, self.closing.outro).map(safe);
        let [closing_begin, closing_end] = closing::edges(places, self.closing.whole).map(safe);
        let issue = self.issue;
        let preheader = safe(self.one_liner(&issue.preheader, places));
        let teaser = self.one_liner(&issue.teaser, places);
        let front = &issue.front;
        let title = self.placed(front.title.clone(), "title", marks);
        let teaser = (!teaser.is_empty()).then(|| safe(self.placed(teaser, "teaser", marks)));
        let dates = front.dates.map(|dates| dates.shown(self.language()));
        let dates = dates.map(|dates| self.placed(dates, "dates", marks));
        let mut names = Vec::new();
        for (number, author) in front.authors.iter().enumerate() {
            let key = format!("authors.{number}.name");
            names.push(self.placed(author.name.clone(), &key, marks));
        }
        let mut markup = Markup {
            issue,
            theme: self.theme,
            addresses: &self.addresses,
            images: self.images,
            only: &self.only,
            public_url: &self.site.url,
            places,
            marks,
            file: self.theme.templates().count(),
            annotate: self.options.annotate,
        };
        let intro = markup.parts(&issue.intro);
        let mut items = Vec::new();
        for item in &issue.items {
            items.push(items::given(&mut markup, item));
        }
        let outro = markup.parts(&issue.outro);
        let apart = notes::are_apart(issue);
        let mut kept = Vec::new();
        let note = |(index, note): (usize, &Vec<Block>)| {
            markup.written(|markup, out| {
                kept.extend(notes::written(markup, out, (index + 1, note), apart));
            })
        };
        let notes: Vec<Value> = issue.notes.iter().enumerate().map(note).collect();
        let mut href = |link| markup.written(|markup, out| markup.href(out, link));
        let share_url = issue.share.map(&mut href);
        let mut authors = Vec::new();
        for (name, link) in names.iter().zip(&issue.author_links) {
            let url = link.map(&mut href);
            authors.push(context! { name, url });
        }
        self.notes = kept;
        context! {
            language => self.language(),
            direction => direction(self.language()),
            publication => context! { name => &self.site.name, url => safe(escape_html(&self.site.url)) },
            list => (self.mail == Mail::Issue).then(|| {
                let (name, title) = &issue.list;
                context! { name, title }
            }),
            title, preheader, teaser, dates,
            words => self.words(),
            is_issue => self.mail == Mail::Issue,
            intro, items, outro, notes, share_url, authors, own,
            outro_begin, outro_end, closing_begin, closing_end,
            unsubscribe_url, preferences_url, view_url, postal_address, open_pixel,
        }
    }

    /// Words of the front matter, with the place of their key where places are asked for. It stands behind them, so
    /// that a theme that cuts their first letter off gets a letter.
    fn placed(&self, mut words: String, key: &str, marks: &mut Marks) -> String {
        if self.options.annotate {
            let origin = Origin {
                file: self.theme.templates().count(),
                offset: self.issue.front.place(key),
                length: 0,
            };
            marks.put(&mut words, origin);
        }
        words
    }

    /// The issue's own language, or the publication's.
    pub(super) fn language(&self) -> &str {
        let own = self.issue.front.lang.as_deref();
        own.unwrap_or(&self.site.language)
    }

    fn words(&self) -> Value {
        let words = &self.theme.look.words;
        context! {
            view => &words.view, unsubscribe => &words.unsubscribe,
            preferences => &words.preferences, share => &words.share,
            authors => &words.authors, code => &words.code, until => &words.until,
            offer => &words.offer, notes => &words.notes, why => &words.why,
        }
    }

    fn pixel(&mut self, places: &mut Placeholders) -> Value {
        if !(self.options.opens && self.mail == Mail::Issue) {
            return safe(String::new());
        }
        let src = places.put(Filling::Slot(Slot::Open), Wanted::Once, "`open_pixel`");
        self.pixel.clone_from(&src);
        safe(format!(
            "<img src=\"{src}\" width=\"1\" height=\"1\" alt=\"\" \
             style=\"display:block;width:1px;height:1px;border:0\">"
        ))
    }

    pub(super) fn split(
        &mut self,
        places: &Placeholders,
        page: &str,
        part: &str,
    ) -> Option<Template> {
        match places.split(page) {
            Ok(template) => Some(template),
            Err(problems) => {
                self.miscounted(places, page, part, problems);
                None
            }
        }
    }

    fn text(&mut self, mut places: Placeholders) -> Option<Template> {
        let issue = self.issue;
        if let Some(layout) = &issue.layout {
            return self.own_text(layout, places);
        }
        let words = &self.theme.look.words;
        let mut text = self.writer(&mut places);
        text.headline(None, &[Inline::Text(issue.front.title.clone())], '=');
        let dates = issue.front.dates.map(|dates| dates.shown(self.language()));
        let teaser = text.inlines(&issue.teaser);
        for line in [dates.unwrap_or_default(), teaser] {
            if !line.is_empty() {
                text.say(&line);
            }
        }
        if self.mail == Mail::Issue {
            let view = text
                .places
                .put(Filling::Slot(Slot::View), Wanted::Once, "view");
            text.say(&format!("{}: {view}", words.view));
        }
        text.section(&issue.intro);
        for item in &issue.items {
            items::listed(&mut text, item);
        }
        if !issue.outro.is_empty() {
            if let Some(whom) = self.closing.outro {
                text.edge(Segment::Only(whom));
            }
            text.say("* * *");
            text.section(&issue.outro);
            if self.closing.outro.is_some() {
                text.edge(Segment::End);
            }
        }
        notes::listed(&mut text, self.notes_for);
        if let Some(link) = issue.share {
            let address = text.address(link);
            text.say(&format!("{}: {address}", words.share));
        }
        let authors = issue.front.authors.iter().zip(&issue.author_links);
        let mut lines = Vec::new();
        for (author, link) in authors {
            let address = link.map(|link| text.address(link));
            let address = address
                .map(|address| format!(", {address}"))
                .unwrap_or_default();
            lines.push(format!("{} {}{address}", words.authors, author.name));
        }
        text.lines(&lines);
        self.footer(&mut text);
        let page = std::mem::take(&mut text.out);
        self.split(&places, &page, "text")
    }

    /// The writer of a text part.
    pub(super) fn writer<'t>(&'t self, places: &'t mut Placeholders) -> Text<'t> {
        Text {
            issue: self.issue,
            theme: self.theme,
            words: &self.theme.look.words,
            addresses: &self.addresses,
            places,
            only: &self.only,
            out: String::new(),
            waiting: Vec::new(),
            listed: 0,
            for_some: 0,
        }
    }

    pub(super) fn footer(&self, text: &mut Text<'_>) {
        text.lines(&["-".repeat(WIDTH)]);
        let words = &self.theme.look.words;
        if self.mail.can_be_left() {
            text.say(&format!("{} {}.", words.why, self.site.name));
            let slot = Filling::Slot(Slot::Unsubscribe);
            let url = text.places.put(slot, Wanted::Once, "unsubscribe");
            text.say(&format!("{}: {url}", words.unsubscribe));
            let slot = Filling::Slot(Slot::Preferences);
            let url = text.places.put(slot, Wanted::Once, "preferences");
            text.say(&format!("{}: {url}", words.preferences));
        }
        let address = one_line(&self.site.postal_address);
        text.say(&format!("{}, {address}", self.site.name));
    }

    /// Texts and slots of the front matter, for the theme to print as often as it likes.
    fn one_liner(&self, words: &[Inline], places: &mut Placeholders) -> String {
        let context = match self.plain {
            true => Context::Text,
            false => Context::Html,
        };
        let each = words.iter().map(|inline| match inline {
            Inline::Text(text) => escape_html(text),
            Inline::Merge(merge) => {
                let slot = Filling::Slot(merge.slot(context));
                places.put(slot, Wanted::Any, merge.written())
            }
            _ => String::new(),
        });
        each.collect()
    }
}

/// Texts and slots of the front matter as they are shown in `context`.
fn head(words: &[Inline], context: Context) -> Template {
    let segments = words.iter().filter_map(|inline| match inline {
        Inline::Text(text) => Some(Segment::Literal(text.clone())),
        Inline::Merge(merge) => Some(Segment::Slot(merge.slot(context))),
        _ => None,
    });
    Template(segments.collect())
}

fn personal(piece: &Piece) -> Segment {
    match piece {
        Piece::Literal(text) => Segment::Literal(text.clone()),
        Piece::Merge(merge) => Segment::Slot(merge.slot(Context::Url)),
    }
}

/// An address of several lines on one.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(", ")
}
