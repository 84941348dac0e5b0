//! Unsubscribing, as RFC 8058 and the readers want it.

use std::time::Duration;

use pressrun::clock::Timestamp;
use pressrun::id::SubscriptionKey;
use pressrun::token::Claim;

use super::site::{TestSite, delivery, unsubscribe};
use crate::harness::Engine;
use crate::on_both;

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

on_both!(
    one_click_works_in_both_encodings_without_a_redirect_and_on_that_list_only,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let path = |seq| format!("/u/{}", site.token(unsubscribe(seq)));
        let urlencoded = site.post(&path(0), ONE_CLICK).await;
        let kind = [("Content-Type", "multipart/form-data; boundary=----x")];
        let body = "------x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n\
                    One-Click\r\n------x--\r\n";
        let multipart = site.send("POST", &path(1), &kind, body).await;
        let bare = site.send("POST", &path(2), &[], ONE_CLICK).await;
        for (seq, answer) in [(0, urlencoded), (1, multipart), (2, bare)] {
            assert_eq!(answer.status, 200, "{seq}");
            assert_eq!(answer.header("location"), None);
            assert_eq!(answer.header("set-cookie"), None);
            assert_eq!(site.status(1000 + seq).await, "unsubscribed");
            assert_eq!(site.status(101_000 + seq).await, "confirmed");
        }
        assert_eq!(site.counter("departed").await, 3);
        let one_click = "select count(*) from events where kind = 'unsubscribe'
                         and evidence like '%\"one_click\":true%'";
        assert_eq!(site.db.number(one_click).await, 3);
        site.stop().await;
    }
);

on_both!(
    a_leaving_is_counted_once_however_often_and_by_whichever_copy_it_is_asked,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        // The same reader got a second copy.
        site.db
            .exec("update deliveries set subscriber_id = 1000 where seq = 1")
            .await;
        let first = format!("/u/{}", site.token(unsubscribe(0)));
        let second = Claim::Unsubscribe(SubscriptionKey(1000), delivery(1));
        let second = format!("/u/{}", site.token(second));
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(site.post(&first, ONE_CLICK));
            answers.push(site.post(&second, "answer=leave"));
        }
        for answer in futures::future::join_all(answers).await {
            assert_eq!(answer.status, 200);
        }
        assert_eq!(site.counter("departed").await, 1);
        let events = "select count(*) from events where kind = 'unsubscribe'";
        assert_eq!(site.db.number(events).await, 1);
        // Back by another way, and out again, much later: that is a second leaving.
        site.db
            .exec("update subscriptions set status = 'confirmed', left_at = null where key = 1000")
            .await;
        site.app.clock.advance(Duration::from_secs(400 * 86_400));
        assert_eq!(site.post(&second, ONE_CLICK).await.status, 200);
        assert_eq!(site.status(1000).await, "unsubscribed");
        site.stop().await;
    }
);

on_both!(
    a_leaving_by_another_door_is_not_counted_for_the_mail,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let now = site.app.clock.now();
        site.app
            .store
            .leave(SubscriptionKey(1000), now)
            .await
            .expect("a write");
        site.app.clock.advance(Duration::from_secs(7_200));
        let path = format!("/u/{}", site.token(unsubscribe(0)));
        assert_eq!(site.post(&path, ONE_CLICK).await.status, 200);
        assert_eq!(site.counter("departed").await, 0);
        // The preferences page ends a subscription too, and names no mail.
        let path = format!(
            "/preferences/{}",
            site.token(Claim::Manage(SubscriptionKey(1001)))
        );
        assert!(site.get(&path).await.text().contains("R***@example.org"));
        assert_eq!(site.post(&path, "answer=leave").await.status, 200);
        assert_eq!(site.status(1001).await, "unsubscribed");
        assert_eq!(site.counter("departed").await, 0);
        site.stop().await;
    }
);

on_both!(
    a_goodbye_goes_once_to_whoever_leaves_on_the_page_and_to_nobody_else,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let goodbyes = "select count(*) from system_mails where kind = 'goodbye'";
        let path = |seq| format!("/u/{}", site.token(unsubscribe(seq)));
        assert_eq!(site.post(&path(0), ONE_CLICK).await.status, 200);
        assert_eq!(site.db.number(goodbyes).await, 0, "one click is no visit");
        site.db
            .exec(
                "insert into suppressions (hash, reason, created_at)
                 select hash, 'complaint', 0 from subscribers where id = 1001",
            )
            .await;
        assert_eq!(site.post(&path(1), "answer=leave-all").await.status, 200);
        assert_eq!(site.status(1001).await, "unsubscribed");
        assert_eq!(
            site.db.number(goodbyes).await,
            0,
            "suppressed is suppressed"
        );
        // What she reads still comes after it, so that it would be no last mail; and the page says what that is.
        let page = site.post(&path(2), "answer=leave").await.text();
        assert!(
            page.contains("You stay on <strong>The Daily</strong>"),
            "{page}"
        );
        assert!(!page.contains("No further issue"), "{page}");
        assert_eq!(site.db.number(goodbyes).await, 0);
        assert!(site.get(&path(2)).await.text().contains("You stay on"));
        for _ in 0..2 {
            let page = site.post(&path(2), "answer=leave-all").await.text();
            assert!(page.contains("No further issue comes to you"), "{page}");
            assert!(!page.contains("You stay on"), "{page}");
            assert_eq!(site.db.number(goodbyes).await, 1);
        }
        assert_eq!(site.status(101_002).await, "unsubscribed");
        // No list: its headers would offer to leave once more, and a later leave would take the mail.
        let bare = "select count(*) from system_mails m join deliveries d
                        on d.run_id = m.run_id and d.seq = m.seq
                    where m.kind = 'goodbye' and m.list_id is null and d.subscriber_id = 1002
                      and d.state = 'queued'";
        assert_eq!(site.db.number(bare).await, 1);
        site.stop().await;
    }
);

on_both!(
    who_leaves_everything_is_told_what_that_is_and_has_one_press_back_to_all_of_it,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let path = |seq| format!("/u/{}", site.token(unsubscribe(seq)));
        let both = "from <strong>The Weekly</strong> and <strong>The Daily</strong>.";
        site.post(&path(0), "answer=leave").await;
        site.app.clock.advance(Duration::from_secs(1_200));
        let page = site.post(&path(0), "answer=leave-all").await.text();
        assert!(page.contains(both), "{page}");
        assert!(page.contains("value=\"return-all\""), "{page}");
        let page = site.post(&path(0), "answer=return-all").await;
        assert!(
            page.text().contains(
                "gets <strong>The Weekly</strong> and <strong>The Daily</strong> as before"
            ),
            "{}",
            page.text()
        );
        assert_eq!(site.status(1000).await, "confirmed");
        assert_eq!(site.status(101_000).await, "confirmed");
        assert_eq!(site.counter("departed").await, 0);
        assert_eq!(site.post(&path(0), "answer=return-all").await, page);
        // Left in one press, they come back in one.
        let page = site.post(&path(1), "answer=leave-all").await.text();
        assert!(page.contains(both), "{page}");
        site.post(&path(1), "answer=return").await;
        assert_eq!(site.status(101_001).await, "confirmed");
        // What was left by another mail stays left where one list alone is taken back.
        site.post(&path(1), "answer=leave").await;
        site.app.clock.advance(Duration::from_secs(1_200));
        let key = SubscriptionKey(101_001);
        let daily = format!("/preferences/{}", site.token(Claim::Manage(key)));
        site.post(&daily, "answer=leave").await;
        let page = site.get(&path(1)).await.text();
        assert!(!page.contains("The Daily"), "{page}");
        site.post(&path(1), "answer=return").await;
        assert_eq!(site.status(1001).await, "confirmed");
        assert_eq!(site.status(101_001).await, "unsubscribed");
        site.stop().await;
    }
);

on_both!(
    one_press_back_brings_no_more_back_than_the_press_that_left_and_nothing_less,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let path = |seq| format!("/u/{}", site.token(unsubscribe(seq)));
        let (weekly, daily) = (SubscriptionKey(1000), SubscriptionKey(101_000));
        // The author had taken her off the other list: that was no press of hers.
        site.post(&path(0), "answer=leave").await;
        site.app.clock.advance(Duration::from_secs(60));
        let now = site.app.clock.now();
        assert!(site.app.store.take_off(daily, now).await.expect("a write"));
        site.app.clock.advance(Duration::from_secs(60));
        let page = site.post(&path(0), "answer=leave-all").await.text();
        assert!(page.contains("from <strong>The Weekly</strong>."), "{page}");
        site.post(&path(0), "answer=return-all").await;
        assert_eq!(site.status(weekly.0).await, "confirmed");
        assert_eq!(site.status(daily.0).await, "unsubscribed");
        // By her own hand since, so that nobody puts her back.
        let since = Timestamp(0);
        let back = site.app.store.put_back(daily, since, now).await;
        assert!(!back.expect("a write"));
        // The link's own list was left days ago, and all others just now.
        site.post(&path(1), "answer=leave").await;
        site.app.clock.advance(Duration::from_secs(3 * 86_400));
        let page = site.post(&path(1), "answer=leave-all").await.text();
        assert!(page.contains("from <strong>The Daily</strong>."), "{page}");
        assert!(page.contains("value=\"return-all\""), "{page}");
        let page = site.post(&path(1), "answer=return-all").await.text();
        assert!(
            page.contains("gets <strong>The Daily</strong> as before"),
            "{page}"
        );
        assert_eq!(site.status(1001).await, "unsubscribed");
        assert_eq!(site.status(101_001).await, "confirmed");
        site.stop().await;
    }
);

on_both!(
    a_body_that_says_nothing_changes_nothing,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let path = format!("/u/{}", site.token(unsubscribe(0)));
        let page = site.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("R***@example.org"), "{}", page.text());
        assert!(
            !page.text().contains("Reader0"),
            "no whole address on a page"
        );
        for body in [
            "",
            "x",
            "List-Unsubscribe=",
            "List-Unsubscribe=Two-Clicks",
            "list-unsubscribe=one-click",
            "answer=x",
            "%%%=&&&",
        ] {
            let answer = site.post(&path, body).await;
            assert_eq!((answer.status, &answer.body), (400, &page.body), "{body}");
        }
        let long = "a".repeat(20_000);
        assert_eq!(site.post(&path, &long).await.status, 413);
        for kind in [
            "application/json",
            "text/plain",
            "multipart/form-data",
            "multipart/form-data; boundary=x",
        ] {
            let answer = site
                .send("POST", &path, &[("Content-Type", kind)], ONE_CLICK)
                .await;
            assert_eq!(answer.status, 400, "{kind}");
        }
        assert_eq!(site.status(1000).await, "confirmed");
        assert_eq!(site.db.number("select count(*) from events").await, 0);
        site.stop().await;
    }
);

on_both!(a_deleted_reader_can_still_leave, async |engine: Engine| {
    let site = TestSite::new(engine).await;
    site.seed_run(1).await;
    site.db
        .exec("delete from subscriptions; delete from subscribers; delete from deliveries")
        .await;
    let path = format!("/u/{}", site.token(unsubscribe(0)));
    assert_eq!(site.post(&path, ONE_CLICK).await.status, 200);
    assert_eq!(site.counter("departed").await, 0);
    site.stop().await;
});

on_both!(
    a_leaving_is_taken_back_from_its_own_page_and_only_for_a_day,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let path = |seq| format!("/u/{}", site.token(unsubscribe(seq)));
        let left = site.post(&path(0), "answer=leave").await;
        assert!(left.text().contains("R***@example.org"), "{}", left.text());
        assert!(left.text().contains("value=\"return\""), "{}", left.text());
        // Looking brings nobody back; the button does, once and for good.
        site.app.clock.advance(Duration::from_secs(3_600));
        assert_eq!(site.get(&path(0)).await.body, left.body);
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(site.counter("departed").await, 1);
        let back = site.post(&path(0), "answer=return").await;
        // Nobody has left by that mail after all.
        assert_eq!(site.counter("departed").await, 0);
        let departed = "select count(*) from deliveries where departed_at is not null";
        assert_eq!(site.db.number(departed).await, 0);
        assert_eq!(back.status, 200);
        assert_eq!(site.status(1000).await, "confirmed");
        assert_eq!(site.post(&path(0), "answer=return").await, back);
        let noted = "select count(*) from consents where subscriber_id = 1000 and what = 'return'";
        assert_eq!(site.db.number(noted).await, 1);
        // She joined when she joined: a slip of the finger makes no new reader of her.
        let joined = "select confirmed_at from subscriptions where key = 1000";
        assert_eq!(site.db.number(joined).await, 0);
        // The same by the mail program's button, and much later: then only the subscribe page helps.
        assert_eq!(site.post(&path(1), ONE_CLICK).await.status, 200);
        site.app.clock.advance(Duration::from_secs(24 * 3_600 + 1));
        let late = site.post(&path(1), "answer=return").await;
        assert_eq!(late.status, 200);
        assert!(!late.text().contains("value=\"return\""), "{}", late.text());
        assert_eq!(site.status(1001).await, "unsubscribed");
        // Nobody comes back who never came, or who must not be mailed.
        site.db
            .exec(
                "update subscriptions set status = 'pending', confirmed_at = null where key = 1002",
            )
            .await;
        assert_eq!(site.post(&path(2), "answer=leave").await.status, 200);
        site.post(&path(2), "answer=return").await;
        assert_eq!(site.status(1002).await, "unsubscribed");
        assert_eq!(site.post(&path(0), "answer=leave").await.status, 200);
        site.db
            .exec(
                "insert into suppressions (hash, reason, created_at)
                 select hash, 'complained', 0 from subscribers where id = 1000",
            )
            .await;
        site.post(&path(0), "answer=return").await;
        assert_eq!(site.status(1000).await, "unsubscribed");
        site.stop().await;
    }
);

on_both!(
    a_reader_leaves_all_lists_at_once_says_why_and_takes_it_all_back,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        // A run to each list is under way.
        site.db
            .exec(
                "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy,
                     status, cutoff, frozen_to, recipients, created_at, started_at)
                 values (3, 'issue', 'week-2', 'Week 2', 1, 'rev', '{}', 'main', 'hold', 'sending',
                     0, 0, 2, 0, 0),
                     (4, 'issue', 'day-2', 'Day 2', 2, 'rev', '{}', 'main', 'hold', 'sending',
                     0, 0, 2, 0, 0);
                 insert into blocks (run_id, block, queued, next_due) values (3, 0, 2, 0), (4, 0, 2, 0);
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at)
                 values (3, 0, 1000, 'queued', 0), (3, 1, 1001, 'queued', 0),
                        (4, 0, 1000, 'queued', 0), (4, 1, 1001, 'queued', 0)",
            )
            .await;
        let path = format!("/u/{}", site.token(unsubscribe(0)));
        assert!(site.get(&path).await.text().contains("value=\"leave-all\""));
        let words = "a%0D%0A%20b%3Cscript%3E";
        let body = format!("answer=leave-all&reason=too-much&words={words}");
        assert_eq!(site.post(&path, &body).await.status, 200);
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(site.status(101_000).await, "unsubscribed");
        for run in [3, 4] {
            let taken = format!(
                "select count(*) from deliveries where run_id = {run} and subscriber_id = 1000
                 and state = 'unsubscribed'"
            );
            assert_eq!(site.db.number(&taken).await, 1);
            let counters = format!(
                "select queued * 10 + unsubscribed from blocks where run_id = {run} and block = 0"
            );
            assert_eq!(site.db.number(&counters).await, 11);
        }
        let kept = "select reason || ': ' || words from leave_reasons where subscription = 1000";
        assert_eq!(
            site.db.text(kept).await.as_deref(),
            Some("too-much: a b<script>")
        );
        assert_eq!(site.status(1001).await, "confirmed");
        assert_eq!(site.post(&path, "answer=return").await.status, 200);
        assert_eq!(site.status(1000).await, "confirmed");
        assert_eq!(site.status(101_000).await, "confirmed");
        assert_eq!(site.db.text(kept).await, None);
        // A machine's click names no reason, whatever stands beside it.
        let body = format!("{ONE_CLICK}&reason=other&words=x&answer=leave-all");
        assert_eq!(site.post(&path, &body).await.status, 200);
        assert_eq!(site.status(101_000).await, "confirmed");
        assert_eq!(site.db.text(kept).await, None);
        site.stop().await;
    }
);
