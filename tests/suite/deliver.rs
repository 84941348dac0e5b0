//! The engine from outside: real sockets, a scripted sink whose log is the oracle, both databases.

mod asked;
mod caps;
mod control;
mod direct;
pub(crate) mod fate;
mod kinds;
mod lent;
mod nodes;
mod opening;
mod refused;
mod relay;
mod relays;
pub mod rig;
mod rotation;
mod setup;
mod system;
mod waits;
mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pressrun::clock::{Clock, Timestamp};
use pressrun::delivery::Counts;
use pressrun::run;
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::store::runs::Run;

use crate::deliver::rig::{Rig, Wish, faulty, readers, until};
use crate::harness::Engine;
use crate::on_both;

on_both!(everyone_gets_one_copy_in_one_try, async |engine: Engine| {
    let wish = Wish {
        readers: readers(300),
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    let run = rig.begin().await;
    let counts = rig.finish(run).await;
    let expected = Counts {
        sent: 300,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    rig.assert_true(run).await;
    assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
    let messages = rig.sink.accepted();
    let ids: std::collections::BTreeSet<_> = messages.iter().map(|m| &m.message_id).collect();
    assert_eq!(ids.len(), 300, "each copy has a Message-ID of its own");
    let senders: std::collections::BTreeSet<_> = messages.iter().map(|m| &m.sender).collect();
    assert_eq!(
        senders.len(),
        300,
        "each copy has an envelope sender of its own"
    );
    assert_eq!(rig.trouble().await, "");
});

on_both!(
    a_relay_without_pipelining_is_served_too,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(60, &[(3, "grey-1"), (2, "550-5.1.1")]),
            sink: SinkOptions {
                pipelining: false,
                ..SinkOptions::default()
            },
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.bounced), (58, 2));
        rig.assert_true(run).await;
    }
);

on_both!(
    a_greylisted_reader_gets_the_second_try_and_delays_nobody,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(100, &[(10, "grey-1")]),
            send: "retry = [\"5m\"]",
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        rig.app.clock = Clock::fixed(Timestamp(1_800_000_000_000));
        let run = rig.begin().await;
        let sending = rig.start().await;
        // Five minutes that never go by by themselves.
        rig.wait_accepted(90).await;
        let tried = until(async || rig.rows(run).await.iter().all(|row| row.attempts == 1));
        assert!(tried.await, "{:?}", rig.rows(run).await);
        rig.app.clock.advance(Duration::from_secs(300));
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 100);
        rig.assert_true(run).await;
        let late = |address: &str| address.contains("+grey-1");
        for row in rig.rows(run).await {
            let address = row.address.expect("an address");
            assert_eq!(
                row.attempts,
                if late(&address) { 2 } else { 1 },
                "{address}"
            );
        }
        let order: Vec<_> = rig
            .sink
            .accepted()
            .into_iter()
            .map(|m| late(&m.rcpt[0]))
            .collect();
        assert!(order.is_sorted(), "the others came first: {order:?}");
    }
);

on_both!(
    a_reader_first_tried_after_days_has_all_the_tries_that_the_others_had,
    async |engine: Engine| {
        let wish = Wish {
            readers: vec!["reader0+grey-2@example.org".into()],
            send: "give_up = \"48h\"",
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        rig.app.clock = Clock::fixed(Timestamp(1_800_000_000_000));
        rig.sink.set_script(rig::script("greeting-421"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_trouble().await;
        run::pause(&rig.app, &rig.run(run).await)
            .await
            .expect("a pause");
        // The engine has seen that nothing is under way: the days are no sleep of the machine's.
        let rests = until(async || {
            let beat = rig.app.store.meta("heartbeat").await.expect("a read");
            beat.as_deref() == Some("0")
        });
        assert!(rests.await);
        rig.app.clock.advance(Duration::from_secs(3 * 86_400));
        rig.sink.set_script(Default::default());
        run::resume(&rig.app, &rig.run(run).await, false)
            .await
            .expect("a resume");
        let over = until(async || {
            rig.app.clock.advance(Duration::from_millis(30));
            rig.run(run).await.status == RunStatus::Finished
        });
        assert!(over.await, "{:?}", rig.run(run).await);
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 1);
        assert_eq!(rig.rows(run).await[0].attempts, 3);
    }
);

on_both!(
    a_clock_that_jumps_while_the_relay_thinks_makes_nobody_old,
    async |engine: Engine| {
        let wish = Wish {
            readers: vec!["reader0+dot-451@example.org".into()],
            send: "retry = [\"5m\"]\ngive_up = \"48h\"",
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        let clock = Arc::new(AtomicI64::new(1_800_000_000_000));
        rig.app.clock = Clock::Fixed(Arc::clone(&clock));
        let run = rig.begin().await;
        rig.sink.hold_after(1);
        let sending = rig.start().await;
        rig.wait_row(run, |row| row.state == "queued" && row.attempts == 1)
            .await;
        let minute = 60_000;
        clock.fetch_add(6 * minute, Ordering::SeqCst);
        rig.wait_row(run, |row| row.state == "at_dot").await;
        clock.fetch_add(30 * 24 * 60 * minute, Ordering::SeqCst);
        rig.wait_status(run, RunStatus::Held).await;
        rig.sink.release();
        rig.wait_row(run, |row| row.state == "queued" && row.attempts == 2)
            .await;
        sending.stop().await;
    }
);

on_both!(
    a_reader_who_is_always_deferred_expires_and_the_run_ends,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(30, &[(1, "450-4.2.1")]),
            send: "retry = [\"40ms\"]\ngive_up = \"150ms\"",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.expired), (29, 1));
        let rows = rig.rows(run).await;
        let expired = rows.iter().find(|row| row.state == "expired");
        let expired = expired.expect("the expired one");
        assert!((2..=6).contains(&expired.attempts), "{expired:?}");
        assert_eq!(expired.code, Some(450));
        assert_eq!(expired.enhanced.as_deref(), Some("4.2.1"));
    }
);

on_both!(
    a_dead_address_bounces_once_and_a_full_one_is_tried_in_the_next_run,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(30, &[(1, "550-5.1.1"), (1, "552-5.2.2")]),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.bounced), (28, 2));
        let again = rig.begin().await;
        let counts = rig.finish(again).await;
        assert_eq!((counts.sent, counts.bounced, counts.suppressed), (28, 1, 1));
        let rows = rig.rows(again).await;
        let suppressed = rows.iter().find(|row| row.state == "suppressed");
        let address = suppressed.and_then(|row| row.address.as_deref());
        assert!(address.expect("a row").contains("+550-5.1.1"));
        // The connection is kept after a refusal: two runs, four connections each at most.
        assert!(
            rig.sink.counts().connections <= 8,
            "{:?}",
            rig.sink.counts()
        );
    }
);

on_both!(
    a_copy_that_cannot_be_made_fails_alone_and_is_counted,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let broken = "update subscribers set address = 'nobody' where id = 7";
        rig.database.raw(broken).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.failed), (39, 1));
        let rows = rig.rows(run).await;
        let failed = rows.iter().find(|row| row.state == "failed").expect("one");
        let reply = failed.reply.as_deref().expect("a reason");
        assert!(reply.starts_with("render: "), "{reply}");
    }
);

on_both!(
    content_refused_for_a_few_fails_those_few,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(40, &[(2, "dot-554-5.7.1")]),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.failed), (38, 2));
        rig.assert_true(run).await;
    }
);

on_both!(
    the_identity_holds_at_every_look_at_a_faulty_run,
    async |engine: Engine| {
        let words = [
            (6, "grey-1"),
            (5, "550-5.1.1"),
            (2, "dot-554"),
            (3, "cut-after-dot"),
            (2, "drop-after-dot"),
            (3, "dot-451"),
        ];
        let wish = Wish {
            readers: faulty(301, &words),
            send: "give_up = \"90ms\"",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let look = format!(
            "select r.recipients, cast(coalesce(sum(b.queued + b.at_dot + b.sent + b.bounced
                 + b.failed + b.expired + b.suppressed + b.unsubscribed + b.uncertain
                 + b.cancelled), 0) as bigint)
             from runs r left join blocks b on b.run_id = r.id
             where r.id = {run} group by r.recipients"
        );
        let mut looks = 0;
        while rig.run(run).await.status != RunStatus::Finished {
            let found = rig.pairs(&look).await;
            assert!(
                found.iter().all(|(recipients, sum)| recipients == sum),
                "{found:?}"
            );
            looks += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sending.stop().await;
        assert!(looks > 2, "only {looks} looks");
        let counts = rig.balanced(run).await;
        assert_eq!((counts.bounced, counts.uncertain), (5, 5));
        assert_eq!((counts.failed, counts.expired), (2, 3));
        rig.assert_true(run).await;
        let found: Run = rig.run(run).await;
        let verified = pressrun::run::verify::one(&rig.app, &found)
            .await
            .expect("a look");
        let json = serde_json::to_value(&verified).expect("JSON");
        for key in [
            "recipients",
            "queued",
            "at_dot",
            "sent",
            "bounced",
            "expired",
            "suppressed",
            "unsubscribed",
            "failed",
            "uncertain",
            "cancelled",
        ] {
            assert!(json[key].is_i64(), "{key} in {json}");
        }
        assert_eq!(json["balanced"], true);
    }
);
