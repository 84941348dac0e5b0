//! Another address for a reader: wished for behind her link, and hers once the new one says so.
//!
//! Promises: by a reader's page an address is changed only by a link that went to the new one; asking for one says
//! nothing about who has it, nor whether it was mailed lately; a mailbox that is refused is moved to under no spelling;
//! what came of no wish is forgotten with its link; the address that was given up is told, and its links open her page no
//! more. Leaves what is kept of that one to `former`, and what the author gives her to `amend`.

use crate::clock::{HOUR, Timestamp};
use crate::id::{SubscriberId, SubscriptionKey};
use crate::store::former::{CLEAR_FORMER, Told};
use crate::store::leave::hold_address;
use crate::store::pressure::{MONTHLY, confirms_lately, log_confirm, note_signup};
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};

/// A wish for another address.
#[derive(Clone, Debug)]
pub struct Move<'a> {
    /// The manage link's subscription.
    pub subscription: SubscriptionKey,
    /// Random; in the link that goes to the new address.
    pub key: i64,
    pub address: &'a str,
    pub canonical: &'a str,
    pub hash: [u8; 32],
    /// Keyed hash of its mailbox: the name under which each spelling of it may be suppressed.
    pub mailbox: [u8; 32],
    /// Keyed hash of the folded address: what the limit counts by.
    pub limit: [u8; 32],
    /// An address or a reader mailed after this is not mailed again.
    pub mailed_after: Timestamp,
    pub per_hour: u32,
    /// Revision of the compiled mail.
    pub revision: &'a str,
    pub at: Timestamp,
}

/// What became of a wish for another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is hers.
    Hers {
        /// A mail tells the one before, by this call.
        told: bool,
    },
    /// The wish is gone, or the address has been suppressed or taken by someone meanwhile.
    Refused,
}

/// Mails to addresses that were wished for by links that work no more: nobody needs the addresses, and no erasure
/// would find them.
macro_rules! old_moves {
    () => {
        "select m.seq from deliveries d cross join system_mails m
         where d.subscriber_id = 0 and d.run_id = 1 and d.due_at < $1 and d.state not in ('queued', 'at_dot')
           and m.run_id = 1 and m.seq = d.seq and m.kind = 'confirm' and m.address is not null"
    };
}

const CLEAR_OLD_MOVES: [&str; 3] = [
    concat!(
        "update deliveries set copy = null, reply = null where run_id = 1 and seq in (",
        old_moves!(),
        ")"
    ),
    concat!(
        "update failures set dialogue = '' where run_id = 1 and seq in (",
        old_moves!(),
        ")"
    ),
    concat!(
        "update system_mails set address = null where run_id = 1 and seq in (",
        old_moves!(),
        ")"
    ),
];

/// Whether the reader may be mailed at another address: one that took no mail is the very reason to change it.
const MAY_MOVE: &str = "
    select n.subscriber_id, n.list_id from subscriptions n
        join subscribers s on s.id = n.subscriber_id
    where n.key = $1 and n.confirmed_at is not null
      and not exists (
          select 1 from suppressions x where x.hash = s.hash and x.reason <> 'bounced'
      )";

/// Gives a reader the address of her wish: its key, and the keyed hash of the mailbox.
pub(crate) const MOVE: &str = "
    update subscribers
    set address = c.address, canonical = c.canonical, hash = c.hash
    from address_changes c
    where c.key = $1 and subscribers.id = c.subscriber_id
      and subscribers.canonical <> c.canonical
      and not exists (select 1 from suppressions x where x.hash = c.hash)
      and not exists (select 1 from suppressions x where x.hash = $2 and x.reason <> 'bounced')
      and not exists (select 1 from suppressions x where x.mailbox = $2 and x.reason <> 'bounced')
      and not exists (
          select 1 from suppressions x
          where x.hash = subscribers.hash and x.reason <> 'bounced'
      )
    returning id";

/// Gives a reader the address that was wished for, and gives what became of it, inside a transaction:
/// `finish_move!(self, conn, key, mailbox, told, at)`.
macro_rules! finish_move {
    ($store:expr, $conn:expr, $key:expr, $mailbox:expr, $told:expr, $at:expr) => {{
        // The write takes the reader's row, so that it is the address she gives up that is read.
        let former: Option<(String, Vec<u8>)> = sqlx::query_as(
            "update subscribers set hash = hash
             where id = (select subscriber_id from address_changes where key = $1)
             returning address, hash",
        )
        .bind($key)
        .fetch_optional(&mut *$conn)
        .await?;
        // The wish stays until its link is too old: whoever presses twice is told the same twice.
        let moved: Option<i64> = sqlx::query_scalar($crate::store::moves::MOVE)
            .bind($key)
            .bind(&$mailbox[..])
            .fetch_optional(&mut *$conn)
            .await?;
        match moved {
            Some(subscriber) => {
                $crate::store::consents::note_consent!($conn, subscriber, 0_i64, "address", $at);
                // Invariant: whoever has the mailbox that she gave up does not open her page.
                sqlx::query($crate::store::former::RENEW_LINKS)
                    .bind(subscriber)
                    .bind($told.key)
                    .execute(&mut *$conn)
                    .await?;
                let mut told = false;
                if let Some((address, hash)) = &former {
                    $crate::store::leave::hold_address!($store, $conn, hash);
                    told = $crate::store::former::give_up!(
                        $conn, subscriber, address, hash, $told, $at
                    );
                }
                // What came back of her old address, a probe among it, says nothing of the new one.
                sqlx::query(
                    "update probes set asked_at = $2, decided_at = $2, verdict = 'kept'
                     where subscriber_id = $1",
                )
                .bind(subscriber)
                .bind($at.0)
                .execute(&mut *$conn)
                .await?;
                $crate::store::moves::Moved::Hers { told }
            }
            None => {
                let before: Option<i64> = sqlx::query_scalar(
                    "select s.id from address_changes c
                     join subscribers s on s.id = c.subscriber_id and s.canonical = c.canonical
                     where c.key = $1",
                )
                .bind($key)
                .fetch_optional(&mut *$conn)
                .await?;
                match before {
                    Some(_) => $crate::store::moves::Moved::Hers { told: false },
                    None => $crate::store::moves::Moved::Refused,
                }
            }
        }
    }};
}
pub(crate) use finish_move;

/// Wishes whose mails went out long ago, or never will.
const FORGET_PROOFS: &str = "
    delete from proofs
    where at < $1 and not exists (
        select 1 from deliveries d
        where d.run_id = 1 and d.seq = proofs.seq and (
            d.state in ('queued', 'at_dot') or (d.state in ('sent', 'uncertain') and d.settled_at >= $1)
        )
    )";

impl Store {
    /// Takes a wish for another address: a mail to the new one waits to be sent, unless somebody has that
    /// address, it must not be mailed, or there was one lately. The same work in every case.
    pub async fn request_move(&self, wish: &Move<'_>) -> Result<bool> {
        again!(self.try_request_move(wish).await)
    }

    async fn try_request_move(&self, wish: &Move<'_>) -> Result<bool> {
        let hour = wish.at.0.div_euclid(HOUR);
        transact!(self, conn => {
            hold_address!(self, conn, wish.hash);
            let owner: Option<(i64, i64)> = sqlx::query_as(MAY_MOVE)
                .bind(wish.subscription.0)
                .fetch_optional(&mut *conn)
                .await?;
            let Some((subscriber, list)) = owner else {
                return Ok(false);
            };
            let unwanted: i64 = sqlx::query_scalar(
                "select (select count(*) from subscribers where canonical = $1)
                      + (select count(*) from suppressions where hash = $2)
                      + (select count(*) from suppressions where hash = $5 and reason <> 'bounced')
                      + (select count(*) from suppressions where mailbox = $5 and reason <> 'bounced')
                      + (select count(*) from confirm_hours where hour = $3 and mails >= $4)",
            )
            .bind(wish.canonical)
            .bind(&wish.hash[..])
            .bind(hour)
            .bind(i64::from(wish.per_hour))
            .bind(&wish.mailbox[..])
            .fetch_one(&mut *conn)
            .await?;
            let noted = note_signup!(
                self, conn, [list].into_iter(), &wish.limit, wish.at, wish.mailed_after
            );
            let fresh = !noted.is_empty();
            let mailed = confirms_lately!(conn, &wish.limit, wish.at);
            // One wish a day for each reader: a link that got into wrong hands mails no crowd. It is noted whoever has
            // the address or was mailed there, for the page tells that one waits; its key is only in the mail. One that
            // came true waits no more.
            let noted = sqlx::query(
                "insert into address_changes (key, subscriber_id, address, canonical, hash, at)
                 values ($1, $2, $3, $4, $5, $6)
                 on conflict (subscriber_id) do update
                 set key = excluded.key, address = excluded.address, canonical = excluded.canonical,
                     hash = excluded.hash, at = excluded.at
                 where address_changes.at <= $7 or address_changes.canonical = (
                     select s.canonical from subscribers s where s.id = address_changes.subscriber_id
                 )",
            )
            .bind(wish.key)
            .bind(subscriber)
            .bind(wish.address)
            .bind(wish.canonical)
            .bind(&wish.hash[..])
            .bind(wish.at.0)
            .bind(wish.mailed_after.0)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            let wanted = i64::from(noted > 0 && fresh && unwanted == 0 && mailed < MONTHLY);
            log_confirm!(conn, &wish.limit, wish.at, wanted);
            sqlx::query(
                "insert into confirm_hours (hour, mails) values ($1, $2)
                 on conflict (hour) do update set mails = confirm_hours.mails + excluded.mails",
            )
            .bind(hour)
            .bind(wanted)
            .execute(&mut *conn)
            .await?;
            // Nobody's delivery: a bounce of the new address says nothing about the reader's own.
            let mail = NewSystemMail {
                kind: "confirm",
                revision: wish.revision,
                subscriber: SubscriberId(0),
                address: Some(wish.address),
                list: None,
                data: &format!("{{\"subscription\":{}}}", wish.key),
            };
            enqueue_system_mail!(conn, wanted, &mail, wish.at.0);
            wanted == 1
        })
    }

    /// The address that was wished for under `key`, and whether it is the reader's by now.
    pub async fn waiting_address(&self, key: i64) -> Result<Option<(String, bool)>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select c.address, c.canonical = s.canonical from address_changes c
                 join subscribers s on s.id = c.subscriber_id
                 where c.key = $1",
            )
            .bind(key)
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// Gives the reader her new address, whose mailbox has the keyed hash `mailbox`; doing it again is fine.
    pub async fn finish_move(
        &self,
        key: i64,
        mailbox: &[u8; 32],
        told: &Told<'_>,
        at: Timestamp,
    ) -> Result<Moved> {
        let done = again!(self.try_finish_move(key, mailbox, told, at).await);
        match done {
            // Somebody else came under this address since.
            Err(error) if error.is_duplicate() => Ok(Moved::Refused),
            done => done,
        }
    }

    async fn try_finish_move(
        &self,
        key: i64,
        mailbox: &[u8; 32],
        told: &Told<'_>,
        at: Timestamp,
    ) -> Result<Moved> {
        transact!(self, conn => finish_move!(self, conn, key, mailbox, told, at))
    }

    /// Forgets the wishes from before `before`, whose links work no more, and the addresses in their mails; gives how
    /// many wishes there were.
    pub async fn forget_moves(&self, before: Timestamp) -> Result<u64> {
        transact!(self, conn => {
            for clear in CLEAR_OLD_MOVES {
                sqlx::query(clear).bind(before.0).execute(&mut *conn).await?;
            }
            for clear in CLEAR_FORMER {
                sqlx::query(clear).bind(before.0).execute(&mut *conn).await?;
            }
            sqlx::query(FORGET_PROOFS).bind(before.0).execute(&mut *conn).await?;
            let gone = sqlx::query("delete from address_changes where at < $1")
                .bind(before.0)
                .execute(conn)
                .await?;
            gone.rows_affected()
        })
    }

    /// Forgets a wish for another address: its owner did not ask.
    pub async fn drop_move(&self, key: i64) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("delete from address_changes where key = $1").bind(key).execute(conn).await?;
        })
    }
}
