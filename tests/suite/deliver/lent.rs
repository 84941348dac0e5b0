//! What one process holds beside others: blocks that are its by mistake, runs that end in the middle of something, and
//! the time that all of them mean.

use std::time::Duration;

use pressrun::clock::{Clock, DAY};
use pressrun::deliver::setup;
use pressrun::delivery::{Outcome, Settled, State};
use pressrun::id::SubscriberId;
use pressrun::reply::Reply;
use pressrun::status::RunStatus;
use pressrun::store::ledger::Marker;
use pressrun::store::system_mail::NewSystemMail;
use pressrun::store::verify::DeliveryRow;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::deliver::fate::three_uncertain;
use crate::deliver::rig::{Rig, Wish, faulty, readers, until};
use crate::harness::{Engine, block_on};
use crate::on_both;

const LEASE: Duration = Duration::from_secs(60);

async fn connection(rig: &Rig) -> PgConnection {
    let options: PgConnectOptions = rig.database.url.parse().expect("a URL");
    options.connect().await.expect("a connection")
}

/// Whether somebody waits for a lock that `holder` has.
async fn is_waited_for(holder: &mut PgConnection) -> bool {
    let waits = "select exists (
        select 1 from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid)))";
    sqlx::query_scalar(waits)
        .fetch_one(holder)
        .await
        .expect("an answer")
}

async fn wait_for_waiting(holder: &mut PgConnection) {
    while !is_waited_for(holder).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

on_both!(
    a_block_of_which_its_own_process_knows_nothing_is_tried_again,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(3, &[(1, "grey-1")]),
            send: "lease = \"1s\"\nretry = [\"3s\"]\njitter = 0.0",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let free = "select count(*), count(*) from blocks where run_id > 1 and queued > 0 and boot is null";
        let put_off = async || {
            let rows = rig.rows(run).await;
            let waits = |row: &DeliveryRow| row.attempts == 1 && row.state == State::Queued.name();
            rows.iter().any(waits) && rig.pairs(free).await[0].0 == 1
        };
        assert!(until(put_off).await, "{:?}", rig.rows(run).await);
        // As after a lease whose answer was lost: it stands as this process's, which has heard of none.
        rig.database
            .raw(
                "update blocks set boot = (select boot from senders), owner = 'lost', until = 9000000000000000
                 where run_id > 1 and queued > 0 and boot is null",
            )
            .await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 3);
    }
);

/// All of one block's copies are out but for what a transaction of the test's own puts back beside the end of the run.
#[test]
fn a_run_in_which_something_is_put_back_at_this_moment_is_not_finished() {
    block_on(async {
        let rig = Rig::new(
            Engine::Postgres,
            Wish {
                readers: readers(3),
                ..Wish::default()
            },
        )
        .await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await.sent, 3);
        let again =
            format!("update runs set status = 'sending', finished_at = null where id = {run}");
        rig.database.raw(&again).await;
        let mut other = connection(&rig).await;
        let mut back = other.begin().await.expect("a transaction");
        for statement in [
            again,
            format!(
                "update deliveries set state = 'queued', settled_at = null where run_id = {run} and seq = 1"
            ),
            format!(
                "update blocks set sent = sent - 1, queued = queued + 1, next_due = 0 where run_id = {run}"
            ),
        ] {
            back.execute(AssertSqlSafe(statement))
                .await
                .expect("a change");
        }
        let store = rig.app.store.clone();
        let now = rig.app.clock.now();
        let finish = tokio::spawn(async move { store.finish_run(run, now).await });
        wait_for_waiting(&mut back).await;
        back.commit().await.expect("a commit");
        assert!(!finish.await.expect("no panic").expect("an answer"));
        assert_eq!(rig.run(run).await.status, RunStatus::Sending);
        assert_eq!(rig.finish(run).await.sent, 3);
    });
}

#[test]
fn an_uncertain_delivery_is_put_back_before_or_after_its_run_ends_and_not_beside() {
    block_on(async {
        let (rig, run) = three_uncertain(Engine::Postgres).await;
        let again =
            format!("update runs set status = 'sending', finished_at = null where id = {run}");
        rig.database.raw(&again).await;
        let mut other = connection(&rig).await;
        // As who finishes it has its row.
        let mut end = other.begin().await.expect("a transaction");
        let ended =
            format!("update runs set status = 'finished', finished_at = 7 where id = {run}");
        end.execute(AssertSqlSafe(ended)).await.expect("a change");
        let store = rig.app.store.clone();
        let now = rig.app.clock.now();
        let back =
            tokio::spawn(
                async move { store.resolve_uncertain(run, None, State::Queued, now).await },
            );
        wait_for_waiting(&mut end).await;
        end.commit().await.expect("a commit");
        assert_eq!(back.await.expect("no panic").expect("a change"), 3);
        assert_eq!(rig.run(run).await.status, RunStatus::Sending);
    });
}

#[test]
fn who_shares_a_database_goes_by_its_clock_and_says_whose_own_is_wrong() {
    block_on(async {
        let mut rig = Rig::new(
            Engine::Postgres,
            Wish {
                readers: readers(3),
                ..Wish::default()
            },
        )
        .await;
        rig.database
            .raw(&format!(
                "create or replace function db_now() returns bigint language sql volatile
                 as $$ select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) - {} $$",
                3 * DAY
            ))
            .await;
        rig.app = rig.another("").await;
        let there = Clock::System.now().0 - 3 * DAY;
        let near = |at: i64| at.abs_diff(there) < 3_600_000;
        assert!(near(rig.app.clock.now().0));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        let told = async || {
            setup::amiss(&rig.app.store, &rig.app.config)
                .await
                .expect("a read")
                .len()
                == 1
        };
        assert!(until(told).await);
        let amiss = setup::amiss(&rig.app.store, &rig.app.config)
            .await
            .expect("a read");
        assert!(
            amiss[0].contains("is 3 days ahead of the database's"),
            "{amiss:?}"
        );
        sending.stop().await;
        assert!(near(rig.run(run).await.since));
        assert!(
            rig.rows(run)
                .await
                .iter()
                .all(|row| row.settled_at.is_some_and(near))
        );
    });
}

on_both!(
    a_mail_at_the_dot_whose_reader_is_erased_meanwhile_waits_for_nobody,
    async |engine: Engine| {
        let rig = Rig::new(
            engine,
            Wish {
                readers: readers(1),
                ..Wish::default()
            },
        )
        .await;
        let (store, now) = (&rig.app.store, rig.app.clock.now());
        let revision = rig.app.store.run(rig.begin().await).await.expect("a read");
        let revision = revision.and_then(|run| run.revision).expect("a revision");
        let mail = NewSystemMail {
            kind: "welcome",
            revision: &revision,
            subscriber: SubscriberId(1),
            address: None,
            list: None,
            data: "{}",
        };
        let key = store.enqueue_system_mail(&mail, now).await.expect("a mail");
        store
            .enter_sender("here", 7, LEASE, now)
            .await
            .expect("a sender");
        let leased = store.lease_blocks(key.run, "here", 7, LEASE, 1, now).await;
        assert_eq!(leased.expect("a lease"), [0]);
        let marker = Marker {
            key,
            copy: "{}".to_owned(),
        };
        let marked = store
            .commit_ledger(7, &[], &[marker], now)
            .await
            .expect("a commit");
        assert!(marked.granted.contains(&key));
        let erased = "update deliveries set subscriber_id = -9 where run_id = 1";
        rig.database.raw(erased).await;
        let deferred = Settled {
            key,
            outcome: Outcome::Deferred {
                reply: Reply::default(),
                due: now,
            },
            marked: true,
            at: now,
            charged: true,
            suppress: None,
            failure: None,
        };
        store
            .commit_ledger(7, &[deferred], &[], now)
            .await
            .expect("a commit");
        let counts = store.counts(key.run).await.expect("counters");
        assert_eq!((counts.queued, counts.unsubscribed), (0, 1));
    }
);

on_both!(
    a_mail_that_waits_for_an_address_of_nobody_is_taken_when_that_is_suppressed,
    async |engine: Engine| {
        let rig = Rig::new(
            engine,
            Wish {
                readers: readers(1),
                ..Wish::default()
            },
        )
        .await;
        let (store, now) = (&rig.app.store, rig.app.clock.now());
        let run = store.run(rig.begin().await).await.expect("a read");
        let revision = run.and_then(|run| run.revision).expect("a revision");
        for address in ["New@Example.org", "other@example.org"] {
            let mail = NewSystemMail {
                kind: "confirm",
                revision: &revision,
                subscriber: SubscriberId(0),
                address: Some(address),
                list: None,
                data: "{}",
            };
            store.enqueue_system_mail(&mail, now).await.expect("a mail");
        }
        let suppressed = store
            .suppress("new@example.org", &[7; 32], "complained", now)
            .await;
        assert!(suppressed.expect("a change"));
        let counts = store
            .counts(pressrun::id::RunId::SYSTEM)
            .await
            .expect("counters");
        assert_eq!((counts.queued, counts.suppressed), (1, 1));
    }
);

#[test]
fn the_lowest_cap_of_all_who_send_holds_and_it_is_said_who_has_another() {
    block_on(async {
        let rig = Rig::new(
            Engine::Postgres,
            Wish {
                readers: readers(30),
                ..Wish::default()
            },
        )
        .await;
        rig.database
            .raw(
                r#"insert into senders (node, boot, started_at, until, setup) values ('two', 99, 0, 9000000000000000,
                   '{"settings":{},"relays":["main"],"caps":{"main":{"per_second":0,"per_minute":0,"per_hour":0,
                   "per_day":10,"warm_up":null}},"ahead":0}')"#,
            )
            .await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let trouble = rig.wait_trouble().await;
        assert!(
            trouble.starts_with("relay main: 10 of 10 messages today"),
            "{trouble}"
        );
        rig.wait_accepted(10).await;
        let amiss = setup::amiss(&rig.app.store, &rig.app.config)
            .await
            .expect("a read");
        let said = "the sender on two has other caps for relay `main` (10 a day) than this configuration (none)";
        assert!(amiss.iter().any(|one| one.starts_with(said)), "{amiss:?}");
        assert_eq!(rig.balanced(run).await.queued, 20);
        rig.database
            .raw("delete from senders where node = 'two'")
            .await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        rig.assert_true(run).await;
    });
}
