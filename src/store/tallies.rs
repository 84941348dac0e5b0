//! The judged numbers of runs, and how lists grew, as they are kept.
//!
//! Promises: a run's tallies are some hundred rows, however many readers it had; only `count_list` counts a large
//! table, and what it found is kept.

use std::collections::HashMap;

use crate::clock::{QUARTER, Timestamp};
use crate::event::EventKind;
use crate::id::{DeliveryKey, ListId, RunId};
use crate::stats::growth::{Looked, Lost, Moved, Quarters, Way};
use crate::stats::tally::{Part, Tally, What};
use crate::stats::usual::ISSUES;
use crate::store::events::json;
use crate::store::{Result, Store};
use crate::subscriber::Status;

/// A run as later ones are compared with it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct EarlierRun {
    pub id: i64,
    pub slug: String,
    pub title: String,
    pub sent: i64,
    pub departed: i64,
    /// Readers who opened and clicked, machines among them.
    pub opened: i64,
    pub clicked: i64,
}

/// One event of a run, with the seconds since its delivery was settled.
#[derive(Clone, Debug)]
pub struct RunEvent {
    pub id: i64,
    pub kind: EventKind,
    pub delivery: DeliveryKey,
    pub link: Option<u32>,
    pub at: Timestamp,
    pub after: Option<i64>,
    /// JSON.
    pub evidence: String,
    /// Its reader wants nothing counted any more since she got the copy.
    pub withdrawn: bool,
}

/// Columns of [`MOVES`].
type MoveRow = (String, i64, String, i64);

/// Columns of [`LOST`].
type LostRow = (Status, i64, String, i64);

/// Who joined and left, as the journal says it: what, when, why, and how many.
const MOVES: &str = "
    select what, quarter, why, cast(sum(number) as bigint) from journal
    where list_id = $1 group by what, quarter, why order by what, quarter, why";

/// Readers by the quarter hour in which they joined.
const STANDING: &str = "
    select coalesce(first_joined_at, joined_at, confirmed_at) / $2, count(*)
    from subscriptions
    where list_id = $1 and status in ('confirmed', 'paused') and confirmed_at is not null
    group by 1";

/// Those of them who clicked in one of the last issues.
const CLICKING: &str = "
    select coalesce(n.first_joined_at, n.joined_at, n.confirmed_at) / $2, count(distinct n.key)
    from judged j
        join deliveries d on d.run_id = j.run_id and d.seq = j.seq
        join subscriptions n on n.list_id = $1 and n.subscriber_id = d.subscriber_id
        join subscribers u on u.id = n.subscriber_id
    where j.clicked = 'human' and n.status in ('confirmed', 'paused') and n.confirmed_at is not null
      and not exists (select 1 from suppressions x where x.hash = u.hash)
      and j.run_id in (
          select id from runs where list_id = $1 and kind = 'issue' and started_at is not null
          order by id desc limit $3
      )
    group by 1";

/// How many issues those are, and of how many of them it is not known who clicked.
const LOOKED: &str = "
    select count(*), count(case when exists (select 1 from pseudonym_keys k where k.run_id = r.id)
        or r.sent > 0 and r.sent <= coalesce((
            select t.number from tallies t
            where t.run_id = r.id and t.part = 'run' and t.bucket = '' and t.what = 'no-clicks'
        ), 0) then 1 end)
    from (
        select id, (select b.sent from run_sums b where b.run_id = runs.id) as sent
        from runs
        where list_id = $1 and kind = 'issue' and started_at is not null
        order by id desc limit $2
    ) r";

/// Whose address is suppressed gets nothing more, whatever her subscription says: status, since when, why, and how many.
const LOST: &str = "
    select n.status,
        case when x.created_at > n.confirmed_at then x.created_at else n.confirmed_at end / $2,
        x.reason, count(*)
    from subscriptions n
        join subscribers u on u.id = n.subscriber_id
        join suppressions x on x.hash = u.hash
    where n.list_id = $1 and n.status in ('confirmed', 'paused') and n.confirmed_at is not null
    group by 1, 2, 3";

/// The same by the quarter hour in which they joined.
const LOST_OF: &str = "
    select coalesce(n.first_joined_at, n.joined_at, n.confirmed_at) / $2, count(*)
    from subscriptions n
        join subscribers u on u.id = n.subscriber_id
        join suppressions x on x.hash = u.hash
    where n.list_id = $1 and n.status in ('confirmed', 'paused') and n.confirmed_at is not null
    group by 1";

const STATUSES: &str = "
    select status, count(*) from subscriptions where list_id = $1 group by status";

/// All rows that a statement counts of a list by quarter hours: `by_quarter!(conn, statement, list)`.
macro_rules! by_quarter {
    ($conn:expr, $statement:expr, $list:expr) => {
        sqlx::query_as($statement)
            .bind($list.0)
            .bind(QUARTER)
            .fetch_all(&mut *$conn)
            .await?
    };
}

impl Store {
    /// The tallies of a run.
    pub async fn tallies(&self, run: RunId) -> Result<Tally> {
        let mut found = self.tallies_of(&[run], None).await?;
        Ok(found.remove(&run).unwrap_or_default())
    }

    /// The tallies of several runs, all or only one part of them.
    pub async fn tallies_of(
        &self,
        runs: &[RunId],
        part: Option<Part>,
    ) -> Result<HashMap<RunId, Tally>> {
        let rows: Vec<(i64, String, String, String, i64)> = read!(self, conn => {
            sqlx::query_as(self.sql(
                "select t.run_id, t.part, t.bucket, t.what, t.number
                 from json_each($1) as r
                     join tallies t on t.run_id = cast(r.value->>0 as bigint)
                 where $2 = '' or t.part = $2",
            ))
            .bind(json(runs.iter().map(|run| [run])))
            .bind(part.map_or("", Part::name))
            .fetch_all(conn)
            .await?
        });
        let mut found: HashMap<RunId, Tally> = HashMap::new();
        for (run, part, bucket, what, number) in rows {
            if let (Some(part), Some(what)) = (Part::parse(&part), What::parse(&what)) {
                found
                    .entry(RunId(run))
                    .or_default()
                    .add(part, &bucket, what, number);
            }
        }
        Ok(found)
    }

    /// The last issues before that of `run` that reached its list and ended by `settled`, the newest first: each by its
    /// newest run to the whole list. What went to a part of it, or once more to some, is not what the next issue is
    /// compared with; nor is what was counted without names, where this one is counted with them.
    pub async fn issues_before(&self, run: RunId, settled: Timestamp) -> Result<Vec<EarlierRun>> {
        read!(self, conn => {
            let found = sqlx::query_as(self.sql(
                "select r.id, r.slug, r.title, b.sent, b.departed, b.opened, b.clicked
                 from (
                     select max(r.id) as id from runs this
                         join runs r on r.list_id = this.list_id and r.started_at < this.started_at
                     where this.id = $1 and r.slug <> this.slug and r.kind = 'issue'
                       and r.status in ('finished', 'cancelled')
                       and coalesce(r.finished_at, r.started_at) <= $3
                       and r.segment is null and r.audience = 'list'
                       and exists (select 1 from pseudonym_keys k where k.run_id = r.id)
                         = exists (select 1 from pseudonym_keys k where k.run_id = this.id)
                       and exists (select 1 from blocks b where b.run_id = r.id and b.sent > 0)
                     group by r.slug
                     order by max(r.started_at) desc, max(r.id) desc limit $2
                 ) as newest
                     join runs r on r.id = newest.id
                     join run_sums b on b.run_id = r.id
                 order by r.started_at desc, r.id desc",
            ))
            .bind(run.0)
            .bind(i64::from(ISSUES))
            .bind(settled.0)
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// The folded events of up to `limit` deliveries of a run behind `seq`, by delivery and then as they came.
    pub async fn run_events(&self, run: RunId, seq: i64, limit: u32) -> Result<Vec<RunEvent>> {
        type Row = (i64, String, i64, Option<i64>, i64, Option<i64>, String, i64);
        let rows: Vec<Row> = read!(self, conn => {
            sqlx::query_as(
                "select e.id, e.kind, x.seq, e.link, e.at, x.after, e.evidence, coalesce(j.withdrawn, 0)
                 from delivery_events x
                     join events e on e.id = x.event_id
                     left join judged j on j.run_id = x.run_id and j.seq = x.seq
                 where x.run_id = $1 and x.seq > $2 and x.seq <= (
                     select max(seq) from (
                         select distinct seq from delivery_events
                         where run_id = $1 and seq > $2 order by seq limit $3
                     ) as page
                 )
                 order by x.seq, x.event_id",
            )
            .bind(run.0)
            .bind(seq)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?
        });
        let each = rows.into_iter().filter_map(|row| {
            let (id, kind, seq, link, at, after, evidence, withdrawn) = row;
            Some(RunEvent {
                id,
                kind: EventKind::parse(&kind)?,
                delivery: DeliveryKey {
                    run,
                    seq: u32::try_from(seq).ok()?,
                },
                link: link.and_then(|link| u32::try_from(link).ok()),
                at: Timestamp(at),
                after,
                evidence,
                withdrawn: withdrawn == 1,
            })
        });
        Ok(each.collect())
    }

    /// Who joined a list and who left it, by quarter hours, from its journal, and how its readers stand: once through its
    /// subscriptions.
    pub async fn count_list(&self, list: ListId) -> Result<Quarters> {
        read!(self, conn => {
            let moves: Vec<MoveRow> = sqlx::query_as(MOVES).bind(list.0).fetch_all(&mut *conn).await?;
            let standing = by_quarter!(conn, STANDING, list);
            let clicking = sqlx::query_as(CLICKING)
                .bind(list.0)
                .bind(QUARTER)
                .bind(i64::from(ISSUES))
                .fetch_all(&mut *conn)
                .await?;
            let (last, untold): (i64, i64) = sqlx::query_as(LOOKED)
                .bind(list.0)
                .bind(i64::from(ISSUES))
                .fetch_one(&mut *conn)
                .await?;
            let lost: Vec<LostRow> = by_quarter!(conn, LOST, list);
            let lost_of = by_quarter!(conn, LOST_OF, list);
            let statuses = sqlx::query_as(STATUSES).bind(list.0).fetch_all(&mut *conn).await?;
            Ok(Quarters {
                moves: moves.into_iter().map(moved).collect(),
                standing,
                lost: lost.into_iter().map(lost_one).collect(),
                lost_of,
                clicking,
                issues: Looked { last, untold },
                statuses,
            })
        })
    }

    /// What was found of a list when it was last counted, and when.
    pub async fn list_numbers(&self, list: ListId) -> Result<Option<(Timestamp, String)>> {
        read!(self, conn => {
            let found: Option<(i64, String)> =
                sqlx::query_as("select at, numbers from list_numbers where list_id = $1")
                    .bind(list.0)
                    .fetch_optional(conn)
                    .await?;
            Ok(found.map(|(at, numbers)| (Timestamp(at), numbers)))
        })
    }

    /// Keeps what was found of a list.
    pub async fn keep_list_numbers(
        &self,
        list: ListId,
        at: Timestamp,
        numbers: &str,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "insert into list_numbers (list_id, at, numbers) values ($1, $2, $3)
                 on conflict (list_id) do update set at = excluded.at, numbers = excluded.numbers",
            )
            .bind(list.0)
            .bind(at.0)
            .bind(numbers)
            .execute(conn)
            .await?;
        })
    }
}

fn moved((what, quarter, why, number): MoveRow) -> Moved {
    let way = match what.as_str() {
        "joined" => Way::Joined,
        "imported" => Way::Imported,
        _ => Way::Left,
    };
    Moved {
        way,
        quarter,
        why,
        number,
    }
}

fn lost_one((status, quarter, why, number): LostRow) -> Lost {
    Lost {
        status,
        quarter,
        why,
        number,
    }
}
