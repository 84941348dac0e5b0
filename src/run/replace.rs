//! Another content for a run that has not begun.
//!
//! Promises: the hour and the audience stay; what began is never changed. Leaves the showing of the
//! difference to its caller.

use anyhow::{Context, bail, ensure};

use crate::app::App;
use crate::archive;
use crate::compile::Compiled;
use crate::id::ListId;
use crate::lists;
use crate::message::RunHeaders;
use crate::publication::Built;
use crate::run::{self, commands, headers, keep_revision};
use crate::status::RunStatus;
use crate::store::begin::NewContent;
use crate::store::runs::Run;

/// A run that waits for its hour, with the content it would send.
pub struct Waiting {
    pub run: Run,
    pub content: Compiled,
}

/// The run of the issue `slug` to `list` whose content may still be changed.
pub async fn waiting(app: &App, slug: &str, list: &str) -> anyhow::Result<Waiting> {
    let id = lists::find(app, list).await?.id;
    let runs = app.store.runs_of(slug).await?;
    let mut runs: Vec<Run> = runs
        .into_iter()
        .filter(|run| run.list_id == Some(id.0))
        .collect();
    let still = |run: &Run| {
        matches!(
            run.status,
            RunStatus::Scheduled | RunStatus::Paused | RunStatus::Held
        )
    };
    // One alone is under way; it need not be the newest of the issue.
    let waits = runs.iter().position(|run| run.waits() && still(run));
    let Some(place) = waits else {
        let Some(run) = runs.first() else {
            bail!("no run of `{slug}` to `{list}` was ever begun; `pressrun status` lists the runs")
        };
        let list = commands::to_list(app, run).await?;
        let cancel = match run.is_open() {
            true => format!(
                "`pressrun cancel {} --yes`, then ",
                run::name(app, run).await?
            ),
            false => String::new(),
        };
        bail!(
            "run {} of `{slug}` is {} and keeps its content; {cancel}`pressrun send {slug}{list} --continue` gives a \
             mended one to those whom a cancelled run has not reached",
            run.id,
            run.status
        )
    };
    let run = runs.swap_remove(place);
    ensure!(
        run.trial.is_none(),
        "run {} of `{slug}` tests two subjects of its content; `pressrun cancel {}` takes it back, then send it \
         anew",
        run.id,
        run::name(app, &run).await?
    );
    let revision = run.revision.as_deref().context("the run has no content")?;
    let content = app.store.revision(revision).await?;
    let content = content.context("the revision is gone")?;
    let content = serde_json::from_str(&content).context("the frozen revision")?;
    Ok(Waiting { run, content })
}

/// What the header of its mails would say otherwise by the configuration of now: name, before, after.
pub async fn headers_changed(
    app: &App,
    waiting: &Waiting,
) -> anyhow::Result<Vec<(&'static str, String, String)>> {
    let run = &waiting.run;
    let before: RunHeaders =
        serde_json::from_str(&run.headers).context("the run's frozen headers")?;
    let now = headers(app, run.list_id.map(ListId), &run.slug).await?;
    let said = |headers: &RunHeaders| {
        let reply_to = headers.reply_to.as_ref().map(ToString::to_string);
        let list = headers.list.as_ref().map(|list| list.title.clone());
        [
            (
                "from",
                format!("{} <{}>", headers.from_name, headers.from_address),
            ),
            ("reply to", reply_to.unwrap_or_default()),
            ("list", list.unwrap_or_default()),
            ("bounces to", headers.bounce_domain.clone()),
            ("links to", headers.public_url.clone()),
        ]
    };
    let pairs = said(&before).into_iter().zip(said(&now));
    let changed = pairs.filter(|((_, before), (_, now))| before != now);
    Ok(changed
        .map(|((name, before), (_, now))| (name, before, now))
        .collect())
}

/// Puts `built` in the place of what `waiting` would send.
pub async fn replace(app: &App, waiting: &Waiting, built: &Built) -> anyhow::Result<()> {
    let run = &waiting.run;
    let list = run.list_id.map(ListId);
    let to = keep_revision(app, &built.compiled, &built.images).await?;
    let headers = headers(app, list, &built.compiled.slug).await?;
    let headers = serde_json::to_string(&headers)?;
    let wish = archive::wish(app, built, &built.list, run.segment.is_some());
    let page = wish.page();
    let content = NewContent {
        revision: &to,
        title: &built.compiled.title,
        headers: &headers,
        page: &page,
        parts: &built.compiled.only,
    };
    let from = run.revision.as_deref().unwrap_or_default();
    let changed = app.store.replace_revision(run.id(), from, &content);
    ensure!(
        changed.await?,
        "run {} of `{}` began or changed meanwhile and keeps its content; look with `pressrun status`",
        run.id,
        run.slug
    );
    Ok(())
}
