//! PostgreSQL as it is reached: by connections of our own, or through a pooler in transaction mode.
//!
//! Promises: every transaction commits durably. Behind a pooler (`?pooler=transaction` in `database.url`), which
//! may hand the next transaction to another connection, nothing outlives a transaction: no prepared statement,
//! no session's lock, no setting.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions, Connection, Transaction};

use crate::store::{ACQUIRE, PATIENCE, POSTGRES_MIGRATIONS, Result, StoreError, fault};

/// Behind a pooler. A connection comes with the statements that others have prepared under the names that the
/// driver is about to use; and a setting made at its start would be refused.
const BEGIN_POOLED: &str = "begin; deallocate all; set local synchronous_commit = on; \
    set local idle_in_transaction_session_timeout = '10s'";
/// A machine that sleeps in the middle of a transaction locks its rows no longer than this, so that the others
/// can take them over.
const IDLE: &str = "10s";
/// The transaction's lock under which migrations run behind a pooler; any number of our own.
const MIGRATING: i64 = 0x5072_6573_7372_756e;
/// Our own word in the URL's query.
const POOLER: &str = "pooler";

/// A PostgreSQL database.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    pooled: bool,
    /// One connection beside the pool's, made when somebody listens: it is held for as long.
    listening: PgPool,
}

/// A connection that only reads.
pub(crate) enum Reading {
    Own(PoolConnection<Postgres>),
    /// Preparing and asking are two steps, and only a transaction keeps a pooler's connection between them.
    Pooled(Transaction<'static, Postgres>),
}

impl Deref for Reading {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Reading::Own(conn) => conn,
            Reading::Pooled(transaction) => transaction,
        }
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Reading::Own(conn) => conn,
            Reading::Pooled(transaction) => transaction,
        }
    }
}

impl PostgresStore {
    pub(super) async fn connect(url: &str, connections: u32) -> anyhow::Result<PostgresStore> {
        let (url, pooled) = split(url)?;
        // The URL holds the password: only the host and the database are ever named.
        let options = PgConnectOptions::from_str(&url)
            .ok()
            .context("`database.url` is neither `sqlite:FILE` nor `postgres://user@host/name`")?
            .application_name("pressrun")
            .disable_statement_logging();
        let options = match pooled {
            true => options.statement_cache_capacity(0).extra_float_digits(None),
            false => options.options([
                ("synchronous_commit", "on"),
                ("idle_in_transaction_session_timeout", IDLE),
            ]),
        };
        let place = format!(
            "PostgreSQL database `{}` on `{}`",
            options.get_database().unwrap_or_default(),
            options.get_host()
        );
        // The pool asks a server that refuses again and again and then says only that it timed out.
        let first = tokio::time::timeout(PATIENCE, options.connect()).await;
        let first = first.unwrap_or_else(|_| {
            let silent =
                std::io::Error::other(format!("no answer within {} s", PATIENCE.as_secs()));
            Err(sqlx::Error::Io(silent))
        });
        let first = first
            .map_err(StoreError::from)
            .with_context(|| place.clone())?;
        first.close().await.ok();
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .connect_with(options.clone())
            .await
            .map_err(StoreError::from)
            .with_context(|| place)?;
        let listening = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE)
            .connect_lazy_with(options);
        Ok(PostgresStore {
            pool,
            pooled,
            listening,
        })
    }

    /// Where to listen; nowhere behind a pooler.
    pub(super) fn listening(&self) -> Option<&PgPool> {
        (!self.pooled).then_some(&self.listening)
    }

    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        match self.pooled {
            true => self.pool.begin_with(BEGIN_POOLED).await,
            false => self.pool.begin().await,
        }
    }

    pub(crate) async fn reading(&self) -> Result<Reading> {
        Ok(match self.pooled {
            true => Reading::Pooled(self.begin().await?),
            false => Reading::Own(self.pool.acquire().await?),
        })
    }

    pub(super) async fn close(&self) {
        self.listening.close().await;
        self.pool.close().await;
    }

    /// The migrator's own lock is a session's. Behind a pooler, a transaction around all of them holds one that
    /// ends with it.
    pub(super) async fn migrate(&self) -> anyhow::Result<()> {
        if !self.pooled {
            let run = POSTGRES_MIGRATIONS.run(&self.pool).await;
            return run.map_err(fault::of_migration);
        }
        let mut all = self.begin().await?;
        sqlx::query("select pg_advisory_xact_lock($1)")
            .bind(MIGRATING)
            .execute(&mut *all)
            .await?;
        let unlocked = Migrator {
            migrations: POSTGRES_MIGRATIONS.migrations.clone(),
            locking: false,
            ..Migrator::DEFAULT
        };
        let run = unlocked.run(&mut *all).await;
        run.map_err(fault::of_migration)?;
        Ok(all.commit().await?)
    }
}

/// The URL without our own word, and whether a pooler stands between.
fn split(url: &str) -> anyhow::Result<(String, bool)> {
    let Ok(mut parsed) = url::Url::parse(url) else {
        return Ok((url.to_owned(), false));
    };
    let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
    let Some((_, value)) = pairs.iter().find(|(name, _)| name == POOLER) else {
        return Ok((url.to_owned(), false));
    };
    if value != "transaction" {
        bail!("`pooler={value}` in `database.url`: only `pooler=transaction` is known");
    }
    let others: Vec<_> = pairs.iter().filter(|(name, _)| name != POOLER).collect();
    match others.is_empty() {
        true => parsed.set_query(None),
        false => {
            parsed.query_pairs_mut().clear().extend_pairs(others);
        }
    }
    Ok((parsed.into(), true))
}

/// A statement of SQLite's in the words of PostgreSQL.
pub(super) fn spelled(statement: &str) -> String {
    let mut text = statement.replace("/* for", "for").replace(" */", "");
    text = text.replace("instr(", "strpos(");
    // A view there. It would be summed for every run that ever was, and joined then: `offset 0` keeps the planner from
    // seeing through it.
    text = text.replace(
        "join run_sums b on b.run_id = r.id",
        "join lateral (select * from run_sums where run_id = r.id offset 0) b on true",
    );
    for number in 1..=13 {
        text = text.replace(
            &format!("json_each(${number})"),
            &format!("jsonb_array_elements(${number}::jsonb)"),
        );
    }
    text
}
