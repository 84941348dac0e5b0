//! What the fold reads: the log behind its position, and what is known of the deliveries in it.
//!
//! Promises: a batch comes sorted by delivery, so that neighbours are written together.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::event::{Event, EventKind};
use crate::id::{DeliveryKey, RunId};
use crate::stats::tally::Class;
use crate::store::events::json;
use crate::store::folds::{Facts, Logged};
use crate::store::{Result, Store};

/// Columns of a [`LogRow`].
type LogRow = (
    i64,
    i64,
    String,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    String,
);

impl Store {
    /// The last id of the log.
    pub async fn log_end(&self) -> Result<i64> {
        read!(self, conn => {
            Ok(sqlx::query_scalar("select last from event_log").fetch_one(conn).await?)
        })
    }

    /// Where a batch of at most `limit` events behind `folded` ends; none where there are none.
    pub async fn batch_end(&self, folded: i64, limit: u32) -> Result<Option<i64>> {
        read!(self, conn => {
            let end = sqlx::query_scalar(
                "select max(id) from (select id from events where id > $1 order by id limit $2) as batch",
            )
            .bind(folded)
            .bind(i64::from(limit))
            .fetch_one(conn)
            .await?;
            Ok(end)
        })
    }

    /// The events of issue runs behind `folded` up to `upto`, by delivery and then as they came.
    pub async fn logged(&self, folded: i64, upto: i64) -> Result<Vec<Logged>> {
        let rows: Vec<LogRow> = read!(self, conn => {
            sqlx::query_as(
                "select id, at, kind, run_id, seq, link, evidence from events
                 where id > $1 and id <= $2 and run_id > 1 and seq is not null
                 order by run_id, seq, id",
            )
            .bind(folded)
            .bind(upto)
            .fetch_all(conn)
            .await?
        });
        Ok(rows
            .into_iter()
            .filter_map(|row| read_row(row, None))
            .collect())
    }

    /// What is known of these deliveries of a run.
    pub async fn delivery_facts(&self, run: RunId, seqs: &[u32]) -> Result<HashMap<u32, Facts>> {
        #[derive(sqlx::FromRow)]
        struct Row {
            seq: i64,
            settled_at: Option<i64>,
            was_opened: bool,
            was_clicked: bool,
            provider: Option<String>,
            address: Option<String>,
            opened: Option<String>,
            clicked: Option<String>,
            withdrawn: i64,
        }
        let rows: Vec<Row> = read!(self, conn => {
            sqlx::query_as(self.sql(
                "select d.seq, d.settled_at, d.opened_at is not null as was_opened,
                     d.clicked_at is not null as was_clicked, j.provider,
                     case when j.provider is null
                         then (select canonical from subscribers u where u.id = d.subscriber_id) end as address,
                     j.opened, j.clicked, coalesce(j.withdrawn, 0) as withdrawn
                 from deliveries d
                     left join judged j on j.run_id = d.run_id and j.seq = d.seq
                 where d.run_id = $1 and d.seq in (select cast(value as bigint) from json_each($2))",
            ))
            .bind(run.0)
            .bind(json(seqs.iter()))
            .fetch_all(conn)
            .await?
        });
        let class = |name: Option<String>| {
            let mut all = Class::ALL.into_iter();
            all.find(|class| Some(class.name()) == name.as_deref())
        };
        let facts = rows.into_iter().filter_map(|row| {
            let facts = Facts {
                settled_at: row.settled_at.map(Timestamp),
                opened: row.was_opened,
                clicked: row.was_clicked,
                provider: row.provider,
                address: row.address,
                judged: [class(row.opened), class(row.clicked)],
                withdrawn: row.withdrawn == 1,
            };
            Some((u32::try_from(row.seq).ok()?, facts))
        });
        Ok(facts.collect())
    }

    /// The first `each` folded events of each of these deliveries.
    pub async fn folded_events(
        &self,
        run: RunId,
        seqs: &[u32],
        each: usize,
    ) -> Result<Vec<Logged>> {
        type Row = (
            Option<i64>,
            i64,
            i64,
            String,
            Option<i64>,
            Option<i64>,
            Option<i64>,
            String,
        );
        let rows: Vec<Row> = read!(self, conn => {
            sqlx::query_as(self.sql(
                // Whoever loads one pixel a million times has a million events: only the first are looked at.
                "select x.after, e.id, e.at, e.kind, e.run_id, e.seq, e.link, e.evidence
                 from json_each($2) as v
                     cross join delivery_events x
                     join events e on e.id = x.event_id
                 where x.run_id = $1 and x.seq = cast(v.value as bigint)
                   and x.event_id < coalesce((
                       select y.event_id from delivery_events y
                       where y.run_id = $1 and y.seq = cast(v.value as bigint)
                       order by y.event_id limit 1 offset $3
                   ), 9223372036854775807)
                 order by x.seq, x.event_id",
            ))
            .bind(run.0)
            .bind(json(seqs.iter()))
            .bind(i64::try_from(each).unwrap_or(i64::MAX))
            .fetch_all(conn)
            .await?
        });
        let each = rows.into_iter().filter_map(|row| {
            let (after, id, at, kind, run, seq, link, evidence) = row;
            read_row((id, at, kind, run, seq, link, evidence), after)
        });
        Ok(each.collect())
    }

    /// The next deliveries with folded events behind `seq` of `run`, all of one run.
    pub async fn deliveries_with_events(
        &self,
        run: RunId,
        seq: i64,
        limit: u32,
    ) -> Result<Option<(RunId, Vec<u32>)>> {
        read!(self, conn => {
            let next: Option<i64> = sqlx::query_scalar(
                "select run_id from delivery_events
                 where (run_id, seq) > ($1, $2)
                 order by run_id, seq limit 1",
            )
            .bind(run.0)
            .bind(seq)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(next) = next else {
                return Ok(None);
            };
            let behind = if next == run.0 { seq } else { -1 };
            let seqs: Vec<i64> = sqlx::query_scalar(
                "select distinct seq from delivery_events
                 where run_id = $1 and seq > $2 order by seq limit $3",
            )
            .bind(next)
            .bind(behind)
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await?;
            let seqs = seqs.into_iter().filter_map(|seq| u32::try_from(seq).ok());
            Ok(Some((RunId(next), seqs.collect())))
        })
    }
}

/// None where the kind is one of a newer program.
fn read_row(row: LogRow, after: Option<i64>) -> Option<Logged> {
    let (id, at, kind, run, seq, link, evidence) = row;
    let event = Event {
        kind: EventKind::parse(&kind)?,
        delivery: DeliveryKey {
            run: RunId(run?),
            seq: u32::try_from(seq?).ok()?,
        },
        link: link.and_then(|link| u32::try_from(link).ok()),
        at: Timestamp(at),
        evidence: serde_json::from_str(&evidence).unwrap_or_default(),
    };
    let after = after.or(event.evidence.after);
    Some(Logged { id, event, after })
}
