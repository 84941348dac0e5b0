//! The address that a reader gave up for another one: told of it, with a link that takes the move back.
//!
//! Promises: whoever holds a forwarded mail does not take a reader's mail away unseen; the links in the mailbox that she
//! gave up open her page no more, and end her mail as before; a file with her old address means her; of the address
//! itself nothing is kept longer than the link works; who takes a move back takes back those after it, too. Leaves the
//! move to `moves`.

use crate::clock::Timestamp;
use crate::id::{SubscriberId, SubscriptionKey};
use crate::store::consents::note_consent;
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};

/// The mail to the address that is given up.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Random; in its link.
    pub key: i64,
    /// Revision of the compiled mail.
    pub revision: &'a str,
}

/// Gives the links to a reader's page other keys: `fresh` is random, and so are they. A link of ours is signed, so that
/// no other can be made of one.
pub(crate) const RENEW_LINKS: &str = "
    update subscriptions
    set manage_key = (key | cast($2 as bigint)) - (key & cast($2 as bigint))
    where subscriber_id = $1";

/// Whose page a link opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// The reader's behind this subscription.
    Hers(SubscriptionKey),
    /// Nobody's: it went to an address before the reader's own of today, and may end this subscription.
    Nothing(SubscriptionKey),
}

/// Keeps and tells the address that a reader has just given up, inside the transaction that gave her the other one:
/// `give_up!(conn, subscriber, address, hash, told, at)`. One that is not to be mailed is told nothing; gives whether it is.
macro_rules! give_up {
    ($conn:expr, $subscriber:expr, $address:expr, $hash:expr, $told:expr, $at:expr) => {{
        sqlx::query(
            "insert into former_addresses (hash, subscriber_id, at, key, address)
             values ($1, $2, $3, $4, $5)
             on conflict (hash) do update
             set subscriber_id = excluded.subscriber_id, at = excluded.at, key = excluded.key,
                 address = excluded.address",
        )
        .bind($hash)
        .bind($subscriber)
        .bind($at.0)
        .bind($told.key)
        .bind($address)
        .execute(&mut *$conn)
        .await?;
        // Whoever goes back to one has not given it up.
        sqlx::query(
            "delete from former_addresses
             where hash = (select s.hash from subscribers s where s.id = $1)",
        )
        .bind($subscriber)
        .execute(&mut *$conn)
        .await?;
        let barred: i64 = sqlx::query_scalar("select count(*) from suppressions where hash = $1")
            .bind($hash)
            .fetch_one(&mut *$conn)
            .await?;
        // Nobody's delivery: the reader has another address.
        let mail = $crate::store::system_mail::NewSystemMail {
            kind: "confirm",
            revision: $told.revision,
            subscriber: $crate::id::SubscriberId(0),
            address: Some($address),
            list: None,
            data: &format!("{{\"subscription\":{}}}", $told.key),
        };
        $crate::store::system_mail::enqueue_system_mail!(
            $conn,
            i64::from(barred == 0),
            &mail,
            $at.0
        );
        barred == 0
    }};
}
pub(crate) use give_up;

/// What is kept of it when the link is too old, or the reader is back.
pub(crate) const CLEAR_FORMER: [&str; 2] = [
    "update former_addresses set address = null where at < $1 and address is not null",
    "delete from former_addresses
     where at < $1 and hash in (select s.hash from subscribers s where s.id = subscriber_id)",
];

impl Store {
    /// The address that was given up, by the key of the link that went to it, and whether the reader has it again.
    pub async fn given_up(&self, key: i64) -> Result<Option<(String, bool)>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select f.address, f.hash = s.hash from former_addresses f
                 join subscribers s on s.id = f.subscriber_id
                 where f.key = $1 and f.address is not null",
            )
            .bind(key)
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// What the link to a reader's page holds in mails of now: of her who moved by the link under `key`, or took a move
    /// back by it.
    pub async fn manage_key_by(&self, key: i64) -> Result<Option<SubscriptionKey>> {
        read!(self, conn => {
            let found: Option<i64> = sqlx::query_scalar(
                "select coalesce(n.manage_key, n.key) from subscriptions n
                 where n.subscriber_id in (
                     select subscriber_id from address_changes where key = $1
                     union select subscriber_id from former_addresses where key = $1
                 )
                 order by case when n.status in ('confirmed', 'paused') then 0 else 1 end, n.list_id
                 limit 1",
            )
            .bind(key)
            .fetch_optional(conn)
            .await?;
            Ok(found.map(SubscriptionKey))
        })
    }

    /// What the link to a reader's page opens that holds `key`.
    pub async fn opened_by(&self, key: SubscriptionKey) -> Result<Option<Opens>> {
        let found: Option<(i64, i64)> = read!(self, conn => {
            sqlx::query_as(
                "select key, cast(case when manage_key is null then 0 else 1 end as bigint)
                 from subscriptions where key = $1
                 union all select key, 0 from subscriptions where manage_key = $1",
            )
            .bind(key.0)
            .fetch_optional(conn)
            .await?
        });
        Ok(found.map(|(key, moved)| match moved {
            0 => Opens::Hers(SubscriptionKey(key)),
            _ => Opens::Nothing(SubscriptionKey(key)),
        }))
    }

    /// Gives the reader the address back that was given up, whose canonical form is given, and the links to her page
    /// other keys by `told.key`; doing it again is fine. False when the link is too old, or the address has been
    /// suppressed or taken by someone meanwhile. A wish for yet another address goes with it, and so do the links that
    /// went to addresses given up after this one. The address that it is taken from is told, by a mail without a link.
    pub async fn take_back(
        &self,
        key: i64,
        canonical: &str,
        told: &Told<'_>,
        at: Timestamp,
    ) -> Result<bool> {
        let done = again!(self.try_take_back(key, canonical, told, at).await);
        match done {
            // Somebody else came under this address since.
            Err(error) if error.is_duplicate() => Ok(false),
            done => done,
        }
    }

    async fn try_take_back(
        &self,
        key: i64,
        canonical: &str,
        told: &Told<'_>,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            // The write takes the reader's row, so that it is the address she has now that is told.
            let from: Option<(String, Vec<u8>)> = sqlx::query_as(
                "update subscribers set hash = hash
                 where id = (
                     select subscriber_id from former_addresses where key = $1 and address is not null
                 )
                 returning address, hash",
            )
            .bind(key)
            .fetch_optional(&mut *conn)
            .await?;
            let back: Option<i64> = sqlx::query_scalar(
                "update subscribers
                 set address = f.address, canonical = $2, hash = f.hash
                 from former_addresses f
                 where f.key = $1 and f.address is not null and subscribers.id = f.subscriber_id
                   and not exists (select 1 from suppressions x where x.hash = f.hash)
                 returning id",
            )
            .bind(key)
            .bind(canonical)
            .fetch_optional(&mut *conn)
            .await?;
            // Invariant: what came after the move that she disowns was none of hers, so that no link of it takes her
            // mail away again, however late it is pressed.
            let after = sqlx::query(
                "delete from former_addresses
                 where subscriber_id = $1 and key <> $2
                   and at >= (select f.at from former_addresses f where f.key = $2)",
            );
            if let (Some(subscriber), Some((address, hash))) = (back, from) {
                after.bind(subscriber).bind(key).execute(&mut *conn).await?;
                sqlx::query(RENEW_LINKS).bind(subscriber).bind(told.key).execute(&mut *conn).await?;
                note_consent!(conn, subscriber, 0_i64, "address", at);
                sqlx::query("delete from address_changes where subscriber_id = $1")
                    .bind(subscriber)
                    .execute(&mut *conn)
                    .await?;
                // None to an address that is hers again already, and none where mail is not wanted.
                let silent: i64 = sqlx::query_scalar(
                    "select (select count(*) from suppressions where hash = $1)
                          + (select count(*) from subscribers where id = $2 and hash = $1)",
                )
                .bind(hash)
                .bind(subscriber)
                .fetch_one(&mut *conn)
                .await?;
                let mail = NewSystemMail {
                    kind: "confirm",
                    revision: told.revision,
                    subscriber: SubscriberId(0),
                    address: Some(&address),
                    list: None,
                    data: "{}",
                };
                enqueue_system_mail!(conn, i64::from(silent == 0), &mail, at.0);
            }
            back.is_some()
        })
    }
}
