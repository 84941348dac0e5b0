//! Small facts about this database: its generation and the like.

use crate::clock::Timestamp;
use crate::keyring::Keyring;
use crate::store::{Result, Store};

/// The mark of the keyring under which addresses are hashed here.
const KEYRING: &str = "keyring";

/// Key and a number, which stays where a higher one stands.
pub(crate) const RAISE: &str = "
    insert into meta (key, value) values ($1, $2)
    on conflict (key) do update set value = excluded.value
    where cast(meta.value as bigint) < cast(excluded.value as bigint)";

impl Store {
    /// Whether addresses are hashed under `keyring` here: with another one no suppressed address is recognised. A
    /// database without a mark is known by one of its readers; one without readers belongs to nobody yet.
    pub async fn belongs_to(&self, keyring: &Keyring) -> Result<bool> {
        if let Some(mark) = self.meta(KEYRING).await? {
            return Ok(mark == keyring.mark());
        }
        let reader: Option<(String, Vec<u8>)> = read!(self, conn => {
            sqlx::query_as(
                "select canonical, hash from subscribers where id = (select min(id) from subscribers)",
            )
            .fetch_optional(conn)
            .await?
        });
        Ok(reader.is_none_or(|(canonical, hash)| hash == keyring.address_hash(&canonical)))
    }

    /// Whether a keyring was ever used here: its mark or a reader stands here. Without our tables, none was.
    pub async fn had_keyring(&self) -> Result<bool> {
        let found: std::result::Result<i64, sqlx::Error> = read!(self, conn => {
            sqlx::query_scalar(
                "select (select count(*) from meta where key = $1)
                      + (select count(*) from subscribers where id = (select min(id) from subscribers))",
            )
            .bind(KEYRING)
            .fetch_one(conn)
            .await
        });
        match found {
            Err(sqlx::Error::Database(_)) => Ok(false),
            found => Ok(found? > 0),
        }
    }

    /// [`Store::belongs_to`], and marks a database that has no mark as this keyring's.
    pub async fn claim(&self, keyring: &Keyring) -> Result<bool> {
        if !self.belongs_to(keyring).await? {
            return Ok(false);
        }
        if self.meta(KEYRING).await?.is_some() {
            return Ok(true);
        }
        let mark = keyring.mark();
        Ok(self.meta_or_insert(KEYRING, &mark).await? == mark)
    }

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

    /// The values under all keys that begin with `prefix`, which holds no sign of a pattern.
    pub async fn metas(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        read!(self, conn => {
            let found = sqlx::query_as("select key, value from meta where key like $1 order by key")
                .bind(format!("{prefix}%"))
                .fetch_all(conn)
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
