//! Readers who leave by a copy's own link: a group of them in one transaction.
//!
//! Promises: the subscription, the queued mail that is taken, the event and its count change together or not at all; a
//! leaving counts once, whichever copies' links were used and however often. A group costs a dozen statements,
//! whatever its size. Leaves grouping to `track::leavers`.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::event::Evidence;
use crate::id::{DeliveryKey, RunId, SubscriptionKey};
use crate::store::blocks::apply_moves;
use crate::store::events::{json, take_event_ids};
use crate::store::import_moves::SEAL;
use crate::store::leave::take_queued;
use crate::store::{Result, Store};

/// A leaving that was answered by a fault is counted when it is asked again within this time; one that
/// was asked elsewhere (by the author, by another mail) is not this mail's.
const AGAIN: i64 = 3_600_000;

/// A reader who wants to leave one list.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Leaving {
    pub subscription: SubscriptionKey,
    /// The copy whose link was used.
    pub delivery: Option<DeliveryKey>,
    /// Whether the subscription was ended just now by another statement.
    pub left: bool,
    pub at: Timestamp,
    pub evidence: Evidence,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The subscription ended by this.
    pub changed: bool,
    /// The copy's run lost a reader by this.
    pub counted: bool,
}

/// Ends subscriptions: key and time.
const END: &str = "
    update subscriptions set status = 'unsubscribed', left_at = v.at
    from (
        select cast(value->>0 as bigint) as wanted, cast(value->>1 as bigint) as at from json_each($1)
    ) as v
    where subscriptions.key = v.wanted and subscriptions.status <> 'unsubscribed'
    returning key, list_id, subscriber_id";

/// Locks ended subscriptions by writing them unchanged, so that two copies' links used at the same moment are one
/// leaving.
const ENDED: &str = "
    update subscriptions set left_at = left_at
    where key in (select cast(value as bigint) from json_each($1))
      and status = 'unsubscribed' and left_at is not null
    returning key, subscriber_id, list_id, left_at";

/// Counts departures: run, seq, time, subscriber, list, when they left, whether by this.
const DEPART: &str = "
    update deliveries set departed_at = v.at
    from (
        select cast(value->>0 as bigint) as run, cast(value->>1 as bigint) as number,
               cast(value->>2 as bigint) as at, cast(value->>3 as bigint) as subscriber,
               cast(value->>4 as bigint) as list, cast(value->>5 as bigint) as left_at,
               cast(value->>6 as bigint) as fresh
        from json_each($1)
    ) as v
    where deliveries.run_id = v.run and deliveries.seq = v.number and deliveries.departed_at is null
      and exists (select 1 from runs where id = v.run and kind = 'issue')
      and (v.fresh = 1 or v.left_at >= v.at - $2)
      and not exists (
          select 1 from deliveries other
          join runs r on r.id = other.run_id and r.list_id = v.list
          where other.subscriber_id = v.subscriber and other.departed_at >= v.left_at
      )
    returning run_id, seq";

/// What a leaving proves: the copy had arrived. Run, seq, time.
const SETTLE: &str = "
    update deliveries set state = 'sent', settled_at = coalesce(settled_at, v.at)
    from (
        select cast(value->>0 as bigint) as run, cast(value->>1 as bigint) as number,
               cast(value->>2 as bigint) as at
        from json_each($1)
    ) as v
    where deliveries.run_id = v.run and deliveries.seq = v.number and deliveries.state = 'uncertain'
    returning run_id, seq";

const KNOWN: &str = "
    select d.run_id, d.seq
    from json_each($1) as v
        join deliveries d on d.run_id = cast(v.value->>0 as bigint) and d.seq = cast(v.value->>1 as bigint)
        join runs r on r.id = d.run_id and r.kind = 'issue'";

/// A leaving that is taken back, of a reader from a list who left at `$3`, was none by any run's copy. One that stands at
/// the dot keeps it: it proves that the copy came.
pub(crate) const STAYED: &str = "
    update deliveries set departed_at = null
    where subscriber_id = $1 and departed_at >= $3 and state <> 'at_dot'
      and run_id in (select id from runs where kind = 'issue' and list_id = $2)
    returning run_id, seq / 256";

/// Takes a departure back from a block: run, block.
pub(crate) const STAY: &str =
    "update blocks set departed = departed - 1 where run_id = $1 and block = $2 and departed > 0";

type Key = (i64, i64);

impl Store {
    /// Ends the subscriptions and counts who left by which copy, in the order of `leavings`. No subscription stands
    /// twice in them.
    pub async fn leave_group(&self, leavings: &[Leaving]) -> Result<Vec<Left>> {
        again!(self.try_leave_group(leavings).await)
    }

    async fn try_leave_group(&self, leavings: &[Leaving]) -> Result<Vec<Left>> {
        let Some(latest) = leavings.iter().map(|leaving| leaving.at).max() else {
            return Ok(Vec::new());
        };
        let by_copy: Vec<(&Leaving, DeliveryKey)> = leavings
            .iter()
            .filter_map(|leaving| Some((leaving, leaving.delivery?)))
            .filter(|(_, delivery)| delivery.run != RunId::SYSTEM)
            .collect();
        let copies = json(
            by_copy
                .iter()
                .map(|(leaving, key)| (key.run, key.seq, leaving.at)),
        );
        transact!(self, conn => {
            // First, as everyone does who writes events: two that wait for each other would both be undone.
            let last = take_event_ids!(conn, latest, by_copy.len());
            let ended: Vec<(i64, i64, i64)> = sqlx::query_as(self.sql(END))
                .bind(json(leavings.iter().map(|leaving| (leaving.subscription, leaving.at))))
                .fetch_all(&mut *conn)
                .await?;
            // Also where an import had ended them: that one may be taken back.
            sqlx::query(self.sql(SEAL))
                .bind(json(leavings.iter().map(|leaving| leaving.subscription)))
                .execute(&mut *conn)
                .await?;
            let readers = ended.iter().map(|&(_, list, subscriber)| (subscriber, list));
            let mut moves = take_queued!(self, conn, readers, latest);
            let ended: HashSet<i64> = ended.into_iter().map(|(key, ..)| key).collect();
            let fresh = |leaving: &Leaving| leaving.left || ended.contains(&leaving.subscription.0);
            let mut counted: HashSet<Key> = HashSet::new();
            let mut settled: Vec<Key> = Vec::new();
            let mut known: HashSet<Key> = HashSet::new();
            if !by_copy.is_empty() {
                let keys = by_copy.iter().map(|(leaving, _)| leaving.subscription);
                let found: Vec<(i64, i64, i64, i64)> = sqlx::query_as(self.sql(ENDED))
                    .bind(json(keys))
                    .fetch_all(&mut *conn)
                    .await?;
                let found: HashMap<i64, (i64, i64, i64)> = found
                    .into_iter()
                    .map(|(key, subscriber, list, left_at)| (key, (subscriber, list, left_at)))
                    .collect();
                let departures = by_copy.iter().filter_map(|(leaving, key)| {
                    let (subscriber, list, left_at) = found.get(&leaving.subscription.0)?;
                    let fresh = i64::from(fresh(leaving));
                    Some((key.run, key.seq, leaving.at, subscriber, list, left_at, fresh))
                });
                counted = sqlx::query_as(self.sql(DEPART))
                    .bind(json(departures))
                    .bind(AGAIN)
                    .fetch_all(&mut *conn)
                    .await?
                    .into_iter()
                    .collect();
                settled = sqlx::query_as(self.sql(SETTLE))
                    .bind(&copies)
                    .fetch_all(&mut *conn)
                    .await?;
                known = sqlx::query_as(self.sql(KNOWN))
                    .bind(&copies)
                    .fetch_all(&mut *conn)
                    .await?
                    .into_iter()
                    .collect();
            }
            for (run, seq) in settled {
                let seq = u32::try_from(seq).expect("a seq is written from a u32");
                let key = DeliveryKey { run: RunId(run), seq };
                moves.add(key, State::Uncertain, State::Sent);
            }
            apply_moves!(self, conn, moves);
            let mut departed: BTreeMap<(i64, u32), i64> = BTreeMap::new();
            let mut events = Vec::new();
            for (place, (leaving, key)) in by_copy.iter().enumerate() {
                let copy = (key.run.0, i64::from(key.seq));
                let counts = counted.contains(&copy);
                if counts {
                    *departed.entry((key.run.0, key.block())).or_default() += 1;
                }
                // When the delivery is known, the event goes with its count: another request about the same
                // leaving may have been first.
                if counts || (fresh(leaving) && !known.contains(&copy)) {
                    let id = last - i64::try_from(by_copy.len() - 1 - place).unwrap_or(0);
                    let evidence = serde_json::to_string(&leaving.evidence);
                    let evidence = evidence.expect("evidence is plain data");
                    events.push((id, leaving.at, key.run, key.seq, evidence));
                }
            }
            if !departed.is_empty() {
                sqlx::query(self.sql(
                    "update blocks set departed = departed + v.number
                     from (
                         select cast(value->>0 as bigint) as run, cast(value->>1 as bigint) as block,
                                cast(value->>2 as bigint) as number
                         from json_each($1)
                     ) as v
                     where blocks.run_id = v.run and blocks.block = v.block",
                ))
                .bind(json(departed.iter().map(|((run, block), number)| (run, block, number))))
                .execute(&mut *conn)
                .await?;
            }
            if !events.is_empty() {
                sqlx::query(self.sql(
                    "insert into events (id, at, kind, run_id, seq, evidence)
                     select cast(value->>0 as bigint), cast(value->>1 as bigint), 'unsubscribe',
                            cast(value->>2 as bigint), cast(value->>3 as bigint), value->>4
                     from json_each($1)",
                ))
                .bind(json(events.iter()))
                .execute(&mut *conn)
                .await?;
            }
            let left = leavings.iter().map(|leaving| Left {
                changed: ended.contains(&leaving.subscription.0),
                counted: leaving
                    .delivery
                    .is_some_and(|key| counted.contains(&(key.run.0, i64::from(key.seq)))),
            });
            left.collect::<Vec<_>>()
        })
    }
}
