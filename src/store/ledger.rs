//! The ledger: markers and outcomes of many deliveries in one durable commit.
//!
//! Invariant: a row leaves `queued` for `at_dot` only here, guarded by its state, its run's status, its block's
//! lease and the boot that holds it; the commit has reached the disk before the caller hears of it.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sqlx::Row;

use crate::clock::Timestamp;
use crate::delivery::{Outcome, Settled, State};
use crate::hex::hex;
use crate::id::{DeliveryKey, RunId};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::comeback::{lock_readers, take_leavers};
use crate::store::leave::{await_freeze, hold_address};
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

/// The batches that every message passes are arrays: their values are read by place, and not looked for by
/// name. This one holds run, seq and copy. Nothing of a run gets a marker that was paused, held or cancelled by
/// then; which runs go on is asked once for the whole batch.
/// Differs by necessity: `db_now()` is 0 on SQLite, where a lease ends with the process that holds it.
const MARK: &str = "
    update deliveries set state = 'at_dot', boot = $2, marked_at = $3, copy = m.value->>2
    from json_each($1) as m
    where run_id = cast(m.value->>0 as bigint) and seq = cast(m.value->>1 as bigint)
      and state = 'queued'
      and exists (
          select 1 from blocks
          where blocks.run_id = deliveries.run_id and blocks.block = deliveries.seq / 256
            and blocks.boot = $2 and blocks.until > db_now()
            and blocks.run_id in (select id from runs where status in ('sending', 'open'))
      )";

/// What becomes of nearly every message: run, seq, time, code, enhanced status, reply. What is said of an erased reader
/// (her deliveries belong to numbers below 0) names her, here and in [`SETTLE`].
const SENT: &str = "
    update deliveries set state = 'sent', attempts = attempts + 1,
        settled_at = cast(o.value->>2 as bigint), code = cast(o.value->>3 as bigint),
        enhanced = o.value->>4, reply = case when subscriber_id < 0 then null else o.value->>5 end
    from json_each($1) as o
    where run_id = cast(o.value->>0 as bigint) and seq = cast(o.value->>1 as bigint)
      and state = 'at_dot' and boot = $2";

/// What would be queued again in a cancelled run is cancelled. A dot without an answer has no code: that of an earlier
/// try would stand beside what becomes of it.
const SETTLE: &str = "
    update deliveries set
        state = case when o.value->>'to' = 'queued' and r.status = 'cancelled' then 'cancelled'
            else o.value->>'to' end,
        due_at = coalesce(cast(o.value->>'due' as bigint), due_at),
        attempts = attempts + cast(o.value->>'charged' as bigint),
        settled_at = case when o.value->>'to' = 'queued' and r.status <> 'cancelled' then null
            else cast(o.value->>'at' as bigint) end,
        code = case when o.value->>'to' = 'uncertain' then null
            else coalesce(cast(o.value->>'code' as bigint), code) end,
        enhanced = case when o.value->>'to' = 'uncertain' then null
            when o.value->>'code' is null then enhanced else o.value->>'enhanced' end,
        reply = case when subscriber_id < 0 then null else coalesce(o.value->>'reply', reply) end
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
pub(crate) const REPLY_LIMIT: usize = 512;

/// Suppresses the addresses of a batch of bounced deliveries: run, seq and hash. The hash is that of the address which
/// was named to the relay, whatever the reader has now; an erased one has hers suppressed already.
const SUPPRESS: &str = "
    insert into suppressions (hash, reason, created_at)
    select unhex(o.value->>2), 'bounced', $2
    from json_each($1) as o
        join deliveries d on d.run_id = cast(o.value->>0 as bigint)
            and d.seq = cast(o.value->>1 as bigint)
        join subscribers u on u.id = d.subscriber_id
    where true
    on conflict (hash) do nothing";

/// Holds the readers of that batch, so that whoever queues a mail for one of them comes before or after.
const HOLD: &str = "
    select u.id
    from json_each($1) as o
        join deliveries d on d.run_id = cast(o.value->>0 as bigint)
            and d.seq = cast(o.value->>1 as bigint)
        join subscribers u on u.id = d.subscriber_id
    order by u.id
    /* for no key update of u */";

/// Takes what else is queued for those of that batch who have the address still.
const SUPPRESS_QUEUED: &str = "
    update deliveries set state = 'suppressed', settled_at = $2
    where state = 'queued' and subscriber_id in (
        select u.id
        from json_each($1) as o
            join deliveries d on d.run_id = cast(o.value->>0 as bigint)
                and d.seq = cast(o.value->>1 as bigint)
            join subscribers u on u.id = d.subscriber_id and u.hash = unhex(o.value->>2)
    )
    returning run_id, seq";

/// How the rows that changed are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// Their number, which must be that of the wishes.
    Counted,
    /// Each by its key.
    Named,
}

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
        // A row that comes back costs more than its change; and nearly always all of them changed.
        let counted = again!(
            self.try_commit(boot, settled, markers, at, Rows::Counted)
                .await
        )?;
        if let Some(done) = counted {
            return Ok(done);
        }
        let named = again!(
            self.try_commit(boot, settled, markers, at, Rows::Named)
                .await
        )?;
        Ok(named.unwrap_or_default())
    }

    /// Nothing, and nothing done, if rows were counted and one of them was not as its caller believed.
    async fn try_commit(
        &self,
        boot: i64,
        settled: &[Settled],
        markers: &[Marker],
        at: Timestamp,
        rows: Rows,
    ) -> Result<Option<Committed>> {
        let (sent, others): (Vec<&Settled>, Vec<&Settled>) = settled
            .iter()
            .partition(|settled| rows == Rows::Counted && is_plainly_sent(settled));
        let from: HashMap<DeliveryKey, State> = others.iter().map(|s| origin(s)).collect();
        let requeues = others.iter().any(|s| s.outcome.state() == State::Queued);
        // Who leaves finds nothing queued while a delivery stands at the dot.
        let back = others.iter();
        let back = back.filter(|s| s.marked && s.outcome.state() == State::Queued);
        let back: Vec<_> = back.map(|s| key_row(s.key)).collect();
        let back = (!back.is_empty()).then(|| json(&back));
        let outcomes = json(&others.iter().map(|s| outcome_row(s)).collect::<Vec<_>>());
        let mut suppress: Vec<_> = others
            .iter()
            .filter_map(|s| Some((s.suppress?, s.key)))
            .collect();
        // In one order, so that two do not wait for each other.
        suppress.sort_unstable_by_key(|(hash, _)| *hash);
        let suppressed = suppress
            .iter()
            .map(|(address, key)| (key.run.0, key.seq, hex(address)));
        let suppressed = json(&suppressed.collect::<Vec<_>>());
        let sent_rows = json(&sent.iter().map(|s| sent_row(s)).collect::<Vec<_>>());
        let failed = failures::batch(settled);
        let marks = json(&markers.iter().map(marker_row).collect::<Vec<_>>());
        transact!(self, conn => {
            let mut moves = Moves::default();
            let mut done = Committed::default();
            if let Some(back) = &back {
                lock_readers!(self, conn, back.as_str());
            }
            if !sent.is_empty() {
                let changed = sqlx::query(self.sql(SENT))
                    .bind(sent_rows.as_str())
                    .bind(boot)
                    .execute(&mut *conn)
                    .await?
                    .rows_affected();
                if changed != sent.len() as u64 {
                    return Ok(None);
                }
                sent.iter().for_each(|s| moves.add(s.key, State::AtDot, State::Sent));
            }
            if !others.is_empty() {
                let changed = sqlx::query(self.sql(SETTLE))
                    .bind(outcomes.as_str())
                    .bind(boot)
                    .fetch_all(&mut *conn)
                    .await?;
                for row in &changed {
                    let key = key_of(row.get(0), row.get(1));
                    let to = State::parse(row.get(2)).expect("the schema allows no other state");
                    moves.add(key, from[&key], to);
                }
                if let Some(back) = &back {
                    take_leavers!(self, conn, back.as_str(), at, moves);
                }
                if requeues {
                    sqlx::query(self.sql(ADVANCE_DUE))
                        .bind(outcomes.as_str())
                        .execute(&mut *conn)
                        .await?;
                }
                let late: Vec<_> = others.iter().filter_map(|s| late_row(s)).collect();
                if changed.len() < others.len() && !late.is_empty() {
                    // An answer that came after a reaper had called the delivery uncertain still counts.
                    let changed = sqlx::query(self.sql(SETTLE))
                        .bind(json(&late))
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
            if !suppress.is_empty() {
                for (hash, _) in &suppress {
                    hold_address!(self, conn, hash);
                }
                if !self.is_sqlite() {
                    sqlx::query(self.sql(HOLD)).bind(suppressed.as_str()).execute(&mut *conn).await?;
                }
                sqlx::query(self.sql(SUPPRESS))
                    .bind(suppressed.as_str())
                    .bind(at.0)
                    .execute(&mut *conn)
                    .await?;
                await_freeze!(self, conn);
                let taken = sqlx::query_as::<_, (i64, i64)>(self.sql(SUPPRESS_QUEUED))
                    .bind(suppressed.as_str())
                    .bind(at.0)
                    .fetch_all(&mut *conn)
                    .await?;
                for (run, seq) in taken {
                    moves.add(key_of(run, seq), State::Queued, State::Suppressed);
                }
            }
            if !markers.is_empty() && rows == Rows::Counted {
                let granted = sqlx::query(self.sql(MARK))
                    .bind(marks.as_str())
                    .bind(boot)
                    .bind(at.0)
                    .execute(&mut *conn)
                    .await?
                    .rows_affected();
                if granted != markers.len() as u64 {
                    return Ok(None);
                }
                done.granted.extend(markers.iter().map(|marker| marker.key));
            } else if !markers.is_empty() {
                let granted = sqlx::query(self.sql(&format!("{MARK} returning run_id, seq")))
                    .bind(marks.as_str())
                    .bind(boot)
                    .bind(at.0)
                    .fetch_all(&mut *conn)
                    .await?;
                let keys = granted.iter().map(|row| key_of(row.get(0), row.get(1)));
                done.granted.extend(keys);
            }
            for &key in &done.granted {
                moves.add(key, State::Queued, State::AtDot);
            }
            apply_moves!(self, conn, moves);
            Some(done)
        })
    }
}

pub(super) fn json<T: Serialize>(rows: &T) -> String {
    serde_json::to_string(rows).expect("numbers and strings always serialise")
}

#[derive(Serialize)]
pub(super) struct KeyRow {
    run: i64,
    seq: u32,
}

/// A key as the batches name it.
pub(super) fn key_row(key: DeliveryKey) -> KeyRow {
    KeyRow {
        run: key.run.0,
        seq: key.seq,
    }
}

pub(super) fn key_of(run: i64, seq: i64) -> DeliveryKey {
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

/// Whether this outcome is one for [`SENT`].
fn is_plainly_sent(settled: &Settled) -> bool {
    let Settled {
        outcome,
        marked,
        charged,
        suppress,
        ..
    } = settled;
    matches!(outcome, Outcome::Sent(_)) && *marked && *charged && suppress.is_none()
}

fn sent_row(settled: &Settled) -> (i64, u32, i64, Option<u16>, Option<&str>, Option<&str>) {
    let reply = settled.outcome.reply();
    (
        settled.key.run.0,
        settled.key.seq,
        settled.at.0,
        reply.map(|reply| reply.code),
        reply.and_then(|reply| reply.enhanced.as_deref()),
        reply.map(|reply| capped(&reply.text)),
    )
}

fn marker_row(marker: &Marker) -> (i64, u32, &str) {
    (marker.key.run.0, marker.key.seq, &marker.copy)
}

fn late_row(settled: &Settled) -> Option<OutcomeRow<'_>> {
    let sent = settled.marked && matches!(settled.outcome, Outcome::Sent(_));
    sent.then(|| OutcomeRow {
        from: State::Uncertain.name(),
        ..outcome_row(settled)
    })
}
