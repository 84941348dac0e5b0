//! What a reader's page alone does not do, for its link stands in every mail that she passes on: her data and her
//! erasure, each behind a link that is mailed to her.
//!
//! Promises: one mail a day for each of the two, and none to an address that is not to be mailed; the day, of the link as
//! of the next mail, begins when the mail goes out, however long it waited; whoever has just moved
//! the reader to another address gets none there, but the address that may still take the move back does. Leaves what
//! is handed out and erased to `identity`.

use crate::clock::Timestamp;
use crate::id::{SubscriberId, SubscriptionKey};
use crate::store::leave::hold_address;
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};

/// What a reader may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Export,
    Erase,
}

impl Act {
    /// The name in the form and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Act::Export => "export",
            Act::Erase => "erase",
        }
    }
}

/// A wish that has to be proven.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The manage link's subscription.
    pub subscription: SubscriptionKey,
    pub act: Act,
    /// Random; in the link that is mailed.
    pub key: i64,
    /// A reader who was mailed such a link after this has it already, or will have it.
    pub mailed_after: Timestamp,
    /// An address that was given up after this may still take the move back.
    pub moved_after: Timestamp,
    /// Revision of the compiled mail.
    pub revision: &'a str,
    pub at: Timestamp,
}

/// A wish whose link works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    pub reader: SubscriberId,
    pub act: Act,
    pub address: String,
}

/// The reader behind a subscription, and where the mail goes: her address and its hash.
const READER: &str = "
    select s.id, coalesce(f.address, s.address), coalesce(f.hash, s.hash)
    from subscriptions n join subscribers s on s.id = n.subscriber_id
        left join former_addresses f on f.subscriber_id = s.id and f.address is not null
            and f.at > $2 and f.hash <> s.hash
    where n.key = $1
    order by f.at
    limit 1";

impl Store {
    /// Takes a wish: a mail with a link waits to be sent, unless there was one lately or the address is not to be
    /// mailed. True if it does; the answer to whoever asks must not say so.
    pub async fn ask_proof(&self, wish: &Wish<'_>) -> Result<bool> {
        again!(self.try_ask_proof(wish).await)
    }

    async fn try_ask_proof(&self, wish: &Wish<'_>) -> Result<bool> {
        transact!(self, conn => {
            let reader: Option<(i64, String, Vec<u8>)> = sqlx::query_as(READER)
                .bind(wish.subscription.0)
                .bind(wish.moved_after.0)
                .fetch_optional(&mut *conn)
                .await?;
            let Some((reader, address, hash)) = reader else {
                return Ok(false);
            };
            hold_address!(self, conn, hash);
            let barred: i64 = sqlx::query_scalar("select count(*) from suppressions where hash = $1")
                .bind(&hash)
                .fetch_one(&mut *conn)
                .await?;
            let noted = sqlx::query(
                "insert into proofs (subscriber_id, what, key, at) values ($1, $2, $3, $4)
                 on conflict (subscriber_id, what) do update
                 set key = excluded.key, at = excluded.at, seq = null
                 where proofs.at <= $5 and not exists (
                     select 1 from deliveries d
                     where d.run_id = 1 and d.seq = proofs.seq and (
                         d.state in ('queued', 'at_dot')
                         or (d.state in ('sent', 'uncertain') and d.settled_at > $5)
                     )
                 )",
            )
            .bind(reader)
            .bind(wish.act.name())
            .bind(wish.key)
            .bind(wish.at.0)
            .bind(wish.mailed_after.0)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            let wanted = i64::from(noted > 0 && barred == 0);
            // Nobody's delivery: it goes to an address, and says nothing about any list.
            let mail = NewSystemMail {
                kind: "confirm",
                revision: wish.revision,
                subscriber: SubscriberId(0),
                address: Some(&address),
                list: None,
                data: &format!("{{\"subscription\":{}}}", wish.key),
            };
            let seq = enqueue_system_mail!(conn, wanted, &mail, wish.at.0);
            sqlx::query("update proofs set seq = $2 where key = $1")
                .bind(wish.key)
                .bind((wanted == 1).then_some(seq))
                .execute(conn)
                .await?;
            wanted == 1
        })
    }

    /// What was wished for under the key of a link, unless its mail went out before `since`. Whoever holds the link of
    /// one that nobody has answered for yet has got it.
    pub async fn proven(&self, key: i64, since: Timestamp) -> Result<Option<Proven>> {
        read!(self, conn => {
            let found: Option<(i64, String, String)> = sqlx::query_as(
                "select s.id, p.what, s.address from proofs p
                     join subscribers s on s.id = p.subscriber_id
                     left join deliveries d on d.run_id = 1 and d.seq = p.seq
                 where p.key = $1 and (
                     p.at > $2 or d.state in ('queued', 'at_dot')
                     or (d.state in ('sent', 'uncertain') and d.settled_at > $2)
                 )",
            )
            .bind(key)
            .bind(since.0)
            .fetch_optional(conn)
            .await?;
            let proven = |(reader, what, address): (i64, String, String)| Proven {
                reader: SubscriberId(reader),
                act: if what == "erase" { Act::Erase } else { Act::Export },
                address,
            };
            Ok(found.map(proven))
        })
    }

    /// Lets a link lead nowhere any more, without another being mailed the sooner: whoever has the mailbox did not ask.
    pub async fn refuse_proof(&self, key: i64, fresh: i64) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update proofs set key = $2 where key = $1")
                .bind(key)
                .bind(fresh)
                .execute(conn)
                .await?;
        })
    }
}
