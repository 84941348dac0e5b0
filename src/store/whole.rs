//! Readers as a whole, out of one database and into another.
//!
//! Promises: what is written out is all that is kept of a reader but her mails and events; what is read in again
//! is the same, down to the keys in her links. A reader who is there already, or was erased here, is left alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, exact};
use crate::hex::hex;
use crate::id::ListId;
use crate::store::tags::TAGS_OF;
use crate::store::{Result, Store};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

mod putting;

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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<WholeFormer>,
}

/// An address that the reader gave up for another one: a file that holds it means her.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeFormer {
    /// Keyed hash of its canonical form, in hex.
    pub hash: String,
    #[serde(with = "exact")]
    pub at: Timestamp,
    /// In the link that went to it.
    #[serde(with = "as_text")]
    pub key: i64,
    /// As long as that link may take the move back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeSubscription {
    #[serde(with = "as_text")]
    pub key: i64,
    /// In the links to her page, since she moved to another address.
    #[serde(
        with = "as_text::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub manage_key: Option<i64>,
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
    /// When she first did, if she left since and came back.
    #[serde(
        with = "exact::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub first_joined_at: Option<Timestamp>,
    /// When she took a leaving back.
    #[serde(
        with = "exact::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub returned_at: Option<Timestamp>,
    #[serde(with = "exact::option")]
    pub left_at: Option<Timestamp>,
    #[serde(with = "exact::option")]
    pub paused_until: Option<Timestamp>,
    pub frequency: String,
    /// The import that brought it.
    pub import: Option<i64>,
    /// Who ended it, if not the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_why: Option<String>,
    /// Why the reader left, if she said so.
    pub parting: Option<WholeParting>,
    /// What imports did to it that others had brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<WholeMove>,
}

/// What an import did to a subscription that it found here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeMove {
    pub import: i64,
    pub what: String,
    /// The status before.
    pub was: String,
    #[serde(
        with = "exact::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub paused_until: Option<Timestamp>,
    #[serde(
        with = "exact::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub left_at: Option<Timestamp>,
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
    /// That of its mailbox, where each spelling of it is refused and that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
}

/// A reader who is to be put in, with what is made of her address.
#[derive(Clone, Debug)]
pub struct Restored {
    pub reader: WholeReader,
    pub canonical: String,
    pub hash: [u8; 32],
}

type ReaderColumns = (i64, String, String, String, i64, String);
/// A subscription, as it stands in its table and in that of the reasons.
#[derive(sqlx::FromRow)]
struct Row {
    subscriber_id: i64,
    key: i64,
    manage_key: Option<i64>,
    slug: String,
    status: Status,
    source: String,
    created_at: i64,
    confirmed_at: Option<i64>,
    joined_at: Option<i64>,
    first_joined_at: Option<i64>,
    returned_at: Option<i64>,
    left_at: Option<i64>,
    left_why: Option<String>,
    paused_until: Option<i64>,
    frequency: String,
    import_id: Option<i64>,
    at: Option<i64>,
    reason: Option<String>,
    words: Option<String>,
}

/// Key of the subscription, import, what, status before, until when it rested, when it was left.
type MoveColumns = (i64, i64, String, String, Option<i64>, Option<i64>);
/// Reader, hash, when, key in the link, the address.
type FormerColumns = (i64, Vec<u8>, i64, i64, Option<String>);

const READERS: &str = "
    select s.id, s.address, s.name, s.fields, s.created_at, s.tracking from subscribers s
    where s.id > $1 and ($2 = 0 or exists (
        select 1 from subscriptions t where t.subscriber_id = s.id and t.list_id = $2
          and ($3 = '' or t.status = $3)
    ))
    order by s.id limit $4";

const SUBSCRIPTIONS: &str = "
    select t.subscriber_id, t.key, t.manage_key, l.slug, t.status, t.source, t.created_at, t.confirmed_at,
           t.joined_at, t.first_joined_at, t.returned_at, t.left_at, t.left_why, t.paused_until, t.frequency, t.import_id,
           r.at, r.reason, r.words
    from subscriptions t
    join lists l on l.id = t.list_id
    left join leave_reasons r on r.subscription = t.key
    where t.subscriber_id in (select cast(value as bigint) from json_each($1))
      and ($2 = 0 or t.list_id = $2)
    order by t.subscriber_id, t.list_id";

const MOVES: &str = "
    select m.key, m.import_id, m.what, m.was, m.paused_until, m.left_at
    from import_moves m join subscriptions t on t.key = m.key
    where t.subscriber_id in (select cast(value as bigint) from json_each($1))
      and ($2 = 0 or t.list_id = $2)
    order by m.key, m.import_id";

const FORMER: &str = "
    select f.subscriber_id, f.hash, f.at, f.key, f.address from former_addresses f
    where f.subscriber_id in (select cast(value as bigint) from json_each($1))
    order by f.subscriber_id, f.hash";

const CONSENTS: &str = "
    select c.subscriber_id, c.at, c.what, l.slug from consents c
    left join lists l on l.id = c.list_id
    where c.subscriber_id in (select cast(value as bigint) from json_each($1))
      and ($2 = 0 or c.list_id in (0, $2))
    order by c.subscriber_id, c.at, c.what, c.list_id";

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
            let subscriptions: Vec<Row> = sqlx::query_as(self.sql(SUBSCRIPTIONS))
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
            let former: Vec<FormerColumns> = sqlx::query_as(self.sql(FORMER))
                .bind(&ids)
                .fetch_all(&mut *conn)
                .await?;
            let moved: Vec<MoveColumns> = sqlx::query_as(self.sql(MOVES))
                .bind(&ids)
                .bind(list)
                .fetch_all(&mut *conn)
                .await?;
            let mut moves: BTreeMap<i64, Vec<WholeMove>> = BTreeMap::new();
            for (key, import, what, was, paused, left) in moved {
                let (paused_until, left_at) = (paused.map(Timestamp), left.map(Timestamp));
                moves.entry(key).or_default().push(WholeMove { import, what, was, paused_until, left_at });
            }
            let mut former = former.into_iter().peekable();
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
                    former: Vec::new(),
                };
                while let Some(row) = subscriptions.next_if(|row| row.subscriber_id == id) {
                    let moves = moves.remove(&row.key).unwrap_or_default();
                    reader.subscriptions.extend(subscription(row, moves));
                }
                while let Some((_, hash, at, key, address)) = former.next_if(|columns| columns.0 == id) {
                    let (hash, at) = (hex(&hash), Timestamp(at));
                    reader.former.push(WholeFormer { hash, at, key, address });
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
            let found: Vec<SuppressionColumns> = sqlx::query_as(
                "select hash, reason, created_at, mailbox from suppressions where hash > $1
                 order by hash limit $2",
            )
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            let whole = |(hash, reason, at, mailbox): SuppressionColumns| {
                let suppression = WholeSuppression {
                    hash: hex(&hash),
                    reason,
                    at: Timestamp(at),
                    mailbox: mailbox.map(|mailbox| hex(&mailbox)),
                };
                (hash, suppression)
            };
            Ok(found.into_iter().map(whole).collect())
        })
    }
}

/// Hash, reason, since when, and the hash of the mailbox.
type SuppressionColumns = (Vec<u8>, String, i64, Option<Vec<u8>>);

fn subscription(row: Row, moves: Vec<WholeMove>) -> Option<WholeSubscription> {
    let parting = row.at.zip(row.reason).zip(row.words);
    Some(WholeSubscription {
        key: row.key,
        manage_key: row.manage_key,
        list: row.slug,
        status: row.status,
        source: row.source,
        created_at: Timestamp(row.created_at),
        confirmed_at: row.confirmed_at.map(Timestamp),
        joined_at: row.joined_at.map(Timestamp),
        first_joined_at: row.first_joined_at.map(Timestamp),
        returned_at: row.returned_at.map(Timestamp),
        left_at: row.left_at.map(Timestamp),
        left_why: row.left_why,
        paused_until: row.paused_until.map(Timestamp),
        frequency: row.frequency,
        import: row.import_id,
        parting: parting.map(|((at, reason), words)| WholeParting {
            at: Timestamp(at),
            reason,
            words,
        }),
        moves,
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

    /// The same for a key that may be none.
    pub(super) mod option {
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub(in super::super) fn serialize<S: Serializer>(
            key: &Option<i64>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match key {
                Some(key) => to.collect_str(key),
                None => to.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<i64>, D::Error> {
            let text = Option::<String>::deserialize(from)?;
            text.map(|text| text.parse().map_err(D::Error::custom))
                .transpose()
        }
    }
}
