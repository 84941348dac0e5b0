//! Suppressions: addresses never to be mailed, each under a keyed hash.
//!
//! Putting one down is in `leave`, because the reader's queued deliveries move with it.

use crate::clock::Timestamp;
use crate::store::{Result, Store};

impl Store {
    /// Why and since when the address of this hash is suppressed.
    pub async fn suppression(&self, hash: &[u8; 32]) -> Result<Option<(String, Timestamp)>> {
        read!(self, conn => {
            let found: Option<(String, i64)> = sqlx::query_as(
                "select reason, created_at from suppressions where hash = $1",
            )
            .bind(&hash[..])
            .fetch_optional(conn)
            .await?;
            Ok(found.map(|(reason, at)| (reason, Timestamp(at))))
        })
    }

    /// Suppressed addresses by reason, the most frequent first.
    pub async fn suppression_counts(&self) -> Result<Vec<(String, i64)>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select reason, count(*) from suppressions group by reason order by 2 desc, 1",
            )
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// Allows mail to the address of this hash again; false when it was not suppressed.
    pub async fn allow(&self, hash: &[u8; 32]) -> Result<bool> {
        transact!(self, conn => {
            let gone = sqlx::query("delete from suppressions where hash = $1")
                .bind(&hash[..])
                .execute(conn)
                .await?;
            gone.rows_affected() == 1
        })
    }
}
