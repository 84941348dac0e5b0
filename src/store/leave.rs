//! Leaving wins: the transaction that ends a subscription or suppresses an address also takes that
//! reader's queued deliveries, so that no marker commits after it.
//!
//! Invariant: after `leave` or `suppress` has returned, no copy that had no marker yet reaches smtp.

use sqlx::Row;

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::{DeliveryKey, RunId, SubscriptionKey};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::{Result, Store};

/// Queued mail of one reader for one list: its issue runs, and system mails sent on its behalf.
const TAKE_FROM_LIST: &str = "
    update deliveries set state = 'unsubscribed', settled_at = $3
    where subscriber_id = $1 and state = 'queued' and (
        run_id in (select id from runs where kind = 'issue' and list_id = $2)
        or (run_id = 1 and exists (
            select 1 from system_mails
            where system_mails.run_id = 1 and system_mails.seq = deliveries.seq
              and system_mails.list_id = $2
        ))
    )
    returning run_id, seq";

/// All queued mail of the reader behind one suppressed address.
const TAKE_SUPPRESSED: &str = "
    update deliveries set state = 'suppressed', settled_at = $2
    where state = 'queued'
      and subscriber_id in (select id from subscribers where canonical = $1)
    returning run_id, seq";

impl Store {
    /// Ends the subscription `key` and takes its queued deliveries. True if the status changed; an
    /// unknown key and one that had left before give false.
    pub async fn leave(&self, key: SubscriptionKey, at: Timestamp) -> Result<bool> {
        again!(self.try_leave(key, at).await)
    }

    async fn try_leave(&self, key: SubscriptionKey, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            let ended = sqlx::query(
                "update subscriptions set status = 'unsubscribed', left_at = $2
                 where key = $1 and status <> 'unsubscribed'
                 returning list_id, subscriber_id",
            )
            .bind(key.0)
            .bind(at.0)
            .fetch_optional(&mut *conn)
            .await?;
            match ended {
                None => false,
                Some(row) => {
                    let (list, subscriber): (i64, i64) = (row.get(0), row.get(1));
                    let taken = sqlx::query_as::<_, (i64, i64)>(TAKE_FROM_LIST)
                        .bind(subscriber)
                        .bind(list)
                        .bind(at.0)
                        .fetch_all(&mut *conn)
                        .await?;
                    let moves = moved(&taken, State::Unsubscribed);
                    apply_moves!(self, conn, moves);
                    true
                }
            }
        })
    }

    /// Suppresses the `canonical` address under its keyed `hash` and takes all its queued deliveries. True
    /// if it was not suppressed before.
    pub async fn suppress(
        &self,
        canonical: &str,
        hash: &[u8; 32],
        reason: &str,
        at: Timestamp,
    ) -> Result<bool> {
        again!(self.try_suppress(canonical, hash, reason, at).await)
    }

    async fn try_suppress(
        &self,
        canonical: &str,
        hash: &[u8; 32],
        reason: &str,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let added = sqlx::query(
                "insert into suppressions (hash, reason, created_at) values ($1, $2, $3)
                 on conflict (hash) do nothing",
            )
            .bind(hash.as_slice())
            .bind(reason)
            .bind(at.0)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            // Differs by necessity: on PostgreSQL a freeze that has just read this reader holds a share
            // lock; the update waits for it and then sees the row it froze.
            sqlx::query("update subscribers set hash = hash where canonical = $1")
                .bind(canonical)
                .execute(&mut *conn)
                .await?;
            let taken = sqlx::query_as::<_, (i64, i64)>(TAKE_SUPPRESSED)
                .bind(canonical)
                .bind(at.0)
                .fetch_all(&mut *conn)
                .await?;
            let moves = moved(&taken, State::Suppressed);
            apply_moves!(self, conn, moves);
            added == 1
        })
    }
}

fn moved(taken: &[(i64, i64)], to: State) -> Moves {
    let mut moves = Moves::default();
    for &(run, seq) in taken {
        let run = RunId(run);
        let seq = u32::try_from(seq).expect("a seq is written from a u32");
        moves.add(DeliveryKey { run, seq }, State::Queued, to);
    }
    moves
}
