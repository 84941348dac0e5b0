//! Copies that are refused while nobody is to blame for them, or only their own.

use pressrun::id::RunId;
use pressrun::run;
use pressrun::smtp::sink::SinkOptions;
use pressrun::smtp::sink::script::Script;
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, faulty, readers, script, until};
use crate::deliver::system::enqueue;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    copies_that_are_deferred_at_mail_stop_no_others,
    async |engine: Engine| {
        for chunking in [false, true] {
            let wish = Wish {
                readers: faulty(60, &[(3, "mail-451")]),
                sink: SinkOptions {
                    chunking,
                    ..SinkOptions::default()
                },
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            let run = rig.begin().await;
            let sending = rig.start().await;
            rig.wait_accepted(57).await;
            let put_off = until(async || {
                let rows = rig.rows(run).await;
                rows.iter()
                    .filter(|row| row.state == "queued" && row.attempts > 0)
                    .count()
                    == 3
            });
            assert!(put_off.await, "charged, for else they would never expire");
            sending.stop().await;
            rig.balanced(run).await;
        }
    }
);

/// Waits until nobody of so many is finished: one copy may be put back, and hold the run, before the others.
async fn all_are_back(rig: &Rig, run: RunId, count: usize) {
    let counts = async || rig.app.store.counts(run).await.expect("counters");
    let back = until(async || usize::try_from(counts().await.queued) == Ok(count));
    assert!(back.await, "{:?}", counts().await);
    assert_eq!(rig.balanced(run).await.failed, 0);
}

on_both!(
    the_last_readers_are_not_refused_for_what_is_said_of_the_run,
    async |engine: Engine| {
        for (words, count) in [
            ("mail-550-5.7.1", 1),
            ("mail-550-5.7.1", 4),
            ("data-554", 3),
            ("dot-554-5.7.1", 1),
        ] {
            let wish = Wish {
                readers: readers(count),
                connections: 1,
                send: "retry = [\"100ms\"]",
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            rig.sink.set_script(script(words));
            let run = rig.begin().await;
            let sending = rig.start().await;
            let held = rig.wait_status(run, RunStatus::Held).await;
            let reason = held.reason.clone().expect("a reason");
            assert!(reason.contains("refuses this run: 55"), "{words}: {reason}");
            all_are_back(&rig, run, count).await;
            rig.sink.set_script(Script::default());
            run::resume(&rig.app, &held, true).await.expect("a resume");
            rig.wait_status(run, RunStatus::Finished).await;
            sending.stop().await;
            let sent = rig.balanced(run).await.sent;
            assert_eq!(usize::try_from(sent), Ok(count));
        }
    }
);

on_both!(
    who_is_refused_again_after_a_person_has_looked_is_refused,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(3),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("dot-554-5.7.1"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        all_are_back(&rig, run, 3).await;
        run::resume(&rig.app, &held, true).await.expect("a resume");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.failed, 3);
    }
);

on_both!(
    a_system_mail_that_is_refused_alone_waits_until_the_relay_is_well,
    async |engine: Engine| {
        for words in ["mail-550-5.7.1", "dot-554-5.7.1"] {
            let wish = Wish {
                send: "retry = [\"200ms\"]",
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            rig.begin().await;
            enqueue(&rig, "reader@system.example").await;
            rig.sink.set_script(script(words));
            let sending = rig.start().await;
            let again = until(async || {
                let rows = rig.rows(RunId::SYSTEM).await;
                rows.iter().any(|row| row.attempts >= 2)
            });
            assert!(again.await, "{words}");
            rig.sink.set_script(Script::default());
            let sent = until(async || {
                let counts = rig.app.store.counts(RunId::SYSTEM).await.expect("counters");
                counts.sent == 1
            });
            assert!(sent.await, "{words}");
            sending.stop().await;
            rig.balanced(RunId::SYSTEM).await;
        }
    }
);
