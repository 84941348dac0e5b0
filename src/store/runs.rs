//! Runs: their rows, their status, and the freeze that copies an audience into deliveries.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::{DeliveryKey, ListId, RunId};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::{Result, Store};

/// A run as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Run {
    pub id: i64,
    pub kind: String,
    pub slug: String,
    pub title: String,
    pub list_id: Option<i64>,
    pub revision: Option<String>,
    /// From, List-Id and the like as JSON, fixed when the run was made.
    #[serde(skip)]
    pub headers: String,
    pub relay: String,
    pub policy: String,
    pub status: String,
    pub recipients: i64,
    /// Why it is held, in the words of whoever held it.
    pub reason: Option<String>,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
}

impl Run {
    /// The run's number.
    pub fn id(&self) -> RunId {
        RunId(self.id)
    }
}

/// A run on its way into the store.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    pub slug: &'a str,
    pub title: &'a str,
    pub list: ListId,
    pub revision: &'a str,
    pub headers: &'a str,
    pub relay: &'a str,
    pub policy: &'a str,
}

/// What came of asking for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// A new run stands in status `freezing`.
    New(RunId),
    /// The same issue for the same list is still under way.
    UnderWay(RunId),
    /// The same issue went to the same list before.
    Before(RunId),
}

/// How far one step of a freeze came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frozen {
    /// So many recipients so far; there are more.
    Some(i64),
    /// All of them: the run is `sending`.
    All(i64),
    /// The run is not in status `freezing`.
    Not,
}

const COLUMNS: &str = "id, kind, slug, title, list_id, revision, headers, relay, policy, status,
    recipients, reason, created_at, started_at, finished_at";

/// The next recipients behind the cursor. Who is suppressed takes part as `suppressed`, so that the
/// author sees it. Differs by necessity: PostgreSQL locks the rows it reads against a reader who leaves
/// meanwhile; on SQLite there is one writer.
const FREEZE: &str = "
    with picked as materialized (
        select s.subscriber_id as id,
            exists (select 1 from suppressions x where x.hash = u.hash) as suppressed
        from subscriptions s join subscribers u on u.id = s.subscriber_id
        where s.list_id = $1 and s.status = 'confirmed' and s.confirmed_at <= $2
          and s.subscriber_id > $3
        order by s.subscriber_id
        limit $4
        /* for share of s, u */
    )
    insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at)
    select $5, $6 + row_number() over (order by id) - 1, id,
        case when suppressed then 'suppressed' else 'queued' end, $7,
        case when suppressed then $7 end
    from picked";

const FREEZE_BLOCKS: &str = "
    insert into blocks (run_id, block, next_due, queued, suppressed)
    select run_id, seq / 256, $3,
        cast(sum(case when state = 'queued' then 1 else 0 end) as bigint),
        cast(sum(case when state = 'suppressed' then 1 else 0 end) as bigint)
    from deliveries where run_id = $1 and seq >= $2
    group by run_id, seq / 256";

impl Store {
    /// Makes a run in status `freezing`, unless the same issue is under way or went to the same list
    /// before; `again` allows the latter.
    pub async fn begin_run(&self, new: &NewRun<'_>, again: bool, at: Timestamp) -> Result<Begun> {
        transact!(self, conn => {
            // Two callers at once: the second waits here and then finds the first one's run.
            if !self.is_sqlite() {
                sqlx::query("lock table runs in share row exclusive mode").execute(&mut *conn).await?;
            }
            let before = sqlx::query_as::<_, (i64, String)>(
                "select id, status from runs
                 where slug = $1 and list_id = $2
                   -- A cancelled run counts once it has reached anyone.
                   and (status <> 'cancelled' or exists (
                     select 1 from blocks
                     where blocks.run_id = runs.id and sent + at_dot + uncertain > 0))
                 order by id desc limit 1",
            )
            .bind(new.slug)
            .bind(new.list.0)
            .fetch_optional(&mut *conn)
            .await?;
            match before {
                Some((id, status)) if !matches!(status.as_str(), "finished" | "cancelled") => Begun::UnderWay(RunId(id)),
                Some((id, _)) if !again => Begun::Before(RunId(id)),
                _ => {
                    let id: i64 = sqlx::query_scalar(
                        "insert into runs (id, kind, slug, title, list_id, revision, headers, relay,
                             policy, status, cutoff, frozen_to, recipients, created_at)
                         select max(id) + 1, 'issue', $1, $2, $3, $4, $5, $6, $7, 'freezing', $8, 0, 0, $8
                         from runs
                         returning id",
                    )
                    .bind(new.slug)
                    .bind(new.title)
                    .bind(new.list.0)
                    .bind(new.revision)
                    .bind(new.headers)
                    .bind(new.relay)
                    .bind(new.policy)
                    .bind(at.0)
                    .fetch_one(&mut *conn)
                    .await?;
                    Begun::New(RunId(id))
                }
            }
        })
    }

    /// Freezes up to `limit` more recipients of a run, a multiple of the block length; the last step
    /// moves the run to `sending`.
    pub async fn freeze_some(&self, run: RunId, limit: u32, at: Timestamp) -> Result<Frozen> {
        let block = i64::from(DeliveryKey::BLOCK);
        let limit = i64::from(limit) / block * block;
        transact!(self, conn => {
            let lock = self.sql(
                "select list_id, cutoff, frozen_to, recipients from runs
                 where id = $1 and status = 'freezing' /* for update */",
            );
            let row = sqlx::query_as::<_, (i64, i64, i64, i64)>(lock)
                .bind(run.0)
                .fetch_optional(&mut *conn)
                .await?;
            match row {
                None => Frozen::Not,
                Some((list, cutoff, frozen_to, recipients)) => {
                    let added = sqlx::query(self.sql(FREEZE))
                        .bind(list)
                        .bind(cutoff)
                        .bind(frozen_to)
                        .bind(limit)
                        .bind(run.0)
                        .bind(recipients)
                        .bind(at.0)
                        .execute(&mut *conn)
                        .await?
                        .rows_affected();
                    let added = i64::try_from(added).unwrap_or(i64::MAX);
                    if added > 0 {
                        sqlx::query(FREEZE_BLOCKS)
                            .bind(run.0)
                            .bind(recipients)
                            .bind(at.0)
                            .execute(&mut *conn)
                            .await?;
                    }
                    let all = added < limit;
                    sqlx::query(
                        "update runs set recipients = $2,
                             frozen_to = coalesce((
                                 select subscriber_id from deliveries where run_id = $1 and seq = $2 - 1
                             ), frozen_to),
                             status = $3, started_at = $4
                         where id = $1",
                    )
                    .bind(run.0)
                    .bind(recipients + added)
                    .bind(if all { "sending" } else { "freezing" })
                    .bind(all.then_some(at.0))
                    .execute(&mut *conn)
                    .await?;
                    if all { Frozen::All(recipients + added) } else { Frozen::Some(recipients + added) }
                }
            }
        })
    }

    /// The run numbered `id`.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!("select {COLUMNS} from runs where id = $1"));
            Ok(sqlx::query_as::<_, Run>(text).bind(id.0).fetch_optional(conn).await?)
        })
    }

    /// The newest run of the issue `slug`.
    pub async fn run_of(&self, slug: &str) -> Result<Option<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where slug = $1 and kind = 'issue' order by id desc limit 1"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(slug).fetch_optional(conn).await?)
        })
    }

    /// Issue runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where kind = 'issue' order by id desc limit $1"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(i64::from(limit)).fetch_all(conn).await?)
        })
    }

    /// Runs with something to do: freezing, sending, or open; the oldest first.
    pub async fn active_runs(&self) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where status in ('freezing', 'sending', 'open') order by id"
            ));
            Ok(sqlx::query_as::<_, Run>(text).fetch_all(conn).await?)
        })
    }

    /// Moves a run from one status to another, with the reason a person may read. False if it was not in
    /// `from`.
    pub async fn set_run_status(
        &self,
        run: RunId,
        from: &str,
        to: &str,
        reason: Option<&str>,
    ) -> Result<bool> {
        transact!(self, conn => {
            let changed = sqlx::query(
                "update runs set status = $3, reason = $4
                 where id = $1 and status = $2 and kind = 'issue'",
            )
            .bind(run.0)
            .bind(from)
            .bind(to)
            .bind(reason)
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Finishes a run in which nothing is open and the identity holds. False if it is not so (yet).
    pub async fn finish_run(&self, run: RunId, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            let changed = sqlx::query(
                "update runs set status = 'finished', finished_at = $2
                 where id = $1 and status = 'sending'
                   and recipients = (
                       select coalesce(sum(sent + bounced + failed + expired + suppressed
                           + unsubscribed + uncertain + cancelled), 0)
                       from blocks where run_id = $1
                   )",
            )
            .bind(run.0)
            .bind(at.0)
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Moves the queued deliveries of `blocks` further blocks of a cancelled run to `cancelled`; gives how
    /// many blocks still hold queued ones.
    pub async fn cancel_some(&self, run: RunId, blocks: u32, at: Timestamp) -> Result<i64> {
        again!(self.try_cancel(run, blocks, at).await)
    }

    async fn try_cancel(&self, run: RunId, blocks: u32, at: Timestamp) -> Result<i64> {
        transact!(self, conn => {
            let taken = sqlx::query_as::<_, (i64, i64)>(
                "update deliveries set state = 'cancelled', settled_at = $3
                 where run_id = $1 and state = 'queued'
                   and seq >= 256 * (select min(block) from blocks where run_id = $1 and queued > 0)
                   and seq < 256 * ($2
                       + (select min(block) from blocks where run_id = $1 and queued > 0))
                 returning run_id, seq",
            )
            .bind(run.0)
            .bind(i64::from(blocks))
            .bind(at.0)
            .fetch_all(&mut *conn)
            .await?;
            let mut moves = Moves::default();
            for (run, seq) in taken {
                let seq = u32::try_from(seq).unwrap_or(u32::MAX);
                moves.add(DeliveryKey { run: RunId(run), seq }, State::Queued, State::Cancelled);
            }
            apply_moves!(self, conn, moves);
            let left: i64 = sqlx::query_scalar(
                "select count(*) from blocks where run_id = $1 and queued > 0",
            )
            .bind(run.0)
            .fetch_one(&mut *conn)
            .await?;
            left
        })
    }
}
