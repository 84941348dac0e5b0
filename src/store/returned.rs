//! What came back by mail: a delivery that was sent and was not delivered after all, or that its reader calls spam.

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::DeliveryKey;
use crate::reply::Reply;
use crate::store::blocks::{Moves, apply_moves};
use crate::store::events::take_event_ids;
use crate::store::{Result, Store};

/// A delivery report of a failure.
#[derive(Clone, Debug)]
pub struct Bounce<'a> {
    pub key: DeliveryKey,
    pub reply: &'a Reply,
    pub at: Timestamp,
}

/// Whose a delivery is.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// As she is reached now.
    pub canonical: String,
    pub hash: [u8; 32],
    /// What the copy was made of, her address of then among it.
    pub copy: Option<String>,
}

const STATE: &str = "
    select state from deliveries
    where run_id = $1 and seq = $2 and state in ('sent', 'uncertain')
    /* for update */";

/// What a report says of an erased reader (her deliveries belong to numbers below 0) names her.
const BOUNCED: &str = "
    update deliveries
    set state = 'bounced', settled_at = $3, code = $4, enhanced = $5,
        reply = case when subscriber_id < 0 then null else cast($6 as text) end
    where run_id = $1 and seq = $2";

/// Of a copy of an issue, its state; a second complaint of the same reader about the same copy finds nothing.
const UNCOMPLAINED: &str = "
    select d.state from deliveries d join runs r on r.id = d.run_id and r.kind = 'issue'
    where d.run_id = $1 and d.seq = $2 and d.complained_at is null
    /* for update of d */";

/// Whoever complains has got it.
const COMPLAINED: &str = "
    update deliveries
    set complained_at = $3, settled_at = coalesce(settled_at, $3),
        state = case when state = 'uncertain' then 'sent' else state end
    where run_id = $1 and seq = $2";

impl Store {
    /// Notes that the reader of a copy complained: on the delivery, in the counters and as an event. True if it is
    /// counted by this call.
    pub async fn note_complaint(&self, key: DeliveryKey, at: Timestamp) -> Result<bool> {
        again!(self.try_note_complaint(key, at).await)
    }

    async fn try_note_complaint(&self, key: DeliveryKey, at: Timestamp) -> Result<bool> {
        let (run, seq) = (key.run.0, i64::from(key.seq));
        transact!(self, conn => {
            // First, as everyone does who writes events and counts them.
            let id = take_event_ids!(conn, at, 1);
            let state: Option<String> = sqlx::query_scalar(self.sql(UNCOMPLAINED))
                .bind(run)
                .bind(seq)
                .fetch_optional(&mut *conn)
                .await?;
            let Some(state) = state else {
                return Ok(false);
            };
            sqlx::query(COMPLAINED)
                .bind(run)
                .bind(seq)
                .bind(at.0)
                .execute(&mut *conn)
                .await?;
            let mut moves = Moves::default();
            if State::parse(&state) == Some(State::Uncertain) {
                moves.add(key, State::Uncertain, State::Sent);
            }
            apply_moves!(self, conn, moves);
            sqlx::query("update blocks set complained = complained + 1 where run_id = $1 and block = $2")
                .bind(run)
                .bind(i64::from(key.block()))
                .execute(&mut *conn)
                .await?;
            sqlx::query(
                "insert into events (id, at, kind, run_id, seq, evidence)
                 values ($1, $2, 'complaint', $3, $4, '{}')",
            )
            .bind(id)
            .bind(at.0)
            .bind(run)
            .bind(seq)
            .execute(&mut *conn)
            .await?;
            true
        })
    }

    /// Moves a delivery that counted as sent, or of which nobody knew, to bounced, and notes the event. True if it
    /// did so by this call.
    pub async fn note_bounce(&self, bounce: &Bounce<'_>) -> Result<bool> {
        again!(self.try_note_bounce(bounce).await)
    }

    async fn try_note_bounce(&self, bounce: &Bounce<'_>) -> Result<bool> {
        let (run, seq) = (bounce.key.run.0, i64::from(bounce.key.seq));
        transact!(self, conn => {
            // First, as everyone does who writes events.
            let id = take_event_ids!(conn, bounce.at, 1);
            let state: Option<String> = sqlx::query_scalar(self.sql(STATE))
                .bind(run)
                .bind(seq)
                .fetch_optional(&mut *conn)
                .await?;
            let Some(from) = state.as_deref().and_then(State::parse) else {
                return Ok(false);
            };
            sqlx::query(BOUNCED)
                .bind(run)
                .bind(seq)
                .bind(bounce.at.0)
                .bind(i64::from(bounce.reply.code))
                .bind(&bounce.reply.enhanced)
                .bind(&bounce.reply.text)
                .execute(&mut *conn)
                .await?;
            let mut moves = Moves::default();
            moves.add(bounce.key, from, State::Bounced);
            apply_moves!(self, conn, moves);
            sqlx::query(
                "insert into events (id, at, kind, run_id, seq, evidence)
                 values ($1, $2, 'bounce', $3, $4, '{}')",
            )
            .bind(id)
            .bind(bounce.at.0)
            .bind(run)
            .bind(seq)
            .execute(&mut *conn)
            .await?;
            true
        })
    }

    /// The canonical address of a delivery's reader, its keyed hash, and the copy as it is kept; none of whoever is no
    /// reader any more.
    pub async fn reader_of_delivery(&self, key: DeliveryKey) -> Result<Option<Addressee>> {
        read!(self, conn => {
            let found: Option<(String, Vec<u8>, Option<String>)> = sqlx::query_as(
                "select s.canonical, s.hash, d.copy from deliveries d
                 join subscribers s on s.id = d.subscriber_id
                 where d.run_id = $1 and d.seq = $2",
            )
            .bind(key.run.0)
            .bind(i64::from(key.seq))
            .fetch_optional(conn)
            .await?;
            Ok(found.and_then(|(canonical, hash, copy)| {
                Some(Addressee {
                    hash: hash.try_into().ok()?,
                    canonical,
                    copy,
                })
            }))
        })
    }
}
