//! What is looked at in the hour of a run, whoever starts it.
//!
//! Promises: a run whose readers are not those that were planned starts by a person's word alone, also where it is begun
//! and followed beside the sending of another; none starts while another run of its issue copies its readers. Leaves the
//! hours themselves to `deliver`.

use anyhow::{anyhow, ensure};

use crate::app::App;
use crate::clock::Timestamp;
use crate::deliver::charge;
use crate::id::ListId;
use crate::run::{commands, doubles, ensure_in_time, guards, late_by, name};
use crate::schedule::span;
use crate::segment::Sieve;
use crate::status::RunStatus;
use crate::store::runs::{Audience, Run};
use crate::store::{Store, StoreError};
use crate::terminal::counted;

/// Why `run`, whose hour has come, is not to start any more, where that is too long ago.
pub(crate) fn too_late(app: &App, run: &Run) -> Option<String> {
    commands::is_late(app, run).then(|| {
        format!(
            "its start is {} late, more than `send.late_start` ({}): nobody was there to send",
            span(late_by(app, run)),
            span(app.config.send.late_start)
        )
    })
}

/// What has become of the readers of `run` since it was planned, where that is far from what the author saw then: too
/// many or too few of them, nobody at all, or some who have got the issue by another run.
pub(crate) async fn found_otherwise(
    store: &Store,
    run: &Run,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let (Some(list), true) = (run.list_id, run.audience == Audience::List.name()) else {
        return Ok(None);
    };
    let (list, monthly) = (ListId(list), run.monthly == 1);
    let sieve = run.segment.as_deref().map(Sieve::from_json);
    let readers = match sieve {
        None => store.confirmed_on(list, monthly).await?.readers,
        Some(Some(sieve)) => {
            store
                .in_segment(list, &sieve.filter, monthly, now)
                .await?
                .readers
        }
        Some(None) => 0,
    };
    if readers == 0 {
        return Ok(Some(match run.said_segment() {
            None => {
                "nobody on its list would get it; look at the list, then let it go on".to_owned()
            }
            Some(said) => {
                format!("nobody on its list is in `{said}`; look at the segment, then let it go on")
            }
        }));
    }
    let then = run.expected.filter(|&then| guards::is_far(readers, then));
    if let Some(then) = then {
        return Ok(Some(format!(
            "it would go to {}, and to {then} when it was planned; look at the list, then let it go on",
            counted(readers, "reader")
        )));
    }
    doubles::meanwhile(store, run, now).await
}

/// The other run of the issue of `run` whose readers a sender copies now, if there is one: who of both is to get it is
/// known after that.
pub(super) async fn copied_now(app: &App, run: &Run) -> anyhow::Result<Option<i64>> {
    for other in app.store.open_runs_of(&run.slug).await? {
        let copied = other.id != run.id && other.status == RunStatus::Freezing;
        if copied && charge::has_in_charge(app, &other).await? {
            return Ok(Some(other.id));
        }
    }
    Ok(None)
}

/// Starts `run` if its hour has come, or holds it, as whoever stays to send would.
pub(super) async fn start_or_hold(app: &App, run: &Run) -> anyhow::Result<()> {
    if !run.is_overdue(app.clock.sure()) || copied_now(app, run).await?.is_some() {
        return Ok(());
    }
    let now = app.clock.now();
    let why = match too_late(app, run) {
        Some(why) => Some(why),
        None => found_otherwise(&app.store, run, now).await?,
    };
    match why {
        None => app.store.start_run(run.id(), now).await?,
        Some(why) => {
            let (from, to) = (RunStatus::Scheduled, RunStatus::Held);
            app.store
                .set_run_status(run.id(), from, to, Some(&why), now)
                .await?
        }
    };
    Ok(())
}

/// Whether `run`, whose hour has passed, may begin by a person's word: not while another run of its issue copies its
/// readers. Where its readers are not those that were planned it is held for that, and begins by a yes to that alone.
pub(super) async fn may_begin(app: &App, run: &Run, yes: bool) -> anyhow::Result<bool> {
    if copied_now(app, run).await?.is_some() {
        return Ok(false);
    }
    let now = app.clock.now();
    let Some(why) = found_otherwise(&app.store, run, now).await? else {
        return Ok(true);
    };
    if yes && run.status == RunStatus::Held && run.reason.as_deref() == Some(why.as_str()) {
        return Ok(true);
    }
    app.store
        .set_run_status(run.id(), run.status, RunStatus::Held, Some(&why), now)
        .await?;
    Err(held(app, run, &why).await?)
}

/// What is said of a run that is held.
pub(super) async fn held(app: &App, run: &Run, why: &str) -> anyhow::Result<anyhow::Error> {
    Ok(anyhow!(
        "the run of `{}` is held: {why}; when that is settled, say `pressrun resume {} --yes`",
        run.slug,
        name(app, run).await?
    ))
}

/// Has a run that a person lets go on, and that waits for another, be late from now on: it is her word that it waits for.
pub(super) async fn named_now(app: &App, run: &Run) -> anyhow::Result<()> {
    let now = app.clock.now();
    app.store
        .move_start(run.id(), run.start_at, (now, None), now)
        .await?;
    Ok(())
}

/// Starts a run whose hour has passed, because a person says so; one that is too late only with `yes`.
pub(super) async fn start_late(app: &App, run: &Run, yes: bool) -> anyhow::Result<()> {
    if !run.is_overdue(app.clock.sure()) {
        return Ok(());
    }
    ensure_in_time(app, run, yes).await?;
    if !may_begin(app, run, yes).await? {
        return named_now(app, run).await;
    }
    app.store.start_run(run.id(), app.clock.now()).await?;
    let found = app.store.run(run.id()).await?;
    ensure!(
        found.is_none_or(|found| found.status != RunStatus::Scheduled),
        "the run of `{}` was not started: by the clock of the database its hour has not come",
        run.slug
    );
    Ok(())
}
