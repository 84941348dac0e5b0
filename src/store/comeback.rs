//! What comes back into a queue, and whose reader has left or was suppressed while it was not in it.
//!
//! Invariant: leaving wins. Who leaves takes along what is queued; what stood at the dot then, was uncertain or had
//! failed, is taken when it comes back.

use crate::delivery::State;
use crate::id::{DeliveryKey, RunId};
use crate::store::blocks::Moves;

/// On PostgreSQL, before the deliveries are touched, as a leaving takes them: one that is under way is waited for, and
/// one that begins now waits until they are queued. System mails belong to no subscription of their run.
pub(crate) const LOCK_READERS: &str = "
    select s.key
    from json_each($1) as o
        join deliveries d on d.run_id = cast(o.value->>'run' as bigint)
            and d.seq = cast(o.value->>'seq' as bigint)
        join runs r on r.id = d.run_id
        join subscriptions s on s.list_id = r.list_id and s.subscriber_id = d.subscriber_id
        join subscribers u on u.id = s.subscriber_id
    order by s.key
    /* for share of s, u */";

/// Takes those of a batch that are queued again and are not to be mailed any more.
pub(crate) const TAKE_LEAVERS: &str = "
    update deliveries set settled_at = $2,
        state = case when exists (
            select 1 from subscribers u join suppressions x on x.hash = u.hash
            where u.id = deliveries.subscriber_id
        ) then 'suppressed' else 'unsubscribed' end
    where state = 'queued'
      and (run_id, seq) in (
          select cast(o.value->>'run' as bigint), cast(o.value->>'seq' as bigint) from json_each($1) as o
      )
      and (
          exists (
              select 1 from subscribers u join suppressions x on x.hash = u.hash
              where u.id = deliveries.subscriber_id
          )
          or (run_id <> 1 and not exists (
              select 1 from runs r join subscriptions s on s.list_id = r.list_id
              where r.id = deliveries.run_id and s.subscriber_id = deliveries.subscriber_id
                and s.status = 'confirmed'
          ))
      )
    returning run_id, seq, state";

/// Holds the readers of a batch of keys (run, seq) against a leaving: `lock_readers!(self, conn, keys)`.
macro_rules! lock_readers {
    ($store:expr, $conn:expr, $keys:expr) => {
        if !$store.is_sqlite() {
            sqlx::query($store.sql($crate::store::comeback::LOCK_READERS))
                .bind($keys)
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(crate) use lock_readers;

/// Takes the leavers among a batch of keys that came back into the queue, and notes the moves:
/// `take_leavers!(self, conn, keys, at, moves)`.
macro_rules! take_leavers {
    ($store:expr, $conn:expr, $keys:expr, $at:expr, $moves:expr) => {
        let taken: Vec<(i64, i64, String)> =
            sqlx::query_as($store.sql($crate::store::comeback::TAKE_LEAVERS))
                .bind($keys)
                .bind($at.0)
                .fetch_all(&mut *$conn)
                .await?;
        $crate::store::comeback::note(&taken, &mut $moves);
    };
}
pub(crate) use take_leavers;

/// Notes that these left the queue for the state that stands with them.
pub(crate) fn note(taken: &[(i64, i64, String)], moves: &mut Moves) {
    for (run, seq, state) in taken {
        let key = DeliveryKey {
            run: RunId(*run),
            seq: u32::try_from(*seq).expect("a seq is written from a u32"),
        };
        let to = State::parse(state).expect("the statement names two states");
        moves.add(key, State::Queued, to);
    }
}
