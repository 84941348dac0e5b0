//! Runs to a part of those whom an earlier one was for.

use std::collections::BTreeMap;

use pressrun::id::{RunId, SubscriptionKey};
use pressrun::run;
use pressrun::store::runs::{Audience, Plan};

use crate::control::slow;
use crate::deliver::rig::Rig;
use crate::harness::Engine;
use crate::on_both;

fn part(audience: Audience, origin: RunId) -> Plan {
    Plan {
        audience,
        origin: Some(origin),
        ..Plan::default()
    }
}

/// Sends until a third is through, and cancels.
async fn cancelled(rig: &Rig, plan: &Plan, preheader: &str, third: usize) -> RunId {
    let run = rig.begin_as(plan, preheader).await;
    let before = usize::try_from(rig.sink.counts().accepted).expect("a number");
    rig.sink.hold_after(third as u64);
    let sending = rig.start().await;
    rig.wait_accepted(before + third).await;
    run::cancel(&rig.app, &rig.run(run).await)
        .await
        .expect("a cancel");
    rig.stop_held(sending).await;
    run
}

async fn leave(rig: &Rig, subscription: i64) {
    let now = rig.app.clock.now();
    let key = SubscriptionKey(subscription);
    rig.app.store.leave(key, now).await.expect("a change");
}

on_both!(
    the_mended_issue_goes_to_those_alone_whom_the_cancelled_run_did_not_reach,
    async |engine: Engine| {
        let rig = slow(engine, 600, 5).await;
        let first = cancelled(&rig, &Plan::default(), "Little", 100).await;
        let reached = rig.balanced(first).await.sent;
        assert!((100..500).contains(&reached), "{reached}");
        leave(&rig, 600).await;
        let hash = rig.app.keyring.address_hash("reader598@example.org");
        let now = rig.app.clock.now();
        rig.app
            .store
            .suppress("reader598@example.org", &hash, "manual", now)
            .await
            .expect("a change");
        // One whose fate nobody knows gets no second copy.
        rig.database
            .raw(&format!(
                "update deliveries set state = 'uncertain' where run_id = {first} and seq = 597;
                 update blocks set cancelled = cancelled - 1, uncertain = uncertain + 1
                 where run_id = {first} and block = 2"
            ))
            .await;
        // The rest is cancelled once more on the way.
        let second = cancelled(&rig, &part(Audience::Continue, first), "Mended", 100).await;
        let counts = rig.balanced(second).await;
        assert_eq!(counts.total(), 600 - reached - 2, "{counts:?}");
        assert_eq!(counts.suppressed, 1);
        let third = rig
            .begin_as(&part(Audience::Continue, second), "Mended")
            .await;
        let rest = rig.finish(third).await;
        assert_eq!(rest.sent, 600 - reached - 3 - counts.sent);
        let taken = rig.accepted();
        assert!(taken.values().all(|&times| times == 1), "{taken:?}");
        assert_eq!(taken.len(), 597);
        for nobody in ["reader597", "reader598", "reader599"] {
            assert!(!taken.contains_key(&format!("{nobody}@example.org")));
        }
        assert_eq!(rig.run(third).await.origin, Some(second.0));
    }
);

on_both!(
    a_correction_goes_to_those_alone_who_got_the_first,
    async |engine: Engine| {
        let rig = slow(engine, 300, 5).await;
        let first = cancelled(&rig, &Plan::default(), "Little", 60).await;
        let reached = rig.balanced(first).await.sent;
        let got: Vec<String> = rig.accepted().into_keys().collect();
        leave(&rig, 1).await;
        let store = &rig.app.store;
        let correction = rig
            .begin_as(&part(Audience::Reached, first), "Mended")
            .await;
        let counts = rig.finish(correction).await;
        let left = i64::from(got.contains(&"reader0@example.org".to_owned()));
        assert_eq!(counts.total(), reached - left);
        assert_eq!(counts.sent, reached - left);
        let twice: BTreeMap<_, _> = rig
            .accepted()
            .into_iter()
            .filter(|&(_, times)| times > 1)
            .collect();
        assert!(
            twice
                .iter()
                .all(|(address, &times)| times == 2 && got.contains(address))
        );
        assert_eq!(twice.len() as i64, reached - left);
        // Whoever has the mended content does not get it once more.
        let list = pressrun::id::ListId(1);
        let revision = rig.run(correction).await.revision.expect("a content");
        let more = store
            .part_of(list, Audience::Reached, first, ("", &revision), false)
            .await;
        assert_eq!(more.expect("a count"), 0);
    }
);

on_both!(
    a_second_mail_goes_to_who_neither_opened_nor_clicked_and_is_still_there,
    async |engine: Engine| {
        let rig = slow(engine, 600, 0).await;
        let first = rig.begin().await;
        rig.finish(first).await;
        rig.database
            .raw(&format!(
                "update deliveries set opened_at = 1 where run_id = {first} and seq % 2 = 0;
                 update deliveries set clicked_at = 1 where run_id = {first} and seq % 3 = 0"
            ))
            .await;
        // Neither opened nor clicked: 1, 5, 7, 11, ... and of these the first left.
        leave(&rig, 2).await;
        let list = pressrun::id::ListId(1);
        let asked = rig
            .app
            .store
            .part_of(list, Audience::Unopened, first, ("", ""), false)
            .await;
        assert_eq!(asked.expect("a count"), 199);
        let second = rig
            .begin_as(&part(Audience::Unopened, first), "Little")
            .await;
        let counts = rig.finish(second).await;
        assert_eq!((counts.sent, counts.total()), (199, 199));
        let expected: Vec<i64> = (0..600)
            .filter(|seq| seq % 2 != 0 && seq % 3 != 0 && *seq != 1)
            .map(|seq| seq + 1)
            .collect();
        let rows = rig.rows(second).await;
        let readers: Vec<i64> = rows.iter().map(|row| row.subscriber_id).collect();
        assert_eq!(readers, expected);
    }
);

on_both!(
    what_only_a_machine_opened_was_opened_by_nobody_and_who_is_not_counted_is_left_in_peace,
    async |engine: Engine| {
        let rig = slow(engine, 12, 0).await;
        rig.database
            .raw("update subscribers set tracking = 'off' where id = 10")
            .await;
        let first = rig.begin().await;
        rig.finish(first).await;
        let opened = |seq: i64, class: &str| {
            format!(
                "update deliveries set opened_at = 1 where run_id = {first} and seq = {seq};
                 insert into judged (run_id, seq, provider, opened) values ({first}, {seq}, 'Other', '{class}');"
            )
        };
        let clicked = |seq: i64, class: &str| {
            format!(
                "update deliveries set clicked_at = 1 where run_id = {first} and seq = {seq};
                 insert into judged (run_id, seq, provider, opened, clicked)
                 values ({first}, {seq}, 'Other', 'machine', '{class}');"
            )
        };
        let events = [
            opened(0, "human"),
            opened(1, "gmail"),
            opened(2, "apple"),
            opened(3, "unsure"),
            opened(4, "machine"),
            clicked(5, "human"),
            clicked(6, "unsure"),
            clicked(7, "machine"),
            // Judged by nobody: it counts.
            format!("update deliveries set opened_at = 1 where run_id = {first} and seq = 8;"),
        ];
        rig.database.raw(&events.concat()).await;
        let asked = rig
            .app
            .store
            .part_of(
                pressrun::id::ListId(1),
                Audience::Unopened,
                first,
                ("", ""),
                false,
            )
            .await;
        assert_eq!(asked.expect("a count"), 4);
        let second = rig
            .begin_as(&part(Audience::Unopened, first), "Little")
            .await;
        assert_eq!(rig.finish(second).await.sent, 4);
        let rows = rig.rows(second).await;
        let readers: Vec<i64> = rows.iter().map(|row| row.subscriber_id).collect();
        assert_eq!(readers, [5, 8, 11, 12]);
    }
);

on_both!(
    who_wants_the_digest_alone_gets_a_second_mail_of_a_digest_only,
    async |engine: Engine| {
        let rig = slow(engine, 30, 0).await;
        let first = rig.begin().await;
        assert_eq!(rig.finish(first).await.sent, 30);
        let store = &rig.app.store;
        let list = pressrun::id::ListId(1);
        store
            .set_frequency(SubscriptionKey(3), "monthly", &[list])
            .await
            .expect("a change");
        for (monthly, readers) in [(false, 29), (true, 30)] {
            let asked = store.part_of(list, Audience::Unopened, first, ("", ""), monthly);
            assert_eq!(asked.await.expect("a count"), readers);
            let plan = Plan {
                monthly,
                ..part(Audience::Unopened, first)
            };
            let again = rig.begin_as(&plan, "Little").await;
            assert_eq!(rig.finish(again).await.total(), readers);
        }
    }
);

on_both!(
    a_part_of_an_issue_is_looked_for_in_all_of_its_runs,
    async |engine: Engine| {
        let rig = slow(engine, 12, 0).await;
        let list = pressrun::id::ListId(1);
        let asked = async |audience: Audience, origin: RunId| {
            let asked = rig
                .app
                .store
                .part_of(list, audience, origin, ("", ""), false);
            asked.await.expect("a count")
        };
        let clicked = async |run: RunId, seqs: std::ops::Range<i64>| {
            for seq in seqs {
                rig.database
                    .raw(&format!(
                        "update deliveries set clicked_at = 1 where run_id = {run} and seq = {seq};
                         insert into judged (run_id, seq, provider, clicked) values ({run}, {seq}, 'Other', 'human')"
                    ))
                    .await;
            }
        };
        let first = rig.begin().await;
        assert_eq!(rig.finish(first).await.sent, 12);
        clicked(first, 0..4).await;
        let again = part(Audience::Unopened, first);
        let second = rig.begin_as(&again, "Little").await;
        assert_eq!(rig.finish(second).await.sent, 8);
        // One clicks what she got first, another what he got then.
        clicked(first, 4..5).await;
        clicked(second, 1..2).await;
        assert_eq!(asked(Audience::Unopened, second).await, 6);
        // Those who read the first copy need the correction most.
        assert_eq!(asked(Audience::Reached, second).await, 12);
        let correction = part(Audience::Reached, second);
        let correction = rig.begin_as(&correction, "Mended").await;
        assert_eq!(rig.finish(correction).await.sent, 12);
    }
);

on_both!(
    whose_reading_was_not_counted_is_not_taken_for_one_who_did_not_read,
    async |engine: Engine| {
        let rig = slow(engine, 4, 0).await;
        let first = rig.begin().await;
        assert_eq!(rig.finish(first).await.sent, 4);
        let asked = async || {
            let list = pressrun::id::ListId(1);
            let asked = rig
                .app
                .store
                .part_of(list, Audience::Unopened, first, ("", ""), false);
            asked.await.expect("a count")
        };
        assert_eq!(asked().await, 4);
        // What she opens from now on is not stored.
        rig.database
            .raw("update subscribers set tracking = 'off' where id = 1")
            .await;
        assert_eq!(asked().await, 3);
        rig.database
            .raw(&format!(
                "insert into pseudonym_keys (run_id, made_at) values ({first}, 1)"
            ))
            .await;
        assert_eq!(asked().await, 0);
    }
);
