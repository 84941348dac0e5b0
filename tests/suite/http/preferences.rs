//! What readers decide for themselves behind the manage link, and what it does to mail on its way.

use std::time::Duration;

use pressrun::config::uncertain::UncertainPolicy;
use pressrun::id::{ListId, RunId, SubscriptionKey};
use pressrun::store::runs::{Begun, Frozen, NewRun, Plan};
use pressrun::token::Claim;

use super::site::{NOON, TestSite, delivery};
use crate::harness::Engine;
use crate::on_both;

const DAY: u64 = 86_400;

pub fn manage(site: &TestSite, seq: i64) -> String {
    let token = site.token(Claim::Manage(SubscriptionKey(1000 + seq)));
    format!("/preferences/{token}")
}

/// The link to a reader's page in a mail of now: another one since she moved to another address.
pub async fn manage_now(site: &TestSite, seq: i64) -> String {
    let key = 1000 + seq;
    let key = format!("select coalesce(manage_key, key) from subscriptions where key = {key}");
    let key = SubscriptionKey(site.db.number(&key).await);
    format!("/preferences/{}", site.token(Claim::Manage(key)))
}

/// Freezes a run of the issue `slug` to the weekly and gives its number and how many take part.
pub async fn freeze(site: &TestSite, slug: &str, monthly: bool) -> (RunId, i64) {
    let new = NewRun {
        slug,
        title: slug,
        list: ListId(1),
        revision: "rev",
        headers: "{}",
        relay: "",
        policy: UncertainPolicy::Hold,
        parts: &[],
    };
    let plan = Plan {
        monthly,
        ..Plan::default()
    };
    let now = site.app.clock.now();
    let store = &site.app.store;
    let begun = store.begin_run(&new, &plan, None, false, now).await;
    let Begun::New(run) = begun.expect("a run") else {
        panic!("the run is not new");
    };
    let frozen = store.freeze_some(run, 1024, now).await.expect("a freeze");
    let Frozen::All(recipients) = frozen else {
        panic!("the freeze takes more than one step");
    };
    (run, recipients)
}

/// A site whose form offers two lists, of both of which there is a digest of the month.
async fn two_lists(engine: Engine) -> TestSite {
    let config = TestSite::config(&[(
        "open = true",
        "open = true\nlists = [\"weekly\", \"daily\"]\nmonthly = [\"weekly\", \"daily\"]",
    )]);
    TestSite::with(engine, &config, |_| {}).await
}

on_both!(
    a_reader_chooses_lists_without_a_further_mail,
    async |engine: Engine| {
        let site = two_lists(engine).await;
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
    the_link_alone_brings_nobody_back_who_left_long_ago,
    async |engine: Engine| {
        let site = two_lists(engine).await;
        site.seed_run(2).await;
        // One left the weekly, the other both, and of one of them there is nothing left.
        for seq in [0, 1] {
            let left = site
                .post(&manage(&site, seq), "answer=lists&list=daily")
                .await;
            assert_eq!(left.status, 200);
        }
        site.post(&manage(&site, 1), "answer=lists").await;
        site.db
            .exec("delete from subscriptions where key = 101001")
            .await;
        site.app.clock.advance(Duration::from_secs(2 * DAY));
        for seq in [0, 1] {
            let both = "answer=lists&list=weekly&list=daily";
            let answer = site.post(&manage(&site, seq), both).await;
            let text = answer.text();
            assert!(text.contains("the link in a mail to your"), "{text}");
            assert_eq!(site.status(1000 + seq).await, "unsubscribed");
            let mails =
                "select count(*) from system_mails where kind = 'confirm' and revision = 'confirm'";
            assert_eq!(site.db.number(mails).await, 1 + seq);
            site.post(&manage(&site, seq), both).await;
            assert_eq!(site.db.number(mails).await, 1 + seq, "one a day");
        }
        let on =
            "select count(*) from subscriptions where status = 'confirmed' and subscriber_id = ";
        assert_eq!(site.db.number(&format!("{on}1000")).await, 1);
        assert_eq!(site.db.number(&format!("{on}1001")).await, 0);
        // The mail's link brings her back to all that she wished for.
        let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        let claim = Claim::Confirm(SubscriptionKey(1001), issued);
        let link = format!("/confirm/{}", site.token(claim));
        assert_eq!(site.post(&link, "answer=confirm").await.status, 200);
        assert_eq!(site.db.number(&format!("{on}1001")).await, 2);
        site.stop().await;
    }
);

on_both!(
    who_paused_and_left_comes_back_paused,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let path = manage(&site, 0);
        site.post(&path, "answer=pause&until=2026-11-20").await;
        for leave in ["answer=leave", "answer=leave-all"] {
            site.post(&path, leave).await;
            assert_eq!(site.status(1000).await, "unsubscribed");
            let back = site.post(&path, "answer=return").await;
            assert!(back.text().contains("Welcome back"), "{}", back.text());
            assert_eq!(site.status(1000).await, "paused");
        }
        assert!(site.get(&path).await.text().contains("20 November 2026"));
        // A pause that ended meanwhile is none.
        site.app.clock.advance(Duration::from_secs(18 * DAY));
        site.post(&path, "answer=leave").await;
        site.app.clock.advance(Duration::from_secs(DAY - 1));
        site.post(&path, "answer=return").await;
        assert_eq!(site.status(1000).await, "confirmed");
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
            answer.text().contains("before 11 November 2026"),
            "{}",
            answer.text()
        );
        assert_eq!(site.status(1000).await, "paused");
        // Out of the run that is under way, and out of the next.
        let taken = format!(
            "select count(*) from deliveries where run_id = {run} and subscriber_id = 1000
             and state = 'cancelled'"
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
        let site = two_lists(engine).await;
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
                .number("select count(*) from events where seq = 0 and kind <> 'withdrawal'")
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
                .number("select count(*) from events where seq = 0 and kind <> 'withdrawal'")
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
        let json = site.data_of(0).await;
        assert_eq!(json["address"], "Reader0@example.org");
        assert_eq!(json["tags"], serde_json::json!(["jobs", "paid"]));
        assert_eq!(json["new_address"], serde_json::Value::Null);
        assert_eq!(json["subscriptions"][0]["list"], "weekly");
        assert_eq!(json["mails"][0]["title"], "Week 1");
        assert_eq!(json["events"][0]["kind"], "open");
        assert_eq!(json["events"][0]["issue"], "Week 1");
        // Asked twice, and in her mailbox.
        assert_eq!(site.post(&path, "answer=erase").await.status, 200);
        assert_eq!(site.db.number("select count(*) from subscribers").await, 2);
        let erased = site.erase_reader(0).await;
        assert!(erased.contains("Erased"), "{erased}");
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
        assert!(page.contains("before 11 November 2026"), "{page}");
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
