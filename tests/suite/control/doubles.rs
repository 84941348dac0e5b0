//! One issue in several runs: nobody gets it twice unasked, and its commands mean the run that they are said of.

use std::collections::BTreeMap;

use pressrun::clock::Clock;
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::store::runs::Run;
use pressrun::trial::{Score, Variant};

use crate::control::desk::{Desk, Said};
use crate::control::signals::ended;
use crate::deliver::rig::until;
use crate::harness::{Engine, block_on};
use crate::on_both;

/// A list `friends` with the first readers of `weekly` on it.
pub(super) async fn friends(desk: &Desk, readers: usize) {
    let added = desk
        .run(&["lists", "add", "friends", "--title", "Friends"])
        .await;
    assert_eq!(added.code, 0, "{added:?}");
    for number in 0..readers {
        befriend(desk, &format!("reader{number}@example.org")).await;
    }
}

pub(super) async fn befriend(desk: &Desk, address: &str) {
    let list = ["--list", "friends", "--status", "confirmed"];
    let add = [&["subscribers", "add", address][..], &list].concat();
    let added = desk.run(&add).await;
    assert_eq!(added.code, 0, "{added:?}");
}

/// Begins this, and cancels it by its command once the relay has taken some of it. Gives what the command said.
pub(super) async fn cancelled(desk: &Desk, arguments: &[&str], some: u64) -> Said {
    let before = desk.sink.counts().accepted;
    let sending = desk.start(arguments);
    assert!(until(async || desk.sink.counts().accepted >= before + some).await);
    let said = desk.run(&["cancel", arguments[1], "--yes"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    ended(sending).await;
    said
}

/// How many copies each reader got.
pub(super) fn copies_of(desk: &Desk) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for message in desk.sink.accepted() {
        *copies.entry(message.rcpt[0].clone()).or_default() += 1;
    }
    copies
}

async fn newest(desk: &Desk) -> Run {
    let app = desk.app().await;
    app.store
        .run_of("bees")
        .await
        .expect("a read")
        .expect("a run")
}

/// The hour of the run that waits comes while somebody sends; gives the run as it stands once it was looked at.
async fn at_its_hour(desk: &Desk) -> Run {
    let app = desk.app().await;
    let waiting = app.store.open_runs().await.expect("runs");
    let waiting = waiting
        .iter()
        .find(|run| run.status == RunStatus::Scheduled)
        .expect("a run that waits");
    desk.raw(&format!(
        "update runs set start_at = {} where id = {}",
        Clock::System.now().0 - 1_000,
        waiting.id
    ))
    .await;
    let mut serve = desk.start(&["serve", "--role", "sender"]);
    let stands = async || {
        let now = app
            .store
            .run(waiting.id())
            .await
            .expect("a read")
            .expect("a run");
        matches!(now.status, RunStatus::Held | RunStatus::Finished)
    };
    let stood = until(stands).await;
    serve.kill().expect("a child");
    serve.wait().expect("an end");
    assert!(stood);
    app.store
        .run(waiting.id())
        .await
        .expect("a read")
        .expect("a run")
}

on_both!(
    the_same_issue_to_another_list_is_asked_about_however_far_its_other_run_is,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        friends(&desk, 2).await;
        befriend(&desk, "friend@example.org").await;
        let other = ["send", "bees", "--yes", "--list", "friends"];
        let asked = async |words: &str| {
            let said = desk.run(&other).await;
            assert_eq!(said.code, 5, "{said:?}");
            let question = format!(
                "guard[same-issue]: 2 of the 3 readers are to get `bees` by run 2 to `weekly`, {words}"
            );
            assert!(said.error.contains(&question), "{said:?}");
        };
        let at = ["send", "bees", "--yes", "--at", "2037-07-20 07:00"];
        assert_eq!(desk.run(&at).await.code, 0);
        asked("which starts Mon 20 Jul 2037 07:00 UTC, and would get it twice").await;
        assert_eq!(desk.run(&["pause", "bees"]).await.code, 0);
        asked("which is paused").await;
        // Its audience is copied, and nothing of it has left.
        desk.raw("update runs set start_at = 1 where id = 2").await;
        assert_eq!(
            desk.run(&["resume", "bees", "--yes", "--detach"])
                .await
                .code,
            0
        );
        asked("which is under way").await;
        let frozen = desk.app().await;
        loop {
            let step = frozen
                .store
                .freeze_some(pressrun::id::RunId(2), 1, Clock::System.now())
                .await;
            if matches!(step.expect("a step"), pressrun::store::runs::Frozen::All(_)) {
                break;
            }
        }
        asked("which is under way").await;
        // Whoever says to whom is asked, too, and who was answered once is sent to.
        let some = [&other[..], &["--to", "not sent:bees"]].concat();
        assert_eq!(desk.run(&some).await.code, 5);
        let meant = [&other[..], &["--accept", "same-issue", "--detach"]].concat();
        assert_eq!(desk.run(&meant).await.code, 0);
        assert_eq!(desk.run(&["cancel", "bees:3", "--yes"]).await.code, 0);
        // Where it has come, that is asked.
        assert_eq!(desk.run(&["resume", "bees:2"]).await.code, 0);
        let said = desk.run(&other).await;
        let question = "guard[same-issue]: 2 of the 3 readers have got `bees` before (run 2)";
        assert!(said.code == 5 && said.error.contains(question), "{said:?}");
        assert_eq!(desk.sink.counts().accepted, 3);
    }
);

on_both!(
    what_nobody_was_asked_about_holds_a_run_at_its_hour,
    async |engine: Engine| {
        for accepted in [false, true] {
            let desk = Desk::new(engine, 3, SinkOptions::default()).await;
            friends(&desk, if accepted { 1 } else { 0 }).await;
            befriend(&desk, "friend@example.org").await;
            let at = ["send", "bees", "--yes", "--at", "2037-07-20 07:00"];
            assert_eq!(desk.run(&at).await.code, 0);
            let other = [
                "send",
                "bees",
                "--yes",
                "--list",
                "friends",
                "--accept",
                "same-issue",
            ];
            assert_eq!(desk.run(&other).await.code, 0);
            if !accepted {
                let list = ["--list", "weekly", "--status", "confirmed"];
                let add = [&["subscribers", "add", "friend@example.org"][..], &list].concat();
                assert_eq!(desk.run(&add).await.code, 0);
            }
            let run = at_its_hour(&desk).await;
            if accepted {
                assert_eq!(run.status, RunStatus::Finished, "{run:?}");
                assert_eq!(
                    copies_of(&desk)["reader0@example.org"],
                    2,
                    "as was accepted"
                );
                continue;
            }
            let reason = run.reason.as_deref().unwrap_or_default();
            assert!(
                run.status == RunStatus::Held
                    && reason.contains(
                        "1 of its readers has got `bees` meanwhile or is to get it (run 3), and 0"
                    ),
                "{run:?}"
            );
        }
    }
);

on_both!(
    the_rest_of_a_cancelled_run_goes_to_nobody_whom_the_issue_reached_since_by_another_list,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        friends(&desk, 40).await;
        let slow = ["send", "bees", "--yes", "--rate", "20/s"];
        let said = cancelled(&desk, &slow, 5).await;
        assert!(
            said.out
                .contains("pressrun send bees --continue --list weekly"),
            "{said:?}"
        );
        let others = [
            "send",
            "bees",
            "--yes",
            "--list",
            "friends",
            "--to",
            "not sent:bees",
        ];
        let sent = desk.run(&others).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let rest = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert!(
            rest.code == 1 && rest.error.contains("nothing to continue"),
            "{rest:?}"
        );
        assert!(copies_of(&desk).values().all(|&copies| copies == 1));
    }
);

on_both!(
    the_rest_of_a_run_that_was_sent_once_more_is_asked_about,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        assert_eq!(desk.run(&["send", "bees", "--yes"]).await.code, 0);
        let again = ["send", "bees", "--yes", "--again", "--rate", "20/s"];
        cancelled(&desk, &again, 5).await;
        let rest = ["send", "bees", "--yes", "--continue"];
        let asked = desk.run(&rest).await;
        assert!(
            asked.code == 5
                && asked
                    .error
                    .contains("have got `bees` before (run 2) and would get it once more"),
            "{asked:?}"
        );
        let meant = [&rest[..], &["--accept", "same-issue"]].concat();
        assert_eq!(desk.run(&meant).await.code, 0);
        assert!(copies_of(&desk).values().all(|&copies| copies == 2));
    }
);

on_both!(
    a_cancelled_second_mail_is_said_again_and_is_no_rest_of_the_first,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        cancelled(&desk, &["send", "bees", "--yes", "--rate", "20/s"], 20).await;
        let first = copies_of(&desk);
        let two_days = 2 * 86_400_000_i64;
        desk.raw(&format!(
            "update runs set started_at = started_at - {two_days} where slug = 'bees'"
        ))
        .await;
        let resend = ["send", "bees", "--yes", "--resend"];
        let said = cancelled(&desk, &[&resend[..], &["--rate", "20/s"]].concat(), 5).await;
        assert!(
            said.out
                .contains("\nit goes to the others with: pressrun send bees --resend\n"),
            "{said:?}"
        );
        // The rest is still the rest of the first.
        let rest = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert_eq!(rest.code, 0, "{rest:?}");
        let second = copies_of(&desk);
        assert_eq!(second.len(), 40);
        assert!(
            second
                .iter()
                .all(|(who, &copies)| copies == 1 || first.contains_key(who))
        );
        // It goes on to whom it did not reach, and to nobody a third time.
        let sent = desk
            .run(&[&resend[..], &["--accept", "same-issue"]].concat())
            .await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let third = copies_of(&desk);
        assert!(third.values().all(|&copies| copies == 2), "{third:?}");
    }
);

on_both!(
    the_rest_gets_the_subject_that_won_the_test,
    async |engine: Engine| {
        let desk = Desk::new(engine, 6, SinkOptions::default()).await;
        let test = [
            "send",
            "bees",
            "--yes",
            "--subject-b",
            "Six hives",
            "--test",
            "50%",
        ];
        cancelled(&desk, &test, 3).await;
        let early = desk.run(&["send", "bees", "--continue"]).await;
        assert!(
            early.error.contains(
                "the subject test of run 2 was never decided: the rest gets it under \"Bees"
            ),
            "{early:?}"
        );
        let run = newest(&desk).await;
        let mut trial = run.trial().expect("a test");
        let score = |readers| Score { sent: 100, readers };
        let decision = trial.decide(score(10), score(60), 1);
        assert_eq!(decision.winner, Variant::B);
        trial.decision = Some(decision);
        desk.raw(&format!(
            "update runs set trial = '{}' where id = 2",
            trial.to_json().replace('\'', "''")
        ))
        .await;
        let rest = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert_eq!(rest.code, 0, "{rest:?}");
        assert!(
            rest.error.contains(
                "the subject test of run 2 was won by \"Six hives\": the rest gets it under that"
            ),
            "{rest:?}"
        );
        let mails = desk.sink.accepted();
        assert_eq!(mails.len(), 6);
        for mail in &mails[3..] {
            let message = String::from_utf8_lossy(&mail.message);
            assert!(message.contains("Subject: Six hives\r\n"), "{message}");
        }
    }
);

#[test]
fn a_command_that_is_named_means_the_run_that_it_is_said_of() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 3, SinkOptions::default()).await;
        desk.schedule_for_two_lists().await;
        let other = ["send", "bees", "--yes", "--list", "friends"];
        let said = desk.run(&other).await;
        for command in [
            "`pressrun send bees --list friends --replace`",
            "`pressrun cancel bees:3`",
            "`pressrun why bees:3`",
        ] {
            assert!(said.error.contains(command), "{said:?}");
        }
        assert_eq!(desk.run(&["pause", "bees:3"]).await.code, 0);
        let said = desk.run(&other).await;
        assert!(
            said.error
                .contains("is paused; go on with `pressrun resume bees:3`"),
            "{said:?}"
        );
        desk.raw("update runs set status = 'held', reason = 'a test' where id = 3")
            .await;
        let said = desk.run(&other).await;
        assert!(
            said.error
                .contains("is held; go on with `pressrun resume bees:3 --yes`"),
            "{said:?}"
        );
        // One whose hour has passed long since is not begun by a word that was said of the pause.
        let long_ago = Clock::System.now().0 - 3 * 3_600_000;
        desk.raw(&format!(
            "update runs set status = 'paused', start_at = {long_ago} where id = 3"
        ))
        .await;
        let late = desk.run(&["resume", "bees:3", "--detach"]).await;
        assert!(
            late.code == 1
                && late
                    .error
                    .contains("`pressrun resume bees:3 --yes` starts it now"),
            "{late:?}"
        );
        let why = desk.run(&["why", "bees:3"]).await;
        assert!(
            why.out
                .contains("go on with `pressrun resume bees:3 --yes`"),
            "{why:?}"
        );
        let sure = ["resume", "bees:3", "--yes", "--detach"];
        assert_eq!(desk.run(&sure).await.code, 0);
        // What is under way takes no other hour or pace.
        let faster = desk.run(&[&other[..], &["--rate", "5/s"]].concat()).await;
        assert!(
            faster.code == 1 && faster.error.contains("takes nothing of what is asked now"),
            "{faster:?}"
        );
        let gone = desk.run(&["cancel", "bees:3", "--yes"]).await;
        assert_eq!(gone.code, 0, "{gone:?}");
        let twice = desk.run(&["cancel", "bees:3"]).await;
        assert!(twice.out.contains("was cancelled before"), "{twice:?}");
    });
}

on_both!(
    a_run_of_nobody_is_not_begun_and_stands_in_nobodys_way,
    async |engine: Engine| {
        let desk = Desk::new(engine, 1, SinkOptions::default()).await;
        friends(&desk, 0).await;
        let friend = [
            "subscribers",
            "add",
            "friend@example.org",
            "--list",
            "friends",
        ];
        let pending = [&friend[..], &["--status", "pending"]].concat();
        assert_eq!(desk.run(&pending).await.code, 0);
        let send = ["send", "bees", "--yes", "--list", "friends"];
        let refused = desk.run(&send).await;
        assert!(
            refused.code == 1
                && refused
                    .error
                    .contains("nobody on `friends` would get it (pending: 1)"),
            "{refused:?}"
        );
        let later = [&send[..], &["--at", "2037-07-20 07:00"]].concat();
        let said = desk.run(&later).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(
            said.error.contains("nobody on `friends` would get it now"),
            "{said:?}"
        );
        let held = at_its_hour(&desk).await;
        let reason = held.reason.as_deref().unwrap_or_default();
        assert!(
            held.status == RunStatus::Held && reason.contains("nobody on its list would get it"),
            "{held:?}"
        );
        // Where a person lets it go on all the same, it is no issue that came out.
        let on = desk.run(&["resume", "bees", "--yes"]).await;
        assert_eq!(on.code, 3, "{on:?}");
        assert!(on.out.contains("nobody got it"), "{on:?}");
        assert_eq!(desk.run(&["status", "bees"]).await.code, 3);
        let pages = desk.run(&["archive", "list"]).await;
        assert!(!pages.out.contains("bees"), "{pages:?}");
        befriend(&desk, "reader0@example.org").await;
        let sent = desk.run(&send).await;
        assert_eq!(sent.code, 0, "{sent:?}");
    }
);
