//! Lists: who stands on each, how it grew, what is asked of its readers, and what was imported into it.
//!
//! Promises: a large list is not counted for a page; what stands in the author's folder is shown as it stands now.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use crate::clock::Timestamp;
use crate::http::admin::imports::{self, Line};
use crate::http::admin::refused::{Refused, answered};
use crate::http::admin::wording::minute;
use crate::http::admin::{Admin, growth};
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::id::ListId;
use crate::import::field_table;
use crate::lists;
use crate::slug::Slug;
use crate::store::access::Session;
use crate::subscriber::{List, clean_name};

const HOME: &str = "/lists";
/// Imports named on a list's page; the others are found from there.
const IMPORTS: u32 = 3;
/// Leavers whose reasons are shown: the newest.
const LEAVERS: u32 = 20;

/// A declared field.
#[derive(Serialize)]
struct Field {
    name: String,
    /// Such as "a text".
    takes: String,
    required: bool,
    /// Whether the subscribe form asks for it.
    asked: bool,
}

/// `GET /lists`: each list with its readers by status and its week.
pub(super) async fn page(State(admin): State<Arc<Admin>>) -> Result<Response, Fault> {
    show(&admin, None).await
}

async fn show(admin: &Admin, refused: Option<Refused>) -> Result<Response, Fault> {
    let mut shown = Vec::new();
    for list in admin.app.store.lists().await? {
        let report = growth::counted(admin, &list).await?;
        shown.push(context! {
            id => list.id.0,
            title => list.title.clone(),
            slug => list.slug.clone(),
            offered => is_offered(admin, &list),
            grown => report.as_ref().map(|report| growth::view(report, admin.zone())),
        });
    }
    let is_refused = refused.is_some();
    let values = context! { lists => shown, refused => Serde(refused) };
    let page = admin.page(HOME, "lists.html", values);
    Ok(if is_refused { answered(page) } else { page })
}

/// `GET /lists/{id}`.
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
) -> Result<Response, Fault> {
    let list = find(&admin, &id).await?;
    let report = growth::counted(&admin, &list).await?;
    let (fields, fault) = match fields(&admin) {
        Ok(fields) => (fields, None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    let store = &admin.app.store;
    let brought = store
        .imports_before(i64::MAX, Some(list.id), IMPORTS)
        .await?;
    let brought: Vec<Line> = brought
        .iter()
        .map(|import| imports::line(import, admin.zone()))
        .collect();
    let leavers = store.leavers(list.id, LEAVERS).await?;
    let leavers: Vec<Value> = leavers
        .into_iter()
        .map(|one| {
            context! {
                id => one.id.to_string(),
                address => one.address,
                at => minute(Timestamp(one.at), admin.zone()),
                reason => one.reason,
                words => one.words,
            }
        })
        .collect();
    let values = context! {
        list => context! {
            id => list.id.0,
            title => list.title.clone(),
            slug => list.slug.clone(),
            label => list.label.clone(),
            created => minute(list.created_at, admin.zone()),
            offered => is_offered(&admin, &list),
            own => list.slug == admin.app.config.publication.list,
        },
        leavers,
        more_leavers => store.leavers_are_many().await?,
        grown => report.as_ref().map(|report| growth::view(report, admin.zone())),
        fields => Serde(fields),
        fault,
        imports => Serde(brought),
    };
    Ok(admin.page(HOME, "list.html", values))
}

/// `POST /lists`: adds one.
pub(super) async fn add(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    form: Form,
) -> Result<Response, Fault> {
    let refuse = |field: &str, why: &anyhow::Error| Some(Refused::of("add", field, why, &form));
    let slug = match Slug::parse(form.get("slug").trim()) {
        Ok(slug) => slug,
        Err(why) => return show(&admin, refuse("slug", &why.into())).await,
    };
    let about = format!("list {slug}");
    match lists::add(&admin.app, &slug, form.get("title")).await {
        Ok(true) => {
            admin.note(&session, "added a list", &about).await?;
            Ok(Redirect::to(HOME).into_response())
        }
        Ok(false) => {
            let why = anyhow::anyhow!("a list is named `{slug}` already; nothing was changed");
            show(&admin, refuse("slug", &why)).await
        }
        Err(why) if clean_name(form.get("title")).is_empty() => {
            show(&admin, refuse("title", &why)).await
        }
        Err(why) => Ok(admin.refused(HOME, HOME, &why)),
    }
}

async fn find(admin: &Admin, id: &str) -> Result<List, Fault> {
    let id = id.parse().map_err(|_| Fault::NotFound)?;
    let found = admin.app.store.list_by_id(ListId(id)).await?;
    found.ok_or(Fault::NotFound)
}

fn is_offered(admin: &Admin, list: &List) -> bool {
    admin
        .app
        .config
        .offered_lists()
        .any(|slug| slug == list.slug)
}

fn fields(admin: &Admin) -> anyhow::Result<Vec<Field>> {
    let table = field_table(&admin.app)?;
    let asked = &admin.app.config.signup.fields;
    let each = table.names().filter_map(|name| {
        Some(Field {
            name: name.to_owned(),
            takes: table.kind(name)?.to_string().replace('`', ""),
            required: table.required(name),
            asked: asked.iter().any(|asked| asked == name),
        })
    });
    Ok(each.collect())
}
