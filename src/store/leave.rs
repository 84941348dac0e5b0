//! Leaving: a reader unsubscribes, or an address is suppressed.

use crate::clock::Timestamp;
use crate::id::SubscriptionKey;
use crate::store::{Result, Store};

impl Store {
    /// Ends this subscription; false when it had ended before or never was.
    pub async fn leave(&self, key: SubscriptionKey, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            let left = sqlx::query(
                "update subscriptions set status = 'unsubscribed', left_at = $2
                 where key = $1 and status <> 'unsubscribed'",
            )
            .bind(key.0)
            .bind(at.0)
            .execute(conn)
            .await?;
            left.rows_affected() == 1
        })
    }

    /// Suppresses the address of this hash; false when it was suppressed before, whose reason stays.
    pub async fn suppress(&self, hash: &[u8; 32], reason: &str, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            let made = sqlx::query(
                "insert into suppressions (hash, reason, created_at) values ($1, $2, $3)
                 on conflict (hash) do nothing",
            )
            .bind(&hash[..])
            .bind(reason)
            .bind(at.0)
            .execute(conn)
            .await?;
            made.rows_affected() == 1
        })
    }
}
