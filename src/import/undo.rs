//! Taking a whole import back.
//!
//! Promises: exactly those go whom the import brought and to whom nothing has happened since; whoever was mailed,
//! acted, or was named by a later import with a consent of its own stays and is counted. Readers of before whom it took
//! off or confirmed stand as before, unless something moved them since. It goes on after a crash. Leaves what "happened"
//! means to the statements.

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::app::App;
use crate::import::decide::Tally;

/// Subscriptions of one transaction: well under 50 ms.
const STEP: u32 = 500;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Undone {
    pub import: i64,
    pub dry_run: bool,
    pub removed: u64,
    /// Mailed or named by a later import since, or the readers did something.
    pub stayed: u64,
    /// Readers of before whom it had taken off or confirmed, and who stand as before.
    pub put_back: u64,
    pub left: Left,
}

/// What the import said of others than those whom it brought: that stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Readers who were here before and got another name or other fields.
    pub updated: u64,
    /// Readers who were here before, taken off or confirmed by it, and not put back: something happened since.
    pub moved: u64,
    /// Readers who were here before, updated or not: what tags it put on them is not told apart from others.
    pub known: u64,
    /// Addresses that it suppressed.
    pub barred: u64,
}

impl Left {
    /// Of an import that came to this and put back so many readers.
    pub fn of(tally: &Tally, put_back: u64) -> Left {
        let moved = tally.taken_off + tally.confirmed;
        Left {
            updated: tally.updated,
            moved: moved.saturating_sub(put_back),
            known: tally.known + tally.updated + tally.confirmed,
            barred: tally.barred,
        }
    }
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
    let tally: Tally = serde_json::from_str(&import.tally).unwrap_or_default();
    let mut undone = Undone {
        import: id,
        dry_run,
        ..Undone::default()
    };
    // Before those go whom it brought: a subscription of theirs may be among them.
    let mut after = i64::MIN;
    let page = |after| app.store.put_back_page(&import, after, STEP, dry_run);
    while let (Some(last), back) = page(after).await? {
        after = last;
        undone.put_back += back;
    }
    undone.stayed = app.store.vouched_since(&import).await?;
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
    // What an undo that was broken off had put back is noted already.
    let before = u64::try_from(import.put_back).unwrap_or_default();
    undone.put_back += before;
    undone.left = Left::of(&tally, undone.put_back);
    if !dry_run {
        let now = app.clock.now();
        app.store
            .note_undone(id, undone.removed, undone.stayed, now)
            .await?;
    }
    Ok(undone)
}
