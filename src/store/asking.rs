//! Readers whom the author brought and who have not confirmed: who they are, and the one mail that asks them.
//!
//! Promises: nobody is asked who was mailed a confirm link within a month, is suppressed, or has answered; the mails of
//! an hour stay within their number, whoever else counts against it.

use crate::clock::{HOUR, Timestamp};
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::store::pressure::{confirms_lately, log_confirm, note_signup};
use crate::store::signup::free_hour;
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};

/// One who waits.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Waiting {
    pub key: i64,
    pub created_at: i64,
    pub address: String,
}

/// A wish to ask her.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub subscription: SubscriptionKey,
    /// Keyed hash of the folded address: what the limit counts by.
    pub limit: [u8; 32],
    /// An address that was mailed after this by the form has a link already.
    pub mailed_after: Timestamp,
    /// Confirm mails in an hour, those of the form among them, up to which such a mail may go.
    pub per_hour: u32,
    /// Revision of the compiled confirm mail.
    pub revision: &'a str,
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A mail waits to be sent.
    Now,
    /// She was asked within a month.
    Lately,
    /// No hour of the coming day has room.
    Full,
    /// She waits no more, or must not be mailed.
    Gone,
}

impl Store {
    /// How many wait on a list, of one import or of all; those of the form were asked when they signed up.
    pub async fn count_waiting(&self, list: ListId, import: Option<i64>) -> Result<i64> {
        read!(self, conn => {
            let count = sqlx::query_scalar(
                "select count(*) from subscriptions n
                 where n.status = 'pending' and n.created_at > $3 and n.list_id = $1 and n.source <> 'form'
                   and ($2 = 0 or n.import_id = $2)",
            )
            .bind(list.0)
            .bind(import.unwrap_or(0))
            .bind(i64::MIN)
            .fetch_one(conn)
            .await?;
            Ok(count)
        })
    }

    /// Up to `limit` of them behind `after` (when they came, and their subscription), in that order.
    pub async fn waiting_on(
        &self,
        list: ListId,
        import: Option<i64>,
        after: (i64, i64),
        limit: u32,
    ) -> Result<Vec<Waiting>> {
        read!(self, conn => {
            let waiting = sqlx::query_as(
                "select n.key, n.created_at, u.address
                 from subscriptions n join subscribers u on u.id = n.subscriber_id
                 where n.status = 'pending' and n.created_at >= $3
                   and (n.created_at > $3 or n.key > $4)
                   and n.list_id = $1 and n.source <> 'form' and ($2 = 0 or n.import_id = $2)
                 order by n.created_at, n.key
                 limit $5",
            )
            .bind(list.0)
            .bind(import.unwrap_or(0))
            .bind(after.0)
            .bind(after.1)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(waiting)
        })
    }

    /// Asks one of them, unless something speaks against it.
    pub async fn ask_to_confirm(&self, ask: &Ask<'_>) -> Result<Asked> {
        again!(self.try_ask_to_confirm(ask).await)
    }

    async fn try_ask_to_confirm(&self, ask: &Ask<'_>) -> Result<Asked> {
        let hour = ask.at.0.div_euclid(HOUR);
        transact!(self, conn => {
            // The row is locked by that, as a signup does first: hours are counted one after the other.
            sqlx::query(
                "insert into confirm_hours (hour, mails) values ($1, 0)
                 on conflict (hour) do update set mails = confirm_hours.mails",
            )
            .bind(hour)
            .execute(&mut *conn)
            .await?;
            let hours: Vec<(i64, i64)> =
                sqlx::query_as("select hour, mails from confirm_hours where hour >= $1")
                    .bind(hour)
                    .fetch_all(&mut *conn)
                    .await?;
            let Some(slot) = free_hour(&hours, hour, ask.per_hour) else {
                return Ok(Asked::Full);
            };
            let held: Option<(i64, i64)> = sqlx::query_as(
                "update subscriptions set asked_with = null
                 where key = $1 and status = 'pending' and source <> 'form' and not exists (
                     select 1 from suppressions x join subscribers s on s.hash = x.hash
                     where s.id = subscriptions.subscriber_id
                 )
                 returning subscriber_id, list_id",
            )
            .bind(ask.subscription.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((subscriber, list)) = held else {
                return Ok(Asked::Gone);
            };
            if confirms_lately!(conn, &ask.limit, ask.at) > 0 {
                return Ok(Asked::Lately);
            }
            // The form, asked for the same meanwhile, mails no second link.
            note_signup!(self, conn, [list].into_iter(), &ask.limit, ask.at, ask.mailed_after);
            log_confirm!(conn, &ask.limit, ask.at, 1_i64);
            sqlx::query(
                "insert into confirm_hours (hour, mails) values ($1, 1)
                 on conflict (hour) do update set mails = confirm_hours.mails + 1",
            )
            .bind(slot)
            .execute(&mut *conn)
            .await?;
            let due = if slot == hour { ask.at.0 } else { slot * HOUR };
            let mail = NewSystemMail {
                kind: "confirm",
                revision: ask.revision,
                subscriber: SubscriberId(subscriber),
                address: None,
                list: Some(ListId(list)),
                data: "{}",
            };
            enqueue_system_mail!(conn, 1, &mail, due);
            Asked::Now
        })
    }
}
