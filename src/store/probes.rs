//! Readers whose mail comes back, and the one short mail that decides whether their address is any good.
//!
//! Promises: whom a run reached since, or a probe, is not among them; a reader has one probe at a time. Leaves what
//! becomes of an address to `hygiene`.

use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId};
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};

/// Issues of the list that are looked through for copies that came back.
const ISSUES: i64 = 24;

/// A reader whose last copies all came back.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Failing {
    pub id: i64,
    pub address: String,
}

/// A probe that is not decided.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Probe {
    pub subscriber_id: i64,
    pub asked_at: i64,
    pub canonical: String,
    /// Where its delivery stands.
    pub state: String,
    pub settled_at: Option<i64>,
    /// What the other side said last.
    pub code: Option<i64>,
    pub enhanced: Option<String>,
    pub reply: Option<String>,
}

/// What a probe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Kept,
    Suppressed,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Kept => "kept",
            Verdict::Suppressed => "suppressed",
        }
    }
}

/// Of a list: $1 is the list, $2 how many copies came back at least, $3 the reader behind whom to look, $5 among how
/// many issues. Only what the recipient's own server refused, or deferred until it expired, has come back; what came
/// back before a probe is forgotten with it.
const FAILING: &str = "
    with returned as materialized (
        select distinct d.subscriber_id as id
        from (
            select id from runs
            where kind = 'issue' and list_id = $1 and started_at is not null
            order by id desc limit $5
        ) r
            join blocks b on b.run_id = r.id and b.bounced + b.expired > 0
            join deliveries d on d.run_id = b.run_id
                and d.seq >= b.block * 256 and d.seq < (b.block + 1) * 256
                and d.state in ('bounced', 'expired')
    )
    select u.id, u.address
    from returned f
        join subscribers u on u.id = f.id
        join subscriptions s on s.list_id = $1 and s.subscriber_id = u.id
        left join probes p on p.subscriber_id = u.id
    where u.id > $3 and s.status = 'confirmed'
      and not exists (select 1 from suppressions x where x.hash = u.hash)
      and (p.subscriber_id is null or p.decided_at is not null)
      and (
          select count(*) from (
              select e.state from deliveries e join runs r on r.id = e.run_id
              where e.subscriber_id = u.id and e.state in ('sent', 'bounced', 'expired')
                and r.kind = 'issue' and r.list_id = $1 and e.settled_at > coalesce(p.asked_at, -1)
              order by e.run_id desc limit $2
          ) l
          where l.state <> 'sent'
      ) = $2
    order by u.id
    limit $4";

const UNDECIDED: &str = "
    select p.subscriber_id, p.asked_at, u.canonical, d.state, d.settled_at,
        d.code, d.enhanced, d.reply
    from probes p
        join subscribers u on u.id = p.subscriber_id
        join deliveries d on d.run_id = 1 and d.seq = p.seq
    where p.decided_at is null and p.subscriber_id > $1
    order by p.subscriber_id
    limit $2";

impl Store {
    /// Up to `limit` confirmed readers of `list` behind the reader `after`, the last `copies` of which all came
    /// back; whoever is being probed is none of them.
    pub async fn failing(
        &self,
        list: ListId,
        copies: u32,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<Failing>> {
        read!(self, conn => {
            let found = sqlx::query_as(FAILING)
                .bind(list.0)
                .bind(i64::from(copies))
                .bind(after.0)
                .bind(i64::from(limit))
                .bind(ISSUES)
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// Puts a probe for the reader into the queue. False where nobody is to be mailed: she is not confirmed on
    /// `list` any more, is suppressed, or is being probed.
    pub async fn begin_probe(
        &self,
        reader: SubscriberId,
        list: ListId,
        revision: &str,
        at: Timestamp,
    ) -> Result<bool> {
        again!(self.try_begin_probe(reader, list, revision, at).await)
    }

    async fn try_begin_probe(
        &self,
        reader: SubscriberId,
        list: ListId,
        revision: &str,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            // The write takes the reader's row, as `suppress` does: whichever of the two comes second sees what
            // the first has done.
            let found = sqlx::query(
                "update subscribers set hash = hash
                 where id = $1
                   and exists (
                       select 1 from subscriptions s
                       where s.subscriber_id = $1 and s.list_id = $2 and s.status = 'confirmed')
                   and not exists (select 1 from suppressions x where x.hash = subscribers.hash)
                   and not exists (
                       select 1 from probes p where p.subscriber_id = $1 and p.decided_at is null)",
            )
            .bind(reader.0)
            .bind(list.0)
            .execute(&mut *conn)
            .await?;
            if found.rows_affected() == 0 {
                return Ok(false);
            }
            let mail = NewSystemMail {
                kind: "probe",
                revision,
                subscriber: reader,
                address: None,
                list: Some(list),
                data: "{}",
            };
            let seq = enqueue_system_mail!(conn, 1, &mail, at.0);
            sqlx::query(
                "insert into probes (subscriber_id, seq, asked_at) values ($1, $2, $3)
                 on conflict (subscriber_id) do update
                 set seq = excluded.seq, asked_at = excluded.asked_at, decided_at = null, verdict = null",
            )
            .bind(reader.0)
            .bind(seq)
            .bind(at.0)
            .execute(conn)
            .await?;
            true
        })
    }

    /// Up to `limit` probes behind that of the reader `after` that are not decided.
    pub async fn undecided_probes(&self, after: SubscriberId, limit: u32) -> Result<Vec<Probe>> {
        read!(self, conn => {
            let found = sqlx::query_as(UNDECIDED)
                .bind(after.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// Notes what a probe came to.
    pub async fn decide_probe(
        &self,
        reader: SubscriberId,
        verdict: Verdict,
        at: Timestamp,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "update probes set decided_at = $2, verdict = $3
                 where subscriber_id = $1 and decided_at is null",
            )
            .bind(reader.0)
            .bind(at.0)
            .bind(verdict.name())
            .execute(conn)
            .await?;
        })
    }
}
