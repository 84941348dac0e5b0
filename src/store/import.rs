//! Many readers at once: what is known of a batch, and the changes to it, in one short transaction.
//!
//! Promises: a batch is taken whole or not at all; nobody's status is changed behind a change that came between. Which
//! changes are made, the caller decides.

use serde_json::to_string;

use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::store::import::changing::{
    add_readers, add_subscriptions, bar, confirm, describe, end, step, suppress, vouch,
};
use crate::store::import::known::look_up;
use crate::store::import_moves::note_moves;
use crate::store::spellings::add_spelled;
use crate::store::{CHECKPOINT, Result, Store};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

mod changing;
mod known;

/// What the store knows of one address of a batch.
#[derive(Clone, Debug)]
pub struct Known {
    /// Position in the batch, from 0.
    pub position: usize,
    /// The reader, with name and fields, if there is one.
    pub reader: Option<(SubscriberId, String, Fields)>,
    /// The reader's subscription to the list, if there is one.
    pub subscription: Option<Held>,
    /// Nothing is mailed to this address.
    pub suppressed: bool,
    /// Nobody new is mailed at this mailbox: it is refused, perhaps under another spelling, and a reader who has the
    /// address at hand may get mail all the same.
    pub refused: bool,
    /// The reader's address stands under a hash of another keyring: nothing is known of its suppression.
    pub foreign: bool,
    /// The address is one that the reader gave up for another.
    pub former: bool,
    /// Who has the mailbox left the list under another spelling of it.
    pub left: bool,
}

impl Known {
    /// Nothing of the address of this position.
    pub(super) fn nobody(position: usize) -> Known {
        Known {
            position,
            reader: None,
            subscription: None,
            suppressed: false,
            refused: false,
            foreign: false,
            former: false,
            left: false,
        }
    }
}

/// A subscription that is there.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub key: SubscriptionKey,
    pub status: Status,
    /// By the reader's own act here, not only by an import or the author's hand.
    pub own: bool,
    /// When it was confirmed, or else asked for.
    pub since: Timestamp,
    /// The import that brought it.
    pub import: Option<i64>,
}

/// An address of a batch.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub canonical: String,
    pub hash: [u8; 32],
    /// The plainest spelling of the mailbox, where it is another one, and its hash.
    pub mailbox: Option<(String, [u8; 32])>,
}

/// What is to become of a batch.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub readers: Vec<NewReader>,
    pub subscriptions: Vec<NewSubscription>,
    /// New name and fields of readers that are there.
    pub updates: Vec<(SubscriberId, String, String)>,
    /// Pending subscriptions that become confirmed.
    pub confirms: Vec<SubscriptionKey>,
    /// When the readers of some of them joined where they come from.
    pub joined: Vec<(SubscriptionKey, Timestamp)>,
    /// Subscriptions that this import vouches for, too, and no longer only the one that brought them.
    pub vouched: Vec<SubscriptionKey>,
    /// Subscriptions whose readers have left elsewhere.
    pub leaves: Vec<SubscriptionKey>,
    /// Ended subscriptions of which this import says so, too.
    pub left_again: Vec<SubscriptionKey>,
    /// Addresses never to be mailed again; and those of them who are readers.
    pub suppressions: Vec<Refused>,
    pub barred: Vec<SubscriberId>,
    /// Tags to be put on readers.
    pub tags: Vec<(SubscriberId, String)>,
    /// How far the import is with this batch.
    pub step: Option<Step>,
}

/// The hash of an address that is never to be mailed again, the reason, and the hash of its mailbox where that is refused
/// under every spelling and is another one.
pub type Refused = ([u8; 32], &'static str, Option<[u8; 32]>);

/// One batch more of an import.
#[derive(Clone, Debug)]
pub struct Step {
    pub import: i64,
    /// Batches before this one.
    pub done: u64,
    /// What all of them came to, as JSON.
    pub tally: String,
}

/// A subscription that is not there yet.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    pub key: SubscriptionKey,
    pub reader: SubscriberId,
    pub status: Status,
    pub created_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    /// When the reader joined where she comes from.
    pub joined_at: Option<Timestamp>,
    pub left_at: Option<Timestamp>,
}

/// A reader who is not there yet.
#[derive(Clone, Debug)]
pub struct NewReader {
    pub id: SubscriberId,
    pub address: String,
    pub canonical: String,
    pub hash: [u8; 32],
    pub name: String,
    /// The fields as one JSON object.
    pub fields: String,
    pub created_at: Timestamp,
}

/// Where the subscriptions of a batch come from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub list: ListId,
    pub source: String,
    /// The import, if it is one.
    pub import: Option<i64>,
    pub at: Timestamp,
}

impl Store {
    /// What is known of these addresses: nothing of most of them.
    pub async fn known_readers(&self, list: ListId, batch: &[Wanted]) -> Result<Vec<Known>> {
        read!(self, conn => {
            let mut known: Vec<Known> = look_up!(self, conn, list, batch);
            add_spelled!(self, conn, list, batch, known);
            Ok(known)
        })
    }

    /// Looks the addresses of `batch` up, asks `decide` what to change, and changes it, all in one transaction. With
    /// `blind`, nothing is looked up: the caller believes that all are new, and is told if they are not. False, and
    /// nothing changed, when another process came between, one was not new, or `decide` wants nothing of it.
    pub async fn import_batch(
        &self,
        origin: &Origin,
        batch: &[Wanted],
        blind: bool,
        decide: impl FnOnce(Vec<Known>) -> Option<Changes>,
    ) -> Result<bool> {
        match self.try_batch(origin, batch, blind, decide).await {
            Err(error) if error.is_duplicate() => Ok(false),
            other => other,
        }
    }

    async fn try_batch(
        &self,
        origin: &Origin,
        batch: &[Wanted],
        blind: bool,
        decide: impl FnOnce(Vec<Known>) -> Option<Changes>,
    ) -> Result<bool> {
        transact!(self, conn => {
            let mut known: Vec<Known> = match blind {
                true => Vec::new(),
                false => look_up!(self, conn, origin.list, batch),
            };
            add_spelled!(self, conn, origin.list, batch, known);
            let Some(changes) = decide(known) else {
                return Ok(false);
            };
            if !add_readers!(self, conn, changes, blind)
                || !add_subscriptions!(self, conn, origin, changes, blind)
            {
                return Ok(false);
            }
            describe!(self, conn, changes);
            note_moves!(self, conn, origin, changes);
            if !confirm!(self, conn, origin, changes)
                || !vouch!(self, conn, origin, changes)
                || !end!(self, conn, origin, changes)
            {
                return Ok(false);
            }
            suppress!(self, conn, origin, changes);
            bar!(self, conn, origin, changes);
            if !step!(conn, changes) {
                return Ok(false);
            }
            true
        })
    }

    /// Prepares the writer for many batches. Differs by necessity: on SQLite, the log is folded back less often, because
    /// two batches touch many pages in common.
    pub async fn begin_bulk(&self) -> Result<()> {
        if let Store::Sqlite(db) = self {
            sqlx::raw_sql("pragma wal_autocheckpoint = 16384")
                .execute(&db.writer)
                .await?;
        }
        Ok(())
    }

    /// Gives the writer back as it was before [`Store::begin_bulk`].
    pub async fn end_bulk(&self) -> Result<()> {
        if let Store::Sqlite(db) = self {
            let tuning =
                format!("pragma wal_autocheckpoint = {CHECKPOINT}; pragma wal_checkpoint(passive)");
            sqlx::raw_sql(sqlx::AssertSqlSafe(tuning))
                .execute(&db.writer)
                .await?;
        }
        Ok(())
    }

    /// Whether a run is on its way, to which a long write should give way.
    pub async fn is_busy(&self) -> Result<bool> {
        read!(self, conn => {
            let busy: i64 = sqlx::query_scalar(
                "select count(*) from runs where status in ('freezing', 'sending')",
            )
            .fetch_one(conn)
            .await?;
            Ok(busy > 0)
        })
    }
}

fn json<T: serde::Serialize>(rows: &[T]) -> String {
    to_string(rows).expect("text and numbers are JSON")
}
