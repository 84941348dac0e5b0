//! The ledger: markers and outcomes of many deliveries in one durable commit.
//!
//! Invariant: a row leaves `queued` for `at_dot` only here, guarded by its state, its block's lease and
//! the boot that holds it; the commit has reached the disk before the caller hears of it.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sqlx::Row;

use crate::clock::Timestamp;
use crate::delivery::{Outcome, Settled, State};
use crate::id::{DeliveryKey, RunId};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::{Result, Store, failures};

/// The wish to write the terminator of one message.
#[derive(Clone, Debug)]
pub struct Marker {
    pub key: DeliveryKey,
    /// What this copy was made of, as JSON.
    pub copy: String,
}

/// Which wishes were granted; all outcomes given with them are recorded.
#[derive(Debug, Default)]
pub struct Committed {
    pub granted: HashSet<DeliveryKey>,
}

#[derive(Serialize)]
struct OutcomeRow<'a> {
    run: i64,
    seq: u32,
    from: &'static str,
    to: &'static str,
    due: Option<i64>,
    at: i64,
    charged: u8,
    code: Option<u16>,
    enhanced: Option<&'a str>,
    reply: Option<&'a str>,
}

#[derive(Serialize)]
struct MarkerRow<'a> {
    run: i64,
    seq: u32,
    copy: &'a str,
}

/// Differs by necessity: `db_now()` is 0 on SQLite, where a lease ends with the process that holds it.
const MARK: &str = "
    update deliveries set state = 'at_dot', boot = $2, marked_at = $3, copy = m.value->>'copy'
    from json_each($1) as m
    where run_id = cast(m.value->>'run' as bigint) and seq = cast(m.value->>'seq' as bigint)
      and state = 'queued'
      and exists (
          select 1 from blocks
          where blocks.run_id = deliveries.run_id and blocks.block = deliveries.seq / 256
            and blocks.boot = $2 and blocks.until > db_now()
      )
    returning run_id, seq";

/// What would be queued again in a cancelled run is cancelled.
const SETTLE: &str = "
    update deliveries set
        state = case when o.value->>'to' = 'queued' and r.status = 'cancelled' then 'cancelled'
            else o.value->>'to' end,
        due_at = coalesce(cast(o.value->>'due' as bigint), due_at),
        attempts = attempts + cast(o.value->>'charged' as bigint),
        settled_at = case when o.value->>'to' = 'queued' and r.status <> 'cancelled' then null
            else cast(o.value->>'at' as bigint) end,
        code = coalesce(cast(o.value->>'code' as bigint), code),
        enhanced = case when o.value->>'code' is null then enhanced else o.value->>'enhanced' end,
        reply = coalesce(o.value->>'reply', reply)
    from json_each($1) as o join runs r on r.id = cast(o.value->>'run' as bigint)
    where run_id = cast(o.value->>'run' as bigint) and seq = cast(o.value->>'seq' as bigint)
      and state = o.value->>'from'
      and (state = 'queued' or boot = $2)
    returning run_id, seq, state";

/// A delivery that is queued again may stand in a block that somebody else holds or has given back.
const ADVANCE_DUE: &str = "
    update blocks set next_due = case when next_due < q.due then next_due else q.due end
    from (
        select cast(o.value->>'run' as bigint) as run,
            cast(o.value->>'seq' as bigint) / 256 as number,
            min(cast(coalesce(o.value->>'due', o.value->>'at') as bigint)) as due
        from json_each($1) as o
        where o.value->>'to' = 'queued'
        group by 1, 2
    ) as q
    where blocks.run_id = q.run and blocks.block = q.number";

/// Octets of a reply that are kept with its delivery.
const REPLY_LIMIT: usize = 512;

/// A mail of the open run, which cannot be held, is put back so often and then stays failed.
const SYSTEM_TRIES: i64 = 8;

/// The attempts of an issue's deliveries are taken back: it was not about them.
const REQUEUE: &str = "
    update deliveries set state = 'queued', due_at = $2, settled_at = null,
        attempts = case when run_id = 1 or attempts = 0 then attempts else attempts - 1 end
    from json_each($1) as o join runs r on r.id = cast(o.value->>'run' as bigint)
    where run_id = cast(o.value->>'run' as bigint) and seq = cast(o.value->>'seq' as bigint)
      and state = 'failed' and r.status <> 'cancelled' and (run_id > 1 or attempts < $3)
    returning run_id, seq";

/// Suppresses the addresses of a batch of bounced deliveries.
const SUPPRESS: &str = "
    insert into suppressions (hash, reason, created_at)
    select u.hash, 'bounced', $2
    from json_each($1) as o
        join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
            and d.seq = cast(o.value->>'seq' as bigint)
        join subscribers u on u.id = d.subscriber_id
    where true
    on conflict (hash) do nothing";

/// Takes what else is queued for the readers of that batch.
const SUPPRESS_QUEUED: &str = "
    update deliveries set state = 'suppressed', settled_at = $2
    where state = 'queued' and subscriber_id in (
        select d.subscriber_id
        from json_each($1) as o
            join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
                and d.seq = cast(o.value->>'seq' as bigint)
        where d.subscriber_id <> 0
    )
    returning run_id, seq";

impl Store {
    /// Commits outcomes and markers together. `boot` must hold the blocks of the markers, and must have
    /// set the markers that the outcomes settle.
    pub async fn commit_ledger(
        &self,
        boot: i64,
        settled: &[Settled],
        markers: &[Marker],
        at: Timestamp,
    ) -> Result<Committed> {
        again!(self.try_commit(boot, settled, markers, at).await)
    }

    async fn try_commit(
        &self,
        boot: i64,
        settled: &[Settled],
        markers: &[Marker],
        at: Timestamp,
    ) -> Result<Committed> {
        let from: HashMap<DeliveryKey, State> = settled.iter().map(origin).collect();
        let requeues = settled.iter().any(|s| s.outcome.state() == State::Queued);
        let rows: Vec<OutcomeRow<'_>> = settled.iter().map(outcome_row).collect();
        let late: Vec<OutcomeRow<'_>> = settled.iter().filter_map(late_row).collect();
        let suppress: Vec<_> = settled
            .iter()
            .filter(|s| s.suppress)
            .map(|s| key_row(s.key))
            .collect();
        let (rows, late, suppress) = (json(&rows), json(&late), (json(&suppress), suppress.len()));
        let failed = failures::batch(settled);
        let marks: Vec<_> = markers
            .iter()
            .map(|marker| MarkerRow {
                run: marker.key.run.0,
                seq: marker.key.seq,
                copy: &marker.copy,
            })
            .collect();
        let marks = json(&marks);
        transact!(self, conn => {
            let mut moves = Moves::default();
            let mut done = Committed::default();
            if !settled.is_empty() {
                let changed = sqlx::query(self.sql(SETTLE))
                    .bind(rows.as_str())
                    .bind(boot)
                    .fetch_all(&mut *conn)
                    .await?;
                for row in &changed {
                    let key = key_of(row.get(0), row.get(1));
                    let to = State::parse(row.get(2)).expect("the schema allows no other state");
                    moves.add(key, from[&key], to);
                }
                if requeues {
                    sqlx::query(self.sql(ADVANCE_DUE))
                        .bind(rows.as_str())
                        .execute(&mut *conn)
                        .await?;
                }
                if changed.len() < settled.len() && late != "[]" {
                    // An answer that came after a reaper had called the delivery uncertain still counts.
                    let changed = sqlx::query(self.sql(SETTLE))
                        .bind(late.as_str())
                        .bind(boot)
                        .fetch_all(&mut *conn)
                        .await?;
                    for row in &changed {
                        moves.add(key_of(row.get(0), row.get(1)), State::Uncertain, State::Sent);
                    }
                }
            }
            if let Some(failed) = &failed {
                sqlx::query(self.sql(failures::KEEP)).bind(failed.as_str()).execute(&mut *conn).await?;
            }
            if suppress.1 > 0 {
                sqlx::query(self.sql(SUPPRESS))
                    .bind(suppress.0.as_str())
                    .bind(at.0)
                    .execute(&mut *conn)
                    .await?;
                let taken = sqlx::query_as::<_, (i64, i64)>(self.sql(SUPPRESS_QUEUED))
                    .bind(suppress.0.as_str())
                    .bind(at.0)
                    .fetch_all(&mut *conn)
                    .await?;
                for (run, seq) in taken {
                    moves.add(key_of(run, seq), State::Queued, State::Suppressed);
                }
            }
            if !markers.is_empty() {
                let granted = sqlx::query(self.sql(MARK))
                    .bind(marks.as_str())
                    .bind(boot)
                    .bind(at.0)
                    .fetch_all(&mut *conn)
                    .await?;
                for row in &granted {
                    let key = key_of(row.get(0), row.get(1));
                    moves.add(key, State::Queued, State::AtDot);
                    done.granted.insert(key);
                }
            }
            apply_moves!(self, conn, moves);
            done
        })
    }

    /// Holds the run, after it has turned out that the relay refuses everyone, and puts `keys`, which
    /// failed by that, back into its queue. A cancelled run stays as it is. Gives how many went back.
    pub async fn hold_refused(
        &self,
        run: RunId,
        keys: &[DeliveryKey],
        why: &str,
        due: Timestamp,
    ) -> Result<u64> {
        again!(self.try_requeue(run, keys, Some(why), due).await)
    }

    /// Puts `keys`, which one relay refused for all, back into the queue for the others.
    pub async fn requeue_refused(
        &self,
        run: RunId,
        keys: &[DeliveryKey],
        due: Timestamp,
    ) -> Result<u64> {
        again!(self.try_requeue(run, keys, None, due).await)
    }

    async fn try_requeue(
        &self,
        run: RunId,
        keys: &[DeliveryKey],
        held: Option<&str>,
        due: Timestamp,
    ) -> Result<u64> {
        let rows = json(&keys.iter().map(|&key| key_row(key)).collect::<Vec<_>>());
        transact!(self, conn => {
            // The last of its deliveries may have finished it meanwhile.
            sqlx::query(
                "update runs set status = $3, reason = $2, finished_at = null,
                     since = case when $3 = 'held' then $4 else since end
                 where id = $1 and kind = 'issue' and status in ('sending', 'finished')",
            )
            .bind(run.0)
            .bind(held)
            .bind(if held.is_some() { "held" } else { "sending" })
            .bind(due.0)
            .execute(&mut *conn)
            .await?;
            let back = sqlx::query_as::<_, (i64, i64)>(self.sql(REQUEUE))
                .bind(rows.as_str())
                .bind(due.0)
                .bind(SYSTEM_TRIES)
                .fetch_all(&mut *conn)
                .await?;
            let mut moves = Moves::default();
            for &(run, seq) in &back {
                moves.add(key_of(run, seq), State::Failed, State::Queued);
            }
            apply_moves!(self, conn, moves);
            sqlx::query(self.sql(
                "update blocks set next_due = case when next_due < $2 then next_due else $2 end
                 where (run_id, block) in (
                     select cast(o.value->>'run' as bigint), cast(o.value->>'seq' as bigint) / 256
                     from json_each($1) as o
                 )",
            ))
            .bind(rows.as_str())
            .bind(due.0)
            .execute(&mut *conn)
            .await?;
            back.len() as u64
        })
    }
}

fn json<T: Serialize>(rows: &T) -> String {
    serde_json::to_string(rows).expect("numbers and strings always serialise")
}

#[derive(Serialize)]
struct KeyRow {
    run: i64,
    seq: u32,
}

fn key_row(key: DeliveryKey) -> KeyRow {
    KeyRow {
        run: key.run.0,
        seq: key.seq,
    }
}

fn key_of(run: i64, seq: i64) -> DeliveryKey {
    DeliveryKey {
        run: RunId(run),
        seq: u32::try_from(seq).expect("a seq is written from a u32"),
    }
}

fn origin(settled: &Settled) -> (DeliveryKey, State) {
    let from = if settled.marked {
        State::AtDot
    } else {
        State::Queued
    };
    (settled.key, from)
}

/// What a relay or an error may fill of a row; the reply's own limit lies below it.
fn capped(text: &str) -> &str {
    let end = text.floor_char_boundary(REPLY_LIMIT);
    &text[..end]
}

fn outcome_row(settled: &Settled) -> OutcomeRow<'_> {
    let (key, from) = origin(settled);
    let to = settled.outcome.state();
    let reply = settled.outcome.reply();
    let due = match settled.outcome {
        Outcome::Deferred { due, .. } => Some(due.0),
        _ => None,
    };
    OutcomeRow {
        run: key.run.0,
        seq: key.seq,
        from: from.name(),
        to: to.name(),
        due,
        at: settled.at.0,
        charged: u8::from(settled.charged),
        code: reply.map(|reply| reply.code),
        enhanced: reply.and_then(|reply| reply.enhanced.as_deref()),
        reply: match &settled.outcome {
            Outcome::Uncertain(text) => Some(capped(text)),
            _ => reply.map(|reply| capped(&reply.text)),
        },
    }
}

fn late_row(settled: &Settled) -> Option<OutcomeRow<'_>> {
    let sent = settled.marked && matches!(settled.outcome, Outcome::Sent(_));
    sent.then(|| OutcomeRow {
        from: State::Uncertain.name(),
        ..outcome_row(settled)
    })
}
