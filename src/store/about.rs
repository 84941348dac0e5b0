//! What a reader said of herself, and what she says now: her name, fields and tags.
//!
//! Promises: only what was asked changes, however her other fields and tags change meanwhile.

use crate::id::SubscriptionKey;
use crate::store::events::json;
use crate::store::tags::PUT_TAGS;
use crate::store::{Result, Store};
use crate::subscriber::field::Fields;

/// What is known of a reader by her own word, or the author's.
#[derive(Clone, Debug)]
pub struct Said {
    pub name: String,
    pub fields: Fields,
    pub tags: Vec<String>,
}

/// New answers to what was asked.
#[derive(Clone, Copy, Debug)]
pub struct Saying<'a> {
    /// None where it was not asked for.
    pub name: Option<&'a str>,
    /// Values of the asked fields as one JSON object; one that is missing is taken back.
    pub fields: &'a str,
    pub asked: &'a [String],
    /// Of the offered tags, those that were chosen; the others are taken off.
    pub tags: &'a [String],
    pub offered: &'a [String],
}

impl Store {
    /// What the reader behind the subscription `key` said.
    pub async fn said(&self, key: SubscriptionKey) -> Result<Option<Said>> {
        read!(self, conn => {
            let found: Option<(i64, String, String)> = sqlx::query_as(
                "select s.id, s.name, s.fields from subscribers s
                 where s.id = (select n.subscriber_id from subscriptions n where n.key = $1)",
            )
            .bind(key.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((id, name, fields)) = found else {
                return Ok(None);
            };
            let tags = sqlx::query_scalar("select tag from tags where subscriber_id = $1 order by tag")
                .bind(id)
                .fetch_all(conn)
                .await?;
            Ok(Some(Said { name, fields: Fields::from_json(&fields), tags }))
        })
    }

    /// Takes what the reader behind `key` says now. False when there is none.
    pub async fn say(&self, key: SubscriptionKey, saying: &Saying<'_>) -> Result<bool> {
        again!(self.try_say(key, saying).await)
    }

    async fn try_say(&self, key: SubscriptionKey, saying: &Saying<'_>) -> Result<bool> {
        transact!(self, conn => {
            // The write takes the reader's row: her other fields stay what they are now.
            let found: Option<(i64, String)> = sqlx::query_as(
                "update subscribers set hash = hash
                 where id = (select n.subscriber_id from subscriptions n where n.key = $1)
                 returning id, fields",
            )
            .bind(key.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((reader, fields)) = found else {
                return Ok(false);
            };
            let mut fields = Fields::from_json(&fields);
            fields.0.retain(|name, _| !saying.asked.contains(name));
            fields.0.extend(Fields::from_json(saying.fields).0);
            sqlx::query("update subscribers set name = coalesce($2, name), fields = $3 where id = $1")
                .bind(reader)
                .bind(saying.name)
                .bind(fields.to_json())
                .execute(&mut *conn)
                .await?;
            sqlx::query(self.sql(
                "delete from tags where subscriber_id = $1
                   and tag in (select value->>0 from json_each($2))",
            ))
            .bind(reader)
            .bind(json(saying.offered.iter().map(|tag| [tag])))
            .execute(&mut *conn)
            .await?;
            let chosen = saying.tags.iter().map(|tag| (reader, tag));
            sqlx::query(self.sql(PUT_TAGS)).bind(json(chosen)).execute(&mut *conn).await?;
            true
        })
    }
}
