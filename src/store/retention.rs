//! Forgetting by age, a step at a time.

use sqlx::AssertSqlSafe;

use crate::clock::Timestamp;
use crate::store::events::json;
use crate::store::folds::FORGOTTEN;
use crate::store::meta::RAISE;
use crate::store::{Result, Store};

/// A kind of data that is forgotten by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opens, clicks and leavings one by one; the sums stay.
    Events,
    /// What servers said of single deliveries.
    Failures,
    /// What the author was told.
    Notices,
    /// That an address got a confirm mail.
    ConfirmLog,
    /// Why readers left.
    LeaveReasons,
    /// What readers agreed to who are on no list any more.
    Consents,
    /// What copies were made of. They are no rows that go.
    Copies,
    /// Who changed what.
    Audit,
    /// Tombstones of erased readers.
    Erased,
}

/// Takes out what the copies of some deliveries of a run ($1, from $2 to below $3) were made of, and of
/// system mails what they carried; a mail on its way keeps it.
const FORGET_COPIES: [&str; 2] = [
    "update deliveries set reply = null,
         copy = case when copy like '%\"untracked\":true%' then '{\"forgotten\":true,\"untracked\":true}'
             when copy is not null then '{\"forgotten\":true}' end
     where run_id = $1 and seq >= $2 and seq < $3 and state not in ('queued', 'at_dot')",
    "update system_mails set address = null, data = '{}'
     where run_id = $1 and seq >= $2 and seq < $3 and exists (
         select 1 from deliveries d
         where d.run_id = system_mails.run_id and d.seq = system_mails.seq
           and d.state not in ('queued', 'at_dot')
     )",
];

/// Table, key and age of a kind; `$1` is the instant before which it is old.
struct Words {
    table: &'static str,
    key: &'static str,
    old: &'static str,
}

impl Kind {
    fn words(self) -> Words {
        let (table, key, old) = match self {
            // Ids are in the order of time: 42 bits of milliseconds and 21 others. What is not counted yet stays, and
            // everything while it is judged again.
            Kind::Events => (
                "events",
                "id",
                "id < $1 * 2097152 and id <= (select folded from event_fold where rules > 0)",
            ),
            Kind::Failures => ("failures", "run_id, seq", "at < $1"),
            Kind::Notices => ("notices", "id", "at < $1 and hook_due is null"),
            Kind::ConfirmLog => ("confirm_log", "hash, at", "at < $1"),
            Kind::LeaveReasons => ("leave_reasons", "subscription", "at < $1"),
            Kind::Consents => (
                "consents",
                "subscriber_id, at, what, list_id",
                "at < $1 and not exists (
                     select 1 from subscriptions n
                     where n.subscriber_id = consents.subscriber_id and n.status <> 'unsubscribed'
                 )",
            ),
            // Those below are gone: see `forget_copies`.
            Kind::Copies => (
                "deliveries",
                "run_id, seq",
                "run_id = 1 and due_at < $1 and seq >= (select copies_gone from runs where id = 1)",
            ),
            Kind::Audit => ("admin_audit", "at, id", "at < $1"),
            Kind::Erased => (
                "suppressions",
                "hash",
                "created_at < $1 and reason = 'erased'",
            ),
        };
        Words { table, key, old }
    }
}

impl Store {
    /// Forgets up to `limit` of a kind that are older than `before`; gives how many.
    pub async fn forget_some(&self, kind: Kind, before: Timestamp, limit: u32) -> Result<u64> {
        match kind {
            Kind::Events => return self.forget_events(before, limit).await,
            Kind::Consents => return self.forget_consents(before, limit).await,
            Kind::Copies => return self.forget_copies(before, limit).await,
            _ => {}
        }
        let Words { table, key, old } = kind.words();
        let text = format!(
            "delete from {table} where ({key}) in (select {key} from {table} where {old} limit $2)"
        );
        transact!(self, conn => {
            let gone = sqlx::query(AssertSqlSafe(text))
                .bind(before.0)
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            gone.rows_affected()
        })
    }

    /// Most consents stay, because their readers do: what is old among them is looked for where nobody waits to write.
    async fn forget_consents(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let Words { table, key, old } = Kind::Consents.words();
        let text = format!("select {key} from {table} where {old} limit $2");
        let found: Vec<(i64, i64, String, i64)> = read!(self, conn => {
            sqlx::query_as(AssertSqlSafe(text))
                .bind(before.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        });
        let text = format!(
            "delete from {table} where ({key}) in (
                 select cast(value->>0 as bigint), cast(value->>1 as bigint), value->>2,
                        cast(value->>3 as bigint)
                 from json_each($2)
             ) and {old}"
        );
        transact!(self, conn => {
            let gone = sqlx::query(self.sql(&text))
                .bind(before.0)
                .bind(json(found.iter()))
                .execute(conn)
                .await?;
            gone.rows_affected()
        })
    }

    /// Events go with the rows by which a delivery finds its own, and it is noted how far they are gone: what was
    /// counted of them cannot be counted again.
    async fn forget_events(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let old = Kind::Events.words().old;
        let text = format!(
            "delete from events where id in (select id from events where {old} order by id limit $2)
             returning id, run_id, seq"
        );
        transact!(self, conn => {
            let gone: Vec<(i64, Option<i64>, Option<i64>)> = sqlx::query_as(AssertSqlSafe(text))
                .bind(before.0)
                .bind(i64::from(limit))
                .fetch_all(&mut *conn)
                .await?;
            sqlx::query(self.sql(
                "delete from delivery_events where (run_id, seq, event_id) in (
                     select cast(value->>1 as bigint), cast(value->>2 as bigint), cast(value->>0 as bigint)
                     from json_each($1)
                 )",
            ))
            .bind(json(gone.iter()))
            .execute(&mut *conn)
            .await?;
            if let Some(last) = gone.iter().map(|(id, ..)| *id).max() {
                sqlx::query(RAISE)
                    .bind(FORGOTTEN)
                    .bind(last.to_string())
                    .execute(&mut *conn)
                    .await?;
            }
            gone.len() as u64
        })
    }

    /// Runs that are over are gone through in the order of their deliveries, and the system mails as far as
    /// they are old. That a copy counted nothing stays known: nobody may take its reader for one who did
    /// nothing.
    async fn forget_copies(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let limit = i64::from(limit);
        transact!(self, conn => {
            let over: Option<(i64, i64, i64)> = sqlx::query_as(
                "select id, copies_gone, recipients from runs
                 where kind = 'issue' and status in ('finished', 'cancelled') and since < $1
                   and copies_gone < recipients
                 order by id limit 1",
            )
            .bind(before.0)
            .fetch_optional(&mut *conn)
            .await?;
            let (run, from, upto) = match over {
                Some((run, from, recipients)) => (run, from, recipients.min(from + limit)),
                None => {
                    let next: Vec<(i64, i64, i64, bool)> = sqlx::query_as(
                        "select r.copies_gone, d.seq, d.due_at, d.state in ('queued', 'at_dot') from runs r
                             join deliveries d on d.run_id = 1 and d.seq >= r.copies_gone
                         where r.id = 1 order by d.seq limit $1",
                    )
                    .bind(limit)
                    .fetch_all(&mut *conn)
                    .await?;
                    // Not beyond one that is on its way still: it is looked at again when it is not.
                    let old = next.iter().take_while(|(_, _, due, waits)| *due < before.0 && !waits);
                    match (next.first(), old.last()) {
                        (Some((from, ..)), Some((_, last, ..))) => (1, *from, last + 1),
                        _ => return Ok(0),
                    }
                }
            };
            for forget in FORGET_COPIES.iter().take(if run == 1 { 2 } else { 1 }) {
                sqlx::query(*forget)
                    .bind(run)
                    .bind(from)
                    .bind(upto)
                    .execute(&mut *conn)
                    .await?;
            }
            let moved = sqlx::query("update runs set copies_gone = $3 where id = $1 and copies_gone = $2")
                .bind(run)
                .bind(from)
                .bind(upto)
                .execute(&mut *conn)
                .await?;
            match moved.rows_affected() {
                0 => 0,
                _ => u64::try_from(upto - from).unwrap_or(0),
            }
        })
    }

    /// How many of a kind are older than `before`.
    pub async fn old(&self, kind: Kind, before: Timestamp) -> Result<i64> {
        let Words { table, old, .. } = kind.words();
        let text = format!("select count(*) from {table} where {old}");
        read!(self, conn => {
            let number: i64 = sqlx::query_scalar(AssertSqlSafe(text))
                .bind(before.0)
                .fetch_one(&mut *conn)
                .await?;
            let of_issues: i64 = match kind {
                Kind::Copies => {
                    sqlx::query_scalar(
                        "select cast(coalesce(sum(recipients - copies_gone), 0) as bigint) from runs
                         where kind = 'issue' and status in ('finished', 'cancelled') and since < $1",
                    )
                    .bind(before.0)
                    .fetch_one(conn)
                    .await?
                }
                _ => 0,
            };
            Ok(number + of_issues)
        })
    }
}
