//! What a reader is offered only where the author does: a digest of the month, and to say something of herself.

use std::path::Path;
use std::time::Duration;

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
        // Whoever has a mail of hers opens her page, which tells nothing of it and changes nothing.
        let page = manage(&site, 0);
        let shown = site.get(&page).await.text();
        for secret in ["An\"", "Bern", "jobs", "field_"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        assert!(shown.contains("About you"), "{shown}");
        let forged = site.post(&page, "answer=about&field_name=Eve").await;
        assert_eq!(forged.status, 400);
        let kept = "select name || ' ' || fields from subscribers where id = 1000";
        let tags = "select count(*) * 10 + count(case when tag in ('events', 'paid') then 1 end)
                    from tags where subscriber_id = 1000";
        let begins = async |name: &str| {
            let kept = site.db.text(kept).await.expect("a reader");
            assert!(kept.starts_with(name), "{kept}");
        };
        begins("An {").await;
        // The link in her mailbox does both.
        site.post(&page, "answer=export").await;
        let path = site.link_of_proof(0, "export").await;
        let shown = site.get(&path).await.text();
        for part in [
            "value=\"An\"",
            "value=\"Bern &lt;3\"",
            "value=\"jobs\" checked",
            "value=\"events\">",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("paid") && !shown.contains("vip"), "{shown}");
        // What is wrong changes nothing, says which it was, and is not typed twice.
        let wrong = "answer=about&field_name=Ann&field_city=Basel&field_born=soon&tag=events";
        let shown = site.post(&path, wrong).await.text();
        for part in [
            "Please look at “Born” again",
            "Nothing was changed",
            "value=\"soon\" aria-invalid=\"true\"",
            "value=\"Basel\"",
            "value=\"events\" checked",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        begins("An {").await;
        let right = "answer=about&field_name=Ann&field_city=Basel&field_born=1990-02-03&tag=events&tag=paid";
        let shown = site.post(&path, right).await.text();
        assert!(
            shown.contains("Saved.") && shown.contains("value=\"Ann\""),
            "{shown}"
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
        // The link for her erasure is none for this.
        site.post(&page, "answer=erase-mail").await;
        let erase = site.link_of_proof(0, "erase").await;
        let other = site.post(&erase, "answer=about&field_name=Eve").await;
        assert_eq!(other.status, 400);
        begins(" {").await;
        site.mail_all().await;
        site.app.clock.advance(Duration::from_secs(86_400));
        let late = site.post(&path, "answer=about&field_name=Eve").await;
        assert_eq!(late.status, 404);
        site.stop().await;
    }
);

on_both!(
    what_no_reader_may_lack_is_not_emptied_and_a_box_without_a_tick_says_no,
    async |engine: Engine| {
        let asked = "open = true\nfields = [\"city\", \"vip\", \"tall\"]";
        let config = TestSite::config(&[("open = true", asked)]);
        let fields = "[fields.city]\ntype = \"text\"\nrequired = true\n[fields.vip]\ntype = \"bool\"\n[fields.tall]\ntype = \"bool\"\n";
        let declared = |folder: &Path| {
            std::fs::create_dir_all(folder.join("emails")).expect("a folder");
            std::fs::write(folder.join("emails/fields.toml"), fields).expect("a file");
        };
        let site = TestSite::prepared(engine, &config, declared).await;
        site.seed_run(2).await;
        site.db
            .exec("update subscribers set fields = '{\"city\":\"Bern\",\"vip\":false}' where id = 1000")
            .await;
        site.post(&manage(&site, 0), "answer=export").await;
        let path = site.link_of_proof(0, "export").await;
        let kept = "select fields from subscribers where id = 1000";
        let shown = site.post(&path, "answer=about&field_city=+").await.text();
        assert!(shown.contains("Please fill in “City”."), "{shown}");
        assert!(!shown.contains("(optional)"), "{shown}");
        let unchanged = Some("{\"city\":\"Bern\",\"vip\":false}");
        assert_eq!(site.db.text(kept).await.as_deref(), unchanged);
        // Saved as it stood, it stands as it stood.
        site.post(&path, "answer=about&field_city=Bern").await;
        assert_eq!(site.db.text(kept).await.as_deref(), unchanged);
        site.post(&path, "answer=about&field_city=Ulm&field_vip=true")
            .await;
        let ticked = Some("{\"city\":\"Ulm\",\"vip\":true}");
        assert_eq!(site.db.text(kept).await.as_deref(), ticked);
        site.post(&path, "answer=about&field_city=Ulm").await;
        let unticked = Some("{\"city\":\"Ulm\",\"vip\":false}");
        assert_eq!(site.db.text(kept).await.as_deref(), unticked);
        site.stop().await;
    }
);
