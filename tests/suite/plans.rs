//! No statement of the store goes through a table that grows with readers, deliveries or events.
//!
//! Each statement that stands whole in the source is explained by SQLite, whose planner is the simpler of the two:
//! what it finds by a key, PostgreSQL does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pressrun::clock::Timestamp;
use pressrun::id::RunId;
use pressrun::store::spellings::{ANY_SPELLED, LEFT, REFUSING, SPELLED};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};

use crate::deliver::rig::until;
use crate::harness::{Database, Engine, block_on};

/// Tables of a million rows and more.
const LARGE: [&str; 14] = [
    "block_parts",
    "blocks",
    "consents",
    "deliveries",
    "delivery_events",
    "events",
    "failures",
    "judged",
    "pseudonym_marks",
    "reader_clicks",
    "subscribers",
    "subscriptions",
    "system_mails",
    "tags",
];

/// How statements begin that may, and why.
const ALLOWED: [(&str, &str); 8] = [
    (
        "select (select count(*) from subscribers),",
        "whoever makes a backup, which reads all of it",
    ),
    (
        "select d.seq, d.subscriber_id, coalesce(m.address",
        "others put the delivery's key behind it",
    ),
    (
        "select list_id, status, count(*) from subscriptions",
        "the command that counts lists",
    ),
    (
        "select count(*) from subscribers u cross join suppressions",
        "whoever asks how many get an issue",
    ),
    (
        "select s.list_id, s.status, count(*) from subscribers u cross join suppressions",
        "the command that counts lists",
    ),
    (
        "select count(*) from subscriptions n left join leave_reasons",
        "whoever has the whole database verified",
    ),
    (
        "select tag, count(*) from tags",
        "the command that counts tags",
    ),
    (
        "delete from pseudonym_marks where run_id in",
        "all of a run's are to go",
    ),
];

/// The texts in a Rust source.
fn texts(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        rest = &rest[at..];
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("'\\") {
            rest = rest[3..].find('\'').map_or("", |end| &rest[3 + end + 1..]);
        } else if rest.starts_with('\'') && rest.chars().nth(2) == Some('\'') {
            rest = &rest[rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at)..];
        } else if rest.starts_with('"') {
            let (text, behind) = text(&rest[1..]);
            found.push(text);
            rest = behind;
        } else {
            rest = &rest[1..];
        }
    }
    found
}

/// A text up to its quote, and what stands behind that.
fn text(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = source.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (text, &source[at + 1..]),
            '\\' => match letters.next() {
                Some((_, 'n' | '\n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    (text, "")
}

fn statements(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(statements(&path));
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source");
        let each = texts(&source)
            .into_iter()
            .map(|text| text.trim().to_owned());
        let verbs = ["select ", "with ", "update ", "insert ", "delete "];
        found.extend(each.filter(|text| {
            // Those with holes are put together elsewhere.
            let whole = !text.contains('{') && !text.contains("<due>") && !text.contains("<range>");
            whole && verbs.iter().any(|verb| text.starts_with(verb))
        }));
    }
    found
}

/// The large tables by the names that a statement gives them.
fn names(statement: &str) -> BTreeMap<&str, &'static str> {
    let cut = |c: char| c.is_whitespace() || "(),;".contains(c);
    let words: Vec<&str> = statement
        .split(cut)
        .filter(|word| !word.is_empty())
        .collect();
    let mut names = BTreeMap::new();
    for (place, word) in words.iter().enumerate() {
        if !["from", "join", "update", "into"].contains(word) {
            continue;
        }
        let Some(table) = LARGE
            .into_iter()
            .find(|table| words.get(place + 1) == Some(table))
        else {
            continue;
        };
        names.insert(table, table);
        let behind = words[place + 2..].iter().find(|word| **word != "as");
        names.extend(behind.map(|name| (*name, table)));
    }
    names
}

/// How SQLite goes about it; none where it cannot.
async fn plan(conn: &mut SqliteConnection, statement: &str) -> Option<Vec<String>> {
    // Locks are PostgreSQL's; most stand in comments already.
    let lock = statement.find(" for update");
    let lock = lock.filter(|&at| !statement[..at].ends_with("/*"));
    let text = &statement[..lock.unwrap_or(statement.len())];
    let text = text.replace("db_now()", "0");
    let text = AssertSqlSafe(format!("explain query plan {text}"));
    let rows = sqlx::query(text).fetch_all(conn).await.ok()?;
    Some(rows.iter().map(|row| row.get(3)).collect())
}

/// Steps of a plan that go through more than they need.
fn faults(statement: &str, plan: &[String]) -> Vec<String> {
    let names = names(statement);
    let fault = |step: &&String| {
        let mut words = step.split_whitespace();
        let (how, what) = (words.next(), words.next().unwrap_or_default());
        if !names.contains_key(what) {
            return false;
        }
        // Partial indexes that are nearly always empty.
        let few = [
            "blocks_uncertain",
            "subscribers_untracked",
            "subscribers_by_mailbox",
        ];
        let few = few.iter().any(|index| step.contains(index)) && step.contains("INDEX");
        // A batch whose rows do not name their key: the whole run is gone through for it.
        let run = statement.contains("json_each") && step.ends_with("(run_id=?)");
        match how {
            Some("SCAN") => !few,
            Some("SEARCH") => run,
            _ => false,
        }
    };
    plan.iter().filter(fault).cloned().collect()
}

#[test]
fn every_statement_finds_its_rows_by_a_key() {
    block_on(async {
        let database = Database::new(Engine::Sqlite).await;
        database.store().await.close().await;
        let file = database.path().join("pressrun.db");
        let options = SqliteConnectOptions::new().filename(file);
        let mut conn = options.connect().await.expect("a connection");
        let mut explained = 0;
        let mut wrong = Vec::new();
        let store_files = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
        let mut each = statements(&store_files);
        // Put together of parts, and whole all the same.
        each.extend([ANY_SPELLED, SPELLED, LEFT, REFUSING].map(str::to_owned));
        for statement in each {
            let Some(steps) = plan(&mut conn, &statement).await else {
                // PostgreSQL's own, or a part of one.
                continue;
            };
            explained += 1;
            let words: Vec<&str> = statement.split_whitespace().collect();
            let words = words.join(" ");
            let allowed = ALLOWED.iter().any(|(begin, _)| words.starts_with(begin));
            let faults = faults(&statement, &steps);
            if !faults.is_empty() && !allowed {
                wrong.push((statement, faults));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(explained > 300, "{explained} statements were found");
        let slow = "update deliveries set opened_at = v.at from (
            select cast(value->>0 as bigint) as seq, cast(value->>1 as bigint) as at from json_each($2)
            ) as v where deliveries.run_id = $1 and deliveries.seq = v.seq";
        let steps = plan(&mut conn, slow).await.expect("a plan");
        assert!(
            !faults(slow, &steps).is_empty(),
            "what is looked for can be found: {steps:?}"
        );
    });
}

/// A statement over one block of a run, and what it reads of a run a hundred times as long.
///
/// SQLite takes one upper bound of a key and may take the wrong one of two: then a block is read to the end of its run.
#[test]
fn a_block_is_read_and_not_the_rest_of_its_run() {
    block_on(async {
        let database = Database::new(Engine::Sqlite).await;
        database.store().await.close().await;
        let file = database.path().join("pressrun.db");
        // Of the rows that are not looked at none is there.
        let options = SqliteConnectOptions::new()
            .filename(file)
            .foreign_keys(false);
        let mut conn = options.connect().await.expect("a connection");
        // A join with an empty table is over before it begins.
        let somebody =
            "insert into subscribers (id, address, canonical, hash, name, fields, created_at)
                values (-1, '', '', '', '', '{}', 0);
            insert into subscriptions (key, list_id, subscriber_id, status, source, created_at)
                values (1, 1, -1, 'confirmed', '', 0);";
        let written = sqlx::raw_sql(somebody).execute(&mut conn).await;
        written.expect("somebody who gets nothing");
        for (run, blocks) in [(2, 1), (3, 100)] {
            let run_of_some = format!(
                "insert into runs (id, kind, slug, title, list_id, headers, relay, policy, status, cutoff, frozen_to,
                     recipients, created_at)
                 values ({run}, 'issue', 'run-{run}', '', 1, '{{}}', 'main', 'hold', 'sending', 0, 0, 0, 0);
                 insert into blocks (run_id, block, queued, next_due, owner, boot, until)
                 with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < {blocks})
                 select {run}, i, 256, 0, 'node', 7, 0 from n;
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at, attempts)
                 with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < {blocks} * 256)
                 select {run}, i, i, 'queued', 0, 1 from n;"
            );
            let written = sqlx::raw_sql(AssertSqlSafe(run_of_some))
                .execute(&mut conn)
                .await;
            written.expect("a run of some blocks");
        }
        let one = "[{\"block\":0}]";
        let mut counted = 0;
        for statement in statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store")) {
            let by_batch = statement
                .starts_with("update blocks set owner = null, boot = null, until = null, next_due");
            let by_range = statement.contains("d.seq >= $2 and d.seq < $3 and d.state = 'queued'");
            let by_bound = statement.contains("b.block * 256 < $");
            if !(by_batch || by_range || by_bound) {
                continue;
            }
            counted += 1;
            let mut steps = Vec::new();
            for run in [2, 3] {
                let values: [(&str, i64); 4] = match (by_batch, by_range) {
                    (true, _) => [(one, 0), ("", run), ("", 7), ("", 0)],
                    (_, true) => [("", run), ("", 0), ("", 256), ("", 1)],
                    // Below the 200th delivery.
                    _ if statement.contains("< $3") => [("", run), ("", -1), ("", 200), ("", 0)],
                    _ => [("", run), ("", 200), ("", 0), ("", 0)],
                };
                steps.push(steps_of(&mut conn, &statement, values).await);
            }
            let (short, long) = (steps[0], steps[1]);
            assert!(short > 256, "{short} steps: {statement}");
            assert!(long < 2 * short, "{short} steps, and {long}: {statement}");
        }
        assert!(counted >= 4, "{counted} statements were found");
    });
}

/// Steps of SQLite's machine. Of each value the text is taken, else the number.
async fn steps_of(
    conn: &mut SqliteConnection,
    statement: &str,
    values: [(&'static str, i64); 4],
) -> u64 {
    let steps = Arc::new(AtomicU64::new(0));
    let counter = steps.clone();
    let mut handle = conn.lock_handle().await.expect("the connection");
    handle.set_progress_handler(1, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    });
    drop(handle);
    let mut query = sqlx::query(AssertSqlSafe(statement.to_owned()));
    let wanted = (1..=4).filter(|number| statement.contains(&format!("${number}")));
    for (text, number) in values.into_iter().take(wanted.max().unwrap_or(0)) {
        query = match text {
            "" => query.bind(number),
            _ => query.bind(text),
        };
    }
    query
        .fetch_all(&mut *conn)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    conn.lock_handle()
        .await
        .expect("the connection")
        .remove_progress_handler();
    steps.load(Ordering::Relaxed)
}

/// Whoever writes events takes their ids before any other row is locked: two who wait for each other would both be undone,
/// and while they do nobody's events are stored. What is only read before locks nothing.
#[test]
fn ids_of_events_are_taken_before_anything_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut taken = 0;
    for file in std::fs::read_dir(folder).expect("the store") {
        let path = file.expect("a file").path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let whole: Vec<&str> = text.split("transact!(").skip(1).collect();
        for transaction in whole {
            let Some((before, _)) = transaction.split_once("take_event_ids!(") else {
                continue;
            };
            taken += 1;
            let locks = ["execute(", "for update", "for no key update", "!(self"];
            let first = !locks.iter().any(|lock| before.contains(lock));
            assert!(first, "{}: {before}", path.display());
        }
    }
    assert!(taken > 4, "{taken}");
}

/// What SQLite keeps, PostgreSQL sums when it is asked: of the runs that are asked for, and of no others.
#[test]
fn postgresql_sums_the_blocks_of_the_runs_that_are_asked_for() {
    const BLOCKS: i64 = 500;
    block_on(async {
        let database = Database::new(Engine::Postgres).await;
        let store = database.store().await;
        database
            .raw(&format!(
                "insert into lists (id, slug, title, label, created_at) values (1, 'weekly', 'Weekly', '', 0);
                 insert into runs (id, kind, slug, title, list_id, headers, relay, policy, status, cutoff, frozen_to,
                     recipients, created_at, started_at, finished_at)
                 select i, 'issue', 'issue-' || i, 'Issue', 1, '{{}}', '', 'hold', 'finished', 0, 0, 0, i, i, i
                 from generate_series(2, 61) i;
                 insert into blocks (run_id, block, sent, counted_sent)
                 select i, b, 200, 200 from generate_series(2, 61) i, generate_series(0, {BLOCKS} - 1) b;
                 analyze runs; analyze blocks"
            ))
            .await;
        let read = async || {
            // What a connection has read is told when it rests, and at the latest when it ends.
            let rows = "select (seq_tup_read + idx_tup_fetch)::bigint from pg_stat_user_tables
                        where relname = 'blocks'";
            let mut conn = PgConnection::connect(&database.url)
                .await
                .expect("a connection");
            let rows: i64 = sqlx::query_scalar(rows)
                .fetch_one(&mut conn)
                .await
                .expect("a number");
            conn.close().await.expect("a goodbye");
            rows
        };
        let began = read().await;
        let newest = store.runs_in_numbers(3).await.expect("the runs");
        assert_eq!(
            newest.iter().map(|run| run.counts.sent).sum::<i64>(),
            3 * 200 * BLOCKS
        );
        let before = store.issues_before(RunId(61), Timestamp(i64::MAX)).await;
        assert_eq!(before.expect("the runs").len(), 8);
        let stale = store.stale_blocks(None, Timestamp(58), 64).await;
        assert_eq!(stale.expect("the blocks").len(), 0);
        store.close().await;
        assert!(
            until(async || read().await - began >= 14 * BLOCKS).await,
            "nothing is told"
        );
        let rows = read().await - began;
        assert!(rows < 25 * BLOCKS, "{rows} of {} rows", 60 * BLOCKS);
    });
}
