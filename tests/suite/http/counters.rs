//! The one writer of events: every event once, every reader once, on every counter.

use pressrun::event::{Event, EventKind, Evidence};
use pressrun::token::Claim;
use pressrun::track::Tracker;

use super::site::{NOON, TestSite, delivery, unsubscribe};
use super::wire::request;
use crate::harness::Engine;
use crate::on_both;

fn event(kind: EventKind, seq: u32, link: Option<u32>) -> Event {
    Event {
        kind,
        delivery: delivery(seq),
        link,
        at: NOON,
        evidence: Evidence::default(),
    }
}

on_both!(
    five_hundred_opens_of_two_hundred_readers_over_http_are_counted_exactly,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(300).await;
        let paths: Vec<String> = (0..500)
            .map(|n| {
                format!(
                    "/o/{}",
                    site.token(Claim::Open(delivery(n * 7 % 200 + 100)))
                )
            })
            .collect();
        let all = paths.iter().map(|path| site.get(path));
        for answer in futures::future::join_all(all).await {
            assert_eq!(answer.status, 200);
        }
        assert_eq!(site.counter("opens").await, 500);
        assert_eq!(site.counter("opened").await, 200);
        let rows = "select count(*) from deliveries where opened_at is not null";
        assert_eq!(site.db.number(rows).await, 200);
        assert_eq!(site.db.number("select count(*) from events").await, 500);
        // Two blocks, each with its own.
        let second = "select opened from blocks where run_id = 2 and block = 1";
        assert_eq!(site.db.number(second).await, 44);
        assert_eq!(site.tracker.lost(), 0);
        site.stop().await;
    }
);

on_both!(
    two_writers_at_once_count_every_click_and_no_reader_twice,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(60).await;
        // Two nodes with the same seed: they draw the same ids, and find out.
        let chance = || pressrun::chance::Chance::seeded(5);
        let one = Tracker::start(site.app.store.clone(), chance());
        let two = Tracker::start(site.app.store.clone(), chance());
        let mut all = Vec::new();
        for n in 0..600_u32 {
            for tracker in [&one, &two] {
                all.push(tracker.record(event(EventKind::Click, n % 50, Some(n % 2))));
                all.push(tracker.record(event(EventKind::Open, n % 60, None)));
            }
        }
        let stored = futures::future::join_all(all).await;
        assert!(stored.iter().all(|durable| *durable));
        one.close().await;
        two.close().await;
        assert_eq!(site.counter("clicks").await, 1_200);
        assert_eq!(site.counter("clicked").await, 50);
        assert_eq!(site.counter("opens").await, 1_200);
        assert_eq!(site.counter("opened").await, 60);
        let readers = "select readers from link_counts where run_id = 2 and link = ";
        let clicks = "select clicks from link_counts where run_id = 2 and link = ";
        for link in 0..2 {
            assert_eq!(site.db.number(&format!("{readers}{link}")).await, 25);
            assert_eq!(site.db.number(&format!("{clicks}{link}")).await, 600);
        }
        assert_eq!(
            site.db.number("select count(*) from reader_clicks").await,
            50
        );
        assert_eq!(site.db.number("select count(*) from events").await, 2_400);
        site.stop().await;
    }
);

on_both!(
    an_uncertain_delivery_is_settled_by_an_open_a_click_or_a_leaving,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(4).await;
        site.db
            .exec(
                "update deliveries set state = 'uncertain', settled_at = null;
                 update blocks set sent = 0, uncertain = 4 where run_id = 2",
            )
            .await;
        let again = [
            event(EventKind::Open, 0, None),
            event(EventKind::Open, 0, None),
            event(EventKind::Click, 1, Some(0)),
        ];
        for one in again {
            assert!(site.tracker.record(one).await);
        }
        let leave = format!("/u/{}", site.token(unsubscribe(2)));
        for _ in 0..2 {
            assert_eq!(
                site.post(&leave, "List-Unsubscribe=One-Click").await.status,
                200
            );
        }
        assert_eq!(site.counter("sent").await, 3);
        assert_eq!(site.counter("uncertain").await, 1);
        let sent =
            "select count(*) from deliveries where state = 'sent' and settled_at is not null";
        assert_eq!(site.db.number(sent).await, 3);
        site.stop().await;
    }
);

on_both!(
    what_was_asked_before_the_end_is_written_when_serving_ends,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let (public, admin) = site.serve_again().await;
        let open = format!("/o/{}", site.token(Claim::Open(delivery(0))));
        for _ in 0..3 {
            assert_eq!(request(public.at, "GET", &open, &[], "").await.status, 200);
        }
        let login = request(admin.at, "GET", "/login", &[], "").await;
        assert_eq!(login.status, 200);
        // Not waited for by anyone: only the end of serving makes it sure.
        let late = public.tracker.record(event(EventKind::Open, 0, None));
        let (_, ()) = tokio::join!(late, async {
            tokio::task::yield_now().await;
            public.stop.send(()).ok();
            public.task.await.expect("no panic").expect("served");
        });
        admin.stop.send(()).ok();
        admin.task.await.expect("no panic").expect("served");
        assert_eq!(site.counter("opens").await, 4);
        site.stop().await;
    }
);

on_both!(
    events_of_deliveries_that_are_gone_are_kept_and_move_no_number,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        assert!(
            site.tracker
                .record(event(EventKind::Click, 99, Some(0)))
                .await
        );
        assert_eq!(site.db.number("select count(*) from events").await, 1);
        assert_eq!(site.db.number("select count(*) from link_counts").await, 0);
        assert_eq!(site.counter("clicks").await, 0);
        site.stop().await;
    }
);

on_both!(
    numbers_are_read_from_counters_with_rates_against_sent,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(8).await;
        site.db
            .exec("update blocks set sent = 6, bounced = 2 where run_id = 2")
            .await;
        for seq in 0..3 {
            site.tracker.record(event(EventKind::Open, seq, None)).await;
        }
        site.tracker
            .record(event(EventKind::Click, 0, Some(1)))
            .await;
        site.tracker
            .record(event(EventKind::Click, 0, Some(1)))
            .await;
        let store = &site.app.store;
        let run = store
            .newest_run("week-1")
            .await
            .expect("a read")
            .expect("a run");
        assert_eq!(store.newest_run("week-2").await.expect("a read"), None);
        let numbers = store
            .run_in_numbers(run)
            .await
            .expect("a read")
            .expect("a run");
        assert_eq!(
            (
                numbers.recipients,
                numbers.counts.sent,
                numbers.counts.bounced
            ),
            (8, 6, 2)
        );
        assert!(numbers.balanced());
        assert_eq!((numbers.opened, numbers.opens), (3, 3));
        assert_eq!((numbers.clicked, numbers.clicks), (1, 2));
        assert_eq!(numbers.rates.opened, Some(0.5));
        assert_eq!(numbers.list.as_deref(), Some("The Weekly"));
        let links: Vec<_> = numbers
            .links
            .iter()
            .map(|link| (link.readers, link.clicks))
            .collect();
        assert_eq!(links, [(0, 0), (1, 2), (0, 0)]);
        // The open run of system mails is nobody's issue.
        let runs = store.runs_in_numbers(10).await.expect("a read");
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].opened, 3);
        site.stop().await;
    }
);

on_both!(
    the_command_line_prints_the_numbers_and_says_when_they_do_not_add_up,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let none = "no run yet; `pressrun send ISSUE` starts the first\n".to_owned();
        assert_eq!(site.command(&["stats"]), (Some(0), none, String::new()));
        site.seed_run(8).await;
        site.db
            .exec(
                "update blocks set sent = 6, bounced = 2 where run_id = 2;
                 update links set name = 'b\u{1b}[2Jx' where link = 2",
            )
            .await;
        for seq in 0..3 {
            site.tracker.record(event(EventKind::Open, seq, None)).await;
        }
        site.tracker
            .record(event(EventKind::Click, 0, Some(1)))
            .await;
        let (code, text, _) = site.command(&["stats", "week-1"]);
        assert_eq!((code, text.as_str()), (Some(0), REPORT));
        let (code, text, _) = site.command(&["stats"]);
        assert_eq!((code, text.as_str()), (Some(0), TABLE));
        let (code, text, _) = site.command(&["stats", "week-1", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (code, &json["bounced"], &json["opened"]),
            (Some(0), &2.into(), &3.into())
        );
        assert_eq!(json["links"][1]["readers"], 1);
        assert_eq!(json["rates"]["opened"], 0.5);
        let (code, text, error) = site.command(&["stats", "week-\u{1b}2"]);
        let said = "error: no run of `week-2`; `pressrun stats` lists the runs\n";
        assert_eq!((code, text.as_str(), error.as_str()), (Some(1), "", said));
        site.db
            .exec("update blocks set sent = 5 where run_id = 2")
            .await;
        let (code, text, _) = site.command(&["stats", "week-1"]);
        assert_eq!(code, Some(3));
        assert!(
            text.ends_with(
                "the states add up to 7 and the recipients are 8; run `pressrun verify week-1`\n"
            ),
            "{text}"
        );
        site.stop().await;
    }
);

const REPORT: &str = "\
Week 1 (run 2, finished)

recipients    8
queued        0
at_dot        0
sent          6
bounced       2  33.3 %
failed        0
expired       0
suppressed    0
unsubscribed  0
uncertain     0
cancelled     0

opened         3  50.0 %
clicked        1  16.7 %
unsubscribes   0   0.0 %
opens in all   3
clicks in all  1

readers  clicks  link
      0       0  1 - Read more  https://one.example/a?b=c
      1       1  2 - Paper      https://two.example/
      0       0  b[2Jx          javascript:alert(1)
";

const TABLE: &str = "\
run  issue   status    started               recipients  sent      opened     clicked  unsubscribes
2    week-1  finished  2026-11-01T11:59:00Z           8     6  3 (50.0 %)  1 (16.7 %)     0 (0.0 %)
";
