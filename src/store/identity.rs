//! Who a reader is: another address for her, all that is known of her, and her erasure.
//!
//! Promises: an address is changed only by a link that went to the new one; asking for one says nothing
//! about who has it; an erasure leaves a keyed hash, numbers that belong to nobody, and nothing else.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::{SubscriberId, SubscriptionKey};
use crate::store::blocks::apply_moves;
use crate::store::consents::note_consent;
use crate::store::leave::{await_freeze, moved};
use crate::store::pressure::{MONTHLY, confirms_lately, log_confirm, note_signup};
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// Deliveries and events of one reader in an export; a weekly reader has a tenth of it in ten years.
const EXPORTED: i64 = 5_000;

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
    /// Keyed hash of the folded address: what the limit counts by.
    pub limit: [u8; 32],
    /// An address or a reader mailed after this is not mailed again.
    pub mailed_after: Timestamp,
    pub per_hour: u32,
    /// Revision of the compiled mail.
    pub revision: &'a str,
    pub at: Timestamp,
}

/// All that is known of a reader, for herself.
#[derive(Clone, Debug, Serialize)]
pub struct Export {
    pub address: String,
    pub name: String,
    pub fields: serde_json::Value,
    pub since: String,
    pub tracking: String,
    pub subscriptions: Vec<serde_json::Value>,
    pub consents: Vec<serde_json::Value>,
    pub mails: Vec<serde_json::Value>,
    pub events: Vec<serde_json::Value>,
}

type SubscriptionColumns = (
    String,
    String,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    String,
    Option<String>,
    Option<String>,
);

/// Mails to an address that the reader wished for, her own now or not: deliveries of nobody, of which there are few.
macro_rules! moves_of {
    () => {
        "select m.seq from deliveries d cross join system_mails m
         where d.subscriber_id = 0 and d.run_id = 1 and m.run_id = 1 and m.seq = d.seq
           and m.kind = 'confirm' and m.address in (
               select address from address_changes where subscriber_id = $1
               union select address from subscribers where id = $1
           )"
    };
}

const CLEAR_MOVES: &str = concat!(
    "update deliveries set copy = null, reply = null where run_id = 1 and seq in (",
    moves_of!(),
    ")"
);

const CLEAR_MAILS: &str = concat!(
    "update system_mails set data = '{}', address = null where run_id = 1 and seq in (
         select seq from deliveries where run_id = 1 and subscriber_id = $1
         union ",
    moves_of!(),
    ")"
);

impl Store {
    /// Takes a wish for another address: a mail to the new one waits to be sent, unless somebody has that
    /// address, it must not be mailed, or there was one lately. The same work in every case.
    pub async fn request_move(&self, wish: &Move<'_>) -> Result<bool> {
        again!(self.try_request_move(wish).await)
    }

    async fn try_request_move(&self, wish: &Move<'_>) -> Result<bool> {
        let hour = wish.at.0.div_euclid(HOUR);
        transact!(self, conn => {
            let owner: Option<(i64, i64)> = sqlx::query_as(
                "select subscriber_id, list_id from subscriptions where key = $1 and confirmed_at is not null",
            )
            .bind(wish.subscription.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((subscriber, list)) = owner else {
                return Ok(false);
            };
            let unwanted: i64 = sqlx::query_scalar(
                "select (select count(*) from subscribers where canonical = $1)
                      + (select count(*) from suppressions where hash = $2)
                      + (select count(*) from confirm_hours where hour = $3 and mails >= $4)",
            )
            .bind(wish.canonical)
            .bind(&wish.hash[..])
            .bind(hour)
            .bind(i64::from(wish.per_hour))
            .fetch_one(&mut *conn)
            .await?;
            let noted = note_signup!(
                self, conn, [list].into_iter(), &wish.limit, wish.at, wish.mailed_after
            );
            let fresh = !noted.is_empty();
            let mailed = confirms_lately!(conn, &wish.limit, wish.at);
            // One wish a day for each reader: a link that got into wrong hands mails no crowd. It is noted whoever has
            // the address, for the page tells that one waits; its key is only in the mail.
            let noted = sqlx::query(
                "insert into address_changes (key, subscriber_id, address, canonical, hash, at)
                 select $1, $2, $3, $4, $5, $6 where $7 = 1
                 on conflict (subscriber_id) do update
                 set key = excluded.key, address = excluded.address, canonical = excluded.canonical,
                     hash = excluded.hash, at = excluded.at
                 where address_changes.at <= $8",
            )
            .bind(wish.key)
            .bind(subscriber)
            .bind(wish.address)
            .bind(wish.canonical)
            .bind(&wish.hash[..])
            .bind(wish.at.0)
            .bind(i64::from(fresh))
            .bind(wish.mailed_after.0)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            let wanted = i64::from(noted > 0 && unwanted == 0 && mailed < MONTHLY);
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

    /// The address that waits under `key`.
    pub async fn waiting_address(&self, key: i64) -> Result<Option<String>> {
        read!(self, conn => {
            let found = sqlx::query_scalar("select address from address_changes where key = $1")
                .bind(key)
                .fetch_optional(conn)
                .await?;
            Ok(found)
        })
    }

    /// Gives the reader her new address. False when the wish is gone, or the address has been suppressed or
    /// taken by someone meanwhile.
    pub async fn finish_move(&self, key: i64, at: Timestamp) -> Result<bool> {
        let done = again!(self.try_finish_move(key, at).await);
        match done {
            // Somebody else came under this address since.
            Err(error) if error.is_duplicate() => Ok(false),
            done => done,
        }
    }

    async fn try_finish_move(&self, key: i64, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            let moved: Option<i64> = sqlx::query_scalar(
                "update subscribers
                 set address = c.address, canonical = c.canonical, hash = c.hash
                 from address_changes c
                 where c.key = $1 and subscribers.id = c.subscriber_id
                   and not exists (select 1 from suppressions x where x.hash = c.hash)
                   and not exists (select 1 from suppressions x where x.hash = subscribers.hash)
                 returning id",
            )
            .bind(key)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(subscriber) = moved {
                sqlx::query("delete from address_changes where key = $1")
                    .bind(key)
                    .execute(&mut *conn)
                    .await?;
                note_consent!(conn, subscriber, 0_i64, "address", at);
            }
            moved.is_some()
        })
    }

    /// Forgets the wishes from before `before`, whose links work no more; gives how many.
    pub async fn forget_moves(&self, before: Timestamp) -> Result<u64> {
        transact!(self, conn => {
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

    /// Erases the reader behind the subscription `key`: her queued mail is taken, the copies, the words of
    /// relays and the values of her system mails go, her deliveries belong to nobody, and the keyed hash of
    /// her address stays suppressed, so that no import brings her back. True if there was such a reader.
    pub async fn erase(&self, key: SubscriptionKey, at: Timestamp) -> Result<bool> {
        again!(self.try_erase(key, at).await)
    }

    async fn try_erase(&self, key: SubscriptionKey, at: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            // The write takes the reader's row: two erasures come one after the other.
            let found: Option<(i64, Vec<u8>)> = sqlx::query_as(
                "update subscribers set hash = hash
                 where id = (select subscriber_id from subscriptions where key = $1)
                 returning id, hash",
            )
            .bind(key.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((subscriber, hash)) = found else {
                return Ok(false);
            };
            sqlx::query(
                "insert into suppressions (hash, reason, created_at) values ($1, 'erased', $2)
                 on conflict (hash) do nothing",
            )
            .bind(hash)
            .bind(at.0)
            .execute(&mut *conn)
            .await?;
            await_freeze!(self, conn);
            let taken = sqlx::query_as::<_, (i64, i64)>(
                "update deliveries set state = 'suppressed', settled_at = $2
                 where state = 'queued' and subscriber_id = $1
                 returning run_id, seq",
            )
            .bind(subscriber)
            .bind(at.0)
            .fetch_all(&mut *conn)
            .await?;
            let moves = moved(&taken, State::Suppressed);
            apply_moves!(self, conn, moves);
            sqlx::query(CLEAR_MOVES).bind(subscriber).execute(&mut *conn).await?;
            sqlx::query(CLEAR_MAILS).bind(subscriber).execute(&mut *conn).await?;
            // What both ends said of a failed attempt names the reader; its class may stay.
            sqlx::query(
                "update failures set dialogue = ''
                 where (run_id, seq) in (select run_id, seq from deliveries where subscriber_id = $1)",
            )
            .bind(subscriber)
            .execute(&mut *conn)
            .await?;
            // A number of its own in the run instead of the reader's key: numbers begin at -1, keys at 1.
            sqlx::query(
                "update deliveries set subscriber_id = -1 - seq, copy = null, reply = null
                 where subscriber_id = $1",
            )
            .bind(subscriber)
            .execute(&mut *conn)
            .await?;
            sqlx::query("delete from subscribers where id = $1")
                .bind(subscriber)
                .execute(&mut *conn)
                .await?;
            true
        })
    }

    /// All that is known of the reader behind `key`.
    pub async fn export_reader(&self, key: SubscriptionKey) -> Result<Option<Export>> {
        read!(self, conn => {
            let found: Option<(i64, String, String, String, i64, String)> = sqlx::query_as(
                "select id, address, name, fields, created_at, tracking from subscribers
                 where id = (select subscriber_id from subscriptions where key = $1)",
            )
            .bind(key.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((id, address, name, fields, created_at, tracking)) = found else {
                return Ok(None);
            };
            let subscriptions: Vec<SubscriptionColumns> = sqlx::query_as(
                "select l.slug, n.status, n.source, n.created_at, n.confirmed_at, n.left_at,
                        n.paused_until, n.frequency, r.reason, r.words
                 from subscriptions n
                 join lists l on l.id = n.list_id
                 left join leave_reasons r on r.subscription = n.key
                 where n.subscriber_id = $1 order by n.list_id",
            )
            .bind(id)
            .fetch_all(&mut *conn)
            .await?;
            let consents: Vec<(i64, String, Option<String>)> = sqlx::query_as(
                "select c.at, c.what, l.slug from consents c
                 left join lists l on l.id = c.list_id
                 where c.subscriber_id = $1 order by c.at",
            )
            .bind(id)
            .fetch_all(&mut *conn)
            .await?;
            let mails: Vec<(String, String, Option<i64>)> = sqlx::query_as(
                "select r.title, d.state, d.settled_at from deliveries d
                 join runs r on r.id = d.run_id
                 where d.subscriber_id = $1 order by d.run_id, d.seq limit $2",
            )
            .bind(id)
            .bind(EXPORTED)
            .fetch_all(&mut *conn)
            .await?;
            let events: Vec<(i64, String, Option<i64>, String)> = sqlx::query_as(
                "select e.at, e.kind, e.link, e.evidence from deliveries d
                 join delivery_events x on x.run_id = d.run_id and x.seq = d.seq
                 join events e on e.id = x.event_id
                 where d.subscriber_id = $1 order by e.at limit $2",
            )
            .bind(id)
            .bind(EXPORTED)
            .fetch_all(&mut *conn)
            .await?;
            Ok(Some(Export {
                address,
                name,
                fields: json(&fields),
                since: time(created_at),
                tracking,
                subscriptions: subscriptions.into_iter().map(subscription).collect(),
                consents: consents.into_iter().map(|(at, what, list)| serde_json::json!({
                    "at": time(at), "what": what, "list": list,
                })).collect(),
                mails: mails.into_iter().map(|(title, state, at)| serde_json::json!({
                    "title": title, "state": state, "at": at.map(time),
                })).collect(),
                events: events.into_iter().map(|(at, kind, link, evidence)| serde_json::json!({
                    "at": time(at), "kind": kind, "link": link, "evidence": json(&evidence),
                })).collect(),
            }))
        })
    }
}

fn subscription(columns: SubscriptionColumns) -> serde_json::Value {
    let (list, status, source, created, confirmed, left, paused, frequency, reason, words) =
        columns;
    serde_json::json!({
        "list": list, "status": status, "source": source, "asked_at": time(created),
        "confirmed_at": confirmed.map(time), "left_at": left.map(time),
        "paused_until": paused.map(time), "frequency": frequency,
        "reason": reason, "words": words,
    })
}

fn time(millis: i64) -> String {
    Timestamp(millis).to_rfc3339()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}
