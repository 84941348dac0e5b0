//! Whoever has left is off the list: `verify` holds the subscriptions against what was noted of leavings.

use pressrun::clock::Timestamp;
use pressrun::event::Evidence;
use pressrun::id::{DeliveryKey, SubscriptionKey};
use pressrun::run::verify;
use pressrun::store::departures::Leaving;

use crate::deliver::rig::{Rig, Wish, readers};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    whoever_left_and_stands_on_the_list_again_by_nobodys_joining_is_found,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(4),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let store = &rig.app.store;
        let leave = async |subscription: i64, copy: Option<u32>, reason: Option<&str>, at: i64| {
            let leaving = Leaving {
                id: 0,
                subscription: SubscriptionKey(subscription),
                delivery: copy.map(|seq| DeliveryKey { run, seq }),
                everywhere: false,
                at: Timestamp(at),
                evidence: Evidence::default(),
                reason: reason.map(|name| (name.to_owned(), String::new())),
            };
            let left = store.leave_group(&[leaving]).await.expect("a write");
            assert!(left[0].changed);
        };
        let copies: Vec<i64> = rig
            .rows(run)
            .await
            .iter()
            .map(|row| row.subscriber_id)
            .collect();
        let copy = |reader: i64| {
            copies
                .iter()
                .position(|&id| id == reader)
                .map(|seq| seq as u32)
        };
        leave(1, copy(1), None, 1_000).await;
        leave(2, copy(2), None, 1_000).await;
        leave(3, None, Some("too-many"), 1_000).await;
        leave(4, None, None, 1_000).await;
        let faults = async || {
            let all = verify::all(&rig.app).await.expect("a look");
            all.into_iter()
                .flat_map(|one| one.faults)
                .collect::<Vec<_>>()
        };
        assert_eq!(faults().await, [""; 0]);
        // Reader 2 takes it back herself.
        let back = store.come_back(SubscriptionKey(2), Timestamp(0), false, Timestamp(2_000));
        assert!(back.await.expect("a write"));
        assert_eq!(faults().await, [""; 0]);
        let by_hand = "update subscriptions set status = 'confirmed', left_at = null where key = ";
        rig.database.raw(&format!("{by_hand} 1")).await;
        let told = faults().await;
        assert!(
            told.len() == 1
                && told[0].ends_with(
                    "left it by this mail and neither joined nor came back since: 1 reader"
                ),
            "{told:?}"
        );
        // Where the delivery does not say it any more, the log does.
        let forgotten = format!(
            "update deliveries set departed_at = null where run_id = {run} and departed_at is not null;
             update blocks set departed = 0;
             insert into delivery_events (run_id, seq, event_id)
                 select run_id, seq, id from events where kind = 'unsubscribe'"
        );
        rig.database.raw(&forgotten).await;
        assert_eq!(faults().await, told);
        let joined = "update subscriptions set confirmed_at = 3000 where key = 1";
        rig.database.raw(joined).await;
        assert_eq!(faults().await, [""; 0]);
        rig.database.raw(&format!("{by_hand} 3")).await;
        rig.database
            .raw("update subscriptions set status = 'paused' where key = 4")
            .await;
        let told = faults().await;
        assert!(
            told.len() == 1
                && told[0].contains("though they left it")
                && told[0].ends_with(": 2 readers"),
            "{told:?}"
        );
    }
);
