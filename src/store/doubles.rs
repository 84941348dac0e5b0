//! Who of those that a run is for has a copy of its issue already, or is to get one by another run.
//!
//! Promises: by whatever list a copy came or is to come, it counts; a run that waits for its hour counts by the readers
//! whom it would go to now.

use crate::clock::Timestamp;
use crate::id::{ListId, RunId};
use crate::segment::Filter;
use crate::store::freeze::whom;
use crate::store::runs::{Audience, Run};
use crate::store::segments::{Frame, NEXT_RUN, Predicates, bind_values};
use crate::store::{Result, Store};

/// Whom a run of an issue is for.
#[derive(Clone, Copy, Debug)]
pub struct Going<'a> {
    pub list: ListId,
    pub slug: &'a str,
    pub revision: &'a str,
    pub audience: Audience,
    /// The earlier run that gives the audience.
    pub origin: Option<RunId>,
    pub segment: Option<&'a Filter>,
    /// Whether readers who want the digest of the month alone take part.
    pub monthly: bool,
    /// The run itself, where it is there already.
    pub own: Option<RunId>,
}

/// Before the numbers of a run and of an earlier one, as `3:2`: of how many readers of both it was accepted that they get
/// the issue by each.
pub(crate) const SHARED: &str = "doubles:";

/// A copy that a reader has, or may have.
const GOT: &str = "d.state in ('sent', 'at_dot', 'uncertain')";
/// Or that she is to get by a run whose readers are all copied; of others [`Store::are_to_get`] tells.
const GOT_OR_TO_GET: &str = "(d.state in ('sent', 'at_dot', 'uncertain')
                 or d.state = 'queued' and r.started_at is not null and r.status not in ('finished', 'cancelled'))";

/// The reader `u` of the subscription `s` is one whom the run is for.
const READS: &str =
    "s.list_id = $1 and s.status = 'confirmed' and (s.frequency = 'every' or $5 = 1)
               and not exists (select 1 from suppressions x where x.hash = u.hash)";

const FRAME: Frame = Frame {
    list: "$1",
    at: "$3",
    begun: "$3",
    run: "$4",
    free: 8,
};

/// A parameter that no test asks for has a type all the same.
const GIVEN: &str = "with given as (
                 select cast($3 as bigint) as at, cast($4 as bigint) as own, cast($6 as bigint) as origin,
                     cast($7 as text) as revision
             )";

impl Store {
    /// How many readers have a copy of the issue by another run, and the newest run that brought one.
    pub async fn have_got(&self, going: &Going<'_>, at: Timestamp) -> Result<(i64, Option<i64>)> {
        self.have(going, GOT, at).await
    }

    /// The same, and those whose copy another run under way holds for them.
    pub async fn have_got_or_are_to(
        &self,
        going: &Going<'_>,
        at: Timestamp,
    ) -> Result<(i64, Option<i64>)> {
        self.have(going, GOT_OR_TO_GET, at).await
    }

    async fn have(
        &self,
        going: &Going<'_>,
        copy: &str,
        at: Timestamp,
    ) -> Result<(i64, Option<i64>)> {
        let mut predicates = Predicates::new(self, FRAME);
        let holds = predicates.holds_all(going.segment);
        let whom = whom(going.audience.name(), "$6", ("$2", "$7"));
        let text = format!(
            "{GIVEN}
             select count(distinct s.subscriber_id), max(d.run_id)
             from runs r
                 join deliveries d on d.run_id = r.id
                 join subscriptions s on s.list_id = $1 and s.subscriber_id = d.subscriber_id
                 join subscribers u on u.id = s.subscriber_id
             where r.slug = $2 and r.kind = 'issue' and r.id <> $4 and {copy} and {READS} and {holds} and {whom}"
        );
        read!(self, conn => {
            let query = sqlx::query_as(self.sql(&text))
                .bind(going.list.0)
                .bind(going.slug)
                .bind(at.0)
                .bind(going.own.map_or(NEXT_RUN, |own| own.0))
                .bind(i64::from(going.monthly))
                .bind(going.origin.map(|origin| origin.0))
                .bind(going.revision);
            Ok(bind_values!(query, predicates.values).fetch_one(conn).await?)
        })
    }

    /// How many readers are to get a copy of the issue by `other`, a run of it that is not over.
    pub async fn are_to_get(&self, going: &Going<'_>, other: &Run, at: Timestamp) -> Result<i64> {
        let mut predicates = Predicates::new(self, FRAME);
        let holds = predicates.holds_all(going.segment);
        let whom_now = whom(going.audience.name(), "$6", ("$2", "$7"));
        let there = FRAME.free + predicates.values.len();
        let mut theirs = Predicates::new(
            self,
            Frame {
                list: "there.id",
                free: there + 3,
                ..FRAME
            },
        );
        let (run, list, digest) = (there, there + 1, there + 2);
        let (cast_run, cast_list) = (
            format!("cast(${run} as bigint)"),
            format!("cast(${list} as bigint)"),
        );
        let comes = match other.started_at {
            Some(_) => format!(
                "exists (
                     select 1 from deliveries w
                     where w.subscriber_id = u.id and w.run_id = {cast_run} and w.state = 'queued'
                 )"
            ),
            None => {
                let segment = theirs.wanted(other.segment.as_deref());
                let origin = format!("(select o.origin from runs o where o.id = {cast_run})");
                let revision = format!("(select o.revision from runs o where o.id = {cast_run})");
                let slug = format!("(select o.slug from runs o where o.id = {cast_run})");
                let theirs = whom(&other.audience, &origin, (&slug, &revision));
                // The subscription to that list is the one that its segment is asked of.
                format!(
                    "exists (
                         select 1 from subscriptions s join lists there on there.id = s.list_id
                         where s.list_id = {cast_list} and s.subscriber_id = u.id and s.status = 'confirmed'
                           and (s.frequency = 'every' or cast(${digest} as bigint) = 1) and {segment} and {theirs}
                     )"
                )
            }
        };
        let text = format!(
            "{GIVEN},
             other as (
                 select {cast_run} as run, {cast_list} as list, cast(${digest} as bigint) as digest,
                     cast($2 as text) as slug
             )
             select count(*)
             from subscriptions s join subscribers u on u.id = s.subscriber_id
             where {READS} and {holds} and {whom_now} and {comes}"
        );
        read!(self, conn => {
            let query = sqlx::query_scalar(self.sql(&text))
                .bind(going.list.0)
                .bind(going.slug)
                .bind(at.0)
                .bind(going.own.map_or(NEXT_RUN, |own| own.0))
                .bind(i64::from(going.monthly))
                .bind(going.origin.map(|origin| origin.0))
                .bind(going.revision);
            let query = bind_values!(query, predicates.values)
                .bind(other.id)
                .bind(other.list_id)
                .bind(other.monthly);
            Ok(bind_values!(query, theirs.values).fetch_one(conn).await?)
        })
    }

    /// Runs of the issue `slug` that are neither finished nor cancelled, the oldest first.
    pub async fn open_runs_of(&self, slug: &str) -> Result<Vec<Run>> {
        let open = self.open_runs().await?.into_iter().rev();
        Ok(open.filter(|run| run.slug == slug).collect())
    }

    /// How many readers who would get the issue of `run` more than once were known and accepted, when it was planned,
    /// and as readers of this run when later ones of it were that were not taken back; none where nobody asked.
    pub async fn accepted_doubles(&self, run: &Run) -> Result<Option<i64>> {
        read!(self, conn => {
            let known: (Option<i64>, i64) = sqlx::query_as(
                "select (select r.doubles from runs r where r.id = $1),
                     cast(coalesce(sum(cast(m.value as bigint)), 0) as bigint)
                 from runs l
                     join meta m on m.key = $3 || cast(l.id as text) || ':' || cast(cast($1 as bigint) as text)
                 where l.slug = $2 and l.kind = 'issue' and l.id > $1
                   -- One that is over counts where it has reached anyone.
                   and (l.status <> 'cancelled' or exists (
                     select 1 from blocks b where b.run_id = l.id and b.sent + b.at_dot + b.uncertain > 0))",
            )
            .bind(run.id)
            .bind(&run.slug)
            .bind(SHARED)
            .fetch_one(conn)
            .await?;
            let (own, later) = known;
            Ok(own.map(|own| own + later))
        })
    }
}
