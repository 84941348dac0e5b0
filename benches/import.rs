//! Importing readers, beside the same rows put into a bare table.
//!
//! The import is the real command in a process of its own, from the CSV file to the last commit, with
//! suppressions asked, addresses parsed and four indexes kept. The reference knows none of that: one
//! table with a unique address, the same file settings, batches of the same kind.
//! `PRESSRUN_BENCH_ROWS` asks for other than a million rows.

mod measure;
mod process;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use measure::{Reference, Row, median, number};
use process::Cost;

const REPEATS: usize = 3;
const BATCH: usize = 4_000;
const MEMORY_GOAL_MIB: f64 = 128.0;

fn main() {
    let rows: usize = std::env::var("PRESSRUN_BENCH_ROWS")
        .ok()
        .map_or(1_000_000, |text| text.parse().expect("a number of rows"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let csv = folder.path().join("readers.csv");
    write_csv(&csv, rows);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut bare = Vec::new();
    let mut first = Vec::new();
    let mut again = Vec::new();
    let mut peaks = Vec::new();
    let mut processor = Vec::new();
    // In turns, so that a machine that slows down slows both.
    for repeat in 0..REPEATS {
        let took = runtime.block_on(bare_table(
            &folder.path().join(format!("bare-{repeat}.db")),
            rows,
        ));
        bare.push(rate(rows, took));
        let news = folder.path().join(format!("news-{repeat}"));
        pressrun(&["init".as_ref(), news.as_ref()]);
        let (took, cost) = import(&news, &csv);
        first.push(rate(rows, took));
        peaks.push(cost.peak_mib);
        processor.push(cost.seconds * 1e6 / rows as f64);
        let (took, _) = import(&news, &csv);
        again.push(rate(rows, took));
        fs::remove_dir_all(&news).expect("the publication is ours");
    }
    let reference = median(&mut bare);
    let peak = median(&mut peaks);
    let within = if peak <= MEMORY_GOAL_MIB {
        "met"
    } else {
        "MISSED"
    };
    let lines = [
        Row::plain("bare table, SQLite", reference),
        Row::against(
            "pressrun subscribers import, SQLite",
            median(&mut first),
            Reference {
                name: "bare table",
                value: reference,
                goal: 0.5,
            },
        )
        .with(format!(
            "{:.1} ms CPU per 1,000; peak {peak:.0} MiB, goal <= {MEMORY_GOAL_MIB} {within}",
            median(&mut processor)
        )),
        Row::plain(
            "the same file once more (nothing to change)",
            median(&mut again),
        ),
    ];
    let title = format!(
        "import: {} rows of CSV, median of {REPEATS}",
        number(rows as f64)
    );
    measure::print(&title, "rows/s", &lines);
    measure::print_disk(folder.path());
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
        let batch: Vec<serde_json::Value> = (start..rows.min(start + BATCH))
            .map(|number| {
                let name = format!("Reader Number {number}");
                serde_json::json!({ "id": number, "address": address(number), "name": name })
            })
            .collect();
        let json = serde_json::to_string(&batch).expect("JSON");
        let mut transaction = conn.begin().await.expect("a transaction");
        sqlx::query(
            "insert into bare (id, address, name)
             select cast(value->>'id' as bigint), value->>'address', value->>'name' from json_each($1)",
        )
        .bind(json)
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
fn import(news: &Path, csv: &Path) -> (Duration, Cost) {
    let from = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .arg("--config")
        .arg(news.join("pressrun.toml"))
        .args(["subscribers", "import"])
        .arg(csv)
        .args(["--list", "weekly", "--status", "confirmed", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    let cost = process::wait(&mut child, "the import");
    (from.elapsed(), cost)
}
