//! System mails: deliveries of the open run, each with what it carries beside it.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::{DeliveryKey, ListId, RunId, SubscriberId, SubscriptionKey};
use crate::store::Store;

/// A confirm, welcome, goodbye, test, notice or probe mail on its way into the open run.
#[derive(Clone, Debug, Serialize)]
pub struct NewSystemMail<'a> {
    /// `confirm`, `welcome`, `goodbye`, `test`, `notice` or `probe`.
    pub kind: &'a str,
    pub revision: &'a str,
    /// The reader, or 0 where the mail goes to `address` of nobody on a list.
    pub subscriber: SubscriberId,
    pub address: Option<&'a str>,
    pub list: Option<ListId>,
    /// One JSON object: values for slots that no subscriber field fills.
    pub data: &'a str,
}

/// Puts `wanted` (0 or 1) system mails into the queue inside a transaction and gives the number of the
/// last one: `enqueue_system_mail!(conn, wanted, mail, due)`. A caller whose answer must not tell by its
/// time whether a mail goes out says 0 and does the same work.
macro_rules! enqueue_system_mail {
    ($conn:expr, $wanted:expr, $mail:expr, $due:expr) => {{
        let wanted: i64 = $wanted;
        let mail: &$crate::store::system_mail::NewSystemMail<'_> = $mail;
        let due: i64 = $due;
        // The row lock on the open run makes the numbering dense on PostgreSQL too.
        let seq: i64 = sqlx::query_scalar(
            "update runs set recipients = recipients + $1 where id = 1 returning recipients - 1",
        )
        .bind(wanted)
        .fetch_one(&mut *$conn)
        .await?;
        sqlx::query(
            "insert into deliveries (run_id, seq, subscriber_id, state, due_at)
             select 1, $1, $2, 'queued', $3 where $4 = 1",
        )
        .bind(seq)
        .bind(mail.subscriber.0)
        .bind(due)
        .bind(wanted)
        .execute(&mut *$conn)
        .await?;
        sqlx::query(
            "insert into system_mails (run_id, seq, kind, revision, address, list_id, data)
             select 1, $1, $2, $3, $4, $5, $6 where $7 = 1",
        )
        .bind(seq)
        .bind(mail.kind)
        .bind(mail.revision)
        .bind(mail.address)
        .bind(mail.list.map(|list| list.0))
        .bind(mail.data)
        .bind(wanted)
        .execute(&mut *$conn)
        .await?;
        sqlx::query(
            "insert into blocks (run_id, block, next_due, queued) select 1, $1, $2, 1 where $3 = 1
             on conflict (run_id, block) do update
             set queued = blocks.queued + 1,
                 next_due = case when blocks.next_due < excluded.next_due then blocks.next_due
                     else excluded.next_due end",
        )
        .bind(seq / i64::from($crate::id::DeliveryKey::BLOCK))
        .bind(due)
        .bind(wanted)
        .execute(&mut *$conn)
        .await?;
        seq
    }};
}
pub(crate) use enqueue_system_mail;

/// Test copies that are settled and still hold somebody's values: of nobody's deliveries, of which there are few.
macro_rules! shown_tests {
    () => {
        "select m.seq from deliveries d cross join system_mails m
         where d.subscriber_id = 0 and d.run_id = 1 and d.due_at <= $1 and d.state not in ('queued', 'at_dot')
           and m.run_id = 1 and m.seq = d.seq and m.kind = 'test' and m.data <> '{}'"
    };
}

/// Takes the values out of test copies that were due by `$1`. They may be any reader's, and nothing says whose.
pub(crate) const CLEAR_TESTS: [&str; 2] = [
    concat!(
        "update deliveries set copy = null where run_id = 1 and seq in (",
        shown_tests!(),
        ")"
    ),
    concat!(
        "update system_mails set data = '{}' where run_id = 1 and seq in (",
        shown_tests!(),
        ")"
    ),
];

/// What the open run holds of one delivery.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SystemMail {
    pub kind: String,
    pub revision: String,
    pub address: Option<String>,
    pub list_id: Option<i64>,
    pub data: String,
}

impl Store {
    /// Puts one system mail into the queue.
    pub async fn enqueue_system_mail(
        &self,
        mail: &NewSystemMail<'_>,
        at: Timestamp,
    ) -> crate::store::Result<DeliveryKey> {
        let seq = transact!(self, conn => enqueue_system_mail!(conn, 1, mail, at.0));
        seq.map(|seq: i64| DeliveryKey {
            run: RunId::SYSTEM,
            seq: u32::try_from(seq).unwrap_or(u32::MAX),
        })
    }

    /// Puts a goodbye to the reader who has left by the subscription `key` into the queue. False where
    /// nobody may be mailed: the reader is gone, suppressed, back again, or on another list, whose mails come after it.
    ///
    /// It belongs to no list, because the list is what the reader has left.
    pub async fn enqueue_goodbye(
        &self,
        key: SubscriptionKey,
        revision: &str,
        at: Timestamp,
    ) -> crate::store::Result<bool> {
        again!(self.try_enqueue_goodbye(key, revision, at).await)
    }

    async fn try_enqueue_goodbye(
        &self,
        key: SubscriptionKey,
        revision: &str,
        at: Timestamp,
    ) -> crate::store::Result<bool> {
        transact!(self, conn => {
            // The write takes the reader's row, as `suppress` does: whichever of the two comes second sees
            // what the first has done.
            let reader: Option<(i64, Vec<u8>)> = sqlx::query_as(
                "update subscribers set hash = hash
                 where id in (
                     select n.subscriber_id from subscriptions n
                     where n.key = $1 and n.status = 'unsubscribed' and not exists (
                         select 1 from subscriptions o
                         where o.subscriber_id = n.subscriber_id and o.status in ('confirmed', 'paused')
                     )
                 )
                 returning id, hash",
            )
            .bind(key.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((subscriber, hash)) = reader else {
                return Ok(false);
            };
            let suppressed: Option<i64> =
                sqlx::query_scalar("select created_at from suppressions where hash = $1")
                    .bind(hash)
                    .fetch_optional(&mut *conn)
                    .await?;
            if suppressed.is_none() {
                let mail = NewSystemMail {
                    kind: "goodbye",
                    revision,
                    subscriber: SubscriberId(subscriber),
                    address: None,
                    list: None,
                    data: "{}",
                };
                enqueue_system_mail!(conn, 1, &mail, at.0);
            }
            suppressed.is_none()
        })
    }

    /// Takes the values out of test copies that were due before `before` and are settled.
    pub async fn forget_tests(&self, before: Timestamp) -> crate::store::Result<()> {
        transact!(self, conn => {
            for clear in CLEAR_TESTS {
                sqlx::query(clear).bind(before.0).execute(&mut *conn).await?;
            }
        })
    }

    /// What the delivery `seq` of the open run carries.
    pub async fn system_mail(&self, seq: u32) -> crate::store::Result<Option<SystemMail>> {
        read!(self, conn => {
            let found = sqlx::query_as::<_, SystemMail>(
                "select kind, revision, address, list_id, data from system_mails
                 where run_id = $1 and seq = $2",
            )
            .bind(RunId::SYSTEM.0)
            .bind(i64::from(seq))
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }
}
