//! Events and the counters they move, a group at a time.
//!
//! Promises: a group is stored whole or not at all, with every counter in the same transaction; a
//! reader counts once however many nodes write; a group costs a handful of statements for each run in
//! it, whatever its size.
//! Leaves what counts to `event::tally`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::clock::Timestamp;
use crate::event::{Event, Evidence, Standing, Tally, tally};
use crate::id::{DeliveryKey, RunId, SubscriptionKey};
use crate::store::{Result, Store};

/// A leaving that was answered by a fault is counted when it is asked again within this time; one that
/// was asked elsewhere (by the author, by another mail) is not this mail's.
const AGAIN: i64 = 3_600_000;

#[derive(Serialize)]
struct EventRow {
    id: i64,
    at: i64,
    kind: &'static str,
    run: i64,
    seq: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<u32>,
    /// JSON within JSON: the database then takes it as it stands.
    evidence: String,
}

#[derive(Serialize)]
struct BlockRow {
    run: i64,
    block: u32,
    opened: i64,
    clicked: i64,
    opens: i64,
    clicks: i64,
    settled: i64,
}

#[derive(Serialize)]
struct ClickRow {
    run: i64,
    seq: u32,
    link: u32,
    at: Timestamp,
}

#[derive(Serialize)]
struct LinkRow {
    run: i64,
    link: u32,
    readers: i64,
    clicks: i64,
}

/// A reader who left by a link of one copy.
#[derive(Clone, Debug)]
pub struct Departure<'a> {
    pub subscription: SubscriptionKey,
    pub delivery: DeliveryKey,
    /// Whether the subscription ended just now, so that the event is kept even without a delivery.
    pub left: bool,
    pub at: Timestamp,
    pub event_id: i64,
    pub evidence: &'a Evidence,
}

/// Deliveries of readers who want nothing counted.
pub(crate) const MUTED: &str = "
    select d.seq from deliveries d
    join subscribers u on u.id = d.subscriber_id and u.tracking = 'off'
    where d.run_id = $1 and d.seq in (select cast(value as bigint) from json_each($2))";

impl Store {
    /// Stores `events` under `ids` (of the same length) and moves every counter they move. The time
    /// since the delivery was settled is added to each event's evidence. A duplicate id is an error
    /// that stores nothing. Events of readers who want nothing counted are left out.
    pub async fn record_events(&self, ids: &[i64], events: &mut [Event]) -> Result<()> {
        again!(self.try_events(ids, events).await)
    }

    async fn try_events(&self, ids: &[i64], events: &mut [Event]) -> Result<()> {
        let keys = keys_by_run(events);
        transact!(self, conn => {
            // Invariant: whoever withdrew is not counted, by old mail neither. Nearly always there is
            // nobody, and this one look into a small index is all that it costs.
            let mut muted = HashSet::new();
            let anyone: i64 = sqlx::query_scalar(
                "select count(*) from (select 1 from subscribers where tracking = 'off' limit 1) some_",
            )
            .fetch_one(&mut *conn)
            .await?;
            for (run, seqs) in keys.iter().filter(|_| anyone > 0) {
                let found: Vec<i64> = sqlx::query_scalar(self.sql(MUTED))
                    .bind(run.0)
                    .bind(json(seqs.iter()))
                    .fetch_all(&mut *conn)
                    .await?;
                muted.extend(found.into_iter().map(|seq| (*run, seq)));
            }
            let mut kept: Vec<Event> = Vec::new();
            let events = if muted.is_empty() {
                &mut *events
            } else {
                let told = |event: &&Event| {
                    let key = event.delivery;
                    !muted.contains(&(key.run, i64::from(key.seq)))
                };
                kept.extend(events.iter().filter(told).cloned());
                &mut kept[..]
            };
            let mut standing = HashMap::new();
            for (run, seqs) in &keys {
                let found: Vec<StandingRow> = sqlx::query_as(self.locking(
                    "select seq, opened_at is not null, clicked_at is not null,
                            state = 'uncertain', settled_at
                     from deliveries
                     where run_id = $1 and seq in (select cast(value as bigint) from json_each($2))
                     order by seq for update of deliveries",
                ))
                .bind(run.0)
                .bind(json(seqs.iter()))
                .fetch_all(&mut *conn)
                .await?;
                standing.extend(found.into_iter().filter_map(|row| row_standing(*run, row)));
            }
            let tally = tally(events, &standing);
            sqlx::query(self.sql(
                "insert into events (id, at, kind, run_id, seq, link, evidence)
                 select cast(value->>'id' as bigint), cast(value->>'at' as bigint), value->>'kind',
                        cast(value->>'run' as bigint), cast(value->>'seq' as bigint),
                        cast(value->>'link' as bigint), value->>'evidence'
                 from json_each($1)",
            ))
            .bind(event_rows(ids, events, &standing))
            .execute(&mut *conn)
            .await?;
            for (run, gain) in &tally.runs {
                for (statement, seqs) in [
                    (
                        "update deliveries set opened_at = $3
                         where run_id = $1 and opened_at is null
                             and seq in (select cast(value as bigint) from json_each($2))",
                        &gain.opened,
                    ),
                    (
                        "update deliveries set clicked_at = $3
                         where run_id = $1 and clicked_at is null
                             and seq in (select cast(value as bigint) from json_each($2))",
                        &gain.clicked,
                    ),
                    (
                        "update deliveries set state = 'sent', settled_at = $3
                         where run_id = $1 and state = 'uncertain'
                             and seq in (select cast(value as bigint) from json_each($2))",
                        &gain.settled,
                    ),
                ] {
                    if seqs.is_empty() {
                        continue;
                    }
                    sqlx::query(self.sql(statement))
                        .bind(run.0)
                        .bind(json(seqs.iter()))
                        .bind(tally.at.0)
                        .execute(&mut *conn)
                        .await?;
                }
            }
            if !tally.reader_clicks.is_empty() {
                let first: Vec<(i64, i64)> = sqlx::query_as(self.sql(
                    "insert into reader_clicks (run_id, seq, link, clicked_at)
                     select cast(value->>'run' as bigint), cast(value->>'seq' as bigint),
                            cast(value->>'link' as bigint), cast(value->>'at' as bigint)
                     from json_each($1) where true
                     on conflict (run_id, seq, link) do nothing
                     returning run_id, link",
                ))
                .bind(click_rows(&tally))
                .fetch_all(&mut *conn)
                .await?;
                sqlx::query(self.sql(
                    "insert into link_counts (run_id, link, readers, clicks)
                     select cast(value->>'run' as bigint), cast(value->>'link' as bigint),
                            cast(value->>'readers' as bigint), cast(value->>'clicks' as bigint)
                     from json_each($1) where true
                     on conflict (run_id, link) do update set
                         readers = link_counts.readers + excluded.readers,
                         clicks = link_counts.clicks + excluded.clicks",
                ))
                .bind(link_rows(&tally, &first))
                .execute(&mut *conn)
                .await?;
            }
            if !tally.blocks.is_empty() {
                let blocks = block_rows(&tally);
                if matches!(self, Store::Postgres(_)) {
                    // Differs by necessity: rows are locked one by one here, and a sender locks
                    // blocks too, so everyone takes them in one order.
                    sqlx::query(self.locking(
                        "select 1 from json_each($1)
                         join blocks b on b.run_id = cast(value->>'run' as bigint)
                             and b.block = cast(value->>'block' as bigint)
                         order by b.run_id, b.block for update of b",
                    ))
                    .bind(&blocks)
                    .execute(&mut *conn)
                    .await?;
                }
                sqlx::query(self.sql(
                    "update blocks set
                         opened = blocks.opened + v.opened, clicked = blocks.clicked + v.clicked,
                         opens = blocks.opens + v.opens, clicks = blocks.clicks + v.clicks,
                         uncertain = blocks.uncertain - v.settled, sent = blocks.sent + v.settled
                     from (
                         select cast(value->>'run' as bigint) as run,
                                cast(value->>'block' as bigint) as block,
                                cast(value->>'opened' as bigint) as opened,
                                cast(value->>'clicked' as bigint) as clicked,
                                cast(value->>'opens' as bigint) as opens,
                                cast(value->>'clicks' as bigint) as clicks,
                                cast(value->>'settled' as bigint) as settled
                         from json_each($1)
                     ) as v
                     where blocks.run_id = v.run and blocks.block = v.block",
                ))
                .bind(blocks)
                .execute(&mut *conn)
                .await?;
            }
        })
    }

    /// Counts a reader who left by a copy's link, after the subscription has ended: once per leaving,
    /// whichever copies' links were used and however often. True if it was counted by this call.
    pub async fn record_departure(&self, departure: &Departure<'_>) -> Result<bool> {
        again!(self.try_departure(departure).await)
    }

    async fn try_departure(&self, departure: &Departure<'_>) -> Result<bool> {
        let Departure {
            subscription,
            delivery,
            left,
            at,
            event_id,
            evidence,
        } = departure;
        let (run, seq) = (delivery.run.0, i64::from(delivery.seq));
        let evidence = plain(evidence);
        transact!(self, conn => {
            // The row is written unchanged: that locks it, so that two copies' links used at the same
            // moment are one leaving.
            let ended: Option<(i64, i64, i64)> = sqlx::query_as(
                "update subscriptions set left_at = left_at
                 where key = $1 and status = 'unsubscribed' and left_at is not null
                 returning subscriber_id, list_id, left_at",
            )
            .bind(subscription.0)
            .fetch_optional(&mut *conn)
            .await?;
            let mut counted = 0;
            if let Some((subscriber, list, left_at)) = ended {
                counted = sqlx::query(
                    "update deliveries set departed_at = $3
                     where run_id = $1 and seq = $2 and departed_at is null
                         and run_id in (select id from runs where id = $1 and kind = 'issue')
                         and ($7 = 1 or $6 >= $3 - $8)
                         and not exists (
                             select 1 from deliveries other
                             join runs r on r.id = other.run_id and r.list_id = $5
                             where other.subscriber_id = $4 and other.departed_at >= $6
                         )",
                )
                .bind(run)
                .bind(seq)
                .bind(at.0)
                .bind(subscriber)
                .bind(list)
                .bind(left_at)
                .bind(i64::from(*left))
                .bind(AGAIN)
                .execute(&mut *conn)
                .await?
                .rows_affected();
            }
            let settled = sqlx::query(
                "update deliveries set state = 'sent', settled_at = $3
                 where run_id = $1 and seq = $2 and state = 'uncertain'",
            )
            .bind(run)
            .bind(seq)
            .bind(at.0)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if counted + settled > 0 {
                sqlx::query(
                    "update blocks set departed = departed + $3, uncertain = uncertain - $4,
                         sent = sent + $4
                     where run_id = $1 and block = $2",
                )
                .bind(run)
                .bind(i64::from(delivery.block()))
                .bind(i64::try_from(counted).unwrap_or(0))
                .bind(i64::try_from(settled).unwrap_or(0))
                .execute(&mut *conn)
                .await?;
            }
            // When the delivery is known, the event goes with its count: another request about the same
            // leaving may have been first.
            let known: i64 = sqlx::query_scalar(
                "select count(*) from deliveries d
                 join runs r on r.id = d.run_id and r.kind = 'issue'
                 where d.run_id = $1 and d.seq = $2",
            )
            .bind(run)
            .bind(seq)
            .fetch_one(&mut *conn)
            .await?;
            if counted > 0 || (*left && known == 0) {
                sqlx::query(
                    "insert into events (id, at, kind, run_id, seq, evidence)
                     values ($1, $2, 'unsubscribe', $3, $4, $5)",
                )
                .bind(event_id)
                .bind(at.0)
                .bind(run)
                .bind(seq)
                .bind(evidence)
                .execute(&mut *conn)
                .await?;
            }
            counted > 0
        })
    }

    /// As [`Store::sql`], for a statement that ends in `for update of ..`. Differs by necessity: a
    /// SQLite transaction that writes is alone already.
    fn locking(&self, statement: &'static str) -> AssertSqlSafe<String> {
        match self {
            Store::Sqlite(_) => {
                let end = statement.find(" for update").unwrap_or(statement.len());
                self.sql(&statement[..end])
            }
            Store::Postgres(_) => self.sql(statement),
        }
    }
}

fn json(rows: impl Iterator<Item = impl Serialize>) -> String {
    let rows: Vec<_> = rows.collect();
    serde_json::to_string(&rows).expect("rows are plain data")
}

/// `seq`; opened, clicked, uncertain; when it was settled.
type StandingRow = (i64, bool, bool, bool, Option<i64>);

fn row_standing(run: RunId, row: StandingRow) -> Option<(DeliveryKey, Standing)> {
    let (seq, opened, clicked, uncertain, settled) = row;
    let seq = u32::try_from(seq).ok()?;
    let standing = Standing {
        opened,
        clicked,
        uncertain,
        settled_at: settled.map(Timestamp),
    };
    Some((DeliveryKey { run, seq }, standing))
}

fn keys_by_run(events: &[Event]) -> BTreeMap<RunId, BTreeSet<u32>> {
    let mut keys: BTreeMap<RunId, BTreeSet<u32>> = BTreeMap::new();
    for event in events {
        let seqs = keys.entry(event.delivery.run).or_default();
        seqs.insert(event.delivery.seq);
    }
    keys
}

fn event_rows(
    ids: &[i64],
    events: &mut [Event],
    standing: &HashMap<DeliveryKey, Standing>,
) -> String {
    for event in &mut *events {
        let settled = standing.get(&event.delivery).and_then(|row| row.settled_at);
        event.evidence.after = settled.map(|at| event.at.seconds() - at.seconds());
    }
    json(ids.iter().zip(&*events).map(|(&id, event)| EventRow {
        id,
        at: event.at.0,
        kind: event.kind.name(),
        run: event.delivery.run.0,
        seq: event.delivery.seq,
        link: event.link,
        evidence: plain(&event.evidence),
    }))
}

fn plain(evidence: &Evidence) -> String {
    serde_json::to_string(evidence).expect("evidence is plain data")
}

fn block_rows(tally: &Tally) -> String {
    json(tally.blocks.iter().map(|(&(run, block), gain)| BlockRow {
        run: run.0,
        block,
        opened: gain.opened,
        clicked: gain.clicked,
        opens: gain.opens,
        clicks: gain.clicks,
        settled: gain.settled,
    }))
}

fn click_rows(tally: &Tally) -> String {
    json(
        tally
            .reader_clicks
            .iter()
            .map(|(&(key, link), &at)| ClickRow {
                run: key.run.0,
                seq: key.seq,
                link,
                at,
            }),
    )
}

/// `first` holds run and link of each reader's first click on that link.
fn link_rows(tally: &Tally, first: &[(i64, i64)]) -> String {
    let mut readers: HashMap<(RunId, i64), i64> = HashMap::new();
    for &(run, link) in first {
        *readers.entry((RunId(run), link)).or_default() += 1;
    }
    json(
        tally
            .link_clicks
            .iter()
            .map(|(&(run, link), &clicks)| LinkRow {
                run: run.0,
                link,
                readers: readers.get(&(run, i64::from(link))).copied().unwrap_or(0),
                clicks,
            }),
    )
}
