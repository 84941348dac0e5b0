//! Imports: what each was, what was stated about consent, what it came to; and taking one back.
//!
//! Promises: an import is taken back as the command does it, after a page that says who goes, who stays and what
//! is left of it; the work goes on though the browser leaves. Leaves files that come by the browser to `uploads`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use tokio::time::timeout;

use crate::http::admin::wording::{grouped, minute, parameter};
use crate::http::admin::{Admin, rejected};
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::id::ListId;
use crate::import::Reject;
use crate::import::outcome::Outcome;
use crate::import::undo::{self, Left, Undone};
use crate::store::access::Session;
use crate::store::imports::Import;
use crate::subscriber::Status;

const HOME: &str = "/imports";
/// Imports of a page.
const PAGE: u32 = 30;
/// How long a page waits for work that goes on without it: less than a request may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);

/// An import in a line.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    id: i64,
    file: String,
    service: String,
    list: String,
    list_id: i64,
    began: String,
    consent: String,
    /// How new readers came.
    status: Status,
    /// What it came to: `+412 new`, `88 known`.
    came: Vec<String>,
    /// Where it stands, for a person.
    state: &'static str,
    finished: bool,
    undone: bool,
}

/// A row that was not taken, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    place: String,
    reason: String,
}

/// `GET /imports`: the newest, or those before `before`, into `list` or into any.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    admin.uploads.expire(admin.app.clock.now());
    let query = query.as_deref();
    let before: Option<i64> = parameter(query, "before").parse().ok();
    let list: Option<i64> = parameter(query, "list").parse().ok();
    let (store, of) = (&admin.app.store, list.map(ListId));
    let from = before.unwrap_or(i64::MAX);
    let found = store.imports_before(from, of, PAGE).await?;
    let more = match found.last() {
        Some(last) if found.len() == PAGE as usize => Some(last.id),
        _ => None,
    };
    let lines: Vec<Line> = found
        .iter()
        .map(|import| line(import, admin.zone()))
        .collect();
    let lists = store.lists().await?;
    let chosen = list.and_then(|id| lists.iter().find(|known| known.id.0 == id));
    let values = context! {
        imports => Serde(lines),
        more,
        newest => before.is_none(),
        begun => parameter(query, "begun") == "yes",
        list => chosen.map(|list| context! { id => list.id.0, title => list.title.clone() }),
        own => admin.app.config.publication.list.clone(),
        lists => lists.iter().map(|l| (l.slug.clone(), l.title.clone())).collect::<Vec<_>>(),
    };
    Ok(admin.page(HOME, "imports.html", values))
}

/// `GET /imports/{id}`.
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let import = find(&admin, &id).await?;
    let outcome = Outcome::read(&import.tally);
    let values = context! {
        import => Serde(line(&import, admin.zone())),
        finished => import.finished_at.map(|at| minute(at, admin.zone())),
        undone => import.undone_at.map(|at| minute(at, admin.zone())),
        removed => grouped(import.removed),
        stayed => import.stayed,
        rows => grouped(whole(outcome.rows)),
        pending => outcome.tally.pending,
        tables => outcome.tables.clone(),
        passed_over => outcome.passed_over.clone(),
        ignored => outcome.ignored_columns.clone(),
        notes => outcome.notes(),
        rejected => outcome.rejected,
        rejects => Serde(refused(&outcome.rejects)),
        files => rejected::tables(&admin.app, import.id),
        leaves => leaves(&Left::of(&outcome.tally, u64::try_from(import.put_back).unwrap_or(0))),
        put_back => grouped(import.put_back),
        puts_back => import.put_back > 0,
        going_on => parameter(query.as_deref(), "undo") == "begun" && import.undone_at.is_none(),
    };
    Ok(admin.page(HOME, "import.html", values))
}

/// `POST /imports/{id}/undo`: first who would go, with `sure` the undoing itself.
pub(super) async fn undo(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let import = find(&admin, &id).await?;
    let back = format!("{HOME}/{}", import.id);
    let sure = form.get("sure") == "yes";
    if sure {
        let about = format!("import {}", import.id);
        admin.note(&session, "took an import back", &about).await?;
    }
    let (app, number) = (admin.app.clone(), import.id);
    let work = tokio::spawn(async move { undo::run(&app, number, !sure).await });
    let stop = work.abort_handle();
    let done = match timeout(PATIENCE, work).await {
        Ok(done) => done.context("taking it back broke").and_then(|done| done),
        Err(_) if sure => return Ok(Redirect::to(&format!("{back}?undo=begun")).into_response()),
        Err(_) => {
            // Nobody waits for a count that no page shows.
            stop.abort();
            Err(anyhow!(
                "counting who would go takes longer than a page may; `pressrun subscribers undo-import \
                 {number} --dry-run` counts, and without `--dry-run` it takes the import back"
            ))
        }
    };
    let found = match done {
        Ok(found) => found,
        Err(why) => return Ok(admin.refused(HOME, &back, &why)),
    };
    if sure {
        return Ok(Redirect::to(&back).into_response());
    }
    let Undone {
        removed,
        stayed,
        put_back,
        left,
        ..
    } = found;
    let values = context! {
        import => Serde(line(&import, admin.zone())),
        removed => grouped(whole(removed)),
        stayed => grouped(whole(stayed)),
        stays => stayed > 0,
        put_back => grouped(whole(put_back)),
        puts_back => put_back > 0,
        leaves => leaves(&left),
    };
    Ok(admin.page(HOME, "import_undo.html", values))
}

pub(super) async fn find(admin: &Admin, id: &str) -> Result<Import, Fault> {
    let id = id.parse().map_err(|_| Fault::NotFound)?;
    admin.app.store.import(id).await?.ok_or(Fault::NotFound)
}

/// An import in a line.
pub(super) fn line(import: &Import, zone: &str) -> Line {
    let state = match (import.undone_at, import.finished_at) {
        (Some(_), _) => "taken back",
        (None, Some(_)) => "done",
        (None, None) => "under way, or broken off",
    };
    Line {
        id: import.id,
        file: import.file.clone(),
        service: import.service.clone(),
        list: import.list.clone(),
        list_id: import.list_id.0,
        began: minute(import.begun_at, zone),
        consent: import.consent.clone(),
        status: import.status,
        came: came(&Outcome::read(&import.tally)),
        state,
        finished: import.finished_at.is_some(),
        undone: import.undone_at.is_some(),
    }
}

/// What it came to, part by part, the new readers first.
pub(super) fn came(outcome: &Outcome) -> Vec<String> {
    let mut parts = vec![format!("+{} new", grouped(whole(outcome.tally.added)))];
    let others = outcome.parts().into_iter();
    parts.extend(others.map(|(count, what)| format!("{} {what}", grouped(whole(count)))));
    parts
}

/// The first rows that were not taken.
pub(super) fn refused(rejects: &[Reject]) -> Vec<Refused> {
    let each = rejects.iter().map(|reject| Refused {
        place: match &reject.table {
            Some(table) => format!("{table}, line {}", reject.line),
            None => format!("line {}", reject.line),
        },
        reason: reject.reason.clone(),
    });
    each.collect()
}

/// What an undo leaves as the import made it, in sentences.
fn leaves(left: &Left) -> Vec<String> {
    let kinds = [
        (
            left.updated,
            "readers who were here before keep the names and fields that it gave them.",
        ),
        (
            left.moved,
            "readers who were here before stay taken off or confirmed: something happened since.",
        ),
        (
            left.known,
            "readers who were here before keep the tags that it put on them, if any.",
        ),
        (
            left.barred,
            "addresses stay suppressed: no list mails them.",
        ),
    ];
    let kinds = kinds.iter().filter(|(number, _)| *number > 0);
    kinds
        .map(|(number, what)| format!("{} {what}", grouped(whole(*number))))
        .collect()
}

pub(super) fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
