//! Notices to the author: written down once, with their mail, and what the webhook still has to hear.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::RunId;
use crate::status::RunStatus;
use crate::store::runs::{COLUMNS, Run};
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};

/// A notice on its way into the store.
#[derive(Clone, Debug)]
pub struct NewNotice<'a> {
    pub id: i64,
    pub kind: &'a str,
    /// The issue of the run, or the relay.
    pub about: &'a str,
    pub run: Option<RunId>,
    /// The status of the run that this tells, and since when.
    pub status: Option<(RunStatus, i64)>,
    /// As the webhook gets it.
    pub body: &'a str,
    /// Whether a webhook is to hear of it.
    pub hook: bool,
    pub mail: Option<&'a NewSystemMail<'a>>,
    /// Nothing of the same kind about the same is told again within it.
    pub window: Duration,
}

/// A notice that the webhook is to hear.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Hooked {
    pub id: i64,
    pub at: i64,
    pub body: String,
    pub hook_tries: i64,
}

/// What a webhook did not take since it took anything last.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Untaken {
    /// When the first of these notices was written down.
    pub since: i64,
    pub notices: i64,
    /// Of these, those of which it is not asked any more.
    pub given_up: i64,
    /// What came of asking about the newest of them.
    pub answer: String,
}

/// What makes a notice superfluous: one of its kind within the window; of a start, of bounces and of complaints, any
/// of that run; the relay's return where its failing was not told. A hold or an end is none: a person stands between
/// it and the one before.
const KNOWN: &str = "
    select case
        when $1 = 'relay-up' then (
            select count(*) from (
                select kind from notices where about = $2 and kind in ('relay-down', 'relay-up')
                order by at desc, id desc limit 1
            ) as newest where newest.kind = 'relay-down'
        ) = 0
        else exists (
            select 1 from notices
            where kind = $1 and about = $2 and coalesce(run_id, 0) = $3 and $1 not in ('held', 'finished')
              and (at > $4 or $1 in ('started', 'bounces', 'complaints'))
        )
    end";

impl Store {
    /// Writes a notice down, puts its mail into the queue, and notes the run's status as told: all or
    /// nothing. False if it was superfluous.
    pub async fn tell(&self, notice: &NewNotice<'_>, at: Timestamp) -> Result<bool> {
        again!(self.try_tell(notice, at).await)
    }

    async fn try_tell(&self, notice: &NewNotice<'_>, at: Timestamp) -> Result<bool> {
        let run = notice.run.map_or(0, |run| run.0);
        let after = at.before(notice.window);
        transact!(self, conn => {
            // Two nodes at once: the second waits here, and then finds the first one's notice.
            if !self.is_sqlite() {
                sqlx::query("lock table notices in share row exclusive mode").execute(&mut *conn).await?;
            }
            let known: bool = sqlx::query_scalar(KNOWN)
                .bind(notice.kind)
                .bind(notice.about)
                .bind(run)
                .bind(after.0)
                .fetch_one(&mut *conn)
                .await?;
            // Only what tells a status is told once per status.
            let tells = matches!(notice.kind, "started" | "finished" | "held");
            let mut fresh = !known;
            if let (Some((status, since)), true) = (notice.status, tells) {
                let changed = sqlx::query(
                    "update runs set told = status || '@' || since
                     where id = $1 and status = $2 and since = $3
                       and coalesce(told, '') <> status || '@' || since",
                )
                .bind(run)
                .bind(status.name())
                .bind(since)
                .execute(&mut *conn)
                .await?;
                fresh = fresh && changed.rows_affected() == 1;
            }
            if fresh {
                sqlx::query(
                    "insert into notices (id, at, kind, about, run_id, body, hook_due)
                     values ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(notice.id)
                .bind(at.0)
                .bind(notice.kind)
                .bind(notice.about)
                .bind(notice.run.map(|run| run.0))
                .bind(notice.body)
                .bind(notice.hook.then_some(at.0))
                .execute(&mut *conn)
                .await?;
                if let Some(mail) = notice.mail {
                    enqueue_system_mail!(conn, 1, mail, at.0);
                }
            }
            fresh
        })
    }

    /// Notes that the status of a run needs no telling.
    pub async fn note_told(&self, run: &Run) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "update runs set told = status || '@' || since
                 where id = $1 and status = $2 and since = $3",
            )
            .bind(run.id)
            .bind(run.status.name())
            .bind(run.since)
                .execute(conn)
                .await?;
        })
    }

    /// Runs whose status concerns the author and was not told.
    pub async fn untold_runs(&self) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs
                 where kind = 'issue' and status in ('sending', 'held', 'finished')
                   and coalesce(told, '') <> status || '@' || since
                 order by id"
            ));
            Ok(sqlx::query_as::<_, Run>(text).fetch_all(conn).await?)
        })
    }

    /// Runs begun since `since` about which readers complained, and nothing was told of it.
    pub async fn complained_runs(&self, since: Timestamp) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs
                 where id in (select run_id from blocks where complained > 0)
                   and kind = 'issue' and created_at > $1
                   and not exists (
                       select 1 from notices where kind = 'complaints' and about = runs.slug and run_id = runs.id
                   )
                 order by id"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(since.0).fetch_all(conn).await?)
        })
    }

    /// Readers of a run who complained.
    pub async fn complaints(&self, run: RunId) -> Result<i64> {
        read!(self, conn => {
            let number = sqlx::query_scalar(
                "select cast(coalesce(sum(complained), 0) as bigint) from blocks
                 where run_id = $1 and complained > 0",
            )
            .bind(run.0)
            .fetch_one(conn)
            .await?;
            Ok(number)
        })
    }

    /// The relays whose failing was told, and whose return was not.
    pub async fn relays_told_down(&self) -> Result<Vec<String>> {
        read!(self, conn => {
            let rows = sqlx::query_scalar(
                "select n.about from notices n
                 where n.kind = 'relay-down' and not exists (
                     select 1 from notices later
                     where later.kind = 'relay-up' and later.about = n.about and later.at >= n.at
                 )
                 group by n.about",
            )
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }

    /// Whether a run's end or hold is not told, or the webhook was never asked about a notice.
    pub async fn notices_outstanding(&self) -> Result<bool> {
        read!(self, conn => {
            let found = sqlx::query_scalar(
                "select exists (
                     select 1 from runs
                     where kind = 'issue' and status in ('held', 'finished') and coalesce(told, '') <> status || '@' || since
                 ) or exists (select 1 from notices where hook_due is not null and hook_tries = 0)",
            )
            .fetch_one(conn)
            .await?;
            Ok(found)
        })
    }

    /// Whether the webhook is to be asked about any notice now.
    pub async fn hooks_due(&self, now: Timestamp) -> Result<bool> {
        read!(self, conn => {
            let found = sqlx::query_scalar("select exists (select 1 from notices where hook_due <= $1)")
                .bind(now.0)
                .fetch_one(conn)
                .await?;
            Ok(found)
        })
    }

    /// What the webhook did not take, newer than the last notice that it took; none where it took the last one.
    pub async fn hook_untaken(&self) -> Result<Option<Untaken>> {
        read!(self, conn => {
            let found: Option<Untaken> = sqlx::query_as(
                "select min(n.at) as since, count(*) as notices,
                        count(case when n.hook_due is null then 1 end) as given_up,
                        (select hook_answer from notices where hook_answer is not null order by at desc, id desc limit 1)
                            as answer
                 from notices n
                 where n.hook_answer is not null and n.at > coalesce((
                     select max(taken.at) from notices taken
                     where taken.hook_tries > 0 and taken.hook_due is null and taken.hook_answer is null
                 ), 0)
                 having count(*) > 0",
            )
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// Takes up to `limit` notices that are due at the webhook, oldest first; for `taken` nobody else does.
    pub async fn take_hooks(
        &self,
        now: Timestamp,
        taken: Duration,
        limit: u32,
    ) -> Result<Vec<Hooked>> {
        transact!(self, conn => {
            let mut rows: Vec<Hooked> = sqlx::query_as(self.sql(
                "with due as materialized (
                     select id from notices where hook_due <= $1 order by at, id limit $3
                     /* for update skip locked */
                 )
                 update notices set hook_due = $2 where id in (select id from due)
                 returning id, at, body, hook_tries",
            ))
            .bind(now.0)
            .bind(now.after(taken).0)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            rows.sort_unstable_by_key(|row| (row.at, row.id));
            rows
        })
    }

    /// Notes that the webhook was asked: it is again at `due`, or never.
    pub async fn hook_asked(
        &self,
        id: i64,
        due: Option<Timestamp>,
        answer: Option<&str>,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "update notices set hook_due = $2, hook_tries = hook_tries + 1, hook_answer = $3
                 where id = $1",
            )
            .bind(id)
            .bind(due.map(|due| due.0))
            .bind(answer)
            .execute(conn)
            .await?;
        })
    }
}
