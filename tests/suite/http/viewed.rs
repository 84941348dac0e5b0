//! Who reads her copy in a browser: an opener wherever openers are asked for; and what is no opener for anybody.

use std::time::Duration;

use pressrun::event::{Event, EventKind, Evidence};
use pressrun::id::ListId;
use pressrun::numbers;
use pressrun::store::runs::Audience;
use pressrun::track::fold;
use pressrun::trial::{By, Trial};

use super::counted::{has, json, page, played, said};
use super::numbers::{reader, seen};
use super::preferences::manage;
use super::site::{RUN, TestSite};
use crate::harness::Engine;
use crate::on_both;

fn look(seq: u32, second: i64, evidence: &Evidence) -> Event {
    Event {
        kind: EventKind::View,
        ..seen(seq, None, second, evidence)
    }
}

async fn store(site: &TestSite, events: &[Event]) {
    let stored = site.app.store.record_events(events, true).await;
    stored.expect("a write");
    numbers::catch_up(&site.app, RUN).await.expect("a fold");
}

/// How many are in this segment.
fn among(site: &TestSite, segment: &str) -> i64 {
    let told = json(
        site,
        &["segments", "test", segment, "--list", "weekly", "--json"],
    );
    told["readers"].as_i64().expect("a number")
}

/// To how many a second mail of the issue would go.
async fn unopened(site: &TestSite) -> i64 {
    let asked = site
        .app
        .store
        .part_of(ListId(1), Audience::Unopened, RUN, ("week-1", ""), false);
    asked.await.expect("a count")
}

on_both!(
    who_read_it_in_a_browser_is_an_opener_for_segments_and_second_mails_and_a_machine_is_none,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(10).await;
        let curl = Evidence {
            agent: "curl/8.5".into(),
            ..Evidence::default()
        };
        let asked = async || {
            let opened =
                json(&site, &["stats", "week-1", "--json"])["judged"]["opened"]["part"].as_i64();
            (
                opened.expect("a number"),
                among(&site, "opened:week-1"),
                among(&site, "not opened:week-1"),
                unopened(&site).await,
            )
        };
        store(&site, &[look(0, 900, &reader()), look(1, 900, &curl)]).await;
        assert_eq!(asked().await, (1, 1, 9, 9));
        let opened = page(&site, "/runs/2/deliveries?what=opened").await;
        assert!(
            opened.contains("/subscribers/1000\"") && !opened.contains("/subscribers/1001\""),
            "{opened}"
        );
        // Of a database that an older program has judged as well.
        site.db
            .exec(
                "update deliveries set opened_at = null where run_id = 2;
                 update blocks set opened = 0 where run_id = 2;
                 update event_fold set rules = 5",
            )
            .await;
        fold::catch_up(&site.app.store).await.expect("a fold");
        assert_eq!(asked().await, (1, 1, 9, 9));
        assert_eq!(site.counter("opened").await, 2, "machines among them");
        assert_eq!(site.counter("opens").await, 0);
        // Who looked so early that nobody can tell is counted by nobody, and not mailed again either.
        store(&site, &[look(2, 10, &reader())]).await;
        let (opened, among, _, unopened) = asked().await;
        assert_eq!((opened, among, unopened), (1, 1, 8));
        site.stop().await;
    }
);

on_both!(
    of_who_withdrew_nothing_is_told_and_what_was_judged_outlives_the_events,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(80).await;
        played(&site, 32, 20).await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        site.post(&manage(&site, 0), "answer=tracking-off").await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        for path in ["/deliveries/2-0", "/subscribers/1000"] {
            let text = page(&site, path).await;
            assert!(text.contains("she wants nothing counted"), "{text}");
            assert!(
                !text.contains("first on") && !text.contains("human: reader"),
                "{text}"
            );
        }
        let told = json(&site, &["deliveries", "show", "week-1", "0", "--json"]);
        assert!(
            told["clicked_at"].is_null() && told["clicked_by"].is_null(),
            "{told}"
        );
        // The first events are forgotten, and a scanner comes later.
        let forgotten = "select max(id) from events where seq < 40";
        let forgotten = site.db.number(forgotten).await;
        site.db
            .exec(&format!(
                "insert into meta (key, value) values ('events-forgotten', '{forgotten}');
                 delete from delivery_events where event_id <= {forgotten};
                 delete from events where id <= {forgotten}"
            ))
            .await;
        let curl = Evidence {
            agent: "curl/8.5".into(),
            ..Evidence::default()
        };
        store(&site, &[seen(1, Some(0), 90_000, &curl)]).await;
        let text = page(&site, "/deliveries/2-1").await;
        assert!(text.contains("by a reader; when is forgotten"), "{text}");
        assert!(!text.contains("by machines only"), "{text}");
        let link = page(&site, "/runs/2/deliveries?what=clicked&link=0").await;
        assert!(link.contains("/subscribers/1001\""), "{link}");
        // Who withdraws now takes along what was judged of her.
        site.post(&manage(&site, 2), "answer=tracking-off").await;
        let found = json(&site, &["stats", "week-1", "--json"]);
        let judged = &found["judged"];
        for (what, part) in [("clicked", 18), ("opened", 30)] {
            assert_eq!(judged[what]["part"], part, "{judged:#}");
            assert_eq!(judged[what]["whole"], 78, "{judged:#}");
        }
        has(
            &said(&site, &["stats", "week-1"]),
            &["2 of the 80 copies count nothing"],
        );
        site.stop().await;
    }
);

/// Whether each page that shows shares says that they are whole, or that they are not.
async fn assert_whole(site: &TestSite, whole: bool) {
    for path in [
        "/",
        "/issues",
        "/numbers",
        "/runs/2",
        "/runs/2/numbers",
        "/runs/2/clicks",
    ] {
        let text = page(site, path).await;
        let told = text.contains("Not all of it is counted yet");
        assert_eq!(told, !whole, "{path}: {text}");
    }
}

on_both!(
    while_events_wait_to_be_counted_every_page_says_so_and_no_file_is_given,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        // Nobody counts beside.
        site.tracker.close().await;
        site.seed_run(40).await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        played(&site, 20, 10).await;
        let file = "/runs/2/numbers.csv";
        // What has just come is behind no page: the first was at 15 minutes, and the clock stands before them.
        assert_whole(&site, true).await;
        let first = "select min(at) from events";
        let first = site.db.number(first).await;
        let until = first - site.app.clock.now().0;
        let late = Duration::from_millis(until.unsigned_abs()) + Duration::from_secs(11);
        site.app.clock.advance(late);
        assert_whole(&site, false).await;
        // No page counts them itself, of an undecided test neither.
        let trial = Trial {
            a: "Bees".into(),
            b: "Hives".into(),
            revision_b: "none".into(),
            share: 200_000,
            after: 0,
            by: By::Clicks,
            decision: None,
        };
        let trial = trial.to_json();
        site.db
            .exec(&format!("update runs set trial = '{trial}' where id = 2"))
            .await;
        assert_whole(&site, false).await;
        let folded = "select count(*) from delivery_events";
        assert_eq!(site.db.number(folded).await, 0);
        site.db
            .exec("update runs set trial = null where id = 2")
            .await;
        let refused = site.ask_admin(file, "localhost").await;
        assert_eq!(refused.status, 409);
        let refused = refused.text();
        assert!(refused.contains("not all that readers did"), "{refused}");
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        assert_whole(&site, true).await;
        assert!(page(&site, file).await.contains("run,,opened,20,40,0.5"));
        site.stop().await;
    }
);

on_both!(
    while_everything_is_judged_again_no_page_says_that_it_is_whole_and_no_file_is_given,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        // Nobody judges beside.
        site.tracker.close().await;
        site.seed_run(40).await;
        played(&site, 20, 10).await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let path = "/runs/2/numbers.csv";
        assert_whole(&site, true).await;
        assert!(page(&site, path).await.contains("run,,opened,20,40,0.5"));
        site.db.exec("update event_fold set rules = 5").await;
        assert_whole(&site, false).await;
        let file = site.ask_admin(path, "localhost").await;
        assert_eq!(file.status, 409);
        assert!(file.text().contains("judged again"), "{}", file.text());
        // A command does it, and says why that takes a while.
        let (code, _, told) = site.command(&["stats", "week-1"]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("is judged again"), "{told}");
        let (_, _, told) = site.command(&["stats", "week-1"]);
        assert_eq!(told, "");
        site.stop().await;
    }
);
