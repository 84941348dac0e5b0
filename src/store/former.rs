//! The address that a reader gave up for another one: told of it, with a link that takes the move back.
//!
//! Promises: whoever holds a forwarded mail does not take a reader's mail away unseen; a file with her old address means
//! her; of the address itself nothing is kept longer than the link works. Leaves the move to `moves`.

use crate::clock::Timestamp;
use crate::store::consents::note_consent;
use crate::store::{Result, Store};

/// The mail to the address that is given up.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Random; in its link.
    pub key: i64,
    /// Revision of the compiled mail.
    pub revision: &'a str,
}

/// Keeps and tells the address that a reader has just given up, inside the transaction that gave her the other one:
/// `give_up!(conn, subscriber, address, hash, told, at)`. One that is not to be mailed is told nothing.
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

    /// Gives the reader the address back that was given up, whose canonical form is given; doing it again is fine.
    /// False when the link is too old, or the address has been suppressed or taken by someone meanwhile. A wish for yet
    /// another address goes with it.
    pub async fn take_back(&self, key: i64, canonical: &str, at: Timestamp) -> Result<bool> {
        let done = again!(self.try_take_back(key, canonical, at).await);
        match done {
            // Somebody else came under this address since.
            Err(error) if error.is_duplicate() => Ok(false),
            done => done,
        }
    }

    async fn try_take_back(&self, key: i64, canonical: &str, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
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
            if let Some(subscriber) = back {
                note_consent!(conn, subscriber, 0_i64, "address", at);
                sqlx::query("delete from address_changes where subscriber_id = $1")
                    .bind(subscriber)
                    .execute(&mut *conn)
                    .await?;
            }
            back.is_some()
        })
    }
}
