//! The one writer of events: every event once, every reader once, on every counter.

use std::time::Duration;

use pressrun::event::{Event, EventKind, Evidence};
use pressrun::token::Claim;
use pressrun::track::Tracker;

use super::site::{NOON, RUN, TestSite, delivery, unsubscribe};
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
    the_links_of_one_copy_always_lead_on_and_store_no_more_than_its_share,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let open = format!("/o/{}", site.token(Claim::Open(delivery(0))));
        for _ in 0..60 {
            let answer = site.get(&open).await;
            assert_eq!((answer.status, answer.body.len()), (200, 43));
        }
        let click = || event(EventKind::Click, 0, Some(1));
        let clicks = (0..400).map(|_| site.tracker.record(click()));
        let answered = futures::future::join_all(clicks).await;
        assert!(answered.iter().all(|done| *done), "nobody waits for these");
        let click = format!("/c/{}", site.token(Claim::Click(delivery(0), 0)));
        assert_eq!(site.get(&click).await.status, 302);
        // Another copy has a share of its own.
        let other = event(EventKind::Open, 1, None);
        assert!(site.tracker.record(other).await);
        assert_eq!(site.counter("opens").await, 51);
        assert_eq!(site.counter("opened").await, 2);
        assert_eq!(site.counter("clicks").await, 300);
        assert_eq!(site.tracker.dropped(), 10 + 101);
        assert_eq!(site.tracker.lost(), 0);
        // And so has this one tomorrow.
        site.app.clock.advance(Duration::from_secs(86_400));
        site.get(&open).await;
        assert_eq!(site.counter("opens").await, 52);
        assert_eq!(site.db.number("select count(*) from events").await, 352);
        // What was dropped is told in one number.
        site.tracker.close().await;
        assert_eq!(
            site.app.store.dropped_events(RUN).await.expect("a read"),
            111
        );
        let (code, told, error) = site.command(&["events", "week-1"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(told.contains("111 more are not kept"), "{told}");
        site.stop().await;
    }
);

on_both!(
    a_copys_share_is_for_the_day_whoever_was_restarted_in_it,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let opens = async |seq, number| {
            let clock = site.app.clock.clone();
            let tracker = Tracker::start(site.app.store.clone(), clock);
            for _ in 0..number {
                let at = site.app.clock.now();
                let open = event(EventKind::Open, seq, None);
                assert!(tracker.record(Event { at, ..open }).await);
            }
            tracker.close().await;
            site.app.clock.advance(Duration::from_secs(60));
            tracker.dropped()
        };
        assert_eq!(opens(0, 35).await, 0);
        assert_eq!(opens(0, 35).await, 20);
        // Of what comes after a restart only the first few are taken unseen.
        assert_eq!(opens(0, 35).await, 25);
        assert_eq!(opens(1, 35).await, 0);
        assert_eq!(site.counter("opens").await, 95);
        site.stop().await;
    }
);

on_both!(
    two_writers_at_once_count_every_click_and_no_reader_twice,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(60).await;
        // Two nodes: both write, and both fold.
        let clock = || site.app.clock.clone();
        let one = Tracker::start(site.app.store.clone(), clock());
        let two = Tracker::start(site.app.store.clone(), clock());
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
