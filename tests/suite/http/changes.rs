//! What the author changes of one reader, takes back, and asks about her.

use pressrun::access::totp;

use super::site::{NOON, TestSite, unsubscribe};
use super::wire::request;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    who_was_taken_off_by_a_slip_is_put_back_and_who_left_herself_is_not,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let press = async |what: &str, reader: i64, body: &str| {
            let path = format!("/subscribers/{reader}/{what}");
            site.press_admin(&path, body).await.status
        };
        let off = "subscription=1000&sure=yes";
        assert_eq!(press("unsubscribe", 1000, off).await, 303);
        assert_eq!(site.status(1000).await, "unsubscribed");
        let page = site
            .ask_admin("/subscribers/1000", "localhost")
            .await
            .text();
        assert!(page.contains("Put back on weekly"), "{page}");
        assert_eq!(press("return", 1000, "subscription=1000").await, 303);
        assert_eq!(site.status(1000).await, "confirmed");
        // Twice is no more than once, and who left herself stays away.
        assert_eq!(press("return", 1000, "subscription=1000").await, 409);
        let leave = format!("/u/{}", site.token(unsubscribe(1)));
        let left = site.post(&leave, "List-Unsubscribe=One-Click").await;
        assert_eq!(left.status, 200);
        assert_eq!(press("return", 1001, "subscription=1001").await, 409);
        assert_eq!(site.status(1001).await, "unsubscribed");
        // Whose subscription has a key is told by it.
        let (code, shown, _) = site.command(&["subscribers", "show", "101001"]);
        assert_eq!(code, Some(0));
        assert!(shown.starts_with("Reader1@example.org\n"), "{shown}");
        let page = site
            .ask_admin("/subscribers/1001", "localhost")
            .await
            .text();
        assert!(!page.contains("Put back"), "{page}");
        // Nor who leaves by the mail in her inbox after the author took her off: the page offers it no more.
        assert_eq!(press("unsubscribe", 1000, off).await, 303);
        let leave = format!("/u/{}", site.token(unsubscribe(0)));
        let left = site.post(&leave, "List-Unsubscribe=One-Click").await;
        assert_eq!(left.status, 200);
        let page = site
            .ask_admin("/subscribers/1000", "localhost")
            .await
            .text();
        assert!(!page.contains("Put back"), "{page}");
        assert_eq!(press("return", 1000, "subscription=1000").await, 409);
        assert_eq!(site.status(1000).await, "unsubscribed");
        // Nor by a command, which puts back whom the author took off and says why.
        let add = |address: &str| {
            let arguments = [
                "subscribers",
                "add",
                address,
                "--list",
                "weekly",
                "--consent",
                "wrote me",
            ];
            site.command(&arguments)
        };
        let (code, _, why) = add("reader1@example.org");
        assert_eq!(code, Some(1));
        assert!(why.contains("only the reader can come back"), "{why}");
        let off = [
            "subscribers",
            "remove",
            "reader2@example.org",
            "--list",
            "weekly",
        ];
        let (code, said, _) = site.command(&off);
        assert_eq!(code, Some(0));
        assert!(said.contains("takes it back"), "{said}");
        let (code, said, why) = add("reader2@example.org");
        assert_eq!(code, Some(0), "{why}");
        assert!(said.starts_with("put back on `weekly`"), "{said}");
        assert_eq!(site.status(1002).await, "confirmed");
        site.stop().await;
    }
);

on_both!(
    the_author_changes_what_a_reader_asks_to_be_changed_and_the_old_address_is_told,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let fields = "[fields.city]\ntype = \"text\"\n";
        std::fs::create_dir_all(site.app.emails()).expect("a folder");
        std::fs::write(site.app.emails().join("fields.toml"), fields).expect("a file");
        site.seed_run(3).await;
        let change = async |body: &str| site.press_admin("/subscribers/1000/change", body).await;
        let entry = async || {
            let query = "select count(*) from subscribers where id = 1000 and name = 'Ada'
                 and fields = '{\"city\":\"Ulm\"}' and canonical = 'ada@example.net'";
            site.db.number(query).await
        };
        let all = "address=ada%40example.net&name=Ada&field-city=Ulm&tags=paid%2C+early-bird";
        let unsaid = change(all).await;
        assert_eq!(unsaid.status, 409, "how is it known?");
        assert!(
            unsaid.text().contains("ada@example.net"),
            "what was typed is not lost"
        );
        assert_eq!(entry().await, 0);
        let taken = change("address=Reader1%40example.org&name=Ada&said=wrote+me").await;
        assert_eq!(taken.status, 409);
        assert_eq!(entry().await, 0);
        let done = change(&format!("{all}&said=wrote+me")).await;
        assert_eq!(
            done.header("location"),
            Some("/subscribers/1000?done=told"),
            "{}",
            done.text()
        );
        assert_eq!(entry().await, 1);
        let tags = "select count(*) from tags where subscriber_id = 1000";
        assert_eq!(site.db.number(tags).await, 2);
        let told = "select count(*) from system_mails where address = 'Reader0@example.org'";
        assert_eq!(site.db.number(told).await, 1, "the old address is told");
        let page = site
            .ask_admin("/subscribers/1000", "localhost")
            .await
            .text();
        assert!(page.contains("another address: wrote me"), "{page}");
        // The same by a command, one part at a time.
        let arguments = |more: &[&str]| {
            let all = [&["subscribers", "change", "ada@example.net"], more].concat();
            site.command(&all)
        };
        let (code, said, why) = arguments(&["--field", "city=", "--untag", "paid"]);
        assert_eq!(
            (code, said.as_str()),
            (Some(0), "changed: fields, tags\n"),
            "{why}"
        );
        let (code, said, _) = arguments(&["--name", "Ada"]);
        assert_eq!(code, Some(0));
        assert!(said.contains("nothing was changed"), "{said}");
        let (code, _, why) = arguments(&[]);
        assert_eq!(code, Some(1));
        assert!(why.contains("say what to change"), "{why}");
        let audit = site.ask_admin("/audit", "localhost").await.text();
        assert!(audit.contains("address, name, fields, tags"), "{audit}");
        assert!(!audit.contains("example.net"), "{audit}");
        site.stop().await;
    }
);

on_both!(
    what_the_author_leaves_in_the_form_as_it_stood_stays_as_it_has_become_meanwhile,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let fields = "[fields.city]\ntype = \"text\"\n";
        std::fs::create_dir_all(site.app.emails()).expect("a folder");
        std::fs::write(site.app.emails().join("fields.toml"), fields).expect("a file");
        site.seed_run(1).await;
        site.db
            .exec(
                "insert into tags (subscriber_id, tag) values (1000, 'early-bird'), (1000, 'late')",
            )
            .await;
        // As a browser sends the form of the page that was loaded now.
        let page = site
            .ask_admin("/subscribers/1000", "localhost")
            .await
            .text();
        let page = scraper::Html::parse_document(&page);
        let inputs = scraper::Selector::parse("form[action$='/change'] input").expect("one");
        let loaded: Vec<(String, String)> = page
            .select(&inputs)
            .filter_map(|input| {
                let value = input.value().attr("value").unwrap_or_default();
                Some((input.value().attr("name")?.to_owned(), value.to_owned()))
            })
            .collect();
        let send = async |typed: &[(&str, &str)]| {
            let mut body = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in &loaded {
                let typed = typed.iter().find(|(field, _)| field == name);
                body.append_pair(name, typed.map_or(value, |(_, typed)| typed));
            }
            let answer = site
                .press_admin("/subscribers/1000/change", &body.finish())
                .await;
            assert_eq!(answer.status, 303, "{}", answer.text());
            answer.header("location").expect("a place").to_owned()
        };
        // Meanwhile she pays, and tells where she lives.
        let meanwhile = [
            "subscribers",
            "change",
            "reader0@example.org",
            "--tag",
            "paid",
            "--untag",
            "late",
            "--field",
            "city=Ulm",
        ];
        let (code, _, why) = site.command(&meanwhile);
        assert_eq!(code, Some(0), "{why}");
        let stands = async |name: &str, city: &str, tags: &[&str]| {
            let entry = format!(
                "select count(*) from subscribers where id = 1000 and name = '{name}'
                 and fields = '{{\"city\":\"{city}\"}}'"
            );
            assert_eq!(site.db.number(&entry).await, 1, "{name} of {city}");
            let all = "select count(*) from tags where subscriber_id = 1000";
            let count = i64::try_from(tags.len()).expect("few");
            assert_eq!(site.db.number(all).await, count, "{tags:?}");
            for tag in tags {
                let one = format!("{all} and tag = '{tag}'");
                assert_eq!(site.db.number(&one).await, 1, "{tag}");
            }
        };
        let there = "/subscribers/1000?done=";
        assert_eq!(send(&[]).await, format!("{there}same"));
        stands("", "Ulm", &["early-bird", "paid"]).await;
        assert_eq!(send(&[("name", "Ada")]).await, format!("{there}changed"));
        stands("Ada", "Ulm", &["early-bird", "paid"]).await;
        let typed = [("tags", "late, second"), ("field-city", "Bonn")];
        assert_eq!(send(&typed).await, format!("{there}changed"));
        stands("Ada", "Bonn", &["paid", "second"]).await;
        // Another spelling is no other address, and that is said.
        let spelled = [("address", "reader0@EXAMPLE.org"), ("name", "Ada")];
        assert_eq!(send(&spelled).await, format!("{there}same"));
        site.stop().await;
    }
);

on_both!(
    whoever_asks_for_a_copy_that_there_is_not_is_told_why,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let after = NOON.0;
        site.db
            .exec(&format!(
                "delete from deliveries where run_id = 2 and seq in (0, 1, 2);
                 update subscriptions set confirmed_at = {after} where key = 1000;
                 update subscriptions set frequency = 'monthly' where key = 1001;
                 delete from subscriptions where key = 1002"
            ))
            .await;
        for (who, why) in [
            ("reader0@example.org", "when the run had begun"),
            ("reader1@example.org", "the digest of the month alone"),
            ("reader2@example.org", "she is not on `weekly`"),
            ("nobody@example.org", "no reader has this address"),
        ] {
            let (code, _, said) = site.command(&["deliveries", "show", "week-1", who]);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains(why), "{who}: {said}");
        }
        site.stop().await;
    }
);

on_both!(
    a_session_ends_with_a_change_of_the_second_factor_and_a_stream_is_told_so,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let cookie = site.cookie().await;
        let stream = async || {
            let headers = [
                ("Host", "localhost"),
                ("Cookie", cookie.as_str()),
                ("Accept", "text/event-stream"),
            ];
            request(site.admin, "GET", "/sessions", &headers, "").await
        };
        assert_eq!(stream().await.status, 200);
        totp::turn_off(&site.app).await.expect("off");
        let ended = stream().await;
        assert_eq!(ended.status, 401, "no login page in place of a stream");
        let page = site.ask_admin("/runs/2", "localhost").await;
        assert_eq!(page.header("location"), Some("/login?to=%2Fruns%2F2"));
        site.stop().await;
    }
);
