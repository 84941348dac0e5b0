//! Who may send: one process on SQLite, several machines on PostgreSQL, and nobody from an old copy.

use std::time::Duration;

use pressrun::clock::{Clock, Timestamp};
use pressrun::deliver::{Engine as Sender, Taken};
use pressrun::id::RunId;
use pressrun::run::{self, why};
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::sync::watch;

use crate::deliver::rig::{Rig, Wish, readers, script, start, until};
use crate::harness::{Engine, block_on};
use crate::on_both;

const HOUR: Duration = Duration::from_secs(3600);

fn slow(count: usize, send: &'static str) -> Wish {
    Wish {
        readers: readers(count),
        sink: SinkOptions {
            delay: Duration::from_millis(10),
            ..SinkOptions::default()
        },
        send,
        ..Wish::default()
    }
}

on_both!(
    a_second_sender_on_one_sqlite_file_or_as_one_node_is_turned_away,
    async |engine: Engine| {
        let rig = Rig::new(engine, slow(60, "")).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let (_stop, stopped) = watch::channel(false);
        let other = rig.another("").await;
        let taken = Sender::take(other.clone(), stopped.clone()).await;
        assert!(matches!(taken.expect("an answer"), Taken::Busy));
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        rig.assert_true(run).await;
        let taken = Sender::take(other, stopped).await;
        assert!(matches!(taken.expect("an answer"), Taken::Engine(_)));
    }
);

#[test]
fn two_machines_share_a_run_and_double_nothing() {
    block_on(async {
        let wish = Wish {
            readers: readers(1600),
            ..Wish::default()
        };
        let rig = Rig::new(Engine::Postgres, wish).await;
        let run = rig.begin().await;
        let other = rig.another("node = \"two\"").await;
        // Neither has sent everything before the other has begun.
        rig.sink.hold_after(0);
        let (one, two) = (rig.start().await, start(&other).await);
        let owners = format!(
            "select count(distinct boot), cast(0 as bigint) from blocks where run_id = {run}"
        );
        let both = until(async || rig.pairs(&owners).await == [(2, 0)]);
        assert!(both.await, "{:?}", rig.pairs(&owners).await);
        rig.sink.release();
        rig.wait_status(run, RunStatus::Finished).await;
        one.stop().await;
        two.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 1600);
        rig.assert_true(run).await;
        let boots = format!(
            "select boot, count(*) from deliveries where run_id = {run} group by boot order by boot"
        );
        let shares = rig.pairs(&boots).await;
        assert_eq!(shares.len(), 2, "both took part: {shares:?}");
    });
}

on_both!(
    a_node_that_lost_its_blocks_and_gets_them_back_mails_nobody_twice,
    async |engine: Engine| {
        for chunking in [false, true] {
            let mut wish = slow(60, "");
            wish.sink.script = script("slow-40ms");
            wish.sink.chunking = chunking;
            wish.relay = "window = 3\n";
            let rig = Rig::new(engine, wish).await;
            let run = rig.begin().await;
            let sending = rig.start().await;
            // As if it had slept, and another node had taken its blocks and given them back.
            for number in [4, 12, 24, 36] {
                rig.wait_accepted(number).await;
                rig.database
                    .raw("update blocks set boot = null, owner = null, until = null")
                    .await;
            }
            rig.wait_status(run, RunStatus::Finished).await;
            sending.stop().await;
            assert_eq!(rig.balanced(run).await.sent, 60);
            assert!(rig.accepted().values().all(|&copies| copies == 1));
            rig.assert_true(run).await;
        }
    }
);

#[test]
fn a_second_sender_of_the_same_name_fences_the_first() {
    block_on(async {
        let rig = Rig::new(Engine::Postgres, slow(400, "lease = \"800ms\"")).await;
        let run = rig.begin().await;
        let first = rig.start().await;
        rig.wait_accepted(20).await;
        // On another machine, by mistake: on this one it would wait its turn.
        let mut other = rig.another("").await;
        let mut config = (*other.config).clone();
        config.paths.state = "elsewhere".into();
        other.config = std::sync::Arc::new(config);
        let second = start(&other).await;
        let ended = first.task.await.expect("no panic");
        let error = ended.expect_err("it was fenced").to_string();
        assert!(error.contains("`one`"), "{error}");
        rig.wait_status(run, RunStatus::Finished).await;
        second.stop().await;
        let counts = rig.balanced(run).await;
        // Late answers of the first settle what the second had called uncertain.
        assert_eq!((counts.sent, counts.uncertain), (400, 0), "{counts:?}");
        rig.assert_true(run).await;
    });
}

#[test]
fn what_fails_for_one_machine_is_told_beside_what_works_for_another() {
    block_on(async {
        let rig = Rig::new(Engine::Postgres, Wish::default()).await;
        rig.sink.set_script(script("greeting-421"));
        rig.begin().await;
        let sending = rig.start().await;
        let alone = rig.wait_trouble().await;
        assert!(alone.ends_with("no reader is charged"), "{alone}");
        // Another machine starts, finds nothing wrong, and is gone without a word.
        let other = "insert into senders (node, boot, started_at, until)
            values ('two', 7, 0, 9000000000000)";
        rig.database.raw(other).await;
        let both = rig.trouble().await;
        assert!(both.starts_with("relay main: "), "{both}");
        assert!(both.ends_with("mail goes out through main"), "{both}");
        let states = "insert into relay_states (node, relay, state, since, told_at)
            values ('two', 'main', 'full', 0, 0)";
        rig.database.raw(states).await;
        let nodes = async || rig.app.store.told_relays().await.expect("a read").len();
        assert_eq!(nodes().await, 2);
        rig.database
            .raw("update senders set until = 1 where node = 'two'")
            .await;
        let alone = rig.trouble().await;
        assert!(alone.ends_with("no reader is charged"), "{alone}");
        assert_eq!(nodes().await, 1);
        sending.stop().await;
        assert_eq!(rig.trouble().await, "");
    });
}

/// A run whose sender was told to stop after so many copies.
async fn interrupted(rig: &Rig, number: u64) -> RunId {
    let run = rig.begin().await;
    rig.sink.hold_after(number);
    let sending = rig.start().await;
    rig.wait_accepted(usize::try_from(number).expect("a small number"))
        .await;
    rig.stop_held(sending).await;
    run
}

/// Copies the database as a backup would, while nobody sends.
async fn backup(rig: &Rig) -> std::path::PathBuf {
    let copy = rig.database.path().join("backup.db");
    let options = SqliteConnectOptions::new().filename(rig.database.path().join("pressrun.db"));
    let mut conn = options.connect().await.expect("a connection");
    let statement = format!("vacuum into '{}'", copy.display());
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut conn)
        .await
        .expect("a copy");
    copy
}

async fn restore(rig: &mut Rig, copy: &std::path::Path) {
    rig.app.store.close().await;
    for name in ["pressrun.db", "pressrun.db-wal", "pressrun.db-shm"] {
        std::fs::remove_file(rig.database.path().join(name)).ok();
    }
    std::fs::copy(copy, rig.database.path().join("pressrun.db")).expect("a copy");
    rig.app = rig.another("").await;
}

#[test]
fn a_restored_backup_mails_nobody_until_a_person_says_so() {
    block_on(async {
        let mut rig = Rig::new(Engine::Sqlite, slow(100, "")).await;
        let run = interrupted(&rig, 30).await;
        let copy = backup(&rig).await;
        assert_eq!(rig.finish(run).await.sent, 100);
        let before = rig.sink.counts();
        restore(&mut rig, &copy).await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.clone().expect("a reason");
        assert!(reason.contains("older"), "{reason}");
        run::resume(&rig.app, &held, false)
            .await
            .expect_err("not without a word");
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(rig.sink.counts(), before, "0 mails");
        run::resume(&rig.app, &held, true).await.expect("a resume");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 100);
        assert!(rig.sink.counts().accepted > before.accepted);
    });
}

#[test]
fn a_restored_backup_with_a_paused_run_or_none_holds_what_is_begun_on_it() {
    block_on(async {
        let mut rig = Rig::new(Engine::Sqlite, slow(40, "")).await;
        let before_all = backup(&rig).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await.sent, 40);
        let before = rig.sink.counts().accepted;
        restore(&mut rig, &before_all).await;
        let sending = rig.start().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let again = rig.begin().await;
        let held = rig.wait_status(again, RunStatus::Held).await;
        assert!(held.reason.is_some_and(|reason| reason.contains("older")));
        assert_eq!(rig.sink.counts().accepted, before);
        sending.stop().await;
    });
}

#[test]
fn a_yes_to_another_reason_is_none_to_a_restored_backup() {
    block_on(async {
        let mut rig = Rig::new(Engine::Sqlite, slow(100, "")).await;
        let run = interrupted(&rig, 30).await;
        let (moving, held) = (RunStatus::Sending, RunStatus::Held);
        let why = Some("too many bounces");
        let now = rig.app.clock.now();
        let changed = rig.app.store.set_run_status(run, moving, held, why, now);
        assert!(changed.await.expect("a write"));
        let copy = backup(&rig).await;
        run::resume(&rig.app, &rig.run(run).await, true)
            .await
            .expect("a resume");
        assert_eq!(rig.finish(run).await.sent, 100);
        let before = rig.sink.counts();
        restore(&mut rig, &copy).await;
        let sending = rig.start().await;
        let refused = run::resume(&rig.app, &rig.run(run).await, true).await;
        let refused = refused.expect_err("who was told of bounces knows nothing of the backup");
        assert!(refused.to_string().contains("older"), "{refused}");
        let found = rig.run(run).await;
        assert_eq!(found.status, RunStatus::Held);
        let told = why::why(&rig.app, &found).await.expect("an answer");
        assert!(told.sentence.contains("older"), "{}", told.sentence);
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(rig.sink.counts(), before, "0 mails");
        run::resume(&rig.app, &found, true)
            .await
            .expect("a resume by one who was told");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
    });
}

#[test]
fn a_database_without_the_number_beside_it_is_doubted() {
    block_on(async {
        for number in [None, Some(&b"\0\0\0\0"[..])] {
            let mut rig = Rig::new(Engine::Sqlite, slow(60, "")).await;
            let run = interrupted(&rig, 20).await;
            let copy = backup(&rig).await;
            assert_eq!(rig.finish(run).await.sent, 60);
            let before = rig.sink.counts();
            restore(&mut rig, &copy).await;
            let file = rig.app.path(&rig.app.config.paths.state).join("generation");
            match number {
                None => std::fs::remove_file(&file).expect("a file"),
                Some(octets) => std::fs::write(&file, octets).expect("a file"),
            }
            let sending = rig.start().await;
            let held = rig.wait_status(run, RunStatus::Held).await;
            let reason = held.reason.clone().expect("a reason");
            assert!(reason.contains("twice"), "{reason}");
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(rig.sink.counts(), before, "0 mails");
            run::resume(&rig.app, &held, true).await.expect("a resume");
            rig.wait_status(run, RunStatus::Finished).await;
            sending.stop().await;
        }
    });
}

on_both!(
    a_run_that_slept_for_more_than_an_hour_is_held,
    async |engine: Engine| {
        let mut rig = Rig::new(engine, slow(200, "")).await;
        rig.app.clock = Clock::fixed(Timestamp(1_800_000_000_000));
        let run = interrupted(&rig, 20).await;
        rig.app.clock.advance(2 * HOUR);
        let before = rig.sink.counts().accepted;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        assert!(
            held.reason
                .is_some_and(|reason| reason.contains("120 minutes"))
        );
        assert_eq!(rig.sink.counts().accepted, before);
        rig.sink.hold_after(20);
        run::resume(&rig.app, &rig.run(run).await, true)
            .await
            .expect("a resume");
        rig.wait_accepted(usize::try_from(before).expect("a number") + 20)
            .await;
        // The same while it sends: a machine that was put to sleep, or one copied and woken.
        rig.app.clock.advance(2 * HOUR);
        rig.wait_status(run, RunStatus::Held).await;
        rig.sink.release();
        rig.at_rest(run).await;
        run::resume(&rig.app, &rig.run(run).await, true)
            .await
            .expect("a resume");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 200);
        rig.assert_true(run).await;
    }
);
