//! The author's page of segments: what is declared, and an expression tried on a list.

use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_segment_is_tried_on_the_authors_page,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let empty = site.ask_admin("/segments", "localhost").await;
        assert_eq!(empty.status, 200);
        assert!(empty.text().contains("declares none"), "{}", empty.text());
        site.db.exec("delete from lists").await;
        site.ask_admin("/segments?q=tag%3Apaid", "localhost").await;
        let lists = "select count(*) from lists";
        assert_eq!(site.db.number(lists).await, 0, "a look makes no list");
        site.db
            .exec("insert into lists (id, slug, title, label, created_at) values (1, 'weekly', 'W', 'abc', 0), (2, 'daily', 'D', 'def', 0)")
            .await;
        site.seed_run(5).await;
        site.db
            .exec("insert into tags select min(id), 'paid' from subscribers")
            .await;
        for (asked, expected) in [
            ("tag%3Apaid", "<strong>1</strong> of 5 confirmed readers"),
            (
                "not+tag%3Apaid",
                "<strong>4</strong> of 5 confirmed readers",
            ),
            (
                "tag%3Apayd",
                "no reader bears the tag `payd`; did you mean `paid`?",
            ),
            ("tag%3A%3Cscript%3E", "column 1: `tag:` says nothing"),
            ("%3Cscript%3E", "column 1"),
        ] {
            let page = site
                .ask_admin(&format!("/segments?q={asked}"), "localhost")
                .await;
            let text = page.text();
            assert_eq!(page.status, 200, "{text}");
            assert!(!text.contains("<script>"), "{text}");
            assert!(text.contains(expected), "{asked}: {text}");
        }
        let page = site
            .ask_admin("/segments?q=tag%3Apaid", "localhost")
            .await
            .text();
        assert!(
            page.contains("/subscribers/1000\">Reader0@example.org"),
            "{page}"
        );
        site.stop().await;
    }
);
