//! The archive for readers and for machines: index, issues, feeds, site map.
//!
//! Promises: an issue's page is of no origin and runs, sends and loads nothing but pictures; what is hidden,
//! held back or guessed is not there, like any other address that leads nowhere.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, LOCATION};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use minijinja::{Value, context};

use crate::app::App;
use crate::archive;
use crate::clock::Timestamp;
use crate::compile::theme::tokens::{Colours, Tokens, hex};
use crate::config::archive::Visibility;
use crate::feed;
use crate::http::Public;
use crate::http::conditional::answer;
use crate::http::fault::Fault;
use crate::http::form::{Tail, asked};
use crate::http::shield::mail_policy;
use crate::issue::dates;
use crate::lock::lock;
use crate::publication::themes;
use crate::schedule;
use crate::store::archive::Page;

/// Issues on a page of the index.
const PER_PAGE: i64 = 20;
/// An old address longer than this was none.
const PATH_LIMIT: usize = 500;
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "application/xml; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The site's colours and the token of the theme that each takes.
const COLOURS: [(&str, &str); 7] = [
    ("--paper", "background"),
    ("--sheet", "card"),
    ("--ink", "text"),
    ("--soft", "muted"),
    ("--line", "line"),
    ("--accent", "accent"),
    ("--accent-ink", "button_text"),
];

/// What the handlers keep: the theme's colours, and both feeds as they were made last.
#[derive(Debug, Default)]
pub struct Shelf {
    style: String,
    feeds: Mutex<Option<Arc<Feeds>>>,
}

#[derive(Debug)]
struct Feeds {
    mark: String,
    atom: Bytes,
    json: Bytes,
}

impl Shelf {
    /// With the colours of the publication's theme; the site's own where it has none that can be read.
    pub fn new(app: &App) -> Shelf {
        let tokens = themes::tokens(&app.emails(), &app.config.publication.theme);
        let tokens = tokens.unwrap_or_else(|error| {
            tracing::warn!(
                error = format!("{error:#}"),
                "the archive goes without the theme's colours"
            );
            Tokens::default()
        });
        Shelf {
            style: style(&tokens),
            feeds: Mutex::default(),
        }
    }

    fn made(&self, mark: &str) -> Option<Arc<Feeds>> {
        let feeds = lock(&self.feeds);
        feeds.clone().filter(|feeds| feeds.mark == mark)
    }

    fn keep(&self, made: Arc<Feeds>) {
        *lock(&self.feeds) = Some(made);
    }
}

/// The theme's colours as those of the site's stylesheet.
fn style(tokens: &Tokens) -> String {
    let rules = |colours: &Colours| -> String {
        let rule = |(variable, token): &(&str, &str)| {
            let colour = colours.get(token)?;
            Some(format!("{variable}:{};", hex(colour.value)))
        };
        COLOURS.iter().filter_map(rule).collect()
    };
    format!(
        ":root{{{}}}\n@media (prefers-color-scheme: dark){{:root{{{}}}}}\n",
        rules(&tokens.light),
        rules(&tokens.dark)
    )
}

/// `GET /theme.css`.
pub async fn theme(State(site): State<Arc<Public>>, headers: HeaderMap) -> Response {
    let style = site.archive.style.clone();
    answer(&headers, "text/css; charset=utf-8", Timestamp(0), style)
}

/// `GET /archive`: the issues, newest first.
pub async fn index(
    State(site): State<Arc<Public>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let asked = asked(query.as_deref(), "page");
    let number = asked.as_deref().map_or(Ok(1), str::parse::<i64>);
    let number = number.ok().filter(|number| (1..=100_000).contains(number));
    let number = number.ok_or(Fault::NotFound)?;
    let app = &site.app;
    let skip = (number - 1) * PER_PAGE;
    let shelf = app
        .store
        .public_pages(app.clock.now(), skip, PER_PAGE)
        .await?;
    if shelf.pages.is_empty() && number > 1 {
        return Err(Fault::NotFound);
    }
    let pages = shelf.pages.iter().map(|page| shown(app, page));
    let page = site.pages.text(
        "archive.html",
        context! {
            issues => pages.collect::<Vec<_>>(),
            number,
            last => (shelf.total + PER_PAGE - 1) / PER_PAGE,
        },
    );
    let page = page.ok_or(Fault::Broken)?;
    let newest = shelf.pages.iter().map(archive::updated).max();
    let newest = newest
        .unwrap_or(Timestamp(0))
        .max(Timestamp(shelf.changed_at));
    Ok(listed(answer(&headers, HTML, newest, page)))
}

fn shown(app: &App, page: &Page) -> Value {
    let published = Timestamp(page.published_at);
    let zone = &app.config.publication.timezone;
    let day = schedule::on_the_wall(published, zone).date();
    context! {
        slug => page.slug.as_str(),
        title => page.title.as_str(),
        teaser => page.teaser.as_str(),
        language => page.language.as_str(),
        date => dates::shown(day, &app.config.publication.language),
        day => day.to_string(),
    }
}

/// `GET /archive/{slug}`: one issue.
pub async fn issue(
    State(site): State<Arc<Public>>,
    headers: HeaderMap,
    Tail(name): Tail,
) -> Result<Response, Fault> {
    let app = &site.app;
    let found = archive::find(app, &name).await?;
    let (page, own) = found.ok_or(Fault::NotFound)?;
    if !own {
        return moved_to(&archive::address(app, &page));
    }
    let html = archive::html(app, &page).await?;
    let mut response = answer(&headers, HTML, archive::updated(&page), html);
    let policy = mail_policy(&app.config.publication.url).ok_or(Fault::Broken)?;
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    Ok(match page.visibility == Visibility::Public.name() {
        true => listed(response),
        false => response,
    })
}

/// `GET /feed.xml`.
pub async fn atom(State(site): State<Arc<Public>>, headers: HeaderMap) -> Result<Response, Fault> {
    let (feeds, updated) = feeds(&site).await?;
    let kind = "application/atom+xml; charset=utf-8";
    Ok(open(answer(&headers, kind, updated, feeds.atom.clone())))
}

/// `GET /feed.json`.
pub async fn json_feed(
    State(site): State<Arc<Public>>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let (feeds, updated) = feeds(&site).await?;
    let kind = "application/feed+json; charset=utf-8";
    Ok(open(answer(&headers, kind, updated, feeds.json.clone())))
}

/// Both feeds; made anew only when what stands in them changed, for each takes twenty mails to be read.
async fn feeds(site: &Public) -> Result<(Arc<Feeds>, Timestamp), Fault> {
    let app = &site.app;
    let (pages, updated, mark) = archive::feed_pages(app).await?;
    if let Some(made) = site.archive.made(&mark) {
        return Ok((made, updated));
    }
    let feed = archive::feed(app, &pages, updated).await?;
    let atom = feed::atom(&feed, &app.public_url("/feed.xml"));
    let json = feed::json(&feed, &app.public_url("/feed.json")).to_string();
    let made = Arc::new(Feeds {
        mark,
        atom: atom.into(),
        json: json.into(),
    });
    site.archive.keep(made.clone());
    Ok((made, updated))
}

/// `GET /sitemap.xml`.
pub async fn site_map(
    State(site): State<Arc<Public>>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let (map, updated) = archive::site_map(&site.app).await?;
    Ok(answer(&headers, XML, updated, map))
}

/// `GET /robots.txt`: the pages of single readers are nobody's to crawl.
pub async fn robots(State(site): State<Arc<Public>>, headers: HeaderMap) -> Response {
    let base = site.app.public_url("");
    let base = base.find("://").and_then(|at| {
        let rest = &base[at + 3..];
        rest.find('/').map(|path| &rest[path..])
    });
    let base = base.unwrap_or_default();
    let mut text = String::from("User-agent: *\n");
    for path in ["/c/", "/o/", "/u/", "/view/", "/confirm/", "/preferences/"] {
        text.push_str(&format!("Disallow: {base}{path}\n"));
    }
    let map = site.app.public_url("/sitemap.xml");
    text.push_str(&format!("Sitemap: {map}\n"));
    answer(&headers, TEXT, Timestamp(0), text)
}

/// Whatever no route knows: perhaps the old address of a back issue.
pub async fn elsewhere(
    State(site): State<Arc<Public>>,
    method: Method,
    uri: Uri,
) -> Result<Response, Fault> {
    let path = uri.path().trim_end_matches('/');
    if !matches!(method, Method::GET | Method::HEAD) || path.is_empty() || path.len() > PATH_LIMIT {
        return Err(Fault::NotFound);
    }
    let target = match archive::moved(&site.app, path).await? {
        Some(target) => Some(target),
        None => meant(&site.app, path).await?,
    };
    moved_to(&target.ok_or(Fault::NotFound)?)
}

/// What somebody means who knows other sites, or writes a slash too many.
async fn meant(app: &App, path: &str) -> Result<Option<String>, Fault> {
    Ok(match path {
        "/archive" => Some(app.public_url(path)),
        "/feed" | "/rss" | "/rss.xml" | "/atom.xml" => Some(app.public_url("/feed.xml")),
        _ => match path.strip_prefix("/archive/") {
            Some(name) => {
                let found = archive::find(app, name).await?;
                found.map(|(page, _)| archive::address(app, &page))
            }
            None => None,
        },
    })
}

fn moved_to(address: &str) -> Result<Response, Fault> {
    let target = HeaderValue::try_from(address).map_err(|_| Fault::NotFound)?;
    Ok((StatusCode::MOVED_PERMANENTLY, [(LOCATION, target)]).into_response())
}

/// A page that search engines may show.
pub(super) fn listed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ROBOTS, HeaderValue::from_static("all"));
    response
}

/// A feed may be read by scripts of other sites: it holds nothing that is not public.
fn open(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let any = HeaderValue::from_static("*");
    headers.insert(HeaderName::from_static("access-control-allow-origin"), any);
    let policy = HeaderValue::from_static("cross-origin");
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        policy,
    );
    response
}
