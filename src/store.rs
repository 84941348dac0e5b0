//! The store: one set of statements for SQLite and PostgreSQL.
//!
//! Promises: a committed change is durable (SQLite `synchronous=full`, PostgreSQL
//! `synchronous_commit=on`); one writer at a time on SQLite. Holds all the SQL and no decision.
//!
//! A statement is written once, in the words both engines share. Where a token differs (the table
//! function that opens a JSON batch), [`Store::sql`] swaps it; where a whole statement must differ, a
//! comment says "differs by necessity".

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use crate::store::postgres::PostgresStore;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a statement of who sends or serves waits for another process's write on the same SQLite file.
pub(crate) const BUSY: Duration = Duration::from_secs(60);
/// How long a person waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Pages (of 4 KiB) in the write-ahead log before SQLite folds them back: scattered opens and clicks dirty
/// one page each, and at the default of 1,000 the folding itself was the larger part of the work.
pub(crate) const CHECKPOINT: u32 = 8192;
/// How long emptying the write-ahead log waits for readers of an older state.
const LOG_WAIT: Duration = Duration::from_millis(250);
/// How soon a SQLite file that turned a connection away is asked again.
const REOPEN: Duration = Duration::from_millis(20);
/// How long a caller waits for a connection of the pool.
const ACQUIRE: Duration = Duration::from_secs(30);

/// A database that Pressrun keeps everything in.
#[derive(Clone, Debug)]
pub enum Store {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

/// A SQLite file: many readers and one writer, as SQLite itself allows.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(crate) readers: SqlitePool,
    pub(crate) writer: SqlitePool,
    path: PathBuf,
}

/// The database did not do it; whose fault the text tells.
#[derive(Debug)]
pub struct StoreError(sqlx::Error);

/// What every statement gives.
pub type Result<T> = std::result::Result<T, StoreError>;

/// How often a transaction that was undone by another is asked again.
const CONFLICTS: u32 = 3;

/// Asks a whole transaction again when another one undid it: `again!(self.try_it().await)`.
macro_rules! again {
    ($attempt:expr) => {{
        let mut left = $crate::store::CONFLICTS;
        loop {
            match $attempt {
                Err(error) if left > 0 && error.is_conflict() => left -= 1,
                done => break done,
            }
        }
    }};
}

/// Runs `$body` on a connection that only reads: `read!(self, conn => ...)`.
macro_rules! read {
    ($store:expr, $conn:ident => $body:expr) => {
        match $store {
            $crate::store::Store::Sqlite(db) => {
                let mut held = db.readers.acquire().await?;
                let $conn = &mut *held;
                $body
            }
            $crate::store::Store::Postgres(db) => {
                let mut held = db.reading().await?;
                let $conn = &mut *held;
                $body
            }
        }
    };
}

/// Runs `$body` in one write transaction and commits it; `?` inside rolls back. Gives `Ok(value)`.
macro_rules! transact {
    ($store:expr, $conn:ident => $body:expr) => {
        match $store {
            $crate::store::Store::Sqlite(db) => {
                let mut held = db.writer.begin_with("begin immediate").await?;
                let value = {
                    let $conn = &mut *held;
                    $body
                };
                $crate::failpoint::pass(module_path!(), $crate::failpoint::When::Before)
                    .map_err(sqlx::Error::from)?;
                held.commit().await?;
                $crate::failpoint::pass(module_path!(), $crate::failpoint::When::After)
                    .map_err(sqlx::Error::from)?;
                Ok(value)
            }
            $crate::store::Store::Postgres(db) => {
                let mut held = db.begin().await?;
                let value = {
                    let $conn = &mut *held;
                    $body
                };
                $crate::failpoint::pass(module_path!(), $crate::failpoint::When::Before)
                    .map_err(sqlx::Error::from)?;
                held.commit().await?;
                $crate::failpoint::pass(module_path!(), $crate::failpoint::When::After)
                    .map_err(sqlx::Error::from)?;
                Ok(value)
            }
        }
    };
}

pub mod about;
pub mod access;
pub mod amend;
pub mod archive;
pub mod asking;
pub mod audience;
pub mod audit;
pub mod begin;
pub(crate) mod blocks;
pub mod budgets;
pub mod comeback;
pub(crate) mod consents;
pub mod departures;
pub mod doubles;
pub mod durability;
pub mod events;
pub mod failures;
mod fault;
pub mod folds;
pub mod former;
pub mod freeze;
pub mod history;
pub mod identity;
pub mod import;
pub(crate) mod import_moves;
pub mod imports;
pub mod journal;
pub mod learned;
pub mod leases;
pub mod leave;
pub mod ledger;
pub mod lists;
pub mod members;
pub mod meta;
pub mod moves;
pub mod notices;
pub mod parts;
pub(crate) mod postgres;
pub mod preferences;
pub mod pressure;
pub mod probes;
pub mod proof;
pub mod proofs;
pub mod pseudonyms;
pub mod reached;
pub mod readers;
pub mod relays;
pub mod repairs;
pub mod reserve;
pub mod retention;
pub mod returned;
pub mod revisions;
pub mod runs;
pub mod segments;
pub mod signup;
pub mod site;
pub mod soundness;
pub mod spellings;
pub mod stages;
pub mod stats;
mod status;
pub mod subscribers;
pub mod sunset;
pub mod suppressions;
pub mod system_mail;
pub mod tags;
pub mod tallies;
pub mod transfer;
pub mod trials;
pub mod undo;
pub mod verify;
pub mod wake;
pub mod whole;

impl Store {
    /// Opens `url` (`sqlite:FILE` relative to `base`, or `postgres://...`), and brings the schema up to
    /// date; a SQLite file is copied first.
    pub async fn open(url: &str, base: &Path, connections: u32) -> anyhow::Result<Store> {
        Store::open_within(url, base, connections, BUSY).await
    }

    /// The same; no statement waits longer than `busy` for another process's write on the same SQLite file.
    pub async fn open_within(
        url: &str,
        base: &Path,
        connections: u32,
        busy: Duration,
    ) -> anyhow::Result<Store> {
        let store = Store::connect_within(url, base, connections, busy).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// The file of a SQLite database.
    fn file(url: &str, base: &Path) -> Option<PathBuf> {
        let file = url.strip_prefix("sqlite:")?;
        Some(base.join(file.trim_start_matches("//")))
    }

    /// The file that opening `url` would make, if it is not there yet.
    pub fn missing(url: &str, base: &Path) -> Option<PathBuf> {
        Store::file(url, base).filter(|path| !path.is_file())
    }

    /// Opens `url` as it stands, without migrating.
    pub async fn connect(url: &str, base: &Path, connections: u32) -> anyhow::Result<Store> {
        Store::connect_within(url, base, connections, PATIENCE).await
    }

    async fn connect_within(
        url: &str,
        base: &Path,
        connections: u32,
        busy: Duration,
    ) -> anyhow::Result<Store> {
        if let Some(path) = Store::file(url, base) {
            let sqlite = SqliteStore::connect(path.clone(), connections, busy).await;
            let sqlite = sqlite.with_context(|| format!("database `{}`", path.display()))?;
            return Ok(Store::Sqlite(sqlite));
        }
        let postgres = PostgresStore::connect(url, connections).await?;
        Ok(Store::Postgres(postgres))
    }

    /// Opens `url` for reading alone, as it stands; none where there is no database yet.
    pub async fn open_to_read(url: &str, base: &Path) -> anyhow::Result<Option<Store>> {
        let Some(path) = Store::file(url, base) else {
            return Store::connect(url, base, 2).await.map(Some);
        };
        if !path.is_file() {
            return Ok(None);
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .read_only(true)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let readers = SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(ACQUIRE)
            .connect_with(options.clone())
            .await
            .map_err(StoreError::from)
            .with_context(|| format!("database `{}`", path.display()))?;
        Ok(Some(Store::Sqlite(SqliteStore {
            readers,
            // Whatever would write fails on it.
            writer: SqlitePoolOptions::new()
                .max_connections(1)
                .connect_lazy_with(options),
            path,
        })))
    }

    /// Closes every connection; on SQLite this also folds the write-ahead log back into the file.
    pub async fn close(&self) {
        match self {
            Store::Sqlite(db) => {
                db.readers.close().await;
                db.writer.close().await;
            }
            Store::Postgres(db) => db.close().await,
        }
    }

    /// Folds the write-ahead log back into the file and empties it, so that what was deleted is in neither. Whoever
    /// just reads an older state keeps it from that; it is tried again by the next round of keeping house. Differs by
    /// necessity: PostgreSQL's log is the business of who runs it.
    pub async fn empty_log(&self) -> Result<()> {
        if let Store::Sqlite(db) = self {
            // A connection of its own: no other write waits long for a slow reader, nor has less patience after this.
            let mut conn = SqliteConnectOptions::new()
                .filename(&db.path)
                .busy_timeout(LOG_WAIT)
                .disable_statement_logging()
                .connect()
                .await?;
            let folded = sqlx::raw_sql("pragma wal_checkpoint(truncate)")
                .execute(&mut conn)
                .await;
            conn.close().await?;
            folded?;
        }
        Ok(())
    }

    /// Whether one process alone may send from this database.
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Store::Sqlite(_))
    }

    /// The SQLite file, if this is one.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match self {
            Store::Sqlite(db) => Some(&db.path),
            Store::Postgres(_) => None,
        }
    }

    /// The newest migration that this program knows; both databases have the same numbers.
    pub(crate) fn newest_migration() -> i64 {
        let versions = SQLITE_MIGRATIONS.iter().map(|migration| migration.version);
        versions.max().unwrap_or(0)
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        match self {
            Store::Sqlite(db) => {
                // Two commands may meet a database that is to be made or migrated; SQLite's migrator has no lock of
                // its own. Whoever comes second finds the work done.
                let _lock = match db.is_migrated().await? {
                    true => return Ok(()),
                    false => db.lock_for_migration().await?,
                };
                db.copy_before_migration().await?;
                let mut conn = db.writer.acquire().await.map_err(StoreError::from)?;
                let run = SQLITE_MIGRATIONS.run(&mut *conn).await;
                run.map_err(fault::of_migration)?;
            }
            Store::Postgres(db) => db.migrate().await?,
        }
        Ok(())
    }

    /// The statement in this engine's words. It is SQLite's; on PostgreSQL `json_each($1)` is
    /// `jsonb_array_elements($1::jsonb)`, `instr(` is `strpos(`, locks in comments (`/* for update */`) are locks, and
    /// what is joined with the sums of a run's blocks (`join run_sums b on b.run_id = r.id`) sums those of that run alone.
    /// `db_now()` is 0 on SQLite, where a lease ends with its process, and so is `own_part()`, where one writes.
    pub(crate) fn sql(&self, statement: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(match self {
            Store::Sqlite(_) => statement
                .replace("db_now()", "0")
                .replace("own_part()", "0"),
            Store::Postgres(_) => postgres::spelled(statement),
        })
    }
}

impl SqliteStore {
    async fn connect(path: PathBuf, connections: u32, busy: Duration) -> Result<SqliteStore> {
        // It holds all addresses, so others do not read it. What is wrong with the place, SQLite says below.
        let mut fresh = std::fs::OpenOptions::new();
        fresh.write(true).create_new(true).mode(0o600);
        fresh.open(&path).ok();
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy)
            .pragma("temp_store", "memory")
            .pragma("cache_size", "-8192")
            .pragma("wal_autocheckpoint", CHECKPOINT.to_string())
            // Invariant: what was deleted is not in the file any more, and in no copy of it.
            .pragma("secure_delete", "on")
            .disable_statement_logging();
        let begun = Instant::now();
        let writer = loop {
            let opened = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(busy + ACQUIRE)
                // A full disk makes SQLite end the transaction by itself. The driver does not notice, its rollback
                // fails, and this connection would refuse every `begin` from then on.
                .before_acquire(|conn, _| Box::pin(async move { Ok(!conn.is_in_transaction()) }))
                .connect_with(options.clone())
                .await
                .map_err(StoreError::from);
            match opened {
                // Of several that make the same file, SQLite turns some away without the wait it was told: the
                // change to a write-ahead log needs a lock that two who read may both ask for.
                Err(error) if error.is_locked() && begun.elapsed() < busy => {
                    tokio::time::sleep(REOPEN).await;
                }
                opened => break opened?,
            }
        };
        let readers = SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .connect_with(
                options
                    .pragma("query_only", "on")
                    // Every commit of the writer empties the cache of a reader: a larger one only takes memory.
                    .pragma("cache_size", "-1024"),
            )
            .await?;
        Ok(SqliteStore {
            readers,
            writer,
            path,
        })
    }

    /// Whether every migration of this program is there, and none that it does not know.
    async fn is_migrated(&self) -> anyhow::Result<bool> {
        let mut conn = self.writer.acquire().await?;
        let known = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
        let any: i64 = sqlx::query_scalar(known).fetch_one(&mut *conn).await?;
        if any == 0 {
            return Ok(false);
        }
        let applied =
            "select version, checksum from _sqlx_migrations where success order by version";
        let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(applied).fetch_all(&mut *conn).await?;
        let known = SQLITE_MIGRATIONS.iter();
        let known = known.map(|migration| (migration.version, migration.checksum.to_vec()));
        Ok(applied == known.collect::<Vec<_>>())
    }

    /// Waits for another process that migrates. The lock is the operating system's and ends with the file.
    async fn lock_for_migration(&self) -> anyhow::Result<std::fs::File> {
        let mut name = self.path.clone().into_os_string();
        name.push("-migrating");
        let path = PathBuf::from(name);
        let taken = tokio::task::spawn_blocking(move || {
            let mut options = std::fs::OpenOptions::new();
            let options = options.write(true).create(true).truncate(false).mode(0o600);
            let shown = path.display().to_string();
            let file = options.open(&path);
            let file = file.with_context(|| format!("the lock `{shown}` cannot be opened"))?;
            file.lock().with_context(|| format!("the lock `{shown}`"))?;
            Ok::<_, anyhow::Error>(file)
        });
        taken.await.context("waiting for another migration")?
    }

    /// Before a migration changes a database that holds something, its state goes beside it.
    async fn copy_before_migration(&self) -> anyhow::Result<()> {
        let mut conn = self.writer.acquire().await.map_err(StoreError::from)?;
        let known = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
        let migrated = sqlx::query_scalar(known).fetch_one(&mut *conn).await;
        let migrated: i64 = migrated.map_err(StoreError::from)?;
        if migrated == 0 {
            return Ok(());
        }
        let last = "select coalesce(max(version), 0) from _sqlx_migrations";
        let newest = sqlx::query(last).fetch_one(&mut *conn).await;
        let version: i64 = newest.map_err(StoreError::from)?.get(0);
        if Store::newest_migration() > version {
            let copy = self
                .path
                .with_extension(format!("before-{}.db", version + 1));
            if !copy.exists() {
                let half = copy.with_extension("db.new");
                // It holds all that the database holds, so others do not read it; and a half copy is none.
                std::fs::remove_file(&half).ok();
                let mut fresh = std::fs::OpenOptions::new();
                fresh.write(true).create_new(true).mode(0o600);
                let file = fresh.open(&half).context("a copy of the database")?;
                let target = half.to_str().context("the database's path is not UTF-8")?;
                sqlx::query("vacuum into $1")
                    .bind(target)
                    .execute(&mut *conn)
                    .await
                    .map_err(StoreError::from)?;
                file.sync_all()?;
                std::fs::rename(&half, &copy)?;
                let folder = copy.parent().filter(|folder| folder.is_dir());
                std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
                tracing::info!(copy = %copy.display(), "copied the database before its migration");
            }
        }
        Ok(())
    }
}
