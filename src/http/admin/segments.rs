//! Segments: the named ones, and a form that tries an expression on a list.
//!
//! Promises: nothing is counted before it is asked for; addresses are masked, and a faulty expression is told by
//! column as on the command line.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::address::masked;
use crate::http::admin::Admin;
use crate::http::admin::wording::parameter;
use crate::http::fault::Fault;
use crate::id::SubscriberId;
use crate::lists;
use crate::publication::Publication;
use crate::run::whom;

/// Readers shown of a segment.
const SHOWN: u32 = 10;

#[derive(Serialize)]
struct Named {
    name: String,
    means: String,
}

/// What an expression came to.
#[derive(Serialize)]
struct Found {
    readers: i64,
    of: i64,
    /// In it, too, and nothing is sent to them.
    suppressed: i64,
    shown: Vec<String>,
    notes: Vec<String>,
}

/// `GET /segments`: those of `segments.toml`, and who is in `q` on `list`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let query = query.as_deref();
    let (asked, list) = (parameter(query, "q"), parameter(query, "list"));
    let app = &admin.app;
    let list = match list.is_empty() {
        true => app.config.publication.list.clone(),
        false => list,
    };
    let (mut found, mut wrong) = (None, None);
    if !asked.trim().is_empty() {
        match search(&admin, &asked, &list).await {
            Ok(result) => found = Some(result),
            Err(error) => wrong = Some(format!("{error:#}")),
        }
    }
    let named = match named(&admin) {
        Ok(named) => named,
        Err(error) => {
            wrong.get_or_insert_with(|| format!("{error:#}"));
            Vec::new()
        }
    };
    let lists = app.store.lists().await?;
    let lists: Vec<(String, String)> = lists.into_iter().map(|l| (l.slug, l.title)).collect();
    let values = context! {
        asked, list, lists, wrong,
        named => Serde(named),
        found => found.map(Serde),
    };
    Ok(admin.page("/segments", "segments.html", values))
}

fn named(admin: &Admin) -> anyhow::Result<Vec<Named>> {
    let publication = Publication::load(&admin.app.emails())?;
    let segments = publication.segments(&admin.app.config.publication.timezone)?;
    let each = segments.names().map(|name| Named {
        name: name.to_owned(),
        means: segments.written(name).unwrap_or_default().to_owned(),
    });
    Ok(each.collect())
}

async fn search(admin: &Admin, asked: &str, list: &str) -> anyhow::Result<Found> {
    let app = &admin.app;
    let list = lists::named(app, list).await?;
    let sieve = whom::read(app, "the segment", asked)?;
    let (now, filter) = (app.clock.now(), &sieve.filter);
    let notes = whom::check(app, &sieve, Some(list.id), now).await?;
    let found = app.store.in_segment(list.id, filter, true, now).await?;
    let of = app.store.confirmed_on(list.id, true).await?;
    let first = SubscriberId(0);
    let members = app
        .store
        .members(list.id, filter, now, first, SHOWN)
        .await?;
    Ok(Found {
        readers: found.readers,
        of: of.readers,
        suppressed: found.suppressed,
        shown: members.iter().map(|one| masked(&one.address)).collect(),
        notes,
    })
}
