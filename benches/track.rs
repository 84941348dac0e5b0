//! Storing opens and clicks before they are answered, beside a bare writer; and readers who leave.
//!
//! Both take events through a queue, commit what waits in one group, and answer after the commit. The
//! bare writer puts them into one table; ours also settles what was uncertain, leaves out who withdrew, and behind
//! it, in the same file and meanwhile, the fold finds each delivery, judges it and moves every number. The readers form
//! a closed loop: each sends its next event when the last is answered, so the group's size comes from their number.
//! `counted` is the rate with the time until the last number had moved.

mod measure;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use measure::{Reference, Row, median};
use pressrun::clock::{Clock, Timestamp};
use pressrun::event::{Event, EventKind, Evidence};
use pressrun::id::{DeliveryKey, RunId, SubscriptionKey};
use pressrun::store::Store;
use pressrun::store::departures::Leaving;
use pressrun::track::journal::Journal;
use pressrun::track::leavers::{Leavers, Parted};
use pressrun::track::{Tracker, fold};

const REPEATS: usize = 3;
/// Readers who leave, and how many of them wait at the same time.
const LEAVINGS: usize = 20_000;
const LEAVING: usize = 64;
const LINKS: u32 = 20;
/// Deliveries of the run; each is opened once.
const EVENTS: usize = 200_000;
/// Readers who wait at the same time.
const READERS: [usize; 2] = [256, 1_024];
const GROUP: usize = 2_000;
const RUN: RunId = RunId(2);
const AGENT: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15";
const P99_GOAL: Duration = Duration::from_millis(10);

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut lines = Vec::new();
    for (kind, name) in [(EventKind::Open, "opens"), (EventKind::Click, "clicks")] {
        for readers in READERS {
            let mut bare = Vec::new();
            let mut ours = Vec::new();
            let mut counted = Vec::new();
            let mut slowest = Vec::new();
            let mut waited = Vec::new();
            for _ in 0..REPEATS {
                let (rate, p99) = runtime.block_on(bare_writer(folder.path(), readers, kind));
                bare.push(rate);
                waited.push(p99.as_secs_f64() * 1e3);
                let (rate, p99, all) = runtime.block_on(tracker(folder.path(), readers, kind));
                ours.push(rate);
                counted.push(all);
                slowest.push(p99.as_secs_f64() * 1e3);
            }
            let reference = median(&mut bare);
            let p99 = median(&mut slowest);
            let mut note = format!("p99 {p99:.1} ms");
            if readers == READERS[0] {
                let goal = P99_GOAL.as_millis();
                let met = p99 <= goal as f64;
                note += &format!(", goal <= {goal} {}", if met { "met" } else { "MISSED" });
            }
            note += &format!(", {} counted", measure::number(median(&mut counted)));
            let bare = Row::plain(format!("bare writer, {readers} waiting"), reference);
            lines.push(bare.with(format!("p99 {:.1} ms", median(&mut waited))));
            let reference = Reference {
                name: "bare writer",
                value: reference,
                goal: 0.7,
            };
            let work = format!("{name}, {readers} waiting");
            lines.push(Row::against(work, median(&mut ours), reference).with(note));
        }
    }
    let mut left: Vec<f64> = (0..REPEATS)
        .map(|_| runtime.block_on(leavers(folder.path())))
        .collect();
    let goal = Reference {
        name: "2,000 a second",
        value: 2_000.0,
        goal: 1.0,
    };
    lines.push(Row::against(
        format!("one-click leavings, {LEAVING} waiting"),
        median(&mut left),
        goal,
    ));
    let title = format!("track: {EVENTS} events on SQLite, median of {REPEATS}");
    measure::print(&title, "events/s", &lines);
    measure::print_disk(folder.path());
}

/// Lets `readers` send all the events; gives the rate and the 99th percentile of the answers' time.
async fn drive<F, W>(readers: usize, kind: EventKind, record: F) -> (f64, Duration)
where
    F: Fn(Event) -> W + Clone + Send + 'static,
    W: Future<Output = bool> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let from = Instant::now();
    let tasks: Vec<_> = (0..readers)
        .map(|_| {
            let (next, record) = (Arc::clone(&next), record.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= EVENTS {
                        return times;
                    }
                    let asked = Instant::now();
                    assert!(record(event(kind, number)).await, "an event was not stored");
                    times.push(asked.elapsed());
                }
            })
        })
        .collect();
    let mut times = Vec::with_capacity(EVENTS);
    for task in tasks {
        times.extend(task.await.expect("a reader"));
    }
    let rate = EVENTS as f64 / from.elapsed().as_secs_f64();
    times.sort();
    (rate, times[times.len() * 99 / 100])
}

/// The events come in no order of the deliveries, as readers wake in none. 7919 is prime to the number.
fn event(kind: EventKind, number: usize) -> Event {
    let seq = (number * 7_919 % EVENTS) as u32;
    Event {
        kind,
        delivery: DeliveryKey { run: RUN, seq },
        link: (kind == EventKind::Click).then_some(seq % LINKS),
        at: Timestamp(1_790_000_000_000 + number as i64),
        evidence: Evidence {
            agent: AGENT.to_owned(),
            network: "9b1c2d3e4f506172".to_owned(),
            language: true,
            ..Evidence::default()
        },
    }
}

/// Rate, 99th percentile of the answers' time, and the rate with everything counted.
async fn tracker(folder: &Path, readers: usize, kind: EventKind) -> (f64, Duration, f64) {
    let file = folder.join("track.db");
    remove(&file);
    let store = Store::open("sqlite:track.db", folder, 4)
        .await
        .expect("a store");
    store.close().await;
    seed(&file).await;
    let store = Store::open("sqlite:track.db", folder, 4)
        .await
        .expect("a store");
    let from = Instant::now();
    let tracker = Tracker::start(store.clone(), Clock::System);
    let recorder = tracker.clone();
    let (rate, p99) = drive(readers, kind, move |event| {
        let recorder = recorder.clone();
        async move { recorder.record(event).await }
    })
    .await;
    tracker.close().await;
    // The end does not wait for ever: what is left would be counted at the next start.
    fold::catch_up(&store).await.expect("everything counted");
    let counted = EVENTS as f64 / from.elapsed().as_secs_f64();
    store.close().await;
    let all = "select (select sum(opened + clicked) from blocks)
                   + (select count(*) from judged) + (select count(*) from delivery_events)
                   + (select sum(number) from tallies where part = 'run' and what in ('opened:human', 'clicked:human'))";
    let all: i64 = sqlx::query_scalar(all)
        .fetch_one(&mut connect(&file).await)
        .await
        .expect("the counters");
    // Who clicked has opened it.
    let places = match kind {
        EventKind::Click => 5,
        _ => 4,
    };
    assert_eq!(
        all,
        places * EVENTS as i64,
        "every event is counted and judged, once"
    );
    (rate, p99, counted)
}

/// Readers who leave by the copy's own link, a second.
async fn leavers(folder: &Path) -> f64 {
    let file = folder.join("track.db");
    remove(&file);
    let store = Store::open("sqlite:track.db", folder, 4)
        .await
        .expect("a store");
    store.close().await;
    seed(&file).await;
    let store = Store::open("sqlite:track.db", folder, 4)
        .await
        .expect("a store");
    let leavers = Leavers::start(store.clone(), Journal::in_folder(folder));
    let next = Arc::new(AtomicUsize::new(0));
    let from = Instant::now();
    let tasks: Vec<_> = (0..LEAVING)
        .map(|_| {
            let (next, leavers) = (Arc::clone(&next), leavers.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= LEAVINGS {
                        return;
                    }
                    let event = event(EventKind::Unsubscribe, number);
                    let leaving = Leaving {
                        subscription: SubscriptionKey(i64::from(event.delivery.seq) + 1),
                        delivery: Some(event.delivery),
                        id: 0,
                        everywhere: false,
                        reason: None,
                        at: event.at,
                        evidence: event.evidence,
                    };
                    let parted = leavers.leave(leaving, None).await.expect("durable");
                    assert!(
                        matches!(parted, Parted::Now(left) if left.changed && left.counted),
                        "a reader left, and is counted"
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a reader");
    }
    let rate = LEAVINGS as f64 / from.elapsed().as_secs_f64();
    store.close().await;
    rate
}

/// A finished run whose deliveries were all sent.
async fn seed(file: &Path) {
    let mut conn = connect(file).await;
    let blocks = EVENTS.div_ceil(DeliveryKey::BLOCK as usize);
    let statements = [
        "insert into lists (id, slug, title, label, created_at) values (1, 'bench', 'Bench', 'b', $1 * 0)",
        "insert into runs (id, kind, slug, title, list_id, headers, relay, policy, status, cutoff, frozen_to,
             recipients, created_at)
         values (2, 'issue', 'bench', 'Bench', 1, '{}', 'main', 'hold', 'finished', 0, 0, $1, 0)",
        "insert into deliveries (run_id, seq, subscriber_id, state, due_at, attempts, settled_at)
         with recursive n (seq) as (select 0 union all select seq + 1 from n where seq + 1 < $1)
         select 2, seq, seq + 1, 'sent', 0, 1, 1789999900000 from n",
        "insert into subscribers (id, address, canonical, hash, name, fields, created_at)
         with recursive n (seq) as (select 1 union all select seq + 1 from n where seq < $1)
         select seq, 'r' || seq || '@example.org', 'r' || seq || '@example.org', '', '', '{}', 0 from n",
        "insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at)
         with recursive n (seq) as (select 1 union all select seq + 1 from n where seq < $1)
         select seq, 1, seq, 'confirmed', 'bench', 0, 0 from n",
        "insert into blocks (run_id, block, sent)
         with recursive n (block) as (select 0 union all select block + 1 from n where block + 1 < $1)
         select 2, block, 256 from n",
    ];
    let counts = [1, EVENTS, EVENTS, EVENTS, EVENTS, blocks];
    for (statement, count) in statements.into_iter().zip(counts) {
        sqlx::query(statement)
            .bind(count as i64)
            .execute(&mut conn)
            .await
            .expect("a seeded run");
    }
    conn.close().await.expect("a goodbye");
}

/// The reference: the same queue, the same groups, one table.
async fn bare_writer(folder: &Path, readers: usize, kind: EventKind) -> (f64, Duration) {
    type Job = (Event, oneshot::Sender<bool>);
    let file = folder.join("bare.db");
    remove(&file);
    let mut conn = connect(&file).await;
    sqlx::query(
        "create table bare (id bigint not null primary key, at bigint not null, kind text not null,
             run_id bigint not null, seq bigint not null, evidence text not null) without rowid",
    )
    .execute(&mut conn)
    .await
    .expect("a table");
    let (queue, mut jobs) = mpsc::channel::<Job>(16_384);
    let writer = tokio::spawn(async move {
        let mut batch = Vec::with_capacity(GROUP);
        let mut id = 0_i64;
        while jobs.recv_many(&mut batch, GROUP).await > 0 {
            let rows: Vec<serde_json::Value> = batch
                .iter()
                .map(|(event, _)| {
                    id += 1;
                    serde_json::json!({
                        "id": id, "at": event.at, "kind": event.kind.name(),
                        "run": event.delivery.run, "seq": event.delivery.seq,
                        "evidence": event.evidence,
                    })
                })
                .collect();
            let json = serde_json::to_string(&rows).expect("JSON");
            let mut transaction = conn.begin().await.expect("a transaction");
            sqlx::query(
                "insert into bare (id, at, kind, run_id, seq, evidence)
                 select cast(value->>'id' as bigint), cast(value->>'at' as bigint), value->>'kind',
                        cast(value->>'run' as bigint), cast(value->>'seq' as bigint),
                        value->>'evidence'
                 from json_each($1)",
            )
            .bind(json)
            .execute(&mut *transaction)
            .await
            .expect("an insert");
            transaction.commit().await.expect("a commit");
            for (_, done) in batch.drain(..) {
                done.send(true).ok();
            }
        }
        conn.close().await.expect("a goodbye");
    });
    let measured = drive(readers, kind, move |event| {
        let queue = queue.clone();
        async move {
            let (done, stored) = oneshot::channel();
            queue.send((event, done)).await.is_ok() && stored.await.unwrap_or(false)
        }
    })
    .await;
    writer.await.expect("the writer ends with its queue");
    measured
}

/// The file as the store opens it.
async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-16384")
        .disable_statement_logging()
        .connect()
        .await
        .expect("a database")
}

/// Removes a database of the repetition before, if any.
fn remove(file: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        std::fs::remove_file(name).ok();
    }
}
