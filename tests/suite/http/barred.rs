//! A mailbox that is refused, and another address that is a spelling of it.

use super::preferences::manage;
use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_mailbox_that_is_refused_is_moved_to_under_no_spelling,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(5).await;
        let refuse = async |address: &str, reason: &str| {
            let keyring = &site.app.keyring;
            let hashes = (
                &keyring.address_hash(address),
                &keyring.mailbox_hash(address),
            );
            let at = site.app.clock.now();
            let done = site.app.store.suppress_mailbox(address, hashes, reason, at);
            assert!(done.await.expect("a write"), "{address}");
        };
        let mails =
            "select count(*) from system_mails where kind = 'confirm' and revision = 'address'";
        let wish = async |seq: i64, email: &str| {
            let body = format!("answer=address&email={email}");
            let page = site.post(&manage(&site, seq), &body).await.text();
            assert!(page.contains("If that address can be used"), "{page}");
            site.db.number(mails).await
        };
        refuse("b.ob@gmail.com", "not-me").await;
        assert_eq!(wish(0, "bob%40gmail.com").await, 0);
        // A bounce is of the address that bounced.
        refuse("e.ve@gmail.com", "bounced").await;
        assert_eq!(wish(1, "eve%40gmail.com").await, 1);
        // Refused since the mail went out: its link moves nobody.
        assert_eq!(wish(2, "carl%40gmail.com").await, 2);
        refuse("c.arl@gmail.com", "erased").await;
        let link = site.link_of_wish(2).await;
        assert_eq!(site.post(&link, "answer=confirm").await.status, 404);
        let link = site.link_of_wish(1).await;
        assert_eq!(site.post(&link, "answer=confirm").await.status, 200);
        let moved = "select count(*) from subscribers where canonical like '%gmail.com'";
        assert_eq!(site.db.number(moved).await, 1);
        // Nor by the author, who changes nothing by it, the reader's own wish included.
        assert_eq!(wish(3, "mine%40example.net").await, 3);
        let change = |reader: &str, address: &str| {
            let arguments = [
                "subscribers",
                "change",
                reader,
                "--address",
                address,
                "--name",
                "Ada",
                "--tag",
                "paid",
                "--consent",
                "wrote me",
            ];
            site.command(&arguments)
        };
        let (code, _, why) = change("reader3@example.org", "bob@gmail.com");
        assert_eq!(code, Some(1));
        assert!(
            why.contains("another spelling of the new address is suppressed (not-me)"),
            "{why}"
        );
        let (code, ..) = change("reader3@example.org", "reader0@example.org");
        assert_eq!(code, Some(1));
        let untouched = "select count(*) from subscribers s
             join address_changes c on c.subscriber_id = s.id and c.address = 'mine@example.net'
             where s.id = 1003 and s.name <> 'Ada'
               and not exists (select 1 from tags t where t.subscriber_id = s.id)";
        assert_eq!(site.db.number(untouched).await, 1);
        // No mail tells an address to which none goes.
        site.suppress_reader(4, "bounced").await;
        let (code, said, why) = change("reader4@example.org", "ada@example.net");
        assert_eq!(code, Some(0), "{why}");
        assert_eq!(
            said,
            "changed: address, name, tags\nno mail tells the old address: it is suppressed\n"
        );
        let told = "select count(*) from system_mails where address = 'Reader4@example.org'";
        assert_eq!(site.db.number(told).await, 0);
        site.stop().await;
    }
);
