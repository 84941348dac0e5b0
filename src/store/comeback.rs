//! What comes back into a queue: what a relay refused for all, and whose reader may have left meanwhile.
//!
//! Invariant: leaving wins. Who leaves takes along what is queued; what stood at the dot then, was uncertain or had
//! failed, is taken when it comes back.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::{DeliveryKey, RunId};
use crate::status::RunStatus;
use crate::store::blocks::{Moves, apply_moves};
use crate::store::ledger::{json, key_of, key_row};
use crate::store::{Result, Store};

/// On PostgreSQL, before the deliveries are touched, as a leaving takes them: one that is under way is waited for, and
/// one that begins now waits until they are queued. System mails belong to no subscription of their run.
pub(crate) const LOCK_READERS: &str = "
    select s.key
    from json_each($1) as o
        join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
            and d.seq = cast(o.value->>'seq' as bigint)
        join runs r on r.id = d.run_id
        join subscriptions s on s.list_id = r.list_id and s.subscriber_id = d.subscriber_id
        join subscribers u on u.id = s.subscriber_id
    order by s.key
    /* for share of s, u */";

/// Takes those of a batch that are queued again and are not to be mailed any more. Each is looked up by its keys: asked
/// by `exists`, PostgreSQL might gather all readers for a few.
pub(crate) const TAKE_LEAVERS: &str = "
    update deliveries set settled_at = $2,
        state = case when (
            select x.reason from subscribers u join suppressions x on x.hash = u.hash
            where u.id = deliveries.subscriber_id
        ) is null then 'unsubscribed' else 'suppressed' end
    from json_each($1) as o
    where run_id = cast(o.value->>'run' as bigint) and seq = cast(o.value->>'seq' as bigint)
      and state = 'queued'
      and (
          -- A mail to a reader who is erased has nobody to go to.
          (run_id = 1 and subscriber_id < 0)
          or (
              select x.reason from subscribers u join suppressions x on x.hash = u.hash
              where u.id = deliveries.subscriber_id
          ) is not null
          or (run_id <> 1 and coalesce((
              select s.status from runs r join subscriptions s on s.list_id = r.list_id
              where r.id = deliveries.run_id and s.subscriber_id = deliveries.subscriber_id
          ), 'gone') <> 'confirmed')
      )
    returning run_id, seq, state";

/// Holds the readers of a batch of keys (run, seq) against a leaving: `lock_readers!(self, conn, keys)`.
macro_rules! lock_readers {
    ($store:expr, $conn:expr, $keys:expr) => {
        if !$store.is_sqlite() {
            sqlx::query($store.sql($crate::store::comeback::LOCK_READERS))
                .bind($keys)
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(crate) use lock_readers;

/// Holds runs, given by their numbers, against being finished while deliveries are put back into their queues:
/// `hold_runs!(self, conn, numbers)`. Differs by necessity: on SQLite there is one writer.
macro_rules! hold_runs {
    ($store:expr, $conn:expr, $runs:expr) => {
        if !$store.is_sqlite() {
            sqlx::query($store.sql(
                "select id from runs where id in (select cast(value as bigint) from json_each($1))
                 order by id /* for no key update */",
            ))
            .bind($runs)
            .execute(&mut *$conn)
            .await?;
        }
    };
}
pub(crate) use hold_runs;

/// Takes the leavers among a batch of keys that came back into the queue, notes the moves and gives how many:
/// `take_leavers!(self, conn, keys, at, moves)`.
macro_rules! take_leavers {
    ($store:expr, $conn:expr, $keys:expr, $at:expr, $moves:expr) => {{
        let taken: Vec<(i64, i64, String)> =
            sqlx::query_as($store.sql($crate::store::comeback::TAKE_LEAVERS))
                .bind($keys)
                .bind($at.0)
                .fetch_all(&mut *$conn)
                .await?;
        $crate::store::comeback::note(&taken, &mut $moves);
        taken.len()
    }};
}
pub(crate) use take_leavers;

/// Notes that these left the queue for the state that stands with them.
pub(crate) fn note(taken: &[(i64, i64, String)], moves: &mut Moves) {
    for (run, seq, state) in taken {
        let to = State::parse(state).expect("the statement names two states");
        moves.add(key_of(*run, *seq), State::Queued, to);
    }
}

/// A mail of the open run, which cannot be held, is put back so often and then stays failed: by the usual schedule,
/// after two days.
const SYSTEM_TRIES: i64 = 40;

/// The attempts of an issue's deliveries are taken back: it was not about them. That of a bounced one stands, so that
/// a second bounce is one.
const REQUEUE: &str = "
    update deliveries set state = 'queued', due_at = $2, settled_at = null,
        attempts = case when run_id = 1 or attempts = 0 or state = 'bounced' then attempts else attempts - 1 end
    from json_each($1) as o join runs r on r.id = cast(o.value->>'run' as bigint)
    where run_id = cast(o.value->>'run' as bigint) and seq = cast(o.value->>'seq' as bigint)
      and state = $4 and r.status <> 'cancelled' and (run_id > 1 or attempts < $3)
    returning run_id, seq";

/// Those that were put off before it was known that the relay speaks of all wait no longer than the others.
const SOONER: &str = "
    update deliveries set due_at = $2
    from json_each($1) as o
    where run_id = cast(o.value->>'run' as bigint) and seq = cast(o.value->>'seq' as bigint)
      and run_id > 1 and state = 'queued' and due_at > $2";

/// What bounces that are taken back had suppressed: a reader's address, or the one that she had when she was refused.
const ALLOW: &str = "
    delete from suppressions
    where reason = 'bounced'
      and hash in (
          select u.hash
          from json_each($1) as o
              join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
                  and d.seq = cast(o.value->>'seq' as bigint)
              join subscribers u on u.id = d.subscriber_id
          where d.state = 'bounced'
          union all
          select f.hash
          from json_each($1) as o
              join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
                  and d.seq = cast(o.value->>'seq' as bigint)
              join former_addresses f on f.subscriber_id = d.subscriber_id
          where d.state = 'bounced'
      )
      and created_at >= (
          select min(d.settled_at)
          from json_each($1) as o
              join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
                  and d.seq = cast(o.value->>'seq' as bigint)
          where d.state = 'bounced'
      )";

/// Notes whose bounces they were: those have no suppression, and need none.
const NOTE_ALLOWED: &str = "
    insert into allowed_again (subscriber_id, at)
    select d.subscriber_id, coalesce(max(d.settled_at), 0)
    from json_each($1) as o
        join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
            and d.seq = cast(o.value->>'seq' as bigint)
        join subscribers u on u.id = d.subscriber_id
    where d.state = 'bounced'
    group by d.subscriber_id
    on conflict (subscriber_id) do update set at = excluded.at";

/// What those bounces took along of other runs, as long as those are not over.
const TAKEN_ALONG: &str = "
    select d.run_id, d.seq
    from deliveries d join runs r on r.id = d.run_id
    where d.state = 'suppressed' and r.status not in ('finished', 'cancelled')
      and d.subscriber_id in (
          select b.subscriber_id
          from json_each($1) as o
              join deliveries b on b.run_id = cast(o.value->>'run' as bigint)
                  and b.seq = cast(o.value->>'seq' as bigint)
          where b.state = 'bounced' and b.subscriber_id <> 0
      )
      and d.settled_at >= (
          select min(b.settled_at)
          from json_each($1) as o
              join deliveries b on b.run_id = cast(o.value->>'run' as bigint)
                  and b.seq = cast(o.value->>'seq' as bigint)
          where b.state = 'bounced'
      )";

/// What is put back leaves a copy behind once more, which retention may have passed by.
pub(crate) const LOOK_AGAIN: &str = "
    update runs set copies_gone = (
        select min(cast(o.value->>'seq' as bigint)) from json_each($1) as o
        where cast(o.value->>'run' as bigint) = runs.id
    )
    where id in (select cast(o.value->>'run' as bigint) from json_each($1) as o)
      and copies_gone > (
          select min(cast(o.value->>'seq' as bigint)) from json_each($1) as o
          where cast(o.value->>'run' as bigint) = runs.id
      )";

/// Of a run that is over by now nothing is put back.
const GIVE_BACK: &str = "
    update deliveries set state = 'queued', settled_at = null
    from json_each($1) as o
    where run_id = cast(o.value->>'run' as bigint) and seq = cast(o.value->>'seq' as bigint)
      and state = 'suppressed'
      and run_id in (select id from runs where status not in ('finished', 'cancelled'))
    returning run_id, seq";

/// Why a run is held for what a relay refused.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    pub why: &'a str,
    /// The servers that it was held for so far because they refused reader after reader, as the run keeps them; none
    /// leaves those that are known.
    pub doubted: Option<&'a str>,
}

impl Store {
    /// Holds the run, after it has turned out that the relay refuses everyone, and puts `keys`, which failed or
    /// bounced by that (`from`), back into its queue. A cancelled run stays as it is. Gives how many went back.
    pub async fn hold_refused(
        &self,
        run: RunId,
        from: State,
        keys: &[DeliveryKey],
        hold: Hold<'_>,
        due: Timestamp,
    ) -> Result<u64> {
        again!(self.try_requeue(run, from, keys, Some(hold), due).await)
    }

    /// Notes which servers a person who let the run go on believes of its readers.
    pub async fn set_doubted(&self, run: RunId, doubted: &str) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update runs set doubted = $2 where id = $1")
                .bind(run.0)
                .bind(doubted)
                .execute(conn)
                .await?;
        })
    }

    /// Puts `keys`, which one relay refused for all, back into the queue for the others.
    pub async fn requeue_refused(
        &self,
        run: RunId,
        from: State,
        keys: &[DeliveryKey],
        due: Timestamp,
    ) -> Result<u64> {
        again!(self.try_requeue(run, from, keys, None, due).await)
    }

    async fn try_requeue(
        &self,
        run: RunId,
        from: State,
        keys: &[DeliveryKey],
        held: Option<Hold<'_>>,
        due: Timestamp,
    ) -> Result<u64> {
        let mut rows = json(&keys.iter().map(|&key| key_row(key)).collect::<Vec<_>>());
        transact!(self, conn => {
            lock_readers!(self, conn, rows.as_str());
            // The last of its deliveries may have finished it meanwhile; whoever is about to finish it waits for this row.
            sqlx::query(
                "update runs set status = $3, reason = $2, finished_at = null,
                     since = case when $3 = 'held' then $4 else since end, doubted = coalesce($5, doubted)
                 where id = $1 and kind = 'issue' and status in ('sending', 'finished')",
            )
            .bind(run.0)
            .bind(held.map(|hold| hold.why))
            .bind(if held.is_some() { RunStatus::Held.name() } else { RunStatus::Sending.name() })
            .bind(due.0)
            .bind(held.and_then(|hold| hold.doubted))
            .execute(&mut *conn)
            .await?;
            let mut along = Vec::new();
            if from == State::Bounced {
                along = sqlx::query_as::<_, (i64, i64)>(self.sql(TAKEN_ALONG))
                    .bind(rows.as_str())
                    .fetch_all(&mut *conn)
                    .await?;
                for statement in [NOTE_ALLOWED, ALLOW] {
                    sqlx::query(self.sql(statement)).bind(rows.as_str()).execute(&mut *conn).await?;
                }
            }
            sqlx::query(self.sql(SOONER))
                .bind(rows.as_str())
                .bind(due.0)
                .execute(&mut *conn)
                .await?;
            let back = sqlx::query_as::<_, (i64, i64)>(self.sql(REQUEUE))
                .bind(rows.as_str())
                .bind(due.0)
                .bind(SYSTEM_TRIES)
                .bind(from.name())
                .fetch_all(&mut *conn)
                .await?;
            let mut moves = Moves::default();
            for &(run, seq) in &back {
                moves.add(key_of(run, seq), from, State::Queued);
            }
            if !along.is_empty() {
                let runs: BTreeSet<i64> = along.iter().map(|&(run, _)| run).collect();
                hold_runs!(self, conn, json(&runs).as_str());
                let along = along.iter().map(|&(run, seq)| key_row(key_of(run, seq)));
                let along = along.collect::<Vec<_>>();
                let taken = json(&along);
                lock_readers!(self, conn, taken.as_str());
                let given = sqlx::query_as::<_, (i64, i64)>(self.sql(GIVE_BACK))
                    .bind(taken.as_str())
                    .fetch_all(&mut *conn)
                    .await?;
                for (run, seq) in given {
                    moves.add(key_of(run, seq), State::Suppressed, State::Queued);
                }
                let own = keys.iter().map(|&key| key_row(key));
                rows = json(&own.chain(along).collect::<Vec<_>>());
            }
            take_leavers!(self, conn, rows.as_str(), due, moves);
            apply_moves!(self, conn, moves);
            sqlx::query(self.sql(LOOK_AGAIN)).bind(rows.as_str()).execute(&mut *conn).await?;
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
