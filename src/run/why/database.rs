//! Why a run stands still whose database takes no writes, or has no room for more.

use std::time::Duration;

use crate::app::App;
use crate::run::why::{Cause, Facts, Why};
use crate::schedule::span;

/// A database that takes writes answers one within 5 s, also beside a large import; a moment later it says itself why
/// it does not.
const PATIENCE: Duration = Duration::from_secs(6);

/// Why nothing can be written, or nothing is to be.
pub(super) async fn refusal(app: &App) -> Option<String> {
    if let Some(full) = app.store.lacks_room() {
        return Some(full);
    }
    let write = app.store.take_a_write(app.clock.now());
    let why = match tokio::time::timeout(PATIENCE, write).await {
        Ok(written) => written.err()?.to_string(),
        Err(_) => format!("none within {}", span(PATIENCE)),
    };
    Some(format!("the database takes no writes ({why})"))
}

impl Facts<'_> {
    pub(super) fn store(&self, why: &mut Why) -> String {
        why.cause = Cause::Store;
        why.since = None;
        let then = match self.sender {
            true => "the sender tries again by itself every moment",
            false => {
                "no process sends, neither `pressrun serve` nor a `send`: start one when it takes them again"
            }
        };
        let refusal = self.refusal.as_deref().unwrap_or_default();
        format!(
            "stands still: {refusal}; what was sent is on record, nothing is sent twice, and {then}"
        )
    }
}
