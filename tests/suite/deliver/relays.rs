//! Several relays in one engine: shares, failover, refusals of one that another makes good.

use std::time::Duration;

use pressrun::delivery::Counts;
use pressrun::id::RunId;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, readers, script, until};
use crate::harness::{Engine, Port};
use crate::on_both;

fn slow() -> SinkOptions {
    SinkOptions {
        delay: Duration::from_millis(5),
        ..SinkOptions::default()
    }
}

/// A rig with the relays `main` and `spare`, each with lines of its own.
async fn two(engine: Engine, count: usize, main: &str, spare: &str) -> (Rig, Sink) {
    let wish = Wish {
        readers: readers(count),
        sink: slow(),
        ..Wish::default()
    };
    let mut rig = Rig::new(engine, wish).await;
    let sink = Sink::bind(slow()).await.expect("a sink");
    let url = sink.url();
    let relays =
        format!("{main}\n[relay.spare]\ntls = \"none\"\nconnections = 4\nurl = \"{url}\"\n{spare}");
    rig.more_relays(&relays, "relay = \"all\"").await;
    (rig, sink)
}

/// Each reader got one copy, through whichever of the two.
async fn assert_one_copy_each(rig: &Rig, spare: &Sink, run: RunId, count: usize) {
    assert_copies_each(rig, spare, run, count, 1).await;
}

/// The same of the last of so many runs.
async fn assert_copies_each(rig: &Rig, spare: &Sink, run: RunId, count: usize, runs: usize) {
    let mut taken = rig.accepted();
    for message in spare.accepted() {
        for recipient in message.rcpt {
            *taken.entry(recipient).or_default() += 1;
        }
    }
    assert_eq!(taken.len(), count);
    assert!(taken.values().all(|&times| times == runs), "{taken:?}");
    let expected = Counts {
        sent: i64::try_from(count).expect("a small number"),
        ..Counts::default()
    };
    assert_eq!(rig.balanced(run).await, expected);
    let rows = rig.rows(run).await;
    let charged: Vec<_> = rows.iter().filter(|row| row.attempts != 1).collect();
    assert!(charged.is_empty(), "{charged:?}");
}

on_both!(
    relays_with_weights_share_a_run_by_them,
    async |engine: Engine| {
        let (rig, spare) = two(engine, 600, "weight = 3", "weight = 1").await;
        // On a busy machine a relay stands still for a moment, and is not waited for then: that evens the shares out.
        // Such a run is made again; weights that count for nothing show every time.
        let mut shares = Vec::new();
        for round in 1..=8 {
            let before = spare.counts().accepted;
            let run = rig.begin().await;
            rig.finish(run).await;
            assert_copies_each(&rig, &spare, run, 600, round).await;
            shares.push(spare.counts().accepted - before);
            if shares.iter().any(|share| (115..=185).contains(share)) {
                return;
            }
        }
        panic!("{shares:?} of 600 for a quarter");
    }
);

on_both!(
    a_spare_relay_takes_over_when_the_first_dies_and_gives_back_when_it_returns,
    async |engine: Engine| {
        let (rig, spare) = two(engine, 900, "", "priority = 2").await;
        // However long the first one's probe is waited for, there is something left to send.
        rig.sink.hold_after(100);
        spare.hold_after(100);
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(100).await;
        assert_eq!(spare.counts().accepted, 0, "nothing while the first works");
        rig.sink.set_script(script("mail-421"));
        rig.sink.release();
        let over = until(async || spare.counts().accepted >= 100).await;
        assert!(over, "{:?}", spare.counts());
        let trouble = rig.wait_trouble().await;
        assert!(trouble.starts_with("relay main: "), "{trouble}");
        assert!(
            trouble.ends_with("mail goes out through spare"),
            "{trouble}"
        );
        let before = rig.sink.counts().accepted;
        rig.sink.set_script(Script::default());
        let back = usize::try_from(before).expect("a number") + 100;
        rig.wait_accepted(back).await;
        let by_spare = spare.counts().accepted;
        spare.release();
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert!(
            spare.counts().accepted <= by_spare + 8,
            "all goes through the first again"
        );
        assert_one_copy_each(&rig, &spare, run, 900).await;
        assert_eq!(rig.trouble().await, "");
    }
);

on_both!(
    a_login_refused_by_one_relay_is_no_matter_while_another_works,
    async |engine: Engine| {
        let (rig, spare) = two(engine, 60, "", "priority = 2").await;
        rig.sink.set_script(script("greeting-554-5.7.1"));
        let run = rig.begin().await;
        rig.finish(run).await;
        assert_eq!(spare.counts().accepted, 60);
        assert_one_copy_each(&rig, &spare, run, 60).await;
    }
);

on_both!(
    content_that_one_relay_refuses_for_all_goes_through_the_other,
    async |engine: Engine| {
        let (rig, spare) = two(engine, 120, "", "priority = 2").await;
        rig.sink.set_script(script("dot-554-5.7.1"));
        let run = rig.begin().await;
        rig.finish(run).await;
        assert_eq!(spare.counts().accepted, 120);
        assert_one_copy_each(&rig, &spare, run, 120).await;
        let tries = rig.sink.counts().refused;
        assert!((5..=12).contains(&tries), "{tries} tries of the first");
    }
);

on_both!(
    who_was_put_off_before_the_relay_was_given_up_waits_no_longer_for_it,
    async |engine: Engine| {
        let (mut rig, spare) = two(engine, 40, "", "priority = 2").await;
        rig.more_relays("", "retry = [\"50h\"]").await;
        rig.sink.set_script(script("mail-550-5.7.1"));
        let run = rig.begin().await;
        rig.finish(run).await;
        assert_eq!(spare.counts().accepted, 40);
        assert_one_copy_each(&rig, &spare, run, 40).await;
    }
);

on_both!(
    a_run_that_every_relay_refuses_is_held,
    async |engine: Engine| {
        let (rig, spare) = two(engine, 60, "", "").await;
        rig.sink.set_script(script("dot-554-5.7.1"));
        spare.set_script(script("mail-550-5.7.1"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        assert!(
            held.reason
                .is_some_and(|why| why.contains("refuses this run"))
        );
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.queued, 60);
        let rows = rig.rows(run).await;
        assert!(
            rows.iter().all(|row| row.attempts == 0),
            "nobody is charged"
        );
    }
);

on_both!(
    a_run_goes_through_the_relay_it_is_pinned_to_and_waits_for_no_other,
    async |engine: Engine| {
        let (mut rig, spare) = two(engine, 60, "", "priority = 2").await;
        let gone = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let gone = std::mem::replace(&mut rig.sink, gone);
        let listened = gone.address();
        gone.shutdown().await;
        let _kept = Port::at(listened);
        let run = rig.begin_through("spare").await;
        rig.finish(run).await;
        assert_one_copy_each(&rig, &spare, run, 60).await;
        // A name that nobody describes any more: a person has to look.
        let lost = rig.begin_through("gone").await;
        let sending = rig.start().await;
        let held = rig.wait_status(lost, RunStatus::Held).await;
        assert!(held.reason.is_some_and(|why| why.contains("`gone`")));
        sending.stop().await;
    }
);

on_both!(
    two_runs_are_sent_side_by_side_and_not_one_after_the_other,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(700),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let first = rig.begin().await;
        let renamed = "update runs set slug = 'other' where id = 2";
        rig.database.raw(renamed).await;
        let runs = [first, rig.begin().await];
        rig.sink.hold_after(0);
        let sending = rig.start().await;
        // The freeze of the first comes first; from then on both are served in turn.
        for run in runs {
            rig.wait_status(run, RunStatus::Sending).await;
        }
        rig.sink.release();
        for run in runs {
            rig.wait_status(run, RunStatus::Finished).await;
        }
        sending.stop().await;
        let order: Vec<bool> = rig
            .sink
            .accepted()
            .iter()
            .map(|message| message.message_id.starts_with(&format!("{}-", runs[1])))
            .collect();
        assert_eq!(order.len(), 1400);
        let begin = order.iter().position(|&second| second).expect("the second");
        let both = &order[begin..begin + 400];
        let second = both.iter().filter(|&&second| second).count();
        assert!(
            (160..=240).contains(&second),
            "{second} of 400, from {begin}"
        );
        assert!(begin < 600, "the second began at {begin}");
    }
);
