//! Runs that wait for their hour.

use std::time::Duration;

use pressrun::clock::{self, Clock, Timestamp};
use pressrun::id::RunId;
use pressrun::run::reschedule::reschedule;
use pressrun::run::{self, why};
use pressrun::schedule::Start;
use pressrun::status::RunStatus;
use pressrun::store::runs::{Begun, Plan};

use crate::control::slow;
use crate::deliver::rig::{Rig, Wish, readers, start, until};
use crate::harness::{Engine, block_on};
use crate::on_both;

pub const MINUTE: Duration = Duration::from_secs(60);

pub async fn rig(engine: Engine) -> Rig {
    let wish = Wish {
        readers: readers(10),
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

pub fn starting(at: Timestamp) -> Plan {
    Plan {
        start: Some(at),
        zone: Some("UTC".into()),
        ..Plan::default()
    }
}

/// Moves the hour of a run past the store.
pub async fn move_start(rig: &Rig, run: RunId, at: Timestamp) {
    let statement = format!("update runs set start_at = {} where id = {run}", at.0);
    rig.database.raw(&statement).await;
}

on_both!(
    a_scheduled_run_starts_in_its_time_and_goes_to_who_is_there_then,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let at = rig.app.clock.now().after(60 * MINUTE);
        let run = rig.begin_as(&starting(at), "Little").await;
        assert_eq!(rig.run(run).await.status, RunStatus::Scheduled);
        // A restart in between, one who joins and one who leaves.
        rig.start().await.stop().await;
        let now = rig.app.clock.now().0;
        let hash = match engine {
            Engine::Sqlite => "x'00'",
            Engine::Postgres => "'\\x00'",
        };
        rig.database
            .raw(&format!(
                "insert into subscribers (id, address, canonical, hash, name, fields, created_at)
                 values (99, 'late@example.org', 'late@example.org', {hash}, '', '{{}}', 0);
                 insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at, left_at)
                 values (99, 1, 99, 'confirmed', 'cli', 0, {now}, null);
                 update subscriptions set status = 'unsubscribed' where subscriber_id = 3"
            ))
            .await;
        assert_eq!(rig.sink.counts().connections, 0);
        let at = rig.app.clock.now().after(Duration::from_secs(1));
        move_start(&rig, run, at).await;
        let counts = rig.finish(run).await;
        assert_eq!(counts.sent, 10);
        let run = rig.run(run).await;
        assert!(run.started_at.expect("a start") >= at.0, "{run:?}");
        let taken = rig.accepted();
        assert!(taken.contains_key("late@example.org"), "{taken:?}");
        assert!(!taken.contains_key("reader2@example.org"), "{taken:?}");
    }
);

on_both!(
    a_start_that_is_a_little_late_happens_and_one_that_is_too_late_is_held,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let now = rig.app.clock.now();
        let later = now.after(60 * MINUTE);
        let run = rig.begin_as(&starting(later), "Little").await;
        move_start(&rig, run, now.before(59 * MINUTE)).await;
        assert_eq!(rig.finish(run).await.sent, 10);
        let run = rig.begin_as(&starting(later), "Little").await;
        move_start(&rig, run, now.before(61 * MINUTE)).await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.clone().expect("a reason");
        assert!(
            reason.contains("min late, more than `send.late_start`"),
            "{reason}"
        );
        assert_eq!(rig.sink.counts().accepted, 10);
        run::resume(&rig.app, &held, false)
            .await
            .expect_err("not without a word");
        run::resume(&rig.app, &held, true).await.expect("a resume");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 10);
    }
);

on_both!(
    a_run_that_is_moved_waits_for_its_new_hour_unless_a_person_paused_it,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let now = rig.app.clock.now();
        let run = rig
            .begin_as(&starting(now.after(60 * MINUTE)), "Little")
            .await;
        let to = Start {
            at: now.after(120 * MINUTE),
            zone: "UTC".into(),
            note: None,
        };
        let moved = async || {
            let moved = reschedule(&rig.app, &rig.run(run).await, &to).await;
            moved.expect("another hour")
        };
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect("a pause");
        assert_eq!(moved().await.status, RunStatus::Paused);
        let said = why::why(&rig.app, &rig.run(run).await).await;
        let said = said.expect("an answer").sentence;
        assert!(
            said.contains("it starts then if it is resumed by then"),
            "{said}"
        );
        run::resume(&rig.app, &rig.run(run).await, false)
            .await
            .expect("a resume");
        move_start(&rig, run, now.before(61 * MINUTE)).await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Held).await;
        let waits = moved().await;
        assert_eq!((waits.status, waits.reason), (RunStatus::Scheduled, None));
        move_start(&rig, run, now).await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let late = reschedule(&rig.app, &rig.run(run).await, &to).await;
        late.expect_err("it has begun");
    }
);

on_both!(
    a_clock_that_is_set_forward_starts_nothing_too_early,
    async |engine: Engine| {
        let mut rig = rig(engine).await;
        let now = rig.app.clock.now();
        rig.app.clock = Clock::fixed(now);
        let at = now.after(30 * MINUTE);
        // Whoever has sent a run has looked at the clock.
        let first = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(first, RunStatus::Finished).await;
        let before = rig.sink.counts();
        let run = rig.begin_as(&starting(at), "Little").await;
        rig.app.clock.advance(40 * MINUTE);
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.expect("a reason");
        assert!(reason.contains("set forward by 40 min"), "{reason}");
        sending.stop().await;
        assert_eq!(rig.sink.counts().connections, before.connections);
    }
);

#[test]
fn a_node_whose_clock_is_ahead_of_the_database_starts_nothing() {
    block_on(async {
        let mut rig = rig(Engine::Postgres).await;
        let now = rig.app.clock.now();
        let at = now.after(30 * MINUTE);
        let run = rig.begin_as(&starting(at), "Little").await;
        rig.app.clock = Clock::fixed(now.after(45 * MINUTE));
        let sending = rig.start().await;
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(rig.run(run).await.status, RunStatus::Scheduled);
        sending.stop().await;
        assert_eq!(rig.sink.counts().connections, 0);
    });
}

/// Sets the database's clock ahead of the machine's by so many milliseconds, or behind it.
async fn set_ahead(rig: &Rig, by: i64) {
    rig.database
        .raw(&format!(
            "create or replace function db_now() returns bigint language sql volatile
             as $$ select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) + ({by}) $$"
        ))
        .await;
}

#[test]
fn an_hour_that_has_come_by_the_databases_clock_alone_starts_nothing() {
    block_on(async {
        let rig = rig(Engine::Postgres).await;
        let at = rig.app.clock.now().after(20 * MINUTE);
        let run = rig.begin_as(&starting(at), "Little").await;
        set_ahead(&rig, 25 * clock::MINUTE).await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.clone().unwrap_or_default();
        assert!(
            reason.starts_with("by the database's clock it is ")
                && reason.contains("and its hour has not"),
            "{reason}"
        );
        assert_eq!(rig.sink.counts().connections, 0);
        // It is set right, and the run waits for its hour anew.
        set_ahead(&rig, 0).await;
        assert!(until(async || rig.app.clock.ahead() == 0).await);
        let resumed = run::resume(&rig.app, &held, true).await;
        resumed.expect("a resume");
        assert_eq!(rig.run(run).await.status, RunStatus::Scheduled);
        sending.stop().await;
        assert_eq!(rig.sink.counts().connections, 0);
    });
}

#[test]
fn a_step_of_the_databases_clock_alone_holds_nothing() {
    // A machine that has just come up may set its clock right.
    if clock::uptime() < 15 * MINUTE {
        return;
    }
    block_on(async {
        let rig = rig(Engine::Postgres).await;
        let now = rig.app.clock.now();
        let run = rig
            .begin_as(&starting(now.after(60 * MINUTE)), "Little")
            .await;
        let sending = rig.start().await;
        // Another server of the database takes over: six seconds, and the machine's clock agrees with both.
        for by in [-3_000, 3_000] {
            set_ahead(&rig, by).await;
            let shown = until(async || {
                let faces = rig.app.clock.faces();
                let near = |shared: Timestamp| (shared.0 - faces.own.0 - by).abs() < 1_000;
                faces.shared.is_some_and(near)
            });
            assert!(shown.await);
        }
        move_start(&rig, run, now).await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 10);
    });
}

#[test]
fn what_waits_only_to_be_taken_back_waits_by_one_clock() {
    block_on(async {
        let rig = rig(Engine::Postgres).await;
        set_ahead(&rig, 25 * clock::MINUTE).await;
        let sending = rig.start().await;
        assert!(until(async || rig.app.clock.ahead() != 0).await);
        let at = rig.app.clock.now().after(Duration::from_secs(1));
        let run = rig.begin_as(&starting(at), "Little").await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
    });
}

on_both!(
    a_scheduled_run_is_paused_resumed_and_taken_back_with_nothing_sent,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let at = rig.app.clock.now().after(60 * MINUTE);
        let run = rig.begin_as(&starting(at), "Little").await;
        let sending = rig.start().await;
        let said = why::why(&rig.app, &rig.run(run).await)
            .await
            .expect("an answer");
        assert_eq!((said.cause, said.next), (why::Cause::Scheduled, Some(at.0)));
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect("a pause");
        move_start(&rig, run, rig.app.clock.now()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(rig.run(run).await.status, RunStatus::Paused);
        move_start(&rig, run, at).await;
        run::resume(&rig.app, &rig.run(run).await, false)
            .await
            .expect("a resume");
        assert_eq!(rig.run(run).await.status, RunStatus::Scheduled);
        let again = rig.ask(&Plan::default(), "Little", true).await;
        assert_eq!(again, Begun::UnderWay(run));
        let taken = run::take_back(&rig.app, &rig.run(run).await).await;
        assert!(taken.expect("an answer"));
        move_start(&rig, run, rig.app.clock.now()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        sending.stop().await;
        let found = rig.run(run).await;
        assert_eq!((found.status, found.recipients), (RunStatus::Cancelled, 0));
        assert_eq!(rig.sink.counts().connections, 0);
        // It reached nobody, so the issue has not been sent.
        let anew = rig.ask(&Plan::default(), "Little", false).await;
        assert!(matches!(anew, Begun::New(_)), "{anew:?}");
    }
);

on_both!(
    each_reader_gets_it_at_the_hour_of_their_own_clock,
    async |engine: Engine| {
        let mut rig = rig(engine).await;
        rig.database
            .raw(
                "update subscribers set fields = '{\"tz\": \"Etc/GMT-2\"}' where id <= 3;
                 update subscribers set fields = '{\"tz\": \"Etc/GMT+2\"}' where id in (4, 5);
                 update subscribers set fields = '{\"tz\": \"Middle-earth\"}' where id = 6",
            )
            .await;
        let now = rig.app.clock.now();
        rig.app.clock = Clock::fixed(now);
        let soon = now.after(Duration::from_secs(3));
        let plan = Plan {
            local_at: Some(soon.to_jiff().strftime("%Y-%m-%dT%H:%M:%S").to_string()),
            zone_field: Some("tz".into()),
            ..starting(now)
        };
        let run = rig.begin_as(&plan, "Little").await;
        let sending = rig.start().await;
        // East of here it was that hour two hours ago.
        rig.wait_accepted(3).await;
        let east: Vec<_> = rig.accepted().into_keys().collect();
        assert_eq!(
            east,
            [
                "reader0@example.org",
                "reader1@example.org",
                "reader2@example.org"
            ]
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(rig.sink.counts().accepted, 3, "it is nobody else's hour");
        rig.app.clock.advance(Duration::from_secs(3));
        rig.wait_accepted(8).await;
        let waiting = until(async || {
            let counts = rig.app.store.counts(run).await.expect("counters");
            counts.sent == 8
        });
        assert!(waiting.await);
        let west: Vec<_> = rig
            .rows(run)
            .await
            .into_iter()
            .filter(|row| row.state == "queued")
            .map(|row| (row.subscriber_id, row.due_at))
            .collect();
        let due = soon.0 / 1000 * 1000 + 2 * 3_600_000;
        assert_eq!(west, [(4, due), (5, due)]);
        // Their block is given back a moment after the last answer.
        let told = until(async || {
            let said = why::why(&rig.app, &rig.run(run).await).await;
            let said = said.expect("an answer");
            (said.cause, said.next) == (why::Cause::Waiting, Some(due))
        });
        assert!(told.await);
        run::cancel(&rig.app, &rig.run(run).await)
            .await
            .expect("a cancel");
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.cancelled, 2);
        rig.assert_true(run).await;
    }
);

on_both!(
    a_clock_that_is_set_forward_brings_nobodys_own_hour,
    async |engine: Engine| {
        // A machine that has just come up may set its clock right.
        if pressrun::clock::uptime() < 15 * MINUTE {
            return;
        }
        let mut rig = rig(engine).await;
        // Half an hour behind the others: a clock that gains more than an hour is another matter.
        rig.database
            .raw("update subscribers set fields = '{\"tz\": \"America/Halifax\"}' where id <= 5")
            .await;
        let now = rig.app.clock.now();
        rig.app.clock = Clock::fixed(now);
        let there = now.to_jiff().in_tz("America/St_Johns").expect("a zone");
        let plan = Plan {
            local_at: Some(there.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
            zone_field: Some("tz".into()),
            zone: Some("America/St_Johns".into()),
            ..starting(now)
        };
        let run = rig.begin_as(&plan, "Little").await;
        let sending = rig.start().await;
        rig.wait_accepted(5).await;
        rig.app.clock.advance(31 * MINUTE);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(rig.sink.counts().accepted, 5, "half an hour early");
        // Who looks at the clock and lets the run go on has that clock before her.
        for go_on in [false, true] {
            let found = rig.run(run).await;
            match go_on {
                false => run::pause(&rig.app, &found).await.expect("a pause"),
                true => run::resume(&rig.app, &found, false)
                    .await
                    .expect("a resume"),
            }
        }
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 10);
    }
);

on_both!(
    fifty_starts_at_once_begin_one_run,
    async |engine: Engine| {
        let rig = std::sync::Arc::new(slow(engine, 20, 1).await);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let rig = rig.clone();
            asking.spawn(async move { rig.ask(&Plan::default(), "Little", false).await });
        }
        let mut begun = Vec::new();
        while let Some(answer) = asking.join_next().await {
            begun.push(answer.expect("no panic"));
        }
        let new: Vec<_> = begun
            .iter()
            .filter_map(|begun| match begun {
                Begun::New(run) => Some(*run),
                _ => None,
            })
            .collect();
        assert_eq!(new.len(), 1, "{begun:?}");
        let same = |begun: &&Begun| **begun == Begun::UnderWay(new[0]);
        assert_eq!(begun.iter().filter(same).count(), 49, "{begun:?}");
        assert_eq!(rig.finish(new[0]).await.sent, 20);
        rig.assert_true(new[0]).await;
    }
);

#[test]
fn one_of_two_machines_starts_it_once() {
    block_on(async {
        let rig = rig(Engine::Postgres).await;
        let at = rig.app.clock.now().after(Duration::from_secs(1));
        let run = rig.begin_as(&starting(at), "Little").await;
        let other = rig.another("node = \"two\"").await;
        let (one, two) = (rig.start().await, start(&other).await);
        rig.wait_status(run, RunStatus::Finished).await;
        one.stop().await;
        two.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 10);
        rig.assert_true(run).await;
    });
}
