//! Runs that do not go as fast as they can, and those that are stopped.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use pressrun::clock::Clock;
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
        rig.wait_accepted(15).await;
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
    pause_resume_and_cancel_take_effect_within_a_second,
    async |engine: Engine| {
        // Each message takes a while, as with a relay far away.
        let rig = slow(engine, 400, 100).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(12).await;
        let asked = Instant::now();
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect("a pause");
        let stopped = last_change(&rig).await;
        println!(
            "nothing more was taken {:?} after the pause",
            stopped - asked
        );
        assert!(stopped < asked + Duration::from_secs(1));
        let before = rig.sink.counts().accepted;
        let asked = Instant::now();
        run::resume(&rig.app, &rig.run(run).await, false)
            .await
            .expect("a resume");
        rig.wait_accepted(usize::try_from(before).expect("a number") + 1)
            .await;
        // Connections are made anew first: some 0.4 s, on a busy machine many times that.
        println!("the next was taken {:?} after the resume", asked.elapsed());
        assert!(asked.elapsed() < Duration::from_secs(20));
        let asked = Instant::now();
        run::cancel(&rig.app, &rig.run(run).await)
            .await
            .expect("a cancel");
        let stopped = last_change(&rig).await;
        println!(
            "nothing more was taken {:?} after the cancel",
            stopped - asked
        );
        assert!(stopped < asked + Duration::from_secs(1));
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.uncertain, counts.sent + counts.cancelled), (0, 400));
        rig.assert_true(run).await;
    }
);

/// When the sink took its last message, looked at for two seconds.
async fn last_change(rig: &Rig) -> Instant {
    let (mut last, mut count) = (Instant::now(), rig.sink.counts().accepted);
    let end = last + Duration::from_secs(2);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = rig.sink.counts().accepted;
        if now != count {
            (last, count) = (Instant::now(), now);
        }
    }
    last
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
        let mut rig = slow(engine, 5, 1_000).await;
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
