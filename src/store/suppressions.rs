//! Suppressions: addresses never to be mailed, each under a keyed hash.
//!
//! Putting one down is in `leave`, because the reader's queued deliveries move with it.

use crate::clock::Timestamp;
use crate::store::{Result, Store};

/// That a reader was away, for the journals of her lists: until now the suppression itself has said so.
const COUNT_AWAY: &str = "
    insert into journal (list_id, what, quarter, why, part, number)
    select n.list_id, w.value->>'what',
        case when w.value->>'what' = 'joined' then $3
            when x.created_at > n.confirmed_at then x.created_at
            else n.confirmed_at end / 900000,
        case when w.value->>'what' = 'joined' then 'returned' else x.reason end, own_part(), 1
    from suppressions x
        join subscribers u on u.canonical = $1
        join subscriptions n on n.subscriber_id = u.id
        cross join json_each($4) w
    where x.hash = $2 and n.confirmed_at is not null and n.status in ('confirmed', 'paused')
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + 1";

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

    /// Allows mail to the `canonical` address of this hash again; false when it was not suppressed. Its reader had left
    /// her lists as long as it was, and comes back to them.
    pub async fn allow(&self, canonical: &str, hash: &[u8; 32], at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            sqlx::query(self.sql(COUNT_AWAY))
                .bind(canonical)
                .bind(&hash[..])
                .bind(at.0)
                .bind(r#"[{"what": "left"}, {"what": "joined"}]"#)
                .execute(&mut *conn)
                .await?;
            sqlx::query(
                "insert into allowed_again (subscriber_id, at)
                 select u.id, $3 from subscribers u
                     join suppressions x on x.hash = u.hash
                 where u.canonical = $1 and u.hash = $2
                 on conflict (subscriber_id) do update set at = excluded.at",
            )
            .bind(canonical)
            .bind(&hash[..])
            .bind(at.0)
            .execute(&mut *conn)
            .await?;
            let gone = sqlx::query("delete from suppressions where hash = $1")
                .bind(&hash[..])
                .execute(conn)
                .await?;
            gone.rows_affected() == 1
        })
    }
}
