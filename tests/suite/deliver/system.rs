//! System mails, test copies, and the real sample issue through the whole path.

use std::time::Duration;

use pressrun::address::EmailAddress;
use pressrun::id::{DeliveryKey, ListId, RunId, SubscriberId, SubscriptionKey};
use pressrun::issue::given::Titles;
use pressrun::message::copy::Values;
use pressrun::publication::{Built, Publication, compile_issue};
use pressrun::run;
use pressrun::run::test_copy::{self, Tested};
use pressrun::smtp::sink::SinkOptions;
use pressrun::smtp::sink::script::Script;
use pressrun::status::RunStatus;
use pressrun::store::runs::Begun;
use pressrun::store::system_mail::NewSystemMail;
use pressrun::token::{Claim, sign};

use crate::deliver::rig::{Rig, Wish, readers, script, until};
use crate::harness::Engine;
use crate::on_both;

const SAMPLE: &str = "this-week-in-ai-research";

pub(super) async fn enqueue(rig: &Rig, address: &str) {
    let (revision, _) = revision_of(rig).await;
    let mail = NewSystemMail {
        kind: "notice",
        revision: &revision,
        subscriber: SubscriberId(0),
        address: Some(address),
        list: Some(ListId(1)),
        data: "{}",
    };
    let now = rig.app.clock.now();
    let queued = rig.app.store.enqueue_system_mail(&mail, now).await;
    queued.expect("a queued mail");
}

fn compiled(rig: &Rig, issue: &str) -> Built {
    let (config, emails) = (&rig.app.config, rig.app.emails());
    compile_issue(config, &emails, issue, &Titles::default()).expect("an issue")
}

async fn revision_of(rig: &Rig) -> (String, RunId) {
    let newest = rig.app.store.run_of("small").await.expect("a read");
    let newest = newest.expect("a run was begun");
    (newest.revision.clone().expect("a revision"), newest.id())
}

on_both!(
    no_system_mail_leaves_a_database_that_looks_restored_until_a_person_says_so,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        enqueue(&rig, "twice@system.example").await;
        // The copy of it from before the run.
        let copy = "update meta set value = '0' where key = 'generation'";
        rig.database.raw(copy).await;
        let sending = rig.start().await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(rig.sink.counts().accepted, 40, "it left");
        let doubt = run::doubt(&rig.app).await.expect("a look");
        let doubt = doubt.expect("an older database is told");
        assert!(doubt.contains("no mail to those who sign up"), "{doubt}");
        assert!(doubt.contains("`pressrun resume --yes`"), "{doubt}");
        run::resume_database(&rig.app, false)
            .await
            .expect_err("nobody said yes");
        assert!(run::resume_database(&rig.app, true).await.expect("a yes"));
        rig.wait_accepted(41).await;
        sending.stop().await;
        assert!(
            !run::resume_database(&rig.app, true)
                .await
                .expect("no doubt")
        );
        assert_eq!(rig.balanced(RunId::SYSTEM).await.sent, 1);
    }
);

on_both!(
    system_mails_go_before_issues_at_the_start_and_in_the_middle,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(300),
            connections: 1,
            sink: SinkOptions {
                delay: Duration::from_millis(3),
                ..SinkOptions::default()
            },
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        enqueue(&rig, "first@system.example").await;
        enqueue(&rig, "second@system.example").await;
        rig.sink.hold_after(30);
        let sending = rig.start().await;
        rig.wait_accepted(30).await;
        enqueue(&rig, "third@system.example").await;
        rig.sink.release();
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let order: Vec<_> = rig
            .sink
            .accepted()
            .into_iter()
            .map(|m| m.rcpt[0].clone())
            .collect();
        let at = |name: &str| order.iter().position(|address| address.starts_with(name));
        assert_eq!((at("first@"), at("second@")), (Some(0), Some(1)));
        let third = at("third@").expect("the third one");
        assert!(third < 280, "it waited behind {third} others");
        assert_eq!(rig.balanced(run).await.sent, 300);
        assert_eq!(rig.balanced(RunId::SYSTEM).await.sent, 3);
    }
);

on_both!(
    a_slow_system_mail_keeps_no_other_waiting,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await.sent, 40);
        let counts = async || {
            let counts = rig.app.store.counts(RunId::SYSTEM).await;
            counts.expect("counters")
        };
        enqueue(&rig, "slow+slow-4s@system.example").await;
        let sending = rig.start().await;
        assert!(until(async || counts().await.at_dot == 1).await);
        // They are numbered into the block of which the slow one is a part.
        enqueue(&rig, "new@system.example").await;
        enqueue(&rig, "grey+grey-1@system.example").await;
        assert!(
            until(async || counts().await.sent == 3).await,
            "{:?}",
            counts().await
        );
        sending.stop().await;
        let ends = rig.rows(RunId::SYSTEM).await.into_iter();
        let mut ends: Vec<_> = ends.map(|row| (row.settled_at, row.address)).collect();
        ends.sort_unstable();
        let last = ends.pop().and_then(|(_, address)| address);
        let last = last.expect("an address");
        assert!(last.starts_with("slow+"), "{last} waited for it: {ends:?}");
        rig.balanced(RunId::SYSTEM).await;
        assert_eq!(rig.sink.counts().accepted, 43);
    }
);

on_both!(
    a_system_mail_that_is_always_deferred_expires,
    async |engine: Engine| {
        let wish = Wish {
            send: "retry = [\"20ms\", \"40ms\"]\ngive_up = \"200ms\"",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        enqueue(&rig, "never+450@system.example").await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        let expired = until(async || {
            let counts = rig.app.store.counts(RunId::SYSTEM).await.expect("counters");
            counts.expired == 1
        });
        assert!(expired.await);
        sending.stop().await;
        rig.balanced(RunId::SYSTEM).await;
    }
);

on_both!(
    system_mails_refused_one_after_the_other_wait_until_the_relay_is_well,
    async |engine: Engine| {
        let wish = Wish {
            connections: 1,
            send: "retry = [\"300ms\"]",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.begin().await;
        for number in 0..7 {
            enqueue(&rig, &format!("reader{number}@system.example")).await;
        }
        rig.sink.set_script(script("dot-554-5.7.1"));
        let sending = rig.start().await;
        let refused = until(async || rig.sink.counts().refused >= 7).await;
        assert!(refused);
        rig.sink.set_script(Script::default());
        let sent = until(async || {
            let counts = rig.app.store.counts(RunId::SYSTEM).await.expect("counters");
            counts.sent == 7
        });
        assert!(sent.await);
        sending.stop().await;
        assert_eq!(rig.balanced(RunId::SYSTEM).await.failed, 0);
    }
);

on_both!(
    the_sample_issue_goes_out_and_a_test_copy_counts_nothing,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(6),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        Publication::write_defaults(&rig.app.emails()).expect("the author's folder");
        let to = EmailAddress::parse("author@example.org").expect("an address");
        let built = compiled(&rig, SAMPLE);
        let begun = test_copy::begin(&rig.app, built, &[to], &Values::default())
            .await
            .expect("a test");
        assert_eq!(begun.keys[0].run, RunId::SYSTEM);
        let sending = rig.start().await;
        rig.wait_accepted(1).await;
        let test = rig.sink.accepted().remove(0);
        let text = String::from_utf8_lossy(&test.message).into_owned();
        assert_eq!(test.rcpt, ["author@example.org"]);
        assert!(text.contains("\r\nSubject: [TEST]"), "{}", &text[..2000]);
        assert!(rig.app.store.runs(9).await.expect("a read").is_empty());
        // One reader wants nothing counted: the copy has direct links and no pixel.
        let keys = "select key, subscriber_id from subscriptions order by key";
        let key = SubscriptionKey(rig.pairs(keys).await[0].0);
        let now = rig.app.clock.now();
        let silent = rig.app.store.set_tracking(key, false, now);
        silent.await.expect("a change");
        // She has moved from one address to another, and her page has another link since.
        let moved = format!(
            "update subscriptions set manage_key = 777 where key = {}",
            key.0
        );
        rig.database.raw(&moved).await;
        let started = run::begin(&rig.app, SAMPLE, "weekly", false).await;
        let Begun::New(id) = started.expect("a start").begun else {
            panic!("a new run");
        };
        rig.wait_status(id, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(id).await.sent, 6);
        rig.assert_true(id).await;
        let again = run::begin(&rig.app, SAMPLE, "weekly", false).await;
        assert_eq!(again.expect("an answer").begun, Begun::Before(id));
        let copies = rig.sink.accepted();
        for (path, number) in [("/o/", 5), ("/c/", 5), ("/u/", 6), ("/preferences/", 6)] {
            let link = format!("https://news.example.org{path}");
            let with = copies[1..]
                .iter()
                .filter(|copy| String::from_utf8_lossy(&copy.message).contains(&link));
            assert_eq!(with.count(), number, "{path}");
        }
        let opens = |claim: Claim| {
            let token = sign(&rig.app.keyring, &claim);
            let link = format!("https://news.example.org/preferences/{token}");
            let with = copies[1..].iter();
            with.filter(|copy| String::from_utf8_lossy(&copy.message).contains(&link))
                .count()
        };
        assert_eq!(opens(Claim::Manage(SubscriptionKey(777))), 1);
        assert_eq!(opens(Claim::Manage(key)), 0);
        let message = rig.sink.accepted().remove(1);
        let text = String::from_utf8_lossy(&message.message).into_owned();
        assert!(text.contains("\r\nList-Unsubscribe: <https://news.example.org/u/"));
        assert!(!text.contains("[TEST]"));
    }
);

on_both!(
    trouble_of_a_sender_that_died_is_forgotten_by_the_next,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let dead = "insert into senders (node, boot, started_at, until, trouble)
            values ('one', 7, 0, 9000000000000, 'relay main: gone')";
        rig.database.raw(dead).await;
        assert!(rig.trouble().await.starts_with("relay main: gone"));
        let sending = rig.start().await;
        let quiet = until(async || rig.trouble().await.is_empty()).await;
        assert!(quiet);
        sending.stop().await;
        rig.sink.set_script(script("greeting-421"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_trouble().await;
        sending.stop().await;
        assert_eq!(rig.trouble().await, "", "nobody tries any more");
        rig.sink.set_script(Script::default());
        assert_eq!(rig.finish(run).await.sent, 40);
    }
);

on_both!(
    a_test_copy_shows_a_readers_values_and_belongs_to_nobody,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        Publication::write_defaults(&rig.app.emails()).expect("the author's folder");
        let folder = rig.app.emails().join("issues/one");
        std::fs::create_dir_all(&folder).expect("a folder");
        let text =
            "---\ntitle: Hi\nsubject: Hi [[first_name|there]]\n---\n\nDear [[first_name|reader]]\n";
        std::fs::write(folder.join("issue.md"), text).expect("an issue");
        let to = ["a@example.org", "b@example.org"];
        let to = to.map(|to| EmailAddress::parse(to).expect("an address"));
        let values = Values {
            name: "Zoe Q".into(),
            fields: [("first_name".to_owned(), "Zoe".to_owned())].into(),
            ..Values::default()
        };
        let (_say, stop) = tokio::sync::watch::channel(false);
        let built = compiled(&rig, "one");
        let report = test_copy::send(&rig.app, built, &to, &values, stop).await;
        let tested = report.expect("a report").tested;
        assert!(tested.iter().all(Tested::is_sent), "{tested:?}");
        let mails = rig.sink.accepted();
        assert_eq!(mails.len(), 2);
        for mail in &mails {
            let text = String::from_utf8_lossy(&mail.message);
            assert!(text.contains("\r\nSubject: [TEST] Hi Zoe\r\n"), "{text}");
            // A soft break stands on both sides of every value.
            assert!(text.contains("Dear =\r\nZoe=\r\n"), "{text}");
        }
        // The links of a test name no subscription, so that its unsubscribe link ends nothing.
        let key = DeliveryKey {
            run: RunId::SYSTEM,
            seq: 0,
        };
        let copy = rig
            .app
            .store
            .copy_of(key)
            .await
            .expect("a read")
            .expect("a copy");
        let copy = copy.copy.expect("a record");
        assert!(!copy.contains("subscription"), "{copy}");
        let missing = EmailAddress::parse("nobody@example.org").expect("an address");
        let built = compiled(&rig, "one");
        let error = test_copy::values_of(&rig.app, &missing, &built)
            .await
            .expect_err("nobody");
        assert!(
            error
                .to_string()
                .starts_with("there is no reader `nobody@example.org`")
        );
    }
);
