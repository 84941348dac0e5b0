//! The mailbox that a reader gave up: its links show nothing of her and change nothing but that they end her mail.

use pressrun::id::SubscriptionKey;
use pressrun::token::Claim;

use super::preferences::{manage, manage_now};
use super::site::{TestSite, unsubscribe};
use crate::harness::Engine;
use crate::on_both;

impl TestSite {
    /// Moves a reader by this link to her page, as she does it herself.
    async fn move_reader(&self, seq: i64, page: &str, to: &str) {
        let wish = format!("answer=address&email={}", to.replace('@', "%40"));
        assert_eq!(self.post(page, &wish).await.status, 200);
        let link = self.link_of_wish(seq).await;
        assert_eq!(self.post(&link, "answer=confirm").await.status, 200);
    }
}

on_both!(
    the_links_in_a_mailbox_that_was_given_up_open_nothing_and_end_what_they_ended,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let old = manage(&site, 0);
        assert!(site.get(&old).await.text().contains("R***@example.org"));
        site.move_reader(0, &old, "new@example.net").await;
        let page = site.get(&old).await;
        assert_eq!(page.status, 200);
        let mut told = vec![page.text()];
        for answer in [
            "export",
            "erase",
            "erase-for-good",
            "address&email=thief%40example.net",
            "tracking-off",
            "lists&list=daily",
            "pause&until=2026-11-20",
        ] {
            let refused = site.post(&old, &format!("answer={answer}")).await;
            assert_eq!(refused.status, 400, "{answer}");
            told.push(refused.text());
        }
        let leave = format!("/u/{}", site.token(unsubscribe(0)));
        told.push(site.get(&leave).await.text());
        for page in &told {
            for secret in ["new@", "n***", "example.net", "Reader0", "R***"] {
                assert!(!page.contains(secret), "{secret}: {page}");
            }
        }
        let untouched =
            "select count(*) from subscribers s join subscriptions n on n.subscriber_id = s.id
            where s.id = 1000 and s.canonical = 'new@example.net' and s.tracking = 'unset'
                and n.status = 'confirmed'";
        assert_eq!(site.db.number(untouched).await, 2);
        // The link in the mails of now is hers, and goes when she moves on.
        let second = manage_now(&site, 0).await;
        assert_ne!(second, old);
        let page = site.get(&second).await.text();
        assert!(page.contains("n***@example.net"), "{page}");
        site.move_reader(0, &second, "third@example.com").await;
        let page = site.get(&old).await.text();
        assert!(page.contains("An old link"), "{page}");
        assert_eq!(site.get(&second).await.status, 404);
        let third = manage_now(&site, 0).await;
        assert!(site.get(&third).await.text().contains("t***@example.com"));
        // Somebody else's page is somebody else's.
        assert!(
            site.get(&manage(&site, 1))
                .await
                .text()
                .contains("R***@example.org")
        );
        let left = site.post(&old, "answer=leave").await;
        assert_eq!(left.status, 200, "{}", left.text());
        assert!(!left.text().contains("example.com"), "{}", left.text());
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(site.status(101_000).await, "confirmed");
        site.stop().await;
    }
);

on_both!(
    whoever_moved_a_reader_loses_her_page_when_she_takes_the_move_back,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let forwarded = manage(&site, 0);
        site.move_reader(0, &forwarded, "thief@example.net").await;
        let thiefs = manage_now(&site, 0).await;
        let key = "select key from former_addresses where subscriber_id = 1000";
        let key = SubscriptionKey(site.db.number(key).await);
        let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        let link = format!("/confirm/{}", site.token(Claim::Confirm(key, issued)));
        assert_eq!(site.post(&link, "answer=back").await.status, 200);
        for (gone, status) in [(&forwarded, 400), (&thiefs, 404)] {
            let page = site.get(gone).await.text();
            assert!(!page.contains("example.org"), "{page}");
            let refused = site.post(gone, "answer=export").await;
            assert_eq!(refused.status, status);
        }
        let hers = manage_now(&site, 0).await;
        assert!(site.get(&hers).await.text().contains("R***@example.org"));
        site.stop().await;
    }
);
