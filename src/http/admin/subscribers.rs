//! Subscribers: found by address, name, list, status, tag or segment, one reader's whole story, and what may be done for her.
//!
//! Promises: pages go by key and count nothing; a reader leaves, is suppressed or erased and gets her data by the
//! services that the command line calls; the audit names her by her key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::erasure;
use crate::http::admin::Admin;
use crate::http::admin::reader_view::{self, ReaderView, SLIP};
use crate::http::admin::refused::{Refused, answered};
use crate::http::admin::wording::{grouped, minute, parameter};
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::http::prove;
use crate::id::{DeliveryKey, SubscriberId, SubscriptionKey};
use crate::import::export;
use crate::lists;
use crate::run::whom;
use crate::stats::growth::SUPPRESSED;
use crate::store::StoreError;
use crate::store::access::Session;
use crate::store::readers::{Found, Kept, Sought};
use crate::subscriber::{Status, clean_name};

/// Readers of a page.
const PAGE: u32 = 50;
/// Readers who are looked at for one page where no index leads to them, at most: one of names or of parts of addresses
/// would be paid for by each import.
const LOOKED_AT: u32 = 100_000;
/// How many of them at once: a few milliseconds.
const STEP: u32 = 5_000;
/// The same where each is asked whether she is in a segment.
const SEGMENT_STEP: u32 = 1_000;
/// How long a page looks on: the whole of it is to take 50 ms.
const PATIENCE: Duration = Duration::from_millis(20);
const UNSURE: &str = "nothing was changed: tick the box that says you are sure";

#[derive(Serialize)]
struct Row {
    /// As text: a script would round it.
    id: String,
    address: String,
    name: String,
    since: String,
    /// Titles of her lists, each with her status there.
    standings: Vec<(String, Status)>,
}

/// Whom a query asks for.
struct Asked {
    q: String,
    list: String,
    status: String,
    tag: String,
    segment: String,
    after: String,
    /// By a part of an address or a name.
    by_part: bool,
}

impl Asked {
    fn read(query: Option<&str>) -> Asked {
        let of = |name| clean_name(&parameter(query, name));
        let q = of("q");
        Asked {
            by_part: parameter(query, "by") == "name" && !q.is_empty(),
            q,
            list: of("list"),
            status: of("status"),
            tag: of("tag"),
            segment: of("segment"),
            after: parameter(query, "after"),
        }
    }

    fn sifts(&self) -> bool {
        [&self.list, &self.status, &self.tag]
            .iter()
            .any(|said| !said.is_empty())
    }
}

/// Readers of one page, and behind what the next begins.
#[derive(Default)]
struct Page {
    found: Vec<Found>,
    more: Option<String>,
    /// Readers were looked at one by one.
    by_part: bool,
    looked_at: u32,
}

/// `GET /subscribers`: those whose address begins with `q`, or who are sought otherwise.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let query = query.as_deref();
    let asked = Asked::read(query);
    let (page, wrong) = match look(&admin, &asked).await {
        Ok(page) => (page, None),
        Err(broken) if broken.is::<StoreError>() => return Err(broken.into()),
        Err(wrong) => (Page::default(), Some(format!("{wrong:#}"))),
    };
    let store = &admin.app.store;
    let ids: Vec<i64> = page.found.iter().map(|found| found.id).collect();
    let mut standings: HashMap<i64, Vec<(String, Status)>> = HashMap::new();
    for (reader, list, status) in store.standings(&ids).await? {
        standings.entry(reader).or_default().push((list, status));
    }
    let rows = page.found.into_iter().map(|found| Row {
        standings: standings.remove(&found.id).unwrap_or_default(),
        id: found.id.to_string(),
        address: found.address,
        name: found.name,
        since: minute(Timestamp(found.created_at), admin.zone()),
    });
    let lists = store.lists().await?;
    let lists: Vec<(String, String)> = lists.into_iter().map(|l| (l.slug, l.title)).collect();
    let sifts = asked.sifts() || !asked.segment.is_empty();
    let values = context! {
        asked => asked.q,
        list => asked.list,
        status => asked.status,
        tag => asked.tag,
        segment => asked.segment,
        lists,
        statuses => Serde(Status::ALL.map(Status::name).into_iter().chain([SUPPRESSED]).collect::<Vec<_>>()),
        sifts,
        wrong,
        by_name => page.looked_at > 0,
        rows => Serde(rows.collect::<Vec<Row>>()),
        more => page.more,
        more_asked => !asked.after.is_empty(),
        looked_at => grouped(i64::from(page.looked_at)),
        done => parameter(query, "done") == "erased",
    };
    Ok(admin.page("/subscribers", "subscribers.html", values))
}

/// A look at readers in turn, step by step, as long as a page may take.
struct Looking {
    began: Instant,
    step: u32,
    looked_at: u32,
    /// Behind whom to look further.
    behind: Option<SubscriberId>,
}

impl Looking {
    fn new(step: u32, behind: SubscriberId) -> Looking {
        Looking {
            began: Instant::now(),
            step,
            looked_at: 0,
            behind: Some(behind),
        }
    }

    /// Behind whom the next step looks, and for how many at most, when so many were found; none when the page is full,
    /// nobody is left or the time is up.
    fn next(&mut self, found: usize) -> Option<(SubscriberId, u32)> {
        let limit = PAGE.saturating_sub(u32::try_from(found).unwrap_or(u32::MAX));
        let late = self.looked_at > 0 && self.began.elapsed() >= PATIENCE;
        if limit == 0 || late || self.looked_at >= LOOKED_AT {
            return None;
        }
        let behind = self.behind?;
        self.looked_at += self.step;
        Some((behind, limit))
    }
}

/// An address's beginning is found by its index, a key by its own; for all else readers are looked at in turn, so many
/// a page.
async fn look(admin: &Admin, asked: &Asked) -> anyhow::Result<Page> {
    let store = &admin.app.store;
    let behind = SubscriberId(asked.after.parse().unwrap_or(0));
    let known = asked.status == SUPPRESSED || Status::parse(&asked.status).is_some();
    if !asked.status.is_empty() && !known {
        bail!("no status is called `{}`", asked.status);
    }
    if !asked.segment.is_empty() {
        let slug = match asked.list.as_str() {
            "" => &admin.app.config.publication.list,
            list => list,
        };
        let list = lists::named(&admin.app, slug).await?;
        let sieve = whom::read(&admin.app, "the segment", &asked.segment)?;
        let now = admin.app.clock.now();
        let mut looking = Looking::new(SEGMENT_STEP, behind);
        let mut ids: Vec<i64> = Vec::new();
        while let Some((behind, limit)) = looking.next(ids.len()) {
            let bounds = (SEGMENT_STEP, limit);
            let among = store.members_among(list.id, &sieve.filter, now, behind, bounds);
            let (members, last) = among.await?;
            ids.extend(members.iter().map(|member| member.id));
            looking.behind = last;
        }
        return Ok(Page {
            found: store.found_readers(&ids).await?,
            more: looking.behind.map(|last| last.to_string()),
            by_part: false,
            looked_at: looking.looked_at,
        });
    }
    let mut page = Page {
        by_part: asked.by_part || asked.sifts(),
        ..Page::default()
    };
    if !page.by_part {
        if let (Ok(key), true) = (asked.q.parse(), asked.after.is_empty()) {
            page.found = store.found_readers(&[key]).await?;
        }
        if page.found.is_empty() {
            let start = asked.q.to_ascii_lowercase();
            page.found = store.readers_from(&start, &asked.after, PAGE).await?;
        }
        if page.found.len() == PAGE as usize {
            page.more = page.found.last().map(|last| last.canonical.clone());
        }
        // No address begins so: it may be a part of one, or of a name.
        page.by_part = page.found.is_empty() && asked.after.is_empty() && !asked.q.is_empty();
    }
    if page.by_part {
        let list = match asked.list.as_str() {
            "" => None,
            list => Some(lists::named(&admin.app, list).await?.id),
        };
        let sought = Sought {
            part: &asked.q,
            list,
            status: &asked.status,
            tag: &asked.tag,
        };
        let mut looking = Looking::new(STEP, behind);
        while let Some((behind, limit)) = looking.next(page.found.len()) {
            let (found, last) = store.readers_sought(&sought, behind, STEP, limit).await?;
            page.found.extend(found);
            looking.behind = last;
        }
        page.more = looking.behind.map(|last| last.to_string());
        page.looked_at = looking.looked_at;
    }
    Ok(page)
}

/// `GET /subscribers/{id}`: her whole story.
pub(super) async fn reader(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    show(&admin, kept, query.as_deref(), None).await
}

/// Her page; with a form of it that was `refused`, if one was.
pub(super) async fn show(
    admin: &Admin,
    kept: Kept,
    query: Option<&str>,
    refused: Option<Refused>,
) -> Result<Response, Fault> {
    let before = parameter(query, "before");
    let older = !before.is_empty();
    let before = reader_view::key(&before).unwrap_or(DeliveryKey {
        run: crate::id::RunId(i64::MAX),
        seq: u32::MAX,
    });
    let view = ReaderView::read(&admin.app, kept, before).await?;
    let done = parameter(query, "done");
    let is_refused = refused.is_some();
    let values = context! { reader => Serde(view), older, done, refused => Serde(refused) };
    let page = admin.page("/subscribers", "subscriber.html", values);
    Ok(if is_refused { answered(page) } else { page })
}

/// `POST /subscribers/{id}/unsubscribe`: off one list, as the reader's own link does it.
pub(super) async fn unsubscribe(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    if form.get("sure") != "yes" {
        return Ok(unsure(&admin, &kept));
    }
    let (key, list) = held(&admin, &kept, &form).await?;
    admin.app.store.take_off(key, admin.app.clock.now()).await?;
    let what = format!("took a reader off `{list}`");
    admin.note(&session, &what, &about(&kept)).await?;
    Ok(back(&kept))
}

/// `POST /subscribers/{id}/return`: the author's own slip is taken back.
pub(super) async fn put_back(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    let (key, list) = held(&admin, &kept, &form).await?;
    let now = admin.app.clock.now();
    let done = admin.app.store.put_back(key, now.before(SLIP), now).await?;
    if !done {
        let why = anyhow!(
            "she was not put back: she left herself meanwhile, is suppressed, or was taken off more than a day ago"
        );
        return Ok(admin.refused("/subscribers", &path(&kept), &why));
    }
    let what = format!("put a reader back on `{list}`, whom the author had taken off");
    admin.note(&session, &what, &about(&kept)).await?;
    Ok(back(&kept))
}

/// The subscription of hers that a form names, with its list.
async fn held(admin: &Admin, kept: &Kept, form: &Form) -> Result<(SubscriptionKey, String), Fault> {
    let joined = admin.app.store.joined(SubscriberId(kept.id)).await?;
    let wanted: Result<i64, _> = form.get("subscription").parse();
    let wanted = wanted.map_err(|_| Fault::Form)?;
    let held = joined.into_iter().find(|held| held.key == wanted);
    let held = held.ok_or(Fault::Form)?;
    Ok((SubscriptionKey(held.key), held.list))
}

/// `POST /subscribers/{id}/suppress`: no list mails her any more.
pub(super) async fn suppress(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    if form.get("sure") != "yes" {
        let refused = Refused::of("suppress", "sure", &anyhow!(UNSURE), &form);
        return show(&admin, kept, None, Some(refused)).await;
    }
    let reason = match clean_name(form.get("reason")) {
        empty if empty.is_empty() => "by hand".to_owned(),
        reason => reason,
    };
    let keyring = &admin.app.keyring;
    let hash = keyring.address_hash(&kept.canonical);
    let mailbox = keyring.mailbox_hash(&kept.canonical);
    let now = admin.app.clock.now();
    admin
        .app
        .store
        .suppress_mailbox(&kept.canonical, (&hash, &mailbox), &reason, now)
        .await?;
    admin
        .note(&session, "suppressed a reader", &about(&kept))
        .await?;
    Ok(back(&kept))
}

/// `POST /subscribers/{id}/data`: all that is kept of her, for her who asked otherwise than by the link in her mailbox.
pub(super) async fn data(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    if form.get("sure") != "yes" {
        return Ok(unsure(&admin, &kept));
    }
    let text = export::reader(&admin.app, SubscriberId(kept.id)).await?;
    let text = text.ok_or(Fault::NotFound)?;
    admin
        .note(&session, "gave a reader's data out", &about(&kept))
        .await?;
    Ok(prove::file(text))
}

/// `POST /subscribers/{id}/erase`: what is left of her is a keyed hash.
pub(super) async fn erase(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    if form.get("sure") != "yes" {
        return Ok(unsure(&admin, &kept));
    }
    admin
        .note(&session, "erased a reader", &about(&kept))
        .await?;
    erasure::erase(&admin.app, SubscriberId(kept.id)).await?;
    Ok(Redirect::to("/subscribers?done=erased").into_response())
}

pub(super) async fn find(admin: &Admin, id: &str) -> Result<Kept, Fault> {
    let id = id.parse().map_err(|_| Fault::NotFound)?;
    let found = admin.app.store.kept_reader(SubscriberId(id)).await?;
    found.ok_or(Fault::NotFound)
}

pub(super) fn path(kept: &Kept) -> String {
    format!("/subscribers/{}", kept.id)
}

fn back(kept: &Kept) -> Response {
    Redirect::to(&path(kept)).into_response()
}

fn unsure(admin: &Admin, kept: &Kept) -> Response {
    admin.refused("/subscribers", &path(kept), &anyhow!(UNSURE))
}

pub(super) fn about(kept: &Kept) -> String {
    format!("reader {}", kept.id)
}
