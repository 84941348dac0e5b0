//! Runs that open in stages: whom each stage reaches, and what holds them.

use std::time::Duration;

use insta::assert_snapshot;
use pressrun::id::{DeliveryKey, RunId};
use pressrun::inbound;
use pressrun::message::envelope_sender;
use pressrun::rollout::Stages;
use pressrun::run::{self, why};
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::store::runs::Plan;

use crate::control::desk::Desk;
use crate::deliver::rig::{Rig, Wish, readers, start, until};
use crate::harness::{Engine, block_on};
use crate::on_both;

fn staged(text: &str) -> Plan {
    Plan {
        stages: Some(Stages::parse(text).expect("stages")),
        ..Plan::default()
    }
}

async fn rig(engine: Engine, readers: Vec<String>) -> Rig {
    let wish = Wish {
        readers,
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

/// The numbers of the readers in the order in which the sink took their messages.
fn order(rig: &Rig) -> Vec<usize> {
    let number = |address: &str| -> usize {
        let digits: String = address.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    let taken = rig.sink.accepted();
    taken
        .iter()
        .map(|message| number(&message.rcpt[0]))
        .collect()
}

/// The same of a part of the order, sorted: within a stage connections overtake each other.
fn sorted(part: &[usize]) -> Vec<usize> {
    let mut part = part.to_vec();
    part.sort_unstable();
    part
}

on_both!(
    each_stage_reaches_its_share_from_the_pivot_on_also_over_a_restart,
    async |engine: Engine| {
        let rig = rig(engine, readers(400)).await;
        let plan = Plan {
            // Reader 149 has the key 150: the first behind it is reader 150.
            pivot: Some(150),
            ..staged("1%,1h,70%,200ms,rest")
        };
        let run = rig.begin_as(&plan, "Little").await;
        let sending = rig.start().await;
        rig.wait_accepted(4).await;
        let now = rig.run(run).await;
        assert_eq!(
            (now.recipients, now.stage, now.open_to),
            (400, Some(0), Some(4))
        );
        let said = why::why(&rig.app, &now).await.expect("an answer");
        assert_eq!(said.cause, why::Cause::Stage, "{said:?}");
        assert!(
            said.sentence
                .contains("opens in stages: 1 of 3 (1 %, 4 readers)"),
            "{said:?}"
        );
        assert!(until(async || rig.run(run).await.staged_at.is_some_and(|at| at > 0)).await);
        sending.stop().await;
        assert_eq!(rig.sink.counts().accepted, 4, "the wait is not over");
        let over = "update runs set staged_at = 1 where staged_at > 0";
        rig.database.raw(over).await;
        let counts = rig.finish(run).await;
        assert_eq!(counts.sent, 400);
        rig.assert_true(run).await;
        let order = order(&rig);
        assert_eq!(sorted(&order[..4]), [150, 151, 152, 153]);
        // On to the end, and from the beginning: 250 behind the pivot, 30 before it.
        let second: Vec<usize> = (0..30).chain(150..400).collect();
        assert_eq!(sorted(&order[..280]), second);
        assert_eq!(sorted(&order), (0..400).collect::<Vec<_>>());
    }
);

on_both!(seeds_come_first_and_come_once, async |engine: Engine| {
    let rig = rig(engine, readers(300)).await;
    let mut plan = Plan {
        pivot: Some(i64::MAX),
        ..staged("seed,100ms,50%,rest")
    };
    let stages = plan.stages.as_mut().expect("stages");
    // The last of them has left meanwhile.
    stages.seeds = vec![8, 300, 4_000];
    let run = rig.begin_as(&plan, "Little").await;
    let counts = rig.finish(run).await;
    assert_eq!(counts.sent, 300);
    rig.assert_true(run).await;
    let order = order(&rig);
    assert_eq!(sorted(&order[..2]), [7, 299]);
    let others: Vec<usize> = (0..149).filter(|&number| number != 7).collect();
    assert_eq!(sorted(&order[2..150]), others);
});

on_both!(
    what_waits_for_its_stage_is_not_deferred,
    async |engine: Engine| {
        let mut all = readers(20);
        for (number, reader) in all.iter_mut().enumerate().take(2) {
            *reader = format!("reader{number}+451-4.3.0@example.org");
        }
        let wish = Wish {
            readers: all,
            send: "retry = [\"1h\"]",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin_as(&staged("20%,1h,rest"), "Little").await;
        let sending = rig.start().await;
        assert!(until(async || rig.run(run).await.staged_at.is_some()).await);
        sending.stop().await;
        let now = rig.app.clock.now();
        let (deferred, next) = rig.app.store.deferred(run, now).await.expect("a count");
        assert_eq!(deferred, 2);
        assert!(next.expect("a time") > now.0);
    }
);

#[test]
fn two_machines_open_the_stages_of_one_run() {
    block_on(async {
        let rig = rig(Engine::Postgres, readers(600)).await;
        let run = rig
            .begin_as(&staged("5%,300ms,50%,300ms,rest"), "Little")
            .await;
        let other = rig.another("node = \"two\"").await;
        let (one, two) = (rig.start().await, start(&other).await);
        rig.wait_status(run, RunStatus::Finished).await;
        one.stop().await;
        two.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 600);
        rig.assert_true(run).await;
        let order = order(&rig);
        assert_eq!(sorted(&order[..30]), (0..30).collect::<Vec<_>>());
        assert_eq!(sorted(&order[..300]), (0..300).collect::<Vec<_>>());
    });
}

on_both!(
    bounces_beyond_the_limit_hold_the_run_and_a_person_lets_it_go_on,
    async |engine: Engine| {
        let mut readers = readers(200);
        for (number, reader) in readers.iter_mut().enumerate().step_by(5).take(20) {
            *reader = format!("reader{number}+550-5.1.1@example.org");
        }
        let rig = rig(engine, readers).await;
        let run = rig.begin_as(&staged("50%,1h,rest"), "Little").await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.clone().expect("a reason");
        assert!(reason.starts_with("stage 1 of 2 (50 %): "), "{reason}");
        assert!(
            reason.ends_with("the limit is 5.0 % (`stages.bounces`)"),
            "{reason}"
        );
        assert!(rig.sink.counts().accepted <= 80, "nothing of the rest");
        let said = why::why(&rig.app, &held).await.expect("an answer");
        assert_eq!(said.command.as_deref(), Some("pressrun resume small --yes"));
        // The hour of the wait is not waited for: a person has looked at all of the stage. Where few were settled by
        // then, those that bounce after it are too many once more, or its hour begins behind the last of them.
        run::resume(&rig.app, &held, true).await.expect("a resume");
        loop {
            let stands = async || {
                let now = rig.run(run).await;
                let waits =
                    now.status == RunStatus::Sending && now.staged_at.is_some_and(|at| at > 0);
                waits || matches!(now.status, RunStatus::Held | RunStatus::Finished)
            };
            assert!(until(stands).await);
            let now = rig.run(run).await;
            match now.status {
                RunStatus::Finished => break,
                RunStatus::Held => run::resume(&rig.app, &now, true).await.expect("a resume"),
                _ => {
                    let over = "update runs set staged_at = 1 where staged_at > 0";
                    rig.database.raw(over).await;
                }
            }
        }
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.bounced), (180, 20));
        rig.assert_true(run).await;
    }
);

on_both!(
    a_stage_that_was_held_before_all_of_it_was_tried_is_tried_whole_and_waited_for,
    async |engine: Engine| {
        let mut readers = readers(120);
        for (number, reader) in readers.iter_mut().enumerate().take(8) {
            *reader = format!("reader{number}+550-5.1.1@example.org");
        }
        let wish = Wish {
            readers,
            sink: SinkOptions {
                delay: Duration::from_millis(100),
                ..SinkOptions::default()
            },
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin_as(&staged("50%,1h,rest"), "Little").await;
        let sending = rig.start().await;
        let mut now = rig.wait_status(run, RunStatus::Held).await;
        let tried = rig.balanced(run).await;
        assert!(tried.sent + tried.bounced < 60, "{tried:?}");
        // Until nothing bounces any more, each look finds more of those that do.
        while now.status == RunStatus::Held {
            run::resume(&rig.app, &now, true).await.expect("a resume");
            let stands = async || {
                let now = rig.run(run).await;
                now.status == RunStatus::Held || now.staged_at.is_some() || now.open_to != Some(60)
            };
            assert!(until(stands).await);
            now = rig.run(run).await;
        }
        tokio::time::sleep(Duration::from_millis(1200)).await;
        now = rig.run(run).await;
        assert_eq!((now.stage, now.open_to), (Some(0), Some(60)), "{now:?}");
        assert!(now.staged_at.is_some_and(|at| at > 0), "{now:?}");
        let said = why::why(&rig.app, &now).await.expect("an answer");
        assert_eq!(said.cause, why::Cause::Stage, "{said:?}");
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.bounced, counts.queued), (52, 8, 60));
    }
);

on_both!(
    a_provider_that_puts_messages_off_holds_the_run_by_its_name,
    async |engine: Engine| {
        let mut readers = readers(60);
        for (number, reader) in readers.iter_mut().enumerate().take(10) {
            let word = if number < 8 { "+grey-1" } else { "" };
            *reader = format!("reader{number}{word}@gmail.com");
        }
        let rig = rig(engine, readers).await;
        let run = rig.begin_as(&staged("50%,1h,rest"), "Little").await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        sending.stop().await;
        let reason = held.reason.expect("a reason");
        assert!(
            reason.contains("messages to Gmail were put off (4xx)"),
            "{reason}"
        );
        assert!(reason.contains("`stages.deferrals`"), "{reason}");
        assert!(rig.sink.counts().accepted <= 30);
    }
);

/// The providers of these readers of `run` report that they called it spam.
async fn complain(rig: &Rig, run: RunId, readers: std::ops::Range<u32>) {
    for seq in readers {
        let key = DeliveryKey { run, seq };
        let path = envelope_sender(&rig.app.keyring, key, "news.example.org");
        let report = format!(
            "From: fbl@provider.example\nTo: fbl@news.example.org\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nspam\n\
             --b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: A/1\n\
             Version: 1\n--b\nContent-Type: message/rfc822\n\nReturn-Path: <{path}>\nSubject: S\n\nx\n--b--\n"
        );
        let taken = inbound::take(&rig.app, report.as_bytes(), None).await;
        assert_eq!(taken.expect("a taking"), inbound::Taken::Complained);
    }
}

on_both!(
    complaints_hold_a_run_in_stages_and_one_without,
    async |engine: Engine| {
        for stages in [true, false] {
            let rig = rig(engine, readers(200)).await;
            let plan = match stages {
                true => staged("50%,1h,rest"),
                false => Plan::default(),
            };
            let run = rig.begin_as(&plan, "Little").await;
            if !stages {
                // It must not be over before anybody has complained.
                rig.sink.hold_after(8);
            }
            let sending = rig.start().await;
            rig.wait_accepted(if stages { 100 } else { 8 }).await;
            complain(&rig, run, 0..4).await;
            let held = rig.wait_status(run, RunStatus::Held).await;
            let reason = held.reason.clone().expect("a reason");
            let said = reason.contains(" readers complained (");
            assert!(
                said && reason.ends_with("the limit is 0.3 % (`stages.complaints`)"),
                "{reason}"
            );
            assert_eq!(
                reason.starts_with("stage 1 of 2 (50 %): "),
                stages,
                "{reason}"
            );
            let told = why::why(&rig.app, &held).await.expect("an answer");
            assert!(told.sentence.contains(&reason), "{told:?}");
            rig.sink.release();
            // A person has seen them.
            run::resume(&rig.app, &held, true).await.expect("a resume");
            rig.wait_status(run, RunStatus::Finished).await;
            sending.stop().await;
            let counts = rig.balanced(run).await;
            assert_eq!(counts.sent + counts.suppressed, 200);
            rig.assert_true(run).await;
        }
    }
);

on_both!(
    after_a_person_let_it_go_on_only_what_comes_of_later_copies_holds_a_run,
    async |engine: Engine| {
        let rig = rig(engine, readers(200)).await;
        let run = rig.begin_as(&staged("50%,1h,rest"), "Little").await;
        let sending = rig.start().await;
        assert!(until(async || rig.run(run).await.staged_at.is_some()).await);
        complain(&rig, run, 0..4).await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        rig.sink.hold_after(20);
        run::resume(&rig.app, &held, true).await.expect("a resume");
        let known = async || {
            let rows = rig.rows(run).await;
            let sent = |row: &&pressrun::store::verify::DeliveryRow| row.state == "sent";
            rows.iter().filter(sent).count() >= 104
        };
        assert!(until(known).await);
        // Readers of the first stage go on to complain for hours.
        complain(&rig, run, 4..30).await;
        let store = &rig.app.store;
        let base = pressrun::clock::Timestamp(held.since);
        let later = store.came_of_later(run, base).await.expect("numbers");
        assert_eq!((later.complained, later.bounced), (0, 0));
        let now = rig.run(run).await;
        assert_eq!(now.status, RunStatus::Sending, "{now:?}");
        // Of those who got theirs since, four are too many.
        let rows = rig.rows(run).await;
        let since: Vec<u32> = rows
            .iter()
            .filter(|row| row.state == "sent" && row.seq >= 100)
            .map(|row| u32::try_from(row.seq).expect("a seq"))
            .collect();
        for &seq in &since[..4] {
            complain(&rig, run, seq..seq + 1).await;
        }
        let held = rig.wait_status(run, RunStatus::Held).await;
        rig.stop_held(sending).await;
        let reason = held.reason.expect("a reason");
        assert!(reason.starts_with("stage 2 of 2 (rest): 4 of "), "{reason}");
        assert_eq!(store.complaints(run).await.expect("a number"), 34);
    }
);

on_both!(
    a_list_that_loses_few_is_held_by_its_own_band_and_not_by_the_limit,
    async |engine: Engine| {
        let mut readers = readers(300);
        for (number, reader) in readers.iter_mut().enumerate().take(5) {
            *reader = format!("reader{number}+550-5.1.1@example.org");
        }
        let rig = rig(engine, readers).await;
        for earlier in 100..108 {
            rig.database
                .raw(&format!(
                    "insert into runs (id, kind, slug, title, list_id, headers, relay, policy, status, cutoff,
                         frozen_to, recipients, created_at)
                     values ({earlier}, 'issue', 'e{earlier}', 'E', 1, '{{}}', '', 'hold', 'finished', 0, 0,
                         10000, 0);
                     insert into blocks (run_id, block, sent, bounced) values ({earlier}, 0, 9990, 10);"
                ))
                .await;
        }
        let run = rig.begin_as(&staged("50%,1h,rest"), "Little").await;
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        sending.stop().await;
        let reason = held.reason.expect("a reason");
        assert!(
            reason.contains("the last 8 runs to this list had 0.1 %, and up to"),
            "{reason}"
        );
    }
);

on_both!(
    stages_are_told_before_send_and_refused_with_the_reason,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        let seeds = desk.run(&["send", "bees", "--stages", "seed,rest"]).await;
        let order = desk.run(&["send", "bees", "--stages", "50%,5%,rest"]).await;
        desk.configure(
            "send.seed",
            "[\"reader3@example.org\", \"nobody@example.org\"]",
        );
        let stages = "seed,5m,1%,10m,10%,20m,rest";
        let told = desk.run(&["send", "bees", "--stages", stages]).await;
        let fast = "seed,100ms,10%,100ms,rest";
        let sent = desk.run(&["send", "bees", "--yes", "--stages", fast]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert_eq!(desk.sink.counts().accepted, 40);
        assert_eq!(desk.sink.accepted()[0].rcpt[0], "reader3@example.org");
        let status = desk.run(&["status", "bees", "--json"]).await;
        let status: serde_json::Value = serde_json::from_str(&status.out).expect("JSON");
        assert_eq!(status[0]["stages"]["steps"][1]["share"]["part"], 100_000);
        let all = [seeds, order, told].map(|said| said.as_text());
        let relay = desk.sink.address().to_string();
        assert_snapshot!("stages", all.join("===\n").replace(&relay, "RELAY"));
    }
);

/// A crash between two looks loses nothing of the bound: it stands in the database.
#[test]
fn nothing_behind_the_bound_leaves_while_the_wait_lasts() {
    block_on(async {
        let rig = rig(Engine::Sqlite, readers(300)).await;
        let run = rig.begin_as(&staged("10%,1h,rest"), "Little").await;
        let sending = rig.start().await;
        rig.wait_accepted(30).await;
        // Several rounds of the dispatcher, blocks given back and asked for again.
        tokio::time::sleep(Duration::from_millis(900)).await;
        sending.stop().await;
        assert_eq!(rig.sink.counts().accepted, 30);
        let now = rig.run(run).await;
        assert!(
            now.staged_at.is_some() && now.open_to == Some(30),
            "{now:?}"
        );
        run::cancel(&rig.app, &now).await.expect("a cancel");
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.cancelled), (30, 270));
    });
}
