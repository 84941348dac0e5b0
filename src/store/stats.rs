//! Numbers of runs, read from the sums of their blocks.
//!
//! Promises: a run costs one row on SQLite, and on PostgreSQL a sum over four thousand rows for a million deliveries;
//! nothing counts deliveries or events.

use crate::clock::Timestamp;
use crate::delivery::Counts;
use crate::id::RunId;
use crate::stats::judged::LinkJudged;
use crate::stats::{Corrected, LinkNumbers, Rates, RunNumbers};
use crate::status::RunStatus;
use crate::store::{Result, Store};

#[derive(sqlx::FromRow)]
struct RunRow {
    id: i64,
    slug: String,
    title: String,
    list: Option<String>,
    #[sqlx(try_from = "String")]
    status: RunStatus,
    reason: Option<String>,
    recipients: i64,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    queued: i64,
    at_dot: i64,
    sent: i64,
    bounced: i64,
    failed: i64,
    expired: i64,
    suppressed: i64,
    unsubscribed: i64,
    uncertain: i64,
    cancelled: i64,
    opened: i64,
    clicked: i64,
    departed: i64,
    complained: i64,
    opens: i64,
    clicks: i64,
}

/// Runs with the sums of their blocks; `$filter` says which, and in what order.
macro_rules! run_sums {
    ($filter:literal) => {
        concat!(
            "select r.id, r.slug, r.title, l.title as list, r.status, r.reason, r.recipients, r.created_at,
                r.started_at, r.finished_at,
                coalesce(b.queued, 0) as queued, coalesce(b.at_dot, 0) as at_dot, coalesce(b.sent, 0) as sent,
                coalesce(b.bounced, 0) as bounced, coalesce(b.failed, 0) as failed,
                coalesce(b.expired, 0) as expired, coalesce(b.suppressed, 0) as suppressed,
                coalesce(b.unsubscribed, 0) as unsubscribed, coalesce(b.uncertain, 0) as uncertain,
                coalesce(b.cancelled, 0) as cancelled, coalesce(b.opened, 0) as opened,
                coalesce(b.clicked, 0) as clicked, coalesce(b.departed, 0) as departed,
                coalesce(b.complained, 0) as complained, coalesce(b.opens, 0) as opens,
                coalesce(b.clicks, 0) as clicks
             from runs r
             left join lists l on l.id = r.list_id
             left join run_sums b on b.run_id = r.id
             where r.kind = 'issue' and ",
            $filter
        )
    };
}

impl Store {
    /// The newest `limit` runs of issues, newest first, without their links.
    pub async fn runs_in_numbers(&self, limit: u32) -> Result<Vec<RunNumbers>> {
        read!(self, conn => {
            let rows: Vec<RunRow> = sqlx::query_as(self.sql(run_sums!(
                "r.id in (select id from runs where kind = 'issue' order by id desc limit $1)
                 order by r.id desc"
            )))
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(rows.into_iter().map(numbers).collect())
        })
    }

    /// Up to `limit` runs of issues before the run `before`, newest first, without their links.
    pub async fn runs_before(&self, before: RunId, limit: u32) -> Result<Vec<RunNumbers>> {
        read!(self, conn => {
            let rows: Vec<RunRow> = sqlx::query_as(self.sql(run_sums!(
                "r.id in (select id from runs where kind = 'issue' and id < $1 order by id desc limit $2)
                 order by r.id desc"
            )))
            .bind(before.0)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(rows.into_iter().map(numbers).collect())
        })
    }

    /// The slugs of all issues of which a run was ever begun.
    pub async fn issue_slugs(&self) -> Result<Vec<String>> {
        read!(self, conn => {
            let slugs = sqlx::query_scalar("select distinct slug from runs where kind = 'issue'")
                .fetch_all(conn)
                .await?;
            Ok(slugs)
        })
    }

    /// One run of an issue with its links.
    pub async fn run_in_numbers(&self, run: RunId) -> Result<Option<RunNumbers>> {
        type Row = (i64, String, String, Option<String>, Option<i64>, i64, i64);
        read!(self, conn => {
            let row: Option<RunRow> =
                sqlx::query_as(self.sql(run_sums!("r.id = $1")))
                    .bind(run.0)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some(row) = row else {
                return Ok(None);
            };
            let links: Vec<Row> = sqlx::query_as(
                "select k.link, k.name, k.url,
                     (select x.new_url from link_repairs x
                      where x.revision = k.revision and x.link = k.link order by x.id desc limit 1),
                     (select x.at from link_repairs x
                      where x.revision = k.revision and x.link = k.link order by x.id desc limit 1),
                     coalesce(c.readers, 0), coalesce(c.clicks, 0)
                 from runs r
                 join links k on k.revision = r.revision
                 left join link_counts c on c.run_id = r.id and c.link = k.link
                 where r.id = $1 order by k.link",
            )
            .bind(run.0)
            .fetch_all(&mut *conn)
            .await?;
            let mut numbers = numbers(row);
            let each = links.into_iter().map(|(link, name, sent, new, at, readers, clicks)| {
                let new = new.filter(|new| *new != sent);
                let corrected = new.is_some().then(|| Corrected {
                    at: Timestamp(at.unwrap_or(0)),
                    sent: sent.clone(),
                });
                LinkNumbers {
                    link,
                    name,
                    url: new.unwrap_or(sent),
                    corrected,
                    readers,
                    clicks,
                    judged: LinkJudged::default(),
                }
            });
            numbers.links = each.collect();
            Ok(Some(numbers))
        })
    }
}

fn numbers(row: RunRow) -> RunNumbers {
    RunNumbers {
        run: RunId(row.id),
        slug: row.slug,
        title: row.title,
        list: row.list,
        status: row.status,
        reason: row.reason,
        created_at: Timestamp(row.created_at),
        started_at: row.started_at.map(Timestamp),
        finished_at: row.finished_at.map(Timestamp),
        recipients: row.recipients,
        counts: Counts {
            queued: row.queued,
            at_dot: row.at_dot,
            sent: row.sent,
            bounced: row.bounced,
            failed: row.failed,
            expired: row.expired,
            suppressed: row.suppressed,
            unsubscribed: row.unsubscribed,
            uncertain: row.uncertain,
            cancelled: row.cancelled,
        },
        opened: row.opened,
        clicked: row.clicked,
        departed: row.departed,
        complained: row.complained,
        opens: row.opens,
        clicks: row.clicks,
        rates: Rates::default(),
        test: None,
        links: Vec::new(),
    }
    .with_rates()
}
