//! What a reader decides for herself on the preferences page: lists, pause, frequency, tracking.
//!
//! Promises: every change is one transaction with its consent noted; whoever pauses is taken out of every
//! run in flight; a reader joins only while the address is proven and not suppressed. Changing the
//! address and being erased are in `identity`.

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::delivery::State;
use crate::event::{Event, EventKind, Evidence};
use crate::id::{DeliveryKey, ListId, RunId, SubscriberId, SubscriptionKey};
use crate::store::blocks::apply_moves;
use crate::store::consents::note_consent;
use crate::store::events::{ADD_EVENTS, event_rows, json, take_event_ids};
use crate::store::leave::take_queued;
use crate::store::{Result, Store};
use crate::subscriber::Status;

/// A reader behind a manage link.
#[derive(Clone, Debug)]
pub struct Reader {
    pub id: SubscriberId,
    /// The whole address: a page shows it masked.
    pub address: EmailAddress,
    pub canonical: String,
    pub hash: [u8; 32],
    /// `unset`, `on` or `off`.
    pub tracking: String,
    /// Why the address is suppressed, if it is.
    pub suppressed: Option<String>,
    /// Since when another address waits to be confirmed.
    pub moving_since: Option<Timestamp>,
    pub standings: Vec<StandingOn>,
}

/// A list, and how the reader stands on it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StandingOn {
    pub list_id: i64,
    pub slug: String,
    pub title: String,
    /// None on lists that the reader never joined.
    pub status: Option<Status>,
    pub confirmed_at: Option<i64>,
    pub left_at: Option<i64>,
    pub paused_until: Option<i64>,
    pub frequency: String,
}

impl StandingOn {
    /// Whether the reader is on the list, resting or not.
    pub fn is_on(&self) -> bool {
        self.status.is_some_and(Status::is_on)
    }

    /// Whether she wants the digest of the month alone.
    pub fn is_monthly(&self) -> bool {
        self.frequency == "monthly"
    }
}

impl Reader {
    /// Whether the owner of the address has confirmed it on any list.
    pub fn is_proven(&self) -> bool {
        self.suppressed.is_none() && self.standings.iter().any(|on| on.confirmed_at.is_some())
    }

    /// Whether she may wish for another address: one that took no mail is the very reason to.
    pub fn may_move(&self) -> bool {
        matches!(self.suppressed.as_deref(), None | Some("bounced"))
    }
}

type ReaderColumns = (
    i64,
    String,
    String,
    Vec<u8>,
    String,
    Option<String>,
    Option<i64>,
);

/// The reader behind a subscription, if nothing speaks against a mail to her.
const JOINER: &str = "
    select n.subscriber_id from subscriptions n join subscribers s on s.id = n.subscriber_id
    where n.key = $1
      and exists (
          select 1 from subscriptions p
          where p.subscriber_id = n.subscriber_id and p.confirmed_at is not null
      )
      and not exists (select 1 from suppressions x where x.hash = s.hash)";

const JOIN: &str = "
    insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at)
    values ($1, $2, $3, 'confirmed', 'preferences', $4, $4)
    on conflict (list_id, subscriber_id) do update
    set status = 'confirmed', confirmed_at = excluded.confirmed_at, joined_at = excluded.confirmed_at,
        left_at = null, paused_until = null
    where subscriptions.status in ('pending', 'unsubscribed')";

/// Copies that the reader behind a subscription has got, as far as she has not withdrawn from them before.
const COUNTED: &str = "
    select d.run_id, d.seq
    from deliveries d left join judged j on j.run_id = d.run_id and j.seq = d.seq
    where d.subscriber_id = (select n.subscriber_id from subscriptions n where n.key = $1)
      and d.run_id > 1 and d.state in ('sent', 'at_dot', 'uncertain') and coalesce(j.withdrawn, 0) = 0
    order by d.run_id, d.seq";

/// That a copy counts nothing from now on; none of one whose number no program of ours gives.
fn withdrawal((run, seq): (i64, i64), at: Timestamp) -> Option<Event> {
    Some(Event {
        kind: EventKind::Withdrawal,
        delivery: DeliveryKey {
            run: RunId(run),
            seq: u32::try_from(seq).ok()?,
        },
        link: None,
        at,
        evidence: Evidence::default(),
    })
}

impl Store {
    /// The reader behind the subscription `key`, with every list there is.
    pub async fn reader(&self, key: SubscriptionKey) -> Result<Option<Reader>> {
        read!(self, conn => {
            let found: Option<ReaderColumns> = sqlx::query_as(
                "select s.id, s.address, s.canonical, s.hash, s.tracking,
                        (select x.reason from suppressions x where x.hash = s.hash),
                        (select c.at from address_changes c
                         where c.subscriber_id = s.id and c.canonical <> s.canonical)
                 from subscribers s
                 where s.id = (select subscriber_id from subscriptions where key = $1)",
            )
            .bind(key.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(columns) = found else {
                return Ok(None);
            };
            let standings = sqlx::query_as::<_, StandingOn>(
                "select l.id as list_id, l.slug, l.title, n.status,
                        n.confirmed_at, n.left_at, n.paused_until,
                        coalesce(n.frequency, 'every') as frequency
                 from lists l
                 left join subscriptions n on n.list_id = l.id and n.subscriber_id = $1
                 order by l.id",
            )
            .bind(columns.0)
            .fetch_all(&mut *conn)
            .await?;
            Ok(reader(columns, standings))
        })
    }

    /// Puts the reader behind `key` on `list` without a further mail: her address is proven. `fresh` is the
    /// key of a subscription that has to be made. True if she joined by this call.
    pub async fn join(
        &self,
        key: SubscriptionKey,
        list: ListId,
        fresh: i64,
        at: Timestamp,
    ) -> Result<bool> {
        again!(self.try_join(key, list, fresh, at).await)
    }

    async fn try_join(
        &self,
        key: SubscriptionKey,
        list: ListId,
        fresh: i64,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let joiner: Option<i64> = sqlx::query_scalar(JOINER)
                .bind(key.0)
                .fetch_optional(&mut *conn)
                .await?;
            let Some(subscriber) = joiner else {
                return Ok(false);
            };
            let joined = sqlx::query(JOIN)
                .bind(fresh)
                .bind(list.0)
                .bind(subscriber)
                .bind(at.0)
                .execute(&mut *conn)
                .await?
                .rows_affected();
            if joined > 0 {
                note_consent!(conn, subscriber, list.0, "join", at);
            }
            joined > 0
        })
    }

    /// Ends the subscription of the reader behind `key` to `list`.
    pub async fn leave_list(
        &self,
        key: SubscriptionKey,
        list: ListId,
        at: Timestamp,
    ) -> Result<bool> {
        let other: Option<i64> = read!(self, conn => {
            sqlx::query_scalar(
                "select o.key from subscriptions o
                 join subscriptions n on n.subscriber_id = o.subscriber_id
                 where n.key = $1 and o.list_id = $2",
            )
            .bind(key.0)
            .bind(list.0)
            .fetch_optional(conn)
            .await?
        });
        match other {
            Some(other) => self.leave(SubscriptionKey(other), at).await,
            None => Ok(false),
        }
    }

    /// Lets every confirmed subscription of the reader behind `key` rest until `until`, and cancels her
    /// queued deliveries. True if there was one.
    pub async fn pause(
        &self,
        key: SubscriptionKey,
        until: Timestamp,
        at: Timestamp,
    ) -> Result<bool> {
        again!(self.try_pause(key, until, at).await)
    }

    async fn try_pause(
        &self,
        key: SubscriptionKey,
        until: Timestamp,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let resting = sqlx::query_as::<_, (i64, i64)>(
                "update subscriptions set status = 'paused', paused_until = $2
                 where subscriber_id = (select n.subscriber_id from subscriptions n where n.key = $1)
                   and status in ('confirmed', 'paused')
                 returning list_id, subscriber_id",
            )
            .bind(key.0)
            .bind(until.0)
            .fetch_all(&mut *conn)
            .await?;
            let readers = resting.iter().map(|&(list, subscriber)| (subscriber, list));
            let moves = take_queued!(self, conn, readers, at, State::Cancelled);
            apply_moves!(self, conn, moves);
            !resting.is_empty()
        })
    }

    /// Ends the pause of the reader behind `key` before its time.
    pub async fn unpause(&self, key: SubscriptionKey) -> Result<bool> {
        transact!(self, conn => {
            let woken = sqlx::query(
                "update subscriptions set status = 'confirmed', paused_until = null
                 where subscriber_id = (select n.subscriber_id from subscriptions n where n.key = $1)
                   and status = 'paused'",
            )
            .bind(key.0)
            .execute(conn)
            .await?;
            woken.rows_affected() > 0
        })
    }

    /// Wakes every pause that is over at `at`; gives how many there were.
    pub async fn wake_paused(&self, at: Timestamp) -> Result<u64> {
        again!(self.try_wake(at).await)
    }

    async fn try_wake(&self, at: Timestamp) -> Result<u64> {
        transact!(self, conn => {
            let woken = sqlx::query(WAKE_PAUSED).bind(at.0).execute(conn).await?;
            woken.rows_affected()
        })
    }

    /// How often the reader behind `key` wants mail of these lists: `every` issue, or the `monthly` ones.
    pub async fn set_frequency(
        &self,
        key: SubscriptionKey,
        frequency: &str,
        lists: &[ListId],
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(self.sql(
                "update subscriptions set frequency = $2
                 where subscriber_id = (select n.subscriber_id from subscriptions n where n.key = $1)
                   and list_id in (select cast(value as bigint) from json_each($3))
                   and frequency <> $2",
            ))
            .bind(key.0)
            .bind(frequency)
            .bind(json(lists.iter()))
            .execute(conn)
            .await?;
        })
    }

    /// Whether opens and clicks of the reader behind `key` may be counted, those of mail already sent
    /// among them. Who wants it no more takes what she did along: the log says so of each of her copies.
    pub async fn set_tracking(&self, key: SubscriptionKey, on: bool, at: Timestamp) -> Result<()> {
        let (tracking, what) = match on {
            true => ("on", "tracking-on"),
            false => ("off", "tracking-off"),
        };
        transact!(self, conn => {
            // Before the rest, as everyone does who writes events.
            let sent: Vec<(i64, i64)> = match on {
                true => Vec::new(),
                false => sqlx::query_as(COUNTED).bind(key.0).fetch_all(&mut *conn).await?,
            };
            let last = take_event_ids!(conn, at, sent.len());
            let changed: Option<i64> = sqlx::query_scalar(
                "update subscribers set tracking = $2
                 where id = (select subscriber_id from subscriptions where key = $1)
                   and tracking <> $2
                 returning id",
            )
            .bind(key.0)
            .bind(tracking)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(subscriber) = changed {
                note_consent!(conn, subscriber, 0_i64, what, at);
                let events: Vec<Event> = sent.into_iter().filter_map(|copy| withdrawal(copy, at)).collect();
                let events: Vec<&Event> = events.iter().collect();
                sqlx::query(self.sql(ADD_EVENTS))
                    .bind(event_rows(last, &events))
                    .execute(conn)
                    .await?;
            }
        })
    }
}

/// Every pause that is over; a run's freeze begins with it.
pub(crate) const WAKE_PAUSED: &str = "
    update subscriptions set status = 'confirmed', paused_until = null
    where paused_until is not null and paused_until <= $1 and status = 'paused'";

fn reader(columns: ReaderColumns, standings: Vec<StandingOn>) -> Option<Reader> {
    let (id, address, canonical, hash, tracking, suppressed, moving_since) = columns;
    Some(Reader {
        id: SubscriberId(id),
        address: EmailAddress::parse(&address).ok()?,
        canonical,
        hash: hash.try_into().ok()?,
        tracking,
        suppressed,
        moving_since: moving_since.map(Timestamp),
        standings,
    })
}
