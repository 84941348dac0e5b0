//! A reader's data and her erasure: her page alone gives neither, because its link is passed on with her mails.

use std::time::Duration;

use pressrun::id::SubscriptionKey;
use pressrun::signup::house;
use pressrun::token::Claim;

use super::preferences::{manage, manage_now};
use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

const DAY: Duration = Duration::from_secs(86_400);

impl TestSite {
    /// The link in the mail for which this reader's page asked.
    pub async fn link_of_proof(&self, seq: i64, what: &str) -> String {
        let reader = 1000 + seq;
        let key =
            format!("select key from proofs where subscriber_id = {reader} and what = '{what}'");
        let key = SubscriptionKey(self.db.number(&key).await);
        let issued = u32::try_from(self.app.clock.now().seconds()).expect("before 2106");
        format!("/confirm/{}", self.token(Claim::Confirm(key, issued)))
    }

    /// What a reader gets who asks for her data and presses the link in her mailbox.
    pub async fn data_of(&self, seq: i64) -> serde_json::Value {
        self.post(&manage_now(self, seq).await, "answer=export")
            .await;
        let link = self.link_of_proof(seq, "export").await;
        let data = self.post(&link, "answer=export").await;
        assert_eq!(data.header("content-type"), Some("application/json"));
        serde_json::from_str(&data.text()).expect("JSON")
    }

    /// Erases a reader as she does it herself, and gives the last page.
    pub async fn erase_reader(&self, seq: i64) -> String {
        let page = manage_now(self, seq).await;
        self.post(&page, "answer=erase").await;
        self.post(&page, "answer=erase-mail").await;
        let link = self.link_of_proof(seq, "erase").await;
        self.post(&link, "answer=erase").await.text()
    }

    /// Everything that waits to be sent goes out now.
    pub async fn mail_all(&self) {
        let now = self.app.clock.now().0;
        let sent = format!(
            "update deliveries set state = 'sent', settled_at = {now} where run_id = 1 and state = 'queued';
             update blocks set sent = sent + queued, queued = 0 where run_id = 1"
        );
        self.db.exec(&sent).await;
    }

    /// Addresses to which mails of this revision wait.
    async fn mailed(&self, revision: &str) -> i64 {
        let mails = format!("select count(*) from system_mails where revision = '{revision}'");
        self.db.number(&mails).await
    }
}

on_both!(
    the_link_of_a_forwarded_mail_neither_gets_the_data_nor_erases,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let readers = "select count(*) from subscribers";
        let mut answers = Vec::new();
        let row = "insert into suppressions (hash, reason, created_at)
            select hash, 'complained', 0 from subscribers where id = 1001";
        site.db.exec(row).await;
        for (answer, revision) in [("export", "data"), ("erase-mail", "erase")] {
            for (seq, mailed) in [(0, 1), (0, 1), (1, 1), (2, 2)] {
                let page = site
                    .post(&manage(&site, seq), &format!("answer={answer}"))
                    .await;
                assert_eq!(page.status, 200);
                let text = page.text();
                for secret in ["Reader", "confirm/", "\"events\""] {
                    assert!(!text.contains(secret), "{secret}: {text}");
                }
                let (_, notice) = text.split_once("role=\"status\">").expect("a notice");
                answers.push(notice.split_once("</p>").expect("its end").0.to_owned());
                assert_eq!(site.mailed(revision).await, mailed, "{answer} of {seq}");
            }
        }
        // Mailed now, mailed before, never to be mailed: nobody can tell.
        assert!(
            answers.iter().all(|said| *said == answers[0]),
            "{answers:?}"
        );
        assert_eq!(site.db.number(readers).await, 3);
        // What the page did before, it does no more.
        let old = site.post(&manage(&site, 0), "answer=erase-for-good").await;
        assert_eq!(old.status, 400);
        assert_eq!(site.db.number(readers).await, 3);
        site.stop().await;
    }
);

on_both!(
    the_mailed_link_asks_once_more_and_does_what_was_asked_for_a_day,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let readers = "select count(*) from subscribers";
        site.post(&manage(&site, 0), "answer=export").await;
        site.post(&manage(&site, 0), "answer=erase-mail").await;
        site.mail_all().await;
        let data = site.link_of_proof(0, "export").await;
        let erase = site.link_of_proof(0, "erase").await;
        for (link, words) in [(&data, "Download my data"), (&erase, "Erase everything")] {
            let page = site.get(link).await;
            assert_eq!(page.status, 200);
            assert!(page.text().contains(words), "{}", page.text());
            assert!(!page.text().contains("Reader0@"), "masked: {}", page.text());
        }
        // The link for the one does not do the other, and looking does neither.
        assert_eq!(site.post(&data, "answer=erase").await.status, 400);
        assert_eq!(site.post(&erase, "answer=export").await.status, 400);
        assert_eq!(site.db.number(readers).await, 2);
        let file = site.post(&data, "answer=export").await;
        assert_eq!(
            file.header("content-disposition"),
            Some("attachment; filename=\"my-data.json\"")
        );
        let dropped = site.post(&data, "answer=not-me").await;
        assert!(
            dropped.text().contains("cut off its end"),
            "{}",
            dropped.text()
        );
        assert_eq!(site.post(&data, "answer=export").await.status, 404);
        // Whoever did not ask is not mailed the sooner for having said so.
        site.post(&manage(&site, 0), "answer=export").await;
        assert_eq!(site.mailed("data").await, 1);
        site.app.clock.advance(DAY);
        assert_eq!(site.post(&erase, "answer=erase").await.status, 404);
        assert_eq!(site.db.number(readers).await, 2);
        site.post(&manage(&site, 0), "answer=export").await;
        assert_eq!(site.mailed("data").await, 2);
        let page = site.erase_reader(0).await;
        assert!(page.contains("Nothing of you is left here"), "{page}");
        assert_eq!(site.db.number(readers).await, 1);
        // What still waited to be sent to her does not go out.
        let waits = "select count(*) from deliveries where run_id = 1 and state = 'queued'";
        assert_eq!(site.db.number(waits).await, 0);
        site.stop().await;
    }
);

on_both!(
    whoever_has_just_moved_a_reader_gets_her_links_neither,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        site.post(
            &manage(&site, 0),
            "answer=address&email=thief%40example.net",
        )
        .await;
        let wish = site.link_of_wish(0).await;
        assert_eq!(site.post(&wish, "answer=confirm").await.status, 200);
        // The thief has the link that came with the mails to the new address.
        let page = manage_now(&site, 0).await;
        site.post(&page, "answer=export").await;
        let to = "select address from system_mails where revision = 'data' order by seq desc";
        let told = site.db.text(to).await;
        assert_eq!(told.as_deref(), Some("Reader0@example.org"));
        site.mail_all().await;
        // Once the move cannot be taken back, the new address is hers.
        site.app.clock.advance(DAY * 4);
        site.post(&page, "answer=export").await;
        let told = site.db.text(to).await;
        assert_eq!(told.as_deref(), Some("thief@example.net"));
        site.stop().await;
    }
);

on_both!(
    the_day_of_a_mailed_link_begins_when_its_mail_goes_out,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let page = manage(&site, 0);
        site.post(&page, "answer=export").await;
        // The relay is away for as long as a wish is kept, and she asks again.
        let window = site.app.config.signup.confirm_window;
        site.app.clock.advance(window + DAY);
        house::round(&site.app).await.expect("a round");
        site.post(&page, "answer=export").await;
        assert_eq!(site.mailed("data").await, 1, "one is on its way");
        site.mail_all().await;
        site.app.clock.advance(DAY - Duration::from_secs(60));
        site.post(&page, "answer=export").await;
        assert_eq!(site.mailed("data").await, 1, "she has just got one");
        let link = site.link_of_proof(0, "export").await;
        assert_eq!(site.get(&link).await.status, 200);
        site.app.clock.advance(Duration::from_secs(60));
        assert_eq!(site.get(&link).await.status, 404);
        site.post(&page, "answer=export").await;
        assert_eq!(site.mailed("data").await, 2);
        // A mail that never arrives holds nobody up for longer than a day.
        site.db
            .exec(
                "update deliveries set state = 'expired' where run_id = 1 and state = 'queued';
                 update blocks set expired = queued, queued = 0 where run_id = 1",
            )
            .await;
        site.app.clock.advance(DAY);
        site.post(&page, "answer=export").await;
        assert_eq!(site.mailed("data").await, 3);
        site.stop().await;
    }
);

on_both!(
    whoever_gets_no_mail_is_told_whom_to_write_to_and_the_author_can_answer,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let data = site.data_of(0).await;
        site.db
            .exec(
                "insert into suppressions (hash, reason, created_at)
                 select hash, 'bounced', 0 from subscribers where id = 1000",
            )
            .await;
        let address = site.app.config.from.address.as_str();
        let page = site.get(&manage(&site, 0)).await.text();
        assert!(page.contains(&format!("mailto:{address}")), "{page}");
        let other = site.get(&manage(&site, 1)).await.text();
        assert!(!other.contains("mailto:"), "{other}");
        let page = site
            .ask_admin("/subscribers/1000", "localhost")
            .await
            .text();
        assert!(page.contains("nothing is mailed to this address"), "{page}");
        let unsure = site.press_admin("/subscribers/1000/data", "").await;
        assert_eq!(unsure.status, 409);
        let given = site.press_admin("/subscribers/1000/data", "sure=yes").await;
        let disposition = given.header("content-disposition");
        assert_eq!(disposition, Some("attachment; filename=\"my-data.json\""));
        let given: serde_json::Value = serde_json::from_str(&given.text()).expect("JSON");
        assert_eq!(given, data);
        let (code, out, _) = site.command(&["subscribers", "data", "reader0@example.org"]);
        assert_eq!(code, Some(0));
        let printed: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(printed, data);
        let file = site.app.base.join("hers.json");
        let out = file.to_str().expect("UTF-8");
        let command = ["subscribers", "data", "1000", "--out", out];
        assert_eq!(site.command(&command).0, Some(0));
        let written = std::fs::read_to_string(&file).expect("a file");
        let written: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(written, data);
        let (code, _, said) = site.command(&command);
        assert_eq!(code, Some(1), "{said}");
        let noted = "select count(*) from admin_audit where what = 'gave a reader''s data out'";
        assert_eq!(site.db.number(noted).await, 3);
        site.stop().await;
    }
);
