//! Leaving, pausing, cancelling and stopping in the middle of a run.

use std::time::{Duration, Instant};

use pressrun::delivery::State;
use pressrun::id::SubscriptionKey;
use pressrun::run::{self, why};
use pressrun::smtp::sink::SinkOptions;
use pressrun::smtp::sink::script::Script;
use pressrun::status::RunStatus;

use crate::deliver::fate::three_uncertain;
use crate::deliver::rig::{Rig, Wish, readers, script, until};
use crate::harness::Engine;
use crate::on_both;

/// A run slow enough to be met in the middle.
async fn slow(engine: Engine, count: usize) -> Rig {
    let wish = Wish {
        readers: readers(count),
        sink: SinkOptions {
            delay: Duration::from_millis(10),
            ..SinkOptions::default()
        },
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

on_both!(
    who_leaves_or_is_suppressed_in_the_middle_gets_nothing_marked_after,
    async |engine: Engine| {
        let rig = slow(engine, 300).await;
        // Seven seconds and more for what is left then.
        rig.sink.set_script(script("slow-100ms"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(20).await;
        let mut left = Vec::new();
        // Every fifth reader, from both ends towards the middle, half of each kind.
        for step in 0..20 {
            for id in [80 + step * 5, 300 - step * 5] {
                let now = rig.app.clock.now();
                if step % 2 == 0 {
                    let key = SubscriptionKey(id);
                    rig.app.store.leave(key, now).await.expect("a change");
                } else {
                    let address = format!("reader{}@example.org", id - 1);
                    let hash = rig.app.keyring.address_hash(&address);
                    let store = &rig.app.store;
                    store
                        .suppress(&address, &hash, "manual", now)
                        .await
                        .expect("a change");
                }
                let store = &rig.app.store;
                let queued = store.deliveries(run, Some(State::Queued), -1, 1000).await;
                let queued = queued.expect("a read");
                assert!(
                    queued.iter().all(|row| row.subscriber_id != id),
                    "{id} is queued"
                );
                left.push((id, rig.app.clock.now()));
            }
        }
        rig.sink.set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        let gone = counts.unsubscribed + counts.suppressed;
        assert!(gone >= 10 && counts.sent + gone == 300, "{counts:?}");
        rig.assert_true(run).await;
        for row in rig.rows(run).await {
            let at = left.iter().find(|(id, _)| *id == row.subscriber_id);
            if let (Some((_, at)), Some(marked)) = (at, row.marked_at) {
                assert!(marked <= at.0, "{row:?} was marked after the reader left");
            }
        }
    }
);

on_both!(
    who_leaves_while_a_copy_stands_at_the_dot_gets_no_second_try,
    async |engine: Engine| {
        let word = "+dot-451+slow-1s@example.org";
        let wish = Wish {
            readers: vec![
                format!("reader0{word}"),
                format!("reader1{word}"),
                "reader2@example.org".into(),
            ],
            connections: 3,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let at_dot = async || {
            let counts = rig.app.store.counts(run).await.expect("counters");
            (counts.at_dot, counts.sent) == (2, 1)
        };
        assert!(until(at_dot).await);
        let (store, now) = (&rig.app.store, rig.app.clock.now());
        let left = store.leave(SubscriptionKey(1), now).await;
        assert!(left.expect("a change"));
        let address = format!("reader1{word}");
        let hash = rig.app.keyring.address_hash(&address);
        let suppressed = store.suppress(&address, &hash, "manual", now).await;
        assert!(suppressed.expect("a change"));
        let gone = rig.app.clock.now();
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!(
            (counts.sent, counts.unsubscribed, counts.suppressed),
            (1, 1, 1)
        );
        for row in rig.rows(run).await {
            assert!(row.marked_at.expect("a marker") <= gone.0, "{row:?}");
        }
    }
);

on_both!(
    who_left_is_not_mailed_by_putting_an_uncertain_delivery_back,
    async |engine: Engine| {
        let (rig, run) = three_uncertain(engine).await;
        let (store, now) = (&rig.app.store, rig.app.clock.now());
        let left = store.leave(SubscriptionKey(1), now).await;
        assert!(left.expect("a change"));
        let found = rig.run(run).await;
        let one = run::resolve(&rig.app, &found, Some(0), State::Queued).await;
        assert_eq!(one.expect("an answer"), 0, "nobody is there to mail");
        assert_eq!(rig.run(run).await.status, RunStatus::Finished);
        let rest = run::resolve(&rig.app, &found, None, State::Queued).await;
        assert_eq!(rest.expect("an answer"), 2);
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.unsubscribed), (2, 1));
        assert!(!rig.accepted().contains_key("reader0@example.org"));
    }
);

on_both!(
    a_run_paused_resumed_and_cancelled_stops_and_goes_on_at_once,
    async |engine: Engine| {
        let rig = slow(engine, 300).await;
        let run = rig.begin().await;
        rig.sink.hold_after(20);
        let sending = rig.start().await;
        rig.wait_accepted(20).await;
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect("a pause");
        rig.sink.release();
        let paused = rig.at_rest(run).await;
        // Four connections, each with a copy at the dot.
        assert!((20..=24).contains(&paused.sent), "{paused:?}");
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect_err("paused already");
        rig.sink.hold_after(20);
        run::resume(&rig.app, &rig.run(run).await, false)
            .await
            .expect("a resume");
        rig.wait_accepted(usize::try_from(paused.sent).expect("a number") + 20)
            .await;
        run::cancel(&rig.app, &rig.run(run).await)
            .await
            .expect("a cancel");
        rig.sink.release();
        let counts = rig.at_rest(run).await;
        assert_eq!((counts.queued, counts.uncertain), (0, 0), "{counts:?}");
        assert_eq!(counts.sent + counts.cancelled, 300);
        let more = counts.sent - paused.sent;
        assert!((20..=24).contains(&more), "{counts:?}");
        rig.assert_true(run).await;
        run::resume(&rig.app, &rig.run(run).await, true)
            .await
            .expect_err("cancelled is the end");
        sending.stop().await;
    }
);

on_both!(
    a_cancel_that_was_killed_is_finished_by_whoever_sends,
    async |engine: Engine| {
        let rig = slow(engine, 3_000).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(20).await;
        // What is left is taken out again and again while somebody sends.
        sending.stop().await;
        let (from, to) = (RunStatus::Sending, RunStatus::Cancelled);
        let now = rig.app.clock.now();
        let changed = rig.app.store.set_run_status(run, from, to, None, now).await;
        assert!(
            changed.expect("a write"),
            "the process was killed after this"
        );
        let told = why::why(&rig.app, &rig.run(run).await).await;
        let told = told.expect("an answer").sentence;
        assert!(told.contains("are still to be taken out"), "{told}");
        let sending = rig.start().await;
        let done = until(async || {
            let counts = rig.app.store.counts(run).await.expect("counters");
            counts.queued == 0 && counts.sent + counts.cancelled == 3_000
        });
        assert!(done.await);
        sending.stop().await;
    }
);

on_both!(
    no_copy_that_was_ready_leaves_once_its_run_is_paused_or_cancelled,
    async |engine: Engine| {
        for (chunking, cancels) in [(false, false), (false, true), (true, false)] {
            let wish = Wish {
                sink: SinkOptions {
                    delay: Duration::from_millis(300),
                    chunking,
                    ..SinkOptions::default()
                },
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            let run = rig.begin().await;
            let sending = rig.start().await;
            // Their answers are on the way, and so is the leave for the next copies, which are made.
            rig.wait_accepted(4).await;
            let found = rig.run(run).await;
            match cancels {
                true => _ = run::cancel(&rig.app, &found).await.expect("a cancel"),
                false => run::pause(&rig.app, &found).await.expect("a pause"),
            }
            let stopped = rig.app.clock.now();
            let counts = rig.at_rest(run).await;
            rig.assert_true(run).await;
            for row in rig.rows(run).await {
                let marked = row.marked_at.unwrap_or(0);
                assert!(marked <= stopped.0, "{row:?} was marked after {stopped:?}");
            }
            if !cancels {
                assert_eq!(counts.sent + counts.queued, 40, "{counts:?}");
                let found = rig.run(run).await;
                run::resume(&rig.app, &found, false)
                    .await
                    .expect("a resume");
                rig.wait_status(run, RunStatus::Finished).await;
                assert_eq!(rig.balanced(run).await.sent, 40);
                rig.assert_true(run).await;
                assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
            }
            sending.stop().await;
        }
    }
);

on_both!(
    what_is_deferred_at_the_dot_while_its_run_is_cancelled_is_cancelled_too,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(20),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("dot-451+slow-300ms"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        let at_dot = async || {
            let counts = rig.app.store.counts(run).await.expect("counters");
            counts.at_dot == 4
        };
        assert!(until(at_dot).await);
        run::cancel(&rig.app, &rig.run(run).await)
            .await
            .expect("a cancel");
        let done = async || {
            let counts = rig.app.store.counts(run).await.expect("counters");
            counts.at_dot == 0
        };
        assert!(until(done).await);
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.cancelled, 20);
    }
);

on_both!(
    a_run_paused_while_it_freezes_sends_nothing_until_resumed,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect("a pause");
        let sending = rig.start().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(rig.sink.counts().connections, 0);
        run::resume(&rig.app, &rig.run(run).await, false)
            .await
            .expect("a resume");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 40);
    }
);

on_both!(
    a_sender_told_to_stop_leaves_nothing_uncertain_and_the_next_goes_on,
    async |engine: Engine| {
        let rig = slow(engine, 200).await;
        let run = rig.begin().await;
        for stop in 1..=4 {
            let sending = rig.start().await;
            rig.wait_accepted(stop * 30).await;
            sending.stop().await;
            let counts = rig.balanced(run).await;
            assert_eq!((counts.uncertain, counts.at_dot), (0, 0), "{counts:?}");
            rig.assert_true(run).await;
        }
        assert_eq!(rig.finish(run).await.sent, 200);
        rig.assert_true(run).await;
        assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
    }
);

on_both!(
    a_drain_does_not_wait_for_ever_and_the_next_sender_calls_it_uncertain,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(10),
            send: "drain = \"100ms\"",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("slow-10m"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(4).await;
        let asked = Instant::now();
        sending.stop().await;
        assert!(asked.elapsed() < Duration::from_secs(120));
        rig.sink.set_script(Script::default());
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.uncertain), (6, 4));
        rig.assert_true(run).await;
    }
);
