//! `pressrun resume`: a run goes on.

use anyhow::{Context, ensure};
use clap::Args;

use crate::app::App;
use crate::cli::send::foreground::{note_if_nobody_sends, send_and_follow};
use crate::cli::{Cli, Exit, audit, control, follow, signal};
use crate::deliver::{charge, setup, state};
use crate::run::{self, why};
use crate::status::RunStatus;

/// Lets a run go on that is paused, held or interrupted, or whose hour passed while nobody was there.
#[derive(Debug, Args)]
pub struct Resume {
    /// Slug or folder of the issue, and `:RUN` behind it where several of its runs are under way; without, and with
    /// `--yes`, a database that looks restored from a backup is gone on with.
    issue: Option<String>,
    /// Goes on although the run was held, or its start is very late: someone has read why.
    #[arg(long)]
    yes: bool,
    /// Leaves the sending to `pressrun serve`.
    #[arg(long)]
    detach: bool,
}

/// Runs `pressrun resume`.
pub(crate) async fn run(cli: &Cli, resume: &Resume) -> anyhow::Result<Exit> {
    resume.run(&cli.open().await?).await
}

impl Resume {
    async fn database(&self, app: &App) -> anyhow::Result<Exit> {
        ensure!(
            run::resume_database(app, self.yes).await?,
            "nothing keeps this database from being sent from; name the issue whose run is to go on"
        );
        audit::note(app, "went on with an older database", "").await?;
        println!(
            "mails that wait in this database leave again; a held run goes on with `pressrun resume ISSUE --yes`"
        );
        note_if_nobody_sends(app, None).await?;
        Ok(Exit::Done)
    }

    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let Some(issue) = &self.issue else {
            return self.database(app).await;
        };
        let found = run::find_open(app, issue).await?;
        if found.status == RunStatus::Finished {
            println!(
                "the run of `{}` is finished; there is nothing to resume",
                found.slug
            );
            return follow::summary(app, found.id()).await;
        }
        if let Some(why) = setup::is_outdated(&app.store, &app.config, &found.relay).await? {
            eprintln!("note: {why}");
        }
        if !self.detach {
            state::prove(app).await?;
        }
        run::resume(app, &found, self.yes).await?;
        audit::note(app, "resumed a run", &control::about(&found)).await?;
        let now = app.store.run(found.id()).await?;
        let now = now.context("the run is gone")?;
        if now.status == RunStatus::Scheduled {
            println!("{}", why::why(app, &now).await?.sentence);
            let overdue = now.is_overdue(app.clock.sure());
            if overdue && self.detach {
                note_if_nobody_sends(app, Some(&now)).await?;
            }
            if !overdue || self.detach {
                return Ok(Exit::Done);
            }
            // It waits for another run, and begins behind it.
            return send_and_follow(app, found.id(), signal::stop()).await;
        }
        if self.detach {
            let who = match charge::has_in_charge(app, &now).await? {
                true => "goes on, and whoever sends now sends it",
                false => "goes on once `pressrun serve` runs",
            };
            println!("run {} of `{}` {who}", found.id, found.slug);
            note_if_nobody_sends(app, Some(&now)).await?;
            return Ok(Exit::Done);
        }
        send_and_follow(app, found.id(), signal::stop()).await
    }
}
