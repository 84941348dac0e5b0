//! The numbers of a run of a million copies and two million events: counted once, then read.
//!
//! What is counted behind the log is told as events a second; what an author waits for must take 50 ms at most, with
//! eight issues before it. The list of a million is counted once an hour, and told beside it. Then every page of the
//! author's site is asked, the searches that find nobody among them.
//!
//! `cargo bench --bench numbers -- year` does the same above a year: fifty runs, the last twenty with a million copies and
//! a million events each, which takes 7 GB and at least twenty minutes, nearly all of them to count what was stored.

mod measure;
mod pages;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use measure::{Reference, Row, median};
use pressrun::app::App;
use pressrun::chance::Chance;
use pressrun::clock::{Clock, Timestamp};
use pressrun::config::Config;
use pressrun::id::RunId;
use pressrun::keyring::Keyring;
use pressrun::numbers;
use pressrun::store::Store;

const READERS: i64 = 1_000_000;
const AT: i64 = 1_790_000_000_000;
const LOOKS: usize = 21;
const CONFIG: &str = r#"
[publication]
name = "Bench"
url = "http://127.0.0.1:8080"
postal_address = "1 Press Lane"
list = "bench"
[from]
name = "Ada"
address = "ada@example.org"
[relay.main]
url = "smtp://127.0.0.1:25"
tls = "none"
"#;

/// What lies below the pages.
#[derive(Clone, Copy)]
struct Size {
    /// Issues that were sent; the first is run 2.
    runs: i64,
    /// How many of them, the last ones, have their copies and events.
    whole: i64,
    /// Events of each.
    events: i64,
}

/// A run, and the eight that it is compared with.
const RUN: Size = Size {
    runs: 9,
    whole: 1,
    events: 2 * READERS,
};
const YEAR: Size = Size {
    runs: 50,
    whole: 20,
    events: READERS,
};

impl Size {
    fn last(self) -> RunId {
        RunId(self.runs + 1)
    }
}

fn main() {
    let size = match std::env::args().any(|word| word == "year") {
        true => YEAR,
        false => RUN,
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (lines, pages) = runtime.block_on(measured(folder.path(), size));
    let title = format!(
        "numbers: {} copies, {} events on SQLite",
        size.whole * READERS,
        size.whole * size.events
    );
    measure::print(&title, "ms", &lines);
    let title = format!("the author's pages above {READERS} readers on SQLite");
    measure::print(&title, "ms", &pages);
    measure::print_disk(folder.path());
}

async fn measured(folder: &Path, size: Size) -> (Vec<Row>, Vec<Row>) {
    let run = size.last();
    let store = Store::open("sqlite:numbers.db", folder, 4)
        .await
        .expect("a store");
    store.close().await;
    seed(folder, size).await;
    let app = App {
        config: Arc::new(Config::from_text(CONFIG).expect("a configuration")),
        base: folder.to_owned(),
        store: Store::open("sqlite:numbers.db", folder, 4)
            .await
            .expect("a store"),
        keyring: Arc::new(Keyring::generate(&Chance::System, Timestamp(AT))),
        clock: Clock::fixed(Timestamp(AT + 10 * 86_400_000)),
        chance: Chance::System,
    };
    let from = Instant::now();
    numbers::catch_up(&app, run).await.expect("a fold");
    let counting = from.elapsed().as_secs_f64();
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        let from = Instant::now();
        numbers::catch_up(&app, run).await.expect("a fold");
        let report = numbers::issue(&app, run)
            .await
            .expect("a read")
            .expect("a run");
        looks.push(from.elapsed().as_secs_f64() * 1e3);
        assert_eq!(
            report.run.opens + report.run.clicks,
            size.events,
            "every event is counted"
        );
        assert_eq!(
            report
                .judged
                .providers
                .iter()
                .map(|group| group.sent)
                .sum::<i64>(),
            READERS
        );
    }
    let mut runs = Vec::new();
    for _ in 0..LOOKS {
        let from = Instant::now();
        numbers::runs(&app, 50).await.expect("a read");
        runs.push(from.elapsed().as_secs_f64() * 1e3);
    }
    let list = app
        .store
        .list("bench")
        .await
        .expect("a read")
        .expect("a list");
    let from = Instant::now();
    numbers::list(&app, &list).await.expect("numbers");
    let counted = from.elapsed().as_secs_f64() * 1e3;
    let from = Instant::now();
    numbers::list(&app, &list).await.expect("numbers");
    let kept = from.elapsed().as_secs_f64() * 1e3;
    std::fs::write(folder.join("pressrun.toml"), CONFIG).expect("a file");
    std::fs::create_dir(folder.join("emails")).expect("a folder");
    let pages = pages::measured(&app, folder, run).await;
    app.store.close().await;
    let goal = || Reference {
        name: "50 ms",
        value: 50.0,
        goal: 1.0,
    };
    let rate = measure::number((size.whole * size.events) as f64 / counting);
    let lines = vec![
        Row::plain("everything counted, once", counting * 1e3).with(format!("{rate} events/s")),
        Row::against(
            "an issue, with the eight before it",
            median(&mut looks),
            goal(),
        ),
        Row::against("fifty runs", median(&mut runs), goal()),
        Row::plain("a list of a million, once an hour", counted),
        Row::against("the same within the hour", kept, goal()),
    ];
    (lines, pages)
}

/// The runs, with events that nobody has counted.
async fn seed(folder: &Path, size: Size) {
    let mut conn = SqliteConnectOptions::new()
        .filename(folder.join("numbers.db"))
        .journal_mode(SqliteJournalMode::Wal)
        .disable_statement_logging()
        .connect()
        .await
        .expect("a database");
    let numbers = format!(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < {READERS})"
    );
    let mut statements = vec![
        "insert into lists (id, slug, title, label, created_at) values (1, 'bench', 'Bench', 'b', 0)".to_owned(),
        "insert into revisions (hash, slug, content, created_at) values ('rev', 'bench', '{\"slug\":\"bench\",\"title\":\"Bench\",\"subject\":[],\"preheader\":[],\"html\":[],\
         \"text\":[],\"links\":[],\"images\":[]}', 0)".to_owned(),
        "insert into links (revision, link, url, name)
         with recursive n (i) as (select 0 union all select i + 1 from n where i < 19)
         select 'rev', i, 'https://x.example/' || i, 'Link ' || i from n"
            .to_owned(),
        format!(
            "insert into subscribers (id, address, canonical, hash, name, fields, created_at) {numbers}
             select i + 1, 'r' || i || '@x.example',
                 'r' || i || case i % 4 when 0 then '@gmail.com' when 1 then '@outlook.com' else '@x.example' end,
                 '', '', '{{}}', 0 from n"
        ),
        format!(
            "insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at, left_at)
             {numbers}
             select i + 1, 1, i + 1, case when i % 50 = 0 then 'unsubscribed' else 'confirmed' end, 'bench', 0,
                 {AT} - (i % 67200) * 900000, case when i % 50 = 0 then {AT} - (i % 8640) * 900000 end from n"
        ),
    ];
    for run in 2..=size.last().0 {
        statements.push(format!(
            "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy, status, cutoff,
                 frozen_to, recipients, created_at, started_at, finished_at)
             values ({run}, 'issue', 'bench-{run}', 'Bench', 1, 'rev', '{{}}', 'main', 'hold', 'finished', 0, 0,
                 {READERS}, {run}, {run}, {AT})"
        ));
        statements.push(format!(
            "insert into blocks (run_id, block, sent)
             with recursive n (i) as (select 0 union all select i + 1 from n where (i + 1) * 256 < {READERS})
             select {run}, i, min(256, {READERS} - i * 256) from n"
        ));
    }
    for run in size.last().0 - size.whole + 1..=size.last().0 {
        statements.push(format!(
            "insert into deliveries (run_id, seq, subscriber_id, state, due_at, attempts, marked_at, settled_at, copy)
             {numbers} select {run}, i, i + 1, 'sent', 0, 1, {AT}, {AT}, '{{\"kid\":1,\"values\":[\"Ada\"]}}' from n"
        ));
        // Two of three open, one of three clicks, in no order of the deliveries; some are machines.
        statements.push(format!(
            "insert into events (id, at, kind, run_id, seq, link, evidence)
             with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < {events})
             select (({AT} + {before} + i) << 21), {AT} + 100000 + {before} + i,
                 case when i % 3 = 0 then 'click' else 'open' end, {run}, (i * 7919) % {READERS},
                 case when i % 3 = 0 then i % 20 end,
                 json_object('agent', case i % 5 when 0 then 'Mozilla/5.0'
                         when 1 then 'Firefox/11.0 (via ggpht.com GoogleImageProxy)'
                         else 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15' end,
                     'network', '9b1c2d3e4f506172', 'language', json('true')) from n",
            events = size.events,
            before = (run - 2) * size.events,
        ));
    }
    statements.push("update event_log set last = (select max(id) from events)".to_owned());
    statements.push("update event_fold set rules = 1".to_owned());
    for statement in statements {
        let mut transaction = conn.begin().await.expect("a transaction");
        sqlx::query(AssertSqlSafe(statement.clone()))
            .execute(&mut *transaction)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
        transaction.commit().await.expect("a commit");
    }
    conn.close().await.expect("a goodbye");
}
