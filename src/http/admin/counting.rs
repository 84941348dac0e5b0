//! Counting for the author's pages: what is not counted yet of a run is counted behind the page that asks.
//!
//! Promises: a page waits a fraction of a second and says where it shows less than all; one run is counted at a time.
//! What readers did is counted by whoever keeps the log, and no page waits for that.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::timeout;

use crate::http::admin::Admin;
use crate::http::fault::Fault;
use crate::id::RunId;
use crate::numbers;
use crate::track::fold;

/// How long a page waits for a run's blocks to be counted: an old run that nobody has asked for, or one of which
/// something came back since.
const PATIENCE: Duration = Duration::from_millis(200);

/// Counts what is not counted yet of a run; false where that goes on when the page has waited long enough, or where
/// what readers did is not [whole](is_whole).
pub(super) async fn counted(admin: &Arc<Admin>, run: RunId) -> Result<bool, Fault> {
    let whole = is_whole(admin).await?;
    if numbers::is_counted(&admin.app, run).await? {
        return Ok(whole);
    }
    let behind = admin.clone();
    let count = tokio::spawn(async move {
        // While another run is counted nobody queues: the next look at this one asks again.
        let Ok(_one) = timeout(PATIENCE, behind.counting.lock()).await else {
            return Ok(false);
        };
        numbers::count_blocks(&behind.app, run).await.map(|()| true)
    });
    match timeout(PATIENCE, count).await {
        Err(_) => Ok(false),
        Ok(ended) => Ok(ended.context("counting a run broke")?? && whole),
    }
}

/// The same for a file, which is kept: it waits until the run is counted. Says why it cannot.
pub(super) async fn whole(admin: &Admin, run: RunId) -> Result<Option<anyhow::Error>, Fault> {
    if !is_whole(admin).await? {
        return Ok(Some(anyhow!(
            "not all that readers did is counted yet, or it is judged again by the rules of a newer version; ask for \
             the spreadsheet again in a while"
        )));
    }
    let _one = admin.counting.lock().await;
    numbers::count_blocks(&admin.app, run).await?;
    Ok(None)
}

/// Whether all events are counted and judged by the rules of today; the numbers grow until they are.
pub(super) async fn is_whole(admin: &Admin) -> Result<bool, Fault> {
    let app = &admin.app;
    Ok(fold::is_whole(&app.store, app.clock.now()).await?)
}
