//! Runs: their rows and their status. Their beginning stands in `begin`, the copying of their audience in
//! `freeze`.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::config::uncertain::UncertainPolicy;
use crate::delivery::State;
use crate::id::{DeliveryKey, ListId, RunId};
use crate::rollout::Stages;
use crate::segment::Sieve;
use crate::status::RunStatus;
use crate::store::blocks::{Moves, apply_moves};
use crate::store::{Result, Store};
use crate::trial::Trial;

/// A run as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Run {
    pub id: i64,
    pub kind: String,
    pub slug: String,
    pub title: String,
    pub list_id: Option<i64>,
    pub revision: Option<String>,
    /// From, List-Id and the like as JSON, fixed when the run was made.
    #[serde(skip)]
    pub headers: String,
    pub relay: String,
    #[sqlx(try_from = "String")]
    pub policy: UncertainPolicy,
    #[sqlx(try_from = "String")]
    pub status: RunStatus,
    pub recipients: i64,
    /// Why it is held, in the words of whoever held it.
    pub reason: Option<String>,
    pub created_at: i64,
    /// Who is confirmed by then takes part: when the copying of its readers began, which has ended at `started_at`.
    #[serde(skip)]
    pub cutoff: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    /// When it came into its status.
    pub since: i64,
    /// Not before this instant; none starts at once.
    pub start_at: Option<i64>,
    /// The zone in which the author said it.
    pub zone: Option<String>,
    /// Each reader's own time on the wall, and the field that names the zone.
    pub local_at: Option<String>,
    pub zone_field: Option<String>,
    /// Messages a day at most.
    pub per_day: Option<i64>,
    /// Milliseconds over which the messages are to be spread, and when that ends.
    pub spread: Option<i64>,
    pub spread_until: Option<i64>,
    /// The instant up to which the pace is used up.
    #[serde(skip)]
    pub paced_to: Option<i64>,
    /// Who takes part: see [`Audience`].
    pub audience: String,
    /// The earlier run that gives the audience.
    pub origin: Option<i64>,
    /// The stages in which it opens, as JSON.
    #[serde(serialize_with = "as_json")]
    pub stages: Option<String>,
    /// The stage it is in, and since when all of that has been tried.
    pub stage: Option<i64>,
    pub staged_at: Option<i64>,
    /// Only deliveries of a lower number may leave; none is all of them.
    pub open_to: Option<i64>,
    /// What had come of it when a person last let it go on.
    #[serde(skip)]
    pub stage_base: Option<String>,
    /// Its subject test, as JSON.
    #[serde(serialize_with = "as_json")]
    pub trial: Option<String>,
    /// To whom of the list, as JSON: what was said, and how it was understood; none is all of it.
    #[serde(serialize_with = "as_json")]
    pub segment: Option<String>,
    /// 1 where it goes also to readers who want the digest of the month alone.
    #[serde(skip)]
    pub monthly: i64,
    /// How many readers it would have gone to when it was planned, where it waits for its hour.
    pub expected: Option<i64>,
    /// Servers of relays that it was held for because they refused reader after reader, by the relay's name, as JSON.
    #[serde(skip)]
    pub doubted: Option<String>,
}

/// JSON that stands in a column, as JSON again.
fn as_json<S: Serializer>(text: &Option<String>, to: S) -> std::result::Result<S::Ok, S::Error> {
    let value = text
        .as_ref()
        .and_then(|text| serde_json::from_str(text).ok());
    serde_json::Value::serialize(&value.unwrap_or_default(), to)
}

/// A segment as it was said, of the JSON that a run keeps.
pub(crate) fn said(json: Option<&str>) -> Option<String> {
    let said = Sieve::from_json(json?).map(|sieve| sieve.said);
    Some(said.unwrap_or_else(|| "a segment that cannot be read".to_owned()))
}

impl Run {
    /// The run's number.
    pub fn id(&self) -> RunId {
        RunId(self.id)
    }

    /// Whether it is neither finished nor cancelled.
    pub fn is_open(&self) -> bool {
        !self.status.is_over()
    }

    /// Whether it was made for an hour, and nothing of it has begun.
    pub fn waits(&self) -> bool {
        self.start_at.is_some() && self.started_at.is_none() && self.recipients == 0
    }

    /// Whether its hour has passed, and it has not begun.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.waits() && self.start_at.is_some_and(|start| start <= now.0)
    }

    /// Whether its messages are not to go as fast as they can.
    pub fn is_paced(&self) -> bool {
        self.per_day.is_some() || self.spread.is_some()
    }

    /// The stages in which it opens, where it has any.
    pub fn stages(&self) -> Option<Stages> {
        Stages::from_json(self.stages.as_deref()?)
    }

    /// Its subject test, where it has one.
    pub fn trial(&self) -> Option<Trial> {
        Trial::from_json(self.trial.as_deref()?)
    }

    /// To whom of the list it goes, as it was said; none is all of it.
    pub fn said_segment(&self) -> Option<String> {
        said(self.segment.as_deref())
    }

    /// The stage it is in, from 0.
    pub fn step(&self) -> usize {
        usize::try_from(self.stage.unwrap_or(0)).unwrap_or(0)
    }
}

/// A run on its way into the store.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    pub slug: &'a str,
    pub title: &'a str,
    pub list: ListId,
    pub revision: &'a str,
    pub headers: &'a str,
    pub relay: &'a str,
    pub policy: UncertainPolicy,
    /// The segments that parts of the revision are for.
    pub parts: &'a [Sieve],
}

/// Who takes part in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// All confirmed readers of the list.
    #[default]
    List,
    /// Those whom the cancelled run `origin` was for and did not reach.
    Continue,
    /// Those whom the run `origin` reached, and who have not got this revision.
    Reached,
    /// Those whom the run `origin` reached, and who neither opened nor clicked.
    Unopened,
}

impl Audience {
    /// The name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Audience::List => "list",
            Audience::Continue => "continue",
            Audience::Reached => "reached",
            Audience::Unopened => "unopened",
        }
    }
}

/// When, how fast and to whom, where that is not at once, as fast as can be and to all of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Not before this instant, said in this zone.
    pub start: Option<Timestamp>,
    pub zone: Option<String>,
    /// Each reader's own time on the wall, and the field that names the zone.
    pub local_at: Option<String>,
    pub zone_field: Option<String>,
    /// Messages a day at most.
    pub per_day: Option<i64>,
    /// The time over which the messages are to be spread.
    pub spread: Option<Duration>,
    pub audience: Audience,
    /// Whether readers who want the digest of the month alone take part.
    pub monthly: bool,
    /// The earlier run that gives the audience.
    pub origin: Option<RunId>,
    /// The relays that carry it; those of the configuration when empty.
    pub relay: String,
    /// The stages in which it opens, and the key at which its freeze begins.
    pub stages: Option<Stages>,
    pub pivot: Option<i64>,
    /// Its subject test, as JSON.
    pub trial: Option<String>,
    /// To whom of the list; none is all of it.
    pub segment: Option<Sieve>,
    /// How many readers it would go to now, where it waits for its hour and goes to all of the list.
    pub expected: Option<i64>,
    /// How many of its readers have the issue or are to get it by another run, which was accepted; none where nobody
    /// looked.
    pub doubles: Option<i64>,
    /// Of these, how many are to get it by which run that is not over.
    pub shared: Vec<(RunId, i64)>,
}

/// What came of asking for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// A new run stands in status `freezing`, or `scheduled` where its start is to come.
    New(RunId),
    /// The same issue for the same list is still under way.
    UnderWay(RunId),
    /// The same issue went to the same list before.
    Before(RunId),
}

/// How far one step of a freeze came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frozen {
    /// So many recipients so far; there are more.
    Some(i64),
    /// All of them: the run is `sending`.
    All(i64),
    /// The run is not in status `freezing`.
    Not,
}

pub(crate) const COLUMNS: &str = "id, kind, slug, title, list_id, revision, headers, relay, policy, status,
    recipients, reason, created_at, cutoff, started_at, finished_at, since, start_at, zone, local_at, zone_field,
    per_day, spread, spread_until, paced_to, audience, origin, stages, stage, staged_at, open_to, stage_base,
    trial, segment, monthly, expected, doubted";

impl Store {
    /// The run numbered `id`.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!("select {COLUMNS} from runs where id = $1"));
            Ok(sqlx::query_as::<_, Run>(text).bind(id.0).fetch_optional(conn).await?)
        })
    }

    /// The newest run of the issue `slug`.
    pub async fn run_of(&self, slug: &str) -> Result<Option<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where slug = $1 and kind = 'issue' order by id desc limit 1"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(slug).fetch_optional(conn).await?)
        })
    }

    /// The newest runs of the issue `slug`, the newest first.
    pub async fn runs_of(&self, slug: &str) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where slug = $1 and kind = 'issue' order by id desc limit 20"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(slug).fetch_all(conn).await?)
        })
    }

    /// Issue runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where kind = 'issue' order by id desc limit $1"
            ));
            Ok(sqlx::query_as::<_, Run>(text).bind(i64::from(limit)).fetch_all(conn).await?)
        })
    }

    /// Issue runs that are neither finished nor cancelled, newest first.
    pub async fn open_runs(&self) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs
                 where kind = 'issue' and status in ('scheduled', 'freezing', 'sending', 'paused', 'held')
                 order by id desc"
            ));
            Ok(sqlx::query_as::<_, Run>(text).fetch_all(conn).await?)
        })
    }

    /// Runs with something to do: freezing, sending, or open; the oldest first.
    pub async fn active_runs(&self) -> Result<Vec<Run>> {
        read!(self, conn => {
            let text = sqlx::AssertSqlSafe(format!(
                "select {COLUMNS} from runs where status in ('freezing', 'sending', 'open') order by id"
            ));
            Ok(sqlx::query_as::<_, Run>(text).fetch_all(conn).await?)
        })
    }

    /// Moves a run from one status to another at `at`, with the reason a person may read. False if it was
    /// not in `from`. What it stood still is added to the end of its spread and to the mark of its pace; a freeze that has
    /// not begun takes whoever is there now.
    pub async fn set_run_status(
        &self,
        run: RunId,
        from: RunStatus,
        to: RunStatus,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let changed = sqlx::query(
                "update runs set status = $3, reason = $4, since = $5,
                     spread_until = case when $3 = 'sending' and status in ('paused', 'held')
                         then spread_until + ($5 - since) else spread_until end,
                     paced_to = case when $3 = 'sending' and status in ('paused', 'held')
                         then paced_to + ($5 - since) else paced_to end,
                     cutoff = case when $3 = 'freezing' and recipients = 0 then $5 else cutoff end
                 where id = $1 and status = $2 and kind = 'issue'",
            )
            .bind(run.0)
            .bind(from.name())
            .bind(to.name())
            .bind(reason)
            .bind(at.0)
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Finishes a run in which nothing is open and the identity holds. False if it is not so (yet).
    pub async fn finish_run(&self, run: RunId, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            // The lock is a statement of its own: PostgreSQL would hold the sum as it stood before the wait for the row
            // against the row as it stands after it, and whoever puts deliveries back has the row until they are back.
            sqlx::query(self.sql(
                "select status from runs where id = $1 /* for no key update */",
            ))
            .bind(run.0)
            .execute(&mut *conn)
            .await?;
            let changed = sqlx::query(
                "update runs set status = 'finished', finished_at = $2, since = $2
                 where id = $1 and status = 'sending'
                   and recipients = (
                       select coalesce(sum(sent + bounced + failed + expired + suppressed
                           + unsubscribed + uncertain + cancelled), 0)
                       from blocks where run_id = $1
                   )",
            )
            .bind(run.0)
            .bind(at.0)
            .execute(conn)
            .await?;
            changed.rows_affected() == 1
        })
    }

    /// Cancelled runs of which something is still queued.
    pub async fn half_cancelled(&self) -> Result<Vec<RunId>> {
        read!(self, conn => {
            let found: Vec<i64> = sqlx::query_scalar(
                "select r.id from runs r
                 where r.status = 'cancelled'
                   and exists (select 1 from blocks b where b.run_id = r.id and b.queued > 0)",
            )
            .fetch_all(conn)
            .await?;
            Ok(found.into_iter().map(RunId).collect())
        })
    }

    /// Moves the queued deliveries of `blocks` further blocks of a cancelled run to `cancelled`; gives how
    /// many blocks still hold queued ones.
    pub async fn cancel_some(&self, run: RunId, blocks: u32, at: Timestamp) -> Result<i64> {
        again!(self.try_cancel(run, blocks, at).await)
    }

    async fn try_cancel(&self, run: RunId, blocks: u32, at: Timestamp) -> Result<i64> {
        transact!(self, conn => {
            let taken = sqlx::query_as::<_, (i64, i64)>(
                "update deliveries set state = 'cancelled', settled_at = $3
                 where run_id = $1 and state = 'queued'
                   and seq >= 256 * (select min(block) from blocks where run_id = $1 and queued > 0)
                   and seq < 256 * ($2
                       + (select min(block) from blocks where run_id = $1 and queued > 0))
                 returning run_id, seq",
            )
            .bind(run.0)
            .bind(i64::from(blocks))
            .bind(at.0)
            .fetch_all(&mut *conn)
            .await?;
            let mut moves = Moves::default();
            for (run, seq) in taken {
                let seq = u32::try_from(seq).unwrap_or(u32::MAX);
                moves.add(DeliveryKey { run: RunId(run), seq }, State::Queued, State::Cancelled);
            }
            apply_moves!(self, conn, moves);
            let left: i64 = sqlx::query_scalar(
                "select count(*) from blocks where run_id = $1 and queued > 0",
            )
            .bind(run.0)
            .fetch_one(&mut *conn)
            .await?;
            left
        })
    }
}
