//! Leaving wins: the transaction that ends a subscription or suppresses an address also takes that
//! reader's queued deliveries, so that no marker commits after it. And the way back, from the same page.
//!
//! Invariant: after `leave` or `suppress` has returned, no copy that had no marker yet reaches smtp. A freeze under
//! way is no way around it: see [`FREEZE_LOCK`].

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::{DeliveryKey, RunId, SubscriptionKey};
use crate::store::blocks::{Moves, apply_moves};
use crate::store::consents::note_consent;
use crate::store::departures::{STAY, STAYED};
use crate::store::import_moves::SEAL_ONE;
use crate::store::{Result, Store};

/// A freeze's step reads who takes part and writes their deliveries, which nobody sees before its commit. It takes this
/// lock alone, and reads only then; whoever takes queued mail takes it with others, after the statement that ended
/// what the mail was for and before the one that takes it. So either the step saw the end or its rows are seen.
/// Differs by necessity: on SQLite there is one writer.
pub(crate) const FREEZE_LOCK: i64 = 0x7072_7366_7265_657a;

/// Waits for the freeze's step under way, before queued mail is taken: `await_freeze!(self, conn)`.
macro_rules! await_freeze {
    ($store:expr, $conn:expr) => {
        if !$store.is_sqlite() {
            sqlx::query("select pg_advisory_xact_lock_shared($1)")
                .bind($crate::store::leave::FREEZE_LOCK)
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(crate) use await_freeze;

/// Waits for those who take queued mail, before a freeze's step reads: `keep_leavers_out!(self, conn)`.
macro_rules! keep_leavers_out {
    ($store:expr, $conn:expr) => {
        if !$store.is_sqlite() {
            sqlx::query("select pg_advisory_xact_lock($1)")
                .bind($crate::store::leave::FREEZE_LOCK)
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(crate) use keep_leavers_out;

/// Holds one address, by its keyed hash, for the length of a transaction: whoever suppresses it and whoever queues a
/// mail to it come one after the other, also where no reader has it yet or any more: `hold_address!(self, conn, hash)`.
/// Differs by necessity: on SQLite there is one writer.
macro_rules! hold_address {
    ($store:expr, $conn:expr, $hash:expr) => {
        if !$store.is_sqlite() {
            let hash: &[u8] = &$hash[..];
            let number = hash
                .first_chunk()
                .map_or(0, |first| i64::from_be_bytes(*first));
            sqlx::query("select pg_advisory_xact_lock($1)")
                .bind(number)
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(crate) use hold_address;

/// Queued mail of readers for lists, as pairs of reader and list: the lists' issue runs, and system mails sent on their
/// behalf.
pub(crate) const TAKE_QUEUED: &str = "
    update deliveries set state = $3, settled_at = $2
    where state = 'queued' and (run_id, seq) in (
        select d.run_id, d.seq
        from json_each($1) as v cross join deliveries d
        where d.subscriber_id = cast(v.value->>0 as bigint) and d.state = 'queued' and (
            d.run_id in (
                select id from runs where kind = 'issue' and list_id = cast(v.value->>1 as bigint)
            )
            or (d.run_id = 1 and exists (
                select 1 from system_mails m
                where m.run_id = 1 and m.seq = d.seq and m.list_id = cast(v.value->>1 as bigint)
            ))
        )
    )
    returning run_id, seq";

/// Takes the queued mail of readers, given as pairs of reader and list, inside the transaction that ends
/// their subscriptions, and gives the moves: `take_queued!(self, conn, readers, at)`. Whoever only pauses has
/// not unsubscribed: her mail goes into another state, given behind.
macro_rules! take_queued {
    ($store:expr, $conn:expr, $readers:expr, $at:expr) => {
        $crate::store::leave::take_queued!(
            $store,
            $conn,
            $readers,
            $at,
            $crate::delivery::State::Unsubscribed
        )
    };
    ($store:expr, $conn:expr, $readers:expr, $at:expr, $to:expr) => {{
        let to: $crate::delivery::State = $to;
        let readers: Vec<(i64, i64)> = $readers.collect();
        let taken: Vec<(i64, i64)> = match readers.is_empty() {
            true => Vec::new(),
            false => {
                $crate::store::leave::await_freeze!($store, $conn);
                sqlx::query_as($store.sql($crate::store::leave::TAKE_QUEUED))
                    .bind(serde_json::to_string(&readers).expect("numbers are JSON"))
                    .bind($at.0)
                    .bind(to.name())
                    .fetch_all(&mut *$conn)
                    .await?
            }
        };
        $crate::store::leave::moved(&taken, to)
    }};
}
pub(crate) use take_queued;

/// All queued mail of the reader behind one suppressed address.
const TAKE_SUPPRESSED: &str = "
    update deliveries set state = 'suppressed', settled_at = $2
    where state = 'queued'
      and subscriber_id in (select id from subscribers where canonical = $1)
    returning run_id, seq";

/// Queued mails of the open run that go to an address and to no reader: another address that was wished for, one that
/// was given up, a link that was asked for.
const TO_NOBODY: &str = "
    select d.seq, m.address from blocks b cross join deliveries d cross join system_mails m
    where b.run_id = 1 and b.queued > 0 and d.run_id = 1
      and d.seq >= b.block * 256 and d.seq < (b.block + 1) * 256
      and d.state = 'queued' and d.subscriber_id = 0
      and m.run_id = 1 and m.seq = d.seq and m.kind = 'confirm' and m.address is not null";

const TAKE_ONE: &str = "
    update deliveries set state = 'suppressed', settled_at = $2
    where run_id = 1 and seq = $1 and state = 'queued'
    returning run_id, seq";

/// One subscription.
const LEAVE: &str = "
    update subscriptions set status = 'unsubscribed', left_at = $2, left_why = $3
    where key = $1 and status <> 'unsubscribed'
    returning list_id, subscriber_id";

/// What ended together with one subscription, not before `$2`, and with `$4` what she has left since; nobody who never
/// confirmed is brought back. It goes on as if it had never ended: she joined when she joined, and what rested until a
/// day rests until then. Only the list's journal keeps that she was away.
const RETURN: &str = "
    update subscriptions
    set status = case when paused_until > $3 then 'paused' else 'confirmed' end, left_at = null,
        returned_at = $3, paused_until = case when paused_until > $3 then paused_until end
    where subscriber_id = (select n.subscriber_id from subscriptions n where n.key = $1)
      and status = 'unsubscribed' and confirmed_at is not null and left_at >= $2
      and (
          left_at = (select n.left_at from subscriptions n where n.key = $1)
          or (
              cast($4 as bigint) = 1 and left_why is null
              and left_at > (select n.left_at from subscriptions n where n.key = $1)
          )
      )
      and not exists (
          select 1 from suppressions x join subscribers s on s.hash = x.hash
          where s.id = subscriptions.subscriber_id
      )
    returning list_id, subscriber_id";

/// Whom the author had taken off, and who leaves by her own hand since: nobody may put her back any more. It is not null
/// as where she alone left: that press ended nothing, and what takes it back brings nothing back.
pub(crate) const OWN_HAND: &str = "
    update subscriptions set left_why = ''
    where key in (select cast(value as bigint) from json_each($1))
      and status = 'unsubscribed' and left_why = 'author'
    returning key";

/// The same in the journal of their lists, where these stood as taken off.
pub(crate) const OWN_HAND_NOTED: &str = "
    insert into journal (list_id, what, quarter, why, part, number)
    select n.list_id, 'left', n.left_at / 900000, w.why, own_part(), sum(w.number)
    from subscriptions n
        cross join (
            select cast('author' as text) as why, cast(-1 as bigint) as number
            union all select cast('' as text), cast(1 as bigint)
        ) w
    where n.key in (select cast(value as bigint) from json_each($1))
      and n.confirmed_at is not null and n.left_at is not null
      and not exists (
          select 1 from leave_reasons r
          where r.subscription = n.key and r.reason <> '' and r.at >= n.left_at
      )
      and not exists (
          select 1 from subscribers s join suppressions x on x.hash = s.hash
          where s.id = n.subscriber_id and x.created_at <= n.left_at
      )
    group by n.list_id, n.left_at / 900000, w.why
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + excluded.number";

/// Notes that readers leave by their own hand, also where the author or an import had ended it: neither is taken back
/// then. Keys of subscriptions as JSON: `by_own_hand!(self, conn, keys)`.
macro_rules! by_own_hand {
    ($store:expr, $conn:expr, $keys:expr) => {
        let keys: String = $keys;
        sqlx::query($store.sql($crate::store::import_moves::SEAL))
            .bind(&keys)
            .execute(&mut *$conn)
            .await?;
        let hers: Vec<i64> = sqlx::query_scalar($store.sql($crate::store::leave::OWN_HAND))
            .bind(&keys)
            .fetch_all(&mut *$conn)
            .await?;
        if !hers.is_empty() {
            sqlx::query($store.sql($crate::store::leave::OWN_HAND_NOTED))
                .bind(serde_json::to_string(&hers).expect("numbers are JSON"))
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(crate) use by_own_hand;

/// Takes back what the author did by hand, not before `$2`; nobody who never confirmed is made a reader by it, and nobody
/// comes back who left herself or is suppressed.
const PUT_BACK: &str = "
    update subscriptions
    set status = case when paused_until > $3 then 'paused' else 'confirmed' end, left_at = null,
        left_why = null, returned_at = $3, paused_until = case when paused_until > $3 then paused_until end
    where key = $1 and status = 'unsubscribed' and left_why = 'author' and left_at >= $2
      and confirmed_at is not null
      and not exists (
          select 1 from suppressions x join subscribers s on s.hash = x.hash
          where s.id = subscriptions.subscriber_id
      )";

impl Store {
    /// Ends the subscription `key` by its reader's own hand and takes its queued deliveries. True if the status changed; an
    /// unknown key and one that had left before give false.
    pub async fn leave(&self, key: SubscriptionKey, at: Timestamp) -> Result<bool> {
        again!(self.try_leave(key, None, at).await)
    }

    /// As [`Store::leave`], by the author's hand: the list's journal says so.
    pub async fn take_off(&self, key: SubscriptionKey, at: Timestamp) -> Result<bool> {
        again!(self.try_leave(key, Some("author"), at).await)
    }

    /// Takes [`Store::take_off`] back, unless it was before `since`. Mail that was taken stays taken. True if the reader is
    /// back by this call.
    pub async fn put_back(
        &self,
        key: SubscriptionKey,
        since: Timestamp,
        at: Timestamp,
    ) -> Result<bool> {
        again!(self.try_put_back(key, since, at).await)
    }

    async fn try_put_back(
        &self,
        key: SubscriptionKey,
        since: Timestamp,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let back = sqlx::query(PUT_BACK)
                .bind(key.0)
                .bind(since.0)
                .bind(at.0)
                .execute(conn)
                .await?;
            back.rows_affected() == 1
        })
    }

    async fn try_leave(
        &self,
        key: SubscriptionKey,
        why: Option<&str>,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let ended = sqlx::query_as::<_, (i64, i64)>(LEAVE)
                .bind(key.0)
                .bind(at.0)
                .bind(why)
                .fetch_all(&mut *conn)
                .await?;
            match why {
                None => {
                    by_own_hand!(self, conn, format!("[{}]", key.0));
                }
                // Also where an import had ended it: that one may be taken back.
                Some(_) => {
                    sqlx::query(SEAL_ONE).bind(key.0).execute(&mut *conn).await?;
                }
            }
            let readers = ended.iter().map(|&(list, subscriber)| (subscriber, list));
            let moves = take_queued!(self, conn, readers, at);
            apply_moves!(self, conn, moves);
            !ended.is_empty()
        })
    }

    /// Takes a leaving back, and that of the lists left in the same moment, with `all` of those left after it, too, unless
    /// it was before `since` or the address is suppressed. Noted as a consent; no run has lost her by it. True if the
    /// reader is back by this call.
    pub async fn come_back(
        &self,
        key: SubscriptionKey,
        since: Timestamp,
        all: bool,
        at: Timestamp,
    ) -> Result<bool> {
        again!(self.try_come_back(key, since, all, at).await)
    }

    async fn try_come_back(
        &self,
        key: SubscriptionKey,
        since: Timestamp,
        all: bool,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let left: Option<Option<i64>> =
                sqlx::query_scalar("select left_at from subscriptions where key = $1")
                    .bind(key.0)
                    .fetch_optional(&mut *conn)
                    .await?;
            let back = sqlx::query_as::<_, (i64, i64)>(RETURN)
                .bind(key.0)
                .bind(since.0)
                .bind(at.0)
                .bind(i64::from(all))
                .fetch_all(&mut *conn)
                .await?;
            for &(list, subscriber) in &back {
                note_consent!(conn, subscriber, list, "return", at);
                let stayed: Vec<(i64, i64)> = sqlx::query_as(STAYED)
                    .bind(subscriber)
                    .bind(list)
                    .bind(left.flatten())
                    .fetch_all(&mut *conn)
                    .await?;
                for (run, block) in stayed {
                    sqlx::query(STAY).bind(run).bind(block).execute(&mut *conn).await?;
                }
            }
            sqlx::query(
                "delete from leave_reasons where subscription in (
                     select key from subscriptions where key = $1 and status in ('confirmed', 'paused'))",
            )
            .bind(key.0)
            .execute(&mut *conn)
            .await?;
            !back.is_empty()
        })
    }

    /// Suppresses the `canonical` address under its keyed `hash` and takes all its queued deliveries. True
    /// if it was not suppressed before.
    pub async fn suppress(
        &self,
        canonical: &str,
        hash: &[u8; 32],
        reason: &str,
        at: Timestamp,
    ) -> Result<bool> {
        again!(self.try_suppress(canonical, hash, None, reason, at).await)
    }

    /// [`Store::suppress`], with the address every spelling of its mailbox, by the hash of that.
    pub async fn suppress_mailbox(
        &self,
        canonical: &str,
        (hash, mailbox): (&[u8; 32], &[u8; 32]),
        reason: &str,
        at: Timestamp,
    ) -> Result<bool> {
        let mailbox = Some(mailbox).filter(|mailbox| *mailbox != hash);
        again!(
            self.try_suppress(canonical, hash, mailbox, reason, at)
                .await
        )
    }

    async fn try_suppress(
        &self,
        canonical: &str,
        hash: &[u8; 32],
        mailbox: Option<&[u8; 32]>,
        reason: &str,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            hold_address!(self, conn, hash);
            let added = sqlx::query(
                "insert into suppressions (hash, reason, created_at, mailbox) values ($1, $2, $3, $4)
                 on conflict (hash) do nothing",
            )
            .bind(hash.as_slice())
            .bind(reason)
            .bind(at.0)
            .bind(mailbox.map(|mailbox| &mailbox[..]))
            .execute(&mut *conn)
            .await?
            .rows_affected();
            // Differs by necessity: on PostgreSQL whoever queues a mail for this reader holds her row or her address;
            // the write waits for it and then sees that mail.
            sqlx::query("update subscribers set hash = hash where canonical = $1")
                .bind(canonical)
                .execute(&mut *conn)
                .await?;
            await_freeze!(self, conn);
            let taken = sqlx::query_as::<_, (i64, i64)>(TAKE_SUPPRESSED)
                .bind(canonical)
                .bind(at.0)
                .fetch_all(&mut *conn)
                .await?;
            let mut taken = taken;
            let waiting: Vec<(i64, String)> =
                sqlx::query_as(TO_NOBODY).fetch_all(&mut *conn).await?;
            for (seq, address) in waiting {
                let address = EmailAddress::parse(&address).map(|address| address.canonical());
                if address.is_ok_and(|address| address == canonical) {
                    taken.extend(
                        sqlx::query_as::<_, (i64, i64)>(TAKE_ONE)
                            .bind(seq)
                            .bind(at.0)
                            .fetch_optional(&mut *conn)
                            .await?,
                    );
                }
            }
            let moves = moved(&taken, State::Suppressed);
            apply_moves!(self, conn, moves);
            added == 1
        })
    }
}

pub(crate) fn moved(taken: &[(i64, i64)], to: State) -> Moves {
    let mut moves = Moves::default();
    for &(run, seq) in taken {
        let run = RunId(run);
        let seq = u32::try_from(seq).expect("a seq is written from a u32");
        moves.add(DeliveryKey { run, seq }, State::Queued, to);
    }
    moves
}
