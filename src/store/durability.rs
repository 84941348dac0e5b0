//! What the database does with a commit, as it says itself.

use std::path::Path;

use anyhow::{Context, ensure};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

use crate::store::{Result, Store, StoreError};

/// A SQLite file on which a look through all pages takes longer than a person waits.
pub(crate) const LARGE: i64 = 2 << 30;

/// Settings and state on which durability rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    Sqlite {
        version: String,
        journal: String,
        /// 2 is `full`, 3 is `extra`.
        synchronous: i64,
        octets: i64,
        /// The first thing that the check of all pages found; none when the file is too large to look.
        integrity: Option<String>,
        /// Migrations of a newer program.
        ahead: bool,
    },
    Postgres {
        version: String,
        /// Name and setting: `fsync`, `full_page_writes`, `synchronous_commit`, `synchronous_standby_names`.
        settings: Vec<(String, String)>,
        /// The server follows another and takes no writes.
        standby: bool,
        /// Servers that follow this one.
        followers: i64,
    },
}

/// The newest instants that the database holds, and its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instants {
    /// Unix milliseconds of the newest row that says when it came.
    pub newest: i64,
    /// Unix milliseconds by PostgreSQL's clock; SQLite has none of its own.
    pub database: Option<i64>,
}

impl Store {
    /// Copies the database as it stands at this instant into the empty file `target`, and looks through all pages of the
    /// copy. Differs by necessity: what a server holds, its own program copies.
    pub async fn copy_to(&self, target: &Path) -> anyhow::Result<()> {
        let Store::Sqlite(db) = self else {
            return Ok(());
        };
        let name = target.to_str().context("the folder's name is not UTF-8")?;
        let copied = sqlx::query("vacuum into $1")
            .bind(name)
            .execute(&db.writer)
            .await;
        copied.map_err(StoreError::from)?;
        let options = SqliteConnectOptions::new().filename(target).read_only(true);
        let mut copy = options.connect().await.map_err(StoreError::from)?;
        let sound: String = sqlx::query_scalar("pragma integrity_check(1)")
            .fetch_one(&mut copy)
            .await
            .map_err(StoreError::from)?;
        copy.close().await.map_err(StoreError::from)?;
        ensure!(
            sound == "ok",
            "the copy of the database is damaged: {sound}"
        );
        Ok(())
    }

    /// How many readers and runs there are.
    pub async fn sizes(&self) -> Result<(i64, i64)> {
        read!(self, conn => {
            let text = "select (select count(*) from subscribers),
                (select count(*) from runs where kind = 'issue')";
            Ok(sqlx::query_as(text).fetch_one(conn).await?)
        })
    }

    /// Asks the database what it does with a commit. On SQLite the writing connection is asked.
    pub async fn durability(&self) -> Result<Durability> {
        match self {
            Store::Sqlite(db) => {
                let mut conn = db.writer.acquire().await?;
                let version = sqlx::query_scalar("select sqlite_version()")
                    .fetch_one(&mut *conn)
                    .await?;
                let journal = sqlx::query_scalar("pragma journal_mode")
                    .fetch_one(&mut *conn)
                    .await?;
                let synchronous = sqlx::query_scalar("pragma synchronous")
                    .fetch_one(&mut *conn)
                    .await?;
                let pages: i64 = sqlx::query_scalar("pragma page_count")
                    .fetch_one(&mut *conn)
                    .await?;
                let size: i64 = sqlx::query_scalar("pragma page_size")
                    .fetch_one(&mut *conn)
                    .await?;
                let octets = pages.saturating_mul(size);
                let integrity = match octets > LARGE {
                    true => None,
                    false => {
                        let look = sqlx::query_scalar("pragma quick_check(1)");
                        Some(look.fetch_one(&mut *conn).await?)
                    }
                };
                let newest: i64 =
                    sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
                        .fetch_one(&mut *conn)
                        .await
                        .unwrap_or(0);
                Ok(Durability::Sqlite {
                    version,
                    journal,
                    synchronous,
                    octets,
                    integrity,
                    ahead: newest > Store::newest_migration(),
                })
            }
            Store::Postgres(db) => {
                let conn = &mut *db.reading().await?;
                let version = sqlx::query_scalar("select current_setting('server_version')")
                    .fetch_one(&mut *conn)
                    .await?;
                let settings = sqlx::query_as(
                    "select name, setting from pg_settings
                     where name in ('fsync', 'full_page_writes', 'synchronous_commit',
                         'synchronous_standby_names')
                     order by name",
                )
                .fetch_all(&mut *conn)
                .await?;
                let row = sqlx::query(
                    "select pg_is_in_recovery(), (select count(*) from pg_stat_replication)",
                )
                .fetch_one(&mut *conn)
                .await?;
                Ok(Durability::Postgres {
                    version,
                    settings,
                    standby: row.get(0),
                    followers: row.get(1),
                })
            }
        }
    }

    /// The newest instants in the database, and its clock.
    pub async fn instants(&self) -> Result<Instants> {
        let newest = read!(self, conn => {
            sqlx::query_scalar(
                "select max(at) from (
                     select coalesce(max(created_at), 0) as at from runs
                     union all select coalesce(max(started_at), 0) from runs
                     union all select coalesce(max(started_at), 0) from senders
                     union all select coalesce(max(at), 0) from events
                         where id = (select max(id) from events)
                     union all select coalesce(max(created_at), 0) from suppressions
                     union all select coalesce(max(marked_at), 0) from deliveries
                         where run_id in (
                             select id from runs
                             where id > 1 and status not in ('finished', 'cancelled')
                         )
                 ) as every",
            )
            .fetch_one(conn)
            .await?
        });
        let database = match self {
            Store::Sqlite(_) => None,
            Store::Postgres(db) => {
                let conn = &mut *db.reading().await?;
                let now = "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)";
                Some(sqlx::query_scalar(now).fetch_one(conn).await?)
            }
        };
        Ok(Instants { newest, database })
    }
}
