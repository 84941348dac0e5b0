//! The fold: what the event log counts, moved into counters and tallies behind it.
//!
//! Promises: each event is counted exactly once, whoever folds and whatever is killed: the position moves by
//! compare-and-set in the transaction of the numbers. Leaves what is counted to `track::fold`.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::event::Event;
use crate::id::RunId;
use crate::stats::tally::{Class, Tally};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::departures::SETTLE;
use crate::store::events::{json, latest_of};
use crate::store::ledger::key_of;
use crate::store::{Result, Store};

pub mod reading;

/// How far the fold is; see migration 0013.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Position {
    pub rules: i64,
    pub folded: i64,
    pub upto: i64,
    pub run_id: i64,
    pub seq: i64,
}

/// An event with its place in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    pub id: i64,
    pub event: Event,
    /// Seconds since the delivery was settled.
    pub after: Option<i64>,
}

/// What the fold must know of a delivery.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub settled_at: Option<Timestamp>,
    pub opened: bool,
    pub clicked: bool,
    /// As it was first judged.
    pub provider: Option<String>,
    /// The canonical address, where nobody has judged it yet.
    pub address: Option<String>,
    /// By whom it was opened and clicked, as was judged.
    pub judged: [Option<Class>; 2],
    /// Its reader wants nothing counted any more since she got it.
    pub withdrawn: bool,
}

/// What a block's counters gain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockGain {
    pub opened: i64,
    pub clicked: i64,
    pub opens: i64,
    pub clicks: i64,
}

/// What is thought of a delivery now.
#[derive(Clone, Debug)]
pub struct JudgedRow {
    pub seq: u32,
    pub provider: String,
    pub opened: Option<Class>,
    pub clicked: Option<Class>,
    /// Its reader wants nothing counted any more since she got it.
    pub withdrawn: bool,
}

/// What some deliveries of one run come to.
#[derive(Clone, Debug)]
pub struct Folded {
    pub run: RunId,
    /// Delivery, event, seconds since it was settled.
    pub index: Vec<(u32, i64, Option<i64>)>,
    /// First open and first click of those that had none.
    pub firsts: Vec<(u32, Option<Timestamp>, Option<Timestamp>)>,
    pub blocks: BTreeMap<u32, BlockGain>,
    /// The first click of a delivery on a link, among these.
    pub reader_clicks: BTreeMap<(u32, u32), Timestamp>,
    pub link_clicks: BTreeMap<u32, i64>,
    pub judged: Vec<JudgedRow>,
    pub tally: Tally,
    /// Blocks of which a reader withdrew: what they give is counted again.
    pub stale: BTreeSet<u32>,
}

impl Folded {
    /// Nothing yet.
    pub fn new(run: RunId) -> Folded {
        Folded {
            run,
            index: Vec::new(),
            firsts: Vec::new(),
            blocks: BTreeMap::new(),
            reader_clicks: BTreeMap::new(),
            link_clicks: BTreeMap::new(),
            judged: Vec::new(),
            tally: Tally::default(),
            stale: BTreeSet::new(),
        }
    }
}

/// The key in `meta` of the last event that is forgotten.
pub(crate) const FORGOTTEN: &str = "events-forgotten";

const POSITION: &str = "select rules, folded, upto, run_id, seq from event_fold";

/// False for the caller when another was first: `advance!(conn, before, after)`.
macro_rules! advance {
    ($conn:expr, $before:expr, $after:expr) => {
        sqlx::query(
            "update event_fold set rules = $6, folded = $7, upto = $8, run_id = $9, seq = $10
             where rules = $1 and folded = $2 and upto = $3 and run_id = $4 and seq = $5",
        )
        .bind($before.rules)
        .bind($before.folded)
        .bind($before.upto)
        .bind($before.run_id)
        .bind($before.seq)
        .bind($after.rules)
        .bind($after.folded)
        .bind($after.upto)
        .bind($after.run_id)
        .bind($after.seq)
        .execute(&mut *$conn)
        .await?
        .rows_affected()
            == 1
    };
}

/// Adds judged rows and tallies: `add_judged!(self, conn, folded)`.
macro_rules! add_judged {
    ($store:expr, $conn:expr, $folded:expr) => {
        if !$folded.judged.is_empty() {
            sqlx::query($store.sql(KEEP_JUDGED))
                .bind($folded.run.0)
                .bind(judged_rows(&$folded.judged))
                .execute(&mut *$conn)
                .await?;
        }
        let rows = tally_rows(&$folded.tally);
        if rows != "[]" {
            sqlx::query($store.sql(ADD_TALLIES))
                .bind($folded.run.0)
                .bind(rows)
                .execute(&mut *$conn)
                .await?;
        }
    };
}

/// Notes the first opens and clicks of deliveries: `note_firsts!(self, conn, folded)`.
macro_rules! note_firsts {
    ($store:expr, $conn:expr, $folded:expr) => {
        if !$folded.firsts.is_empty() {
            let run = $folded.run.0;
            let firsts = $folded.firsts.iter();
            let firsts = firsts.map(|(seq, opened, clicked)| (run, seq, opened, clicked));
            sqlx::query($store.sql(FIRSTS))
                .bind(json(firsts))
                .execute(&mut *$conn)
                .await?;
            // A sender may have been declared dead since the event was stored, and before it stood with its copy.
            let doubtful: Option<i64> = sqlx::query_scalar(
                "select block from blocks where run_id = $1 and uncertain > 0 limit 1",
            )
            .bind(run)
            .fetch_optional(&mut *$conn)
            .await?;
            if doubtful.is_some() {
                settle_seen!($store, $conn, $folded);
            }
        }
    };
}

/// Settles those of them whose fate was uncertain, which have arrived: `settle_seen!(self, conn, folded)`.
macro_rules! settle_seen {
    ($store:expr, $conn:expr, $folded:expr) => {
        let seen = $folded.firsts.iter();
        let seen = seen.map(|(seq, opened, clicked)| ($folded.run.0, seq, opened.or(*clicked)));
        let arrived: Vec<(i64, i64)> = sqlx::query_as($store.sql(SETTLE))
            .bind(json(seen))
            .fetch_all(&mut *$conn)
            .await?;
        let mut moves = Moves::default();
        for (run, seq) in arrived {
            moves.add(key_of(run, seq), State::Uncertain, State::Sent);
        }
        apply_moves!($store, $conn, moves);
    };
}

/// Counts clicks and clickers of links: `add_clicks!(self, conn, folded)`.
macro_rules! add_clicks {
    ($store:expr, $conn:expr, $folded:expr) => {
        if !$folded.link_clicks.is_empty() {
            let clicks = $folded.reader_clicks.iter();
            let first: Vec<i64> = sqlx::query_scalar($store.sql(ADD_CLICKERS))
                .bind($folded.run.0)
                .bind(json(clicks.map(|(&(seq, link), &at)| (seq, link, at))))
                .fetch_all(&mut *$conn)
                .await?;
            sqlx::query($store.sql(ADD_CLICKS))
                .bind($folded.run.0)
                .bind(link_rows(&$folded.link_clicks, &first))
                .execute(&mut *$conn)
                .await?;
        }
    };
}

/// Adds what blocks gain, and has those counted again whose parts have moved: `add_gains!(self, conn, folded)`.
macro_rules! add_gains {
    ($store:expr, $conn:expr, $folded:expr) => {
        let stale = $folded.stale.iter();
        let numbers: BTreeSet<u32> = $folded.blocks.keys().chain(stale).copied().collect();
        if !numbers.is_empty() {
            let run = $folded.run.0;
            let blocks = json(numbers.iter().map(|block| {
                let gain = $folded.blocks.get(block).copied().unwrap_or_default();
                (
                    run,
                    block,
                    gain.opened,
                    gain.clicked,
                    gain.opens,
                    gain.clicks,
                    i32::from($folded.stale.contains(block)),
                )
            }));
            if !$store.is_sqlite() {
                sqlx::query($store.sql(LOCK_BLOCKS))
                    .bind(&blocks)
                    .execute(&mut *$conn)
                    .await?;
            }
            sqlx::query($store.sql(GAINS))
                .bind(blocks)
                .execute(&mut *$conn)
                .await?;
        }
    };
}

/// Which events are of which delivery: seq, event, seconds since it was settled.
const INDEX: &str = "
    insert into delivery_events (run_id, seq, event_id, after)
    select $1, cast(value->>0 as bigint), cast(value->>1 as bigint), cast(value->>2 as bigint)
    from json_each($2)";

/// First clicks of readers on links: seq, link, time. Gives the link of each that was the first.
const ADD_CLICKERS: &str = "
    insert into reader_clicks (run_id, seq, link, clicked_at)
    select $1, cast(value->>0 as bigint), cast(value->>1 as bigint), cast(value->>2 as bigint)
    from json_each($2) where true
    on conflict (run_id, seq, link) do nothing
    returning link";

/// What links gain: link, readers, clicks.
const ADD_CLICKS: &str = "
    insert into link_counts (run_id, link, readers, clicks)
    select $1, cast(value->>0 as bigint), cast(value->>1 as bigint), cast(value->>2 as bigint)
    from json_each($2) where true
    on conflict (run_id, link) do update set
        readers = link_counts.readers + excluded.readers,
        clicks = link_counts.clicks + excluded.clicks";

/// Differs by necessity: rows are locked one by one on PostgreSQL, and a sender locks blocks too, so everyone takes
/// them in one order.
const LOCK_BLOCKS: &str = "
    select 1 from json_each($1)
    join blocks b on b.run_id = cast(value->>0 as bigint)
        and b.block = cast(value->>1 as bigint)
    order by b.run_id, b.block /* for update of b */";

/// First opens and clicks: run, seq, times. Each row names its run: by a run that stands alone, SQLite would go
/// through all of its deliveries and look for each among the rows.
pub const FIRSTS: &str = "
    update deliveries set opened_at = coalesce(opened_at, v.opened),
        clicked_at = coalesce(clicked_at, v.clicked)
    from (
        select cast(value->>0 as bigint) as run, cast(value->>1 as bigint) as seq,
               cast(value->>2 as bigint) as opened, cast(value->>3 as bigint) as clicked
        from json_each($1)
    ) as v
    where deliveries.run_id = v.run and deliveries.seq = v.seq";

/// What blocks gain: run, block, the numbers of a [`BlockGain`], and 1 where its parts are to be counted again. Below
/// nothing that number falls with each time, so that whoever counts one meanwhile sees that it has.
pub const GAINS: &str = "
    update blocks set
        opened = blocks.opened + v.opened, clicked = blocks.clicked + v.clicked,
        opens = blocks.opens + v.opens, clicks = blocks.clicks + v.clicks,
        counted_sent = case
            when v.stale = 0 then blocks.counted_sent
            when blocks.counted_sent < 0 then blocks.counted_sent - 1
            else -1 end
    from (
        select cast(value->>0 as bigint) as run, cast(value->>1 as bigint) as block,
               cast(value->>2 as bigint) as opened, cast(value->>3 as bigint) as clicked,
               cast(value->>4 as bigint) as opens, cast(value->>5 as bigint) as clicks,
               cast(value->>6 as bigint) as stale
        from json_each($1)
    ) as v
    where blocks.run_id = v.run and blocks.block = v.block";

const KEEP_JUDGED: &str = "
    insert into judged (run_id, seq, provider, opened, clicked, withdrawn)
    select $1, cast(value->>0 as bigint), value->>1, value->>2, value->>3, cast(value->>4 as bigint)
    from json_each($2) where true
    on conflict (run_id, seq) do update
    set opened = excluded.opened, clicked = excluded.clicked, withdrawn = excluded.withdrawn";

/// Adds a batch of signed numbers to the tallies of a run.
pub(crate) const ADD_TALLIES: &str = "
    insert into tallies (run_id, part, bucket, what, number)
    select $1, value->>0, value->>1, value->>2, cast(value->>3 as bigint)
    from json_each($2) where true
    on conflict (run_id, part, bucket, what) do update set number = tallies.number + excluded.number";

impl Store {
    /// How far the fold is.
    pub async fn fold_position(&self) -> Result<Position> {
        read!(self, conn => Ok(sqlx::query_as(POSITION).fetch_one(conn).await?))
    }

    /// Moves the position alone. False if another did.
    pub async fn move_fold(&self, before: &Position, after: &Position) -> Result<bool> {
        transact!(self, conn => advance!(conn, before, after))
    }

    /// Begins to judge everything again: the tallies of events start at nothing, but those of runs that began at
    /// `kept` or before, of which events are forgotten, and but what was counted without names. False if another did.
    pub async fn forget_tallies(
        &self,
        before: &Position,
        after: &Position,
        kept: Option<Timestamp>,
    ) -> Result<bool> {
        transact!(self, conn => {
            if !advance!(conn, before, after) {
                return Ok(false);
            }
            sqlx::query(
                "delete from tallies
                 where what not in ('sent', 'bounced', 'no-clicks', 'no-opens', 'withdrawn') and part <> 'nameless'
                   and run_id not in (select id from runs where created_at <= $1)",
            )
            .bind(kept.map_or(i64::MIN, |kept| kept.0))
            .execute(&mut *conn)
            .await?;
            true
        })
    }

    /// No event that is forgotten came after this; none is where there is none.
    pub async fn events_forgotten_to(&self) -> Result<Option<Timestamp>> {
        let last = self.meta(FORGOTTEN).await?;
        Ok(last.and_then(|last| last.parse().ok()).map(latest_of))
    }

    /// Counts events for the first time. False, and nothing done, if another did.
    pub async fn fold(&self, before: &Position, after: &Position, folded: &Folded) -> Result<bool> {
        again!(self.try_fold(before, after, folded).await)
    }

    async fn try_fold(&self, before: &Position, after: &Position, folded: &Folded) -> Result<bool> {
        let run = folded.run.0;
        transact!(self, conn => {
            // Invariant: an event is counted once. Whoever moves the position counts what lies between.
            if !advance!(conn, before, after) {
                return Ok(false);
            }
            sqlx::query(self.sql(INDEX))
                .bind(run)
                .bind(json(folded.index.iter()))
                .execute(&mut *conn)
                .await?;
            note_firsts!(self, conn, folded);
            add_clicks!(self, conn, folded);
            add_gains!(self, conn, folded);
            add_judged!(self, conn, folded);
            true
        })
    }

    /// Keeps what was judged again. False, and nothing done, if another did.
    pub async fn fold_again(
        &self,
        before: &Position,
        after: &Position,
        folded: &Folded,
    ) -> Result<bool> {
        again!(self.try_fold_again(before, after, folded).await)
    }

    async fn try_fold_again(
        &self,
        before: &Position,
        after: &Position,
        folded: &Folded,
    ) -> Result<bool> {
        transact!(self, conn => {
            if !advance!(conn, before, after) {
                return Ok(false);
            }
            note_firsts!(self, conn, folded);
            add_gains!(self, conn, folded);
            add_judged!(self, conn, folded);
            true
        })
    }
}

/// `first` names the link of each reader's first click on it.
fn link_rows(clicks: &BTreeMap<u32, i64>, first: &[i64]) -> String {
    json(clicks.iter().map(|(&link, &clicks)| {
        let readers = first.iter().filter(|&&other| other == i64::from(link));
        (link, readers.count(), clicks)
    }))
}

fn judged_rows(judged: &[JudgedRow]) -> String {
    json(judged.iter().map(|row| {
        let (opened, clicked) = (row.opened.map(Class::name), row.clicked.map(Class::name));
        let withdrawn = i64::from(row.withdrawn);
        (row.seq, &row.provider, opened, clicked, withdrawn)
    }))
}

/// Numbers as [`ADD_TALLIES`] takes them.
pub(crate) fn tally_rows(tally: &Tally) -> String {
    let rows = tally.iter();
    json(rows.map(|(part, bucket, what, number)| (part.name(), bucket, what.name(), number)))
}
