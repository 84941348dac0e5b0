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
use crate::event::score::judge_alone;
use crate::event::{Event, EventKind};
use crate::id::{ListId, RunId};
use crate::pseudonym::{HOUR, KEY, hour_of, impersonal, pseudonym};
use crate::stats::tally::{Class, Part, Tally, What};
use crate::store::events::{Drawn, MUTED, first_id, is_stored, take_event_ids};
use crate::store::folds::{ADD_TALLIES, tally_rows};
use crate::store::{Result, Store};

const OPEN: i64 = -2;
const CLICK: i64 = -1;
/// By whom a pseudonym opened it, from here down: a reader's own program, Gmail's proxy, Apple's.
const OPENED_BY: i64 = -3;
const OPENERS: [Class; 3] = [Class::Human, Class::Gmail, Class::Apple];

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

#[derive(Serialize)]
struct Row {
    id: i64,
    at: i64,
    kind: &'static str,
    run: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pseudonym: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<u32>,
    evidence: String,
}

#[derive(Clone, Copy, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    run: i64,
    pseudonym: i64,
    mark: i64,
}

/// What a run's counters gain.
#[derive(Clone, Copy, Default)]
struct Gain {
    opened: i64,
    clicked: i64,
    opens: i64,
    clicks: i64,
}

#[derive(Serialize)]
struct LinkRow {
    run: i64,
    link: i64,
    readers: i64,
    clicks: i64,
}

/// What a group of events comes to, by run.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    /// What the pseudonyms did, whether it is new of them or not.
    marks: BTreeSet<Mark>,
    gains: BTreeMap<i64, Gain>,
    /// By run and link: readers who clicked it for the first time, and clicks.
    clicks: BTreeMap<(i64, i64), (i64, i64)>,
    tallies: BTreeMap<i64, Tally>,
}

impl Batch {
    /// The events with the hour alone, in no order; of a run without a key nobody has a pseudonym.
    fn of<'a>(
        events: impl Iterator<Item = &'a Event>,
        keys: &HashMap<RunId, [u8; KEY]>,
        chance: &Chance,
    ) -> Batch {
        let mut batch = Batch::default();
        for event in events {
            let (run, seq) = (event.delivery.run, event.delivery.seq);
            let name = keys.get(&run).map(|key| pseudonym(key, seq));
            batch.count(event, name);
            batch.rows.push(Row {
                id: nameless_id(event.at, chance),
                at: hour_of(event.at).0,
                kind: event.kind.name(),
                run: run.0,
                pseudonym: name,
                link: event.link,
                evidence: json(&impersonal(&event.evidence)),
            });
        }
        // Where they stand says nothing either.
        batch.rows.sort_unstable_by_key(|row| row.id);
        batch
    }

    fn count(&mut self, event: &Event, name: Option<i64>) {
        let run = event.delivery.run.0;
        let class = Class::of(judge_alone(event.kind, event.link, &event.evidence));
        let reads = class.is_reader();
        let gain = self.gains.entry(run).or_default();
        let marks = match event.kind {
            // A head is no load, as it is none by name.
            _ if event.evidence.head => return,
            EventKind::Open => {
                gain.opens += 1;
                let tally = self.tallies.entry(run).or_default();
                tally.add(Part::Nameless, "", What::Opens(class), 1);
                // Invariant: Apple's proxy loads every mail's images, and counts for nobody.
                vec![reads.then_some(OPEN), opener(class)]
            }
            EventKind::Click => {
                gain.clicks += 1;
                let link = event.link.map(i64::from);
                if let Some(link) = link {
                    self.clicks.entry((run, link)).or_default().1 += 1;
                }
                // Who clicked has opened it.
                match reads {
                    true => vec![Some(OPEN), Some(CLICK), opener(class), link],
                    false => Vec::new(),
                }
            }
            _ => return,
        };
        if let Some(pseudonym) = name {
            let own = marks.into_iter().flatten();
            self.marks.extend(own.map(|mark| Mark {
                run,
                pseudonym,
                mark,
            }));
        }
    }

    /// Counts readers by what their pseudonyms did for the first time, and gives the marks that say by what they
    /// opened it.
    fn count_first(&mut self, first: Vec<(i64, i64, i64)>) -> BTreeSet<Mark> {
        let mut openers = BTreeSet::new();
        for (run, pseudonym, mark) in first {
            let gain = self.gains.entry(run).or_default();
            match mark {
                OPEN => gain.opened += 1,
                CLICK => gain.clicked += 1,
                mark if mark <= OPENED_BY => {
                    openers.insert(Mark {
                        run,
                        pseudonym,
                        mark,
                    });
                }
                link => self.clicks.entry((run, link)).or_default().0 += 1,
            }
        }
        openers
    }

    fn links(&self) -> Vec<LinkRow> {
        let row = |(&(run, link), &(readers, clicks)): (&(i64, i64), &(i64, i64))| LinkRow {
            run,
            link,
            readers,
            clicks,
        };
        self.clicks.iter().map(row).collect()
    }
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
            let mut counted = HashSet::new();
            let mut keys = HashMap::new();
            for (run, seqs) in &seqs {
                let seqs = json(seqs);
                // Invariant: whoever withdrew is not counted, by old mail neither.
                let muted: Vec<i64> = sqlx::query_scalar(self.sql(MUTED))
                    .bind(run.0)
                    .bind(&seqs)
                    .bind(i64::from(unasked))
                    .fetch_all(&mut *conn)
                    .await?;
                let known: Vec<i64> = sqlx::query_scalar(self.sql(KNOWN))
                    .bind(run.0)
                    .bind(&seqs)
                    .fetch_all(&mut *conn)
                    .await?;
                let told = known.into_iter().filter(|seq| !muted.contains(seq));
                counted.extend(told.map(|seq| (*run, seq)));
                let key: Option<Option<Vec<u8>>> =
                    sqlx::query_scalar("select key from pseudonym_keys where run_id = $1")
                        .bind(run.0)
                        .fetch_optional(&mut *conn)
                        .await?;
                let key = key.flatten().and_then(|key| <[u8; KEY]>::try_from(key).ok());
                keys.extend(key.map(|key| (*run, key)));
            }
            let told = events.iter().filter(|event| {
                counted.contains(&(event.delivery.run, i64::from(event.delivery.seq)))
            });
            let mut batch = Batch::of(told, &keys, chance);
            let first = batch.rows.first();
            *tried = first.map(|row| Drawn { id: row.id, at: row.at, kind: row.kind, seq: -1 });
            let first: Vec<(i64, i64, i64)> = sqlx::query_as(self.sql(ADD_MARKS))
                .bind(json(&batch.marks))
                .fetch_all(&mut *conn)
                .await?;
            let fresh = batch.count_first(first);
            if !fresh.is_empty() {
                let marks: Vec<(i64, i64, i64)> = sqlx::query_as(self.sql(OPENERS_OF))
                    .bind(json(&fresh))
                    .bind(OPENED_BY)
                    .fetch_all(&mut *conn)
                    .await?;
                let marks = marks.into_iter().map(|(run, pseudonym, mark)| Mark { run, pseudonym, mark });
                count_openers(&mut batch.tallies, &marks.collect(), &fresh);
            }
            for (run, tally) in &batch.tallies {
                sqlx::query(self.sql(ADD_TALLIES))
                    .bind(run)
                    .bind(tally_rows(tally))
                    .execute(&mut *conn)
                    .await?;
            }
            for (statement, rows) in [(ADD_EVENTS, json(&batch.rows)), (ADD_CLICKS, json(&batch.links()))] {
                sqlx::query(self.sql(statement)).bind(rows).execute(&mut *conn).await?;
            }
            for (run, gain) in &batch.gains {
                sqlx::query(GAIN)
                    .bind(run)
                    .bind(gain.opened)
                    .bind(gain.clicked)
                    .bind(gain.opens)
                    .bind(gain.clicks)
                    .execute(&mut *conn)
                    .await?;
            }
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

/// An id for an event that names nobody, drawn from those of the hour before it: an id in the order of the log would tell
/// who read when, and none there is behind what the fold has yet to look at. Two that are drawn alike cost their group a
/// second try, once in months.
fn nameless_id(at: Timestamp, chance: &Chance) -> i64 {
    let hour = hour_of(at).0;
    let (from, to) = (first_id(Timestamp(hour - HOUR)), first_id(Timestamp(hour)));
    from + chance.key() % (to - from).max(1)
}

/// The mark of whoever opened it, where that may have been a reader.
fn opener(class: Class) -> Option<i64> {
    let place = OPENERS.iter().position(|known| *known == class)?;
    Some(OPENED_BY - i64::try_from(place).ok()?)
}

/// Counts each pseudonym by the best of its class marks, of which `fresh` ones have just come.
fn count_openers(
    tallies: &mut BTreeMap<i64, Tally>,
    marks: &BTreeSet<Mark>,
    fresh: &BTreeSet<Mark>,
) {
    // The best class has the largest mark, and comes last.
    let (mut after, mut before) = (BTreeMap::new(), BTreeMap::new());
    for mark in marks {
        after.insert((mark.run, mark.pseudonym), mark.mark);
        if !fresh.contains(mark) {
            before.insert((mark.run, mark.pseudonym), mark.mark);
        }
    }
    for (marks, sign) in [(after, 1), (before, -1)] {
        for ((run, _), mark) in marks {
            let place = usize::try_from(OPENED_BY - mark).ok();
            if let Some(class) = place.and_then(|place| OPENERS.get(place)) {
                let tally = tallies.entry(run).or_default();
                tally.add(Part::Nameless, "", What::Opened(*class), sign);
            }
        }
    }
}

fn json(rows: &impl Serialize) -> String {
    serde_json::to_string(rows).expect("rows are plain data")
}
