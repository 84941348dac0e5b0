//! All of a SQLite database, brought into an empty PostgreSQL: every table, every key.
//!
//! Promises: all or nothing, in one transaction of the target, from one instant of the source. Tables and columns are
//! asked of both databases and held against each other, so that none is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use futures::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::store::{Store, StoreError};

/// Rows of one insert.
const ROWS: usize = 2_000;
/// Octets of one insert, at which it is sent though it has fewer rows.
const OCTETS: usize = 4 << 20;

/// A table and the types of its columns on PostgreSQL.
struct Table {
    name: String,
    columns: Vec<(String, String)>,
}

impl Store {
    /// Copies every row of this SQLite database into `target`, a PostgreSQL that is migrated and holds nothing yet. Gives
    /// the tables with the number of their rows; `told` hears of each as it is done.
    pub async fn transfer(
        &self,
        target: &Store,
        mut told: impl FnMut(&str, u64),
    ) -> anyhow::Result<Vec<(String, u64)>> {
        let (Store::Sqlite(from), Store::Postgres(to)) = (self, target) else {
            bail!("a SQLite database is brought into PostgreSQL, and nothing else");
        };
        let mut from = from.readers.acquire().await.map_err(StoreError::from)?;
        let mut source = from.begin().await.map_err(StoreError::from)?;
        let mut tx = to.begin().await.map_err(StoreError::from)?;
        sqlx::raw_sql("set local idle_in_transaction_session_timeout = 0")
            .execute(&mut *tx)
            .await
            .map_err(StoreError::from)?;
        ensure_empty(&mut tx).await?;
        let tables = in_order(&mut tx).await?;
        ensure_twins(&mut source, &tables).await?;
        // What the migrations put there comes from the source; what triggers count is counted there already.
        for table in tables.iter().rev() {
            run(&mut tx, &format!("delete from {}", table.name)).await?;
            run(
                &mut tx,
                &format!("alter table {} disable trigger user", table.name),
            )
            .await?;
        }
        let mut done = Vec::new();
        for table in &tables {
            let rows = copy(&mut source, &mut tx, table)
                .await
                .with_context(|| format!("table `{}`", table.name))?;
            told(&table.name, rows);
            done.push((table.name.clone(), rows));
        }
        for table in &tables {
            run(
                &mut tx,
                &format!("alter table {} enable trigger user", table.name),
            )
            .await?;
            // The next look at it would else be planned as if it were empty.
            run(&mut tx, &format!("analyze {}", table.name)).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(done)
    }
}

async fn run(conn: &mut PgConnection, statement: &str) -> anyhow::Result<()> {
    let ran = sqlx::query(AssertSqlSafe(statement.to_owned()));
    ran.execute(conn).await.map_err(StoreError::from)?;
    Ok(())
}

async fn ensure_empty(conn: &mut PgConnection) -> anyhow::Result<()> {
    let held: i64 = sqlx::query_scalar(
        "select (select count(*) from lists) + (select count(*) from suppressions)
             + (select count(*) from runs where kind = 'issue')
             + (select count(*) from imports)",
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::from)?;
    ensure!(
        held == 0,
        "that database holds lists or runs already; one that is brought over comes into an empty one"
    );
    Ok(())
}

/// Every table of PostgreSQL, those first that others refer to.
async fn in_order(conn: &mut PgConnection) -> anyhow::Result<Vec<Table>> {
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
         from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
           and a.attnum > 0 and not a.attisdropped and c.relname <> '_sqlx_migrations'
         order by c.relname, a.attnum",
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::from)?;
    let references: Vec<(String, String)> = sqlx::query_as(
        "select f.relname::text, t.relname::text
         from pg_constraint r join pg_class f on f.oid = r.conrelid join pg_class t on t.oid = r.confrelid
         where r.contype = 'f' and r.conrelid <> r.confrelid
           and f.relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::from)?;
    let mut waiting: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (table, column, kind) in columns {
        waiting.entry(table).or_default().push((column, kind));
    }
    let mut tables = Vec::new();
    while !waiting.is_empty() {
        let blocked: BTreeSet<&String> = references
            .iter()
            .filter(|(_, target)| waiting.contains_key(target))
            .map(|(table, _)| table)
            .collect();
        let free = waiting.keys().find(|name| !blocked.contains(name)).cloned();
        let name = free.context("tables refer to each other in a circle")?;
        let columns = waiting.remove(&name).unwrap_or_default();
        tables.push(Table { name, columns });
    }
    Ok(tables)
}

/// Fails where the source has a table or a column that the target does not have, or the other way round. The sums of a
/// run's blocks are a view in the target, and follow from what is brought over.
async fn ensure_twins(source: &mut SqliteConnection, tables: &[Table]) -> anyhow::Result<()> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "select t.name, c.name from sqlite_schema t join pragma_table_info(t.name) c
         where t.type = 'table' and t.name not like 'sqlite\\_%' escape '\\'
             and t.name not in ('_sqlx_migrations', 'run_sums')",
    )
    .fetch_all(source)
    .await
    .map_err(StoreError::from)?;
    let found: BTreeSet<(String, String)> = found.into_iter().collect();
    let pair = |table: &Table, column: &String| (table.name.clone(), column.clone());
    let expected: BTreeSet<(String, String)> = tables
        .iter()
        .flat_map(|table| table.columns.iter().map(|(column, _)| pair(table, column)))
        .collect();
    if let Some((table, column)) = found.symmetric_difference(&expected).next() {
        bail!(
            "one of the two databases has no `{table}.{column}`: bring both to this version first"
        );
    }
    Ok(())
}

async fn copy(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    table: &Table,
) -> anyhow::Result<u64> {
    let is_octets = |kind: &str| kind == "bytea";
    let read = |(column, kind): &(String, String)| match is_octets(kind) {
        true => format!("case when {column} is not null then hex({column}) end"),
        false => column.clone(),
    };
    let written = |(place, (_, kind)): (usize, &(String, String))| match is_octets(kind) {
        true => format!("decode(value->>{place}, 'hex')"),
        false => format!("cast(value->>{place} as {kind})"),
    };
    let columns = &table.columns;
    let reads: Vec<String> = columns.iter().map(read).collect();
    let writes: Vec<String> = columns.iter().enumerate().map(written).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    // By the key, so that a row stands before those that refer to it.
    let select = format!(
        "select json_array({}) from {} order by 1",
        reads.join(", "),
        table.name
    );
    let select = match columns.first() {
        Some((first, _)) => select.replace("order by 1", &format!("order by {first}")),
        None => select,
    };
    let insert = format!(
        "insert into {} ({}) select {} from jsonb_array_elements($1::jsonb)",
        table.name,
        names.join(", "),
        writes.join(", ")
    );
    let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(select)).fetch(source);
    let (mut batch, mut octets, mut total) = (Vec::new(), 0, 0);
    loop {
        let row = rows.try_next().await.map_err(StoreError::from)?;
        let last = row.is_none();
        if let Some(row) = row {
            octets += row.len();
            batch.push(row);
        }
        if batch.len() >= ROWS || octets >= OCTETS || (last && !batch.is_empty()) {
            let json = format!("[{}]", batch.join(","));
            let put = sqlx::query(AssertSqlSafe(insert.clone())).bind(json);
            let put = put.execute(&mut *target).await.map_err(StoreError::from)?;
            total += put.rows_affected();
            ensure!(
                put.rows_affected() == batch.len() as u64,
                "rows were lost on the way"
            );
            batch.clear();
            octets = 0;
        }
        if last {
            return Ok(total);
        }
    }
}
