//! The event log: a group of events is stored at its end, whole or not at all.
//!
//! Promises: ids rise in the order of commits, so that whoever sees one sees all before it; what an event settles
//! (an uncertain delivery is `sent`) is settled in its transaction; a group costs three statements while nothing is
//! uncertain and nobody withdrew. Leaves every number to the fold (`store::folds`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use crate::clock::{MINUTE, Timestamp};
use crate::delivery::State;
use crate::event::{Event, EventKind, Evidence};
use crate::id::{DeliveryKey, RunId};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::{Result, Store};

/// Bits of an id below the milliseconds of its time.
const COUNT_BITS: u32 = 21;

/// The next ids, none before the time of the events. The row stays locked until the commit.
pub(crate) const TAKE_IDS: &str = "
    update event_log set last = case when last < $1 then $1 else last end + $2
    returning last";

/// The lowest id of an event at this time.
pub(crate) fn first_id(at: Timestamp) -> i64 {
    at.0.clamp(0, (1 << 42) - 1) << COUNT_BITS
}

/// A group takes its ids by its earliest event, and waits no longer than this for its commit.
const GROUP: i64 = MINUTE;

/// No event of this id or a higher one came earlier.
pub(crate) fn earliest_of(id: i64) -> Timestamp {
    Timestamp(id >> COUNT_BITS)
}

/// No event of this id or a lower one came later.
pub(crate) fn latest_of(id: i64) -> Timestamp {
    Timestamp((id >> COUNT_BITS) + GROUP)
}

/// The last of `$count` fresh ids: `take_event_ids!(conn, at, count)`.
macro_rules! take_event_ids {
    ($conn:expr, $at:expr, $count:expr) => {
        sqlx::query_scalar::<_, i64>($crate::store::events::TAKE_IDS)
            .bind($crate::store::events::first_id($at))
            .bind(i64::try_from($count).unwrap_or(i64::MAX >> 1))
            .fetch_one(&mut *$conn)
            .await?
    };
}
pub(crate) use take_event_ids;

/// Where anything is uncertain; and -1 if any reader withdrew, or ($1 is 0) those who never agreed are not counted.
/// Nearly always there is neither.
const GUARDS: &str = "
    select run_id, block from blocks where uncertain > 0
    union all
    select -1, -1 where $1 = 0 or exists (select 1 from subscribers where tracking = 'off')";

/// Deliveries of readers who want nothing counted, or ($3 is 0) have not agreed to it.
pub(crate) const MUTED: &str = "
    select d.seq from deliveries d
    join subscribers u on u.id = d.subscriber_id
        and (u.tracking = 'off' or ($3 = 0 and u.tracking = 'unset'))
    where d.run_id = $1 and d.seq in (select cast(value as bigint) from json_each($2))";

/// Those of these deliveries that are uncertain, locked.
const UNCERTAIN: &str = "
    select seq from deliveries
    where run_id = $1 and state = 'uncertain'
        and seq in (select cast(value as bigint) from json_each($2))
    order by seq /* for update of deliveries */";

/// When its fate became uncertain is the nearest to when it was sent.
const ARRIVED: &str = "
    update deliveries set state = 'sent', settled_at = coalesce(settled_at, $3)
    where run_id = $1 and state = 'uncertain'
        and seq in (select cast(value as bigint) from json_each($2))";

/// Puts events at the end of the log; [`event_rows`] writes them.
pub(crate) const ADD_EVENTS: &str = "
    insert into events (id, at, kind, run_id, seq, link, evidence)
    select cast(value->>0 as bigint), cast(value->>1 as bigint), value->>2,
           cast(value->>3 as bigint), cast(value->>4 as bigint),
           cast(value->>5 as bigint), value->>6
    from json_each($1)";

/// One event of the log: id, time, kind, delivery, link, evidence. An array costs the database half of an object.
type EventRow<'a> = (i64, i64, &'static str, i64, u32, Option<u32>, &'a Evidence);

/// One event of a group as it was about to be stored. A commit of which nothing was heard may have reached the disk:
/// whoever tries the group again finds this one there, and stores none of it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) kind: &'static str,
    /// -1 where it names nobody.
    pub(super) seq: i64,
}

/// Whether a group is stored that was tried before, asked with the log's row at hand, which a commit under way has:
/// `is_stored!(conn, tried)`.
macro_rules! is_stored {
    ($conn:expr, $tried:expr) => {
        match $tried {
            None => false,
            Some($crate::store::events::Drawn { id, at, kind, seq }) => {
                let found: Option<i64> = sqlx::query_scalar(
                    "select id from events
                     where id = $1 and at = $2 and kind = $3 and coalesce(seq, -1) = $4",
                )
                .bind(id)
                .bind(at)
                .bind(kind)
                .bind(seq)
                .fetch_optional(&mut *$conn)
                .await?;
                found.is_some()
            }
        }
    };
}
pub(crate) use is_stored;

/// Deliveries whose events are left out, if anybody's are: `muted!(self, conn, events, unasked, guards)`.
macro_rules! muted {
    ($store:expr, $conn:expr, $events:expr, $unasked:expr, $guards:expr) => {{
        let withdrawn = $guards.contains(&(-1, -1));
        // Invariant: whoever withdrew is not counted, by old mail neither.
        let mut muted = HashSet::new();
        for (run, seqs) in keys_by_run($events).into_iter().filter(|_| withdrawn) {
            let found: Vec<i64> = sqlx::query_scalar($store.sql(MUTED))
                .bind(run.0)
                .bind(json(seqs.iter()))
                .bind(i64::from($unasked))
                .fetch_all(&mut *$conn)
                .await?;
            muted.extend(found.into_iter().map(|seq| (run, seq)));
        }
        muted
    }};
}

/// Settles those of the `doubtful` deliveries that are uncertain as sent, and gives the moves:
/// `settle_doubtful!(self, conn, doubtful, at)`.
macro_rules! settle_doubtful {
    ($store:expr, $conn:expr, $doubtful:expr, $at:expr) => {{
        let mut moves = Moves::default();
        for (run, seqs) in $doubtful {
            let settled: Vec<i64> = sqlx::query_scalar($store.sql(UNCERTAIN))
                .bind(run.0)
                .bind(json(seqs.iter()))
                .fetch_all(&mut *$conn)
                .await?;
            if settled.is_empty() {
                continue;
            }
            sqlx::query($store.sql(ARRIVED))
                .bind(run.0)
                .bind(json(settled.iter()))
                .bind($at.0)
                .execute(&mut *$conn)
                .await?;
            for seq in settled
                .into_iter()
                .filter_map(|seq| u32::try_from(seq).ok())
            {
                moves.add(DeliveryKey { run, seq }, State::Uncertain, State::Sent);
            }
        }
        moves
    }};
}

impl Store {
    /// Stores `events` at the end of the log. Events of readers who want nothing counted are left out, and, unless
    /// `unasked` ones are counted, those of readers who never said anything of it.
    pub async fn record_events(&self, events: &[Event], unasked: bool) -> Result<()> {
        self.record_events_once(events, unasked, &mut None).await
    }

    /// The same of a group that may have been tried before: `tried` is what that left here, and what this leaves.
    pub async fn record_events_once(
        &self,
        events: &[Event],
        unasked: bool,
        tried: &mut Option<Drawn>,
    ) -> Result<()> {
        again!(self.try_events(events, unasked, tried).await)
    }

    async fn try_events(
        &self,
        events: &[Event],
        unasked: bool,
        tried: &mut Option<Drawn>,
    ) -> Result<()> {
        let Some(at) = events.iter().map(|event| event.at).min() else {
            return Ok(());
        };
        transact!(self, conn => {
            let last = take_event_ids!(conn, at, events.len());
            if is_stored!(conn, *tried) {
                return Ok(());
            }
            let guards: Vec<(i64, i64)> = sqlx::query_as(GUARDS)
                .bind(i64::from(unasked))
                .fetch_all(&mut *conn)
                .await?;
            let muted = muted!(self, conn, events, unasked, guards);
            let told = |event: &&Event| {
                let key = event.delivery;
                !muted.contains(&(key.run, i64::from(key.seq)))
            };
            let told: Vec<&Event> = events.iter().filter(told).collect();
            let moves = settle_doubtful!(self, conn, doubtful(&told, &guards), at);
            apply_moves!(self, conn, moves);
            *tried = told.last().map(|event| Drawn {
                id: last,
                at: event.at.0,
                kind: event.kind.name(),
                seq: i64::from(event.delivery.seq),
            });
            if !told.is_empty() {
                sqlx::query(self.sql(ADD_EVENTS))
                    .bind(event_rows(last, &told))
                    .execute(&mut *conn)
                    .await?;
            }
        })
    }
}

impl Store {
    /// Counts events that were not stored, by run.
    pub async fn note_dropped(&self, dropped: &BTreeMap<RunId, u64>) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(self.sql(
                "insert into dropped_events (run_id, number)
                 select r.id, cast(v.value->>1 as bigint)
                 from json_each($1) v join runs r on r.id = cast(v.value->>0 as bigint)
                 where true
                 on conflict (run_id) do update set number = dropped_events.number + excluded.number",
            ))
            .bind(json(dropped.iter()))
            .execute(conn)
            .await?;
        })
    }

    /// How many events of each kind a delivery has in the log from one instant to before another, as far as they are
    /// folded.
    pub async fn events_in(
        &self,
        delivery: DeliveryKey,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<(EventKind, i64)>> {
        let found: Vec<(String, i64)> = read!(self, conn => {
            sqlx::query_as(
                "select e.kind, count(*) from delivery_events x join events e on e.id = x.event_id
                 where x.run_id = $1 and x.seq = $2 and x.event_id >= $3 and x.event_id < $4
                 group by e.kind",
            )
            .bind(delivery.run.0)
            .bind(i64::from(delivery.seq))
            .bind(first_id(from))
            .bind(first_id(to))
            .fetch_all(conn)
            .await?
        });
        let kinds = found.into_iter();
        Ok(kinds
            .filter_map(|(kind, number)| Some((EventKind::parse(&kind)?, number)))
            .collect())
    }

    /// How many events of a run were not stored, because their copies' links were asked more often than anybody reads.
    pub async fn dropped_events(&self, run: RunId) -> Result<u64> {
        let number: Option<i64> = read!(self, conn => {
            sqlx::query_scalar("select number from dropped_events where run_id = $1")
                .bind(run.0)
                .fetch_optional(conn)
                .await?
        });
        Ok(number.map_or(0, i64::unsigned_abs))
    }
}

/// Rows as one JSON parameter.
pub(crate) fn json(rows: impl Iterator<Item = impl Serialize>) -> String {
    let rows: Vec<_> = rows.collect();
    serde_json::to_string(&rows).expect("rows are plain data")
}

/// The deliveries of these events that stand in a block where anything is uncertain, by run.
fn doubtful(told: &[&Event], guards: &[(i64, i64)]) -> BTreeMap<RunId, BTreeSet<u32>> {
    let mut doubtful = keys_by_run(told.iter().copied());
    for (run, seqs) in &mut doubtful {
        let uncertain = |seq: &u32| {
            let block = i64::from(
                DeliveryKey {
                    run: *run,
                    seq: *seq,
                }
                .block(),
            );
            guards.contains(&(run.0, block))
        };
        seqs.retain(uncertain);
    }
    doubtful.retain(|_, seqs| !seqs.is_empty());
    doubtful
}

fn keys_by_run<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<RunId, BTreeSet<u32>> {
    let mut keys: BTreeMap<RunId, BTreeSet<u32>> = BTreeMap::new();
    for event in events {
        let seqs = keys.entry(event.delivery.run).or_default();
        seqs.insert(event.delivery.seq);
    }
    keys
}

/// Events as [`ADD_EVENTS`] takes them; `last` is the id of the last of them.
pub(crate) fn event_rows(last: i64, events: &[&Event]) -> String {
    let first = last + 1 - i64::try_from(events.len()).unwrap_or(0);
    json((first..).zip(events).map(|(id, event)| -> EventRow<'_> {
        (
            id,
            event.at.0,
            event.kind.name(),
            event.delivery.run.0,
            event.delivery.seq,
            event.link,
            &event.evidence,
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::{GROUP, first_id, latest_of};
    use crate::clock::Timestamp;

    #[test]
    fn ids_rise_with_time_and_leave_room_within_a_millisecond() {
        assert_eq!(first_id(Timestamp(-5)), 0);
        assert_eq!(first_id(Timestamp(2)) - first_id(Timestamp(1)), 1 << 21);
        assert!(first_id(Timestamp(i64::MAX)) > 0);
        assert_eq!(latest_of(first_id(Timestamp(7)) + 12), Timestamp(7 + GROUP));
    }
}
