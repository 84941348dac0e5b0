//! Taking a whole import back.
//!
//! Promises: exactly those go whom the import brought and to whom nothing has happened since; whoever was mailed
//! or acted stays and is counted; it goes on after a crash. Leaves what "happened" means to the statement.

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::app::App;

/// Subscriptions of one transaction: well under 50 ms.
const STEP: u32 = 500;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Undone {
    pub import: i64,
    pub dry_run: bool,
    pub removed: u64,
    /// Mailed since, or the readers did something.
    pub stayed: u64,
}

/// Takes the import numbered `id` back; only counts when `dry_run`.
pub async fn run(app: &App, id: i64, dry_run: bool) -> anyhow::Result<Undone> {
    let import = app.store.import(id).await?;
    let import = import.with_context(|| {
        format!("there is no import {id}; `pressrun subscribers imports` lists them")
    })?;
    ensure!(
        import.undone_at.is_none(),
        "import {id} was taken back before; nothing was changed"
    );
    let mut undone = Undone {
        import: id,
        dry_run,
        ..Undone::default()
    };
    let mut after = 0;
    loop {
        let page = app.store.undo_page(&import, after, STEP, dry_run).await?;
        undone.removed += page.removed;
        undone.stayed += page.stayed;
        match page.last {
            Some(last) => after = last,
            None => break,
        }
    }
    if !dry_run {
        let now = app.clock.now();
        app.store
            .note_undone(id, undone.removed, undone.stayed, now)
            .await?;
    }
    Ok(undone)
}
