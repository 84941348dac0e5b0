//! Many readers at once: what is known of a batch, and the changes to it, in one short transaction.
//!
//! Promises: a batch is taken whole or not at all; nobody's status is changed behind a change that came between. Which
//! changes are made, the caller decides.

use serde_json::to_string;

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::hex::hex;
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::store::blocks::apply_moves;
use crate::store::import::known::{KNOWN, KnownColumns, known, wanted};
use crate::store::import_moves::note_moves;
use crate::store::leave::{await_freeze, moved, take_queued};
use crate::store::spellings::{SUPPRESSIONS, add_spelled};
use crate::store::tags::PUT_TAGS;
use crate::store::{CHECKPOINT, Result, Store};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

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

/// A suppression since the look, or an address that somebody gave up where nobody looked, takes the batch back.
const NEW_READERS: &str = "
    insert into subscribers (id, address, canonical, hash, name, fields, created_at)
    select cast(value->>0 as bigint), value->>1, value->>2, unhex(value->>3),
           value->>4, value->>5, cast(value->>6 as bigint)
    from json_each($1)
    where not exists (select 1 from suppressions x where x.hash = unhex(value->>3))
      and not exists (select 1 from former_addresses f where f.hash = unhex(value->>3))";

const NEW_SUBSCRIPTIONS: &str = "
    insert into subscriptions (
        key, list_id, subscriber_id, status, source, created_at, confirmed_at, joined_at, left_at, import_id
    )
    select cast(value->>0 as bigint), $2, cast(value->>1 as bigint), value->>2, $3,
           cast(value->>3 as bigint), cast(value->>4 as bigint), cast(value->>5 as bigint),
           cast(value->>6 as bigint), $4
    from json_each($1)
    where true";

/// For rows that may be there already. Where hardly any are, it is left out: on PostgreSQL, being ready for a conflict
/// costs each row a third of its insert.
const PASS_OVER: &str = "on conflict do nothing";

const UPDATES: &str = "
    update subscribers set name = b.name, fields = b.fields
    from (
        select cast(value->>0 as bigint) as id, value->>1 as name, value->>2 as fields
        from json_each($1)
    ) b
    where subscribers.id = b.id";

const CONFIRMS: &str = "
    update subscriptions set status = 'confirmed', confirmed_at = $2
    where status = 'pending' and key in (select cast(value as bigint) from json_each($1))";

const JOINED: &str = "
    update subscriptions set joined_at = b.at
    from (
        select cast(value->>0 as bigint) as key, cast(value->>1 as bigint) as at from json_each($1)
    ) b
    where subscriptions.key = b.key";

const VOUCHED: &str = "
    update subscriptions set import_id = $2
    where import_id is not null and key in (select cast(value as bigint) from json_each($1))";

/// One that this very import brought was never confirmed.
const LEAVES: &str = "
    update subscriptions
    set status = 'unsubscribed', left_at = $2, left_why = 'import', paused_until = null,
        confirmed_at = case when import_id = $3 and confirmed_at >= $2 then null else confirmed_at end,
        joined_at = case when import_id = $3 and confirmed_at >= $2 then null else joined_at end
    where status <> 'unsubscribed' and key in (select cast(value as bigint) from json_each($1))
    returning subscriber_id";

impl Store {
    /// What is known of these addresses: nothing of most of them.
    pub async fn known_readers(&self, list: ListId, batch: &[Wanted]) -> Result<Vec<Known>> {
        read!(self, conn => {
            let found: Vec<KnownColumns> = sqlx::query_as(self.sql(KNOWN))
                .bind(wanted(batch))
                .bind(list.0)
                .fetch_all(&mut *conn)
                .await?;
            let mut known: Vec<Known> = found.into_iter().map(known).collect();
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
            let found: Vec<KnownColumns> = match blind {
                true => Vec::new(),
                false => {
                    sqlx::query_as(self.sql(KNOWN))
                        .bind(wanted(batch))
                        .bind(origin.list.0)
                        .fetch_all(&mut *conn)
                        .await?
                }
            };
            let or = if blind { "" } else { PASS_OVER };
            let mut known: Vec<Known> = found.into_iter().map(known).collect();
            add_spelled!(self, conn, origin.list, batch, known);
            let Some(changes) = decide(known) else {
                return Ok(false);
            };
            if !changes.readers.is_empty() {
                let made = sqlx::query(self.sql(&format!("{NEW_READERS} {or}")))
                    .bind(new_readers(&changes.readers))
                    .execute(&mut *conn)
                    .await?;
                if made.rows_affected() != changes.readers.len() as u64 {
                    return Ok(false);
                }
            }
            if !changes.subscriptions.is_empty() {
                let made = sqlx::query(self.sql(&format!("{NEW_SUBSCRIPTIONS} {or}")))
                    .bind(new_subscriptions(&changes.subscriptions))
                    .bind(origin.list.0)
                    .bind(&origin.source)
                    .bind(origin.import)
                    .execute(&mut *conn)
                    .await?;
                if made.rows_affected() != changes.subscriptions.len() as u64 {
                    return Ok(false);
                }
            }
            for (statement, rows) in [
                (PUT_TAGS, json(&changes.tags)),
                (UPDATES, json(&changes.updates)),
                (JOINED, json(&changes.joined)),
            ] {
                if rows != "[]" {
                    sqlx::query(self.sql(statement)).bind(rows).execute(&mut *conn).await?;
                }
            }
            note_moves!(self, conn, origin, changes);
            if !changes.confirms.is_empty() {
                let confirmed = sqlx::query(self.sql(CONFIRMS))
                    .bind(json(&changes.confirms))
                    .bind(origin.at.0)
                    .execute(&mut *conn)
                    .await?;
                if confirmed.rows_affected() != changes.confirms.len() as u64 {
                    return Ok(false);
                }
            }
            if !changes.vouched.is_empty() {
                let vouched = sqlx::query(self.sql(VOUCHED))
                    .bind(json(&changes.vouched))
                    .bind(origin.import)
                    .execute(&mut *conn)
                    .await?;
                // Taken back since the look.
                if vouched.rows_affected() != changes.vouched.len() as u64 {
                    return Ok(false);
                }
            }
            if !changes.leaves.is_empty() {
                let readers: Vec<i64> = sqlx::query_scalar(self.sql(LEAVES))
                    .bind(json(&changes.leaves))
                    .bind(origin.at.0)
                    .bind(origin.import)
                    .fetch_all(&mut *conn)
                    .await?;
                if readers.len() != changes.leaves.len() {
                    return Ok(false);
                }
                let readers = readers.into_iter().map(|reader| (reader, origin.list.0));
                let moves = take_queued!(self, conn, readers, origin.at);
                apply_moves!(self, conn, moves);
            }
            if !changes.suppressions.is_empty() {
                sqlx::query(self.sql(SUPPRESSIONS))
                    .bind(suppressions(&changes.suppressions))
                    .bind(origin.at.0)
                    .execute(&mut *conn)
                    .await?;
            }
            if !changes.barred.is_empty() {
                let readers = json(&changes.barred);
                // As a single suppression does: whoever has just queued a mail for these readers is waited for.
                sqlx::query(self.sql(
                    "update subscribers set hash = hash
                     where id in (select cast(value as bigint) from json_each($1))",
                ))
                .bind(&readers)
                .execute(&mut *conn)
                .await?;
                await_freeze!(self, conn);
                let taken = sqlx::query_as::<_, (i64, i64)>(self.sql(
                    "update deliveries set state = 'suppressed', settled_at = $2
                     where state = 'queued'
                       and subscriber_id in (select cast(value as bigint) from json_each($1))
                     returning run_id, seq",
                ))
                .bind(&readers)
                .bind(origin.at.0)
                .fetch_all(&mut *conn)
                .await?;
                let moves = moved(&taken, State::Suppressed);
                apply_moves!(self, conn, moves);
            }
            if let Some(step) = &changes.step {
                let stepped = sqlx::query(
                    "update imports set done = done + 1, tally = $3
                     where id = $1 and done = $2 and finished_at is null",
                )
                .bind(step.import)
                .bind(i64::try_from(step.done).unwrap_or(i64::MAX))
                .bind(&step.tally)
                .execute(&mut *conn)
                .await?;
                if stepped.rows_affected() != 1 {
                    return Ok(false);
                }
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

fn new_readers(readers: &[NewReader]) -> String {
    let row = |new: &'_ NewReader| {
        let (id, hash) = (new.id, hex(&new.hash));
        to_string(&(
            id,
            &new.address,
            &new.canonical,
            hash,
            &new.name,
            &new.fields,
            new.created_at,
        ))
        .expect("text and numbers are JSON")
    };
    let rows: Vec<String> = readers.iter().map(row).collect();
    format!("[{}]", rows.join(","))
}

fn new_subscriptions(subscriptions: &[NewSubscription]) -> String {
    let row = |new: &NewSubscription| {
        (
            new.key,
            new.reader,
            new.status,
            new.created_at,
            new.confirmed_at,
            new.joined_at,
            new.left_at,
        )
    };
    json(&subscriptions.iter().map(row).collect::<Vec<_>>())
}

/// The hash of an address that is never to be mailed again, the reason, and the hash of its mailbox where that is refused
/// under every spelling and is another one.
pub type Refused = ([u8; 32], &'static str, Option<[u8; 32]>);

fn suppressions(suppressions: &[Refused]) -> String {
    let rows = suppressions.iter();
    let rows =
        rows.map(|(hash, reason, mailbox)| (hex(hash), reason, mailbox.map(|hash| hex(&hash))));
    json(&rows.collect::<Vec<_>>())
}

fn json<T: serde::Serialize>(rows: &[T]) -> String {
    to_string(rows).expect("text and numbers are JSON")
}
