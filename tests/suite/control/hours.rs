//! What is looked at in the hour of a run by others than whoever sends: who follows it, and who resumes it.

use std::time::Duration;

use pressrun::deliver::{Engine as Sender, Taken};
use pressrun::id::RunId;
use pressrun::run::{self, why};
use pressrun::status::RunStatus;

use crate::control::schedule::{MINUTE, move_start, rig, starting};
use crate::deliver::rig::Rig;
use crate::harness::Engine;
use crate::on_both;

/// The most that a run may begin behind its hour by itself.
const LATE: Duration = Duration::from_secs(3600);

/// Two runs of the issue whose hour has come, the first to a list of its own, and the right to send, which this test
/// holds and does not use.
async fn two_due(rig: &Rig) -> (RunId, RunId, Box<Sender>) {
    let now = rig.app.clock.now();
    let later = starting(now.after(60 * MINUTE));
    rig.database
        .raw("insert into lists values (2, 'friends', 'Friends', 'l2', 0)")
        .await;
    let other = rig.begin_as(&later, "Little").await;
    rig.database
        .raw(&format!("update runs set list_id = 2 where id = {other}"))
        .await;
    let run = rig.begin_as(&later, "Little").await;
    move_start(rig, run, now.before(MINUTE)).await;
    let (_, stop) = tokio::sync::watch::channel(false);
    let taken = Sender::take(rig.app.clone(), stop).await;
    let Taken::Engine(engine) = taken.expect("a try") else {
        panic!("another engine is at work");
    };
    (other, run, engine)
}

async fn set_status(rig: &Rig, run: RunId, status: RunStatus) {
    rig.database
        .raw(&format!(
            "update runs set status = '{status}' where id = {run}"
        ))
        .await;
}

on_both!(
    a_run_that_is_followed_is_started_by_whoever_sends_and_looked_at_where_that_one_starts_no_other,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let (other, run, _engine) = two_due(&rig).await;
        let follow = async || {
            let found = rig.run(run).await;
            run::take_up(&rig.app, &found).await.expect("a look");
            rig.run(run).await
        };
        // Whoever has the right to send starts every run.
        assert_eq!(follow().await.status, RunStatus::Scheduled);
        rig.database
            .raw(&format!(
                "update senders set charge = '{{\"one\": {{\"run\": {other}, \"but\": []}}}}'"
            ))
            .await;
        set_status(&rig, other, RunStatus::Freezing).await;
        assert_eq!(follow().await.status, RunStatus::Scheduled);
        let said = why::why(&rig.app, &rig.run(run).await).await;
        let said = said.expect("an answer").sentence;
        let waits = format!("waits until run {other} has copied its readers");
        assert!(said.contains(&waits), "{said}");
        set_status(&rig, other, RunStatus::Cancelled).await;
        rig.database
            .raw("update subscriptions set status = 'unsubscribed'")
            .await;
        let held = follow().await;
        let reason = held.reason.unwrap_or_default();
        assert!(
            held.status == RunStatus::Held && reason.starts_with("nobody on its list"),
            "{reason}"
        );
        set_status(&rig, run, RunStatus::Scheduled).await;
        rig.database
            .raw("update subscriptions set status = 'confirmed'")
            .await;
        assert_eq!(follow().await.status, RunStatus::Freezing);
    }
);

on_both!(
    a_run_that_is_resumed_after_its_hour_is_looked_at_and_waits_while_another_is_copied,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let (other, run, _engine) = two_due(&rig).await;
        let resume = async |yes: bool| {
            let found = rig.run(run).await;
            let resumed = run::resume(&rig.app, &found, yes).await;
            (resumed, rig.run(run).await.status)
        };
        let unsubscribe = "update subscriptions set status = 'unsubscribed'";
        let confirm = "update subscriptions set status = 'confirmed'";
        // Paused or not, it is looked at alike.
        for from in [RunStatus::Scheduled, RunStatus::Paused] {
            set_status(&rig, run, from).await;
            set_status(&rig, other, RunStatus::Freezing).await;
            let hour = rig.app.clock.now().before(2 * LATE);
            move_start(&rig, run, hour).await;
            let (resumed, status) = resume(true).await;
            resumed.expect("nothing against it");
            assert_eq!(status, RunStatus::Scheduled);
            // A person has named the hour anew: it is not late when the other is copied.
            let start = rig.run(run).await.start_at.expect("an hour");
            assert!(start > hour.after(LATE).0, "{start}");
            set_status(&rig, run, from).await;
            set_status(&rig, other, RunStatus::Cancelled).await;
            rig.database.raw(unsubscribe).await;
            // A yes to being late is none to what nobody was told.
            move_start(&rig, run, hour).await;
            assert!(resume(false).await.0.is_err());
            let (resumed, status) = resume(true).await;
            let refused = resumed.expect_err("nobody would get it").to_string();
            assert!(refused.contains("is held: nobody on its list"), "{refused}");
            assert!(
                refused.ends_with("say `pressrun resume small --yes`"),
                "{refused}"
            );
            assert_eq!(status, RunStatus::Held);
            set_status(&rig, other, RunStatus::Freezing).await;
            assert_eq!(resume(true).await.1, RunStatus::Scheduled);
            set_status(&rig, other, RunStatus::Cancelled).await;
            let (resumed, status) = resume(true).await;
            assert!(resumed.is_err() && status == RunStatus::Held);
            assert_eq!(resume(true).await.1, RunStatus::Freezing);
            rig.database.raw(confirm).await;
        }
    }
);
