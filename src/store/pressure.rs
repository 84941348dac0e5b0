//! What the front door has let through lately, and taking signups back that nobody confirmed.

use crate::clock::{DAY, HOUR, Timestamp};
use crate::delivery::State;
use crate::store::blocks::apply_moves;
use crate::store::leave::moved;
use crate::store::{Result, Store};

/// System mails looked at for the last confirm mails: a bound, whatever else is sent.
const LOOK_BACK: i64 = 2_000;
/// Bounces older than this are forgiven.
const FORGIVEN: i64 = DAY;

/// Notes inside a transaction that an address asked for a confirm mail on these lists, and gives those on which it
/// had not within the window: `note_signup!(self, conn, lists, limit, at, mailed_after)`.
macro_rules! note_signup {
    ($store:expr, $conn:expr, $lists:expr, $limit:expr, $at:expr, $mailed_after:expr) => {{
        let lists: Vec<i64> = $lists.collect();
        let limit: &[u8; 32] = $limit;
        sqlx::query_scalar::<_, i64>($store.sql($crate::store::pressure::NOTE_SIGNUP))
            .bind(serde_json::to_string(&lists).expect("numbers are JSON"))
            .bind(&limit[..])
            .bind($at.0)
            .bind($mailed_after.0)
            .fetch_all(&mut *$conn)
            .await?
    }};
}
pub(crate) use note_signup;

/// Confirm mails of one address in a month, whatever it is typed for.
pub(crate) const MONTHLY: i64 = 3;
pub(crate) const MONTH: i64 = 30 * DAY;

/// How many confirm mails an address was sent in the last month: `confirms_lately!(conn, limit, at)`.
macro_rules! confirms_lately {
    ($conn:expr, $limit:expr, $at:expr) => {{
        let limit: &[u8; 32] = $limit;
        sqlx::query("delete from confirm_log where at < $1")
            .bind($at.0 - $crate::store::pressure::MONTH)
            .execute(&mut *$conn)
            .await?;
        sqlx::query_scalar::<_, i64>("select count(*) from confirm_log where hash = $1")
            .bind(&limit[..])
            .fetch_one(&mut *$conn)
            .await?
    }};
}
pub(crate) use confirms_lately;

/// Notes `wanted` (0 or 1) confirm mails to an address: `log_confirm!(conn, limit, at, wanted)`.
macro_rules! log_confirm {
    ($conn:expr, $limit:expr, $at:expr, $wanted:expr) => {{
        let limit: &[u8; 32] = $limit;
        sqlx::query(
            "insert into confirm_log (hash, at) select $1, $2 where $3 = 1 on conflict do nothing",
        )
        .bind(&limit[..])
        .bind($at.0)
        .bind($wanted)
        .execute(&mut *$conn)
        .await?;
    }};
}
pub(crate) use log_confirm;

pub(crate) const NOTE_SIGNUP: &str = "
    insert into signups (hash, list_id, at)
    select $2, cast(value as bigint), $3 from json_each($1)
    where true
    on conflict (hash, list_id) do update set at = excluded.at where signups.at <= $4
    returning list_id";

/// Forms that were taken, and confirm mails, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// Forms, those that mailed nobody among them: of this hour or the one before, whichever had more.
    pub hour: i64,
    /// Of the 168 hours before those.
    pub week: i64,
    /// The last mails of a day of which the outcome is known, and how many of them bounced.
    pub settled: i64,
    pub bounced: i64,
}

const BOUNCES: &str = "
    select count(*), cast(coalesce(sum(case when state = 'bounced' then 1 else 0 end), 0) as bigint)
    from (
        select d.state from system_mails m
        join deliveries d on d.run_id = m.run_id and d.seq = m.seq
        where m.run_id = 1 and m.kind = 'confirm'
          and m.seq >= (select recipients from runs where id = 1) - $1
          and d.state in ('sent', 'bounced') and d.settled_at >= $2
        order by m.seq desc
        limit $3
    ) lately";

/// Signups nobody confirmed. A fresh mail to the same reader keeps them.
const UNCONFIRMED: &str = "
    select n.key from subscriptions n
    where n.status = 'pending' and n.confirmed_at is null and n.source = 'form'
      and n.created_at >= $1 and n.created_at < $2
      and not exists (
          select 1 from deliveries d
          where d.run_id = 1 and d.subscriber_id = n.subscriber_id and d.due_at >= $3
      )
    order by n.created_at
    limit $4";

/// System mails of these readers. The cross join keeps SQLite from going through all system mails instead.
const MAILS_OF: &str = "
    select d.seq from json_each($1) as v cross join deliveries d
    where d.subscriber_id = cast(v.value as bigint) and d.run_id = 1";

impl Store {
    /// What the subscribe form has caused lately, with the outcome of the `last` confirm mails.
    pub async fn signup_pressure(&self, at: Timestamp, last: i64) -> Result<Pressure> {
        let hour = at.0.div_euclid(HOUR);
        read!(self, conn => {
            let (now, week): (i64, i64) = sqlx::query_as(
                "select
                     coalesce((select max(forms) from confirm_hours where hour in ($1, $2)), 0),
                     cast(coalesce((
                         select sum(forms) from confirm_hours where hour < $2 and hour >= $3
                     ), 0) as bigint)",
            )
            .bind(hour)
            .bind(hour - 1)
            .bind(hour - 169)
            .fetch_one(&mut *conn)
            .await?;
            let (settled, bounced): (i64, i64) = sqlx::query_as(BOUNCES)
                .bind(LOOK_BACK)
                .bind(at.0 - FORGIVEN)
                .bind(last)
                .fetch_one(&mut *conn)
                .await?;
            Ok(Pressure { hour: now, week, settled, bounced })
        })
    }

    /// Up to `limit` signups of the form made in `from..to` that nobody confirmed, and to whom no mail is
    /// due after `mailed_after`.
    pub async fn unconfirmed(
        &self,
        from: Timestamp,
        to: Timestamp,
        mailed_after: Timestamp,
        limit: u32,
    ) -> Result<Vec<i64>> {
        read!(self, conn => {
            let keys = sqlx::query_scalar(UNCONFIRMED)
                .bind(from.0)
                .bind(to.0)
                .bind(mailed_after.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(keys)
        })
    }

    /// Removes those of the subscriptions `keys` that are still pending, cancels their readers' waiting
    /// mails, and forgets readers who are on no other list. Gives how many there were.
    pub async fn remove_unconfirmed(&self, keys: &[i64], at: Timestamp) -> Result<u64> {
        again!(self.try_remove(keys, at).await)
    }

    async fn try_remove(&self, keys: &[i64], at: Timestamp) -> Result<u64> {
        let keys = json(keys);
        transact!(self, conn => {
            let readers: Vec<i64> = sqlx::query_scalar(self.sql(
                "delete from subscriptions
                 where status = 'pending' and confirmed_at is null
                   and key in (select cast(value as bigint) from json_each($1))
                 returning subscriber_id",
            ))
            .bind(&keys)
            .fetch_all(&mut *conn)
            .await?;
            let readers_json = json(&readers);
            let gone: Vec<i64> = sqlx::query_scalar(self.sql(
                "delete from subscribers
                 where id in (select cast(value as bigint) from json_each($1))
                   and not exists (select 1 from subscriptions n where n.subscriber_id = subscribers.id)
                 returning id",
            ))
            .bind(&readers_json)
            .fetch_all(&mut *conn)
            .await?;
            let mails: Vec<i64> = sqlx::query_scalar(self.sql(MAILS_OF))
                .bind(json(&gone))
                .fetch_all(&mut *conn)
                .await?;
            let mails = json(&mails);
            let taken = sqlx::query_as::<_, (i64, i64)>(self.sql(
                "update deliveries set state = 'cancelled', settled_at = $2
                 where run_id = 1 and seq in (select cast(value as bigint) from json_each($1))
                   and state = 'queued'
                 returning run_id, seq",
            ))
            .bind(&mails)
            .bind(at.0)
            .fetch_all(&mut *conn)
            .await?;
            let moves = moved(&taken, State::Cancelled);
            apply_moves!(self, conn, moves);
            // Their addresses go with them, out of what was said of their mails as well.
            for clear in [
                "update deliveries set copy = null, reply = null
                 where run_id = 1 and seq in (select cast(value as bigint) from json_each($1))",
                "update failures set dialogue = ''
                 where run_id = 1 and seq in (select cast(value as bigint) from json_each($1))",
            ] {
                sqlx::query(self.sql(clear)).bind(&mails).execute(&mut *conn).await?;
            }
            readers.len() as u64
        })
    }
}

fn json(numbers: &[i64]) -> String {
    serde_json::to_string(numbers).expect("numbers are JSON")
}
