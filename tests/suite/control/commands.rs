//! What an author says and hears: plans, guards, another content, and why.

use insta::assert_snapshot;
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;

use crate::control::desk::{Desk, ISSUE, Said};
use crate::harness::{Engine, block_on};
use crate::on_both;

impl Said {
    pub fn as_text(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.code, self.out, self.error
        )
    }
}

on_both!(
    a_run_is_scheduled_replaced_explained_and_taken_back,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let said = desk.run(&[
            "send",
            "bees",
            "--yes",
            "--at",
            "2037-07-20 07:00 Europe/Berlin",
        ]);
        let said = said.await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(
            said.out
                .contains("starts Mon 20 Jul 2037 07:00 Europe/Berlin (in "),
            "{said:?}"
        );
        assert!(
            said.out.contains("`pressrun serve` must run by then"),
            "{said:?}"
        );
        let again = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(again.code, 1);
        assert!(
            again.error.contains("`pressrun send bees --replace`"),
            "{again:?}"
        );
        let same = desk.run(&["send", "bees", "--replace", "--yes"]).await;
        assert!(same.out.contains("nothing to replace"), "{same:?}");
        desk.write(
            "bees",
            &ISSUE.replace("these are the bees", "these are the wasps"),
        );
        let unsaid = desk.run(&["send", "bees", "--replace"]).await;
        assert_eq!(unsaid.code, 1);
        assert!(unsaid.error.contains("say `--yes`"), "{unsaid:?}");
        let replaced = desk.run(&["send", "bees", "--replace", "--yes"]).await;
        assert_eq!(replaced.code, 0, "{replaced:?}");
        assert!(
            replaced
                .out
                .contains("- Hello [[first_name|there]], these are the bees.")
                && replaced
                    .out
                    .contains("+ Hello [[first_name|there]], these are the wasps.")
                && replaced.out.contains("starts Mon 20 Jul 2037 07:00"),
            "{replaced:?}"
        );
        desk.configure("from.name", "\"The Daily\"");
        let renamed = desk.run(&["send", "bees", "--replace", "--yes"]).await;
        assert!(
            renamed.out.contains("+ The Daily <news@example.com>")
                && !renamed.out.contains("nothing to replace"),
            "{renamed:?}"
        );
        let why = desk.run(&["why", "bees", "--json"]).await;
        let why: serde_json::Value = serde_json::from_str(&why.out).expect("JSON");
        assert_eq!(why[0]["cause"], "scheduled");
        assert_eq!(why[0]["next"], 2_131_678_800_000_i64);
        let status = desk.run(&["status"]).await;
        assert!(
            status.out.contains("scheduled") && status.out.contains("(in "),
            "{status:?}"
        );
        let taken = desk.run(&["cancel", "bees"]).await;
        assert_eq!(taken.out, "taken back: nothing was sent\n");
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let first = &desk.sink.accepted()[0];
        let message = String::from_utf8_lossy(&first.message).into_owned();
        assert!(message.contains("wasps"), "{message}");
        assert_eq!(desk.sink.counts().accepted, 3);
        let late = desk.run(&["send", "bees", "--replace", "--yes"]).await;
        assert!(late.error.contains("keeps its content"), "{late:?}");
    }
);

on_both!(
    a_run_begun_for_later_is_sent_by_serve_in_its_time,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let mut serve = desk.start(&["serve", "--role", "sender"]);
        let later = ["send", "bees", "--yes", "--at", "2037-07-20 07:00"];
        let said = desk.run(&later).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(desk.sink.counts().connections, 0, "not before its time");
        let soon = pressrun::clock::Clock::System.now().0 + 1_000;
        desk.raw(&format!("update runs set start_at = {soon} where id > 1"))
            .await;
        let app = desk.app().await;
        let finished = crate::deliver::rig::until(async || {
            let run = app.store.run_of("bees").await.expect("a read");
            run.is_some_and(|run| run.status == RunStatus::Finished)
        });
        let finished = finished.await;
        serve.kill().expect("a child");
        serve.wait().expect("an end");
        assert!(finished);
        assert_eq!(desk.sink.counts().accepted, 3);
    }
);

#[test]
fn a_run_can_be_stopped_and_looked_at_without_the_keyring() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 3, SinkOptions::default()).await;
        let said = desk
            .run(&["send", "bees", "--yes", "--at", "2037-07-20 07:00"])
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        let keyring = desk.news().join("keyring.toml");
        std::fs::write(&keyring, "[[key]]\nid").expect("a file cut short");
        for command in ["why", "status", "pause", "cancel"] {
            let said = desk.run(&[command, "bees"]).await;
            assert_eq!(said.code, 0, "{command}: {said:?}");
            assert!(said.error.contains("restore it from a backup"), "{said:?}");
        }
        let refused = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        std::fs::remove_file(&keyring).expect("a file");
        let said = desk.run(&["why", "bees"]).await;
        assert!(said.code == 0 && said.out.contains("cancelled"), "{said:?}");
    });
}

on_both!(
    what_was_sent_can_be_taken_back_for_a_while,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let sending = desk.start(&["send", "bees", "--yes", "--undo", "60s"]);
        let app = desk.app().await;
        let waits = crate::deliver::rig::until(async || {
            let run = app.store.run_of("bees").await.expect("a read");
            run.is_some_and(|run| run.status == RunStatus::Scheduled)
        });
        assert!(waits.await);
        let code = crate::control::signals::interrupt(sending).await;
        assert_eq!(code, 4);
        let run = app.store.run_of("bees").await.expect("a read");
        let run = run.expect("a run");
        assert_eq!((run.status, run.recipients), (RunStatus::Cancelled, 0));
        // Nobody says stop: it leaves.
        let said = desk.run(&["send", "bees", "--yes", "--undo", "1s"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.error.contains("takes it back"), "{said:?}");
        assert_eq!(desk.sink.counts().accepted, 3);
    }
);

on_both!(
    a_cancelled_run_is_mended_and_continued_by_its_command,
    async |engine: Engine| {
        let desk = Desk::new(engine, 200, SinkOptions::default()).await;
        let early = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert!(early.error.contains("no run of `bees`"), "{early:?}");
        let sending = desk.start(&["send", "bees", "--yes", "--rate", "20/s"]);
        let some = crate::deliver::rig::until(async || desk.sink.counts().accepted >= 10);
        assert!(some.await);
        let cancelled = desk.run(&["cancel", "bees", "--yes"]).await;
        assert!(
            cancelled.out.contains("pressrun send bees --continue"),
            "{cancelled:?}"
        );
        crate::control::signals::ended(sending).await;
        let reached = desk.sink.counts().accepted;
        let plain = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(plain.code, 5, "{plain:?}");
        assert!(plain.error.contains("guard[same-issue]"), "{plain:?}");
        desk.write("bees", &ISSUE.replace("bees.", "mended bees."));
        let unsaid = desk.run(&["send", "bees", "--continue"]).await;
        let said = format!(
            "error: `bees` would go to the {} readers of `weekly` whom its cancelled run 2 did not reach; say \
             `--yes` to send it\n",
            200 - reached
        );
        assert_eq!(unsaid.code, 1, "{unsaid:?}");
        assert!(unsaid.error.ends_with(&said), "{unsaid:?}");
        let sent = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert_eq!(desk.sink.counts().accepted, 200);
        let over = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert!(over.error.contains("nothing to continue"), "{over:?}");
        let reached_first = ["send", "bees", "--correction", "--to-reached"];
        let unsaid = desk.run(&reached_first).await;
        let sentence = format!("{reached} readers of `weekly` got `bees` and would");
        assert!(unsaid.error.contains(&sentence), "{unsaid:?}");
        let sent = desk.run(&[&reached_first[..], &["--yes"]].concat()).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert_eq!(desk.sink.counts().accepted, 200 + reached);
    }
);

on_both!(
    a_freeze_that_grows_between_two_looks_is_no_imbalance,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        // As a look finds it that read the run before the last step of its freeze, and the counters after it.
        desk.raw("update runs set status = 'freezing', recipients = 2 where id = 2")
            .await;
        for look in [&["status"][..], &["status", "bees"]] {
            let said = desk.run(look).await;
            assert_eq!(said.code, 0, "{said:?}");
            assert!(!said.out.contains("balance"), "{said:?}");
        }
        desk.raw("update runs set status = 'finished' where id = 2")
            .await;
        for look in [&["status"][..], &["status", "bees"]] {
            let said = desk.run(look).await;
            assert_eq!(said.code, 3, "{said:?}");
            assert!(said.out.contains("balance"), "{said:?}");
        }
    }
);

#[test]
fn of_several_runs_of_an_issue_the_one_that_is_named_is_meant_and_none_is_guessed() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 3, SinkOptions::default()).await;
        desk.schedule_for_two_lists().await;
        for change in [
            &["pause", "bees"][..],
            &["cancel", "bees", "--yes"],
            &["resume", "bees"],
            &["reschedule", "bees", "--at", "2037-07-22 07:00"],
        ] {
            let said = desk.run(change).await;
            assert_eq!(said.code, 1, "{said:?}");
            assert!(
                said.error.contains("say which: `bees:3`, `bees:2`"),
                "{said:?}"
            );
        }
        let paused = desk.run(&["pause", "bees:2"]).await;
        assert_eq!(paused.out, "paused; go on with: pressrun resume bees:2\n");
        let why = desk.run(&["why", "bees:2", "--json"]).await;
        let why: serde_json::Value = serde_json::from_str(&why.out).expect("JSON");
        assert_eq!(why[0]["run"], 2);
        assert_eq!(why[0]["command"], "pressrun resume bees:2");
        let other = desk.run(&["status", "bees:3", "--json"]).await;
        let other: serde_json::Value = serde_json::from_str(&other.out).expect("JSON");
        assert_eq!(other[0]["id"], 3);
        assert_eq!(other[0]["status"], "scheduled");
        // Once one alone is under way, its issue names it.
        assert_eq!(desk.run(&["cancel", "bees:3"]).await.code, 0);
        assert_eq!(desk.run(&["resume", "bees", "--detach"]).await.code, 0);
        assert_eq!(desk.run(&["verify", "bees:2"]).await.code, 0);
        assert_eq!(desk.run(&["deliveries", "bees:2"]).await.code, 0);
        assert_eq!(desk.run(&["stats", "bees:2"]).await.code, 0);
        let nobody = desk.run(&["pause", "bees:9"]).await;
        assert!(nobody.error.contains("`bees` has no run 9"), "{nobody:?}");
    });
}

on_both!(
    who_did_not_open_one_issue_gets_another_twice_only_when_that_is_meant,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        desk.write("wasps", &ISSUE.replace("Bees", "Wasps"));
        for slug in ["bees", "wasps"] {
            let sent = desk.run(&["send", slug, "--yes"]).await;
            assert_eq!(sent.code, 0, "{sent:?}");
        }
        let again = ["send", "wasps", "--yes", "--to-unopened-of", "bees"];
        let asked = desk.run(&again).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        assert!(
            asked
                .error
                .contains("guard[same-issue]: 3 of the 3 readers have got `wasps` before (run 3)"),
            "{asked:?}"
        );
        let meant = [&again[..], &["--accept", "same-issue"]].concat();
        assert_eq!(desk.run(&meant).await.code, 0);
        // A second mail of the same issue is what `--resend` says, but not on the same day.
        let resend = ["send", "bees", "--yes", "--resend"];
        let asked = desk.run(&resend).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        let words = "guard[same-issue]: the 3 readers get `bees` only ";
        assert!(asked.error.contains(words), "{asked:?}");
        let two_days = 2 * 86_400_000;
        desk.raw(&format!(
            "update runs set started_at = started_at - {two_days} where slug = 'bees'"
        ))
        .await;
        let resent = desk.run(&resend).await;
        assert_eq!(resent.code, 0, "{resent:?}");
        assert_eq!(desk.sink.counts().accepted, 12);
        desk.raw(&format!(
            "update runs set started_at = started_at - {two_days} where slug = 'bees'"
        ))
        .await;
        let third = desk.run(&resend).await;
        assert_eq!(third.code, 5, "{third:?}");
        assert!(
            third.error.contains("after it was sent a second time"),
            "{third:?}"
        );
        // Nor does anybody know of a run that named nobody.
        desk.raw("insert into pseudonym_keys (run_id, made_at) select id, 1 from runs where slug = 'bees'")
            .await;
        let resent = desk.run(&resend).await;
        assert_eq!(resent.code, 1, "{resent:?}");
        assert!(
            resent.error.contains("of `bees` was counted without names"),
            "{resent:?}"
        );
        // Of the last issues, one tells nothing; where all of them do not, nothing can be said.
        let last = ["segments", "test", "not opened:last-2"];
        let some = desk.run(&last).await;
        assert_eq!(some.code, 0, "{some:?}");
        assert!(
            some.error
                .contains("1 of the last 2 issues were counted without names"),
            "{some:?}"
        );
        desk.raw("insert into pseudonym_keys (run_id, made_at) select id, 1 from runs where slug = 'wasps'")
            .await;
        let none = desk.run(&last).await;
        assert_eq!(none.code, 1, "{none:?}");
        assert!(
            none.error
                .contains("all of the last 2 issues were counted without names"),
            "{none:?}"
        );
        let to = ["segments", "test", "not opened:bees"];
        let asked = desk.run(&to).await;
        assert_eq!(asked.code, 1, "{asked:?}");
        assert!(
            asked.error.contains("of `bees` was counted without names"),
            "{asked:?}"
        );
    }
);

#[test]
fn another_content_is_rehearsed_for_the_readers_of_its_run() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 3, SinkOptions::default()).await;
        let scheduled = ["send", "bees", "--yes", "--at", "2037-07-20 07:00"];
        assert_eq!(desk.run(&scheduled).await.code, 0);
        let fields = "[fields.first_name]\ntype = \"text\"\nrequired = true\n";
        std::fs::write(desk.news().join("emails/fields.toml"), fields).expect("a file");
        desk.write(
            "bees",
            &ISSUE.replace("[[first_name|there]]", "[[first_name]]"),
        );
        let replace = ["send", "bees", "--replace", "--yes"];
        let refused = desk.run(&replace).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.error.contains("first_name") && refused.error.contains("--skip-rehearsal"),
            "{refused:?}"
        );
        let meant = [&replace[..], &["--skip-rehearsal"]].concat();
        let meant = desk.run(&meant).await;
        assert_eq!(meant.code, 0, "{meant:?}");
        assert!(meant.out.contains("replaced; "), "{meant:?}");
    });
}

#[test]
fn guards_ask_by_name_and_are_answered_by_name() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 4, SinkOptions::default()).await;
        for slug in ["one", "two", "three"] {
            let issue = ISSUE.replace("Bees", &format!("Issue {slug}"));
            desk.write(slug, &issue);
            let sent = desk.run(&["send", slug, "--yes"]).await;
            assert_eq!(sent.code, 0, "{sent:?}");
        }
        // Three runs of weeks ago, in the morning, to a hundred readers each.
        let morning = 1_760_508_000_000_i64;
        desk.raw(&format!(
            "update runs set recipients = 100, started_at = {morning} where id > 1"
        ))
        .await;
        let promo = ":::promo {code=BEES until=2026-12-24 url=https://example.org/}\n\nTen percent off.\n\n:::\n";
        desk.write(
            "four",
            &format!("{}\n{promo}", ISSUE.replace("Bees", "ISSUE  Two")),
        );
        let at = ["send", "four", "--yes", "--at", "2037-01-20 19:00"];
        assert_snapshot!("guards", desk.run(&at).await.as_text());
        let some = [&at[..], &["--accept", "hour", "--accept", "audience"]].concat();
        let said = desk.run(&some).await;
        assert_eq!(said.code, 5);
        assert!(
            said.error
                .ends_with("`--accept same-subject --accept promo-date` sends it all the same\n"),
            "{said:?}"
        );
        let all = [
            &some[..],
            &["--accept", "same-subject", "--accept", "promo-date"],
        ]
        .concat();
        assert_eq!(desk.run(&all).await.code, 0);
        let unknown = desk
            .run(&[&at[..], &["--accept", "everything"]].concat())
            .await;
        assert_eq!(unknown.code, 2);
        assert_snapshot!("help", desk.run(&["send", "--help"]).await.as_text());
    });
}

#[test]
fn what_is_no_plan_is_told_before_anything_is_begun() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 2, SinkOptions::default()).await;
        let mut told = String::new();
        for wrong in [
            &["--at", "soon"][..],
            &["--at", "2020-01-01 07:00"],
            &["--at", "2037-02-20 07:00 Europe/Belrin"],
            &["--at", "2037-02-20"],
            &["--at-local", "07:00 UTC"],
            &["--rate", "fast"],
            &["--over", "0s"],
            &["--over", "2h", "--at-local", "07:00"],
            &["--resend"],
            &["--correction", "--to-reached"],
            &["--replace"],
        ] {
            let said = desk
                .run(&[&["send", "bees", "--yes"][..], wrong].concat())
                .await;
            assert_eq!(said.code, 1, "{said:?}");
            told += &format!("{}\n  {}", wrong.join(" "), said.error);
        }
        assert_snapshot!("no_plan", told);
        let runs = desk.run(&["why"]).await;
        assert_eq!(runs.out, "no run is under way; nothing waits\n");
    });
}
