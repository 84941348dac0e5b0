//! R9 to R12: readers who leave in the middle, a restored copy of the database, a clock that jumps, and a day of
//! virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pressrun::clock::{Clock, Timestamp};
use pressrun::id::{RunId, SubscriptionKey};
use pressrun::smtp::sink::{Keep, SinkOptions};
use pressrun::status::RunStatus;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;

use crate::harness::Engine;
use crate::processes::PATIENCE;
use crate::rig::{Rig, Wish, faulty, readers};
use crate::sample::Sampling;
use crate::world::World;
use crate::{engine_name, on_both, seed, size, tell};

const MINUTE: i64 = 60_000;
const DEFAULTS: &str =
    "retry = [\"5m\", \"10m\", \"20m\", \"40m\", \"67m\"]\njitter = 0.2\ngive_up = \"48h\"";

on_both!(
    r9_who_leaves_in_the_middle_gets_no_mail_marked_after,
    async |engine: Engine| {
        let (count, leaving) = size((500, 120), (5_000, 500));
        let wish = Wish {
            readers: readers(count),
            sink: SinkOptions {
                delay: Duration::from_millis(5),
                ..SinkOptions::default()
            },
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let sampling = Sampling::start(&rig.database.url, rig.database.path());
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(1).await;
        let mut chance = StdRng::seed_from_u64(seed());
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut chance);
        let mut free = Vec::new();
        for &reader in &order[..leaving] {
            let key = SubscriptionKey(i64::try_from(reader + 1).expect("a key"));
            let left = rig.app.store.leave(key, rig.app.clock.now()).await;
            assert!(left.expect("a leaving"));
            // The commit is behind us: whose delivery had no marker by now never gets one.
            let seqs = rig
                .pairs(&format!(
                    "select seq, subscriber_id from deliveries
                     where state = 'unsubscribed' and subscriber_id = {}",
                    key.0
                ))
                .await;
            if !seqs.is_empty() {
                free.push(format!("reader{reader}@example.org"));
            }
            tokio::time::sleep(Duration::from_micros(chance.random_range(0..3_000))).await;
        }
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let taken = rig.accepted();
        assert!(
            free.len() > leaving / 10,
            "only {} left in time",
            free.len()
        );
        for reader in &free {
            assert_eq!(taken.get(reader), None, "{reader} had left");
        }
        let counts = rig.balanced(run).await;
        assert_eq!(counts.unsubscribed, free.len() as i64);
        rig.assert_true(run).await;
        tell(
            "R9",
            engine_name(engine),
            &format!(
                "{leaving} of {count} readers left in the middle, {} before their marker: mailed after it 0; \
                 identity looked at {} times",
                free.len(),
                sampling.stop()
            ),
        );
    }
);

#[test]
fn r10_a_restored_copy_mails_nobody_without_consent() {
    let recipients = size(300, 5_000);
    let mut world = World::new(recipients, 5, Duration::from_millis(20));
    let mut sender = world.start_any(&[]);
    world.wait_for(recipients * 3 / 10, &mut sender, PATIENCE);
    sender.signal(Signal::TERM);
    sender.ended(PATIENCE);
    let files = ["pressrun.db", "pressrun.db-wal"];
    let copy = world.folder.path().join("copy");
    std::fs::create_dir(&copy).expect("a folder");
    for file in files {
        // A database that was closed has no log.
        std::fs::copy(world.news().join(file), copy.join(file)).ok();
    }
    world.start_any(&[]).finish(PATIENCE);
    world.judgement().assert_clean();
    let before = world.settled();
    assert_eq!(before, recipients);
    for file in ["pressrun.db", "pressrun.db-wal", "pressrun.db-shm"] {
        std::fs::remove_file(world.news().join(file)).ok();
        std::fs::copy(copy.join(file), world.news().join(file)).ok();
    }
    let (status, _) = world.start_any(&[]).ended(PATIENCE);
    assert_ne!(status.code(), Some(0), "{}", world.said());
    assert_eq!(
        world.settled(),
        before,
        "mailed without consent: {}",
        world.said()
    );
    let (status, _) = world.start_any(&[]).ended(PATIENCE);
    assert_ne!(status.code(), Some(0), "asked once more: {}", world.said());
    assert_eq!(world.settled(), before);
    assert!(world.said().contains("held"), "{}", world.said());
    tell(
        "R10",
        "sqlite",
        &format!(
            "copy at 30 % of {recipients}, finished, copy restored, started twice: mailed without consent 0"
        ),
    );
}

/// A rig on a clock of the test's own.
async fn at_own_clock(engine: Engine, wish: Wish) -> (Rig, Arc<AtomicI64>) {
    let mut rig = Rig::new(engine, wish).await;
    let clock = Arc::new(AtomicI64::new(1_800_000_000_000));
    rig.app.clock = Clock::Fixed(Arc::clone(&clock));
    (rig, clock)
}

/// Whether a run is over. One that a step of the clock has held is let go on.
async fn is_over(rig: &Rig, run: RunId) -> bool {
    let found = rig.run(run).await;
    if found.status == RunStatus::Held {
        let resumed = pressrun::run::resume(&rig.app, &found, true).await;
        resumed.expect("a resume");
    }
    found.status == RunStatus::Finished
}

on_both!(
    r11_a_clock_that_jumps_doubles_nobody_and_starts_nothing_early,
    async |engine: Engine| {
        let count = size(400, 5_000);
        let wish = Wish {
            readers: faulty(count, &[(4, "grey-1"), (4, "grey-9")]),
            sink: SinkOptions {
                delay: Duration::from_millis(5),
                ..SinkOptions::default()
            },
            send: DEFAULTS,
            ..Wish::default()
        };
        let (rig, clock) = at_own_clock(engine, wish).await;
        let sampling = Sampling::start(&rig.database.url, rig.database.path());
        let run = rig.begin().await;
        let sending = rig.start().await;
        let mut chance = StdRng::seed_from_u64(seed());
        // Forward by less than an hour, and back by as much and more: nothing of it is a reason to stop.
        for jump in [50, -60, 55, -120, 30] {
            let more = usize::try_from(rig.sink.counts().accepted).expect("a count") + count / 12;
            rig.wait_accepted(more.min(count - 8)).await;
            clock.fetch_add(jump * MINUTE, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..20))).await;
        }
        assert_eq!(rig.run(run).await.status, RunStatus::Sending);
        // Back once more: what is deferred is not due, whatever another clock says.
        rig.wait_accepted(count - 8).await;
        clock.fetch_add(-120 * MINUTE, Ordering::SeqCst);
        let greylisted = async || {
            let rows = rig.rows(run).await;
            let queued: Vec<_> = rows.iter().filter(|row| row.state == "queued").collect();
            let tries: i64 = queued.iter().map(|row| row.attempts).sum();
            (queued.len(), tries)
        };
        // What was taken up while it was due, before the clock went back, comes to its end first.
        let mut before = greylisted().await;
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = greylisted().await;
            if now == std::mem::replace(&mut before, now) {
                break;
            }
        }
        let (waiting, _) = before;
        assert!(waiting > 0, "nobody waits, and nothing is shown");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(greylisted().await, before, "tried again before it was due");
        // A month at once is a machine that was away: the run is held, and mails nobody.
        clock.fetch_add(30 * 24 * 60 * MINUTE, Ordering::SeqCst);
        rig.wait_status(run, RunStatus::Held).await;
        let taken = rig.sink.counts().accepted;
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(rig.sink.counts().accepted, taken, "held, and mail goes out");
        let held = rig.run(run).await;
        pressrun::run::resume(&rig.app, &held, true)
            .await
            .expect("a resume");
        // Nobody has waited too long: a delivery's time runs while its run goes. A step that the engine misses looks
        // like a machine that was away.
        let mut steps = 0;
        while !is_over(&rig, run).await {
            steps += 1;
            assert!(
                steps < 110,
                "turned away nine times, and not taken within a day"
            );
            clock.fetch_add(25 * MINUTE, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!(counts.sent, count as i64, "{counts:?}");
        rig.assert_true(run).await;
        tell(
            "R11",
            engine_name(engine),
            &format!(
                "{count} readers, +50, -60, +55, -120, +30, -120 min, +30 d (held): lost 0, doubled 0, early 0 \
                 ({waiting} waited); identity looked at {} times",
                sampling.stop()
            ),
        );
    }
);

/// The most memory that this process had at a time.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .map_or(0, |kib: u64| kib / 1024)
}

on_both!(
    r12_a_day_of_virtual_time_with_greylisting_reaches_everyone,
    async |engine: Engine| {
        let count = size(1_500, 100_000);
        let grey = count / 20;
        let mut words = vec![(grey, "grey-1")];
        words.push((2, "grey-3"));
        // Refused for two days: the long form only has the time.
        let never = size(0, 1);
        words.push((never, "451-4.2.1"));
        let wish = Wish {
            readers: faulty(count, &words),
            connections: 8,
            sink: SinkOptions {
                keep: Keep::Records,
                ..SinkOptions::default()
            },
            send: DEFAULTS,
            ..Wish::default()
        };
        let (rig, clock) = at_own_clock(engine, wish).await;
        let run = rig.begin().await;
        let sampling = Sampling::start(&rig.database.url, rig.database.path());
        let sending = rig.start().await;
        let start = rig.app.clock.now();
        let first = count - grey - 2 - never;
        rig.wait_accepted(first).await;
        // Nobody who was turned away is asked again before five minutes, less the jitter.
        clock.fetch_add(3 * MINUTE, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(rig.sink.counts().accepted, first as u64, "too early");
        // Then the day goes by in steps. A step that the engine misses looks like a machine that was away.
        let end = start.after(Duration::from_secs(size(12, 60) * 3600));
        while rig.app.clock.now() < end && !is_over(&rig, run).await {
            clock.fetch_add(25 * MINUTE, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        rig.wait_status(run, RunStatus::Finished).await;
        let over = rig.app.clock.now();
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!(
            (counts.sent, counts.expired),
            ((count - never) as i64, never as i64),
            "{counts:?}"
        );
        rig.assert_true(run).await;
        for row in rig.rows(run).await {
            let address = row.address.as_deref().unwrap_or_default();
            let tries = match address {
                _ if address.contains("grey-1") => 2..=2,
                _ if address.contains("grey-3") => 4..=4,
                // By the schedule, some forty tries in two days; the steps of this clock leave some out.
                _ if address.contains("+451") => 20..=60,
                _ => 1..=1,
            };
            assert!(tries.contains(&row.attempts), "{row:?}");
        }
        let hours = over.since(Timestamp(start.0)).as_secs() / 3600;
        tell(
            "R12",
            engine_name(engine),
            &format!(
                "{count} readers, 5 % greylisted, {hours} h of virtual time: lost 0, doubled 0, {grey} on the \
                 second try, {never} expired at 48 h; at most {} MiB resident, sink and test included (goal 128 \
                 MiB for the sender alone); identity looked at {} times",
                resident_mib(),
                sampling.stop()
            ),
        );
    }
);
