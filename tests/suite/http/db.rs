//! The test's own way into the database of a site, past the store.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row};

use crate::harness::{Database, Engine};

/// The test's own way into the database.
pub enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Db {
    pub async fn open(engine: Engine, database: &Database) -> Db {
        match engine {
            Engine::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(database.path().join("pressrun.db"))
                    .busy_timeout(Duration::from_secs(30));
                Db::Sqlite(SqlitePool::connect_with(options).await.expect("a pool"))
            }
            Engine::Postgres => {
                let options = sqlx::postgres::PgConnectOptions::from_str(&database.url);
                let options = options.expect("a URL");
                Db::Postgres(PgPool::connect_with(options).await.expect("a pool"))
            }
        }
    }

    pub async fn exec(&self, statement: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        let done = match self {
            Db::Sqlite(pool) => sql.execute(pool).await.map(|_| ()),
            Db::Postgres(pool) => sql.execute(pool).await.map(|_| ()),
        };
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    pub async fn number(&self, query: &str) -> i64 {
        let sql = AssertSqlSafe(query.to_owned());
        let found = match self {
            Db::Sqlite(pool) => sqlx::query(sql).fetch_one(pool).await.map(|row| row.get(0)),
            Db::Postgres(pool) => sqlx::query(sql).fetch_one(pool).await.map(|row| row.get(0)),
        };
        found.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    pub async fn text(&self, query: &str) -> Option<String> {
        let sql = AssertSqlSafe(query.to_owned());
        let found = match self {
            Db::Sqlite(pool) => {
                let row = sqlx::query(sql).fetch_optional(pool).await;
                row.map(|row| row.and_then(|row| row.get(0)))
            }
            Db::Postgres(pool) => {
                let row = sqlx::query(sql).fetch_optional(pool).await;
                row.map(|row| row.and_then(|row| row.get(0)))
            }
        };
        found.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    pub async fn close(&self) {
        match self {
            Db::Sqlite(pool) => pool.close().await,
            Db::Postgres(pool) => pool.close().await,
        }
    }
}
