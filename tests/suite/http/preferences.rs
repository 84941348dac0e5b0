//! What readers decide for themselves behind the manage link, and what it does to mail on its way.

use std::time::Duration;

use pressrun::id::{ListId, RunId, SubscriptionKey};
use pressrun::signup::house;
use pressrun::store::runs::{Begun, Frozen, NewRun, Plan};
use pressrun::token::Claim;

use super::site::{NOON, TestSite, delivery};
use crate::harness::Engine;
use crate::on_both;

const DAY: u64 = 86_400;

fn manage(site: &TestSite, seq: i64) -> String {
    let token = site.token(Claim::Manage(SubscriptionKey(1000 + seq)));
    format!("/preferences/{token}")
}

/// Freezes a run of the issue `slug` to the weekly and gives its number and how many take part.
async fn freeze(site: &TestSite, slug: &str, monthly: bool) -> (RunId, i64) {
    let new = NewRun {
        slug,
        title: slug,
        list: ListId(1),
        revision: "rev",
        headers: "{}",
        relay: "",
        policy: "hold",
        parts: &[],
    };
    let plan = Plan {
        monthly,
        ..Plan::default()
    };
    let now = site.app.clock.now();
    let store = &site.app.store;
    let begun = store.begin_planned(&new, &plan, false, now).await;
    let Begun::New(run) = begun.expect("a run") else {
        panic!("the run is not new");
    };
    let frozen = store.freeze_some(run, 1024, now).await.expect("a freeze");
    let Frozen::All(recipients) = frozen else {
        panic!("the freeze takes more than one step");
    };
    (run, recipients)
}

on_both!(
    a_reader_chooses_lists_without_a_further_mail,
    async |engine: Engine| {
        let config = TestSite::config(&[(
            "open = true",
            "open = true\nlists = [\"weekly\", \"daily\"]",
        )]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        site.seed_run(2).await;
        site.db
            .exec("delete from subscriptions where key = 101000")
            .await;
        let path = manage(&site, 0);
        let page = site.get(&path).await;
        assert_eq!(page.status, 200);
        let text = page.text();
        assert!(
            text.contains("R***@example.org") && !text.contains("Reader0"),
            "{text}"
        );
        assert!(text.contains("value=\"weekly\" checked"), "{text}");
        assert!(text.contains("value=\"daily\">"), "{text}");
        // The daily instead of the weekly.
        let daily = "select status from subscriptions where subscriber_id = 1000 and list_id = 2";
        let answer = site
            .post(&path, "answer=lists&list=daily&frequency=monthly")
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(site.db.text(daily).await.as_deref(), Some("confirmed"));
        assert_eq!(site.status(1000).await, "unsubscribed");
        let noted = "select count(*) from consents where subscriber_id = 1000 and what = 'join' and list_id = 2";
        assert_eq!(site.db.number(noted).await, 1);
        let monthly = "select count(*) from subscriptions where subscriber_id = 1000 and frequency = 'monthly'";
        assert_eq!(site.db.number(monthly).await, 2);
        assert_eq!(site.db.number("select count(*) from system_mails").await, 0);
        // The link still works, and brings the reader back to the first list as well.
        let answer = site
            .post(&path, "answer=lists&list=daily&list=weekly&frequency=every")
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(site.status(1000).await, "confirmed");
        // A list that is neither offered nor the reader's cannot be had, and the others stay as they are.
        let answer = site
            .post(&path, "answer=lists&list=daily&list=weekly&list=secret")
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            site.db.number("select count(*) from subscriptions").await,
            4
        );
        // Nobody who must not be mailed joins anything.
        site.db
            .exec(
                "insert into suppressions (hash, reason, created_at)
                 select hash, 'complained', 0 from subscribers where id = 1001;
                 update subscriptions set status = 'unsubscribed', left_at = 1 where subscriber_id = 1001",
            )
            .await;
        site.post(&manage(&site, 1), "answer=lists&list=weekly")
            .await;
        assert_eq!(site.status(1001).await, "unsubscribed");
        site.stop().await;
    }
);

on_both!(
    a_paused_reader_gets_nothing_and_wakes_in_time,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let (run, recipients) = freeze(&site, "before", false).await;
        assert_eq!(recipients, 2);
        let path = manage(&site, 0);
        for wrong in ["", "2026-11-01", "2026-13-01", "2028-01-01", "x"] {
            let answer = site
                .post(&path, &format!("answer=pause&until={wrong}"))
                .await;
            assert!(answer.text().contains("within the coming year"), "{wrong}");
            assert_eq!(site.status(1000).await, "confirmed");
        }
        let answer = site.post(&path, "answer=pause&until=2026-11-11").await;
        assert!(
            answer.text().contains("before 2026-11-11"),
            "{}",
            answer.text()
        );
        assert_eq!(site.status(1000).await, "paused");
        // Out of the run that is under way, and out of the next.
        let taken = format!(
            "select count(*) from deliveries where run_id = {run} and subscriber_id = 1000
             and state = 'unsubscribed'"
        );
        assert_eq!(site.db.number(&taken).await, 1);
        assert_eq!(freeze(&site, "during", false).await.1, 1);
        // Midnight before the eleventh: awake, with nobody's help.
        site.app
            .clock
            .advance(Duration::from_secs(9 * DAY + 12 * 3_600));
        assert_eq!(freeze(&site, "after", false).await.1, 2);
        assert_eq!(site.status(1000).await, "confirmed");
        site.post(&path, "answer=pause&until=2026-12-24").await;
        assert_eq!(site.status(101_000).await, "paused");
        site.post(&path, "answer=unpause").await;
        assert_eq!(site.status(101_000).await, "confirmed");
        // Whom the author paused for not answering, or another service had paused, comes back by herself.
        site.db
            .exec("update subscriptions set status = 'paused' where key = 1000")
            .await;
        let page = site.get(&path).await.text();
        assert!(page.contains("until you end the pause"), "{page}");
        site.post(&path, "answer=unpause").await;
        assert_eq!(site.status(1000).await, "confirmed");
        site.stop().await;
    }
);

on_both!(
    a_monthly_reader_is_taken_by_monthly_runs_alone,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        site.post(
            &manage(&site, 0),
            "answer=lists&list=weekly&list=daily&frequency=monthly",
        )
        .await;
        assert_eq!(freeze(&site, "weekly", false).await.1, 1);
        assert_eq!(freeze(&site, "digest", true).await.1, 2);
        site.stop().await;
    }
);

on_both!(
    an_address_is_changed_by_its_new_owner_only,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(4).await;
        let gone = site.hash_hex("gone@example.org");
        site.db
            .exec(&format!(
                "insert into suppressions (hash, reason, created_at) values (unhex('{gone}'), 'bounced', 0)"
            ))
            .await;
        let mails =
            "select count(*) from system_mails where kind = 'confirm' and revision = 'address'";
        // Known, suppressed, new: the same words, and one mail.
        let mut answers = Vec::new();
        for (seq, email, sent) in [
            (1, "reader0%40example.org", 0),
            (2, "gone%40example.org", 0),
            (3, "New%40example.org", 1),
        ] {
            let answer = site
                .post(
                    &manage(&site, seq),
                    &format!("answer=address&email={email}"),
                )
                .await;
            let text = answer.text();
            let (_, notice) = text.split_once("role=\"status\">").expect("a notice");
            answers.push((
                answer.status,
                notice.split_once('<').expect("its end").0.to_owned(),
                text.contains("A new address waits to be confirmed"),
            ));
            assert_eq!(site.db.number(mails).await, sent, "{email}");
        }
        assert!(
            answers.iter().all(|answer| answer == &answers[0]),
            "{answers:?}"
        );
        // Another wish at once causes no further mail, and its reader is told so: no mail is on its way.
        let hasty = site
            .post(
                &manage(&site, 3),
                "answer=address&email=other%40example.org",
            )
            .await
            .text();
        assert_eq!(site.db.number(mails).await, 1);
        assert!(!hasty.contains("on its way"), "{hasty}");
        assert!(
            hasty.contains("ask again after Mon 2 Nov 2026 12:00 UTC"),
            "{hasty}"
        );
        let address = "select address from subscribers where id = 1003";
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("Reader3@example.org")
        );
        let key = "select key from address_changes where subscriber_id = 1003";
        let key = site.db.number(key).await;
        let row = format!(
            "select count(*) from system_mails where data = '{{\"subscription\":{key}}}'
             and address = 'New@example.org' and list_id is null"
        );
        assert_eq!(site.db.number(&row).await, 1);
        let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        let link = format!(
            "/confirm/{}",
            site.token(Claim::Confirm(SubscriptionKey(key), issued))
        );
        let page = site.get(&link).await;
        assert!(page.text().contains("N***@example.org"), "{}", page.text());
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("Reader3@example.org")
        );
        assert_eq!(site.post(&link, "answer=confirm").await.status, 200);
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("New@example.org")
        );
        let hash = format!(
            "select count(*) from subscribers where id = 1003 and canonical = 'new@example.org'
             and hash = unhex('{}')",
            site.hash_hex("new@example.org")
        );
        assert_eq!(site.db.number(&hash).await, 1);
        // Pressed twice, it says the same twice, and takes nothing back.
        for answer in ["confirm", "not-me"] {
            let again = site.post(&link, &format!("answer={answer}")).await;
            assert_eq!(again.status, 200, "{answer}");
            assert!(again.text().contains("your mail goes to"), "{answer}");
        }
        assert!(site.get(&link).await.text().contains("your mail goes to"));
        let noted = "select count(*) from consents where subscriber_id = 1003 and what = 'address'";
        assert_eq!(site.db.number(noted).await, 1);
        // A wish that came true stands in no other's way.
        let further = site
            .post(
                &manage(&site, 3),
                "answer=address&email=third%40example.org",
            )
            .await;
        assert!(
            further.text().contains("a mail is on its way"),
            "{}",
            further.text()
        );
        assert_eq!(site.db.number(mails).await, 2);
        // What nobody confirms is forgotten with its link.
        let waiting = "select count(*) from address_changes";
        assert_eq!(site.db.number(waiting).await, 3);
        site.app.clock.advance(Duration::from_secs(73 * 3_600));
        house::round(&site.app).await.expect("a round");
        assert_eq!(site.db.number(waiting).await, 0);
        site.stop().await;
    }
);

on_both!(
    no_number_of_readers_can_mail_an_address_more_often_than_the_form_can,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(6).await;
        for seq in 0..6 {
            let wish = "answer=address&email=victim%40example.net";
            assert_eq!(site.post(&manage(&site, seq), wish).await.status, 200);
            site.app.clock.advance(Duration::from_secs(DAY + 60));
        }
        let mails = "select count(*) from system_mails where address = 'victim@example.net'";
        assert_eq!(site.db.number(mails).await, 3);
        site.stop().await;
    }
);

on_both!(
    whoever_withdraws_is_not_counted_in_old_mail_neither,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let opens = ["/o/", "/c/", "/view/"];
        let path = |seq, what: &str| {
            let claim = match what {
                "/o/" => Claim::Open(delivery(seq)),
                "/c/" => Claim::Click(delivery(seq), 0),
                _ => Claim::View(delivery(seq)),
            };
            format!("{what}{}", site.token(claim))
        };
        site.post(&manage(&site, 0), "answer=tracking-off").await;
        let before = site.get(&path(1, "/o/")).await;
        for what in opens {
            let answer = site.get(&path(0, what)).await;
            assert!(matches!(answer.status, 200 | 302), "{what}");
        }
        // The same pixel, whoever is asked for.
        assert_eq!(site.get(&path(0, "/o/")).await, before);
        assert_eq!(
            site.db
                .number("select count(*) from events where seq = 0")
                .await,
            0
        );
        assert_eq!(
            site.db
                .number("select count(*) from events where seq = 1")
                .await,
            1
        );
        assert_eq!(
            (site.counter("opened").await, site.counter("clicked").await),
            (1, 0)
        );
        site.post(&manage(&site, 0), "answer=tracking-on").await;
        for what in opens {
            site.get(&path(0, what)).await;
        }
        assert_eq!(
            site.db
                .number("select count(*) from events where seq = 0")
                .await,
            3
        );
        let noted =
            "select count(*) from consents where subscriber_id = 1000 and what like 'tracking-%'";
        assert_eq!(site.db.number(noted).await, 2);
        site.stop().await;
    }
);

on_both!(
    an_erased_reader_leaves_a_hash_and_comes_by_no_import,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        site.db
            .exec("update deliveries set copy = '{\"to\":\"Reader0@example.org\"}', reply = '<Reader0@example.org> ok'")
            .await;
        site.db
            .exec(
                "insert into failures (run_id, seq, at, stage, reason, dialogue)
                 select run_id, seq, 1, 'rcpt', 'policy', 'RCPT TO:<Reader0@example.org>'
                 from deliveries where run_id = 2",
            )
            .await;
        let (run, _) = freeze(&site, "under-way", false).await;
        site.get(&format!("/o/{}", site.token(Claim::Open(delivery(0)))))
            .await;
        let path = manage(&site, 0);
        site.db
            .exec("insert into tags (subscriber_id, tag) values (1000, 'paid'), (1000, 'jobs'), (1001, 'other')")
            .await;
        let data = site.post(&path, "answer=export").await;
        assert_eq!(data.header("content-type"), Some("application/json"));
        let json: serde_json::Value = serde_json::from_str(&data.text()).expect("JSON");
        assert_eq!(json["address"], "Reader0@example.org");
        assert_eq!(json["tags"], serde_json::json!(["jobs", "paid"]));
        assert_eq!(json["new_address"], serde_json::Value::Null);
        assert_eq!(json["subscriptions"][0]["list"], "weekly");
        assert_eq!(json["mails"][0]["title"], "Week 1");
        assert_eq!(json["events"][0]["kind"], "open");
        // Asked twice.
        assert_eq!(site.post(&path, "answer=erase").await.status, 200);
        assert_eq!(site.db.number("select count(*) from subscribers").await, 2);
        assert_eq!(site.post(&path, "answer=erase-for-good").await.status, 200);
        for (what, left) in [
            (
                "select count(*) from subscribers where canonical = 'reader0@example.org'",
                0,
            ),
            (
                "select count(*) from subscriptions where subscriber_id = 1000",
                0,
            ),
            (
                "select count(*) from deliveries where subscriber_id = 1000",
                0,
            ),
            (
                "select count(*) from deliveries where run_id = 2 and seq = 0 and copy is null and reply is null",
                1,
            ),
            (
                "select count(*) from deliveries where copy like '%Reader0%' and seq = 1",
                1,
            ),
            (
                "select count(*) from failures where dialogue = '' and seq = 0",
                1,
            ),
            (
                "select count(*) from failures where dialogue <> '' and seq = 1",
                1,
            ),
            (
                "select count(*) from suppressions where reason = 'erased'",
                1,
            ),
        ] {
            assert_eq!(site.db.number(what).await, left, "{what}");
        }
        let taken = format!(
            "select count(*) from deliveries where run_id = {run} and seq = 0 and state = 'suppressed'"
        );
        assert_eq!(site.db.number(&taken).await, 1);
        let counters = format!("select queued * 10 + suppressed from blocks where run_id = {run}");
        assert_eq!(site.db.number(&counters).await, 11);
        let nowhere = site.get("/nowhere").await;
        assert_eq!(site.get(&path).await.body, nowhere.body);
        let add = [
            "subscribers",
            "add",
            "reader0@example.org",
            "--list",
            "weekly",
        ];
        let (code, _, told) = site.command(&add);
        assert_ne!(code, Some(0));
        assert!(told.contains("suppressed"), "{told}");
        assert!(site.app.clock.now() == NOON);
        site.stop().await;
    }
);

impl TestSite {
    async fn suppress_reader(&self, seq: i64, reason: &str) {
        let reader = 1000 + seq;
        let row = format!(
            "insert into suppressions (hash, reason, created_at)
             select hash, '{reason}', 0 from subscribers where id = {reader}"
        );
        self.db.exec(&row).await;
    }

    /// The confirm link in the mail to the address that this reader wished for.
    async fn link_of_wish(&self, seq: i64) -> String {
        let reader = 1000 + seq;
        let key = format!("select key from address_changes where subscriber_id = {reader}");
        let key = SubscriptionKey(self.db.number(&key).await);
        let issued = u32::try_from(self.app.clock.now().seconds()).expect("before 2106");
        format!("/confirm/{}", self.token(Claim::Confirm(key, issued)))
    }
}

on_both!(
    whose_mail_came_back_may_name_another_address_and_who_wanted_none_may_not,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        site.suppress_reader(0, "bounced").await;
        site.suppress_reader(1, "complained").await;
        let page = site.get(&manage(&site, 0)).await.text();
        assert!(page.contains("mail to it came back"), "{page}");
        assert!(page.contains("Another address"), "{page}");
        site.post(&manage(&site, 0), "answer=address&email=new%40example.net")
            .await;
        let link = site.link_of_wish(0).await;
        let done = site.post(&link, "answer=confirm").await;
        assert_eq!(done.status, 200, "{}", done.text());
        let address = "select address from subscribers where id = 1000";
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("new@example.net")
        );
        // The old address stays suppressed, and the reader is mailed again.
        assert_eq!(site.db.number("select count(*) from suppressions").await, 2);
        assert_eq!(freeze(&site, "next", false).await.1, 2);
        let queued = "select count(*) from deliveries d join runs r on r.id = d.run_id
            where r.slug = 'next' and d.state = 'queued' and d.subscriber_id = 1000";
        assert_eq!(site.db.number(queued).await, 1);

        let page = site.get(&manage(&site, 1)).await.text();
        assert!(page.contains("it was not wanted"), "{page}");
        assert!(!page.contains("Another address"), "{page}");
        let refused = site
            .post(&manage(&site, 1), "answer=address&email=else%40example.net")
            .await
            .text();
        assert!(refused.contains("Nothing was changed"), "{refused}");
        site.db
            .exec(
                "update subscriptions set status = 'unsubscribed', left_at = 1 where key = 101001",
            )
            .await;
        let joined = site
            .post(&manage(&site, 1), "answer=lists&list=weekly&list=daily")
            .await
            .text();
        assert!(!joined.contains("Saved."), "{joined}");
        assert!(joined.contains("on no further list"), "{joined}");
        assert_eq!(site.db.number("select count(*) from system_mails").await, 1);
        site.stop().await;
    }
);

on_both!(
    a_wish_for_another_address_goes_with_the_reader_or_with_its_link,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        for seq in 0..2 {
            let wish = format!("answer=address&email=wish{seq}%40example.net");
            site.post(&manage(&site, seq), &wish).await;
        }
        let data = site.post(&manage(&site, 0), "answer=export").await.text();
        let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(data["new_address"], "wish0@example.net");
        // Erased before the mail has gone: it goes to nobody, and nothing waits for ever.
        site.post(&manage(&site, 0), "answer=erase-for-good").await;
        let states = "select count(*) from deliveries where run_id = 1 and state = ";
        let count = async |state: &str| site.db.number(&format!("{states}'{state}'")).await;
        assert_eq!((count("queued").await, count("cancelled").await), (1, 1));
        let counters = "select queued * 10 + cancelled from blocks where run_id = 1";
        assert_eq!(site.db.number(counters).await, 11);
        // Sent, and never confirmed: the address is forgotten with its link, whoever's it was.
        site.db
            .exec(
                "update deliveries set state = 'sent', copy = 'wish1@example.net', reply = 'wish1@example.net'
                 where run_id = 1 and state = 'queued';
                 update blocks set queued = 0, sent = 1 where run_id = 1;
                 insert into failures (run_id, seq, at, stage, reason, dialogue)
                 select run_id, seq, 1, 'rcpt', 'policy', 'wish1@example.net' from deliveries
                 where run_id = 1 and state = 'sent'",
            )
            .await;
        let kept = "select (select count(*) from system_mails where address is not null)
            + (select count(*) from deliveries where copy = 'wish1@example.net' or reply = 'wish1@example.net')
            + (select count(*) from failures where dialogue = 'wish1@example.net')";
        house::round(&site.app).await.expect("a round");
        assert_eq!(site.db.number(kept).await, 3, "the link still works");
        site.app.clock.advance(Duration::from_secs(73 * 3_600));
        house::round(&site.app).await.expect("a round");
        assert_eq!(site.db.number(kept).await, 0);
        site.stop().await;
    }
);

on_both!(
    the_page_tells_what_is_counted_here_and_offers_no_choice_where_there_is_none,
    async |engine: Engine| {
        for (tracking, says, choice) in [
            ("individual", "We count which issues are opened", true),
            ("anonymous", "but not who", true),
            (
                "off",
                "Nothing that anybody opens or clicks is counted",
                false,
            ),
        ] {
            let section = format!("[privacy]\ntracking = \"{tracking}\"\n[signup]");
            let config = TestSite::config(&[("[signup]", &section)]);
            let site = TestSite::with(engine, &config, |_| {}).await;
            site.seed_run(1).await;
            let page = site.get(&manage(&site, 0)).await.text();
            assert!(page.contains(says), "{tracking}: {page}");
            assert_eq!(page.contains("value=\"tracking-"), choice, "{tracking}");
            site.stop().await;
        }
    }
);

on_both!(
    a_pause_ends_with_the_day_where_the_publication_is,
    async |engine: Engine| {
        let config = TestSite::config(&[(
            "language = \"en\"",
            "language = \"en\"\ntimezone = \"America/New_York\"",
        )]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        site.seed_run(1).await;
        let page = site
            .post(&manage(&site, 0), "answer=pause&until=2026-11-11")
            .await
            .text();
        assert!(page.contains("before 2026-11-11"), "{page}");
        // From noon of the first in UTC to five in the morning of the eleventh.
        site.app
            .clock
            .advance(Duration::from_secs(9 * DAY + 16 * 3_600));
        assert_eq!(freeze(&site, "early", false).await.1, 0);
        site.app.clock.advance(Duration::from_secs(3_600));
        assert_eq!(freeze(&site, "then", false).await.1, 1);
        site.stop().await;
    }
);
