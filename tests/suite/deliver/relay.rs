//! Faults of the relay and of connections charge nobody, and hold the run where it meant it.

use pressrun::delivery::Counts;
use pressrun::run;
use pressrun::run::verify;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, readers, script, until};
use crate::harness::{Engine, Port};
use crate::on_both;

const LOGIN: &str = "username = \"ann\"\npassword = \"secret\"";

fn all_sent(number: i64) -> Counts {
    Counts {
        sent: number,
        ..Counts::default()
    }
}

async fn everyone_was_tried_once(rig: &Rig, run: pressrun::id::RunId) {
    let rows = rig.rows(run).await;
    let charged: Vec<_> = rows.iter().filter(|row| row.attempts != 1).collect();
    assert!(charged.is_empty(), "{charged:?}");
    rig.assert_true(run).await;
}

on_both!(
    a_relay_that_hangs_up_after_a_few_messages_loses_nothing,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(60),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("after-7"));
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, all_sent(60));
        everyone_was_tried_once(&rig, run).await;
        assert!(rig.sink.counts().connections >= 9);
    }
);

on_both!(
    a_relay_that_is_down_is_waited_for_and_nobody_is_charged,
    async |engine: Engine| {
        let mut rig = Rig::new(engine, Wish::default()).await;
        let listen = rig.sink.address();
        let gone = std::mem::replace(
            &mut rig.sink,
            Sink::bind(SinkOptions::default()).await.expect("a sink"),
        );
        gone.shutdown().await;
        let _kept = Port::at(listen);
        let run = rig.begin().await;
        let sending = rig.start().await;
        let trouble = rig.wait_trouble().await;
        assert!(trouble.starts_with("relay main: "), "{trouble}");
        assert_eq!(rig.balanced(run).await.queued, 40);
        let options = SinkOptions {
            listen,
            ..SinkOptions::default()
        };
        rig.sink = Sink::bind(options).await.expect("the same port");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await, all_sent(40));
        everyone_was_tried_once(&rig, run).await;
        assert_eq!(rig.trouble().await, "", "told until it was over");
    }
);

on_both!(
    a_relay_that_asked_for_a_pause_gets_it_on_every_connection_and_one_after_the_other_after_it,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(160),
            connections: 8,
            sink: SinkOptions {
                delay: std::time::Duration::from_millis(20),
                ..SinkOptions::default()
            },
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(30).await;
        rig.sink.set_script(script("data-421-4.7.28+again-6s"));
        let trouble = rig.wait_trouble().await;
        assert!(
            trouble.contains("asks for a pause") && trouble.contains("4.7.28"),
            "{trouble}"
        );
        rig.sink.set_script(Script::default());
        // What was under way comes to rest, and nothing new begins.
        rig.at_rest(run).await;
        let before = rig.sink.counts();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(rig.sink.counts(), before, "it was to be left alone");
        // As long as the first is not answered, no other comes.
        rig.sink.hold_after(0);
        let next = usize::try_from(before.accepted).expect("a number") + 1;
        rig.wait_accepted(next).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let opened = rig.sink.counts().connections - before.connections;
        assert!(opened <= 2, "{opened} connections at once after the pause");
        rig.sink.release();
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let opened = rig.sink.counts().connections - before.connections;
        assert!(opened >= 3, "only {opened} came back");
        assert_eq!(rig.balanced(run).await, all_sent(160));
        everyone_was_tried_once(&rig, run).await;
    }
);

/// A relay that refuses everyone holds the run with its words; nobody is blamed, and after it has come to
/// its senses the run goes on.
async fn refused_for_all(engine: Engine, words: &str, login: bool) {
    let wish = Wish {
        readers: readers(30),
        relay: if login { LOGIN } else { "" },
        sink: SinkOptions {
            auth: login.then(|| ("ann".into(), "secret".into())),
            ..SinkOptions::default()
        },
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    rig.sink.set_script(script(words));
    let run = rig.begin().await;
    let sending = rig.start().await;
    let held = rig.wait_status(run, RunStatus::Held).await;
    let reason = held.reason.expect("a reason");
    let code = words.split('-').nth(1).expect("a code");
    assert!(reason.contains(code), "{reason}");
    let expected = Counts {
        queued: 30,
        ..Counts::default()
    };
    // What was under way comes to rest, and stays there.
    let rest = async || {
        let counts = rig.app.store.counts(run).await.expect("counters");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        counts == expected && rig.app.store.counts(run).await.expect("counters") == expected
    };
    assert!(until(rest).await, "{words}");
    assert_eq!(rig.balanced(run).await, expected, "{words}");
    let rows = rig.rows(run).await;
    assert!(
        rows.iter().all(|row| row.attempts == 0),
        "nobody is charged"
    );
    assert!(
        rig.sink.counts().connections <= 12,
        "{:?}",
        rig.sink.counts()
    );
    rig.sink.set_script(Script::default());
    let held = rig.run(run).await;
    run::resume(&rig.app, &held, false)
        .await
        .expect_err("a held run wants a word");
    run::resume(&rig.app, &held, true).await.expect("a resume");
    rig.wait_status(run, RunStatus::Finished).await;
    sending.stop().await;
    assert_eq!(rig.balanced(run).await, all_sent(30));
    everyone_was_tried_once(&rig, run).await;
}

on_both!(a_login_refused_holds_the_run, async |engine: Engine| {
    refused_for_all(engine, "auth-535-5.7.8", true).await
});

on_both!(
    a_sender_refused_at_mail_holds_the_run,
    async |engine: Engine| refused_for_all(engine, "mail-550-5.7.1", false).await
);

on_both!(
    authentication_asked_for_at_mail_holds_the_run,
    async |engine: Engine| refused_for_all(engine, "mail-530-5.7.0", false).await
);

on_both!(
    content_refused_for_everyone_holds_the_run,
    async |engine: Engine| refused_for_all(engine, "dot-554-5.7.1", false).await
);

on_both!(
    a_relay_without_room_charges_nobody_and_is_probed,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        rig.sink.set_script(script("452-4.3.1"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        let trouble = rig.wait_trouble().await;
        assert!(trouble.contains("452"), "{trouble}");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(rig.balanced(run).await.queued, 40);
        // The first four, then probes at 10, 20, 40, 80 and 160 ms.
        let connections = rig.sink.counts().connections;
        assert!(connections <= 16, "{connections} connections");
        rig.sink.set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await, all_sent(40));
        everyone_was_tried_once(&rig, run).await;
    }
);

on_both!(
    a_probe_that_has_nothing_to_send_does_not_stop_the_others,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(30),
            connections: 1,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("greeting-421"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_trouble().await;
        // The first of the queue leaves while the relay is away: the probe's marker is refused.
        for key in 1..=10 {
            let key = pressrun::id::SubscriptionKey(key);
            let left = rig.app.store.leave(key, rig.app.clock.now()).await;
            assert!(left.expect("a change"));
        }
        rig.sink.set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.unsubscribed), (20, 10));
        rig.assert_true(run).await;
    }
);

on_both!(
    a_small_run_that_is_refused_whole_is_held_and_not_finished,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(5),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("dot-554-5.7.1"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Held).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.queued, 5);
    }
);

on_both!(
    a_run_whose_message_cannot_be_made_is_held_and_blames_nobody,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        rig.database
            .raw("update revisions set content = '{}'")
            .await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.expect("a reason");
        assert!(reason.contains("frozen revision"), "{reason}");
        sending.stop().await;
        let found = rig.run(run).await;
        let verified = verify::one(&rig.app, &found).await.expect("a look");
        assert_eq!(verified.counts.queued, 40);
        // What was done to the revision is the only thing that does not hold.
        assert_eq!(verified.faults.len(), 1, "{:?}", verified.faults);
        assert!(verified.faults[0].contains("cannot be read"));
        assert_eq!(rig.sink.counts().accepted, 0);
    }
);

on_both!(
    one_reader_whose_mail_ends_connections_stops_neither_the_others_nor_the_relay,
    async |engine: Engine| {
        for (words, chunking) in [
            ("421", false),
            ("451-4.3.0", false),
            ("data-421", false),
            ("cut-before-dot", false),
            ("421", true),
        ] {
            // One that comes first, and one behind all others.
            let mut all = readers(30);
            all[1] = format!("reader1+{words}@example.org");
            all[29] = format!("reader29+{words}@example.org");
            let wish = Wish {
                readers: all,
                connections: 2,
                sink: SinkOptions {
                    chunking,
                    ..SinkOptions::default()
                },
                send: "retry = [\"1h\"]",
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            let run = rig.begin().await;
            let sending = rig.start().await;
            rig.wait_accepted(28).await;
            rig.two_are_put_off(run, words).await;
            sending.stop().await;
            rig.assert_true(run).await;
        }
    }
);

on_both!(
    readers_who_were_put_off_before_are_doubted_no_sooner,
    async |engine: Engine| {
        let wish = Wish {
            connections: 1,
            send: "retry = [\"500ms\"]",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("450"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        let put_off = async || rig.rows(run).await.iter().all(|row| row.attempts > 0);
        assert!(until(put_off).await, "{:?}", rig.rows(run).await);
        // By their next try the relay has lost its table of users.
        rig.sink.set_script(script("550-5.1.1"));
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.expect("a reason");
        assert!(reason.contains("refused 10 readers running"), "{reason}");
        let queued = async || rig.app.store.counts(run).await.expect("counters").queued;
        assert!(until(async || queued().await == 40).await);
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.queued, 40);
        let suppressed = "select count(*), cast(0 as bigint) from suppressions";
        assert_eq!(rig.pairs(suppressed).await, [(0, 0)]);
    }
);

on_both!(
    a_relay_that_knows_none_of_ten_readers_running_is_doubted_and_not_they,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        rig.sink.set_script(script("550-5.1.1"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.clone().expect("a reason");
        assert!(
            reason.contains("refused 10 readers running") && reason.contains("5.1.1"),
            "{reason}"
        );
        let untouched = Counts {
            queued: 40,
            ..Counts::default()
        };
        let rest = async || {
            let counts = rig.app.store.counts(run).await.expect("counters");
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            counts == untouched && rig.app.store.counts(run).await.expect("counters") == untouched
        };
        assert!(until(rest).await, "{:?}", rig.balanced(run).await);
        let suppressed = "select count(*), cast(0 as bigint) from suppressions";
        assert_eq!(rig.pairs(suppressed).await, [(0, 0)]);
        run::resume(&rig.app, &held, false)
            .await
            .expect_err("a person has to look");
        // The relay is mended.
        rig.sink.set_script(Script::default());
        run::resume(&rig.app, &held, true).await.expect("a resume");
        rig.wait_status(run, RunStatus::Finished).await;
        assert_eq!(rig.balanced(run).await, all_sent(40));
        rig.assert_true(run).await;
        // A person says once that it is right, and is asked no more, whoever comes first and whichever process goes on.
        rig.sink.set_script(script("550-5.1.1"));
        let run = rig.begin().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        sending.stop().await;
        run::resume(&rig.app, &held, true).await.expect("a resume");
        // Ten of whom nothing was said before are the first.
        let later = "update deliveries set due_at = due_at + 1000 where state = 'queued' and code is not null";
        rig.database.raw(later).await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.bounced, 40);
        assert_eq!(rig.pairs(suppressed).await, [(40, 0)]);
    }
);

on_both!(
    what_a_doubted_relay_took_from_other_runs_comes_back_too,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let other = rig.begin().await;
        rig.database
            .raw(&format!(
                "update runs set slug = 'other' where id = {other}"
            ))
            .await;
        rig.sink.set_script(script("greeting-421"));
        let sending = rig.start().await;
        rig.wait_status(other, RunStatus::Sending).await;
        rig.wait_trouble().await;
        let found = rig.run(other).await;
        run::pause(&rig.app, &found).await.expect("a pause");
        // Nothing of it waits in memory any more.
        sending.stop().await;
        let run = rig.begin().await;
        rig.sink.set_script(script("550-5.1.1"));
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Held).await;
        for run in [run, other] {
            let counts = async || rig.app.store.counts(run).await.expect("counters");
            let back = until(async || counts().await.queued == 40).await;
            assert!(
                back,
                "{run}: {:?}, {:?}",
                counts().await,
                rig.rows(run).await
            );
        }
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.queued, 40);
        assert_eq!(rig.balanced(other).await.queued, 40);
        rig.sink.set_script(Script::default());
        let found = rig.run(other).await;
        run::resume(&rig.app, &found, true).await.expect("a resume");
        assert_eq!(rig.finish(other).await.sent, 40);
    }
);
