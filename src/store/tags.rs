//! Tags on readers: put on and taken off many at once.
//!
//! Promises: a tag that is there stays, so that doing it again changes nothing.

use crate::id::SubscriberId;
use crate::store::{Result, Store};

/// The tags of some readers, in the order of their keys.
pub(crate) const TAGS_OF: &str = "
    select subscriber_id, tag from tags
    where subscriber_id in (select cast(value as bigint) from json_each($1))
    order by subscriber_id, tag";

/// Tags by their readers, as pairs.
pub(crate) const PUT_TAGS: &str = "
    insert into tags (subscriber_id, tag)
    select cast(value->>0 as bigint), value->>1 from json_each($1) where true
    on conflict do nothing";

/// Tags of one reader.
pub(crate) const DROP_TAGS: &str = "
    delete from tags where subscriber_id = $1
      and tag in (select value->>0 from json_each($2))";

impl Store {
    /// Every tag that anyone bears, with how many do, in alphabetical order.
    pub async fn tags(&self) -> Result<Vec<(String, i64)>> {
        read!(self, conn => {
            let found = sqlx::query_as("select tag, count(*) from tags group by tag order by tag")
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// The tags of each of `readers` that bears any, as pairs in the order of the readers' keys.
    pub async fn tags_of(&self, readers: &[SubscriberId]) -> Result<Vec<(i64, String)>> {
        read!(self, conn => {
            let found = sqlx::query_as(self.sql(TAGS_OF))
                .bind(keys(readers))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// Puts `tag` on `readers`; gives how many did not bear it. A reader who is gone is passed over.
    pub async fn tag(&self, readers: &[SubscriberId], tag: &str) -> Result<u64> {
        transact!(self, conn => {
            sqlx::query(self.sql(
                "insert into tags (subscriber_id, tag)
                 select u.id, cast($2 as text) from subscribers u
                 where u.id in (select cast(value as bigint) from json_each($1))
                 on conflict do nothing",
            ))
            .bind(keys(readers))
            .bind(tag)
            .execute(conn)
            .await?
            .rows_affected()
        })
    }

    /// Takes `tag` off `readers`; gives how many bore it.
    pub async fn untag(&self, readers: &[SubscriberId], tag: &str) -> Result<u64> {
        transact!(self, conn => {
            sqlx::query(self.sql(
                "delete from tags where tag = $2
                   and subscriber_id in (select cast(value as bigint) from json_each($1))",
            ))
            .bind(keys(readers))
            .bind(tag)
            .execute(conn)
            .await?
            .rows_affected()
        })
    }
}

fn keys(readers: &[SubscriberId]) -> String {
    serde_json::to_string(readers).expect("numbers always serialise")
}
