//! The author's pages: who may ask, what they show, and that nothing in them is markup.

use pressrun::trial::{By, Score, Trial};

use super::site::TestSite;
use super::wire::request;
use crate::harness::Engine;
use crate::on_both;

const HOSTILE: &str = "<script>alert(1)</script>\"''&{{ 7*7 }}";

on_both!(
    only_a_known_host_name_opens_the_admin_site,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        for host in ["localhost", "127.0.0.1:8081", "[::1]", "press.example:80"] {
            assert_eq!(site.ask_admin("/", host).await.status, 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", ""] {
            let answer = site.ask_admin("/", host).await;
            assert_eq!(answer.status, 421, "{host}");
            assert!(answer.header("content-security-policy").is_some());
            assert!(!answer.text().contains("Overview"));
        }
        let absolute = "http://evil.example/";
        let answer = request(site.admin, "GET", absolute, &[("Host", "localhost")], "").await;
        assert_eq!(answer.status, 421);
        // Neither site has the other's pages.
        assert_eq!(site.get("/runs/2").await.status, 404);
        assert_eq!(site.ask_admin("/subscribe", "localhost").await.status, 404);
        site.stop().await;
    }
);

on_both!(
    a_run_is_shown_in_numbers_and_every_text_in_it_is_escaped,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        for path in ["/", "/issues"] {
            let empty = site.ask_admin(path, "localhost").await;
            assert!(empty.text().contains("No issue has been sent yet"));
        }
        site.seed_run(5).await;
        let quoted = HOSTILE.replace('\'', "''");
        site.db
            .exec(&format!(
                "update runs set title = '{quoted}', slug = '{quoted}', reason = '{quoted}' where id = 2;
                 update links set name = '{quoted}', url = '{quoted}' where link = 0;
                 update lists set title = '{quoted}' where id = 1;
                 update blocks set sent = 3, bounced = 1, queued = 1, opened = 2, clicked = 1,
                     departed = 1, opens = 4, clicks = 2 where run_id = 2;
                 insert into link_counts (run_id, link, readers, clicks) values (2, 0, 1, 2)"
            ))
            .await;
        for path in ["/", "/issues", "/runs/2"] {
            let page = site.ask_admin(path, "localhost").await;
            assert_eq!(page.status, 200);
            let text = page.text();
            assert!(!text.contains("<script>"), "{text}");
            assert!(text.contains("&lt;script&gt;alert(1)"), "{text}");
            assert!(text.contains("{{ 7*7 }}"), "{text}");
            assert!(text.contains("33.3 %"), "{text}");
            assert!(
                text.contains("class=\"state-sent\" x=\"0\" y=\"0\" width=\"600\""),
                "{text}"
            );
            assert!(!text.contains("style="), "the policy would drop it: {text}");
        }
        let run = site.ask_admin("/runs/2", "localhost").await.text();
        for state in [
            "Queued",
            "At the dot",
            "Bounced",
            "Expired",
            "Uncertain",
            "Cancelled",
        ] {
            assert!(run.contains(state), "{state}");
        }
        assert!(!run.contains("do not add up"), "{run}");
        site.db
            .exec("update blocks set sent = 2 where run_id = 2")
            .await;
        let run = site.ask_admin("/runs/2", "localhost").await.text();
        assert!(run.contains("do not add up"), "{run}");
        site.has_no_admin_page(&[
            "/runs/1",
            "/runs/3",
            "/runs/x",
            "/runs/99999999999999999999",
        ])
        .await;
        site.stop().await;
    }
);

on_both!(
    a_runs_page_shows_how_its_subject_test_was_decided,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(5).await;
        let mut trial = Trial {
            a: "Bees".into(),
            b: HOSTILE.into(),
            revision_b: "none".into(),
            share: 200_000,
            after: 0,
            by: By::Clicks,
            decision: None,
        };
        let score = |readers| Score {
            sent: 1_000,
            readers,
        };
        trial.decision = Some(trial.decide(score(42), score(54), 7));
        let json = trial.to_json().replace('\'', "''");
        site.db
            .exec(&format!("update runs set trial = '{json}' where id = 2"))
            .await;
        let page = site.ask_admin("/runs/2", "localhost").await;
        let text = page.text();
        assert_eq!(page.status, 200, "{text}");
        assert!(
            text.contains("subject test: B ahead by 1.2 points, could be chance"),
            "{text}"
        );
        assert!(
            text.contains("&lt;script&gt;") && !text.contains("<script>"),
            "{text}"
        );
        site.stop().await;
    }
);
