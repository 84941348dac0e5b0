//! Back issues: what came out elsewhere, for the archive alone.
//!
//! Promises: nobody is mailed; an issue keeps its day; its old address leads to its page, and so do the links to it in
//! the others, by that address or by the name of its file; the images that the export holds are our own from now on, and
//! the others are named; a second import of the same changes nothing. Whatever HTML an export holds becomes typed blocks
//! first, and a page is made of those: nothing of it is taken as it stands.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::app::App;
use crate::archive::beside::{Beside, Relinked};
use crate::archive::export::{self, Origin, Post};
use crate::archive::paged;
use crate::archive::relink::{self, Moves};
use crate::archive::wish;
use crate::clock::Timestamp;
use crate::config::archive::Visibility;
use crate::diagnostic::Diagnostic;
use crate::draft::{self, quoted};
use crate::publication::attic::Attic;
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
    /// Hosts from which links between its issues lead to our pages now.
    pub hosts: Vec<String>,
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
    /// Links to other back issues that lead to our pages now.
    pub links: u64,
    /// Links to files of the export that have no page here, as they stood there: their words stand without them.
    pub lost: Vec<String>,
    /// Images of the export that we keep ourselves.
    pub images: usize,
    /// Addresses of images that are not in the export and stay where they are.
    pub remote: Vec<String>,
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

/// Puts the issues of the export at `path` on the shelf; a `dry` run changes nothing. `host` is where it stood, should
/// its own links not say so.
pub async fn import(
    app: &App,
    path: &Path,
    origin: Option<Origin>,
    host: Option<&str>,
    dry: bool,
) -> anyhow::Result<Report> {
    let mut export = export::read(path, origin)?;
    let origin = export.origin;
    let skipped = std::mem::take(&mut export.skipped);
    let told = |(name, why)| Told { name, why };
    let report = Report {
        origin,
        shelved: Vec::new(),
        skipped: skipped.into_iter().map(told).collect(),
        rejected: Vec::new(),
        hosts: Vec::new(),
    };
    let (moves, public) = moves_of(app, &export.posts, host).await?;
    // Where exactly one is known, that is where all of them stood.
    let alone = moves.hosts.first().filter(|_| moves.hosts.len() == 1);
    for post in &mut export.posts {
        post.host = post.host.take().or_else(|| alone.cloned());
    }
    // As if each file had a page: which have one is known once they are compiled.
    let names = export.posts.iter().filter(|_| origin == Origin::Folder);
    let names = names.map(|post| (post.name.clone(), Some(app.public_url("/archive"))));
    let mut import = Import {
        app,
        attic: export.images.as_deref().map(Attic::of).unwrap_or_default(),
        beside: Beside(names.collect()),
        moves,
        report,
    };
    let posts = std::mem::take(&mut export.posts);
    for paged in import.find_pages(posts, &public).await? {
        import.put(paged, dry).await?;
    }
    let Import {
        mut report, moves, ..
    } = import;
    if report.shelved.iter().any(|done| done.links > 0) {
        report.hosts = moves.hosts.into_iter().collect();
    }
    Ok(report)
}

/// An export on its way to the shelf.
struct Import<'a> {
    app: &'a App,
    attic: Attic,
    /// Where issues stood elsewhere, and where the files of this export have their pages.
    moves: Moves,
    beside: Beside,
    report: Report,
}

/// A post that compiles, and the issue that it becomes.
struct Paged {
    post: Post,
    slug: String,
    source: String,
    /// Slug and revision, where an earlier import brought it.
    known: Option<(String, String)>,
}

impl Import<'_> {
    /// Compiles each post, and notes where its page is: which of them have one must be known before any of them leads to
    /// another. `public` says whether the archive shows the issues that are in it.
    async fn find_pages(
        &mut self,
        posts: Vec<Post>,
        public: &HashMap<String, bool>,
    ) -> anyhow::Result<Vec<Paged>> {
        let app = self.app;
        let mut pages = HashMap::new();
        let mut taken = HashSet::new();
        let mut paged = Vec::new();
        for post in posts {
            let source = format!("{}:{}", name_of(self.report.origin), post.name);
            let known = app.store.back_issue(&source).await?;
            let slug = match &known {
                Some((slug, _)) => slug.clone(),
                None => free_slug(app, &post, &taken).await?,
            };
            let texts = relinked(&post, &Moves::default(), &self.beside);
            match compile(app, &post, &texts.octets, &slug, &self.attic) {
                Err(why) => self.reject(post.name, why),
                Ok((built, _)) => {
                    taken.insert(slug.clone());
                    let usual = wish(app, &built, &app.config.publication.list, false).visibility;
                    let opened = public.get(&slug).is_none_or(|&public| public);
                    let public = usual == Visibility::Public && !post.restricted && opened;
                    let page = public.then(|| page_of(app, &slug));
                    if let Some(path) = &post.path {
                        match page.clone() {
                            Some(page) => self.moves.pages.insert(path.clone(), page),
                            None => self.moves.pages.remove(path),
                        };
                    }
                    pages.insert(post.name.clone(), page);
                    paged.push(Paged {
                        post,
                        slug,
                        source,
                        known,
                    });
                }
            }
        }
        for (name, page) in &mut self.beside.0 {
            *page = pages.remove(name).flatten();
        }
        Ok(paged)
    }

    /// Compiles a post with its links as they are to be, and puts it on the shelf; a `dry` run only says what would
    /// become of it.
    async fn put(&mut self, paged: Paged, dry: bool) -> anyhow::Result<()> {
        let Paged {
            post,
            slug,
            source,
            known,
        } = paged;
        let Texts {
            octets,
            links,
            lost,
        } = relinked(&post, &self.moves, &self.beside);
        let (built, date) = match compile(self.app, &post, &octets, &slug, &self.attic) {
            Ok(compiled) => compiled,
            Err(why) => {
                self.reject(post.name, why);
                return Ok(());
            }
        };
        let back = Back {
            post: &post,
            slug: &slug,
            source: &source,
            date,
        };
        let fate = shelve(self.app, back, &built, known, dry).await?;
        self.report.shelved.push(Done {
            remote: remote(&built),
            images: built.images.len(),
            links,
            lost,
            title: built.compiled.title,
            fate,
            hidden: post.restricted,
            moved_from: post.path,
            name: post.name,
            slug,
        });
        Ok(())
    }

    fn reject(&mut self, name: String, why: String) {
        self.report.rejected.push(Told { name, why });
    }
}

/// The text of a post with other links.
struct Texts<'a> {
    octets: Cow<'a, [u8]>,
    links: u64,
    lost: Vec<String>,
}

/// The post's text with its links to issues that stood elsewhere or stand beside it; as it is where it is no UTF-8.
fn relinked<'a>(post: &'a Post, moves: &Moves, beside: &Beside) -> Texts<'a> {
    let mut texts = Texts {
        octets: Cow::Borrowed(&post.octets),
        links: 0,
        lost: Vec::new(),
    };
    let Ok(text) = std::str::from_utf8(&post.octets) else {
        return texts;
    };
    let (text, links) = moves.relinked(text);
    let beside = match beside.0.is_empty() {
        true => Relinked {
            text,
            ..Relinked::default()
        },
        false => beside.relinked(&post.name, &text),
    };
    texts.links = links + beside.links;
    if texts.links > 0 || !beside.lost.is_empty() {
        texts.octets = Cow::Owned(beside.text.into_bytes());
    }
    texts.lost = beside.lost;
    texts
}

/// Where issues stood, as far as earlier imports say, with the hosts of this one; and whether those that the archive
/// has may be read by everyone.
async fn moves_of(
    app: &App,
    posts: &[Post],
    host: Option<&str>,
) -> anyhow::Result<(Moves, HashMap<String, bool>)> {
    let mut moves = Moves::default();
    let mut public = HashMap::new();
    for (path, slug, is_public) in app.store.moved_pages().await? {
        if is_public {
            moves.pages.insert(path, page_of(app, &slug));
        }
        public.insert(slug, is_public);
    }
    match host {
        Some(host) => {
            let address = format!("https://{host}");
            let found = relink::host_of(if host.contains("://") { host } else { &address });
            moves.hosts.extend(Some(found.with_context(|| {
                format!("`{host}` is no host; give one such as `name.substack.com`")
            })?));
        }
        None => moves.hosts.extend(declared(posts)),
    }
    if moves.hosts.is_empty() {
        let paths = posts.iter().filter_map(|post| post.path.as_deref());
        let paths: BTreeSet<&str> = paths.collect();
        let texts = posts
            .iter()
            .filter_map(|post| std::str::from_utf8(&post.octets).ok());
        moves.hosts.extend(relink::likely(texts, &paths));
    }
    Ok((moves, public))
}

/// The hosts that the posts name as their own; one that hardly any of them names is what such a post is about.
fn declared(posts: &[Post]) -> BTreeSet<String> {
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for host in posts.iter().filter_map(|post| post.host.as_deref()) {
        *named.entry(host).or_default() += 1;
    }
    let most = named.values().copied().max().unwrap_or_default();
    let own = named.into_iter().filter(|(_, count)| count * 2 > most);
    own.map(|(host, _)| host.to_owned()).collect()
}

fn page_of(app: &App, slug: &str) -> String {
    app.public_url(&format!("/archive/{slug}"))
}

/// The images of an issue that stay elsewhere.
fn remote(built: &Built) -> Vec<String> {
    let ours = |source: &str| built.images.iter().any(|(image, _)| image.source == source);
    let mut remote: Vec<String> = Vec::new();
    for picture in built.issue.pictures() {
        let source = &picture.source;
        if source.contains("://") && !ours(source) && !remote.contains(source) {
            remote.push(source.clone());
        }
    }
    remote
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
fn compile(
    app: &App,
    post: &Post,
    octets: &[u8],
    slug: &str,
    attic: &Attic,
) -> Result<(Built, Timestamp), String> {
    let draft = draft::read(octets)?;
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
    let stood = paged::base(post.host.as_deref(), post.path.as_deref());
    text.push_str(&encrypted(&paged::as_issue(
        &draft.finished_text(),
        stood.as_ref(),
    )));
    let (config, emails) = (&app.config, app.emails());
    if text
        .lines()
        .any(|line| line.trim_start().starts_with(":::mjml"))
    {
        return Err(
            "it holds components in MJML, which come from an author's own folder alone".into(),
        );
    }
    let built = publication::compile_text(
        config,
        &emails,
        slug,
        text.into_bytes(),
        &post.folder,
        attic,
    );
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
