//! The store behaves the same on both databases.

use std::time::Duration;

use pressrun::clock::Timestamp;
use pressrun::delivery::{Outcome, State};
use pressrun::id::RunId;
use pressrun::status::RunStatus;
use pressrun::store::Store;
use pressrun::store::comeback::Hold;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::harness::{Database, Engine, block_on};
use crate::ledger::{self, NOW};
use crate::on_both;

on_both!(
    a_fact_that_was_put_down_is_found_again,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let store = database.store().await;
        assert_eq!(store.meta("generation").await.expect("a read"), None);
        store.set_meta("generation", "7").await.expect("a write");
        store.set_meta("generation", "8").await.expect("a write");
        assert_eq!(
            store.meta("generation").await.expect("a read").as_deref(),
            Some("8")
        );
        store.close().await;
    }
);

on_both!(
    a_bounce_that_is_taken_back_allows_the_address_that_was_refused,
    async |engine: Engine| {
        let (database, store) = ledger::seeded(engine, 5).await;
        let run = ledger::frozen(&store).await;
        let leased = store.lease_blocks(run, "here", ledger::BOOT, ledger::LEASE, 9, NOW);
        leased.await.expect("leases");
        let refused = Outcome::Bounced(ledger::reply(550));
        let mut bounce = ledger::settled(run, 3, false, refused);
        bounce.suppress = Some(ledger::hash(4));
        let key = bounce.key;
        let bounced = store.commit_ledger(ledger::BOOT, &[bounce], &[], NOW).await;
        bounced.expect("a bounce");
        // She moves before it turns out that everybody is refused.
        let bytes = |hash: &str| match engine {
            Engine::Sqlite => format!("x'{hash}'"),
            Engine::Postgres => format!("'\\x{hash}'"),
        };
        database
            .raw(&format!(
                "insert into former_addresses (hash, subscriber_id, at, key) values ({}, 4, 1, 9);
                 update subscribers set address = 'n@x.example', canonical = 'n@x.example', hash = {} where id = 4",
                bytes(&format!("{:064x}", 4)),
                bytes(&format!("{:064x}", 77)),
            ))
            .await;
        let hold = Hold {
            why: "a test",
            doubted: None,
        };
        let back = store
            .hold_refused(run, State::Bounced, &[key], hold, NOW)
            .await;
        assert_eq!(back.expect("a hold"), 1);
        let found = store.suppression(&ledger::hash(4)).await;
        assert!(found.expect("a read").is_none());
    }
);

/// A word on the channel comes within this time, or not at all.
const HEARD: Duration = Duration::from_secs(60);

#[test]
fn a_listener_hears_of_a_run_that_another_process_pauses() {
    block_on(async {
        let database = Database::new(Engine::Postgres).await;
        let (store, other) = (database.store().await, database.store().await);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let listening = tokio::spawn(async move {
            store
                .listen(|| tell.send(()).expect("the test waits"))
                .await
        });
        let begin = "insert into runs (id, kind, slug, title, headers, relay, policy, status, cutoff, frozen_to,
                recipients, created_at)
            values (2, 'issue', 'a', 'A', '{}', '', 'hold', 'sending', 0, 0, 0, 0)";
        // Listening begins at some moment: until it is heard, the run begins again and again.
        tokio::time::timeout(HEARD, async {
            loop {
                database
                    .raw(&format!("delete from runs where id = 2; {begin}"))
                    .await;
                if let Ok(heard) =
                    tokio::time::timeout(Duration::from_millis(200), told.recv()).await
                {
                    break heard;
                }
            }
        })
        .await
        .expect("the beginning is heard");
        tokio::time::sleep(Duration::from_millis(200)).await;
        while told.try_recv().is_ok() {}
        let paused = other
            .set_run_status(
                RunId(2),
                RunStatus::Sending,
                RunStatus::Paused,
                None,
                Timestamp(1),
            )
            .await;
        assert!(paused.expect("a write"));
        tokio::time::timeout(HEARD, told.recv())
            .await
            .expect("the pause is heard");
        listening.abort();
        other.close().await;
    });
}

/// `serve` starts while somebody types a command: whoever comes second finds the tables made.
#[test]
fn commands_that_meet_a_database_to_be_made_wait_for_each_other() {
    block_on(async {
        for _ in 0..3 {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path();
            let open = || Store::open("sqlite:pressrun.db", path, 2);
            let opened = tokio::join!(open(), open(), open(), open());
            for store in [opened.0, opened.1, opened.2, opened.3] {
                store.expect("tables").close().await;
            }
        }
    });
}

#[test]
fn a_fault_of_the_database_is_said_once_in_words_with_what_to_do() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let (url, base) = ("sqlite:pressrun.db", folder.path());
        let wait = Duration::from_millis(100);
        let store = Store::open_within(url, base, 1, wait)
            .await
            .expect("a database");
        let file = base.join("pressrun.db");
        let mut other = SqliteConnectOptions::new()
            .filename(&file)
            .connect()
            .await
            .expect("a connection");
        let lock = sqlx::query("begin exclusive").execute(&mut other).await;
        lock.expect("a lock");
        let error = store.set_meta("a", "b").await.expect_err("it is locked");
        assert!(error.is_passing());
        let error = anyhow::Error::from(error);
        assert_eq!(
            format!("{error:#}"),
            "the database is locked by another program; say it again when that one is done, or end it"
        );
        sqlx::query("rollback")
            .execute(&mut other)
            .await
            .expect("no lock");
        sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'of tomorrow', true, x'00', 0)",
        )
        .execute(&mut other)
        .await
        .expect("a newer program");
        other.close().await.expect("an end");
        store.close().await;
        let error = Store::open(url, base, 1).await.expect_err("it is newer");
        let said = format!("{error:#}");
        assert!(
            said.contains("a newer pressrun has used this database"),
            "{said}"
        );
        let octets = std::fs::metadata(&file).expect("a file").len();
        let octets = usize::try_from(octets).expect("a size");
        std::fs::write(&file, vec![b'x'; octets]).expect("a damaged file");
        let error = Store::open(url, base, 1).await.expect_err("it is damaged");
        let said = format!("{error:#}");
        assert!(said.contains("go back to the last backup"), "{said}");
        // Nobody listens there.
        let error = Store::open("postgres://x@127.0.0.1:1/x", base, 1).await;
        let said = format!("{:#}", error.expect_err("nobody answers"));
        assert!(said.contains("the database is not reached"), "{said}");
        assert!(said.contains("refused"), "{said}");
    });
}
