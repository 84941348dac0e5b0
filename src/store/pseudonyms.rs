//! Events without anyone's name, and the keys of their pseudonyms.
//!
//! Promises: an event of this kind never names a delivery, and no delivery says that it was opened or
//! clicked; neither its time nor its id tells more than the hour, nor what came before what; each reader counts once while the run's key is there, and what says that it is a machine does not. A run
//! without a key was counted by name: what comes without names then is no new reader. The counters stand in the first
//! block of the run, for a block of few readers would name them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::{ListId, RunId};
use crate::pseudonym::KEY;
use crate::store::events::{Drawn, MUTED, is_stored, take_event_ids};
use crate::store::folds::{ADD_TALLIES, tally_rows};
use crate::store::pseudonyms::batch::{Batch, Mark, OPENED_BY, count_openers};
use crate::store::{Result, Store};

mod batch;

/// Class marks of the pseudonyms that have just got another.
const OPENERS_OF: &str = "
    select m.run_id, m.pseudonym, m.mark
    from (
        select distinct cast(value->>'run' as bigint) as run, cast(value->>'pseudonym' as bigint) as pseudonym
        from json_each($1)
    ) as v join pseudonym_marks m on m.run_id = v.run and m.pseudonym = v.pseudonym
    where m.mark <= $2";

const KNOWN: &str = "
    select seq from deliveries
    where run_id = $1 and seq in (select cast(value as bigint) from json_each($2))";

/// Gives back those that are new.
const ADD_MARKS: &str = "
    insert into pseudonym_marks (run_id, pseudonym, mark)
    select cast(value->>'run' as bigint), cast(value->>'pseudonym' as bigint), cast(value->>'mark' as bigint)
    from json_each($1) where true
    on conflict (run_id, pseudonym, mark) do nothing
    returning run_id, pseudonym, mark";

const ADD_EVENTS: &str = "
    insert into events (id, at, kind, run_id, link, pseudonym, evidence)
    select cast(value->>'id' as bigint), cast(value->>'at' as bigint), value->>'kind',
           cast(value->>'run' as bigint), cast(value->>'link' as bigint),
           cast(value->>'pseudonym' as bigint), value->>'evidence'
    from json_each($1)";

const ADD_CLICKS: &str = "
    insert into link_counts (run_id, link, readers, clicks)
    select cast(value->>'run' as bigint), cast(value->>'link' as bigint),
           cast(value->>'readers' as bigint), cast(value->>'clicks' as bigint)
    from json_each($1) where true
    on conflict (run_id, link) do update set
        readers = link_counts.readers + excluded.readers,
        clicks = link_counts.clicks + excluded.clicks";

const GAIN: &str = "
    update blocks set opened = opened + $2, clicked = clicked + $3, opens = opens + $4, clicks = clicks + $5
    where run_id = $1 and block = 0";

/// Of the deliveries of events, those that are to be counted, and the keys of the runs that have one:
/// `who_counts!(self, conn, seqs, unasked)`.
macro_rules! who_counts {
    ($store:expr, $conn:expr, $seqs:expr, $unasked:expr) => {{
        let mut counted = HashSet::new();
        let mut keys = HashMap::new();
        for (run, seqs) in $seqs {
            let seqs = json(seqs);
            // Invariant: whoever withdrew is not counted, by old mail neither.
            let muted: Vec<i64> = sqlx::query_scalar($store.sql(MUTED))
                .bind(run.0)
                .bind(&seqs)
                .bind(i64::from($unasked))
                .fetch_all(&mut *$conn)
                .await?;
            let known: Vec<i64> = sqlx::query_scalar($store.sql(KNOWN))
                .bind(run.0)
                .bind(&seqs)
                .fetch_all(&mut *$conn)
                .await?;
            let told = known.into_iter().filter(|seq| !muted.contains(seq));
            counted.extend(told.map(|seq| (*run, seq)));
            let key: Option<Option<Vec<u8>>> =
                sqlx::query_scalar("select key from pseudonym_keys where run_id = $1")
                    .bind(run.0)
                    .fetch_optional(&mut *$conn)
                    .await?;
            let key = key
                .flatten()
                .and_then(|key| <[u8; KEY]>::try_from(key).ok());
            keys.extend(key.map(|key| (*run, key)));
        }
        (counted, keys)
    }};
}

/// Notes what pseudonyms did, and counts in the batch what they did for the first time: `mark!(self, conn, batch)`.
macro_rules! mark {
    ($store:expr, $conn:expr, $batch:expr) => {
        let first: Vec<(i64, i64, i64)> = sqlx::query_as($store.sql(ADD_MARKS))
            .bind(json(&$batch.marks))
            .fetch_all(&mut *$conn)
            .await?;
        let fresh = $batch.count_first(first);
        if !fresh.is_empty() {
            let marks: Vec<(i64, i64, i64)> = sqlx::query_as($store.sql(OPENERS_OF))
                .bind(json(&fresh))
                .bind(OPENED_BY)
                .fetch_all(&mut *$conn)
                .await?;
            let marks = marks.into_iter().map(|(run, pseudonym, mark)| Mark {
                run,
                pseudonym,
                mark,
            });
            count_openers(&mut $batch.tallies, &marks.collect(), &fresh);
        }
    };
}

/// Stores the events and moves the counters: `add_batch!(self, conn, batch)`.
macro_rules! add_batch {
    ($store:expr, $conn:expr, $batch:expr) => {
        for (run, tally) in &$batch.tallies {
            sqlx::query($store.sql(ADD_TALLIES))
                .bind(run)
                .bind(tally_rows(tally))
                .execute(&mut *$conn)
                .await?;
        }
        for (statement, rows) in [
            (ADD_EVENTS, json(&$batch.rows)),
            (ADD_CLICKS, json(&$batch.links())),
        ] {
            sqlx::query($store.sql(statement))
                .bind(rows)
                .execute(&mut *$conn)
                .await?;
        }
        for (run, gain) in &$batch.gains {
            sqlx::query(GAIN)
                .bind(run)
                .bind(gain.opened)
                .bind(gain.clicked)
                .bind(gain.opens)
                .bind(gain.clicks)
                .execute(&mut *$conn)
                .await?;
        }
    };
}

impl Store {
    /// Stores `events` at the end of the log without the deliveries they are of, and moves the counters: the fold
    /// leaves these alone. Events are left out, and a group is tried again, as by [`Store::record_events_once`].
    pub async fn record_anonymously(
        &self,
        events: &[Event],
        unasked: bool,
        chance: &Chance,
        tried: &mut Option<Drawn>,
    ) -> Result<()> {
        again!(self.try_anonymously(events, unasked, chance, tried).await)
    }

    async fn try_anonymously(
        &self,
        events: &[Event],
        unasked: bool,
        chance: &Chance,
        tried: &mut Option<Drawn>,
    ) -> Result<()> {
        let Some(latest) = events.iter().map(|event| event.at).max() else {
            return Ok(());
        };
        let mut seqs = BTreeMap::<RunId, BTreeSet<u32>>::new();
        for event in events {
            seqs.entry(event.delivery.run)
                .or_default()
                .insert(event.delivery.seq);
        }
        transact!(self, conn => {
            // No id of the log is taken, but none is given after this that is lower than theirs. First, as everyone does
            // who writes events.
            take_event_ids!(conn, latest, 0_usize);
            if is_stored!(conn, *tried) {
                return Ok(());
            }
            let (counted, keys) = who_counts!(self, conn, &seqs, unasked);
            let told = events.iter().filter(|event| {
                counted.contains(&(event.delivery.run, i64::from(event.delivery.seq)))
            });
            let mut batch = Batch::of(told, &keys, chance);
            let first = batch.rows.first();
            *tried = first.map(|row| Drawn { id: row.id, at: row.at, kind: row.kind, seq: -1 });
            mark!(self, conn, batch);
            add_batch!(self, conn, batch);
        })
    }

    /// Says that nobody is named by the events of a run that begins: its key is made.
    pub async fn name_nobody(&self, run: RunId, chance: &Chance, at: Timestamp) -> Result<()> {
        let mut fresh = [0; KEY];
        chance.fill(&mut fresh);
        transact!(self, conn => {
            // Another node may have drawn it.
            sqlx::query(
                "insert into pseudonym_keys (run_id, key, made_at)
                 select id, $2, $3 from runs where id = $1
                 on conflict (run_id) do nothing",
            )
            .bind(run.0)
            .bind(&fresh[..])
            .bind(at.0)
            .execute(conn)
            .await?;
        })
    }

    /// Those of `runs` that were begun to be counted without names.
    pub async fn nameless_of(&self, runs: &[RunId]) -> Result<HashSet<RunId>> {
        let found: Vec<i64> = read!(self, conn => {
            sqlx::query_scalar(self.sql(
                "select run_id from pseudonym_keys
                 where run_id in (select cast(value as bigint) from json_each($1))",
            ))
            .bind(json(&runs))
            .fetch_all(conn)
            .await?
        });
        Ok(found.into_iter().map(RunId).collect())
    }

    /// The newest run of the issue `slug` that was begun to be counted without names.
    pub async fn nameless_run_of(&self, slug: &str) -> Result<Option<i64>> {
        read!(self, conn => {
            let found = sqlx::query_scalar(
                "select r.id from runs r join pseudonym_keys k on k.run_id = r.id
                 where r.slug = $1 and r.kind = 'issue' order by r.id desc limit 1",
            )
            .bind(slug)
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// How many of the last `number` issues to `list` that began by `at` there are, and of how many of them a run was
    /// begun to be counted without names.
    pub async fn nameless_issues(
        &self,
        list: ListId,
        number: u32,
        at: Timestamp,
    ) -> Result<(i64, i64)> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select count(*), count(case when exists (
                     select 1 from runs r join pseudonym_keys k on k.run_id = r.id
                     where r.slug = l.slug and r.kind = 'issue' and r.list_id = $1 and r.started_at <= $2
                 ) then 1 end)
                 from (
                     select p.slug from runs p
                     where p.kind = 'issue' and p.list_id = $1 and p.started_at <= $2
                     group by p.slug order by max(p.started_at) desc, max(p.id) desc limit $3
                 ) l",
            )
            .bind(list.0)
            .bind(at.0)
            .bind(i64::from(number))
            .fetch_one(conn)
            .await?;
            Ok(found)
        })
    }

    /// Destroys the keys that were made before `before`, and what was kept under their pseudonyms. Gives how
    /// many there were; at most `limit`.
    pub async fn destroy_pseudonyms(&self, before: Timestamp, limit: u32) -> Result<u64> {
        transact!(self, conn => {
            let runs: Vec<i64> = sqlx::query_scalar(
                "update pseudonym_keys set key = null
                 where run_id in (
                     select run_id from pseudonym_keys where key is not null and made_at < $1
                     order by run_id limit $2
                 )
                 returning run_id",
            )
            .bind(before.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await?;
            sqlx::query(self.sql(
                "delete from pseudonym_marks
                 where run_id in (select cast(value as bigint) from json_each($1))",
            ))
            .bind(json(&runs))
            .execute(&mut *conn)
            .await?;
            runs.len() as u64
        })
    }

    /// How many keys were made before `before` and are there still.
    pub async fn old_pseudonyms(&self, before: Timestamp) -> Result<i64> {
        read!(self, conn => {
            let number = sqlx::query_scalar(
                "select count(*) from pseudonym_keys where key is not null and made_at < $1",
            )
            .bind(before.0)
            .fetch_one(conn)
            .await?;
            Ok(number)
        })
    }
}

fn json(rows: &impl Serialize) -> String {
    serde_json::to_string(rows).expect("rows are plain data")
}
