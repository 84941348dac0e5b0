//! Proof of single rows: deliveries, blocks and copies that say what cannot be.
//!
//! Promises: reads only; each rule excepts whatever this program itself may have made of a row: resolved by hand or
//! by policy, proven by its reader, put back, erased, forgotten by age.

use crate::clock::Timestamp;
use crate::id::RunId;
use crate::store::{Result, Store};

/// How many deliveries of a run say what cannot be, by what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerFaults {
    /// Sent, at the dot or uncertain without a marker.
    pub unmarked: i64,
    /// Queued or at the dot in a finished run, queued in a cancelled one.
    pub open: i64,
    /// Final without the time of the outcome.
    pub unsettled: i64,
    /// Not final, and with the time of an outcome.
    pub settled: i64,
    /// Marked in the future.
    pub ahead: i64,
    /// Sent without what the copy was made of, to a reader who was not erased since.
    pub unmade: i64,
    /// Final with the code of another end. No code, or 0, is what nobody answered.
    pub contrary: i64,
    /// Sent though no relay said so, no policy, no person and no reader.
    pub unproven: i64,
    /// Not final, and with the code of an acceptance: sent on, its reader gets it twice.
    pub accepted: i64,
    /// Sent by a relay's word, and without an attempt.
    pub untried: i64,
    /// Marked, and by no sender.
    pub bootless: i64,
    /// Marked before the run began, by more than a time zone.
    pub early: i64,
    /// Of a reader who is not there, and was not erased.
    pub readerless: i64,
    /// Queued for a reader who must not be mailed.
    pub unwanted: i64,
    /// In the open run without the mail it carries.
    pub system_alone: i64,
}

/// A bounce whose address nobody suppressed, and nobody allowed again.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Unsuppressed {
    pub code: Option<i64>,
    pub enhanced: Option<String>,
    /// The server's text, as far as it is kept.
    pub reply: Option<String>,
}

/// What a run's readers did, by the rows and by the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Responses {
    pub opened: i64,
    pub opened_counted: i64,
    pub clicked: i64,
    pub clicked_counted: i64,
    pub departed: i64,
    pub departed_counted: i64,
}

/// Rows of runs that are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Orphans {
    pub deliveries: i64,
    pub blocks: i64,
    /// The first and the last of those runs.
    pub first: i64,
    pub last: i64,
}

/// A kept copy, and where its delivery goes now.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct KeptCopy {
    pub seq: i64,
    pub copy: String,
    /// The reader's address or the mail's own; none where the reader was erased, or may have had another.
    pub address: Option<String>,
}

/// A resolution is due when it was said, and what was opened, clicked, complained of or left by had arrived. A pending
/// reader who is removed leaves her mails in the open run behind.
const LEDGER: &str = "
    select
        cast(coalesce(sum(case when d.state in ('sent', 'at_dot', 'uncertain')
            and d.marked_at is null then 1 else 0 end), 0) as bigint) as unmarked,
        cast(coalesce(sum(case when d.state in ('queued', 'at_dot') and (r.status = 'finished'
            or d.state = 'queued' and r.status = 'cancelled') then 1 else 0 end), 0) as bigint) as open,
        cast(coalesce(sum(case when d.state not in ('queued', 'at_dot')
            and d.settled_at is null then 1 else 0 end), 0) as bigint) as unsettled,
        cast(coalesce(sum(case when d.state in ('queued', 'at_dot')
            and d.settled_at is not null then 1 else 0 end), 0) as bigint) as settled,
        cast(coalesce(sum(case when d.marked_at > $2 then 1 else 0 end), 0) as bigint) as ahead,
        cast(coalesce(sum(case when d.state = 'sent' and d.copy is null
            and (u.id is not null or (d.subscriber_id = 0 and m.kind = 'notice'))
            then 1 else 0 end), 0) as bigint) as unmade,
        cast(coalesce(sum(case
            when coalesce(d.code, 0) = 0 then 0
            when d.state = 'sent' then case when d.code / 100 = 2 then 0 else 1 end
            when d.state = 'failed' then case when d.code / 100 = 5 then 0 else 1 end
            when d.state = 'queued' or d.state = 'at_dot' then 0
            when d.code / 100 in (4, 5) then 0 else 1 end), 0) as bigint) as contrary,
        cast(coalesce(sum(case when d.state = 'sent' and coalesce(d.code, 0) = 0
            and coalesce(d.opened_at, d.clicked_at, d.departed_at, d.complained_at) is null
            and d.due_at < d.marked_at
            and case when d.code = 0 and (
                r.policy = 'assume-sent' or coalesce(d.reply, '') like 'assumed sent%'
            ) then 0 else 1 end = 1
            then 1 else 0 end), 0) as bigint) as unproven,
        cast(coalesce(sum(case when d.state in ('queued', 'at_dot') and d.code / 100 = 2
            then 1 else 0 end), 0) as bigint) as accepted,
        cast(coalesce(sum(case when d.state = 'sent' and d.code / 100 = 2 and d.attempts = 0
            then 1 else 0 end), 0) as bigint) as untried,
        cast(coalesce(sum(case when d.state in ('sent', 'at_dot', 'uncertain')
            and d.marked_at is not null and d.boot is null then 1 else 0 end), 0) as bigint) as bootless,
        cast(coalesce(sum(case when d.marked_at < coalesce(r.started_at, r.created_at) - 86400000
            then 1 else 0 end), 0) as bigint) as early,
        cast(coalesce(sum(case when d.run_id > 1 and d.subscriber_id >= 0 and u.id is null
            then 1 else 0 end), 0) as bigint) as readerless,
        cast(coalesce(sum(case when d.run_id > 1 and d.state = 'queued' and x.hash is not null
            then 1 else 0 end), 0) as bigint) as unwanted,
        cast(coalesce(sum(case when d.run_id = 1 and m.seq is null
            then 1 else 0 end), 0) as bigint) as system_alone
    from deliveries d
        join runs r on r.id = d.run_id
        left join subscribers u on u.id = d.subscriber_id
        left join suppressions x on d.state = 'queued' and x.hash = u.hash
        left join system_mails m on m.run_id = d.run_id and m.seq = d.seq
    where d.run_id = $1";

/// Whoever has moved bounced at another address; of whoever is on no list any more it does not matter.
const UNSUPPRESSED: &str = "
    select d.code, d.enhanced, d.reply
    from deliveries d join subscribers u on u.id = d.subscriber_id
    where d.run_id = $1 and d.run_id > 1 and d.state = 'bounced'
      and not exists (select 1 from suppressions x where x.hash = u.hash)
      and not exists (
          select 1 from allowed_again a where a.subscriber_id = u.id and a.at >= d.settled_at
      )
      and not exists (
          select 1 from consents c where c.subscriber_id = u.id and c.what = 'address'
      )
      and exists (
          select 1 from subscriptions n where n.subscriber_id = u.id and n.status <> 'unsubscribed'
      )";

/// A run that names nobody counts without rows.
const RESPONSES: &str = "
    select
        (select count(*) from deliveries where run_id = $1 and opened_at is not null) as opened,
        cast(coalesce(sum(b.opened), 0) as bigint) as opened_counted,
        (select count(*) from deliveries where run_id = $1 and clicked_at is not null) as clicked,
        cast(coalesce(sum(b.clicked), 0) as bigint) as clicked_counted,
        (select count(*) from deliveries where run_id = $1 and departed_at is not null) as departed,
        cast(coalesce(sum(b.departed), 0) as bigint) as departed_counted
    from blocks b
    where b.run_id = $1 and $1 > 1 and not exists (select 1 from pseudonym_keys k where k.run_id = $1)
    having count(*) > 0";

/// Whether what the author's pages show of a run are the sums of its blocks. PostgreSQL keeps none beside them.
const SUMS_AGREE: &str = "
    select not exists (select 1 from blocks where run_id = $1) or exists (
        select 1 from run_sums s where s.run_id = $1
            and (s.queued, s.at_dot, s.sent, s.bounced, s.failed, s.expired, s.suppressed, s.unsubscribed,
                 s.uncertain, s.cancelled, s.opened, s.clicked, s.departed, s.opens, s.clicks, s.complained, s.stale)
              = (select sum(queued), sum(at_dot), sum(sent), sum(bounced), sum(failed), sum(expired),
                     sum(suppressed), sum(unsubscribed), sum(uncertain), sum(cancelled), sum(opened), sum(clicked),
                     sum(departed), sum(opens), sum(clicks), sum(complained),
                     count(case when sent <> counted_sent or bounced <> counted_bounced then 1 end)
                 from blocks where run_id = $1)
    )";

/// What a sender holds, it notes when it gives it back; and what is behind the bound of a stage is not due.
const STUCK: &str = "
    select count(*) from blocks b join runs r on r.id = b.run_id
    where b.run_id = $1 and b.queued > 0 and b.next_due is null and b.boot is null
      and r.status in ('sending', 'paused', 'held', 'open')
      and (b.block + 1) * 256 <= coalesce(r.open_to, 9223372036854775807)";

/// A reader's consents tell that she has moved, as long as she is on a list.
const COPIES: &str = "
    select d.seq, d.copy, case
            when m.seq is not null then m.address
            when exists (
                select 1 from consents c where c.subscriber_id = d.subscriber_id and c.what = 'address'
            ) then null
            when not exists (
                select 1 from subscriptions n
                where n.subscriber_id = d.subscriber_id and n.status <> 'unsubscribed'
            ) then null
            else u.address end as address
    from deliveries d
        left join subscribers u on u.id = d.subscriber_id
        left join system_mails m on m.run_id = d.run_id and m.seq = d.seq
    where d.run_id = $1 and d.seq > $2 and d.copy is not null
    order by d.seq
    limit $3";

/// Who left by a copy, by the log or by the delivery that it was counted at, and is on the list without having joined
/// or come back since.
const UNDONE: &str = "
    with parted (seq, at) as materialized (
        select d.seq, d.departed_at from deliveries d where d.run_id = $1 and d.departed_at is not null
        union all
        select v.seq, e.at from delivery_events v join events e on e.id = v.event_id
        where v.run_id = $1 and e.kind = 'unsubscribe'
    )
    select count(distinct n.key)
    from parted p
        join deliveries d on d.run_id = $1 and d.seq = p.seq
        join runs r on r.id = d.run_id and r.kind = 'issue'
        join subscriptions n on n.list_id = r.list_id and n.subscriber_id = d.subscriber_id
    where n.status in ('confirmed', 'paused')
      and p.at > coalesce(n.confirmed_at, 0) and p.at > coalesce(n.returned_at, 0)";

/// The same of whoever left otherwise, by what stands of it in the subscription or was said of why. Whatever lets
/// anybody join or come back takes the time of the leaving away.
const UNDONE_ELSEWHERE: &str = "
    select count(*)
    from subscriptions n left join leave_reasons l on l.subscription = n.key
    where n.status in ('confirmed', 'paused')
      and (
          (n.left_at > coalesce(n.confirmed_at, 0) and n.left_at > coalesce(n.returned_at, 0))
          or (l.at > coalesce(n.confirmed_at, 0) and l.at > coalesce(n.returned_at, 0))
      )";

/// What stands under the number of a run that has no row. The numbers are stepped through by the key, one look for
/// each run and not for each delivery.
const ORPHANS: &str = "
    with recursive delivered (id) as (
        select min(run_id) from deliveries
        union all
        select (select min(n.run_id) from deliveries n where n.run_id > o.id)
        from delivered o where o.id is not null
    ),
    blocked (id) as (
        select min(run_id) from blocks
        union all
        select (select min(n.run_id) from blocks n where n.run_id > o.id)
        from blocked o where o.id is not null
    ),
    lost (id) as (
        select id from delivered where id not in (select r.id from runs r)
        union
        select id from blocked where id not in (select r.id from runs r)
    )
    select cast(coalesce(sum((select count(*) from deliveries d where d.run_id = lost.id)), 0) as bigint)
            as deliveries,
        cast(coalesce(sum((select count(*) from blocks b where b.run_id = lost.id)), 0) as bigint) as blocks,
        coalesce(min(id), 0) as first, coalesce(max(id), 0) as last
    from lost";

impl Store {
    /// Deliveries and blocks of runs that are not there.
    pub async fn orphans(&self) -> Result<Orphans> {
        read!(self, conn => {
            Ok(sqlx::query_as::<_, Orphans>(ORPHANS).fetch_one(conn).await?)
        })
    }

    /// Single deliveries of a run that say what cannot be; `ahead` is later than any marker may be.
    pub async fn ledger_faults(&self, run: RunId, ahead: Timestamp) -> Result<LedgerFaults> {
        read!(self, conn => {
            let found = sqlx::query_as::<_, LedgerFaults>(LEDGER)
                .bind(run.0)
                .bind(ahead.0)
                .fetch_one(conn)
                .await?;
            Ok(found)
        })
    }

    /// How many left by a copy of this run and are on its list again by nobody's joining.
    pub async fn leavings_undone(&self, run: RunId) -> Result<i64> {
        read!(self, conn => {
            Ok(sqlx::query_scalar(UNDONE).bind(run.0).fetch_one(conn).await?)
        })
    }

    /// How many subscriptions of any list were left, by whatever way, and stand again by nobody's joining.
    pub async fn leavings_undone_anywhere(&self) -> Result<i64> {
        read!(self, conn => {
            Ok(sqlx::query_scalar(UNDONE_ELSEWHERE).fetch_one(conn).await?)
        })
    }

    /// Bounced deliveries of a run whose readers may still be mailed.
    pub async fn unsuppressed(&self, run: RunId) -> Result<Vec<Unsuppressed>> {
        read!(self, conn => {
            let found = sqlx::query_as(UNSUPPRESSED).bind(run.0).fetch_all(conn).await?;
            Ok(found)
        })
    }

    /// What the readers of a run did, counted twice; nothing of the open run, nor of one that names nobody.
    pub async fn responses(&self, run: RunId) -> Result<Responses> {
        read!(self, conn => {
            let found = sqlx::query_as::<_, Responses>(RESPONSES)
                .bind(run.0)
                .fetch_optional(conn)
                .await?;
            Ok(found.unwrap_or_default())
        })
    }

    /// Whether the sums kept of a run's blocks are those of its blocks.
    pub async fn sums_agree(&self, run: RunId) -> Result<bool> {
        read!(self, conn => {
            let agree = sqlx::query_scalar(SUMS_AGREE).bind(run.0).fetch_one(conn).await?;
            Ok(agree)
        })
    }

    /// Blocks that hold something queued and are never due.
    pub async fn stuck_blocks(&self, run: RunId) -> Result<i64> {
        read!(self, conn => {
            let number = sqlx::query_scalar(STUCK).bind(run.0).fetch_one(conn).await?;
            Ok(number)
        })
    }

    /// Up to `limit` kept copies of a run behind the number `after`.
    pub async fn kept_copies(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<KeptCopy>> {
        read!(self, conn => {
            let found = sqlx::query_as::<_, KeptCopy>(COPIES)
                .bind(run.0)
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }
}
