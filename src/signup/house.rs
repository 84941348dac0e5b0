//! What is to be done now and then: signups and new addresses that nobody confirmed are forgotten, and the values in
//! test copies; pauses end.
//!
//! Promises: small steps, each a transaction of its own; a step that fails is tried at the next round.

use std::time::Duration;

use crate::app::App;
use crate::clock::Timestamp;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(600);
/// Signups of one transaction: well under 50 ms.
const STEP: u32 = 200;

/// How long a test copy keeps the values of a reader whom it shows: it is looked at on the day.
const TESTS: Duration = Duration::from_secs(7 * 86_400);

/// Keeps house until it is dropped.
pub async fn keep(app: App) {
    loop {
        if let Err(error) = round(&app).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "forgotten signups stay until the next round"
            );
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// One round: gives how many signups were forgotten.
pub async fn round(app: &App) -> anyhow::Result<u64> {
    let now = app.clock.now();
    app.store.wake_paused(now).await?;
    let moves = now.before(app.config.signup.confirm_window);
    app.store.forget_moves(moves).await?;
    app.store.forget_tests(now.before(TESTS)).await?;
    // Whatever was forgotten since the last round is in no log any more.
    app.store.empty_log().await?;
    let before = now.before(app.config.signup.keep_unconfirmed);
    let gone = forget(app, Timestamp(0), before, before).await?;
    if gone > 0 {
        tracing::info!(signups = gone, "forgot signups that nobody confirmed");
    }
    Ok(gone)
}

/// Forgets unconfirmed signups made in `from..to`, except those with a confirm mail due after
/// `mailed_after`; their waiting mails are cancelled.
pub async fn forget(
    app: &App,
    from: Timestamp,
    to: Timestamp,
    mailed_after: Timestamp,
) -> anyhow::Result<u64> {
    let mut gone = 0;
    loop {
        let keys = app.store.unconfirmed(from, to, mailed_after, STEP).await?;
        if keys.is_empty() {
            return Ok(gone);
        }
        let now = app.clock.now();
        let removed = app.store.remove_unconfirmed(&keys, now).await?;
        gone += removed;
        if removed == 0 {
            // Confirmed between the look and the deed, all of them.
            return Ok(gone);
        }
    }
}
