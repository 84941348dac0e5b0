//! One run: its numbers, why it stands where it stands, and what may be done about it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::http::admin::live::{self, Progress};
use crate::http::admin::run_view::RunView;
use crate::http::admin::wording::grouped;
use crate::http::admin::{Admin, issues};
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::id::RunId;
use crate::numbers;
use crate::run::{trial, why};
use crate::schedule::on_the_wall;
use crate::store::runs::Run;

/// The buttons that make sense.
#[derive(Serialize)]
struct Actions {
    any: bool,
    pause: bool,
    resume: bool,
    cancel: bool,
    r#move: bool,
}

impl Actions {
    fn of(run: &Run) -> Actions {
        let status = run.status.as_str();
        let open = !live::is_over(status);
        Actions {
            any: open,
            pause: matches!(status, "scheduled" | "freezing" | "sending"),
            resume: matches!(status, "paused" | "held"),
            cancel: open,
            r#move: open && run.waits() && run.local_at.is_none() && status != "freezing",
        }
    }
}

/// `GET /runs/{id}`: one run with every state and link.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
) -> Result<Response, Fault> {
    let run = find(&admin, &id).await?;
    let line = numbers::line(&admin.app, run.id()).await?;
    let mut line = line.ok_or(Fault::NotFound)?;
    line.run.test = trial::numbers_of(&admin.app, run.id()).await?;
    let why = why::why(&admin.app, &run).await?;
    let now = admin.app.clock.now();
    let progress = Progress::whole(&line.run, now).of(why.cause);
    let zone = &admin.app.config.publication.timezone;
    let start = on_the_wall(Timestamp(run.start_at.unwrap_or(now.0)), zone);
    let values = context! {
        run => Serde(RunView::new(&line, admin.zone())),
        actions => Serde(Actions::of(&run)),
        live => live::fragment(&admin, &line, &progress, Some(&why)).ok_or(Fault::Broken)?,
        step => progress.step(),
        over => live::is_over(&run.status),
        waiting => grouped(line.run.counts.queued),
        start => start.strftime("%Y-%m-%dT%H:%M").to_string(),
        zone => zone.as_str(),
        in_folder => issues::find(&admin.app, &run.slug).await.is_ok(),
    };
    Ok(admin.page("/issues", "run.html", values))
}

/// The run of an issue that a path names.
pub(super) async fn find(admin: &Admin, id: &str) -> Result<Run, Fault> {
    let id = id.parse().map_err(|_| Fault::NotFound)?;
    let run = admin.app.store.run(RunId(id)).await?;
    run.filter(|run| run.kind == "issue").ok_or(Fault::NotFound)
}
