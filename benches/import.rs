//! Importing readers, beside the same rows put into a bare table.
//!
//! The import is the real command in a process of its own, from the CSV file to the last commit, with
//! suppressions asked, addresses parsed and four indexes kept. The reference knows none of that: one
//! table with a unique address, the same file settings, batches of the same kind.
//! On PostgreSQL, too, where `PRESSRUN_TEST_POSTGRES` names a server.
//! `PRESSRUN_BENCH_ROWS` asks for other than a million rows, `PRESSRUN_BENCH_REPEATS` for other than three turns.

mod measure;
mod postgres;
mod process;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};

use measure::{Reference, Row, median, number};
use process::Cost;

const BATCH: usize = 4_000;
const MEMORY_GOAL_MIB: f64 = 128.0;

/// What the turns on one database came to, in rows a second.
#[derive(Default)]
struct Turns {
    bare: Vec<f64>,
    first: Vec<f64>,
    again: Vec<f64>,
    peaks: Vec<f64>,
    /// Processor time, in ms for a thousand rows.
    processor: Vec<f64>,
}

fn main() {
    let asked = |name: &str, otherwise: usize| {
        let number = std::env::var(name).ok();
        number.map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let rows = asked("PRESSRUN_BENCH_ROWS", 1_000_000);
    let repeats = asked("PRESSRUN_BENCH_REPEATS", 3);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let csv = folder.path().join("readers.csv");
    write_csv(&csv, rows);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = std::env::var("PRESSRUN_TEST_POSTGRES").ok();
    let (mut sqlite, mut postgres) = (Turns::default(), Turns::default());
    // In turns, so that a machine that slows down slows both.
    for repeat in 0..repeats {
        let file = folder.path().join(format!("bare-{repeat}.db"));
        let took = runtime.block_on(bare_table(&file, rows));
        sqlite.bare.push(rate(rows, took));
        sqlite.turn(folder.path(), &csv, rows, None);
        let Some(server) = &server else {
            continue;
        };
        let url = runtime.block_on(new_database(server, "bare"));
        let took = runtime.block_on(bare_postgres(&url, rows));
        postgres.bare.push(rate(rows, took));
        runtime.block_on(drop_database(server, &url));
        let url = runtime.block_on(new_database(server, "news"));
        postgres.turn(folder.path(), &csv, rows, Some(&url));
        runtime.block_on(drop_database(server, &url));
    }
    let mut lines = sqlite.lines("SQLite");
    if server.is_some() {
        lines.extend(postgres.lines("PostgreSQL"));
    }
    let title = format!(
        "import: {} rows of CSV, median of {repeats}",
        number(rows as f64)
    );
    measure::print(&title, "rows/s", &lines);
    measure::print_disk(folder.path());
}

impl Turns {
    /// Imports the file into a new publication, and once more.
    fn turn(&mut self, folder: &Path, csv: &Path, rows: usize, url: Option<&str>) {
        let news = folder.join("news");
        pressrun(&["init".as_ref(), news.as_ref()]);
        let (took, cost) = import(&news, csv, url);
        self.first.push(rate(rows, took));
        self.peaks.push(cost.peak_mib);
        self.processor.push(cost.seconds * 1e6 / rows as f64);
        let (took, _) = import(&news, csv, url);
        self.again.push(rate(rows, took));
        fs::remove_dir_all(&news).expect("the publication is ours");
    }

    fn lines(mut self, database: &str) -> Vec<Row> {
        let reference = median(&mut self.bare);
        let peak = median(&mut self.peaks);
        let within = if peak <= MEMORY_GOAL_MIB {
            "met"
        } else {
            "MISSED"
        };
        vec![
            Row::plain(format!("bare table, {database}"), reference),
            Row::against(
                format!("subscribers import, {database}"),
                median(&mut self.first),
                Reference {
                    name: "bare table",
                    value: reference,
                    goal: 0.5,
                },
            )
            .with(format!(
                "{:.1} ms CPU per 1,000; peak {peak:.0} MiB, goal <= {MEMORY_GOAL_MIB} {within}",
                median(&mut self.processor)
            )),
            Row::plain(
                "the same file once more (nothing to change)",
                median(&mut self.again),
            ),
        ]
    }
}

async fn new_database(server: &str, what: &str) -> String {
    let name = format!("pressrun_bench_{what}_{}", std::process::id());
    let made = postgres::ask(server, format!("create database {name}")).await;
    made.expect("a new database");
    let (server, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}")
}

async fn drop_database(server: &str, url: &str) {
    let (_, name) = url.rsplit_once('/').expect("a URL with a database");
    let dropped = postgres::ask(server, format!("drop database {name} with (force)")).await;
    dropped.expect("the database is ours");
}

fn rate(rows: usize, took: Duration) -> f64 {
    rows as f64 / took.as_secs_f64()
}

/// Addresses in no order, as an export from elsewhere has them: indexes do not get them sorted.
fn address(number: usize) -> String {
    let scattered = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("reader.{scattered:016x}@example{}.org", number % 50)
}

fn write_csv(path: &Path, rows: usize) {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    writeln!(file, "email,name").expect("a write");
    for number in 0..rows {
        writeln!(file, "{},Reader Number {number}", address(number)).expect("a write");
    }
    file.flush().expect("a flush");
}

/// The reference: the same rows into one table, by the same kind of statement.
async fn bare_table(path: &Path, rows: usize) -> Duration {
    let mut conn: SqliteConnection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-16384")
        .disable_statement_logging()
        .connect()
        .await
        .expect("a database");
    sqlx::query(
        "create table bare (id bigint not null primary key, address text not null unique, name text not null)",
    )
    .execute(&mut conn)
    .await
    .expect("a table");
    let from = Instant::now();
    for start in (0..rows).step_by(BATCH) {
        let mut transaction = conn.begin().await.expect("a transaction");
        sqlx::query(
            "insert into bare (id, address, name)
             select cast(value->>'id' as bigint), value->>'address', value->>'name' from json_each($1)",
        )
        .bind(batch(start, rows))
        .execute(&mut *transaction)
        .await
        .expect("an insert");
        transaction.commit().await.expect("a commit");
    }
    let took = from.elapsed();
    conn.close().await.expect("a goodbye");
    fs::remove_file(path).expect("the file is ours");
    took
}

/// The reference on PostgreSQL.
async fn bare_postgres(url: &str, rows: usize) -> Duration {
    let mut conn = PgConnection::connect(url).await.expect("a connection");
    sqlx::query(
        "create table bare (id bigint not null primary key, address text not null unique, name text not null)",
    )
    .execute(&mut conn)
    .await
    .expect("a table");
    let from = Instant::now();
    for start in (0..rows).step_by(BATCH) {
        let mut transaction = conn.begin().await.expect("a transaction");
        sqlx::query(
            "insert into bare (id, address, name)
             select cast(value->>'id' as bigint), value->>'address', value->>'name'
             from jsonb_array_elements($1::jsonb)",
        )
        .bind(batch(start, rows))
        .execute(&mut *transaction)
        .await
        .expect("an insert");
        transaction.commit().await.expect("a commit");
    }
    let took = from.elapsed();
    conn.close().await.expect("a goodbye");
    took
}

/// Rows from `start` on, as one JSON text.
fn batch(start: usize, rows: usize) -> String {
    let batch: Vec<serde_json::Value> = (start..rows.min(start + BATCH))
        .map(|number| {
            let name = format!("Reader Number {number}");
            serde_json::json!({ "id": number, "address": address(number), "name": name })
        })
        .collect();
    serde_json::to_string(&batch).expect("JSON")
}

fn pressrun(arguments: &[&std::ffi::OsStr]) {
    let output = Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// Imports `csv`; gives the time and what the process cost.
fn import(news: &Path, csv: &Path, url: Option<&str>) -> (Duration, Cost) {
    let from = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
    if let Some(url) = url {
        command.env("PRESSRUN_DATABASE__URL", url);
    }
    let mut child = command
        .arg("--config")
        .arg(news.join("pressrun.toml"))
        .args(["subscribers", "import"])
        .arg(csv)
        .args(["--list", "weekly", "--consent", "made up", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    let cost = process::wait(&mut child, "the import");
    (from.elapsed(), cost)
}
