//! Two subjects on a part of the readers, and the better one for the rest.

use std::time::Duration;

use insta::assert_snapshot;
use pressrun::clock::Timestamp;
use pressrun::compile::{Compiled, Segment, Template};
use pressrun::event::{Event, EventKind, Evidence};
use pressrun::id::{DeliveryKey, RunId};
use pressrun::message::MessageTemplate;
use pressrun::message::copy::CopyRecord;
use pressrun::rollout::Stages;
use pressrun::run::{self, trial, why};
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::store::runs::Plan;
use pressrun::trial::{By, Trial, Variant};

use crate::control::desk::Desk;
use crate::deliver::rig::{Rig, Wish, readers, small_issue, until};
use crate::harness::Engine;
use crate::on_both;

const HOUR: Duration = Duration::from_secs(3600);

/// A run of 400 readers, a fifth of whom get one of two subjects; it has been sent to them.
async fn tested(rig: &Rig) -> RunId {
    let other = Compiled {
        subject: Template(vec![Segment::Literal("Six hives".into())]),
        ..small_issue()
    };
    let revision_b = run::keep_revision(&rig.app, &other, &[])
        .await
        .expect("a revision");
    let trial = Trial {
        a: "Small news".into(),
        b: "Six hives".into(),
        revision_b,
        share: 200_000,
        after: i64::try_from(HOUR.as_millis()).expect("a number"),
        by: By::Clicks,
        decision: None,
    };
    let plan = Plan {
        stages: Some(Stages::of_test(trial.share, HOUR)),
        trial: Some(trial.to_json()),
        ..Plan::default()
    };
    rig.begin_as(&plan, "Little").await
}

async fn rig(engine: Engine) -> Rig {
    let wish = Wish {
        readers: readers(400),
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

/// Waits until all of the test was tried.
async fn out(rig: &Rig, run: RunId) {
    assert!(until(async || rig.run(run).await.staged_at.is_some()).await);
}

/// A click of each of these, so many seconds after the delivery.
async fn click(rig: &Rig, run: RunId, seqs: &[u32], after: i64, purpose: Option<&str>) {
    let now = rig.app.clock.now().0;
    let event = |&seq: &u32| Event {
        kind: EventKind::Click,
        delivery: DeliveryKey { run, seq },
        link: Some(0),
        at: Timestamp(now + after * 1000),
        evidence: Evidence {
            agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0".into(),
            purpose: purpose.map(str::to_owned),
            language: true,
            ..Evidence::default()
        },
    };
    let events: Vec<Event> = seqs.iter().map(event).collect();
    let stored = rig.app.store.record_events(&events, true).await;
    stored.expect("a write");
}

/// The subject of each message that was taken, by the number of its reader.
fn subjects(rig: &Rig) -> Vec<(usize, bool)> {
    let taken = rig.sink.accepted().into_iter().map(|message| {
        let digits: String = message.rcpt[0]
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let text = String::from_utf8_lossy(&message.message).into_owned();
        (
            digits.parse().expect("a number"),
            text.contains("Subject: Six hives\r\n"),
        )
    });
    let mut taken: Vec<(usize, bool)> = taken.collect();
    taken.sort_unstable();
    taken
}

on_both!(
    the_subject_that_more_people_follow_goes_to_the_rest_and_machines_do_not_vote,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let run = tested(&rig).await;
        let sending = rig.start().await;
        out(&rig, run).await;
        assert_eq!(rig.sink.counts().accepted, 80, "a fifth, and nobody else");
        let odd: Vec<u32> = (0..40).map(|number| number * 2 + 1).collect();
        let even: Vec<u32> = (0..40).map(|number| number * 2).collect();
        click(&rig, run, &odd[..20], 60, None).await;
        click(&rig, run, &odd[..5], 90, None).await;
        click(&rig, run, &even[..4], 60, None).await;
        // Scanners follow every link of A: before a reader could, or saying that they only look ahead.
        click(&rig, run, &even, -3_600, None).await;
        click(&rig, run, &even, 60, Some("prefetch")).await;
        let now = rig.run(run).await;
        trial::catch_up(&rig.app, &now).await.expect("a fold");
        let said = why::why(&rig.app, &now).await.expect("an answer");
        let so_far = "subject test so far: B ahead by 40.0 points, more than chance";
        assert!(said.sentence.contains(so_far), "{said:?}");
        rig.database
            .raw("update runs set staged_at = 1 where id > 1")
            .await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 400);
        rig.assert_true(run).await;
        let trial = rig.run(run).await.trial().expect("a test");
        let decision = trial.decision.clone().expect("a decision");
        assert_eq!(decision.winner, Variant::B);
        assert_eq!((decision.a.sent, decision.a.readers), (40, 4));
        assert_eq!((decision.b.sent, decision.b.readers), (40, 20));
        for (reader, is_b) in subjects(&rig) {
            assert_eq!(is_b, reader >= 80 || reader % 2 == 1, "reader {reader}");
        }
        // Late clicks change nothing: the numbers are those of the decision.
        click(&rig, run, &even, 7_200, None).await;
        let numbers = trial::numbers_of(&rig.app, run).await.expect("a read");
        let numbers = numbers.expect("a test");
        assert_eq!(numbers.decision, decision);
        assert_snapshot!("decided", numbers.sentence());
    }
);

on_both!(
    a_copy_of_either_subject_is_made_again_octet_for_octet,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let run = tested(&rig).await;
        let sending = rig.start().await;
        out(&rig, run).await;
        sending.stop().await;
        let found = rig.run(run).await;
        let headers = serde_json::from_str(&found.headers).expect("headers");
        let trial = found.trial().expect("a test");
        for seq in [6_u32, 7] {
            let key = DeliveryKey { run, seq };
            let row = rig
                .app
                .store
                .copy_of(key)
                .await
                .expect("a read")
                .expect("a row");
            let copy = CopyRecord::from_json(&row.copy.expect("a copy")).expect("a record");
            let own = found.revision.clone().expect("a revision");
            let revision = match copy.variant.expect("a variant") {
                Variant::A => own,
                Variant::B => trial.revision_b.clone(),
            };
            assert_eq!(copy.variant, Some(Variant::of(i64::from(seq))));
            let content = rig.app.store.revision(&revision).await.expect("a read");
            let compiled: Compiled =
                serde_json::from_str(&content.expect("a revision")).expect("an issue");
            let template = MessageTemplate::new(&compiled, &headers, None).expect("a template");
            let mut again = Vec::new();
            let made = template.render(&rig.app.keyring, key, &copy, &mut again);
            made.expect("a copy");
            let all = rig.sink.accepted();
            let sent = all
                .iter()
                .find(|message| message.rcpt == [copy.to.to_string()]);
            assert_eq!(
                String::from_utf8_lossy(&again),
                String::from_utf8_lossy(&sent.expect("a message").message)
            );
            assert!(
                run::again::html(&rig.app, key)
                    .await
                    .expect("a look")
                    .is_some()
            );
        }
    }
);

on_both!(
    too_little_to_judge_by_takes_a_and_says_so_everywhere,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        let same = desk
            .run(&["send", "bees", "--subject-b", "Bees, and where they live"])
            .await;
        let all = desk
            .run(&["send", "bees", "--subject-b", "Six hives", "--test", "100%"])
            .await;
        let told = desk
            .run(&["send", "bees", "--subject-b", "Six hives"])
            .await;
        let sent = desk
            .run(&[
                "send",
                "bees",
                "--yes",
                "--subject-b",
                "Six hives",
                "--test",
                "50%",
                "--after",
                "100ms",
            ])
            .await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let b = desk.sink.accepted().into_iter().filter(|message| {
            String::from_utf8_lossy(&message.message).contains("Subject: Six hives\r\n")
        });
        assert_eq!((desk.sink.counts().accepted, b.count()), (40, 10));
        let line = "subject test: too little to judge by, so A is taken: 0 of 10 readers clicked under A, 0 \
                    of 10 under B; the rest got \"Bees, and where they live\"";
        assert!(sent.out.contains(line), "{sent:?}");
        for command in ["status", "why", "stats"] {
            let said = desk.run(&[command, "bees"]).await;
            assert!(said.out.contains(line), "{said:?}");
        }
        let json = desk.run(&["stats", "bees", "--json"]).await;
        let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json["test"]["decision"]["winner"], "a");
        let status = desk.run(&["status", "bees", "--json"]).await;
        let status: serde_json::Value = serde_json::from_str(&status.out).expect("JSON");
        assert_eq!(status[0]["trial"]["decision"]["a"]["sent"], 10);
        let all = [same, all, told].map(|said| said.as_text());
        let relay = desk.sink.address().to_string();
        assert_snapshot!("subjects", all.join("===\n").replace(&relay, "RELAY"));
    }
);

on_both!(
    a_test_that_is_held_on_its_way_is_decided_no_sooner_for_it,
    async |engine: Engine| {
        let mut all = readers(400);
        for (number, reader) in all.iter_mut().enumerate().step_by(5).take(16) {
            *reader = format!("reader{number}+550-5.1.1@example.org");
        }
        let wish = Wish {
            readers: all,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = tested(&rig).await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Held).await;
        let tried = async || {
            let now = rig.run(run).await;
            if now.status == RunStatus::Held {
                run::resume(&rig.app, &now, true).await.expect("a resume");
            }
            let counts = rig.app.store.counts(run).await.expect("counters");
            now.staged_at.is_some() && counts.sent + counts.bounced == 80
        };
        assert!(until(tried).await, "{:?}", rig.run(run).await);
        // Time for two looks at its numbers.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        sending.stop().await;
        let test = rig.run(run).await.trial().expect("a test");
        assert_eq!(test.decision, None, "its hour is not over");
        assert_eq!(rig.balanced(run).await.sent, 64);
    }
);

on_both!(
    the_second_subject_is_verified_like_the_first,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let run = tested(&rig).await;
        rig.balanced(run).await;
        rig.database
            .raw("update revisions set content = replace(content, 'Six hives', 'Six gives')")
            .await;
        let found = rig.run(run).await;
        let verified = run::verify::one(&rig.app, &found).await.expect("a look");
        assert_eq!(verified.faults.len(), 1, "{:?}", verified.faults);
        assert!(verified.faults[0].contains("was changed"), "{verified:?}");
    }
);
