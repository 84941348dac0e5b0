//! What the form asks besides the address: lists, fields, and a domain that takes mail.

use std::time::Duration;

use pressrun::id::SubscriptionKey;
use pressrun::token::Claim;

use super::site::TestSite;
use super::wire::Answer;
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;

/// A site with two lists and two fields.
async fn asking(engine: Engine) -> TestSite {
    let config = TestSite::config(&[(
        "open = true",
        "open = true\nlists = [\"weekly\", \"daily\", \"nowhere\"]\nfields = [\"first_name\", \"born\", \"undeclared\"]\ntags = [\"local-events\", \"jobs\"]",
    )]);
    TestSite::prepared(engine, &config, |folder| {
        std::fs::create_dir(folder.join("emails")).expect("a folder");
        let fields = "[fields.first_name]\ntype = \"text\"\n[fields.born]\ntype = \"date\"\n\
                      [fields.secret]\ntype = \"text\"\n";
        std::fs::write(folder.join("emails/fields.toml"), fields).expect("a file");
    })
    .await
}

async fn token(site: &TestSite, client: &str) -> String {
    let headers = [("X-Forwarded-For", client)];
    let form = site.send("GET", "/subscribe/form", &headers, "").await;
    let form: serde_json::Value = serde_json::from_slice(&form.body).expect("JSON");
    site.app.clock.advance(Duration::from_secs(60));
    form["form"].as_str().expect("a token").to_owned()
}

async fn send(site: &TestSite, client: &str, more: &str) -> Answer {
    let token = token(site, client).await;
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Forwarded-For", client),
    ];
    let body = format!("website=&form={token}&{more}");
    site.send("POST", "/subscribe", &headers, &body).await
}

async fn keys(site: &TestSite, canonical: &str) -> Vec<i64> {
    let mut keys = Vec::new();
    for list in [1, 2] {
        let query = format!(
            "select coalesce(max(n.key), 0) from subscriptions n
             join subscribers s on s.id = n.subscriber_id
             where s.canonical = '{canonical}' and n.list_id = {list}"
        );
        keys.push(site.db.number(&query).await);
    }
    keys
}

fn confirm(site: &TestSite, key: i64) -> String {
    let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
    let token = site.token(Claim::Confirm(SubscriptionKey(key), issued));
    format!("/confirm/{token}")
}

on_both!(
    a_form_for_lists_that_are_not_there_takes_nobody_and_says_so,
    async |engine: Engine| {
        let config = TestSite::config(&[("open = true", "open = true\nlists = [\"wekly\"]")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        let page = site.get("/").await.text();
        assert!(
            page.contains("New readers are not taken here at the moment")
                && !page.contains("<form"),
            "{page}"
        );
        let form = site.get("/subscribe/form").await.text();
        let form: serde_json::Value = serde_json::from_str(&form).expect("JSON");
        site.app.clock.advance(Duration::from_secs(60));
        let body = serde_json::json!({ "email": "ada@example.org", "form": form["form"] });
        let json = [("Content-Type", "application/json")];
        let answer = site
            .send("POST", "/subscribe", &json, &body.to_string())
            .await;
        assert_eq!(answer.text(), "{\"answer\":\"closed\"}");
        assert_eq!(site.db.number("select count(*) from subscribers").await, 0);
        site.stop().await;
    }
);

on_both!(
    one_mail_confirms_every_list_that_was_chosen,
    async |engine: Engine| {
        let site = asking(engine).await;
        let page = site.get("/").await.text();
        for shown in [
            "The Weekly",
            "The Daily",
            "First name",
            "Born",
            "type=\"date\"",
            "Local events",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(
            !page.contains("ndeclared") && !page.contains("Secret"),
            "{page}"
        );
        let body = "email=ada%40example.org&asks=lists&list=weekly&list=daily&list=nowhere\
                    &field_first_name=Ada+%3Cb%3E&field_born=1815-12-10&field_secret=x&tag=jobs&tag=paid";
        assert_eq!(send(&site, "203.0.113.1", body).await.status, 200);
        let keys = keys(&site, "ada@example.org").await;
        let mails = "select count(*) from system_mails where kind = 'confirm'";
        assert_eq!(site.db.number(mails).await, 1);
        let fields = "select fields from subscribers where canonical = 'ada@example.org'";
        assert_eq!(
            site.db.text(fields).await.as_deref(),
            Some(r#"{"born":"1815-12-10","first_name":"Ada <b>"}"#)
        );
        let tags = "select min(tag) || count(*) from tags";
        assert_eq!(
            site.db.text(tags).await.as_deref(),
            Some("jobs1"),
            "only what is offered"
        );
        let path = confirm(&site, keys[0]);
        let asked = site.get(&path).await.text();
        let both = "<strong>The Weekly</strong> and <strong>The Daily</strong>";
        assert!(asked.contains(both), "{asked}");
        let done = site.post(&path, "answer=confirm").await.text();
        assert!(done.contains(both), "{done}");
        // Pressed again, or looked at, it says the same.
        site.app.clock.advance(Duration::from_secs(60));
        let again = site.post(&path, "answer=confirm").await.text();
        assert!(again.contains(both), "{again}");
        let looked = site.get(&path).await.text();
        assert!(looked.contains(both), "{looked}");
        for key in keys {
            assert_eq!(site.status(key).await, "confirmed");
        }
        let consents = "select count(*) from consents where what = 'confirm'";
        assert_eq!(site.db.number(consents).await, 2);
        let welcome = "select count(*) from system_mails where kind = 'welcome'";
        assert_eq!(site.db.number(welcome).await, 1);
        site.stop().await;
    }
);

on_both!(
    a_stranger_changes_nothing_of_a_readers,
    async |engine: Engine| {
        let site = asking(engine).await;
        site.seed_run(1).await;
        let body =
            "email=reader0%40example.org&asks=lists&list=weekly&field_first_name=Fool&tag=jobs";
        let known = send(&site, "203.0.113.1", body).await;
        let body = "email=new%40example.org&asks=lists&list=weekly&field_first_name=Fool";
        let new = send(&site, "203.0.114.1", body).await;
        assert_eq!(known, new);
        let fields = "select fields from subscribers where id = 1000";
        assert_eq!(site.db.text(fields).await.as_deref(), Some("{}"));
        assert_eq!(site.db.number("select count(*) from tags").await, 0);
        // Before anybody has confirmed, the last word counts.
        site.app.clock.advance(Duration::from_secs(86_400));
        let body = "email=new%40example.org&asks=lists&list=weekly&field_first_name=New";
        send(&site, "203.0.115.1", body).await;
        let fields = "select fields from subscribers where canonical = 'new@example.org'";
        assert_eq!(
            site.db.text(fields).await.as_deref(),
            Some(r#"{"first_name":"New"}"#)
        );
        site.stop().await;
    }
);

on_both!(
    what_cannot_be_is_asked_again_with_what_was_typed,
    async |engine: Engine| {
        let site = asking(engine).await;
        let body =
            "email=a%40example.org&asks=lists&list=daily&field_first_name=%22A&field_born=soon";
        let again = send(&site, "203.0.113.1", body).await;
        assert_eq!(again.status, 400);
        let text = again.text();
        for shown in [
            "Please look at “Born” again: it takes a date such as 2026-07-31.",
            "value=\"&quot;A\"",
            "value=\"daily\" checked",
        ] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        assert!(!text.contains("value=\"weekly\" checked"), "{text}");
        // The reason stands at its field, and the form's own token is a fresh one.
        let field = text.split("id=\"field_born\"").nth(1).expect("the field");
        let field = field.split("</p>").next().unwrap_or_default();
        assert!(
            field.contains("value=\"soon\" aria-invalid=\"true\" aria-describedby=\"wrong\"")
                && field.contains("it takes a date"),
            "{field}"
        );
        assert_eq!(text.matches("role=\"alert\"").count(), 1, "{text}");
        let none = send(&site, "203.0.114.1", "email=a%40example.org&asks=lists").await;
        assert_eq!(none.status, 400);
        let text = none.text();
        let lists = text.split("<fieldset aria-describedby=\"wrong\">").nth(1);
        let lists = lists.and_then(|rest| rest.split("</fieldset>").next());
        assert!(
            lists.is_some_and(|lists| lists.contains("at least one of the lists")),
            "{text}"
        );
        let people = "select count(*) from subscribers";
        assert_eq!(site.db.number(people).await, 0);
        // A form of the author's own, which asks for no list, means the first one.
        assert_eq!(
            send(&site, "203.0.115.1", "email=a%40example.org")
                .await
                .status,
            200
        );
        let keys = keys(&site, "a@example.org").await;
        assert!(keys[0] != 0 && keys[1] == 0, "{keys:?}");
        site.stop().await;
    }
);

on_both!(
    a_program_and_another_site_come_in_by_the_same_door,
    async |engine: Engine| {
        let site = asking(engine).await;
        let client = [("X-Forwarded-For", "203.0.113.1")];
        let form = site.send("GET", "/subscribe/form", &client, "").await;
        let form: serde_json::Value = serde_json::from_slice(&form.body).expect("JSON");
        assert_eq!(form["lists"][1]["list"], "daily");
        assert_eq!(form["fields"][0]["name"], "field_first_name");
        site.app.clock.advance(Duration::from_secs(60));
        let headers = [("Content-Type", "application/json"), client[0]];
        let body = serde_json::json!({
            "email": "ada@example.org", "form": form["form"], "list": ["weekly", "daily"],
            "field_first_name": "Ada",
        });
        let answer = site
            .send("POST", "/subscribe", &headers, &body.to_string())
            .await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, r#"{"answer":"received"}"#)
        );
        assert!(
            keys(&site, "ada@example.org")
                .await
                .iter()
                .all(|key| *key != 0)
        );
        let snippet = site.get("/embed").await.text();
        for part in [
            "name=&quot;list&quot; value=&quot;daily&quot;",
            "name=&quot;field_born&quot;",
        ] {
            assert!(snippet.contains(part), "{part}: {snippet}");
        }
        let page = site
            .post("/", "email=x%40example.org&list=daily&field_first_name=Xi")
            .await
            .text();
        for part in [
            "value=\"x@example.org\"",
            "value=\"daily\" checked",
            "value=\"Xi\"",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        site.stop().await;
    }
);

on_both!(
    a_domain_that_takes_no_mail_gets_the_page_and_no_mail,
    async |engine: Engine| {
        let zone = "fine.example MX 10 mx.fine.example\nnull.example MX 0 .\nplain.example A 192.0.2.1\n\
                    broken.example FAIL\n";
        let nameserver = Nameserver::start(zone).await;
        let dns = format!(
            "check_mx = true\n[dns]\nnameserver = \"{}\"",
            nameserver.address
        );
        let config = TestSite::config(&[("check_mx = false", dns.as_str())]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        let mut answers = Vec::new();
        for (number, (domain, mailed)) in [
            ("fine.example", 1),
            ("null.example", 0),
            ("plain.example", 1),
            // What the DNS does not say, or does not know, speaks against nobody.
            ("missing.example", 1),
            ("broken.example", 1),
        ]
        .into_iter()
        .enumerate()
        {
            let mails = "select count(*) from system_mails where kind = 'confirm'";
            let before = site.db.number(mails).await;
            let client = format!("198.51.{number}.1");
            answers.push(send(&site, &client, &format!("email=a%40{domain}")).await);
            assert_eq!(site.db.number(mails).await - before, mailed, "{domain}");
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        site.stop().await;
    }
);

on_both!(
    the_page_shows_an_issue_once_there_is_one_that_anybody_may_read,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        assert!(!site.get("/").await.text().contains("/archive/"));
        let page = |visibility: &str| {
            format!(
                "insert into archive (slug, key, changed_at) values ('{visibility}-1', '{visibility}', 0);
                 insert into archive_pages (slug, run_id, revision, title, teaser, language, visibility,
                     dated_at, made_at)
                 values ('{visibility}-1', 0, 'rev', 'Bees & <b>', '', 'en', '{visibility}', 5, 5)"
            )
        };
        site.db.exec(&page("unlisted")).await;
        assert!(!site.get("/").await.text().contains("/archive/"));
        site.db.exec(&page("public")).await;
        let text = site.get("/").await.text();
        let link = "<a href=\"/archive/public-1\">Bees &amp; &lt;b&gt;</a>";
        assert!(text.contains(link), "{text}");
        site.stop().await;
    }
);

on_both!(
    an_old_form_for_a_list_that_is_gone_signs_up_for_no_other_one,
    async |engine: Engine| {
        let site = asking(engine).await;
        let old = "email=ada%40example.org&list=nowhere";
        let answer = send(&site, "203.0.113.9", old).await;
        assert_eq!(answer.status, 400);
        let text = answer.text();
        assert!(text.contains("is not offered any more"), "{text}");
        assert!(text.contains("value=\"ada@example.org\""), "{text}");
        assert_eq!(
            site.db.number("select count(*) from subscriptions").await,
            0
        );
        // One that names none means the publication's own.
        let plain = send(&site, "203.0.113.9", "email=ada%40example.org").await;
        assert_eq!(plain.status, 200);
        let weekly = "select count(*) from subscriptions where list_id = 1";
        assert_eq!(site.db.number(weekly).await, 1);
        site.stop().await;
    }
);

on_both!(
    a_field_that_no_reader_may_lack_is_asked_for_by_every_door,
    async |engine: Engine| {
        let config = TestSite::config(&[(
            "open = true",
            "open = true\nfields = [\"first_name\", \"city\", \"vip\"]",
        )]);
        let site = TestSite::prepared(engine, &config, |folder| {
            std::fs::create_dir(folder.join("emails")).expect("a folder");
            let fields = "[fields.first_name]\ntype = \"text\"\n[fields.city]\ntype = \"text\"\nrequired = true\n\
                          [fields.vip]\ntype = \"bool\"\nrequired = true\n";
            std::fs::write(folder.join("emails/fields.toml"), fields).expect("a file");
        })
        .await;
        let page = site.get("/").await.text();
        let field = page.split("for=\"field_city\"").nth(1).expect("the field");
        let field = field.split("</div>").next().unwrap_or_default();
        assert!(
            field.contains(" required") && !field.contains("(optional)"),
            "{field}"
        );
        assert_eq!(page.matches("(optional)").count(), 1, "{page}");
        let snippet = site.get("/embed").await.text();
        assert!(
            snippet.contains("name=&quot;field_city&quot; required&gt;"),
            "{snippet}"
        );
        // The page, and a form on another site.
        for empty in ["", "&field_city=", "&field_city=+%09"] {
            let body = format!("email=ada%40example.org&field_first_name=Ada{empty}");
            let again = send(&site, "203.0.113.1", &body).await;
            assert_eq!(again.status, 400);
            let text = again.text();
            let (_, field) = text.split_once("id=\"field_city\"").expect("the field");
            let (field, _) = field.split_once("</p>").expect("what to do");
            assert!(
                field.contains("aria-invalid=\"true\"") && field.contains("Please fill in “City”."),
                "{field}"
            );
            assert!(text.contains("value=\"Ada\""), "{text}");
        }
        // A program.
        let client = [("X-Forwarded-For", "203.0.114.1")];
        let form = site.send("GET", "/subscribe/form", &client, "").await;
        let form: serde_json::Value = serde_json::from_slice(&form.body).expect("JSON");
        let required = form["fields"].as_array().expect("the fields").iter();
        let required: Vec<_> = required.map(|field| field["required"].as_bool()).collect();
        assert_eq!(required, [Some(false), Some(true), Some(true)]);
        let token = token(&site, "203.0.114.1").await;
        let headers = [("Content-Type", "application/json"), client[0]];
        let body = serde_json::json!({ "email": "ada@example.org", "form": token });
        let answer = site
            .send("POST", "/subscribe", &headers, &body.to_string())
            .await;
        assert_eq!(answer.status, 400);
        let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(
            (&told["answer"], &told["field"], &told["notice"]),
            (
                &"value".into(),
                &"field_city".into(),
                &"Please fill in “City”.".into()
            )
        );
        let people = "select count(*) from subscribers";
        assert_eq!(site.db.number(people).await, 0);
        // A box without a tick is a no, and an answer.
        let whole = "email=ada%40example.org&field_city=Bern";
        assert_eq!(send(&site, "203.0.115.1", whole).await.status, 200);
        assert_eq!(
            site.db
                .text("select fields from subscribers")
                .await
                .as_deref(),
            Some(r#"{"city":"Bern","vip":false}"#)
        );
        site.stop().await;
    }
);
