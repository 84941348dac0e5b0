//! Two runs of one issue at the same time: what one of them does meanwhile counts for the other.

use pressrun::clock::Clock;
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::store::runs::Run;

use crate::control::desk::{Desk, ISSUE};
use crate::control::doubles::{befriend, cancelled, copies_of, friends};
use crate::control::interrupted::Heard;
use crate::control::signals::ended;
use crate::deliver::rig::until;
use crate::harness::Engine;
use crate::on_both;

/// The hours of these runs come at once, in this order, while somebody sends; gives the runs once none of them moves.
async fn at_one_hour(desk: &Desk, runs: [i64; 2]) -> [Run; 2] {
    let app = desk.app().await;
    let hour = Clock::System.now().0 - 1_000;
    for (run, start) in runs.into_iter().zip(hour..) {
        desk.raw(&format!(
            "update runs set start_at = {start} where id = {run}"
        ))
        .await;
    }
    let found = async || {
        let [one, other] = runs.map(|run| app.store.run(pressrun::id::RunId(run)));
        [one.await, other.await].map(|run| run.expect("a read").expect("a run"))
    };
    let mut serve = desk.start(&["serve", "--role", "sender"]);
    let stood = until(async || {
        let stand = |run: &Run| matches!(run.status, RunStatus::Held | RunStatus::Finished);
        found().await.iter().all(stand)
    });
    let stood = stood.await;
    serve.kill().expect("a child");
    serve.wait().expect("an end");
    assert!(stood, "{:?}", found().await);
    found().await
}

async fn scheduled(desk: &Desk, arguments: &[&str]) {
    let send = ["send", "bees", "--yes", "--at", "2037-07-20 07:00"];
    let said = desk.run(&[&send[..], arguments].concat()).await;
    assert_eq!(said.code, 0, "{said:?}");
}

on_both!(
    of_two_runs_at_one_hour_the_second_is_held_for_readers_of_both_lists,
    async |engine: Engine| {
        let desk = Desk::new(engine, 20, SinkOptions::default()).await;
        friends(&desk, 0).await;
        befriend(&desk, "friend@example.org").await;
        scheduled(&desk, &[]).await;
        scheduled(&desk, &["--list", "friends"]).await;
        befriend(&desk, "reader7@example.org").await;
        let [first, second] = at_one_hour(&desk, [2, 3]).await;
        assert_eq!(first.status, RunStatus::Finished, "{first:?}");
        let reason = second.reason.as_deref().unwrap_or_default();
        assert!(
            second.status == RunStatus::Held
                && reason.contains(
                    "1 of its readers has got `bees` meanwhile or is to get it (run 2), and 0"
                ),
            "{second:?}"
        );
        let copies = copies_of(&desk);
        assert!(copies.len() == 20 && copies.values().all(|&copies| copies == 1));
    }
);

on_both!(
    a_run_that_is_followed_beside_the_sending_of_another_issue_is_held_in_its_hour_as_well,
    async |engine: Engine| {
        let desk = Desk::new(engine, 20, SinkOptions::default()).await;
        desk.write("wasps", &ISSUE.replace("Bees", "Wasps"));
        friends(&desk, 0).await;
        befriend(&desk, "friend@example.org").await;
        let first = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(first.code, 0, "{first:?}");
        let other = desk.start_held(&["send", "wasps", "--yes"], 12).await;
        let send = ["send", "bees", "--yes", "--list", "friends", "--undo", "1h"];
        let follower = Heard::until(&desk, &send, "following it").await;
        befriend(&desk, "reader7@example.org").await;
        let hour = Clock::System.now().0 - 1_000;
        desk.raw(&format!(
            "update runs set start_at = {hour} where status = 'scheduled'"
        ))
        .await;
        let app = desk.app().await;
        let newest = async || {
            let run = app.store.run_of("bees").await.expect("a read");
            run.expect("a run")
        };
        assert!(until(async || newest().await.status != RunStatus::Scheduled).await);
        let run = newest().await;
        let reason = run.reason.as_deref().unwrap_or_default();
        assert!(
            run.status == RunStatus::Held
                && reason.contains("1 of its readers has got `bees` meanwhile"),
            "{run:?}"
        );
        assert_eq!(ended(follower.child).await, 3);
        desk.sink.release();
        assert_eq!(ended(other).await, 0);
        let copies = copies_of(&desk);
        assert!(copies.len() == 20 && copies.values().all(|&copies| copies == 2));
    }
);

on_both!(
    what_was_accepted_of_a_run_that_was_taken_back_is_accepted_of_no_other,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        friends(&desk, 1).await;
        scheduled(&desk, &[]).await;
        // Accepted of reader0, and taken back.
        scheduled(&desk, &["--list", "friends", "--accept", "same-issue"]).await;
        let back = desk.run(&["cancel", "bees:3"]).await;
        assert!(back.out.contains("taken back"), "{back:?}");
        let removed = [
            "subscribers",
            "remove",
            "reader0@example.org",
            "--list",
            "friends",
        ];
        assert_eq!(desk.run(&removed).await.code, 0);
        befriend(&desk, "friend@example.org").await;
        scheduled(&desk, &["--list", "friends"]).await;
        befriend(&desk, "reader2@example.org").await;
        let [own, other] = at_one_hour(&desk, [4, 2]).await;
        assert_eq!(own.status, RunStatus::Finished, "{own:?}");
        let reason = other.reason.as_deref().unwrap_or_default();
        assert!(
            other.status == RunStatus::Held && reason.contains("to get it (run 4), and 0 when"),
            "{other:?}"
        );
    }
);

on_both!(
    the_rest_of_a_run_waits_until_it_is_known_who_gets_the_issue_by_another_list,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        friends(&desk, 0).await;
        befriend(&desk, "friend@example.org").await;
        cancelled(&desk, &["send", "bees", "--yes", "--rate", "20/s"], 5).await;
        scheduled(&desk, &["--continue", "--list", "weekly"]).await;
        scheduled(&desk, &["--list", "friends"]).await;
        befriend(&desk, "reader39@example.org").await;
        let [friends, rest] = at_one_hour(&desk, [4, 3]).await;
        assert_eq!(friends.status, RunStatus::Finished, "{friends:?}");
        assert_eq!(rest.status, RunStatus::Finished, "{rest:?}");
        let copies = copies_of(&desk);
        assert!(
            copies.len() == 41 && copies.values().all(|&copies| copies == 1),
            "{copies:?}"
        );
    }
);

on_both!(
    a_cancelled_mail_to_those_who_did_not_open_another_issue_goes_on_to_the_others_alone,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        desk.write("wasps", &ISSUE.replace("Bees", "Wasps"));
        let first = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(first.code, 0, "{first:?}");
        let second = ["send", "wasps", "--yes", "--to-unopened-of", "bees"];
        let said = cancelled(&desk, &[&second[..], &["--rate", "20/s"]].concat(), 5).await;
        let others = "\nit goes to the others with: pressrun send wasps --to-unopened-of bees\n";
        assert!(said.out.contains(others), "{said:?}");
        let sent = desk.run(&second).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let copies = copies_of(&desk);
        assert!(
            copies.len() == 40 && copies.values().all(|&copies| copies == 2),
            "{copies:?}"
        );
        // What was cancelled was the first mail of that issue: a second one goes to whom it reached, too.
        let again = [
            "send",
            "wasps",
            "--yes",
            "--resend",
            "--accept",
            "same-issue",
        ];
        let sent = desk.run(&again).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let copies = copies_of(&desk);
        assert!(copies.values().all(|&copies| copies == 3), "{copies:?}");
    }
);
