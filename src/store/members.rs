//! Who is in a segment of a list, and what a run came to among them.

use crate::clock::Timestamp;
use crate::id::{ListId, RunId, SubscriberId};
use crate::segment::{Filter, Sieve};
use crate::store::lists::Confirmed;
use crate::store::segments::{Frame, NEXT_RUN, Predicates, bind_values};
use crate::store::{Result, Store};

/// A reader whom a segment was asked for.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Member {
    pub id: i64,
    pub address: String,
    /// The key of the subscription.
    pub subscription: i64,
    pub confirmed_at: i64,
}

/// What a run came to among the readers of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Came {
    pub recipients: i64,
    pub sent: i64,
    /// Copies of these that count nothing.
    pub uncounted: i64,
    /// Those of the others who opened and clicked, machines and what nobody can tell from one left out; who clicked has
    /// opened.
    pub opened: i64,
    pub clicked: i64,
    pub departed: i64,
}

/// Of a list: $1 is the list, $2 the moment, $3 a run that there is not yet.
const OF_LIST: Frame = Frame {
    list: "$1",
    at: "$2",
    begun: "$2",
    run: "$3",
    free: 6,
};

/// Where a look at so many readers of a list ends.
const LAST_LOOKED_AT: &str = "
    select subscriber_id from subscriptions where list_id = $1 and subscriber_id > $2
    order by subscriber_id limit 1 offset $3";

/// Whether nothing is ever sent to the reader.
const SUPPRESSED: &str = "exists (select 1 from suppressions x where x.hash = u.hash)";

impl Store {
    /// How many confirmed readers of `list` are in a segment, as a run that starts at `at` would find them, and how
    /// many of the suppressed; without `monthly` those who want the digest of the month alone are left out.
    pub async fn in_segment(
        &self,
        list: ListId,
        filter: &Filter,
        monthly: bool,
        at: Timestamp,
    ) -> Result<Confirmed> {
        let mut predicates = Predicates::new(self, OF_LIST);
        let holds = predicates.holds(filter);
        let text = format!(
            "with given as (
                 select cast($2 as bigint) as at, cast($3 as bigint) as before, cast($5 as bigint) as five
             )
             select count(*), count(case when {SUPPRESSED} then 1 end)
             from subscriptions s join subscribers u on u.id = s.subscriber_id
             where s.list_id = $1 and s.status = 'confirmed'
               and (s.frequency = 'every' or cast($4 as bigint) = 1) and {holds}"
        );
        read!(self, conn => {
            let query = sqlx::query_as(self.sql(&text))
                .bind(list.0)
                .bind(at.0)
                .bind(NEXT_RUN)
                .bind(i64::from(monthly))
                .bind(0_i64);
            let (all, suppressed): (i64, i64) =
                bind_values!(query, predicates.values).fetch_one(conn).await?;
            Ok(Confirmed { readers: all - suppressed, suppressed })
        })
    }

    /// Up to `limit` confirmed readers of `list` behind the reader `after` who are in a segment and not suppressed, in
    /// the order of their keys.
    pub async fn members(
        &self,
        list: ListId,
        filter: &Filter,
        at: Timestamp,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<Member>> {
        let last = SubscriberId(i64::MAX);
        self.members_between(list, filter, at, (after, last), limit)
            .await
    }

    /// Up to `limit` of the `looked_at` readers of `list` behind the reader `after` who are in a segment, and the reader
    /// behind whom to look further; none where there are no more.
    pub async fn members_among(
        &self,
        list: ListId,
        filter: &Filter,
        at: Timestamp,
        after: SubscriberId,
        (looked_at, limit): (u32, u32),
    ) -> Result<(Vec<Member>, Option<SubscriberId>)> {
        let last: Option<i64> = read!(self, conn => {
            sqlx::query_scalar(LAST_LOOKED_AT)
                .bind(list.0)
                .bind(after.0)
                .bind(i64::from(looked_at) - 1)
                .fetch_optional(conn)
                .await?
        });
        let upto = SubscriberId(last.unwrap_or(i64::MAX));
        let found = self
            .members_between(list, filter, at, (after, upto), limit)
            .await?;
        let full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
        let last = match found.last() {
            Some(found) if full => Some(found.id),
            _ => last,
        };
        Ok((found, last.map(SubscriberId)))
    }

    async fn members_between(
        &self,
        list: ListId,
        filter: &Filter,
        at: Timestamp,
        (after, upto): (SubscriberId, SubscriberId),
        limit: u32,
    ) -> Result<Vec<Member>> {
        let frame = Frame { free: 7, ..OF_LIST };
        let mut predicates = Predicates::new(self, frame);
        let holds = predicates.holds(filter);
        let text = format!(
            "with given as (select cast($2 as bigint) as at, cast($3 as bigint) as before)
             select u.id, u.address, s.key as subscription, coalesce(s.confirmed_at, 0) as confirmed_at
             from subscriptions s join subscribers u on u.id = s.subscriber_id
             where s.list_id = $1 and s.status = 'confirmed' and s.subscriber_id > $4 and s.subscriber_id <= $6
               and not {SUPPRESSED} and {holds}
             order by s.subscriber_id
             limit $5"
        );
        read!(self, conn => {
            let query = sqlx::query_as(self.sql(&text))
                .bind(list.0)
                .bind(at.0)
                .bind(NEXT_RUN)
                .bind(after.0)
                .bind(i64::from(limit))
                .bind(upto.0);
            Ok(bind_values!(query, predicates.values).fetch_all(conn).await?)
        })
    }

    /// Which of `sieves` the reader is in, on `list` or not: bit n is the nth.
    pub async fn segments_of(
        &self,
        reader: SubscriberId,
        list: ListId,
        sieves: &[Sieve],
        at: Timestamp,
    ) -> Result<i64> {
        let mut predicates = Predicates::new(self, OF_LIST);
        let bits = predicates.bits(sieves);
        let text = format!(
            "with given as (
                 select cast($2 as bigint) as at, cast($3 as bigint) as before, cast($5 as bigint) as five
             )
             select {bits}
             from subscribers u left join subscriptions s on s.list_id = $1 and s.subscriber_id = u.id
             where u.id = $4"
        );
        read!(self, conn => {
            let query = sqlx::query_scalar(self.sql(&text))
                .bind(list.0)
                .bind(at.0)
                .bind(NEXT_RUN)
                .bind(reader.0)
                .bind(0_i64);
            let bits: Option<i64> =
                bind_values!(query, predicates.values).fetch_optional(conn).await?;
            Ok(bits.unwrap_or(0))
        })
    }

    /// What the run came to among its recipients who are in a segment now; what the segment asks of the last issues, it
    /// asks of those before this run, and what it asks of an issue by name, of this one, too.
    pub async fn run_in_segment(&self, run: RunId, filter: &Filter, at: Timestamp) -> Result<Came> {
        let frame = Frame {
            list: "(select q.list_id from runs q where q.id = $1)",
            at: "$2",
            begun: "(select q.started_at from runs q where q.id = $1)",
            run: "$1",
            free: 3,
        };
        let mut predicates = Predicates::new(self, frame);
        let holds = predicates.holds(filter);
        let text = format!(
            "with given as (select cast($1 as bigint) as run, cast($2 as bigint) as at)
             select count(*) as recipients,
                 count(case when d.state = 'sent' then 1 end) as sent,
                 count(case when d.state = 'sent' and (d.copy like '%\"untracked\":true%' or j.withdrawn = 1) then 1 end)
                     as uncounted,
                 count(case when d.state = 'sent' and coalesce(d.copy, '') not like '%\"untracked\":true%'
                     and (j.opened in ('human', 'gmail') or j.clicked = 'human') then 1 end) as opened,
                 count(case when d.state = 'sent' and coalesce(d.copy, '') not like '%\"untracked\":true%'
                     and j.clicked = 'human' then 1 end) as clicked,
                 count(case when d.state = 'sent' then d.departed_at end) as departed
             from deliveries d
                 join subscribers u on u.id = d.subscriber_id
                 join runs m on m.id = d.run_id
                 left join judged j on j.run_id = d.run_id and j.seq = d.seq
                 left join subscriptions s on s.list_id = m.list_id and s.subscriber_id = d.subscriber_id
             where d.run_id = $1 and {holds}"
        );
        read!(self, conn => {
            let query = sqlx::query_as(self.sql(&text)).bind(run.0).bind(at.0);
            Ok(bind_values!(query, predicates.values).fetch_one(conn).await?)
        })
    }
}
