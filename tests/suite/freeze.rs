//! The freeze beside readers who leave: either it sees that they left, or their deliveries are taken.

use pressrun::event::Evidence;
use pressrun::id::{SubscriberId, SubscriptionKey};
use pressrun::store::departures::Leaving;
use pressrun::store::runs::{Begun, Frozen};

use crate::harness::Engine;
use crate::ledger::{NOW, begin, counts, hash, seeded};
use crate::on_both;

const READERS: u32 = 6_000;
/// Readers who end it in each of the four ways.
const ENDING: u32 = 600;

fn leaving(key: u32) -> Leaving {
    Leaving {
        subscription: SubscriptionKey(i64::from(key)),
        delivery: None,
        id: 0,
        everywhere: false,
        reason: None,
        at: NOW,
        evidence: Evidence::default(),
    }
}

on_both!(
    whoever_leaves_while_a_run_freezes_has_no_queued_delivery_after_it,
    async |engine: Engine| {
        let (_database, store) = seeded(engine, READERS).await;
        let Begun::New(run) = begin(&store, false).await else {
            panic!("a new run");
        };
        let freeze = async {
            while let Frozen::Some(_) = store.freeze_some(run, 256, NOW).await.expect("a step") {}
        };
        // From the end of the list on, so that the freeze and the endings meet.
        let ending = |way: u32| (0..ENDING).map(move |nth| READERS - nth * 4 - way);
        let leave = async {
            for key in ending(0) {
                let key = SubscriptionKey(i64::from(key));
                store.leave(key, NOW).await.expect("a leaving");
            }
        };
        let suppress = async {
            for key in ending(1) {
                let address = format!("r{key}@x.example");
                let hash = hash(key);
                let suppressed = store.suppress(&address, &hash, "manual", NOW);
                suppressed.await.expect("a suppression");
            }
        };
        let erase = async {
            for key in ending(2) {
                let reader = SubscriberId(i64::from(key));
                store.erase(reader, &[], NOW).await.expect("an erasure");
            }
        };
        let groups = async {
            let keys: Vec<u32> = ending(3).collect();
            for keys in keys.chunks(8) {
                let leavings: Vec<Leaving> = keys.iter().map(|&key| leaving(key)).collect();
                store.leave_group(&leavings).await.expect("a leaving");
            }
        };
        futures::join!(freeze, leave, suppress, erase, groups);
        // Every tenth reader is only pending, and ends nothing that was.
        let ended = (0..4).flat_map(ending).filter(|key| key % 10 != 0).count();
        let confirmed = READERS as usize - READERS as usize / 10;
        let counts = counts(&store, run).await;
        assert_eq!(
            counts.queued,
            i64::try_from(confirmed - ended).expect("few")
        );
    }
);
