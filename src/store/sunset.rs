//! Readers who did not answer a run that asked them to stay, and the end of their subscriptions.
//!
//! Invariant: whoever wants nothing counted, or got a copy whose answer nobody counts, or was heard of since, is never
//! among them.

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::RunId;
use crate::store::blocks::apply_moves;
use crate::store::consents::note_consent;
use crate::store::leave::take_queued;
use crate::store::{Result, Store};

/// A reader who did not answer.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Silent {
    pub seq: i64,
    pub subscription: i64,
    pub address: String,
}

impl Silent {
    /// The key of the subscription.
    pub fn key(&self) -> i64 {
        self.subscription
    }
}

/// What becomes of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Until the reader says otherwise.
    Paused,
    Unsubscribed,
}

impl End {
    /// The status in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            End::Paused => "paused",
            End::Unsubscribed => "unsubscribed",
        }
    }
}

impl Store {
    /// Up to `limit` readers of `run` behind its delivery `after` who got it by `asked_by`, are confirmed since,
    /// and clicked nothing of it. Readers who were never asked are among them only where `unasked` ones are counted.
    pub async fn silent_of(
        &self,
        run: RunId,
        after: i64,
        asked_by: Timestamp,
        unasked: bool,
        limit: u32,
    ) -> Result<Vec<Silent>> {
        let text = "
            select d.seq, s.key as subscription, u.address
             from deliveries d
                 join runs r on r.id = d.run_id
                 join subscriptions s on s.list_id = r.list_id and s.subscriber_id = d.subscriber_id
                 join subscribers u on u.id = d.subscriber_id
             where d.run_id = $1 and d.seq > $2 and d.state = 'sent' and d.settled_at <= $3
               and s.status = 'confirmed' and s.confirmed_at <= d.settled_at
               and (u.tracking = 'on' or (u.tracking = 'unset' and $5 = 1))
               and coalesce(d.copy, '') not like '%\"untracked\":true%'
               and not exists (
                   select 1 from consents c where c.subscriber_id = u.id and c.at > d.settled_at)
               and not exists (
                   select 1 from judged j
                   where j.run_id = d.run_id and j.seq = d.seq and (j.clicked = 'human' or j.withdrawn = 1))
             order by d.seq
             limit $4";
        read!(self, conn => {
            let silent = sqlx::query_as(text)
                .bind(run.0)
                .bind(after)
                .bind(asked_by.0)
                .bind(i64::from(limit))
                .bind(i64::from(unasked))
                .fetch_all(conn)
                .await?;
            Ok(silent)
        })
    }

    /// Ends the confirmed ones of these subscriptions and takes their queued deliveries; gives how many.
    pub async fn sunset(&self, subscriptions: &[i64], end: End, at: Timestamp) -> Result<u64> {
        again!(self.try_sunset(subscriptions, end, at).await)
    }

    async fn try_sunset(&self, subscriptions: &[i64], end: End, at: Timestamp) -> Result<u64> {
        let keys = serde_json::to_string(subscriptions).expect("numbers always serialise");
        transact!(self, conn => {
            let ended = sqlx::query_as::<_, (i64, i64)>(self.sql(
                "update subscriptions set status = $2, paused_until = null,
                     left_at = case when $2 = 'unsubscribed' then cast($3 as bigint) else left_at end,
                     left_why = case when $2 = 'unsubscribed' then 'sunset' else left_why end
                 where status = 'confirmed'
                   and key in (select cast(value as bigint) from json_each($1))
                 returning list_id, subscriber_id",
            ))
            .bind(keys)
            .bind(end.name())
            .bind(at.0)
            .fetch_all(&mut *conn)
            .await?;
            for &(list, subscriber) in &ended {
                note_consent!(conn, subscriber, list, "sunset", at);
            }
            let readers = ended.iter().map(|&(list, subscriber)| (subscriber, list));
            let to = match end {
                End::Paused => State::Cancelled,
                End::Unsubscribed => State::Unsubscribed,
            };
            let moves = take_queued!(self, conn, readers, at, to);
            apply_moves!(self, conn, moves);
            ended.len() as u64
        })
    }
}
