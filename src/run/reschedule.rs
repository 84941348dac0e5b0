//! Another hour for a run that has not begun.
//!
//! Promises: the content stays as it was frozen, and the readers are those of the new hour; what has begun is
//! never moved. A hold because of the old hour is over with it; a pause stays.

use anyhow::{Context, ensure};

use crate::app::App;
use crate::run;
use crate::schedule::Start;
use crate::status::RunStatus;
use crate::store::runs::Run;

/// Moves the start of `run`, and gives the run as it stands then: one that is paused, or was held on its way, stays so.
pub async fn reschedule(app: &App, run: &Run, start: &Start) -> anyhow::Result<Run> {
    let slug = &run.slug;
    ensure!(
        run.waits()
            && matches!(
                run.status,
                RunStatus::Scheduled | RunStatus::Paused | RunStatus::Held
            ),
        "run {} of `{slug}` is {} and waits for no hour; there is nothing to move",
        run.id,
        run.status
    );
    ensure!(
        run.local_at.is_none(),
        "each reader gets `{slug}` by their own clock; take the run back with `pressrun cancel {}` and send it anew",
        run::name(app, run).await?
    );
    let now = app.clock.now();
    let moved = app
        .store
        .move_start(run.id(), run.start_at, (start.at, Some(&start.zone)), now);
    ensure!(
        moved.await?,
        "run {} of `{slug}` began or changed meanwhile; look with `pressrun status`",
        run.id
    );
    app.store.run(run.id()).await?.context("the run is gone")
}
