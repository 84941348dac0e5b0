//! Proof and repair: the ledger counted row by row, and what a person decides about single deliveries.

use serde::{Serialize, Serializer};
use serde_json::json;

use crate::clock::Timestamp;
use crate::delivery::{Counts, State};
use crate::id::{DeliveryKey, RunId};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::comeback::{LOOK_AGAIN, hold_runs, lock_readers, take_leavers};
use crate::store::{Result, Store};

/// One delivery as a person reads it.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct DeliveryRow {
    pub seq: i64,
    /// A text in JSON: what reads its numbers as floats would round it.
    #[serde(serialize_with = "as_text")]
    pub subscriber_id: i64,
    pub address: Option<String>,
    pub state: String,
    pub attempts: i64,
    pub due_at: i64,
    pub marked_at: Option<i64>,
    pub settled_at: Option<i64>,
    pub code: Option<i64>,
    pub enhanced: Option<String>,
    pub reply: Option<String>,
    /// Why its last failed attempt failed, in one word.
    pub reason: Option<String>,
    /// What its copy was made of, if one was.
    #[serde(skip)]
    pub copy: Option<String>,
}

fn as_text<S: Serializer>(id: &i64, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(id)
}

/// What a run's rows say, what its counters say, and how many recipients it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Twice {
    pub rows: Counts,
    pub counters: Counts,
    pub recipients: i64,
}

/// What one delivery's copy was made of.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct CopyRow {
    pub revision: Option<String>,
    pub headers: String,
    pub copy: Option<String>,
}

/// The bound of a stage stands within a block. Only those are looked at that have something queued and nothing due.
const DEFERRED_IN_STAGES: &str = "
    select count(*), min(d.due_at) from blocks b cross join deliveries d
    where b.run_id = $1 and b.queued > 0 and b.next_due > $2 and b.block * 256 < $3
      and d.run_id = b.run_id and d.seq >= b.block * 256 and d.seq < (b.block + 1) * 256
      and +d.seq < $3 and d.state = 'queued' and d.due_at > $2";

/// One statement, so that both engines answer from one snapshot.
const COUNT_TWICE: &str = "
    select state, count(*), cast(0 as bigint) from deliveries where run_id = $1 group by state
    union all
    select t.state, cast(0 as bigint), cast(t.number as bigint) from (
        select 'queued' as state, coalesce(sum(queued), 0) as number from blocks where run_id = $1
        union all select 'at_dot', coalesce(sum(at_dot), 0) from blocks where run_id = $1
        union all select 'sent', coalesce(sum(sent), 0) from blocks where run_id = $1
        union all select 'bounced', coalesce(sum(bounced), 0) from blocks where run_id = $1
        union all select 'failed', coalesce(sum(failed), 0) from blocks where run_id = $1
        union all select 'expired', coalesce(sum(expired), 0) from blocks where run_id = $1
        union all select 'suppressed', coalesce(sum(suppressed), 0) from blocks where run_id = $1
        union all select 'unsubscribed', coalesce(sum(unsubscribed), 0) from blocks where run_id = $1
        union all select 'uncertain', coalesce(sum(uncertain), 0) from blocks where run_id = $1
        union all select 'cancelled', coalesce(sum(cancelled), 0) from blocks where run_id = $1
        union all select 'recipients', recipients from runs where id = $1
    ) as t";

impl Store {
    /// The states of a run, counted row by row (slow, and independent of the counters), beside what the counters and
    /// the run itself say, all of one moment: also while the run is sent.
    pub async fn count_twice(&self, run: RunId) -> Result<Twice> {
        read!(self, conn => {
            let found = sqlx::query_as::<_, (String, i64, i64)>(COUNT_TWICE)
                .bind(run.0)
                .fetch_all(conn)
                .await?;
            let mut twice = Twice::default();
            for (name, rows, counter) in found {
                let Some(state) = State::parse(&name) else {
                    twice.recipients = counter;
                    continue;
                };
                *twice.rows.get_mut(state) += rows;
                *twice.counters.get_mut(state) += counter;
            }
            Ok(twice)
        })
    }

    /// Deliveries of a run without a gap in their numbers and without a reader twice: true when so.
    pub async fn recipients_are_distinct(&self, run: RunId) -> Result<bool> {
        read!(self, conn => {
            let (rows, readers, last): (i64, i64, i64) = sqlx::query_as(
                "select count(*), count(distinct subscriber_id), coalesce(max(seq), -1)
                 from deliveries where run_id = $1",
            )
            .bind(run.0)
            .fetch_one(conn)
            .await?;
            Ok(rows == readers && last == rows - 1)
        })
    }

    /// The revisions that a run's copies are made from.
    pub async fn revisions_of(&self, run: RunId) -> Result<Vec<String>> {
        read!(self, conn => {
            let found = sqlx::query_scalar(
                "select revision from runs where id = $1 and revision is not null
                 union
                 select revision from system_mails where run_id = $1",
            )
            .bind(run.0)
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// The link table of a revision: index and URL.
    pub async fn links_of(&self, revision: &str) -> Result<Vec<(i64, String)>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select link, url from links where revision = $1 order by link",
            )
            .bind(revision)
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// Clicked links of a run that no revision of it has.
    pub async fn clicks_without_link(&self, run: RunId) -> Result<i64> {
        read!(self, conn => {
            let number = sqlx::query_scalar(
                "select count(*) from link_counts c
                 where c.run_id = $1
                   and not exists (
                       select 1 from links l
                       where l.link = c.link and l.revision in (
                           select revision from runs where id = $1 and revision is not null
                           union all
                           select revision from system_mails where run_id = $1
                       )
                   )",
            )
            .bind(run.0)
            .fetch_one(conn)
            .await?;
            Ok(number)
        })
    }

    /// Deliveries of a run in `state` (or all), behind `after`, in the order of their numbers.
    pub async fn deliveries(
        &self,
        run: RunId,
        state: Option<State>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>> {
        read!(self, conn => {
            let rows = sqlx::query_as::<_, DeliveryRow>(
                "select d.seq, d.subscriber_id, coalesce(m.address, u.address) as address, d.state,
                     d.attempts, d.due_at, d.marked_at, d.settled_at, d.code, d.enhanced, d.reply,
                     d.copy, f.reason
                 from deliveries d
                     left join subscribers u on u.id = d.subscriber_id
                     left join system_mails m on m.run_id = d.run_id and m.seq = d.seq
                     left join failures f on f.run_id = d.run_id and f.seq = d.seq
                 where d.run_id = $1 and d.seq > $2 and ($3 = '' or d.state = $3)
                 order by d.seq
                 limit $4",
            )
            .bind(run.0)
            .bind(after)
            .bind(state.map_or("", State::name))
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }

    /// How many deliveries are deferred, and when the next of them is due. Of a run in stages those of a stage to come are
    /// not: they wait for that.
    pub async fn deferred(&self, run: RunId, now: Timestamp) -> Result<(i64, Option<i64>)> {
        read!(self, conn => {
            let open_to: Option<i64> = sqlx::query_scalar("select open_to from runs where id = $1")
                .bind(run.0)
                .fetch_optional(&mut *conn)
                .await?
                .flatten();
            let statement = match open_to {
                None => "select cast(coalesce(sum(queued), 0) as bigint), min(next_due) from blocks
                         where run_id = $1 and queued > 0 and next_due > $2 and block * 256 < $3",
                Some(_) => DEFERRED_IN_STAGES,
            };
            let row = sqlx::query_as::<_, (i64, Option<i64>)>(statement)
                .bind(run.0)
                .bind(now.0)
                .bind(open_to.unwrap_or(i64::MAX))
                .fetch_one(conn)
                .await?;
            Ok(row)
        })
    }

    /// How many queued deliveries stand in blocks where something is due.
    pub async fn due(&self, run: RunId, now: Timestamp) -> Result<i64> {
        read!(self, conn => {
            let number = sqlx::query_scalar(
                "select cast(coalesce(sum(queued), 0) as bigint) from blocks
                 where run_id = $1 and queued > 0 and next_due <= $2
                   and block * 256 < (
                       select coalesce(open_to, 9223372036854775807) from runs where id = $1
                   )",
            )
            .bind(run.0)
            .bind(now.0)
            .fetch_one(conn)
            .await?;
            Ok(number)
        })
    }

    /// Moves uncertain deliveries to `sent` or back to `queued`: all of a run, or one. Gives how many; whose reader
    /// has left meanwhile is not queued. A finished run with something queued again is `sending` again.
    pub async fn resolve_uncertain(
        &self,
        run: RunId,
        seq: Option<u32>,
        to: State,
        at: Timestamp,
    ) -> Result<u64> {
        again!(self.try_resolve(run, seq, to, at).await)
    }

    async fn try_resolve(
        &self,
        run: RunId,
        seq: Option<u32>,
        to: State,
        at: Timestamp,
    ) -> Result<u64> {
        transact!(self, conn => {
            let chosen: Vec<(i64, i64)> = sqlx::query_as(
                "select d.run_id, d.seq from blocks b cross join deliveries d
                 where b.run_id = $1 and b.uncertain > 0 and d.run_id = b.run_id
                   and d.seq >= b.block * 256 and d.seq < (b.block + 1) * 256
                   and d.state = 'uncertain' and ($2 < 0 or d.seq = $2)",
            )
            .bind(run.0)
            .bind(seq.map_or(-1, i64::from))
            .fetch_all(&mut *conn)
            .await?;
            let keys = chosen.iter().map(|(run, seq)| json!({ "run": run, "seq": seq }));
            let keys = serde_json::Value::from_iter(keys).to_string();
            if to == State::Queued {
                lock_readers!(self, conn, keys.as_str());
                hold_runs!(self, conn, format!("[{}]", run.0));
            }
            let rows = sqlx::query_as::<_, (i64, i64)>(self.sql(
                // A resolution is known by its time, which no clock puts before the outcome.
                "update deliveries set state = $2,
                     due_at = case when $2 = 'sent' and settled_at > $3 then settled_at else $3 end,
                     settled_at = case when $2 = 'queued' then null else settled_at end
                 from json_each($1) as o
                 where run_id = cast(o.value->>'run' as bigint) and seq = cast(o.value->>'seq' as bigint)
                   and state = 'uncertain'
                 returning run_id, seq",
            ))
            .bind(keys.as_str())
            .bind(to.name())
            .bind(at.0)
            .fetch_all(&mut *conn)
            .await?;
            let mut moves = Moves::default();
            for &(run, seq) in &rows {
                let seq = u32::try_from(seq).expect("a seq is written from a u32");
                moves.add(DeliveryKey { run: RunId(run), seq }, State::Uncertain, to);
            }
            let mut number = rows.len();
            if to == State::Queued {
                number -= take_leavers!(self, conn, keys.as_str(), at, moves);
                sqlx::query(self.sql(LOOK_AGAIN)).bind(keys.as_str()).execute(&mut *conn).await?;
            }
            apply_moves!(self, conn, moves);
            if to == State::Queued && number > 0 {
                sqlx::query(
                    "update blocks set next_due = $2 where run_id = $1 and queued > 0
                       and (next_due is null or next_due > $2)",
                )
                .bind(run.0)
                .bind(at.0)
                .execute(&mut *conn)
                .await?;
                sqlx::query(
                    "update runs set status = 'sending', finished_at = null, since = $2
                     where id = $1 and status = 'finished'",
                )
                .bind(run.0)
                .bind(at.0)
                .execute(&mut *conn)
                .await?;
            }
            u64::try_from(number).unwrap_or(u64::MAX)
        })
    }

    /// What the copy of one delivery was made of.
    pub async fn copy_of(&self, key: DeliveryKey) -> Result<Option<CopyRow>> {
        read!(self, conn => {
            let row = sqlx::query_as::<_, CopyRow>(
                "select coalesce(m.revision, r.revision) as revision, r.headers, d.copy
                 from deliveries d
                     join runs r on r.id = d.run_id
                     left join system_mails m on m.run_id = d.run_id and m.seq = d.seq
                 where d.run_id = $1 and d.seq = $2",
            )
            .bind(key.run.0)
            .bind(i64::from(key.seq))
            .fetch_optional(conn)
            .await?;
            Ok(row)
        })
    }
}
