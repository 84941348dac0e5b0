//! A reader who takes a move of her address back, and the way to her page after one.

use std::time::Duration;

use pressrun::id::SubscriptionKey;
use pressrun::token::Claim;

use super::preferences::{manage, manage_now};
use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    who_takes_a_move_back_is_rid_of_everybody_who_came_after,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let mut links = Vec::new();
        for (from, to) in [
            ("Reader0@example.org", "one@evil.example"),
            ("one@evil.example", "two@evil.example"),
        ] {
            let wish = format!("answer=address&email={}", to.replace('@', "%40"));
            site.post(&manage_now(&site, 0).await, &wish).await;
            let confirmed = site
                .post(&site.link_of_wish(0).await, "answer=confirm")
                .await;
            assert!(confirmed.text().contains("Done"), "{}", confirmed.text());
            let key = format!("select key from former_addresses where address = '{from}'");
            let key = SubscriptionKey(site.db.number(&key).await);
            let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
            links.push(format!(
                "/confirm/{}",
                site.token(Claim::Confirm(key, issued))
            ));
            site.app.clock.advance(Duration::from_secs(60));
        }
        let told = async |address: &str| {
            let row = format!(
                "select count(*) from system_mails where revision = 'back' and data = '{{}}' and address = '{address}'"
            );
            site.db.number(&row).await
        };
        let address = "select address from subscribers where id = 1000";
        // Whoever had it in between may take it back, for it may have been hers; her own link goes on working.
        assert_eq!(site.post(&links[1], "answer=back").await.status, 200);
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("one@evil.example")
        );
        assert_eq!(told("two@evil.example").await, 1);
        for _ in 0..2 {
            let back = site.post(&links[0], "answer=back").await;
            assert_eq!(back.status, 200, "{}", back.text());
            assert!(back.text().contains("Taken back"), "{}", back.text());
        }
        assert_eq!(
            told("one@evil.example").await,
            1,
            "once, however often it is pressed"
        );
        assert_eq!(told("Reader0@example.org").await, 0);
        // What came after her own move is void, however late its link is pressed.
        assert_eq!(site.get(&links[1]).await.status, 404);
        assert_eq!(site.post(&links[1], "answer=back").await.status, 404);
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("Reader0@example.org")
        );
        // Nor does what she asks for now go to one who had her mail in between.
        site.post(&manage_now(&site, 0).await, "answer=export")
            .await;
        let data = "select address from system_mails where revision = 'data'";
        assert_eq!(
            site.db.text(data).await.as_deref(),
            Some("Reader0@example.org")
        );
        site.stop().await;
    }
);

on_both!(
    the_mailbox_that_said_yes_shows_the_way_to_her_page,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        site.post(&manage(&site, 0), "answer=address&email=new%40example.net")
            .await;
        let wish = site.link_of_wish(0).await;
        assert!(!site.get(&wish).await.text().contains("/preferences/"));
        let way = async |page: String| {
            let (_, rest) = page.split_once("href=\"/preferences/").expect("a link");
            let (token, _) = rest.split_once('"').expect("its end");
            site.get(&format!("/preferences/{token}")).await.text()
        };
        let page = way(site.post(&wish, "answer=confirm").await.text()).await;
        assert!(page.contains("n***@example.net"), "{page}");
        let again = way(site.get(&wish).await.text()).await;
        assert!(again.contains("n***@example.net"), "{again}");
        let key = SubscriptionKey(site.db.number("select key from former_addresses").await);
        let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        let link = format!("/confirm/{}", site.token(Claim::Confirm(key, issued)));
        assert!(!site.get(&link).await.text().contains("/preferences/"));
        let page = way(site.post(&link, "answer=back").await.text()).await;
        assert!(page.contains("R***@example.org"), "{page}");
        site.stop().await;
    }
);
