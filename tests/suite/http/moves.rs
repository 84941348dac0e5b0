//! A reader who moves to another address: only its owner's press does it, nobody learns whose it is, and what came to
//! nothing is forgotten.

use std::time::Duration;

use pressrun::hygiene::{self, Found, Wish};
use pressrun::id::SubscriptionKey;
use pressrun::import::{self, Import};
use pressrun::signup::house;
use pressrun::subscriber::Status;
use pressrun::token::Claim;

use super::preferences::{freeze, manage, manage_now};
use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

const DAY: u64 = 86_400;

impl TestSite {
    pub async fn suppress_reader(&self, seq: i64, reason: &str) {
        let reader = 1000 + seq;
        let row = format!(
            "insert into suppressions (hash, reason, created_at)
             select hash, '{reason}', 0 from subscribers where id = {reader}"
        );
        self.db.exec(&row).await;
    }

    /// The confirm link in the mail to the address that this reader wished for.
    pub async fn link_of_wish(&self, seq: i64) -> String {
        let reader = 1000 + seq;
        let key = format!("select key from address_changes where subscriber_id = {reader}");
        let key = SubscriptionKey(self.db.number(&key).await);
        let issued = u32::try_from(self.app.clock.now().seconds()).expect("before 2106");
        format!("/confirm/{}", self.token(Claim::Confirm(key, issued)))
    }
}

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
                &manage_now(&site, 3).await,
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
        // One mail to the new address, and none to the old one, which takes none.
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
        let data = site.data_of(0).await;
        assert_eq!(data["new_address"], "wish0@example.net");
        // Erased before the mails have gone: they go to nobody, and nothing waits for ever.
        site.erase_reader(0).await;
        let states = "select count(*) from deliveries where run_id = 1 and state = ";
        let count = async |state: &str| site.db.number(&format!("{states}'{state}'")).await;
        assert_eq!((count("queued").await, count("cancelled").await), (1, 3));
        let counters = "select queued * 10 + cancelled from blocks where run_id = 1";
        assert_eq!(site.db.number(counters).await, 13);
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
    a_probe_of_the_old_address_says_nothing_of_the_new_one,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        site.db
            .exec(
                "insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at, code, enhanced, reply)
                 values (1, 0, 1000, 'bounced', 0, 0, 552, '5.2.2', 'mailbox full');
                 update runs set recipients = 1 where id = 1;
                 insert into blocks (run_id, block, bounced) values (1, 0, 1);
                 insert into system_mails (run_id, seq, kind, revision, data) values (1, 0, 'probe', 'confirm', '{}');
                 insert into probes (subscriber_id, seq, asked_at) values (1000, 0, 0)",
            )
            .await;
        let wish = "answer=address&email=new%40example.org";
        site.post(&manage(&site, 0), wish).await;
        let link = site.link_of_wish(0).await;
        assert_eq!(site.post(&link, "answer=confirm").await.status, 200);
        let list = site.app.store.list("weekly").await.expect("a read");
        let wish = Wish {
            copies: 3,
            wait: Duration::ZERO,
            act: true,
        };
        let found = hygiene::probe(&site.app, &list.expect("a list"), wish).await;
        assert_eq!(found.expect("a look"), Found::default());
        let suppressed = "select count(*) from suppressions";
        assert_eq!(site.db.number(suppressed).await, 0);
        site.stop().await;
    }
);

on_both!(
    an_erased_reader_comes_back_under_none_of_her_addresses,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        // She got one issue under an address that she gave up, and one under another that is somebody else's by now.
        let copy = |to: &str| format!("{{\"date\":0,\"to\":\"{to}\",\"kid\":1}}");
        site.db
            .exec(&format!(
                "update deliveries set copy = '{}' where run_id = 2 and seq = 0;
                 update deliveries set subscriber_id = 1000, copy = '{}' where run_id = 2 and seq = 1",
                copy("Before@old.example"),
                copy("Reader2@example.org"),
            ))
            .await;
        let answer = site.erase_reader(0).await;
        assert!(answer.contains("Erased"), "{answer}");
        let suppressed = async |address: &str| {
            let hash = site.app.keyring.address_hash(address);
            let found = site.app.store.suppression(&hash).await.expect("a read");
            found.map(|(reason, _)| reason)
        };
        for address in ["reader0@example.org", "before@old.example"] {
            assert_eq!(
                suppressed(address).await.as_deref(),
                Some("erased"),
                "{address}"
            );
        }
        assert_eq!(suppressed("reader2@example.org").await, None);
        let add = [
            "subscribers",
            "add",
            "before@old.example",
            "--list",
            "weekly",
        ];
        let (code, _, told) = site.command(&add);
        assert_ne!(code, Some(0));
        assert!(told.contains("suppressed"), "{told}");
        let kept = "select count(*) from deliveries where copy like '%old.example%'";
        assert_eq!(site.db.number(kept).await, 0);
        // Her old links lead nowhere, and the page is kind to whoever was erased without saying that anybody was.
        let gone = site.get(&manage(&site, 0)).await;
        let never = site.get("/preferences/AAAAAAAAAAAAAAAAAAAA").await;
        assert_eq!((gone.status, never.status), (404, 404));
        assert_eq!(gone.body, never.body);
        assert!(
            gone.text().contains("asked to be erased"),
            "{}",
            gone.text()
        );
        site.stop().await;
    }
);

on_both!(
    the_old_address_is_told_and_takes_the_move_back,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        site.post(
            &manage(&site, 0),
            "answer=address&email=thief%40example.net",
        )
        .await;
        let wish = site.link_of_wish(0).await;
        assert_eq!(site.post(&wish, "answer=confirm").await.status, 200);
        site.post(&wish, "answer=confirm").await;
        let told = "select count(*) from system_mails where kind = 'confirm' and revision = 'moved'
            and address = 'Reader0@example.org' and list_id is null";
        assert_eq!(
            site.db.number(told).await,
            1,
            "once, however often it is pressed"
        );
        let key = "select key from former_addresses where subscriber_id = 1000";
        let key = SubscriptionKey(site.db.number(key).await);
        let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        let link = format!("/confirm/{}", site.token(Claim::Confirm(key, issued)));
        let address = "select address from subscribers where id = 1000";
        let page = site.get(&link).await.text();
        assert!(page.contains("R***@example.org"), "{page}");
        assert!(!page.contains("thief"), "{page}");
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("thief@example.net")
        );
        for answer in ["confirm", "not-me", "x"] {
            assert_ne!(
                site.post(&link, &format!("answer={answer}")).await.status,
                200
            );
        }
        for _ in 0..2 {
            let back = site.post(&link, "answer=back").await;
            assert!(back.text().contains("again"), "{}", back.text());
        }
        assert_eq!(
            site.db.text(address).await.as_deref(),
            Some("Reader0@example.org")
        );
        let hash = format!(
            "select count(*) from subscribers where id = 1000 and canonical = 'reader0@example.org'
             and hash = unhex('{}')",
            site.hash_hex("reader0@example.org")
        );
        assert_eq!(site.db.number(&hash).await, 1);
        // The wish is gone with it: the thief's link does nothing any more.
        assert_eq!(site.post(&wish, "answer=confirm").await.status, 404);
        // Too old, it looks like one that never was, and no address is kept.
        site.app.clock.advance(Duration::from_secs(73 * 3_600));
        house::round(&site.app).await.expect("a round");
        assert_eq!(site.post(&link, "answer=back").await.status, 404);
        assert_eq!(
            site.db
                .number("select count(*) from former_addresses")
                .await,
            0
        );
        site.stop().await;
    }
);

on_both!(
    a_file_with_the_address_that_a_reader_gave_up_means_her,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        site.post(&manage(&site, 0), "answer=address&email=new%40example.net")
            .await;
        let wish = site.link_of_wish(0).await;
        assert_eq!(site.post(&wish, "answer=confirm").await.status, 200);
        let file = site.app.base.join("old.csv");
        let import = Import {
            file: file.clone(),
            list: "weekly".into(),
            status: Status::Confirmed,
            confirm: false,
            consent: "they asked".into(),
            map: Vec::new(),
            accept_taken_off: false,
            by: None,
            dry_run: false,
        };
        let taken = async |text: &str| {
            std::fs::write(&file, text).expect("a file");
            let done = import::run(&site.app, &import, |_| {}).await;
            done.expect("an import").tally
        };
        let tally = taken("email\nreader0@example.org\nfresh@example.org\n").await;
        assert_eq!((tally.added, tally.known), (1, 1));
        let count = "select count(*) from subscribers where canonical = 'reader0@example.org'";
        assert_eq!(site.db.number(count).await, 0);
        // What an old file says of the old address is no word on the new one.
        let tally = taken("email,status\nreader0@example.org,bounced\n").await;
        assert_eq!(tally.barred, 1);
        let hash = site.hash_hex("new@example.net");
        let barred = format!("select count(*) from suppressions where hash = unhex('{hash}')");
        assert_eq!(site.db.number(&barred).await, 0);
        // Erased, she comes back under neither.
        site.erase_reader(0).await;
        let tally = taken("email\nreader0@example.org\nnew@example.net\n").await;
        assert_eq!(tally.suppressed, 2);
        site.stop().await;
    }
);
