//! Runs: begun, paused, resumed, cancelled.
//!
//! Promises: an issue goes to a list once unless someone says again; what a run sends is fixed when it
//! begins. Leaves the sending to `deliver`, and the proof of it to `verify`.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::app::App;
use crate::archive;
use crate::clock::Timestamp;
use crate::compile::{Compiled, Image};
use crate::config::Config;
use crate::config::uncertain::UncertainPolicy;
use crate::deliver::{self, charge};
use crate::delivery::{Counts, State};
use crate::id::{ListId, RunId};
use crate::lists;
use crate::message::{ListHeaders, RunHeaders};
use crate::publication::{self, Built};
use crate::schedule::span;
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::revisions::NewRevision;
use crate::store::runs::{Begun, NewRun, Plan, Run};
use crate::terminal::plain;

pub mod absent;
pub mod again;
pub mod commands;
pub mod doubles;
pub mod guards;
pub(crate) mod hour;
pub mod links;
pub mod plan;
pub mod replace;
pub mod reschedule;
pub mod sample;
pub mod seal;
pub mod test_copy;
pub mod trial;
pub mod verify;
pub mod whom;
pub mod why;

/// Blocks cancelled in one transaction: 2,048 deliveries, well under 50 ms.
pub(crate) const CANCEL_STEP: u32 = 8;
/// The meta key of this installation's random name.
const INSTANCE: &str = "instance";

/// A run asked for, and what the compiler said of its issue.
pub struct Started {
    pub begun: Begun,
    pub built: Built,
}

/// Compiles `issue` and begins its run to the list `list`; nothing begins when the issue has errors.
pub async fn begin(app: &App, issue: &str, list: &str, again: bool) -> anyhow::Result<Started> {
    let titles = lists::titles(&app.store).await?;
    let built = publication::compile_for(&app.config, &app.emails(), issue, &titles, Some(list))?;
    begin_planned(app, built, list, &Plan::default(), again).await
}

/// [`begin`] for an issue that was compiled before, and perhaps looked at since: in its time, at its pace,
/// to its part of the list, through the relays that the plan names.
pub async fn begin_planned(
    app: &App,
    built: Built,
    list: &str,
    plan: &Plan,
    again: bool,
) -> anyhow::Result<Started> {
    if let Err(name) = app.config.relays_of(&plan.relay) {
        bail!("there is no [relay.{name}]; `pressrun relay list` shows those there are");
    }
    let list = lists::find(app, list).await?;
    let revision = keep_revision(app, &built.compiled, &built.images).await?;
    let slug = built.compiled.slug.clone();
    let headers = headers(app, Some(list.id), &slug).await?;
    let new = NewRun {
        slug: &slug,
        title: &built.compiled.title,
        list: list.id,
        revision: &revision,
        headers: &serde_json::to_string(&headers)?,
        relay: &plan.relay,
        policy: app.config.send.uncertain,
        parts: &built.compiled.only,
    };
    let now = app.clock.now();
    let wish = archive::wish(app, &built, &list.slug, plan.segment.is_some());
    let begun = app
        .store
        .begin_run(&new, plan, Some(&wish.page()), again, now)
        .await?;
    Ok(Started { begun, built })
}

/// Keeps a compiled issue with its links and images, and gives its content address.
pub async fn keep_revision(
    app: &App,
    compiled: &Compiled,
    images: &[(Image, Vec<u8>)],
) -> anyhow::Result<String> {
    let now = app.clock.now();
    for (image, bytes) in images {
        app.store
            .ensure_image(&image.hash, &image.media_type, bytes, now)
            .await?;
    }
    let hash = compiled.hash();
    let links = compiled
        .links
        .iter()
        .map(|link| (link.url.as_str(), link.name.as_str()));
    let revision = NewRevision {
        hash: &hash,
        slug: &compiled.slug,
        content: &serde_json::to_string(compiled)?,
        links: links.collect(),
    };
    app.store.ensure_revision(&revision, now).await?;
    Ok(hash)
}

/// The header of mails for readers of `list`, or for people who have joined none.
pub async fn headers(app: &App, list: Option<ListId>, about: &str) -> anyhow::Result<RunHeaders> {
    let config = &app.config;
    let list = match list {
        None => None,
        Some(id) => app.store.list_by_id(id).await?.map(|list| ListHeaders {
            title: list.title,
            label: list.label,
            domain: config.from.address.domain().to_owned(),
        }),
    };
    Ok(headers_of(config, list, about, instance(app).await?))
}

/// The header that the configuration gives for `list`, in the installation named `instance`.
pub fn headers_of(
    config: &Config,
    list: Option<ListHeaders>,
    about: &str,
    instance: String,
) -> RunHeaders {
    let domain = config.from.address.domain();
    let bounces = config.send.bounce_domain.as_deref().unwrap_or(domain);
    RunHeaders {
        from_name: config.from.name.clone(),
        from_address: config.from.address.clone(),
        reply_to: config.from.reply_to.clone(),
        list,
        about: about.to_owned(),
        bounce_domain: bounces.to_owned(),
        mailto: config.inbound.mailto,
        public_url: config.publication.url.trim_end_matches('/').to_owned(),
        instance,
    }
}

async fn instance(app: &App) -> anyhow::Result<String> {
    if let Some(name) = app.store.meta(INSTANCE).await? {
        return Ok(name);
    }
    let name = format!("{:016x}", app.chance.key());
    Ok(app.store.meta_or_insert(INSTANCE, &name).await?)
}

/// The run that `issue` names: a slug or a folder's path, and behind a colon the number of one of its runs; the
/// newest where none is said.
pub async fn find(app: &App, issue: &str) -> anyhow::Result<Run> {
    let (slug, number) = named(issue);
    let Some(number) = number else {
        let run = app.store.run_of(slug).await?;
        return run.with_context(|| {
            let slug = plain(slug);
            format!("no run of `{slug}` was ever begun; `pressrun status` lists the runs")
        });
    };
    let run = app.store.run(RunId(number)).await?;
    let run = run.filter(|run| run.slug == slug && run.id() != RunId::SYSTEM);
    run.with_context(|| format!("`{slug}` has no run {number}; `pressrun status` lists the runs"))
}

/// [`find`] for whoever changes the run: where no number is said, the one under way is meant, and of several none is
/// guessed.
pub async fn find_open(app: &App, issue: &str) -> anyhow::Result<Run> {
    let (slug, number) = named(issue);
    if number.is_some() {
        return find(app, issue).await;
    }
    let runs = app.store.runs_of(slug).await?;
    let mut open = runs.into_iter().filter(Run::is_open);
    let Some(run) = open.next() else {
        return find(app, issue).await;
    };
    let others: Vec<String> = open.map(|run| format!("`{slug}:{}`", run.id)).collect();
    ensure!(
        others.is_empty(),
        "several runs of `{slug}` are under way, and `pressrun status` lists them; say which: `{slug}:{}`, {}",
        run.id,
        others.join(", ")
    );
    Ok(run)
}

/// What a command calls `run`: its issue, and its number where that alone might mean another.
pub async fn name(app: &App, run: &Run) -> anyhow::Result<String> {
    let runs = app.store.runs_of(&run.slug).await?;
    let newest = runs.first().is_none_or(|newest| newest.id == run.id);
    let alone = !runs
        .iter()
        .any(|other| other.id != run.id && other.is_open());
    Ok(match newest && alone {
        true => run.slug.clone(),
        false => format!("{}:{}", run.slug, run.id),
    })
}

/// The slug in what a person calls a run, and the run's number.
fn named(issue: &str) -> (&str, Option<i64>) {
    let numbered = issue.rsplit_once(':');
    let numbered = numbered.and_then(|(issue, number)| Some((issue, number.parse().ok()?)));
    let (issue, number) = numbered.map_or((issue, None), |(issue, number)| (issue, Some(number)));
    let folder = issue.trim_end_matches('/');
    (folder.rsplit('/').next().unwrap_or(folder), number)
}

/// Pauses a run. What stands at the dot finishes; the rest waits.
pub async fn pause(app: &App, run: &Run) -> anyhow::Result<()> {
    let why = Some("paused by hand");
    // A start or a freeze may come between two looks.
    for status in [
        RunStatus::Scheduled,
        RunStatus::Freezing,
        RunStatus::Sending,
    ] {
        if app
            .store
            .set_run_status(run.id(), status, RunStatus::Paused, why, app.clock.now())
            .await?
        {
            return Ok(());
        }
    }
    let now = app.store.run(run.id()).await?.context("the run is gone")?;
    bail!("the run of `{}` is {}, not sending", now.slug, now.status)
}

/// Lets a run go on: a paused or held one, one that was interrupted, and one whose hour passed while nobody was there. A
/// held one needs `yes`: someone has read why.
pub async fn resume(app: &App, run: &Run, yes: bool) -> anyhow::Result<()> {
    match run.status {
        RunStatus::Paused => ensure_in_time(app, run, yes).await?,
        RunStatus::Held if yes => trust_database(app, run).await?,
        RunStatus::Held => {
            let why = run.reason.as_deref().unwrap_or("no reason kept");
            return Err(hour::held(app, run, why).await?);
        }
        RunStatus::Scheduled => return hour::start_late(app, run, yes).await,
        RunStatus::Freezing | RunStatus::Sending => {
            if yes && deliver::slept(app, run).await?.is_some() {
                deliver::forget_sleep(app).await?;
            }
            return take_up(app, run).await;
        }
        other => bail!(
            "the run of `{}` is {other}; there is nothing to resume",
            run.slug
        ),
    }
    let now = app.clock.now();
    let overdue = run.is_overdue(app.clock.sure());
    let waits_for_another = overdue && !hour::may_begin(app, run, yes).await?;
    let to = match run.started_at {
        Some(_) => RunStatus::Sending,
        // Its hour is still to come, by one clock at least.
        None if waits_for_another || (run.waits() && !overdue) => RunStatus::Scheduled,
        // A run held while it froze goes on freezing.
        None => RunStatus::Freezing,
    };
    let changed = app
        .store
        .set_run_status(run.id(), run.status, to, None, now)
        .await?;
    ensure!(
        changed,
        "the run of `{}` changed meanwhile; look again with `pressrun status`",
        run.slug
    );
    if waits_for_another {
        hour::named_now(app, run).await?;
    }
    Ok(())
}

/// What is said of a database that nothing is sent from, whatever runs there are.
pub async fn doubt(app: &App) -> anyhow::Result<Option<String>> {
    let older = deliver::older(app).await?;
    Ok(older.map(|why| {
        format!(
            "nothing is sent, no mail to those who sign up either: {why}; look at what was sent meanwhile, then go on \
             with `pressrun resume --yes`"
        )
    }))
}

/// Goes on with this database as it is, and with the mails that wait in it; runs that are held stay so. False where
/// nothing is said against it. Without `yes` it says what is.
pub async fn resume_database(app: &App, yes: bool) -> anyhow::Result<bool> {
    match doubt(app).await? {
        None => Ok(false),
        Some(doubt) if !yes => bail!("{doubt}"),
        Some(_) => {
            deliver::trust_database(app).await?;
            Ok(true)
        }
    }
}

/// Goes on with this database as it is. One that looks restored from a backup is trusted only by a person who was told
/// that of this run: a yes to any other reason is none to mailing readers twice.
async fn trust_database(app: &App, run: &Run) -> anyhow::Result<()> {
    if let Some(why) = deliver::older(app).await?
        && run.reason.as_deref() != Some(why.as_str())
    {
        let (held, now) = (RunStatus::Held, app.clock.now());
        app.store
            .set_run_status(run.id(), held, held, Some(&why), now)
            .await?;
        bail!(
            "the run of `{}` stays held: {why}; look at what was sent meanwhile, then say `pressrun resume {} --yes` \
             once more",
            run.slug,
            name(app, run).await?
        );
    }
    deliver::trust_database(app).await
}

/// Has whoever sends take up `run`, if it was interrupted and is left alone since: it goes on since now. One whose hour
/// has come is started here where whoever sends starts no run but its own. Where nobody sends, the next sender does so by
/// itself.
pub async fn take_up(app: &App, run: &Run) -> anyhow::Result<()> {
    let (status, now) = (run.status, app.clock.now());
    if status == RunStatus::Scheduled && !charge::has_in_charge(app, run).await? {
        hour::start_or_hold(app, run).await?;
    }
    if status.is_moving() && charge::is_left_alone(app, run).await? {
        app.store
            .set_run_status(run.id(), status, status, None, now)
            .await?;
    }
    Ok(())
}

/// By how much the hour of `run` has passed.
fn late_by(app: &App, run: &Run) -> Duration {
    let now = app.clock.now();
    now.since(Timestamp(run.start_at.unwrap_or(now.0)))
}

/// Refuses a run whose hour has passed by so much that a person has to say it twice, unless `yes` was said.
async fn ensure_in_time(app: &App, run: &Run, yes: bool) -> anyhow::Result<()> {
    let (late, limit) = (late_by(app, run), app.config.send.late_start);
    ensure!(
        yes || !commands::is_late(app, run),
        "the start of `{}` is {} late, more than `send.late_start` ({}); `pressrun resume {} --yes` starts it now",
        run.slug,
        span(late),
        span(limit),
        name(app, run).await?
    );
    Ok(())
}

/// Cancels a run: what is queued is never sent. Gives the counts afterwards.
pub async fn cancel(app: &App, run: &Run) -> anyhow::Result<Counts> {
    let why = Some("cancelled by hand");
    let mut cancelled = false;
    // In the order in which a run goes through them, so that none is missed.
    for status in [
        RunStatus::Scheduled,
        RunStatus::Freezing,
        RunStatus::Sending,
        RunStatus::Paused,
        RunStatus::Held,
    ] {
        let now = app.clock.now();
        cancelled = cancelled
            || app
                .store
                .set_run_status(run.id(), status, RunStatus::Cancelled, why, now)
                .await?;
    }
    let now = app.store.run(run.id()).await?.context("the run is gone")?;
    ensure!(
        cancelled || now.status == RunStatus::Cancelled,
        "the run of `{}` is {}; there is nothing to cancel",
        now.slug,
        now.status
    );
    drop_queued(app, run.id()).await?;
    let counts = app.store.counts(run.id()).await?;
    if counts.at_dot == 0 {
        return Ok(counts);
    }
    // Those of a living sender are settled by it in a moment, those of a dead one by nobody.
    if let Err(error) = deliver::settle(app).await {
        tracing::warn!("what a dead sender left at the dot is settled by the next one: {error:#}");
    }
    Ok(app.store.counts(run.id()).await?)
}

/// Takes what is still queued out of a cancelled run.
async fn drop_queued(app: &App, run: RunId) -> Result<(), StoreError> {
    while app
        .store
        .cancel_some(run, CANCEL_STEP, app.clock.now())
        .await?
        > 0
    {}
    Ok(())
}

/// Takes a run back of which nothing has begun, whether it waits for its hour or stands still before it: nothing of it
/// is sent. False when it has begun.
pub async fn take_back(app: &App, run: &Run) -> anyhow::Result<bool> {
    if !run.waits() {
        return Ok(false);
    }
    let (why, now) = (Some("taken back before it began"), app.clock.now());
    for status in [RunStatus::Scheduled, RunStatus::Paused, RunStatus::Held] {
        if run.status == status {
            let taken = app
                .store
                .set_run_status(run.id(), status, RunStatus::Cancelled, why, now);
            return Ok(taken.await?);
        }
    }
    Ok(false)
}

/// Settles uncertain deliveries of a run as its policy says; `hold` leaves them to a person.
pub async fn apply_policy(app: &App, run: &Run) -> anyhow::Result<u64> {
    let to = match run.policy {
        UncertainPolicy::Hold => return Ok(0),
        UncertainPolicy::AssumeSent => State::Sent,
        // Nothing of a cancelled run is sent any more.
        UncertainPolicy::Resend if run.status == RunStatus::Cancelled => return Ok(0),
        UncertainPolicy::Resend => State::Queued,
    };
    resolve(app, run, None, to).await
}

/// Settles uncertain deliveries of a run by hand, all or the one numbered `seq`: as `sent`, or back to
/// the queue. Gives how many.
pub async fn resolve(app: &App, run: &Run, seq: Option<u32>, to: State) -> anyhow::Result<u64> {
    ensure!(
        run.status != RunStatus::Cancelled || to == State::Sent,
        "the run of `{}` is cancelled and sends nothing; its uncertain deliveries can only be called sent",
        run.slug
    );
    Ok(app
        .store
        .resolve_uncertain(run.id(), seq, to, app.clock.now())
        .await?)
}
