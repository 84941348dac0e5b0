//! Subscribers on the author's site: found, looked at, taken off, suppressed, erased.

use pressrun::id::SubscriberId;
use pressrun::store::readers;
use sqlx::{AssertSqlSafe, Row};

use super::counted::said;
use super::db::Db;
use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_reader_is_found_by_the_beginning_of_an_address_or_a_part_of_a_name,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(120).await;
        site.db
            .exec(
                "update subscribers set name = 'Zo\u{eb} Quist' where id = 1117;
                 update subscribers set name = '100% _sure_' where id = 1118",
            )
            .await;
        let look = async |query: &str| {
            let page = site
                .ask_admin(&format!("/subscribers{query}"), "localhost")
                .await;
            assert_eq!(page.status, 200);
            page.text()
        };
        let found = look("?q=Reader11%40EXAMPLE.org").await;
        assert_eq!(
            found.matches("<li><div class=\"head\"").count(),
            1,
            "{found}"
        );
        assert!(
            found.contains("/subscribers/1011\">Reader11@example.org"),
            "{found}"
        );
        let found = look("?q=reader11").await;
        assert_eq!(
            found.matches("<li><div class=\"head\"").count(),
            11,
            "11 and 110 to 119"
        );
        for name in ["quist", "Zo%C3%AB+Q", "ist"] {
            let found = look(&format!("?q={name}")).await;
            assert!(found.contains("/subscribers/1117\""), "{name}: {found}");
            assert_eq!(
                found.matches("<li><div class=\"head\"").count(),
                1,
                "{name}"
            );
        }
        // Letters that the database does not fold.
        site.db
            .exec("update subscribers set name = '\u{d6}zg\u{fc}r \u{c7}elik' where id = 1116")
            .await;
        for name in [
            "%C3%B6zg%C3%BCr",
            "%C3%96zg",
            "%C3%A7elik",
            "%C3%B6zg%C3%BCr+%C3%A7",
        ] {
            let found = look(&format!("?q={name}")).await;
            assert!(found.contains("/subscribers/1116\""), "{name}: {found}");
        }
        // Nor does an octet that PostgreSQL takes in no text break anything.
        look("?q=%00x&after=%00").await;
        let found = look("?q=0%25+_").await;
        assert!(found.contains("/subscribers/1118\""), "{found}");
        // The wild cards of a search pattern are letters here.
        assert!(!look("?q=%25&by=name").await.contains("/subscribers/1117\""));
        assert!(
            look("?q=_s%25e_&by=name")
                .await
                .contains("No reader is found so")
        );
        // As many of one name as make more than a page.
        site.db
            .exec("update subscribers set name = 'Ada' where id < 1070")
            .await;
        let first = look("?q=ada&by=name").await;
        assert_eq!(first.matches("<li><div class=\"head\"").count(), 50);
        assert!(first.contains("&amp;after=1049&amp;by=name"), "{first}");
        let next = look("?q=ada&by=name&after=1049").await;
        assert_eq!(next.matches("<li><div class=\"head\"").count(), 20);
        assert!(!next.contains("&amp;after="), "{next}");
        let (mut query, mut seen) = ("?q=".to_owned(), 0);
        for page in 0.. {
            let text = look(&query).await;
            seen += text.matches("<li><div class=\"head\"").count();
            let Some((_, rest)) = text.split_once("&amp;after=") else {
                assert_eq!(page, 2, "120 readers on pages of 50");
                break;
            };
            let (after, _) = rest.split_once('"').expect("the end of the link");
            query = format!("?q=&after={after}");
        }
        assert_eq!(seen, 120);
        site.stop().await;
    }
);

on_both!(
    readers_are_found_by_any_part_of_an_address_by_list_status_tag_segment_and_key,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(120).await;
        site.db
            .exec(
                "update subscriptions set status = 'paused' where key in (1003, 1004);
                 insert into tags (subscriber_id, tag) values (1004, 'paid'), (1005, 'paid')",
            )
            .await;
        let look = async |query: &str| {
            let path = format!("/subscribers{query}");
            let page = site.ask_admin(&path, "localhost").await;
            assert_eq!(page.status, 200, "{path}");
            let page = page.text();
            (page.matches("<li><div class=\"head\"").count(), page)
        };
        for (query, number) in [
            ("?q=ER117%40exam", 1),
            ("?q=example.org", 50),
            ("?q=nowhere.org", 0),
            ("?q=1005", 1),
            ("?status=paused", 2),
            ("?status=paused&q=der3%40", 1),
            ("?tag=paid", 2),
            ("?tag=paid&status=paused&list=weekly", 1),
            ("?tag=paid&list=daily", 2),
            ("?tag=none", 0),
            ("?segment=tag:paid&list=weekly", 1),
        ] {
            let (found, page) = look(query).await;
            assert_eq!(found, number, "{query}: {page}");
        }
        let (_, page) = look("?q=1003").await;
        assert!(page.contains("The Weekly: paused"), "{page}");
        for (wrong, why) in [("?list=none", "none"), ("?segment=tag:", "role=\"alert\"")] {
            let (found, page) = look(wrong).await;
            assert!(found == 0 && page.contains(why), "{wrong}: {page}");
        }
        // Pages of a filter go on with it.
        let (found, page) = look("?status=confirmed").await;
        assert_eq!(found, 50);
        let (_, link) = page
            .split_once("<p><a href=\"/subscribers")
            .expect("a link");
        let (link, _) = link.split_once('"').expect("its end");
        let (found, page) = look(&link.replace("&amp;", "&")).await;
        assert!(found == 50 && !page.contains(": paused"), "{link}: {page}");
        site.stop().await;
    }
);

on_both!(
    one_reader_has_a_whole_story_that_also_says_what_she_wished,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        site.db
            .exec(
                "update subscribers set name = 'Ada', fields = '{\"city\":\"Ulm\"}', tracking = 'off' where id = 1001;
                 insert into tags (subscriber_id, tag) values (1001, 'paid'), (1001, 'founder');
                 insert into consents (subscriber_id, at, what, list_id) values (1001, 1000, 'tracking-off', 0), (1001, 500, 'confirm', 1);
                 update subscriptions set status = 'unsubscribed', left_at = 2000 where key = 101001;
                 insert into imports (id, list_id, file, service, fingerprint, status, consent, begun_at, done, tally)
                     values (7, 1, 'old.csv', '', '', 'confirmed', 'they asked me', 100, 0, '');
                 update subscriptions set import_id = 7 where key = 1001;
                 insert into leave_reasons (subscription, at, reason, words) values (101001, 2000, 'often', 'far too often');
                 update deliveries set opened_at = 5000, attempts = 2 where run_id = 2 and seq = 1;
                 insert into events (id, at, kind, run_id, seq, link, evidence) values
                     (1, 5000, 'open', 2, 1, null, '{\"after\":7,\"agent\":\"Firefox\"}'),
                     (2, 6000, 'click', 2, 1, 1, '{}');
                 insert into delivery_events (run_id, seq, event_id, after) values (2, 1, 1, null), (2, 1, 2, null)",
            )
            .await;
        let page = site
            .ask_admin("/subscribers/1001", "localhost")
            .await
            .text();
        for words in [
            "Reader1@example.org",
            "Ada",
            "city",
            "Ulm",
            "founder, paid",
            "tracking-off",
            "imported from old.csv: they asked me",
            "all lists",
            "The Weekly",
            "The Daily",
            "left because: often: far too often",
            "Week 1",
            "2 attempts",
            "opened: first on",
            "human: reader",
            "clicked: by machines only",
            "machine: no-agent",
            "2 events",
            "open, 7 s after it was sent",
            "Firefox",
            "click of https:&#x2f;&#x2f;two.example&#x2f;",
            "/deliveries/2-1",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("Reader2@example.org"));
        let taken = site.app.store.export_reader(SubscriberId(1001)).await;
        let consents = taken.expect("a reader").expect("her data").consents;
        let whats: Vec<_> = consents.iter().map(|one| &one["what"]).collect();
        let imported = "imported from old.csv: they asked me";
        assert_eq!(whats, [imported, "confirm", "tracking-off"]);
        for missing in ["/subscribers/1", "/subscribers/x", "/subscribers/-1"] {
            assert_eq!(site.ask_admin(missing, "localhost").await.status, 404);
        }
        let delivery = site.ask_admin("/deliveries/2-1", "localhost").await.text();
        assert!(delivery.contains("No copy was made"), "{delivery}");
        site.stop().await;
    }
);

on_both!(
    a_reader_is_taken_off_suppressed_and_erased_and_the_audit_names_her_key_alone,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(4).await;
        let queued = "update deliveries set state = 'queued', settled_at = null where run_id = 2;
            update blocks set sent = 0, queued = 4 where run_id = 2";
        site.db.exec(queued).await;
        let slip = site
            .press_admin("/subscribers/1000/unsubscribe", "subscription=1000")
            .await;
        assert_eq!(slip.status, 409, "nobody goes by one press");
        assert_eq!(site.status(1000).await, "confirmed");
        let off = site
            .press_admin(
                "/subscribers/1000/unsubscribe",
                "subscription=1000&sure=yes",
            )
            .await;
        assert_eq!(
            (off.status, off.header("location")),
            (303, Some("/subscribers/1000"))
        );
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(
            site.status(101_000).await,
            "confirmed",
            "the other list stays"
        );
        assert_eq!(
            site.counter("unsubscribed").await,
            1,
            "leaving wins in the run, too"
        );
        // Somebody else's subscription is not hers to end.
        let foreign = site
            .press_admin(
                "/subscribers/1000/unsubscribe",
                "subscription=1001&sure=yes",
            )
            .await;
        assert_eq!(foreign.status, 400);
        assert_eq!(site.status(1001).await, "confirmed");

        assert_eq!(
            site.press_admin("/subscribers/1001/suppress", "reason=asked")
                .await
                .status,
            409
        );
        assert_eq!(site.counter("suppressed").await, 0);
        let gone = site
            .press_admin("/subscribers/1001/suppress", "reason=asked&sure=yes")
            .await;
        assert_eq!(gone.status, 303);
        assert_eq!(site.counter("suppressed").await, 1);
        let page = site
            .ask_admin("/subscribers/1001", "localhost")
            .await
            .text();
        assert!(page.contains("Suppressed: asked, since"), "{page}");

        assert_eq!(
            site.press_admin("/subscribers/1002/erase", "").await.status,
            409
        );
        let erased = site
            .press_admin("/subscribers/1002/erase", "sure=yes")
            .await;
        assert_eq!(erased.header("location"), Some("/subscribers?done=erased"));
        assert_eq!(
            site.ask_admin("/subscribers/1002", "localhost")
                .await
                .status,
            404
        );
        let left = "select count(*) from subscribers where id = 1002";
        assert_eq!(site.db.number(left).await, 0);
        assert_eq!(site.counter("suppressed").await, 2);

        let audit = site.ask_admin("/audit", "localhost").await.text();
        for line in [
            "took a reader off `weekly`",
            "suppressed a reader",
            "erased a reader",
            "reader 1002",
        ] {
            assert!(audit.contains(line), "{line}: {audit}");
        }
        assert!(!audit.contains("example.org"), "{audit}");
        site.stop().await;
    }
);

on_both!(
    an_address_is_suppressed_asked_for_and_allowed_again_and_named_nowhere,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let ask = async || {
            let body = "address=Nobody%40Example.org";
            site.press_admin("/suppressions/check", body).await.text()
        };
        assert!(ask().await.contains("is not suppressed"));
        let body = "address=nobody%40example.org&reason=asked+by+phone";
        let added = site.press_admin("/suppressions/add", body).await;
        assert_eq!(added.header("location"), Some("/suppressions?done=added"));
        let again = site.press_admin("/suppressions/add", body).await;
        assert_eq!(again.header("location"), Some("/suppressions?done=known"));
        assert!(ask().await.contains("asked by phone"));
        let mut page = site.ask_admin("/suppressions", "localhost").await.text();
        // The page does not wait long for its counting; a busy machine counts at the next look.
        for _ in 0..50 {
            if !page.contains("Too many to be counted") {
                break;
            }
            page = site.ask_admin("/suppressions", "localhost").await.text();
        }
        assert!(
            page.contains("asked by phone") && !page.contains("nobody@"),
            "{page}"
        );
        let unsure = site
            .press_admin("/suppressions/remove", "address=nobody%40example.org")
            .await;
        assert_eq!(unsure.status, 409);
        assert!(ask().await.contains("asked by phone"));
        let body = "address=nobody%40example.org&sure=yes";
        let allowed = site.press_admin("/suppressions/remove", body).await;
        assert_eq!(
            allowed.header("location"),
            Some("/suppressions?done=removed")
        );
        assert!(ask().await.contains("is not suppressed"));
        assert_eq!(
            site.press_admin("/suppressions/remove", body).await.status,
            409
        );
        assert_eq!(
            site.press_admin("/suppressions/add", "address=x")
                .await
                .status,
            409
        );
        // Where a reader's own spelling is what is suppressed, it is named to whoever would allow another.
        let reader = ["subscribers", "add", "here@example.org", "--list", "weekly"];
        said(&site, &[&reader[..], &["--consent", "asked"]].concat());
        site.press_admin("/suppressions/add", "address=here%40example.org")
            .await;
        let other = "address=here%2Bx%40example.org&sure=yes";
        let told = site.press_admin("/suppressions/remove", other).await;
        assert_eq!(told.status, 409);
        assert!(told.text().contains("here@example.org"), "{}", told.text());
        let audit = site.ask_admin("/audit", "localhost").await.text();
        assert!(audit.contains("suppressed an address"), "{audit}");
        // The second press was refused: it changed nothing and leaves no line.
        assert_eq!(audit.matches("allowed a suppressed address").count(), 1);
        assert!(!audit.contains("nobody"), "{audit}");
        site.stop().await;
    }
);

#[test]
fn no_look_at_readers_reads_a_whole_table() {
    crate::harness::block_on(async {
        let site = TestSite::new(Engine::Sqlite).await;
        let Db::Sqlite(pool) = &site.db else {
            panic!("SQLite was asked for");
        };
        let plan = async |statement: &str| -> Vec<String> {
            let text = AssertSqlSafe(format!("explain query plan {statement}"));
            let rows = sqlx::query(text).fetch_all(pool).await.expect("a plan");
            rows.iter().map(|row| row.get(3)).collect()
        };
        for statement in [
            readers::READERS_FROM,
            readers::LAST_LOOKED_AT,
            readers::READERS_SOUGHT,
            readers::READER,
            readers::JOINED,
            readers::CONSENTS,
            readers::DELIVERIES,
            readers::EVENTS,
        ] {
            let steps = plan(statement).await;
            assert!(!steps.is_empty());
            for step in &steps {
                assert!(!step.starts_with("SCAN"), "{statement}: {steps:?}");
                // What belongs to one reader may be sorted; of all readers nothing is.
                let sorted = step.contains("USE TEMP B-TREE");
                let whole = statement.contains("from subscribers");
                assert!(!(sorted && whole), "{statement}: {steps:?}");
            }
        }
        let all = plan("select count(*) from subscribers where lower(name) = 'a'").await;
        assert!(
            all[0].starts_with("SCAN"),
            "what is looked for can be found: {all:?}"
        );
        site.stop().await;
    });
}

on_both!(
    every_page_says_its_times_in_the_zone_of_the_publication,
    async |engine: Engine| {
        let zone = [(
            "[publication]",
            "[publication]\ntimezone = \"Europe/Berlin\"",
        )];
        let site = TestSite::with(engine, &TestSite::config(&zone), |_| {}).await;
        site.seed_run(2).await;
        for path in [
            "/runs/2",
            "/subscribers",
            "/subscribers/1000",
            "/deliveries/2-0",
            "/lists/1",
            "/sessions",
        ] {
            let page = site.ask_admin(path, "localhost").await;
            assert_eq!(page.status, 200, "{path}");
            let page = page.text().replace("&#x2f;", "/");
            assert!(page.contains(" Europe/Berlin"), "{path}: {page}");
            assert!(!page.contains("UTC"), "{path}: {page}");
        }
        // A run is followed by ear as by eye.
        let run = site.ask_admin("/runs/2", "localhost").await.text();
        for part in [
            "role=\"progressbar\" aria-label=\"Deliveries done\"",
            "aria-valuenow=\"100\"",
            "<p id=\"told\" class=\"extra\" role=\"status\" aria-live=\"polite\"></p>",
            "data-step=\"10\"",
        ] {
            assert!(run.contains(part), "{part}: {run}");
        }
        site.stop().await;
    }
);
