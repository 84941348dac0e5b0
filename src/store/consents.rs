//! What a reader agreed to or took back, and when: the proof, and a part of what the reader may ask for.

use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId};
use crate::store::{Result, Store};

/// Before the words of whoever says that a reader agreed: it is no act of hers.
pub const STATED: &str = "stated: ";

/// Notes one consent inside a transaction: `note_consent!(conn, subscriber, list, what, at)`. List 0 means
/// all of them. The same word in the same millisecond is one.
macro_rules! note_consent {
    ($conn:expr, $subscriber:expr, $list:expr, $what:expr, $at:expr) => {
        sqlx::query(
            "insert into consents (subscriber_id, at, what, list_id) values ($1, $2, $3, $4)
             on conflict do nothing",
        )
        .bind($subscriber)
        .bind($at.0)
        .bind($what)
        .bind($list)
        .execute(&mut *$conn)
        .await?
    };
}
pub(crate) use note_consent;

impl Store {
    /// Keeps how a reader agreed to get a list, in the author's words.
    pub async fn state_consent(
        &self,
        reader: SubscriberId,
        list: ListId,
        words: &str,
        at: Timestamp,
    ) -> Result<()> {
        let what = format!("{STATED}{words}");
        transact!(self, conn => {
            note_consent!(conn, reader.0, list.0, &what, at);
        })
    }
}
