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
use crate::store::leave::{by_own_hand, take_queued};
use crate::store::ledger::key_of;
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

/// Adds who left to the blocks of their copies: run, block, number.
const ADD_DEPARTED: &str = "
    update blocks set departed = departed + v.number
    from (
        select cast(value->>0 as bigint) as run, cast(value->>1 as bigint) as block,
               cast(value->>2 as bigint) as number
        from json_each($1)
    ) as v
    where blocks.run_id = v.run and blocks.block = v.block";

const ADD_UNSUBSCRIBES: &str = "
    insert into events (id, at, kind, run_id, seq, evidence)
    select cast(value->>0 as bigint), cast(value->>1 as bigint), 'unsubscribe',
           cast(value->>2 as bigint), cast(value->>3 as bigint), value->>4
    from json_each($1)";

/// Run and seq of a copy.
type Key = (i64, i64);

/// A leaving by the link of an issue's copy.
type ByCopy<'a> = (&'a Leaving, DeliveryKey);

/// Subscriptions that a group ended.
struct Ended {
    keys: HashSet<i64>,
    /// All subscriptions of those who leave every list, each beside the one that was asked.
    siblings: Vec<(i64, i64)>,
}

impl Ended {
    /// Whether any subscription ended by this leaving.
    fn by(&self, leaving: &Leaving) -> bool {
        let key = leaving.subscription.0;
        let mut others = self.siblings.iter();
        self.keys.contains(&key)
            || others.any(|(asked, other)| *asked == key && self.keys.contains(other))
    }
}

/// What became of the copies whose links were used.
#[derive(Default)]
struct Copies {
    /// By these a run lost a reader.
    counted: HashSet<Key>,
    /// These were uncertain and have arrived.
    settled: Vec<Key>,
    /// These are in the database.
    known: HashSet<Key>,
}

/// Notes leavings under their ids, and gives the ids that are new: `take_ids!(self, conn, leavings)`.
macro_rules! take_ids {
    ($store:expr, $conn:expr, $leavings:expr) => {{
        let named = $leavings.iter().filter(|leaving| leaving.id != 0);
        let taken: Vec<i64> = sqlx::query_scalar($store.sql(TAKE))
            .bind(json(named.map(|leaving| (leaving.id, leaving.at))))
            .fetch_all(&mut *$conn)
            .await?;
        taken.into_iter().collect::<HashSet<i64>>()
    }};
}

/// All subscriptions of those who leave every list, each beside the one that was asked: `siblings!(self, conn, news)`.
macro_rules! siblings {
    ($store:expr, $conn:expr, $news:expr) => {{
        let everywhere = $news.iter().filter(|leaving| leaving.everywhere);
        let everywhere: Vec<i64> = everywhere.map(|leaving| leaving.subscription.0).collect();
        let siblings: Vec<(i64, i64)> = match everywhere.is_empty() {
            true => Vec::new(),
            false => {
                sqlx::query_as($store.sql(SIBLINGS))
                    .bind(json(everywhere.iter()))
                    .fetch_all(&mut *$conn)
                    .await?
            }
        };
        siblings
    }};
}

/// Ends subscriptions, given with their times, and gives key, list and reader of those that had not ended:
/// `end!(self, conn, wanted)`.
macro_rules! end {
    ($store:expr, $conn:expr, $wanted:expr) => {{
        let wanted: BTreeMap<i64, Timestamp> = $wanted;
        let ended: Vec<(i64, i64, i64)> = sqlx::query_as($store.sql(END))
            .bind(json(wanted.iter()))
            .fetch_all(&mut *$conn)
            .await?;
        by_own_hand!($store, $conn, json(wanted.keys()));
        ended
    }};
}

/// Keeps why they left, of those who said it: `keep_reasons!(self, conn, news)`.
macro_rules! keep_reasons {
    ($store:expr, $conn:expr, $news:expr) => {
        let reasons = $news.iter().filter_map(|leaving| {
            let (reason, words) = leaving.reason.as_ref()?;
            Some((leaving.subscription, leaving.at, reason, words))
        });
        let reasons: Vec<_> = reasons.collect();
        if !reasons.is_empty() {
            sqlx::query($store.sql(REASON))
                .bind(json(reasons.iter()))
                .execute(&mut *$conn)
                .await?;
        }
    };
}

/// Counts who left by which copy, and settles the copies, which prove to have come:
/// `count_copies!(self, conn, by_copy, ended)`.
macro_rules! count_copies {
    ($store:expr, $conn:expr, $by_copy:expr, $ended:expr) => {{
        let found: Vec<(i64, i64, i64, i64)> = sqlx::query_as($store.sql(ENDED))
            .bind(json(
                $by_copy.iter().map(|(leaving, _)| leaving.subscription),
            ))
            .fetch_all(&mut *$conn)
            .await?;
        let counted: Vec<Key> = sqlx::query_as($store.sql(DEPART))
            .bind(departures($by_copy, found, $ended))
            .bind(AGAIN)
            .fetch_all(&mut *$conn)
            .await?;
        let copies = $by_copy.iter();
        let copies = json(copies.map(|(leaving, key)| (key.run, key.seq, leaving.at)));
        let settled: Vec<Key> = sqlx::query_as($store.sql(SETTLE))
            .bind(&copies)
            .fetch_all(&mut *$conn)
            .await?;
        let known: Vec<Key> = sqlx::query_as($store.sql(KNOWN))
            .bind(&copies)
            .fetch_all(&mut *$conn)
            .await?;
        Copies {
            counted: counted.into_iter().collect(),
            settled,
            known: known.into_iter().collect(),
        }
    }};
}

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
        let most = leavings.iter().filter_map(by_copy).count();
        transact!(self, conn => {
            // First, as everyone does who writes events: two that wait for each other would both be undone.
            let last = take_event_ids!(conn, latest, most);
            let taken = take_ids!(self, conn, leavings);
            let is_news = |leaving: &Leaving| leaving.id == 0 || taken.contains(&leaving.id);
            let news: Vec<&Leaving> = leavings.iter().filter(|leaving| is_news(leaving)).collect();
            let siblings = siblings!(self, conn, news);
            let ended = end!(self, conn, wanted(&news, &siblings));
            keep_reasons!(self, conn, news);
            let readers = ended.iter().map(|&(_, list, subscriber)| (subscriber, list));
            let mut moves = take_queued!(self, conn, readers, latest);
            let keys = ended.into_iter().map(|(key, ..)| key).collect();
            let ended = Ended { keys, siblings };
            let by_copy: Vec<ByCopy<'_>> = news.iter().copied().filter_map(by_copy).collect();
            let copies = match by_copy.is_empty() {
                true => Copies::default(),
                false => count_copies!(self, conn, &by_copy, &ended),
            };
            for &(run, seq) in &copies.settled {
                moves.add(key_of(run, seq), State::Uncertain, State::Sent);
            }
            apply_moves!(self, conn, moves);
            for (statement, rows) in [
                (ADD_DEPARTED, departed(&by_copy, &copies)),
                (ADD_UNSUBSCRIBES, unsubscribes(&by_copy, &copies, &ended, last)),
            ] {
                if rows != "[]" {
                    sqlx::query(self.sql(statement)).bind(rows).execute(&mut *conn).await?;
                }
            }
            let left = leavings.iter().map(|leaving| Left {
                changed: is_news(leaving) && ended.by(leaving),
                counted: leaving.delivery.is_some_and(|key| copies.counted.contains(&pair(key))),
            });
            left.collect::<Vec<_>>()
        })
    }
}

fn by_copy(leaving: &Leaving) -> Option<ByCopy<'_>> {
    let key = leaving.delivery.filter(|key| key.run != RunId::SYSTEM)?;
    Some((leaving, key))
}

fn pair(key: DeliveryKey) -> Key {
    (key.run.0, i64::from(key.seq))
}

/// The subscriptions that are to end, and when. One click leaves one list; what the page's other button ends is counted
/// with it.
fn wanted(news: &[&Leaving], siblings: &[(i64, i64)]) -> BTreeMap<i64, Timestamp> {
    let mut wanted = BTreeMap::new();
    for leaving in news {
        let key = leaving.subscription.0;
        wanted.insert(key, leaving.at);
        let others = siblings
            .iter()
            .filter(|(asked, _)| leaving.everywhere && *asked == key);
        for (_, other) in others {
            wanted.entry(*other).or_insert(leaving.at);
        }
    }
    wanted
}

/// Rows of [`DEPART`], from those that [`ENDED`] gave.
fn departures(by_copy: &[ByCopy<'_>], found: Vec<(i64, i64, i64, i64)>, ended: &Ended) -> String {
    let found = found.into_iter();
    let found = found.map(|(key, subscriber, list, left_at)| (key, (subscriber, list, left_at)));
    let found: HashMap<i64, (i64, i64, i64)> = found.collect();
    json(by_copy.iter().filter_map(|(leaving, key)| {
        let (subscriber, list, left_at) = found.get(&leaving.subscription.0)?;
        let fresh = i64::from(ended.by(leaving));
        Some((
            key.run, key.seq, leaving.at, subscriber, list, left_at, fresh,
        ))
    }))
}

/// Rows of [`ADD_DEPARTED`].
fn departed(by_copy: &[ByCopy<'_>], copies: &Copies) -> String {
    let mut departed: BTreeMap<(i64, u32), i64> = BTreeMap::new();
    for (_, key) in by_copy {
        if copies.counted.contains(&pair(*key)) {
            *departed.entry((key.run.0, key.block())).or_default() += 1;
        }
    }
    let rows = departed.iter();
    json(rows.map(|((run, block), number)| (run, block, number)))
}

/// Rows of [`ADD_UNSUBSCRIBES`], of which the group may take the ids up to `last`.
fn unsubscribes(by_copy: &[ByCopy<'_>], copies: &Copies, ended: &Ended, last: i64) -> String {
    let each = by_copy.iter().enumerate();
    json(each.filter_map(|(place, (leaving, key))| {
        let copy = pair(*key);
        // When the delivery is known, the event goes with its count: another request about the same
        // leaving may have been first.
        let told =
            copies.counted.contains(&copy) || (ended.by(leaving) && !copies.known.contains(&copy));
        let id = last - i64::try_from(by_copy.len() - 1 - place).unwrap_or(0);
        told.then(|| {
            let evidence = serde_json::to_string(&leaving.evidence);
            let evidence = evidence.expect("evidence is plain data");
            (id, leaving.at, key.run, key.seq, evidence)
        })
    }))
}
