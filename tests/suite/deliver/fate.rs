//! Connections that end around the final dot: what is definite, what is uncertain, and what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use pressrun::delivery::State;
use pressrun::id::RunId;
use pressrun::run;
use pressrun::smtp::sink::SinkOptions;
use pressrun::smtp::sink::script::Script;
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, faulty, readers, script, until};
use crate::harness::Engine;
use crate::on_both;

async fn cut(engine: Engine, pipelining: bool) {
    let wish = Wish {
        readers: faulty(60, &[(4, "cut-after-dot"), (3, "drop-after-dot")]),
        sink: SinkOptions {
            pipelining,
            ..SinkOptions::default()
        },
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    let run = rig.begin().await;
    let counts = rig.finish(run).await;
    assert_eq!((counts.sent, counts.uncertain), (53, 7));
    rig.assert_true(run).await;
    for row in rig.rows(run).await {
        let cut = row.address.expect("an address").contains("-after-dot");
        assert_eq!(row.state, if cut { "uncertain" } else { "sent" });
        if cut {
            assert!(row.reply.is_some_and(|text| text.contains("dot")));
        }
    }
}

/// A run whose three copies nobody answered for, and a relay that works again.
pub(crate) async fn three_uncertain(engine: Engine) -> (Rig, RunId) {
    let wish = Wish {
        readers: readers(3),
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    rig.sink.set_script(script("drop-after-dot"));
    let run = rig.begin().await;
    assert_eq!(rig.finish(run).await.uncertain, 3);
    rig.sink.set_script(Script::default());
    (rig, run)
}

on_both!(
    a_connection_cut_after_the_dot_is_uncertain_and_nothing_else,
    async |engine: Engine| cut(engine, true).await
);

on_both!(
    a_connection_cut_after_the_dot_is_uncertain_without_pipelining_too,
    async |engine: Engine| cut(engine, false).await
);

on_both!(
    who_assumes_counts_an_unanswered_dot_as_sent,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(20, &[(2, "cut-after-dot")]),
            send: "uncertain = \"assume-sent\"",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.uncertain), (20, 0));
        rig.assert_true(run).await;
    }
);

on_both!(
    who_resends_mails_twice_under_one_message_id,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(8),
            connections: 2,
            send: "uncertain = \"resend\"",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("cut-after-dot"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(1).await;
        rig.sink.set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 8);
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for message in rig.sink.accepted() {
            let recipient = message.rcpt[0].clone();
            ids.entry(recipient).or_default().push(message.message_id);
        }
        assert_eq!(ids.len(), 8);
        assert!(ids.values().any(|ids| ids.len() > 1), "one was cut");
        for copies in ids.values() {
            assert!(copies.iter().all(|id| *id == copies[0]), "{copies:?}");
        }
    }
);

on_both!(
    who_resends_to_a_relay_that_never_answers_stops_and_leaves_it_to_a_person,
    async |engine: Engine| {
        for chunking in [false, true] {
            let wish = Wish {
                readers: vec!["never+cut-after-dot@example.org".into()],
                sink: SinkOptions {
                    chunking,
                    ..SinkOptions::default()
                },
                send: "uncertain = \"resend\"\nretry = [\"20ms\", \"40ms\"]\ngive_up = \"200ms\"",
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            let run = rig.begin().await;
            assert_eq!(rig.finish(run).await.uncertain, 1);
            // Each wait is one copy: 20 ms, and five of 40 ms at most.
            let taken = rig.sink.counts().accepted;
            assert!((2..=7).contains(&taken), "{taken} copies");
        }
    }
);

on_both!(
    a_connection_cut_before_the_dot_leaves_nothing_in_doubt,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        rig.sink.set_script(script("cut-before-dot"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_trouble().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        rig.sink.set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.uncertain), (40, 0));
        rig.assert_true(run).await;
        assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
    }
);

on_both!(
    a_goodbye_to_data_or_to_the_dot_is_a_no_that_charges_nobody,
    async |engine: Engine| {
        for words in ["data-421", "dot-421", "rcpt-421"] {
            let rig = Rig::new(engine, Wish::default()).await;
            rig.sink.set_script(script(words));
            let run = rig.begin().await;
            let sending = rig.start().await;
            rig.wait_trouble().await;
            rig.sink.set_script(Script::default());
            rig.wait_status(run, RunStatus::Finished).await;
            sending.stop().await;
            let counts = rig.balanced(run).await;
            assert_eq!((counts.sent, counts.uncertain), (40, 0), "{words}");
            rig.assert_true(run).await;
            assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
        }
    }
);

on_both!(
    an_uncertain_delivery_that_a_person_puts_back_goes_out_once_more,
    async |engine: Engine| {
        let (rig, run) = three_uncertain(engine).await;
        let now = rig.app.clock.now();
        let store = &rig.app.store;
        let one = store
            .resolve_uncertain(run, Some(1), State::Sent, now)
            .await;
        assert_eq!(one.expect("a change"), 1);
        let rest = store.resolve_uncertain(run, None, State::Queued, now).await;
        assert_eq!(rest.expect("a change"), 2);
        let found = rig.run(run).await;
        assert_eq!(
            found.status,
            RunStatus::Sending,
            "there is something to do again"
        );
        run::resume(&rig.app, &found, false)
            .await
            .expect("a resume");
        assert_eq!(rig.finish(run).await.sent, 3);
        let taken = rig.accepted();
        assert_eq!(taken.len(), 2, "{taken:?}");
        assert!(taken.values().all(|&times| times == 1));
    }
);

on_both!(
    who_is_put_back_after_days_is_no_older_than_the_putting_back,
    async |engine: Engine| {
        let (rig, run) = three_uncertain(engine).await;
        let old = format!("update runs set since = 1 where id = {run}");
        rig.database.raw(&old).await;
        let now = rig.app.clock.now();
        let back = rig
            .app
            .store
            .resolve_uncertain(run, None, State::Queued, now);
        assert_eq!(back.await.expect("a change"), 3);
        rig.sink.set_script(script("450"));
        let sending = rig.start().await;
        let put_off = async || rig.rows(run).await.iter().all(|row| row.attempts >= 2);
        assert!(until(put_off).await, "{:?}", rig.rows(run).await);
        rig.sink.set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 3);
    }
);
