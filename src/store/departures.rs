//! Readers who leave by a copy's own link: a group of them in one transaction.
//!
//! Promises: the subscription, the queued mail that is taken, the event and its count change together or not at all; a
//! leaving counts once, whichever copies' links were used and however often. A group costs a dozen statements,
//! whatever its size. Leaves grouping to `track::leavers`.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::clock::{HOUR, Timestamp};
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
const AGAIN: i64 = HOUR;

/// A reader who wants to leave one list, or every one.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Leaving {
    /// A random number of its own: under it the leaving is taken once. 0 is none.
    #[serde(default)]
    pub id: i64,
    pub subscription: SubscriptionKey,
    /// The copy whose link was used.
    pub delivery: Option<DeliveryKey>,
    /// All lists of this reader, and not only this one.
    #[serde(default)]
    pub everywhere: bool,
    pub at: Timestamp,
    pub evidence: Evidence,
    /// Why, in a name and the reader's words.
    #[serde(default)]
    pub reason: Option<(String, String)>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The subscription ended by this.
    pub changed: bool,
    /// The copy's run lost a reader by this.
    pub counted: bool,
}

/// Notes the ids of leavings and gives those that were not noted before: id and time.
const TAKE: &str = "
    insert into leavings_taken (id, at)
    select cast(value->>0 as bigint), cast(value->>1 as bigint) from json_each($1)
    where true
    on conflict (id) do nothing
    returning id";

/// All subscriptions of the readers behind some, each beside the one that was asked.
const SIBLINGS: &str = "
    select asked.key, other.key
    from json_each($1) as v
        join subscriptions asked on asked.key = cast(v.value as bigint)
        join subscriptions other on other.subscriber_id = asked.subscriber_id";

/// Keeps why readers left, the last word of each: key, time, reason, words. Nothing is kept of who has not left.
const REASON: &str = "
    insert into leave_reasons (subscription, at, reason, words)
    select n.key, cast(v.value->>1 as bigint), v.value->>2, v.value->>3
    from json_each($1) as v
        join subscriptions n on n.key = cast(v.value->>0 as bigint)
    where n.status = 'unsubscribed'
    on conflict (subscription) do update
    set at = excluded.at, reason = excluded.reason, words = excluded.words";

/// Ends subscriptions: key and time.
const END: &str = "
    update subscriptions set status = 'unsubscribed', left_at = v.at, left_why = null
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

/// What an opening, a click or a leaving proves: the copy had arrived. Run, seq, time.
pub(crate) const SETTLE: &str = "
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
    /// Ends the subscriptions and counts who left by which copy, in the order of `leavings`; what was taken before under
    /// its id changes nothing. No subscription stands twice in them.
    pub async fn leave_group(&self, leavings: &[Leaving]) -> Result<Vec<Left>> {
        again!(self.try_leave_group(leavings).await)
    }

    /// Forgets the ids of leavings from before `at`: no journal holds them any more.
    pub async fn forget_taken(&self, at: Timestamp) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("delete from leavings_taken where at < $1")
                .bind(at.0)
                .execute(conn)
                .await?;
        })
    }

    async fn try_leave_group(&self, leavings: &[Leaving]) -> Result<Vec<Left>> {
        let Some(latest) = leavings.iter().map(|leaving| leaving.at).max() else {
            return Ok(Vec::new());
        };
        let by_a_copy =
            |leaving: &&Leaving| leaving.delivery.is_some_and(|key| key.run != RunId::SYSTEM);
        let most = leavings.iter().filter(by_a_copy).count();
        transact!(self, conn => {
            // First, as everyone does who writes events: two that wait for each other would both be undone.
            let last = take_event_ids!(conn, latest, most);
            let named = leavings.iter().filter(|leaving| leaving.id != 0);
            let taken: HashSet<i64> = sqlx::query_scalar(self.sql(TAKE))
                .bind(json(named.map(|leaving| (leaving.id, leaving.at))))
                .fetch_all(&mut *conn)
                .await?
                .into_iter()
                .collect();
            let news = leavings.iter();
            let news: Vec<&Leaving> = news
                .filter(|leaving| leaving.id == 0 || taken.contains(&leaving.id))
                .collect();
            let by_copy: Vec<(&Leaving, DeliveryKey)> = news
                .iter()
                .copied()
                .filter(by_a_copy)
                .filter_map(|leaving| Some((leaving, leaving.delivery?)))
                .collect();
            let copies = json(
                by_copy
                    .iter()
                    .map(|(leaving, key)| (key.run, key.seq, leaving.at)),
            );
            // One click leaves one list; what the page's other button ends is counted with it.
            let everywhere = news.iter().filter(|leaving| leaving.everywhere);
            let everywhere = everywhere.map(|leaving| leaving.subscription.0);
            let everywhere: Vec<i64> = everywhere.collect();
            let siblings: Vec<(i64, i64)> = match everywhere.is_empty() {
                true => Vec::new(),
                false => {
                    sqlx::query_as(self.sql(SIBLINGS))
                        .bind(json(everywhere.iter()))
                        .fetch_all(&mut *conn)
                        .await?
                }
            };
            let mut wanted: BTreeMap<i64, Timestamp> = BTreeMap::new();
            for leaving in &news {
                let key = leaving.subscription.0;
                wanted.insert(key, leaving.at);
                let others = siblings.iter().filter(|(asked, _)| leaving.everywhere && *asked == key);
                for (_, other) in others {
                    wanted.entry(*other).or_insert(leaving.at);
                }
            }
            let ended: Vec<(i64, i64, i64)> = sqlx::query_as(self.sql(END))
                .bind(json(wanted.iter()))
                .fetch_all(&mut *conn)
                .await?;
            // Also where an import had ended them: that one may be taken back.
            sqlx::query(self.sql(SEAL))
                .bind(json(wanted.keys()))
                .execute(&mut *conn)
                .await?;
            let reasons = news.iter();
            let reasons: Vec<_> = reasons
                .filter_map(|leaving| {
                    let (reason, words) = leaving.reason.as_ref()?;
                    Some((leaving.subscription, leaving.at, reason, words))
                })
                .collect();
            if !reasons.is_empty() {
                sqlx::query(self.sql(REASON))
                    .bind(json(reasons.iter()))
                    .execute(&mut *conn)
                    .await?;
            }
            let readers = ended.iter().map(|&(_, list, subscriber)| (subscriber, list));
            let mut moves = take_queued!(self, conn, readers, latest);
            let ended: HashSet<i64> = ended.into_iter().map(|(key, ..)| key).collect();
            let fresh = |leaving: &Leaving| {
                let key = leaving.subscription.0;
                let mut others = siblings.iter();
                ended.contains(&key)
                    || others.any(|(asked, other)| *asked == key && ended.contains(other))
            };
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
            let is_news = |leaving: &Leaving| leaving.id == 0 || taken.contains(&leaving.id);
            let left = leavings.iter().map(|leaving| Left {
                changed: is_news(leaving) && fresh(leaving),
                counted: leaving
                    .delivery
                    .is_some_and(|key| counted.contains(&(key.run.0, i64::from(key.seq)))),
            });
            left.collect::<Vec<_>>()
        })
    }
}
