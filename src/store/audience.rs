//! Who a run would reach, read in pages and changed by nobody.

use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId};
use crate::segment::{Filter, Sieve};
use crate::store::segments::{Frame, NEXT_RUN, Predicates, bind_values};
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
    /// Which of the segments the reader is in: bit n is the nth.
    pub parts: i64,
}

/// To whom of a list a run goes, and whom parts of its issue are for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whom<'a> {
    /// All of the list when none.
    pub segment: Option<&'a Filter>,
    /// Also to readers who want the digest of the month alone.
    pub monthly: bool,
    pub parts: &'a [Sieve],
}

const FRAME: Frame = Frame {
    list: "$1",
    at: "$2",
    begun: "$2",
    run: "$6",
    free: 7,
};

impl Store {
    /// Up to `limit` readers of `list` behind the reader `after`, in the order of their keys, whom a
    /// freeze at `at` would queue: confirmed by then or with a pause that is over, and not suppressed.
    pub async fn audience(
        &self,
        list: ListId,
        whom: Whom<'_>,
        at: Timestamp,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<Listener>> {
        let mut predicates = Predicates::new(self, FRAME);
        let parts = predicates.bits(whom.parts);
        let holds = predicates.holds_all(whom.segment);
        let text = format!(
            "with given as (select cast($6 as bigint) as before)
             select u.id, u.address, u.name, u.fields, s.key as subscription, {parts} as parts
             from subscriptions s join subscribers u on u.id = s.subscriber_id
             where s.list_id = $1 and s.confirmed_at <= $2 and s.subscriber_id > $3
               and (s.status = 'confirmed' or (s.status = 'paused' and s.paused_until <= $2))
               and (s.frequency = 'every' or cast($5 as bigint) = 1)
               and not exists (select 1 from suppressions x where x.hash = u.hash)
               and {holds}
             order by s.subscriber_id
             limit $4"
        );
        read!(self, conn => {
            let query = sqlx::query_as(self.sql(&text))
                .bind(list.0)
                .bind(at.0)
                .bind(after.0)
                .bind(i64::from(limit))
                .bind(i64::from(whom.monthly))
                .bind(NEXT_RUN);
            Ok(bind_values!(query, predicates.values).fetch_all(conn).await?)
        })
    }
}
