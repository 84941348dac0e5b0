//! What the database must be before its rows prove anything: whole, with every table of this program, its references
//! and its readers' hashes in order.
//!
//! Promises: reads only. What should be there is not written down a second time: the migrations are run in memory, and
//! their tables, columns, indexes and triggers are looked for. What a person made besides is nobody's business.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, PgConnection};

use crate::id::RunId;
use crate::store::durability::LARGE;
use crate::store::fault::of_migration;
use crate::store::{POSTGRES_MIGRATIONS, Result, SQLITE_MIGRATIONS, Store};

/// A part of the schema that is not as the migrations made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stray {
    Table(String),
    /// A table and its column.
    Column(String, String),
    Index(String),
    Trigger(String),
}

impl Stray {
    /// Whether statements fail for want of it.
    pub fn is_needed(&self) -> bool {
        matches!(self, Stray::Table(_) | Stray::Column(..))
    }

    /// What is wrong, in words.
    pub fn words(&self) -> String {
        match self {
            Stray::Table(name) => format!("the table `{name}` is gone"),
            Stray::Column(table, name) => format!("the column `{name}` of `{table}` is gone"),
            Stray::Index(name) => format!("the index `{name}` is gone"),
            Stray::Trigger(name) => format!("the trigger `{name}` is gone, or another"),
        }
    }
}

/// What a schema holds: columns by table, names of indexes, triggers with their text where they have one.
#[derive(Default)]
struct Schema {
    tables: BTreeMap<String, BTreeSet<String>>,
    indexes: BTreeSet<String>,
    triggers: BTreeMap<String, String>,
}

/// What the rows of a run say of what became of it, beside its states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Traces {
    /// Deliveries that stand behind their markers.
    pub marked: i64,
    /// Opened, clicked, left by or complained of, and never before the dot; but for whom that took off the run.
    pub foretold: i64,
    /// Failed or expired without anybody's word.
    pub wordless: i64,
    /// Readers of its most clicked link; 0 of a run that names nobody.
    pub clicked: i64,
}

/// Nothing takes a marker away, and no delivery is ever deleted. Whoever is answered gives a code, be it 0.
const TRACES: &str = "
    select
        cast(coalesce(sum(case when d.marked_at is null then 0 else 1 end), 0) as bigint) as marked,
        cast(coalesce(sum(case when d.marked_at is null and d.state not in ('unsubscribed', 'suppressed') and (
                coalesce(d.opened_at, d.clicked_at, d.departed_at, d.complained_at) is not null
                or exists (
                    select 1 from delivery_events v join events e on e.id = v.event_id
                    where v.run_id = d.run_id and v.seq = d.seq
                      and e.kind in ('open', 'click', 'view', 'unsubscribe', 'complaint')
                )
            ) then 1 else 0 end), 0) as bigint) as foretold,
        cast(coalesce(sum(case when d.state in ('failed', 'expired') and d.code is null
            then 1 else 0 end), 0) as bigint) as wordless,
        (
            select cast(coalesce(max(c.readers), 0) as bigint) from link_counts c
            where c.run_id = $1
              and not exists (select 1 from pseudonym_keys k where k.run_id = $1)
        ) as clicked
    from deliveries d
    where d.run_id = $1 and d.run_id > 1";

const COLUMNS: &str = "
    select t.name, c.name from sqlite_schema t join pragma_table_info(t.name) c
    where t.type = 'table' and t.name not like 'sqlite~_%' escape '~'
      and t.name not like '~_sqlx~_%' escape '~'";

impl Store {
    /// The newest migration that was made here; none of a database without tables.
    pub async fn migration(&self) -> Result<Option<i64>> {
        let there = match self {
            Store::Sqlite(_) => {
                "select count(*) from sqlite_schema where name = '_sqlx_migrations'"
            }
            Store::Postgres(_) => {
                "select count(*) from information_schema.tables
                 where table_schema = current_schema() and table_name = '_sqlx_migrations'"
            }
        };
        read!(self, conn => {
            let there: i64 = sqlx::query_scalar(there).fetch_one(&mut *conn).await?;
            if there == 0 {
                return Ok(None);
            }
            let newest = sqlx::query_scalar("select max(version) from _sqlx_migrations");
            Ok(newest.fetch_one(conn).await?)
        })
    }

    /// What of this program's schema is not here as its migrations make it, tables first.
    pub async fn strays(&self) -> anyhow::Result<Vec<Stray>> {
        let mut memory = SqliteConnectOptions::new()
            .in_memory(true)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(crate::store::StoreError::from)?;
        SQLITE_MIGRATIONS
            .run(&mut memory)
            .await
            .map_err(of_migration)?;
        let mut wanted = of_sqlite(&mut memory).await?;
        let found = match self {
            Store::Sqlite(db) => {
                let mut conn = db
                    .readers
                    .acquire()
                    .await
                    .map_err(crate::store::StoreError::from)?;
                of_sqlite(&mut conn).await?
            }
            // Differs by necessity: the tables are twins, the triggers are not.
            Store::Postgres(db) => {
                wanted.triggers = made_by(&POSTGRES_MIGRATIONS);
                of_postgres(&mut *db.reading().await?).await?
            }
        };
        Ok(wanted.without(&found))
    }

    /// The first thing that is wrong with the pages of a SQLite file of up to 2 GiB; none of a server's.
    pub async fn unsound(&self) -> Result<Option<String>> {
        let Store::Sqlite(db) = self else {
            return Ok(None);
        };
        let mut conn = db.readers.acquire().await?;
        let octets: i64 = sqlx::query_scalar(
            "select page_count * page_size from pragma_page_count(), pragma_page_size()",
        )
        .fetch_one(&mut *conn)
        .await?;
        if octets > LARGE {
            return Ok(None);
        }
        let look = sqlx::query_scalar("pragma quick_check(1)");
        let found: String = look.fetch_one(&mut *conn).await?;
        Ok((found != "ok").then_some(found))
    }

    /// Rows that name one which is not there, by table. Differs by necessity: a server lets none come about.
    pub async fn dangling(&self) -> Result<Vec<(String, i64)>> {
        let Store::Sqlite(db) = self else {
            return Ok(Vec::new());
        };
        let mut conn = db.readers.acquire().await?;
        let found = sqlx::query_as(
            "select \"table\", count(*) from pragma_foreign_key_check() group by 1 order by 1",
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(found)
    }

    /// Up to `limit` readers behind the number `after`: number, canonical address and hash.
    pub async fn hashes(&self, after: i64, limit: u32) -> Result<Vec<(i64, String, Vec<u8>)>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select id, canonical, hash from subscribers where id > $1 order by id limit $2",
            )
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// What the rows of a run say of what became of it.
    pub async fn traces(&self, run: RunId) -> Result<Traces> {
        read!(self, conn => {
            Ok(sqlx::query_as(TRACES).bind(run.0).fetch_one(conn).await?)
        })
    }

    /// Of the runs of these numbers those that are not there.
    pub async fn lost_runs(&self, numbers: &[i64]) -> Result<Vec<i64>> {
        let numbers = serde_json::Value::from(numbers).to_string();
        read!(self, conn => {
            let lost = sqlx::query_scalar(self.sql(
                "select cast(o.value as bigint) from json_each($1) as o
                 where cast(o.value as bigint) not in (select id from runs) order by 1",
            ));
            Ok(lost.bind(numbers).fetch_all(conn).await?)
        })
    }
}

impl Schema {
    /// What of this is not in `found`.
    fn without(&self, found: &Schema) -> Vec<Stray> {
        let mut strays = BTreeSet::new();
        for (table, columns) in &self.tables {
            let Some(there) = found.tables.get(table) else {
                strays.insert(Stray::Table(table.clone()));
                continue;
            };
            let gone = columns.difference(there);
            strays.extend(gone.map(|column| Stray::Column(table.clone(), column.clone())));
        }
        let indexes = self.indexes.difference(&found.indexes);
        strays.extend(indexes.cloned().map(Stray::Index));
        let triggers = self.triggers.iter();
        let triggers = triggers.filter(|(name, text)| found.triggers.get(*name) != Some(text));
        strays.extend(triggers.map(|(name, _)| Stray::Trigger(name.clone())));
        strays.into_iter().collect()
    }

    fn of(
        columns: Vec<(String, String)>,
        indexes: Vec<String>,
        triggers: Vec<(String, String)>,
    ) -> Schema {
        let mut schema = Schema {
            indexes: indexes.into_iter().collect(),
            triggers: triggers.into_iter().collect(),
            ..Schema::default()
        };
        for (table, column) in columns {
            schema.tables.entry(table).or_default().insert(column);
        }
        schema
    }
}

async fn of_sqlite(conn: &mut SqliteConnection) -> Result<Schema> {
    let columns = sqlx::query_as(COLUMNS).fetch_all(&mut *conn).await?;
    let indexes = "select name from sqlite_schema where type = 'index' and sql is not null";
    let indexes = sqlx::query_scalar(indexes).fetch_all(&mut *conn).await?;
    let triggers = "select name, sql from sqlite_schema where type = 'trigger'";
    let triggers = sqlx::query_as(triggers).fetch_all(&mut *conn).await?;
    Ok(Schema::of(columns, indexes, triggers))
}

async fn of_postgres(conn: &mut PgConnection) -> Result<Schema> {
    let columns = "select cast(table_name as text), cast(column_name as text)
        from information_schema.columns where table_schema = current_schema()";
    let columns = sqlx::query_as(columns).fetch_all(&mut *conn).await?;
    let indexes =
        "select cast(indexname as text) from pg_indexes where schemaname = current_schema()";
    let indexes = sqlx::query_scalar(indexes).fetch_all(&mut *conn).await?;
    let triggers = "select cast(t.tgname as text), '' from pg_trigger t
            join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        where not t.tgisinternal and t.tgenabled <> 'D' and n.nspname = current_schema()";
    let triggers = sqlx::query_as(triggers).fetch_all(&mut *conn).await?;
    Ok(Schema::of(columns, indexes, triggers))
}

/// The triggers that migrations leave behind, by name alone.
fn made_by(migrations: &Migrator) -> BTreeMap<String, String> {
    let mut made = BTreeMap::new();
    for migration in migrations.iter() {
        let words: Vec<&str> = migration.sql.as_str().split_whitespace().collect();
        for step in words.windows(3) {
            match step {
                ["create", "trigger", name] => made.insert((*name).to_owned(), String::new()),
                ["drop", "trigger", name] => made.remove(name.trim_end_matches(';')),
                _ => None,
            };
        }
    }
    made
}
