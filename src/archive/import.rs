//! Back issues: what came out elsewhere, for the archive alone.
//!
//! Promises: nobody is mailed; an issue keeps its day; its old address leads to its page; a second import of
//! the same changes nothing. Whatever HTML an export holds becomes typed blocks first, and a page is made of
//! those: nothing of it is taken as it stands.

use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;

use crate::app::App;
use crate::archive::export::{self, Origin, Post};
use crate::archive::wish;
use crate::clock::Timestamp;
use crate::config::archive::Visibility;
use crate::diagnostic::Diagnostic;
use crate::draft::{self, quoted};
use crate::publication::shelf::slug_of;
use crate::publication::{self, Built, Rejected};
use crate::run;
use crate::store::archive::{BackIssue, Shelved};

/// What came of an import.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub origin: Origin,
    pub shelved: Vec<Done>,
    /// Left out on purpose: drafts, pages and the like.
    pub skipped: Vec<Told>,
    /// What could not be read.
    pub rejected: Vec<Told>,
}

/// One back issue.
#[derive(Clone, Debug, Serialize)]
pub struct Done {
    pub name: String,
    pub slug: String,
    pub title: String,
    pub fate: Shelved,
    /// Whether only some readers had it, so that it is in no archive until its author says so.
    pub hidden: bool,
    pub moved_from: Option<String>,
}

/// A file with the reason why it is not there.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    pub name: String,
    pub why: String,
}

impl Report {
    /// How many met this fate.
    pub fn count(&self, fate: Shelved) -> usize {
        self.shelved.iter().filter(|done| done.fate == fate).count()
    }
}

/// Puts the issues of the export at `path` on the shelf; a `dry` run changes nothing.
pub async fn import(
    app: &App,
    path: &Path,
    origin: Option<Origin>,
    dry: bool,
) -> anyhow::Result<Report> {
    let mut export = export::read(path, origin)?;
    let origin = export.origin;
    let skipped = std::mem::take(&mut export.skipped);
    let told = |(name, why)| Told { name, why };
    let mut report = Report {
        origin,
        shelved: Vec::new(),
        skipped: skipped.into_iter().map(told).collect(),
        rejected: Vec::new(),
    };
    let mut taken = HashSet::new();
    for post in std::mem::take(&mut export.posts) {
        let source = format!("{}:{}", name_of(origin), post.name);
        let known = app.store.back_issue(&source).await?;
        let slug = match &known {
            Some((slug, _)) => slug.clone(),
            None => free_slug(app, &post, &taken).await?,
        };
        match compile(app, &post, &slug) {
            Err(why) => report.rejected.push(Told {
                name: post.name,
                why,
            }),
            Ok((built, date)) => {
                taken.insert(slug.clone());
                let back = Back {
                    post: &post,
                    slug: &slug,
                    source: &source,
                    date,
                };
                let fate = shelve(app, back, &built, known, dry).await?;
                report.shelved.push(Done {
                    title: built.compiled.title,
                    fate,
                    hidden: post.restricted,
                    moved_from: post.path,
                    name: post.name,
                    slug,
                });
            }
        }
    }
    Ok(report)
}

fn name_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Substack => "substack",
        Origin::Ghost => "ghost",
        Origin::Folder => "folder",
    }
}

/// The slug that the post asks for, with a number behind it where another issue has it.
async fn free_slug(app: &App, post: &Post, taken: &HashSet<String>) -> anyhow::Result<String> {
    let wanted = post.slug.as_deref().or(post.title.as_deref());
    let wanted = slug_of(wanted.unwrap_or_default());
    let mut slug = wanted.clone();
    let mut number = 1;
    while taken.contains(&slug) || app.store.is_taken(&slug).await? {
        number += 1;
        slug = format!("{wanted}-{number}");
    }
    Ok(slug)
}

/// From the tool's words to an issue like any other, with the time at which it came out; why not, in a
/// sentence, else.
fn compile(app: &App, post: &Post, slug: &str) -> Result<(Built, Timestamp), String> {
    let draft = draft::read(&post.octets)?;
    let day = draft.dates.and_then(|(from, _)| export::midnight(from));
    let date = post.date.or(day);
    let date = date.ok_or("it says nowhere when it came out; give it a `date`")?;
    let title = post
        .title
        .as_ref()
        .or(draft.is_titled().then_some(&draft.title));
    let title = title.ok_or("it has no title")?;
    let mut text = format!("---\ntitle: {}\n", quoted(&one_line(title)));
    if let Some(teaser) = post.teaser.as_ref().or(draft.teaser.as_ref()) {
        text.push_str(&format!("teaser: {}\n", quoted(&one_line(teaser))));
    }
    text.push_str("---\n");
    text.push_str(&encrypted(&draft.finished_text()));
    let (config, emails) = (&app.config, app.emails());
    if text
        .lines()
        .any(|line| line.trim_start().starts_with(":::mjml"))
    {
        return Err(
            "it holds components in MJML, which come from an author's own folder alone".into(),
        );
    }
    let built = publication::compile_text(config, &emails, slug, text.into_bytes(), &post.folder);
    let built = built.map_err(|error| match error.downcast::<Rejected>() {
        Ok(rejected) => {
            let error = rejected.found.iter().find(|found| found.is_error());
            // Its place is one in the text that was made of the post.
            error.map_or_else(String::new, unplaced)
        }
        Err(error) => format!("{error:#}"),
    })?;
    Ok((built, date))
}

fn unplaced(found: &Diagnostic) -> String {
    let help = found.help.as_ref();
    let help = help.map_or_else(String::new, |help| format!("; {help}"));
    format!("{}{help} ({})", found.message, found.code)
}

/// Images of the web by https: nearly all that were ever served without are served so today.
fn encrypted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, part) in text.split("![").enumerate() {
        if number == 0 {
            out.push_str(part);
            continue;
        }
        out.push_str("![");
        out.push_str(&part.replacen("](http://", "](https://", 1));
    }
    out
}

/// A slot that the text of a title happens to look like is none.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").replace("[[", "[ [")
}

/// A back issue on its way to the shelf.
struct Back<'a> {
    post: &'a Post,
    slug: &'a str,
    source: &'a str,
    date: Timestamp,
}

async fn shelve(
    app: &App,
    back: Back<'_>,
    built: &Built,
    known: Option<(String, String)>,
    dry: bool,
) -> anyhow::Result<Shelved> {
    if dry {
        let hash = built.compiled.hash();
        return Ok(match known {
            None => Shelved::New,
            Some((_, revision)) if revision == hash => Shelved::Known,
            Some(_) => Shelved::Changed,
        });
    }
    let revision = run::keep_revision(app, &built.compiled, &built.images).await?;
    let mut page = wish(app, built, &app.config.publication.list, false);
    if back.post.restricted {
        page.visibility = Visibility::Never;
    }
    let now = app.clock.now();
    let issue = BackIssue {
        slug: back.slug,
        page: page.page(),
        revision: &revision,
        dated_at: back.date,
        source: back.source,
        moved_from: back.post.path.as_deref(),
    };
    Ok(app.store.shelve(&issue, now).await?)
}
