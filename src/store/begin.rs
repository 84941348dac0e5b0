//! The beginning of a run: made once, started in its time, and its content changed before that.

use crate::clock::{MINUTE, Timestamp};
use crate::id::{ListId, RunId};
use crate::rollout::Stages;
use crate::segment::{Filter, Sieve};
use crate::status::RunStatus;
use crate::store::archive::{NewPage, put_page};
use crate::store::doubles::SHARED;
use crate::store::runs::{Audience, Begun, COLUMNS, NewRun, Plan, Run};
use crate::store::segments::{Frame, NEXT_RUN, Predicates, bind_values};
use crate::store::{Result, Store};

/// A node whose clock is ahead of the database's by more than this does not start a run.
const AHEAD: i64 = MINUTE;

/// What a run that waits for its hour is to send instead.
pub struct NewContent<'a> {
    pub revision: &'a str,
    pub title: &'a str,
    pub headers: &'a str,
    pub page: &'a NewPage<'a>,
    /// The segments that parts of the issue are for.
    pub parts: &'a [Sieve],
}

/// The newest run of an issue to a list, and whether it is over. One that is over counts where it has reached anyone.
const BEFORE: &str = "
    select id, status in ('finished', 'cancelled') from runs
    where slug = $1 and list_id = $2
      and (status not in ('finished', 'cancelled') or exists (
        select 1 from blocks
        where blocks.run_id = runs.id and sent + at_dot + uncertain > 0))
    order by id desc limit 1";

/// The number of a run whose row was deleted by hand is not free: its deliveries have it.
const ADD_RUN: &str = "
    insert into runs (id, kind, slug, title, list_id, revision, headers, relay,
         policy, status, cutoff, frozen_to, recipients, created_at, since,
         start_at, zone, local_at, zone_field, per_day, spread, audience, origin,
         stages, stage, open_to, pivot, trial, monthly, segment, parts,
         expected, doubles)
    select max(taken.id) + 1, 'issue', $1, $2, $3, $4, $5, $6, $7, $8, $9,
         coalesce(cast($19 as bigint), 0), 0, $9, $9,
         $10, $11, $12, $13, $14, $15, $16, $17,
         $18, $20, $20, cast($19 as bigint), $21, $22, $23, $24, $25, $26
    from (
        select max(id) as id from runs
        union all select max(run_id) from deliveries
        union all select max(run_id) from blocks
        union all select max(cast(substr(key, 6) as bigint)) from meta
            where key like 'seal:%'
    ) taken
    returning id";

/// Adds a run and gives its number: `add_run!(conn, new, plan, status, at)`.
macro_rules! add_run {
    ($conn:expr, $new:expr, $plan:expr, $status:expr, $at:expr) => {{
        let spread = $plan.spread;
        let spread = spread.map(|spread| i64::try_from(spread.as_millis()).unwrap_or(i64::MAX));
        let stages = $plan.stages.as_ref().map(Stages::to_json);
        let segment = $plan.segment.as_ref().map(Sieve::to_json);
        let parts = (!$new.parts.is_empty()).then(|| Sieve::list_to_json($new.parts));
        let id: i64 = sqlx::query_scalar(ADD_RUN)
            .bind($new.slug)
            .bind($new.title)
            .bind($new.list.0)
            .bind($new.revision)
            .bind($new.headers)
            .bind($new.relay)
            .bind($new.policy.name())
            .bind($status.name())
            .bind($at.0)
            .bind($plan.start.map(|start| start.0))
            .bind($plan.zone.as_deref())
            .bind($plan.local_at.as_deref())
            .bind($plan.zone_field.as_deref())
            .bind($plan.per_day)
            .bind(spread)
            .bind($plan.audience.name())
            .bind($plan.origin.map(|origin| origin.0))
            .bind(stages.as_deref())
            .bind($plan.pivot)
            // Nothing leaves before the first stage opens.
            .bind(stages.as_ref().map(|_| 0_i64))
            .bind($plan.trial.as_deref())
            .bind(i64::from($plan.monthly))
            .bind(segment.as_deref())
            .bind(parts.as_deref())
            .bind($plan.expected)
            .bind($plan.doubles)
            .fetch_one(&mut *$conn)
            .await?;
        id
    }};
}

impl Store {
    /// Makes a run in status `freezing`, or `scheduled` when its start is to come, unless the same issue is
    /// under way or went to all of the same list before; `again` allows the latter. `page` is frozen for the
    /// issue's page in the archive.
    pub async fn begin_run(
        &self,
        new: &NewRun<'_>,
        plan: &Plan,
        page: Option<&NewPage<'_>>,
        again: bool,
        at: Timestamp,
    ) -> Result<Begun> {
        // Whoever says to whom was asked by a guard whether any of these have it.
        let anew = again || plan.audience != Audience::List || plan.segment.is_some();
        let waits = plan.start.is_some_and(|start| start > at);
        let status = match waits {
            true => RunStatus::Scheduled,
            false => RunStatus::Freezing,
        };
        transact!(self, conn => {
            // Two callers at once: the second waits here and then finds the first one's run.
            if !self.is_sqlite() {
                sqlx::query("lock table runs in share row exclusive mode").execute(&mut *conn).await?;
            }
            let before = sqlx::query_as::<_, (i64, bool)>(BEFORE)
                .bind(new.slug)
                .bind(new.list.0)
                .fetch_optional(&mut *conn)
                .await?;
            match before {
                Some((id, over)) if !over => Begun::UnderWay(RunId(id)),
                Some((id, _)) if !anew => Begun::Before(RunId(id)),
                _ => {
                    let id = add_run!(conn, new, plan, status, at);
                    for (other, readers) in &plan.shared {
                        sqlx::query("insert into meta (key, value) values ($1, $2) on conflict (key) do nothing")
                            .bind(format!("{SHARED}{id}:{other}"))
                            .bind(readers.to_string())
                            .execute(&mut *conn)
                            .await?;
                    }
                    if let Some(page) = page {
                        put_page!(conn, new.slug, id, page, at);
                    }
                    Begun::New(RunId(id))
                }
            }
        })
    }

    /// Runs whose hour has come by `now`, the earliest first.
    pub async fn runs_to_start(&self, now: Timestamp) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where status = 'scheduled' and start_at <= $1
                 order by start_at, id"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(now.0).fetch_all(conn).await?)
        })
    }

    /// Starts a scheduled run whose hour has come: it freezes who is there now. False if it was started or
    /// changed meanwhile, or if the database's own clock says that it is too early.
    pub async fn start_run(&self, run: RunId, now: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            // Differs by necessity: `db_now()` is 0 on SQLite, whose clock is the caller's.
            let changed = sqlx::query(self.sql(
                "update runs set status = 'freezing', cutoff = $2, since = $2
                 where id = $1 and status = 'scheduled' and start_at <= $2
                   and (db_now() = 0 or start_at <= db_now() + $3)",
            ))
            .bind(run.0)
            .bind(now.0)
            .bind(AHEAD)
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Keeps when it is the readers' own time in each zone, before their freeze begins.
    pub async fn set_dues(&self, run: RunId, dues: &str) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update runs set dues = $2 where id = $1 and dues is null and recipients = 0")
                .bind(run.0)
                .bind(dues)
                .execute(conn)
                .await?;
        })
    }

    /// The zones that the confirmed readers of `list`, of a segment of it where one is given, name in their
    /// `field`, with how many readers each.
    pub async fn zones_of(
        &self,
        list: ListId,
        field: &str,
        segment: Option<&Filter>,
        at: Timestamp,
    ) -> Result<Vec<(Option<String>, i64)>> {
        let value = self.field_value("$2");
        let frame = Frame {
            list: "$1",
            at: "$3",
            begun: "$3",
            run: "$4",
            free: 5,
        };
        let mut predicates = Predicates::new(self, frame);
        let holds = predicates.holds_all(segment);
        let text = format!(
            "with given as (select cast($3 as bigint) as at, cast($4 as bigint) as before)
             select cast({value} as text) as zone, count(*)
             from subscriptions s join subscribers u on u.id = s.subscriber_id
             where s.list_id = $1 and s.status = 'confirmed'
               and not exists (select 1 from suppressions x where x.hash = u.hash) and {holds}
             group by 1 order by 2 desc, 1 limit 2000"
        );
        read!(self, conn => {
            let query = sqlx::query_as(self.sql(&text))
                .bind(list.0)
                .bind(field)
                .bind(at.0)
                .bind(NEXT_RUN);
            Ok(bind_values!(query, predicates.values).fetch_all(conn).await?)
        })
    }

    /// A reader's field by name. Differs by necessity: to PostgreSQL the fields are a text.
    pub(crate) fn field_value(&self, parameter: &str) -> String {
        match self {
            Store::Sqlite(_) => format!("u.fields->>{parameter}"),
            Store::Postgres(_) => format!("(cast(u.fields as jsonb)->>cast({parameter} as text))"),
        }
    }

    /// Puts another content under a run that has not begun. False if it has, or was changed meanwhile.
    pub async fn replace_revision(
        &self,
        run: RunId,
        from: &str,
        to: &NewContent<'_>,
    ) -> Result<bool> {
        let parts = (!to.parts.is_empty()).then(|| Sieve::list_to_json(to.parts));
        let page = to.page;
        transact!(self, conn => {
            let changed = sqlx::query(
                "update runs set revision = $3, title = $4, headers = $5, parts = $6
                 where id = $1 and revision = $2 and recipients = 0 and started_at is null and trial is null
                   and start_at is not null and status in ('scheduled', 'paused', 'held')",
            )
            .bind(run.0)
            .bind(from)
            .bind(to.revision)
            .bind(to.title)
            .bind(to.headers)
            .bind(parts.as_deref())
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if changed == 1 {
                sqlx::query(
                    "update archive_pages set title = $2, teaser = $3, language = $4, picture = $5,
                         visibility = $6, embargo_until = $7
                     where run_id = $1",
                )
                .bind(run.0)
                .bind(page.title)
                .bind(page.teaser)
                .bind(page.language)
                .bind(page.picture)
                .bind(page.visibility.name())
                .bind(page.embargo.map(|until| until.0))
                .execute(&mut *conn)
                .await?;
            }
            changed == 1
        })
    }

    /// Moves the start of a run that has not begun, to an hour said in a zone, or in that which it had. False if it has, or was moved meanwhile.
    /// One that was held before its freeze began was held because of the hour that it had: it waits anew.
    pub async fn move_start(
        &self,
        run: RunId,
        from: Option<i64>,
        (to, zone): (Timestamp, Option<&str>),
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let changed = sqlx::query(
                "update runs set start_at = $3, zone = coalesce($4, zone),
                     status = case when status = 'held' and cutoff = created_at then 'scheduled' else status end,
                     reason = case when status = 'held' and cutoff = created_at then null else reason end,
                     since = case when status = 'held' and cutoff = created_at then $5 else since end
                 where id = $1 and start_at = $2 and recipients = 0 and started_at is null
                   and local_at is null and status in ('scheduled', 'paused', 'held')",
            )
            .bind(run.0)
            .bind(from)
            .bind(to.0)
            .bind(zone)
            .bind(at.0)
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Moves the mark of a run's pace from where the caller saw it, and the end of its spread. False if another node
    /// moved it first.
    pub async fn move_pace(
        &self,
        run: RunId,
        from: Option<i64>,
        to: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<bool> {
        transact!(self, conn => {
            let changed = sqlx::query(
                "update runs set paced_to = $3, spread_until = cast($4 as bigint)
                 where id = $1 and coalesce(paced_to, -1) = coalesce(cast($2 as bigint), -1)",
            )
            .bind(run.0)
            .bind(from)
            .bind(to.0)
            .bind(until.map(|until| until.0))
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }
}
