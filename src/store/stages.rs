//! Runs that open in stages, and the numbers by which the next stage is opened or not.
//!
//! Invariant: nothing of a run leaves whose number is not below `open_to`: neither is its block leased nor
//! is it loaded, and only here does that bound rise.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::{ListId, RunId};
use crate::rollout::{Answers, Base, Numbers};
use crate::store::{Result, Store};

/// Something below the bound that no answer has come for yet: tried for the first time, or on its way.
const UNTRIED: &str = "
    select exists (
        select 1 from blocks b cross join deliveries d
        where b.run_id = $1 and b.block * 256 < $2 and b.queued + b.at_dot > 0
          and d.run_id = b.run_id and d.seq >= b.block * 256 and d.seq < (b.block + 1) * 256
          and +d.seq < $2
          and (d.state = 'at_dot' or (d.state = 'queued' and d.attempts = 0))
    )";

/// First answers of one group of domains on their way into the store.
#[derive(Clone, Debug, Serialize)]
pub struct AnswersRow {
    pub run: i64,
    pub provider: &'static str,
    pub answered: i64,
    pub deferred: i64,
}

impl Store {
    /// Opens the stage `to` of a run that is in `from`, up to the delivery numbered `open_to`; none is all.
    /// False if the run is not sending, or another node was first.
    pub async fn open_stage(
        &self,
        run: RunId,
        from: i64,
        to: i64,
        open_to: Option<i64>,
    ) -> Result<bool> {
        again!(self.try_open_stage(run, from, to, open_to).await)
    }

    async fn try_open_stage(
        &self,
        run: RunId,
        from: i64,
        to: i64,
        open_to: Option<i64>,
    ) -> Result<bool> {
        transact!(self, conn => {
            // The block in which the bound stood was given back without what lay behind it. Blocks before
            // runs, as whoever gives one back takes them.
            sqlx::query(
                "update blocks set next_due = (
                     select min(d.due_at) from deliveries d
                     where d.run_id = $1 and d.state = 'queued'
                       and d.seq >= blocks.block * 256 and d.seq < (blocks.block + 1) * 256
                       and +d.seq < coalesce(cast($2 as bigint), 9223372036854775807)
                 )
                 where run_id = $1 and block = (select open_to / 256 from runs where id = $1)",
            )
            .bind(run.0)
            .bind(open_to)
            .execute(&mut *conn)
            .await?;
            let changed = sqlx::query(
                "update runs set stage = $3, open_to = $4, staged_at = null
                 where id = $1 and stage = $2 and status = 'sending' and open_to is not null",
            )
            .bind(run.0)
            .bind(from)
            .bind(to)
            .bind(open_to)
            .execute(&mut *conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Whether every delivery below `open_to` has had an answer, or needs none.
    pub async fn stage_is_tried(&self, run: RunId, open_to: i64) -> Result<bool> {
        read!(self, conn => {
            let untried: bool = sqlx::query_scalar(UNTRIED)
                .bind(run.0)
                .bind(open_to)
                .fetch_one(conn)
                .await?;
            Ok(!untried)
        })
    }

    /// Notes that all of the stage has been tried: its wait begins.
    pub async fn stage_tried(&self, run: RunId, stage: i64, at: Timestamp) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "update runs set staged_at = $3 where id = $1 and stage = $2 and staged_at is null",
            )
            .bind(run.0)
            .bind(stage)
            .bind(at.0)
            .execute(conn)
            .await?;
        })
    }

    /// Holds a run whose numbers left their band. When a person lets it go on, they count from `base`. Where all of the
    /// stage was `tried`, its wait is over then, for its numbers are what was looked at; else the rest of it goes out
    /// first, and its wait begins behind that. A subject test is decided when it was to be, and not before it is out.
    pub async fn hold_stage(
        &self,
        run: RunId,
        reason: &str,
        base: &Numbers,
        tried: bool,
        at: Timestamp,
    ) -> Result<bool> {
        let base = Base {
            at: at.0,
            numbers: base.clone(),
        };
        let base = serde_json::to_string(&base).expect("names and numbers have a JSON form");
        transact!(self, conn => {
            let changed = sqlx::query(
                "update runs set status = 'held', reason = $2, since = $4, stage_base = $3,
                     staged_at = case when trial is null and $5 = 1 then 0 else staged_at end
                 where id = $1 and status = 'sending'",
            )
            .bind(run.0)
            .bind(reason)
            .bind(base)
            .bind(at.0)
            .bind(i64::from(tried))
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Adds first answers to those counted so far.
    pub async fn add_answers(&self, rows: &[AnswersRow]) -> Result<()> {
        let rows = serde_json::to_string(rows).expect("names and numbers have a JSON form");
        transact!(self, conn => {
            sqlx::query(self.sql(
                "insert into answers (run_id, provider, answered, deferred)
                 select cast(value->>'run' as bigint), value->>'provider',
                     cast(value->>'answered' as bigint), cast(value->>'deferred' as bigint)
                 from json_each($1) where true
                 on conflict (run_id, provider) do update
                 set answered = answers.answered + excluded.answered,
                     deferred = answers.deferred + excluded.deferred",
            ))
            .bind(rows)
            .execute(conn)
            .await?;
        })
    }

    /// What has come of a run so far.
    pub async fn run_numbers(&self, run: RunId) -> Result<Numbers> {
        Ok(self
            .numbers_of(&[run.0])
            .await?
            .remove(&run.0)
            .unwrap_or_default())
    }

    /// What has come of a run's copies that went out, or were refused, from `at` on: bounces, leavings and complaints.
    pub async fn came_of_later(&self, run: RunId, at: Timestamp) -> Result<Numbers> {
        read!(self, conn => {
            let (bounced, departed, complained) = sqlx::query_as(
                "select count(*) filter (where d.state = 'bounced'),
                     count(*) filter (where d.departed_at is not null),
                     count(*) filter (where d.complained_at is not null)
                 from blocks b cross join deliveries d
                 where b.run_id = $1 and b.bounced + b.departed + b.complained > 0
                   and d.run_id = b.run_id and d.seq >= b.block * 256 and d.seq < (b.block + 1) * 256
                   and coalesce(d.marked_at, d.settled_at) >= $2",
            )
            .bind(run.0)
            .bind(at.0)
            .fetch_one(conn)
            .await?;
            Ok(Numbers { bounced, departed, complained, ..Numbers::default() })
        })
    }

    /// What came of the last `limit` runs to `list` that were sent to their end, before the run `before`.
    pub async fn numbers_before(
        &self,
        list: ListId,
        before: RunId,
        limit: u32,
    ) -> Result<Vec<Numbers>> {
        let runs: Vec<i64> = read!(self, conn => {
            sqlx::query_scalar(
                "select id from runs
                 where list_id = $1 and id < $2 and kind = 'issue' and status = 'finished'
                 order by id desc limit $3",
            )
            .bind(list.0)
            .bind(before.0)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?
        });
        Ok(self.numbers_of(&runs).await?.into_values().collect())
    }

    async fn numbers_of(&self, runs: &[i64]) -> Result<BTreeMap<i64, Numbers>> {
        let runs = serde_json::to_string(runs).expect("numbers always serialise");
        read!(self, conn => {
            let sums: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(self.sql(
                "select r.id, b.sent, b.bounced, b.departed, b.complained
                 from runs r join run_sums b on b.run_id = r.id
                 where r.id in (select cast(value as bigint) from json_each($1))",
            ))
            .bind(runs.as_str())
            .fetch_all(&mut *conn)
            .await?;
            let answers: Vec<(i64, String, i64, i64)> = sqlx::query_as(self.sql(
                "select run_id, provider, answered, deferred from answers
                 where run_id in (select cast(value as bigint) from json_each($1))",
            ))
            .bind(runs.as_str())
            .fetch_all(&mut *conn)
            .await?;
            let mut found: BTreeMap<i64, Numbers> = BTreeMap::new();
            for (run, sent, bounced, departed, complained) in sums {
                let numbers = found.entry(run).or_default();
                (numbers.sent, numbers.bounced) = (sent, bounced);
                (numbers.departed, numbers.complained) = (departed, complained);
            }
            for (run, provider, answered, deferred) in answers {
                let numbers = found.entry(run).or_default();
                numbers.providers.insert(provider, Answers { answered, deferred });
            }
            Ok(found)
        })
    }

    /// Which of the readers with these canonical addresses are confirmed on `list`: address and key.
    pub async fn confirmed_among(
        &self,
        list: ListId,
        addresses: &[String],
    ) -> Result<Vec<(String, i64)>> {
        let rows: Vec<_> = addresses
            .iter()
            .map(|address| serde_json::json!({ "address": address }))
            .collect();
        let addresses = serde_json::Value::from(rows).to_string();
        read!(self, conn => {
            let rows = sqlx::query_as(self.sql(
                "select u.canonical, u.id
                 from json_each($1) as a
                     join subscribers u on u.canonical = a.value->>'address'
                     join subscriptions s on s.subscriber_id = u.id
                 where s.list_id = $2 and s.status = 'confirmed'
                 order by u.id",
            ))
            .bind(addresses)
            .bind(list.0)
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }
}
