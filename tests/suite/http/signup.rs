//! The subscribe form from end to end, and what strangers cannot do with it.

use std::time::Duration;

use pressrun::id::SubscriptionKey;
use pressrun::signup::house;
use pressrun::token::Claim;

use super::site::TestSite;
use super::wire::Answer;
use crate::harness::Engine;
use crate::on_both;

/// The token in the form of a page asked from `client`.
async fn form(site: &TestSite, client: &str) -> String {
    let page = site
        .send("GET", "/", &[("X-Forwarded-For", client)], "")
        .await
        .text();
    let (_, rest) = page.split_once("name=\"form\" value=\"").expect("a form");
    rest.split_once('"').expect("a token").0.to_owned()
}

async fn send(site: &TestSite, client: &str, body: &str) -> Answer {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Forwarded-For", client),
    ];
    site.send("POST", "/subscribe", &headers, body).await
}

/// A patient person: opens the page, waits, sends.
pub async fn sign_up(site: &TestSite, client: &str, address: &str) -> Answer {
    let token = form(site, client).await;
    site.app.clock.advance(Duration::from_secs(60));
    let address = address.replace('+', "%2B").replace('@', "%40");
    send(
        site,
        client,
        &format!("email={address}&website=&form={token}"),
    )
    .await
}

async fn mails(site: &TestSite) -> i64 {
    site.db
        .number("select count(*) from system_mails where kind = 'confirm'")
        .await
}

fn confirm_path(site: &TestSite, key: i64) -> String {
    let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
    format!(
        "/confirm/{}",
        site.token(Claim::Confirm(SubscriptionKey(key), issued))
    )
}

async fn key_of(site: &TestSite, canonical: &str) -> i64 {
    let query = format!(
        "select n.key from subscriptions n join subscribers s on s.id = n.subscriber_id
         where s.canonical = '{canonical}' and n.list_id = 1"
    );
    site.db.number(&query).await
}

on_both!(
    a_stranger_becomes_a_reader_in_two_steps,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let page = site.get("/").await.text();
        assert!(page.contains("Field &lt;Notes&gt;"), "{page}");
        assert!(page.contains("the field &amp; the forest"), "{page}");
        let answer = sign_up(&site, "203.0.113.1", "Ada@Example.org").await;
        assert_eq!(answer.status, 200);
        let told = answer.text();
        assert!(
            told.contains("Who asked within the last 24 h gets no second mail"),
            "{told}"
        );
        let key = key_of(&site, "ada@example.org").await;
        assert_eq!(site.status(key).await, "pending");
        // The mail waits in the open run, and the run still balances.
        assert_eq!(mails(&site).await, 1);
        let queued = "select queued from blocks where run_id = 1 and block = 0";
        assert_eq!(site.db.number(queued).await, 1);
        assert_eq!(
            site.db
                .number("select recipients from runs where id = 1")
                .await,
            1
        );
        let row = "select count(*) from deliveries d join system_mails m on m.run_id = d.run_id
                   and m.seq = d.seq join subscribers s on s.id = d.subscriber_id
                   where d.state = 'queued' and m.list_id = 1 and m.revision = 'confirm'";
        assert_eq!(site.db.number(row).await, 1);

        let path = confirm_path(&site, key);
        let ask = site.get(&path).await;
        assert!(ask.text().contains("A***@example.org"), "{}", ask.text());
        assert_eq!(site.status(key).await, "pending");
        assert_eq!(site.post(&path, "").await.status, 400);
        let first = site.post(&path, "answer=confirm").await;
        assert_eq!(first.status, 200);
        assert_eq!(site.status(key).await, "confirmed");
        let second = site.post(&path, "answer=confirm").await;
        assert_eq!(second, first);
        // The link has done its work, and takes nobody off again by a press too many.
        let done = site.get(&path).await.text();
        assert!(done.contains("<h1>You are subscribed</h1>"), "{done}");
        assert!(
            done.contains("/preferences/") && !done.contains("not-me"),
            "{done}"
        );
        let events = "select count(*) from events where kind = 'confirm'";
        assert_eq!(site.db.number(events).await, 1);
        let welcome = "select count(*) from system_mails where kind = 'welcome' and seq = 1";
        assert_eq!(site.db.number(welcome).await, 1);
        assert_eq!(site.db.number(queued).await, 2);
        // A link outlives neither its window nor a later leaving.
        let now = site.app.clock.now();
        site.app.clock.advance(Duration::from_secs(60));
        site.app
            .store
            .leave(SubscriptionKey(key), now)
            .await
            .expect("a write");
        assert_eq!(site.post(&path, "answer=confirm").await.status, 404);
        assert_eq!(site.status(key).await, "unsubscribed");
        let late = confirm_path(&site, key);
        site.app.clock.advance(Duration::from_secs(72 * 3_600 + 1));
        let nowhere = site.get("/nowhere").await;
        let old = site.get(&late).await;
        assert_eq!((old.status, &old.body), (404, &nowhere.body));
        assert_eq!(site.post(&late, "answer=confirm").await.status, 404);
        site.stop().await;
    }
);

on_both!(
    every_address_gets_the_same_answer_and_only_some_get_a_mail,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        site.db
            .exec("update subscriptions set status = 'unsubscribed', left_at = 5 where key = 1001")
            .await;
        let hash = site.hash_hex("reader2@example.org");
        let suppress = format!(
            "insert into suppressions (hash, reason, created_at) values (unhex('{hash}'), 'manual', 0)"
        );
        site.db.exec(&suppress).await;
        site.db
            .exec("update subscriptions set status = 'pending' where key = 1002")
            .await;
        let stranger = site.hash_hex("stranger@example.org");
        let suppress = format!(
            "insert into suppressions (hash, reason, created_at)
             values (unhex('{stranger}'), 'complained', 0)"
        );
        site.db.exec(&suppress).await;
        let new = sign_up(&site, "203.0.113.1", "new@example.org").await;
        assert_eq!((new.status, mails(&site).await), (200, 1));
        for (address, mailed) in [
            ("new@example.org", 0),
            ("reader0@example.org", 0),
            ("reader1@example.org", 1),
            ("reader2@example.org", 0),
            ("stranger@example.org", 0),
            ("stranger+more@example.org", 0),
        ] {
            let before = mails(&site).await;
            // Each from a place of its own, so that no limit of places speaks.
            let client = format!(
                "198.51.{}.1",
                address.len() + usize::try_from(before).expect("few")
            );
            let answer = sign_up(&site, &client, address).await;
            assert_eq!(answer, new, "{address}");
            assert_eq!(mails(&site).await - before, mailed, "{address}");
        }
        // Nobody is brought back, or made known, by a form.
        assert_eq!(site.status(1001).await, "unsubscribed");
        let known = "select count(*) from subscribers where canonical like 'stranger%'";
        assert_eq!(site.db.number(known).await, 0);
        // But the reader who left and now presses the button in the new mail is back.
        let path = confirm_path(&site, 1001);
        assert_eq!(site.post(&path, "answer=confirm").await.status, 200);
        assert_eq!(site.status(1001).await, "confirmed");
        // A suppressed address stays out, link or no link.
        let path = confirm_path(&site, 1002);
        assert_eq!(site.post(&path, "answer=confirm").await.status, 404);
        assert_eq!(site.status(1002).await, "pending");
        site.stop().await;
    }
);

on_both!(
    one_address_gets_one_confirm_mail_a_day_whatever_its_spelling,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        for (n, address) in [
            "a.b@gmail.com",
            "ab+1@gmail.com",
            "A.B@googlemail.com",
            "ab@gmail.com",
        ]
        .into_iter()
        .enumerate()
        {
            let answer = sign_up(&site, &format!("203.0.{n}.1"), address).await;
            assert_eq!(answer.status, 200);
        }
        assert_eq!(mails(&site).await, 1);
        site.app.clock.advance(Duration::from_secs(86_400));
        sign_up(&site, "203.0.9.1", "a.b@gmail.com").await;
        assert_eq!(mails(&site).await, 2);
        site.stop().await;
    }
);

on_both!(
    a_form_is_bound_to_a_time_and_a_place_and_works_once,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let here = "203.0.113.1";
        let stale = async |client: &str, token: &str, address: &str| {
            let body = format!("email={address}%40example.org&form={token}&website=");
            let answer = send(&site, client, &body).await;
            assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
            answer.status == 400
        };
        let token = form(&site, here).await;
        assert!(stale(here, &token, "young").await, "too young");
        site.app.clock.advance(Duration::from_secs(3));
        assert!(
            stale("203.0.114.1", &token, "elsewhere").await,
            "another network"
        );
        assert!(stale(here, "", "none").await, "no token");
        assert!(
            stale(here, &format!("{token}A"), "forged").await,
            "a forged token"
        );
        assert!(
            !stale("203.0.113.77", &token, "good").await,
            "the same network"
        );
        assert_eq!(mails(&site).await, 1);
        // The same form again, as by a double press: the same page, nothing more.
        assert!(!stale(here, &token, "other").await);
        assert_eq!(mails(&site).await, 1);
        let token = form(&site, here).await;
        site.app.clock.advance(Duration::from_secs(2 * 3_600 + 1));
        assert!(stale(here, &token, "old").await, "too old");
        // What fills the hidden field gets the page and nothing else.
        let token = form(&site, here).await;
        site.app.clock.advance(Duration::from_secs(60));
        let body = format!("email=bot%40example.org&form={token}&website=http%3A%2F%2Fx");
        assert_eq!(send(&site, here, &body).await.status, 200);
        let body = format!("email=%3Cscript%3E%22&form={token}&website=");
        let bad = send(&site, here, &body).await;
        assert_eq!(bad.status, 400);
        assert!(
            bad.text().contains("&lt;script&gt;&quot;"),
            "{}",
            bad.text()
        );
        assert!(!bad.text().contains("<script"), "{}", bad.text());
        assert_eq!(mails(&site).await, 1);
        let people = "select count(*) from subscribers";
        assert_eq!(site.db.number(people).await, 1);
        site.stop().await;
    }
);

on_both!(
    a_network_gets_its_share_and_an_hour_its_fill,
    async |engine: Engine| {
        let config = TestSite::config(&[("confirms_per_hour = 600", "confirms_per_hour = 6")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        let here = "2001:db8:1:2::1";
        let mut tokens = Vec::new();
        for _ in 0..8 {
            tokens.push(form(&site, here).await);
        }
        site.app.clock.advance(Duration::from_secs(4));
        let mut first = None;
        for (n, token) in tokens.iter().enumerate() {
            let body = format!("email=r{n}%40example.org&form={token}&website=");
            // Another address of the same /64 is the same client.
            let answer = send(&site, &format!("2001:db8:1:2::{n}"), &body).await;
            assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer);
        }
        assert_eq!(mails(&site).await, 5, "five a minute");
        for n in 0..4 {
            sign_up(
                &site,
                &format!("198.51.{n}.1"),
                &format!("s{n}@example.org"),
            )
            .await;
        }
        assert_eq!(mails(&site).await, 9);
        // Six this hour; the rest wait for the next.
        let now = site.app.clock.now().0;
        let due = format!("select count(*) from deliveries where due_at <= {now}");
        assert_eq!(site.db.number(&due).await, 6);
        let next = (now / 3_600_000 + 1) * 3_600_000;
        let due = format!("select count(*) from deliveries where due_at = {next}");
        assert_eq!(site.db.number(&due).await, 3);
        site.stop().await;
    }
);

on_both!(
    whoever_did_not_ask_is_never_written_to_again,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        sign_up(&site, "203.0.113.1", "victim@example.org").await;
        let key = key_of(&site, "victim@example.org").await;
        let path = confirm_path(&site, key);
        for _ in 0..2 {
            assert_eq!(site.post(&path, "answer=not-me").await.status, 200);
        }
        let query = format!(
            "select reason from suppressions where hash = unhex('{}')",
            site.hash_hex("victim@example.org")
        );
        assert_eq!(site.db.text(&query).await.as_deref(), Some("not-me"));
        assert_eq!(site.post(&path, "answer=confirm").await.status, 404);
        // Her address goes with the signups that nobody confirmed; its hash stays.
        site.app.clock.advance(Duration::from_secs(8 * 86_400));
        house::round(&site.app).await.expect("a round");
        let kept =
            "select (select count(*) from subscribers) + (select count(*) from subscriptions)
            + (select count(*) from deliveries where copy is not null)";
        assert_eq!(site.db.number(kept).await, 0);
        assert_eq!(
            sign_up(&site, "203.0.113.1", "victim@example.org")
                .await
                .status,
            200
        );
        assert_eq!(mails(&site).await, 1);
        site.stop().await;
    }
);

on_both!(
    many_strangers_at_once_leave_a_run_that_balances,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let mut forms = Vec::new();
        for n in 0..40 {
            let client = format!("198.51.{n}.1");
            forms.push((form(&site, &client).await, client));
        }
        site.app.clock.advance(Duration::from_secs(60));
        let all = forms.iter().enumerate().map(|(n, (token, client))| {
            // Twenty people, each from two places at the same moment.
            let body = format!("email=r{}%40example.org&form={token}&website=", n / 2);
            let site = &site;
            async move { send(site, client, &body).await.status }
        });
        for status in futures::future::join_all(all).await {
            assert_eq!(status, 200);
        }
        assert_eq!(mails(&site).await, 20);
        assert_eq!(
            site.db
                .number("select recipients from runs where id = 1")
                .await,
            20
        );
        let rows = "select count(*) from deliveries where run_id = 1 and state = 'queued'";
        assert_eq!(site.db.number(rows).await, 20);
        let queued = "select queued from blocks where run_id = 1";
        assert_eq!(site.db.number(queued).await, 20);
        assert_eq!(
            site.db
                .number("select max(seq) from deliveries where run_id = 1")
                .await,
            19
        );
        site.stop().await;
    }
);

on_both!(
    a_nul_in_a_form_is_no_fault_of_ours,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let token = form(&site, "203.0.113.5").await;
        site.app.clock.advance(Duration::from_secs(60));
        let body = format!("email=a%40example.net%00&form={token}");
        assert_eq!(send(&site, "203.0.113.5", &body).await.status, 400);
        let json = [("Content-Type", "application/json")];
        let body = format!("{{\"email\":\"a\\u0000@example.net\",\"form\":\"{token}\"}}");
        let answer = site.send("POST", "/subscribe", &json, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(site.db.number("select count(*) from subscribers").await, 0);
        site.stop().await;
    }
);

on_both!(
    a_signup_that_is_forgotten_leaves_no_address_behind,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        sign_up(&site, "203.0.113.5", "nobody@example.net").await;
        assert_eq!(mails(&site).await, 1);
        site.db
            .exec(
                "update deliveries set copy = '<nobody@example.net>', reply = '<nobody@example.net> unknown';
                 insert into failures (run_id, seq, at, stage, reason, dialogue)
                 values (1, 0, 1, 'rcpt', 'policy', 'RCPT TO:<nobody@example.net>')",
            )
            .await;
        site.app.clock.advance(Duration::from_secs(8 * 86_400));
        assert_eq!(house::round(&site.app).await.expect("a round"), 1);
        for clear in [
            "select count(*) from subscribers",
            "select count(*) from deliveries where copy is not null or reply is not null",
            "select count(*) from failures where dialogue <> ''",
            "select count(*) from system_mails where address is not null",
        ] {
            assert_eq!(site.db.number(clear).await, 0, "{clear}");
        }
        site.stop().await;
    }
);

on_both!(
    a_closed_site_offers_no_form_and_takes_none,
    async |engine: Engine| {
        let config = TestSite::config(&[("open = true", "open = false")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        let page = site.get("/").await;
        assert!(!page.text().contains("<form"), "{}", page.text());
        let answer = send(&site, "203.0.113.1", "email=a%40example.org").await;
        assert_eq!(answer.body, page.body);
        assert_eq!(site.db.number("select count(*) from subscribers").await, 0);
        site.stop().await;
    }
);

on_both!(
    a_strangers_form_costs_a_reader_no_list_that_she_reads,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        sign_up(&site, "203.0.113.1", "victim@example.org").await;
        let key = key_of(&site, "victim@example.org").await;
        let path = confirm_path(&site, key);
        assert!(site.get(&path).await.text().contains("never write to me"));
        site.db
            .exec(
                "insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at)
                 select 9, 2, id, 'confirmed', 'cli', 0, 0 from subscribers",
            )
            .await;
        assert!(!site.get(&path).await.text().contains("never write to me"));
        let refused = site.post(&path, "answer=not-me").await;
        assert!(
            refused.text().contains("comes as before"),
            "{}",
            refused.text()
        );
        assert_eq!(site.status(9).await, "confirmed");
        assert_eq!(site.status(key).await, "unsubscribed");
        assert_eq!(site.db.number("select count(*) from suppressions").await, 0);
        assert_eq!(site.post(&path, "answer=confirm").await.status, 404);
        site.stop().await;
    }
);
