//! How long what is known of readers is kept: each kind of data by its own setting.
//!
//! Promises: small steps, each a transaction of its own, with room for others between them; a kind whose
//! setting is zero is never touched; sums and counters stay.

use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::store::retention::Kind;

/// Between two looks at the clock that all share.
const LOOK: Duration = Duration::from_secs(60);
/// So many looks from one round to the next: an hour.
const LOOKS: usize = 60;
/// Rows of one transaction: well under 50 ms.
const STEP: u32 = 1000;
/// Between two steps, so that whoever waits to write comes in between.
const BREATH: Duration = Duration::from_millis(20);
/// A leaving's id is known so long: no journal waits longer for its database.
const TAKEN: Duration = Duration::from_secs(90 * 86_400);
/// The name of the keys of pseudonyms, which are no rows that go.
const PSEUDONYMS: &str = "pseudonyms";

/// What is kept of one kind, and how much of it is older.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub kind: &'static str,
    /// Days; none keeps it for ever.
    pub days: Option<u64>,
    pub old: u64,
}

/// Forgets what is old, until it is dropped.
pub async fn keep(app: App) {
    for look in (0..LOOKS).cycle() {
        // What this process writes goes by the clock that all share. A machine that stood still for a while, and has its own
        // set right then, must not go by what it heard before for long.
        if let Err(error) = app.store.hear_clock(&app.clock).await {
            tracing::warn!(%error, "the database's clock cannot be asked");
        }
        if look == 0
            && let Err(error) = run(&app).await
        {
            tracing::warn!(
                error = format!("{error:#}"),
                "what is old stays until the next round"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn kinds(app: &App) -> [(&'static str, Kind, Duration); 9] {
    let kept = &app.config.retention;
    [
        ("events", Kind::Events, kept.events),
        ("failures", Kind::Failures, kept.failures),
        ("notices", Kind::Notices, kept.notices),
        ("confirm_log", Kind::ConfirmLog, kept.confirm_log),
        ("leave_reasons", Kind::LeaveReasons, kept.leave_reasons),
        ("consents", Kind::Consents, kept.consents),
        ("copies", Kind::Copies, kept.copies),
        ("audit", Kind::Audit, kept.audit),
        ("erased", Kind::Erased, kept.erased),
    ]
}

fn kept(kind: &'static str, time: Duration, old: u64) -> Kept {
    let days = (!time.is_zero()).then_some(time.as_secs() / 86_400);
    Kept { kind, days, old }
}

/// What [`run`] would forget now.
pub async fn plan(app: &App) -> anyhow::Result<Vec<Kept>> {
    let now = app.clock.now();
    let mut found = Vec::new();
    for (name, kind, time) in kinds(app) {
        let old = match time.is_zero() {
            true => 0,
            false => app.store.old(kind, now.before(time)).await?,
        };
        found.push(kept(name, time, u64::try_from(old).unwrap_or(0)));
    }
    let time = app.config.privacy.pseudonyms;
    let old = app.store.old_pseudonyms(now.before(time)).await?;
    found.push(kept(PSEUDONYMS, time, u64::try_from(old).unwrap_or(0)));
    Ok(found)
}

/// Forgets all that is old by now; gives how much that was.
pub async fn run(app: &App) -> anyhow::Result<Vec<Kept>> {
    let now = app.clock.now();
    let mut found = Vec::new();
    for (name, kind, time) in kinds(app) {
        let mut gone = 0;
        while !time.is_zero() {
            let step = app.store.forget_some(kind, now.before(time), STEP).await?;
            gone += step;
            if step == 0 {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        found.push(kept(name, time, gone));
    }
    app.store.forget_taken(now.before(TAKEN)).await?;
    // Never for ever: a key that stays is no anonymity.
    let time = app.config.privacy.pseudonyms;
    let mut gone = 0;
    loop {
        let step = app.store.destroy_pseudonyms(now.before(time), 1).await?;
        gone += step;
        if step == 0 {
            break;
        }
    }
    found.push(kept(PSEUDONYMS, time, gone));
    for kept in found.iter().filter(|kept| kept.old > 0) {
        tracing::info!(
            kind = kept.kind,
            forgotten = kept.old,
            "forgot what was old"
        );
    }
    Ok(found)
}
