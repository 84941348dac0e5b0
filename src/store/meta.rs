//! Small facts about this database: its generation and the like.

use crate::clock::Timestamp;
use crate::store::{Result, Store};

/// Key and a number, which stays where a higher one stands.
pub(crate) const RAISE: &str = "
    insert into meta (key, value) values ($1, $2)
    on conflict (key) do update set value = excluded.value
    where cast(meta.value as bigint) < cast(excluded.value as bigint)";

impl Store {
    /// The value under `key`, if any.
    pub async fn meta(&self, key: &str) -> Result<Option<String>> {
        read!(self, conn => {
            let found = sqlx::query_scalar("select value from meta where key = $1")
                .bind(key)
                .fetch_optional(conn)
                .await?;
            Ok(found)
        })
    }

    /// Puts `value` under `key`.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "insert into meta (key, value) values ($1, $2)
                 on conflict (key) do update set value = excluded.value",
            )
            .bind(key)
            .bind(value)
            .execute(conn)
            .await?;
        })
    }

    /// Puts the number `value` under `key`, unless a higher one stands there.
    pub async fn raise_meta(&self, key: &str, value: i64) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(RAISE).bind(key).bind(value.to_string()).execute(conn).await?;
        })
    }

    /// Takes a turn: puts the time `at` under `key` if the one there is not after `before`, or none. True for the one
    /// of several that did.
    pub async fn take_turn(&self, key: &str, at: Timestamp, before: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            let taken = sqlx::query(
                "insert into meta (key, value) values ($1, $2)
                 on conflict (key) do update set value = excluded.value
                 where cast(meta.value as bigint) <= $3",
            )
            .bind(key)
            .bind(at.0.to_string())
            .bind(before.0)
            .execute(conn)
            .await?;
            taken.rows_affected() > 0
        })
    }

    /// The value under `key`; `value` becomes it if there was none.
    pub async fn meta_or_insert(&self, key: &str, value: &str) -> Result<String> {
        transact!(self, conn => {
            sqlx::query(
                "insert into meta (key, value) values ($1, $2) on conflict (key) do nothing",
            )
            .bind(key)
            .bind(value)
            .execute(&mut *conn)
            .await?;
            sqlx::query_scalar("select value from meta where key = $1")
                .bind(key)
                .fetch_one(&mut *conn)
                .await?
        })
    }
}
