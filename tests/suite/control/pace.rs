//! Runs that do not go as fast as they can, and those that are stopped.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use pressrun::clock::{Clock, Timestamp};
use pressrun::id::RunId;
use pressrun::pace;
use pressrun::rollout::Stages;
use pressrun::run::{self, why};
use pressrun::status::RunStatus;
use pressrun::store::runs::Plan;

use crate::control::slow;
use crate::deliver::rig::{Rig, Wish, readers, start, until};
use crate::harness::{Engine, block_on};
use crate::on_both;

fn at_rate(text: &str) -> Plan {
    Plan {
        per_day: Some(pace::parse(text).expect("a rate")),
        ..Plan::default()
    }
}

async fn rig(engine: Engine, count: usize) -> Rig {
    let wish = Wish {
        readers: readers(count),
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

on_both!(
    a_rate_is_never_exceeded_also_over_a_restart,
    async |engine: Engine| {
        let rig = rig(engine, 80).await;
        let run = rig.begin_as(&at_rate("20/s"), "Little").await;
        let began = Instant::now();
        let sending = rig.start().await;
        rig.wait_accepted(20).await;
        let said = why::why(&rig.app, &rig.run(run).await).await;
        let said = said.expect("an answer");
        assert_eq!(said.cause, why::Cause::Pace, "{said:?}");
        assert!(said.sentence.contains("20 a second"), "{said:?}");
        sending.stop().await;
        let counts = rig.finish(run).await;
        let took = began.elapsed();
        assert_eq!(counts.sent, 80);
        // 79 waits of 50 ms, less a second's worth that a silence allows.
        assert!(took >= Duration::from_millis(2950), "it took {took:?}");
        rig.assert_true(run).await;
    }
);

#[test]
fn two_machines_share_one_rate() {
    block_on(async {
        let rig = rig(Engine::Postgres, 300).await;
        let run = rig.begin_as(&at_rate("60/s"), "Little").await;
        let other = rig.another("node = \"two\"").await;
        let began = Instant::now();
        let (one, two) = (rig.start().await, start(&other).await);
        rig.wait_status(run, RunStatus::Finished).await;
        let took = began.elapsed();
        one.stop().await;
        two.stop().await;
        assert!(took >= Duration::from_millis(3950), "it took {took:?}");
        assert_eq!(rig.balanced(run).await.sent, 300);
        rig.assert_true(run).await;
    });
}

on_both!(
    a_spread_takes_its_time_and_a_pause_is_added_to_it,
    async |engine: Engine| {
        let rig = rig(engine, 60).await;
        let plan = Plan {
            spread: Some(Duration::from_secs(4)),
            ..Plan::default()
        };
        let run = rig.begin_as(&plan, "Little").await;
        let sending = rig.start().await;
        rig.wait_accepted(5).await;
        let before = rig.run(run).await;
        let until = before.spread_until.expect("an end");
        assert_eq!(until, before.started_at.expect("a start") + 4000);
        run::pause(&rig.app, &before).await.expect("a pause");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let paused = rig.run(run).await;
        run::resume(&rig.app, &paused, false)
            .await
            .expect("a resume");
        let after = rig.run(run).await;
        let stood = after.since - paused.since;
        assert!(stood >= 1000, "{stood}");
        assert_eq!(after.spread_until, Some(until + stood));
        let finished = rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let took = finished.finished_at.expect("an end") - finished.started_at.expect("a start");
        // The last message leaves one share before the end.
        assert!(
            took >= 3700 + stood,
            "it took {took} ms, {stood} of them paused"
        );
        assert_eq!(rig.balanced(run).await.sent, 60);
        rig.assert_true(run).await;
    }
);

on_both!(
    pause_resume_and_cancel_take_effect_before_the_next_message,
    async |engine: Engine| {
        // Each message takes a while, as with a relay far away.
        let rig = slow(engine, 400, 100).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(12).await;
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect("a pause");
        let stopped = rig.app.clock.now();
        let before = rig.at_rest(run).await.sent;
        none_marked_behind(&rig, run, stopped).await;
        run::resume(&rig.app, &rig.run(run).await, false)
            .await
            .expect("a resume");
        rig.wait_accepted(usize::try_from(before).expect("a number") + 1)
            .await;
        run::cancel(&rig.app, &rig.run(run).await)
            .await
            .expect("a cancel");
        let stopped = rig.app.clock.now();
        rig.at_rest(run).await;
        none_marked_behind(&rig, run, stopped).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.uncertain, counts.sent + counts.cancelled), (0, 400));
        rig.assert_true(run).await;
    }
);

/// Nothing of the run went to the dot later than this, and not all of it before.
async fn none_marked_behind(rig: &Rig, run: RunId, stopped: Timestamp) {
    let rows = rig.rows(run).await;
    let marked: Vec<i64> = rows.iter().filter_map(|row| row.marked_at).collect();
    assert!(marked.len() < rows.len(), "it was over before");
    assert!(marked.iter().all(|&at| at <= stopped.0), "{rows:?}");
}

/// Waits until so many messages were taken, and a while for those that should not be.
async fn exactly(rig: &Rig, number: usize) {
    rig.wait_accepted(number).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(rig.sink.counts().accepted, number as u64);
}

on_both!(
    a_spread_keeps_its_pace_though_nobody_sent_and_a_stage_was_looked_at,
    async |engine: Engine| {
        let mut rig = rig(engine, 20).await;
        rig.app.clock = Clock::fixed(rig.app.clock.now());
        let minutes = |number: u64| Duration::from_secs(60 * number);
        // One a minute.
        let plan = Plan {
            spread: Some(minutes(20)),
            stages: Some(Stages::parse("10%,30m,rest").expect("stages")),
            ..Plan::default()
        };
        let run = rig.begin_as(&plan, "Little").await;
        let sending = rig.start().await;
        exactly(&rig, 1).await;
        rig.app.clock.advance(minutes(1));
        rig.wait_accepted(2).await;
        assert!(until(async || rig.run(run).await.staged_at.is_some()).await);
        // By now the time of the spread would be over.
        rig.app.clock.advance(minutes(31));
        exactly(&rig, 3).await;
        sending.stop().await;
        rig.app.clock.advance(minutes(25));
        let sending = rig.start().await;
        exactly(&rig, 4).await;
        run::cancel(&rig.app, &rig.run(run).await)
            .await
            .expect("a cancel");
        sending.stop().await;
        rig.assert_true(run).await;
    }
);

on_both!(
    a_pace_is_not_used_up_by_what_could_not_be_given_out,
    async |engine: Engine| {
        let mut rig = slow(engine, 5, 0).await;
        rig.sink.hold_after(0);
        rig.app.clock = Clock::fixed(rig.app.clock.now());
        let run = rig.begin_as(&at_rate("60/h"), "Little").await;
        let sending = rig.start().await;
        let at_dot = async || {
            let counts = rig.app.store.counts(run).await.expect("counters");
            counts.at_dot == 1
        };
        assert!(until(at_dot).await);
        // The next may go while the first, and so the only block, is with the relay.
        rig.app.clock.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(600)).await;
        rig.sink.release();
        rig.wait_accepted(2).await;
        run::cancel(&rig.app, &rig.run(run).await)
            .await
            .expect("a cancel");
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 2);
        rig.assert_true(run).await;
    }
);

on_both!(
    a_clock_that_is_set_back_keeps_nothing_waiting,
    async |engine: Engine| {
        let mut rig = rig(engine, 20).await;
        let now = rig.app.clock.now();
        let clock = std::sync::Arc::new(AtomicI64::new(now.0));
        rig.app.clock = Clock::Fixed(clock.clone());
        let run = rig.begin_as(&at_rate("10/s"), "Little").await;
        let sending = rig.start().await;
        rig.wait_accepted(1).await;
        clock.fetch_sub(3_600_000, Ordering::SeqCst);
        // The mark is looked at by the new time, and the next second brings the next messages.
        let going = until(async || {
            rig.app.clock.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(100)).await;
            rig.run(run).await.status == RunStatus::Finished
        });
        assert!(going.await, "{:?}", rig.app.store.counts(run).await);
        sending.stop().await;
        let counts = rig.app.store.counts(run).await.expect("counters");
        assert_eq!((counts.sent, counts.total()), (20, 20), "{counts:?}");
        // `verify` says rightly that one was marked in the future.
        assert!(rig.accepted().values().all(|&copies| copies == 1));
    }
);
