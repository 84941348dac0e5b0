//! How the site is found and passed on, and in which language it is read out.

use super::site::{TestSite, unsubscribe};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    the_front_page_may_be_found_and_says_what_it_is_where_it_is_shared,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.publish("bees", "").await;
        let front = site.get("/").await;
        assert_eq!(front.header("x-robots-tag"), Some("all"));
        assert_eq!(front.header("cache-control"), Some("no-store"));
        let page = front.text();
        for part in [
            "<meta property=\"og:title\" content=\"Field &lt;Notes&gt;\">",
            "<meta property=\"og:url\" content=\"http://127.0.0.1:8080/\">",
            "<meta property=\"og:description\" content=\"Notes from the field &amp; the forest.\">",
            "<meta name=\"description\" content=\"Notes from the field &amp; the forest.\">",
            "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/\">",
            "type=\"application/atom+xml\"",
            "href=\"/archive/bees\"",
        ] {
            assert_eq!(page.matches(part).count(), 1, "{part}: {page}");
        }
        // The form under its own address is the same page, and not to be found beside it.
        let form = site.get("/subscribe").await;
        assert_eq!(form.header("x-robots-tag"), Some("noindex"));
        assert!(
            form.text()
                .contains("<link rel=\"canonical\" href=\"http://127.0.0.1:8080/\">")
        );
        let index = site.get("/archive").await.text();
        for part in [
            "<meta property=\"og:title\" content=\"Issues - Field &lt;Notes&gt;\">",
            "<meta property=\"og:url\" content=\"http://127.0.0.1:8080/archive\">",
            "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/archive\">",
        ] {
            assert_eq!(index.matches(part).count(), 1, "{part}: {index}");
        }
        // Whatever belongs to one reader is to be found by nobody.
        for path in ["/u/x", "/preferences/x", "/confirm/x", "/view/x", "/embed"] {
            let answer = site.get(path).await;
            assert_eq!(answer.header("x-robots-tag"), Some("noindex"), "{path}");
            assert!(!answer.text().contains("og:"), "{path}");
        }
        site.stop().await;
    }
);

on_both!(
    english_is_read_out_as_english_and_the_authors_words_in_their_language,
    async |engine: Engine| {
        let config = TestSite::config(&[("language = \"en\"", "language = \"de-AT\"")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        site.seed_run(1).await;
        let front = site.get("/").await.text();
        assert!(front.contains("<html lang=\"en\">"), "{front}");
        for part in [
            "<h1 lang=\"de-AT\">Field &lt;Notes&gt;</h1>",
            "<p class=\"lead\" lang=\"de-AT\">Notes from",
            "<footer lang=\"de-AT\">",
        ] {
            assert!(front.contains(part), "{part}: {front}");
        }
        let leave = format!("/u/{}", site.token(unsubscribe(0)));
        let leave = site.get(&leave).await.text();
        assert!(
            leave.contains("<strong lang=\"de-AT\">The Weekly</strong>"),
            "{leave}"
        );
        site.stop().await;
        let site = TestSite::new(engine).await;
        let front = site.get("/").await.text();
        assert_eq!(front.matches("lang=").count(), 1, "{front}");
        site.stop().await;
    }
);
