//! The archive: what of an issue anyone may read, and what its author says of that.
//!
//! Promises: a page is rendered from the frozen revision of a run that sends to everybody it is for (or of a
//! back issue), never from the author's folder, so it says what the mail says; corrected links are the only
//! difference. What is hidden, unlisted or held back is in no list.
//!
//! An issue appears when its run sends to all, not when it has finished: the first readers pass its address
//! on at once, and a run that is spread over days would have no page until then. It does not appear while a
//! run tries its first stages, and vanishes when the run is cancelled: that is how a mistake is stopped.

use anyhow::{Context, ensure};
use jiff::civil::Date;

use crate::app::App;
use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::compile::archived::{Doors, Frame};
use crate::compile::escape::escape_html;
use crate::compile::impersonal::Ways;
use crate::compile::theme::words;
use crate::compile::{Compiled, Image};
use crate::config::archive::Visibility;
use crate::feed::{self, Entry, Feed, head, plain};
use crate::id::RunId;
use crate::issue::block::impersonal_text;
use crate::publication::Built;
use crate::run;
use crate::schedule;
use crate::store::archive::{NewPage, Page};

mod beside;
pub mod export;
pub mod import;
mod relink;
mod unpack;

/// Issues in a feed.
const FEED: i64 = 20;
/// Media types of images that the public site shows.
const SHOWN: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// Pixels of width from which on a picture is shown large where the page is shared; a narrower one is an icon.
const LARGE: u32 = 400;
/// Where a mail's own links lead in a feed: the paragraphs around them are left out.
const NOWHERE: &str = "about:invalid";

/// What is frozen of an issue for its page.
#[derive(Clone, Debug)]
pub struct Wish {
    title: String,
    teaser: String,
    language: String,
    picture: Option<String>,
    visibility: Visibility,
    embargo: Option<Timestamp>,
    key: String,
}

/// What an issue sent to `list`, or to a `part` of it, says of its page, or else the configuration.
pub fn wish(app: &App, built: &Built, list: &str, part: bool) -> Wish {
    let (issue, config) = (&built.issue, &app.config);
    let usual = match list == config.publication.list && !part {
        true => config.archive.issues,
        // What is for paying readers is not published by sending it to them.
        false => Visibility::Never,
    };
    let language = issue.front.lang.as_ref();
    Wish {
        title: built.compiled.title.clone(),
        teaser: impersonal_text(&issue.teaser),
        language: language.unwrap_or(&config.publication.language).clone(),
        picture: picture(&built.compiled),
        visibility: issue.front.archive.unwrap_or(usual),
        embargo: issue.front.embargo.map(|day| beginning(app, day)),
        key: key(&app.chance),
    }
}

impl Wish {
    /// The same for the store.
    pub fn page(&self) -> NewPage<'_> {
        NewPage {
            title: &self.title,
            teaser: &self.teaser,
            language: &self.language,
            picture: self.picture.as_deref(),
            visibility: self.visibility,
            embargo: self.embargo,
            key: &self.key,
        }
    }
}

/// The first image that everyone's page shows and that is no icon, or else the first: one that is for some readers only
/// does not stand there.
fn picture(compiled: &Compiled) -> Option<String> {
    let nowhere = Doors {
        view: NOWHERE,
        subscribe: NOWHERE,
    };
    let page = compiled.for_anyone(&[], nowhere);
    let shown = compiled.images.iter();
    let shown = shown.filter(|image| SHOWN.contains(&image.media_type.as_str()));
    // They are kept by their names.
    let mut shown: Vec<(usize, &Image)> = shown
        .filter_map(|image| Some((page.find(&image.hash)?, image)))
        .collect();
    shown.sort_by_key(|(at, _)| *at);
    let large = shown.iter().find(|(_, image)| image.width >= LARGE);
    let first = large.or(shown.first());
    first.map(|(_, image)| image.hash.clone())
}

/// 126 random bits.
fn key(chance: &Chance) -> String {
    format!("{:016x}{:016x}", chance.key(), chance.key())
}

/// When `day` begins where the publication is.
fn beginning(app: &App, day: Date) -> Timestamp {
    let zone = &app.config.publication.timezone;
    let start = schedule::in_zone(day.at(0, 0, 0, 0), zone);
    start.expect("the configuration's zone was looked up when it was read")
}

/// Whether anyone who knows its address may read the page at `now`.
pub fn is_open(page: &Page, now: Timestamp) -> bool {
    page.visibility != Visibility::Never.name() && page.embargo_until <= now.0
}

/// The page's only address.
pub fn address(app: &App, page: &Page) -> String {
    let name = match page.visibility == Visibility::Unlisted.name() {
        true => &page.key,
        false => &page.slug,
    };
    app.public_url(&format!("/archive/{name}"))
}

/// When what the page shows last changed.
pub fn updated(page: &Page) -> Timestamp {
    let times = [
        page.sent_at,
        page.repaired_at,
        page.changed_at,
        page.embargo_until,
    ];
    Timestamp(times.into_iter().max().unwrap_or_default())
}

/// The page under `name`, the issue's slug or its key, with whether `name` is what its address says.
pub async fn find(app: &App, name: &str) -> anyhow::Result<Option<(Page, bool)>> {
    let page = app.store.page_of(name).await?;
    let page = page.filter(|page| is_open(page, app.clock.now()));
    Ok(page.and_then(|page| {
        let unlisted = page.visibility == Visibility::Unlisted.name();
        let by_key = name == page.key;
        // By its slug an unlisted page would be guessed.
        (by_key || !unlisted).then_some((page, by_key == unlisted))
    }))
}

/// The public page to which the old address `path` leads.
pub async fn moved(app: &App, path: &str) -> anyhow::Result<Option<String>> {
    let Some(slug) = app.store.moved_page(path).await? else {
        return Ok(None);
    };
    let page = app.store.page_of(&slug).await?;
    let open = |page: &Page| {
        page.visibility == Visibility::Public.name() && page.embargo_until <= app.clock.now().0
    };
    Ok(page.filter(open).map(|page| address(app, &page)))
}

/// The whole page as HTML.
pub async fn html(app: &App, page: &Page) -> anyhow::Result<String> {
    let publication = &app.config.publication;
    let (url, home) = (address(app, page), app.public_url("/"));
    let archive = app.public_url("/archive");
    let (subscribe, issues) = words::ways(&page.language);
    let (compiled, corrected) = content(app, page).await?;
    let large = |hash: &str| {
        let mut images = compiled.images.iter();
        images.any(|image| image.hash == hash && image.width >= LARGE)
    };
    let image = page.picture.as_deref();
    let image = image.map(|hash| (app.public_url(&format!("/i/{hash}")), large(hash)));
    let head = head::Head {
        url: &url,
        title: &page.title,
        teaser: &page.teaser,
        publication: &publication.name,
        image: image.as_ref().map(|(url, large)| (url.as_str(), *large)),
        published: Timestamp(page.published_at),
        listed: page.visibility == Visibility::Public.name(),
        feed: &app.public_url("/feed.xml"),
        json_feed: &app.public_url("/feed.json"),
        home: &home,
        archive: &archive,
        words: (subscribe, issues),
    };
    let [page_url, home_url, archive_url] = [&url, &home, &archive].map(|url| escape_html(url));
    let ways = Ways {
        page: &page_url,
        home: &home_url,
        archive: &archive_url,
        subscribe: &escape_html(subscribe),
        issues: &escape_html(issues),
    };
    let frame = Frame {
        head: &head.tags(),
        bar: &head.bar(),
    };
    Ok(frame.around(&compiled.page_for_anyone(&corrected, &ways)))
}

async fn content(app: &App, page: &Page) -> anyhow::Result<(Compiled, Vec<(u32, String)>)> {
    let content = app.store.revision(&page.revision).await?;
    let content = content.context("the revision is gone")?;
    let compiled = serde_json::from_str(&content).context("the frozen revision")?;
    let mut corrected = Vec::new();
    if page.repair > 0 {
        let repairs = app.store.repairs_of(&page.revision).await?;
        let rows = repairs.into_iter();
        corrected.extend(rows.filter_map(|row| Some((u32::try_from(row.link).ok()?, row.new_url))));
    }
    Ok((compiled, corrected))
}

/// What a feed of the archive is made of, and a mark that changes when anything of it does.
pub async fn feed_pages(app: &App) -> anyhow::Result<(Vec<Page>, Timestamp, String)> {
    let shelf = app.store.public_pages(app.clock.now(), 0, FEED).await?;
    let newest = shelf.pages.iter().map(|page| updated(page).0).max();
    let newest = newest.unwrap_or_default().max(shelf.changed_at);
    let mut mark = format!("{newest}");
    for page in &shelf.pages {
        mark.push_str(&format!(" {} {} {}", page.slug, page.revision, page.repair));
    }
    Ok((shelf.pages, Timestamp(newest), mark))
}

/// The feed of `pages`, each with its whole text.
pub async fn feed(app: &App, pages: &[Page], updated_at: Timestamp) -> anyhow::Result<Feed> {
    let publication = &app.config.publication;
    let mut entries = Vec::with_capacity(pages.len());
    for page in pages {
        let (compiled, corrected) = content(app, page).await?;
        let doors = Doors {
            view: NOWHERE,
            subscribe: NOWHERE,
        };
        let html = compiled.for_anyone(&corrected, doors);
        let image = page.picture.as_ref();
        entries.push(Entry {
            url: address(app, page),
            title: page.title.clone(),
            summary: page.teaser.clone(),
            content: plain::fragment(&html, &page.title, NOWHERE),
            image: image.map(|hash| app.public_url(&format!("/i/{hash}"))),
            language: page.language.clone(),
            published: Timestamp(page.published_at),
            updated: updated(page),
        });
    }
    Ok(Feed {
        title: publication.name.clone(),
        description: publication.description.clone(),
        language: publication.language.clone(),
        author: app.config.from.name.clone(),
        home: app.public_url("/archive"),
        updated: updated_at,
        entries,
    })
}

/// Every public page for the site map, the front page first.
pub async fn site_map(app: &App) -> anyhow::Result<(String, Timestamp)> {
    let now = app.clock.now();
    let shelf = app.store.public_pages(now, 0, feed::SITE_MAP).await?;
    let newest = shelf.pages.iter().map(|page| updated(page).0).max();
    let newest = Timestamp(newest.unwrap_or_default().max(shelf.changed_at));
    let own = ["/", "/archive"].map(|path| (app.public_url(path), newest));
    let mut pages = own.to_vec();
    let each = shelf.pages.iter();
    pages.extend(each.map(|page| (address(app, page), updated(page))));
    Ok((feed::site_map(&pages), newest))
}

/// Says who may read an issue from now on. One that was sent before there was an archive gets its page; one
/// that is not sent yet has none.
pub async fn set(
    app: &App,
    issue: &str,
    visibility: Option<Visibility>,
    embargo: Option<Timestamp>,
) -> anyhow::Result<Option<Page>> {
    let slug = issue.trim_end_matches('/');
    let slug = slug.rsplit('/').next().unwrap_or(slug);
    let now = app.clock.now();
    if app.store.page_of(slug).await?.is_none() && visibility != Some(Visibility::Never) {
        add(app, slug).await?;
    }
    ensure!(
        app.store.set_page(slug, visibility, embargo, now).await?,
        "the archive has no issue `{slug}`; `pressrun archive list` shows those there are"
    );
    Ok(app.store.page_of(slug).await?)
}

/// Gives the newest run of an issue the page that it was begun without.
async fn add(app: &App, slug: &str) -> anyhow::Result<()> {
    let run = run::find(app, slug).await?;
    let Some(revision) = &run.revision else {
        return Ok(());
    };
    let content = app.store.revision(revision).await?;
    let content = content.context("the revision is gone")?;
    let compiled: Compiled = serde_json::from_str(&content).context("the frozen revision")?;
    let wish = Wish {
        title: run.title.clone(),
        teaser: compiled.impersonal_preheader(),
        language: app.config.publication.language.clone(),
        picture: picture(&compiled),
        visibility: Visibility::Never,
        embargo: None,
        key: key(&app.chance),
    };
    let now = app.clock.now();
    app.store
        .add_page(slug, RunId(run.id), &wish.page(), now)
        .await?;
    Ok(())
}

/// The instant at which `day` begins, for an embargo until then.
pub fn embargo(app: &App, day: &str) -> anyhow::Result<Timestamp> {
    if day == "none" {
        return Ok(Timestamp(0));
    }
    let day: Date = day
        .parse()
        .with_context(|| format!("`{day}` is no day; write one such as `2026-06-07`, or `none`"))?;
    Ok(beginning(app, day))
}
