//! Mail that comes back: a token says whose it is, and without one nothing is changed.

use std::io::Write;
use std::process::{Command, Stdio};

use pressrun::chance::Chance;
use pressrun::event::EventKind;
use pressrun::id::{RunId, SubscriberId, SubscriptionKey};
use pressrun::inbound::{Taken, take};
use pressrun::keyring::Keyring;
use pressrun::message::envelope_sender;
use pressrun::numbers::{self, log};
use pressrun::token::{Claim, sign_local_part};

use super::site::{NOON, TestSite, delivery, unsubscribe};
use crate::harness::Engine;
use crate::on_both;

fn report(to: &str, action: &str, status: &str, said: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: {to}\r\nAuto-Submitted: auto-replied\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; reader0@example.org\r\n\
         Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {said}\r\n\r\n--b--\r\n"
    )
}

fn complaint(about: &str) -> String {
    format!(
        "From: feedback@arf.example\nTo: fbl@news.example\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nspam\n\
         --b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: A/1\nVersion: 1\n\
         --b\nContent-Type: message/rfc822\n\n{about}\nSubject: Week 1\n\nx\n--b--\n"
    )
}

impl TestSite {
    async fn inbound(&self, text: &str) -> Taken {
        take(&self.app, text.as_bytes(), None)
            .await
            .expect("a taking")
    }

    async fn state(&self, seq: u32) -> String {
        let query = format!("select state from deliveries where run_id = 2 and seq = {seq}");
        self.db.text(&query).await.unwrap_or_default()
    }

    async fn suppressed(&self) -> i64 {
        self.db.number("select count(*) from suppressions").await
    }

    /// The field of a copy by which its reader leaves, with the link on this site.
    fn unsubscribed_by(&self, site: &str, seq: u32) -> String {
        let token = self.token(unsubscribe(seq));
        format!("List-Unsubscribe: <{site}/u/{token}>,\n <mailto:leave+x@bounce.example>")
    }

    fn sender(&self, seq: u32) -> String {
        envelope_sender(&self.app.keyring, delivery(seq), "bounce.example")
    }
}

on_both!(
    a_report_moves_its_own_delivery_and_suppresses_only_who_is_not_there,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(5).await;
        let gone = report(&site.sender(0), "failed", "5.1.1", "550 5.1.1 user unknown");
        let first = Taken::Bounced {
            changed: true,
            suppressed: true,
        };
        assert_eq!(site.inbound(&gone).await, first);
        let again = Taken::Bounced {
            changed: false,
            suppressed: false,
        };
        assert_eq!(site.inbound(&gone).await, again);
        assert_eq!(site.state(0).await, "bounced");
        // A full mailbox is no dead address; a delay is no bounce; upper case is the same address.
        let full = report(&site.sender(1), "failed", "5.2.2", "552 5.2.2 mailbox full");
        site.inbound(&full).await;
        assert_eq!(site.state(1).await, "bounced");
        let late = report(&site.sender(2), "delayed", "4.4.1", "451 4.4.1 no answer");
        assert_eq!(
            site.inbound(&late).await,
            Taken::Nothing("a report of no failure")
        );
        assert_eq!(site.state(2).await, "sent");
        let upper = site.sender(3).replace("bounce+", "").to_ascii_uppercase();
        let upper = format!("BOUNCE+{upper}");
        site.inbound(&report(&upper, "failed", "5.1.2", "550 5.1.2 bad host"))
            .await;
        assert_eq!(site.state(3).await, "bounced");
        assert_eq!(site.suppressed().await, 2);
        assert_eq!(site.counter("bounced").await, 3);
        assert_eq!(site.counter("sent").await, 2);
        let events = "select count(*) from events where kind = 'bounce' and run_id = 2";
        assert_eq!(site.db.number(events).await, 3);
        // Of an erased reader a late report says nothing that is kept.
        let gone = site.app.store.erase(SubscriberId(1004), &[], NOON).await;
        assert!(gone.expect("an erasure"));
        let late = report(
            &site.sender(4),
            "failed",
            "5.1.1",
            "550 <reader4@example.org> unknown",
        );
        site.inbound(&late).await;
        assert_eq!(site.state(4).await, "bounced");
        let named = "select count(*) from deliveries where reply like '%reader4%'";
        assert_eq!(site.db.number(named).await, 0);
        site.stop().await;
    }
);

on_both!(
    a_forged_report_or_complaint_suppresses_nobody,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(20).await;
        let foreign = Keyring::generate(&Chance::seeded(99), NOON);
        for seq in 0..20 {
            let own = site.sender(seq);
            let mut flipped = own.clone().into_bytes();
            flipped[20] = if flipped[20] == b'a' { b'b' } else { b'a' };
            let leave = Claim::Leave(SubscriptionKey(1000 + i64::from(seq)));
            for forged in [
                String::from_utf8(flipped).expect("ASCII"),
                envelope_sender(&foreign, delivery(seq), "bounce.example"),
                format!("bounce+{}@bounce.example", "a".repeat(50)),
                format!("reader{seq}@example.org"),
                // A token for another purpose.
                format!(
                    "bounce+{}@bounce.example",
                    sign_local_part(&site.app.keyring, &leave)
                ),
                own.replace("bounce+", "leave+"),
            ] {
                let bounce = report(&forged, "failed", "5.1.1", "550 5.1.1 user unknown");
                assert!(matches!(site.inbound(&bounce).await, Taken::Nothing(_)));
                let arf = complaint(&format!("Return-Path: <{forged}>"));
                assert!(matches!(site.inbound(&arf).await, Taken::Nothing(_)));
                let wish = format!("From: x@x.example\nTo: {forged}\nSubject: unsubscribe\n\n");
                assert!(matches!(site.inbound(&wish).await, Taken::Nothing(_)));
            }
        }
        assert_eq!(site.suppressed().await, 0);
        assert_eq!(site.counter("bounced").await, 0);
        let left = "select count(*) from subscriptions where status <> 'confirmed'";
        assert_eq!(site.db.number(left).await, 0);
        site.stop().await;
    }
);

on_both!(
    a_complaint_is_known_by_the_returned_mail_alone,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(4).await;
        let path = complaint(&format!("Return-Path: <{}>", site.sender(0)));
        assert_eq!(site.inbound(&path).await, Taken::Complained);
        // The link to leave stands in every copy that is passed on: by it alone a reader leaves that list, no more.
        let list = complaint(&site.unsubscribed_by("http://127.0.0.1:8080", 1));
        assert_eq!(site.inbound(&list).await, Taken::ComplainedOf);
        assert_eq!(site.status(1001).await, "unsubscribed");
        assert_eq!(site.status(101_001).await, "confirmed");
        let other = path.replace(&site.sender(0), &site.sender(2));
        let other = other.replace("Feedback-Type: abuse", "Feedback-Type: not-spam");
        assert_eq!(
            site.inbound(&other).await,
            Taken::Nothing("a report that is no complaint")
        );
        let reasons = "select count(*) from suppressions where reason = 'complained'";
        assert_eq!(site.db.number(reasons).await, 1);
        // The same reports once more tell nothing new.
        assert_eq!(site.inbound(&path).await, Taken::Complained);
        assert_eq!(site.inbound(&list).await, Taken::ComplainedOf);
        assert_eq!(site.db.number(reasons).await, 1);
        let events = "select count(*) from events where kind = 'complaint' and run_id = 2";
        assert_eq!(site.db.number(events).await, 2);
        assert_eq!(site.counter("complained").await, 2);
        let run = RunId(2);
        numbers::catch_up(&site.app, run).await.expect("a count");
        let report = numbers::issue(&site.app, run).await.expect("a read");
        let report = report.expect("the run");
        assert_eq!(report.run.complained, 2);
        let by_provider = report.judged.providers.iter().map(|group| group.complained);
        assert_eq!(by_provider.sum::<i64>(), 2);
        let page = log::events(&site.app, run, -1, 10).await;
        let page = page.expect("events");
        let kinds: Vec<_> = page
            .events
            .iter()
            .map(|event| (event.delivery, event.kind))
            .collect();
        let complaint = EventKind::Complaint;
        assert_eq!(kinds, [(0, complaint), (1, complaint)]);
        site.stop().await;
    }
);

on_both!(
    a_link_of_the_site_that_was_ours_before_is_known_by_its_token_and_nothing_else_is,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        // Before `publication.url` was changed.
        let before = complaint(&site.unsubscribed_by("https://old.example/letters", 1));
        assert_eq!(site.inbound(&before).await, Taken::ComplainedOf);
        assert_eq!(site.status(1001).await, "unsubscribed");
        let token = site.token(unsubscribe(0));
        let (head, last) = token.split_at(token.len() - 1);
        let other = if last == "A" { "Q" } else { "A" };
        let view = site.token(Claim::View(delivery(0)));
        for forged in [
            format!("http://127.0.0.1:8080/u/{head}{other}"),
            format!("http://127.0.0.1:8080/u/{view}"),
            format!("http://127.0.0.1:8080/u/{token}?x"),
            format!("http://127.0.0.1:8080/{token}"),
        ] {
            let forged = complaint(&format!("List-Unsubscribe: <{forged}>"));
            assert!(
                matches!(site.inbound(&forged).await, Taken::Nothing(_)),
                "{forged}"
            );
        }
        // Who writes to the address for leaving under the former domain leaves, too.
        let leave = sign_local_part(&site.app.keyring, &Claim::Leave(SubscriptionKey(1000)));
        let wish = format!("From: a@b.example\nTo: leave+{leave}@old.example\n\nstop\n");
        assert_eq!(site.status(1000).await, "confirmed");
        assert_eq!(site.inbound(&wish).await, Taken::Left(true));
        assert_eq!(site.suppressed().await, 0);
        assert_eq!(site.counter("complained").await, 1);
        site.stop().await;
    }
);

on_both!(
    whoever_complains_of_a_copy_in_doubt_has_got_it,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        site.db
            .exec("update deliveries set state = 'uncertain' where run_id = 2 and seq = 1")
            .await;
        site.db
            .exec("update blocks set sent = 1, uncertain = 1 where run_id = 2")
            .await;
        let path = complaint(&format!("Return-Path: <{}>", site.sender(1)));
        assert_eq!(site.inbound(&path).await, Taken::Complained);
        assert_eq!(site.state(1).await, "sent");
        assert_eq!(site.counter("sent").await, 2);
        assert_eq!(site.counter("uncertain").await, 0);
        site.stop().await;
    }
);

on_both!(
    a_mail_to_the_address_for_leaving_ends_that_subscription,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let token = sign_local_part(&site.app.keyring, &Claim::Leave(SubscriptionKey(1000)));
        let wish = format!("From: r@x.example\nTo: <leave+{token}@bounce.example>\nSubject: x\n\n");
        let away = wish.replace("Subject: x", "Auto-Submitted: auto-replied");
        assert_eq!(
            site.inbound(&away).await,
            Taken::Nothing("an automatic answer")
        );
        assert_eq!(site.status(1000).await, "confirmed");
        // By the program itself, as a mail server calls it.
        let mut child = Command::new(env!("CARGO_BIN_EXE_pressrun"))
            .arg("--config")
            .arg(site.app.base.join("pressrun.toml"))
            .args([
                "inbound",
                "--recipient",
                &format!("leave+{token}@bounce.example"),
                "--json",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(b"From: r@x.example\r\nSubject: unsubscribe\r\n\r\n\r\n")
            .expect("a write");
        drop(pipe);
        let done = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("\"left\""), "{said}");
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(site.status(101_000).await, "confirmed");
        assert_eq!(site.inbound(&wish).await, Taken::Left(false));
        site.stop().await;
    }
);

/// A mail server that pipes mail in must come again when we could not take it, and not return it.
#[test]
fn a_fault_of_ours_asks_the_mail_server_to_come_again() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .args(["--config", "/nowhere/pressrun.toml", "inbound"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(b"Subject: x\n\n").expect("a write");
    drop(pipe);
    assert_eq!(child.wait().expect("an end").code(), Some(75));
}

on_both!(
    a_late_report_blames_the_mailbox_that_it_is_about_and_not_the_readers_new_one,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        // Her address of then stands in the copy; she has moved since.
        let hash = site.hash_hex("ada@new.example");
        site.db
            .exec(&format!(
                "update deliveries set copy = '{{\"date\":0,\"to\":\"Reader0@example.org\",\"kid\":1}}';
                 update subscribers set address = 'Ada@new.example', canonical = 'ada@new.example',
                     hash = unhex('{hash}') where id = 1000"
            ))
            .await;
        let gone = report(&site.sender(0), "failed", "5.1.1", "550 5.1.1 user unknown");
        let taken = Taken::Bounced {
            changed: true,
            suppressed: true,
        };
        assert_eq!(site.inbound(&gone).await, taken);
        let suppressed = async |address: &str| {
            let hash = site.app.keyring.address_hash(address);
            let found = site.app.store.suppression(&hash).await.expect("a read");
            found.map(|(reason, _)| reason)
        };
        assert_eq!(suppressed("ada@new.example").await, None);
        assert_eq!(
            suppressed("reader0@example.org").await.as_deref(),
            Some("bounced")
        );
        assert_eq!(site.status(1000).await, "confirmed");
        site.stop().await;
    }
);
