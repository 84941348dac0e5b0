//! What one reader's own answer may ask of the relay: a wait for herself, and none for the others.

use pressrun::smtp::sink::SinkOptions;

use crate::deliver::rig::{Rig, Wish, readers, until};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    one_reader_whose_answer_names_a_wait_is_put_off_and_the_relay_is_not,
    async |engine: Engine| {
        for (words, chunking) in [
            ("451-4.3.2+again-10m", false),
            ("421-4.3.2+again-10m", false),
            ("data-421-4.3.2+again-10m", false),
            ("451-4.3.2+again-10m", true),
        ] {
            let mut all = readers(30);
            for place in [5, 15] {
                all[place] = format!("reader{place}+{words}@example.org");
            }
            let wish = Wish {
                readers: all,
                connections: 1,
                sink: SinkOptions {
                    chunking,
                    ..SinkOptions::default()
                },
                send: "retry = [\"1h\"]",
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            let run = rig.begin().await;
            let now = rig.app.clock.now();
            let sending = rig.start().await;
            rig.wait_accepted(28).await;
            rig.two_are_put_off(run, words).await;
            sending.stop().await;
            rig.assert_true(run).await;
            let due = "select due_at, cast(0 as bigint) from deliveries where state = 'queued'";
            for (due, _) in rig.pairs(due).await {
                assert!(due - now.0 >= 590_000, "{words}: what it asked for");
            }
        }
    }
);

on_both!(
    one_reader_whose_answer_speaks_of_the_rate_stops_the_relay_for_a_while_and_not_for_ever,
    async |engine: Engine| {
        let mut all = readers(20);
        all[3] = "reader3+450-4.7.28+again-1s@example.org".to_owned();
        let wish = Wish {
            readers: all,
            connections: 2,
            send: "retry = [\"1h\"]",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(19).await;
        let put_off = async || {
            let rows = rig.rows(run).await;
            rows.iter()
                .any(|row| row.state == "queued" && row.attempts > 0)
        };
        assert!(until(put_off).await);
        sending.stop().await;
        rig.assert_true(run).await;
    }
);
