//! The subscribe form under attack: many addresses typed by many networks, and one person among them.
//!
//! `PRESSRUN_TEST_BOMBING=full` sends 10,000 requests for 2,000 addresses from 500 networks; the suite sends
//! a fifth of it in the same way.

use std::collections::BTreeSet;
use std::time::Duration;

use pressrun::id::SubscriptionKey;
use pressrun::signup::guard::is_proven;
use pressrun::signup::house;
use pressrun::token::Claim;

use super::site::TestSite;
use super::wire::Answer;
use crate::deliver::rig::until;
use crate::harness::Engine;
use crate::on_both;

/// Small, so that the test waits for the site and not for its own work.
const BITS: u32 = 8;

/// A form as a browser got it: its token, and whether it asks for work.
async fn form(site: &TestSite, client: &str) -> (String, bool) {
    let page = site
        .send("GET", "/", &[("X-Forwarded-For", client)], "")
        .await;
    let text = page.text();
    let (_, rest) = text.split_once("name=\"form\" value=\"").expect("a form");
    let token = rest.split_once('"').expect("a token").0.to_owned();
    let works = text.contains("data-bits=\"8\"");
    let policy = page.header("content-security-policy").expect("a policy");
    assert_eq!(works, policy.contains("script-src 'self'"), "{policy}");
    assert_eq!(works, text.contains("<script"), "{text}");
    (token, works)
}

fn prove(token: &str) -> String {
    let mut numbers = (0_u64..).map(|n| n.to_string());
    let proof = numbers.find(|proof| is_proven(token, proof, BITS));
    proof.expect("there is always one")
}

async fn send(site: &TestSite, client: &str, email: &str, token: &str, proof: &str) -> Answer {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Forwarded-For", client),
    ];
    let email = email.replace('@', "%40");
    let body = format!("email={email}&website=&form={token}&proof={proof}");
    site.send("POST", "/subscribe", &headers, &body).await
}

/// What a page says beside the visitor's own address and the form of the moment.
fn words(answer: &Answer, email: &str) -> (u16, String) {
    let text = answer.text().replace(email, "");
    let text = match text.split_once("name=\"form\" value=\"") {
        None => text,
        Some((before, rest)) => {
            let (_, after) = rest.split_once('"').expect("a token ends");
            format!("{before}{after}")
        }
    };
    (answer.status, text)
}

on_both!(
    a_bombing_mails_few_and_a_person_still_gets_in,
    async |engine: Engine| {
        let config = TestSite::config(&[("open = true", "open = true\nproof_bits = 8")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        // Some of the victims are readers, one has complained.
        site.seed_run(20).await;
        site.db
            .exec(
                "insert into suppressions (hash, reason, created_at)
                 select hash, 'complained', 0 from subscribers where id = 1001",
            )
            .await;
        let full = std::env::var("PRESSRUN_TEST_BOMBING").is_ok_and(|how| how == "full");
        let (networks, addresses) = if full { (500, 2_000) } else { (100, 400) };
        let started = std::time::Instant::now();
        let mut answers: BTreeSet<(u16, String)> = BTreeSet::new();
        let mut received: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut unproven = 0;
        let mut sent = 0;
        for round in 0..20 {
            let bots: Vec<_> = (0..networks).collect();
            let mut forms = Vec::new();
            for some in bots.chunks(50) {
                let each = some.iter().map(|n| {
                    let site = &site;
                    async move {
                        let client = format!("10.{}.{}.9", n / 250, n % 250);
                        let (token, works) = form(site, &client).await;
                        (client, token, works)
                    }
                });
                forms.extend(futures::future::join_all(each).await);
            }
            let person = "203.0.113.7";
            let (token, works) = form(&site, person).await;
            site.app.clock.advance(Duration::from_secs(5));
            for (part, some) in forms.chunks(50).enumerate() {
                let each = some.iter().enumerate().map(|(at, (client, token, works))| {
                    let site = &site;
                    let number = round * networks + part * 50 + at;
                    let email = format!("reader{}@example.org", number % addresses);
                    async move {
                        // One bot in fifty does the work.
                        let works = *works && number % 50 == 0;
                        let proof = if works { prove(token) } else { String::new() };
                        let answer = send(site, client, &email, token, &proof).await;
                        (answer, email)
                    }
                });
                for (answer, email) in futures::future::join_all(each).await {
                    sent += 1;
                    if answer.status == 200 {
                        received.insert(answer.body.clone());
                    } else {
                        unproven += 1;
                    }
                    answers.insert(words(&answer, &email));
                }
            }
            // A person comes every three minutes, and does what the page asks.
            let email = format!("person{round}@example.net");
            let proof = if works { prove(&token) } else { String::new() };
            let mut answer = send(&site, person, &email, &token, &proof).await;
            if answer.status == 400 {
                let (token, works) = form(&site, person).await;
                assert!(works, "the page says why");
                site.app.clock.advance(Duration::from_secs(5));
                answer = send(&site, person, &email, &token, &prove(&token)).await;
            }
            assert_eq!(answer.status, 200, "round {round}");
            let asked = format!(
                "select count(*) from deliveries d join subscribers s on s.id = d.subscriber_id
                 where d.run_id = 1 and s.canonical = '{email}'"
            );
            assert_eq!(site.db.number(&asked).await, 1, "round {round}");
            site.app.clock.advance(Duration::from_secs(170));
        }
        let mails = "select count(*) from system_mails where kind = 'confirm'";
        let mails = site.db.number(mails).await;
        let most = "select coalesce(max(n), 0) from (
            select count(*) as n from deliveries where run_id = 1 group by subscriber_id) x";
        let most = site.db.number(most).await;
        println!(
            "{sent} requests, {addresses} addresses, {networks} networks: {mails} confirm mails, \
             at most {most} to one address, {unproven} asked for work, 20 of 20 persons in, {:?}",
            started.elapsed()
        );
        assert!((61..=600).contains(&mails), "{mails}");
        assert_eq!(most, 1);
        assert_eq!(received.len(), 1, "one answer, octet for octet");
        // The other answer is the form once more: with a fresh token and what was typed, else the same.
        assert_eq!(answers.len(), 2, "{answers:?}");
        // Scanners look at every link in every mail: nobody is confirmed by that.
        let pending = "select count(*) from subscriptions where status = 'pending'";
        let before = site.db.number(pending).await;
        let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        for at in 0..10 {
            let key = format!(
                "select key from subscriptions where status = 'pending' order by key limit 1 offset {at}"
            );
            let claim = Claim::Confirm(SubscriptionKey(site.db.number(&key).await), issued);
            let page = site.get(&format!("/confirm/{}", site.token(claim))).await;
            assert_eq!(page.status, 200);
        }
        assert_eq!(site.db.number(pending).await, before);
        assert!(
            site.ask_admin("/", "localhost")
                .await
                .text()
                .contains("proof of work")
        );
        // The flood is taken back with one command, and what is left balances.
        let (code, told, _) = site.command(&[
            "subscribers",
            "undo-signups",
            "--from",
            "2026-11-01 12:00 Europe/Berlin",
            "--to",
            "2026-11-02T00:00:00Z",
            "--yes",
        ]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("Sun 1 Nov 2026 11:00"), "{told}");
        assert!(
            told.ends_with(&format!(" taken back: {before}\n")),
            "{told}"
        );
        assert_eq!(site.db.number(pending).await, 0);
        let people = "select count(*) from subscribers";
        assert_eq!(site.db.number(people).await, 20);
        let counters = "select cancelled from blocks where run_id = 1 and block = 0";
        assert!(site.db.number(counters).await > 0);
        site.stop().await;
    }
);

on_both!(
    a_proof_is_bound_to_its_form_and_works_once,
    async |engine: Engine| {
        let config = TestSite::config(&[("open = true", "open = true\nproof_bits = 8\nbrake = 0")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        let mails = "select count(*) from system_mails where kind = 'confirm'";
        let (first, works) = form(&site, "203.0.1.1").await;
        assert!(!works);
        site.app.clock.advance(Duration::from_secs(5));
        assert_eq!(
            send(&site, "203.0.1.1", "a@example.org", &first, "")
                .await
                .status,
            200
        );
        assert_eq!(site.db.number(mails).await, 1);
        let (token, works) = form(&site, "203.0.2.1").await;
        assert!(works, "one more than the mean of an empty week");
        let (other, _) = form(&site, "203.0.2.1").await;
        let proof = prove(&token);
        site.app.clock.advance(Duration::from_secs(5));
        for (form, proof) in [(&token, ""), (&token, "-"), (&other, "0.0")] {
            assert_eq!(
                send(&site, "203.0.2.1", "b@example.org", form, proof)
                    .await
                    .status,
                400
            );
        }
        assert_eq!(
            send(&site, "203.0.2.1", "b@example.org", &token, &proof)
                .await
                .status,
            200
        );
        assert_eq!(site.db.number(mails).await, 2);
        // The same form and proof for another address: the same words, and no mail.
        assert_eq!(
            send(&site, "203.0.2.1", "c@example.org", &token, &proof)
                .await
                .status,
            200
        );
        assert_eq!(site.db.number(mails).await, 2);
        // A proof made in advance has no worth.
        let proof = prove(&other);
        site.app.clock.advance(Duration::from_secs(600));
        assert_eq!(
            send(&site, "203.0.2.1", "d@example.org", &other, &proof)
                .await
                .status,
            400
        );
        // Two hours later it is calm.
        site.app.clock.advance(Duration::from_secs(2 * 3_600));
        assert!(!form(&site, "203.0.2.1").await.1);
        site.stop().await;
    }
);

on_both!(
    the_brake_does_not_tell_whether_an_address_is_known,
    async |engine: Engine| {
        let config = TestSite::config(&[("open = true", "open = true\nproof_bits = 8\nbrake = 2")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        site.seed_run(2).await;
        site.db
            .exec(
                "insert into suppressions (hash, reason, created_at)
                 select hash, 'complained', 0 from subscribers where id = 1001",
            )
            .await;
        // A stranger, a reader, one who is never mailed, and one who was mailed a moment ago.
        let targets = [
            "unknown@example.org",
            "reader0@example.org",
            "reader1@example.org",
            "unknown@example.org",
        ];
        let mails = "select count(*) from system_mails where kind = 'confirm'";
        for (round, target) in targets.into_iter().enumerate() {
            // The hour is filled to the limit with addresses of one's own.
            for n in 0..2 {
                let client = format!("10.{round}.{n}.1");
                let (token, works) = form(&site, &client).await;
                assert!(!works, "{target}");
                site.app.clock.advance(Duration::from_secs(5));
                let own = format!("own{round}-{n}@example.net");
                let answer = send(&site, &client, &own, &token, "").await;
                assert_eq!(answer.status, 200);
            }
            let client = format!("10.{round}.9.1");
            let (token, works) = form(&site, &client).await;
            assert!(!works, "{target}");
            site.app.clock.advance(Duration::from_secs(5));
            let answer = send(&site, &client, target, &token, "").await;
            assert_eq!(answer.status, 200);
            assert!(form(&site, &client).await.1, "{target}: at once");
            site.app.clock.advance(Duration::from_secs(2));
            assert!(form(&site, &client).await.1, "{target}: a little later");
            site.app.clock.advance(Duration::from_secs(3 * 3_600));
        }
        assert_eq!(site.db.number(mails).await, 2 * 4 + 1);
        site.stop().await;
    }
);

on_both!(
    bounces_shut_the_door_and_a_day_opens_it,
    async |engine: Engine| {
        let notify = "[notify]\nto = \"author@example.com\"\n[signup]";
        let site = TestSite::with(engine, &TestSite::config(&[("[signup]", notify)]), |_| {}).await;
        let now = site.app.clock.now().0;
        let bounced = |n: i64| if n < 11 { "bounced" } else { "sent" };
        site.db
            .exec("update runs set recipients = 50 where id = 1")
            .await;
        for n in 0..50 {
            site.db
                .exec(&format!(
                    "insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at)
                     values (1, {n}, 0, '{}', 0, {now});
                     insert into system_mails (run_id, seq, kind, revision, data)
                     values (1, {n}, 'confirm', 'confirm', '{{}}')",
                    bounced(n)
                ))
                .await;
        }
        let shut = site.get("/").await;
        assert!(shut.text().contains("not taken here"), "{}", shut.text());
        let answer = send(&site, "203.0.1.1", "a@example.org", "x", "").await;
        assert_eq!(answer.body, shut.body);
        // The author is told, once.
        let told = "select count(*) from notices n, system_mails m
            where n.kind = 'signups' and n.about = 'shut' and m.kind = 'notice' and m.address = 'author@example.com'";
        assert!(until(async || site.db.number(told).await == 1).await);
        site.app.clock.advance(Duration::from_secs(60));
        site.get("/").await;
        assert_eq!(site.db.number("select count(*) from notices").await, 1);
        assert!(
            site.ask_admin("/", "localhost")
                .await
                .text()
                .contains("came back")
        );
        site.app.clock.advance(Duration::from_secs(86_401));
        assert!(site.get("/").await.text().contains("<form"));
        site.stop().await;
    }
);

on_both!(programs_sign_up_by_the_same_way, async |engine: Engine| {
    let site = TestSite::new(engine).await;
    let fresh = site.get("/subscribe/form").await;
    let fresh: serde_json::Value = serde_json::from_str(&fresh.text()).expect("JSON");
    assert_eq!(
        (&fresh["open"], &fresh["proof_bits"]),
        (&true.into(), &serde_json::Value::Null)
    );
    site.app.clock.advance(Duration::from_secs(60));
    let json = [("Content-Type", "application/json")];
    let body = serde_json::json!({ "email": "ada@example.org", "form": fresh["form"] });
    let answer = site
        .send("POST", "/subscribe", &json, &body.to_string())
        .await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "{\"answer\":\"received\"}")
    );
    let mails = "select count(*) from system_mails where kind = 'confirm'";
    assert_eq!(site.db.number(mails).await, 1);
    for (body, status) in [
        ("[]", 400),
        ("{\"email\":7}", 400),
        ("{", 400),
        (&format!("{{\"email\":\"{}\"}}", "a".repeat(20_000)), 413),
    ] {
        let answer = site.send("POST", "/subscribe", &json, body).await;
        assert_eq!(answer.status, status, "{body:.20}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(
            answer.text().starts_with("{\"answer\":\"fault\""),
            "{}",
            answer.text()
        );
    }
    let body = serde_json::json!({ "email": "nobody", "form": fresh["form"] });
    let answer = site
        .send("POST", "/subscribe", &json, &body.to_string())
        .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("\"answer\":\"address\""),
        "{}",
        answer.text()
    );
    for bad in ["", "[]", "{\"email\":1}", "{"] {
        assert_eq!(
            site.send("POST", "/subscribe", &json, bad).await.status,
            400,
            "{bad}"
        );
    }
    // A form on another site carries the address to ours, and nothing happens on the way.
    let page = site.post("/", "email=eve%40example.org").await;
    assert!(
        page.text().contains("value=\"eve@example.org\""),
        "{}",
        page.text()
    );
    assert_eq!(site.db.number(mails).await, 1);
    let embed = site.get("/embed").await;
    assert!(
        embed.text().contains("action=&quot;http:"),
        "{}",
        embed.text()
    );
    site.stop().await;
});

on_both!(
    signups_that_nobody_confirms_are_forgotten,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        for (client, email) in [
            ("203.0.1.1", "one@example.org"),
            ("203.0.2.1", "two@example.org"),
        ] {
            let (token, _) = form(&site, client).await;
            site.app.clock.advance(Duration::from_secs(5));
            assert_eq!(send(&site, client, email, &token, "").await.status, 200);
        }
        site.app.clock.advance(Duration::from_secs(6 * 86_400));
        // The second asks again: that counts as a new beginning.
        let (token, _) = form(&site, "203.0.2.1").await;
        site.app.clock.advance(Duration::from_secs(5));
        send(&site, "203.0.2.1", "two@example.org", &token, "").await;
        assert_eq!(house::round(&site.app).await.expect("a round"), 0);
        site.app.clock.advance(Duration::from_secs(86_400));
        assert_eq!(house::round(&site.app).await.expect("a round"), 1);
        let gone = "select count(*) from subscribers where canonical = 'one@example.org'";
        assert_eq!(site.db.number(gone).await, 0);
        let kept = "select count(*) from subscribers";
        assert_eq!(site.db.number(kept).await, 2);
        let cancelled = "select count(*) from deliveries where run_id = 1 and state = 'cancelled'";
        assert_eq!(site.db.number(cancelled).await, 1);
        site.stop().await;
    }
);
