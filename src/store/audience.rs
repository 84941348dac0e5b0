//! Who a run would reach, read in pages and changed by nobody.

use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId};
use crate::store::{Result, Store};

/// One reader as the row stands in the database: nothing in it is trusted.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Listener {
    pub id: i64,
    pub address: String,
    pub name: String,
    /// A JSON object.
    pub fields: String,
    /// The key of the subscription.
    pub subscription: i64,
}

impl Store {
    /// Up to `limit` readers of `list` behind the reader `after`, in the order of their keys, whom a
    /// freeze at `at` would queue: confirmed by then or with a pause that is over, and not suppressed.
    pub async fn audience(
        &self,
        list: ListId,
        at: Timestamp,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<Listener>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select u.id, u.address, u.name, u.fields, s.key as subscription
                 from subscriptions s join subscribers u on u.id = s.subscriber_id
                 where s.list_id = $1 and s.confirmed_at <= $2 and s.subscriber_id > $3
                   and (s.status = 'confirmed' or (s.status = 'paused' and s.paused_until <= $2))
                   and s.frequency = 'every'
                   and not exists (select 1 from suppressions x where x.hash = u.hash)
                 order by s.subscriber_id
                 limit $4",
            )
            .bind(list.0)
            .bind(at.0)
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }
}
