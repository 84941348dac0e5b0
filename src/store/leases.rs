//! Who may send: senders, their leases on blocks, and what a dead one left behind.
//!
//! Promises: a block has one holder; a marker of a holder whose lease ended is refused (`ledger`). On
//! SQLite a lease has no end but its process's, which an operating-system lock tells; on PostgreSQL it
//! ends by the database's clock.

use std::time::Duration;

use serde::Serialize;

use crate::clock::{Clock, Timestamp, uptime};
use crate::delivery::State;
use crate::id::{DeliveryKey, RunId};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::{Result, Store};

/// A queued delivery with what its copy is made of.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Queued {
    pub seq: i64,
    pub attempts: i64,
    /// The code of the last answer; 0 before the first.
    pub code: i64,
    /// For how long it has waited, in ms, by the clock of whoever took it up.
    pub age: i64,
    pub subscriber_id: i64,
    pub address: String,
    pub name: String,
    pub fields: String,
    /// The subscription's key, 0 where the mail belongs to none.
    pub subscription: i64,
    /// In the link to her page, where that is another key.
    pub manage_key: Option<i64>,
    /// `off` where the reader wants nothing counted.
    pub tracking: String,
    /// Which of the issue's segments the reader was in: bit n is the nth.
    pub parts: i64,
    /// The open run only: what this delivery carries.
    pub kind: Option<String>,
    pub revision: Option<String>,
    pub data: Option<String>,
    pub list_id: Option<i64>,
}

/// The columns of [`LOAD`], read by place: one row for each message of a run.
type IssueRow = (
    i64,
    i64,
    i64,
    i64,
    i64,
    String,
    String,
    String,
    String,
    i64,
    i64,
    Option<i64>,
);

impl Queued {
    /// Whether it bounced before, and was put back: a failed one is put back without its attempt.
    pub fn has_bounced(&self) -> bool {
        self.attempts > 0 && self.code >= 500
    }

    /// Whether it was refused for good before, whoever was to blame, and was put back.
    pub fn was_refused(&self) -> bool {
        self.code >= 500
    }

    /// For how long it had waited when it was taken up.
    pub fn age(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.age).unwrap_or(0))
    }
}

#[derive(Serialize)]
struct BlockRow {
    block: u32,
}

const LEASE: &str = "
    with free as materialized (
        select block from blocks
        where run_id = $1 and queued > 0 and next_due <= $2
          and block * 256 < (
              select coalesce(open_to, 9223372036854775807) from runs where id = $1
          )
          and (boot is null or (boot <> $4 and until < db_now()))
          and exists (select 1 from senders where senders.boot = $4)
        order by block
        limit $3
        /* for update skip locked */
    )
    update blocks set owner = $5, boot = $4, until = db_now() + $6
    where run_id = $1 and block in (select block from free)
    returning block";

/// A delivery's age counts from when its run last began to go, and where the run is spread, from the end of that:
/// who was first tried after days is no older than the others. At a pace of which no end is known it has none, and its
/// waits alone count.
const LOAD: &str = "
    select d.seq, d.attempts, coalesce(d.code, 0) as code,
        $4 - case when r.per_day is not null then cast($4 as bigint)
            when r.spread_until > r.since then r.spread_until
            when r.since > 0 then r.since
            else coalesce(r.started_at, r.created_at) end as age,
        d.subscriber_id,
        u.address, u.name, u.fields, u.tracking, s.key as subscription,
        coalesce(d.parts, 0) as parts, s.manage_key
    from deliveries d
        join runs r on r.id = d.run_id
        join subscribers u on u.id = d.subscriber_id
        join subscriptions s on s.list_id = r.list_id and s.subscriber_id = d.subscriber_id
    where d.run_id = $1 and d.seq >= $2 and d.seq < $3 and d.state = 'queued' and d.due_at <= $4
      and +d.seq < coalesce(r.open_to, 9223372036854775807)
    order by d.seq";

const LOAD_SYSTEM: &str = "
    select d.seq, d.attempts, coalesce(d.code, 0) as code, $4 - d.due_at as age, d.subscriber_id,
        coalesce(m.address, u.address) as address, coalesce(u.name, '') as name,
        coalesce(u.fields, '{}') as fields, coalesce(s.key, 0) as subscription,
        s.manage_key, coalesce(u.tracking, 'unset') as tracking, coalesce(d.parts, 0) as parts,
        m.kind, m.revision, m.data, m.list_id
    from deliveries d
        join system_mails m on m.run_id = d.run_id and m.seq = d.seq
        left join subscribers u on u.id = d.subscriber_id
        left join subscriptions s on s.list_id = m.list_id and s.subscriber_id = d.subscriber_id
    where d.run_id = $1 and d.seq >= $2 and d.seq < $3 and d.state = 'queued' and d.due_at <= $4
      and coalesce(m.address, u.address) is not null
    order by d.seq";

/// Blocks with something at the dot are few, and each names a range of the primary key; the cross join
/// keeps SQLite from going through all deliveries instead. What a reader has opened meanwhile had arrived.
const REAP: &str = "
    update deliveries set settled_at = $3, code = null, enhanced = null,
        state = case when coalesce(opened_at, clicked_at, departed_at) is null then 'uncertain' else 'sent' end,
        reply = case when coalesce(opened_at, clicked_at, departed_at) is null
            then 'the sender died before the answer to the final dot' else reply end
    where (run_id, seq) in (
        select d.run_id, d.seq from runs r cross join blocks b cross join deliveries d
        where r.status <> 'finished' and b.run_id = r.id and b.at_dot > 0 and d.run_id = b.run_id
          and d.seq >= b.block * 256 and d.seq < (b.block + 1) * 256
          and d.state = 'at_dot' and d.boot <> $1
          and d.boot not in (select s.boot from senders s where s.until + $2 > db_now())
    )
      and state = 'at_dot'
    returning run_id, seq, state";

impl Store {
    /// Enters `node` as a sender under a new `boot`. An older boot of the same node is fenced by this.
    pub async fn enter_sender(
        &self,
        node: &str,
        boot: i64,
        lease: Duration,
        at: Timestamp,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(self.sql(
                "insert into senders (node, boot, started_at, until)
                 values ($1, $2, $3, db_now() + $4)
                 on conflict (node) do update
                 set boot = excluded.boot, started_at = excluded.started_at, until = excluded.until,
                     trouble = null, charge = null, setup = null, unfit = null",
            ))
            .bind(node)
            .bind(boot)
            .bind(at.0)
            .bind(millis(lease))
            .execute(conn)
            .await?;
        })
    }

    /// Renews the sender's leases; false if another boot of this node has taken its place.
    pub async fn renew_leases(&self, node: &str, boot: i64, lease: Duration) -> Result<bool> {
        again!(self.try_renew(node, boot, lease).await)
    }

    async fn try_renew(&self, node: &str, boot: i64, lease: Duration) -> Result<bool> {
        transact!(self, conn => {
            let kept = sqlx::query(self.sql(
                "update senders set until = db_now() + $3 where node = $1 and boot = $2",
            ))
            .bind(node)
            .bind(boot)
            .bind(millis(lease))
            .execute(&mut *conn)
            .await?
            .rows_affected();
            sqlx::query(self.sql(
                "update blocks set until = db_now() + $2
                 where boot = $1 and run_id in (
                     select id from runs where status not in ('finished', 'cancelled')
                 )",
            ))
            .bind(boot)
            .bind(millis(lease))
            .execute(conn)
            .await?;
            kept == 1
        })
    }

    /// Lets `clock` hear the database's own. Differs by necessity: SQLite has none.
    pub async fn hear_clock(&self, clock: &Clock) -> Result<()> {
        if self.is_sqlite() {
            return Ok(());
        }
        read!(self, conn => {
            let asked = uptime();
            let said: i64 = sqlx::query_scalar(self.sql("select db_now()")).fetch_one(conn).await?;
            clock.hear(Timestamp(said), asked);
            Ok(())
        })
    }

    /// Strikes a sender out that has ended in order, so that nobody waits for its lease to run out.
    pub async fn leave_sender(&self, boot: i64) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("delete from senders where boot = $1").bind(boot).execute(conn).await?;
        })
    }

    /// Whether any sender's lease holds, by the database's clock.
    pub async fn senders_alive(&self) -> Result<bool> {
        read!(self, conn => {
            let text = self.sql("select count(*) from senders where until > db_now()");
            let number: i64 = sqlx::query_scalar(text).fetch_one(conn).await?;
            Ok(number > 0)
        })
    }

    /// Leases up to `limit` free blocks of `run` in which something is due; none to a boot that another
    /// of its node has fenced.
    pub async fn lease_blocks(
        &self,
        run: RunId,
        node: &str,
        boot: i64,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<u32>> {
        transact!(self, conn => {
            let rows: Vec<i64> = sqlx::query_scalar(self.sql(LEASE))
                .bind(run.0)
                .bind(now.0)
                .bind(i64::from(limit))
                .bind(boot)
                .bind(node)
                .bind(millis(lease))
                .fetch_all(conn)
                .await?;
            let mut blocks: Vec<u32> = rows.into_iter().filter_map(|b| u32::try_from(b).ok()).collect();
            blocks.sort_unstable();
            blocks
        })
    }

    /// The blocks that stand as `boot`'s.
    pub async fn leased_blocks(&self, boot: i64) -> Result<Vec<(RunId, u32)>> {
        let rows: Vec<(i64, i64)> = read!(self, conn => {
            sqlx::query_as(
                "select run_id, block from blocks
                 where boot = $1 and run_id in (
                     select id from runs where status not in ('finished', 'cancelled')
                 )",
            )
            .bind(boot)
            .fetch_all(conn)
            .await?
        });
        let block = |(run, block)| Some((RunId(run), u32::try_from(block).ok()?));
        Ok(rows.into_iter().filter_map(block).collect())
    }

    /// The deliveries of one block that are due.
    pub async fn load_block(&self, run: RunId, block: u32, now: Timestamp) -> Result<Vec<Queued>> {
        let first = i64::from(block) * i64::from(DeliveryKey::BLOCK);
        let behind = first + i64::from(DeliveryKey::BLOCK);
        if run == RunId::SYSTEM {
            return read!(self, conn => {
                let rows = sqlx::query_as::<_, Queued>(LOAD_SYSTEM)
                    .bind(run.0)
                    .bind(first)
                    .bind(behind)
                    .bind(now.0)
                    .fetch_all(conn)
                    .await?;
                Ok(rows)
            });
        }
        read!(self, conn => {
            let rows = sqlx::query_as::<_, IssueRow>(LOAD)
                .bind(run.0)
                .bind(first)
                .bind(behind)
                .bind(now.0)
                .fetch_all(conn)
                .await?;
            Ok(rows.into_iter().map(queued).collect())
        })
    }

    /// Gives blocks back and notes when each is next due.
    pub async fn release_blocks(&self, run: RunId, boot: i64, blocks: &[u32]) -> Result<()> {
        again!(self.try_release(run, boot, blocks).await)
    }

    async fn try_release(&self, run: RunId, boot: i64, blocks: &[u32]) -> Result<()> {
        let rows: Vec<_> = blocks.iter().map(|&block| BlockRow { block }).collect();
        let rows = serde_json::to_string(&rows).expect("numbers always serialise");
        transact!(self, conn => {
            // Differs by necessity: PostgreSQL would look at the deliveries as they stood before the wait
            // for this row. Whoever queues a delivery writes its block, so the lock comes first.
            if !self.is_sqlite() {
                sqlx::query(self.sql(
                    "select block from blocks
                     where run_id = $2 and block in (
                         select cast(b.value->>'block' as bigint) from json_each($1) as b
                     )
                     order by block for update",
                ))
                .bind(rows.as_str())
                .bind(run.0)
                .execute(&mut *conn)
                .await?;
            }
            sqlx::query(self.sql(
                "update blocks set owner = null, boot = null, until = null, next_due = (
                     select min(d.due_at) from deliveries d
                     where d.run_id = blocks.run_id and d.state = 'queued'
                       and d.seq >= blocks.block * 256 and d.seq < (blocks.block + 1) * 256
                       -- What is not open yet is not due: the opening of the next stage sees to it.
                       and +d.seq < (
                           select coalesce(open_to, 9223372036854775807) from runs where id = $2
                       )
                 )
                 where run_id = $2 and boot = $3 and block in (
                     select cast(b.value->>'block' as bigint) from json_each($1) as b
                 )",
            ))
            .bind(rows.as_str())
            .bind(run.0)
            .bind(boot)
            .execute(&mut *conn)
            .await?;
        })
    }

    /// Moves what dead senders left at the dot to `uncertain`, frees their blocks, and gives the
    /// deliveries; one that was opened since is `sent`. A boot is dead when no sender's row names it, or when that row ran out `grace` ago.
    /// On SQLite the caller holds the sending lock, so every boot but `boot` is dead.
    pub async fn reap(
        &self,
        boot: i64,
        grace: Duration,
        at: Timestamp,
    ) -> Result<Vec<DeliveryKey>> {
        again!(self.try_reap(boot, grace, at).await)
    }

    async fn try_reap(
        &self,
        boot: i64,
        grace: Duration,
        at: Timestamp,
    ) -> Result<Vec<DeliveryKey>> {
        let sqlite = self.is_sqlite();
        transact!(self, conn => {
            if sqlite {
                sqlx::query("delete from senders where boot <> $1").bind(boot).execute(&mut *conn).await?;
            }
            let rows = sqlx::query_as::<_, (i64, i64, String)>(self.sql(REAP))
                .bind(boot)
                .bind(millis(grace))
                .bind(at.0)
                .fetch_all(&mut *conn)
                .await?;
            let mut moves = Moves::default();
            let mut found = Vec::with_capacity(rows.len());
            for (run, seq, state) in rows {
                let seq = u32::try_from(seq).expect("a seq is written from a u32");
                let key = DeliveryKey { run: RunId(run), seq };
                let to = State::parse(&state).expect("the schema allows no other state");
                moves.add(key, State::AtDot, to);
                if to == State::Uncertain {
                    found.push(key);
                }
            }
            // Deliveries before blocks, as in every transaction that writes both.
            let freed = self.sql(
                "update blocks set owner = null, boot = null, until = null
                 where boot is not null and boot <> $1 and run_id in (
                         select id from runs where status not in ('finished', 'cancelled')
                     )
                   and boot not in (select boot from senders where until + $2 > db_now())",
            );
            sqlx::query(freed).bind(boot).bind(millis(grace)).execute(&mut *conn).await?;
            apply_moves!(self, conn, moves);
            found
        })
    }
}

fn queued(row: IssueRow) -> Queued {
    Queued {
        seq: row.0,
        attempts: row.1,
        code: row.2,
        age: row.3,
        subscriber_id: row.4,
        address: row.5,
        name: row.6,
        fields: row.7,
        tracking: row.8,
        subscription: row.9,
        parts: row.10,
        manage_key: row.11,
        kind: None,
        revision: None,
        data: None,
        list_id: None,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
