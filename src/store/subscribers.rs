//! Readers and their subscriptions, one at a time or in the order of a list.

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::store::{Result, Store, StoreError};
use crate::subscriber::field::Fields;
use crate::subscriber::{Status, Subscriber, Subscription};

type SubscriberColumns = (i64, String, String, String, i64);
type SubscriptionColumns = (i64, i64, Status, String, i64, Option<i64>, Option<i64>);

/// A reader of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub reader: Subscriber,
    pub subscription: Subscription,
    /// Why the address is never to be mailed, if it is not.
    pub suppressed: Option<String>,
}

/// A reader's columns, behind them the subscription's without its list, and why the address is suppressed.
type PageColumns = (
    i64,
    String,
    String,
    String,
    i64,
    i64,
    Status,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

impl Store {
    /// The reader whose address has this canonical form.
    pub async fn subscriber(&self, canonical: &str) -> Result<Option<Subscriber>> {
        read!(self, conn => {
            let found: Option<SubscriberColumns> = sqlx::query_as(
                "select id, address, name, fields, created_at from subscribers
                 where canonical = $1",
            )
            .bind(canonical)
            .fetch_optional(conn)
            .await?;
            found.map(subscriber).transpose()
        })
    }

    /// The reader of this key.
    pub async fn subscriber_by_key(&self, key: SubscriberId) -> Result<Option<Subscriber>> {
        read!(self, conn => {
            let found: Option<SubscriberColumns> = sqlx::query_as(
                "select id, address, name, fields, created_at from subscribers where id = $1",
            )
            .bind(key.0)
            .fetch_optional(conn)
            .await?;
            found.map(subscriber).transpose()
        })
    }

    /// The reader whose subscription has this key.
    pub async fn reader_of(&self, subscription: i64) -> Result<Option<SubscriberId>> {
        let found: Option<i64> = read!(self, conn => {
            sqlx::query_scalar("select subscriber_id from subscriptions where key = $1")
                .bind(subscription)
                .fetch_optional(conn)
                .await?
        });
        Ok(found.map(SubscriberId))
    }

    /// Whether anybody at all is known.
    pub async fn has_readers(&self) -> Result<bool> {
        read!(self, conn => {
            let found: Option<i64> = sqlx::query_scalar("select min(id) from subscribers")
                .fetch_one(conn)
                .await?;
            Ok(found.is_some())
        })
    }

    /// Every subscription of this reader, in the order of the lists.
    pub async fn subscriptions(&self, reader: SubscriberId) -> Result<Vec<Subscription>> {
        read!(self, conn => {
            let found: Vec<SubscriptionColumns> = sqlx::query_as(
                "select key, list_id, status, source, created_at, confirmed_at, left_at
                 from subscriptions where subscriber_id = $1 order by list_id",
            )
            .bind(reader.0)
            .fetch_all(conn)
            .await?;
            Ok(found.into_iter().map(subscription).collect())
        })
    }

    /// Up to `limit` readers of `list` behind the reader `after`, in the order of their keys; only
    /// those of `status`, when one is given.
    pub async fn readers_of(
        &self,
        list: ListId,
        status: Option<Status>,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<Listed>> {
        read!(self, conn => {
            let found: Vec<PageColumns> =
                sqlx::query_as(
                    "select s.id, s.address, s.name, s.fields, s.created_at,
                            t.key, t.status, t.source, t.created_at, t.confirmed_at, t.left_at,
                            x.reason
                     from subscriptions t
                     join subscribers s on s.id = t.subscriber_id
                     left join suppressions x on x.hash = s.hash
                     where t.list_id = $1 and t.subscriber_id > $2
                       and ($3 = '' or t.status = $3)
                     order by t.subscriber_id
                     limit $4",
                )
                .bind(list.0)
                .bind(after.0)
                .bind(status.map_or("", Status::name))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            let mut page = Vec::with_capacity(found.len());
            for row in found {
                let reader = subscriber((row.0, row.1, row.2, row.3, row.4))?;
                let joined = (row.5, list.0, row.6, row.7, row.8, row.9, row.10);
                page.push(Listed {
                    reader,
                    subscription: subscription(joined),
                    suppressed: row.11,
                });
            }
            Ok(page)
        })
    }
}

fn subscriber((id, address, name, fields, created_at): SubscriberColumns) -> Result<Subscriber> {
    Ok(Subscriber {
        id: SubscriberId(id),
        address: EmailAddress::parse(&address).map_err(undecodable)?,
        name,
        fields: Fields::from_json(&fields),
        created_at: Timestamp(created_at),
    })
}

fn subscription(
    (key, list, status, source, created_at, confirmed_at, left_at): SubscriptionColumns,
) -> Subscription {
    Subscription {
        key: SubscriptionKey(key),
        list: ListId(list),
        status,
        source,
        created_at: Timestamp(created_at),
        confirmed_at: confirmed_at.map(Timestamp),
        left_at: left_at.map(Timestamp),
    }
}

/// What stands in the database is not what was put there.
fn undecodable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError(sqlx::Error::Decode(error.into()))
}
