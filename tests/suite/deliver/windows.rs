//! Windows of messages by BDAT: one commit and one write for several, and each with its own fate.

use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, faulty, readers, script};
use crate::harness::Engine;
use crate::on_both;

fn chunking() -> SinkOptions {
    SinkOptions {
        chunking: true,
        ..SinkOptions::default()
    }
}

on_both!(
    everyone_gets_one_copy_by_windows_with_fewer_turns,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(200),
            sink: chunking(),
            connections: 1,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await.sent, 200);
        rig.assert_true(run).await;
        let turns = rig.sink.counts().turns;
        assert!(
            turns < 80,
            "fifty windows, greeting and EHLO: {turns} turns"
        );
        assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
    }
);

on_both!(
    a_relay_of_which_no_windows_are_wanted_gets_none,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(40),
            sink: chunking(),
            relay: "window = 0",
            connections: 1,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await.sent, 40);
        rig.assert_true(run).await;
        assert!(rig.sink.counts().turns > 40, "one for each message");
    }
);

on_both!(
    in_a_window_each_refusal_is_its_own_readers,
    async |engine: Engine| {
        let faults = [
            (4, "550-5.1.1"),
            (4, "grey-1"),
            (1, "data-554-5.6.0"),
            (1, "dot-554-5.6.0"),
        ];
        let wish = Wish {
            readers: faulty(80, &faults),
            sink: chunking(),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.bounced, counts.failed), (74, 4, 2));
        rig.assert_true(run).await;
        for row in rig.rows(run).await {
            let address = row.address.expect("an address");
            let refused = address.contains("+550") || address.contains("-554");
            assert_eq!(row.state != "sent", refused, "{address} is {}", row.state);
        }
    }
);

on_both!(
    a_relay_that_hangs_up_within_windows_loses_nothing_and_leaves_no_doubt,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(60),
            sink: chunking(),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink.set_script(script("after-7"));
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await.sent, 60);
        rig.assert_true(run).await;
        assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
    }
);

on_both!(
    a_cut_window_is_in_doubt_from_there_on_and_the_rest_goes_on,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(60, &[(1, "cut-after-dot"), (1, "drop-after-dot")]),
            sink: chunking(),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        // Two cuts, and at most the three messages behind each in its window.
        assert!((2..=8).contains(&counts.uncertain), "{counts:?}");
        assert_eq!(counts.sent + counts.uncertain, 60);
        rig.assert_true(run).await;
    }
);

on_both!(
    who_leaves_before_the_markers_is_not_in_the_window,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(30),
            sink: chunking(),
            connections: 1,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        rig.sink.hold_after(1);
        let sending = rig.start().await;
        rig.wait_accepted(2).await;
        // In memory these are jobs already, some with finished copies.
        let left = "update deliveries set state = 'unsubscribed', settled_at = 1
             where run_id = 2 and seq >= 12 and state = 'queued';
             update blocks set unsubscribed = 18, queued = queued - 18 where run_id = 2";
        rig.database.raw(left).await;
        rig.sink.release();
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.unsubscribed), (12, 18));
        rig.assert_true(run).await;
        assert_eq!(
            rig.sink.counts().connections,
            1,
            "no connection is lost by it"
        );
    }
);
