//! The two schemas are twins: what one database has, the other has under the same name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sqlx::{Connection, PgConnection, Row, SqliteConnection};

use crate::harness::{Database, Engine, block_on};

/// What a schema holds, as sorted lines that a person can compare.
type Catalogue = BTreeMap<String, Vec<String>>;

/// One line per column: `name type null|not null [default x] [key n]`, the type in SQLite's words.
fn column(name: &str, kind: &str, nullable: bool, default: Option<String>, key: i64) -> String {
    let kind = match kind.to_ascii_lowercase().as_str() {
        "bytea" => "blob".to_owned(),
        other => other.to_owned(),
    };
    let null = if nullable { "null" } else { "not null" };
    let mut line = format!("{name} {kind} {null}");
    if let Some(default) = default {
        // PostgreSQL writes `''::text` where SQLite writes `''`.
        let default = default.split("::").next().unwrap_or_default();
        line += &format!(" default {default}");
    }
    if key > 0 {
        line += &format!(" key {key}");
    }
    line
}

async fn sqlite_catalogue(conn: &mut SqliteConnection) -> Catalogue {
    let rows = sqlx::query(
        "select t.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk
         from sqlite_schema t join pragma_table_info(t.name) c
         where t.type = 'table' and t.name not like 'sqlite_%' and t.name not like '_sqlx_%'
         order by t.name, c.cid",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("the columns");
    let mut catalogue = Catalogue::new();
    for row in rows {
        let nullable = row.get::<i64, _>(3) == 0;
        let line = column(row.get(1), row.get(2), nullable, row.get(4), row.get(5));
        catalogue.entry(row.get(0)).or_default().push(line);
    }
    let rows = sqlx::query(
        "select t.name, i.name, i.\"unique\", i.origin,
             (select group_concat(name, ', ') from pragma_index_info(i.name))
         from sqlite_schema t join pragma_index_list(t.name) i
         where t.type = 'table' and t.name not like '_sqlx_%' and i.origin <> 'pk'",
    )
    .fetch_all(conn)
    .await
    .expect("the indexes");
    for row in rows {
        // A unique rule of the table has a made-up name on both sides, so it goes by its columns.
        let made_up = row.get::<String, _>(3) == "u";
        let name: String = if made_up { String::new() } else { row.get(1) };
        let lines = catalogue.get_mut(&row.get::<String, _>(0));
        lines
            .expect("a table")
            .push(index(&name, row.get(2), row.get(4)));
    }
    sorted(catalogue)
}

async fn postgres_catalogue(conn: &mut PgConnection) -> Catalogue {
    let rows = sqlx::query(
        "select c.table_name::text, c.column_name::text, c.data_type::text,
             c.is_nullable::text = 'YES', c.column_default::text,
             coalesce((select k.ordinal_position::bigint
              from information_schema.table_constraints t
              join information_schema.key_column_usage k using (constraint_schema, constraint_name)
              where t.constraint_type = 'PRIMARY KEY' and t.table_schema = 'public'
                and k.table_name = c.table_name and k.column_name = c.column_name), 0)
         from information_schema.columns c
         where c.table_schema = 'public' and c.table_name not like '\\_sqlx\\_%'
             and c.table_name in (select tablename::text from pg_tables)
         order by c.table_name, c.ordinal_position",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("the columns");
    let mut catalogue = Catalogue::new();
    for row in rows {
        let line = column(row.get(1), row.get(2), row.get(3), row.get(4), row.get(5));
        catalogue.entry(row.get(0)).or_default().push(line);
    }
    let rows = sqlx::query(
        "select t.relname::text, i.relname::text, x.indisunique::int::bigint,
             exists (select 1 from pg_constraint k where k.conindid = i.oid),
             (select string_agg(a.attname::text, ', ' order by c.place)
              from unnest(x.indkey) with ordinality c (number, place)
              join pg_attribute a on a.attrelid = t.oid and a.attnum = c.number)
         from pg_index x
         join pg_class i on i.oid = x.indexrelid
         join pg_class t on t.oid = x.indrelid
         join pg_namespace n on n.oid = t.relnamespace
         where n.nspname = 'public' and t.relname not like '\\_sqlx\\_%' and not x.indisprimary",
    )
    .fetch_all(conn)
    .await
    .expect("the indexes");
    for row in rows {
        let made_up: bool = row.get(3);
        let name: String = if made_up { String::new() } else { row.get(1) };
        let lines = catalogue.get_mut(&row.get::<String, _>(0));
        lines
            .expect("a table")
            .push(index(&name, row.get(2), row.get(4)));
    }
    sorted(catalogue)
}

fn index(name: &str, unique: i64, columns: &str) -> String {
    let kind = if unique != 0 { "unique" } else { "index" };
    format!("({kind} {name} on {columns})")
}

/// Columns in any order: `alter table` adds at the end on both, but a rebuilt table may differ.
fn sorted(mut catalogue: Catalogue) -> Catalogue {
    catalogue.values_mut().for_each(|lines| lines.sort());
    catalogue
}

async fn sqlite(database: &Database) -> SqliteConnection {
    let file = database.path().join("pressrun.db");
    SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .expect("the file just made")
}

#[test]
fn both_databases_have_the_same_tables_columns_and_indexes() {
    block_on(async {
        let one = Database::new(Engine::Sqlite).await;
        let other = Database::new(Engine::Postgres).await;
        one.store().await.close().await;
        other.store().await.close().await;
        let mut on_sqlite = sqlite(&one).await;
        let mut on_postgres = PgConnection::connect(&other.url)
            .await
            .expect("a connection");
        let mut left = sqlite_catalogue(&mut on_sqlite).await;
        let right = postgres_catalogue(&mut on_postgres).await;
        assert!(left.contains_key("deliveries"), "no ledger in {left:?}");
        // Kept on the one, and on the other summed whenever it is asked for.
        let kept = left.remove("run_sums").expect("the sums");
        let kept = kept.iter().map(|line| {
            let words: Vec<&str> = line.split(' ').take(2).collect();
            words.join(" ")
        });
        let mut summed: Vec<String> = sqlx::query_scalar(
            "select column_name::text || ' ' || data_type::text from information_schema.columns
             where table_name = 'run_sums'",
        )
        .fetch_all(&mut on_postgres)
        .await
        .expect("the view's columns");
        summed.sort();
        assert_eq!(kept.collect::<Vec<_>>(), summed);
        let left = format!("{left:#?}");
        let right = format!("{right:#?}");
        let different: Vec<_> = left
            .lines()
            .zip(right.lines())
            .filter(|(a, b)| a != b)
            .collect();
        assert_eq!(
            left,
            right,
            "SQLite left, PostgreSQL right; first: {:?}",
            different.first()
        );
        on_postgres.close().await.expect("a goodbye");
    });
}

#[test]
fn a_twin_that_strays_is_seen() {
    block_on(async {
        let database = Database::new(Engine::Sqlite).await;
        database.store().await.close().await;
        let mut conn = sqlite(&database).await;
        let before = sqlite_catalogue(&mut conn).await;
        let changes = [
            "alter table meta add column note text",
            "create index meta_by_value on meta (value)",
            "create table stray (id bigint not null primary key)",
        ];
        let mut seen = vec![before];
        for change in changes {
            sqlx::query(change)
                .execute(&mut conn)
                .await
                .expect("a change");
            seen.push(sqlite_catalogue(&mut conn).await);
        }
        for pair in seen.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    });
}

#[test]
fn sqlite_checks_rows_of_large_tables_without_building_tables_for_it() {
    block_on(async {
        let database = Database::new(Engine::Sqlite).await;
        database.store().await.close().await;
        let mut conn = sqlite(&database).await;
        let tables: Vec<(String, String)> = sqlx::query_as(
            "select name, sql from sqlite_schema where name in
                 ('subscribers', 'subscriptions', 'deliveries', 'events', 'judged')",
        )
        .fetch_all(&mut conn)
        .await
        .expect("the schema");
        assert_eq!(tables.len(), 5);
        for (name, text) in &tables {
            // Two words are compared one by one.
            let lists = text.match_indices(" in (").map(|(at, _)| &text[at..]);
            let long = lists
                .filter_map(|list| list.split_once(')'))
                .find(|(words, _)| words.matches(',').count() > 1);
            assert_eq!(long, None, "{name}");
        }
        // And yet they are checked.
        let wrong = "insert into deliveries (run_id, seq, subscriber_id, state, due_at)
                     values (1, 1, 1, 'lost', 0)";
        let refused = sqlx::query(wrong).execute(&mut conn).await;
        let refused = refused.expect_err("no such state").to_string();
        assert!(refused.contains("CHECK constraint failed"), "{refused}");
    });
}

#[test]
fn every_migration_has_its_twin_and_says_why() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let names = |engine: &str| {
        let folder = fs::read_dir(root.join(engine)).expect("a folder of migrations");
        let mut names: Vec<String> = folder
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    for name in names("sqlite") {
        for engine in ["sqlite", "postgres"] {
            let text = fs::read_to_string(root.join(engine).join(&name)).expect("a migration");
            assert!(
                text.starts_with("-- "),
                "{engine}/{name} does not open with why"
            );
        }
    }
}
