//! Whoever signs up again is told so by mail, and nobody else learns of it.

use std::time::Duration;

use super::signup::sign_up;
use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

const DAY: u64 = 86_400;

on_both!(
    whoever_signs_up_again_gets_the_way_to_her_own_page_once_a_month,
    async |engine: Engine| {
        let config = TestSite::config(&[("remind = false", "remind = true")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        site.seed_run(4).await;
        site.db
            .exec(
                "update subscriptions set status = 'paused' where key = 1001;
                 update subscriptions set status = 'unsubscribed', left_at = 1 where key = 1002;
                 insert into suppressions (hash, reason, created_at)
                 select hash, 'complained', 0 from subscribers where id = 1003",
            )
            .await;
        let mails = async |kind: &str| {
            let query = format!(
                "select count(*) from system_mails m
                 join deliveries d on d.run_id = m.run_id and d.seq = m.seq and d.state = 'queued'
                 where m.kind = '{kind}' and m.list_id = 1"
            );
            site.db.number(&query).await
        };
        let mut answers = Vec::new();
        for (client, who, notices, confirms) in [
            (1, "reader0@example.org", 1, 0),
            // Whoever pauses may have forgotten it.
            (2, "Reader1@example.org", 2, 0),
            // Who left is asked anew; who must not be mailed, and who asked an hour ago, is not.
            (3, "reader2@example.org", 2, 1),
            (4, "reader3@example.org", 2, 1),
            (5, "reader0@example.org", 2, 1),
            (6, "stranger@example.org", 2, 2),
        ] {
            let answer = sign_up(&site, &format!("203.0.{client}.1"), who).await;
            answers.push((answer.status, answer.body));
            assert_eq!(
                (mails("notice").await, mails("confirm").await),
                (notices, confirms),
                "{who}"
            );
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        let whose =
            "select count(*) from deliveries where run_id = 1 and subscriber_id in (1000, 1001)";
        assert_eq!(site.db.number(whose).await, 2);
        let made = "select count(*) from revisions where slug = 'known'";
        assert_eq!(site.db.number(made).await, 1);
        site.app.clock.advance(Duration::from_secs(29 * DAY));
        sign_up(&site, "203.0.7.1", "reader0@example.org").await;
        assert_eq!(mails("notice").await, 2);
        site.app.clock.advance(Duration::from_secs(2 * DAY));
        sign_up(&site, "203.0.8.1", "reader0@example.org").await;
        assert_eq!(mails("notice").await, 3);
        // They count among the mails of the hour, as every mail does that a stranger can cause.
        let counted = "select cast(sum(mails) as bigint) from confirm_hours";
        assert_eq!(site.db.number(counted).await, 1);
        site.stop().await;
    }
);

on_both!(
    where_the_author_wants_it_so_nobody_is_told,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let answer = sign_up(&site, "203.0.113.1", "reader0@example.org").await;
        assert!(answer.text().contains("nor does who is subscribed already"));
        assert_eq!(site.db.number("select count(*) from system_mails").await, 0);
        site.stop().await;
    }
);
