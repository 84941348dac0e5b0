//! What a reader's page offers only where the author does: a digest of the month, and what she says of herself.

use std::path::Path;

use super::preferences::manage;
use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    the_digest_is_offered_where_it_is_promised_and_who_waits_in_vain_is_told,
    async |engine: Engine| {
        let config = TestSite::config(&[("open = true", "open = true\nmonthly = [\"daily\"]")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        site.seed_run(2).await;
        let path = manage(&site, 0);
        let page = site.get(&path).await.text();
        assert!(
            page.contains("There is a digest of <span>The Daily</span>"),
            "{page}"
        );
        assert!(!page.contains("nothing comes to you of it"), "{page}");
        let both = "answer=lists&list=weekly&list=daily&frequency=";
        site.post(&path, &format!("{both}monthly")).await;
        let of = async |key: i64| {
            let wish = format!("select frequency from subscriptions where key = {key}");
            site.db.text(&wish).await.expect("a reader")
        };
        assert_eq!(
            (of(1000).await, of(101_000).await),
            ("every".into(), "monthly".into())
        );
        // One who asked for it while it was offered, or whom a file brought so.
        site.db
            .exec("update subscriptions set frequency = 'monthly' where key in (1001, 101001)")
            .await;
        let path = manage(&site, 1);
        let page = site.get(&path).await.text();
        assert!(
            page.contains("there is none of <span>The Weekly</span>"),
            "{page}"
        );
        let page = site.post(&path, &format!("{both}every")).await.text();
        assert!(!page.contains("there is none of"), "{page}");
        assert_eq!(
            (of(1001).await, of(101_001).await),
            ("every".into(), "every".into())
        );
        site.stop().await;
        // Where the author promises none, none is offered.
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let page = site.get(&manage(&site, 0)).await.text();
        assert!(!page.contains("frequency"), "{page}");
        site.post(&manage(&site, 0), &format!("{both}monthly"))
            .await;
        let monthly = "select count(*) from subscriptions where frequency = 'monthly'";
        assert_eq!(site.db.number(monthly).await, 0);
        site.stop().await;
    }
);

on_both!(
    what_she_said_of_herself_is_shown_changed_and_taken_back,
    async |engine: Engine| {
        let asked =
            "open = true\nfields = [\"name\", \"city\", \"born\"]\ntags = [\"jobs\", \"events\"]";
        let config = TestSite::config(&[("open = true", asked)]);
        let fields = "[fields.city]\ntype = \"text\"\n[fields.born]\ntype = \"date\"\n[fields.vip]\ntype = \"bool\"\n";
        let declared = |folder: &Path| {
            std::fs::create_dir_all(folder.join("emails")).expect("a folder");
            std::fs::write(folder.join("emails/fields.toml"), fields).expect("a file");
        };
        let site = TestSite::prepared(engine, &config, declared).await;
        site.seed_run(2).await;
        site.db
            .exec(
                "update subscribers set name = 'An', fields = '{\"city\":\"Bern <3\",\"vip\":true}' where id = 1000;
                 insert into tags (subscriber_id, tag) values (1000, 'jobs'), (1000, 'paid')",
            )
            .await;
        let path = manage(&site, 0);
        let page = site.get(&path).await.text();
        for part in [
            "value=\"An\"",
            "value=\"Bern &lt;3\"",
            "value=\"jobs\" checked",
            "value=\"events\">",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("paid") && !page.contains("vip"), "{page}");
        let kept = "select name || ' ' || fields from subscribers where id = 1000";
        let tags = "select count(*) * 10 + count(case when tag in ('events', 'paid') then 1 end)
                    from tags where subscriber_id = 1000";
        // What is wrong changes nothing, and says which it was.
        let wrong = "answer=about&field_name=Ann&field_city=Basel&field_born=soon&tag=events";
        let page = site.post(&path, wrong).await.text();
        assert!(
            page.contains("Please look at “Born” again") && page.contains("Nothing was changed"),
            "{page}"
        );
        assert!(
            site.db
                .text(kept)
                .await
                .expect("a reader")
                .starts_with("An {")
        );
        let right = "answer=about&field_name=Ann&field_city=Basel&field_born=1990-02-03&tag=events&tag=paid";
        let page = site.post(&path, right).await.text();
        assert!(
            page.contains("Saved.") && page.contains("value=\"Ann\""),
            "{page}"
        );
        assert_eq!(
            site.db.text(kept).await.as_deref(),
            Some("Ann {\"born\":\"1990-02-03\",\"city\":\"Basel\",\"vip\":true}")
        );
        assert_eq!(site.db.number(tags).await, 22);
        // Emptied, it is forgotten; the author's own field and tag stay.
        site.post(&path, "answer=about&field_name=&field_city=")
            .await;
        assert_eq!(site.db.text(kept).await.as_deref(), Some(" {\"vip\":true}"));
        assert_eq!(site.db.number(tags).await, 11);
        // The link in the mailbox that she gave up shows nothing of it and changes nothing.
        site.post(&path, "answer=about&field_name=Ann").await;
        site.post(&path, "answer=address&email=new%40example.net")
            .await;
        let wish = site.link_of_wish(0).await;
        assert_eq!(site.post(&wish, "answer=confirm").await.status, 200);
        assert!(!site.get(&path).await.text().contains("Ann"));
        assert_eq!(
            site.post(&path, "answer=about&field_name=Eve").await.status,
            400
        );
        assert!(
            site.db
                .text(kept)
                .await
                .expect("a reader")
                .starts_with("Ann {")
        );
        site.stop().await;
    }
);
