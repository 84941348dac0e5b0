//! What a person has to say so that exactly this run, and no other one of its issue, is meant.

use crate::app::App;
use crate::run::{late_by, name};
use crate::status::RunStatus;
use crate::store::runs::Run;

/// ` --list weekly` for a command of an issue that might mean another list than that of `run` without it.
pub async fn to_list(app: &App, run: &Run) -> anyhow::Result<String> {
    let lists = app.store.lists().await?;
    let own = lists.iter().find(|list| Some(list.id.0) == run.list_id);
    Ok(match own {
        Some(list) if lists.len() > 1 || list.slug != app.config.publication.list => {
            format!(" --list {}", list.slug)
        }
        _ => String::new(),
    })
}

/// Whether the hour of `run` has passed by so much that a person has to say it twice.
pub fn is_late(app: &App, run: &Run) -> bool {
    run.is_overdue(app.clock.now()) && late_by(app, run) > app.config.send.late_start
}

/// The command that lets `run` go on where it is paused, held or late.
pub async fn resume(app: &App, run: &Run) -> anyhow::Result<String> {
    let sure = match run.status == RunStatus::Held || is_late(app, run) {
        true => " --yes",
        false => "",
    };
    Ok(format!("pressrun resume {}{sure}", name(app, run).await?))
}
