//! Who a reader is: all that is known of her, and her erasure.
//!
//! Promises: an erasure leaves a keyed hash, numbers that belong to nobody, and nothing else. Leaves another address
//! for her to `moves`.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::SubscriberId;
use crate::store::blocks::apply_moves;
use crate::store::leave::{await_freeze, moved};
use crate::store::readers::CONSENTS;
use crate::store::system_mail::CLEAR_TESTS;
use crate::store::{Result, Store};

/// Deliveries and events of one reader in an export; a weekly reader has a tenth of it in ten years.
const EXPORTED: i64 = 5_000;

/// All that is known of a reader, for herself.
#[derive(Clone, Debug, Serialize)]
pub struct Export {
    pub address: String,
    pub name: String,
    pub fields: serde_json::Value,
    pub since: String,
    pub tracking: String,
    pub tags: Vec<String>,
    /// An address she wished for that waits to be confirmed.
    pub new_address: Option<String>,
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

/// When, what, the issue's title, the link's number and its target, and the evidence.
type EventColumns = (i64, String, String, Option<i64>, Option<String>, String);

/// By an erasure she leaves each list that she is still on, at the day it is, or has left since her address was
/// suppressed. That she joined stands in the journal already.
const COUNT_LEFT: &str = "
    insert into journal (list_id, what, quarter, why, part, number)
    select n.list_id, 'left',
        case when x.created_at is null then $2
            when x.created_at > n.confirmed_at then x.created_at
            else n.confirmed_at end / 900000,
        coalesce(x.reason, 'erased'), own_part(), 1
    from subscriptions n
        join subscribers u on u.id = n.subscriber_id
        left join suppressions x on x.hash = u.hash
    where n.subscriber_id = $1 and n.confirmed_at is not null and n.status in ('confirmed', 'paused')
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + 1";

/// Mails to an address that the reader wished for, her own now or not: deliveries of nobody, of which there are few.
macro_rules! moves_of {
    () => {
        "select m.seq from deliveries d cross join system_mails m
         where d.subscriber_id = 0 and d.run_id = 1 and m.run_id = 1 and m.seq = d.seq
           and m.kind = 'confirm' and m.address in (
               select address from address_changes where subscriber_id = $1
               union select address from subscribers where id = $1
               union select address from former_addresses where subscriber_id = $1
           )"
    };
}

/// Such a mail that still waits goes to nobody any more.
const CANCEL_MOVES: &str = concat!(
    "update deliveries set state = 'cancelled', settled_at = $2
     where run_id = 1 and state = 'queued' and seq in (",
    moves_of!(),
    ") returning run_id, seq"
);

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

/// An address of which her copies tell, unless it is another reader's by now: hash, time and canonical form.
const SUPPRESS_FORMER: &str = "
    insert into suppressions (hash, reason, created_at)
    select $1, 'erased', $2
    where not exists (select 1 from subscribers where canonical = $3)
    on conflict (hash) do update
    set reason = excluded.reason, created_at = excluded.created_at";

/// Those that she gave up for another.
const SUPPRESS_ALL_FORMER: &str = "
    insert into suppressions (hash, reason, created_at)
    select f.hash, 'erased', $2 from former_addresses f
    where f.subscriber_id = $1
    on conflict (hash) do update
    set reason = excluded.reason, created_at = excluded.created_at";

const SUPPRESS_OWN: &str = "
    insert into suppressions (hash, reason, created_at) values ($1, 'erased', $2)
    on conflict (hash) do update
    set reason = excluded.reason, created_at = excluded.created_at";

const SUPPRESS_MAILBOX: &str =
    "update suppressions set mailbox = $2 where hash = $1 and reason = 'erased'";

const TAKE_QUEUED: &str = "
    update deliveries set state = 'suppressed', settled_at = $2
    where state = 'queued' and subscriber_id = $1
    returning run_id, seq";

/// What both ends said of a failed attempt names the reader; its class may stay.
const CLEAR_DIALOGUES: &str = "
    update failures set dialogue = ''
    where (run_id, seq) in (select run_id, seq from deliveries where subscriber_id = $1)";

/// A number of its own in the run instead of the reader's key: numbers begin at -1, keys at 1. That a copy counts
/// nothing names nobody, and shares of the run need it.
const DISOWN: &str = "
    update deliveries set subscriber_id = -1 - seq, reply = null,
        copy = case when copy like '%\"untracked\":true%'
            then '{\"forgotten\":true,\"untracked\":true}' end
    where subscriber_id = $1";

/// Suppresses the address of a reader, by its `hash`, and all that she had before it:
/// `suppress_all!(conn, subscriber, hash, former, at)`.
macro_rules! suppress_all {
    ($conn:expr, $subscriber:expr, $hash:expr, $former:expr, $at:expr) => {
        for Address {
            canonical, hash, ..
        } in $former
        {
            sqlx::query(SUPPRESS_FORMER)
                .bind(&hash[..])
                .bind($at.0)
                .bind(canonical)
                .execute(&mut *$conn)
                .await?;
        }
        sqlx::query(SUPPRESS_ALL_FORMER)
            .bind($subscriber)
            .bind($at.0)
            .execute(&mut *$conn)
            .await?;
        sqlx::query(SUPPRESS_OWN)
            .bind($hash)
            .bind($at.0)
            .execute(&mut *$conn)
            .await?;
        let spelled = $former.iter().filter(|one| one.mailbox != one.hash);
        for Address { hash, mailbox, .. } in spelled {
            sqlx::query(SUPPRESS_MAILBOX)
                .bind(&hash[..])
                .bind(&mailbox[..])
                .execute(&mut *$conn)
                .await?;
        }
    };
}

/// Takes what is queued for a reader, and for an address that she wished for: `take_all!(self, conn, subscriber, at)`.
macro_rules! take_all {
    ($store:expr, $conn:expr, $subscriber:expr, $at:expr) => {
        await_freeze!($store, $conn);
        for (take, state) in [
            (TAKE_QUEUED, State::Suppressed),
            (CANCEL_MOVES, State::Cancelled),
        ] {
            let taken: Vec<(i64, i64)> = sqlx::query_as(take)
                .bind($subscriber)
                .bind($at.0)
                .fetch_all(&mut *$conn)
                .await?;
            let moves = moved(&taken, state);
            apply_moves!($store, $conn, moves);
        }
    };
}

/// Clears what mails that went to a reader, or may have, say of her: `clear_words!(conn, subscriber, at)`.
macro_rules! clear_words {
    ($conn:expr, $subscriber:expr, $at:expr) => {
        for clear in [CLEAR_MOVES, CLEAR_MAILS] {
            sqlx::query(clear)
                .bind($subscriber)
                .execute(&mut *$conn)
                .await?;
        }
        for clear in CLEAR_TESTS {
            sqlx::query(clear).bind($at.0).execute(&mut *$conn).await?;
        }
        sqlx::query(CLEAR_DIALOGUES)
            .bind($subscriber)
            .execute(&mut *$conn)
            .await?;
    };
}

/// An address that a reader has or had: its canonical form, and the keyed hashes of that and of its mailbox.
#[derive(Clone, Debug)]
pub struct Address {
    pub canonical: String,
    pub hash: [u8; 32],
    pub mailbox: [u8; 32],
}

impl Store {
    /// The newest copies of this reader's mails, as they are kept.
    pub async fn copies_of(&self, reader: SubscriberId) -> Result<Vec<String>> {
        read!(self, conn => {
            let copies = sqlx::query_scalar(
                "select copy from deliveries where subscriber_id = $1 and copy is not null
                 order by run_id desc, seq desc limit $2",
            )
            .bind(reader.0)
            .bind(EXPORTED)
            .fetch_all(conn)
            .await?;
            Ok(copies)
        })
    }

    /// Erases a reader: her queued mail is taken, the copies, the words of relays and the values of her
    /// system mails and of all test copies, which may be hers, go, her deliveries belong to nobody, that she joined and
    /// left her lists stays counted by day, and the
    /// keyed hash of her address stays suppressed, so that no import brings her back; so does that of each of
    /// the `former` ones that is nobody else's, and those of their mailboxes. True if there was such a reader.
    pub async fn erase(
        &self,
        reader: SubscriberId,
        former: &[Address],
        at: Timestamp,
    ) -> Result<bool> {
        let erased = again!(self.try_erase(reader, former, at).await)?;
        if erased && let Err(error) = self.empty_log().await {
            tracing::warn!(%error, "the write-ahead log is emptied by the next round of keeping house");
        }
        Ok(erased)
    }

    async fn try_erase(
        &self,
        reader: SubscriberId,
        former: &[Address],
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            // The write takes the reader's row: two erasures come one after the other.
            let found: Option<(i64, Vec<u8>)> = sqlx::query_as(
                "update subscribers set hash = hash where id = $1 returning id, hash",
            )
            .bind(reader.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((subscriber, hash)) = found else {
                return Ok(false);
            };
            sqlx::query(self.sql(COUNT_LEFT))
                .bind(subscriber)
                .bind(at.0)
                .execute(&mut *conn)
                .await?;
            suppress_all!(conn, subscriber, hash, former, at);
            take_all!(self, conn, subscriber, at);
            clear_words!(conn, subscriber, at);
            sqlx::query(DISOWN).bind(subscriber).execute(&mut *conn).await?;
            sqlx::query("delete from subscribers where id = $1")
                .bind(subscriber)
                .execute(&mut *conn)
                .await?;
            true
        })
    }

    /// All that is known of the reader.
    pub async fn export_reader(&self, reader: SubscriberId) -> Result<Option<Export>> {
        read!(self, conn => {
            let found: Option<(i64, String, String, String, i64, String)> = sqlx::query_as(
                "select id, address, name, fields, created_at, tracking from subscribers
                 where id = $1",
            )
            .bind(reader.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((id, address, name, fields, created_at, tracking)) = found else {
                return Ok(None);
            };
            let tags: Vec<String> =
                sqlx::query_scalar("select tag from tags where subscriber_id = $1 order by tag")
                    .bind(id)
                    .fetch_all(&mut *conn)
                    .await?;
            let new_address: Option<String> = sqlx::query_scalar(
                "select c.address from address_changes c join subscribers s on s.id = c.subscriber_id
                 where s.id = $1 and c.canonical <> s.canonical",
            )
            .bind(id)
            .fetch_optional(&mut *conn)
            .await?;
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
                CONSENTS,
            )
            .bind(id)
            .bind(EXPORTED)
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
            let events: Vec<EventColumns> = sqlx::query_as(
                "select e.at, e.kind, r.title, e.link, l.url, e.evidence from deliveries d
                 join delivery_events x on x.run_id = d.run_id and x.seq = d.seq
                 join events e on e.id = x.event_id
                 join runs r on r.id = d.run_id
                 left join links l on l.revision = r.revision and l.link = e.link
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
                tags,
                new_address,
                subscriptions: subscriptions.into_iter().map(subscription).collect(),
                consents: consents.into_iter().rev().map(|(at, what, list)| serde_json::json!({
                    "at": time(at), "what": what, "list": list,
                })).collect(),
                mails: mails.into_iter().map(|(title, state, at)| serde_json::json!({
                    "title": title, "state": state, "at": at.map(time),
                })).collect(),
                events: events.into_iter().map(|(at, kind, issue, link, url, evidence)| serde_json::json!({
                    "at": time(at), "kind": kind, "issue": issue, "link": link, "url": url,
                    "evidence": json(&evidence),
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
