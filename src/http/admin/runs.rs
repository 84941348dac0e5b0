//! One run: its numbers, why it stands where it stands, and what may be done about it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::http::admin::live::{self, Progress};
use crate::http::admin::refused::{Refused, answered};
use crate::http::admin::run_view::RunView;
use crate::http::admin::wording::grouped;
use crate::http::admin::{Admin, counting, issues};
use crate::http::fault::Fault;
use crate::http::form::{self, Tail};
use crate::id::RunId;
use crate::numbers;
use crate::run::{commands, trial, why};
use crate::schedule::{self, on_the_wall};
use crate::status::RunStatus;
use crate::store::runs::Run;

/// The buttons that make sense.
#[derive(Serialize)]
struct Actions {
    any: bool,
    pause: bool,
    resume: bool,
    /// Its hour has passed by more than a person says without thinking.
    late: bool,
    cancel: bool,
    r#move: bool,
}

impl Actions {
    fn of(app: &App, run: &Run) -> Actions {
        let (status, open) = (run.status, run.is_open());
        Actions {
            any: open,
            pause: matches!(
                status,
                RunStatus::Scheduled | RunStatus::Freezing | RunStatus::Sending
            ),
            resume: status.is_stopped(),
            late: commands::is_late(app, run),
            cancel: open,
            r#move: open && run.waits() && run.local_at.is_none() && status != RunStatus::Freezing,
        }
    }
}

/// What is to be told of the hour that the run was moved to just now, `said` as it was: the clocks skip it, or strike
/// it twice. Nothing, if the run does not start then.
fn note(said: &str, run: &Run, zone: &str, now: Timestamp) -> Option<String> {
    let start = schedule::start(&said.replacen('T', " ", 1), zone, now).ok()?;
    start.note.filter(|_| run.start_at == Some(start.at.0))
}

/// `GET /runs/{id}`: one run with every state and link.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let run = find(&admin, &id).await?;
    show(&admin, &run, query.as_deref(), None).await
}

/// The page of a run; with a form of it that was `refused`, if one was.
pub(super) async fn show(
    admin: &Admin,
    run: &Run,
    query: Option<&str>,
    refused: Option<Refused>,
) -> Result<Response, Fault> {
    let line = numbers::line(&admin.app, run.id()).await?;
    let mut line = line.ok_or(Fault::NotFound)?;
    line.run.test = trial::numbers_of(&admin.app, run.id()).await?;
    let why = why::why(&admin.app, run).await?;
    let now = admin.app.clock.now();
    let progress = Progress::whole(&line.run, now).of(why.cause);
    let counting = !counting::is_whole(admin).await?;
    let zone = &admin.app.config.publication.timezone;
    let hour = form::asked(query, "hour").unwrap_or_default();
    let start = on_the_wall(Timestamp(run.start_at.unwrap_or(now.0)), zone);
    let values = context! {
        run => Serde(RunView::new(&line, admin.zone())),
        actions => Serde(Actions::of(&admin.app, run)),
        live => live::fragment(admin, &line, &progress, Some(&why), counting).ok_or(Fault::Broken)?,
        step => progress.step(),
        over => run.status.is_over(),
        waiting => grouped(line.run.counts.queued),
        start => start.strftime("%Y-%m-%dT%H:%M").to_string(),
        hour => note(&hour, run, zone, now),
        zone => zone.as_str(),
        in_folder => issues::find(&admin.app, &run.slug).await.is_ok(),
        refused => Serde(refused.as_ref()),
    };
    let page = admin.page("/issues", "run.html", values);
    Ok(match refused {
        Some(_) => answered(page),
        None => page,
    })
}

/// The run of an issue that a path names.
pub(super) async fn find(admin: &Admin, id: &str) -> Result<Run, Fault> {
    let id = id.parse().map_err(|_| Fault::NotFound)?;
    let run = admin.app.store.run(RunId(id)).await?;
    run.filter(|run| run.kind == "issue").ok_or(Fault::NotFound)
}
