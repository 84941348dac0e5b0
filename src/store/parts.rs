//! Sent and bounced copies by mailbox provider, by subject and by link for some readers, and those that count nothing, a
//! block at a time: what shares are shares of.
//!
//! Promises: a block is counted again when its counters have moved since, and what it gave before is taken back in the
//! same transaction; on SQLite a look at a run that is counted costs one row. Leaves who is whose to `track::parts`.

use crate::clock::Timestamp;
use crate::id::RunId;
use crate::stats::tally::Tally;
use crate::store::folds::{ADD_TALLIES, tally_rows};
use crate::store::{Result, Store};

/// A block whose counters are not those by which its parts are known.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StaleBlock {
    pub run_id: i64,
    pub block: i64,
    pub sent: i64,
    pub bounced: i64,
    /// By which numbers of those it was counted, or less than nothing where it is to be counted again.
    pub counted_sent: i64,
    pub counted_bounced: i64,
    /// What it gave so far, as JSON; none yet.
    pub parts: Option<String>,
}

/// A copy that was sent or bounced.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Copied {
    pub seq: i64,
    pub state: String,
    /// The canonical address; none where the reader was erased.
    pub address: Option<String>,
    /// Which of the parts for some readers it has, as bits.
    pub parts: i64,
    /// 1 where it counts nothing: it has no pixel, and its links lead straight to their targets.
    pub untracked: i64,
    /// 1 where its reader wants nothing counted any more since she got it.
    pub withdrawn: i64,
}

impl Store {
    /// Blocks to be counted: of the run `run`, or without one, of those under way or finished after `since`.
    pub async fn stale_blocks(
        &self,
        run: Option<RunId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<StaleBlock>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select b.run_id, b.block, b.sent, b.bounced, b.counted_sent, b.counted_bounced, p.parts
                 from runs r
                     cross join blocks b
                     left join block_parts p on p.run_id = b.run_id and p.block = b.block
                 where r.kind = 'issue'
                   and (r.id = $1 or ($1 < 0 and (r.finished_at is null or r.finished_at > $2)))
                   and (select s.stale from run_sums s where s.run_id = r.id) > 0
                   and b.run_id = r.id
                   and (b.sent <> b.counted_sent or b.bounced <> b.counted_bounced)
                 limit $3",
            )
            .bind(run.map_or(-1, |run| run.0))
            .bind(since.0)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// The newest run of an issue before the run `before` that was over by `since`.
    pub async fn run_over_by(&self, since: Timestamp, before: RunId) -> Result<Option<RunId>> {
        let found: Option<i64> = read!(self, conn => {
            sqlx::query_scalar(
                "select id from runs where kind = 'issue' and id < $1 and finished_at <= $2
                 order by id desc limit 1",
            )
            .bind(before.0)
            .bind(since.0)
            .fetch_optional(conn)
            .await?
        });
        Ok(found.map(RunId))
    }

    /// The compiled issue of a run, as JSON; only if parts of it are for some readers, where that is asked.
    pub async fn content_of(&self, run: RunId, in_parts: bool) -> Result<Option<String>> {
        read!(self, conn => {
            let found = sqlx::query_scalar(
                "select v.content from runs r join revisions v on v.hash = r.revision
                 where r.id = $1 and ($2 = 0 or r.parts is not null)",
            )
            .bind(run.0)
            .bind(i64::from(in_parts))
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// The copies of a block that were sent or bounced.
    pub async fn copied(&self, block: &StaleBlock) -> Result<Vec<Copied>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select d.seq, d.state, u.canonical as address, coalesce(d.parts, 0) as parts,
                     case when d.copy like '%\"untracked\":true%' then cast(1 as bigint)
                         else cast(0 as bigint) end as untracked,
                     coalesce(j.withdrawn, 0) as withdrawn
                 from deliveries d
                     left join subscribers u on u.id = d.subscriber_id
                     left join judged j on j.run_id = d.run_id and j.seq = d.seq
                 where d.run_id = $1 and d.seq >= $2 * 256 and d.seq < ($2 + 1) * 256
                   and d.state in ('sent', 'bounced')",
            )
            .bind(block.run_id)
            .bind(block.block)
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// Keeps what a block gives, and adds `change` to the run's tallies. False if another counted it meanwhile.
    pub async fn keep_parts(
        &self,
        block: &StaleBlock,
        parts: &str,
        change: &Tally,
    ) -> Result<bool> {
        transact!(self, conn => {
            let counted = sqlx::query(
                "update blocks set counted_sent = $3, counted_bounced = $4
                 where run_id = $1 and block = $2 and counted_sent = $5 and counted_bounced = $6",
            )
            .bind(block.run_id)
            .bind(block.block)
            .bind(block.sent)
            .bind(block.bounced)
            .bind(block.counted_sent)
            .bind(block.counted_bounced)
            .execute(&mut *conn)
            .await?;
            if counted.rows_affected() != 1 {
                return Ok(false);
            }
            let kept = match &block.parts {
                None => sqlx::query(
                    "insert into block_parts (run_id, block, parts) values ($1, $2, $3)
                     on conflict (run_id, block) do nothing",
                ),
                Some(_) => sqlx::query(
                    "update block_parts set parts = $3
                     where run_id = $1 and block = $2 and parts = $4",
                ),
            };
            let kept = kept.bind(block.run_id).bind(block.block).bind(parts);
            let kept = match &block.parts {
                None => kept,
                Some(before) => kept.bind(before.as_str()),
            };
            if kept.execute(&mut *conn).await?.rows_affected() != 1 {
                return Ok(false);
            }
            sqlx::query(self.sql(ADD_TALLIES))
                .bind(block.run_id)
                .bind(tally_rows(change))
                .execute(&mut *conn)
                .await?;
            true
        })
    }
}
