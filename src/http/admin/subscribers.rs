//! Subscribers: found by address or name, one reader's whole story, and what may be done for her.
//!
//! Promises: pages go by key and count nothing; a reader leaves, is suppressed or erased by the services that the
//! command line calls; the audit names her by her key.

use std::sync::Arc;

use anyhow::anyhow;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::erasure;
use crate::http::admin::Admin;
use crate::http::admin::reader_view::{self, ReaderView};
use crate::http::admin::wording::{minute, parameter};
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::id::{DeliveryKey, SubscriberId, SubscriptionKey};
use crate::store::access::Session;
use crate::store::readers::{Found, Kept};
use crate::subscriber::clean_name;

/// Readers of a page.
const PAGE: u32 = 50;
/// Readers whose names are looked at for one page: there is no index of names, which an import would pay for.
const LOOKED_AT: u32 = 20_000;

#[derive(Serialize)]
struct Row {
    /// As text: a script would round it.
    id: String,
    address: String,
    name: String,
    since: String,
}

/// `GET /subscribers`: those whose address begins with `q`, or whose name holds it.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let query = query.as_deref();
    let asked = parameter(query, "q");
    let asked = clean_name(&asked);
    let after = parameter(query, "after");
    let store = &admin.app.store;
    let mut by_name = parameter(query, "by") == "name" && !asked.is_empty();
    let (mut found, mut more) = (Vec::new(), None);
    if !by_name {
        let start = asked.to_ascii_lowercase();
        found = store.readers_from(&start, &after, PAGE).await?;
        if found.len() == PAGE as usize {
            more = found.last().map(|last| last.canonical.clone());
        }
        // No address begins so: it may be a name.
        by_name = found.is_empty() && after.is_empty() && !asked.is_empty() && !asked.contains('@');
    }
    if by_name {
        let after = SubscriberId(after.parse().unwrap_or(0));
        let (named, last) = store.readers_named(&asked, after, LOOKED_AT, PAGE).await?;
        (found, more) = (named, last.map(|last| last.to_string()));
    }
    let rows: Vec<Row> = found.into_iter().map(row).collect();
    let values = context! {
        asked,
        by_name,
        rows => Serde(rows),
        more,
        looked_at => LOOKED_AT,
        done => parameter(query, "done") == "erased",
    };
    Ok(admin.page("/subscribers", "subscribers.html", values))
}

fn row(found: Found) -> Row {
    Row {
        id: found.id.to_string(),
        address: found.address,
        name: found.name,
        since: minute(Timestamp(found.created_at)),
    }
}

/// `GET /subscribers/{id}`: her whole story.
pub(super) async fn reader(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    let before = parameter(query.as_deref(), "before");
    let before = reader_view::key(&before).unwrap_or(DeliveryKey {
        run: crate::id::RunId(i64::MAX),
        seq: u32::MAX,
    });
    let view = ReaderView::read(&admin.app, kept, before).await?;
    let values = context! { reader => Serde(view) };
    Ok(admin.page("/subscribers", "subscriber.html", values))
}

/// `POST /subscribers/{id}/unsubscribe`: off one list, as the reader's own link does it.
pub(super) async fn unsubscribe(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    let joined = admin.app.store.joined(SubscriberId(kept.id)).await?;
    let wanted: Result<i64, _> = form.get("subscription").parse();
    let wanted = wanted.map_err(|_| Fault::Form)?;
    let held = joined.iter().find(|held| held.key == wanted);
    let held = held.ok_or(Fault::Form)?;
    let key = SubscriptionKey(held.key);
    admin.app.store.leave(key, admin.app.clock.now()).await?;
    let what = format!("took a reader off `{}`", held.list);
    admin.note(&session, &what, &about(&kept)).await?;
    Ok(back(&kept))
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
        return Ok(unsure(&admin, &kept));
    }
    let reason = match clean_name(form.get("reason")) {
        empty if empty.is_empty() => "by hand".to_owned(),
        reason => reason,
    };
    let hash = admin.app.keyring.address_hash(&kept.canonical);
    let now = admin.app.clock.now();
    admin
        .app
        .store
        .suppress(&kept.canonical, &hash, &reason, now)
        .await?;
    admin
        .note(&session, "suppressed a reader", &about(&kept))
        .await?;
    Ok(back(&kept))
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

async fn find(admin: &Admin, id: &str) -> Result<Kept, Fault> {
    let id = id.parse().map_err(|_| Fault::NotFound)?;
    let found = admin.app.store.kept_reader(SubscriberId(id)).await?;
    found.ok_or(Fault::NotFound)
}

fn path(kept: &Kept) -> String {
    format!("/subscribers/{}", kept.id)
}

fn back(kept: &Kept) -> Response {
    Redirect::to(&path(kept)).into_response()
}

fn unsure(admin: &Admin, kept: &Kept) -> Response {
    let why = anyhow!("nothing was changed: tick the box that says you are sure");
    admin.refused("/subscribers", &path(kept), &why)
}

fn about(kept: &Kept) -> String {
    format!("reader {}", kept.id)
}
