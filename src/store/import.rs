//! Many readers at once: what is known of a batch, and the changes to it, in one short transaction.
//!
//! Promises: either the whole batch is taken or nothing of it; nobody's status is changed behind a change
//! that came between. Which changes are made, the caller decides.

use serde_json::to_string;

use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::store::{CHECKPOINT, Result, Store};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

/// What the store knows of one address of a batch.
#[derive(Clone, Debug)]
pub struct Known {
    /// Position in the batch, from 0.
    pub position: usize,
    /// The reader, with name and fields, if there is one.
    pub reader: Option<(SubscriberId, String, Fields)>,
    /// The reader's subscription to the list, if there is one.
    pub subscription: Option<(SubscriptionKey, Status)>,
    pub suppressed: bool,
    /// The reader's address stands under another hash: it was made with another keyring, so nothing is
    /// known of its suppression.
    pub foreign: bool,
}

/// An address of a batch.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub canonical: String,
    pub hash: [u8; 32],
}

/// What is to become of a batch.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub readers: Vec<NewReader>,
    pub subscriptions: Vec<(SubscriptionKey, SubscriberId)>,
    /// New name and fields of readers that are there.
    pub updates: Vec<(SubscriberId, String, String)>,
    /// Pending subscriptions that become confirmed.
    pub confirms: Vec<SubscriptionKey>,
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
}

/// How new subscriptions of a batch begin.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub list: ListId,
    pub status: Status,
    pub source: String,
    pub at: Timestamp,
}

/// Position, reader's id, name and fields, whether the reader's hash is another one, subscription's key
/// and status, and whether suppressed.
type KnownColumns = (
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<String>,
    i64,
);

/// Wanted are the addresses of a batch: position, canonical form and hash.
const KNOWN: &str = "
    select cast(b.value->>0 as bigint), s.id, s.name, s.fields,
           cast(case when s.hash <> unhex(b.value->>2) then 1 else 0 end as bigint),
           t.key, t.status,
           cast(case when x.hash is null then 0 else 1 end as bigint)
    from json_each($1) b
    left join subscribers s on s.canonical = b.value->>1
    left join subscriptions t on t.subscriber_id = s.id and t.list_id = $2
    left join suppressions x on x.hash = unhex(b.value->>2)
    where s.id is not null or x.hash is not null";

impl Store {
    /// What is known of these addresses: nothing of most of them.
    pub async fn known_readers(&self, list: ListId, batch: &[Wanted]) -> Result<Vec<Known>> {
        read!(self, conn => {
            let found: Vec<KnownColumns> = sqlx::query_as(self.sql(KNOWN))
                .bind(wanted(batch))
                .bind(list.0)
                .fetch_all(conn)
                .await?;
            Ok(found.into_iter().map(known).collect())
        })
    }

    /// Looks the addresses of `batch` up, asks `decide` what to change, and changes it: all in one
    /// transaction. False, and nothing changed, when another process came between, or `decide` wants
    /// nothing of it: the caller tries again, or knows why not.
    pub async fn import_batch(
        &self,
        beginning: &Beginning,
        batch: &[Wanted],
        decide: impl FnOnce(Vec<Known>) -> Option<Changes>,
    ) -> Result<bool> {
        transact!(self, conn => {
            let found: Vec<KnownColumns> = sqlx::query_as(self.sql(KNOWN))
                .bind(wanted(batch))
                .bind(beginning.list.0)
                .fetch_all(&mut *conn)
                .await?;
            let Some(changes) = decide(found.into_iter().map(known).collect()) else {
                return Ok(false);
            };
            if !changes.readers.is_empty() {
                let made = sqlx::query(self.sql(
                    "insert into subscribers (id, address, canonical, hash, name, fields, created_at)
                     select cast(value->>0 as bigint), value->>1, value->>2, unhex(value->>3),
                            value->>4, value->>5, $2
                     from json_each($1)
                     where true
                     on conflict do nothing",
                ))
                .bind(new_readers(&changes.readers))
                .bind(beginning.at.0)
                .execute(&mut *conn)
                .await?;
                if made.rows_affected() != changes.readers.len() as u64 {
                    return Ok(false);
                }
            }
            if !changes.subscriptions.is_empty() {
                let made = sqlx::query(self.sql(
                    "insert into subscriptions (
                         key, list_id, subscriber_id, status, source, created_at, confirmed_at
                     )
                     select cast(value->>0 as bigint), $2, cast(value->>1 as bigint), $3, $4, $5, $6
                     from json_each($1)
                     where true
                     on conflict do nothing",
                ))
                .bind(json(&changes.subscriptions))
                .bind(beginning.list.0)
                .bind(beginning.status.name())
                .bind(&beginning.source)
                .bind(beginning.at.0)
                .bind((beginning.status == Status::Confirmed).then_some(beginning.at.0))
                .execute(&mut *conn)
                .await?;
                if made.rows_affected() != changes.subscriptions.len() as u64 {
                    return Ok(false);
                }
            }
            if !changes.updates.is_empty() {
                sqlx::query(self.sql(
                    "update subscribers set name = b.name, fields = b.fields
                     from (
                         select cast(value->>0 as bigint) as id, value->>1 as name,
                                value->>2 as fields
                         from json_each($1)
                     ) b
                     where subscribers.id = b.id",
                ))
                .bind(json(&changes.updates))
                .execute(&mut *conn)
                .await?;
            }
            if !changes.confirms.is_empty() {
                let confirmed = sqlx::query(self.sql(
                    "update subscriptions set status = 'confirmed', confirmed_at = $2
                     where status = 'pending'
                       and key in (select cast(value->>0 as bigint) from json_each($1))",
                ))
                .bind(json(&changes.confirms.iter().map(|key| [key]).collect::<Vec<_>>()))
                .bind(beginning.at.0)
                .execute(&mut *conn)
                .await?;
                if confirmed.rows_affected() != changes.confirms.len() as u64 {
                    return Ok(false);
                }
            }
            true
        })
    }

    /// Prepares the writer for many batches. Differs by necessity: on SQLite, the write-ahead log is
    /// folded back less often, because two batches touch many pages in common.
    pub async fn begin_bulk(&self) -> Result<()> {
        if let Store::Sqlite(db) = self {
            let tuning = "pragma wal_autocheckpoint = 16384";
            sqlx::raw_sql(tuning).execute(&db.writer).await?;
        }
        Ok(())
    }

    /// Gives the writer back as it was before [`Store::begin_bulk`].
    pub async fn end_bulk(&self) -> Result<()> {
        if let Store::Sqlite(db) = self {
            let tuning =
                format!("pragma wal_autocheckpoint = {CHECKPOINT}; pragma wal_checkpoint(passive)");
            let tuning = sqlx::AssertSqlSafe(tuning);
            sqlx::raw_sql(tuning).execute(&db.writer).await?;
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

fn known(columns: KnownColumns) -> Known {
    let (position, id, name, fields, foreign, key, status, suppressed) = columns;
    let reader = id.map(|id| {
        let fields = Fields::from_json(&fields.unwrap_or_default());
        (SubscriberId(id), name.unwrap_or_default(), fields)
    });
    let status = status.as_deref().and_then(Status::parse);
    Known {
        position: usize::try_from(position).expect("the statement gives back what it was given"),
        reader,
        subscription: key.map(SubscriptionKey).zip(status),
        suppressed: suppressed != 0,
        foreign: foreign != 0,
    }
}

fn wanted(batch: &[Wanted]) -> String {
    let rows = batch.iter().enumerate();
    let rows = rows.map(|(position, row)| (position, &row.canonical, hex(&row.hash)));
    json(&rows.collect::<Vec<_>>())
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
        ))
        .expect("text and numbers are JSON")
    };
    let rows: Vec<String> = readers.iter().map(row).collect();
    format!("[{}]", rows.join(","))
}

fn json<T: serde::Serialize>(rows: &[T]) -> String {
    to_string(rows).expect("text and numbers are JSON")
}

/// Lower-case hex: how octets travel in a JSON batch.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
