//! Readers as a whole, out of one database and into another.
//!
//! Promises: what is written out is all that is kept of a reader but her mails and events; what is read in again
//! is the same, down to the keys in her links. A reader who is there already, or was erased here, is left alone.

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, exact};
use crate::hex::hex;
use crate::id::ListId;
use crate::store::tags::{PUT_TAGS, TAGS_OF};
use crate::store::{Result, Store};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

/// All that is kept of one reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeReader {
    #[serde(with = "as_text")]
    pub id: i64,
    pub address: String,
    pub name: String,
    pub fields: Fields,
    #[serde(with = "exact")]
    pub created_at: Timestamp,
    pub tracking: String,
    pub subscriptions: Vec<WholeSubscription>,
    pub consents: Vec<WholeConsent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeSubscription {
    #[serde(with = "as_text")]
    pub key: i64,
    /// Slug of the list.
    pub list: String,
    pub status: Status,
    pub source: String,
    #[serde(with = "exact")]
    pub created_at: Timestamp,
    #[serde(with = "exact::option")]
    pub confirmed_at: Option<Timestamp>,
    /// When the reader joined, where that is another time.
    #[serde(
        with = "exact::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub joined_at: Option<Timestamp>,
    #[serde(with = "exact::option")]
    pub left_at: Option<Timestamp>,
    #[serde(with = "exact::option")]
    pub paused_until: Option<Timestamp>,
    pub frequency: String,
    /// The import that brought it.
    pub import: Option<i64>,
    /// Why the reader left, if she said so.
    pub parting: Option<WholeParting>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeParting {
    #[serde(with = "exact")]
    pub at: Timestamp,
    pub reason: String,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeConsent {
    #[serde(with = "exact")]
    pub at: Timestamp,
    pub what: String,
    /// Slug of the list; none means all of them.
    pub list: Option<String>,
}

/// An address never to be mailed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeSuppression {
    /// Keyed hash of the canonical address, in hex.
    pub hash: String,
    pub reason: String,
    #[serde(with = "exact")]
    pub at: Timestamp,
}

/// A reader who is to be put in, with what is made of her address.
#[derive(Clone, Debug)]
pub struct Restored {
    pub reader: WholeReader,
    pub canonical: String,
    pub hash: [u8; 32],
}

type ReaderColumns = (i64, String, String, String, i64, String);
type SubscriptionColumns = (
    i64,
    i64,
    String,
    Status,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    String,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
);
const READERS: &str = "
    select s.id, s.address, s.name, s.fields, s.created_at, s.tracking from subscribers s
    where s.id > $1 and ($2 = 0 or exists (
        select 1 from subscriptions t where t.subscriber_id = s.id and t.list_id = $2
          and ($3 = '' or t.status = $3)
    ))
    order by s.id limit $4";

const SUBSCRIPTIONS: &str = "
    select t.subscriber_id, t.key, l.slug, t.status, t.source, t.created_at, t.confirmed_at, t.joined_at,
           t.left_at, t.paused_until, t.frequency, t.import_id, r.at, r.reason, r.words
    from subscriptions t
    join lists l on l.id = t.list_id
    left join leave_reasons r on r.subscription = t.key
    where t.subscriber_id in (select cast(value as bigint) from json_each($1))
      and ($2 = 0 or t.list_id = $2)
    order by t.subscriber_id, t.list_id";

const CONSENTS: &str = "
    select c.subscriber_id, c.at, c.what, l.slug from consents c
    left join lists l on l.id = c.list_id
    where c.subscriber_id in (select cast(value as bigint) from json_each($1))
      and ($2 = 0 or c.list_id in (0, $2))
    order by c.subscriber_id, c.at, c.what, c.list_id";

const PUT_READERS: &str = "
    insert into subscribers (id, address, canonical, hash, name, fields, created_at, tracking)
    select cast(value->>0 as bigint), value->>1, value->>2, unhex(value->>3), value->>4, value->>5,
           cast(value->>6 as bigint), value->>7
    from json_each($1)
    where not exists (
        select 1 from suppressions x where x.hash = unhex(value->>3) and x.reason = 'erased'
    )
    on conflict do nothing
    returning id";

const PUT_SUBSCRIPTIONS: &str = "
    insert into subscriptions (
        key, list_id, subscriber_id, status, source, created_at, confirmed_at, left_at, paused_until,
        frequency, import_id, joined_at
    )
    select cast(value->>0 as bigint), l.id, cast(value->>2 as bigint), value->>3, value->>4,
           cast(value->>5 as bigint), cast(value->>6 as bigint), cast(value->>7 as bigint),
           cast(value->>8 as bigint), value->>9, cast(value->>10 as bigint),
           cast(value->>11 as bigint)
    from json_each($1) b join lists l on l.slug = b.value->>1
    where true
    on conflict do nothing";

const PUT_PARTINGS: &str = "
    insert into leave_reasons (subscription, at, reason, words)
    select cast(value->>0 as bigint), cast(value->>1 as bigint), value->>2, value->>3
    from json_each($1)
    where exists (select 1 from subscriptions n where n.key = cast(value->>0 as bigint))
    on conflict do nothing";

const PUT_CONSENTS: &str = "
    insert into consents (subscriber_id, at, what, list_id)
    select cast(b.value->>0 as bigint), cast(b.value->>1 as bigint), b.value->>2, coalesce(l.id, 0)
    from json_each($1) b left join lists l on l.slug = b.value->>3
    where true
    on conflict do nothing";

impl Store {
    /// Up to `limit` readers behind the reader `after`, in the order of their keys: all of them, or those of one
    /// list (and there of one status), with what concerns that list.
    pub async fn whole_readers(
        &self,
        list: Option<ListId>,
        status: Option<Status>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<WholeReader>> {
        let list = list.map_or(0, |list| list.0);
        read!(self, conn => {
            let found: Vec<ReaderColumns> = sqlx::query_as(READERS)
                .bind(after)
                .bind(list)
                .bind(status.map_or("", Status::name))
                .bind(i64::from(limit))
                .fetch_all(&mut *conn)
                .await?;
            let ids: Vec<i64> = found.iter().map(|reader| reader.0).collect();
            let ids = json(&ids);
            let subscriptions: Vec<SubscriptionColumns> = sqlx::query_as(self.sql(SUBSCRIPTIONS))
                .bind(&ids)
                .bind(list)
                .fetch_all(&mut *conn)
                .await?;
            let consents: Vec<(i64, i64, String, Option<String>)> =
                sqlx::query_as(self.sql(CONSENTS))
                    .bind(&ids)
                    .bind(list)
                    .fetch_all(&mut *conn)
                    .await?;
            let tags: Vec<(i64, String)> = sqlx::query_as(self.sql(TAGS_OF))
                .bind(&ids)
                .fetch_all(&mut *conn)
                .await?;
            let mut tags = tags.into_iter().peekable();
            let mut subscriptions = subscriptions.into_iter().peekable();
            let mut consents = consents.into_iter().peekable();
            let mut readers = Vec::with_capacity(found.len());
            for (id, address, name, fields, created_at, tracking) in found {
                let mut reader = WholeReader {
                    id,
                    address,
                    name,
                    fields: Fields::from_json(&fields),
                    created_at: Timestamp(created_at),
                    tracking,
                    subscriptions: Vec::new(),
                    consents: Vec::new(),
                    tags: Vec::new(),
                };
                while let Some(columns) = subscriptions.next_if(|columns| columns.0 == id) {
                    reader.subscriptions.extend(subscription(columns));
                }
                while let Some((_, at, what, list)) = consents.next_if(|columns| columns.0 == id) {
                    reader.consents.push(WholeConsent { at: Timestamp(at), what, list });
                }
                while let Some((_, tag)) = tags.next_if(|(reader, _)| *reader == id) {
                    reader.tags.push(tag);
                }
                readers.push(reader);
            }
            Ok(readers)
        })
    }

    /// Up to `limit` suppressions behind the one of the hash `after`.
    pub async fn whole_suppressions(
        &self,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<(Vec<u8>, WholeSuppression)>> {
        read!(self, conn => {
            let found: Vec<(Vec<u8>, String, i64)> = sqlx::query_as(
                "select hash, reason, created_at from suppressions where hash > $1
                 order by hash limit $2",
            )
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            let whole = |(hash, reason, at): (Vec<u8>, String, i64)| {
                let suppression = WholeSuppression { hash: hex(&hash), reason, at: Timestamp(at) };
                (hash, suppression)
            };
            Ok(found.into_iter().map(whole).collect())
        })
    }

    /// Puts suppressions in; gives how many were not there. An erasure counts whatever was known before.
    pub async fn put_suppressions(&self, batch: &[WholeSuppression]) -> Result<u64> {
        let rows: Vec<_> = batch.iter().map(|s| (&s.hash, &s.reason, s.at)).collect();
        transact!(self, conn => {
            let made = sqlx::query(self.sql(
                "insert into suppressions (hash, reason, created_at)
                 select unhex(value->>0), value->>1, cast(value->>2 as bigint) from json_each($1)
                 where true
                 on conflict (hash) do update
                 set reason = excluded.reason, created_at = excluded.created_at
                 where excluded.reason = 'erased' and suppressions.reason <> 'erased'",
            ))
            .bind(json(&rows))
            .execute(conn)
            .await?;
            made.rows_affected()
        })
    }

    /// Puts readers in who are not there and were not erased; gives how many those were.
    pub async fn put_readers(&self, batch: &[Restored]) -> Result<u64> {
        let readers: Vec<_> = batch
            .iter()
            .map(
                |Restored {
                     reader: r,
                     canonical,
                     hash,
                 }| {
                    let (hash, fields) = (hex(hash), r.fields.to_json());
                    (
                        r.id,
                        &r.address,
                        canonical,
                        hash,
                        &r.name,
                        fields,
                        r.created_at,
                        &r.tracking,
                    )
                },
            )
            .collect();
        let readers = json(&readers);
        transact!(self, conn => {
            let made: Vec<i64> = sqlx::query_scalar(self.sql(PUT_READERS))
                .bind(readers)
                .fetch_all(&mut *conn)
                .await?;
            let made: std::collections::BTreeSet<i64> = made.into_iter().collect();
            let new = batch.iter().map(|restored| &restored.reader);
            let new: Vec<&WholeReader> = new.filter(|reader| made.contains(&reader.id)).collect();
            for (statement, rows) in [
                (PUT_SUBSCRIPTIONS, subscriptions_of(&new)),
                (PUT_PARTINGS, partings_of(&new)),
                (PUT_CONSENTS, consents_of(&new)),
                (PUT_TAGS, tags_of(&new)),
            ] {
                sqlx::query(self.sql(statement)).bind(rows).execute(&mut *conn).await?;
            }
            made.len() as u64
        })
    }
}

fn subscriptions_of(readers: &[&WholeReader]) -> String {
    let rows = readers.iter().flat_map(|reader| {
        let row = |t: &WholeSubscription| {
            serde_json::json!([
                t.key,
                t.list,
                reader.id,
                t.status,
                t.source,
                t.created_at,
                t.confirmed_at,
                t.left_at,
                t.paused_until,
                t.frequency,
                t.import,
                t.joined_at
            ])
        };
        reader.subscriptions.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}

fn partings_of(readers: &[&WholeReader]) -> String {
    let all = readers.iter().flat_map(|reader| &reader.subscriptions);
    let rows = all.filter_map(|t| {
        let parting = t.parting.as_ref()?;
        Some((t.key, parting.at, &parting.reason, &parting.words))
    });
    json(&rows.collect::<Vec<_>>())
}

fn consents_of(readers: &[&WholeReader]) -> String {
    let rows = readers.iter().flat_map(|reader| {
        let row = |c: &'_ WholeConsent| (reader.id, c.at, c.what.clone(), c.list.clone());
        reader.consents.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}

fn tags_of(readers: &[&WholeReader]) -> String {
    let rows = readers.iter().flat_map(|reader| {
        let row = |tag: &'_ String| (reader.id, tag.clone());
        reader.tags.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}

fn subscription(columns: SubscriptionColumns) -> Option<WholeSubscription> {
    let (
        _,
        key,
        list,
        status,
        source,
        created,
        confirmed,
        joined,
        left,
        paused,
        frequency,
        import,
        at,
        reason,
        words,
    ) = columns;
    let parting = at.zip(reason).zip(words);
    Some(WholeSubscription {
        key,
        list,
        status,
        source,
        created_at: Timestamp(created),
        confirmed_at: confirmed.map(Timestamp),
        joined_at: joined.map(Timestamp),
        left_at: left.map(Timestamp),
        paused_until: paused.map(Timestamp),
        frequency,
        import,
        parting: parting.map(|((at, reason), words)| WholeParting {
            at: Timestamp(at),
            reason,
            words,
        }),
    })
}

fn json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("text and numbers are JSON")
}

/// A key as text: a script would round a number of 63 bits.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(key: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}
