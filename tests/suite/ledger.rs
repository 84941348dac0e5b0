//! The ledger: freeze, leases, markers, outcomes, leaving, reaping, identity.

use std::time::Duration;

use pressrun::clock::Timestamp;
use pressrun::config::uncertain::UncertainPolicy;
use pressrun::delivery::{Counts, Outcome, Settled, State};
use pressrun::id::{DeliveryKey, ListId, RunId, SubscriptionKey};
use pressrun::reply::Reply;
use pressrun::status::RunStatus;
use pressrun::store::Store;
use pressrun::store::ledger::Marker;
use pressrun::store::runs::{Begun, Frozen, NewRun, Plan};

use crate::harness::{Database, Engine};
use crate::on_both;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const BOOT: i64 = 11;

/// A list of `readers`, ids and subscription keys counted from 1; every tenth is only pending.
pub(crate) async fn seeded(engine: Engine, readers: u32) -> (Database, Store) {
    let database = Database::new(engine).await;
    let store = database.store().await;
    let mut sql = String::from("insert into lists values (1, 'weekly', 'Weekly', 'l1', 0);\n");
    for id in 1..=readers {
        let hash = if engine == Engine::Sqlite {
            format!("x'{id:064x}'")
        } else {
            format!("'\\x{id:064x}'")
        };
        let status = if id % 10 == 0 { "pending" } else { "confirmed" };
        sql += &format!(
            "insert into subscribers (id, address, canonical, hash, name, fields, created_at) values ({id}, 'R{id}@x.example', 'r{id}@x.example', {hash}, 'R {id}', '{{}}', 0);
             insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at, left_at) values ({id}, 1, {id}, '{status}', 'cli', 0, 5, null);\n"
        );
    }
    sql += "insert into revisions values ('rev', 'issue', '{}', 0);";
    database.raw(&sql).await;
    (database, store)
}

pub(crate) async fn begin(store: &Store, again: bool) -> Begun {
    let new = NewRun {
        slug: "issue",
        title: "Issue",
        list: ListId(1),
        revision: "rev",
        headers: "{}",
        relay: "main",
        policy: UncertainPolicy::Hold,
        parts: &[],
    };
    let whole = Plan::default();
    let begun = store.begin_run(&new, &whole, None, again, NOW);
    begun.await.expect("a run")
}

pub(crate) async fn frozen(store: &Store) -> RunId {
    let Begun::New(run) = begin(store, false).await else {
        panic!("a new run");
    };
    while let Frozen::Some(_) = store.freeze_some(run, 256, NOW).await.expect("a step") {}
    store
        .enter_sender("here", BOOT, LEASE, NOW)
        .await
        .expect("a sender");
    run
}

pub(crate) fn hash(id: u32) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[28..].copy_from_slice(&id.to_be_bytes());
    hash
}

fn key(run: RunId, seq: u32) -> DeliveryKey {
    DeliveryKey { run, seq }
}

pub(crate) fn marker(run: RunId, seq: u32) -> Marker {
    let (key, copy) = (key(run, seq), format!("{{\"to\":{seq}}}"));
    Marker { key, copy }
}

pub(crate) fn settled(run: RunId, seq: u32, marked: bool, outcome: Outcome) -> Settled {
    Settled {
        key: key(run, seq),
        outcome,
        marked,
        at: NOW,
        charged: true,
        suppress: None,
        failure: None,
    }
}

pub(crate) fn reply(code: u16) -> Reply {
    Reply {
        code,
        enhanced: None,
        text: "as the relay said".into(),
    }
}

pub(crate) async fn counts(store: &Store, run: RunId) -> Counts {
    let counters = store.counts(run).await.expect("counters");
    let rows = store.count_twice(run).await.expect("rows").rows;
    assert_eq!(counters, rows, "the counters and the rows agree");
    let recipients = store
        .run(run)
        .await
        .expect("a read")
        .expect("the run")
        .recipients;
    assert_eq!(counters.total(), recipients, "the identity holds");
    counters
}

on_both!(
    a_freeze_takes_confirmed_readers_in_dense_blocks_and_once,
    async |engine: Engine| {
        let (_database, store) = seeded(engine, 700).await;
        store
            .suppress("r7@x.example", &hash(7), "manual", NOW)
            .await
            .expect("a suppression");
        let Begun::New(run) = begin(&store, false).await else {
            panic!("a new run");
        };
        assert_eq!(begin(&store, false).await, Begun::UnderWay(run));
        let steps = [
            Frozen::Some(256),
            Frozen::Some(512),
            Frozen::All(630),
            Frozen::Not,
        ];
        for step in steps {
            assert_eq!(
                store.freeze_some(run, 300, NOW).await.expect("a step"),
                step
            );
        }
        let counts = counts(&store, run).await;
        assert_eq!((counts.queued, counts.suppressed), (629, 1));
        assert!(store.recipients_are_distinct(run).await.expect("a read"));
        let found = store.run(run).await.expect("a read");
        assert_eq!(found.expect("the run").status, RunStatus::Sending);
    }
);

on_both!(fifty_starts_at_once_make_one_run, async |engine: Engine| {
    let (_database, store) = seeded(engine, 20).await;
    let starts = (0..50).map(|_| begin(&store, false));
    let begun = futures::future::join_all(starts).await;
    let new = begun
        .iter()
        .filter(|begun| matches!(begun, Begun::New(_)))
        .count();
    assert_eq!(new, 1, "{begun:?}");
});

on_both!(
    a_marker_needs_a_lease_and_a_queued_row_and_is_taken_once,
    async |engine: Engine| {
        let (_database, store) = seeded(engine, 600).await;
        let run = frozen(&store).await;
        let none = store
            .commit_ledger(BOOT, &[], &[marker(run, 3)], NOW)
            .await
            .expect("a commit");
        assert!(none.granted.is_empty(), "no lease, no marker");
        let blocks = store
            .lease_blocks(run, "here", BOOT, LEASE, 2, NOW)
            .await
            .expect("leases");
        assert_eq!(blocks, [0, 1]);
        let nobody = store.lease_blocks(run, "there", 12, LEASE, 9, NOW).await;
        assert!(nobody.expect("an answer").is_empty(), "no sender, no lease");
        store
            .enter_sender("there", 12, LEASE, NOW)
            .await
            .expect("a sender");
        let other = store
            .lease_blocks(run, "there", 12, LEASE, 9, NOW)
            .await
            .expect("leases");
        assert_eq!(other, [2], "a held block is not leased again");
        let queued = store.load_block(run, 1, NOW).await.expect("a load");
        assert_eq!((queued.len(), queued[0].seq), (256, 256));
        let wish = [marker(run, 3), marker(run, 4)];
        let foreign = store
            .commit_ledger(12, &[], &wish, NOW)
            .await
            .expect("a commit");
        assert!(foreign.granted.is_empty(), "another boot holds the block");
        let first = store
            .commit_ledger(BOOT, &[], &wish, NOW)
            .await
            .expect("a commit");
        assert_eq!(first.granted.len(), 2);
        let again = store
            .commit_ledger(BOOT, &[], &wish, NOW)
            .await
            .expect("a commit");
        assert!(again.granted.is_empty(), "a marker is taken once");
        assert_eq!(counts(&store, run).await.at_dot, 2);
    }
);

on_both!(
    outcomes_move_rows_and_counters_together,
    async |engine: Engine| {
        let (_database, store) = seeded(engine, 100).await;
        let run = frozen(&store).await;
        store
            .lease_blocks(run, "here", BOOT, LEASE, 9, NOW)
            .await
            .expect("leases");
        let wishes: Vec<_> = (0..5).map(|seq| marker(run, seq)).collect();
        store
            .commit_ledger(BOOT, &[], &wishes, NOW)
            .await
            .expect("markers");
        let later = NOW.after(Duration::from_secs(300));
        let outcomes = [
            settled(run, 0, true, Outcome::Sent(reply(250))),
            settled(run, 1, true, Outcome::Failed(reply(554))),
            settled(run, 2, true, Outcome::Uncertain("cut".into())),
            settled(run, 3, true, Outcome::Released),
            settled(run, 5, false, Outcome::Bounced(reply(550))),
            settled(
                run,
                6,
                false,
                Outcome::Deferred {
                    reply: reply(450),
                    due: later,
                },
            ),
            settled(run, 7, false, Outcome::Expired(reply(450))),
        ];
        store
            .commit_ledger(BOOT, &outcomes, &[marker(run, 8)], NOW)
            .await
            .expect("outcomes");
        let now = counts(&store, run).await;
        let expected = Counts {
            queued: 84,
            at_dot: 2,
            sent: 1,
            failed: 1,
            uncertain: 1,
            bounced: 1,
            expired: 1,
            ..Counts::default()
        };
        assert_eq!(
            now,
            Counts {
                queued: now.queued,
                ..expected
            }
        );
        // A second commit of the same outcomes, as after a lost answer, changes nothing.
        store
            .commit_ledger(BOOT, &outcomes[..2], &[], NOW)
            .await
            .expect("a repeat");
        assert_eq!(counts(&store, run).await, now);
        store
            .release_blocks(run, BOOT, &[0])
            .await
            .expect("a release");
        assert_eq!(
            store
                .lease_blocks(run, "here", BOOT, LEASE, 9, NOW)
                .await
                .expect("leases"),
            [0]
        );
        let due = store.load_block(run, 0, NOW).await.expect("a load");
        assert!(
            due.iter().all(|row| row.seq != 6),
            "the deferred one is not due yet"
        );
        let due = store.load_block(run, 0, later).await.expect("a load");
        let deferred = due.iter().find(|row| row.seq == 6).expect("due again");
        assert_eq!(deferred.attempts, 1);
    }
);

on_both!(
    what_a_relay_says_at_length_is_kept_in_short,
    async |engine: Engine| {
        let (_database, store) = seeded(engine, 9).await;
        let run = frozen(&store).await;
        let mut long = reply(550);
        long.text = "\u{e9}".repeat(5000);
        let outcome = settled(run, 2, false, Outcome::Bounced(long));
        store
            .commit_ledger(BOOT, &[outcome], &[], NOW)
            .await
            .expect("a bounce");
        let rows = store.deliveries(run, Some(State::Bounced), -1, 9).await;
        let rows = rows.expect("a read");
        assert_eq!(rows[0].reply.as_ref().map(String::len), Some(512));
    }
);

on_both!(
    no_marker_commits_after_a_reader_has_left,
    async |engine: Engine| {
        let (_database, store) = seeded(engine, 100).await;
        let run = frozen(&store).await;
        store
            .lease_blocks(run, "here", BOOT, LEASE, 9, NOW)
            .await
            .expect("leases");
        let rows = store.load_block(run, 0, NOW).await.expect("a load");
        let (first, second) = (&rows[0], &rows[1]);
        assert!(
            store
                .leave(SubscriptionKey(first.subscription), NOW)
                .await
                .expect("a change")
        );
        assert!(
            !store
                .leave(SubscriptionKey(first.subscription), NOW)
                .await
                .expect("no change")
        );
        let reader = u32::try_from(second.subscriber_id).expect("a small id");
        assert!(
            store
                .suppress(
                    &format!("r{reader}@x.example"),
                    &hash(reader),
                    "complained",
                    NOW
                )
                .await
                .expect("a change")
        );
        let wishes = [marker(run, 0), marker(run, 1), marker(run, 2)];
        let done = store
            .commit_ledger(BOOT, &[], &wishes, NOW)
            .await
            .expect("a commit");
        assert_eq!(done.granted.into_iter().collect::<Vec<_>>(), [key(run, 2)]);
        let counts = counts(&store, run).await;
        assert_eq!(
            (counts.unsubscribed, counts.suppressed, counts.at_dot),
            (1, 1, 1)
        );
    }
);

on_both!(
    a_bounce_suppresses_and_takes_what_else_is_queued_for_that_reader,
    async |engine: Engine| {
        let (_database, store) = seeded(engine, 20).await;
        let first = frozen(&store).await;
        let Begun::UnderWay(_) = begin(&store, false).await else {
            panic!("still under way");
        };
        store
            .lease_blocks(first, "here", BOOT, LEASE, 9, NOW)
            .await
            .expect("leases");
        let mut bounce = settled(first, 4, false, Outcome::Bounced(reply(550)));
        bounce.suppress = Some(hash(5));
        // This reader has moved since her copy was made.
        let mut moved = settled(first, 5, false, Outcome::Bounced(reply(550)));
        moved.suppress = Some(hash(77));
        let both = store.commit_ledger(BOOT, &[bounce, moved], &[], NOW).await;
        both.expect("two bounces");
        assert_eq!(counts(&store, first).await.bounced, 2);
        let found = async |number| store.suppression(&hash(number)).await.expect("a read");
        assert!(found(77).await.is_some(), "what bounced");
        assert!(found(6).await.is_none(), "not what she has now");
        let again = store
            .suppress("r5@x.example", &hash(5), "manual", NOW)
            .await;
        assert!(!again.expect("a read"), "suppressed before");
    }
);

on_both!(
    what_a_dead_sender_left_at_the_dot_becomes_uncertain_and_is_settled_once,
    async |engine: Engine| {
        let (database, store) = seeded(engine, 300).await;
        let run = frozen(&store).await;
        store
            .lease_blocks(run, "here", BOOT, LEASE, 9, NOW)
            .await
            .expect("leases");
        let markers = [9, 11, 260].map(|seq| marker(run, seq));
        store
            .commit_ledger(BOOT, &[], &markers, NOW)
            .await
            .expect("markers");
        // One of them is opened before anybody knows that its sender is dead: it had arrived.
        database
            .raw("update deliveries set opened_at = 1 where seq = 11")
            .await;
        // The same node comes back under a new boot: its older one is fenced at once.
        store
            .enter_sender("here", 12, LEASE, NOW)
            .await
            .expect("a sender");
        let grace = Duration::from_secs(600);
        let reap = async || store.reap(12, grace, NOW).await.expect("a reaping");
        assert_eq!(reap().await.len(), 2);
        assert!(reap().await.is_empty());
        let reaped = counts(&store, run).await;
        assert_eq!((reaped.uncertain, reaped.sent), (2, 1));
        let zombie = store
            .commit_ledger(BOOT, &[], &[marker(run, 10)], NOW)
            .await
            .expect("a commit");
        assert!(
            zombie.granted.is_empty(),
            "the older boot marks nothing more"
        );
        // Its late 250 still counts.
        let late = settled(run, 9, true, Outcome::Sent(reply(250)));
        store
            .commit_ledger(BOOT, &[late], &[], NOW)
            .await
            .expect("a late answer");
        assert_eq!(counts(&store, run).await.sent, 2);
        assert_eq!(
            store
                .resolve_uncertain(run, None, State::Queued, NOW)
                .await
                .expect("a resolve"),
            1
        );
        assert_eq!(counts(&store, run).await.uncertain, 0);
    }
);

on_both!(
    a_cancelled_run_gives_up_its_queue_and_a_whole_one_finishes,
    async |engine: Engine| {
        let (database, store) = seeded(engine, 600).await;
        let run = frozen(&store).await;
        assert!(
            !store.finish_run(run, NOW).await.expect("a try"),
            "540 are queued"
        );
        assert!(
            store
                .set_run_status(run, RunStatus::Sending, RunStatus::Cancelled, None, NOW)
                .await
                .expect("a change")
        );
        let mut left = 9;
        while left > 0 {
            left = store.cancel_some(run, 1, NOW).await.expect("a step");
        }
        assert_eq!(counts(&store, run).await.cancelled, 540);
        let again = frozen(&store).await;
        store
            .lease_blocks(again, "here", BOOT, LEASE, 9, NOW)
            .await
            .expect("leases");
        let wishes: Vec<_> = (0..540).map(|seq| marker(again, seq)).collect();
        store
            .commit_ledger(BOOT, &[], &wishes, NOW)
            .await
            .expect("markers");
        let sent: Vec<_> = (0..540)
            .map(|seq| settled(again, seq, true, Outcome::Sent(reply(250))))
            .collect();
        store
            .commit_ledger(BOOT, &sent, &[], NOW)
            .await
            .expect("outcomes");
        assert!(store.finish_run(again, NOW).await.expect("a try"));
        assert_eq!(begin(&store, false).await, Begun::Before(again));
        let Begun::New(third) = begin(&store, true).await else {
            panic!("a new run");
        };
        // Cancelled before it reached anyone, it leaves the one before it to be found.
        let gone =
            store.set_run_status(third, RunStatus::Freezing, RunStatus::Cancelled, None, NOW);
        assert!(gone.await.expect("a change"));
        assert_eq!(begin(&store, false).await, Begun::Before(again));
        // Cancelled afterwards, a run still counts: nobody gets the issue twice unasked.
        database.raw("update runs set status = 'cancelled'").await;
        assert_eq!(begin(&store, false).await, Begun::Before(again));
    }
);
