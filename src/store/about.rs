//! What a reader said of herself, and what she says now: her name, fields and tags.
//!
//! Promises: only what was asked changes, however her other fields and tags change meanwhile.

use serde_json::Value;

use crate::id::SubscriberId;
use crate::store::events::json;
use crate::store::tags::{DROP_TAGS, PUT_TAGS};
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
    /// Asked boxes without a tick: false where she had a value.
    pub unticked: &'a [String],
    /// Of the offered tags, those that were chosen; the others are taken off.
    pub tags: &'a [String],
    pub offered: &'a [String],
}

impl Store {
    /// What a reader said.
    pub async fn said(&self, reader: SubscriberId) -> Result<Option<Said>> {
        read!(self, conn => {
            let found: Option<(String, String)> =
                sqlx::query_as("select name, fields from subscribers where id = $1")
                    .bind(reader.0)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some((name, fields)) = found else {
                return Ok(None);
            };
            let tags = sqlx::query_scalar("select tag from tags where subscriber_id = $1 order by tag")
                .bind(reader.0)
                .fetch_all(conn)
                .await?;
            Ok(Some(Said { name, fields: Fields::from_json(&fields), tags }))
        })
    }

    /// Takes what a reader says now. False when she is gone.
    pub async fn say(&self, reader: SubscriberId, saying: &Saying<'_>) -> Result<bool> {
        again!(self.try_say(reader, saying).await)
    }

    async fn try_say(&self, reader: SubscriberId, saying: &Saying<'_>) -> Result<bool> {
        transact!(self, conn => {
            // The write takes the reader's row: her other fields stay what they are now.
            let found: Option<String> = sqlx::query_scalar(
                "update subscribers set hash = hash where id = $1 returning fields",
            )
            .bind(reader.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(fields) = found else {
                return Ok(false);
            };
            let mut fields = Fields::from_json(&fields);
            for name in saying.unticked {
                if let Some(value) = fields.0.get_mut(name) {
                    *value = Value::Bool(false);
                }
            }
            fields.0.retain(|name, _| !saying.asked.contains(name));
            fields.0.extend(Fields::from_json(saying.fields).0);
            sqlx::query("update subscribers set name = coalesce($2, name), fields = $3 where id = $1")
                .bind(reader.0)
                .bind(saying.name)
                .bind(fields.to_json())
                .execute(&mut *conn)
                .await?;
            sqlx::query(self.sql(DROP_TAGS))
                .bind(reader.0)
                .bind(json(saying.offered.iter().map(|tag| [tag])))
                .execute(&mut *conn)
                .await?;
            let chosen = saying.tags.iter().map(|tag| (reader.0, tag));
            sqlx::query(self.sql(PUT_TAGS)).bind(json(chosen)).execute(&mut *conn).await?;
            true
        })
    }
}
