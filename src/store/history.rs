//! What went out before: the facts that the questions before Send are asked by.

use crate::clock::Timestamp;
use crate::id::{ListId, RunId};
use crate::store::freeze::whom;
use crate::store::runs::{Audience, COLUMNS, Run, said};
use crate::store::{Result, Store};

/// An earlier run to the same list, as much of it as a later one is compared with.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Earlier {
    pub id: i64,
    pub slug: String,
    pub audience: String,
    /// Its recipients, less those whose addresses were suppressed: who gets nothing is in no planned size, either.
    pub readers: i64,
    pub started_at: i64,
    /// The hour at which its readers got it by their own clocks.
    pub local_at: Option<String>,
    /// To whom of the list, as JSON.
    pub segment: Option<String>,
    /// Its subject test, as JSON.
    pub trial: Option<String>,
    /// The compiled issue, as JSON.
    pub content: String,
}

impl Earlier {
    /// To whom of the list it went, as it was said.
    pub fn said_segment(&self) -> Option<String> {
        said(self.segment.as_deref())
    }
}

impl Store {
    /// The newest `limit` runs that were sent to `list`, the newest first.
    pub async fn sent_to(&self, list: ListId, limit: u32) -> Result<Vec<Earlier>> {
        read!(self, conn => {
            let rows = sqlx::query_as(
                "select r.id, r.slug, r.audience, r.started_at,
                     r.recipients - coalesce((
                         select b.suppressed from run_sums b where b.run_id = r.id
                     ), 0) as readers,
                     r.local_at, r.segment, r.trial, v.content
                 from runs r join revisions v on v.hash = r.revision
                 where r.kind = 'issue' and r.list_id = $1 and r.started_at is not null
                   -- One that is over counts where it has reached anyone.
                   and (r.status not in ('finished', 'cancelled') or exists (
                     select 1 from blocks b
                     where b.run_id = r.id and b.sent + b.at_dot + b.uncertain > 0))
                 order by r.id desc limit $2",
            )
            .bind(list.0)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }

    /// The newest run of the issue `slug` to `list` that began to send, and found anyone to send to.
    pub async fn last_started(&self, slug: &str, list: ListId) -> Result<Option<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs
                 where slug = $1 and list_id = $2 and kind = 'issue' and started_at is not null
                   and recipients > 0
                 order by id desc limit 1"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(slug).bind(list.0).fetch_optional(conn).await?)
        })
    }

    /// The newest `limit` runs of the issue `slug` to `list`, or to the rest of it, that were cancelled after they began
    /// to send, the newest first. Whom a second mail or a correction did not reach has the issue.
    pub async fn cancelled_runs(&self, slug: &str, list: ListId, limit: u32) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs
                 where slug = $1 and list_id = $2 and kind = 'issue' and started_at is not null
                   and status = 'cancelled' and audience in ('list', 'continue')
                 order by id desc limit $3"
            ));
            let runs = sqlx::query_as::<_, Run>(text)
                .bind(slug)
                .bind(list.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(runs)
        })
    }

    /// The newest run of the issue `slug` to `list` that reached anyone, under another revision than
    /// `revision`.
    pub async fn last_reached(
        &self,
        slug: &str,
        list: ListId,
        revision: &str,
    ) -> Result<Option<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs
                 where slug = $1 and list_id = $2 and kind = 'issue' and revision <> $3
                   and exists (select 1 from blocks b where b.run_id = runs.id and b.sent > 0)
                 order by id desc limit 1"
            ));
            let run = sqlx::query_as::<_, Run>(text)
                .bind(slug)
                .bind(list.0)
                .bind(revision)
                .fetch_optional(conn)
                .await?;
            Ok(run)
        })
    }

    /// How many readers a run of this slug and revision with this audience by `origin` would go to now: on the list still,
    /// and not suppressed; a `monthly` one goes to those of the digest, too.
    pub async fn part_of(
        &self,
        list: ListId,
        audience: Audience,
        origin: RunId,
        (slug, revision): (&str, &str),
        monthly: bool,
    ) -> Result<i64> {
        let whom = whom(audience.name(), "$1", ("$5", "$3"));
        let text = format!(
            "with given as (select cast($3 as text) as revision, cast($5 as text) as slug)
             select count(*)
             from subscriptions s join subscribers u on u.id = s.subscriber_id
             where s.list_id = $2 and s.status = 'confirmed' and (s.frequency = 'every' or $4 = 1)
               and not exists (select 1 from suppressions x where x.hash = u.hash)
               and {whom}"
        );
        read!(self, conn => {
            let number = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
                .bind(origin.0)
                .bind(list.0)
                .bind(revision)
                .bind(i64::from(monthly))
                .bind(slug)
                .fetch_one(conn)
                .await?;
            Ok(number)
        })
    }

    /// Every issue that a run was ever begun of, in alphabetical order.
    pub async fn begun_issues(&self) -> Result<Vec<String>> {
        read!(self, conn => {
            let found = sqlx::query_scalar(
                "select distinct slug from runs where kind = 'issue' order by slug",
            )
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// Whether the database takes a write now; the error says why not.
    pub async fn take_a_write(&self, at: Timestamp) -> Result<()> {
        self.set_meta("looked_at", &at.0.to_string()).await
    }
}
