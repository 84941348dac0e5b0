//! What is counted of whom, and how long it is kept.

use std::time::Duration;

use pressrun::clock::Timestamp;
use pressrun::event::Event;
use pressrun::event::score::RULES;
use pressrun::id::RunId;
use pressrun::message::copy::is_forgotten;
use pressrun::retention;
use pressrun::run::again;
use pressrun::token::Claim;
use pressrun::track::fold;

use super::numbers::{reader, seen};
use super::site::{NOON, RUN, TestSite, delivery};
use crate::harness::Engine;
use crate::on_both;

pub fn config(words: &str) -> String {
    TestSite::config(&[("[signup]", &format!("[privacy]\n{words}\n[signup]"))])
}

on_both!(
    anonymous_numbers_count_each_reader_once_and_name_nobody,
    async |engine: Engine| {
        let site = TestSite::with(engine, &config("tracking = \"anonymous\""), |_| {}).await;
        // The second block holds one reader: its counters would name her.
        site.seed_run(257).await;
        named_by_nobody(&site).await;
        let agent = "Mozilla/5.0 (X11; Linux) Firefox/133.0";
        let person = [("User-Agent", agent), ("Accept-Language", "en")];
        for (seq, link) in [(0, 0), (0, 0), (0, 1), (256, 0)] {
            let open = format!("/o/{}", site.token(Claim::Open(delivery(seq))));
            site.send("GET", &open, &person, "").await;
            let click = format!("/c/{}", site.token(Claim::Click(delivery(seq), link)));
            assert_eq!(site.send("GET", &click, &person, "").await.status, 302);
        }
        // What says that it is a machine is no reader, with or without a name; a head is not even a click.
        let click = format!("/c/{}", site.token(Claim::Click(delivery(1), 0)));
        let open = format!("/o/{}", site.token(Claim::Open(delivery(1))));
        for path in [&open, &click] {
            site.send("HEAD", path, &person, "").await;
        }
        assert_eq!(site.counter("clicks").await, 4);
        site.send("GET", &click, &[("User-Agent", "curl/8.5")], "")
            .await;
        let counted = (site.counter("clicked").await, site.counter("clicks").await);
        assert_eq!(counted, (2, 5));
        site.db
            .exec(
                "delete from events where evidence like '%curl%' or evidence like '%\"head\"%';
                 update blocks set clicks = 4 where run_id = 2 and block = 0;
                 update link_counts set clicks = clicks - 1 where link = 0",
            )
            .await;
        for (column, number) in [("opened", 2), ("clicked", 2), ("opens", 4), ("clicks", 4)] {
            assert_eq!(site.counter(column).await, number, "{column}");
            let late = format!("select {column} from blocks where run_id = 2 and block = 1");
            assert_eq!(
                site.db.number(&late).await,
                0,
                "{column} of a block of one reader"
            );
        }
        let links = "select readers * 100 + clicks from link_counts where run_id = 2 and link = ";
        assert_eq!(site.db.number(&format!("{links}0")).await, 203);
        assert_eq!(site.db.number(&format!("{links}1")).await, 101);
        for clear in [
            "select count(*) from events where seq is not null",
            "select count(*) from deliveries where opened_at is not null or clicked_at is not null",
            "select count(*) from reader_clicks",
            "select count(*) from events where evidence like '%133%' or evidence like '%\"network\"%'",
            // With the time of the event it would say when the mail was sent, and that is known of each reader's.
            "select count(*) from events where evidence like '%\"after\"%'",
        ] {
            assert_eq!(site.db.number(clear).await, 0, "{clear}");
        }
        let names = "select count(distinct pseudonym) from events where pseudonym is not null";
        assert_eq!(site.db.number(names).await, 2);
        assert_eq!(site.db.number("select count(*) from events").await, 8);
        // The author is told what is known, and that the rest is not kept.
        let (code, told, error) = site.command(&["stats", "week-1"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(told.contains("not kept in anonymous mode"), "{told}");
        let (_, json, _) = site.command(&["stats", "week-1", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let judged = &json["judged"];
        assert_eq!(judged["nameless"], true);
        assert_eq!(
            (&judged["clicked"]["part"], &judged["clicked"]["whole"]),
            (&2.into(), &257.into())
        );
        assert_eq!(judged["clicks"]["unsure"], 4);
        assert_eq!(json["links"][0]["judged"]["readers"]["part"], 2);
        let page = site.ask_admin("/runs/2/numbers", "localhost").await.text();
        assert!(page.contains("Not kept in anonymous mode."), "{page}");
        // Whoever withdraws is not counted, as little as by name.
        site.db
            .exec("update subscribers set tracking = 'off' where id = 1001")
            .await;
        site.get(&format!("/o/{}", site.token(Claim::Open(delivery(1)))))
            .await;
        assert_eq!(site.counter("opens").await, 4);
        // The key goes; what was counted stays, and another open is nobody's.
        site.app.clock.advance(Duration::from_secs(31 * 86_400));
        retention::run(&site.app).await.expect("forgotten");
        assert_eq!(
            site.db
                .number("select count(*) from pseudonym_keys where key is null")
                .await,
            1
        );
        assert_eq!(
            site.db.number("select count(*) from pseudonym_marks").await,
            0
        );
        site.get(&format!("/o/{}", site.token(Claim::Open(delivery(0)))))
            .await;
        assert_eq!(
            (site.counter("opened").await, site.counter("opens").await),
            (2, 5)
        );
        assert_eq!(
            site.db
                .number("select count(*) from events where pseudonym is null")
                .await,
            1
        );
        site.stop().await;
    }
);

/// As a run that begins under `privacy.tracking = "anonymous"`.
pub async fn named_by_nobody(site: &TestSite) {
    let named = site.app.store.name_nobody(RUN, &site.app.chance, NOON);
    named.await.expect("a key");
}

on_both!(
    a_run_is_counted_to_its_end_as_it_was_begun,
    async |engine: Engine| {
        let site = TestSite::with(engine, &config("tracking = \"individual\""), |_| {}).await;
        site.seed_run(40).await;
        let store = &site.app.store;
        let clicks = [
            seen(0, Some(0), 900, &reader()),
            seen(1, Some(0), 900, &reader()),
        ];
        store.record_events(&clicks, true).await.expect("a write");
        // Since then the configuration names nobody: she clicks once more, and another clicks late.
        let late = [
            seen(0, Some(0), 9_000, &reader()),
            seen(2, Some(0), 9_000, &reader()),
        ];
        store
            .record_anonymously(&late, true, &site.app.chance, &mut None)
            .await
            .expect("a write");
        assert_eq!(
            site.db
                .number("select count(*) from events where seq is not null")
                .await,
            2
        );
        let (code, json, error) = site.command(&["stats", "week-1", "--json"]);
        assert_eq!(code, Some(0), "{error}");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let judged = &json["judged"];
        assert_eq!(
            (&judged["nameless"], &judged["clicked"]["part"]),
            (&false.into(), &2.into())
        );
        assert_eq!(
            (&json["raw_clicked"], &json["raw_clicks"]),
            (&2.into(), &4.into())
        );
        // The other way round nobody is named either.
        site.db.exec("delete from events").await;
        named_by_nobody(&site).await;
        let open = format!("/o/{}", site.token(Claim::Open(delivery(5))));
        site.get(&open).await;
        assert_eq!(
            site.db
                .number("select count(*) from events where seq is null")
                .await,
            1
        );
        let names = "select count(*) from deliveries where seq = 5 and opened_at is not null";
        assert_eq!(site.db.number(names).await, 0);
        site.stop().await;
    }
);

on_both!(
    who_never_agreed_is_not_counted_by_old_mail_where_nobody_is_unasked,
    async |engine: Engine| {
        for tracking in ["individual", "anonymous"] {
            let words = format!("tracking = \"{tracking}\"\nunasked = false");
            let site = TestSite::with(engine, &config(&words), |_| {}).await;
            site.seed_run(3).await;
            if tracking == "anonymous" {
                named_by_nobody(&site).await;
            }
            site.db
                .exec(
                    "update subscribers set tracking = 'on' where id = 1001;
                     update subscribers set tracking = 'off' where id = 1002",
                )
                .await;
            for seq in 0..3 {
                let person = [("User-Agent", "Firefox/140.0"), ("Accept-Language", "en")];
                let open = format!("/o/{}", site.token(Claim::Open(delivery(seq))));
                let open = site.send("GET", &open, &person, "").await;
                assert_eq!(open.body.len(), 43);
                let click = format!("/c/{}", site.token(Claim::Click(delivery(seq), 0)));
                let click = site.send("GET", &click, &person, "").await;
                assert_eq!(click.status, 302);
            }
            let events = site.db.number("select count(*) from events").await;
            assert_eq!(events, 2, "{tracking}");
            for column in ["opened", "clicked", "opens", "clicks"] {
                assert_eq!(site.counter(column).await, 1, "{tracking}: {column}");
            }
            site.stop().await;
        }
    }
);

on_both!(
    nothing_is_counted_when_it_is_off_and_every_link_still_leads_on,
    async |engine: Engine| {
        let site = TestSite::with(engine, &config("tracking = \"off\""), |_| {}).await;
        site.seed_run(1).await;
        let open = format!("/o/{}", site.token(Claim::Open(delivery(0))));
        assert_eq!(site.get(&open).await.body.len(), 43);
        let click = format!("/c/{}", site.token(Claim::Click(delivery(0), 0)));
        assert_eq!(site.get(&click).await.status, 302);
        assert_eq!(site.db.number("select count(*) from events").await, 0);
        assert_eq!(
            site.counter("opens").await + site.counter("clicks").await,
            0
        );
        site.stop().await;
    }
);

on_both!(
    what_is_older_than_its_kind_is_kept_is_forgotten_in_steps,
    async |engine: Engine| {
        let words = "tracking = \"individual\"\n[retention]\nevents = \"10d\"\nfailures = \"0s\"\n\
            consents = \"10d\"\nerased = \"10d\"";
        let site = TestSite::with(engine, &config(words), |_| {}).await;
        site.seed_run(2).await;
        let day = 86_400_000;
        let (old, young) = (NOON.0 - 11 * day, NOON.0 - 9 * day);
        for (number, at) in [(0..2_500, old), (2_500..2_600, young)] {
            let rows = number.map(|n| {
                format!(
                    "({}, {at}, 'open', 2, 0, '{{}}')",
                    (at + n64(n)) * 2_097_152
                )
            });
            let rows: Vec<String> = rows.collect();
            let into = "insert into events (id, at, kind, run_id, seq, evidence) values ";
            site.db.exec(&format!("{into}{}", rows.join(","))).await;
        }
        let counted = NOON.0 * 2_097_152;
        site.db
            .exec(&format!(
                "insert into delivery_events (run_id, seq, event_id) select run_id, seq, id from events;
                 update event_fold set rules = {RULES}, folded = {counted}, upto = {counted};
                 insert into failures (run_id, seq, at, reason, dialogue) values (2, 0, 1, 'other', '');
                 insert into suppressions (hash, reason, created_at) values (unhex('01'), 'erased', {old}),
                     (unhex('02'), 'erased', {young}), (unhex('03'), 'bounced', {old});
                 update subscriptions set status = 'unsubscribed' where subscriber_id = 1001;
                 insert into consents (subscriber_id, at, what, list_id) values (1000, {old}, 'confirm', 1),
                     (1001, {old}, 'confirm', 1), (1001, {young}, 'leave', 1)"
            ))
            .await;
        let plan = retention::plan(&site.app).await.expect("a plan");
        let older = |kind: &str| {
            plan.iter()
                .find(|kept| kept.kind == kind)
                .expect("a kind")
                .old
        };
        assert_eq!(
            (
                older("events"),
                older("consents"),
                older("erased"),
                older("failures")
            ),
            (2_500, 1, 1, 0)
        );
        let count = async |table: &str| {
            site.db
                .number(&format!("select count(*) from {table}"))
                .await
        };
        assert_eq!(count("events").await, 2_600, "a plan forgets nothing");
        let gone = retention::run(&site.app).await.expect("forgotten");
        assert_eq!(gone, plan);
        let left = (
            count("events").await,
            count("consents").await,
            count("suppressions").await,
        );
        assert_eq!((left, count("failures").await), ((100, 2, 2), 1));
        assert_eq!(
            count("delivery_events").await,
            100,
            "nothing names an event that is gone"
        );
        assert_eq!(
            retention::run(&site.app)
                .await
                .expect("nothing")
                .iter()
                .map(|k| k.old)
                .sum::<u64>(),
            0
        );
        let (code, out, error) = site.command(&["retention", "run", "--dry-run"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(
            out.contains("events") && out.contains("10 days") && out.contains("for ever"),
            "{out}"
        );
        site.stop().await;
    }
);

on_both!(
    what_copies_were_made_of_is_forgotten_and_that_they_counted_nothing_is_not,
    async |engine: Engine| {
        let words = "tracking = \"individual\"\n[retention]\ncopies = \"10d\"\naudit = \"10d\"";
        let site = TestSite::with(engine, &config(words), |_| {}).await;
        site.seed_run(3).await;
        let day = 86_400_000;
        let (old, young) = (NOON.0 - 11 * day, NOON.0 - 9 * day);
        let copy = |more: &str| format!("{{\"date\":0,\"to\":\"ada@x.example\",\"kid\":9{more}}}");
        let (tracked, untracked) = (copy(""), copy(",\"untracked\":true"));
        site.db
            .exec(&format!(
                "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy,
                     status, cutoff, frozen_to, recipients, created_at, started_at, since)
                 values (3, 'issue', 'week-2', 'Week 2', 1, 'rev', '{{}}', 'main', 'hold',
                     'finished', 0, 0, 1, 0, 0, {young});
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at)
                 values (3, 0, 1000, 'sent', 0, 0), (1, 0, 0, 'sent', {old}, 0), (1, 1, 0, 'queued', {old}, null),
                     (1, 2, 0, 'sent', {young}, 0);
                 insert into system_mails (run_id, seq, kind, revision, address, data)
                 select 1, seq, 'test', 'rev', 'ada@x.example', '{{\"name\":\"Ada\"}}' from deliveries where run_id = 1;
                 update runs set recipients = 3 where id = 1;
                 update runs set since = {old} where id = 2;
                 update deliveries set copy = '{tracked}', reply = 'ok <ada@x.example>' where state = 'sent';
                 update deliveries set copy = '{untracked}' where run_id = 2 and seq = 1;
                 insert into admin_audit (at, id, session, what, about) values ({old}, 1, 0, 'x', ''),
                     ({young}, 2, 0, 'x', '')"
            ))
            .await;
        let old_of = async |kind: &str| {
            let plan = retention::plan(&site.app).await.expect("a plan");
            plan.iter()
                .find(|kept| kept.kind == kind)
                .expect("a kind")
                .old
        };
        assert_eq!((old_of("copies").await, old_of("audit").await), (5, 1));
        retention::run(&site.app).await.expect("forgotten");
        // One is on its way still.
        assert_eq!((old_of("copies").await, old_of("audit").await), (1, 0));
        for (what, number) in [
            ("deliveries where copy like '%ada%'", 2),
            ("deliveries where reply like '%ada%'", 2),
            ("deliveries where copy like '%\"untracked\":true%'", 1),
            ("system_mails where address is null and data = '{}'", 1),
            ("admin_audit", 1),
        ] {
            let count = format!("select count(*) from {what}");
            assert_eq!(site.db.number(&count).await, number, "{what}");
        }
        let again = again::html(&site.app, delivery(0)).await;
        assert_eq!(again.expect("no fault"), None);
        let kept = site.app.store.kept_copies(RUN, -1, 10).await;
        let mut kept = kept.expect("copies").into_iter();
        assert!(
            kept.all(|kept| is_forgotten(&kept.copy)),
            "nothing is left that a key could open"
        );
        let sent =
            "update deliveries set state = 'sent', settled_at = 0 where run_id = 1 and seq = 1";
        site.db.exec(sent).await;
        retention::run(&site.app).await.expect("forgotten");
        assert_eq!(old_of("copies").await, 0);
        let carried = "select count(*) from system_mails where address is not null";
        assert_eq!(site.db.number(carried).await, 1, "the young one");
        site.stop().await;
    }
);

on_both!(
    what_is_forgotten_stays_counted_and_is_never_counted_twice,
    async |engine: Engine| {
        let words = "tracking = \"individual\"\n[retention]\nevents = \"10d\"";
        let site = TestSite::with(engine, &config(words), |_| {}).await;
        site.seed_run(2).await;
        let record = async |events: &[Event]| {
            let stored = site.app.store.record_events(events, true).await;
            stored.expect("a write");
            fold::catch_up(&site.app.store).await.expect("a fold");
        };
        record(&[
            seen(0, None, 900, &reader()),
            seen(0, Some(1), 950, &reader()),
        ])
        .await;
        let judged = "select cast(sum(number) as bigint) from tallies
            where part = 'run' and what in ('opened:human', 'clicked:human', 'opens:human')";
        assert_eq!(site.db.number(judged).await, 3);
        site.app.clock.advance(Duration::from_secs(11 * 86_400));
        retention::run(&site.app).await.expect("forgotten");
        assert_eq!(site.db.number("select count(*) from events").await, 0);
        fold::judge_again(&site.app.store)
            .await
            .expect("judged again");
        assert_eq!(
            site.db.number(judged).await,
            3,
            "there is nothing to judge again from"
        );
        // She opens it once more: that is counted, and she is no second reader.
        record(&[seen(0, None, 900_000, &reader())]).await;
        assert_eq!(site.counter("opens").await, 2);
        assert_eq!(site.counter("opened").await, 1);
        assert_eq!(site.db.number(judged).await, 3);
        // A run that began since is judged, and judged again, as ever.
        let now = site.app.clock.now().0;
        site.db
            .exec(&format!(
                "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy,
                     status, cutoff, frozen_to, recipients, created_at, started_at)
                 values (3, 'issue', 'week-2', 'Week 2', 1, 'rev', '{{}}', 'main', 'hold',
                     'finished', 0, 0, 1, {now}, {now});
                 insert into blocks (run_id, block, sent) values (3, 0, 1);
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at)
                 values (3, 0, 1000, 'sent', 0, {now})"
            ))
            .await;
        let mut open = seen(0, None, 0, &reader());
        open.delivery.run = RunId(3);
        open.at = Timestamp(now + 900_000);
        record(&[open]).await;
        assert_eq!(site.db.number(judged).await, 5);
        fold::judge_again(&site.app.store)
            .await
            .expect("judged again");
        assert_eq!(site.db.number(judged).await, 5);
        site.stop().await;
    }
);

fn n64(number: i32) -> i64 {
    i64::from(number)
}
