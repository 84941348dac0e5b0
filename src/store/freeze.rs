//! The freeze: an audience copied into deliveries, step by step.
//!
//! Promises: a step is one transaction that holds the writer well under 50 ms, and the next goes on behind
//! it, also after a crash; nothing starts half frozen.

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::id::{DeliveryKey, RunId};
use crate::rollout::Stages;
use crate::segment::Sieve;
use crate::status::RunStatus;
use crate::store::leave::keep_leavers_out;
use crate::store::preferences::WAKE_PAUSED;
use crate::store::runs::Frozen;
use crate::store::segments::{Frame, Predicates, bind_values};
use crate::store::{Result, Store};

/// The next recipients behind the cursor. Who is suppressed takes part as `suppressed`, so that the
/// author sees it. They are numbered where they are read, in the order in which they are read: nothing is sorted.
const OF_LIST: &str = "
        select row_number() over (order by s.subscriber_id) as number,
            s.subscriber_id as id, <due> as due, <parts> as parts,
            exists (select 1 from suppressions x where x.hash = u.hash) as suppressed
        from subscriptions s join subscribers u on u.id = s.subscriber_id <zones>
        where s.list_id = $1 and s.status = 'confirmed' and s.confirmed_at <= $2
          and <range> and <whom> and <segment>
          and (s.frequency = 'every' or exists (select 1 from runs m where m.id = $5 and m.monthly = 1))
        order by s.subscriber_id
        limit $4";

/// Of a list read in the order of its keys, what comes next: all of it from the smallest key on, or first
/// the seeds, then what stands behind the pivot, then what stands before it.
const ALL: &str = "s.subscriber_id > $3 and s.subscriber_id <= $14";
const SEEDS: &str = "s.subscriber_id in (select cast(value as bigint) from json_each($12))";
const BEHIND: &str = "s.subscriber_id > $3 and s.subscriber_id <= $14
          and s.subscriber_id not in (select cast(value as bigint) from json_each($12))";
const BEFORE: &str = "s.subscriber_id > $3 and s.subscriber_id <= $13 and s.subscriber_id <= $14
          and s.subscriber_id not in (select cast(value as bigint) from json_each($12))";

/// Whom a cancelled run left out; the run is looked up, for SQLite would else go through all of it for each reader.
/// Invariant: never one whom any run of this issue, to whatever list, has reached or may have reached since, or is to
/// reach.
const LEFT_OUT: &str = "exists (
              select 1 from deliveries d
              where d.subscriber_id = u.id and d.run_id in (select o.id from runs o where o.id = <origin>)
                and d.state in ('cancelled', 'failed', 'expired')
          )
          and not exists (
              select 1 from deliveries e
              where e.subscriber_id = u.id and e.run_id in <anywhere>
                and (e.state in ('queued', 'at_dot')
                  or e.run_id >= <origin> and e.state in ('sent', 'uncertain'))
          )";

/// Whom any run of the issue reached, and who has not got the corrected revision.
const REACHED: &str = "exists (
              select 1 from deliveries d
              where d.subscriber_id = u.id and d.run_id in <issue> and d.state = 'sent'
          )
          and not exists (
              select 1 from deliveries e join runs r on r.id = e.run_id
              where e.subscriber_id = u.id and r.revision = <revision>
                and e.state in ('sent', 'at_dot', 'uncertain', 'queued')
          )";

/// Whom any run of the issue reached, and who did nothing with any copy: what only a machine opened or clicked, nobody
/// did. Whoever may have read it (Apple's proxy, what nobody can tell from a machine) is left in peace, and so is who
/// wants nothing counted, has a copy that counted nothing, or got one from a run without names: of her nobody knows.
/// Whose second copy is on its way gets no third. What came by another list counts like any copy. The second mail may be
/// another issue; whom it reached, or may have reached, before it was cancelled is left out as well: said again, it goes
/// to the others.
const UNOPENED: &str = "u.tracking <> 'off'
          and exists (
              select 1 from deliveries d
              where d.subscriber_id = u.id and d.run_id in <issue> and d.state = 'sent'
          )
          and not exists (
              select 1 from deliveries d
              where d.subscriber_id = u.id and d.run_id in <anywhere>
                and (d.state in ('queued', 'at_dot', 'uncertain') or d.state = 'sent' and (
                    exists (select 1 from pseudonym_keys k where k.run_id = d.run_id)
                    or case when d.opened_at is null and d.clicked_at is null
                        then coalesce(d.copy, '') like '%\"untracked\":true%' or exists (
                            select 1 from judged j where j.run_id = d.run_id and j.seq = d.seq and j.withdrawn = 1
                        )
                        else not exists (
                            select 1 from judged j where j.run_id = d.run_id and j.seq = d.seq and j.withdrawn = 0
                              and coalesce(j.opened, 'machine') = 'machine'
                              and coalesce(j.clicked, 'machine') = 'machine'
                        ) end
                ))
          )
          and not exists (
              select 1 from deliveries e
              where e.subscriber_id = u.id and e.run_id in <begun> and e.state in ('sent', 'at_dot', 'uncertain')
          )";

/// All runs of the issue of the earlier run, to its list.
const ISSUE: &str = "(
              select r.id from runs r join runs o on o.id = <origin>
              where r.kind = 'issue' and r.slug = o.slug and r.list_id = o.list_id)";
/// The same to whatever list.
const ANYWHERE: &str = "(
              select r.id from runs r join runs o on o.id = <origin>
              where r.kind = 'issue' and r.slug = o.slug)";

/// What was cancelled of the same second mail: of this issue, to those who did not open that of the earlier run.
const BEGUN: &str = "(
              select r.id from runs r join runs b on b.id = r.origin join runs o on o.id = <origin>
              where r.kind = 'issue' and r.slug = <slug> and r.audience = 'unopened' and r.status = 'cancelled'
                and b.slug = o.slug)";

/// What is due at once is so by any clock: one that is set back while the run goes keeps nothing waiting.
const INSERT: &str = "
    insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at, parts)
    select $5, $6 + number - 1, id,
        case when suppressed then 'suppressed' else 'queued' end,
        case when due > $7 then due else 0 end,
        case when suppressed then $7 end, parts
    from picked";

/// What a segment is asked of: it counts what happened before the freeze began, so that it is the same in
/// each step.
const FRAME: Frame = Frame {
    list: "$1",
    at: "$2",
    begun: "$2",
    run: "$5",
    free: 15,
};

/// Blocks that an earlier step began go on.
const BLOCKS: &str = "
    insert into blocks (run_id, block, next_due, queued, suppressed)
    select $1, seq / 256, min(due_at) filter (where state = 'queued'),
        count(*) filter (where state = 'queued'), count(*) filter (where state = 'suppressed')
    from deliveries where run_id = $1 and seq >= $2
    group by seq / 256
    on conflict (run_id, block) do update set
        queued = blocks.queued + excluded.queued,
        suppressed = blocks.suppressed + excluded.suppressed,
        next_due = case
            when blocks.next_due is null or excluded.next_due < blocks.next_due then excluded.next_due
            else blocks.next_due
        end";

/// The next readers of a list of whom more is asked than that they are on it, whoever of them is in the run: so many
/// and no more are looked at in one step.
const LOOKED_AT: &str = "
    select coalesce(max(id), $2), count(*) from (
        select s.subscriber_id as id from subscriptions s
        where s.list_id = $1 and s.status = 'confirmed' and s.subscriber_id > $2
        order by s.subscriber_id limit $3
    ) some_";

const LOCK_RUN: &str = "
    select list_id, cutoff, frozen_to, recipients, zone_field, dues, audience, origin,
        stages, pivot, lap, segment, parts
    from runs where id = $1 and status = 'freezing' /* for update */";

/// How far the freeze is after a step.
const GO_ON: &str = "
    update runs set recipients = $2,
        frozen_to = coalesce(cast($5 as bigint), (
            select subscriber_id from deliveries where run_id = $1 and seq = $2 - 1
        ), frozen_to),
        status = $3, started_at = $4, since = coalesce($4, since),
        spread_until = $4 + spread, lap = $6,
        open_to = coalesce(cast($7 as bigint), open_to)
    where id = $1";

/// How far the step may look of at most `limit` readers, where more is asked of them than that they are on the list:
/// `look_ahead!(conn, row, limit)`.
macro_rules! look_ahead {
    ($conn:expr, $row:expr, $limit:expr) => {
        match $row.asks() {
            true if $row.pivot.is_none() || $row.lap > 0 => {
                let (upto, rows) = sqlx::query_as(LOOKED_AT)
                    .bind($row.list_id)
                    .bind($row.frozen_to)
                    .bind($limit)
                    .fetch_one(&mut *$conn)
                    .await?;
                Some(Looked { upto, rows })
            }
            _ => None,
        }
    };
}

/// Adds the next recipients with their blocks, and gives how many:
/// `add_recipients!(self, conn, run, row, limit, looked, at)`.
macro_rules! add_recipients {
    ($store:expr, $conn:expr, $run:expr, $row:expr, $limit:expr, $looked:expr, $at:expr) => {{
        let mut predicates = Predicates::new($store, FRAME);
        let text = $store.freeze_sql(&$row, &mut predicates);
        let insert = sqlx::query($store.sql(&text))
            .bind($row.list_id)
            .bind($row.cutoff)
            .bind($row.frozen_to)
            .bind($limit)
            .bind($run.0)
            .bind($row.recipients)
            .bind($at.0)
            .bind($row.origin)
            .bind($row.dues.as_deref().unwrap_or("[]"))
            .bind($row.zone_field.as_deref().unwrap_or_default())
            .bind($row.usual_due().unwrap_or($at.0))
            .bind($row.seeds())
            .bind($row.pivot)
            .bind($looked.map_or(i64::MAX, |looked| looked.upto));
        let added = bind_values!(insert, predicates.values)
            .execute(&mut *$conn)
            .await?
            .rows_affected();
        if added > 0 {
            sqlx::query(BLOCKS)
                .bind($run.0)
                .bind($row.recipients)
                .execute(&mut *$conn)
                .await?;
        }
        i64::try_from(added).unwrap_or(i64::MAX)
    }};
}

/// Whether the reader `u` is of such an audience of the run `origin`; it is given as SQL, and so are the revision that is
/// to go out and its slug.
pub(crate) fn whom(audience: &str, origin: &str, (slug, revision): (&str, &str)) -> String {
    let whom = match audience {
        "list" => "true",
        "continue" => LEFT_OUT,
        "reached" => REACHED,
        "unopened" => UNOPENED,
        // What nobody asked for goes to nobody.
        _ => "false",
    };
    whom.replace("<issue>", ISSUE)
        .replace("<anywhere>", ANYWHERE)
        .replace("<begun>", BEGUN)
        .replace("<origin>", origin)
        .replace("<slug>", slug)
        .replace("<revision>", revision)
}

/// A run on its way through the freeze.
#[derive(sqlx::FromRow)]
struct Freezing {
    list_id: i64,
    cutoff: i64,
    frozen_to: i64,
    recipients: i64,
    zone_field: Option<String>,
    dues: Option<String>,
    audience: String,
    origin: Option<i64>,
    stages: Option<String>,
    pivot: Option<i64>,
    lap: i64,
    /// To whom of the list, and whom parts of the issue are for, as JSON.
    segment: Option<String>,
    parts: Option<String>,
}

/// When it is the readers' own time in one zone; the first has no name and is for all others.
#[derive(Deserialize)]
struct Due {
    due: i64,
}

impl Freezing {
    /// The first due time of `dues`.
    fn usual_due(&self) -> Option<i64> {
        let dues: Vec<Due> = serde_json::from_str(self.dues.as_deref()?).ok()?;
        dues.first().map(|first| first.due)
    }

    /// The keys of the seeds, as a JSON array.
    fn seeds(&self) -> String {
        let stages = self.stages.as_deref().and_then(Stages::from_json);
        let seeds = stages.map(|stages| stages.seeds).unwrap_or_default();
        serde_json::to_string(&seeds).expect("numbers always serialise")
    }

    /// How many readers one step looks at, of at most `limit`: the more is asked of each, the fewer.
    fn step(&self, limit: i64) -> i64 {
        // Whole blocks, so that each is written once.
        let block = i64::from(DeliveryKey::BLOCK);
        let segment = self.segment.as_deref().and_then(Sieve::from_json);
        let parts = self.parts.as_deref().map(Sieve::list).unwrap_or_default();
        let all = segment.iter().chain(&parts);
        let cost: i64 = all.map(|sieve| sieve.filter.cost()).sum();
        let cost = cost + if self.audience == "list" { 0 } else { PART };
        (limit / (1 + cost / CHEAP) / block).max(1) * block
    }

    /// Whether more is asked of a reader than that she is on the list.
    fn asks(&self) -> bool {
        self.segment.is_some() || self.audience != "list"
    }

    /// Where the freeze goes on after `added` of at most `limit`: the cursor where it is not the last reader
    /// frozen, the lap, and whether this was the last step.
    fn next(&self, added: i64, limit: i64, looked: Option<Looked>) -> (Option<i64>, i64, bool) {
        let (upto, rows) = looked.map_or((None, added), |looked| (Some(looked.upto), looked.rows));
        let short = rows < limit;
        match (self.pivot, self.lap) {
            (Some(pivot), 0) => (Some(pivot), 1, false),
            (Some(_), 1) if short => (Some(0), 2, false),
            (_, lap) => (upto, lap, short && (self.pivot.is_none() || lap == 2)),
        }
    }
}

/// How far a step looked.
#[derive(Clone, Copy, Debug)]
struct Looked {
    /// The last reader.
    upto: i64,
    rows: i64,
}

/// Looks into the database for one reader that cost no more than the copying.
const CHEAP: i64 = 2;
/// Looks for one reader of a part of those whom an earlier run was for.
const PART: i64 = 4;

impl Store {
    /// Freezes up to `limit` more recipients of a run; the last step moves the run to `sending`.
    pub async fn freeze_some(&self, run: RunId, limit: u32, at: Timestamp) -> Result<Frozen> {
        again!(self.try_freeze(run, limit, at).await)
    }

    async fn try_freeze(&self, run: RunId, limit: u32, at: Timestamp) -> Result<Frozen> {
        transact!(self, conn => {
            let row: Option<Freezing> = sqlx::query_as(self.sql(LOCK_RUN))
                .bind(run.0)
                .fetch_optional(&mut *conn)
                .await?;
            match row {
                None => Frozen::Not,
                Some(row) => {
                    // Whoever paused until today is a reader like any other again.
                    sqlx::query(WAKE_PAUSED).bind(at.0).execute(&mut *conn).await?;
                    keep_leavers_out!(self, conn);
                    let limit = row.step(i64::from(limit));
                    let looked = look_ahead!(conn, row, limit);
                    let added = add_recipients!(self, conn, run, row, limit, looked, at);
                    let (next, lap, all) = row.next(added, limit, looked);
                    // The seeds are the first stage, where there are any.
                    let seeded = row.pivot.filter(|_| row.lap == 0).map(|_| added);
                    let recipients = row.recipients + added;
                    sqlx::query(GO_ON)
                        .bind(run.0)
                        .bind(recipients)
                        .bind(if all { RunStatus::Sending.name() } else { RunStatus::Freezing.name() })
                        .bind(all.then_some(at.0))
                        .bind(next)
                        .bind(lap)
                        .bind(seeded)
                        .execute(&mut *conn)
                        .await?;
                    if all { Frozen::All(recipients) } else { Frozen::Some(recipients) }
                }
            }
        })
    }

    /// The statement that freezes the next recipients of such a run. Every parameter stands in each form of
    /// it, so that they are bound alike.
    fn freeze_sql(&self, run: &Freezing, predicates: &mut Predicates<'_>) -> String {
        let (due, zones) = match &run.dues {
            None => ("cast($11 as bigint)".to_owned(), String::new()),
            Some(_) => (
                "coalesce(z.due, cast($11 as bigint))".to_owned(),
                format!(" left join zones z on z.zone = {}", self.field_value("$10")),
            ),
        };
        let range = match (run.pivot, run.lap) {
            (None, _) => ALL,
            (Some(_), 0) => SEEDS,
            (Some(_), 1) => BEHIND,
            (Some(_), _) => BEFORE,
        };
        let slug = "(select o.slug from runs o where o.id = $5)";
        let revision = "(select o.revision from runs o where o.id = $5)";
        let whom = whom(&run.audience, "$8", (slug, revision));
        let segment = predicates.wanted(run.segment.as_deref());
        let parts = match &run.parts {
            None => "cast(null as bigint)".to_owned(),
            Some(parts) => predicates.bits(&Sieve::list(parts)),
        };
        let picked = OF_LIST
            .replace("<range>", range)
            .replace("<whom>", &whom)
            .replace("<due>", &due)
            .replace("<zones>", &zones)
            .replace("<segment>", &segment)
            .replace("<parts>", &parts);
        format!(
            "with zones as materialized (
                 select cast(value->>'zone' as text) as zone, cast(value->>'due' as bigint) as due
                 from json_each($9) where value->>'zone' <> ''
             ),
             given as (
                 select cast($3 as bigint) as behind, cast($8 as bigint) as origin, cast($10 as text) as field,
                     cast($12 as text) as seeds, cast($13 as bigint) as pivot,
                     cast($14 as bigint) as upto
             ),
             picked as materialized ({picked}
             ){INSERT}"
        )
    }
}
