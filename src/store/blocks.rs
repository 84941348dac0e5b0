//! Counters of a block: moved in the transaction that moves the deliveries, so that no page ever counts
//! a large table.

use std::collections::BTreeMap;

use crate::delivery::{Counts, State};
use crate::id::{DeliveryKey, RunId};
use crate::store::{Result, Store};

/// How many deliveries of each block changed from which state to which, summed up.
#[derive(Debug, Default)]
pub(crate) struct Moves(BTreeMap<(RunId, u32), Counts>);

#[derive(serde::Serialize)]
struct Move {
    run: i64,
    block: u32,
    #[serde(flatten)]
    by: Counts,
}

impl Moves {
    /// Notes that the delivery `key` went from one state to another.
    pub(crate) fn add(&mut self, key: DeliveryKey, from: State, to: State) {
        let counts = self.0.entry((key.run, key.block())).or_default();
        *counts.get_mut(from) -= 1;
        *counts.get_mut(to) += 1;
    }

    /// Whether nothing moved.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The batch for [`MOVE_COUNTS`].
    pub(crate) fn to_json(&self) -> String {
        let rows: Vec<Move> = self
            .0
            .iter()
            .map(|(&(run, block), &by)| Move {
                run: run.0,
                block,
                by,
            })
            .collect();
        serde_json::to_string(&rows).expect("numbers always serialise")
    }
}

/// Adds a batch of signed differences to the blocks' counters.
pub(crate) const MOVE_COUNTS: &str = "
    update blocks set
        queued = queued + cast(m.value->>'queued' as bigint),
        at_dot = at_dot + cast(m.value->>'at_dot' as bigint),
        sent = sent + cast(m.value->>'sent' as bigint),
        bounced = bounced + cast(m.value->>'bounced' as bigint),
        failed = failed + cast(m.value->>'failed' as bigint),
        expired = expired + cast(m.value->>'expired' as bigint),
        suppressed = suppressed + cast(m.value->>'suppressed' as bigint),
        unsubscribed = unsubscribed + cast(m.value->>'unsubscribed' as bigint),
        uncertain = uncertain + cast(m.value->>'uncertain' as bigint),
        cancelled = cancelled + cast(m.value->>'cancelled' as bigint)
    from json_each($1) as m
    where run_id = cast(m.value->>'run' as bigint) and block = cast(m.value->>'block' as bigint)";

/// Applies [`Moves`] inside a transaction: `apply_moves!(self, conn, moves)`.
macro_rules! apply_moves {
    ($store:expr, $conn:expr, $moves:expr) => {
        if !$moves.is_empty() {
            sqlx::query($store.sql($crate::store::blocks::MOVE_COUNTS))
                .bind($moves.to_json())
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(crate) use apply_moves;

/// The columns of [`Counts`], summed: read with [`CountsRow`].
pub(crate) const SUM_COUNTS: &str = "
    select queued, at_dot, sent, bounced, failed, expired, suppressed, unsubscribed, uncertain, cancelled
    from run_sums where run_id = $1";

/// Ten counters in the order of [`State::ALL`].
pub(crate) type CountsRow = (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64);

/// Names the ten counters.
pub(crate) fn counts_of(row: CountsRow) -> Counts {
    Counts {
        queued: row.0,
        at_dot: row.1,
        sent: row.2,
        bounced: row.3,
        failed: row.4,
        expired: row.5,
        suppressed: row.6,
        unsubscribed: row.7,
        uncertain: row.8,
        cancelled: row.9,
    }
}

impl Store {
    /// The counters of a run, summed over its blocks.
    pub async fn counts(&self, run: RunId) -> Result<Counts> {
        read!(self, conn => {
            let row = sqlx::query_as::<_, CountsRow>(SUM_COUNTS).bind(run.0).fetch_optional(conn).await?;
            Ok(row.map(counts_of).unwrap_or_default())
        })
    }
}
